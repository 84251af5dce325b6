/*
 * test_arguments.c: the arrays of a run: every way in which they can be wrong, with its status and message; where
 * sizes come from; numbers in place of arrays.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run_helpers.h"

#define GAUSSIAN "x=Vi(2); y=Vj(2); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)"

/* ---- what can be wrong with the arrays of a run ---- */

/* Runs the Gaussian on 3 rows and 4 columns with one argument, or the result, replaced or added. */
static quern_status run_with(const char *name, quern_view view)
{
    static const float x[6], y[8], b[4];
    static float a[6];
    quern_operator *op = compile(GAUSSIAN, NULL);
    quern_arg args[] = {{"x", quern_f32(x, 3, 2)}, {"y", quern_f32(y, 4, 2)}, {"b", quern_f32(b, 4, 1)}, {"x", {0}}};
    size_t count = 3;
    quern_view result = quern_f32(a, 3, 1);
    bool found = strcmp(name, "result") == 0;
    if (found) result = view;
    for (size_t v = 0; v < 3 && !found; v++)
        if ((found = strcmp(args[v].name, name) == 0)) args[v].view = view;
    if (!found) args[count++] = (quern_arg){name, view};
    quern_status status = quern_run(op, (quern_args){args, count, 0, 0}, result);
    quern_operator_destroy(&op);
    return status;
}

static void wrong_arrays_are_told(void **state)
{
    (void)state;
    need_device();
    static const float f[100];
    static const double d[100];
    static const int64_t k[100];
    const struct {
        const char *name;
        quern_view view;
        quern_status status;
        const char *part;
    } cases[] = {
        {"q", quern_f32(f, 3, 1), QUERN_NAME, "no variable q"},
        {"q", quern_f32(f, 3, 1), QUERN_NAME, "x, y, b"},
        {"y", quern_f32(f, 4, 3), QUERN_SHAPE, "y has 3 columns; the formula wants 2"},
        {"b", quern_f32(f, 5, 1), QUERN_SHAPE, "b has 5 rows, but y has 4"},
        {"b", quern_f32(f, -4, 1), QUERN_SHAPE, "negative"},
        {"x", quern_view_of(f, (quern_dtype)9, 3, 2), QUERN_USAGE, "no element type 9"},
        {"y", quern_f64(d, 4, 2), QUERN_DTYPE, "y is float64, but x is for runs in float32"},
        {"b", quern_number(1), QUERN_SHAPE, "rows"},
        {"y", quern_f32(NULL, 4, 2), QUERN_USAGE, "the data of y is null"},
        {"result", quern_f32(f, 4, 1), QUERN_SHAPE, "the result has 4 rows, but x has 3"},
        {"result", quern_f32(f, 3, 2), QUERN_SHAPE, "the result has 2 columns"},
        {"result", quern_f64(d, 3, 1), QUERN_DTYPE, "the result is float64"},
        {"result", quern_i64(k, 3, 1), QUERN_DTYPE, "the result holds numbers and must be float32"},
        {"result", quern_f32(NULL, 3, 1), QUERN_USAGE, "the data of the result is null"},
        {"result", quern_number(0), QUERN_SHAPE, "rows"},
    };
    for (size_t c = 0; c < Q_COUNT(cases); c++)
        expect_failure(run_with(cases[c].name, cases[c].view), cases[c].status, cases[c].part);
    succeed(run_with("b", quern_f32(f, 4, 1)));
    succeed(run_with("x", quern_i64(k, 3, 2)));
}

