/*
 * 24_orientation.c: bodies that align: not only where they go, but also which way up they are.
 *
 *     24_orientation [bodies.png [count [steps]]]
 *
 * A body of the unit torus of three dimensions has an orientation, a unit quaternion q or -q, and goes where its first axis points.
 * At random times it takes the mean orientation p of all within a radius, but for noise (Degond, Diez, Frouvelle, Merino-Aceituno
 * 2020): p is the leading eigenvector of the sum of q q^T, and the noise a rotation of density exp(2 k q_0^2), von Mises'. A step
 * is one run. Where all see each other the mean of (q, p)^2 is an integral. Of the picture, a slice, a hue is a direction.
 */
#include <math.h>
#include <quern/cluster.h>
#include <stdio.h>
#include <stdlib.h>

#include "canvas.h"
#include "random.h"

enum { SIDE = 500 };
static const double pi = 3.14159265358979323846, concentration = 6, rate = 0.3, way = 0.03; /* of a time step */

typedef struct crowd {
    int64_t count;
    double radius;
    float *x, *q, *sorted_x, *sorted_q, *turn; /* 3, 4, 3, 4, 4 numbers a body */
} crowd;

static const char formula[] =
    "x=Vi(3); o=Vi(4); y=Vj(3); q=Vj(4); t=Vi(4); r=Pm(1); w=Pm(1); d=Abs(x-y); e=IfElse(0.5-d,d,1-d);"
    "S=Sum_j(Where(SqNorm2(e)<=r*r,TensorProd(q,q),0)); R=S/Norm2(S);"
    "A=TensorDot(R,R,[4,4],[4,4],[1],[0]); B=A/Norm2(A); C=TensorDot(B,B,[4,4],[4,4],[1],[0]); D=C/Norm2(C);" /* R^4 */
    "p=Normalize(MatVecMult(D,MatVecMult(D,MatVecMult(D,MatVecMult(D,o)))));"
    "p0=Elem(p,0); p1=Elem(p,1); p2=Elem(p,2); p3=Elem(p,3); t0=Elem(t,0); t1=Elem(t,1); t2=Elem(t,2); t3=Elem(t,3);"
    "z=Concat(Concat(p0*t0-p1*t1-p2*t2-p3*t3,p0*t1+p1*t0+p2*t3-p3*t2),"
    "Concat(p0*t2-p1*t3+p2*t0+p3*t1,p0*t3+p1*t2-p2*t1+p3*t0));" /* the quaternions' product */
    "n=Normalize(Where(SqNorm2(t),z,o)); n0=Elem(n,0); n1=Elem(n,1); n2=Elem(n,2); n3=Elem(n,3);"
    "a=Concat(Concat(n0*n0+n1*n1-n2*n2-n3*n3,2*(n1*n2+n0*n3)),2*(n1*n3-n0*n2));" /* its first axis */
    "Mod(x+w*a,1,0), n, Mean_i(Square(Scalprod(o,p)))";

/* Uniform in (0, 1), by counter. */
static double draw(void)
{
    static uint64_t counter;
    return random_unit(++counter);
}

/* A quaternion of density exp(2 k q_0^2), by rejection of uniform ones (Shoemake 1992). */
static void draw_rotation(float q[4], double k)
{
    do {
        double u = draw(), a = 2 * pi * draw(), b = 2 * pi * draw();
        q[0] = (float)(sqrt(1 - u) * sin(a)), q[1] = (float)(sqrt(1 - u) * cos(a));
        q[2] = (float)(sqrt(u) * sin(b)), q[3] = (float)(sqrt(u) * cos(b));
    } while (draw() > exp(2 * k * (double)(q[0] * q[0] - 1)));
}

static bool create(crowd *c, int64_t count, double radius)
{
    float *m = malloc((size_t)count * 18 * sizeof *m);
    *c = (crowd){count, radius, m, m + 3 * count, m + 7 * count, m + 10 * count, m + 14 * count};
    for (int64_t k = 0; k < 3 * count && m; k++) c->x[k] = (float)draw();
    for (int64_t k = 0; k < count && m; k++) draw_rotation(&c->q[4 * k], 0);
    return m != NULL;
}

