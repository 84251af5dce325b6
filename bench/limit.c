/*
 * limit.c: the hand-written Gaussian sum of limit.h. Rows are cut into blocks of ROWS, which threads take from a common
 * counter; a block walks all columns with its rows in vector registers. Everything that depends on one column only is
 * computed once, in struct column, and read as broadcasts.
 *
 * The exponential: coordinates are scaled by sqrt(log2 e), so that exp(-|x-y|^2) = 2^t with t <= 0. With AVX-512,
 * t = n + k/32 + f with 0 <= f < 1/32: 2^(k/32) comes from a table in two registers (vpermi2ps), 2^n from vscalefps,
 * and 2^f b_j is a quadratic whose coefficients are multiplied by b_j beforehand (relative error 5e-8): the table
 * method of Tang, ACM TOMS 15 (1989). With AVX2, t = n + k/8 + f with |f| <= 1/16: a table in one register (vpermd), a cubic
 * (2e-8), and n is added to the exponent field. Elsewhere n is rounded by adding 1.5 * 2^23 and 2^f is the polynomial of
 * degree 5 for |f| <= 1/2 (relative error 2e-7, Chebyshev interpolation).
 */
#define _POSIX_C_SOURCE 200809L
#include "limit.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

enum { ROWS = 32, TERMS = 256, STEPS = 32, MAX_THREADS = 1024 };

static const double scale = 1.2011224087864498; /* sqrt(log2 e) */

/* One column: its scaled point, its weight, and the weight times the coefficients of the polynomial for 2^f. */
typedef struct column {
    float y[3], b, c[4];
} column;

/* A block of rows: its scaled points by coordinate, and their sums. */
typedef struct block {
    float x[3][ROWS], a[ROWS];
} block;

typedef struct job {
    block *blocks;
    const column *columns;
    int64_t block_count, column_count;
    atomic_llong next;
    float table[STEPS]; /* 2^(k/32) */
} job;

typedef void block_kernel(block *rows, const job *work);

/* ---- kernels ---------------------------------------------------------------------------------------------------- */

#if defined(__x86_64__)
/* Two vectors of 16 rows are enough to hide the latencies. Per vector and column, a Zen 5 core has 6 operations for its
   two multiplying pipes and 8 for its two adding pipes (vscalefps takes two), so 4 cycles at the very least. */
