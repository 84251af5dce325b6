/*
 * fit.c: parameters of the largest likelihood: L-BFGS (Nocedal 1980) with backtracking, or Adam (Kingma and Ba 2015), on the
 * logarithms of the parameters. What is minimised is minus the likelihood divided by the number of values. Parameters for which
 * the matrix is not positive definite count as infinitely bad; the best that were met are kept.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/gp/gp.h"
#include "apps/views/views.h"

enum { MEMORY = 8, HALVINGS = 12 };
static const double longest = 1.5; /* change of a logarithm in a step */

/* `n` numbers are free; vectors of the search have so many. */
typedef struct search {
    quern_gp *gp;
    const quern_gp_fit_options *options;
    size_t n, *which;             /* of all numbers of parameters, in their order */
    double *all, *slopes;         /* those numbers, and derivatives by them */
    double *at, *gradient, value; /* logarithms, and what there is at them */
    double *best, best_value;
    quern_gp_report best_report;
    int64_t step;
} search;

// ---- the function ----

/* Whether a name is one of those in a list with blanks between. */
static bool is_listed(const char *list, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = list; at && *at; at += strcspn(at, " ,")) {
        at += strspn(at, " ,");
        if (strcspn(at, " ,") == size && !strncmp(at, name, size)) return true;
    }
    return false;
}

/* The likelihood at the logarithms `at`; infinite where there is none. */
static quern_status evaluate(search *s)
{
    double count = (double)s->gp->N;
    for (size_t k = 0; k < s->n; k++) s->all[s->which[k]] = exp(s->at[k]);
    q_gp_assign(s->gp, s->all);
    quern_gp_report report = {.size = sizeof report};
    quern_status status = quern_gp_likelihood(s->gp, &report, quern_f64(s->slopes, 1, (int64_t)s->gp->kernel.numbers));
    if (status && status != QUERN_NUMERIC) return status;
    s->value = status || !isfinite(report.log_likelihood) ? INFINITY : -report.log_likelihood / count;
    for (size_t k = 0; k < s->n; k++) s->gradient[k] = -s->slopes[s->which[k]] * s->all[s->which[k]] / count;
    if (s->value < s->best_value) {
        s->best_value = s->value, s->best_report = report;
        memcpy(s->best, s->at, s->n * sizeof *s->at);
    }
    return QUERN_OK;
}

static quern_status tell(const search *s)
{
    const quern_gp_options *o = &s->gp->options;
    if (!o->progress || !o->progress(o->progress_user, "fit", s->step, s->best_report.log_likelihood)) return QUERN_OK;
    return q_fail(QUERN_CANCELLED, "the fit was stopped by its callback after %lld step%s", (long long)s->step,
                  Q_S(s->step));
}

static double largest(const double *x, size_t n)
{
    double most = 0;
    for (size_t k = 0; k < n; k++) most = fmax(most, fabs(x[k]));
    return most;
}

// ---- Adam ----

static quern_status adam(search *s, double *room)
{
    double *mean = room, *square = room + s->n;
    double rate = s->options->rate > 0 ? s->options->rate : 0.1;
    for (s->step = 1; s->step <= s->options->steps; s->step++) {
        if (!isfinite(s->value) || largest(s->gradient, s->n) <= s->options->tolerance) return QUERN_OK;
        for (size_t k = 0; k < s->n; k++) {
            mean[k] = 0.9 * mean[k] + 0.1 * s->gradient[k];
            square[k] = 0.999 * square[k] + 0.001 * s->gradient[k] * s->gradient[k];
            double m = mean[k] / (1 - pow(0.9, (double)s->step)), v = square[k] / (1 - pow(0.999, (double)s->step));
            s->at[k] -= rate * m / (sqrt(v) + 1e-8);
        }
        Q_TRY(evaluate(s));
        Q_TRY(tell(s));
    }
    return QUERN_OK;
}

// ---- L-BFGS ----

/* The last steps and changes of the gradient, MEMORY of them in turn. */
typedef struct history {
    double *step[MEMORY], *change[MEMORY], inverse[MEMORY];
    int64_t count;
} history;

