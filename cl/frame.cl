/*
 * frame.cl: what the kernels of all schemes have in common: the rows and columns of a work-group, and what is done with the
 * states of its rows in the end. A group of dimension 0 has Q_GROUP_ROWS rows from Q_FIRST_ROW(group) on, and of dimension 1
 * split_extent of their columns; where those lie is said by a file of spaces, space_dense.cl or
 * space_list.cl.
 *
 * A kernel begins with Q_BEGIN_GROUP. With Q_SPLIT (split-K) a group writes its states to states[word][split][row], for
 * merge.cl, in place of results; with Q_ACCUMULATE it goes on from those that are there, with Q_LAST it stores results none the
 * less. What the other parameters are is
 * said in src/plan/plan.h, Q_PARAM_...
 */
#define Q_INLINED Q_FN __attribute__((always_inline)) /* PoCL 3.1 loses pointers to local memory in calls */
#ifdef POCL_DEVICE_ADDRESS_BITS /* PoCL 3.1 makes wrong code where some work-items go another way just before a loop */
#define Q_KEEP_APART barrier(CLK_LOCAL_MEM_FENCE)
#else
#define Q_KEEP_APART
#endif
#define Q_EACH_ROW _Pragma("unroll") for (int r = 0; r < Q_ROWS; r++)
#define Q_ROW_STEP ((long)Q_LOCAL * Q_LANES) /* from a vector of rows of a work-item to its next */
#define Q_GROUP_ROWS (Q_ROWS * Q_ROW_STEP)
#define Q_CANCELLED ((real)0.125) /* of |x|^2 + |y|^2: below, the expansion of |x - y|^2 is not taken */
#define Q_DOUBT ((4 * Q_K_DIM + 16) * (real)Q_ROUNDING) /* of the same: more than it is off by (docs/numbers.md) */

#if Q_SUB_GROUP /* Intel's compilers can be told */
#define Q_IN_SUB_GROUPS __attribute__((intel_reqd_sub_group_size(Q_SUB_GROUP)))
#else
#define Q_IN_SUB_GROUPS
#endif
#if Q_MAX_REGISTERS /* which NVIDIA's compiler keeps to only without the attribute (docs/drivers.md) */
#define Q_KERNEL __kernel
#define Q_UNROLL_CHUNKS _Pragma("unroll 2")
#else
#define Q_UNROLL_CHUNKS _Pragma("unroll 1") /* others would take more registers */
#define Q_KERNEL __kernel Q_IN_SUB_GROUPS __attribute__((reqd_work_group_size(Q_LOCAL, 1, 1)))
#endif
#if Q_SPLIT
#define Q_SPLIT_INDEX (first_split + (long)get_group_id(1))
#else
#define Q_SPLIT_INDEX ((long)get_group_id(1))
#endif

/* Goes over the columns of the group, a segment at a time. */
#define Q_FOR_COLUMNS(from, to) \
    Q_FOR_SEGMENTS(from, to, split_extent * Q_SPLIT_INDEX, split_extent * Q_SPLIT_INDEX + split_extent)

/* Where the states of a row of this group are: groups follow each other. */
#define Q_STATE_ROW(row) ((long)get_group_id(0) * Q_GROUP_ROWS + ((row) - Q_FIRST_ROW((long)get_group_id(0))))
#if Q_SPLIT
#define Q_PADDED_ROWS ((long)get_num_groups(0) * Q_GROUP_ROWS)
#define Q_STATE_OF(row) (states + Q_PADDED_ROWS * Q_SPLIT_INDEX + Q_STATE_ROW(row)) /* its first word */
#define Q_STATE_STRIDE (Q_PADDED_ROWS * split_count)                                /* from a word to the next */
#endif

/* The states of the work-item's rows from row0 on before the first column; with Q_ACCUMULATE those that were left. */
#if Q_ACCUMULATE
#define Q_START_STATE(t, row) q_load_state(t, Q_STATE_OF(row), Q_STATE_STRIDE)
#define Q_START_RHS(acc, row, d0) q_load_state_rhs(acc, Q_STATE_OF(row), Q_STATE_STRIDE, d0)
#else
#define Q_START_STATE(t, row) q_start(t)
#define Q_START_RHS(acc, row, d0) q_start_rhs(acc)
#endif

/* Stores the results of the work-item's rows from row0 on; or their states, as states[word][split][row], rows padded to
   whole groups. */
#if Q_RHS_DIM
#define Q_WRITE_OUT_RHS(row0) \
    Q_EACH_ROW q_store_state_rhs(&acc[r], Q_STATE_OF(row0) + r * Q_ROW_STEP, Q_STATE_STRIDE, 0)
#else
#define Q_WRITE_OUT_RHS(row0)
#endif
#if Q_SPLIT && !defined(Q_LAST)
#define Q_WRITE_OUT(row0)                                                                    \
    Q_EACH_ROW q_store_state(&t[r], Q_STATE_OF(row0) + r * Q_ROW_STEP, Q_STATE_STRIDE);      \
    Q_WRITE_OUT_RHS(row0)
#else
#define Q_WRITE_OUT(row0) \
    Q_EACH_ROW q_store(Q_ARGUMENTS, Q_OUTPUTS, &t[r] Q_WITH_RHS(&acc[r], 0), row0 + r * Q_ROW_STEP)
#endif
