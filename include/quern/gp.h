/*
 * quern/gp.h: Gaussian process regression, also called Kriging: values that are known at points, with noise, and what they say
 * of the values elsewhere, with standard deviations.
 *
 *     quern_gp_create(&gp, ctx, "matern52", quern_f64(x, N, 3), quern_f64(v, N, 1),
 *                     QUERN_ARGS({"length", quern_number(0.05)}, {"noise", quern_number(0.1)}), NULL);
 *     quern_gp_fit(gp, NULL, NULL);                        // better parameters, if wanted
 *     quern_gp_predict(gp, quern_f64(z, M, 3), quern_f64(mean, M, 1), quern_f64(variance, M, 1));
 *     quern_gp_destroy(&gp);
 *
 * A kernel is either names, `rbf`, `matern12`, `matern32`, `matern52`, `rational_quadratic`, `periodic`, added and multiplied,
 * as in "rbf + matern32*periodic"; or a formula of two points x=Vi(D), y=Vj(D) and parameters, without a reduction:
 * "x=Vi(3); y=Vj(3); l=Pm(1); Matern52(SqDist(x,y),l)". It has to be symmetric and positive definite.
 *
 * Conventions
 *   Parameters Of a name: variance (one for each term of a sum), length (a number, or one for each dimension: as many as are
 *              given), alpha of rational_quadratic, period of periodic; with several names in a kernel they are numbered by
 *              the names, from 1: length_1, length_2; a term has the number of its first name. Of a formula: its parameters.
 *              And noise: the variance of the noise, which is added to the diagonal. Variances are from 0 on, the others of
 *              a name above 0; all must be positive to be fitted.
 *              Those of a name that are not given begin with 1, lengths with the standard deviation of the points, noise with 0.1.
 *   Method     Up to some thousand points the matrix is stored and factored in float64 (Cholesky): all is exact. Beyond, or on
 *              request, nothing is stored: systems are solved by quern_solve, the determinant is estimated by stochastic
 *              Lanczos quadrature (Ubaru, Chen, Saad 2017), and what is estimated has an error bar. With inducing points
 *              (Titsias 2009) time is linear in the points, too, and the likelihood is a lower bound of that of all points.
 *   Order      The same calls give the same bits: probes come from a fixed seed.
 *   Threads    One thread at a time uses a process.
 */
#ifndef QUERN_GP_H
#define QUERN_GP_H

#include "quern.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct quern_gp quern_gp;

typedef enum quern_gp_method {
    QUERN_GP_AUTO = 0, /* QUERN_GP_CHOLESKY up to 6000 points */
    QUERN_GP_CHOLESKY,
    QUERN_GP_ITERATIVE,
    QUERN_GP_INDUCING /* some of the points stand for all; AUTO if options name them */
} quern_gp_method;

/* What is known of the mean of the process, before any value is. */
typedef enum quern_gp_mean {
    QUERN_GP_ZERO = 0, /* it is 0; simple Kriging */
    QUERN_GP_CONSTANT  /* it is a number, which is estimated; ordinary Kriging */
} quern_gp_mean;

typedef struct quern_gp_options {
    size_t size;
    quern_gp_method method;
    quern_gp_mean mean;
    bool
        standardise; /* values lose their mean and are divided by their standard deviation, which predictions get back */
    int64_t probes;  /* of the determinant's estimate; 0: 32. As many as points, or more: a basis, and no estimate */
    double tolerance;   /* of the iterative solutions' relative residuals; 0: 1e-6 */
    int64_t iterations; /* products with the matrix for each of them, at most; 0: 10,000 */
    int64_t
        neighbours; /* of each point, at most 128, in the sparse approximate inverse that iterations begin with; 0: 48 */
    /* Called after each product of an iterative solution, and after each step of a fit (with what is being done, its number, and
       the largest relative residual or the likelihood); true stops the work, which fails with QUERN_CANCELLED. */
    bool (*progress)(void *user, const char *what, int64_t step, double number);
    void *progress_user;
    int64_t inducing; /* points of the method QUERN_GP_INDUCING, some of all of them, spread like these; 0: 512 */
    quern_view inducing_points; /* in their place: any points, as many rows as one likes; they are copied. {0}: none */
} quern_gp_options;

