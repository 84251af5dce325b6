/*
 * test_mma.c: the scheme `mma` by the emulation of matrix units: which stages it takes, errors of one contraction beside what
 * docs/numbers.md says of float32, numbers that cannot be packed, and what is asked for by `precision`.
 *
 * With one weight of 1 a sum over j is one pair's value, so that its error shows. Operators are few, for PoCL builds each for
 * seconds.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run_helpers.h"

enum { M = 150, N = 300 };

static quern_operator *compile_as(const char *text, quern_precision precision, const char *profile)
{
    return compile(text, &(quern_compile_options){sizeof(quern_compile_options), .lanes = 1, .local = 64,
                                                  .profile = profile, .precision = precision});
}

static quern_operator *compile_mma(const char *text, quern_precision precision)
{
    return compile_as(text, precision,
                      "lanes32=1 rows=1 staged_cols=64 min_k=8 min_rhs=16 matrix=1 tile_k=8 reg_m=8 reg_n=8");
}

static quern_operator *compile_short(const char *text)
{
    return compile_as(text, QUERN_PRECISION_FLOAT32,
                      "lanes32=1 rows=1 staged_cols=64 min_k=2 min_rhs=16 matrix=1 tile_k=8 reg_m=8 reg_n=8");
}

/* The scheme of the only stage for so many rows and columns. */
static const q_plan *plan_of(const quern_operator *op, quern_dtype dtype)
{
    static q_plan plan;
    const q_plan_request request = {&op->build->profile, dtype, M, N, 2, &op->options, NULL};
    succeed(q_plan_make(&plan, op->build->programs[0], &request));
    return &plan;
}

static void expect_scheme(const quern_operator *op, const char *name)
{
    const q_plan *plan = plan_of(op, QUERN_F32);
    if (strcmp(plan->scheme->name, name) != 0) fail_msg("%s: scheme %s", op->text, plan->scheme->name);
}

/* Numbers around a centre, float32; of a variable. */
static void scatter(const trial *t, const char *name, double centre, double radius, uint64_t seed)
{
    size_t count;
    double *data = trial_data(t, name, &count);
    for (size_t n = 0; n < count; n++) {
        uint64_t key[2] = {seed, n};
        data[n] = (double)(float)(centre + radius * ((double)(q_hash64(key, sizeof key) >> 11) * 0x1p-52 - 1));
    }
}

/* A weight of 1 for this column alone. */
static void choose_column(const trial *t, size_t column)
{
    size_t count;
    double *weights = trial_data(t, "t", &count);
    for (size_t j = 0; j < count; j++) weights[j] = j == column;
}

/* The largest error of a result in relation to itself. */
static double worst_error(trial *t)
{
    double worst = 0;
    trial_run(t);
    trial_compare(t, INFINITY);
    for (size_t n = 0; n < trial_result_count(t, 0); n++) {
        double error = fabs(t->got[0][n] - t->expected[0][n]);
        if (isnan(error)) fail_msg("row %zu is %g, not %g", n, t->got[0][n], t->expected[0][n]);
        if (error > 0) worst = fmax(worst, error / fabs(t->expected[0][n]));
    }
    return worst;
}

// ---- what is taken ----

