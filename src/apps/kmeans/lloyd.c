/*
 * lloyd.c: steps of k-means. The device finds the nearest centroid of each point, and how far it is, at first of all, then of those that
 * bounds leave (bounds.c); the host sums points by label, in float64 and in the order of the rows.
 *
 * Invariant: after a step, labels, distances and inertia are those of the centroids that are in `centre`.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/kmeans/kmeans.h"

double q_distance_at(const q_kmeans *m, const q_assigned *a, int64_t row)
{
    return m->points->dtype == QUERN_F32 ? (double)((const float *)a->distances)[row]
                                         : ((const double *)a->distances)[row];
}

void q_distance_write(const q_kmeans *m, q_assigned *a, int64_t row, double distance)
{
    q_element_write(m->points->dtype, (char *)a->distances + (size_t)row * q_element_size(m->points->dtype), distance);
}

// ---- assignment ----

static quern_status sum_distances(const q_kmeans *m, const q_assigned *a, const double *weights, double *inertia)
{
    *inertia = 0;
    for (int64_t r = 0; r < a->rows; r++) {
        double distance = q_distance_at(m, a, r);
        if (a->labels[r] < 0 || !isfinite(distance))
            return q_fail(QUERN_NUMERIC, "a point has the distance %g from its nearest centroid", distance);
        *inertia += (weights ? weights[r] : 1) * distance;
    }
    return QUERN_OK;
}

static quern_status find_nearest(q_kmeans *m, q_assigned *a, const double *weights, double *inertia)
{
    Q_TRY(q_view_write(m->points->context, quern_array_view(m->centroids), quern_f64(m->centre, m->k, m->points->dim)));
    Q_TRY(quern_run_all(m->find, QUERN_ARGS({"x", a->points}, {"y", quern_array_view(m->centroids)}),
                        QUERN_OUTS(quern_view_of(a->labels, QUERN_I32, a->rows, 1),
                                   quern_view_of(a->distances, m->points->dtype, a->rows, 1))));
    m->distances += a->rows * m->k;
    return sum_distances(m, a, weights, inertia);
}

/* The same of all points, of whose labels so many were others a step before. */
static quern_status assign(q_kmeans *m, int64_t step, int64_t changed, double *inertia)
{
    bool done = false;
    if (step && !m->bounds) Q_TRY(q_bounds_try(m, changed));
    if (m->bounds) Q_TRY(q_bounds_find(m, &done));
    if (done) return sum_distances(m, &m->all, m->weights, inertia);
    return find_nearest(m, &m->all, m->weights, inertia);
}

static quern_status tell(const q_kmeans *m, int64_t iteration, double inertia)
{
    if (!m->options.progress || !m->options.progress(m->options.progress_user, iteration, inertia)) return QUERN_OK;
    return q_fail(QUERN_CANCELLED, "stopped after %lld step%s, at an inertia of %g", (long long)iteration,
                  Q_S(iteration), inertia);
}

// ---- means ----

static void clear(q_kmeans *m)
{
    memset(m->sums, 0, (size_t)(m->k * m->points->dim) * sizeof *m->sums);
    memset(m->mass, 0, (size_t)m->k * sizeof *m->mass);
    memset(m->members, 0, (size_t)m->k * sizeof *m->members);
}

/* Where there are clusters to be filled, distances are the device's, as without bounds, since the farthest is chosen by them. */
static quern_status measure_again(q_kmeans *m)
{
    double inertia;
    for (int64_t c = 0; c < m->k; c++)
        if (!m->members[c]) return find_nearest(m, &m->all, m->weights, &inertia);
    return QUERN_OK;
}

/* The point that adds most to the inertia, of clusters with others; -1 if none adds anything. */
static int64_t farthest(const q_kmeans *m, const q_assigned *a, const double *weights)
{
    int64_t found = -1;
    double most = 0;
    for (int64_t r = 0; r < a->rows; r++) {
        double share = (weights ? weights[r] : 1) * q_distance_at(m, a, r);
        if (share > most && m->members[a->labels[r]] > 1) most = share, found = r;
    }
    return found;
}

