/*
 * tsne.c: the cases `tsne` and `umap`: pictures of points of 50 dimensions. The result is the divergence or loss that is left, once
 * for each row; it is checked against that of a longer run of quern's own.
 */
#include <math.h>
#include <quern/tsne.h>
#include <quern/umap.h>
#include <stdio.h>
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

/* What is left after so many steps, which is found once for a problem. */
static void find(left_after *after, const bench_problem *problem, int iterations, double *result)
{
    static const bench_problem *known;
    static double left;
    if (known != problem) {
        quern_context *context = NULL;
        if (quern_context_create(&context, NULL) || after(&left, context, problem, iterations))
            fprintf(stderr, "quern-bench: %s\n", quern_last_error_text());
        quern_context_destroy(&context);
        known = problem;
    }
    *result = left;
}

quern_status bench_call_tsne(quern_context *context, const bench_problem *problem, void *result)
{
    return call(divergence_after, context, problem, 1000, result);
}

void bench_row_tsne(const bench_problem *problem, int64_t i, double *result)
{
    (void)i;
    find(divergence_after, problem, 2000, result);
}

quern_status bench_call_umap(quern_context *context, const bench_problem *problem, void *result)
{
    return call(loss_after, context, problem, 500, result);
}

void bench_row_umap(const bench_problem *problem, int64_t i, double *result)
{
    (void)i;
    find(loss_after, problem, 1000, result);
}
