/*
 * mma_rhs.cl: right-hand sides of the scheme `mma`: the weights of a tile's pairs, where the sums of the first product were, are split
 * and multiplied with the tile's vectors; the work-items of a row have totals of different components of it.
 */
#ifndef Q_WARPS
#include "mma_steps.cl"
#endif

#if Q_RHS_DIM
/* Before the first column. */
Q_INLINED void q_begin_rhs(q_rhs_acc *acc, q_totals totals, q_units *units, const int one)
{
    units->tiles = units->whole = 0;
    Q_EACH_REG_M
    {
        units->unit[r] = Q_RHS_UNIT ? 0x1p15f : 1;
        units->risen[r] = 1;
        units->limit[r] = 0;
        Q_EACH_OWN_RHS
        {
            Q_TOTAL_OF(totals, r, n) = 0;
            q_start_rhs(&Q_ACC_OF(acc, r, n));
        }
    }
}

/* Adds totals to compensated sums. */
Q_INLINED void q_put_away(q_rhs_acc *acc, q_totals totals, q_units *units, const int one)
{
    Q_EACH_REG_M
    {
        const float back = units->whole ? 1 : Q_INVERSE(units->unit[r]);
        Q_EACH_OWN_RHS
        {
            q_block_acc sum;
            sum.Q_RHS_SUM = Q_TOTAL_OF(totals, r, n) * back;
            q_flush(&Q_ACC_OF(acc, r, n), &sum, n % Q_RHS_PER_ITEM);
            Q_TOTAL_OF(totals, r, n) = 0;
        }
    }
    units->whole = units->tiles = 0;
}

#if Q_RHS_SCALED
/* All work-items of a row have one scale, that of the largest. */
Q_INLINED void q_rise(q_state *t, q_rhs_acc *acc, q_products w, q_units *units, const int one, Q_SCRATCH_POINTER scratch)
{
    Q_UNROLL_MATRIX for (int r = 0; r < Q_REG_M; r++)
    {
        float maximum = t[r].Q_RHS_STATE.maximum;
        for (int share = 0; share < Q_SHARERS; share++) maximum = fmax(maximum, q_of_row(t[r].Q_RHS_STATE.maximum, share, scratch));
        const float scale = q_raise(&t[r], maximum);
        q_scales scales = q_no_scales();
        scales.Q_RHS_SCALE = units->risen[r] * scale;
        units->risen[r] = 1;
        _Pragma("unroll") for (int k = 0; k < Q_OWN_N; k++) Q_SUM_OF(w, r, k) *= scale;
        _Pragma("unroll") for (int n = 0; n < Q_OWN_RHS; n += Q_RHS_PER_ITEM) q_rescale_rhs(&Q_ACC_OF(acc, r, n), &scales);
    }
}
#endif

#if !Q_RHS_UNIT
/* Finds units for the largest weights of the tile; whether one of them fits none. */
Q_INLINED int q_find_units(q_products w, q_units *units, Q_SCRATCH_POINTER scratch)
{
    int odd = 0;
    Q_UNROLL_MATRIX for (int r = 0; r < Q_REG_M; r++)
    {
        float most = 0, own = 0;
        _Pragma("unroll") for (int k = 0; k < Q_OWN_N; k++) own = fmax(own, fabs(Q_SUM_OF(w, r, k)));
        for (int share = 0; share < Q_SHARERS; share++) most = fmax(most, q_of_row(own, share, scratch));
        odd |= most > 0x1p60f;
        if (most > units->limit[r] && most <= 0x1p60f) {
            const int exponent = min(127 + 13 - (int)(as_uint(most) >> 23), Q_MOST_UNIT);
            units->unit[r] = Q_POWER(exponent);
            units->limit[r] = Q_POWER(15 - exponent);
        }
    }
    return odd;
}
#endif