static void wrong_arguments_are_told(void **state)
{
    (void)state;
    need_device();
    static const float x[6];
    float a[6];
    int64_t k[3];
    quern_view results[] = {quern_f32(a, 3, 1), quern_i64(k, 3, 1)};
    quern_operator *op = compile("x=Vi(1); y=Vj(1); g=Pm(1); Sum_j(g*x*y), ArgMin_j(x*y)", NULL);
    quern_arg args[] = {{"x", quern_f32(x, 3, 1)}, {"y", quern_f32(x, 2, 1)}, {"g", quern_number(1)},
                        {"x", quern_f32(x, 3, 1)}, {"g", quern_f32(x, 2, 1)}, {"x", quern_number(1)}};
    quern_outs outs = {results, 2}, one = {results, 1};
    succeed(quern_run_all(op, (quern_args){args, 3, 0, 0}, outs));
    expect_failure(quern_run_all(op, (quern_args){args, 2, 0, 0}, outs), QUERN_MISSING, "variable g is not given");
    expect_failure(quern_run_all(op, (quern_args){args + 1, 2, 0, 0}, outs), QUERN_MISSING, "M x 1");
    expect_failure(quern_run_all(op, (quern_args){args, 4, 0, 0}, outs), QUERN_NAME, "x is given twice");
    expect_failure(quern_run_all(op, (quern_args){args + 3, 2, 0, 0}, outs), QUERN_SHAPE, "1 row, not 2");
    expect_failure(quern_run_all(op, (quern_args){args + 5, 1, 0, 0}, outs), QUERN_DTYPE,
                   "cannot be given as a number");
    expect_failure(quern_run_all(op, (quern_args){args, 3, 0, 0}, one), QUERN_USAGE, "2 results, but 1");
    expect_failure(quern_run_all(op, (quern_args){args, 3, 4, 0}, outs), QUERN_SHAPE,
                   "x has 3 rows, but quern_args.M has 4");
    expect_failure(quern_run_all(op, (quern_args){args, 3, 0, -1}, outs), QUERN_SHAPE, "negative");
    results[1] = quern_f32(a, 3, 1);
    expect_failure(quern_run_all(op, (quern_args){args, 3, 0, 0}, outs), QUERN_DTYPE,
                   "result 1 holds indices and must be int64");
    expect_failure(quern_run_all(op, (quern_args){args, 3, 0, 0}, outs), QUERN_DTYPE, "quern_i64");
    quern_operator_destroy(&op);
}

static void operators_without_context_do_not_run(void **state)
{
    (void)state;
    quern_operator *op, *gradient;
    float a;
    succeed(quern_compile(&op, NULL, "p=Pm(1); p*p", NULL));
    succeed(quern_gradient(&gradient, op, "p", NULL));
    expect_failure(quern_run(op, QUERN_ARGS({"p", quern_number(1)}), quern_f32(&a, 1, 1)), QUERN_USAGE,
                   "without a context");
    expect_failure(quern_run(gradient, QUERN_ARGS({"p", quern_number(1)}), quern_f32(&a, 1, 1)), QUERN_USAGE,
                   "without a context");
    quern_operator_destroy(&op);
    quern_operator_destroy(&gradient);
}

static void float64_needs_a_device_that_has_it(void **state)
{
    (void)state;
    need_device();
    if (quern_context_device(context)->f64) skip();
    double x[2] = {1, 2}, a;
    quern_operator *op = compile("x=Vi(1); Sum_i(x)", NULL);
    expect_failure(quern_run(op, QUERN_ARGS({"x", quern_f64(x, 2, 1)}), quern_f64(&a, 1, 1)), QUERN_UNSUPPORTED,
                   "has no float64");
    quern_operator_destroy(&op);
}

/* ---- sizes and numbers ---- */

static void run_to(const char *formula, quern_args args, float expected)
{
    float a = -1;
    quern_operator *op = compile(formula, NULL);
    succeed(quern_run(op, args, quern_f32(&a, 1, 1)));
    if (a != expected) fail_msg("%s = %g, not %g", formula, (double)a, (double)expected);
    quern_operator_destroy(&op);
}

/* An array of a variable that the result does not depend on still tells M or N; so do quern_args and results. */
static void sizes_come_from_every_array(void **state)
{
    (void)state;
    need_device();
    const float x[] = {1, 2, 3}, y[] = {4, 5};
    float a[4] = {0};
    quern_arg args[] = {{"x", quern_f32(x, 3, 1)}, {"y", quern_f32(y, 2, 1)}};
    run_to("x=Vi(1); y=Vj(1); Sum_i(Sum_j(x))", (quern_args){args, 2, 0, 0}, 12);
    run_to("x=Vi(1); y=Vj(1); Sum_i(Sum_j(x))", (quern_args){args, 1, 0, 5}, 30);
    run_to("x=Vi(1); y=Vj(1); Sum_i(Sum_j(2))", (quern_args){NULL, 0, 3, 7}, 42);
    run_to("p=Pm(1); q=Pm(1); p*q", QUERN_ARGS({"p", quern_number(0.5)}, {"q", quern_f32(x + 2, 1, 1)}), 1.5f);
    quern_operator *op = compile("x=Vi(1); y=Vj(1); Repeat_i(Sum_j(y))", NULL);
    succeed(quern_run(op, (quern_args){args + 1, 1, 0, 0}, quern_f32(a, 4, 1)));
    assert_true(a[0] == 9 && a[3] == 9);
    expect_failure(quern_run(op, (quern_args){args, 2, 0, 0}, quern_f32(a, 4, 1)), QUERN_SHAPE, "x has 3");
    quern_operator_destroy(&op);
    op = compile("x=Vi(1); y=Vj(1); Sum_i(Sum_j(x))", NULL);
    expect_failure(quern_run(op, (quern_args){args, 1, 0, 0}, quern_f32(a, 1, 1)), QUERN_MISSING, "runs over j");
    expect_failure(quern_run(op, (quern_args){args, 1, 0, 0}, quern_f32(a, 1, 1)), QUERN_MISSING,
                   "add {\"N\", quern_size(...)} to the arguments");
    expect_failure(quern_run(op, (quern_args){args, 1, 0, INT32_MAX}, quern_f32(a, 1, 1)), QUERN_LIMIT, "2147483646");
    quern_operator_destroy(&op);
}

