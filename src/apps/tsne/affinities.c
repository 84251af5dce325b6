/*
 * affinities.c: the graph of neighbours: the nearest of each point, found on the device; probabilities whose perplexity is the
 * one that is asked for (van der Maaten and Hinton, 2008), or fuzzy memberships (McInnes, Healy and Melville, 2018); made symmetric.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/kmeans/kmeans.h"
#include "apps/tsne/tsne.h"

// ---- neighbours ----

/* Takes row i out of its own list, or else the last, and shortens all rows to one entry less. */
static void leave_out_self(int64_t *indices, float *distances, int64_t rows, int64_t count)
{
    for (int64_t i = 0; i < rows; i++) {
        const int64_t *from = indices + i * (count + 1);
        int64_t at = 0;
        while (at < count && from[at] != i) at++;
        for (int64_t k = 0; k < count; k++) {
            int64_t source = i * (count + 1) + k + (k >= at);
            indices[i * count + k] = indices[source];
            if (distances) distances[i * count + k] = distances[source];
        }
    }
}

quern_status q_nearest_others(int64_t **indices, float **distances, quern_context *context, const quern_array *points,
                              const char *distance, int64_t count)
{
    const quern_view view = quern_array_view(points);
    const int64_t rows = view.rows, asked = count + 1;
    const size_t size = (size_t)(rows * asked) + 1;
    quern_operator *op = NULL;
    char nearest[64], least[64];
    snprintf(nearest, sizeof nearest, "ArgKMin_j(" Q_DISTANCE ",%lld)", (long long)asked);
    snprintf(least, sizeof least, "KMin_j(" Q_DISTANCE ",%lld)", (long long)asked);
    *indices = malloc(size * sizeof **indices);
    if (distances) *distances = malloc(size * sizeof **distances);
    quern_status status = QUERN_OK;
    if (!*indices || (distances && !*distances)) status = q_fail_memory(size * sizeof **indices);
    if (!status) status = q_distance_compile(&op, context, distance, view.columns, nearest, distances ? least : NULL);
    if (!status) {
        const quern_view results[] = {quern_i64(*indices, rows, asked),
                                      distances ? quern_f32(*distances, rows, asked) : (quern_view){0}};
        status = quern_run_all(op, QUERN_ARGS({"x", view}, {"y", view}), (quern_outs){results, distances ? 2 : 1});
    }
    if (!status) leave_out_self(*indices, distances ? *distances : NULL, rows, count);
    quern_operator_destroy(&op);
    return status;
}

// ---- perplexity ----

/* exp(-beta (d - d[0])) in `weight`; their sum, and the entropy of what they are parts of. */
static double entropy_at(double beta, const float *d, int64_t count, double *weight, double *sum)
{
    double mean = 0;
    *sum = 0;
    for (int64_t k = 0; k < count; k++) {
        double above = (double)d[k] - (double)d[0];
        weight[k] = exp(-beta * above);
        *sum += weight[k], mean += weight[k] * above;
    }
    return log(*sum) + beta * mean / *sum;
}

/* Probabilities of one row by bisection for beta; distances ascend. Where all are alike, so are the probabilities. */
static void calibrate(const float *d, int64_t count, double perplexity, double *weight)
{
    double low = 0, high = INFINITY, beta = 1, sum = 1;
    const double wanted = log(perplexity), width = (double)d[count - 1] - (double)d[0];
    if (width > 0) beta = 1 / width;
    for (int turn = 0; turn < 60; turn++) {
        double off = entropy_at(beta, d, count, weight, &sum) - wanted;
        if (fabs(off) < 1e-5 || !(width > 0)) break;
        if (off > 0) low = beta;
        else high = beta;
        beta = isinf(high) ? 2 * beta : (low + high) / 2;
    }
    for (int64_t k = 0; k < count; k++) weight[k] /= sum;
}

static double add(double a, double b)
{
    return a + b;
}

const q_affinity_kind q_perplexity = {calibrate, add};

// ---- memberships ----

/* exp(-(d - rho) / sigma), at most 1, rho being the least distance above 0, and sigma such that they sum to `wanted`: by bisection. In
   vain where too many are as near as rho; sigma is no less than a thousandth of the mean distance. */
static void join_nearest(const float *d, int64_t count, double wanted, double *weight)
{
    double low = 0, high = INFINITY, sigma = 1, mean = 0, rho = 0;
    for (int64_t k = count; k-- > 0;) {
        mean += (double)d[k] / (double)count;
        if (d[k] > 0) rho = (double)d[k];
    }
    for (int turn = 0; turn < 64; turn++) {
        double sum = 0;
        for (int64_t k = 0; k < count; k++) sum += exp(-fmax(0, (double)d[k] - rho) / sigma);
        if (fabs(sum - wanted) < 1e-5) break;
        if (sum > wanted) high = sigma;
        else low = sigma;
        sigma = isinf(high) ? 2 * sigma : (low + high) / 2;
    }
    sigma = fmax(sigma, 1e-3 * mean);
    for (int64_t k = 0; k < count; k++) weight[k] = sigma > 0 ? exp(-fmax(0, (double)d[k] - rho) / sigma) : 1;
}

