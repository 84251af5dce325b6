/*
 * tree.c: points in the order of a k-d tree, with the boxes of its nodes. A node is a run of leaves; its halves are those that
 * q_kd_order makes; where points are in cells, a node is a run of cells or a part of one. Nodes stand in the order in which one walks down to the left first, so that what is below a node
 * follows it.
 */
#include <math.h>
#include <stdlib.h>

#include "run/prune.h"

static q_interval *box_of(const q_tree *tree, size_t node)
{
    return tree->boxes + node * tree->dim;
}

/* Infinite, which promises nothing, where a point is NaN or infinite. */
static void bound_leaf(const q_tree *tree, size_t node, const double *points)
{
    q_interval *box = box_of(tree, node);
    for (size_t d = 0; d < tree->dim; d++) {
        double low = INFINITY, high = -INFINITY;
        bool nan = false;
        for (int64_t place = tree->nodes[node].from; place < tree->nodes[node].to; place++) {
            double x = points[(size_t)tree->order[place] * tree->dim + d];
            low = x < low ? x : low, high = x > high ? x : high;
            nan |= isnan(x);
        }
        box[d] = nan ? (q_interval){-INFINITY, INFINITY} : (q_interval){low, high};
    }
}

static void unite(q_interval *box, const q_interval *a, const q_interval *b, size_t dim)
{
    for (size_t d = 0; d < dim; d++)
        box[d] = (q_interval){a[d].low < b[d].low ? a[d].low : b[d].low, a[d].high > b[d].high ? a[d].high : b[d].high};
}

/* Appends the node of the places of a cell from `from` on, and all below it; as deep as the logarithm of the number of leaves. */
static size_t add_node(q_tree *tree, int64_t from, int64_t to, int64_t size)
{
    size_t node = tree->node_count++;
    if (to - from > size) {
        int64_t leaves = (to - from - 1) / size + 1, half = from + (leaves + 1) / 2 * size;
        add_node(tree, from, half, size);
        add_node(tree, half, to, size);
    }
    tree->nodes[node] = (q_tree_node){from, to, tree->node_count};
    return node;
}

/* The same of cells first .. last - 1: halves of their number, since places may be in one of them. */
static void add_cells(q_tree *tree, const q_cells *cells, size_t first, size_t last, int64_t size)
{
    size_t node = tree->node_count, half = first + (last - first) / 2;
    if (last - first == 1) {
        add_node(tree, cells->at[first], cells->at[last], size);
        return;
    }
    tree->node_count++;
    add_cells(tree, cells, first, half, size);
    add_cells(tree, cells, half, last, size);
    tree->nodes[node] = (q_tree_node){cells->at[first], cells->at[last], tree->node_count};
}

quern_status q_tree_make(q_tree *out, const double *points, size_t dim, int64_t *order, const q_cells *cells,
                         int64_t size)
{
    size_t leaves = 0, boxes;
    int64_t count = cells->count ? cells->at[cells->count] : 0;
    for (size_t c = 0; c < cells->count; c++) leaves += (size_t)((cells->at[c + 1] - cells->at[c] + size - 1) / size);
    *out = (q_tree){.count = count, .dim = dim, .order = order};
    if (!q_mul_size(2 * leaves + 1, dim + 1, &boxes)) return q_fail_memory(SIZE_MAX);
    out->nodes = malloc((2 * leaves + 1) * sizeof *out->nodes);
    out->boxes = malloc(boxes * sizeof *out->boxes);
    if (!out->nodes || !out->boxes) return q_fail_memory(boxes * sizeof *out->boxes);
    if (cells->count) add_cells(out, cells, 0, cells->count, size);
    for (size_t node = out->node_count; node-- > 0;) {
        if (q_tree_is_leaf(out, node)) bound_leaf(out, node, points);
        else unite(box_of(out, node), box_of(out, node + 1), box_of(out, out->nodes[node + 1].next), dim);
    }
    return QUERN_OK;
}

void q_tree_free(q_tree *tree)
{
    free(tree->order);
    free(tree->nodes);
    free(tree->boxes);
}
