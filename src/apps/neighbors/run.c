/*
 * run.c: searches on arrays of the host, with all pairs or pruned, whichever takes less time. Both ways give the same bits, so time
 * decides about nothing else.
 *
 * Very many pairs in few dimensions are pruned, and what that has left decides for later searches. Otherwise the first search
 * that is large is a trial: a part of the rows with all pairs, which are results, then groups of near rows pruned, which are
 * not, since rows of a whole search would be in such groups. What a row took decides for the rest and for later searches.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/neighbors/neighbors.h"

enum {
    TRIAL_ROWS = 256, /* with all pairs */
    GROUP_ROWS = 64,  /* that are near each other, in a pruned trial */
    GROUPS = 8,
    TIMES = 3,         /* that a trial whose outcome is not clear is timed */
    FEW_DIMENSIONS = 6 /* in which lists gain by meeting near points first, whatever is left out */
};
static const double least_pairs = 1 << 26, least_seconds = 0.2; /* of a search, for a trial to be worth its builds */
/* Of the pairs: if no more are left, pruning is faster whatever the clock says on a busy machine, if more, slower. */
static const double clear_share = 0.05, most_share = 0.5;
/* Of a search in few dimensions that needs no trial; what it may have left if the next ones are to be like it. */
static const double many_pairs = 0x1p33, nearly_all = 0.95;

typedef struct task {
    quern_neighbors *index;
    q_search *search;
    quern_view queries, points; /* of the host, dense */
    double radius;
    quern_neighbors_report *report;
    double touched; /* pairs */
} task;

// ---- what is found ----

quern_status q_found_create(q_found *out, const quern_neighbors *index, int64_t rows, int64_t count, bool valued)
{
    size_t entries, bytes;
    *out = (q_found){.rows = rows, .count = count};
    if (!q_mul_size((size_t)rows, (size_t)count, &entries) || !q_mul_size(entries, sizeof(int64_t), &bytes))
        return q_fail(QUERN_LIMIT, "%lld neighbours of %lld rows are more than any memory holds", (long long)count,
                      (long long)rows);
    out->indices = malloc(bytes + 1);
    if (valued) out->values = malloc(entries * q_element_size(index->points.dtype) + 1);
    if (out->indices && (out->values || !valued)) return QUERN_OK;
    q_found_free(out);
    return q_fail_memory(2 * bytes);
}

void q_found_free(q_found *found)
{
    if (!found->borrowed) free(found->indices);
    free(found->values);
    *found = (q_found){0};
}

double q_found_distance(const quern_neighbors *index, const q_found *found, int64_t row, int64_t k)
{
    int64_t at = row * found->count + k;
    if (index->points.dtype == QUERN_F64) {
        double value = ((const double *)found->values)[at];
        return index->metric.root ? sqrt(value) : value;
    }
    float value = ((const float *)found->values)[at];
    return (double)(index->metric.root ? sqrtf(value) : value);
}

// ---- runs ----

static void *row_of(const quern_view *view, int64_t row)
{
    return (char *)view->data + (size_t)(row * view->columns) * q_element_size(view->dtype);
}

/* The squared radius, and a little more: what is beyond is seen by the distance itself. */
static double radius_of(const quern_neighbors *index, double radius)
{
    double slack = 1 + (index->points.dtype == QUERN_F64 ? 0x1p-48 : 0x1p-20);
    return index->metric.root ? radius * radius * slack : radius;
}

quern_status q_search_once(q_found *out, int64_t at, const quern_neighbors *index, const q_search *search,
                           const quern_view *queries, const quern_view *points, double radius,
                           const quern_run_options *options)
{
    quern_arg args[Q_NEIGHBOR_PARAMETERS + 3] = {{"x", *queries}, {"y", *points}};
    size_t count = 2;
    for (size_t k = 0; k < index->parameter_count; k++) args[count++] = index->parameters[k];
    if (search->within) args[count++] = (quern_arg){Q_RADIUS, quern_number(radius_of(index, radius))};
    quern_view indices = quern_i64(out->indices + at * out->count, queries->rows, out->count);
    Q_TRY(q_batch_join(indices.batch, queries, points));
    quern_view results[] = {indices, indices};
    results[1].dtype = index->points.dtype;
    if (search->valued)
        results[1].data = (char *)out->values + (size_t)(at * out->count) * q_element_size(index->points.dtype);
    return quern_run_with(search->op, (quern_args){args, count, 0, 0}, (quern_outs){results, search->valued ? 2 : 1},
                          options);
}

