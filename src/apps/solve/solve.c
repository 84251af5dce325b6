/*
 * solve.c: systems with several right-hand sides at once, by one of several methods within iterative refinement (Wilkinson
 * 1963): a method works on residuals, in the type of the operator's arrays, and each of its solutions is added to one in double, whose residual is computed anew in double. So what counts in the end is a residual that
 * was computed, never one that a recurrence believes in.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/solve/methods.h"
#include "apps/views/views.h"

typedef q_solve_work work;

enum { VECTORS = 8, NUMBERS = 6, MOST_REFINEMENTS = 40 };
enum {
    TRIAL_STEPS = 30,
    LEAST_ROWS = 1024
};                              /* of conjugate gradients in a trial of blocks; of matrices that have one */
static const double fast = 0.1; /* what a trial leaves of a residual: then no other is tried */
static const double single_enough = 1e-5, double_enough = 1e-9; /* of a residual, what the method leaves of it */

// ---- vectors ----

static void dots(const work *w, const double *x, const double *y, double *out)
{
    q_dots(w->rows, w->R, x, y, out);
}

static void norms(const work *w, const double *x, double *out)
{
    dots(w, x, x, out);
    for (int64_t r = 0; r < w->R; r++) out[r] = sqrt(out[r]);
}

/* The largest of residuals in relation to their right-hand sides; NaN counts as infinite. */
static double largest(const work *w, const double *residual)
{
    double most = 0;
    for (int64_t r = 0; r < w->R; r++) {
        double relative = w->norm[r] > 0 ? residual[r] / w->norm[r] : 0;
        if (!(relative <= most)) most = isnan(relative) ? INFINITY : relative;
    }
    return most;
}

// ---- cycles of the method ----

static quern_status tell(const work *w, double residual)
{
    const quern_solve_options *o = w->options;
    if (!o->progress || !o->progress(o->progress_user, w->products, residual)) return QUERN_OK;
    return q_fail(QUERN_CANCELLED, "the solve was stopped by its callback after %lld product%s, at a residual of %.3g",
                  (long long)w->products, Q_S(w->products), residual);
}

static bool all_done(const work *w)
{
    for (int64_t r = 0; r < w->R; r++)
        if (!w->done[r]) return false;
    return true;
}

/* Begins with the residual r, which it divides by its size. Right-hand sides that are solved have no part in it. */
static quern_status begin(work *w)
{
    double enough = w->inner == QUERN_F64 ? double_enough : single_enough, tolerance = w->options->tolerance;
    norms(w, w->r, w->size);
    for (int64_t r = 0; r < w->R; r++) {
        double asked = 0.5 * tolerance * w->norm[r] / w->size[r];
        w->goal[r] = asked > enough ? asked : enough;
        w->done[r] = !(w->size[r] > tolerance * w->norm[r]);
        w->now[r] = w->done[r] ? 0 : 1;
    }
    for (int64_t i = 0; i < w->rows; i++)
        for (int64_t r = 0; r < w->R; r++) w->r[i * w->R + r] = w->done[r] ? 0 : w->r[i * w->R + r] / w->size[r];
    memset(w->d, 0, (size_t)(w->rows * w->R) * sizeof *w->d);
    return w->method->begin(w);
}

/* The residual as the method has it, of the right-hand sides as they were given. */
static double estimated(work *w)
{
    for (int64_t r = 0; r < w->R; r++) w->pq[r] = w->now[r] * w->size[r];
    return largest(w, w->pq);
}

/* c += d, and the residual of c. */
static quern_status refine(work *w)
{
    q_solve_add(w, w->c, w->size, 1, w->d);
    Q_TRY(q_linear_product(w->a, w->outer, w->R, w->c, w->q));
    w->refinements++;
    for (int64_t e = 0; e < w->rows * w->R; e++) w->r[e] = w->b[e] - w->q[e];
    norms(w, w->r, w->now);
    w->residual = largest(w, w->now);
    if (w->residual < w->best_residual) {
        w->best_residual = w->residual;
        memcpy(w->best, w->c, (size_t)(w->rows * w->R) * sizeof *w->c);
    }
    return QUERN_OK;
}

static bool over(const work *w)
{
    return w->products >= w->options->iterations;
}

/* A cycle of the method, at most so many steps of it. */
static quern_status cycle(work *w, int64_t most)
{
    quern_status status = begin(w);
    for (int64_t k = 0; !all_done(w) && !over(w) && k < most && !status; k++) {
        status = w->method->step(w);
        w->products++;
        if (!status) status = tell(w, estimated(w));
    }
    quern_status ended = w->method->end ? w->method->end(w) : QUERN_OK;
    return status ? status : ended;
}

