/*
 * tile.cl: the scheme `tile`, for long vectors. A work-item owns Q_ROWS vectors of Q_LANES rows, as in row.cl, and takes
 * in Q_COLUMNS columns at once:
 *
 *   1. contractions: sums over Q_DEPTH components gather in registers for all rows and columns of the tile;
 *   2. the rest of the formula runs on each pair, and leaves weights for
 *   3. wide sums: for each of Q_WIDTH components the columns of the tile are added to partial sums in memory.
 *
 * Vectors of rows are gathered once, into slices. A squared distance may be expanded, |x|^2 + |y|^2 - 2 xy with both
 * moved to a common centre, which halves the work. With Q_EXPANSION 1 (guarded) it is computed again term by term where
 * much has cancelled: where it is less than Q_CANCELLED of |x|^2 + |y|^2. With 2 (screened) the expansion, less what it can be
 * off by, Q_DOUBT of the same, only tells which terms cannot enter a selection; the others are computed term by term.
 *
 * Holes besides those of row.cl:
 *   q_row_deep q_column_deep q_load_... q_sums q_contract    contractions; Q_EXPANDED... names their members, and
 *                                                            where component d of column j is, if it is in an array
 *   q_limit                                                  screened: the least term that cannot enter the selection
 *   q_weights                                                what q_pair leaves for wide sums
 *   q_row_wide q_column_wide q_load_... q_partial q_widen    partial wide sums
 *   q_wide q_flush                                            wide sums, and what takes a partial sum into them
 *   q_scales q_no_scales q_rescale_weights _partial _wide, with Q_RHS_SCALED: when softmax weights get another scale,
 *   t->scales, as t->rescaled tells
 */
#ifndef Q_SIGNATURE
#define Q_COLUMNS 4
#define Q_DEPTH 3
#define Q_EXPANSION 1
#define Q_WIDTH 0
#define Q_TILE 0
#include "gaussian.cl"
#endif
#define Q_EACH_COLUMN _Pragma("unroll") for (int c = 0; c < Q_COLUMNS; c++)
#if Q_DEPTH
#define Q_SUMS(c, r) &sums[c][r]
#else
#define Q_SUMS(c, r) &none
#endif
#if Q_WIDTH
#define Q_WEIGHTS(c, r) &weights[c][r]
#else
#define Q_WEIGHTS(c, r) &weight
#endif
#define Q_DOUBT ((4 * Q_DEPTH + 16) * (real)Q_ROUNDING) /* see docs/numbers.md */

/* Where an expansion must not be taken as it stands; not comparisons with <, so that NaN is among it. */
#if Q_EXPANSION == 2
#define Q_DOUBTFUL(c, r) !(sums[c][r].Q_EXPANDED - Q_DOUBT * squares[c][r] >= q_limit(&t[r]))
#else
#define Q_DOUBTFUL(c, r) !(sums[c][r].Q_EXPANDED >= Q_CANCELLED * squares[c][r])
#endif
#define Q_VECTORS ((Q_DEPTH + Q_LANES - 1) / Q_LANES) /* that hold a column */

/* The columns of a tile; past the last one they repeat it. */
typedef struct {
    long j[Q_COLUMNS];
    q_column column[Q_COLUMNS];
} q_columns;

#if Q_DEPTH
typedef struct {
    q_row_deep row[Q_DEPTH][Q_ROWS];
#if Q_EXPANSION
    real moved[Q_DEPTH][Q_ROWS], square[Q_ROWS]; /* x - centre, and |x - centre|^2 */
    real centre[Q_VECTORS];
#endif
} q_slices;

