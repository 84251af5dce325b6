/*
 * scatter.c: sums whose terms go to one row each, such as Sum_j(Where(k==I,v,0)), sums by label, and the derivatives of rows
 * that were looked up. All terms but those of the rows that k names are 0, so a block of rows meets the columns that name
 * one of them, and no other: the numbers k are read, and become the space of the stage. Columns stay in order, so the
 * same numbers give the same bits.
 *
 * That is worth it from some size on, which is asked of M and N alone.
 */
#include <stdlib.h>

#include "quern/array.h"
#include "run/run.h"

enum { BLOCK_ROWS = 128, MOST_LABELS = 8 };
static const double LEAST_PAIRS = 0x1p24;

/* Numbers that name rows: component `component` of a variable of the columns. */
typedef struct label {
    const q_variable *variable;
    uint32_t component;
} label;

typedef struct labels {
    const q_graph *graph;
    const q_stage *stage;
    label of[MOST_LABELS];
    size_t count;
} labels;

// ---- which rows a term goes to ----

static bool add_label(labels *l, q_id id)
{
    const q_node *node = q_node_of(l->graph, id);
    label found = {0};
    if (node->op == Q_OP_Extract && node->dim == 1) found.component = (uint32_t)node->k[0];
    if (node->op == Q_OP_Extract && node->dim == 1) node = q_node_of(l->graph, node->arg[0]);
    if (node->op != Q_OP_VARIABLE || node->axes != l->stage->reduced) return false;
    found.variable = &l->graph->variables[node->k[0]];
    for (size_t k = 0; k < l->count; k++)
        if (l->of[k].variable == found.variable && l->of[k].component == found.component) return true;
    if (l->count == MOST_LABELS) return false;
    l->of[l->count++] = found;
    return true;
}

/* Whether the value is a truth that holds in rows that labels name, and in no other. */
static bool names_row(labels *l, q_id id)
{
    const q_node *node = q_node_of(l->graph, id);
    if (node->op == Q_OP_SumT) node = q_node_of(l->graph, node->arg[0]);
    for (int a = 0; a < 2 && node->op == Q_OP_Equal; a++) {
        const q_node *index = q_node_of(l->graph, node->arg[a]);
        if (index->op == Q_OP_INDEX && index->k[0] == l->stage->rows) return add_label(l, node->arg[1 - a]);
    }
    return false;
}

/* Whether the value is 0 in all rows but those that labels name, which are added; with few steps, since terms are not deep. */
static bool is_scattered(labels *l, q_id id, int depth)
{
    const q_node *node = q_node_of(l->graph, id);
    if (q_is_constant(l->graph, id, 0)) return true;
    if (!depth) return false;
    switch (node->op) {
    case Q_OP_Where:
        if (q_is_constant(l->graph, node->arg[2], 0) && names_row(l, node->arg[0])) return true;
        return is_scattered(l, node->arg[1], depth - 1) && is_scattered(l, node->arg[2], depth - 1);
    case Q_OP_Add:
    case Q_OP_Subtract:
    case Q_OP_Concat: return is_scattered(l, node->arg[0], depth - 1) && is_scattered(l, node->arg[1], depth - 1);
    case Q_OP_Minus:
    case Q_OP_SumT:
    case Q_OP_Extract:
    case Q_OP_ExtractT: return is_scattered(l, node->arg[0], depth - 1);
    default: return names_row(l, id);
    }
}

static bool find_labels(labels *l, const q_graph *graph, const q_stage *stage)
{
    bool all = stage->rows && stage->reduced && stage->reduction_count;
    *l = (labels){.graph = graph, .stage = stage};
    for (size_t r = 0; r < stage->reduction_count && all; r++) {
        const q_node *node = q_node_of(graph, stage->reductions[r]);
        all = node->op == Q_RED_Sum && is_scattered(l, node->arg[0], 16);
    }
    return all && l->count;
}

// ---- the space ----

/* By block of rows, the columns that name a row of it: segments of which `next` says where the next one goes. */
typedef struct scatter {
    q_space space;
    q_space_entry entry;
    q_row_block *blocks;
    q_segment *segments;
    size_t *next;
    int32_t *rows; /* by label and column: the row it names, or -1 */
} scatter;

static void free_scatter(scatter *s)
{
    free(s->blocks);
    free(s->segments);
    free(s->next);
    free(s->rows);
}

static const quern_view *view_of(const q_run *run, const q_variable *variable)
{
    size_t v = 0;
    while (&run->op->graph->variables[run->op->variables[v]] != variable) v++;
    return &run->variables[v];
}

/* The rows that a label names, of numbers as the run sees them. */
static quern_status read_rows(const q_run *run, const label *from, int64_t row_count, int32_t *out)
{
    const quern_view *view = view_of(run, from->variable);
    quern_view host = *view;
    void *copy = NULL;
    if (view->array) {
        copy = malloc((size_t)view->rows * (size_t)view->columns * q_element_size(view->dtype) + 1);
        if (!copy) return q_fail_memory((size_t)view->rows * (size_t)view->columns * q_element_size(view->dtype));
        host = quern_view_of(copy, view->dtype, view->rows, view->columns);
        quern_status status = quern_copy(run->build->context, host, *view);
        if (status) free(copy);
        if (status) return status;
    }
    int64_t stride = host.stride ? host.stride : host.columns;
    for (int64_t j = 0; j < host.rows; j++) {
        size_t at = (size_t)(j * stride + from->component) * q_element_size(host.dtype);
        double x = q_element_read(host.dtype, (const char *)host.data + at);
        if (run->dtype == QUERN_F32) x = (double)(float)x;
        bool is_row = x >= 0 && x < (double)row_count && x < 0x1p31 && x == (double)(int32_t)x;
        out[j] = is_row ? (int32_t)x : -1;
    }
    free(copy);
    return QUERN_OK;
}

