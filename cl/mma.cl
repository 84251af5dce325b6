/*
 * mma.cl: the scheme `mma` for GPUs with matrix units: a stage with one contraction, a sum over Q_K_DIM components of
 * products of a number of the row and one of the column, or of squares of their differences, for each pair. Rows and columns come
 * packed (mma_pack.cl): split into numbers of 16 bits, in the order in which the work-items of a warp take them (matrix.cl).
 *
 *   tile       of Q_TILE_M rows and Q_TILE_N columns. With Q_KEEP a warp has 32 rows, all components of which stay in its
 *              registers, and columns pass through local memory, a tile at a time; else it has a part of both rows and
 *              columns, and chunks of 16 components of both pass through
 *   chunks     two buffers: while one is multiplied, the next is on its way, across tiles too; one barrier a chunk
 *   epilogue   the rest of the formula, on the sums in registers: each work-item has states of its rows for its own columns
 *   the end    the states of the work-items of a row are merged in their order, through local memory
 *
 * With Q_EXPANSION a squared distance is |x|^2 + |y|^2 - 2 xy. A work-item of which a pair lost too much to cancellation takes
 * its pairs of the tile term by term; so do all in tiles that could not be packed, and in a last tile that has fewer columns.
 *
 * Holes as in gemm_tile.cl. Only for Q_LANES 1 and float32.
 */
