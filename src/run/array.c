/*
 * array.c: arrays on the device, views of them, and copies between views and buffers.
 *
 * A copy between host and device with a change of type goes through a dense buffer of the host's type; all changes of type
 * are made on the device (convert.c). Invariant: the elements of a view that q_view_check accepts lie within its array.
 */
#include <stdlib.h>
#include <string.h>

#include "quern/array.h"
#include "run/run.h"

struct quern_array {
    quern_context *context;
    q_buffer buffer;
    quern_dtype dtype;
    int64_t rows, columns;
    cl_mem parent;      /* null, or what the buffer is a sub-buffer of: such a one has no sub-buffers itself */
    uint64_t base;      /* there: bytes before it */
    cl_mem_flags flags; /* of the program's own memory: what kernels may do with it */
    _Atomic bool shown; /* the program has got the cl_mem */
};

// ---- views ----

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

/* Elements from the first to the last, both counted; false if that does not fit. */
static bool extent_of(const quern_view *view, uint64_t *out)
{
    size_t between;
    *out = 0;
    if (is_empty(view)) return true;
    if (!q_mul_size((size_t)(view->rows - 1), (size_t)q_view_stride(view), &between)) return false;
    *out = (uint64_t)between + (uint64_t)view->columns;
    return *out >= between && *out <= INT64_MAX / 8;
}

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
    for (size_t k = 0; k < Q_COUNT(view->reserved); k++)
        if (view->reserved[k]) return q_fail(QUERN_USAGE, "a reserved member of the view of %s is not 0", name);
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
    if (!extent_of(view, &extent))
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
    uint64_t extent_a, extent_b;
    bool fits = extent_of(a, &extent_a) && extent_of(b, &extent_b), meet;
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

// ---- copies ----

static q_rows rows_of(const quern_view *view)
{
    return (q_rows){view->array->buffer.mem, view->dtype, view->offset, q_view_stride(view)};
}

/* Host memory to a dense buffer of the same type. */
static quern_status write_host(q_buffer *out, quern_context *context, const quern_view *view)
{
    uint64_t size = q_element_size(view->dtype), bytes = (uint64_t)view->columns * size;
    if (q_view_is_dense(view)) return q_buffer_write(out, context->session, view->data, (uint64_t)view->rows * bytes);
    return q_buffer_write_rows(out, context->session, view->data, (uint64_t)view->rows, bytes,
                               (uint64_t)q_view_stride(view) * size);
}

static quern_status read_host(q_buffer *from, quern_context *context, const quern_view *view)
{
    uint64_t size = q_element_size(view->dtype), bytes = (uint64_t)view->columns * size;
    if (q_view_is_dense(view)) return q_buffer_read(from, context->session, view->data, (uint64_t)view->rows * bytes);
    return q_buffer_read_rows(from, context->session, view->data, (uint64_t)view->rows, bytes,
                              (uint64_t)q_view_stride(view) * size);
}

/* A buffer with the elements of a host view, in its own type. */
static quern_status create_raw(q_buffer *out, quern_context *context, const quern_view *view)
{
    return q_buffer_create(out, context->session,
                           (uint64_t)view->rows * (uint64_t)view->columns * q_element_size(view->dtype));
}

static quern_status load_rows(const q_rows *to, quern_context *context, const quern_view *view)
{
    if (view->array) {
        q_rows from = rows_of(view);
        return q_convert(context, &from, to, view->rows, view->columns);
    }
    q_buffer raw;
    Q_TRY(create_raw(&raw, context, view));
    quern_status status = write_host(&raw, context, view);
    q_rows from = {raw.mem, view->dtype, 0, view->columns};
    if (!status) status = q_convert(context, &from, to, view->rows, view->columns);
    q_buffer_destroy(&raw, context->session);
    return status;
}

static quern_status store_rows(const q_rows *from, quern_context *context, const quern_view *view)
{
    if (view->array) {
        q_rows to = rows_of(view);
        return q_convert(context, from, &to, view->rows, view->columns);
    }
    q_buffer raw;
    Q_TRY(create_raw(&raw, context, view));
    q_rows to = {raw.mem, view->dtype, 0, view->columns};
    quern_status status = q_convert(context, from, &to, view->rows, view->columns);
    if (!status) status = read_host(&raw, context, view);
    q_buffer_destroy(&raw, context->session);
    return status;
}

quern_status q_view_load(q_buffer *out, quern_context *context, const quern_view *view, quern_dtype dtype)
{
    if (!view->array && view->dtype == dtype) return write_host(out, context, view);
    return load_rows(&(q_rows){out->mem, dtype, 0, view->columns}, context, view);
}