/* Calls for each block that the column meets, once. */
static size_t blocks_of(const scatter *s, const labels *l, int64_t columns, int64_t j, size_t out[MOST_LABELS])
{
    size_t count = 0;
    for (size_t k = 0; k < l->count; k++) {
        int32_t row = s->rows[(int64_t)k * columns + j];
        size_t block = (size_t)row / BLOCK_ROWS, known = 0;
        while (row >= 0 && known < count && out[known] != block) known++;
        if (row >= 0 && known == count) out[count++] = block;
    }
    return count;
}

static void fill(scatter *s, const labels *l, int64_t columns)
{
    size_t blocks[MOST_LABELS], total = 0;
    for (int64_t j = 0; j < columns; j++)
        for (size_t k = blocks_of(s, l, columns, j, blocks); k--;) s->blocks[blocks[k]].segment_count++;
    for (size_t b = 0; b < s->space.block_count; b++) {
        s->blocks[b].first_segment = s->next[b] = total;
        total += s->blocks[b].segment_count;
        s->blocks[b].segment_count = 0;
    }
    for (int64_t j = 0; j < columns; j++)
        for (size_t k = blocks_of(s, l, columns, j, blocks); k--;) {
            q_row_block *block = &s->blocks[blocks[k]];
            size_t *next = &s->next[blocks[k]];
            bool follows = block->segment_count && s->segments[*next - 1].to == j;
            if (follows) s->segments[*next - 1].to = j + 1;
            else s->segments[(*next)++] = (q_segment){j, j + 1, 0}, block->segment_count++;
        }
}

static quern_status make_scatter(scatter *s, const q_run *run, const labels *l)
{
    int64_t rows = q_axis_size(l->stage->rows, run->M, run->N),
            columns = q_axis_size(l->stage->reduced, run->M, run->N);
    size_t blocks = (size_t)((rows + BLOCK_ROWS - 1) / BLOCK_ROWS), numbers = (size_t)columns * l->count;
    s->blocks = calloc(blocks + 1, sizeof *s->blocks);
    s->segments = calloc(numbers + 1, sizeof *s->segments);
    s->next = calloc(blocks + 1, sizeof *s->next);
    s->rows = calloc(numbers + 1, sizeof *s->rows);
    if (!s->blocks || !s->segments || !s->next || !s->rows) return q_fail_memory(numbers * sizeof *s->segments);
    for (size_t k = 0; k < l->count; k++) Q_TRY(read_rows(run, &l->of[k], rows, s->rows + (int64_t)k * columns));
    for (size_t b = 0; b < blocks; b++) {
        int64_t row = (int64_t)b * BLOCK_ROWS;
        s->blocks[b] = (q_row_block){.row = row, .rows = rows - row < BLOCK_ROWS ? rows - row : BLOCK_ROWS};
    }
    s->entry = (q_space_entry){run->M, run->N, 0, 0};
    s->space = (q_space){.blocks = s->blocks,
                         .segments = s->segments,
                         .entries = &s->entry,
                         .block_count = blocks,
                         .entry_count = 1,
                         .piece_count = 1};
    fill(s, l, columns);
    return QUERN_OK;
}

// ---- the run ----

quern_status q_launch_scattered(q_run *run)
{
    const q_stages *stages = &run->op->stages;
    const q_space *by_stage[Q_MAX_STAGES] = {NULL};
    scatter *all = NULL;
    quern_status status = QUERN_OK;
    bool any = false;
    for (size_t s = 0; s < stages->count && !status; s++) {
        labels found;
        const q_stage *stage = &stages->stage[s];
        double pairs =
            (double)q_axis_size(stage->rows, run->M, run->N) * (double)q_axis_size(stage->reduced, run->M, run->N);
        if (pairs < LEAST_PAIRS || q_axis_size(stage->rows, run->M, run->N) < 8 * BLOCK_ROWS) continue;
        if (!find_labels(&found, run->op->graph, stage)) continue;
        if (!all) all = calloc(stages->count, sizeof *all);
        status = all ? make_scatter(&all[s], run, &found) : q_fail_memory(stages->count * sizeof *all);
        if (status) break;
        by_stage[s] = &all[s].space;
        any = true;
        q_context_log(run->build->context, "pass %zu adds to rows by their numbers: %.0f pairs of %.0f", s,
                      q_space_pairs(by_stage[s]), pairs);
    }
    if (any) run->spaces = by_stage;
    if (!status) status = q_launch(run);
    run->spaces = NULL;
    for (size_t s = 0; s < stages->count && all; s++) free_scatter(&all[s]);
    free(all);
    return status;
}
