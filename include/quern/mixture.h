/*
 * quern/mixture.h: mixtures of Gaussians, fitted by expectation and maximisation (Dempster, Laird, Rubin, 1977).
 *
 *     quern_mixture *g;
 *     quern_mixture_fit(&g, ctx, quern_f64(x, N, 4), 3, NULL);
 *     ... g->weights, g->means, g->covariances, g->report.log_likelihood ...
 *     quern_mixture_assign(g, ctx, quern_f64(x, N, 4), quern_i64(labels, N, 1), (quern_view){0}, (quern_view){0});
 *     quern_mixture_destroy(&g);
 *
 * The device sums densities over components, and moments over points; nothing of size N x k is stored. Densities are kept as
 * logarithms throughout, so that no point is too far away.
 *
 * Conventions
 *   Points     One a row, on the host or the device. The device computes in float64 if they are float64, else in float32;
 *              covariances are put together and factored in float64. Points have to be finite (USAGE).
 *   Order      The same points and options give the same bits on the same device.
 *   Threads    A mixture is constant once it is made; calls may run in several threads at once.
 */
#ifndef QUERN_MIXTURE_H
#define QUERN_MIXTURE_H

#include "quern.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum quern_covariance {
    QUERN_COVARIANCE_FULL = 0, /* any: dim x dim numbers for each component */
    QUERN_COVARIANCE_DIAGONAL, /* a variance for each coordinate: dim */
    QUERN_COVARIANCE_SPHERICAL /* one for all: 1 */
} quern_covariance;

typedef struct quern_mixture_options {
    size_t size;
    quern_covariance covariance;
    double regularization; /* added to all variances; 0: 1e-6; negative: none */
    uint64_t seed;         /* of the k-means whose clusters are the first components */
    int64_t restarts;      /* of which the likeliest counts; 0: 1 */
    quern_view
        labels; /* N x 1, 0 to components - 1, on the host: first components in place of that of k-means; {0}: none */
    int64_t iterations; /* of a start, at most; 0: 100 */
    double tolerance;   /* done when the mean log-likelihood rises by less; 0: 1e-3 */
    /* Called after each iteration with its number and the mean log-likelihood; true stops: CANCELLED. */
    bool (*progress)(void *user, int64_t iteration, double log_likelihood);
    void *progress_user;
} quern_mixture_options;

typedef struct quern_mixture_report {
    double log_likelihood; /* the mean over the points, natural logarithm */
    double bic;            /* Bayesian information criterion: the less, the better */
    int64_t iterations;
    bool converged; /* not ended by the limit of iterations */
    /* Components that are flat, or a point: some variance of the data, given the coordinates before, is at most the
       regularization. Their densities say little. */
    int64_t degenerate;
    int64_t start; /* which of the restarts it was, from 0 */
} quern_mixture_report;

/* All members are read only. */
typedef struct quern_mixture {
    int64_t components, dim;
    quern_covariance covariance;
    const double *weights;     /* one for each component; their sum is 1 */
    const double *means;       /* components x dim */
    const double *covariances; /* components x dim * dim, dim or 1, regularization included */
    quern_mixture_report report;
} quern_mixture;

/* `options` may be null. Statuses: USAGE (a point that is not finite, null, labels that make no sense), SHAPE (more components than
   points), NUMERIC (without regularization: a covariance that is singular), CANCELLED, MEMORY, those of quern_run. */
QUERN_API quern_status quern_mixture_fit(quern_mixture **out, quern_context *context, quern_view points,
                                         int64_t components, const quern_mixture_options *options);
QUERN_API void quern_mixture_destroy(quern_mixture **mixture);

/* Of each point: the component that it most likely comes from, N x 1; with which probability from which, N x components; the
   logarithm of its density, N x 1. Any of them may be {0}; no points are fine. The same statuses. */
QUERN_API quern_status quern_mixture_assign(const quern_mixture *mixture, quern_context *context, quern_view points,
                                            quern_view labels, quern_view responsibilities, quern_view log_densities);

#ifdef __cplusplus
}
#endif

#endif
