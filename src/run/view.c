/*
 * view.c: what a view covers, of an array on the host or on the device: whether it can be read or written, whether two have
 * something in common, and whether kernels can use it where it is.
 *
 * Invariant: the elements of a view that q_view_check accepts lie within its array.
 */
#include "run/array.h"

// ---- shape ----

int64_t q_view_stride(const quern_view *view)
{
    return view->stride ? view->stride : view->columns;
}

bool q_view_is_dense(const quern_view *view)
{
    return view->rows <= 1 || q_view_stride(view) == view->columns;
}

static bool is_empty(const quern_view *view)
{
    return !view->rows || !view->columns;
}

bool q_view_extent(const quern_view *view, uint64_t *out)
{
    size_t between;
    *out = 0;
    if (is_empty(view)) return true;
    if (!q_mul_size((size_t)(view->rows - 1), (size_t)q_view_stride(view), &between)) return false;
    *out = (uint64_t)between + (uint64_t)view->columns;
    return *out >= between && *out <= INT64_MAX / 8;
}

// ---- checks ----

static quern_status check_array(const quern_context *context, const char *name, const quern_view *view, uint64_t extent)
{
    const quern_array *array = view->array;
    if (array->context != context) return q_fail(QUERN_USAGE, "%s is an array of another context", name);
    if (array->dtype != view->dtype)
        return q_fail(QUERN_DTYPE, "the view of %s says %s; its array is %s", name, q_dtype_name(view->dtype),
                      q_dtype_name(array->dtype));
    uint64_t elements = (uint64_t)array->rows * (uint64_t)array->columns;
    if (view->offset < 0 || (uint64_t)view->offset > elements || extent > elements - (uint64_t)view->offset)
        return q_fail(QUERN_SHAPE, "%s, %lld x %lld from element %lld on, leaves its array of %lld x %lld", name,
                      (long long)view->rows, (long long)view->columns, (long long)view->offset, (long long)array->rows,
                      (long long)array->columns);
    return QUERN_OK;
}

/* What no view has, and a forgotten member makes. */
static quern_status check_members(const char *name, const quern_view *view)
{
    for (size_t k = 0; k < Q_COUNT(view->batch); k++)
        if (view->batch[k])
            return q_fail(QUERN_USAGE, "%s has a batch, which only arguments and results of runs can have", name);
    if (view->data && view->array)
        return q_fail(QUERN_USAGE, "the view of %s has both data, on the host, and array, on the device", name);
    if (view->dtype == QUERN_NUMBER && (view->data || view->array))
        return q_fail(QUERN_DTYPE, "the view of %s does not say the element type of its array", name);
    if (view->offset && !view->array)
        return q_fail(QUERN_USAGE, "the view of %s has an offset, which is for arrays on the device", name);
    return QUERN_OK;
}

quern_status q_view_check(const quern_context *context, const char *name, const quern_view *view)
{
    uint64_t extent;
    if (view->rows < 0 || view->columns < 0)
        return q_fail(QUERN_SHAPE, "%s has a negative shape, %lld x %lld", name, (long long)view->rows,
                      (long long)view->columns);
    Q_TRY(check_members(name, view));
    if (view->dtype == QUERN_NUMBER) return QUERN_OK;
    if (!q_dtype_is_known(view->dtype))
        return q_fail(QUERN_USAGE, "there is no element type %d, as %s has", (int)view->dtype, name);
    if (view->stride && view->stride < view->columns)
        return q_fail(QUERN_SHAPE, "the rows of %s have %lld columns and start every %lld elements: they would overlap",
                      name, (long long)view->columns, (long long)view->stride);
    if (!q_view_extent(view, &extent))
        return q_fail(QUERN_MEMORY, "%s, %lld x %lld, is too large for this machine", name, (long long)view->rows,
                      (long long)view->columns);
    if (view->array) return check_array(context, name, view, extent);
    if (!view->data && extent) return q_fail(QUERN_USAGE, "the data of %s is null", name);
    return QUERN_OK;
}

quern_status q_view_check_access(const char *name, const quern_view *view, bool write)
{
    cl_mem_flags only = write ? CL_MEM_READ_ONLY : CL_MEM_WRITE_ONLY;
    if (!view->array || !(view->array->flags & only)) return QUERN_OK;
    return q_fail(QUERN_USAGE, "kernels cannot %s %s: its memory was made with %s", write ? "write" : "read", name,
                  write ? "CL_MEM_READ_ONLY" : "CL_MEM_WRITE_ONLY");
}

