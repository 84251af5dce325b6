/*
 * boxes_walk.cl: which blocks of columns a block of rows must meet. A work-item has a block of rows and walks down the tree of
 * columns (src/run/tree.c): what is below a node whose terms cannot matter is left out, as src/run/prune_bounds.c does.
 *
 * Holes, filled by src/plan/boxes.c:
 *   Q_TERMS              components of all terms
 *   q_kinds q_term_of    by component: a Q_IS_...; the number of its reduction
 *   q_bounded q_bound    the intervals of all terms over the boxes of rows and columns; by reduction, whether one may be NaN
 */
#ifndef Q_TERMS /* compiled alone: the distance of two numbers */
#include "boxes.cl"
#define Q_TERMS 1
typedef struct {
    q_interval term[1];
    int nan[1];
} q_bounded;
__constant int q_kinds[1] = {Q_IS_SUMMED};
__constant int q_term_of[1] = {0};
Q_FN void q_bound(q_bounded *out, __global const double *rows, __global const double *columns, __global const double *parameters,
                  const q_interval row_numbers, const q_interval column_numbers)
{
    const q_interval x = {rows[0], rows[1]}, y = {columns[0], columns[1]};
    out->term[0] = q_rounded(q_rule_absolute(q_rule_subtract(x, y, y, 0), y, y, 0), Q_STEPS);
    out->nan[0] = !q_finite(x) || !q_finite(y);
}
#endif

/* A node of a tree: first place and the one behind the last, the node after all that are below, and its number among leaves, or -1. */
typedef struct {
    int from, to, next, leaf;
} q_tree_node;

/* Whether terms change nothing of what is reached: the column `idle` of reductions.def. */
Q_FN int q_idle(const int kind, const q_interval x, const int nan, const double reached)
{
    if (kind == Q_IS_SMALLEST) return x.low > reached;
    if (kind == Q_IS_LARGEST) return x.high < reached;
    if (kind == Q_IS_LOG_SUMMED) return !nan && reached < INFINITY && x.high < reached - Q_FAR;
    return !nan && x.low == 0 && x.high == 0;
}

/* How much a term of a sum is at most; of a LogSumExp its logarithm. */
Q_FN double q_size(const int kind, const q_interval x)
{
    return kind == Q_IS_LOG_SUMMED ? x.high : fmax(fabs(x.low), fabs(x.high));
}

Q_FN double q_allowed(const int kind, const double reached, const int positive, const double absolute, const double relative,
                      const double columns)
{
    if (kind == Q_IS_SUMMED) return fmax(absolute, positive ? relative * reached : 0) / columns;
    const double change = fmax(absolute, reached > 0 ? relative * reached : 0);
    return kind == Q_IS_LOG_SUMMED && change > 0 && fabs(reached) < INFINITY ? reached + log(change / columns) : -INFINITY;
}

Q_FN int q_may_go(const int kind, const q_interval x, const int nan, const double reached, const double allowed)
{
    const int sums = kind == Q_IS_SUMMED || kind == Q_IS_LOG_SUMMED;
    return q_idle(kind, x, nan, reached) || (sums && !nan && q_size(kind, x) <= allowed);
}

Q_FN void q_bound_nodes(q_bounded *out, __global const double *row_boxes, const int row_dim, __global const q_tree_node *row,
                        const int row_node, __global const double *column_boxes, const int column_dim,
                        __global const q_tree_node *column, const int node, __global const double *parameters)
{
    const q_interval row_numbers = {row->from, row->to - 1}, column_numbers = {column->from, column->to - 1};
    q_bound(out, row_boxes + 2L * row_dim * row_node, column_boxes + 2L * column_dim * node, parameters, row_numbers, column_numbers);
}

#define Q_BOUND(node)                                                                                                  \
    q_bound_nodes(&bounds, row_boxes, row_dim, row_nodes + row, row, column_boxes, column_dim, column_nodes + (node), node, \
                  parameters)

/* For each block the node of at least so many columns whose terms are likeliest to decide the first reduction. */
#define Q_NEAR(least)                                                                                                  \
    int node = 0;                                                                                                      \
    while (column_nodes[node].leaf < 0 && column_nodes[node].to - column_nodes[node].from >= 2 * (least)) {            \
        const int left = node + 1, right = column_nodes[left].next;                                                    \
        Q_BOUND(left);                                                                                                 \
        const q_interval a = bounds.term[0];                                                                           \
        Q_BOUND(right);                                                                                                \
        const q_interval b = bounds.term[0];                                                                           \
        const int before = q_kinds[0] == Q_IS_SMALLEST ? b.low < a.low || (b.low == a.low && b.high < a.high)          \
                                                       : b.high > a.high || (b.high == a.high && b.low > a.low);       \
        node = before ? right : left;                                                                                  \
    }

/* Blocks first .. first + block_count - 1: bits of the leaves that each must meet, a row of words for it, and what it loses; or,
   unless least_near is 0, in `kept` the one node of at least so many columns that it is to meet first. */
__kernel void quern_boxes(__global const double *row_boxes, const int row_dim, __global const q_tree_node *row_nodes,
                          __global const double *column_boxes, const int column_dim,
                          __global const q_tree_node *column_nodes, const int column_node_count,
                          __global const double *parameters, __global const int *blocks, const int first,
                          const int block_count, const int least_near, __global const double *reached,
                          const double absolute, const double relative, __global uint *kept, const int words,
                          __global double *dropped)
{
    const int block = (int)get_global_id(0);
    if (block >= block_count) return;
    const int row = blocks[first + block];
    __global uint *const bits = kept + (long)block * words;
    q_bounded bounds;
    if (least_near) {
        Q_NEAR(least_near)
        bits[0] = (uint)node;
        return;
    }
    __global const double *const own = reached + (long)(first + block) * Q_TERMS;
    double allowed[Q_TERMS], lost[Q_TERMS];
    for (int w = 0; w < words; w++) bits[w] = 0;
    Q_BOUND(0);
    for (int d = 0; d < Q_TERMS; d++) {
        const int positive = bounds.term[d].low >= 0 && !bounds.nan[q_term_of[d]];
        allowed[d] = q_allowed(q_kinds[d], own[d], positive, absolute, relative, column_nodes[0].to);
        lost[d] = 0;
    }
    for (int node = 0; node < column_node_count;) {
        const q_tree_node columns = column_nodes[node];
        const double count = columns.to - columns.from;
        int out = 1;
        Q_BOUND(node);
        for (int d = 0; d < Q_TERMS && out; d++)
            out = q_may_go(q_kinds[d], bounds.term[d], bounds.nan[q_term_of[d]], own[d], allowed[d]);
        for (int d = 0; d < Q_TERMS && out; d++) {
            if (q_kinds[d] == Q_IS_SUMMED) lost[d] += count * q_size(Q_IS_SUMMED, bounds.term[d]);
            if (q_kinds[d] == Q_IS_LOG_SUMMED) lost[d] += count * exp(bounds.term[d].high - own[d]);
        }
        if (!out && columns.leaf >= 0) bits[columns.leaf / 32] |= 1u << columns.leaf % 32;
        node = out ? columns.next : node + 1;
    }
    for (int d = 0; d < Q_TERMS; d++) dropped[(long)(first + block) * Q_TERMS + d] = lost[d];
}
