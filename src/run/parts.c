/*
 * parts.c: quern/parts.h: the stages of a run over the rows that are here, whose columns come from elsewhere. A stage is a
 * window of the own rows (window.c); what it takes of a device is planned for the longest piece of all, so that all processes
 * plan alike.
 *
 * Invariant: a piece of columns is one part of split-K or several, whole ones, so pieces are merged in the order of the
 * columns, whenever they came.
 */
#include "quern/parts.h"

#include <stdlib.h>
#include <string.h>

#include "run/parts.h"

enum { BLOCK = 256 };

struct quern_parts {
    q_given given;
    q_run own, whole; /* sizes of the own piece, and of all */
    q_hosted hosted;
    size_t count, self;
    int64_t *cuts[2]; /* of axes i and j */
    size_t next;      /* stage */
    bool open, failed;
    double done, total; /* pairs of the own rows */
    q_window window;    /* of the present stage, and what follows */
    int64_t extent;     /* columns of a part */
    int *parts;         /* the first part of each piece, and how many there are */
    bool *has;          /* by piece: taken or given */
    char *states;       /* room for those of the device, once asked for */
};

// ---- pieces ----

static const int64_t *cuts_of(const quern_parts *s, uint8_t axis)
{
    return s->cuts[axis == Q_J];
}

static int64_t length_of(const quern_parts *s, uint8_t axis, size_t piece)
{
    return cuts_of(s, axis)[piece + 1] - cuts_of(s, axis)[piece];
}

static int64_t longest_of(const quern_parts *s, uint8_t axis)
{
    int64_t longest = 0;
    for (size_t k = 0; k < s->count; k++)
        if (length_of(s, axis, k) > longest) longest = length_of(s, axis, k);
    return longest;
}

static uint8_t columns_of(const quern_parts *s)
{
    return s->window.p->reduced;
}

static bool is_of_columns(const quern_parts *s, const q_array *array)
{
    return array->axis && array->axis == columns_of(s);
}

/* Bytes of an array of so many columns among those of a piece. */
static size_t array_bytes(const quern_parts *s, const q_array *array, int64_t columns)
{
    size_t bytes = (size_t)columns * array->dim * q_element_size(q_slot_dtype(s->own.dtype, array));
    return (bytes + 7) / 8 * 8;
}

size_t quern_parts_bytes(const quern_parts *s, size_t piece)
{
    size_t bytes = 0;
    if (!s || !s->open || piece >= s->count || !columns_of(s)) return 0;
    for (size_t k = 0; k < s->window.l.slot_count; k++) {
        const q_array *array = &s->window.l.slots[k].array;
        if (is_of_columns(s, array)) bytes += array_bytes(s, array, length_of(s, columns_of(s), piece));
    }
    return bytes;
}

// ---- making ----

static quern_status check(const q_run *run)
{
    if (run->members > 1) {
        q_fail(QUERN_UNSUPPORTED, "quern_parts_create: a batch is not run in parts");
        q_fail_next_step("run some members at a time, each of which is a problem of its own");
        return QUERN_UNSUPPORTED;
    }
    if (q_has_tables(run)) {
        q_fail(QUERN_UNSUPPORTED,
               "quern_parts_create: a formula that picks rows of a table (Gather_i, Gather_j) needs all of them");
        q_fail_next_step("pick the rows before the run and give them as a variable");
        return QUERN_UNSUPPORTED;
    }
    return q_check_host("quern_parts_create", run);
}

static quern_status make(quern_parts *s, quern_operator *op, quern_context *context, quern_args args,
                         quern_outs results)
{
    q_build *build;
    Q_TRY(q_session_check(context->session));
    Q_TRY(q_build_find(&build, op, context));
    Q_TRY(q_run_check(&s->own, &s->given, build, args, results, NULL));
    Q_TRY(check(&s->own));
    Q_TRY(q_launch_check(context, s->own.dtype));
    Q_TRY(q_hosted_make(&s->hosted, &s->own));
    return quern_parts_place(s, 1, 0, (int64_t[]){0, s->own.M}, (int64_t[]){0, s->own.N});
}

