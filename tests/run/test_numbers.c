/*
 * test_numbers.c: what docs/numbers.md promises of rounding, on a device: the accuracy of sums and of the
 * exponential, and the same bits in every run. test_special.c has NaN, infinities, ties and indices.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run_helpers.h"

static float *floats(size_t count)
{
    float *data = calloc(count + 1, sizeof *data);
    assert_non_null(data);
    return data;
}

/* ---- the accuracy of sums ---- */

/* Sums x + y over j in 17 rows where x is 0; the largest error of a row, over the sum of absolute values. */
static double error_of_sum(const float *y, int64_t N, quern_sum kind, int split)
{
    enum { M = 17 };
    float x[M] = {0}, sum[M];
    quern_compile_options options = {.size = sizeof options, .split = split, .sum = kind};
    quern_operator *op = compile("x=Vi(1); y=Vj(1); Sum_j(x+y)", &options);
    succeed(quern_run(op, QUERN_ARGS({"x", quern_f32(x, M, 1)}, {"y", quern_f32(y, N, 1)}), quern_f32(sum, M, 1)));
    quern_operator_destroy(&op);
    long double exact = 0, size = 0, error = 0;
    for (int64_t j = 0; j < N; j++) exact += (long double)y[j], size += fabsl((long double)y[j]);
    for (size_t i = 0; i < M; i++) error = fmaxl(error, fabsl((long double)sum[i] - exact));
    return (double)(error / size);
}

/* Numbers of very different sizes; a signed share of them cancels. */
static float *mixed_terms(int64_t N, double negative)
{
    random_source random = {11};
    float *y = floats((size_t)N);
    for (int64_t j = 0; j < N; j++) {
        double size = exp(random_between(&random, -7, 7));
        y[j] = (float)(random_between(&random, 0, 1) < negative ? -size : size);
    }
    return y;
}

static void sums_are_accurate(void **state)
{
    (void)state;
    need_device();
    static const struct {
        int64_t N;
        double negative;
        int split;
    } cases[] = {{1 << 20, 0, 0}, {1 << 21, 0.5, 1}, {1 << 20, 0.3, 3}, {(1 << 20) + 77, 0, 1}};
    for (size_t c = 0; c < Q_COUNT(cases); c++) {
        float *y = mixed_terms(cases[c].N, cases[c].negative);
        double blocked = error_of_sum(y, cases[c].N, QUERN_SUM_BLOCKED, cases[c].split);
        double kahan = error_of_sum(y, cases[c].N, QUERN_SUM_KAHAN, cases[c].split);
        if (!(blocked < 1e-6)) fail_msg("blocked, case %zu: error %g", c, blocked);
        if (!(kahan <= blocked + 0x1p-24 && kahan < 0x1p-23))
            fail_msg("Kahan, case %zu: error %g, blocked %g", c, kahan, blocked);
        free(y);
    }
}

/* 2^24 and then ones: plain addition in float32 takes in none of them, blocks lose the ones of the first block. */
static void compensation_finds_what_plain_sums_lose(void **state)
{
    (void)state;
    need_device();
    enum { N = 1 << 20 };
    float *y = floats(N);
    for (size_t j = 0; j < N; j++) y[j] = j ? 1 : 0x1p24f;
    double plain = error_of_sum(y, N, QUERN_SUM_PLAIN, 1), blocked = error_of_sum(y, N, QUERN_SUM_BLOCKED, 1);
    double kahan = error_of_sum(y, N, QUERN_SUM_KAHAN, 1);
    if (!(plain > 1e-4)) fail_msg("plain: error %g", plain);
    if (!(blocked < 256 * 0x1p-24)) fail_msg("blocked: error %g", blocked);
    if (!(kahan < 0x1p-23)) fail_msg("Kahan: error %g", kahan);
    free(y);
}

/* What a part of the columns lost to rounding is not lost when the parts are merged: here nothing else is left. */
static void parts_keep_what_they_lost(void **state)
{
    (void)state;
    need_device();
    enum { M = 17, N = 768 };
    float *y = floats(N), x[M] = {0}, sum[M];
    y[0] = 0x1p24f, y[1] = 0.5f, y[256] = -0x1p24f;
    quern_compile_options options = {.size = sizeof options, .split = 3, .sum = QUERN_SUM_KAHAN};
    quern_operator *op = compile("x=Vi(1); y=Vj(1); Sum_j(x+y)", &options);
    succeed(quern_run(op, QUERN_ARGS({"x", quern_f32(x, M, 1)}, {"y", quern_f32(y, N, 1)}), quern_f32(sum, M, 1)));
    for (size_t i = 0; i < M; i++) assert_true(sum[i] == 0.5f);
    quern_operator_destroy(&op);
    free(y);
}

