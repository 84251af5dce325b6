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
    /* by member: the plan's mass; the mean of u; where u < v, sums of the density that is missing and of its x log x */
    double *mass, *value, *missing, *entropy;
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
    const q_pairs rows = {m->side->cloud, NULL, NULL};
    list_args(m, args);
    m->value = m->mass + t->members, m->missing = m->value + t->members, m->entropy = m->missing + t->members;
    return q_transport_sums(t, Q_MARGINAL, Q_X, &rows, args, m->mass, 4);
}

/* KL or total variation between the marginal and the weights, by member. */
static quern_status divergence(double *out, q_transport *t, const marginal *m)
{
    quern_arg args[MARGINAL_ARGS];
    const q_pairs rows = {m->side->cloud, NULL, NULL};
    if (!q_side_is_free(m->side)) return QUERN_OK;
    list_args(m, args);
    return q_transport_sums(t, isinf(m->side->bound) ? Q_KL : Q_TV, Q_X, &rows, args, out, 1);
}

typedef struct scratch {
    quern_array *step;    /* T(t), of the columns */
    quern_array *clipped; /* min(g, T(t)) */
    quern_array *rounded; /* T of that, of the rows */
    quern_array *scaled;  /* clipped, as the next step needs it */
    quern_array *rows, *columns;
    quern_array *sums; /* of the last side's step */
    double *numbers;   /* by member: 4 of rows and of columns, a tally, 5 others */
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

/* Of |x-m|^2 and x-m, weighted by what is missing: a number for each member, and then dim for each. */
static quern_status measure_moments(double *out, q_transport *t, const marginal *m, quern_view centre)
{
    const q_cloud *cloud = m->side->cloud;
    const q_pairs rows = {cloud, NULL, NULL};
    size_t size = q_element_size(t->dtype), numbers = t->members * ((size_t)cloud->dim + 1);
    char *memory = malloc(numbers * size);
    const quern_arg args[] = {
        {"x", q_array(cloud->points)}, {"u", q_array(m->u)}, {"v", q_array(m->v)}, {"a", q_array(cloud->weights)},
        {"p", quern_number(m->p)},     {"m", centre},        {NULL, {0}}};
    if (!memory) return q_fail_memory(numbers * size);
    quern_status status = q_transport_run(
        t, Q_MOMENTS, Q_X, &rows, args,
        QUERN_OUTS(quern_view_of(memory, t->dtype, (int64_t)t->members, 1),
                   quern_view_of(memory + t->members * size, t->dtype, (int64_t)t->members, cloud->dim)));
    for (size_t k = 0; k < numbers && !status; k++) out[k] = q_element_read(t->dtype, memory + k * size);
    free(memory);
    return status;
}

/* The cost of the product of what is missing, over all pairs: for half the squared distance a matter of moments. */
static quern_status cost_by_moments(double *costs, q_transport *t, const marginal *rows, const marginal *columns)
{
    size_t dim = (size_t)rows->side->cloud->dim, members = t->members, numbers = members * (dim + 1);
    double *x = malloc(2 * numbers * sizeof *x), *y = x ? x + numbers : NULL;
    if (!x) return q_fail_memory(2 * numbers * sizeof *x);
    const quern_view centre = quern_view_rows(q_array(rows->side->cloud->points), 0, 1);
    quern_status status = measure_moments(x, t, rows, centre);
    if (!status) status = measure_moments(y, t, columns, centre);
    for (size_t m = 0; m < members && !status; m++) {
        costs[m] = x[m] * columns->missing[m] + y[m] * rows->missing[m];
        for (size_t k = members + m * dim; k < members + (m + 1) * dim; k++) costs[m] -= 2 * x[k] * y[k];
    }
    free(x);
    return status;
}

static quern_status spread_cost(double *costs, q_problem *p, q_transport *t, const marginal *rows,
                                const marginal *columns)
{
    if (t->bound == Q_BOUND_TANGENT) return cost_by_moments(costs, t, rows, columns);
    const q_pairs pairs = {rows->side->cloud, columns->side->cloud, NULL};
    const quern_arg args[] = {
        {"f", q_array(rows->u)},    {"t", q_array(rows->v)},         {"a", q_array(rows->side->cloud->weights)},
        {"g", q_array(columns->u)}, {"r", q_array(columns->v)},      {"b", q_array(columns->side->cloud->weights)},
        {"s", quern_number(0)},     {"n", quern_number(1 / t->eps)}, {NULL, {0}}};
    return q_transport_sums(t, Q_SPREAD, q_transport_direction(t, p, p->last), &pairs, args, costs, 1);
}

/* x log(x / all) */
static double part_entropy(double part, double all)
{
    return part > 0 ? part * log(part / all) : 0;
}

/* Cost, and entropy less its mass, of the product of what is missing, and what it takes to be one of two; by member. */
static quern_status add_missing(double *costs, double *entropies, q_problem *p, q_transport *t, const marginal *rows,
                                const marginal *columns)
{
    Q_TRY(spread_cost(costs, p, t, rows, columns));
    for (size_t m = 0; m < t->members; m++) {
        double a = rows->missing[m], b = columns->missing[m], z = a > 0 && b > 0 ? 1 / a : 0, all = rows->mass[m] + b;
        costs[m] *= z * t->scale;
        if (z > 0)
            entropies[m] = z * (a * b * (log(z) - 1) + rows->entropy[m] * b + a * columns->entropy[m]) -
                           part_entropy(rows->mass[m], all) - part_entropy(b, all);
    }
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

/* The cost of the plan of potentials, over the pairs that meet; `costs` has room for all members. */
static quern_status plan_cost(double *cost, q_problem *p, q_transport *t, const quern_array *columns, double *costs)
{
    if (t->grid) return grid_cost(cost, p, t, columns);
    const q_pairs pairs = q_problem_pairs(p, p->last);
    const quern_arg args[] = {{"H", q_array(p->side[p->last].scaled)},
                              {"h", q_array(columns)},
                              {"s", quern_number(t->scale / t->eps)},
                              {NULL, {0}}};
    Q_TRY(q_transport_sums(t, Q_COST, q_transport_direction(t, p, p->last), &pairs, args, costs, 1));
    *cost = 0;
    for (size_t m = 0; m < t->members; m++) *cost += t->scale * costs[m];
    return QUERN_OK;
}

static quern_status make_scratch(scratch *s, q_transport *t, const q_side *last, const q_side *other)
{
    quern_array **columns[] = {&s->step, &s->columns, &s->clipped, &s->scaled},
                **rows[] = {&s->rounded, &s->rows, &s->sums};
    for (size_t k = 0; k < Q_COUNT(columns); k++) Q_TRY(q_transport_array(columns[k], t, other->cloud->rows, 1));
    for (size_t k = 0; k < Q_COUNT(rows); k++) Q_TRY(q_transport_array(rows[k], t, last->cloud->rows, 1));
    s->numbers = calloc(17 * t->members, sizeof *s->numbers);
    return s->numbers ? QUERN_OK : q_fail_memory(17 * t->members * sizeof *s->numbers);
}

/* What the plan costs, by member. */
static void add_up(q_problem *p, const q_transport *t, const marginal *rows, const marginal *columns,
                   const double *costs, const double *entropies, const double *apart)
{
    size_t members = t->members;
    p->upper = 0;
    for (size_t m = 0; m < members; m++) {
        double product = q_cloud_mass(rows->side->cloud, m) * q_cloud_mass(columns->side->cloud, m);
        p->uppers[m] =
            rows->value[m] + columns->value[m] + costs[m] + t->eps * (entropies[m] - rows->mass[m] + product);
        for (int k = 0; k < 2; k++) {
            const q_side *side = (k ? columns : rows)->side;
            if (q_side_is_free(side)) p->uppers[m] += fmin(side->rho, side->bound) * apart[(size_t)k * members + m];
        }
        p->upper += p->uppers[m];
    }
}

static quern_status allow_for_blocks(q_problem *p, q_transport *t, const double *masses)
{
    double skipped;
    if (t->members > 1) return QUERN_OK;
    Q_TRY(q_problem_skipped(&skipped, p, t));
    p->dual -= t->eps * skipped;
    p->duals[0] = p->dual;
    p->skipped = skipped / masses[0];
    return QUERN_OK;
}

static quern_status certify(q_problem *p, q_transport *t, scratch *s)
{
    const q_side *last = &p->side[p->last], *other = &p->side[1 - p->last];
    const quern_array *g = q_problem_partner(p), *scaled = p->symmetric ? last->old_scaled : other->scaled;
    size_t members = t->members;
    double n = 1 / t->eps;
    Q_TRY(make_scratch(s, t, last, other));
    double *tallied = s->numbers + 8 * members, *costs = tallied + 4 * members, *entropies = costs + members;
    double *apart = entropies + members, *spare = apart + 2 * members;
    if (!isinf(last->bound)) Q_TRY(quern_copy(t->context, q_array(s->sums), q_array(last->sums)));
    Q_TRY(q_problem_step(p, t, p->symmetric ? 0 : 1 - p->last, last->scaled, s->step, s->columns));
    const quern_array *stepped = p->side[p->symmetric ? 0 : 1 - p->last].sums;
    Q_TRY(q_side_tally(t, other, stepped, s->step, g, t->eps, 1, tallied));
    p->error = q_largest_error(t, tallied);
    marginal rows = {.side = last, .u = last->potential, .v = last->potential, .p = -q_inverse(last->rho)};
    marginal columns = {.side = other, .u = g, .v = s->step, .p = n, .q = -n / q_damping(t->eps, other->rho)};
    bool rounding = !q_side_is_free(last) && !q_side_is_free(other);
    if (!isinf(last->bound)) rows.v = s->sums, rows.p = n, rows.q = 1;
    if (!isinf(other->bound)) columns.v = stepped, columns.q = 1;
    rows.mass = s->numbers, columns.mass = s->numbers + 4 * members;
    if (rounding) {
        Q_TRY(round_plan(p, t, g, s));
        rows.v = s->rounded, rows.p = n, rows.q = -n;
        columns.u = s->clipped, scaled = s->scaled;
    }
    Q_TRY(measure(&rows, t));
    Q_TRY(measure(&columns, t));
    if (rounding) Q_TRY(add_missing(costs, entropies, p, t, &rows, &columns));
    Q_TRY(divergence(apart, t, &rows));
    Q_TRY(divergence(apart + members, t, &columns));
    add_up(p, t, &rows, &columns, costs, entropies, apart);
    if (!p->self) Q_TRY(plan_cost(&p->cost, p, t, scaled, spare));
    for (size_t m = 0; m < members; m++) p->cost += costs[m];
    return allow_for_blocks(p, t, tallied + 2 * members);
}

quern_status q_problem_certify(q_problem *p, q_transport *t)
{
    scratch s = {0};
    quern_status status = certify(p, t, &s);
    quern_array_destroy(&s.step), quern_array_destroy(&s.rounded), quern_array_destroy(&s.clipped);
    quern_array_destroy(&s.rows), quern_array_destroy(&s.columns), quern_array_destroy(&s.scaled);
    quern_array_destroy(&s.sums);
    free(s.numbers);
    return status;
}
