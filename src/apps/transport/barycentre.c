/*
 * barycentre.c: quern/barycentre.h.
 *
 * On a grid all is done with logarithms. K sums over the grid with exp(-C/eps). Each density a_k has scalings u_k, v_k with the
 * plan u_k K v_k, whose rows are a_k and whose columns are the barycentre b for all k: u_k = a_k / K v_k, and v_k = b / K u_k with b =
 * d prod (K u_k)^w_k. The debiasing d, which is 1 for plain transport, solves d K d = b, by d = sqrt(d b / K d) (Janati, Cuturi,
 * Gramfort 2020, algorithm 1).
 *
 * Points of a cloud take the mean of the steps that the gradients of their divergences say, as far as the plans send them.
 */
#include <math.h>
#include <stdlib.h>

#include "apps/transport/grid.h"
#include "apps/views/views.h"
#include "base/base.h"
#include "quern/barycentre.h"

// ---- what both take ----

/* The weights, divided by their sum; for free(). */
static quern_status make_weights(double **out, const double *weights, size_t count)
{
    double sum = 0;
    if (!count) return q_fail(QUERN_USAGE, "a barycentre of nothing: count is 0");
    if (!(*out = malloc(count * sizeof **out))) return q_fail_memory(count * sizeof **out);
    for (size_t k = 0; k < count; k++) {
        (*out)[k] = weights ? weights[k] : 1;
        if (!((*out)[k] >= 0) || isinf((*out)[k]))
            return q_fail(QUERN_USAGE, "weight %zu of the barycentre is %g", k, (*out)[k]);
        sum += (*out)[k];
    }
    if (!(sum > 0)) return q_fail(QUERN_USAGE, "all weights of the barycentre are 0");
    if (isinf(sum)) return q_fail(QUERN_USAGE, "the weights of the barycentre have an infinite sum");
    for (size_t k = 0; k < count; k++) (*out)[k] /= sum;
    return QUERN_OK;
}

static quern_status copy_options(quern_transport_options *to, const quern_transport_options *from, int iterations)
{
    Q_TRY(q_options_copy(to, sizeof *to, from, "quern_transport_options"));
    Q_TRY(q_range_check("blur", to->blur, 0, HUGE_VAL));
    Q_TRY(q_range_check("tolerance", to->tolerance, 0, HUGE_VAL));
    Q_TRY(q_range_check("iterations", to->iterations, 0, HUGE_VAL));
    if (!(to->blur > 0)) to->blur = 0.05;
    if (!(to->tolerance > 0)) to->tolerance = 1e-3;
    if (!to->iterations) to->iterations = iterations;
    return QUERN_OK;
}

// ---- densities on a grid ----

typedef enum formula { LOG, EXP, ADD, DEBIAS, CHANGE, MASS, FORMULAS } formula;

static const char *const formulas[FORMULAS] = {[LOG] = "u=Vi(1); Log(u)",
                                               [EXP] = "u=Vi(1); Exp(u)",
                                               [ADD] = "u=Vi(1); v=Vi(1); k=Pm(1); u+k*v",
                                               [DEBIAS] = "u=Vi(1); v=Vi(1); k=Vi(1); 0.5*(u+v-k)",
                                               [CHANGE] = "u=Vi(1); v=Vi(1); Sum_i(Abs(Exp(u)-Exp(v))), Sum_i(Exp(u))",
                                               [MASS] = "u=Vi(1); Sum_i(u), Sum_i(u<0)"};

typedef struct mean {
    quern_context *context;
    q_grid *grid;
    double s; /* 1 / (2 blur^2) */
    size_t count;
    double *weights;
    quern_array **log, **u, **v, **sums; /* by density: log a_k, log u_k, log v_k, log K u_k */
    quern_array *barycentre, *before, *debias, *work;
    quern_operator *operators[FORMULAS];
} mean;

static quern_status run(mean *m, formula f, const quern_arg *args, size_t count, quern_outs results)
{
    if (!m->operators[f]) {
        const quern_compile_options options = {.size = sizeof options, .sum = QUERN_SUM_KAHAN};
        Q_TRY(quern_compile(&m->operators[f], m->context, formulas[f], &options));
    }
    return quern_run_all(m->operators[f], (quern_args){args, count, 0, 0}, results);
}

