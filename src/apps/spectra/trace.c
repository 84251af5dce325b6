/*
 * trace.c: traces of functions of an operator by stochastic Lanczos quadrature (Ubaru, Chen, Saad 2017): of random vectors z the
 * mean of z.f(A)z is the trace of f(A), and Lanczos's matrix has the nodes and weights of Gauss's quadrature for each. For the
 * log-determinant z is drawn from the preconditioner P (Gardner et al. 2018), of which log det is known: the quadrature is that of
 * P^-1/2 A P^-1/2, and vectors of one length, which leave the mean of the eigenvalues' logarithms without error, are drawn.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/spectra/spectra.h"
#include "apps/views/views.h"

typedef double (*function)(void *user, double eigenvalue);

typedef struct work {
    const quern_linear *a;
    const quern_trace_options *options;
    function f;
    void *user;
    int64_t N, probes, products;
    bool basis; /* the probes are the vectors of one: all of the trace */
    quern_dtype dtype;
    q_preconditioner inverse;
    uint64_t state;
    double *alpha, *beta;           /* of all steps of 16 probes: a step after the other */
    double *node, *beside, *weight; /* one quadrature */
    double *value;                  /* of each probe, times the length of the vectors */
    double change;                  /* what the last steps have changed in the mean of 16 probes, at most */
    double relative;                /* the last such change, relatively */
    double least, most;
    bool converged;
    bool whole; /* all probes have a value */
} work;

static double identity(void *unused, double eigenvalue)
{
    (void)unused;
    return eigenvalue;
}

static double logarithm(void *unused, double eigenvalue)
{
    (void)unused;
    return log(eigenvalue);
}

// ---- random vectors ----

static void draw(work *w, int64_t first, int64_t R, double *out)
{
    if (w->basis) {
        memset(out, 0, (size_t)(w->N * R) * sizeof *out);
        for (int64_t r = 0; r < R; r++) out[(first + r) * R + r] = 1;
    } else if (w->inverse.kind) q_preconditioner_sample(&w->inverse, R, &w->state, out);
    else
        for (int64_t e = 0; e < w->N * R; e++) out[e] = q_random_unit(&w->state) < 0.5 ? -1 : 1;
}

// ---- quadrature ----

static quern_status not_finite(const work *w, double eigenvalue)
{
    if (w->f != logarithm) return q_fail(QUERN_NUMERIC, "the function is not finite at the eigenvalue %g", eigenvalue);
    q_fail(QUERN_NUMERIC, "the matrix is not positive definite, or not within its rounding: an eigenvalue is %g",
           eigenvalue);
    q_fail_next_step("add a larger shift, or give float64 arrays");
    return QUERN_NUMERIC;
}

/* The value that the first `steps` steps give for probe r of R; and what it is without signs. */
static quern_status quadrature(work *w, int64_t steps, int64_t r, int64_t R, double *value, double *size)
{
    int64_t n = 0;
    for (; n < steps; n++) {
        w->node[n] = w->alpha[n * R + r], w->beside[n] = w->beta[n * R + r];
        w->weight[n] = n == 0;
        if (w->beside[n] == 0 && ++n) break;
    }
    *value = *size = 0;
    if (!q_tridiagonal_eigen(n, w->node, w->beside, 1, w->weight))
        return q_fail(QUERN_NUMERIC, "the quadrature of %lld steps does not converge", (long long)n);
    for (int64_t k = 0; k < n; k++) {
        double f = w->f(w->user, w->node[k]);
        if (!isfinite(f)) return not_finite(w, w->node[k]);
        *value += f * w->weight[k] * w->weight[k];
        *size += fabs(f) * w->weight[k] * w->weight[k];
    }
    *value *= w->basis ? 1 : (double)w->N;
    *size *= w->basis ? 1 : (double)w->N;
    w->least = fmin(w->least, w->node[0]), w->most = fmax(w->most, w->node[n - 1]);
    return QUERN_OK;
}

static double mean_of(const double *value, int64_t count, double *deviation)
{
    double mean = 0, square = 0;
    for (int64_t k = 0; k < count; k++) mean += value[k] / (double)count;
    for (int64_t k = 0; k < count; k++) square += (value[k] - mean) * (value[k] - mean);
    *deviation = count > 1 ? sqrt(square / (double)(count - 1)) : INFINITY;
    return mean;
}

