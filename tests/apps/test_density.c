/*
 * test_density.c: kernel density estimation beside numbers of SciPy 1.17.1 (gaussian_kde) and scikit-learn 1.9.1
 * (KernelDensity, and cross-validation that leaves one out); integrals of kernels; pruned values within their tolerance;
 * gradients beside differences; arrays of the device, of other types and with strides; one point, no points to look at, NaN,
 * and nonsense.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quern/array.h"
#include "quern/density.h"
#include "run_helpers.h"

enum { N = 24, M = 4 };

static double points[N][2], first[N], weights[N];
static const double at[M][2] = {{0, 0}, {1, -0.5}, {4, 2}, {-3, 0.25}}, at_first[M] = {0, 1, 4, -3};
static const quern_view none = {0};

static int make(void **state)
{
    for (int k = 0; k < N; k++) {
        first[k] = points[k][0] = 3 * cos(1.7 * k) + 0.1 * k;
        points[k][1] = sin(0.9 * k) * (1 + 0.05 * k);
        weights[k] = 1 + 0.5 * (k % 4);
    }
    return open_context(state);
}

static quern_density_options with(const char *kernel, double bandwidth)
{
    quern_density_options o = QUERN_DEFAULTS(quern_density_options);
    o.kernel = kernel, o.bandwidth = bandwidth;
    return o;
}

static quern_density *density_of(quern_view cloud, quern_view w, quern_density_options o)
{
    quern_density *density;
    succeed(quern_density_create(&density, context, cloud, w, &o));
    return density;
}

static quern_density *of_points(bool weighted, quern_density_options o)
{
    need_type(QUERN_F64);
    return density_of(quern_f64(points[0], N, 2), weighted ? quern_f64(weights, N, 1) : none, o);
}

static void near(double got, double expected, double tolerance)
{
    if (!(fabs(got - expected) <= tolerance * fmax(1, fabs(expected))) && got != expected)
        fail_msg("%.15g is not %.15g, but %g off", got, expected, got - expected);
}

/* Asks a density, which is destroyed, at the four points. */
static void values(quern_density *density, quern_density_part part, const double expected[M], double tolerance)
{
    double got[M];
    bool line = quern_density_report_of(density)->dim == 1;
    succeed(quern_density_at(density, part, line ? quern_f64(at_first, M, 1) : quern_f64(at[0], M, 2),
                             quern_f64(got, M, 1), NULL));
    for (int k = 0; k < M; k++) near(got[k], expected[k], tolerance);
    quern_density_destroy(&density);
}

// ---- values of others ----

static void as_scipy(void **state)
{
    const double scott[] = {0.029791439564050774, 0.027519635602430554, 0.01634932532800241, 0.008974082320394152};
    const double silverman[] = {0.029226454749985913, 0.026403599951431114, 0.019805676112839465, 0.009304179712439376};
    const double line[] = {0.12248793564471595, 0.12026630569140498, 0.11448128211030115, 0.047671131640952685};
    quern_density_options o = with(NULL, 0);
    (void)state;
    values(of_points(false, o), QUERN_DENSITY_VALUE, scott, 1e-13);
    values(density_of(quern_f64(first, N, 1), none, o), QUERN_DENSITY_VALUE, line, 1e-13);
    o.rule = QUERN_BANDWIDTH_SILVERMAN;
    quern_density *density = of_points(true, o);
    near(quern_density_report_of(density)->factor, 0.5984084805885754, 1e-14);
    near(quern_density_report_of(density)->effective, 21.77777777777778, 1e-14);
    values(density, QUERN_DENSITY_VALUE, silverman, 1e-13);
}

static void as_scikit_learn(void **state)
{
    /* scikit-learn's cosine kernel of 2 dimensions integrates to 1 - 2/pi: findings/sklearn_cosine_kernel.sh. */
    static const struct {
        const char *kernel;
        double log[M], more;
    } rows[] = {
        {"gaussian", {-3.683336103583196, -3.730778127228299, -4.071220796537185, -4.610378850393893}, 0},
        {"exponential", {-3.9747925300485245, -3.993306438968568, -4.2976140452642735, -4.802206297653084}, 0},
        {"tophat", {-3.4568844298595964, -3.3827764577058748, -3.3827764577058748, -4.635539426201243}, 0},
        {"epanechnikov", {-3.382179608035454, -3.935881791952765, -3.74183462659642, -4.613932691064248}, 0},
        {"linear", {-3.4640711351930196, -4.026109971897723, -3.8168169565507926, -4.738708633609317}, 0},
        {"cosine", {-4.41516002699265, -4.98167078346881, -4.77667445926438, -5.6647566253092085}, 1.0123055338766752},
    };
    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        double expected[M];
        for (int i = 0; i < M; i++) expected[i] = rows[k].log[i] + rows[k].more;
        values(of_points(true, with(rows[k].kernel, 1.25)), QUERN_DENSITY_LOG, expected, 1e-12);
    }
}

