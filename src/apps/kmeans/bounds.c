/*
 * bounds.c: steps of k-means that leave out distances which cannot matter (Ding, Zhao, Shen, Musuvathi and Mytkowicz, 2015, after Elkan,
 * 2003, and Hamerly, 2010). Centroids are in groups; for each point and group there is a number that is below the distance of the
 * point from every centroid of the group but its own. A step makes it less by what the group's centroids have moved; while it is
 * above the distance from the point's own centroid, the group is none of the point's business. Of each group those points are
 * compared that are left, as rows of a smaller run.
 *
 * Invariant: labels are those that a comparison with all centroids gives. Bounds allow for the rounding of distances; where the two
 * nearest are as near as that, the point is compared with all.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/kmeans/kmeans.h"

/* A point that is picked costs a copy, so what a group saves should be some thousands of products. */
enum { WORTH = 12288, MOST_GROUPS = 64, GROUPING_STEPS = 5, LEAST_PICKED = 2048, TRIED = 128, MOST_ROWS = 1 << 24 };

struct q_bounds {
    const struct metric *metric;
    quern_operator *two;           /* the two nearest */
    quern_array *picked, *grouped; /* those rows; centroids, group by group */
    int64_t groups, padding;
    bool fresh;                        /* the last step has compared all points with all groups */
    int64_t *first;                    /* of each group in `order`, and one more */
    int32_t *order, *group;            /* centroids, group by group and by number; the group of each */
    double *at;                        /* k x dim: where the device had the centroids at the last step */
    float *lower, *upper;              /* groups x rows: the bounds; rows: above the distance from the own centroid */
    int32_t *rows, *label;             /* points to be compared; the nearest so far */
    double *nearest, *runner, *second; /* its distance; the least of all others met; the least of others in its group */
    int32_t *found;                    /* rows x 2 */
    void *near;                        /* rows x 2 */
    void *block;                       /* the points that are picked */
    double slack, tiny;                /* of distances: relative, absolute */
};

// ---- distances that bounds are known for ----

static const struct metric {
    const char *text;
    bool squared;
} metrics[] = {
    {"SqDist(x,y)", true},
    {"Norm2(x-y)", false},
};

static const struct metric *find_metric(const char *distance)
{
    if (!distance) return &metrics[0];
    for (size_t k = 0; k < Q_COUNT(metrics); k++)
        if (!strcmp(distance, metrics[k].text)) return &metrics[k];
    return NULL;
}

static bool may_pay(q_kmeans *m, int64_t changed)
{
    const q_points *p = m->points;
    if (m->options.bounds == QUERN_OFF || !find_metric(m->options.distance) || p->rows > MOST_ROWS) return false;
    if (m->options.bounds == QUERN_ON) return true;
    if (strcmp(quern_context_device(p->context)->kind, "cpu")) return false;
    return m->pause-- <= 0 && p->rows >= 4 * LEAST_PICKED && m->k * p->dim >= 2 * WORTH && changed < p->rows / 8;
}

/* What is surely above, and below, a distance that was computed as `value`. */
static float above(const q_bounds *b, double value)
{
    double distance = b->metric->squared ? sqrt(value) : value;
    return (float)(distance * (1 + b->slack) + b->tiny);
}

static float below(const q_bounds *b, double value)
{
    double distance = b->metric->squared ? sqrt(value) : value;
    return (float)(distance * (1 - b->slack) - b->tiny);
}

static double number_at(const q_kmeans *m, const void *numbers, int64_t at)
{
    return m->points->dtype == QUERN_F32 ? (double)((const float *)numbers)[at] : ((const double *)numbers)[at];
}

// ---- groups ----

static double square(const double *a, const double *b, int64_t dim)
{
    double sum = 0;
    for (int64_t d = 0; d < dim; d++) sum += (a[d] - b[d]) * (a[d] - b[d]);
    return sum;
}

