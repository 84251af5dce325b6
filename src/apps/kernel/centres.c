/*
 * centres.c: a few of many points that stand for all: inducing points, Nystrom centres. One of each part of a k-d tree (Bentley
 * 1975) is spread like the points, without the gaps and clumps of a draw at random, and the same in every run.
 */
#include <stdlib.h>
#include <string.h>

#include "apps/kernel/kernel.h"
#include "apps/views/views.h"

static int compare(const void *a, const void *b)
{
    int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;
    return (one > other) - (one < other);
}

/* Numbers of M of N points, in ascending order. */
static quern_status choose(int64_t *out, const double *points, int64_t N, int64_t D, int64_t M)
{
    int64_t *order = malloc((size_t)N * sizeof *order);
    quern_status status = order ? QUERN_OK : q_fail_memory((size_t)N * sizeof *order);
    if (!status) status = q_kd_order(order, points, N, D, N / M, N / M);
    for (int64_t m = 0; m < M && !status; m++) out[m] = order[(int64_t)(((double)m + 0.5) * (double)N / (double)M)];
    if (!status) qsort(out, (size_t)M, sizeof *out, compare);
    free(order);
    return status;
}

static quern_status take_given(double **z, int64_t *M, const q_kernel *kernel, const char *name,
                               const quern_view *given)
{
    Q_TRY(q_extent_check(name, given, -1, kernel->D));
    if (!given->rows) return q_fail(QUERN_SHAPE, "%s has no rows", name);
    Q_TRY(q_floats_check(name, given, -1, kernel->D));
    *M = given->rows;
    return q_floats_read(z, kernel->context, name, given);
}

quern_status q_kernel_centres(double **z, int64_t *M, const q_kernel *kernel, const char *name, const quern_view *given,
                              const double *points, int64_t N, int64_t count)
{
    if (q_view_given(given)) return take_given(z, M, kernel, name, given);
    int64_t D = kernel->D;
    *M = count < N ? count : N;
    int64_t *which = malloc((size_t)*M * sizeof *which);
    *z = malloc((size_t)(*M * D) * sizeof **z);
    quern_status status = which && *z ? QUERN_OK : q_fail_memory((size_t)(*M * D) * sizeof **z);
    if (!status) status = choose(which, points, N, D, *M);
    for (int64_t m = 0; m < *M && !status; m++) memcpy(*z + m * D, points + which[m] * D, (size_t)D * sizeof **z);
    free(which);
    return status;
}
