/*
 * test_ridge.c: kernel ridge regression beside the normal equations solved entry by entry in double, and beside Gaussian processes
 * of the same centres; the logistic loss by what its minimum satisfies; one point; what is wrong.
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
#include "quern/ridge.h"
#include "run_helpers.h"

enum { N = 200, M = 30, D = 2, R = 2, Q = 25 };

static double x[N * D], v[N * R], z[Q * D];
static float single[N * D], single_v[N * R];

static int fill(void **state)
{
    srand(9);
    for (int e = 0; e < N * D; e++) x[e] = (double)(single[e] = (float)uniform());
    for (int e = 0; e < Q * D; e++) z[e] = uniform();
    for (int i = 0; i < N; i++) {
        v[R * i] = 3 + sin(9 * x[D * i]) + x[D * i + 1] * x[D * i + 1] + 0.2 * (uniform() - 0.5);
        v[R * i + 1] = cos(5 * x[D * i + 1]) - x[D * i];
    }
    for (int e = 0; e < N * R; e++) v[e] = (double)(single_v[e] = (float)v[e]);
    return open_context(state);
}

static double kernel(const double *a, const double *b)
{
    double s = sqrt(3) * hypot(a[0] - b[0], a[1] - b[1]) / 0.6;
    return (1 + s) * exp(-s);
}

/* (C^T C + penalty N K) a = C^T v for the first M points as centres, and what it predicts. */
static void expect(double penalty, bool intercept, double *out)
{
    static double H[M][M], C[N][M], b[M][R], mean[R];
    for (int r = 0; r < R; r++) {
        mean[r] = 0;
        for (int i = 0; i < N && intercept; i++) mean[r] += v[R * i + r] / N;
    }
    for (int i = 0; i < N; i++)
        for (int m = 0; m < M; m++) C[i][m] = kernel(x + D * i, x + D * m);
    for (int m = 0; m < M; m++) {
        for (int k = 0; k < M; k++) {
            H[m][k] = penalty * N * C[m][k];
            for (int i = 0; i < N; i++) H[m][k] += C[i][m] * C[i][k];
        }
        for (int r = 0; r < R; r++) {
            b[m][r] = 0;
            for (int i = 0; i < N; i++) b[m][r] += C[i][m] * (v[R * i + r] - mean[r]);
        }
    }
    for (int p = 0; p < M; p++) /* elimination: it is positive definite */
        for (int m = p + 1; m < M; m++) {
            double factor = H[m][p] / H[p][p];
            for (int k = p; k < M; k++) H[m][k] -= factor * H[p][k];
            for (int r = 0; r < R; r++) b[m][r] -= factor * b[p][r];
        }
    for (int m = M - 1; m >= 0; m--)
        for (int r = 0; r < R; r++) {
            for (int k = m + 1; k < M; k++) b[m][r] -= H[m][k] * b[k][r];
            b[m][r] /= H[m][m];
        }
    for (int q = 0; q < Q; q++)
        for (int r = 0; r < R; r++) {
            out[R * q + r] = mean[r];
            for (int m = 0; m < M; m++) out[R * q + r] += kernel(z + D * q, x + D * m) * b[m][r];
        }
}

static void the_normal_equations_say_the_same(void **state)
{
    (void)state;
    for (int way = 0; way < 4; way++) {
        bool doubles = way & 1, intercept = way & 2;
        double found[Q * R], expected[Q * R];
        quern_ridge_options options = {
            .size = sizeof options, .centre_points = quern_f64(x, M, D), .penalty = 1e-4, .intercept = intercept};
        quern_ridge *ridge;
        succeed(quern_ridge_create(&ridge, context, "matern32", doubles ? quern_f64(x, N, D) : quern_f32(single, N, D),
                                   doubles ? quern_f64(v, N, R) : quern_f32(single_v, N, R),
                                   QUERN_ARGS({"length", quern_number(0.6)}), &options));
        succeed(quern_ridge_predict(ridge, quern_f64(z, Q, D), quern_f64(found, Q, R)));
        expect(1e-4, intercept, expected);
        for (int e = 0; e < Q * R; e++)
            if (fabs(found[e] - expected[e]) > (doubles ? 1e-5 : 1e-2))
                fail_msg("way %d, %d: %g, %g", way, e, found[e], expected[e]);
        const quern_ridge_report *report = quern_ridge_report_of(ridge);
        assert_true(report->centres == M && report->products > 2 && report->products < 40);
        assert_true(report->residual <= 1e-3 && report->converged && report->objective > 0 && report->steps == 0);
        quern_ridge_destroy(&ridge);
    }
}

