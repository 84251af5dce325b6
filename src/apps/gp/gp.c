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

enum { MOST_DENSE = 6000, MOST_NEIGHBOURS = 128, NEIGHBOURS = 48 };

double q_dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static const q_gp_way *way_of(const quern_gp *gp)
{
    return gp->method == QUERN_GP_CHOLESKY ? &q_gp_dense : &q_gp_iterative;
}

// ---- input ----

static quern_status check_view(const char *name, const quern_view *view, int64_t rows, int64_t columns)
{
    if (view->dtype != QUERN_F32 && view->dtype != QUERN_F64) {
        q_fail(QUERN_DTYPE, "%s: %s", name, view->dtype == QUERN_NUMBER ? "no array" : q_dtype_name(view->dtype));
        q_fail_next_step("give an array of float32 or float64");
        return QUERN_DTYPE;
    }
    if ((rows >= 0 && view->rows != rows) || (columns >= 0 && view->columns != columns) || view->batch[0])
        return q_fail(QUERN_SHAPE, "%s: %lld x %lld numbers, where %lld x %lld are needed", name, (long long)view->rows,
                      (long long)view->columns, (long long)(rows >= 0 ? rows : view->rows),
                      (long long)(columns >= 0 ? columns : view->columns));
    return view->data || view->array || !view->rows ? QUERN_OK : q_fail(QUERN_USAGE, "%s: no data", name);
}

quern_status q_gp_view(const quern_gp *gp, quern_view *out, void **room, const double *numbers, int64_t rows,
                       int64_t columns)
{
    *room = NULL;
    *out = quern_f64(numbers, rows, columns);
    if (gp->dtype == QUERN_F64) return QUERN_OK;
    size_t count = (size_t)rows * (size_t)columns;
    float *singles = *room = malloc(count * sizeof *singles + 1);
    if (!singles) return q_fail_memory(count * sizeof *singles);
    for (size_t k = 0; numbers && k < count; k++) singles[k] = (float)numbers[k];
    *out = quern_f32(singles, rows, columns);
    return QUERN_OK;
}

static quern_status fail_number(const char *name, double number, int64_t row, int64_t column)
{
    q_fail(QUERN_USAGE, "%s: %g in row %lld, column %lld", name, number, (long long)row, (long long)column);
    q_fail_next_step("leave out rows with values that are not known");
    return QUERN_USAGE;
}

/* The numbers of a view as doubles, all finite. */
static quern_status read_numbers(double **out, quern_context *context, const char *name, const quern_view *view)
{
    size_t count = (size_t)view->rows * (size_t)view->columns;
    double *to = *out = malloc(count * sizeof *to + 1);
    if (!to) return q_fail_memory(count * sizeof *to);
    if (count) Q_TRY(q_view_write(context, quern_f64(to, view->rows, view->columns), *view));
    for (size_t k = 0; k < count; k++)
        if (!isfinite(to[k])) return fail_number(name, to[k], (int64_t)k / view->columns, (int64_t)k % view->columns);
    return QUERN_OK;
}

// ---- parameters ----

static quern_status check_numbers(const char *name, const double *values, int64_t length)
{
    bool noise = !strcmp(name, "noise");
    for (int64_t k = 0; k < length; k++) {
        if (isfinite(values[k]) && (!noise || values[k] >= 0)) continue;
        q_fail(QUERN_USAGE, noise ? "noise is %g; a variance is a number from 0 on" : "%2$s is %1$g", values[k], name);
        q_fail_next_step(noise ? "give the variance of the noise, 0 for none" : "give a finite number");
        return QUERN_USAGE;
    }
    return QUERN_OK;
}

/* Gives a parameter the numbers of an argument. */
static quern_status set_parameter(quern_gp *gp, q_gp_parameter *parameter, const quern_view *view)
{
    double *values = NULL;
    if (view->dtype == QUERN_NUMBER) {
        if (parameter->length != 1)
            return q_fail(QUERN_SHAPE, "%s has %lld numbers; one is given", parameter->name,
                          (long long)parameter->length);
        values = malloc(sizeof *values);
        if (!values) return q_fail_memory(sizeof *values);
        *values = view->number;
    } else {
        Q_TRY(check_view(parameter->name, view, 1, parameter->length));
        quern_status status = read_numbers(&values, gp->context, parameter->name, view);
        if (status) {
            free(values);
            return status;
        }
    }
    quern_status status = check_numbers(parameter->name, values, parameter->length);
    for (int64_t k = 0; k < parameter->length && !status; k++)
        parameter->singles[k] = (float)(parameter->values[k] = values[k]);
    free(values);
    return status;
}

