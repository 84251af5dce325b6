/*
 * mma_pack.cl: what the scheme `mma` does before its kernel: rows and columns as matrix units take them (matrix.cl). A work-item has
 * a row, or a column: work-groups of rows come first, a tile each, then those of columns, some tiles each.
 *
 * With Q_EXPANSION points are moved to a centre, the mean of some columns. Each tile has a power of two with which its numbers
 * come into the upper part of float16's range. A tile cannot be taken where a number is not finite, where all are so small or so
 * large that products would leave the range of float32, or where a row's largest is so much less than the tile's that its second
 * part would be cut off: its scale is 0, and the kernel goes term by term.
 *
 * Right-hand sides have a work-group for each tile of columns and a power of two for each component in it. Where a number is not finite,
 * or is so much less than the largest of its component in the tile that less than 16 bits of it would be left, the component's
 * scale is 0.
 *
 * Folded (matrix.cl), all tiles have one power of two, which follows from the formula: that with which squares are of the size of the
 * exponent. The number of a tile is its largest square.
 *
 * The squares are those of the numbers as they are after splitting, so what splitting loses moves points, and is no
 * error beside equal ones.
 */
#ifndef Q_SIGNATURE
#define Q_REG_N 4
#define Q_K_DIM 3
#define Q_TILE_N 32
#define Q_EXPANSION 1
#define Q_RHS_DIM 0
#undef Q_LANES
#define Q_LANES 1
#undef Q_F64
#define Q_F64 0
#include "gaussian.cl"
#include "matrix.cl"
#include "mma_layout.cl"
#undef Q_PARAMETERS
#define Q_PARAMETERS Q_SIGNATURE, __global uint4 *packed
#endif

#define Q_LARGEST 0x1p60f  /* of a tile that can be taken */
#define Q_SMALLEST 0x1p-40f
#define Q_EXPONENT_OF(bits) ((int)((bits) >> 23) - 127 - 14)
#define Q_TILES (Q_LOCAL / Q_TILE_N) /* of columns that a group has */

typedef struct {
    float centre[Q_EXPANSION ? Q_K_DIM : 1];
    uint largest[Q_TILES], apart[Q_TILES]; /* of each tile: as bits; whether a row is far below it */
} q_pack_shared;

#if Q_K_DIM
/* Component d of the work-item's row or column. */
Q_FN float q_component(Q_SIGNATURE, const q_launch *u, const q_row *row, const q_column *column, const int is_row,
                       const long at, const int d)
{
    return is_row ? q_load_row_k(Q_ARGUMENTS, u, row, at, d).Q_EXPANDED_ROW
                  : q_load_column_k(Q_ARGUMENTS, u, column, at, d).Q_EXPANDED_COLUMN;
}

Q_FN void q_pack_centre(Q_SIGNATURE, __local q_pack_shared *shared, const q_launch *u)
{
    const long count = min((long)(Q_COLUMN_COUNT), 16L), step = (long)(Q_COLUMN_COUNT) / max(count, 1L);
    for (int d = (int)get_local_id(0); d < (Q_EXPANSION ? Q_K_DIM : 1); d += Q_LOCAL) {
        float sum = 0;
        for (long n = 0; n < count && Q_EXPANSION; n++) {
            const q_column column = q_load_column(Q_ARGUMENTS, u, n * step);
            sum += q_load_column_k(Q_ARGUMENTS, u, &column, n * step, d).Q_EXPANDED_COLUMN;
        }
        shared->centre[d] = sum / (float)max(count, 1L);
    }
}

