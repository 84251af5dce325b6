/*
 * lists.c: lists of neighbours, made of edges that come in any order: counted, put in their rows and sorted there by
 * distance, then by index.
 */
#include <math.h>
#include <stdlib.h>

#include "apps/neighbors/neighbors.h"

quern_status q_edges_add(q_edges *edges, q_edge edge)
{
    if (!q_grow(&edges->data, &edges->capacity, edges->count + 1, sizeof edge))
        return q_fail_memory((edges->count + 1) * sizeof edge);
    edges->data[edges->count++] = edge;
    return QUERN_OK;
}

static int by_row(const void *a, const void *b)
{
    const q_edge *x = a, *y = b;
    if (x->row != y->row) return x->row < y->row ? -1 : 1;
    if (x->index != y->index) return x->index < y->index ? -1 : 1;
    return x->distance < y->distance ? -1 : x->distance > y->distance;
}

static int by_distance(const void *a, const void *b)
{
    const q_edge *x = a, *y = b;
    if (x->distance < y->distance || x->distance > y->distance) return x->distance < y->distance ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

void quern_neighbor_lists_destroy(quern_neighbor_lists **lists)
{
    if (!lists || !*lists) return;
    free((void *)(uintptr_t)(*lists)->offsets);
    free((void *)(uintptr_t)(*lists)->indices);
    free((void *)(uintptr_t)(*lists)->distances);
    free(*lists);
    *lists = NULL;
}

/* Edges by row, each row in order; for free(). */
static q_edge *sort(const q_edges *edges, int64_t *offsets, int64_t rows)
{
    q_edge *sorted = malloc(edges->count * sizeof *sorted + 1);
    if (!sorted) return NULL;
    for (size_t e = 0; e < edges->count; e++) offsets[edges->data[e].row + 1]++;
    for (int64_t row = 0; row < rows; row++) offsets[row + 1] += offsets[row];
    for (size_t e = edges->count; e-- > 0;) sorted[--offsets[edges->data[e].row + 1]] = edges->data[e];
    for (int64_t row = 0; row < rows; row++) offsets[row] = offsets[row + 1];
    offsets[rows] = (int64_t)edges->count;
    for (int64_t row = 0; row < rows; row++)
        qsort(sorted + offsets[row], (size_t)(offsets[row + 1] - offsets[row]), sizeof *sorted, by_distance);
    return sorted;
}

quern_status q_lists_create(quern_neighbor_lists **out, const q_edges *edges, int64_t rows)
{
    quern_neighbor_lists *lists = *out = calloc(1, sizeof *lists);
    if (!lists) return q_fail_memory(sizeof *lists);
    int64_t *offsets = calloc((size_t)rows + 1, sizeof *offsets);
    int64_t *indices = malloc(edges->count * sizeof *indices + 1);
    double *distances = malloc(edges->count * sizeof *distances + 1);
    lists->rows = rows, lists->offsets = offsets, lists->indices = indices, lists->distances = distances;
    q_edge *sorted = offsets && indices && distances ? sort(edges, offsets, rows) : NULL;
    for (size_t e = 0; e < edges->count && sorted; e++) indices[e] = sorted[e].index, distances[e] = sorted[e].distance;
    if (!sorted) {
        quern_neighbor_lists_destroy(out);
        return q_fail_memory(edges->count * sizeof *sorted);
    }
    free(sorted);
    return QUERN_OK;
}

// ---- graphs of k nearest neighbours ----

static quern_status collect(q_edges *edges, const quern_view *indices, const quern_view *distances, bool both)
{
    for (int64_t row = 0; row < indices->rows; row++)
        for (int64_t k = 0; k < indices->columns; k++) {
            double index = q_host_read(indices, row, k),
                   d = !q_view_given(distances) ? 0 : q_host_read(distances, row, k);
            if (index == -1) continue;
            if (!(index >= 0) || (both && !(index < (double)indices->rows)))
                return q_fail(QUERN_USAGE, "neighbour %lld of row %lld is point %.0f; there are %lld", (long long)k,
                              (long long)row, index, (long long)indices->rows);
            Q_TRY(q_edges_add(edges, (q_edge){row, (int64_t)index, d}));
        }
    return QUERN_OK;
}

/* Leaves one of equal edges, the nearer: of those that are there twice, or of all. */
static void merge(q_edges *edges, bool twice)
{
    size_t kept = 0;
    if (edges->count) qsort(edges->data, edges->count, sizeof *edges->data, by_row);
    for (size_t from = 0, to; from < edges->count; from = to) {
        for (to = from + 1; to < edges->count && edges->data[to].row == edges->data[from].row &&
                            edges->data[to].index == edges->data[from].index;)
            to++;
        if (!twice || to - from > 1) edges->data[kept++] = edges->data[from];
    }
    edges->count = kept;
}

/* Adds the edges the other way round; then an edge that both ends have is there twice. */
static quern_status turn(q_edges *edges)
{
    for (size_t e = 0, count = edges->count; e < count; e++) {
        q_edge edge = edges->data[e];
        Q_TRY(q_edges_add(edges, (q_edge){edge.index, edge.row, edge.distance}));
    }
    return QUERN_OK;
}

static quern_status connect(q_edges *edges, const quern_view *indices, const quern_view *distances,
                            quern_neighbor_edges which)
{
    Q_TRY(collect(edges, indices, distances, which != QUERN_EDGES_GIVEN));
    if (which == QUERN_EDGES_GIVEN) return QUERN_OK;
    merge(edges, false);
    Q_TRY(turn(edges));
    merge(edges, which == QUERN_EDGES_MUTUAL);
    return QUERN_OK;
}

quern_status quern_neighbor_lists_create(quern_neighbor_lists **out, quern_view indices, quern_view distances,
                                         quern_neighbor_edges which)
{
    q_edges edges = {0};
    if (!out) return q_fail_null(__func__, "out");
    *out = NULL;
    if (which > QUERN_EDGES_EITHER) return q_fail(QUERN_USAGE, "there are no edges %d", (int)which);
    Q_TRY(q_numbers_check("indices", &indices, -1, -1));
    Q_TRY(q_indices_check("indices", &indices));
    if (q_view_given(&distances)) {
        Q_TRY(q_numbers_check("distances", &distances, indices.rows, indices.columns));
        Q_TRY(q_distances_check("distances", &distances));
    }
    quern_status status = connect(&edges, &indices, &distances, which);
    if (!status) status = q_lists_create(out, &edges, indices.rows);
    free(edges.data);
    return status;
}
