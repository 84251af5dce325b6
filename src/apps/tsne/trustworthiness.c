/*
 * trustworthiness.c: what a picture is worth (Venna and Kaski, 2001). The rank of a neighbour is a sum over all points, of those
 * that are nearer: a reduction like any other, with as many thresholds as there are neighbours.
 */
#include <stdlib.h>

#include "apps/tsne/tsne.h"

/* Squared distances of each point's neighbours in the picture, in x, in the order of the device's own sums. */
static void find_thresholds(double *t, const double *x, int64_t rows, int64_t columns, const int64_t *indices,
                            int count)
{
    for (int64_t i = 0; i < rows; i++)
        for (int k = 0; k < count; k++) {
            const double *a = x + i * columns, *b = x + indices[i * count + k] * columns;
            double square = 0;
            for (int64_t d = 0; d < columns; d++) square += (a[d] - b[d]) * (a[d] - b[d]);
            /* so that rounding makes nobody nearer than himself */
            t[i * count + k] = square * (1 - 1e-12);
        }
}

/* What ranks, the point itself and those nearer being counted, are above `count`. */
static double sum_excess(const double *nearer, int64_t rows, int count)
{
    double sum = 0;
    for (int64_t e = 0; e < rows * count; e++)
        if (nearer[e] > count) sum += nearer[e] - count;
    return sum;
}

/* Of float64 arrays, or of float32 where the device has nothing else. */
static quern_status count_nearer(double *nearer, quern_context *context, const quern_array *x, const double *thresholds,
                                 int64_t rows, int count)
{
    const quern_view points = quern_array_view(x);
    quern_operator *op = NULL;
    quern_array *t = NULL, *result = NULL;
    q_text text = {0};
    q_text_add(&text, "x=Vi(%lld); y=Vj(%lld); t=Vi(%d); Sum_j(SqDist(x,y)<t)", (long long)points.columns,
               (long long)points.columns, count);
    quern_compile_options exact = {.size = sizeof exact, .precision = QUERN_PRECISION_EXACT};
    quern_status status = text.failed ? q_fail_memory(64) : quern_compile(&op, context, text.data, &exact);
    q_text_free(&text);
    if (!status) status = quern_array_create(&t, context, points.dtype, rows, count);
    if (!status) status = q_view_write(context, quern_array_view(t), quern_f64(thresholds, rows, count));
    if (!status) status = quern_array_create(&result, context, points.dtype, rows, count);
    if (!status)
        status = quern_run(op, QUERN_ARGS({"x", points}, {"y", points}, {"t", quern_array_view(t)}),
                           quern_array_view(result));
    if (!status) status = q_view_write(context, quern_f64(nearer, rows, count), quern_array_view(result));
    quern_array_destroy(&result), quern_array_destroy(&t);
    quern_operator_destroy(&op);
    return status;
}

static quern_status measure(double *out, quern_context *context, const quern_array *x, const quern_array *y, int count)
{
    const int64_t rows = quern_array_view(x).rows, columns = quern_array_view(x).columns;
    const size_t size = (size_t)(rows * count) + 1;
    int64_t *indices = NULL;
    double *points = malloc(((size_t)(rows * columns) + 1) * sizeof *points);
    double *thresholds = malloc(size * sizeof *thresholds), *nearer = malloc(size * sizeof *nearer);
    quern_status status = points && thresholds && nearer ? QUERN_OK : q_fail_memory(size * sizeof *points);
    if (!status) status = q_view_write(context, quern_f64(points, rows, columns), quern_array_view(x));
    if (!status) status = q_nearest_others(&indices, NULL, context, y, "SqDist(x,y)", count);
    for (int64_t e = 0; e < rows * count && !status; e++)
        if (indices[e] < 0)
            status = q_fail(QUERN_USAGE, "point %lld has a distance that is NaN", (long long)(e / count));
    if (!status) {
        find_thresholds(thresholds, points, rows, columns, indices, count);
        status = count_nearer(nearer, context, x, thresholds, rows, count);
    }
    if (!status) {
        const double n = (double)rows, k = count;
        *out = 1 - 2 / (n * k * (2 * n - 3 * k - 1)) * sum_excess(nearer, rows, count);
    }
    free(points), free(thresholds), free(nearer), free(indices);
    return status;
}

/* A copy on the device in float64, or float32 where there is nothing else. */
static quern_status copy_of(quern_array **out, quern_context *context, quern_view view)
{
    const quern_dtype dtype = quern_context_device(context)->f64 ? QUERN_F64 : QUERN_F32;
    Q_TRY(quern_array_create(out, context, dtype, view.rows, view.columns));
    return q_view_write(context, quern_array_view(*out), view);
}

quern_status quern_trustworthiness(double *out, quern_context *context, quern_view x, quern_view y, int neighbors)
{
    if (!out || !context) return q_fail_null("quern_trustworthiness", out ? "the context" : "the result's place");
    Q_TRY(q_shape_check("x", &x, -1, -1));
    Q_TRY(q_shape_check("y", &y, -1, -1));
    if (x.rows != y.rows)
        return q_fail(QUERN_SHAPE, "x has %lld x %lld numbers and y %lld x %lld", (long long)x.rows,
                      (long long)x.columns, (long long)y.rows, (long long)y.columns);
    if (neighbors < 1 || 2 * (int64_t)neighbors >= x.rows || neighbors > 1000)
        return q_fail(
            QUERN_USAGE,
            "%d neighbours of %lld points; there must be at least 1, at most 1000, and fewer than half the points",
            neighbors, (long long)x.rows);
    quern_array *points = NULL, *places = NULL;
    quern_status status = copy_of(&points, context, x);
    if (!status) status = copy_of(&places, context, y);
    if (!status) status = measure(out, context, points, places, neighbors);
    quern_array_destroy(&points), quern_array_destroy(&places);
    return status;
}
