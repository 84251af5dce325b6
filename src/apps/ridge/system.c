/*
 * system.c: the equations of a fit (Rudi, Carratino and Rosasco 2017). Products with C are two runs over all points and centres,
 * of which nothing is stored; all else is M x M. Vectors are M x R numbers, a row for each centre; triangular systems take them
 * turned, a row for each column. Conjugate gradients end where the energy, of which the minimum is the solution, hardly falls:
 * residuals would count directions that no prediction depends on, and in which rounding is all there is.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/ridge/ridge.h"

enum { ROWS = 64 };
/* added to the diagonal of the centres' kernel, in relation to its mean */
static const double double_jitter = 1e-10, single_jitter = 1e-6, last_jitter = 1e-3;

static double *matrix(int64_t M)
{
    size_t count;
    bool fits = q_mul_size((size_t)M, (size_t)M, &count) && count <= SIZE_MAX / sizeof(double);
    double *a = fits ? calloc(count + 1, sizeof *a) : NULL;
    if (!a) q_fail_memory(fits ? count * sizeof *a : SIZE_MAX);
    return a;
}

static void turn(const double *in, int64_t rows, int64_t columns, double *out)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) out[j * rows + i] = in[i * columns + j];
}

quern_status q_ridge_tell(const quern_ridge *ridge, const char *what, int64_t step, double number)
{
    const quern_ridge_options *o = &ridge->options;
    if (!o->progress || !o->progress(o->progress_user, what, step, number)) return QUERN_OK;
    return q_fail(QUERN_CANCELLED, "stopped by the callback at the %s, step %lld", what, (long long)step);
}

// ---- factors ----

/* The kernel of the centres, in float64 where the device has it. */
static quern_status read_centres(const quern_ridge *ridge, double *out)
{
    quern_arg room[Q_KERNEL_ARGS];
    q_kernel exact = ridge->kernel;
    quern_view centres = ridge->centres;
    int64_t M = ridge->M;
    if (quern_context_device(ridge->context)->f64) {
        exact.dtype = QUERN_F64;
        centres = quern_f64(ridge->z, M, ridge->D);
    }
    quern_args args = q_kernel_args(&exact, room, centres, centres);
    Q_TRY(q_kernel_block(&exact, exact.entries, args, (quern_span){0, M}, (quern_span){0, M}, out));
    return q_kernel_check_symmetry(out, M < ROWS ? M : ROWS, M);
}

quern_status q_ridge_factor(q_ridge_fit *fit)
{
    const quern_ridge *ridge = fit->ridge;
    int64_t M = ridge->M, pivot = 0;
    fit->L = matrix(M), fit->U = matrix(M), fit->E = matrix(M);
    if (!fit->L || !fit->U || !fit->E) return QUERN_MEMORY;
    Q_TRY(read_centres(ridge, fit->U));
    double jitter = ridge->kernel.dtype == QUERN_F64 ? double_jitter : single_jitter, mean = 0;
    for (int64_t m = 0; m < M; m++) mean += fit->U[m * M + m] / (double)M;
    do {
        memcpy(fit->L, fit->U, (size_t)(M * M) * sizeof *fit->L);
        for (int64_t m = 0; m < M; m++) fit->L[m * M + m] += jitter * mean;
        q_cholesky(fit->L, M, &pivot);
        jitter *= 10;
    } while (pivot >= 0 && jitter <= last_jitter);
    if (pivot >= 0) {
        q_fail(QUERN_NUMERIC, "the kernel of the centres is not positive definite, at point %lld of them",
               (long long)pivot);
        q_fail_next_step("check that the kernel is positive definite");
        return QUERN_NUMERIC;
    }
    for (int64_t i = 0; i < M; i++)
        for (int64_t j = i + 1; j < M; j++) fit->L[i * M + j] = 0;
    turn(fit->L, M, M, fit->U);
    return QUERN_OK;
}