/* Values of R probes from the steps so far; whether more would not matter, in relation to what is added: values of both signs may
   cancel, as the logarithms of eigenvalues near 1 do. */
static quern_status evaluate(work *w, const q_lanczos *l, double *value, double *change, bool *enough)
{
    double deviation, before = mean_of(value, l->R, &deviation), all = 0, size;
    bool done = true;
    for (int64_t r = 0; r < l->R; r++) {
        Q_TRY(quadrature(w, l->steps, r, l->R, &value[r], &size));
        all += size / (double)l->R;
        done = done && l->beta[r] == 0;
    }
    double mean = mean_of(value, l->R, &deviation);
    *change = done || w->f == identity ? 0 : l->steps > 1 ? fabs(mean - before) : INFINITY;
    all += fabs(q_preconditioner_log_determinant(&w->inverse));
    double slack = w->options->tolerance * all;
    if (!w->basis && l->R > 1) slack = fmax(slack, 0.05 * deviation / sqrt((double)w->probes));
    *enough = *change <= slack;
    w->relative = all > 0 ? *change / all : 0;
    return QUERN_OK;
}

static quern_status tell(const work *w)
{
    const quern_trace_options *o = w->options;
    if (!o->progress || !o->progress(o->progress_user, w->products, w->relative)) return QUERN_OK;
    return q_fail(QUERN_CANCELLED, "stopped by its callback after %lld product%s", (long long)w->products,
                  Q_S(w->products));
}

static quern_status run(work *w, q_lanczos *l, double *value)
{
    double change = INFINITY;
    bool enough = false;
    for (int64_t next = 1; l->steps < w->options->iterations && !enough;) {
        Q_TRY(q_lanczos_step(l));
        w->products++;
        if (!l->symmetric && w->f != identity) return q_linear_not_symmetric();
        memcpy(w->alpha + (l->steps - 1) * l->R, l->alpha, (size_t)l->R * sizeof *l->alpha);
        memcpy(w->beta + (l->steps - 1) * l->R, l->beta, (size_t)l->R * sizeof *l->beta);
        if (l->steps >= next || l->steps == w->options->iterations) {
            Q_TRY(evaluate(w, l, value, &change, &enough));
            next = l->steps + 1 + l->steps / 10;
        }
        Q_TRY(tell(w));
    }
    w->change = fmax(w->change, change);
    w->converged = w->converged && enough;
    return QUERN_OK;
}

/* R probes from one on. */
static quern_status some_probes(work *w, int64_t first, int64_t R)
{
    double *start = malloc((size_t)(w->N * R) * sizeof *start + 1);
    if (!start) return q_fail_memory((size_t)(w->N * R) * sizeof *start);
    draw(w, first, R, start);
    q_lanczos l = {.a = w->a, .inverse = &w->inverse, .dtype = w->dtype, .rows = w->N, .R = R};
    quern_status status = q_lanczos_begin(&l, start);
    free(start);
    if (!status) status = run(w, &l, w->value + first);
    q_lanczos_end(&l);
    return status;
}

// ---- the calls ----

static quern_status check_options(quern_trace_options *known, const quern_trace_options *given)
{
    Q_TRY(q_options_copy(known, sizeof *known, given, "quern_trace_options"));
    Q_TRY(q_range_check("probes", (double)known->probes, 0, HUGE_VAL));
    Q_TRY(q_range_check("iterations", (double)known->iterations, 0, HUGE_VAL));
    Q_TRY(q_range_check("tolerance", known->tolerance, 0, 1));
    Q_TRY(q_range_check("rank", (double)known->rank, 0, HUGE_VAL));
    Q_TRY(q_choice_check("preconditioner", (int)known->preconditioner, QUERN_PRECONDITIONER_BLOCK_JACOBI));
    if (!known->probes) known->probes = Q_RHS_CHUNK;
    if (!known->iterations) known->iterations = 300;
    if (known->tolerance == 0) known->tolerance = 1e-5;
    return QUERN_OK;
}

