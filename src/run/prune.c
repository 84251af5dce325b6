/*
 * prune.c: a run that leaves out what cannot matter. Rows and columns are put in the order of k-d trees (tree.c); some columns
 * near each block of rows tell what its reductions reach at least; with that the boxes of the trees tell which columns may
 * still matter (prune_bounds.c); and these are computed, as a space of blocks and segments, by the same program.
 *
 * Selections compare what was computed with bounds of what would be, so what is left out is worse than what is kept, strictly
 * where an equal could come first. Indices are those of the caller, and ties go to the smaller one.
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/prune.h"

enum {
    BLOCK_ROWS = 64, /* of a block, at least */
    LEAF_COLUMNS = 64,
    NEAR_COLUMNS = 128,    /* that tell what a block reaches, at least */
    FINE = 2,              /* these are so many times fewer for lists, whose terms cost more */
    LEAST_PAIRS = 1 << 24, /* a run of fewer is over before an order is found */
    /* in more, boxes of uniform points are so wide that an order would be found in vain */
    MOST_DIMENSIONS = 5,
    MOST_OF_LISTS = 6,          /* these gain by meeting near columns first, too */
    COLUMNS_OF_THREAD = 1 << 14 /* worth a thread to order them */
};
static const double most_share = 0.4; /* of the pairs, for blocks and lists to be worth their while */

typedef struct pruned_run {
    const q_run *run;
    const quern_pruning *pruning;
    const q_mask *mask; /* null: all rows meet all columns */
    double pairs;       /* that meet */
    q_pruner *pruner;
    q_build *build;      /* of the pruner's operator */
    const char *why_not; /* it is not pruned; null: it is */
    quern_pruning_report report;
    q_pruned_arrays arrays;
    const q_tree *rows, *columns;
    size_t *row_blocks; /* leaves of the tree of rows */
    size_t *masks;      /* by block: its block of the mask */
    size_t block_count;
    q_interval *parameters;
    q_walker *walker; /* null: the host walks */
    double *reached;  /* by block, reduction and component */
    q_kept near, kept;
    q_carried carried; /* the states that the near columns have left; none: these are met again */
} pruned_run;

quern_status q_pruning_check(quern_pruning *out, const quern_pruning *given)
{
    Q_TRY(q_options_copy(out, sizeof *out, given, "quern_pruning"));
    if (!(out->absolute >= 0) || !(out->relative >= 0) || out->absolute == INFINITY || out->relative >= 1)
        return q_fail(QUERN_USAGE,
                      "quern_pruning: an absolute tolerance of %g, a relative one of %g: they are 0 or more, "
                      "and a relative one is below 1",
                      out->absolute, out->relative);
    if (out->use != QUERN_AUTO && out->use != QUERN_ON && out->use != QUERN_OFF)
        return q_fail(QUERN_USAGE, "quern_pruning.use is %d", (int)out->use);
    return QUERN_OK;
}

// ---- order ----

/* Rows of a group of the plan for all rows. */
static quern_status group_rows(const pruned_run *p, int64_t *out)
{
    const q_run *run = p->run;
    q_row_block block = {0, q_axis_size(p->pruner->rows, run->M, run->N), 0, 1, 0, 0};
    q_segment segment = {0, q_axis_size(p->pruner->reduced, run->M, run->N), 0};
    q_space space = {.blocks = &block, .segments = &segment, .block_count = 1, .piece_count = 1};
    q_plan plan;
    Q_TRY(q_plan_make(&plan, p->build->programs[0],
                      &(q_plan_request){&p->build->profile, run->dtype, run->M, run->N,
                                        q_session_device(p->build->session)->info.compute_units,
                                        &p->pruner->op->options, &space}));
    *out = q_plan_group_rows(&plan);
    return QUERN_OK;
}

