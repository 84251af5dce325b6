/*
 * cholesky.c: the factor of a dense symmetric matrix, by blocks of rows: the rows of a block are solved against the factor above
 * them, which is nearly all of the work and products of rows; then the block on the diagonal is factored. What is done with
 * right-hand sides, rows of another matrix, is the same.
 *
 * Products of rows are sums in 8 lanes, in one order, whatever the processor: the same bits everywhere. A tile of rows by rows
 * is compiled for wider vectors, too, and the processor asked which it has. Rows of large products are shared by threads.
 */
#include <math.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "apps/kernel/kernel.h"

enum { BLOCK = 64, DEPTH = 512, LANES = 8, THREADS = 16, WORK = 1 << 24 }; /* work: products worth a thread */

typedef double lanes __attribute__((vector_size(LANES * sizeof(double)), aligned(8), may_alias));

// ---- products of rows ----

/* c -= a b^T for R x R rows. */
static inline __attribute__((always_inline)) void tile_of(int R, q_dense_rows c, q_dense_rows a, q_dense_rows b,
                                                          int64_t inner)
{
    lanes sum[4][4] = {{{0}}};
    int64_t k = 0;
    for (; k + LANES <= inner; k += LANES)
        for (int i = 0; i < R; i++) {
            lanes left = *(const lanes *)(a.data + i * a.stride + k);
            for (int j = 0; j < R; j++) sum[i][j] += left * *(const lanes *)(b.data + j * b.stride + k);
        }
    for (int i = 0; i < R; i++)
        for (int j = 0; j < R; j++) {
            double all = 0;
            for (int l = 0; l < LANES; l++) all += sum[i][j][l];
            for (int64_t rest = k; rest < inner; rest++)
                all += a.data[i * a.stride + rest] * b.data[j * b.stride + rest];
            c.data[i * c.stride + j] -= all;
        }
}

typedef void tile_function(q_dense_rows c, q_dense_rows a, q_dense_rows b, int64_t inner);

static void tile_1(q_dense_rows c, q_dense_rows a, q_dense_rows b, int64_t inner)
{
    tile_of(1, c, a, b, inner);
}

static void tile_2(q_dense_rows c, q_dense_rows a, q_dense_rows b, int64_t inner)
{
    tile_of(2, c, a, b, inner);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void tile_2_avx2(q_dense_rows c, q_dense_rows a, q_dense_rows b, int64_t inner)
{
    tile_of(2, c, a, b, inner);
}

__attribute__((target("avx512f"))) static void tile_4_avx512(q_dense_rows c, q_dense_rows a, q_dense_rows b,
                                                             int64_t inner)
{
    tile_of(4, c, a, b, inner);
}
#endif

/* The tile for this processor, and how many rows it takes. */
static tile_function *best_tile(int *rows)
{
    *rows = 2;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) {
        *rows = 4;
        return tile_4_avx512;
    }
    if (__builtin_cpu_supports("avx2")) return tile_2_avx2;
#endif
    return tile_2;
}

static q_dense_rows rows_from(q_dense_rows a, int64_t row, int64_t column)
{
    return (q_dense_rows){a.data + row * a.stride + column, a.rows - row, a.stride};
}

static void subtract(q_dense_rows c, q_dense_rows a, q_dense_rows b, int64_t inner)
{
    int R;
    tile_function *tile = best_tile(&R);
    for (int64_t k = 0; k < inner; k += DEPTH) {
        int64_t depth = inner - k < DEPTH ? inner - k : DEPTH;
        for (int64_t j0 = 0; j0 < b.rows; j0 += BLOCK)
            for (int64_t i = 0, step; i < a.rows; i += step) {
                step = i + R <= a.rows ? R : 1;
                int64_t end = j0 + BLOCK < b.rows ? j0 + BLOCK : b.rows;
                for (int64_t j = j0, side; j < end; j += side) {
                    side = step == R && j + R <= end ? R : 1;
                    q_dense_rows to = rows_from(c, i, j), left = rows_from(a, i, k), right = rows_from(b, j, k);
                    if (side == R) tile(to, left, right, depth);
                    else
                        for (int64_t r = 0; r < step; r++)
                            tile_1(rows_from(to, r, 0), rows_from(left, r, 0), right, depth);
                }
            }
    }
}

/* Some rows of a product, for a thread. */
typedef struct share {
    pthread_t thread;
    bool beside; /* a thread has it */
    q_dense_rows c, a, b;
    int64_t inner;
} share;

