/*
 * cl.c: OpenCL's codes as words.
 *
 * The names are those of the Khronos headers (cl.h, cl_ext.h), listed once; the preprocessor supplies the numbers. Four
 * codes mean that memory ran out, on the device or on the host, and become QUERN_MEMORY so that a caller can react by
 * asking for less; the rest is QUERN_DEVICE.
 */
#include <string.h>

#include "device/device.h"

enum {
    PLATFORM_NOT_FOUND = -1001,   /* CL_PLATFORM_NOT_FOUND_KHR: the loader found no driver */
    NVIDIA_ILLEGAL_ACCESS = -9999 /* undocumented: a kernel read or wrote outside its buffers */
};

static const struct code_name {
    cl_int code;
    const char *name;
} names[] = {
#define NAME(code)  \
    {               \
        code, #code \
    }
    NAME(CL_SUCCESS),
    NAME(CL_DEVICE_NOT_FOUND),
    NAME(CL_DEVICE_NOT_AVAILABLE),
    NAME(CL_COMPILER_NOT_AVAILABLE),
    NAME(CL_MEM_OBJECT_ALLOCATION_FAILURE),
    NAME(CL_OUT_OF_RESOURCES),
    NAME(CL_OUT_OF_HOST_MEMORY),
    NAME(CL_PROFILING_INFO_NOT_AVAILABLE),
    NAME(CL_MEM_COPY_OVERLAP),
    NAME(CL_IMAGE_FORMAT_MISMATCH),
    NAME(CL_IMAGE_FORMAT_NOT_SUPPORTED),
    NAME(CL_BUILD_PROGRAM_FAILURE),
    NAME(CL_MAP_FAILURE),
    NAME(CL_MISALIGNED_SUB_BUFFER_OFFSET),
    NAME(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST),
    NAME(CL_COMPILE_PROGRAM_FAILURE),
    NAME(CL_LINKER_NOT_AVAILABLE),
    NAME(CL_LINK_PROGRAM_FAILURE),
    NAME(CL_DEVICE_PARTITION_FAILED),
    NAME(CL_KERNEL_ARG_INFO_NOT_AVAILABLE),
    NAME(CL_INVALID_VALUE),
    NAME(CL_INVALID_DEVICE_TYPE),
    NAME(CL_INVALID_PLATFORM),
    NAME(CL_INVALID_DEVICE),
    NAME(CL_INVALID_CONTEXT),
    NAME(CL_INVALID_QUEUE_PROPERTIES),
    NAME(CL_INVALID_COMMAND_QUEUE),
    NAME(CL_INVALID_HOST_PTR),
    NAME(CL_INVALID_MEM_OBJECT),
    NAME(CL_INVALID_IMAGE_FORMAT_DESCRIPTOR),
    NAME(CL_INVALID_IMAGE_SIZE),
    NAME(CL_INVALID_SAMPLER),
    NAME(CL_INVALID_BINARY),
    NAME(CL_INVALID_BUILD_OPTIONS),
    NAME(CL_INVALID_PROGRAM),
    NAME(CL_INVALID_PROGRAM_EXECUTABLE),
    NAME(CL_INVALID_KERNEL_NAME),
    NAME(CL_INVALID_KERNEL_DEFINITION),
    NAME(CL_INVALID_KERNEL),
    NAME(CL_INVALID_ARG_INDEX),
    NAME(CL_INVALID_ARG_VALUE),
    NAME(CL_INVALID_ARG_SIZE),
    NAME(CL_INVALID_KERNEL_ARGS),
    NAME(CL_INVALID_WORK_DIMENSION),
    NAME(CL_INVALID_WORK_GROUP_SIZE),
    NAME(CL_INVALID_WORK_ITEM_SIZE),
    NAME(CL_INVALID_GLOBAL_OFFSET),
    NAME(CL_INVALID_EVENT_WAIT_LIST),
    NAME(CL_INVALID_EVENT),
    NAME(CL_INVALID_OPERATION),
    NAME(CL_INVALID_GL_OBJECT),
    NAME(CL_INVALID_BUFFER_SIZE),
    NAME(CL_INVALID_MIP_LEVEL),
    NAME(CL_INVALID_GLOBAL_WORK_SIZE),
    NAME(CL_INVALID_PROPERTY),
    NAME(CL_INVALID_IMAGE_DESCRIPTOR),
    NAME(CL_INVALID_COMPILER_OPTIONS),
    NAME(CL_INVALID_LINKER_OPTIONS),
    NAME(CL_INVALID_DEVICE_PARTITION_COUNT),
#undef NAME
    {PLATFORM_NOT_FOUND, "CL_PLATFORM_NOT_FOUND_KHR"},
    {NVIDIA_ILLEGAL_ACCESS, "illegal memory access by a kernel"},
};

const char *q_cl_name(cl_int code)
{
    for (size_t i = 0; i < Q_COUNT(names); i++)
        if (names[i].code == code) return names[i].name;
    return "unknown OpenCL error";
}

static bool means_memory(cl_int code)
{
    return code == CL_MEM_OBJECT_ALLOCATION_FAILURE || code == CL_OUT_OF_RESOURCES || code == CL_OUT_OF_HOST_MEMORY ||
           code == CL_INVALID_BUFFER_SIZE;
}

/* Handles that were good are refused: the driver has given the device up, for all of the process. */
static bool means_lost(cl_int code)
{
    return code == NVIDIA_ILLEGAL_ACCESS || code == CL_INVALID_COMMAND_QUEUE || code == CL_INVALID_CONTEXT;
}

static const char *step_after(cl_int code)
{
    if (means_memory(code)) return "use smaller arrays, or a device with more free memory";
    if (means_lost(code))
        return "start the program anew: the driver has given the device up, as NVIDIA's does when a kernel touches memory "
               "that is not its own, and then no context of this process can use it; if all kernels are quern's, please "
               "report it";
    return "see what the system's log says of the device, and whether `quern doctor` finds it well; a new context may go on "
           "where this one cannot";
}

quern_status q_cl_fail(cl_int code, const char *call)
{
    quern_status status = means_memory(code) ? QUERN_MEMORY : QUERN_DEVICE;
    int length = (int)strcspn(call, "("); /* Q_CL() gives the whole call */
    q_fail(status, "%.*s failed: %s (%d)", length, call, q_cl_name(code), code);
    q_fail_cl(code);
    q_fail_next_step("%s", step_after(code));
    return status;
}
