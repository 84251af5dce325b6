/*
 * program.c: source text to kernel, and launches of it.
 *
 * A program is known by the digest of its source and options, and is one for all who ask for it in a session. It stays
 * when nobody uses it any more, up to MOST_IDLE of them, because operators are often made again.
 *
 * Where quern keeps compiled programs itself (session->keeps_programs), it looks there first, and once more when it has
 * waited for building: another process may have built the same program meanwhile.
 *
 * Where builds race (discover.c), those of one user are made one at a time. PoCL's on-disk cache has a race in which a
 * cold build fails now and then (pocl#1480); a second attempt succeeds, and a true failure has an "error" in its log and
 * is not repeated. So a build without the lock is as good, nearly always, and whoever has waited long for it builds all
 * the same.
 *
 * clSetKernelArg on one kernel object is the part of OpenCL that is not thread-safe, so each launch takes a kernel
 * object out of the program's pool and returns it. Invariant: an object is in the pool or used by exactly one thread;
 * arguments are captured by the launch, so the object may be used again while the device still works.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/device.h"

enum { MOST_IDLE = 64 };

struct q_program {
    q_program *next; /* in the session's list, the last used first */
    int users;       /* under the session's lock for programs, as the list */
    char digest[33];
    pthread_mutex_t making; /* held while it is built */
    bool ready;             /* it has been */
    cl_program program;
    char name[Q_KERNEL_NAME];
    long process; /* that built it: see session.c */
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
    q_text step = {0};
    bool program = code == CL_INVALID_BUILD_OPTIONS || (log && q_contains(log, strlen(log), "error"));
    if (!program && q_add_build_step(&step, device->info.platform)) q_fail_next_step("%s", step.data ? step.data : "");
    else
        q_fail_next_step("this is a defect of quern or of the driver (%s %s): please report it with the output of "
                         "`quern explain --stage=source`",
                         device->info.platform, device->info.driver);
    q_text_free(&step);
    free(log);
    return QUERN_BUILD;
}

static quern_status compile(q_program *p, q_session *session, const char *source, const char *options)
{
    cl_int code;
    p->program = clCreateProgramWithSource(session->context, 1, &source, NULL, &code);
    if (!p->program) return q_cl_fail(code, "clCreateProgramWithSource");
    code = build_once_or_twice(p, session->device->id, options);
    if (code == CL_BUILD_PROGRAM_FAILURE || code == CL_INVALID_BUILD_OPTIONS)
        return fail_build(p, session->device, code, options);
    return code ? q_cl_fail(code, "clBuildProgram") : QUERN_OK;
}

/* Takes the program from the cache; a null key stands for no cache. */
static bool load(q_program *p, q_session *session, const char *key, const char *options)
{
    p->program = key ? q_binary_load(session, key, options, &p->note) : NULL;
    p->loaded = p->program != NULL;
    return p->loaded;
}

/* Who has waited in vain for the lock once does not wait again. */
static int lock_builds(q_session *session)
{
    q_lock_timeout timeout = session->lock_timeout;
    if (session->lock_timed_out) timeout.limit = 1e-3;
    int lock = q_lock("build", &timeout);
    if (lock < 0) session->lock_timed_out = true;
    return lock;
}

static quern_status load_or_compile(q_program *p, q_session *session, const char *key, const char *source,
                                    const char *options)
{
    if (load(p, session, key, options)) return QUERN_OK;
    quern_status status = QUERN_OK;
    bool races = session->device->builds_race;
    int lock = races ? lock_builds(session) : -1;
    if (!races || !load(p, session, key, options)) {
        status = compile(p, session, source, options);
        if (!status && key) q_binary_save(p->program, key, &p->note);
    }
    q_unlock(lock);
    return status;
}

