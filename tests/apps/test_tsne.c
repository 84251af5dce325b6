/*
 * test_tsne.c: groups come out as groups; the divergence that is told is that of the definition, computed densely here, and
 * falls; the same bits every time; what a picture is worth beside ranks by brute force; no points, one, two, points that are
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
#include "quern/space.h"
#include "quern/tsne.h"
#include "run_helpers.h"

static quern_tsne_report place(const quern_tsne_options *options, double *out)
{
    quern_tsne_report report = {.size = sizeof report};
    succeed(quern_tsne(context, quern_f64(points, N, D), quern_f64(out, N, 2), options, &report));
    return report;
}

static void groups_stay_together(void **state)
{
    (void)state;
    need_device();
    quern_tsne_options options = {.size = sizeof options, .perplexity = 12, .iterations = 400};
    quern_tsne_report report = place(&options, places);
    assert_int_equal(report.iterations, 400);
    check_groups();
    place(&options, other);
    assert_memory_equal(places, other, sizeof places);
}

/* With as many neighbours as there are points the graph is the dense matrix of the definition. */
static double dense_divergence(double perplexity, const double *y)
{
    static double p[N * N], q[N * N];
    double total = 0, sum = 0;
    for (int i = 0; i < N; i++) {
        double low = 1e-6, high = 1e3, beta = 1, all = 0;
        for (int turn = 0; turn < 200; turn++) {
            double mean = 0;
            beta = sqrt(low * high), all = 0;
            for (int j = 0; j < N; j++) {
                double d = square(points + i * D, points + j * D, D), w = j == i ? 0 : exp(-beta * d);
                p[i * N + j] = w, all += w, mean += w * d;
            }
            if (log(all) + beta * mean / all > log(perplexity)) low = beta;
            else high = beta;
        }
        for (int j = 0; j < N; j++) p[i * N + j] /= all * 2 * N;
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) total += q[i * N + j] = i == j ? 0 : 1 / (1 + square(y + 2 * i, y + 2 * j, 2));
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            if (i != j)
                sum += (p[i * N + j] + p[j * N + i]) * log((p[i * N + j] + p[j * N + i]) / (q[i * N + j] / total));
    return sum;
}

static bool watch(void *user, int iteration, double divergence)
{
    double *seen = user;
    if (iteration > 150) assert_true(divergence < *seen + 1e-6); /* no longer exaggerated */
    *seen = divergence;
    return false;
}

static void the_divergence_is_that_of_the_definition(void **state)
{
    (void)state;
    need_device();
    double seen = INFINITY;
    quern_tsne_options options = {
        .size = sizeof options, .perplexity = 40, .iterations = 500, .progress = watch, .progress_user = &seen};
    quern_tsne_report report = place(&options, places);
    assert_int_equal(report.edges, (int64_t)N * (N - 1));
    assert_true(fabs(report.divergence - dense_divergence(40, places)) <= 2e-5);
    assert_true(report.divergence <= seen);
}

static double worth_by_hand(int k)
{
    double excess = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            int in_picture = 0, in_space = 0;
            for (int l = 0; l < N; l++) {
                if (l == i) continue;
                double dy = square(places + 2 * i, places + 2 * l, 2), of_j = square(places + 2 * i, places + 2 * j, 2);
                in_picture += dy < of_j || (dy == of_j && l < j);
                in_space += square(points + i * D, points + l * D, D) < square(points + i * D, points + j * D, D);
            }
            if (j != i && in_picture < k && in_space >= k) excess += in_space + 1 - k;
        }
    return 1 - 2 * excess / ((double)N * k * (2 * N - 3 * k - 1));
}

static void what_a_picture_is_worth(void **state)
{
    (void)state;
    need_device();
    double worth;
    for (int e = 0; e < 2 * N; e++) places[e] = points[e / 2 * D + e % 2] + points[e / 2 * D + 2 + e % 2] / 2;
    for (int k = 1; k < 20; k += 9) {
        succeed(quern_trustworthiness(&worth, context, quern_f64(points, N, D), quern_f64(places, N, 2), k));
        double tolerance = quern_context_device(context)->f64 ? 1e-12 : 1e-3;
        assert_true(fabs(worth - worth_by_hand(k)) <= tolerance);
    }
    succeed(quern_trustworthiness(&worth, context, quern_f64(points, N, D), quern_f64(points, N, D), 12));
    assert_true(fabs(worth - 1) <= 1e-15);
    expect_failure(quern_trustworthiness(&worth, context, quern_f64(points, N, D), quern_f64(places, N, 2), N / 2),
                   QUERN_USAGE, "fewer than half");
    expect_failure(quern_trustworthiness(&worth, context, quern_f64(points, N, D), quern_f64(places, N - 1, 2), 5),
                   QUERN_SHAPE, "120 x 5");
}

