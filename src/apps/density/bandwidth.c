/*
 * bandwidth.c: what the bandwidth's shape is, and the factor before it: rules of thumb (Scott 1992; Silverman 1986) and the likelihood
 * of each point under the density of the others (Duin 1976). That is searched over log h: a pass over all pairs has it
 * for Q_BANDWIDTHS factors, of which the best one and its neighbours bound the next pass.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/density/density.h"

// ---- shape ----

/* The weighted covariance, unbiased as NumPy's with `aweights`; its lower triangle. */
static void covariance(double *out, const quern_density *d, const q_sample *s)
{
    double square = 0;
    int64_t dim = s->dim;
    for (int64_t i = 0; i < s->rows; i++) {
        const double *x = &s->points[i * dim];
        square += s->weights[i] * s->weights[i];
        for (int64_t a = 0; a < dim; a++)
            for (int64_t b = 0; b <= a; b++)
                out[a * dim + b] += s->weights[i] * (x[a] - d->mean[a]) * (x[b] - d->mean[b]);
    }
    for (int64_t k = 0; k < dim * dim; k++) out[k] /= 1 - square;
}

/* A = L L^T in place, for a lower triangle. False if A is not positive definite, or was that by rounding alone. */
static bool cholesky(double *a, int64_t dim)
{
    for (int64_t k = 0; k < dim; k++) {
        double left = a[k * dim + k], whole = left;
        for (int64_t l = 0; l < k; l++) left -= a[k * dim + l] * a[k * dim + l];
        if (!(left > 1e-13 * whole)) return false;
        a[k * dim + k] = sqrt(left);
        for (int64_t i = k + 1; i < dim; i++) {
            for (int64_t l = 0; l < k; l++) a[i * dim + k] -= a[i * dim + l] * a[k * dim + l];
            a[i * dim + k] /= a[k * dim + k];
        }
    }
    return true;
}

quern_status q_density_shape(quern_density *d, const q_sample *s, quern_bandwidth_shape shape)
{
    int64_t dim = s->dim;
    for (int64_t i = 0; i < s->rows; i++)
        for (int64_t a = 0; a < dim; a++) d->mean[a] += s->weights[i] * s->points[i * dim + a];
    if (shape != QUERN_BANDWIDTH_UNIT) covariance(d->shape, d, s);
    for (int64_t a = 0; a < dim && shape != QUERN_BANDWIDTH_COVARIANCE; a++)
        for (int64_t b = 0; b <= a; b++) {
            double *at = &d->shape[a * dim + b];
            *at = a != b ? 0 : shape == QUERN_BANDWIDTH_UNIT ? 1 : *at;
        }
    if (s->rows < 2 && shape != QUERN_BANDWIDTH_UNIT) {
        q_fail(QUERN_NUMERIC, "one point has no covariance");
        q_fail_next_step("give a bandwidth");
        return QUERN_NUMERIC;
    }
    if (!cholesky(d->shape, dim)) {
        q_fail(QUERN_NUMERIC, "the covariance of the points has no inverse: they lie in a plane, or all in one place");
        q_fail_next_step("give a bandwidth, or the shape DEVIATIONS or UNIT");
        return QUERN_NUMERIC;
    }
    for (int64_t a = 0; a < dim; a++) d->log_det += log(d->shape[a * dim + a]);
    return QUERN_OK;
}

// ---- factor ----

double q_density_factor(const quern_density_report *report, quern_bandwidth_rule rule)
{
    double dim = (double)report->dim, count = report->effective;
    if (rule != QUERN_BANDWIDTH_SCOTT) count *= (dim + 2) / 4;
    return pow(count, -1 / (dim + 4));
}

/* The mean log-likelihood for each factor, of the sums that a pass has left. */
static void add_up(const quern_density *d, const q_sample *s, const void *sums, const double *factors, double *out)
{
    size_t size = q_element_size(d->dtype);
    for (int k = 0; k < Q_BANDWIDTHS; k++) {
        double constant = -d->log_integral - d->log_det - (double)s->dim * log(factors[k]);
        out[k] = 0;
        for (int64_t i = 0; i < s->rows; i++) {
            double sum = q_element_read(d->dtype, (const char *)sums + (size_t)(i * Q_BANDWIDTHS + k) * size);
            if (s->weights[i] > 0)
                out[k] += s->weights[i] * (constant + (d->kernel.log ? sum : log(sum)) - log1p(-s->weights[i]));
        }
        if (isnan(out[k])) out[k] = -INFINITY;
    }
}

static quern_status measure(quern_density *d, const q_sample *s, quern_operator *op, const double *factors, double *out)
{
    quern_view result = {NULL, s->rows, Q_BANDWIDTHS, d->dtype, 0, 0, NULL, 0, {0}};
    size_t size = q_element_size(d->dtype), bytes = (size_t)s->rows * Q_BANDWIDTHS * size;
    char g[Q_BANDWIDTHS * sizeof(double)];
    for (int k = 0; k < Q_BANDWIDTHS; k++) q_element_write(d->dtype, g + (size_t)k * size, pow(factors[k], -2));
    if (!(result.data = malloc(bytes))) return q_fail_memory(bytes);
    quern_view points = quern_array_view(d->points);
    const quern_arg args[] = {{"x", points},
                              {"y", points},
                              {"g", quern_view_of(g, d->dtype, 1, Q_BANDWIDTHS)},
                              {"w", quern_array_view(d->weights)}};
    quern_status status = q_density_run(d, op, (quern_args){args, d->weighted ? 4 : 3, s->rows, s->rows}, result, NULL);
    if (!status) add_up(d, s, result.data, factors, out);
    d->report.passes++;
    free(result.data);
    return status;
}

/* Looks between low and high, and closer and closer, until the factor is known to 0.1 %. */
static quern_status search(quern_density *d, const q_sample *s, quern_operator *op, double low, double high)
{
    double factors[Q_BANDWIDTHS], values[Q_BANDWIDTHS];
    int best = 0;
    while (high / low > 1.002) {
        double step = pow(high / low, 1.0 / (Q_BANDWIDTHS - 1));
        for (int k = 0; k < Q_BANDWIDTHS; k++) factors[k] = low * pow(step, k);
        Q_TRY(measure(d, s, op, factors, values));
        best = 0;
        for (int k = 1; k < Q_BANDWIDTHS; k++)
            if (values[k] > values[best]) best = k;
        low = factors[best > 0 ? best - 1 : 0];
        high = factors[best < Q_BANDWIDTHS - 1 ? best + 1 : best];
    }
    d->report.factor = factors[best], d->report.likelihood = values[best];
    if (isfinite(values[best])) return QUERN_OK;
    q_fail(QUERN_NUMERIC, "under no factor below %.3g has each point a neighbour, or the likelihood is infinite",
           10 * q_density_factor(&d->report, QUERN_BANDWIDTH_SILVERMAN));
    q_fail_next_step("give a bandwidth, or a kernel without bounds such as gaussian");
    return QUERN_NUMERIC;
}

quern_status q_density_most_likely(quern_density *d, const q_sample *s)
{
    double middle = q_density_factor(&d->report, QUERN_BANDWIDTH_SILVERMAN);
    quern_operator *op = NULL;
    quern_status status = q_density_compile(&op, d, 'l');
    if (!status) status = search(d, s, op, middle / 100, 10 * middle);
    quern_operator_destroy(&op);
    return status;
}
