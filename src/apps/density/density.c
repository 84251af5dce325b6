/*
 * density.c: the calls of quern/density.h: points are read, brought to the space of the bandwidth's shape and put in the order of a k-d
 * tree; parts are one run each, whose sums the host makes densities of.
 */
#include "apps/density/density.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quern/cluster.h"

enum { CLUSTER = 128, MOST_DIM = 1024 };

// ---- arrays ----

quern_status q_density_read(quern_context *context, const char *name, const quern_view *view, double *out)
{
    if (view->batch[0]) return q_fail(QUERN_SHAPE, "%s is a batch; a density is of one member", name);
    if (view->dtype == QUERN_NUMBER) return q_fail(QUERN_DTYPE, "%s must be an array, not a number", name);
    if (!q_dtype_is_known(view->dtype)) return q_fail(QUERN_DTYPE, "%s has no element type", name);
    Q_TRY(q_extent_check(name, view, -1, -1));
    return q_view_write(context, quern_f64(out, view->rows, view->columns), *view);
}

/* Doubles as numbers of this type; for free(). */
static void *convert(quern_dtype dtype, const double *numbers, size_t count)
{
    char *made = malloc(count * q_element_size(dtype) + 1);
    for (size_t k = 0; k < count && made; k++) q_element_write(dtype, made + k * q_element_size(dtype), numbers[k]);
    return made;
}

quern_status q_density_array(quern_array **out, const quern_density *d, const double *numbers, int64_t rows,
                             int64_t columns)
{
    void *made = convert(d->dtype, numbers, (size_t)(rows * columns));
    if (!made) return q_fail_memory((size_t)(rows * columns) * sizeof *numbers);
    quern_status status = quern_array_from(out, d->context, quern_view_of(made, d->dtype, rows, columns));
    free(made);
    return status;
}

void q_density_whiten(const quern_density *d, double *points, int64_t rows)
{
    int64_t dim = d->report.dim;
    for (int64_t i = 0; i < rows; i++) {
        double *x = &points[i * dim];
        for (int64_t a = 0; a < dim; a++) {
            x[a] -= d->mean[a];
            for (int64_t b = 0; b < a; b++) x[a] -= d->shape[a * dim + b] * x[b];
            x[a] /= d->shape[a * dim + a];
        }
    }
}

// ---- runs ----

quern_status q_density_compile(quern_operator **out, const quern_density *d, char part)
{
    const char *log = d->kernel.log, *reduction = log ? "LogSumExp_j" : "Sum_j";
    const char *term = !d->weighted ? "k" : log ? "w+k" : "w*k";
    q_text text = {0};
    q_text_add(&text, "x=Vi(%lld); y=Vj(%lld); g=Pm(%d); %ss=g*SqDist(x,y); k=(%s); ", (long long)d->report.dim,
               (long long)d->report.dim, part == 'l' ? Q_BANDWIDTHS : 1, d->weighted ? "w=Vj(1); " : "",
               log ? log : d->kernel.text);
    if (part == 'l') q_text_add(&text, "f=%s(Where(I!=J,%s,%s)); ", reduction, term, log ? "-1/0" : "0");
    else q_text_add(&text, "f=%s(%s); ", reduction, term);
    q_text_add(&text, part == 'g' ? log ? "Grad(f,x,1)" : "Grad(Log(f),x,1)" : "f");
    quern_status status = text.failed ? q_fail_memory(0) : quern_compile(out, d->context, text.data, NULL);
    q_text_free(&text);
    return status;
}

quern_status q_density_run(const quern_density *d, quern_operator *op, quern_args args, quern_view result,
                           quern_pruning_report *report)
{
    quern_run_options options = QUERN_DEFAULTS(quern_run_options);
    quern_pruning pruning = QUERN_DEFAULTS(quern_pruning);
    pruning.relative = d->kernel.log ? 0 : d->tolerance;
    pruning.absolute = d->kernel.log ? d->tolerance : 0;
    pruning.report = report;
    if (d->tolerance > 0 || report) options.pruning = &pruning;
    return quern_run_with(op, args, (quern_outs){&result, 1}, &options);
}

/* The sum of all kernels, or its logarithm, as the part says it. */
static double finish(const quern_density *d, quern_density_part part, double sum)
{
    double constant = -d->log_integral - d->log_det - (double)d->report.dim * log(d->report.factor);
    if (d->kernel.log) return part == QUERN_DENSITY_LOG ? sum + constant : exp(sum + constant);
    return part == QUERN_DENSITY_LOG ? log(sum) + constant : sum * exp(constant);
}

