/*
 * certify.c: what the exact value of a problem is between.
 *
 * Any potentials give a lower bound by the dual. Any plan gives an upper bound, if it has the marginals that are prescribed. The
 * plan of the potentials t = T(g), g has exact rows. Where columns are prescribed too it is rounded (Altschuler, Weed,
 * Rigollet 2017, algorithm 2): columns that are too full are scaled down, which is the potential min(g, T(t)) in place of g;
 * rows stay below their marginal then, by what one more step tells; and what is missing in rows and columns is added as their
 * product. Its cost and entropy are one pass over all pairs. A marginal that is free within its reach costs its divergence.
 */
#include <math.h>
#include <stdlib.h>

#include "apps/transport/transport.h"

/* KL between the marginal with the density exp(p u + q v) and the weights. */
static quern_status divergence(double *out, q_transport *t, const q_side *side, const quern_array *u, double p,
                               const quern_array *v, double q)
{
    const quern_arg args[] = {{"u", q_array(u)},      {"v", q_array(v)},      {"a", q_array(side->cloud->weights)},
                              {"p", quern_number(p)}, {"q", quern_number(q)}, {NULL, {0}}};
    return q_transport_sums(t, Q_KL, Q_X, NULL, args, out, 1);
}

typedef struct scratch {
    quern_array *step;    /* T(t), of the columns */
    quern_array *rounded; /* T(min(g, T(t))), of the rows */
    quern_array *clipped, *rows, *columns;
} scratch;

/* The steps that tell what is missing in rows and columns, and how much in all. */
static quern_status round_plan(q_problem *p, q_transport *t, const quern_array *g, scratch *s)
{
    const q_side *other = &p->side[1 - p->last];
    const quern_arg clip[] = {{"g", q_array(g)},
                              {"r", q_array(s->step)},
                              {"l", q_array(other->cloud->logs)},
                              {"n", quern_number(1 / t->eps)},
                              {NULL, {0}}};
    Q_TRY(q_transport_run(t, Q_CLIP, Q_X, NULL, clip, QUERN_OUTS(q_array(s->clipped))));
    return q_problem_step(p, t, p->last, s->clipped, s->rounded, s->rows);
}

/* What a marginal lacks: the density 1 - exp((f - t) / eps) of points with these weights. */
typedef struct deficit {
    const q_cloud *cloud;
    const quern_array *f, *t;
    double mass, entropy; /* sums of it and of its x log x */
} deficit;

static quern_status measure_deficit(deficit *d, q_transport *t)
{
    double sums[2];
    const quern_arg args[] = {{"f", q_array(d->f)},
                              {"t", q_array(d->t)},
                              {"a", q_array(d->cloud->weights)},
                              {"n", quern_number(1 / t->eps)},
                              {NULL, {0}}};
    Q_TRY(q_transport_sums(t, Q_DEFICIT, Q_X, NULL, args, sums, 2));
    d->mass = sums[0], d->entropy = sums[1];
    return QUERN_OK;
}

/* Cost and entropy of the plan of potentials; what it lacks is added as the product z of two deficits. */
static quern_status price(q_problem *p, q_transport *t, const deficit *rows, const deficit *columns, double z,
                          double sums[2])
{
    const q_pairs pairs = q_problem_pairs(p, p->last);
    const quern_arg args[] = {{"f", q_array(rows->f)},
                              {"t", q_array(rows->t)},
                              {"a", q_array(rows->cloud->weights)},
                              {"g", q_array(columns->f)},
                              {"r", q_array(columns->t)},
                              {"b", q_array(columns->cloud->weights)},
                              {"s", quern_number(t->scale / t->eps)},
                              {"n", quern_number(1 / t->eps)},
                              {"z", quern_number(z)},
                              {NULL, {0}}};
    return q_transport_sums(t, p->keep ? Q_PRIMAL_KEPT : Q_PRIMAL, q_transport_direction(t, p, p->last), &pairs, args,
                            sums, 2);
}

/* Of |x-m|^2 and x-m, weighted by what is missing, as double; `out` has dim + 1 of them. */
static quern_status measure_moments(double *out, q_transport *t, const deficit *d, const quern_array *centres)
{
    int64_t dim = d->cloud->dim;
    size_t size = q_element_size(t->dtype);
    char *numbers = malloc((size_t)(dim + 1) * size);
    const quern_arg args[] = {{"x", q_array(d->cloud->points)},
                              {"f", q_array(d->f)},
                              {"t", q_array(d->t)},
                              {"a", q_array(d->cloud->weights)},
                              {"n", quern_number(1 / t->eps)},
                              {"m", quern_view_rows(q_array(centres), 0, 1)},
                              {NULL, {0}}};
    if (!numbers) return q_fail_memory((size_t)(dim + 1) * size);
    quern_status status = q_transport_run(
        t, Q_MOMENTS, Q_X, NULL, args,
        QUERN_OUTS(quern_view_of(numbers, t->dtype, 1, 1), quern_view_of(numbers + size, t->dtype, 1, dim)));
    for (int64_t k = 0; k <= dim && !status; k++) out[k] = q_element_read(t->dtype, numbers + (size_t)k * size);
    free(numbers);
    return status;
}

