/*
 * 01_city_density: where people live. A map of the world from 23,461 cities.
 *
 *     01_city_density [--data CITIES.csv] [world.png [WIDTH]]      WIDTH x WIDTH/2 map pixels, 720 x 360 without it
 *
 * Every map pixel x_i looks at every city y_j, 6.1e9 pairs, and one pass over them gives three things: the density of
 * people around the pixel, its gradient, and the nearest city. No matrix of pairs is ever stored. A second formula, over pairs of
 * cities, finds the great agglomerations: where most people live within 100 km (agglomerations.c).
 */
#include <math.h>
#include <quern.h>
#include <stdio.h>
#include <stdlib.h>

#include "agglomerations.h"
#include "globe.h"
#include "png_map.h"
#include "request.h"

static const double earth = 6371, reach = 60; /* km: its radius, and the width s of the Gaussian around a city */

/* 1. The formula. c is 1/(2 s^2); w makes the Gaussians' volume one person each, so that the density is in people per
   km^2. Grad(a,x,1) reuses the exponential of a; straight distances rank cities as great circles do. */
static const char formula[] = "x=Vi(3); y=Vj(3); p=Vj(1); c=Pm(1); w=Pm(1);"
                              "a = w * Sum_j(p * Exp(-c * SqDist(x,y)));"
                              "a, Grad(a,x,1), ArgMin_j(SqDist(x,y))";

typedef struct world {
    int width, height;
    int64_t pixels, *nearest;      /* nearest city: pixels x 1 */
    float *x, *density, *gradient; /* pixels x 3, x 1, x 3 */
    float *slope;                  /* of the density's logarithm, per pixel of the map */
    cities y;
    double c, w;
} world;

/* 2. The points: pixel centres of an equirectangular map and cities, as unit vectors. All arrays lie in one block. */
static int world_create(world *m, const char *data, int width)
{
    *m = (world){.width = width, .height = width / 2, .pixels = (int64_t)width * (width / 2)};
    m->c = 0.5 * (earth / reach) * (earth / reach);
    m->w = 1 / (2 * acos(-1.0) * reach * reach);
    m->nearest = malloc((size_t)m->pixels * (sizeof(int64_t) + 8 * sizeof(float)));
    if (!m->nearest || cities_read(&m->y, data)) return -1;
    m->x = (float *)(m->nearest + m->pixels);
    m->gradient = m->x + 3 * m->pixels;
    m->density = m->gradient + 3 * m->pixels;
    m->slope = m->density + m->pixels;
    globe_pixels(m->x, m->width, m->height);
    printf("%zu cities\n", m->y.count); // prints: 23461 cities
    printf("%lld pairs\n", (long long)m->pixels * (long long)m->y.count);
    return 0;
}

/* 3. The pass over all pairs. The first call builds the device program, the second one finds it. */
static quern_status compute(quern_operator *op, const world *m, int call)
{
    const int64_t N = (int64_t)m->y.count;
    const double start = seconds_now();
    const quern_status bad = quern_run_all(
        op,
        QUERN_ARGS({"x", quern_f32(m->x, m->pixels, 3)}, {"y", quern_f32(m->y.place, N, 3)},
                   {"p", quern_f32(m->y.population, N, 1)}, {"c", quern_number(m->c)}, {"w", quern_number(m->w)}),
        QUERN_OUTS(quern_f32(m->density, m->pixels, 1), quern_f32(m->gradient, m->pixels, 3),
                   quern_i64(m->nearest, m->pixels, 1)));
    const double spent = seconds_now() - start;
    if (!bad) printf("call %d: %.3f s, %.3g pairs per second\n", call, spent, (double)(m->pixels * N) / spent);
    return bad;
}

/* 4. The check: central differences of the same density, summed on the host in double, at pixels where people live. */
static double density_at(const world *m, const float *x, int axis, double step)
{
    double sum = 0;
    for (size_t j = 0; j < m->y.count; j++) {
        double r2 = 0;
        for (int d = 0; d < 3; d++) r2 += pow(x[d] + (d == axis) * step - m->y.place[3 * j + (size_t)d], 2);
        sum += m->y.population[j] * exp(-m->c * r2);
    }
    return m->w * sum;
}

static int check_gradient(const world *m)
{
    const double h = 1e-5;
    double worst = 0;
    int checked = 0;
    for (int64_t k = m->pixels / 7; k < m->pixels && checked < 20; k += m->pixels / 997 + 1) {
        double off = 0, size = 0;
        if (m->density[k] < 1) continue;
        for (int d = 0; d < 3; d++) {
            const float *x = m->x + 3 * k;
            double difference = (density_at(m, x, d, h) - density_at(m, x, d, -h)) / (2 * h);
            off = fmax(off, fabs(difference - m->gradient[3 * k + d]));
            size = fmax(size, fabs(difference));
        }
        worst = fmax(worst, off / size);
        checked++;
    }
    printf("gradient against finite differences at %d pixels: relative error at most %.1e\n", checked, worst);
    puts(checked && worst < 1e-3 ? "the gradient is right" : "THE GRADIENT IS WRONG"); // prints: the gradient is right
    return checked && worst < 1e-3 ? 0 : -1;
}

/* 5. What came out. */
static int draw(world *m, quern_context *ctx, const char *path)
{
    enum { NAMES = 30, PRINTED = 5 };
    double people[NAMES];
    map_label labels[NAMES];
    map_field field = {.title = "Where people live, to within 60 km",
                       .unit = "people per km\302\262",
                       .source = "Cities of more than 15,000: GeoNames, CC BY 4.0"};
    field.width = m->width, field.height = m->height, field.low = 0.2, field.high = 2000;
    field.value = m->density, field.slope = m->slope, field.cell = m->nearest, field.labels = labels;
    if (agglomerations_find(labels, people, &field.label_count, NAMES, ctx, &m->y))
        return fprintf(stderr, "%s\n", quern_last_error_text());
    for (int k = 0; k < PRINTED && k < field.label_count; k++)
        printf("%.1f million people around %s\n", people[k] / 1e6, labels[k].text);
    globe_slopes(m->slope, m->x, m->density, m->gradient, m->width, m->height);
    return png_map_write(path, &field);
}

int main(int argc, char **argv)
{
    progress shown = {0, 0, 0};
    quern_context_options options = {.size = sizeof options, .progress = progress_show, .progress_user = &shown};
    quern_context *ctx = NULL;
    quern_operator *op = NULL;
    request r;
    world m;
    int failed = request_parse(&r, argc, argv);

    if (failed) return failed < 0 ? 2 : 0;
    failed = world_create(&m, r.data, r.width);
    if (!failed && (quern_context_create(&ctx, &options) || quern_compile(&op, ctx, formula, NULL) ||
                    compute(op, &m, 1) || compute(op, &m, 2)))
        failed = fprintf(stderr, "%s\n", quern_last_error_text());
    if (!failed) printf("device %s\n", quern_context_device(ctx)->name);
    if (!failed) failed = check_gradient(&m) || draw(&m, ctx, r.path);
    if (!failed) printf("wrote %s\n", r.path);
    quern_operator_destroy(&op);
    quern_context_destroy(&ctx);
    cities_free(&m.y);
    free(m.nearest);
    return failed ? 1 : 0;
}
