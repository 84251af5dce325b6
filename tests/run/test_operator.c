/*
 * test_operator.c: operators as their user sees them: what they say about themselves, their text, options,
 * explanations and gradients. test_arguments.c gives them arrays, right and wrong; test_launch.c runs them under
 * harder conditions.
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run_helpers.h"

#define GAUSSIAN "x=Vi(2); y=Vj(2); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)"

static void check_value(quern_value value, const char *name, char axis, int64_t dim, bool integer)
{
    assert_string_equal(value.name, name);
    assert_int_equal(value.axis, axis);
    assert_int_equal(value.dim, dim);
    assert_int_equal(value.integer, integer);
}

/* ---- what an operator is ---- */

static void variables_and_results_are_described(void **state)
{
    (void)state;
    quern_operator *op;
    succeed(quern_compile(
        &op, NULL, "x=Vi(2); u=Vi(7); y=Vj(2); g=Pm(1); d=SqDist(x,y); ArgMin_j(d), Sum_i(g*d*y), Sum_i(g*Sum_j(d)), x",
        NULL));
    assert_int_equal(quern_variable_count(op), 4);
    check_value(quern_variable(op, 0), "x", 'i', 2, false);
    check_value(quern_variable(op, 1), "y", 'j', 2, false);
    check_value(quern_variable(op, 2), "g", 'p', 1, false);
    check_value(quern_variable(op, 3), "u", 'i', 7, false);
    assert_true(quern_variable(op, 3).unused && !quern_variable(op, 2).unused);
    assert_int_equal(quern_result_count(op), 4);
    check_value(quern_result(op, 0), "", 'i', 1, true);
    check_value(quern_result(op, 1), "", 'j', 2, false);
    check_value(quern_result(op, 2), "", 'p', 1, false);
    check_value(quern_result(op, 3), "", 'i', 2, false);
    assert_true(!quern_variable(op, 4).name && !quern_variable(op, 4).axis && !quern_result(op, 4).dim);
    quern_operator_destroy(&op);
    assert_null(op);
    quern_operator_destroy(&op);
    quern_operator_destroy(NULL);
}

static void text_compiles_to_the_same_operator(void **state)
{
    (void)state;
    static const char *const formulas[] = {
        GAUSSIAN,
        "Sum_Reduction(Exp(-Pm(0,1)*SqDist(Vi(1,3),Vj(2,3)))*Vj(3,2),0)",
        "x=Vi(2); y=Vj(2); s=(x|y); Sum_j(Exp(s-LogSumExp_j(s))*y), LogSumExp_j(s), ArgMax_j(s)",
        "x=Vi(1); y=Vj(1); Grad(Min_j(Square(x-y)),x,1), Sum_j(x*1e-7+0.1*y), Sum_i(1)",
    };
    for (size_t f = 0; f < Q_COUNT(formulas); f++) {
        quern_operator *op, *again;
        succeed(quern_compile(&op, NULL, formulas[f], NULL));
        succeed(quern_compile(&again, NULL, quern_operator_text(op), NULL));
        assert_string_equal(quern_operator_text(op), quern_operator_text(again));
        assert_int_equal(quern_variable_count(op), quern_variable_count(again));
        quern_operator_destroy(&op);
        quern_operator_destroy(&again);
    }
}

static void compile_fails_with_a_status(void **state)
{
    (void)state;
    static const struct {
        const char *formula;
        quern_status status;
        const char *part;
    } cases[] = {
        {NULL, QUERN_USAGE, "null"},
        {"x=Vi(1); Sum_j(x", QUERN_SYNTAX, "not closed"},
        {"Sum_j(z)", QUERN_NAME, "z"},
        {"x=Vi(2); y=Vj(3); Sum_j(x*y)", QUERN_DIMENSION, "length 3"},
        {"x=Vi(1); y=Vj(1); x*y", QUERN_UNSUPPORTED, "M x N"},
        {"x=Vi(70000); x", QUERN_LIMIT, "65536"},
    };
    for (size_t c = 0; c < Q_COUNT(cases); c++) {
        quern_operator *op = (quern_operator *)&op;
        expect_failure(quern_compile(&op, context, cases[c].formula, NULL), cases[c].status, cases[c].part);
        assert_null(op);
    }
}

/* ---- options ---- */

