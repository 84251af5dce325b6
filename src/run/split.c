/*
 * split.c: stages whose columns are split into parts (split-K). Each part leaves states in device memory, and the merge
 * takes them in the order of the columns.
 *
 * The states take what device memory is left: where that is too little, fewer rows are done at a time, then, with other
 * last bits, in fewer parts, and at last in one, which needs no states.
 */
#include <stdlib.h>

#include "run/launcher.h"

/* Some groups of rows from one on: their states in each part, then the merge. */
typedef struct row_pass {
    q_plan plan;        /* of these groups alone */
    int64_t first;      /* of them */
    int64_t all_groups; /* of the stage */
    bool all;           /* groups are in this pass */
    double pairs;
    q_program *program, *merge;
} row_pass;

/* The program for a piece of the columns: all but the first start from the states of the one before. */
static quern_status piece_program(q_program **out, q_launcher *l, size_t stage, const row_pass *pass, size_t piece)
{
    q_plan plan = pass->plan;
    *out = pass->program;
    plan.accumulate = true;
    return piece ? q_stage_program(out, l->run->build, stage, &plan, Q_ROLE_MAIN) : QUERN_OK;
}

static quern_status launch_parts(q_launcher *l, size_t stage, const row_pass *pass, const q_buffer *states)
{
    const q_ir *p = l->run->build->programs[stage];
    const q_plan *plan = &pass->plan;
    q_values values = q_values_of(l, plan);
    values.buffer[Q_PARAM_STATES] = states;
    for (size_t piece = 0; piece < plan->pieces; piece++) {
        q_program *program;
        Q_TRY(piece_program(&program, l, stage, pass, piece));
        values.number[Q_PARAM_FIRST] = q_first_of(plan, pass->first + (int64_t)piece * pass->all_groups);
        Q_TRY(q_launch_slices(l, program, &(q_kernel){p, plan, Q_ROLE_MAIN}, &values,
                              pass->pairs / (double)plan->pieces));
    }
    size_t items = (size_t)(values.number[Q_PARAM_PADDED] / plan->lanes), rhs = (size_t)plan->rhs_per_item,
           rhs_groups = rhs ? (p->rhs_dim + rhs - 1) / rhs : 1;
    values.number[Q_PARAM_FIRST] = q_first_of(plan, pass->first);
    return q_launch_kernel(l, pass->merge, &(q_kernel){p, plan, Q_ROLE_MERGE}, &values,
                           (size_t[]){items, 1, rhs_groups});
}

/* The states of a pass are gone from the device before those of the next, or of the same with less, are made. */
static quern_status launch_pass(q_launcher *l, size_t stage, const row_pass *pass)
{
    q_buffer states = {0};
    double done = l->done;
    Q_TRY(q_buffer_create(&states, l->session, q_plan_split_bytes(&pass->plan, l->run->build->programs[stage])));
    quern_status status = launch_parts(l, stage, pass, &states);
    if (status) (void)q_session_settle(l->session);
    else if (!pass->all) status = q_session_finish(l->session);
    q_buffer_destroy(&states, l->session);
    if (status) l->done = done;
    return status;
}

/* Half as much memory for states: half the groups at a time, or else half the parts, unless the device takes no
   further. False if there is nothing left to halve. */
static bool shrink(q_plan *plan, int64_t *at_once)
{
    if (*at_once > 1) {
        *at_once = (*at_once + 1) / 2;
        return true;
    }
    if (plan->split_count == 1) return false; /* pieces of columns need the states */
    if (plan->profile.max_cols_per_item && 2 * plan->split_extent > plan->profile.max_cols_per_item) return false;
    plan->split_extent *= 2;
    plan->split_count = (plan->split_count + 1) / 2;
    plan->split = plan->split_count > 1 || plan->pieces > 1;
    return true;
}

/* The failure of a pass that cannot shrink. */
static quern_status fail_pass(const q_plan *plan)
{
    q_fail(QUERN_MEMORY,
           "%s; tried down to %lld rows at a time in %d parts, and the device takes no more than %d columns",
           quern_last_error()->message, (long long)q_plan_group_rows(plan), plan->split_count,
           plan->profile.max_cols_per_item);
    q_fail_next_step("wait for other runs in this context, use smaller arrays, or raise quern_context_options.memory");
    return QUERN_MEMORY;
}

