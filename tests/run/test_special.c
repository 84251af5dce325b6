/*
 * test_special.c: what docs/numbers.md promises of special values, on a device: reductions of nothing, NaN,
 * infinities and ties, overflow, and indices beyond the whole numbers of float32.
 */
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

/* ---- special cases of reductions ---- */

#define INF INFINITY

/* Terms, and their Sum, Max, Min, ArgMax, ArgMin and LogSumExp: the order of reductions.def. */
static const struct special {
    size_t count;
    double terms[4], results[6];
} specials[] = {
    {0, {0}, {0, -INF, INF, -1, -1, -INF}},
    {1, {5}, {5, 5, 5, 0, 0, 5}},
    {4, {2, 1, 1, 2}, {6, 2, 1, 0, 1, 3.0064088549}},
    {3, {1, NAN, 3}, {NAN, 3, 1, 2, 0, NAN}},
    {2, {NAN, 1}, {NAN, 1, 1, 1, 1, NAN}},
    {2, {NAN, NAN}, {NAN, -INF, INF, -1, -1, NAN}},
    {3, {1, INF, 2}, {INF, INF, 1, 1, 0, INF}},
    {3, {1, -INF, 2}, {-INF, 2, -INF, 2, 1, 2.3132616875}},
    {3, {INF, -INF, 0}, {NAN, INF, -INF, 0, 1, INF}},
    {2, {INF, INF}, {INF, INF, INF, 0, -1, INF}},
    {2, {-INF, -INF}, {-INF, -INF, -INF, -1, 0, -INF}},
    {2, {INF, NAN}, {NAN, INF, INF, 0, -1, NAN}},
    {2, {10000, 9999}, {19999, 10000, 9999, 0, 1, 10000.3132616875}},
};

/* All reductions of a term that depends on i and on j, and is y as long as x is 0. */
static quern_operator *all_reductions(const quern_compile_options *options)
{
    return compile("x=Vi(1); y=Vj(1); t=y+x; Sum_j(t), Max_j(t), Min_j(t), ArgMax_j(t), ArgMin_j(t), LogSumExp_j(t)",
                   options);
}

static void check_special(quern_operator *op, quern_dtype dtype, const struct special *s)
{
    size_t count;
    trial t = trial_create(op, dtype, 19, (int64_t)s->count, 1);
    double *x = trial_data(&t, "x", &count);
    memset(x, 0, count * sizeof *x);
    double *y = trial_data(&t, "y", &count);
    memcpy(y, s->terms, count * sizeof *y);
    trial_run(&t);
    trial_compare(&t, dtype == QUERN_F32 ? 1e-6 : 1e-14);
    for (size_t r = 0; r < 6; r++)
        for (size_t i = 0; i < 19; i++) {
            double got = t.got[r][i], expected = s->results[r];
            bool same = got == expected || (isnan(got) && isnan(expected)) ||
                        fabs(got - expected) <= 1e-6 * fmax(1, fabs(expected));
            if (!same) fail_msg("case %td, result %zu, row %zu: %g, not %g", s - specials, r, i, got, expected);
        }
    trial_destroy(&t);
}

static void check_specials(quern_dtype dtype)
{
    need_type(dtype);
    quern_operator *op = all_reductions(NULL);
    for (size_t s = 0; s < Q_COUNT(specials); s++) check_special(op, dtype, &specials[s]);
    quern_operator_destroy(&op);
}

static void special_cases_in_float32(void **state)
{
    (void)state;
    check_specials(QUERN_F32);
}

static void special_cases_in_float64(void **state)
{
    (void)state;
    check_specials(QUERN_F64);
}

/* Rows and columns sprinkled with what is no number, in blocks and parts; the reference knows what comes out. */
static void special_values_anywhere(void **state)
{
    (void)state;
    need_device();
    static const double values[] = {NAN, INF, -INF};
    quern_compile_options options = {.size = sizeof options, .split = 3};
    quern_operator *op = all_reductions(&options);
    random_source random = {7};
    for (uint64_t round = 0; round < 24; round++) {
        size_t count, rows;
        trial t = trial_create(op, QUERN_F32, 40, 1000, round);
        double *y = trial_data(&t, "y", &count), *x = trial_data(&t, "x", &rows);
        for (uint64_t k = 0; k < round % 4; k++) y[random_below(&random, count)] = values[random_below(&random, 3)];
        for (size_t i = 0; i < rows; i += 5) x[i] = values[random_below(&random, 3)];
        trial_run(&t);
        trial_compare(&t, 1e-6);
        trial_destroy(&t);
    }
    quern_operator_destroy(&op);
}

/* Every component of a vector has its own result, and the lowest index wins in every part. */
static void ties_go_to_the_lowest_index(void **state)
{
    (void)state;
    need_device();
    for (int split = 1; split <= 3; split++) {
        quern_compile_options options = {.size = sizeof options, .split = split};
        quern_operator *op = compile("x=Vi(1); y=Vj(2); ArgMin_j(x+y), ArgMax_j(x+y)", &options);
        size_t count;
        trial t = trial_create(op, QUERN_F32, 33, 1200, 5);
        double *y = trial_data(&t, "y", &count);
        for (size_t n = 0; n < count; n++) y[n] = n == 2 * 300 || n == 2 * 900 + 1 ? -1 : 0.5;
        for (size_t n = 2 * 1000; n < count; n++) y[n] = n % 2 ? -1 : 1;
        trial_run(&t);
        trial_compare(&t, 0);
        for (size_t i = 0; i < 33; i++) {
            assert_true(t.got[0][2 * i] == 300 && t.got[0][2 * i + 1] == 900);
            assert_true(t.got[1][2 * i] == 1000 && t.got[1][2 * i + 1] == 0);
        }
        trial_destroy(&t);
        quern_operator_destroy(&op);
    }
}

