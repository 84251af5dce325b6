/*
 * program.c: source text to kernel, and launches of it.
 *
 * Where quern keeps compiled programs itself (queue->keeps_programs), it looks there first, and once more when it has
 * the lock for building: another process may have built the same program meanwhile.
 *
 * Builds of one user are made one at a time. PoCL's on-disk cache has a race in which a cold build fails now and then
 * (pocl#1480); a second attempt succeeds, and a true failure has an "error" in its log and is not repeated. So a build
 * without the lock is as good, nearly always, and whoever has waited long for it builds all the same.
 *
 * clSetKernelArg on one kernel object is the part of OpenCL that is not thread-safe, so each launch takes a kernel
 * object out of the program's pool and returns it. Invariant: an object is in the pool or used by exactly one thread;
 * arguments are captured by the launch, so the object may be used again while the device still works.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "device/device.h"

struct q_program {
    cl_program program;
    long process; /* that built it: see queue.c */
    double build_seconds;
    bool loaded;          /* from quern's cache */
    q_text note;          /* what went wrong with the cache */
    pthread_mutex_t lock; /* guards the pool */
    cl_kernel *pool;      /* objects that no thread uses */
    size_t pool_size, pool_capacity;
};

/* ---- building --------------------------------------------------------------------------------------------------- */

/* The build log for free(), or null when there is none. */
static char *read_log(cl_program program, cl_device_id id)
{
    size_t size = 0;
    if (clGetProgramBuildInfo(program, id, CL_PROGRAM_BUILD_LOG, 0, NULL, &size) || !size) return NULL;
    char *log = calloc(size + 1, 1);
    if (log && clGetProgramBuildInfo(program, id, CL_PROGRAM_BUILD_LOG, size, log, NULL)) log[0] = 0;
    return log;
}

static bool names_an_error(cl_program program, cl_device_id id)
{
    char *log = read_log(program, id);
    bool found = log && q_contains(log, strlen(log), "error");
    free(log);
    return found;
}

static cl_int build_once_or_twice(q_program *p, cl_device_id id, const char *options)
{
    cl_int code = clBuildProgram(p->program, 1, &id, options, NULL, NULL);
    if (code == CL_BUILD_PROGRAM_FAILURE && !names_an_error(p->program, id))
        code = clBuildProgram(p->program, 1, &id, options, NULL, NULL);
    return code;
}

static quern_status fail_build(const q_program *p, const q_device *device, cl_int code, const char *options)
{
    char *log = read_log(p->program, device->id);
    if (code == CL_INVALID_BUILD_OPTIONS)
        q_fail(QUERN_BUILD, "the compiler of %s refused the options '%s'", device->info.name, options);
    else q_fail(QUERN_BUILD, "the compiler of %s refused a generated program", device->info.name);
    q_fail_cl(code);
    if (log) q_fail_build_log(log);
    q_fail_next_step("this is a defect of quern or of the driver (%s %s): please report it with the output of "
                     "`quern explain --stage=source`",
                     device->info.platform, device->info.driver);
    free(log);
    return QUERN_BUILD;
}

static quern_status compile(q_program *p, q_queue *queue, const char *source, const char *options)
{
    cl_int code;
    p->program = clCreateProgramWithSource(queue->context, 1, &source, NULL, &code);
    if (!p->program) return q_cl_fail(code, "clCreateProgramWithSource");
    code = build_once_or_twice(p, queue->device->id, options);
    if (code == CL_BUILD_PROGRAM_FAILURE || code == CL_INVALID_BUILD_OPTIONS)
        return fail_build(p, queue->device, code, options);
    return code ? q_cl_fail(code, "clBuildProgram") : QUERN_OK;
}

/* Takes the program from the cache; a null key stands for no cache. */
static bool load(q_program *p, q_queue *queue, const char *key, const char *options)
{
    p->program = key ? q_binary_load(queue, key, options, &p->note) : NULL;
    p->loaded = p->program != NULL;
    return p->loaded;
}

/* Who has waited in vain for the lock once does not wait again. */
static int lock_builds(q_queue *queue)
{
    q_patience patience = queue->patience;
    if (queue->impatient) patience.limit = 1e-3;
    int lock = q_lock("build", &patience);
    if (lock < 0) queue->impatient = true;
    return lock;
}

