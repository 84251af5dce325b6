/*
 * 18_poincare.c: samples of a density on the hyperbolic plane, by particles that propose each other's places.
 *
 *     18_poincare [samples.png]
 *
 * Collective Monte Carlo (Clarte, Diez, Feydy 2021): a particle is proposed a place in a ball around another one, and takes it with
 * Metropolis' probability for the proposal's density, a sum over all particles of who has the place in his ball. So the
 * particles learn from each other where the density is, in any space with a distance: here the Poincare disk. The density is a
 * mixture of three Gaussians exp(-distance^2 / (2 s^2)), alike but for where they are, since the plane is the same everywhere;
 * so each has a third of the samples, whose mean distance to its centre is an integral.
 */
#include <complex.h>
#include <math.h>
#include <quern.h>
#include <stdio.h>
#include <string.h>

#include "canvas.h"
#include "random.h"

enum { COUNT = 5000, STEPS = 50, SIDE = 400, CENTRES = 3 };

static const double pi = 3.14159265358979323846, width = 0.5, reach = 0.6; /* of a Gaussian, of a ball */
static double complex at[2 * COUNT], centre[CENTRES]; /* particles, then what is proposed to them */
static double crowd[2 * COUNT], target[2 * COUNT];

/* Uniform in (0, 1), by counter. */
static double draw(void)
{
    static uint64_t counter;
    return random_unit(++counter);
}

static double complex polar(double distance, double angle)
{
    return tanh(distance / 2) * cexp(I * angle);
}

/* Uniform in a ball: the area within a distance r is proportional to cosh r - 1. Moved by the isometry that takes 0 to its middle. */
static double complex draw_in_ball(double complex middle, double radius)
{
    double complex z = polar(acosh(1 + draw() * (cosh(radius) - 1)), 2 * pi * draw());
    return (z + middle) / (1 + conj(middle) * z);
}

static double distance(double complex a, double complex b)
{
    return 2 * atanh(cabs((a - b) / (1 - conj(b) * a)));
}

/* The distance is acosh(1 + 2 |x-y|^2 / ((1-|x|^2) (1-|y|^2))), and below r where cosh is. */
static const char crowd_formula[] =
    "x=Vi(2); y=Vj(2); r=Pm(1); Sum_j(2*SqDist(x,y)<(Cosh(r)-1)*(1-SqNorm2(x))*(1-SqNorm2(y)))";
static const char target_formula[] = "x=Vi(2); c=Vj(2); s=Pm(1); Sum_j(Exp(-Square(HyperbolicBall(x,c)/s)/2))";

/* The particles around each place, and the density there. */
static quern_status look(quern_operator *crowds, quern_operator *targets)
{
    quern_view places = quern_f64((double *)at, 2 * COUNT, 2), particles = quern_f64((double *)at, COUNT, 2);
    quern_status bad = quern_run(crowds, QUERN_ARGS({"x", places}, {"y", particles}, {"r", quern_number(reach)}),
                                 quern_f64(crowd, 2 * COUNT, 1));
    if (bad) return bad;
    return quern_run(
        targets, QUERN_ARGS({"x", places}, {"c", quern_f64((double *)centre, CENTRES, 2)}, {"s", quern_number(width)}),
        quern_f64(target, 2 * COUNT, 1));
}

static quern_status step(quern_operator *crowds, quern_operator *targets)
{
    for (int k = 0; k < COUNT; k++) at[COUNT + k] = draw_in_ball(at[(int)(COUNT * draw())], reach);
    quern_status bad = look(crowds, targets);
    for (int k = 0; k < COUNT && !bad; k++)
        if (draw() * target[k] * crowd[COUNT + k] < target[COUNT + k] * crowd[k]) at[k] = at[COUNT + k];
    return bad;
}

/* The mean distance to the centre of a Gaussian, of area element sinh r dr. */
static double expected_distance(void)
{
    double sum = 0, mass = 0;
    for (double r = 0.0005; r < 8; r += 0.001) {
        double density = exp(-r * r / (2 * width * width)) * sinh(r);
        sum += r * density, mass += density;
    }
    return sum / mass;
}

static int nearest(double complex z)
{
    int best = 0;
    for (int c = 1; c < CENTRES; c++)
        if (distance(z, centre[c]) < distance(z, centre[best])) best = c;
    return best;
}

static void draw_disk(canvas *c, int frame)
{
    double middle = (frame + 0.5) * SIDE, radius = 0.47 * SIDE;
    for (int k = 0; k < 360; k++) {
        double a = k * pi / 180, b = a + pi / 180;
        canvas_line(c, middle + radius * cos(a), SIDE / 2 + radius * sin(a), middle + radius * cos(b),
                    SIDE / 2 + radius * sin(b), 1.5, (canvas_colour){120, 120, 120});
    }
    for (int k = 0; k < COUNT; k++)
        canvas_disc(c, middle + radius * creal(at[k]), SIDE / 2 - radius * cimag(at[k]), 0.9,
                    canvas_category(nearest(at[k])));
}

int main(int argc, char **argv)
{
    canvas c;
    quern_context *ctx = NULL;
    quern_operator *crowds = NULL, *targets = NULL;
    int share[CENTRES] = {0};
    double mean = 0;
    quern_status bad = quern_context_create(&ctx, NULL);

    if (canvas_create(&c, 2 * SIDE, SIDE)) return 1;
    centre[0] = polar(0.7, 1), centre[1] = polar(2.2, 3.2), centre[2] = polar(3, 5.5);
    for (int k = 0; k < COUNT; k++) at[k] = draw_in_ball(0, 4);
    draw_disk(&c, 0);
    if (!bad) bad = quern_compile(&crowds, ctx, crowd_formula, NULL);
    if (!bad) bad = quern_compile(&targets, ctx, target_formula, NULL);
    for (int k = 0; k < STEPS && !bad; k++) bad = step(crowds, targets);
    draw_disk(&c, 1);
    for (int k = 0; k < COUNT; k++) share[nearest(at[k])]++, mean += distance(at[k], centre[nearest(at[k])]) / COUNT;
    if (bad) fprintf(stderr, "%s\n", quern_last_error_text());
    else {
        double off = 0, expected = expected_distance();
        for (int k = 0; k < CENTRES; k++) off = fmax(off, fabs((double)share[k] / COUNT - 1.0 / CENTRES));
        printf("a third each, within 0.02: %s\n", off < 0.02 ? "yes" : "no"); // prints: a third each, within 0.02: yes
        printf("mean distance %.3f as expected, within 2 %%: %s\n", expected,
               fabs(mean / expected - 1) < 0.02 ? "yes"
                                                : "no"); // prints: mean distance 0.653 as expected, within 2 %: yes
        if (argc > 1 && canvas_write(&c, argv[1])) return 1;
    }
    quern_operator_destroy(&crowds), quern_operator_destroy(&targets);
    quern_context_destroy(&ctx);
    canvas_free(&c);
    return (int)bad;
}
