/*
 * covariance.c: what full, diagonal and spherical covariances are to formulas and to the host: a row of a table each.
 *
 * P is the inverse of the lower Cholesky factor for full covariances, row after row, so that a squared distance is a sum of
 * squares and never negative; inverse variances otherwise.
 */
#include <math.h>

#include "apps/mixture/mixture.h"

// ---- full ----

static int64_t full_length(int64_t dim)
{
    return dim * dim;
}

static int64_t full_parameters(int64_t dim)
{
    return dim * (dim + 1) / 2;
}

static void full_centre(double *moment, const double *mean, int64_t dim)
{
    for (int64_t a = 0; a < dim; a++)
        for (int64_t b = 0; b < dim; b++) moment[a * dim + b] -= mean[a] * mean[b];
}

static void full_regularize(double *covariance, double by, int64_t dim)
{
    for (int64_t d = 0; d < dim; d++) covariance[d * dim + d] += by;
}

/* The Cholesky factor in P's place; the least squared pivot. */
static double factor(const double *covariance, int64_t dim, double *L)
{
    double least = INFINITY;
    for (int64_t a = 0; a < dim; a++)
        for (int64_t b = 0; b < dim; b++) {
            double sum = covariance[a * dim + b];
            for (int64_t d = 0; d < (a < b ? a : b); d++) sum -= L[a * dim + d] * L[b * dim + d];
            if (b > a) L[a * dim + b] = 0;
            else if (a > b) L[a * dim + b] = sum / L[b * dim + b];
            else {
                if (!(sum >= least)) least = sum;
                if (!(sum > 0)) return sum;
                L[a * dim + a] = sqrt(sum);
            }
        }
    return least;
}

/* The inverse of a lower triangle, in its place: column by column, from the last row of each on. */
static void invert_triangle(double *L, int64_t dim)
{
    for (int64_t b = 0; b < dim; b++) {
        L[b * dim + b] = 1 / L[b * dim + b];
        for (int64_t a = b + 1; a < dim; a++) {
            double sum = 0;
            for (int64_t d = b; d < a; d++) sum -= L[a * dim + d] * L[d * dim + b];
            L[a * dim + b] = sum / L[a * dim + a];
        }
    }
}

static double full_invert(const double *covariance, int64_t dim, double *P, double *log_determinant)
{
    double least = factor(covariance, dim, P);
    *log_determinant = 0;
    if (!(least > 0)) return least;
    for (int64_t d = 0; d < dim; d++) *log_determinant -= log(P[d * dim + d]);
    invert_triangle(P, dim);
    return least;
}

// ---- diagonal and spherical ----

static int64_t diagonal_length(int64_t dim)
{
    return dim;
}

static void diagonal_centre(double *moment, const double *mean, int64_t dim)
{
    for (int64_t d = 0; d < dim; d++) moment[d] -= mean[d] * mean[d];
}

static void diagonal_regularize(double *covariance, double by, int64_t dim)
{
    for (int64_t d = 0; d < dim; d++) covariance[d] += by;
}

static double diagonal_invert(const double *covariance, int64_t dim, double *P, double *log_determinant)
{
    double least = INFINITY;
    *log_determinant = 0;
    for (int64_t d = 0; d < dim; d++) {
        if (!(covariance[d] >= least)) least = covariance[d];
        P[d] = 1 / covariance[d], *log_determinant -= 0.5 * log(covariance[d]);
    }
    return least;
}

static int64_t spherical_length(int64_t dim)
{
    (void)dim;
    return 1;
}

static void spherical_centre(double *moment, const double *mean, int64_t dim)
{
    double square = 0;
    for (int64_t d = 0; d < dim; d++) square += mean[d] * mean[d];
    *moment -= square / (double)dim;
}

static void spherical_regularize(double *covariance, double by, int64_t dim)
{
    (void)dim;
    *covariance += by;
}

static double spherical_invert(const double *covariance, int64_t dim, double *P, double *log_determinant)
{
    *P = 1 / *covariance, *log_determinant = -0.5 * (double)dim * log(*covariance);
    return *covariance;
}

// clang-format off
const q_covariance_kind q_covariance_kinds[3] = {
    {"SqNorm2(MatVecMult(P,u))", "TensorProd(u,u)", full_length, full_parameters, full_centre, full_regularize, full_invert},
    {"Sum(P*Square(u))", "Square(u)", diagonal_length, diagonal_length, diagonal_centre, diagonal_regularize, diagonal_invert},
    {"P*SqNorm2(u)", "SqNorm2(u)/D", spherical_length, spherical_length, spherical_centre, spherical_regularize, spherical_invert},
};
// clang-format on
