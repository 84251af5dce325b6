/*
 * test_neighbors.c: nearest neighbours beside a search by hand, ties included, in every metric and both types; pruned searches beside
 * plain ones; votes, lists within a radius, mutual graphs; batches; no points, one point, NaN, more neighbours than points;
 * and what is refused.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quern/array.h"
#include "quern/neighbors.h"
#include "run_helpers.h"

enum { M = 37, N = 150, D = 3, K = 7 };

static double points[N * D], queries[M * D];

/* Multiples of 1/8, so that distances are exact and many are equal; in the unit ball. */
static int fill(void **state)
{
    random_source random = {7};
    for (int e = 0; e < N * D; e++) points[e] = ((double)random_below(&random, 9) - 4) / 8;
    for (int e = 0; e < M * D; e++) queries[e] = ((double)random_below(&random, 9) - 4) / 8;
    return open_context(state);
}

static quern_view as(quern_dtype dtype, const double *numbers, int64_t rows, int64_t columns, float *kept)
{
    for (int64_t e = 0; e < rows * columns && dtype == QUERN_F32; e++) kept[e] = (float)numbers[e];
    return dtype == QUERN_F32 ? quern_f32(kept, rows, columns) : quern_f64(numbers, rows, columns);
}

static quern_neighbors *index_of(quern_dtype dtype, const double *y, int64_t rows, const char *metric,
                                 quern_switch prune)
{
    quern_neighbors_options options = {.size = sizeof options, .metric = metric, .prune = prune};
    float *kept = malloc((size_t)(rows * D) * sizeof *kept + 1);
    quern_neighbors *index;
    succeed(quern_neighbors_create(&index, context, as(dtype, y, rows, D, kept), &options));
    free(kept);
    return index;
}

static double distance(const char *metric, const double *x, const double *y)
{
    double square = 0, sum = 0, dot = 0, xx = 0, yy = 0;
    for (int d = 0; d < D; d++) {
        square += (x[d] - y[d]) * (x[d] - y[d]), sum += fabs(x[d] - y[d]);
        dot += x[d] * y[d], xx += x[d] * x[d], yy += y[d] * y[d];
    }
    if (!strcmp(metric, "l2")) return sqrt(square);
    if (!strcmp(metric, "sqdist")) return square;
    if (!strcmp(metric, "cosine")) return xx == 0 || yy == 0 ? 1 : 1 - dot / sqrt(xx * yy);
    if (!strcmp(metric, "hyperbolic")) return acosh(1 + 2 * square / ((1 - xx) * (1 - yy)));
    return sum;
}

/* Whether index a comes before b: nearer, or as near and smaller. */
static bool before(double da, int64_t a, double db, int64_t b)
{
    return da < db || (da == db && a < b);
}

/* The k nearest by hand, without `self`. */
static void search_by_hand(const char *metric, const double *x, const double *y, int64_t rows, int64_t self, int64_t k,
                           int64_t *indices, double *distances)
{
    for (int64_t n = 0; n < k; n++) indices[n] = -1, distances[n] = INFINITY;
    for (int64_t j = 0; j < rows; j++) {
        double d = distance(metric, x, y + j * D);
        int64_t at = k;
        if (j == self || !(d < INFINITY)) continue;
        while (at > 0 && before(d, j, distances[at - 1], indices[at - 1] < 0 ? INT64_MAX : indices[at - 1])) at--;
        for (int64_t n = k - 1; n > at; n--) indices[n] = indices[n - 1], distances[n] = distances[n - 1];
        if (at < k) indices[at] = j, distances[at] = d;
    }
}

static void check_rows(const char *metric, bool exact, const double *x, int64_t rows, int64_t n, bool own, int64_t k,
                       const int64_t *indices, const double *distances)
{
    int64_t expected[N + 1];
    double at[N + 1];
    for (int64_t i = 0; i < rows; i++) {
        search_by_hand(metric, x + i * D, points, n, own ? i : -1, k, expected, at);
        for (int64_t e = 0; e < k; e++) {
            if (exact) assert_int_equal(indices[i * k + e], expected[e]);
            if (isinf(at[e])) assert_true(isinf(distances[i * k + e]));
            else assert_true(fabs(distances[i * k + e] - at[e]) <= (exact ? 1e-6 : 5e-6));
        }
    }
}

