/*
 * stream.c: rows of a stage on a device, whatever its memory: all columns stay there if they fit, else they come from the
 * host in pieces, the next one while the kernel takes in the present one (double buffering). Where parts of split-K fill
 * the device, a piece is some whole parts; else it goes on from the states of the piece before.
 *
 * Invariant: pieces are multiples of 256 columns but for the last, which is as long or more, so blocks of sums, and schemes
 * with tiles, find the columns of a block together.
 */
#include <pthread.h>
#include <stdlib.h>

#include "quern/array.h"
#include "run/parts.h"

enum { BLOCK = 256, LIST_BYTES = 64 /* of a group in the lists of a space, or less */ };

// ---- sizes ----

/* Bytes that a row of an array takes on a device, with what its conversion takes. */
static uint64_t row_bytes(const q_hosted *h, const q_array *array)
{
    const quern_view *view = q_hosted_view(h, array);
    quern_dtype dtype = q_slot_dtype(h->run->dtype, array);
    uint64_t converted = view->dtype == dtype || view->dtype == QUERN_NUMBER ? 0 : q_element_size(view->dtype);
    return array->dim * (q_element_size(dtype) + converted);
}

/* Bytes of a row, or of a column, of all arrays of a stage, and of the longest one. */
static uint64_t bytes_of_axis(const q_hosted *h, const q_ir *p, uint8_t axis, uint64_t *longest)
{
    uint64_t sum = 0;
    *longest = 1;
    for (size_t a = 0; a < p->input_count + p->output_count; a++) {
        const q_array *array = a < p->input_count ? &p->inputs[a] : &p->outputs[a - p->input_count];
        uint64_t bytes = row_bytes(h, array);
        if (array->axis != axis) continue;
        sum += bytes;
        if (bytes > *longest) *longest = bytes;
    }
    return sum;
}

/* What a context may still take, less a little for lists and alignment. */
static uint64_t free_bytes(q_session *session)
{
    pthread_mutex_lock(&session->memory_lock);
    uint64_t limit = session->memory_limit, used = session->memory_in_use;
    pthread_mutex_unlock(&session->memory_lock);
    return used < limit ? (limit - used) / 16 * 15 : 0;
}