static void expect_bad_sizes(quern_operator *op, quern_args args, quern_status status, const char *part)
{
    float a;
    expect_failure(quern_run(op, args, quern_f32(&a, 1, 1)), status, part);
}

/* M and N among the arguments, at any place; they leave the names M and N to the formula. */
static void sizes_are_given_as_arguments(void **state)
{
    (void)state;
    need_device();
    const float x[] = {1, 2, 3};
    run_to("x=Vi(1); Sum_i(Sum_j(x))", QUERN_ARGS({"N", quern_size(5)}, {"x", quern_f32(x, 3, 1)}), 30);
    run_to("x=Vi(1); Sum_i(Sum_j(x))", QUERN_ARGS({"x", quern_f32(x, 3, 1)}, {"N", quern_size(1)}), 6);
    run_to("x=Vi(1); Sum_i(Sum_j(x))", QUERN_ARGS({"x", quern_f32(x, 3, 1)}, {"N", quern_size(0)}), 0);
    run_to("Sum_i(Sum_j(2))", QUERN_ARGS({"M", quern_size(3)}, {"N", quern_size(7)}), 42);
    run_to("Sum_i(Sum_j(2))", QUERN_ARGS({"M", quern_size(0)}, {"N", quern_size(7)}), 0);
    run_to("2+3", QUERN_ARGS(), 5);
    run_to("M=Pm(1); N=Vi(1); Sum_i(Sum_j(M*N))",
           QUERN_ARGS({"M", quern_number(2)}, {"N", quern_f32(x, 3, 1)}, {"N", quern_size(4)}, {"M", quern_size(3)}),
           48);
    quern_operator *op = compile("x=Vi(1); Sum_i(Sum_j(x))", NULL);
    expect_bad_sizes(op, QUERN_ARGS(), QUERN_MISSING, "variable x is not given");
    expect_bad_sizes(op, QUERN_ARGS({"x", quern_f32(x, 3, 1)}, {"N", quern_size(-1)}), QUERN_SHAPE,
                     "size N is negative, -1");
    expect_bad_sizes(op, QUERN_ARGS({"x", quern_f32(x, 3, 1)}, {"N", quern_size(INT32_MAX)}), QUERN_LIMIT,
                     "2147483646");
    expect_bad_sizes(op, QUERN_ARGS({"x", quern_f32(x, 3, 1)}, {"M", quern_size(4)}), QUERN_SHAPE,
                     "3 rows, but M has 4");
    expect_bad_sizes(op, QUERN_ARGS({"N", quern_size(4)}, {"N", quern_size(5)}), QUERN_SHAPE, "5 rows, but N has 4");
    expect_bad_sizes(op, QUERN_ARGS({"x", quern_f32(x, 3, 1)}, {"N", quern_number(4)}), QUERN_NAME,
                     "as quern_size(...)");
    expect_bad_sizes(op, QUERN_ARGS({"x", quern_f32(x, 3, 1)}, {"K", quern_size(4)}), QUERN_NAME, "no variable K");
    expect_bad_sizes(op, QUERN_ARGS({"x", quern_size(4)}), QUERN_SHAPE, "x has 0 columns");
    quern_operator_destroy(&op);
}