static q_gp_parameter *find_parameter(quern_gp *gp, const char *name)
{
    for (size_t k = 0; k < gp->count; k++)
        if (!strcmp(gp->parameters[k].name, name)) return &gp->parameters[k];
    return NULL;
}

static quern_status fail_name(const quern_gp *gp, const char *name)
{
    q_text list = {0};
    for (size_t k = 0; k < gp->count; k++) q_text_add(&list, "%s%s", k ? ", " : "", gp->parameters[k].name);
    q_fail(QUERN_NAME, "the kernel has no parameter '%s'", name);
    q_fail_next_step("its parameters are %s", list.data ? list.data : "none");
    q_text_free(&list);
    return QUERN_NAME;
}

static void drop_prepared(quern_gp *gp)
{
    free(gp->weights), free(gp->ones), free(gp->factor);
    gp->weights = gp->ones = gp->factor = NULL;
    quern_linear_destroy(&gp->linear);
    q_gp_inverse_free(&gp->inverse);
    gp->ready = gp->rated = false;
}

void q_gp_assign(quern_gp *gp, const double *numbers)
{
    drop_prepared(gp);
    for (size_t k = 0; k < gp->count; k++)
        for (int64_t d = 0; d < gp->parameters[k].length; d++, numbers++)
            gp->parameters[k].singles[d] = (float)(gp->parameters[k].values[d] = *numbers);
}

quern_status quern_gp_set(quern_gp *gp, quern_args parameters)
{
    if (!gp) return q_fail_null(__func__, "the process");
    for (size_t k = 0; k < parameters.count; k++) {
        const quern_arg *arg = &parameters.data[k];
        if (!arg->name) return q_fail_null(__func__, "the name of a parameter");
        q_gp_parameter *parameter = find_parameter(gp, arg->name);
        if (!parameter) return fail_name(gp, arg->name);
        drop_prepared(gp);
        Q_TRY(set_parameter(gp, parameter, &arg->view));
    }
    return QUERN_OK;
}

static quern_status add_parameter(quern_gp *gp, const char *name, int64_t length)
{
    if (gp->count == Q_GP_PARAMETERS)
        return q_fail(QUERN_LIMIT, "the kernel has more than %d parameters", Q_GP_PARAMETERS - 1);
    q_gp_parameter *parameter = &gp->parameters[gp->count];
    *parameter = (q_gp_parameter){strdup(name), length, malloc((size_t)length * sizeof(double)),
                                  malloc((size_t)length * sizeof(float))};
    gp->count++;
    gp->numbers += (size_t)length;
    bool made = parameter->name && parameter->values && parameter->singles;
    return made ? QUERN_OK : q_fail_memory((size_t)length * sizeof(double));
}

static bool is_given(const quern_args *args, const char *name)
{
    for (size_t k = 0; k < args->count; k++)
        if (args->data[k].name && !strcmp(args->data[k].name, name)) return true;
    return false;
}

/* The standard deviation of the points in a dimension, or of all of them together (-1); 1 where they do not differ. */
static double spread(const quern_gp *gp, int64_t dimension)
{
    double sum = 0;
    int64_t from = dimension < 0 ? 0 : dimension, to = dimension < 0 ? gp->D : dimension + 1;
    for (int64_t d = from; d < to; d++) {
        double mean = 0;
        for (int64_t i = 0; i < gp->N; i++) mean += gp->x[i * gp->D + d] / (double)gp->N;
        for (int64_t i = 0; i < gp->N; i++) sum += pow(gp->x[i * gp->D + d] - mean, 2) / (double)gp->N;
    }
    return sum > 0 && isfinite(sum) ? sqrt(sum) : 1;
}

