/*
 * views.c: arrays of the host of any element type and stride, element by element.
 */
#include <string.h>

#include "apps/neighbors/neighbors.h"

int64_t q_batch_rows(const quern_view *view)
{
    int64_t rows = view->rows;
    for (size_t k = 0; k < Q_COUNT(view->batch) && view->batch[k]; k++) rows *= view->batch[k];
    return rows;
}

static int depth_of(const quern_view *view)
{
    int depth = 0;
    while (depth < (int)Q_COUNT(view->batch) && view->batch[depth]) depth++;
    return depth;
}

quern_status q_batch_join(int64_t batch[4], const quern_view *queries, const quern_view *points)
{
    int depths[2] = {depth_of(queries), depth_of(points)}, depth = depths[0] > depths[1] ? depths[0] : depths[1];
    memset(batch, 0, 4 * sizeof *batch);
    for (int d = 1; d <= depth; d++) {
        int64_t a = d <= depths[0] ? queries->batch[depths[0] - d] : 1;
        int64_t b = d <= depths[1] ? points->batch[depths[1] - d] : 1;
        if (a != b && a != 1 && b != 1)
            return q_fail(QUERN_SHAPE, "queries are a batch of %lld, and points one of %lld", (long long)a,
                          (long long)b);
        batch[depth - d] = a == 1 ? b : a;
    }
    return QUERN_OK;
}

static bool is_host_array(const quern_view *view)
{
    return !view->array && view->dtype != QUERN_NUMBER && q_dtype_is_known(view->dtype) && !view->batch[0];
}

quern_status q_numbers_check(const char *name, const quern_view *view, int64_t rows, int64_t columns)
{
    if (view->array) {
        q_fail(QUERN_USAGE, "%s is an array on the device", name);
        q_fail_next_step("read it with quern_array_read");
        return QUERN_USAGE;
    }
    if (!is_host_array(view))
        return q_fail(QUERN_USAGE, "%s is no array: it is %s", name,
                      view->batch[0] ? "a batch" : q_dtype_name(view->dtype));
    return q_extent_check(name, view, rows, columns);
}

static bool is_whole(quern_dtype dtype)
{
    return dtype == QUERN_I64 || dtype == QUERN_I32;
}

quern_status q_indices_check(const char *name, const quern_view *view)
{
    if (is_whole(view->dtype)) return QUERN_OK;
    return q_fail(QUERN_DTYPE, "%s are %s; int64 or int32 is needed", name, q_dtype_name(view->dtype));
}

quern_status q_distances_check(const char *name, const quern_view *view)
{
    if (view->dtype != QUERN_NUMBER && q_dtype_is_known(view->dtype) && !is_whole(view->dtype)) return QUERN_OK;
    return q_fail(QUERN_DTYPE, "%s are %s; a float type is needed", name, q_dtype_name(view->dtype));
}