quern_status quern_parts_create(quern_parts **out, quern_operator *op, quern_context *context, quern_args args,
                                quern_outs results)
{
    if (!out) return q_fail_null("quern_parts_create", "out");
    *out = NULL;
    if (!op) return q_fail_null("quern_parts_create", "the operator");
    if (!context) context = op->context;
    if (!context) return q_fail_null("quern_parts_create", "the context, of the call and of the operator,");
    *out = calloc(1, sizeof **out);
    if (!*out) return q_fail_memory(sizeof **out);
    quern_status status = make(*out, op, context, args, results);
    if (status) quern_parts_destroy(out);
    return status;
}

static void close_pass(quern_parts *s)
{
    if (s->open) q_window_close(&s->window);
    free(s->states);
    s->states = NULL;
    s->open = false;
}

void quern_parts_destroy(quern_parts **parts)
{
    quern_parts *s = parts ? *parts : NULL;
    if (!s) return;
    close_pass(s);
    q_hosted_free(&s->hosted);
    free(s->cuts[0]);
    free(s->cuts[1]);
    free(s->parts);
    free(s->has);
    free(s);
    *parts = NULL;
}

int64_t quern_parts_size(const quern_parts *s, char axis)
{
    return !s ? 0 : axis == 'i' ? s->own.M : axis == 'j' ? s->own.N : 0;
}

static quern_status check_cuts(const quern_parts *s, size_t count, size_t own, const int64_t *cuts, char axis)
{
    if (!cuts) return q_fail(QUERN_USAGE, "quern_parts_place: the cuts of axis %c are null", axis);
    if (cuts[0])
        return q_fail(QUERN_SHAPE, "quern_parts_place: cuts of axis %c begin with 0, not %lld", axis, (long long)*cuts);
    for (size_t k = 0; k < count; k++)
        if (cuts[k + 1] < cuts[k])
            return q_fail(QUERN_SHAPE, "quern_parts_place: piece %zu of axis %c goes from %lld to %lld", k, axis,
                          (long long)cuts[k], (long long)cuts[k + 1]);
    if (cuts[own + 1] - cuts[own] == quern_parts_size(s, axis)) return QUERN_OK;
    return q_fail(QUERN_SHAPE,
                  "quern_parts_place: piece %zu, the own one, has %lld rows of axis %c by its cuts, but arrays of %lld",
                  own, (long long)(cuts[own + 1] - cuts[own]), axis, (long long)quern_parts_size(s, axis));
}

static quern_status keep_cuts(quern_parts *s, size_t count, const int64_t *cuts, int axis)
{
    size_t bytes = (count + 1) * sizeof *cuts;
    free(s->cuts[axis]);
    s->cuts[axis] = malloc(bytes);
    if (!s->cuts[axis]) return q_fail_memory(bytes);
    memcpy(s->cuts[axis], cuts, bytes);
    return QUERN_OK;
}

static void count_pairs(quern_parts *s)
{
    for (size_t k = 0; k < s->own.op->stages.count; k++) {
        const q_ir *p = s->own.build->programs[k];
        double rows = (double)q_axis_size(p->rows, s->own.M, s->own.N);
        bool shared = p->rows == Q_P; /* the own columns alone */
        s->total += p->reduced ? rows * (double)q_axis_size(p->reduced, shared ? s->own.M : s->whole.M,
                                                            shared ? s->own.N : s->whole.N)
                               : rows;
    }
}

quern_status quern_parts_place(quern_parts *s, size_t count, size_t own, const int64_t *cuts_i, const int64_t *cuts_j)
{
    if (!s) return q_fail_null("quern_parts_place", "the parts");
    if (s->next || s->open || s->failed) return q_fail(QUERN_USAGE, "quern_parts_place: the first pass has begun");
    if (own >= count || count > INT32_MAX)
        return q_fail(QUERN_USAGE, "quern_parts_place: there is no piece %zu of %zu", own, count);
    Q_TRY(check_cuts(s, count, own, cuts_i, 'i'));
    Q_TRY(check_cuts(s, count, own, cuts_j, 'j'));
    s->failed = true; /* unless all goes well */
    Q_TRY(keep_cuts(s, count, cuts_i, 0));
    Q_TRY(keep_cuts(s, count, cuts_j, 1));
    free(s->parts);
    free(s->has);
    s->parts = calloc(count + 1, sizeof *s->parts);
    s->has = calloc(count, sizeof *s->has);
    if (!s->parts || !s->has) return q_fail_memory(count * sizeof *s->parts);
    s->failed = false;
    s->count = count;
    s->self = own;
    s->whole = s->own;
    s->whole.M = cuts_i[count];
    s->whole.N = cuts_j[count];
    s->whole.plan_M = longest_of(s, Q_I);
    s->whole.plan_N = longest_of(s, Q_J);
    s->total = 0;
    count_pairs(s);
    return QUERN_OK;
}

