/*
 * neighbors.h: what the files behind quern/neighbors.h share: the index, its operators, blocks of numbers on the host.
 */
#ifndef QUERN_APPS_NEIGHBORS_H
#define QUERN_APPS_NEIGHBORS_H

#include <pthread.h>

#include "apps/views/views.h"
#include "quern/neighbors.h"
#include "quern/prune.h"
#include "quern/space.h"

/* The parameter that is added to those of a metric. */
#define Q_RADIUS "quern_radius"

enum { Q_MOST_NEIGHBORS = 1024, Q_NEIGHBOR_PARAMETERS = 16 };

/* How distances are told apart: a formula of x and y, of whose values the root is the distance, or they are it. */
typedef struct q_metric {
    const char *name, *formula;
    bool root;
} q_metric;

/* An operator that finds so many neighbours, all or those within a radius, and what is known of its cost. */
typedef struct q_search {
    struct q_search *next;
    int64_t count;
    bool within, valued; /* valued: it tells distances too */
    quern_operator *op;
    quern_switch prune;   /* QUERN_AUTO: not tried yet */
    double plain, pruned; /* seconds of a row and a point that the trial took; 0: none */
    char reason[120];     /* why it does not prune */
} q_search;

typedef struct q_cells q_cells; /* cells.c */

struct quern_neighbors {
    quern_context *context;
    q_metric metric;
    char *formula;     /* that of the user, or null */
    quern_view points; /* of the host, owned; float32 or float64, perhaps a batch */
    quern_arg parameters[Q_NEIGHBOR_PARAMETERS];
    size_t parameter_count;
    quern_switch prune;
    q_cells *cells;       /* null: searches are exact */
    pthread_mutex_t lock; /* of the searches */
    q_search *searches;
};

// index.c

/* The search for so many neighbours, compiled when it is first asked for. Thread-safe; it stays as long as the index. */
quern_status q_search_find(q_search **out, quern_neighbors *index, int64_t count, bool within, bool valued);
/* A query as the index computes it: converted and on the host; of all members of a batch. out->data is for free(). */
quern_status q_neighbors_take(quern_view *out, const quern_neighbors *index, const char *name, const quern_view *given);

// run.c: searches on the host's arrays, pruned where that is known or found to be faster

/* Neighbours of rows, `count` each: values before the root is taken, in the index's type. */
typedef struct q_found {
    int64_t rows, count;
    int64_t *indices;
    void *values;  /* null where they are not asked for */
    bool borrowed; /* the indices are the caller's */
} q_found;

quern_status q_found_create(q_found *out, const quern_neighbors *index, int64_t rows, int64_t count, bool valued);
void q_found_free(q_found *found);
/* Distances, not values. */
double q_found_distance(const quern_neighbors *index, const q_found *found, int64_t row, int64_t k);
/* One run: the neighbours of queries among some points, into rows of `out` from `at` on. */
quern_status q_search_once(q_found *out, int64_t at, const quern_neighbors *index, const q_search *search,
                           const quern_view *queries, const quern_view *points, double radius,
                           const quern_run_options *options);
/* Searches some points for the neighbours of dense queries of the host; a batch if either is one. The radius counts for searches within. */
quern_status q_search_run(q_found *out, quern_neighbors *index, q_search *search, quern_view queries, quern_view points,
                          double radius, quern_neighbors_report *report);
// lists.c: lists of neighbours, of edges in any order

typedef struct q_edge {
    int64_t row, index;
    double distance;
} q_edge;

typedef struct q_edges {
    q_edge *data;
    size_t count, capacity;
} q_edges;

quern_status q_edges_add(q_edges *edges, q_edge edge);
quern_status q_lists_create(quern_neighbor_lists **out, const q_edges *edges, int64_t rows);

// cells.c: approximate searches

quern_status q_cells_create(q_cells **out, quern_context *context, const quern_view *points, int64_t count,
                            int64_t probes);
void q_cells_destroy(q_cells *cells);
/* All points of an index with cells. */
quern_status q_cells_run(q_found *out, quern_neighbors *index, q_search *search, quern_view queries,
                         quern_neighbors_report *report);

// views.c: arrays of the host

/* Whether a view is memory of the host with so many rows, -1: any, and columns, -1: any number from 1 on. */
quern_status q_numbers_check(const char *name, const quern_view *view, int64_t rows, int64_t columns);
/* The rows of all members of a batch. */
int64_t q_batch_rows(const quern_view *view);
/* The batch of results: that of both, broadcast. SHAPE. */
quern_status q_batch_join(int64_t batch[4], const quern_view *queries, const quern_view *points);
/* Whether indices are of a type of whole numbers, and distances of a float type. */
quern_status q_indices_check(const char *name, const quern_view *view);
quern_status q_distances_check(const char *name, const quern_view *view);

#endif
