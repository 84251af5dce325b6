/*
 * lanczos.c: Lanczos's three-term recurrence (1950) for several vectors at once, preconditioned as in Paige and Saunders (1975):
 * v are orthonormal in the inner product of the preconditioner P, and A v_k = P (beta_k v_k-1 + alpha_k v_k + beta_k+1 v_k+1).
 * No vectors are kept, so they lose their orthogonality in time; quadratures and residuals do not mind.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/solve/linear.h"

enum { VECTORS = 5, NUMBERS = 5 };

void q_dots(int64_t rows, int64_t R, const double *x, const double *y, double *out)
{
    memset(out, 0, (size_t)R * sizeof *out);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t r = 0; r < R; r++) out[r] += x[i * R + r] * y[i * R + r];
}

/* Four sums beside each other, which a processor adds at once. */
double q_vector_dot(int64_t count, const double *x, const double *y)
{
    double sum[4] = {0};
    int64_t i = 0;
    for (; i + 4 <= count; i += 4)
        for (int k = 0; k < 4; k++) sum[k] += x[i + k] * y[i + k];
    for (; i < count; i++) sum[0] += x[i] * y[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* beta = |r| in the inner product of the preconditioner. */
static quern_status measure(q_lanczos *l)
{
    Q_TRY(q_preconditioner_solve(l->inverse, l->R, l->r, l->y));
    q_dots(l->rows, l->R, l->r, l->y, l->beta);
    for (int64_t k = 0; k < l->R; k++) l->beta[k] = sqrt(l->beta[k]);
    return QUERN_OK;
}

quern_status q_lanczos_begin(q_lanczos *l, const double *start)
{
    size_t vector = (size_t)l->rows * (size_t)l->R, numbers = VECTORS * vector + NUMBERS * (size_t)l->R;
    double *at = l->memory = calloc(numbers + 1, sizeof *at);
    if (!at) return q_fail_memory(numbers * sizeof *at);
    double **vectors[VECTORS] = {&l->r_before, &l->r, &l->y, &l->v, &l->q};
    double **lists[NUMBERS] = {&l->alpha, &l->beta, &l->beta_before, &l->size, &l->scratch};
    for (int v = 0; v < VECTORS; v++, at += vector) *vectors[v] = at;
    for (int k = 0; k < NUMBERS; k++, at += l->R) *lists[k] = at;
    l->symmetric = true;
    memcpy(l->r, start, vector * sizeof *l->r);
    return measure(l);
}

void q_lanczos_end(q_lanczos *l)
{
    free(l->memory);
    l->memory = NULL;
}

/* u.Av and v.Au of the first product's vectors, which are the same if A is symmetric. */
static bool is_symmetric(const q_lanczos *l)
{
    double slack = l->dtype == QUERN_F64 ? 1e-9 : 1e-4;
    for (int64_t a = 0; a + 1 < l->R; a++) {
        double here = 0, there = 0, size = 0, image = 0;
        for (int64_t i = 0; i < l->rows; i++) {
            const double *v = l->v + i * l->R + a, *q = l->q + i * l->R + a;
            here += v[0] * q[1], there += v[1] * q[0];
            size += v[0] * v[0], image += q[1] * q[1];
        }
        if (fabs(here - there) > slack * sqrt(size * image)) return false;
    }
    return true;
}

/* Where beta has come to nothing the vectors span all that the matrix makes of the first: nothing more is added. */
static void stop_where_done(q_lanczos *l)
{
    for (int64_t k = 0; k < l->R; k++) {
        l->size[k] = fmax(l->size[k], fabs(l->alpha[k]) + l->beta[k]);
        if (l->beta[k] <= 1e-14 * l->size[k]) l->beta[k] = 0;
    }
}

quern_status q_lanczos_step(q_lanczos *l)
{
    int64_t R = l->R, rows = l->rows;
    for (int64_t k = 0; k < R; k++) l->scratch[k] = l->beta[k] > 0 ? 1 / l->beta[k] : 0;
    for (int64_t e = 0; e < rows * R; e++) l->v[e] = l->y[e] * l->scratch[e % R];
    Q_TRY(q_linear_product(l->a, l->dtype, R, l->v, l->q));
    if (!l->steps++) l->symmetric = is_symmetric(l);
    for (int64_t k = 0; k < R; k++)
        l->scratch[k] = l->steps > 1 && l->beta_before[k] > 0 ? l->beta[k] / l->beta_before[k] : 0;
    for (int64_t e = 0; e < rows * R; e++) l->q[e] -= l->scratch[e % R] * l->r_before[e];
    q_dots(rows, R, l->v, l->q, l->alpha);
    for (int64_t k = 0; k < R; k++) {
        if (!isfinite(l->alpha[k])) return q_linear_not_finite(l->alpha[k]);
        l->scratch[k] = l->beta[k] > 0 ? l->alpha[k] / l->beta[k] : 0;
    }
    for (int64_t e = 0; e < rows * R; e++) l->q[e] -= l->scratch[e % R] * l->r[e];
    double *last = l->r_before;
    l->r_before = l->r, l->r = l->q, l->q = last;
    memcpy(l->beta_before, l->beta, (size_t)R * sizeof *l->beta);
    Q_TRY(measure(l));
    stop_where_done(l);
    return QUERN_OK;
}
