/*
 * slots.c: the arrays of one run on the device: variables are uploaded, temporaries and results get room, and results are
 * read in the end. Every run has its own buffers, so runs do not disturb each other.
 */
#include <stdlib.h>
#include <string.h>

#include "run/launcher.h"

static quern_status bytes_of(const q_launcher *l, const q_array *array, size_t *out)
{
    int64_t rows = q_axis_size(array->axis, l->run->M, l->run->N);
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
        if (old->variable == array->variable && old->temporary == array->temporary && old->result == array->result)
            return &l->slots[s];
    }
    return NULL;
}

static const quern_view *view_of(const q_launcher *l, int variable)
{
    const quern_operator *op = l->run->op;
    size_t v = 0;
    while (op->variables[v] != variable) v++;
    return &l->run->variables[v];
}

/* A buffer with the numbers of a variable. */
static quern_status upload(q_launcher *l, q_slot *s, size_t bytes)
{
    const quern_view *view = view_of(l, s->array.variable);
    s->number = (float)view->number;
    const void *number = l->run->dtype == QUERN_F64 ? (const void *)&view->number : (const void *)&s->number;
    return q_buffer_create_from(&s->buffer, l->queue, view->dtype == QUERN_NUMBER ? number : view->data, bytes);
}

static quern_status add_slot(q_launcher *l, const q_array *array)
{
    size_t bytes;
    if (q_slot_find(l, array)) return QUERN_OK;
    q_slot *s = &l->slots[l->slot_count];
    s->array = *array;
    Q_TRY(bytes_of(l, array, &bytes));
    Q_TRY(array->variable >= 0 ? upload(l, s, bytes) : q_buffer_create(&s->buffer, l->queue, bytes));
    l->slot_count++;
    return QUERN_OK;
}

quern_status q_slots_make(q_launcher *l)
{
    const quern_operator *op = l->run->op;
    size_t most = 1;
    for (size_t s = 0; s < op->stages.count; s++) most += op->programs[s]->input_count + op->programs[s]->output_count;
    l->slots = calloc(most, sizeof *l->slots);
    if (!l->slots) return q_fail_memory(most * sizeof *l->slots);
    for (size_t s = 0; s < op->stages.count; s++) {
        for (size_t a = 0; a < op->programs[s]->input_count; a++) Q_TRY(add_slot(l, &op->programs[s]->inputs[a]));
        for (size_t o = 0; o < op->programs[s]->output_count; o++) Q_TRY(add_slot(l, &op->programs[s]->outputs[o]));
    }
    return QUERN_OK;
}

void q_slots_free(q_launcher *l)
{
    for (size_t s = 0; s < l->slot_count; s++) q_buffer_destroy(&l->slots[s].buffer, l->queue);
    free(l->slots);
}

// ---- results ----

/* Indices are int on the device for float32 and long for float64; outside they are int64. The narrow ones are read into
   the upper half of the result and widened in place. */
static quern_status download(q_launcher *l, q_slot *s, const quern_view *view)
{
    size_t bytes;
    Q_TRY(bytes_of(l, &s->array, &bytes));
    if (!s->array.integer || l->run->dtype == QUERN_F64) return q_buffer_read(&s->buffer, l->queue, view->data, bytes);
    size_t count = bytes / 4;
    char *narrow = (char *)view->data + bytes;
    Q_TRY(q_buffer_read(&s->buffer, l->queue, narrow, bytes));
    for (size_t e = 0; e < count; e++) {
        int32_t index;
        memcpy(&index, narrow + 4 * e, 4);
        memcpy((char *)view->data + 8 * e, &(int64_t){index}, 8); /* at any alignment */
    }
    return QUERN_OK;
}

/* Reads wait for all that was enqueued before them; one more wait would be a change of threads more in PoCL. */
quern_status q_slots_read_results(q_launcher *l)
{
    uint64_t bytes = 0;
    for (size_t s = 0; s < l->slot_count; s++) {
        const q_array *array = &l->slots[s].array;
        if (array->result < 0) continue;
        Q_TRY(download(l, &l->slots[s], &l->run->results[array->result]));
        bytes += l->slots[s].buffer.size;
    }
    return bytes ? QUERN_OK : q_queue_finish(l->queue); /* results without rows were not waited for */
}
