/*
 * boxes_walk.cl: which blocks of columns a block of rows must meet. A work-item has Q_LANES blocks of rows, neighbours, and walks
 * down the tree of columns (src/run/tree.c) with all of them: what is below a node whose terms cannot matter to any is left
 * out, as src/run/prune_bounds.c does.
 *
 * Holes, filled by src/plan/boxes.c:
 *   Q_TERMS                   components of all terms
 *   Q_ROW_DIM Q_COLUMN_DIM    components of all variables of the rows, and of the columns
 *   q_kinds q_term_of         by component: a Q_IS_...; the number of its reduction
 *   q_bounded q_bound         the intervals of all terms over the boxes of rows and columns; by reduction, whether one may be NaN
 */
#ifndef Q_TERMS /* compiled alone: the distance of two numbers */
#include "boxes.cl"
#define Q_TERMS 1
#define Q_ROW_DIM 1
#define Q_COLUMN_DIM 1
typedef struct {
    q_interval term[1];
    qint nan[1];
} q_bounded;
__constant int q_kinds[1] = {Q_IS_SUMMED};
__constant int q_term_of[1] = {0};
Q_INLINED void q_bound(q_bounded *out, const q_interval *rows, const q_interval *columns, __global const double *parameters,
                       const q_interval row_numbers, const q_interval column_numbers)
{
    out->term[0] = q_rounded(q_rule_absolute(q_rule_subtract(rows[0], columns[0], rows[0], 0), rows[0], rows[0], 0), Q_STEPS);
    out->nan[0] = !q_finite(rows[0]) | !q_finite(columns[0]);
}
#endif

/* A node of a tree: first place and the one behind the last, the node after all that are below, and its number among leaves, or -1. */
typedef struct {
    int from, to, next, leaf;
} q_tree_node;

/* Whether terms change nothing of what is reached: the column `idle` of reductions.def. Infinities of the wrong sign never do. */
Q_FN qint q_idle(const int kind, const q_interval x, const qint nan, const real reached)
{
    if (kind == Q_IS_SMALLEST) return (x.low > reached) | (x.low == INFINITY);
    if (kind == Q_IS_LARGEST) return (x.high < reached) | (x.high == -INFINITY);
    if (kind == Q_IS_LOG_SUMMED) return !nan & (reached < INFINITY) & (x.high < reached - Q_FAR);
    return !nan & (x.low == 0) & (x.high == 0);
}

Q_FN int q_sums(const int kind)
{
    return kind == Q_IS_SUMMED || kind == Q_IS_LOG_SUMMED;
}

/* How much a term of a sum, or of the exponentials of a LogSumExp, is at most, of what is reached there. */
Q_FN real q_size(const int kind, const q_interval x, const real reached)
{
    return kind == Q_IS_LOG_SUMMED ? exp(x.high - reached) : fmax(fabs(x.low), fabs(x.high));
}

/* What a sum may lose, in the same units: a LogSumExp changes by -log(1 - loss). */
Q_FN real q_allowance(const int kind, const real reached, const qint positive, const double absolute, const double relative)
{
    if (kind == Q_IS_SUMMED) return fmax(q_select(positive, reached * (real)relative, 0), (real)absolute);
    const real change = fmax(q_select(reached > 0, reached * (real)relative, 0), (real)absolute);
    return q_select(fabs(reached) < INFINITY, -q_expm1(-change), 0);
}

/* Where it is inlined, what is not asked of the bounds is not computed. */
Q_INLINED void q_bound_node(q_bounded *out, const q_interval *rows, __global const double *box, const q_tree_node columns,
                       __global const double *parameters)
{
    q_interval own[Q_COLUMN_DIM + 1];
    for (int d = 0; d < Q_COLUMN_DIM; d++) own[d] = q_constant(box[2 * d], box[2 * d + 1]);
    q_bound(out, rows, own, parameters, rows[Q_ROW_DIM], q_constant(columns.from, columns.to - 1));
}

/* The same with a node of its own for each block. */
static __attribute__((noinline)) void q_bound_apart(q_bounded *out, const q_interval *rows, __global const double *boxes,
                        __global const q_tree_node *nodes, const int *node, __global const double *parameters)
{
    double low[Q_LANES], high[Q_LANES];
    q_interval own[Q_COLUMN_DIM + 1];
    for (int d = 0; d < Q_COLUMN_DIM; d++) {
        for (int lane = 0; lane < Q_LANES; lane++) {
            __global const double *const box = boxes + 2 * (Q_COLUMN_DIM * (long)node[lane] + d);
            low[lane] = box[0], high[lane] = box[1];
        }
        own[d] = q_span(q_read(low), q_read(high));
    }
    for (int lane = 0; lane < Q_LANES; lane++) low[lane] = nodes[node[lane]].from, high[lane] = nodes[node[lane]].to - 1;
    q_bound(out, rows, own, parameters, rows[Q_ROW_DIM], q_span(q_read(low), q_read(high)));
}

