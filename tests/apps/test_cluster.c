/*
 * test_cluster.c: clusterings are partitions in a stable order whose clusters are what they should be, by brute force; ranges
 * hold the pairs that they should; no points, one point, points that are all alike, NaN; and what is refused.
 */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "quern/array.h"
#include "quern/cluster.h"

enum { N = 1000 };
static double points[3 * N];
static float singles[3 * N];

static int fill(void **state)
{
    (void)state;
    srand(1);
    for (int e = 0; e < 3 * N; e++) {
        points[e] = rand() / (double)RAND_MAX * 4 - 2;
        singles[e] = (float)points[e];
    }
    return 0;
}

/* Each row once, labels that agree, rows of a cluster in ascending order. */
static void check_partition(const quern_clusters *clusters)
{
    char *seen = calloc((size_t)clusters->rows + 1, 1);
    assert_int_equal(clusters->first[0], 0);
    assert_int_equal(clusters->first[clusters->count], clusters->rows);
    for (int64_t c = 0; c < clusters->count; c++) {
        assert_true(clusters->first[c] < clusters->first[c + 1]);
        for (int64_t p = clusters->first[c]; p < clusters->first[c + 1]; p++) {
            int64_t row = clusters->order[p];
            assert_true(row >= 0 && row < clusters->rows && !seen[row]);
            seen[row] = 1;
            assert_int_equal(clusters->label[row], c);
            if (p > clusters->first[c]) assert_true(clusters->order[p - 1] < row);
        }
    }
    free(seen);
}

static void grid_cells_are_apart(void **state)
{
    (void)state;
    quern_clusters *clusters;
    assert_int_equal(quern_clusters_grid(&clusters, quern_f64(points, N, 3), 0.25), QUERN_OK);
    check_partition(clusters);
    for (int a = 0; a < N; a++)
        for (int b = 0; b < a; b++) {
            bool same = true;
            for (int d = 0; d < 3; d++)
                same = same && floor(points[3 * a + d] / 0.25) == floor(points[3 * b + d] / 0.25);
            assert_int_equal(same, clusters->label[a] == clusters->label[b]);
        }
    quern_clusters_destroy(&clusters);
    assert_null(clusters);
}

/* 2^20 cells an axis in 5 dimensions: no packing of coordinates into one number would hold them. */
static void many_cells(void **state)
{
    (void)state;
    double wide[2 * 5] = {0, 0, 0, 0, 1 << 20, 0, 0, 0, 1, 0};
    quern_clusters *clusters;
    assert_int_equal(quern_clusters_grid(&clusters, quern_f64(wide, 2, 5), 1), QUERN_OK);
    assert_int_equal(clusters->count, 2);
    assert_int_equal(clusters->label[0], 0);
    quern_clusters_destroy(&clusters);
    float negative[3] = {-0.0f, -1e-9f, 0.5f};
    assert_int_equal(quern_clusters_grid(&clusters, quern_f32(negative, 3, 1), 1), QUERN_OK);
    assert_int_equal(clusters->count, 2);
    assert_int_equal(clusters->label[0], clusters->label[2]);
    quern_clusters_destroy(&clusters);
}

static double volume(const quern_clusters *clusters)
{
    double low[3 * N], high[3 * N], sum = 0;
    assert_int_equal(quern_clusters_boxes(clusters, quern_f64(low, clusters->count, 3),
                                          quern_f64(high, clusters->count, 3), quern_f64(points, N, 3)),
                     QUERN_OK);
    for (int64_t c = 0; c < clusters->count; c++)
        sum += (high[3 * c] - low[3 * c]) * (high[3 * c + 1] - low[3 * c + 1]) * (high[3 * c + 2] - low[3 * c + 2]);
    return sum;
}

static void kd_leaves_are_full_and_tight(void **state)
{
    (void)state;
    quern_clusters *clusters;
    for (int64_t size = 1; size < 2000; size = 3 * size + 1) {
        assert_int_equal(quern_clusters_kd(&clusters, quern_f64(points, N, 3), size), QUERN_OK);
        check_partition(clusters);
        assert_int_equal(clusters->count, (N + size - 1) / size);
        for (int64_t c = 0; c + 1 < clusters->count; c++)
            assert_int_equal(clusters->first[c + 1] - clusters->first[c], size);
        /* boxes do not overlap, so together they fill at most the cube */
        assert_true(volume(clusters) <= 64);
        quern_clusters_destroy(&clusters);
    }
    assert_int_equal(quern_clusters_kd(&clusters, quern_f64(points, N, 3), INT64_MAX), QUERN_OK);
    assert_int_equal(clusters->count, 1);
    quern_clusters_destroy(&clusters);
}

