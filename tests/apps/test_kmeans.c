/*
 * test_kmeans.c: known inertias of iris, wine and digits; labels and means beside brute force; the same bits every time; weights beside
 * repeated points; empty clusters, duplicates, other distances, mini-batches, few points; and what is refused.
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
#include "quern/kmeans.h"
#include "quern/npy.h"
#include "run_helpers.h"

enum { N = 600, D = 3, K = 7 };
static double points[N * D];
static float singles[N * D];

static int fill(void **state)
{
    srand(11);
    for (int e = 0; e < N * D; e++) points[e] = singles[e] = (float)(rand() / (double)RAND_MAX);
    return open_context(state);
}

static quern_kmeans_report cluster(quern_view x, quern_view centroids, quern_view labels,
                                   const quern_kmeans_options *options)
{
    quern_kmeans_report report = {.size = sizeof report};
    succeed(quern_kmeans(context, x, centroids, labels, options, &report));
    return report;
}

// ---- known answers ----

static double least_inertia(const double *x, int64_t rows, int64_t dim, int64_t k, int64_t restarts, double known)
{
    double *centroids = malloc((size_t)(k * dim) * sizeof *centroids);
    quern_kmeans_options options = {.size = sizeof options, .restarts = restarts};
    quern_kmeans_report report =
        cluster(quern_f64(x, rows, dim), quern_f64(centroids, k, dim), (quern_view){0}, &options);
    if (!(report.inertia < known * (1 + 1e-9))) fail_msg("inertia %.12g, not %.12g", report.inertia, known);
    assert_true(report.converged);
    free(centroids);
    return report.inertia;
}

/* What scikit-learn's KMeans finds with many restarts and no tolerance: for digits there is even less to be found. */
static void iris_wine_and_digits(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    int64_t rows;
    double *iris = example_table("iris.csv", &rows, 4);
    assert_int_equal(rows, 150);
    assert_true(least_inertia(iris, rows, 4, 3, 5, 78.85144142614601) > 78.851441);
    free(iris);
    double *wine = example_table("wine.csv", &rows, 13);
    assert_int_equal(rows, 178);
    assert_true(least_inertia(wine, rows, 13, 3, 5, 2370689.686782968) > 2370689.68);
    free(wine);
    quern_view digits;
    char *path = test_path("../examples/data/digits.npy");
    succeed(quern_npy_read(&digits, path));
    double *x = malloc((size_t)(digits.rows * 64) * sizeof *x);
    for (int64_t e = 0; e < digits.rows * 64; e++) x[e] = (double)((float *)digits.data)[e / 64 * 65 + e % 64];
    least_inertia(x, digits.rows, 64, 10, 30, 1165175.142);
    free(x), free(path), quern_free(digits.data);
}

// ---- beside brute force ----

static double square(const double *a, const double *b)
{
    double sum = 0;
    for (int d = 0; d < D; d++) sum += (a[d] - b[d]) * (a[d] - b[d]);
    return sum;
}

static void check_fixed_point(const double *centroids, const int64_t *labels, double inertia, double tolerance)
{
    double sums[K * D] = {0}, all = 0;
    int count[K] = {0};
    for (int i = 0; i < N; i++) {
        int best = 0;
        for (int c = 1; c < K; c++)
            if (square(points + i * D, centroids + c * D) < square(points + i * D, centroids + best * D)) best = c;
        assert_int_equal(best, labels[i]);
        count[best]++, all += square(points + i * D, centroids + best * D);
        for (int d = 0; d < D; d++) sums[best * D + d] += points[i * D + d];
    }
    for (int e = 0; e < K * D; e++) assert_true(fabs(sums[e] / count[e / D] - centroids[e]) < tolerance);
    assert_true(fabs(all - inertia) < tolerance * all);
}

