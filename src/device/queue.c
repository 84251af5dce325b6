/*
 * queue.c: an opened device: one context and one in-order command queue.
 *
 * One context per device, because several GPUs in one context share allocations or serialise on some drivers. A queue
 * is immutable after its creation but for the count of memory in use, so threads may share it.
 *
 * Invariant: no OpenCL call is made in another process than the one that opened the device. After fork() the child
 * lacks the driver's threads and would wait for ever; it gets an error, and destroying frees host memory only.
 */
#include <stdlib.h>

#include "device/device.h"

static quern_status open_device(q_queue *queue)
{
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)queue->device->platform, 0};
    cl_int code;
    queue->context = clCreateContext(properties, 1, &queue->device->id, NULL, NULL, &code);
    if (!queue->context) return q_cl_fail(code, "clCreateContext");
    queue->commands = clCreateCommandQueue(queue->context, queue->device->id, 0, &code);
    if (!queue->commands) return q_cl_fail(code, "clCreateCommandQueue");
    return QUERN_OK;
}

quern_status q_queue_create(q_queue **out, const q_device *device, uint64_t memory_limit)
{
    *out = NULL;
    q_queue *queue = calloc(1, sizeof *queue);
    if (!queue) return q_fail_memory(sizeof *queue);
    queue->process = q_process();
    pthread_mutex_init(&queue->programs_lock, NULL);
    queue->memory_limit = memory_limit ? memory_limit : device->info.memory;
    queue->device = q_device_copy(device, 1);
    quern_status status = queue->device ? open_device(queue) : q_fail_memory(sizeof *device);
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

const q_device *q_queue_device(const q_queue *queue)
{
    return queue->device;
}

quern_status q_queue_finish(q_queue *queue)
{
    Q_TRY(q_queue_check(queue));
    Q_CL(clFinish(queue->commands));
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