static int compare_places(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Cells between these places, of which there is room for two more, 0 and `end`. */
static q_cells cells_between(int64_t *places, size_t count, int64_t end)
{
    size_t cells = 0;
    places[count++] = 0, places[count++] = end;
    qsort(places, count, sizeof *places, compare_places);
    for (size_t k = 1; k < count; k++)
        if (places[k] > places[cells]) places[++cells] = places[k];
    return (q_cells){places, cells};
}

/* Rows that meet the same columns, or columns that are met by the same rows; its places are for free(). */
static quern_status find_cells(q_cells *out, const pruned_run *p, bool columns)
{
    const q_mask *mask = p->mask;
    size_t count = 0, most = 2;
    for (size_t k = 0; mask && k < mask->block_count; k++) most += columns ? 2 * mask->blocks[k].segment_count : 1;
    int64_t *places = malloc(most * sizeof *places);
    if (!places) return q_fail_memory(most * sizeof *places);
    for (size_t k = 0; mask && k < mask->block_count; k++) {
        const q_row_block *block = &mask->blocks[k];
        if (!columns) places[count++] = block->row;
        for (size_t s = block->first_segment; columns && s < block->first_segment + block->segment_count; s++)
            places[count++] = mask->segments[s].from, places[count++] = mask->segments[s].to;
    }
    *out =
        cells_between(places, count, q_axis_size(columns ? p->pruner->reduced : p->pruner->rows, p->run->M, p->run->N));
    return QUERN_OK;
}

static quern_status sort_axis(pruned_run *p, int axis, int64_t size)
{
    q_cells cells;
    Q_TRY(find_cells(&cells, p, axis == 2));
    quern_status status = q_pruned_sort(&p->arrays, axis, &cells, size);
    free((void *)cells.at);
    return status;
}

/* The columns, for a thread beside that of the rows. */
typedef struct sorter {
    pruned_run *run;
    int64_t size;
    quern_status status;
    q_failure failure;
} sorter;

static void *sort_columns(void *user)
{
    sorter *s = user;
    s->status = sort_axis(s->run, 2, s->size);
    if (s->status) q_failure_keep(&s->failure);
    return NULL;
}

static quern_status sort_axes(pruned_run *p, int64_t row_size, int64_t column_size)
{
    sorter s = {.run = p, .size = column_size};
    pthread_t thread;
    bool beside = q_axis_size(p->pruner->reduced, p->run->M, p->run->N) >= COLUMNS_OF_THREAD &&
                  !pthread_create(&thread, NULL, sort_columns, &s);
    quern_status status = sort_axis(p, 1, row_size);
    if (beside) pthread_join(thread, NULL);
    else if (!status) status = sort_axis(p, 2, column_size);
    return status || !s.status ? status : q_failure_tell(&s.failure, "");
}

/* Blocks of the tree and of the mask are in the order of rows. */
static void find_masks(pruned_run *p)
{
    for (size_t k = 0, m = 0; k < p->block_count && p->mask; k++) {
        const q_row_block *blocks = p->mask->blocks;
        while (blocks[m].row + blocks[m].rows <= p->rows->nodes[p->row_blocks[k]].from) m++;
        p->masks[k] = m;
    }
}

static quern_status make_trees(pruned_run *p)
{
    q_pruned_arrays *a = &p->arrays;
    int64_t size;
    Q_TRY(group_rows(p, &size));
    size *= (BLOCK_ROWS - 1) / size + 1;
    p->report.rows = size, p->report.columns = p->pruner->lists ? LEAF_COLUMNS / FINE : LEAF_COLUMNS;
    Q_TRY(sort_axes(p, p->report.rows, p->report.columns));
    p->rows = &a->axes[1]->tree, p->columns = &a->axes[2]->tree;
    p->row_blocks = malloc((p->rows->node_count + 1) * sizeof *p->row_blocks);
    p->masks = malloc((p->rows->node_count + 1) * sizeof *p->masks);
    p->parameters = malloc((a->dim[0] + 1) * sizeof *p->parameters);
    if (!p->row_blocks || !p->masks || !p->parameters)
        return q_fail_memory(p->rows->node_count * sizeof *p->row_blocks);
    for (size_t node = 0; node < p->rows->node_count; node++)
        if (q_tree_is_leaf(p->rows, node)) p->row_blocks[p->block_count++] = node;
    find_masks(p);
    for (size_t d = 0; d < a->dim[0]; d++) {
        double number = a->parameters[d];
        p->parameters[d] = isnan(number) ? (q_interval){-INFINITY, INFINITY} : (q_interval){number, number};
    }
    return q_pruned_make_results(a);
}

static q_pruning_blocks blocks_of(const pruned_run *p)
{
    return (q_pruning_blocks){.pruner = p->pruner,
                              .rows = p->rows,
                              .columns = p->columns,
                              .row_blocks = p->row_blocks,
                              .block_count = p->block_count,
                              .mask = p->mask,
                              .masks = p->masks,
                              .parameters = p->parameters,
                              .parameter_count = p->arrays.dim[0],
                              .offsets = p->arrays.offsets,
                              .dtype = p->run->dtype,
                              .lanes = p->build->profile.lanes64,
                              .absolute = p->pruning->absolute,
                              .relative = p->pruning->relative};
}

// ---- passes ----

/* Whether the near columns need not be met again: lists of the smallest change at nearly every column at first. */
static bool carries(const pruned_run *p)
{
    return p->pruner->lists && !p->pruner->ordered && !p->build->profile.max_cols_per_item;
}

/* Runs the pruner's operator on these blocks, and adds its pairs to those that were touched. Reads what reductions have reached or, of
   the last run, the results. */
static quern_status run_blocks(pruned_run *p, const q_kept *kept, bool last)
{
    const q_run *run = p->run;
    q_space_entry entry = {run->M, run->N, 0, 0};
    q_space space = {.blocks = kept->blocks,
                     .segments = kept->segments,
                     .entries = &entry,
                     .block_count = p->block_count,
                     .entry_count = 1,
                     .piece_count = 1,
                     .names = p->pruner->named ? p->arrays.axes[2]->names : NULL,
                     .carried = carries(p)};
    quern_view variables[Q_MAX_VARIABLES], results[Q_MAX_RESULTS];
    for (size_t v = 0; v < run->op->variable_count; v++) variables[v] = q_pruned_view(&p->arrays, v);
    memcpy(results, p->arrays.results, sizeof results);
    for (size_t r = 0; r < quern_result_count(p->pruner->op); r++)
        if (last ? r >= p->pruner->result_count : r < p->pruner->result_count) results[r].data = NULL;
    q_run all = *run;
    all.op = p->pruner->op, all.build = p->build;
    all.variables = variables, all.results = results, all.spaces = (const q_space *const[]){&space};
    all.carried = carries(p) ? &p->carried : NULL;
    p->report.touched += q_space_pairs(&space) / p->pairs;
    return q_launch(&all);
}

/* What the results of a block say that its reductions have reached: what is least favourable to leaving something out. */
static void find_reached(pruned_run *p)
{
    const q_graph *graph = p->pruner->op->graph;
    size_t stride = q_blocks_stride(p->pruner), at = 0;
    for (size_t r = 0; r < p->pruner->reduction_count; r++) {
        const q_node *node = q_node_of(graph, p->pruner->reductions[r]);
        const quern_view *view = &p->arrays.results[p->pruner->result_count + r];
        size_t dim = q_node_of(graph, node->arg[0])->dim;
        const float *single = view->dtype == QUERN_F32 ? view->data : NULL;
        const double *numbers = view->data;
        for (size_t k = 0; k < p->block_count; k++)
            for (size_t d = 0; d < dim; d++) {
                const q_tree_node *rows = &p->rows->nodes[p->row_blocks[k]];
                double worst = q_ops[node->op].smallest ? -INFINITY : INFINITY;
                for (int64_t row = rows->from; row < rows->to; row++) {
                    size_t at_row = (size_t)row * dim + d;
                    double x = single ? (double)single[at_row] : numbers[at_row];
                    bool worse = q_ops[node->op].smallest ? x > worst : x < worst;
                    if (worse || isnan(x)) worst = x;
                    if (isnan(x)) break;
                }
                p->reached[k * stride + at + d] = worst;
            }
        at += dim;
    }
}

/* What a Sum or a LogSumExp has reached, less what rounding may have made of it. */
static void lower_sums(pruned_run *p)
{
    const double slack = 0x1p-12; /* each step is off by less than 256 units: ranges.c */
    const q_graph *graph = p->pruner->op->graph;
    size_t stride = q_blocks_stride(p->pruner), at = 0;
    for (size_t r = 0; r < p->pruner->reduction_count; r++) {
        const q_node *node = q_node_of(graph, p->pruner->reductions[r]);
        size_t dim = q_node_of(graph, node->arg[0])->dim;
        bool sums = node->op == Q_RED_Sum || node->op == Q_RED_LogSumExp;
        for (size_t k = 0; k < p->block_count * dim && sums; k++) {
            double *x = &p->reached[k / dim * stride + at + k % dim];
            *x -= slack * (fabs(*x) + (node->op == Q_RED_LogSumExp));
        }
        at += dim;
    }
}

/* The certificate: what was left out, of the worst row. */
static void certify(pruned_run *p)
{
    const q_graph *graph = p->pruner->op->graph;
    size_t stride = q_blocks_stride(p->pruner), at = 0;
    for (size_t r = 0; r < p->pruner->reduction_count; r++) {
        const q_node *node = q_node_of(graph, p->pruner->reductions[r]);
        size_t dim = q_node_of(graph, node->arg[0])->dim;
        for (size_t k = 0; k < p->block_count * dim; k++) {
            size_t n = k / dim * stride + at + k % dim;
            double dropped = p->kept.dropped[n], reached = p->reached[n];
            if (!(dropped > 0)) continue;
            if (node->op == Q_RED_LogSumExp) dropped = dropped < 1 ? -log1p(-dropped) : INFINITY;
            p->report.absolute = fmax(p->report.absolute, dropped);
            p->report.relative = fmax(p->report.relative, reached > 0 ? dropped / reached : INFINITY);
        }
        at += dim;
    }
}

/* The fewest columns among which every reduction finds as many terms as it wants. */
static int64_t near_columns(const q_pruner *pruner)
{
    int64_t columns = pruner->lists ? NEAR_COLUMNS / FINE : NEAR_COLUMNS;
    for (size_t r = 0; r < pruner->reduction_count; r++) {
        int64_t chosen = 4 * (int64_t)q_node_of(pruner->op->graph, pruner->reductions[r])->k[1];
        if (chosen > columns) columns = chosen;
    }
    return columns;
}

/* Whether all blocks have met all that they meet. */
static bool has_met_all(const pruned_run *p)
{
    double met = 0;
    for (size_t k = 0; k < p->block_count; k++) {
        const q_row_block *block = &p->near.blocks[k];
        for (size_t s = 0; s < block->segment_count; s++) {
            const q_segment *segment = &p->near.segments[block->first_segment + s];
            met += (double)block->rows * (double)(segment->to - segment->from);
        }
    }
    return met >= p->pairs;
}

/* Runs the columns near each block: what they tell is p->reached. Where these are all, the run is done. */
static quern_status reach(pruned_run *p, const q_pruning_blocks *blocks, bool *done)
{
    double start = q_seconds();
    p->reached = calloc(p->block_count * q_blocks_stride(p->pruner) + 1, sizeof *p->reached);
    if (!p->reached) return q_fail_memory(p->block_count * sizeof *p->reached);
    Q_TRY(q_walker_create(&p->walker, p->build->context, blocks));
    int64_t columns = near_columns(p->pruner);
    bool walks = p->walker && !p->mask; /* the device knows nothing of masks */
    Q_TRY(walks ? q_walker_near(&p->near, p->walker, columns) : q_blocks_near(&p->near, blocks, columns));
    p->report.bounding += q_seconds() - start;
    *done = has_met_all(p);
    Q_TRY(run_blocks(p, &p->near, *done));
    if (*done) return QUERN_OK;
    find_reached(p);
    lower_sums(p);
    return QUERN_OK;
}

static quern_status find_kept(pruned_run *p, q_pruning_blocks *blocks)
{
    double start = q_seconds();
    blocks->met = p->pruner->lists && !p->pruner->ordered ? &p->near : NULL, blocks->carried = carries(p);
    Q_TRY(p->walker ? q_walker_kept(&p->kept, p->walker, p->reached) : q_blocks_kept(&p->kept, blocks, p->reached));
    p->report.bounding += q_seconds() - start;
    certify(p);
    return QUERN_OK;
}

/* Whether so much would have to be computed that a run without blocks is better, where the choice is free. It is not where lists are
   carried: near columns come first, so these change less often, whatever is left out. */
static quern_status find_too_much(pruned_run *p)
{
    double share = 0, all = (double)p->run->M * (double)p->run->N;
    if (p->pruning->use == QUERN_ON || !p->walker || carries(p)) return QUERN_OK;
    Q_TRY(q_walker_share(&share, p->walker, p->reached));
    if (share * all > most_share * p->pairs) p->why_not = "most pairs would have to be computed";
    return QUERN_OK;
}

static quern_status run_pruned(pruned_run *p)
{
    q_pruning_blocks blocks = blocks_of(p);
    bool done;
    Q_TRY(reach(p, &blocks, &done));
    if (!done) {
        Q_TRY(find_too_much(p));
        if (p->why_not) return QUERN_OK;
        Q_TRY(find_kept(p, &blocks));
        Q_TRY(run_blocks(p, &p->kept, true));
    }
    return q_pruned_store(&p->arrays);
}

// ---- whether ----

/* Why a run is not pruned; null: it may be. */
static const char *refusal(const pruned_run *p)
{
    const q_pruner *pruner = p->pruner;
    const q_run *run = p->run;
    bool free = p->pruning->use == QUERN_AUTO;
    size_t dim[3] = {0};
    if (p->pruning->use == QUERN_OFF) return "it is turned off";
    if (pruner->refusal) return pruner->refusal;
    if (p->build->programs[0]->k_dim) return "its vectors are long: boxes of so many components leave nothing out";
    if (!(p->pairs > 0)) return "there are no pairs";
    if (free && p->pairs < LEAST_PAIRS) return "there are few pairs";
    for (size_t v = 0; v < run->op->variable_count; v++) {
        const q_variable *variable = &run->op->graph->variables[run->op->variables[v]];
        dim[variable->axis] += pruner->matters[v] ? variable->dim : 0;
    }
    size_t most = carries(p) ? MOST_OF_LISTS : MOST_DIMENSIONS;
    if (!free || (dim[Q_I] <= most && dim[Q_J] <= most)) return NULL;
    return carries(p) ? "points have more than 6 dimensions" : "points have more than 5 dimensions";
}

static quern_status prune(pruned_run *p)
{
    double start = q_seconds();
    Q_TRY(q_pruned_open(&p->arrays, p->run, p->pruner));
    Q_TRY(make_trees(p));
    p->report.ordering = q_seconds() - start;
    Q_TRY(run_pruned(p));
    p->report.running = q_seconds() - start - p->report.ordering - p->report.bounding;
    return QUERN_OK;
}

static void destroy(pruned_run *p)
{
    q_pruned_free(&p->arrays);
    free(p->row_blocks);
    free(p->masks);
    free(p->parameters);
    free(p->reached);
    q_walker_destroy(&p->walker);
    q_carried_free(&p->carried, p->run->build->session);
    q_kept_free(&p->near);
    q_kept_free(&p->kept);
}

void q_prune_tell(const quern_pruning *pruning, const quern_pruning_report *report)
{
    quern_pruning_report *to = pruning->report;
    size_t head = sizeof report->size, size = !to ? 0 : to->size < sizeof *report ? to->size : sizeof *report;
    if (size > head) memcpy((char *)to + head, (const char *)report + head, size - head);
}

static void tell(const pruned_run *p)
{
    quern_pruning_report report = {.touched = 1};
    if (!p->why_not) report = p->report;
    report.pruned = !p->why_not;
    if (report.touched > 1) report.touched = 1;
    snprintf(report.reason, sizeof report.reason, "%s", p->why_not ? p->why_not : "");
    q_prune_tell(p->pruning, &report);
}

static quern_status begin(pruned_run *p, const q_run *run, const quern_pruning *pruning, double pairs)
{
    *p = (pruned_run){.run = run, .pruning = pruning, .pairs = pairs};
    Q_TRY(q_pruner_find(&p->pruner, (quern_operator *)run->op));
    return p->pruner->op ? q_build_find(&p->build, p->pruner->op, run->build->context) : QUERN_OK;
}

quern_status q_prune_refusal(const char **out, const q_run *run, const quern_pruning *pruning, double pairs)
{
    pruned_run p;
    Q_TRY(begin(&p, run, pruning, pairs));
    *out = refusal(&p);
    return QUERN_OK;
}

quern_status q_prune_run(const q_run *run, const quern_pruning *pruning, const q_mask *mask, bool *done)
{
    pruned_run p;
    double pairs = mask ? q_mask_pairs(mask) : (double)run->M * (double)run->N;
    Q_TRY(begin(&p, run, pruning, pairs));
    p.mask = mask;
    p.why_not = refusal(&p);
    quern_status status = p.why_not ? QUERN_OK : prune(&p);
    destroy(&p);
    *done = !p.why_not;
    if (!status) tell(&p);
    return status;
}
