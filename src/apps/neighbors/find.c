/*
 * find.c: the k nearest points of queries, and of the points themselves. A point's own graph has one neighbour more than is asked
 * for, and is told without the point itself, wherever that stands; so it needs no formula of its own, and is pruned like any
 * other search.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/neighbors/neighbors.h"
#include "quern/array.h"

// ---- results ----

/* Where results go: views of the host, of which one may be none, and rows of a member where each leaves itself out, else 0. */
typedef struct delivery {
    quern_view indices, distances;
    int64_t own;
} delivery;

static void deliver_row(const delivery *to, const quern_neighbors *index, const q_found *found, int64_t row, int64_t k)
{
    const int64_t *indices = found->indices + row * found->count;
    int64_t at = 0;
    for (int64_t n = 0; n < k; n++, at++) {
        if (to->own && at < found->count && indices[at] == row % to->own) at++;
        bool there = at < found->count;
        if (to->indices.data) q_host_write(&to->indices, row, n, there ? (double)indices[at] : -1);
        if (to->distances.data)
            q_host_write(&to->distances, row, n, there ? q_found_distance(index, found, row, at) : INFINITY);
    }
}

/* Memory of the host in place of an array of the device. */
static quern_status stage(quern_view *view)
{
    if (!view->array) return QUERN_OK;
    size_t bytes = (size_t)(view->rows * view->columns) * q_element_size(view->dtype);
    *view = quern_view_of(malloc(bytes + 1), view->dtype, view->rows, view->columns);
    return view->data ? QUERN_OK : q_fail_memory(bytes);
}

static quern_status unstage(quern_context *context, const quern_view *to, quern_view *staged, bool well)
{
    if (!to->array) return QUERN_OK;
    quern_status status = well ? quern_copy(context, *to, *staged) : QUERN_OK;
    free(staged->data);
    return status;
}

static quern_view flat(const quern_view *view)
{
    quern_view all = *view;
    all.rows = q_batch_rows(view);
    memset(all.batch, 0, sizeof all.batch);
    return all;
}

static quern_status deliver(const quern_neighbors *index, const q_found *found, int64_t k, int64_t own,
                            const quern_view *indices, const quern_view *distances)
{
    const quern_view to_indices = flat(indices), to_distances = flat(distances);
    delivery to = {to_indices, to_distances, own};
    quern_status status = stage(&to.indices), second = stage(&to.distances);
    if (!status) status = second;
    for (int64_t row = 0; row < found->rows && !status; row++) deliver_row(&to, index, found, row, k);
    second = unstage(index->context, &to_indices, &to.indices, !status);
    if (!status) status = second;
    second = unstage(index->context, &to_distances, &to.distances, !status);
    return status ? status : second;
}

// ---- shapes ----

static quern_status check_result(const char *name, const quern_view *view, int64_t rows, int64_t k)
{
    const quern_view all = flat(view);
    if (all.rows != rows || all.columns != k)
        return q_fail(QUERN_SHAPE, "%s are %lld x %lld, not %lld x %lld", name, (long long)all.rows,
                      (long long)all.columns, (long long)rows, (long long)k);
    return view->array ? QUERN_OK : q_numbers_check(name, &all, rows, k);
}

static quern_status check_results(const quern_view *indices, const quern_view *distances, int64_t rows, int64_t *k)
{
    *k = !q_view_given(indices) ? distances->columns : indices->columns;
    if (!q_view_given(indices) && !q_view_given(distances))
        return q_fail(QUERN_USAGE, "neither indices nor distances are asked for");
    if (*k < 1) return q_fail(QUERN_SHAPE, "the results have %lld columns; at least 1 is needed", (long long)*k);
    if (q_view_given(indices)) {
        Q_TRY(q_indices_check("indices", indices));
        Q_TRY(check_result("indices", indices, rows, *k));
    }
    if (!q_view_given(distances)) return QUERN_OK;
    Q_TRY(q_distances_check("distances", distances));
    return check_result("distances", distances, rows, *k);
}

/* How many neighbours are searched for: no more than there are points. */
static quern_status count_wanted(int64_t *out, int64_t k, int64_t points, bool own)
{
    *out = k + own < points ? k + own : points > 0 ? points : 1;
    if (*out <= Q_MOST_NEIGHBORS) return QUERN_OK;
    q_fail(QUERN_LIMIT, "%lld neighbours of %lld points are asked for; at most %d are found", (long long)k,
           (long long)points, Q_MOST_NEIGHBORS - own);
    q_fail_next_step("ask for fewer, or for those within a radius, of which there may be any number");
    return QUERN_LIMIT;
}

// ---- searches ----

/* What is found is written where the caller wants it, if he wants it as the search has it. */
static quern_status make_room(q_found *out, const quern_neighbors *index, int64_t rows, int64_t count, bool valued,
                              const quern_view *indices)
{
    bool same = indices->data && !indices->array && indices->dtype == QUERN_I64 && indices->columns == count &&
                (!indices->stride || indices->stride == count) && !((uintptr_t)indices->data % sizeof *out->indices);
    if (!same || valued) return q_found_create(out, index, rows, count, valued);
    *out = (q_found){.rows = rows, .count = count, .indices = indices->data, .borrowed = true};
    return QUERN_OK;
}

static quern_status find(quern_neighbors *index, quern_view queries, bool own, const quern_view *indices,
                         const quern_view *distances, quern_neighbors_report *report)
{
    q_search *search;
    q_found found;
    int64_t rows, k, wanted;
    quern_view all = queries;
    Q_TRY(q_batch_join(all.batch, &queries, &index->points));
    rows = q_batch_rows(&all);
    Q_TRY(check_results(indices, distances, rows, &k));
    Q_TRY(count_wanted(&wanted, k, index->points.rows, own));
    bool valued = q_view_given(distances) || index->cells;
    Q_TRY(q_search_find(&search, index, wanted, false, valued));
    Q_TRY(make_room(&found, index, rows, wanted, valued, own ? &(quern_view){0} : indices));
    quern_status status = q_search_run(&found, index, search, queries, index->points, 0, report);
    if (!status && !found.borrowed)
        status = deliver(index, &found, k, own ? index->points.rows : 0, indices, distances);
    q_found_free(&found);
    return status;
}

quern_status quern_neighbors_find(quern_neighbors *index, quern_view queries, quern_view indices, quern_view distances,
                                  quern_neighbors_report *report)
{
    quern_neighbors_report how = {.size = sizeof how};
    quern_view taken;
    if (!index) return q_fail_null(__func__, "the index");
    Q_TRY(q_neighbors_take(&taken, index, "queries", &queries));
    quern_status status = find(index, taken, false, &indices, &distances, &how);
    free(taken.data);
    if (!status && report) q_report_copy(report, &how, sizeof how);
    return status;
}

quern_status quern_neighbors_graph(quern_neighbors *index, quern_view indices, quern_view distances,
                                   quern_neighbors_report *report)
{
    quern_neighbors_report how = {.size = sizeof how};
    if (!index) return q_fail_null(__func__, "the index");
    Q_TRY(find(index, index->points, true, &indices, &distances, &how));
    if (report) q_report_copy(report, &how, sizeof how);
    return QUERN_OK;
}