/* Each centroid into the group with the nearest middle. */
static void assign_groups(q_bounds *b, const q_kmeans *m, const double *middle)
{
    for (int64_t c = 0; c < m->k; c++) {
        double least = INFINITY;
        for (int64_t g = 0; g < b->groups; g++) {
            double far = square(m->centre + c * m->points->dim, middle + g * m->points->dim, m->points->dim);
            if (far < least) least = far, b->group[c] = (int32_t)g;
        }
    }
}

static void place_middles(const q_bounds *b, const q_kmeans *m, double *middle)
{
    int64_t dim = m->points->dim;
    for (int64_t g = 0; g < b->groups; g++) {
        int64_t count = 0;
        for (int64_t c = 0; c < m->k; c++) {
            if (b->group[c] != g) continue;
            count++;
            for (int64_t d = 0; d < dim; d++) {
                double *at = middle + g * dim + d;
                *at += (m->centre[c * dim + d] - *at) / (double)count;
            }
        }
    }
}

/* Some steps of k-means on the centroids. */
static quern_status make_groups(q_bounds *b, const q_kmeans *m)
{
    int64_t dim = m->points->dim, at = 0;
    double *middle = malloc((size_t)(b->groups * dim) * sizeof *middle);
    if (!middle) return q_fail_memory((size_t)(b->groups * dim) * sizeof *middle);
    for (int64_t g = 0; g < b->groups; g++)
        memcpy(middle + g * dim, m->centre + m->k * g / b->groups * dim, (size_t)dim * sizeof *middle);
    for (int step = 0; step < GROUPING_STEPS; step++) {
        assign_groups(b, m, middle);
        place_middles(b, m, middle);
    }
    free(middle);
    for (int64_t g = 0; g < b->groups; g++) {
        b->first[g] = at;
        for (int64_t c = 0; c < m->k; c++)
            if (b->group[c] == g) b->order[at++] = (int32_t)c;
    }
    b->first[b->groups] = at;
    return QUERN_OK;
}

/* What the farthest of each group has moved. */
static void find_drift(const q_bounds *b, const q_kmeans *m, const double *now, const double *before, float *drift)
{
    int64_t dim = m->points->dim;
    for (int64_t g = 0; g < b->groups; g++) drift[g] = 0;
    for (int64_t c = 0; c < m->k; c++) {
        double moved = sqrt(square(now + c * dim, before + c * dim, dim));
        float most = moved > 0 ? (float)(moved * (1 + 0x1p-20)) + FLT_MIN : 0;
        if (most > drift[b->group[c]]) drift[b->group[c]] = most;
    }
}

/* The share of the distances that bounds would leave if centroids moved once more as they have; of some points. */
static double share_expected(const q_bounds *b, const q_kmeans *m)
{
    const q_points *p = m->points;
    float drift[MOST_GROUPS];
    double left = 0;
    find_drift(b, m, m->centre, m->before, drift);
    for (int64_t s = 0; s < TRIED; s++) {
        int64_t row = p->rows * s / TRIED;
        double own = sqrt(q_points_square(p, row, m->centre + m->all.labels[row] * p->dim));
        for (int64_t g = 0; g < b->groups; g++) {
            double least = INFINITY;
            for (int64_t i = b->first[g]; i < b->first[g + 1]; i++)
                if (b->order[i] != m->all.labels[row])
                    least = fmin(least, q_points_square(p, row, m->centre + b->order[i] * p->dim));
            if (sqrt(least) - (double)drift[g] <= own) left += (double)(b->first[g + 1] - b->first[g]);
        }
    }
    return left / TRIED / (double)m->k;
}

// ---- making and ending ----

static quern_status allocate(q_bounds *b, const q_kmeans *m)
{
    size_t rows = (size_t)m->points->rows, k = (size_t)m->k, groups = (size_t)b->groups;
    b->at = calloc(k * (size_t)m->points->dim, sizeof *b->at);
    b->lower = malloc(rows * groups * sizeof *b->lower), b->upper = malloc(rows * sizeof *b->upper);
    b->rows = malloc(rows * sizeof *b->rows), b->label = malloc(rows * sizeof *b->label);
    b->nearest = malloc(3 * rows * sizeof *b->nearest);
    b->found = malloc(2 * rows * sizeof *b->found), b->near = q_points_block(m->points, m->points->rows, 2);
    b->block = q_points_block(m->points, m->points->rows, m->points->dim);
    if (!b->at || !b->lower || !b->upper || !b->rows || !b->label || !b->nearest || !b->found || !b->near || !b->block)
        return q_fail_memory(rows * (groups + 12) * sizeof(float));
    b->runner = b->nearest + rows, b->second = b->runner + rows;
    for (size_t e = 0; e < rows * groups; e++) b->lower[e] = -1;
    return QUERN_OK;
}