/* A process of N values at N points, N x D and N x 1 numbers, float32 or float64; they are copied. The iterative method computes
   in the points' type. `parameters` may be empty, `options` null. Keeps the context alive. Statuses: USAGE for values
   that are not finite, parameters that cannot be, and kernels that are none; SHAPE; DTYPE; NAME; MISSING; those of
   quern_compile. */
QUERN_API quern_status quern_gp_create(quern_gp **out, quern_context *context, const char *kernel, quern_view points,
                                       quern_view values, quern_args parameters, const quern_gp_options *options);
QUERN_API void quern_gp_destroy(quern_gp **gp);

/* ---- parameters ------------------------------------------------------------------------------------------------- */

typedef struct quern_gp_parameter {
    const char *name;
    int64_t length;       /* how many numbers it has */
    const double *values; /* borrowed; as they are now */
} quern_gp_parameter;

/* Those of the kernel, then noise; index below the count, else all zero. */
QUERN_API size_t quern_gp_parameter_count(const quern_gp *gp);
QUERN_API quern_gp_parameter quern_gp_parameter_at(const quern_gp *gp, size_t index);
/* Changes some. Statuses: NAME, SHAPE, DTYPE, USAGE. */
QUERN_API quern_status quern_gp_set(quern_gp *gp, quern_args parameters);
/* The formula of the kernel, of an entry of the matrix; borrowed. */
QUERN_API const char *quern_gp_formula(const quern_gp *gp);

/* ---- likelihood ------------------------------------------------------------------------------------------------- */

typedef struct quern_gp_report {
    size_t size;
    quern_gp_method method; /* that was used */
    double log_likelihood;  /* log marginal likelihood of the values, as they were standardised; or a lower bound */
    double log_likelihood_error; /* its standard error; 0: exact */
    double log_determinant;      /* of the kernel's matrix with noise */
    double residual;             /* the largest relative residual of an iterative solution */
    int64_t products;            /* with the matrix, since the process was created */
    double mean, deviation,
        trend;          /* of the values, if they were standardised, else 0 and 1; the constant mean, standardised */
    int64_t inducing;   /* points; 0: another method */
    double unexplained; /* the part of the prior variance of all points that inducing points leave */
} quern_gp_report;

/* The log marginal likelihood, and its derivatives with respect to all numbers of all parameters, one after the other, in a row of
   as many float64 numbers; {0}: not wanted. The iterative method estimates both with the same probes. Statuses: NUMERIC for
   a matrix that is not positive definite or a solution that does not converge; SHAPE; DTYPE; CANCELLED; those of quern_run. */
QUERN_API quern_status quern_gp_likelihood(quern_gp *gp, quern_gp_report *report, quern_view gradient);

typedef enum quern_gp_optimiser {
    QUERN_GP_LBFGS = 0, /* L-BFGS (Nocedal 1980) */
    QUERN_GP_ADAM       /* Adam (Kingma and Ba 2015), of logarithms by `rate` a step */
} quern_gp_optimiser;

typedef struct quern_gp_fit_options {
    size_t size;
    quern_gp_optimiser optimiser;
    int64_t steps; /* at most; 0: 50 */
    double rate;   /* of Adam; 0: 0.1 */
    double
        tolerance; /* of the largest derivative by the logarithm of a parameter, relative to the number of values; 0: 1e-5 */
    const char *fixed; /* names of parameters that stay as they are, with blanks between; null: none. Zeros stay, too */
} quern_gp_fit_options;

/* Looks for parameters with the largest likelihood, beginning with those there are, on their logarithms, and keeps the best that
   were found, also where it fails or is stopped. `options` and `report` may be null; the report is of the best. */
QUERN_API quern_status quern_gp_fit(quern_gp *gp, const quern_gp_fit_options *options, quern_gp_report *report);

/* ---- predictions ------------------------------------------------------------------------------------------------ */

/* The mean and the variance of the process at M points, M x D numbers: M x 1 numbers each, without noise (an observation varies
   by noise more), in the values' unit. Results are float32 or float64; {0}: not wanted. Means take one pass over M x N
   pairs, or M x inducing points; a variance is a system of its own. Statuses as of quern_gp_likelihood. */
QUERN_API quern_status quern_gp_predict(quern_gp *gp, quern_view points, quern_view mean, quern_view variance);

#ifdef __cplusplus
}
#endif

#endif