static quern_status load_or_compile(q_program *p, q_queue *queue, const char *key, const char *source,
                                    const char *options)
{
    if (load(p, queue, key, options)) return QUERN_OK;
    quern_status status = QUERN_OK;
    int lock = lock_builds(queue);
    if (!load(p, queue, key, options)) {
        status = compile(p, queue, source, options);
        if (!status && key) q_binary_save(p->program, key, &p->note);
    }
    q_unlock(lock);
    return status;
}

static quern_status build(q_program *p, q_queue *queue, const char *source, const char *options)
{
    double start = q_seconds();
    char *key = queue->keeps_programs ? q_binary_key(queue->device, source, options) : NULL;
    quern_status status = load_or_compile(p, queue, key, source, options);
    free(key);
    p->build_seconds = q_seconds() - start;
    return status;
}

/* ---- the pool --------------------------------------------------------------------------------------------------- */

static quern_status take_kernel(q_program *p, cl_kernel *kernel)
{
    pthread_mutex_lock(&p->lock);
    *kernel = p->pool_size ? p->pool[--p->pool_size] : NULL;
    pthread_mutex_unlock(&p->lock);
    if (*kernel) return QUERN_OK;
    cl_int code;
    *kernel = clCreateKernel(p->program, "quern", &code);
    return *kernel ? QUERN_OK : q_cl_fail(code, "clCreateKernel");
}

static void return_kernel(q_program *p, cl_kernel kernel)
{
    pthread_mutex_lock(&p->lock);
    bool room = q_grow(&p->pool, &p->pool_capacity, p->pool_size + 1, sizeof *p->pool);
    if (room) p->pool[p->pool_size++] = kernel;
    pthread_mutex_unlock(&p->lock);
    if (!room) clReleaseKernel(kernel);
}

/* ---- programs --------------------------------------------------------------------------------------------------- */

quern_status q_program_create(q_program **out, q_queue *queue, const char *source, const char *options)
{
    *out = NULL;
    Q_TRY(q_queue_check(queue));
    q_program *p = calloc(1, sizeof *p);
    if (!p) return q_fail_memory(sizeof *p);
    p->process = queue->process;
    if (pthread_mutex_init(&p->lock, NULL)) {
        free(p);
        return q_fail_memory(sizeof p->lock);
    }
    cl_kernel kernel;
    quern_status status = build(p, queue, source, options);
    if (!status) status = take_kernel(p, &kernel); /* shows now that there is one of this name */
    if (!status) return_kernel(p, kernel);
    if (status) q_program_destroy(&p);
    *out = p;
    return status;
}

void q_program_destroy(q_program **program)
{
    q_program *p = *program;
    *program = NULL;
    if (!p) return;
    if (p->process == q_process()) {
        for (size_t i = 0; i < p->pool_size; i++) clReleaseKernel(p->pool[i]);
        if (p->program) clReleaseProgram(p->program);
    }
    pthread_mutex_destroy(&p->lock);
    q_text_free(&p->note);
    free(p->pool);
    free(p);
}

double q_program_build_seconds(const q_program *program)
{
    return program->build_seconds;
}

bool q_program_is_loaded(const q_program *program)
{
    return program->loaded;
}

const char *q_program_note(const q_program *program)
{
    return program->note.data ? program->note.data : "";
}

static quern_status enqueue(cl_kernel kernel, q_queue *queue, const q_kernel_arg *args, size_t count,
                            const size_t global[3], const size_t local[3])
{
    for (size_t i = 0; i < count; i++) Q_CL(clSetKernelArg(kernel, (cl_uint)i, args[i].size, args[i].value));
    Q_CL(clEnqueueNDRangeKernel(queue->commands, kernel, 3, NULL, global, local, 0, NULL, NULL));
    return QUERN_OK;
}

quern_status q_program_launch(q_program *program, q_queue *queue, const q_kernel_arg *args, size_t count,
                              const size_t global[3], const size_t local[3])
{
    Q_TRY(q_queue_check(queue));
    if (!global[0] || !global[1] || !global[2]) return QUERN_OK; /* OpenCL 1.2 makes this an error */
    cl_kernel kernel;
    Q_TRY(take_kernel(program, &kernel));
    quern_status status = enqueue(kernel, queue, args, count, global, local);
    return_kernel(program, kernel);
    return status;
}