static void equal_points_and_nan(void **state)
{
    (void)state;
    static double same[2 * N];
    quern_clusters *clusters;
    for (int e = 0; e < 2 * N; e++) same[e] = e % 10 ? 7 : NAN;
    assert_int_equal(quern_clusters_kd(&clusters, quern_f64(same, N, 2), 16), QUERN_OK);
    check_partition(clusters);
    quern_clusters_destroy(&clusters);
    assert_int_equal(quern_clusters_grid(&clusters, quern_f64(same, N, 2), 1), QUERN_OK);
    check_partition(clusters);
    assert_int_equal(clusters->count, 2);
    assert_int_equal(clusters->label[0], 1); /* NaN is last */
    double low[4], high[4], centroid[4];
    assert_int_equal(quern_clusters_boxes(clusters, quern_f64(low, 2, 2), quern_f64(high, 2, 2), quern_f64(same, N, 2)),
                     QUERN_OK);
    assert_true(low[0] == 7 && high[0] == 7 && isnan(low[2]) && isnan(high[2]) && low[3] == 7);
    assert_int_equal(
        quern_clusters_centroids(clusters, quern_f64(centroid, 2, 2), quern_f64(same, N, 2), (quern_view){0}),
        QUERN_OK);
    assert_true(centroid[0] == 7 && isnan(centroid[2]) && centroid[3] == 7);
    quern_clusters_destroy(&clusters);
}

static void labels_in_order(void **state)
{
    (void)state;
    int64_t labels[6] = {5, -3, 5, 1LL << 52, -3, 5};
    int64_t order[6] = {1, 4, 0, 2, 5, 3}, first[4] = {0, 2, 5, 6};
    quern_clusters *clusters;
    assert_int_equal(quern_clusters_labels(&clusters, quern_i64(labels, 6, 1)), QUERN_OK);
    check_partition(clusters);
    assert_int_equal(clusters->count, 3);
    assert_memory_equal(clusters->order, order, sizeof order);
    assert_memory_equal(clusters->first, first, sizeof first);
    double weights[6] = {1, 2, 4, 8, 16, 32}, sums[3], means[3];
    assert_int_equal(quern_clusters_weights(clusters, quern_f64(sums, 3, 1), quern_f64(weights, 6, 1)), QUERN_OK);
    assert_true(sums[0] == 18 && sums[1] == 37 && sums[2] == 8);
    assert_int_equal(quern_clusters_weights(clusters, quern_f64(sums, 3, 1), (quern_view){0}), QUERN_OK);
    assert_true(sums[0] == 2 && sums[1] == 3 && sums[2] == 1);
    double values[6] = {1, 2, 3, 4, 6, 5}, some[6] = {3, 0, 1, 0, 0, 0};
    assert_int_equal(
        quern_clusters_centroids(clusters, quern_f64(means, 3, 1), quern_f64(values, 6, 1), quern_f64(some, 6, 1)),
        QUERN_OK);
    assert_true(means[0] == 4 && means[1] == 1.5 && means[2] == 4);
    quern_clusters_destroy(&clusters);
}

static void orders_are_undone(void **state)
{
    (void)state;
    static float sorted[4 * N], back[3 * N];
    quern_clusters *clusters;
    quern_view strided = quern_f32(sorted, N, 3);
    strided.stride = 4;
    assert_int_equal(quern_clusters_kd(&clusters, quern_f32(singles, N, 3), 32), QUERN_OK);
    assert_int_equal(quern_clusters_sort(clusters, strided, quern_f32(singles, N, 3)), QUERN_OK);
    for (int p = 0; p < N; p++) assert_memory_equal(sorted + 4 * p, singles + 3 * clusters->order[p], 12);
    assert_int_equal(quern_clusters_unsort(clusters, quern_f32(back, N, 3), strided), QUERN_OK);
    assert_memory_equal(back, singles, sizeof back);
    assert_int_equal(quern_clusters_sort(clusters, quern_f32(singles, N, 3), quern_f32(singles, N, 3)), QUERN_USAGE);
    assert_int_equal(quern_clusters_sort(clusters, quern_f64(points, N, 3), quern_f32(singles, N, 3)), QUERN_DTYPE);
    assert_int_equal(quern_clusters_sort(clusters, quern_f32(back, N, 2), quern_f32(singles, N, 3)), QUERN_SHAPE);
    quern_clusters_destroy(&clusters);
}

