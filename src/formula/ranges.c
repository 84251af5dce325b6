/*
 * ranges.c: interval arithmetic over boxes. Where bounds.c has one interval for a node, whatever its variables are, here
 * each component has its own, while the components of variables lie in boxes: those of a block of rows and columns, say.
 * From the interval of its terms a reduction tells, by a column of its table row, whether the block can matter.
 *
 * Intervals hold what a device computes in the type of the arrays, not only what the formula says: each step is widened
 * by 256 units of rounding, which is more than OpenCL allows any function and than docs/numbers.md allows for inverses,
 * fused products and expanded distances of up to 12 components; longer sums get more. Below the normal range units are those of
 * its least number; numbers there may be taken for 0, and those far below always are, unless they are products, which may get
 * another factor first.
 *
 * Whether a value may be NaN is kept apart, since some reductions pass over it.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "formula/formula.h"

struct q_ranges {
    const q_graph *graph;
    uint8_t *marks; /* nodes that the roots are made of */
    bool *nan;
    size_t *start; /* by node: where its intervals are in data */
    q_interval *data;
    bool single;
};

static const q_interval everything = {-INFINITY, INFINITY};

quern_status q_ranges_create(q_ranges **out, const q_graph *graph, const q_id *roots, size_t count, quern_dtype dtype)
{
    q_ranges *r = *out = calloc(1, sizeof *r);
    if (!r) return q_fail_memory(sizeof *r);
    size_t total = 0;
    r->graph = graph, r->single = dtype == QUERN_F32;
    r->marks = malloc(graph->count);
    r->nan = calloc(graph->count, sizeof *r->nan);
    r->start = calloc(graph->count, sizeof *r->start);
    if (r->marks && r->nan && r->start) {
        q_mark(graph, roots, count, false, r->marks);
        for (q_id id = 1; id < graph->count; id++) {
            r->start[id] = total;
            if (r->marks[id]) total += q_node_of(graph, id)->dim;
        }
        r->data = calloc(total + 1, sizeof *r->data);
    }
    if (r->data) return QUERN_OK;
    q_ranges_destroy(out);
    return q_fail_memory(total * sizeof(q_interval));
}

void q_ranges_destroy(q_ranges **ranges)
{
    q_ranges *r = *ranges;
    if (!r) return;
    free(r->marks);
    free(r->nan);
    free(r->start);
    free(r->data);
    free(r);
    *ranges = NULL;
}

const q_interval *q_ranges_of(const q_ranges *r, q_id id)
{
    return r->data + r->start[id];
}

bool q_ranges_nan(const q_ranges *r, q_id id)
{
    return r->nan[id];
}

// ---- rounding ----

/* The number that a bound may have become, upwards; `steps` units of rounding are added, and what is below `nothing` is 0. */
static double raised(const q_ranges *r, double x, double steps, double nothing)
{
    double unit = r->single ? 0x1p-24 : 0x1p-53, most = r->single ? (double)FLT_MAX : DBL_MAX;
    double least = r->single ? (double)FLT_MIN : DBL_MIN, far_below = r->single ? 0x1p-160 : 0;
    x += fabs(x) < INFINITY ? (fabs(x) + (x > far_below ? least : 0)) * (unit * steps) : 0;
    if (x > most) return INFINITY;
    if (x < -most) return -most;
    return (x < 0 && x > -least) || (x > 0 && x < nothing) ? 0 : x;
}

static q_interval rounded(const q_ranges *r, q_interval x, double steps)
{
    double nothing = r->single ? 0x1p-160 : 0;
    return (q_interval){-raised(r, -x.low, steps, nothing), raised(r, x.high, steps, nothing)};
}

q_interval q_range_read(q_interval x, quern_dtype dtype)
{
    return rounded(&(q_ranges){.single = dtype == QUERN_F32}, x, 1);
}