static void sums_of_products_are_taken(void **state)
{
    (void)state;
    need_device();
    static const struct {
        const char *text, *scheme;
        quern_precision precision;
    } cases[] = {
        {"x=Vi(30); y=Vj(30); Sum_j(Exp(-SqDist(x,y)))", "mma", QUERN_PRECISION_FLOAT32},
        {"x=Vi(30); y=Vj(30); LogSumExp_j(x|y), Sum_j(x|y)", "mma", QUERN_PRECISION_FLOAT32},
        {"x=Vi(30); y=Vj(30); Max_j(Sum(x*Exp(y)))", "mma", QUERN_PRECISION_TF32},
        {"x=Vi(30); y=Vj(30); Sum_j(Sum(Square(2*x-3*y)))", "mma", QUERN_PRECISION_BF16},
        {"x=Vi(300); y=Vj(300); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)", "mma", QUERN_PRECISION_FLOAT32},
        {"x=Vi(30); y=Vj(30); Sum_j(Exp(-SqDist(x,y)))", "gemm_tile", QUERN_PRECISION_EXACT},
        {"x=Vi(30); y=Vj(30); Sum_j(x|y)", "gemm_tile", QUERN_PRECISION_EXACT},
        {"x=Vi(30); y=Vj(30); Sum_j(Sum(Abs(x-y)))", "gemm_tile", QUERN_PRECISION_FLOAT32},
        {"x=Vi(30); y=Vj(30); Sum_j((x|y)*SqDist(x,y))", "gemm_tile", QUERN_PRECISION_FLOAT32},
        {"x=Vi(30); y=Vj(30); Max_j(SqDist(x,y))", "gemm_tile", QUERN_PRECISION_FLOAT32},
        {"x=Vi(30); y=Vj(30); ArgMin_j(SqDist(x,y))", "gemm_select", QUERN_PRECISION_FLOAT32},
        {"x=Vi(5); y=Vj(5); Sum_j(Exp(-SqDist(x,y)))", "row", QUERN_PRECISION_FLOAT32},
        {"x=Vi(3); y=Vj(3); b=Vj(16); Sum_j(Exp(-SqDist(x,y))*b), Sum_j(SqDist(x,y))", "mma", QUERN_PRECISION_FLOAT32},
        {"x=Vi(60); y=Vj(60); b=Vj(90); SumSoftMaxWeight_j(x|y,b), Max_j(x|y)", "mma", QUERN_PRECISION_BF16},
        {"x=Vi(90); y=Vj(90); b=Vj(90); Sum_j((x|y)*b)", "gemm_local", QUERN_PRECISION_FLOAT32},
        {"x=Vi(3); y=Vj(3); a=Vi(16); b=Vj(16); Sum_j(Exp(-SqDist(x,y))*(a-b))", "gemm_local", QUERN_PRECISION_FLOAT32},
        {"x=Vi(3); y=Vj(3); b=Vj(16); Sum_j(Exp(-SqDist(x,y))*b), Sum_j(SqDist(x,y)*b)", "gemm_local",
         QUERN_PRECISION_FLOAT32},
        {"x=Vi(3); y=Vj(3); b=Vj(16); Sum_j(Exp(-SqDist(x,y))*b)", "gemm_local", QUERN_PRECISION_EXACT},
    };
    for (size_t c = 0; c < Q_COUNT(cases); c++) {
        quern_operator *op = compile_mma(cases[c].text, cases[c].precision);
        expect_scheme(op, cases[c].scheme);
        if (strcmp(cases[c].scheme, "mma") == 0) {
            const q_plan *plan = plan_of(op, QUERN_F32);
            assert_int_equal(q_plan_shape(plan, "PARTS"), cases[c].precision == QUERN_PRECISION_FLOAT32 ? 2 : 1);
            assert_int_equal(q_plan_shape(plan, "BFLOAT16"), cases[c].precision == QUERN_PRECISION_BF16);
            assert_string_not_equal(plan_of(op, QUERN_F64)->scheme->name, "mma");
        }
        quern_operator_destroy(&op);
    }
    quern_operator *op = NULL;
    const quern_compile_options options = {sizeof options, .precision = (quern_precision)9};
    expect_failure(quern_compile(&op, context, "x=Vi(1); x", &options), QUERN_USAGE, "there is no precision 9");
}

/* Each make by its emulation: groups are of pairs of its warps; the smallest never have whole tiles of right-hand sides. */
static void every_make_is_taken(void **state)
{
    (void)state;
    need_device();
    static const struct {
        int matrix, local;
        const char *sums, *rhs;
    } cases[] = {{1, 64, "mma", "mma"},        {1, 32, "gemm_local", "gemm_local"},
                 {3, 128, "mma", "mma"},       {5, 64, "mma", "mma"},
                 {7, 32, "mma", "mma"},        {7, 16, "gemm_local", "gemm_local"},
                 {9, 32, "mma", "gemm_local"}, {9, 16, "gemm_local", "gemm_local"}};
    for (size_t c = 0; c < Q_COUNT(cases); c++)
        for (int rhs = 0; rhs < 2; rhs++) {
            char profile[96];
            snprintf(profile, sizeof profile,
                     "lanes32=1 rows=1 staged_cols=64 min_k=8 min_rhs=16 matrix=%d reg_m=4 reg_n=4", cases[c].matrix);
            const quern_compile_options options = {
                .size = sizeof options, .lanes = 1, .local = cases[c].local, .profile = profile};
            quern_operator *op = compile(rhs ? "x=Vi(3); y=Vj(3); b=Vj(40); Sum_j(Exp(-SqDist(x,y))*b)"
                                             : "x=Vi(30); y=Vj(30); Sum_j(Exp(-SqDist(x,y)))",
                                         &options);
            q_plan plan;
            const q_plan_request request = {&op->build->profile, QUERN_F32, 2000, 2000, 2, &op->options, NULL};
            succeed(q_plan_make(&plan, op->build->programs[0], &request));
            const char *got = plan.scheme->name, *wanted = rhs ? cases[c].rhs : cases[c].sums;
            if (strcmp(got, wanted) != 0) fail_msg("case %zu, %d: scheme %s", c, rhs, got);
            quern_operator_destroy(&op);
        }
}

