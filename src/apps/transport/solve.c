/*
 * solve.c: Sinkhorn's iterations on the dual potentials, all on the device.
 *
 * A step makes one marginal exact: f = T(g) = -eps log sum_j b_j exp((g_j - C) / eps), times 1 / (1 + eps / rho). It maximises
 * the dual over f, so alternating steps never lower it. Steps are over-relaxed, f + w (T(g) - f) with 1 < w < 2, as in
 * successive over-relaxation (Thibault, Chizat, Dossal, Papadakis 2021): from the rate mu at which errors fall,
 * (mu + w - 1)^2 = lambda w^2 mu gives the rate lambda of plain steps, and w = 2 / (1 + sqrt(1 - lambda)) the next relaxation. Where
 * the dual value falls all the same, steps are plain for a while and w has a bound that rises again slowly. The last step is plain, so
 * that a solved problem holds T(g) and g: a pair with one exact marginal.
 *
 * Where a marginal costs its total variation, times rho, the potential that is best for the other is T(g) kept within -rho and rho.
 *
 * A cloud beside itself has one potential: f + (T(f) - f) / 2, which converges in a few steps at any temperature.
 */
#include <math.h>
#include <stdlib.h>

#include "apps/transport/transport.h"

#define MOST 1.99 /* the largest relaxation */

double q_inverse(double rho)
{
    return isinf(rho) ? 0 : 1 / rho;
}

double q_damping(double eps, double rho)
{
    return 1 / (1 + eps * q_inverse(rho));
}

// ---- problems ----

bool q_side_is_free(const q_side *side)
{
    return !isinf(side->rho) || !isinf(side->bound);
}

double q_side_density(const q_transport *t, const q_side *side)
{
    return isinf(side->bound) ? 0 : 1 / t->eps;
}

static quern_status create_side(q_side *side, q_transport *t, const q_cloud *cloud, double rho)
{
    bool variation = t->options.penalty == QUERN_PENALTY_TV;
    side->cloud = cloud;
    side->rho = variation ? INFINITY : rho;
    side->bound = variation ? rho : INFINITY;
    Q_TRY(q_transport_array(&side->potential, t, cloud->rows, 1));
    Q_TRY(q_transport_array(&side->old, t, cloud->rows, 1));
    Q_TRY(q_transport_array(&side->sums, t, cloud->rows, 1));
    Q_TRY(q_transport_array(&side->old_scaled, t, cloud->rows, 1));
    return quern_array_from(&side->scaled, t->context, q_array(cloud->logs));
}

static void destroy_side(q_side *side)
{
    quern_array_destroy(&side->potential);
    quern_array_destroy(&side->scaled);
    quern_array_destroy(&side->old);
    quern_array_destroy(&side->sums);
    quern_array_destroy(&side->old_scaled);
}

quern_status q_problem_create(q_problem *p, q_transport *t, const q_cloud *x, const q_cloud *y)
{
    const double *rho = t->rho;
    p->self = x == y;
    p->symmetric = p->self && rho[Q_X] == rho[Q_Y];
    p->last = isinf(rho[Q_Y]) && !isinf(rho[Q_X]) ? 1 : 0;
    p->w = 1, p->most = MOST;
    p->upper = p->cost = p->error = NAN;
    if (!(p->duals = calloc(2 * t->members, sizeof *p->duals))) return q_fail_memory(2 * t->members * sizeof *p->duals);
    p->uppers = p->duals + t->members;
    p->trivial = !(x->mass > 0) || !(y->mass > 0);
    Q_TRY(create_side(&p->side[0], t, x, rho[Q_X]));
    return create_side(&p->side[1], t, y, rho[Q_Y]);
}

void q_problem_destroy(q_problem *p)
{
    q_problem_meet_all(p);
    free(p->duals), free(p->least);
    p->duals = p->uppers = p->least = NULL;
    destroy_side(&p->side[0]);
    destroy_side(&p->side[1]);
}

// ---- steps ----

static void swap(quern_array **a, quern_array **b)
{
    quern_array *kept = *a;
    *a = *b, *b = kept;
}

