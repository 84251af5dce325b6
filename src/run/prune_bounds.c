/*
 * prune_bounds.c: which blocks of columns a block of rows must meet. One walks down the tree of columns with the box of the
 * rows: where the intervals of the terms say that none below a node can matter, all that is below it is left out.
 *
 * A Sum may lose what a tolerance allows. Each column has an equal share of that; what columns that are computed, or lose less,
 * do not need of theirs is spare, and others may have a part of it (tokens: Lee, Gray and Moore 2006). What was left out
 * is added up, which is the certificate.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "run/prune.h"

typedef struct search {
    const q_pruning_blocks *b;
    q_ranges *ranges;
    q_box boxes[Q_MAX_VARIABLES + 2];
    size_t box_count;
    q_interval row_numbers, column_numbers;
    double *share, *spare; /* by reduction and component: of a column; of all before */
} search;

size_t q_blocks_stride(const q_pruner *pruner)
{
    const q_graph *graph = pruner->op->graph;
    size_t stride = 0;
    for (size_t r = 0; r < pruner->reduction_count; r++)
        stride += q_node_of(graph, q_node_of(graph, pruner->reductions[r])->arg[0])->dim;
    return stride;
}

// ---- what is kept ----

quern_status q_kept_begin(q_kept *out, const q_pruning_blocks *b)
{
    size_t numbers = b->block_count * q_blocks_stride(b->pruner);
    *out = (q_kept){0};
    out->blocks = calloc(b->block_count + 1, sizeof *out->blocks);
    out->dropped = calloc(numbers + 1, sizeof *out->dropped);
    return out->blocks && out->dropped ? QUERN_OK : q_fail_memory(numbers * sizeof *out->dropped);
}

bool q_kept_add(q_kept *out, q_row_block *block, const q_tree_node *columns)
{
    if (block->segment_count && out->segments[out->segment_count - 1].to == columns->from) {
        out->segments[out->segment_count - 1].to = columns->to;
        return true;
    }
    if (!q_grow(&out->segments, &out->capacity, out->segment_count + 1, sizeof *out->segments)) return false;
    out->segments[out->segment_count++] = (q_segment){columns->from, columns->to, 0};
    block->segment_count++;
    return true;
}

q_row_block *q_kept_block(q_kept *out, const q_pruning_blocks *b, size_t k)
{
    const q_tree_node *rows = &b->rows->nodes[b->row_blocks[k]];
    out->blocks[k] = (q_row_block){rows->from, rows->to - rows->from, out->segment_count, 0, 0, 0};
    return &out->blocks[k];
}

q_met q_kept_met(const q_pruning_blocks *b, size_t k)
{
    const q_row_block *block = b->met ? &b->met->blocks[k] : NULL;
    if (!block || !block->segment_count) return (q_met){NULL, NULL, NULL};
    const q_segment *first = b->met->segments + block->first_segment;
    return (q_met){first, first + 1, first + block->segment_count};
}

bool q_kept_has_met(q_met *met, const q_tree_node *columns)
{
    if (!met->first) return false;
    while (met->next < met->end && met->next->to <= columns->from) met->next++;
    if (met->first->from <= columns->from && met->first->to > columns->from) return true;
    return met->next < met->end && met->next->from <= columns->from;
}

/* Lists of the smallest are all but final after the near columns, and seldom change again. */
bool q_kept_begin_met(q_kept *out, q_row_block *block, const q_pruning_blocks *b, size_t k)
{
    q_met met = q_kept_met(b, k);
    for (const q_segment *s = met.first; s < met.end && !b->carried; s++)
        if (!q_kept_add(out, block, &(q_tree_node){s->from, s->to, 0})) return false;
    return true;
}

void q_kept_free(q_kept *kept)
{
    free(kept->blocks);
    free(kept->segments);
    free(kept->dropped);
}

// ---- masks ----