static void *subtract_beside(void *user)
{
    const share *s = user;
    subtract(s->c, s->a, s->b, s->inner);
    return NULL;
}

/* How many threads are worth it. */
static int64_t count_shares(q_dense_rows a, q_dense_rows b, int64_t inner)
{
    int64_t parts = (int64_t)((double)a.rows * (double)b.rows * (double)inner / WORK),
            processors = (int64_t)sysconf(_SC_NPROCESSORS_ONLN);
    if (parts > processors) parts = processors;
    return parts < 1 ? 1 : parts > THREADS ? THREADS : parts;
}

/* Rows do not know of each other, so threads decide about nothing but time. */
void q_rows_subtract_products(q_dense_rows c, q_dense_rows a, q_dense_rows b, int64_t inner)
{
    share shares[THREADS];
    int64_t parts = count_shares(a, b, inner), each = (a.rows + parts - 1) / parts, count = 0;
    each = (each + 3) / 4 * 4; /* whole tiles */
    for (int64_t row = 0; row < a.rows; row += each, count++) {
        share *s = &shares[count];
        *s = (share){.c = rows_from(c, row, 0), .a = rows_from(a, row, 0), .b = b, .inner = inner};
        if (s->a.rows > each) s->a.rows = each;
        s->beside = row + each < a.rows && !pthread_create(&s->thread, NULL, subtract_beside, s);
        if (!s->beside) subtract_beside(s);
    }
    for (int64_t k = 0; k < count; k++)
        if (shares[k].beside) pthread_join(shares[k].thread, NULL);
}

// ---- factors ----

/* Rows b become L^-1 b for one block of L, n at most BLOCK; a lane has a row. */
static void solve_block(const double *L, int64_t stride, int64_t n, q_dense_rows b)
{
    lanes x[BLOCK];
    for (int64_t r = 0; r < b.rows; r += LANES) {
        int64_t some = b.rows - r < LANES ? b.rows - r : LANES;
        double *rows = b.data + r * b.stride;
        for (int64_t i = 0; i < n; i++) {
            lanes sum = {0};
            for (int64_t l = 0; l < some; l++) sum[l] = rows[l * b.stride + i];
            for (int64_t k = 0; k < i; k++) sum -= L[i * stride + k] * x[k];
            x[i] = sum / L[i * stride + i];
            for (int64_t l = 0; l < some; l++) rows[l * b.stride + i] = x[i][l];
        }
    }
}

/* Rows b become L^-1 b for the first n rows of a factor; they are 0 before number `from`. */
static void forward(const double *L, int64_t stride, int64_t n, q_dense_rows b, int64_t from)
{
    for (int64_t k = from; k < n; k += BLOCK) {
        int64_t size = n - k < BLOCK ? n - k : BLOCK;
        q_dense_rows of_factor = {(double *)L + k * stride + from, size, stride};
        q_rows_subtract_products(rows_from(b, 0, k), rows_from(b, 0, from), of_factor, k - from);
        solve_block(L + k * stride + k, stride, size, rows_from(b, 0, k));
    }
}

/* A block on the diagonal; false, with the row, at a pivot that is not positive. */
static bool factor_block(double *a, int64_t stride, int64_t n, int64_t *row)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++) {
            double sum = a[i * stride + j];
            for (int64_t k = 0; k < j; k++) sum -= a[i * stride + k] * a[j * stride + k];
            *row = i;
            if (i == j && !(sum > 0 && isfinite(sum))) return false;
            a[i * stride + j] = i == j ? sqrt(sum) : sum / a[j * stride + j];
        }
    return true;
}

void q_cholesky(double *a, int64_t n, int64_t *pivot)
{
    for (int64_t i = 0; i < n; i += BLOCK) {
        int64_t size = n - i < BLOCK ? n - i : BLOCK, row;
        q_dense_rows rows = {a + i * n, size, n};
        forward(a, n, i, rows, 0);
        q_rows_subtract_products(rows_from(rows, 0, i), rows, rows, i);
        if (!factor_block(a + i * n + i, n, size, &row)) {
            *pivot = i + row;
            return;
        }
    }
    *pivot = -1;
}

void q_cholesky_forward(const double *L, int64_t n, double *b, int64_t rows, int64_t from)
{
    forward(L, n, n, (q_dense_rows){b, rows, n}, from);
}

void q_cholesky_backward(const double *L, int64_t n, double *x)
{
    for (int64_t i = n - 1; i >= 0; i--) {
        x[i] /= L[i * n + i];
        for (int64_t k = 0; k < i; k++) x[k] -= L[i * n + k] * x[i];
    }
}
