/*
 * mma.cl: the scheme `mma` for GPUs with matrix units: a stage with one contraction, a sum over Q_K_DIM components of
 * products of a number of the row and one of the column, or of squares of their differences, for each pair; with Q_RHS_DIM
 * right-hand sides, sums of a weight of the pair and a number of the column; or both. Rows and columns come
 * packed (mma_pack.cl): split into numbers of 16 bits, in the order in which the work-items of a warp take them (matrix.cl).
 *
 *   tile       of Q_TILE_M rows and Q_TILE_N columns. With Q_KEEP a warp has as many rows as work-items (16 at least), all components of which stay in its
 *              registers, and columns pass through local memory, a tile at a time; else it has a part of both rows and
 *              columns, and chunks of 16 components of both pass through
 *   chunks     two buffers: while one is multiplied, the next is on its way, across tiles too; one barrier a chunk
 *   epilogue   the rest of the formula, on the sums in registers: each work-item has states of its rows for its own columns
 *   second     with right-hand sides: the weights, which a work-item has where the left operand of a second product wants them, are
 *   product    split and multiplied with the tile's right-hand sides; its sums are added to totals in registers, and those from
 *              time to time to compensated ones in private memory
 *   the end    the states of the work-items of a row are merged in their order, through local memory
 *
 * With Q_FOLDED, few components, of squared distances of which exponentials are taken, one product of a fragment gives the
 * distance; tiles whose squares are so large that too little would be left of it take the differences.
 *
 * With Q_EXPANSION a squared distance is |x|^2 + |y|^2 - 2 xy. A work-item of which a pair lost too much to cancellation takes
 * its pairs of the tile term by term; so do all in tiles that could not be packed, and in a last tile that has fewer columns.
 *
 * Weights are multiplied by a power of two of their row, which grows less where one would leave float16's range: then totals
 * are put away before. (Softmax weights are at most 1: Q_RHS_UNIT.) So are they where softmax weights get another scale, which is
 * that of all work-items of the row. Where weights or right-hand sides fit no power of two, the tile's products are made
 * without matrix units.
 *
 * Holes as in gemm_tile.cl. Only for Q_LANES 1 and float32.
 */
#ifndef Q_WARPS
#include "mma_steps.cl"
#endif

