/*
 * gp.c: processes and what they are asked for, whatever the method: parameters, likelihood, predictions. What a method leaves
 * (weights, factor, operator) belongs to the parameters that it was computed with; a change of them drops it.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/gp/gp.h"
#include "apps/views/views.h"
#include "quern/array.h"

enum { MOST_DENSE = 6000, MOST_NEIGHBOURS = 128, NEIGHBOURS = 48, INDUCING = 512 };

double q_dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static const q_gp_way *way_of(const quern_gp *gp)
{
    return gp->method == QUERN_GP_INDUCING   ? &q_gp_by_inducing
           : gp->method == QUERN_GP_CHOLESKY ? &q_gp_dense
                                             : &q_gp_iterative;
}

// ---- parameters ----

static void drop_prepared(quern_gp *gp)
{
    free(gp->weights), free(gp->ones), free(gp->factor);
    gp->weights = gp->ones = gp->factor = NULL;
    quern_linear_destroy(&gp->linear);
    q_gp_inverse_free(&gp->inverse);
    q_gp_inducing_drop(&gp->inducing);
    gp->ready = gp->rated = false;
}

void q_gp_assign(quern_gp *gp, const double *numbers)
{
    drop_prepared(gp);
    q_kernel_assign(&gp->kernel, numbers);
}

quern_status quern_gp_set(quern_gp *gp, quern_args parameters)
{
    if (!gp) return q_fail_null(__func__, "the process");
    for (size_t k = 0; k < parameters.count; k++) {
        drop_prepared(gp);
        Q_TRY(q_kernel_set(&gp->kernel, &parameters.data[k]));
    }
    return QUERN_OK;
}

// ---- create ----

static quern_status standardise(quern_gp *gp)
{
    gp->mean = 0, gp->deviation = 1;
    if (!gp->options.standardise) return QUERN_OK;
    double square = 0;
    for (int64_t i = 0; i < gp->N; i++) gp->mean += gp->v[i] / (double)gp->N;
    for (int64_t i = 0; i < gp->N; i++) square += pow(gp->v[i] - gp->mean, 2) / (double)gp->N;
    if (!isfinite(square))
        return q_fail(QUERN_USAGE, "the variance of the values is %g; scale the values to smaller ones", square);
    if (square > 0) gp->deviation = sqrt(square);
    for (int64_t i = 0; i < gp->N; i++) gp->v[i] = (gp->v[i] - gp->mean) / gp->deviation;
    return QUERN_OK;
}

static quern_status check_options(quern_gp_options *o, const quern_gp_options *given)
{
    Q_TRY(q_options_copy(o, sizeof *o, given, "quern_gp_options"));
    Q_TRY(q_choice_check("method", (int)o->method, QUERN_GP_INDUCING));
    Q_TRY(q_choice_check("mean", (int)o->mean, QUERN_GP_CONSTANT));
    Q_TRY(q_range_check("probes", (double)o->probes, 0, HUGE_VAL));
    Q_TRY(q_range_check("iterations", (double)o->iterations, 0, HUGE_VAL));
    Q_TRY(q_range_check("neighbours", (double)o->neighbours, 0, MOST_NEIGHBOURS));
    Q_TRY(q_range_check("inducing", (double)o->inducing, 0, HUGE_VAL));
    Q_TRY(q_range_check("tolerance", o->tolerance, 0, 1));
    bool named = o->inducing || q_view_given(&o->inducing_points);
    if (named && o->method && o->method != QUERN_GP_INDUCING) {
        q_fail(QUERN_USAGE, "inducing points are given, and a method that has none");
        q_fail_next_step("leave out one of them, or choose QUERN_GP_INDUCING");
        return QUERN_USAGE;
    }
    if (!o->probes) o->probes = 32;
    if (!o->neighbours) o->neighbours = NEIGHBOURS;
    if (named) o->method = QUERN_GP_INDUCING;
    if (!o->inducing) o->inducing = INDUCING;
    if (o->tolerance == 0) o->tolerance = 1e-6;
    return QUERN_OK;
}

/* Stored matrices are of float64 where the device has it, whatever the points. */
static quern_dtype dtype_of(const quern_gp *gp, const quern_view *points)
{
    bool doubles = quern_context_device(gp->context)->f64;
    return doubles && (gp->method != QUERN_GP_ITERATIVE || points->dtype == QUERN_F64) ? QUERN_F64 : QUERN_F32;
}

static quern_status read_points(quern_gp *gp, const quern_view *points, const quern_view *values)
{
    if (points->rows < 1 || points->columns < 1) {
        q_fail(QUERN_SHAPE, "the points have %lld x %lld numbers", (long long)points->rows, (long long)points->columns);
        q_fail_next_step("give at least one point of at least one dimension");
        return QUERN_SHAPE;
    }
    gp->N = points->rows, gp->D = points->columns;
    Q_TRY(q_floats_check("points", points, -1, -1));
    Q_TRY(q_floats_check("values", values, gp->N, 1));
    Q_TRY(q_floats_read(&gp->x, gp->context, "points", points));
    Q_TRY(q_floats_read(&gp->v, gp->context, "values", values));
    Q_TRY(standardise(gp));
    gp->method = gp->options.method ? gp->options.method : gp->N <= MOST_DENSE ? QUERN_GP_CHOLESKY : QUERN_GP_ITERATIVE;
    return QUERN_OK;
}

