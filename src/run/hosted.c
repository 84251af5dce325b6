/*
 * hosted.c: the arrays of a run in parts, on the host: those that were given, and room for what one stage leaves to the
 * next. Devices get from here what they need and leave here what they have computed.
 *
 * A result that overlaps an argument, which may be read until the end, is computed beside it.
 */
#include <stdlib.h>
#include <string.h>

#include "quern/array.h"
#include "run/parts.h"

static q_hosted_array *find(const q_hosted *h, const q_array *array)
{
    for (size_t a = 0; a < h->count; a++) {
        const q_array *old = &h->arrays[a].array;
        if (old->variable == array->variable && old->temporary == array->temporary && old->result == array->result)
            return &h->arrays[a];
    }
    return NULL;
}

const quern_view *q_hosted_view(const q_hosted *h, const q_array *array)
{
    return &find(h, array)->view;
}

static const quern_view *argument_of(const q_run *run, int variable)
{
    size_t v = 0;
    while (run->op->variables[v] != variable) v++;
    return &run->variables[v];
}

static bool is_argument(const q_run *run, const quern_view *result)
{
    for (size_t v = 0; v < run->op->variable_count; v++)
        if (q_views_overlap(&run->variables[v], result)) return true;
    return false;
}

static quern_status make_own(q_hosted_array *a, quern_dtype dtype, int64_t rows)
{
    size_t bytes;
    if (!q_mul_size((size_t)rows, a->array.dim, &bytes) || !q_mul_size(bytes, q_element_size(dtype), &bytes))
        return q_fail(QUERN_MEMORY, "an array of %lld x %u elements is too large for this machine", (long long)rows,
                      a->array.dim);
    a->own = malloc(bytes + 1);
    a->view = quern_view_of(a->own, dtype, rows, a->array.dim);
    return a->own ? QUERN_OK : q_fail_memory(bytes);
}

static quern_status add(q_hosted *h, const q_array *array)
{
    const q_run *run = h->run;
    if (find(h, array)) return QUERN_OK;
    q_hosted_array *a = &h->arrays[h->count++];
    *a = (q_hosted_array){.array = *array};
    if (array->variable >= 0) a->view = *argument_of(run, array->variable);
    else if (array->result >= 0) a->view = run->results[array->result];
    if (array->variable >= 0 || (array->result >= 0 && !is_argument(run, &a->view))) return QUERN_OK;
    quern_dtype dtype = array->result >= 0 ? a->view.dtype : q_slot_dtype(run->dtype, array);
    return make_own(a, dtype, q_axis_size(array->axis, run->M, run->N));
}

quern_status q_hosted_make(q_hosted *out, const q_run *run)
{
    q_ir *const *programs = run->build->programs;
    size_t most = 1, stages = run->op->stages.count;
    *out = (q_hosted){.run = run};
    for (size_t s = 0; s < stages; s++) most += programs[s]->input_count + programs[s]->output_count;
    out->arrays = calloc(most, sizeof *out->arrays);
    if (!out->arrays) return q_fail_memory(most * sizeof *out->arrays);
    for (size_t s = 0; s < stages; s++) {
        for (size_t a = 0; a < programs[s]->input_count; a++) Q_TRY(add(out, &programs[s]->inputs[a]));
        for (size_t o = 0; o < programs[s]->output_count; o++) Q_TRY(add(out, &programs[s]->outputs[o]));
    }
    return QUERN_OK;
}

void q_hosted_free(q_hosted *h)
{
    for (size_t a = 0; a < h->count; a++) free(h->arrays[a].own);
    free(h->arrays);
}

void q_hosted_end(q_hosted *h)
{
    for (size_t a = 0; a < h->count; a++) {
        int result = h->arrays[a].array.result;
        if (result < 0 || !h->arrays[a].own) continue;
        const quern_view *to = &h->run->results[result], *from = &h->arrays[a].view;
        size_t bytes = (size_t)to->columns * q_element_size(to->dtype);
        size_t step = (size_t)q_view_stride(to) * q_element_size(to->dtype);
        for (size_t row = 0; row < (size_t)to->rows; row++)
            memcpy((char *)to->data + row * step, (const char *)from->data + row * bytes, bytes);
    }
}

static bool is_of_rows(const q_window *w, const q_array *array)
{
    return array->axis && array->axis == w->p->rows;
}

/* The part of an array that the window has. */
static quern_view part_of(const q_hosted *h, const q_window *w, const q_array *array)
{
    const quern_view *view = q_hosted_view(h, array);
    return is_of_rows(w, array) ? quern_view_rows(*view, w->first, w->rows) : *view;
}

quern_status q_hosted_load(const q_hosted *h, q_window *w, uint8_t axis)
{
    for (size_t a = 0; a < w->p->input_count; a++) {
        const q_array *array = &w->p->inputs[a];
        quern_view part = part_of(h, w, array);
        if (array->axis == axis) Q_TRY(q_window_load(w, q_slot_find(&w->l, array), &part));
    }
    return QUERN_OK;
}

quern_status q_hosted_store(const q_hosted *h, q_window *w)
{
    for (size_t o = 0; o < w->p->output_count; o++) {
        const q_array *array = &w->p->outputs[o];
        quern_view part = part_of(h, w, array);
        q_buffer *buffer = &q_slot_find(&w->l, array)->buffer;
        Q_TRY(q_view_store(buffer, w->l.context, &part, q_slot_dtype(w->run.dtype, array)));
    }
    return QUERN_OK;
}
