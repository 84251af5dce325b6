/*
 * test_build.c: the builder API: what it makes is what the same text makes, failures stay, and misuse is told.
 * test_apply.c goes through all functions.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quern/build.h"
#include "run_helpers.h"

/* ---- the same as text ---- */

typedef struct trio {
    quern_graph *graph;
    quern_expr x, y, b;
} trio;

#define TRIO "x=Vi(3); y=Vj(3); b=Vj(1); "

static trio new_trio(void)
{
    trio t = {.graph = new_graph()};
    t.x = quern_vi(t.graph, "x", 3);
    t.y = quern_vj(t.graph, "y", 3);
    t.b = quern_vj(t.graph, "b", 1);
    return t;
}

static quern_expr gaussian_of(const trio *t)
{
    return quern_exp(t->graph, quern_negate(t->graph, quern_sqdist(t->graph, t->x, t->y)));
}

static void a_kernel_sum_is_its_text(void **state)
{
    (void)state;
    static const float x[] = {0, 0, 0, 1, 0, 0}, y[] = {0, 0, 0, 1, 0, 0, 0, 1, 0}, b[] = {1, 2, 3};
    need_device();
    trio t = new_trio();
    quern_expr sum = quern_sum_j(t.graph, quern_multiply(t.graph, gaussian_of(&t), t.b));
    quern_operator *built = check_text(t.graph, sum, TRIO "Sum_j(Exp(-SqDist(x,y))*b)"), *read;
    quern_graph_destroy(&t.graph); /* the operator does not need it */
    assert_null(t.graph);
    succeed(quern_compile(&read, context, TRIO "Sum_j(Exp(-SqDist(x,y))*b)", NULL));
    quern_args args = QUERN_ARGS({"x", quern_f32(x, 2, 3)}, {"y", quern_f32(y, 3, 3)}, {"b", quern_f32(b, 3, 1)});
    float got[2] = {0}, expected[2] = {1};
    succeed(quern_run(built, args, quern_f32(got, 2, 1)));
    succeed(quern_run(read, args, quern_f32(expected, 2, 1)));
    assert_memory_equal(got, expected, sizeof got);
    assert_float_equal(got[0], 2.8393972F, 1e-5F);
    quern_operator_destroy(&built);
    quern_operator_destroy(&read);
}

static void the_usual_functions_are_their_text(void **state)
{
    (void)state;
    trio t = new_trio();
    quern_graph *g = t.graph;
    quern_expr u = quern_vi(g, "u", 3), s = quern_scalprod(g, t.x, t.y);
    const struct {
        quern_expr made;
        const char *text;
    } pairs[] = {
        {quern_add(g, t.x, u), "x+u"},
        {quern_subtract(g, t.x, u), "x-u"},
        {quern_multiply(g, t.x, u), "x*u"},
        {quern_divide(g, t.x, u), "x/u"},
        {quern_negate(g, t.x), "-x"},
        {quern_exp(g, t.x), "Exp(x)"},
        {quern_log(g, t.x), "Log(x)"},
        {quern_sqrt(g, t.x), "Sqrt(x)"},
        {quern_square(g, t.x), "Square(x)"},
        {quern_sqdist(g, t.x, u), "SqDist(x,u)"},
        {quern_scalprod(g, t.x, u), "(x|u)"},
        {quern_norm2(g, t.x), "Norm2(x)"},
        {quern_sum_components(g, t.x), "Sum(x)"},
        {quern_extract(g, t.x, 1, 2), "Extract(x,1,2)"},
        {quern_concat(g, t.x, u), "Concat(x,u)"},
        {quern_gather(g, t.x, quern_index_i(g), 1), "Gather(x,I,1)"},
        {quern_gather_i(g, t.x, quern_literal(g, 2)), "Gather_i(x,2)"},
        {quern_sum_i(g, quern_gather_j(g, t.y, quern_index_i(g))), "Sum_i(Gather_j(y,I))"},
        {quern_sum_i(g, s), "Sum_i((x|y))"},
        {quern_sum_j(g, s), "Sum_j((x|y))"},
        {quern_min_i(g, s), "Min_i((x|y))"},
        {quern_min_j(g, s), "Min_j((x|y))"},
        {quern_argmin_i(g, s), "ArgMin_i((x|y))"},
        {quern_argmin_j(g, s), "ArgMin_j((x|y))"},
        {quern_max_i(g, s), "Max_i((x|y))"},
        {quern_max_j(g, s), "Max_j((x|y))"},
        {quern_argmax_i(g, s), "ArgMax_i((x|y))"},
        {quern_argmax_j(g, s), "ArgMax_j((x|y))"},
        {quern_logsumexp_i(g, s), "LogSumExp_i((x|y))"},
        {quern_logsumexp_j(g, s), "LogSumExp_j((x|y))"},
        {quern_index_i(g), "I"},
        {quern_sum_j(g, quern_index_j(g)), "Sum_j(J)"},
        {quern_multiply(g, t.x, quern_literal(g, -0.1)), "x*(-0.1)"},
    };
    for (size_t n = 0; n < Q_COUNT(pairs); n++) {
        char text[200];
        snprintf(text, sizeof text, TRIO "u=Vi(3); %s", pairs[n].text);
        quern_operator *op = check_text(g, pairs[n].made, text);
        quern_operator_destroy(&op);
    }
    quern_graph_destroy(&g);
}

