/*
 * inducing.c: the method of inducing points z (Titsias 2009): with A = L L^T the kernel of the M points z, C that of z with all
 * points and s the noise, the process is taken to be one of covariance Q = C^T A^-1 C, and
 *     log N(v; 0, Q + s) - tr(K - Q) / 2s
 * is never above the log marginal likelihood; it is the same where z are all points. All is exact, by columns of C a chunk at a
 * time, in V = L^-1 C and E E^T = 1 + V V^T / s, whose eigenvalues are 1 and more, so that the condition of A does little harm.
 * Memory is M x M and M x a chunk.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/gp/gp.h"

enum { CHUNK = 1 << 22, LEAST = 64, MOST = 4096, ROWS = 64 }; /* numbers of a chunk; columns of one; points at once */
static const double first_jitter = 1e-10, last_jitter = 1e-4;

static quern_status tell(const quern_gp *gp, const char *what, int64_t done)
{
    const quern_gp_options *o = &gp->options;
    if (!o->progress || !o->progress(o->progress_user, what, done, 0)) return QUERN_OK;
    return q_fail(QUERN_CANCELLED, "stopped by the callback at point %lld of %lld", (long long)done, (long long)gp->N);
}

static quern_status allocate(double **out, int64_t rows, int64_t columns)
{
    size_t count;
    if (!q_mul_size((size_t)rows, (size_t)columns, &count) || count > SIZE_MAX / sizeof **out)
        return q_fail_memory(SIZE_MAX);
    *out = calloc(count + 1, sizeof **out);
    return *out ? QUERN_OK : q_fail_memory(count * sizeof **out);
}

// ---- which points ----

quern_status q_gp_inducing_choose(quern_gp *gp)
{
    q_gp_inducing *g = &gp->inducing;
    Q_TRY(q_kernel_centres(&g->z, &g->M, &gp->kernel, "inducing_points", &gp->options.inducing_points, gp->x, gp->N,
                           gp->options.inducing));
    return q_kernel_view(&gp->kernel, &g->points, &g->singles, g->z, g->M, gp->D);
}

void q_gp_inducing_drop(q_gp_inducing *g)
{
    free(g->L), free(g->E), free(g->weights);
    g->L = g->E = g->weights = NULL;
}

void q_gp_inducing_free(q_gp_inducing *g)
{
    q_gp_inducing_drop(g);
    free(g->z), free(g->singles);
    *g = (q_gp_inducing){0};
}

// ---- chunks ----

/* Some columns of C, as rows of M numbers, and the same turned. */
typedef struct chunk {
    int64_t most, first, count; /* columns */
    double *rows, *turned;      /* count x M; M x count */
} chunk;

static quern_status chunk_make(chunk *c, const quern_gp *gp)
{
    int64_t M = gp->inducing.M, most = CHUNK / M;
    c->most = most < LEAST ? LEAST : most > MOST ? MOST : most;
    if (c->most > gp->N) c->most = gp->N;
    Q_TRY(allocate(&c->rows, c->most, M));
    return allocate(&c->turned, M, c->most);
}

static void chunk_free(chunk *c)
{
    free(c->rows), free(c->turned);
}

/* out = in^T, rows x columns and columns x rows. */
static void turn(const double *in, int64_t rows, int64_t columns, double *out)
{
    for (int64_t i = 0; i < rows; i += ROWS)
        for (int64_t j = 0; j < columns; j++)
            for (int64_t r = i; r < rows && r < i + ROWS; r++) out[j * rows + r] = in[r * columns + j];
}

static quern_status chunk_read(chunk *c, const quern_gp *gp)
{
    quern_arg room[Q_KERNEL_ARGS];
    const q_gp_inducing *g = &gp->inducing;
    c->count = gp->N - c->first < c->most ? gp->N - c->first : c->most;
    quern_args args = q_kernel_args(&gp->kernel, room, g->points, gp->points);
    Q_TRY(q_kernel_block(&gp->kernel, gp->kernel.entries, args, (quern_span){0, g->M},
                         (quern_span){c->first, c->first + c->count}, c->turned));
    turn(c->turned, g->M, c->count, c->rows);
    return QUERN_OK;
}

