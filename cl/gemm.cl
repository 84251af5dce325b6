/*
 * gemm.cl: the scheme `gemm`, for long vectors. A work-item owns Q_ROWS vectors of Q_LANES rows, as in row.cl. It takes in
 * Q_CHUNK columns at once, which stay in the first-level cache for all of its rows, as register tiles of Q_REG_M vectors of
 * rows with Q_REG_N columns:
 *
 *   1. contractions (K loop): sums over Q_K_DIM components gather in registers for all rows and columns of the tile;
 *   2. the rest of the formula runs on each pair, and leaves weights for
 *   3. right-hand sides: for each of Q_RHS_DIM the columns of the tile are added to block accumulators in memory.
 *
 * Vectors of rows are gathered once, by component. A squared distance may be expanded, |x|^2 + |y|^2 - 2 xy with both
 * moved to a common centre, which halves the work. With Q_EXPANSION 1 (guarded) it is computed again term by term where
 * much has cancelled: where it is less than Q_CANCELLED of |x|^2 + |y|^2. With 2 (screened) the expansion, less what it can be
 * off by, Q_DOUBT of the same, only tells which terms cannot enter a selection; the others are computed term by term.
 *
 * Holes besides those of row.cl:
 *   q_row_k q_column_k q_load_... q_sums q_contract  contractions; Q_EXPANDED... names their members, and where component
 *                                                    d of column j is, if it is in an array
 *   q_limit                                          screened: the least term that cannot enter the selection
 *   q_weights                                        what q_pair leaves for right-hand sides
 *   q_row_rhs q_column_rhs q_load_... q_accumulate   right-hand sides, in block accumulators, q_block_acc
 *   q_rhs_acc q_flush                                their compensated sums, and what adds a block accumulator to them
 *   q_scales q_no_scales q_rescale_weights _block_acc _rhs, with Q_RHS_SCALED: when softmax weights get another scale,
 *   t->scales, as t->rescaled tells
 */
#ifndef Q_SIGNATURE
#define Q_REG_M 1
#define Q_REG_N 4
#define Q_CHUNK 8
#define Q_K_DIM 3
#define Q_EXPANSION 1
#define Q_RHS_DIM 0
#include "gaussian.cl"
#endif
#define Q_EACH_REG_M _Pragma("unroll") for (int r = 0; r < Q_REG_M; r++)
#define Q_EACH_COLUMN _Pragma("unroll") for (int c = 0; c < Q_REG_N; c++)
#define Q_TILES (Q_ROWS / Q_REG_M)
#if Q_TILES > 1 /* of a work-item; it takes more columns than a tile has only where there are several */
#undef Q_EACH_ROW
#define Q_EACH_ROW for (int r = 0; r < Q_ROWS; r++)
#define Q_EACH_TAKEN(count) for (int c = 0; c < ((count) + Q_REG_N - 1) / Q_REG_N * Q_REG_N; c++)
#define Q_EACH_TILE(count)                        \
    for (int tile = 0; tile < Q_TILES; tile++)    \
        for (int first = 0; first < (count); first += Q_REG_N)
#else
#define Q_EACH_TAKEN(count) Q_EACH_COLUMN
#define Q_EACH_TILE(count) for (int tile = 0, first = 0; first < Q_REG_N; first += Q_REG_N)
#endif
#if Q_K_DIM
#define Q_SUMS(c, r) &sums[c][r]
#else
#define Q_SUMS(c, r) &none
#endif
#if Q_RHS_DIM
#define Q_WEIGHTS(c, r) &weights[c][r]
#else
#define Q_WEIGHTS(c, r) &weight
#endif

/* Where an expansion must not be taken as it stands; not comparisons with <, so that NaN is among it. */
#if Q_EXPANSION == 2
#define Q_DOUBTFUL(c, r) !(sums[c][r].Q_EXPANDED - Q_DOUBT * squares[c][r] >= q_limit(&tile_t[r]))
#else
#define Q_DOUBTFUL(c, r) !(sums[c][r].Q_EXPANDED >= Q_CANCELLED * squares[c][r])
#endif
#define Q_VECTORS ((Q_K_DIM + Q_LANES - 1) / Q_LANES) /* that hold a column */