quern_status q_launch_split(q_launcher *l, size_t stage, const q_stage_plan *planned)
{
    const q_ir *p = l->run->build->programs[stage];
    double pairs = q_pairs_of(l, stage), done = l->done;
    q_plan plan = planned->plan;
    int64_t at_once = plan.groups;
    q_pace pace = {.size = plan.groups};
    if (plan.groups > plan.split_count)
        Q_TRY(q_pace_begin(&pace, l, &plan, plan.groups, (int64_t)plan.split_count * plan.rhs_groups,
                           q_plan_seconds(&plan, p, pairs)));
    row_pass pass = {.program = planned->program, .merge = planned->merge};
    for (int64_t at = 0; plan.split && at < plan.groups;) {
        pass.plan = plan;
        pass.first = at;
        pass.all_groups = plan.groups;
        int64_t now = at_once < pace.size ? at_once : pace.size;
        pass.plan.groups = now < plan.groups - at ? now : plan.groups - at;
        pass.all = pass.plan.groups == plan.groups;
        pass.pairs = pairs * (double)pass.plan.groups / (double)plan.groups;
        double start = q_seconds();
        quern_status status = launch_pass(l, stage, &pass);
        if (!status) {
            at += pass.plan.groups;
            if (pace.sliced) q_pace_measured(&pace, pass.plan.groups, q_seconds() - start);
            continue;
        }
        if (status != QUERN_MEMORY) return status;
        at_once = pass.plan.groups;
        if (!shrink(&plan, &at_once)) return fail_pass(&plan);
        q_context_log(l->context, "stage %zu goes on with %lld of %lld groups of rows at a time, in %d part%s: %s",
                      stage, (long long)at_once, (long long)plan.groups, plan.split_count, Q_S(plan.split_count),
                      quern_last_error()->message);
    }
    if (plan.split) return QUERN_OK;
    l->done = done;
    q_program *whole;
    Q_TRY(q_stage_program(&whole, l->run->build, stage, &plan, Q_ROLE_MAIN));
    return q_launch_rows(l, stage, &plan, whole);
}

// ---- states that are carried ----

enum { CARRIED_ROWS = 1 << 16 /* of a slice: what a launch may take long over */ };

/* Goes on from the states of a pass to the results, without a merge. */
static quern_status launch_last(q_launcher *l, size_t stage, const row_pass *pass, const q_buffer *states)
{
    q_plan plan = pass->plan;
    q_values values = q_values_of(l, &plan);
    q_program *program;
    plan.accumulate = true;
    Q_TRY(q_stage_program(&program, l->run->build, stage, &plan, Q_ROLE_LAST));
    values.buffer[Q_PARAM_STATES] = states;
    values.number[Q_PARAM_FIRST] = q_first_of(&plan, pass->first);
    q_kernel kernel = {l->run->build->programs[stage], &plan, Q_ROLE_LAST};
    return q_launch_slices(l, program, &kernel, &values, pass->pairs);
}

static quern_status carry_slice(q_launcher *l, size_t stage, const q_stage_plan *planned, size_t slice, int64_t groups)
{
    q_carried *carried = l->run->carried;
    const q_plan *plan = &planned->plan;
    row_pass pass = {.plan = *plan, .program = planned->program, .merge = planned->merge};
    pass.first = (int64_t)slice * groups, pass.all_groups = plan->groups;
    pass.plan.groups = groups < plan->groups - pass.first ? groups : plan->groups - pass.first;
    pass.pairs = q_pairs_of(l, stage) * (double)pass.plan.groups / (double)plan->groups;
    if (carried->begun) return launch_last(l, stage, &pass, &carried->slices[slice]);
    uint64_t bytes = q_plan_split_bytes(&pass.plan, l->run->build->programs[stage]);
    Q_TRY(q_buffer_create(&carried->slices[slice], l->session, bytes));
    return launch_parts(l, stage, &pass, &carried->slices[slice]);
}

quern_status q_launch_carried(q_launcher *l, size_t stage, const q_stage_plan *planned)
{
    q_carried *carried = l->run->carried;
    int64_t groups = CARRIED_ROWS / q_plan_group_rows(&planned->plan);
    if (groups < 1) groups = 1;
    if (!carried->slices) {
        carried->count = (size_t)((planned->plan.groups - 1) / groups + 1);
        carried->slices = calloc(carried->count, sizeof *carried->slices);
        if (!carried->slices) return q_fail_memory(carried->count * sizeof *carried->slices);
    }
    for (size_t slice = 0; slice < carried->count; slice++) Q_TRY(carry_slice(l, stage, planned, slice, groups));
    carried->begun = true;
    return QUERN_OK;
}

void q_carried_free(q_carried *carried, q_session *session)
{
    for (size_t slice = 0; slice < carried->count && carried->slices; slice++)
        q_buffer_destroy(&carried->slices[slice], session);
    free(carried->slices);
    *carried = (q_carried){0};
}
