/*
 * minres.c: the least residual of all vectors of the Krylov space, for symmetric matrices that need not be positive (MINRES, Paige and
 * Saunders 1975): Lanczos's recurrence, and rotations that make its matrix triangular as it grows.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/solve/methods.h"

/* What a right-hand side has of the triangular matrix. */
typedef struct rotation {
    double first, c, s, beside, above, left; /* first: |r|; left: |r - A d| so far */
    double along, before, scale;             /* factors of the step */
} rotation;

typedef struct minres {
    q_lanczos lanczos;
    rotation *turn;
    double *w, *w_before; /* the directions of the last two steps */
} minres;

static quern_status minres_begin(q_solve_work *work)
{
    size_t vector = (size_t)(work->rows * work->R);
    minres *m = work->state = calloc(1, sizeof *m);
    if (!m) return q_fail_memory(sizeof *m);
    m->turn = calloc((size_t)work->R, sizeof *m->turn);
    m->w = calloc(2 * vector + 1, sizeof *m->w);
    if (!m->turn || !m->w) return q_fail_memory(2 * vector * sizeof *m->w);
    m->w_before = m->w + vector;
    m->lanczos =
        (q_lanczos){.a = work->a, .inverse = &work->inverse, .dtype = work->inner, .rows = work->rows, .R = work->R};
    Q_TRY(q_lanczos_begin(&m->lanczos, work->r));
    for (int64_t r = 0; r < work->R; r++)
        m->turn[r] = (rotation){.first = m->lanczos.beta[r], .left = m->lanczos.beta[r], .c = -1};
    return QUERN_OK;
}

/* The next column of the triangular matrix; false if the right-hand side is done with it. */
static bool turn(rotation *t, double alpha, double beta)
{
    double above = t->above, delta = t->c * t->beside + t->s * alpha, bar = t->s * t->beside - t->c * alpha;
    t->above = t->s * beta, t->beside = -t->c * beta;
    double gamma = hypot(bar, beta);
    if (!(gamma > DBL_EPSILON * (fabs(alpha) + fabs(delta) + beta))) return false; /* singular */
    t->c = bar / gamma, t->s = beta / gamma;
    t->along = delta, t->before = above, t->scale = 1 / gamma;
    return true;
}

static quern_status minres_step(q_solve_work *work)
{
    minres *m = work->state;
    q_lanczos *l = &m->lanczos;
    int64_t R = work->R;
    Q_TRY(q_lanczos_step(l));
    for (int64_t r = 0; r < R; r++) {
        rotation *t = &m->turn[r];
        if (work->done[r] || !turn(t, l->alpha[r], l->beta[r])) {
            work->done[r] = true;
            t->scale = 0; /* no part in the step */
        }
    }
    for (int64_t i = 0; i < work->rows; i++)
        for (int64_t r = 0; r < R; r++) {
            const rotation *t = &m->turn[r];
            int64_t e = i * R + r;
            double next = (l->v[e] - t->before * m->w_before[e] - t->along * m->w[e]) * t->scale;
            m->w_before[e] = m->w[e], m->w[e] = next;
            work->d[e] += t->c * t->left * next;
        }
    for (int64_t r = 0; r < R; r++) {
        rotation *t = &m->turn[r];
        if (work->done[r]) continue;
        t->left *= t->s;
        work->now[r] = t->left / t->first;
        work->done[r] = work->now[r] <= work->goal[r] || l->beta[r] == 0;
    }
    return QUERN_OK;
}

static quern_status minres_end(q_solve_work *work)
{
    minres *m = work->state;
    if (!m) return QUERN_OK;
    q_lanczos_end(&m->lanczos);
    free(m->turn);
    free(m->w);
    free(m);
    work->state = NULL;
    return QUERN_OK;
}

const q_solve_method q_solve_minres = {
    .begin = minres_begin, .step = minres_step, .end = minres_end, .progress = 0.5, .symmetric = true};
