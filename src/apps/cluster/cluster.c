/*
 * cluster.c: clusterings of points: cells of a grid, leaves of a k-d tree, labels.
 *
 * A grid and labels are one thing: rows of numbers, and a cluster for each different row. Rows of whole numbers in a small box are
 * counted; others are sorted by a stable merge sort and compared number by number, so nothing is hashed and no two
 * clusters fall together.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/cluster/cluster.h"

// ---- views ----

quern_status q_host_shape_check(const char *name, const quern_view *view, int64_t rows, int64_t columns)
{
    size_t elements;
    if (view->array) {
        q_fail(QUERN_USAGE, "%s is an array on the device", name);
        q_fail_next_step("clusters are made on the host: read the array with quern_array_read");
        return QUERN_USAGE;
    }
    if (view->dtype == QUERN_NUMBER || !q_dtype_is_known(view->dtype))
        return q_fail(QUERN_USAGE, "%s is no array: it has the element type %d", name, (int)view->dtype);
    if (view->batch[0]) return q_fail(QUERN_USAGE, "%s is a batch; clusters are made of one member", name);
    Q_TRY(q_extent_check(name, view, rows, columns));
    int64_t stride = view->stride ? view->stride : view->columns;
    if (!q_mul_size((size_t)view->rows, (size_t)stride, &elements) || elements > INT64_MAX / 8)
        return q_fail(QUERN_SHAPE, "%s has %lld x %lld elements, which no memory holds", name, (long long)view->rows,
                      (long long)view->columns);
    return QUERN_OK;
}

void *q_block(int64_t count, size_t size)
{
    size_t bytes;
    return q_mul_size((size_t)count, size, &bytes) ? malloc(bytes ? bytes : 1) : NULL;
}

static double *read_all(const quern_view *view)
{
    double *numbers = q_block(view->rows * view->columns, sizeof *numbers);
    for (int64_t r = 0; numbers && r < view->rows; r++)
        for (int64_t d = 0; d < view->columns; d++) numbers[r * view->columns + d] = q_host_read(view, r, d);
    return numbers;
}

// ---- clusterings ----

/* The arrays of a clustering are its own, though users see them as constant. */
static int64_t *own(const int64_t *array)
{
    return (int64_t *)(uintptr_t)array;
}

void quern_clusters_destroy(quern_clusters **clusters)
{
    if (!clusters || !*clusters) return;
    free(own((*clusters)->order));
    free(own((*clusters)->first));
    free(own((*clusters)->label));
    free(*clusters);
    *clusters = NULL;
}

static quern_status create(quern_clusters **out, int64_t rows)
{
    *out = calloc(1, sizeof **out);
    if (!*out) return q_fail_memory(sizeof **out);
    (*out)->rows = rows;
    (*out)->order = q_block(rows, sizeof(int64_t));
    (*out)->first = q_block(rows + 1, sizeof(int64_t));
    (*out)->label = q_block(rows, sizeof(int64_t));
    if ((*out)->order && (*out)->first && (*out)->label) return QUERN_OK;
    quern_clusters_destroy(out);
    return q_fail_memory((size_t)rows * 3 * sizeof(int64_t));
}

/* Fills in the count and the labels, once the order and the first places are known. */
static void finish(quern_clusters *clusters, int64_t count)
{
    clusters->count = count;
    own(clusters->first)[count] = clusters->rows;
    for (int64_t c = 0; c < count; c++)
        for (int64_t p = clusters->first[c]; p < clusters->first[c + 1]; p++)
            own(clusters->label)[clusters->order[p]] = c;
}

/* -1, 0 or 1; NaN is above all numbers, and like itself. */
static int compare(const double *a, const double *b, int64_t dim)
{
    for (int64_t d = 0; d < dim; d++) {
        int order = (a[d] > b[d]) - (a[d] < b[d]) + (isnan(a[d]) != 0) - (isnan(b[d]) != 0);
        if (order) return order;
    }
    return 0;
}

/* Sorts the numbers of rows, which stay in order where keys are equal; `spare` has room for as many. */
static void sort_rows(int64_t *order, int64_t *spare, const double *keys, int64_t rows, int64_t dim)
{
    for (int64_t p = 0; p < rows; p++) order[p] = p;
    for (int64_t run = 1; run < rows; run *= 2) {
        for (int64_t from = 0; from < rows; from += 2 * run) {
            int64_t middle = from + run < rows ? from + run : rows, to = middle + run < rows ? middle + run : rows;
            int64_t a = from, b = middle;
            for (int64_t p = from; p < to; p++) {
                bool second = a == middle || (b < to && compare(keys + order[b] * dim, keys + order[a] * dim, dim) < 0);
                spare[p] = second ? order[b++] : order[a++];
            }
        }
        memcpy(order, spare, (size_t)rows * sizeof *order);
    }
}

/* The number of each row's cell in the box of all of them, row after row; 0 where that has more cells than are worth counting, or
   keys are not whole, or there are none. */
static int64_t number_cells(int64_t *number, const double *keys, int64_t rows, int64_t dim)
{
    int64_t cells = rows ? 1 : 0, most = 4 * rows + 1024;
    for (int64_t r = 0; r < rows; r++) number[r] = 0;
    for (int64_t d = 0; d < dim && cells; d++) {
        double low = INFINITY, high = -INFINITY;
        for (int64_t r = 0; r < rows; r++) {
            double key = keys[r * dim + d];
            if (!isfinite(key) || key != floor(key)) return 0;
            low = key < low ? key : low, high = key > high ? key : high;
        }
        if (!(high - low < (double)(most / cells))) return 0;
        int64_t count = (int64_t)(high - low) + 1;
        for (int64_t r = 0; r < rows; r++) number[r] = number[r] * count + (int64_t)(keys[r * dim + d] - low);
        cells *= count;
    }
    return cells;
}

