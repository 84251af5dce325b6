/*
 * test_spectra.c: traces of functions and log-determinants beside those of the matrix, within their error bars; preconditioned,
 * with the vectors of a basis, in float32; what has no logarithm, is not symmetric, not finite, or not there.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "quern/spectra.h"
#include "run_helpers.h"

enum { N = 300 };
#define GAUSSIAN "x=Vi(2); y=Vj(2); s=Pm(1); Sum_j(Exp(-s*SqDist(x,y))*b)"

static double points[2 * N], matrix[N * N];
static float single_points[2 * N];

static int prepare(void **state)
{
    srand(5);
    for (int e = 0; e < 2 * N; e++) points[e] = single_points[e] = (float)(rand() / (double)RAND_MAX);
    return open_context(state);
}

static quern_linear *gaussian(int64_t n, bool single, double scale, double shift)
{
    quern_linear *a;
    quern_view p = single ? quern_f32(single_points, n, 2) : quern_f64(points, n, 2);
    quern_linear_options options = {.size = sizeof options, .shift = shift};
    succeed(quern_linear_create(&a, context, GAUSSIAN, QUERN_ARGS({"x", p}, {"y", p}, {"s", quern_number(scale)}),
                                &options));
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double d0 = points[2 * i] - points[2 * j], d1 = points[2 * i + 1] - points[2 * j + 1];
            matrix[i * n + j] = exp(-scale * (d0 * d0 + d1 * d1)) + (i == j ? shift : 0);
        }
    return a;
}

/* By Cholesky's factor, which takes the matrix's place. */
static double log_determinant(int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j <= i; j++) {
            double left = matrix[i * n + j];
            for (int k = 0; k < j; k++) left -= matrix[i * n + k] * matrix[j * n + k];
            matrix[i * n + j] = i == j ? sqrt(left) : left / matrix[j * n + j];
            if (i == j) sum += log(left);
        }
    return sum;
}

static double square(void *user, double x)
{
    return *(double *)user * x * x;
}

static void log_determinants_are_within_their_errors(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) /* unconditioned, conditioned, conditioned with float32 arrays */
        for (int shape = 0; shape < 2; shape++) {
            quern_linear *a = gaussian(N, way == 2, shape ? 200 : 4, 0.01);
            quern_trace_options options = {
                .size = sizeof options, .preconditioner = way ? QUERN_PRECONDITIONER_AUTO : QUERN_PRECONDITIONER_NONE};
            quern_trace_report report = {.size = sizeof report};
            double value, truth = log_determinant(N), again;
            succeed(quern_log_determinant(&value, a, &options, &report));
            print_message("%.4f, estimated %.4f +- %.4f, truncated by %.1e, %lld products, rank %lld\n", truth, value,
                          report.error, report.truncation, (long long)report.iterations, (long long)report.rank);
            assert_true(fabs(value - truth) < 4 * report.error + 1e-4 * fabs(truth));
            assert_true(report.converged && report.probes == 16 && report.least > 0);
            assert_int_equal(report.rank > 0, way > 0); /* short lengths have one that explains less */
            if (way && !shape) assert_true(report.error < 1e-3 * fabs(truth));
            succeed(quern_log_determinant(&again, a, &options, NULL));
            assert_true(again == value); /* the same vectors */
            options.seed = 1;
            succeed(quern_log_determinant(&again, a, &options, NULL));
            assert_true(again != value && fabs(again - truth) < 5 * report.error + 1e-4 * fabs(truth));
            quern_linear_destroy(&a);
        }
}

static void traces_of_functions(void **state)
{
    (void)state;
    quern_linear *a = gaussian(N, false, 30, 0.5);
    quern_trace_options options = {.size = sizeof options, .probes = 40};
    quern_trace_report report = {.size = sizeof report};
    double value, truth = 0, factor = 2;
    for (int e = 0; e < N * N; e++) truth += factor * matrix[e] * matrix[e];
    succeed(quern_trace(&value, a, square, &factor, &options, &report));
    assert_true(report.error > 0 && report.error < 0.1 * truth && fabs(value - truth) < 4 * report.error);
    assert_int_equal(report.probes, 40);
    succeed(quern_trace(&value, a, NULL, NULL, NULL, &report));
    assert_true(fabs(value - 1.5 * N) < 4 * report.error && report.iterations == 1);
    quern_linear_destroy(&a);
}

static void small_ones_are_exact(void **state)
{
    (void)state;
    for (int n = 0; n <= 16; n += n < 2 ? 1 : 14) {
        quern_linear *a = gaussian(n, false, 3, 0.1);
        quern_trace_report report = {.size = sizeof report};
        quern_trace_options options = {.size = sizeof options, .tolerance = 1e-13};
        double value, truth = log_determinant(n);
        succeed(quern_log_determinant(&value, a, &options, &report));
        assert_true(fabs(value - truth) < 1e-9 && report.error == 0);
        assert_int_equal(report.probes, n);
        succeed(quern_trace(&value, a, NULL, NULL, NULL, NULL));
        assert_true(fabs(value - 1.1 * n) < 1e-12);
        quern_linear_destroy(&a);
    }
}