/* Bodies end in the order of their cells. *alike becomes the mean of (q, p)^2 before the step. */
static quern_status step(crowd *c, quern_operator *op, float *alike)
{
    quern_clusters *cells = NULL;
    quern_ranges *near = NULL;
    quern_run_options options = QUERN_DEFAULTS(quern_run_options);
    quern_view x = quern_f32(c->x, c->count, 3), q = quern_f32(c->q, c->count, 4);
    quern_view sx = quern_f32(c->sorted_x, c->count, 3), sq = quern_f32(c->sorted_q, c->count, 4);
    quern_status bad = quern_clusters_grid(&cells, x, c->radius);
    for (int64_t k = 0; k < 4 * c->count; k++) c->turn[k] = 0;
    for (int64_t k = 0; k < c->count; k++)
        if (draw() < rate) draw_rotation(&c->turn[4 * k], concentration);
    if (!bad) bad = quern_ranges_periodic(&near, cells, x, cells, x, c->radius, (double[]){1, 1, 1});
    if (!bad) bad = quern_clusters_sort(cells, sx, x);
    if (!bad) bad = quern_clusters_sort(cells, sq, q);
    options.ranges = near;
    if (!bad)
        bad = quern_run_with(op,
                             QUERN_ARGS({"x", sx}, {"y", sx}, {"o", sq}, {"q", sq},
                                        {"t", quern_f32(c->turn, c->count, 4)}, {"r", quern_number(c->radius)},
                                        {"w", quern_number(way)}),
                             QUERN_OUTS(x, q, quern_f32(alike, 1, 1)), &options);
    quern_ranges_destroy(&near);
    quern_clusters_destroy(&cells);
    return bad;
}

/* The mean of q_0^2 = cos^2 a, of density sin^2 a exp(2 k cos^2 a). */
static double expected(void)
{
    double sum = 0, mass = 0;
    for (double a = 0.0005; a < pi; a += 0.001) {
        double cosine = cos(a), density = sin(a) * sin(a) * exp(2 * concentration * cosine * cosine);
        sum += density * cosine * cosine, mass += density;
    }
    return sum / mass;
}

static void draw_slice(canvas *c, const crowd *b)
{
    for (int64_t k = 0; k < b->count; k++) {
        const float *x = &b->x[3 * k], *q = &b->q[4 * k];
        double u = (double)(q[0] * q[0] + q[1] * q[1] - q[2] * q[2] - q[3] * q[3]);
        double v = (double)(2 * (q[1] * q[2] + q[0] * q[3])), length = hypot(u, v);
        unsigned char rgb[3];
        if (x[2] > 0.15f) continue;
        for (int d = 0; d < 3; d++)
            rgb[d] = (unsigned char)(255 * (1 - 0.5 * (length - u * cos(2 * pi * d / 3) - v * sin(2 * pi * d / 3))));
        canvas_disc(c, (double)x[0] * SIDE, (double)(1 - x[1]) * SIDE, 2.2, (canvas_colour){rgb[0], rgb[1], rgb[2]});
    }
}

int main(int argc, char **argv)
{
    int64_t count = argc > 2 ? atoll(argv[2]) : 20000, steps = argc > 3 ? atoll(argv[3]) : 12;
    crowd all = {0}, near = {0};
    canvas c;
    quern_context *ctx = NULL;
    quern_operator *op = NULL;
    float alike = 0;
    double mean = 0;
    quern_status bad = quern_context_create(&ctx, NULL);

    if (canvas_create(&c, SIDE, SIDE)) return 1;
    if (!bad && !(create(&all, 2000, 1) && create(&near, count, 3.8 / cbrt((double)count)))) bad = QUERN_MEMORY;
    if (!bad) bad = quern_compile(&op, ctx, formula, NULL);
    for (int k = 0; k < 60 && !bad; k++) {
        bad = step(&all, op, &alike);
        if (k >= 30) mean += (double)alike / 30;
    }
    if (!bad)
        printf("alike %.3f, as expected: %s\n", expected(),
               fabs(mean / expected() - 1) < 0.01 ? "yes" : "no"); // prints: alike 0.868, as expected: yes
    for (int64_t k = 0; k < steps && !bad; k++) bad = step(&near, op, &alike);
    if (bad) fprintf(stderr, "%s\n", quern_last_error_text());
    else draw_slice(&c, &near);
    if (!bad && argc > 1 && canvas_write(&c, argv[1])) return 1;
    quern_operator_destroy(&op);
    quern_context_destroy(&ctx);
    canvas_free(&c), free(all.x), free(near.x);
    return (int)bad;
}
