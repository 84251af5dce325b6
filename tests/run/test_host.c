/*
 * test_host.c: small runs that need no launch: which ones they are, that they have the precision of their arrays, and that
 * nobody is left in the dark about them.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "run_helpers.h"

#define GAUSSIAN "x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)"

static char lines[4096];

static void on_line(void *user, const char *line)
{
    (void)user;
    size_t used = strlen(lines);
    snprintf(lines + used, sizeof lines - used, "%s\n", line);
}

/* The context of these tests: quern decides, whatever the environment of the tests says. */
static int open_free(void **state)
{
    (void)state;
    const quern_context_options options = {.size = sizeof options, .log = on_line};
    unsetenv("QUERN_HOST");
    quern_status status = quern_context_create(&context, &options);
    return status && status != QUERN_NO_DEVICE ? -1 : 0;
}

static void the_smallest_runs_stay_on_the_host(void **state)
{
    (void)state;
    need_device();
    quern_operator *op = compile(GAUSSIAN, NULL);
    assert_true(q_host_would_take(op, op->context, QUERN_F32, 0, 0));
    assert_true(q_host_would_take(op, op->context, QUERN_F32, 10, 10));
    assert_true(q_host_would_take(op, op->context, QUERN_F32, 1, 100));
    assert_false(q_host_would_take(op, op->context, QUERN_F32, 20, 20));
    assert_false(q_host_would_take(op, op->context, QUERN_F32, 1, 1000));
    assert_false(q_host_would_take(op, op->context, QUERN_F32, 1000, 0x7ffffffe));
    quern_operator_destroy(&op);
    op = compile("x=Vi(64); y=Vj(64); Sum_j(Exp(-SqDist(x,y)))", NULL); /* longer vectors, fewer rows */
    assert_true(q_host_would_take(op, op->context, QUERN_F32, 2, 2));
    assert_false(q_host_would_take(op, op->context, QUERN_F32, 10, 10));
    quern_operator_destroy(&op);
    op = compile("a=Pm(64); b=Pm(4096); x=Vi(1); x*(MatVecMult(b,a)|MatVecMult(b,a))", NULL); /* 4096 products */
    assert_false(q_host_would_take(op, op->context, QUERN_F32, 1, 1));
    quern_operator_destroy(&op);
    op = compile("y=Vj(1); KMin_j(y,50)", NULL); /* 50 selections in N */
    assert_false(q_host_would_take(op, op->context, QUERN_F32, 1, 100));
    quern_operator_destroy(&op);
}

static void whoever_plans_a_launch_gets_one(void **state)
{
    (void)state;
    need_device();
    const quern_compile_options plans[] = {{.size = sizeof *plans, .lanes = 1},
                                           {.size = sizeof *plans, .rows = 1},
                                           {.size = sizeof *plans, .local = 1},
                                           {.size = sizeof *plans, .split = 1},
                                           {.size = sizeof *plans, .sum = QUERN_SUM_KAHAN}};
    for (size_t p = 0; p < Q_COUNT(plans); p++) {
        quern_operator *op = compile(GAUSSIAN, &plans[p]);
        assert_false(q_host_would_take(op, op->context, QUERN_F32, 2, 2));
        quern_operator_destroy(&op);
    }
}

static const char *const texts[] = {
    GAUSSIAN,
    "x=Vi(3); y=Vj(3); d=SqDist(x,y); Min_j(d), ArgMin_j(d), ArgKMin_j(d,5)", /* indices, and none */
    "x=Vi(2); y=Vj(2); s=x|y; Sum_j(Exp(s-LogSumExp_j(s))*y), Sum_i(s)",
    "x=Vi(2); c=Pm(2); x*c, c+1",
};

/* Without a program, and as near to float64 as the type allows. */
static void results_are_right(void **state)
{
    (void)state;
    static const int64_t sizes[][2] = {{3, 4}, {1, 1}, {0, 3}, {3, 0}, {0, 0}};
    for (quern_dtype dtype = QUERN_F32; dtype <= QUERN_F64; dtype++) {
        need_type(dtype);
        for (size_t k = 0; k < Q_COUNT(texts) * Q_COUNT(sizes); k++) {
            quern_operator *op = compile(texts[k / Q_COUNT(sizes)], NULL);
            const int64_t *size = sizes[k % Q_COUNT(sizes)];
            lines[0] = 0;
            assert_true(q_host_would_take(op, op->context, dtype, size[0], size[1]));
            trial t = trial_create(op, dtype, size[0], size[1], k);
            trial_run(&t);
            trial_compare(&t, dtype == QUERN_F32 ? 1e-6 : 1e-15);
            trial_run(&t);
            assert_null(strstr(lines, "built"));
            assert_null(strstr(lines, "loaded"));
            trial_destroy(&t);
            quern_operator_destroy(&op);
        }
    }
}

