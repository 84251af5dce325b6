/*
 * test_gp_inducing.c: inducing points beside the same computed entry by entry in double; the bound below the likelihood, and the
 * likelihood where they are all points; derivatives beside differences; one point; what is wrong.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "quern/gp.h"
#include "run_helpers.h"

enum { N = 150, M = 20, D = 2 };

static double x[N * D], v[N], z[M * D];

static int fill(void **state)
{
    srand(7);
    for (int e = 0; e < N * D; e++) x[e] = uniform();
    for (int e = 0; e < M * D; e++) z[e] = uniform();
    for (int i = 0; i < N; i++) v[i] = 3 + sin(9 * x[D * i]) + x[D * i + 1] * x[D * i + 1] + 0.2 * (uniform() - 0.5);
    return open_context(state);
}

static quern_gp *process(int64_t inducing, double noise, quern_gp_mean mean)
{
    quern_gp *gp;
    quern_gp_options options = {.size = sizeof options,
                                .inducing = inducing,
                                .mean = mean,
                                .method = inducing ? QUERN_GP_AUTO : QUERN_GP_CHOLESKY};
    succeed(quern_gp_create(
        &gp, context, "matern32", quern_f64(x, N, D), quern_f64(v, N, 1),
        QUERN_ARGS({"length", quern_number(0.6)}, {"variance", quern_number(2)}, {"noise", quern_number(noise)}),
        &options));
    return gp;
}

static quern_gp_report report_of(quern_gp *gp)
{
    quern_gp_report report = {.size = sizeof report};
    succeed(quern_gp_likelihood(gp, &report, (quern_view){0}));
    return report;
}

// ---- the same in the simplest way ----

static double kernel(const double *a, const double *b)
{
    double s = sqrt(3) * hypot(a[0] - b[0], a[1] - b[1]) / 0.6;
    return 2 * (1 + s) * exp(-s);
}

/* The lower factor of an n x n matrix, in place. */
static void factor(double *a, int n)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j <= i; j++) {
            double sum = a[i * n + j];
            for (int k = 0; k < j; k++) sum -= a[i * n + k] * a[j * n + k];
            a[i * n + j] = i == j ? sqrt(sum) : sum / a[j * n + j];
        }
}

static void forward(const double *L, int n, double *b)
{
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < i; k++) b[i] -= L[i * n + k] * b[k];
        b[i] /= L[i * n + i];
    }
}

static void backward(const double *L, int n, double *b)
{
    for (int i = n - 1; i >= 0; i--) {
        for (int k = i + 1; k < n; k++) b[i] -= L[k * n + i] * b[k];
        b[i] /= L[i * n + i];
    }
}

/* Of a Gaussian of covariance Q + noise, Q what `inducing` explain; means and variances as Titsias has them. */
static double expect(const double *inducing, int count, double noise, double *mean, double *variance)
{
    static double A[N * N], V[N][N], S[N * N];
    double w[N], trace = 0;
    for (int i = 0; i < count; i++)
        for (int j = 0; j < count; j++) A[i * count + j] = kernel(inducing + D * i, inducing + D * j);
    factor(A, count);
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < count; k++) V[i][k] = kernel(inducing + D * k, x + D * i);
        forward(A, count, V[i]);
        trace += kernel(x + D * i, x + D * i);
        w[i] = v[i];
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double sum = i == j ? noise : 0;
            for (int k = 0; k < count; k++) sum += V[i][k] * V[j][k];
            if (i == j) trace -= sum - noise;
            S[i * N + j] = sum;
        }
    factor(S, N);
    double bound = -0.5 * (N * log(2 * 3.14159265358979323846) + trace / noise);
    forward(S, N, w);
    for (int i = 0; i < N; i++) bound -= log(S[i * N + i]) + 0.5 * w[i] * w[i];
    backward(S, N, w);
    for (int m = 0; m < M; m++) {
        double u[N], q[N];
        mean[m] = 0, variance[m] = kernel(z + D * m, z + D * m);
        for (int k = 0; k < count; k++) u[k] = kernel(inducing + D * k, z + D * m);
        forward(A, count, u);
        for (int i = 0; i < N; i++) {
            q[i] = 0;
            for (int k = 0; k < count; k++) q[i] += u[k] * V[i][k];
            mean[m] += q[i] * w[i];
        }
        forward(S, N, q);
        for (int i = 0; i < N; i++) variance[m] -= q[i] * q[i];
    }
    return bound;
}

