/*
 * quern/density.h: kernel density estimation: the density that points were drawn from, as a mean of kernels around them.
 *
 *     quern_density *density;
 *     quern_density_create(&density, ctx, quern_f32(points, N, 2), (quern_view){0}, NULL);      // Scott's rule
 *     quern_density_at(density, QUERN_DENSITY_VALUE, quern_f32(at, M, 2), quern_f32(value, M, 1), NULL);
 *     quern_density_destroy(&density);
 *
 * With weights w that add up to W, and a bandwidth that is a matrix H, the density at x is
 *
 *     f(x) = sum_j w_j k(|H^-1 (x - y_j)|^2) / (W Z |det H|),     Z = the integral of k(|u|^2) over the space of u.
 *
 * H is a factor h times a shape: the root of the points' covariance, their standard deviations, or 1. The defaults are those of
 * scipy.stats.gaussian_kde; a bandwidth that is given as a number is a length, as in sklearn.neighbors.KernelDensity.
 * docs/densities.md has examples.
 *
 * Conventions
 *   Arrays     Of the host or the device, of any element type. Points are rows. All is computed in float64 if the points are
 *              float64, else in float32, from coordinates that are centred and in bandwidths.
 *   Threads    A density may be asked by several threads at once; it keeps its context alive, and copies of the points.
 *   Statuses   USAGE (null, points that are not finite, a number that makes no sense), SHAPE, DTYPE, NUMERIC (a covariance without
 *              inverse, an integral that is not finite), those of formulas and of runs.
 */
#ifndef QUERN_DENSITY_H
#define QUERN_DENSITY_H

#include "quern/prune.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How the factor h is chosen. N is the number of points, with weights Kish's (sum w)^2 / sum w^2. */
typedef enum quern_bandwidth_rule {
    QUERN_BANDWIDTH_SCOTT = 0, /* N^(-1/(D+4)) */
    QUERN_BANDWIDTH_SILVERMAN, /* (N (D+2)/4)^(-1/(D+4)) */
    /* The factor under which the points are most likely, each under the density of the others (Duin 1976), between 1/100 and 10 times
       Silverman's. Points that occur twice are most likely under the least factor. */
    QUERN_BANDWIDTH_LIKELIHOOD
} quern_bandwidth_rule;

/* What h multiplies. */
typedef enum quern_bandwidth_shape {
    QUERN_BANDWIDTH_AUTO = 0,   /* 1 where a bandwidth is given, else the covariance's root */
    QUERN_BANDWIDTH_COVARIANCE, /* the Cholesky factor of the points' covariance */
    QUERN_BANDWIDTH_DEVIATIONS, /* the standard deviation of each coordinate */
    QUERN_BANDWIDTH_UNIT        /* 1: h is a length, the same in all directions */
} quern_bandwidth_shape;

typedef struct quern_density_options {
    size_t size;
    /* "gaussian" (the default), "tophat", "epanechnikov", "exponential", "linear", "cosine"; else a formula in s, the squared
       distance in bandwidths, of one component: "Inv(Square(1+s))". It need not integrate to 1. */
    const char *kernel;
    /* Z of a kernel that is a formula; 0: computed, to 6 digits where the kernel is continuous, to 3 where it jumps. */
    double kernel_integral;
    double bandwidth; /* the factor h, above 0; 0: by the rule */
    quern_bandwidth_rule rule;
    quern_bandwidth_shape shape;
    /* What a value may be off by, relative to itself: blocks of points that cannot add more are left out, with a certificate
       (quern/prune.h). 0: nothing is. For formulas it counts where the kernel is nowhere negative. */
    double tolerance;
} quern_density_options;

typedef struct quern_density quern_density;

typedef struct quern_density_report {
    int64_t points, dim;
    double effective;        /* Kish's number of points */
    double factor;           /* h */
    const double *bandwidth; /* H: dim x dim, lower triangular; of the density */
    double likelihood; /* the mean of log f over points, each without itself; NaN unless the rule was LIKELIHOOD */
    int64_t passes;    /* over all pairs of points, that the rule took */
} quern_density_report;

/* `weights`: a column, none negative, one positive; {0}: all the same. `options` may be null. */
QUERN_API quern_status quern_density_create(quern_density **out, quern_context *context, quern_view points,
                                            quern_view weights, const quern_density_options *options);
QUERN_API void quern_density_destroy(quern_density **density);

/* Borrowed from the density. Null for null. */
QUERN_API const quern_density_report *quern_density_report_of(const quern_density *density);

typedef enum quern_density_part {
    QUERN_DENSITY_VALUE = 0, /* f: one column */
    QUERN_DENSITY_LOG, /* log f: one column, also where f is too small for the type, for kernels with a logarithm */
    QUERN_DENSITY_LOG_GRADIENT /* its derivative: dim columns */
} quern_density_part;

/* Computes a part at points, one a row, into a view of any float type. NaN where a coordinate is not finite. `report` may be
   null: what pruning did. */
QUERN_API quern_status quern_density_at(quern_density *density, quern_density_part part, quern_view at,
                                        quern_view result, quern_pruning_report *report);

#ifdef __cplusplus
}
#endif

#endif