__attribute__((target("avx512f"))) static void block_avx512(block *rows, const job *work)
{
    enum { VECTORS = ROWS / 16 };
    const __m512 low = _mm512_loadu_ps(work->table), high = _mm512_loadu_ps(work->table + 16);
    const __m512 magic = _mm512_set1_ps(0x1.8p23f / STEPS), zero = _mm512_setzero_ps();
    const column *columns = work->columns;
    __m512 x[3][VECTORS], sum[VECTORS], total[VECTORS];
    for (int v = 0; v < VECTORS; v++) {
        for (int d = 0; d < 3; d++) x[d][v] = _mm512_loadu_ps(rows->x[d] + 16 * v);
        total[v] = zero;
    }
    for (int64_t start = 0, end; start < work->column_count; start = end) {
        end = start + TERMS < work->column_count ? start + TERMS : work->column_count;
        for (int v = 0; v < VECTORS; v++) sum[v] = zero;
        for (int64_t j = start; j < end; j++) {
            const column *c = &columns[j];
            const __m512 y0 = _mm512_set1_ps(c->y[0]), y1 = _mm512_set1_ps(c->y[1]), y2 = _mm512_set1_ps(c->y[2]);
            const __m512 b0 = _mm512_set1_ps(c->c[0]), b1 = _mm512_set1_ps(c->c[1]), b2 = _mm512_set1_ps(c->c[2]);
            UNROLL for (int v = 0; v < VECTORS; v++)
            {
                const __m512 d0 = _mm512_sub_ps(x[0][v], y0), d1 = _mm512_sub_ps(x[1][v], y1);
                const __m512 d2 = _mm512_sub_ps(x[2][v], y2);
                __m512 t = _mm512_fnmadd_ps(d2, d2, zero);
                t = _mm512_fnmadd_ps(d0, d0, _mm512_fnmadd_ps(d1, d1, t));
                /* Rounding down leaves floor(32 t) in the low bits; vpermi2ps reads the lowest five of them. */
                const __m512 z = _mm512_add_round_ps(t, magic, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
                const __m512 f = _mm512_sub_ps(t, _mm512_sub_ps(z, magic));
                const __m512 step = _mm512_permutex2var_ps(low, _mm512_castps_si512(z), high);
                const __m512 power = _mm512_fmadd_ps(_mm512_fmadd_ps(b2, f, b1), f, b0);
                sum[v] = _mm512_fmadd_ps(_mm512_scalef_ps(step, t), power, sum[v]);
            }
        }
        for (int v = 0; v < VECTORS; v++) total[v] = _mm512_add_ps(total[v], sum[v]);
    }
    for (int v = 0; v < VECTORS; v++) _mm512_storeu_ps(rows->a + 16 * v, total[v]);
}

/* Two vectors of 8 rows: 17 operations for each and a column, of which 7 are multiplying, 6 adding. */
__attribute__((target("avx2,fma"))) static void block_avx2(block *rows, const job *work)
{
    enum { VECTORS = 2 };
    /* 2^(k/8) without k/8 * 2^23, which adding t's lowest bits to the exponent field gives back */
    const __m256i table = _mm256_setr_epi32(0x3f800000, 0x3f7b95c2, 0x3f7837f0, 0x3f75fed7, 0x3f7504f3, 0x3f75672a,
                                            0x3f7744fd, 0x3f7ac0c7);
    const __m256 magic = _mm256_set1_ps(0x1.8p20f), zero = _mm256_setzero_ps();
    const __m256 least = _mm256_set1_ps(-126.0f); /* 2^-126 vanishes beside any term that float32 can show */
    for (int first = 0; first < ROWS; first += 8 * VECTORS) {
        __m256 x[3][VECTORS], sum[VECTORS], total[VECTORS];
        for (int v = 0; v < VECTORS; v++) {
            for (int d = 0; d < 3; d++) x[d][v] = _mm256_loadu_ps(rows->x[d] + first + 8 * v);
            total[v] = zero;
        }
        for (int64_t start = 0, end; start < work->column_count; start = end) {
            end = start + TERMS < work->column_count ? start + TERMS : work->column_count;
            for (int v = 0; v < VECTORS; v++) sum[v] = zero;
            for (int64_t j = start; j < end; j++) {
                const column *c = &work->columns[j];
                const __m256 y0 = _mm256_set1_ps(c->y[0]), y1 = _mm256_set1_ps(c->y[1]), y2 = _mm256_set1_ps(c->y[2]);
                const __m256 b0 = _mm256_set1_ps(c->c[0]), b1 = _mm256_set1_ps(c->c[1]);
                const __m256 b2 = _mm256_set1_ps(c->c[2]), b3 = _mm256_set1_ps(c->c[3]);
                UNROLL for (int v = 0; v < VECTORS; v++)
                {
                    const __m256 d0 = _mm256_sub_ps(x[0][v], y0), d1 = _mm256_sub_ps(x[1][v], y1);
                    const __m256 d2 = _mm256_sub_ps(x[2][v], y2);
                    __m256 t = _mm256_fnmadd_ps(d2, d2, zero);
                    t = _mm256_max_ps(_mm256_fnmadd_ps(d0, d0, _mm256_fnmadd_ps(d1, d1, t)), least);
                    const __m256 z = _mm256_add_ps(t, magic), f = _mm256_sub_ps(t, _mm256_sub_ps(z, magic));
                    const __m256i bits = _mm256_castps_si256(z);
                    const __m256i power =
                        _mm256_add_epi32(_mm256_permutevar8x32_epi32(table, bits), _mm256_slli_epi32(bits, 20));
                    const __m256 cubic = _mm256_fmadd_ps(_mm256_fmadd_ps(_mm256_fmadd_ps(b3, f, b2), f, b1), f, b0);
                    sum[v] = _mm256_fmadd_ps(_mm256_castsi256_ps(power), cubic, sum[v]);
                }
            }
            for (int v = 0; v < VECTORS; v++) total[v] = _mm256_add_ps(total[v], sum[v]);
        }
        for (int v = 0; v < VECTORS; v++) _mm256_storeu_ps(rows->a + first + 8 * v, total[v]);
    }
}
#endif

/* For any instruction set, in the compiler's vector extensions. Contraction of a * b + c into one operation is left to the
   compiler (-ffp-contract=fast). */
static void block_generic(block *rows, const job *work)
{
    enum { VECTORS = 2, WIDTH = 4 };
    typedef float real __attribute__((vector_size(4 * WIDTH)));
    typedef uint32_t word __attribute__((vector_size(4 * WIDTH)));
    const real least = (real){0} - 126.0f; /* 2^-126 vanishes beside any term that float32 can show */
    for (int first = 0; first < ROWS; first += WIDTH * VECTORS) {
        real x[3][VECTORS], total[VECTORS];
        memset(total, 0, sizeof total);
        for (int d = 0; d < 3; d++) memcpy(x[d], rows->x[d] + first, sizeof x[d]);
        for (int64_t start = 0, end; start < work->column_count; start = end) {
            end = start + TERMS < work->column_count ? start + TERMS : work->column_count;
            real sum[VECTORS];
            memset(sum, 0, sizeof sum);
            for (int64_t j = start; j < end; j++) {
                const column *c = &work->columns[j];
                UNROLL for (int v = 0; v < VECTORS; v++)
                {
                    const real d0 = x[0][v] - c->y[0], d1 = x[1][v] - c->y[1], d2 = x[2][v] - c->y[2];
                    const real exact = -(d0 * d0 + d1 * d1 + d2 * d2);
                    const word small = (word)(exact < least);
                    const real t = (real)(((word)least & small) | ((word)exact & ~small));
                    const real z = t + 0x1.8p23f, f = t - (z - 0x1.8p23f);
                    real p = f * 1.3390863e-3f + 9.6760319e-3f;
                    p = p * f + 5.5503571e-2f;
                    p = p * f + 2.4022107e-1f;
                    p = p * f + 6.9314719e-1f;
                    p = p * f + 1.0f;
                    sum[v] = (real)((word)p + ((word)z << 23)) * c->b + sum[v];
                }
            }
            UNROLL for (int v = 0; v < VECTORS; v++) total[v] += sum[v];
        }
        memcpy(rows->a + first, total, sizeof total);
    }
}

/* ---- choice, packing, threads ------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    block_kernel *kernel;
    double power[4]; /* the polynomial for 2^f */
} kinds[] = {
#if defined(__x86_64__)
    /* interpolated at the three Chebyshev nodes of 0 <= f < 1/32; fit `exp2_cubic` of tools/minimax.py */
    {"avx512", block_avx512, {1.00000005336491, 0.6931164516042072, 0.2428441824249552, 0}},
    {"avx2", block_avx2, {1, 0.693147242, 0.240257636, 0.0554962233}},
#endif
    {"generic", block_generic, {0}},
};