static quern_status allocate(work *w, double **memory)
{
    size_t steps = (size_t)w->options->iterations, numbers = 2 * steps * Q_RHS_CHUNK + 3 * steps + (size_t)w->probes;
    double *at = *memory = calloc(numbers + 1, sizeof *at);
    if (!at) return q_fail_memory(numbers * sizeof *at);
    w->alpha = at, w->beta = w->alpha + steps * Q_RHS_CHUNK;
    w->node = w->beta + steps * Q_RHS_CHUNK, w->beside = w->node + steps, w->weight = w->beside + steps;
    w->value = w->weight + steps;
    return QUERN_OK;
}

static quern_status estimate(work *w)
{
    bool wanted = w->f == logarithm && !w->basis;
    q_preconditioning how = {.kind = wanted ? w->options->preconditioner : QUERN_PRECONDITIONER_NONE,
                             .rank = w->options->rank,
                             .positive = true};
    Q_TRY(q_precondition(&w->inverse, w->a, &how));
    for (int64_t first = 0; first < w->probes; first += Q_RHS_CHUNK)
        Q_TRY(some_probes(w, first, w->probes - first < Q_RHS_CHUNK ? w->probes - first : Q_RHS_CHUNK));
    w->whole = true;
    if (w->converged) return QUERN_OK;
    q_fail(QUERN_NUMERIC,
           "the last of %lld products still changed the value by %.3g: the limit of iterations is reached",
           (long long)w->products, w->change);
    q_fail_next_step("allow more iterations or a larger rank, or add a larger shift");
    return QUERN_NUMERIC;
}

static void report_on(const work *w, double deviation, quern_trace_report *out)
{
    double parts = w->basis ? 1 : (double)w->probes;
    quern_trace_report all = {.size = sizeof all,
                              .error = w->basis ? 0 : deviation / sqrt(parts),
                              .truncation = w->basis ? w->change * (double)w->probes : w->change,
                              .least = w->least,
                              .most = w->most,
                              .probes = w->probes,
                              .iterations = w->products,
                              .rank = w->inverse.rank,
                              .converged = w->whole && w->converged};
    q_report_copy(out, &all, sizeof all);
}

static quern_status trace(double *value, work *w, const quern_trace_options *options, quern_trace_report *report)
{
    quern_trace_options known = {0};
    Q_TRY(check_options(&known, options));
    w->options = &known, w->N = quern_linear_rows(w->a);
    if (w->N != quern_linear_columns(w->a))
        return q_fail(QUERN_SHAPE, "an operator of %lld x %lld has no trace", (long long)w->N,
                      (long long)quern_linear_columns(w->a));
    w->basis = known.probes >= w->N, w->probes = w->basis ? w->N : known.probes;
    w->least = INFINITY, w->most = -INFINITY, w->converged = true;
    w->state = known.seed + 11;
    w->dtype = q_linear_dtype(w->a), w->relative = INFINITY;
    double *memory = NULL, deviation = INFINITY;
    quern_status status = allocate(w, &memory);
    if (!status) status = estimate(w);
    if (w->whole) {
        double mean = mean_of(w->value, w->probes, &deviation);
        *value = (w->basis ? mean * (double)w->probes : mean) + q_preconditioner_log_determinant(&w->inverse);
    }
    if (report) report_on(w, deviation, report);
    q_preconditioner_free(&w->inverse);
    free(memory);
    return status;
}

quern_status quern_log_determinant(double *value, const quern_linear *linear, const quern_trace_options *options,
                                   quern_trace_report *report)
{
    if (!value) return q_fail_null(__func__, "value");
    *value = NAN;
    if (!linear) return q_fail_null(__func__, "the operator");
    work w = {.a = linear, .f = logarithm};
    return trace(value, &w, options, report);
}

quern_status quern_trace(double *value, const quern_linear *linear, double (*f)(void *user, double eigenvalue),
                         void *user, const quern_trace_options *options, quern_trace_report *report)
{
    if (!value) return q_fail_null(__func__, "value");
    *value = NAN;
    if (!linear) return q_fail_null(__func__, "the operator");
    work w = {.a = linear, .f = f ? f : identity, .user = user};
    return trace(value, &w, options, report);
}
