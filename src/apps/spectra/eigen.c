/*
 * eigen.c: eigenpairs by block Lanczos with thick restarts (Wu and Simon 2000; Baglama, Calvetti, Reichel 2003). The basis V is
 * orthonormal to rounding, since each new block is orthogonalised twice against all of it, and H = V^T A V is what was computed, not
 * what a recurrence believes; so multiple eigenvalues are found, too. Of the basis, the first `done` vectors have their products in
 * H, which says of the Ritz pairs how large their residuals are: A V = V H + (what is behind `done`) times rows of H.
 * Randomised subspace iteration (Halko, Martinsson and Tropp 2011) is the other method: V is multiplied as a whole, made orthonormal
 * again, and as large as in the beginning.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/spectra/spectra.h"
#include "apps/views/views.h"

typedef struct work {
    const quern_linear *a;
    quern_eigen_options options;
    int64_t N, count, block, most; /* most: vectors of the basis, but for a block more */
    int64_t done, size;            /* vectors with products; all of them */
    int64_t room;                  /* numbers in a row of H */
    int64_t products, restarts;
    quern_dtype inner, outer;
    uint64_t state;
    double *V;                           /* vectors, one after the other */
    double *H;                           /* symmetric, but for rounding */
    double *in, *out;                    /* N x block numbers of a product */
    double *x, *entries;                 /* of one vector: its product, and that times the basis */
    double *small, *S, *theta, *scratch; /* Ritz values, ascending, and vectors: columns of done x done numbers */
    double *left;                        /* residuals of the wanted pairs */
    double *Y;                           /* the wanted vectors, one after the other; of a subspace, the products of V */
    double shift, farthest;              /* what a subspace is multiplied by is A plus a number: find_shift */
    double largest;                      /* of the Ritz values, without their signs */
    double residual;                     /* of the pairs that were returned */
} work;

static double *vector(const work *w, int64_t k)
{
    return w->V + k * w->N;
}

static double *entry(const work *w, int64_t row, int64_t column)
{
    return w->H + row * w->room + column;
}

static void add(const work *w, double *x, double factor, const double *y)
{
    for (int64_t i = 0; i < w->N; i++) x[i] += factor * y[i];
}

// ---- the basis ----

/* Takes what the basis has out of x, twice; what that was is added to the factors, if any. */
static void orthogonalise(const work *w, double *x, double *factors)
{
    for (int turn = 0; turn < 2; turn++)
        for (int64_t k = 0; k < w->size; k++) {
            double factor = q_vector_dot(w->N, vector(w, k), x);
            add(w, x, -factor, vector(w, k));
            if (factors) factors[k] += factor;
        }
}

static double normalise(const work *w, double *x)
{
    double size = sqrt(q_vector_dot(w->N, x, x));
    for (int64_t i = 0; i < w->N; i++) x[i] = size > 0 ? x[i] / size : 0;
    return size;
}

static void add_random(work *w)
{
    double *x = vector(w, w->size);
    for (int64_t i = 0; i < w->N; i++) x[i] = q_random_normal(&w->state);
    normalise(w, x);
    orthogonalise(w, x, NULL);
    normalise(w, x);
    w->size++;
}

/* out = A times so many vectors. */
static quern_status multiply(work *w, quern_dtype dtype, const double *vectors, int64_t count)
{
    for (int64_t i = 0; i < w->N; i++)
        for (int64_t r = 0; r < w->block; r++) w->in[i * w->block + r] = r < count ? vectors[r * w->N + i] : 0;
    return q_linear_product(w->a, dtype, w->block, w->in, w->out);
}

/* Entries of H that are known from both sides are those of a symmetric matrix. */
static quern_status check_column(work *w, int64_t column)
{
    double slack = w->inner == QUERN_F64 ? 1e-9 : 1e-4, off = 0;
    for (int64_t k = 0; k < w->size; k++) {
        if (!isfinite(w->entries[k])) return q_linear_not_finite(w->entries[k]);
        w->largest = fmax(w->largest, fabs(w->entries[k]));
        if (k < column) off = fmax(off, fabs(w->entries[k] - *entry(w, column, k)));
    }
    return off <= slack * w->largest ? QUERN_OK : q_linear_not_symmetric();
}

