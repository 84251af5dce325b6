/*
 * row.cl: the scheme `row`. A work-item owns Q_ROWS vectors of Q_LANES rows; the columns are taken one at a time,
 * each by every row of the work-item. On a GPU a group stages Q_STAGED_COLS columns in local memory and shares them, and
 * a work-item takes Q_UNROLL of them between two looks at the loop's counter, which compilers would not do by themselves;
 * with Q_STAGED_COLS 0 (CPU) each column is read where it is used. Everything else about a row sits in registers.
 *
 * Holes, filled by emit.c or, when this file is compiled alone, by gaussian.cl:
 *   Q_SIGNATURE Q_ARGUMENTS     inputs, M and N as parameters and as arguments
 *   Q_OUTPUT_SIGNATURE Q_OUTPUTS
 *   Q_ROW_COUNT Q_COLUMN_COUNT  the sizes of the two loops
 *   q_launch q_row q_column     what is computed once per launch, row and column, and q_load_... which compute it
 *   q_state, q_start, q_pair, q_block, q_merge, q_store_state, q_load_state, q_store
 */
#ifndef Q_SIGNATURE
#include "gaussian.cl"
#endif

/* Takes one column into every row of the work-item. */
Q_FN void q_visit(q_state *t, const q_launch *u, const q_row *rows, const q_column *c, const sint j)
{
    Q_EACH_ROW
    {
        q_pair(&t[r], u, &rows[r], c, j);
#if Q_KAHAN
        q_block(&t[r]);
#endif
    }
}

#undef Q_RESTRICT
#define Q_RESTRICT restrict /* in the functions above it would only trouble interpreters */
Q_KERNEL void Q_NAME(Q_PARAMETERS)
{
#if Q_STAGED_COLS
    __local q_column staged[Q_STAGED_COLS];
#endif
    Q_BEGIN_GROUP((long)get_group_id(0))
    const int item = (int)get_local_id(0);
    const long row0 = Q_FIRST_ROW((long)get_group_id(0)) + (long)item * Q_LANES;
    const q_launch u = q_load_launch(Q_ARGUMENTS);
    q_row rows[Q_ROWS];
    q_state t[Q_ROWS];
    Q_EACH_ROW
    {
        rows[r] = q_load_row(Q_ARGUMENTS, &u, row0 + r * Q_ROW_STEP);
        Q_START_STATE(&t[r], row0 + r * Q_ROW_STEP);
    }
    Q_FOR_COLUMNS(from, to)
    {
        for (long b0 = from; b0 < to; b0 += Q_BLOCK) {
            const int size = (int)min((long)Q_BLOCK, to - b0);
#if Q_STAGED_COLS
            for (int c0 = 0; c0 < size; c0 += Q_STAGED_COLS) {
                const int count = min(Q_STAGED_COLS, size - c0);
                barrier(CLK_LOCAL_MEM_FENCE);
                if (item < count) staged[item] = q_load_column(Q_ARGUMENTS, &u, b0 + c0 + item);
                barrier(CLK_LOCAL_MEM_FENCE);
                int k = 0;
#if Q_UNROLL > 1
                for (; k <= count - Q_UNROLL; k += Q_UNROLL)
                    _Pragma("unroll") for (int n = 0; n < Q_UNROLL; n++) {
                        const q_column c = staged[k + n];
                        q_visit(t, &u, rows, &c, Q_COLUMN_NUMBER(b0 + c0 + k + n));
                    }
#endif
                for (; k < count; k++) {
                    const q_column c = staged[k];
                    q_visit(t, &u, rows, &c, Q_COLUMN_NUMBER(b0 + c0 + k));
                }
            }
#else
            for (int k = 0; k < size; k++) {
                const q_column c = q_load_column(Q_ARGUMENTS, &u, b0 + k);
                q_visit(t, &u, rows, &c, Q_COLUMN_NUMBER(b0 + k));
            }
#endif
            Q_EACH_ROW q_block(&t[r]);
        }
    }
    Q_WRITE_OUT(row0);
}
