/*
 * test_eigen.c: eigenpairs beside those that are known (min(i,j); circulants, which have pairs of equal ones), and beside Jacobi's
 * method for points in no order; the largest, the smallest, by magnitude, by both methods; float32; what is not symmetric, not finite, not
 * there. QUERN_TEST_COUNT is the number of rows where eigenvalues are known, 600 without it.
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

#include "quern/spectra.h"
#include "run_helpers.h"

enum { N = 150, MOST_PAIRS = 12 };
#define GAUSSIAN "x=Vi(2); y=Vj(2); Sum_j(Exp(-4*SqDist(x,y))*b)"

static double points[2 * N], matrix[N * N];
static int64_t rows = 600;
static double *numbers, *vectors;

static int prepare(void **state)
{
    srand(2);
    if (getenv("QUERN_TEST_COUNT")) rows = atoll(getenv("QUERN_TEST_COUNT"));
    numbers = calloc((size_t)rows, sizeof *numbers);
    vectors = calloc((size_t)rows * MOST_PAIRS, sizeof *vectors);
    for (int e = 0; e < 2 * N; e++) points[e] = rand() / (double)RAND_MAX;
    return !numbers || !vectors || open_context(state);
}

static int finish(void **state)
{
    free(numbers);
    free(vectors);
    return close_context(state);
}

static quern_linear *square(const char *formula, const double *x, int64_t n, int64_t dim)
{
    quern_linear *a;
    succeed(quern_linear_create(&a, context, formula,
                                QUERN_ARGS({"x", quern_f64(x, n, dim)}, {"y", quern_f64(x, n, dim)}), NULL));
    return a;
}

/* Eigenvalues of so many rows, descending, as the k-th is known; the vectors are orthonormal, and residuals as reported. */
static void compare(const quern_linear *a, int count, double (*known)(int64_t k), quern_eigen_method method)
{
    int64_t n = quern_linear_rows(a);
    double values[MOST_PAIRS], residuals[MOST_PAIRS], most = 0;
    quern_eigen_options options = {
        .size = sizeof options, .method = method, .residuals = quern_f64(residuals, count, 1)};
    quern_eigen_report report = {.size = sizeof report};
    succeed(quern_eigenpairs(a, quern_f64(values, count, 1), quern_f64(vectors, n, count), &options, &report));
    assert_true(report.converged && report.exact && report.residual <= 1e-10);
    for (int k = 0; k < count; k++) {
        most = fmax(most, fabs(values[k] - known(k)) / known(0));
        assert_true(residuals[k] <= 1e-10 * values[0]);
        for (int l = 0; l <= k; l++) {
            double sum = 0;
            for (int64_t i = 0; i < n; i++) sum += vectors[i * count + k] * vectors[i * count + l];
            assert_true(fabs(sum - (k == l)) < 1e-10);
        }
    }
    print_message("%lld rows: off by %.1e, residual %.1e, %lld products, %lld restarts\n", (long long)n, most,
                  report.residual, (long long)report.iterations, (long long)report.restarts);
    assert_true(most < 1e-10);
}

/* min(i,j) of 1 .. rows is the inverse of a second difference. */
static double brownian(int64_t k)
{
    double pi = acos(-1), s = sin((double)(2 * k + 1) * pi / (double)(2 * (2 * rows + 1)));
    return 1 / (4 * s * s);
}

/* exp(cos(t_i - t_j)) of equal steps: the first, then each twice. */
static double circulant(int64_t k)
{
    double pi = acos(-1), sum = 0;
    for (int64_t i = 0; i < rows; i++) {
        double t = 2 * pi * (double)i / (double)rows;
        sum += exp(cos(t)) * cos((double)((k + 1) / 2) * t);
    }
    return sum;
}

static void known_eigenvalues(void **state)
{
    (void)state;
    for (int64_t i = 0; i < rows; i++) numbers[i] = (double)i + 1;
    quern_linear *a = square("x=Vi(1); y=Vj(1); Sum_j((x+y-Abs(x-y))/2*b)", numbers, rows, 1);
    compare(a, 12, brownian, QUERN_EIGEN_LANCZOS);
    compare(a, 12, brownian, QUERN_EIGEN_SUBSPACE);
    quern_linear_destroy(&a);
    for (int64_t i = 0; i < rows; i++) numbers[i] = 2 * acos(-1) * (double)i / (double)rows;
    a = square("x=Vi(1); y=Vj(1); Sum_j(Exp(Cos(x-y))*b)", numbers, rows, 1);
    compare(a, 7, circulant, QUERN_EIGEN_LANCZOS);
    compare(a, 7, circulant, QUERN_EIGEN_SUBSPACE);
    quern_linear_destroy(&a);
}

