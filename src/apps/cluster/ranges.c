/*
 * cluster_ranges.c: ranges of clusters that meet, found in order: for each cluster of the rows those of the columns.
 * Neighbouring columns become one span, and rows that meet nothing have no block. Near clusters are found in a tree of boxes
 * over the columns' clusters, which stand in an order in which near ones are mostly near each other.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/cluster/cluster.h"

// ---- growing ranges ----

typedef struct builder {
    quern_span *rows, *columns;
    int64_t *first;
    size_t blocks, spans, row_room, column_room, first_room;
    bool failed; /* memory ran out */
} builder;

/* Adds a span to the last block, of these rows if they are new. */
static void add(builder *b, quern_span rows, quern_span columns)
{
    bool begins = !b->blocks || b->rows[b->blocks - 1].from != rows.from;
    if (!begins && b->columns[b->spans - 1].to == columns.from) {
        b->columns[b->spans - 1].to = columns.to;
        return;
    }
    if (!q_grow(&b->rows, &b->row_room, b->blocks + 1, sizeof *b->rows) ||
        !q_grow(&b->first, &b->first_room, b->blocks + 2, sizeof *b->first) ||
        !q_grow(&b->columns, &b->column_room, b->spans + 1, sizeof *b->columns)) {
        b->failed = true;
        return;
    }
    if (begins) {
        b->first[b->blocks] = (int64_t)b->spans;
        b->rows[b->blocks++] = rows;
    }
    b->columns[b->spans++] = columns;
    b->first[b->blocks] = (int64_t)b->spans;
}

/* Ranges in one block of memory, which quern_ranges_destroy frees. */
static quern_status take(quern_ranges **out, builder *b)
{
    size_t spans = (b->blocks + b->spans) * sizeof(quern_span), firsts = (b->blocks + 1) * sizeof(int64_t);
    char *memory = b->failed ? NULL : malloc(sizeof **out + spans + firsts);
    if (memory) {
        quern_span *rows = (quern_span *)(void *)(memory + sizeof **out);
        int64_t *first = (int64_t *)(void *)(memory + sizeof **out + spans);
        if (b->blocks) {
            memcpy(rows, b->rows, b->blocks * sizeof *rows);
            memcpy(rows + b->blocks, b->columns, b->spans * sizeof *rows);
            memcpy(first, b->first, firsts);
        } else {
            first[0] = 0;
        }
        *out = (quern_ranges *)(void *)memory;
        **out = (quern_ranges){b->blocks, rows, first, rows + b->blocks};
    }
    free(b->rows);
    free(b->first);
    free(b->columns);
    return memory ? QUERN_OK : q_fail_memory(sizeof **out + spans + firsts);
}

void quern_ranges_destroy(quern_ranges **ranges)
{
    if (!ranges) return;
    free(*ranges);
    *ranges = NULL;
}

int64_t quern_ranges_pairs(const quern_ranges *ranges)
{
    int64_t pairs = 0;
    for (size_t k = 0; ranges && k < ranges->block_count; k++)
        for (int64_t s = ranges->first[k]; s < ranges->first[k + 1]; s++)
            pairs += (ranges->rows[k].to - ranges->rows[k].from) * (ranges->columns[s].to - ranges->columns[s].from);
    return pairs;
}

// ---- pairs of clusters ----

static quern_span places(const quern_clusters *clusters, int64_t c)
{
    return (quern_span){clusters->first[c], clusters->first[c + 1]};
}

static quern_status check(const char *function, quern_ranges **out, const quern_clusters *rows,
                          const quern_clusters *columns)
{
    if (!out) return q_fail_null(function, "out");
    *out = NULL;
    if (!rows) return q_fail_null(function, "rows");
    return columns ? QUERN_OK : q_fail_null(function, "columns");
}

quern_status quern_ranges_matrix(quern_ranges **out, const quern_clusters *rows, const quern_clusters *columns,
                                 const bool *keep)
{
    Q_TRY(check(__func__, out, rows, columns));
    if (!keep && rows->count && columns->count) return q_fail_null(__func__, "keep");
    builder b = {0};
    for (int64_t r = 0; r < rows->count; r++)
        for (int64_t c = 0; c < columns->count && !b.failed; c++)
            if (keep[r * columns->count + c]) add(&b, places(rows, r), places(columns, c));
    return take(out, &b);
}

// ---- distances ----

/* A box is its least coordinates and then its largest; a centroid is one without extent. Columns are a tree: node 1 has all
   clusters, and 2 k and 2 k + 1 the halves of those of node k, down to one; its box holds theirs. */
typedef struct boxes {
    double *rows, *nodes;
    int64_t dim;
    double radius;
    const quern_clusters *columns;
    const double *periods; /* null: none */
} boxes;

