/*
 * test_barycentre.c: means of densities and clouds: of two spots the one half way, of Gaussians the Gaussian with the mean deviation;
 * one density or cloud is its own; on a line the mean of sorted points; and what has no mean.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quern/barycentre.h"
#include "run_helpers.h"

enum { N = 200 };

/* A Gaussian on a line of N points from 0 to 1, of mass 1. */
static void bell(double *a, double centre, double deviation)
{
    double sum = 0;
    for (int k = 0; k < N; k++) sum += a[k] = exp(-pow(((k + 1.0) / N - centre) / deviation, 2) / 2);
    for (int k = 0; k < N; k++) a[k] /= sum;
}

static void moments(const double *a, double *mass, double *centre, double *deviation)
{
    double sums[3] = {0, 0, 0};
    for (int k = 0; k < N; k++)
        for (int p = 0; p < 3; p++) sums[p] += a[k] * pow((k + 1.0) / N, p);
    *mass = sums[0], *centre = sums[1] / sums[0], *deviation = sqrt(sums[2] / sums[0] - *centre * *centre);
}

/* The mean of N(0.3, 0.04^2) and N(0.6, 0.08^2) with weights 1/4 and 3/4 is N(0.525, d^2); debiased, d is where the mean of sqrt(eps^2 + 4
   d^2 d_k^2) is sqrt(eps^2 + 4 d^4) (Janati, Cuturi, Gramfort 2020, theorem 2); plain, it is larger. */
static void gaussians(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    double a[N], b[N], mean[N], mass, centre, deviation;
    const quern_grid grid = {1, {N, 0, 0}, {0, 0, 0}};
    bell(a, 0.3, 0.04), bell(b, 0.6, 0.08);
    const quern_view both[] = {quern_f64(a, N, 1), quern_f64(b, N, 1)};
    for (int plain = 0; plain < 2; plain++) {
        quern_transport_options options = {.size = sizeof options, .blur = 0.05, .tolerance = 1e-7};
        quern_barycentre_report report;
        options.debias = plain ? QUERN_OFF : QUERN_ON;
        succeed(
            quern_barycentre_grid(context, &grid, both, (double[]){1, 3}, 2, &options, quern_f64(mean, N, 1), &report));
        assert_true(report.converged && report.iterations > 1);
        moments(mean, &mass, &centre, &deviation);
        check_near(mass, 1, 1e-6), check_near(centre, 0.525, 1e-5);
        if (!plain) check_near(deviation, 0.070191021, 1e-6);
        else assert_true(deviation > 0.075);
    }
}

/* In float32 and two dimensions: a spot half way; and a density that is its own mean. */
static void spots(void **state)
{
    (void)state;
    need_device();
    enum { SIDE = 24 };
    static float a[SIDE * SIDE], b[SIDE * SIDE], mean[SIDE * SIDE];
    for (int r = 0; r < 5; r++)
        for (int c = 0; c < 5; c++) a[(r + 3) * SIDE + c + 3] = b[(r + 11) * SIDE + c + 15] = 0.04f;
    const quern_grid grid = {2, {SIDE, SIDE, 0}, {0, 0, 0}};
    const quern_view both[] = {quern_f32(a, SIDE, SIDE), quern_f32(b, SIDE, SIDE)};
    quern_transport_options options = {.size = sizeof options, .blur = 0.05, .tolerance = 1e-5};
    succeed(quern_barycentre_grid(context, &grid, both, NULL, 2, &options, quern_f32(mean, SIDE, SIDE), NULL));
    double inside = 0, all = 0;
    for (int r = 0; r < SIDE; r++)
        for (int c = 0; c < SIDE; c++) {
            all += (double)mean[r * SIDE + c];
            if (r >= 7 && r < 12 && c >= 9 && c < 14) inside += (double)mean[r * SIDE + c];
        }
    check_near(all, 1, 1e-4);
    assert_true(inside > 0.98);
    succeed(quern_barycentre_grid(context, &grid, both, NULL, 1, &options, quern_f32(mean, SIDE, SIDE), NULL));
    for (int k = 0; k < SIDE * SIDE; k++) check_near((double)mean[k], (double)a[k], 4e-3);
}

