/*
 * cases.h: what quern-bench can measure. A case is a row of one table (cases.c): formula, element type, size, data, and
 * a float64 evaluation of single rows (rows.c) that the results are checked against. A problem (problem.c) is a case at
 * one size with its data. A new case is a new row and, if need be, its function.
 */
#ifndef BENCH_CASES_H
#define BENCH_CASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <quern.h>
#include <quern/prune.h>
#include <quern/space.h>
#include <quern/array.h>

enum { BENCH_VARIABLES = 8, BENCH_COLUMNS = 256 };

typedef struct bench_case bench_case;

/* A variable of the formula: its array in the element type of the case, and exactly the same numbers in float64. */
typedef struct bench_array {
    quern_value what;
    int64_t rows;
    double *exact;
    void *data;
} bench_array;

/* A case at one size, with its data. Result: m rows x `columns` elements of type `result_type`. */
typedef struct bench_problem {
    const bench_case *which;
    int64_t m, n, columns;
    quern_dtype result_type;
    size_t count;
    bench_array arrays[BENCH_VARIABLES];
    quern_arg args[BENCH_VARIABLES];
    uint64_t serial; /* no other problem of this process has it */
} bench_problem;

struct bench_case {
    const char *name, *about, *formula;
    quern_dtype dtype;
    int64_t n;        /* rows and columns unless --n says otherwise */
    int64_t large;    /* the same with --large: for a GPU to be busy */
    int calls;        /* calls per timed repetition, whose mean is its time: 1 but for very short calls */
    double tolerance; /* quern's error must not exceed it */
    void (*fill)(double *values, int64_t count, uint64_t seed);
    /* Row i of the result in float64. For a case whose results are indices: the terms that were selected from, for all
       j (`result` has n entries); the smallest are to be found. */
    void (*row)(const bench_problem *problem, int64_t i, double *result);
    /* What is timed in place of the formula, which then only says what the arrays are; host arrays alone. Null: the formula. */
    quern_status (*call)(quern_context *context, const bench_problem *problem, void *result);
    const quern_pruning *pruning; /* of the formula's runs; null: none */
};

extern const bench_case bench_cases[];
extern const size_t bench_case_count;

/* The row of that name, or null. */
const bench_case *bench_case_find(const char *name);

/* rows.c: evaluations for bench_case.row. They follow the formulas literally and are slow. */
void bench_row_gaussian(const bench_problem *problem, int64_t i, double *result);
void bench_row_gradient(const bench_problem *problem, int64_t i, double *result);
void bench_row_both(const bench_problem *problem, int64_t i, double *result);
void bench_row_laplacian(const bench_problem *problem, int64_t i, double *result);
void bench_row_logsumexp(const bench_problem *problem, int64_t i, double *result);
void bench_row_energy(const bench_problem *problem, int64_t i, double *result);
void bench_row_attention(const bench_problem *problem, int64_t i, double *result);
void bench_row_distances(const bench_problem *problem, int64_t i, double *result);

/* cases.c: numbers in [0, 1). */
void bench_fill_uniform(double *values, int64_t count, uint64_t seed);
void bench_fill_normal(double *values, int64_t count, uint64_t seed); /* of variance 1 */
/* blocks.c */
void bench_fill_blocks(double *values, int64_t count, uint64_t seed);
void bench_row_batch(const bench_problem *problem, int64_t i, double *result);
quern_status bench_call_ranges(quern_context *context, const bench_problem *problem, void *result);
quern_status bench_call_batch(quern_context *context, const bench_problem *problem, void *result);
quern_status bench_call_loop(quern_context *context, const bench_problem *problem, void *result); /* member by member */
/* devices.c */
quern_status bench_call_devices(quern_context *context, const bench_problem *problem, void *result);
bool bench_run_alone(const bench_problem *problem, void *result); /* the peer; after the case's first call */
/* ranks.c */
quern_status bench_call_mpi(quern_context *context, const bench_problem *problem, void *result);
/* sinkhorn.c: iterations, and what they are made of. */
quern_status bench_call_steps(quern_context *context, const bench_problem *problem, void *result);
void bench_row_steps(const bench_problem *problem, int64_t i, double *result);
quern_status bench_call_passes(quern_context *context, const bench_problem *problem, void *result);
/* sinkhorn.c: points of a scan of Debian's opencv-doc, for the second variable of another one; or NaN where it is not installed. */
void bench_fill_scans(double *values, int64_t count, uint64_t seed);
/* neighbors.c: points on the faces of Debian's glmark2-data's bunny, or NaN where it is not installed. */
void bench_fill_bunny(double *values, int64_t count, uint64_t seed);
quern_status bench_call_neighbors(quern_context *context, const bench_problem *problem, void *result);
/* sinkhorn.c */
void bench_row_sinkhorn(const bench_problem *problem, int64_t i, double *result);
quern_status bench_call_sinkhorn(quern_context *context, const bench_problem *problem, void *result);

