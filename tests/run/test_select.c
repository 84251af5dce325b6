/*
 * test_select.c: selections of squared distances of long vectors, in the scheme gemm_select for GPUs: values and indices are those of
 * float64 arithmetic on the same numbers, rounded once, equal ones by index; whatever cancels in the expansion, overflows
 * or is not a number, at sizes around those of tiles, split and not.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run_helpers.h"

/* A cloud of points: number d of point n of rows (side 0) or columns (side 1), of the dimension D. */
typedef double cloud(int side, size_t n, size_t d, size_t D);

/* From -1 to 1. */
static double noise(int side, size_t n, size_t d)
{
    uint64_t key[3] = {(uint64_t)side, n, d};
    return (double)(q_hash64(key, sizeof key) >> 40) * 0x1p-23 - 1;
}

static double usual(int side, size_t n, size_t d, size_t D)
{
    (void)D;
    return noise(side, n, d);
}

/* Far from the origin, on the few numbers that are there: many distances are equal. */
static double distant(int side, size_t n, size_t d, size_t D)
{
    (void)D;
    return 10000 + 0.004 * noise(side, n, d);
}

/* Two clusters: every centre is far from both, and all that tells columns of one apart cancels. */
static double clusters(int side, size_t n, size_t d, size_t D)
{
    (void)D;
    return (n % 2 ? 3000 : -3000) + 0.01 * noise(side, n, d);
}

/* Rows are 0, columns the same numbers in other orders: distances are equal, their sums in float32 are not. */
static double turned(int side, size_t n, size_t d, size_t D)
{
    return side ? noise(1, 0, (d + n) % D) : 0;
}

static double copies(int side, size_t n, size_t d, size_t D)
{
    (void)D;
    return side ? noise(1, n % 7, d) : noise(0, n, d);
}

static double nearer_and_nearer(int side, size_t n, size_t d, size_t D)
{
    (void)D;
    return side ? 1 + 1 / (1 + (double)n) + 1e-3 * noise(1, n, d) : 1e-3 * noise(0, n, d);
}

/* Squares are near the end of the range of float32, or beyond it. */
static double huge(int side, size_t n, size_t d, size_t D)
{
    (void)D;
    return (n % 5 == 3 ? 1e19 : 1.5e18) * noise(side, n, d);
}

static double tiny(int side, size_t n, size_t d, size_t D)
{
    (void)D;
    return 1e-10 * noise(side, n, d);
}

/* Rows and columns that are not finite; among the columns those of which the centre is made. */
static double broken(int side, size_t n, size_t d, size_t D)
{
    static const double values[] = {NAN, INFINITY, -INFINITY, 3e38, 1e25};
    bool bad = d == n % D && (side ? n % 4 == 0 : n % 11 == 0);
    return bad ? values[n / 4 % Q_COUNT(values)] : noise(side, n, d);
}

static double missing(int side, size_t n, size_t d, size_t D)
{
    (void)n, (void)d, (void)D;
    return side ? NAN : 0;
}

/* exact: long double holds the distances as they are, so that they can be rounded to float64. */
static const struct {
    cloud *cloud;
    const char *name;
    bool exact;
} clouds[] = {{usual, "usual", true},    {distant, "distant", true}, {clusters, "clusters", true},
              {turned, "turned", true},  {copies, "copies", true},   {nearer_and_nearer, "nearer and nearer", false},
              {huge, "huge", false},     {tiny, "tiny", false},      {broken, "broken", true},
              {missing, "missing", true}};

// ---- operators ----

/* The profile of a GPU, for the device of the tests. */
static quern_operator *compile_for_gpu(const char *text, const char *settings, int split)
{
    q_profile profile;
    q_text row = {0};
    assert_true(q_profile_find(&profile, "nvidia"));
    succeed(q_profile_set(&profile, "vector_math=0 min_k=2 rows=1 reg_m=4 reg_n=4", "test"));
    succeed(q_profile_set(&profile, settings, "test"));
    q_profile_settings(&row, &profile);
    quern_operator *op = compile(text, &(quern_compile_options){sizeof(quern_compile_options), .profile = row.data,
                                                                .local = 32, .split = split});
    q_text_free(&row);
    return op;
}