/* A vector's column of H from its product x, of which what is left, if it is something, becomes a vector of the basis. */
static quern_status take_product(work *w, int64_t column)
{
    memset(w->entries, 0, (size_t)w->room * sizeof *w->entries);
    double whole = sqrt(q_vector_dot(w->N, w->x, w->x));
    orthogonalise(w, w->x, w->entries);
    Q_TRY(check_column(w, column));
    for (int64_t k = 0; k < w->size; k++) *entry(w, k, column) = w->entries[k];
    if (w->size == w->N) return QUERN_OK;
    int64_t fresh = w->size;
    double left = normalise(w, w->x);
    memset(entry(w, fresh, 0), 0, (size_t)w->room * sizeof *w->H);
    if (left > 10 * DBL_EPSILON * whole) {
        memcpy(vector(w, fresh), w->x, (size_t)w->N * sizeof *w->x);
        *entry(w, fresh, column) = left;
        w->size++;
    } else add_random(w);
    return QUERN_OK;
}

/* Multiplies the vectors that have no products yet, and makes as many new ones, if there is room for them. */
static quern_status expand(work *w)
{
    int64_t first = w->done, count = w->size - first;
    Q_TRY(multiply(w, w->inner, vector(w, first), count));
    w->products++;
    for (int64_t r = 0; r < count; r++) {
        for (int64_t i = 0; i < w->N; i++) w->x[i] = w->out[i * w->block + r];
        Q_TRY(take_product(w, first + r));
    }
    w->done = first + count;
    return QUERN_OK;
}

// ---- Ritz pairs ----

/* Which of the Ritz pairs is the c-th that is wanted. */
static int64_t wanted(const work *w, int64_t c)
{
    int64_t low = 0, high = w->done - 1;
    if (w->options.which == QUERN_EIGEN_SMALLEST) return c;
    if (w->options.which == QUERN_EIGEN_LARGEST) return high - c;
    for (; c > 0; c--)
        if (fabs(w->theta[high]) >= fabs(w->theta[low])) high--;
        else low++;
    return fabs(w->theta[high]) >= fabs(w->theta[low]) ? high : low;
}

/* What a row of H behind the basis, times a Ritz vector, is: its residual along that vector. */
static double coupling(const work *w, int64_t row, int64_t pair)
{
    double sum = 0;
    for (int64_t k = 0; k < w->done; k++) sum += *entry(w, row, k) * w->S[k * w->done + pair];
    return sum;
}

/* The Ritz pairs, and the largest relative residual of those that are wanted. */
static quern_status find_pairs(work *w)
{
    int64_t n = w->done;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) w->small[i * n + j] = 0.5 * (*entry(w, i, j) + *entry(w, j, i));
    if (!q_symmetric_eigen(n, w->small, w->theta, w->S, w->scratch))
        return q_fail(QUERN_NUMERIC, "the eigenvalues of %lld x %lld numbers do not converge", (long long)n,
                      (long long)n);
    w->largest = fmax(fabs(w->theta[0]), fabs(w->theta[n - 1]));
    w->residual = n < w->count ? INFINITY : 0;
    for (int64_t c = 0; c < w->count && c < n; c++) {
        double square = 0;
        for (int64_t row = n; row < w->size; row++) square += pow(coupling(w, row, wanted(w, c)), 2);
        w->residual = fmax(w->residual, w->largest > 0 ? sqrt(square) / w->largest : 0);
    }
    return QUERN_OK;
}

