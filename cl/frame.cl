/*
 * frame.cl: what the kernels of all schemes have in common: arguments, the columns of a work-group, and what is done with
 * the states of its rows in the end.
 *
 * Arguments: first: the first row; part: the number of columns of one group along dimension 1. With Q_SPLIT a group
 * writes its state to `partial` (for merge.cl) in place of results; first_part: the part of group 0 of this launch;
 * parts: how many there are in all launches.
 */
#define Q_EACH_ROW _Pragma("unroll") for (int r = 0; r < Q_ROWS; r++)
#define Q_ROW_STEP ((long)Q_LOCAL * Q_LANES) /* from a vector of rows of a work-item to its next */
#define Q_CANCELLED ((real)0.125) /* of |x|^2 + |y|^2: below, the expansion of |x - y|^2 is not taken */

#define Q_KERNEL __kernel __attribute__((reqd_work_group_size(Q_LOCAL, 1, 1)))
#if Q_SPLIT
#define Q_PARAMETERS                                                                                             \
    Q_SIGNATURE, __global sreal *Q_RESTRICT partial, const long first, const long part, const long first_part, \
        const long parts
#define Q_PART (first_part + (long)get_group_id(1))
#else
#define Q_PARAMETERS Q_SIGNATURE, Q_OUTPUT_SIGNATURE, const long first, const long part
#define Q_PART ((long)get_group_id(1))
#endif

/* Walks over the columns of the group's part, a segment at a time. */
#define Q_FOR_PART(from, to) \
    Q_FOR_SEGMENTS(from, to, part * Q_PART, min(part * Q_PART + part, (long)(Q_COLUMN_COUNT)))

/* Stores the results of the work-item's rows from row0 on; or their states, as partial[word][part][row], rows padded to
   whole groups. */
#if Q_WIDTH
#define Q_WRITE_OUT_WIDE Q_EACH_ROW q_store_state_wide(&wide[r], words + r * Q_ROW_STEP, padded * parts, 0)
#else
#define Q_WRITE_OUT_WIDE
#endif
#if Q_SPLIT
#define Q_WRITE_OUT(row0)                                                                                     \
    const long padded = (long)get_num_groups(0) * Q_ROWS * Q_ROW_STEP;                                    \
    __global sreal *const words = partial + padded * Q_PART + (row0 - first);                             \
    Q_EACH_ROW q_store_state(&t[r], words + r * Q_ROW_STEP, padded * parts);                                      \
    Q_WRITE_OUT_WIDE
#else
#define Q_WRITE_OUT(row0) \
    Q_EACH_ROW q_store(Q_ARGUMENTS, Q_OUTPUTS, &t[r] Q_WITH_WIDE(&wide[r], 0), row0 + r * Q_ROW_STEP)
#endif