// ---- ranges ----

static void check_ranges(const quern_ranges *ranges)
{
    int64_t at = 0;
    for (size_t k = 0; k < ranges->block_count; k++) {
        int64_t column = 0;
        assert_true(ranges->rows[k].from >= at && ranges->rows[k].to > ranges->rows[k].from);
        at = ranges->rows[k].to;
        assert_true(ranges->first[k] < ranges->first[k + 1]);
        for (int64_t s = ranges->first[k]; s < ranges->first[k + 1]; s++) {
            /* neighbours are one span */
            assert_true(ranges->columns[s].from >= column + (s > ranges->first[k]));
            assert_true(ranges->columns[s].to > ranges->columns[s].from);
            column = ranges->columns[s].to;
        }
    }
    assert_int_equal(ranges->first[0], 0);
}

static bool has(const quern_ranges *ranges, int64_t row, int64_t column)
{
    for (size_t k = 0; k < ranges->block_count; k++)
        for (int64_t s = ranges->first[k]; s < ranges->first[k + 1]; s++)
            if (row >= ranges->rows[k].from && row < ranges->rows[k].to && column >= ranges->columns[s].from &&
                column < ranges->columns[s].to)
                return true;
    return false;
}

static void ranges_of_a_matrix(void **state)
{
    (void)state;
    int64_t labels[5] = {0, 0, 1, 2, 2};
    bool keep[9] = {true, true, false, false, false, false, true, false, true};
    quern_clusters *clusters;
    quern_ranges *ranges;
    assert_int_equal(quern_clusters_labels(&clusters, quern_i64(labels, 5, 1)), QUERN_OK);
    assert_int_equal(quern_ranges_matrix(&ranges, clusters, clusters, keep), QUERN_OK);
    check_ranges(ranges);
    assert_int_equal(ranges->block_count, 2);
    assert_int_equal(quern_ranges_pairs(ranges), 2 * 3 + 2 * 4);
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 5; j++) assert_int_equal(has(ranges, i, j), keep[3 * labels[i] + labels[j]]);
    quern_ranges_destroy(&ranges);
    memset(keep, 0, sizeof keep);
    assert_int_equal(quern_ranges_matrix(&ranges, clusters, clusters, keep), QUERN_OK);
    assert_int_equal(ranges->block_count, 0);
    assert_int_equal(ranges->first[0], 0);
    assert_int_equal(quern_ranges_pairs(ranges), 0);
    quern_ranges_destroy(&ranges);
    quern_clusters_destroy(&clusters);
}

static double between(int64_t a, int64_t b)
{
    double sum = 0;
    for (int d = 0; d < 3; d++) sum += pow(points[3 * a + d] - points[3 * b + d], 2);
    return sqrt(sum);
}

static void ranges_of_a_radius(void **state)
{
    (void)state;
    quern_view all = quern_f64(points, N, 3);
    quern_clusters *rows, *columns;
    quern_ranges *ranges;
    assert_int_equal(quern_clusters_kd(&rows, all, 10), QUERN_OK);
    assert_int_equal(quern_clusters_grid(&columns, all, 0.5), QUERN_OK);
    assert_int_equal(quern_ranges_within(&ranges, rows, all, columns, all, 0.4), QUERN_OK);
    check_ranges(ranges);
    assert_true(quern_ranges_pairs(ranges) < N * N / 4);
    for (int64_t i = 0; i < N; i++)
        for (int64_t j = 0; j < N; j += 7)
            if (between(rows->order[i], columns->order[j]) <= 0.4) assert_true(has(ranges, i, j));
    quern_ranges_destroy(&ranges);
    assert_int_equal(quern_ranges_centroids(&ranges, rows, all, columns, all, INFINITY), QUERN_OK);
    check_ranges(ranges);
    assert_int_equal(quern_ranges_pairs(ranges), N * N);
    quern_ranges_destroy(&ranges);
    quern_clusters_destroy(&rows);
    quern_clusters_destroy(&columns);
    double some[3] = {0, NAN, 9};
    assert_int_equal(quern_clusters_kd(&rows, quern_f64(some, 3, 1), 1), QUERN_OK);
    assert_int_equal(quern_ranges_within(&ranges, rows, quern_f64(some, 3, 1), rows, quern_f64(some, 3, 1), 1),
                     QUERN_OK);
    assert_int_equal(quern_ranges_pairs(ranges), 7); /* NaN is near all */
    quern_ranges_destroy(&ranges);
    quern_clusters_destroy(&rows);
}

