/*
 * test_weights.c: sums with softmax weights, which are taken in the pass that finds their weights' scale: beside the
 * reference, which knows nothing of that, in both schemes, split and not, and with terms of all sizes.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "run_helpers.h"

#define ROW "min_k=0 min_rhs=0"
#define TILE "min_k=2 min_rhs=2 reg_m=2 reg_n=3"

static quern_operator *compile_as(const char *formula, const char *profile, int split)
{
    quern_compile_options options = {.size = sizeof options, .profile = profile, .split = split};
    return compile(formula, &options);
}

static void expect_one_pass(const quern_operator *op)
{
    if (op->stages.count != 1) fail_msg("%zu stages, not one", op->stages.count);
}

/* Terms whose largest comes late, and far above the others. */
static void grow(trial *t, double factor)
{
    size_t count;
    double *a = trial_data(t, "a", &count);
    for (size_t n = 0; n < count; n++) a[n] = (a[n] + (double)n / (double)count) * factor;
}

#define DECLARE "x=Vi(3); y=Vj(3); a=Vj(1); b=Vj(5); t=a+(x|y); "

static const char *const formulas[] = {
    DECLARE "SumSoftMaxWeight_j(t,b)",
    DECLARE "SumSoftMaxWeight_j(t,Elem(b,0)*x), LogSumExp_j(t)",
    DECLARE "LogSumExpWeight_j(t,Square(b)+1), Max_j(t)",
    DECLARE "Max_SumShiftExp_j(t), Max_SumShiftExpWeight_j(t,b)",
    DECLARE "Sum_j(Exp(t-LogSumExp_j(t))*b)",
    DECLARE "Sum_j(Exp(t-Max_j(t))*(b-(x|y))/2)",
    DECLARE "Grad(LogSumExp_j(t),x,1), LogSumExp_j(t)",
    DECLARE "s=Sum(b)-t; SumSoftMaxWeight_j(t,b), SumSoftMaxWeight_j(s,x-y), LogSumExp_j(2*t)",
    DECLARE "Max_SumShiftExp_j(t), Max_SumShiftExpWeight_j(-2*t,b)",
    DECLARE "SumSoftMaxWeight_j(a,b)",
    DECLARE "SumSoftMaxWeight_j(t,IfElse(Elem(b,0),Concat(b,y),Zero(8)))",
};

static void try_as(const char *formula, quern_dtype dtype, const char *profile, int split)
{
    quern_operator *op = compile_as(formula, profile, split);
    expect_one_pass(op);
    static const double factors[] = {1, 50, 1e4};
    static const int64_t sizes[][2] = {{37, 603}, {1, 1}, {19, 0}, {2, 259}};
    for (size_t s = 0; s < Q_COUNT(sizes); s++)
        for (size_t f = 0; f < Q_COUNT(factors); f++) {
            trial t = trial_create(op, dtype, sizes[s][0], sizes[s][1], s + 1);
            grow(&t, factors[f]);
            trial_run(&t);
            trial_compare(&t, dtype == QUERN_F64 ? 1e-13 : 3e-6);
            trial_destroy(&t);
        }
    quern_operator_destroy(&op);
}

static void one_pass_gives_what_two_passes_would(void **state)
{
    (void)state;
    need_device();
    for (size_t f = 0; f < Q_COUNT(formulas); f++) {
        try_as(formulas[f], QUERN_F32, ROW, f % 2 ? 3 : 1);
        try_as(formulas[f], QUERN_F32, TILE, f % 2 ? 1 : 3);
    }
}

static void one_pass_in_float64(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    for (size_t f = 0; f < 4; f++) try_as(formulas[f], QUERN_F64, f % 2 ? TILE : ROW, f < 2 ? 1 : 2);
}

/* Every method of summation, as GPUs stage columns, and over i. */
static void one_pass_under_other_plans(void **state)
{
    (void)state;
    need_device();
    try_as(DECLARE "SumSoftMaxWeight_j(t,b)", QUERN_F32, ROW " lanes32=1 local=8 staged_cols=8", 2);
    quern_compile_options options = {.size = sizeof options, .sum = QUERN_SUM_KAHAN, .profile = TILE};
    quern_operator *op = compile("x=Vi(3); y=Vj(3); a=Vi(1); b=Vi(5); t=a+(x|y); SumSoftMaxWeight_i(t,b)", &options);
    expect_one_pass(op);
    trial t = trial_create(op, QUERN_F32, 700, 21, 3);
    grow(&t, 30);
    trial_run(&t);
    trial_compare(&t, 2e-6);
    trial_destroy(&t);
    quern_operator_destroy(&op);
}

/* ---- extreme terms ---- */

#define INF INFINITY
#define SPECIALS 4

/* Beyond 1e16 only one is the largest: see large_terms_lose_nothing. */
static const double specials[][SPECIALS] = {
    {1, NAN, 3, 0},         {-INF, -INF, -INF, -INF},
    {-INF, 2, -INF, 1},     {INF, 1, 2, 3},
    {NAN, INF, -INF, 1},    {1, 2, INF, INF},
    {1e30, -1e30, 9e29, 0}, {-1e30, -9e29, -3e38, 1},
    {3e38, 1, 2e38, -3e38}, {-3e38, -2e38, -INF, -3e38},
};

