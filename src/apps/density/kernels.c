/*
 * kernels.c: kernels by name, a row each, and by formula; and their integrals over R^D.
 *
 * A kernel is a function k of s, the squared distance in bandwidths. Its integral is S times that of k(r^2) r^(D-1) over r, S being
 * the area of the unit sphere. For a formula that is summed over t = log r by the trapezoidal rule, which converges
 * geometrically where k is analytic (Trefethen, Weideman 2014).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/density/density.h"

#define PI 3.14159265358979323846

// ---- by name ----

static double log_ball(double dim) /* the volume of the unit ball */
{
    return dim / 2 * log(PI) - lgamma(dim / 2 + 1);
}

static double log_gaussian(double dim)
{
    return dim / 2 * log(2 * PI);
}

static double log_epanechnikov(double dim)
{
    return log_ball(dim) + log(2 / (dim + 2));
}

static double log_exponential(double dim)
{
    return log_ball(dim) + lgamma(dim + 1);
}

static double log_linear(double dim)
{
    return log_ball(dim) - log(dim + 1);
}

/* D times the integral of cos(pi r/2) r^(D-1) over 0 .. 1, by Simpson's rule. */
static double log_cosine(double dim)
{
    enum { STEPS = 4096 };
    double sum = 0;
    for (int k = 0; k <= STEPS; k++) {
        double r = (double)k / STEPS, weight = k == 0 || k == STEPS ? 1 : k % 2 ? 4 : 2;
        sum += weight * cos(PI / 2 * r) * dim * pow(r, dim - 1);
    }
    return log_ball(dim) + log(sum / (3 * STEPS));
}

// clang-format off
static const q_kernel kernels[] = {
    {"gaussian",     "Exp(-0.5*s)",                                           "-0.5*s",   log_gaussian},
    {"exponential",  "Exp(-Sqrt(s))",                                         "-Sqrt(s)", log_exponential},
    {"tophat",       "(s<1)",                                                 NULL,       log_ball},
    {"epanechnikov", "ReLU(1-s)",                                             NULL,       log_epanechnikov},
    {"linear",       "ReLU(1-Sqrt(s))",                                       NULL,       log_linear},
    {"cosine",       "Where(s<1,Cos(1.57079632679489661923*Sqrt(s)),0)",      NULL,       log_cosine},
};
// clang-format on

// ---- by formula ----

enum { OCTAVE = 512, REACH = 40, NODES = 2 * REACH * OCTAVE + 1 }; /* nodes t = -REACH .. REACH, OCTAVE of them in 1 */

static double node(int k)
{
    return (double)k / OCTAVE - REACH;
}

/* The values of the kernel at the nodes. */
static quern_status evaluate(quern_density *d, double *values)
{
    quern_operator *op = NULL;
    quern_dtype dtype = quern_context_device(d->context)->f64 ? QUERN_F64 : QUERN_F32;
    size_t size = q_element_size(dtype);
    q_text text = {0};
    char *numbers = malloc(2 * NODES * size);
    if (!numbers) return q_fail_memory(2 * NODES * size);
    for (int k = 0; k < NODES; k++) q_element_write(dtype, numbers + (size_t)k * size, exp(2 * node(k)));
    char *results = numbers + NODES * size;
    q_text_add(&text, "s=Vi(1); (%s)", d->kernel.text);
    quern_status status = text.failed ? q_fail_memory(0) : quern_compile(&op, d->context, text.data, NULL);
    if (!status && (quern_result_count(op) != 1 || quern_result(op, 0).axis != 'i' || quern_result(op, 0).dim != 1)) {
        status = q_fail(QUERN_DIMENSION, "the kernel '%s' is not one number for each s", d->kernel.text);
        q_fail_next_step("give a formula in s, the squared distance in bandwidths, such as Exp(-s/2)");
    }
    if (!status)
        status = quern_run(op, QUERN_ARGS({"s", quern_view_of(numbers, dtype, NODES, 1)}),
                           quern_view_of(results, dtype, NODES, 1));
    for (int k = 0; k < NODES && !status; k++) values[k] = q_element_read(dtype, results + (size_t)k * size);
    quern_operator_destroy(&op);
    q_text_free(&text);
    free(numbers);
    return status;
}

/* The sum of every `step`-th node's term, over the largest, whose logarithm is *top. */
static double sum_nodes(const double *values, double dim, int step, double *top)
{
    double sum = 0;
    *top = -INFINITY;
    for (int k = 0; k < NODES; k++)
        if (values[k] != 0) *top = fmax(*top, log(fabs(values[k])) + dim * node(k));
    for (int k = 0; k < NODES; k += step)
        if (values[k] != 0) sum += values[k] * exp(dim * node(k) - *top) * step / OCTAVE;
    return sum;
}

static quern_status integrate(quern_density *d)
{
    double dim = (double)d->report.dim, top, *values = malloc(NODES * sizeof *values);
    if (!values) return q_fail_memory(NODES * sizeof *values);
    quern_status status = evaluate(d, values);
    double sum = status ? 0 : sum_nodes(values, dim, 1, &top), half = status ? 0 : sum_nodes(values, dim, 2, &top);
    double last = status ? 0 : fabs(values[NODES - 1]) * exp(dim * REACH - top);
    free(values);
    if (status) return status;
    if (!(sum > 0) || !isfinite(sum) || !(fabs(sum - half) < 1e-2 * sum) || !(last < 1e-9)) {
        q_fail(QUERN_NUMERIC, "the kernel '%s' has no positive, finite integral over %lld dimension%s", d->kernel.text,
               (long long)d->report.dim, Q_S(d->report.dim));
        q_fail_next_step(
            "a kernel falls faster than s^(-dimensions/2); kernel_integral takes an integral that is known");
        return QUERN_NUMERIC;
    }
    d->log_integral = log(sum) + top + log_ball(dim) + log(dim);
    return QUERN_OK;
}

quern_status q_kernel_choose(quern_density *d, const char *kernel, double integral)
{
    for (size_t k = 0; k < Q_COUNT(kernels); k++)
        if (!strcmp(kernel ? kernel : "gaussian", kernels[k].name)) {
            d->kernel = kernels[k];
            d->log_integral = d->kernel.log_integral((double)d->report.dim);
            return QUERN_OK;
        }
    d->text = strdup(kernel);
    if (!d->text) return q_fail_memory(strlen(kernel));
    d->kernel = (q_kernel){.text = d->text};
    d->log_integral = log(integral);
    return integral > 0 ? QUERN_OK : integrate(d);
}
