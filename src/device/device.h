/*
 * device.h: OpenCL devices, buffers, programs and launches behind quern's errors. Knows nothing of formulas.
 * The banners follow the files of src/device.
 */
#ifndef QUERN_DEVICE_H
#define QUERN_DEVICE_H

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <pthread.h>

#include "base/base.h"

// cl.c: OpenCL's codes as words

/* "CL_OUT_OF_RESOURCES"; "unknown OpenCL error" for codes that are not in the tables. Static strings. */
const char *q_cl_name(cl_int code);
/* Fails with DEVICE (MEMORY for -4, -5, -6 and -61) and a message that names the function in `call`. */
quern_status q_cl_fail(cl_int code, const char *call);
#define Q_CL(call)                                                         \
    do {                                                                   \
        cl_int q_cl_code_ = (call);                                        \
        if (q_cl_code_ != CL_SUCCESS) return q_cl_fail(q_cl_code_, #call); \
    } while (0)

// family.c: which row of cl/profiles.txt fits a device

/* What a driver tells; texts may be null, and numbers are 0, where it does not know. */
typedef struct q_device_facts {
    const char *kind, *name, *vendor, *platform, *version;
    const char *board;   /* AMD's name of the card */
    unsigned lanes;      /* numbers of float in a register */
    unsigned capability; /* NVIDIA's, 10 * major + minor */
    unsigned ip_version; /* Intel's */
} q_device_facts;

/* The name of the row; a static string. */
const char *q_device_family(const q_device_facts *facts);

// platforms.c: which platforms there are, and what to do about those without a device

#define Q_POCL "portable computing language" /* PoCL: a part of its platform's name, in lower case */

/* In order, for free(); never null with QUERN_OK. */
quern_status q_platform_ids(cl_platform_id **ids, cl_uint *count);
/* The same of devices; null where there is none, or where asking would end the process. */
quern_status q_platform_devices(cl_platform_id platform, cl_device_id **ids, cl_uint *count);
/* Adds the names of the platforms without a device, and what to do about each; how many there are. */
size_t q_add_empty_platforms(q_text *names, q_text *steps);
/* NO_DEVICE: whether there is no driver or none that gives a device, and what to do. */
quern_status q_fail_no_device(void);
/* What to do when a driver fails to build and names no error in the program; false if nothing is known. */
bool q_add_build_step(q_text *text, const char *platform);

// discover.c: which devices there are, and which one to take

typedef struct q_device {
    cl_platform_id platform;
    cl_device_id id;
    quern_device info;       /* strings owned by the list's block or, in an opened device, by the device */
    size_t max_group;        /* largest work-group */
    uint64_t max_allocation; /* bytes of one buffer */
    bool builds_race;        /* two processes that build at a time may fail */
    bool shares_memory;      /* with the host */
    bool rounds_quotients;   /* of float32 correctly, if asked to */
    bool takes_ptx;          /* NVIDIA's: its compiler may be tried with inline PTX, and has options of its own */
} q_device;

/* All usable devices in order; *list is one malloc'ed block (strings inside). *count may be 0 with QUERN_OK: a loader
   without platforms or platforms without devices are skipped in silence. */
quern_status q_discover(q_device **list, size_t *count);
/* Whether it can compile and run. */
bool q_device_is_usable(cl_device_id id);
/* DEVICE in a forked child of the process that first used OpenCL. */
quern_status q_check_process(void);
/* A copy of `count` devices and their strings in one block for free(); null when memory runs out. */
q_device *q_device_copy(const q_device *list, size_t count);
/* Index into the list of the device that `wanted` names (null: QUERN_DEVICE, else the best score). Writes one line
   with the choice and its reason to `why`. NO_DEVICE with a message that lists what there is, or which package to
   install. */
quern_status q_choose(const q_device *list, size_t count, const char *wanted, size_t *index, q_text *why);

// session.c: an opened device: one context and one in-order queue

typedef struct q_program q_program;

typedef struct q_spare {
    cl_mem mem;
    uint64_t bytes;
} q_spare;

enum { Q_MAX_SPARE = 16 };

typedef struct q_session {
    q_device *device; /* the session's own copy */
    cl_context context;
    cl_command_queue commands;
    cl_command_queue copies;     /* under memory_lock: made by the first q_buffer_write_beside */
    size_t alignment;            /* bytes: where borrowed memory may begin */
    long process;                /* that made it: no other may use it */
    bool keeps_programs;         /* in quern's cache; set before the first build */
    q_lock_timeout lock_timeout; /* with the lock for builds; likewise */
    _Atomic bool lock_timed_out; /* a wait for that lock was in vain */
    uint64_t memory_limit;       /* bytes that buffers may take together */
    pthread_mutex_t memory_lock; /* guards what follows */
    uint64_t memory_in_use;      /* bytes that they take */
    uint64_t memory_spare;       /* bytes of the spare ones */
    uint64_t memory_released;    /* bytes of all that were ever released */
    uint64_t memory_freed;       /* and of those that no command uses any more: the rest counts as taken */
    q_spare spare[Q_MAX_SPARE];  /* buffer.c: destroyed and kept for the next of their size, the oldest first */
    pthread_mutex_t programs_lock;
    q_program *programs; /* program.c: a list of all */
} q_session;

/* What a program has opened itself; null members stand for nothing. */
typedef struct q_opened {
    cl_context context;
    cl_command_queue commands;
} q_opened;

/* `device` is copied; memory_limit 0 stands for all of the device's memory; opened: null, or what is used in place of new
   handles and kept alive. */
quern_status q_session_create(q_session **out, const q_device *device, uint64_t memory_limit, const q_opened *opened);
/* Completes `opened` by the context of the queue, and finds the device it is for. USAGE for a queue that is not in order,
   or for a context of several devices without a queue. */
quern_status q_opened_device(q_opened *opened, cl_device_id *out);
/* The device that a sub-device is a part of, or the device itself. */
cl_device_id q_device_whole(cl_device_id id);
/* Makes of a device a sub-device that a program has opened. Its id becomes that by which the context knows it, for which
   programs are built: PoCL's contexts know sub-devices by the whole device, and only queues tell them apart. */
quern_status q_device_narrow(q_device *device, cl_device_id id, cl_context context);
void q_session_destroy(q_session **session);
const q_device *q_session_device(const q_session *session);
/* q_cl_fail for a call on the session. Where it means memory, the message has what the context's buffers take, and the
   limit: some drivers grant any buffer and fail at its first use. Spare buffers are given back then. */
quern_status q_session_fail(q_session *session, cl_int code, const char *call);
#define Q_SESSION_CL(session, call)                                                      \
    do {                                                                                 \
        cl_int q_cl_code_ = (call);                                                      \
        if (q_cl_code_ != CL_SUCCESS) return q_session_fail(session, q_cl_code_, #call); \
    } while (0)
/* Waits for everything that was enqueued; OpenCL's code. Also for failures: nothing may still use the program's memory. */
cl_int q_session_settle(q_session *session);
/* The same, with quern's errors. */
quern_status q_session_finish(q_session *session);
/* Fails with DEVICE when called in a process other than the one that made the session (after fork). */
quern_status q_session_check(const q_session *session);

// buffer.c: device memory within the context's budget

typedef struct q_buffer {
    cl_mem mem;
    uint64_t size;
    bool borrowed;   /* memory of somebody else, which the account leaves out */
    bool single_use; /* not kept as a spare one: it came with its data, or the program may hold it */
} q_buffer;

/* Room for size bytes (at least one byte is allocated), of any content: a spare buffer or a new one. MEMORY with need,
   limit and what is in use. */
quern_status q_buffer_create(q_buffer *out, q_session *session, uint64_t size);
/* The same, filled as by a write of `size` bytes. */
quern_status q_buffer_create_from(q_buffer *out, q_session *session, const void *data, uint64_t size);
/* `size` bytes of another buffer's memory, or of the user's, from `offset` on, a multiple of session->alignment. It stays
   alive as long as this. */
quern_status q_buffer_borrow(q_buffer *out, q_session *session, cl_mem mem, uint64_t offset, uint64_t size);
/* Accepts an empty one. The memory may stay with the session for the next buffer of this size: its commands are in order, so
   those that still use it come first. */
void q_buffer_destroy(q_buffer *buffer, q_session *session);
/* Gives spare memory back to the driver, which frees it when the last command that uses it is done. */
void q_buffers_drop(q_session *session);
/* The same, and waits until all that was given back is free; false if there was nothing, or the wait failed. */
bool q_buffers_trim(q_session *session);
/* Copies of `size` bytes; size 0 does nothing. A write does not wait: `data` must stay as it is until a later read from
   the same session, or q_session_finish, has returned. A read waits. */
quern_status q_buffer_write(q_buffer *buffer, q_session *session, const void *data, uint64_t size);
quern_status q_buffer_read(q_buffer *buffer, q_session *session, void *data, uint64_t size);
/* A write that does not wait for kernels that were enqueued before, which do not use the buffer; it is done on return. */
quern_status q_buffer_write_beside(q_buffer *buffer, q_session *session, const void *data, uint64_t size);
/* Rows of `bytes` each, `stride` bytes apart in host memory and side by side in the buffer; likewise. */
quern_status q_buffer_write_rows(q_buffer *buffer, q_session *session, const void *data, uint64_t rows, uint64_t bytes,
                                 uint64_t stride);
quern_status q_buffer_read_rows(q_buffer *buffer, q_session *session, void *data, uint64_t rows, uint64_t bytes,
                                uint64_t stride);
/* Repeats a pattern of 1, 2, 4 or 8 bytes, of which size is a multiple. Does not wait. */
quern_status q_buffer_fill(q_buffer *buffer, q_session *session, const void *pattern, size_t pattern_size,
                           uint64_t size);

// binary.c: compiled programs in quern's own cache

/* What decides how the source is compiled, as text for free(); null when memory runs out. */
char *q_binary_key(const q_device *device, const char *source, const char *options);
/* The program that was stored under the key, ready for kernels, or null; the note tells of entries that were of no use,
   which are removed. */
cl_program q_binary_load(q_session *session, const char *key, const char *options, q_text *note);
void q_binary_save(cl_program program, const char *key, q_text *note);

// program.c: source text to kernel

/* The program of this source and these options, whose one kernel has this name. It is built if no user of the session has
   asked for it before, which *made tells: then this waits, where builds race and within the session's timeout, on a lock
   shared by all processes of this user, and tries once more when a cold build fails without an error line; threads that
   ask for the same wait for it. BUILD with the log's first error line. Thread-safe. */
quern_status q_program_get(q_program **out, q_session *session, const char *name, const char *source,
                           const char *options, bool *made);
/* Ends one use; null is accepted. Whoever uses a program keeps the session. */
void q_program_release(q_program **program, q_session *session);
/* Ends all of a session whose programs have no user. */
void q_programs_destroy(q_session *session);
/* Seconds that building took, waiting for the lock included; whether it was loading from quern's cache; and, unless it
   is "", what was wrong with that cache. */
double q_program_build_seconds(const q_program *program);
bool q_program_is_loaded(const q_program *program);
const char *q_program_note(const q_program *program);

typedef struct q_kernel_arg {
    size_t size;       /* bytes; for buffers sizeof(cl_mem) */
    const void *value; /* pointer to the value; for buffers to the cl_mem; null: local memory of `size` bytes */
} q_kernel_arg;

/* Enqueues the kernel over global[0] x global[1] x global[2] work-items in groups of local[0] x local[1] x local[2] (global
   is a multiple of local). Does not wait. Thread-safe: each call uses a kernel object of its own from a pool. */
quern_status q_program_launch(q_program *program, q_session *session, const q_kernel_arg *args, size_t count,
                              const size_t global[3], const size_t local[3]);

#endif