// ---- factors ----

/* The lower triangle of c -= a b^T. */
static void subtract_lower(double *c, const double *a, const double *b, int64_t n, int64_t inner)
{
    for (int64_t i = 0; i < n; i += ROWS) {
        int64_t rows = n - i < ROWS ? n - i : ROWS;
        q_rows_subtract_products((q_dense_rows){c + i * n, rows, n},
                                 (q_dense_rows){(double *)a + i * inner, rows, inner},
                                 (q_dense_rows){(double *)b, i + rows, inner}, inner);
    }
}

static void clear_upper(double *a, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i + 1; j < n; j++) a[i * n + j] = 0;
}

/* L, with as little more on the diagonal as it takes. */
static quern_status factor_inducing(quern_gp *gp)
{
    quern_arg room[Q_KERNEL_ARGS];
    q_gp_inducing *g = &gp->inducing;
    int64_t M = g->M, pivot = 0;
    quern_args args = q_kernel_args(&gp->kernel, room, g->points, g->points);
    Q_TRY(allocate(&g->L, M, M));
    for (g->jitter = first_jitter; g->jitter <= last_jitter && pivot >= 0; g->jitter *= pivot < 0 ? 1 : 10) {
        double mean = 0;
        Q_TRY(q_kernel_block(&gp->kernel, gp->kernel.entries, args, (quern_span){0, M}, (quern_span){0, M}, g->L));
        Q_TRY(q_kernel_check_symmetry(g->L, M < ROWS ? M : ROWS, M));
        for (int64_t m = 0; m < M; m++) mean += g->L[m * M + m] / (double)M;
        for (int64_t m = 0; m < M; m++) g->L[m * M + m] += g->jitter * mean;
        q_cholesky(g->L, M, &pivot);
    }
    clear_upper(g->L, M);
    if (pivot < 0) return QUERN_OK;
    q_fail(QUERN_NUMERIC, "the kernel of the inducing points is not positive definite, at point %lld of them",
           (long long)pivot);
    q_fail_next_step("check that the kernel is positive definite");
    return QUERN_NUMERIC;
}

/* What a pass over all points gives: E, L^-1 C v and L^-1 C 1, and the trace. */
static quern_status add_chunks(quern_gp *gp, chunk *c, double *sides)
{
    q_gp_inducing *g = &gp->inducing;
    int64_t M = g->M;
    for (c->first = 0; c->first < gp->N; c->first += c->count) {
        Q_TRY(chunk_read(c, gp));
        q_cholesky_forward(g->L, M, c->rows, c->count, 0);
        turn(c->rows, c->count, M, c->turned);
        subtract_lower(g->E, c->turned, c->turned, M, c->count);
        for (int64_t i = 0; i < c->count; i++) {
            const double *row = c->rows + i * M;
            g->left -= q_dot(row, row, M);
            for (int64_t m = 0; m < M; m++) {
                sides[m] += row[m] * gp->v[c->first + i];
                sides[M + m] += row[m];
            }
        }
        Q_TRY(tell(gp, "points", c->first + c->count));
    }
    return QUERN_OK;
}

/* The trace of K, or of its derivative. */
static quern_status add_diagonal(const quern_gp *gp, const quern_pairs *pairs, double factor, double *out)
{
    quern_arg room[Q_KERNEL_ARGS];
    int64_t length = quern_pairs_length(pairs);
    double *numbers;
    void *single = NULL;
    quern_view to;
    Q_TRY(allocate(&numbers, gp->N, length));
    quern_status status = q_kernel_view(&gp->kernel, &to, &single, numbers, gp->N, length);
    quern_args args = q_kernel_args(&gp->kernel, room, gp->points, gp->points);
    if (!status) status = quern_pairs_diagonal(pairs, args, (quern_span){0, gp->N}, to);
    for (int64_t k = 0; k < gp->N * length && !status; k++)
        out[k % length] += factor * (single ? (double)((float *)single)[k] : numbers[k]);
    free(single);
    free(numbers);
    return status;
}