/* Whether b is likelier to decide the first reduction. */
Q_FN qint q_comes_before(const q_interval b, const q_interval a)
{
    return q_kinds[0] == Q_IS_SMALLEST ? (b.low < a.low) | ((b.low == a.low) & (b.high < a.high))
                                       : (b.high > a.high) | ((b.high == a.high) & (b.low > a.low));
}

/* For each block the node of at least so many columns, below the one that it has, whose terms are likeliest to decide. */
Q_FN void q_find_near(int *node, const q_interval *rows, __global const double *boxes, __global const q_tree_node *nodes,
                      __global const double *parameters, const int least)
{
    int left[Q_LANES], right[Q_LANES], again = 1;
    sint before[Q_LANES];
    q_bounded bounds;
    while (again) {
        again = 0;
        for (int lane = 0; lane < Q_LANES; lane++) {
            const q_tree_node at = nodes[node[lane]];
            const int ends = at.leaf >= 0 || at.to - at.from < 2 * least;
            again |= !ends;
            left[lane] = ends ? node[lane] : node[lane] + 1;
            right[lane] = ends ? node[lane] : nodes[node[lane] + 1].next;
        }
        q_bound_apart(&bounds, rows, boxes, nodes, left, parameters);
        const q_interval a = bounds.term[0];
        q_bound_apart(&bounds, rows, boxes, nodes, right, parameters);
        const qint takes_right = q_comes_before(bounds.term[0], a);
        q_write(takes_right, before);
        for (int lane = 0; lane < Q_LANES; lane++) node[lane] = before[lane] ? right[lane] : left[lane];
    }
}

/* What blocks meet first: the columns from..to - 1 of the node that is likeliest to decide, and leaves whose terms may be as good. */
typedef struct {
    qint from, to;
    real best;
    int left[Q_LANES]; /* columns that each may still have of these */
    int leaf[Q_LANES]; /* the likeliest one */
} q_near;

#define Q_MORE_NEAR 6 /* times as many columns as are asked for */

Q_FN void q_begin_near(q_near *near, const q_interval *rows, __global const double *boxes,
                       __global const q_tree_node *nodes, __global const double *parameters, const int least)
{
    int node[Q_LANES];
    sint from[Q_LANES], to[Q_LANES];
    q_bounded bounds;
    for (int lane = 0; lane < Q_LANES; lane++) node[lane] = 0;
    q_find_near(node, rows, boxes, nodes, parameters, least);
    q_bound_apart(&bounds, rows, boxes, nodes, node, parameters);
    for (int lane = 0; lane < Q_LANES; lane++) {
        from[lane] = nodes[node[lane]].from, to[lane] = nodes[node[lane]].to;
        near->left[lane] = Q_MORE_NEAR * least;
    }
    near->from = q_read(from), near->to = q_read(to);
    near->best = q_kinds[0] == Q_IS_SMALLEST ? bounds.term[0].low : bounds.term[0].high;
    q_find_near(node, rows, boxes, nodes, parameters, 1);
    for (int lane = 0; lane < Q_LANES; lane++) near->leaf[lane] = nodes[node[lane]].leaf;
}

Q_FN qint q_has_near(const q_near *near, const q_tree_node columns)
{
    return (near->from < (sint)columns.to) & (near->to > (sint)columns.from);
}

/* Whether a node has columns to be met first. */
Q_FN qint q_is_near(const q_near *near, const q_interval x, const q_tree_node columns)
{
    qint as_good = (qint)0;
    if (q_kinds[0] == Q_IS_SMALLEST) as_good = x.low <= near->best;
    if (q_kinds[0] == Q_IS_LARGEST) as_good = x.high >= near->best;
    return as_good | q_has_near(near, columns);
}

/* Takes a leaf into account of the blocks that are to meet it, or takes it from them. */
Q_FN void q_take_near(q_near *near, sint *flags, const q_tree_node columns)
{
    sint own[Q_LANES];
    q_write(q_has_near(near, columns), own);
    for (int lane = 0; lane < Q_LANES; lane++) {
        if (!flags[lane] || own[lane]) continue;
        flags[lane] = near->left[lane] > 0;
        near->left[lane] -= columns.to - columns.from;
    }
}