#if !Q_EXPANSION
Q_FN void q_contract_tile(Q_SIGNATURE, q_sums sums[Q_COLUMNS][Q_ROWS], const q_launch *u, const q_row *rows,
                          const q_columns *columns, const q_slices *slices)
{
    q_sums s[Q_COLUMNS][Q_ROWS]; /* in registers: never indexed but by unrolled loops */
    Q_EACH_COLUMN Q_EACH_ROW s[c][r] = q_no_sums();
    for (int d = 0; d < Q_DEPTH; d++)
        Q_EACH_COLUMN
        {
            const q_column_deep y = q_load_column_deep(Q_ARGUMENTS, u, &columns->column[c], columns->j[c], d);
            Q_EACH_ROW q_contract(&s[c][r], u, &rows[r], &columns->column[c], &slices->row[d][r], &y);
        }
    Q_EACH_COLUMN Q_EACH_ROW sums[c][r] = s[c][r];
}
#else
Q_FN void q_add_slice(Q_SIGNATURE, q_sums *s, const q_launch *u, const q_row *rows, const q_columns *columns,
                      const q_slices *slices, const int r, const int c, const int d)
{
    const q_column_deep y = q_load_column_deep(Q_ARGUMENTS, u, &columns->column[c], columns->j[c], d);
    q_contract(s, u, &rows[r], &columns->column[c], &slices->row[d][r], &y);
}

/* One vector of rows with one column, term by term. */
Q_FN q_sums q_contract_one(Q_SIGNATURE, const q_launch *u, const q_row *rows, const q_columns *columns,
                           const q_slices *slices, const int r, const int c)
{
    q_sums s[4]; /* sums that do not wait for each other */
    for (int k = 0; k < 4; k++) s[k] = q_no_sums();
    for (int d = 0; d < Q_DEPTH / 4 * 4; d += 4)
        _Pragma("unroll") for (int k = 0; k < 4; k++)
            q_add_slice(Q_ARGUMENTS, &s[k], u, rows, columns, slices, r, c, d + k);
    for (int d = Q_DEPTH / 4 * 4; d < Q_DEPTH; d++)
        q_add_slice(Q_ARGUMENTS, &s[0], u, rows, columns, slices, r, c, d);
    s[0].Q_EXPANDED = (s[0].Q_EXPANDED + s[1].Q_EXPANDED) + (s[2].Q_EXPANDED + s[3].Q_EXPANDED);
    return s[0];
}

/* The centre: the mean of some columns, anything that is near the data. */
Q_FN void q_find_centre(Q_SIGNATURE, q_slices *slices, const q_launch *u)
{
    const long step = max((long)(Q_COLUMN_COUNT) / 16, 1L);
    sreal *centre = (sreal *)slices->centre;
    for (int d = 0; d < Q_VECTORS * Q_LANES; d++) centre[d] = 0;
    int count = 0;
    for (long j = 0; j < (long)(Q_COLUMN_COUNT) && count < 16; j += step, count++) {
        const q_column column = q_load_column(Q_ARGUMENTS, u, j);
        for (int d = 0; d < Q_DEPTH; d++)
            centre[d] += q_load_column_deep(Q_ARGUMENTS, u, &column, j, d).Q_EXPANDED_COLUMN;
    }
    for (int d = 0; d < Q_DEPTH; d++) centre[d] /= (sreal)max(count, 1);
}

Q_FN void q_move_rows(q_slices *slices)
{
    Q_EACH_ROW
    {
        slices->square[r] = 0;
        for (int d = 0; d < Q_DEPTH; d++) {
            const real x = slices->row[d][r].Q_EXPANDED_ROW - ((const sreal *)slices->centre)[d];
            slices->moved[d][r] = x;
            slices->square[r] = q_fma(x, x, slices->square[r]);
        }
    }
}

/* As many components of a column as there are lanes, from d on. */
Q_FN real q_column_lanes(Q_SIGNATURE, const q_launch *u, const q_columns *columns, const int c, const int d)
{
#ifdef Q_EXPANDED_ARRAY
    return q_read_global(Q_EXPANDED_ARRAY(columns->j[c], d));
#else
    sreal lanes[Q_LANES];
    for (int l = 0; l < Q_LANES; l++)
        lanes[l] = q_load_column_deep(Q_ARGUMENTS, u, &columns->column[c], columns->j[c], d + l).Q_EXPANDED_COLUMN;
    return q_read(lanes);
#endif
}

