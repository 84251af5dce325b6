/*
 * parts.c: what a solved problem is good for: potentials, gradients, and the plan as an operator.
 *
 * At the optimum the value's derivative is that of the dual at fixed potentials (envelope theorem): for x_i the mean of dC/dx over the
 * plan's row, whose mass is a_i exp(-f_i / rho), or what its step says; for a_i the dual's own term. Both ask for a potential that is the step of the
 * other's; that of the last side is, and for the other side one more step is made.
 */
#include <stdlib.h>

#include "apps/transport/transport.h"

// ---- gradients of a problem ----

/* A potential of side k that is the step of its partner, whose scaled form it was made of. *made is the caller's, or null. */
static quern_status exact_pair(q_problem *p, q_transport *t, int k, quern_array **made, const quern_array **potential,
                               const quern_array **scaled)
{
    q_side *side = &p->side[k];
    *potential = side->potential;
    *scaled = p->symmetric ? side->old_scaled : p->side[1 - k].scaled;
    if (p->symmetric || k == p->last) return QUERN_OK;
    quern_array *unused = NULL;
    quern_status status = q_transport_array(made, t, side->cloud->rows, 1);
    if (!status) status = q_transport_array(&unused, t, side->cloud->rows, 1);
    if (!status) status = q_problem_step(p, t, k, p->side[1 - k].scaled, *made, unused);
    quern_array_destroy(&unused);
    *potential = *made;
    return status;
}

/* For each point of a cloud the mass of another one, of its member, less `part` of that of its own. */
static quern_status mass_rows(quern_array **out, q_transport *t, const q_cloud *cloud, const q_cloud *other,
                              double part)
{
    double *masses = malloc((size_t)cloud->rows * sizeof *masses + 1);
    if (!masses) return q_fail_memory((size_t)cloud->rows * sizeof *masses);
    for (size_t m = 0; m < t->members; m++) {
        int64_t from = cloud->offsets ? cloud->offsets[m] : 0,
                to = cloud->offsets ? cloud->offsets[m + 1] : cloud->rows;
        for (int64_t k = from; k < to; k++) masses[k] = q_cloud_mass(other, m) - part * q_cloud_mass(cloud, m);
    }
    quern_status status = q_transport_array(out, t, cloud->rows, 1);
    if (!status) status = quern_array_write(*out, quern_f64(masses, cloud->rows, 1));
    free(masses);
    return status;
}

static quern_status gradient_of_pair(quern_array *out, q_problem *p, q_transport *t, int k, bool positions,
                                     const quern_array *potential, const quern_array *scaled)
{
    const q_side *side = &p->side[k], *other = &p->side[1 - k];
    const quern_arg f = {"f", q_array(potential)}, rho = {"k", quern_number(q_inverse(side->rho))};
    const quern_arg eps = {"e", quern_number(t->eps)}, sums = {"r", q_array(side->sums)};
    const quern_arg density = {"n", quern_number(q_side_density(t, side))};
    if (!positions) {
        quern_array *masses = NULL;
        quern_status status = mass_rows(&masses, t, side->cloud, other->cloud, 0);
        const quern_arg args[] = {f, rho, eps, sums, density, {"m", q_array(masses)}, {NULL, {0}}};
        if (!status) status = q_transport_run(t, Q_WEIGHT_GRADIENT, Q_X, NULL, args, QUERN_OUTS(q_array(out)));
        quern_array_destroy(&masses);
        return status;
    }
    const quern_arg args[] = {f,
                              rho,
                              eps,
                              sums,
                              density,
                              {"s", quern_number(t->scale / t->eps)},
                              {"a", q_array(side->cloud->weights)},
                              {"h", q_array(scaled)},
                              {NULL, {0}}};
    const q_pairs pairs = q_problem_pairs(p, k);
    return q_transport_run(t, Q_GRADIENT, q_transport_direction(t, p, k), &pairs, args, QUERN_OUTS(q_array(out)));
}

/* Of OT with respect to side k; *out is the caller's. A problem without mass has none, and is left at 0. */
static quern_status gradient(quern_array **out, q_problem *p, q_transport *t, int k, bool positions)
{
    const q_cloud *cloud = p->side[k].cloud;
    const quern_array *potential, *scaled;
    quern_array *made = NULL;
    quern_status status = q_transport_array(out, t, cloud->rows, positions ? cloud->dim : 1);
    if (status || p->trivial) return status;
    status = exact_pair(p, t, k, &made, &potential, &scaled);
    if (!status) status = gradient_of_pair(*out, p, t, k, positions, potential, scaled);
    quern_array_destroy(&made);
    return status;
}

