/*
 * 21_shapes: a circle becomes a clover by a smooth motion of the whole plane (LDDMM, by geodesic shooting: Miller, Trouve and
 * Younes, 2006).
 *
 *     21_shapes [shapes.png]
 *
 * Points q with momenta p move by Hamilton's equations, whose energy is half the sum of F = exp(-|q_i - q_j|^2 g) p_i.p_j: all of
 * what follows is derivatives of this one formula, which quern makes. Sought are the first momenta. How far the last curve is from
 * the clover is a varifold distance (Charon and Trouve, 2013), which compares places and directions of segments and needs no
 * correspondence of points; its derivative is carried back through the motion by the adjoint equations.
 */
#include <math.h>
#include <quern.h>
#include <stdio.h>
#include <string.h>

#include "canvas.h"

enum { COUNT = 200, STEPS = 10, ROUNDS = 120, SIDE = 600 };

typedef float curve[COUNT][2];

#define POINTS(name)                          \
    {                                         \
#name, quern_f32((name)[0], COUNT, 2) \
    }
#define PAIR "g=12; x=Vi(2); p=Vi(2); y=Vj(2); b=Vj(2); F=Exp(-g*SqDist(x,y))*Scalprod(p,b); "

static const char *const formulas[] = {
    /* velocities of points and of momenta */
    PAIR "Sum_j(Grad(F,p,1)), Sum_j(-Grad(F,x,1))",
    /* what the velocities u and forces w of adjoint variables pull at points and momenta */
    PAIR "u=Vi(2); w=Vi(2); v=Vj(2); z=Vj(2); G=Diff(F,p,u)+Diff(F,b,v)-Diff(F,x,w)-Diff(F,y,z);"
         "Sum_j(Grad(G,x,1)), Sum_j(Grad(G,p,1))",
    /* segments at x and y, of directions p and b */
    "x=Vi(2); p=Vi(2); y=Vj(2); b=Vj(2); F=Exp(-20*SqDist(x,y))*Square(Scalprod(p,b))/(Norm2(p)*Norm2(b));"
    "Sum_i(Sum_j(F)), Sum_j(Grad(F,x,1)), Sum_j(Grad(F,p,1))"};
static quern_operator *motion, *adjoint, *varifold;

static curve q[STEPS + 1], p[STEPS + 1], target;

static void segments(const curve points, curve middle, curve along)
{
    for (int k = 0; k < COUNT; k++)
        for (int d = 0; d < 2; d++) {
            const float a = points[k][d], b = points[(k + 1) % COUNT][d];
            middle[k][d] = (a + b) / 2, along[k][d] = b - a;
        }
}

/* The product of two curves in the space of varifolds, and its derivatives by the first. */
static quern_status multiply(const curve first, const curve second, float *value, curve by_middle, curve by_along)
{
    curve x, pp, y, b;
    segments(first, x, pp), segments(second, y, b);
    return quern_run_all(
        varifold, QUERN_ARGS(POINTS(x), {"p", quern_f32(pp[0], COUNT, 2)}, POINTS(y), POINTS(b)),
        QUERN_OUTS(quern_f32(value, 1, 1), quern_f32(by_middle[0], COUNT, 2), quern_f32(by_along[0], COUNT, 2)));
}

/* The squared distance of the last curve to the target, without what does not change, and its derivative by points. */
static quern_status distance(double *value, curve gradient)
{
    curve own[2], cross[2];
    float itself, between;
    quern_status bad = multiply(q[STEPS], q[STEPS], &itself, own[0], own[1]);
    if (!bad) bad = multiply(q[STEPS], target, &between, cross[0], cross[1]);
    *value = (double)itself - 2 * (double)between;
    for (int k = 0; k < COUNT; k++)
        for (int d = 0; d < 2; d++) {
            const int before = (k + COUNT - 1) % COUNT;
            gradient[k][d] = own[0][k][d] + own[0][before][d] - cross[0][k][d] - cross[0][before][d] +
                             2 * (own[1][before][d] - own[1][k][d] - cross[1][before][d] + cross[1][k][d]);
        }
    return bad;
}

static void add(curve out, const curve a, const curve b, float factor)
{
    for (int k = 0; k < COUNT; k++)
        for (int d = 0; d < 2; d++) out[k][d] = a[k][d] + factor * b[k][d];
}