quern_status q_view_store(q_buffer *from, quern_context *context, const quern_view *view, quern_dtype dtype)
{
    if (!view->array && view->dtype == dtype) return read_host(from, context, view);
    return store_rows(&(q_rows){from->mem, dtype, 0, view->columns}, context, view);
}

/* Between the host and a device view that is a buffer of the host's type, without a buffer in between; *done if so. */
static quern_status copy_directly(quern_context *context, const quern_view *to, const quern_view *from, bool *done)
{
    const quern_view *device = to->array ? to : from, *host = to->array ? from : to;
    q_buffer buffer;
    *done = !host->array && q_view_is_buffer(context, device, host->dtype);
    if (!*done) return QUERN_OK;
    Q_TRY(q_view_borrow(&buffer, context, device));
    quern_status status = to->array ? write_host(&buffer, context, host) : read_host(&buffer, context, host);
    q_buffer_destroy(&buffer, context->session);
    return status;
}

static quern_status enqueue_copy(quern_context *context, const quern_view *to, const quern_view *from)
{
    bool done;
    Q_TRY(copy_directly(context, to, from, &done));
    if (done) return QUERN_OK;
    q_rows rows = rows_of(to->array ? to : from);
    return to->array ? load_rows(&rows, context, from) : store_rows(&rows, context, to);
}

/* The program may change its memory when this returns, also after a failure. */
static quern_status copy(quern_context *context, const quern_view *to, const quern_view *from)
{
    quern_status status = enqueue_copy(context, to, from);
    if (!status && !from->array) status = q_session_finish(context->session);
    if (status) (void)q_session_settle(context->session);
    return status;
}

quern_status quern_copy(quern_context *context, quern_view to, quern_view from)
{
    if (!context) return q_fail_null("quern_copy", "the context");
    Q_TRY(q_session_check(context->session));
    Q_TRY(q_view_check(context, "the destination", &to));
    Q_TRY(q_view_check(context, "the source", &from));
    if (!to.dtype || !from.dtype) return q_fail(QUERN_USAGE, "quern_copy: a number is no array");
    if (to.rows != from.rows || to.columns != from.columns)
        return q_fail(QUERN_SHAPE, "the destination is %lld x %lld, the source %lld x %lld", (long long)to.rows,
                      (long long)to.columns, (long long)from.rows, (long long)from.columns);
    if (!to.array && !from.array) return q_fail(QUERN_USAGE, "quern_copy: neither array is on the device");
    if (q_views_overlap(&to, &from)) return q_fail(QUERN_USAGE, "quern_copy: source and destination overlap");
    return copy(context, &to, &from);
}

// ---- arrays ----

static quern_status check_type(const quern_context *context, quern_dtype dtype)
{
    if (!q_dtype_is_known(dtype) || dtype == QUERN_NUMBER)
        return q_fail(QUERN_USAGE, "there are no arrays of element type %d", (int)dtype);
    if (dtype != QUERN_F64 || quern_context_device(context)->f64) return QUERN_OK;
    return q_fail(QUERN_UNSUPPORTED, "device %s has no float64", quern_context_device(context)->name);
}

/* An array without memory. */
static quern_status create(quern_array **out, const char *function, quern_context *context, quern_dtype dtype,
                           int64_t rows, int64_t columns, uint64_t *bytes)
{
    if (!out) return q_fail_null(function, "out");
    *out = NULL;
    if (!context) return q_fail_null(function, "the context");
    Q_TRY(q_session_check(context->session));
    Q_TRY(check_type(context, dtype));
    quern_view all = {.rows = rows, .columns = columns, .dtype = dtype};
    uint64_t elements;
    if (rows < 0 || columns < 0)
        return q_fail(QUERN_SHAPE, "an array cannot be %lld x %lld", (long long)rows, (long long)columns);
    if (!extent_of(&all, &elements))
        return q_fail(QUERN_MEMORY, "an array of %lld x %lld elements is too large for this machine", (long long)rows,
                      (long long)columns);
    *bytes = elements * q_element_size(dtype);
    quern_array *array = *out = calloc(1, sizeof *array);
    if (!array) return q_fail_memory(sizeof *array);
    q_context_retain(context);
    array->context = context;
    array->dtype = dtype;
    array->rows = rows;
    array->columns = columns;
    return QUERN_OK;
}

static quern_status fill(quern_array *array, double number)
{
    char pattern[8];
    q_element_write(array->dtype, pattern, number);
    return q_buffer_fill(&array->buffer, array->context->session, pattern, q_element_size(array->dtype),
                         array->buffer.size);
}