static void options_know_their_size(void **state)
{
    (void)state;
    quern_operator *op;
    quern_context *other;
    char *text;
    quern_compile_options none = {.rows = 1}, odd = {.size = 3}, old = {.size = offsetof(quern_compile_options, rows)};
    struct {
        quern_compile_options known;
        int more[2];
    } newer = {.known = {.size = sizeof newer, .rows = 1}};
    expect_failure(quern_compile(&op, NULL, GAUSSIAN, &none), QUERN_USAGE, "sizeof(quern_compile_options)");
    expect_failure(quern_compile(&op, NULL, GAUSSIAN, &odd), QUERN_USAGE, "quern_compile_options.size is 3");
    succeed(quern_compile(&op, NULL, GAUSSIAN, &newer.known)); /* of a program built with a newer one */
    assert_int_equal(op->options.rows, 1);
    quern_operator_destroy(&op);
    newer.more[1] = 1;
    expect_failure(quern_compile(&op, NULL, GAUSSIAN, &newer.known), QUERN_USAGE, "one of the others is not 0");
    succeed(quern_compile(&op, NULL, GAUSSIAN, &old)); /* of a program built with an older header */
    expect_failure(quern_context_create(&other, &(quern_context_options){.device = "cpu"}), QUERN_USAGE,
                   "quern_context_options");
    assert_null(other);
    expect_failure(quern_explain(op, &(quern_explain_options){.stage = "plan"}, &text), QUERN_USAGE,
                   "quern_explain_options");
    assert_null(text);
    quern_operator_destroy(&op);
}

static void explain_shows_stages(void **state)
{
    (void)state;
    static const struct {
        const char *stage, *part;
    } stages[] = {{"graph", "formula: "},
                  {"stages", "stage 0: rows i, over j"},
                  {"program", "pair"},
                  {"plan", "profile nvidia"},
                  {"source", "__kernel"}};
    quern_operator *op;
    char *text, *all;
    succeed(quern_compile(&op, NULL, GAUSSIAN, NULL));
    succeed(quern_explain(
        op, &(quern_explain_options){.size = sizeof(quern_explain_options), .stage = "all", .profile = "nvidia"},
        &all));
    for (size_t s = 0; s < Q_COUNT(stages); s++) {
        quern_explain_options options = {.size = sizeof options, .stage = stages[s].stage, .profile = "nvidia"};
        succeed(quern_explain(op, &options, &text));
        assert_non_null(strstr(text, stages[s].part));
        assert_non_null(strstr(all, stages[s].part));
        quern_free(text);
    }
    quern_explain_options options = {.size = sizeof options, .stage = "nonsense"};
    expect_failure(quern_explain(op, &options, &text), QUERN_USAGE, "nonsense");
    options = (quern_explain_options){.size = sizeof options, .stage = "plan", .profile = "nvidia rows=3  launch_ms=7"};
    succeed(quern_explain(op, &options, &text));
    assert_non_null(strstr(text, "profile nvidia"));
    assert_non_null(strstr(text, "x 3 vectors"));
    quern_free(text);
    options.profile = "nvidia rows=many";
    expect_failure(quern_explain(op, &options, &text), QUERN_USAGE, "quern_explain_options.profile");
    options = (quern_explain_options){.size = sizeof options, .profile = "abacus"};
    expect_failure(quern_explain(op, &options, &text), QUERN_USAGE, "abacus");
    quern_free(all);
    quern_operator_destroy(&op);
}

static void plan_options_are_checked(void **state)
{
    (void)state;
    static const struct {
        quern_compile_options options;
        const char *told;
    } bad[] = {
        {{.lanes = 3}, "not 3"},
        {{.lanes = -4}, "not -4"},
        {{.rows = 100000}, "1 to 64, not 100000"},
        {{.rows = -1}, "not -1"},
        {{.local = -2}, "local cannot be"},
        {{.split = -1}, "split cannot be"},
        {{.sum = (quern_sum)7}, "no method 7"},
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        quern_operator *op;
        quern_compile_options options = bad[k].options;
        options.size = sizeof options;
        expect_failure(quern_compile(&op, NULL, "x=Vi(1); Sum_i(x)", &options), QUERN_USAGE, bad[k].told);
        assert_null(op);
    }
    need_device();
    float x[3] = {1, 2, 3}, a[3];
    quern_operator *op =
        compile("x=Vi(1); Sum_i(x)", &(quern_compile_options){.size = sizeof(quern_compile_options), .local = 1 << 30});
    expect_failure(quern_run(op, QUERN_ARGS({"x", quern_f32(x, 3, 1)}), quern_f32(a, 1, 1)), QUERN_USAGE,
                   "local size of 1073741824");
    quern_operator_destroy(&op);
}

