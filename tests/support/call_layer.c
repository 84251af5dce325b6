/*
 * call_layer.c: counts calls of OpenCL, the bytes that they move, and live objects, and fails calls on order.
 *
 * A layer is a library with clGetLayerInfo and clInitLayer (CL/cl_layer.h). What was guessed of loaders, and is so in
 * ocl-icd 2.3.1 (test_calls.c would show otherwise):
 *   - entries of the layer's table that are null fall through to the driver, so only what is counted has a function here;
 *   - `target` stays valid, and calls through it go on to the driver;
 *   - what a driver calls within itself does not come by here, so all counts are the program's own;
 *   - the library is the same instance for the loader and for a program that is linked with it.
 *
 * Invariant: each function counts first, and forwards only what is not to fail.
 */
#include "call_layer.h"

#include <CL/cl_layer.h>
#include <stdatomic.h>
#include <string.h>

#define EXPORTED __attribute__((visibility("default")))

static const cl_icd_dispatch *driver;
static cl_icd_dispatch table;

static _Atomic long calls[CALL_KIND_COUNT], live, fail_first, fail_last;
static _Atomic uint64_t up, down, lent;
static _Atomic int fail_kind, fail_code;

// ---- for tests ----

EXPORTED bool call_layer_is_there(void)
{
    return driver != NULL;
}

EXPORTED const char *call_layer_name(call_kind kind)
{
    static const char *const names[] = {
#define ROW(name, text) [CALL_##name] = text,
        CALL_KINDS(ROW)
#undef ROW
    };
    return names[kind];
}

EXPORTED call_counts call_layer_counts(void)
{
    call_counts counts = {.up = up, .down = down, .live = live, .lent = lent};
    for (int k = 0; k < CALL_KIND_COUNT; k++) counts.calls[k] = calls[k];
    return counts;
}

EXPORTED void call_layer_reset(void)
{
    for (int k = 0; k < CALL_KIND_COUNT; k++) calls[k] = 0;
    up = down = 0;
    fail_first = fail_last = 0;
}

EXPORTED void call_layer_fail(call_kind kind, long n, long last, cl_int code)
{
    fail_kind = (int)kind;
    fail_code = code;
    fail_first = n ? calls[kind] + n : 0;
    fail_last = n ? calls[kind] + last : 0;
}

// ---- what every function does ----

/* Counts a call; the code it is to fail with, or CL_SUCCESS. */
static cl_int enter(call_kind kind)
{
    long number = ++calls[kind];
    bool fails = fail_first && fail_kind == (int)kind && number >= fail_first && number <= fail_last;
    return fails ? fail_code : CL_SUCCESS;
}

/* The same for functions that return an object, null if this is the call to fail. */
static bool refuses(call_kind kind, cl_int *code)
{
    cl_int failure = enter(kind);
    if (failure && code) *code = failure;
    return failure != CL_SUCCESS;
}

static void *born(void *object)
{
    if (object) live++;
    return object;
}

/* Commands run in the order of their one queue, so a wait for one is a wait for all before it. */
static void sends(uint64_t bytes, cl_bool blocking)
{
    up += bytes;
    lent = blocking ? 0 : lent + bytes;
}

static void fetches(uint64_t bytes, cl_bool blocking)
{
    down += bytes;
    if (blocking) lent = 0;
}

// ---- objects ----

static cl_context CL_API_CALL create_context(const cl_context_properties *properties, cl_uint count,
                                             const cl_device_id *devices,
                                             void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *),
                                             void *user, cl_int *code)
{
    if (refuses(CALL_CREATE_CONTEXT, code)) return NULL;
    return born(driver->clCreateContext(properties, count, devices, notify, user, code));
}

static cl_command_queue CL_API_CALL create_queue(cl_context context, cl_device_id device,
                                                 cl_command_queue_properties properties, cl_int *code)
{
    if (refuses(CALL_CREATE_QUEUE, code)) return NULL;
    return born(driver->clCreateCommandQueue(context, device, properties, code));
}

static cl_mem CL_API_CALL create_buffer(cl_context context, cl_mem_flags flags, size_t size, void *host, cl_int *code)
{
    if (refuses(CALL_CREATE_BUFFER, code)) return NULL;
    if (flags & (CL_MEM_COPY_HOST_PTR | CL_MEM_USE_HOST_PTR)) up += size;
    return born(driver->clCreateBuffer(context, flags, size, host, code));
}

static cl_mem CL_API_CALL create_sub_buffer(cl_mem mem, cl_mem_flags flags, cl_buffer_create_type type,
                                            const void *region, cl_int *code)
{
    if (refuses(CALL_CREATE_SUB_BUFFER, code)) return NULL;
    return born(driver->clCreateSubBuffer(mem, flags, type, region, code));
}