static void run_one(const char *text, quern_switch host, float x, float *out)
{
    quern_context *own;
    quern_operator *op;
    const quern_context_options options = {.size = sizeof options, .host = host};
    succeed(quern_context_create(&own, &options));
    succeed(quern_compile(&op, own, text, NULL));
    succeed(quern_run(op, QUERN_ARGS({"x", quern_f32(&x, 1, 1)}, {"g", quern_number(0.1)}), quern_f32(out, 1, 1)));
    quern_operator_destroy(&op);
    quern_context_destroy(&own);
}

/* What overflows, vanishes or is rounded away in float32 on a device does so here. */
static void float32_is_float32(void **state)
{
    (void)state;
    need_device();
    static const struct {
        const char *text;
        float x, expected;
    } cases[] = {
        {"x=Vi(1); g=Pm(1); Log(Exp(x)+g)", 100, INFINITY},
        {"x=Vi(1); g=Pm(1); Exp(x)*0+g", 1, 0.1f},
        {"x=Vi(1); g=Pm(1); (g-0.1)*x", 1e8f, 0},
    };
    for (size_t c = 0; c < Q_COUNT(cases); c++)
        for (quern_switch host = QUERN_AUTO; host <= QUERN_OFF; host++) {
            float out = -1;
            run_one(cases[c].text, host, cases[c].x, &out);
            if (out != cases[c].expected)
                fail_msg("%s: %.9g, not %.9g, with the switch at %d", cases[c].text, (double)out,
                         (double)cases[c].expected, (int)host);
        }
}

static void everybody_is_told(void **state)
{
    (void)state;
    need_device();
    quern_operator *op = compile(GAUSSIAN, NULL);
    char *text;
    lines[0] = 0;
    trial t = trial_create(op, QUERN_F32, 3, 4, 1);
    trial_run(&t);
    trial_run(&t);
    const char *told = strstr(lines, "on the host, without a launch: M = 3, N = 4 of x=Vi(3)");
    assert_non_null(told);
    assert_null(strstr(told + 1, "on the host")); /* once per operator */
    trial_destroy(&t);
    quern_explain_options options = {.size = sizeof options, .stage = "plan", .M = 3, .N = 4};
    succeed(quern_explain(op, &options, &text));
    assert_non_null(strstr(text, "computed on the host: M = 3, N = 4 are too few for a launch; else:"));
    quern_free(text);
    options.M = 1000;
    succeed(quern_explain(op, &options, &text));
    assert_null(strstr(text, "host"));
    quern_free(text);
    quern_operator_destroy(&op);
}

static bool takes(quern_switch choice, int64_t size)
{
    quern_context *own;
    quern_operator *op;
    const quern_context_options options = {.size = sizeof options, .host = choice};
    succeed(quern_context_create(&own, &options));
    succeed(quern_compile(&op, own, GAUSSIAN, NULL));
    bool taken = q_host_would_take(op, op->context, QUERN_F32, size, size);
    quern_operator_destroy(&op);
    quern_context_destroy(&own);
    return taken;
}

static void options_and_environment_decide(void **state)
{
    (void)state;
    need_device();
    quern_context *own;
    assert_true(takes(QUERN_ON, 1000) && takes(QUERN_AUTO, 2) && !takes(QUERN_AUTO, 1000) && !takes(QUERN_OFF, 2));
    setenv("QUERN_HOST", "on", 1);
    assert_true(takes(QUERN_AUTO, 1000) && !takes(QUERN_OFF, 2));
    setenv("QUERN_HOST", "off", 1);
    assert_true(!takes(QUERN_AUTO, 2) && takes(QUERN_ON, 1000));
    setenv("QUERN_HOST", "never", 1);
    assert_int_equal(quern_context_create(&own, NULL), QUERN_USAGE);
    assert_string_equal(quern_last_error()->message, "QUERN_HOST is 'never'; it can be on, off or auto");
    unsetenv("QUERN_HOST");
}

/* Sizes that a device would refuse are refused, not computed. */
static void errors_stay_errors(void **state)
{
    (void)state;
    need_device();
    float x[6] = {0}, a[2];
    double wide[6] = {0};
    quern_operator *op = compile("x=Vi(3); Norm2(x)", NULL);
    expect_failure(quern_run(op, QUERN_ARGS({"x", quern_f32(x, 2, 2)}), quern_f32(a, 2, 1)), QUERN_SHAPE, "columns");
    expect_failure(quern_run(op, QUERN_ARGS({"x", quern_f64(wide, 2, 3)}), quern_f32(a, 2, 1)), QUERN_DTYPE, "float32");
    quern_status status = quern_run(op, QUERN_ARGS({"x", quern_f64(wide, 2, 3)}), quern_f64(wide, 2, 1));
    if (quern_context_device(context)->f64) succeed(status);
    else expect_failure(status, QUERN_UNSUPPORTED, "float64");
    quern_operator_destroy(&op);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_runs_stay_on_the_host),
        cmocka_unit_test(whoever_plans_a_launch_gets_one),
        cmocka_unit_test(results_are_right),
        cmocka_unit_test(float32_is_float32),
        cmocka_unit_test(everybody_is_told),
        cmocka_unit_test(options_and_environment_decide),
        cmocka_unit_test(errors_stay_errors),
    };
    return cmocka_run_group_tests(tests, open_free, close_context);
}