/* The kernel that packs writes as many bytes as the plan has room for: what is left of a row is 4 bytes a component. */
static void what_is_packed_is_linear(void **state)
{
    (void)state;
    need_device();
    quern_operator *op = compile_mma("x=Vi(32); y=Vj(32); Sum_j(Exp(-SqDist(x,y)))", QUERN_PRECISION_FLOAT32);
    const q_plan *plan = plan_of(op, QUERN_F32);
    uint64_t bytes = plan->scheme->packed_bytes(plan, op->build->programs[0], 64 * 1000, 64 * 500);
    assert_int_equal(bytes, 64 * 1500 * (32 * 4 + 4) + 1500 * 4);
    quern_operator_destroy(&op);
}

// ---- errors ----

/* Every distance by itself, however far from the origin the points are: 8 (2 D + 8) u at most, as without matrix units. */
static void distances_are_accurate(void **state)
{
    (void)state;
    need_device();
    static const struct {
        double x, y, radius;
    } clouds[] = {{0, 0, 1},     {1000, 1000, 1},     {0, 1e-3, 1e-3}, {0, 50, 1},  {7, 7, 0},
                  {0, 0, 1e-11}, {-3e15, -3e15, 4e9}, {0, 0, 1e-15},   {0, 0, 1e17}};
    enum { D = 40 };
    const double bound = 8 * (2 * D + 8) * 0x1p-24;
    quern_operator *op = compile_mma("x=Vi(40); y=Vj(40); t=Vj(1); Sum_j(SqDist(x,y)*t)", QUERN_PRECISION_FLOAT32);
    expect_scheme(op, "mma");
    for (size_t c = 0; c < Q_COUNT(clouds); c++) {
        trial t = trial_create(op, QUERN_F32, M, N, 1);
        choose_column(&t, c % 2 ? 5 : N - 1); /* in a tile of columns, and in one that ends early */
        scatter(&t, "x", clouds[c].x, clouds[c].radius, 1);
        scatter(&t, "y", clouds[c].y, clouds[c].radius, 2);
        double error = worst_error(&t);
        if (!(error <= bound)) fail_msg("cloud %zu: a distance is off by %g, more than %g", c, error, bound);
        trial_destroy(&t);
    }
    quern_operator_destroy(&op);
}

/* Numbers around a centre of their own size, each point within a radius of its own size; seed: of all. */
static void scatter_sizes(const trial *t, const char *name, double centre, double radius, random_source *random)
{
    size_t count;
    double *data = trial_data(t, name, &count), size = 1;
    for (size_t n = 0; n < count; n++) {
        if (n % 37 == 0) size = radius * pow(10, random_between(random, -3, 0));
        data[n] = (double)(float)(centre + size * random_between(random, -1, 1));
    }
}

