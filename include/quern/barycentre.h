/*
 * quern/barycentre.h: means of densities and of point clouds in the sense of optimal transport (quern/transport.h).
 *
 * The barycentre of densities with weights w_k is the b with the least sum_k w_k S(a_k, b), where S is the Sinkhorn divergence,
 * or without debiasing OT, whose barycentres are blurred:
 *
 *     const quern_grid grid = {2, {128, 128, 0}, {0, 0, 0}};
 *     const quern_view images[] = {quern_f32(first, 128, 128), quern_f32(second, 128, 128)};
 *     quern_barycentre_grid(ctx, &grid, images, (double[]){0.3, 0.7}, 2, NULL, quern_f32(mean, 128, 128), NULL);
 *
 * Of the options, `blur`, `tolerance` (1e-3 by default), `iterations` and `debias` count, for clouds all that quern_transport takes.
 * The context's progress callback can stop both: CANCELLED. Statuses: USAGE, SHAPE, LIMIT, those of runs.
 */
#ifndef QUERN_BARYCENTRE_H
#define QUERN_BARYCENTRE_H

#include "quern/transport.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct quern_barycentre_report {
    int iterations;
    double change; /* by the last one: of the density, relative to its mass; of the points, the mean length of a move */
    bool converged;
} quern_barycentre_report;

/* Of `count` densities of equal mass on one grid, by the fixed point of Janati, Cuturi, Gramfort 2020. `weights` are positive numbers,
   which are divided by their sum; null: equal. `result` has as many numbers as the grid has points. `report` may be null. */
QUERN_API quern_status quern_barycentre_grid(quern_context *context, const quern_grid *grid,
                                             const quern_view *densities, const double *weights, size_t count,
                                             const quern_transport_options *options, quern_view result,
                                             quern_barycentre_report *report);

/* Of `count` clouds: moves the points x, a host array, each of the same mass, to where they are the barycentre (free support). `masses` has
   the weights of each cloud's points, {0} or null for equal ones. It goes on from where the points are, until they move less
   than `tolerance` times the blur, for at most `iterations` (0: 100) steps, each of which solves a problem for each cloud. */
QUERN_API quern_status quern_barycentre_cloud(quern_context *context, const quern_view *points,
                                              const quern_view *masses, const double *weights, size_t count,
                                              const quern_transport_options *options, quern_view x,
                                              quern_barycentre_report *report);

#ifdef __cplusplus
}
#endif

#endif