/* Subtracts half the gradient of OT(a,a), in which the cloud stands twice. */
static quern_status subtract_self(quern_array *out, q_transport *t, int cloud, bool positions)
{
    q_problem *p = &t->self[cloud];
    for (int k = 0; k < (p->symmetric ? 1 : 2); k++) {
        quern_array *part = NULL;
        quern_status status = gradient(&part, p, t, k, positions);
        if (!status) status = q_transport_subtract(t, out, p->symmetric ? 1 : 0.5, part);
        quern_array_destroy(&part);
        if (status) return status;
    }
    return QUERN_OK;
}

static quern_status transport_gradient(quern_array **out, q_transport *t, int k, bool positions)
{
    quern_array *lacks = NULL;
    Q_TRY(gradient(out, &t->between, t, k, positions));
    if (t->options.debias == QUERN_OFF) return QUERN_OK;
    Q_TRY(subtract_self(*out, t, k, positions));
    if (positions) return QUERN_OK;
    quern_status status = mass_rows(&lacks, t, &t->cloud[k], &t->cloud[1 - k], 1);
    if (!status) status = q_transport_subtract(t, *out, t->eps, lacks);
    quern_array_destroy(&lacks);
    return status;
}

// ---- the plan ----

/* The plan's rows from side k, times v: both on the device, in the type of the result. */
static quern_status apply(q_transport *t, int k, const quern_array *v, quern_array *out)
{
    q_problem *p = &t->between;
    int direction = q_transport_direction(t, p, k);
    quern_operator *op;
    Q_TRY(q_transport_applying(&op, t, direction, q_array(v).columns));
    const char *const names[] = {"x", "y"};
    quern_run_options options = {.size = sizeof options, .ranges = p->side[k].ranges};
    if (t->members > 1)
        options.members = t->members, options.offsets_i = t->offsets[k], options.offsets_j = t->offsets[1 - k];
    return quern_run_with(op,
                          QUERN_ARGS({names[direction], q_array(p->side[k].cloud->points)},
                                     {names[1 - direction], q_array(p->side[1 - k].cloud->points)},
                                     {"H", q_array(p->side[k].scaled)}, {"h", q_array(p->side[1 - k].scaled)},
                                     {"s", quern_number(t->scale / t->eps)}, {"v", q_array(v)}),
                          QUERN_OUTS(q_array(out)), &options);
}

/* Exp(u + factor v) */
static quern_status exponential(quern_array *out, q_transport *t, const quern_array *u, double factor,
                                const quern_array *v)
{
    const quern_arg args[] = {{"u", q_array(u)}, {"v", q_array(v)}, {"k", quern_number(factor)}, {NULL, {0}}};
    return q_transport_run(t, Q_EXP, Q_X, NULL, args, QUERN_OUTS(q_array(out)));
}

static quern_status grid_marginal(quern_array *out, q_transport *t, int k)
{
    q_side *side = &t->between.side[k], *other = &t->between.side[1 - k];
    Q_TRY(q_grid_sum(t->grid, other->scaled, t->scale / t->eps, -1, Q_LINE_PLAIN, side->sums));
    return exponential(out, t, side->scaled, 1, side->sums);
}

/* Places of a grid begin one step from 0, so that their means have a logarithm. */
static quern_status grid_map(quern_array *out, q_transport *t, int k)
{
    q_side *side = &t->between.side[k], *other = &t->between.side[1 - k];
    quern_array *column = NULL;
    quern_status status = q_grid_sum(t->grid, other->scaled, t->scale / t->eps, -1, Q_LINE_PLAIN, side->sums);
    if (!status) status = q_transport_array(&column, t, t->grid->count, 1);
    for (int d = 0; d < t->grid->dim && !status; d++) {
        status = q_grid_sum(t->grid, other->scaled, t->scale / t->eps, d, Q_LINE_PLACE, side->old);
        if (!status) status = exponential(column, t, side->old, -1, side->sums);
        if (!status) status = quern_copy(t->context, quern_view_columns(q_array(out), d, 1), q_array(column));
    }
    quern_array_destroy(&column);
    return status;
}

static quern_status marginal(quern_array **out, q_transport *t, int k)
{
    quern_array *ones = NULL;
    quern_status status = q_transport_array(out, t, t->cloud[k].rows, 1);
    if (status || t->between.trivial) return status;
    if (t->grid) return grid_marginal(*out, t, k);
    status = q_transport_array(&ones, t, t->cloud[1 - k].rows, 1);
    if (!status) status = quern_array_fill(ones, 1);
    if (!status) status = apply(t, k, ones, *out);
    quern_array_destroy(&ones);
    return status;
}

