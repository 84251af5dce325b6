/*
 * buffer.c: device memory within the context's budget.
 *
 * Many drivers allocate at the first use of a buffer and fail there, or overcommit and crash. So quern keeps its own
 * account: memory_in_use is the sum of the sizes of all live buffers, and with the spare ones, and those that were
 * released while commands may still use them, it never exceeds memory_limit. Bytes are reserved before the driver is
 * asked and given back when it refuses; that makes the account exact with several threads.
 *
 * Making and freeing buffers is much of a small run, so destroyed ones are kept for the next of exactly their size, as long
 * as they are few and small beside the budget. A driver frees what is released when its last command is done, so such bytes
 * are counted until a wait has gone well; who lacks them waits.
 */
#include <inttypes.h>
#include <string.h>

#include "device/device.h"

/* Where memory is the host's, up to here a copy that comes with the buffer is cheaper than a command in the queue. Not
   beyond: some drivers keep such a copy in the host's memory until the first use. Elsewhere only for single numbers. */
enum { SMALL_BYTES = 65536, NUMBER_BYTES = 8 };

/* Spare buffers take no more than this, nor more than a share of the budget. */
enum { MOST_SPARE_BYTES = 256 << 20, SPARE_SHARE = 16 };

/* OpenCL has no empty buffers; an array without rows takes one byte. */
static uint64_t allocated_bytes(uint64_t size)
{
    return size ? size : 1;
}

// ---- the account ----

static uint64_t most_spare(const q_session *session)
{
    uint64_t share = session->memory_limit / SPARE_SHARE;
    return share < MOST_SPARE_BYTES ? share : MOST_SPARE_BYTES;
}

/* With the lock held. */
static void take_spare(q_session *session, size_t at)
{
    session->memory_spare -= session->spare[at].bytes;
    memmove(&session->spare[at], &session->spare[at + 1], (Q_MAX_SPARE - 1 - at) * sizeof *session->spare);
    session->spare[Q_MAX_SPARE - 1] = (q_spare){0};
}

/* With the lock held. */
static void release(q_session *session, cl_mem mem, uint64_t bytes)
{
    if (session->process == q_process()) clReleaseMemObject(mem);
    session->memory_released += bytes;
}

/* With the lock held. */
static void drop_oldest(q_session *session)
{
    release(session, session->spare[0].mem, session->spare[0].bytes);
    take_spare(session, 0);
}

void q_buffers_drop(q_session *session)
{
    pthread_mutex_lock(&session->memory_lock);
    while (session->spare[0].mem) drop_oldest(session);
    pthread_mutex_unlock(&session->memory_lock);
}

bool q_buffers_trim(q_session *session)
{
    q_buffers_drop(session);
    pthread_mutex_lock(&session->memory_lock);
    bool any = session->memory_released > session->memory_freed;
    pthread_mutex_unlock(&session->memory_lock);
    return any && q_session_settle(session) == CL_SUCCESS;
}

/* With the lock held. */
static cl_mem find_spare(q_session *session, uint64_t bytes)
{
    for (size_t at = Q_MAX_SPARE; at-- > 0;)
        if (session->spare[at].mem && session->spare[at].bytes == bytes) {
            cl_mem mem = session->spare[at].mem;
            take_spare(session, at);
            return mem;
        }
    return NULL;
}

/* Room in the account, and where there is one the spare buffer to take; with data comes a new one. */
static bool reserve(q_session *session, uint64_t bytes, bool data, uint64_t *in_use, cl_mem *spare)
{
    pthread_mutex_lock(&session->memory_lock);
    *in_use = session->memory_in_use;
    *spare = data ? NULL : find_spare(session, bytes);
    uint64_t taken = *in_use + session->memory_spare + session->memory_released - session->memory_freed;
    bool fits = taken <= session->memory_limit && bytes <= session->memory_limit - taken;
    if (fits) session->memory_in_use += bytes;
    if (!fits && *spare) release(session, *spare, bytes);
    pthread_mutex_unlock(&session->memory_lock);
    return fits;
}

/* The same; spare and released memory make way. */
static bool reserve_or_trim(q_session *session, uint64_t bytes, bool data, uint64_t *in_use, cl_mem *spare)
{
    return reserve(session, bytes, data, in_use, spare) ||
           (q_buffers_trim(session) && reserve(session, bytes, data, in_use, spare));
}

/* Bytes out of the account that no buffer has got. */
static void give_back(q_session *session, uint64_t bytes)
{
    pthread_mutex_lock(&session->memory_lock);
    session->memory_in_use -= bytes;
    pthread_mutex_unlock(&session->memory_lock);
}

