/*
 * array.h: what an array on the device is, for the files that look into one: array.c, view.c and copy.c.
 */
#ifndef QUERN_RUN_ARRAY_H
#define QUERN_RUN_ARRAY_H

#include "quern/array.h"
#include "run/run.h"

struct quern_array {
    quern_context *context;
    q_buffer buffer;
    quern_dtype dtype;
    int64_t rows, columns;
    cl_mem parent;      /* null, or what the buffer is a sub-buffer of: such a one has no sub-buffers itself */
    uint64_t base;      /* there: bytes before it */
    cl_mem_flags flags; /* of the program's own memory: what kernels may do with it */
    _Atomic bool shown; /* the program has got the cl_mem */
};

#endif
