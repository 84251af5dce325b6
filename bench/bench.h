/*
 * bench.h: the parts of quern-bench: options.c reads the command line, measure.c times a case, report.c prints what
 * came of it.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <jansson.h>
#include <stdio.h>

#include "cases.h"
#include "peers.h"

enum { EXIT_MEASURE = 1, EXIT_USAGE = 2, MAX_REPEAT = 1000, MAX_CASES = 64 };

typedef struct bench_options {
    const bench_case *cases[MAX_CASES];
    size_t case_count;
    const char *against, *device, *json, *profile;
    int64_t n, repeat;
    bool large, resident; /* the cases' large sizes; arrays that stay on the device */
} bench_options;

/* Whole calls of one competitor. */
typedef struct timing {
    double seconds[MAX_REPEAT], median, least, error;
} timing;

typedef struct outcome {
    const bench_case *which;
    const bench_peer *peer; /* null: alone, or the peer is missing */
    char peer_about[BENCH_REASON], missing[BENCH_REASON];
    int64_t m, n;
    double first, second; /* quern: compile + first run; second run */
    timing quern, other;
} outcome;

/* options.c: 0, or the exit status after a message. */
int options_parse(bench_options *options, int count, char **words);
void help_print(void);

/* measure.c: one case beside its peer, if it has one. False after a message. */
bool case_measure(outcome *out, quern_context *context, const bench_case *which, const bench_options *options);

/* report.c */
void header_print(FILE *to, const quern_device *device, const bench_options *options);
void outcome_print(FILE *to, const outcome *out);
json_t *document_create(const quern_device *device, const bench_options *options);
void document_add(json_t *document, const outcome *out);
bool document_write(const json_t *document, const char *path);
/* quern's median / the peer's. */
double outcome_ratio(const outcome *out);

#endif
