/*
 * test_precondition.c: preconditioners beside each other: how many products they save, which is taken without being named; block
 * Jacobi beside the blocks of the matrix, its determinant, operators of all kinds; and what has no blocks.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "quern/cluster.h"
#include "quern/spectra.h"
#include "run_helpers.h"

enum { N = 1200, R = 2, FEW = 300 };
#define GAUSSIAN "x=Vi(2); y=Vj(2); s=Pm(1); Sum_j(Exp(-s*SqDist(x,y))*b)"

static double points[2 * N], b[N * R], c[N * R], back[N * R];

static int prepare(void **state)
{
    srand(6);
    for (int e = 0; e < 2 * N; e++) points[e] = rand() / (double)RAND_MAX;
    for (int e = 0; e < N * R; e++) b[e] = rand() / (double)RAND_MAX - 0.5;
    return open_context(state);
}

static quern_linear *gaussian(int64_t n, double scale, double shift)
{
    quern_linear *a;
    quern_view p = quern_f64(points, n, 2);
    quern_linear_options options = {.size = sizeof options, .shift = shift};
    succeed(quern_linear_create(&a, context, GAUSSIAN, QUERN_ARGS({"x", p}, {"y", p}, {"s", quern_number(scale)}),
                                &options));
    return a;
}

static quern_solve_report solve(const quern_linear *a, quern_solve_options how)
{
    quern_solve_report report = {.size = sizeof report};
    int64_t n = quern_linear_rows(a);
    how.size = sizeof how;
    succeed(quern_solve(a, quern_f64(b, n, R), quern_f64(c, n, R), &how, &report));
    succeed(quern_linear_apply(a, quern_f64(c, n, R), quern_f64(back, n, R)));
    for (int e = 0; e < n * R; e++) assert_true(fabs(back[e] - b[e]) < 1e-4);
    return report;
}

/* Lengths of half the extent and noise 1e-3: a fifth of plain conjugate gradients at most, by each that is low rank; and a kernel
   that is short, by blocks. */
static void products_that_are_saved(void **state)
{
    (void)state;
    const quern_preconditioner low[] = {QUERN_PRECONDITIONER_AUTO, QUERN_PRECONDITIONER_LOW_RANK,
                                        QUERN_PRECONDITIONER_NYSTROM, QUERN_PRECONDITIONER_PIVOTED};
    quern_linear *a = gaussian(N, 2, 1e-3);
    int64_t plain = solve(a, (quern_solve_options){.preconditioner = QUERN_PRECONDITIONER_NONE}).iterations;
    for (int k = 0; k < 4; k++) {
        quern_solve_report report = solve(a, (quern_solve_options){.preconditioner = low[k]});
        print_message("preconditioner %d: %lld products of %lld\n", low[k], (long long)report.iterations,
                      (long long)plain);
        assert_true(report.rank > 0 && !report.blocks && 5 * report.iterations <= plain);
    }
    quern_linear_destroy(&a);
    a = gaussian(N, 600, 1e-3);
    plain = solve(a, (quern_solve_options){.preconditioner = QUERN_PRECONDITIONER_NONE}).iterations;
    for (int way = 0; way < 2; way++) {
        quern_solve_report report =
            solve(a, (quern_solve_options){.preconditioner =
                                               way ? QUERN_PRECONDITIONER_BLOCK_JACOBI : QUERN_PRECONDITIONER_AUTO});
        print_message("blocks%s: %lld products of %lld\n", way ? "" : ", not named", (long long)report.iterations,
                      (long long)plain);
        assert_true(report.blocks == (N + 127) / 128 && !report.rank && 3 * report.iterations <= 2 * plain);
    }
    quern_linear_destroy(&a);
}

/* Clusters that do not meet leave nothing to iterate, whatever the operator is made of; those that have one row are Jacobi's. */
static void blocks_of_all_kinds(void **state)
{
    (void)state;
    for (int i = 0; i < FEW; i++) points[2 * i] = points[2 * i] + 100 * (i % 7);
    quern_linear *K = gaussian(FEW, 20, 0.01), *D, *sum, *turned, *rows;
    double diagonal[FEW], labels[FEW], *matrix = malloc(sizeof *matrix * FEW * FEW);
    for (int i = 0; i < FEW; i++) diagonal[i] = 0.1 + i * 1e-3, labels[i] = i % 7;
    quern_clusters *seven, *single;
    succeed(quern_clusters_labels(&seven, quern_f64(labels, FEW, 1)));
    succeed(quern_clusters_kd(&single, quern_f64(points, FEW, 2), 1));
    succeed(quern_linear_from_diagonal(&D, context, quern_f64(diagonal, FEW, 1)));
    succeed(quern_linear_sum(&sum, 2, (quern_linear_term[]){{2, K}, {1, D}}));
    succeed(quern_linear_block(sum, 0, 0, quern_f64(matrix, FEW, FEW)));
    succeed(quern_linear_from_matrix(&rows, context, quern_f64(matrix, FEW, FEW)));
    succeed(quern_linear_transpose(&turned, sum));
    const quern_linear *kinds[] = {K, D, sum, rows, turned};
    for (int k = 0; k < 5; k++) {
        quern_solve_options how = {.preconditioner = QUERN_PRECONDITIONER_BLOCK_JACOBI, .clusters = seven};
        quern_solve_report report = solve(kinds[k], how);
        assert_true(report.blocks == 7 && report.iterations <= 2);
        how.clusters = single;
        assert_int_equal(solve(kinds[k], how).blocks, FEW);
        how.clusters = NULL, how.rank = 50;
        assert_int_equal(solve(kinds[k], how).blocks, 6);
    }
    double exact, estimate;
    quern_trace_options how = {.size = sizeof how, .preconditioner = QUERN_PRECONDITIONER_BLOCK_JACOBI, .rank = FEW};
    quern_trace_report report = {.size = sizeof report};
    succeed(quern_log_determinant(&exact, sum,
                                  &(quern_trace_options){.size = sizeof how, .tolerance = 1e-10, .probes = FEW}, NULL));
    succeed(quern_log_determinant(&estimate, sum, &how, &report)); /* one block is all of the matrix */
    print_message("log det %.9g, by one block %.9g +- %.2g\n", exact, estimate, report.error);
    assert_true(fabs(estimate - exact) < 1e-6 * fabs(exact) && report.error < 1e-6 * fabs(exact));
    how.rank = 50;
    succeed(quern_log_determinant(&estimate, sum, &how, &report));
    assert_true(report.error > 0 && fabs(estimate - exact) < 5 * report.error);
    quern_linear_destroy(&K), quern_linear_destroy(&D), quern_linear_destroy(&sum), quern_linear_destroy(&turned);
    quern_linear_destroy(&rows), quern_clusters_destroy(&seven), quern_clusters_destroy(&single);
    free(matrix);
}

