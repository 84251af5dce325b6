/*
 * hessian.c: the Hessian of a loss with respect to positions, times a direction, by implicit differentiation.
 *
 * With u, w what x and y move by, D_ij = <dC_ij/dx, u_i> + <dC_ij/dy, w_j> and the plan P, of marginals r and c, the marginal equations
 * say how the potentials move:
 *
 *     [ diag(r (1 + eps/rho_x))         P          ] [ df ]   [ P o D 1   ]
 *     [         P^T          diag(c (1 + eps/rho_y)) ] [ dg ] = [ (P o D)^T 1 ]
 *
 * and the Hessian's rows at x_i are the gradient of sum_j P_ij (D_ij - df_i - dg_j) in x_i, with all but C fixed. The
 * system is solved by conjugate gradients, scaled to a diagonal of 1; no matrix is stored. A balanced one is singular, since potentials are
 * known up to a constant, for each member: the projection onto that is added. Kernel norms and soft Hausdorff
 * distances are formulas of the positions, with second derivatives of their own.
 */
#include <math.h>
#include <stdlib.h>

#include "apps/transport/transport.h"
#include "apps/views/views.h"
#include "quern/solve.h"

typedef struct tangent {
    q_transport *t;
    q_problem *p;
    quern_array *scaled[2]; /* of both sides; borrowed */
    quern_array *move[2];   /* of the points of both sides; borrowed */
    quern_array *in[2], *out[2];
    int64_t rows[2];
    double *roots; /* of the diagonal, inverted, of both sides; 0 where a point has no mass */
    double *null;  /* of both sides: unit vectors of the members that the system is blind to; null: none */
} tangent;

static void end_tangent(tangent *s)
{
    for (int k = 0; k < 2; k++) quern_array_destroy(&s->in[k]), quern_array_destroy(&s->out[k]);
    free(s->roots), free(s->null);
}

static quern_status run(tangent *s, q_formula formula, int k, const quern_arg *more, quern_array *out)
{
    quern_arg args[10] = {
        {"H", q_array(s->scaled[k])}, {"h", q_array(s->scaled[1 - k])}, {"s", quern_number(s->t->scale / s->t->eps)}};
    const q_pairs pairs = q_problem_pairs(s->p, k);
    size_t count = 3;
    while (more->name) args[count++] = *more++;
    return q_transport_run(s->t, formula, q_transport_direction(s->t, s->p, k), &pairs, args, QUERN_OUTS(q_array(out)));
}

/* One side's part of numbers of both. */
static quern_view part_of(const tangent *s, double *both, int k)
{
    return quern_f64(both + (k ? s->rows[0] : 0), s->rows[k], 1);
}

/* The plan's rows of both sides times what is in `in`, into numbers of both sides. */
static quern_status multiply(tangent *s, double *out)
{
    for (int k = 0; k < 2; k++) {
        const quern_arg args[] = {{"v", q_array(s->in[1 - k])}, {NULL, {0}}};
        Q_TRY(run(s, Q_APPLY, k, args, s->out[k]));
        Q_TRY(quern_array_read(s->out[k], part_of(s, out, k)));
    }
    return QUERN_OK;
}

/* The points of a member on one side, among those of both. */
static void member_rows(const tangent *s, int k, size_t member, int64_t *from, int64_t *to)
{
    const int64_t *offsets = s->p->side[k].cloud->offsets, before = k ? s->rows[0] : 0;
    *from = before + (offsets ? offsets[member] : 0);
    *to = before + (offsets ? offsets[member + 1] : s->rows[k]);
}

/* What the whole does to a member's part of the null space. */
static void add_null(const tangent *s, const double *vector, double *result)
{
    for (size_t m = 0; m < s->t->members && s->null; m++) {
        double sum = 0;
        int64_t from, to;
        for (int k = 0; k < 2; k++)
            for (member_rows(s, k, m, &from, &to); from < to; from++) sum += s->null[from] * vector[from];
        for (int k = 0; k < 2; k++)
            for (member_rows(s, k, m, &from, &to); from < to; from++) result[from] += s->null[from] * sum;
    }
}