/* Products may be taken apart and multiplied in another order, so a small one is nothing only at the end. */
static q_interval rounded_product(const q_ranges *r, q_interval x, double steps)
{
    return (q_interval){-raised(r, -x.low, steps, 0), raised(r, x.high, steps, 0)};
}

enum { STEPS = 256 };

/* The sum of terms, in any order, and as expanded squared distances. */
typedef struct total {
    double low, high, size, count;
    bool signs; /* of both */
} total;

static void add_term(total *t, q_interval x)
{
    t->low += x.low, t->high += x.high, t->count += 1;
    t->size += fmax(fabs(x.low), fabs(x.high));
    t->signs = t->signs || (t->low < 0 && t->high > 0);
}

static q_interval sum_of(const q_ranges *r, const total *t)
{
    double steps = STEPS + 32 * t->count, spread = t->signs ? t->size * steps * (r->single ? 0x1p-24 : 0x1p-53) : 0;
    q_interval sum = {t->low - spread, t->high + spread};
    if (isnan(sum.low) || isnan(sum.high)) return everything;
    return t->count == 1 ? rounded_product(r, sum, steps) : rounded(r, sum, steps);
}

// ---- nodes ----

static const q_interval *operand(const q_ranges *r, const q_node *node, int a, uint32_t d)
{
    return &r->data[r->start[node->arg[a]] + (q_node_of(r->graph, node->arg[a])->dim > 1 ? d : 0)];
}

static bool is_finite(q_interval x)
{
    return x.low > -INFINITY && x.high < INFINITY;
}

/* Steps and comparisons that the boxes decide, where nothing is NaN. */
static bool decide(const q_node *node, const q_interval *x, q_interval *out)
{
    bool before = x[0].high<x[1].low, after = x[0].low> x[1].high;
    const q_interval yes = {1, 1}, no = {0, 0};
    switch (node->op) {
    case Q_OP_LessThan: return *out = before ? yes : no, before || x[0].low >= x[1].high;
    case Q_OP_LessOrEqual: return *out = after ? no : yes, after || x[0].high <= x[1].low;
    case Q_OP_Equal: return *out = no, before || after;
    case Q_OP_NotEqual: return *out = yes, before || after;
    case Q_OP_Step: return *out = x[0].low >= 0 ? yes : no, x[0].low >= 0 || x[0].high < 0;
    default: return false;
    }
}

/* IfElse and Where hand on one of two values as it is, infinite or NaN, and nothing of the other. */
static void bound_choice(q_ranges *r, const q_node *node, q_interval *out)
{
    bool nan = false, known = !r->nan[node->arg[0]];
    for (uint32_t d = 0; d < node->dim; d++) {
        q_interval x[3] = {*operand(r, node, 0, d), *operand(r, node, 1, d), *operand(r, node, 2, d)};
        bool is_zero = x[0].low == 0 && x[0].high == 0, not_zero = x[0].low > 0 || x[0].high < 0;
        bool first = known && (node->op == Q_OP_Where ? not_zero : x[0].low >= 0);
        bool second = known && (node->op == Q_OP_Where ? is_zero : x[0].high < 0);
        nan = nan || (!second && r->nan[node->arg[1]]) || (!first && r->nan[node->arg[2]]);
        out[d] = first ? x[1] : second ? x[2] : rounded(r, q_bounds_elementwise(node, x), STEPS);
    }
    r->nan[(size_t)(node - r->graph->nodes)] = nan;
}

static void bound_elementwise(q_ranges *r, const q_node *node, q_interval *out)
{
    const q_op_row *row = &q_ops[node->op];
    bool nan = false;
    for (int a = 0; a < row->operands; a++) nan = nan || r->nan[node->arg[a]];
    bool given = nan; /* to it */
    for (uint32_t d = 0; d < node->dim; d++) {
        q_interval x[3] = {{0, 0}, {0, 0}, {0, 0}};
        for (int a = 0; a < row->operands; a++) {
            x[a] = *operand(r, node, a, d);
            nan = nan || !is_finite(x[a]);
        }
        nan = nan || (row->domain && !row->domain(x + row->decides, node->k));
        if (given || !decide(node, x, &out[d]))
            out[d] = q_is_product(node) ? rounded_product(r, q_bounds_elementwise(node, x), STEPS)
                                        : rounded(r, q_bounds_elementwise(node, x), STEPS);
    }
    r->nan[(size_t)(node - r->graph->nodes)] = nan;
}