/* A buffer that is no longer in use: a spare one, if it can be kept, or released. */
static void retire(q_session *session, cl_mem mem, uint64_t bytes, bool keep)
{
    pthread_mutex_lock(&session->memory_lock);
    session->memory_in_use -= bytes;
    if (keep && bytes <= most_spare(session)) {
        while (session->spare[Q_MAX_SPARE - 1].mem || session->memory_spare + bytes > most_spare(session))
            drop_oldest(session);
        size_t at = 0;
        while (session->spare[at].mem) at++;
        session->spare[at] = (q_spare){mem, bytes};
        session->memory_spare += bytes;
    } else {
        release(session, mem, bytes);
    }
    pthread_mutex_unlock(&session->memory_lock);
}

// ---- making ----

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
    cl_mem mem;
    if (bytes > session->device->max_allocation) return fail_too_long(session, bytes);
    if (!reserve_or_trim(session, bytes, data, &in_use, &mem)) return fail_budget(session, bytes, in_use);
    cl_mem_flags flags = CL_MEM_READ_WRITE | (data ? CL_MEM_COPY_HOST_PTR : 0);
    cl_int code = CL_SUCCESS;
    if (!mem) mem = clCreateBuffer(session->context, flags, (size_t)bytes, (void *)data, &code);
    if (!mem && q_buffers_trim(session)) /* that may be what the driver lacks */
        mem = clCreateBuffer(session->context, flags, (size_t)bytes, (void *)data, &code);
    if (!mem) {
        give_back(session, bytes);
        return fail_driver(session, bytes, in_use, code);
    }
    *out = (q_buffer){.mem = mem, .size = size, .single_use = data};
    return QUERN_OK;
}

quern_status q_buffer_create(q_buffer *out, q_session *session, uint64_t size)
{
    return create(out, session, size, NULL);
}

quern_status q_buffer_create_from(q_buffer *out, q_session *session, const void *data, uint64_t size)
{
    uint64_t small = session->device->shares_memory ? SMALL_BYTES : NUMBER_BYTES;
    if (size && size <= small) return create(out, session, size, data);
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
    bool own = session->process == q_process();
    if (!buffer->borrowed) retire(session, buffer->mem, allocated_bytes(buffer->size), own && !buffer->single_use);
    else if (own) clReleaseMemObject(buffer->mem);
    *buffer = (q_buffer){0};
}

// ---- copies ----

static quern_status check_copy(const q_buffer *buffer, const q_session *session, uint64_t size)
{
    if (size > buffer->size)
        return q_fail(QUERN_INTERNAL, "a copy of %" PRIu64 " bytes exceeds a buffer of %" PRIu64, size, buffer->size);
    return q_session_check(session);
}

/* Reads a byte of each page of much data, from the first on. Where data are a file that is mapped, its pages come by read-ahead
   then; drivers copy by memcpy, and glibc's goes backwards where both sides begin at about the same place of a page, so that
   each page would be waited for by itself. Takes a tenth of the time of a copy. */
static void read_ahead(const void *data, uint64_t size)
{
    enum { MUCH = 16 << 20, PAGE = 4096 };
    const volatile char *bytes = data;
    for (uint64_t k = 0; k < size && size >= MUCH; k += PAGE) (void)bytes[k];
}

quern_status q_buffer_write(q_buffer *buffer, q_session *session, const void *data, uint64_t size)
{
    Q_TRY(check_copy(buffer, session, size));
    read_ahead(data, size);
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

/* The session's second queue. */
static quern_status copies_of(cl_command_queue *out, q_session *session)
{
    cl_int code = CL_SUCCESS;
    pthread_mutex_lock(&session->memory_lock);
    if (!session->copies) session->copies = clCreateCommandQueue(session->context, session->device->id, 0, &code);
    *out = session->copies;
    pthread_mutex_unlock(&session->memory_lock);
    return *out ? QUERN_OK : q_cl_fail(code, "clCreateCommandQueue");
}

quern_status q_buffer_write_beside(q_buffer *buffer, q_session *session, const void *data, uint64_t size)
{
    cl_command_queue queue;
    Q_TRY(check_copy(buffer, session, size));
    Q_TRY(copies_of(&queue, session));
    read_ahead(data, size);
    if (size)
        Q_SESSION_CL(session, clEnqueueWriteBuffer(queue, buffer->mem, CL_TRUE, 0, (size_t)size, data, 0, NULL, NULL));
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
