/*
 * losses.c: what is fitted. The squared loss is one system for all columns; the logistic loss, a column at a time, one for each step
 * of Newton's method, with the losses' second derivatives as weights, solved as far as a step needs it and halved until it
 * gets better (Meanti, Carratino, Rosasco and Rudi 2020). Along a step the functions are known without more kernels.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/ridge/ridge.h"

enum { STEPS = 100, HALVINGS = 30 };
static const double of_a_step = 0.03; /* the error of its equations */

static quern_status allocate(double **out, int64_t count)
{
    *out = calloc((size_t)count + 1, sizeof **out);
    return *out ? QUERN_OK : q_fail_memory((size_t)count * sizeof **out);
}

static double square(const double *a, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * a[i];
    return sum;
}

/* Column r of the weights. */
static void column_of(const quern_ridge *ridge, int64_t r, double *out)
{
    for (int64_t m = 0; m < ridge->M; m++) out[m] = ridge->weights[m * ridge->R + r];
}

// ---- squared ----

quern_status q_ridge_squared(q_ridge_fit *fit)
{
    quern_ridge *ridge = fit->ridge;
    int64_t N = ridge->N, M = ridge->M, R = ridge->R;
    double *side, *all, *norm;
    Q_TRY(allocate(&side, (M + N) * R + 2 * M));
    all = side + M * R, norm = all + N * R;
    for (int64_t k = 0; k < N * R && ridge->options.intercept; k++) ridge->offset[k % R] += fit->v[k] / (double)N;
    for (int64_t k = 0; k < N * R; k++) fit->v[k] -= ridge->offset[k % R];
    quern_status status = q_ridge_precondition(fit, NULL);
    if (!status) status = q_ridge_product(fit, true, R, fit->v, side);
    if (!status) status = q_ridge_solve(fit, R, ridge->options.tolerance, side, ridge->weights);
    if (!status) status = q_ridge_product(fit, false, R, ridge->weights, all);
    for (int64_t k = 0; k < N * R && !status; k++)
        ridge->report.objective += 0.5 * pow(fit->v[k] - all[k], 2) / (double)N;
    for (int64_t r = 0; r < R && !status; r++) {
        column_of(ridge, r, norm + M);
        q_ridge_norm_vector(fit, norm + M, norm);
        ridge->report.objective += 0.5 * ridge->options.penalty * square(norm, M);
    }
    free(side);
    return status;
}

// ---- logistic ----

/* One column: the function at the points and its change along the step, weights and theirs, both also as L^T of them. */
typedef struct newton {
    q_ridge_fit *fit;
    int64_t r;
    double *v; /* 0 or 1 */
    double *f, *along, *slope;
    double *a, *step, *side, *at, *norm, *norm_step; /* M numbers each */
} newton;

static double logistic(double f)
{
    return f < 0 ? exp(f) / (1 + exp(f)) : 1 / (1 + exp(-f));
}

/* log(1 + exp(f)) - v f */
static double loss(double v, double f)
{
    return fmax(f, 0) + log1p(exp(-fabs(f))) - v * f;
}

/* After a part of the step. */
static double objective(const newton *n, double part)
{
    const quern_ridge *ridge = n->fit->ridge;
    double sum = 0, norm = 0;
    for (int64_t i = 0; i < ridge->N; i++) sum += loss(n->v[i], n->f[i] + part * n->along[i]);
    for (int64_t m = 0; m < ridge->M; m++) norm += pow(n->norm[m] + part * n->norm_step[m], 2);
    return sum / (double)ridge->N + 0.5 * ridge->options.penalty * norm;
}