static quern_status create(q_bounds *b, const q_kmeans *m)
{
    const q_points *p = m->points;
    const bool single = p->dtype == QUERN_F32;
    b->padding = p->rows / 32; /* few sizes of runs, whose plans and buffers are kept */
    if (b->padding < LEAST_PICKED) b->padding = LEAST_PICKED;
    b->slack = (double)(4 * p->dim + 16) * (single ? (double)FLT_EPSILON : DBL_EPSILON) + 0x1p-22;
    b->tiny = sqrt((double)p->dim * (single ? (double)FLT_MIN : DBL_MIN)) + (double)FLT_MIN;
    Q_TRY(allocate(b, m));
    Q_TRY(q_distance_compile(&b->two, p->context, b->metric->text, p->dim, "ArgKMin_j(" Q_DISTANCE ",2)",
                             "KMin_j(" Q_DISTANCE ",2)"));
    Q_TRY(quern_array_create(&b->picked, p->context, p->dtype, p->rows, p->dim));
    return quern_array_create(&b->grouped, p->context, p->dtype, m->k, p->dim);
}

/* Groups, and bounds if these are worth it. */
static quern_status begin(q_kmeans *m, bool *worth)
{
    q_bounds *b = m->bounds;
    b->metric = find_metric(m->options.distance);
    b->groups = m->k * m->points->dim / WORTH;
    if (b->groups > MOST_GROUPS) b->groups = MOST_GROUPS;
    if (b->groups < 1) b->groups = 1;
    b->first = malloc(((size_t)b->groups + 1) * sizeof *b->first);
    b->order = malloc((size_t)m->k * sizeof *b->order);
    b->group = calloc((size_t)m->k, sizeof *b->group);
    if (!b->first || !b->order || !b->group) return q_fail_memory((size_t)m->k * sizeof(int64_t));
    Q_TRY(make_groups(b, m));
    *worth = m->options.bounds == QUERN_ON || share_expected(b, m) < 0.25;
    return *worth ? create(b, m) : QUERN_OK;
}

void q_bounds_destroy(q_kmeans *m)
{
    q_bounds *b = m->bounds;
    if (!b) return;
    quern_operator_destroy(&b->two);
    quern_array_destroy(&b->picked), quern_array_destroy(&b->grouped);
    free(b->first), free(b->order), free(b->group), free(b->at), free(b->lower), free(b->upper);
    free(b->rows), free(b->label), free(b->nearest), free(b->found), free(b->near), free(b->block);
    free(b);
    m->bounds = NULL;
}

/* Until later than the last time. */
static void put_off(q_kmeans *m)
{
    q_bounds_destroy(m);
    m->pause = m->rest = 2 * m->rest + 1;
}

quern_status q_bounds_try(q_kmeans *m, int64_t changed)
{
    bool worth = false;
    if (!may_pay(m, changed)) return QUERN_OK;
    m->bounds = calloc(1, sizeof *m->bounds);
    if (!m->bounds) return q_fail_memory(sizeof *m->bounds);
    Q_TRY(begin(m, &worth));
    if (!worth) put_off(m);
    return QUERN_OK;
}

void q_bounds_forget(q_kmeans *m, int64_t row)
{
    for (int64_t g = 0; m->bounds && g < m->bounds->groups; g++) m->bounds->lower[g * m->points->rows + row] = -1;
}

// ---- one step ----