static void labels_and_means(void **state)
{
    (void)state;
    need_device();
    double centroids[K * D], again[K * D];
    float single[K * D];
    int64_t labels[N], other[N];
    for (int start = 0; start < 2; start++) {
        quern_kmeans_options options = {.size = sizeof options, .start = (quern_kmeans_start)start, .seed = 3};
        quern_kmeans_report report =
            cluster(quern_f32(singles, N, D), quern_f32(single, K, D), quern_i64(labels, N, 1), &options);
        assert_true(report.converged && report.iterations > 1 && report.empty == 0);
        for (int e = 0; e < K * D; e++) centroids[e] = (double)single[e];
        check_fixed_point(centroids, labels, report.inertia, 1e-6);
    }
    need_type(QUERN_F64);
    cluster(quern_f64(points, N, D), quern_f64(centroids, K, D), quern_i64(labels, N, 1), NULL);
    quern_kmeans_report report = cluster(quern_f64(points, N, D), quern_f64(again, K, D), quern_i64(other, N, 1), NULL);
    assert_memory_equal(centroids, again, sizeof again);
    assert_memory_equal(labels, other, sizeof other);
    check_fixed_point(centroids, labels, report.inertia, 1e-12);
}

/* The device's arrays, rows of more than their columns, and the nearest centroids of other points. */
static void arrays_and_assignment(void **state)
{
    (void)state;
    need_device();
    float wide[N * 5], centroids[K * D], device[K * D], distances[N];
    int64_t labels[N], others[N];
    int32_t near[N];
    for (int e = 0; e < N * D; e++) wide[e / D * 5 + e % D] = singles[e];
    quern_array *x, *c;
    succeed(quern_array_from(&x, context, quern_f32(singles, N, D)));
    succeed(quern_array_create(&c, context, QUERN_F32, K, D));
    cluster(quern_array_view(x), quern_array_view(c), quern_i64(labels, N, 1), NULL);
    succeed(quern_array_read(c, quern_f32(device, K, D)));
    quern_view strided = quern_f32(wide, N, D);
    strided.stride = 5;
    cluster(strided, quern_f32(centroids, K, D), quern_i64(others, N, 1), NULL);
    assert_memory_equal(centroids, device, sizeof device);
    assert_memory_equal(labels, others, sizeof others);
    succeed(quern_kmeans_assign(context, quern_array_view(x), quern_array_view(c), NULL,
                                quern_view_of(near, QUERN_I32, N, 1), quern_f32(distances, N, 1)));
    for (int i = 0; i < N; i++) assert_int_equal(near[i], labels[i]);
    succeed(quern_kmeans_assign(context, quern_f32(singles, 0, D), quern_array_view(c), NULL, quern_i64(labels, 0, 1),
                                (quern_view){0}));
    quern_array_destroy(&x), quern_array_destroy(&c);
}

// ---- weights, empty clusters, few points ----

static void weights_are_repetitions(void **state)
{
    (void)state;
    need_device();
    enum { ROWS = 60 };
    float twice[ROWS * 2 * D], one[4 * D], other[4 * D];
    double weights[ROWS];
    int rows = 0;
    for (int i = 0; i < ROWS; i++) {
        weights[i] = i % 3;
        for (int k = 0; k < i % 3; k++) memcpy(twice + D * rows++, singles + D * i, D * sizeof(float));
    }
    for (int c = 0; c < 4; c++) memcpy(one + c * D, singles + (1 + 3 * c) * D, D * sizeof(float));
    memcpy(other, one, sizeof one);
    quern_kmeans_options options = {.size = sizeof options, .start = QUERN_START_GIVEN};
    quern_kmeans_report repeated = cluster(quern_f32(twice, rows, D), quern_f32(one, 4, D), (quern_view){0}, &options);
    options.weights = quern_f64(weights, ROWS, 1);
    quern_kmeans_report weighted =
        cluster(quern_f32(singles, ROWS, D), quern_f32(other, 4, D), (quern_view){0}, &options);
    assert_memory_equal(one, other, sizeof one);
    assert_true(fabs(repeated.inertia - weighted.inertia) < 1e-9);
}

static void empty_clusters_are_filled(void **state)
{
    (void)state;
    need_device();
    float x[] = {0, 1, 10, 11, 20, 21}, centroids[] = {0, 100, 200};
    int64_t labels[6];
    quern_kmeans_options options = {.size = sizeof options, .start = QUERN_START_GIVEN};
    quern_kmeans_report report =
        cluster(quern_f32(x, 6, 1), quern_f32(centroids, 3, 1), quern_i64(labels, 6, 1), &options);
    assert_int_equal(report.reseeded, 2);
    assert_int_equal(report.empty, 0);
    assert_true(fabs(report.inertia - 101) < 1e-4);
}