quern_status q_ridge_precondition(q_ridge_fit *fit, const double *weights)
{
    const quern_ridge *ridge = fit->ridge;
    int64_t M = ridge->M, pivot;
    double *left = matrix(M);
    if (!left) return QUERN_MEMORY;
    memset(fit->E, 0, (size_t)(M * M) * sizeof *fit->E);
    for (int64_t k = 0; k < M * M; k++) left[k] = -fit->U[k] * (weights ? weights[k % M] : 1) / (double)M;
    for (int64_t i = 0; i < M; i += ROWS) { /* rows of U are 0 before the diagonal */
        int64_t rows = M - i < ROWS ? M - i : ROWS;
        for (int64_t j = 0; j <= i; j += ROWS) {
            int64_t columns = M - j < ROWS ? M - j : ROWS;
            q_rows_subtract_products((q_dense_rows){fit->E + i * M + j, rows, M},
                                     (q_dense_rows){left + i * M + i, rows, M},
                                     (q_dense_rows){fit->U + j * M + i, columns, M}, M - i);
        }
    }
    free(left);
    for (int64_t m = 0; m < M; m++) fit->E[m * M + m] += ridge->options.penalty;
    q_cholesky(fit->E, M, &pivot);
    return pivot < 0 ? QUERN_OK
                     : q_fail(QUERN_NUMERIC, "the penalty, %g, is too small for this kernel", ridge->options.penalty);
}

// ---- products ----

quern_status q_ridge_product(const q_ridge_fit *fit, bool transposed, int64_t R, const double *in, double *out)
{
    const quern_ridge *ridge = fit->ridge;
    int64_t rows = transposed ? ridge->N : ridge->M, results = transposed ? ridge->M : ridge->N;
    void *in_room = NULL, *out_room = NULL;
    quern_view from, to;
    quern_status status = q_kernel_view(&ridge->kernel, &from, &in_room, in, rows, R);
    if (!status) status = q_kernel_view(&ridge->kernel, &to, &out_room, out, results, R);
    if (!status)
        status = transposed ? quern_linear_apply_transpose(fit->across, from, to)
                            : quern_linear_apply(fit->across, from, to);
    for (int64_t k = 0; k < results * R && out_room && !status; k++) out[k] = (double)((float *)out_room)[k];
    free(in_room);
    free(out_room);
    return status;
}

/* Rows of M numbers: E^-1 L^-1 row, or L^-T E^-T row; between them e = E^-T row, if that is wanted. */
static void to_near_one(const q_ridge_fit *fit, double *rows, int64_t R)
{
    q_cholesky_forward(fit->L, fit->ridge->M, rows, R, 0);
    q_cholesky_forward(fit->E, fit->ridge->M, rows, R, 0);
}

static void from_near_one(const q_ridge_fit *fit, double *rows, int64_t R, double *e)
{
    int64_t M = fit->ridge->M;
    for (int64_t r = 0; r < R; r++) {
        q_cholesky_backward(fit->E, M, rows + r * M);
        if (e) memcpy(e + r * M, rows + r * M, (size_t)M * sizeof *e);
        q_cholesky_backward(fit->L, M, rows + r * M);
    }
}

/* result = (E^-1 L^-1 C^T W C L^-T E^-T / N + s E^-1 E^-T) vector */
static quern_status multiply(q_ridge_fit *fit, int64_t R, const double *vector, double *result)
{
    const quern_ridge *ridge = fit->ridge;
    int64_t N = ridge->N, M = ridge->M;
    double *all = fit->room, *rows = all + N * ridge->R, *e = rows + M * ridge->R;
    turn(vector, M, R, rows);
    from_near_one(fit, rows, R, e);
    turn(rows, R, M, result);
    Q_TRY(q_ridge_product(fit, false, R, result, all));
    for (int64_t k = 0; k < N * R; k++) all[k] *= (fit->W ? fit->W[k / R] : 1) / (double)N;
    Q_TRY(q_ridge_product(fit, true, R, all, result));
    turn(result, M, R, rows);
    q_cholesky_forward(fit->L, M, rows, R, 0);
    for (int64_t k = 0; k < M * R; k++) rows[k] += ridge->options.penalty * e[k];
    q_cholesky_forward(fit->E, M, rows, R, 0);
    turn(rows, R, M, result);
    fit->ridge->report.products++;
    return QUERN_OK;
}

// ---- conjugate gradients ----

/* By columns: r.r, p.Ap, what the energy has fallen by; and which of them are done. */
typedef struct gradients {
    int64_t M, R, left;
    double *d, *r, *p, *q; /* the solution, its residual, the direction, its product: M x R */
    double *rr, *pq, *fallen, *first;
} gradients;

