/*
 * dbscan.c: density-based clusters in linear memory. The device counts the points within the radius of each, and finds the least
 * label among the core points there; the host joins labels in between (Shiloach and Vishkin, 1982), so that a cluster of any shape
 * has one label after a few passes.
 *
 * Where the distance is Euclidean, points are put in blocks of neighbours, and only blocks within the radius meet.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/kmeans/kmeans.h"
#include "quern/cluster.h"
#include "quern/density_clusters.h"

enum { BLOCK = 256 };

typedef struct dbscan {
    q_points points; /* in the order of the blocks, if there are any */
    quern_clusters *blocks;
    quern_ranges *near;
    quern_array *labels, *found; /* of core points, infinite for others; results */
    double limit;                /* of what is compared */
    quern_operator *count, *spread;
    double *numbers; /* N: what is read back */
    int64_t *parent; /* by row: a core point of the same cluster, with a smaller number; -1: no core point */
    quern_density_clusters_report report;
} dbscan;

static quern_status run(dbscan *s, quern_operator *op)
{
    quern_view x = quern_array_view(s->points.array);
    quern_run_options options = {.size = sizeof options, .ranges = s->near};
    Q_TRY(quern_run_with(op,
                         QUERN_ARGS({"x", x}, {"y", x}, {"quern_radius", quern_number(s->limit)},
                                    {"quern_label", quern_array_view(s->labels)}),
                         QUERN_OUTS(quern_array_view(s->found)), &options));
    s->report.passes++;
    return q_view_write(s->points.context, quern_f64(s->numbers, s->points.rows, 1), quern_array_view(s->found));
}

static int64_t root(int64_t *parent, int64_t row)
{
    while (parent[row] != row) row = parent[row] = parent[parent[row]];
    return row;
}

static quern_status find_core(dbscan *s, int64_t neighbors)
{
    Q_TRY(quern_array_fill(s->labels, 0));
    Q_TRY(run(s, s->count));
    for (int64_t r = 0; r < s->points.rows; r++) {
        s->parent[r] = s->numbers[r] >= (double)neighbors ? r : -1;
        s->report.core += s->parent[r] >= 0;
    }
    return QUERN_OK;
}

/* The least label among core points within the radius, infinity if there are none, in `numbers`. */
static quern_status look_around(dbscan *s)
{
    for (int64_t r = 0; r < s->points.rows; r++)
        s->numbers[r] = s->parent[r] < 0 ? INFINITY : (double)root(s->parent, r);
    Q_TRY(q_view_write(s->points.context, quern_array_view(s->labels), quern_f64(s->numbers, s->points.rows, 1)));
    return run(s, s->spread);
}

static quern_status join(dbscan *s)
{
    for (bool changed = true; changed;) {
        changed = false;
        Q_TRY(look_around(s));
        for (int64_t r = 0; r < s->points.rows; r++) {
            if (s->parent[r] < 0) continue;
            if (!isfinite(s->numbers[r])) /* no core point, not even itself */
                return q_fail(QUERN_USAGE, "point %lld is not within the radius of itself: that distance has to be 0",
                              (long long)r);
            int64_t a = root(s->parent, r), b = root(s->parent, (int64_t)s->numbers[r]);
            if (a != b) s->parent[a > b ? a : b] = a < b ? a : b, changed = true;
        }
    }
    return QUERN_OK;
}

/* Numbers of clusters by their first points, as the caller has them. After `join` the least core label around is in `numbers`. */
static void number(dbscan *s, int64_t *labels, int64_t *names)
{
    const int64_t *order = s->blocks ? s->blocks->order : NULL;
    int64_t rows = s->points.rows, *first = names + rows;
    for (int64_t r = 0; r < rows; r++) names[r] = -1, labels[r] = -1;
    for (int64_t p = 0; p < rows; p++) first[order ? order[p] : p] = p;
    for (int64_t r = 0; r < rows; r++) {
        int64_t p = first[r];
        if (s->parent[p] < 0) continue;
        int64_t top = root(s->parent, p);
        if (names[top] < 0) names[top] = s->report.clusters++;
        labels[r] = names[top];
    }
}

/* Points that are no core points, from labels that are numbers of clusters. */
static quern_status reach(dbscan *s, int64_t *labels)
{
    const int64_t *order = s->blocks ? s->blocks->order : NULL;
    for (int64_t p = 0; p < s->points.rows; p++)
        s->numbers[p] = s->parent[p] < 0 ? INFINITY : (double)labels[order ? order[p] : p];
    Q_TRY(q_view_write(s->points.context, quern_array_view(s->labels), quern_f64(s->numbers, s->points.rows, 1)));
    Q_TRY(run(s, s->spread));
    for (int64_t p = 0; p < s->points.rows; p++) {
        if (s->parent[p] >= 0) continue;
        bool near = isfinite(s->numbers[p]);
        labels[order ? order[p] : p] = near ? (int64_t)s->numbers[p] : -1;
        s->report.noise += !near;
    }
    return QUERN_OK;
}