static void swap_side(q_side *side)
{
    swap(&side->potential, &side->old);
    swap(&side->scaled, &side->old_scaled);
}

/* f + w (T(g) - f) of side k and what the next step needs of it, into two arrays; g is of the columns, as `scaled`. */
static quern_status step(q_problem *p, q_transport *t, int k, q_pairs meet, const quern_array *scaled, double eps,
                         double next, double w, quern_array *potential, quern_array *next_scaled)
{
    const q_side *side = &p->side[k];
    const quern_arg pairs[] = {{"h", q_array(scaled)}, {"s", quern_number(t->scale / eps)}, {NULL, {0}}};
    const quern_arg rows[] = {{"r", q_array(side->sums)},
                              {"f", q_array(side->potential)},
                              {"l", q_array(side->cloud->logs)},
                              {"e", quern_number(eps * q_damping(eps, side->rho))},
                              {"w", quern_number(w)},
                              {"n", quern_number(1 / next)},
                              {"b", quern_number(side->bound)},
                              {NULL, {0}}};
    quern_status status = t->grid ? q_grid_sum(t->grid, scaled, t->scale / eps, -1, Q_LINE_PLAIN, side->sums)
                                  : q_transport_run(t, Q_SOFTMIN, q_transport_direction(t, p, k), &meet, pairs,
                                                    QUERN_OUTS(q_array(side->sums)));
    if (status) return status;
    return q_transport_run(t, Q_UPDATE, Q_X, NULL, rows, QUERN_OUTS(q_array(potential), q_array(next_scaled)));
}

quern_status q_problem_step(q_problem *p, q_transport *t, int k, quern_array *scaled, quern_array *potential,
                            quern_array *next_scaled)
{
    return step(p, t, k, q_problem_pairs(p, k), scaled, t->eps, t->eps, 1, potential, next_scaled);
}

static quern_status relax(q_problem *p, q_transport *t, int k, double eps, double next, double w)
{
    q_side *side = &p->side[k];
    const quern_array *scaled = p->symmetric ? side->scaled : p->side[1 - k].scaled;
    Q_TRY(step(p, t, k, q_problem_pairs(p, k), scaled, eps, next, w, side->old, side->old_scaled));
    swap_side(side);
    return QUERN_OK;
}

/* The scaled potentials of a temperature. */
static quern_status rescale(q_problem *p, q_transport *t, double eps)
{
    for (int k = 0; k < 2; k++) {
        q_side *side = &p->side[k];
        const quern_arg args[] = {{"g", q_array(side->potential)},
                                  {"l", q_array(side->cloud->logs)},
                                  {"n", quern_number(1 / eps)},
                                  {NULL, {0}}};
        Q_TRY(q_transport_run(t, Q_SCALE, Q_X, NULL, args, QUERN_OUTS(q_array(side->scaled))));
    }
    return QUERN_OK;
}

quern_status q_problem_extend(q_problem *p, q_transport *t, const q_problem *coarse, double eps, double next)
{
    for (int k = 0; k < 2; k++) {
        q_side *to = &p->side[k];
        const q_side *from = &coarse->side[1 - k];
        if (k != p->last && !to->cloud->blocks) continue; /* blocks ask for both */
        const q_pairs meet = {to->cloud, from->cloud, NULL};
        Q_TRY(step(p, t, k, meet, from->scaled, eps, eps, 1, to->potential, to->scaled));
    }
    Q_TRY(q_problem_truncate(p, t, eps));
    return rescale(p, t, next);
}

/* Both sides at once, each from the other's potential before. */
static quern_status relax_together(q_problem *p, q_transport *t, double eps, double next, double w)
{
    if (p->symmetric) return relax(p, t, 0, eps, next, w);
    for (int k = 0; k < 2; k++)
        Q_TRY(step(p, t, k, q_problem_pairs(p, k), p->side[1 - k].scaled, eps, next, w, p->side[k].old,
                   p->side[k].old_scaled));
    swap_side(&p->side[0]), swap_side(&p->side[1]);
    return QUERN_OK;
}

