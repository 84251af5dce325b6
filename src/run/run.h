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
#include "quern/prune.h"
#include "quern/space.h"
#include "quern/tune.h"

// context.c

struct quern_context {
    int references; /* under lock: the user's and one per operator */
    pthread_mutex_t lock;
    q_session *session;
    q_profile profile;
    quern_context_options options;
    quern_switch ptx,
        matrix[Q_MATRIX_COUNT];  /* probe.c, under lock: whether the device takes inline PTX, and has matrix units, by
                                      their make; QUERN_AUTO: not tried yet */
    q_program *converters[7][7]; /* convert.c, under lock: by element types from and to */
};

void q_context_retain(quern_context *context);
void q_context_release(quern_context *context);
/* Passes one line to the context's log callback, if it has one. */
void q_context_log(const quern_context *context, const char *fmt, ...) Q_PRINTF(2, 3);

// probe.c: what a device is tried for

/* Takes from the profile what the context's device cannot do: inline PTX, which is tried when it is first asked for. */
void q_context_limit(quern_context *context, q_profile *profile);
/* The results of the probe's kernel beside the host's: the first that is wrong, or -1. */
int q_probe_wrong(const float *results);
enum { Q_PROBE_FUNCTIONS = 5, Q_PROBE_OPERANDS = 20 };
extern const float q_probe_operands[Q_PROBE_OPERANDS];
/* Whether these matrix units multiply as cl/matrix.cl says; what its trial takes; the first result that is wrong, or -1. */
bool q_probe_matrix(const quern_context *context, q_matrix units);
void q_probe_matrix_operands(uint16_t out[512], q_matrix units, bool bfloat16);
int q_probe_matrix_wrong(const float *results);
enum { Q_PROBE_SUMS = 256 };

// convert.c: copies with a change of element type and stride, on the device

/* Rows of elements in device memory: the first one, and how far apart rows are. */
typedef struct q_rows {
    cl_mem mem;
    quern_dtype dtype;
    int64_t first, stride;
} q_rows;

/* Copies rows x columns elements; does not wait. The two must not overlap. */
quern_status q_convert(quern_context *context, const q_rows *from, const q_rows *to, int64_t rows, int64_t columns);
void q_converters_free(quern_context *context);

// view.c: what a view covers

/* Whether a view can be read or written in this context: its type, shape, stride, and that it lies within its array. `name`
   is for the message. */
quern_status q_view_check(const quern_context *context, const char *name, const quern_view *view);
/* USAGE for memory of the program's own that kernels may not read, or write. */
quern_status q_view_check_access(const char *name, const quern_view *view, bool write);
int64_t q_view_stride(const quern_view *view);
/* Elements from the first to the last, both counted; false if that does not fit. */
bool q_view_extent(const quern_view *view, uint64_t *out);
/* Whether the elements of a view follow each other. */
bool q_view_is_dense(const quern_view *view);
/* Whether two checked views have elements in common. */
bool q_views_overlap(const quern_view *a, const quern_view *b);
/* The memory of an array's view, if it can be used in place of a buffer of this type: dense and at an allowed place. */
bool q_view_is_buffer(const quern_context *context, const quern_view *view, quern_dtype dtype);
quern_status q_view_borrow(q_buffer *out, quern_context *context, const quern_view *view);

// copy.c: copies between views and buffers

/* Copies between a view and a dense buffer of elements of type `dtype`. The first does not wait, so host memory must stay
   as it is until something of the session was waited for; the second waits where the view is on the host. */
quern_status q_view_load(q_buffer *out, quern_context *context, const quern_view *view, quern_dtype dtype);
quern_status q_view_store(q_buffer *from, quern_context *context, const quern_view *view, quern_dtype dtype);
/* Instead of storing: where a view is all of an array in memory of quern's own, which nobody has been shown, the array takes
   the buffer, and this gets the array's. False if not. */
bool q_view_swap(const quern_view *view, q_buffer *buffer, quern_dtype dtype);

// tuned.c: rows of profiles that `quern tune` has learned on this user's devices

/* The file: QUERN_PROFILES, else XDG_CONFIG_HOME/quern/profiles, else HOME/.config/quern/profiles. False if there is none
   or QUERN_PROFILES is empty or "none". */
bool q_tuned_path(char *out, size_t size);
/* Replaces the context's row by the learned one of its device, if there is one that can be used; logs what happens. */
void q_tuned_use(quern_context *context);
/* Puts a row for the context's device, as q_profile_write has it, into the file and leaves the rows of others. IO. */
quern_status q_tuned_save(quern_context *context, const char *path, const char *row);

