/*
 * array.h: arrays that stay on the device between runs.
 *
 *     quern_array *x, *a;
 *     quern_array_from(&x, ctx, quern_f32(points, M, 3));                     // copied to the device once
 *     quern_array_create(&a, ctx, QUERN_F32, M, 1);
 *     quern_run(op, QUERN_ARGS({"x", quern_array_view(x)}, {"y", quern_array_view(x)}), quern_array_view(a));
 *     quern_array_read(a, quern_f32(out, M, 1));                              // waits
 *     quern_array_destroy(&a), quern_array_destroy(&x);
 *
 * Every argument and every result of a run may be on the host or on the device. A run whose arrays are all on the device
 * returns before it is done (unless it takes more than a few tenths of a second or there is a progress callback: then it is
 * launched in parts, each of which is waited for); what is enqueued later in the same context comes after it, and
 * quern_wait, a read, or a run with an array on the host waits for it. Failures of the device after a run has returned are
 * told by the first of these. An array that is dense, starts at an aligned place and has the element type of the run is used
 * as it is; others are copied on the device first, and results of another kind afterwards. A result that is an argument, too,
 * is computed beside it.
 *
 * An array belongs to the context that it was made in, and keeps it alive. Threads: several may read one array at the same
 * time, in runs and copies. While a call writes an array no other thread may use it; the device does what was enqueued in
 * the order of the calls, so a thread that learns that a call has returned may use its result without waiting.
 */
#ifndef QUERN_ARRAY_H
#define QUERN_ARRAY_H

#include "quern.h"

#ifdef __cplusplus
extern "C" {
#endif

/* rows x columns elements in device memory, all 0. Statuses: USAGE (no such type), SHAPE, UNSUPPORTED (float64 on a device
   without), MEMORY. */
QUERN_API quern_status quern_array_create(quern_array **out, quern_context *context, quern_dtype dtype, int64_t rows,
                                          int64_t columns);
/* The same with the shape, type and elements of a view of the host or of the device. */
QUERN_API quern_status quern_array_from(quern_array **out, quern_context *context, quern_view view);
/* An array in memory of the program's own: `mem` is a cl_mem of the context's cl_context (see
   quern_context_options.opencl_context), or a sub-buffer, which is kept alive. It may be wrapped more than once. Runs refuse to
   write what was made with CL_MEM_READ_ONLY, and to read what was made with CL_MEM_WRITE_ONLY (USAGE). Statuses: those of
   quern_array_create; USAGE for memory of another cl_context; SHAPE if it is too small. */
QUERN_API quern_status quern_array_wrap(quern_array **out, quern_context *context, void *mem, quern_dtype dtype,
                                        int64_t rows, int64_t columns);
/* Frees the memory when all that uses it is done; does not wait. Until then it counts as taken
   (quern_context_options.memory). */
QUERN_API void quern_array_destroy(quern_array **array);

/* All of the array: what is given to runs. Without rows, columns and data for a null array. */
QUERN_API quern_view quern_array_view(const quern_array *array);
/* Some rows, or some columns, of a view of the host or of the device. What lies outside makes a view that every function
   refuses with SHAPE. */
QUERN_API quern_view quern_view_rows(quern_view view, int64_t first, int64_t count);
QUERN_API quern_view quern_view_columns(quern_view view, int64_t first, int64_t count);

/* Copy all elements, converted to the other's type where they differ (quern_dtype): from a view of the host or device into
   the array; from the array into a view. They wait where a host array is concerned. Rows and columns must agree: SHAPE.
   Every device takes host arrays of every type: what it cannot convert, the host does. */
QUERN_API quern_status quern_array_write(quern_array *array, quern_view from);
QUERN_API quern_status quern_array_read(const quern_array *array, quern_view to);
/* Copies one view into another of the same shape, at least one of which is on the device; they must not overlap (USAGE).
   When it returns, also with a failure, host memory is no longer in use; between device arrays it does not wait. */
QUERN_API quern_status quern_copy(quern_context *context, quern_view to, quern_view from);
/* Sets all elements to a number, rounded to their type. Does not wait. */
QUERN_API quern_status quern_array_fill(quern_array *array, double number);

/* For programs with OpenCL code of their own: the array's cl_mem and the context's cl_context and cl_command_queue, borrowed.
   Null for null. */
QUERN_API void *quern_array_opencl(const quern_array *array);
QUERN_API void *quern_context_opencl(const quern_context *context);
QUERN_API void *quern_context_opencl_queue(const quern_context *context);

#ifdef __cplusplus
}
#endif

#endif
