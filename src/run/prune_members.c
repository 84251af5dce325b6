/*
 * prune_members.c: what a run with options->pruning is: one rectangle, a rectangle of which the ranges leave pairs out, or a batch. The
 * members of a batch are pruned one after the other, those that are not are run as they are, and their reports are put
 * together; where no member is worth it the batch is one launch, as without pruning.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "quern/array.h"
#include "run/prune.h"

typedef struct parts {
    const q_run *run; /* of all members */
    const q_given *given;
    const quern_pruning *pruning;
    q_spaces spaces;
    const q_mask *mask; /* of all members; null: no ranges */
    size_t next;        /* block of the mask: the first of the present member */
    q_mask own;         /* its mask: blocks are its own, segments those of all */
    quern_view variables[Q_MAX_VARIABLES], results[Q_MAX_RESULTS];
    q_run member;
    quern_pruning_report report;
    double pairs, touched; /* of the members so far: that meet; that were computed */
} parts;

static quern_view rows_of(quern_view view, int64_t first, int64_t rows)
{
    return view.dtype == QUERN_NUMBER ? view : quern_view_rows(view, first, rows);
}

/* The blocks of the mask that are a member's. */
static quern_status take_blocks(parts *p, size_t member)
{
    size_t first = p->next;
    while (p->next < p->mask->block_count && p->mask->blocks[p->next].entry == member) p->next++;
    free(p->own.blocks);
    p->own = (q_mask){.segments = p->mask->segments, .block_count = p->next - first};
    p->own.blocks = malloc((p->own.block_count + 1) * sizeof *p->own.blocks);
    if (!p->own.blocks) return q_fail_memory(p->own.block_count * sizeof *p->own.blocks);
    for (size_t k = 0; k < p->own.block_count; k++)
        p->own.blocks[k] = p->mask->blocks[first + k], p->own.blocks[k].entry = 0;
    return QUERN_OK;
}

/* The run of one member alone. */
static quern_status take_member(parts *p, size_t member)
{
    const quern_operator *op = p->run->op;
    p->member = *p->run;
    p->member.M = p->member.plan_M = q_spaces_rows(&p->spaces, Q_I, member);
    p->member.N = p->member.plan_N = q_spaces_rows(&p->spaces, Q_J, member);
    p->member.variables = p->variables, p->member.results = p->results, p->member.members = 1;
    for (size_t v = 0; v < op->variable_count; v++) {
        int axis = op->graph->variables[op->variables[v]].axis;
        p->variables[v] = rows_of(p->run->variables[v], q_spaces_first_row(&p->spaces, p->run, p->given, v, member),
                                  axis ? q_spaces_rows(&p->spaces, axis, member) : 1);
    }
    for (size_t r = 0; r < op->result_count; r++) {
        int axis = q_axis_of(quern_result(op, r).axis);
        p->results[r] =
            rows_of(p->run->results[r], p->spaces.starts[axis][member], q_spaces_rows(&p->spaces, axis, member));
    }
    return p->mask ? take_blocks(p, member) : QUERN_OK;
}

static quern_status run_plain(parts *p)
{
    q_space_entry entry = {p->member.M, p->member.N, 0, 0};
    q_space space = {.blocks = p->own.blocks,
                     .segments = p->own.segments,
                     .entries = &entry,
                     .block_count = p->own.block_count,
                     .entry_count = 1,
                     .piece_count = 1};
    const q_space *spaces[] = {&space};
    if (!p->mask) return q_run_given(&p->member, p->given, NULL);
    p->member.spaces = spaces;
    quern_status status = q_launch(&p->member);
    p->member.spaces = NULL;
    return status;
}