static void bound_expand(const q_ranges *r, const q_node *node, q_interval *out)
{
    uint32_t n = q_node_of(r->graph, node->arg[0])->dim;
    total sum = {0};
    q_interval least = *operand(r, node, 0, 0), most = least;
    for (uint32_t d = 0; d < n; d++) {
        q_interval x = *operand(r, node, 0, d);
        add_term(&sum, x);
        least = (q_interval){fmin(least.low, x.low), fmin(least.high, x.high)};
        most = (q_interval){fmax(most.low, x.low), fmax(most.high, x.high)};
    }
    /* an extremum is one of the components, whichever NaN leaves */
    if (r->nan[node->arg[0]]) least.high = most.high, most.low = least.low;
    q_interval all = {0, node->op == Q_OP_OneHot ? 1 : n};
    q_interval result = node->op == Q_OP_Sum   ? sum_of(r, &sum)
                        : node->op == Q_OP_Max ? most
                        : node->op == Q_OP_Min ? least
                                               : all;
    for (uint32_t d = 0; d < node->dim; d++) out[d] = result;
}

static void bound_contract(const q_ranges *r, const q_node *node, q_interval *out)
{
    const q_contraction *c = q_contraction_of(r->graph, node);
    for (uint32_t d = 0; d < node->dim; d++) {
        total sum = {0};
        for (uint32_t t = 0; t < q_contraction_terms(c); t++) {
            uint32_t a, b;
            q_contraction_term(c, d, t, &a, &b);
            q_interval x[2] = {*operand(r, node, 0, a), *operand(r, node, 1, b)};
            add_term(&sum, q_interval_multiply(x, node->k));
        }
        out[d] = sum_of(r, &sum);
    }
}

static void bound_gather(const q_ranges *r, const q_node *node, q_interval *out)
{
    uint32_t n = q_node_of(r->graph, node->arg[0])->dim;
    uint32_t m = node->arg[1] ? q_node_of(r->graph, node->arg[1])->dim : 0;
    for (uint32_t d = 0; d < node->dim; d++) {
        uint32_t component = 0;
        int from = q_ops[node->op].pick(d, n, m, node->k, &component);
        out[d] = from < 0 ? (q_interval){0, 0} : *operand(r, node, from, component);
    }
}

static void bound_leaf(const q_ranges *r, const q_node *node, q_interval *out)
{
    q_interval range = everything;
    if (node->op == Q_OP_CONSTANT && !isnan(node->value)) range = (q_interval){node->value, node->value};
    if (node->op == Q_OP_INDEX || node->op == Q_OP_COUNT) range = (q_interval){0, INT32_MAX - 1};
    if (q_is_reduction(node) && q_ops[node->op].reduction == Q_INDEX) range = (q_interval){-1, INT32_MAX - 1};
    bool infinite = range.low == range.high && isinf(range.low); /* which has not become finite */
    for (uint32_t d = 0; d < node->dim; d++)                     /* constants may have met others */
        out[d] = infinite ? range : rounded(r, range, STEPS);
}

/* Whether NaN can come of operands that cannot be it: sums of infinities, products of them with 0. */
static bool makes_nan(const q_ranges *r, const q_node *node)
{
    bool nan = false;
    for (int a = 0; a < 3 && node->arg[a]; a++) {
        nan = nan || r->nan[node->arg[a]];
        for (uint32_t d = 0; d < q_node_of(r->graph, node->arg[a])->dim && node->op != Q_OP_REPEAT; d++)
            nan = nan || !is_finite(*operand(r, node, a, d));
    }
    return nan;
}