// tune.c: learning such a row

/* A formula to time, with variables over i and j only and one result over i; few: its number of rows if not that of
   columns, else 0. */
typedef struct q_tune_formula {
    const char *text;
    int64_t few; /* most rows; 0: as many as columns */
    bool both;   /* in float64, too */
} q_tune_formula;

typedef struct q_tune_plan {
    const q_tune_formula *formulas;
    size_t formula_count;
    const char *const *columns;
    size_t column_count;
    const char *settings; /* changes of the shipped row, which begins; null: none */
} q_tune_plan;

/* quern_tune with these formulas and columns. */
quern_status q_tune(quern_tuning **out, quern_context *context, const quern_tune_options *options,
                    const q_tune_plan *plan);

// operator.c: formula text to results, a pass a line

/* Numbers are read and written with a decimal point whatever the program's locale is. */
typedef struct q_locale {
    void *old, *c;
} q_locale;
q_locale q_locale_enter(void);
void q_locale_leave(q_locale locale);

typedef struct q_build q_build;
typedef struct q_pruner q_pruner;

/* A formula and all that follows from it without a device: nothing of this changes once it is compiled. What devices make
   of it are its builds. */
struct quern_operator {
    quern_context *context; /* of runs that name no other; may be null */
    q_graph *graph;
    q_id results[Q_MAX_RESULTS];
    size_t result_count;
    int variables[Q_MAX_VARIABLES]; /* numbers in the graph of the variables that the results use, in order */
    size_t variable_count;
    size_t declared_count; /* behind those, the numbers of variables that no result uses: they still tell sizes */
    char *text;            /* canonical */
    quern_compile_options options; /* options.profile is the operator's own */
    q_stages stages;
    double host_numbers[4]; /* host.c: what an evaluation there costs, by axes */
    q_build *build;         /* builds.c: in its own context, made when it is compiled; then those of others */
    pthread_mutex_t lock;   /* of the others, and of what follows */
    q_pruner *pruner;       /* pruner.c: null before the first pruned run */
};

/* An operator of these nodes of a graph, which it copies. *out is null after a failure. */
quern_status q_operator_from_graph(quern_operator **out, quern_context *context, const q_graph *graph,
                                   const q_id *results, size_t count, const quern_compile_options *options);

// build.c: the builder API of quern/build.h

quern_value q_value_of(const q_variable *variable);

// builds.c: an operator on a device

typedef struct q_kernels q_kernels;

struct q_build {
    q_build *next;
    const quern_operator *op;
    quern_context *context;     /* null: only to be looked at */
    q_session *session;         /* of the context */
    q_profile profile;          /* the device's row with the operator's changes; without a context the row "cpu" */
    q_ir **programs;            /* by stage, made for it */
    _Atomic bool host_notified; /* the log has been told that small runs stay on the host */
    pthread_mutex_t lock;       /* of what follows */
    q_kernels *kernels;         /* plans and kernels of its runs; null before the first */
};

/* The row that the operator would be planned with on a device whose row is `base`. */
q_profile q_operator_profile(const quern_operator *op, const q_profile *base);
/* The operator's build in a context, made on first use, when it retains a context that is not the operator's own. It lives
   as long as the operator. Thread-safe. */
quern_status q_build_find(q_build **out, quern_operator *op, quern_context *context);
/* The operator's first build, in its own context. */
quern_status q_build_own(quern_operator *op);
void q_builds_destroy(quern_operator *op);

// batch.c: leading dimensions of arrays

enum { Q_BATCH_DIMS = 4 };

/* Their sizes, outermost first; they are aligned at the last with those of other arrays. */
typedef struct q_batch {
    int dims;
    int64_t size[Q_BATCH_DIMS];
} q_batch;

/* The batch of a view, and the view with the rows of all members. SHAPE for sizes that no batch has. */
quern_status q_batch_flatten(q_batch *batch, quern_view *out, const char *name, const quern_view *view);
/* Broadcasts. SHAPE if sizes do not agree. */
quern_status q_batch_merge(q_batch *all, const char *name, const q_batch *batch);
quern_status q_batch_check_result(const q_batch *all, const char *name, const q_batch *batch);
int64_t q_batch_members(const q_batch *batch);
/* The number of a member of `all` in an array of its own batch. */
int64_t q_batch_place(const q_batch *all, const q_batch *batch, int64_t member);
/* Ragged batches: SHAPE, USAGE for null, LIMIT. */
quern_status q_offsets_check(const quern_run_options *options, int64_t M, int64_t N);

// arguments.c, run_with.c, prepare.c, launch.c: one run of an operator, checked and done

