/*
 * test_prepare.c: programs built ahead of runs: a run of the same sizes builds nothing more, and computes the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "run_helpers.h"

static int builds;

static void on_line(void *user, const char *line)
{
    (void)user;
    builds += !strncmp(line, "built ", 6) || !strncmp(line, "loaded ", 7) || !strncmp(line, "shared ", 7);
}

/* The context of these tests, which counts programs in `builds`. */
static int open_counting(void **state)
{
    (void)state;
    const quern_context_options options = {.size = sizeof options, .log = on_line, .host = QUERN_OFF};
    quern_status status = quern_context_create(&context, &options);
    return status && status != QUERN_NO_DEVICE ? -1 : 0;
}

static void expect_ready(const char *text, quern_dtype dtype, int64_t M, int64_t N, int64_t most)
{
    need_type(dtype);
    quern_operator *op = compile(text, NULL);
    builds = 0;
    succeed(quern_prepare(op, dtype, M, N));
    assert_true(builds > 0);
    int before = builds;
    succeed(quern_prepare(op, dtype, M, N));
    assert_int_equal(builds, before);
    trial t = trial_create(op, dtype ? dtype : QUERN_F32, M < most ? M : most, N < most ? N : most, 7);
    trial_run(&t);
    trial_compare(&t, dtype == QUERN_F64 ? 1e-12 : 1e-4);
    if (M <= most && N <= most && builds != before)
        fail_msg("%s: %d programs were built by the run", text, builds - before);
    trial_destroy(&t);
    quern_operator_destroy(&op);
}

static const char *const texts[] = {
    "x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)",
    "x=Vi(3); y=Vj(3); Min_j(SqDist(x,y)), ArgKMin_j(SqDist(x,y),5)",  /* indices */
    "x=Vi(2); y=Vj(2); s=x|y; Sum_j(Square(Exp(s-LogSumExp_j(s)))*y)", /* two stages */
    "x=Vi(2); y=Vj(2); p=Vi(1); Sum_i(p*Sum_j(Exp(-SqDist(x,y))))",    /* a number */
    "x=Vi(2); c=Pm(2); x*c",                                           /* a map */
};

static void runs_find_their_programs(void **state)
{
    (void)state;
    for (size_t t = 0; t < Q_COUNT(texts); t++) {
        expect_ready(texts[t], QUERN_F32, 100, 90, 1000);
        expect_ready(texts[t], QUERN_NUMBER, 1, 1, 1000);
    }
}

static void in_float64(void **state)
{
    (void)state;
    for (size_t t = 0; t < Q_COUNT(texts); t++) expect_ready(texts[t], QUERN_F64, 100, 90, 1000);
}

/* Few rows and many columns: parts and their merge. */
static void split_walks_are_prepared(void **state)
{
    (void)state;
    for (size_t t = 0; t < 2; t++) expect_ready(texts[t], QUERN_F32, 5, 40000, 40000);
}

/* Sizes whose arrays would not fit anywhere. */
static void no_arrays_are_needed(void **state)
{
    (void)state;
    int64_t most =
        context->profile.max_cols_per_item ? 200000000 : 2000000000; /* llvmpipe cannot merge so many parts */
    expect_ready(texts[0], QUERN_F32, 2000000000, most, 50);
}

static void bad_requests_are_told(void **state)
{
    (void)state;
    need_device();
    quern_operator *op = compile(texts[0], NULL), *without;
    succeed(quern_compile(&without, NULL, texts[0], NULL));
    expect_failure(quern_prepare(without, QUERN_F32, 5, 5), QUERN_USAGE, "without a context");
    expect_failure(quern_prepare(op, QUERN_F32, -5, 5), QUERN_SHAPE, "negative");
    expect_failure(quern_prepare(op, QUERN_I64, 5, 5), QUERN_USAGE, "float32 or float64");
    expect_failure(quern_prepare(op, QUERN_F32, (int64_t)1 << 31, 5), QUERN_LIMIT, "at most");
    builds = 0;
    succeed(quern_prepare(op, QUERN_F32, 0, 5)); /* no rows: nothing to build */
    assert_int_equal(builds, 0);
    quern_operator_destroy(&op);
    quern_operator_destroy(&without);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_find_their_programs), cmocka_unit_test(in_float64),
        cmocka_unit_test(split_walks_are_prepared), cmocka_unit_test(no_arrays_are_needed),
        cmocka_unit_test(bad_requests_are_told),
    };
    return cmocka_run_group_tests(tests, open_counting, close_context);
}
