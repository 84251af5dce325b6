/*
 * test_density_clusters.c: DBSCAN beside its definition by brute force, with far blocks left out and with any distance; clusters of any
 * shape; mean shift beside its definition; no points, one, equal ones; and what is refused.
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
#include "quern/density_clusters.h"
#include "run_helpers.h"

enum { N = 900, D = 2 };
static double points[N * D];
static float singles[N * D];

/* Two rings, one in the other, and points anywhere. */
static int fill(void **state)
{
    srand(17);
    for (int i = 0; i < N; i++) {
        double angle = rand() / (double)RAND_MAX * 2 * acos(-1), noise = 0.05 * rand() / RAND_MAX;
        double radius = (i % 3 == 0 ? 1 : 2) + noise;
        bool anywhere = i % 15 == 0;
        points[2 * i] = anywhere ? 6. * rand() / RAND_MAX - 3 : radius * cos(angle);
        points[2 * i + 1] = anywhere ? 6. * rand() / RAND_MAX - 3 : radius * sin(angle);
    }
    for (int e = 0; e < N * D; e++) points[e] = singles[e] = (float)points[e];
    return open_context(state);
}

static double square(const double *a, const double *b)
{
    return (a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]);
}

// ---- DBSCAN ----

/* As the paper has it, in the order of the points. */
static int64_t by_definition(double radius, int64_t neighbors, int64_t *labels)
{
    static bool core[N];
    static int stack[N];
    int64_t clusters = 0;
    for (int i = 0; i < N; i++) {
        int64_t count = 0;
        for (int j = 0; j < N; j++) count += square(points + 2 * i, points + 2 * j) <= radius * radius;
        core[i] = count >= neighbors, labels[i] = -1;
    }
    for (int i = 0; i < N; i++) {
        if (!core[i] || labels[i] >= 0) continue;
        int depth = 0;
        stack[depth++] = i, labels[i] = clusters;
        while (depth) {
            int at = stack[--depth];
            for (int j = 0; j < N; j++) {
                if (labels[j] >= 0 || square(points + 2 * at, points + 2 * j) > radius * radius) continue;
                labels[j] = clusters;
                if (core[j]) stack[depth++] = j;
            }
        }
        clusters++;
    }
    return clusters;
}

static void dbscan_is_its_definition(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    int64_t labels[N], expected[N];
    const struct {
        double radius;
        int64_t neighbors;
        const char *distance;
    } tries[] = {{0.15, 5, NULL}, {0.15, 5, "Norm2(x-y)"}, {0.08, 3, NULL}, {0.02, 1, NULL},
                 {9, 4, NULL},    {0.05, 40, NULL}};
    for (size_t t = 0; t < Q_COUNT(tries); t++) {
        quern_density_clusters_report report = {.size = sizeof report};
        int64_t clusters = by_definition(tries[t].radius, tries[t].neighbors, expected), noise = 0;
        succeed(quern_dbscan(context, quern_f64(points, N, D), tries[t].radius, tries[t].neighbors,
                             quern_i64(labels, N, 1), tries[t].distance, &report));
        assert_memory_equal(labels, expected, sizeof labels);
        for (int i = 0; i < N; i++) noise += labels[i] < 0;
        assert_int_equal(report.clusters, clusters);
        assert_int_equal(report.noise, noise);
        assert_true(report.passes < 20);
    }
}

static void rings_are_clusters(void **state)
{
    (void)state;
    need_device();
    int64_t labels[N];
    quern_density_clusters_report report = {.size = sizeof report};
    quern_array *x;
    succeed(quern_array_from(&x, context, quern_f32(singles, N, D)));
    succeed(quern_dbscan(context, quern_array_view(x), 0.25, 6, quern_i64(labels, N, 1), NULL, &report));
    quern_array_destroy(&x);
    for (int i = 0; i < N; i++)
        if (i % 15) assert_int_equal(labels[i], labels[i % 3 ? 1 : 3]);
    assert_true(labels[1] != labels[3]);
}

// ---- mean shift ----

static void peaks_of_three_groups(void **state)
{
    (void)state;
    need_device();
    enum { ROWS = 90 };
    float x[ROWS * 2], peaks[ROWS * 2];
    int64_t labels[ROWS];
    for (int i = 0; i < ROWS; i++)
        for (int d = 0; d < 2; d++) x[2 * i + d] = singles[2 * i + d] * 0.1f + (float)(4 * (i % 3) * (d + 1));
    quern_mean_shift_options options = {.size = sizeof options, .bandwidth = 0.8};
    quern_density_clusters_report report = {.size = sizeof report};
    succeed(quern_mean_shift(context, quern_f32(x, ROWS, 2), quern_i64(labels, ROWS, 1), quern_f32(peaks, ROWS, 2),
                             &options, &report));
    assert_true(report.converged && report.passes > 1);
    assert_int_equal(report.clusters, 3);
    for (int i = 0; i < ROWS; i++) {
        double mean[2] = {0}, mass = 0; /* a peak is the mean around it */
        assert_int_equal(labels[i], i % 3);
        for (int j = 0; j < ROWS; j++) {
            double dx = (double)x[2 * j] - (double)peaks[2 * i], dy = (double)x[2 * j + 1] - (double)peaks[2 * i + 1];
            double weight = exp(-(dx * dx + dy * dy) / (2 * 0.64));
            mean[0] += weight * dx, mean[1] += weight * dy, mass += weight;
        }
        assert_true(hypot(mean[0], mean[1]) / mass < 1e-3);
    }
}