/* Numbers of a view of the host, dense and in this type. */
static void pack_array(char *to, const quern_view *view, quern_dtype dtype)
{
    if (view->dtype == QUERN_NUMBER) q_element_write(dtype, to, view->number);
    size_t from_size = q_element_size(view->dtype), size = q_element_size(dtype), columns = (size_t)view->columns;
    for (int64_t row = 0; row < view->rows && view->data; row++, to += columns * size) {
        const char *from = (const char *)view->data + (size_t)(row * q_view_stride(view)) * from_size;
        if (view->dtype == dtype) memcpy(to, from, columns * size);
        else
            for (size_t c = 0; c < columns; c++)
                q_element_write(dtype, to + c * size, q_element_read(view->dtype, from + c * from_size));
    }
}

/* The numbers of all parameters, in the run's type. */
static uint64_t digest_parameters(const quern_parts *s)
{
    uint64_t digest = 0;
    for (size_t v = 0; v < s->own.op->variable_count; v++) {
        const quern_view *view = &s->own.variables[v];
        if (quern_variable(s->own.op, v).axis != 'p') continue;
        size_t bytes = (size_t)view->columns * q_element_size(s->own.dtype);
        char *numbers = malloc(bytes + 1);
        if (!numbers) continue; /* as on no other rank: they differ, and that is told */
        pack_array(numbers, view, s->own.dtype);
        digest = q_hash64((uint64_t[]){digest, q_hash64(numbers, bytes)}, 2 * sizeof digest);
        free(numbers);
    }
    return digest;
}

uint64_t quern_parts_digest(const quern_parts *s)
{
    if (!s) return 0;
    size_t bytes = (s->count + 1) * sizeof(int64_t);
    uint64_t digests[] = {digest_parameters(s),
                          q_hash64(s->own.op->text, strlen(s->own.op->text)),
                          q_hash64(QUERN_VERSION, sizeof QUERN_VERSION),
                          s->own.dtype,
                          q_hash64(s->cuts[0], bytes),
                          q_hash64(s->cuts[1], bytes)};
    return q_hash64(digests, sizeof digests);
}

// ---- a pass begins ----

size_t quern_parts_passes(const quern_parts *s)
{
    return s ? s->own.op->stages.count : 0;
}

quern_pass quern_parts_pass(const quern_parts *s)
{
    if (!s || !s->open) return (quern_pass){0};
    const q_ir *p = s->window.p;
    return (quern_pass){q_axes[p->rows].letter, p->reduced ? q_axes[p->reduced].letter : 0};
}

/* In place of the launcher's own: pairs of all passes. */
static quern_status report(q_launcher *l, double pairs)
{
    quern_parts *s = l->report_user;
    const quern_context_options *options = &l->context->options;
    s->done += pairs;
    if (!options->progress) return QUERN_OK;
    double share = s->done < s->total ? s->done / s->total : 1;
    if (!options->progress(options->progress_user, share)) return QUERN_OK;
    return q_fail(QUERN_CANCELLED, "the run was stopped by the progress callback after %.0f %%", 100 * share);
}

/* Parts of the columns, and which pieces they are of. Without columns one part has none. */
static void find_parts(quern_parts *s)
{
    q_plan *plan = &s->window.whole.plan;
    s->extent = plan->split_extent > 0 ? plan->split_extent : 1;
    for (size_t k = 0; k < s->count; k++) {
        s->parts[k + 1] = s->parts[k] + (int)((length_of(s, columns_of(s), k) + s->extent - 1) / s->extent);
        s->has[k] = false;
    }
    if (!s->parts[s->count])
        for (size_t k = 0; k < s->count; k++) s->parts[k + 1] = 1;
    plan->split_count = s->parts[s->count];
}

