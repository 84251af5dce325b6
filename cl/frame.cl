/*
 * frame.cl: what the kernels of all schemes have in common: arguments, the columns of a work-group, and what is done with
 * the states of its rows in the end.
 *
 * Arguments: first: the first row; split_extent: the number of columns of one group along dimension 1. With Q_SPLIT
 * (split-K) a group writes its state to `states` (for merge.cl) in place of results; first_split: the number of group 0 of
 * this launch along dimension 1; split_count: how many there are in all launches.
 */
#define Q_EACH_ROW _Pragma("unroll") for (int r = 0; r < Q_ROWS; r++)
#define Q_ROW_STEP ((long)Q_LOCAL * Q_LANES) /* from a vector of rows of a work-item to its next */
#define Q_CANCELLED ((real)0.125) /* of |x|^2 + |y|^2: below, the expansion of |x - y|^2 is not taken */

#define Q_KERNEL __kernel __attribute__((reqd_work_group_size(Q_LOCAL, 1, 1)))
#if Q_SPLIT
#define Q_PARAMETERS                                                                                             \
    Q_SIGNATURE, __global sreal *Q_RESTRICT states, const long first, const long split_extent, const long first_split, \
        const long split_count
#define Q_SPLIT_INDEX (first_split + (long)get_group_id(1))
#else
#define Q_PARAMETERS Q_SIGNATURE, Q_OUTPUT_SIGNATURE, const long first, const long split_extent
#define Q_SPLIT_INDEX ((long)get_group_id(1))
#endif

/* Goes over the columns of the group, a segment at a time. */
#define Q_FOR_COLUMNS(from, to)                                             \
    Q_FOR_SEGMENTS(from, to, split_extent * Q_SPLIT_INDEX,                  \
                   min(split_extent * Q_SPLIT_INDEX + split_extent, (long)(Q_COLUMN_COUNT)))

/* Stores the results of the work-item's rows from row0 on; or their states, as states[word][split][row], rows padded to
   whole groups. */
#if Q_RHS_DIM
#define Q_WRITE_OUT_RHS Q_EACH_ROW q_store_state_rhs(&acc[r], words + r * Q_ROW_STEP, padded * split_count, 0)
#else
#define Q_WRITE_OUT_RHS
#endif
#if Q_SPLIT
#define Q_WRITE_OUT(row0)                                                                            \
    const long padded = (long)get_num_groups(0) * Q_ROWS * Q_ROW_STEP;                               \
    __global sreal *const words = states + padded * Q_SPLIT_INDEX + (row0 - first);                  \
    Q_EACH_ROW q_store_state(&t[r], words + r * Q_ROW_STEP, padded * split_count);                   \
    Q_WRITE_OUT_RHS
#else
#define Q_WRITE_OUT(row0) \
    Q_EACH_ROW q_store(Q_ARGUMENTS, Q_OUTPUTS, &t[r] Q_WITH_RHS(&acc[r], 0), row0 + r * Q_ROW_STEP)
#endif
