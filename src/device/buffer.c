/*
 * buffer.c: device memory within the context's budget.
 *
 * Many drivers allocate at the first use of a buffer and fail there, or overcommit and crash. So quern keeps its own
 * account: memory_in_use is the sum of the sizes of all live buffers and never exceeds memory_limit. Bytes are reserved
 * before the driver is asked and given back when it refuses; that makes the account exact with several threads.
 */
#include <inttypes.h>
#include <stdatomic.h>

#include "device/device.h"

/* Up to here a copy that comes with the buffer is cheaper than a command in the queue. Not beyond: some drivers keep such
   a copy in the host's memory until the first use. */
enum { SMALL_BYTES = 65536 };

/* OpenCL has no empty buffers; an array without rows takes one byte. */
static uint64_t allocated_bytes(uint64_t size)
{
    return size ? size : 1;
}

static bool reserve(q_session *session, uint64_t bytes, uint64_t *in_use)
{
    *in_use = atomic_load(&session->memory_in_use);
    do {
        if (*in_use > session->memory_limit || bytes > session->memory_limit - *in_use) return false;
    } while (!atomic_compare_exchange_weak(&session->memory_in_use, in_use, *in_use + bytes));
    return true;
}

static void give_back(q_session *session, uint64_t bytes)
{
    atomic_fetch_sub(&session->memory_in_use, bytes);
}

static quern_status fail_budget(const q_session *session, uint64_t bytes, uint64_t in_use)
{
    q_fail(QUERN_MEMORY, "%" PRIu64 " bytes of device memory are needed; %" PRIu64 " of %" PRIu64 " are in use on %s",
           bytes, in_use, session->memory_limit, session->device->info.name);
    q_fail_next_step("use smaller arrays, wait for other runs in this context, or raise quern_context_options.memory");
    return QUERN_MEMORY;
}

static quern_status fail_too_long(const q_session *session, uint64_t bytes)
{
    q_fail(QUERN_MEMORY, "an array of %" PRIu64 " bytes is needed; the longest that %s takes has %" PRIu64, bytes,
           session->device->info.name, session->device->max_allocation);
    q_fail_next_step("give fewer rows per call");
    return QUERN_MEMORY;
}

/* What the driver refuses although the account has room: other programs may use the device, or it cannot be had. */
static quern_status fail_driver(const q_session *session, uint64_t bytes, uint64_t in_use, cl_int code)
{
    if (q_cl_fail(code, "clCreateBuffer") != QUERN_MEMORY) return QUERN_DEVICE;
    q_fail(QUERN_MEMORY,
           "%s refuses %" PRIu64 " bytes of device memory: clCreateBuffer failed with %s (%d); %" PRIu64 " of %" PRIu64
           " are in use by this context",
           session->device->info.name, bytes, q_cl_name(code), code, in_use, session->memory_limit);
    q_fail_cl(code);
    q_fail_next_step("use smaller arrays, end other programs that use the device, or take one with more free memory");
    return QUERN_MEMORY;
}

/* With `data`, which is copied before this returns, or without. */
static quern_status create(q_buffer *out, q_session *session, uint64_t size, const void *data)
{
    *out = (q_buffer){0};
    Q_TRY(q_session_check(session));
    uint64_t bytes = allocated_bytes(size), in_use;
    if (bytes > session->device->max_allocation) return fail_too_long(session, bytes);
    if (!reserve(session, bytes, &in_use)) return fail_budget(session, bytes, in_use);
    cl_int code;
    cl_mem_flags flags = CL_MEM_READ_WRITE | (data ? CL_MEM_COPY_HOST_PTR : 0);
    cl_mem mem = clCreateBuffer(session->context, flags, (size_t)bytes, (void *)data, &code);
    if (!mem) {
        give_back(session, bytes);
        return fail_driver(session, bytes, in_use, code);
    }
    *out = (q_buffer){.mem = mem, .size = size};
    return QUERN_OK;
}

quern_status q_buffer_create(q_buffer *out, q_session *session, uint64_t size)
{
    return create(out, session, size, NULL);
}

quern_status q_buffer_create_from(q_buffer *out, q_session *session, const void *data, uint64_t size)
{
    if (size && size <= SMALL_BYTES) return create(out, session, size, data);
    Q_TRY(create(out, session, size, NULL));
    quern_status status = q_buffer_write(out, session, data, size);
    if (status) q_buffer_destroy(out, session);
    return status;
}

