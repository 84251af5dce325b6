/*
 * quern/cluster.h: points in clusters, and the ranges of clusters that meet (quern/space.h).
 *
 * Block sparsity needs rows that stand next to each other where they are near each other. A clustering says how to order
 * them and where each cluster begins; builders of ranges say which clusters of rows meet which clusters of columns:
 *
 *     quern_clusters_kd(&cx, quern_f32(x, M, 3), 256);
 *     quern_clusters_kd(&cy, quern_f32(y, N, 3), 256);
 *     quern_ranges_within(&near, cx, quern_f32(x, M, 3), cy, quern_f32(y, N, 3), 0.1);
 *     quern_clusters_sort(cx, quern_f32(sorted_x, M, 3), quern_f32(x, M, 3));        // and y
 *     ... a run with the ranges `near`, on sorted arrays ...
 *     quern_clusters_unsort(cx, quern_f32(result, M, 1), quern_f32(sorted_result, M, 1));
 *     quern_ranges_destroy(&near), quern_clusters_destroy(&cy), quern_clusters_destroy(&cx);
 *
 * Conventions
 *   Arrays     On the host, of any element type and stride. Points are rows. Whatever is per cluster has a row for each.
 *   Order      Deterministic. Within a cluster rows keep their order.
 *   NaN        A point with a NaN is in a cluster of such points where clusters are grid cells or labels, and anywhere
 *              else behind the others. Boxes and centroids of its cluster are NaN; a NaN box is near everything, since a
 *              mask must not hide a NaN; a NaN label is no other's.
 *   Threads    Clusterings and ranges are constant once they are made.
 *   Statuses   USAGE (null, a number that makes no sense, an array on the device), SHAPE, LIMIT, MEMORY.
 */
#ifndef QUERN_CLUSTER_H
#define QUERN_CLUSTER_H

#include "quern/space.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- clusterings ------------------------------------------------------------------------------------------------ */

/* Which point is in which cluster. All members are read only. */
typedef struct quern_clusters {
    int64_t rows;         /* points */
    int64_t count;        /* clusters, none of which is empty */
    const int64_t *order; /* by place of the sorted points: the row of the point that stands there */
    const int64_t *first; /* count + 1 numbers: cluster c has the places first[c] .. first[c + 1] - 1 */
    const int64_t *label; /* by row: its cluster */
} quern_clusters;

/* Clusters are the cells of a grid in which a point lies: cubes of side `cell`, a corner of one at 0. Cells are compared by all
   their coordinates, so any number of them in any dimension stays apart; they are in ascending order of the first
   coordinate, then the second, and so on. LIMIT for a coordinate so many cells from 0 that its type cannot tell two cells
   apart. n log n; n where the box of all points has not many more cells than there are points. */
QUERN_API quern_status quern_clusters_grid(quern_clusters **out, quern_view points, double cell);
/* Clusters of exactly `size` points, but for the last, by splitting at a median of the longest axis again and again (k-d
   tree, Bentley 1975). Makes tighter boxes than a space-filling curve. n log n. */
QUERN_API quern_status quern_clusters_kd(quern_clusters **out, quern_view points, int64_t size);
/* A cluster for each different number of a column of labels, in ascending order. LIMIT for int64 labels from 2^53 on. */
QUERN_API quern_status quern_clusters_labels(quern_clusters **out, quern_view labels);
QUERN_API void quern_clusters_destroy(quern_clusters **clusters);

/* ---- arrays of points and of clusters --------------------------------------------------------------------------- */

/* Copies rows in the clusters' order: row p of `to` is row order[p] of `from`; and back. Both have clusters->rows rows, the
   same columns and element type, and do not overlap (USAGE). */
QUERN_API quern_status quern_clusters_sort(const quern_clusters *clusters, quern_view to, quern_view from);
QUERN_API quern_status quern_clusters_unsort(const quern_clusters *clusters, quern_view to, quern_view from);

/* The sum of the weights of each cluster's points, one column; a view without data and rows, {0}, counts them. */
QUERN_API quern_status quern_clusters_weights(const quern_clusters *clusters, quern_view result, quern_view weights);
/* The mean of each cluster's points, in the order that they had when they were clustered, with such weights. Points of weight
   0 count for nothing; where all weights are 0 the mean is unweighted. */
QUERN_API quern_status quern_clusters_centroids(const quern_clusters *clusters, quern_view result, quern_view points,
                                                quern_view weights);
/* The least and the largest coordinates of each cluster's points. */
QUERN_API quern_status quern_clusters_boxes(const quern_clusters *clusters, quern_view low, quern_view high,
                                            quern_view points);

/* ---- ranges ----------------------------------------------------------------------------------------------------- */

/* Ranges over sorted rows and columns in which cluster r of the rows meets cluster c of the columns where
   keep[r * columns->count + c] is true. */
QUERN_API quern_status quern_ranges_matrix(quern_ranges **out, const quern_clusters *rows,
                                           const quern_clusters *columns, const bool *keep);
/* Clusters whose boxes are at most `radius` apart (Euclidean): every pair of points at that distance is among them. A search in a tree
   of boxes for each cluster of rows. */
QUERN_API quern_status quern_ranges_within(quern_ranges **out, const quern_clusters *rows, quern_view row_points,
                                           const quern_clusters *columns, quern_view column_points, double radius);
/* The same on a torus: `periods` has a number for each coordinate, and points that differ by it are one; 0: none. Coordinates with a
   period are from 0 to it (USAGE). Formulas take the difference d = Abs(x-y) as IfElse(p/2-d,d,p-d), which is exact. */
QUERN_API quern_status quern_ranges_periodic(quern_ranges **out, const quern_clusters *rows, quern_view row_points,
                                             const quern_clusters *columns, quern_view column_points, double radius,
                                             const double *periods);
/* Clusters whose centroids are at most `radius` apart: an approximation, as where far clusters are left out. */
QUERN_API quern_status quern_ranges_centroids(quern_ranges **out, const quern_clusters *rows, quern_view row_points,
                                              const quern_clusters *columns, quern_view column_points, double radius);
/* Rows and columns of the same label, of two columns of labels in ascending order (USAGE otherwise), as quern_clusters_labels
   and quern_clusters_sort make them. */
QUERN_API quern_status quern_ranges_labels(quern_ranges **out, quern_view row_labels, quern_view column_labels);
QUERN_API void quern_ranges_destroy(quern_ranges **ranges);

/* How many pairs of a row and a column the ranges have; 0 for null. */
QUERN_API int64_t quern_ranges_pairs(const quern_ranges *ranges);

#ifdef __cplusplus
}
#endif

#endif
