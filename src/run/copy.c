/*
 * copy.c: copies between views, and between views and buffers.
 *
 * A copy between host and device with a change of type goes through a dense buffer of the host's type, and the type is
 * changed on the device (convert.c); where that has no float64, which one of the two is, on the host instead. Copies
 * between arrays of the device are kernels, too, and do not wait.
 */
#include <stdlib.h>

#include "run/array.h"

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

// ---- changes of type that the device cannot make ----

static bool host_converts(const quern_context *context, quern_dtype from, quern_dtype to)
{
    return from != to && (from == QUERN_F64 || to == QUERN_F64) && !quern_context_device(context)->f64;
}

static char *host_at(const quern_view *view, int64_t row, int64_t column)
{
    return (char *)view->data + (size_t)(row * q_view_stride(view) + column) * q_element_size(view->dtype);
}

static void host_convert(const quern_view *to, const quern_view *from)
{
    for (int64_t r = 0; r < to->rows; r++)
        for (int64_t c = 0; c < to->columns; c++)
            q_element_write(to->dtype, host_at(to, r, c), q_element_read(from->dtype, host_at(from, r, c)));
}

/* Dense memory for the elements of a view in another type; free its data. */
static quern_status create_block(quern_view *out, const quern_view *view, quern_dtype dtype)
{
    size_t count, bytes;
    if (!q_mul_size((size_t)view->rows, (size_t)view->columns, &count) ||
        !q_mul_size(count, q_element_size(dtype), &bytes))
        return q_fail_memory(SIZE_MAX);
    *out = quern_view_of(malloc(bytes + 1), dtype, view->rows, view->columns);
    return out->data ? QUERN_OK : q_fail_memory(bytes);
}

static quern_status load_rows(const q_rows *to, quern_context *context, const quern_view *view);
static quern_status store_rows(const q_rows *from, quern_context *context, const quern_view *view);

static quern_status load_converted(const q_rows *to, quern_context *context, const quern_view *view)
{
    quern_view block;
    Q_TRY(create_block(&block, view, to->dtype));
    host_convert(&block, view);
    quern_status status = load_rows(to, context, &block);
    if (!status) status = q_session_finish(context->session);
    if (status) (void)q_session_settle(context->session); /* nothing may still read the block */
    free(block.data);
    return status;
}

static quern_status store_converted(const q_rows *from, quern_context *context, const quern_view *view)
{
    quern_view block;
    Q_TRY(create_block(&block, view, from->dtype));
    quern_status status = store_rows(from, context, &block);
    if (!status) host_convert(view, &block);
    free(block.data);
    return status;
}

// ---- rows in device memory ----

static quern_status load_rows(const q_rows *to, quern_context *context, const quern_view *view)
{
    if (view->array) {
        q_rows from = rows_of(view);
        return q_convert(context, &from, to, view->rows, view->columns);
    }
    if (host_converts(context, view->dtype, to->dtype)) return load_converted(to, context, view);
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
    if (host_converts(context, from->dtype, view->dtype)) return store_converted(from, context, view);
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

bool q_view_swap(const quern_view *view, q_buffer *buffer, quern_dtype dtype)
{
    quern_array *array = view->array;
    if (!array || array->shown || array->dtype != dtype || !q_view_is_dense(view)) return false;
    if (view->rows != array->rows || view->columns != array->columns) return false;
    q_buffer old = array->buffer;
    if (old.borrowed || buffer->borrowed || old.size != buffer->size) return false;
    array->buffer = *buffer;
    *buffer = old;
    return true;
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
