/*
 * test_gemm.c: the scheme `gemm`: long contractions and right-hand sides, at sizes around those of its tiles, split and not;
 * squared distances by their expansion, where it is accurate, where it is not, and where it only screens.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run_helpers.h"

#define SHORT "min_k=2 min_rhs=2" /* tiles for the shortest vectors */

/* Whether the program of an operator's only stage has the loops, and how squared distances are computed. */
static void expect_loops(const quern_operator *op, uint32_t k_dim, uint32_t rhs_dim, q_expansion expansion)
{
    const q_ir *p = op->build->programs[op->stages.count - 1];
    if (p->k_dim != k_dim || p->rhs_dim != rhs_dim || p->expansion != expansion)
        fail_msg("%s: depth %u, width %u, expansion %d", op->text, p->k_dim, p->rhs_dim, p->expansion);
}

static quern_operator *compile_tiled(const char *text, const char *profile)
{
    return compile(text, &(quern_compile_options){sizeof(quern_compile_options), .profile = profile});
}

// ---- what is done in loops ----

static void long_vectors_are_done_in_loops(void **state)
{
    (void)state;
    need_device();
    static const struct {
        const char *text, *profile;
        uint32_t k_dim, rhs_dim;
        q_expansion expansion;
    } cases[] = {
        {"x=Vi(30); y=Vj(30); Sum_j(Exp(-SqDist(x,y)))", "min_k=24 min_rhs=16", 30, 0, Q_GUARDED},
        {"x=Vi(30); y=Vj(30); LogSumExp_j(-SqDist(x,y))", "min_k=24 min_rhs=16", 30, 0, Q_GUARDED},
        {"x=Vi(23); y=Vj(23); Sum_j(Exp(-SqDist(x,y)))", "min_k=24 min_rhs=16", 0, 0, Q_DIRECT},
        {"x=Vi(30); y=Vj(30); Sum_j(Exp(-SqDist(x,y)))", "min_k=0 min_rhs=0", 0, 0, Q_DIRECT},
        {"x=Vi(30); y=Vj(30); Sum_j(Exp(x|y))", "min_k=24 min_rhs=16", 30, 0, Q_DIRECT},
        {"x=Vi(30); y=Vj(30); p=Pm(30); Sum_j(Sum(p*Abs(x-y)))", "min_k=24 min_rhs=16", 30, 0, Q_DIRECT},
        {"x=Vi(30); y=Vj(30); ArgKMin_j(SqDist(x,y),3)", "min_k=24 min_rhs=16", 30, 0, Q_SCREENED},
        {"x=Vi(30); y=Vj(30); Min_j(SqDist(x,y)), ArgMin_j(SqDist(x,y))", "min_k=24 min_rhs=16", 30, 0, Q_SCREENED},
        {"x=Vi(30); y=Vj(30); Max_j(SqDist(x,y))", "min_k=24 min_rhs=16", 30, 0, Q_DIRECT},
        {"x=Vi(30); y=Vj(30); KMin_j(Norm2(x-y),3)", "min_k=24 min_rhs=16", 30, 0, Q_DIRECT},
        {"x=Vi(30); y=Vj(30); Sum_j(Exp(-SqDist(x,y))+(x|y))", "min_k=24 min_rhs=16", 30, 0, Q_DIRECT},
        {"x=Vi(3); y=Vj(3); b=Vj(20); Sum_j(Exp(-SqDist(x,y))*b)", "min_k=24 min_rhs=16", 0, 20, Q_DIRECT},
        {"x=Vi(30); y=Vj(30); Grad(Sum_j(Exp(-SqDist(x,y))),x,1)", "min_k=24 min_rhs=16", 30, 30, Q_GUARDED},
        {"y=Vj(30); Sum_j(y)", "min_k=24 min_rhs=16", 0, 0, Q_DIRECT},
    };
    for (size_t c = 0; c < Q_COUNT(cases); c++) {
        char profile[64];
        snprintf(profile, sizeof profile, "staged_cols=0 local=1 %s", cases[c].profile);
        quern_operator *op = compile_tiled(cases[c].text, profile);
        expect_loops(op, cases[c].k_dim, cases[c].rhs_dim, cases[c].expansion);
        quern_operator_destroy(&op);
    }
    quern_operator *op = compile("x=Vi(30); y=Vj(30); b=Vj(30); Sum_j(Exp(-SqDist(x,y))*b)",
                                 &(quern_compile_options){sizeof(quern_compile_options), QUERN_SUM_KAHAN,
                                                          .profile = "staged_cols=0 local=1 min_k=24 min_rhs=16"});
    expect_loops(op, 30, 0, Q_DIRECT);
    quern_operator_destroy(&op);
}