static void a_gradient_is_its_text(void **state)
{
    (void)state;
    trio t = new_trio();
    quern_expr nearest = quern_min_j(t.graph, quern_sqdist(t.graph, t.x, t.y));
    quern_expr gradient = quern_grad(t.graph, nearest, t.x, quern_literal(t.graph, 1));
    quern_operator *op = check_text(t.graph, gradient, "x=Vi(3); y=Vj(3); Grad(Min_j(SqDist(x,y)),x,1)");
    quern_operator_destroy(&op);
    quern_graph_destroy(&t.graph);
}

static void texts_know_what_was_made_before(void **state)
{
    (void)state;
    trio t = new_trio();
    quern_expr k = quern_name(t.graph, "k", gaussian_of(&t));
    quern_expr sum = quern_formula(t.graph, "g=Pm(1); w=g*b; Sum_j(k*w)");
    quern_expr again = quern_formula(t.graph, "Sum_j(k*w)");
    assert_true(k && sum && sum == again);
    assert_int_equal(quern_formula(t.graph, "x"), t.x);
    quern_operator *op = check_text(t.graph, sum, TRIO "k=Exp(-SqDist(x,y)); g=Pm(1); w=g*b; Sum_j(k*w)");
    quern_operator_destroy(&op);
    /* a graph may grow on after it was compiled, and a gradient be taken of what was built */
    op = check_text(t.graph, quern_formula(t.graph, "Max_j(k)"), TRIO "Max_j(Exp(-SqDist(x,y)))");
    quern_operator *gradient;
    succeed(quern_gradient(&gradient, op, "x", NULL));
    quern_operator_destroy(&op);
    quern_operator_destroy(&gradient);
    quern_graph_destroy(&t.graph);
}

static void several_results_in_order(void **state)
{
    (void)state;
    trio t = new_trio();
    quern_expr d = quern_sqdist(t.graph, t.x, t.y);
    quern_operator *op, *read;
    succeed(quern_compile_graph(&op, NULL, t.graph, QUERN_EXPRS(quern_min_j(t.graph, d), quern_argmin_j(t.graph, d)),
                                NULL));
    succeed(quern_compile(&read, NULL, "x=Vi(3); y=Vj(3); d=SqDist(x,y); Min_j(d), ArgMin_j(d)", NULL));
    assert_int_equal(quern_result_count(op), 2);
    assert_true(quern_result(op, 1).integer);
    assert_string_equal(quern_operator_text(op), quern_operator_text(read));
    quern_operator_destroy(&op);
    quern_operator_destroy(&read);
    quern_graph_destroy(&t.graph);
}

static void lengths_are_known(void **state)
{
    (void)state;
    trio t = new_trio();
    assert_int_equal(quern_length(t.graph, t.x), 3);
    assert_int_equal(quern_length(t.graph, quern_concat(t.graph, t.x, t.y)), 6);
    assert_int_equal(quern_length(t.graph, 0), 0);
    assert_int_equal(quern_length(NULL, t.x), 0);
    quern_graph_destroy(&t.graph);
}

/* ---- failures ---- */