/* The centroids to the device, in both orders. What the farthest of each group has moved makes its bounds less. */
static quern_status move_centroids(q_bounds *b, q_kmeans *m)
{
    int64_t dim = m->points->dim, rows = m->points->rows;
    quern_view at = quern_f64(b->at, m->k, dim);
    float drift[MOST_GROUPS];
    double *now = malloc((size_t)(m->k * dim) * sizeof *now);
    if (!now) return q_fail_memory((size_t)(m->k * dim) * sizeof *now);
    for (int64_t e = 0; e < m->k * dim; e++)
        now[e] = m->points->dtype == QUERN_F32 ? (double)(float)m->centre[e] : m->centre[e];
    find_drift(b, m, now, b->at, drift);
    for (int64_t c = 0; c < m->k; c++) memcpy(b->at + c * dim, now + b->order[c] * dim, (size_t)dim * sizeof *now);
    quern_status status = q_view_write(m->points->context, quern_array_view(b->grouped), at);
    memcpy(b->at, now, (size_t)(m->k * dim) * sizeof *now);
    free(now);
    if (!status) status = q_view_write(m->points->context, quern_array_view(m->centroids), at);
    for (int64_t g = 0; g < b->groups && !status; g++) {
        float *lower = b->lower + g * rows, by = drift[g];
        for (int64_t r = 0; r < rows && by > 0; r++) lower[r] = lower[r] * (1 - 0x1p-22f) - by;
    }
    return status;
}

/* Distances from the centroids whose labels points have. */
static void measure_own(q_bounds *b, q_kmeans *m)
{
    const q_points *p = m->points;
    for (int64_t r = 0; r < p->rows; r++) {
        double own = q_points_square(p, r, b->at + m->all.labels[r] * p->dim);
        b->nearest[r] = b->metric->squared ? own : sqrt(own);
        b->upper[r] = above(b, b->nearest[r]);
        b->label[r] = m->all.labels[r];
        b->runner[r] = b->second[r] = INFINITY;
        q_distance_write(m, &m->all, r, b->nearest[r]);
    }
    m->distances += p->rows;
}

/* The points of `rows`, of which there are `count`, for a run; all points where they are most of them. */
static quern_status pick_rows(q_bounds *b, q_kmeans *m, int64_t *count, quern_view *out)
{
    const q_points *p = m->points;
    int64_t padded = (*count + b->padding - 1) / b->padding * b->padding;
    if (padded > p->rows * 3 / 5) {
        for (int64_t r = 0; r < p->rows; r++) b->rows[r] = (int32_t)r;
        *count = p->rows, *out = m->all.points;
        return QUERN_OK;
    }
    q_points_pick(p, b->rows, *count, b->block); /* what is behind them is from earlier, and not looked at */
    *out = quern_view_rows(quern_array_view(b->picked), 0, padded);
    return quern_copy(p->context, *out, quern_view_of(b->block, p->dtype, padded, p->dim));
}

/* What a run has found for point r in a group: its nearest centroid there, and the distances of the nearest two. */
static void take(q_bounds *b, const q_kmeans *m, int64_t g, int64_t r, int32_t found, const double near[2])
{
    bool own = found == m->all.labels[r];
    b->lower[g * m->points->rows + r] = below(b, near[own]);
    if (own) {
        b->runner[r] = fmin(b->runner[r], near[1]);
    } else if (near[0] < b->nearest[r]) {
        b->runner[r] = fmin(fmin(b->runner[r], b->nearest[r]), near[1]);
        b->nearest[r] = near[0], b->second[r] = near[1], b->label[r] = found;
    } else {
        b->runner[r] = fmin(b->runner[r], near[0]);
    }
}

static bool concerns(const q_bounds *b, const float *lower, int64_t r)
{
    return !(b->upper[r] < lower[r]);
}