/* In local memory right-hand sides are in different work-items, so no output can take all of them in. */
static void right_hand_sides_in_local_memory_are_used_by_component(void **state)
{
    (void)state;
    need_device();
    static const struct {
        const char *text;
        uint32_t k_dim, rhs_dim;
    } cases[] = {
        {"x=Vi(3); y=Vj(3); b=Vj(20); Sum_j(Exp(-SqDist(x,y))*b)", 0, 20},
        {"x=Vi(3); y=Vj(3); b=Vj(20); c=Vi(20); c*Sum_j(Exp(-SqDist(x,y))*b)+1, Max_j(x|y)", 0, 20},
        {"x=Vi(3); y=Vj(3); b=Vj(20); Norm2(Sum_j(Exp(-SqDist(x,y))*b))", 0, 0},
        {"x=Vi(3); y=Vj(3); b=Vj(20); Normalize(Sum_j(Exp(-SqDist(x,y))*b))", 0, 0},
        {"x=Vi(3); y=Vj(3); b=Vj(20); s=Sum_j(Exp(-SqDist(x,y))*b); s, Elem(s,3)", 0, 0},
        {"x=Vi(30); y=Vj(30); b=Vj(20); Sum_j(Exp(-SqDist(x,y))*b)", 30, 20}, /* registers are for sums */
        {"x=Vi(30); y=Vj(30); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)", 0, 0},
        {"x=Vi(30); y=Vj(30); b=Vj(20); Norm2(Sum_j(Exp(-SqDist(x,y))*b))", 0, 0},
    };
    for (size_t c = 0; c < Q_COUNT(cases); c++) {
        quern_operator *op = compile_tiled(cases[c].text, "staged_cols=64 min_k=48 min_rhs=16");
        expect_loops(op, cases[c].k_dim, cases[c].rhs_dim, cases[c].k_dim ? Q_GUARDED : Q_DIRECT);
        quern_operator_destroy(&op);
    }
}

/* Several register tiles for a work-item, where they share more than its columns; fewer columns of long vectors for them. */
static void tiles_share_columns_on_cpus(void **state)
{
    (void)state;
    need_device();
    static const char sum[] = "x=Vi(128); y=Vj(128); Sum_j(Exp(-SqDist(x,y)))";
    static const struct {
        const char *profile, *formula;
        int64_t M;
        int asked, rows, reg_m, chunk;
    } cases[] = {
        {"cpu-avx2", sum, 40000, 0, 12, 3, 20},
        {"cpu-avx2", sum, 40000, 5, 5, 1, 20},
        {"cpu-avx2", sum, 5, 0, 1, 1, 4},
        {"cpu-avx2", sum, 200, 0, 3, 3, 4}, /* too few for several of each compute unit */
        {"cpu-avx2", "x=Vi(8000); y=Vj(8000); Sum_j(Exp(-SqDist(x,y)))", 40000, 0, 1, 1, 4},
        {"cpu-avx2", "x=Vi(3); y=Vj(3); b=Vj(64); Sum_j(Exp(-SqDist(x,y))*b)", 40000, 0, 12, 3, 32},
        {"cpu-avx2", "x=Vi(50); y=Vj(50); ArgKMin_j(SqDist(x,y),10)", 40000, 0, 12, 3, 32},
        {"cpu-avx2", "x=Vi(50); y=Vj(50); Sum_j(Exp(x|y))", 40000, 0, 3, 3, 4},
        {"cpu-avx512", sum, 40000, 0, 4, 4, 5},
    };
    for (size_t c = 0; c < Q_COUNT(cases); c++) {
        quern_compile_options options = {.size = sizeof options, .rows = cases[c].asked};
        quern_operator *op = compile_tiled(cases[c].formula, "staged_cols=0 local=1 min_k=24 min_rhs=16");
        q_profile profile;
        q_plan plan;
        assert_true(q_profile_find(&profile, cases[c].profile));
        const q_plan_request request = {&profile, QUERN_F32, cases[c].M, 40000, 8, &options, NULL};
        succeed(q_plan_make(&plan, op->build->programs[0], &request));
        if (plan.scheme != &q_scheme_gemm || plan.rows != cases[c].rows ||
            q_plan_shape(&plan, "REG_M") != cases[c].reg_m || q_plan_shape(&plan, "CHUNK") != cases[c].chunk)
            fail_msg("case %zu: %s, %d rows, %d, %d", c, plan.scheme->name, plan.rows, q_plan_shape(&plan, "REG_M"),
                     q_plan_shape(&plan, "CHUNK"));
        quern_operator_destroy(&op);
    }
}