/* Gives clusters without points one each, which it takes from its own. */
static void reseed(q_kmeans *m, quern_kmeans_report *report)
{
    const q_points *p = m->points;
    int64_t row = 0;
    report->empty = 0;
    for (int64_t c = 0; c < m->k && row >= 0; c++) {
        if (m->members[c]) continue;
        row = farthest(m, &m->all, m->weights);
        if (row < 0) break;
        int64_t from = m->all.labels[row];
        double weight = m->weights ? m->weights[row] : 1;
        for (int64_t d = 0; d < p->dim; d++) {
            double x = weight * q_points_at(p, row, d);
            m->sums[from * p->dim + d] -= x, m->sums[c * p->dim + d] = x;
        }
        m->mass[from] -= weight, m->mass[c] = weight;
        m->members[from]--, m->members[c] = 1;
        m->all.labels[row] = (int32_t)c;
        q_distance_write(m, &m->all, row, 0);
        q_bounds_forget(m, row);
        report->reseeded++;
    }
}

/* Moves each centroid that has points towards their mean; `before` is the mass that it stands for already, or null. The sum of
   squares of what they move. */
static double move(q_kmeans *m, double *before)
{
    int64_t dim = m->points->dim;
    double moved = 0;
    memcpy(m->before, m->centre, (size_t)(m->k * dim) * sizeof *m->centre);
    for (int64_t c = 0; c < m->k; c++) {
        double mass = m->mass[c] + (before ? before[c] : 0);
        if (!(m->mass[c] > 0)) continue;
        for (int64_t d = 0; d < dim; d++) {
            double *at = m->centre + c * dim + d, sum = m->sums[c * dim + d];
            double next = before ? *at + (sum - m->mass[c] * *at) / mass : sum / mass;
            moved += (next - *at) * (next - *at);
            *at = next;
        }
        if (before) before[c] = mass;
    }
    return moved;
}

static int64_t count_empty(const q_kmeans *m)
{
    int64_t empty = m->k;
    memset(m->members, 0, (size_t)m->k * sizeof *m->members);
    for (int64_t r = 0; r < m->all.rows; r++) empty -= !m->members[m->all.labels[r]]++;
    return empty;
}

// ---- all points ----

static int64_t count_changed(const q_kmeans *m, const int32_t *before)
{
    int64_t changed = 0;
    for (int64_t r = 0; r < m->all.rows; r++) changed += before[r] != m->all.labels[r];
    return changed;
}

static quern_status lloyd(q_kmeans *m, int32_t *before, quern_kmeans_report *report)
{
    const quern_kmeans_options *o = &m->options;
    int64_t changed = m->points->rows;
    for (;; report->iterations++) {
        Q_TRY(assign(m, report->iterations, changed, &report->inertia));
        if (report->iterations) {
            changed = count_changed(m, before);
            bool still = !changed || report->moved <= o->tolerance * m->variance;
            Q_TRY(tell(m, report->iterations, report->inertia));
            if (still) report->converged = true;
        }
        if (report->converged || report->iterations == o->iterations) return QUERN_OK;
        clear(m);
        q_points_sum(m->points, m->all.labels, m->weights, m->sums, m->mass, m->members);
        if (m->bounds) Q_TRY(measure_again(m));
        reseed(m, report);
        report->moved = move(m, NULL);
        memcpy(before, m->all.labels, (size_t)m->points->rows * sizeof *before);
    }
}

quern_status q_kmeans_lloyd(q_kmeans *m, quern_kmeans_report *report)
{
    double begin = q_seconds();
    int32_t *before = malloc((size_t)m->points->rows * sizeof *before + 1);
    if (!before) return q_fail_memory((size_t)m->points->rows * sizeof *before);
    quern_status status = lloyd(m, before, report);
    q_bounds_destroy(m);
    m->pause = m->rest = 0;
    report->seconds = q_seconds() - begin;
    if (!status) report->empty = count_empty(m);
    free(before);
    return status;
}

