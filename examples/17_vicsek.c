/*
 * 17_vicsek.c: swimmers that turn to where their neighbours swim (Vicsek et al. 1995; in continuous time Degond, Motsch 2008).
 *
 *     17_vicsek [swimmers.png [count [steps [how many see all [dt]]]]]
 *
 * A swimmer of the unit torus swims along a unit vector u, which turns to the mean direction m of all within a radius by the rate
 * nu and away from it by noise: its angle by nu sin(angle of m - angle of u) dt + sqrt(2 D) dB. A step is one run: cells as wide as
 * the radius say which rows meet which columns, also around the torus, and the formula takes the periodic difference. Noise is
 * drawn by counters: the same bits every time. Where all see each other, angles become von Mises distributed, and the mean of
 * u has the length I1(nu/D) / I0(nu/D) = 0.89338. With a short sight there are patches of one direction; a hue is a direction.
 */
#include <math.h>
#include <quern/cluster.h>
#include <stdio.h>
#include <stdlib.h>

#include "canvas.h"
#include "random.h"

static double full_turn = 6.283185307179586, nu = 5, diffusion = 1, speed = 0.05, dt = 0.02;

typedef struct flock {
    int64_t count;
    double radius;
    float *x, *u, *noise, *sorted_x, *sorted_u;
    uint64_t step;
} flock;

/* Uniform in (0, 1], by counter. */
static double draw(uint64_t step, uint64_t k)
{
    return (double)((random_bits(step << 40 | k) >> 11) + 1) * 0x1p-53;
}

static int flock_create(flock *f, int64_t count, double radius)
{
    float *memory = malloc(((size_t)count * 9 + 1) * sizeof *memory);
    *f = (flock){.count = count, .radius = radius, .x = memory};
    if (!memory) return 0;
    f->u = f->x + 2 * count, f->sorted_x = f->u + 2 * count, f->sorted_u = f->sorted_x + 2 * count;
    f->noise = f->sorted_u + 2 * count;
    for (int64_t k = 0; k < count; k++) {
        double angle = full_turn * draw(0, (uint64_t)(3 * k));
        for (int d = 0; d < 2; d++) f->x[2 * k + d] = (float)(1 - draw(0, (uint64_t)(3 * k + 1 + d)));
        f->u[2 * k] = (float)cos(angle), f->u[2 * k + 1] = (float)sin(angle);
    }
    return 1;
}

static void draw_noise(flock *f) /* normal numbers by Box and Muller */
{
    double scale = sqrt(2 * diffusion * dt);
    f->step++;
    for (int64_t k = 0; k < f->count; k += 2) {
        double radius = scale * sqrt(-2 * log(draw(f->step, (uint64_t)k)));
        double angle = full_turn * draw(f->step, (uint64_t)k + 1);
        f->noise[k] = (float)(radius * cos(angle)), f->noise[k + 1] = (float)(radius * sin(angle));
    }
}

static const char formula[] = "x=Vi(2); u=Vi(2); noise=Vi(1); y=Vj(2); v=Vj(2); r=Pm(1); a=Pm(1); s=Pm(1);"
                              "d=Abs(x-y); e=IfElse(0.5-d,d,1-d);                 # the periodic difference, exactly\n"
                              "m=Normalize(Sum_j(Where(SqNorm2(e)<=r*r,v,0)));"
                              "t=a*(Elem(u,0)*Elem(m,1)-Elem(u,1)*Elem(m,0))+noise; # the angle to turn by\n"
                              "w=Normalize(Cos(t)*u+Sin(t)*Concat(-Elem(u,1),Elem(u,0)));"
                              "Mod(x+s*w,1,0), w";

