/*
 * blocks.c: block Jacobi: the entries of the matrix whose row and column are in one cluster, each block factored by Cholesky. For kernels
 * that are short beside the extent of the points, where a low rank says little, and clusters are as wide as the kernel.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/solve/linear.h"

static const q_preconditioner_kind blocks_kind;

static int64_t size_of(const quern_clusters *c, int64_t k)
{
    return c->first[k + 1] - c->first[k];
}

/* Those that are given, or of the operator's points, or of rows that follow each other. */
static quern_status find_clusters(q_preconditioner *p, const quern_linear *linear, const quern_clusters *given,
                                  int64_t rows)
{
    int64_t dim = 1;
    double *points = NULL;
    p->clusters = given;
    if (given && given->rows != p->rows)
        return q_fail(QUERN_SHAPE, "the clusters are of %lld points, and the operator has %lld rows",
                      (long long)given->rows, (long long)p->rows);
    if (given) return QUERN_OK;
    Q_TRY(q_linear_points(linear, &points, &dim));
    if (!points) {
        dim = 1, points = malloc((size_t)p->rows * sizeof *points + 1);
        if (!points) return q_fail_memory((size_t)p->rows * sizeof *points);
        for (int64_t i = 0; i < p->rows; i++) points[i] = (double)i;
    }
    quern_status status = quern_clusters_kd(&p->made, quern_f64(points, p->rows, dim), rows);
    free(points);
    p->clusters = p->made;
    return status;
}

static quern_status factor_blocks(q_preconditioner *p)
{
    double *block = p->L;
    for (int64_t k = 0; k < p->clusters->count; k++) {
        int64_t n = size_of(p->clusters, k);
        if (!q_small_cholesky(block, n)) {
            q_fail(QUERN_NUMERIC, "the block of the matrix of cluster %lld, %lld rows, is not positive definite",
                   (long long)k, (long long)n);
            q_fail_next_step(
                "check the formula and its arrays for points that are there twice or not finite, or add a shift");
            return QUERN_NUMERIC;
        }
        block += n * n;
    }
    p->kind = &blocks_kind;
    return QUERN_OK;
}

static quern_status make(q_preconditioner *p, const quern_linear *linear, const quern_clusters *clusters, int64_t rows)
{
    size_t numbers = 0;
    if (!q_linear_has_entries(linear)) {
        q_fail(QUERN_UNSUPPORTED,
               "entries of this operator are products with all of it, which blocks would take too many of");
        q_fail_next_step("take QUERN_PRECONDITIONER_NYSTROM");
        return QUERN_UNSUPPORTED;
    }
    Q_TRY(find_clusters(p, linear, clusters, rows));
    for (int64_t k = 0; k < p->clusters->count; k++)
        numbers += (size_t)size_of(p->clusters, k) * (size_t)size_of(p->clusters, k);
    p->L = malloc(numbers * sizeof *p->L + 1);
    if (!p->L) return q_fail_memory(numbers * sizeof *p->L);
    Q_TRY(q_linear_blocks(linear, q_linear_dtype(linear), p->clusters, p->L));
    return factor_blocks(p);
}

quern_status q_blocks_make(q_preconditioner *out, const quern_linear *linear, const quern_clusters *clusters,
                           int64_t rows)
{
    *out = (q_preconditioner){.rows = quern_linear_rows(linear)};
    quern_status status = make(out, linear, clusters, rows);
    if (status) q_preconditioner_free(out);
    return status;
}

/* x = (L L^T)^-1 x for n x R numbers. */
static void solve_block(const double *L, int64_t n, int64_t R, double *x)
{
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < i; k++)
            for (int64_t r = 0; r < R; r++) x[i * R + r] -= L[i * n + k] * x[k * R + r];
        for (int64_t r = 0; r < R; r++) x[i * R + r] /= L[i * n + i];
    }
    for (int64_t i = n - 1; i >= 0; i--) {
        for (int64_t r = 0; r < R; r++) x[i * R + r] /= L[i * n + i];
        for (int64_t k = 0; k < i; k++)
            for (int64_t r = 0; r < R; r++) x[k * R + r] -= L[i * n + k] * x[i * R + r];
    }
}

static quern_status blocks_solve(const q_preconditioner *p, int64_t R, const double *in, double *out)
{
    const quern_clusters *c = p->clusters;
    const double *L = p->L;
    int64_t most = 0;
    for (int64_t k = 0; k < c->count; k++) most = size_of(c, k) > most ? size_of(c, k) : most;
    double *x = malloc((size_t)(most * R) * sizeof *x + 1);
    if (!x) return q_fail_memory((size_t)(most * R) * sizeof *x);
    for (int64_t k = 0; k < c->count; k++) {
        int64_t n = size_of(c, k);
        const int64_t *row = c->order + c->first[k];
        for (int64_t i = 0; i < n; i++) memcpy(x + i * R, in + row[i] * R, (size_t)R * sizeof *x);
        solve_block(L, n, R, x);
        for (int64_t i = 0; i < n; i++) memcpy(out + row[i] * R, x + i * R, (size_t)R * sizeof *x);
        L += n * n;
    }
    free(x);
    return QUERN_OK;
}

static double blocks_log_determinant(const q_preconditioner *p)
{
    const double *L = p->L;
    double sum = 0;
    for (int64_t k = 0; k < p->clusters->count; k++) {
        int64_t n = size_of(p->clusters, k);
        for (int64_t i = 0; i < n; i++) sum += 2 * log(L[i * n + i]);
        L += n * n;
    }
    return sum;
}

/* L z of each block. */
static void blocks_sample(const q_preconditioner *p, int64_t R, uint64_t *state, double *out)
{
    const double *L = p->L;
    memset(out, 0, (size_t)(p->rows * R) * sizeof *out);
    for (int64_t k = 0; k < p->clusters->count; k++) {
        int64_t n = size_of(p->clusters, k);
        const int64_t *row = p->clusters->order + p->clusters->first[k];
        for (int64_t j = 0; j < n; j++)
            for (int64_t r = 0; r < R; r++) {
                double factor = q_random_normal(state);
                for (int64_t i = j; i < n; i++) out[row[i] * R + r] += factor * L[i * n + j];
            }
        L += n * n;
    }
}

static const q_preconditioner_kind blocks_kind = {blocks_solve, blocks_log_determinant, blocks_sample};
