/*
 * spaces.h: what the files share that make the iteration spaces of a run: ranges.c and spaces.c.
 */
#ifndef QUERN_SPACES_H
#define QUERN_SPACES_H

#include "quern/space.h"
#include "run/run.h"

// ranges.c

/* Blocks of rows of one axis, ascending, and the segments of the other that they meet; rows of no block meet none. */
typedef struct q_mask {
    q_row_block *blocks;
    q_segment *segments;
    size_t block_count, segment_count, block_capacity, segment_capacity;
} q_mask;

/* SHAPE with the block, the span and what is wrong; USAGE for null. */
quern_status q_ranges_check(const quern_ranges *ranges, int64_t M, int64_t N);
/* Those of checked ranges, without what is empty, neighbours joined; with columns as rows. `out` is {0}, to be freed even if
   they fail. */
quern_status q_mask_by_rows(q_mask *out, const quern_ranges *ranges);
quern_status q_mask_turn(q_mask *out, const q_mask *mask);
/* Pairs of a row and a column that meet. */
double q_mask_pairs(const q_mask *mask);
void q_mask_free(q_mask *mask);

// spaces.c

/* The spaces of a run by stage, with all that they point to. */
typedef struct q_spaces {
    size_t members;
    int64_t *starts[3]; /* by axis: the rows of results where members begin, members + 1 numbers */
    q_mask masks[3][3]; /* by row axis and reduced axis: blocks and segments */
    q_space_entry *entries;
    int64_t *bases[Q_MAX_STAGES];
    q_space space[Q_MAX_STAGES]; /* of a stage that is not a rectangle */
    const q_space *by_stage[Q_MAX_STAGES];
} q_spaces;

/* Those of a checked run; options may be null; to be freed even if it fails. SHAPE for ranges across members. */
quern_status q_spaces_make(q_spaces *out, const q_run *run, const q_given *given, const quern_run_options *options);
/* The row of an array of variable v, of op->variables, where a member's begin; the rows of a member along an axis. */
int64_t q_spaces_first_row(const q_spaces *s, const q_run *run, const q_given *given, size_t v, size_t member);
int64_t q_spaces_rows(const q_spaces *s, int axis, size_t member);
void q_spaces_free(q_spaces *spaces);

#endif
