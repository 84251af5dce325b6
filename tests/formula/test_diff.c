/*
 * test_diff.c: gradients against central finite differences, all evaluated by q_reference. For every reduction over
 * i and over j, for nested losses, gradients of gradients and every conformance formula: the derivative of L =
 * <F, e> with respect to each i-, j- and parameter variable is total; of pair formulas it is pair by pair.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helpers.h"

static const char declarations[] = "x=Vi(2); y=Vj(2); b=Vj(1); q=Vi(1); p=Pm(1); c=Pm(2); ";

/* A variable with the shape of a value, for weights. */
static q_id weights_for(sample *s, q_id value)
{
    static const char *const names[] = {"weight_p", "weight_i", "weight_j"};
    const q_node node = *q_node_of(s->graph, value);
    return q_variable_make(s->graph, names[node.axes], node.axes, node.dim);
}

typedef q_id gradient_function(q_graph *graph, q_id value, q_id variable, q_id e);

static q_id gradient(gradient_function *differentiate, sample *s, q_id value, size_t v, q_id e, const char *text)
{
    const q_variable variable = s->graph->variables[v];
    q_id id = differentiate(s->graph, value, variable.id, e);
    if (!id) fail_msg("%s by %s: %s", text, variable.name, quern_last_error_text());
    assert_int_equal(q_graph_verify(s->graph), QUERN_OK);
    assert_int_equal(q_node_of(s->graph, id)->dim, variable.dim);
    return id;
}

/* (L(data + h u) - L(data - h u)) / 2h for L = <value, e>; leaves the data as they were. */
static double slope(sample *s, q_id value, q_id e, double *data, const double *u, size_t count, double h)
{
    double ends[2];
    double *kept = malloc(count * sizeof *kept);
    memcpy(kept, data, count * sizeof *kept);
    for (int side = 0; side < 2; side++) {
        for (size_t n = 0; n < count; n++) data[n] = kept[n] + (side ? -h : h) * u[n];
        ends[side] = sample_contract(s, value, e);
    }
    memcpy(data, kept, count * sizeof *kept);
    free(kept);
    return (ends[0] - ends[1]) / (2 * h);
}

// ---- all components of total gradients ----

static void check_components(sample *s, q_id value, q_id e, size_t v, q_id id, const char *text)
{
    const q_variable *variable = &s->graph->variables[v];
    size_t count = sample_numbers(s, variable->id);
    double *expected = calloc(count, sizeof *expected), *u = calloc(count, sizeof *u), *got = sample_evaluate(s, id);
    assert_int_equal(q_node_of(s->graph, id)->axes, variable->axis);
    for (size_t n = 0; n < count; n++) {
        u[n] = 1;
        expected[n] = slope(s, value, e, s->data[v], u, count, 1e-5);
        u[n] = 0;
    }
    double largest = 1; /* the loss itself is of this size, so differences of it are no better */
    for (size_t n = 0; n < count; n++) largest = fmax(largest, fabs(expected[n]));
    for (size_t n = 0; n < count; n++)
        if (!(fabs(got[n] - expected[n]) <= 1e-6 * largest))
            fail_msg("%s\nby %s: [%zu] is %g, by differences %g", text, variable->name, n, got[n], expected[n]);
    free(expected);
    free(got);
    free(u);
}

/* A formula of the variables declared above, which must not be a pair formula. */
static void check_total(const char *formula)
{
    sample s = sample_create(3, 4, strlen(formula));
    q_text text = {0};
    q_text_add(&text, "%s%s", declarations, formula);
    q_id value = sample_parse(&s, text.data);
    size_t variables = s.graph->variable_count;
    q_id e = weights_for(&s, value), gradients[Q_MAX_VARIABLES];
    for (size_t v = 0; v < variables; v++) gradients[v] = gradient(q_grad, &s, value, v, e, formula);
    sample_fill(&s, 0.2, 1.2);
    for (size_t v = 0; v < variables; v++) check_components(&s, value, e, v, gradients[v], formula);
    q_text_free(&text);
    sample_destroy(&s);
}

static void every_reduction(void **state)
{
    (void)state;
    static const char *const terms[] = {"Exp(-p*SqDist(x,y))*b", "x*y*q+c", "Sin(y)*b", "x*q", "p*c"};
    for (int op = Q_OP_REDUCTION + 1; op < Q_OP_END; op++)
        for (size_t t = 0; t < Q_COUNT(terms); t++)
            for (int axis = 0; axis < 2; axis++) {
                q_text text = {0};
                q_text_add(&text, "%s_%c(%s%s)", q_ops[op].name, axis ? 'i' : 'j', terms[t],
                           q_ops[op].integers ? ",2" : "");
                check_total(text.data);
                q_text_free(&text);
            }
}

