/*
 * quern/pairs.h: entries of a symbolic matrix on request: a block of rows and columns, the diagonal, or bounds of entries.
 *
 *     quern_pairs_create(&pairs, ctx, "x=Vi(3); y=Vj(3); Exp(-SqDist(x,y))", NULL);
 *     quern_pairs_block(pairs, QUERN_ARGS({"x", quern_f32(x, M, 3)}, {"y", quern_f32(y, N, 3)}),
 *                       (quern_span){100, 110}, (quern_span){0, N}, quern_f32(rows, 10, N));
 *     quern_pairs_destroy(&pairs);
 *
 * The formula is that of one entry: it has one result and no reduction in it. Arrays are those of the whole matrix, on the
 * host or the device, of which only the rows and columns of the block are read. I and J are the numbers of row and column in
 * the whole matrix, in the element type of the run: exact up to 2^24 in float32, and 2^53 in float64.
 */
#ifndef QUERN_PAIRS_H
#define QUERN_PAIRS_H

#include "quern/space.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct quern_pairs quern_pairs;

/* Compiles the formula of an entry. It may lack i, j or both. `options` may be null. Keeps the context alive. Statuses: those of
   quern_compile; UNSUPPORTED for a formula with a reduction, or with Gather_i or Gather_j; USAGE for several results. */
QUERN_API quern_status quern_pairs_create(quern_pairs **out, quern_context *context, const char *formula,
                                          const quern_compile_options *options);
QUERN_API void quern_pairs_destroy(quern_pairs **pairs);

/* The length of an entry: how many numbers it has; 0 for null. */
QUERN_API int64_t quern_pairs_length(const quern_pairs *pairs);

/* The entries of rows rows.from .. rows.to - 1 and columns columns.from .. columns.to - 1: the result has a row for each row, in
   which the entries of all columns follow each other, columns x length numbers. It may be of any element type but int32
   and int64, on the host or the device. A launch a row; the block is once more in device memory. Threads: as quern_run.
   Statuses: USAGE, NAME, MISSING, SHAPE (a span leaves the matrix, or the result has another shape), DTYPE, those of quern_run. */
QUERN_API quern_status quern_pairs_block(const quern_pairs *pairs, quern_args args, quern_span rows, quern_span columns,
                                         quern_view result);
/* The entries whose row and column are the same, from .. to - 1: a row of `length` numbers for each. */
QUERN_API quern_status quern_pairs_diagonal(const quern_pairs *pairs, quern_args args, quern_span span,
                                            quern_view result);

/* What entries can be while their variables lie in boxes. Row i of an i-variable stands for a box: its low corner in `low`, its
   high one in `high`; likewise column j of a j-variable; a parameter has two numbers for each of its own. So M boxes of rows and N of
   columns have M x N pairs, and `lower` and `upper` are M x (N x length) numbers of the host in float64, between which all
   entries of a pair lie as a device computes them in the arrays' type: interval arithmetic, rounded outwards. It is the better
   the less often the formula names a variable. Infinite where nothing is known, also where an entry may be NaN; I and J may be any.
   Done on the host. Statuses: as quern_pairs_block, USAGE for a box whose low corner is not below its high one, or NaN. */
QUERN_API quern_status quern_pairs_bounds(const quern_pairs *pairs, quern_args low, quern_args high, quern_view lower,
                                          quern_view upper);

#ifdef __cplusplus
}
#endif

#endif
