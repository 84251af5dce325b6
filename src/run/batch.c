/*
 * batch.c: batches: arrays with leading dimensions. They are aligned at the last and broadcast, and the rows of all members of
 * one array follow each other, so that to all that comes after it is a plain array of more rows.
 */
#include <stdio.h>

#include "run/run.h"

static void print_sizes(char out[96], const q_batch *batch)
{
    int at = 0;
    for (int d = 0; d < batch->dims; d++)
        at += snprintf(out + at, 96 - (size_t)at, "%s%lld", d ? " x " : "", (long long)batch->size[d]);
    if (!batch->dims) snprintf(out, 96, "none");
}

quern_status q_batch_flatten(q_batch *batch, quern_view *out, const char *name, const quern_view *view)
{
    *batch = (q_batch){0};
    *out = *view;
    for (int d = 0; d < Q_BATCH_DIMS; d++) {
        int64_t size = view->batch[d];
        size_t rows;
        out->batch[d] = 0;
        if (size < 0 || (size && batch->dims < d))
            return q_fail(QUERN_SHAPE, "the batch of %s has the size %lld %s", name, (long long)(size < 0 ? size : 0),
                          size < 0 ? "" : "before another one");
        if (!size) continue;
        batch->size[batch->dims++] = size;
        if (view->rows < 0) continue;
        if (!q_mul_size((size_t)out->rows, (size_t)size, &rows) || rows > INT64_MAX)
            return q_fail(QUERN_MEMORY, "the batch of %s is too large for this machine", name);
        out->rows = (int64_t)rows;
    }
    if (batch->dims && view->dtype == QUERN_NUMBER)
        return q_fail(QUERN_USAGE, "%s is a number, which all members of a batch share", name);
    return QUERN_OK;
}

/* The size of dimension d of `dims`, which are aligned at the last. */
static int64_t size_at(const q_batch *batch, int d, int dims)
{
    int own = d - (dims - batch->dims);
    return own < 0 ? 1 : batch->size[own];
}

quern_status q_batch_merge(q_batch *all, const char *name, const q_batch *batch)
{
    q_batch merged = {.dims = all->dims > batch->dims ? all->dims : batch->dims};
    for (int d = 0; d < merged.dims; d++) {
        int64_t a = size_at(all, d, merged.dims), b = size_at(batch, d, merged.dims);
        if (a != b && a != 1 && b != 1) {
            char own[96], others[96];
            print_sizes(own, batch);
            print_sizes(others, all);
            q_fail(QUERN_SHAPE, "%s has a batch of %s, those before it one of %s", name, own, others);
            q_fail_next_step("sizes of batches, the last below the last, agree or are 1");
            return QUERN_SHAPE;
        }
        merged.size[d] = a == 1 ? b : a;
    }
    *all = merged;
    return QUERN_OK;
}

quern_status q_batch_check_result(const q_batch *all, const char *name, const q_batch *batch)
{
    char own[96], wanted[96];
    bool same = batch->dims == all->dims;
    for (int d = 0; d < all->dims && same; d++) same = all->size[d] == batch->size[d];
    if (same) return QUERN_OK;
    print_sizes(own, batch);
    print_sizes(wanted, all);
    return q_fail(QUERN_SHAPE, "%s has the batch %s; that of the arguments is %s", name, own, wanted);
}

int64_t q_batch_members(const q_batch *batch)
{
    int64_t members = 1;
    for (int d = 0; d < batch->dims; d++) members *= batch->size[d];
    return members;
}

int64_t q_batch_place(const q_batch *all, const q_batch *batch, int64_t member)
{
    int64_t place = 0, step = 1;
    for (int d = all->dims - 1; d >= 0; d--) {
        int64_t size = size_at(batch, d, all->dims);
        if (size > 1) place += member % all->size[d] * step;
        step *= size;
        member /= all->size[d];
    }
    return place;
}

// ---- ragged batches ----

static quern_status check_offsets(const char *name, const int64_t *offsets, size_t members, int64_t rows, char axis)
{
    for (size_t b = 0; b < members; b++)
        if (offsets[b] > offsets[b + 1] || offsets[0])
            return q_fail(QUERN_SHAPE, "%s: member %zu has the rows from %lld to %lld; offsets begin with 0 and ascend",
                          name, b, (long long)offsets[b], (long long)offsets[b + 1]);
    if (offsets[members] == rows) return QUERN_OK;
    q_fail(QUERN_SHAPE, "%s: the last member ends at row %lld, but arrays of axis %c have %lld rows", name,
           (long long)offsets[members], axis, (long long)rows);
    q_fail_next_step("give members + 1 offsets, from 0 to the number of rows of all members");
    return QUERN_SHAPE;
}

quern_status q_offsets_check(const quern_run_options *options, int64_t M, int64_t N)
{
    const int64_t *i = options->offsets_i, *j = options->offsets_j;
    if (options->members >= INT32_MAX)
        return q_fail(QUERN_LIMIT, "a ragged batch of %zu members: there can be %d", options->members, INT32_MAX - 1);
    if ((!i && M) || (!j && N)) return q_fail_null("quern_run_with", i || !M ? "offsets_j" : "offsets_i");
    if (i) Q_TRY(check_offsets("offsets_i", i, options->members, M, 'i'));
    return j ? check_offsets("offsets_j", j, options->members, N, 'j') : QUERN_OK;
}
