/*
 * merge.cl: the second pass of split-K. A work-item owns one vector of rows, and Q_RHS_PER_ITEM of their right-hand sides,
 * takes their states from every split in the order of the columns, and stores the results; the order is fixed, so the bits
 * are the same in every run.
 *
 * Holes as in row.cl. It has states[word][split][row] as the schemes leave them, of `padded` rows: whole groups.
 */
#ifndef Q_SIGNATURE
#define Q_MERGE
#include "gaussian.cl"
#endif

#undef Q_RESTRICT
#define Q_RESTRICT restrict /* in the functions above it would only trouble interpreters */
Q_KERNEL void Q_NAME(Q_PARAMETERS)
{
    const long i = (long)get_global_id(0) * Q_LANES;
    if (i >= padded) return;
    Q_BEGIN_GROUP(i / Q_GROUP_ROWS)
    q_state all, one;
#if Q_RHS_DIM
    const int d0 = (int)get_group_id(2) * Q_RHS_PER_ITEM;
    q_rhs_acc all_rhs, one_rhs;
#endif
    q_load_state(&all, states + i, padded * split_count);
#if Q_RHS_DIM
    q_load_state_rhs(&all_rhs, states + i, padded * split_count, d0);
#endif
    for (long p = 1; p < split_count; p++) {
        q_load_state(&one, states + padded * p + i, padded * split_count);
#if Q_RHS_DIM
        q_load_state_rhs(&one_rhs, states + padded * p + i, padded * split_count, d0);
        q_merge_rhs(&all_rhs, &one_rhs, &all, &one);
#endif
        q_merge(&all, &one);
    }
    const long group = i / Q_GROUP_ROWS;
    q_store(Q_ARGUMENTS, Q_OUTPUTS, &all Q_WITH_RHS(&all_rhs, d0), Q_FIRST_ROW(group) + (i - group * Q_GROUP_ROWS));
}