/* Jacobi's method: rotations until nothing is left beside the diagonal, which is sorted. */
static void jacobi(double *values)
{
    for (int sweep = 0; sweep < 12; sweep++)
        for (int p = 0; p < N; p++)
            for (int q = p + 1; q < N; q++) {
                double off = matrix[p * N + q], turn = (matrix[q * N + q] - matrix[p * N + p]) / (2 * off);
                if (off == 0) continue;
                double t = (turn < 0 ? -1 : 1) / (fabs(turn) + sqrt(turn * turn + 1)), c = 1 / sqrt(t * t + 1),
                       s = t * c;
                for (int k = 0; k < N; k++) {
                    double a = matrix[k * N + p], b = matrix[k * N + q];
                    matrix[k * N + p] = c * a - s * b, matrix[k * N + q] = s * a + c * b;
                }
                for (int k = 0; k < N; k++) {
                    double a = matrix[p * N + k], b = matrix[q * N + k];
                    matrix[p * N + k] = c * a - s * b, matrix[q * N + k] = s * a + c * b;
                }
            }
    for (int k = 0; k < N; k++) {
        int l = k;
        for (; l > 0 && values[l - 1] > matrix[k * N + k]; l--) values[l] = values[l - 1];
        values[l] = matrix[k * N + k];
    }
}

static void beside_jacobi(void **state)
{
    (void)state;
    for (int shifted = 0; shifted < 2; shifted++) { /* with eigenvalues of both signs */
        double all[N], values[8];
        quern_linear *a =
            square(shifted ? "x=Vi(2); y=Vj(2); Sum_j((1-SqDist(x,y)+Norm2(x-y))*b)" : GAUSSIAN, points, N, 2);
        succeed(quern_linear_block(a, 0, 0, quern_f64(matrix, N, N)));
        jacobi(all);
        for (int kind = 0; kind < 6; kind++) {
            int which = kind % 3;
            bool subspace = kind >= 3;
            if (subspace && which != (shifted ? QUERN_EIGEN_MAGNITUDE : QUERN_EIGEN_LARGEST))
                continue; /* others crowd */
            quern_eigen_options options = {.size = sizeof options,
                                           .which = (quern_eigenvalues)which,
                                           .method = subspace ? QUERN_EIGEN_SUBSPACE : QUERN_EIGEN_LANCZOS,
                                           .basis = which == QUERN_EIGEN_SMALLEST ? 0 : 40};
            quern_eigen_report report = {.size = sizeof report};
            succeed(quern_eigenpairs(a, quern_f64(values, 8, 1), (quern_view){0}, &options, &report));
            if (shifted && options.basis && !subspace) assert_true(report.restarts > 0);
            for (int k = 0, low = 0, high = N - 1; k < 8; k++) {
                bool top = which == QUERN_EIGEN_LARGEST ||
                           (which == QUERN_EIGEN_MAGNITUDE && fabs(all[high]) >= fabs(all[low]));
                assert_true(fabs(values[k] - (top ? all[high--] : all[low++])) < 1e-10 * fmax(all[N - 1], -all[0]));
            }
        }
        quern_linear_destroy(&a);
    }
}

static void single_arrays(void **state)
{
    (void)state;
    float single[2 * N], values[5];
    double exact[5];
    for (int e = 0; e < 2 * N; e++) single[e] = (float)points[e];
    quern_linear *a, *b = square(GAUSSIAN, points, N, 2);
    quern_view x = quern_f32(single, N, 2);
    quern_eigen_options subspace = {.size = sizeof subspace, .method = QUERN_EIGEN_SUBSPACE};
    succeed(quern_linear_create(&a, context, GAUSSIAN, QUERN_ARGS({"x", x}, {"y", x}), NULL));
    succeed(quern_eigenpairs(a, quern_f32(values, 5, 1), (quern_view){0}, NULL, NULL));
    succeed(quern_eigenpairs(b, quern_f64(exact, 5, 1), (quern_view){0}, NULL, NULL));
    for (int k = 0; k < 5; k++) assert_true(fabs((double)values[k] - exact[k]) < 1e-5 * exact[0]);
    succeed(quern_eigenpairs(a, quern_f32(values, 5, 1), (quern_view){0}, &subspace, NULL));
    for (int k = 0; k < 5; k++) assert_true(fabs((double)values[k] - exact[k]) < 1e-5 * exact[0]);
    quern_linear_destroy(&a), quern_linear_destroy(&b);
}