static void points_that_are_alike(void **state)
{
    (void)state;
    need_device();
    float x[] = {5, 5, 5, 7, 7, 7}, centroids[4];
    int64_t labels[6];
    for (int start = 0; start < 2; start++) {
        quern_kmeans_options options = {.size = sizeof options, .start = (quern_kmeans_start)start};
        quern_kmeans_report report =
            cluster(quern_f32(x, 6, 1), quern_f32(centroids, 4, 1), quern_i64(labels, 6, 1), &options);
        assert_true(report.inertia == 0);
        assert_int_equal(report.empty, 2);
        for (int i = 0; i < 6; i++) assert_true(centroids[labels[i]] == x[i]);
    }
}

static void few_points(void **state)
{
    (void)state;
    need_device();
    float centroids[N * D];
    int64_t labels[5];
    quern_kmeans_report report =
        cluster(quern_f32(singles, 1, D), quern_f32(centroids, 1, D), quern_i64(labels, 1, 1), NULL);
    assert_true(report.inertia == 0 && labels[0] == 0 && !memcmp(centroids, singles, D * sizeof(float)));
    report = cluster(quern_f32(singles, 5, D), quern_f32(centroids, 5, D), quern_i64(labels, 5, 1), NULL);
    assert_true(report.inertia == 0 && report.empty == 0);
    report = cluster(quern_f32(singles, 5, D), quern_f32(centroids, 1, D), quern_i64(labels, 5, 1), NULL);
    assert_true(report.inertia > 0 && report.converged && labels[4] == 0);
    expect_failure(
        quern_kmeans(context, quern_f32(singles, 3, D), quern_f32(centroids, 4, D), (quern_view){0}, NULL, NULL),
        QUERN_SHAPE, "4 clusters of 3 points");
    expect_failure(
        quern_kmeans(context, quern_f32(singles, 0, D), quern_f32(centroids, 1, D), (quern_view){0}, NULL, NULL),
        QUERN_SHAPE, "1 clusters of 0 points");
    expect_failure(
        quern_kmeans(context, quern_f32(singles, 3, D), quern_f32(centroids, 0, D), (quern_view){0}, NULL, NULL),
        QUERN_SHAPE, "0 clusters");
}

// ---- other distances, mini-batches ----

static void other_distances(void **state)
{
    (void)state;
    need_device();
    float centroids[4 * D], distances[N];
    int64_t labels[N];
    quern_kmeans_options options = {.size = sizeof options, .distance = "u=x-y; Sum(Abs(u))", .seed = 1};
    quern_kmeans_report report =
        cluster(quern_f32(singles, N, D), quern_f32(centroids, 4, D), quern_i64(labels, N, 1), &options);
    succeed(quern_kmeans_assign(context, quern_f32(singles, N, D), quern_f32(centroids, 4, D), options.distance,
                                (quern_view){0}, quern_f32(distances, N, 1)));
    double sum = 0;
    for (int i = 0; i < N; i++) {
        double own = 0;
        for (int d = 0; d < D; d++) own += fabs((double)singles[i * D + d] - (double)centroids[labels[i] * D + d]);
        assert_true(fabs(own - (double)distances[i]) < 1e-6);
        sum += own;
    }
    assert_true(fabs(sum - report.inertia) < 1e-5 * sum);
}

static void mini_batches(void **state)
{
    (void)state;
    need_device();
    float x[N * 2], centroids[6], again[6];
    int64_t labels[N];
    for (int i = 0; i < N; i++)
        for (int d = 0; d < 2; d++)
            x[2 * i + d] = 0.1f * singles[i * D + d] + (float)(d == 0 ? i % 3 : (i % 3) * (i % 3));
    quern_kmeans_options options = {.size = sizeof options, .batch = 32, .iterations = 60, .seed = 9};
    quern_kmeans_report report =
        cluster(quern_f32(x, N, 2), quern_f32(centroids, 3, 2), quern_i64(labels, N, 1), &options);
    assert_int_equal(report.iterations, 60);
    assert_true(report.inertia < 0.0025 * N);
    for (int i = 3; i < N; i++) assert_int_equal(labels[i], labels[i % 3]);
    cluster(quern_f32(x, N, 2), quern_f32(again, 3, 2), (quern_view){0}, &options);
    assert_memory_equal(centroids, again, sizeof again);
}

