/*
 * iterative.c: the method that stores no matrix: weights by quern_solve and the determinant by quern_log_determinant, both with the
 * sparse approximate inverse of inverse.c; traces of K^-1 dK by probes (Gibbs and MacKay 1997), of what that inverse leaves of them;
 * variances by a system for each point.
 * With a solution c of K c = k that is off by a residual r, k.K^-1 k is k.c + c.r but for r.K^-1 r, so residuals of variances need
 * only be as small as the root of what is asked for.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/gp/gp.h"
#include "quern/spectra.h"

enum { POINTS = 16, MOST_BY = 16 }; /* points, probes, and derivatives at once */

static bool tell(void *user, int64_t iteration, double residual)
{
    const quern_gp *gp = user;
    const quern_gp_options *o = &gp->options;
    return o->progress && o->progress(o->progress_user, "solution", iteration, residual);
}

/* G^T G vector. */
static quern_status precondition(void *user, int64_t R, const double *vector, double *result)
{
    const quern_gp *gp = user;
    double *between = malloc((size_t)(gp->N * R) * sizeof *between);
    if (!between) return q_fail_memory((size_t)(gp->N * R) * sizeof *between);
    q_gp_inverse_apply(gp, false, R, vector, between);
    q_gp_inverse_apply(gp, true, R, between, result);
    free(between);
    return QUERN_OK;
}

/* out = K in, N x R numbers, in float64 where the device has it, whatever the points' type: few products need it. */
static quern_status multiply(const quern_gp *gp, int64_t R, const double *in, double *out)
{
    size_t count = (size_t)(gp->N * R);
    if (quern_context_device(gp->context)->f64)
        return quern_linear_apply(gp->linear, quern_f64(in, gp->N, R), quern_f64(out, gp->N, R));
    float *singles = malloc(2 * count * sizeof *singles);
    if (!singles) return q_fail_memory(2 * count * sizeof *singles);
    for (size_t e = 0; e < count; e++) singles[e] = (float)in[e];
    quern_status status =
        quern_linear_apply(gp->linear, quern_f32(singles, gp->N, R), quern_f32(singles + count, gp->N, R));
    for (size_t e = 0; e < count && !status; e++) out[e] = (double)singles[count + e];
    free(singles);
    return status;
}

/* x = K^-1 b, N x R numbers. */
static quern_status solve(quern_gp *gp, const double *b, int64_t R, double tolerance, double *x)
{
    quern_solve_options how = {.size = sizeof how,
                               .tolerance = tolerance,
                               .iterations = gp->options.iterations,
                               .precondition = precondition,
                               .precondition_user = gp,
                               .progress = tell,
                               .progress_user = gp};
    quern_solve_report report = {.size = sizeof report};
    quern_status status = quern_solve(gp->linear, quern_f64(b, gp->N, R), quern_f64(x, gp->N, R), &how, &report);
    gp->report.products += report.iterations;
    gp->report.residual = fmax(gp->report.residual, report.residual);
    return status;
}

static quern_status iterative_solve(quern_gp *gp, double **out)
{
    bool constant = gp->options.mean == QUERN_GP_CONSTANT;
    size_t N = (size_t)gp->N, R = constant ? 2 : 1;
    double *sides = malloc(2 * N * R * sizeof *sides), *solved = sides + N * R;
    double *weights = *out = malloc(N * sizeof *weights);
    gp->ones = constant ? malloc(N * sizeof *gp->ones) : NULL;
    gp->report.residual = 0;
    bool made = sides && weights && (gp->ones || !constant);
    quern_status status =
        made ? q_kernel_operator(&gp->kernel, &gp->linear, gp->points, gp->points, *q_gp_noise(gp)->values)
             : q_fail_memory(2 * N * R * sizeof *sides);
    if (!status) status = q_gp_inverse_make(gp);
    for (size_t i = 0; i < N && !status; i++) {
        sides[i * R] = gp->v[i];
        if (constant) sides[2 * i + 1] = 1;
    }
    if (!status) status = solve(gp, sides, (int64_t)R, gp->options.tolerance, solved);
    for (size_t i = 0; i < N && !status; i++) {
        weights[i] = solved[i * R];
        if (constant) gp->ones[i] = solved[2 * i + 1];
    }
    free(sides);
    return status;
}

