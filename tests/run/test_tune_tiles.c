/*
 * test_tune_tiles.c: tuning where groups share local memory, as on GPUs: tile shapes, chunks and the schemes for long vectors move,
 * each candidate gives right results, and the time is kept.
 */
#include <stdlib.h>
#include <string.h>

#include "run_helpers.h"

static const q_tune_formula formulas[] = {
    {"x=Vi(16); y=Vj(16); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)", 0, false},
    {"x=Vi(3); y=Vj(3); b=Vj(16); Sum_j(Exp(-SqDist(x,y))*b)", 0, false},
    {"x=Vi(16); y=Vj(16); KMin_j(SqDist(x,y),3)", 0, false},
};
static const char *const columns[] = {"reg_n", "tile_k", "min_k", "rhs_registers", "max_registers", "matrix"};
static const q_tune_plan plan = {
    formulas, Q_COUNT(formulas), columns, Q_COUNT(columns),
    "lanes32=1 lanes64=1 rows=1 local=16 staged_cols=16 vector_math=0 min_k=16 min_rhs=16 reg_m=4 reg_n=4 tile_k=4 rhs_registers=8"};

typedef struct tally {
    size_t trials;
    bool tried[Q_COUNT(columns)];
} tally;

static bool count_trial(void *user, const quern_trial *tried)
{
    tally *t = user;
    t->trials++;
    if (tried->verdict == QUERN_WRONG || tried->verdict == QUERN_REFUSED)
        fail_msg("%s=%d: %s: %s", tried->column, tried->value, tried->formula, tried->reason);
    for (size_t c = 0; c < Q_COUNT(columns) && tried->column; c++)
        if (strcmp(columns[c], tried->column) == 0) t->tried[c] = true;
    return false;
}

static void tune(tally *t, double seconds)
{
    quern_tuning *tuning;
    quern_tune_options options = {
        .size = sizeof options, .seconds = seconds, .points = 300, .dry_run = true, .report = count_trial, .user = t};
    succeed(q_tune(&tuning, context, &options, &plan));
    assert_true(tuning->ratio > 0 && tuning->ratio <= 1);
    quern_free(tuning);
}

static void tiles_are_tuned(void **state)
{
    (void)state;
    need_device();
    tally t = {0};
    tune(&t, 600); /* over long before */
    for (size_t c = 0; c < 4; c++)
        if (!t.tried[c]) fail_msg("%s was not tried", columns[c]);
    assert_false(t.tried[4] || t.tried[5]); /* the row has none */
}

static void no_value_is_tried_when_the_time_is_up(void **state)
{
    (void)state;
    need_device();
    tally t = {0};
    tune(&t, 1e-9);
    assert_int_equal(t.trials, 1); /* the shipped row */
}

/* Builds without the driver's optimiser, which takes longer than all runs. */
static int open_plainly(void **state)
{
    setenv("POCL_EXTRA_BUILD_FLAGS", "-cl-opt-disable", 1);
    return open_context(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_value_is_tried_when_the_time_is_up),
        cmocka_unit_test(tiles_are_tuned),
    };
    return cmocka_run_group_tests(tests, open_plainly, close_context);
}
