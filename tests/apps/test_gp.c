/*
 * test_gp.c: Gaussian processes beside the same computed entry by entry in double; derivatives beside differences; fits that
 * find a maximum; one point, no points, the same point twice, and what is no number.
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

#include "quern/gp.h"
#include "quern/space.h"
#include "run_helpers.h"

enum { N = 150, M = 40, D = 2 };

static double x[N * D], v[N], z[M * D];

static int fill(void **state)
{
    srand(5);
    for (int e = 0; e < N * D; e++) x[e] = uniform();
    for (int e = 0; e < M * D; e++) z[e] = uniform();
    for (int i = 0; i < N; i++) v[i] = 3 + sin(9 * x[D * i]) + x[D * i + 1] * x[D * i + 1] + 0.2 * (uniform() - 0.5);
    return open_context(state);
}

// ---- the same in the simplest way ----

typedef double kernel_function(const double *a, const double *b);

static double scaled(const double *a, const double *b, double length)
{
    double sum = 0;
    for (int d = 0; d < D; d++) sum += pow((a[d] - b[d]) / length, 2);
    return sum;
}

/* 0.5*rbf(0.3) + 0.7*matern12(0.6)*periodic(1.5, 0.8) + 0.9*rational_quadratic(0.4, 1.2)*matern32(2) */
static double sum_kernel(const double *a, const double *b)
{
    double wave = 0, r = sqrt(scaled(a, b, 0.6)), s = sqrt(3 * scaled(a, b, 2));
    for (int d = 0; d < D; d++) wave += pow(sin(3.14159265358979323846 * (a[d] - b[d]) / 0.8) / 1.5, 2);
    return 0.5 * exp(-0.5 * scaled(a, b, 0.3)) + 0.7 * exp(-r) * exp(-2 * wave) +
           0.9 * pow(1 + scaled(a, b, 0.4) / 2.4, -1.2) * (1 + s) * exp(-s);
}

#define SUM_KERNEL "rbf + matern12*periodic + rational_quadratic * matern32"
#define SUM_PARAMETERS                                                                                       \
    {"variance_1", quern_number(0.5)}, {"variance_2", quern_number(0.7)}, {"variance_4", quern_number(0.9)}, \
        {"length_1", quern_number(0.3)}, {"length_2", quern_number(0.6)}, {"length_3", quern_number(1.5)},   \
        {"period_3", quern_number(0.8)}, {"length_4", quern_number(0.4)}, {"alpha_4", quern_number(1.2)},    \
    {                                                                                                        \
        "length_5", quern_number(2)                                                                          \
    }

/* 2*matern52 with a length for each dimension */
static double each_kernel(const double *a, const double *b)
{
    double s = sqrt(5 * (pow((a[0] - b[0]) / 0.5, 2) + pow((a[1] - b[1]) / 0.8, 2)));
    return 2 * (1 + s + s * s / 3) * exp(-s);
}

static const double each_lengths[] = {0.5, 0.8};
#define EACH_PARAMETERS                         \
    {"variance", quern_number(2)},              \
    {                                           \
        "length", quern_f64(each_lengths, 1, 2) \
    }

typedef struct expected {
    double likelihood, trend, mean[M], variance[M];
} expected;

static double factor[N][N];

static void solve(double *b)
{
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < i; k++) b[i] -= factor[i][k] * b[k];
        b[i] /= factor[i][i];
    }
    for (int i = N - 1; i >= 0; i--) {
        for (int k = i + 1; k < N; k++) b[i] -= factor[k][i] * b[k];
        b[i] /= factor[i][i];
    }
}

