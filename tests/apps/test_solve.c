/*
 * test_solve.c: operators of formulas beside their matrices, entry by entry, and systems beside Gaussian elimination; float32
 * systems solved to float64 residuals; what is not symmetric, not positive, not finite, or not there.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "quern/array.h"
#include "quern/solve.h"
#include "run_helpers.h"

enum { N = 300, R = 3 };
#define GAUSSIAN "x=Vi(2); y=Vj(2); s=Pm(1); Sum_j(Exp(-s*SqDist(x,y))*b)"

static double points[2 * N], b[N * R], c[N * R], matrix[N * N];
static float single_points[2 * N], single_b[N * R], single_c[N * R];

static int prepare(void **state)
{
    srand(3);
    for (int e = 0; e < 2 * N; e++) points[e] = single_points[e] = (float)uniform();
    for (int e = 0; e < N * R; e++) b[e] = single_b[e] = (float)(uniform() - 0.5);
    return open_context(state);
}

static quern_linear *gaussian(bool single, double scale, double shift)
{
    quern_linear *a;
    quern_view p = single ? quern_f32(single_points, N, 2) : quern_f64(points, N, 2);
    quern_linear_options options = {.size = sizeof options, .shift = shift};
    succeed(quern_linear_create(&a, context, GAUSSIAN, QUERN_ARGS({"x", p}, {"y", p}, {"s", quern_number(scale)}),
                                &options));
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double d0 = points[2 * i] - points[2 * j], d1 = points[2 * i + 1] - points[2 * j + 1];
            matrix[i * N + j] = exp(-scale * (d0 * d0 + d1 * d1)) + (i == j ? shift : 0);
        }
    return a;
}

/* The largest relative residual of a solution, in double. */
static double residual_of(const double *solution)
{
    double most = 0;
    for (int r = 0; r < R; r++) {
        double size = 0, left = 0;
        for (int i = 0; i < N; i++) {
            double sum = b[i * R + r];
            size += sum * sum;
            for (int j = 0; j < N; j++) sum -= matrix[i * N + j] * solution[j * R + r];
            left += sum * sum;
        }
        most = fmax(most, sqrt(left / size));
    }
    return most;
}

static void products_are_those_of_the_matrix(void **state)
{
    (void)state;
    for (int single = 0; single < 2; single++) {
        quern_linear *a = gaussian(single, 3, 0.25);
        assert_int_equal(quern_linear_rows(a), N);
        assert_int_equal(quern_linear_columns(a), N);
        double out[N * R];
        for (int transposed = 0; transposed < 2; transposed++) {
            quern_view v = quern_f64(b, N, R), w = quern_f64(out, N, R);
            succeed(transposed ? quern_linear_apply_transpose(a, v, w) : quern_linear_apply(a, v, w));
            for (int i = 0; i < N; i++)
                for (int r = 0; r < R; r++) {
                    double sum = 0;
                    for (int j = 0; j < N; j++) sum += matrix[i * N + j] * b[j * R + r];
                    assert_true(fabs(sum - out[i * R + r]) < 1e-11);
                }
        }
        double diagonal[N], block[5 * 20];
        succeed(quern_linear_diagonal(a, quern_f64(diagonal, N, 1)));
        for (int i = 0; i < N; i++) assert_true(fabs(diagonal[i] - matrix[i * N + i]) < 1e-12);
        succeed(quern_linear_block(a, 100, 90, quern_f64(block, 5, 20)));
        for (int i = 0; i < 5; i++)
            for (int j = 0; j < 20; j++) assert_true(fabs(block[i * 20 + j] - matrix[(100 + i) * N + 90 + j]) < 1e-12);
        quern_linear_destroy(&a);
    }
}

/* Rows of a sum of 1: parts of the arrays give other numbers than the matrix has there. */
static void entries_of_normalised_rows(void **state)
{
    (void)state;
    quern_linear *a;
    quern_view p = quern_f64(points, N, 2);
    succeed(quern_linear_create(&a, context, "x=Vi(2); y=Vj(2); K=Exp(-SqDist(x,y)); Sum_j(K*b)/Sum_j(K)",
                                QUERN_ARGS({"x", p}, {"y", p}), NULL));
    double block[3 * N];
    succeed(quern_linear_block(a, 7, 0, quern_f64(block, 3, N)));
    for (int i = 0; i < 3; i++) {
        double sum = 0;
        for (int j = 0; j < N; j++) sum += block[i * N + j];
        assert_true(fabs(sum - 1) < 1e-12);
    }
    quern_linear_destroy(&a);
}