static void weights_have_names_that_texts_can_have(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "e e", "a,b", "1e", "e;x=1", "Exp", "I", "Vi"};
    quern_operator *op, *gradient, *again;
    succeed(quern_compile(&op, NULL, "x=Vi(3); y=Vj(3); Sum_j(SqDist(x,y))", NULL));
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        expect_failure(quern_gradient(&gradient, op, "x", bad[k]), QUERN_NAME, bad[k]);
        assert_null(gradient);
    }
    static const char *const good[] = {"e", "_w2", "7"};
    for (size_t k = 0; k < sizeof good / sizeof *good; k++) {
        succeed(quern_gradient(&gradient, op, "x", good[k]));
        succeed(quern_compile(&again, NULL, quern_operator_text(gradient), NULL));
        assert_int_equal(quern_variable_count(again), quern_variable_count(gradient));
        quern_operator_destroy(&again);
        quern_operator_destroy(&gradient);
    }
    quern_operator_destroy(&op);
}

static void a_picture_has_every_node_once(void **state)
{
    (void)state;
    static const char expected[] = "n2 [label=\"x\\nlength 1\", fillcolor=lightblue, shape=ellipse];\n";
    quern_explain_options options = {.size = sizeof options, .stage = "dot"};
    quern_operator *op;
    char *text, *all;
    succeed(quern_compile(&op, NULL, "x=Vi(1); y=Vj(1); k=x*y; Sum_j(k), ArgMin_j(k)", NULL));
    succeed(quern_explain(op, &options, &text));
    assert_memory_equal(text, "digraph quern {", 15);
    const char *first = strstr(text, expected);
    assert_true(first && !strstr(first + 1, expected));
    assert_non_null(strstr(text, "ArgMin_j"));
    assert_non_null(strstr(text, "result 1"));
    options.stage = "all"; /* which are for reading */
    succeed(quern_explain(op, &options, &all));
    assert_null(strstr(all, "digraph"));
    quern_free(text);
    quern_free(all);
    quern_operator_destroy(&op);
}

/* For each pair two products, two exponentials and two maxima, for each column two roots, for each row a sum and a
   root. */
static void the_cost_is_counted(void **state)
{
    (void)state;
    static const struct {
        quern_dtype dtype;
        const char *cost;
    } types[] = {{QUERN_F32, "  a pair: 6 flops; a column: 2 flops, 8 bytes read\n"
                             "  a row: 2 flops, 4 bytes read, 4 bytes written\n"},
                 {QUERN_F64, "  a pair: 6 flops; a column: 2 flops, 16 bytes read\n"
                             "  a row: 2 flops, 8 bytes read, 8 bytes written\n"}};
    quern_operator *op;
    char *text;
    succeed(quern_compile(&op, NULL, "x=Vi(1); y=Vj(2); Sqrt(Sum(Max_j(Exp(x*Sqrt(y)))))", NULL));
    for (size_t n = 0; n < Q_COUNT(types); n++) {
        quern_explain_options options = {.size = sizeof options, .stage = "program", .dtype = types[n].dtype};
        succeed(quern_explain(op, &options, &text));
        assert_non_null(strstr(text, types[n].cost));
        quern_free(text);
    }
    quern_operator_destroy(&op);
}

/* ---- gradients ---- */

static const float X[] = {1, 2, 3}, Y[] = {10, 20}, E[] = {1, -1, 2};

static void expect_gradient(const quern_operator *op, const char *var, const char *e, char axis, size_t count,
                            const float *expected)
{
    quern_operator *gradient;
    float got[3] = {0};
    succeed(quern_gradient(&gradient, op, var, e));
    check_value(quern_result(gradient, 0), "", axis, 1, false);
    quern_arg args[] = {
        {"x", quern_f32(X, 3, 1)}, {"y", quern_f32(Y, 2, 1)}, {"p", quern_number(2)}, {"e", quern_f32(E, 3, 1)}};
    succeed(quern_run(gradient, (quern_args){args, strstr(quern_operator_text(gradient), "e=") ? 4 : 3, 0, 0},
                      quern_f32(got, (int64_t)count, 1)));
    for (size_t n = 0; n < count; n++)
        if (got[n] != expected[n]) fail_msg("by %s: [%zu] = %g, not %g", var, n, (double)got[n], (double)expected[n]);
    quern_operator_destroy(&gradient);
}