static quern_status factor_all(quern_gp *gp)
{
    chunk c = {0};
    q_gp_inducing *g = &gp->inducing;
    double s = *q_gp_noise(gp)->values;
    int64_t M = g->M, pivot;
    if (s == 0) {
        q_fail(QUERN_USAGE, "noise is 0, and inducing points leave some of the values to it");
        q_fail_next_step("give a noise above 0, or choose another method");
        return QUERN_USAGE;
    }
    q_gp_inducing_drop(g);
    Q_TRY(factor_inducing(gp));
    Q_TRY(allocate(&g->E, M, M));
    Q_TRY(allocate(&g->weights, 2, M));
    g->all = 0;
    Q_TRY(add_diagonal(gp, gp->kernel.entries, 1, &g->all));
    g->left = g->all;
    quern_status status = chunk_make(&c, gp);
    if (!status) status = add_chunks(gp, &c, g->weights);
    chunk_free(&c);
    if (status) return status;
    for (int64_t k = 0; k < M * M; k++) g->E[k] /= -s;
    for (int64_t m = 0; m < M; m++) g->E[m * M + m] += 1;
    q_cholesky(g->E, M, &pivot);
    clear_upper(g->E, M);
    return pivot < 0 ? QUERN_OK : q_fail(QUERN_NUMERIC, "the noise, %g, is too small for this kernel", s);
}

/* For v and 1: the weights of the mean, L^-T (E E^T)^-1 V v / s, and (v - C^T weights) / s, N numbers. */
static quern_status find_weights(quern_gp *gp, double *solved[2])
{
    const q_gp_inducing *g = &gp->inducing;
    quern_linear *across = NULL;
    double s = *q_gp_noise(gp)->values;
    Q_TRY(q_kernel_operator(&gp->kernel, &across, gp->points, g->points, 0));
    quern_status status = QUERN_OK;
    for (int k = 0; k < 2 && !status; k++) {
        double *w = g->weights + k * g->M;
        void *in_room = NULL, *out_room = NULL;
        quern_view in, out;
        q_cholesky_forward(g->E, g->M, w, 1, 0);
        q_cholesky_backward(g->E, g->M, w);
        q_cholesky_backward(g->L, g->M, w);
        for (int64_t m = 0; m < g->M; m++) w[m] /= s;
        if (!solved[k]) continue;
        status = q_kernel_view(&gp->kernel, &in, &in_room, w, g->M, 1);
        if (!status) status = q_kernel_view(&gp->kernel, &out, &out_room, solved[k], gp->N, 1);
        if (!status) status = quern_linear_apply(across, in, out);
        for (int64_t i = 0; i < gp->N && !status; i++) {
            double fit = out_room ? (double)((float *)out_room)[i] : solved[k][i];
            solved[k][i] = ((k ? 1 : gp->v[i]) - fit) / s;
        }
        free(in_room);
        free(out_room);
    }
    quern_linear_destroy(&across);
    return status;
}

static quern_status inducing_solve(quern_gp *gp, double **solved)
{
    bool constant = gp->options.mean == QUERN_GP_CONSTANT;
    Q_TRY(factor_all(gp));
    Q_TRY(allocate(solved, gp->N, 1));
    if (constant) Q_TRY(allocate(&gp->ones, gp->N, 1));
    return find_weights(gp, (double *[2]){*solved, gp->ones});
}

static quern_status inducing_determinant(quern_gp *gp, double *value, double *error)
{
    const q_gp_inducing *g = &gp->inducing;
    double s = *q_gp_noise(gp)->values;
    *value = (double)gp->N * log(s), *error = 0;
    for (int64_t m = 0; m < g->M; m++) *value += 2 * log(g->E[m * g->M + m]);
    return QUERN_OK;
}

// ---- derivatives ----

/* Rows of the inverse of the transposed factor. */
static void invert(const double *L, int64_t n, double *out)
{
    memset(out, 0, (size_t)(n * n) * sizeof *out);
    for (int64_t i = 0; i < n; i++) out[i * n + i] = 1;
    for (int64_t i = 0; i < n; i += ROWS) q_cholesky_forward(L, n, out + i * n, n - i < ROWS ? n - i : ROWS, i);
}