/* A shift of its own for each row, of float32 points not what float32 has left of it. */
static void shifts_of_each_row(void **state)
{
    (void)state;
    double shifts[N], out[N];
    for (int i = 0; i < N; i++) shifts[i] = 0.5 + (double)i / 3;
    for (int single = 0; single < 2; single++) {
        quern_linear_options options = {.size = sizeof options, .shift = -0.25, .shifts = quern_f64(shifts, N, 1)};
        quern_view p = single ? quern_f32(single_points, N, 2) : quern_f64(points, N, 2);
        quern_args args = QUERN_ARGS({"x", p}, {"y", p}, {"s", quern_number(3)});
        quern_linear *a = gaussian(single, 3, 0);
        quern_linear_destroy(&a);
        succeed(quern_linear_create(&a, context, GAUSSIAN, args, &options));
        for (int i = 0; i < N; i++) matrix[i * N + i] += shifts[i] - 0.25;
        succeed(quern_linear_diagonal(a, quern_f64(out, N, 1)));
        for (int i = 0; i < N; i++) assert_true(fabs(out[i] - matrix[i * N + i]) < 1e-12);
        succeed(quern_solve(a, quern_f64(b, N, R), quern_f64(c, N, R), NULL, NULL));
        assert_true(residual_of(c) < 2e-6);
        succeed(quern_linear_apply_transpose(a, quern_f64(shifts, N, 1), quern_f64(out, N, 1)));
        for (int i = 0; i < N; i++) {
            double sum = 0;
            for (int j = 0; j < N; j++) sum += matrix[j * N + i] * shifts[j];
            assert_true(fabs(sum - out[i]) < 1e-9);
        }
        quern_linear_destroy(&a);
        options.shifts.rows = N - 1;
        expect_failure(quern_linear_create(&a, context, GAUSSIAN, args, &options), QUERN_SHAPE, "299 x 1");
        options.shifts.rows = N, shifts[7] = NAN;
        expect_failure(quern_linear_create(&a, context, GAUSSIAN, args, &options), QUERN_USAGE, "row 7 is nan");
        shifts[7] = 1;
    }
}

static void systems_are_solved(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        quern_linear *a = gaussian(false, 20, 1e-3);
        quern_solve_options options = {
            .size = sizeof options, .tolerance = 1e-11, .preconditioner = (quern_preconditioner)way};
        quern_solve_report report = {.size = sizeof report};
        succeed(quern_solve(a, quern_f64(b, N, R), quern_f64(c, N, R), &options, &report));
        assert_true(report.converged && report.residual <= 1e-11);
        assert_true(residual_of(c) < 2e-11);
        assert_int_equal(report.rank > 0, way != QUERN_PRECONDITIONER_NONE);
        quern_linear_destroy(&a);
    }
}

static int inverses;

/* The diagonal, the exact inverse of which leaves nothing to iterate for a diagonal matrix; fails when it is told to. */
static quern_status invert_diagonal(void *user, int64_t columns, const double *vector, double *result)
{
    const double *factor = user;
    for (int64_t e = 0; e < N * columns; e++) result[e] = factor[e / columns] * vector[e];
    inverses++;
    return *factor > 0 ? QUERN_OK : QUERN_IO;
}

static void an_inverse_of_ones_own(void **state)
{
    (void)state;
    double diagonal[N], inverse[N];
    for (int i = 0; i < N; i++) diagonal[i] = 1 + i, inverse[i] = 1 / diagonal[i];
    quern_linear *a;
    succeed(quern_linear_from_diagonal(&a, context, quern_f64(diagonal, N, 1)));
    quern_solve_options options = {
        .size = sizeof options, .tolerance = 1e-12, .precondition = invert_diagonal, .precondition_user = inverse};
    quern_solve_report report = {.size = sizeof report};
    succeed(quern_solve(a, quern_f64(b, N, R), quern_f64(c, N, R), &options, &report));
    assert_true(inverses > 0 && report.rank == 0 && report.iterations < 4);
    for (int e = 0; e < N * R; e++) assert_true(fabs(c[e] - b[e] / diagonal[e / R]) < 1e-12);
    inverse[0] = -1;
    assert_int_equal(quern_solve(a, quern_f64(b, N, R), quern_f64(c, N, R), &options, NULL), QUERN_IO);
    quern_linear_destroy(&a);
}

/* Half the extent as the length, noise 1e-3: what plain conjugate gradients need hundreds of steps for. */
static void the_low_rank_part_saves_iterations(void **state)
{
    (void)state;
    int64_t iterations[2];
    for (int way = 0; way < 2; way++) {
        quern_linear *a = gaussian(false, 2, 1e-3);
        quern_solve_options options = {.size = sizeof options,
                                       .preconditioner = way ? QUERN_PRECONDITIONER_AUTO : QUERN_PRECONDITIONER_NONE};
        quern_solve_report report = {.size = sizeof report};
        succeed(quern_solve(a, quern_f64(b, N, R), quern_f64(c, N, R), &options, &report));
        iterations[way] = report.iterations;
        quern_linear_destroy(&a);
    }
    print_message("%lld iterations, %lld with a low-rank part\n", (long long)iterations[0], (long long)iterations[1]);
    assert_true(iterations[1] * 5 <= iterations[0]);
}