/* With an estimated mean: its best linear estimate, and what not knowing it adds to the variance. */
static expected expect(kernel_function *kernel, double noise, bool constant)
{
    expected out = {.likelihood = -0.5 * N * log(2 * 3.14159265358979323846)};
    double weights[N], ones[N], one_v = 0, one_one = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j <= i; j++) {
            double sum = kernel(x + D * i, x + D * j) + (i == j ? noise : 0);
            for (int k = 0; k < j; k++) sum -= factor[i][k] * factor[j][k];
            factor[i][j] = i == j ? sqrt(sum) : sum / factor[j][j];
        }
    for (int i = 0; i < N; i++) weights[i] = v[i], ones[i] = 1;
    solve(weights);
    solve(ones);
    for (int i = 0; i < N; i++) one_v += ones[i] * v[i], one_one += ones[i];
    out.trend = constant ? one_v / one_one : 0;
    for (int i = 0; i < N; i++) {
        weights[i] -= out.trend * ones[i];
        out.likelihood -= log(factor[i][i]) + 0.5 * (v[i] - out.trend) * weights[i];
    }
    for (int m = 0; m < M; m++) {
        double k[N], c[N], missed = 1;
        out.mean[m] = out.trend, out.variance[m] = kernel(z + D * m, z + D * m);
        for (int i = 0; i < N; i++) c[i] = k[i] = kernel(z + D * m, x + D * i);
        solve(c);
        for (int i = 0; i < N; i++) out.mean[m] += k[i] * weights[i], out.variance[m] -= k[i] * c[i], missed -= c[i];
        if (constant) out.variance[m] += missed * missed / one_one;
    }
    return out;
}

static void compare(quern_gp *gp, const expected *e)
{
    double mean[M], variance[M];
    quern_gp_report report = {.size = sizeof report};
    succeed(quern_gp_likelihood(gp, &report, (quern_view){0}));
    assert_true(fabs(report.log_likelihood - e->likelihood) < 1e-9 * fabs(e->likelihood));
    assert_true(report.log_likelihood_error == 0 && report.method == QUERN_GP_CHOLESKY);
    assert_true(fabs(report.trend - e->trend) < 1e-9);
    succeed(quern_gp_predict(gp, quern_f64(z, M, D), quern_f64(mean, M, 1), quern_f64(variance, M, 1)));
    for (int m = 0; m < M; m++) {
        assert_true(fabs(mean[m] - e->mean[m]) < 1e-9);
        assert_true(fabs(variance[m] - e->variance[m]) < 1e-9);
    }
}

static void processes_are_what_they_should_be(void **state)
{
    (void)state;
    for (int constant = 0; constant < 2; constant++) {
        quern_gp *gp;
        quern_gp_options options = {.size = sizeof options, .mean = constant ? QUERN_GP_CONSTANT : QUERN_GP_ZERO};
        succeed(quern_gp_create(&gp, context, SUM_KERNEL, quern_f64(x, N, D), quern_f64(v, N, 1),
                                QUERN_ARGS(SUM_PARAMETERS, {"noise", quern_number(0.02)}), &options));
        expected e = expect(sum_kernel, 0.02, constant);
        compare(gp, &e);
        succeed(quern_gp_set(gp, QUERN_ARGS({"noise", quern_number(0.3)})));
        e = expect(sum_kernel, 0.3, constant);
        compare(gp, &e);
        quern_gp_destroy(&gp);
    }
}

static void a_length_for_each_dimension(void **state)
{
    (void)state;
    quern_gp *gp;
    succeed(quern_gp_create(&gp, context, "matern52", quern_f64(x, N, D), quern_f64(v, N, 1),
                            QUERN_ARGS(EACH_PARAMETERS, {"noise", quern_number(0.02)}), NULL));
    expected e = expect(each_kernel, 0.02, false);
    compare(gp, &e);
    assert_int_equal(quern_gp_parameter_count(gp), 3);
    assert_int_equal(quern_gp_parameter_at(gp, 1).length + quern_gp_parameter_at(gp, 0).length, 3);
    quern_gp_destroy(&gp);
}