/* A cycle, and the residual of what it leaves, which counts when it was cancelled, too. */
static quern_status turn(work *w, int64_t most)
{
    quern_status status = cycle(w, most);
    if (status && status != QUERN_CANCELLED) return status;
    quern_status refined = refine(w);
    return status ? status : refined;
}

static quern_status iterate(work *w)
{
    int64_t most = w->method->steps ? w->method->steps : INT64_MAX;
    for (double before = INFINITY; w->best_residual > w->options->tolerance && !over(w); before = w->best_residual) {
        Q_TRY(turn(w, most));
        bool long_enough = !w->method->steps && w->refinements >= MOST_REFINEMENTS;
        if (!(w->best_residual < w->method->progress * before) || long_enough) break;
    }
    return QUERN_OK;
}

/* Whether blocks leave less of the residual after some steps than what there is leaves, unless that is little. What both find
   counts. */
static quern_status try_blocks(work *w)
{
    const quern_solve_options *o = w->options;
    q_preconditioning how = {.kind = QUERN_PRECONDITIONER_BLOCK_JACOBI, .clusters = o->clusters, .positive = true};
    q_preconditioner blocks, first = w->inverse;
    if (o->preconditioner != QUERN_PRECONDITIONER_AUTO || o->precondition || !w->method->positive ||
        w->rows < LEAST_ROWS || !q_linear_has_entries(w->a))
        return QUERN_OK;
    Q_TRY(turn(w, TRIAL_STEPS));
    double left = w->residual; /* of 1 */
    if (w->best_residual <= o->tolerance || left <= fast || over(w) || w->curved) return QUERN_OK;
    quern_status status = q_precondition(&blocks, w->a, &how);
    if (status) return status == QUERN_NUMERIC ? QUERN_OK : status;
    w->inverse = blocks;
    status = turn(w, TRIAL_STEPS);
    bool better = w->residual < left * left;
    if (!better) w->inverse = first;
    q_preconditioner_free(better ? &first : &blocks);
    return status;
}

// ---- what went wrong ----

/* Whether u.Av is v.Au for vectors without a pattern. */
static quern_status is_symmetric(work *w, bool *symmetric)
{
    uint64_t state = 7;
    for (int64_t i = 0; i < w->rows; i++)
        for (int64_t r = 0; r < w->R; r++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            w->p[i * w->R + r] = (double)(state >> 11) * 0x1p-53 - 0.5;
            state = state * 6364136223846793005u + 1442695040888963407u;
            w->z[i * w->R + r] = (double)(state >> 11) * 0x1p-53 - 0.5;
        }
    Q_TRY(q_linear_product(w->a, w->outer, w->R, w->p, w->q));
    dots(w, w->z, w->q, w->rz);
    norms(w, w->q, w->now);
    norms(w, w->z, w->size);
    Q_TRY(q_linear_product(w->a, w->outer, w->R, w->z, w->q));
    dots(w, w->p, w->q, w->pq);
    double slack = w->outer == QUERN_F64 ? 1e-9 : 1e-4;
    *symmetric = fabs(w->rz[0] - w->pq[0]) <= slack * w->now[0] * w->size[0];
    return QUERN_OK;
}

static quern_status explain(work *w)
{
    bool symmetric = true, limit = over(w);
    if (w->method->symmetric) Q_TRY(is_symmetric(w, &symmetric));
    const char *what = !symmetric  ? "the matrix is not symmetric"
                       : w->curved ? "the matrix is not positive definite, or not within its rounding"
                       : limit     ? "the limit of iterations is reached"
                                   : "it no longer falls";
    q_fail(QUERN_NUMERIC, "the largest relative residual is %.3g after %lld product%s, not %.3g: %s", w->best_residual,
           (long long)w->products, Q_S(w->products), w->options->tolerance, what);
    const char *next =
        !symmetric  ? "check the formula, or take the method GMRES"
        : w->curved ? "add a larger shift, which points that are there twice need, give float64 arrays, or take the "
                      "method MINRES"
        : limit     ? "allow more iterations or a larger rank, or add a larger shift"
                    : "the matrix may be singular: add a larger shift, or give float64 arrays";
    q_fail_next_step("%s", next);
    return QUERN_NUMERIC;
}

// ---- the call ----

static quern_status allocate(work *w, double **memory)
{
    size_t vector = (size_t)w->rows * (size_t)w->R, numbers = VECTORS * vector + NUMBERS * (size_t)w->R;
    double *at = *memory = calloc(numbers + 1, sizeof *at);
    w->done = calloc((size_t)w->R, sizeof *w->done);
    if (!at || !w->done) return q_fail_memory(numbers * sizeof *at);
    double **vectors[VECTORS] = {&w->b, &w->c, &w->best, &w->r, &w->z, &w->p, &w->q, &w->d};
    double **lists[NUMBERS] = {&w->norm, &w->size, &w->rz, &w->pq, &w->now, &w->goal};
    for (int v = 0; v < VECTORS; v++, at += vector) *vectors[v] = at;
    for (int l = 0; l < NUMBERS; l++, at += w->R) *lists[l] = at;
    return QUERN_OK;
}

