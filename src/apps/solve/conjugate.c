/*
 * conjugate.c: conjugate gradients (Hestenes and Stiefel 1952), preconditioned, for symmetric positive definite matrices.
 */
#include <math.h>

#include "apps/solve/methods.h"

void q_solve_add(const q_solve_work *w, double *x, const double *factor, double sign, const double *y)
{
    for (int64_t i = 0; i < w->rows; i++)
        for (int64_t r = 0; r < w->R; r++) x[i * w->R + r] += sign * factor[r] * y[i * w->R + r];
}

/* x = y + factor * x by right-hand side. */
static void follow(const q_solve_work *w, double *x, const double *factor, const double *y)
{
    for (int64_t i = 0; i < w->rows; i++)
        for (int64_t r = 0; r < w->R; r++) x[i * w->R + r] = y[i * w->R + r] + factor[r] * x[i * w->R + r];
}

static void dots(const q_solve_work *w, const double *x, const double *y, double *out)
{
    q_dots(w->rows, w->R, x, y, out);
}

static quern_status conjugate_begin(q_solve_work *w)
{
    Q_TRY(q_preconditioner_solve(&w->inverse, w->R, w->r, w->p));
    dots(w, w->r, w->p, w->rz);
    return QUERN_OK;
}

/* One step of the right-hand sides that are not done: factors of the others are 0. */
static quern_status conjugate_step(q_solve_work *w)
{
    Q_TRY(q_linear_product(w->a, w->inner, w->R, w->p, w->q));
    dots(w, w->p, w->q, w->pq);
    for (int64_t r = 0; r < w->R; r++) {
        if (!w->done[r] && !isfinite(w->pq[r])) return q_linear_not_finite(w->pq[r]);
        if (!w->done[r] && !(w->pq[r] > 0)) w->curved = w->done[r] = true;
        w->pq[r] = w->done[r] ? 0 : w->rz[r] / w->pq[r];
    }
    q_solve_add(w, w->d, w->pq, 1, w->p);
    q_solve_add(w, w->r, w->pq, -1, w->q);
    dots(w, w->r, w->r, w->now);
    for (int64_t r = 0; r < w->R; r++) {
        w->now[r] = sqrt(w->now[r]);
        w->done[r] = w->done[r] || w->now[r] <= w->goal[r];
    }
    Q_TRY(q_preconditioner_solve(&w->inverse, w->R, w->r, w->z));
    dots(w, w->r, w->z, w->pq);
    for (int64_t r = 0; r < w->R; r++) {
        double rz = w->pq[r];
        w->pq[r] = w->done[r] ? 0 : rz / w->rz[r];
        w->rz[r] = rz;
    }
    follow(w, w->p, w->pq, w->z);
    return QUERN_OK;
}

const q_solve_method q_solve_conjugate = {
    .begin = conjugate_begin, .step = conjugate_step, .progress = 0.5, .symmetric = true, .positive = true};