// ---- the determinant ----

/* G K G^T, whose eigenvalues are near 1. */
static quern_status multiply_preconditioned(void *user, bool transposed, int64_t R, const double *vector,
                                            double *result)
{
    quern_gp *gp = user;
    (void)transposed; /* it is symmetric */
    double *between = malloc((size_t)(gp->N * R) * sizeof *between);
    if (!between) return q_fail_memory((size_t)(gp->N * R) * sizeof *between);
    q_gp_inverse_apply(gp, true, R, vector, result);
    quern_status status = multiply(gp, R, result, between);
    if (!status) q_gp_inverse_apply(gp, false, R, between, result);
    free(between);
    return status;
}

static bool tell_determinant(void *user, int64_t iteration, double change)
{
    const quern_gp *gp = user;
    const quern_gp_options *o = &gp->options;
    return o->progress && o->progress(o->progress_user, "determinant", iteration, change);
}

static quern_status iterative_determinant(quern_gp *gp, double *value, double *error)
{
    quern_linear *preconditioned = NULL;
    quern_trace_options how = {.size = sizeof how,
                               .probes = gp->options.probes,
                               .preconditioner = QUERN_PRECONDITIONER_NONE,
                               .progress = tell_determinant,
                               .progress_user = gp};
    quern_trace_report report = {.size = sizeof report};
    quern_status status =
        quern_linear_from_function(&preconditioned, gp->context, gp->N, gp->N, multiply_preconditioned, gp);
    if (!status) status = quern_log_determinant(value, preconditioned, &how, &report);
    quern_linear_destroy(&preconditioned);
    gp->report.products += report.iterations;
    *value -= q_gp_inverse_log_determinant(gp);
    *error = hypot(report.error, report.truncation);
    return status;
}

// ---- derivatives ----

/* Adds factor times the gradients of <u, K v>, summed over right-hand sides, by the kernel's parameters and the noise. */
static quern_status add_form(quern_gp *gp, const double *u, const double *v, int64_t R, double factor, double *out)
{
    quern_arg places[Q_PARAMETERS];
    double *numbers = malloc(gp->kernel.numbers * sizeof *numbers), *at = numbers;
    void *u_room = NULL, *v_room = NULL;
    quern_view left, right;
    quern_status status = numbers ? q_kernel_view(&gp->kernel, &left, &u_room, u, gp->N, R)
                                  : q_fail_memory(gp->kernel.numbers * sizeof *at);
    if (!status) status = q_kernel_view(&gp->kernel, &right, &v_room, v, gp->N, R);
    for (size_t k = 0; k + 1 < gp->kernel.count && !status; at += gp->kernel.parameters[k++].length)
        places[k] = (quern_arg){gp->kernel.parameters[k].name, quern_f64(at, 1, gp->kernel.parameters[k].length)};
    for (size_t k = 0; k + 1 < gp->kernel.count && !status; k += MOST_BY) {
        size_t some = gp->kernel.count - 1 - k < MOST_BY ? gp->kernel.count - 1 - k : MOST_BY;
        status = quern_linear_gradient(gp->linear, left, right, (quern_args){places + k, some, 0, 0});
    }
    for (size_t k = 0; k + 1 < gp->kernel.numbers && !status; k++) out[k] += factor * numbers[k];
    if (!status) out[gp->kernel.numbers - 1] += factor * q_dot(u, v, gp->N * R);
    free(numbers);
    free(u_room);
    free(v_room);
    return status;
}

