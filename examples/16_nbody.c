/*
 * 16_nbody.c: gravity. Two star clusters fall into each other.
 *
 *     16_nbody [merger.png]
 *
 * The potential of all other stars at a star is a sum, and its acceleration minus the gradient of that: one formula, one run. Steps are
 * leapfrog (kick, drift, kick), which keeps the energy of a softened force. A cluster is a Plummer sphere: G = M = a = 1, potential energy -3 pi/32,
 * and as much kinetic energy as makes it stay as it is (Aarseth, Henon, Wielen 1974). Radii are quantiles, other numbers are
 * drawn by counter: the same stars every time.
 */
#include <math.h>
#include <quern.h>
#include <stdio.h>
#include <string.h>

#include "canvas.h"
#include "random.h"

enum { CLUSTER = 1000, STARS = 2 * CLUSTER, STEPS = 360, FRAMES = 4, SIDE = 240 };

#define PI 3.14159265358979323846

static double x[STARS][3], v[STARS][3], a[STARS][3], potential[STARS], mass[STARS];

/* Uniform in (0, 1), by counter. */
static double draw(uint64_t *counter)
{
    return random_unit(++*counter);
}

/* A vector of this length in some direction, added to a place. */
static void add_isotropic(double out[3], double length, uint64_t *counter)
{
    double z = 2 * draw(counter) - 1, angle = 2 * PI * draw(counter), flat = sqrt(1 - z * z);
    out[0] += length * flat * cos(angle), out[1] += length * flat * sin(angle), out[2] += length * z;
}

/* A speed as a part of the escape velocity, of density q^2 (1 - q^2)^(7/2), by rejection. */
static double draw_speed(uint64_t *counter)
{
    for (;;) {
        double q = draw(counter);
        if (0.1 * draw(counter) < q * q * pow(1 - q * q, 3.5)) return q;
    }
}

static void make_cluster(int first, const double at[3], const double velocity[3])
{
    uint64_t counter = (uint64_t)first << 32;
    for (int k = first; k < first + CLUSTER; k++) {
        double radius = 1 / sqrt(pow((k - first + 0.5) / CLUSTER, -2.0 / 3) - 1);
        memcpy(x[k], at, sizeof x[k]), memcpy(v[k], velocity, sizeof v[k]);
        mass[k] = 1.0 / CLUSTER;
        add_isotropic(x[k], radius, &counter);
        add_isotropic(v[k], draw_speed(&counter) * sqrt(2 / sqrt(1 + radius * radius)), &counter);
    }
}

static const char formula[] = "x=Vi(3); y=Vj(3); m=Vj(1); s=Pm(1);"
                              "F=-Sum_j(Where(I==J,0,m*Rsqrt(SqDist(x,y)+s*s)));"
                              "F, -Grad(F,x,1)";

/* Potentials and accelerations of the first so many stars. */
static quern_status attract(quern_operator *op, int stars, double softening)
{
    quern_view at = quern_f64(x[0], stars, 3);
    return quern_run_all(
        op, QUERN_ARGS({"x", at}, {"y", at}, {"m", quern_f64(mass, stars, 1)}, {"s", quern_number(softening)}),
        QUERN_OUTS(quern_f64(potential, stars, 1), quern_f64(a[0], stars, 3)));
}

static double energy(int stars, double *potential_energy)
{
    double kinetic = 0;
    *potential_energy = 0;
    for (int k = 0; k < stars; k++) {
        *potential_energy += mass[k] * potential[k] / 2;
        kinetic += mass[k] * (v[k][0] * v[k][0] + v[k][1] * v[k][1] + v[k][2] * v[k][2]) / 2;
    }
    return kinetic + *potential_energy;
}

static void move(double by[STARS][3], double of[STARS][3], double dt)
{
    for (int k = 0; k < STARS; k++)
        for (int d = 0; d < 3; d++) by[k][d] += dt * of[k][d];
}

static void draw_stars(canvas *c, int frame)
{
    for (int k = 0; k < STARS; k++) {
        double px = SIDE / 2 + x[k][0] * 20, py = SIDE / 2 - x[k][1] * 20;
        if (px > 1 && px < SIDE - 1 && py > 1 && py < SIDE - 1)
            canvas_disc(c, frame * SIDE + px, py, 1.0, canvas_category(k < CLUSTER ? 0 : 1));
    }
}

int main(int argc, char **argv)
{
    canvas c;
    quern_context *ctx = NULL;
    quern_operator *op = NULL;
    const double dt = 0.05, softening = 0.1;
    double before = 0, after = 0, w = 0;
    quern_status bad = quern_context_create(&ctx, NULL);

    if (canvas_create(&c, FRAMES * SIDE, SIDE)) return 1;
    make_cluster(0, (double[]){-4, -0.8, 0}, (double[]){0.25, 0, 0});
    make_cluster(CLUSTER, (double[]){4, 0.8, 0}, (double[]){-0.25, 0, 0});
    if (!bad) bad = quern_compile(&op, ctx, formula, NULL);
    if (!bad) bad = attract(op, CLUSTER, 0); /* a cluster alone, without softening */
    if (!bad) energy(CLUSTER, &w);
    if (!bad) bad = attract(op, STARS, softening);
    if (!bad) before = energy(STARS, &(double){0});
    for (int step = 0; step <= STEPS && !bad; step++) {
        if (step % (STEPS / (FRAMES - 1)) == 0) draw_stars(&c, step * (FRAMES - 1) / STEPS);
        move(v, a, dt / 2);
        move(x, v, dt);
        bad = attract(op, STARS, softening);
        move(v, a, dt / 2);
    }
    if (!bad) after = energy(STARS, &(double){0});
    if (bad) fprintf(stderr, "%s\n", quern_last_error_text());
    if (!bad) {
        printf("potential energy of a cluster: %.4f; within 0.5 %% of -3 pi/32: %s\n", w,
               fabs(w / (-3 * PI / 32) - 1) < 5e-3
                   ? "yes"
                   : "no"); // prints: potential energy of a cluster: -0.2940; within 0.5 % of -3 pi/32: yes
        printf("energy: %.4f, kept to 0.1 %%: %s\n", before,
               fabs(after / before - 1) < 1e-3 ? "yes" : "no"); // prints: energy: -0.3442, kept to 0.1 %: yes
        if (argc > 1 && canvas_write(&c, argv[1])) return 1;
    }
    quern_operator_destroy(&op);
    quern_context_destroy(&ctx);
    canvas_free(&c);
    return (int)bad;
}