static void check_metric(const char *metric, const char *by_hand, quern_dtype dtype, bool exact)
{
    quern_neighbors *index = index_of(dtype, points, N, metric, QUERN_AUTO);
    int64_t indices[N * K];
    double distances[N * K];
    float kept[M * D];
    succeed(quern_neighbors_find(index, as(dtype, queries, M, D, kept), quern_i64(indices, M, K),
                                 quern_f64(distances, M, K), NULL));
    check_rows(by_hand, exact, queries, M, N, false, K, indices, distances);
    succeed(quern_neighbors_graph(index, quern_i64(indices, N, K - 1), quern_f64(distances, N, K - 1), NULL));
    check_rows(by_hand, exact, points, N, N, true, K - 1, indices, distances);
    quern_neighbors_destroy(&index);
}

static void nearest_are_those_by_hand(void **state)
{
    (void)state;
    check_metric("l2", "l2", QUERN_F32, true);
    check_metric("sqdist", "sqdist", QUERN_F32, true);
    check_metric("L1", "l1", QUERN_F32, true);
    check_metric("Manhattan(x,y)", "l1", QUERN_F32, true);
    check_metric("cosine", "cosine", QUERN_F32, false);
    check_metric("hyperbolic", "hyperbolic", QUERN_F32, false);
    need_type(QUERN_F64);
    check_metric("l2", "l2", QUERN_F64, true);
}

/* All points, and more than there are. */
static void more_than_there_are(void **state)
{
    (void)state;
    quern_neighbors *index = index_of(QUERN_F32, points, K, "l2", QUERN_AUTO);
    int64_t indices[M * (K + 2)];
    double distances[M * (K + 2)];
    succeed(quern_neighbors_find(index, quern_f64(queries, M, D), quern_i64(indices, M, K + 2),
                                 quern_f64(distances, M, K + 2), NULL));
    check_rows("l2", true, queries, M, K, false, K + 2, indices, distances);
    succeed(quern_neighbors_graph(index, quern_i64(indices, K, K), quern_f64(distances, K, K), NULL));
    check_rows("l2", true, points, K, K, true, K, indices, distances);
    quern_neighbors_destroy(&index);
}

static void sizes_0_and_1(void **state)
{
    (void)state;
    int64_t indices[2];
    float distances[2], one[D] = {1, 2, 3};
    quern_neighbor_lists *lists;
    for (int64_t n = 0; n <= 1; n++) {
        quern_neighbors *index;
        succeed(quern_neighbors_create(&index, context, quern_f32(one, n, D), NULL));
        succeed(quern_neighbors_find(index, quern_f32(one, 1, D), quern_i64(indices, 1, 2), quern_f32(distances, 1, 2),
                                     NULL));
        assert_true(indices[0] == n - 1 && indices[1] == -1 && isinf(distances[1]) && (n || isinf(distances[0])));
        succeed(quern_neighbors_find(index, quern_f32(NULL, 0, D), quern_i64(NULL, 0, 2), (quern_view){0}, NULL));
        succeed(quern_neighbors_graph(index, quern_i64(indices, n, 1), (quern_view){0}, NULL));
        if (n) assert_int_equal(indices[0], -1);
        succeed(quern_neighbors_within(&lists, index, quern_f32(one, 1, D), 0, NULL));
        assert_int_equal(lists->offsets[1], n);
        quern_neighbor_lists_destroy(&lists);
        succeed(quern_neighbors_within_graph(&lists, index, 10, false, NULL));
        assert_true(lists->rows == n && lists->offsets[n] == 0);
        quern_neighbor_lists_destroy(&lists);
        quern_neighbors_destroy(&index);
    }
}

