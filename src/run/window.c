/*
 * window.c: some rows of a stage on a device, in arrays of their own that begin with the first of them. They meet all
 * columns at once, or piece by piece, each going on from the states that the one before has left. The formula sees the
 * names and the sizes of the whole run: kernels are those of a space of one block (plan/space.c), or of ranges, of whose
 * blocks a window has some, and parts of the first and the last.
 *
 * Invariant: a plan is that of the whole run but for the number of its groups, so what is done with a group of rows does not
 * depend on the window that it is in.
 */
#include <stdlib.h>

#include "run/parts.h"

/* The number of a part's first column; more than any run has, where parts are those of the caller. */
static int64_t start_of(const q_window *w, int part)
{
    return w->whole.plan.split_extent * part;
}

static q_plan_request request_of(const q_window *w, int units, const q_space *space)
{
    const q_run *run = &w->run;
    return (q_plan_request){&run->build->profile, run->dtype, run->M, run->N, units, &run->op->options, space};
}

static quern_status plan(q_window *w, int units)
{
    const q_run *run = &w->run;
    q_plan_request request = request_of(w, units, &w->space), ranges = request_of(w, units, w->given);
    if (w->given) return q_plan_make(&w->whole.plan, w->p, &ranges);
    int64_t columns = w->p->reduced ? q_axis_size(w->p->reduced, run->plan_M, run->plan_N) : 0;
    w->block = (q_row_block){.rows = q_axis_size(w->p->rows, run->plan_M, run->plan_N), .segment_count = 1};
    w->segment = (q_segment){.to = columns};
    w->space = (q_space){.blocks = &w->block,
                         .segments = &w->segment,
                         .entries = &w->entry,
                         .block_count = 1,
                         .entry_count = 1,
                         .piece_count = w->in_pieces ? 2 : 1};
    quern_status status = q_plan_make(&w->whole.plan, w->p, &request);
    w->space.piece_count = 1; /* the window is given them one by one */
    w->whole.plan.pieces = 1;
    return status;
}

static quern_status build(q_window *w)
{
    q_stage_plan *whole = &w->whole;
    if (!whole->plan.groups) return QUERN_OK;
    Q_TRY(q_stage_program(&whole->program, w->run.build, w->stage, &whole->plan, Q_ROLE_MAIN));
    return whole->plan.split ? q_stage_program(&whole->merge, w->run.build, w->stage, &whole->plan, Q_ROLE_MERGE)
                             : QUERN_OK;
}

static quern_status make_slots(q_window *w)
{
    const q_ir *p = w->p;
    size_t most = p->input_count + p->output_count + 1;
    w->l.slots = calloc(most, sizeof *w->l.slots);
    if (!w->l.slots) return q_fail_memory(most * sizeof *w->l.slots);
    for (size_t a = 0; a < p->input_count + p->output_count; a++) {
        const q_array *array = a < p->input_count ? &p->inputs[a] : &p->outputs[a - p->input_count];
        if (!q_slot_find(&w->l, array)) w->l.slots[w->l.slot_count++].array = *array;
    }
    return QUERN_OK;
}

quern_status q_window_open(q_window *w, const q_run *run, q_build *its_build, size_t stage, int units, bool in_pieces)
{
    *w = (q_window){.run = *run, .stage = stage, .p = its_build->programs[stage], .in_pieces = in_pieces};
    w->run.build = its_build;
    w->given = q_run_space(run, stage);
    w->spaces[stage] = &w->space;
    w->run.spaces = w->spaces;
    w->l =
        (q_launcher){.run = &w->run, .context = its_build->context, .session = its_build->session, .plans = &w->whole};
    Q_TRY(q_session_check(w->l.session));
    Q_TRY(q_launch_check(w->l.context, run->dtype));
    Q_TRY(plan(w, units));
    Q_TRY(build(w));
    return make_slots(w);
}

static void drop_tables(q_window *w)
{
    for (size_t t = 0; t < Q_COUNT(w->l.tables); t++) q_buffer_destroy(&w->l.tables[t], w->l.session);
}

void q_window_close(q_window *w)
{
    (void)q_session_settle(w->l.session); /* nothing may still use the arrays */
    drop_tables(w);
    free(w->cut);
    q_buffer_destroy(&w->states, w->l.session);
    q_slots_free(&w->l);
}

quern_status q_window_load(q_window *w, q_slot *slot, const quern_view *view)
{
    q_buffer_destroy(&slot->buffer, w->l.session);
    return q_slot_load(&w->l, slot, view);
}

static quern_status make_room(q_window *w, q_slot *slot)
{
    uint64_t bytes = (uint64_t)w->rows * slot->array.dim * q_element_size(q_slot_dtype(w->run.dtype, &slot->array));
    q_buffer_destroy(&slot->buffer, w->l.session);
    return q_buffer_create(&slot->buffer, w->l.session, bytes);
}

/* The block of the given space that has a row, or the last. */
static const q_row_block *block_at(const q_window *w, int64_t row)
{
    size_t low = 0, high = w->given->block_count;
    while (low + 1 < high) {
        size_t middle = (low + high) / 2;
        if (w->given->blocks[middle].row <= row) low = middle;
        else high = middle;
    }
    return &w->given->blocks[low];
}

int64_t q_window_cut(const q_window *w, int64_t row, int64_t unit)
{
    int64_t begin = w->given ? block_at(w, row)->row : 0;
    return begin + (row - begin) / unit * unit;
}