// ---- values ----

static const char *const formulas[] = {
    "x=Vi(7); y=Vj(7); Sum_j(Exp(-SqDist(x,y)))",
    "x=Vi(37); y=Vj(37); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)",
    "x=Vi(33); y=Vj(33); g=Pm(1); s=Vi(1); t=Vj(1); LogSumExp_j(s*t-g*SqDist(x,y))",
    "x=Vi(33); y=Vj(33); Sum_i(Sqrt(SqDist(x,y)+1))",
    "x=Vi(17); y=Vj(17); p=Pm(17); Sum_j(Sum(p*Abs(x-y)))",
    "x=Vi(17); y=Vj(17); s=Vi(1); t=Vj(1); Sum_j(Sum(Square(s*x-t*y)))",
    "x=Vi(17); y=Vj(17); Sum_j((x|y)*SqDist(x,y))",
    "x=Vi(17); y=Vj(17); Max_j(x|y), ArgMax_j(x|y), Sum_j(x|y)",
    "x=Vi(19); y=Vj(19); KMin_j(SqDist(x,y),3), ArgKMin_j(SqDist(x,y),3)",
    "x=Vi(19); y=Vj(19); Min_j(SqDist(x,y)), ArgMin_j(SqDist(x,y))",
    "x=Vi(19); y=Vj(19); ArgMin_i(SqDist(x,y))",
    "x=Vi(3); y=Vj(3); b=Vj(18); Sum_j(Exp(-SqDist(x,y))*b)",
    "x=Vi(3); y=Vj(3); b=Vj(18); c=Vi(18); p=Pm(18); Sum_j(Exp(-SqDist(x,y))*(b+c*p)), Sum_j((x|y)*b), LogSumExp_j(x|y)",
    "x=Vi(3); y=Vj(3); b=Vj(5); 2*Sum_j((x|y)*b), 3*Sum_j((x|y)*b), Sum_j(-b*(x|y))",
    "x=Vi(25); y=Vj(25); v=Vj(6); Sum_j(Exp((x|y)/5)*v)/Sum_j(Exp((x|y)/5))",
    "x=Vi(9); y=Vj(9); Grad(Sum_j(Exp(-SqDist(x,y))),x,1)",
    "x=Vi(9); y=Vj(9); Grad(Sum_j(Exp(-SqDist(x,y))),y,1)",
};

static void check(const char *text, const quern_compile_options *options, quern_dtype dtype, int64_t M, int64_t N)
{
    quern_operator *op = compile(text, options);
    trial t = trial_create(op, dtype, M, N, 5);
    trial_run(&t);
    trial_compare(&t, dtype == QUERN_F64 ? 1e-12 : 1e-4);
    trial_destroy(&t);
    quern_operator_destroy(&op);
}

