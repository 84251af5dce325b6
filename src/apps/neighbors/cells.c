/*
 * cells.c: approximate searches by an inverted file (Jegou, Douze, Schmid 2011, without the codes): points are in cells of k-means, and
 * a query meets those of the cells whose centroids are nearest to that of its own. Points and queries stand cell by cell, so that is a
 * run with ranges. What it misses is measured by exact searches of some queries.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/neighbors/neighbors.h"
#include "quern/kmeans.h"

enum {
    SAMPLED = 128,
    STEPS = 10,
    PROBES = 8,
    CHECKED = 256
}; /* points of a cell that k-means sees; its steps; the default; queries */

/* Rows in the order of their cells. */
typedef struct sorted {
    int64_t *order, *first; /* first: count of cells + 1 */
    quern_view rows;        /* owned */
} sorted;

struct q_cells {
    int64_t count, probes;
    quern_view centroids;
    int64_t *near; /* by cell: the `probes` nearest, in ascending order */
    sorted points;
};

static quern_status make_room(void **out, int64_t count, size_t size)
{
    size_t bytes;
    *out = q_mul_size((size_t)count, size, &bytes) ? calloc(1, bytes + 1) : NULL;
    return *out ? QUERN_OK : q_fail_memory((size_t)count * size);
}

static void *row_at(const quern_view *view, int64_t row)
{
    return (char *)view->data + (size_t)(row * view->columns) * q_element_size(view->dtype);
}

// ---- rows by cell ----

static void sorted_free(sorted *s)
{
    free(s->order);
    free(s->first);
    free(s->rows.data);
}

static void put_in_order(sorted *s, const int64_t *labels, const quern_view *rows, int64_t count)
{
    size_t bytes = (size_t)rows->columns * q_element_size(rows->dtype);
    for (int64_t r = 0; r < rows->rows; r++) s->first[labels[r] + 1]++;
    for (int64_t c = 0; c < count; c++) s->first[c + 1] += s->first[c];
    for (int64_t r = rows->rows; r-- > 0;) {
        int64_t place = --s->first[labels[r] + 1];
        s->order[place] = r;
        memcpy(row_at(&s->rows, place), row_at(rows, r), bytes);
    }
    for (int64_t c = 0; c < count; c++) s->first[c] = s->first[c + 1];
    s->first[count] = rows->rows;
}

static quern_status sort_rows(sorted *s, quern_context *context, const q_cells *cells, const quern_view *rows)
{
    int64_t *labels = NULL;
    s->rows = *rows, s->rows.data = NULL;
    quern_status status = make_room((void **)&labels, rows->rows, sizeof *labels);
    if (!status) status = make_room((void **)&s->order, rows->rows, sizeof *s->order);
    if (!status) status = make_room((void **)&s->first, cells->count + 1, sizeof *s->first);
    if (!status) status = make_room(&s->rows.data, rows->rows, (size_t)rows->columns * q_element_size(rows->dtype));
    if (!status)
        status = quern_kmeans_assign(context, *rows, cells->centroids, NULL, quern_i64(labels, rows->rows, 1),
                                     (quern_view){0});
    if (!status) put_in_order(s, labels, rows, cells->count);
    free(labels);
    return status;
}

// ---- cells ----

/* Some rows at even distances. */
static quern_status sample(quern_view *out, const quern_view *rows, int64_t count)
{
    size_t bytes = (size_t)rows->columns * q_element_size(rows->dtype);
    *out = *rows;
    out->rows = count < rows->rows ? count : rows->rows;
    Q_TRY(make_room(&out->data, out->rows, bytes));
    for (int64_t r = 0; r < out->rows; r++)
        memcpy(row_at(out, r), row_at(rows, (int64_t)((double)r * (double)rows->rows / (double)out->rows)), bytes);
    return QUERN_OK;
}