/* A pair of steps, one after the other. */
static quern_status relax_in_turn(q_problem *p, q_transport *t, double eps, double next, double w)
{
    p->iterations++;
    if (p->symmetric) return relax(p, t, 0, eps, next, w);
    Q_TRY(relax(p, t, 1 - p->last, eps, eps, w));
    return relax(p, t, p->last, eps, next, w);
}

// ---- what has been reached ----

/* Of a potential that a step with relaxation w has made of the one before: Q_TALLY's sums. */
quern_status q_side_tally(q_transport *t, const q_side *side, const quern_array *step, const quern_array *potential,
                          const quern_array *before, double eps, double w, double *sums)
{
    const quern_arg args[] = {{"u", q_array(potential)},
                              {"f", q_array(before)},
                              {"a", q_array(side->cloud->weights)},
                              {"k", quern_number(q_inverse(side->rho))},
                              {"c", quern_number(1 / (w * eps * q_damping(eps, side->rho)))},
                              {"v", quern_number(1 / w)},
                              {"r", q_array(step ? step : before)},
                              {"n", quern_number(step && !isinf(side->bound) ? 1 / eps : 0)},
                              {"b", quern_number(side->bound)},
                              {NULL, {0}}};
    const q_pairs rows = {side->cloud, NULL, NULL};
    return q_transport_sums(t, Q_TALLY, Q_X, &rows, args, sums, 4);
}

double q_largest_error(const q_transport *t, const double *sums)
{
    double error = 0;
    for (size_t m = 0; m < t->members; m++)
        if (sums[m] > 0) error = fmax(error, sums[m] / sums[2 * t->members + m]);
    return error;
}

double q_cloud_mass(const q_cloud *cloud, size_t member)
{
    return cloud->masses ? cloud->masses[member] : cloud->mass;
}

/* The dual values at a pair of potentials whose plans have these masses, from their tallies. */
static quern_status value_of(q_problem *p, q_transport *t, const double *rows, const double *columns, double eps,
                             const double *masses)
{
    size_t members = t->members;
    p->dual = p->size = 0;
    for (size_t m = 0; m < members; m++) {
        double product = q_cloud_mass(p->side[0].cloud, m) * q_cloud_mass(p->side[1].cloud, m);
        p->duals[m] = rows[members + m] + columns[members + m] - eps * (masses[m] - product);
        p->dual += p->duals[m];
        p->size = fmax(p->size, fmax(rows[3 * members + m], columns[3 * members + m]));
    }
    p->value = p->dual;
    if (isfinite(p->dual)) return QUERN_OK;
    q_fail(QUERN_USAGE, "the potentials overflow: the cost is too large for blur %g", t->options.blur);
    q_fail_next_step("choose a larger blur, or check the cost for NaN and infinities");
    return QUERN_USAGE;
}

const quern_array *q_problem_partner(const q_problem *p)
{
    return p->symmetric ? p->side[0].old : p->side[1 - p->last].potential;
}

/* After a step of the last side with relaxation w: the error before it, relative to the plan's mass, and the dual value that a
   plain step has. */
static quern_status look(q_problem *p, q_transport *t, double eps, double w)
{
    const q_side *last = &p->side[p->last];
    const quern_array *g = q_problem_partner(p);
    double *rows = malloc(8 * t->members * sizeof *rows), *columns = rows ? rows + 4 * t->members : NULL;
    if (!rows) return q_fail_memory(8 * t->members * sizeof *rows);
    quern_status status = q_side_tally(t, last, last->sums, last->potential, last->old, eps, w, rows);
    if (!status) status = q_side_tally(t, &p->side[1 - p->last], NULL, g, g, eps, 1, columns);
    if (!status) p->error = q_largest_error(t, rows);
    if (!status) status = value_of(p, t, rows, columns, eps, rows + 2 * t->members);
    free(rows);
    return status;
}

// ---- schedules ----

/* The temperature of a level: falls from that of `blur` by `scaling`, and is `stop` at last. */
static double temperature(const q_transport *t, double blur, int level, double stop)
{
    return fmax(pow(blur * pow(t->options.scaling, level), t->options.power), stop);
}

