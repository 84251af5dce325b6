/*
 * 01_city_density: where people live. A map of the world from 23,461 cities.
 *
 *     01_city_density [--data CITIES.csv] [world.png [WIDTH]]      WIDTH x WIDTH/2 map pixels, 720 x 360 without it
 *
 * Every map pixel x_i looks at every city y_j, 6.1e9 pairs, and one pass over them gives three things: the density of
 * people around the pixel, its gradient, and the nearest city. No matrix of pairs is ever stored. A second formula, over pairs of
 * cities, finds the great agglomerations: where most people live within 100 km.
 */
#include <math.h>
#include <quern.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "globe.h"
#include "png_map.h"
#include "request.h"

static const double earth = 6371; /* radius, km */
static const double reach = 60;   /* width s of the Gaussian around a city, km */

/* 1. The formula. c is 1/(2 s^2); w makes the Gaussians' volume one person each, so that the density is in people per
   km^2. Grad(a,x,1) reuses the exponential of a; the straight distance ranks cities as the great-circle distance does.
 */
static const char formula[] = "x=Vi(3); y=Vj(3); p=Vj(1); c=Pm(1); w=Pm(1);"
                              "a = w * Sum_j(p * Exp(-c * SqDist(x,y)));"
                              "a, Grad(a,x,1), ArgMin_j(SqDist(x,y))";

typedef struct world {
    int width, height;
    int64_t pixels, *nearest;      /* nearest city: pixels x 1 */
    float *x, *density, *gradient; /* pixels x 3, x 1, x 3 */
    float *slope;                  /* of the density's logarithm, per pixel of the map */
    float *around;                 /* people within 100 km, for each city */
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
    m->around = malloc((m->y.count + 1) * sizeof *m->around);
    if (!m->around) return -1;
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
    struct timespec start, end;
    int64_t N = (int64_t)m->y.count;
    double spent;
    quern_status status;

    clock_gettime(CLOCK_MONOTONIC, &start);
    status = quern_run_all(op,
                           QUERN_ARGS({"x", quern_f32(m->x, m->pixels, 3)}, {"y", quern_f32(m->y.place, N, 3)},
                                      {"p", quern_f32(m->y.population, N, 1)}, {"c", quern_number(m->c)},
                                      {"w", quern_number(m->w)}),
                           QUERN_OUTS(quern_f32(m->density, m->pixels, 1), quern_f32(m->gradient, m->pixels, 3),
                                      quern_i64(m->nearest, m->pixels, 1)));
    clock_gettime(CLOCK_MONOTONIC, &end);
    spent = (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec);
    if (!status) printf("call %d: %.3f s, %.3g pairs per second\n", call, spent, (double)(m->pixels * N) / spent);
    return status;
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

/* 5. Agglomerations: of all cities the one with most people within 100 km, then of those that are 300 km away from it, and so on. */
static quern_status count_around(quern_context *ctx, const world *m)
{
    quern_operator *op = NULL;
    const quern_view places = quern_f32(m->y.place, (int64_t)m->y.count, 3);
    const double near = 100 / earth;
    quern_status bad =
        quern_compile(&op, ctx, "x=Vi(3); y=Vj(3); p=Vj(1); r=Pm(1); Sum_j(Where(SqDist(x,y)<r,p,0))", NULL);
    if (!bad)
        bad = quern_run(op,
                        QUERN_ARGS({"x", places}, {"y", places}, {"p", quern_f32(m->y.population, places.rows, 1)},
                                   {"r", quern_number(near * near)}),
                        quern_f32(m->around, places.rows, 1));
    quern_operator_destroy(&op);
    return bad;
}

static double distance(const world *m, size_t a, size_t b)
{
    double square = 0;
    for (size_t d = 0; d < 3; d++) square += pow((double)(m->y.place[3 * a + d] - m->y.place[3 * b + d]), 2);
    return earth * sqrt(square);
}

/* The next one is called as its largest city; -1 if no city is left. */
static int name_next(world *m, map_label *label, double *people)
{
    size_t best = 0, largest = 0;
    const float *place;
    for (size_t k = 1; k < m->y.count; k++)
        if (m->around[k] > m->around[best]) best = k;
    if (!m->y.count || m->around[best] <= 0) return -1;
    *people = (double)m->around[best];
    largest = best;
    for (size_t k = 0; k < m->y.count; k++) {
        const double far = distance(m, k, best);
        if (far < 100 && m->y.population[k] > m->y.population[largest]) largest = k;
        if (far < 300) m->around[k] = 0;
    }
    place = m->y.place + 3 * largest;
    *label = (map_label){m->y.name[largest], asin((double)place[2]) * 180 / acos(-1.0),
                         atan2((double)place[1], (double)place[0]) * 180 / acos(-1.0)};
    return 0;
}

/* 6. What came out. */
static int draw(world *m, const char *path)
{
    enum { NAMES = 30, PRINTED = 5 };
    map_label labels[NAMES];
    map_field field = {m->width,
                       m->height,
                       m->density,
                       m->slope,
                       m->nearest,
                       0.2,
                       2000,
                       "Where people live, to within 60 km",
                       "people per km\302\262",
                       "Cities of more than 15,000: GeoNames, CC BY 4.0",
                       labels,
                       0};
    double people;
    while (field.label_count < NAMES && !name_next(m, &labels[field.label_count], &people)) {
        if (field.label_count < PRINTED)
            printf("%.1f million people around %s\n", people / 1e6, labels[field.label_count].text);
        field.label_count++;
    }
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
                    compute(op, &m, 1) || compute(op, &m, 2) || count_around(ctx, &m)))
        failed = fprintf(stderr, "%s\n", quern_last_error_text());
    if (!failed) printf("device %s\n", quern_context_device(ctx)->name);
    if (!failed) failed = check_gradient(&m) || draw(&m, r.path);
    if (!failed) printf("wrote %s\n", r.path);
    quern_operator_destroy(&op);
    quern_context_destroy(&ctx);
    cities_free(&m.y);
    free(m.nearest);
    free(m.around);
    return failed ? 1 : 0;
}