/* The work-item's row or column. */
Q_FN __attribute__((always_inline)) void q_pack_point(Q_SIGNATURE, __global uint4 *packed, __local q_pack_shared *shared, const q_launch *u,
                                                      const long group)
{
    const int item = (int)get_local_id(0);
    const int is_row = group < Q_ROW_TILES, size = is_row ? Q_TILE_M : Q_TILE_N, in_tile = item % size, n = item / size;
    const long i = is_row ? group * Q_TILE_M + item : (group - Q_ROW_TILES) * Q_LOCAL + item, tile = i / size;
    const long count = is_row ? (long)(Q_ROW_COUNT) : (long)(Q_COLUMN_COUNT), at = min(i, count - 1);
    const q_row row = q_load_row(Q_ARGUMENTS, u, is_row ? at : 0);
    const q_column column = q_load_column(Q_ARGUMENTS, u, is_row ? 0 : at);
    if (item < Q_TILES) shared->largest[item] = shared->apart[item] = 0;
    q_pack_centre(Q_ARGUMENTS, shared, u);
    barrier(CLK_LOCAL_MEM_FENCE);

    const int inside = tile < (is_row ? Q_ROW_TILES : Q_COLUMN_TILES);
    __global uint *to = (__global uint *)(is_row ? Q_PACKED_ROWS(tile) : Q_PACKED_COLUMNS(tile));
#if Q_FOLDED
    float v[Q_K_DIM];
    uint places[16];
    for (int d = 0; d < Q_K_DIM; d++) {
        const float from_centre = q_component(Q_ARGUMENTS, u, &row, &column, is_row, at, d) - shared->centre[d];
        v[d] = i < count ? from_centre * Q_POWER(q_fold_exponent(u)) : 0;
    }
    const float square = q_fold(places, v, is_row);
    atomic_max(&shared->largest[n], as_uint(square <= Q_FOLD_LARGEST ? square : NAN) & 0x7fffffffu);
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int w = 0; w < 8; w++)
        if (inside)
            q_put_word(to + Q_FRAGMENT(0, 0, in_tile / 16, size) * 4, in_tile % 16, w, !is_row, places[2 * w] | places[2 * w + 1] << 16);
    if (inside && in_tile == 0) (is_row ? Q_ROW_SCALES : Q_COLUMN_SCALES)[tile] = as_float(shared->largest[n]);
#else
    uint largest = 0;
    for (int d = 0; d < Q_K_DIM; d++) {
        const float v = q_component(Q_ARGUMENTS, u, &row, &column, is_row, at, d) - (Q_EXPANSION ? shared->centre[d] : 0);
        largest = max(largest, as_uint(v) & 0x7fffffffu); /* NaN is more than infinity */
    }
    if (i >= count) largest = 0;
    atomic_max(&shared->largest[n], largest);
    barrier(CLK_LOCAL_MEM_FENCE);

    const float most = as_float(shared->largest[n]);
    const int fits = most == 0 || (most >= Q_SMALLEST && most <= Q_LARGEST);
    const int exponent = most > 0 && fits ? Q_EXPONENT_OF(shared->largest[n]) : 0;
    const float scale = Q_POWER(-exponent), back = Q_POWER(exponent);
    if (largest > 0 && !(as_float(largest) * scale >= 0x1p-3f)) atomic_or(&shared->apart[n], 1u);
    barrier(CLK_LOCAL_MEM_FENCE);

    float square = 0, lost = 0;
    for (int s = 0; s < Q_STEPS; s++)
        for (int w = 0; w < 8; w++) {
            float v[2] = {0, 0}, kept[2];
            uint parts[Q_PARTS];
            for (int e = 0; e < 2; e++) {
                const int d = 16 * s + 2 * w + e;
                if (d < Q_K_DIM && i < count)
                    v[e] = (q_component(Q_ARGUMENTS, u, &row, &column, is_row, at, d) - (Q_EXPANSION ? shared->centre[d] : 0)) * scale;
                kept[e] = v[e];
            }
            q_split(parts, &v[0], &v[1]);
            for (int p = 0; p < Q_PARTS; p++)
                if (inside) q_put_word(to + Q_FRAGMENT(s, p, in_tile / 16, size) * 4, in_tile % 16, w, !is_row, parts[p]);
            for (int e = 0; e < 2; e++) { /* Kahan's sum */
                const float x = (kept[e] - v[e]) * back, more = fma(x, x, -lost), sum = square + more;
                lost = (sum - square) - more;
                square = sum;
            }
        }
