/*
 * gmres.c: the least residual of all vectors of the Krylov space, for any matrix (GMRES, Saad and Schultz 1986), restarted: Arnoldi's
 * basis of each right-hand side is kept, which is what limits the steps. The preconditioner is applied from the right, so the
 * residuals are those of the system.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/solve/methods.h"

enum { STEPS = 30 };

/* What a right-hand side has of Hessenberg's matrix, made triangular by rotations. */
typedef struct hessenberg {
    double H[STEPS][STEPS], column[STEPS + 1]; /* H[k]: the column k */
    double c[STEPS], s[STEPS], g[STEPS + 1], left;
    int steps;
} hessenberg;

typedef struct gmres {
    double *V; /* STEPS + 1 blocks of rows x R numbers */
    hessenberg *h;
    int steps;
} gmres;

static quern_status gmres_begin(q_solve_work *w)
{
    size_t vector = (size_t)(w->rows * w->R);
    gmres *m = w->state = calloc(1, sizeof *m);
    if (!m) return q_fail_memory(sizeof *m);
    m->V = malloc((STEPS + 1) * vector * sizeof *m->V + 1);
    m->h = calloc((size_t)w->R, sizeof *m->h);
    if (!m->V || !m->h) return q_fail_memory((STEPS + 1) * vector * sizeof *m->V);
    memcpy(m->V, w->r, vector * sizeof *m->V);
    for (int64_t r = 0; r < w->R; r++) m->h[r].g[0] = w->done[r] ? 0 : 1;
    return QUERN_OK;
}

/* Takes the basis out of the block x; what that was is the column of H. Twice, so that the basis stays orthogonal. */
static void orthogonalise(const q_solve_work *w, gmres *m, double *x)
{
    size_t vector = (size_t)(w->rows * w->R);
    for (int64_t r = 0; r < w->R; r++) memset(m->h[r].column, 0, sizeof m->h[r].column);
    for (int again = 0; again < 2; again++)
        for (int k = 0; k <= m->steps; k++) {
            const double *v = m->V + (size_t)k * vector;
            q_dots(w->rows, w->R, v, x, w->pq);
            q_solve_add(w, x, w->pq, -1, v);
            for (int64_t r = 0; r < w->R; r++) m->h[r].column[k] += w->pq[r];
        }
    q_dots(w->rows, w->R, x, x, w->pq);
    for (int64_t r = 0; r < w->R; r++) w->pq[r] = sqrt(w->pq[r]);
}

/* The rotations so far, and one more that takes `below` to 0. */
static void rotate(hessenberg *h, int k, double below)
{
    double *column = h->column;
    for (int j = 0; j < k; j++) {
        double upper = column[j];
        column[j] = h->c[j] * upper + h->s[j] * column[j + 1];
        column[j + 1] = h->c[j] * column[j + 1] - h->s[j] * upper;
    }
    double size = hypot(column[k], below);
    h->c[k] = size > 0 ? column[k] / size : 1, h->s[k] = size > 0 ? below / size : 0;
    column[k] = size;
    memcpy(h->H[k], column, sizeof h->H[k]);
    h->g[k + 1] = -h->s[k] * h->g[k];
    h->g[k] *= h->c[k];
    h->steps = k + 1;
}

static quern_status gmres_step(q_solve_work *w)
{
    gmres *m = w->state;
    size_t vector = (size_t)(w->rows * w->R);
    double *next = m->V + (size_t)(m->steps + 1) * vector;
    Q_TRY(q_preconditioner_solve(&w->inverse, w->R, m->V + (size_t)m->steps * vector, w->z));
    Q_TRY(q_linear_product(w->a, w->inner, w->R, w->z, next));
    orthogonalise(w, m, next);
    for (int64_t r = 0; r < w->R; r++) {
        double below = w->pq[r], size = below;
        if (!isfinite(below)) return q_linear_not_finite(below);
        for (int k = 0; k <= m->steps; k++) size = hypot(size, m->h[r].column[k]);
        bool more = !w->done[r] && below > 1e-14 * size; /* else the space is all that there is */
        w->pq[r] = more ? 1 / below : 0;
        if (w->done[r]) continue;
        rotate(&m->h[r], m->steps, below);
        w->now[r] = fabs(m->h[r].g[m->steps + 1]);
        w->done[r] = !more || w->now[r] <= w->goal[r];
    }
    for (size_t e = 0; e < vector; e++) next[e] *= w->pq[e % (size_t)w->R];
    m->steps++;
    return QUERN_OK;
}

/* Solves H y = g in g; where H is singular the numbers are left out. */
static void solve_triangle(hessenberg *h)
{
    for (int k = h->steps - 1; k >= 0; k--) {
        for (int j = k + 1; j < h->steps; j++) h->g[k] -= h->H[j][k] * h->g[j];
        h->g[k] = h->H[k][k] > 0 ? h->g[k] / h->H[k][k] : 0;
    }
}

/* d = preconditioner times the basis times y. */
static quern_status gmres_end(q_solve_work *w)
{
    gmres *m = w->state;
    if (!m) return QUERN_OK;
    size_t vector = (size_t)(w->rows * w->R);
    quern_status status = QUERN_OK;
    if (m->V && m->h) {
        memset(w->z, 0, vector * sizeof *w->z);
        for (int64_t r = 0; r < w->R; r++) solve_triangle(&m->h[r]);
        for (int k = 0; k < m->steps; k++) {
            for (int64_t r = 0; r < w->R; r++) w->pq[r] = k < m->h[r].steps ? m->h[r].g[k] : 0;
            q_solve_add(w, w->z, w->pq, 1, m->V + (size_t)k * vector);
        }
        status = q_preconditioner_solve(&w->inverse, w->R, w->z, w->d);
    }
    free(m->V);
    free(m->h);
    free(m);
    w->state = NULL;
    return status;
}

const q_solve_method q_solve_gmres = {
    .begin = gmres_begin, .step = gmres_step, .end = gmres_end, .steps = STEPS, .progress = 0.999};