/* What a parameter begins with that is not given. */
static quern_status start_parameter(quern_gp *gp, q_gp_parameter *parameter, const char *kernel)
{
    q_gp_start start;
    bool noise = !strcmp(parameter->name, "noise");
    if (!q_gp_start_of(kernel, parameter->name, &start) && !noise) {
        q_fail(QUERN_MISSING, "the parameter '%s' of the kernel is not given", parameter->name);
        q_fail_next_step("give {\"%s\", quern_number(...)} among the parameters", parameter->name);
        return QUERN_MISSING;
    }
    for (int64_t d = 0; d < parameter->length; d++) {
        double value = noise ? 0.1 : start == Q_GP_FROM_SPREAD ? spread(gp, parameter->length > 1 ? d : -1) : 1;
        parameter->singles[d] = (float)(parameter->values[d] = value);
    }
    return QUERN_OK;
}

// ---- the kernel ----

/* Parameters are the formula's variables but x and y. */
static quern_status learn_variables(quern_gp *gp, const quern_operator *op)
{
    bool found[2] = {false, false};
    for (size_t k = 0; k < quern_variable_count(op); k++) {
        quern_value v = quern_variable(op, k);
        int point = !strcmp(v.name, "x") ? 0 : !strcmp(v.name, "y") ? 1 : -1;
        if (point >= 0 && v.axis == "ij"[point]) {
            found[point] = true;
            if (v.dim != gp->D)
                return q_fail(QUERN_SHAPE, "%s has %lld components in the kernel, and points have %lld", v.name,
                              (long long)v.dim, (long long)gp->D);
        } else if (v.axis != 'p' || !strcmp(v.name, "noise")) {
            q_fail(QUERN_USAGE, "the kernel's formula cannot have a variable %s over %c", v.name, v.axis);
            q_fail_next_step(
                "declare the points as x=Vi(%lld) and y=Vj(%lld), all else as Pm(...); noise is added by quern",
                (long long)gp->D, (long long)gp->D);
            return QUERN_USAGE;
        } else Q_TRY(add_parameter(gp, v.name, v.dim));
    }
    if (!found[0] || !found[1]) {
        q_fail(QUERN_USAGE, "the kernel's formula has no variable %s", found[0] ? "y" : "x");
        q_fail_next_step("declare the points as x=Vi(%lld) and y=Vj(%lld)", (long long)gp->D, (long long)gp->D);
        return QUERN_USAGE;
    }
    return add_parameter(gp, "noise", 1);
}

/* Compiles the kernel's formula as part of others: as a sum it may have reductions in it, as an entry it may not. */
static quern_status learn_kernel(quern_gp *gp)
{
    q_text text = {0};
    quern_operator *op = NULL;
    q_text_add(&text, "%s Sum_j(%s)", gp->declarations, gp->entry);
    quern_status status = text.failed ? q_fail_memory(text.size) : quern_compile(&op, NULL, text.data, NULL);
    if (!status && quern_result(op, 0).dim != 1)
        status = q_fail(QUERN_USAGE, "an entry of the kernel has %lld numbers; one is needed",
                        (long long)quern_result(op, 0).dim);
    if (!status) status = learn_variables(gp, op);
    quern_operator_destroy(&op);
    q_text_free(&text);
    return status ? status : quern_pairs_create(&gp->entries, gp->context, gp->formula, NULL);
}

quern_status q_gp_slopes(quern_gp *gp)
{
    if (gp->slopes || gp->count == 1) return QUERN_OK;
    q_text text = {0};
    q_text_add(&text, "%s quern_entry=%s; ", gp->declarations, gp->entry);
    for (size_t k = 2; k < gp->count; k++) q_text_add(&text, "Concat(");
    for (size_t k = 0; k + 1 < gp->count; k++)
        q_text_add(&text, "%sGrad(quern_entry,%s,1)%s", k ? "," : "", gp->parameters[k].name, k ? ")" : "");
    quern_status status =
        text.failed ? q_fail_memory(text.size) : quern_pairs_create(&gp->slopes, gp->context, text.data, NULL);
    q_text_free(&text);
    return status;
}

quern_args q_gp_args(const quern_gp *gp, quern_arg *room, quern_view x, quern_view y)
{
    size_t count = 0;
    room[count++] = (quern_arg){"x", x};
    room[count++] = (quern_arg){"y", y};
    for (size_t k = 0; k + 1 < gp->count; k++) {
        const q_gp_parameter *p = &gp->parameters[k];
        quern_view view = p->length == 1           ? quern_number(*p->values)
                          : gp->dtype == QUERN_F64 ? quern_f64(p->values, 1, p->length)
                                                   : quern_f32(p->singles, 1, p->length);
        room[count++] = (quern_arg){p->name, view};
    }
    return (quern_args){room, count, 0, 0};
}