/* A number has the element type of the arrays: 0.1 stays 0.1 in float64. */
static void numbers_take_the_type_of_the_arrays(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    const double x[] = {1, 2};
    double a = 0;
    float b = 0;
    quern_operator *op = compile("x=Vi(1); g=Pm(1); Sum_i(g*x)", NULL);
    succeed(quern_run(op, QUERN_ARGS({"g", quern_number(0.1)}, {"x", quern_f64(x, 2, 1)}), quern_f64(&a, 1, 1)));
    assert_true(a == 0.1 * 3);
    const float y[] = {1};
    succeed(quern_run(op, QUERN_ARGS({"g", quern_number(0.1)}, {"x", quern_f32(y, 1, 1)}), quern_f32(&b, 1, 1)));
    assert_true(b == 0.1f);
    quern_operator_destroy(&op);
}

/* ---- where arrays are ---- */

/* On the device and on the host: the same numbers at an odd address as at an even one. */
static void arrays_have_any_alignment(quern_switch host, quern_dtype dtype)
{
    enum { COUNT = 6 };
    unsigned char x[8 * COUNT + 1], a[8 * COUNT + 1], k[8 * COUNT + 1], around = 0xA5;
    size_t size = q_element_size(dtype);
    quern_context *own;
    quern_operator *op;
    succeed(quern_context_create(&own, &(quern_context_options){.size = sizeof(quern_context_options), .host = host}));
    succeed(quern_compile(&op, own, "x=Vi(1); y=Vj(1); Sum_j(x+y), ArgMax_j(x*y)", NULL));
    memset(a, around, sizeof a);
    for (int n = 0; n < COUNT; n++) {
        float f = (float)(n + 1);
        double d = n + 1;
        memcpy(x + 1 + size * (size_t)n, dtype == QUERN_F32 ? (void *)&f : (void *)&d, size);
    }
    quern_view in = quern_view_of(x + 1, dtype, COUNT, 1);
    quern_view results[] = {quern_view_of(a + 1, dtype, COUNT, 1), quern_view_of(k + 1, QUERN_I64, COUNT, 1)};
    succeed(quern_run_all(op, QUERN_ARGS({"x", in}, {"y", in}), (quern_outs){results, 2}));
    for (int n = 0; n < COUNT; n++) {
        float f;
        double d;
        int64_t index;
        memcpy(&f, a + 1 + sizeof f * (size_t)n, sizeof f);
        memcpy(&d, a + 1 + sizeof d * (size_t)n, sizeof d);
        memcpy(&index, k + 1 + sizeof index * (size_t)n, sizeof index);
        assert_true((dtype == QUERN_F32 ? (double)f : d) == 6 * (n + 1) + 21);
        assert_int_equal(index, COUNT - 1);
    }
    assert_true(a[0] == around && (dtype == QUERN_F64 || a[1 + size * COUNT] == around));
    quern_operator_destroy(&op);
    quern_context_destroy(&own);
}

static void arrays_may_be_anywhere(void **state)
{
    (void)state;
    need_device();
    bool f64 = quern_context_device(context)->f64;
    arrays_have_any_alignment(QUERN_OFF, QUERN_F32);
    arrays_have_any_alignment(QUERN_ON, QUERN_F32);
    if (f64) arrays_have_any_alignment(QUERN_OFF, QUERN_F64);
    if (f64) arrays_have_any_alignment(QUERN_ON, QUERN_F64);
}

/* The second result is written over the argument that the first one needs too. */
static void results_in_place(quern_switch host)
{
    float x[] = {1, 2, 3, 4}, a[4];
    quern_context *own;
    quern_operator *op;
    succeed(quern_context_create(&own, &(quern_context_options){.size = sizeof(quern_context_options), .host = host}));
    succeed(quern_compile(&op, own, "x=Vi(1); y=Vj(1); Sum_j(x*y), Sum_j(x-y)", NULL));
    quern_args args = QUERN_ARGS({"x", quern_f32(x, 4, 1)}, {"y", quern_f32(x, 4, 1)});
    succeed(quern_run_all(op, args, QUERN_OUTS(quern_f32(a, 4, 1), quern_f32(x, 4, 1))));
    for (int n = 0; n < 4; n++) assert_true(a[n] == (float)(10 * (n + 1)) && x[n] == (float)(4 * (n + 1) - 10));
    quern_operator_destroy(&op);
    quern_context_destroy(&own);
}

static void results_may_overlap_arguments(void **state)
{
    (void)state;
    need_device();
    results_in_place(QUERN_OFF);
    results_in_place(QUERN_ON);
}