static quern_status find_centroids(q_cells *cells, quern_context *context, const quern_view *points)
{
    quern_kmeans_options how = {.size = sizeof how, .start = QUERN_START_RANDOM, .iterations = STEPS};
    quern_view some;
    Q_TRY(sample(&some, points, SAMPLED * cells->count));
    quern_status status = quern_kmeans(context, some, cells->centroids, (quern_view){0}, &how, NULL);
    free(some.data);
    return status;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static quern_status find_near(q_cells *cells, quern_context *context)
{
    quern_neighbors *index;
    Q_TRY(quern_neighbors_create(&index, context, cells->centroids, NULL));
    quern_status status = quern_neighbors_find(
        index, cells->centroids, quern_i64(cells->near, cells->count, cells->probes), (quern_view){0}, NULL);
    quern_neighbors_destroy(&index);
    for (int64_t c = 0; c < cells->count && !status; c++)
        qsort(cells->near + c * cells->probes, (size_t)cells->probes, sizeof *cells->near, by_value);
    return status;
}

quern_status q_cells_create(q_cells **out, quern_context *context, const quern_view *points, int64_t count,
                            int64_t probes)
{
    if (points->batch[0]) return q_fail(QUERN_USAGE, "points are a batch; cells are made of one member");
    if (count < 1 || count > points->rows || probes < 0)
        return q_fail(QUERN_USAGE,
                      "%lld cells of %lld points and %lld probes cannot be: cells are 1 to as many as points",
                      (long long)count, (long long)points->rows, (long long)probes);
    q_cells *cells = *out = calloc(1, sizeof *cells);
    if (!cells) return q_fail_memory(sizeof *cells);
    cells->count = count, cells->probes = probes ? probes : PROBES;
    if (cells->probes > count) cells->probes = count;
    cells->centroids = *points, cells->centroids.rows = count, cells->centroids.data = NULL;
    Q_TRY(make_room(&cells->centroids.data, count, (size_t)points->columns * q_element_size(points->dtype)));
    Q_TRY(make_room((void **)&cells->near, count * cells->probes, sizeof *cells->near));
    Q_TRY(find_centroids(cells, context, points));
    Q_TRY(find_near(cells, context));
    return sort_rows(&cells->points, context, cells, points);
}

void q_cells_destroy(q_cells *cells)
{
    if (!cells) return;
    sorted_free(&cells->points);
    free(cells->centroids.data);
    free(cells->near);
    free(cells);
}

// ---- searches ----

/* For each cell with queries a block, with the points of the cells near it. */
static void fill_ranges(quern_ranges *ranges, quern_span *rows, int64_t *first, quern_span *columns,
                        const q_cells *cells, const sorted *queries)
{
    int64_t spans = 0;
    for (int64_t c = 0; c < cells->count; c++) {
        const int64_t *near = cells->near + c * cells->probes;
        if (queries->first[c] == queries->first[c + 1]) continue;
        rows[ranges->block_count] = (quern_span){queries->first[c], queries->first[c + 1]};
        first[ranges->block_count++] = spans;
        for (int64_t k = 0; k < cells->probes; k++) {
            quern_span span = {cells->points.first[near[k]], cells->points.first[near[k] + 1]};
            if (span.from < span.to) columns[spans++] = span;
        }
    }
    first[ranges->block_count] = spans;
    *ranges = (quern_ranges){ranges->block_count, rows, first, columns};
}

static quern_status run_ranges(q_found *found, quern_neighbors *index, q_search *search, const sorted *queries,
                               double *touched)
{
    const q_cells *cells = index->cells;
    quern_ranges ranges = {0};
    quern_span *rows = NULL, *columns = NULL;
    int64_t *first = NULL;
    quern_status status = make_room((void **)&rows, cells->count, sizeof *rows);
    if (!status) status = make_room((void **)&columns, cells->count * cells->probes, sizeof *columns);
    if (!status) status = make_room((void **)&first, cells->count + 1, sizeof *first);
    if (!status) {
        fill_ranges(&ranges, rows, first, columns, cells, queries);
        quern_run_options how = {.size = sizeof how, .ranges = &ranges};
        status = q_search_once(found, 0, index, search, &queries->rows, &cells->points.rows, 0, &how);
    }
    for (size_t b = 0; b < ranges.block_count; b++)
        for (int64_t k = first[b]; k < first[b + 1]; k++)
            *touched += (double)(rows[b].to - rows[b].from) * (double)(columns[k].to - columns[k].from);
    *touched /= (double)found->rows * (double)index->points.rows;
    free(rows);
    free(columns);
    free(first);
    return status;
}

/* Rows and indices as the caller has them; equal values by index. */
static void restore(q_found *out, const q_found *found, const q_cells *cells, const sorted *queries, size_t size)
{
    const char *from = found->values;
    char *to = out->values;
    for (int64_t p = 0; p < found->rows; p++)
        for (int64_t k = 0; k < found->count; k++) {
            int64_t row = queries->order[p] * out->count, index = found->indices[p * found->count + k], at = k;
            const char *value = from + (size_t)(p * found->count + k) * size;
            if (index >= 0) index = cells->points.order[index];
            while (at > 0 && index >= 0 && !memcmp(to + (size_t)(row + at - 1) * size, value, size) &&
                   out->indices[row + at - 1] > index)
                out->indices[row + at] = out->indices[row + at - 1], at--;
            out->indices[row + at] = index;
            memcpy(to + (size_t)(row + k) * size, value, size);
        }
}

static double value_at(const quern_neighbors *index, const q_found *found, int64_t row, int64_t k)
{
    size_t size = q_element_size(index->points.dtype);
    return q_element_read(index->points.dtype, (char *)found->values + (size_t)(row * found->count + k) * size);
}

/* The share of the neighbours of some queries that were found; one that is as far as the last counts as one. */
static quern_status measure(double *recall, const q_found *out, quern_neighbors *index, q_search *search,
                            const quern_view *queries)
{
    double hits = 0, all = 0;
    quern_view some;
    q_found exact = {0};
    quern_run_options plain = {.size = sizeof plain};
    Q_TRY(sample(&some, queries, CHECKED));
    quern_status status = q_found_create(&exact, index, some.rows, search->count, true);
    if (!status) status = q_search_once(&exact, 0, index, search, &some, &index->points, 0, &plain);
    for (int64_t r = 0; r < some.rows && !status; r++) {
        int64_t row = (int64_t)((double)r * (double)queries->rows / (double)some.rows), count = 0;
        while (count < exact.count && exact.indices[r * exact.count + count] >= 0) count++;
        for (int64_t k = 0; k < count; k++)
            hits += out->indices[row * out->count + k] >= 0 &&
                    value_at(index, out, row, k) <= value_at(index, &exact, r, count - 1);
        all += (double)count;
    }
    *recall = all > 0 ? hits / all : 1;
    q_found_free(&exact);
    free(some.data);
    return status;
}

quern_status q_cells_run(q_found *out, quern_neighbors *index, q_search *search, quern_view queries,
                         quern_neighbors_report *report)
{
    sorted s = {0};
    q_found found = {0};
    if (queries.batch[0]) return q_fail(QUERN_USAGE, "queries are a batch; cells are searched for one member");
    quern_status status = sort_rows(&s, index->context, index->cells, &queries);
    if (!status) status = q_found_create(&found, index, queries.rows, search->count, true);
    snprintf(report->reason, sizeof report->reason, "cells are searched");
    report->touched = 0;
    if (!status) status = run_ranges(&found, index, search, &s, &report->touched);
    if (!status) restore(out, &found, index->cells, &s, q_element_size(index->points.dtype));
    if (!status) status = measure(&report->recall, out, index, search, &queries);
    q_found_free(&found);
    sorted_free(&s);
    return status;
}