static void points_with_nan_have_none(void **state)
{
    (void)state;
    enum { COUNT = 7 };
    double y[COUNT * D] = {0, 0, 0, NAN, 0, 0, 1, 0, 0, INFINITY, 0, 0, 0, NAN, 0, 0, 0, NAN, 0, NAN, NAN};
    int64_t indices[COUNT * 6], expected[COUNT * 6];
    quern_neighbor_lists *lists;
    quern_neighbors *index = index_of(QUERN_F32, y, COUNT, "l2", QUERN_AUTO);
    succeed(quern_neighbors_graph(index, quern_i64(indices, COUNT, 6), (quern_view){0}, NULL));
    memset(expected, 0xff, sizeof expected);
    expected[0] = 2, expected[12] = 0;
    assert_memory_equal(indices, expected, sizeof expected);
    succeed(quern_neighbors_within_graph(&lists, index, INFINITY, false, NULL));
    assert_int_equal(lists->offsets[COUNT], 2);
    quern_neighbor_lists_destroy(&lists);
    quern_neighbors_destroy(&index);
}

static void a_formula_with_a_parameter(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    double weights[D] = {1, 0, 4}, distances[M];
    quern_neighbors_options options = {.size = sizeof options, .metric = "s=Pm(3); Sqrt(WeightedSqDist(s,x,y))"};
    options.parameters = QUERN_ARGS({"s", quern_f64(weights, 1, D)});
    quern_neighbors *index;
    succeed(quern_neighbors_create(&index, context, quern_f64(points, N, D), &options));
    memset(weights, 0, sizeof weights); /* it was copied */
    succeed(quern_neighbors_find(index, quern_f64(queries, M, D), (quern_view){0}, quern_f64(distances, M, 1), NULL));
    for (int i = 0; i < M; i++) {
        double least = INFINITY;
        for (int j = 0; j < N; j++) {
            double a = queries[i * D] - points[j * D], c = queries[i * D + 2] - points[j * D + 2];
            least = fmin(least, sqrt(a * a + 4 * c * c));
        }
        assert_true(fabs(distances[i] - least) < 1e-12);
    }
    quern_neighbors_destroy(&index);
}

static void arrays_of_the_device_and_batches(void **state)
{
    (void)state;
    quern_neighbors *index = index_of(QUERN_F32, points, N, "l2", QUERN_AUTO);
    quern_array *x, *found;
    int64_t host[M * K];
    int32_t device[M * K], batch[2 * 18 * K];
    succeed(quern_neighbors_find(index, quern_f64(queries, M, D), quern_i64(host, M, K), (quern_view){0}, NULL));
    float kept[M * D];
    succeed(quern_array_from(&x, context, as(QUERN_F32, queries, M, D, kept)));
    succeed(quern_array_create(&found, context, QUERN_I32, M, K));
    succeed(quern_neighbors_find(index, quern_array_view(x), quern_array_view(found), (quern_view){0}, NULL));
    succeed(quern_array_read(found, quern_view_of(device, QUERN_I32, M, K)));
    for (int e = 0; e < M * K; e++) assert_int_equal(host[e], device[e]);
    quern_array_destroy(&x), quern_array_destroy(&found);
    succeed(quern_neighbors_find(index, quern_in_batch(quern_f64(queries, 18, D), 2),
                                 quern_in_batch(quern_view_of(batch, QUERN_I32, 18, K), 2), (quern_view){0}, NULL));
    for (int e = 0; e < 2 * 18 * K; e++) assert_int_equal(host[e], batch[e]);
    quern_neighbors_destroy(&index);
    quern_neighbors_options options = {.size = sizeof options};
    succeed(quern_neighbors_create(&index, context, quern_in_batch(quern_f32(kept, K, D), 4), &options));
    succeed(quern_neighbors_graph(index, quern_in_batch(quern_i64(host, K, K), 4), (quern_view){0}, NULL));
    for (int e = 0; e < 4 * K * K; e++)
        assert_true(e % K == K - 1 ? host[e] == -1 : host[e] >= 0 && host[e] < K && host[e] != e / K % K);
    quern_neighbors_destroy(&index);
}