static void nested_losses(void **state)
{
    (void)state;
    static const char *const losses[] = {
        "Sum_i(q*Sum_j(Exp(-p*SqDist(x,y))*b))",
        "Sum_i(Square(Sum_j(Exp(-p*SqDist(x,y))*b)))",
        "Sum_i(-LogSumExp_j(Log(b)-p*SqDist(x,y)))",
        "LogSumExp_i(-LogSumExp_j(-p*SqDist(x,y)))",
        "Sum_j(Exp(Scalprod(x,y)-LogSumExp_j(Scalprod(x,y)))*b)",
        "Sum_i(Min_j(SqDist(x,y)))+Sum_j(Min_i(SqDist(x,y)))",
        "Max_i(Sum_j(x*y))*Sum_i(q)/Sum_j(b)",
        "q*Sum_i(q*Sum_j(b*x))", /* a result over i that contains a sum over i */
        "Sum_j(b*Sum_i(q*Sum_j(b*SqDist(x,y))))",
        "Sum_i(Sum_j(Norm2(x-y)*q*b))/Sum_i(1)",
        "Sum_i(Normalize(x))|c",
        "Sum_j(IfElse(x-y,x*b,y*q)*LessThan(x,2*y))",
        "Concat(Sum_j(y*b),Sum_i(x)*p)",
        "Extract(Sum_j(Concat(x,y*b)),1,2)",
        "Sum_i(x)*Sum_j(y)+c",
        "Repeat_i(Sum_j(y*b))*p",
        "Sum_i((I+1)*x)+Sum_j(J*y)",
    };
    for (size_t n = 0; n < Q_COUNT(losses); n++) check_total(losses[n]);
}

/* Gradients are formulas like others: what is checked here is their derivative, the second and third of something. */
static void higher_derivatives(void **state)
{
    (void)state;
    static const char *const formulas[] = {
        "e=Vi(1); Grad(Sum_j(Exp(-p*SqDist(x,y))*b),x,e)",
        "e=Vi(1); Grad(Sum_j(Exp(-p*SqDist(x,y))*b),y,e)",
        "e=Vi(1); Grad(Sum_j(Exp(-p*SqDist(x,y))*b),p,e)",
        "e=Vj(1); Grad(LogSumExp_i(p*SqDist(x,y)),x,e)",
        "e=Vj(2); Grad(Max_i(p*x*y),x,e)",
        "e=Vi(2); Grad(Min_j(p*x*y),y,e)",
        "Grad(Sum_i(Square(Sum_j(Exp(-p*SqDist(x,y))*b))),x,1)",
        "Grad(Sum_i(-LogSumExp_j(Log(b)-p*SqDist(x,y))),y,1)",
        "e=Vi(1); f=Vj(2); Grad(Grad(Sum_j(Exp(-p*SqDist(x,y))*b),x,e)|x,x,1)",
        "e=Vi(1); u=Vi(2); Sum_i(Grad(Sum_j(Exp(-p*SqDist(x,y))*b),x,e)|u)",
        "e=Vi(1); u=Vi(2); Grad(Grad(Sum_j(Sin(p*(x|y))*b),x,e),p,u)",
        "e=Vj(1); Sum_j(Grad(Grad(Sin(x|y),x,e)|c,y,1))", /* a pairwise gradient inside a sum */
    };
    for (size_t n = 0; n < Q_COUNT(formulas); n++) check_total(formulas[n]);
}

// ---- pair formulas ----