/* The same bound for random sizes, ranges and places, in two parts of the columns. */
static void random_distances_are_accurate(void **state)
{
    (void)state;
    need_device();
    enum { D = 37, PROBLEMS = 24 };
    const double bound = 8 * (2 * D + 8) * 0x1p-24;
    quern_operator *op =
        compile("x=Vi(37); y=Vj(37); t=Vj(1); Sum_j(SqDist(x,y)*t)",
                &(quern_compile_options){sizeof(quern_compile_options), .lanes = 1, .local = 64, .split = 2,
                                         .profile = "lanes32=1 rows=1 staged_cols=64 min_k=8 matrix=1"});
    expect_scheme(op, "mma");
    random_source random = {11};
    for (int p = 0; p < PROBLEMS; p++) {
        int64_t rows = 1 + (int64_t)random_below(&random, 200), columns = 1 + (int64_t)random_below(&random, 250);
        double radius = pow(10, random_between(&random, -11, 14)),
               far = radius * pow(10, random_between(&random, -2, 4));
        trial t = trial_create(op, QUERN_F32, rows, columns, 1);
        choose_column(&t, random_below(&random, (size_t)columns));
        scatter_sizes(&t, "x", far, radius, &random), scatter_sizes(&t, "y", p % 2 ? far : -far, radius, &random);
        double error = worst_error(&t);
        if (!(error <= bound)) fail_msg("problem %d: a distance is off by %g, more than %g", p, error, bound);
        trial_destroy(&t);
    }
    quern_operator_destroy(&op);
}

/* Products in relation to the largest of a row's numbers and the largest of a column's, in this precision. */
static void check_products(quern_precision precision, double relative)
{
    enum { D = 40 };
    quern_operator *op = compile_mma("x=Vi(40); y=Vj(40); t=Vj(1); Sum_j((x|y)*t)", precision);
    static const double radii[][2] = {{1, 1}, {1e5, 1e-5}, {1e-15, 1e15}, {1e-20, 1}};
    for (size_t c = 0; c < Q_COUNT(radii); c++) {
        trial t = trial_create(op, QUERN_F32, M, N, 1);
        choose_column(&t, 7);
        scatter(&t, "x", 0, radii[c][0], 1);
        scatter(&t, "y", 0, radii[c][1], 2);
        trial_run(&t);
        trial_compare(&t, INFINITY);
        double scale = D * radii[c][0] * radii[c][1], worst = 0;
        for (size_t n = 0; n < M; n++) worst = fmax(worst, fabs(t.got[0][n] - t.expected[0][n]) / scale);
        if (!(worst <= relative)) fail_msg("%g x %g: off by %g", radii[c][0], radii[c][1], worst);
        if (c == 0 && !(worst > relative / 200)) fail_msg("off by %g: more than was asked for", worst);
        trial_destroy(&t);
    }
    quern_operator_destroy(&op);
}

static void products_have_the_precision_that_is_asked_for(void **state)
{
    (void)state;
    need_device();
    check_products(QUERN_PRECISION_FLOAT32, 0x1p-22);
    check_products(QUERN_PRECISION_TF32, 0x1p-11);
    check_products(QUERN_PRECISION_BF16, 0x1p-8);
}

// ---- what cannot be packed ----

/* Rows and columns with numbers that are not finite, or far from those of others, spoil nothing and lose nothing. */
static void odd_numbers_are_taken_term_by_term(void **state)
{
    (void)state;
    need_device();
    static const double values[] = {NAN, INFINITY, -INFINITY, 1e18, 1e30, 1e-30};
    static const char *const texts[] = {"x=Vi(20); y=Vj(20); Sum_j(Exp(-SqDist(x,y)/20))",
                                        "x=Vi(20); y=Vj(20); LogSumExp_j(x|y), Sum_j(x|y)"};
    for (size_t f = 0; f < Q_COUNT(texts); f++) {
        quern_operator *op = compile_mma(texts[f], QUERN_PRECISION_FLOAT32);
        expect_scheme(op, "mma");
        for (size_t v = 0; v < Q_COUNT(values); v++) {
            trial t = trial_create(op, QUERN_F32, M, N, 1);
            size_t count;
            trial_data(&t, "y", &count)[77 * 20 + 3] = values[v];
            trial_data(&t, "x", &count)[12 * 20 + 3] = isfinite(values[v]) ? 1 / values[v] : values[v];
            trial_run(&t);
            trial_compare(&t, 1e-5);
            trial_destroy(&t);
        }
        quern_operator_destroy(&op);
    }
}

/* Points against themselves: nothing is left to cancellation. */
static void equal_points_have_no_distance(void **state)
{
    (void)state;
    need_device();
    quern_operator *op = compile_mma("x=Vi(60); y=Vj(60); Sum_j(Exp(-1e6*SqDist(x,y)))", QUERN_PRECISION_FLOAT32);
    expect_scheme(op, "mma");
    trial t = trial_create(op, QUERN_F32, N, N, 1);
    scatter(&t, "x", 10, 1, 3), scatter(&t, "y", 10, 1, 3);
    trial_run(&t);
    for (size_t n = 0; n < N; n++) assert_true(t.got[0][n] == 1);
    trial_destroy(&t);
    quern_operator_destroy(&op);
}