/* The driver's optimiser, told to stop for PoCL alone, would take ten times as long over so many programs. */
static void check_all(quern_dtype dtype)
{
    setenv("POCL_EXTRA_BUILD_FLAGS", "-cl-opt-disable", 1);
    static const struct {
        int64_t M, N;
        int lanes, rows, local, split;
        const char *profile;
    } ways[] = {
        {1, 1, 1, 1, 1, 0, SHORT " reg_n=6"},           {5, 6, 4, 2, 1, 0, SHORT " reg_n=6"},
        {37, 23, 8, 6, 1, 0, SHORT " reg_m=3 reg_n=4"}, {21, 600, 4, 4, 2, 3, SHORT " reg_m=2 reg_n=5"},
        {300, 13, 1, 3, 4, 0, SHORT " reg_n=2"},
    };
    for (size_t w = 0; w < (takes_lanes() ? Q_COUNT(ways) : 2); w++)
        for (size_t f = 0; f < Q_COUNT(formulas); f++) {
            int lanes = takes_lanes() ? ways[w].lanes : 1;
            check(formulas[f],
                  &(quern_compile_options){sizeof(quern_compile_options), .lanes = lanes, .rows = ways[w].rows,
                                           .local = ways[w].local, .split = ways[w].split, .profile = ways[w].profile},
                  dtype, ways[w].M, ways[w].N);
        }
    unsetenv("POCL_EXTRA_BUILD_FLAGS");
}

static void tiles_give_the_reference_in_float32(void **state)
{
    (void)state;
    need_device();
    check_all(QUERN_F32);
}

static void tiles_give_the_reference_in_float64(void **state)
{
    (void)state;
    need_device();
    need_type(QUERN_F64);
    check_all(QUERN_F64);
}

static void nothing_to_sum(void **state)
{
    (void)state;
    need_device();
    const quern_compile_options options = {sizeof options, .profile = SHORT};
    for (size_t f = 0; f < 2; f++) {
        check(formulas[f], &options, QUERN_F32, 0, 5);
        check(formulas[f], &options, QUERN_F32, 5, 0);
    }
}

// ---- expansions ----

/* Fills a variable with numbers around a centre; the reference has them as float32 too. */
static void scatter(const trial *t, const char *name, double centre, double radius, uint64_t seed)
{
    size_t count;
    double *data = trial_data(t, name, &count);
    for (size_t n = 0; n < count; n++) {
        uint64_t key[2] = {seed, n};
        data[n] = (double)(float)(centre + radius * ((double)(q_hash64(key, sizeof key) >> 11) * 0x1p-52 - 1));
    }
}

/* Every distance by itself is as accurate as its differences, however far from the origin the points are. */
static void expanded_distances_are_accurate(void **state)
{
    (void)state;
    need_device();
    static const struct {
        double x, y, radius;
    } clouds[] = {{0, 0, 1}, {1000, 1000, 1}, {0, 1e-3, 1e-3}, {0, 50, 1}, {-3e15, -3e15, 4e9}, {0, 0, 1e-15}};
    quern_operator *op = compile_tiled("x=Vi(100); y=Vj(100); t=Vj(1); Sum_j(SqDist(x,y)*t)", "min_k=24");
    expect_loops(op, 100, 0, Q_GUARDED);
    for (size_t c = 0; c < Q_COUNT(clouds); c++) {
        trial t = trial_create(op, QUERN_F32, 70, 23, 1);
        size_t count;
        double *one = trial_data(&t, "t", &count);
        for (size_t j = 0; j < count; j++) one[j] = j == 5; /* the sum is one distance */
        scatter(&t, "x", clouds[c].x, clouds[c].radius, 1);
        scatter(&t, "y", clouds[c].y, clouds[c].radius, 2);
        trial_run(&t);
        trial_compare(&t, INFINITY);
        for (size_t n = 0; n < trial_result_count(&t, 0); n++) {
            double error = fabs(t.got[0][n] - t.expected[0][n]) / t.expected[0][n];
            if (!(error <= 2e-6)) fail_msg("cloud %zu: a distance is off by %g", c, error);
        }
        trial_destroy(&t);
    }
    quern_operator_destroy(&op);
}

/* Points against themselves: the least distances are 0, and nothing of it is left to cancellation. */
static void equal_points_have_no_distance(void **state)
{
    (void)state;
    need_device();
    quern_operator *op = compile_tiled("x=Vi(60); y=Vj(60); Min_j(SqDist(x,y)), ArgMin_j(SqDist(x,y))", "min_k=24");
    quern_operator *sum = compile_tiled("x=Vi(60); y=Vj(60); Sum_j(Equal(SqDist(x,y),0))", "min_k=24");
    trial t = trial_create(op, QUERN_F32, 150, 150, 1), u = trial_create(sum, QUERN_F32, 150, 150, 1);
    scatter(&t, "x", 10, 1, 3), scatter(&t, "y", 10, 1, 3);
    scatter(&u, "x", 10, 1, 3), scatter(&u, "y", 10, 1, 3);
    trial_run(&t), trial_run(&u);
    for (size_t n = 0; n < 150; n++) {
        assert_true(t.got[0][n] == 0 && t.got[1][n] == (double)n);
        assert_true(u.got[0][n] == 1);
    }
    trial_destroy(&t), trial_destroy(&u);
    quern_operator_destroy(&op), quern_operator_destroy(&sum);
}