/* Component k of the variable is moved in all rows at once: each pair sees its own. */
static void check_pair_component(sample *s, q_id value, q_id e, q_id id, size_t v, uint32_t k, const char *text)
{
    const q_variable *variable = &s->graph->variables[v];
    const double h = 1e-5;
    double *ends[2], *got = sample_evaluate(s, id), *weights = sample_evaluate(s, e);
    uint32_t dim = q_node_of(s->graph, value)->dim;
    size_t count = sample_numbers(s, variable->id);
    for (int side = 0; side < 2; side++) {
        for (size_t n = k; n < count; n += variable->dim) s->data[v][n] += side ? -2 * h : h;
        ends[side] = sample_evaluate(s, value);
    }
    for (size_t n = k; n < count; n += variable->dim) s->data[v][n] += h;
    for (size_t pair = 0; pair < (size_t)(s->M * s->N); pair++) {
        size_t i = pair / (size_t)s->N, j = pair % (size_t)s->N, at = sample_offset(s, value, i, j);
        double expected = 0, own = got[sample_offset(s, id, i, j) + k];
        for (uint32_t d = 0; d < dim; d++)
            expected += (ends[0][at + d] - ends[1][at + d]) / (2 * h) * weights[sample_offset(s, e, i, j) + d];
        if (!(fabs(own - expected) <= 1e-6 * (1 + fabs(expected))))
            fail_msg("%s by %s, pair (%zu,%zu): %g, by differences %g", text, variable->name, i, j, own, expected);
    }
    free(ends[0]);
    free(ends[1]);
    free(got);
    free(weights);
}

static void pair_formulas_pair_by_pair(void **state)
{
    (void)state;
    static const char *const formulas[] = {
        "x*y*q+c", "Exp(-p*SqDist(x,y))*b", "Grad(Exp(-p*SqDist(x,y))*b,x,q)", "Sin(x|y)", "Concat(x,y)*p", "x*q",
        "y*b",
    };
    for (size_t n = 0; n < Q_COUNT(formulas); n++) {
        sample s = sample_create(3, 4, n);
        q_text text = {0};
        q_text_add(&text, "%s%s", declarations, formulas[n]);
        q_id value = sample_parse(&s, text.data), gradients[Q_MAX_VARIABLES];
        size_t variables = s.graph->variable_count;
        q_id e = q_variable_make(s.graph, "e", Q_J, q_node_of(s.graph, value)->dim);
        for (size_t v = 0; v < variables; v++) gradients[v] = gradient(q_grad, &s, value, v, e, formulas[n]);
        sample_fill(&s, 0.2, 1.2);
        for (size_t v = 0; v < variables; v++)
            for (uint32_t k = 0; k < s.graph->variables[v].dim; k++)
                check_pair_component(&s, value, e, gradients[v], v, k, formulas[n]);
        q_text_free(&text);
        sample_destroy(&s);
    }
}

// ---- the adjoint identity ----

/* <Grad(F,v,e), u> is the derivative of <F, e> along u. */
static void check_adjoint(sample *s, q_id value, q_id e, size_t v, q_id id, const char *text)
{
    const q_variable *variable = &s->graph->variables[v];
    size_t count = sample_numbers(s, variable->id);
    double *u = malloc(count * sizeof *u), *got = sample_evaluate(s, id), product = 0, size = 0;
    assert_int_equal(sample_numbers(s, id), count);
    for (size_t n = 0; n < count; n++) {
        u[n] = random_between(&s->random, -1, 1);
        product += got[n] * u[n];
        size += fabs(got[n] * u[n]);
    }
    double along = slope(s, value, e, s->data[v], u, count, 1e-5);
    if (!(fabs(along - product) <= 1e-6 * (1 + size)))
        fail_msg("%s\nby %s: <gradient, u> = %.12g, derivative along u %.12g", text, variable->name, product, along);
    free(got);
    free(u);
}

static void adjoint_identity_of_conformance_formulas(void **state)
{
    (void)state;
    char **formulas;
    size_t count = conformance_formulas(&formulas), checked = 0;
    for (size_t n = 0; n < count; n++) {
        sample s = sample_create(3, 4, n);
        q_id ids[Q_MAX_RESULTS], gradients[Q_MAX_VARIABLES];
        size_t results;
        if (q_parse(s.graph, formulas[n], ids, &results)) {
            sample_destroy(&s);
            continue;
        }
        size_t variables = s.graph->variable_count;
        q_id e = weights_for(&s, ids[0]);
        for (size_t v = 0; v < variables; v++) gradients[v] = gradient(q_grad_total, &s, ids[0], v, e, formulas[n]);
        sample_fill(&s, 0.1, 0.9);
        for (size_t v = 0; v < variables; v++, checked++) check_adjoint(&s, ids[0], e, v, gradients[v], formulas[n]);
        sample_destroy(&s);
    }
    assert_in_range(checked, 600, 10 * count);
    free_names(formulas, count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reduction),
        cmocka_unit_test(nested_losses),
        cmocka_unit_test(higher_derivatives),
        cmocka_unit_test(pair_formulas_pair_by_pair),
        cmocka_unit_test(adjoint_identity_of_conformance_formulas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