/* The mean of a process, where N times the penalty is its noise: with all points as centres, and with some. */
static void processes_have_this_mean(void **state)
{
    (void)state;
    double mean[Q], found[Q];
    for (int64_t centres = 40; centres <= N; centres += N - 40) {
        quern_gp *gp;
        quern_gp_options how = {.size = sizeof how, .inducing = centres == N ? 0 : centres};
        quern_view first = quern_f64(v, N, 1);
        first.stride = R;
        succeed(quern_gp_create(&gp, context, "matern32", quern_f64(x, N, D), first,
                                QUERN_ARGS({"length", quern_number(0.6)}, {"noise", quern_number(0.02)}), &how));
        succeed(quern_gp_predict(gp, quern_f64(z, Q, D), quern_f64(mean, Q, 1), (quern_view){0}));
        quern_gp_destroy(&gp);
        quern_ridge *ridge;
        quern_ridge_options options = {.size = sizeof options, .centres = centres, .penalty = 0.02 / N};
        succeed(quern_ridge_create(&ridge, context, "matern32", quern_f64(x, N, D), first,
                                   QUERN_ARGS({"length", quern_number(0.6)}), &options));
        succeed(quern_ridge_predict(ridge, quern_f64(z, Q, D), quern_f64(found, Q, 1)));
        for (int q = 0; q < Q; q++) assert_true(fabs(found[q] - mean[q]) < 1e-5);
        quern_ridge_destroy(&ridge);
    }
}

/* At the minimum, with all points as centres, penalty N f = K (v - p), whose p is what is predicted. */
static void the_logistic_loss_is_smallest(void **state)
{
    (void)state;
    enum { C = 2 };
    const double penalty = 1e-3;
    double label[N * C], p[N * C];
    for (int i = 0; i < N; i++) {
        label[C * i] = sin(9 * x[D * i]) + x[D * i + 1] > 0.4 || i % 17 == 0;
        label[C * i + 1] = x[D * i] > 0.7;
    }
    for (int signs = 0; signs < 2; signs++) {
        double given[N * C], worst = 0;
        for (int e = 0; e < N * C; e++) given[e] = signs ? 2 * label[e] - 1 : label[e];
        quern_ridge *ridge;
        quern_ridge_options options = {.size = sizeof options,
                                       .loss = QUERN_RIDGE_LOGISTIC,
                                       .penalty = penalty,
                                       .tolerance = 1e-9,
                                       .intercept = signs};
        succeed(quern_ridge_create(&ridge, context, "matern32", quern_f64(x, N, D), quern_f64(given, N, C),
                                   QUERN_ARGS({"length", quern_number(0.6)}), &options));
        succeed(quern_ridge_predict(ridge, quern_f64(x, N, D), quern_f64(p, N, C)));
        for (int c = 0; c < C; c++) {
            double share = 0, offset;
            for (int i = 0; i < N; i++) share += label[C * i + c] / N;
            offset = signs ? log(share / (1 - share)) : 0;
            for (int i = 0; i < N; i++) {
                double f = log(p[C * i + c] / (1 - p[C * i + c])) - offset;
                for (int j = 0; j < N; j++)
                    f -= kernel(x + D * i, x + D * j) * (label[C * j + c] - p[C * j + c]) / (penalty * N);
                worst = fmax(worst, fabs(f));
            }
        }
        const quern_ridge_report *report = quern_ridge_report_of(ridge);
        if (worst > 1e-4) fail_msg("off by %g after %d steps", worst, (int)report->steps);
        assert_true(report->steps > 2 && report->steps < 40 && report->objective > 0);
        quern_ridge_destroy(&ridge);
    }
}

// ---- few points, and nonsense ----

static void one_point_and_one_class(void **state)
{
    (void)state;
    double found[Q], ones[N];
    for (int i = 0; i < N; i++) ones[i] = 1;
    quern_ridge *ridge;
    quern_ridge_options options = {.size = sizeof options, .penalty = 0.5};
    succeed(quern_ridge_create(&ridge, context, "rbf", quern_f64(x, 1, D), quern_f64(v, 1, 1), QUERN_ARGS(), &options));
    succeed(quern_ridge_predict(ridge, quern_f64(x, 1, D), quern_f64(found, 1, 1)));
    assert_true(fabs(found[0] - v[0] / 1.5) < 1e-6);
    succeed(quern_ridge_predict(ridge, quern_f64(x, 0, D), quern_f64(found, 0, 1)));
    quern_ridge_destroy(&ridge);
    quern_ridge_destroy(&ridge);
    quern_ridge_destroy(NULL);
    assert_null(quern_ridge_report_of(NULL));
    for (int intercept = 0; intercept < 2; intercept++) { /* all of one class; points that are all the same */
        options = (quern_ridge_options){
            .size = sizeof options, .loss = QUERN_RIDGE_LOGISTIC, .intercept = intercept, .penalty = 1e-2};
        succeed(quern_ridge_create(&ridge, context, "rbf", quern_f64(x, N, D), quern_f64(ones, N, 1), QUERN_ARGS(),
                                   &options));
        succeed(quern_ridge_predict(ridge, quern_f64(z, Q, D), quern_f64(found, Q, 1)));
        for (int q = 0; q < Q; q++) assert_true(found[q] > 0.5 && found[q] < 1);
        quern_ridge_destroy(&ridge);
    }
    succeed(quern_ridge_create(&ridge, context, "rbf", quern_f64(ones, N / 2, D), quern_f64(ones, N / 2, 1),
                               QUERN_ARGS(), NULL));
    succeed(quern_ridge_predict(ridge, quern_f64(ones, 1, D), quern_f64(found, 1, 1)));
    assert_true(fabs(found[0] - 1) < 1e-4);
    quern_ridge_destroy(&ridge);
}