/* Moves column c to *to; returns its square. */
Q_FN sreal q_move_column(Q_SIGNATURE, real to[Q_VECTORS], const q_launch *u, const q_columns *columns,
                         const q_slices *slices, const int c)
{
    real squares = 0;
    for (int v = 0; v < Q_DEPTH / Q_LANES; v++) {
        to[v] = q_column_lanes(Q_ARGUMENTS, u, columns, c, v * Q_LANES) - slices->centre[v];
        squares = q_fma(to[v], to[v], squares);
    }
    sreal rest = 0;
    for (int d = Q_DEPTH / Q_LANES * Q_LANES; d < Q_DEPTH; d++) {
        const sreal y = q_load_column_deep(Q_ARGUMENTS, u, &columns->column[c], columns->j[c], d).Q_EXPANDED_COLUMN -
                        ((const sreal *)slices->centre)[d];
        ((sreal *)to)[d] = y;
        rest = qs_fma(y, y, rest);
    }
    return rest + q_across(squares);
}

/* The expansions, and |x|^2 + |y|^2 of each. */
Q_FN void q_contract_tile(Q_SIGNATURE, q_sums sums[Q_COLUMNS][Q_ROWS], real squares[Q_COLUMNS][Q_ROWS],
                          const q_launch *u, const q_columns *columns, const q_slices *slices)
{
    real y[Q_COLUMNS][Q_VECTORS];
    sreal square[Q_COLUMNS];
    real s[Q_COLUMNS][Q_ROWS]; /* in registers: never indexed but by unrolled loops */
    Q_EACH_COLUMN square[c] = q_move_column(Q_ARGUMENTS, y[c], u, columns, slices, c);
    Q_EACH_COLUMN Q_EACH_ROW s[c][r] = 0;
    for (int d = 0; d < Q_DEPTH; d++)
        Q_EACH_COLUMN
        {
            const real yd = (real)(((const sreal *)y[c])[d]);
            Q_EACH_ROW s[c][r] = q_fma(slices->moved[d][r], yd, s[c][r]);
        }
    Q_EACH_COLUMN Q_EACH_ROW
    {
        squares[c][r] = slices->square[r] + (real)(square[c]);
        sums[c][r].Q_EXPANDED = q_fma((real)-2, s[c][r], squares[c][r]);
    }
}
#endif
#endif

#if Q_WIDTH
/* Adds `count` columns to the partial sums: full tiles in registers, the last columns one by one. */
Q_FN void q_widen_tile(Q_SIGNATURE, q_partial sums[Q_WIDTH][Q_ROWS], const q_launch *u, const q_row *rows,
                       const q_columns *columns, const q_row_wide slices[Q_WIDTH][Q_ROWS],
                       const q_weights weights[Q_COLUMNS][Q_ROWS], const int count)
{
    for (int d = 0; d < Q_WIDTH && count == Q_COLUMNS; d++) {
        q_column_wide y[Q_COLUMNS];
        Q_EACH_COLUMN y[c] = q_load_column_wide(Q_ARGUMENTS, u, &columns->column[c], columns->j[c], d);
        Q_EACH_ROW
        {
            q_partial p = sums[d][r];
            Q_EACH_COLUMN q_widen(&p, u, &rows[r], &columns->column[c], &weights[c][r], &slices[d][r], &y[c]);
            sums[d][r] = p;
        }
    }
    for (int c = 0; c < count && count < Q_COLUMNS; c++)
        for (int d = 0; d < Q_WIDTH; d++) {
            const q_column_wide y = q_load_column_wide(Q_ARGUMENTS, u, &columns->column[c], columns->j[c], d);
            for (int r = 0; r < Q_ROWS; r++)
                q_widen(&sums[d][r], u, &rows[r], &columns->column[c], &weights[c][r], &slices[d][r], &y);
        }
}
#endif

#if Q_RHS_SCALED
/* The weights of the tile's columns before c, and the wide sums, of a vector of rows whose weights have a new scale. */
Q_FN void q_rescale(q_state *t, q_wide *wide, q_partial sums[Q_WIDTH][Q_ROWS], q_weights weights[Q_COLUMNS][Q_ROWS],
                    const int r, const int c)
{
    const q_scales s = t[r].scales;
    for (int k = 0; k < c; k++) q_rescale_weights(&weights[k][r], &s);
    for (int d = 0; d < Q_WIDTH; d++) q_rescale_partial(&sums[d][r], &s);
    q_rescale_wide(&wide[r], &s);
    t[r].scales = q_no_scales();
    t[r].rescaled = 0;
}
#endif