static void the_most_likely(void **state)
{
    static const struct {
        const char *kernel;
        double factor, likelihood, slack;
    } rows[] = {{NULL, 0.8671172501356135, -4.001536609830624, 1e-6},
                {"exponential", 0.5611788008086397, -4.005266280039647, 1e-6},
                {"epanechnikov", 2.98751792330897, -4.02318950380338, 1e-4}};
    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        quern_density_options o = with(rows[k].kernel, 0);
        o.rule = QUERN_BANDWIDTH_LIKELIHOOD, o.shape = QUERN_BANDWIDTH_UNIT;
        quern_density *density = of_points(false, o);
        const quern_density_report *report = quern_density_report_of(density);
        near(report->factor, rows[k].factor, 5e-3);
        near(report->likelihood, rows[k].likelihood, rows[k].slack);
        assert_true(report->passes <= 8);
        quern_density_destroy(&density);
    }
}

// ---- what a density is ----

/* Sums over a grid that holds all of it, for kernels by name and by formula, in 1 to 3 dimensions. */
static void integrals(void **state)
{
    static const struct {
        const char *kernel;
        double tolerance;
    } rows[] = {{"gaussian", 1e-5},      {"tophat", 3e-2}, {"epanechnikov", 4e-3},    {"exponential", 1e-2},
                {"linear", 4e-3},        {"cosine", 4e-3}, {"Exp(-s/2)*(1+s)", 1e-5}, {"Square(ReLU(1-s))", 4e-3},
                {"Where(s<2,1,0)", 3e-2}};
    static double grid[48 * 48 * 48][3], got[48 * 48 * 48];
    const double origin[3] = {0, 0, 0};
    (void)state;
    need_type(QUERN_F64);
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        int dim = 1 + (int)(r % 3), count = 1;
        bool far = !strcmp(rows[r].kernel, "exponential");
        double side = far ? 18 : 11, cell = side / 48, sum = 0;
        for (int a = 0; a < dim; a++) count *= 48;
        for (int k = 0; k < count; k++)
            for (int a = 0, rest = k; a < dim; a++, rest /= 48)
                (&grid[0][0])[k * dim + a] = (rest % 48 + 0.5) * cell - side / 2;
        quern_density *density = density_of(quern_f64(origin, 1, dim), none, with(rows[r].kernel, 1));
        succeed(quern_density_at(density, QUERN_DENSITY_VALUE, quern_f64(grid[0], count, dim), quern_f64(got, count, 1),
                                 NULL));
        for (int k = 0; k < count; k++) sum += got[k] * pow(cell, dim);
        near(sum, 1, rows[r].tolerance);
        quern_density_destroy(&density);
    }
}

/* The Gaussian by name and as a formula; an integral that is given. */
static void formulas(void **state)
{
    double got[2][M];
    (void)state;
    for (int k = 0; k < 2; k++) {
        quern_density *density = of_points(true, with(k ? "Exp(-s/2)" : "gaussian", 0.7));
        succeed(quern_density_at(density, QUERN_DENSITY_LOG, quern_f64(at[0], M, 2), quern_f64(got[k], M, 1), NULL));
        quern_density_destroy(&density);
    }
    for (int k = 0; k < M; k++) near(got[1][k], got[0][k], 1e-9);
    quern_density_options o = with("3*Exp(-s/2)", 0.7);
    o.kernel_integral = 3 * 2 * 3.14159265358979323846;
    values(of_points(true, o), QUERN_DENSITY_LOG, got[0], 1e-12);
}

/* Z of formulas, by the density at the one point that there is. */
static void integrals_of_formulas(void **state)
{
    static const struct {
        const char *kernel;
        int dim;
        double peak, tolerance;
    } rows[] = {{"Square(ReLU(1-s))", 2, 3 / 3.14159265358979323846, 1e-8},
                {"Inv(Square(1+s))", 1, 2 / 3.14159265358979323846, 1e-10},
                {"ReLU(1-s)", 3, 15 / (8 * 3.14159265358979323846), 1e-5},
                {"Where(s<2,1,0)", 1, 0.35355339059327373, 2e-3}};
    const double origin[3] = {0, 0, 0};
    double got;
    (void)state;
    need_type(QUERN_F64);
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        quern_view here = quern_f64(origin, 1, rows[r].dim);
        quern_density *density = density_of(here, none, with(rows[r].kernel, 1));
        succeed(quern_density_at(density, QUERN_DENSITY_VALUE, here, quern_f64(&got, 1, 1), NULL));
        near(got, rows[r].peak, rows[r].tolerance);
        quern_density_destroy(&density);
    }
}