/* The scaled system times a vector. */
static quern_status product(void *user, bool transposed, int64_t R, const double *vector, double *result)
{
    tangent *s = user;
    int64_t all = s->rows[0] + s->rows[1];
    double *scaled = malloc((size_t)all * sizeof *scaled + 1);
    (void)transposed, (void)R; /* symmetric, and for one vector */
    if (!scaled) return q_fail_memory((size_t)all * sizeof *scaled);
    quern_status status = QUERN_OK;
    for (int64_t n = 0; n < all; n++) scaled[n] = s->roots[n] * vector[n];
    for (int k = 0; k < 2 && !status; k++) status = quern_array_write(s->in[k], part_of(s, scaled, k));
    if (!status) status = multiply(s, result);
    for (int64_t n = 0; n < all && !status; n++) result[n] = vector[n] + s->roots[n] * result[n];
    if (!status) add_null(s, vector, result);
    free(scaled);
    return status;
}

/* The diagonal, by the plan's own marginals, so that the system is singular exactly where it is meant to be. */
static quern_status scale_diagonal(tangent *s)
{
    size_t all = (size_t)(s->rows[0] + s->rows[1]);
    bool balanced = isinf(s->p->side[0].rho) && isinf(s->p->side[1].rho);
    s->roots = malloc(all * sizeof *s->roots + 1);
    if (balanced) s->null = malloc(all * sizeof *s->null + 1);
    if (!s->roots || (balanced && !s->null)) return q_fail_memory(all * sizeof *s->roots);
    for (int k = 0; k < 2; k++) Q_TRY(quern_array_fill(s->in[k], 1));
    Q_TRY(multiply(s, s->roots));
    for (size_t m = 0; m < s->t->members && balanced; m++) {
        double mass = 0;
        int64_t from, to;
        for (int k = 0; k < 2; k++)
            for (member_rows(s, k, m, &from, &to); from < to; from++) mass += s->roots[from];
        for (int k = 0; k < 2; k++)
            for (member_rows(s, k, m, &from, &to); from < to; from++)
                s->null[from] = (k ? -1 : 1) * sqrt(s->roots[from] / mass);
    }
    for (size_t n = 0; n < all; n++) {
        const q_side *side = &s->p->side[n >= (size_t)s->rows[0]];
        double diagonal = s->roots[n] * (1 + s->t->eps * q_inverse(side->rho));
        s->roots[n] = diagonal > 0 ? 1 / sqrt(diagonal) : 0;
    }
    return QUERN_OK;
}

/* What the points' moves do to the marginals; df and dg of it into `in`. */
static quern_status move_potentials(tangent *s)
{
    const quern_solve_options options = {.size = sizeof options,
                                         .tolerance = s->t->dtype == QUERN_F32 ? 1e-5 : 1e-11,
                                         .preconditioner = QUERN_PRECONDITIONER_NONE};
    int64_t all = s->rows[0] + s->rows[1];
    quern_linear *linear = NULL;
    double *right = malloc(2 * (size_t)all * sizeof *right + 1), *moves = right ? right + all : NULL;
    quern_status status = right ? QUERN_OK : q_fail_memory(2 * (size_t)all * sizeof *right);
    for (int k = 0; k < 2 && !status; k++) {
        const quern_arg args[] = {{"u", q_array(s->move[k])}, {"w", q_array(s->move[1 - k])}, {NULL, {0}}};
        status = run(s, Q_SLOPE, k, args, s->out[k]);
        if (!status) status = quern_array_read(s->out[k], part_of(s, right, k));
    }
    for (int64_t n = 0; n < all && !status; n++) right[n] *= s->t->scale * s->roots[n];
    if (!status) status = quern_linear_from_function(&linear, s->t->context, all, all, product, s);
    if (!status) status = quern_solve(linear, quern_f64(right, all, 1), quern_f64(moves, all, 1), &options, NULL);
    for (int64_t n = 0; n < all && !status; n++) moves[n] *= s->roots[n];
    for (int k = 0; k < 2 && !status; k++) status = quern_array_write(s->in[k], part_of(s, moves, k));
    quern_linear_destroy(&linear);
    free(right);
    return status;
}

