/*
 * steps.c: expectation and maximisation. The device has the mixture as arrays of means, inverses and constants. Moments are taken
 * about the means of the step before, so that what cancels is small, and put together on the host in float64.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/mixture/mixture.h"

// ---- the mixture on the device ----

quern_status q_mixture_create(q_mixture *m, quern_context *context, quern_dtype dtype, int64_t components, int64_t dim,
                              quern_covariance covariance)
{
    m->context = context, m->dtype = dtype, m->k = components, m->dim = dim;
    m->kind = &q_covariance_kinds[covariance], m->length = m->kind->length(dim);
    m->weights = calloc((size_t)components, sizeof(double));
    m->means = calloc((size_t)(components * dim), sizeof(double));
    m->covariances = calloc((size_t)(components * m->length), sizeof(double));
    m->inverses = calloc((size_t)(components * m->length), sizeof(double));
    m->constants = calloc((size_t)components, sizeof(double));
    if (!m->weights || !m->means || !m->covariances || !m->inverses || !m->constants)
        return q_fail_memory((size_t)(components * m->length) * 2 * sizeof(double));
    Q_TRY(quern_array_create(&m->mean_array, context, dtype, components, dim));
    Q_TRY(quern_array_create(&m->inverse_array, context, dtype, components, m->length));
    return quern_array_create(&m->constant_array, context, dtype, components, 1);
}

void q_mixture_destroy(q_mixture *m)
{
    free(m->weights), free(m->means), free(m->covariances), free(m->inverses), free(m->constants);
    quern_array_destroy(&m->mean_array), quern_array_destroy(&m->inverse_array);
    quern_array_destroy(&m->constant_array);
}

quern_status q_mixture_prepare(q_mixture *m)
{
    const double log_2_pi = 1.8378770664093454836;
    for (int64_t c = 0; c < m->k; c++) {
        double log_determinant, variance = m->kind->invert(m->covariances + c * m->length, m->dim,
                                                           m->inverses + c * m->length, &log_determinant);
        if (!(variance > 0)) {
            q_fail(QUERN_NUMERIC, "the covariance of component %lld, of weight %g, is singular: it has the variance %g",
                   (long long)c, m->weights[c], variance);
            q_fail_next_step("use regularization, fewer components, or a simpler kind of covariance");
            return QUERN_NUMERIC;
        }
        m->constants[c] = log(m->weights[c]) + log_determinant - 0.5 * (double)m->dim * log_2_pi;
    }
    Q_TRY(q_view_write(m->context, quern_array_view(m->mean_array), quern_f64(m->means, m->k, m->dim)));
    Q_TRY(q_view_write(m->context, quern_array_view(m->inverse_array), quern_f64(m->inverses, m->k, m->length)));
    return q_view_write(m->context, quern_array_view(m->constant_array), quern_f64(m->constants, m->k, 1));
}

quern_status q_mixture_compile(quern_operator **out, const q_mixture *m, const char *const *texts, size_t count)
{
    q_text text = {0};
    long long dim = (long long)m->dim;
    q_text_add(&text, "x=Vi(%lld); l=Vi(1); m=Vj(%lld); P=Vj(%lld); c=Vj(1); D=%lld; u=x-m; s=c-0.5*%s; ", dim, dim,
               (long long)m->length, dim, m->kind->square);
    for (size_t k = 0; k < count; k++) q_text_add(&text, k ? ", %s" : "%s", texts[k]);
    char *formula = q_text_take(&text);
    quern_status status =
        formula ? quern_compile(out, m->context, formula, NULL) : q_fail_memory(sizeof "x=Vi(1)" + 200);
    free(formula);
    return status;
}

quern_status q_mixture_run(const q_mixture *m, quern_operator *op, const q_points *points, const quern_array *l,
                           quern_outs results)
{
    quern_arg args[] = {{"x", quern_array_view(points->array)},
                        {"m", quern_array_view(m->mean_array)},
                        {"P", quern_array_view(m->inverse_array)},
                        {"c", quern_array_view(m->constant_array)},
                        {"l", quern_array_view(l)}};
    return quern_run_all(op, (quern_args){args, l ? 5 : 4, 0, 0}, results);
}

// ---- steps ----

static quern_status compile_maximize(quern_operator **out, const q_steps *s, const char *responsibility)
{
    char texts[3][128];
    snprintf(texts[0], sizeof texts[0], "Sum_i(%s)", responsibility);
    snprintf(texts[1], sizeof texts[1], "Sum_i(%s*u)", responsibility);
    snprintf(texts[2], sizeof texts[2], "Sum_i(%s*%s)", responsibility, s->m->kind->moment);
    return q_mixture_compile(out, s->m, (const char *[]){texts[0], texts[1], texts[2]}, 3);
}

quern_status q_steps_create(q_steps *s, q_mixture *m, const q_points *points, double regularization)
{
    s->m = m, s->points = points, s->regularization = regularization;
    s->densities = q_points_block(points, points->rows, 1);
    s->masses = malloc((size_t)m->k * sizeof(double));
    s->firsts = malloc((size_t)(m->k * m->dim) * sizeof(double));
    s->seconds = malloc((size_t)(m->k * m->length) * sizeof(double));
    if (!s->densities || !s->masses || !s->firsts || !s->seconds)
        return q_fail_memory((size_t)(points->rows + m->k * m->length) * sizeof(double));
    Q_TRY(q_mixture_compile(&s->expect, m, (const char *[]){"LogSumExp_j(s)"}, 1));
    Q_TRY(compile_maximize(&s->maximize, s, "Exp(s-l)"));
    Q_TRY(compile_maximize(&s->begin, s, "Equal(l,J)"));
    Q_TRY(quern_array_create(&s->log_densities, m->context, m->dtype, points->rows, 1));
    Q_TRY(quern_array_create(&s->mass, m->context, m->dtype, m->k, 1));
    Q_TRY(quern_array_create(&s->first, m->context, m->dtype, m->k, m->dim));
    return quern_array_create(&s->second, m->context, m->dtype, m->k, m->length);
}

void q_steps_destroy(q_steps *s)
{
    quern_operator_destroy(&s->expect), quern_operator_destroy(&s->maximize), quern_operator_destroy(&s->begin);
    quern_array_destroy(&s->log_densities), quern_array_destroy(&s->mass), quern_array_destroy(&s->first);
    quern_array_destroy(&s->second);
    free(s->densities), free(s->masses), free(s->firsts), free(s->seconds);
}

/* A component without mass keeps its mean, and has the regularization for its covariance. */
static void maximize_component(q_steps *s, int64_t c)
{
    q_mixture *m = s->m;
    double mass = s->masses[c] + 10 * 2.220446049250313e-16, *covariance = m->covariances + c * m->length;
    double *shift = s->firsts + c * m->dim;
    m->weights[c] = mass;
    for (int64_t d = 0; d < m->dim; d++) shift[d] /= mass, m->means[c * m->dim + d] += shift[d];
    for (int64_t e = 0; e < m->length; e++) covariance[e] = s->seconds[c * m->length + e] / mass;
    m->kind->centre(covariance, shift, m->dim);
    double ignored, least = m->kind->invert(covariance, m->dim, m->inverses + c * m->length, &ignored);
    s->degenerate += !(least > s->regularization);
    m->kind->regularize(covariance, s->regularization, m->dim);
}