static void single_systems_have_double_residuals(void **state)
{
    (void)state;
    if (!quern_context_device(context)->f64) skip();
    quern_linear *a = gaussian(true, 20, 1e-2);
    quern_solve_options options = {.size = sizeof options, .tolerance = 1e-10};
    quern_solve_report report = {.size = sizeof report};
    succeed(quern_solve(a, quern_f64(b, N, R), quern_f64(c, N, R), &options, &report));
    assert_true(report.exact && report.refinements > 1);
    assert_true(residual_of(c) < 1e-9); /* the matrix of the test has its shift in double, the points in float */
    succeed(quern_solve(a, quern_f32(single_b, N, R), quern_f32(single_c, N, R), NULL, &report));
    for (int e = 0; e < N * R; e++) assert_true(fabs(c[e] - (double)single_c[e]) < 1e-2);
    quern_linear_destroy(&a);
}

static bool stop(void *user, int64_t iteration, double residual)
{
    (void)residual;
    return iteration >= *(int *)user;
}

static void what_cannot_be_solved_is_told(void **state)
{
    (void)state;
    quern_view v = quern_f64(b, N, R), w = quern_f64(c, N, R), p = quern_f64(points, N, 2);
    quern_solve_report report = {.size = sizeof report};
    quern_linear *a;
    succeed(quern_linear_create(&a, context, "x=Vi(2); y=Vj(2); Sum_j(Exp(-SqDist(x,y)+Elem(x,0))*b)",
                                QUERN_ARGS({"x", p}, {"y", p}),
                                &(quern_linear_options){.size = sizeof(quern_linear_options), .shift = 1}));
    expect_failure(quern_solve(a, v, w, NULL, &report), QUERN_NUMERIC, "not symmetric");
    assert_false(report.converged);
    quern_linear_destroy(&a);
    a = gaussian(false, 3, -0.5);
    expect_failure(quern_solve(a, v, w,
                               &(quern_solve_options){.size = sizeof(quern_solve_options),
                                                      .preconditioner = QUERN_PRECONDITIONER_NONE},
                               NULL),
                   QUERN_NUMERIC, "not positive definite");
    quern_linear_destroy(&a);
    double first = points[0];
    points[0] = NAN; /* of a point */
    a = gaussian(false, 3, 1);
    points[0] = first;
    for (int method = 0; method < 3; method++) {
        quern_solve_options options = {
            .size = sizeof options, .method = (quern_solver)method, .preconditioner = QUERN_PRECONDITIONER_NONE};
        expect_failure(quern_solve(a, v, w, &options, NULL), QUERN_NUMERIC, "NaN and infinities");
    }
    quern_linear_destroy(&a);
    double second[2] = {points[2], points[3]};
    memcpy(points + 2, points, 2 * sizeof *points); /* one that is there twice, without noise */
    a = gaussian(false, 200, 0);
    memcpy(points + 2, second, sizeof second);
    expect_failure(quern_solve(a, v, w, NULL, NULL), QUERN_NUMERIC, "there twice");
    quern_linear_destroy(&a);
    a = gaussian(false, 3, -2);
    expect_failure(quern_solve(a, v, w, NULL, NULL), QUERN_NUMERIC, "diagonal");
    quern_linear_destroy(&a);
    a = gaussian(false, 2, 1e-6);
    expect_failure(
        quern_solve(a, v, w, &(quern_solve_options){.size = sizeof(quern_solve_options), .iterations = 3}, &report),
        QUERN_NUMERIC, "limit of iterations");
    assert_int_equal(report.iterations, 3);
    int limit = 2;
    expect_failure(quern_solve(a, v, w,
                               &(quern_solve_options){
                                   .size = sizeof(quern_solve_options), .progress = stop, .progress_user = &limit},
                               &report),
                   QUERN_CANCELLED, "2 products");
    double kept = b[4];
    b[4] = NAN;
    expect_failure(quern_solve(a, v, w, NULL, NULL), QUERN_USAGE, "row 1");
    expect_failure(quern_solve(a, v, w, NULL, NULL), QUERN_USAGE, "is not known");
    b[4] = kept;
    expect_failure(quern_solve(a, quern_f64(b, N - 1, R), w, NULL, NULL), QUERN_SHAPE, "299 x 3");
    expect_failure(quern_solve(a, quern_i64((int64_t *)c, N, R), w, NULL, NULL), QUERN_DTYPE, "int64");
    expect_failure(
        quern_solve(a, v, w, &(quern_solve_options){.size = sizeof(quern_solve_options), .tolerance = -1}, NULL),
        QUERN_USAGE, "tolerance is -1");
    expect_failure(quern_solve(NULL, v, w, NULL, NULL), QUERN_USAGE, "null");
    expect_failure(quern_linear_apply(a, quern_f32(single_b, N, R), w), QUERN_DTYPE, "float32");
    expect_failure(quern_linear_block(a, 299, 0, quern_f64(c, 2, 1)), QUERN_SHAPE, "row 299");
    quern_linear_destroy(&a);
    quern_linear_destroy(&a);
    expect_failure(quern_linear_create(&a, context, "x=Vi(2); Sum_j(Elem(x,0)*b)", QUERN_ARGS({"x", p}), NULL),
                   QUERN_SHAPE, "columns");
    expect_failure(quern_linear_create(&a, context, "x=Vi(2); y=Vj(2); Sum_j(SqDist(x,y))",
                                       QUERN_ARGS({"x", p}, {"y", p}, {"z", p}), NULL),
                   QUERN_NAME, "'z'");
    expect_failure(quern_linear_create(&a, context, "x=Vi(2); y=Vj(2); Sum_i(SqDist(x,y)*b)",
                                       QUERN_ARGS({"x", p}, {"y", p}), NULL),
                   QUERN_USAGE, "over j");
    expect_failure(quern_linear_create(&a, context, "x=Vi(2; b", QUERN_ARGS({"x", p}), NULL), QUERN_SYNTAX, "");
    expect_failure(quern_linear_create(&a, context, GAUSSIAN,
                                       QUERN_ARGS({"x", p}, {"y", quern_f64(points, 10, 2)}, {"s", quern_number(1)}),
                                       &(quern_linear_options){.size = sizeof(quern_linear_options), .shift = 1}),
                   QUERN_SHAPE, "no diagonal");
}