static double likelihood_of(quern_gp *gp)
{
    return report_of(gp).log_likelihood;
}

/* Where inducing points are all points, all is that of the process; fewer explain less, and the bound is lower. */
static void the_bound_is_below(void **state)
{
    (void)state;
    static const int64_t counts[] = {N, 60, 20, 5, 1};
    double mean[2][M], variance[2][M], last = INFINITY;
    for (int constant = 0; constant < 2; constant++) {
        quern_gp_mean known = constant ? QUERN_GP_CONSTANT : QUERN_GP_ZERO;
        quern_gp *exact = process(0, 0.05, known);
        last = likelihood_of(exact) + 1e-6;
        succeed(quern_gp_predict(exact, quern_f64(z, M, D), quern_f64(mean[0], M, 1), quern_f64(variance[0], M, 1)));
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
            quern_gp *gp = process(counts[k], 0.05, known);
            quern_gp_report report = report_of(gp);
            assert_true(report.method == QUERN_GP_INDUCING && report.inducing == counts[k]);
            assert_true(report.log_likelihood < last && report.log_likelihood_error == 0);
            assert_true(report.unexplained >= 0 && report.unexplained < 1);
            last = report.log_likelihood;
            if (!k) {
                assert_true(fabs(last - likelihood_of(exact)) < 1e-4 && report.unexplained < 1e-7);
                succeed(
                    quern_gp_predict(gp, quern_f64(z, M, D), quern_f64(mean[1], M, 1), quern_f64(variance[1], M, 1)));
                for (int m = 0; m < M; m++) {
                    assert_true(fabs(mean[1][m] - mean[0][m]) < 1e-6);
                    assert_true(fabs(variance[1][m] - variance[0][m]) < 1e-6);
                }
            }
            quern_gp_destroy(&gp);
        }
        quern_gp_destroy(&exact);
    }
}

static void a_dense_computation_says_the_same(void **state)
{
    (void)state;
    for (int type = 0; type < 2; type++) {
        float single[M * D];
        double mean[2][M], variance[2][M], own[M * D];
        for (int e = 0; e < M * D; e++) own[e] = (double)(single[e] = (float)x[3 * e]);
        double bound = expect(own, M, 0.05, mean[0], variance[0]);
        quern_gp *gp;
        quern_gp_options options = {.size = sizeof options,
                                    .inducing_points = type ? quern_f32(single, M, D) : quern_f64(own, M, D)};
        succeed(quern_gp_create(
            &gp, context, "matern32", quern_f64(x, N, D), quern_f64(v, N, 1),
            QUERN_ARGS({"length", quern_number(0.6)}, {"variance", quern_number(2)}, {"noise", quern_number(0.05)}),
            &options));
        assert_true(fabs(likelihood_of(gp) - bound) < 1e-6 * fabs(bound));
        succeed(quern_gp_predict(gp, quern_f64(z, M, D), quern_f64(mean[1], M, 1), quern_f64(variance[1], M, 1)));
        for (int m = 0; m < M; m++) {
            assert_true(fabs(mean[1][m] - mean[0][m]) < 1e-7);
            assert_true(fabs(variance[1][m] - variance[0][m]) < 1e-7);
        }
        quern_gp_destroy(&gp);
    }
}

static void derivatives_are_those_of_differences(void **state)
{
    (void)state;
    for (int constant = 0; constant < 2; constant++) {
        quern_gp *gp = process(25, 0.05, constant ? QUERN_GP_CONSTANT : QUERN_GP_ZERO);
        double slopes[3];
        succeed(quern_gp_likelihood(gp, NULL, quern_f64(slopes, 1, 3)));
        for (size_t k = 0; k < 3; k++) {
            quern_gp_parameter p = quern_gp_parameter_at(gp, k);
            double value = *p.values, step = 1e-5 * value, ends[2];
            for (int side = 0; side < 2; side++) {
                succeed(quern_gp_set(gp, QUERN_ARGS({p.name, quern_number(value + (side ? step : -step))})));
                ends[side] = likelihood_of(gp);
            }
            succeed(quern_gp_set(gp, QUERN_ARGS({p.name, quern_number(value)})));
            double slope = (ends[1] - ends[0]) / (2 * step);
            if (fabs(slope - slopes[k]) > 1e-5 * (1 + fabs(slope))) fail_msg("%s: %g, %g", p.name, slopes[k], slope);
        }
        double before = likelihood_of(gp);
        succeed(quern_gp_fit(gp, NULL, NULL));
        assert_true(likelihood_of(gp) > before);
        quern_gp_destroy(&gp);
    }
}