/* Points of a curve: near each other wherever they are searched. */
static void pruned_searches_are_the_same(void **state)
{
    (void)state;
    enum { MANY = 5000, NEAR = K - 1 };
    static double curve[MANY * D];
    static int64_t a[MANY * NEAR], b[MANY * NEAR];
    static double da[MANY * NEAR], db[MANY * NEAR];
    quern_neighbors_report report = {.size = sizeof report};
    for (int e = 0; e < MANY * D; e++) curve[e] = floor(64 * sin(e / D * (0.01 + e % D * 0.007))) / 64;
    for (int way = 0; way < 2; way++) {
        quern_neighbors *index = index_of(QUERN_F32, curve, MANY, "l2", way ? QUERN_ON : QUERN_OFF);
        succeed(quern_neighbors_graph(index, quern_i64(way ? b : a, MANY, NEAR), quern_f64(way ? db : da, MANY, NEAR),
                                      &report));
        assert_int_equal(report.pruned, way);
        if (way) assert_true(report.touched < 0.5);
        quern_neighbors_destroy(&index);
    }
    assert_memory_equal(a, b, sizeof a);
    assert_memory_equal(da, db, sizeof da);
    const quern_switch ways[] = {QUERN_OFF, QUERN_ON};
    quern_neighbor_lists *lists[2];
    for (int way = 0; way < 2; way++) {
        quern_neighbors *index = index_of(QUERN_F32, curve, MANY, "l2", ways[way]);
        succeed(quern_neighbors_within_graph(&lists[way], index, 0.0625, true, &report));
        assert_int_equal(report.pruned, way);
        if (way) assert_true(report.touched < 0.2); /* what is beyond is left out, though rows have few neighbours */
        quern_neighbors_destroy(&index);
    }
    assert_memory_equal(lists[0]->offsets, lists[1]->offsets, (MANY + 1) * sizeof(int64_t));
    assert_memory_equal(lists[0]->indices, lists[1]->indices, (size_t)lists[0]->offsets[MANY] * sizeof(int64_t));
    quern_neighbor_lists_destroy(&lists[0]), quern_neighbor_lists_destroy(&lists[1]);
}

/* So many pairs of so dear a metric that a trial decides, on all but the fastest devices: the result is that of all pairs. */
static void a_trial_changes_nothing(void **state)
{
    (void)state;
    enum { MANY = 30000, SOME = 500 };
    static double y[MANY * D];
    static int64_t a[MANY * K], b[SOME * K];
    static float kept[MANY * D];
    random_source random = {5};
    for (int e = 0; e < MANY * D; e++) y[e] = e % D == 2 ? 0 : random_between(&random, -0.7, 0.7);
    quern_neighbors_report report = {.size = sizeof report};
    quern_neighbors *index = index_of(QUERN_F32, y, MANY, "hyperbolic", QUERN_AUTO);
    const quern_view x = as(QUERN_F32, y, MANY, D, kept);
    for (int again = 0; again < 2; again++) {
        memset(a, 0, sizeof a);
        succeed(quern_neighbors_find(index, x, quern_i64(a, MANY, K), (quern_view){0}, &report));
        if (report.plain_seconds > 0.25) assert_true(report.pruned && report.touched < 0.3);
        quern_neighbors *all = index_of(QUERN_F32, y, MANY, "hyperbolic", QUERN_OFF);
        succeed(quern_neighbors_find(all, quern_view_rows(x, MANY - SOME, SOME), quern_i64(b, SOME, K), (quern_view){0},
                                     &report));
        assert_true(!report.pruned && !strcmp(report.reason, "it is turned off"));
        assert_memory_equal(a + (MANY - SOME) * K, b, sizeof b);
        succeed(
            quern_neighbors_find(all, quern_view_rows(x, 0, SOME), quern_i64(b, SOME, K), (quern_view){0}, &report));
        assert_memory_equal(a, b, sizeof b);
        quern_neighbors_destroy(&all);
    }
    quern_neighbors_destroy(&index);
}