// ---- create ----

static void standardise(quern_gp *gp)
{
    gp->mean = 0, gp->deviation = 1;
    if (!gp->options.standardise) return;
    double square = 0;
    for (int64_t i = 0; i < gp->N; i++) gp->mean += gp->v[i] / (double)gp->N;
    for (int64_t i = 0; i < gp->N; i++) square += pow(gp->v[i] - gp->mean, 2) / (double)gp->N;
    if (square > 0) gp->deviation = sqrt(square);
    for (int64_t i = 0; i < gp->N; i++) gp->v[i] = (gp->v[i] - gp->mean) / gp->deviation;
}

static quern_status check_options(quern_gp_options *o, const quern_gp_options *given)
{
    Q_TRY(q_options_copy(o, sizeof *o, given, "quern_gp_options"));
    if ((unsigned)o->method > QUERN_GP_ITERATIVE || (unsigned)o->mean > QUERN_GP_CONSTANT || o->probes < 0 ||
        o->iterations < 0 || o->neighbours < 0 || o->neighbours > MOST_NEIGHBOURS ||
        !(o->tolerance >= 0 && o->tolerance < 1))
        return q_fail(
            QUERN_USAGE,
            "quern_gp_create: method %d, mean %d, probes %lld, tolerance %g, iterations %lld, neighbours %lld",
            (int)o->method, (int)o->mean, (long long)o->probes, o->tolerance, (long long)o->iterations,
            (long long)o->neighbours);
    if (!o->probes) o->probes = 32;
    if (!o->neighbours) o->neighbours = NEIGHBOURS;
    if (o->tolerance == 0) o->tolerance = 1e-6;
    return QUERN_OK;
}

static quern_status read_points(quern_gp *gp, const quern_view *points, const quern_view *values)
{
    if (points->rows < 1 || points->columns < 1) {
        q_fail(QUERN_SHAPE, "the points have %lld x %lld numbers", (long long)points->rows, (long long)points->columns);
        q_fail_next_step("give at least one point of at least one dimension");
        return QUERN_SHAPE;
    }
    gp->N = points->rows, gp->D = points->columns;
    Q_TRY(check_view("points", points, -1, -1));
    Q_TRY(check_view("values", values, gp->N, 1));
    Q_TRY(read_numbers(&gp->x, gp->context, "points", points));
    Q_TRY(read_numbers(&gp->v, gp->context, "values", values));
    standardise(gp);
    gp->method = gp->options.method ? gp->options.method : gp->N <= MOST_DENSE ? QUERN_GP_CHOLESKY : QUERN_GP_ITERATIVE;
    bool doubles = quern_context_device(gp->context)->f64;
    gp->dtype = doubles && (gp->method == QUERN_GP_CHOLESKY || points->dtype == QUERN_F64) ? QUERN_F64 : QUERN_F32;
    return q_gp_view(gp, &gp->points, &gp->singles, gp->x, gp->N, gp->D);
}