static quern_status load_inputs(quern_parts *s)
{
    q_window *w = &s->window;
    for (size_t a = 0; a < w->p->input_count; a++) {
        const q_array *array = &w->p->inputs[a];
        if (is_of_columns(s, array)) continue;
        Q_TRY(q_window_load(w, q_slot_find(&w->l, array), q_hosted_view(&s->hosted, array)));
    }
    return q_session_finish(w->l.session);
}

static int64_t own_rows(const quern_parts *s)
{
    return q_axis_size(s->window.p->rows, s->own.M, s->own.N);
}

static quern_status begin(quern_parts *s)
{
    q_window *w = &s->window;
    q_build *build = s->own.build;
    bool in_pieces = build->programs[s->next]->reduced;
    int units = quern_context_device(build->context)->compute_units;
    s->open = true;
    Q_TRY(q_window_open(w, &s->whole, build, s->next, units, in_pieces));
    w->l.report = report;
    w->l.report_user = s;
    if (in_pieces) find_parts(s);
    int64_t first = w->p->rows == Q_P ? 0 : cuts_of(s, w->p->rows)[s->self];
    Q_TRY(q_window_begin(w, first, own_rows(s)));
    return own_rows(s) ? load_inputs(s) : QUERN_OK;
}

static quern_status check_use(const char *function, const quern_parts *s, bool open)
{
    if (!s) return q_fail_null(function, "the parts");
    if (s->failed) return q_fail(QUERN_USAGE, "%s: these parts have failed before", function);
    if (s->open != open)
        return q_fail(QUERN_USAGE, "%s: %s", function, open ? "no pass has begun" : "the pass before has not ended");
    return q_session_check(s->own.build->session);
}

/* Remembers a failure. */
static quern_status ended(quern_parts *s, quern_status status)
{
    s->failed = status;
    return status;
}

quern_status quern_parts_begin(quern_parts *s)
{
    Q_TRY(check_use("quern_parts_begin", s, false));
    if (s->next >= quern_parts_passes(s))
        return q_fail(QUERN_USAGE, "quern_parts_begin: all %zu passes are done", quern_parts_passes(s));
    return ended(s, begin(s));
}

// ---- columns ----

static quern_status check_piece(const char *function, const quern_parts *s, size_t piece, const void *data)
{
    Q_TRY(check_use(function, s, true));
    if (!columns_of(s)) return q_fail(QUERN_USAGE, "%s: this pass has no columns", function);
    if (piece >= s->count) return q_fail(QUERN_USAGE, "%s: there is no piece %zu of %zu", function, piece, s->count);
    return data ? QUERN_OK : q_fail_null(function, "data");
}

static const quern_view *find_view(const quern_parts *s, const q_array *array, const quern_args *args)
{
    if (!args) return q_hosted_view(&s->hosted, array);
    for (size_t a = 0; a < args->count && array->variable >= 0; a++)
        if (args->data[a].name && !strcmp(args->data[a].name, s->own.op->graph->variables[array->variable].name))
            return &args->data[a].view;
    return NULL;
}

/* From the own arrays, or from others. */
static quern_status pack(quern_parts *s, size_t piece, const quern_args *args, char *to)
{
    int64_t columns = length_of(s, columns_of(s), piece);
    memset(to, 0, quern_parts_bytes(s, piece));
    for (size_t k = 0; k < s->window.l.slot_count; k++) {
        const q_array *array = &s->window.l.slots[k].array;
        if (!is_of_columns(s, array)) continue;
        const quern_view *view = find_view(s, array, args);
        if (!view)
            return q_fail(QUERN_MISSING, "quern_parts_pack_from: %s is not among the arrays",
                          array->variable >= 0 ? s->own.op->graph->variables[array->variable].name
                                               : "what a pass before has left");
        if (view->array || view->rows != columns || view->columns != (int64_t)array->dim || (columns && !view->data) ||
            !q_dtype_is_known(view->dtype))
            return q_fail(QUERN_SHAPE,
                          "quern_parts_pack_from: an array of %lld x %lld; it must be on the host, of %lld x %u",
                          (long long)view->rows, (long long)view->columns, (long long)columns, array->dim);
        pack_array(to, view, q_slot_dtype(s->own.dtype, array));
        to += array_bytes(s, array, columns);
    }
    return QUERN_OK;
}