static bool stop(void *user, const char *what, int64_t step, double number)
{
    (void)what, (void)number;
    return step >= *(int64_t *)user;
}

static void what_is_wrong_is_told(void **state)
{
    (void)state;
    double mean, variance, twice[3 * D] = {0.5, 0.5, 0.5, 0.5, 0.1, 0.2};
    quern_gp *gp = process(10, 0, QUERN_GP_ZERO);
    assert_int_equal(quern_gp_likelihood(gp, NULL, (quern_view){0}), QUERN_USAGE);
    assert_string_equal(quern_last_error()->message, "noise is 0, and inducing points leave some of the values to it");
    succeed(quern_gp_set(gp, QUERN_ARGS({"noise", quern_number(0.1)})));
    likelihood_of(gp);
    quern_gp_destroy(&gp);
    quern_gp_options options = {.size = sizeof options, .inducing = -1};
    assert_int_equal(
        quern_gp_create(&gp, context, "rbf", quern_f64(x, N, D), quern_f64(v, N, 1), QUERN_ARGS(), &options),
        QUERN_USAGE);
    options = (quern_gp_options){.size = sizeof options, .inducing_points = quern_f64(x, 5, D + 1)};
    assert_int_equal(
        quern_gp_create(&gp, context, "rbf", quern_f64(x, N, D), quern_f64(v, N, 1), QUERN_ARGS(), &options),
        QUERN_SHAPE);
    assert_string_equal(quern_last_error()->message, "inducing_points has 3 columns, not 2");
    options = (quern_gp_options){.size = sizeof options, .inducing_points = quern_f64(x, 0, D)};
    assert_int_equal(
        quern_gp_create(&gp, context, "rbf", quern_f64(x, N, D), quern_f64(v, N, 1), QUERN_ARGS(), &options),
        QUERN_SHAPE);
    options = (quern_gp_options){.size = sizeof options, .method = QUERN_GP_CHOLESKY, .inducing = 5};
    assert_int_equal(
        quern_gp_create(&gp, context, "rbf", quern_f64(x, N, D), quern_f64(v, N, 1), QUERN_ARGS(), &options),
        QUERN_USAGE);
    assert_string_equal(quern_last_error()->message, "inducing points are given, and a method that has none");
    options = (quern_gp_options){.size = sizeof options};
    options.inducing = 500; /* more than there are; one point; the same point twice */
    succeed(quern_gp_create(&gp, context, "rbf", quern_f64(twice, 1, D), quern_f64(v, 1, 1),
                            QUERN_ARGS({"noise", quern_number(0.5)}), &options));
    succeed(quern_gp_predict(gp, quern_f64(twice, 1, D), quern_f64(&mean, 1, 1), quern_f64(&variance, 1, 1)));
    assert_true(fabs(mean - v[0] / 1.5) < 1e-8 && fabs(variance - (1 - 1 / 1.5)) < 1e-8);
    quern_gp_destroy(&gp);
    succeed(quern_gp_create(&gp, context, "rbf", quern_f64(twice, 3, D), quern_f64(v, 3, 1), QUERN_ARGS(), &options));
    assert_true(report_of(gp).inducing == 3);
    quern_gp_destroy(&gp);
    int64_t limit = 1;
    options = (quern_gp_options){.size = sizeof options, .inducing = 9, .progress = stop, .progress_user = &limit};
    succeed(quern_gp_create(&gp, context, "rbf", quern_f64(x, N, D), quern_f64(v, N, 1), QUERN_ARGS(), &options));
    assert_int_equal(quern_gp_likelihood(gp, NULL, (quern_view){0}), QUERN_CANCELLED);
    assert_string_equal(quern_last_error()->message, "stopped by the callback at point 150 of 150");
    limit = 1000;
    likelihood_of(gp);
    quern_gp_destroy(&gp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bound_is_below),
        cmocka_unit_test(a_dense_computation_says_the_same),
        cmocka_unit_test(derivatives_are_those_of_differences),
        cmocka_unit_test(what_is_wrong_is_told),
    };
    return cmocka_run_group_tests(tests, fill, close_context);
}
