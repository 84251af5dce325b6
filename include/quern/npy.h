/*
 * quern/npy.h: arrays of one or two axes in NumPy's .npy files (format versions 1.0 to 3.0, little-endian float32,
 * float64 and int64, C order), so that quern, NumPy and shell scripts can exchange data.
 * Source of the format: numpy.lib.format's documentation.
 */
#ifndef QUERN_NPY_H
#define QUERN_NPY_H

#include <stdio.h>

#include "quern.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Reads a file; one axis of length n becomes n rows x 1 column, no axis 1 x 1. out->data is for quern_free.
   Statuses: IO (cannot be opened or read, truncated, not .npy), DTYPE (other element types), SHAPE (more than two axes,
   Fortran order), MEMORY. Thread-safe. */
QUERN_API quern_status quern_npy_read(quern_view *out, const char *path);

/* Writes rows x columns elements. The file appears complete or not at all: a temporary file in the same directory is
   renamed over `path`. Statuses: IO, MEMORY. Thread-safe. */
QUERN_API quern_status quern_npy_write(const char *path, quern_view view);

/* The same bytes to an open stream (`-o -`). Status: IO. */
QUERN_API quern_status quern_npy_write_stream(FILE *stream, quern_view view);

#ifdef __cplusplus
}
#endif
#endif