static quern_status maximize(q_steps *s, quern_operator *op)
{
    q_mixture *m = s->m;
    double total = 0;
    Q_TRY(
        q_mixture_run(m, op, s->points, s->log_densities,
                      QUERN_OUTS(quern_array_view(s->mass), quern_array_view(s->first), quern_array_view(s->second))));
    Q_TRY(q_view_write(m->context, quern_f64(s->masses, m->k, 1), quern_array_view(s->mass)));
    Q_TRY(q_view_write(m->context, quern_f64(s->firsts, m->k, m->dim), quern_array_view(s->first)));
    Q_TRY(q_view_write(m->context, quern_f64(s->seconds, m->k, m->length), quern_array_view(s->second)));
    s->degenerate = 0;
    for (int64_t c = 0; c < m->k; c++) maximize_component(s, c), total += m->weights[c];
    for (int64_t c = 0; c < m->k; c++) m->weights[c] /= total;
    return q_mixture_prepare(m);
}

quern_status q_steps_begin(q_steps *s, const int32_t *labels)
{
    q_mixture *m = s->m;
    Q_TRY(q_view_write(m->context, quern_array_view(m->mean_array), quern_f64(m->means, m->k, m->dim)));
    Q_TRY(quern_array_write(s->log_densities, quern_view_of(labels, QUERN_I32, s->points->rows, 1)));
    return maximize(s, s->begin);
}

quern_status q_steps_maximize(q_steps *s)
{
    return maximize(s, s->maximize);
}

quern_status q_steps_expect(q_steps *s, double *log_likelihood)
{
    int64_t rows = s->points->rows;
    double sum = 0;
    Q_TRY(q_mixture_run(s->m, s->expect, s->points, NULL, QUERN_OUTS(quern_array_view(s->log_densities))));
    Q_TRY(quern_array_read(s->log_densities, quern_view_of(s->densities, s->m->dtype, rows, 1)));
    for (int64_t r = 0; r < rows; r++) {
        double density = s->m->dtype == QUERN_F32 ? (double)((float *)s->densities)[r] : ((double *)s->densities)[r];
        if (!isfinite(density))
            return q_fail(QUERN_NUMERIC, "the logarithm of the density at point %lld is %g", (long long)r, density);
        sum += density;
    }
    *log_likelihood = sum / (double)rows;
    return QUERN_OK;
}