/* A formula of one's own, with comments; values that are standardised; arrays with strides. */
static void a_formula_is_a_kernel(void **state)
{
    (void)state;
    static double wide[N * 3];
    double mean[M], variance[M], direct[M], direct_variance[M], average = 0, deviation = 0;
    for (int i = 0; i < N; i++) wide[3 * i] = x[D * i], wide[3 * i + 1] = x[D * i + 1], wide[3 * i + 2] = NAN;
    for (int i = 0; i < N; i++) average += v[i] / N;
    for (int i = 0; i < N; i++) deviation += pow(v[i] - average, 2) / N;
    quern_view strided = quern_f64(wide, N, D);
    strided.stride = 3;
    quern_gp *gp, *plain;
    quern_gp_options options = {.size = sizeof options, .standardise = true};
    succeed(quern_gp_create(
        &gp, context, "x=Vi(2); y=Vj(2); # points; and\ns=Pm(1); d=SqDist(x,y); Exp(-s*d) # the kernel;\n", strided,
        quern_f64(v, N, 1), QUERN_ARGS({"s", quern_number(8)}, {"noise", quern_number(0.1)}), &options));
    succeed(quern_gp_create(&plain, context, "rbf", quern_f64(x, N, D), quern_f64(v, N, 1),
                            QUERN_ARGS({"length", quern_number(0.25)}, {"noise", quern_number(0.1)}), &options));
    quern_gp_report report = {.size = sizeof report}, other = {.size = sizeof other};
    succeed(quern_gp_likelihood(gp, &report, (quern_view){0}));
    succeed(quern_gp_likelihood(plain, &other, (quern_view){0}));
    assert_true(fabs(report.log_likelihood - other.log_likelihood) < 1e-8);
    assert_true(fabs(report.mean - average) < 1e-12 && fabs(report.deviation - sqrt(deviation)) < 1e-12);
    succeed(quern_gp_predict(gp, quern_f64(z, M, D), quern_f64(mean, M, 1), quern_f64(variance, M, 1)));
    succeed(quern_gp_predict(plain, quern_f64(z, M, D), quern_f64(direct, M, 1), quern_f64(direct_variance, M, 1)));
    double off = 0;
    for (int m = 0; m < M; m++) {
        assert_true(fabs(mean[m] - direct[m]) < 1e-8 && fabs(variance[m] - direct_variance[m]) < 1e-8);
        off += pow(mean[m] - (3 + sin(9 * z[D * m]) + z[D * m + 1] * z[D * m + 1]), 2) / M;
    }
    assert_true(sqrt(off) < 0.1);
    quern_gp_destroy(&plain);
    quern_gp_destroy(&gp);
}

// ---- derivatives and fits ----

static double likelihood_of(quern_gp *gp)
{
    quern_gp_report report = {.size = sizeof report};
    succeed(quern_gp_likelihood(gp, &report, (quern_view){0}));
    return report.log_likelihood;
}

static void derivatives_are_those_of_differences(void **state)
{
    (void)state;
    quern_gp *gp;
    quern_gp_options options = {.size = sizeof options, .mean = QUERN_GP_CONSTANT};
    succeed(quern_gp_create(&gp, context, SUM_KERNEL, quern_f64(x, N, D), quern_f64(v, N, 1),
                            QUERN_ARGS(SUM_PARAMETERS, {"noise", quern_number(0.02)}), &options));
    double slopes[11];
    size_t count = quern_gp_parameter_count(gp);
    assert_int_equal(count, 11);
    succeed(quern_gp_likelihood(gp, NULL, quern_f64(slopes, 1, (int64_t)count)));
    for (size_t k = 0; k < count; k++) {
        quern_gp_parameter p = quern_gp_parameter_at(gp, k);
        double value = *p.values, step = 1e-5 * value, ends[2];
        for (int side = 0; side < 2; side++) {
            succeed(quern_gp_set(gp, QUERN_ARGS({p.name, quern_number(value + (side ? step : -step))})));
            ends[side] = likelihood_of(gp);
        }
        succeed(quern_gp_set(gp, QUERN_ARGS({p.name, quern_number(value)})));
        double slope = (ends[1] - ends[0]) / (2 * step);
        assert_true(fabs(slope - slopes[k]) < 1e-5 * (1 + fabs(slope)));
    }
    quern_gp_destroy(&gp);
}

