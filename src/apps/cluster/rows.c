/*
 * cluster_rows.c: arrays in the order of clusters and back, and what is known of each cluster: weights, centroids, boxes.
 * Sums are in double.
 */
#include <math.h>
#include <string.h>

#include "apps/cluster/cluster.h"

// ---- order ----

static bool overlap(const quern_view *a, const quern_view *b)
{
    if (!a->rows) return false;
    const char *a_from = a->data, *b_from = b->data;
    const char *a_to = (const char *)q_host_at(a, a->rows - 1, a->columns - 1) + q_element_size(a->dtype);
    const char *b_to = (const char *)q_host_at(b, b->rows - 1, b->columns - 1) + q_element_size(b->dtype);
    return a_from < b_to && b_from < a_to;
}

static quern_status permute(const quern_clusters *clusters, const quern_view *to, const quern_view *from, bool back)
{
    Q_TRY(q_host_shape_check("from", from, clusters->rows, -1));
    Q_TRY(q_host_shape_check("to", to, clusters->rows, from->columns));
    if (to->dtype != from->dtype)
        return q_fail(QUERN_DTYPE, "to is %s and from is %s; both must be of one type", q_dtype_name(to->dtype),
                      q_dtype_name(from->dtype));
    if (overlap(to, from)) return q_fail(QUERN_USAGE, "to and from overlap");
    size_t bytes = (size_t)from->columns * q_element_size(from->dtype);
    for (int64_t p = 0; p < clusters->rows; p++) {
        int64_t row = clusters->order[p];
        memcpy(q_host_at(to, back ? row : p, 0), q_host_at(from, back ? p : row, 0), bytes);
    }
    return QUERN_OK;
}

quern_status quern_clusters_sort(const quern_clusters *clusters, quern_view to, quern_view from)
{
    return clusters ? permute(clusters, &to, &from, false) : q_fail_null(__func__, "clusters");
}

quern_status quern_clusters_unsort(const quern_clusters *clusters, quern_view to, quern_view from)
{
    return clusters ? permute(clusters, &to, &from, true) : q_fail_null(__func__, "clusters");
}

// ---- weights and centroids ----

/* The weight of a row; without an array, 1. */
static double weight_of(const quern_view *weights, int64_t row)
{
    return weights->data ? q_host_read(weights, row, 0) : 1;
}

static quern_status check_weights(const quern_clusters *clusters, const quern_view *weights)
{
    bool none = !weights->data && !weights->array && !weights->rows;
    return none ? QUERN_OK : q_host_shape_check("weights", weights, clusters->rows, 1);
}

static double total_weight(const quern_clusters *clusters, const quern_view *weights, int64_t c)
{
    double sum = 0;
    for (int64_t p = clusters->first[c]; p < clusters->first[c + 1]; p++) sum += weight_of(weights, clusters->order[p]);
    return sum;
}

static void write(const quern_view *view, int64_t row, int64_t column, double number)
{
    q_element_write(view->dtype, q_host_at(view, row, column), number);
}

quern_status quern_clusters_weights(const quern_clusters *clusters, quern_view result, quern_view weights)
{
    if (!clusters) return q_fail_null(__func__, "clusters");
    Q_TRY(check_weights(clusters, &weights));
    Q_TRY(q_host_shape_check("result", &result, clusters->count, 1));
    for (int64_t c = 0; c < clusters->count; c++) write(&result, c, 0, total_weight(clusters, &weights, c));
    return QUERN_OK;
}

static double mean(const quern_clusters *clusters, const quern_view *points, const quern_view *weights, int64_t c,
                   int64_t d)
{
    double sum = 0, total = 0;
    for (int64_t p = clusters->first[c]; p < clusters->first[c + 1]; p++) {
        double weight = weight_of(weights, clusters->order[p]);
        if (weight != 0) sum += weight * q_host_read(points, clusters->order[p], d);
        total += weight;
    }
    return total != 0 ? sum / total : mean(clusters, points, &(quern_view){0}, c, d);
}

quern_status quern_clusters_centroids(const quern_clusters *clusters, quern_view result, quern_view points,
                                      quern_view weights)
{
    if (!clusters) return q_fail_null(__func__, "clusters");
    Q_TRY(q_host_shape_check("points", &points, clusters->rows, -1));
    Q_TRY(check_weights(clusters, &weights));
    Q_TRY(q_host_shape_check("result", &result, clusters->count, points.columns));
    for (int64_t c = 0; c < clusters->count; c++)
        for (int64_t d = 0; d < points.columns; d++) write(&result, c, d, mean(clusters, &points, &weights, c, d));
    return QUERN_OK;
}

// ---- boxes ----

quern_status quern_clusters_boxes(const quern_clusters *clusters, quern_view low, quern_view high, quern_view points)
{
    if (!clusters) return q_fail_null(__func__, "clusters");
    Q_TRY(q_host_shape_check("points", &points, clusters->rows, -1));
    Q_TRY(q_host_shape_check("low", &low, clusters->count, points.columns));
    Q_TRY(q_host_shape_check("high", &high, clusters->count, points.columns));
    for (int64_t c = 0; c < clusters->count; c++)
        for (int64_t d = 0; d < points.columns; d++) {
            double least = INFINITY, most = -INFINITY;
            for (int64_t p = clusters->first[c]; p < clusters->first[c + 1]; p++) {
                double x = q_host_read(&points, clusters->order[p], d);
                if (!(x >= least)) least = x;
                if (!(x <= most)) most = x;
                if (isnan(x)) break;
            }
            write(&low, c, d, least);
            write(&high, c, d, most);
        }
    return QUERN_OK;
}
