/*
 * slots.c: the arrays of one run on the device: variables are uploaded, temporaries and results get room, and results are
 * read in the end. Every run has its own buffers, so runs do not disturb each other. Arrays that are on the device are used
 * where they are if the kernels can read or write them there.
 */
#include <stdlib.h>
#include <string.h>

#include "run/launcher.h"

static const quern_view *view_of(const q_launcher *l, int variable)
{
    const quern_operator *op = l->run->op;
    size_t v = 0;
    while (op->variables[v] != variable) v++;
    return &l->run->variables[v];
}

static quern_status bytes_of(const q_launcher *l, const q_array *array, size_t *out)
{
    int64_t rows = array->variable >= 0 ? view_of(l, array->variable)->rows
                   : array->axis        ? q_axis_size(array->axis, l->run->M, l->run->N)
                   : l->run->members    ? l->run->members
                                        : 1;
    size_t elements;
    if (q_mul_size((size_t)rows, array->dim, &elements) && q_mul_size(elements, q_element_size(l->run->dtype), out))
        return QUERN_OK;
    return q_fail(QUERN_MEMORY, "an array of %lld x %u elements is too large for this machine", (long long)rows,
                  array->dim);
}

q_slot *q_slot_find(q_launcher *l, const q_array *array)
{
    for (size_t s = 0; s < l->slot_count; s++) {
        const q_array *old = &l->slots[s].array;
        if (old->variable == array->variable && old->temporary == array->temporary && old->result == array->result &&
            old->table == array->table)
            return &l->slots[s];
    }
    return NULL;
}

quern_dtype q_slot_dtype(quern_dtype dtype, const q_array *array)
{
    return !array->integer ? dtype : dtype == QUERN_F64 ? QUERN_I64 : QUERN_I32;
}

/* The number of a parameter for kernels that have it by value, in the run's type. */
static void take_value(q_launcher *l, q_slot *s, const quern_view *view)
{
    double number = view->dtype == QUERN_NUMBER ? view->number : q_element_read(view->dtype, view->data);
    q_element_write(l->run->dtype, s->value, number);
}

static quern_status fill_with(q_launcher *l, q_slot *s, double number, quern_dtype dtype, size_t bytes)
{
    q_element_write(dtype, s->value, number);
    Q_TRY(q_buffer_create(&s->buffer, l->session, bytes));
    return q_buffer_fill(&s->buffer, l->session, s->value, q_element_size(dtype), bytes);
}

/* A buffer with the numbers of a view. */
static quern_status upload(q_launcher *l, q_slot *s, const quern_view *view)
{
    size_t bytes = (size_t)view->rows * (size_t)view->columns * q_element_size(q_slot_dtype(l->run->dtype, &s->array));
    quern_dtype dtype = q_slot_dtype(l->run->dtype, &s->array);
    if (view->dtype == QUERN_NUMBER) return fill_with(l, s, view->number, dtype, bytes);
    if (q_view_is_buffer(l->context, view, dtype)) return q_view_borrow(&s->buffer, l->context, view);
    l->reads_host = l->reads_host || !view->array;
    if (!view->array && view->dtype == dtype && q_view_is_dense(view))
        return q_buffer_create_from(&s->buffer, l->session, view->data, bytes);
    Q_TRY(q_buffer_create(&s->buffer, l->session, bytes));
    return q_view_load(&s->buffer, l->context, view, dtype);
}

quern_status q_slot_load(q_launcher *l, q_slot *s, const quern_view *view)
{
    if (!q_plan_by_value(&l->plans[0].plan, &s->array)) return upload(l, s, view);
    take_value(l, s, view);
    return QUERN_OK;
}

/* Whether a result is written into memory that an argument is read from. */
static bool is_argument(const q_launcher *l, const quern_view *result)
{
    for (size_t v = 0; v < l->run->op->variable_count; v++)
        if (q_views_overlap(&l->run->variables[v], result)) return true;
    return false;
}