/* A term is a, after `lead` others that are 0, and the value with it is positive. The reference says what comes of it;
   behind +inf, where float64 holds what float32 does not, only weights that are finite. */
static void try_special(quern_operator *op, quern_dtype dtype, const double *terms, int64_t lead)
{
    size_t count;
    trial t = trial_create(op, dtype, 18, lead + SPECIALS, 7);
    double *a = trial_data(&t, "a", &count);
    for (size_t n = 0; n < count; n++) a[n] = n < (size_t)lead ? 0 : terms[n - (size_t)lead];
    double *b = trial_data(&t, "b", &count);
    for (size_t n = 0; n < count; n++) b[n] = fabs(b[n]) + 0.5;
    double *x = trial_data(&t, "x", &count);
    memset(x, 0, count * sizeof *x);
    trial_run(&t);
    trial_compare(&t, dtype == QUERN_F64 ? 1e-13 : 3e-6);
    trial_destroy(&t);
}

static void extreme_terms_give_what_the_formula_says(void **state)
{
    (void)state;
    need_device();
    static const char *const texts[] = {
        "x=Vi(1); a=Vj(1); b=Vj(3); t=a+x; SumSoftMaxWeight_j(t,b), Sum_j(Exp(t-LogSumExp_j(t))*b), LogSumExp_j(t)",
        "x=Vi(1); a=Vj(1); b=Vj(3); t=a+x; Max_SumShiftExpWeight_j(t,b), Sum_j(Exp(t-Max_j(t))*b), "
        "LogSumExpWeight_j(t,b)",
    };
    for (size_t f = 0; f < Q_COUNT(texts); f++)
        for (int split = 1; split <= 2; split++) {
            quern_operator *row = compile_as(texts[f], ROW, split), *tile = compile_as(texts[f], TILE, split);
            for (size_t s = 0; s < Q_COUNT(specials); s++)
                for (int64_t lead = 0; lead <= 300; lead += 300) {
                    try_special(row, QUERN_F32, specials[s], lead);
                    try_special(tile, QUERN_F32, specials[s], lead);
                }
            quern_operator_destroy(&row);
            quern_operator_destroy(&tile);
        }
}

/* The results of terms so large that only the largest have a weight: the mean of their values, in full. In two passes
   LogSumExp rounds to the largest, which then has the weight 1 as often as it occurs. */
static void large_terms_lose_nothing(void **state)
{
    (void)state;
    need_device();
    quern_operator *op = compile_as("x=Vi(1); a=Vj(1); b=Vj(1); SumSoftMaxWeight_j(a*x,b)", ROW, 1);
    enum { M = 17, N = 400 };
    float x[M], a[N], b[N], got[M];
    for (int times = 1; times <= 2; times++) {
        for (int i = 0; i < M; i++) x[i] = powf(50, (float)(i + 2));
        for (int j = 0; j < N; j++) a[j] = (float)(j / times), b[j] = 0.1f * (float)(j / times);
        succeed(quern_run(op,
                          QUERN_ARGS({"x", quern_f32(x, M, 1)}, {"a", quern_f32(a, N, 1)}, {"b", quern_f32(b, N, 1)}),
                          quern_f32(got, M, 1)));
        for (int i = 0; i < M; i++) assert_true(fabsf(got[i] - b[N - 1]) <= 4e-7f * b[N - 1]);
    }
    quern_operator_destroy(&op);
}

/* ---- what is not fused, and stays right ---- */

static void other_uses_of_weights_take_two_passes(void **state)
{
    (void)state;
    need_device();
    static const char *const texts[] = {
        DECLARE "Sum_j(Square(Exp(t-LogSumExp_j(t)))*b)",     /* not a multiple of the weight */
        DECLARE "Sum_j(Exp(t-LogSumExp_j(t))*b+1)",           /* nor is this */
        DECLARE "Max_j(Exp(t-LogSumExp_j(t))*b)",             /* not a sum */
        DECLARE "Sum_j(Exp(t-LogSumExp_j(2*t))*b)",           /* of another term */
        DECLARE "Sum_i(Exp(t-LogSumExp_j(t))*x)",             /* over the other axis */
        DECLARE "g=Vi(5); Grad(SumSoftMaxWeight_j(t,b),x,g)", /* needs the result first */
    };
    for (size_t f = 0; f < Q_COUNT(texts); f++) {
        quern_operator *op = compile(texts[f], NULL);
        assert_true(op->stages.count == 2);
        trial t = trial_create(op, QUERN_F32, 37, 301, f);
        trial_run(&t);
        trial_compare(&t, 5e-6);
        trial_destroy(&t);
        quern_operator_destroy(&op);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_pass_gives_what_two_passes_would),
        cmocka_unit_test(one_pass_in_float64),
        cmocka_unit_test(one_pass_under_other_plans),
        cmocka_unit_test(extreme_terms_give_what_the_formula_says),
        cmocka_unit_test(large_terms_lose_nothing),
        cmocka_unit_test(other_uses_of_weights_take_two_passes),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