#undef Q_RESTRICT
#define Q_RESTRICT restrict /* in the functions above it would only trouble interpreters */
Q_KERNEL void Q_NAME(Q_PARAMETERS)
{
    __local union {
        q_shared tile;
        q_state state[Q_TILE_M]; /* in the end */
    } local_memory;
    __local q_shared *const shared = &local_memory.tile;
    Q_BEGIN_GROUP((long)get_group_id(0))
    const long i0 = Q_FIRST_ROW((long)get_group_id(0)), row_tile = i0 / Q_TILE_M;
    const q_launch u = q_load_launch(Q_ARGUMENTS);
    __global const uint4 *const row_words = Q_PACKED_ROWS(row_tile);
#if Q_K_DIM
    const float row_scale = Q_ROW_SCALES[row_tile];
#endif
#if Q_FOLDED
    const float unit = Q_POWER(-2 * q_fold_exponent(&u)), most = Q_MOST_EXPONENT / fabs(q_exponent(&u) * unit);
#endif
    q_row rows[Q_REG_M];
    q_state t[Q_REG_M];
    float row_square[Q_REG_M];
    Q_EACH_REG_M
    {
        rows[r] = q_load_row(Q_ARGUMENTS, &u, i0 + Q_ROW_OF(r));
        row_square[r] = Q_SQUARES ? Q_ROW_SQUARES(row_tile)[Q_ROW_OF(r)] : 0;
        q_start(&t[r]);
    }
    q_units units;
#if Q_RHS_DIM
    const int one = M >= 0; /* but not to compilers: what is indexed by it stays in memory */
    q_rhs_acc acc_rhs[Q_REG_M * Q_OWN_RHS / Q_RHS_PER_ITEM];
    q_totals totals;
    q_begin_rhs(acc_rhs, totals, &units, one);
#endif
    q_kept kept;
#if Q_KEEP && Q_K_DIM
    Q_UNROLL_MATRIX for (int s = 0; s < Q_STEPS; s++) Q_UNROLL_MATRIX for (int p = 0; p < Q_FIRST_PARTS; p++)
        Q_UNROLL_MATRIX for (int m = 0; m < Q_BLOCKS_M; m++)
            kept[s][p][m] = Q_FRAGMENT_AT(__global const, row_words + Q_FRAGMENT(s, p, Q_WARP / Q_WARPS_N * Q_BLOCKS_M + m, Q_TILE_M), Q_LANE);
#endif
    int buffer = 0, parity = 0, pending = 0;
    Q_FOR_COLUMNS(from, to)
    {
        __global const uint4 *next = Q_PACKED_COLUMNS(from / Q_TILE_N);
        barrier(CLK_LOCAL_MEM_FENCE);
        q_fetch(shared->fragments[buffer], row_words, next);
        q_column column = q_take_column(Q_ARGUMENTS, &u, from);
        q_keep_column(shared, parity, &column, Q_COLUMN_SQUARES(from / Q_TILE_N));
        for (long j0 = from; j0 < to; j0 += Q_TILE_N) {
            q_products acc;
            const long tile = j0 / Q_TILE_N, next_tile = min(tile + 1, Q_COLUMN_TILES - 1);
            Q_UNROLL_MATRIX for (int n = 0; n < Q_BLOCKS_N; n++) Q_UNROLL_MATRIX for (int m = 0; m < Q_BLOCKS_M; m++)
                for (int e = 0; e < Q_LANE_SUMS; e++) acc[n][m][e] = 0;
            _Pragma("nounroll") for (int chunk = 0; chunk < Q_CHUNKS; chunk++)
            {
                const int last = chunk == Q_CHUNKS - 1;
                q_copies_wait();
                barrier(CLK_LOCAL_MEM_FENCE);
                next = last ? Q_PACKED_COLUMNS(next_tile) : next + Q_CHUNK_COLUMNS;
                q_fetch(shared->fragments[buffer ^ 1], row_words + (last ? 0 : (chunk + 1) * Q_CHUNK_ROWS), next);
                if (last) column = q_take_column(Q_ARGUMENTS, &u, next_tile * Q_TILE_N);
#if Q_K_DIM
                q_multiply(acc, kept, shared, buffer);
#endif
                buffer ^= 1;
            }
            q_keep_column(shared, parity ^ 1, &column, Q_COLUMN_SQUARES(next_tile));
            int odd = to - j0 < Q_TILE_N;
#if Q_FOLDED
            q_unfold(Q_ARGUMENTS, acc, &u, rows, i0, j0, unit, !(row_scale + Q_COLUMN_SCALES[tile] <= most));
#elif Q_K_DIM
            const float scale = row_scale * Q_COLUMN_SCALES[tile];
            const int cancelled = q_expand(acc, shared, row_square, scale, parity);
            odd = !(scale > 0) || odd || cancelled;
#endif
#if Q_RHS_SCALED
            odd |= q_make_room(t, acc, &units, shared, &u, rows, j0, parity, odd);
#endif
            if (odd) q_directly(Q_ARGUMENTS, t, acc, &units, &u, rows, i0, j0, (int)min(to - j0, (long)Q_TILE_N));
            else q_epilogue(t, acc, &units, shared, &u, rows, j0, parity);
            Q_KEEP_APART;
#if Q_RHS_DIM
            q_accumulate_tile(Q_ARGUMENTS, totals, acc_rhs, t, acc, &units, shared, buffer ^ 1, &u, j0, to, one);
#endif
            if (++pending == Q_BLOCK_TILES) {
                Q_EACH_REG_M q_block(&t[r]);
                pending = 0;
            }
            parity ^= 1;
        }
        q_copies_wait();
    }
    Q_EACH_REG_M q_block(&t[r]);
    q_merge_all(local_memory.state, t);
#if Q_RHS_DIM
    q_put_away(acc_rhs, totals, &units, one);
    const int d0 = (int)get_group_id(2) * Q_RHS_HELD;
#if Q_SPLIT
    if (d0 == 0) q_store_state(&t[0], Q_STATE_OF(i0 + Q_ITEM), Q_STATE_STRIDE);
#endif
    _Pragma("nounroll") for (int r = 0; r < Q_REG_M; r++)
    {
        const q_state state = local_memory.state[Q_ROW_OF(r)];
        const long i = i0 + Q_ROW_OF(r);
        _Pragma("nounroll") for (int n = 0; n < Q_OWN_RHS; n += Q_RHS_PER_ITEM)
#if Q_SPLIT
            q_store_state_rhs(&Q_ACC_OF(acc_rhs, r, n), Q_STATE_OF(i), Q_STATE_STRIDE, d0 + Q_RHS_OF(n));
#else
            q_store(Q_ARGUMENTS, Q_OUTPUTS, &state, &Q_ACC_OF(acc_rhs, r, n), d0 + Q_RHS_OF(n), i);
#endif
    }
#else
    const long row0 = i0 + Q_ITEM;
    Q_WRITE_OUT(row0);
#endif
}