#undef Q_RESTRICT
#define Q_RESTRICT restrict /* in the functions above it would only trouble interpreters */
Q_KERNEL void Q_NAME(Q_PARAMETERS)
{
    const long row0 = first + ((long)get_group_id(0) * Q_ROWS * Q_LOCAL + (long)get_local_id(0)) * Q_LANES;
    const q_launch u = q_load_launch(Q_ARGUMENTS);
    q_row rows[Q_ROWS];
    q_state t[Q_ROWS];
#if Q_WIDTH
    q_wide wide[Q_ROWS];
    q_partial sums_wide[Q_WIDTH][Q_ROWS];
    q_row_wide rows_wide[Q_WIDTH][Q_ROWS];
    q_weights weights[Q_COLUMNS][Q_ROWS];
#else
    q_weights weight;
#endif
#if !Q_DEPTH
    const q_sums none = q_no_sums();
#endif
    Q_EACH_ROW
    {
        rows[r] = q_load_row(Q_ARGUMENTS, &u, row0 + r * Q_ROW_STEP);
        q_start(&t[r]);
#if Q_WIDTH
        q_start_wide(&wide[r]);
#endif
    }
#if Q_DEPTH
    q_slices slices;
    for (int d = 0; d < Q_DEPTH; d++)
        Q_EACH_ROW slices.row[d][r] = q_load_row_deep(Q_ARGUMENTS, &u, &rows[r], row0 + r * Q_ROW_STEP, d);
#if Q_EXPANSION
    q_find_centre(Q_ARGUMENTS, &slices, &u);
    q_move_rows(&slices);
#endif
#endif
#if Q_WIDTH
    for (int d = 0; d < Q_WIDTH; d++)
        Q_EACH_ROW
        {
            rows_wide[d][r] = q_load_row_wide(Q_ARGUMENTS, &u, &rows[r], row0 + r * Q_ROW_STEP, d);
            sums_wide[d][r] = q_no_partial();
        }
#endif
    Q_FOR_PART(from, to)
    {
        for (long b0 = from; b0 < to; b0 += Q_BLOCK) {
            const int size = (int)min((long)Q_BLOCK, to - b0);
            for (int k = 0; k < size; k += Q_COLUMNS) {
                const int count = min(Q_COLUMNS, size - k);
                q_columns columns;
                Q_EACH_COLUMN
                {
                    columns.j[c] = b0 + min(k + c, size - 1);
                    columns.column[c] = q_load_column(Q_ARGUMENTS, &u, columns.j[c]);
                }
#if Q_DEPTH && !Q_EXPANSION
                q_sums sums[Q_COLUMNS][Q_ROWS];
                q_contract_tile(Q_ARGUMENTS, sums, &u, rows, &columns, &slices);
#elif Q_DEPTH
                q_sums sums[Q_COLUMNS][Q_ROWS];
                real squares[Q_COLUMNS][Q_ROWS];
                q_contract_tile(Q_ARGUMENTS, sums, squares, &u, &columns, &slices);
#endif
                for (int c = 0; c < count; c++)
                    Q_EACH_ROW
                    {
#if Q_EXPANSION
                        if (q_any(Q_DOUBTFUL(c, r)))
                            sums[c][r] = q_contract_one(Q_ARGUMENTS, &u, rows, &columns, &slices, r, c);
                        else if (Q_EXPANSION == 2) continue;
#endif
                        q_pair(&t[r], Q_WEIGHTS(c, r), &u, &rows[r], &columns.column[c], Q_SUMS(c, r),
                               (sint)columns.j[c]);
#if Q_RHS_SCALED
                        if (t[r].rescaled) q_rescale(t, wide, sums_wide, weights, r, c);
#endif
#if Q_KAHAN
                        q_block(&t[r]);
#endif
                    }
#if Q_WIDTH
                q_widen_tile(Q_ARGUMENTS, sums_wide, &u, rows, &columns, rows_wide, weights, count);
#endif
            }
            Q_EACH_ROW q_block(&t[r]);
#if Q_WIDTH
            for (int d = 0; d < Q_WIDTH; d++)
                Q_EACH_ROW
                {
                    q_flush(&wide[r], &sums_wide[d][r], d);
                    sums_wide[d][r] = q_no_partial();
                }
#endif
        }
    }
    Q_WRITE_OUT(row0);
}