/* How far two intervals are apart, below 0 where they overlap; on a circle also the other way round. */
static double gap_of(const double x[2], const double y[2], double period)
{
    double gap = fmax(x[0] - y[1], y[0] - x[1]);
    if (period > 0) gap = fmin(gap, period - fmax(x[1] - y[0], y[1] - x[0]));
    return gap;
}

static bool near(const boxes *b, const double *x, const double *y)
{
    double square = 0, largest = 0;
    for (int64_t d = 0; d < b->dim; d++) {
        double gap =
            gap_of((double[]){x[d], x[b->dim + d]}, (double[]){y[d], y[b->dim + d]}, b->periods ? b->periods[d] : 0);
        if (isnan(x[d]) || isnan(y[d])) return true;
        if (!(gap > 0)) continue;
        if (gap > largest) square *= (largest / gap) * (largest / gap), largest = gap;
        square += (gap / largest) * (gap / largest);
    }
    /* what the distance is rounded up by hides no pair */
    return !(largest * (1 - 0x1p-40) > b->radius) && !(largest * sqrt(square) * (1 - 0x1p-40) > b->radius);
}

/* NaN where one of them is. */
static double least(double x, double y)
{
    return isnan(x) || x < y ? x : y;
}

/* The boxes of the node with clusters from .. to - 1 and of all below it; `own` has those of the clusters. */
static void fill_node(boxes *b, const double *own, int64_t node, int64_t from, int64_t to)
{
    double *box = b->nodes + 2 * node * b->dim, *halves[2] = {b->nodes + 4 * node * b->dim, NULL};
    halves[1] = halves[0] + 2 * b->dim;
    if (to - from == 1) {
        memcpy(box, own + 2 * from * b->dim, (size_t)(2 * b->dim) * sizeof *box);
        return;
    }
    fill_node(b, own, 2 * node, from, from + (to - from) / 2);
    fill_node(b, own, 2 * node + 1, from + (to - from) / 2, to);
    for (int64_t d = 0; d < b->dim; d++) {
        box[d] = least(halves[0][d], halves[1][d]);
        box[b->dim + d] = -least(-halves[0][b->dim + d], -halves[1][b->dim + d]);
    }
}

/* Adds the clusters from .. to - 1 of the columns, those of the node, that are near a box. */
static void add_near(builder *out, const boxes *b, quern_span rows, const double *box, int64_t node, int64_t from,
                     int64_t to)
{
    int64_t half = from + (to - from) / 2;
    if (out->failed || from == to || !near(b, box, b->nodes + 2 * node * b->dim)) return;
    if (to - from == 1) {
        add(out, rows, places(b->columns, from));
        return;
    }
    add_near(out, b, rows, box, 2 * node, from, half);
    add_near(out, b, rows, box, 2 * node + 1, half, to);
}

static quern_status boxes_of(double **out, const quern_clusters *clusters, const quern_view *points, bool centroids)
{
    int64_t dim = points->columns;
    *out = q_block(2 * clusters->count * dim, sizeof **out);
    if (!*out) return q_fail_memory((size_t)(2 * clusters->count * dim) * sizeof **out);
    quern_view low = quern_f64(*out, clusters->count, dim), high = low;
    low.stride = high.stride = 2 * dim;
    high.data = *out + dim;
    if (!centroids) return quern_clusters_boxes(clusters, low, high, *points);
    Q_TRY(quern_clusters_centroids(clusters, low, *points, (quern_view){0}));
    return quern_clusters_centroids(clusters, high, *points, (quern_view){0});
}

static quern_status make_tree(boxes *b, const quern_view *points, bool centroids)
{
    double *own;
    int64_t nodes = 2; /* as many as a tree of that depth can have */
    while (nodes < 4 * b->columns->count) nodes *= 2;
    quern_status status = boxes_of(&own, b->columns, points, centroids);
    b->nodes = status ? NULL : q_block(2 * nodes * b->dim, sizeof *b->nodes);
    if (!status && !b->nodes) status = q_fail_memory((size_t)(2 * nodes * b->dim) * sizeof *b->nodes);
    if (!status && b->columns->count) fill_node(b, own, 1, 0, b->columns->count);
    free(own);
    return status;
}