// ---- right-hand sides ----

/* The error of each component in relation to the sum of its absolute terms, for data that a function changes. */
static void check_rhs(quern_operator *op, double relative, const char *what, void (*change)(const trial *t))
{
    trial t = trial_create(op, QUERN_F32, M, N, 1), sizes = trial_create(op, QUERN_F32, M, N, 1);
    size_t count;
    change(&t), change(&sizes);
    double *b = trial_data(&sizes, "b", &count);
    for (size_t n = 0; n < count; n++) b[n] = fabs(b[n]);
    trial_run(&t);
    trial_compare(&t, INFINITY);
    trial_run(&sizes);
    trial_compare(&sizes, INFINITY);
    for (size_t n = 0; n < trial_result_count(&t, 0); n++) {
        double off = fabs(t.got[0][n] - t.expected[0][n]), size = fabs(sizes.expected[0][n]);
        if (isnan(t.expected[0][n]) ? !isnan(t.got[0][n])
                                    : !(t.got[0][n] == t.expected[0][n] || off <= relative * size))
            fail_msg("%s: number %zu is %g, not %g, of terms of %g", what, n, t.got[0][n], t.expected[0][n], size);
    }
    trial_destroy(&t);
    trial_destroy(&sizes);
}

static void as_they_are(const trial *t)
{
    size_t count;
    scatter(t, "x", 0, 1, 1), scatter(t, "y", 0, 1, 2), scatter(t, "b", 0, 1, 3);
    trial_data(t, "p", &count)[0] = -1;
}

/* Each component is of another size, and weights are small, and larger from column to column. */
static void far_apart(const trial *t)
{
    size_t count, columns;
    as_they_are(t);
    double *b = trial_data(t, "b", &count), *y = trial_data(t, "y", &columns);
    for (size_t n = 0; n < count; n++) b[n] *= (double)(float)exp((double)(n % (count / N)) - 20);
    for (size_t n = 0; n < columns; n++) y[n] += 6 - 6.0 * (double)(n / 3) / N;
}

static void not_finite(const trial *t)
{
    static const double values[] = {NAN, INFINITY, 1e25, -1e-30, 0, -0.0};
    size_t count;
    as_they_are(t);
    double *b = trial_data(t, "b", &count);
    for (size_t k = 0; k < Q_COUNT(values); k++) b[count / N * (7 + 50 * k) + k] = values[k];
}

/* One column has a right-hand side, far from the largest weight. */
static void one_column(const trial *t)
{
    size_t count;
    as_they_are(t);
    double *b = trial_data(t, "b", &count);
    for (size_t n = 0; n < count; n++)
        if (n / (count / N) != 123) b[n] = 0;
}

/* Weights up to 1e36, beyond what fits a scale. */
static void large(const trial *t)
{
    size_t count;
    as_they_are(t);
    trial_data(t, "p", &count)[0] = 7;
}

static void right_hand_sides_are_accurate(void **state)
{
    (void)state;
    need_device();
    const double bound = 256 * 0x1p-24; /* docs/numbers.md, Summation */
    quern_operator *op =
        compile_mma("x=Vi(3); y=Vj(3); b=Vj(20); p=Pm(1); Sum_j(Exp(p*SqDist(x,y))*b)", QUERN_PRECISION_FLOAT32);
    expect_scheme(op, "mma");
    check_rhs(op, bound / 32, "near", as_they_are);
    check_rhs(op, bound, "far apart", far_apart);
    check_rhs(op, bound, "not finite", not_finite);
    check_rhs(op, bound, "one column", one_column);
    check_rhs(op, bound, "large", large);
    quern_operator_destroy(&op);
}

/* Scores that rise, and such that are not finite. */
static void rising(const trial *t)
{
    size_t count;
    as_they_are(t);
    double *y = trial_data(t, "y", &count);
    for (size_t n = 0; n < count; n++) y[n] *= (double)(float)(0.1 * (double)(n / 18));
}