// ---- what is expected ----

/* The K smallest distances of row i in `best`, with their columns, as float64 arithmetic has them, rounded to the type. */
static void expect_row(const trial *t, size_t i, size_t D, size_t K, double *best, double *index)
{
    size_t count;
    const double *x = trial_data(t, "x", &count), *y = trial_data(t, "y", &count);
    for (size_t k = 0; k < K; k++) best[k] = INFINITY, index[k] = -1;
    for (size_t j = 0; j < (size_t)t->N; j++) {
        long double sum = 0;
        for (size_t d = 0; d < D; d++) {
            long double difference = (long double)x[i * D + d] - (long double)y[j * D + d];
            sum += difference * difference;
        }
        double f = t->dtype == QUERN_F64 ? (double)sum : (double)(float)sum;
        for (size_t k = K; k-- && f < best[k];) {
            if (k + 1 < K) best[k + 1] = best[k], index[k + 1] = index[k];
            best[k] = f, index[k] = (double)j;
        }
    }
}

static void compare(const trial *t, size_t D, size_t K, const char *name)
{
    double best[64], index[64];
    for (size_t i = 0; i < (size_t)t->M; i++) {
        expect_row(t, i, D, K, best, index);
        for (size_t k = 0; k < K; k++)
            if (t->got[0][i * K + k] != best[k] || t->got[1][i * K + k] != index[k])
                fail_msg("%s, %lld x %lld, row %zu: number %zu is %.17g of column %g, not %.17g of %g", name,
                         (long long)t->M, (long long)t->N, i, k, t->got[0][i * K + k], t->got[1][i * K + k], best[k],
                         index[k]);
    }
}

static void fill(const trial *t, const char *name, int side, size_t D, cloud *points)
{
    size_t count;
    double *data = trial_data(t, name, &count);
    for (size_t n = 0; n < count; n++) data[n] = (double)(float)points(side, n / D, n % D, D);
}

static void check(quern_operator *op, quern_dtype dtype, int64_t M, int64_t N, size_t D, size_t K)
{
    for (size_t c = 0; c < Q_COUNT(clouds); c++) {
        if (dtype == QUERN_F64 && !clouds[c].exact) continue;
        trial t = trial_create(op, dtype, M, N, 1);
        fill(&t, "x", 0, D, clouds[c].cloud);
        fill(&t, "y", 1, D, clouds[c].cloud);
        trial_run(&t);
        compare(&t, D, K, clouds[c].name);
        trial_destroy(&t);
    }
}

// ---- the tests ----

#define NEAREST "x=Vi(18); y=Vj(18); KMin_j(SqDist(x,y),5), ArgKMin_j(SqDist(x,y),5)"

/* Builds without the driver's optimiser, which takes longer than all runs. */
static int open_plainly(void **state)
{
    setenv("POCL_EXTRA_BUILD_FLAGS", "-cl-opt-disable", 1);
    return open_context(state);
}

static bool is_scheme(const quern_operator *op, const char *settings, const char *name, int64_t M, int64_t N)
{
    q_profile profile;
    q_plan plan;
    assert_true(q_profile_find(&profile, "nvidia"));
    succeed(q_profile_set(&profile, settings, "test"));
    succeed(q_plan_make(&plan, op->build->programs[0], &(q_plan_request){&profile, QUERN_F32, M, N, 1, NULL, NULL}));
    return strcmp(plan.scheme->name, name) == 0;
}

