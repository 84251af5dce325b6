/*
 * gemm_local.cl: the scheme `gemm` where a group shares local memory (GPUs), for contractions, sums over Q_K_DIM components
 * for each pair, and right-hand sides, of Q_RHS_DIM components: products of matrices. A group takes in Q_TILE_N columns at
 * once, in three steps:
 *
 *   1. chunks of Q_TILE_K components of its rows and columns pass through two buffers in local memory, and each work-item
 *      adds them to the sums of Q_REG_M vectors of rows with Q_REG_N columns, in registers. While one chunk is worked on the
 *      next is on its way, in registers: one barrier a chunk. The chain goes on from tile to tile;
 *   2. the sums go to local memory, those of Q_EPILOGUE_N columns at a time (a turn), where each work-item, which owns Q_ROWS
 *      vectors of rows as in row.cl, finds those of its own rows, and runs the rest of the formula on each pair; it leaves
 *      weights in local memory for
 *   3. right-hand sides: each work-item adds the turn's columns to block accumulators of Q_RHS_PER_ITEM components for
 *      Q_REG_M vectors of rows, in registers. Weights have two buffers: without contractions there is one barrier a turn.
 *
 * So a component of a row is read from global memory once for Q_TILE_N columns, one of a column once for all rows of the
 * group, and states need not be merged. The group is a table: Q_THREADS_N work-items along the columns share their rows, the
 * others share their columns. What a work-item has of a tile is in pieces of up to 4 numbers, so that work-items next to
 * each other read what is next to each other, 16 bytes each. Rows and columns past the end repeat the last one.
 *
 * With Q_EXPANSION a squared distance is |x|^2 + |y|^2 - 2 xy, with both moved to a common centre, which halves the work.
 * Where much has cancelled for one pair of a tile, the group does all of the tile again, term by term: work-items that
 * go separate ways would wait for each other anyway.
 *
 * Right-hand sides of more components than a group keeps are spread over groups along dimension 2, each of which does steps
 * 1 and 2 for itself. Block accumulators are added to compensated ones, which are in private memory, once for each block.
 *
 * The holes are those of gemm.cl, but for q_limit and Q_EXPANDED_ARRAY.
 */
#ifndef Q_TILE_M
#include "gemm_steps.cl"
#endif