static void the_first_failure_stays(void **state)
{
    (void)state;
    trio t = new_trio();
    quern_operator *op;
    assert_int_equal(quern_graph_status(t.graph), QUERN_OK);
    quern_expr bad = quern_add(t.graph, quern_extract(t.graph, t.x, 0, 2), t.y);
    assert_int_equal(bad, 0);
    char first[4096];
    snprintf(first, sizeof first, "%s", quern_last_error_text());
    assert_non_null(strstr(first, "Extract(x,0,2) has length 2, y has length 3"));
    /* nothing works any more, and nothing replaces the first failure */
    assert_int_equal(quern_exp(t.graph, t.x), 0);
    assert_int_equal(quern_vi(t.graph, "z", 2), 0);
    assert_int_equal(quern_literal(t.graph, 1), 0);
    assert_int_equal(quern_formula(t.graph, "nonsense("), 0);
    assert_int_equal(quern_name(t.graph, "k", t.x), 0);
    assert_int_equal(quern_length(t.graph, t.x), 0);
    expect_failure(quern_compile(&op, NULL, "nonsense(", NULL), QUERN_SYNTAX, "ends");
    expect_failure(quern_compile_graph(&op, NULL, t.graph, QUERN_EXPRS(t.x), NULL), QUERN_DIMENSION, "length 2");
    assert_null(op);
    assert_string_equal(quern_last_error_text(), first);
    assert_int_equal(quern_graph_status(t.graph), QUERN_DIMENSION);
    quern_graph_destroy(&t.graph);
}

/* A failed graph's record: its status, and a part of its text. */
static void expect_graph_failure(quern_graph *graph, quern_expr made, quern_status status, const char *part)
{
    assert_int_equal(made, 0);
    assert_int_equal(quern_graph_status(graph), status);
    if (!strstr(quern_last_error_text(), part)) fail_msg("not '%s' in: %s", part, quern_last_error_text());
    quern_graph_destroy(&graph);
}

static void failures_tell_what_was_wrong(void **state)
{
    (void)state;
    trio t = new_trio();
    expect_graph_failure(t.graph, quern_apply(t.graph, "SqDost", QUERN_EXPRS(t.x, t.y), QUERN_NO_INTEGERS), QUERN_NAME,
                         "did you mean SqDist");
    t = new_trio();
    expect_graph_failure(t.graph, quern_apply(t.graph, "Exp", QUERN_EXPRS(t.x, t.y), QUERN_NO_INTEGERS), QUERN_SYNTAX,
                         "Exp takes 1 argument, not 2");
    t = new_trio();
    expect_graph_failure(t.graph, quern_extract(t.graph, t.x, 2, 2), QUERN_DIMENSION, "Extract(a,2,2)");
    t = new_trio();
    expect_graph_failure(t.graph, quern_vi(t.graph, "x", 3), QUERN_NAME, "x is bound twice");
    t = new_trio();
    expect_graph_failure(t.graph, quern_vi(t.graph, "Exp", 3), QUERN_NAME, "Exp is the name of a function");
    t = new_trio();
    expect_graph_failure(t.graph, quern_vi(t.graph, "z", 0), QUERN_LIMIT, "length 0");
    t = new_trio();
    expect_graph_failure(t.graph, quern_formula(t.graph, "x*q"), QUERN_NAME, "q is not bound");
    t = new_trio();
    expect_graph_failure(t.graph, quern_grad(t.graph, t.x, quern_exp(t.graph, t.x), t.x), QUERN_DIMENSION, "variable");
    t = new_trio();
    expect_graph_failure(t.graph, quern_sum_j(t.graph, t.x + 1000), QUERN_USAGE, "not an expression");
}