/* The same clusters and order as by sorting, by counting the rows of each cell. False: it cannot be, or memory ran out. */
static bool count_cells(quern_clusters *clusters, const double *keys, int64_t dim)
{
    int64_t *number = own(clusters->label), *first = own(clusters->first), count = 0;
    int64_t cells = number_cells(number, keys, clusters->rows, dim);
    int64_t *place = cells ? calloc((size_t)cells + 1, sizeof *place) : NULL;
    if (!place) return false;
    for (int64_t r = 0; r < clusters->rows; r++) place[number[r] + 1]++;
    for (int64_t c = 0, from = 0; c < cells; c++) {
        int64_t rows = place[c + 1];
        if (rows) first[count++] = from;
        place[c] = from, from += rows;
    }
    for (int64_t r = 0; r < clusters->rows; r++) own(clusters->order)[place[number[r]]++] = r;
    free(place);
    finish(clusters, count);
    return true;
}

/* A cluster for each different row of keys, which are freed. */
static quern_status cluster_keys(quern_clusters **out, double *keys, int64_t rows, int64_t dim)
{
    quern_status status = keys ? create(out, rows) : q_fail_memory((size_t)(rows * dim) * sizeof *keys);
    if (!status && !count_cells(*out, keys, dim)) {
        const int64_t *order = (*out)->order;
        int64_t count = 0;
        sort_rows(own(order), own((*out)->label), keys, rows, dim);
        for (int64_t p = 0; p < rows; p++)
            if (!p || compare(keys + order[p - 1] * dim, keys + order[p] * dim, dim)) own((*out)->first)[count++] = p;
        finish(*out, count);
    }
    free(keys);
    return status;
}

/* Whole numbers up to here are apart from their neighbours. */
static const double most_whole = 0x1p53;

quern_status q_label_check(const quern_view *labels, int64_t row, double label)
{
    if (labels->dtype != QUERN_I64 || fabs(label) < most_whole) return QUERN_OK;
    return q_fail(QUERN_LIMIT, "the label of row %lld is about %g; from 2^53 on labels fall together", (long long)row,
                  label);
}

quern_status quern_clusters_labels(quern_clusters **out, quern_view labels)
{
    if (!out) return q_fail_null(__func__, "out");
    *out = NULL;
    Q_TRY(q_host_shape_check("labels", &labels, labels.rows, 1));
    double *keys = read_all(&labels);
    for (int64_t r = 0; keys && r < labels.rows; r++)
        if (q_label_check(&labels, r, keys[r])) {
            free(keys);
            return QUERN_LIMIT;
        }
    return cluster_keys(out, keys, labels.rows, 1);
}

static quern_status to_cells(double *keys, const quern_view *points, double cell)
{
    double most = points->dtype == QUERN_F32 ? 0x1p24 : most_whole;
    for (int64_t e = 0; e < points->rows * points->columns; e++) {
        double at = floor(keys[e] / cell);
        if (isfinite(keys[e]) && fabs(at) > most) {
            q_fail(
                QUERN_LIMIT,
                "coordinate %lld of point %lld is %g, about %g cells from 0: neighbouring cells cannot be told apart",
                (long long)(e % points->columns), (long long)(e / points->columns), keys[e], at);
            q_fail_next_step("take larger cells, or move the points nearer to 0");
            return QUERN_LIMIT;
        }
        keys[e] = at;
    }
    return QUERN_OK;
}

quern_status quern_clusters_grid(quern_clusters **out, quern_view points, double cell)
{
    if (!out) return q_fail_null(__func__, "out");
    *out = NULL;
    Q_TRY(q_host_shape_check("points", &points, -1, -1));
    if (!(cell > 0) || isinf(cell))
        return q_fail(QUERN_USAGE, "the side of a cell is %g; it must be a positive number", cell);
    double *keys = read_all(&points);
    quern_status status = keys ? to_cells(keys, &points, cell) : QUERN_OK;
    if (!status) return cluster_keys(out, keys, points.rows, points.columns);
    free(keys);
    return status;
}

quern_status quern_clusters_kd(quern_clusters **out, quern_view points, int64_t size)
{
    if (!out) return q_fail_null(__func__, "out");
    *out = NULL;
    Q_TRY(q_host_shape_check("points", &points, -1, -1));
    if (size < 1)
        return q_fail(QUERN_USAGE, "clusters of %lld points cannot be; at least 1 is needed", (long long)size);
    double *numbers = read_all(&points);
    quern_status status =
        numbers ? create(out, points.rows) : q_fail_memory((size_t)(points.rows * points.columns) * sizeof *numbers);
    if (!status) status = q_kd_order(own((*out)->order), numbers, points.rows, points.columns, size, size);
    if (!status) {
        int64_t count = 0;
        for (int64_t p = 0; p < points.rows; count++) {
            own((*out)->first)[count] = p;
            p = size < points.rows - p ? p + size : points.rows;
        }
        finish(*out, count);
    }
    free(numbers);
    return status;
}