static void gradients(void **state)
{
    static const char *const kernels[] = {"gaussian", "cosine", "Inv(Square(1+s))"};
    double step = 1e-5, around[4][2], logs[4], got[2];
    (void)state;
    for (size_t r = 0; r < 3; r++) {
        quern_density_options o = with(kernels[r], 0);
        quern_density *density = of_points(true, o);
        for (int k = 0; k < 4; k++)
            around[k][0] = 0.3 + (k == 0   ? step
                                  : k == 1 ? -step
                                           : 0),
            around[k][1] = 0.1 + (k == 2   ? step
                                  : k == 3 ? -step
                                           : 0);
        const double here[2] = {0.3, 0.1};
        succeed(quern_density_at(density, QUERN_DENSITY_LOG, quern_f64(around[0], 4, 2), quern_f64(logs, 4, 1), NULL));
        succeed(
            quern_density_at(density, QUERN_DENSITY_LOG_GRADIENT, quern_f64(here, 1, 2), quern_f64(got, 1, 2), NULL));
        near(got[0], (logs[0] - logs[1]) / (2 * step), 1e-8);
        near(got[1], (logs[2] - logs[3]) / (2 * step), 1e-8);
        quern_density_destroy(&density);
    }
}

/* The logarithm where the density itself is 0 in every type; kernels without one have -infinity. */
static void far_away(void **state)
{
    const double far[] = {1e3, 0}, origin[] = {0, 0};
    double value, log_value;
    (void)state;
    need_type(QUERN_F64);
    quern_density *density = density_of(quern_f64(origin, 1, 2), none, with(NULL, 1));
    succeed(quern_density_at(density, QUERN_DENSITY_LOG, quern_f64(far, 1, 2), quern_f64(&log_value, 1, 1), NULL));
    succeed(quern_density_at(density, QUERN_DENSITY_VALUE, quern_f64(far, 1, 2), quern_f64(&value, 1, 1), NULL));
    near(log_value, -5e5 - log(2 * 3.14159265358979323846), 1e-14);
    assert_true(value == 0);
    quern_density_destroy(&density);
    density = density_of(quern_f64(origin, 1, 2), none, with("linear", 1));
    succeed(quern_density_at(density, QUERN_DENSITY_LOG, quern_f64(far, 1, 2), quern_f64(&log_value, 1, 1), NULL));
    assert_true(log_value == -INFINITY);
    quern_density_destroy(&density);
}

// ---- arrays ----

/* Pruned values are within the tolerance of those of all pairs, and most pairs are left out. */
static void pruned(void **state)
{
    enum { COUNT = 30000 };
    static float cloud[COUNT][2], got[2][COUNT];
    random_source random = {7};
    quern_pruning_report report = QUERN_DEFAULTS(quern_pruning_report);
    (void)state;
    need_device();
    for (int k = 0; k < COUNT; k++)
        for (int a = 0; a < 2; a++) cloud[k][a] = (float)random_between(&random, 0, 1);
    quern_view all = quern_f32(cloud[0], COUNT, 2);
    for (int k = 0; k < 2; k++) {
        quern_density_options o = with(NULL, 0.01);
        o.tolerance = k ? 1e-3 : 0;
        quern_density *density = density_of(all, none, o);
        succeed(quern_density_at(density, QUERN_DENSITY_VALUE, all, quern_f32(got[k], COUNT, 1), k ? &report : NULL));
        quern_density_destroy(&density);
    }
    assert_true(report.pruned && report.touched < 0.2);
    for (int k = 0; k < COUNT; k++) near((double)got[1][k], (double)got[0][k], 1.1e-3);
}