static quern_status build(q_program *p, q_session *session, const char *source, const char *options)
{
    double start = q_seconds();
    char *key = session->keeps_programs ? q_binary_key(session->device, source, options) : NULL;
    quern_status status = load_or_compile(p, session, key, source, options);
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
    *kernel = clCreateKernel(p->program, p->name, &code);
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

static void destroy(q_program *p)
{
    if (!p) return;
    if (p->process == q_process()) {
        for (size_t i = 0; i < p->pool_size; i++) clReleaseKernel(p->pool[i]);
        if (p->program) clReleaseProgram(p->program);
    }
    pthread_mutex_destroy(&p->lock);
    pthread_mutex_destroy(&p->making);
    q_text_free(&p->note);
    free(p->pool);
    free(p);
}

static q_program *create(const q_session *session, const char *digest, const char *name)
{
    q_program *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->process = session->process;
    memcpy(p->digest, digest, sizeof p->digest);
    snprintf(p->name, sizeof p->name, "%s", name);
    pthread_mutex_init(&p->lock, NULL);
    pthread_mutex_init(&p->making, NULL);
    return p;
}

/* Takes the program of this digest out of the session's list; null if there is none. */
static q_program *unlink_program(q_session *session, const char *digest)
{
    for (q_program **at = &session->programs; *at; at = &(*at)->next)
        if (strcmp((*at)->digest, digest) == 0) {
            q_program *found = *at;
            *at = found->next;
            return found;
        }
    return NULL;
}

static void link_program(q_session *session, q_program *p)
{
    p->next = session->programs;
    session->programs = p;
}

/* The program of this digest, known or new and not yet built, with one user more; null when memory runs out. */
static q_program *find(q_session *session, const char *digest, const char *name)
{
    pthread_mutex_lock(&session->programs_lock);
    q_program *p = unlink_program(session, digest);
    if (!p) p = create(session, digest, name);
    if (p) p->users++, link_program(session, p);
    pthread_mutex_unlock(&session->programs_lock);
    return p;
}

/* Builds it unless somebody has; *made tells who did. */
static quern_status make(q_program *p, q_session *session, const char *source, const char *options, bool *made)
{
    quern_status status = QUERN_OK;
    cl_kernel kernel;
    pthread_mutex_lock(&p->making);
    *made = !p->ready;
    if (*made) status = build(p, session, source, options);
    if (*made && !status) status = take_kernel(p, &kernel); /* shows now that there is one of this name */
    if (*made && !status) return_kernel(p, kernel);
    if (status && p->program) clReleaseProgram(p->program), p->program = NULL;
    p->ready = !status;
    pthread_mutex_unlock(&p->making);
    return status;
}

quern_status q_program_get(q_program **out, q_session *session, const char *name, const char *source,
                           const char *options, bool *made)
{
    *out = NULL;
    Q_TRY(q_session_check(session));
    char digests[2][33], digest[33];
    q_digest_hex(source, strlen(source), digests[0]);
    q_digest_hex(options, strlen(options), digests[1]);
    q_digest_hex(digests, sizeof digests, digest);
    q_program *p = find(session, digest, name);
    if (!p) return q_fail_memory(sizeof *p);
    quern_status status = make(p, session, source, options, made);
    if (status) q_program_release(&p, session);
    *out = p;
    return status;
}

/* Destroys programs that nobody uses but the `most` that were used last. */
static void drop_idle(q_session *session, int most)
{
    for (q_program **at = &session->programs; *at;) {
        q_program *p = *at;
        if (p->users || (p->ready && most-- > 0)) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        destroy(p);
    }
}

void q_program_release(q_program **program, q_session *session)
{
    q_program *p = *program;
    *program = NULL;
    if (!p) return;
    pthread_mutex_lock(&session->programs_lock);
    p->users--;
    drop_idle(session, MOST_IDLE);
    pthread_mutex_unlock(&session->programs_lock);
}

void q_programs_destroy(q_session *session)
{
    drop_idle(session, 0);
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

static quern_status enqueue(cl_kernel kernel, q_session *session, const q_kernel_arg *args, size_t count,
                            const size_t global[3], const size_t local[3])
{
    for (size_t i = 0; i < count; i++) Q_CL(clSetKernelArg(kernel, (cl_uint)i, args[i].size, args[i].value));
    Q_SESSION_CL(session, clEnqueueNDRangeKernel(session->commands, kernel, 3, NULL, global, local, 0, NULL, NULL));
    return QUERN_OK;
}

quern_status q_program_launch(q_program *program, q_session *session, const q_kernel_arg *args, size_t count,
                              const size_t global[3], const size_t local[3])
{
    Q_TRY(q_session_check(session));
    if (!global[0] || !global[1] || !global[2]) return QUERN_OK; /* OpenCL 1.2 makes this an error */
    cl_kernel kernel;
    Q_TRY(take_kernel(program, &kernel));
    quern_status status = enqueue(kernel, session, args, count, global, local);
    return_kernel(program, kernel);
    return status;
}
