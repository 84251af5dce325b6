/*
 * data_file.h: where the examples' data are.
 */
#ifndef DATA_FILE_H
#define DATA_FILE_H

#include <limits.h>

/* The path of a file of examples/data: beside the program, wherever that was moved, else in the sources, seen from their top.
   Returns `out`, or null after a message on stderr. */
const char *data_file(char out[PATH_MAX], const char *name);

#endif