/* The cost of the product of two deficits, over all pairs; that of half the squared distance is a matter of moments. */
static quern_status spread_cost(double *cost, q_problem *p, q_transport *t, const deficit *rows, const deficit *columns)
{
    if (t->bound == Q_BOUND_TANGENT) {
        size_t dim = (size_t)rows->cloud->dim;
        double *x = malloc(2 * (dim + 1) * sizeof *x), *y = x ? x + dim + 1 : NULL;
        if (!x) return q_fail_memory(2 * (dim + 1) * sizeof *x);
        const quern_array *centres = rows->cloud->blocks->centres;
        quern_status status = measure_moments(x, t, rows, centres);
        if (!status) status = measure_moments(y, t, columns, centres);
        *cost = status ? 0 : x[0] * columns->mass + y[0] * rows->mass;
        for (size_t d = 1; d <= dim && !status; d++) *cost -= 2 * x[d] * y[d];
        free(x);
        return status;
    }
    const q_pairs pairs = {rows->cloud, columns->cloud, NULL};
    const quern_arg args[] = {
        {"f", q_array(rows->f)},    {"t", q_array(rows->t)},         {"a", q_array(rows->cloud->weights)},
        {"g", q_array(columns->f)}, {"r", q_array(columns->t)},      {"b", q_array(columns->cloud->weights)},
        {"s", quern_number(0)},     {"n", quern_number(1 / t->eps)}, {NULL, {0}}};
    return q_transport_sums(t, Q_SPREAD, q_transport_direction(t, p, p->last), &pairs, args, cost, 1);
}

/* Adds to the sums of Q_PRIMAL_KEPT what the product of the deficits has over all pairs. */
static quern_status add_spread(q_problem *p, q_transport *t, const deficit *rows, const deficit *columns, double z,
                               double sums[2])
{
    double a = rows->mass, b = columns->mass, cost;
    sums[1] += p->side[0].cloud->mass * p->side[1].cloud->mass;
    if (!(z > 0)) return QUERN_OK;
    Q_TRY(spread_cost(&cost, p, t, rows, columns));
    sums[0] += z * cost;
    sums[1] += z * (a * b * (log(z) - 1) + rows->entropy * b + a * columns->entropy);
    return QUERN_OK;
}

static quern_status certify(q_problem *p, q_transport *t, scratch *s)
{
    const q_side *last = &p->side[p->last], *other = &p->side[1 - p->last];
    const quern_array *g = q_problem_partner(p), *rounded = last->potential, *step = g;
    double sums[2], apart, tallied[4], z = 0, skipped;
    Q_TRY(q_transport_array(&s->step, t, other->cloud->rows, 1));
    Q_TRY(q_transport_array(&s->columns, t, other->cloud->rows, 1));
    Q_TRY(q_transport_array(&s->clipped, t, other->cloud->rows, 1));
    Q_TRY(q_transport_array(&s->rounded, t, last->cloud->rows, 1));
    Q_TRY(q_transport_array(&s->rows, t, last->cloud->rows, 1));
    Q_TRY(q_problem_step(p, t, p->symmetric ? 0 : 1 - p->last, last->scaled, s->step, s->columns));
    Q_TRY(q_side_tally(t, other, s->step, g, t->eps, 1, tallied));
    p->error = tallied[0] / tallied[2];
    if (isinf(last->rho) && isinf(other->rho)) {
        Q_TRY(round_plan(p, t, g, s));
        rounded = s->rounded, step = s->step;
    }
    deficit rows = {last->cloud, last->potential, rounded, 0, 0}, columns = {other->cloud, g, step, 0, 0};
    Q_TRY(measure_deficit(&rows, t));
    Q_TRY(measure_deficit(&columns, t));
    if (rows.mass > 0) z = 1 / rows.mass;
    Q_TRY(price(p, t, &rows, &columns, z, sums));
    if (p->keep) Q_TRY(add_spread(p, t, &rows, &columns, z, sums));
    p->cost = t->scale * sums[0];
    p->upper = p->cost + t->eps * sums[1];
    if (!isinf(last->rho)) {
        Q_TRY(divergence(&apart, t, last, last->potential, -1 / last->rho, last->potential, 0));
        p->upper += last->rho * apart;
    }
    if (!isinf(other->rho)) {
        Q_TRY(divergence(&apart, t, other, g, 1 / t->eps, s->step, -1 / (t->eps * q_damping(t->eps, other->rho))));
        p->upper += other->rho * apart;
    }
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
    quern_array_destroy(&s.rows), quern_array_destroy(&s.columns);
    return status;
}