static void note_level(q_transport *t, const q_problem *p, double eps, int iterations, double error)
{
    if (p->self || t->report.level_count == Q_MAX_LEVELS) return;
    t->levels[t->report.level_count++] = (quern_transport_level){pow(eps, 1 / t->options.power), iterations, error,
                                                                 p->side[0].cloud->rows, p->side[1].cloud->rows};
}

/* Errors of up to LOOSE do no harm to the next temperature: with 0.05 and with 9 the gap is closed after more steps in all.
   Coarse problems take little time, and are solved better. */
#define LOOSE 0.2
#define COARSE 0.01
enum { LEVEL_STEPS = 100 };

static quern_status anneal_at(q_problem *p, q_transport *t, double eps, double error)
{
    int first = p->iterations;
    do {
        Q_TRY(relax_in_turn(p, t, eps, eps, 1));
        if (p->iterations == first + 1) Q_TRY(q_problem_truncate(p, t, eps));
        Q_TRY(look(p, t, eps, 1));
    } while (p->error > error && p->iterations - first < LEVEL_STEPS);
    note_level(t, p, eps, p->iterations - first, p->error);
    return QUERN_OK;
}

quern_status q_problem_anneal(q_problem *p, q_transport *t, double stop, bool coarse)
{
    double eps, blur = t->diameter;
    if (p->self) return QUERN_OK; /* near its solution at any temperature */
    Q_TRY(q_problem_coarsen(p, t, &blur));
    for (int level = 0; (eps = temperature(t, blur, level, stop)) > stop && level < Q_MAX_LEVELS; level++) {
        Q_TRY(anneal_at(p, t, eps, LOOSE));
        Q_TRY(rescale(p, t, temperature(t, blur, level + 1, stop)));
    }
    return coarse ? anneal_at(p, t, stop, COARSE) : QUERN_OK;
}

quern_status q_problem_start(q_problem *p, q_transport *t, quern_view x, quern_view y)
{
    Q_TRY(quern_array_write(p->side[0].potential, x));
    Q_TRY(quern_array_write(p->side[1].potential, y));
    for (int k = 0; k < 2; k++) Q_TRY(q_cloud_reorder(p->side[k].cloud, p->side[k].potential, false));
    Q_TRY(rescale(p, t, t->eps));
    return q_problem_truncate(p, t, t->eps);
}

/* The relaxation after errors fell from `before` to `now` in so many steps with w. */
static double relaxation(double w, double before, double now, int steps)
{
    double mu = pow(now / before, 1.0 / steps);
    if (!(mu < 1)) return w;
    if (mu <= (w - 1) * 1.02) return w; /* the best that this w can do: w is large enough */
    double lambda = (mu + w - 1) * (mu + w - 1) / (w * w * mu);
    return lambda < 1 ? 2 / (1 + sqrt(1 - lambda)) : w;
}

enum { FIRST_LOOK = 2, PERIOD = 6 };

/* Whether the error is as small as asked for, or as the rounding of potentials allows. */
static bool is_settled(const q_problem *p, const q_transport *t, double tolerance)
{
    double unit = t->dtype == QUERN_F32 ? 6e-8 : 1.1e-16;
    return p->error <= fmax(tolerance, 4 * unit * p->size / t->eps);
}

quern_status q_problem_finish(q_problem *p, q_transport *t)
{
    double error = p->error; /* this step has none of its own if the one before was plain, too */
    Q_TRY(relax(p, t, p->last, t->eps, t->eps, 1));
    Q_TRY(look(p, t, t->eps, 1));
    p->error = error;
    return QUERN_OK;
}

static quern_status settle_symmetric(q_problem *p, q_transport *t, double tolerance)
{
    if (!p->iterations) Q_TRY(q_problem_truncate_first(p, t, t->eps));
    for (int k = 0; k < t->options.iterations && !p->converged; k++) {
        Q_TRY(relax_in_turn(p, t, t->eps, t->eps, 0.5));
        Q_TRY(q_problem_truncate(p, t, t->eps));
        Q_TRY(look(p, t, t->eps, 0.5));
        p->converged = is_settled(p, t, tolerance);
    }
    return q_problem_finish(p, t);
}

