/*
 * quern/umap.h: points of many dimensions in a picture of two: uniform manifold approximation and projection (McInnes, Healy and Melville,
 * 2018), with exact repulsion, in linear memory.
 *
 *     float y[N * 2];
 *     quern_umap(ctx, quern_f32(x, N, 64), quern_f32(y, N, 2), NULL, NULL);
 *
 * The nearest neighbours of each point attract it, by how far they are members of its fuzzy neighbourhood. All points repel each other,
 * in one reduction over all pairs a step: what the usual method gets on average by drawing points at random (negative samples), its
 * expectation (Damrich and Hamprecht, 2021), so that nothing is random.
 *
 * Conventions are those of quern/tsne.h, as are quern_trustworthiness and the arrays.
 */
#ifndef QUERN_UMAP_H
#define QUERN_UMAP_H

#include "quern.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct quern_umap_options {
    size_t size;
    const char *distance; /* a formula of x and y, at least 0; null: "Norm2(x-y)" */
    int neighbors; /* of a neighbourhood, the point itself among them, from 2 to 1024; 0: 15, or all points if there are fewer */
    double min_dist;      /* how near points may lie in the picture, from 0 to 3; 0: 0.1, below 0: 0 */
    double repulsion;     /* negative samples for each edge, whose expectation is taken; 0: 5 */
    double learning_rate; /* how far a coordinate moves in a step at first, about; it falls to 0; 0: 1 */
    int iterations;       /* steps; 0: 500 */
    quern_view start; /* where points begin, of the result's shape, on the host or device; {0}: their first principal
                             components, scaled to 10 */
    uint64_t seed;    /* of what takes the place of components that are not there */
    /* Called every 50 steps, with their number and the loss; true stops: CANCELLED, and the result is where points are. */
    bool (*progress)(void *user, int iteration, double loss);
    void *progress_user;
} quern_umap_options;

typedef struct quern_umap_report {
    size_t size;
    int iterations; /* done */
    /* What is made small, divided by the number of points: -log q summed over the pairs of the graph, times their membership, and
       -log(1 - q) over all pairs, times repulsion / 4 N and the sum of both points' memberships; q = 1 / (1 + a |y - z|^(2 b)). */
    double loss;
    double a, b;   /* that fit min_dist */
    int64_t edges; /* pairs that attract each other, counted in both directions */
} quern_umap_report;

/* Places the rows of x in 1, 2 or 3 dimensions: the columns of y. `options` and `report` may be null. No points and one point are
   fine. Statuses: USAGE (NaN or infinities in x; a number out of its range), SHAPE, DTYPE, CANCELLED, MEMORY, those of quern_compile
   for the distance and of quern_run. */
QUERN_API quern_status quern_umap(quern_context *context, quern_view x, quern_view y, const quern_umap_options *options,
                                  quern_umap_report *report);

#ifdef __cplusplus
}
#endif

#endif