/* What a row's weights over the other side's points give: their mean, or the largest. */
static quern_status map(quern_array **out, q_transport *t, int k, bool largest)
{
    q_problem *p = &t->between;
    const q_cloud *rows = p->side[k].cloud, *columns = p->side[1 - k].cloud;
    const quern_arg args[] = {
        {"h", q_array(p->side[1 - k].scaled)}, {"s", quern_number(t->scale / t->eps)}, {NULL, {0}}};
    Q_TRY(largest ? quern_array_create(out, t->context, QUERN_I64, rows->rows, 1)
                  : q_transport_array(out, t, rows->rows, columns->dim));
    if (t->grid) return grid_map(*out, t, k);
    const q_pairs pairs = q_problem_pairs(p, k);
    return q_transport_run(t, largest ? Q_ASSIGN : Q_MAP, q_transport_direction(t, p, k), &pairs, args,
                           QUERN_OUTS(q_array(*out)));
}

static quern_status need_plan(const char *function, const q_transport *t)
{
    if (!t) return q_fail_null(function, "result");
    if (t->options.loss != QUERN_LOSS_SINKHORN)
        return q_fail(QUERN_UNSUPPORTED, "%s: only optimal transport (QUERN_LOSS_SINKHORN) has a plan", function);
    if (t->grid || t->members > 1)
        return q_fail(QUERN_UNSUPPORTED, "%s: not %s", function, t->grid ? "on a grid" : "of a batch");
    return QUERN_OK;
}

quern_status quern_transport_apply(quern_transport_result *t, bool transposed, quern_view from, quern_view to)
{
    int k = transposed ? Q_Y : Q_X;
    quern_array *v = NULL, *out = NULL;
    Q_TRY(need_plan("quern_transport_apply", t));
    if (from.rows != t->cloud[1 - k].rows || to.rows != t->cloud[k].rows || from.columns != to.columns ||
        from.columns < 1)
        return q_fail(QUERN_SHAPE,
                      "the plan takes %lld rows to %lld, with as many columns; not %lld x %lld to %lld x %lld",
                      (long long)t->cloud[1 - k].rows, (long long)t->cloud[k].rows, (long long)from.rows,
                      (long long)from.columns, (long long)to.rows, (long long)to.columns);
    quern_status status = q_transport_array(&v, t, from.rows, from.columns);
    if (!status) status = quern_array_write(v, from);
    if (!status) status = q_cloud_reorder(&t->cloud[1 - k], v, false);
    if (!status) status = q_transport_array(&out, t, to.rows, to.columns);
    if (!status && !t->between.trivial) status = apply(t, k, v, out);
    if (!status) status = q_cloud_reorder(&t->cloud[k], out, true);
    if (!status) status = quern_array_read(out, to);
    quern_array_destroy(&v), quern_array_destroy(&out);
    return status;
}

/* One row of the plan, as a column. */
static quern_status plan_row(q_transport *t, int64_t row, quern_array *out)
{
    const q_problem *p = &t->between;
    quern_operator *op;
    Q_TRY(q_transport_operator(&op, t, Q_ROW, Q_X));
    return quern_run(op,
                     QUERN_ARGS({"x", quern_view_rows(q_array(t->cloud[Q_X].points), row, 1)},
                                {"y", q_array(t->cloud[Q_Y].points)},
                                {"H", quern_view_rows(q_array(p->side[0].scaled), row, 1)},
                                {"h", q_array(p->side[1].scaled)}, {"s", quern_number(t->scale / t->eps)}),
                     q_array(out));
}

/* A row of a view as a column of it. */
static quern_view row_as_column(quern_view view, int64_t row)
{
    int64_t stride = view.stride ? view.stride : view.columns, count = view.columns;
    if (view.array) view.offset += row * stride;
    else view.data = (char *)view.data + (size_t)(row * stride) * q_element_size(view.dtype);
    view.rows = count, view.columns = 1, view.stride = 1;
    return view;
}

quern_status quern_transport_rows(quern_transport_result *t, int64_t first, int64_t count, quern_view to)
{
    quern_array *out = NULL;
    Q_TRY(need_plan("quern_transport_rows", t));
    int64_t M = t->cloud[Q_X].rows, N = t->cloud[Q_Y].rows;
    if (first < 0 || count < 0 || first > M - count || to.rows != count || to.columns != N)
        return q_fail(QUERN_SHAPE, "rows %lld and the %lld from there of a plan of %lld x %lld do not fit %lld x %lld",
                      (long long)first, (long long)count, (long long)M, (long long)N, (long long)to.rows,
                      (long long)to.columns);
    if (!N) return QUERN_OK;
    quern_status status = q_transport_array(&out, t, N, 1);
    for (int64_t k = 0; k < count && !status; k++) {
        if (!t->between.trivial) status = plan_row(t, q_cloud_place(&t->cloud[Q_X], first + k), out);
        if (!status) status = q_cloud_reorder(&t->cloud[Q_Y], out, true);
        if (!status) status = quern_array_read(out, row_as_column(to, k));
    }
    quern_array_destroy(&out);
    return status;
}

// ---- parts ----

typedef enum kind { POTENTIAL, SELF_POTENTIAL, GRADIENT, MARGINAL, MAP, ASSIGNMENT } kind;