/* 2^33 of them, in few dimensions; with distances, without, and written through a view that is none of its own. */
static void very_many_pairs_need_no_trial(void **state)
{
    (void)state;
    enum { MANY = 92700, SOME = 300, NEAR = 4 };
    static float y[3 * MANY];
    static int64_t a[MANY * NEAR], apart[MANY * (NEAR + 1)], b[SOME * NEAR];
    static float d[MANY * NEAR], e[SOME * NEAR];
    random_source random = {7};
    for (int n = 0; n < 3 * MANY; n++) y[n] = (float)floor(random_between(&random, 0, 64)); /* with many ties */
    const quern_view grid = quern_f32(y, MANY, 3), some = quern_view_rows(grid, MANY - SOME, SOME);
    quern_neighbors_report report = {.size = sizeof report};
    quern_neighbors_options options = {.size = sizeof options};
    quern_neighbors *index, *all;
    succeed(quern_neighbors_create(&index, context, grid, &options));
    succeed(quern_neighbors_find(index, grid, quern_i64(a, MANY, NEAR), (quern_view){0}, &report));
    assert_true(report.pruned && report.touched < 0.1 && report.plain_seconds == 0);
    options.prune = QUERN_OFF;
    succeed(quern_neighbors_create(&all, context, grid, &options));
    succeed(quern_neighbors_find(all, some, quern_i64(b, SOME, NEAR), quern_f32(e, SOME, NEAR), NULL));
    assert_memory_equal(a + (MANY - SOME) * NEAR, b, sizeof b);
    quern_view strided = quern_i64(apart, MANY, NEAR);
    strided.stride = NEAR + 1;
    succeed(quern_neighbors_find(index, grid, strided, quern_f32(d, MANY, NEAR), &report));
    for (int n = 0; n < MANY; n++) assert_memory_equal(apart + n * (NEAR + 1), a + n * NEAR, NEAR * sizeof *a);
    assert_memory_equal(d + (MANY - SOME) * NEAR, e, sizeof e);
    quern_neighbors_destroy(&index), quern_neighbors_destroy(&all);
}

/* Groups of points far from each other, as many as cells: a group's neighbours are in it. */
static void cells_are_searched(void **state)
{
    (void)state;
    enum { MANY = 640, GROUPS = 8 };
    static double y[MANY * D];
    static int64_t a[MANY * K], b[MANY * K];
    static double da[MANY * K], db[MANY * K];
    random_source random = {3};
    for (int e = 0; e < MANY * D; e++)
        y[e] = (double)random_below(&random, 9) / 8 + (double)(e / D % GROUPS >> e % D & 1) * 40;
    quern_neighbors_report report = {.size = sizeof report};
    quern_neighbors_options options = {.size = sizeof options, .cells = 32, .probes = 32};
    quern_neighbors *index = index_of(QUERN_F32, y, MANY, "l2", QUERN_AUTO);
    succeed(quern_neighbors_find(index, quern_f64(y, MANY, D), quern_i64(a, MANY, K), quern_f64(da, MANY, K), &report));
    assert_true(report.recall == 1 && report.touched == 1);
    quern_neighbors_destroy(&index);
    float kept[MANY * D];
    for (int few = 0; few < 2; few++) { /* all cells: ties in the same order; few: most neighbours */
        if (few) options.probes = 6;
        succeed(quern_neighbors_create(&index, context, as(QUERN_F32, y, MANY, D, kept), &options));
        succeed(
            quern_neighbors_find(index, quern_f64(y, MANY, D), quern_i64(b, MANY, K), quern_f64(db, MANY, K), &report));
        if (few) assert_true(report.recall > 0.7 && report.touched < 0.4);
        else {
            assert_memory_equal(da, db, sizeof da);
            assert_true(report.recall == 1 && report.touched == 1);
            for (int e = 0; e < MANY * K; e++) /* those as far as the last may be others */
                assert_true(a[e] == b[e] || da[e] == da[e / K * K + K - 1]);
        }
        succeed(quern_neighbors_find(index, quern_f64(y, 0, D), quern_i64(b, 0, K), (quern_view){0}, &report));
        quern_neighbors_destroy(&index);
    }
    options.cells = MANY + 1;
    expect_failure(quern_neighbors_create(&index, context, as(QUERN_F32, y, MANY, D, kept), &options), QUERN_USAGE,
                   "641 cells of 640 points");
    options.cells = 2, y[5] = NAN;
    expect_failure(quern_neighbors_create(&index, context, as(QUERN_F32, y, MANY, D, kept), &options), QUERN_USAGE, "");
}