static cl_program CL_API_CALL create_program(cl_context context, cl_uint count, const char **texts,
                                             const size_t *lengths, cl_int *code)
{
    if (refuses(CALL_CREATE_PROGRAM, code)) return NULL;
    return born(driver->clCreateProgramWithSource(context, count, texts, lengths, code));
}

static cl_program CL_API_CALL create_program_from_binary(cl_context context, cl_uint count, const cl_device_id *devices,
                                                         const size_t *lengths, const unsigned char **binaries,
                                                         cl_int *status, cl_int *code)
{
    return born(driver->clCreateProgramWithBinary(context, count, devices, lengths, binaries, status, code));
}

static cl_kernel CL_API_CALL create_kernel(cl_program program, const char *name, cl_int *code)
{
    if (refuses(CALL_CREATE_KERNEL, code)) return NULL;
    return born(driver->clCreateKernel(program, name, code));
}

#define REFERENCES(name, type)                                 \
    static cl_int CL_API_CALL retain_##name(cl_##type object)  \
    {                                                          \
        live++;                                                \
        return driver->clRetain##name(object);                 \
    }                                                          \
    static cl_int CL_API_CALL release_##name(cl_##type object) \
    {                                                          \
        live--;                                                \
        return driver->clRelease##name(object);                \
    }
REFERENCES(Context, context)
REFERENCES(CommandQueue, command_queue)
REFERENCES(MemObject, mem)
REFERENCES(Program, program)
REFERENCES(Kernel, kernel)
REFERENCES(Event, event)

// ---- programs and kernels ----

static cl_int CL_API_CALL build(cl_program program, cl_uint count, const cl_device_id *devices, const char *options,
                                void(CL_CALLBACK *notify)(cl_program, void *), void *user)
{
    cl_int failure = enter(CALL_BUILD);
    return failure ? failure : driver->clBuildProgram(program, count, devices, options, notify, user);
}

static cl_int CL_API_CALL set_arg(cl_kernel kernel, cl_uint index, size_t size, const void *value)
{
    cl_int failure = enter(CALL_SET_ARG);
    return failure ? failure : driver->clSetKernelArg(kernel, index, size, value);
}

static cl_int CL_API_CALL launch(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t *offset,
                                 const size_t *global, const size_t *local, cl_uint count, const cl_event *events,
                                 cl_event *event)
{
    cl_int failure = enter(CALL_LAUNCH);
    return failure
               ? failure
               : driver->clEnqueueNDRangeKernel(queue, kernel, dimensions, offset, global, local, count, events, event);
}

// ---- copies ----

static cl_int CL_API_CALL write_buffer(cl_command_queue queue, cl_mem mem, cl_bool blocking, size_t offset, size_t size,
                                       const void *host, cl_uint count, const cl_event *events, cl_event *event)
{
    cl_int failure = enter(CALL_WRITE);
    if (failure) return failure;
    sends(size, blocking);
    return driver->clEnqueueWriteBuffer(queue, mem, blocking, offset, size, host, count, events, event);
}

static cl_int CL_API_CALL write_rows(cl_command_queue queue, cl_mem mem, cl_bool blocking, const size_t *origin,
                                     const size_t *host_origin, const size_t *region, size_t row, size_t slice,
                                     size_t host_row, size_t host_slice, const void *host, cl_uint count,
                                     const cl_event *events, cl_event *event)
{
    cl_int failure = enter(CALL_WRITE);
    if (failure) return failure;
    sends(region[0] * region[1] * region[2], blocking);
    return driver->clEnqueueWriteBufferRect(queue, mem, blocking, origin, host_origin, region, row, slice, host_row,
                                            host_slice, host, count, events, event);
}

static cl_int CL_API_CALL read_buffer(cl_command_queue queue, cl_mem mem, cl_bool blocking, size_t offset, size_t size,
                                      void *host, cl_uint count, const cl_event *events, cl_event *event)
{
    cl_int failure = enter(CALL_READ);
    if (failure) return failure;
    fetches(size, blocking);
    return driver->clEnqueueReadBuffer(queue, mem, blocking, offset, size, host, count, events, event);
}

static cl_int CL_API_CALL read_rows(cl_command_queue queue, cl_mem mem, cl_bool blocking, const size_t *origin,
                                    const size_t *host_origin, const size_t *region, size_t row, size_t slice,
                                    size_t host_row, size_t host_slice, void *host, cl_uint count,
                                    const cl_event *events, cl_event *event)
{
    cl_int failure = enter(CALL_READ);
    if (failure) return failure;
    fetches(region[0] * region[1] * region[2], blocking);
    return driver->clEnqueueReadBufferRect(queue, mem, blocking, origin, host_origin, region, row, slice, host_row,
                                           host_slice, host, count, events, event);
}