#define RUN(m, f, results, ...) \
    run(m, f, (const quern_arg[]){__VA_ARGS__}, sizeof((const quern_arg[]){__VA_ARGS__}) / sizeof(quern_arg), results)

static quern_view view(const quern_array *array)
{
    return quern_array_view(array);
}

/* to = u + k v */
static quern_status add(mean *m, quern_array *to, const quern_array *u, double k, const quern_array *v)
{
    return RUN(m, ADD, QUERN_OUTS(view(to)), {"u", view(u)}, {"v", view(v)}, {"k", quern_number(k)});
}

static quern_status sums(mean *m, formula f, const quern_array *u, const quern_array *v, double out[2])
{
    float single[2];
    bool narrow = m->grid->dtype == QUERN_F32;
    const quern_view results[] = {quern_view_of(narrow ? (void *)&single[0] : (void *)&out[0], m->grid->dtype, 1, 1),
                                  quern_view_of(narrow ? (void *)&single[1] : (void *)&out[1], m->grid->dtype, 1, 1)};
    const quern_arg args[] = {{"u", view(u)}, {"v", view(v)}};
    Q_TRY(run(m, f, args, f == MASS ? 1 : 2, (quern_outs){results, 2}));
    for (int k = 0; k < 2 && narrow; k++) out[k] = (double)single[k];
    return QUERN_OK;
}

/* An image or volume as a column. */
static quern_status as_column(quern_view *view, int64_t count, const char *name, size_t k)
{
    bool dense = !view->stride || view->stride == view->columns;
    if (!dense || view->rows < 1 || view->columns < 1 || view->rows * view->columns != count)
        return q_fail(QUERN_SHAPE, "%s %zu is %lld x %lld; a dense array of %lld numbers is needed", name, k,
                      (long long)view->rows, (long long)view->columns, (long long)count);
    view->rows = count, view->columns = 1, view->stride = 0;
    return QUERN_OK;
}

static quern_status make_array(quern_array **out, const mean *m)
{
    return quern_array_create(out, m->context, m->grid->dtype, m->grid->count, 1);
}

/* The logarithm of a density; all have the mass of the first. */
static quern_status load(mean *m, size_t k, quern_view density, double *mass)
{
    double found[2];
    Q_TRY(as_column(&density, m->grid->count, "density", k));
    Q_TRY(make_array(&m->log[k], m));
    Q_TRY(make_array(&m->u[k], m));
    Q_TRY(make_array(&m->v[k], m));
    Q_TRY(make_array(&m->sums[k], m));
    Q_TRY(quern_array_write(m->u[k], density));
    Q_TRY(sums(m, MASS, m->u[k], m->u[k], found));
    if (!isfinite(found[0]) || !(found[0] > 0) || found[1] > 0)
        return q_fail(QUERN_USAGE, "density %zu has the sum %g and %.0f numbers below 0", k, found[0], found[1]);
    if (k && fabs(found[0] - *mass) > 1e-4 * *mass)
        return q_fail(QUERN_SHAPE, "density %zu has the mass %g, the first one %g: make them equal", k, found[0],
                      *mass);
    if (!k) *mass = found[0];
    return RUN(m, LOG, QUERN_OUTS(view(m->log[k])), {"u", view(m->u[k])});
}

static quern_status sum_over(mean *m, const quern_array *from, quern_array *to)
{
    return q_grid_sum(m->grid, from, m->s, -1, Q_LINE_PLAIN, to);
}

/* One round over all densities; *change is that of the barycentre, or of what it lacks of their mass if that is more, relative to it: it
   swings about its limit, where a step that changes little may be far from it. */