/* out[c] = the Ritz vectors that are wanted, `count` of them, N numbers each; `stride` apart. */
static void combine(const work *w, int64_t count, double *out)
{
    memset(out, 0, (size_t)(count * w->N) * sizeof *out);
    for (int64_t c = 0; c < count; c++) {
        int64_t pair = wanted(w, c);
        for (int64_t k = 0; k < w->done; k++) add(w, out + c * w->N, w->S[k * w->done + pair], vector(w, k));
    }
}

/* Keeps the best of the Ritz vectors, and what is behind the basis. */
static quern_status restart(work *w)
{
    int64_t keep = (w->count + w->done) / 2, behind = w->size - w->done;
    if (keep > w->most - behind) keep = w->most - behind;
    double *kept = malloc((size_t)(keep * w->N) * sizeof *kept),
           *rows = malloc((size_t)(behind * keep + 1) * sizeof *rows);
    double *values = malloc((size_t)keep * sizeof *values);
    quern_status status = kept && rows && values ? QUERN_OK : q_fail_memory((size_t)(keep * w->N) * sizeof *kept);
    if (!status) {
        combine(w, keep, kept);
        for (int64_t c = 0; c < keep; c++) {
            values[c] = w->theta[wanted(w, c)];
            for (int64_t b = 0; b < behind; b++) rows[b * keep + c] = coupling(w, w->done + b, wanted(w, c));
        }
        memset(w->H, 0, (size_t)(w->room * w->room) * sizeof *w->H);
        for (int64_t c = 0; c < keep; c++) {
            *entry(w, c, c) = values[c];
            for (int64_t b = 0; b < behind; b++) *entry(w, keep + b, c) = rows[b * keep + c];
        }
        memmove(vector(w, keep), vector(w, w->done), (size_t)(behind * w->N) * sizeof *kept);
        memcpy(w->V, kept, (size_t)(keep * w->N) * sizeof *kept);
        w->done = keep, w->size = keep + behind;
        w->restarts++;
    }
    free(kept);
    free(rows);
    free(values);
    return status;
}

static quern_status tell(const work *w)
{
    const quern_eigen_options *o = &w->options;
    if (!o->progress || !o->progress(o->progress_user, w->products, w->residual)) return QUERN_OK;
    return q_fail(QUERN_CANCELLED, "stopped by its callback after %lld product%s, at a residual of %.3g",
                  (long long)w->products, Q_S(w->products), w->residual);
}

static quern_status iterate(work *w)
{
    while (w->size < w->block && w->size < w->N) add_random(w);
    for (w->residual = INFINITY; w->products < w->options.iterations;) {
        Q_TRY(expand(w));
        bool full = w->size > w->most, whole = w->done == w->N;
        if (full || whole || w->products % 4 == 0 || w->products == w->options.iterations) {
            Q_TRY(find_pairs(w));
            if (w->residual <= 0.5 * w->options.tolerance || whole) return QUERN_OK;
        }
        Q_TRY(tell(w));
        if (full && w->products < w->options.iterations) Q_TRY(restart(w));
    }
    return QUERN_OK;
}

// ---- subspace iteration ----

/* Y = A V, and H. */
static quern_status multiply_all(work *w)
{
    for (int64_t first = 0; first < w->size; first += w->block) {
        int64_t some = w->size - first < w->block ? w->size - first : w->block;
        Q_TRY(multiply(w, w->inner, vector(w, first), some));
        w->products++;
        for (int64_t r = 0; r < some; r++)
            for (int64_t i = 0; i < w->N; i++) w->Y[(first + r) * w->N + i] = w->out[i * w->block + r];
    }
    for (int64_t k = 0; k < w->size; k++) {
        for (int64_t l = 0; l < w->size; l++) w->entries[l] = q_vector_dot(w->N, vector(w, l), w->Y + k * w->N);
        Q_TRY(check_column(w, k));
        for (int64_t l = 0; l < w->size; l++) *entry(w, l, k) = w->entries[l];
    }
    w->done = w->size;
    return QUERN_OK;
}

