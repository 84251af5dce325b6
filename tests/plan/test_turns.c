/*
 * test_turns.c: plans for Mesa's llvmpipe, which ends all loops of a work-item after 65,535 turns together.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "run/run.h"

static quern_operator *compile(const char *text)
{
    quern_operator *op;
    quern_compile_options options = {.size = sizeof options, .profile = "min_k=0 min_rhs=0"}; /* as in its row */
    if (quern_compile(&op, NULL, text, &options)) fail_msg("%s: %s", text, quern_last_error_text());
    return op;
}

static quern_status make(q_plan *plan, const quern_operator *op, int64_t M, int64_t N,
                         const quern_compile_options *options)
{
    q_profile profile;
    assert_true(q_profile_find(&profile, "soft"));
    return q_plan_make(plan, op->build->programs[0], &(q_plan_request){&profile, QUERN_F32, M, N, 8, options, NULL});
}

static q_plan plan_of(const quern_operator *op, int64_t M, int64_t N, const quern_compile_options *options)
{
    q_plan plan;
    if (make(&plan, op, M, N, options)) fail_msg("%s", quern_last_error_text());
    return plan;
}

/* llvmpipe ends loops that are too long, whatever the options say. */
static void long_columns_are_split_where_loops_are_short(void **state)
{
    (void)state;
    quern_operator *op = compile("x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y)))");
    quern_compile_options options = {.size = sizeof options, .split = 1};
    for (int64_t N = 1000; N <= 100000000; N *= 10) {
        q_plan plan = plan_of(op, 100000, N, &options);
        assert_int_equal(plan.split, N > 8192);
        assert_true(plan.split_extent <= 8192 && plan.split_extent * plan.split_count >= N);
    }
    quern_operator_destroy(&op);
}

/* There all loops count, those over components and within functions, too: 65,535 turns in all. */
static void loops_within_columns_count(void **state)
{
    (void)state;
    static const struct {
        const char *formula;
        int64_t turns; /* at least, of a column */
    } rows[] = {{"x=Vi(100); y=Vj(100); Sum_j(Exp(-SqDist(x,y)))", 100},
                {"x=Vi(768); y=Vj(768); Sum_j(Exp(-SqDist(x,y)))", 768},
                {"x=Vi(200); y=Vj(200); Sum_j(Exp(-SqDist(x,y))*y)", 400},
                {"x=Vi(1); y=Vj(1); Sum_j(BesselJ(x-y,0))", 22},
                {"x=Vi(1); y=Vj(1); Sum_j(Polygamma(x+y,1))", 100}};
    for (size_t k = 0; k < Q_COUNT(rows); k++) {
        quern_operator *op = compile(rows[k].formula);
        q_plan plan = plan_of(op, 1000, 9000, NULL);
        assert_true(plan.split && plan.split_extent * rows[k].turns < 65535);
        assert_true(plan.split_extent * plan.split_count >= 9000);
        quern_operator_destroy(&op);
    }
    quern_operator *op = compile("x=Vi(768); y=Vj(768); Sum_j(Exp(-SqDist(x,y))*y)");
    q_plan plan;
    assert_int_equal(make(&plan, op, 10, 9000, NULL), QUERN_UNSUPPORTED);
    assert_non_null(strstr(quern_last_error()->message, "1536 numbers over 9000 columns"));
    quern_operator_destroy(&op);
}

/* A merge looks at all K places for each of K terms: seen wrong, without an error, from 28 parts of 40 terms on. */
static void merges_of_selections_count(void **state)
{
    (void)state;
    static const struct {
        int K, N;
        bool fits;
    } rows[] = {{39, 20000, true}, {40, 20000, false}, {64, 2000, true}, {64, 20000, false},
                {90, 2000, false}, {180, 200, false},  {256, 150, false}};
    for (size_t k = 0; k < Q_COUNT(rows); k++) {
        char text[96];
        snprintf(text, sizeof text, "x=Vi(3); y=Vj(3); ArgKMin_j(SqDist(x,y),%d)", rows[k].K);
        quern_operator *op = compile(text);
        q_plan plan;
        const quern_status status = make(&plan, op, 37, rows[k].N, NULL);
        if (status != (rows[k].fits ? QUERN_OK : QUERN_UNSUPPORTED))
            fail_msg("%d of %d: %d parts", rows[k].K, rows[k].N, plan.split_count);
        quern_operator_destroy(&op);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_columns_are_split_where_loops_are_short),
        cmocka_unit_test(loops_within_columns_count),
        cmocka_unit_test(merges_of_selections_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
