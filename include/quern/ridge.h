/*
 * quern/ridge.h: kernel ridge regression at scale: values that are known at many points, and a function of few kernels that fits
 * them; also of two classes, by the logistic loss.
 *
 *     quern_ridge_create(&ridge, ctx, "rbf", quern_f32(x, N, 3), quern_f32(v, N, 2),
 *                        QUERN_ARGS({"length", quern_number(0.5)}), NULL);
 *     quern_ridge_predict(ridge, quern_f32(z, Q, 3), quern_f32(f, Q, 2));
 *     quern_ridge_destroy(&ridge);
 *
 * The function is f(z) = sum over M centres c of a_c k(z, c), and makes 1/N sum of losses(v, f(x)) + penalty/2 |f|^2 as small
 * as it gets, where |f| is the norm of the kernel's space. The method is Falkon (Rudi, Carratino and Rosasco 2017): conjugate gradients
 * on the normal equations, which never store the N x M kernels, with a preconditioner from the M x M ones; for the logistic loss
 * Newton's method around it (Meanti, Carratino, Rosasco and Rudi 2020). Memory is linear in N beside M x M numbers.
 *
 * Conventions
 *   Kernels    As in quern/gp.h, by name or as a formula, with its parameters; there is no noise. The mean of a Gaussian process with
 *              inducing points is this function of the squared loss, if N times the penalty is the noise.
 *   Precision  Kernels are computed in the points' type, M x M matrices in float64. With float32 points results are good to some 1e-3
 *              of the values, as terms of both signs cancel.
 *   Order      The same call gives the same bits.
 *   Threads    One thread at a time uses a regression.
 */
#ifndef QUERN_RIDGE_H
#define QUERN_RIDGE_H

#include "quern.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct quern_ridge quern_ridge;

typedef enum quern_ridge_loss {
    QUERN_RIDGE_SQUARED = 0, /* (v - f)^2 / 2 */
    QUERN_RIDGE_LOGISTIC     /* log(1 + exp(-v f)) of two classes v, -1 (or 0) and 1 */
} quern_ridge_loss;

typedef struct quern_ridge_options {
    size_t size;
    quern_ridge_loss loss;
    int64_t centres;          /* how many of the points, spread like these; 0: 1000 */
    quern_view centre_points; /* in their place: any points, as many rows as one likes; they are copied. {0}: none */
    double penalty;           /* 0: 1e-6 */
    bool intercept; /* f is that beside a number: the mean of the values, the logarithm of the classes' odds */
    double
        tolerance; /* relative error of the function, roughly, in the norm that is minimised; 0: 1e-6, in float32 1e-4 */
    int64_t iterations; /* of conjugate gradients, at most, after which they are taken as they are; 0: 500 */
    /* Called after each pass over all points, with what is being done, its number, and the largest relative residual or the
       objective; true stops the work, which fails with QUERN_CANCELLED. */
    bool (*progress)(void *user, const char *what, int64_t step, double number);
    void *progress_user;
} quern_ridge_options;

typedef struct quern_ridge_report {
    size_t size;
    int64_t centres;
    int64_t products; /* passes over all points and centres and back */
    int64_t steps;    /* of Newton's method, of all columns */
    double residual;  /* the largest relative residual of the last preconditioned equations, as the method has it */
    bool converged;   /* no limit of iterations was reached */
    double objective; /* 1/N sum of losses + penalty/2 |f|^2, of all columns together */
} quern_ridge_report;

/* Fits functions to N values at N points, N x D and N x R numbers, float32 or float64, each column by itself; they are copied. `parameters`
   may be empty, `options` null. Keeps the context alive. Statuses: USAGE for values that are not finite or no classes, parameters and
   options that cannot be; SHAPE; DTYPE; NAME; MISSING; NUMERIC where a solution does not converge; CANCELLED; those of
   quern_compile and quern_run. */
QUERN_API quern_status quern_ridge_create(quern_ridge **out, quern_context *context, const char *kernel,
                                          quern_view points, quern_view values, quern_args parameters,
                                          const quern_ridge_options *options);
QUERN_API void quern_ridge_destroy(quern_ridge **ridge);
/* Borrowed; null for null. */
QUERN_API const quern_ridge_report *quern_ridge_report_of(const quern_ridge *ridge);

/* The functions at Q points, Q x D numbers: Q x R numbers; of the logistic loss the probability of class 1. Statuses: SHAPE,
   DTYPE, USAGE, those of quern_run. */
QUERN_API quern_status quern_ridge_predict(const quern_ridge *ridge, quern_view points, quern_view results);

#ifdef __cplusplus
}
#endif

#endif
