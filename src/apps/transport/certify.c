/*
 * certify.c: what the exact value of a problem is between.
 *
 * Any potentials give a lower bound by the dual. Any plan gives an upper bound, if it has the marginals that are prescribed. The
 * plan of the potentials t = T(g), g has exact rows. Where columns are prescribed too it is rounded (Altschuler, Weed,
 * Rigollet 2017, algorithm 2): columns that are too full are scaled down, which is the potential min(g, T(t)) in place of g;
 * rows stay below their marginal then, by what one more step tells; and what is missing in rows and columns is added as their
 * product. A marginal that is free within its reach costs its divergence.
 *
 * None of this needs a pass over pairs: cost and entropy of a plan P = a b exp((f + g - C) / eps) are <P 1, f> + <P^T 1, g>,
 * and the sum of two plans has at most the entropy of both and that of which of the two it is (log sum inequality).
 */
#include <math.h>
#include <stdlib.h>

#include "apps/transport/transport.h"

/* The marginal of a plan with the density exp(p u + q v), of a side whose potential is u. */
typedef struct marginal {
    const q_side *side;
    const quern_array *u, *v;
    double p, q;
    double mass, value;      /* of the plan; the mean of u */
    double missing, entropy; /* where u < v: sums of the density that is missing and of its x log x */
} marginal;

enum { MARGINAL_ARGS = 6 };

static void list_args(const marginal *m, quern_arg args[MARGINAL_ARGS])
{
    const quern_arg list[MARGINAL_ARGS] = {
        {"u", q_array(m->u)},      {"v", q_array(m->v)},      {"a", q_array(m->side->cloud->weights)},
        {"p", quern_number(m->p)}, {"q", quern_number(m->q)}, {NULL, {0}}};
    for (int k = 0; k < MARGINAL_ARGS; k++) args[k] = list[k];
}

static quern_status measure(marginal *m, q_transport *t)
{
    quern_arg args[MARGINAL_ARGS];
    double sums[4];
    list_args(m, args);
    Q_TRY(q_transport_sums(t, Q_MARGINAL, Q_X, NULL, args, sums, 4));
    m->mass = sums[0], m->value = sums[1], m->missing = sums[2], m->entropy = sums[3];
    return QUERN_OK;
}

/* KL between the marginal and the weights, times rho. */
static quern_status divergence(double *out, q_transport *t, const marginal *m)
{
    quern_arg args[MARGINAL_ARGS];
    *out = 0;
    if (isinf(m->side->rho)) return QUERN_OK;
    list_args(m, args);
    Q_TRY(q_transport_sums(t, Q_KL, Q_X, NULL, args, out, 1));
    *out *= m->side->rho;
    return QUERN_OK;
}

typedef struct scratch {
    quern_array *step;    /* T(t), of the columns */
    quern_array *clipped; /* min(g, T(t)) */
    quern_array *rounded; /* T of that, of the rows */
    quern_array *scaled;  /* clipped, as the next step needs it */
    quern_array *rows, *columns;
} scratch;

/* The steps that tell what is missing in rows and columns. */
static quern_status round_plan(q_problem *p, q_transport *t, const quern_array *g, scratch *s)
{
    const q_side *other = &p->side[1 - p->last];
    const quern_arg clip[] = {{"g", q_array(g)},
                              {"r", q_array(s->step)},
                              {"l", q_array(other->cloud->logs)},
                              {"n", quern_number(1 / t->eps)},
                              {NULL, {0}}};
    Q_TRY(q_transport_run(t, Q_CLIP, Q_X, NULL, clip, QUERN_OUTS(q_array(s->scaled), q_array(s->clipped))));
    return q_problem_step(p, t, p->last, s->scaled, s->rounded, s->rows);
}

// ---- what is missing ----

