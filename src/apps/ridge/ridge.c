/*
 * ridge.c: regressions from arrays to predictions: what is given is checked and copied, centres are chosen, a loss's fit finds
 * the weights, and predictions are one product.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/ridge/ridge.h"
#include "apps/views/views.h"

enum { CENTRES = 1000, ITERATIONS = 500 };
static const double default_penalty = 1e-6, double_tolerance = 1e-6, single_tolerance = 1e-4;

// ---- input ----

static quern_status check_options(quern_ridge_options *o, const quern_ridge_options *given)
{
    Q_TRY(q_options_copy(o, sizeof *o, given, "quern_ridge_options"));
    Q_TRY(q_choice_check("loss", (int)o->loss, QUERN_RIDGE_LOGISTIC));
    Q_TRY(q_range_check("centres", (double)o->centres, 0, HUGE_VAL));
    Q_TRY(q_range_check("penalty", o->penalty, 0, HUGE_VAL));
    Q_TRY(q_range_check("tolerance", o->tolerance, 0, 1));
    Q_TRY(q_range_check("iterations", (double)o->iterations, 0, HUGE_VAL));
    if (!o->centres) o->centres = CENTRES;
    if (o->penalty == 0) o->penalty = default_penalty;
    if (!o->iterations) o->iterations = ITERATIONS;
    return QUERN_OK;
}

/* Two classes are -1 and 1, or 0 and 1. */
static quern_status check_classes(const q_ridge_fit *fit)
{
    int64_t R = fit->ridge->R, count = fit->ridge->N * R;
    bool zero = false, minus = false;
    for (int64_t k = 0; k < count; k++) {
        double v = fit->v[k];
        zero = zero || v == 0, minus = minus || v == -1;
        if ((v == 1 || v == 0 || v == -1) && !(zero && minus)) continue;
        q_fail(QUERN_USAGE, "values: %g in row %lld, column %lld; two classes are -1 and 1, or 0 and 1", v,
               (long long)(k / R), (long long)(k % R));
        q_fail_next_step("give a column for each class, 1 where it is and 0 elsewhere, and take the largest result");
        return QUERN_USAGE;
    }
    return QUERN_OK;
}

static quern_status read_arrays(q_ridge_fit *fit, const quern_view *points, const quern_view *values)
{
    quern_ridge *ridge = fit->ridge;
    if (points->rows < 1 || points->columns < 1 || values->columns < 1) {
        q_fail(QUERN_SHAPE, "points have %lld x %lld numbers, values %lld x %lld", (long long)points->rows,
               (long long)points->columns, (long long)values->rows, (long long)values->columns);
        q_fail_next_step("give at least one point of at least one dimension, and a value for it");
        return QUERN_SHAPE;
    }
    ridge->N = points->rows, ridge->D = points->columns, ridge->R = values->columns;
    Q_TRY(q_floats_check("points", points, -1, -1));
    Q_TRY(q_floats_check("values", values, ridge->N, -1));
    Q_TRY(q_floats_read(&fit->x, ridge->context, "points", points));
    Q_TRY(q_floats_read(&fit->v, ridge->context, "values", values));
    return ridge->options.loss == QUERN_RIDGE_LOGISTIC ? check_classes(fit) : QUERN_OK;
}

static quern_status choose_centres(q_ridge_fit *fit)
{
    quern_ridge *ridge = fit->ridge;
    Q_TRY(q_kernel_centres(&ridge->z, &ridge->M, &ridge->kernel, "centre_points", &ridge->options.centre_points, fit->x,
                           ridge->N, ridge->options.centres));
    return q_kernel_view(&ridge->kernel, &ridge->centres, &ridge->singles, ridge->z, ridge->M, ridge->D);
}

// ---- fit ----

static quern_status allocate(q_ridge_fit *fit)
{
    quern_ridge *ridge = fit->ridge;
    size_t count = (size_t)(ridge->N + 2 * ridge->M) * (size_t)ridge->R;
    fit->room = malloc(count * sizeof *fit->room);
    ridge->weights = calloc((size_t)(ridge->M * ridge->R), sizeof *ridge->weights);
    ridge->offset = calloc((size_t)ridge->R, sizeof *ridge->offset);
    return fit->room && ridge->weights && ridge->offset ? QUERN_OK : q_fail_memory(count * sizeof *fit->room);
}

