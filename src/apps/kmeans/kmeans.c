/*
 * kmeans.c: the calls of quern/kmeans.h: what is given is checked, starts are made one after the other, and the best is kept.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/kmeans/kmeans.h"

// ---- checks ----

static quern_status read_options(quern_kmeans_options *out, const quern_kmeans_options *given)
{
    Q_TRY(q_options_copy(out, sizeof *out, given, "quern_kmeans_options"));
    if (out->start < QUERN_START_PLUS_PLUS || out->start > QUERN_START_GIVEN)
        return q_fail(QUERN_USAGE, "there is no start %d", (int)out->start);
    if (out->bounds < QUERN_AUTO || out->bounds > QUERN_OFF)
        return q_fail(QUERN_USAGE, "bounds is %d; it must be QUERN_AUTO, QUERN_ON or QUERN_OFF", (int)out->bounds);
    if (out->restarts < 0 || out->iterations < 0 || out->batch < 0 || !(out->tolerance >= 0))
        return q_fail(QUERN_USAGE,
                      "restarts, iterations, batch and tolerance are %lld, %lld, %lld and %g; none may be negative",
                      (long long)out->restarts, (long long)out->iterations, (long long)out->batch, out->tolerance);
    if (!out->restarts || out->start == QUERN_START_GIVEN) out->restarts = 1;
    if (!out->iterations) out->iterations = 300;
    return QUERN_OK;
}

static quern_status read_weights(q_kmeans *m, const quern_view *view)
{
    double total = 0;
    if (!q_view_given(view)) return QUERN_OK;
    Q_TRY(q_shape_check("weights", view, m->points->rows, 1));
    if (view->array) return q_fail(QUERN_USAGE, "weights are an array on the device; they are taken from the host");
    m->weights = malloc((size_t)m->points->rows * sizeof(double) + 1);
    if (!m->weights) return q_fail_memory((size_t)m->points->rows * sizeof(double));
    Q_TRY(q_view_write(NULL, quern_f64(m->weights, m->points->rows, 1), *view));
    for (int64_t r = 0; r < m->points->rows; r++) {
        if (!(m->weights[r] >= 0) || isinf(m->weights[r]))
            return q_fail(QUERN_USAGE, "the weight of point %lld is %g; weights must be at least 0", (long long)r,
                          m->weights[r]);
        total += m->weights[r];
    }
    return total > 0 ? QUERN_OK : q_fail(QUERN_USAGE, "all weights are 0");
}

static quern_status read_start(q_kmeans *m, const quern_view *centroids)
{
    int64_t count = m->k * m->points->dim;
    quern_status status = q_view_write(m->points->context, quern_f64(m->centre, m->k, m->points->dim), *centroids);
    for (int64_t e = 0; e < count && !status; e++)
        if (!isfinite(m->centre[e]))
            status = q_fail(QUERN_USAGE, "centroid %lld begins at %g; it must be finite",
                            (long long)(e / m->points->dim), m->centre[e]);
    return status;
}

// ---- one call ----

static quern_status compile_find(quern_operator **out, quern_context *context, const char *distance, int64_t dim)
{
    return q_distance_compile(out, context, distance, dim, "ArgMin_j(" Q_DISTANCE ")", "Min_j(" Q_DISTANCE ")");
}

static quern_status create(q_kmeans *m)
{
    const q_points *p = m->points;
    m->centre = calloc((size_t)(m->k * p->dim), sizeof(double));
    m->before = calloc((size_t)(m->k * p->dim), sizeof(double));
    m->sums = malloc((size_t)(m->k * p->dim) * sizeof(double));
    m->mass = malloc((size_t)m->k * sizeof(double));
    m->members = malloc((size_t)m->k * sizeof(int64_t));
    m->all = (q_assigned){quern_array_view(p->array), p->rows, malloc((size_t)p->rows * sizeof(int32_t)),
                          q_points_block(p, p->rows, 1)};
    if (!m->centre || !m->before || !m->sums || !m->mass || !m->members || !m->all.labels || !m->all.distances)
        return q_fail_memory((size_t)(m->k * p->dim + p->rows) * 2 * sizeof(double));
    m->variance = m->options.tolerance > 0 ? q_points_variance(p) : 0;
    Q_TRY(compile_find(&m->find, p->context, m->options.distance, p->dim));
    return quern_array_create(&m->centroids, p->context, p->dtype, m->k, p->dim);
}

static void destroy(q_kmeans *m)
{
    quern_operator_destroy(&m->find);
    quern_array_destroy(&m->centroids);
    free(m->weights), free(m->centre), free(m->before), free(m->sums), free(m->mass), free(m->members);
    free(m->all.labels), free(m->all.distances);
}

static quern_status write_results(const q_kmeans *m, quern_view centroids, quern_view labels)
{
    quern_context *context = m->points->context;
    Q_TRY(q_view_write(context, centroids, quern_f64(m->centre, m->k, m->points->dim)));
    if (!q_view_given(&labels)) return QUERN_OK;
    return q_view_write(context, labels, quern_view_of(m->all.labels, QUERN_I32, m->points->rows, 1));
}

static quern_status write_distances(const q_kmeans *m)
{
    quern_view far = quern_view_of(m->all.distances, m->points->dtype, m->points->rows, 1);
    return q_view_given(&m->options.distances) ? q_view_write(m->points->context, m->options.distances, far) : QUERN_OK;
}

static quern_status start_once(q_kmeans *m, quern_kmeans_report *report)
{
    if (m->options.start != QUERN_START_GIVEN) Q_TRY(q_kmeans_seed(m));
    return m->options.batch ? q_kmeans_batches(m, report) : q_kmeans_lloyd(m, report);
}

static quern_status run(q_kmeans *m, quern_view centroids, quern_view labels, quern_kmeans_report *best)
{
    Q_TRY(create(m));
    if (m->options.start == QUERN_START_GIVEN) Q_TRY(read_start(m, &centroids));
    best->inertia = INFINITY;
    for (int64_t start = 0; start < m->options.restarts; start++) {
        quern_kmeans_report report = {.size = sizeof report, .start = start};
        m->random = m->options.seed + (uint64_t)start * 0x632be59bd9b4e019u;
        m->distances = 0;
        Q_TRY(start_once(m, &report));
        report.computed = m->distances;
        if (!(report.inertia < best->inertia)) continue;
        *best = report;
        Q_TRY(write_results(m, centroids, labels));
        Q_TRY(write_distances(m));
    }
    return QUERN_OK;
}

quern_status quern_kmeans(quern_context *context, quern_view points, quern_view centroids, quern_view labels,
                          const quern_kmeans_options *options, quern_kmeans_report *report)
{
    q_points p;
    q_kmeans m = {.points = &p, .k = centroids.rows};
    quern_kmeans_report best = {.size = sizeof best};
    if (!context) return q_fail_null(__func__, "context");
    Q_TRY(read_options(&m.options, options));
    Q_TRY(q_shape_check("points", &points, -1, -1));
    Q_TRY(q_shape_check("centroids", &centroids, -1, points.columns));
    if (q_view_given(&labels)) Q_TRY(q_shape_check("labels", &labels, points.rows, 1));
    if (q_view_given(&m.options.distances)) Q_TRY(q_shape_check("distances", &m.options.distances, points.rows, 1));
    if (m.k < 1 || m.k > points.rows || m.k > INT32_MAX)
        return q_fail(QUERN_SHAPE, "%lld clusters of %lld points cannot be: there must be from 1 to as many as points",
                      (long long)m.k, (long long)points.rows);
    Q_TRY(q_points_create(&p, context, points));
    quern_status status = read_weights(&m, &m.options.weights);
    if (!status) status = run(&m, centroids, labels, &best);
    destroy(&m);
    q_points_destroy(&p);
    if (!status && report) q_report_copy(report, &best, sizeof best);
    return status;
}

static quern_status assign(const q_points *p, quern_view centroids, const char *distance, quern_view labels,
                           quern_view distances)
{
    quern_operator *find = NULL;
    quern_array *found = NULL, *far = NULL, *centres = NULL;
    quern_status status = compile_find(&find, p->context, distance, p->dim);
    if (!status) status = quern_array_create(&found, p->context, QUERN_I32, p->rows, 1);
    if (!status) status = quern_array_create(&far, p->context, p->dtype, p->rows, 1);
    if (!status) status = quern_array_create(&centres, p->context, p->dtype, centroids.rows, p->dim);
    if (!status) status = q_view_write(p->context, quern_array_view(centres), centroids);
    if (!status)
        status = quern_run_all(find, QUERN_ARGS({"x", quern_array_view(p->array)}, {"y", quern_array_view(centres)}),
                               QUERN_OUTS(quern_array_view(found), quern_array_view(far)));
    if (!status && q_view_given(&labels)) status = q_view_write(p->context, labels, quern_array_view(found));
    if (!status && q_view_given(&distances)) status = q_view_write(p->context, distances, quern_array_view(far));
    quern_operator_destroy(&find);
    quern_array_destroy(&found), quern_array_destroy(&far), quern_array_destroy(&centres);
    return status;
}

quern_status quern_kmeans_assign(quern_context *context, quern_view points, quern_view centroids, const char *distance,
                                 quern_view labels, quern_view distances)
{
    q_points p;
    if (!context) return q_fail_null(__func__, "context");
    Q_TRY(q_shape_check("points", &points, -1, -1));
    Q_TRY(q_shape_check("centroids", &centroids, -1, points.columns));
    if (!centroids.rows) return q_fail(QUERN_SHAPE, "there are no centroids");
    if (q_view_given(&labels)) Q_TRY(q_shape_check("labels", &labels, points.rows, 1));
    if (q_view_given(&distances)) Q_TRY(q_shape_check("distances", &distances, points.rows, 1));
    Q_TRY(q_points_create(&p, context, points));
    quern_status status = assign(&p, centroids, distance, labels, distances);
    q_points_destroy(&p);
    return status;
}
