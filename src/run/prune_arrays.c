/*
 * prune_arrays.c: the arrays of a run whose rows and columns are put in another order: its variables as numbers, from which
 * order and boxes are made, sorted copies of them, and results that go back to where they belong.
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

static uint8_t axis_of(const q_pruned_arrays *a, size_t v)
{
    return a->run->op->graph->variables[a->run->op->variables[v]].axis;
}

static int64_t rows_of(const q_pruned_arrays *a, int place)
{
    uint8_t axis = place == 1 ? a->pruner->rows : place == 2 ? a->pruner->reduced : Q_P;
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

/* A view of the host of what may be on the device. */
static quern_status fetch(q_pruned_arrays *a, size_t v)
{
    const quern_view *view = &a->run->variables[v];
    a->given[v] = *view;
    if (!view->array) return QUERN_OK;
    a->fetched[v] = block(view->rows, (size_t)view->columns, q_element_size(view->dtype));
    if (!a->fetched[v]) return q_fail_memory(0);
    a->given[v] = quern_view_of(a->fetched[v], view->dtype, view->rows, view->columns);
    return quern_copy(a->run->build->context, a->given[v], *view);
}

/* Numbers of one row, rounded as the run has them. */
static void read_row(double *out, const quern_view *view, int64_t row, bool single)
{
    size_t size = q_element_size(view->dtype);
    const char *at = (const char *)view->data + (size_t)row * (size_t)q_view_stride(view) * size;
    for (int64_t d = 0; d < view->columns; d++) {
        double number = q_element_read(view->dtype, at + (size_t)d * size);
        out[d] = single ? (double)(float)number : number;
    }
}

static void read_variable(q_pruned_arrays *a, size_t v, double *to, size_t dim)
{
    const quern_view *view = &a->given[v];
    bool single = a->run->dtype == QUERN_F32;
    if (view->dtype == QUERN_NUMBER) {
        *to = single ? (double)(float)view->number : view->number;
        return;
    }
    for (int64_t row = 0; row < view->rows; row++) read_row(to + (size_t)row * dim, view, row, single);
}

quern_status q_pruned_read(q_pruned_arrays *out, const q_run *run, const q_pruner *pruner)
{
    size_t key_offsets[Q_MAX_VARIABLES];
    *out = (q_pruned_arrays){.run = run, .pruner = pruner};
    for (size_t v = 0; v < run->op->variable_count; v++) {
        int place = place_of(pruner, axis_of(out, v));
        Q_TRY(fetch(out, v));
        out->offsets[v] = out->dim[place];
        out->dim[place] += (size_t)run->variables[v].columns;
        key_offsets[v] = out->key_dim[place];
        out->key_dim[place] += pruner->matters[v] ? (size_t)run->variables[v].columns : 0;
    }
    for (int place = 0; place < 3; place++) {
        out->points[place] = block(rows_of(out, place), out->dim[place], sizeof(double));
        out->keys[place] = block(rows_of(out, place), out->key_dim[place], sizeof(double));
        if (!out->points[place] || !out->keys[place]) return q_fail_memory(out->dim[place] * sizeof(double));
    }
    for (size_t v = 0; v < run->op->variable_count; v++) {
        int place = place_of(pruner, axis_of(out, v));
        size_t dim = out->dim[place], key_dim = out->key_dim[place];
        read_variable(out, v, out->points[place] + out->offsets[v], dim);
        for (int64_t row = 0; row < rows_of(out, place) && pruner->matters[v]; row++)
            memcpy(out->keys[place] + (size_t)row * key_dim + key_offsets[v],
                   out->points[place] + (size_t)row * dim + out->offsets[v],
                   (size_t)run->variables[v].columns * sizeof(double));
    }
    return QUERN_OK;
}

// ---- sorting ----

/* Copies rows of dense elements: row k of `to` is row order[k] of `from`, or, back, the other way round. */
static void move_rows(const quern_view *to, const quern_view *from, const int64_t *order, bool back)
{
    size_t size = q_element_size(to->dtype), bytes = (size_t)to->columns * size;
    size_t to_step = (size_t)q_view_stride(to) * size, from_step = (size_t)q_view_stride(from) * size;
    for (int64_t k = 0; k < to->rows; k++) {
        size_t a = (size_t)(back ? order[k] : k), b = (size_t)(back ? k : order[k]);
        memcpy((char *)to->data + a * to_step, (const char *)from->data + b * from_step, bytes);
    }
}

static quern_status sort_variable(q_pruned_arrays *a, size_t v, const int64_t *order)
{
    const quern_view *view = &a->given[v];
    void *data = block(view->rows, (size_t)view->columns, q_element_size(view->dtype));
    if (!data) return q_fail_memory(0);
    a->sorted[v] = quern_view_of(data, view->dtype, view->rows, view->columns);
    move_rows(&a->sorted[v], view, order, false);
    return QUERN_OK;
}

/* Of results of the run, as it wants them; of what reductions have reached, numbers of its type. */
static quern_status make_result(q_pruned_arrays *a, size_t r)
{
    quern_value value = quern_result(a->pruner->op, r);
    quern_dtype dtype = r < a->pruner->result_count ? a->run->results[r].dtype : a->run->dtype;
    void *data = block(rows_of(a, 1), (size_t)value.dim, q_element_size(dtype));
    a->results[r] = quern_view_of(data, dtype, rows_of(a, place_of(a->pruner, q_axis_of(value.axis))), value.dim);
    return data ? QUERN_OK : q_fail_memory(0);
}

quern_status q_pruned_sort(q_pruned_arrays *a, const int64_t *rows, const int64_t *columns)
{
    for (size_t v = 0; v < a->run->op->variable_count; v++) {
        int place = place_of(a->pruner, axis_of(a, v));
        if (place) Q_TRY(sort_variable(a, v, place == 1 ? rows : columns));
    }
    for (size_t r = 0; r < quern_result_count(a->pruner->op); r++) Q_TRY(make_result(a, r));
    return QUERN_OK;
}

static quern_status store_result(const q_pruned_arrays *a, size_t r, const int64_t *rows)
{
    const quern_view *from = &a->results[r], *to = &a->run->results[r];
    if (!to->array) {
        move_rows(to, from, rows, true);
        return QUERN_OK;
    }
    void *data = block(to->rows, (size_t)to->columns, q_element_size(to->dtype));
    if (!data) return q_fail_memory(0);
    quern_view host = quern_view_of(data, to->dtype, to->rows, to->columns);
    move_rows(&host, from, rows, true);
    quern_status status = quern_copy(a->run->build->context, *to, host);
    free(data);
    return status;
}

quern_status q_pruned_store(const q_pruned_arrays *a, const int64_t *rows)
{
    for (size_t r = 0; r < a->pruner->result_count; r++) Q_TRY(store_result(a, r, rows));
    return QUERN_OK;
}

void q_pruned_free(q_pruned_arrays *a)
{
    for (size_t v = 0; v < Q_MAX_VARIABLES; v++) {
        free(a->fetched[v]);
        free(a->sorted[v].data);
    }
    for (size_t r = 0; r < Q_MAX_RESULTS; r++) free(a->results[r].data);
    for (int place = 0; place < 3; place++) {
        free(a->points[place]);
        free(a->keys[place]);
    }
}
