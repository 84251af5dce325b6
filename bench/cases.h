/*
 * cases.h: what quern-bench can measure. A case is a row of one table: formula, element type, size, data and a float64
 * evaluation of single rows that the results are checked against. A peer is a row of another: who it is, which case it
 * can run, and the function that runs it on the same arrays. A new case or peer is a new row and, if need be, its
 * function.
 */
#ifndef BENCH_CASES_H
#define BENCH_CASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <quern.h>

enum { BENCH_VARIABLES = 8, BENCH_COLUMNS = 256 };

typedef struct bench_case bench_case;

/* A variable of the formula: its array in the element type of the case, and exactly the same numbers in float64. */
typedef struct bench_array {
    quern_value what;
    int64_t rows;
    double *exact;
    void *data;
} bench_array;

/* A case at one size, with its data. Result: m rows x `columns`. */
typedef struct bench_problem {
    const bench_case *which;
    int64_t m, n, columns;
    size_t count;
    bench_array arrays[BENCH_VARIABLES];
    quern_arg args[BENCH_VARIABLES];
} bench_problem;

struct bench_case {
    const char *name, *about, *formula;
    quern_dtype dtype;
    int64_t n;        /* rows and columns unless --n says otherwise */
    double tolerance; /* quern's error must not exceed it */
    void (*fill)(double *values, int64_t count, uint64_t seed);
    void (*row)(const bench_problem *problem, int64_t i, double *result); /* row i of the result in float64 */
};

typedef struct bench_peer {
    const char *name, *on; /* the case that it runs */
    const char *(*about)(void);
    bool (*run)(const bench_problem *problem, void *result); /* false: it could not */
} bench_peer;

extern const bench_case bench_cases[];
extern const size_t bench_case_count;
extern const bench_peer bench_peers[];
extern const size_t bench_peer_count;

/* The row of that name, or null. */
const bench_case *bench_case_find(const char *name);
/* The peer of that name for the case; `name` null: the first for the case. Null if there is none. */
const bench_peer *bench_peer_find(const char *name, const char *on);
/* Whether any peer has the name. */
bool bench_peer_known(const char *name);

/* Makes the data of a case for the variables of `op`, the case's compiled formula. The same numbers in every run and on
   every machine. False, with nothing to free, if memory ran out or the formula has more variables than
   BENCH_VARIABLES or more columns than BENCH_COLUMNS. */
bool bench_problem_create(bench_problem *problem, const bench_case *which, const quern_operator *op, int64_t n);
void bench_problem_destroy(bench_problem *problem);

/* The largest error of `result` over 20 rows, relative to the largest entry of those rows in float64. NaN counts as
   infinite. */
double bench_error(const bench_problem *problem, const void *result);

size_t bench_element_size(quern_dtype dtype);

#endif