const q_segment *q_blocks_segment(const q_pruning_blocks *b, size_t k, int64_t place)
{
    const q_row_block *block = &b->mask->blocks[b->masks[k]];
    size_t low = block->first_segment, end = low + block->segment_count, high = end;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (b->mask->segments[middle].to > place) high = middle;
        else low = middle + 1;
    }
    return low < end ? &b->mask->segments[low] : NULL;
}

bool q_blocks_meet(const q_pruning_blocks *b, size_t k, const q_tree_node *columns)
{
    const q_segment *segment = b->mask ? q_blocks_segment(b, k, columns->from) : NULL;
    return !b->mask || (segment && segment->from <= columns->from && columns->to <= segment->to);
}

bool q_blocks_miss(const q_pruning_blocks *b, size_t k, const q_tree_node *columns)
{
    const q_segment *segment = b->mask ? q_blocks_segment(b, k, columns->from) : NULL;
    return b->mask && !(segment && segment->from < columns->to);
}

// ---- boxes ----

/* The numbers of rows and columns are values like others where they keep their order. */
static void add_numbers(search *s, uint8_t axis, const q_interval *range)
{
    const q_graph *graph = s->b->pruner->op->graph;
    for (q_id id = 1; id < graph->count && s->b->pruner->ordered; id++) {
        const q_node *node = q_node_of(graph, id);
        if (node->op == Q_OP_INDEX && node->k[0] == axis) s->boxes[s->box_count++] = (q_box){id, range};
    }
}

static quern_status begin(search *s, q_kept *out, const q_pruning_blocks *b)
{
    const q_pruner *pruner = b->pruner;
    *s = (search){.b = b};
    for (size_t v = 0; v < pruner->op->variable_count; v++)
        s->boxes[s->box_count++].id = pruner->op->graph->variables[pruner->op->variables[v]].id;
    add_numbers(s, pruner->rows, &s->row_numbers);
    add_numbers(s, pruner->reduced, &s->column_numbers);
    s->share = calloc(q_blocks_stride(pruner) + 1, sizeof *s->share);
    s->spare = calloc(q_blocks_stride(pruner) + 1, sizeof *s->spare);
    Q_TRY(q_kept_begin(out, b));
    if (!s->share || !s->spare) return q_fail_memory(q_blocks_stride(pruner) * sizeof *s->share);
    return q_ranges_create(&s->ranges, pruner->op->graph, pruner->reductions, pruner->reduction_count, b->dtype);
}

static void end(search *s)
{
    q_ranges_destroy(&s->ranges);
    free(s->share);
    free(s->spare);
}

/* Bounds all terms of the rows of one node and the columns of another. */
static void bound(search *s, size_t row_node, size_t column_node)
{
    const q_pruning_blocks *b = s->b;
    const quern_operator *op = b->pruner->op;
    const q_tree_node *rows = &b->rows->nodes[row_node], *columns = &b->columns->nodes[column_node];
    for (size_t v = 0; v < op->variable_count; v++) {
        uint8_t axis = op->graph->variables[op->variables[v]].axis;
        const q_interval *from = axis == b->pruner->rows      ? b->rows->boxes + row_node * b->rows->dim
                                 : axis == b->pruner->reduced ? b->columns->boxes + column_node * b->columns->dim
                                                              : b->parameters;
        s->boxes[v].ranges = from + b->offsets[v];
    }
    s->row_numbers = (q_interval){(double)rows->from, (double)(rows->to - 1)};
    s->column_numbers = (q_interval){(double)columns->from, (double)(columns->to - 1)};
    q_bounds_over(s->ranges, s->boxes, s->box_count);
}

// ---- columns that decide ----

enum { MORE_NEAR = 6 }; /* as cl/boxes_walk.cl has it */

static bool sums(const q_node *reduction)
{
    return reduction->op == Q_RED_Sum || reduction->op == Q_RED_LogSumExp;
}

/* Whether terms of interval a are likelier to be the ones that a reduction is after than those of b. */
static bool comes_before(q_op reduction, q_interval a, q_interval b)
{
    if (q_ops[reduction].smallest) return a.low < b.low || (a.low == b.low && a.high < b.high);
    return a.high > b.high || (a.high == b.high && a.low > b.low);
}

