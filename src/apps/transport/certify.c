/*
 * transport_certify.c: what the exact value of a problem is between.
 *
 * Any potentials give a lower bound by the dual. Any plan gives an upper bound, if it has the marginals that are prescribed. The
 * plan of the potentials t = T(g), g has exact rows. Where columns are prescribed too it is rounded (Altschuler, Weed,
 * Rigollet 2017, algorithm 2): columns that are too full are scaled down, which is the potential min(g, T(t)) in place of g;
 * rows stay below their marginal then, by what one more step tells; and what is missing in rows and columns is added as their
 * product. Its cost and entropy are one pass over all pairs. A marginal that is free within its reach costs its divergence.
 */
#include <math.h>

#include "apps/transport/transport.h"

/* KL between the marginal with the density exp(p u + q v) and the weights. */
static quern_status divergence(double *out, q_transport *t, const q_side *side, const quern_array *u, double p,
                               const quern_array *v, double q)
{
    const quern_arg args[] = {{"u", q_array(u)},      {"v", q_array(v)},      {"a", q_array(side->cloud->weights)},
                              {"p", quern_number(p)}, {"q", quern_number(q)}, {NULL, {0}}};
    return q_transport_sums(t, Q_KL, Q_X, NULL, NULL, args, out, 1);
}

typedef struct scratch {
    quern_array *step;    /* T(t), of the columns */
    quern_array *rounded; /* T(min(g, T(t))), of the rows */
    quern_array *clipped, *rows, *columns;
} scratch;

/* The steps that tell what is missing in rows and columns, and how much in all. */
static quern_status round_plan(q_problem *p, q_transport *t, const quern_array *g, scratch *s, double *missing)
{
    const q_side *last = &p->side[p->last], *other = &p->side[1 - p->last];
    const quern_arg clip[] = {{"g", q_array(g)},
                              {"r", q_array(s->step)},
                              {"l", q_array(other->cloud->logs)},
                              {"n", quern_number(1 / t->eps)},
                              {NULL, {0}}};
    Q_TRY(q_transport_run(t, Q_CLIP, Q_X, NULL, NULL, clip, QUERN_OUTS(q_array(s->clipped))));
    Q_TRY(q_problem_step(p, t, p->last, s->clipped, s->rounded, s->rows));
    const quern_arg deficit[] = {{"f", q_array(last->potential)},
                                 {"t", q_array(s->rounded)},
                                 {"a", q_array(last->cloud->weights)},
                                 {"n", quern_number(1 / t->eps)},
                                 {NULL, {0}}};
    return q_transport_sums(t, Q_DEFICIT, Q_X, NULL, NULL, deficit, missing, 1);
}

/* Cost and entropy of the plan. */
static quern_status price(q_problem *p, q_transport *t, const quern_array *g, const quern_array *rounded,
                          const quern_array *step, double missing, double sums[2])
{
    const q_side *last = &p->side[p->last], *other = &p->side[1 - p->last];
    const quern_arg args[] = {{"f", q_array(last->potential)},
                              {"t", q_array(rounded)},
                              {"a", q_array(last->cloud->weights)},
                              {"g", q_array(g)},
                              {"r", q_array(step)},
                              {"b", q_array(other->cloud->weights)},
                              {"s", quern_number(t->scale / t->eps)},
                              {"n", quern_number(1 / t->eps)},
                              {"z", quern_number(missing > 0 ? 1 / missing : 0)},
                              {NULL, {0}}};
    return q_transport_sums(t, Q_PRIMAL, q_transport_direction(t, p, p->last), last->cloud, other->cloud, args, sums,
                            2);
}

static quern_status certify(q_problem *p, q_transport *t, scratch *s)
{
    const q_side *last = &p->side[p->last], *other = &p->side[1 - p->last];
    const quern_array *g = q_problem_partner(p), *rounded = last->potential, *step = g;
    double missing = 0, sums[2], apart, tallied[4];
    Q_TRY(q_transport_array(&s->step, t, other->cloud->rows, 1));
    Q_TRY(q_transport_array(&s->columns, t, other->cloud->rows, 1));
    Q_TRY(q_transport_array(&s->clipped, t, other->cloud->rows, 1));
    Q_TRY(q_transport_array(&s->rounded, t, last->cloud->rows, 1));
    Q_TRY(q_transport_array(&s->rows, t, last->cloud->rows, 1));
    Q_TRY(q_problem_step(p, t, p->symmetric ? 0 : 1 - p->last, last->scaled, s->step, s->columns));
    Q_TRY(q_side_tally(t, other, s->step, g, t->eps, 1, tallied));
    p->error = tallied[0] / tallied[2];
    if (isinf(last->rho) && isinf(other->rho)) {
        Q_TRY(round_plan(p, t, g, s, &missing));
        rounded = s->rounded, step = s->step;
    }
    Q_TRY(price(p, t, g, rounded, step, missing, sums));
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