/* The gradient in x of a gradient in the space of the shape: inverse(shape)^T g. */
static void turn_back(const quern_density *d, double *g)
{
    int64_t dim = d->report.dim;
    for (int64_t a = dim; a-- > 0;) {
        for (int64_t b = a + 1; b < dim; b++) g[a] -= d->shape[b * dim + a] * g[b];
        g[a] /= d->shape[a * dim + a];
    }
}

/* Sums at whitened points, as doubles. */
static quern_status compute(quern_density *d, quern_operator *op, const double *points, int64_t rows, int64_t columns,
                            double *out, quern_pruning_report *report)
{
    int64_t dim = d->report.dim;
    size_t size = q_element_size(d->dtype);
    char *x = convert(d->dtype, points, (size_t)(rows * dim)), *sums = malloc((size_t)(rows * columns) * size + 1);
    const quern_arg args[] = {{"x", quern_view_of(x, d->dtype, rows, dim)},
                              {"y", quern_array_view(d->points)},
                              {"g", quern_number(pow(d->report.factor, -2))},
                              {"w", quern_array_view(d->weights)}};
    quern_status status = x && sums ? QUERN_OK : q_fail_memory((size_t)(rows * dim) * size);
    if (!status)
        status = q_density_run(d, op, (quern_args){args, d->weighted ? 4 : 3, 0, 0},
                               quern_view_of(sums, d->dtype, rows, columns), report);
    for (int64_t k = 0; k < rows * columns && !status; k++) out[k] = q_element_read(d->dtype, sums + (size_t)k * size);
    free(x), free(sums);
    return status;
}

static bool is_finite(const double *x, int64_t dim)
{
    for (int64_t a = 0; a < dim; a++)
        if (!isfinite(x[a])) return false;
    return true;
}

static quern_status check_at(const quern_density *d, quern_density_part part, const quern_view *at,
                             const quern_view *result)
{
    int64_t dim = d->report.dim, columns = part == QUERN_DENSITY_LOG_GRADIENT ? dim : 1;
    if ((unsigned)part > QUERN_DENSITY_LOG_GRADIENT) return q_fail(QUERN_USAGE, "there is no part %d", (int)part);
    if (at->columns != dim || at->rows < 0)
        return q_fail(QUERN_SHAPE, "the points to look at are %lld x %lld; the density is of %lld dimension%s",
                      (long long)at->rows, (long long)at->columns, (long long)dim, Q_S(dim));
    if (result->batch[0]) return q_fail(QUERN_SHAPE, "the result is a batch; a density is of one member");
    if (result->rows != at->rows || result->columns != columns)
        return q_fail(QUERN_SHAPE, "the result is %lld x %lld, not %lld x %lld", (long long)result->rows,
                      (long long)result->columns, (long long)at->rows, (long long)columns);
    if (result->dtype == QUERN_NUMBER || !q_dtype_is_known(result->dtype) || result->dtype == QUERN_I64 ||
        result->dtype == QUERN_I32)
        return q_fail(QUERN_DTYPE, "the result must be of a float type");
    return q_extent_check("the result", result, -1, -1);
}

quern_status quern_density_at(quern_density *d, quern_density_part part, quern_view at, quern_view result,
                              quern_pruning_report *report)
{
    if (!d) return q_fail_null(__func__, "the density");
    Q_TRY(check_at(d, part, &at, &result));
    if (!at.rows) return QUERN_OK;
    int64_t dim = d->report.dim;
    bool gradient = part == QUERN_DENSITY_LOG_GRADIENT;
    double *points = malloc((size_t)(at.rows * dim) * sizeof *points);
    double *numbers = malloc((size_t)(at.rows * result.columns) * sizeof *numbers);
    quern_status status = points && numbers ? QUERN_OK : q_fail_memory((size_t)(at.rows * dim) * sizeof *points);
    if (!status) status = q_density_read(d->context, "at", &at, points);
    if (!status) q_density_whiten(d, points, at.rows);
    if (!status) status = compute(d, d->parts[gradient], points, at.rows, result.columns, numbers, report);
    for (int64_t i = 0; i < at.rows && !status; i++) {
        double *r = &numbers[i * result.columns];
        if (gradient) turn_back(d, r);
        else *r = finish(d, part, *r);
        for (int64_t k = 0; k < result.columns; k++)
            if (!is_finite(&points[i * dim], dim)) r[k] = NAN;
    }
    if (!status) status = q_view_write(d->context, result, quern_f64(numbers, result.rows, result.columns));
    free(points), free(numbers);
    return status;
}

