/*
 * test_umap.c: groups come out as groups; the curve is umap-learn's; the loss that is told is that of the definition, computed densely
 * here from memberships by definition, and falls; the digits; the same bits every time; no points, one, two, points that are
 * all alike; and what is refused.
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

#include "groups.h"
#include "quern/array.h"
#include "quern/npy.h"
#include "quern/tsne.h"
#include "quern/umap.h"
#include "run_helpers.h"

static quern_umap_report place(const quern_umap_options *options, double *out)
{
    quern_umap_report report = {.size = sizeof report};
    succeed(quern_umap(context, quern_f64(points, N, D), quern_f64(out, N, 2), options, &report));
    return report;
}

static void groups_stay_together(void **state)
{
    (void)state;
    need_device();
    quern_umap_report report = place(NULL, places);
    assert_int_equal(report.iterations, 500);
    check_groups();
    place(NULL, other);
    assert_memory_equal(places, other, sizeof places);
}

/* What find_ab_params of umap-learn 0.5.12 gives for a spread of 1. */
static void the_curve(void **state)
{
    (void)state;
    need_device();
    const double known[][3] = {
        {0.1, 1.57694346, 0.89506088}, {-1, 1.93280840, 0.79049497}, {0.5, 0.58303002, 1.33416699}};
    for (size_t k = 0; k < 3; k++) {
        quern_umap_options options = {.size = sizeof options, .min_dist = known[k][0], .iterations = 1};
        quern_umap_report report = place(&options, places);
        if (fabs(report.a - known[k][1]) > 1e-5 || fabs(report.b - known[k][2]) > 1e-5)
            fail_msg("a and b are %.9g and %.9g, not %.9g and %.9g", report.a, report.b, known[k][1], known[k][2]);
    }
}

/* Memberships of the neighbours of point i, all others being 0: with rho the least distance, exp(-(d - rho)/sigma) sums to log2(k). */
static void find_memberships(int i, int k, double *row)
{
    double d[N], sorted[N], low = 0, high = 1e6, limit;
    int count = 0;
    for (int j = 0; j < N; j++) d[j] = j == i ? INFINITY : sqrt(square(points + i * D, points + j * D, D));
    for (int j = 0; j < N; j++) {
        int at = count++;
        for (; at > 0 && sorted[at - 1] > d[j]; at--) sorted[at] = sorted[at - 1];
        sorted[at] = d[j];
    }
    limit = sorted[k - 2];
    for (int turn = 0; turn < 200; turn++) {
        double sigma = (low + high) / 2, sum = 0;
        for (int j = 0; j < N; j++) {
            row[j] = d[j] <= limit ? exp(-(d[j] - sorted[0]) / sigma) : 0;
            sum += row[j];
        }
        if (sum > log2(k)) high = sigma;
        else low = sigma;
    }
}

static void the_loss_is_that_of_the_definition(void **state)
{
    (void)state;
    need_device();
    enum { K = 8 };
    static double one[N * N], w[N * N], degree[N];
    quern_umap_options options = {.size = sizeof options, .neighbors = K, .iterations = 60, .repulsion = 3};
    quern_umap_report report = place(&options, places);
    int64_t edges = 0;
    for (int i = 0; i < N; i++) find_memberships(i, K, one + i * N);
    memset(degree, 0, sizeof degree);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            w[i * N + j] = one[i * N + j] + one[j * N + i] - one[i * N + j] * one[j * N + i];
            degree[i] += w[i * N + j], edges += w[i * N + j] > 0;
        }
    double loss = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            if (i == j) continue;
            double t = report.a * pow(square(places + 2 * i, places + 2 * j, 2), report.b), q = 1 / (1 + t);
            loss -= w[i * N + j] * log(q) + options.repulsion / (4. * N) * (degree[i] + degree[j]) * log(1 - q);
        }
    assert_int_equal(edges, report.edges);
    if (fabs(loss / N - report.loss) > 1e-3 * report.loss) fail_msg("the loss is %g, not %g", loss / N, report.loss);
    options.iterations = 1;
    assert_true(place(&options, other).loss > report.loss * 1.1);
}