static void check_lists(const quern_neighbor_lists *lists, const double *x, int64_t rows, const double *y, int64_t n,
                        double radius, bool own, bool once)
{
    assert_int_equal(lists->rows, rows);
    int64_t at = 0;
    for (int64_t i = 0; i < rows; i++) {
        int64_t expected = 0;
        assert_int_equal(lists->offsets[i], at);
        for (int64_t j = 0; j < n; j++)
            expected += distance("l2", x + i * D, y + j * D) <= radius && !(own && i == j) && !(once && j < i);
        for (int64_t e = at; e < at + expected; e++) {
            double d = distance("l2", x + i * D, y + lists->indices[e] * D);
            assert_true(fabs(lists->distances[e] - d) < 1e-6 && d <= radius);
            if (e > at)
                assert_true(
                    before(lists->distances[e - 1], lists->indices[e - 1], lists->distances[e], lists->indices[e]));
        }
        at += expected;
    }
    assert_int_equal(lists->offsets[rows], at);
}

static void lists_within_a_radius(void **state)
{
    (void)state;
    quern_neighbors *index = index_of(QUERN_F32, points, N, "l2", QUERN_AUTO);
    quern_neighbor_lists *lists;
    static const double radii[] = {-1, 0, 0.125, 0.5, 3};
    for (size_t k = 0; k < 5; k++) {
        succeed(quern_neighbors_within(&lists, index, quern_f64(queries, M, D), radii[k], NULL));
        check_lists(lists, queries, M, points, N, radii[k], false, false);
        quern_neighbor_lists_destroy(&lists);
        succeed(quern_neighbors_within_graph(&lists, index, radii[k], k % 2, NULL));
        check_lists(lists, points, N, points, N, radii[k], true, k % 2);
        quern_neighbor_lists_destroy(&lists);
    }
    quern_neighbors_destroy(&index);
}

/* More neighbours than the largest search has room for: by halves of the points. */
static void lists_longer_than_a_search(void **state)
{
    (void)state;
    enum { MANY = 2600 };
    static double line[MANY * D];
    for (int i = 0; i < MANY; i++) line[i * D] = i / 64.0;
    quern_neighbors *index = index_of(QUERN_F32, line, MANY, "l2", QUERN_AUTO);
    quern_neighbor_lists *lists;
    succeed(quern_neighbors_within(&lists, index, quern_f64(line, 1, D), 1e6, NULL));
    check_lists(lists, line, 1, line, MANY, 1e6, false, false);
    quern_neighbor_lists_destroy(&lists);
    succeed(quern_neighbors_within(&lists, index, quern_f64(line + 300 * D, 2, D), 25, NULL));
    check_lists(lists, line + 300 * D, 2, line, MANY, 25, false, false);
    quern_neighbor_lists_destroy(&lists);
    quern_neighbors_destroy(&index);
}