/* What the window has of the given blocks, by its own rows, as its space. */
static quern_status cut_blocks(q_window *w)
{
    const q_row_block *from = block_at(w, w->first), *last = block_at(w, w->first + w->rows - 1);
    size_t count = (size_t)(last - from) + 1, met = 0;
    free(w->cut);
    w->cut = malloc(count * sizeof *w->cut);
    if (!w->cut) return q_fail_memory(count * sizeof *w->cut);
    while (met < count && !from[met].segment_count) met++;
    size_t segments = met < count ? from[met].first_segment : 0;
    for (size_t b = 0; b < count; b++) {
        q_row_block *block = &w->cut[b];
        int64_t begin = from[b].row - w->first, end = begin + from[b].rows;
        *block = from[b];
        block->row = begin > 0 ? begin : 0;
        block->rows = (end < w->rows ? end : w->rows) - block->row;
        block->first_segment = block->segment_count ? block->first_segment - segments : 0;
    }
    w->space = (q_space){.blocks = w->cut,
                         .segments = met < count ? w->given->segments + segments : NULL,
                         .entries = &w->entry,
                         .block_count = count,
                         .entry_count = 1,
                         .piece_count = 1};
    return QUERN_OK;
}

quern_status q_window_begin(q_window *w, int64_t first, int64_t rows)
{
    int64_t group_rows = q_plan_group_rows(&w->whole.plan);
    drop_tables(w);
    w->first = first;
    w->rows = rows;
    if (w->given) Q_TRY(cut_blocks(w));
    w->plan = w->whole.plan;
    w->plan.groups = w->given ? q_space_groups(&w->space, group_rows) : (rows + group_rows - 1) / group_rows;
    for (size_t o = 0; o < w->p->output_count; o++) Q_TRY(make_room(w, q_slot_find(&w->l, &w->p->outputs[o])));
    q_buffer_destroy(&w->states, w->l.session);
    if (!w->in_pieces) return QUERN_OK;
    return q_buffer_create(&w->states, w->l.session, q_plan_split_bytes(&w->plan, w->p));
}

/* The lists of the window's rows with columns `from` to `to` - 1 of the arrays, of which column 0 is called so. */
static quern_status make_tables(q_window *w, int64_t from, int64_t to, int64_t column)
{
    q_space_table table;
    int64_t terms = w->p->reduced ? q_axis_size(w->p->reduced, w->run.M, w->run.N) : 0;
    w->block = (q_row_block){.rows = w->rows, .segment_count = 1, .terms = terms};
    w->segment = (q_segment){.from = from, .to = to};
    w->entry = (q_space_entry){w->run.M, w->run.N, w->first, column};
    drop_tables(w);
    Q_TRY(q_space_tabulate(&table, &w->space, w->p, q_plan_group_rows(&w->plan)));
    const void *data[] = {table.groups, table.segments, table.entries, NULL};
    size_t bytes[] = {table.group_bytes, table.segment_bytes, table.entry_bytes, 0};
    quern_status status = QUERN_OK;
    for (int t = 0; t < 4 && !status; t++)
        status = q_buffer_create_from(&w->l.tables[t], w->l.session, data[t], bytes[t]);
    if (!status) status = q_session_finish(w->l.session); /* they are being read */
    q_space_table_free(&table);
    return status;
}

quern_status q_window_run(q_window *w)
{
    Q_TRY(make_tables(w, 0, w->p->reduced ? q_axis_size(w->p->reduced, w->run.M, w->run.N) : 0, 0));
    if (!w->plan.split) return q_launch_rows(&w->l, w->stage, &w->plan, w->whole.program);
    return q_launch_split(&w->l, w->stage,
                          &(q_stage_plan){.plan = w->plan, .program = w->whole.program, .merge = w->whole.merge});
}

static q_values values_of(const q_window *w)
{
    q_values values = q_values_of(&w->l, &w->plan);
    values.buffer[Q_PARAM_STATES] = &w->states;
    return values;
}

quern_status q_window_take(q_window *w, const q_piece *piece)
{
    q_plan plan_of_piece = w->plan, source = w->whole.plan;
    q_program *program;
    q_values values = values_of(w);
    source.accumulate = !piece->begins;
    Q_TRY(q_stage_program(&program, w->run.build, w->stage, &source, Q_ROLE_MAIN));
    /* A part is so many columns from its start on: those before the piece's are not there. */
    Q_TRY(
        make_tables(w, piece->lead - start_of(w, piece->part), piece->lead + piece->count, piece->first - piece->lead));
    values.number[Q_PARAM_FIRST_SPLIT] = piece->part;
    plan_of_piece.split_count = piece->parts;
    return q_launch_slices(&w->l, program, &(q_kernel){w->p, &plan_of_piece, Q_ROLE_MAIN}, &values,
                           (double)w->rows * (double)piece->count);
}

quern_status q_window_end(q_window *w)
{
    if (!w->l.tables[0].mem) Q_TRY(make_tables(w, 0, 0, 0)); /* all states came from elsewhere */
    q_values values = values_of(w);
    size_t items = (size_t)(values.number[Q_PARAM_PADDED] / w->plan.lanes), rhs = (size_t)w->plan.rhs_per_item,
           rhs_groups = rhs ? (w->p->rhs_dim + rhs - 1) / rhs : 1;
    return q_launch_kernel(&w->l, w->whole.merge, &(q_kernel){w->p, &w->plan, Q_ROLE_MERGE}, &values,
                           (size_t[]){items, 1, rhs_groups});
}
