/*
 * test_mixture.c: iris by all kinds of covariance beside what scikit-learn finds; densities and responsibilities beside their
 * definition; the bound never falls; one component is the sample's mean and covariance; flat components, few points, points far
 * from all; and what is refused.
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
#include "quern/mixture.h"
#include "run_helpers.h"

enum { N = 150, D = 4, K = 3 };
/* What scikit-learn's GaussianMixture finds with a tolerance of 1e-12. */
static const double known_full = -1.201236517234;
static double *iris;
static float singles[N * D];

static int fill(void **state)
{
    int64_t rows;
    iris = example_table("iris.csv", &rows, D);
    for (int e = 0; e < N * D; e++) singles[e] = (float)iris[e];
    return open_context(state);
}

static int release(void **state)
{
    free(iris);
    return close_context(state);
}

static quern_mixture *fit(quern_view x, int64_t components, const quern_mixture_options *options)
{
    quern_mixture *g;
    succeed(quern_mixture_fit(&g, context, x, components, options));
    double sum = 0;
    for (int64_t c = 0; c < components; c++) sum += g->weights[c];
    assert_true(fabs(sum - 1) < 1e-12);
    return g;
}

// ---- known answers ----

static void iris_by_all_kinds(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    const double known[] = {known_full, -2.047850478201, -2.562093967157};
    for (int kind = 0; kind < 3; kind++) {
        quern_mixture_options options = {.size = sizeof options,
                                         .covariance = (quern_covariance)kind,
                                         .tolerance = 1e-11,
                                         .iterations = 2000,
                                         .restarts = 3};
        quern_mixture *g = fit(quern_f64(iris, N, D), K, &options);
        assert_true(g->report.converged && !g->report.degenerate);
        if (!(fabs(g->report.log_likelihood - known[kind]) < 1e-8))
            fail_msg("kind %d: %.12g, not %.12g", kind, g->report.log_likelihood, known[kind]);
        quern_mixture_destroy(&g);
    }
}

static void float32_is_near(void **state)
{
    (void)state;
    need_device();
    quern_mixture_options options = {.size = sizeof options, .tolerance = 1e-6, .iterations = 1000, .restarts = 3};
    quern_mixture *g = fit(quern_f32(singles, N, D), K, &options), *again = fit(quern_f32(singles, N, D), K, &options);
    assert_true(fabs(g->report.log_likelihood - known_full) < 1e-3);
    assert_memory_equal(g->covariances, again->covariances, K * D * D * sizeof(double));
    quern_mixture_destroy(&g), quern_mixture_destroy(&again);
}

// ---- the definition ----

static double log_density(const quern_mixture *g, int c, const double *x)
{
    double a[D * D], v[D], log_det = 0, square = 0;
    for (int e = 0; e < D * D; e++)
        a[e] = g->covariance == QUERN_COVARIANCE_FULL ? g->covariances[c * D * D + e]
               : e % (D + 1)                          ? 0
                             : g->covariances[g->covariance == QUERN_COVARIANCE_DIAGONAL ? c * D + e / (D + 1) : c];
    for (int d = 0; d < D; d++) v[d] = x[d] - g->means[c * D + d];
    for (int k = 0; k < D; k++) { /* Gaussian elimination of a positive matrix */
        log_det += log(a[k * D + k]), square += v[k] * v[k] / a[k * D + k];
        for (int r = k + 1; r < D; r++) {
            double f = a[r * D + k] / a[k * D + k];
            v[r] -= f * v[k];
            for (int e = k; e < D; e++) a[r * D + e] -= f * a[k * D + e];
        }
    }
    return log(g->weights[c]) - 0.5 * (D * log(2 * acos(-1)) + log_det + square);
}

static void densities_are_those_of_the_definition(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    for (int kind = 0; kind < 3; kind++) {
        quern_mixture_options options = {.size = sizeof options, .covariance = (quern_covariance)kind};
        quern_mixture *g = fit(quern_f64(iris, N, D), K, &options);
        int64_t labels[N];
        double densities[N], shares[N * K], mean = 0;
        succeed(quern_mixture_assign(g, context, quern_f64(iris, N, D), quern_i64(labels, N, 1),
                                     quern_f64(shares, N, K), quern_f64(densities, N, 1)));
        for (int i = 0; i < N; i++) {
            double l[K], sum = 0;
            for (int c = 0; c < K; c++) l[c] = log_density(g, c, iris + i * D), sum += exp(l[c]);
            assert_true(fabs(log(sum) - densities[i]) < 1e-9);
            for (int c = 0; c < K; c++) {
                assert_true(fabs(exp(l[c]) / sum - shares[i * K + c]) < 1e-9);
                assert_true(l[c] <= l[labels[i]]);
            }
            mean += densities[i] / N;
        }
        assert_true(fabs(mean - g->report.log_likelihood) < 1e-12);
        quern_mixture_destroy(&g);
    }
}

