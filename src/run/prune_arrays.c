/*
 * prune_arrays.c: the arrays of a run whose rows and columns are put in another order: what an axis of it is when sorted, a
 * tree with boxes and sorted copies, which later runs on the same numbers share; and results that go back to where they
 * belong.
 */
#include <stdlib.h>
#include <string.h>

#include "quern/array.h"
#include "run/prune.h"

/* Of a run's axis among those of q_pruned_arrays. */
static int place_of(const q_pruner *pruner, uint8_t axis)
{
    return axis == pruner->rows ? 1 : axis == pruner->reduced ? 2 : 0;
}

/* Of a variable. */
static int place(const q_pruned_arrays *a, size_t v)
{
    return place_of(a->pruner, a->run->op->graph->variables[a->run->op->variables[v]].axis);
}

static int64_t rows_of(const q_pruned_arrays *a, int at)
{
    uint8_t axis = at == 1 ? a->pruner->rows : at == 2 ? a->pruner->reduced : Q_P;
    return q_axis_size(axis, a->run->M, a->run->N);
}

/* A block that is never null for want of elements. */
static void *block(int64_t rows, size_t columns, size_t size)
{
    size_t count, bytes;
    return q_mul_size((size_t)rows, columns, &count) && q_mul_size(count, size, &bytes) && bytes + 1 ? malloc(bytes + 1)
                                                                                                     : NULL;
}

// ---- reading ----

static quern_status fetch(q_pruned_arrays *a, size_t v, const quern_view *view)
{
    a->fetched[v] = block(view->rows, (size_t)view->columns, q_element_size(view->dtype));
    if (!a->fetched[v]) return q_fail_memory(0);
    a->given[v] = quern_view_of(a->fetched[v], view->dtype, view->rows, view->columns);
    return QUERN_OK;
}

static quern_status fetch_number(q_pruned_arrays *a, size_t v, double number)
{
    quern_view one = quern_view_of(NULL, a->run->dtype, 1, 1);
    Q_TRY(fetch(a, v, &one));
    q_element_write(one.dtype, a->fetched[v], number);
    return QUERN_OK;
}

/* A dense view of the host of what may be on the device, or have a stride, or be one number. */
static quern_status give(q_pruned_arrays *a, size_t v)
{
    const quern_view *view = &a->run->variables[v];
    a->given[v] = *view;
    if (view->dtype == QUERN_NUMBER) return fetch_number(a, v, view->number);
    if (!view->array && q_view_is_dense(view)) return QUERN_OK;
    Q_TRY(fetch(a, v, view));
    return quern_copy(a->run->build->context, a->given[v], *view);
}

/* As the run has them: rounded to float32, where it is of that. */
static void read_row(double *out, const quern_view *view, int64_t row, bool single)
{
    size_t dim = (size_t)view->columns, size = q_element_size(view->dtype);
    const char *from = (const char *)view->data + (size_t)row * dim * size;
    for (size_t d = 0; d < dim && view->dtype == QUERN_F32; d++) {
        float number;
        memcpy(&number, from + d * size, sizeof number);
        out[d] = (double)number;
    }
    for (size_t d = 0; d < dim && view->dtype != QUERN_F32; d++) {
        double number = q_element_read(view->dtype, from + d * size);
        out[d] = single ? (double)(float)number : number;
    }
}

/* The numbers of all variables of an axis, or of those that matter, row by row; for free(), null when memory runs out. */
static double *read_axis(const q_pruned_arrays *a, int at, bool all, size_t *dim)
{
    size_t offset = 0;
    *dim = 0;
    for (size_t v = 0; v < a->run->op->variable_count; v++)
        if (place(a, v) == at && (all || a->pruner->matters[v])) *dim += (size_t)a->given[v].columns;
    double *out = block(rows_of(a, at), *dim, sizeof *out);
    for (size_t v = 0; v < a->run->op->variable_count && out; v++) {
        const quern_view *view = &a->given[v];
        if (place(a, v) != at || (!all && !a->pruner->matters[v])) continue;
        for (int64_t row = 0; row < view->rows; row++)
            read_row(out + (size_t)row * *dim + offset, view, row, a->run->dtype == QUERN_F32);
        offset += (size_t)view->columns;
    }
    return out;
}

static bool all_matters(const q_pruned_arrays *a, int at)
{
    bool all = true;
    for (size_t v = 0; v < a->run->op->variable_count; v++) all = all && (place(a, v) != at || a->pruner->matters[v]);
    return all;
}