static void misuse_is_told(void **state)
{
    (void)state;
    trio t = new_trio();
    expect_graph_failure(t.graph, quern_exp(t.graph, 0), QUERN_USAGE, "Exp: number 1 is 0");
    t = new_trio();
    expect_graph_failure(t.graph, quern_name(t.graph, "k", 0), QUERN_USAGE, "number 1 is 0");
    t = new_trio();
    expect_graph_failure(t.graph, quern_name(t.graph, "x", t.y), QUERN_NAME, "bound twice");
    t = new_trio();
    expect_graph_failure(t.graph, quern_formula(t.graph, NULL), QUERN_USAGE, "null");
    t = new_trio();
    expect_graph_failure(t.graph, quern_formula(t.graph, "x, y"), QUERN_USAGE, "gives 2");
    t = new_trio();
    expect_graph_failure(t.graph, quern_vi(t.graph, NULL, 3), QUERN_USAGE, "null");
    t = new_trio();
    expect_graph_failure(t.graph, quern_vj(t.graph, "a b", 3), QUERN_USAGE, "not a b");
    t = new_trio();
    expect_graph_failure(t.graph, quern_pm(t.graph, "0", 3), QUERN_USAGE, "not 0");
    t = new_trio();
    expect_graph_failure(t.graph, quern_apply(t.graph, "Exp(x)", QUERN_NO_EXPRS, QUERN_NO_INTEGERS), QUERN_USAGE,
                         "not Exp(x)");
    t = new_trio();
    quern_expr many[9] = {t.x, t.x, t.x, t.x, t.x, t.x, t.x, t.x, t.x};
    expect_graph_failure(t.graph, quern_apply(t.graph, "Concat", (quern_exprs){many, 9}, QUERN_NO_INTEGERS),
                         QUERN_USAGE, "9 operands");
}

static void a_null_graph_has_failed(void **state)
{
    (void)state;
    quern_operator *op;
    assert_int_equal(quern_vi(NULL, "x", 3), 0);
    assert_int_equal(quern_exp(NULL, 1), 0);
    assert_int_equal(quern_literal(NULL, 1), 0);
    assert_int_equal(quern_formula(NULL, "1"), 0);
    assert_int_equal(quern_graph_status(NULL), QUERN_USAGE);
    expect_failure(quern_compile_graph(&op, NULL, NULL, QUERN_EXPRS(1), NULL), QUERN_USAGE, "null");
    quern_graph_destroy(NULL);
    quern_graph *none = NULL;
    quern_graph_destroy(&none);
}

static void results_are_checked(void **state)
{
    (void)state;
    trio t = new_trio();
    quern_operator *op;
    quern_expr many[Q_MAX_RESULTS + 1];
    for (size_t n = 0; n < Q_COUNT(many); n++) many[n] = t.x;
    expect_failure(quern_compile_graph(&op, NULL, t.graph, QUERN_NO_EXPRS, NULL), QUERN_USAGE, "not 0");
    expect_failure(quern_compile_graph(&op, NULL, t.graph, (quern_exprs){many, Q_COUNT(many)}, NULL), QUERN_USAGE,
                   "not 17");
    expect_failure(quern_compile_graph(&op, NULL, t.graph, QUERN_EXPRS(t.x, 0), NULL), QUERN_USAGE, "number 2 is 0");
    expect_failure(quern_compile_graph(&op, NULL, t.graph, QUERN_EXPRS(gaussian_of(&t)), NULL), QUERN_UNSUPPORTED, "");
    quern_compile_options options = {.size = 3};
    expect_failure(quern_compile_graph(&op, NULL, t.graph, QUERN_EXPRS(t.x), &options), QUERN_USAGE, "size");
    /* such failures are the caller's, the graph has none */
    assert_int_equal(quern_graph_status(t.graph), QUERN_OK);
    quern_graph_destroy(&t.graph);
}

/* Expressions carry 14 bits that tell their graph; of a handful of others one at least differs in them. */
static void expressions_of_other_graphs_are_refused(void **state)
{
    (void)state;
    quern_graph *graph = new_graph(), *others[4];
    quern_expr x = quern_vi(graph, "x", 3);
    size_t refused = 0;
    for (size_t n = 0; n < Q_COUNT(others); n++) {
        others[n] = new_graph();
        quern_vi(others[n], "x", 3);
        if (!quern_exp(others[n], x)) refused++;
    }
    assert_true(refused > 0);
    for (size_t n = 0; n < Q_COUNT(others); n++) quern_graph_destroy(&others[n]);
    quern_graph_destroy(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kernel_sum_is_its_text), cmocka_unit_test(the_usual_functions_are_their_text),
        cmocka_unit_test(a_gradient_is_its_text),   cmocka_unit_test(texts_know_what_was_made_before),
        cmocka_unit_test(several_results_in_order), cmocka_unit_test(lengths_are_known),
        cmocka_unit_test(the_first_failure_stays),  cmocka_unit_test(failures_tell_what_was_wrong),
        cmocka_unit_test(misuse_is_told),           cmocka_unit_test(a_null_graph_has_failed),
        cmocka_unit_test(results_are_checked),      cmocka_unit_test(expressions_of_other_graphs_are_refused),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