// ---- bounds ----

enum { MANY = 9000, CLUSTERS = 90, MOST_STEPS = 30, LONG = 40, MORE_CLUSTERS = 1000 };

typedef struct trace {
    double inertia[MOST_STEPS + 1];
    int64_t steps, computed, reseeded;
    int32_t labels[MANY];
    float centroids[MORE_CLUSTERS * LONG], distances[MANY];
} trace;

static bool note(void *user, int64_t iteration, double inertia)
{
    trace *t = user;
    t->inertia[iteration] = inertia, t->steps = iteration;
    return false;
}

typedef struct problem {
    const float *x, *start;
    int64_t rows, dim, k;
} problem;

static void follow(trace *t, const problem *p, quern_kmeans_options options, quern_switch bounds)
{
    memset(t, 0, sizeof *t);
    memcpy(t->centroids, p->start, (size_t)(p->k * p->dim) * sizeof *p->start);
    options.size = sizeof options, options.start = QUERN_START_GIVEN, options.iterations = MOST_STEPS;
    options.progress = note, options.progress_user = t, options.distances = quern_f32(t->distances, p->rows, 1);
    options.bounds = bounds;
    quern_kmeans_report report = cluster(quern_f32(p->x, p->rows, p->dim), quern_f32(t->centroids, p->k, p->dim),
                                         quern_view_of(t->labels, QUERN_I32, p->rows, 1), &options);
    t->computed = report.computed, t->reseeded = report.reseeded;
}

static void expect_near(double a, double b)
{
    if (!(fabs(a - b) <= 1e-5 * fabs(a) + 1e-12)) fail_msg("%.9g, not %.9g", b, a);
}

/* The bounded run has the labels and centroids of the plain one, bit for bit, and its inertia after each step. */
static void expect_same(const trace *plain, const trace *bounded)
{
    assert_int_equal(plain->steps, bounded->steps);
    assert_int_equal(plain->reseeded, bounded->reseeded);
    assert_memory_equal(plain->labels, bounded->labels, sizeof plain->labels);
    assert_memory_equal(plain->centroids, bounded->centroids, sizeof plain->centroids);
    for (int64_t s = 0; s <= plain->steps; s++) expect_near(plain->inertia[s], bounded->inertia[s]);
    for (int i = 0; i < MANY; i++) expect_near((double)plain->distances[i], (double)bounded->distances[i]);
}

/* The share of the distances that is computed with bounds. */
static double bounds_change_nothing(problem p, const quern_kmeans_options *options)
{
    static trace plain, bounded;
    const quern_kmeans_options none = {.size = sizeof none};
    follow(&plain, &p, options ? *options : none, QUERN_OFF);
    assert_int_equal(plain.computed, p.rows * p.k * (plain.steps + 1));
    follow(&bounded, &p, options ? *options : none, QUERN_AUTO);
    expect_same(&plain, &bounded);
    follow(&bounded, &p, options ? *options : none, QUERN_ON);
    expect_same(&plain, &bounded);
    return (double)bounded.computed / ((double)(p.rows * p.k) * (double)(bounded.steps + 1));
}

