/*
 * views.c: see views.h.
 */
#include <math.h>

#include "apps/views/views.h"

bool q_view_given(const quern_view *view)
{
    return view->data || view->array || view->rows || view->columns;
}

quern_status q_extent_check(const char *name, const quern_view *view, int64_t rows, int64_t columns)
{
    if (view->rows < 0 || view->columns < 1)
        return q_fail(QUERN_SHAPE, "%s has %lld rows and %lld columns; at least 0 and 1 are needed", name,
                      (long long)view->rows, (long long)view->columns);
    if (rows >= 0 && view->rows != rows)
        return q_fail(QUERN_SHAPE, "%s has %lld rows, not %lld", name, (long long)view->rows, (long long)rows);
    if (columns >= 0 && view->columns != columns)
        return q_fail(QUERN_SHAPE, "%s has %lld columns, not %lld", name, (long long)view->columns, (long long)columns);
    if (view->stride && view->stride < view->columns)
        return q_fail(QUERN_SHAPE, "the rows of %s have %lld columns and start every %lld elements: they would overlap",
                      name, (long long)view->columns, (long long)view->stride);
    return view->rows && !view->data && !view->array
               ? q_fail(QUERN_USAGE, "%s has %lld rows and no data", name, (long long)view->rows)
               : QUERN_OK;
}

quern_status q_member_check(const char *name, const quern_view *view)
{
    return view->batch[0] ? q_fail(QUERN_USAGE, "%s is a batch; one member at a time is taken", name) : QUERN_OK;
}

quern_status q_shape_check(const char *name, const quern_view *view, int64_t rows, int64_t columns)
{
    if (view->dtype == QUERN_NUMBER || !q_dtype_is_known(view->dtype))
        return q_fail(QUERN_USAGE, "%s is no array: it is %s", name, q_dtype_name(view->dtype));
    Q_TRY(q_member_check(name, view));
    return q_extent_check(name, view, rows, columns);
}

quern_status q_coordinate_fail(int64_t point, double number)
{
    q_fail(QUERN_USAGE, "point %lld has the coordinate %g; points must be finite", (long long)point, number);
    q_fail_next_step("leave out points that are not known, or fill them in");
    return QUERN_USAGE;
}

quern_status q_range_check(const char *name, double number, double low, double high)
{
    if (number >= low && number <= high && isfinite(number)) return QUERN_OK;
    return isinf(high) ? q_fail(QUERN_USAGE, "%s is %g; it must be a number from %g on", name, number, low)
                       : q_fail(QUERN_USAGE, "%s is %g; it must be between %g and %g", name, number, low, high);
}

quern_status q_choice_check(const char *name, int number, int last)
{
    return number >= 0 && number <= last ? QUERN_OK : q_fail(QUERN_USAGE, "there is no %s %d", name, number);
}

void *q_host_at(const quern_view *view, int64_t row, int64_t column)
{
    int64_t stride = view->stride ? view->stride : view->columns;
    return (char *)view->data + (size_t)(row * stride + column) * q_element_size(view->dtype);
}

double q_host_read(const quern_view *view, int64_t row, int64_t column)
{
    return q_element_read(view->dtype, q_host_at(view, row, column));
}

void q_host_write(const quern_view *view, int64_t row, int64_t column, double number)
{
    q_element_write(view->dtype, q_host_at(view, row, column), number);
}

quern_status q_view_write(quern_context *context, quern_view to, quern_view from)
{
    if (to.array || from.array) return quern_copy(context, to, from);
    for (int64_t r = 0; r < to.rows; r++)
        for (int64_t c = 0; c < to.columns; c++) q_host_write(&to, r, c, q_host_read(&from, r, c));
    return QUERN_OK;
}
