/*
 * tsne.h: what the files behind quern/tsne.h and quern/umap.h share. tsne.c and umap.c have the calls and the descents, picture.c what
 * comes before, affinities.c the graph of neighbours, principal.c where points begin, trustworthiness.c what a picture is worth.
 */
#ifndef QUERN_APPS_TSNE_H
#define QUERN_APPS_TSNE_H

#include "apps/views/views.h"
#include "quern/array.h"
#include "quern/tsne.h"

enum { Q_MOST_DIMENSIONS = 3 };

/* A sparse symmetric matrix of rows x rows: row i has entries first[i] to first[i + 1], by ascending columns. */
typedef struct q_affinities {
    int64_t rows;
    int64_t *first;
    int32_t *column;
    float *weight;
} q_affinities;

// affinities.c

/* How distances of the nearest of a point, ascending, become weights that have what is `wanted`, and what two weights of a pair, one
   from either side, are together. */
typedef struct q_affinity_kind {
    void (*weigh)(const float *distances, int64_t count, double wanted, double *weight);
    double (*join)(double a, double b);
} q_affinity_kind;

extern const q_affinity_kind q_perplexity; /* probabilities, whose perplexity is wanted; their sum */
extern const q_affinity_kind q_membership; /* of fuzzy sets, whose sum is wanted; their union */

/* The number of neighbours, or as many as there are others. */
int64_t q_neighbor_count(int64_t rows, double wanted);
/* Of the `count` nearest of each point, at least 1. */
quern_status q_affinities_create(q_affinities *out, quern_context *context, const quern_array *points,
                                 const char *distance, int64_t count, const q_affinity_kind *kind, double wanted);
/* Makes sums of probabilities those of all pairs, of sum 1. Their sum of weight * log(weight). */
double q_affinities_normalise(q_affinities *a);
void q_affinities_destroy(q_affinities *a);

/* The `count` nearest of each row of an array, itself left out: rows x count indices, and their distances unless that is null;
   both for free(). Ties go to the smaller index. `distance`: a formula of x and y. */
quern_status q_nearest_others(int64_t **indices, float **distances, quern_context *context, const quern_array *points,
                              const char *distance, int64_t count);

// picture.c

/* Whether x are points, y places for them, and a start, if it is given, is like y. SHAPE, DTYPE. */
quern_status q_picture_check(quern_view x, quern_view y, quern_view start);
/* x, which has to be finite, as float32 points on the device, to be destroyed also after a failure, and first places for them: the
   start, or without one the first principal components. USAGE. */
quern_status q_picture_begin(quern_array **points, double *place, quern_context *context, quern_view x,
                             quern_view start, int dim, uint64_t seed);
/* Writes the places, also those of a method that was cancelled, whose failure is told again. */
quern_status q_picture_end(quern_status status, quern_context *context, quern_view y, double *place);

// principal.c

/* The first principal components of rows x columns numbers, which are centred on the way, as rows x `count` numbers, the first of
   which get a standard deviation of 1e-4; in place of those that are not there, as much noise. */
quern_status q_principal_components(double *x, int64_t rows, int64_t columns, double *out, int count, uint64_t seed);

#endif