/* On a line the points of the mean, sorted, are means of the sorted points. */
static void sorted_points(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    enum { COUNT = 20 };
    double x[COUNT], y[2][COUNT];
    for (int k = 0; k < COUNT; k++) {
        x[k] = 0.3 + 0.01 * k;
        y[0][(7 * k) % COUNT] = 0.05 * k, y[1][(3 * k) % COUNT] = 0.02 * k + 0.001 * k * k;
    }
    const quern_view both[] = {quern_f64(y[0], COUNT, 1), quern_f64(y[1], COUNT, 1)};
    quern_transport_options options = {.size = sizeof options, .blur = 0.004, .tolerance = 1e-4};
    quern_barycentre_report report;
    succeed(
        quern_barycentre_cloud(context, both, NULL, (double[]){1, 3}, 2, &options, quern_f64(x, COUNT, 1), &report));
    assert_true(report.converged);
    for (int k = 0; k < COUNT; k++) check_near(x[k], 0.25 * 0.05 * k + 0.75 * (0.02 * k + 0.001 * k * k), 1e-4);
}

/* Steps swing about the mean: it is not there yet where one of them changes little. */
static void equal_densities(void **state)
{
    (void)state;
    need_device();
    float a[20], mean[20];
    const quern_grid grid = {2, {4, 5, 0}, {0, 0, 0}};
    for (int k = 0; k < 20; k++) a[k] = 0.05F;
    const quern_view both[] = {quern_f32(a, 4, 5), quern_f32(a, 4, 5)};
    for (int k = 0; k < 4; k++) {
        quern_transport_options options = {.size = sizeof options, .blur = k ? 0.05 * k : 1e-9};
        quern_barycentre_report report;
        succeed(quern_barycentre_grid(context, &grid, both, NULL, 2, &options, quern_f32(mean, 4, 5), &report));
        assert_true(report.converged && report.change <= 1e-3);
        for (int n = 0; n < 20; n++) check_near((double)mean[n], 0.05, 0.05 * 5e-3);
    }
}

static void refuse(const quern_grid *grid, const quern_view *densities, const double *weights, size_t count,
                   quern_view result, quern_status status, const char *part)
{
    expect_failure(quern_barycentre_grid(context, grid, densities, weights, count, NULL, result, NULL), status, part);
}

static void one_point_and_nonsense(void **state)
{
    (void)state;
    need_device();
    float one[] = {1, 0, 0, 0}, two[] = {2, 0, 0, 0}, nan[] = {1, 0, 0, NAN}, negative[] = {2, -1, 0, 0}, to[4];
    const quern_grid point = {1, {1, 0, 0}, {0, 0, 0}}, square = {2, {2, 2, 0}, {0, 0, 0}};
    quern_view a = quern_f32(one, 2, 2), out = quern_f32(to, 2, 2), single = quern_f32(one, 1, 1);
    succeed(quern_barycentre_grid(context, &point, (quern_view[]){single, single}, NULL, 2, NULL, quern_f32(to, 1, 1),
                                  NULL));
    check_near((double)to[0], 1, 1e-6);
    refuse(&square, &a, NULL, 0, out, QUERN_USAGE, "a barycentre of nothing");
    refuse(&square, (quern_view[]){a, quern_f32(two, 2, 2)}, NULL, 2, out, QUERN_SHAPE, "density 1 has the mass 2");
    refuse(&square, (quern_view[]){a, quern_f32(nan, 2, 2)}, NULL, 2, out, QUERN_USAGE, "density 1 has the sum nan");
    refuse(&square, (quern_view[]){a, quern_f32(negative, 2, 2)}, NULL, 2, out, QUERN_USAGE, "1 numbers below 0");
    refuse(&square, &a, (double[]){-1}, 1, out, QUERN_USAGE, "weight 0 of the barycentre is -1");
    refuse(&square, &a, (double[]){0}, 1, out, QUERN_USAGE, "all weights of the barycentre are 0");
    refuse(&square, (quern_view[]){a, a}, (double[]){1e308, 1e308}, 2, out, QUERN_USAGE, "an infinite sum");
    refuse(&square, &single, NULL, 1, out, QUERN_SHAPE, "density 0 is 1 x 1; a dense array of 4");
    refuse(&square, &a, NULL, 1, single, QUERN_SHAPE, "result 0 is 1 x 1");
    quern_view points = quern_f32(one, 4, 1);
    expect_failure(quern_barycentre_cloud(context, &points, NULL, NULL, 0, NULL, quern_f32(to, 4, 1), NULL),
                   QUERN_USAGE, "a barycentre of nothing");
    expect_failure(quern_barycentre_cloud(context, &points, NULL, NULL, 1, NULL, (quern_view){0}, NULL), QUERN_USAGE,
                   "x must be a host array");
    succeed(quern_barycentre_cloud(context, &points, NULL, NULL, 1, NULL, quern_f32(to, 0, 1), NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(gaussians), cmocka_unit_test(spots),
                                       cmocka_unit_test(sorted_points), cmocka_unit_test(equal_densities),
                                       cmocka_unit_test(one_point_and_nonsense)};
    return cmocka_run_group_tests(tests, open_context, close_context);
}