/* The same points of the device, in float32, with a stride, and as whole numbers. */
static void kinds_of_arrays(void **state)
{
    static const int64_t whole[4][2] = {{0, 0}, {3, 1}, {-2, 4}, {1, 1}};
    double wide[4][5], expected[4], got[4];
    float single[4];
    quern_array *array, *result;
    (void)state;
    need_type(QUERN_F64);
    for (int k = 0; k < 4; k++)
        for (int a = 0; a < 5; a++) wide[k][a] = a < 2 ? (double)whole[k][a] : NAN;
    quern_view strided = quern_f64(wide[0], 4, 2), integers = quern_i64(whole[0], 4, 2);
    strided.stride = 5;
    quern_density *density = density_of(strided, none, with(NULL, 1));
    succeed(quern_density_at(density, QUERN_DENSITY_VALUE, integers, quern_f64(expected, 4, 1), NULL));
    succeed(quern_array_from(&array, context, strided));
    succeed(quern_array_create(&result, context, QUERN_F32, 4, 1));
    succeed(quern_density_at(density, QUERN_DENSITY_VALUE, quern_array_view(array), quern_array_view(result), NULL));
    succeed(quern_array_read(result, quern_f32(single, 4, 1)));
    for (int k = 0; k < 4; k++) near((double)single[k], expected[k], 1e-7);
    quern_density_destroy(&density);
    density = density_of(integers, none, with(NULL, 1)); /* in float32 */
    quern_view every_other = quern_f64(got, 2, 1);
    every_other.stride = 2;
    got[1] = got[3] = 7;
    succeed(quern_density_at(density, QUERN_DENSITY_VALUE, quern_view_rows(strided, 1, 2), every_other, NULL));
    near(got[0], expected[1], 1e-6), near(got[2], expected[2], 1e-6);
    assert_true(got[1] == 7 && got[3] == 7);
    quern_density_destroy(&density);
    quern_array_destroy(&array), quern_array_destroy(&result);
}

static void few_points(void **state)
{
    const double one[] = {2}, zero_and_one[] = {0, 1}, two[] = {2, 5}, odd[] = {2, NAN, INFINITY};
    double got[3];
    (void)state;
    need_type(QUERN_F64);
    quern_density *density = density_of(quern_f64(one, 1, 1), none, with(NULL, 1));
    succeed(quern_density_at(density, QUERN_DENSITY_VALUE, quern_f64(odd, 3, 1), quern_f64(got, 3, 1), NULL));
    near(got[0], 0.3989422804014327, 1e-15);
    assert_true(isnan(got[1]) && isnan(got[2]));
    succeed(quern_density_at(density, QUERN_DENSITY_VALUE, quern_f64(NULL, 0, 1), quern_f64(NULL, 0, 1), NULL));
    quern_density_destroy(&density);
    density = density_of(quern_f64(two, 2, 1), quern_f64(zero_and_one, 2, 1), with(NULL, 1)); /* a weight of 0 */
    const double five = 5;
    succeed(quern_density_at(density, QUERN_DENSITY_VALUE, quern_f64(&five, 1, 1), quern_f64(got, 1, 1), NULL));
    near(got[0], 0.3989422804014327, 1e-15);
    quern_density_destroy(&density);
}

/* As on a device without float64: SciPy's numbers, and the integral of a formula. */
static void in_float32(void **state)
{
    const double scott[] = {0.029791439564050774, 0.027519635602430554, 0.01634932532800241, 0.008974082320394152};
    const float origin = 0;
    float cloud[N][2], places[M][2], got[M];
    (void)state;
    need_device();
    for (int k = 0; k < N; k++)
        for (int a = 0; a < 2; a++) cloud[k][a] = (float)points[k][a];
    for (int k = 0; k < M; k++)
        for (int a = 0; a < 2; a++) places[k][a] = (float)at[k][a];
    quern_density *density = density_of(quern_f32(cloud[0], N, 2), none, with(NULL, 0));
    succeed(quern_density_at(density, QUERN_DENSITY_VALUE, quern_f32(places[0], M, 2), quern_f32(got, M, 1), NULL));
    for (int k = 0; k < M; k++) near((double)got[k] / scott[k], 1, 2e-6);
    quern_density_destroy(&density);
    density = density_of(quern_f32(&origin, 1, 1), none, with("Inv(Square(1+s))", 1));
    succeed(quern_density_at(density, QUERN_DENSITY_VALUE, quern_f32(&origin, 1, 1), quern_f32(got, 1, 1), NULL));
    near((double)got[0], 2 / 3.14159265358979323846, 1e-6);
    quern_density_destroy(&density);
}

// ---- nonsense ----

static void refuse(quern_view cloud, quern_view w, quern_density_options o, quern_status status, const char *part)
{
    quern_density *density = (quern_density *)&o;
    expect_failure(quern_density_create(&density, context, cloud, w, &o), status, part);
    assert_null(density);
}