/* A run of some of the queries, or all, that may be pruned. */
static quern_status run_rows(task *t, q_found *found, int64_t at, quern_view queries, quern_switch use,
                             quern_pruning_report *report)
{
    quern_pruning pruning = {.size = sizeof pruning, .use = use, .report = report};
    quern_run_options options = {.size = sizeof options, .pruning = use == QUERN_OFF ? NULL : &pruning};
    *report = (quern_pruning_report){.size = sizeof *report, .touched = 1};
    Q_TRY(q_search_once(found, at, t->index, t->search, &queries, &t->points, t->radius, &options));
    quern_view all = queries;
    Q_TRY(q_batch_join(all.batch, &queries, &t->points));
    t->touched += report->touched * (double)q_batch_rows(&all);
    return QUERN_OK;
}

static quern_view some_queries(const task *t, int64_t first, int64_t count)
{
    return quern_view_of(row_of(&t->queries, first), t->queries.dtype, count, t->queries.columns);
}

// ---- trials ----

static double number_at(const quern_view *view, int64_t at)
{
    return view->dtype == QUERN_F64 ? ((const double *)view->data)[at] : (double)((const float *)view->data)[at];
}

/* The rows of queries that are nearest to one of them, itself included. */
static void find_group(int64_t group[GROUP_ROWS], const quern_view *queries, int64_t pivot)
{
    double far[GROUP_ROWS];
    int64_t count = 0, dim = queries->columns;
    for (int64_t r = 0; r < queries->rows; r++) {
        double d = 0;
        for (int64_t c = 0; c < dim; c++) {
            double step = number_at(queries, r * dim + c) - number_at(queries, pivot * dim + c);
            d += step * step;
        }
        if (count == GROUP_ROWS && !(d < far[count - 1])) continue;
        int64_t at = count < GROUP_ROWS ? count++ : count - 1;
        for (; at > 0 && d < far[at - 1]; at--) far[at] = far[at - 1], group[at] = group[at - 1];
        far[at] = d, group[at] = r;
    }
}

/* Copies groups of queries that are near each other. */
static void fill_groups(const quern_view *to, const quern_view *queries)
{
    int64_t group[GROUP_ROWS];
    size_t bytes = (size_t)queries->columns * q_element_size(queries->dtype);
    for (int64_t g = 0; g < GROUPS; g++) {
        find_group(group, queries, (2 * g + 1) * queries->rows / (2 * GROUPS));
        for (int64_t r = 0; r < GROUP_ROWS; r++)
            memcpy(row_of(to, g * GROUP_ROWS + r), row_of(queries, group[r]), bytes);
    }
}

/* What a pruned search of all rows would take: the least of some runs, of which the first has ordered the points. */
static quern_status time_pruned(task *t, q_found *found, quern_view groups, const quern_pruning_report *first,
                                double *seconds)
{
    double rows = (double)t->queries.rows, share = rows / (double)groups.rows, least = INFINITY;
    for (int k = 0; k < TIMES; k++) {
        quern_pruning_report report;
        Q_TRY(run_rows(t, found, 0, groups, QUERN_ON, &report));
        least = fmin(least, report.ordering + (report.bounding + report.running) * share);
    }
    *seconds = least + first->ordering * rows / (double)(t->points.rows + groups.rows);
    return QUERN_OK;
}

/* Decides by the pairs that are left, and by the clock where they do not tell. */
static quern_status compare(task *t, q_found *found, quern_view groups, q_search *how)
{
    quern_pruning_report first;
    Q_TRY(run_rows(t, found, 0, groups, QUERN_ON, &first));
    how->prune = first.pruned && first.touched <= most_share ? QUERN_ON : QUERN_OFF;
    snprintf(how->reason, sizeof how->reason, "%s", first.pruned ? "in a trial most pairs were needed" : first.reason);
    if (how->prune == QUERN_OFF || first.touched <= clear_share) return QUERN_OK;
    Q_TRY(time_pruned(t, found, groups, &first, &t->report->pruned_seconds));
    if (t->report->pruned_seconds < t->report->plain_seconds) return QUERN_OK;
    how->prune = QUERN_OFF;
    snprintf(how->reason, sizeof how->reason, "a trial found all pairs to be faster");
    return QUERN_OK;
}