static cl_int CL_API_CALL copy_buffer(cl_command_queue queue, cl_mem from, cl_mem to, size_t from_offset,
                                      size_t to_offset, size_t size, cl_uint count, const cl_event *events,
                                      cl_event *event)
{
    cl_int failure = enter(CALL_COPY);
    return failure ? failure
                   : driver->clEnqueueCopyBuffer(queue, from, to, from_offset, to_offset, size, count, events, event);
}

static cl_int CL_API_CALL fill_buffer(cl_command_queue queue, cl_mem mem, const void *pattern, size_t pattern_size,
                                      size_t offset, size_t size, cl_uint count, const cl_event *events,
                                      cl_event *event)
{
    cl_int failure = enter(CALL_FILL);
    return failure ? failure
                   : driver->clEnqueueFillBuffer(queue, mem, pattern, pattern_size, offset, size, count, events, event);
}

static void *CL_API_CALL map_buffer(cl_command_queue queue, cl_mem mem, cl_bool blocking, cl_map_flags flags,
                                    size_t offset, size_t size, cl_uint count, const cl_event *events, cl_event *event,
                                    cl_int *code)
{
    if (refuses(CALL_MAP, code)) return NULL;
    if (flags & CL_MAP_READ) down += size;
    if (flags & CL_MAP_WRITE) up += size;
    return driver->clEnqueueMapBuffer(queue, mem, blocking, flags, offset, size, count, events, event, code);
}

// ---- waiting ----

static cl_int CL_API_CALL finish(cl_command_queue queue)
{
    cl_int failure = enter(CALL_FINISH);
    if (failure) return failure;
    lent = 0;
    return driver->clFinish(queue);
}

static cl_int CL_API_CALL flush(cl_command_queue queue)
{
    cl_int failure = enter(CALL_FLUSH);
    return failure ? failure : driver->clFlush(queue);
}

static cl_int CL_API_CALL wait(cl_uint count, const cl_event *events)
{
    cl_int failure = enter(CALL_WAIT);
    return failure ? failure : driver->clWaitForEvents(count, events);
}

// ---- what the loader asks ----

EXPORTED CL_API_ENTRY cl_int CL_API_CALL clGetLayerInfo(cl_layer_info what, size_t size, void *value, size_t *needed)
{
    static const cl_layer_api_version version = CL_LAYER_API_VERSION_100;
    static const char name[] = "quern's counts of calls";
    const void *from = what == CL_LAYER_API_VERSION ? (const void *)&version : name;
    size_t bytes = what == CL_LAYER_API_VERSION ? sizeof version : sizeof name;
    if (what != CL_LAYER_API_VERSION && what != CL_LAYER_NAME) return CL_INVALID_VALUE;
    if (value && size < bytes) return CL_INVALID_VALUE;
    if (value) memcpy(value, from, bytes);
    if (needed) *needed = bytes;
    return CL_SUCCESS;
}

EXPORTED CL_API_ENTRY cl_int CL_API_CALL clInitLayer(cl_uint count, const cl_icd_dispatch *target, cl_uint *count_out,
                                                     const cl_icd_dispatch **out)
{
    if (!target || !out || !count_out) return CL_INVALID_VALUE;
    if (count * sizeof(void *) <= offsetof(cl_icd_dispatch, clEnqueueFillBuffer)) return CL_INVALID_VALUE;
    driver = target;
    table.clCreateContext = create_context;
    table.clCreateCommandQueue = create_queue;
    table.clCreateBuffer = create_buffer;
    table.clCreateSubBuffer = create_sub_buffer;
    table.clCreateProgramWithSource = create_program;
    table.clCreateProgramWithBinary = create_program_from_binary;
    table.clCreateKernel = create_kernel;
#define REFERENCE(name) table.clRetain##name = retain_##name, table.clRelease##name = release_##name
    REFERENCE(Context), REFERENCE(CommandQueue), REFERENCE(MemObject), REFERENCE(Program), REFERENCE(Kernel);
    REFERENCE(Event);
    table.clBuildProgram = build;
    table.clSetKernelArg = set_arg;
    table.clEnqueueNDRangeKernel = launch;
    table.clEnqueueWriteBuffer = write_buffer;
    table.clEnqueueWriteBufferRect = write_rows;
    table.clEnqueueReadBuffer = read_buffer;
    table.clEnqueueReadBufferRect = read_rows;
    table.clEnqueueCopyBuffer = copy_buffer;
    table.clEnqueueFillBuffer = fill_buffer;
    table.clEnqueueMapBuffer = map_buffer;
    table.clFinish = finish;
    table.clFlush = flush;
    table.clWaitForEvents = wait;
    *count_out = (cl_uint)(sizeof table / sizeof(void *));
    *out = &table;
    return CL_SUCCESS;
}