static quern_status precondition(work *w)
{
    const quern_solve_options *o = w->options;
    q_preconditioning how = {o->preconditioner, o->rank, o->clusters, w->method->positive};
    if (!o->precondition) return q_precondition(&w->inverse, w->a, &how);
    w->inverse = (q_preconditioner){
        .kind = &q_preconditioner_own, .rows = w->rows, .own = o->precondition, .user = o->precondition_user};
    return QUERN_OK;
}

static quern_status solve(work *w, const quern_view *b)
{
    quern_context *context = q_linear_context(w->a);
    Q_TRY(q_vector_read(context, b, w->b));
    for (int64_t e = 0; e < w->rows * w->R; e++)
        if (!isfinite(w->b[e])) {
            q_fail(QUERN_USAGE, "b is %g in row %lld, right-hand side %lld", w->b[e], (long long)(e / w->R),
                   (long long)(e % w->R));
            q_fail_next_step("leave out rows of the system whose right-hand side is not known");
            return QUERN_USAGE;
        }
    memcpy(w->r, w->b, (size_t)(w->rows * w->R) * sizeof *w->b);
    norms(w, w->b, w->norm);
    w->best_residual = largest(w, w->norm);
    Q_TRY(precondition(w));
    Q_TRY(try_blocks(w));
    Q_TRY(iterate(w));
    return w->best_residual <= w->options->tolerance ? QUERN_OK : explain(w);
}

static void report_on(const work *w, quern_solve_report *out)
{
    quern_solve_report all = {sizeof all,
                              w->products,
                              w->refinements,
                              w->inverse.rank,
                              w->best_residual,
                              w->outer == QUERN_F64,
                              w->best_residual <= w->options->tolerance,
                              w->inverse.clusters ? w->inverse.clusters->count : 0};
    q_report_copy(out, &all, sizeof all);
}

/* By quern_solver. */
static const q_solve_method *const methods[] = {&q_solve_conjugate, &q_solve_minres, &q_solve_gmres};

static quern_status check_options(quern_solve_options *known, const quern_solve_options *given)
{
    Q_TRY(q_options_copy(known, sizeof *known, given, "quern_solve_options"));
    Q_TRY(q_range_check("tolerance", known->tolerance, 0, 1));
    Q_TRY(q_range_check("iterations", (double)known->iterations, 0, HUGE_VAL));
    Q_TRY(q_range_check("rank", (double)known->rank, 0, HUGE_VAL));
    Q_TRY(q_choice_check("preconditioner", (int)known->preconditioner, QUERN_PRECONDITIONER_BLOCK_JACOBI));
    Q_TRY(q_choice_check("method", (int)known->method, Q_COUNT(methods) - 1));
    if (known->tolerance == 0) known->tolerance = 1e-6;
    if (!known->iterations) known->iterations = 10000;
    return QUERN_OK;
}

quern_status quern_solve(const quern_linear *linear, quern_view b, quern_view c, const quern_solve_options *options,
                         quern_solve_report *report)
{
    if (!linear) return q_fail_null(__func__, "the operator");
    quern_solve_options known = {0};
    Q_TRY(check_options(&known, options));
    work w = {.a = linear, .options = &known, .rows = quern_linear_rows(linear), .R = b.columns, .best_residual = 1};
    if (w.rows != quern_linear_columns(linear))
        return q_fail(QUERN_SHAPE, "an operator of %lld x %lld has no inverse", (long long)w.rows,
                      (long long)quern_linear_columns(linear));
    if (w.R < 1) return q_fail(QUERN_SHAPE, "b has %lld right-hand sides; at least 1 is needed", (long long)w.R);
    Q_TRY(q_vector_check("b", &b, w.rows, w.R));
    Q_TRY(q_vector_check("c", &c, w.rows, w.R));
    w.method = methods[known.method];
    w.inner = q_linear_dtype(linear);
    w.outer = quern_context_device(q_linear_context(linear))->f64 ? QUERN_F64 : w.inner;
    double *memory = NULL;
    quern_status status = allocate(&w, &memory);
    if (!status) status = solve(&w, &b);
    bool kept = status == QUERN_NUMERIC || status == QUERN_CANCELLED;
    if (!status) status = q_vector_write(q_linear_context(linear), &c, w.best);
    else if (kept && w.best) (void)q_vector_write(q_linear_context(linear), &c, w.best); /* the first failure is told */
    if (report) report_on(&w, report);
    q_preconditioner_free(&w.inverse);
    free(w.done);
    free(memory);
    return status;
}
