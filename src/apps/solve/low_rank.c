/*
 * low_rank.c: a low-rank part plus a number on the diagonal, as an approximate inverse. Columns are chosen by randomly
 * pivoted Cholesky (Chen, Epperly, Tropp, Webber, "Randomly pivoted Cholesky", 2022): each pivot with the probability of
 * its entry on the diagonal of what is left, from a fixed seed, so that the same matrix gives the same bits. It stops where
 * what is left is no more than the least entry of the diagonal could be a shift of; that is found by the trial, too. Without randomness the
 * largest entry is taken (Harbrecht, Peters, Schneider 2012).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/solve/linear.h"

static const q_preconditioner_kind low_rank_kind;
enum { TRIAL = 32 };                /* columns after which a low rank must have shown */
static const double enough = 1e-6;  /* of the trace, what may be left */
static const double hopeless = 0.9; /* of the trace, more than which may not be left after the trial */

static double sum_of(const double *numbers, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += numbers[i];
    return sum;
}

/* The row of which most is left, or the one whose share of the sum a random number falls into. */
static int64_t choose(const double *left, int64_t rows, double sum, bool greedy, uint64_t *state)
{
    double at = q_random_unit(state) * sum;
    int64_t last = 0;
    for (int64_t i = 1; i < rows && greedy; i++)
        if (left[i] > left[last]) last = i;
    if (greedy) return last;
    for (int64_t i = 0; i < rows; i++) {
        if (left[i] <= 0) continue;
        last = i;
        at -= left[i];
        if (at < 0) break;
    }
    return last;
}

/* row -= what L has of a pivot's column, four rows of L at a time, so that `row` is read a quarter as often. */
static void subtract_rows(const q_preconditioner *low, int64_t pivot, double *restrict row)
{
    int64_t k = 0, rows = low->rows;
    for (; k + 4 <= low->rank; k += 4) {
        const double *a = low->L + k * rows, *b = a + rows, *c = b + rows, *d = c + rows;
        const double fa = a[pivot], fb = b[pivot], fc = c[pivot], fd = d[pivot];
        for (int64_t i = 0; i < rows; i++) row[i] -= (fa * a[i] + fb * b[i]) + (fc * c[i] + fd * d[i]);
    }
    for (; k < low->rank; k++) {
        const double *a = low->L + k * rows, factor = a[pivot];
        for (int64_t i = 0; i < rows; i++) row[i] -= factor * a[i];
    }
}

/* Adds the row of L for a pivot; false if nothing is left of it. */
static quern_status add_row(q_preconditioner *low, const quern_linear *a, int64_t pivot, double shift, double *left,
                            bool *added)
{
    double *row = low->L + low->rank * low->rows;
    q_part where = {.rows = low->rows, .first_column = pivot, .columns = 1};
    Q_TRY(q_linear_entries(a, q_linear_dtype(a), &where, row));
    row[pivot] -= shift;
    subtract_rows(low, pivot, row);
    *added = row[pivot] > 0;
    if (!*added) {
        left[pivot] = 0;
        return QUERN_OK;
    }
    double scale = 1 / sqrt(row[pivot]);
    for (int64_t i = 0; i < low->rows; i++) {
        row[i] *= scale;
        left[i] -= row[i] * row[i];
        if (left[i] < 0) left[i] = 0;
    }
    left[pivot] = 0;
    low->rank++;
    return QUERN_OK;
}

/* The Cholesky factor of left + L L^T, lower triangle. */
static bool factor_core(q_preconditioner *low)
{
    int64_t n = low->rank;
    double *c = low->core;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k <= i; k++) {
            double sum = i == k ? low->left : 0;
            sum += q_vector_dot(low->rows, low->L + i * low->rows, low->L + k * low->rows);
            sum -= q_vector_dot(k, c + i * n, c + k * n);
            if (i == k && !(sum > 0)) return false;
            c[i * n + k] = i == k ? sqrt(sum) : sum / c[k * n + k];
        }
    return true;
}

static quern_status find_rows(q_preconditioner *low, const quern_linear *a, int64_t most, bool greedy, bool trial,
                              double *left)
{
    uint64_t state = 1;
    Q_TRY(q_linear_diagonal(a, q_linear_dtype(a), left));
    double least = INFINITY;
    for (int64_t i = 0; i < low->rows; i++) {
        if (!(left[i] > 0)) {
            q_fail(QUERN_NUMERIC, "entry %lld of the diagonal is %g: the matrix is not positive definite", (long long)i,
                   left[i]);
            q_fail_next_step("check the formula and its arrays, or add a shift");
            return QUERN_NUMERIC;
        }
        least = fmin(least, left[i]);
    }
    double shift = fmax(0, fmin(least, q_linear_shift(a)));
    for (int64_t i = 0; i < low->rows; i++) left[i] -= shift;
    double trace = sum_of(left, low->rows), rest = trace;
    for (int64_t tried = 0; tried < most && rest > enough * trace; tried++) {
        bool added;
        Q_TRY(add_row(low, a, choose(left, low->rows, rest, greedy, &state), shift, left, &added));
        rest = sum_of(left, low->rows);
        if (shift > 0 && rest < shift * (double)low->rows * 1e-2) break;
        if (trial && tried + 1 == TRIAL && rest > hopeless * trace) {
            low->rank = 0;
            return QUERN_OK;
        }
    }
    low->left = shift + rest / (double)low->rows;
    return QUERN_OK;
}

