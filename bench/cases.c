/*
 * cases.c: the tables of cases.h and their functions. Data are uniform in [0, 1) from splitmix64 (Steele, Lea, Flood,
 * OOPSLA 2014), one stream per variable, rounded to the element type of the case, so that exact and measured values see
 * the same numbers. The float64 rows follow the formulas literally and are slow; only a few are evaluated.
 */
#include "cases.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "limit.h"

/* ---- data ------------------------------------------------------------------------------------------------------- */

static void fill_uniform(double *values, int64_t count, uint64_t seed)
{
    uint64_t state = seed * 0x632be59bd9b4e019u;
    for (int64_t k = 0; k < count; k++) {
        uint64_t z = (state += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        values[k] = (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
    }
}

static const bench_array *array_find(const bench_problem *problem, const char *name)
{
    for (size_t k = 0; k < problem->count; k++)
        if (!strcmp(problem->arrays[k].what.name, name)) return &problem->arrays[k];
    return NULL;
}

/* Row i of a variable, in float64. The names are those of the case's own formula, so they exist. */
static const double *exact_row(const bench_problem *problem, const char *name, int64_t i)
{
    const bench_array *array = array_find(problem, name);
    return array->exact + i * array->what.dim;
}

/* ---- rows in float64 --------------------------------------------------------------------------------------------- */

static double distance_squared(const double *x, const double *y, int64_t dim)
{
    double sum = 0;
    for (int64_t d = 0; d < dim; d++) sum += (x[d] - y[d]) * (x[d] - y[d]);
    return sum;
}

static void row_gaussian(const bench_problem *problem, int64_t i, double *result)
{
    const double *x = exact_row(problem, "x", i), *y = exact_row(problem, "y", 0), *b = exact_row(problem, "b", 0);
    double sum = 0;
    for (int64_t j = 0; j < problem->n; j++) sum += exp(-distance_squared(x, y + 3 * j, 3)) * b[j];
    *result = sum;
}

static void row_gaussian_gradient(const bench_problem *problem, int64_t i, double *result)
{
    const double *x = exact_row(problem, "x", i), *y = exact_row(problem, "y", 0), *b = exact_row(problem, "b", 0);
    const double e = *exact_row(problem, "e", i);
    double sum[3] = {0};
    for (int64_t j = 0; j < problem->n; j++) {
        const double k = exp(-distance_squared(x, y + 3 * j, 3)) * b[j];
        for (int d = 0; d < 3; d++) sum[d] -= 2 * (x[d] - y[3 * j + d]) * k;
    }
    for (int d = 0; d < 3; d++) result[d] = sum[d] * e;
}

/* Exponents lie between -3 and 1 with these data: no shift is needed. */
static void row_logsumexp(const bench_problem *problem, int64_t i, double *result)
{
    const double *x = exact_row(problem, "x", i), *y = exact_row(problem, "y", 0), *b = exact_row(problem, "b", 0);
    double sum = 0;
    for (int64_t j = 0; j < problem->n; j++) sum += exp(b[j] - distance_squared(x, y + 3 * j, 3));
    *result = log(sum);
}

/* ---- cases ------------------------------------------------------------------------------------------------------ */

/* clang-format off */
const bench_case bench_cases[] = {
    {"g3", "Gaussian sum, D = 3, float32",
     "x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)",
     QUERN_F32, 20000, 1e-5, fill_uniform, row_gaussian},
    {"g3-grad", "its gradient in x, float32",
     "x=Vi(3); y=Vj(3); b=Vj(1); e=Vi(1); Grad(Sum_j(Exp(-SqDist(x,y))*b), x, e)",
     QUERN_F32, 20000, 1e-5, fill_uniform, row_gaussian_gradient},
    {"g3-lse", "log-sum-exp, D = 3, float32",
     "x=Vi(3); y=Vj(3); b=Vj(1); LogSumExp_j(b-SqDist(x,y))",
     QUERN_F32, 20000, 1e-5, fill_uniform, row_logsumexp},
    {"g3-f64", "Gaussian sum, D = 3, float64",
     "x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)",
     QUERN_F64, 20000, 1e-13, fill_uniform, row_gaussian},
};
/* clang-format on */
const size_t bench_case_count = sizeof bench_cases / sizeof bench_cases[0];

const bench_case *bench_case_find(const char *name)
{
    for (size_t k = 0; k < bench_case_count; k++)
        if (!strcmp(bench_cases[k].name, name)) return &bench_cases[k];
    return NULL;
}

/* ---- peers ------------------------------------------------------------------------------------------------------ */

static bool limit_run(const bench_problem *problem, void *result)
{
    const float *x = array_find(problem, "x")->data, *y = array_find(problem, "y")->data;
    return limit_gaussian(result, x, y, array_find(problem, "b")->data, problem->m, problem->n);
}

const bench_peer bench_peers[] = {
    {"limit", "g3", limit_kind, limit_run},
};
const size_t bench_peer_count = sizeof bench_peers / sizeof bench_peers[0];

const bench_peer *bench_peer_find(const char *name, const char *on)
{
    for (size_t k = 0; k < bench_peer_count; k++)
        if ((!name || !strcmp(bench_peers[k].name, name)) && !strcmp(bench_peers[k].on, on)) return &bench_peers[k];
    return NULL;
}

bool bench_peer_known(const char *name)
{
    for (size_t k = 0; k < bench_peer_count; k++)
        if (!strcmp(bench_peers[k].name, name)) return true;
    return false;
}

/* ---- problems --------------------------------------------------------------------------------------------------- */

size_t bench_element_size(quern_dtype dtype) { return dtype == QUERN_F32 ? sizeof(float) : sizeof(double); }

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
    problem->args[k] = (quern_arg){what.name, {array->data, array->rows, what.dim, which->dtype, 0}};
    return true;
}

bool bench_problem_create(bench_problem *problem, const bench_case *which, const quern_operator *op, int64_t n)
{
    *problem = (bench_problem){.which = which, .m = n, .n = n, .columns = quern_result(op, 0).dim};
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

static double result_entry(const bench_problem *problem, const void *result, int64_t k)
{
    const float *single = result;
    const double *twice = result;
    return problem->which->dtype == QUERN_F32 ? (double)single[k] : twice[k];
}

double bench_error(const bench_problem *problem, const void *result)
{
    enum { CHECKED = 20 };
    double error = 0, largest = 0, exact[BENCH_COLUMNS];
    for (int64_t row = 0; row < CHECKED && row < problem->m; row++) {
        const int64_t i = problem->m <= CHECKED ? row : row * (problem->m - 1) / (CHECKED - 1);
        problem->which->row(problem, i, exact);
        for (int64_t c = 0; c < problem->columns; c++) {
            const double off = fabs(result_entry(problem, result, i * problem->columns + c) - exact[c]);
            error = fmax(error, isnan(off) ? INFINITY : off);
            largest = fmax(largest, fabs(exact[c]));
        }
    }
    return largest > 0 ? error / largest : error;
}