/* What is over-relaxed overshoots: its error is up to 2 / (2 - w) times that of the plain steps after it. So where that would be enough,
   plain steps tell, at each half of the last error that was too large. Without
   them small blurs take two to five times the steps. */
static quern_status try_plain(q_problem *p, q_transport *t, double tolerance, double *tried)
{
    double error = p->error;
    if (p->converged || !(p->w > 1) || error > 2 / (2 - p->w) * tolerance || error > *tried / 2) return QUERN_OK;
    *tried = error;
    Q_TRY(relax_in_turn(p, t, t->eps, t->eps, 1));
    Q_TRY(look(p, t, t->eps, 1));
    p->converged = is_settled(p, t, tolerance);
    if (!p->converged) p->error = error; /* by which the relaxation is chosen */
    return QUERN_OK;
}

quern_status q_problem_settle(q_problem *p, q_transport *t, double tolerance)
{
    double before = NAN, dual = -INFINITY, tried = INFINITY;
    int first = p->iterations, looked = 0;
    p->converged = false;
    if (p->symmetric) return settle_symmetric(p, t, tolerance);
    if (!p->iterations) Q_TRY(q_problem_truncate_first(p, t, t->eps));
    for (int k = 1; k <= t->options.iterations && !p->converged; k++) {
        bool due = k == FIRST_LOOK || k % PERIOD == 0 || k == t->options.iterations;
        Q_TRY(relax_in_turn(p, t, t->eps, t->eps, p->w));
        if (due || k == 1) Q_TRY(q_problem_truncate(p, t, t->eps));
        if (!due) continue;
        Q_TRY(look(p, t, t->eps, p->w));
        p->converged = is_settled(p, t, tolerance);
        Q_TRY(try_plain(p, t, tolerance, &tried));
        if (p->dual < dual - 1e-6 * fabs(dual)) {
            p->most = 1 + 0.8 * (p->w - 1), p->w = 1;
        } else if (looked) {
            p->most = fmin(p->most + 0.02, MOST);
            p->w = fmin(relaxation(p->w, before, p->error, k - looked), p->most);
        }
        before = p->error, dual = p->dual, looked = k;
    }
    Q_TRY(q_problem_finish(p, t));
    note_level(t, p, t->eps, p->iterations - first, p->error);
    return QUERN_OK;
}

// ---- GeomLoss's schedule ----

/* The dual value of two potentials neither of which is the step of the other. */
static quern_status look_at_both(q_problem *p, q_transport *t, double eps)
{
    const q_side *sides[] = {&p->side[0], &p->side[p->symmetric ? 0 : 1]};
    size_t members = t->members;
    double *sums = malloc(9 * members * sizeof *sums);
    if (!sums) return q_fail_memory(9 * members * sizeof *sums);
    quern_status status = QUERN_OK;
    for (size_t k = 0; k < 2 && !status; k++)
        status =
            q_side_tally(t, sides[k], NULL, sides[k]->potential, sides[k]->potential, eps, 1, sums + 4 * k * members);
    for (size_t m = 0; m < members && !status; m++)
        sums[8 * members + m] = (sums[2 * members + m] + sums[6 * members + m]) / 2;
    if (!status) status = value_of(p, t, sums, sums + 4 * members, eps, sums + 8 * members);
    free(sums);
    return status;
}

quern_status q_problem_average(q_problem *p, q_transport *t)
{
    double eps = pow(t->diameter, t->options.power), next = eps;
    Q_TRY(relax_together(p, t, eps, eps, 1));
    for (int level = -1; level < Q_MAX_LEVELS && !p->converged; level++) {
        p->converged = level >= 0 && eps <= t->eps;
        next = p->converged ? eps : temperature(t, t->diameter, level + 1, t->eps);
        Q_TRY(relax_together(p, t, eps, next, 0.5));
        p->iterations++;
        note_level(t, p, eps, 1, NAN);
        eps = next;
    }
    Q_TRY(relax_together(p, t, eps, eps, 1));
    p->last = 0;
    return look_at_both(p, t, eps);
}
