/*
 * run.h: where formulas meet devices: contexts, operators, launches, and the reference evaluator they are tested
 * against. The banners follow the files of src/run.
 */
#ifndef QUERN_RUN_H
#define QUERN_RUN_H

#include <pthread.h>

#include "device/device.h"
#include "formula/formula.h"
#include "plan/plan.h"

// context.c

struct quern_context {
    int references; /* under lock: the user's and one per operator */
    pthread_mutex_t lock;
    q_queue *queue;
    q_profile profile;
    quern_context_options options;
};

void q_context_retain(quern_context *context);
void q_context_release(quern_context *context);
/* Passes one line to the context's log callback, if it has one. */
void q_context_log(const quern_context *context, const char *fmt, ...) Q_PRINTF(2, 3);

// operator.c: formula text to results, a pass a line

/* Numbers are read and written with a decimal point whatever the program's locale is. */
typedef struct q_locale {
    void *old, *c;
} q_locale;
q_locale q_locale_enter(void);
void q_locale_leave(q_locale locale);

/* One kernel of a stage, built for one plan. */
typedef struct q_kernel q_kernel;

struct quern_operator {
    quern_context *context; /* null: cannot run */
    q_graph *graph;
    q_id results[Q_MAX_RESULTS];
    size_t result_count;
    int variables[Q_MAX_VARIABLES]; /* numbers in the graph of the variables that the results use, in order */
    size_t variable_count;
    char *text; /* canonical */
    quern_compile_options options;
    q_stages stages;
    q_program_ir **programs; /* by stage */
    pthread_mutex_t lock;    /* of what follows */
    q_kernel *kernels;       /* a list; entries are never removed before the operator */
};

/* An operator of these nodes of a graph, which it copies. *out is null after a failure. */
quern_status q_operator_from_graph(quern_operator **out, quern_context *context, const q_graph *graph,
                                   const q_id *results, size_t count, const quern_compile_options *options);

// build.c: the builder API of quern/build.h

quern_value q_value_of(const q_variable *variable);

// arguments.c, launch.c: one run of an operator, checked and done

/* Array rows and element type are checked; M, N and dtype are known. */
typedef struct q_run {
    quern_operator *op;
    int64_t M, N;
    quern_dtype dtype;
    const quern_view *variables; /* by op->variables */
    const quern_view *results;
} q_run;

quern_status q_launch(const q_run *run);
void q_kernels_destroy(q_kernel *kernels);

// reference.c: graph to doubles on the host; slow, simple, the oracle of every test

/* Evaluates results for M rows and N columns. variables[v] holds the rows x dim numbers of graph variable v (null if
   unused); out[r] receives rows x dim numbers, rows being M, N, 1 or, for a pair formula, M x N (i slowest). Every node
   is stored for all its rows: MEMORY if that does not fit. Indices are whole numbers, -1 for none. */
quern_status q_reference(const q_graph *graph, const q_id *results, size_t count, int64_t M, int64_t N,
                         const double *const *variables, double *const *out);

/* The same where every number that is read or computed with rounding is off by up to `noise` of itself, at random by the
   seed: how far a result can be trusted if each step is that accurate (Monte Carlo arithmetic, Parker 1997). */
quern_status q_reference_noisy(const q_graph *graph, const q_id *results, size_t count, int64_t M, int64_t N,
                               const double *const *variables, double *const *out, double noise, uint64_t seed);

#endif
