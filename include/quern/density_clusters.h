/*
 * quern/density_clusters.h: clusters where points are dense, as many as there are: DBSCAN (Ester, Kriegel, Sander, Xu, 1996) and mean
 * shift (Fukunaga and Hostetler, 1975; Comaniciu and Meer, 2002).
 *
 *     quern_dbscan(ctx, quern_f32(x, N, 2), 0.1, 5, quern_i64(labels, N, 1), NULL, &report);      // report.clusters of them
 *
 * Conventions
 *   Points     One a row, on the host or the device, finite (USAGE). All is computed in float64 if they are float64, else in float32,
 *              then of at most 2^24 points (LIMIT). No points are fine.
 *   Labels     N x 1, on the host or the device; numbers from 0, clusters by their first points; -1: in none.
 *   Order      The same points give the same bits on the same device.
 *   Threads    Calls may run in several threads at once.
 */
#ifndef QUERN_DENSITY_CLUSTERS_H
#define QUERN_DENSITY_CLUSTERS_H

#include "quern.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct quern_density_clusters_report {
    size_t size;
    int64_t clusters;
    int64_t core;   /* DBSCAN: core points */
    int64_t noise;  /* DBSCAN: points in no cluster */
    int64_t passes; /* over all pairs */
    bool converged; /* mean shift: no mean has moved further than the tolerance in the last pass */
} quern_density_clusters_report;

/* A point with at least `neighbors` points within the radius, itself among them, is a core point; core points within the radius of
   each other are in one cluster, and other points in that of a core point within the radius: of several the cluster with the
   first number. `distance` is a formula of two points x and y that is symmetric, and 0 for a point and itself; null: "Norm2(x-y)", for which far blocks of points are
   left out. Nothing is stored for a pair. `report` may be null. Statuses: USAGE, SHAPE, LIMIT, MEMORY, those of quern_compile for
   the distance and of quern_run. */
QUERN_API quern_status quern_dbscan(quern_context *context, quern_view points, double radius, int64_t neighbors,
                                    quern_view labels, const char *distance, quern_density_clusters_report *report);

typedef struct quern_mean_shift_options {
    size_t size;
    double bandwidth;   /* the standard deviation of the Gaussian; must be given */
    int64_t iterations; /* passes at most; 0: 300 */
    double tolerance;   /* of a move, in bandwidths; 0: 1e-3 */
    /* Called after each pass with its number and the longest move, in bandwidths; true stops: CANCELLED. */
    bool (*progress)(void *user, int64_t iteration, double moved);
    void *progress_user;
} quern_mean_shift_options;

/* Moves a copy of each point to the mean of all points, weighted by a Gaussian around it, again and again, which leads to a peak of
   the density; points whose peaks are within half a bandwidth of a cluster's first are in that cluster. `peaks`, N x the points'
   columns, gets where each point went; it may be {0}. `report` may be null. The same statuses. */
QUERN_API quern_status quern_mean_shift(quern_context *context, quern_view points, quern_view labels, quern_view peaks,
                                        const quern_mean_shift_options *options, quern_density_clusters_report *report);

#ifdef __cplusplus
}
#endif

#endif