/* The largest relative residual of the wanted pairs, from Y. */
static void find_residual(work *w)
{
    for (int64_t c = 0; c < w->count; c++) {
        int64_t pair = wanted(w, c);
        memset(w->x, 0, (size_t)w->N * sizeof *w->x);
        for (int64_t k = 0; k < w->done; k++) {
            double factor = w->S[k * w->done + pair];
            add(w, w->x, factor, w->Y + k * w->N);
            add(w, w->x, -factor * w->theta[pair], vector(w, k));
        }
        double size = sqrt(q_vector_dot(w->N, w->x, w->x));
        w->residual = fmax(w->residual, w->largest > 0 ? size / w->largest : 0);
    }
}

/* The middle of the eigenvalues without a vector, from the farthest that was met to the last that has one, becomes 0. What is farther
   than was met is larger in magnitude then than they are, so that it will be met. */
static void find_shift(work *w)
{
    if (w->options.which == QUERN_EIGEN_MAGNITUDE) return;
    bool smallest = w->options.which == QUERN_EIGEN_SMALLEST;
    double last = smallest ? w->theta[w->done - 1] : w->theta[0];
    w->farthest = smallest ? fmax(w->farthest, last) : fmin(w->farthest, last);
    w->shift = -0.5 * (w->farthest + last);
}

/* V = (A + shift) times the Ritz vectors, best first, made orthonormal. */
static void turn_basis(work *w)
{
    int64_t n = w->done;
    for (int64_t i = 0; i < w->N; i++) {
        for (int64_t k = 0; k < n; k++) w->entries[k] = w->Y[k * w->N + i] + w->shift * vector(w, k)[i];
        for (int64_t c = 0; c < n; c++) {
            double sum = 0;
            for (int64_t k = 0; k < n; k++) sum += w->small[c * n + k] * w->entries[k];
            vector(w, c)[i] = sum;
        }
    }
    for (w->size = 0; w->size < n;) {
        double *x = vector(w, w->size), whole = sqrt(q_vector_dot(w->N, x, x));
        orthogonalise(w, x, NULL);
        if (normalise(w, x) > 10 * DBL_EPSILON * whole) w->size++;
        else add_random(w);
    }
}

static quern_status iterate_subspace(work *w)
{
    w->farthest = w->options.which == QUERN_EIGEN_SMALLEST ? -INFINITY : INFINITY;
    while (w->size < w->most) add_random(w);
    for (w->residual = INFINITY;;) {
        Q_TRY(multiply_all(w));
        Q_TRY(find_pairs(w));
        find_residual(w);
        bool last = w->products + (w->size + w->block - 1) / w->block > w->options.iterations;
        if (w->residual <= 0.5 * w->options.tolerance || w->size == w->N || last) return QUERN_OK;
        Q_TRY(tell(w));
        find_shift(w);
        for (int64_t c = 0; c < w->done; c++)
            for (int64_t k = 0; k < w->done; k++) w->small[c * w->done + k] = w->S[k * w->done + wanted(w, c)];
        turn_basis(w);
    }
}

// ---- what is returned ----

/* The vectors, their Rayleigh quotients, and their residuals, from products in the better type. */
static quern_status refine(work *w, double *values)
{
    w->residual = w->count <= w->done ? 0 : INFINITY;
    combine(w, w->count < w->done ? w->count : w->done, w->Y);
    for (int64_t c = 0; c < w->count; c += w->block) {
        int64_t some = w->count - c < w->block ? w->count - c : w->block;
        Q_TRY(multiply(w, w->outer, w->Y + c * w->N, some));
        for (int64_t r = 0; r < some; r++) {
            double *y = w->Y + (c + r) * w->N;
            for (int64_t i = 0; i < w->N; i++) w->x[i] = w->out[i * w->block + r];
            values[c + r] = q_vector_dot(w->N, w->x, y);
            add(w, w->x, -values[c + r], y);
            w->left[c + r] = sqrt(q_vector_dot(w->N, w->x, w->x));
            if (c + r >= w->done) values[c + r] = w->left[c + r] = NAN;
            else w->residual = fmax(w->residual, w->largest > 0 ? w->left[c + r] / w->largest : 0);
        }
    }
    return QUERN_OK;
}

