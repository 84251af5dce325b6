/*
 * quern/tsne.h: points of many dimensions in a picture of two: t-distributed stochastic neighbour embedding (van der Maaten and
 * Hinton, 2008), exact, in linear memory.
 *
 *     float y[N * 2];
 *     quern_tsne(ctx, quern_f32(x, N, 64), quern_f32(y, N, 2), NULL, NULL);
 *
 * Neighbours of each point, as many as three times the perplexity, attract it; all points repel each other, in one reduction over
 * all pairs a step: nothing is approximated by a tree or a grid. The method, its schedule and its defaults are those of
 * scikit-learn 1.x.
 *
 * Conventions
 *   Arrays     Points are rows, float32 or float64 (or a storage type), on the host or the device; the result is float32 or
 *              float64 on the host, or an array of the device. Distances and repulsion are computed in float32.
 *   Memory     The points, and about 24 bytes for each neighbour of each point, on the host.
 *   Order      The same points and options give the same bits on the same device.
 *   Threads    Calls may run in several threads at once.
 */
#ifndef QUERN_TSNE_H
#define QUERN_TSNE_H

#include "quern.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct quern_tsne_options {
    size_t size;
    const char *distance; /* a formula of x and y, at least 0, as a square of a distance is; null: "SqDist(x,y)" */
    double perplexity;    /* how many neighbours count, roughly; 0: 30, or a third of the points if that is less */
    double exaggeration;  /* of the attraction in the first quarter of the steps; 0: 12 */
    double learning_rate; /* 0: the number of points / (4 exaggeration), at least 50 */
    int iterations;       /* steps; 0: 1000 */
    quern_view start; /* where points begin, of the result's shape, on the host or device; {0}: their first principal
                             components, of which the first is scaled to a standard deviation of 1e-4 */
    uint64_t seed;    /* of what takes the place of components that are not there */
    /* Called every 50 steps, with their number and the divergence; true stops: CANCELLED, and the result is where points are. */
    bool (*progress)(void *user, int iteration, double divergence);
    void *progress_user;
} quern_tsne_options;

typedef struct quern_tsne_report {
    size_t size;
    int iterations;    /* done; fewer than asked where nothing moves any more */
    double divergence; /* Kullback and Leibler's, of the result from the neighbours: what is made small */
    int64_t edges;     /* pairs that attract each other, counted in both directions */
} quern_tsne_report;

/* Places the rows of x in 1, 2 or 3 dimensions: the columns of y. `options` and `report` may be null. No points and one point are
   fine. Statuses: USAGE (NaN or infinities in x; a perplexity for which there are too few points, or over 341), SHAPE, DTYPE,
   CANCELLED, MEMORY, those of quern_compile for the distance and of quern_run. */
QUERN_API quern_status quern_tsne(quern_context *context, quern_view x, quern_view y, const quern_tsne_options *options,
                                  quern_tsne_report *report);

/* How far neighbours in the picture y are neighbours in x (Venna and Kaski, 2001): 1 if the k nearest of each point are. Squared
   distances, ranks among all points, in float64 where the device has it. At least 1 neighbour, and fewer than half the points.
   Statuses: USAGE, SHAPE, those of quern_run. */
QUERN_API quern_status quern_trustworthiness(double *out, quern_context *context, quern_view x, quern_view y,
                                             int neighbors);

#ifdef __cplusplus
}
#endif

#endif