/* The motion from p[0]; then the derivative of the distance by p[0]. */
static quern_status shoot(double *value, curve gradient)
{
    curve u, w = {{0}}, to_q, to_p;
    quern_status bad = QUERN_OK;
    for (int t = 0; t < STEPS && !bad; t++) {
        bad = quern_run_all(motion,
                            QUERN_ARGS({"x", quern_f32(q[t][0], COUNT, 2)}, {"p", quern_f32(p[t][0], COUNT, 2)},
                                       {"y", quern_f32(q[t][0], COUNT, 2)}, {"b", quern_f32(p[t][0], COUNT, 2)}),
                            QUERN_OUTS(quern_f32(to_q[0], COUNT, 2), quern_f32(to_p[0], COUNT, 2)));
        add(q[t + 1], q[t], to_q, 1.0f / STEPS), add(p[t + 1], p[t], to_p, 1.0f / STEPS);
    }
    if (!bad) bad = distance(value, u);
    for (int t = STEPS - 1; t >= 0 && !bad; t--) {
        bad = quern_run_all(adjoint,
                            QUERN_ARGS({"x", quern_f32(q[t][0], COUNT, 2)}, {"p", quern_f32(p[t][0], COUNT, 2)},
                                       {"y", quern_f32(q[t][0], COUNT, 2)}, {"b", quern_f32(p[t][0], COUNT, 2)},
                                       POINTS(u), POINTS(w), {"v", quern_f32(u[0], COUNT, 2)},
                                       {"z", quern_f32(w[0], COUNT, 2)}),
                            QUERN_OUTS(quern_f32(to_q[0], COUNT, 2), quern_f32(to_p[0], COUNT, 2)));
        add(u, u, to_q, 1.0f / STEPS), add(w, w, to_p, 1.0f / STEPS);
    }
    memcpy(gradient, w, sizeof w);
    return bad;
}

static double dot(const curve a, const curve b)
{
    double sum = 0;
    for (int k = 0; k < COUNT; k++)
        for (int d = 0; d < 2; d++) sum += (double)a[k][d] * (double)b[k][d];
    return sum;
}

/* Steps against the gradient, as long as the last two gradients say (Barzilai and Borwein, 1988). */
static quern_status search(double *first, double *last)
{
    curve gradient, before, difference;
    double step = 0.02, moved = 0;
    quern_status bad = shoot(first, gradient);
    for (int round = 0; round < ROUNDS && !bad; round++) {
        add(p[0], p[0], gradient, (float)-step);
        moved = step;
        memcpy(before, gradient, sizeof before);
        bad = shoot(last, gradient);
        add(difference, gradient, before, -1);
        const double bend = -dot(difference, before) * moved;
        step = bend > 0 ? fmin(moved * moved * dot(before, before) / bend, 4 * moved) : moved;
    }
    return bad;
}

static int draw(const char *path)
{
    canvas c;
    int failed = canvas_create(&c, SIDE, SIDE);
    const double scale = SIDE / 3.2, middle = SIDE / 2.0;
    for (int k = 0; k < COUNT && !failed; k++) {
        const int next = (k + 1) % COUNT;
        canvas_line(&c, middle + scale * target[k][0], middle - scale * target[k][1], middle + scale * target[next][0],
                    middle - scale * target[next][1], 9, (canvas_colour){225, 225, 225});
    }
    for (int t = 0; t <= STEPS && !failed; t++)
        for (int k = 0; k < COUNT; k++) {
            const int next = (k + 1) % COUNT;
            canvas_line(&c, middle + scale * q[t][k][0], middle - scale * q[t][k][1], middle + scale * q[t][next][0],
                        middle - scale * q[t][next][1], t % STEPS ? 1 : 3, canvas_ramp(0.85 * t / STEPS));
        }
    if (!failed) failed = canvas_write(&c, path);
    canvas_free(&c);
    return failed;
}

int main(int argc, char **argv)
{
    quern_operator **const operators[] = {&motion, &adjoint, &varifold};
    quern_context *ctx = NULL;
    double first = 0, last = 0;
    float itself = 0;
    curve unused[2];

    for (int k = 0; k < COUNT; k++) {
        const double turn = 6.283185307179586 * k / COUNT, radius = 1 + 0.35 * cos(4 * turn);
        q[0][k][0] = (float)(0.8 * cos(turn)), q[0][k][1] = (float)(0.8 * sin(turn));
        target[k][0] = (float)(radius * cos(turn)), target[k][1] = (float)(radius * sin(turn));
    }
    quern_status bad = quern_context_create(&ctx, NULL);
    for (int k = 0; k < 3 && !bad; k++) bad = quern_compile(operators[k], ctx, formulas[k], NULL);
    if (!bad) bad = multiply(target, target, &itself, unused[0], unused[1]);
    if (!bad) bad = search(&first, &last);
    if (bad) fprintf(stderr, "%s\n", quern_last_error_text());
    for (int k = 0; k < 3; k++) quern_operator_destroy(operators[k]);
    quern_context_destroy(&ctx);
    if (bad) return 1;
    const double left = (last + (double)itself) / (first + (double)itself);
    printf("%s of the squared distance is left\n", left < 1e-3 ? "less than 0.1 %" : "too much");
    // prints: less than 0.1 % of the squared distance is left
    return argc > 1 && draw(argv[1]) ? 1 : 0;
}
