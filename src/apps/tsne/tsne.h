/*
 * tsne.h: what the files behind quern/tsne.h share. tsne.c has the call and the descent, affinities.c the graph of neighbours,
 * principal.c where points begin, trustworthiness.c what a picture is worth.
 */
#ifndef QUERN_APPS_TSNE_H
#define QUERN_APPS_TSNE_H

#include "apps/views/views.h"
#include "quern/array.h"
#include "quern/tsne.h"

/* A sparse symmetric matrix of rows x rows: row i has entries first[i] to first[i + 1], by ascending columns. */
typedef struct q_affinities {
    int64_t rows;
    int64_t *first;
    int32_t *column;
    float *weight;
    double entropy; /* sum of weight * log(weight) */
} q_affinities;

// affinities.c

/* Joint probabilities of neighbours: those of each row have the perplexity; symmetric, of sum 1. */
quern_status q_affinities_create(q_affinities *out, quern_context *context, const quern_array *points,
                                 const char *distance, double perplexity);
void q_affinities_destroy(q_affinities *a);

/* The `count` nearest of each row of an array, itself left out: rows x count indices, and their distances unless that is null;
   both for free(). Ties go to the smaller index. `distance`: a formula of x and y. */
quern_status q_nearest_others(int64_t **indices, float **distances, quern_context *context, const quern_array *points,
                              const char *distance, int64_t count);

// principal.c

/* The first principal components of rows x columns numbers, which are centred on the way, as rows x `count` numbers, the first of
   which get a standard deviation of 1e-4; in place of those that are not there, as much noise. */
quern_status q_principal_components(double *x, int64_t rows, int64_t columns, double *out, int count, uint64_t seed);

#endif