// ---- create ----

static quern_status check_options(const quern_density_options *o)
{
    if (!(o->bandwidth >= 0) || isinf(o->bandwidth))
        return q_fail(QUERN_USAGE, "bandwidth is %g; it must be above 0", o->bandwidth);
    if (!(o->kernel_integral >= 0) || isinf(o->kernel_integral))
        return q_fail(QUERN_USAGE, "kernel_integral is %g; it must be above 0", o->kernel_integral);
    if (!(o->tolerance >= 0) || !(o->tolerance < 1))
        return q_fail(QUERN_USAGE, "tolerance is %g; it must be at least 0 and below 1", o->tolerance);
    if ((unsigned)o->rule > QUERN_BANDWIDTH_LIKELIHOOD)
        return q_fail(QUERN_USAGE, "there is no bandwidth rule %d", (int)o->rule);
    if ((unsigned)o->shape > QUERN_BANDWIDTH_UNIT)
        return q_fail(QUERN_USAGE, "there is no bandwidth shape %d", (int)o->shape);
    return QUERN_OK;
}

static quern_status check_points(const quern_view *points, const quern_view *weights, bool weighted)
{
    if (points->rows < 1 || points->columns < 1 || points->columns > MOST_DIM)
        return q_fail(QUERN_SHAPE, "points are %lld x %lld; at least one of 1 to %d coordinates is needed",
                      (long long)points->rows, (long long)points->columns, MOST_DIM);
    if (weighted && (weights->rows != points->rows || weights->columns != 1))
        return q_fail(QUERN_SHAPE, "weights are %lld x %lld, not %lld x 1: one for each point",
                      (long long)weights->rows, (long long)weights->columns, (long long)points->rows);
    return QUERN_OK;
}

/* Reads and checks the sample; weights become parts of 1. */
static quern_status read_sample(q_sample *s, quern_density *d, const quern_view *points, const quern_view *weights)
{
    double sum = 0, square = 0;
    s->rows = points->rows, s->dim = points->columns;
    s->points = malloc((size_t)(s->rows * s->dim) * sizeof(double));
    s->weights = malloc((size_t)s->rows * sizeof(double));
    if (!s->points || !s->weights) return q_fail_memory((size_t)(s->rows * s->dim) * sizeof(double));
    Q_TRY(q_density_read(d->context, "points", points, s->points));
    for (int64_t i = 0; i < s->rows; i++) s->weights[i] = 1;
    if (d->weighted) Q_TRY(q_density_read(d->context, "weights", weights, s->weights));
    for (int64_t i = 0; i < s->rows; i++) {
        for (int64_t a = 0; a < s->dim; a++)
            if (!isfinite(s->points[i * s->dim + a])) return q_coordinate_fail(i, s->points[i * s->dim + a]);
        if (!(s->weights[i] >= 0) || isinf(s->weights[i]))
            return q_fail(QUERN_USAGE, "the weight of point %lld is %g", (long long)i, s->weights[i]);
        sum += s->weights[i], square += s->weights[i] * s->weights[i];
    }
    if (!(sum > 0) || isinf(square)) return q_fail(QUERN_USAGE, "the sum of all weights is %g", sum);
    for (int64_t i = 0; i < s->rows; i++) s->weights[i] /= sum;
    d->report.points = s->rows, d->report.effective = sum * sum / square;
    return QUERN_OK;
}

/* Puts points that are near each other side by side, for blocks of them to be left out. */
static quern_status sort(q_sample *s)
{
    quern_clusters *clusters;
    size_t bytes = (size_t)(s->rows * (s->dim + 1)) * sizeof(double);
    double *sorted = malloc(bytes);
    if (!sorted) return q_fail_memory(bytes);
    quern_view points = quern_f64(sorted, s->rows, s->dim);
    quern_view weights = quern_f64(sorted + s->rows * s->dim, s->rows, 1);
    quern_status status = quern_clusters_kd(&clusters, quern_f64(s->points, s->rows, s->dim), CLUSTER);
    if (!status) status = quern_clusters_sort(clusters, points, quern_f64(s->points, s->rows, s->dim));
    if (!status) status = quern_clusters_sort(clusters, weights, quern_f64(s->weights, s->rows, 1));
    if (!status) memcpy(s->points, points.data, (size_t)(s->rows * s->dim) * sizeof(double));
    if (!status) memcpy(s->weights, weights.data, (size_t)s->rows * sizeof(double));
    quern_clusters_destroy(&clusters);
    free(sorted);
    return status;
}

