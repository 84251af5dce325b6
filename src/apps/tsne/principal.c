/*
 * principal.c: where points begin: their first principal components, by subspace iteration on the data themselves, whose matrix
 * of covariances is not made. The picture does not need them to many digits.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/tsne/tsne.h"

enum { TURNS = 30 };

/* Numbers of mean 0 and variance 1, nearly enough: twelve uniform ones less 6. */
static double noise(uint64_t *state)
{
    double sum = -6;
    for (int k = 0; k < 12; k++) sum += q_random_unit(state);
    return sum;
}

static void centre(double *x, int64_t rows, int64_t columns)
{
    for (int64_t d = 0; d < columns; d++) {
        double mean = 0;
        for (int64_t i = 0; i < rows; i++) mean += x[i * columns + d] / (double)rows;
        for (int64_t i = 0; i < rows; i++) x[i * columns + d] -= mean;
    }
}

/* The columns of m, of which there are `count`, become orthonormal (Gram and Schmidt); false at one that depends on others. */
static bool orthonormalise(double *m, int64_t rows, int count)
{
    for (int c = 0; c < count; c++) {
        double norm = 0, before = 0;
        for (int64_t i = 0; i < rows; i++) before += m[i * count + c] * m[i * count + c];
        for (int b = 0; b < c; b++) {
            double dot = 0;
            for (int64_t i = 0; i < rows; i++) dot += m[i * count + b] * m[i * count + c];
            for (int64_t i = 0; i < rows; i++) m[i * count + c] -= dot * m[i * count + b];
        }
        for (int64_t i = 0; i < rows; i++) norm += m[i * count + c] * m[i * count + c];
        if (!(norm > 1e-24 * before) || !(norm > 0)) return false;
        for (int64_t i = 0; i < rows; i++) m[i * count + c] /= sqrt(norm);
    }
    return true;
}

/* scores = x axes; next = x^T scores. */
static void project(const double *x, int64_t rows, int64_t columns, const double *axes, double *scores, double *next,
                    int count)
{
    if (next) memset(next, 0, (size_t)(columns * count) * sizeof *next);
    for (int64_t i = 0; i < rows; i++)
        for (int c = 0; c < count; c++) {
            double sum = 0;
            for (int64_t d = 0; d < columns; d++) sum += x[i * columns + d] * axes[d * count + c];
            scores[i * count + c] = sum;
            for (int64_t d = 0; d < columns && next; d++) next[d * count + c] += x[i * columns + d] * sum;
        }
}

/* Each axis points to where its scores are largest, so that the picture is the same on every machine. */
static void turn_towards_largest(double *scores, int64_t rows, int count)
{
    for (int c = 0; c < count; c++) {
        double largest = 0;
        for (int64_t i = 0; i < rows; i++)
            if (fabs(scores[i * count + c]) > fabs(largest)) largest = scores[i * count + c];
        for (int64_t i = 0; i < rows && largest < 0; i++) scores[i * count + c] *= -1;
    }
}

/* The scores of the first axes; false where there are fewer of these. `axes` and `next` have room for columns x count. */
static bool find_scores(const double *x, int64_t rows, int64_t columns, double *axes, double *next, double *out,
                        int count, uint64_t *seed)
{
    if (columns < count || rows <= count) return false;
    for (int64_t e = 0; e < columns * count; e++) axes[e] = noise(seed);
    for (int turn = 0; turn < TURNS; turn++) {
        if (!orthonormalise(axes, columns, count)) return false;
        project(x, rows, columns, axes, out, next, count);
        memcpy(axes, next, (size_t)(columns * count) * sizeof *axes);
    }
    if (!orthonormalise(axes, columns, count)) return false;
    project(x, rows, columns, axes, out, NULL, count);
    turn_towards_largest(out, rows, count);
    return true;
}

quern_status q_principal_components(double *x, int64_t rows, int64_t columns, double *out, int count, uint64_t seed)
{
    double *axes = malloc((size_t)(2 * columns * count) * sizeof *axes);
    if (!axes) return q_fail_memory((size_t)(2 * columns * count) * sizeof *axes);
    centre(x, rows, columns);
    if (!find_scores(x, rows, columns, axes, axes + columns * count, out, count, &seed))
        for (int64_t e = 0; e < rows * count; e++) out[e] = noise(&seed);
    free(axes);
    double spread = 0;
    for (int64_t i = 0; i < rows; i++) spread += out[i * count] * out[i * count] / (double)rows;
    for (int64_t e = 0; e < rows * count; e++) out[e] *= 1e-4 / sqrt(spread > 0 ? spread : 1);
    return QUERN_OK;
}
