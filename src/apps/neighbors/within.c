/*
 * within.c: all points within a radius. A search has room for so many neighbours of a row; rows that fill it are searched again
 * with more room, and those that fill the largest one in each half of the points, and so on.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/neighbors/neighbors.h"

static const int64_t rooms[] = {32, 256, Q_MOST_NEIGHBORS};

typedef struct join {
    quern_neighbors *index;
    quern_view queries;
    double radius, limit; /* as given; in the type of the distances */
    bool own, once;
    q_edges edges;
    quern_neighbors_report report;
} join;

/* Rows to be searched, among some points: first .. first + count - 1. */
typedef struct part {
    int64_t *rows, row_count, first, count;
    size_t room;
} part;

static quern_status keep(join *j, const part *p, const q_found *found, int64_t at)
{
    int64_t row = p->rows[at];
    for (int64_t k = 0; k < found->count; k++) {
        int64_t index = found->indices[at * found->count + k];
        double d = q_found_distance(j->index, found, at, k);
        if (index < 0 || !(d <= j->limit)) break;
        index += p->first;
        if ((j->own && index == row) || (j->once && index < row)) continue;
        Q_TRY(q_edges_add(&j->edges, (q_edge){row, index, d}));
    }
    return QUERN_OK;
}

/* Whether there may be more neighbours than were found. */
static bool is_full(const join *j, const part *p, const q_found *found, int64_t at)
{
    int64_t last = (at + 1) * found->count - 1;
    return p->count > found->count && found->indices[last] >= 0 &&
           q_found_distance(j->index, found, at, found->count - 1) <= j->limit;
}

static quern_view gather(const join *j, const part *p)
{
    quern_view view = j->queries;
    size_t bytes = (size_t)view.columns * q_element_size(view.dtype);
    view.rows = p->row_count;
    view.data = malloc((size_t)p->row_count * bytes + 1);
    for (int64_t r = 0; r < p->row_count && view.data; r++)
        memcpy((char *)view.data + (size_t)r * bytes, (char *)j->queries.data + (size_t)p->rows[r] * bytes, bytes);
    return view;
}

static quern_status run(join *j, const part *p, q_found *found)
{
    q_search *search;
    quern_neighbors_report report = {.size = sizeof report};
    quern_view queries = gather(j, p), points = j->index->points;
    if (!queries.data) return q_fail_memory((size_t)(p->row_count * queries.columns) * sizeof(double));
    points.data = q_host_at(&points, p->first, 0);
    points.rows = p->count;
    quern_status status = q_search_find(&search, j->index, found->count, true, true);
    if (!status) status = q_search_run(found, j->index, search, queries, points, j->radius, &report);
    if (!p->room) j->report = report; /* the first, of all rows and points */
    else
        j->report.touched += report.touched * (double)p->row_count / (double)j->queries.rows * (double)p->count /
                             (double)j->index->points.rows;
    free(queries.data);
    return status;
}

/* Keeps what is complete, and leaves in p->rows the rows that are not. */
static quern_status search_part(join *j, part *p)
{
    q_found found;
    int64_t left = 0;
    Q_TRY(q_found_create(&found, j->index, p->row_count, rooms[p->room], true));
    quern_status status = run(j, p, &found);
    for (int64_t at = 0; at < p->row_count && !status; at++)
        if (is_full(j, p, &found, at)) p->rows[left++] = p->rows[at];
        else status = keep(j, p, &found, at);
    p->row_count = left;
    q_found_free(&found);
    return status;
}

static quern_status search_all(join *j, part p);

static quern_status search_half(join *j, const part *p, int64_t first, int64_t count)
{
    part half = {NULL, p->row_count, first, count, p->room};
    half.rows = malloc((size_t)p->row_count * sizeof *half.rows);
    if (!half.rows) return q_fail_memory((size_t)p->row_count * sizeof *half.rows);
    memcpy(half.rows, p->rows, (size_t)p->row_count * sizeof *half.rows);
    quern_status status = search_all(j, half);
    free(half.rows);
    return status;
}

static quern_status search_all(join *j, part p)
{
    for (; p.row_count; p.room++) {
        if (p.room == Q_COUNT(rooms)) break;
        Q_TRY(search_part(j, &p));
    }
    if (!p.row_count) return QUERN_OK;
    p.room = Q_COUNT(rooms) - 1;
    Q_TRY(search_half(j, &p, p.first, p.count / 2));
    return search_half(j, &p, p.first + p.count / 2, p.count - p.count / 2);
}

static quern_status search(join *j, quern_neighbor_lists **out)
{
    part all = {NULL, j->queries.rows, 0, j->index->points.rows, 0};
    all.rows = malloc((size_t)all.row_count * sizeof *all.rows + 1);
    if (!all.rows) return q_fail_memory((size_t)all.row_count * sizeof *all.rows);
    for (int64_t r = 0; r < all.row_count; r++) all.rows[r] = r;
    quern_status status = all.count ? search_all(j, all) : QUERN_OK;
    if (!status) status = q_lists_create(out, &j->edges, j->queries.rows);
    free(all.rows);
    free(j->edges.data);
    return status;
}

static quern_status begin(join *j, quern_neighbors *index, double radius)
{
    if (index->points.batch[0]) return q_fail(QUERN_USAGE, "points are a batch; lists are made of one member");
    if (isnan(radius)) return q_fail(QUERN_USAGE, "the radius is NaN");
    *j = (join){.index = index, .radius = radius, .limit = radius, .report = {.size = sizeof j->report}};
    if (index->points.dtype == QUERN_F32) j->limit = (double)(float)radius;
    return QUERN_OK;
}

quern_status quern_neighbors_within(quern_neighbor_lists **out, quern_neighbors *index, quern_view queries,
                                    double radius, quern_neighbors_report *report)
{
    join j;
    if (!out) return q_fail_null(__func__, "out");
    *out = NULL;
    if (!index) return q_fail_null(__func__, "the index");
    Q_TRY(begin(&j, index, radius));
    if (queries.batch[0]) return q_fail(QUERN_USAGE, "queries are a batch; lists are made of one member");
    Q_TRY(q_neighbors_take(&j.queries, index, "queries", &queries));
    quern_status status = search(&j, out);
    free(j.queries.data);
    if (!status && report) q_report_copy(report, &j.report, sizeof j.report);
    return status;
}

quern_status quern_neighbors_within_graph(quern_neighbor_lists **out, quern_neighbors *index, double radius, bool once,
                                          quern_neighbors_report *report)
{
    join j;
    if (!out) return q_fail_null(__func__, "out");
    *out = NULL;
    if (!index) return q_fail_null(__func__, "the index");
    Q_TRY(begin(&j, index, radius));
    j.queries = index->points, j.own = true, j.once = once;
    Q_TRY(search(&j, out));
    if (report) q_report_copy(report, &j.report, sizeof j.report);
    return QUERN_OK;
}