quern_status q_low_rank_make(q_preconditioner *out, const quern_linear *linear, int64_t most, bool greedy, bool trial)
{
    int64_t rows = quern_linear_rows(linear);
    size_t numbers = (size_t)most * (size_t)rows;
    *out = (q_preconditioner){.rows = rows, .L = malloc(numbers * sizeof(double) + 1)};
    double *left = malloc((size_t)rows * sizeof *left + 1);
    quern_status status =
        out->L && left ? find_rows(out, linear, most, greedy, trial, left) : q_fail_memory(numbers * sizeof(double));
    free(left);
    if (!status) status = q_low_rank_finish(out);
    if (status) q_preconditioner_free(out);
    return status;
}

quern_status q_low_rank_finish(q_preconditioner *out)
{
    size_t core = (size_t)out->rank * (size_t)out->rank;
    if (!core) return QUERN_OK;
    out->core = malloc(core * sizeof(double));
    if (!out->core) return q_fail_memory(core * sizeof(double));
    if (!(out->left > 0) || !factor_core(out)) out->rank = 0;
    if (out->rank) out->kind = &low_rank_kind;
    return QUERN_OK;
}

enum { BLOCK = 128, WIDE = 8 }; /* rows that stay in a processor's nearest memory; right-hand sides at a time */

/* inner = core^-1 inner, by both triangles. */
static void solve_core(const q_preconditioner *low, double (*inner)[WIDE])
{
    int64_t n = low->rank;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < i; k++)
            for (int r = 0; r < WIDE; r++) inner[i][r] -= low->core[i * n + k] * inner[k][r];
        for (int r = 0; r < WIDE; r++) inner[i][r] /= low->core[i * n + i];
    }
    for (int64_t i = n - 1; i >= 0; i--) {
        for (int64_t k = i + 1; k < n; k++)
            for (int r = 0; r < WIDE; r++) inner[i][r] -= low->core[k * n + i] * inner[k][r];
        for (int r = 0; r < WIDE; r++) inner[i][r] /= low->core[i * n + i];
    }
}

/* A block of rows and some right-hand sides, the others 0. */
static void read_block(double (*to)[WIDE], int64_t rows, int64_t R, int64_t width, const double *from)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t r = 0; r < WIDE; r++) to[i][r] = r < width ? from[i * R + r] : 0;
}

/* inner += L x of a block of rows, and x -= L^T inner. */
static void multiply_block(const q_preconditioner *low, int64_t first, int64_t rows, double (*x)[WIDE],
                           double (*inner)[WIDE])
{
    for (int64_t k = 0; k < low->rank; k++) {
        const double *l = low->L + k * low->rows + first;
        double sum[WIDE];
        memcpy(sum, inner[k], sizeof sum);
        for (int64_t i = 0; i < rows; i++)
            for (int r = 0; r < WIDE; r++) sum[r] += l[i] * x[i][r];
        memcpy(inner[k], sum, sizeof sum);
    }
}

static void subtract_block(const q_preconditioner *low, int64_t first, int64_t rows, double (*x)[WIDE],
                           double (*inner)[WIDE])
{
    for (int64_t k = 0; k < low->rank; k++) {
        const double *l = low->L + k * low->rows + first;
        for (int64_t i = 0; i < rows; i++)
            for (int r = 0; r < WIDE; r++) x[i][r] -= l[i] * inner[k][r];
    }
}

/* (in - L^T core^-1 L in) / left, for `width` right-hand sides of R. */
static void solve_some(const q_preconditioner *low, int64_t R, int64_t width, const double *in, double *out,
                       double (*inner)[WIDE])
{
    double x[BLOCK][WIDE];
    memset(inner, 0, (size_t)low->rank * sizeof *inner);
    for (int64_t first = 0; first < low->rows; first += BLOCK) {
        int64_t rows = low->rows - first < BLOCK ? low->rows - first : BLOCK;
        read_block(x, rows, R, width, in + first * R);
        multiply_block(low, first, rows, x, inner);
    }
    solve_core(low, inner);
    for (int64_t first = 0; first < low->rows; first += BLOCK) {
        int64_t rows = low->rows - first < BLOCK ? low->rows - first : BLOCK;
        read_block(x, rows, R, width, in + first * R);
        subtract_block(low, first, rows, x, inner);
        for (int64_t i = 0; i < rows; i++)
            for (int64_t r = 0; r < width; r++) out[(first + i) * R + r] = x[i][r] / low->left;
    }
}

static quern_status low_rank_solve(const q_preconditioner *low, int64_t R, const double *in, double *out)
{
    double(*inner)[WIDE] = malloc((size_t)low->rank * sizeof *inner);
    if (!inner) return q_fail_memory((size_t)low->rank * sizeof *inner);
    for (int64_t r = 0; r < R; r += WIDE) solve_some(low, R, R - r < WIDE ? R - r : WIDE, in + r, out + r, inner);
    free(inner);
    return QUERN_OK;
}

static double low_rank_log_determinant(const q_preconditioner *low)
{
    double sum = (double)(low->rows - low->rank) * log(low->left);
    for (int64_t k = 0; k < low->rank; k++) sum += 2 * log(low->core[k * low->rank + k]);
    return sum;
}

static void low_rank_sample(const q_preconditioner *low, int64_t R, uint64_t *state, double *out)
{
    double root = sqrt(low->left);
    for (int64_t e = 0; e < low->rows * R; e++) out[e] = root * q_random_normal(state);
    for (int64_t k = 0; k < low->rank; k++)
        for (int64_t r = 0; r < R; r++) {
            double factor = q_random_normal(state);
            for (int64_t i = 0; i < low->rows; i++) out[i * R + r] += factor * low->L[k * low->rows + i];
        }
}

static const q_preconditioner_kind low_rank_kind = {low_rank_solve, low_rank_log_determinant, low_rank_sample};
