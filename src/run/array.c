/*
 * array.c: arrays on the device: made, wrapped, filled and destroyed. Their elements are copied by copy.c.
 */
#include <stdlib.h>

#include "run/array.h"

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
    if (!q_view_extent(&all, &elements))
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
    uint64_t bytes = 0;
    Q_TRY(create(out, "quern_array_create", context, dtype, rows, columns, &bytes));
    quern_status status = q_buffer_create(&(*out)->buffer, context->session, bytes);
    if (!status) status = fill(*out, 0);
    if (status) quern_array_destroy(out);
    return status;
}

quern_status quern_array_from(quern_array **out, quern_context *context, quern_view view)
{
    uint64_t bytes = 0;
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
    uint64_t bytes = 0;
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