/* LogSumExp of many equal terms: log(N) above them. */
static void logsumexp_is_accurate(void **state)
{
    (void)state;
    need_device();
    enum { M = 17, N = 1 << 20 };
    float *y = floats(N), x[M], got[M];
    for (size_t i = 0; i < M; i++) x[i] = (float)i * 100 - 800;
    quern_operator *op = compile("x=Vi(1); y=Vj(1); LogSumExp_j(x+y)", NULL);
    succeed(quern_run(op, QUERN_ARGS({"x", quern_f32(x, M, 1)}, {"y", quern_f32(y, N, 1)}), quern_f32(got, M, 1)));
    for (size_t i = 0; i < M; i++) {
        double exact = (double)x[i] + 20 * log(2);
        if (fabs((double)got[i] - exact) > 2e-7 * fmax(10, fabs(exact)))
            fail_msg("row %zu: %.9g, not %.9g", i, (double)got[i], exact);
    }
    quern_operator_destroy(&op);
    free(y);
}

/* ---- the same bits ---- */

static void gaussian(quern_operator *op, const float *x, int64_t M, const float *y, int64_t N, float *a)
{
    succeed(quern_run(op, QUERN_ARGS({"x", quern_f32(x, M, 2)}, {"y", quern_f32(y, N, 2)}), quern_f32(a, M, 1)));
}

static float *random_points(size_t count)
{
    random_source random = {3};
    float *x = floats(count);
    for (size_t n = 0; n < count; n++) x[n] = (float)random_between(&random, -1, 1);
    return x;
}

static void runs_repeat_bit_for_bit(void **state)
{
    (void)state;
    need_device();
    static const struct {
        int64_t M, N;
    } sizes[] = {{1, 200000}, {40, 9000}, {3000, 700}};
    quern_operator *op = compile("x=Vi(2); y=Vj(2); Sum_j(Exp(-SqDist(x,y)))", NULL);
    for (size_t s = 0; s < Q_COUNT(sizes); s++) {
        float *x = random_points((size_t)(2 * sizes[s].M)), *y = random_points((size_t)(2 * sizes[s].N));
        float *first = floats((size_t)sizes[s].M), *again = floats((size_t)sizes[s].M);
        gaussian(op, x, sizes[s].M, y, sizes[s].N, first);
        for (int round = 0; round < 5; round++) {
            gaussian(op, x, sizes[s].M, y, sizes[s].N, again);
            assert_memory_equal(first, again, (size_t)sizes[s].M * sizeof *first);
        }
        free(x), free(y), free(first), free(again);
    }
    quern_operator_destroy(&op);
}

/* As long as the columns are not split, a row's result does not depend on how many other rows there are. */
static void rows_do_not_depend_on_each_other(void **state)
{
    (void)state;
    need_device();
    enum { M = 3000, N = 700 };
    static const int64_t rows[] = {1, 5, 16, 17, 200, 2999};
    float *x = random_points(2 * M), *y = random_points(2 * N), *all = floats(M), *some = floats(M);
    quern_compile_options options = {.size = sizeof options, .split = 1};
    quern_operator *op = compile("x=Vi(2); y=Vj(2); Sum_j(Exp(-SqDist(x,y)))", &options);
    gaussian(op, x, M, y, N, all);
    for (size_t r = 0; r < Q_COUNT(rows); r++) {
        gaussian(op, x, rows[r], y, N, some);
        assert_memory_equal(all, some, (size_t)rows[r] * sizeof *all);
    }
    quern_operator_destroy(&op);
    free(x), free(y), free(all), free(some);
}

/* ---- the exponential in float32 ---- */

enum { EXP_POINTS = 1 << 18 };

static double exp_bound(double x)
{
    return takes_lanes() ? 3e-7 + 2e-8 * fabs(x) : 4e-7 + 7.3e-8 * fabs(x);
}

/* got against exp(x): relative; below the normal numbers, and as near above as the bound, one step of the denormal ones
   more, or 0, will do. */
static void check_exp(const char *formula, float x, float got)
{
    double exact = exp((double)x), error = fabs((double)got - exact);
    bool good = error <= exact * exp_bound((double)x);
    if (exact < (double)FLT_MIN * (1 + exp_bound((double)x)))
        good = got == 0 || error <= exact * exp_bound((double)x) + 1.5 * 0x1p-149;
    if (exact < 0x1p-150) good = got == 0;
    if (exact > (double)FLT_MAX) good = isinf(got) && got > 0;
    if (isnan(x)) good = isnan(got);
    if (x == 0) good = got == 1;
    if (!good) fail_msg("%s: the exponential of %.9g is %.9g, not %.9g", formula, (double)x, (double)got, exact);
}

/* What each formula takes the exponential of. */
static float plain_argument(float x)
{
    return x;
}

static float minus_argument(float x)
{
    return -fabsf(x);
}

static float below_argument(float x)
{
    return -0.5f - fabsf(x);
}

