/*
 * session.c: an opened device: one context and one in-order command queue.
 *
 * One context per device, because several GPUs in one context share allocations or serialise on some drivers. A session
 * is immutable after its creation but for the count of memory in use, so threads may share it.
 *
 * Invariant: no OpenCL call is made in another process than the one that opened the device. After fork() the child
 * lacks the driver's threads and would wait for ever; it gets an error, and destroying frees host memory only.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "device/device.h"

static quern_status open_context(q_session *session, cl_context opened)
{
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)session->device->platform,
                                                0};
    cl_int code;
    if (opened) {
        Q_CL(clRetainContext(opened));
        session->context = opened;
        return QUERN_OK;
    }
    session->context = clCreateContext(properties, 1, &session->device->id, NULL, NULL, &code);
    return session->context ? QUERN_OK : q_cl_fail(code, "clCreateContext");
}

static quern_status open_commands(q_session *session, cl_command_queue opened)
{
    cl_int code;
    if (opened) {
        Q_CL(clRetainCommandQueue(opened));
        session->commands = opened;
        return QUERN_OK;
    }
    session->commands = clCreateCommandQueue(session->context, session->device->id, 0, &code);
    return session->commands ? QUERN_OK : q_cl_fail(code, "clCreateCommandQueue");
}

static quern_status open_device(q_session *session, const q_opened *opened)
{
    Q_TRY(open_context(session, opened ? opened->context : NULL));
    Q_TRY(open_commands(session, opened ? opened->commands : NULL));
    cl_uint bits = 0;
    Q_CL(clGetDeviceInfo(session->device->id, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof bits, &bits, NULL));
    session->alignment = bits > 8 ? bits / 8 : 1;
    return QUERN_OK;
}

static quern_status only_device(cl_context context, cl_device_id *out)
{
    cl_device_id ids[2];
    size_t size = 0;
    Q_CL(clGetContextInfo(context, CL_CONTEXT_DEVICES, 0, NULL, &size));
    if (size != sizeof *ids)
        return q_fail(QUERN_USAGE,
                      "the context of quern_context_options.opencl_context has %zu devices; give a queue of "
                      "one of them as opencl_queue",
                      size / sizeof *ids);
    Q_CL(clGetContextInfo(context, CL_CONTEXT_DEVICES, sizeof *ids, out, NULL));
    return QUERN_OK;
}

quern_status q_opened_device(q_opened *opened, cl_device_id *out)
{
    if (!opened->commands) return only_device(opened->context, out);
    cl_command_queue_properties properties = 0;
    cl_context context;
    Q_CL(clGetCommandQueueInfo(opened->commands, CL_QUEUE_PROPERTIES, sizeof properties, &properties, NULL));
    if (properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE)
        return q_fail(QUERN_USAGE, "the queue of quern_context_options.opencl_queue runs commands out of order; quern "
                                   "relies on their order");
    Q_CL(clGetCommandQueueInfo(opened->commands, CL_QUEUE_CONTEXT, sizeof context, &context, NULL));
    if (opened->context && opened->context != context)
        return q_fail(QUERN_USAGE, "opencl_queue is not a queue of opencl_context in quern_context_options");
    opened->context = context;
    Q_CL(clGetCommandQueueInfo(opened->commands, CL_QUEUE_DEVICE, sizeof *out, out, NULL));
    return QUERN_OK;
}

cl_device_id q_device_whole(cl_device_id id)
{
    cl_device_id parent = NULL;
    while (!clGetDeviceInfo(id, CL_DEVICE_PARENT_DEVICE, sizeof parent, &parent, NULL) && parent) id = parent;
    return id;
}

quern_status q_device_narrow(q_device *device, cl_device_id id, cl_context context)
{
    cl_uint units;
    size_t size = 0;
    Q_CL(clGetDeviceInfo(id, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL));
    device->info.compute_units = (int)units;
    Q_CL(clGetContextInfo(context, CL_CONTEXT_DEVICES, 0, NULL, &size));
    if (size == sizeof id) return only_device(context, &device->id);
    device->id = id;
    return QUERN_OK;
}

quern_status q_session_create(q_session **out, const q_device *device, uint64_t memory_limit, const q_opened *opened)
{
    *out = NULL;
    q_session *session = calloc(1, sizeof *session);
    if (!session) return q_fail_memory(sizeof *session);
    session->process = q_process();
    pthread_mutex_init(&session->programs_lock, NULL);
    pthread_mutex_init(&session->memory_lock, NULL);
    session->memory_limit = memory_limit ? memory_limit : device->info.memory;
    session->device = q_device_copy(device, 1);
    quern_status status = session->device ? open_device(session, opened) : q_fail_memory(sizeof *device);
    if (status) q_session_destroy(&session);
    *out = session;
    return status;
}

void q_session_destroy(q_session **session)
{
    q_session *q = *session;
    *session = NULL;
    if (!q) return;
    q_programs_destroy(q);
    q_buffers_drop(q);
    pthread_mutex_destroy(&q->programs_lock);
    pthread_mutex_destroy(&q->memory_lock);
    if (q->process == q_process()) {
        if (q->commands) clReleaseCommandQueue(q->commands);
        if (q->copies) clReleaseCommandQueue(q->copies);
        if (q->context) clReleaseContext(q->context);
    }
    free(q->device);
    free(q);
}

quern_status q_session_fail(q_session *session, cl_int code, const char *call)
{
    quern_status status = q_cl_fail(code, call);
    if (status != QUERN_MEMORY) return status;
    pthread_mutex_lock(&session->memory_lock);
    uint64_t in_use = session->memory_in_use;
    pthread_mutex_unlock(&session->memory_lock);
    q_buffers_trim(session);
    q_fail(status, "%s; the arrays of this context need %" PRIu64 " of %" PRIu64 " bytes of device memory on %s",
           quern_last_error()->message, in_use, session->memory_limit, session->device->info.name);
    q_fail_cl(code);
    q_fail_next_step("use smaller arrays, end other programs that use the device, or take one with more free memory");
    return status;
}

const q_device *q_session_device(const q_session *session)
{
    return session->device;
}

/* What was released before the wait is free after it. Released bytes are only added up, so that a wait of another thread
   does not take what is not its own. */
cl_int q_session_settle(q_session *session)
{
    pthread_mutex_lock(&session->memory_lock);
    uint64_t released = session->memory_released;
    pthread_mutex_unlock(&session->memory_lock);
    cl_int code = clFinish(session->commands);
    pthread_mutex_lock(&session->memory_lock);
    if (!code && session->memory_freed < released) session->memory_freed = released;
    pthread_mutex_unlock(&session->memory_lock);
    return code;
}

quern_status q_session_finish(q_session *session)
{
    Q_TRY(q_session_check(session));
    cl_int code = q_session_settle(session);
    return code ? q_session_fail(session, code, "clFinish") : QUERN_OK;
}

quern_status q_session_check(const q_session *session)
{
    long process = q_process();
    if (session->process == process) return QUERN_OK;
    q_fail(QUERN_DEVICE, "this context was created in process %ld and cannot be used after fork() in process %ld",
           session->process, process);
    q_fail_next_step("fork before the first use of quern and create a context in each process");
    return QUERN_DEVICE;
}