/* Subtracts factor times the Hessian's rows of a problem from arrays of its sides, where they are asked for. */
static quern_status subtract_rows(tangent *s, double factor, quern_array *const to[2])
{
    for (int k = 0; k < 2; k++) {
        const quern_arg args[] = {{"p", q_array(s->in[k])},         {"q", q_array(s->in[1 - k])},
                                  {"u", q_array(s->move[k])},       {"w", q_array(s->move[1 - k])},
                                  {"c", quern_number(s->t->scale)}, {NULL, {0}}};
        quern_array *rows = NULL;
        quern_status status = q_transport_array(&rows, s->t, s->rows[k], s->p->side[k].cloud->dim);
        if (!status) status = run(s, Q_HESSIAN, k, args, rows);
        if (!status) status = q_transport_subtract(s->t, to[k], factor, rows);
        quern_array_destroy(&rows);
        if (status) return status;
    }
    return QUERN_OK;
}

static quern_status subtract_hessian(q_problem *p, q_transport *t, double factor, quern_array *const move[2],
                                     quern_array *const to[2])
{
    tangent s = {.t = t, .p = p};
    quern_status status = QUERN_OK;
    if (p->trivial) return QUERN_OK;
    for (int k = 0; k < 2; k++) {
        s.scaled[k] = p->side[p->symmetric ? 0 : k].scaled;
        s.move[k] = move[k];
        s.rows[k] = p->side[k].cloud->rows;
        if (!status) status = q_transport_array(&s.in[k], t, s.rows[k], 1);
        if (!status) status = q_transport_array(&s.out[k], t, s.rows[k], 1);
    }
    if (!status) status = scale_diagonal(&s);
    if (!status) status = move_potentials(&s);
    if (!status) status = subtract_rows(&s, factor, to);
    end_tangent(&s);
    return status;
}

/* Derivatives of potentials are as good as marginals are: on until they are nearly exact. */
static quern_status settle(q_problem *p, q_transport *t)
{
    const double tolerance = 1e-10;
    size_t levels = t->report.level_count;
    if (p->trivial || p->error <= tolerance) return QUERN_OK;
    if (!(t->options.truncate > 0)) t->budget = tolerance;
    Q_TRY(q_problem_settle(p, t, tolerance));
    t->report.level_count = levels; /* of the value, which is known */
    if (p->converged) return QUERN_OK;
    q_fail(QUERN_NUMERIC, "marginals are off by %.2g after %d iterations; the Hessian needs them exact", p->error,
           p->iterations);
    q_fail_next_step("allow more iterations, or choose a larger blur");
    return QUERN_NUMERIC;
}

static quern_status transport_hessian(q_transport *t, quern_array *const move[2], quern_array *const to[2])
{
    Q_TRY(settle(&t->between, t));
    Q_TRY(subtract_hessian(&t->between, t, -1, move, to));
    for (int k = 0; k < 2 && t->options.debias != QUERN_OFF; k++) {
        Q_TRY(settle(&t->self[k], t));
        Q_TRY(subtract_hessian(&t->self[k], t, 0.5, (quern_array *const[]){move[k], move[k]},
                               (quern_array *const[]){to[k], to[k]}));
    }
    return QUERN_OK;
}

// ---- losses without a plan ----

/* Subtracts factor times what F(cloud k, cloud `columns`) adds to the rows of its first cloud. */
static quern_status subtract_loss(q_transport *t, int k, int columns, double factor, quern_array *const move[2],
                                  quern_array *to)
{
    const q_cloud *at = &t->cloud[k], *of = &t->cloud[columns];
    const q_pairs pairs = {at, of, NULL};
    bool soft = t->options.loss == QUERN_LOSS_HAUSDORFF;
    const quern_arg args[] = {{"u", q_array(move[k])},
                              {"w", q_array(move[columns])},
                              {"a", q_array(at->weights)},
                              {"b", q_array(of->weights)},
                              {"s", quern_number(soft ? t->scale / t->eps : t->scale)},
                              {soft ? "l" : NULL, q_array(at->logs)},
                              {"h", q_array(of->logs)},
                              {"e", quern_number(t->eps)},
                              {NULL, {0}}};
    quern_array *rows = NULL;
    quern_status status = q_transport_array(&rows, t, at->rows, at->dim);
    if (!status)
        status =
            q_transport_run(t, soft ? Q_SOFT_HESSIAN : Q_KERNEL_HESSIAN, Q_X, &pairs, args, QUERN_OUTS(q_array(rows)));
    if (!status) status = q_transport_subtract(t, to, factor, rows);
    quern_array_destroy(&rows);
    return status;
}