static void votes(void **state)
{
    (void)state;
    const int64_t indices[] = {0, 1, 2, 3, 1, 0, -1, -1, -1, -1, 2, 4};
    const double distances[] = {1, 1, 4, 0, 1, 1, 1, 1, INFINITY, 1, 2, 2};
    const int32_t labels[] = {5, 5, -3, 9, 7};
    const double values[] = {1, 10, 2, 20, 3, 30, 4, 40, 5, 50};
    int64_t label[4];
    double mean[8];
    const quern_view found = quern_i64(indices, 4, 3), at = quern_f64(distances, 4, 3);
    const quern_view names = quern_view_of(labels, QUERN_I32, 5, 1), numbers = quern_f64(values, 5, 2);
    succeed(quern_neighbors_classify(found, (quern_view){0}, names, QUERN_VOTE_EQUAL, quern_i64(label, 4, 1)));
    assert_true(label[0] == 5 && label[1] == 5 && label[2] == -1 && label[3] == -3);
    succeed(quern_neighbors_classify(found, at, names, QUERN_VOTE_INVERSE, quern_i64(label, 4, 1)));
    assert_true(label[0] == 5 && label[1] == 9 && label[2] == -1 && label[3] == -3);
    const int64_t large[5] = {INT64_C(5000000000), INT64_C(5000000000), 0, 0, 0};
    int32_t narrow[4];
    expect_failure(quern_neighbors_classify(found, (quern_view){0}, quern_i64(large, 5, 1), QUERN_VOTE_EQUAL,
                                            quern_view_of(narrow, QUERN_I32, 4, 1)),
                   QUERN_LIMIT, "the label 5000000000 of row 0");
    succeed(quern_neighbors_regress(found, (quern_view){0}, numbers, QUERN_VOTE_EQUAL, quern_f64(mean, 4, 2)));
    assert_true(mean[0] == 2 && mean[1] == 20 && isnan(mean[4]) && isnan(mean[5]) && mean[6] == 4);
    succeed(quern_neighbors_regress(found, at, numbers, QUERN_VOTE_INVERSE, quern_f64(mean, 4, 2)));
    assert_true(fabs(mean[0] - 3.75 / 2.25) < 1e-12 && mean[2] == 4 && mean[3] == 40);
    expect_failure(
        quern_neighbors_classify(found, at, quern_i64(indices, 3, 1), QUERN_VOTE_EQUAL, quern_i64(label, 4, 1)),
        QUERN_USAGE, "is point 3; there are 3");
    expect_failure(quern_neighbors_classify(found, (quern_view){0}, names, QUERN_VOTE_INVERSE, quern_i64(label, 4, 1)),
                   QUERN_USAGE, "distances");
    expect_failure(quern_neighbors_regress(found, at, numbers, QUERN_VOTE_EQUAL, quern_f64(mean, 4, 1)), QUERN_SHAPE,
                   "result has 1 columns, not 2");
    expect_failure(quern_neighbors_classify(found, at, numbers, QUERN_VOTE_EQUAL, quern_i64(label, 4, 1)), QUERN_SHAPE,
                   "labels has 2 columns");
}

static void graphs_of_both_ends(void **state)
{
    (void)state;
    const int32_t indices[] = {1, 2, 0, 2, 3, -1, 2, 1};
    const float distances[] = {1, 2, 1, 3, 4, INFINITY, 5, 6};
    const quern_view found = quern_view_of(indices, QUERN_I32, 4, 2), at = quern_f32(distances, 4, 2);
    static const struct {
        quern_neighbor_edges which;
        int64_t offsets[5], indices[10];
    } cases[] = {{QUERN_EDGES_GIVEN, {0, 2, 4, 5, 7}, {1, 2, 0, 2, 3, 2, 1}},
                 {QUERN_EDGES_MUTUAL, {0, 1, 2, 3, 4}, {1, 0, 3, 2}},
                 {QUERN_EDGES_EITHER, {0, 2, 5, 8, 10}, {1, 2, 0, 2, 3, 0, 1, 3, 2, 1}}};
    for (size_t k = 0; k < 3; k++) {
        quern_neighbor_lists *lists;
        succeed(quern_neighbor_lists_create(&lists, found, at, cases[k].which));
        assert_memory_equal(lists->offsets, cases[k].offsets, sizeof cases[k].offsets);
        assert_memory_equal(lists->indices, cases[k].indices, (size_t)lists->offsets[4] * sizeof(int64_t));
        quern_neighbor_lists_destroy(&lists);
    }
    quern_neighbor_lists *lists;
    const int32_t beyond[] = {4};
    expect_failure(quern_neighbor_lists_create(&lists, quern_view_of(beyond, QUERN_I32, 1, 1), (quern_view){0},
                                               QUERN_EDGES_MUTUAL),
                   QUERN_USAGE, "is point 4; there are 1");
    assert_null(lists);
}