static bool count_steps(void *user, const char *what, int64_t step, double number)
{
    (void)number;
    int *stop = user;
    return !strcmp(what, "fit") && step >= *stop;
}

static void fits_find_a_maximum(void **state)
{
    (void)state;
    double values[2], best = 0;
    int never = 1000, second = 2;
    for (int way = 0; way < 2; way++) {
        quern_gp *gp;
        quern_gp_options options = {
            .size = sizeof options, .standardise = true, .progress = count_steps, .progress_user = &never};
        succeed(quern_gp_create(&gp, context, "rbf", quern_f64(x, N, D), quern_f64(v, N, 1), QUERN_ARGS(), &options));
        double before = likelihood_of(gp);
        quern_gp_fit_options how = {.size = sizeof how,
                                    .optimiser = way ? QUERN_GP_ADAM : QUERN_GP_LBFGS,
                                    .steps = way ? 150 : 0,
                                    .fixed = "variance"};
        quern_gp_report report = {.size = sizeof report};
        succeed(quern_gp_fit(gp, &how, &report));
        values[way] = report.log_likelihood;
        assert_true(report.log_likelihood > before + 10);
        assert_true(*quern_gp_parameter_at(gp, 0).values == 1);
        assert_true(likelihood_of(gp) == report.log_likelihood);
        double slopes[3];
        succeed(quern_gp_likelihood(gp, NULL, quern_f64(slopes, 1, 3)));
        for (size_t k = 1; k < 3; k++)
            assert_true(fabs(slopes[k] * *quern_gp_parameter_at(gp, k).values) < (way ? 1 : 0.01));
        best = fmax(best, report.log_likelihood);
        quern_gp_destroy(&gp);
    }
    assert_true(fabs(values[0] - values[1]) < 0.1);
    quern_gp *gp; /* stopped: what it has found is kept */
    quern_gp_options options = {.size = sizeof options, .progress = count_steps, .progress_user = &second};
    succeed(quern_gp_create(&gp, context, "rbf", quern_f64(x, N, D), quern_f64(v, N, 1), QUERN_ARGS(), &options));
    double before = likelihood_of(gp);
    assert_int_equal(quern_gp_fit(gp, NULL, NULL), QUERN_CANCELLED);
    assert_true(likelihood_of(gp) > before);
    quern_gp_fit_options fixed = {.size = sizeof fixed, .fixed = "variance lenght"};
    assert_int_equal(quern_gp_fit(gp, &fixed, NULL), QUERN_NAME);
    quern_gp_destroy(&gp);
}

// ---- the iterative method ----

static double noise_of(quern_gp *gp)
{
    return *quern_gp_parameter_at(gp, quern_gp_parameter_count(gp) - 1).values;
}

/* A likelihood within its error bars, derivatives within what so many probes leave, means and variances. */
static void the_methods_agree(void **state)
{
    (void)state;
    float single[N * D];
    for (int e = 0; e < N * D; e++) single[e] = (float)x[e], x[e] = (double)single[e];
    for (int type = 0; type < 2; type++) {
        quern_gp *gp[2];
        quern_gp_report report[2] = {{.size = sizeof *report}, {.size = sizeof *report}};
        double slopes[2][3], mean[2][M], variance[2][M];
        quern_view points = type ? quern_f32(single, N, D) : quern_f64(x, N, D);
        for (int way = 0; way < 2; way++) {
            quern_gp_options options = {.size = sizeof options,
                                        .mean = type ? QUERN_GP_CONSTANT : QUERN_GP_ZERO,
                                        .method = way ? QUERN_GP_ITERATIVE : QUERN_GP_CHOLESKY,
                                        .standardise = true,
                                        .probes = 64};
            succeed(quern_gp_create(&gp[way], context, "matern52", points, quern_f64(v, N, 1),
                                    QUERN_ARGS({"length", quern_number(0.2)}, {"noise", quern_number(0.05)}),
                                    &options));
            succeed(quern_gp_predict(gp[way], quern_f64(z, M, D), quern_f64(mean[way], M, 1),
                                     quern_f64(variance[way], M, 1)));
            succeed(quern_gp_likelihood(gp[way], &report[way], quern_f64(slopes[way], 1, 3)));
            assert_int_equal(report[way].method, options.method);
        }
        assert_true(report[1].products > 0 && report[1].residual <= 1e-3 && report[1].log_likelihood_error > 0);
        assert_true(report[1].log_likelihood_error < 10);
        assert_true(fabs(report[1].log_likelihood - report[0].log_likelihood) < 3 * report[1].log_likelihood_error);
        for (int k = 0; k < 3; k++) assert_true(fabs(slopes[1][k] - slopes[0][k]) < 3 + 0.1 * fabs(slopes[0][k]));
        for (int m = 0; m < M; m++) {
            assert_true(fabs(mean[1][m] - mean[0][m]) < 1e-4);
            assert_true(fabs(variance[1][m] - variance[0][m]) < 1e-4);
        }
        assert_true(noise_of(gp[0]) == 0.05);
        for (int way = 0; way < 2; way++) quern_gp_destroy(&gp[way]);
    }
}