/* Array rows and element type are checked; M, N and dtype are known. */
typedef struct q_carried q_carried;

typedef struct q_run {
    const quern_operator *op;
    q_build *build;
    int64_t M, N;           /* rows of arrays, of all members of a batch */
    int64_t plan_M, plan_N; /* what the programs are planned for: the same, but in quern_prepare */
    quern_dtype dtype;
    const quern_view *variables; /* by op->variables */
    const quern_view *results;
    const q_space *const
        *spaces;        /* by stage: which rows meet which columns, of arrays of M and N rows; null, or null for
                                     one: all do */
    int64_t members;    /* rows of results and temporaries that are parameters; 0: 1 */
    q_carried *carried; /* of the only stage, whose space says so; else null */
} q_run;

static inline const q_space *q_run_space(const q_run *run, size_t stage)
{
    return run->spaces ? run->spaces[stage] : NULL;
}

/* The states of all rows of a stage, from one launch over some columns to the next over others: slices of groups. To be freed
   with q_carried_free. */
struct q_carried {
    q_buffer *slices;
    size_t count;
    bool begun; /* they are there */
};

/* The arrays of a run, the rows of all members of a batch one after the other, and how members are found in them. */
typedef struct q_given {
    quern_view variables[Q_MAX_VARIABLES], results[Q_MAX_RESULTS];
    q_batch batches[Q_MAX_VARIABLES]; /* by op->variables */
    q_batch batch;                    /* of the results */
    bool ragged;
    int64_t M, N; /* of a member of an equal batch */
} q_given;

/* A run of these arguments, which keeps *given; options may be null. */
quern_status q_run_check(q_run *run, q_given *given, q_build *build, quern_args args, quern_outs results,
                         const quern_run_options *options);
void q_carried_free(q_carried *carried, q_session *session);
/* UNSUPPORTED where the formula was simplified too far for ranges; SHAPE. Null: there are none. */
quern_status q_run_check_ranges(const q_run *run, const quern_ranges *ranges);
/* Does a checked run: on the host, or in blocks where it is a batch or has ranges, or as it is. */
quern_status q_run_given(q_run *run, const q_given *given, const quern_run_options *options);
quern_status q_launch(const q_run *run);
/* The same, where stages that add to rows by their numbers meet no other pairs: scatter.c. */
quern_status q_launch_scattered(q_run *run);

// prune_members.c, prune.c: runs that leave out what cannot matter

/* With options->pruning. */
quern_status q_run_pruned(quern_operator *op, quern_context *context, quern_args args, quern_outs results,
                          const quern_run_options *options);
/* USAGE for options that make no sense. */
quern_status q_pruning_check(quern_pruning *out, const quern_pruning *given);

// pruner.c

/* Why no run of it can be pruned; null: they can. */
const char *q_pruner_refusal(const quern_operator *op);
void q_pruner_destroy(q_pruner *pruner);

// reference.c: graph to doubles on the host; slow, simple, the oracle of every test

/* Evaluates results for M rows and N columns. variables[v] holds the rows x dim numbers of graph variable v (null if
   unused); out[r] receives rows x dim numbers, rows being M, N, 1 or, for a pair formula, M x N (i slowest). Every node
   is stored for all its rows: MEMORY if that does not fit. Indices are whole numbers, -1 for none. */
quern_status q_reference(const q_graph *graph, const q_id *results, size_t count, int64_t M, int64_t N,
                         const double *const *variables, double *const *out);

/* How the evaluator rounds, beyond double, and what it leaves out. */
typedef struct q_rounding {
    bool single; /* each value of the graph is rounded to float32; what is in between within one operation is not */
    double
        noise; /* each number that is read or computed with rounding is off by up to this much of itself, at random: how
                     far a result can be trusted if each step is that accurate (Monte Carlo arithmetic, Parker 1997) */
    uint64_t seed;
    const uint8_t *met; /* 1 at i N + j where row i meets column j, as ranges say; null: all do */
} q_rounding;

quern_status q_reference_with(const q_rounding *rounding, const q_graph *graph, const q_id *results, size_t count,
                              int64_t M, int64_t N, const double *const *variables, double *const *out);

// host.c: runs that are over before a device would have begun

/* Fills op->host_numbers. */
quern_status q_host_count(quern_operator *op);
/* Whether runs of this type and size are done on the host if all their arrays are there; a null context is any. */
bool q_host_would_take(const quern_operator *op, const quern_context *context, quern_dtype dtype, int64_t M, int64_t N);
bool q_host_takes(const q_run *run);
quern_status q_host_run(const q_run *run);

#endif
