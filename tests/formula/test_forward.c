/*
 * test_forward.c: forward mode, and reverse mode by it. For every word of the language (language.h) and every variable
 * v:
 *     Diff(F,v,u)             is the difference quotient of F along u,
 *     <Grad(F,v,e), u>        is <e, Diff(F,v,u)>, to rounding,
 *     Diff(Grad(F,v,e),w,u)   is the difference quotient of the gradient: second derivatives.
 * Then GradMatrix, Divergence and Laplacian, and Grad with a list of variables.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "language.h"

static size_t compared, skipped; /* numbers, and those near a jump */

static q_id total_gradient(sample *s, q_id value, q_id v, q_id e, const char *text)
{
    q_id id = q_grad_total(s->graph, value, v, e);
    if (!id) fail_msg("%s: %s", text, quern_last_error_text());
    return id;
}

/* Numbers of `id` in the layout of `like`, which may have more axes. */
static double *evaluate_like(const sample *s, q_id id, q_id like)
{
    const q_node *node = q_node_of(s->graph, like);
    double *own = sample_evaluate(s, id), *out = malloc((sample_numbers(s, like) + 1) * sizeof *out);
    size_t rows = node->axes & Q_I ? (size_t)s->M : 1, columns = node->axes & Q_J ? (size_t)s->N : 1;
    assert_int_equal(q_node_of(s->graph, id)->dim, node->dim);
    for (size_t n = 0; n < rows * columns; n++)
        memcpy(out + n * node->dim, own + sample_offset(s, id, n / columns, n % columns), node->dim * sizeof *out);
    free(own);
    return out;
}

/* Diff of the value along the data of variable u, by differences. */
static void check_tangent(sample *s, q_id value, q_id tangent, size_t v, const char *direction, const char *text)
{
    size_t count = sample_numbers(s, value);
    double *got = evaluate_like(s, tangent, value),
           *expected = sample_differences(s, value, v, sample_data(s, direction));
    double *values = sample_evaluate(s, value), size = 1;
    for (size_t n = 0; n < count; n++)
        if (isfinite(expected[n])) size = fmax(size, fmax(fabs(expected[n]), fabs(values[n])));
    for (size_t n = 0; n < count; n++) {
        if (isnan(expected[n])) {
            skipped++;
            continue;
        }
        compared++;
        if (!(fabs(got[n] - expected[n]) <= 1e-7 * size))
            fail_msg("%s\nDiff by %s, number %zu: %.12g, by differences %.12g", text, s->graph->variables[v].name, n,
                     got[n], expected[n]);
    }
    free(values);
    free(expected);
    free(got);
}

static const char *direction_name(char out[80], const sample *s, size_t v)
{
    static const char axes[] = "pij";
    snprintf(out, 80, "d_%s_%c", s->graph->variables[v].name, axes[s->graph->variables[v].axis]);
    return out;
}

static q_id direction_for(sample *s, size_t v)
{
    char name[72];
    snprintf(name, sizeof name, "d_%s", s->graph->variables[v].name);
    return sample_weights(s, s->graph->variables[v].id, name);
}

/* <Grad(F,v,e), u> = <e, Diff(F,v,u)>: e and u are the same numbers on both sides. */
static void check_adjoint(sample *s, q_id gradient, q_id e, q_id tangent, q_id value, q_id u, const char *text)
{
    q_id terms = q_apply2(s->graph, Q_OP_Mult, tangent, e), back = q_apply2(s->graph, Q_OP_Mult, gradient, u);
    /* sums over all rows of F, also those that the tangent does not depend on */
    terms = q_repeat(s->graph, terms, q_node_of(s->graph, value)->axes);
    q_id one = q_constant(s->graph, 1, 1);
    double forward = sample_contract(s, terms, one), reverse = sample_contract(s, back, one);
    double size = sample_contract(s, q_apply1(s->graph, Q_OP_Abs, terms), one) + 1;
    if (!(fabs(forward - reverse) <= 1e-11 * size))
        fail_msg("%s\n<e, Diff> is %.15g, <Grad, u> %.15g", text, forward, reverse);
}

static void check_formula(const char *formula)
{
    sample s = sample_create(3, 4, strlen(formula));
    q_text text = {0};
    q_text_add(&text, "%s%s", language_declarations, formula);
    q_id value = sample_parse(&s, text.data), e = sample_weights(&s, value, "e");
    size_t variables = 6;
    q_id directions[6], tangents[6], gradients[6], second[6][6];
    for (size_t v = 0; v < variables; v++) {
        q_id variable = s.graph->variables[v].id;
        directions[v] = direction_for(&s, v);
        tangents[v] = q_diff(s.graph, value, variable, directions[v]);
        if (!tangents[v]) fail_msg("%s\nDiff: %s", formula, quern_last_error_text());
        gradients[v] = total_gradient(&s, value, variable, e, formula);
    }
    for (size_t v = 0; v < variables * variables; v++) {
        size_t w = v % variables;
        second[v / variables][w] = q_diff(s.graph, gradients[v / variables], s.graph->variables[w].id, directions[w]);
    }
    sample_fill(&s, 0.2, 0.9);
    char name[80];
    for (size_t v = 0; v < variables; v++) {
        check_tangent(&s, value, tangents[v], v, direction_name(name, &s, v), formula);
        check_adjoint(&s, gradients[v], e, tangents[v], value, directions[v], formula);
        for (size_t w = 0; w < variables; w++) {
            if (!second[v][w]) fail_msg("%s\nsecond derivative: %s", formula, quern_last_error_text());
            check_tangent(&s, gradients[v], second[v][w], w, direction_name(name, &s, w), formula);
        }
    }
    assert_int_equal(q_graph_verify(s.graph), QUERN_OK);
    q_text_free(&text);
    sample_destroy(&s);
}