/* From a node on down. */
static size_t nearest_node(search *s, size_t row_node, size_t node, int64_t columns)
{
    const q_tree *tree = s->b->columns;
    const q_graph *graph = s->b->pruner->op->graph;
    const q_node *reduction = q_node_of(graph, s->b->pruner->reductions[0]);
    while (!q_tree_is_leaf(tree, node) && tree->nodes[node].to - tree->nodes[node].from >= 2 * columns) {
        size_t left = node + 1, right = tree->nodes[left].next;
        bound(s, row_node, left);
        q_interval first = *q_ranges_of(s->ranges, reduction->arg[0]);
        bound(s, row_node, right);
        node = comes_before((q_op)reduction->op, *q_ranges_of(s->ranges, reduction->arg[0]), first) ? right : left;
    }
    return node;
}

/* Of the nodes that a block meets, none of which is below another, the one that decides it most likely; SIZE_MAX: it meets
   nothing. */
static size_t nearest_met(search *s, size_t k)
{
    const q_tree *tree = s->b->columns;
    const q_node *reduction = q_node_of(s->b->pruner->op->graph, s->b->pruner->reductions[0]);
    q_interval best = {0, 0};
    size_t found = SIZE_MAX;
    for (size_t node = 0; node < tree->node_count;) {
        const q_tree_node *columns = &tree->nodes[node];
        bool meets = q_blocks_meet(s->b, k, columns);
        if (meets) {
            bound(s, s->b->row_blocks[k], node);
            const q_interval *terms = q_ranges_of(s->ranges, reduction->arg[0]);
            if (found == SIZE_MAX || comes_before((q_op)reduction->op, *terms, best)) best = *terms, found = node;
        }
        node = meets || q_blocks_miss(s->b, k, columns) ? columns->next : node + 1;
    }
    return found;
}

static size_t leaf_at(const q_tree *tree, int64_t place)
{
    size_t node = 0;
    while (!q_tree_is_leaf(tree, node)) node = place < tree->nodes[node + 1].to ? node + 1 : tree->nodes[node + 1].next;
    return node;
}

/* Whole leaves of the segment that a node of too few columns is in, behind it and then before it, until there are enough. */
static q_tree_node enough_around(const q_pruning_blocks *b, size_t k, size_t node, int64_t columns)
{
    const q_tree *tree = b->columns;
    q_tree_node found = tree->nodes[node];
    q_segment all = *q_blocks_segment(b, k, found.from);
    for (size_t next = found.next; found.to - found.from < columns && found.to < all.to;) {
        while (!q_tree_is_leaf(tree, next)) next++;
        found.to = tree->nodes[next].to;
        next = tree->nodes[next].next;
    }
    if (found.to - found.from < columns) {
        int64_t from = found.to - columns > all.from ? found.to - columns : all.from;
        found.from = tree->nodes[leaf_at(tree, from)].from;
    }
    return found;
}

/* Whether terms of interval a may be as good as the best of b. */
static bool may_equal(const q_node *reduction, q_interval a, q_interval b)
{
    if (sums(reduction)) return false;
    return q_ops[reduction->op].smallest ? a.low <= b.low : a.high >= b.high;
}