#if Q_EXPANSION
    if (inside) (is_row ? Q_ROW_SQUARES(tile) : Q_COLUMN_SQUARES(tile))[in_tile] = square;
#endif
    if (inside && in_tile == 0) (is_row ? Q_ROW_SCALES : Q_COLUMN_SCALES)[tile] = fits && !shared->apart[n] ? back : 0;
#endif
}
#endif

#if Q_RHS_DIM
/* Component d of the right-hand side of a column; 0 for what is not there. */
Q_FN float q_rhs_component(Q_SIGNATURE, const q_launch *u, const long j, const int d)
{
    if (j >= (long)(Q_COLUMN_COUNT) || d >= Q_RHS_DIM) return 0;
    const q_column column = q_load_column(Q_ARGUMENTS, u, j);
    return q_load_column_rhs(Q_ARGUMENTS, u, &column, j, d).Q_RHS_COLUMN;
}

/* Component `item` in a tile of columns, if there is one: all work-items go the same way, for PoCL 3.1 makes wrong code where some
   leave before a loop. */
Q_FN void q_pack_rhs(Q_SIGNATURE, __global uint4 *packed, const q_launch *u, const long tile, const int item)
{
    const long j0 = tile * Q_TILE_N;
    const int inside = item < Q_RHS_GROUPS * Q_RHS_HELD, d = inside ? item : 0, place = d % Q_RHS_HELD;
    __global uint *const to = (__global uint *)(Q_PACKED_COLUMNS(tile) + Q_COLUMN_WORDS + d / Q_RHS_HELD * Q_RHS_WORDS);
    uint largest = 0, smallest = 0x7f800000u;
    for (int n = 0; n < Q_TILE_N; n++) {
        const uint size = as_uint(q_rhs_component(Q_ARGUMENTS, u, j0 + n, d)) & 0x7fffffffu;
        largest = max(largest, size);
        smallest = size ? min(smallest, size) : smallest;
    }
    const float most = as_float(largest), least = as_float(smallest);
    const int fits = most == 0 || (most >= Q_SMALLEST && most <= Q_LARGEST && least >= most * 0x1p-23f);
    const int exponent = most > 0 && fits ? Q_EXPONENT_OF(largest) : 0;
    for (int s = 0; s < Q_RHS_STEPS; s++)
        for (int w = 0; w < 8; w++) {
            uint parts[Q_PARTS];
            float first = q_rhs_component(Q_ARGUMENTS, u, j0 + 16 * s + 2 * w, d) * Q_POWER(-exponent),
                  second = q_rhs_component(Q_ARGUMENTS, u, j0 + 16 * s + 2 * w + 1, d) * Q_POWER(-exponent);
            q_split(parts, &first, &second);
            for (int p = 0; p < Q_PARTS; p++)
                if (inside) q_put_word(to + Q_FRAGMENT(s, p, place / 16, Q_RHS_HELD) * 4, place % 16, w, 1, parts[p]);
        }
    if (inside) to[Q_RHS_FRAGMENTS * 4 + place] = fits ? as_uint(Q_POWER(exponent)) : 0;
}
#endif

#undef Q_RESTRICT
#define Q_RESTRICT restrict /* in the functions above it would only trouble interpreters */
Q_KERNEL void Q_NAME(Q_PARAMETERS)
{
    const q_launch u = q_load_launch(Q_ARGUMENTS);
    const long group = (long)get_group_id(0);
#if Q_K_DIM
    __local q_pack_shared shared;
    const long points = Q_ROW_TILES + ((long)(Q_COLUMN_COUNT) + Q_LOCAL - 1) / Q_LOCAL; /* groups of them */
    if (group < points) q_pack_point(Q_ARGUMENTS, packed, &shared, &u, group);
#else
    const long points = 0;
#endif
#if Q_RHS_DIM
    for (int d = 0; d < Q_RHS_GROUPS * Q_RHS_HELD && group >= points; d += Q_LOCAL)
        q_pack_rhs(Q_ARGUMENTS, packed, &u, group - points, d + (int)get_local_id(0));
#endif
}