/* The step, and minus the slope of the objective along it. */
static quern_status find_step(newton *n, double *decrease)
{
    q_ridge_fit *fit = n->fit;
    const quern_ridge *ridge = fit->ridge;
    int64_t N = ridge->N, M = ridge->M;
    double s = ridge->options.penalty;
    for (int64_t i = 0; i < N; i++) {
        double p = logistic(n->f[i]);
        n->slope[i] = n->v[i] - p;
        fit->W[i] = p * (1 - p);
    }
    for (int64_t m = 0; m < M; m++) { /* at the centres: L L^T a */
        double f = ridge->offset[n->r], p;
        for (int64_t k = 0; k <= m; k++) f += fit->L[m * M + k] * n->norm[k];
        p = logistic(f);
        n->at[m] = p * (1 - p);
    }
    Q_TRY(q_ridge_precondition(fit, n->at));
    Q_TRY(q_ridge_product(fit, true, 1, n->slope, n->side));
    for (int64_t m = 0; m < M; m++)
        for (int64_t k = 0; k <= m; k++) n->side[m] -= s * (double)N * fit->L[m * M + k] * n->norm[k];
    *decrease = 0;
    if (square(n->side, M) == 0) return QUERN_OK;
    Q_TRY(q_ridge_solve(fit, 1, of_a_step, n->side, n->step));
    for (int64_t m = 0; m < M; m++) *decrease += n->side[m] * n->step[m] / (double)N;
    Q_TRY(q_ridge_product(fit, false, 1, n->step, n->along));
    q_ridge_norm_vector(fit, n->step, n->norm_step);
    return QUERN_OK;
}

/* Goes along the step as far as it gets better. */
static double go(newton *n, double before)
{
    const quern_ridge *ridge = n->fit->ridge;
    double part = 1, now = objective(n, part);
    for (int k = 0; k < HALVINGS && !(now <= before); k++) now = objective(n, part *= 0.5);
    if (!(now < before)) return before;
    for (int64_t i = 0; i < ridge->N; i++) n->f[i] += part * n->along[i];
    for (int64_t m = 0; m < ridge->M; m++) {
        n->a[m] += part * n->step[m];
        n->norm[m] += part * n->norm_step[m];
    }
    return now;
}

static quern_status fit_column(newton *n)
{
    quern_ridge *ridge = n->fit->ridge;
    int64_t N = ridge->N, M = ridge->M, R = ridge->R, k = 0;
    double share = 0, *offset = &ridge->offset[n->r];
    for (int64_t i = 0; i < N; i++) share += (n->v[i] = n->fit->v[i * R + n->r] > 0) / (double)N;
    share = fmin(fmax(share, 0.5 / (double)N), 1 - 0.5 / (double)N); /* all of one class: as if half a value were not */
    if (ridge->options.intercept) *offset = log(share / (1 - share));
    for (int64_t i = 0; i < N; i++) n->f[i] = *offset;
    memset(n->a, 0, (size_t)(6 * M) * sizeof *n->a);
    memset(n->along, 0, (size_t)N * sizeof *n->along);
    double before, now = objective(n, 0), decrease;
    do {
        before = now;
        Q_TRY(find_step(n, &decrease));
        now = decrease > 0 ? go(n, before) : before;
        ridge->report.steps++;
        Q_TRY(q_ridge_tell(ridge, "logistic", ++k, now));
    } while (decrease > ridge->options.tolerance * now && now < before && k < STEPS);
    ridge->report.objective += now;
    for (int64_t m = 0; m < M; m++) ridge->weights[m * R + n->r] = n->a[m];
    return QUERN_OK;
}

quern_status q_ridge_logistic(q_ridge_fit *fit)
{
    const quern_ridge *ridge = fit->ridge;
    int64_t N = ridge->N, M = ridge->M;
    newton n = {.fit = fit};
    Q_TRY(allocate(&n.v, 4 * N + 6 * M));
    Q_TRY(allocate(&fit->W, N));
    double **vectors[] = {&n.f, &n.along, &n.slope};
    double **small[] = {&n.a, &n.step, &n.side, &n.at, &n.norm, &n.norm_step};
    for (size_t k = 0; k < Q_COUNT(vectors); k++) *vectors[k] = n.v + (int64_t)(k + 1) * N;
    for (size_t k = 0; k < Q_COUNT(small); k++) *small[k] = n.v + 4 * N + (int64_t)k * M;
    quern_status status = QUERN_OK;
    for (; n.r < ridge->R && !status; n.r++) status = fit_column(&n);
    free(n.v);
    return status;
}