/* On a torus in x alone, with points on the seam: each pair that is near is there, and each cluster that is not is not. */
static void ranges_of_a_torus(void **state)
{
    enum { COUNT = 400 };
    double at[COUNT][2], radius = 0.11;
    quern_clusters *cells;
    quern_ranges *ranges;
    int64_t near = 0;
    (void)state;
    for (int k = 0; k < COUNT; k++) {
        at[k][0] = k < 2 ? k : fmod(k * 0.7548776662466927, 1);
        at[k][1] = fmod(k * 0.5698402909980532, 1);
    }
    quern_view all = quern_f64(at[0], COUNT, 2);
    assert_int_equal(quern_clusters_grid(&cells, all, 0.1), QUERN_OK);
    assert_int_equal(quern_ranges_periodic(&ranges, cells, all, cells, all, radius, (double[]){1, 0}), QUERN_OK);
    check_ranges(ranges);
    for (int64_t i = 0; i < COUNT; i++)
        for (int64_t j = 0; j < COUNT; j++) {
            const double *x = at[cells->order[i]], *y = at[cells->order[j]];
            double dx = fabs(x[0] - y[0]), distance = hypot(fmin(dx, 1 - dx), x[1] - y[1]);
            if (distance <= radius) assert_true(has(ranges, i, j));
            if (distance > radius + 2 * 0.1 * sqrt(2)) assert_false(has(ranges, i, j));
            near += distance <= radius && dx > 0.5;
        }
    assert_true(near > 100); /* around the seam */
    quern_ranges_destroy(&ranges);
    assert_int_equal(quern_ranges_periodic(&ranges, cells, all, cells, all, radius, (double[]){0.5, 0}), QUERN_USAGE);
    assert_string_equal(quern_last_error()->message,
                        "coordinate 0 of row 1 of row_points is 1; with a period it is from 0 to 0.5");
    assert_int_equal(quern_ranges_periodic(&ranges, cells, all, cells, all, radius, (double[]){-1, 0}), QUERN_USAGE);
    assert_int_equal(quern_ranges_periodic(&ranges, cells, all, cells, all, radius, NULL), QUERN_USAGE);
    assert_null(ranges);
    quern_clusters_destroy(&cells);
}

/* Cells that are counted and cells that are sorted, as the far point has them be, are the same. */
static void cells_by_counting(void **state)
{
    double at[N + 1][3];
    quern_clusters *counted, *sorted;
    (void)state;
    memcpy(at, points, N * sizeof at[0]);
    at[N][0] = at[N][1] = at[N][2] = 1e6;
    assert_int_equal(quern_clusters_grid(&counted, quern_f64(at[0], N, 3), 0.5), QUERN_OK);
    assert_int_equal(quern_clusters_grid(&sorted, quern_f64(at[0], N + 1, 3), 0.5), QUERN_OK);
    assert_int_equal(sorted->count, counted->count + 1);
    assert_memory_equal(sorted->order, counted->order, N * sizeof(int64_t));
    assert_memory_equal(sorted->first, counted->first, (size_t)sorted->count * sizeof(int64_t));
    assert_memory_equal(sorted->label, counted->label, N * sizeof(int64_t));
    quern_clusters_destroy(&counted), quern_clusters_destroy(&sorted);
}

static void ranges_of_labels(void **state)
{
    (void)state;
    float rows[6] = {-1, 0, 0, 2, 3, NAN}, columns[5] = {0, 2, 2, 3, NAN};
    quern_ranges *ranges;
    assert_int_equal(quern_ranges_labels(&ranges, quern_f32(rows, 6, 1), quern_f32(columns, 5, 1)), QUERN_OK);
    check_ranges(ranges);
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 5; j++) assert_int_equal(has(ranges, i, j), rows[i] == columns[j]);
    quern_ranges_destroy(&ranges);
    assert_int_equal(quern_ranges_labels(&ranges, quern_f32(rows, 0, 1), quern_f32(columns, 5, 1)), QUERN_OK);
    assert_int_equal(ranges->block_count, 0);
    quern_ranges_destroy(&ranges);
    columns[4] = 1;
    assert_int_equal(quern_ranges_labels(&ranges, quern_f32(rows, 6, 1), quern_f32(columns, 5, 1)), QUERN_USAGE);
    assert_string_equal(quern_last_error()->message, "column_labels are not in ascending order: row 4 has 1 after 3");
    assert_null(ranges);
}