/* Of |x-m|^2 and x-m, weighted by what is missing; `out` has dim + 1 numbers. */
static quern_status measure_moments(double *out, q_transport *t, const marginal *m, quern_view centre)
{
    const q_cloud *cloud = m->side->cloud;
    size_t size = q_element_size(t->dtype), numbers = (size_t)cloud->dim + 1;
    char *memory = malloc(numbers * size);
    const quern_arg args[] = {
        {"x", q_array(cloud->points)}, {"u", q_array(m->u)}, {"v", q_array(m->v)}, {"a", q_array(cloud->weights)},
        {"p", quern_number(m->p)},     {"m", centre},        {NULL, {0}}};
    if (!memory) return q_fail_memory(numbers * size);
    quern_status status = q_transport_run(
        t, Q_MOMENTS, Q_X, NULL, args,
        QUERN_OUTS(quern_view_of(memory, t->dtype, 1, 1), quern_view_of(memory + size, t->dtype, 1, cloud->dim)));
    for (size_t k = 0; k < numbers && !status; k++) out[k] = q_element_read(t->dtype, memory + k * size);
    free(memory);
    return status;
}

/* The cost of the product of what is missing, over all pairs; that of half the squared distance is a matter of moments. */
static quern_status spread_cost(double *cost, q_problem *p, q_transport *t, const marginal *rows,
                                const marginal *columns)
{
    if (t->bound == Q_BOUND_TANGENT) {
        size_t dim = (size_t)rows->side->cloud->dim;
        double *x = malloc(2 * (dim + 1) * sizeof *x), *y = x ? x + dim + 1 : NULL;
        if (!x) return q_fail_memory(2 * (dim + 1) * sizeof *x);
        const quern_view centre = quern_view_rows(q_array(rows->side->cloud->points), 0, 1);
        quern_status status = measure_moments(x, t, rows, centre);
        if (!status) status = measure_moments(y, t, columns, centre);
        *cost = status ? 0 : x[0] * columns->missing + y[0] * rows->missing;
        for (size_t d = 1; d <= dim && !status; d++) *cost -= 2 * x[d] * y[d];
        *cost *= t->scale;
        free(x);
        return status;
    }
    const q_pairs pairs = {rows->side->cloud, columns->side->cloud, NULL};
    const quern_arg args[] = {
        {"f", q_array(rows->u)},    {"t", q_array(rows->v)},         {"a", q_array(rows->side->cloud->weights)},
        {"g", q_array(columns->u)}, {"r", q_array(columns->v)},      {"b", q_array(columns->side->cloud->weights)},
        {"s", quern_number(0)},     {"n", quern_number(1 / t->eps)}, {NULL, {0}}};
    Q_TRY(q_transport_sums(t, Q_SPREAD, q_transport_direction(t, p, p->last), &pairs, args, cost, 1));
    *cost *= t->scale;
    return QUERN_OK;
}

/* x log(x / all) */
static double part_entropy(double part, double all)
{
    return part > 0 ? part * log(part / all) : 0;
}

/* Cost, and entropy less its mass, of the product of what is missing, and what it takes to be one of two. */
static quern_status add_missing(double *cost, double *entropy, q_problem *p, q_transport *t, const marginal *rows,
                                const marginal *columns)
{
    double a = rows->missing, b = columns->missing, z = 1 / a, mass = b;
    if (!(a > 0) || !(b > 0)) return QUERN_OK;
    Q_TRY(spread_cost(cost, p, t, rows, columns));
    *cost *= z;
    *entropy = z * (a * b * (log(z) - 1) + rows->entropy * b + a * columns->entropy) -
               part_entropy(rows->mass, rows->mass + mass) - part_entropy(mass, rows->mass + mass);
    return QUERN_OK;
}

// ---- bounds ----

/* The same on a grid, where the cost is a sum over axes; the sums of the last side are free. */
static quern_status grid_cost(double *cost, q_problem *p, q_transport *t, const quern_array *columns)
{
    const q_side *last = &p->side[p->last];
    const quern_arg args[] = {{"u", q_array(last->scaled)}, {"v", q_array(last->sums)}, {NULL, {0}}};
    *cost = 0;
    for (int d = 0; d < t->grid->dim; d++) {
        double part = 0;
        Q_TRY(q_grid_sum(t->grid, columns, t->scale / t->eps, d, Q_LINE_COST, last->sums));
        Q_TRY(q_transport_sums(t, Q_TOTAL, Q_X, NULL, args, &part, 1));
        *cost += t->scale * part;
    }
    return QUERN_OK;
}

