/*
 * mma_steps.cl: the steps of the scheme `mma`, whose kernel is in mma.cl, up to the weights of pairs: how a group shares tiles, the
 * first product, the rest of the formula, and states. What is done with right-hand sides is in mma_rhs.cl.
 */
#ifndef Q_SIGNATURE
#define Q_REG_N 4
#define Q_K_DIM 3
#define Q_TILE_N 32
#define Q_EXPANSION 1
#define Q_KEEP 1
#define Q_RHS_DIM 0
#undef Q_LANES
#define Q_LANES 1
#undef Q_F64
#define Q_F64 0
#include "gaussian.cl"
#include "matrix.cl"
#include "mma_layout.cl"
#undef Q_PARAMETERS
#define Q_PARAMETERS Q_SIGNATURE, Q_OUTPUT_SIGNATURE, __global uint4 *packed, const long first, const long split_extent
#endif
#define Q_WARPS (Q_LOCAL / Q_WARP_SIZE)
#define Q_WARPS_N (Q_KEEP && Q_WARP_SIZE >= 16 ? 1 : 2) /* along the columns */
#define Q_WARP_M (Q_TILE_M * Q_WARPS_N / Q_WARPS)
#define Q_WARP_N (Q_TILE_N / Q_WARPS_N)
#define Q_BLOCKS_M (Q_WARP_M / 16)
#define Q_BLOCKS_N (Q_WARP_N / 16)
#define Q_REG_M (Q_LANE_ROWS * Q_BLOCKS_M)    /* rows of a work-item */
#define Q_OWN_N (Q_LANE_COLUMNS * Q_BLOCKS_N) /* its columns */
#define Q_CHUNK (Q_KEEP ? Q_STEPS : 1)
#define Q_CHUNKS (Q_KEEP ? 1 : Q_STEPS)
#define Q_CHUNK_ROWS (Q_KEEP ? 0 : Q_FIRST_PARTS * Q_TILE_M * 2)
#define Q_CHUNK_COLUMNS (Q_CHUNK * Q_FIRST_PARTS * Q_TILE_N * 2)
#define Q_BLOCK_TILES (64 / Q_OWN_N) /* tiles whose terms are added without compensation */
/* The work-item's share of `count` things. */
#define Q_FOR_SHARE(k, count)                                                                                          \
    _Pragma("unroll") for (int k = Q_ITEM, k##_turn = 0; k##_turn < ((count) + Q_LOCAL - 1) / Q_LOCAL;   \
                           k##_turn++, k += Q_LOCAL)                                                                   \
        if ((count) % Q_LOCAL == 0 || k < (count))
#define Q_EACH_REG_M _Pragma("unroll") for (int r = 0; r < Q_REG_M; r++)

/* Where the work-item is: its warp along the rows and the columns, and in the warp. */
#define Q_ITEM ((int)((uint)get_local_id(0) % Q_LOCAL)) /* so that compilers know what it can be */
#define Q_WARP (Q_ITEM / Q_WARP_SIZE)
#define Q_LANE (Q_ITEM % Q_WARP_SIZE)
#define Q_ROW_OF(r)                                                                                                    \
    (Q_WARP / Q_WARPS_N * Q_WARP_M + (r) / Q_LANE_ROWS * 16 + Q_LANE_ROW(Q_LANE, (r) % Q_LANE_ROWS))
#define Q_COLUMN_AT(share, k) ((k) / Q_LANE_COLUMNS * 16 + Q_SHARE_COLUMN(share, (k) % Q_LANE_COLUMNS))
#define Q_COLUMN_OF(k) (Q_WARP % Q_WARPS_N * Q_WARP_N + Q_COLUMN_AT(Q_SHARE_OF(Q_LANE), k))
#define Q_SUM_OF(acc, r, k)                                                                                            \
    (acc)[(k) / Q_LANE_COLUMNS][(r) / Q_LANE_ROWS][Q_LANE_SUM((r) % Q_LANE_ROWS, (k) % Q_LANE_COLUMNS)]

/* Two columns, which a work-item reads at once. */
typedef struct {
    q_column of[2];
} __attribute__((aligned(8))) q_columns;

/* What a group shares; what there are two of is of this tile, or chunk, and of the next. */
typedef struct {
    uint4 fragments[2][Q_CHUNK_ROWS + Q_CHUNK_COLUMNS + Q_RHS_WORDS];
    q_columns columns[2][Q_TILE_N / 2];
    float2 column_squares[2][Q_TILE_N / 2];
    Q_MATRIX_SCRATCH(Q_WARPS)
} q_shared;

/* Begins to copy a chunk into a buffer. */
Q_INLINED void q_fetch(__local uint4 *to, __global const uint4 *rows, __global const uint4 *columns)
{
    Q_FOR_SHARE(k, Q_CHUNK_ROWS) q_copy(to + k, rows + k);
    Q_FOR_SHARE(n, Q_CHUNK_COLUMNS) q_copy(to + Q_CHUNK_ROWS + n, columns + n);
#if Q_RHS_DIM
    __global const uint4 *const rhs = columns + Q_CHUNK_COLUMNS + (int)get_group_id(2) * Q_RHS_WORDS;
    Q_FOR_SHARE(d, Q_RHS_WORDS) q_copy(to + Q_CHUNK_ROWS + Q_CHUNK_COLUMNS + d, rhs + d);
#endif
}

#if Q_KEEP && Q_K_DIM
#define Q_ROW_WORDS(p, m) kept[s][p][m]
typedef q_fragment q_kept[Q_STEPS][Q_FIRST_PARTS][Q_BLOCKS_M];
#else
#define Q_ROW_WORDS(p, m) row[p][m]
typedef uint4 q_kept[1];
#endif
typedef float q_products[Q_BLOCKS_N][Q_BLOCKS_M][Q_LANE_SUMS]; /* in registers: never indexed but by unrolled loops */

#if Q_K_DIM
/* Adds the products of a chunk. */
Q_INLINED void q_multiply(q_products acc, q_kept kept, __local q_shared *shared, const int buffer)
{
    __local const uint4 *const words = shared->fragments[buffer];
    Q_UNROLL_MATRIX for (int s = 0; s < Q_CHUNK; s++)
    {
#if !Q_KEEP
        q_fragment row[Q_FIRST_PARTS][Q_BLOCKS_M];
        Q_UNROLL_MATRIX for (int p = 0; p < Q_FIRST_PARTS; p++) Q_UNROLL_MATRIX for (int m = 0; m < Q_BLOCKS_M; m++)
            row[p][m] = Q_FRAGMENT_AT(__local const, words + Q_FRAGMENT(0, p, Q_WARP / Q_WARPS_N * Q_BLOCKS_M + m, Q_TILE_M), Q_LANE);
#endif
        Q_UNROLL_MATRIX for (int n = 0; n < Q_BLOCKS_N; n++)
        {
            q_fragment column[Q_FIRST_PARTS];
            Q_UNROLL_MATRIX for (int p = 0; p < Q_FIRST_PARTS; p++)
                column[p] = Q_FRAGMENT_AT(__local const, words + Q_CHUNK_ROWS + Q_FRAGMENT(s, p, Q_WARP % Q_WARPS_N * Q_BLOCKS_N + n, Q_TILE_N), Q_LANE);
            Q_UNROLL_MATRIX for (int p = 0; p < Q_FIRST_PRODUCTS; p++) Q_UNROLL_MATRIX for (int m = 0; m < Q_BLOCKS_M; m++)
                q_matrix_product(acc[n][m], Q_ROW_WORDS(Q_FOLDED ? 0 : Q_ROW_PART(p), m), column[Q_FOLDED ? 0 : Q_COLUMN_PART(p)], Q_SCRATCH_OF(shared, Q_WARP));
        }
    }
}

#if Q_FOLDED
/* From sums to squared distances: `unit` times them, or, where they say too little, from the differences. */
Q_INLINED void q_unfold(Q_SIGNATURE, q_products acc, const q_launch *u, const q_row *rows, const long i0, const long j0, const float unit,
                        const int direct)
{
    if (!direct) {
        _Pragma("unroll") for (int k = 0; k < Q_OWN_N; k++) Q_EACH_REG_M Q_SUM_OF(acc, r, k) *= unit;
        return;
    }
    q_row_k x[Q_K_DIM][Q_REG_M];
    _Pragma("unroll") for (int d = 0; d < Q_K_DIM; d++) Q_EACH_REG_M
        x[d][r] = q_load_row_k(Q_ARGUMENTS, u, &rows[r], min(i0 + Q_ROW_OF(r), (long)(Q_ROW_COUNT) - 1), d);
    _Pragma("unroll") for (int k = 0; k < Q_OWN_N; k++)
    {
        const long j = min(j0 + Q_COLUMN_OF(k), (long)(Q_COLUMN_COUNT) - 1);
        const q_column column = q_load_column(Q_ARGUMENTS, u, j);
        q_column_k y[Q_K_DIM];
        _Pragma("unroll") for (int d = 0; d < Q_K_DIM; d++) y[d] = q_load_column_k(Q_ARGUMENTS, u, &column, j, d);
        Q_EACH_REG_M
        {
            q_sums s = q_no_sums();
            _Pragma("unroll") for (int d = 0; d < Q_K_DIM; d++) q_contract(&s, u, &rows[r], &column, &x[d][r], &y[d]);
            Q_SUM_OF(acc, r, k) = s.Q_EXPANDED;
        }
    }
}
#else
/* From sums of scaled products to contractions; whether much has cancelled in one. */
Q_INLINED int q_expand(q_products acc, __local const q_shared *shared, const float *row_square, const float scale,
                       const int parity)
{
    int below = 0; /* its sign */
    _Pragma("unroll") for (int k = 0; k < Q_OWN_N; k++)
    {
        const float2 both = shared->column_squares[parity][Q_COLUMN_OF(k) / 2];
        const float column_square = Q_COLUMN_OF(k) % 2 ? both.y : both.x;
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
#endif
#endif

#if Q_RHS_DIM
/* Which row and column of the second product a number of the totals is of. */
#define Q_RHS_BLOCKS (Q_RHS_HELD / 16)
#define Q_TOTAL_OF(totals, r, n) Q_SUM_OF(totals, r, n)
#define Q_OWN_RHS (Q_RHS_HELD / Q_SHARERS)
#define Q_EACH_OWN_RHS Q_UNROLL_MATRIX for (int n = 0; n < Q_OWN_RHS; n++)
#define Q_RHS_OF(n) Q_COLUMN_AT(Q_SHARE_OF(Q_LANE), n)
#define Q_ACC_OF(acc, r, n) (acc)[((n) / Q_RHS_PER_ITEM * Q_REG_M + (r)) * one]
#define Q_MOST_UNIT 120 /* of exponents: so that its inverse is a normal number */
#define Q_FLUSH_TILES (4096 / Q_TILE_N) /* tiles whose totals are added without compensation */
#ifndef Q_RHS_UNIT
#define Q_RHS_UNIT 0
#endif
#if Q_RHS_SCALED
#define Q_SET_MODE(t, how) (t).mode = (how)
#else
#define Q_SET_MODE(t, how)
#endif
typedef float q_totals[Q_RHS_BLOCKS][Q_BLOCKS_M][Q_LANE_SUMS]; /* in registers, too */

/* What weights are multiplied by, and the largest for which that is right. */
typedef struct {
    float unit[Q_REG_M], limit[Q_REG_M];
    float risen[Q_REG_M]; /* what sums are still to be multiplied by, as softmax weights have another scale */
    int tiles, whole;     /* since totals were put away; whether they are in units of 1 */
} q_units;
#define Q_INVERSE(power) as_float((254u << 23) - as_uint(power))

/* Weights in private memory, where what is found one by one is kept. */
typedef float q_weights_kept[Q_OWN_N][Q_REG_M];

/* Keeps the weight of row r and column k. */
Q_INLINED void q_keep_weight(q_weights_kept kept, q_state *t, q_units *units, const q_weights *weight, const int r, const int k)
{
#if Q_RHS_SCALED
    if (t->rescaled) {
        const float scale = t->scales.Q_RHS_SCALE;
        _Pragma("nounroll") for (int old = 0; old < k; old++) kept[old][r] *= scale;
        units->risen[r] *= scale;
        t->scales = q_no_scales();
        t->rescaled = 0;
    }
#endif
    kept[k][r] = weight->Q_RHS_WEIGHT;
}
#else
typedef int q_units;
#define Q_SET_MODE(t, how)
#endif

/* The rest of the formula for a pair of the work-item. */
Q_INLINED void q_one_pair(q_state *t, q_weights *weight, q_products acc, __local const q_shared *shared, const q_launch *u,
                          const q_row *row, const long j0, const int parity, const int r, const int k)
{
    const q_columns both = shared->columns[parity][Q_COLUMN_OF(k) / 2];
    const q_column column = both.of[Q_COLUMN_OF(k) % 2];
    q_sums s = q_no_sums();
#if Q_K_DIM
    s.Q_EXPANDED = Q_SUM_OF(acc, r, k);
#endif
    q_pair(t, weight, u, row, &column, &s, Q_COLUMN_NUMBER(j0 + Q_COLUMN_OF(k)));
}

#if Q_RHS_SCALED
/* Makes room for the tile's largest terms in the scales of the work-item's rows, as all of a row do; whether there is one
   that is too large for any. `odd`: the work-item will see to its own. */
Q_INLINED int q_make_room(q_state *t, q_products acc, q_units *units, __local q_shared *shared, const q_launch *u,
                          const q_row *rows, const long j0, const int parity, const int odd)
{
    float most[Q_REG_M];
    int high = 0, huge = 0;
    Q_SCRATCH_POINTER scratch = Q_SCRATCH_OF(shared, Q_WARP);
    Q_EACH_REG_M
    {
        most[r] = -Q_HUGE;
        _Pragma("unroll") for (int k = 0; k < Q_OWN_N; k++)
        {
            q_weights weight;
            q_state tells = t[r];
            Q_SET_MODE(tells, Q_TELLING);
            q_one_pair(&tells, &weight, acc, shared, u, &rows[r], j0, parity, r, k);
            most[r] = fmax(most[r], tells.term);
        }
        most[r] = odd ? -Q_HUGE : most[r];
        high |= most[r] > t[r].Q_RHS_STATE.maximum;
        huge |= most[r] > Q_HUGE;
    }
    if (q_any_of_warp(high, scratch)) {
        Q_UNROLL_MATRIX for (int r = 0; r < Q_REG_M; r++)
        {
            float all = most[r];
            for (int share = 0; share < Q_SHARERS; share++) all = fmax(all, q_of_row(most[r], share, scratch));
            if (all > t[r].Q_RHS_STATE.maximum) units->risen[r] *= q_raise(&t[r], fmin(all + Q_SLACK, (float)Q_HUGE));
        }
    }
    return huge;
}
#endif

/* The rest of the formula for the work-item's pairs. */
Q_INLINED void q_epilogue(q_state *t, q_products acc, q_units *units, __local const q_shared *shared, const q_launch *u,
                          const q_row *rows, const long j0, const int parity)
{
    q_weights weight;
    Q_EACH_REG_M Q_SET_MODE(t[r], Q_SETTLED);
    _Pragma("unroll") for (int k = 0; k < Q_OWN_N; k++) Q_EACH_REG_M
    {
        q_one_pair(&t[r], &weight, acc, shared, u, &rows[r], j0, parity, r, k);
#if Q_RHS_DIM
        Q_SUM_OF(acc, r, k) = weight.Q_RHS_WEIGHT;
#endif
    }
}

/* The same for the columns of the tile before `size`, term by term; weights of the others are 0. */
Q_INLINED void q_directly(Q_SIGNATURE, q_state *t, q_products acc, q_units *units, const q_launch *u, const q_row *rows,
                          const long i0, const long tile, const int size)
{
    const long j0 = q_rarely(tile);
    q_weights weight;
#if Q_RHS_DIM
    q_weights_kept kept;
    Q_EACH_REG_M Q_SET_MODE(t[r], Q_RISING);
    _Pragma("nounroll") for (int k = 0; k < Q_OWN_N; k++) Q_EACH_REG_M kept[k][r] = 0;
#endif
    _Pragma("nounroll") for (int k = 0; k < Q_OWN_N; k++)
    {
        if (Q_COLUMN_OF(k) >= size) continue;
        const long j = j0 + Q_COLUMN_OF(k);
        const q_column column = q_load_column(Q_ARGUMENTS, u, j);
        q_sums s[Q_REG_M];
        Q_EACH_REG_M s[r] = q_no_sums();
#if Q_K_DIM
        _Pragma("nounroll") for (int d = 0; d < Q_K_DIM; d++)
        {
            const q_column_k y = q_load_column_k(Q_ARGUMENTS, u, &column, j, d);
            Q_EACH_REG_M
            {
                const q_row_k x = q_load_row_k(Q_ARGUMENTS, u, &rows[r], min(i0 + Q_ROW_OF(r), (long)(Q_ROW_COUNT) - 1), d);
                q_contract(&s[r], u, &rows[r], &column, &x, &y);
            }
        }
#endif
        Q_EACH_REG_M
        {
            q_pair(&t[r], &weight, u, &rows[r], &column, &s[r], Q_COLUMN_NUMBER(j));
#if Q_RHS_DIM
            q_keep_weight(kept, &t[r], units, &weight, r, k);
#endif
        }
    }
#if Q_RHS_DIM
    _Pragma("unroll") for (int k = 0; k < Q_OWN_N; k++) Q_EACH_REG_M Q_SUM_OF(acc, r, k) = kept[k][r];
#endif
}

/* The states of the work-items of each row, in the order of their columns; those that a work-item owns. */
Q_INLINED void q_merge_all(__local q_state *all, q_state *t)
{
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int turn = 0; turn < Q_SHARERS * Q_WARPS_N; turn++) {
        if (Q_WARP % Q_WARPS_N * Q_SHARERS + Q_SHARE_OF(Q_LANE) == turn)
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
    if (Q_SQUARES) ((__local float *)shared->column_squares[parity])[Q_ITEM] = squares[Q_ITEM];
}

