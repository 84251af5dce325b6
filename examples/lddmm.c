/*
 * lddmm.c: see lddmm.h. The search takes steps against the gradient, as long as the last two gradients say (Barzilai and Borwein, 1988).
 */
#include "lddmm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAIR "g=%g; x=Vi(%d); p=Vi(%d); y=Vj(%d); b=Vj(%d); F=Exp(-g*SqDist(x,y))*Scalprod(p,b); "

/* velocities of points and of momenta */
static const char motion[] = PAIR "Sum_j(Grad(F,p,1)), Sum_j(-Grad(F,x,1))";
/* what the velocities u and forces w of adjoint variables pull at points and momenta */
static const char adjoint[] =
    PAIR "u=Vi(%d); w=Vi(%d); v=Vj(%d); z=Vj(%d); G=Diff(F,p,u)+Diff(F,b,v)-Diff(F,x,w)-Diff(F,y,z);"
         "Sum_j(Grad(G,x,1)), Sum_j(Grad(G,p,1))";

quern_status lddmm_create(lddmm *out, quern_context *ctx, int count, int dim, double g)
{
    char text[512];
    const int size = count * dim, states = 2 * (LDDMM_STEPS + 1);
    *out = (lddmm){.count = count, .dim = dim};
    out->q[0] = calloc((size_t)((states + 6) * size), sizeof(float));
    if (!out->q[0]) return QUERN_MEMORY;
    for (int t = 0; t <= LDDMM_STEPS; t++)
        out->q[t] = out->q[0] + t * size, out->p[t] = out->q[0] + (LDDMM_STEPS + 1 + t) * size;
    out->work = out->q[0] + states * size;
    snprintf(text, sizeof text, motion, g, dim, dim, dim, dim);
    quern_status bad = quern_compile(&out->motion, ctx, text, NULL);
    snprintf(text, sizeof text, adjoint, g, dim, dim, dim, dim, dim, dim, dim, dim);
    return bad ? bad : quern_compile(&out->adjoint, ctx, text, NULL);
}

void lddmm_destroy(lddmm *l)
{
    quern_operator_destroy(&l->motion), quern_operator_destroy(&l->adjoint);
    free(l->q[0]);
}

static void add(const lddmm *l, float *out, const float *a, const float *b, double factor)
{
    for (int k = 0; k < l->count * l->dim; k++) out[k] = a[k] + (float)factor * b[k];
}

static double dot(const lddmm *l, const float *a, const float *b)
{
    double sum = 0;
    for (int k = 0; k < l->count * l->dim; k++) sum += (double)a[k] * (double)b[k];
    return sum;
}

/* The motion from p[0]; then the derivative of the distance by p[0]. */
static quern_status shoot(lddmm *l, lddmm_distance *distance, void *user, double *value, float *gradient)
{
    const int size = l->count * l->dim, turns = LDDMM_STEPS;
    float *u = l->work, *w = u + size, *by_q = w + size, *by_p = by_q + size;
    quern_status bad = QUERN_OK;
    const quern_view rates[] = {quern_f32(by_q, l->count, l->dim), quern_f32(by_p, l->count, l->dim)};
    for (int t = 0; t < turns && !bad; t++) {
        const quern_view q = quern_f32(l->q[t], l->count, l->dim), p = quern_f32(l->p[t], l->count, l->dim);
        bad = quern_run_all(l->motion, QUERN_ARGS({"x", q}, {"p", p}, {"y", q}, {"b", p}), (quern_outs){rates, 2});
        add(l, l->q[t + 1], l->q[t], by_q, 1.0 / turns), add(l, l->p[t + 1], l->p[t], by_p, 1.0 / turns);
    }
    memset(w, 0, (size_t)size * sizeof *w);
    if (!bad) bad = distance(user, l->q[turns], value, u);
    for (int t = turns - 1; t >= 0 && !bad; t--) {
        const quern_view q = quern_f32(l->q[t], l->count, l->dim), p = quern_f32(l->p[t], l->count, l->dim);
        const quern_view vu = quern_f32(u, l->count, l->dim), vw = quern_f32(w, l->count, l->dim);
        bad = quern_run_all(
            l->adjoint, QUERN_ARGS({"x", q}, {"p", p}, {"y", q}, {"b", p}, {"u", vu}, {"w", vw}, {"v", vu}, {"z", vw}),
            (quern_outs){rates, 2});
        add(l, u, u, by_q, 1.0 / turns), add(l, w, w, by_p, 1.0 / turns);
    }
    memcpy(gradient, w, (size_t)size * sizeof *w);
    return bad;
}

quern_status lddmm_search(lddmm *l, lddmm_distance *distance, void *user, int rounds, double *first, double *last)
{
    const int size = l->count * l->dim;
    float *gradient = l->work + 4 * size, *before = gradient + size;
    double moved;
    quern_status bad = shoot(l, distance, user, first, gradient);
    double step = 0.05 / sqrt(fmax(dot(l, gradient, gradient) / l->count, 1e-30)); /* at first a little */
    for (int round = 0; round < rounds && !bad; round++) {
        add(l, l->p[0], l->p[0], gradient, -step);
        moved = step;
        memcpy(before, gradient, (size_t)size * sizeof *before);
        bad = shoot(l, distance, user, last, gradient);
        const double square = dot(l, before, before), bend = (square - dot(l, gradient, before)) * moved;
        step = bend > 0 ? fmin(moved * moved * square / bend, 4 * moved) : moved;
    }
    return bad;
}