/* As many probes as points, or more, are a basis: what was an estimate has the digits of the exact method. */
static void many_probes_are_a_basis(void **state)
{
    (void)state;
    quern_gp_report report[2] = {{.size = sizeof *report}, {.size = sizeof *report}};
    double slopes[2][3];
    for (int way = 0; way < 2; way++) {
        quern_gp_options options = {.size = sizeof options,
                                    .method = way ? QUERN_GP_ITERATIVE : QUERN_GP_CHOLESKY,
                                    .tolerance = 1e-10,
                                    .neighbours = 8,
                                    .probes = 1000000000000};
        quern_gp *gp;
        succeed(quern_gp_create(&gp, context, "matern52", quern_f64(x, N, D), quern_f64(v, N, 1),
                                QUERN_ARGS({"length", quern_number(0.2)}, {"noise", quern_number(0.05)}), &options));
        succeed(quern_gp_likelihood(gp, &report[way], quern_f64(slopes[way], 1, 3)));
        quern_gp_destroy(&gp);
    }
    double likelihood = report[0].log_likelihood;
    assert_true(fabs(report[1].log_likelihood - likelihood) < 1e-5 * fabs(likelihood));
    assert_true(report[1].log_likelihood_error < 1e-4 * fabs(likelihood));
    for (int k = 0; k < 3; k++) assert_true(fabs(slopes[1][k] - slopes[0][k]) < 1e-3 * (1 + fabs(slopes[0][k])));
}

// ---- few points, and nonsense ----

static void one_point_and_none(void **state)
{
    (void)state;
    quern_gp *gp;
    double mean, variance, slopes[3];
    succeed(quern_gp_create(&gp, context, "rbf", quern_f64(x, 1, D), quern_f64(v, 1, 1),
                            QUERN_ARGS({"noise", quern_number(0.5)}), NULL));
    assert_true(fabs(likelihood_of(gp) + 0.5 * (v[0] * v[0] / 1.5 + log(1.5) + log(2 * 3.14159265358979323846))) <
                1e-12);
    succeed(quern_gp_likelihood(gp, NULL, quern_f64(slopes, 1, 3)));
    assert_true(slopes[1] == 0 && fabs(slopes[0] - 0.5 * (v[0] * v[0] / 2.25 - 1 / 1.5)) < 1e-12);
    succeed(quern_gp_predict(gp, quern_f64(x, 1, D), quern_f64(&mean, 1, 1), quern_f64(&variance, 1, 1)));
    assert_true(fabs(mean - v[0] / 1.5) < 1e-12 && fabs(variance - (1 - 1 / 1.5)) < 1e-12);
    succeed(quern_gp_predict(gp, quern_f64(x, 0, D), quern_f64(&mean, 0, 1), quern_f64(&variance, 0, 1)));
    succeed(quern_gp_fit(gp, NULL, NULL));
    quern_gp_destroy(&gp);
    quern_gp_destroy(&gp);
    quern_gp_destroy(NULL);
    assert_int_equal(quern_gp_create(&gp, context, "rbf", quern_f64(x, 0, D), quern_f64(v, 0, 1), QUERN_ARGS(), NULL),
                     QUERN_SHAPE);
    assert_int_equal(quern_gp_parameter_count(NULL), 0);
    assert_string_equal(quern_gp_formula(NULL), "");
}