static quern_status write_vectors(const work *w, const quern_view *to)
{
    double *turned = malloc((size_t)(w->N * w->count) * sizeof *turned);
    if (!turned) return q_fail_memory((size_t)(w->N * w->count) * sizeof *turned);
    for (int64_t i = 0; i < w->N; i++)
        for (int64_t c = 0; c < w->count; c++) turned[i * w->count + c] = w->Y[c * w->N + i];
    quern_status status = q_vector_write(q_linear_context(w->a), to, turned);
    free(turned);
    return status;
}

static quern_status give(work *w, const quern_view *values, const quern_view *vectors)
{
    quern_context *context = q_linear_context(w->a);
    double *numbers = calloc((size_t)w->count, sizeof *numbers);
    if (!numbers) return q_fail_memory((size_t)w->count * sizeof *numbers);
    quern_status status = refine(w, numbers);
    if (!status) status = q_vector_write(context, values, numbers);
    if (!status && vectors->columns) status = write_vectors(w, vectors);
    if (!status && w->options.residuals.columns) status = q_vector_write(context, &w->options.residuals, w->left);
    free(numbers);
    return status;
}

static quern_status not_reached(const work *w)
{
    bool subspace = w->options.method == QUERN_EIGEN_SUBSPACE;
    bool limit = w->done < w->N && (subspace || w->products >= w->options.iterations);
    q_fail(QUERN_NUMERIC, "the largest relative residual is %.3g after %lld product%s, not %.3g: %s", w->residual,
           (long long)w->products, Q_S(w->products), w->options.tolerance,
           limit ? "the limit of iterations is reached" : "that is the rounding of the products");
    q_fail_next_step(limit ? "allow more iterations, a larger basis or a larger tolerance"
                           : "allow a larger tolerance, or give float64 arrays");
    return QUERN_NUMERIC;
}

// ---- the call ----

static quern_status allocate(work *w)
{
    size_t N = (size_t)w->N, n = (size_t)w->room, count = (size_t)w->count;
    bool subspace = w->options.method == QUERN_EIGEN_SUBSPACE;
    struct {
        double **at;
        size_t numbers;
    } parts[] = {{&w->V, n * N},
                 {&w->H, n * n},
                 {&w->in, N * (size_t)w->block},
                 {&w->out, N * (size_t)w->block},
                 {&w->x, N},
                 {&w->entries, n},
                 {&w->small, n * n},
                 {&w->S, n * n},
                 {&w->theta, n},
                 {&w->scratch, 2 * n},
                 {&w->left, count},
                 {&w->Y, (subspace ? n : count) * N}};
    for (size_t k = 0; k < Q_COUNT(parts); k++) {
        *parts[k].at = calloc(parts[k].numbers + 1, sizeof(double));
        if (!*parts[k].at) return q_fail_memory(parts[k].numbers * sizeof(double));
    }
    return QUERN_OK;
}

static void release(work *w)
{
    double *parts[] = {w->V,     w->H, w->in,    w->out,     w->x,    w->entries,
                       w->small, w->S, w->theta, w->scratch, w->left, w->Y};
    for (size_t k = 0; k < Q_COUNT(parts); k++) free(parts[k]);
}

/* A subspace has twice the vectors that are wanted, and what its last product has room for. */
static void find_sizes(work *w)
{
    const quern_eigen_options *o = &w->options;
    bool subspace = o->method == QUERN_EIGEN_SUBSPACE;
    w->block = o->block ? o->block : subspace ? Q_RHS_CHUNK : 8;
    int64_t usual = subspace ? (2 * w->count + w->block - 1) / w->block * w->block : 2 * w->count + 12 * w->block;
    int64_t least = subspace ? w->count : w->count + 2 * w->block;
    w->most = o->basis ? o->basis : usual;
    if (w->most < least) w->most = least;
    if (w->most > w->N) w->most = w->N;
    w->room = w->most + (subspace ? 0 : w->block);
}