#undef Q_RESTRICT
#define Q_RESTRICT restrict /* in the functions above it would only trouble interpreters */
Q_KERNEL void Q_NAME(Q_PARAMETERS)
{
    __local union {
        q_shared walk;
        q_state state[Q_TILE_M]; /* in the end, for those who keep their right-hand sides */
    } local_memory;
    __local q_shared *const shared = &local_memory.walk;
    Q_BEGIN_GROUP((long)get_group_id(0))
    const int item = (int)get_local_id(0);
    const long group = Q_FIRST_ROW((long)get_group_id(0)), row0 = group + (long)item * Q_LANES;
    const q_launch u = q_load_launch(Q_ARGUMENTS);
    q_row rows[Q_ROWS], near[Q_REG_M];
    q_state t[Q_ROWS];
    Q_EACH_ROW
    {
        rows[r] = q_load_row(Q_ARGUMENTS, &u, row0 + r * Q_ROW_STEP);
        Q_START_STATE(&t[r], row0 + r * Q_ROW_STEP);
    }
    Q_EACH_REG_M near[r] = q_load_row(Q_ARGUMENTS, &u, group + (long)Q_ROW_PLACE(r) * Q_LANES);
#if Q_RHS_DIM
    const int span = (int)get_group_id(2) * Q_RHS_HELD, d0 = span + Q_ALONG_COLUMNS * Q_RHS_PER_ITEM;
    const int one = M >= 0; /* but not to compilers: what is indexed by it stays in memory, and is taken in turn */
    q_rhs_acc acc[Q_REG_M];
    q_block_acc block_acc[Q_RHS_PER_ITEM][Q_REG_M];
    q_row_rhs rows_rhs[Q_RHS_PER_ITEM][Q_REG_M];
    Q_EACH_REG_M Q_START_RHS(&acc[r * one], group + (long)Q_ROW_PLACE(r) * Q_LANES, d0);
    q_begin_rhs(Q_ARGUMENTS, block_acc, rows_rhs, shared, &u, near, group, d0);
#endif
#if Q_EXPANSION
    q_begin_expansion(Q_ARGUMENTS, shared, &u, rows, row0);
#endif
    int now = 0, number = 0; /* which of the tiles of columns; turns so far */
#if Q_K_DIM
    const int last_row = (int)min((long)(Q_ROW_COUNT) - 1 - group, (long)(Q_TILE_M - 1) * Q_LANES) / Q_LANES;
    int buffer = 0;
    q_staged staged;
#endif
    Q_FOR_COLUMNS(from, to)
    {
        if (from < to) {
            const long j1 = min(from + Q_TILE_N, to);
            barrier(CLK_LOCAL_MEM_FENCE);
            q_stage_columns(Q_ARGUMENTS, shared, &u, now, from, j1);
            Q_KEEP_APART;
#if Q_K_DIM
            q_begin_chunks(Q_ARGUMENTS, &staged, shared, &u, group, last_row, from, j1, buffer);
#endif
            barrier(CLK_LOCAL_MEM_FENCE);
        }
        for (long j0 = from; j0 < to; j0 += Q_TILE_N, now = Q_NEXT_TILE(now)) {
            const long j1 = min(j0 + Q_TILE_N, to), j2 = min(j1 + Q_TILE_N, to);
            const int count = (int)(j1 - j0);
#if Q_K_DIM
            q_sums s[Q_REG_N][Q_REG_M]; /* in registers: never indexed but by unrolled loops */
            buffer = q_contract_tile(Q_ARGUMENTS, s, &staged, shared, &u, near, group, last_row, j0, j1, j2, buffer, now);
#if Q_EXPANSION
            if (q_expand(shared, s)) atomic_xchg(&shared->again, number);
#endif
#else
            q_stage_columns(Q_ARGUMENTS, shared, &u, Q_NEXT_TILE(now), j1, j2);
            Q_KEEP_APART;
#endif
            for (int turn = 0; turn < count; turn += Q_EPILOGUE_N, number++) {
                const int end = min(turn + Q_EPILOGUE_N, count), weights = number % 2;
#if Q_RHS_DIM
                q_column_rhs staged_rhs[Q_STAGED_RHS];
                q_fetch_rhs(Q_ARGUMENTS, staged_rhs, &u, j0 + turn, j1, span);
#endif
#if Q_K_DIM
                q_hand_over(s, shared, turn);
                barrier(CLK_LOCAL_MEM_FENCE);
#endif
#if Q_EXPANSION
                if (turn == 0 && shared->again == number) {
                    q_contract_again(Q_ARGUMENTS, s, shared, &u, near, group, last_row, j0, j1, 1 - buffer, now);
                    q_hand_over(s, shared, turn);
                    barrier(CLK_LOCAL_MEM_FENCE);
                }
#endif
#if Q_RHS_SCALED
                Q_EACH_ROW shared->scales[weights][item + r * Q_LOCAL] = q_no_scales();
#endif
                q_pair_step(t, shared, &u, rows, Q_COLUMN_NUMBER(j0), now, weights, number, turn, end);
#if Q_RHS_DIM
                q_stage_rhs(staged_rhs, shared, weights);
#endif
                barrier(CLK_LOCAL_MEM_FENCE);
#if Q_RHS_SCALED
                if (shared->rescaled[weights] == number) q_rescale_sums(block_acc, acc, shared, weights, one);
#endif
#if Q_RHS_DIM
                q_accumulate_step(block_acc, shared, &u, near, rows_rhs, weights, now, turn, end - turn);
#endif
            }
            if ((j1 - from) % Q_BLOCK == 0 || j1 == to) {
                Q_EACH_ROW q_block(&t[r]);
#if Q_RHS_DIM
                q_flush_all(acc, block_acc, one);
#endif
            }
        }
    }
#if !Q_RHS_DIM
    Q_WRITE_OUT(row0);
#elif Q_SPLIT
    if (span == 0) Q_EACH_ROW q_store_state(&t[r], Q_STATE_OF(row0 + r * Q_ROW_STEP), Q_STATE_STRIDE);
    Q_EACH_REG_M q_store_state_rhs(&acc[r * one], Q_STATE_OF(group + (long)Q_ROW_PLACE(r) * Q_LANES), Q_STATE_STRIDE, d0);
#else
    barrier(CLK_LOCAL_MEM_FENCE);
    Q_EACH_ROW local_memory.state[item + r * Q_LOCAL] = t[r];
    barrier(CLK_LOCAL_MEM_FENCE);
    Q_EACH_REG_M
    {
        const q_state state = local_memory.state[Q_ROW_PLACE(r)];
        q_store(Q_ARGUMENTS, Q_OUTPUTS, &state, &acc[r * one], d0, group + (long)Q_ROW_PLACE(r) * Q_LANES);
    }
#endif
}
