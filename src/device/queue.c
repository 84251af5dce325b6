/*
 * queue.c: an opened device: one context and one in-order command queue.
 *
 * One context per device, because several GPUs in one context share allocations or serialise on some drivers. A queue
 * is immutable after its creation but for the count of memory in use, so threads may share it.
 *
 * Invariant: no OpenCL call is made in another process than the one that opened the device. After fork() the child
 * lacks the driver's threads and would wait for ever; it gets an error, and destroying frees host memory only.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "device/device.h"

static quern_status open_context(q_queue *queue, cl_context opened)
{
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)queue->device->platform, 0};
    cl_int code;
    if (opened) {
        Q_CL(clRetainContext(opened));
        queue->context = opened;
        return QUERN_OK;
    }
    queue->context = clCreateContext(properties, 1, &queue->device->id, NULL, NULL, &code);
    return queue->context ? QUERN_OK : q_cl_fail(code, "clCreateContext");
}

static quern_status open_commands(q_queue *queue, cl_command_queue opened)
{
    cl_int code;
    if (opened) {
        Q_CL(clRetainCommandQueue(opened));
        queue->commands = opened;
        return QUERN_OK;
    }
    queue->commands = clCreateCommandQueue(queue->context, queue->device->id, 0, &code);
    return queue->commands ? QUERN_OK : q_cl_fail(code, "clCreateCommandQueue");
}

static quern_status open_device(q_queue *queue, const q_opened *opened)
{
    Q_TRY(open_context(queue, opened ? opened->context : NULL));
    Q_TRY(open_commands(queue, opened ? opened->commands : NULL));
    cl_uint bits = 0;
    Q_CL(clGetDeviceInfo(queue->device->id, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof bits, &bits, NULL));
    queue->alignment = bits > 8 ? bits / 8 : 1;
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

quern_status q_queue_create(q_queue **out, const q_device *device, uint64_t memory_limit, const q_opened *opened)
{
    *out = NULL;
    q_queue *queue = calloc(1, sizeof *queue);
    if (!queue) return q_fail_memory(sizeof *queue);
    queue->process = q_process();
    pthread_mutex_init(&queue->programs_lock, NULL);
    queue->memory_limit = memory_limit ? memory_limit : device->info.memory;
    queue->device = q_device_copy(device, 1);
    quern_status status = queue->device ? open_device(queue, opened) : q_fail_memory(sizeof *device);
    if (status) q_queue_destroy(&queue);
    *out = queue;
    return status;
}

void q_queue_destroy(q_queue **queue)
{
    q_queue *q = *queue;
    *queue = NULL;
    if (!q) return;
    q_programs_destroy(q);
    pthread_mutex_destroy(&q->programs_lock);
    if (q->process == q_process()) {
        if (q->commands) clReleaseCommandQueue(q->commands);
        if (q->context) clReleaseContext(q->context);
    }
    free(q->device);
    free(q);
}

quern_status q_queue_fail(const q_queue *queue, cl_int code, const char *call)
{
    quern_status status = q_cl_fail(code, call);
    if (status != QUERN_MEMORY) return status;
    q_fail(status, "%s; the arrays of this context need %" PRIu64 " of %" PRIu64 " bytes of device memory on %s",
           quern_last_error()->message, atomic_load(&queue->memory_in_use), queue->memory_limit,
           queue->device->info.name);
    q_fail_cl(code);
    q_fail_next_step("use smaller arrays, end other programs that use the device, or take one with more free memory");
    return status;
}

const q_device *q_queue_device(const q_queue *queue)
{
    return queue->device;
}

quern_status q_queue_finish(q_queue *queue)
{
    Q_TRY(q_queue_check(queue));
    Q_QUEUE_CL(queue, clFinish(queue->commands));
    return QUERN_OK;
}

quern_status q_queue_check(const q_queue *queue)
{
    long process = q_process();
    if (queue->process == process) return QUERN_OK;
    q_fail(QUERN_DEVICE, "this context was created in process %ld and cannot be used after fork() in process %ld",
           queue->process, process);
    q_fail_next_step("fork before the first use of quern and create a context in each process");
    return QUERN_DEVICE;
}