#ifndef Q_SIGNATURE
#define Q_REG_N 4
#define Q_K_DIM 3
#define Q_TILE_N 32
#define Q_EXPANSION 1
#define Q_KEEP 1
#undef Q_LANES
#define Q_LANES 1
#undef Q_F64
#define Q_F64 0
#include "gaussian.cl"
#include "matrix.cl"
#undef Q_PARAMETERS
#define Q_PARAMETERS Q_SIGNATURE, Q_OUTPUT_SIGNATURE, __global uint4 *packed, const long first, const long split_extent
#endif
#define Q_WARPS (Q_LOCAL / 32)
#define Q_WARPS_N (Q_KEEP ? 1 : 2) /* along the columns */
#define Q_WARP_M (Q_TILE_M * Q_WARPS_N / Q_WARPS)
#define Q_WARP_N (Q_TILE_N / Q_WARPS_N)
#define Q_BLOCKS_M (Q_WARP_M / 16)
#define Q_BLOCKS_N (Q_WARP_N / 16)
#define Q_REG_M (2 * Q_BLOCKS_M) /* rows of a work-item */
#define Q_OWN_N (Q_WARP_N / 4)   /* its columns */
#define Q_CHUNK (Q_KEEP ? Q_STEPS : 1)
#define Q_CHUNKS (Q_STEPS / Q_CHUNK)
#define Q_CHUNK_ROWS (Q_KEEP ? 0 : Q_PARTS * Q_TILE_M * 2)
#define Q_CHUNK_COLUMNS (Q_CHUNK * Q_PARTS * Q_TILE_N * 2)
#define Q_BLOCK_TILES (64 / Q_OWN_N) /* tiles whose terms are added without compensation */
/* The work-item's share of `count` things. */
#define Q_FOR_SHARE(k, count)                                                                                          \
    _Pragma("unroll") for (int k = Q_ITEM, k##_turn = 0; k##_turn < ((count) + Q_LOCAL - 1) / Q_LOCAL;   \
                           k##_turn++, k += Q_LOCAL)                                                                   \
        if ((count) % Q_LOCAL == 0 || k < (count))
#define Q_EACH_REG_M _Pragma("unroll") for (int r = 0; r < Q_REG_M; r++)
#define Q_INLINED Q_FN __attribute__((always_inline)) /* PoCL 3.1 loses pointers to local memory in calls */
#ifdef POCL_DEVICE_ADDRESS_BITS /* PoCL 3.1 makes wrong code where some work-items go another way just before a loop */
#define Q_KEEP_APART barrier(CLK_LOCAL_MEM_FENCE)
#else
#define Q_KEEP_APART
#endif

/* Where the work-item is: its warp along the rows and the columns, and in the warp. */
#define Q_ITEM ((int)((uint)get_local_id(0) % Q_LOCAL)) /* so that compilers know what it can be */
#define Q_WARP (Q_ITEM / 32)
#define Q_LANE (Q_ITEM % 32)
#define Q_ROW_OF(r) (Q_WARP / Q_WARPS_N * Q_WARP_M + (r) / 2 * 16 + (r) % 2 * 8 + Q_LANE / 4)
#define Q_COLUMN_OF(k) (Q_WARP % Q_WARPS_N * Q_WARP_N + (k) / 2 * 8 + Q_LANE % 4 * 2 + (k) % 2)
#define Q_SUM_OF(acc, r, k) (acc)[(k) / 4][(r) / 2][(k) / 2 % 2][(r) % 2 * 2 + (k) % 2]

/* Two columns, which a work-item reads at once. */
typedef struct {
    q_column of[2];
} __attribute__((aligned(8))) q_columns;

/* What a group shares; what there are two of is of this tile, or chunk, and of the next. */
typedef struct {
    uint4 fragments[2][Q_CHUNK_ROWS + Q_CHUNK_COLUMNS];
    q_columns columns[2][Q_TILE_N / 2];
    float2 column_squares[2][Q_TILE_N / 2];
    Q_MATRIX_SCRATCH(Q_WARPS)
} q_shared;

/* Begins to copy a chunk into a buffer. */
Q_INLINED void q_fetch(__local uint4 *to, __global const uint4 *rows, __global const uint4 *columns)
{
    Q_FOR_SHARE(k, Q_CHUNK_ROWS) q_copy(to + k, rows + k);
    Q_FOR_SHARE(n, Q_CHUNK_COLUMNS) q_copy(to + Q_CHUNK_ROWS + n, columns + n);
}

#if Q_KEEP
#define Q_ROW_WORDS(p, m) kept[s][p][m]
typedef uint4 q_kept[Q_STEPS][Q_PARTS][Q_BLOCKS_M];
#else
#define Q_ROW_WORDS(p, m) row[p][m]
typedef uint4 q_kept[1];
#endif
typedef float q_products[Q_BLOCKS_N][Q_BLOCKS_M][2][4]; /* in registers: never indexed but by unrolled loops */

/* Adds the products of a chunk. */
Q_INLINED void q_multiply(q_products acc, q_kept kept, __local q_shared *shared, const int buffer)
{
    __local const uint4 *const words = shared->fragments[buffer] + Q_LANE;
    Q_UNROLL_MATRIX for (int s = 0; s < Q_CHUNK; s++)
    {
#if !Q_KEEP
        uint4 row[Q_PARTS][Q_BLOCKS_M];
        Q_UNROLL_MATRIX for (int p = 0; p < Q_PARTS; p++) Q_UNROLL_MATRIX for (int m = 0; m < Q_BLOCKS_M; m++)
            row[p][m] = words[Q_FRAGMENT(0, p, Q_WARP / Q_WARPS_N * Q_BLOCKS_M + m, Q_TILE_M)];
#endif
        Q_UNROLL_MATRIX for (int n = 0; n < Q_BLOCKS_N; n++)
        {
            uint4 column[Q_PARTS];
            Q_UNROLL_MATRIX for (int p = 0; p < Q_PARTS; p++)
                column[p] = words[Q_CHUNK_ROWS + Q_FRAGMENT(s, p, Q_WARP % Q_WARPS_N * Q_BLOCKS_N + n, Q_TILE_N)];
            Q_UNROLL_MATRIX for (int p = 0; p < Q_PRODUCTS; p++) Q_UNROLL_MATRIX for (int m = 0; m < Q_BLOCKS_M; m++)
            {
                const uint4 x = Q_ROW_WORDS(Q_ROW_PART(p), m), y = column[Q_COLUMN_PART(p)];
                Q_MATRIX_STEP(acc[n][m][0], x, y.x, y.y, Q_SCRATCH_OF(shared, Q_WARP));
                Q_MATRIX_STEP(acc[n][m][1], x, y.z, y.w, Q_SCRATCH_OF(shared, Q_WARP));
            }
        }
    }
}

/* From sums of scaled products to contractions; whether much has cancelled in one. */
Q_INLINED int q_expand(q_products acc, __local const q_shared *shared, const float *row_square, const float scale,
                       const int parity)
{
    int below = 0; /* its sign */
    _Pragma("unroll") for (int k = 0; k < Q_OWN_N; k++)
    {
        const float2 both = shared->column_squares[parity][Q_COLUMN_OF(k) / 2];
        const float column_square = k % 2 ? both.y : both.x;
        Q_EACH_REG_M
        {
            const float squares = Q_EXPANSION ? row_square[r] + column_square : 0;
            const float sum = Q_SUM_OF(acc, r, k), whole = Q_EXPANSION ? fma(sum, -2 * scale, squares) : sum * scale;
            if (Q_EXPANSION) below |= as_int(fma(squares, -Q_CANCELLED, whole));
            Q_SUM_OF(acc, r, k) = whole;
        }
    }
    return below < 0;
}

/* The rest of the formula for the work-item's pairs. */
Q_INLINED void q_epilogue(q_state *t, q_products acc, __local const q_shared *shared, const q_launch *u, const q_row *rows,
                          const long j0, const int parity)
{
    q_weights weight;
    _Pragma("unroll") for (int k = 0; k < Q_OWN_N; k++)
    {
        const q_columns both = shared->columns[parity][Q_COLUMN_OF(k) / 2];
        const q_column column = both.of[k % 2];
        Q_EACH_REG_M
        {
            q_sums s = q_no_sums();
            s.Q_EXPANDED = Q_SUM_OF(acc, r, k);
            q_pair(&t[r], &weight, u, &rows[r], &column, &s, Q_COLUMN_NUMBER(j0 + Q_COLUMN_OF(k)));
        }
    }
}

/* The same for the columns of the tile before `size`, term by term. */
Q_INLINED void q_directly(Q_SIGNATURE, q_state *t, const q_launch *u, const q_row *rows, const long i0, const long j0,
                          const int size)
{
    q_weights weight;
    _Pragma("nounroll") for (int k = 0; k < Q_OWN_N; k++)
    {
        if (Q_COLUMN_OF(k) >= size) continue;
        const long j = j0 + Q_COLUMN_OF(k);
        const q_column column = q_load_column(Q_ARGUMENTS, u, j);
        q_sums s[Q_REG_M];
        Q_EACH_REG_M s[r] = q_no_sums();
        _Pragma("nounroll") for (int d = 0; d < Q_K_DIM; d++)
        {
            const q_column_k y = q_load_column_k(Q_ARGUMENTS, u, &column, j, d);
            Q_EACH_REG_M
            {
                const q_row_k x = q_load_row_k(Q_ARGUMENTS, u, &rows[r], min(i0 + Q_ROW_OF(r), (long)(Q_ROW_COUNT) - 1), d);
                q_contract(&s[r], u, &rows[r], &column, &x, &y);
            }
        }
        Q_EACH_REG_M q_pair(&t[r], &weight, u, &rows[r], &column, &s[r], Q_COLUMN_NUMBER(j));
    }
}

/* The states of the work-items of each row, in the order of their columns; those that a work-item owns. */
Q_INLINED void q_merge_all(__local q_state *all, q_state *t)
{
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int turn = 0; turn < 4 * Q_WARPS_N; turn++) {
        if (Q_WARP % Q_WARPS_N * 4 + Q_LANE % 4 == turn)
            Q_EACH_REG_M
            {
                q_state both = t[r];
                if (turn > 0) {
                    const q_state own = both;
                    both = all[Q_ROW_OF(r)];
                    q_merge(&both, &own);
                }
                all[Q_ROW_OF(r)] = both;
            }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    Q_EACH_ROW t[r] = all[Q_ITEM];
}

/* Reads what there is of a tile's column beside its fragments. */
Q_INLINED q_column q_take_column(Q_SIGNATURE, const q_launch *u, const long j0)
{
    return q_load_column(Q_ARGUMENTS, u, min(j0 + Q_ITEM % Q_TILE_N, (long)(Q_COLUMN_COUNT) - 1));
}

Q_INLINED void q_keep_column(__local q_shared *shared, const int parity, const q_column *column,
                             __global const float *squares)
{
    if (Q_ITEM >= Q_TILE_N) return;
    shared->columns[parity][Q_ITEM / 2].of[Q_ITEM % 2] = *column;
    if (Q_EXPANSION) ((__local float *)shared->column_squares[parity])[Q_ITEM] = squares[Q_ITEM];
}

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
    const float row_scale = Q_ROW_SCALES[row_tile];
    q_row rows[Q_REG_M];
    q_state t[Q_REG_M];
    float row_square[Q_REG_M];
    Q_EACH_REG_M
    {
        rows[r] = q_load_row(Q_ARGUMENTS, &u, i0 + Q_ROW_OF(r));
        row_square[r] = Q_EXPANSION ? Q_ROW_SQUARES(row_tile)[Q_ROW_OF(r)] : 0;
        q_start(&t[r]);
    }
    q_kept kept;
#if Q_KEEP
    Q_UNROLL_MATRIX for (int s = 0; s < Q_STEPS; s++) Q_UNROLL_MATRIX for (int p = 0; p < Q_PARTS; p++)
        Q_UNROLL_MATRIX for (int m = 0; m < Q_BLOCKS_M; m++)
            kept[s][p][m] = row_words[Q_FRAGMENT(s, p, Q_WARP * Q_BLOCKS_M + m, Q_TILE_M) + Q_LANE];
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
                for (int e = 0; e < 8; e++) acc[n][m][e / 4][e % 4] = 0;
            _Pragma("nounroll") for (int chunk = 0; chunk < Q_CHUNKS; chunk++)
            {
                const int last = chunk == Q_CHUNKS - 1;
                q_copies_wait();
                barrier(CLK_LOCAL_MEM_FENCE);
                next = last ? Q_PACKED_COLUMNS(next_tile) : next + Q_CHUNK_COLUMNS;
                q_fetch(shared->fragments[buffer ^ 1], row_words + (last ? 0 : (chunk + 1) * Q_CHUNK_ROWS), next);
                if (last) column = q_take_column(Q_ARGUMENTS, &u, next_tile * Q_TILE_N);
                q_multiply(acc, kept, shared, buffer);
                buffer ^= 1;
            }
            q_keep_column(shared, parity ^ 1, &column, Q_COLUMN_SQUARES(next_tile));
            const float scale = row_scale * Q_COLUMN_SCALES[tile];
            const int odd = !(scale > 0) || to - j0 < Q_TILE_N, cancelled = q_expand(acc, shared, row_square, scale, parity);
            if (odd || cancelled)
                q_directly(Q_ARGUMENTS, t, &u, rows, i0, j0, (int)min(to - j0, (long)Q_TILE_N));
            else q_epilogue(t, acc, shared, &u, rows, j0, parity);
            Q_KEEP_APART;
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
    const long row0 = i0 + Q_ITEM;
    Q_WRITE_OUT(row0);
}