static void odd_scores(const trial *t)
{
    size_t count;
    not_finite(t);
    double *x = trial_data(t, "x", &count), *y = trial_data(t, "y", &count);
    x[18 * 3 + 1] = INFINITY, y[18 * 40 + 2] = -INFINITY, x[18 * 90] = NAN;
}

static void softmax_sums_are_accurate(void **state)
{
    (void)state;
    need_device();
    quern_operator *op =
        compile_mma("x=Vi(18); y=Vj(18); b=Vj(70); p=Pm(1); SumSoftMaxWeight_j(p*(x|y),b)", QUERN_PRECISION_FLOAT32);
    expect_scheme(op, "mma");
    check_rhs(op, 4e-6, "near", as_they_are);
    check_rhs(op, 1e-4, "rising", rising); /* of scores of 100: each is off by some 1e-5 */
    check_rhs(op, 1e-4, "odd", odd_scores);
    quern_operator_destroy(&op);
}

// ---- few components ----

static void exponents_of_few_components_are_one_product(void **state)
{
    (void)state;
    need_device();
    static const struct {
        const char *text;
        int folded;
    } cases[] = {
        {"x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)", 1},
        {"x=Vi(4); y=Vj(4); p=Pm(1); b=Vj(16); Sum_j(Exp(-SqDist(x,y)*p)*b), Sum_j(Exp(-p*SqDist(x,y)))", 1},
        {"x=Vi(5); y=Vj(5); Sum_j(Exp(-SqDist(x,y)))", 0},
        {"x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y))), Sum_j(SqDist(x,y))", 0},
        {"x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y))+Exp(-2*SqDist(x,y)))", 0},
        {"x=Vi(3); y=Vj(3); s=Vi(1); Sum_j(Exp(-SqDist(x,y)*s))", 0},
        {"x=Vi(3); y=Vj(3); Sum_j(Exp(x|y))", 0},
        {"x=Vi(3); y=Vj(3); Sum_j(Sqrt(SqDist(x,y)))", 0},
    };
    for (size_t c = 0; c < Q_COUNT(cases); c++) {
        quern_operator *op = compile_short(cases[c].text);
        expect_scheme(op, "mma");
        if (q_plan_shape(plan_of(op, QUERN_F32), "FOLDED") != cases[c].folded) fail_msg("%s", op->text);
        quern_operator_destroy(&op);
    }
}

/* An exponential of |p| (|x|^2 + |y|^2) up to 4 is off by 128 u, whatever cancels; one of more as without matrix units. */
static void exponents_of_one_product_are_accurate(void **state)
{
    (void)state;
    need_device();
    static const struct {
        double x, y, radius, factor;
        bool folded;
    } clouds[] = {{0, 0, 0.5, -1, true},      {0, 0, 0.5, 1, true},      {1000, 1000, 0.5, -2, true},
                  {5, 5, 1e-15, -1e30, true}, {0, 0, 4e9, -1e-20, true}, {0, 0, 0.5, 0, true},
                  {0, 0, 4, -1, false},       {0, 3, 0.1, -1, false},    {0, 1e-3, 1e-2, -1e6, false},
                  {0, 0, 0.1, -1e38, false}};
    quern_operator *op = compile_short("x=Vi(3); y=Vj(3); p=Pm(1); t=Vj(1); Sum_j(Exp(p*SqDist(x,y))*t)");
    expect_scheme(op, "mma");
    for (size_t c = 0; c < Q_COUNT(clouds); c++) {
        trial t = trial_create(op, QUERN_F32, M, N, 1);
        size_t count;
        double most = 0;
        choose_column(&t, c % 2 ? 5 : N - 1); /* in a tile of columns, and in one that ends early */
        scatter(&t, "x", clouds[c].x, clouds[c].radius, 1);
        scatter(&t, "y", clouds[c].y, clouds[c].radius, 2);
        trial_data(&t, "p", &count)[0] = (double)(float)clouds[c].factor;
        trial_run(&t);
        trial_compare(&t, INFINITY);
        for (size_t n = 0; n < M; n++) {
            double expected = t.expected[0][n], error = fabs(t.got[0][n] - expected);
            double bound = (clouds[c].folded ? 128 : 8 + 8 * fabs(log(expected))) * 0x1p-24;
            if (expected > 1e-37 && !(error <= bound * expected))
                fail_msg("cloud %zu: %g is off by %g of itself, more than %g", c, expected, error / expected, bound);
            if (expected > 1e-37) most = fmax(most, error / expected);
        }
        print_message("cloud %zu: %g u\n", c, most * 0x1p24);
        trial_destroy(&t);
    }
    quern_operator_destroy(&op);
}