static void bounds(void **state)
{
    (void)state;
    need_device();
    static float x[MANY * D], lattice[MANY * D], far[MANY * D];
    static double weights[MANY];
    for (int e = 0; e < MANY * D; e++) {
        x[e] = (float)(rand() / (double)RAND_MAX);
        lattice[e] = (float)(rand() % 6); /* where most points are as far from several centroids */
        far[e] = 1000 + x[e] * 1e-2f;     /* and where distances are of few digits */
    }
    for (int i = 0; i < MANY; i++) weights[i] = i % 4;
    const quern_kmeans_options norm = {.distance = "Norm2(x-y)"}, weighted = {.weights = quern_f64(weights, MANY, 1)};
    const problem uniform = {x, x, MANY, D, CLUSTERS};
    assert_true(bounds_change_nothing(uniform, NULL) < 0.9);
    assert_true(bounds_change_nothing(uniform, &weighted) < 0.9);
    bounds_change_nothing(uniform, &norm);
    bounds_change_nothing((problem){lattice, lattice, MANY, D, CLUSTERS}, NULL);
    bounds_change_nothing((problem){far, far, MANY, D, CLUSTERS}, NULL);
    bounds_change_nothing((problem){x, x, MANY, D, 1}, NULL);
    bounds_change_nothing((problem){x, x, 2, D, 2}, NULL);
    bounds_change_nothing((problem){x, x, 1, D, 1}, NULL);
    float away[CLUSTERS * D];
    for (int e = 0; e < CLUSTERS * D; e++) away[e] = e / D < 50 ? x[e] : 100 + (float)e;
    bounds_change_nothing((problem){x, away, MANY, D, CLUSTERS}, NULL); /* of which 40 have no points */
}

/* Long vectors and groups of centroids: most distances are left out where there are clusters. */
static void bounds_of_groups(void **state)
{
    (void)state;
    need_device();
    static float x[MANY * LONG], middle[500 * LONG];
    for (int e = 0; e < 500 * LONG; e++) middle[e] = 4 * (float)(rand() / (double)RAND_MAX);
    for (int e = 0; e < MANY * LONG; e++)
        x[e] = middle[e / LONG * 7 % 500 * LONG + e % LONG] + (float)(rand() / (double)RAND_MAX);
    assert_true(bounds_change_nothing((problem){x, x, MANY, LONG, MORE_CLUSTERS}, NULL) < 0.7);
}

/* Other distances, and points of float64. */
static void bounds_elsewhere(void **state)
{
    (void)state;
    need_device();
    float c[K * D], other[K * D];
    quern_kmeans_options on = {.size = sizeof on, .bounds = QUERN_ON, .distance = "Sum(Abs(x-y))"}, off = on;
    off.bounds = QUERN_OFF;
    const quern_view x = quern_f32(singles, N, D), none = {0};
    quern_kmeans_report report = cluster(x, quern_f32(c, K, D), none, &on);
    assert_int_equal(report.computed, N * K * (report.iterations + 1));
    cluster(x, quern_f32(other, K, D), none, &off);
    assert_memory_equal(c, other, sizeof c);
    on.bounds = (quern_switch)3;
    expect_failure(quern_kmeans(context, x, quern_f32(c, K, D), none, &on, NULL), QUERN_USAGE, "bounds is 3");
    need_type(QUERN_F64);
    double a[K * D], b[K * D];
    on = (quern_kmeans_options){.size = sizeof on, .bounds = QUERN_ON}, off = on, off.bounds = QUERN_OFF;
    report = cluster(quern_f64(points, N, D), quern_f64(a, K, D), none, &on);
    expect_near(report.inertia, cluster(quern_f64(points, N, D), quern_f64(b, K, D), none, &off).inertia);
    assert_memory_equal(a, b, sizeof a);
}

// ---- limits and what is refused ----

static bool stop(void *user, int64_t iteration, double inertia)
{
    *(double *)user = inertia;
    return iteration == 2;
}

static void limits(void **state)
{
    (void)state;
    need_device();
    float centroids[K * D];
    quern_view x = quern_f32(singles, N, D), c = quern_f32(centroids, K, D), none = {0};
    quern_kmeans_options options = {.size = sizeof options, .iterations = 1};
    quern_kmeans_report first = cluster(x, c, none, &options);
    assert_true(first.iterations == 1 && !first.converged && first.moved > 0);
    options = (quern_kmeans_options){.size = sizeof options, .tolerance = 1e-2};
    quern_kmeans_report rough = cluster(x, c, none, &options), fine = cluster(x, c, none, NULL);
    assert_true(rough.converged && rough.iterations < fine.iterations && fine.inertia < rough.inertia);
    double inertia = 0;
    options = (quern_kmeans_options){.size = sizeof options, .progress = stop, .progress_user = &inertia};
    expect_failure(quern_kmeans(context, x, c, none, &options, NULL), QUERN_CANCELLED, "stopped after 2 steps");
    assert_true(inertia > fine.inertia);
}

