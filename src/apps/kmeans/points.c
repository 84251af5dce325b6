/*
 * points.c: points on the device, where they are compared, and on the host, where they are summed by label: a pass over memory,
 * in the order of the rows, so the same bits every time.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/kmeans/kmeans.h"
#include "quern/build.h"

// ---- sets of points ----

double q_points_at(const q_points *points, int64_t row, int64_t column)
{
    int64_t at = row * (points->host.stride ? points->host.stride : points->dim) + column;
    return points->dtype == QUERN_F32 ? (double)((const float *)points->host.data)[at]
                                      : ((const double *)points->host.data)[at];
}

void *q_points_block(const q_points *points, int64_t rows, int64_t columns)
{
    size_t count, bytes;
    if (!q_mul_size((size_t)rows, (size_t)columns, &count)) return NULL;
    return q_mul_size(count, q_element_size(points->dtype), &bytes) ? calloc(1, bytes ? bytes : 1) : NULL;
}

/* Whether all numbers of a row are finite: 0 times anything else is NaN. */
static bool is_finite(const q_points *points, int64_t row)
{
    int64_t at = row * (points->host.stride ? points->host.stride : points->dim);
    float single = 0;
    double all = 0;
    if (points->dtype == QUERN_F32)
        for (int64_t d = 0; d < points->dim; d++) single += 0 * ((const float *)points->host.data)[at + d];
    else
        for (int64_t d = 0; d < points->dim; d++) all += 0 * ((const double *)points->host.data)[at + d];
    return single == 0 && all == 0;
}

static quern_status check_finite(const q_points *points)
{
    for (int64_t r = 0; r < points->rows; r++)
        for (int64_t d = 0; d < points->dim && !is_finite(points, r); d++)
            if (!isfinite(q_points_at(points, r, d))) return q_coordinate_fail(r, q_points_at(points, r, d));
    return QUERN_OK;
}

/* Whether the caller's memory can be read as it is. */
static bool is_ready(const quern_view *view, quern_dtype dtype)
{
    return !view->array && view->dtype == dtype && (uintptr_t)view->data % q_element_size(dtype) == 0;
}

static quern_status fill(q_points *points, quern_view given)
{
    Q_TRY(quern_array_create(&points->array, points->context, points->dtype, points->rows, points->dim));
    Q_TRY(quern_array_write(points->array, given));
    points->host = given;
    if (!is_ready(&given, points->dtype)) {
        points->owned = q_points_block(points, points->rows, points->dim);
        if (!points->owned) return q_fail_memory((size_t)points->rows * (size_t)points->dim * sizeof(double));
        points->host = quern_view_of(points->owned, points->dtype, points->rows, points->dim);
        Q_TRY(quern_array_read(points->array, points->host));
    }
    return check_finite(points);
}

quern_status q_points_create(q_points *out, quern_context *context, quern_view points)
{
    memset(out, 0, sizeof *out);
    Q_TRY(q_shape_check("points", &points, -1, -1));
    out->context = context;
    out->dtype = points.dtype == QUERN_F64 ? QUERN_F64 : QUERN_F32;
    out->rows = points.rows, out->dim = points.columns;
    quern_status status = fill(out, points);
    if (status) q_points_destroy(out);
    return status;
}

void q_points_destroy(q_points *points)
{
    quern_array_destroy(&points->array);
    free(points->owned);
    points->owned = NULL;
}

static void copy_row(const q_points *points, int64_t row, int64_t to_row, void *to)
{
    size_t size = q_element_size(points->dtype), bytes = (size_t)points->dim * size;
    size_t stride = (size_t)(points->host.stride ? points->host.stride : points->dim) * size;
    memcpy((char *)to + (size_t)to_row * bytes, (const char *)points->host.data + (size_t)row * stride, bytes);
}

void q_points_gather(const q_points *points, const int64_t *rows, int64_t count, void *to)
{
    for (int64_t r = 0; r < count; r++) copy_row(points, rows[r], r, to);
}

void q_points_pick(const q_points *points, const int32_t *rows, int64_t count, void *to)
{
    for (int64_t r = 0; r < count; r++) copy_row(points, rows[r], r, to);
}

// ---- distances and sums ----