typedef real q_centre[Q_VECTORS + !Q_VECTORS];

/* A column and, where its contraction is expanded, its components and their square, moved to the centre. */
typedef struct {
    long j;
    q_column column;
#if Q_EXPANSION
    real moved[Q_VECTORS];
    sreal square;
#endif
} q_taken;

#if Q_K_DIM
/* Components of the rows of a tile; expanded also x - centre and |x - centre|^2. */
typedef struct {
    q_row_k row[Q_K_DIM][Q_REG_M];
#if Q_EXPANSION
    real moved[Q_K_DIM][Q_REG_M], square[Q_REG_M];
#endif
} q_rows_k;

#if !Q_EXPANSION
/* One column, of those that fill no tile. */
Q_FN void q_contract_column(Q_SIGNATURE, q_sums sums[Q_REG_M], const q_launch *u, const q_row *rows,
                            const q_taken *column, const q_rows_k *rows_k)
{
    Q_EACH_REG_M sums[r] = q_no_sums();
    for (int d = 0; d < Q_K_DIM; d++) {
        const q_column_k y = q_load_column_k(Q_ARGUMENTS, u, &column->column, column->j, d);
        Q_EACH_REG_M q_contract(&sums[r], u, &rows[r], &column->column, &rows_k->row[d][r], &y);
    }
}

Q_FN void q_contract_tile(Q_SIGNATURE, q_sums sums[Q_REG_N][Q_REG_M], const q_launch *u, const q_row *rows,
                          const q_taken *columns, const q_rows_k *rows_k, const int count)
{
    q_sums s[Q_REG_N][Q_REG_M]; /* in registers: never indexed but by unrolled loops */
    Q_EACH_COLUMN Q_EACH_REG_M s[c][r] = q_no_sums();
    for (int d = 0; d < Q_K_DIM; d++)
        Q_EACH_COLUMN
        {
            const q_column_k y = q_load_column_k(Q_ARGUMENTS, u, &columns[c].column, columns->j + min(c, count - 1), d);
            Q_EACH_REG_M q_contract(&s[c][r], u, &rows[r], &columns[c].column, &rows_k->row[d][r], &y);
        }
    Q_EACH_COLUMN Q_EACH_REG_M sums[c][r] = s[c][r];
}
#else
Q_FN void q_add_component(Q_SIGNATURE, q_sums *s, const q_launch *u, const q_row *rows, const q_taken *columns,
                      const q_rows_k *rows_k, const int r, const int c, const int d)
{
    const q_column_k y = q_load_column_k(Q_ARGUMENTS, u, &columns[c].column, columns[c].j, d);
    q_contract(s, u, &rows[r], &columns[c].column, &rows_k->row[d][r], &y);
}

/* One vector of rows with one column, term by term. */
Q_FN q_sums q_contract_one(Q_SIGNATURE, const q_launch *u, const q_row *rows, const q_taken *columns,
                           const q_rows_k *rows_k, const int r, const int c)
{
    q_sums s[4]; /* sums that do not wait for each other */
    for (int k = 0; k < 4; k++) s[k] = q_no_sums();
    for (int d = 0; d < Q_K_DIM / 4 * 4; d += 4)
        _Pragma("unroll") for (int k = 0; k < 4; k++)
            q_add_component(Q_ARGUMENTS, &s[k], u, rows, columns, rows_k, r, c, d + k);
    for (int d = Q_K_DIM / 4 * 4; d < Q_K_DIM; d++)
        q_add_component(Q_ARGUMENTS, &s[0], u, rows, columns, rows_k, r, c, d);
    s[0].Q_EXPANDED = (s[0].Q_EXPANDED + s[1].Q_EXPANDED) + (s[2].Q_EXPANDED + s[3].Q_EXPANDED);
    return s[0];
}