quern_status q_buffer_borrow(q_buffer *out, q_session *session, cl_mem mem, uint64_t offset, uint64_t size)
{
    *out = (q_buffer){0};
    Q_TRY(q_session_check(session));
    if (!offset) {
        Q_CL(clRetainMemObject(mem));
    } else {
        cl_int code;
        cl_buffer_region region = {(size_t)offset, (size_t)allocated_bytes(size)};
        mem = clCreateSubBuffer(mem, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &code);
        if (!mem) return q_cl_fail(code, "clCreateSubBuffer");
    }
    *out = (q_buffer){.mem = mem, .size = size, .borrowed = true};
    return QUERN_OK;
}

void q_buffer_destroy(q_buffer *buffer, q_session *session)
{
    if (!buffer->mem) return;
    if (session->process == q_process()) clReleaseMemObject(buffer->mem);
    if (!buffer->borrowed) give_back(session, allocated_bytes(buffer->size));
    *buffer = (q_buffer){0};
}

static quern_status check_copy(const q_buffer *buffer, const q_session *session, uint64_t size)
{
    if (size > buffer->size)
        return q_fail(QUERN_INTERNAL, "a copy of %" PRIu64 " bytes exceeds a buffer of %" PRIu64, size, buffer->size);
    return q_session_check(session);
}

quern_status q_buffer_write(q_buffer *buffer, q_session *session, const void *data, uint64_t size)
{
    Q_TRY(check_copy(buffer, session, size));
    if (size)
        Q_SESSION_CL(session, clEnqueueWriteBuffer(session->commands, buffer->mem, CL_FALSE, 0, (size_t)size, data, 0,
                                                   NULL, NULL));
    return QUERN_OK;
}

quern_status q_buffer_read(q_buffer *buffer, q_session *session, void *data, uint64_t size)
{
    Q_TRY(check_copy(buffer, session, size));
    if (size)
        Q_SESSION_CL(session, clEnqueueReadBuffer(session->commands, buffer->mem, CL_TRUE, 0, (size_t)size, data, 0,
                                                  NULL, NULL));
    return QUERN_OK;
}

typedef struct copy_shape {
    size_t origin[3], region[3], pitch;
} copy_shape;

static quern_status shape_of_rows(copy_shape *out, const q_buffer *buffer, const q_session *session, uint64_t rows,
                                  uint64_t bytes, uint64_t stride)
{
    *out = (copy_shape){.region = {(size_t)bytes, (size_t)rows, 1}, .pitch = (size_t)stride};
    return check_copy(buffer, session, rows * bytes);
}

quern_status q_buffer_write_rows(q_buffer *buffer, q_session *session, const void *data, uint64_t rows, uint64_t bytes,
                                 uint64_t stride)
{
    copy_shape s;
    Q_TRY(shape_of_rows(&s, buffer, session, rows, bytes, stride));
    if (rows && bytes)
        Q_SESSION_CL(session, clEnqueueWriteBufferRect(session->commands, buffer->mem, CL_FALSE, s.origin, s.origin,
                                                       s.region, s.region[0], 0, s.pitch, 0, data, 0, NULL, NULL));
    return QUERN_OK;
}

quern_status q_buffer_read_rows(q_buffer *buffer, q_session *session, void *data, uint64_t rows, uint64_t bytes,
                                uint64_t stride)
{
    copy_shape s;
    Q_TRY(shape_of_rows(&s, buffer, session, rows, bytes, stride));
    if (rows && bytes)
        Q_SESSION_CL(session, clEnqueueReadBufferRect(session->commands, buffer->mem, CL_TRUE, s.origin, s.origin,
                                                      s.region, s.region[0], 0, s.pitch, 0, data, 0, NULL, NULL));
    return QUERN_OK;
}

quern_status q_buffer_fill(q_buffer *buffer, q_session *session, const void *pattern, size_t pattern_size,
                           uint64_t size)
{
    Q_TRY(check_copy(buffer, session, size));
    if (size)
        Q_SESSION_CL(session, clEnqueueFillBuffer(session->commands, buffer->mem, pattern, pattern_size, 0,
                                                  (size_t)size, 0, NULL, NULL));
    return QUERN_OK;
}