static void create_fails(const char *metric, quern_status status, const char *part)
{
    quern_neighbors_options options = {.size = sizeof options, .metric = metric};
    quern_neighbors *index;
    expect_failure(quern_neighbors_create(&index, context, quern_f64(points, N, D), &options), status, part);
    assert_null(index);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    int64_t indices[N * 2];
    quern_neighbor_lists *lists;
    const quern_view none = {0}, x = quern_f64(queries, M, D);
    create_fails("euclid", QUERN_NAME, "euclid");
    create_fails("x-y", QUERN_USAGE, "3 numbers");
    create_fails("SqDist(x,", QUERN_SYNTAX, "");
    quern_neighbors *index = index_of(QUERN_F32, points, N, "l2", QUERN_AUTO);
    expect_failure(quern_neighbors_find(index, x, none, none, NULL), QUERN_USAGE, "neither");
    expect_failure(quern_neighbors_find(index, x, quern_i64(indices, M, 0), none, NULL), QUERN_SHAPE, "0 columns");
    expect_failure(quern_neighbors_find(index, x, quern_i64(indices, M + 1, 2), none, NULL), QUERN_SHAPE,
                   "38 x 2, not 37 x 2");
    expect_failure(quern_neighbors_find(index, x, quern_f64(points, M, 2), none, NULL), QUERN_DTYPE, "float64");
    expect_failure(quern_neighbors_find(index, quern_f64(queries, M, 2), quern_i64(indices, M, 2), none, NULL),
                   QUERN_SHAPE, "2 columns");
    expect_failure(quern_neighbors_find(index, quern_in_batch(x, -2), quern_i64(indices, M, 2), none, NULL),
                   QUERN_SHAPE, "-2 members");
    expect_failure(quern_neighbors_find(NULL, x, quern_i64(indices, M, 2), none, NULL), QUERN_USAGE, "null");
    expect_failure(quern_neighbors_within(&lists, index, x, NAN, NULL), QUERN_USAGE, "NaN");
    expect_failure(quern_neighbors_within(NULL, index, x, 1, NULL), QUERN_USAGE, "null");
    quern_neighbors_destroy(&index);
    quern_neighbors_destroy(&index);
    quern_neighbors_destroy(NULL);
    quern_neighbor_lists_destroy(NULL);
    expect_failure(quern_neighbors_create(&index, NULL, x, NULL), QUERN_USAGE, "null");
    static float many[2000];
    succeed(quern_neighbors_create(&index, context, quern_f32(many, 2000, 1), NULL));
    expect_failure(quern_neighbors_find(index, quern_f32(many, 0, 1), quern_i64(indices, 0, 1025), none, NULL),
                   QUERN_LIMIT, "at most 1024");
    quern_neighbors_destroy(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nearest_are_those_by_hand),
        cmocka_unit_test(more_than_there_are),
        cmocka_unit_test(sizes_0_and_1),
        cmocka_unit_test(points_with_nan_have_none),
        cmocka_unit_test(a_formula_with_a_parameter),
        cmocka_unit_test(arrays_of_the_device_and_batches),
        cmocka_unit_test(pruned_searches_are_the_same),
        cmocka_unit_test(very_many_pairs_need_no_trial),
        cmocka_unit_test(a_trial_changes_nothing),
        cmocka_unit_test(cells_are_searched),
        cmocka_unit_test(lists_within_a_radius),
        cmocka_unit_test(lists_longer_than_a_search),
        cmocka_unit_test(votes),
        cmocka_unit_test(graphs_of_both_ends),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, fill, close_context);
}