static quern_status create(quern_gp *gp, const char *kernel, const quern_view *points, const quern_view *values,
                           const quern_args *parameters)
{
    Q_TRY(read_points(gp, points, values));
    Q_TRY(q_kernel_make(&gp->kernel, gp->context, kernel, gp->x, gp->N, gp->D, dtype_of(gp, points), true, parameters));
    Q_TRY(q_kernel_view(&gp->kernel, &gp->points, &gp->singles, gp->x, gp->N, gp->D));
    return gp->method == QUERN_GP_INDUCING ? q_gp_inducing_choose(gp) : QUERN_OK;
}

quern_status quern_gp_create(quern_gp **out, quern_context *context, const char *kernel, quern_view points,
                             quern_view values, quern_args parameters, const quern_gp_options *options)
{
    if (!out) return q_fail_null(__func__, "out");
    *out = NULL;
    if (!context) return q_fail_null(__func__, "the context");
    if (!kernel) return q_fail_null(__func__, "the kernel");
    if (parameters.count && !parameters.data) return q_fail_null(__func__, "the list of parameters");
    quern_gp_options known = {0};
    Q_TRY(check_options(&known, options));
    quern_gp *gp = *out = calloc(1, sizeof *gp);
    if (!gp) return q_fail_memory(sizeof *gp);
    gp->context = context;
    gp->options = known;
    quern_status status = create(gp, kernel, &points, &values, &parameters);
    if (status) quern_gp_destroy(out);
    return status;
}

void quern_gp_destroy(quern_gp **out)
{
    if (!out || !*out) return;
    quern_gp *gp = *out;
    drop_prepared(gp);
    q_gp_inducing_free(&gp->inducing);
    q_kernel_free(&gp->kernel);
    free(gp->singles), free(gp->x), free(gp->v);
    free(gp);
    *out = NULL;
}

size_t quern_gp_parameter_count(const quern_gp *gp)
{
    return gp ? gp->kernel.count : 0;
}

quern_gp_parameter quern_gp_parameter_at(const quern_gp *gp, size_t index)
{
    if (!gp || index >= gp->kernel.count) return (quern_gp_parameter){0};
    const q_kernel_parameter *p = &gp->kernel.parameters[index];
    return (quern_gp_parameter){p->name, p->length, p->values};
}

const char *quern_gp_formula(const quern_gp *gp)
{
    return gp ? gp->kernel.formula : "";
}

// ---- likelihood ----

/* Trend and weights from K^-1 v and, with a constant mean, K^-1 1. */
static void find_weights(quern_gp *gp, double *solved)
{
    gp->trend = 0;
    gp->weights = solved;
    if (gp->ones) {
        gp->one_one = 0;
        double one_v = 0;
        for (int64_t i = 0; i < gp->N; i++) one_v += solved[i], gp->one_one += gp->ones[i];
        gp->trend = one_v / gp->one_one;
        for (int64_t i = 0; i < gp->N; i++) solved[i] -= gp->trend * gp->ones[i];
        q_gp_inducing *g = &gp->inducing;
        for (int64_t m = 0; m < g->M; m++) g->weights[m] -= gp->trend * g->weights[g->M + m];
    }
    gp->ready = true;
}

static quern_status prepare(quern_gp *gp)
{
    if (gp->ready) return QUERN_OK;
    double *solved = NULL;
    quern_status status = way_of(gp)->solve(gp, &solved);
    if (!status) find_weights(gp, solved);
    else free(solved), drop_prepared(gp);
    return status;
}

static quern_status rate(quern_gp *gp)
{
    double determinant, error, fit = 0;
    Q_TRY(prepare(gp));
    if (gp->rated) return QUERN_OK;
    Q_TRY(way_of(gp)->determinant(gp, &determinant, &error));
    for (int64_t i = 0; i < gp->N; i++) fit += (gp->v[i] - gp->trend) * gp->weights[i];
    gp->report.log_determinant = determinant;
    gp->report.log_likelihood = -0.5 * (fit + determinant + (double)gp->N * log(2 * 3.14159265358979323846));
    gp->report.inducing = gp->inducing.M;
    gp->report.unexplained = 0;
    if (gp->inducing.M) {
        double left = fmax(0, gp->inducing.left);
        gp->report.log_likelihood -= 0.5 * left / *q_gp_noise(gp)->values;
        gp->report.unexplained = left / gp->inducing.all;
    }
    gp->report.log_likelihood_error = 0.5 * error;
    gp->report.trend = gp->trend;
    gp->rated = true;
    return QUERN_OK;
}

static void report_on(const quern_gp *gp, quern_gp_report *out)
{
    quern_gp_report all = gp->report;
    all.method = gp->method, all.mean = gp->mean, all.deviation = gp->deviation;
    q_report_copy(out, &all, sizeof all);
}

