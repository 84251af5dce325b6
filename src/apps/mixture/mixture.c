/*
 * mixture.c: the calls of quern/mixture.h: starts from labels, those of k-means or given ones, of which the likeliest is kept.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/mixture/mixture.h"

// ---- checks ----

static quern_status read_options(quern_mixture_options *out, const quern_mixture_options *given)
{
    Q_TRY(q_options_copy(out, sizeof *out, given, "quern_mixture_options"));
    if (out->covariance < QUERN_COVARIANCE_FULL || out->covariance > QUERN_COVARIANCE_SPHERICAL)
        return q_fail(QUERN_USAGE, "there is no kind of covariance %d", (int)out->covariance);
    if (out->restarts < 0 || out->iterations < 0 || !(out->tolerance >= 0))
        return q_fail(QUERN_USAGE, "restarts, iterations and tolerance are %lld, %lld and %g; none may be negative",
                      (long long)out->restarts, (long long)out->iterations, out->tolerance);
    if (isnan(out->regularization) || isinf(out->regularization))
        return q_fail(QUERN_USAGE, "the regularization is %g", out->regularization);
    if (!out->regularization) out->regularization = 1e-6;
    if (out->regularization < 0) out->regularization = 0;
    if (!out->restarts || q_view_given(&out->labels)) out->restarts = 1;
    if (!out->iterations) out->iterations = 100;
    if (!out->tolerance) out->tolerance = 1e-3;
    return QUERN_OK;
}

static quern_status read_labels(int32_t *labels, const quern_view *given, int64_t components)
{
    for (int64_t r = 0; r < given->rows; r++) {
        double label;
        quern_view row = quern_view_rows(*given, r, 1);
        Q_TRY(q_view_write(NULL, quern_f64(&label, 1, 1), row));
        if (!(label >= 0 && label < (double)components) || label != floor(label))
            return q_fail(QUERN_USAGE, "the label of point %lld is %g; it must be one of 0 to %lld", (long long)r,
                          label, (long long)components - 1);
        labels[r] = (int32_t)label;
    }
    return QUERN_OK;
}

// ---- fits ----

typedef struct fit {
    const q_points *points;
    quern_mixture_options options; /* with its defaults filled in */
    q_mixture mixture;
    q_steps steps;
    int32_t *labels;
} fit;

static quern_status means_of_labels(fit *f)
{
    q_mixture *m = &f->mixture;
    int64_t *members = calloc((size_t)m->k, sizeof *members);
    quern_status status = members ? QUERN_OK : q_fail_memory((size_t)m->k * sizeof *members);
    memset(m->means, 0, (size_t)(m->k * m->dim) * sizeof *m->means);
    memset(m->weights, 0, (size_t)m->k * sizeof *m->weights);
    if (!status) q_points_sum(f->points, f->labels, NULL, m->means, m->weights, members);
    for (int64_t c = 0; c < m->k && !status; c++) {
        if (!members[c]) status = q_fail(QUERN_USAGE, "no point has the label %lld", (long long)c);
        for (int64_t d = 0; d < m->dim && !status; d++) m->means[c * m->dim + d] /= m->weights[c];
    }
    free(members);
    return status;
}

static quern_status first_labels(fit *f, int64_t start)
{
    q_mixture *m = &f->mixture;
    quern_view labels = quern_view_of(f->labels, QUERN_I32, f->points->rows, 1);
    if (q_view_given(&f->options.labels)) {
        Q_TRY(read_labels(f->labels, &f->options.labels, m->k));
        return means_of_labels(f);
    }
    quern_kmeans_options options = {.size = sizeof options,
                                    .seed = f->options.seed + (uint64_t)start * 0x632be59bd9b4e019u};
    return quern_kmeans(m->context, quern_array_view(f->points->array), quern_f64(m->means, m->k, m->dim), labels,
                        &options, NULL);
}

