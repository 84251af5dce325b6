/*
 * tsne.c: the cases `tsne` and `umap`: pictures of points of 50 dimensions. The result is the divergence or loss that is left, once
 * for each row; it is checked against that of a longer run of quern's own.
 */
#include <math.h>
#include <quern/tsne.h>
#include <quern/umap.h>
#include <stdlib.h>

#include "cases.h"

enum { DIM = 50, GROUPS = 20 };

/* Groups of points around places that are some standard deviations apart. */
void bench_fill_groups(double *values, int64_t count, uint64_t seed)
{
    double middle[GROUPS * DIM];
    bench_fill_normal(middle, GROUPS * DIM, 77);
    bench_fill_normal(values, count, seed);
    for (int64_t k = 0; k < count; k++) values[k] += middle[k / DIM % GROUPS * DIM + k % DIM];
}

static quern_status divergence_after(double *out, quern_context *context, const bench_problem *problem, int iterations)
{
    const bench_array *x = bench_array_find(problem, "x");
    quern_tsne_options options = {.size = sizeof options, .iterations = iterations};
    quern_tsne_report report = {.size = sizeof report};
    float *y = malloc((size_t)(2 * problem->m) * sizeof *y);
    const quern_status status =
        quern_tsne(context, quern_f32(x->data, problem->m, DIM), quern_f32(y, problem->m, 2), &options, &report);
    *out = report.divergence;
    free(y);
    return status;
}

static quern_status loss_after(double *out, quern_context *context, const bench_problem *problem, int iterations)
{
    const bench_array *x = bench_array_find(problem, "x");
    quern_umap_options options = {.size = sizeof options, .iterations = iterations};
    quern_umap_report report = {.size = sizeof report};
    float *y = malloc((size_t)(2 * problem->m) * sizeof *y);
    const quern_status status =
        quern_umap(context, quern_f32(x->data, problem->m, DIM), quern_f32(y, problem->m, 2), &options, &report);
    *out = report.loss;
    free(y);
    return status;
}

typedef quern_status left_after(double *out, quern_context *context, const bench_problem *problem, int iterations);

static quern_status call(left_after *after, quern_context *context, const bench_problem *problem, int iterations,
                         void *result)
{
    double left = NAN;
    const quern_status status = after(&left, context, problem, iterations);
    for (int64_t i = 0; i < problem->m; i++) ((float *)result)[i] = (float)left;
    return status;
}

quern_status bench_call_tsne(quern_context *context, const bench_problem *problem, void *result)
{
    return call(divergence_after, context, problem, 1000, result);
}

static quern_status find_divergence(double *left, quern_context *context, const bench_problem *problem)
{
    return divergence_after(left, context, problem, 2000);
}

void bench_row_tsne(const bench_problem *problem, int64_t i, double *result)
{
    (void)i;
    *result = bench_found(problem, 0, 1, find_divergence);
}

quern_status bench_call_umap(quern_context *context, const bench_problem *problem, void *result)
{
    return call(loss_after, context, problem, 500, result);
}

static quern_status find_loss(double *left, quern_context *context, const bench_problem *problem)
{
    return loss_after(left, context, problem, 1000);
}

void bench_row_umap(const bench_problem *problem, int64_t i, double *result)
{
    (void)i;
    *result = bench_found(problem, 0, 1, find_loss);
}