static void none_one_and_all(void **state)
{
    (void)state;
    double values[5], vector;
    for (int64_t n = 0; n < 6; n += n == 1 ? 4 : 1) {
        quern_linear *a = square(GAUSSIAN, points, n, 2);
        succeed(quern_eigenpairs(a, quern_f64(values, n, 1), (quern_view){0}, NULL, NULL)); /* all of them */
        double sum = 0;
        for (int k = 0; k < n; k++) sum += values[k];
        assert_true(fabs(sum - (double)n) < 1e-12);
        succeed(quern_eigenpairs(a, quern_f64(values, 0, 1), (quern_view){0}, NULL, NULL));
        if (n == 1) {
            succeed(quern_eigenpairs(a, quern_f64(values, 1, 1), quern_f64(&vector, 1, 1), NULL, NULL));
            assert_true(values[0] == 1 && fabs(vector) == 1);
        }
        expect_failure(quern_eigenpairs(a, quern_f64(values, n + 1, 1), (quern_view){0}, NULL, NULL), QUERN_SHAPE,
                       "are asked for");
        quern_linear_destroy(&a);
    }
}

/* Of no row, one, and as many as are asked for; a matrix of fewer than it has vectors, and of zeros; what it has not, and how. */
static void subspaces(void **state)
{
    (void)state;
    double values[5], residuals[5], zeros[9] = {0};
    quern_eigen_options options = {.size = sizeof options, .method = QUERN_EIGEN_SUBSPACE};
    quern_eigen_report report = {.size = sizeof report};
    quern_view none = {0};
    quern_linear *a = square(GAUSSIAN, points, 0, 2);
    succeed(quern_eigenpairs(a, quern_f64(values, 0, 1), none, &options, &report));
    quern_linear_destroy(&a);
    a = square(GAUSSIAN, points, 1, 2);
    succeed(quern_eigenpairs(a, quern_f64(values, 1, 1), none, &options, &report));
    assert_true(values[0] == 1 && report.iterations == 1);
    quern_linear_destroy(&a);
    a = square(GAUSSIAN, points, 5, 2);
    succeed(quern_eigenpairs(a, quern_f64(values, 5, 1), none, &options, &report));
    assert_true(fabs(values[0] + values[1] + values[2] + values[3] + values[4] - 5) < 1e-12);
    quern_linear_destroy(&a);
    succeed(quern_linear_from_matrix(&a, context, quern_f64(zeros, 3, 3)));
    succeed(quern_eigenpairs(a, quern_f64(values, 2, 1), none, &options, &report));
    assert_true(values[0] == 0 && values[1] == 0);
    quern_linear_destroy(&a);
    a = square("x=Vi(2); y=Vj(2); Sum_j(Exp(-SqDist(x,y)+Elem(x,0))*b)", points, N, 2);
    expect_failure(quern_eigenpairs(a, quern_f64(values, 2, 1), none, &options, NULL), QUERN_NUMERIC, "not symmetric");
    quern_linear_destroy(&a);
    a = square("x=Vi(2); y=Vj(2); Sum_j(Log(0-SqDist(x,y))*b)", points, N, 2);
    expect_failure(quern_eigenpairs(a, quern_f64(values, 2, 1), none, &options, &report), QUERN_NUMERIC, "not finite");
    assert_true(report.residual == INFINITY); /* there are no pairs so far */
    quern_linear_destroy(&a);
    for (int i = 0; i < N; i++) matrix[i] = i < 30 ? 10 * pow(0.8, i) : -12 * pow(0.97, i - 30);
    succeed(quern_linear_from_diagonal(&a, context, quern_f64(matrix, N, 1)));
    succeed(quern_eigenpairs(a, quern_f64(values, 2, 1), none, &options, &report));
    assert_true(fabs(values[0] - 10) + fabs(values[1] - 8) < 1e-9);
    quern_linear_destroy(&a);
    double largest[2]; /* with the other sign they are the smallest */
    a = square(GAUSSIAN, points, N, 2);
    succeed(quern_eigenpairs(a, quern_f64(largest, 2, 1), none, &options, NULL));
    quern_linear_destroy(&a);
    a = square("x=Vi(2); y=Vj(2); Sum_j(-Exp(-4*SqDist(x,y))*b)", points, N, 2);
    options.which = QUERN_EIGEN_SMALLEST;
    succeed(quern_eigenpairs(a, quern_f64(values, 2, 1), none, &options, &report));
    assert_true(fabs(values[0] + largest[0]) + fabs(values[1] + largest[1]) < 1e-10 * largest[0]);
    quern_linear_destroy(&a);
    a = square(GAUSSIAN, points, N, 2);
    options.residuals = quern_f64(residuals, 2, 1), options.which = QUERN_EIGEN_SMALLEST, options.iterations = 7;
    expect_failure(quern_eigenpairs(a, quern_f64(values, 2, 1), none, &options, &report), QUERN_NUMERIC,
                   "limit of iterations");
    assert_true(report.iterations == 7 && isfinite(values[1]) && !report.converged && residuals[0] > 0);
    options.which = QUERN_EIGEN_LARGEST, options.tolerance = 1e-2;
    succeed(quern_eigenpairs(a, quern_f64(values, 2, 1), none, &options, &report));
    assert_true(report.iterations <= 4 && report.residual <= 1e-2);
    options.method = (quern_eigen_method)2;
    expect_failure(quern_eigenpairs(a, quern_f64(values, 2, 1), none, &options, NULL), QUERN_USAGE, "method");
    quern_linear_destroy(&a);
}