static float *exp_points(void)
{
    static const float special[] = {0,       -0.0f,      NAN,     INFINITY, -INFINITY, 1e30f,   -1e30f,
                                    FLT_MAX, -FLT_MAX,   89,      -104,     1e-30f,    -1e-45f, 88.72283f,
                                    88.7f,   -87.33655f, -103.9f, -110,     110,       90};
    float *x = floats(EXP_POINTS);
    for (size_t n = 0; n < EXP_POINTS; n++) x[n] = (float)(-106 + (double)n * (196.0 / EXP_POINTS));
    memcpy(x, special, sizeof special);
    for (size_t n = 100; n < 20000; n++) x[n] = (float)((double)n - 10000) * 1e-4f;
    return x;
}

static void exponential_agrees_with_the_host(void **state)
{
    (void)state;
    need_device();
    static const struct {
        const char *formula;
        float (*argument)(float);
    } forms[] = {
        {"x=Vi(1); Exp(x)", plain_argument},
        {"x=Vi(1); Exp(-Abs(x))", minus_argument},
        {"x=Vi(1); Exp(-0.5-Abs(x))", below_argument},
        {"x=Vi(1); y=Vj(1); Sum_j(Exp(x+y))", plain_argument},
    };
    float *x = exp_points(), *got = floats(EXP_POINTS), zero = 0;
    for (size_t f = 0; f < Q_COUNT(forms); f++) {
        quern_operator *op = compile(forms[f].formula, NULL);
        bool pair = strstr(forms[f].formula, "y=") != NULL;
        quern_arg args[] = {{"x", quern_f32(x, EXP_POINTS, 1)}, {"y", quern_f32(&zero, 1, 1)}};
        succeed(quern_run(op, (quern_args){args, pair ? 2 : 1, 0, 0}, quern_f32(got, EXP_POINTS, 1)));
        for (size_t n = 0; n < EXP_POINTS; n++) check_exp(forms[f].formula, forms[f].argument(x[n]), got[n]);
        quern_operator_destroy(&op);
    }
    free(x), free(got);
}

/* ---- variances ---- */

enum { VARIANCE_TERMS = 300000 };

/* Term j of N, of variance near 1: noise, a line, two halves, and a few far terms at the beginnings of blocks. */
static double variance_term(random_source *random, int kind, int64_t j, int64_t N)
{
    double noise = random_between(random, -1.7, 1.7), place = (double)j / (double)N;
    if (kind == 0) return noise;
    if (kind == 1) return 3.4 * place;
    if (kind == 2) return place < 0.5 ? -1 : 1;
    return j % 2560 ? noise : noise + 20;
}

/* In units of u of the variance. */
static double error_of_variance(const float *y, int64_t N, int split)
{
    float got;
    quern_compile_options options = {.size = sizeof options, .split = split};
    quern_operator *op = compile("y=Vj(1); Variance_j(y)", &options);
    succeed(quern_run(op, QUERN_ARGS({"y", quern_f32(y, N, 1)}), quern_f32(&got, 1, 1)));
    quern_operator_destroy(&op);
    double mean = 0, squares = 0;
    for (int64_t j = 0; j < N; j++) mean += (double)y[j] / (double)N;
    for (int64_t j = 0; j < N; j++) squares += ((double)y[j] - mean) * ((double)y[j] - mean) / (double)N;
    return fabs((double)got / squares - 1) * 0x1p24;
}

/* However large the mean is, and in whatever order the terms come. */
static void variances_are_accurate(void **state)
{
    (void)state;
    need_device();
    const double means[] = {0, 1e2, 1e4, 1e6, 4e6};
    const int64_t sizes[] = {2, 300, VARIANCE_TERMS};
    float *y = floats(VARIANCE_TERMS);
    for (size_t m = 0; m < Q_COUNT(means); m++)
        for (int kind = 0; kind < 4; kind++)
            for (size_t n = 0; n < Q_COUNT(sizes); n++) {
                random_source random = {3};
                for (int64_t j = 0; j < sizes[n]; j++)
                    y[j] = (float)(means[m] + variance_term(&random, kind, j, sizes[n]));
                for (int split = 1; split <= 7; split += 6) {
                    double error = error_of_variance(y, sizes[n], split);
                    if (!(error <= (kind == 3 ? 8192 : 512)))
                        fail_msg("terms of kind %d about %g: N = %lld, %d parts: an error of %g u", kind, means[m],
                                 (long long)sizes[n], split, error);
                }
            }
    free(y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_accurate),
        cmocka_unit_test(compensation_finds_what_plain_sums_lose),
        cmocka_unit_test(parts_keep_what_they_lost),
        cmocka_unit_test(logsumexp_is_accurate),
        cmocka_unit_test(variances_are_accurate),
        cmocka_unit_test(runs_repeat_bit_for_bit),
        cmocka_unit_test(rows_do_not_depend_on_each_other),
        cmocka_unit_test(exponential_agrees_with_the_host),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