static void digits(void **state)
{
    (void)state;
    need_device();
    quern_view all;
    char *path = test_path("../examples/data/digits.npy");
    succeed(quern_npy_read(&all, path));
    float *y = malloc((size_t)(2 * all.rows) * sizeof *y);
    double worth = 0;
    const quern_view x = quern_view_columns(all, 0, 64), to = quern_f32(y, all.rows, 2);
    quern_umap_options options = {.size = sizeof options, .iterations = 200};
    succeed(quern_umap(context, x, to, &options, NULL));
    succeed(quern_trustworthiness(&worth, context, x, to, 12));
    if (!(worth > 0.985)) fail_msg("the trustworthiness is %g", worth);
    free(y), free(path), quern_free(all.data);
}

static void few_points_and_equal_points(void **state)
{
    (void)state;
    need_device();
    double same[12] = {0}, y[24];
    for (int64_t rows = 0; rows < 5; rows++) {
        for (int k = 0; k < 8; k++) y[k] = NAN;
        succeed(quern_umap(context, quern_f64(points, rows, D), quern_f64(y, rows, 2), NULL, NULL));
        for (int64_t k = 0; k < 2 * rows; k++) assert_true(isfinite(y[k]));
    }
    succeed(quern_umap(context, quern_f64(same, 12, 1), quern_f64(y, 12, 2), NULL, NULL));
    for (int k = 0; k < 24; k++) assert_true(isfinite(y[k]));
}

static bool stop(void *user, int iteration, double loss)
{
    *(double *)user = loss;
    return iteration == 100;
}

static void what_is_refused(void **state)
{
    (void)state;
    need_device();
    double bad[N * D], loss = 0;
    const quern_view x = quern_f64(points, N, D), y = quern_f64(places, N, 2);
    quern_umap_options options = {.size = sizeof options, .neighbors = N + 1};
    expect_failure(quern_umap(NULL, x, y, NULL, NULL), QUERN_USAGE, "the context is null");
    expect_failure(quern_umap(context, x, y, &options, NULL), QUERN_USAGE, "121 neighbors are too many");
    options.neighbors = 1;
    expect_failure(quern_umap(context, x, y, &options, NULL), QUERN_USAGE, "neighbors is 1");
    options = (quern_umap_options){.size = sizeof options, .min_dist = NAN};
    expect_failure(quern_umap(context, x, y, &options, NULL), QUERN_USAGE, "min_dist is nan");
    options = (quern_umap_options){.size = sizeof options, .repulsion = -1};
    expect_failure(quern_umap(context, x, y, &options, NULL), QUERN_USAGE, "repulsion is -1");
    options = (quern_umap_options){.size = sizeof options, .iterations = -1};
    expect_failure(quern_umap(context, x, y, &options, NULL), QUERN_USAGE, "iterations is -1");
    options = (quern_umap_options){.size = sizeof options, .progress = stop, .progress_user = &loss};
    expect_failure(quern_umap(context, x, y, &options, NULL), QUERN_CANCELLED, "stopped after 100 steps");
    assert_true(loss > 0);
    options = (quern_umap_options){.size = sizeof options, .distance = "-SqDist(x,y)"};
    expect_failure(quern_umap(context, x, y, &options, NULL), QUERN_USAGE, "the distance of point 0 from another is");
    expect_failure(quern_umap(context, x, quern_f64(places, N - 1, 2), NULL, NULL), QUERN_SHAPE, "119 x 2");
    memcpy(bad, points, sizeof bad);
    bad[7] = NAN;
    expect_failure(quern_umap(context, quern_f64(bad, N, D), y, NULL, NULL), QUERN_USAGE, "point 1 has the coordinate");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_stay_together),
        cmocka_unit_test(the_curve),
        cmocka_unit_test(the_loss_is_that_of_the_definition),
        cmocka_unit_test(digits),
        cmocka_unit_test(few_points_and_equal_points),
        cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests(tests, fill, close_context);
}
