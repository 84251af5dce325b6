/*
 * vote.c: what the neighbours of a row say about it: the label that most of them have, or the mean of their values.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/neighbors/neighbors.h"

/* A neighbour's label and its votes. */
typedef struct ballot {
    int64_t label;
    double votes;
} ballot;

typedef struct voters {
    quern_view indices, distances;
    quern_vote vote;
    int64_t points; /* that indices may name */
} voters;

/* The votes of the neighbours of a row, 0 for places that are left over. USAGE for an index that names no point. */
static quern_status count_votes(double *votes, const voters *v, int64_t row)
{
    bool inverse = v->vote == QUERN_VOTE_INVERSE, same = false;
    for (int64_t k = 0; k < v->indices.columns; k++) {
        double index = q_host_read(&v->indices, row, k), d = inverse ? q_host_read(&v->distances, row, k) : 1;
        votes[k] = 0;
        if (index == -1) continue;
        if (!(index >= 0 && index < (double)v->points))
            return q_fail(QUERN_USAGE, "neighbour %lld of row %lld is point %.0f; there are %lld", (long long)k,
                          (long long)row, index, (long long)v->points);
        if (isnan(d))
            return q_fail(QUERN_USAGE, "the distance of neighbour %lld of row %lld is NaN", (long long)k,
                          (long long)row);
        votes[k] = d <= 0 ? INFINITY : 1 / d;
        same = same || isinf(votes[k]);
    }
    for (int64_t k = 0; k < v->indices.columns && same; k++) votes[k] = isinf(votes[k]) ? 1 : 0;
    return QUERN_OK;
}

static int by_label(const void *a, const void *b)
{
    int64_t x = ((const ballot *)a)->label, y = ((const ballot *)b)->label;
    return x < y ? -1 : x > y;
}

/* The label with most votes, the least of those with as many; -1 if there are none. */
static int64_t winner(ballot *ballots, size_t count)
{
    int64_t best = -1;
    double most = 0;
    qsort(ballots, count, sizeof *ballots, by_label);
    for (size_t from = 0, to; from < count; from = to) {
        double votes = 0;
        for (to = from; to < count && ballots[to].label == ballots[from].label; to++) votes += ballots[to].votes;
        if (votes > most) most = votes, best = ballots[from].label;
    }
    return best;
}

static int64_t label_of(const quern_view *labels, int64_t row)
{
    int64_t wide;
    int32_t narrow;
    if (labels->dtype == QUERN_I32) return memcpy(&narrow, q_host_at(labels, row, 0), sizeof narrow), narrow;
    memcpy(&wide, q_host_at(labels, row, 0), sizeof wide);
    return wide;
}

static void store_label(const quern_view *result, int64_t row, int64_t label)
{
    int32_t narrow = (int32_t)label;
    if (result->dtype == QUERN_I32) memcpy(q_host_at(result, row, 0), &narrow, sizeof narrow);
    else memcpy(q_host_at(result, row, 0), &label, sizeof label);
}

static quern_status classify_row(int64_t *label, const voters *v, const quern_view *labels, int64_t row, double *votes,
                                 ballot *ballots)
{
    size_t count = 0;
    Q_TRY(count_votes(votes, v, row));
    for (int64_t k = 0; k < v->indices.columns; k++)
        if (votes[k] > 0)
            ballots[count++] = (ballot){label_of(labels, (int64_t)q_host_read(&v->indices, row, k)), votes[k]};
    *label = winner(ballots, count);
    return QUERN_OK;
}

static quern_status regress_row(const voters *v, const quern_view *values, int64_t row, const double *votes,
                                const quern_view *result)
{
    for (int64_t c = 0; c < values->columns; c++) {
        double sum = 0, total = 0;
        for (int64_t k = 0; k < v->indices.columns; k++)
            if (votes[k] > 0) {
                sum += votes[k] * q_host_read(values, (int64_t)q_host_read(&v->indices, row, k), c);
                total += votes[k];
            }
        q_host_write(result, row, c, total > 0 ? sum / total : NAN);
    }
    return QUERN_OK;
}

/* Checks neighbours and has room for the votes of a row. */
static quern_status begin(voters *v, double **votes, const quern_view *result)
{
    Q_TRY(q_numbers_check("indices", &v->indices, -1, -1));
    Q_TRY(q_indices_check("indices", &v->indices));
    if (v->vote != QUERN_VOTE_EQUAL && v->vote != QUERN_VOTE_INVERSE)
        return q_fail(QUERN_USAGE, "there is no vote %d", (int)v->vote);
    if (v->vote == QUERN_VOTE_INVERSE || q_view_given(&v->distances)) {
        Q_TRY(q_numbers_check("distances", &v->distances, v->indices.rows, v->indices.columns));
        Q_TRY(q_distances_check("distances", &v->distances));
    }
    Q_TRY(q_numbers_check("result", result, v->indices.rows, -1));
    *votes = malloc((size_t)v->indices.columns * sizeof **votes);
    return *votes ? QUERN_OK : q_fail_memory((size_t)v->indices.columns * sizeof **votes);
}

quern_status quern_neighbors_classify(quern_view indices, quern_view distances, quern_view labels, quern_vote vote,
                                      quern_view result)
{
    voters v = {indices, distances, vote, labels.rows};
    double *votes;
    Q_TRY(q_numbers_check("labels", &labels, -1, 1));
    Q_TRY(q_indices_check("labels", &labels));
    Q_TRY(q_indices_check("result", &result));
    Q_TRY(q_numbers_check("result", &result, indices.rows, 1));
    Q_TRY(begin(&v, &votes, &result));
    ballot *ballots = malloc((size_t)indices.columns * sizeof *ballots);
    quern_status status = ballots ? QUERN_OK : q_fail_memory((size_t)indices.columns * sizeof *ballots);
    for (int64_t row = 0; row < indices.rows && !status; row++) {
        int64_t label;
        status = classify_row(&label, &v, &labels, row, votes, ballots);
        if (!status && result.dtype == QUERN_I32 && (label < INT32_MIN || label > INT32_MAX))
            status = q_fail(QUERN_LIMIT, "the label %lld of row %lld is beyond int32; give an int64 result",
                            (long long)label, (long long)row);
        if (!status) store_label(&result, row, label);
    }
    free(ballots);
    free(votes);
    return status;
}

quern_status quern_neighbors_regress(quern_view indices, quern_view distances, quern_view values, quern_vote vote,
                                     quern_view result)
{
    voters v = {indices, distances, vote, values.rows};
    double *votes;
    Q_TRY(q_numbers_check("values", &values, -1, -1));
    Q_TRY(q_distances_check("result", &result));
    Q_TRY(q_numbers_check("result", &result, indices.rows, values.columns));
    Q_TRY(begin(&v, &votes, &result));
    quern_status status = QUERN_OK;
    for (int64_t row = 0; row < indices.rows && !status; row++) {
        status = count_votes(votes, &v, row);
        if (!status) status = regress_row(&v, &values, row, votes, &result);
    }
    free(votes);
    return status;
}
