/*
 * kmeans.h: what the files behind quern/kmeans.h share, and the sets of points that other clusterings begin with. kmeans.c has
 * the calls, seed.c where centroids begin, lloyd.c the steps, bounds.c those with fewer distances, points.c points on both sides of the bus.
 */
#ifndef QUERN_APPS_KMEANS_H
#define QUERN_APPS_KMEANS_H

#include "apps/views/views.h"
#include "quern/array.h"
#include "quern/build.h"
#include "quern/kmeans.h"

// ---- points.c ----

/* Finite points, on the device and on the host. */
typedef struct q_points {
    quern_context *context;
    quern_dtype dtype; /* float32 or float64 */
    int64_t rows, dim;
    quern_array *array;
    quern_view host; /* of the same type; the caller's memory, or owned */
    void *owned;
} q_points;

quern_status q_points_create(q_points *out, quern_context *context, quern_view points);
void q_points_destroy(q_points *points);
double q_points_at(const q_points *points, int64_t row, int64_t column);
/* rows x columns numbers in the points' type; for free(). Null without memory. */
void *q_points_block(const q_points *points, int64_t rows, int64_t columns);
/* Some rows, dense, one after the other. */
void q_points_gather(const q_points *points, const int64_t *rows, int64_t count, void *to);
void q_points_pick(const q_points *points, const int32_t *rows, int64_t count, void *to);
/* The square of the distance of a point from `dim` numbers. */
double q_points_square(const q_points *points, int64_t row, const double *from);
/* Adds each point, times its weight, to the sums of its label (k x dim), and its weight to `mass`, its number to `members`. Points
   with a negative label are left out. `weights` may be null: all 1. */
void q_points_sum(const q_points *points, const int32_t *labels, const double *weights, double *sums, double *mass,
                  int64_t *members);
/* The mean of the coordinates' variances. */
double q_points_variance(const q_points *points);

#define Q_DISTANCE "quern_distance"
/* An operator whose results, one or two, are texts in which Q_DISTANCE stands for a formula of x, a variable over i, and y, one
   over j, of such lengths. Null for the squared distance. */
quern_status q_distance_compile(quern_operator **out, quern_context *context, const char *distance, int64_t dim,
                                const char *first, const char *second);
/* USAGE unless what is named Q_DISTANCE in the graph, this text, depends on both points. */
quern_status q_distance_check(quern_graph *graph, const char *distance);

// ---- lloyd.c ----

/* Points with their nearest centroids: what a step works on, all points or a mini-batch. */
typedef struct q_assigned {
    quern_view points; /* on the device */
    int64_t rows;
    int32_t *labels;
    void *distances;
} q_assigned;

typedef struct q_bounds q_bounds;

typedef struct q_kmeans {
    const q_points *points;
    quern_kmeans_options options; /* with its defaults filled in */
    int64_t k;
    double *weights;      /* null: all 1 */
    double variance;      /* of the points */
    quern_operator *find; /* labels and distances */
    quern_array *centroids;
    double *centre, *before; /* k x dim: the same; a step before */
    double *sums, *mass;     /* k x dim, k */
    int64_t *members;        /* k */
    q_assigned all;
    q_bounds *bounds;    /* null: all distances are computed */
    int64_t distances;   /* that were computed */
    int64_t pause, rest; /* steps before bounds are tried again, and how many it was the last time */
    uint64_t random;
} q_kmeans;

double q_distance_at(const q_kmeans *m, const q_assigned *a, int64_t row);
void q_distance_write(const q_kmeans *m, q_assigned *a, int64_t row, double distance);

/* From the centroids in `centre` until nothing changes; labels and distances are those of the centroids that it ends with. */
quern_status q_kmeans_lloyd(q_kmeans *m, quern_kmeans_report *report);
/* The same by mini-batches. */
quern_status q_kmeans_batches(q_kmeans *m, quern_kmeans_report *report);

// ---- bounds.c ----

/* Makes bounds if the next step should be one with them, after one that has changed so many labels. */
quern_status q_bounds_try(q_kmeans *m, int64_t changed);
void q_bounds_destroy(q_kmeans *m);
/* Labels of all points, those of a comparison with all centroids, and distances; not done where the bounds leave out too little. */
quern_status q_bounds_find(q_kmeans *m, bool *done);
/* A point whose label was changed by others. */
void q_bounds_forget(q_kmeans *m, int64_t row);

// ---- seed.c ----

/* Fills in `centre`. */
quern_status q_kmeans_seed(q_kmeans *m);

#endif