static quern_status improve(mean *m, bool debias, double mass, double *change)
{
    double found[2];
    quern_array *kept = m->before;
    m->before = m->barycentre, m->barycentre = kept;
    Q_TRY(quern_copy(m->context, view(m->barycentre), view(m->debias)));
    for (size_t k = 0; k < m->count; k++) {
        Q_TRY(sum_over(m, m->v[k], m->work));
        Q_TRY(add(m, m->u[k], m->log[k], -1, m->work));
        Q_TRY(sum_over(m, m->u[k], m->sums[k]));
        Q_TRY(add(m, m->barycentre, m->barycentre, m->weights[k], m->sums[k]));
    }
    for (size_t k = 0; k < m->count; k++) Q_TRY(add(m, m->v[k], m->barycentre, -1, m->sums[k]));
    if (debias) {
        Q_TRY(sum_over(m, m->debias, m->work));
        Q_TRY(RUN(m, DEBIAS, QUERN_OUTS(view(m->debias)), {"u", view(m->debias)}, {"v", view(m->barycentre)},
                  {"k", view(m->work)}));
    }
    Q_TRY(sums(m, CHANGE, m->barycentre, m->before, found));
    *change = fmax(found[0], fabs(found[1] - mass)) / mass;
    if (!isfinite(found[0]) || !isfinite(found[1])) *change = NAN;
    return isfinite(*change) ? QUERN_OK : q_fail(QUERN_USAGE, "the barycentre overflows: choose a larger blur");
}

static quern_status solve(mean *m, const quern_grid *grid, const quern_view *densities, const double *weights,
                          const quern_transport_options *o, quern_view result, quern_barycentre_report *report)
{
    quern_dtype dtype = QUERN_F32;
    double mass = 0;
    for (size_t k = 0; k < m->count; k++)
        if (densities[k].dtype == QUERN_F64) dtype = QUERN_F64;
    m->s = 0.5 / (o->blur * o->blur);
    Q_TRY(make_weights(&m->weights, weights, m->count));
    Q_TRY(q_grid_create(&m->grid, m->context, dtype, grid));
    Q_TRY(as_column(&result, m->grid->count, "result", 0));
    quern_array ***lists[] = {&m->log, &m->u, &m->v, &m->sums},
                **single[] = {&m->barycentre, &m->before, &m->debias, &m->work};
    for (size_t k = 0; k < Q_COUNT(lists); k++)
        if (!(*lists[k] = calloc(m->count, sizeof **lists[k]))) return q_fail_memory(m->count * sizeof **lists[k]);
    for (size_t k = 0; k < Q_COUNT(single); k++) Q_TRY(make_array(single[k], m));
    for (size_t k = 0; k < m->count; k++) Q_TRY(load(m, k, densities[k], &mass));
    while (!report->converged && report->iterations < o->iterations) {
        double before = report->change;
        Q_TRY(improve(m, o->debias != QUERN_OFF, mass, &report->change));
        report->converged = ++report->iterations > 1 && fmax(before, report->change) <= o->tolerance;
    }
    Q_TRY(RUN(m, EXP, QUERN_OUTS(view(m->work)), {"u", view(m->barycentre)}));
    return quern_array_read(m->work, result);
}

static void free_mean(mean *m)
{
    quern_array **lists[] = {m->log, m->u, m->v, m->sums};
    for (size_t k = 0; k < Q_COUNT(lists); k++) {
        for (size_t n = 0; n < m->count && lists[k]; n++) quern_array_destroy(&lists[k][n]);
        free(lists[k]);
    }
    quern_array_destroy(&m->barycentre), quern_array_destroy(&m->before);
    quern_array_destroy(&m->debias), quern_array_destroy(&m->work);
    for (int f = 0; f < FORMULAS; f++) quern_operator_destroy(&m->operators[f]);
    q_grid_destroy(&m->grid);
    free(m->weights);
}

quern_status quern_barycentre_grid(quern_context *context, const quern_grid *grid, const quern_view *densities,
                                   const double *weights, size_t count, const quern_transport_options *options,
                                   quern_view result, quern_barycentre_report *report)
{
    quern_transport_options o = {0};
    quern_barycentre_report unread, *told = report ? report : &unread;
    if (!context) return q_fail_null("quern_barycentre_grid", "context");
    if (!densities) return q_fail_null("quern_barycentre_grid", "densities");
    *told = (quern_barycentre_report){0, NAN, false};
    mean m = {.context = context, .count = count};
    quern_status status = copy_options(&o, options, 1000);
    if (!status) status = solve(&m, grid, densities, weights, &o, result, told);
    free_mean(&m);
    return status;
}

// ---- clouds ----

typedef struct cloud_mean {
    quern_context *context;
    const quern_view *points, *masses;
    double *weights;
    size_t count;
    quern_view x, step, gradient; /* in the type of x: the points, what they move by, a cloud's part of it */
    void *memory;
} cloud_mean;

