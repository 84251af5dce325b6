/*
 * space.h: runs of which not all rows meet all columns: block-sparse ranges, and batches of problems in one run.
 *
 * Ranges
 *
 *     quern_span rows[] = {{0, 500}, {500, 900}};                                // two blocks of rows
 *     int64_t first[] = {0, 1, 3};                                               // with one span of columns, and two
 *     quern_span columns[] = {{0, 700}, {0, 100}, {650, 900}};
 *     quern_ranges ranges = {2, rows, first, columns};
 *     quern_run_options options = QUERN_DEFAULTS(quern_run_options);
 *     options.ranges = &ranges;
 *     quern_run_with(op, args, outs, &options);
 *
 * A mask holds for every reduction of the formula: one over j whose result has a row for each i takes the columns that the row
 * meets, one over i whose result has a row for each j the rows that the column meets, and one whose result is one number takes
 * all. So Sum_i(p*Sum_j(K*q)) is the sum over all pairs that meet, and gradients of masked formulas are right with the same
 * ranges. quern/cluster.h makes ranges of labels, distances or a matrix of clusters.
 *
 * M and N in formulas are still the numbers of all rows and columns; Sum_j(Repeat_i(1)) counts those that are met.
 *
 * Batches
 *
 *     quern_run(op, QUERN_ARGS({"x", quern_in_batch(quern_f32(x, 100, 3), 8)},   // 8 members of 100 x 3 each
 *                              {"y", quern_f32(y, 50, 3)}),                      // which all of them share
 *               quern_in_batch(quern_f32(a, 100, 1), 8));
 *
 * Every member is a problem of its own, with its own M, N and indices from 0, and all are done in one run. Equal ones are told by
 * quern_view.batch, the sizes of up to four leading dimensions, in any function that runs: those of the arguments are aligned
 * at the last and broadcast, where a size is 1 or absent; results have all of them. Ragged ones are told by offsets: the rows
 * of the members follow each other, and parameters have a row for each member, or one for all. A gradient has the batch of all
 * arguments too, also by a variable that members share: its sum over them is the program's.
 */
#ifndef QUERN_SPACE_H
#define QUERN_SPACE_H

#include "quern.h"

#ifdef __cplusplus
extern "C" {
#endif

/* from .. to - 1; none if they are equal. */
typedef struct quern_span {
    int64_t from, to;
} quern_span;

/* A view of one member as that of `members` of them, whose rows follow each other. */
static inline quern_view quern_in_batch(quern_view view, int64_t members)
{
    view.batch[0] = members;
    return view;
}

/* Which rows meet which columns, block by block; borrowed for the call. Rows of one block meet the same columns, and rows of no
   block meet none. Blocks of a hundred rows and more are as fast, pair by pair, as a run without ranges; where columns are the
   rows, as in gradients by a j-variable, blocks begin and end wherever a span does. */
typedef struct quern_ranges {
    size_t block_count;
    const quern_span *rows; /* by block, over axis i: sorted, without overlap */
    const int64_t *first;   /* block_count + 1 numbers: block k has the spans first[k] .. first[k + 1] - 1 of columns */
    const quern_span *columns; /* over axis j: within a block sorted, without overlap */
} quern_ranges;

struct quern_pruning; /* quern/prune.h */

typedef struct quern_run_options {
    size_t size;
    quern_context *context;     /* as in quern_run_in; null: the operator's */
    const quern_ranges *ranges; /* null: all rows meet all columns */
    /* A ragged batch: member b has the rows offsets_i[b] .. offsets_i[b + 1] - 1 of arrays over i, and likewise over j; both have
       members + 1 numbers, which begin with 0. One may be null where no array has that axis. 0: none. */
    size_t members;
    const int64_t *offsets_i, *offsets_j;
    /* Null: none. With ranges only pairs that meet are computed; each member of a batch is pruned by itself. */
    const struct quern_pruning *pruning;
    /* The run is shared by the devices of these, as in quern_run_on of quern/devices.h, also with ranges; in place of context. */
    quern_context *const *contexts;
    size_t context_count;
} quern_run_options;

/* quern_run_all with options, which may be null. Ranges are checked before anything is done: SHAPE tells the block, the span and
   what is wrong. UNSUPPORTED if the formula was simplified in a way that is right only where all rows meet all columns, which
   quern_compile_options.ranges prevents. Runs with ranges or batches are done on the device, whatever
   quern_context_options.host says, and wait for it. Other statuses are those of quern_run. */
QUERN_API quern_status quern_run_with(quern_operator *op, quern_args args, quern_outs results,
                                      const quern_run_options *options);

#ifdef __cplusplus
}
#endif

#endif
