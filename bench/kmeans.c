/*
 * kmeans.c: the cases `kmeans` and `kmeans25`: k-means with 1000 clusters in 50 dimensions, which begin at the first points. The one
 * takes three steps in noise, where no distance can be left out; its result is the distance of each point from its centroid
 * then, and a row is checked against all centroids. The other takes 25 steps among 500 groups; its result is the inertia, once for
 * each row, and is checked against steps that compute all distances.
 */
#include <quern/kmeans.h>
#include <math.h>

#include "cases.h"

enum { DIM = 50, CLUSTERS = 1000, STEPS = 3, LONG_STEPS = 25, PLACES = 500 };

static float centroids[CLUSTERS * DIM];

/* Points around places of a cube of side 4, each in a cube of side 1. */
void bench_fill_places(double *values, int64_t count, uint64_t seed)
{
    double places[PLACES * DIM];
    bench_fill_uniform(places, PLACES * DIM, 78);
    bench_fill_uniform(values, count, seed);
    for (int64_t k = 0; k < count; k++) values[k] += 4 * places[k / DIM * 7 % PLACES * DIM + k % DIM];
}

static quern_status cluster(quern_context *context, const bench_problem *problem, quern_kmeans_options *options,
                            quern_kmeans_report *report)
{
    const float *x = bench_array_find(problem, "x")->data;
    const quern_view none = {0};
    options->size = sizeof *options, options->start = QUERN_START_GIVEN;
    report->size = sizeof *report;
    for (int k = 0; k < CLUSTERS * DIM; k++) centroids[k] = x[k];
    return quern_kmeans(context, quern_f32(x, problem->m, DIM), quern_f32(centroids, CLUSTERS, DIM), none, options,
                        report);
}

quern_status bench_call_kmeans(quern_context *context, const bench_problem *problem, void *result)
{
    quern_kmeans_options options = {.iterations = STEPS, .distances = quern_f32(result, problem->m, 1)};
    quern_kmeans_report report;
    return cluster(context, problem, &options, &report);
}

void bench_row_kmeans(const bench_problem *problem, int64_t i, double *result)
{
    const float *x = (const float *)bench_array_find(problem, "x")->data + i * DIM;
    *result = INFINITY;
    for (int c = 0; c < CLUSTERS; c++) {
        double sum = 0;
        for (int d = 0; d < DIM; d++) {
            const double difference = (double)x[d] - (double)centroids[c * DIM + d];
            sum += difference * difference;
        }
        *result = fmin(*result, sum);
    }
}

quern_status bench_call_kmeans25(quern_context *context, const bench_problem *problem, void *result)
{
    quern_kmeans_options options = {.iterations = LONG_STEPS};
    quern_kmeans_report report;
    const quern_status status = cluster(context, problem, &options, &report);
    for (int64_t i = 0; i < problem->m; i++) ((float *)result)[i] = (float)report.inertia;
    return status;
}

static quern_status find(double *inertia, quern_context *context, const bench_problem *problem)
{
    quern_kmeans_options options = {.iterations = LONG_STEPS, .bounds = QUERN_OFF};
    quern_kmeans_report report = {.inertia = NAN};
    const quern_status status = cluster(context, problem, &options, &report);
    *inertia = report.inertia;
    return status;
}

void bench_row_kmeans25(const bench_problem *problem, int64_t i, double *result)
{
    (void)i;
    *result = bench_found(problem, 0, 1, find);
}