static void subtract_all(double *c, const double *a, const double *b, int64_t rows, int64_t n)
{
    q_rows_subtract_products((q_dense_rows){c, rows, n}, (q_dense_rows){(double *)a, rows, n},
                             (q_dense_rows){(double *)b, n, n}, n);
}

/* out = X F X^T for a symmetric F and the rows X = L^-T. */
static void congruent(const double *X, const double *F, int64_t n, double *between, double *out)
{
    memset(between, 0, (size_t)(n * n) * sizeof *between);
    memset(out, 0, (size_t)(n * n) * sizeof *out);
    subtract_all(between, X, F, n, n);
    subtract_all(out, between, X, n, n);
}

/* The weights by which derivatives of A and of C are added, but for those of w: 1/2 of
   -(X (E E^T - 2 + (E E^T)^-1) X^T), and X (1 - (E E^T)^-1) X^T / s. */
static void find_forms(const quern_gp *gp, double *room, double *of_A, double *of_C, double *inverse_trace)
{
    const q_gp_inducing *g = &gp->inducing;
    int64_t n = g->M, count = n * n;
    double *X = room, *F = room + count, *Y = room + 2 * count, *between = room + 3 * count;
    double s = *q_gp_noise(gp)->values;
    invert(g->E, n, Y);
    memset(F, 0, (size_t)count * sizeof *F);
    subtract_all(F, Y, Y, n, n); /* -(E E^T)^-1 */
    *inverse_trace = 0;
    for (int64_t m = 0; m < n; m++) *inverse_trace -= F[m * n + m], F[m * n + m] += 1;
    invert(g->L, n, X);
    congruent(X, F, n, between, of_C);
    for (int64_t m = 0; m < n; m++) F[m * n + m] += 1;
    subtract_all(F, g->E, g->E, n, n);
    congruent(X, F, n, between, of_A);
    for (int64_t k = 0; k < count; k++) of_C[k] /= s, of_A[k] *= 0.5;
}

/* Adds the sums of `count` x M derivatives with their weights. */
static void add_products(const double *slopes, const double *weights, int64_t count, size_t length, double *out)
{
    for (int64_t k = 0; k < count; k++)
        for (size_t p = 0; p < length; p++) out[p] += weights[k] * slopes[(size_t)k * length + p];
}

static quern_status add_inducing(quern_gp *gp, double *of_A, double *slopes, double *out)
{
    quern_arg room[Q_KERNEL_ARGS];
    const q_gp_inducing *g = &gp->inducing;
    int64_t M = g->M;
    double more = 0;
    quern_args args = q_kernel_args(&gp->kernel, room, g->points, g->points);
    for (int64_t i = 0; i < M; i++)
        for (int64_t j = 0; j < M; j++) of_A[i * M + j] -= 0.5 * g->weights[i] * g->weights[j];
    for (int64_t i = 0; i < M; i++) more += g->jitter * of_A[i * M + i] / (double)M;
    for (int64_t i = 0; i < M; i++) of_A[i * M + i] += more;
    for (int64_t i = 0; i < M; i += ROWS) {
        int64_t rows = M - i < ROWS ? M - i : ROWS;
        Q_TRY(q_kernel_block(&gp->kernel, gp->kernel.slopes, args, (quern_span){i, i + rows}, (quern_span){0, M},
                             slopes));
        add_products(slopes, of_A + i * M, rows * M, gp->kernel.numbers - 1, out);
    }
    return QUERN_OK;
}