static void gradients_have_the_shape_of_their_variable(void **state)
{
    (void)state;
    need_device();
    quern_operator *op = compile("x=Vi(1); y=Vj(1); p=Pm(1); Sum_j(p*x*y)", NULL);
    expect_gradient(op, "x", "e", 'i', 3, (const float[]){60, -60, 120});
    expect_gradient(op, "x", NULL, 'i', 3, (const float[]){60, 60, 60});
    expect_gradient(op, "y", "e", 'j', 2, (const float[]){10, 10});
    expect_gradient(op, "p", "e", 'p', 1, (const float[]){150});
    expect_gradient(op, "p", NULL, 'p', 1, (const float[]){180});
    quern_operator_destroy(&op);
    /* of a map, and by a variable that does not matter */
    op = compile("x=Vi(1); y=Vj(1); p=Pm(1); p*x", NULL);
    expect_gradient(op, "p", "e", 'p', 1, (const float[]){5});
    expect_gradient(op, "p", NULL, 'p', 1, (const float[]){6});
    expect_gradient(op, "x", NULL, 'i', 3, (const float[]){2, 2, 2});
    expect_gradient(op, "y", NULL, 'j', 2, (const float[]){0, 0});
    quern_operator_destroy(&op);
}

static void gradients_of_gradients(void **state)
{
    (void)state;
    need_device();
    quern_operator *op = compile("x=Vi(1); y=Vj(1); p=Pm(1); Sum_j(p*x*x*y)", NULL), *first;
    succeed(quern_gradient(&first, op, "x", "e"));
    quern_operator_destroy(&op); /* the gradient does not need it */
    expect_gradient(first, "x", NULL, 'i', 3, (const float[]){120, -120, 240});
    quern_operator_destroy(&first);
}

static void gradient_fails_with_a_status(void **state)
{
    (void)state;
    quern_operator *op, *two, *gradient;
    succeed(quern_compile(&op, NULL, GAUSSIAN, NULL));
    succeed(quern_compile(&two, NULL, "x=Vi(1); y=Vj(1); Sum_j(x*y), Max_j(x*y)", NULL));
    expect_failure(quern_gradient(&gradient, op, "z", NULL), QUERN_NAME, "no variable z");
    assert_null(gradient);
    expect_failure(quern_gradient(&gradient, op, NULL, NULL), QUERN_USAGE, "null");
    expect_failure(quern_gradient(&gradient, two, "x", NULL), QUERN_USAGE, "2 results");
    expect_failure(quern_gradient(&gradient, op, "x", "b"), QUERN_DIMENSION, "index");
    expect_failure(quern_gradient(&gradient, op, "x", "x"), QUERN_DIMENSION, "as long as");
    quern_operator_destroy(&op);
    quern_operator_destroy(&two);
}

/* ---- the program around it ---- */

/* The device's source, which has numbers in it, is written with points too. */
static void comma_locales_do_no_harm(void **state)
{
    (void)state;
    if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "de_DE") && !setlocale(LC_ALL, "fr_FR.UTF-8")) skip();
    assert_string_equal(localeconv()->decimal_point, ",");
    quern_operator *op, *again;
    succeed(quern_compile(&op, context, "p=Pm(1); 0.25*p+1.5", NULL));
    assert_string_equal(quern_operator_text(op), "p=Pm(1); p*0.25+1.5");
    succeed(quern_compile(&again, context, quern_operator_text(op), NULL));
    float a = 2;
    if (context) succeed(quern_run(op, QUERN_ARGS({"p", quern_number(2)}), quern_f32(&a, 1, 1)));
    assert_true(a == 2);
    quern_operator_destroy(&op);
    quern_operator_destroy(&again);
    assert_string_equal(localeconv()->decimal_point, ",");
    setlocale(LC_ALL, "C");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables_and_results_are_described),
        cmocka_unit_test(text_compiles_to_the_same_operator),
        cmocka_unit_test(compile_fails_with_a_status),
        cmocka_unit_test(options_know_their_size),
        cmocka_unit_test(explain_shows_stages),
        cmocka_unit_test(a_picture_has_every_node_once),
        cmocka_unit_test(the_cost_is_counted),
        cmocka_unit_test(plan_options_are_checked),
        cmocka_unit_test(weights_have_names_that_texts_can_have),
        cmocka_unit_test(gradients_have_the_shape_of_their_variable),
        cmocka_unit_test(gradients_of_gradients),
        cmocka_unit_test(gradient_fails_with_a_status),
        cmocka_unit_test(comma_locales_do_no_harm),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
