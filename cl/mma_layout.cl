/*
 * mma_layout.cl: rows and columns as mma_pack.cl leaves them for the scheme `mma`, in units of 16 bytes.
 *
 * First fragments of the rows of each tile, component by component, part by part, 16 rows after 16; then of each tile the same of the
 * columns and, for each group of Q_RHS_HELD right-hand sides, theirs, of which columns are the components, with a number each that
 * they are to be multiplied with, 0 where they cannot be taken; with Q_EXPANSION the squares of rows and of columns; and of each
 * tile what sums are to be multiplied with, 0 where it cannot be taken. Tiles are padded with zeros. Q_STEPS: fragments along the
 * components.
 *
 * Folded (matrix.cl), no squares are kept, and the number of a tile is its largest square, NaN where it cannot be taken.
 */
#ifndef Q_FN
#include "matrix.cl"
#endif

#define Q_TILE_M Q_LOCAL
#if Q_FOLDED
#define Q_MOST_EXPONENT 4.0f /* of |c| (|x|^2 + |y|^2), where exp(c |x - y|^2) is taken: so much of it may cancel */

/* What a squared distance is multiplied with before the exponential; and e: coordinates times 2^e have squares of its size. */
Q_FN float q_exponent(const q_launch *u)
{
    return (float)(Q_EXPONENT);
}

Q_FN int q_fold_exponent(const q_launch *u)
{
    return clamp(((int)(as_uint(q_exponent(u)) >> 23 & 255) - 126) >> 1, -60, 60);
}
#endif
#define Q_FIRST_PARTS (Q_FOLDED ? 1 : Q_PARTS) /* of the first product */
#define Q_FIRST_PRODUCTS (Q_FOLDED ? 1 : Q_PRODUCTS)
#define Q_SQUARES (Q_EXPANSION && !Q_FOLDED) /* whether they are kept */
#define Q_STEPS ((Q_K_DIM + 15) / 16)
#define Q_ROW_TILE (Q_STEPS * Q_FIRST_PARTS * Q_TILE_M * 2L)
#define Q_COLUMN_WORDS (Q_STEPS * Q_FIRST_PARTS * Q_TILE_N * 2)
#if Q_RHS_DIM
#define Q_RHS_GROUPS ((Q_RHS_DIM + Q_RHS_HELD - 1) / Q_RHS_HELD)
#define Q_RHS_STEPS (Q_TILE_N / 16) /* fragments along the columns */
#define Q_RHS_FRAGMENTS (Q_RHS_STEPS * Q_PARTS * Q_RHS_HELD * 2)
#define Q_RHS_WORDS (Q_RHS_FRAGMENTS + Q_RHS_HELD / 4)
#define Q_COLUMN_TILE (Q_COLUMN_WORDS + Q_RHS_GROUPS * (long)Q_RHS_WORDS)
#else
#define Q_RHS_WORDS 0
#define Q_COLUMN_TILE ((long)Q_COLUMN_WORDS)
#endif
#define Q_ROW_TILES (((long)(Q_ROW_COUNT) + Q_TILE_M - 1) / Q_TILE_M)
#define Q_COLUMN_TILES (((long)(Q_COLUMN_COUNT) + Q_TILE_N - 1) / Q_TILE_N)
#define Q_PACKED_ROWS(tile) (packed + (tile) * Q_ROW_TILE)
#define Q_PACKED_COLUMNS(tile) (packed + Q_ROW_TILES * Q_ROW_TILE + (tile) * Q_COLUMN_TILE)
#define Q_PACKED_NUMBERS ((__global float *)Q_PACKED_COLUMNS(Q_COLUMN_TILES))
#define Q_ROW_SQUARES(tile) (Q_PACKED_NUMBERS + (tile) * Q_TILE_M)
#define Q_COLUMN_SQUARES(tile) (Q_ROW_SQUARES(Q_SQUARES ? Q_ROW_TILES : 0) + (tile) * Q_TILE_N)
#define Q_ROW_SCALES Q_COLUMN_SQUARES(Q_SQUARES ? Q_COLUMN_TILES : 0)
#define Q_COLUMN_SCALES (Q_ROW_SCALES + Q_ROW_TILES)
#define Q_FRAGMENT(s, p, at, size) ((((s) * Q_PARTS + (p)) * ((size) / 16) + (at)) * 32) /* of 16 rows of a tile of `size` */
