/*
 * space.c: which rows meet which columns, where that is not a rectangle: blocks of rows, each with segments of columns, of
 * arrays that begin anywhere. For the kernels it becomes lists with a record for each work-group.
 */
#include <stdlib.h>

#include "plan/plan.h"

/* Numbers of a record, as space_list.cl reads them; an entry has its arrays' bases behind. */
enum { GROUP = 6, SEGMENT = 2, ENTRY = 5 };

static int64_t length_of(const q_segment *segment)
{
    return segment->to > segment->from ? segment->to - segment->from : 0;
}

static int64_t columns_of(const q_space *space, const q_row_block *block)
{
    int64_t columns = 0;
    for (size_t s = 0; s < block->segment_count; s++) columns += length_of(&space->segments[block->first_segment + s]);
    return columns;
}

int64_t q_space_rows(const q_space *space)
{
    int64_t rows = 0;
    for (size_t b = 0; b < space->block_count; b++) rows += space->blocks[b].rows;
    return rows;
}

int64_t q_space_columns(const q_space *space)
{
    int64_t most = 0;
    for (size_t b = 0; b < space->block_count; b++) {
        int64_t columns = columns_of(space, &space->blocks[b]);
        if (columns > most) most = columns;
    }
    return most;
}

double q_space_pairs(const q_space *space)
{
    double pairs = 0;
    for (size_t b = 0; b < space->block_count; b++)
        pairs += (double)space->blocks[b].rows * (double)columns_of(space, &space->blocks[b]);
    return pairs;
}

int64_t q_space_groups(const q_space *space, int64_t group_rows)
{
    int64_t groups = 0;
    for (size_t b = 0; b < space->block_count; b++) groups += (space->blocks[b].rows + group_rows - 1) / group_rows;
    return groups;
}

// ---- tables ----

/* The segments of a block that are of a piece: from *begin to *end - 1. */
static void segments_of(const q_space *space, const q_row_block *block, size_t piece, size_t *begin, size_t *end)
{
    *begin = block->first_segment;
    size_t last = block->first_segment + block->segment_count;
    while (*begin < last && space->segments[*begin].piece < piece) ++*begin;
    *end = *begin;
    while (*end < last && space->segments[*end].piece == piece) ++*end;
}

static int64_t *add_groups(int64_t *to, const q_space *space, const q_row_block *block, size_t piece,
                           int64_t group_rows)
{
    size_t begin, end;
    int64_t terms = block->terms ? block->terms : columns_of(space, block);
    segments_of(space, block, piece, &begin, &end);
    for (int64_t row = 0; row < block->rows; row += group_rows, to += GROUP) {
        size_t entry = block->entry + piece * space->piece_entries;
        int64_t record[GROUP] = {block->row + row, block->row + block->rows, (int64_t)begin,
                                 (int64_t)end,     (int64_t)entry,           terms};
        for (int k = 0; k < GROUP; k++) to[k] = record[k];
    }
    return to;
}

/* Columns that the arrays of each entry hold, as far as their segments tell: the last number of a record. */
static void find_held(int64_t *entries, size_t size, const q_space *space)
{
    for (size_t b = 0; b < space->block_count; b++)
        for (size_t s = 0; s < space->blocks[b].segment_count; s++) {
            const q_segment *segment = &space->segments[space->blocks[b].first_segment + s];
            size_t entry = space->blocks[b].entry + segment->piece * space->piece_entries;
            int64_t *held = &entries[entry * size + ENTRY - 1];
            if (length_of(segment) && segment->to > *held) *held = segment->to;
        }
}

static void add_entry(int64_t *to, const q_space *space, size_t entry, const q_ir *program)
{
    const q_space_entry *e = &space->entries[entry];
    size_t arrays = program->input_count + program->output_count;
    int64_t record[ENTRY] = {e->M, e->N, e->row_number, e->column_number, 0};
    for (int k = 0; k < ENTRY; k++) to[k] = record[k];
    for (size_t a = 0; a < arrays; a++) {
        const q_array *array =
            a < program->input_count ? &program->inputs[a] : &program->outputs[a - program->input_count];
        to[ENTRY + a] = space->bases ? space->bases[entry * arrays + a] * (int64_t)array->dim : 0;
    }
}

quern_status q_space_tabulate(q_space_table *out, const q_space *space, const q_ir *program, int64_t group_rows)
{
    size_t groups = (size_t)q_space_groups(space, group_rows), segments = 0,
           entry = ENTRY + program->input_count + program->output_count;
    for (size_t b = 0; b < space->block_count; b++) {
        size_t end = space->blocks[b].first_segment + space->blocks[b].segment_count;
        if (end > segments) segments = end;
    }
    *out = (q_space_table){.group_bytes = groups * space->piece_count * GROUP * sizeof(int64_t),
                           .segment_bytes = segments * SEGMENT * sizeof(int64_t),
                           .entry_bytes = space->entry_count * entry * sizeof(int64_t)};
    out->groups = malloc(out->group_bytes + 1);
    out->segments = malloc(out->segment_bytes + 1);
    out->entries = malloc(out->entry_bytes + 1);
    if (!out->groups || !out->segments || !out->entries) {
        q_space_table_free(out);
        return q_fail_memory(out->group_bytes);
    }
    int64_t *to = out->groups;
    for (size_t piece = 0; piece < space->piece_count; piece++)
        for (size_t b = 0; b < space->block_count; b++)
            to = add_groups(to, space, &space->blocks[b], piece, group_rows);
    for (size_t s = 0; s < segments; s++) {
        out->segments[SEGMENT * s] = space->segments[s].from;
        out->segments[SEGMENT * s + 1] = space->segments[s].from + length_of(&space->segments[s]);
    }
    for (size_t e = 0; e < space->entry_count; e++) add_entry(out->entries + e * entry, space, e, program);
    find_held(out->entries, entry, space);
    return QUERN_OK;
}

void q_space_table_free(q_space_table *table)
{
    free(table->groups);
    free(table->segments);
    free(table->entries);
    table->groups = table->segments = table->entries = NULL;
}