/* Adds the gradient of a cloud's divergence, per mass of a point, times its weight. */
static quern_status add_gradient(cloud_mean *m, size_t k, const quern_transport_options *o)
{
    quern_transport_result *result = NULL;
    const quern_view none = {0};
    int64_t numbers = m->x.rows * m->x.columns;
    size_t size = q_element_size(m->x.dtype);
    quern_status status =
        quern_transport(&result, m->context, m->x, none, m->points[k], m->masses ? m->masses[k] : none, o);
    if (!status) status = quern_transport_read(result, QUERN_GRADIENT_X, m->gradient);
    for (int64_t n = 0; n < numbers && !status; n++) {
        char *to = (char *)m->step.data + (size_t)n * size;
        double part = q_element_read(m->x.dtype, (char *)m->gradient.data + (size_t)n * size);
        q_element_write(m->x.dtype, to, q_element_read(m->x.dtype, to) + m->weights[k] * (double)m->x.rows * part);
    }
    quern_transport_destroy(&result);
    return status;
}

/* Moves all points; *change is the mean length. */
static quern_status move(cloud_mean *m, const quern_transport_options *o, double *change)
{
    size_t size = q_element_size(m->x.dtype);
    int64_t stride = m->x.stride ? m->x.stride : m->x.columns;
    *change = 0;
    for (int64_t n = 0; n < m->x.rows * m->x.columns; n++)
        q_element_write(m->x.dtype, (char *)m->step.data + (size_t)n * size, 0);
    for (size_t k = 0; k < m->count; k++)
        if (m->weights[k] > 0) Q_TRY(add_gradient(m, k, o));
    for (int64_t r = 0; r < m->x.rows; r++) {
        double moved = 0;
        for (int64_t d = 0; d < m->x.columns; d++) {
            char *at = (char *)m->x.data + (size_t)(r * stride + d) * size;
            double by = q_element_read(m->x.dtype, (char *)m->step.data + (size_t)(r * m->x.columns + d) * size);
            q_element_write(m->x.dtype, at, q_element_read(m->x.dtype, at) - by);
            moved += by * by;
        }
        *change += sqrt(moved) / (double)m->x.rows;
    }
    return QUERN_OK;
}

static quern_status settle(cloud_mean *m, const double *weights, const quern_transport_options *o, int iterations,
                           double tolerance, quern_barycentre_report *report)
{
    size_t bytes = (size_t)(m->x.rows * m->x.columns) * q_element_size(m->x.dtype);
    if (!m->x.data || m->x.array || (m->x.dtype != QUERN_F32 && m->x.dtype != QUERN_F64))
        return q_fail(QUERN_USAGE, "x must be a host array of float32 or float64 numbers, which are moved");
    Q_TRY(make_weights(&m->weights, weights, m->count));
    if (!(m->memory = malloc(2 * bytes + 1))) return q_fail_memory(2 * bytes);
    m->step = quern_view_of(m->memory, m->x.dtype, m->x.rows, m->x.columns);
    m->gradient = quern_view_of((char *)m->memory + bytes, m->x.dtype, m->x.rows, m->x.columns);
    report->converged = !m->x.rows;
    while (!report->converged && report->iterations < iterations) {
        Q_TRY(move(m, o, &report->change));
        report->iterations++;
        report->converged = report->change <= tolerance;
    }
    return QUERN_OK;
}

quern_status quern_barycentre_cloud(quern_context *context, const quern_view *points, const quern_view *masses,
                                    const double *weights, size_t count, const quern_transport_options *options,
                                    quern_view x, quern_barycentre_report *report)
{
    quern_transport_options o = {0};
    quern_barycentre_report unread, *told = report ? report : &unread;
    if (!context) return q_fail_null("quern_barycentre_cloud", "context");
    if (!points) return q_fail_null("quern_barycentre_cloud", "points");
    *told = (quern_barycentre_report){0, NAN, false};
    cloud_mean m = {.context = context, .points = points, .masses = masses, .count = count, .x = x};
    quern_status status = copy_options(&o, options, 100);
    int iterations = o.iterations;
    double tolerance = o.tolerance * o.blur;
    o.iterations = 0, o.certify = QUERN_OFF;
    if (!status) status = settle(&m, weights, &o, iterations, tolerance, told);
    free(m.memory), free(m.weights);
    return status;
}
