/*
 * spaces.c: runs with ranges and batches: from what the user gives to an iteration space (plan/space.c) for each stage.
 *
 * A member of a batch is an entry, whose arrays begin where its rows do, or where those that it shares do. A stage whose rows
 * are of one axis and which reduces the other has the blocks of the ranges, or of the ranges turned, and between them blocks
 * that meet nothing; without ranges, and in other stages, each member is a block. One such block is a rectangle, and no space.
 */
#include <stdlib.h>

#include "run/spaces.h"

// ---- where members begin ----

static quern_status place_members(q_spaces *s, const q_run *run, const q_given *given, const quern_run_options *options)
{
    size_t members = s->members = (size_t)run->members;
    const int64_t *ragged[3] = {NULL, options ? options->offsets_i : NULL, options ? options->offsets_j : NULL};
    int64_t rows[3] = {1, given->M, given->N};
    for (int axis = 0; axis < 3; axis++) {
        int64_t *starts = s->starts[axis] = malloc((members + 1) * sizeof *starts);
        if (!starts) return q_fail_memory((members + 1) * sizeof *starts);
        for (size_t b = 0; b <= members; b++)
            starts[b] = !given->ragged || !axis ? (int64_t)b * rows[axis] : ragged[axis] ? ragged[axis][b] : 0;
    }
    return QUERN_OK;
}

int64_t q_spaces_rows(const q_spaces *s, int axis, size_t member)
{
    return s->starts[axis][member + 1] - s->starts[axis][member];
}

static quern_status make_entries(q_spaces *s)
{
    s->entries = malloc((s->members + 1) * sizeof *s->entries);
    if (!s->entries) return q_fail_memory(s->members * sizeof *s->entries);
    for (size_t b = 0; b < s->members; b++)
        s->entries[b] = (q_space_entry){q_spaces_rows(s, Q_I, b), q_spaces_rows(s, Q_J, b), 0, 0};
    return QUERN_OK;
}

int64_t q_spaces_first_row(const q_spaces *s, const q_run *run, const q_given *given, size_t v, size_t member)
{
    int axis = run->op->graph->variables[run->op->variables[v]].axis;
    if (given->ragged) return !axis && run->variables[v].rows == 1 ? 0 : s->starts[axis][member];
    int64_t place = q_batch_place(&given->batch, &given->batches[v], (int64_t)member);
    return place * (axis == Q_I ? given->M : axis == Q_J ? given->N : 1);
}

/* The row of an array where a member's begin. */
static int64_t base_of(const q_spaces *s, const q_run *run, const q_given *given, const q_array *array, size_t member)
{
    if (array->variable < 0) return s->starts[array->axis][member];
    size_t v = 0;
    while (run->op->variables[v] != array->variable) v++;
    return q_spaces_first_row(s, run, given, v, member);
}

static quern_status make_bases(q_spaces *s, const q_run *run, const q_given *given, size_t stage)
{
    const q_ir *p = run->build->programs[stage];
    size_t arrays = p->input_count + p->output_count;
    int64_t *base = s->bases[stage] = malloc((s->members * arrays + 1) * sizeof *base);
    if (!base) return q_fail_memory(s->members * arrays * sizeof *base);
    for (size_t b = 0; b < s->members; b++)
        for (size_t a = 0; a < arrays; a++)
            *base++ = base_of(s, run, given, a < p->input_count ? &p->inputs[a] : &p->outputs[a - p->input_count], b);
    return QUERN_OK;
}

// ---- blocks ----

/* What is wrong with a block or a segment that is in more than one member. */
static quern_status fail_across(const char *what, int64_t from, int64_t to, int64_t end)
{
    q_fail(QUERN_SHAPE, "ranges: the %s %lld to %lld leave their member of the batch, which ends at %lld", what,
           (long long)from, (long long)to, (long long)end);
    q_fail_next_step("cut blocks and spans where members end; rows and columns are counted through all members");
    return QUERN_SHAPE;
}

/* A block of the mask by the numbers of its member. */
static quern_status localise(const q_spaces *s, q_mask *mask, q_row_block *block, int rows, int columns, size_t member)
{
    const int64_t *row = &s->starts[rows][member], *column = &s->starts[columns][member];
    if (block->row + block->rows > row[1]) return fail_across("rows", block->row, block->row + block->rows, row[1]);
    for (size_t k = 0; k < block->segment_count; k++) {
        q_segment *segment = &mask->segments[block->first_segment + k];
        if (segment->from < column[0] || segment->to > column[1])
            return fail_across("columns", segment->from, segment->to, column[1]);
        segment->from -= column[0], segment->to -= column[0];
    }
    block->row -= row[0];
    block->entry = member;
    return QUERN_OK;
}

