/*
 * problem.c: a case at one size: its arrays, and the check of a result against float64. Data are rounded to the element
 * type of the case first, so that exact and measured values see the same numbers.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"

enum { CHECKED = 20 };

size_t bench_element_size(quern_dtype dtype)
{
    return dtype == QUERN_F32 ? sizeof(float) : dtype == QUERN_I64 ? sizeof(int64_t) : sizeof(double);
}

size_t bench_result_size(const bench_problem *problem)
{
    return (size_t)(problem->m * problem->columns) * bench_element_size(problem->result_type);
}

const bench_array *bench_array_find(const bench_problem *problem, const char *name)
{
    for (size_t k = 0; k < problem->count; k++)
        if (!strcmp(problem->arrays[k].what.name, name)) return &problem->arrays[k];
    return NULL;
}

/* ---- data ------------------------------------------------------------------------------------------------------- */

/* Copies to the element type, and rounds the exact numbers to it. */
static void array_round(bench_array *array, quern_dtype dtype, int64_t count)
{
    float *single = array->data;
    if (dtype == QUERN_F64) memcpy(array->data, array->exact, (size_t)count * sizeof(double));
    else
        for (int64_t k = 0; k < count; k++) array->exact[k] = single[k] = (float)array->exact[k];
}

static bool array_create(bench_problem *problem, size_t k, quern_value what)
{
    const bench_case *which = problem->which;
    bench_array *array = &problem->arrays[k];
    *array = (bench_array){.what = what, .rows = what.axis == 'i' ? problem->m : what.axis == 'j' ? problem->n : 1};
    const int64_t count = array->rows * what.dim;
    array->exact = calloc((size_t)count, sizeof(double));
    array->data = calloc((size_t)count, bench_element_size(which->dtype));
    if (!array->exact || !array->data) return false;
    which->fill(array->exact, count, k + 1);
    array_round(array, which->dtype, count);
    problem->args[k] = (quern_arg){what.name, quern_view_of(array->data, which->dtype, array->rows, what.dim)};
    return true;
}

bool bench_problem_create(bench_problem *problem, const bench_case *which, const quern_operator *op, int64_t n)
{
    static uint64_t serial;
    const quern_value result = quern_result(op, 0);
    *problem = (bench_problem){.which = which,
                               .m = n,
                               .n = n,
                               .columns = result.dim,
                               .result_type = result.integer ? QUERN_I64 : which->dtype,
                               .serial = ++serial};
    bool ok = quern_variable_count(op) <= BENCH_VARIABLES && problem->columns <= BENCH_COLUMNS;
    for (size_t k = 0; ok && k < quern_variable_count(op); k++) {
        problem->count = k + 1;
        ok = array_create(problem, k, quern_variable(op, k));
    }
    if (!ok) bench_problem_destroy(problem);
    return ok;
}

void bench_problem_destroy(bench_problem *problem)
{
    for (size_t k = 0; k < problem->count; k++) {
        free(problem->arrays[k].exact);
        free(problem->arrays[k].data);
    }
    *problem = (bench_problem){0};
}

/* ---- the check -------------------------------------------------------------------------------------------------- */

static double *find_all(bench_finder *find, int64_t count, const bench_problem *problem)
{
    double *values = calloc((size_t)count, sizeof *values);
    quern_context *context = NULL;
    if (!values || quern_context_create(&context, NULL) || find(values, context, problem)) {
        fprintf(stderr, "quern-bench: %s\n", values ? quern_last_error_text() : "out of memory");
        free(values);
        values = NULL;
    }
    quern_context_destroy(&context);
    return values;
}

double bench_found(const bench_problem *problem, int64_t k, int64_t count, bench_finder *find)
{
    static uint64_t of; /* the serial of the problem whose values they are */
    static double *values;
    if (of != problem->serial) {
        free(values);
        values = find_all(find, count, problem);
        of = problem->serial;
    }
    return values ? values[k] : NAN;
}

/* The k-th of the rows that are checked: spread over all. */
static int64_t checked_row(const bench_problem *problem, int64_t k)
{
    return problem->m <= CHECKED ? k : k * (problem->m - 1) / (CHECKED - 1);
}

static double result_entry(const bench_problem *problem, const void *result, int64_t k)
{
    const float *single = result;
    const double *twice = result;
    return problem->result_type == QUERN_F32 ? (double)single[k] : twice[k];
}

static double values_error(const bench_problem *problem, const void *result)
{
    double error = 0, largest = 0, exact[BENCH_COLUMNS];
    for (int64_t row = 0; row < CHECKED && row < problem->m; row++) {
        const int64_t i = checked_row(problem, row);
        problem->which->row(problem, i, exact);
        for (int64_t c = 0; c < problem->columns; c++) {
            const double off = fabs(result_entry(problem, result, i * problem->columns + c) - exact[c]);
            error = fmax(error, isnan(off) ? INFINITY : off);
            largest = fmax(largest, fabs(exact[c]));
        }
    }
    return largest > 0 ? error / largest : error;
}

/* The smallest of the terms that are not marked yet; ties go to the lowest index. -1: none left. */
static int64_t smallest_take(const double *terms, bool *taken, int64_t n)
{
    int64_t best = -1;
    for (int64_t j = 0; j < n; j++)
        if (!taken[j] && (best < 0 || terms[j] < terms[best])) best = j;
    if (best >= 0) taken[best] = true;
    return best;
}

/* One row of indices against the terms; `taken` and `seen` are room for n marks each. */
static double selection_error(const double *terms, const int64_t *chosen, const bench_problem *problem, bool *taken,
                              bool *seen)
{
    double error = 0;
    memset(taken, 0, (size_t)problem->n * sizeof *taken);
    memset(seen, 0, (size_t)problem->n * sizeof *seen);
    for (int64_t c = 0; c < problem->columns; c++) {
        const int64_t wanted = smallest_take(terms, taken, problem->n), found = chosen[c];
        if (wanted < 0) {
            if (found != -1) return INFINITY;
            continue;
        }
        if (found < 0 || found >= problem->n || seen[found]) return INFINITY;
        seen[found] = true;
        if (found != wanted && terms[found] != terms[wanted])
            error = fmax(error, fabs(terms[found] - terms[wanted]) / fabs(terms[wanted]));
    }
    return error;
}

static double indices_error(const bench_problem *problem, const int64_t *result)
{
    double *terms = calloc((size_t)problem->n, sizeof *terms), error = 0;
    bool *taken = calloc((size_t)problem->n, sizeof *taken), *seen = calloc((size_t)problem->n, sizeof *seen);
    if (!terms || !taken || !seen) error = INFINITY;
    for (int64_t row = 0; row < CHECKED && row < problem->m && error < INFINITY; row++) {
        const int64_t i = checked_row(problem, row);
        problem->which->row(problem, i, terms);
        error = fmax(error, selection_error(terms, result + i * problem->columns, problem, taken, seen));
    }
    free(terms);
    free(taken);
    free(seen);
    return error;
}

double bench_error(const bench_problem *problem, const void *result)
{
    return problem->result_type == QUERN_I64 ? indices_error(problem, result) : values_error(problem, result);
}