/* Points in the order of the blocks. */
static quern_status sort_points(dbscan *s, double radius)
{
    q_points *p = &s->points;
    Q_TRY(quern_clusters_kd(&s->blocks, p->host, BLOCK));
    void *sorted = q_points_block(p, p->rows, p->dim);
    if (!sorted) return q_fail_memory((size_t)(p->rows * p->dim) * sizeof(double));
    quern_view view = quern_view_of(sorted, p->dtype, p->rows, p->dim);
    quern_status status = quern_clusters_sort(s->blocks, view, p->host);
    if (!status) status = quern_array_write(p->array, view);
    /* a little more than the radius: boxes and distances are rounded */
    if (!status) status = quern_ranges_within(&s->near, s->blocks, view, s->blocks, view, radius * (1 + 1e-5));
    free(sorted);
    return status;
}

static quern_status create(dbscan *s, double radius, const char *distance)
{
    const q_points *p = &s->points;
    quern_context *context = p->context;
    bool euclidean = !distance;
    if (euclidean) Q_TRY(sort_points(s, radius));
    s->numbers = malloc((size_t)p->rows * sizeof(double) + 1);
    s->parent = malloc((size_t)p->rows * sizeof(int64_t) + 1);
    if (!s->numbers || !s->parent) return q_fail_memory((size_t)p->rows * 2 * sizeof(double));
    s->limit = euclidean ? radius * radius : radius;
    Q_TRY(quern_array_create(&s->labels, context, p->dtype, p->rows, 1));
    Q_TRY(quern_array_create(&s->found, context, p->dtype, p->rows, 1));
    Q_TRY(q_distance_compile(&s->count, context, distance, p->dim,
                             "quern_radius=Pm(1); quern_label=Vj(1); Sum_j(LessOrEqual(" Q_DISTANCE ",quern_radius))",
                             NULL));
    return q_distance_compile(&s->spread, context, distance, p->dim,
                              "quern_radius=Pm(1); quern_label=Vj(1); Min_j(Where(LessOrEqual(" Q_DISTANCE
                              ",quern_radius),quern_label,1/0))",
                              NULL);
}

static void destroy(dbscan *s)
{
    quern_operator_destroy(&s->count), quern_operator_destroy(&s->spread);
    quern_array_destroy(&s->labels), quern_array_destroy(&s->found);
    quern_ranges_destroy(&s->near), quern_clusters_destroy(&s->blocks);
    q_points_destroy(&s->points);
    free(s->numbers), free(s->parent);
}

static quern_status cluster(dbscan *s, double radius, int64_t neighbors, const char *distance, quern_view to)
{
    int64_t rows = s->points.rows;
    Q_TRY(create(s, radius, distance));
    Q_TRY(find_core(s, neighbors));
    Q_TRY(join(s));
    int64_t *labels = malloc((size_t)rows * 3 * sizeof *labels + 1);
    if (!labels) return q_fail_memory((size_t)rows * 3 * sizeof *labels);
    number(s, labels, labels + rows);
    quern_status status = reach(s, labels);
    if (!status) status = q_view_write(s->points.context, to, quern_i64(labels, rows, 1));
    free(labels);
    return status;
}

quern_status quern_dbscan(quern_context *context, quern_view points, double radius, int64_t neighbors,
                          quern_view labels, const char *distance, quern_density_clusters_report *report)
{
    dbscan s = {.report = {.size = sizeof s.report, .converged = true}};
    if (!context) return q_fail_null(__func__, "context");
    if (!(radius >= 0) || isinf(radius))
        return q_fail(QUERN_USAGE, "the radius is %g; it must be finite and at least 0", radius);
    if (neighbors < 1)
        return q_fail(QUERN_USAGE, "core points have at least %lld neighbours; there must be 1, the point itself",
                      (long long)neighbors);
    Q_TRY(q_shape_check("points", &points, -1, -1));
    Q_TRY(q_shape_check("labels", &labels, points.rows, 1));
    if (points.dtype != QUERN_F64 && points.rows > 1 << 24)
        return q_fail(QUERN_LIMIT, "%lld points cannot be told apart in float32; at most 2^24 can",
                      (long long)points.rows);
    Q_TRY(q_points_create(&s.points, context, points));
    quern_status status = points.rows ? cluster(&s, radius, neighbors, distance, labels) : QUERN_OK;
    destroy(&s);
    if (!status && report) q_report_copy(report, &s.report, sizeof s.report);
    return status;
}