/* The tile's products of weights and right-hand sides. */
Q_INLINED void q_multiply_rhs(q_totals totals, q_products w, const q_units *units, __local const uint4 *words,
                              Q_SCRATCH_POINTER scratch)
{
    q_fragment row[Q_RHS_STEPS][Q_PARTS][Q_BLOCKS_M];
    __local const float *const scales = (__local const float *)(words + Q_RHS_FRAGMENTS);
    Q_UNROLL_MATRIX for (int s = 0; s < Q_RHS_STEPS; s++) Q_UNROLL_MATRIX for (int m = 0; m < Q_BLOCKS_M; m++)
    {
        float weight[Q_LANE_SUMS];
        q_fragment parts[Q_PARTS];
        for (int r = 0; r < Q_LANE_ROWS; r++)
            for (int k = 0; k < Q_LANE_COLUMNS; k++)
                weight[Q_LANE_SUM(r, k)] = w[s][m][Q_LANE_SUM(r, k)] * units->unit[m * Q_LANE_ROWS + r];
        q_row_fragment(parts, weight, scratch);
        Q_UNROLL_MATRIX for (int p = 0; p < Q_PARTS; p++) row[s][p][m] = parts[p];
    }
    Q_UNROLL_MATRIX for (int n = 0; n < Q_RHS_BLOCKS; n++)
    {
        float sum[Q_BLOCKS_M][Q_LANE_SUMS];
        Q_UNROLL_MATRIX for (int m = 0; m < Q_BLOCKS_M; m++) for (int e = 0; e < Q_LANE_SUMS; e++) sum[m][e] = 0;
        Q_UNROLL_MATRIX for (int s = 0; s < Q_RHS_STEPS; s++)
        {
            q_fragment column[Q_PARTS];
            Q_UNROLL_MATRIX for (int p = 0; p < Q_PARTS; p++)
                column[p] = Q_FRAGMENT_AT(__local const, words + Q_FRAGMENT(s, p, n, Q_RHS_HELD), Q_LANE);
            Q_UNROLL_MATRIX for (int p = 0; p < Q_PRODUCTS; p++) Q_UNROLL_MATRIX for (int m = 0; m < Q_BLOCKS_M; m++)
                q_matrix_product(sum[m], row[s][Q_ROW_PART(p)][m], column[Q_COLUMN_PART(p)], scratch);
        }
        Q_UNROLL_MATRIX for (int k = 0; k < Q_LANE_COLUMNS; k++)
        {
            const float scale = scales[Q_RHS_OF(n * Q_LANE_COLUMNS + k)];
            Q_UNROLL_MATRIX for (int m = 0; m < Q_BLOCKS_M; m++) for (int r = 0; r < Q_LANE_ROWS; r++)
                totals[n][m][Q_LANE_SUM(r, k)] = fma(sum[m][Q_LANE_SUM(r, k)], scale, totals[n][m][Q_LANE_SUM(r, k)]);
        }
    }
}

/* The same without matrix units, term by term. */
Q_INLINED void q_multiply_rhs_directly(Q_SIGNATURE, q_totals totals, q_products w, const q_launch *u, const long tile, const long to,
                                       Q_SCRATCH_POINTER scratch)
{
    const long j0 = q_rarely(tile);
    const int d0 = (int)get_group_id(2) * Q_RHS_HELD;
    _Pragma("nounroll") for (int share = 0; share < Q_SHARERS; share++) Q_UNROLL_MATRIX for (int k = 0; k < Q_OWN_N; k++)
    {
        const long j = j0 + Q_COLUMN_AT(share, k);
        float weight[Q_REG_M];
        Q_UNROLL_MATRIX for (int r = 0; r < Q_REG_M; r++) weight[r] = q_of_row(Q_SUM_OF(w, r, k), share, scratch);
        if (j >= to) continue;
        const q_column column = q_load_column(Q_ARGUMENTS, u, j);
        Q_EACH_OWN_RHS
        {
            const float y = q_load_column_rhs(Q_ARGUMENTS, u, &column, j, min(d0 + Q_RHS_OF(n), Q_RHS_DIM - 1)).Q_RHS_COLUMN;
            Q_EACH_REG_M Q_TOTAL_OF(totals, r, n) = fma(weight[r], y, Q_TOTAL_OF(totals, r, n));
        }
    }
}

/* Adds the tile's columns from j0 to `to` at most to the right-hand sides. */
Q_INLINED void q_accumulate_tile(Q_SIGNATURE, q_totals totals, q_rhs_acc *acc, q_state *t, q_products w, q_units *units,
                                 __local q_shared *shared, const int buffer, const q_launch *u, const long j0, const long to, const int one)
{
    __local const uint4 *const words = shared->fragments[buffer] + Q_CHUNK_ROWS + Q_CHUNK_COLUMNS;
    __local const float *const scales = (__local const float *)(words + Q_RHS_FRAGMENTS);
    Q_SCRATCH_POINTER scratch = Q_SCRATCH_OF(shared, Q_WARP);
    int rises = units->whole, odd = 0;
    Q_UNROLL_MATRIX for (int n = 0; n < (Q_RHS_HELD + Q_WARP_SIZE - 1) / Q_WARP_SIZE; n++)
        odd |= !(scales[min(Q_LANE + Q_WARP_SIZE * n, Q_RHS_HELD - 1)] > 0);
    Q_EACH_REG_M
    {
#if Q_RHS_SCALED
        rises |= units->risen[r] != 1;
#endif
#if !Q_RHS_UNIT
        float most = 0;
        _Pragma("unroll") for (int k = 0; k < Q_OWN_N; k++) most = fmax(most, fabs(Q_SUM_OF(w, r, k)));
        rises |= most > units->limit[r];
#endif
    }
    if (q_any_of_warp(rises | odd, scratch) || ++units->tiles == Q_FLUSH_TILES) {
        q_put_away(acc, totals, units, one);
#if Q_RHS_SCALED
        q_rise(t, acc, w, units, one, scratch);
#endif
#if !Q_RHS_UNIT
        odd |= q_find_units(w, units, scratch);
#endif
        units->whole = q_any_of_warp(odd, scratch);
    }
    if (units->whole) q_multiply_rhs_directly(Q_ARGUMENTS, totals, w, u, j0, to, scratch);
    else q_multiply_rhs(totals, w, units, words, scratch);
}
#endif