static void one_component_is_the_sample(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    quern_mixture_options options = {.size = sizeof options, .regularization = -1};
    quern_mixture *g = fit(quern_f64(iris, N, D), 1, &options);
    for (int a = 0; a < D; a++) {
        double mean = 0;
        for (int i = 0; i < N; i++) mean += iris[i * D + a] / N;
        assert_true(fabs(mean - g->means[a]) < 1e-12);
    }
    for (int a = 0; a < D; a++)
        for (int b = 0; b < D; b++) {
            double sum = 0;
            for (int i = 0; i < N; i++) sum += (iris[i * D + a] - g->means[a]) * (iris[i * D + b] - g->means[b]) / N;
            assert_true(fabs(sum - g->covariances[a * D + b]) < 1e-12);
        }
    double free_parameters = D + D * (D + 1) / 2;
    assert_true(fabs(g->report.bic - (free_parameters * log(N) - 2 * N * g->report.log_likelihood)) < 1e-9);
    quern_mixture_destroy(&g);
}

// ---- the bound ----

typedef struct climb {
    double last;
    int64_t steps;
    bool stop;
} climb;

static bool watch(void *user, int64_t iteration, double log_likelihood)
{
    climb *c = user;
    if (iteration > 1) assert_true(log_likelihood >= c->last - 1e-12);
    c->last = log_likelihood, c->steps++;
    return c->stop && iteration == 4;
}

static void the_bound_never_falls(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    for (int kind = 0; kind < 3; kind++) {
        climb c = {0};
        quern_mixture_options options = {.size = sizeof options,
                                         .covariance = (quern_covariance)kind,
                                         .regularization = -1,
                                         .tolerance = 1e-10,
                                         .iterations = 300,
                                         .progress = watch,
                                         .progress_user = &c};
        quern_mixture *g = fit(quern_f64(iris, N, D), K, &options);
        assert_true(c.steps == g->report.iterations && c.steps > 5 && c.last == g->report.log_likelihood);
        quern_mixture_destroy(&g);
        c = (climb){.stop = true};
        expect_failure(quern_mixture_fit(&g, context, quern_f64(iris, N, D), K, &options), QUERN_CANCELLED,
                       "stopped after 4 iterations");
        assert_null(g);
    }
}

// ---- flat components, few points, labels ----

static void flat_components(void **state)
{
    (void)state;
    need_device();
    float line[40 * 2];
    for (int i = 0; i < 40; i++) line[2 * i] = line[2 * i + 1] = (float)(i % 20) / 20 + (i < 20 ? 0 : 8);
    quern_mixture *g = fit(quern_f32(line, 40, 2), 2, NULL);
    assert_int_equal(g->report.degenerate, 2);
    assert_true(isfinite(g->report.log_likelihood));
    quern_mixture_destroy(&g);
    quern_mixture_options options = {.size = sizeof options, .regularization = -1};
    expect_failure(quern_mixture_fit(&g, context, quern_f32(line, 40, 2), 2, &options), QUERN_NUMERIC, "is singular");
    options.covariance = QUERN_COVARIANCE_SPHERICAL;
    g = fit(quern_f32(line, 40, 2), 2, &options);
    assert_int_equal(g->report.degenerate, 0);
    quern_mixture_destroy(&g);
}

static void few_points(void **state)
{
    (void)state;
    need_device();
    quern_mixture *g = fit(quern_f32(singles, 1, D), 1, NULL);
    assert_int_equal(g->report.degenerate, 1);
    for (int d = 0; d < D; d++) assert_true(fabs(g->means[d] - (double)singles[d]) < 1e-6);
    int64_t label;
    succeed(quern_mixture_assign(g, context, quern_f32(singles, 0, D), quern_i64(&label, 0, 1), (quern_view){0},
                                 (quern_view){0}));
    quern_mixture_destroy(&g);
    g = fit(quern_f32(singles, 3, D), 3, NULL);
    assert_int_equal(g->report.degenerate, 3);
    quern_mixture_destroy(&g);
    expect_failure(quern_mixture_fit(&g, context, quern_f32(singles, 2, D), 3, NULL), QUERN_SHAPE, "3 components of 2");
    expect_failure(quern_mixture_fit(&g, context, quern_f32(singles, 0, D), 1, NULL), QUERN_SHAPE, "1 components of 0");
    expect_failure(quern_mixture_fit(&g, context, quern_f32(singles, 2, D), 0, NULL), QUERN_SHAPE, "0 components");
}