/* The leaf that is likeliest to decide, others about it, and those whose terms may be as good, as far as there is room for them. */
static quern_status find_near(search *s, q_kept *out, size_t k, int64_t least)
{
    const q_pruning_blocks *b = s->b;
    const q_node *reduction = q_node_of(b->pruner->op->graph, b->pruner->reductions[0]);
    q_row_block *block = q_kept_block(out, b, k);
    size_t nearest = nearest_node(s, b->row_blocks[k], 0, least), first = nearest_node(s, b->row_blocks[k], nearest, 1);
    if (!q_kept_add(out, block, &b->columns->nodes[first])) return q_fail_memory(out->capacity);
    const q_tree_node *own = &b->columns->nodes[nearest];
    bound(s, b->row_blocks[k], nearest);
    q_interval best = *q_ranges_of(s->ranges, reduction->arg[0]);
    int64_t room = MORE_NEAR * least;
    for (size_t node = 0; node < b->columns->node_count;) {
        const q_tree_node *columns = &b->columns->nodes[node];
        bool inside = columns->from < own->to && columns->to > own->from, leaf = q_tree_is_leaf(b->columns, node);
        if (!inside) bound(s, b->row_blocks[k], node);
        bool near = inside || may_equal(reduction, *q_ranges_of(s->ranges, reduction->arg[0]), best);
        bool taken = near && leaf && node != first && (inside || room > 0);
        if (taken && !q_kept_add(out, block, columns)) return q_fail_memory(out->capacity);
        if (near && leaf && !inside) room -= columns->to - columns->from;
        node = near ? node + 1 : columns->next;
    }
    return QUERN_OK;
}

/* The same where the block meets some columns alone. */
static quern_status find_met(search *s, q_kept *out, size_t k, int64_t least)
{
    q_row_block *block = q_kept_block(out, s->b, k);
    size_t top = nearest_met(s, k);
    if (top == SIZE_MAX) return QUERN_OK;
    size_t node = nearest_node(s, s->b->row_blocks[k], top, least);
    q_tree_node near = enough_around(s->b, k, node, least);
    return q_kept_add(out, block, &near) ? QUERN_OK : q_fail_memory(out->capacity);
}

quern_status q_blocks_near(q_kept *out, const q_pruning_blocks *b, int64_t columns)
{
    search s;
    quern_status status = begin(&s, out, b);
    for (size_t k = 0; k < b->block_count && !status; k++)
        status = b->mask ? find_met(&s, out, k, columns) : find_near(&s, out, k, columns);
    end(&s);
    return status;
}

// ---- columns that may matter ----

/* As cl/boxes.cl has them. */
static const double shared = 1 - 0x1p-30, spent = 0.125;

static double most(double a, double b)
{
    return a > b ? a : b;
}

/* What a Sum may lose, or the exponentials of a LogSumExp, of what is reached: that changes by -log(1 - loss). */
static double allowance(const q_pruning_blocks *b, q_op op, double reached, bool positive)
{
    if (op == Q_RED_Sum) return most(b->absolute, positive ? b->relative * reached : 0);
    return fabs(reached) < INFINITY ? -expm1(-most(b->absolute, reached > 0 ? b->relative * reached : 0)) : 0;
}

/* From the bounds of all columns. */
static void allow(search *s, const double *reached)
{
    const q_graph *graph = s->b->pruner->op->graph;
    size_t at = 0;
    for (size_t r = 0; r < s->b->pruner->reduction_count; r++) {
        const q_node *node = q_node_of(graph, s->b->pruner->reductions[r]);
        for (uint32_t d = 0; d < q_node_of(graph, node->arg[0])->dim; d++, at++) {
            bool positive = q_ranges_of(s->ranges, node->arg[0])[d].low >= 0 && !q_ranges_nan(s->ranges, node->arg[0]);
            double all = sums(node) ? allowance(s->b, (q_op)node->op, reached[at], positive) : 0;
            s->share[at] = all * (shared / (double)s->b->columns->count);
            s->spare[at] = 0;
        }
    }
}

/* What a term of a Sum or of the exponentials of a LogSumExp can be at most, of what is reached there. */
static double size_of(q_op op, q_interval terms, double reached)
{
    return op == Q_RED_Sum ? most(fabs(terms.low), fabs(terms.high)) : exp(terms.high - reached);
}

/* Whether the terms change nothing. What has been reached is to be found again, so equal terms count, as where an index is
   wanted. */