/* gp.c */
void bench_row_gp(const bench_problem *problem, int64_t i, double *result);
quern_status bench_call_gp(quern_context *context, const bench_problem *problem, void *result);

/* kmeans.c */
void bench_row_kmeans(const bench_problem *problem, int64_t i, double *result);
quern_status bench_call_kmeans(quern_context *context, const bench_problem *problem, void *result);
void bench_fill_places(double *values, int64_t count, uint64_t seed);
void bench_row_kmeans25(const bench_problem *problem, int64_t i, double *result);
quern_status bench_call_kmeans25(quern_context *context, const bench_problem *problem, void *result);
/* linear.c */
void bench_row_solve(const bench_problem *problem, int64_t i, double *result);
quern_status bench_call_solve(quern_context *context, const bench_problem *problem, void *result);
void bench_row_eigs(const bench_problem *problem, int64_t i, double *result);
quern_status bench_call_eigs(quern_context *context, const bench_problem *problem, void *result);

/* vicsek.c */
void bench_fill_swimmers(double *values, int64_t count, uint64_t seed);
void bench_row_vicsek(const bench_problem *problem, int64_t i, double *result);
quern_status bench_call_vicsek(quern_context *context, const bench_problem *problem, void *result);
bool bench_run_cells(const bench_problem *problem, void *result); /* the peer */
/* tsne.c */
void bench_fill_groups(double *values, int64_t count, uint64_t seed);
void bench_row_tsne(const bench_problem *problem, int64_t i, double *result);
quern_status bench_call_tsne(quern_context *context, const bench_problem *problem, void *result);
void bench_row_umap(const bench_problem *problem, int64_t i, double *result);
quern_status bench_call_umap(quern_context *context, const bench_problem *problem, void *result);

/* Makes the data of a case for the variables of `op`, the case's compiled formula. The same numbers in every run and on
   every machine. False, with nothing to free, if memory ran out or the formula has more variables than
   BENCH_VARIABLES or more columns than BENCH_COLUMNS. */
bool bench_problem_create(bench_problem *problem, const bench_case *which, const quern_operator *op, int64_t n);
void bench_problem_destroy(bench_problem *problem);

/* For bench_case.row, where all rows' results are found at once: number k of the `count` that `find` writes, which the first call
   for a problem runs in a context of its own. NaN if that fails, and stderr tells why. */
typedef quern_status bench_finder(double *values, quern_context *context, const bench_problem *problem);
double bench_found(const bench_problem *problem, int64_t k, int64_t count, bench_finder *find);

/* resident.c: copies of a problem's arrays on the device, and room there for its result. False: quern_last_error tells
   why; to be destroyed all the same. The operator is of the same context. */
typedef struct bench_resident {
    quern_context *context;
    quern_array *arrays[BENCH_VARIABLES], *result;
    quern_arg args[BENCH_VARIABLES];
} bench_resident;

bool bench_resident_create(bench_resident *out, quern_context *context, const bench_problem *problem);
void bench_resident_destroy(bench_resident *resident); /* accepts zeros */
/* A call of the formula, pruned if the case is. */
quern_status bench_formula_run(quern_operator *op, const bench_problem *problem, const quern_arg *args,
                               quern_view result);
/* Waits once, after the last of the calls. */
quern_status bench_resident_run(const bench_resident *resident, quern_operator *op, const bench_problem *problem,
                                int calls);
quern_status bench_resident_read(const bench_resident *resident, const bench_problem *problem, void *result);

/* The array of that name, or null. */
const bench_array *bench_array_find(const bench_problem *problem, const char *name);

/* The largest error of `result` over 20 rows, relative to the largest entry of those rows in float64. NaN counts as
   infinite. For indices: 0 if all agree with a selection in float64; else the largest relative difference of a selected
   term from the one that belongs there, so that exact ties count 0 and ties of float32 about 1e-7; infinite if an index
   is out of range or occurs twice in a row. */
double bench_error(const bench_problem *problem, const void *result);

/* Bytes of the result. */
size_t bench_result_size(const bench_problem *problem);
size_t bench_element_size(quern_dtype dtype);

#endif