static quern_status add_points(quern_gp *gp, chunk *c, const double *of_C, double *slopes, double *out)
{
    quern_arg room[Q_KERNEL_ARGS];
    const q_gp_inducing *g = &gp->inducing;
    int64_t M = g->M;
    quern_args args = q_kernel_args(&gp->kernel, room, g->points, gp->points);
    for (c->first = 0; c->first < gp->N; c->first += c->count) {
        Q_TRY(chunk_read(c, gp));
        double *weights = c->turned; /* count x M, and turned again into rows */
        for (int64_t k = 0; k < c->count * M; k++) weights[k] = -gp->weights[c->first + k / M] * g->weights[k % M];
        subtract_all(weights, c->rows, of_C, c->count, M);
        turn(weights, c->count, M, c->rows);
        for (int64_t m = 0; m < M; m += ROWS) {
            int64_t rows = M - m < ROWS ? M - m : ROWS;
            Q_TRY(q_kernel_block(&gp->kernel, gp->kernel.slopes, args, (quern_span){m, m + rows},
                                 (quern_span){c->first, c->first + c->count}, slopes));
            for (int64_t k = 0; k < rows * c->count; k++) c->rows[m * c->count + k] *= -1;
            add_products(slopes, c->rows + m * c->count, rows * c->count, gp->kernel.numbers - 1, out);
        }
        Q_TRY(tell(gp, "derivatives", c->first + c->count));
    }
    return QUERN_OK;
}

static quern_status add_slopes(quern_gp *gp, double *of_A, const double *of_C, double *out)
{
    chunk c = {0};
    double *slopes = NULL, s = *q_gp_noise(gp)->values;
    quern_status status = q_kernel_slopes(&gp->kernel);
    if (!gp->kernel.slopes) return status;
    Q_TRY(chunk_make(&c, gp));
    int64_t width = c.most > gp->inducing.M ? c.most : gp->inducing.M;
    status = allocate(&slopes, ROWS * width, (int64_t)gp->kernel.numbers - 1);
    if (!status) status = add_diagonal(gp, gp->kernel.slopes, -0.5 / s, out);
    if (!status) status = add_inducing(gp, of_A, slopes, out);
    if (!status) status = add_points(gp, &c, of_C, slopes, out);
    free(slopes);
    chunk_free(&c);
    return status;
}

static quern_status inducing_gradient(quern_gp *gp, double *out)
{
    const q_gp_inducing *g = &gp->inducing;
    int64_t count = g->M * g->M;
    double *room, inverse_trace, s = *q_gp_noise(gp)->values;
    Q_TRY(allocate(&room, 6, count));
    double *of_A = room + 4 * count, *of_C = room + 5 * count;
    find_forms(gp, room, of_A, of_C, &inverse_trace);
    double trace = ((double)(gp->N - g->M) + inverse_trace) / s;
    out[gp->kernel.numbers - 1] += 0.5 * (q_dot(gp->weights, gp->weights, gp->N) - trace + fmax(0, g->left) / (s * s));
    quern_status status = add_slopes(gp, of_A, of_C, out);
    free(room);
    return status;
}

// ---- variances ----

static quern_status inducing_explained(quern_gp *gp, quern_view points, double *out, double *sums)
{
    quern_arg room[Q_KERNEL_ARGS];
    const q_gp_inducing *g = &gp->inducing;
    int64_t M = g->M;
    double *block;
    quern_args args = q_kernel_args(&gp->kernel, room, points, g->points);
    quern_status status = allocate(&block, ROWS, M);
    for (int64_t i = 0; i < points.rows && !status; i += ROWS) {
        int64_t rows = points.rows - i < ROWS ? points.rows - i : ROWS;
        status =
            q_kernel_block(&gp->kernel, gp->kernel.entries, args, (quern_span){i, i + rows}, (quern_span){0, M}, block);
        for (int pass = 0; pass < 2 && !status; pass++) {
            for (int64_t r = 0; r < rows && !pass; r++) sums[i + r] = q_dot(block + r * M, g->weights + M, M);
            q_cholesky_forward(pass ? g->E : g->L, M, block, rows, 0);
            for (int64_t r = 0; r < rows; r++) out[i + r] += (pass ? -1 : 1) * q_dot(block + r * M, block + r * M, M);
        }
        if (!status) status = tell(gp, "variances", i + rows);
    }
    free(block);
    return status;
}

const q_gp_way q_gp_by_inducing = {inducing_solve, inducing_determinant, inducing_gradient, inducing_explained};