// ---- few points, and nonsense ----

static void none_and_one(void **state)
{
    (void)state;
    for (int rows = 0; rows < 2; rows++) {
        quern_view view = quern_f64(points, rows, 3), column = quern_f64(points, rows, 1);
        quern_clusters *three[3];
        assert_int_equal(quern_clusters_grid(&three[0], view, 1), QUERN_OK);
        assert_int_equal(quern_clusters_kd(&three[1], view, 4), QUERN_OK);
        assert_int_equal(quern_clusters_labels(&three[2], column), QUERN_OK);
        for (int k = 0; k < 3; k++) {
            quern_ranges *ranges;
            check_partition(three[k]);
            assert_int_equal(three[k]->count, rows);
            assert_int_equal(quern_ranges_within(&ranges, three[k], view, three[k], view, 0), QUERN_OK);
            assert_int_equal(quern_ranges_pairs(ranges), rows);
            quern_ranges_destroy(&ranges);
            double low[3];
            assert_int_equal(quern_clusters_boxes(three[k], quern_f64(low, rows, 3), quern_f64(low, rows, 3), view),
                             QUERN_OK);
            quern_clusters_destroy(&three[k]);
        }
    }
}

#define REFUSED(call, expected, text)                           \
    do {                                                        \
        assert_int_equal(call, expected);                       \
        assert_string_equal(quern_last_error()->message, text); \
        assert_null(clusters);                                  \
    } while (0)

static void refused(void **state)
{
    (void)state;
    quern_clusters *clusters;
    quern_ranges *ranges;
    quern_view view = quern_f64(points, 4, 3), far = quern_f32((float[]){0, 1e9f}, 2, 1);
    int64_t large[1] = {INT64_MAX};
    REFUSED(quern_clusters_grid(&clusters, view, 0), QUERN_USAGE,
            "the side of a cell is 0; it must be a positive number");
    REFUSED(quern_clusters_grid(&clusters, view, NAN), QUERN_USAGE,
            "the side of a cell is nan; it must be a positive number");
    REFUSED(quern_clusters_grid(&clusters, far, 1), QUERN_LIMIT,
            "coordinate 0 of point 1 is 1e+09, about 1e+09 cells from 0: neighbouring cells cannot be told apart");
    REFUSED(quern_clusters_kd(&clusters, view, 0), QUERN_USAGE, "clusters of 0 points cannot be; at least 1 is needed");
    REFUSED(quern_clusters_labels(&clusters, view), QUERN_SHAPE, "labels has 3 columns, not 1");
    REFUSED(quern_clusters_labels(&clusters, quern_i64(large, 1, 1)), QUERN_LIMIT,
            "the label of row 0 is about 9.22337e+18; from 2^53 on labels fall together");
    large[0] = ((int64_t)1 << 53) + 1; /* as a double 2^53 */
    REFUSED(quern_clusters_labels(&clusters, quern_i64(large, 1, 1)), QUERN_LIMIT,
            "the label of row 0 is about 9.0072e+15; from 2^53 on labels fall together");
    REFUSED(quern_ranges_labels(&ranges, quern_i64(large, 1, 1), quern_f64(points, 1, 1)), QUERN_LIMIT,
            "the label of row 0 is about 9.0072e+15; from 2^53 on labels fall together");
    REFUSED(quern_clusters_kd(&clusters, quern_f64(NULL, 4, 3), 1), QUERN_USAGE, "points has 4 rows and no data");
    REFUSED(quern_clusters_kd(&clusters, quern_f64(points, -1, 3), 1), QUERN_SHAPE,
            "points has -1 rows and 3 columns; at least 0 and 1 are needed");
    REFUSED(quern_clusters_kd(&clusters, quern_number(1), 1), QUERN_USAGE,
            "points is no array: it has the element type 0");
    view.batch[0] = 2;
    REFUSED(quern_clusters_kd(&clusters, view, 1), QUERN_USAGE, "points is a batch; clusters are made of one member");
    view.batch[0] = 0;
    view.array = (quern_array *)points;
    REFUSED(quern_clusters_kd(&clusters, view, 1), QUERN_USAGE, "points is an array on the device");
}