enum { MASS = 1, LOSS = 2 }; /* there for transport with mass only; for the other losses too */

typedef struct part_row {
    const char *name;
    kind kind;
    int k, needs;
    bool positions;
} part_row;

static const part_row parts[] = {
    [QUERN_POTENTIAL_X] = {"POTENTIAL_X", POTENTIAL, Q_X, MASS | LOSS, false},
    [QUERN_POTENTIAL_Y] = {"POTENTIAL_Y", POTENTIAL, Q_Y, MASS | LOSS, false},
    [QUERN_SELF_POTENTIAL_X] = {"SELF_POTENTIAL_X", SELF_POTENTIAL, Q_X, MASS, false},
    [QUERN_SELF_POTENTIAL_Y] = {"SELF_POTENTIAL_Y", SELF_POTENTIAL, Q_Y, MASS, false},
    [QUERN_GRADIENT_X] = {"GRADIENT_X", GRADIENT, Q_X, LOSS, true},
    [QUERN_GRADIENT_Y] = {"GRADIENT_Y", GRADIENT, Q_Y, LOSS, true},
    [QUERN_GRADIENT_A] = {"GRADIENT_A", GRADIENT, Q_X, MASS | LOSS, false},
    [QUERN_GRADIENT_B] = {"GRADIENT_B", GRADIENT, Q_Y, MASS | LOSS, false},
    [QUERN_MARGINAL_X] = {"MARGINAL_X", MARGINAL, Q_X, 0, false},
    [QUERN_MARGINAL_Y] = {"MARGINAL_Y", MARGINAL, Q_Y, 0, false},
    [QUERN_MAP_X] = {"MAP_X", MAP, Q_X, MASS, true},
    [QUERN_MAP_Y] = {"MAP_Y", MAP, Q_Y, MASS, true},
    [QUERN_ASSIGNMENT_X] = {"ASSIGNMENT_X", ASSIGNMENT, Q_X, MASS, false},
    [QUERN_ASSIGNMENT_Y] = {"ASSIGNMENT_Y", ASSIGNMENT, Q_Y, MASS, false},
};

static quern_status copy(quern_array **out, const q_transport *t, const quern_array *from)
{
    return quern_array_from(out, t->context, q_array(from));
}

static quern_status compute(quern_array **out, q_transport *t, const part_row *row)
{
    bool plan = t->options.loss == QUERN_LOSS_SINKHORN;
    switch (row->kind) {
    case POTENTIAL: return copy(out, t, plan ? t->between.side[row->k].potential : t->potential[row->k]);
    case SELF_POTENTIAL: return copy(out, t, t->self[row->k].side[0].potential);
    case MARGINAL: return marginal(out, t, row->k);
    case MAP:
    case ASSIGNMENT: return map(out, t, row->k, row->kind == ASSIGNMENT);
    case GRADIENT: break;
    }
    return (plan ? transport_gradient : q_transport_loss_gradient)(out, t, row->k, row->positions);
}

/* Whether there is such a part. */
static quern_status check_part(const q_transport *t, const part_row *row)
{
    bool plan = t->options.loss == QUERN_LOSS_SINKHORN, self = row->kind == SELF_POTENTIAL;
    if (plan ? self && t->options.debias == QUERN_OFF
             : !(row->needs & LOSS) || t->options.loss == QUERN_LOSS_HAUSDORFF_HARD)
        return q_fail(QUERN_UNSUPPORTED, "this loss has no %s", row->name);
    if (t->grid && (row->kind == ASSIGNMENT || (row->kind == GRADIENT && row->positions)))
        return q_fail(QUERN_UNSUPPORTED, "on a grid there is no %s", row->name);
    if (plan && row->needs & MASS && (self ? t->self[row->k].trivial : t->between.trivial))
        return q_fail(QUERN_UNSUPPORTED, "%s: a measure without mass has no potentials", row->name);
    return QUERN_OK;
}

quern_status quern_transport_read(quern_transport_result *t, quern_transport_part part, quern_view to)
{
    quern_array *out = NULL;
    if (!t) return q_fail_null("quern_transport_read", "result");
    if ((size_t)part >= Q_COUNT(parts)) return q_fail(QUERN_USAGE, "there is no part %d", (int)part);
    const part_row *row = &parts[(size_t)part];
    Q_TRY(check_part(t, row));
    if (t->parts) return q_batch_read(t, part, row->k, to);
    quern_status status = compute(&out, t, row);
    if (!status && row->kind == ASSIGNMENT) status = q_cloud_rename(&t->cloud[1 - row->k], out);
    if (!status) status = q_cloud_reorder(&t->cloud[row->k], out, true);
    if (!status) status = quern_array_read(out, to);
    quern_array_destroy(&out);
    return status;
}
