/*
 * peak.c: what the processors can do at most, for the roofline of report.py: multiply-adds in registers, and a triad
 * a = b + s c over arrays that fit no cache. Prints one line of JSON: the instruction set, the threads, GFLOP/s in
 * float32 (a multiply-add counts as two) and GB/s (a triad counts as two numbers read and one written). The best of
 * ROUNDS rounds counts.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

enum { SUMS = 12, STEPS = 2000000, ROUNDS = 60, MAX_THREADS = 1024, TRIAD = 1 << 25 };

/* SUMS independent chains hide the latency of two pipes; STEPS of them take some milliseconds, short enough to
   find a time at which nobody else has the processors. The factor is no constant, as compilers leave out chains that
   stand at a fixed point. */
#define LOOP(name, target, width)                                                    \
    target static float name(int steps)                                              \
    {                                                                                \
        typedef float real __attribute__((vector_size(4 * (width))));                \
        real sum[SUMS], all = {0};                                                   \
        const real factor = (real){0} + 1 / (float)steps, term = (real){0} + 0.001f; \
        UNROLL for (int k = 0; k < SUMS; k++) sum[k] = (real){0} + (float)k;         \
        for (int step = 0; step < steps; step++) {                                   \
            UNROLL for (int k = 0; k < SUMS; k++) sum[k] = sum[k] * factor + term;   \
        }                                                                            \
        UNROLL for (int k = 0; k < SUMS; k++) all += sum[k];                         \
        float total = 0;                                                             \
        for (int l = 0; l < (width); l++) total += all[l];                           \
        return total;                                                                \
    }
LOOP(loop_generic, , 4)
#if defined(__x86_64__)
LOOP(loop_avx2, __attribute__((target("avx2,fma"))), 8)
LOOP(loop_avx512, __attribute__((target("avx512f"))), 16)
#endif

typedef struct kind {
    const char *name;
    float (*loop)(int steps);
    int width;
} kind;

static kind kind_choose(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return (kind){"avx512", loop_avx512, 16};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return (kind){"avx2", loop_avx2, 8};
#endif
    return (kind){"generic", loop_generic, 4};
}

/* What one thread does, on its part of the arrays. */
typedef struct part {
    kind how;
    float *a, *b, *c;
    int64_t count;
    bool triad;
    float result;
} part;

static void *part_run(void *data)
{
    part *p = data;
    if (!p->triad) p->result = p->how.loop(STEPS);
    else
        for (int64_t k = 0; k < p->count; k++) p->a[k] = p->b[k] + 0.5f * p->c[k];
    return NULL;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds of the best round; 0 if a thread could not be started. */
static double parts_time(part *parts, int threads)
{
    pthread_t ids[MAX_THREADS];
    double best = 0;
    for (int round = 0; round < ROUNDS; round++) {
        const double start = now();
        int started = 0;
        while (started < threads && !pthread_create(&ids[started], NULL, part_run, &parts[started])) started++;
        for (int k = 0; k < started; k++) pthread_join(ids[k], NULL);
        if (started < threads) return 0;
        const double seconds = now() - start;
        if (!round || seconds < best) best = seconds;
    }
    return best;
}

int main(void)
{
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    const int threads = online < 1 ? 1 : online > MAX_THREADS ? MAX_THREADS : (int)online;
    static part parts[MAX_THREADS];
    const kind how = kind_choose();
    float *arrays = calloc(3, TRIAD * sizeof *arrays);
    if (!arrays) return fprintf(stderr, "peak: no memory\n"), 1;
    for (int64_t k = 0; k < 3 * (int64_t)TRIAD; k++) arrays[k] = 1;
    for (int k = 0; k < threads; k++) {
        const int64_t first = TRIAD / threads * (int64_t)k;
        parts[k] =
            (part){how, arrays + first, arrays + TRIAD + first, arrays + 2 * TRIAD + first, TRIAD / threads, 0, 0};
    }
    const double loop = parts_time(parts, threads);
    for (int k = 0; k < threads; k++) parts[k].triad = true;
    const double triad = parts_time(parts, threads);
    const bool ok = loop > 0 && triad > 0 && parts[0].result > 0 && arrays[0] > 0;
    free(arrays);
    if (!ok) return fprintf(stderr, "peak: threads could not be started\n"), 1;
    printf("{\"kind\": \"%s\", \"threads\": %d, \"gflops\": %.4g, \"gb_s\": %.4g}\n", how.name, threads,
           2e-9 * SUMS * STEPS * how.width * threads / loop, 1e-9 * 12 * (TRIAD / threads) * threads / triad);
    return 0;
}
