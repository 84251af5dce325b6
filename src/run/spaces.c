/*
 * spaces.c: runs with ranges: from what the user gives to an iteration space (plan/space.c) for each stage.
 *
 * A stage whose rows are of one axis and which reduces the other has the blocks of the ranges, or of the ranges turned, and
 * between them blocks that meet nothing. Other stages are rectangles.
 */
#include <stdlib.h>

#include "run/spaces.h"

/* All rows in blocks: those of the mask, and what lies between. */
static quern_status fill_gaps(q_mask *mask, int64_t rows)
{
    q_row_block *all = malloc((2 * mask->block_count + 1) * sizeof *all);
    size_t count = 0;
    int64_t at = 0;
    if (!all) return q_fail_memory((2 * mask->block_count + 1) * sizeof *all);
    for (size_t b = 0; b < mask->block_count; b++) {
        const q_row_block *block = &mask->blocks[b];
        if (at < block->row) all[count++] = (q_row_block){.row = at, .rows = block->row - at};
        all[count++] = *block;
        at = block->row + block->rows;
    }
    if (at < rows) all[count++] = (q_row_block){.row = at, .rows = rows - at};
    free(mask->blocks);
    mask->blocks = all;
    mask->block_count = mask->block_capacity = count;
    return QUERN_OK;
}

static quern_status make_masks(q_spaces *s, const q_run *run, const quern_ranges *ranges)
{
    Q_TRY(q_mask_by_rows(&s->masks[Q_I][Q_J], ranges));
    Q_TRY(q_mask_turn(&s->masks[Q_J][Q_I], &s->masks[Q_I][Q_J]));
    Q_TRY(fill_gaps(&s->masks[Q_I][Q_J], run->M));
    return fill_gaps(&s->masks[Q_J][Q_I], run->N);
}

quern_status q_spaces_make(q_spaces *out, const q_run *run, const quern_run_options *options)
{
    *out = (q_spaces){0};
    if (!options->ranges) return QUERN_OK;
    Q_TRY(make_masks(out, run, options->ranges));
    out->entries = malloc(sizeof *out->entries);
    if (!out->entries) return q_fail_memory(sizeof *out->entries);
    out->entries[0] = (q_space_entry){run->M, run->N, 0, 0};
    for (size_t stage = 0; stage < run->op->stages.count; stage++) {
        const q_stage *s = &run->op->stages.stage[stage];
        const q_mask *mask = &out->masks[s->rows][s->reduced];
        if (s->rows == Q_P || s->reduced == Q_P) continue;
        out->space[stage] = (q_space){.blocks = mask->blocks,
                                      .segments = mask->segments,
                                      .entries = out->entries,
                                      .block_count = mask->block_count,
                                      .entry_count = 1,
                                      .piece_count = 1};
        out->by_stage[stage] = &out->space[stage];
    }
    return QUERN_OK;
}

void q_spaces_free(q_spaces *spaces)
{
    for (int rows = 0; rows < 3; rows++)
        for (int reduced = 0; reduced < 3; reduced++) q_mask_free(&spaces->masks[rows][reduced]);
    free(spaces->entries);
}