static void few_points_and_equal_points(void **state)
{
    (void)state;
    need_device();
    float x[40 * 3] = {0}, y[40 * 3];
    for (int rows = 0; rows < 4; rows++) {
        for (int e = 0; e < 120; e++) y[e] = NAN;
        succeed(quern_tsne(context, quern_f32(x, rows, 3), quern_f32(y, rows, 3), NULL, NULL));
        for (int e = 0; e < 120; e++) assert_int_equal(isnan(y[e]) != 0, e >= 3 * rows);
    }
    succeed(quern_tsne(context, quern_f32(x, 40, 3), quern_f32(y, 40, 1), NULL, NULL));
    for (int e = 0; e < 40; e++) assert_true(isfinite(y[e]));
}

static void a_start_and_device_arrays(void **state)
{
    (void)state;
    need_device();
    quern_array *x, *y, *start;
    succeed(quern_array_from(&x, context, quern_f64(points, N, D)));
    for (int e = 0; e < 2 * N; e++) other[e] = (float)(e % 7 - 3.0) / 1000;
    succeed(quern_array_create(&start, context, QUERN_F32, N, 2));
    succeed(quern_array_write(start, quern_f64(other, N, 2)));
    succeed(quern_array_create(&y, context, QUERN_F32, N, 2));
    quern_tsne_options options = {.size = sizeof options, .perplexity = 12, .iterations = 20};
    options.start = quern_array_view(start);
    succeed(quern_tsne(context, quern_array_view(x), quern_array_view(y), &options, NULL));
    float read[N * 2], direct[N * 2];
    succeed(quern_array_read(y, quern_f32(read, N, 2)));
    options.start = quern_f64(other, N, 2);
    succeed(quern_tsne(context, quern_f64(points, N, D), quern_f32(direct, N, 2), &options, NULL));
    assert_memory_equal(read, direct, sizeof read);
    quern_array_destroy(&x), quern_array_destroy(&y), quern_array_destroy(&start);
}

static bool stop(void *user, int iteration, double divergence)
{
    (void)divergence;
    *(int *)user = iteration;
    return true;
}

static void what_is_refused(void **state)
{
    (void)state;
    need_device();
    int stopped = 0;
    quern_view x = quern_f64(points, N, D), y = quern_f64(places, N, 2);
    quern_tsne_options options = {.size = sizeof options, .progress = stop, .progress_user = &stopped};
    places[2 * N - 1] = NAN;
    expect_failure(quern_tsne(context, x, y, &options, NULL), QUERN_CANCELLED, "50 steps of 1000");
    assert_int_equal(stopped, 50);
    assert_true(isfinite(places[2 * N - 1]));
    options = (quern_tsne_options){.size = sizeof options, .perplexity = 150};
    expect_failure(quern_tsne(context, x, y, &options, NULL), QUERN_USAGE, "more than 120 points");
    options.perplexity = 0.5;
    expect_failure(quern_tsne(context, x, y, &options, NULL), QUERN_USAGE, "between 1 and");
    options = (quern_tsne_options){.size = sizeof options, .learning_rate = 1e300, .iterations = 50};
    expect_failure(quern_tsne(context, x, y, &options, NULL), QUERN_NUMERIC, "smaller learning rate");
    expect_failure(quern_tsne(context, x, quern_f64(NULL, N, 2), NULL, NULL), QUERN_USAGE,
                   "y has 120 rows and no data");
    expect_failure(quern_tsne(context, quern_in_batch(x, 1), y, NULL, NULL), QUERN_USAGE, "x is a batch");
    quern_view unknown = x;
    unknown.dtype = (quern_dtype)77;
    expect_failure(quern_tsne(context, unknown, y, NULL, NULL), QUERN_USAGE, "x is no array");
    options = (quern_tsne_options){.size = sizeof options, .iterations = -1};
    expect_failure(quern_tsne(context, x, y, &options, NULL), QUERN_USAGE, "iterations");
    options = (quern_tsne_options){.size = sizeof options, .distance = "SqDist(x,z)"};
    expect_failure(quern_tsne(context, x, y, &options, NULL), QUERN_NAME, "z");
    options = (quern_tsne_options){.size = sizeof options, .distance = "-SqDist(x,y)"};
    expect_failure(quern_tsne(context, x, y, &options, NULL), QUERN_USAGE, "distance of point");
    expect_failure(quern_tsne(context, x, quern_f64(places, N, 4), NULL, NULL), QUERN_SHAPE, "1, 2 or 3 columns");
    expect_failure(quern_tsne(context, x, quern_i64((int64_t *)places, N, 2), NULL, NULL), QUERN_DTYPE, "float32");
    expect_failure(quern_tsne(NULL, x, y, NULL, NULL), QUERN_USAGE, "null");
    double kept = points[7];
    points[7] = NAN;
    expect_failure(quern_tsne(context, x, y, NULL, NULL), QUERN_USAGE, "point 1 has the coordinate");
    points[7] = kept;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_stay_together),      cmocka_unit_test(the_divergence_is_that_of_the_definition),
        cmocka_unit_test(what_a_picture_is_worth),   cmocka_unit_test(few_points_and_equal_points),
        cmocka_unit_test(a_start_and_device_arrays), cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests(tests, fill, close_context);
}
