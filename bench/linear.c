/*
 * linear.c: the cases `solve` and `eigs`: systems and eigenvalues of a Gaussian kernel of the points x. Results are checked against those
 * of quern's own to a tolerance that is far smaller; that the peer's are the same is what counts.
 */
#include <math.h>
#include <quern/spectra.h>

#include "cases.h"

enum { COUNT = 10 }; /* eigenvalues */

static quern_status make(quern_linear **out, quern_context *context, const bench_problem *problem, const char *formula,
                         double shift)
{
    const bench_array *x = bench_array_find(problem, "x");
    const quern_view points = quern_view_of(x->data, problem->which->dtype, problem->m, 3);
    quern_linear_options options = {.size = sizeof options, .shift = shift};
    return quern_linear_create(out, context, formula, QUERN_ARGS({"x", points}, {"y", points}), &options);
}

static quern_status solve(quern_context *context, const bench_problem *problem, double tolerance, quern_view result)
{
    const bench_array *b = bench_array_find(problem, "b");
    quern_linear *K = NULL;
    quern_solve_options options = {.size = sizeof options, .tolerance = tolerance};
    quern_status status = make(&K, context, problem, "x=Vi(3); y=Vj(3); Sum_j(Exp(-10*SqDist(x,y))*b)", 0.1);
    const quern_view right = quern_view_of(b->data, problem->which->dtype, problem->m, problem->columns);
    if (!status) status = quern_solve(K, right, result, &options, NULL);
    quern_linear_destroy(&K);
    return status;
}

quern_status bench_call_solve(quern_context *context, const bench_problem *problem, void *result)
{
    return solve(context, problem, 1e-6, quern_view_of(result, problem->result_type, problem->m, problem->columns));
}

static quern_status find(quern_context *context, const bench_problem *problem, double tolerance, double *values)
{
    quern_linear *K = NULL;
    quern_eigen_options options = {.size = sizeof options, .tolerance = tolerance};
    quern_status status = make(&K, context, problem, "x=Vi(3); y=Vj(3); Sum_j(Exp(-4*SqDist(x,y))*b)", 0);
    if (!status) status = quern_eigenpairs(K, quern_f64(values, COUNT, 1), (quern_view){0}, &options, NULL);
    quern_linear_destroy(&K);
    return status;
}

/* The eigenvalues again and again, a row each. */
quern_status bench_call_eigs(quern_context *context, const bench_problem *problem, void *result)
{
    double values[COUNT] = {0};
    const quern_status status = find(context, problem, 1e-10, values);
    for (int64_t i = 0; i < problem->m; i++) ((double *)result)[i] = values[i % COUNT];
    return status;
}

static quern_status find_solution(double *solution, quern_context *context, const bench_problem *problem)
{
    return solve(context, problem, 1e-10, quern_f64(solution, problem->m, problem->columns));
}

void bench_row_solve(const bench_problem *problem, int64_t i, double *result)
{
    const int64_t columns = problem->columns;
    for (int64_t k = 0; k < columns; k++)
        result[k] = bench_found(problem, i * columns + k, problem->m * columns, find_solution);
}

static quern_status find_eigenvalues(double *values, quern_context *context, const bench_problem *problem)
{
    return find(context, problem, 1e-13, values);
}

void bench_row_eigs(const bench_problem *problem, int64_t i, double *result)
{
    *result = bench_found(problem, i % COUNT, COUNT, find_eigenvalues);
}