/* The index into kinds of the one that BENCH_LIMIT names, else of the widest instruction set that this processor has. */
static size_t kind_choose(void)
{
    const char *asked = getenv("BENCH_LIMIT");
    for (size_t k = 0; asked && k < sizeof kinds / sizeof *kinds; k++)
        if (!strcmp(asked, kinds[k].name)) return k;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return 0;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 1 : 2;
#else
    return 0;
#endif
}

const char *limit_kind(void)
{
    return kinds[kind_choose()].name;
}

int limit_threads(void)
{
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online < 1 ? 1 : online > MAX_THREADS ? MAX_THREADS : (int)online;
}

/* Rows past m repeat the last one: their sums are computed and dropped. */
static void rows_pack(block *blocks, int64_t count, const float *x, int64_t m)
{
    for (int64_t i = 0; i < count * ROWS; i++) {
        const float *point = x + 3 * (i < m ? i : m - 1);
        for (int d = 0; d < 3; d++) blocks[i / ROWS].x[d][i % ROWS] = (float)(point[d] * scale);
    }
}

static void columns_pack(column *columns, const float *y, const float *b, int64_t n)
{
    const double *power = kinds[kind_choose()].power;
    for (int64_t j = 0; j < n; j++) {
        column *c = &columns[j];
        for (int d = 0; d < 3; d++) c->y[d] = (float)(y[3 * j + d] * scale);
        c->b = b[j];
        for (int k = 0; k < 4; k++) c->c[k] = (float)(b[j] * power[k]);
    }
}

static void *blocks_run(void *argument)
{
    job *work = argument;
    block_kernel *kernel = kinds[kind_choose()].kernel;
    for (long long k; (k = atomic_fetch_add(&work->next, 1)) < work->block_count;) kernel(&work->blocks[k], work);
    return NULL;
}

/* A thread that does not start leaves its blocks to the others. */
static void job_run(job *work)
{
    pthread_t threads[MAX_THREADS];
    int started = 0;
    while (started < limit_threads() - 1 && !pthread_create(&threads[started], NULL, blocks_run, work)) started++;
    blocks_run(work);
    while (started > 0) pthread_join(threads[--started], NULL);
}

bool limit_gaussian(float *a, const float *x, const float *y, const float *b, int64_t m, int64_t n)
{
    const int64_t count = (m + ROWS - 1) / ROWS;
    block *blocks = malloc((size_t)count * sizeof *blocks + 1);
    column *columns = malloc((size_t)n * sizeof *columns + 1);
    const bool ok = blocks && columns;
    if (ok) {
        job work = {.blocks = blocks, .columns = columns, .block_count = count, .column_count = n};
        for (int k = 0; k < STEPS; k++) work.table[k] = (float)exp2(k / (double)STEPS);
        rows_pack(blocks, count, x, m);
        columns_pack(columns, y, b, n);
        job_run(&work);
        for (int64_t i = 0; i < m; i++) a[i] = blocks[i / ROWS].a[i % ROWS];
    }
    free(blocks);
    free(columns);
    return ok;
}