static quern_status gradients_make(gradients *g, int64_t M, int64_t R)
{
    size_t count = (size_t)(4 * M * R + 4 * R);
    double *at = g->d = calloc(count, sizeof *at);
    if (!at) return q_fail_memory(count * sizeof *at);
    double **vectors[] = {&g->d, &g->r, &g->p, &g->q}, **numbers[] = {&g->rr, &g->pq, &g->fallen, &g->first};
    for (size_t k = 0; k < Q_COUNT(vectors); k++, at += M * R) *vectors[k] = at;
    for (size_t k = 0; k < Q_COUNT(numbers); k++, at += R) *numbers[k] = at;
    g->M = M, g->R = R;
    return QUERN_OK;
}

static void dots(const gradients *g, const double *a, const double *b, double *out)
{
    for (int64_t r = 0; r < g->R; r++) out[r] = 0;
    for (int64_t k = 0; k < g->M * g->R; k++) out[k % g->R] += a[k] * b[k];
}

/* One step of all columns that go on; one whose energy falls by less than tolerance^2 of all that it has fallen by is done. */
static quern_status step(gradients *g, double tolerance)
{
    dots(g, g->p, g->q, g->pq);
    for (int64_t r = 0; r < g->R; r++) {
        double *rr = &g->rr[r], alpha = *rr / g->pq[r], fell = *rr * alpha, after = 0;
        if (*rr == 0) continue;
        if (!(g->pq[r] > 0 && isfinite(alpha)))
            return q_fail(QUERN_NUMERIC, "the equations are not positive definite: p.Ap is %g in column %lld", g->pq[r],
                          (long long)r);
        for (int64_t k = r; k < g->M * g->R; k += g->R) {
            g->d[k] += alpha * g->p[k];
            g->r[k] -= alpha * g->q[k];
            after += g->r[k] * g->r[k];
        }
        g->fallen[r] += fell;
        bool done = fell <= tolerance * tolerance * g->fallen[r];
        for (int64_t k = r; k < g->M * g->R; k += g->R) g->p[k] = done ? 0 : g->r[k] + after / *rr * g->p[k];
        *rr = done ? 0 : after;
        g->left -= done || after == 0;
        g->pq[r] = after / g->first[r];
    }
    return QUERN_OK;
}

static quern_status iterate(q_ridge_fit *fit, gradients *g, double tolerance)
{
    quern_ridge_report *report = &fit->ridge->report;
    const quern_ridge_options *o = &fit->ridge->options;
    memcpy(g->p, g->r, (size_t)(g->M * g->R) * sizeof *g->p);
    dots(g, g->r, g->r, g->rr);
    memcpy(g->first, g->rr, (size_t)g->R * sizeof *g->rr);
    for (int64_t r = 0; r < g->R; r++) g->left += g->rr[r] > 0;
    for (int64_t k = 0; g->left > 0; k++) {
        if (k >= o->iterations) {
            report->converged = false;
            return QUERN_OK;
        }
        Q_TRY(multiply(fit, g->R, g->p, g->q));
        Q_TRY(step(g, tolerance));
        double worst = 0;
        for (int64_t r = 0; r < g->R; r++) worst = fmax(worst, g->first[r] > 0 ? g->pq[r] : 0);
        report->residual = sqrt(worst);
        Q_TRY(q_ridge_tell(fit->ridge, "solution", k + 1, report->residual));
    }
    return QUERN_OK;
}

quern_status q_ridge_solve(q_ridge_fit *fit, int64_t R, double tolerance, const double *in, double *out)
{
    gradients g = {0};
    int64_t M = fit->ridge->M, N = fit->ridge->N;
    double *rows = fit->room + N * fit->ridge->R;
    turn(in, M, R, rows);
    to_near_one(fit, rows, R);
    quern_status status = gradients_make(&g, M, R);
    if (!status) {
        turn(rows, R, M, g.r);
        status = iterate(fit, &g, tolerance);
    }
    if (!status) {
        turn(g.d, M, R, rows);
        from_near_one(fit, rows, R, NULL);
        turn(rows, R, M, out);
        for (int64_t k = 0; k < M * R; k++) out[k] /= (double)N;
    }
    free(g.d);
    return status;
}

void q_ridge_norm_vector(const q_ridge_fit *fit, const double *in, double *out)
{
    int64_t M = fit->ridge->M;
    for (int64_t m = 0; m < M; m++) {
        out[m] = 0;
        for (int64_t k = m; k < M; k++) out[m] += fit->U[m * M + k] * in[k];
    }
}
