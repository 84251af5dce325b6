/*
 * quern/spectra.h: what the eigenvalues of an operator say, without its matrix (quern/solve.h).
 *
 *     quern_eigenpairs(A, quern_f64(values, 10, 1), quern_f64(vectors, N, 10), NULL, NULL);     // the 10 largest
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

/* ---- eigenpairs ------------------------------------------------------------------------------------------------- */

typedef enum quern_eigenvalues {
    QUERN_EIGEN_LARGEST = 0, /* in descending order */
    QUERN_EIGEN_SMALLEST, /* in ascending order; those of matrices whose small ones crowd about 0 take many products */
    QUERN_EIGEN_MAGNITUDE /* the largest without their signs, in descending order of that */
} quern_eigenvalues;

typedef enum quern_eigen_method {
    QUERN_EIGEN_LANCZOS = 0, /* block Lanczos with thick restarts (Wu and Simon 2000), reorthogonalised */
    /* Randomised subspace iteration (Halko, Martinsson and Tropp 2011): all vectors are multiplied and made orthonormal again. More
       products in less memory: a round makes the error of a vector smaller by the ratio of the largest eigenvalue that
       has no vector to its own. The smallest of a positive definite matrix take very many. */
    QUERN_EIGEN_SUBSPACE
} quern_eigen_method;

typedef struct quern_eigen_options {
    size_t size;
    quern_eigenvalues which;
    double tolerance;     /* of |A v - e v| in relation to the largest |e|; 0: 1e-10, with float32 arrays 1e-5 */
    int64_t iterations;   /* products with `block` vectors, at most; 0: 1000 */
    int64_t block;        /* vectors of a product, at most 16; 0: 8, of a subspace 16 */
    int64_t basis;        /* vectors that are kept, as float64 on the host; 0: twice the eigenpairs and 12 blocks, or
                             twice the eigenpairs in whole blocks, which a subspace keeps with their products */
    uint64_t seed;        /* another one begins with other vectors */
    quern_view residuals; /* {0}, or where |A v - e v| of each pair goes, computed from it: one column */
    /* Called after each product with their number and the largest relative residual of the pairs; true stops with CANCELLED. */
    bool (*progress)(void *user, int64_t iteration, double residual);
    void *progress_user;
    quern_eigen_method method;
} quern_eigen_options;

typedef struct quern_eigen_report {
    size_t size;
    int64_t iterations, restarts;
    double residual; /* the largest |A v - e v| in relation to the largest |e|, computed from the pairs */
    bool exact;      /* that was done in float64 */
    bool converged;  /* it is within the tolerance */
} quern_eigen_report;

/* As many eigenvalues as `values` has rows, and their eigenvectors of length 1, the columns of `vectors` ({0}: they are not
   wanted), of a symmetric operator. Each is no further from an eigenvalue of the operator than its residual. Products are in
   float64 where the device has it and the tolerance is below 1e-5. `options` and `report` may be null. Statuses: NUMERIC, with the
   pairs so far and the reason, where the tolerance is not reached; NUMERIC for a matrix that is not symmetric or not finite; SHAPE
   for more eigenpairs than rows; USAGE, DTYPE, CANCELLED, with the pairs so far, those of quern_run. */
QUERN_API quern_status quern_eigenpairs(const quern_linear *linear, quern_view values, quern_view vectors,
                                        const quern_eigen_options *options, quern_eigen_report *report);

/* ---- traces of functions ---------------------------------------------------------------------------------------- */

typedef struct quern_trace_options {
    size_t size;
    int64_t probes;     /* random vectors; 0: 16. As many as there are rows, or more: the vectors of a basis instead */
    int64_t iterations; /* products for each 16 of them, at most; 0: 300 */
    double tolerance;   /* relative, of what more products would change; 0: 1e-5 */
    uint64_t seed;      /* another one draws other vectors */
    /* Of the log-determinant: that of an approximate inverse is known, and little is left to estimate. */
    quern_preconditioner preconditioner;
    int64_t rank; /* as quern_solve_options.rank; AUTO has no blocks */
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