/* The cost of the plan of potentials, over the pairs that meet. */
static quern_status plan_cost(double *cost, q_problem *p, q_transport *t, const quern_array *columns)
{
    if (t->grid) return grid_cost(cost, p, t, columns);
    const q_pairs pairs = q_problem_pairs(p, p->last);
    const quern_arg args[] = {{"H", q_array(p->side[p->last].scaled)},
                              {"h", q_array(columns)},
                              {"s", quern_number(t->scale / t->eps)},
                              {NULL, {0}}};
    Q_TRY(q_transport_sums(t, Q_COST, q_transport_direction(t, p, p->last), &pairs, args, cost, 1));
    *cost *= t->scale;
    return QUERN_OK;
}

static quern_status certify(q_problem *p, q_transport *t, scratch *s)
{
    const q_side *last = &p->side[p->last], *other = &p->side[1 - p->last];
    const quern_array *g = q_problem_partner(p), *scaled = p->symmetric ? last->old_scaled : other->scaled;
    double apart[2], tallied[4], skipped, cost = 0, entropy = 0, n = 1 / t->eps;
    Q_TRY(q_transport_array(&s->step, t, other->cloud->rows, 1));
    Q_TRY(q_transport_array(&s->columns, t, other->cloud->rows, 1));
    Q_TRY(q_transport_array(&s->clipped, t, other->cloud->rows, 1));
    Q_TRY(q_transport_array(&s->scaled, t, other->cloud->rows, 1));
    Q_TRY(q_transport_array(&s->rounded, t, last->cloud->rows, 1));
    Q_TRY(q_transport_array(&s->rows, t, last->cloud->rows, 1));
    Q_TRY(q_problem_step(p, t, p->symmetric ? 0 : 1 - p->last, last->scaled, s->step, s->columns));
    Q_TRY(q_side_tally(t, other, s->step, g, t->eps, 1, tallied));
    p->error = tallied[0] / tallied[2];
    marginal rows = {.side = last, .u = last->potential, .v = last->potential, .p = -q_inverse(last->rho)};
    marginal columns = {.side = other, .u = g, .v = s->step, .p = n, .q = -n / q_damping(t->eps, other->rho)};
    bool rounding = isinf(last->rho) && isinf(other->rho);
    if (rounding) {
        Q_TRY(round_plan(p, t, g, s));
        rows.v = s->rounded, rows.p = n, rows.q = -n;
        columns.u = s->clipped, scaled = s->scaled;
    }
    Q_TRY(measure(&rows, t));
    Q_TRY(measure(&columns, t));
    if (rounding) Q_TRY(add_missing(&cost, &entropy, p, t, &rows, &columns));
    Q_TRY(divergence(&apart[0], t, &rows));
    Q_TRY(divergence(&apart[1], t, &columns));
    p->upper = rows.value + columns.value + cost + apart[0] + apart[1] +
               t->eps * (entropy - rows.mass + last->cloud->mass * other->cloud->mass);
    if (!p->self) Q_TRY(plan_cost(&p->cost, p, t, scaled));
    p->cost += cost;
    Q_TRY(q_problem_skipped(&skipped, p, t));
    p->dual -= t->eps * skipped;
    p->skipped = skipped / tallied[2];
    return QUERN_OK;
}

quern_status q_problem_certify(q_problem *p, q_transport *t)
{
    scratch s = {0};
    quern_status status = certify(p, t, &s);
    quern_array_destroy(&s.step), quern_array_destroy(&s.rounded), quern_array_destroy(&s.clipped);
    quern_array_destroy(&s.rows), quern_array_destroy(&s.columns), quern_array_destroy(&s.scaled);
    return status;
}