static quern_status make(q_ridge_fit *fit, const char *kernel, const quern_view *points, const quern_view *values,
                         const quern_args *parameters)
{
    quern_ridge *ridge = fit->ridge;
    Q_TRY(read_arrays(fit, points, values));
    bool doubles = points->dtype == QUERN_F64 && quern_context_device(ridge->context)->f64;
    Q_TRY(q_kernel_make(&ridge->kernel, ridge->context, kernel, fit->x, ridge->N, ridge->D,
                        doubles ? QUERN_F64 : QUERN_F32, false, parameters));
    if (ridge->options.tolerance == 0) ridge->options.tolerance = doubles ? double_tolerance : single_tolerance;
    Q_TRY(choose_centres(fit));
    Q_TRY(allocate(fit));
    Q_TRY(q_kernel_view(&ridge->kernel, &fit->points, &fit->singles, fit->x, ridge->N, ridge->D));
    Q_TRY(q_kernel_operator(&ridge->kernel, &fit->across, fit->points, ridge->centres, 0));
    Q_TRY(q_ridge_factor(fit));
    return ridge->options.loss == QUERN_RIDGE_LOGISTIC ? q_ridge_logistic(fit) : q_ridge_squared(fit);
}

quern_status quern_ridge_create(quern_ridge **out, quern_context *context, const char *kernel, quern_view points,
                                quern_view values, quern_args parameters, const quern_ridge_options *options)
{
    if (!out) return q_fail_null(__func__, "out");
    *out = NULL;
    if (!context) return q_fail_null(__func__, "the context");
    if (!kernel) return q_fail_null(__func__, "the kernel");
    if (parameters.count && !parameters.data) return q_fail_null(__func__, "the list of parameters");
    quern_ridge_options known = {0};
    Q_TRY(check_options(&known, options));
    quern_ridge *ridge = *out = calloc(1, sizeof *ridge);
    if (!ridge) return q_fail_memory(sizeof *ridge);
    ridge->context = context;
    ridge->options = known;
    ridge->report.converged = true;
    q_ridge_fit fit = {.ridge = ridge};
    quern_status status = make(&fit, kernel, &points, &values, &parameters);
    ridge->report.size = sizeof ridge->report;
    ridge->report.centres = ridge->M;
    quern_linear_destroy(&fit.across);
    free(fit.x), free(fit.v), free(fit.singles), free(fit.L), free(fit.E), free(fit.U), free(fit.W), free(fit.room);
    if (status) quern_ridge_destroy(out);
    return status;
}

void quern_ridge_destroy(quern_ridge **out)
{
    if (!out || !*out) return;
    quern_ridge *ridge = *out;
    q_kernel_free(&ridge->kernel);
    free(ridge->z), free(ridge->singles), free(ridge->weights), free(ridge->offset);
    free(ridge);
    *out = NULL;
}

const quern_ridge_report *quern_ridge_report_of(const quern_ridge *ridge)
{
    return ridge ? &ridge->report : NULL;
}

// ---- predictions ----

static quern_status predict(const quern_ridge *ridge, const quern_view *points, double *x, double *out)
{
    int64_t Q = points->rows, R = ridge->R;
    quern_linear *across = NULL;
    void *point_room = NULL, *in_room = NULL, *out_room = NULL;
    quern_view at, in, to;
    quern_status status = q_kernel_view(&ridge->kernel, &at, &point_room, x, Q, ridge->D);
    if (!status) status = q_kernel_operator(&ridge->kernel, &across, at, ridge->centres, 0);
    if (!status) status = q_kernel_view(&ridge->kernel, &in, &in_room, ridge->weights, ridge->M, R);
    if (!status) status = q_kernel_view(&ridge->kernel, &to, &out_room, out, Q, R);
    if (!status) status = quern_linear_apply(across, in, to);
    for (int64_t k = 0; k < Q * R && !status; k++) {
        double f = ridge->offset[k % R] + (out_room ? (double)((float *)out_room)[k] : out[k]);
        out[k] = ridge->options.loss == QUERN_RIDGE_LOGISTIC ? 1 / (1 + exp(-f)) : f;
    }
    quern_linear_destroy(&across);
    free(point_room), free(in_room), free(out_room);
    return status;
}

quern_status quern_ridge_predict(const quern_ridge *ridge, quern_view points, quern_view results)
{
    if (!ridge) return q_fail_null(__func__, "the regression");
    Q_TRY(q_floats_check("points", &points, -1, ridge->D));
    Q_TRY(q_floats_check("results", &results, points.rows, ridge->R));
    if (!points.rows) return QUERN_OK;
    double *x = NULL, *out = malloc((size_t)(points.rows * ridge->R) * sizeof *out);
    quern_status status = out ? q_floats_read(&x, ridge->context, "points", &points)
                              : q_fail_memory((size_t)(points.rows * ridge->R) * sizeof *out);
    if (!status) status = predict(ridge, &points, x, out);
    if (!status) status = q_view_write(ridge->context, results, quern_f64(out, points.rows, ridge->R));
    free(x);
    free(out);
    return status;
}
