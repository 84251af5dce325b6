/*
 * quern/npy.h: arrays in NumPy's .npy files (format versions 1.0 to 3.0), so that quern, NumPy and shell
 * scripts can exchange data. Read are all types of real numbers in either byte order, stored by rows (C order) or by
 * columns (Fortran order). Source of the format: numpy.lib.format's documentation.
 */
#ifndef QUERN_NPY_H
#define QUERN_NPY_H

#include <stdio.h>

#include "quern.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a file holds, for those who want to tell of conversions. */
typedef struct quern_npy_source {
    char type[32];   /* of its elements, as NumPy writes it: "<f4", ">i2", "|b1" */
    int axes;        /* 0 to 6 */
    bool by_columns; /* Fortran order; false where that makes no difference */
    bool converted;  /* the array in memory is not the file's bytes: another type, byte order, or order of elements */
} quern_npy_source;

/* Reads a file; one axis of length n becomes n rows x 1 column, no axis 1 x 1, and of more than two axes those before the last
   two are out->batch (quern/space.h), which must be stored by rows. out->data is for quern_free. Elements are
   float32, float64 or int64 as in the file; others become the type that holds all their values: float32 for float16,
   bool and integers of 8 and 16 bits, float64 for those of 32. Only uint64, which becomes float64, is rounded, from 2^53
   on. Statuses: IO (cannot be opened or read, truncated, not .npy), DTYPE (elements that are not real numbers), SHAPE (more
   than six axes, or a batch of size 0 or in Fortran order), MEMORY. Thread-safe. */
QUERN_API quern_status quern_npy_read(quern_view *out, const char *path);

/* The same from an open stream, of which no more is read than the array; `path` is its name in messages. `source` may be
   null. */
QUERN_API quern_status quern_npy_read_stream(quern_view *out, FILE *stream, const char *path, quern_npy_source *source);

/* The same without a copy: out->data is the file, mapped for reading, whose pages come as they are read and go where memory is wanted, so
   that files may be larger than memory. The file must stay as it is: reading what was cut off ends the process (SIGBUS), as for any
   mapping. `source` may be null. Statuses: those of quern_npy_read; UNSUPPORTED where elements must be converted, or the file
   cannot be mapped: then read it. */
QUERN_API quern_status quern_npy_map(quern_view *out, const char *path, quern_npy_source *source);
/* Lets go of pages that were read and are in memory; they come again from the file. For views of quern_npy_map, at any time. */
QUERN_API void quern_npy_drop(const quern_view *view);
/* Ends a mapping. Null, or without data, does nothing. */
QUERN_API void quern_npy_unmap(quern_view *view);

/* Writes dense host memory, as an array of two axes and those of the batch. The file appears complete or not at all: a temporary file in the same directory is
   renamed over `path`. Statuses: IO, MEMORY. Thread-safe. */
QUERN_API quern_status quern_npy_write(const char *path, quern_view view);

/* The same bytes to an open stream (`-o -`). Status: IO. */
QUERN_API quern_status quern_npy_write_stream(FILE *stream, quern_view view);

#ifdef __cplusplus
}
#endif
#endif