double q_points_square(const q_points *points, int64_t row, const double *from)
{
    int64_t dim = points->dim, at = row * (points->host.stride ? points->host.stride : dim), d = 0;
    const bool single = points->dtype == QUERN_F32;
    const float *f = (const float *)points->host.data + (single ? at : 0);
    const double *x = (const double *)points->host.data + (single ? 0 : at);
    double sum[4] = {0}; /* that do not wait for each other */
    for (; d + 4 <= dim; d += 4)
        for (int k = 0; k < 4; k++) {
            double off = (single ? (double)f[d + k] : x[d + k]) - from[d + k];
            sum[k] += off * off;
        }
    for (; d < dim; d++) {
        double off = (single ? (double)f[d] : x[d]) - from[d];
        sum[0] += off * off;
    }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static void add_single(double *restrict sum, const float *restrict x, int64_t dim, double weight)
{
    for (int64_t d = 0; d < dim; d++) sum[d] += weight * (double)x[d];
}

static void add_double(double *restrict sum, const double *restrict x, int64_t dim, double weight)
{
    for (int64_t d = 0; d < dim; d++) sum[d] += weight * x[d];
}

void q_points_sum(const q_points *points, const int32_t *labels, const double *weights, double *sums, double *mass,
                  int64_t *members)
{
    int64_t dim = points->dim, stride = points->host.stride ? points->host.stride : dim;
    for (int64_t r = 0; r < points->rows; r++) {
        if (labels[r] < 0) continue;
        double weight = weights ? weights[r] : 1, *sum = sums + labels[r] * dim;
        if (points->dtype == QUERN_F32) add_single(sum, (const float *)points->host.data + r * stride, dim, weight);
        else add_double(sum, (const double *)points->host.data + r * stride, dim, weight);
        mass[labels[r]] += weight;
        members[labels[r]] += weight > 0;
    }
}

double q_points_variance(const q_points *points)
{
    double all = 0;
    for (int64_t d = 0; d < points->dim && points->rows; d++) {
        double mean = 0, square = 0;
        for (int64_t r = 0; r < points->rows; r++) mean += q_points_at(points, r, d) / (double)points->rows;
        for (int64_t r = 0; r < points->rows; r++) {
            double off = q_points_at(points, r, d) - mean;
            square += off * off;
        }
        all += square / (double)points->rows;
    }
    return all / (double)points->dim;
}

// ---- formulas ----

/* Its least over j has a row for each i, and the other way round. */
quern_status q_distance_check(quern_graph *graph, const char *distance)
{
    quern_operator *op = NULL;
    const quern_expr least[] = {quern_formula(graph, "Min_j(" Q_DISTANCE ")"),
                                quern_formula(graph, "Min_i(" Q_DISTANCE ")")};
    Q_TRY(quern_compile_graph(&op, NULL, graph, (quern_exprs){least, 2}, NULL));
    bool x = quern_result(op, 0).axis == 'i', y = quern_result(op, 1).axis == 'j';
    quern_operator_destroy(&op);
    if (x && y) return QUERN_OK;
    q_fail(QUERN_USAGE, "the distance %s does not depend on %s", distance, x ? "y" : "x");
    q_fail_next_step("a distance is a formula in x and y that gives one number, such as Norm2(x-y)");
    return QUERN_USAGE;
}

quern_status q_distance_compile(quern_operator **out, quern_context *context, const char *distance, int64_t dim,
                                const char *first, const char *second)
{
    quern_graph *graph = NULL;
    if (!distance) distance = "SqDist(x,y)";
    *out = NULL;
    Q_TRY(quern_graph_create(&graph));
    quern_vi(graph, "x", dim), quern_vj(graph, "y", dim);
    quern_expr d = quern_name(graph, Q_DISTANCE, quern_formula(graph, distance));
    int64_t length = quern_length(graph, d);
    quern_expr results[2] = {quern_formula(graph, first), second ? quern_formula(graph, second) : 0};
    quern_status status = quern_graph_status(graph);
    if (!status && length != 1)
        status = q_fail(QUERN_DIMENSION, "the distance %s has %lld components; it must have one", distance,
                        (long long)length);
    if (!status) status = q_distance_check(graph, distance);
    if (!status) status = quern_compile_graph(out, context, graph, (quern_exprs){results, second ? 2 : 1}, NULL);
    quern_graph_destroy(&graph);
    return status;
}
