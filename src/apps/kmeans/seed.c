/*
 * seed.c: where centroids begin: random rows, or greedy k-means++ (Arthur and Vassilvitskii, 2007): the device keeps how far each
 * point is from the centroids so far, and sums what would be left with each of a few candidates.
 */
#include <math.h>
#include <stdlib.h>

#include "apps/kmeans/kmeans.h"

typedef struct seeding {
    q_kmeans *m;
    quern_operator *tell, *keep; /* what candidates leave; the distances with the one that is taken */
    quern_array *candidates, *weights, *nearest;
    void *distances, *rows, *left; /* N, the candidates, a number for each: in the points' type */
    double *reached;               /* running sums of what rows are drawn by */
    int64_t *chosen, candidate_count;
} seeding;

static double number_at(const seeding *s, const void *numbers, int64_t row)
{
    return s->m->points->dtype == QUERN_F32 ? (double)((const float *)numbers)[row] : ((const double *)numbers)[row];
}

/* The first row whose running sum is above a random part of all. */
static int64_t draw(const seeding *s)
{
    int64_t from = 0, to = s->m->points->rows - 1;
    double at = q_random_unit(&s->m->random) * s->reached[to];
    while (from < to) {
        int64_t middle = from + (to - from) / 2;
        if (s->reached[middle] > at) to = middle;
        else from = middle + 1;
    }
    return from;
}

static void put(const seeding *s, int64_t c, int64_t row)
{
    int64_t dim = s->m->points->dim;
    for (int64_t d = 0; d < dim; d++) s->m->centre[c * dim + d] = q_points_at(s->m->points, row, d);
}

/* Running sums of weights, times distances if there are any; where all of these are 0, of weights alone. */
static quern_status sum_up(seeding *s, bool with_distances)
{
    const q_points *p = s->m->points;
    double sum = 0;
    if (with_distances) Q_TRY(quern_array_read(s->nearest, quern_view_of(s->distances, p->dtype, p->rows, 1)));
    for (int64_t r = 0; r < p->rows; r++) {
        double weight = s->m->weights ? s->m->weights[r] : 1, distance = 1;
        if (with_distances) distance = number_at(s, s->distances, r);
        if (weight > 0 && distance > 0) sum += weight * distance;
        s->reached[r] = sum;
    }
    if (!isfinite(sum)) return q_fail(QUERN_NUMERIC, "distances between points sum to %g", sum);
    return sum > 0 || !with_distances ? QUERN_OK : sum_up(s, false);
}

static quern_status choose(seeding *s, int64_t *best)
{
    const q_points *p = s->m->points;
    int64_t count = s->candidate_count;
    for (int64_t k = 0; k < count; k++) s->chosen[k] = draw(s);
    q_points_gather(p, s->chosen, count, s->rows);
    Q_TRY(quern_array_write(s->candidates, quern_view_of(s->rows, p->dtype, count, p->dim)));
    Q_TRY(quern_run(s->tell,
                    QUERN_ARGS({"x", quern_array_view(p->array)}, {"y", quern_array_view(s->candidates)},
                               {"quern_weight", quern_array_view(s->weights)},
                               {"quern_nearest", quern_array_view(s->nearest)}),
                    quern_view_of(s->left, p->dtype, count, 1)));
    *best = 0;
    for (int64_t k = 1; k < count; k++)
        if (number_at(s, s->left, k) < number_at(s, s->left, *best)) *best = k;
    return QUERN_OK;
}

static quern_status keep(seeding *s, int64_t candidate)
{
    quern_view nearest = quern_array_view(s->nearest);
    return quern_run(s->keep,
                     QUERN_ARGS({"x", quern_array_view(s->m->points->array)},
                                {"y", quern_view_rows(quern_array_view(s->candidates), candidate, 1)},
                                {"quern_nearest", nearest}),
                     nearest);
}

static quern_status plus_plus(seeding *s)
{
    for (int64_t c = 0; c < s->m->k; c++) {
        int64_t best = 0;
        Q_TRY(sum_up(s, c > 0));
        Q_TRY(choose(s, &best));
        put(s, c, s->chosen[best]);
        if (c + 1 < s->m->k) Q_TRY(keep(s, best));
    }
    return QUERN_OK;
}

static quern_status create(seeding *s)
{
    const q_points *p = s->m->points;
    s->candidate_count = 2 + (int64_t)log((double)s->m->k);
    s->distances = q_points_block(p, p->rows, 1);
    s->rows = q_points_block(p, s->candidate_count, p->dim);
    s->reached = malloc((size_t)p->rows * sizeof(double));
    s->left = q_points_block(p, s->candidate_count, 1);
    s->chosen = malloc((size_t)s->candidate_count * sizeof(int64_t));
    if (!s->distances || !s->rows || !s->reached || !s->left || !s->chosen)
        return q_fail_memory((size_t)p->rows * 2 * sizeof(double));
    const char *nearer =
        "quern_nearest=Vi(1); quern_weight=Vi(1); Sum_i(quern_weight*Min(Concat(quern_nearest," Q_DISTANCE ")))";
    Q_TRY(q_distance_compile(&s->tell, p->context, s->m->options.distance, p->dim, nearer, NULL));
    Q_TRY(q_distance_compile(&s->keep, p->context, s->m->options.distance, p->dim,
                             "quern_nearest=Vi(1); Min(Concat(quern_nearest,Min_j(" Q_DISTANCE ")))", NULL));
    Q_TRY(quern_array_create(&s->candidates, p->context, p->dtype, s->candidate_count, p->dim));
    Q_TRY(quern_array_create(&s->weights, p->context, p->dtype, p->rows, 1));
    Q_TRY(quern_array_create(&s->nearest, p->context, p->dtype, p->rows, 1));
    Q_TRY(quern_array_fill(s->nearest, INFINITY));
    return s->m->weights ? q_view_write(p->context, quern_array_view(s->weights), quern_f64(s->m->weights, p->rows, 1))
                         : quern_array_fill(s->weights, 1);
}

static void destroy(seeding *s)
{
    quern_operator_destroy(&s->tell), quern_operator_destroy(&s->keep);
    quern_array_destroy(&s->candidates), quern_array_destroy(&s->weights), quern_array_destroy(&s->nearest);
    free(s->distances), free(s->rows), free(s->reached), free(s->left), free(s->chosen);
}

/* k of N rows, in order, all choices equally likely (selection sampling: Knuth, The Art of Computer Programming 2, 3.4.2). */
static void random_rows(const seeding *s)
{
    int64_t rows = s->m->points->rows, chosen = 0;
    for (int64_t r = 0; r < rows && chosen < s->m->k; r++)
        if (q_random_unit(&s->m->random) * (double)(rows - r) < (double)(s->m->k - chosen)) put(s, chosen++, r);
}

quern_status q_kmeans_seed(q_kmeans *m)
{
    seeding s = {.m = m};
    if (m->options.start == QUERN_START_RANDOM) {
        random_rows(&s);
        return QUERN_OK;
    }
    quern_status status = create(&s);
    if (!status) status = plus_plus(&s);
    destroy(&s);
    return status;
}