/* The swimmers end in the order of their cells: nobody has a name. *share becomes the part of all pairs that was looked at. */
static quern_status step(flock *f, quern_operator *op, double *share)
{
    quern_clusters *cells = NULL;
    quern_ranges *near = NULL;
    quern_run_options options = QUERN_DEFAULTS(quern_run_options);
    quern_view x = quern_f32(f->x, f->count, 2), u = quern_f32(f->u, f->count, 2);
    quern_view sx = quern_f32(f->sorted_x, f->count, 2), su = quern_f32(f->sorted_u, f->count, 2);
    quern_status bad = quern_clusters_grid(&cells, x, f->radius);
    draw_noise(f);
    if (!bad) bad = quern_ranges_periodic(&near, cells, x, cells, x, f->radius, (double[]){1, 1});
    if (!bad) bad = quern_clusters_sort(cells, sx, x);
    if (!bad) bad = quern_clusters_sort(cells, su, u);
    options.ranges = near;
    if (!bad)
        bad = quern_run_with(op,
                             QUERN_ARGS({"x", sx}, {"y", sx}, {"u", su}, {"v", su},
                                        {"noise", quern_f32(f->noise, f->count, 1)}, {"r", quern_number(f->radius)},
                                        {"a", quern_number(nu * dt)}, {"s", quern_number(speed * dt)}),
                             QUERN_OUTS(x, u), &options);
    *share = (double)quern_ranges_pairs(near) / (double)f->count / (double)f->count;
    quern_ranges_destroy(&near);
    quern_clusters_destroy(&cells);
    return bad;
}

static double order(const flock *f) /* the length of the mean of all directions */
{
    double sum[2] = {0, 0};
    for (int64_t k = 0; k < 2 * f->count; k++) sum[k % 2] += (double)f->u[k];
    return hypot(sum[0], sum[1]) / (double)f->count;
}

/* A cell of some three swimmers has their mean direction as hue; it is the paler the less they agree. */
static int draw_flock(const flock *f, const char *path)
{
    canvas c;
    int side = 600, cells = (int)sqrt((double)f->count / 3) + 1, bad = canvas_create(&c, side, side);
    double *mean = calloc((size_t)(3 * cells * cells), sizeof *mean);
    for (int64_t k = 0; k < f->count && mean; k++) {
        double *m = &mean[3 * ((int)(f->x[2 * k + 1] * (float)cells) % cells * cells +
                               (int)(f->x[2 * k] * (float)cells) % cells)];
        m[0] += (double)f->u[2 * k], m[1] += (double)f->u[2 * k + 1], m[2]++;
    }
    for (int p = 0; p < side * side && mean && !bad; p++)
        for (int k = 0; k < 3; k++) {
            const double *m = &mean[3 * ((side - 1 - p / side) * cells / side * cells + p % side * cells / side)];
            double agree = m[2] > 0 ? hypot(m[0], m[1]) / m[2] : 0, hue = atan2(m[1], m[0]) - full_turn * k / 3;
            c.pixels[3 * p + k] = (unsigned char)(255 * (1 - agree * 0.45 * (1 - cos(hue))));
        }
    if (!bad && mean) bad = canvas_write(&c, path);
    canvas_free(&c), free(mean);
    return bad;
}

int main(int argc, char **argv)
{
    int64_t count = argc > 2 ? atoll(argv[2]) : 100000, steps = argc > 3 ? atoll(argv[3]) : 50;
    flock all = {0}, near = {0};
    quern_context *ctx = NULL;
    quern_operator *op = NULL;
    double mean = 0, share = 0;
    if (argc > 5) dt = atof(argv[5]);
    const int turns = (int)(6 / dt), from = (int)(2 / dt), digits = argc > 4 ? 4 : 2;
    quern_status bad = QUERN_OK;
    if (!flock_create(&all, argc > 4 ? atoll(argv[4]) : 3000, 1)) bad = QUERN_MEMORY;
    if (!flock_create(&near, count, 10 / sqrt((double)count))) bad = QUERN_MEMORY;
    if (!bad) bad = quern_context_create(&ctx, NULL);
    if (!bad) bad = quern_compile(&op, ctx, formula, NULL);
    for (int k = 0; k < turns && !bad; k++) {
        bad = step(&all, op, &share);
        if (k >= from) mean += order(&all) / (turns - from);
    }
    if (!bad) printf("all see each other: order %.*f\n", digits, mean); // prints: all see each other: order 0.89
    for (int64_t k = 0; k < steps && !bad; k++) bad = step(&near, op, &share);
    if (!bad) printf("pairs looked at: %.1f %%\n", 100 * share); // prints: pairs looked at: 1.1 %
    if (bad) fprintf(stderr, "%s\n", quern_last_error_text());
    if (!bad && argc > 1 && draw_flock(&near, argv[1])) return 1;
    quern_operator_destroy(&op);
    quern_context_destroy(&ctx);
    free(all.x), free(near.x);
    return (int)bad;
}