/* Weights as formulas take them: logarithms, for kernels with one. Equal ones are told in the constant. */
static quern_status load(quern_density *d, const q_sample *s)
{
    double *numbers = malloc((size_t)s->rows * sizeof *numbers);
    if (!numbers) return q_fail_memory((size_t)s->rows * sizeof *numbers);
    for (int64_t i = 0; i < s->rows; i++) numbers[i] = d->kernel.log ? log(s->weights[i]) : s->weights[i];
    quern_status status = q_density_array(&d->points, d, s->points, s->rows, s->dim);
    if (!status && d->weighted) status = q_density_array(&d->weights, d, numbers, s->rows, 1);
    if (!d->weighted) d->log_integral += log((double)s->rows);
    free(numbers);
    return status;
}

/* Formulas take the inverse of its square. */
static quern_status check_factor(const quern_density *d)
{
    if (pow(d->report.factor, -2) <= (d->dtype == QUERN_F32 ? FLT_MAX : DBL_MAX)) return QUERN_OK;
    q_fail(QUERN_NUMERIC, "the factor %g of the bandwidth has an inverse square beyond %s", d->report.factor,
           q_dtype_name(d->dtype));
    q_fail_next_step("scale the points, or give float64");
    return QUERN_NUMERIC;
}

static quern_status make(quern_density *d, q_sample *s, const quern_view *points, const quern_view *weights,
                         const quern_density_options *o)
{
    size_t dim = (size_t)points->columns;
    d->report.dim = points->columns;
    d->mean = calloc(dim, sizeof(double));
    d->shape = calloc(2 * dim * dim, sizeof(double));
    if (!d->mean || !d->shape) return q_fail_memory(2 * dim * dim * sizeof(double));
    d->report.bandwidth = d->bandwidth = d->shape + dim * dim;
    Q_TRY(read_sample(s, d, points, weights));
    Q_TRY(q_kernel_choose(d, o->kernel, o->kernel_integral));
    quern_bandwidth_shape given = o->bandwidth > 0 ? QUERN_BANDWIDTH_UNIT : QUERN_BANDWIDTH_COVARIANCE;
    Q_TRY(q_density_shape(d, s, o->shape ? o->shape : given));
    q_density_whiten(d, s->points, s->rows);
    if (s->dim <= 8) Q_TRY(sort(s));
    Q_TRY(load(d, s));
    for (int p = 0; p < 2; p++) Q_TRY(q_density_compile(&d->parts[p], d, "vg"[p]));
    d->report.factor = o->bandwidth > 0 ? o->bandwidth : q_density_factor(&d->report, o->rule);
    if (!(o->bandwidth > 0) && o->rule == QUERN_BANDWIDTH_LIKELIHOOD) Q_TRY(q_density_most_likely(d, s));
    Q_TRY(check_factor(d));
    for (size_t k = 0; k < dim * dim; k++) d->bandwidth[k] = d->report.factor * d->shape[k];
    return QUERN_OK;
}

quern_status quern_density_create(quern_density **out, quern_context *context, quern_view points, quern_view weights,
                                  const quern_density_options *options)
{
    quern_density_options known = {0};
    q_sample sample = {0};
    if (!out) return q_fail_null(__func__, "out");
    *out = NULL;
    if (!context) return q_fail_null(__func__, "the context");
    Q_TRY(q_options_copy(&known, sizeof known, options, "quern_density_options"));
    Q_TRY(check_options(&known));
    bool weighted = weights.data || weights.array || weights.rows;
    Q_TRY(check_points(&points, &weights, weighted));
    quern_density *d = *out = calloc(1, sizeof *d);
    if (!d) return q_fail_memory(sizeof *d);
    d->context = context;
    d->dtype = points.dtype == QUERN_F64 ? QUERN_F64 : QUERN_F32;
    d->weighted = weighted, d->tolerance = known.tolerance, d->report.likelihood = NAN;
    quern_status status = make(d, &sample, &points, &weights, &known);
    free(sample.points), free(sample.weights);
    if (status) quern_density_destroy(out);
    return status;
}

void quern_density_destroy(quern_density **density)
{
    if (!density || !*density) return;
    quern_density *d = *density;
    for (int p = 0; p < 2; p++) quern_operator_destroy(&d->parts[p]);
    quern_array_destroy(&d->points);
    quern_array_destroy(&d->weights);
    free(d->text), free(d->mean), free(d->shape);
    free(d);
    *density = NULL;
}

const quern_density_report *quern_density_report_of(const quern_density *density)
{
    return density ? &density->report : NULL;
}