quern_status quern_array_create(quern_array **out, quern_context *context, quern_dtype dtype, int64_t rows,
                                int64_t columns)
{
    uint64_t bytes;
    Q_TRY(create(out, "quern_array_create", context, dtype, rows, columns, &bytes));
    quern_status status = q_buffer_create(&(*out)->buffer, context->session, bytes);
    if (!status) status = fill(*out, 0);
    if (status) quern_array_destroy(out);
    return status;
}

quern_status quern_array_from(quern_array **out, quern_context *context, quern_view view)
{
    uint64_t bytes;
    Q_TRY(create(out, "quern_array_from", context, view.dtype, view.rows, view.columns, &bytes));
    quern_status status = q_buffer_create(&(*out)->buffer, context->session, bytes);
    if (!status) status = quern_copy(context, quern_array_view(*out), view);
    if (status) quern_array_destroy(out);
    return status;
}

static quern_status wrap(quern_array *array, cl_mem mem, uint64_t bytes)
{
    cl_context context;
    size_t size, base;
    Q_CL(clGetMemObjectInfo(mem, CL_MEM_CONTEXT, sizeof context, &context, NULL));
    if (context != array->context->session->context)
        return q_fail(QUERN_USAGE, "quern_array_wrap: the buffer is one of another cl_context");
    Q_CL(clGetMemObjectInfo(mem, CL_MEM_SIZE, sizeof size, &size, NULL));
    if (size < bytes)
        return q_fail(QUERN_SHAPE, "quern_array_wrap: the buffer has %zu bytes; %lld x %lld elements need %llu", size,
                      (long long)array->rows, (long long)array->columns, (unsigned long long)bytes);
    Q_CL(clGetMemObjectInfo(mem, CL_MEM_FLAGS, sizeof array->flags, &array->flags, NULL));
    Q_CL(clGetMemObjectInfo(mem, CL_MEM_ASSOCIATED_MEMOBJECT, sizeof array->parent, &array->parent, NULL));
    Q_CL(clGetMemObjectInfo(mem, CL_MEM_OFFSET, sizeof base, &base, NULL));
    array->base = array->parent ? base : 0;
    return q_buffer_borrow(&array->buffer, array->context->session, mem, 0, bytes);
}

quern_status quern_array_wrap(quern_array **out, quern_context *context, void *mem, quern_dtype dtype, int64_t rows,
                              int64_t columns)
{
    uint64_t bytes;
    Q_TRY(create(out, "quern_array_wrap", context, dtype, rows, columns, &bytes));
    quern_status status = mem ? wrap(*out, mem, bytes) : q_fail_null("quern_array_wrap", "the buffer");
    if (status) quern_array_destroy(out);
    return status;
}

void quern_array_destroy(quern_array **given)
{
    if (!given || !*given) return;
    quern_array *array = *given;
    *given = NULL;
    if (array->shown) array->buffer.single_use = true;
    q_buffer_destroy(&array->buffer, array->context->session);
    q_context_release(array->context);
    free(array);
}

quern_view quern_array_view(const quern_array *array)
{
    quern_view view = {0};
    if (!array) return view;
    view.rows = array->rows;
    view.columns = array->columns;
    view.dtype = array->dtype;
    view.array = (quern_array *)array;
    return view;
}

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
    bool inside = is_within(first, count, view.rows);
    quern_view part = part_of(view, inside, inside ? first * q_view_stride(&view) : 0);
    if (inside) part.rows = count;
    return part;
}

quern_view quern_view_columns(quern_view view, int64_t first, int64_t count)
{
    bool inside = is_within(first, count, view.columns);
    quern_view part = part_of(view, inside, first);
    if (inside) part.columns = count;
    return part;
}

quern_status quern_array_write(quern_array *array, quern_view from)
{
    if (!array) return q_fail_null("quern_array_write", "the array");
    return quern_copy(array->context, quern_array_view(array), from);
}

quern_status quern_array_read(const quern_array *array, quern_view to)
{
    if (!array) return q_fail_null("quern_array_read", "the array");
    return quern_copy(array->context, to, quern_array_view(array));
}

quern_status quern_array_fill(quern_array *array, double number)
{
    if (!array) return q_fail_null("quern_array_fill", "the array");
    return fill(array, number);
}

// ---- OpenCL ----

void *quern_array_opencl(const quern_array *array)
{
    if (array) ((quern_array *)array)->shown = true;
    return array ? array->buffer.mem : NULL;
}

void *quern_context_opencl(const quern_context *context)
{
    return context ? context->session->context : NULL;
}

void *quern_context_opencl_queue(const quern_context *context)
{
    return context ? context->session->commands : NULL;
}