static bool stop(void *user, int64_t iteration, double residual)
{
    (void)residual;
    return iteration >= *(int *)user;
}

static void what_has_none_is_told(void **state)
{
    (void)state;
    double values[4] = {0};
    quern_view v = quern_f64(values, 4, 1), none = {0};
    quern_eigen_options options = {.size = sizeof options};
    quern_eigen_report report = {.size = sizeof report};
    quern_linear *a = square("x=Vi(2); y=Vj(2); Sum_j(Exp(-SqDist(x,y)+Elem(x,0))*b)", points, N, 2);
    expect_failure(quern_eigenpairs(a, v, none, NULL, &report), QUERN_NUMERIC, "not symmetric");
    expect_failure(quern_eigenpairs(a, v, none, NULL, &report), QUERN_NUMERIC, "x and y exchanged");
    assert_false(report.converged);
    options.block = 1;
    expect_failure(quern_eigenpairs(a, v, none, &options, &report), QUERN_NUMERIC, "not symmetric");
    quern_linear_destroy(&a);
    double kept = points[3];
    points[3] = NAN;
    a = square(GAUSSIAN, points, N, 2);
    points[3] = kept;
    expect_failure(quern_eigenpairs(a, v, none, NULL, NULL), QUERN_NUMERIC, "not finite");
    quern_linear_destroy(&a);
    a = square(GAUSSIAN, points, N, 2);
    options.iterations = 2, options.which = QUERN_EIGEN_SMALLEST;
    expect_failure(quern_eigenpairs(a, v, none, &options, &report), QUERN_NUMERIC, "limit of iterations");
    assert_true(isfinite(values[0]) && !isfinite(values[2]) && !report.converged && report.iterations == 2);
    int limit = 3;
    options = (quern_eigen_options){.size = sizeof options, .block = 2, .progress = stop, .progress_user = &limit};
    expect_failure(quern_eigenpairs(a, v, none, &options, &report), QUERN_CANCELLED, "3 products");
    assert_true(isfinite(values[3]));
    options.method = QUERN_EIGEN_SUBSPACE;
    expect_failure(quern_eigenpairs(a, v, none, &options, &report), QUERN_CANCELLED, "4 products");
    assert_true(isfinite(values[3]) && isfinite(report.residual));
    expect_failure(quern_eigenpairs(a, quern_f64(values, 2, 2), none, NULL, NULL), QUERN_SHAPE, "values");
    expect_failure(quern_eigenpairs(a, v, quern_f64(points, N, 2), NULL, NULL), QUERN_SHAPE, "vectors");
    options = (quern_eigen_options){.size = sizeof options, .block = 17};
    expect_failure(quern_eigenpairs(a, v, none, &options, NULL), QUERN_USAGE, "block is 17");
    expect_failure(quern_eigenpairs(NULL, v, none, NULL, NULL), QUERN_USAGE, "null");
    quern_linear_destroy(&a);
    succeed(quern_linear_from_matrix(&a, context, quern_f64(matrix, 3, 2)));
    expect_failure(quern_eigenpairs(a, quern_f64(values, 1, 1), none, NULL, NULL), QUERN_SHAPE, "3 x 2");
    quern_linear_destroy(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_eigenvalues), cmocka_unit_test(beside_jacobi), cmocka_unit_test(single_arrays),
        cmocka_unit_test(none_one_and_all),  cmocka_unit_test(subspaces),     cmocka_unit_test(what_has_none_is_told),
    };
    return cmocka_run_group_tests(tests, prepare, finish);
}
