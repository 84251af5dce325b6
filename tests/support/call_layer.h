/*
 * call_layer.h: an OpenCL layer that counts what a program asks of the driver, and lets calls fail on order.
 *
 * The loader puts the library of call_layer.c between itself and every driver if OPENCL_LAYERS has its path. A test that
 * links with it reads the counts of the same library: one file is loaded once.
 */
#ifndef QUERN_TESTS_CALL_LAYER_H
#define QUERN_TESTS_CALL_LAYER_H

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <stdbool.h>
#include <stdint.h>

/* Kinds of calls, and the words for them. Write and read are those of rows, too. */
// clang-format off
#define CALL_KINDS(ROW) \
    ROW(CREATE_CONTEXT, "clCreateContext") \
    ROW(CREATE_QUEUE, "clCreateCommandQueue") \
    ROW(CREATE_BUFFER, "clCreateBuffer") \
    ROW(CREATE_SUB_BUFFER, "clCreateSubBuffer") \
    ROW(CREATE_PROGRAM, "clCreateProgramWithSource") \
    ROW(BUILD, "clBuildProgram") \
    ROW(CREATE_KERNEL, "clCreateKernel") \
    ROW(SET_ARG, "clSetKernelArg") \
    ROW(WRITE, "clEnqueueWriteBuffer") \
    ROW(READ, "clEnqueueReadBuffer") \
    ROW(COPY, "clEnqueueCopyBuffer") \
    ROW(FILL, "clEnqueueFillBuffer") \
    ROW(MAP, "clEnqueueMapBuffer") \
    ROW(LAUNCH, "clEnqueueNDRangeKernel") \
    ROW(FINISH, "clFinish") \
    ROW(FLUSH, "clFlush") \
    ROW(WAIT, "clWaitForEvents")
// clang-format on

typedef enum call_kind {
#define ROW(name, text) CALL_##name,
    CALL_KINDS(ROW)
#undef ROW
        CALL_KIND_COUNT
} call_kind;

typedef struct call_counts {
    long calls[CALL_KIND_COUNT];
    uint64_t up, down; /* bytes that went from host memory to the device, and back */
    long live;         /* references to OpenCL's objects of any kind; not reset */
    uint64_t lent;     /* bytes of host memory that commands which nothing has waited for may still read; not reset */
} call_counts;

/* Whether the loader has taken the layer up. */
bool call_layer_is_there(void);
/* "clCreateBuffer". */
const char *call_layer_name(call_kind kind);
/* Since the last reset. */
call_counts call_layer_counts(void);
/* Sets them to 0, and lets no call fail any more. */
void call_layer_reset(void);
/* From now on the n-th call of this kind (from 1) fails with `code` without reaching the driver; last: up to which one
   those that follow fail too. n = 0 ends all failing. */
void call_layer_fail(call_kind kind, long n, long last, cl_int code);

#endif