static void bad_input(void **state)
{
    double bad[N][2], w[N], got[M];
    quern_view good = quern_f32((const float *)points, N, 2);
    (void)state;
    need_type(QUERN_F64);
    good = quern_f64(points[0], N, 2);
    memcpy(bad, points, sizeof bad), memcpy(w, weights, sizeof w);
    bad[5][1] = NAN, w[3] = -1;
    refuse(quern_f64(bad[0], N, 2), none, with(NULL, 1), QUERN_USAGE, "point 5 has the coordinate");
    refuse(good, quern_f64(w, N, 1), with(NULL, 1), QUERN_USAGE, "the weight of point 3 is -1");
    memset(w, 0, sizeof w);
    refuse(good, quern_f64(w, N, 1), with(NULL, 1), QUERN_USAGE, "sum of all weights is 0");
    refuse(good, quern_f64(w, 3, 1), with(NULL, 1), QUERN_SHAPE, "weights are 3 x 1, not 24 x 1");
    refuse(quern_f64(NULL, 0, 2), none, with(NULL, 1), QUERN_SHAPE, "points are 0 x 2");
    refuse(quern_f64(NULL, N, 2), none, with(NULL, 1), QUERN_USAGE, "and no data");
    refuse(quern_in_batch(good, 2), none, with(NULL, 1), QUERN_SHAPE, "points is a batch");
    refuse(quern_number(1), none, with(NULL, 1), QUERN_DTYPE, "not a number");
    for (int k = 0; k < N; k++) bad[k][1] = 2 * bad[k][0], bad[k][0] = points[k][0];
    for (int k = 0; k < N; k++) bad[k][1] = 2 * bad[k][0];
    refuse(quern_f64(bad[0], N, 2), none, with(NULL, 0), QUERN_NUMERIC, "has no inverse");
    refuse(good, none, with(NULL, -1), QUERN_USAGE, "bandwidth is -1");
    refuse(quern_f64(points[0], 1, 2), none, with(NULL, 0), QUERN_NUMERIC, "one point has no covariance");
    refuse(good, none, with("Exp(", 1), QUERN_SYNTAX, "");
    refuse(good, none, with("Exp(-z)", 1), QUERN_NAME, "z");
    refuse(good, none, with("Concat(s,s)", 1), QUERN_DIMENSION, "is not one number");
    refuse(good, none, with("Inv(1+s)", 1), QUERN_NUMERIC, "no positive, finite integral");
    refuse(good, none, with("0*s", 1), QUERN_NUMERIC, "no positive, finite integral");
    quern_density *density = of_points(false, with(NULL, 1));
    expect_failure(quern_density_at(density, QUERN_DENSITY_VALUE, quern_f64(at[0], M, 1), quern_f64(got, M, 1), NULL),
                   QUERN_SHAPE, "of 2 dimensions");
    expect_failure(quern_density_at(density, QUERN_DENSITY_VALUE, quern_f64(at[0], M, 2), quern_f64(got, 2, 1), NULL),
                   QUERN_SHAPE, "not 4 x 1");
    expect_failure(quern_density_at(density, QUERN_DENSITY_VALUE, quern_f64(at[0], M, 2), quern_f64(NULL, M, 1), NULL),
                   QUERN_USAGE, "no data");
    expect_failure(quern_density_at(density, QUERN_DENSITY_VALUE, quern_f64(at[0], M, 2),
                                    quern_in_batch(quern_f64(got, M, 1), 2), NULL),
                   QUERN_SHAPE, "the result is a batch");
    expect_failure(quern_density_at(NULL, QUERN_DENSITY_VALUE, none, none, NULL), QUERN_USAGE, "null");
    expect_failure(quern_density_create(NULL, context, good, none, NULL), QUERN_USAGE, "null");
    assert_null(quern_density_report_of(NULL));
    quern_density_destroy(&density);
    quern_density_destroy(&density);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_scipy),        cmocka_unit_test(as_scikit_learn), cmocka_unit_test(the_most_likely),
        cmocka_unit_test(integrals),       cmocka_unit_test(formulas),        cmocka_unit_test(integrals_of_formulas),
        cmocka_unit_test(gradients),       cmocka_unit_test(far_away),        cmocka_unit_test(pruned),
        cmocka_unit_test(kinds_of_arrays), cmocka_unit_test(few_points),      cmocka_unit_test(in_float32),
        cmocka_unit_test(bad_input),
    };
    return cmocka_run_group_tests(tests, make, close_context);
}