// ---- few points, what is refused ----

static void few_points(void **state)
{
    (void)state;
    need_device();
    float equal[] = {3, 3, 3, 3, 3, 3}, one[] = {1, 2};
    int64_t labels[3] = {7, 7, 7};
    quern_density_clusters_report report = {.size = sizeof report};
    quern_mean_shift_options options = {.size = sizeof options, .bandwidth = 1};
    succeed(quern_dbscan(context, quern_f32(one, 0, 2), 1, 1, quern_i64(labels, 0, 1), NULL, &report));
    assert_int_equal(report.clusters, 0);
    succeed(
        quern_mean_shift(context, quern_f32(one, 0, 2), quern_i64(labels, 0, 1), (quern_view){0}, &options, &report));
    assert_int_equal(report.clusters, 0);
    succeed(quern_dbscan(context, quern_f32(one, 1, 2), 1, 2, quern_i64(labels, 1, 1), NULL, &report));
    assert_true(labels[0] == -1 && report.noise == 1 && report.core == 0);
    succeed(quern_dbscan(context, quern_f32(one, 1, 2), 0, 1, quern_i64(labels, 1, 1), NULL, &report));
    assert_true(labels[0] == 0 && report.clusters == 1);
    succeed(quern_dbscan(context, quern_f32(equal, 3, 2), 0, 3, quern_i64(labels, 3, 1), NULL, &report));
    assert_true(report.clusters == 1 && report.core == 3 && labels[2] == 0);
    succeed(
        quern_mean_shift(context, quern_f32(equal, 3, 2), quern_i64(labels, 3, 1), (quern_view){0}, &options, &report));
    assert_true(report.clusters == 1 && report.converged && labels[2] == 0);
}

static bool stop(void *user, int64_t iteration, double moved)
{
    (void)moved;
    return iteration == *(int64_t *)user;
}

static void what_is_refused(void **state)
{
    (void)state;
    need_device();
    int64_t labels[N], passes = 2;
    quern_view x = quern_f32(singles, N, D), l = quern_i64(labels, N, 1), none = {0};
    expect_failure(quern_dbscan(NULL, x, 1, 1, l, NULL, NULL), QUERN_USAGE, "context is null");
    expect_failure(quern_dbscan(context, x, NAN, 1, l, NULL, NULL), QUERN_USAGE, "the radius is nan");
    expect_failure(quern_dbscan(context, x, 1, 0, l, NULL, NULL), QUERN_USAGE, "must be 1");
    expect_failure(quern_dbscan(context, x, 1, 1, quern_i64(labels, 2, 1), NULL, NULL), QUERN_SHAPE,
                   "labels has 2 rows");
    expect_failure(quern_dbscan(context, x, 1, 1, l, "x-y", NULL), QUERN_DIMENSION, "2 components");
    expect_failure(quern_dbscan(context, x, 1, 1, l, "3", NULL), QUERN_USAGE, "3 does not depend on x");
    double line[3] = {0, 1, 2}; /* the middle one has two neighbours, and none of the three is its own */
    expect_failure(
        quern_dbscan(context, quern_f64(line, 3, 1), 1, 2, quern_i64(labels, 3, 1), "Abs(x-y)+2*Equal(x,y)", NULL),
        QUERN_USAGE, "point 1 is not within the radius of itself");
    quern_mean_shift_options options = {.size = sizeof options};
    expect_failure(quern_mean_shift(context, x, l, none, &options, NULL), QUERN_USAGE, "the bandwidth is 0");
    expect_failure(quern_mean_shift(context, x, l, none, NULL, NULL), QUERN_USAGE, "the bandwidth is 0");
    options.bandwidth = 1e-200;
    expect_failure(quern_mean_shift(context, x, l, none, &options, NULL), QUERN_NUMERIC, "bandwidths");
    options.bandwidth = 0.5, options.progress = stop, options.progress_user = &passes;
    expect_failure(quern_mean_shift(context, x, l, none, &options, NULL), QUERN_CANCELLED, "stopped after 2 passes");
    options = (quern_mean_shift_options){.size = sizeof options, .bandwidth = 1, .iterations = -1};
    expect_failure(quern_mean_shift(context, x, l, none, &options, NULL), QUERN_USAGE, "iterations");
    float bad[] = {0, NAN};
    expect_failure(quern_dbscan(context, quern_f32(bad, 1, 2), 1, 1, quern_i64(labels, 1, 1), NULL, NULL), QUERN_USAGE,
                   "point 0 has the coordinate nan");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dbscan_is_its_definition), cmocka_unit_test(rings_are_clusters),
        cmocka_unit_test(peaks_of_three_groups),    cmocka_unit_test(few_points),
        cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests(tests, fill, close_context);
}