static quern_status create(quern_gp *gp, const char *kernel, const quern_view *points, const quern_view *values,
                           const quern_args *parameters)
{
    Q_TRY(read_points(gp, points, values));
    Q_TRY(q_gp_kernel(&gp->formula, kernel, gp->D, parameters));
    Q_TRY(q_gp_split(gp->formula, &gp->declarations, &gp->entry));
    Q_TRY(learn_kernel(gp));
    Q_TRY(quern_gp_set(gp, *parameters));
    for (size_t k = 0; k < gp->count; k++)
        if (!is_given(parameters, gp->parameters[k].name)) Q_TRY(start_parameter(gp, &gp->parameters[k], kernel));
    return QUERN_OK;
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

static void free_parameter(q_gp_parameter *parameter)
{
    free(parameter->name), free(parameter->values), free(parameter->singles);
}

void quern_gp_destroy(quern_gp **out)
{
    if (!out || !*out) return;
    quern_gp *gp = *out;
    drop_prepared(gp);
    quern_pairs_destroy(&gp->entries);
    quern_pairs_destroy(&gp->slopes);
    for (size_t k = 0; k < gp->count; k++) free_parameter(&gp->parameters[k]);
    free(gp->formula), free(gp->declarations), free(gp->entry);
    free(gp->singles), free(gp->x), free(gp->v);
    free(gp);
    *out = NULL;
}

size_t quern_gp_parameter_count(const quern_gp *gp)
{
    return gp ? gp->count : 0;
}

quern_gp_parameter quern_gp_parameter_at(const quern_gp *gp, size_t index)
{
    if (!gp || index >= gp->count) return (quern_gp_parameter){0};
    const q_gp_parameter *p = &gp->parameters[index];
    return (quern_gp_parameter){p->name, p->length, p->values};
}

const char *quern_gp_formula(const quern_gp *gp)
{
    return gp ? gp->formula : "";
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
    double *numbers = calloc(gp->numbers, sizeof *numbers);
    if (!numbers) return q_fail_memory(gp->numbers * sizeof *numbers);
    quern_status status = way_of(gp)->gradient(gp, numbers);
    if (!status) status = q_view_write(NULL, *out, quern_f64(numbers, out->rows, out->columns));
    free(numbers);
    return status;
}

quern_status quern_gp_likelihood(quern_gp *gp, quern_gp_report *report, quern_view slopes)
{
    if (!gp) return q_fail_null(__func__, "the process");
    bool wanted = slopes.data || slopes.array || slopes.rows;
    if (wanted) Q_TRY(check_view("gradient", &slopes, 1, (int64_t)gp->numbers));
    if (wanted && !slopes.data) return q_fail(QUERN_USAGE, "the gradient goes to the host");
    Q_TRY(rate(gp));
    if (wanted) Q_TRY(gradient(gp, &slopes));
    if (report) report_on(gp, report);
    return QUERN_OK;
}

// ---- predictions ----

/* The means at some points: an operator of the kernel between them and the points that are known, applied to the weights. */
static quern_status predict_mean(quern_gp *gp, const quern_view *points, double *out)
{
    quern_arg room[Q_GP_MOST_ARGS];
    quern_linear *across = NULL;
    void *in_room = NULL, *out_room = NULL;
    quern_view weights, means;
    q_text text = {0};
    q_text_add(&text, "%s Sum_j((%s)*quern_weights)", gp->declarations, gp->entry);
    quern_linear_options options = {.size = sizeof options, .vector = "quern_weights"};
    quern_status status = text.failed ? q_fail_memory(text.size)
                                      : quern_linear_create(&across, gp->context, text.data,
                                                            q_gp_args(gp, room, *points, gp->points), &options);
    if (!status) status = q_gp_view(gp, &weights, &in_room, gp->weights, gp->N, 1);
    if (!status) status = q_gp_view(gp, &means, &out_room, out, points->rows, 1);
    if (!status) status = quern_linear_apply(across, weights, means);
    for (int64_t i = 0; i < points->rows && !status; i++)
        out[i] = gp->mean + gp->deviation * (gp->trend + (out_room ? (double)((float *)out_room)[i] : out[i]));
    quern_linear_destroy(&across);
    q_text_free(&text);
    free(in_room);
    free(out_room);
    return status;
}

static quern_status predict_variance(quern_gp *gp, const quern_view *points, double *out)
{
    quern_arg args[Q_GP_MOST_ARGS];
    int64_t M = points->rows;
    void *room = NULL;
    quern_view own;
    double *explained = calloc((size_t)(2 * M), sizeof *explained);
    quern_status status = explained ? q_gp_view(gp, &own, &room, out, M, 1) : q_fail_memory((size_t)(2 * M));
    if (!status)
        status = quern_pairs_diagonal(gp->entries, q_gp_args(gp, args, *points, *points), (quern_span){0, M}, own);
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
        out ? read_numbers(&x, gp->context, "points", given) : q_fail_memory((size_t)given->rows * sizeof *out);
    if (!status) status = q_gp_view(gp, &points, &room, x, given->rows, gp->D);
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
    Q_TRY(check_view("points", &points, -1, gp->D));
    const quern_view *results[] = {&mean, &variance};
    for (int k = 0; k < 2; k++) {
        if (!results[k]->data && !results[k]->array && !results[k]->rows) continue;
        Q_TRY(check_view(k ? "variance" : "mean", results[k], points.rows, 1));
        if (!results[k]->data && points.rows) return q_fail(QUERN_USAGE, "predictions go to the host");
    }
    if (!points.rows) return QUERN_OK;
    Q_TRY(prepare(gp));
    return predict(gp, &points, &mean, &variance);
}
