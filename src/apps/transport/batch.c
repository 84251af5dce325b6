/*
 * batch.c: many problems in one call. They are solved together, a launch for all in each step; or, where members are so large that each
 * keeps the device busy and has blocks that can be left out, one after the other, each a result of its own with its own
 * bounds. The batch's result then hands out what the members have.
 */
#include <math.h>
#include <stdlib.h>

#include "apps/transport/transport.h"
#include "apps/views/views.h"

static quern_status copy_offsets(q_transport *t, int k, const int64_t *offsets, int64_t rows)
{
    size_t count = t->members + 1;
    const char *name = k ? "y" : "x";
    if (!offsets) return q_fail_null("quern_transport_batch", k ? "offsets_y" : "offsets_x");
    if (!(t->offsets[k] = malloc(count * sizeof **t->offsets))) return q_fail_memory(count * sizeof **t->offsets);
    for (size_t m = 0; m < count; m++) {
        t->offsets[k][m] = offsets[m];
        if (offsets[m] < (m ? offsets[m - 1] : 0) || (!m && offsets[0]) || (m == t->members && offsets[m] != rows))
            return q_fail(QUERN_SHAPE, "offset %zu of %s is %lld; they rise from 0 to its %lld rows", m, name,
                          (long long)offsets[m], (long long)rows);
    }
    t->cloud[k].offsets = t->offsets[k];
    return QUERN_OK;
}

quern_status quern_transport_batch(quern_transport_result **out, quern_context *context, size_t members,
                                   const int64_t *offsets_x, const int64_t *offsets_y, quern_view x, quern_view a,
                                   quern_view y, quern_view b, const quern_transport_options *options)
{
    if (!out) return q_fail_null("quern_transport_batch", "out");
    bool wide = x.dtype == QUERN_F64 || y.dtype == QUERN_F64;
    quern_status status = q_transport_begin(out, "quern_transport_batch", context, wide, options);
    if (!status && !members) status = q_fail(QUERN_USAGE, "a batch of no members");
    if (!status) (*out)->members = members;
    if (!status) status = copy_offsets(*out, Q_X, offsets_x, x.rows);
    if (!status) status = copy_offsets(*out, Q_Y, offsets_y, y.rows);
    if (!status) status = q_transport_end(*out, (quern_view[]){x, y}, (quern_view[]){a, b});
    if (status) quern_transport_destroy(out);
    return status;
}

/* Of a member of a batch that is solved together. */
static void sum_up(const q_transport *t, size_t m, double *value, double *lower, double *upper)
{
    const q_problem *p = &t->between, *x = &t->self[Q_X], *y = &t->self[Q_Y];
    bool debias = t->options.debias != QUERN_OFF, certain = t->options.certify != QUERN_OFF;
    double more = q_transport_excess(t, m);
    *value = p->duals[m] + more - (debias ? (x->duals[m] + y->duals[m]) / 2 : 0);
    *lower = certain ? p->duals[m] + more - (debias ? (x->uppers[m] + y->uppers[m]) / 2 : 0) : NAN;
    *upper = certain ? p->uppers[m] + more - (debias ? (x->duals[m] + y->duals[m]) / 2 : 0) : NAN;
}

quern_status quern_transport_member(const quern_transport_result *t, size_t member, double *value, double *lower,
                                    double *upper)
{
    if (!t) return q_fail_null("quern_transport_member", "result");
    if (member >= t->members) return q_fail(QUERN_USAGE, "there is no member %zu; there are %zu", member, t->members);
    if (t->parts) return quern_transport_member(t->parts[member], 0, value, lower, upper);
    double v = t->report.value, l = t->report.lower, u = t->report.upper;
    if (t->values) v = t->values[member];
    else if (t->members > 1) sum_up(t, member, &v, &l, &u);
    if (value) *value = v;
    if (lower) *lower = fmin(l, u);
    if (upper) *upper = fmax(l, u);
    return QUERN_OK;
}

// ---- members one by one ----

bool q_batch_is_large(const q_transport *t)
{
    int64_t large = 2 * Q_LARGE * (int64_t)t->members;
    if (t->members == 1 || t->options.truncation == QUERN_OFF) return false;
    return t->options.truncation == QUERN_ON || (t->cloud[Q_X].rows >= large && t->cloud[Q_Y].rows >= large);
}

/* A member's rows of an array; nothing stays nothing. */
static quern_view rows_of(const q_transport *t, int k, size_t m, quern_view view)
{
    const int64_t *offsets = t->offsets[k];
    return q_view_given(&view) ? quern_view_rows(view, offsets[m], offsets[m + 1] - offsets[m]) : view;
}

static void add_report(quern_transport_report *sum, const quern_transport_report *r, double pairs)
{
    sum->value += r->value, sum->lower += r->lower, sum->upper += r->upper, sum->cost += r->cost;
    sum->touched += pairs * r->touched;
    sum->converged = sum->converged && r->converged;
    sum->marginal_error = fmax(sum->marginal_error, r->marginal_error);
    sum->skipped = fmax(sum->skipped, r->skipped);
    if (r->iterations > sum->iterations) sum->levels = r->levels, sum->level_count = r->level_count;
    if (r->iterations > sum->iterations) sum->iterations = r->iterations;
    if (r->iterations_x > sum->iterations_x) sum->iterations_x = r->iterations_x;
    if (r->iterations_y > sum->iterations_y) sum->iterations_y = r->iterations_y;
}

quern_status q_batch_solve(q_transport *t)
{
    quern_transport_report *sum = &t->report;
    double all = 0;
    if (!(t->parts = calloc(t->members, sizeof(quern_transport_result *))))
        return q_fail_memory(t->members * sizeof *t->parts);
    sum->value = sum->lower = sum->upper = sum->cost = sum->touched = 0, sum->converged = true;
    for (size_t m = 0; m < t->members; m++) {
        quern_transport_options options = t->options;
        quern_view views[4];
        for (int k = 0; k < 2; k++) {
            views[2 * k] = rows_of(t, k, m, q_array(t->cloud[k].points));
            views[2 * k + 1] = rows_of(t, k, m, q_array(t->cloud[k].weights));
        }
        options.start_x = rows_of(t, Q_X, m, options.start_x), options.start_y = rows_of(t, Q_Y, m, options.start_y);
        Q_TRY(quern_transport(&t->parts[m], t->context, views[0], views[1], views[2], views[3], &options));
        double pairs = (double)views[0].rows * (double)views[2].rows;
        add_report(sum, &t->parts[m]->report, pairs);
        all += pairs;
    }
    sum->touched = all > 0 ? sum->touched / all : 1;
    sum->gap = sum->upper - sum->lower;
    return QUERN_OK;
}

quern_status q_batch_read(q_transport *t, quern_transport_part part, int k, quern_view to)
{
    Q_TRY(q_shape_check("the result", &to, t->cloud[k].rows, -1));
    for (size_t m = 0; m < t->members; m++) {
        quern_view rows = rows_of(t, k, m, to);
        if (rows.rows) Q_TRY(quern_transport_read(t->parts[m], part, rows));
    }
    return QUERN_OK;
}

quern_status q_batch_hessian(q_transport *t, const quern_view directions[2], const quern_view results[2])
{
    for (size_t m = 0; m < t->members; m++)
        Q_TRY(quern_transport_hessian(t->parts[m], rows_of(t, Q_X, m, directions[Q_X]),
                                      rows_of(t, Q_Y, m, directions[Q_Y]), rows_of(t, Q_X, m, results[Q_X]),
                                      rows_of(t, Q_Y, m, results[Q_Y])));
    return QUERN_OK;
}