// ---- mini-batches ----

typedef struct batches {
    q_points points; /* those drawn: dense, borrowed by nobody */
    q_assigned found;
    double *weights, *before; /* of the points drawn; what each centroid stands for */
    int64_t *rows;
} batches;

static void destroy(batches *b)
{
    q_points_destroy(&b->points);
    free(b->found.labels), free(b->found.distances);
    free(b->weights), free(b->before), free(b->rows);
}

static quern_status create(batches *b, const q_kmeans *m)
{
    int64_t rows = m->options.batch;
    b->points = *m->points;
    b->points.rows = rows, b->points.array = NULL;
    b->points.owned = q_points_block(m->points, rows, m->points->dim);
    b->points.host = quern_view_of(b->points.owned, m->points->dtype, rows, m->points->dim);
    b->found.rows = rows;
    b->found.labels = malloc((size_t)rows * sizeof(int32_t));
    b->found.distances = q_points_block(m->points, rows, 1);
    b->weights = malloc((size_t)rows * sizeof(double));
    b->before = calloc((size_t)m->k, sizeof(double));
    b->rows = malloc((size_t)rows * sizeof(int64_t));
    if (!b->points.owned || !b->found.labels || !b->found.distances || !b->weights || !b->before || !b->rows)
        return q_fail_memory((size_t)rows * (size_t)(m->points->dim + 4) * sizeof(double));
    Q_TRY(quern_array_create(&b->points.array, m->points->context, m->points->dtype, rows, m->points->dim));
    b->found.points = quern_array_view(b->points.array);
    return QUERN_OK;
}

static quern_status draw(batches *b, q_kmeans *m)
{
    for (int64_t r = 0; r < b->points.rows; r++) {
        b->rows[r] = (int64_t)(q_random_next(&m->random) % (uint64_t)m->points->rows);
        b->weights[r] = m->weights ? m->weights[b->rows[r]] : 1;
    }
    q_points_gather(m->points, b->rows, b->points.rows, b->points.owned);
    return quern_array_write(b->points.array, b->points.host);
}

/* Centroids that no batch of a whole round has met go where a batch's points are farthest. */
static void settle(batches *b, q_kmeans *m, quern_kmeans_report *report)
{
    for (int64_t c = 0; c < m->k; c++) {
        int64_t row = b->before[c] > 0 ? -1 : farthest(m, &b->found, b->weights);
        if (row < 0) continue;
        for (int64_t d = 0; d < m->points->dim; d++)
            m->centre[c * m->points->dim + d] = q_points_at(&b->points, row, d);
        b->before[c] = b->weights[row];
        q_distance_write(m, &b->found, row, 0);
        report->reseeded++;
    }
}

static quern_status step(batches *b, q_kmeans *m, quern_kmeans_report *report)
{
    int64_t round = (m->points->rows + b->points.rows - 1) / b->points.rows;
    double inertia;
    Q_TRY(draw(b, m));
    Q_TRY(find_nearest(m, &b->found, b->weights, &inertia));
    clear(m);
    q_points_sum(&b->points, b->found.labels, b->weights, m->sums, m->mass, m->members);
    report->moved = move(m, b->before);
    if (++report->iterations % round == 0) settle(b, m, report);
    report->converged = report->moved <= m->options.tolerance * m->variance;
    return tell(m, report->iterations, inertia * (double)m->points->rows / (double)b->points.rows);
}

quern_status q_kmeans_batches(q_kmeans *m, quern_kmeans_report *report)
{
    batches b = {0};
    double begin = q_seconds();
    quern_status status = create(&b, m);
    while (!status && !report->converged && report->iterations < m->options.iterations) status = step(&b, m, report);
    if (!status) status = find_nearest(m, &m->all, m->weights, &report->inertia);
    report->seconds = q_seconds() - begin;
    if (!status) report->empty = count_empty(m);
    destroy(&b);
    return status;
}
