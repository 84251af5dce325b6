/*
 * dense.c: the exact method: the matrix is stored, its lower triangle, and factored. Blocks of rows come from the device by
 * quern/pairs.h. Derivatives are sums over all entries, 1/2 (w w^T - K^-1) dK, with K^-1 from the factor.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/gp/gp.h"

enum { ROWS = 64 };

static quern_status tell(const quern_gp *gp, const char *what, int64_t done)
{
    const quern_gp_options *o = &gp->options;
    if (!o->progress || !o->progress(o->progress_user, what, done, 0)) return QUERN_OK;
    return q_fail(QUERN_CANCELLED, "stopped by the callback at row %lld of %lld", (long long)done, (long long)gp->N);
}

// ---- the matrix ----

static quern_status read_matrix(quern_gp *gp)
{
    quern_arg room[Q_KERNEL_ARGS];
    quern_args args = q_kernel_args(&gp->kernel, room, gp->points, gp->points);
    int64_t N = gp->N;
    double *block = malloc((size_t)(ROWS * N) * sizeof *block);
    quern_status status = block ? QUERN_OK : q_fail_memory((size_t)(ROWS * N) * sizeof *block);
    for (int64_t i = 0; i < N && !status; i += ROWS) {
        int64_t rows = N - i < ROWS ? N - i : ROWS, columns = i + rows;
        status = q_kernel_block(&gp->kernel, gp->kernel.entries, args, (quern_span){i, i + rows},
                                (quern_span){0, columns}, block);
        if (!status && !i) status = q_kernel_check_symmetry(block, rows, rows);
        for (int64_t r = 0; r < rows && !status; r++) {
            double *row = gp->factor + (i + r) * N;
            memcpy(row, block + r * columns, (size_t)columns * sizeof *row);
            row[i + r] += *q_gp_noise(gp)->values;
        }
        if (!status) status = tell(gp, "matrix", i + rows);
    }
    free(block);
    return status;
}

static quern_status fail_pivot(const quern_gp *gp, int64_t pivot)
{
    int64_t twin = -1;
    for (int64_t i = 0; i < pivot && twin < 0; i++)
        if (!memcmp(gp->x + i * gp->D, gp->x + pivot * gp->D, (size_t)gp->D * sizeof *gp->x)) twin = i;
    double noise = *q_gp_noise(gp)->values;
    if (twin >= 0)
        q_fail(QUERN_NUMERIC, "the matrix is singular: points %lld and %lld are the same, and noise is %g",
               (long long)twin, (long long)pivot, noise);
    else
        q_fail(QUERN_NUMERIC,
               "the matrix is not positive definite, or not within rounding, at point %lld, with noise %g",
               (long long)pivot, noise);
    q_fail_next_step(twin >= 0
                         ? "leave out one of them, or give a noise above 0"
                         : "give a larger noise or a shorter length, or check that the kernel is positive definite");
    return QUERN_NUMERIC;
}

static quern_status factor(quern_gp *gp)
{
    size_t count;
    if (!q_mul_size((size_t)gp->N, (size_t)gp->N, &count) || count > SIZE_MAX / sizeof(double))
        return q_fail_memory(SIZE_MAX);
    gp->factor = malloc(count * sizeof *gp->factor);
    if (!gp->factor) {
        q_fail_memory(count * sizeof *gp->factor);
        q_fail_next_step("choose the iterative method, which stores no matrix");
        return QUERN_MEMORY;
    }
    Q_TRY(read_matrix(gp));
    int64_t pivot;
    q_cholesky(gp->factor, gp->N, &pivot);
    return pivot < 0 ? QUERN_OK : fail_pivot(gp, pivot);
}

static double *solve(const quern_gp *gp, const double *b)
{
    double *x = malloc((size_t)gp->N * sizeof *x);
    if (!x) return NULL;
    for (int64_t i = 0; i < gp->N; i++) x[i] = b ? b[i] : 1;
    q_cholesky_forward(gp->factor, gp->N, x, 1, 0);
    q_cholesky_backward(gp->factor, gp->N, x);
    return x;
}

static quern_status dense_solve(quern_gp *gp, double **solved)
{
    bool constant = gp->options.mean == QUERN_GP_CONSTANT;
    Q_TRY(factor(gp));
    *solved = solve(gp, gp->v);
    gp->ones = constant ? solve(gp, NULL) : NULL;
    return *solved && (gp->ones || !constant) ? QUERN_OK : q_fail_memory((size_t)gp->N * sizeof **solved);
}

static quern_status dense_determinant(quern_gp *gp, double *value, double *error)
{
    *value = *error = 0;
    for (int64_t i = 0; i < gp->N; i++) *value += 2 * log(gp->factor[i * gp->N + i]);
    return QUERN_OK;
}

// ---- derivatives ----

/* Rows of the inverse of the factor's transpose, from which K^-1 is products of rows: row i begins at column i. */
static quern_status invert(const quern_gp *gp, double **out)
{
    int64_t N = gp->N;
    double *x = *out = calloc((size_t)N * (size_t)N, sizeof *x);
    if (!x) return q_fail_memory((size_t)N * (size_t)N * sizeof *x);
    for (int64_t i = 0; i < N; i++) x[i * N + i] = 1;
    for (int64_t i = 0; i < N; i += ROWS) {
        int64_t rows = N - i < ROWS ? N - i : ROWS;
        q_cholesky_forward(gp->factor, N, x + i * N, rows, i);
        Q_TRY(tell(gp, "inverse", i + rows));
    }
    return QUERN_OK;
}