/* So far away that every density is 0 in float32 and float64. */
static void a_point_far_from_all(void **state)
{
    (void)state;
    need_device();
    quern_mixture *g = fit(quern_f32(singles, N, D), K, NULL);
    float far[D] = {1e4f, 0, 0, 0}, shares[K], density;
    succeed(quern_mixture_assign(g, context, quern_f32(far, 1, D), (quern_view){0}, quern_f32(shares, 1, K),
                                 quern_f32(&density, 1, 1)));
    assert_true(isfinite(density) && density < -1e6f);
    assert_true(fabsf(shares[0] + shares[1] + shares[2] - 1) < 1e-5f);
    quern_mixture_destroy(&g);
}

static void given_labels(void **state)
{
    (void)state;
    need_device();
    int64_t labels[N];
    for (int i = 0; i < N; i++) labels[i] = i / 50;
    quern_mixture_options options = {
        .size = sizeof options, .labels = quern_i64(labels, N, 1), .tolerance = 1e-6, .iterations = 500};
    quern_mixture *g = fit(quern_f32(singles, N, D), K, &options);
    assert_true(fabs(g->report.log_likelihood - known_full) < 1e-3);
    assert_true(fabs(g->weights[0] - 1. / 3) < 1e-4);
    quern_mixture_destroy(&g);
    labels[7] = 3;
    expect_failure(quern_mixture_fit(&g, context, quern_f32(singles, N, D), K, &options), QUERN_USAGE,
                   "label of point 7 is 3");
    for (int i = 0; i < N; i++) labels[i] = 0;
    expect_failure(quern_mixture_fit(&g, context, quern_f32(singles, N, D), K, &options), QUERN_USAGE,
                   "no point has the label 1");
}

static void what_is_refused(void **state)
{
    (void)state;
    need_device();
    quern_mixture *g;
    quern_view x = quern_f32(singles, N, D), none = {0};
    quern_mixture_options options = {.size = sizeof options, .covariance = (quern_covariance)5};
    expect_failure(quern_mixture_fit(NULL, context, x, K, NULL), QUERN_USAGE, "out is null");
    expect_failure(quern_mixture_fit(&g, NULL, x, K, NULL), QUERN_USAGE, "context is null");
    expect_failure(quern_mixture_fit(&g, context, x, K, &options), QUERN_USAGE, "no kind of covariance 5");
    options = (quern_mixture_options){.size = sizeof options, .tolerance = NAN};
    expect_failure(quern_mixture_fit(&g, context, x, K, &options), QUERN_USAGE, "tolerance");
    options = (quern_mixture_options){.size = sizeof options, .regularization = NAN};
    expect_failure(quern_mixture_fit(&g, context, x, K, &options), QUERN_USAGE, "regularization is nan");
    float bad[2 * D] = {0};
    bad[5] = INFINITY;
    expect_failure(quern_mixture_fit(&g, context, quern_f32(bad, 2, D), 1, NULL), QUERN_USAGE,
                   "point 1 has the coordinate inf");
    g = fit(x, K, NULL);
    expect_failure(quern_mixture_assign(g, context, quern_f32(singles, N, 3), none, none, none), QUERN_SHAPE,
                   "3 columns, not 4");
    expect_failure(quern_mixture_assign(g, context, x, none, quern_f32(singles, N, 2), none), QUERN_SHAPE,
                   "responsibilities has 2 columns");
    expect_failure(quern_mixture_assign(NULL, context, x, none, none, none), QUERN_USAGE, "mixture is null");
    quern_mixture_destroy(&g), quern_mixture_destroy(&g), quern_mixture_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(iris_by_all_kinds),
        cmocka_unit_test(float32_is_near),
        cmocka_unit_test(densities_are_those_of_the_definition),
        cmocka_unit_test(one_component_is_the_sample),
        cmocka_unit_test(the_bound_never_falls),
        cmocka_unit_test(flat_components),
        cmocka_unit_test(few_points),
        cmocka_unit_test(a_point_far_from_all),
        cmocka_unit_test(given_labels),
        cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests(tests, fill, release);
}