static void bound_node(q_ranges *r, q_id id)
{
    const q_node *node = q_node_of(r->graph, id);
    q_interval *out = r->data + r->start[id];
    r->nan[id] = makes_nan(r, node);
    switch (q_ops[node->op].kind) {
    case Q_KIND_ELEMENTWISE:
        if (node->op == Q_OP_IfElse || node->op == Q_OP_Where) bound_choice(r, node, out);
        else bound_elementwise(r, node, out);
        break;
    case Q_KIND_EXPAND: bound_expand(r, node, out); break;
    case Q_KIND_CONTRACT: bound_contract(r, node, out); break;
    case Q_KIND_GATHER: bound_gather(r, node, out); break;
    case Q_KIND_LOOKUP: /* of rows that are in no box */
        r->nan[id] = true;
        bound_leaf(r, node, out);
        break;
    case Q_KIND_REPEAT:
        for (uint32_t d = 0; d < node->dim; d++) out[d] = *operand(r, node, 0, d);
        break;
    case Q_KIND_LEAF:
        r->nan[id] = node->op == Q_OP_VARIABLE || (node->op == Q_OP_CONSTANT && isnan(node->value));
        bound_leaf(r, node, out);
        break;
    case Q_KIND_REDUCTION:
        r->nan[id] = q_ops[node->op].reduction != Q_INDEX;
        bound_leaf(r, node, out);
        break;
    }
}

/* Rows and columns are numbered exactly, whatever the type. */
static void place(q_ranges *r, q_id id, const q_interval *ranges)
{
    bool exact = q_node_of(r->graph, id)->integer;
    r->nan[id] = false;
    for (uint32_t d = 0; d < q_node_of(r->graph, id)->dim; d++) {
        r->data[r->start[id] + d] = exact ? ranges[d] : rounded(r, ranges[d], 1);
        r->nan[id] = r->nan[id] || !is_finite(ranges[d]);
    }
}

void q_bounds_over(q_ranges *r, const q_box *boxes, size_t count)
{
    for (q_id id = 1; id < r->graph->count; id++) {
        if (!r->marks[id]) continue;
        const q_interval *known = NULL;
        for (size_t b = 0; b < count; b++)
            if (boxes[b].id == id) known = boxes[b].ranges;
        if (known) place(r, id, known);
        else bound_node(r, id);
    }
}

// ---- blocks that cannot matter, as reductions.def names the rules ----

bool q_idle_never(const q_block *block)
{
    (void)block;
    return false;
}

bool q_idle_zero(const q_block *block)
{
    return !block->nan && block->terms.low == 0 && block->terms.high == 0;
}

bool q_idle_not_above(const q_block *block)
{
    return block->terms.high <= block->reached;
}

bool q_idle_not_below(const q_block *block)
{
    return block->terms.low >= block->reached;
}

/* A term that equals the last of those chosen may stand before it, but for an infinity, which is never chosen. */
bool q_idle_below(const q_block *block)
{
    return block->terms.high < block->reached || block->terms.high == -INFINITY;
}

bool q_idle_above(const q_block *block)
{
    return block->terms.low > block->reached || block->terms.low == INFINITY;
}

/* What 2^31 terms so far below add to the sum of exponentials is less than a rounding of it. */
bool q_idle_far_below(const q_block *block)
{
    return !block->nan && block->reached < INFINITY && block->terms.high < block->reached - (block->single ? 110 : 780);
}

bool q_ranges_idle(const q_ranges *r, q_id reduction, const double *reached)
{
    const q_node *node = q_node_of(r->graph, reduction);
    q_id term = node->arg[0];
    for (uint32_t d = 0; d < q_node_of(r->graph, term)->dim; d++) {
        q_block block = {q_ranges_of(r, term)[d], reached[d], r->nan[term], r->single};
        if (!q_ops[node->op].idle(&block)) return false;
    }
    return true;
}