static void what_is_wrong_is_told(void **state)
{
    (void)state;
    double hole[N], twice[2 * D] = {0.5, 0.5, 0.5, 0.5};
    memcpy(hole, v, sizeof hole);
    hole[7] = NAN;
#define OWN(entry) "x=Vi(2); y=Vj(2); s=Pm(1); " entry
    const struct {
        const char *kernel;
        quern_view points, values;
        quern_args args;
        quern_status status;
        const char *text;
    } cases[] = {
        {"rbf", quern_f64(x, N, D), quern_f64(hole, N, 1), QUERN_ARGS(), QUERN_USAGE, "values: nan in row 7, column 0"},
        {"rbf", quern_f64(x, N, D), quern_f64(v, N - 1, 1), QUERN_ARGS(), QUERN_SHAPE,
         "values: 149 x 1 numbers, where 150 x 1 are needed"},
        {"rbf", quern_i64(NULL, N, D), quern_f64(v, N, 1), QUERN_ARGS(), QUERN_DTYPE, "points: int64"},
        {"rbf", quern_f64(x, N, D), quern_f64(v, N, 1), QUERN_ARGS({"noise", quern_number(-0.1)}), QUERN_USAGE,
         "noise is -0.1; a variance is a number from 0 on"},
        {"matern52", quern_f64(x, N, D), quern_f64(v, N, 1), QUERN_ARGS({"length", quern_number(-1)}), QUERN_USAGE,
         "length is -1; it must be a number above 0"},
        {"rbf", quern_f64(x, N, D), quern_f64(v, N, 1), QUERN_ARGS({"variance", quern_number(-1)}), QUERN_USAGE,
         "variance is -1; a variance is a number from 0 on"},
        {"rbf", quern_in_batch(quern_f64(x, N, D), 1), quern_f64(v, N, 1), QUERN_ARGS(), QUERN_USAGE,
         "points is a batch; one member at a time is taken"},
        {"rbf", quern_f64(x, N, D), quern_f64(v, N, 1), QUERN_ARGS({"length", quern_number(NAN)}), QUERN_USAGE,
         "length is nan; it must be a number above 0"},
        {"rbf", quern_f64(x, N, D), quern_f64(v, N, 1), QUERN_ARGS({"lenght", quern_number(1)}), QUERN_NAME,
         "the kernel has no parameter 'lenght'"},
        {"rbf", quern_f64(x, N, D), quern_f64(v, N, 1), QUERN_ARGS({"length", quern_f64(x, 1, 3)}), QUERN_SHAPE,
         "length has 3 numbers; 1 or 2 are taken, as many as points have"},
        {"gauss", quern_f64(x, N, D), quern_f64(v, N, 1), QUERN_ARGS(), QUERN_NAME, "there is no kernel 'gauss'"},
        {"rbf +", quern_f64(x, N, D), quern_f64(v, N, 1), QUERN_ARGS(), QUERN_SYNTAX,
         "a kernel's name is missing at byte 5 of 'rbf +'"},
        {"", quern_f64(x, N, D), quern_f64(v, N, 1), QUERN_ARGS(), QUERN_SYNTAX,
         "a kernel's name is missing at byte 0 of ''"},
        {"rbf - rbf", quern_f64(x, N, D), quern_f64(v, N, 1), QUERN_ARGS(), QUERN_SYNTAX,
         "'-' at byte 4 of the kernel 'rbf - rbf': names are joined by + and *"},
        {OWN("Exp(-s*SqDist(x,y))"), quern_f64(x, N, D), quern_f64(v, N, 1), QUERN_ARGS(), QUERN_MISSING,
         "the parameter 's' of the kernel is not given"},
        {OWN("Exp(-s*(x-y))"), quern_f64(x, N, D), quern_f64(v, N, 1), QUERN_ARGS({"s", quern_number(1)}), QUERN_USAGE,
         "an entry of the kernel has 2 numbers; one is needed"},
        {"x=Vi(2); y=Vj(2); p=Vi(1); p*SqDist(x,y)", quern_f64(x, N, D), quern_f64(v, N, 1), QUERN_ARGS(), QUERN_USAGE,
         "the kernel's formula cannot have a variable p over i"},
        {"x=Vi(3); y=Vj(3); SqDist(x,y)", quern_f64(x, N, D), quern_f64(v, N, 1), QUERN_ARGS(), QUERN_SHAPE,
         "x has 3 components in the kernel, and points have 2"},
        {"x=Vi(2); Sum(x)", quern_f64(x, N, D), quern_f64(v, N, 1), QUERN_ARGS(), QUERN_USAGE,
         "the kernel's formula has no variable y"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        quern_gp *gp;
        quern_status status =
            quern_gp_create(&gp, context, cases[k].kernel, cases[k].points, cases[k].values, cases[k].args, NULL);
        if (status != cases[k].status) fail_msg("case %zu: %d, %s", k, (int)status, quern_last_error_text());
        assert_string_equal(quern_last_error()->message, cases[k].text);
        assert_null(gp);
    }
    quern_gp *gp;
    succeed(quern_gp_create(&gp, context, "matern52", quern_f64(twice, 2, D), quern_f64(v, 2, 1),
                            QUERN_ARGS({"noise", quern_number(0)}), NULL));
    assert_int_equal(quern_gp_likelihood(gp, NULL, (quern_view){0}), QUERN_NUMERIC);
    assert_string_equal(quern_last_error()->message,
                        "the matrix is singular: points 0 and 1 are the same, and noise is 0");
    assert_string_equal(quern_last_error()->next_step, "leave out one of them, or give a noise above 0");
    assert_int_equal(quern_gp_fit(gp, NULL, NULL), QUERN_NUMERIC);
    succeed(quern_gp_set(gp, QUERN_ARGS({"noise", quern_number(0.1)})));
    likelihood_of(gp);
    double mean[2];
    assert_int_equal(quern_gp_predict(gp, quern_f64(x, 2, 1), quern_f64(mean, 2, 1), (quern_view){0}), QUERN_SHAPE);
    assert_int_equal(quern_gp_likelihood(gp, NULL, quern_f64(mean, 1, 2)), QUERN_SHAPE);
    quern_gp_destroy(&gp);
    succeed(quern_gp_create(&gp, context, "x=Vi(2); y=Vj(2); Exp(-SqDist(x,2*y))", quern_f64(x, N, D),
                            quern_f64(v, N, 1), QUERN_ARGS(), &(quern_gp_options){.size = sizeof(quern_gp_options)}));
    assert_int_equal(quern_gp_likelihood(gp, NULL, (quern_view){0}), QUERN_USAGE);
    assert_non_null(strstr(quern_last_error()->message, "the kernel is not symmetric"));
    quern_gp_destroy(&gp);
    assert_int_equal(quern_gp_likelihood(NULL, NULL, (quern_view){0}), QUERN_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processes_are_what_they_should_be),
        cmocka_unit_test(a_length_for_each_dimension),
        cmocka_unit_test(a_formula_is_a_kernel),
        cmocka_unit_test(derivatives_are_those_of_differences),
        cmocka_unit_test(fits_find_a_maximum),
        cmocka_unit_test(the_methods_agree),
        cmocka_unit_test(many_probes_are_a_basis),
        cmocka_unit_test(one_point_and_none),
        cmocka_unit_test(what_is_wrong_is_told),
    };
    return cmocka_run_group_tests(tests, fill, close_context);
}