quern_status quern_parts_pack(quern_parts *s, void *data)
{
    Q_TRY(check_piece("quern_parts_pack", s, 0, data));
    return pack(s, s->self, NULL, data);
}

quern_status quern_parts_pack_from(quern_parts *s, size_t piece, quern_args args, void *data)
{
    Q_TRY(check_piece("quern_parts_pack_from", s, piece, data));
    return pack(s, piece, &args, data);
}

/* Before others come. */
static void drop_columns(quern_parts *s)
{
    q_launcher *l = &s->window.l;
    for (size_t k = 0; k < l->slot_count; k++)
        if (is_of_columns(s, &l->slots[k].array)) q_buffer_destroy(&l->slots[k].buffer, l->session);
}

/* Some columns of a piece onto the device. */
static quern_status load_columns(quern_parts *s, size_t piece, const char *data, int64_t from, int64_t count)
{
    q_window *w = &s->window;
    for (size_t k = 0; k < w->l.slot_count; k++) {
        q_slot *slot = &w->l.slots[k];
        quern_dtype dtype = q_slot_dtype(s->own.dtype, &slot->array);
        if (!is_of_columns(s, &slot->array)) continue;
        const char *first = data + (size_t)from * slot->array.dim * q_element_size(dtype);
        quern_view view = quern_view_of(first, dtype, count, slot->array.dim);
        Q_TRY(q_window_load(w, slot, &view));
        data += array_bytes(s, &slot->array, length_of(s, columns_of(s), piece));
    }
    return QUERN_OK;
}

/* Columns of a piece that go to the device together: all, or, if half of what is free is less, whole parts, or whole blocks of
   its one part. */
static quern_status columns_at_once(const quern_parts *s, size_t piece, int64_t *out)
{
    int64_t all = length_of(s, columns_of(s), piece), unit = all > s->extent ? s->extent : BLOCK;
    *out = q_stream_columns(&s->hosted, &s->window);
    if (*out >= all) *out = all;
    else *out = *out / unit * unit;
    if (*out || !all) return QUERN_OK;
    q_fail(QUERN_MEMORY, "device memory is too little for these rows and %lld columns at a time", (long long)unit);
    q_fail_next_step("raise quern_context_options.memory, or cut rows into more pieces");
    return QUERN_MEMORY;
}

static quern_status take(quern_parts *s, size_t piece, const void *data)
{
    q_window *w = &s->window;
    int64_t first = cuts_of(s, columns_of(s))[piece], all = length_of(s, columns_of(s), piece), step;
    bool whole_parts = all > s->extent;
    drop_columns(s);
    Q_TRY(columns_at_once(s, piece, &step));
    for (int64_t at = 0, count; at < all || !all; at += count) {
        count = step < all - at ? step : all - at;
        int64_t lead = at && count < BLOCK ? BLOCK : 0;
        q_piece now = {.first = first + at,
                       .count = count,
                       .lead = lead,
                       .part = s->parts[piece] + (int)(at / s->extent),
                       .parts = whole_parts ? (int)((count + s->extent - 1) / s->extent) : 1,
                       .begins = whole_parts || !at};
        Q_TRY(load_columns(s, piece, data, at - lead, count + lead));
        Q_TRY(q_window_take(w, &now));
        Q_TRY(q_session_finish(w->l.session)); /* the data may go */
        if (!all) break;
    }
    return QUERN_OK;
}

quern_status quern_parts_take(quern_parts *s, size_t piece, const void *data)
{
    Q_TRY(check_piece("quern_parts_take", s, piece, data));
    if (s->has[piece]) return q_fail(QUERN_USAGE, "quern_parts_take: piece %zu was taken or given before", piece);
    s->has[piece] = true;
    bool nothing = !own_rows(s) || s->parts[piece] == s->parts[piece + 1];
    return nothing ? QUERN_OK : ended(s, take(s, piece, data));
}

// ---- states ----

/* What must agree between those who exchange states. */
typedef struct state_header {
    int64_t words, rhs, parts, rows;
} state_header;

static state_header header_of(const quern_parts *s, size_t piece)
{
    const q_ir *p = s->window.p;
    return (state_header){q_plan_words(p), p->rhs_dim, s->parts[piece + 1] - s->parts[piece], own_rows(s)};
}