quern_status q_pruned_open(q_pruned_arrays *out, const q_run *run, q_pruner *pruner)
{
    *out = (q_pruned_arrays){.run = run, .pruner = pruner, .lock = &((quern_operator *)run->op)->lock};
    for (size_t v = 0; v < run->op->variable_count; v++) {
        Q_TRY(give(out, v));
        out->offsets[v] = out->dim[place(out, v)];
        out->dim[place(out, v)] += (size_t)out->given[v].columns;
    }
    out->parameters = read_axis(out, 0, true, &out->dim[0]);
    return out->parameters ? QUERN_OK : q_fail_memory(out->dim[0] * sizeof(double));
}

// ---- sorting ----

/* Copies rows of elements: row k of `to` is row order[k] of `from`. */
static void move_rows(const quern_view *to, const quern_view *from, const int64_t *order)
{
    size_t size = q_element_size(to->dtype), bytes = (size_t)to->columns * size;
    size_t to_step = (size_t)q_view_stride(to) * size, from_step = (size_t)q_view_stride(from) * size;
    for (int64_t k = 0; k < to->rows; k++)
        memcpy((char *)to->data + (size_t)k * to_step, (const char *)from->data + (size_t)order[k] * from_step, bytes);
}

/* The same of dense indices of 32 bits that become such of 64. */
static void move_indices(const quern_view *to, const quern_view *from, const int64_t *order)
{
    size_t columns = (size_t)to->columns, step = (size_t)q_view_stride(to) * sizeof(int64_t);
    for (int64_t k = 0; k < to->rows; k++) {
        const int32_t *own = (const int32_t *)from->data + (size_t)order[k] * columns;
        char *out = (char *)to->data + (size_t)k * step;
        for (size_t d = 0; d < columns; d++) memcpy(out + 8 * d, &(int64_t){own[d]}, 8); /* at any alignment */
    }
}

static quern_status sort_variable(quern_view *out, const quern_view *view, const int64_t *order)
{
    void *data = block(view->rows, (size_t)view->columns, q_element_size(view->dtype));
    if (!data) return q_fail_memory(0);
    *out = quern_view_of(data, view->dtype, view->rows, view->columns);
    move_rows(out, view, order);
    return QUERN_OK;
}

/* Of all that an axis is sorted by, and of what is sorted. */
static void find_digest(const q_pruned_arrays *a, int at, const q_cells *cells, int64_t size, char out[33])
{
    struct {
        int64_t rows, columns, dtype;
        char numbers[40];
    } variables[Q_MAX_VARIABLES + 1];
    size_t count = 0;
    memset(variables, 0, sizeof variables);
    variables[count].rows = size, variables[count].dtype = (int64_t)a->run->dtype;
    q_digest_hex(cells->at, (cells->count + 1) * sizeof *cells->at, variables[count++].numbers);
    for (size_t v = 0; v < a->run->op->variable_count; v++) {
        const quern_view *view = &a->given[v];
        if (place(a, v) != at) continue;
        variables[count].rows = view->rows, variables[count].columns = view->columns;
        variables[count].dtype = (int64_t)view->dtype;
        size_t bytes = (size_t)view->rows * (size_t)view->columns * q_element_size(view->dtype);
        q_digest_hex(view->data, bytes, variables[count++].numbers);
    }
    q_digest_hex(variables, count * sizeof *variables, out);
}

/* Leaves of `size`. */
static quern_status make_tree(q_pruned_arrays *a, int at, q_tree *out, const q_cells *cells, int64_t size)
{
    size_t dim, key_dim;
    int64_t count = rows_of(a, at), *order = block(count, 1, sizeof *order);
    double *points = read_axis(a, at, true, &dim), *own_keys = NULL, *keys = points;
    key_dim = dim;
    if (!all_matters(a, at)) keys = own_keys = read_axis(a, at, false, &key_dim);
    quern_status status = order && points && keys ? QUERN_OK : q_fail_memory((size_t)count * dim * sizeof *points);
    if (!status) status = q_pruner_order(a->pruner, at - 1, a->lock, order, keys, key_dim, cells, size);
    if (status) free(order);
    else status = q_tree_make(out, points, dim, order, cells, size);
    free(points);
    free(own_keys);
    return status;
}