/* All rows in blocks of one member each: those of the mask, and what lies between. */
static quern_status fill_gaps(const q_spaces *s, q_mask *mask, int rows, int columns)
{
    size_t count = 0, next = 0, most = 2 * mask->block_count + s->members + 1;
    q_row_block *all = malloc(most * sizeof *all);
    quern_status status = all ? QUERN_OK : q_fail_memory(most * sizeof *all);
    for (size_t b = 0; b < s->members && !status; b++) {
        int64_t at = s->starts[rows][b], end = s->starts[rows][b + 1];
        while (at < end && !status) {
            q_row_block *block = next < mask->block_count && mask->blocks[next].row < end ? &mask->blocks[next] : NULL;
            int64_t until = block ? block->row : end;
            if (at < until)
                all[count++] = (q_row_block){.row = at - s->starts[rows][b], .rows = until - at, .entry = b};
            at = block ? block->row + block->rows : end;
            if (!block) continue;
            status = localise(s, mask, block, rows, columns, b);
            all[count++] = *block;
            next++;
        }
    }
    free(mask->blocks);
    mask->blocks = all;
    mask->block_count = mask->block_capacity = status ? 0 : count;
    return status;
}

static bool has_stage(const q_run *run, int rows, int reduced)
{
    const q_stages *stages = &run->op->stages;
    for (size_t k = 0; k < stages->count; k++)
        if (stages->stage[k].rows == rows && stages->stage[k].reduced == reduced) return true;
    return false;
}

static quern_status make_masks(q_spaces *s, const q_run *run, const quern_ranges *ranges)
{
    bool turned = has_stage(run, Q_J, Q_I);
    Q_TRY(q_mask_by_rows(&s->masks[Q_I][Q_J], ranges));
    if (turned) Q_TRY(q_mask_turn(&s->masks[Q_J][Q_I], &s->masks[Q_I][Q_J]));
    Q_TRY(fill_gaps(s, &s->masks[Q_I][Q_J], Q_I, Q_J));
    return turned ? fill_gaps(s, &s->masks[Q_J][Q_I], Q_J, Q_I) : QUERN_OK;
}

/* Each member a block, with one segment where there is something to reduce. */
static quern_status make_rectangles(const q_spaces *s, q_mask *mask, int rows, int reduced)
{
    mask->blocks = malloc((s->members + 1) * sizeof *mask->blocks);
    mask->segments = malloc((s->members + 1) * sizeof *mask->segments);
    if (!mask->blocks || !mask->segments) return q_fail_memory((s->members + 1) * sizeof *mask->segments);
    for (size_t b = 0; b < s->members; b++) {
        mask->segments[b] = (q_segment){0, reduced ? q_spaces_rows(s, reduced, b) : 0, 0};
        mask->blocks[b] = (q_row_block){
            .rows = q_spaces_rows(s, rows, b), .first_segment = b, .segment_count = reduced ? 1 : 0, .entry = b};
    }
    mask->block_count = mask->segment_count = s->members;
    return QUERN_OK;
}

// ---- spaces ----

static quern_status make_space(q_spaces *s, const q_run *run, const q_given *given, size_t stage)
{
    int rows = run->op->stages.stage[stage].rows, reduced = run->op->stages.stage[stage].reduced;
    q_mask *mask = &s->masks[rows][reduced];
    if (s->members == 1 && !mask->blocks) return QUERN_OK;
    if (!mask->blocks) Q_TRY(make_rectangles(s, mask, rows, reduced));
    if (s->members > 1) Q_TRY(make_bases(s, run, given, stage));
    s->space[stage] = (q_space){.blocks = mask->blocks,
                                .segments = mask->segments,
                                .entries = s->entries,
                                .bases = s->bases[stage],
                                .block_count = mask->block_count,
                                .entry_count = s->members,
                                .piece_count = 1};
    s->by_stage[stage] = &s->space[stage];
    return QUERN_OK;
}

quern_status q_spaces_make(q_spaces *out, const q_run *run, const q_given *given, const quern_run_options *options)
{
    *out = (q_spaces){0};
    Q_TRY(place_members(out, run, given, options));
    Q_TRY(make_entries(out));
    if (options && options->ranges) Q_TRY(make_masks(out, run, options->ranges));
    for (size_t stage = 0; stage < run->op->stages.count; stage++) Q_TRY(make_space(out, run, given, stage));
    return QUERN_OK;
}

void q_spaces_free(q_spaces *spaces)
{
    for (int rows = 0; rows < 3; rows++) {
        for (int reduced = 0; reduced < 3; reduced++) q_mask_free(&spaces->masks[rows][reduced]);
        free(spaces->starts[rows]);
    }
    for (size_t stage = 0; stage < Q_MAX_STAGES; stage++) free(spaces->bases[stage]);
    free(spaces->entries);
}
