/*
 * 21_shapes: a circle becomes a clover by a smooth motion of the whole plane (LDDMM, by geodesic shooting: Miller, Trouve and
 * Younes, 2006).
 *
 *     21_shapes [shapes.png]
 *
 * Points q with momenta p move by Hamilton's equations, whose energy is half the sum of F = exp(-|q_i - q_j|^2 g) p_i.p_j: all of
 * what lddmm.c does is derivatives of this one formula, which quern makes. Sought are the first momenta. How far the last curve is from
 * the clover is a varifold distance (Charon and Trouve, 2013), which compares places and directions of segments and needs no
 * correspondence of points; its derivative is carried back through the motion by the adjoint equations.
 */
#include <math.h>
#include <quern.h>
#include <stdio.h>

#include "canvas.h"
#include "lddmm.h"

enum { COUNT = 200, ROUNDS = 120, SIDE = 600 };

typedef float curve[COUNT][2];

#define POINTS(name)                          \
    {                                         \
#name, quern_f32((name)[0], COUNT, 2) \
    }

/* segments at x and y, of directions p and b */
static const char formula[] =
    "x=Vi(2); p=Vi(2); y=Vj(2); b=Vj(2); F=Exp(-20*SqDist(x,y))*Square(Scalprod(p,b))/(Norm2(p)*Norm2(b));"
    "Sum_i(Sum_j(F)), Sum_j(Grad(F,x,1)), Sum_j(Grad(F,p,1))";
static quern_operator *varifold;
static curve target;

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

/* The squared distance of a curve to the target, without what does not change, and its derivative by points. */
static quern_status distance(void *user, const float *q, double *value, float *gradient)
{
    const float(*points)[2] = (const float(*)[2])q;
    curve own[2], cross[2];
    float itself, between;
    (void)user;
    quern_status bad = multiply(points, points, &itself, own[0], own[1]);
    if (!bad) bad = multiply(points, (const float(*)[2])target, &between, cross[0], cross[1]);
    *value = (double)itself - 2 * (double)between;
    for (int k = 0; k < COUNT; k++)
        for (int d = 0; d < 2; d++) {
            const int before = (k + COUNT - 1) % COUNT;
            gradient[2 * k + d] = own[0][k][d] + own[0][before][d] - cross[0][k][d] - cross[0][before][d] +
                                  2 * (own[1][before][d] - own[1][k][d] - cross[1][before][d] + cross[1][k][d]);
        }
    return bad;
}

static int draw(const lddmm *l, const char *path)
{
    canvas c;
    int failed = canvas_create(&c, SIDE, SIDE);
    const double scale = SIDE / 3.2, middle = SIDE / 2.0;
    for (int k = 0; k < COUNT && !failed; k++) {
        const int next = (k + 1) % COUNT;
        canvas_line(&c, middle + scale * target[k][0], middle - scale * target[k][1], middle + scale * target[next][0],
                    middle - scale * target[next][1], 9, (canvas_colour){225, 225, 225});
    }
    for (int t = 0; t <= LDDMM_STEPS && !failed; t++)
        for (int k = 0; k < COUNT; k++) {
            const int next = (k + 1) % COUNT;
            canvas_line(&c, middle + scale * l->q[t][2 * k], middle - scale * l->q[t][2 * k + 1],
                        middle + scale * l->q[t][2 * next], middle - scale * l->q[t][2 * next + 1],
                        t % LDDMM_STEPS ? 1 : 3, canvas_ramp(0.85 * t / LDDMM_STEPS));
        }
    if (!failed) failed = canvas_write(&c, path);
    canvas_free(&c);
    return failed;
}

int main(int argc, char **argv)
{
    quern_context *ctx = NULL;
    lddmm motion = {0};
    double first = 0, last = 0;
    float itself = 0;
    curve unused[2];

    quern_status bad = quern_context_create(&ctx, NULL);
    if (!bad) bad = quern_compile(&varifold, ctx, formula, NULL);
    if (!bad) bad = lddmm_create(&motion, ctx, COUNT, 2, 12);
    for (int k = 0; k < COUNT && !bad; k++) {
        const double turn = 6.283185307179586 * k / COUNT, radius = 1 + 0.35 * cos(4 * turn);
        motion.q[0][2 * k] = (float)(0.8 * cos(turn)), motion.q[0][2 * k + 1] = (float)(0.8 * sin(turn));
        target[k][0] = (float)(radius * cos(turn)), target[k][1] = (float)(radius * sin(turn));
    }
    const float(*clover)[2] = (const float(*)[2])target;
    if (!bad) bad = multiply(clover, clover, &itself, unused[0], unused[1]);
    if (!bad) bad = lddmm_search(&motion, distance, NULL, ROUNDS, &first, &last);
    if (bad) fprintf(stderr, "%s\n", quern_last_error_text());
    quern_operator_destroy(&varifold);
    const double left = (last + (double)itself) / (first + (double)itself);
    if (!bad) printf("%s of the squared distance is left\n", left < 1e-3 ? "less than 0.1 %" : "too much");
    // prints: less than 0.1 % of the squared distance is left
    const int failed = bad || (argc > 1 && draw(&motion, argv[1]));
    lddmm_destroy(&motion);
    quern_context_destroy(&ctx);
    return failed;
}