/* Also with numbers that are not finite. */
static void odd_numbers_of_few_components_are_taken_directly(void **state)
{
    (void)state;
    need_device();
    static const double values[] = {NAN, INFINITY, -INFINITY, 1e18, 1e30, 1e-30};
    quern_operator *op = compile_short("x=Vi(2); y=Vj(2); b=Vj(16); Sum_j(Exp(-SqDist(x,y)/20)*b)");
    expect_scheme(op, "mma");
    for (size_t v = 0; v < Q_COUNT(values); v++) {
        trial t = trial_create(op, QUERN_F32, M, N, 1);
        size_t count;
        trial_data(&t, "y", &count)[77 * 2 + 1] = values[v];
        trial_data(&t, "x", &count)[12 * 2] = isfinite(values[v]) ? 1 / values[v] : values[v];
        trial_run(&t);
        trial_compare(&t, 1e-5);
        trial_destroy(&t);
    }
    quern_operator_destroy(&op);
}

// ---- memory ----

static void on_line(void *user, const char *line)
{
    q_text_add(user, "%s\n", line);
}

/* What is packed is in the account, twice what the arrays take; where there is no room for it, the run goes on without. */
static void without_memory_nothing_is_packed(void **state)
{
    (void)state;
    need_device();
    enum { ROWS = 400, COLUMNS = 600, D = 40, ARRAYS = 4 * (ROWS * (D + 1) + COLUMNS * D) };
    static float x[ROWS * D], y[COLUMNS * D], a[ROWS], b[ROWS];
    const quern_args args = QUERN_ARGS({"x", quern_f32(x, ROWS, D)}, {"y", quern_f32(y, COLUMNS, D)});
    for (size_t n = 0; n < ROWS * D; n++) x[n] = (float)(n % 37) / 64;
    for (size_t n = 0; n < COLUMNS * D; n++) y[n] = (float)(n % 41) / 64;
    quern_operator *op = compile_mma("x=Vi(40); y=Vj(40); Sum_j(Exp(-SqDist(x,y)))", QUERN_PRECISION_FLOAT32);
    for (int tight = 0; tight < 2; tight++) {
        q_text lines = {0};
        quern_context *small;
        succeed(quern_context_create(&small, &(quern_context_options){.size = sizeof(quern_context_options),
                                                                      .memory = (tight ? 1 : 4) * ARRAYS + 20000,
                                                                      .host = QUERN_OFF,
                                                                      .log = on_line,
                                                                      .log_user = &lines}));
        succeed(quern_run_in(op, small, args, QUERN_OUTS(quern_f32(tight ? b : a, ROWS, 1))));
        assert_int_equal(strstr(lines.data, "goes on without matrix units") != NULL, tight);
        assert_int_equal(strstr(lines.data, "quern_mma_pack_f32") != NULL, true);
        assert_int_equal(strstr(lines.data, "quern_gemm_tile_f32") != NULL, tight);
        quern_context_destroy(&small);
        q_text_free(&lines);
    }
    for (size_t i = 0; i < ROWS; i++) assert_true(a[i] > 0 && fabsf(a[i] - b[i]) <= 1e-6f * a[i]);
    quern_operator_destroy(&op);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_of_products_are_taken),
        cmocka_unit_test(every_make_is_taken),
        cmocka_unit_test(what_is_packed_is_linear),
        cmocka_unit_test(distances_are_accurate),
        cmocka_unit_test(random_distances_are_accurate),
        cmocka_unit_test(products_have_the_precision_that_is_asked_for),
        cmocka_unit_test(odd_numbers_are_taken_term_by_term),
        cmocka_unit_test(equal_points_have_no_distance),
        cmocka_unit_test(right_hand_sides_are_accurate),
        cmocka_unit_test(softmax_sums_are_accurate),
        cmocka_unit_test(exponents_of_few_components_are_one_product),
        cmocka_unit_test(exponents_of_one_product_are_accurate),
        cmocka_unit_test(odd_numbers_of_few_components_are_taken_directly),
        cmocka_unit_test(without_memory_nothing_is_packed),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
