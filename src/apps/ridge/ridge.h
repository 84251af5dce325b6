/*
 * ridge.h: what the files behind quern/ridge.h share. L L^T is the kernel of the centres, C that of the N points with the M centres,
 * s the penalty. The equations (C^T W C + s N L L^T) a = b have the preconditioner N L E E^T L^T, E E^T = L^T W L / M + s, of
 * which they are about a multiple where the centres are spread like the points; in g = sqrt(N) E^T L^T a they are near 1.
 */
#ifndef QUERN_APPS_RIDGE_H
#define QUERN_APPS_RIDGE_H

#include "apps/kernel/kernel.h"
#include "quern/ridge.h"

struct quern_ridge {
    quern_context *context;
    quern_ridge_options options;
    q_kernel kernel;
    int64_t N, D, R, M;
    double *z; /* centres, M x D */
    void *singles;
    quern_view centres;       /* in the type of runs */
    double *weights, *offset; /* M x R; R */
    quern_ridge_report report;
};

/* What a fit needs, and nothing after it. */
typedef struct q_ridge_fit {
    quern_ridge *ridge;
    double *x, *v; /* points and values, N x D and N x R */
    void *singles;
    quern_view points;    /* in the type of runs */
    quern_linear *across; /* C */
    double *L, *E, *U;    /* M x M; U is L^T */
    double *W;            /* N; null: all 1 */
    double *room;         /* N x R and twice M x R */
} q_ridge_fit;

// system.c: the equations

/* L and U. */
quern_status q_ridge_factor(q_ridge_fit *fit);
/* E, with weights of the centres, or null for 1. */
quern_status q_ridge_precondition(q_ridge_fit *fit, const double *weights);
/* out = C in or C^T in, of R columns. */
quern_status q_ridge_product(const q_ridge_fit *fit, bool transposed, int64_t R, const double *in, double *out);
/* out = (C^T W C + s N L L^T)^-1 in, M x R numbers, but for this part of its energy norm. */
quern_status q_ridge_solve(q_ridge_fit *fit, int64_t R, double tolerance, const double *in, double *out);
/* out = L^T in, one column. */
void q_ridge_norm_vector(const q_ridge_fit *fit, const double *in, double *out);
quern_status q_ridge_tell(const quern_ridge *ridge, const char *what, int64_t step, double number);

// squared.c, logistic.c: losses; ridge->weights and ->offset

quern_status q_ridge_squared(q_ridge_fit *fit);
quern_status q_ridge_logistic(q_ridge_fit *fit);

#endif