static void what_is_refused(void **state)
{
    (void)state;
    need_device();
    float centroids[K * D] = {0}, bad[N * D];
    double weights[N] = {0};
    quern_view x = quern_f32(singles, N, D), c = quern_f32(centroids, K, D), none = {0};
    quern_kmeans_options options = {.size = sizeof options, .tolerance = -1};
    expect_failure(quern_kmeans(NULL, x, c, none, NULL, NULL), QUERN_USAGE, "context is null");
    expect_failure(quern_kmeans(context, x, c, none, &options, NULL), QUERN_USAGE, "none may be negative");
    options = (quern_kmeans_options){.size = sizeof options, .start = (quern_kmeans_start)7};
    expect_failure(quern_kmeans(context, x, c, none, &options, NULL), QUERN_USAGE, "no start 7");
    options = (quern_kmeans_options){.size = sizeof options, .weights = quern_f64(weights, N, 1)};
    expect_failure(quern_kmeans(context, x, c, none, &options, NULL), QUERN_USAGE, "all weights are 0");
    weights[3] = -1;
    expect_failure(quern_kmeans(context, x, c, none, &options, NULL), QUERN_USAGE, "weight of point 3 is -1");
    options.weights.rows = 2;
    expect_failure(quern_kmeans(context, x, c, none, &options, NULL), QUERN_SHAPE, "weights has 2 rows, not 600");
    options = (quern_kmeans_options){.size = sizeof options, .distance = "x-y"};
    expect_failure(quern_kmeans(context, x, c, none, &options, NULL), QUERN_DIMENSION, "3 components");
    options.distance = "Norm2(y)";
    expect_failure(quern_kmeans(context, x, c, none, &options, NULL), QUERN_USAGE, "Norm2(y) does not depend on x");
    options.distance = "Norm2(x)";
    expect_failure(quern_kmeans(context, x, c, none, &options, NULL), QUERN_USAGE, "Norm2(x) does not depend on y");
    options.distance = "Norm2(x-y)+0/0";
    expect_failure(quern_kmeans(context, x, c, none, &options, NULL), QUERN_NUMERIC, "");
    options.distance = "Norm2(x-";
    expect_failure(quern_kmeans(context, x, c, none, &options, NULL), QUERN_SYNTAX, "");
    expect_failure(quern_kmeans(context, x, quern_f32(centroids, K, 2), none, NULL, NULL), QUERN_SHAPE,
                   "2 columns, not 3");
    expect_failure(quern_kmeans(context, x, c, quern_f32(centroids, 2, 1), NULL, NULL), QUERN_SHAPE,
                   "labels has 2 rows");
    expect_failure(quern_kmeans_assign(context, x, quern_f32(centroids, 0, D), NULL, none, none), QUERN_SHAPE,
                   "no centroids");
    memcpy(bad, singles, sizeof bad);
    bad[4] = NAN;
    expect_failure(quern_kmeans(context, quern_f32(bad, N, D), c, none, NULL, NULL), QUERN_USAGE,
                   "point 1 has the coordinate nan");
    options = (quern_kmeans_options){.size = sizeof options, .start = QUERN_START_GIVEN};
    centroids[D] = INFINITY;
    expect_failure(quern_kmeans(context, x, c, none, &options, NULL), QUERN_USAGE, "centroid 1 begins at inf");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(iris_wine_and_digits),
        cmocka_unit_test(labels_and_means),
        cmocka_unit_test(arrays_and_assignment),
        cmocka_unit_test(weights_are_repetitions),
        cmocka_unit_test(empty_clusters_are_filled),
        cmocka_unit_test(points_that_are_alike),
        cmocka_unit_test(few_points),
        cmocka_unit_test(other_distances),
        cmocka_unit_test(mini_batches),
        cmocka_unit_test(bounds),
        cmocka_unit_test(bounds_of_groups),
        cmocka_unit_test(bounds_elsewhere),
        cmocka_unit_test(limits),
        cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests(tests, fill, close_context);
}