static void it_is_for_selections_of_one_distance(void **state)
{
    (void)state;
    need_device();
    static const struct {
        const char *text, *settings;
        bool taken;
    } cases[] = {
        {"x=Vi(40); y=Vj(40); ArgKMin_j(SqDist(x,y),3)", "", true},
        {"x=Vi(40); y=Vj(40); Min_j(SqDist(x,y)), ArgMin_j(SqDist(x,y))", "", true},
        {"x=Vi(40); y=Vj(40); ArgMin_i(SqDist(x,y))", "", true},
        {"x=Vi(9); y=Vj(9); ArgMin_j(SqDist(x,y))", "", false},
        {"x=Vi(40); y=Vj(40); ArgKMin_j(SqDist(x,y),200)", "", false},
        {"x=Vi(40); y=Vj(40); Max_j(SqDist(x,y))", "", false},
        {"x=Vi(40); y=Vj(40); Sum_j(SqDist(x,y))", "", false},
        {"x=Vi(40); y=Vj(40); ArgMin_j(SqDist(x,y)), Sum_j(SqDist(x,y))", "", false},
        {"x=Vi(40); y=Vj(40); ArgMin_j(SqDist(x,y))", "staged_cols=0", false},
        {"x=Vi(40); y=Vj(40); ArgMin_j(SqDist(x,y))", "lanes32=4", false},
        {"x=Vi(1100); y=Vj(1100); ArgMin_j(SqDist(x,y))", "", false},
    };
    for (size_t c = 0; c < Q_COUNT(cases); c++) {
        quern_operator *op = compile_for_gpu(cases[c].text, "min_k=32", 0);
        if (is_scheme(op, cases[c].settings, "gemm_select", 3000, 3000) != cases[c].taken)
            fail_msg("%s, %s", cases[c].text, cases[c].settings);
        quern_operator_destroy(&op);
    }
}

static void selections_are_those_of_exact_distances(void **state)
{
    (void)state;
    need_device();
    static const struct {
        int split;
        int64_t M, N;
    } ways[] = {{0, 1, 1}, {0, 33, 2}, {0, 31, 301}, {0, 70, 299}, {2, 70, 601}, {3, 9, 700}};
    for (size_t w = 0; w < Q_COUNT(ways); w++) {
        quern_operator *op = compile_for_gpu(NEAREST, "", ways[w].split);
        check(op, QUERN_F32, ways[w].M, ways[w].N, 18, 5);
        quern_operator_destroy(&op);
    }
}

/* One list is longer than a queue, one is a single number; vectors that runs of four components divide, and not. */
static void lists_of_all_lengths(void **state)
{
    (void)state;
    need_device();
    static const struct {
        const char *text, *settings;
        size_t D, K;
    } cases[] = {
        {"x=Vi(7); y=Vj(7); Min_j(SqDist(x,y)), ArgMin_j(SqDist(x,y))", "", 7, 1},
        {"x=Vi(16); y=Vj(16); KMin_j(SqDist(x,y),40), ArgKMin_j(SqDist(x,y),40)", "", 16, 40},
        {"x=Vi(5); y=Vj(5); KMin_j(SqDist(x,y),2), ArgKMin_j(SqDist(x,y),2)", "reg_m=2 reg_n=8 tile_k=4", 5, 2},
    };
    for (size_t c = 0; c < Q_COUNT(cases); c++) {
        quern_operator *op = compile_for_gpu(cases[c].text, cases[c].settings, 0);
        check(op, QUERN_F32, 70, 299, cases[c].D, cases[c].K);
        quern_operator_destroy(&op);
    }
}

static void selections_in_float64(void **state)
{
    (void)state;
    need_device();
    need_type(QUERN_F64);
    quern_operator *op = compile_for_gpu(NEAREST, "", 0);
    check(op, QUERN_F64, 70, 299, 18, 5);
    check(op, QUERN_F64, 31, 40, 18, 5);
    quern_operator_destroy(&op);
}

static void nothing_to_select_from(void **state)
{
    (void)state;
    need_device();
    quern_operator *op = compile_for_gpu(NEAREST, "", 0);
    check(op, QUERN_F32, 0, 5, 18, 5);
    check(op, QUERN_F32, 5, 0, 18, 5);
    quern_operator_destroy(&op);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_for_selections_of_one_distance),
        cmocka_unit_test(selections_are_those_of_exact_distances),
        cmocka_unit_test(lists_of_all_lengths),
        cmocka_unit_test(selections_in_float64),
        cmocka_unit_test(nothing_to_select_from),
    };
    return cmocka_run_group_tests(tests, open_plainly, close_context);
}
