/*
 * quern/kmeans.h: k clusters of points, each point in that of the nearest centroid, each centroid the mean of its points: Lloyd's
 * algorithm (1982) from k-means++ (Arthur and Vassilvitskii, 2007), or by mini-batches (Sculley, 2010).
 *
 *     float centroids[10 * 64];
 *     int64_t labels[N];
 *     quern_kmeans(ctx, quern_f32(x, N, 64), quern_f32(centroids, 10, 64), quern_i64(labels, N, 1), NULL, NULL);
 *
 * The device finds the nearest centroids, in one reduction; points stay there from the first step to the last.
 *
 * Conventions
 *   Points     One a row, on the host or the device. All is computed in float64 if they are float64, else in float32; means are
 *              summed in float64 in any case. Points have to be finite, and at least as many as clusters (USAGE, SHAPE).
 *   Labels     Whole numbers from 0, N x 1; int32 or int64 arrays hold them exactly. Of two centroids equally near it is the
 *              first.
 *   Results    On the host or the device, of any type of array.
 *   Order      The same points and options give the same bits on the same device.
 *   Threads    Calls may run in several threads at once.
 */
#ifndef QUERN_KMEANS_H
#define QUERN_KMEANS_H

#include "quern.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum quern_kmeans_start {
    /* Points at random, one after the other, each with a probability in proportion to its distance from those before; the best
       of 2 + log k of them is taken (greedy k-means++). */
    QUERN_START_PLUS_PLUS = 0,
    QUERN_START_RANDOM, /* k different rows, all equally likely */
    QUERN_START_GIVEN   /* what the centroids' array holds */
} quern_kmeans_start;

typedef struct quern_kmeans_options {
    size_t size;
    /* How far a point x is from a centroid y: a formula, at least 0; null: "SqDist(x,y)". Centroids are means whatever it is, so it
       is for this one and its like (Bregman divergences) that each step makes the inertia less. */
    const char *distance;
    quern_view weights; /* of the points, N x 1, at least 0, on the host; {0}: all 1 */
    quern_kmeans_start start;
    uint64_t seed;
    int64_t restarts;   /* of which the one with the least inertia counts; 0: 1 */
    int64_t iterations; /* of a start, at most; 0: 300 */
    /* A start is done when no label changes any more, or when the squares of what centroids have moved sum to at most this times
       the mean of the coordinates' variances. 0: only when no label changes. */
    double tolerance;
    int64_t batch; /* points of a step, drawn at random; 0: all */
    /* Called after each step with its number and the inertia, of a mini-batch its own, scaled; true stops: CANCELLED. */
    bool (*progress)(void *user, int64_t iteration, double inertia);
    void *progress_user;
    quern_view distances; /* gets the distance of each point from its centroid, N x 1; {0}: not asked for */
    /* Whether distances are left out that bounds from the steps before show not to matter: labels and centroids are the same, bit for
       bit, the inertia but for its rounding. It is done for the squared and the Euclidean distance and up to 2^24 points, and
       takes a copy of the points and up to 80 numbers a point on the host. QUERN_AUTO: on CPUs, for many points, and clusters
       with together at least 24,576 coordinates, once a step changes less than an eighth of the labels and a trial on some points
       promises that three quarters of the distances are left out. QUERN_ON: from the second step on. */
    quern_switch bounds;
} quern_kmeans_options;

/* Of the start that counts. */
typedef struct quern_kmeans_report {
    size_t size;
    double inertia;     /* the sum of the weights times the distances to the nearest centroid */
    int64_t iterations; /* steps */
    double moved;       /* what the tolerance is compared with, of the last step */
    bool converged;     /* not ended by the limit of iterations */
    int64_t reseeded;   /* centroids without points that were put on the point farthest from its own */
    int64_t empty;      /* clusters without points at the end, as there are where fewer points than k differ */
    int64_t start;      /* which of the restarts it was, from 0 */
    double seconds;     /* of all its steps, without the choice of the first centroids */
    int64_t computed;   /* distances of points from centroids, in all its steps */
} quern_kmeans_report;

/* As many clusters as `centroids` has rows, k x the points' columns. `labels`, `options` and `report` may be {0} and null.
   Statuses: USAGE (a point that is not finite, weights that make no sense, null), SHAPE, DTYPE, NUMERIC (a distance that is NaN or
   infinite), CANCELLED, MEMORY, those of quern_compile for the distance and of quern_run. */
QUERN_API quern_status quern_kmeans(quern_context *context, quern_view points, quern_view centroids, quern_view labels,
                                    const quern_kmeans_options *options, quern_kmeans_report *report);

/* The nearest centroid of each point, and how far it is, N x 1; either may be {0}. `distance` as in the options. The same
   statuses. No points are fine. */
QUERN_API quern_status quern_kmeans_assign(quern_context *context, quern_view points, quern_view centroids,
                                           const char *distance, quern_view labels, quern_view distances);

#ifdef __cplusplus
}
#endif

#endif
