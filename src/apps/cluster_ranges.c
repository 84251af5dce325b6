/*
 * cluster_ranges.c: ranges of clusters that meet. A builder is a question, whether cluster r of the rows meets cluster c of
 * the columns, which is asked for all pairs in order; neighbouring columns become one span. Rows that meet nothing have no
 * block.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/cluster.h"

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

/* Whether cluster r of the rows meets cluster c of the columns. */
typedef bool meets(const void *self, int64_t r, int64_t c);

static quern_span places(const quern_clusters *clusters, int64_t c)
{
    return (quern_span){clusters->first[c], clusters->first[c + 1]};
}

static quern_status build(quern_ranges **out, const quern_clusters *rows, const quern_clusters *columns,
                          meets *question, const void *self)
{
    builder b = {0};
    for (int64_t r = 0; r < rows->count; r++)
        for (int64_t c = 0; c < columns->count && !b.failed; c++)
            if (question(self, r, c)) add(&b, places(rows, r), places(columns, c));
    return take(out, &b);
}

static quern_status check(const char *function, quern_ranges **out, const quern_clusters *rows,
                          const quern_clusters *columns)
{
    if (!out) return q_fail_null(function, "out");
    *out = NULL;
    if (!rows) return q_fail_null(function, "rows");
    return columns ? QUERN_OK : q_fail_null(function, "columns");
}

typedef struct matrix {
    const bool *keep;
    int64_t columns;
} matrix;

static bool in_matrix(const void *self, int64_t r, int64_t c)
{
    const matrix *m = self;
    return m->keep[r * m->columns + c];
}

quern_status quern_ranges_matrix(quern_ranges **out, const quern_clusters *rows, const quern_clusters *columns,
                                 const bool *keep)
{
    Q_TRY(check(__func__, out, rows, columns));
    if (!keep && rows->count && columns->count) return q_fail_null(__func__, "keep");
    return build(out, rows, columns, in_matrix, &(matrix){keep, columns->count});
}

// ---- distances ----

/* Boxes of clusters: by cluster, least coordinates and then largest; a centroid is a box without extent. */
typedef struct boxes {
    double *rows, *columns;
    int64_t dim;
    double radius;
} boxes;

static bool near(const void *self, int64_t r, int64_t c)
{
    const boxes *b = self;
    const double *x = b->rows + 2 * r * b->dim, *y = b->columns + 2 * c * b->dim;
    double distance = 0;
    for (int64_t d = 0; d < b->dim; d++) {
        double gap = fmax(x[d] - y[b->dim + d], y[d] - x[b->dim + d]); /* below 0 where they overlap */
        if (isnan(x[d]) || isnan(y[d])) return true;
        if (gap > 0) distance = hypot(distance, gap);
    }
    return !(distance * (1 - 0x1p-40) > b->radius); /* what the distance is rounded up by hides no pair */
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

static quern_status build_near(quern_ranges **out, const quern_clusters *rows, const quern_view *row_points,
                               const quern_clusters *columns, const quern_view *column_points, double radius,
                               bool centroids)
{
    boxes b = {NULL, NULL, row_points->columns, radius};
    Q_TRY(q_host_shape_check("row_points", row_points, rows->rows, -1));
    Q_TRY(q_host_shape_check("column_points", column_points, columns->rows, row_points->columns));
    if (!(radius >= 0)) return q_fail(QUERN_USAGE, "the radius is %g; it must be 0 or more", radius);
    quern_status status = boxes_of(&b.rows, rows, row_points, centroids);
    if (!status) status = boxes_of(&b.columns, columns, column_points, centroids);
    if (!status) status = build(out, rows, columns, near, &b);
    free(b.rows);
    free(b.columns);
    return status;
}

quern_status quern_ranges_within(quern_ranges **out, const quern_clusters *rows, quern_view row_points,
                                 const quern_clusters *columns, quern_view column_points, double radius)
{
    Q_TRY(check(__func__, out, rows, columns));
    return build_near(out, rows, &row_points, columns, &column_points, radius, false);
}

quern_status quern_ranges_centroids(quern_ranges **out, const quern_clusters *rows, quern_view row_points,
                                    const quern_clusters *columns, quern_view column_points, double radius)
{
    Q_TRY(check(__func__, out, rows, columns));
    return build_near(out, rows, &row_points, columns, &column_points, radius, true);
}

// ---- labels ----

static quern_status check_labels(const char *name, const quern_view *labels)
{
    Q_TRY(q_host_shape_check(name, labels, labels->rows, 1));
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