/* The last table of docs/numbers.md, on rows and, with parameters, on single numbers; the reference knows them. */
static void special_values_of_operations(void **state)
{
    (void)state;
    need_device();
    static const double values[] = {0, -0.0, NAN, INF, -INF, 1, -1, 4};
    static const char *const declarations[] = {"x=Vi(1); ", "x=Pm(1); "};
    for (size_t d = 0; d < Q_COUNT(declarations); d++) {
        q_text text = {0};
        q_text_add(
            &text,
            "%sRsqrt(x), XLogX(x), Sign(x), Step(x), ReLU(x), IfElse(x,2,3), x==x, x!=x, x<1, x<=1, Log(x), Sqrt(x), "
            "Inv(x), Exp(x), Grad(Sqrt(x)+Abs(x),x,1), Normalize(x)",
            declarations[d]);
        quern_operator *op = compile(text.data, NULL);
        for (size_t v = 0; v < Q_COUNT(values); v++) {
            size_t count;
            trial t = trial_create(op, QUERN_F32, 1, 0, 0);
            trial_data(&t, "x", &count)[0] = values[v];
            trial_run(&t);
            trial_compare(&t, 1e-6);
            if (values[v] == 0)
                assert_true(t.got[0][0] == 0 && t.got[1][0] == 0 && t.got[3][0] == 1 && t.got[14][0] == 0);
            trial_destroy(&t);
        }
        quern_operator_destroy(&op);
        q_text_free(&text);
    }
}

static void overflow_is_infinite(void **state)
{
    (void)state;
    need_device();
    enum { M = 17, N = 1500 };
    float *y = floats(N), x[M] = {0}, sum[2 * M];
    for (size_t j = 0; j < N; j++) y[j] = 1e38f;
    for (int sum_kind = QUERN_SUM_BLOCKED; sum_kind <= QUERN_SUM_PLAIN; sum_kind++)
        for (int split = 1; split <= 3; split += 2) {
            quern_compile_options options = {.size = sizeof options, .split = split, .sum = (quern_sum)sum_kind};
            quern_operator *op = compile("x=Vi(1); y=Vj(1); Sum_j(Concat(x+y,x-y))", &options);
            succeed(
                quern_run(op, QUERN_ARGS({"x", quern_f32(x, M, 1)}, {"y", quern_f32(y, N, 1)}), quern_f32(sum, M, 2)));
            for (size_t i = 0; i < M; i++) assert_true(sum[2 * i] == INF && sum[2 * i + 1] == -INF);
            quern_operator_destroy(&op);
        }
    free(y);
}

/* ---- indices ---- */

/* Beyond 2^24 no odd number is a float. */
static void indices_are_exact(void **state)
{
    (void)state;
    need_device();
    enum { N = (1 << 24) + 6 };
    float *y = floats(N), one = 0;
    int64_t index[3] = {0, 0, 0};
    quern_operator *op =
        compile("x=Pm(1); y=Vj(1); ArgMin_j(y), ArgMax_j(y*x), ArgMax_j(Equal(J,ArgMin_j(y)+x))", NULL);
    y[N - 1] = -1, y[N - 2] = -0.5f;
    quern_view results[] = {quern_i64(&index[0], 1, 1), quern_i64(&index[1], 1, 1), quern_i64(&index[2], 1, 1)};
    succeed(quern_run_all(op, QUERN_ARGS({"x", quern_f32(&one, 1, 1)}, {"y", quern_f32(y, N, 1)}),
                          (quern_outs){results, 3}));
    assert_int_equal(index[0], N - 1);
    assert_int_equal(index[1], 0);
    y[0] = NAN, one = 1, y[N - 3] = 2;
    succeed(quern_run_all(op, QUERN_ARGS({"x", quern_f32(&one, 1, 1)}, {"y", quern_f32(y, N, 1)}),
                          (quern_outs){results, 3}));
    assert_int_equal(index[0], N - 1);
    assert_int_equal(index[1], N - 3);
    quern_operator_destroy(&op);
    free(y);
}

/* An index is compared with a row's own number as an integer, and its gradient reaches the right term. */
static void indices_are_compared_as_integers(void **state)
{
    (void)state;
    need_device();
    enum { N = (1 << 24) + 6 };
    float *y = floats(N), *gradient = floats(N);
    y[N - 3] = -1;
    quern_operator *op = compile("y=Vj(1); Grad(Min_j(y),y,1)", NULL);
    succeed(quern_run(op, QUERN_ARGS({"y", quern_f32(y, N, 1)}), quern_f32(gradient, N, 1)));
    double sum = 0;
    for (size_t j = 0; j < N; j++) sum += (double)gradient[j];
    assert_true(gradient[N - 3] == 1 && sum == 1);
    quern_operator_destroy(&op);
    free(y), free(gradient);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(special_cases_in_float32),
        cmocka_unit_test(special_cases_in_float64),
        cmocka_unit_test(special_values_anywhere),
        cmocka_unit_test(ties_go_to_the_lowest_index),
        cmocka_unit_test(special_values_of_operations),
        cmocka_unit_test(overflow_is_infinite),
        cmocka_unit_test(indices_are_exact),
        cmocka_unit_test(indices_are_compared_as_integers),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
