/*
 * request.h: the command line of an example that draws a map, and how far it is.
 */
#ifndef REQUEST_H
#define REQUEST_H

#include <stdbool.h>

typedef struct request {
    const char *data; /* the file of cities; null: where it usually is */
    const char *path; /* the picture */
    int width;        /* pixels */
} request;

/* Reads the command line. Returns 0, 1 when help was asked for and printed, or -1 after a message on stderr. From then
   on stdout is written line by line, so that in a file, too, messages stand after what was printed before them. */
int request_parse(request *out, int argc, char **argv);

/* Of a clock that never goes back. */
double seconds_now(void);

/* What a run has told so far; all zero before the first. */
typedef struct progress {
    double start, first, last; /* seconds; parts of the work that were done at the start and last */
} progress;

/* For quern_context_options.progress: on a terminal, the part that is done and the seconds left, from the second second
   of a run on. Never stops the run. */
bool progress_show(void *shown, double done);

#endif
