/*
 * parts.h: a run in parts: the rows that are here, with columns that come piece by piece from elsewhere, such as other
 * processes, in any order; or with the states that others have computed for their columns.
 *
 * Rows and columns are cut into the same number of pieces. One of them is here, `own`: arrays over i hold its rows of axis i,
 * arrays over j its rows of axis j. A formula is one pass or several (docs/internals.md); of each pass the results of the own
 * rows are computed, and stay here for the next one:
 *
 *     quern_parts_create(&parts, op, NULL, args, results);                     // of the own rows
 *     quern_parts_place(parts, count, own, cuts_i, cuts_j);                    // where they are among all
 *     for (size_t pass = 0; pass < quern_parts_passes(parts); pass++) {
 *         quern_parts_begin(parts);
 *         quern_pass now = quern_parts_pass(parts);
 *         if (now.columns && now.rows != 'p')                                  // all rows here meet all columns
 *             for (size_t k = 0; k < count; k++) quern_parts_take(parts, k, ...); // what quern_parts_pack gave for piece k
 *         else if (now.columns) {                                              // one row: a share of the columns each
 *             quern_parts_pack(parts, data), quern_parts_take(parts, own, data);
 *             quern_parts_states(parts, own, states);                          // for all others
 *             for (size_t k = 0; k < count; k++)
 *                 if (k != own) quern_parts_give(parts, k, ...);               // what quern_parts_states gave for piece k
 *         }
 *         quern_parts_end(parts);
 *     }
 *     quern_parts_destroy(&parts);
 *
 * quern/mpi.h does so over MPI. One process alone can add up columns that it never has together: of pieces with all rows in
 * the own one, cuts_i = {0, M, M, M}, and no columns, cuts_j = {0, 0, n, N}.
 *
 * Each piece of columns has states of its own, and they are merged in the order of the columns at the end. So results, to the
 * bit, follow from the cuts and the device and not from the order in which pieces come, or from who computes them. With one
 * piece they are those of the run on the device but for how columns are split; with several, those of a run whose columns are
 * split there (quern_compile_options.split). Indices, such as those of ArgMin, count all columns.
 */
#ifndef QUERN_PARTS_H
#define QUERN_PARTS_H

#include "quern.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One run. Its arrays are borrowed until it is destroyed, and so is the operator. For one thread at a time. */
typedef struct quern_parts quern_parts;

/* What one pass does: results for the rows of axis 'i', 'j', or one row, 'p'; from the columns of axis 'i' or 'j', or, 0, none:
   each row by itself. */
typedef struct quern_pass {
    char rows, columns;
} quern_pass;

/* Arrays are as in quern_run_all, on the host, and hold the own rows; sizes (quern_args.M, N, quern_size) are those of the own rows,
   too. A null context is the operator's. Until it is placed there is one piece: all that there is. Statuses: those of quern_run_all;
   UNSUPPORTED for batches, arrays of the device, and formulas that pick rows of a table (Gather_i, Gather_j). */
QUERN_API quern_status quern_parts_create(quern_parts **out, quern_operator *op, quern_context *context,
                                          quern_args args, quern_outs results);
QUERN_API void quern_parts_destroy(quern_parts **parts);

/* The own rows of axis 'i' or 'j'. */
QUERN_API int64_t quern_parts_size(const quern_parts *parts, char axis);
/* Piece k of all `count` has the rows cuts_i[k] .. cuts_i[k + 1] - 1 of axis i, and likewise of axis j: count + 1 numbers from 0
   on, which are copied. Before the first pass. Statuses: SHAPE if the own piece has another size; USAGE, MEMORY. */
QUERN_API quern_status quern_parts_place(quern_parts *parts, size_t count, size_t own, const int64_t *cuts_i,
                                         const int64_t *cuts_j);
/* A number that depends on the formula, the element type, the cuts, the parameters and the version of quern: equal where parts
   belong together. */
QUERN_API uint64_t quern_parts_digest(const quern_parts *parts);

QUERN_API size_t quern_parts_passes(const quern_parts *parts);
/* Goes on to the next pass; first calls build its kernels. Statuses: those of quern_run_all; USAGE after the last, or where the one
   before was not ended. After a failure of this or the functions below parts can only be destroyed. */
QUERN_API quern_status quern_parts_begin(quern_parts *parts);
/* The present pass; all 0 if there is none. */
QUERN_API quern_pass quern_parts_pass(const quern_parts *parts);

/* Bytes of the columns of a piece in the present pass; 0 if it has none. */
QUERN_API size_t quern_parts_bytes(const quern_parts *parts, size_t piece);
/* Writes the own columns: one array after the other, each dense in the run's type, and begun at a multiple of 8 bytes: the arrays
   of the formula's variables in the pass, and what passes before have left. */
QUERN_API quern_status quern_parts_pack(quern_parts *parts, void *data);
/* The same of any piece, from arrays of its columns, by name, on the host: for columns that are not in the arrays of the run. Others
   are ignored. Statuses: MISSING, also where a pass before has left something; SHAPE. */
QUERN_API quern_status quern_parts_pack_from(quern_parts *parts, size_t piece, quern_args args, void *data);
/* Computes the own rows with the columns of a piece, which need not be the own one; waits. Columns that do not fit the device
   come there one part after the other. Each piece once. */
QUERN_API quern_status quern_parts_take(quern_parts *parts, size_t piece, const void *data);

/* Bytes of the states of a piece that was taken here, and the states; and in place of taking a piece, the states that somebody
   else has for the same rows, or that were kept from an earlier run. USAGE for what comes from another formula or kind of device. */
QUERN_API size_t quern_parts_state_bytes(const quern_parts *parts, size_t piece);
QUERN_API quern_status quern_parts_states(quern_parts *parts, size_t piece, void *data);
QUERN_API quern_status quern_parts_give(quern_parts *parts, size_t piece, const void *data);

/* The results of the own rows, once each piece was taken or given. Waits. USAGE names a piece that is missing. */
QUERN_API quern_status quern_parts_end(quern_parts *parts);

#ifdef __cplusplus
}
#endif

#endif