/* Of many seeds, one after the other, the mean is right: they do not draw the same vectors, or those of the last one moved on. */
static void seeds_are_independent(void **state)
{
    (void)state;
    enum { SEEDS = 40 };
    quern_linear *a = gaussian(N, false, 30, 0.5);
    quern_trace_options options = {.size = sizeof options, .preconditioner = QUERN_PRECONDITIONER_NONE};
    quern_trace_report report = {.size = sizeof report};
    double truth = log_determinant(N), sum = 0, squares = 0;
    for (; options.seed < SEEDS; options.seed++) {
        double value;
        succeed(quern_log_determinant(&value, a, &options, &report));
        sum += (value - truth) / report.error, squares += pow((value - truth) / report.error, 2);
    }
    print_message("%d seeds: off by %.2f error bars, %.2f in the mean\n", SEEDS, sqrt(squares / SEEDS), sum / SEEDS);
    assert_true(fabs(sum / SEEDS) < 0.5 && squares < 1.7 * SEEDS && squares > 0.5 * SEEDS);
    quern_linear_destroy(&a);
}

/* The logarithms of 1.25 and 0.8 cancel: the value is near 0 where what is added is not. */
static void values_that_cancel_converge(void **state)
{
    (void)state;
    enum { ROWS = 40 };
    for (int i = 0; i < ROWS * ROWS; i++) matrix[i] = 0;
    for (int i = 0; i < ROWS; i += 2) { /* blocks of two, whose rows are no eigenvectors */
        matrix[i * ROWS + i] = matrix[(i + 1) * ROWS + i + 1] = 1.025;
        matrix[i * ROWS + i + 1] = matrix[(i + 1) * ROWS + i] = 0.225;
    }
    quern_linear *a;
    succeed(quern_linear_from_matrix(&a, context, quern_f64(matrix, ROWS, ROWS)));
    for (int64_t probes = 1; probes <= ROWS; probes += ROWS - 1) {
        quern_trace_options options = {
            .size = sizeof options, .probes = probes, .preconditioner = QUERN_PRECONDITIONER_NONE};
        quern_trace_report report = {.size = sizeof report};
        double value;
        succeed(quern_log_determinant(&value, a, &options, &report));
        assert_true(report.converged && (probes == 1 || fabs(value) < 1e-10));
    }
    quern_linear_destroy(&a);
}

static bool stop(void *user, int64_t iteration, double change)
{
    (void)change;
    return iteration >= *(int *)user;
}

static double inverse_root(void *unused, double x)
{
    (void)unused;
    return 1 / sqrt(x);
}

static void what_has_no_value_is_told(void **state)
{
    (void)state;
    quern_linear *a;
    quern_view p = quern_f64(points, N, 2);
    quern_trace_options options = {.size = sizeof options, .preconditioner = QUERN_PRECONDITIONER_NONE};
    quern_trace_report report = {.size = sizeof report};
    double value;
    succeed(quern_linear_create(&a, context, "x=Vi(2); y=Vj(2); Sum_j(Exp(-SqDist(x,y)+Elem(x,0))*b)",
                                QUERN_ARGS({"x", p}, {"y", p}), NULL));
    expect_failure(quern_trace(&value, a, inverse_root, NULL, NULL, &report), QUERN_NUMERIC, "not symmetric");
    assert_true(isnan(value) && !report.converged);
    double trace = 0;
    for (int i = 0; i < N; i++) trace += exp(points[2 * i]);
    succeed(quern_trace(&value, a, NULL, NULL, NULL, &report));
    assert_true(fabs(value - trace) < 4 * report.error);
    quern_linear_destroy(&a);
    a = gaussian(N, false, 3, -0.5);
    expect_failure(quern_log_determinant(&value, a, &options, NULL), QUERN_NUMERIC, "not positive definite");
    expect_failure(quern_trace(&value, a, inverse_root, NULL, NULL, NULL), QUERN_NUMERIC,
                   "not finite at the eigenvalue -0.");
    quern_linear_destroy(&a);
    a = gaussian(N, false, 3, 1e-5);
    options.iterations = 3;
    expect_failure(quern_log_determinant(&value, a, &options, &report), QUERN_NUMERIC, "limit of iterations");
    assert_true(isfinite(value) && !report.converged && report.iterations == 3);
    int limit = 2;
    options.progress = stop, options.progress_user = &limit;
    expect_failure(quern_log_determinant(&value, a, &options, &report), QUERN_CANCELLED, "2 products");
    options = (quern_trace_options){.size = sizeof options, .probes = -1};
    expect_failure(quern_log_determinant(&value, a, &options, NULL), QUERN_USAGE,
                   "probes is -1; it must be a number from 0 on");
    expect_failure(quern_log_determinant(&value, NULL, NULL, NULL), QUERN_USAGE, "the operator is null");
    expect_failure(quern_trace(NULL, a, NULL, NULL, NULL, NULL), QUERN_USAGE, "value is null");
    quern_linear_destroy(&a);
    double kept = points[7];
    points[7] = NAN;
    a = gaussian(N, false, 3, 1);
    points[7] = kept;
    expect_failure(quern_trace(&value, a, NULL, NULL, NULL, NULL), QUERN_NUMERIC, "not finite");
    expect_failure(quern_log_determinant(&value, a, NULL, NULL), QUERN_NUMERIC, "");
    quern_linear_destroy(&a);
    succeed(quern_linear_create(&a, context, GAUSSIAN,
                                QUERN_ARGS({"x", p}, {"y", quern_f64(points, 10, 2)}, {"s", quern_number(1)}), NULL));
    expect_failure(quern_trace(&value, a, NULL, NULL, NULL, NULL), QUERN_SHAPE, "300 x 10");
    quern_linear_destroy(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_determinants_are_within_their_errors),
        cmocka_unit_test(traces_of_functions),
        cmocka_unit_test(small_ones_are_exact),
        cmocka_unit_test(values_that_cancel_converge),
        cmocka_unit_test(seeds_are_independent),
        cmocka_unit_test(what_has_no_value_is_told),
    };
    return cmocka_run_group_tests(tests, prepare, close_context);
}
