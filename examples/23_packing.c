/*
 * 23_packing.c: ten thousand balls of different sizes that push each other away until none overlap.
 *
 *     23_packing [balls.png]
 *
 * Balls on the unit torus, thrown at random, cover 75 % of it when they no longer overlap; at 84 % they jam (O'Hern et al. 2003). Two that are nearer than the sum of their radii push each other: the energy of an overlap o, in parts of that
 * sum, is o^2, and the force its gradient. Cells as wide as the largest ball say which are near each other, also around
 * the torus. Steps have momentum; the picture has a part of the torus before and after, coloured by size.
 */
#include <math.h>
#include <quern/cluster.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canvas.h"
#include "random.h"

enum { COUNT = 10000, STEPS = 200, SIDE = 400 };

static const double pi = 3.14159265358979323846, covered = 0.75, part = 0.4; /* of an axis, in the picture */
static double x[COUNT][2], v[COUNT][2], r[COUNT][1], force[COUNT][2], overlap[COUNT][1];

/* Uniform in (0, 1), by counter. */
static double draw(void)
{
    static uint64_t counter;
    return random_unit(++counter);
}

static void throw_balls(void)
{
    double area = 0;
    for (int k = 0; k < COUNT; k++) {
        x[k][0] = draw(), x[k][1] = draw(), r[k][0] = 1 + draw();
        area += pi * r[k][0] * r[k][0];
    }
    for (int k = 0; k < COUNT; k++) r[k][0] *= sqrt(covered / area);
}

static double largest(double numbers[COUNT][1])
{
    double most = 0;
    for (int k = 0; k < COUNT; k++) most = fmax(most, numbers[k][0]);
    return most;
}

static const char formula[] = "x=Vi(2); y=Vj(2); r=Vi(1); q=Vj(1); d=Abs(x-y); e=IfElse(0.5-d,d,1-d);"
                              "o=Where(I==J,0,ReLU(1-Norm2(e)/(r+q)));"
                              "-Grad(Sum_j(Square(o)),x,1), Max_j(o)";

/* Puts the balls in the order of cells, and computes forces and largest overlaps. */
static quern_status push(quern_operator *op)
{
    static double sorted[COUNT][5];
    quern_clusters *cells = NULL;
    quern_ranges *near = NULL;
    quern_run_options options = QUERN_DEFAULTS(quern_run_options);
    quern_view places = quern_f64(x[0], COUNT, 2), radii = quern_f64(r[0], COUNT, 1);
    quern_status bad = quern_clusters_grid(&cells, places, 2 * largest(r));
    if (!bad) bad = quern_ranges_periodic(&near, cells, places, cells, places, 2 * largest(r), (double[]){1, 1});
    for (int k = 0; k < COUNT && !bad; k++) {
        int64_t from = cells->order[k];
        memcpy(sorted[k], (double[]){x[from][0], x[from][1], v[from][0], v[from][1], r[from][0]}, sizeof sorted[k]);
    }
    for (int k = 0; k < COUNT && !bad; k++) {
        for (int d = 0; d < 2; d++) x[k][d] = sorted[k][d], v[k][d] = sorted[k][2 + d];
        r[k][0] = sorted[k][4];
    }
    options.ranges = near;
    if (!bad)
        bad = quern_run_with(op, QUERN_ARGS({"x", places}, {"y", places}, {"r", radii}, {"q", radii}),
                             QUERN_OUTS(quern_f64(force[0], COUNT, 2), quern_f64(overlap[0], COUNT, 1)), &options);
    quern_ranges_destroy(&near);
    quern_clusters_destroy(&cells);
    return bad;
}

/* A ball of n touching ones is held by a spring of about 2 n / (2 r)^2. */
static void move(void)
{
    double rate = largest(r) * largest(r) / 8;
    for (int k = 0; k < COUNT; k++)
        for (int d = 0; d < 2; d++) {
            v[k][d] = 0.9 * v[k][d] + rate * force[k][d];
            x[k][d] += v[k][d];
            x[k][d] -= floor(x[k][d]);
        }
}

static void draw_balls(canvas *c, int frame)
{
    double scale = SIDE / part, low = r[0][0], high = largest(r);
    for (int k = 0; k < COUNT; k++) low = fmin(low, r[k][0]);
    for (int k = 0; k < COUNT; k++) {
        double px = x[k][0] * scale, py = x[k][1] * scale, radius = r[k][0] * scale;
        if (px < radius || px > SIDE - radius || py > SIDE) continue;
        canvas_disc(c, frame * SIDE + px, py, radius, (canvas_colour){40, 40, 40});
        canvas_disc(c, frame * SIDE + px, py, radius - 0.7, canvas_ramp(0.2 + 0.8 * (r[k][0] - low) / (high - low)));
    }
}

int main(int argc, char **argv)
{
    canvas c;
    quern_context *ctx = NULL;
    quern_operator *op = NULL;
    double before = 0;
    quern_status bad = quern_context_create(&ctx, NULL);

    if (canvas_create(&c, 2 * SIDE, SIDE)) return 1;
    throw_balls();
    draw_balls(&c, 0);
    if (!bad) bad = quern_compile(&op, ctx, formula, NULL);
    if (!bad) bad = push(op);
    before = largest(overlap);
    for (int k = 0; k < STEPS && !bad; k++) {
        move();
        bad = push(op);
    }
    draw_balls(&c, 1);
    if (bad) fprintf(stderr, "%s\n", quern_last_error_text());
    else {
        printf("largest overlap at first: %.0f %%\n", 100 * before); // prints: largest overlap at first: 99 %
        printf("in the end below 1 %%: %s\n",
               largest(overlap) < 0.01 ? "yes" : "no"); // prints: in the end below 1 %: yes
        if (argc > 1 && canvas_write(&c, argv[1])) return 1;
    }
    quern_operator_destroy(&op);
    quern_context_destroy(&ctx);
    canvas_free(&c);
    return (int)bad;
}
