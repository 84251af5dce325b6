/*
 * 05_clusters.c: a sum over near pairs alone. Points on a spiral have a Gaussian each, so narrow that pairs farther apart
 * than 0.1 add nothing to a float32 sum. The points are put in clusters, ranges say which clusters are near each other, and
 * the sum runs over those: a small part of all pairs, with the same result. The picture has clusters in two shades, one of them
 * dark, and those that it meets in orange; beside them the matrix of all pairs, in the order of the clusters.
 *
 *     05_clusters [ranges.png]
 */
#include <math.h>
#include <quern.h>
#include <quern/cluster.h>
#include <stdio.h>
#include <stdlib.h>

#include "canvas.h"

enum { N = 20000, SIDE = 360 };

typedef struct points {
    float *x, *sorted, *density, *dense;
    const char *picture; /* its path; null: none */
} points;

static int make(points *p)
{
    p->x = malloc(2 * N * sizeof(float));
    p->sorted = malloc(2 * N * sizeof(float));
    p->density = malloc(N * sizeof(float));
    p->dense = malloc(N * sizeof(float));
    if (!p->x || !p->sorted || !p->density || !p->dense) return 0;
    for (int n = 0; n < N; n++) {
        double turn = 40.0 * ((n * 7919) % N) / N, radius = turn / 40; /* in no order */
        p->x[2 * n] = (float)(radius * cos(turn));
        p->x[2 * n + 1] = (float)(radius * sin(turn));
    }
    return 1;
}

static quern_status run(quern_operator *op, const float *x, float *density, const quern_ranges *ranges)
{
    quern_run_options options = QUERN_DEFAULTS(quern_run_options);
    options.ranges = ranges;
    return quern_run_with(op, QUERN_ARGS({"x", quern_f32(x, N, 2)}, {"y", quern_f32(x, N, 2)}),
                          QUERN_OUTS(quern_f32(density, N, 1)), &options);
}

static void dot(canvas *c, const points *p, int64_t place, double radius, canvas_colour colour)
{
    const float *x = p->sorted + 2 * place;
    canvas_disc(c, SIDE * (0.5 + 0.47 * (double)x[0]), SIDE * (0.5 - 0.47 * (double)x[1]), radius, colour);
}

/* A rectangle of the matrix of pairs. */
static void cells(canvas *c, quern_span rows, quern_span columns, canvas_colour colour)
{
    const double scale = 0.94 * SIDE / N, margin = 0.03 * SIDE, high = scale * (double)(rows.to - rows.from);
    const double y = margin + scale * (double)(rows.from + rows.to) / 2, left = SIDE + margin;
    canvas_line(c, left + scale * (double)columns.from, y, left + scale * (double)columns.to, y, high, colour);
}

/* Sorted points, and whom one block of rows meets. */
static quern_status draw(const points *p, const quern_clusters *clusters, const quern_ranges *near)
{
    const canvas_colour shades[] = {{170, 180, 195}, {205, 212, 222}}, met = {230, 130, 0}, dark = {20, 40, 120},
                        none = {243, 244, 247}, pairs = {120, 135, 160};
    const size_t block = near->block_count * 4 / 5;
    canvas c;
    if (!p->picture) return QUERN_OK;
    int bad = canvas_create(&c, 2 * SIDE, SIDE);
    for (int64_t k = 0; k < N && !bad; k++) dot(&c, p, k, 1.3, shades[clusters->label[clusters->order[k]] % 2]);
    for (int64_t s = near->first[block]; s < near->first[block + 1] && !bad; s++)
        for (int64_t k = near->columns[s].from; k < near->columns[s].to; k++) dot(&c, p, k, 1.6, met);
    for (int64_t k = near->rows[block].from; k < near->rows[block].to && !bad; k++) dot(&c, p, k, 2, dark);
    for (int64_t k = 0; k < N && !bad; k += 64) cells(&c, (quern_span){k, k + 64}, (quern_span){0, N}, none);
    for (size_t b = 0; b < near->block_count && !bad; b++)
        for (int64_t s = near->first[b]; s < near->first[b + 1]; s++)
            cells(&c, near->rows[b], near->columns[s], b == block ? met : pairs);
    if (!bad) cells(&c, near->rows[block], near->rows[block], dark);
    if (!bad) bad = canvas_write(&c, p->picture);
    canvas_free(&c);
    return bad ? QUERN_IO : QUERN_OK;
}

/* The sum over near pairs, in the order of the clusters, and back in that of the points. */
static quern_status run_near(quern_operator *op, points *p, double radius, double *share)
{
    quern_clusters *clusters = NULL;
    quern_ranges *near = NULL;
    quern_view x = quern_f32(p->x, N, 2);
    float *sorted_density = malloc(N * sizeof(float));
    quern_status bad = sorted_density ? quern_clusters_kd(&clusters, x, 128) : QUERN_MEMORY;

    if (!bad) bad = quern_ranges_within(&near, clusters, x, clusters, x, radius);
    if (!bad) bad = quern_clusters_sort(clusters, quern_f32(p->sorted, N, 2), x);
    if (!bad) bad = run(op, p->sorted, sorted_density, near);
    if (!bad) bad = quern_clusters_unsort(clusters, quern_f32(p->density, N, 1), quern_f32(sorted_density, N, 1));
    if (!bad) bad = draw(p, clusters, near);
    *share = (double)quern_ranges_pairs(near) / N / N;
    quern_ranges_destroy(&near);
    quern_clusters_destroy(&clusters);
    free(sorted_density);
    return bad;
}

int main(int argc, char **argv)
{
    points p = {.picture = argc > 1 ? argv[1] : NULL};
    quern_context *ctx = NULL;
    quern_operator *op = NULL;
    double share = 1, off = 0;
    quern_status bad = make(&p) ? quern_context_create(&ctx, NULL) : QUERN_MEMORY;

    if (!bad) bad = quern_compile(&op, ctx, "x=Vi(2); y=Vj(2); Sum_j(Exp(-10000*SqDist(x,y)))", NULL);
    if (!bad) bad = run(op, p.x, p.dense, NULL);
    if (!bad) bad = run_near(op, &p, 0.1, &share);
    if (bad) fprintf(stderr, "%s\n", quern_last_error_text());
    for (int n = 0; n < N && !bad; n++) off = fmax(off, fabs((double)(p.density[n] - p.dense[n])) / (double)p.dense[n]);
    if (!bad) {
        printf("pairs in ranges: %.1f %%\n", 100 * share); // prints: pairs in ranges: 6.0 %
        printf("density of point 0: %.3f, of all pairs %.3f\n", (double)p.density[0], (double)p.dense[0]);
        printf("largest difference below 1e-5: %s\n",
               off < 1e-5 ? "yes" : "no"); // prints: largest difference below 1e-5: yes
    }
    quern_operator_destroy(&op);
    quern_context_destroy(&ctx);
    free(p.x), free(p.sorted), free(p.density), free(p.dense);
    return (int)bad;
}