static bool is_idle(const search *s, const q_node *reduction, const double *reached)
{
    const q_interval *terms = q_ranges_of(s->ranges, reduction->arg[0]);
    q_op op = reduction->op == Q_RED_Min   ? Q_RED_ArgMin
              : reduction->op == Q_RED_Max ? Q_RED_ArgMax
                                           : (q_op)reduction->op;
    for (uint32_t d = 0; d < q_node_of(s->b->pruner->op->graph, reduction->arg[0])->dim; d++)
        if (!q_ops[op].idle(
                &(q_block){terms[d], reached[d], q_ranges_nan(s->ranges, reduction->arg[0]), s->b->dtype == QUERN_F32}))
            return false;
    return true;
}

/* `at` is the number of its first component. */
static bool may_be_lost(const search *s, const q_node *reduction, const double *reached, size_t at, double columns)
{
    const q_interval *terms = q_ranges_of(s->ranges, reduction->arg[0]);
    if (!sums(reduction) || q_ranges_nan(s->ranges, reduction->arg[0])) return false;
    for (uint32_t d = 0; d < q_node_of(s->b->pruner->op->graph, reduction->arg[0])->dim; d++, at++)
        if (!(size_of((q_op)reduction->op, terms[d], reached[at]) * columns <=
              s->share[at] * columns + s->spare[at] * spent))
            return false;
    return true;
}

static bool can_leave_out(const search *s, const double *reached, double columns)
{
    const q_pruner *pruner = s->b->pruner;
    const q_graph *graph = pruner->op->graph;
    size_t at = 0;
    for (size_t r = 0; r < pruner->reduction_count; r++) {
        const q_node *node = q_node_of(graph, pruner->reductions[r]);
        if (!is_idle(s, node, reached + at) && !may_be_lost(s, node, reached, at, columns)) return false;
        at += q_node_of(graph, node->arg[0])->dim;
    }
    return true;
}

/* The shares of columns that are left out, or kept: adds what the former may lose to `dropped`, and the rest to what is spare. */
static void settle(const search *s, const double *reached, double *dropped, double columns, bool left_out)
{
    const q_pruner *pruner = s->b->pruner;
    const q_graph *graph = pruner->op->graph;
    size_t at = 0;
    for (size_t r = 0; r < pruner->reduction_count; r++) {
        const q_node *node = q_node_of(graph, pruner->reductions[r]);
        const q_interval *terms = q_ranges_of(s->ranges, node->arg[0]);
        for (uint32_t d = 0; d < q_node_of(graph, node->arg[0])->dim; d++, at++) {
            double loss = sums(node) && left_out ? columns * size_of((q_op)node->op, terms[d], reached[at]) : 0;
            dropped[at] += loss;
            s->spare[at] += s->share[at] * columns - loss;
        }
    }
}

static quern_status keep(search *s, q_kept *out, size_t k, const double *reached)
{
    const q_pruning_blocks *b = s->b;
    q_row_block *block = q_kept_block(out, b, k);
    double *dropped = out->dropped + k * q_blocks_stride(b->pruner);
    q_met met = q_kept_met(b, k);
    if (!q_kept_begin_met(out, block, b, k)) return q_fail_memory(out->capacity);
    for (size_t node = 0; node < b->columns->node_count;) {
        const q_tree_node *columns = &b->columns->nodes[node];
        if (q_blocks_miss(b, k, columns)) {
            node = columns->next;
            continue;
        }
        bound(s, b->row_blocks[k], node);
        if (!node) allow(s, reached);
        double count = (double)(columns->to - columns->from);
        bool leaf = q_tree_is_leaf(b->columns, node), left_out = can_leave_out(s, reached, count);
        if (leaf || left_out) settle(s, reached, dropped, count, left_out);
        if (leaf && !left_out && !q_kept_has_met(&met, columns) && !q_kept_add(out, block, columns))
            return q_fail_memory(out->capacity);
        node = left_out ? columns->next : node + 1;
    }
    return QUERN_OK;
}

quern_status q_blocks_kept(q_kept *out, const q_pruning_blocks *b, const double *reached)
{
    search s;
    quern_status status = begin(&s, out, b);
    for (size_t k = 0; k < b->block_count && !status; k++)
        status = keep(&s, out, k, reached + k * q_blocks_stride(b->pruner));
    end(&s);
    return status;
}
