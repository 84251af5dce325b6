/*
 * mean_shift.c: points climb to the peaks of a density: each pass is a mean of all points with the weights of a softmax, which no
 * point is too far away for. Peaks stay on the device until none moves.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/kmeans/kmeans.h"
#include "quern/density_clusters.h"

typedef struct shift {
    q_points points;
    quern_mean_shift_options options; /* with its defaults filled in */
    quern_operator *mean, *moved;
    quern_array *at, *next;
    quern_density_clusters_report report;
} shift;

static quern_status compile(shift *s)
{
    q_text text = {0};
    long long dim = (long long)s->points.dim;
    q_text_add(&text, "x=Vi(%lld); y=Vj(%lld); g=Pm(1); SumSoftMaxWeight_j(-g*SqDist(x,y),y)", dim, dim);
    char *mean = q_text_take(&text);
    q_text_add(&text, "x=Vi(%lld); z=Vi(%lld); Max_i(SqDist(x,z))", dim, dim);
    char *moved = q_text_take(&text);
    quern_status status = mean && moved ? quern_compile(&s->mean, s->points.context, mean, NULL) : q_fail_memory(128);
    if (!status) status = quern_compile(&s->moved, s->points.context, moved, NULL);
    free(mean), free(moved);
    return status;
}

static quern_status climb(shift *s)
{
    const quern_mean_shift_options *o = &s->options;
    quern_view x = quern_array_view(s->points.array);
    while (!s->report.converged && s->report.passes < o->iterations) {
        quern_view at = quern_array_view(s->at), next = quern_array_view(s->next);
        double square;
        float single;
        bool is_single = s->points.dtype == QUERN_F32;
        Q_TRY(quern_run(
            s->mean, QUERN_ARGS({"x", at}, {"y", x}, {"g", quern_number(0.5 / (o->bandwidth * o->bandwidth))}), next));
        Q_TRY(quern_run(s->moved, QUERN_ARGS({"x", at}, {"z", next}),
                        is_single ? quern_f32(&single, 1, 1) : quern_f64(&square, 1, 1)));
        double moved = sqrt(is_single ? (double)single : square) / o->bandwidth;
        if (!isfinite(moved)) {
            q_fail(QUERN_NUMERIC, "a point moves by %g bandwidths", moved);
            q_fail_next_step(
                "squares of distances in bandwidths leave the range of %s: scale the points, or give float64",
                is_single ? "float32" : "float64");
            return QUERN_NUMERIC;
        }
        quern_array *other = s->at;
        s->at = s->next, s->next = other;
        s->report.passes++;
        s->report.converged = moved <= o->tolerance;
        if (o->progress && o->progress(o->progress_user, s->report.passes, moved))
            return q_fail(QUERN_CANCELLED,
                          "stopped after %lld pass%s, the last of which moved a point by %g bandwidths",
                          (long long)s->report.passes, s->report.passes == 1 ? "" : "es", moved);
    }
    return QUERN_OK;
}

static double square(const double *a, const double *b, int64_t dim)
{
    double sum = 0;
    for (int64_t d = 0; d < dim; d++) sum += (a[d] - b[d]) * (a[d] - b[d]);
    return sum;
}

/* Each peak joins the first cluster whose first peak is near, or is the first of a new one. */
static void number(shift *s, const double *peaks, int64_t *labels, int64_t *first)
{
    int64_t dim = s->points.dim;
    double near = 0.25 * s->options.bandwidth * s->options.bandwidth;
    for (int64_t r = 0; r < s->points.rows; r++) {
        int64_t c = 0;
        while (c < s->report.clusters && square(peaks + r * dim, peaks + first[c] * dim, dim) > near) c++;
        if (c == s->report.clusters) first[s->report.clusters++] = r;
        labels[r] = c;
    }
}

static quern_status finish(shift *s, quern_view to, quern_view peaks)
{
    int64_t rows = s->points.rows, dim = s->points.dim;
    double *at = malloc((size_t)(rows * dim) * sizeof *at + 1);
    int64_t *labels = malloc((size_t)rows * 2 * sizeof *labels + 1);
    quern_status status = at && labels ? QUERN_OK : q_fail_memory((size_t)(rows * (dim + 2)) * sizeof *at);
    if (!status) status = q_view_write(s->points.context, quern_f64(at, rows, dim), quern_array_view(s->at));
    if (!status) number(s, at, labels, labels + rows);
    if (!status) status = q_view_write(s->points.context, to, quern_i64(labels, rows, 1));
    if (!status && q_view_given(&peaks)) status = q_view_write(s->points.context, peaks, quern_f64(at, rows, dim));
    free(at), free(labels);
    return status;
}

static quern_status run(shift *s, quern_view labels, quern_view peaks)
{
    const q_points *p = &s->points;
    Q_TRY(compile(s));
    Q_TRY(quern_array_create(&s->at, p->context, p->dtype, p->rows, p->dim));
    Q_TRY(quern_array_create(&s->next, p->context, p->dtype, p->rows, p->dim));
    Q_TRY(quern_copy(p->context, quern_array_view(s->at), quern_array_view(p->array)));
    Q_TRY(climb(s));
    return finish(s, labels, peaks);
}

quern_status quern_mean_shift(quern_context *context, quern_view points, quern_view labels, quern_view peaks,
                              const quern_mean_shift_options *options, quern_density_clusters_report *report)
{
    shift s = {.report = {.size = sizeof s.report}};
    if (!context) return q_fail_null(__func__, "context");
    Q_TRY(q_options_copy(&s.options, sizeof s.options, options, "quern_mean_shift_options"));
    if (!(s.options.bandwidth > 0) || isinf(s.options.bandwidth))
        return q_fail(QUERN_USAGE, "the bandwidth is %g; it must be a positive number", s.options.bandwidth);
    if (s.options.iterations < 0 || !(s.options.tolerance >= 0))
        return q_fail(QUERN_USAGE, "iterations and tolerance are %lld and %g; neither may be negative",
                      (long long)s.options.iterations, s.options.tolerance);
    if (!s.options.iterations) s.options.iterations = 300;
    if (!s.options.tolerance) s.options.tolerance = 1e-3;
    Q_TRY(q_shape_check("points", &points, -1, -1));
    Q_TRY(q_shape_check("labels", &labels, points.rows, 1));
    if (q_view_given(&peaks)) Q_TRY(q_shape_check("peaks", &peaks, points.rows, points.columns));
    Q_TRY(q_points_create(&s.points, context, points));
    quern_status status = QUERN_OK;
    if (points.rows) status = run(&s, labels, peaks);
    else s.report.converged = true;
    quern_operator_destroy(&s.mean), quern_operator_destroy(&s.moved);
    quern_array_destroy(&s.at), quern_array_destroy(&s.next);
    q_points_destroy(&s.points);
    if (!status && report) q_report_copy(report, &s.report, sizeof s.report);
    return status;
}