static void check_part(language_part part, size_t least)
{
    char **formulas;
    size_t count = language_formulas(part, &formulas);
    compared = skipped = 0;
    for (size_t n = 0; n < count; n++) /* UnitCosine is for operands that are not free */
        if (strncmp(formulas[n], "UnitCosine", 10) != 0) check_formula(formulas[n]);
    assert_in_range(count, least, 1000);
    assert_true(skipped * 50 < compared);
    free_names(formulas, count);
}

static void every_map(void **state)
{
    (void)state;
    check_part(LANGUAGE_MAPS, 140);
}

static void every_reduction(void **state)
{
    (void)state;
    check_part(LANGUAGE_REDUCTIONS, 80);
}

// ---- what is made of Grad ----

static void same_values(const char *a, const char *b)
{
    sample s = sample_create(3, 4, strlen(a));
    q_text text = {0};
    q_text_add(&text, "%s%s", language_declarations, a);
    q_id first = sample_parse(&s, text.data);
    q_text_free(&text);
    q_text_add(&text, "%s%s", language_declarations, b);
    q_id second = sample_parse(&s, text.data);
    sample_fill(&s, 0.2, 0.9);
    double *got = evaluate_like(&s, first, second), *expected = sample_evaluate(&s, second);
    double error = relative_error(got, expected, sample_numbers(&s, second));
    if (!(error <= 1e-13)) fail_msg("%s\nand %s\ndiffer by %g", a, b, error);
    free(got);
    free(expected);
    q_text_free(&text);
    sample_destroy(&s);
}

static void matrices_and_traces(void **state)
{
    (void)state;
    same_values("GradMatrix(x*y,x)",
                "Contract(y,Concat(Concat(Concat(ExtractT(1,0,4),ExtractT(1,1,4)),ExtractT(1,2,4)),"
                "ExtractT(1,3,4)),[0],[0,1],[0,1],[4,4])");
    same_values("GradMatrix(x|y,x)", "y");
    same_values("GradMatrix(Concat(s*t,Square(s)),s)", "Concat(t,2*s)");
    same_values("Divergence(Square(x)*y,x)", "2*Sum(x*y)");
    same_values("Divergence(x,x)", "4");
    same_values("Divergence(p,x)", "0");
    same_values("Divergence(y*Sum(y*x),y)", "5*Sum(y*x)");
    same_values("Laplacian(SqNorm2(x),x)", "8");
    same_values("Laplacian(Exp(-q*SqDist(x,y)),y)", "r=SqDist(x,y); (4*Square(q)*r-8*q)*Exp(-q*r)");
    same_values("Laplacian(Sum(Sin(x*p)),x)", "-Sum(Square(p)*Sin(x*p))");
    same_values("Grad(Divergence(Pow(x,3)*y,x),x,1)", "6*x*y");
    same_values("Diff(Grad(Sum(Pow(x,3)),x,1),x,y)", "6*x*y");
    same_values("Diff(Sum_j(Exp(x*y)),x,p)", "p*Sum_j(y*Exp(x*y))");
    same_values("Diff(Sum_j(Exp(x*y)),y,Square(y))", "x*Sum_j(Square(y)*Exp(x*y))");
    same_values("TraceOperator(MatVecMult(TensorProd(y,y),x),x)", "SqNorm2(y)");
    same_values("AdjointOperator(MatVecMult(TensorProd(p,y),x),x,y)", "y*Sum(p*y)");
}

/* Grad(F,[x,y],e) gives the gradients one after the other, as results of their own. */
static void lists_of_variables(void **state)
{
    (void)state;
    sample s = sample_create(3, 4, 1);
    q_id results[Q_MAX_RESULTS], single;
    size_t count;
    static const char loss[] = "x=Vi(2); y=Vj(2); b=Vj(1); c=Pm(1); "
                               "F=Sum_i(Square(Sum_j(Exp(-c*SqDist(x,y))*b))); Sum_j(b), Grad(F,[x,y,b,c],1), F";
    if (q_parse(s.graph, loss, results, &count)) fail_msg("%s", quern_last_error_text());
    assert_int_equal(count, 6);
    for (size_t v = 0; v < 4; v++) {
        single = q_grad(s.graph, results[5], s.graph->variables[v].id, q_constant(s.graph, 1, 1));
        assert_int_equal(single, results[1 + v]);
        assert_int_equal(q_node_of(s.graph, single)->axes, s.graph->variables[v].axis);
    }
    sample_destroy(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_map),
        cmocka_unit_test(every_reduction),
        cmocka_unit_test(matrices_and_traces),
        cmocka_unit_test(lists_of_variables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