/* The trace of K^-1 dK: that of G^T G dK, which is known, and z.(K^-1 - G^T G) dK z on average, for vectors z of random signs; or its
   sum over those of a basis, if that is no more of them, as in the determinant. */
static quern_status add_traces(quern_gp *gp, double *room, double *out)
{
    bool basis = gp->options.probes >= gp->N;
    int64_t probes = basis ? gp->N : gp->options.probes;
    uint64_t state = Q_GP_SEED;
    Q_TRY(q_gp_inverse_traces(gp, -0.5, out));
    for (int64_t k = 0; k < probes; k += POINTS) {
        int64_t R = probes - k < POINTS ? probes - k : POINTS;
        double *z = room, *solved = z + gp->N * R, *known = solved + gp->N * R;
        for (int64_t e = 0; e < gp->N * R; e++)
            z[e] = basis ? k + e % R == e / R : q_random_next(&state) >> 63 ? 1 : -1;
        Q_TRY(solve(gp, z, R, sqrt(gp->options.tolerance), solved));
        Q_TRY(precondition(gp, R, z, known));
        for (int64_t e = 0; e < gp->N * R; e++) solved[e] -= known[e];
        Q_TRY(add_form(gp, solved, z, R, basis ? -0.5 : -0.5 / (double)probes, out));
    }
    return QUERN_OK;
}

static quern_status iterative_gradient(quern_gp *gp, double *out)
{
    size_t count = (size_t)(3 * gp->N * POINTS);
    double *room = malloc(count * sizeof *room);
    quern_status status = room ? QUERN_OK : q_fail_memory(count * sizeof *room);
    if (!status) status = add_form(gp, gp->weights, gp->weights, 1, 0.5, out);
    if (!status) status = add_traces(gp, room, out);
    free(room);
    return status;
}

// ---- variances ----

/* Kernels between all points and some others, a column each: N x R. `rows` has as many numbers. */
static quern_status read_columns(const quern_gp *gp, quern_args args, int64_t first, int64_t R, double *rows,
                                 double *out)
{
    void *room;
    quern_view to;
    Q_TRY(q_kernel_view(&gp->kernel, &to, &room, rows, R, gp->N));
    quern_status status =
        quern_pairs_block(gp->kernel.entries, args, (quern_span){first, first + R}, (quern_span){0, gp->N}, to);
    for (int64_t r = 0; r < R && !status; r++)
        for (int64_t i = 0; i < gp->N; i++)
            out[i * R + r] = room ? (double)((float *)room)[r * gp->N + i] : rows[r * gp->N + i];
    free(room);
    return status;
}

static quern_status iterative_explained(quern_gp *gp, quern_view points, double *out, double *sums)
{
    quern_arg args_room[Q_KERNEL_ARGS];
    quern_args args = q_kernel_args(&gp->kernel, args_room, points, gp->points);
    int64_t N = gp->N;
    double *k = malloc((size_t)(3 * N * POINTS) * sizeof *k), *c = k + N * POINTS, *product = k + 2 * N * POINTS;
    quern_status status = k ? QUERN_OK : q_fail_memory((size_t)(3 * N * POINTS) * sizeof *k);
    for (int64_t p = 0; p < points.rows && !status; p += POINTS) {
        int64_t R = points.rows - p < POINTS ? points.rows - p : POINTS;
        status = read_columns(gp, args, p, R, product, k);
        if (!status) status = solve(gp, k, R, sqrt(gp->options.tolerance), c);
        if (!status) status = multiply(gp, R, c, product);
        for (int64_t e = 0; e < N * R && !status; e++) {
            out[p + e % R] += c[e] * (2 * k[e] - product[e]);
            if (gp->ones) sums[p + e % R] += k[e] * gp->ones[e / R];
        }
    }
    free(k);
    return status;
}

const q_gp_way q_gp_iterative = {iterative_solve, iterative_determinant, iterative_gradient, iterative_explained};