static quern_status loss_hessian(q_transport *t, quern_array *const move[2], quern_array *const to[2])
{
    double sign = t->options.loss == QUERN_LOSS_HAUSDORFF ? -1 : 1; /* as in losses.c */
    for (int k = 0; k < 2; k++) {
        Q_TRY(subtract_loss(t, k, k, -sign, move, to[k]));
        Q_TRY(subtract_loss(t, k, 1 - k, sign, move, to[k]));
    }
    return QUERN_OK;
}

// ---- the call ----

static quern_status check_smooth(const q_transport *t)
{
    const quern_transport_options *o = &t->options;
    const char *what = t->grid                                  ? "on a grid points do not move"
                       : o->loss == QUERN_LOSS_HAUSDORFF_HARD   ? "the hard Hausdorff distance is not smooth"
                       : o->penalty == QUERN_PENALTY_TV         ? "total variation is not smooth"
                       : o->schedule == QUERN_SCHEDULE_GEOMLOSS ? "GeomLoss's schedule stops before the optimum"
                                                                : NULL;
    return what ? q_fail(QUERN_UNSUPPORTED, "there is no Hessian: %s", what) : QUERN_OK;
}

/* A direction on the device, in the order of the points; 0 where none is given. */
static quern_status load_direction(quern_array **out, const q_transport *t, int k, quern_view direction)
{
    const char *const names[] = {"direction_x", "direction_y"};
    const q_cloud *cloud = &t->cloud[k];
    double *numbers;
    size_t count = (size_t)(cloud->rows * cloud->dim);
    Q_TRY(q_transport_array(out, t, cloud->rows, cloud->dim));
    if (!q_view_given(&direction)) return quern_array_fill(*out, 0);
    Q_TRY(q_shape_check(names[k], &direction, cloud->rows, cloud->dim));
    Q_TRY(quern_array_write(*out, direction));
    if (!(numbers = malloc(count * sizeof *numbers + 1))) return q_fail_memory(count * sizeof *numbers);
    quern_status status = quern_array_read(*out, quern_f64(numbers, cloud->rows, cloud->dim));
    for (size_t n = 0; n < count && !status; n++)
        if (!isfinite(numbers[n]))
            status = q_fail(QUERN_USAGE, "%s is %g at point %zu", names[k], numbers[n], n / (size_t)cloud->dim);
    free(numbers);
    return status ? status : q_cloud_reorder(cloud, *out, false);
}

static quern_status write_rows(const q_transport *t, int k, quern_array *rows, quern_view to)
{
    if (!q_view_given(&to)) return QUERN_OK;
    Q_TRY(q_cloud_reorder(&t->cloud[k], rows, true));
    return quern_array_read(rows, to);
}

quern_status quern_transport_hessian(quern_transport_result *t, quern_view direction_x, quern_view direction_y,
                                     quern_view to_x, quern_view to_y)
{
    const quern_view directions[] = {direction_x, direction_y}, results[] = {to_x, to_y};
    const char *const names[] = {"to_x", "to_y"};
    quern_array *move[2] = {NULL, NULL}, *to[2] = {NULL, NULL};
    if (!t) return q_fail_null("quern_transport_hessian", "result");
    Q_TRY(check_smooth(t));
    quern_status status = QUERN_OK;
    for (int k = 0; k < 2 && !status; k++) {
        if (q_view_given(&results[k])) status = q_shape_check(names[k], &results[k], t->cloud[k].rows, t->cloud[k].dim);
        if (!status) status = load_direction(&move[k], t, k, directions[k]);
        if (!status && !t->parts) status = q_transport_array(&to[k], t, t->cloud[k].rows, t->cloud[k].dim);
        if (!status && !t->parts) status = quern_array_fill(to[k], 0);
    }
    if (!status && t->parts)
        status = q_batch_hessian(t, (quern_view[]){q_array(move[Q_X]), q_array(move[Q_Y])}, results);
    else if (!status) status = (t->options.loss == QUERN_LOSS_SINKHORN ? transport_hessian : loss_hessian)(t, move, to);
    for (int k = 0; k < 2 && !status && !t->parts; k++) status = write_rows(t, k, to[k], results[k]);
    for (int k = 0; k < 2; k++) quern_array_destroy(&move[k]), quern_array_destroy(&to[k]);
    return status;
}