/* Every fifth column is the same point: its distance has the same bits in whichever tile it stands, so the lowest
   indices win. */
static void ties_go_to_the_lowest_index_across_tiles(void **state)
{
    (void)state;
    need_device();
    quern_operator *op = compile_tiled("x=Vi(31); y=Vj(31); ArgKMin_j(SqDist(x,y),4)", "min_k=24");
    expect_loops(op, 31, 0, Q_SCREENED);
    trial t = trial_create(op, QUERN_F32, 40, 203, 1);
    scatter(&t, "x", 0.3, 0.01, 1);
    scatter(&t, "y", 5, 1, 2);
    size_t count;
    double *y = trial_data(&t, "y", &count);
    for (size_t j = 2; j < 203; j += 5)
        for (size_t d = 0; d < 31; d++) y[j * 31 + d] = 0.3;
    trial_run(&t);
    for (size_t i = 0; i < 40; i++)
        for (size_t k = 0; k < 4; k++) assert_true(t.got[0][i * 4 + k] == (double)(2 + 5 * k));
    trial_destroy(&t);
    quern_operator_destroy(&op);
}

/* A column that is not finite spoils what it is part of, and nothing else; the centre too may be lost. */
static void columns_that_are_not_finite(void **state)
{
    (void)state;
    need_device();
    static const double values[] = {NAN, INFINITY, -INFINITY, 1e18};
    static const char *const texts[] = {
        "x=Vi(40); y=Vj(40); Sum_j(Exp(-SqDist(x,y)/40))",
        "x=Vi(40); y=Vj(40); KMin_j(SqDist(x,y),2), ArgKMin_j(SqDist(x,y),2)",
        "x=Vi(40); y=Vj(40); LogSumExp_j(-SqDist(x,y))",
    };
    for (size_t f = 0; f < Q_COUNT(texts); f++)
        for (size_t v = 0; v < Q_COUNT(values); v++)
            for (size_t at = 0; at < 19 * 40; at += 7 * 40) {
                quern_operator *op = compile_tiled(texts[f], "min_k=24");
                trial t = trial_create(op, QUERN_F32, 21, 19, 1);
                size_t count;
                trial_data(&t, "y", &count)[at] = values[v];
                trial_run(&t);
                trial_compare(&t, 1e-4);
                trial_destroy(&t);
                quern_operator_destroy(&op);
            }
}

// ---- long ones ----

static void vectors_longer_than_a_program(void **state)
{
    (void)state;
    need_device();
    if (!takes_lanes()) skip();
    check("x=Vi(5000); y=Vj(5000); Sum_j(Exp(-SqDist(x,y)/5000))", NULL, QUERN_F32, 70, 40);
    check("x=Vi(64); y=Vj(64); v=Vj(64); Sum_j(Exp((x|y)/8-LogSumExp_j((x|y)/8))*v)", NULL, QUERN_F32, 70, 40);
    check("x=Vi(2); y=Vj(2); b=Vj(3000); Sum_j(Exp(-SqDist(x,y))*b)", NULL, QUERN_F32, 70, 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_vectors_are_done_in_loops),
        cmocka_unit_test(right_hand_sides_in_local_memory_are_used_by_component),
        cmocka_unit_test(tiles_share_columns_on_cpus),
        cmocka_unit_test(tiles_give_the_reference_in_float32),
        cmocka_unit_test(tiles_give_the_reference_in_float64),
        cmocka_unit_test(nothing_to_sum),
        cmocka_unit_test(expanded_distances_are_accurate),
        cmocka_unit_test(equal_points_have_no_distance),
        cmocka_unit_test(ties_go_to_the_lowest_index_across_tiles),
        cmocka_unit_test(columns_that_are_not_finite),
        cmocka_unit_test(vectors_longer_than_a_program),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