static quern_status climb(fit *f, quern_mixture_report *report)
{
    const quern_mixture_options *o = &f->options;
    double before;
    Q_TRY(first_labels(f, report->start));
    Q_TRY(q_steps_begin(&f->steps, f->labels));
    Q_TRY(q_steps_expect(&f->steps, &report->log_likelihood));
    while (!report->converged && report->iterations < o->iterations) {
        before = report->log_likelihood;
        Q_TRY(q_steps_maximize(&f->steps));
        Q_TRY(q_steps_expect(&f->steps, &report->log_likelihood));
        report->iterations++;
        report->converged = report->log_likelihood - before < o->tolerance;
        if (o->progress && o->progress(o->progress_user, report->iterations, report->log_likelihood))
            return q_fail(QUERN_CANCELLED, "stopped after %lld iteration%s, at a mean log-likelihood of %g",
                          (long long)report->iterations, Q_S(report->iterations), report->log_likelihood);
    }
    report->degenerate = f->steps.degenerate;
    return QUERN_OK;
}

static double *own(const double *array)
{
    return (double *)(uintptr_t)array;
}

void quern_mixture_destroy(quern_mixture **mixture)
{
    if (!mixture || !*mixture) return;
    free(own((*mixture)->weights)), free(own((*mixture)->means)), free(own((*mixture)->covariances));
    free(*mixture);
    *mixture = NULL;
}

static quern_status create(quern_mixture **out, const q_mixture *m, quern_covariance covariance)
{
    quern_mixture *made = calloc(1, sizeof *made);
    *out = made;
    if (!made) return q_fail_memory(sizeof *made);
    made->components = m->k, made->dim = m->dim, made->covariance = covariance;
    made->weights = calloc((size_t)m->k, sizeof(double));
    made->means = calloc((size_t)(m->k * m->dim), sizeof(double));
    made->covariances = calloc((size_t)(m->k * m->length), sizeof(double));
    made->report.log_likelihood = -INFINITY;
    if (made->weights && made->means && made->covariances) return QUERN_OK;
    return q_fail_memory((size_t)(m->k * m->length) * sizeof(double));
}

static void keep(quern_mixture *made, const fit *f, const quern_mixture_report *report)
{
    const q_mixture *m = &f->mixture;
    double rows = (double)f->points->rows;
    double free_parameters = (double)(m->k - 1 + m->k * (m->dim + m->kind->parameters(m->dim)));
    memcpy(own(made->weights), m->weights, (size_t)m->k * sizeof(double));
    memcpy(own(made->means), m->means, (size_t)(m->k * m->dim) * sizeof(double));
    memcpy(own(made->covariances), m->covariances, (size_t)(m->k * m->length) * sizeof(double));
    made->report = *report;
    made->report.bic = free_parameters * log(rows) - 2 * rows * report->log_likelihood;
}

static quern_status run(quern_mixture **out, fit *f, quern_context *context, int64_t components)
{
    const q_points *p = f->points;
    f->labels = malloc((size_t)p->rows * sizeof *f->labels);
    if (!f->labels) return q_fail_memory((size_t)p->rows * sizeof *f->labels);
    Q_TRY(q_mixture_create(&f->mixture, context, p->dtype, components, p->dim, f->options.covariance));
    Q_TRY(q_steps_create(&f->steps, &f->mixture, p, f->options.regularization));
    Q_TRY(create(out, &f->mixture, f->options.covariance));
    for (int64_t start = 0; start < f->options.restarts; start++) {
        quern_mixture_report report = {.start = start};
        Q_TRY(climb(f, &report));
        if (report.log_likelihood > (*out)->report.log_likelihood) keep(*out, f, &report);
    }
    return QUERN_OK;
}

