/*
 * mixture.h: what the files behind quern/mixture.h share. mixture.c has the calls, steps.c expectation and maximisation,
 * covariance.c the three kinds of covariance.
 */
#ifndef QUERN_APPS_MIXTURE_H
#define QUERN_APPS_MIXTURE_H

#include "apps/kmeans/kmeans.h"
#include "quern/mixture.h"

// ---- covariance.c ----

/* A kind of covariance: formulas of u = x - m, and of P, what a component has in place of its inverse, and what the host makes
   of their sums. */
typedef struct q_covariance_kind {
    const char *square;                 /* the squared distance, in units of the covariance */
    const char *moment;                 /* whose mean is the covariance */
    int64_t (*length)(int64_t dim);     /* of P, of the moment and of the covariance */
    int64_t (*parameters)(int64_t dim); /* free ones */
    /* Takes the square of a mean away from the moment: it was about another point. */
    void (*centre)(double *moment, const double *mean, int64_t dim);
    void (*regularize)(double *covariance, double by, int64_t dim);
    /* P, half the logarithm of its determinant, and the least variance of a coordinate given those before; that is not positive where
       there is no inverse. */
    double (*invert)(const double *covariance, int64_t dim, double *P, double *log_determinant);
} q_covariance_kind;

extern const q_covariance_kind q_covariance_kinds[3];

// ---- steps.c ----

typedef struct q_mixture {
    quern_context *context;
    quern_dtype dtype;
    int64_t k, dim, length; /* length: of a covariance */
    const q_covariance_kind *kind;
    double *weights, *means, *covariances; /* the mixture's own */
    double *inverses, *constants;          /* what formulas take: P, and the logarithm of a density at the mean */
    quern_array *mean_array, *inverse_array, *constant_array;
} q_mixture;

quern_status q_mixture_create(q_mixture *m, quern_context *context, quern_dtype dtype, int64_t components, int64_t dim,
                              quern_covariance covariance);
void q_mixture_destroy(q_mixture *m);
/* Fills in what formulas take, of weights, means and covariances, and tells the device. NUMERIC. */
quern_status q_mixture_prepare(q_mixture *m);
/* An operator of x, over i, and the components, over j, with the result `text`, in which s stands for the logarithm of weight
   times density, u for x - m, l for one more variable over i. */
quern_status q_mixture_compile(quern_operator **out, const q_mixture *m, const char *const *texts, size_t count);
/* Runs one; l may be null. */
quern_status q_mixture_run(const q_mixture *m, quern_operator *op, const q_points *points, const quern_array *l,
                           quern_outs results);

typedef struct q_steps {
    q_mixture *m;
    const q_points *points;
    double regularization;
    quern_operator *expect, *maximize, *begin; /* begin: maximize for labels in place of log-densities */
    quern_array *log_densities;
    void *densities;                    /* the same on the host, in the points' type */
    quern_array *mass, *first, *second; /* moments on the device: k, k x dim, k x length */
    double *masses, *firsts, *seconds;  /* and on the host */
    int64_t degenerate;                 /* components whose least variance is not above the regularization */
} q_steps;

quern_status q_steps_create(q_steps *s, q_mixture *m, const q_points *points, double regularization);
void q_steps_destroy(q_steps *s);
/* Components of the points of each label, about the means that the mixture has. */
quern_status q_steps_begin(q_steps *s, const int32_t *labels);
/* Components of the points' responsibilities, after an expectation. */
quern_status q_steps_maximize(q_steps *s);
/* The logarithm of the density of each point, and their mean. */
quern_status q_steps_expect(q_steps *s, double *log_likelihood);

#endif
