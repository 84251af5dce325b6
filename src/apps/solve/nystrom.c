/*
 * nystrom.c: the low-rank part of the preconditioner from products with random vectors O (Frangella, Tropp, Udell, "Randomized Nystrom
 * preconditioning", 2023), for operators whose entries cost as much as products: the matrix, without its shift, is about
 * Y (O^T Y)^-1 Y^T with Y = A O. What is left on the diagonal is estimated from one more product, with 16 other vectors.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/solve/linear.h"

static const double hopeless = 0.5; /* of the trace, what may be left */

typedef struct sketch {
    const quern_linear *a;
    int64_t rows, rank;
    uint64_t state;
    double shift, *O, *Y, *core; /* O and Y: vectors, one after the other */
    double *in, *out;            /* a product's */
} sketch;

/* Draws R vectors and multiplies them; out = A in - shift in. */
static quern_status multiply(sketch *s, int64_t R, double *O, double *Y)
{
    memset(s->in, 0, (size_t)(s->rows * Q_RHS_CHUNK) * sizeof *s->in);
    for (int64_t r = 0; r < R; r++)
        for (int64_t i = 0; i < s->rows; i++)
            s->in[i * Q_RHS_CHUNK + r] = O[r * s->rows + i] = q_random_normal(&s->state);
    Q_TRY(q_linear_product(s->a, q_linear_dtype(s->a), Q_RHS_CHUNK, s->in, s->out));
    for (int64_t r = 0; r < R; r++)
        for (int64_t i = 0; i < s->rows; i++)
            Y[r * s->rows + i] = s->out[i * Q_RHS_CHUNK + r] - s->shift * O[r * s->rows + i];
    return QUERN_OK;
}

/* Y becomes L with L^T L = Y (O^T Y)^-1 Y^T, by Cholesky's factor of O^T Y; the rows until it would not be positive. */
static void divide(sketch *s)
{
    int64_t n = s->rank;
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k <= i; k++)
            s->core[i * n + k] = 0.5 * (q_vector_dot(s->rows, s->O + i * s->rows, s->Y + k * s->rows) +
                                        q_vector_dot(s->rows, s->O + k * s->rows, s->Y + i * s->rows));
    for (int64_t i = 0; i < n; i++) most = fmax(most, s->core[i * n + i]);
    for (int64_t i = 0; i < n; i++) {
        double *row = s->Y + i * s->rows;
        for (int64_t k = 0; k < i; k++) {
            for (int64_t l = 0; l < k; l++) s->core[i * n + k] -= s->core[i * n + l] * s->core[k * n + l];
            s->core[i * n + k] /= s->core[k * n + k];
            s->core[i * n + i] -= s->core[i * n + k] * s->core[i * n + k];
            for (int64_t r = 0; r < s->rows; r++) row[r] -= s->core[i * n + k] * s->Y[k * s->rows + r];
        }
        double slack = (q_linear_dtype(s->a) == QUERN_F64 ? 1e-12 : 1e-5) * most;
        if (!(s->core[i * n + i] > slack)) {
            s->rank = i;
            return;
        }
        s->core[i * n + i] = sqrt(s->core[i * n + i]);
        for (int64_t r = 0; r < s->rows; r++) row[r] /= s->core[i * n + i];
    }
}

/* The mean of what L leaves of the diagonal, and of the diagonal, from vectors that it has not seen. */
static quern_status estimate(sketch *s, double *left, double *mean)
{
    double whole = 0, found = 0;
    Q_TRY(multiply(s, Q_RHS_CHUNK, s->O, s->O + Q_RHS_CHUNK * s->rows));
    for (int64_t r = 0; r < Q_RHS_CHUNK; r++) {
        const double *o = s->O + r * s->rows;
        whole += q_vector_dot(s->rows, o, s->O + (Q_RHS_CHUNK + r) * s->rows);
        for (int64_t k = 0; k < s->rank; k++) found += pow(q_vector_dot(s->rows, s->Y + k * s->rows, o), 2);
    }
    *mean = whole / (double)(Q_RHS_CHUNK * s->rows);
    *left = fmax(whole - found, DBL_EPSILON * whole) / (double)(Q_RHS_CHUNK * s->rows);
    return QUERN_OK;
}

static quern_status make(sketch *s, q_preconditioner *out, bool trial)
{
    double left, mean;
    for (int64_t k = 0; k < s->rank; k += Q_RHS_CHUNK)
        Q_TRY(
            multiply(s, s->rank - k < Q_RHS_CHUNK ? s->rank - k : Q_RHS_CHUNK, s->O + k * s->rows, s->Y + k * s->rows));
    divide(s);
    Q_TRY(estimate(s, &left, &mean));
    out->rank = trial && left > hopeless * mean ? 0 : s->rank;
    out->left = s->shift + left;
    return isfinite(mean) ? QUERN_OK : q_linear_not_finite(mean);
}

quern_status q_nystrom_make(q_preconditioner *out, const quern_linear *linear, int64_t rank, bool trial)
{
    int64_t rows = quern_linear_rows(linear);
    size_t room = (size_t)(rank > 2 * Q_RHS_CHUNK ? rank : 2 * Q_RHS_CHUNK) * (size_t)rows;
    *out = (q_preconditioner){.rows = rows, .L = malloc((size_t)(rank * rows) * sizeof(double) + 1)};
    sketch s = {
        .a = linear, .rows = rows, .rank = rank, .state = 3, .shift = fmax(0, q_linear_shift(linear)), .Y = out->L};
    s.O = malloc(room * sizeof *s.O), s.core = malloc((size_t)(rank * rank) * sizeof *s.core);
    s.in = malloc((size_t)(2 * rows * Q_RHS_CHUNK) * sizeof *s.in);
    quern_status status = s.O && s.core && s.in && out->L ? QUERN_OK : q_fail_memory(room * sizeof *s.O);
    if (!status) {
        s.out = s.in + rows * Q_RHS_CHUNK;
        status = make(&s, out, trial);
    }
    free(s.O);
    free(s.core);
    free(s.in);
    if (!status) status = q_low_rank_finish(out);
    if (status) q_preconditioner_free(out);
    return status;
}