static quern_status check_options(work *w, const quern_eigen_options *given)
{
    quern_eigen_options *o = &w->options;
    Q_TRY(q_options_copy(o, sizeof *o, given, "quern_eigen_options"));
    Q_TRY(q_choice_check("kind of eigenvalues", (int)o->which, QUERN_EIGEN_MAGNITUDE));
    Q_TRY(q_choice_check("method", (int)o->method, QUERN_EIGEN_SUBSPACE));
    Q_TRY(q_range_check("tolerance", o->tolerance, 0, 1));
    Q_TRY(q_range_check("iterations", (double)o->iterations, 0, HUGE_VAL));
    Q_TRY(q_range_check("block", (double)o->block, 0, Q_RHS_CHUNK));
    Q_TRY(q_range_check("basis", (double)o->basis, 0, HUGE_VAL));
    if (o->tolerance == 0) o->tolerance = q_linear_dtype(w->a) == QUERN_F64 ? 1e-10 : 1e-5;
    if (!o->iterations) o->iterations = 1000;
    find_sizes(w);
    w->outer = quern_context_device(q_linear_context(w->a))->f64 ? QUERN_F64 : q_linear_dtype(w->a);
    w->inner = o->tolerance < 1e-5 ? w->outer : q_linear_dtype(w->a);
    w->state = o->seed + 5;
    return QUERN_OK;
}

static quern_status check(work *w, const quern_view *values, const quern_view *vectors)
{
    if (w->N != quern_linear_columns(w->a))
        return q_fail(QUERN_SHAPE, "an operator of %lld x %lld has no eigenvalues", (long long)w->N,
                      (long long)quern_linear_columns(w->a));
    Q_TRY(q_vector_check("values", values, w->count, 1));
    if (w->count > w->N)
        return q_fail(QUERN_SHAPE, "%lld eigenvalues are asked for, of %lld", (long long)w->count, (long long)w->N);
    if (vectors->columns) Q_TRY(q_vector_check("vectors", vectors, w->N, w->count));
    if (w->options.residuals.columns) Q_TRY(q_vector_check("residuals", &w->options.residuals, w->count, 1));
    return QUERN_OK;
}

static quern_status find(work *w, const quern_view *values, const quern_view *vectors)
{
    Q_TRY(allocate(w));
    bool subspace = w->options.method == QUERN_EIGEN_SUBSPACE;
    quern_status status = subspace ? iterate_subspace(w) : iterate(w), given = QUERN_OK;
    q_failure failure;
    if (status == QUERN_CANCELLED) q_failure_keep(&failure);
    if (status && status != QUERN_CANCELLED) return status;
    if (status && w->done) given = find_pairs(w);
    if (!given) given = give(w, values, vectors);
    if (status) return given ? given : q_failure_tell(&failure, "");
    return given ? given : w->residual <= w->options.tolerance ? QUERN_OK : not_reached(w);
}

quern_status quern_eigenpairs(const quern_linear *linear, quern_view values, quern_view vectors,
                              const quern_eigen_options *options, quern_eigen_report *report)
{
    if (!linear) return q_fail_null(__func__, "the operator");
    work w = {.a = linear, .N = quern_linear_rows(linear), .count = values.rows};
    Q_TRY(check_options(&w, options));
    Q_TRY(check(&w, &values, &vectors));
    quern_status status = w.count ? find(&w, &values, &vectors) : QUERN_OK;
    quern_eigen_report all = {.size = sizeof all,
                              .iterations = w.products,
                              .restarts = w.restarts,
                              .residual = w.residual,
                              .exact = w.outer == QUERN_F64,
                              .converged = !status};
    if (report) q_report_copy(report, &all, sizeof all);
    release(&w);
    return status;
}
