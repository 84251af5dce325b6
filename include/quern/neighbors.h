/*
 * quern/neighbors.h: nearest neighbours in any formula's sense, exact, and what is made of them: classes, means, graphs.
 *
 *     quern_neighbors *index;
 *     quern_neighbors_create(&index, ctx, quern_f32(points, N, 3), NULL);                    // Euclidean distances
 *     quern_neighbors_find(index, quern_f32(queries, M, 3), quern_i64(nearest, M, 10), quern_f32(distance, M, 10), NULL);
 *     quern_neighbors_destroy(&index);
 *
 * Conventions
 *   Points     One a row. All is computed in float64 if the points of the index are float64, else in float32; queries are
 *              converted to that. The index has a copy of its points.
 *   Order      Neighbours come by ascending distance, as it was computed, equal ones by ascending index. The same input gives the
 *              same result, also whether or not pairs were left out.
 *   None       A distance that is NaN or +inf is no neighbour's: a point with a NaN has none and is nobody's. Where there are
 *              fewer than k neighbours, also because there are fewer points, places left over hold -1 and +inf.
 *   Empty      There may be no points, and no queries.
 *   Arrays     Of the host or the device where a function has an index, else of the host; indices int32 or int64, distances of
 *              any float type. A result that is not wanted is {0}.
 *   Threads    An index may be used by several threads at once.
 *   Statuses   USAGE (null, a number or an array that makes no sense), SHAPE, DTYPE, LIMIT, those of formulas, those of runs.
 */
#ifndef QUERN_NEIGHBORS_H
#define QUERN_NEIGHBORS_H

#include "quern.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the points that are searched -------------------------------------------------------------------------------- */

typedef struct quern_neighbors quern_neighbors;

typedef struct quern_neighbors_options {
    size_t size;
    /* "l2", the default; "sqdist", its square; "l1"; "cosine": 1 less the cosine, 1 for a point that is 0; "hyperbolic": in the
       Poincare ball; else a formula in x, the query, and y, the point, which gives one number: the less, the nearer. */
    const char *metric;
    /* Arrays of the parameters that such a formula declares: "s=Pm(3); WeightedSqDist(s,x,y)"; copied. */
    quern_args parameters;
    /* Whether pairs that cannot matter are left out (quern/prune.h). QUERN_AUTO: whichever takes less time; very many pairs in few
       dimensions are tried pruned, for the others a trial on a part of the first large search decides. */
    quern_switch prune;
    /* Approximate searches, by an inverted file: the points, which have to be finite, are in so many cells of k-means
       (quern/kmeans.h), and a query meets those of the `probes` cells whose centroids are nearest to that of its own; 0: 8. The more
       probes, the more is found; of points as far as the last, any. 0 cells: all searches are exact. Lists within a radius always are. */
    int64_t cells, probes;
} quern_neighbors_options;

/* `options` may be null. Batches of points (quern_view.batch) are searched member by member. */
QUERN_API quern_status quern_neighbors_create(quern_neighbors **out, quern_context *context, quern_view points,
                                              const quern_neighbors_options *options);
QUERN_API void quern_neighbors_destroy(quern_neighbors **index);

/* ---- k nearest --------------------------------------------------------------------------------------------------- */

/* How a search was done. */
typedef struct quern_neighbors_report {
    size_t size;
    bool pruned;      /* most of it with pairs left out */
    char reason[120]; /* why not; "" if it was */
    double touched;   /* pairs computed / all pairs, without those of trials */
    /* What the search was expected to take with all pairs, and pruned, by a trial; 0: not timed */
    double plain_seconds, pruned_seconds;
    /* The share of the true neighbours that was found, by exact searches of 256 queries; 1 without cells. */
    double recall;
} quern_neighbors_report;

/* The k nearest points of each query, k being the number of columns of the results, M x k, at most 1024 or the number of points
   (LIMIT). Batches of queries meet the points of their member, broadcast as in quern/space.h. */
QUERN_API quern_status quern_neighbors_find(quern_neighbors *index, quern_view queries, quern_view indices,
                                            quern_view distances, quern_neighbors_report *report);
/* The same for the points themselves, each without itself: the graph of k nearest neighbours, N x k. */
QUERN_API quern_status quern_neighbors_graph(quern_neighbors *index, quern_view indices, quern_view distances,
                                             quern_neighbors_report *report);

/* ---- votes ------------------------------------------------------------------------------------------------------- */

typedef enum quern_vote {
    QUERN_VOTE_EQUAL = 0,
    QUERN_VOTE_INVERSE /* by 1 over the distance; neighbours at distance 0 (or less) alone, where there are any */
} quern_vote;

/* The label that has most votes among the neighbours of each row of `indices`, the least of those with equally many: result M x 1
   of int32 or int64. `labels` are whole numbers, N x 1; a row without neighbours gets -1. With the indices of
   quern_neighbors_graph each point is told by the others (leave one out). `distances`, M x k, may be {0} for equal votes. */
QUERN_API quern_status quern_neighbors_classify(quern_view indices, quern_view distances, quern_view labels,
                                                quern_vote vote, quern_view result);
/* The mean of the neighbours' values, N x C, by votes: M x C; NaN for a row without neighbours. */
QUERN_API quern_status quern_neighbors_regress(quern_view indices, quern_view distances, quern_view values,
                                               quern_vote vote, quern_view result);

/* ---- graphs ------------------------------------------------------------------------------------------------------ */

/* Neighbours of rows that have different numbers of them: row i has the entries offsets[i] .. offsets[i + 1] - 1. Read only. */
typedef struct quern_neighbor_lists {
    int64_t rows;
    const int64_t *offsets; /* rows + 1 */
    const int64_t *indices;
    const double *distances;
} quern_neighbor_lists;

QUERN_API void quern_neighbor_lists_destroy(quern_neighbor_lists **lists);

/* All points at most `radius` away from each query: the join of both sets. The radius is rounded to the type of the distances. */
QUERN_API quern_status quern_neighbors_within(quern_neighbor_lists **out, quern_neighbors *index, quern_view queries,
                                              double radius, quern_neighbors_report *report);
/* The points' own graph, each without itself; `once`: each pair only in the list of the smaller index. */
QUERN_API quern_status quern_neighbors_within_graph(quern_neighbor_lists **out, quern_neighbors *index, double radius,
                                                    bool once, quern_neighbors_report *report);

typedef enum quern_neighbor_edges {
    QUERN_EDGES_GIVEN = 0, /* of each row to its neighbours */
    QUERN_EDGES_MUTUAL,    /* those that both ends have */
    QUERN_EDGES_EITHER     /* and those that one end has, in both lists */
} quern_neighbor_edges;

/* Lists made of what quern_neighbors_graph found; `distances` may be {0}, which makes them 0. Lists are in the order of
   distances, then indices. Where the two ends do not agree on the distance, both lists have the smaller. */
QUERN_API quern_status quern_neighbor_lists_create(quern_neighbor_lists **out, quern_view indices, quern_view distances,
                                                   quern_neighbor_edges edges);

#ifdef __cplusplus
}
#endif

#endif