/* direction = -H gradient, by the two loops of Nocedal. */
static void find_direction(const search *s, const history *h, double *direction)
{
    double along[MEMORY];
    int64_t n = (int64_t)s->n, first = h->count > MEMORY ? h->count - MEMORY : 0;
    for (int64_t k = 0; k < n; k++) direction[k] = -s->gradient[k];
    for (int64_t m = h->count - 1; m >= first; m--) {
        int64_t slot = m % MEMORY;
        along[slot] = h->inverse[slot] * q_dot(h->step[slot], direction, n);
        for (int64_t k = 0; k < n; k++) direction[k] -= along[slot] * h->change[slot][k];
    }
    if (h->count) {
        int64_t slot = (h->count - 1) % MEMORY;
        double scale = 1 / (h->inverse[slot] * q_dot(h->change[slot], h->change[slot], n));
        for (int64_t k = 0; k < n; k++) direction[k] *= scale;
    } else {
        double scale = 0.3 / fmax(largest(s->gradient, s->n), 1e-300); /* a first step of moderate length */
        for (int64_t k = 0; k < n; k++) direction[k] *= fmin(scale, 10);
    }
    for (int64_t m = first; m < h->count; m++) {
        int64_t slot = m % MEMORY;
        double back = h->inverse[slot] * q_dot(h->change[slot], direction, n);
        for (int64_t k = 0; k < n; k++) direction[k] += (along[slot] - back) * h->step[slot][k];
    }
    double most = largest(direction, s->n);
    for (int64_t k = 0; k < n && most > longest; k++) direction[k] *= longest / most;
}

/* Keeps a step if the function bends upwards along it. */
static void remember(history *h, const search *s, const double *from, const double *gradient)
{
    int64_t slot = h->count % MEMORY, n = (int64_t)s->n;
    for (int64_t k = 0; k < n; k++) {
        h->step[slot][k] = s->at[k] - from[k];
        h->change[slot][k] = s->gradient[k] - gradient[k];
    }
    double bend = q_dot(h->step[slot], h->change[slot], n);
    if (!(bend > 0)) return;
    h->inverse[slot] = 1 / bend;
    h->count++;
}

/* One step: halved until the function falls enough. `found` tells whether it did. */
static quern_status descend(search *s, history *h, double *room, bool *found)
{
    int64_t n = (int64_t)s->n;
    double *direction = room, *from = room + n, *gradient = room + 2 * n, value = s->value, length = 1;
    find_direction(s, h, direction);
    memcpy(from, s->at, s->n * sizeof *from);
    memcpy(gradient, s->gradient, s->n * sizeof *gradient);
    double slope = q_dot(direction, gradient, n);
    *found = false;
    for (int trial = 0; trial < HALVINGS && slope < 0; trial++, length *= 0.5) {
        for (int64_t k = 0; k < n; k++) s->at[k] = from[k] + length * direction[k];
        Q_TRY(evaluate(s));
        if (!(s->value <= value + 1e-4 * length * slope)) continue;
        remember(h, s, from, gradient);
        *found = true;
        return QUERN_OK;
    }
    return QUERN_OK;
}

static quern_status lbfgs(search *s, double *room)
{
    history h = {.count = 0};
    for (int m = 0; m < MEMORY; m++, room += 2 * s->n) h.step[m] = room, h.change[m] = room + s->n;
    for (s->step = 1; s->step <= s->options->steps; s->step++) {
        bool found;
        if (!isfinite(s->value) || largest(s->gradient, s->n) <= s->options->tolerance) return QUERN_OK;
        Q_TRY(descend(s, &h, room, &found));
        Q_TRY(tell(s));
        if (!found) return QUERN_OK; /* as low as rounding, or the estimates' noise, lets it go */
    }
    return QUERN_OK;
}

// ---- the call ----

