/*
 * picture.c: what all methods that place points in a picture begin and end with: arrays are checked, points get their first places,
 * and places are written.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/tsne/tsne.h"

// ---- checks ----

quern_status q_picture_check(quern_view x, quern_view y, quern_view start)
{
    Q_TRY(q_shape_check("x", &x, -1, -1));
    Q_TRY(q_shape_check("y", &y, -1, -1));
    if (y.rows != x.rows || y.columns > Q_MOST_DIMENSIONS)
        return q_fail(QUERN_SHAPE,
                      "the result has %lld x %lld numbers for %lld points; it needs as many rows and 1, 2 or 3 columns",
                      (long long)y.rows, (long long)y.columns, (long long)x.rows);
    if (!y.array && y.dtype != QUERN_F32 && y.dtype != QUERN_F64)
        return q_fail(QUERN_DTYPE, "the result must be float32 or float64");
    return q_view_given(&start) ? q_shape_check("start", &start, y.rows, y.columns) : QUERN_OK;
}

// ---- first places ----

/* The points as float64 on the host, all of them finite. */
static quern_status read_finite(double **out, quern_context *context, const quern_array *points)
{
    const quern_view view = quern_array_view(points);
    const size_t count = (size_t)(view.rows * view.columns);
    *out = malloc((count + 1) * sizeof **out);
    if (!*out) return q_fail_memory(count * sizeof **out);
    Q_TRY(q_view_write(context, quern_f64(*out, view.rows, view.columns), view));
    for (size_t e = 0; e < count; e++)
        if (!isfinite((*out)[e])) return q_coordinate_fail((int64_t)e / view.columns, (*out)[e]);
    return QUERN_OK;
}

static quern_status find_places(double *place, quern_context *context, const quern_array *points, quern_view start,
                                int dim, uint64_t seed)
{
    const quern_view view = quern_array_view(points);
    double *x = NULL, *read = NULL;
    quern_array *copy = NULL;
    quern_status status = read_finite(&x, context, points);
    if (!status && !q_view_given(&start)) status = q_principal_components(x, view.rows, view.columns, place, dim, seed);
    if (!status && q_view_given(&start)) status = quern_array_from(&copy, context, start);
    if (copy) status = read_finite(&read, context, copy);
    if (read && !status) memcpy(place, read, (size_t)(view.rows * dim) * sizeof *read);
    free(x), free(read);
    quern_array_destroy(&copy);
    return status;
}

quern_status q_picture_begin(quern_array **points, double *place, quern_context *context, quern_view x,
                             quern_view start, int dim, uint64_t seed)
{
    Q_TRY(quern_array_create(points, context, QUERN_F32, x.rows, x.columns));
    Q_TRY(q_view_write(context, quern_array_view(*points), x));
    return find_places(place, context, *points, start, dim, seed);
}

// ---- the end ----

quern_status q_picture_end(quern_status status, quern_context *context, quern_view y, double *place)
{
    q_failure kept;
    if (status && status != QUERN_CANCELLED) return status;
    if (status) q_failure_keep(&kept);
    Q_TRY(q_view_write(context, y, quern_f64(place, y.rows, y.columns)));
    return status ? q_failure_tell(&kept, "") : QUERN_OK;
}