static quern_status build_near(quern_ranges **out, const quern_clusters *rows, const quern_view *row_points,
                               const quern_clusters *columns, const quern_view *column_points, double radius,
                               bool centroids, const double *periods)
{
    boxes b = {NULL, NULL, row_points->columns, radius, columns, periods};
    builder found = {0};
    Q_TRY(q_host_shape_check("row_points", row_points, rows->rows, -1));
    Q_TRY(q_host_shape_check("column_points", column_points, columns->rows, row_points->columns));
    if (!(radius >= 0)) return q_fail(QUERN_USAGE, "the radius is %g; it must be 0 or more", radius);
    quern_status status = boxes_of(&b.rows, rows, row_points, centroids);
    if (!status) status = make_tree(&b, column_points, centroids);
    for (int64_t r = 0; r < rows->count && !status; r++)
        add_near(&found, &b, places(rows, r), b.rows + 2 * r * b.dim, 1, 0, columns->count);
    if (!status) status = take(out, &found);
    free(b.rows);
    free(b.nodes);
    return status;
}

quern_status quern_ranges_within(quern_ranges **out, const quern_clusters *rows, quern_view row_points,
                                 const quern_clusters *columns, quern_view column_points, double radius)
{
    Q_TRY(check(__func__, out, rows, columns));
    return build_near(out, rows, &row_points, columns, &column_points, radius, false, NULL);
}

quern_status quern_ranges_centroids(quern_ranges **out, const quern_clusters *rows, quern_view row_points,
                                    const quern_clusters *columns, quern_view column_points, double radius)
{
    Q_TRY(check(__func__, out, rows, columns));
    return build_near(out, rows, &row_points, columns, &column_points, radius, true, NULL);
}

static quern_status check_within(const char *name, const quern_view *points, const double *periods)
{
    for (int64_t d = 0; d < points->columns; d++) {
        if (!(periods[d] >= 0) || isinf(periods[d]))
            return q_fail(QUERN_USAGE, "the period of coordinate %lld is %g", (long long)d, periods[d]);
        for (int64_t r = 0; r < points->rows && periods[d] > 0; r++) {
            double at = q_host_read(points, r, d);
            if (at < 0 || at > periods[d])
                return q_fail(QUERN_USAGE, "coordinate %lld of row %lld of %s is %g; with a period it is from 0 to %g",
                              (long long)d, (long long)r, name, at, periods[d]);
        }
    }
    return QUERN_OK;
}

quern_status quern_ranges_periodic(quern_ranges **out, const quern_clusters *rows, quern_view row_points,
                                   const quern_clusters *columns, quern_view column_points, double radius,
                                   const double *periods)
{
    Q_TRY(check(__func__, out, rows, columns));
    if (!periods) return q_fail_null(__func__, "periods");
    Q_TRY(q_host_shape_check("row_points", &row_points, rows->rows, -1));
    Q_TRY(q_host_shape_check("column_points", &column_points, columns->rows, row_points.columns));
    Q_TRY(check_within("row_points", &row_points, periods));
    Q_TRY(check_within("column_points", &column_points, periods));
    return build_near(out, rows, &row_points, columns, &column_points, radius, false, periods);
}

// ---- labels ----

static quern_status check_labels(const char *name, const quern_view *labels)
{
    Q_TRY(q_host_shape_check(name, labels, labels->rows, 1));
    for (int64_t r = 0; r < labels->rows; r++) Q_TRY(q_label_check(labels, r, q_host_read(labels, r, 0)));
    for (int64_t r = 1; r < labels->rows; r++) {
        double a = q_host_read(labels, r - 1, 0), b = q_host_read(labels, r, 0);
        if (a <= b || isnan(b)) continue;
        q_fail(QUERN_USAGE, "%s are not in ascending order: row %lld has %g after %g", name, (long long)r, b, a);
        q_fail_next_step("sort rows by label with quern_clusters_labels and quern_clusters_sort");
        return QUERN_USAGE;
    }
    return QUERN_OK;
}

/* The rows from `from` on with the label of that row. */
static quern_span like(const quern_view *labels, int64_t from)
{
    quern_span span = {from, from};
    double label = q_host_read(labels, from, 0);
    while (span.to < labels->rows && q_host_read(labels, span.to, 0) == label) span.to++;
    return span;
}

quern_status quern_ranges_labels(quern_ranges **out, quern_view row_labels, quern_view column_labels)
{
    builder b = {0};
    if (!out) return q_fail_null(__func__, "out");
    *out = NULL;
    Q_TRY(check_labels("row_labels", &row_labels));
    Q_TRY(check_labels("column_labels", &column_labels));
    for (int64_t r = 0, c = 0; r < row_labels.rows && c < column_labels.rows && !b.failed;) {
        double x = q_host_read(&row_labels, r, 0), y = q_host_read(&column_labels, c, 0);
        if (isnan(x) || isnan(y)) break;
        if (x < y) r++;
        else if (y < x) c++;
        else {
            quern_span rows = like(&row_labels, r), columns = like(&column_labels, c);
            add(&b, rows, columns);
            r = rows.to;
            c = columns.to;
        }
    }
    return take(out, &b);
}