static int64_t at_most(uint64_t bytes, uint64_t each)
{
    uint64_t count = each ? bytes / each : INT32_MAX;
    return count < INT32_MAX ? (int64_t)count : INT32_MAX;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t q_stream_columns(const q_hosted *h, const q_window *w)
{
    uint64_t longest, column = bytes_of_axis(h, w->p, w->p->reduced, &longest);
    return smaller(at_most(free_bytes(w->l.session) / 2, column),
                   at_most(q_session_device(w->l.session)->max_allocation, longest));
}

/* Bytes of all arrays of a run in the device's own types; false if one is too long. */
static bool sum_arrays(const q_run *run, uint64_t *sum)
{
    size_t size = q_element_size(run->dtype);
    uint64_t most = q_session_device(run->build->session)->max_allocation, longest = 0, bytes;
    *sum = 0;
    for (size_t v = 0; v < run->op->variable_count; v++) {
        const quern_view *view = &run->variables[v];
        *sum += bytes = (uint64_t)view->rows * (uint64_t)view->columns * size;
        if (bytes > longest) longest = bytes;
    }
    for (size_t s = 0; s < run->op->stages.count; s++) {
        const q_ir *p = run->build->programs[s];
        for (size_t o = 0; o < p->output_count; o++) {
            *sum += bytes = (uint64_t)q_axis_size(p->rows, run->M, run->N) * p->outputs[o].dim * size;
            if (bytes > longest) longest = bytes;
        }
    }
    return longest <= most;
}

bool q_stream_takes(const q_run *run)
{
    uint64_t sum;
    q_session *session = run->build->session;
    if (run->spaces || run->members > 1 || q_has_tables(run)) return false;
    for (size_t v = 0; v < run->op->variable_count; v++)
        if (run->variables[v].array) return false;
    for (size_t r = 0; r < run->op->result_count; r++)
        if (run->results[r].array) return false;
    bool possible = sum_arrays(run, &sum);
    pthread_mutex_lock(&session->memory_lock);
    bool fits =
        session->memory_in_use <= session->memory_limit && sum <= session->memory_limit - session->memory_in_use;
    pthread_mutex_unlock(&session->memory_lock);
    return !possible || !fits;
}

// ---- opening ----

static quern_status fail_room(const q_stream *s, uint64_t bytes)
{
    q_fail(QUERN_MEMORY,
           "%llu bytes of device memory are too few for a group of %lld rows and two pieces of %d columns on %s",
           (unsigned long long)bytes, (long long)q_plan_group_rows(&s->window.whole.plan), BLOCK,
           quern_context_device(s->window.l.context)->name);
    q_fail_next_step("raise quern_context_options.memory, or wait for other runs in this context");
    return QUERN_MEMORY;
}

/* Where rows are few, parts of the columns fill the device: several of them are in a piece. */
static void cut_parts(q_stream *s)
{
    q_plan *plan = &s->window.whole.plan;
    int64_t groups = plan->groups * plan->rhs_groups, wave = q_plan_wave(plan),
            at_a_time = (wave + groups - 1) / groups;
    if (plan->split_count == 1 && at_a_time <= 1) return;
    if (plan->split_extent > s->piece / at_a_time)
        plan->split_extent = smaller(s->columns, (s->piece / at_a_time + BLOCK - 1) / BLOCK * BLOCK);
    if (plan->split_extent > s->piece) plan->split_extent = s->piece;
    plan->split_count = (int)((s->columns + plan->split_extent - 1) / plan->split_extent);
    s->piece = s->piece / plan->split_extent * plan->split_extent;
    s->whole_parts = true;
}

/* Half of the memory for two pieces of columns, or all of them; the rest for rows. */
static quern_status find_sizes(q_stream *s)
{
    const q_window *w = &s->window;
    const q_plan *plan = &w->whole.plan;
    uint64_t longest_row, longest_column, bytes = free_bytes(w->l.session),
                                          most = q_session_device(w->l.session)->max_allocation;
    uint64_t row = bytes_of_axis(s->hosted, w->p, w->p->rows, &longest_row);
    uint64_t column = w->p->reduced ? bytes_of_axis(s->hosted, w->p, w->p->reduced, &longest_column) : 0;
    uint64_t state = (uint64_t)q_plan_words(w->p) * q_element_size(plan->dtype), all = column * (uint64_t)s->columns;
    s->piece = s->columns;
    if (w->in_pieces) {
        s->piece = smaller(at_most(bytes / 4, column), at_most(most, longest_column)) / BLOCK * BLOCK - BLOCK;
        if (s->piece > s->columns) s->piece = s->columns;
        if (s->piece < smaller(BLOCK, s->columns)) return fail_room(s, bytes);
        cut_parts(s);
        all = 2 * column * (uint64_t)(s->piece + BLOCK);
    }
    uint64_t states = plan->split ? state * (uint64_t)plan->split_count : 0;
    int64_t group = q_plan_group_rows(plan);
    row += (uint64_t)((LIST_BYTES + group - 1) / group);
    states *= (uint64_t)(plan->listed && w->given ? plan->groups * group / q_space_rows(w->given) + 1 : 1);
    s->rows = smaller(at_most(bytes - all, row + states), at_most(most, longest_row > states ? longest_row : states));
    s->rows = s->rows / group * group;
    return s->rows || !plan->groups ? QUERN_OK : fail_room(s, bytes);
}

/* Whether the columns of a stage, and a good part of its rows, fit. */
static bool columns_fit(const q_hosted *h, const q_build *build, const q_ir *p, int64_t columns)
{
    uint64_t longest, bytes = bytes_of_axis(h, p, p->reduced, &longest);
    return !p->reduced ||
           ((uint64_t)at_most(free_bytes(build->session) / 2, bytes) >= (uint64_t)columns &&
            (uint64_t)at_most(q_session_device(build->session)->max_allocation, longest) >= (uint64_t)columns);
}

/* Pieces are of rectangles. */
static quern_status fail_columns(const q_build *build, int64_t columns)
{
    q_fail(QUERN_MEMORY, "%lld columns of a run with ranges do not fit half of the device memory that is free on %s",
           (long long)columns, quern_context_device(build->context)->name);
    q_fail_next_step("raise quern_context_options.memory, or run each part of the columns by itself");
    return QUERN_MEMORY;
}

quern_status q_stream_open(q_stream *s, const q_hosted *hosted, q_build *build, size_t stage, int units)
{
    const q_run *run = hosted->run;
    const q_ir *p = build->programs[stage];
    *s = (q_stream){.hosted = hosted, .columns = p->reduced ? q_axis_size(p->reduced, run->M, run->N) : 0};
    bool in_pieces = !columns_fit(hosted, build, p, s->columns);
    Q_TRY(q_window_open(&s->window, run, build, stage, units, in_pieces));
    if (in_pieces && q_run_space(run, stage)) return fail_columns(build, s->columns);
    Q_TRY(find_sizes(s));
    if (in_pieces)
        q_context_log(build->context, "stage %zu in pieces of %lld of %lld columns, %lld rows at a time", stage,
                      (long long)s->piece, (long long)s->columns, (long long)s->rows);
    return QUERN_OK;
}

void q_stream_close(q_stream *s)
{
    q_window *w = &s->window;
    (void)q_session_settle(w->l.session);
    for (size_t k = 0; s->buffers && k < w->l.slot_count; k++) {
        if (s->buffers[2 * k].mem) w->l.slots[k].buffer = (q_buffer){0}; /* it was one of these */
        for (size_t turn = 0; turn < 2; turn++) q_buffer_destroy(&s->buffers[2 * k + turn], w->l.session);
    }
    free(s->buffers);
    q_window_close(w);
}

// ---- pieces ----

/* What brings a piece while another is computed. */
typedef struct loader {
    q_stream *s;
    q_piece piece;
    pthread_t thread;
    bool running;
    quern_status status;
    q_failure failure;
} loader;

static bool is_of_columns(const q_stream *s, const q_array *array)
{
    return array->axis && array->axis == s->window.p->reduced;
}

/* Without waiting for kernels, where no conversion is needed. */
static quern_status load_array(q_stream *s, q_buffer *buffer, const q_array *array, const q_piece *piece)
{
    q_launcher *l = &s->window.l;
    quern_view view =
        quern_view_rows(*q_hosted_view(s->hosted, array), piece->first - piece->lead, piece->count + piece->lead);
    quern_dtype dtype = q_slot_dtype(s->window.run.dtype, array);
    if (view.dtype != dtype || !q_view_is_dense(&view)) return q_view_load(buffer, l->context, &view, dtype);
    uint64_t bytes = (uint64_t)view.rows * (uint64_t)view.columns * q_element_size(dtype);
    return q_buffer_write_beside(buffer, l->session, view.data, bytes);
}

static quern_status load_piece(q_stream *s, const q_piece *piece)
{
    const q_launcher *l = &s->window.l;
    for (size_t k = 0; k < l->slot_count; k++)
        if (is_of_columns(s, &l->slots[k].array))
            Q_TRY(load_array(s, &s->buffers[2 * k + (size_t)piece->turn], &l->slots[k].array, piece));
    return QUERN_OK;
}

static void *load_beside(void *user)
{
    loader *l = user;
    l->status = load_piece(l->s, &l->piece);
    if (l->status) q_failure_keep(&l->failure);
    return NULL;
}

/* By itself if no thread can be had. */
static void start_loader(loader *l, const q_piece *piece)
{
    l->piece = *piece;
    l->running = !pthread_create(&l->thread, NULL, load_beside, l);
    if (!l->running) load_beside(l);
}

static quern_status await_loader(loader *l)
{
    if (l->running) pthread_join(l->thread, NULL);
    l->running = false;
    return l->status ? q_failure_tell(&l->failure, "") : QUERN_OK;
}

static quern_status make_buffers(q_stream *s)
{
    q_launcher *l = &s->window.l;
    if (s->buffers) return QUERN_OK;
    s->buffers = calloc(2 * l->slot_count + 1, sizeof *s->buffers);
    if (!s->buffers) return q_fail_memory(2 * l->slot_count * sizeof *s->buffers);
    for (size_t k = 0; k < l->slot_count; k++) {
        const q_array *array = &l->slots[k].array;
        uint64_t bytes =
            (uint64_t)(s->piece + BLOCK) * array->dim * q_element_size(q_slot_dtype(s->window.run.dtype, array));
        for (size_t turn = 0; turn < 2 && is_of_columns(s, array); turn++)
            Q_TRY(q_buffer_create(&s->buffers[2 * k + turn], l->session, bytes));
    }
    return QUERN_OK;
}

/* The piece that begins with this column; a short one has some columns before it, too. */
static q_piece piece_at(const q_stream *s, int64_t first, int turn)
{
    int64_t extent = s->window.whole.plan.split_extent, count = smaller(s->piece, s->columns - first);
    q_piece piece = {.first = first, .count = count, .parts = 1, .begins = s->whole_parts || !first, .turn = turn};
    if (s->whole_parts) {
        piece.part = (int)(first / extent);
        piece.parts = (int)((count + extent - 1) / extent);
    }
    piece.lead = count < BLOCK && first ? BLOCK : 0;
    return piece;
}

static quern_status take_piece(q_stream *s, const q_piece *piece)
{
    q_window *w = &s->window;
    for (size_t k = 0; k < w->l.slot_count; k++)
        if (is_of_columns(s, &w->l.slots[k].array)) w->l.slots[k].buffer = s->buffers[2 * k + (size_t)piece->turn];
    return q_window_take(w, piece);
}

/* The next piece is loaded into the buffers of the one before, which has been computed then. */
static quern_status run_pieces(q_stream *s, loader *l)
{
    for (int64_t first = 0; first < s->columns;) {
        Q_TRY(await_loader(l));
        q_piece piece = l->piece;
        Q_TRY(q_session_finish(s->window.l.session));
        first += piece.count;
        q_piece next = piece_at(s, first, !piece.turn);
        if (first < s->columns) start_loader(l, &next);
        Q_TRY(take_piece(s, &piece));
    }
    return q_window_end(&s->window);
}

static quern_status run_in_pieces(q_stream *s)
{
    loader l = {.s = s};
    q_piece first = piece_at(s, 0, 0);
    Q_TRY(make_buffers(s));
    start_loader(&l, &first);
    quern_status status = run_pieces(s, &l);
    if (l.running) pthread_join(l.thread, NULL);
    return status;
}

quern_status q_stream_rows(q_stream *s, int64_t first, int64_t rows)
{
    q_window *w = &s->window;
    Q_TRY(q_window_begin(w, first, rows));
    Q_TRY(q_hosted_load(s->hosted, w, w->p->rows));
    if (!s->loaded) Q_TRY(q_hosted_load(s->hosted, w, Q_P));
    if (!s->loaded && !w->in_pieces && w->p->reduced) Q_TRY(q_hosted_load(s->hosted, w, w->p->reduced));
    s->loaded = true;
    Q_TRY(w->in_pieces ? run_in_pieces(s) : q_window_run(w));
    return q_hosted_store(s->hosted, w);
}
