/*
 * methods.h: what quern_solve and its methods share. A method works on residuals r, of size 1, and leaves in d what is to be added to
 * the solution, multiplied by the residual's size; right-hand sides that are done have no more part in it.
 */
#ifndef QUERN_APPS_SOLVE_METHODS_H
#define QUERN_APPS_SOLVE_METHODS_H

#include "apps/solve/linear.h"

typedef struct q_solve_method q_solve_method;

/* Vectors have rows x R numbers, the others R. */
typedef struct q_solve_work {
    const quern_linear *a;
    const quern_solve_options *options;
    const q_solve_method *method;
    int64_t rows, R, products, refinements;
    quern_dtype inner, outer; /* types that products are computed in */
    q_preconditioner inverse;
    double *b, *c, *best;      /* best: the solution with the least residual */
    double *r, *z, *p, *q, *d; /* of the method; d is what it adds to c */
    double *norm, *size;       /* |b|; |r| when the method began, by which all of it is divided */
    double *rz, *pq, *now, *goal;
    bool *done;
    double residual, best_residual; /* the largest relative one; those of c and best */
    bool curved;                    /* a direction was met in which the matrix is not positive */
    void *state;                    /* the method's own, from its begin to its end */
} q_solve_work;

/* A row for each method. */
struct q_solve_method {
    /* With the residual r; a step, which takes one product and leaves in `now` the sizes of the residuals; and what is left to do to
       have d, also after a failure. */
    quern_status (*begin)(q_solve_work *w);
    quern_status (*step)(q_solve_work *w);
    quern_status (*end)(q_solve_work *w);
    int64_t steps;            /* after so many it is begun anew; 0: never */
    double progress;          /* of a residual, what is left of it at most before the method is given up */
    bool symmetric, positive; /* what the matrix has to be */
};

extern const q_solve_method q_solve_conjugate, q_solve_minres, q_solve_gmres;

/* x += sign * factor[r] * y by right-hand side. */
void q_solve_add(const q_solve_work *w, double *x, const double *factor, double sign, const double *y);

#endif
