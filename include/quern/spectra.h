/*
 * quern/spectra.h: what the eigenvalues of an operator say, without its matrix (quern/solve.h).
 *
 *     double value;
 *     quern_trace_report report = QUERN_DEFAULTS(quern_trace_report);
 *     quern_log_determinant(&value, A, NULL, &report);      // of K + shift: value, give or take report.error
 *
 * Conventions
 *   Operators  Symmetric. That they are is the program's word, which is checked as far as vectors without a pattern tell.
 *   Precision  Products are computed in the type of the operator's arrays, all else in float64 on the host.
 *   Order      The same call gives the same bits: random vectors come from a seed.
 *   Threads    Several calls may use one operator.
 */
#ifndef QUERN_SPECTRA_H
#define QUERN_SPECTRA_H

#include "quern/solve.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- traces of functions ---------------------------------------------------------------------------------------- */

typedef struct quern_trace_options {
    size_t size;
    int64_t probes;     /* random vectors; 0: 16. As many as there are rows, or more: the vectors of a basis instead */
    int64_t iterations; /* products for each 16 of them, at most; 0: 300 */
    double tolerance;   /* relative, of what more products would change; 0: 1e-5 */
    uint64_t seed;      /* another one draws other vectors */
    /* Of the log-determinant: that of an approximate inverse is known, and little is left to estimate. */
    quern_preconditioner preconditioner;
    int64_t rank; /* as quern_solve_options.rank */
    /* Called after each product with their number and what the last ones have changed, relatively; true stops with CANCELLED. */
    bool (*progress)(void *user, int64_t iteration, double change);
    void *progress_user;
} quern_trace_options;

typedef struct quern_trace_report {
    size_t size;
    double error;       /* of the value, from the random vectors: one standard error; 0 with a basis */
    double truncation;  /* what the last tenth of the products has changed in the value */
    double least, most; /* the least and the largest eigenvalue met, of the preconditioned matrix if there is a rank */
    int64_t probes, iterations;
    int64_t rank;   /* of the preconditioner; 0: none */
    bool converged; /* truncation is within the tolerance, or a twentieth of the error */
} quern_trace_report;

/* log det A of a positive definite operator, by stochastic Lanczos quadrature (Ubaru, Chen, Saad 2017), preconditioned (Wenger et
   al. 2022). `options` and `report` may be null. Of no rows: 0. The value is NaN after a failure, but for one: NUMERIC, with the value
   so far, if the limit of iterations is reached. Statuses: NUMERIC for an eigenvalue that is not positive, a matrix that is not symmetric, products that are not finite; USAGE, SHAPE,
   CANCELLED, those of quern_run. */
QUERN_API quern_status quern_log_determinant(double *value, const quern_linear *linear,
                                             const quern_trace_options *options, quern_trace_report *report);

/* The trace of f(A): the sum of f over all eigenvalues. A null function is f(x) = x: the trace of A, which need not
   be symmetric for that. Without a preconditioner.
   Statuses: the same; NUMERIC where f is not finite at an eigenvalue. */
QUERN_API quern_status quern_trace(double *value, const quern_linear *linear,
                                   double (*function)(void *user, double eigenvalue), void *user,
                                   const quern_trace_options *options, quern_trace_report *report);

#ifdef __cplusplus
}
#endif

#endif