static void add_report(parts *p, const quern_pruning_report *one)
{
    double pairs = p->mask ? q_mask_pairs(&p->own) : (double)p->member.M * (double)p->member.N;
    if (one->pruned && !p->report.pruned) p->report = *one;
    else if (one->pruned) {
        p->report.absolute = fmax(p->report.absolute, one->absolute);
        p->report.relative = fmax(p->report.relative, one->relative);
        p->report.ordering += one->ordering, p->report.bounding += one->bounding, p->report.running += one->running;
    } else if (!p->report.pruned && pairs > 0) snprintf(p->report.reason, sizeof p->report.reason, "%s", one->reason);
    p->pairs += pairs, p->touched += pairs * one->touched;
}

static quern_status run_member(parts *p, size_t member)
{
    quern_pruning_report report = {.size = sizeof report};
    quern_pruning pruning = *p->pruning;
    bool done = false;
    pruning.report = &report;
    Q_TRY(take_member(p, member));
    Q_TRY(q_prune_run(&p->member, &pruning, p->mask ? &p->own : NULL, &done));
    if (!done) Q_TRY(run_plain(p));
    add_report(p, &report);
    return QUERN_OK;
}

/* Why no member is pruned; null: the largest may be. */
static quern_status find_refusal(parts *p, const char **why_not)
{
    double most = p->mask ? q_mask_pairs(p->mask) : 0;
    for (size_t b = 0; b < p->spaces.members && !p->mask; b++)
        most = fmax(most, (double)q_spaces_rows(&p->spaces, Q_I, b) * (double)q_spaces_rows(&p->spaces, Q_J, b));
    Q_TRY(q_prune_refusal(why_not, p->run, p->pruning, most));
    for (size_t r = 0; r < p->run->op->result_count && p->spaces.members > 1; r++)
        for (size_t v = 0; v < p->run->op->variable_count; v++)
            if (q_views_overlap(&p->run->results[r], &p->run->variables[v]))
                *why_not = "in a batch a result is written over an argument";
    return QUERN_OK;
}

static quern_status run_parts(parts *p, const quern_run_options *options)
{
    const char *why_not = NULL;
    q_pruner *pruner;
    Q_TRY(q_spaces_make(&p->spaces, p->run, p->given, options));
    Q_TRY(q_pruner_find(&pruner, (quern_operator *)p->run->op));
    if (options->ranges && !pruner->refusal) p->mask = &p->spaces.masks[pruner->rows][pruner->reduced];
    Q_TRY(find_refusal(p, &why_not));
    if (why_not) {
        q_run all = *p->run;
        all.spaces = p->spaces.by_stage;
        snprintf(p->report.reason, sizeof p->report.reason, "%s", why_not);
        return q_launch(&all);
    }
    for (size_t b = 0; b < p->spaces.members; b++) Q_TRY(run_member(p, b));
    return QUERN_OK;
}

/* A batch, or a run with ranges. */
static quern_status prune_parts(const q_run *run, const q_given *given, const quern_run_options *options,
                                const quern_pruning *pruning)
{
    parts p = {.run = run, .given = given, .pruning = pruning};
    quern_status status = run_parts(&p, options);
    if (!p.report.pruned) p.report.touched = 1;
    else p.report.touched = p.pairs > 0 ? p.touched / p.pairs : 1;
    free(p.own.blocks);
    q_spaces_free(&p.spaces);
    if (!status) q_prune_tell(pruning, &p.report);
    return status;
}

quern_status q_run_pruned(quern_operator *op, quern_context *context, quern_args args, quern_outs results,
                          const quern_run_options *options)
{
    q_given given;
    quern_pruning pruning;
    q_run run;
    q_build *build;
    bool done = false;
    Q_TRY(q_pruning_check(&pruning, options->pruning));
    Q_TRY(q_session_check(context->session));
    Q_TRY(q_build_find(&build, op, context));
    Q_TRY(q_run_check(&run, &given, build, args, results, options));
    Q_TRY(q_run_check_ranges(&run, options->ranges));
    if (options->ranges || run.members != 1) return prune_parts(&run, &given, options, &pruning);
    Q_TRY(q_prune_run(&run, &pruning, NULL, &done));
    return done ? QUERN_OK : q_run_given(&run, &given, NULL);
}