static quern_status compare_with_group(q_bounds *b, q_kmeans *m, int64_t g)
{
    int64_t rows = m->points->rows, size = b->first[g + 1] - b->first[g], count = 0;
    const float *lower = b->lower + g * rows;
    quern_view x;
    for (int64_t r = 0; r < rows && size; r++)
        if (b->fresh || concerns(b, lower, r)) b->rows[count++] = (int32_t)r;
    if (!count) return QUERN_OK;
    Q_TRY(pick_rows(b, m, &count, &x));
    quern_view y = quern_view_rows(quern_array_view(b->grouped), b->first[g], size);
    Q_TRY(quern_run_all(b->two, QUERN_ARGS({"x", x}, {"y", y}),
                        QUERN_OUTS(quern_view_of(b->found, QUERN_I32, x.rows, 2),
                                   quern_view_of(b->near, m->points->dtype, x.rows, 2))));
    m->distances += x.rows * size;
    for (int64_t i = 0; i < count; i++) {
        if (b->found[2 * i] < 0) continue; /* no distance is a number: the own one tells */
        double near[2] = {number_at(m, b->near, 2 * i), number_at(m, b->near, 2 * i + 1)};
        take(b, m, g, b->rows[i], b->order[b->first[g] + b->found[2 * i]], near);
    }
    return QUERN_OK;
}

/* The share of the distances that bounds leave. */
static double share_left(const q_bounds *b, const q_kmeans *m)
{
    int64_t rows = m->points->rows;
    double left = 0;
    for (int64_t g = 0; g < b->groups; g++) {
        const float *lower = b->lower + g * rows;
        int64_t count = 0;
        for (int64_t r = 0; r < rows; r++) count += concerns(b, lower, r);
        left += (double)count * (double)(b->first[g + 1] - b->first[g]);
    }
    return left / ((double)rows * (double)m->k);
}

/* Point r leaves its centroid, from which it is as far as it says, for another. */
static void relabel(q_bounds *b, q_kmeans *m, int64_t r, int32_t label, double distance)
{
    int64_t rows = m->points->rows;
    float *lower = b->lower + b->group[m->all.labels[r]] * rows + r;
    *lower = fminf(*lower, below(b, q_distance_at(m, &m->all, r)));
    m->all.labels[r] = label;
    q_distance_write(m, &m->all, r, distance);
}

/* Labels where they are clear; the rows of those that are not stay in `rows`. */
static int64_t settle(q_bounds *b, q_kmeans *m)
{
    int64_t unclear = 0;
    for (int64_t r = 0; r < m->points->rows; r++) {
        if (b->runner[r] <= b->nearest[r] * (1 + 2 * b->slack) + b->tiny * b->tiny) {
            b->rows[unclear++] = (int32_t)r;
        } else if (b->label[r] != m->all.labels[r]) {
            b->lower[b->group[b->label[r]] * m->points->rows + r] = below(b, b->second[r]);
            relabel(b, m, r, b->label[r], b->nearest[r]);
        }
    }
    return unclear;
}

/* Those that are not clear are compared with all centroids. */
static quern_status compare_with_all(q_bounds *b, q_kmeans *m, int64_t count)
{
    quern_view x;
    Q_TRY(pick_rows(b, m, &count, &x));
    Q_TRY(quern_run_all(m->find, QUERN_ARGS({"x", x}, {"y", quern_array_view(m->centroids)}),
                        QUERN_OUTS(quern_view_of(b->found, QUERN_I32, x.rows, 1),
                                   quern_view_of(b->near, m->points->dtype, x.rows, 1))));
    m->distances += x.rows * m->k;
    for (int64_t i = 0; i < count; i++)
        if (b->found[i] >= 0 && b->found[i] != m->all.labels[b->rows[i]])
            relabel(b, m, b->rows[i], b->found[i], number_at(m, b->near, i));
    return QUERN_OK;
}

/* New bounds are made where the old ones leave half of all; where these do, too, the time for bounds has not come. */
quern_status q_bounds_find(q_kmeans *m, bool *done)
{
    q_bounds *b = m->bounds;
    Q_TRY(move_centroids(b, m));
    measure_own(b, m);
    bool all = share_left(b, m) > 0.5;
    *done = !(all && b->fresh && m->options.bounds != QUERN_ON);
    if (!*done) {
        put_off(m);
        return QUERN_OK;
    }
    b->fresh = all;
    for (int64_t g = 0; g < b->groups; g++) Q_TRY(compare_with_group(b, m, g));
    int64_t unclear = settle(b, m);
    return unclear ? compare_with_all(b, m, unclear) : QUERN_OK;
}