/* Room for a result or a temporary; an array of the device that fits is that of its result. */
static quern_status make_room(q_launcher *l, q_slot *s, size_t bytes)
{
    const quern_view *view = s->array.result >= 0 ? &l->run->results[s->array.result] : NULL;
    s->in_place =
        view && q_view_is_buffer(l->context, view, q_slot_dtype(l->run->dtype, &s->array)) && !is_argument(l, view);
    return s->in_place ? q_view_borrow(&s->buffer, l->context, view) : q_buffer_create(&s->buffer, l->session, bytes);
}

static quern_status add_slot(q_launcher *l, const q_array *array)
{
    size_t bytes;
    if (q_slot_find(l, array)) return QUERN_OK;
    q_slot *s = &l->slots[l->slot_count];
    s->array = *array;
    Q_TRY(bytes_of(l, array, &bytes));
    l->slot_count++; /* also where it fails: there may be a buffer */
    return array->variable >= 0 ? q_slot_load(l, s, view_of(l, array->variable)) : make_room(l, s, bytes);
}

quern_status q_slots_make(q_launcher *l)
{
    q_ir *const *programs = l->run->build->programs;
    size_t most = 1, stages = l->run->op->stages.count;
    for (size_t s = 0; s < stages; s++) most += programs[s]->input_count + programs[s]->output_count;
    l->slots = calloc(most, sizeof *l->slots);
    if (!l->slots) return q_fail_memory(most * sizeof *l->slots);
    for (size_t s = 0; s < stages; s++) {
        for (size_t a = 0; a < programs[s]->input_count; a++) Q_TRY(add_slot(l, &programs[s]->inputs[a]));
        for (size_t o = 0; o < programs[s]->output_count; o++) Q_TRY(add_slot(l, &programs[s]->outputs[o]));
    }
    return QUERN_OK;
}

void q_slots_free(q_launcher *l)
{
    for (size_t s = 0; s < l->slot_count; s++) q_buffer_destroy(&l->slots[s].buffer, l->session);
    free(l->slots);
}

// ---- results ----

/* Indices that are int on the device and int64 on the host, which are most: the narrow ones are read into the upper half of
   the result and widened in place. */
static quern_status widen(q_launcher *l, q_slot *s, const quern_view *view)
{
    size_t count = (size_t)view->rows * (size_t)view->columns, bytes = 4 * count;
    char *narrow = (char *)view->data + bytes;
    Q_TRY(q_buffer_read(&s->buffer, l->session, narrow, bytes));
    for (size_t e = 0; e < count; e++) {
        int32_t index;
        memcpy(&index, narrow + 4 * e, 4);
        memcpy((char *)view->data + 8 * e, &(int64_t){index}, 8); /* at any alignment */
    }
    return QUERN_OK;
}

static quern_status read_result(q_launcher *l, q_slot *s, const quern_view *view)
{
    quern_dtype dtype = q_slot_dtype(l->run->dtype, &s->array);
    if (q_view_swap(view, &s->buffer, dtype)) return QUERN_OK;
    bool widens = dtype == QUERN_I32 && view->dtype == QUERN_I64 && !view->array && q_view_is_dense(view);
    return widens ? widen(l, s, view) : q_view_store(&s->buffer, l->context, view, dtype);
}

/* Reads wait for all that was enqueued before them; one more wait would be a change of threads more in PoCL. Without them
   the run waits only where host memory may still be read, or where results on the host have no rows. */
quern_status q_slots_read_results(q_launcher *l)
{
    bool waited = false, host = l->reads_host;
    for (size_t s = 0; s < l->slot_count; s++) {
        q_slot *slot = &l->slots[s];
        if (slot->array.result < 0 || slot->in_place) continue;
        const quern_view *view = &l->run->results[slot->array.result];
        if (!view->array && !view->data) continue; /* not wanted */
        Q_TRY(read_result(l, slot, view));
        waited = waited || (!view->array && slot->buffer.size);
        host = host || !view->array;
    }
    return waited || !host ? QUERN_OK : q_session_finish(l->session);
}