// ---- memory ----

/* Whether two windows [a, a + n) and [b, b + m) have something in common. */
static bool windows_meet(uint64_t a, uint64_t n, uint64_t b, uint64_t m)
{
    return a < b + m && b < a + n;
}

/* The first byte of a view, among those of what memory_of is the same for. */
static uint64_t place_of(const quern_view *view)
{
    return view->array ? view->array->base + (uint64_t)view->offset * q_element_size(view->dtype)
                       : (uint64_t)(uintptr_t)view->data;
}

/* Null: the host's memory. The program may have wrapped one buffer, or parts of it, more than once. */
static cl_mem memory_of(const quern_view *view)
{
    const quern_array *array = view->array;
    return !array ? NULL : array->parent ? array->parent : array->buffer.mem;
}

/* Whether two views are blocks of one table, and if so, whether these meet. */
static bool are_blocks(const quern_view *a, const quern_view *b, bool *meet)
{
    uint64_t stride = (uint64_t)q_view_stride(a), columns_a = (uint64_t)a->columns, columns_b = (uint64_t)b->columns;
    if (!a->array || a->array != b->array || stride != (uint64_t)q_view_stride(b)) return false;
    uint64_t at_a = (uint64_t)a->offset % stride, at_b = (uint64_t)b->offset % stride;
    if (at_a + columns_a > stride || at_b + columns_b > stride) return false;
    *meet =
        windows_meet(at_a, columns_a, at_b, columns_b) &&
        windows_meet((uint64_t)a->offset / stride, (uint64_t)a->rows, (uint64_t)b->offset / stride, (uint64_t)b->rows);
    return true;
}

bool q_views_overlap(const quern_view *a, const quern_view *b)
{
    uint64_t extent_a = 0, extent_b = 0;
    bool fits = q_view_extent(a, &extent_a) && q_view_extent(b, &extent_b), meet;
    if (memory_of(a) != memory_of(b) || !fits || !extent_a || !extent_b) return false;
    if (are_blocks(a, b, &meet)) return meet;
    return windows_meet(place_of(a), extent_a * q_element_size(a->dtype), place_of(b),
                        extent_b * q_element_size(b->dtype));
}

/* Bytes of the array before the view, which may be anywhere if it is empty. */
static uint64_t start_of(const quern_view *view)
{
    return is_empty(view) ? 0 : (uint64_t)view->offset * q_element_size(view->dtype);
}

bool q_view_is_buffer(const quern_context *context, const quern_view *view, quern_dtype dtype)
{
    if (!view->array || view->dtype != dtype || !q_view_is_dense(view)) return false;
    uint64_t start = start_of(view);
    return !start || (view->array->base + start) % context->session->alignment == 0;
}

quern_status q_view_borrow(q_buffer *out, quern_context *context, const quern_view *view)
{
    const quern_array *array = view->array;
    uint64_t start = start_of(view),
             size = (uint64_t)view->rows * (uint64_t)view->columns * q_element_size(view->dtype);
    if (!start || !array->parent) return q_buffer_borrow(out, context->session, array->buffer.mem, start, size);
    return q_buffer_borrow(out, context->session, array->parent, array->base + start, size);
}

// ---- parts ----

/* A part of a view that starts `ahead` elements later; outside of it: one with a negative shape. */
static quern_view part_of(quern_view view, bool inside, int64_t ahead)
{
    if (!inside) {
        view.rows = -1;
        return view;
    }
    view.stride = q_view_stride(&view);
    if (view.array) view.offset += ahead;
    else if (view.data) view.data = (char *)view.data + (size_t)ahead * q_element_size(view.dtype);
    return view;
}

static bool is_within(int64_t first, int64_t count, int64_t all)
{
    return first >= 0 && count >= 0 && count <= all && first <= all - count;
}

quern_view quern_view_rows(quern_view view, int64_t first, int64_t count)
{
    bool inside = is_within(first, count, view.rows) && !view.batch[0];
    quern_view part = part_of(view, inside, inside ? first * q_view_stride(&view) : 0);
    if (inside) part.rows = count;
    return part;
}

quern_view quern_view_columns(quern_view view, int64_t first, int64_t count)
{
    bool inside = is_within(first, count, view.columns) && !view.batch[0];
    quern_view part = part_of(view, inside, first);
    if (inside) part.columns = count;
    return part;
}