/* The centre: the mean of some columns, anything that is near the data. */
Q_FN void q_find_centre(Q_SIGNATURE, sreal *centre, const q_launch *u)
{
    const long step = max((long)(Q_COLUMN_COUNT) / 16, 1L);
    for (int d = 0; d < Q_VECTORS * Q_LANES; d++) centre[d] = 0;
    int count = 0;
    for (long j = 0; j < (long)(Q_COLUMN_COUNT) && count < 16; j += step, count++) {
        const q_column column = q_load_column(Q_ARGUMENTS, u, j);
        for (int d = 0; d < Q_K_DIM; d++)
            centre[d] += q_load_column_k(Q_ARGUMENTS, u, &column, j, d).Q_EXPANDED_COLUMN;
    }
    for (int d = 0; d < Q_K_DIM; d++) centre[d] /= (sreal)max(count, 1);
}

Q_FN void q_move_rows(q_rows_k *rows_k, const sreal *centre)
{
    Q_EACH_REG_M
    {
        rows_k->square[r] = 0;
        for (int d = 0; d < Q_K_DIM; d++) {
            const real x = rows_k->row[d][r].Q_EXPANDED_ROW - centre[d];
            rows_k->moved[d][r] = x;
            rows_k->square[r] = q_fma(x, x, rows_k->square[r]);
        }
    }
}

/* As many components of a column as there are lanes, from d on. */
Q_FN real q_column_lanes(Q_SIGNATURE, const q_launch *u, const q_taken *column, const int d)
{
#ifdef Q_EXPANDED_ARRAY
    return q_read_global(Q_EXPANDED_ARRAY(column->j, d));
#else
    sreal lanes[Q_LANES];
    for (int l = 0; l < Q_LANES; l++)
        lanes[l] = q_load_column_k(Q_ARGUMENTS, u, &column->column, column->j, d + l).Q_EXPANDED_COLUMN;
    return q_read(lanes);
#endif
}

/* Moves a column to the centre. */
Q_FN void q_move_column(Q_SIGNATURE, q_taken *column, const q_launch *u, const q_centre centre)
{
    real squares = 0;
    for (int v = 0; v < Q_K_DIM / Q_LANES; v++) {
        const real y = q_column_lanes(Q_ARGUMENTS, u, column, v * Q_LANES) - centre[v];
        column->moved[v] = y;
        squares = q_fma(y, y, squares);
    }
    sreal rest = 0;
    for (int d = Q_K_DIM / Q_LANES * Q_LANES; d < Q_K_DIM; d++) {
        const sreal y = q_load_column_k(Q_ARGUMENTS, u, &column->column, column->j, d).Q_EXPANDED_COLUMN -
                        ((const sreal *)centre)[d];
        ((sreal *)column->moved)[d] = y;
        rest = qs_fma(y, y, rest);
    }
    column->square = rest + q_across(squares);
}

/* The expansions, and |x|^2 + |y|^2 of each. */
Q_FN void q_contract_tile(q_sums sums[Q_REG_N][Q_REG_M], real squares[Q_REG_N][Q_REG_M], const q_taken *columns,
                          const q_rows_k *rows_k)
{
    real s[Q_REG_N][Q_REG_M]; /* in registers: never indexed but by unrolled loops */
    Q_EACH_COLUMN Q_EACH_REG_M s[c][r] = 0;
    for (int d = 0; d < Q_K_DIM; d++)
        Q_EACH_COLUMN
        {
            const real yd = (real)(((const sreal *)columns[c].moved)[d]);
            Q_EACH_REG_M s[c][r] = q_fma(rows_k->moved[d][r], yd, s[c][r]);
        }
    Q_EACH_COLUMN Q_EACH_REG_M
    {
        squares[c][r] = rows_k->square[r] + (real)(columns[c].square);
        sums[c][r].Q_EXPANDED = q_fma((real)-2, s[c][r], squares[c][r]);
    }
}
#endif
#endif

