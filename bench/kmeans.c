/*
 * kmeans.c: the case `kmeans`: three steps of k-means with 1000 clusters in 50 dimensions, which begin at the first points, and the
 * distance of each point from its centroid then. A row is checked against all centroids.
 */
#include <quern/kmeans.h>
#include <math.h>

#include "cases.h"

enum { DIM = 50, CLUSTERS = 1000, STEPS = 3 };

static float centroids[CLUSTERS * DIM];

quern_status bench_call_kmeans(quern_context *context, const bench_problem *problem, void *result)
{
    const float *x = bench_array_find(problem, "x")->data;
    const quern_view points = quern_f32(x, problem->m, DIM), none = {0};
    const quern_view centres = quern_f32(centroids, CLUSTERS, DIM);
    const quern_kmeans_options options = {.size = sizeof options, .start = QUERN_START_GIVEN, .iterations = STEPS};
    for (int k = 0; k < CLUSTERS * DIM; k++) centroids[k] = x[k];
    const quern_status status = quern_kmeans(context, points, centres, none, &options, NULL);
    return status ? status
                  : quern_kmeans_assign(context, points, centres, NULL, none, quern_f32(result, problem->m, 1));
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