quern_status quern_mixture_fit(quern_mixture **out, quern_context *context, quern_view points, int64_t components,
                               const quern_mixture_options *options)
{
    q_points p;
    fit f = {.points = &p};
    if (!out) return q_fail_null(__func__, "out");
    *out = NULL;
    if (!context) return q_fail_null(__func__, "context");
    Q_TRY(read_options(&f.options, options));
    Q_TRY(q_shape_check("points", &points, -1, -1));
    if (components < 1 || components > points.rows)
        return q_fail(QUERN_SHAPE,
                      "%lld components of %lld points cannot be: there must be from 1 to as many as points",
                      (long long)components, (long long)points.rows);
    if (q_view_given(&f.options.labels)) Q_TRY(q_shape_check("labels", &f.options.labels, points.rows, 1));
    if (f.options.labels.array)
        return q_fail(QUERN_USAGE, "labels are an array on the device; they are taken from the host");
    Q_TRY(q_points_create(&p, context, points));
    quern_status status = run(out, &f, context, components);
    if (status) quern_mixture_destroy(out);
    q_steps_destroy(&f.steps);
    q_mixture_destroy(&f.mixture);
    free(f.labels);
    q_points_destroy(&p);
    return status;
}

// ---- of other points ----

static quern_status read_result(const q_mixture *m, const char *text, const q_points *p, const quern_array *l,
                                quern_array **kept, quern_dtype dtype, int64_t columns, quern_view to)
{
    quern_operator *op = NULL;
    quern_array *array = NULL;
    quern_status status = q_mixture_compile(&op, m, &text, 1);
    if (!status) status = quern_array_create(&array, m->context, dtype, p->rows, columns);
    if (!status) status = q_mixture_run(m, op, p, l, QUERN_OUTS(quern_array_view(array)));
    if (!status && q_view_given(&to)) status = q_view_write(m->context, to, quern_array_view(array));
    quern_operator_destroy(&op);
    if (kept) *kept = array;
    else quern_array_destroy(&array);
    return status;
}

static quern_status assign(const quern_mixture *mixture, q_mixture *m, const q_points *p, quern_view labels,
                           quern_view responsibilities, quern_view log_densities)
{
    quern_array *densities = NULL;
    char text[64];
    Q_TRY(q_mixture_create(m, p->context, p->dtype, mixture->components, mixture->dim, mixture->covariance));
    memcpy(m->weights, mixture->weights, (size_t)m->k * sizeof(double));
    memcpy(m->means, mixture->means, (size_t)(m->k * m->dim) * sizeof(double));
    memcpy(m->covariances, mixture->covariances, (size_t)(m->k * m->length) * sizeof(double));
    Q_TRY(q_mixture_prepare(m));
    if (q_view_given(&labels)) Q_TRY(read_result(m, "ArgMax_j(s)", p, NULL, NULL, QUERN_I32, 1, labels));
    quern_status status = read_result(m, "LogSumExp_j(s)", p, NULL, &densities, p->dtype, 1, log_densities);
    snprintf(text, sizeof text, "Sum_j(OneHot(J,%lld)*Exp(s-l))", (long long)m->k);
    if (!status && q_view_given(&responsibilities))
        status = read_result(m, text, p, densities, NULL, p->dtype, m->k, responsibilities);
    quern_array_destroy(&densities);
    return status;
}

quern_status quern_mixture_assign(const quern_mixture *mixture, quern_context *context, quern_view points,
                                  quern_view labels, quern_view responsibilities, quern_view log_densities)
{
    q_points p;
    q_mixture m = {0};
    if (!mixture) return q_fail_null(__func__, "mixture");
    if (!context) return q_fail_null(__func__, "context");
    Q_TRY(q_shape_check("points", &points, -1, mixture->dim));
    if (q_view_given(&labels)) Q_TRY(q_shape_check("labels", &labels, points.rows, 1));
    if (q_view_given(&responsibilities))
        Q_TRY(q_shape_check("responsibilities", &responsibilities, points.rows, mixture->components));
    if (q_view_given(&log_densities)) Q_TRY(q_shape_check("log_densities", &log_densities, points.rows, 1));
    Q_TRY(q_points_create(&p, context, points));
    quern_status status = assign(mixture, &m, &p, labels, responsibilities, log_densities);
    q_mixture_destroy(&m);
    q_points_destroy(&p);
    return status;
}