static quern_status try_pruned(task *t, q_search *how)
{
    q_found found = {0};
    double touched = t->touched;
    quern_view groups = t->queries;
    groups.rows = GROUPS * GROUP_ROWS;
    groups.data = malloc((size_t)(groups.rows * groups.columns) * q_element_size(groups.dtype));
    if (!groups.data) return q_fail_memory((size_t)(groups.rows * groups.columns) * q_element_size(groups.dtype));
    fill_groups(&groups, &t->queries);
    quern_status status = q_found_create(&found, t->index, groups.rows, t->search->count, t->search->valued);
    if (!status) status = compare(t, &found, groups, how);
    t->touched = touched;
    q_found_free(&found);
    free(groups.data);
    return status;
}

/* What all pairs take: the first rows, which are results. */
static quern_status try_plain(task *t, q_found *found, int64_t *rows, double *rate)
{
    quern_pruning_report unused;
    *rows = t->queries.rows < TRIAL_ROWS ? t->queries.rows : TRIAL_ROWS;
    Q_TRY(quern_prepare(t->search->op, t->index->points.dtype, *rows, t->points.rows));
    double start = q_seconds();
    Q_TRY(run_rows(t, found, 0, some_queries(t, 0, *rows), QUERN_OFF, &unused));
    *rate = (q_seconds() - start) / ((double)*rows * (double)t->points.rows);
    return QUERN_OK;
}

/* Which way is known of this search; remembers what a trial has found. */
static q_search known(task *t, const q_search *found)
{
    pthread_mutex_lock(&t->index->lock);
    if (found) {
        t->search->plain = found->plain, t->search->prune = found->prune;
        memcpy(t->search->reason, found->reason, sizeof found->reason);
    }
    q_search result = *t->search;
    pthread_mutex_unlock(&t->index->lock);
    return result;
}

static bool is_clear(const task *t)
{
    return t->points.columns <= FEW_DIMENSIONS && (double)t->queries.rows * (double)t->points.rows >= many_pairs;
}

/* Remembers that a search without a trial has left out next to nothing. */
static void learn(task *t, q_search *how, const quern_pruning_report *pruning)
{
    if (how->prune != QUERN_AUTO || !pruning->pruned || pruning->touched < nearly_all) return;
    how->prune = QUERN_OFF;
    snprintf(how->reason, sizeof how->reason, "in an earlier search most pairs were needed");
    known(t, how);
}

/* Decides how the rows from *first on are searched; those before are done. */
static quern_status decide(task *t, q_found *found, int64_t *first, q_search *how)
{
    bool small =
        (double)t->queries.rows * (double)t->points.rows < least_pairs || t->queries.rows < GROUPS * GROUP_ROWS;
    *how = known(t, NULL);
    if (t->index->prune == QUERN_OFF) snprintf(how->reason, sizeof how->reason, "it is turned off");
    if (how->prune != QUERN_AUTO || is_clear(t)) return QUERN_OK;
    if (small) snprintf(how->reason, sizeof how->reason, "there are few pairs");
    if (!small && how->plain == 0) {
        Q_TRY(try_plain(t, found, first, &how->plain));
        known(t, how);
    }
    double rest = (double)(t->queries.rows - *first), plain = how->plain * rest * (double)t->points.rows;
    t->report->plain_seconds = how->plain * (double)t->queries.rows * (double)t->points.rows;
    if (small || plain < least_seconds) {
        how->prune = QUERN_OFF;
        if (!small) snprintf(how->reason, sizeof how->reason, "all pairs take less than a trial would");
        return QUERN_OK;
    }
    Q_TRY(try_pruned(t, how));
    known(t, how);
    return QUERN_OK;
}

quern_status q_search_run(q_found *out, quern_neighbors *index, q_search *search, quern_view queries, quern_view points,
                          double radius, quern_neighbors_report *report)
{
    task t = {index, search, queries, points, radius, report, 0};
    quern_pruning_report pruning;
    q_search how = {.prune = QUERN_OFF, .reason = "batches are not pruned"};
    int64_t first = 0;
    report->recall = 1;
    if (!out->rows) return QUERN_OK;
    if (index->cells && !search->within) return q_cells_run(out, index, search, queries, report);
    if (!queries.batch[0] && !points.batch[0]) Q_TRY(decide(&t, out, &first, &how));
    if (queries.batch[0] || points.batch[0] || first < queries.rows) {
        quern_view rest = first ? some_queries(&t, first, queries.rows - first) : queries;
        Q_TRY(run_rows(&t, out, first, rest, how.prune, &pruning));
        learn(&t, &how, &pruning);
        report->pruned = pruning.pruned;
        snprintf(report->reason, sizeof report->reason, "%s",
                 pruning.pruned           ? ""
                 : how.prune == QUERN_OFF ? how.reason
                                          : pruning.reason);
    }
    report->touched = t.touched / (double)out->rows;
    return QUERN_OK;
}