/* The states of all pieces, from the device. */
static quern_status fetch(quern_parts *s)
{
    q_window *w = &s->window;
    uint64_t bytes = q_plan_split_bytes(&w->plan, w->p);
    if (!s->states) s->states = malloc(bytes + 1);
    if (!s->states) return q_fail_memory(bytes);
    return q_buffer_read(&w->states, w->l.session, s->states, bytes);
}

/* ... and back. */
static quern_status put(quern_parts *s)
{
    q_window *w = &s->window;
    Q_TRY(q_buffer_write(&w->states, w->l.session, s->states, q_plan_split_bytes(&w->plan, w->p)));
    return q_session_finish(w->l.session);
}

/* The numbers of a word for the rows of a part. */
static char *states_of(const quern_parts *s, int64_t word, int part)
{
    const q_plan *plan = &s->window.plan;
    int64_t padded = plan->groups * q_plan_group_rows(plan);
    return s->states + (size_t)(padded * (word * plan->split_count + part)) * q_element_size(plan->dtype);
}

/* To the data, or from them. */
static void copy_states(const quern_parts *s, size_t piece, char *data, bool out)
{
    state_header header = header_of(s, piece);
    size_t bytes = (size_t)header.rows * q_element_size(s->window.plan.dtype);
    for (int64_t word = 0; word < header.words; word++)
        for (int part = s->parts[piece]; part < s->parts[piece + 1]; part++, data += bytes) {
            char *own = states_of(s, word, part);
            memcpy(out ? data : own, out ? own : data, bytes);
        }
}

size_t quern_parts_state_bytes(const quern_parts *s, size_t piece)
{
    if (!s || !s->open || piece >= s->count || !columns_of(s)) return 0;
    state_header h = header_of(s, piece);
    return sizeof h + (size_t)(h.words * h.parts * h.rows) * q_element_size(s->window.plan.dtype);
}

quern_status quern_parts_states(quern_parts *s, size_t piece, void *data)
{
    Q_TRY(check_piece("quern_parts_states", s, piece, data));
    if (!s->has[piece]) return q_fail(QUERN_USAGE, "quern_parts_states: piece %zu was not taken", piece);
    state_header header = header_of(s, piece);
    Q_TRY(ended(s, fetch(s)));
    memcpy(data, &header, sizeof header);
    copy_states(s, piece, (char *)data + sizeof header, true);
    return QUERN_OK;
}

quern_status quern_parts_give(quern_parts *s, size_t piece, const void *data)
{
    Q_TRY(check_piece("quern_parts_give", s, piece, data));
    if (s->has[piece]) return q_fail(QUERN_USAGE, "quern_parts_give: piece %zu was taken or given before", piece);
    state_header header = header_of(s, piece);
    if (memcmp(&header, data, sizeof header))
        return q_fail(QUERN_USAGE,
                      "quern_parts_give: these are states of another formula, other cuts or another kind of device");
    Q_TRY(ended(s, fetch(s)));
    copy_states(s, piece, (char *)(uintptr_t)data + sizeof header, false);
    s->has[piece] = true;
    return ended(s, put(s));
}

// ---- a pass ends ----

static quern_status finish_rows(quern_parts *s)
{
    q_window *w = &s->window;
    Q_TRY(w->in_pieces ? q_window_end(w) : q_window_run(w));
    for (size_t o = 0; o < w->p->output_count; o++) {
        const q_array *array = &w->p->outputs[o];
        Q_TRY(q_view_store(&q_slot_find(&w->l, array)->buffer, w->l.context, q_hosted_view(&s->hosted, array),
                           q_slot_dtype(s->own.dtype, array)));
    }
    return q_session_finish(w->l.session);
}

quern_status quern_parts_end(quern_parts *s)
{
    Q_TRY(check_use("quern_parts_end", s, true));
    for (size_t k = 0; k < s->count && columns_of(s); k++)
        if (!s->has[k] && s->parts[k] < s->parts[k + 1])
            return q_fail(QUERN_USAGE, "quern_parts_end: piece %zu of %zu was neither taken nor given", k, s->count);
    Q_TRY(ended(s, own_rows(s) ? finish_rows(s) : QUERN_OK));
    close_pass(s);
    s->next++;
    if (s->next == quern_parts_passes(s)) q_hosted_end(&s->hosted);
    return QUERN_OK;
}