static quern_status gradient(quern_gp *gp, const quern_view *out)
{
    double *numbers = calloc(gp->kernel.numbers, sizeof *numbers);
    if (!numbers) return q_fail_memory(gp->kernel.numbers * sizeof *numbers);
    quern_status status = way_of(gp)->gradient(gp, numbers);
    if (!status) status = q_view_write(NULL, *out, quern_f64(numbers, out->rows, out->columns));
    free(numbers);
    return status;
}

quern_status quern_gp_likelihood(quern_gp *gp, quern_gp_report *report, quern_view slopes)
{
    if (!gp) return q_fail_null(__func__, "the process");
    bool wanted = slopes.data || slopes.array || slopes.rows;
    if (wanted) Q_TRY(q_floats_check("gradient", &slopes, 1, (int64_t)gp->kernel.numbers));
    if (wanted && !slopes.data) return q_fail(QUERN_USAGE, "the gradient goes to the host");
    Q_TRY(rate(gp));
    if (wanted) Q_TRY(gradient(gp, &slopes));
    if (report) report_on(gp, report);
    return QUERN_OK;
}

// ---- predictions ----

/* The means at some points: an operator of the kernel between them and the points that have weights. */
static quern_status predict_mean(quern_gp *gp, const quern_view *points, double *out)
{
    quern_linear *across = NULL;
    void *in_room = NULL, *out_room = NULL;
    quern_view weights, means;
    quern_view known = gp->inducing.M ? gp->inducing.points : gp->points;
    const double *numbers = gp->inducing.M ? gp->inducing.weights : gp->weights;
    quern_status status = q_kernel_operator(&gp->kernel, &across, *points, known, 0);
    if (!status) status = q_kernel_view(&gp->kernel, &weights, &in_room, numbers, known.rows, 1);
    if (!status) status = q_kernel_view(&gp->kernel, &means, &out_room, out, points->rows, 1);
    if (!status) status = quern_linear_apply(across, weights, means);
    for (int64_t i = 0; i < points->rows && !status; i++)
        out[i] = gp->mean + gp->deviation * (gp->trend + (out_room ? (double)((float *)out_room)[i] : out[i]));
    quern_linear_destroy(&across);
    free(in_room);
    free(out_room);
    return status;
}

static quern_status predict_variance(quern_gp *gp, const quern_view *points, double *out)
{
    quern_arg args[Q_KERNEL_ARGS];
    int64_t M = points->rows;
    void *room = NULL;
    quern_view own;
    double *explained = calloc((size_t)(2 * M), sizeof *explained);
    quern_status status =
        explained ? q_kernel_view(&gp->kernel, &own, &room, out, M, 1) : q_fail_memory((size_t)(2 * M));
    if (!status)
        status = quern_pairs_diagonal(gp->kernel.entries, q_kernel_args(&gp->kernel, args, *points, *points),
                                      (quern_span){0, M}, own);
    if (!status) status = way_of(gp)->explained(gp, *points, explained, explained + M);
    for (int64_t i = 0; i < M && !status; i++) {
        double variance = (room ? (double)((float *)room)[i] : out[i]) - explained[i], missed = 1 - explained[M + i];
        if (gp->ones) variance += missed * missed / gp->one_one;
        out[i] = fmax(0, variance) * gp->deviation * gp->deviation;
    }
    free(explained);
    free(room);
    return status;
}

static quern_status predict(quern_gp *gp, const quern_view *given, const quern_view *mean, const quern_view *variance)
{
    double *x = NULL, *out = malloc((size_t)given->rows * sizeof *out);
    void *room = NULL;
    quern_view points;
    quern_status status =
        out ? q_floats_read(&x, gp->context, "points", given) : q_fail_memory((size_t)given->rows * sizeof *out);
    if (!status) status = q_kernel_view(&gp->kernel, &points, &room, x, given->rows, gp->D);
    if (!status && mean->rows) {
        status = predict_mean(gp, &points, out);
        if (!status) status = q_view_write(NULL, *mean, quern_f64(out, mean->rows, mean->columns));
    }
    if (!status && variance->rows) {
        status = predict_variance(gp, &points, out);
        if (!status) status = q_view_write(NULL, *variance, quern_f64(out, variance->rows, variance->columns));
    }
    free(room);
    free(x);
    free(out);
    return status;
}

quern_status quern_gp_predict(quern_gp *gp, quern_view points, quern_view mean, quern_view variance)
{
    if (!gp) return q_fail_null(__func__, "the process");
    Q_TRY(q_floats_check("points", &points, -1, gp->D));
    const quern_view *results[] = {&mean, &variance};
    for (int k = 0; k < 2; k++) {
        if (!results[k]->data && !results[k]->array && !results[k]->rows) continue;
        Q_TRY(q_floats_check(k ? "variance" : "mean", results[k], points.rows, 1));
        if (!results[k]->data && points.rows) return q_fail(QUERN_USAGE, "predictions go to the host");
    }
    if (!points.rows) return QUERN_OK;
    Q_TRY(prepare(gp));
    return predict(gp, &points, &mean, &variance);
}