static void results_do_not_overlap_each_other(void **state)
{
    (void)state;
    need_device();
    float x[] = {1, 2, 3, 4}, a[8];
    quern_operator *op = compile("x=Vi(1); y=Vj(1); Sum_j(x*y), Sum_j(x-y)", NULL);
    quern_args args = QUERN_ARGS({"x", quern_f32(x, 4, 1)}, {"y", quern_f32(x, 4, 1)});
    succeed(quern_run_all(op, args, QUERN_OUTS(quern_f32(a, 4, 1), quern_f32(a + 4, 4, 1))));
    succeed(quern_run_all(op, args, QUERN_OUTS(quern_f32(a + 4, 4, 1), quern_f32(a, 4, 1))));
    expect_failure(quern_run_all(op, args, QUERN_OUTS(quern_f32(a, 4, 1), quern_f32(a, 4, 1))), QUERN_USAGE,
                   "results 0 and 1 overlap");
    expect_failure(quern_run_all(op, args, QUERN_OUTS(quern_f32(a, 4, 1), quern_f32(a + 3, 4, 1))), QUERN_USAGE,
                   "overlap");
    expect_failure(quern_run_all(op, args, QUERN_OUTS(quern_f32(a + 3, 4, 1), quern_f32(a, 4, 1))), QUERN_USAGE,
                   "overlap");
    args = QUERN_ARGS({"x", quern_f32(x, 0, 1)}, {"y", quern_f32(x, 4, 1)});
    succeed(quern_run_all(op, args, QUERN_OUTS(quern_f32(a, 0, 1), quern_f32(a, 0, 1))));
    quern_operator_destroy(&op);
}

/* A variable that simplification removes gives its result its rows, on the device and on the host, and may be left out
   where the result tells them. */
static void removed_variables_have_their_rows(void **state)
{
    (void)state;
    need_device();
    static const struct {
        const char *formula;
        float expected;
    } cases[] = {
        {"x=Vi(1); x*0", 0},
        {"x=Vi(1); x**0", 1},
        {"x=Vi(1); y=Vj(1); Sum_j(x*0+1)", 5},
        {"x=Vi(1); p=Pm(1); Grad(p*p,x,1)", 0},
        {"x=Vi(1); Grad(x*3,x,1)", 3},
        {"x=Vi(1); Grad(Sum_i(x*0),x,1)", 0},
    };
    float x[3] = {7, 8, 9}, y[5] = {0};
    quern_arg args[] = {{"x", quern_f32(x, 3, 1)}, {"p", quern_number(2)}, {"y", quern_f32(y, 5, 1)}};
    for (size_t c = 0; c < 2 * Q_COUNT(cases); c++) {
        float a[4] = {-1, -1, -1, -1};
        quern_context *own;
        quern_operator *op;
        quern_switch host = c % 2 ? QUERN_ON : QUERN_OFF;
        succeed(
            quern_context_create(&own, &(quern_context_options){.size = sizeof(quern_context_options), .host = host}));
        succeed(quern_compile(&op, own, cases[c / 2].formula, NULL));
        quern_arg given[3];
        size_t count = 0;
        for (size_t v = 0; v < quern_variable_count(op); v++)
            for (size_t n = 0; n < Q_COUNT(args); n++)
                if (!strcmp(args[n].name, quern_variable(op, v).name)) given[count++] = args[n];
        succeed(quern_run(op, (quern_args){given, count, 0, 0}, quern_f32(a, 3, 1)));
        for (int n = 0; n < 3; n++) assert_true(a[n] == cases[c / 2].expected);
        assert_true(a[3] == -1);
        expect_failure(quern_run(op, (quern_args){given, count, 0, 0}, quern_f32(a, 4, 1)), QUERN_SHAPE, "rows");
        quern_operator_destroy(&op);
        quern_context_destroy(&own);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_arrays_are_told),
        cmocka_unit_test(wrong_arguments_are_told),
        cmocka_unit_test(operators_without_context_do_not_run),
        cmocka_unit_test(float64_needs_a_device_that_has_it),
        cmocka_unit_test(sizes_come_from_every_array),
        cmocka_unit_test(sizes_are_given_as_arguments),
        cmocka_unit_test(numbers_take_the_type_of_the_arrays),
        cmocka_unit_test(removed_variables_have_their_rows),
        cmocka_unit_test(arrays_may_be_anywhere),
        cmocka_unit_test(results_may_overlap_arguments),
        cmocka_unit_test(results_do_not_overlap_each_other),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