static void null_is_usage(void **state)
{
    (void)state;
    quern_view view = quern_f64(points, 4, 3);
    quern_ranges *ranges = (quern_ranges *)&ranges;
    assert_int_equal(quern_clusters_grid(NULL, view, 1), QUERN_USAGE);
    assert_int_equal(quern_clusters_kd(NULL, view, 1), QUERN_USAGE);
    assert_int_equal(quern_clusters_labels(NULL, view), QUERN_USAGE);
    assert_int_equal(quern_clusters_sort(NULL, view, view), QUERN_USAGE);
    assert_int_equal(quern_clusters_unsort(NULL, view, view), QUERN_USAGE);
    assert_int_equal(quern_clusters_weights(NULL, view, view), QUERN_USAGE);
    assert_int_equal(quern_clusters_centroids(NULL, view, view, view), QUERN_USAGE);
    assert_int_equal(quern_clusters_boxes(NULL, view, view, view), QUERN_USAGE);
    assert_int_equal(quern_ranges_matrix(NULL, NULL, NULL, NULL), QUERN_USAGE);
    assert_int_equal(quern_ranges_matrix(&ranges, NULL, NULL, NULL), QUERN_USAGE);
    assert_null(ranges);
    assert_int_equal(quern_ranges_within(&ranges, NULL, view, NULL, view, 1), QUERN_USAGE);
    assert_int_equal(quern_ranges_centroids(NULL, NULL, view, NULL, view, 1), QUERN_USAGE);
    assert_int_equal(quern_ranges_labels(NULL, view, view), QUERN_USAGE);
    quern_clusters_destroy(NULL);
    quern_ranges_destroy(NULL);
    assert_int_equal(quern_ranges_pairs(NULL), 0);
}

/* As many as are split by two threads: each cluster's points are on one side of those of any other, along some axis. */
static void many_points_are_split_likewise(void **state)
{
    (void)state;
    enum { MANY = 40000, SIZE = 5000 };
    static double many[2 * MANY], low[2 * (MANY / SIZE)], high[2 * (MANY / SIZE)];
    for (int e = 0; e < 2 * MANY; e++) many[e] = (double)((int64_t)e * 7919 % 10007);
    quern_clusters *clusters;
    assert_int_equal(quern_clusters_kd(&clusters, quern_f64(many, MANY, 2), SIZE), QUERN_OK);
    check_partition(clusters);
    assert_int_equal(clusters->count, MANY / SIZE);
    assert_int_equal(quern_clusters_boxes(clusters, quern_f64(low, clusters->count, 2),
                                          quern_f64(high, clusters->count, 2), quern_f64(many, MANY, 2)),
                     QUERN_OK);
    for (int a = 0; a < MANY / SIZE; a++)
        for (int b = 0; b < a; b++)
            assert_true(high[2 * a] <= low[2 * b] || high[2 * b] <= low[2 * a] || high[2 * a + 1] <= low[2 * b + 1] ||
                        high[2 * b + 1] <= low[2 * a + 1]);
    quern_clusters_destroy(&clusters);
}

/* Halves of coordinates that are infinite, too far apart for a difference, or hardly different. */
static void kd_orders_extreme_coordinates(void **state)
{
    (void)state;
    static const double steps[][4] = {{-INFINITY, -1, 1, INFINITY},
                                      {-DBL_MAX, -1, 1, DBL_MAX},
                                      {-4e-324, -0.0, 4e-324, 8e-324},
                                      {1e15, 1e15 + 1, 1e15 + 2, 1e15 + 3}};
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
        double column[64];
        quern_clusters *clusters;
        for (int p = 0; p < 64; p++) column[p] = steps[s][p * 7 % 4];
        assert_int_equal(quern_clusters_kd(&clusters, quern_f64(column, 64, 1), 16), QUERN_OK);
        for (int p = 0; p < 64; p++) assert_true(column[clusters->order[p]] == steps[s][p / 16]);
        quern_clusters_destroy(&clusters);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grid_cells_are_apart),
        cmocka_unit_test(many_cells),
        cmocka_unit_test(kd_leaves_are_full_and_tight),
        cmocka_unit_test(kd_orders_extreme_coordinates),
        cmocka_unit_test(equal_points_and_nan),
        cmocka_unit_test(labels_in_order),
        cmocka_unit_test(orders_are_undone),
        cmocka_unit_test(ranges_of_a_matrix),
        cmocka_unit_test(ranges_of_a_radius),
        cmocka_unit_test(ranges_of_a_torus),
        cmocka_unit_test(cells_by_counting),
        cmocka_unit_test(ranges_of_labels),
        cmocka_unit_test(none_and_one),
        cmocka_unit_test(refused),
        cmocka_unit_test(null_is_usage),
        cmocka_unit_test(many_points_are_split_likewise),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