static quern_status fill_sorted(q_pruned_arrays *a, int at, q_sorted *sorted, const q_cells *cells, int64_t size)
{
    int64_t count = rows_of(a, at);
    Q_TRY(make_tree(a, at, &sorted->tree, cells, size));
    sorted->names = block(count, 1, sizeof *sorted->names);
    if (!sorted->names) return q_fail_memory((size_t)count * sizeof *sorted->names);
    for (int64_t k = 0; k < count; k++) sorted->names[k] = (int32_t)sorted->tree.order[k];
    for (size_t v = 0; v < a->run->op->variable_count; v++)
        if (place(a, v) == at) Q_TRY(sort_variable(&sorted->views[v], &a->given[v], sorted->tree.order));
    return QUERN_OK;
}

quern_status q_pruned_sort(q_pruned_arrays *a, int at, const q_cells *cells, int64_t size)
{
    char digest[33];
    find_digest(a, at, cells, size, digest);
    a->axes[at] = q_pruner_sorted(a->pruner, at - 1, a->lock, digest);
    if (a->axes[at]) return QUERN_OK;
    q_sorted *sorted = a->axes[at] = calloc(1, sizeof *sorted);
    if (!sorted) return q_fail_memory(sizeof *sorted);
    sorted->users = 1;
    memcpy(sorted->digest, digest, sizeof digest);
    Q_TRY(fill_sorted(a, at, sorted, cells, size));
    q_pruner_keep(a->pruner, at - 1, a->lock, sorted);
    return QUERN_OK;
}

quern_view q_pruned_view(const q_pruned_arrays *a, size_t v)
{
    return place(a, v) ? a->axes[place(a, v)]->views[v] : a->run->variables[v];
}

// ---- results ----

/* Of results of the run, as it wants them; of what reductions have reached, numbers of its type. */
static quern_status make_result(q_pruned_arrays *a, size_t r)
{
    quern_value value = quern_result(a->pruner->op, r);
    quern_dtype dtype = r < a->pruner->result_count ? a->run->results[r].dtype : a->run->dtype;
    if (dtype == QUERN_I64 && a->run->dtype == QUERN_F32) dtype = QUERN_I32; /* as the device has them */
    void *data = block(rows_of(a, 1), (size_t)value.dim, q_element_size(dtype));
    a->results[r] = quern_view_of(data, dtype, rows_of(a, place_of(a->pruner, q_axis_of(value.axis))), value.dim);
    return data ? QUERN_OK : q_fail_memory(0);
}

quern_status q_pruned_make_results(q_pruned_arrays *a)
{
    for (size_t r = 0; r < quern_result_count(a->pruner->op); r++) Q_TRY(make_result(a, r));
    return QUERN_OK;
}

static void move(const quern_view *to, const quern_view *from, const int64_t *places)
{
    if (to->dtype == from->dtype) move_rows(to, from, places);
    else move_indices(to, from, places);
}

static quern_status store_result(const q_pruned_arrays *a, size_t r, const int64_t *places)
{
    const quern_view *from = &a->results[r], *to = &a->run->results[r];
    if (!to->array) {
        move(to, from, places);
        return QUERN_OK;
    }
    void *data = block(to->rows, (size_t)to->columns, q_element_size(to->dtype));
    if (!data) return q_fail_memory(0);
    quern_view host = quern_view_of(data, to->dtype, to->rows, to->columns);
    move(&host, from, places);
    quern_status status = quern_copy(a->run->build->context, *to, host);
    free(data);
    return status;
}

quern_status q_pruned_store(const q_pruned_arrays *a)
{
    const q_tree *rows = &a->axes[1]->tree;
    int64_t *places =
        block(rows->count, 1, sizeof *places); /* results are written in their order, which is twice as fast */
    quern_status status = places ? QUERN_OK : q_fail_memory((size_t)rows->count * sizeof *places);
    for (int64_t k = 0; k < rows->count && places; k++) places[rows->order[k]] = k;
    for (size_t r = 0; r < a->pruner->result_count && !status; r++) status = store_result(a, r, places);
    free(places);
    return status;
}

void q_pruned_free(q_pruned_arrays *a)
{
    for (size_t v = 0; v < Q_MAX_VARIABLES; v++) free(a->fetched[v]);
    for (size_t r = 0; r < Q_MAX_RESULTS; r++) free(a->results[r].data);
    for (int at = 1; at < 3; at++) q_sorted_release(a->axes[at], a->lock);
    free(a->parameters);
}