static bool stop(void *user, const char *what, int64_t step, double number)
{
    (void)what, (void)number;
    return step >= *(int64_t *)user;
}

static void what_is_wrong_is_told(void **state)
{
    (void)state;
    static double hole[N * R], classes[N];
    memcpy(hole, v, sizeof hole);
    hole[7] = NAN;
    for (int i = 0; i < N; i++) classes[i] = i % 3;
    const quern_ridge_options none = {.size = sizeof none},
                              logistic = {.size = sizeof none, .loss = QUERN_RIDGE_LOGISTIC},
                              below = {.size = sizeof none, .penalty = -1};
    const struct {
        const char *kernel;
        quern_view points, values;
        const quern_ridge_options *options;
        quern_status status;
        const char *text;
    } cases[] = {
        {"rbf", quern_f64(x, 0, D), quern_f64(v, 0, R), &none, QUERN_SHAPE, "points have 0 x 2 numbers, values 0 x 2"},
        {"rbf", quern_f64(x, N, D), quern_f64(hole, N, R), &none, QUERN_USAGE, "values: nan in row 3, column 1"},
        {"rbf", quern_f64(x, N, D), quern_f64(v, N - 1, R), &none, QUERN_SHAPE,
         "values: 199 x 2 numbers, where 200 x 2 are needed"},
        {"rbf", quern_f64(x, N, D), quern_f64(classes, N, 1), &logistic, QUERN_USAGE,
         "values: 2 in row 2, column 0; two classes are -1 and 1, or 0 and 1"},
        {"gauss", quern_f64(x, N, D), quern_f64(v, N, R), &none, QUERN_NAME, "there is no kernel 'gauss'"},
        {"rbf", quern_f64(x, N, D), quern_f64(v, N, R), &below, QUERN_USAGE,
         "penalty is -1; it must be a number from 0 on"},
        {"x=Vi(2); y=Vj(2); noise=Pm(1); Exp(-SqDist(x,y))*noise", quern_f64(x, N, D), quern_f64(v, N, R), &none,
         QUERN_USAGE, "the kernel's formula cannot have a variable noise over p"},
        {"x=Vi(2); y=Vj(2); Exp(-SqDist(x,2*y))", quern_f64(x, N, D), quern_f64(v, N, R), &none, QUERN_USAGE, NULL},
    };
    quern_ridge *ridge;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        quern_status status = quern_ridge_create(&ridge, context, cases[k].kernel, cases[k].points, cases[k].values,
                                                 QUERN_ARGS(), cases[k].options);
        if (status != cases[k].status) fail_msg("case %zu: %d, %s", k, (int)status, quern_last_error_text());
        if (cases[k].text) assert_string_equal(quern_last_error()->message, cases[k].text);
        assert_null(ridge);
    }
    int64_t limit = 2;
    quern_ridge_options stopped = {
        .size = sizeof stopped, .progress = stop, .progress_user = &limit, .penalty = 1e-8, .centres = 30};
    assert_int_equal(quern_ridge_create(&ridge, context, "rbf", quern_f64(x, N, D), quern_f64(v, N, R),
                                        QUERN_ARGS({"length", quern_number(0.1)}), &stopped),
                     QUERN_CANCELLED);
    assert_null(ridge);
    succeed(quern_ridge_create(&ridge, context, "rbf", quern_f64(x, N, D), quern_f64(v, N, R), QUERN_ARGS(), NULL));
    assert_int_equal(quern_ridge_predict(ridge, quern_f64(x, 2, 1), quern_f64(hole, 2, R)), QUERN_SHAPE);
    assert_int_equal(quern_ridge_predict(ridge, quern_f64(x, 2, D), quern_f64(hole, 2, 1)), QUERN_SHAPE);
    assert_int_equal(quern_ridge_predict(NULL, quern_f64(x, 2, D), quern_f64(hole, 2, R)), QUERN_USAGE);
    quern_ridge_destroy(&ridge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_normal_equations_say_the_same),
        cmocka_unit_test(processes_have_this_mean),
        cmocka_unit_test(the_logistic_loss_is_smallest),
        cmocka_unit_test(one_point_and_one_class),
        cmocka_unit_test(what_is_wrong_is_told),
    };
    return cmocka_run_group_tests(tests, fill, close_context);
}