#if Q_RHS_DIM
/* Adds `count` columns to the block accumulators: full tiles in registers, the last columns one by one. */
Q_FN void q_accumulate_tile(Q_SIGNATURE, q_block_acc sums[Q_RHS_DIM][Q_REG_M], const q_launch *u, const q_row *rows,
                       const q_taken *columns, const q_row_rhs rows_rhs[Q_RHS_DIM][Q_REG_M],
                       const q_weights weights[Q_REG_N][Q_REG_M], const int count)
{
    for (int d = 0; d < Q_RHS_DIM && count == Q_REG_N; d++) {
        q_column_rhs y[Q_REG_N];
        Q_EACH_COLUMN y[c] = q_load_column_rhs(Q_ARGUMENTS, u, &columns[c].column, columns->j + c, d);
        Q_EACH_REG_M
        {
            q_block_acc p = sums[d][r];
            Q_EACH_COLUMN q_accumulate(&p, u, &rows[r], &columns[c].column, &weights[c][r], &rows_rhs[d][r], &y[c]);
            sums[d][r] = p;
        }
    }
    for (int c = 0; c < count && count < Q_REG_N; c++)
        for (int d = 0; d < Q_RHS_DIM; d++) {
            const q_column_rhs y = q_load_column_rhs(Q_ARGUMENTS, u, &columns[c].column, columns[c].j, d);
            for (int r = 0; r < Q_REG_M; r++)
                q_accumulate(&sums[d][r], u, &rows[r], &columns[c].column, &weights[c][r], &rows_rhs[d][r], &y);
        }
}
#endif

#if Q_RHS_SCALED
/* The weights of the tile's columns before c, and the sums, of a vector of rows whose weights have a new scale. */
Q_FN void q_rescale(q_state *t, q_rhs_acc *acc, q_block_acc sums[Q_RHS_DIM][Q_REG_M], q_weights weights[Q_REG_N][Q_REG_M],
                    const int r, const int c)
{
    const q_scales s = t[r].scales;
    for (int k = 0; k < c; k++) q_rescale_weights(&weights[k][r], &s);
    for (int d = 0; d < Q_RHS_DIM; d++) q_rescale_block_acc(&sums[d][r], &s);
    q_rescale_rhs(&acc[r], &s);
    t[r].scales = q_no_scales();
    t[r].rescaled = 0;
}
#endif

/* The next columns of a block, `count` of them from j on, in whole tiles, for which the last one is repeated. */
Q_FN void q_take_columns(Q_SIGNATURE, q_taken columns[Q_CHUNK], const q_launch *u, const q_centre centre, const long j,
                         const int count)
{
    Q_EACH_TAKEN(count)
    {
        columns[c].j = j + min(c, count - 1);
        columns[c].column = q_load_column(Q_ARGUMENTS, u, columns[c].j);
#if Q_EXPANSION
        q_move_column(Q_ARGUMENTS, &columns[c], u, centre);
#endif
    }
}

