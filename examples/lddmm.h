/*
 * lddmm.h: smooth motions of the whole space for the examples (LDDMM, by geodesic shooting: Miller, Trouve and Younes, 2006).
 *
 * Points q with momenta p move by Hamilton's equations, whose energy is half the sum of F = exp(-|q_i - q_j|^2 g) p_i.p_j: motion and its
 * derivative by the first momenta (adjoint equations) are derivatives of this one formula, which quern makes.
 */
#ifndef LDDMM_H
#define LDDMM_H

#include <quern.h>

enum { LDDMM_STEPS = 10 };

typedef struct lddmm {
    quern_operator *motion, *adjoint;
    int count, dim;
    float *q[LDDMM_STEPS + 1], *p[LDDMM_STEPS + 1]; /* count x dim each; q[0] is to be filled in */
    float *work;
} lddmm;

/* How far points are from where they should be, and its derivative by each coordinate. */
typedef quern_status lddmm_distance(void *user, const float *q, double *value, float *gradient);

/* All momenta 0. For lddmm_destroy also after a failure. */
quern_status lddmm_create(lddmm *out, quern_context *ctx, int count, int dim, double g);
void lddmm_destroy(lddmm *l);
/* Finds first momenta that make the distance of q[LDDMM_STEPS] small; the distance before and after. */
quern_status lddmm_search(lddmm *l, lddmm_distance *distance, void *user, int rounds, double *first, double *last);

#endif