/* Of rows that are divided by their sums a part of the arrays gives other entries; of float32 points the products are rounded. */
static void blocks_that_are_no_parts(void **state)
{
    (void)state;
    quern_linear *a;
    quern_view p = quern_f64(points, FEW, 2);
    quern_linear_options options = {.size = sizeof options, .shift = 1};
    succeed(quern_linear_create(&a, context, "x=Vi(2); y=Vj(2); K=Exp(-SqDist(x,y)); Sum_j(K*b)/Sum_j(1+0*K)",
                                QUERN_ARGS({"x", p}, {"y", p}), &options));
    solve(a, (quern_solve_options){.preconditioner = QUERN_PRECONDITIONER_BLOCK_JACOBI});
    quern_linear_destroy(&a);
    float narrow[2 * FEW];
    for (int e = 0; e < 2 * FEW; e++) narrow[e] = (float)points[e];
    p = quern_f32(narrow, FEW, 2);
    succeed(
        quern_linear_create(&a, context, GAUSSIAN, QUERN_ARGS({"x", p}, {"y", p}, {"s", quern_number(2)}), &options));
    assert_true(solve(a, (quern_solve_options){.preconditioner = QUERN_PRECONDITIONER_BLOCK_JACOBI}).blocks > 1);
    quern_linear_destroy(&a);
}

static quern_status twice(void *unused, bool transposed, int64_t count, const double *vector, double *result)
{
    (void)unused, (void)transposed;
    for (int64_t e = 0; e < FEW * count; e++) result[e] = 2 * vector[e];
    return QUERN_OK;
}

static void what_has_no_blocks_is_told(void **state)
{
    (void)state;
    quern_view v = quern_f64(b, FEW, R), w = quern_f64(c, FEW, R);
    quern_solve_options how = {.size = sizeof how, .preconditioner = QUERN_PRECONDITIONER_BLOCK_JACOBI};
    quern_linear *a;
    quern_clusters *few;
    succeed(quern_linear_from_function(&a, context, FEW, FEW, twice, NULL));
    expect_failure(quern_solve(a, v, w, &how, NULL), QUERN_UNSUPPORTED, "QUERN_PRECONDITIONER_NYSTROM");
    quern_linear_destroy(&a);
    succeed(quern_clusters_kd(&few, quern_f64(points, FEW - 1, 2), 50));
    a = gaussian(FEW, 20, 0.1);
    how.clusters = few;
    expect_failure(quern_solve(a, v, w, &how, NULL), QUERN_SHAPE, "299 points");
    how.clusters = NULL, how.preconditioner = (quern_preconditioner)6;
    expect_failure(quern_solve(a, v, w, &how, NULL), QUERN_USAGE, "preconditioner 6");
    quern_linear_destroy(&a);
    how.preconditioner = QUERN_PRECONDITIONER_BLOCK_JACOBI;
    for (int d = 0; d < 2; d++) points[2 + d] = points[d]; /* a point that is there twice, without noise */
    a = gaussian(FEW, 20, 0);
    expect_failure(quern_solve(a, v, w, &how, NULL), QUERN_NUMERIC, "there twice");
    quern_linear_destroy(&a);
    points[2] = NAN;
    a = gaussian(FEW, 20, 0.1);
    expect_failure(quern_solve(a, v, w, &how, NULL), QUERN_NUMERIC, "not finite");
    quern_linear_destroy(&a), quern_clusters_destroy(&few);
    for (int64_t n = 0; n < 2; n++) {
        a = gaussian(n, 20, 1);
        succeed(quern_solve(a, quern_f64(b, n, 1), quern_f64(c, n, 1), &how, NULL));
        if (n) assert_true(fabs(2 * c[0] - b[0]) < 1e-6);
        quern_linear_destroy(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_that_are_saved),
        cmocka_unit_test(blocks_of_all_kinds),
        cmocka_unit_test(blocks_that_are_no_parts),
        cmocka_unit_test(what_has_no_blocks_is_told),
    };
    return cmocka_run_group_tests(tests, prepare, close_context);
}