static void small_ones(void **state)
{
    (void)state;
    for (int64_t n = 0; n < 3; n++) {
        quern_linear *a;
        quern_view p = quern_f64(points, n, 2);
        succeed(
            quern_linear_create(&a, context, GAUSSIAN, QUERN_ARGS({"x", p}, {"y", p}, {"s", quern_number(1)}), NULL));
        double one[3] = {2, 0, 0}, solution[3] = {7, 7, 7};
        succeed(quern_solve(a, quern_f64(one, n, 1), quern_f64(solution, n, 1), NULL, NULL));
        if (n == 1) assert_true(fabs(solution[0] - 2) < 1e-6);
        one[0] = 0; /* nothing to do */
        succeed(quern_solve(a, quern_f64(one, n, 1), quern_f64(solution, n, 1), NULL, NULL));
        for (int64_t i = 0; i < n; i++) assert_true(solution[i] == 0);
        quern_linear_destroy(&a);
    }
}

static void vectors_may_be_on_the_device(void **state)
{
    (void)state;
    quern_linear *a = gaussian(true, 5, 0.1);
    quern_array *v, *w;
    succeed(quern_array_from(&v, context, quern_f32(single_b, N, R)));
    succeed(quern_array_create(&w, context, QUERN_F32, N, R));
    succeed(quern_linear_apply(a, quern_array_view(v), quern_array_view(w)));
    float back[N * R], host[N * R];
    succeed(quern_array_read(w, quern_f32(back, N, R)));
    succeed(quern_linear_apply(a, quern_f32(single_b, N, R), quern_f32(host, N, R)));
    assert_memory_equal(back, host, sizeof host);
    succeed(quern_solve(a, quern_array_view(v), quern_array_view(w), NULL, NULL));
    succeed(quern_array_read(w, quern_f32(back, N, R)));
    succeed(quern_solve(a, quern_f32(single_b, N, R), quern_f32(host, N, R), NULL, NULL));
    assert_memory_equal(back, host, sizeof host);
    quern_array_destroy(&v), quern_array_destroy(&w);
    quern_linear_destroy(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_those_of_the_matrix),
        cmocka_unit_test(entries_of_normalised_rows),
        cmocka_unit_test(shifts_of_each_row),
        cmocka_unit_test(systems_are_solved),
        cmocka_unit_test(an_inverse_of_ones_own),
        cmocka_unit_test(the_low_rank_part_saves_iterations),
        cmocka_unit_test(single_systems_have_double_residuals),
        cmocka_unit_test(what_cannot_be_solved_is_told),
        cmocka_unit_test(small_ones),
        cmocka_unit_test(vectors_may_be_on_the_device),
    };
    return cmocka_run_group_tests(tests, prepare, close_context);
}