/* Of two fuzzy sets, the union. */
static double unite(double a, double b)
{
    return a + b - a * b;
}

const q_affinity_kind q_membership = {join_nearest, unite};

// ---- the symmetric matrix ----

typedef struct entry {
    int32_t column;
    float weight;
} entry;

static int by_column(const void *a, const void *b)
{
    const int32_t p = ((const entry *)a)->column, q = ((const entry *)b)->column;
    return (p > q) - (p < q);
}

/* Where each row begins among entries of both directions. */
static void count_entries(int64_t *first, const int64_t *indices, int64_t rows, int64_t count)
{
    memset(first, 0, ((size_t)rows + 1) * sizeof *first);
    for (int64_t i = 0; i < rows; i++) {
        first[i + 1] += count;
        for (int64_t k = 0; k < count; k++) first[indices[i * count + k] + 1]++;
    }
    for (int64_t i = 0; i < rows; i++) first[i + 1] += first[i];
}

static void place_entries(entry *entries, int64_t *next, const int64_t *indices, const float *distances, int64_t rows,
                          int64_t count, const q_affinity_kind *kind, double wanted, double *weight)
{
    for (int64_t i = 0; i < rows; i++) {
        kind->weigh(distances + i * count, count, wanted, weight);
        for (int64_t k = 0; k < count; k++) {
            const int64_t j = indices[i * count + k];
            entries[next[i]++] = (entry){(int32_t)j, (float)weight[k]};
            entries[next[j]++] = (entry){(int32_t)i, (float)weight[k]};
        }
    }
}

/* Entries of one column become one; that is the same in any order. */
static void merge_entries(q_affinities *a, entry *entries, const q_affinity_kind *kind)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < a->rows; i++) {
        const int64_t from = a->first[i], end = a->first[i + 1];
        qsort(entries + from, (size_t)(end - from), sizeof *entries, by_column);
        a->first[i] = kept;
        for (int64_t e = from; e < end; e++)
            if (kept > a->first[i] && a->column[kept - 1] == entries[e].column)
                a->weight[kept - 1] = (float)kind->join((double)a->weight[kept - 1], (double)entries[e].weight);
            else a->column[kept] = entries[e].column, a->weight[kept++] = entries[e].weight;
    }
    a->first[a->rows] = kept;
}

static quern_status make_symmetric(q_affinities *a, const int64_t *indices, const float *distances, int64_t count,
                                   const q_affinity_kind *kind, double wanted)
{
    const size_t room = (size_t)(2 * a->rows * count) + 1;
    entry *entries = malloc(room * sizeof *entries);
    int64_t *next = malloc(((size_t)a->rows + 1) * sizeof *next);
    double *weight = malloc((size_t)count * sizeof *weight);
    a->first = malloc(((size_t)a->rows + 1) * sizeof *a->first);
    a->column = malloc(room * sizeof *a->column);
    a->weight = malloc(room * sizeof *a->weight);
    const bool there = entries && next && weight && a->first && a->column && a->weight;
    if (there) {
        count_entries(a->first, indices, a->rows, count);
        memcpy(next, a->first, ((size_t)a->rows + 1) * sizeof *next);
        place_entries(entries, next, indices, distances, a->rows, count, kind, wanted, weight);
        merge_entries(a, entries, kind);
    }
    free(entries), free(next), free(weight);
    return there ? QUERN_OK : q_fail_memory(room * 16);
}

/* NaN would be taken for a neighbour, and what has none has index -1. */
static quern_status check_distances(const int64_t *indices, const float *distances, int64_t rows, int64_t count)
{
    for (int64_t e = 0; e < rows * count; e++)
        if (indices[e] < 0 || !isfinite(distances[e]) || distances[e] < 0)
            return q_fail(QUERN_USAGE, "the distance of point %lld from another is %g", (long long)(e / count),
                          indices[e] < 0 ? NAN : (double)distances[e]);
    return QUERN_OK;
}

int64_t q_neighbor_count(int64_t rows, double wanted)
{
    return wanted < (double)(rows - 1) ? (int64_t)wanted : rows - 1;
}

quern_status q_affinities_create(q_affinities *out, quern_context *context, const quern_array *points,
                                 const char *distance, int64_t count, const q_affinity_kind *kind, double wanted)
{
    const int64_t rows = quern_array_view(points).rows;
    int64_t *indices = NULL;
    float *distances = NULL;
    *out = (q_affinities){.rows = rows};
    quern_status status = q_nearest_others(&indices, &distances, context, points, distance, count);
    if (!status) status = check_distances(indices, distances, rows, count);
    if (!status) status = make_symmetric(out, indices, distances, count, kind, wanted);
    free(indices), free(distances);
    return status;
}

double q_affinities_normalise(q_affinities *a)
{
    double entropy = 0;
    for (int64_t e = 0; e < a->first[a->rows]; e++) {
        a->weight[e] = (float)((double)a->weight[e] * 0.5 / (double)a->rows);
        if (a->weight[e] > 0) entropy += (double)a->weight[e] * log((double)a->weight[e]);
    }
    return entropy;
}

void q_affinities_destroy(q_affinities *a)
{
    free(a->first), free(a->column), free(a->weight);
    *a = (q_affinities){0};
}