static quern_status check_options(quern_gp_fit_options *o, const quern_gp *gp, const quern_gp_fit_options *given)
{
    Q_TRY(q_options_copy(o, sizeof *o, given, "quern_gp_fit_options"));
    Q_TRY(q_choice_check("optimiser", (int)o->optimiser, QUERN_GP_ADAM));
    Q_TRY(q_range_check("steps", (double)o->steps, 0, HUGE_VAL));
    Q_TRY(q_range_check("rate", o->rate, 0, HUGE_VAL));
    Q_TRY(q_range_check("tolerance", o->tolerance, 0, HUGE_VAL));
    if (!o->steps) o->steps = 50;
    if (o->tolerance == 0) o->tolerance = 1e-5;
    for (const char *at = o->fixed; at && *at;) {
        size_t size = strcspn(at, " ,");
        bool known = !size;
        for (size_t k = 0; k < gp->kernel.count && !known; k++)
            known = strlen(gp->kernel.parameters[k].name) == size && !strncmp(gp->kernel.parameters[k].name, at, size);
        if (!known) return q_fail(QUERN_NAME, "there is no parameter '%.*s' that could stay fixed", (int)size, at);
        at += size + strspn(at + size, " ,");
    }
    return QUERN_OK;
}

/* Which numbers are free: those above 0 of parameters that are not fixed. */
static quern_status choose(search *s)
{
    const quern_gp *gp = s->gp;
    size_t number = 0;
    for (size_t k = 0; k < gp->kernel.count; k++)
        for (int64_t d = 0; d < gp->kernel.parameters[k].length; d++, number++) {
            const q_kernel_parameter *p = &gp->kernel.parameters[k];
            if (p->values[d] == 0 || is_listed(s->options->fixed, p->name)) continue;
            if (p->values[d] < 0) {
                q_fail(QUERN_USAGE, "%s is %g; parameters that are fitted are positive", p->name, p->values[d]);
                q_fail_next_step("name it among the fixed ones, or write the formula with a positive one");
                return QUERN_USAGE;
            }
            s->at[s->n] = log(p->values[d]);
            s->which[s->n++] = number;
        }
    return QUERN_OK;
}

static quern_status run(search *s, double *room)
{
    Q_TRY(choose(s));
    memcpy(s->best, s->at, s->n * sizeof *s->at);
    Q_TRY(evaluate(s));
    if (!isfinite(s->value)) /* where it begins there is none, and that was told */
        return quern_last_error()->status ? quern_last_error()->status : q_fail(QUERN_NUMERIC, "no likelihood");
    Q_TRY(tell(s));
    return s->options->optimiser == QUERN_GP_ADAM ? adam(s, room) : lbfgs(s, room);
}

quern_status quern_gp_fit(quern_gp *gp, const quern_gp_fit_options *options, quern_gp_report *report)
{
    if (!gp) return q_fail_null(__func__, "the process");
    quern_gp_fit_options known = {0};
    Q_TRY(check_options(&known, gp, options));
    size_t n = gp->kernel.numbers, count = n * (2 * MEMORY + 3 + 5);
    search s = {.gp = gp, .options = &known, .best_value = INFINITY};
    double *memory = calloc(count, sizeof *memory), *at = memory;
    s.which = calloc(n, sizeof *s.which);
    quern_status status = memory && s.which ? QUERN_OK : q_fail_memory(count * sizeof *memory);
    if (!status) {
        double **vectors[] = {&s.all, &s.slopes, &s.at, &s.gradient, &s.best};
        for (size_t v = 0; v < Q_COUNT(vectors); v++, at += n) *vectors[v] = at;
        for (size_t k = 0, number = 0; k < gp->kernel.count; number += (size_t)gp->kernel.parameters[k++].length)
            memcpy(s.all + number, gp->kernel.parameters[k].values,
                   (size_t)gp->kernel.parameters[k].length * sizeof(double));
        status = run(&s, at);
        for (size_t k = 0; k < s.n && isfinite(s.best_value); k++) s.all[s.which[k]] = exp(s.best[k]);
        q_gp_assign(gp, s.all);
    }
    quern_gp_report last = {.size = sizeof last};
    if (!status) status = quern_gp_likelihood(gp, report ? report : &last, (quern_view){0});
    free(s.which);
    free(memory);
    return status;
}