/* Adds what a block of rows gives; `part` is 1/2 (w w^T - K^-1), its lower triangle. */
static void add_block(const quern_gp *gp, const double *slopes, const double *part, int64_t first, int64_t rows,
                      double *out)
{
    size_t kernel = gp->kernel.numbers - 1;
    int64_t columns = first + rows;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j <= first + r; j++) {
            double factor = part[r * gp->N + j] * (j < first + r ? 2 : 1);
            const double *slope = slopes + (size_t)(r * columns + j) * kernel;
            for (size_t k = 0; k < kernel; k++) out[k] += factor * slope[k];
        }
}

static quern_status add_slopes(quern_gp *gp, const double *inverse, double *room, double *out)
{
    quern_arg args_room[Q_KERNEL_ARGS];
    quern_args args = q_kernel_args(&gp->kernel, args_room, gp->points, gp->points);
    int64_t N = gp->N;
    double *part = room, *slopes = room + ROWS * N;
    for (int64_t i = 0; i < N; i += ROWS) {
        int64_t rows = N - i < ROWS ? N - i : ROWS;
        for (int64_t r = 0; r < rows; r++)
            for (int64_t j = 0; j < i + rows; j++) part[r * N + j] = gp->weights[i + r] * gp->weights[j];
        q_dense_rows left = {(double *)inverse + i * N + i, rows, N}, right = {(double *)inverse + i, i + rows, N};
        q_rows_subtract_products((q_dense_rows){part, rows, N}, left, right, N - i);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t j = 0; j < i + rows; j++) part[r * N + j] *= 0.5;
        if (gp->kernel.slopes) {
            Q_TRY(q_kernel_block(&gp->kernel, gp->kernel.slopes, args, (quern_span){i, i + rows},
                                 (quern_span){0, i + rows}, slopes));
            add_block(gp, slopes, part, i, rows, out);
        }
        for (int64_t r = 0; r < rows; r++) out[gp->kernel.numbers - 1] += part[r * N + i + r];
        Q_TRY(tell(gp, "derivatives", i + rows));
    }
    return QUERN_OK;
}

static quern_status dense_gradient(quern_gp *gp, double *out)
{
    double *inverse = NULL, *room = malloc((size_t)(ROWS * gp->N) * (gp->kernel.numbers + 1) * sizeof *room);
    quern_status status = room ? q_kernel_slopes(&gp->kernel)
                               : q_fail_memory((size_t)(ROWS * gp->N) * (gp->kernel.numbers + 1) * sizeof *room);
    if (!status) status = invert(gp, &inverse);
    if (!status) status = add_slopes(gp, inverse, room, out);
    free(inverse);
    free(room);
    return status;
}

// ---- variances ----

static quern_status dense_explained(quern_gp *gp, quern_view points, double *out, double *sums)
{
    quern_arg room[Q_KERNEL_ARGS];
    int64_t N = gp->N, M = points.rows;
    double *block = malloc((size_t)(ROWS * N) * sizeof *block);
    quern_args args = q_kernel_args(&gp->kernel, room, points, gp->points);
    quern_status status = block ? QUERN_OK : q_fail_memory((size_t)(ROWS * N) * sizeof *block);
    for (int64_t i = 0; i < M && !status; i += ROWS) {
        int64_t rows = M - i < ROWS ? M - i : ROWS;
        status =
            q_kernel_block(&gp->kernel, gp->kernel.entries, args, (quern_span){i, i + rows}, (quern_span){0, N}, block);
        for (int64_t r = 0; r < rows && gp->ones && !status; r++) sums[i + r] = q_dot(block + r * N, gp->ones, N);
        if (!status) q_cholesky_forward(gp->factor, N, block, rows, 0);
        for (int64_t r = 0; r < rows && !status; r++) out[i + r] = q_dot(block + r * N, block + r * N, N);
        if (!status) status = tell(gp, "variances", i + rows);
    }
    free(block);
    return status;
}

const q_gp_way q_gp_dense = {dense_solve, dense_determinant, dense_gradient, dense_explained};