#undef Q_RESTRICT
#define Q_RESTRICT restrict /* in the functions above it would only trouble interpreters */
Q_KERNEL void Q_NAME(Q_PARAMETERS)
{
    Q_BEGIN_GROUP((long)get_group_id(0))
    const long row0 = Q_FIRST_ROW((long)get_group_id(0)) + (long)get_local_id(0) * Q_LANES;
    const q_launch u = q_load_launch(Q_ARGUMENTS);
    q_row rows[Q_ROWS];
    q_state t[Q_ROWS];
#if Q_RHS_DIM
    q_rhs_acc acc[Q_ROWS];
    q_block_acc block_acc[Q_TILES][Q_RHS_DIM][Q_REG_M];
    q_row_rhs rows_rhs[Q_TILES][Q_RHS_DIM][Q_REG_M];
    q_weights weights[Q_REG_N][Q_REG_M];
#else
    q_weights weight;
#endif
#if !Q_K_DIM
    const q_sums none = q_no_sums();
#endif
    Q_EACH_ROW
    {
        rows[r] = q_load_row(Q_ARGUMENTS, &u, row0 + r * Q_ROW_STEP);
        Q_START_STATE(&t[r], row0 + r * Q_ROW_STEP);
#if Q_RHS_DIM
        Q_START_RHS(&acc[r], row0 + r * Q_ROW_STEP, 0);
#endif
    }
    q_centre centre;
#if Q_K_DIM
    q_rows_k rows_k[Q_TILES];
    for (int d = 0; d < Q_K_DIM; d++)
        Q_EACH_ROW rows_k[r / Q_REG_M].row[d][r % Q_REG_M] =
            q_load_row_k(Q_ARGUMENTS, &u, &rows[r], row0 + r * Q_ROW_STEP, d);
#endif
#if Q_EXPANSION
    q_find_centre(Q_ARGUMENTS, (sreal *)centre, &u);
    for (int tile = 0; tile < Q_TILES; tile++) q_move_rows(&rows_k[tile], (const sreal *)centre);
#endif
#if Q_RHS_DIM
    for (int d = 0; d < Q_RHS_DIM; d++)
        Q_EACH_ROW
        {
            rows_rhs[r / Q_REG_M][d][r % Q_REG_M] =
                q_load_row_rhs(Q_ARGUMENTS, &u, &rows[r], row0 + r * Q_ROW_STEP, d);
            block_acc[r / Q_REG_M][d][r % Q_REG_M] = q_no_block_acc();
        }
#endif
    Q_FOR_COLUMNS(from, to)
    {
        for (long b0 = from; b0 < to; b0 += Q_BLOCK) {
            const int size = (int)min((long)Q_BLOCK, to - b0);
            for (int k = 0; k < size; k += Q_CHUNK) {
                const int taken = min(Q_CHUNK, size - k);
                q_taken columns[Q_CHUNK];
                q_take_columns(Q_ARGUMENTS, columns, &u, centre, b0 + k, taken);
                Q_EACH_TILE(taken)
                {
                    const q_taken *tile_columns = &columns[first];
                    const int count = min(Q_REG_N, taken - first);
                    q_state *tile_t = &t[tile * Q_REG_M];
                    const q_row *tile_rows = &rows[tile * Q_REG_M];
#if Q_K_DIM && !Q_EXPANSION
                    q_sums sums[Q_REG_N][Q_REG_M];
                    q_contract_tile(Q_ARGUMENTS, sums, &u, tile_rows, tile_columns, &rows_k[tile], count);
#elif Q_K_DIM
                    q_sums sums[Q_REG_N][Q_REG_M];
                    real squares[Q_REG_N][Q_REG_M];
                    q_contract_tile(sums, squares, tile_columns, &rows_k[tile]);
#endif
                    _Pragma("nounroll") for (int c = 0; c < count; c++)
                        Q_EACH_REG_M
                        {
#if Q_EXPANSION
                            if (q_any(Q_DOUBTFUL(c, r)))
                                sums[c][r] = q_contract_one(Q_ARGUMENTS, &u, tile_rows, tile_columns, &rows_k[tile], r, c);
                            else if (Q_EXPANSION == 2) continue;
#endif
                            q_pair(&tile_t[r], Q_WEIGHTS(c, r), &u, &tile_rows[r], &tile_columns[c].column, Q_SUMS(c, r),
                                   Q_COLUMN_NUMBER(tile_columns[c].j));
#if Q_RHS_SCALED
                            if (tile_t[r].rescaled)
                                q_rescale(tile_t, &acc[tile * Q_REG_M], block_acc[tile], weights, r, c);
#endif
#if Q_KAHAN
                            q_block(&tile_t[r]);
#endif
                        }
#if Q_RHS_DIM
                    q_accumulate_tile(Q_ARGUMENTS, block_acc[tile], &u, tile_rows, tile_columns, rows_rhs[tile], weights,
                                      count);
#endif
                }
            }
            Q_EACH_ROW q_block(&t[r]);
#if Q_RHS_DIM
            for (int d = 0; d < Q_RHS_DIM; d++)
                Q_EACH_ROW
                {
                    q_block_acc *block = &block_acc[r / Q_REG_M][d][r % Q_REG_M];
                    q_flush(&acc[r], block, d);
                    *block = q_no_block_acc();
                }
#endif
        }
    }
    Q_WRITE_OUT(row0);
}