/* Blocks first .. first + block_count - 1: bits of the leaves that each must meet, a row of words for it, and what it loses; or,
   unless least_near is 0, of those that it is to meet first, at least so many columns, and which is the likeliest leaf. The boxes of rows, and
   behind them the first and last place, are in packs of Q_LANES blocks, number by number; `first` begins a pack.

   A sum may lose its allowance, of which each column has an equal share. What columns do not need of theirs is `spare`: others
   may have a part of that. */
__kernel void quern_boxes(__global const double *row_boxes, __global const double *column_boxes,
                          __global const q_tree_node *column_nodes, const int column_node_count,
                          __global const double *parameters, const int first, const int block_count,
                          const int least_near, __global const double *reached, const double absolute,
                          const double relative, __global uint *kept, const int words, __global double *dropped)
{
    const int pack = (int)get_global_id(0), block = pack * Q_LANES;
    if (block >= block_count) return;
    const int lanes = min(Q_LANES, block_count - block);
    __global const double *const box = row_boxes + (long)(first / Q_LANES + pack) * (2 * Q_ROW_DIM + 2) * Q_LANES;
    q_interval rows[Q_ROW_DIM + 1];
    for (int d = 0; d <= Q_ROW_DIM; d++) rows[d] = q_span(q_read(box + 2 * d * Q_LANES), q_read(box + (2 * d + 1) * Q_LANES));
    q_bounded bounds;
    q_near near;
    if (least_near) q_begin_near(&near, rows, column_boxes, column_nodes, parameters, least_near);
    real own[Q_TERMS], share[Q_TERMS], spare[Q_TERMS], lost[Q_TERMS];
    double numbers[Q_LANES];
    sint flags[Q_LANES];
    for (int w = 0; w < lanes * words; w++) kept[(long)block * words + w] = 0;
    for (int d = 0; d < Q_TERMS; d++) {
        for (int lane = 0; lane < Q_LANES; lane++)
            numbers[lane] = least_near ? 0 : reached[(long)(first + block + min(lane, lanes - 1)) * Q_TERMS + d];
        own[d] = q_read(numbers);
        share[d] = spare[d] = lost[d] = (real)0.0;
    }
    for (int lane = 0; lane < Q_LANES; lane++) flags[lane] = lane < lanes ? 0 : column_node_count;
    qint until = q_read(flags); /* the node before which a block has left out all */
    for (int node = 0; node < column_node_count;) {
        const q_tree_node columns = column_nodes[node];
        const double count = columns.to - columns.from;
        const qint done = until > (sint)node;
        qint out = !done;
        q_bound_node(&bounds, rows, column_boxes + 2 * Q_COLUMN_DIM * (long)node, columns, parameters);
        for (int d = 0; d < Q_TERMS && !node; d++) {
            const qint positive = (bounds.term[d].low >= 0) & !bounds.nan[q_term_of[d]];
            if (q_sums(q_kinds[d]))
                share[d] = q_allowance(q_kinds[d], own[d], positive, absolute, relative) * (real)(Q_SHARED / count);
        }
        if (least_near) out &= !q_is_near(&near, bounds.term[0], columns);
        for (int d = 0; d < Q_TERMS && !least_near; d++) {
            const q_interval x = bounds.term[d];
            const qint nan = bounds.nan[q_term_of[d]];
            qint may = q_idle(q_kinds[d], x, nan, own[d]);
            if (q_sums(q_kinds[d]))
                may |= !nan & (q_size(q_kinds[d], x, own[d]) * count <= share[d] * count + spare[d] * Q_SPENT);
            out &= may;
        }
        const qint stays = !(out | done);
        const int some = q_any(stays), leaf = columns.leaf;
        for (int d = 0; d < Q_TERMS && !least_near; d++)
            if (q_sums(q_kinds[d])) {
                const real loss = q_select(out, q_size(q_kinds[d], bounds.term[d], own[d]) * count, 0);
                const qint settled = leaf >= 0 ? !done : out;
                lost[d] += loss;
                spare[d] += q_select(settled, share[d] * count - loss, 0);
            }
        until = q_select_int(out, (sint)columns.next, until);
        if (some && leaf >= 0) {
            q_write(stays, flags);
            if (least_near) q_take_near(&near, flags, columns);
            for (int lane = 0; lane < lanes; lane++)
                if (flags[lane]) kept[(long)(block + lane) * words + leaf / 32] |= 1u << leaf % 32;
        }
        node = some ? node + 1 : columns.next;
    }
    for (int d = 0; d < Q_TERMS; d++) {
        q_write(lost[d], numbers);
        for (int lane = 0; lane < lanes && least_near; lane++) numbers[lane] = near.leaf[lane];
        for (int lane = 0; lane < lanes; lane++) dropped[(long)(first + block + lane) * Q_TERMS + d] = numbers[lane];
    }
}
