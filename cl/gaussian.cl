/*
 * gaussian.cl: the holes of the schemes filled by hand with a Gaussian sum in 3-D,
 *     a_i = sum_j exp(-|x_i - y_j|^2) b_j,
 * so that each scheme compiles, can be read and can be run without the generator. Never part of a generated kernel.
 */
#define Q_NAME quern
#ifndef Q_ROWS
#define Q_ROWS 1
#endif
#ifndef Q_LOCAL
#define Q_LOCAL 64
#endif
#ifndef Q_STAGED_COLS
#define Q_STAGED_COLS Q_LOCAL
#endif
#ifndef Q_UNROLL
#define Q_UNROLL 8
#endif
#ifndef Q_BLOCK
#define Q_BLOCK 256
#endif
#ifndef Q_KAHAN
#define Q_KAHAN 0
#endif
#ifndef Q_ACCUMULATE
#define Q_ACCUMULATE 0
#endif
#ifndef Q_SPLIT
#define Q_SPLIT 0
#endif
#include "prelude.cl"
#include "reductions.cl"
#include "space_dense.cl"
#include "frame.cl"

#define Q_SIGNATURE \
    __global const sreal *Q_RESTRICT xs, __global const sreal *Q_RESTRICT ys, __global const sreal *Q_RESTRICT bs, const long M, const long N
#define Q_ARGUMENTS xs, ys, bs, M, N
#define Q_OUTPUT_SIGNATURE __global sreal *Q_RESTRICT a
#define Q_OUTPUTS a
#if defined(Q_MERGE)
#define Q_PARAMETERS Q_SIGNATURE, Q_OUTPUT_SIGNATURE, __global sreal *Q_RESTRICT states, const long first, const long split_count, const long padded
#elif Q_SPLIT
#define Q_PARAMETERS Q_SIGNATURE, __global sreal *Q_RESTRICT states, const long first, const long split_extent, const long first_split, const long split_count
#else
#define Q_PARAMETERS Q_SIGNATURE, Q_OUTPUT_SIGNATURE, const long first, const long split_extent
#endif
#define Q_ROW_COUNT M
#define Q_COLUMN_COUNT N
#define Q_TERM_COUNT N
#define Q_WORDS 2
typedef struct { int none; } q_launch;
typedef struct { real x0, x1, x2; } q_row;
typedef struct { sreal y0, y1, y2, b; } Q_STAGED(16) q_column;
typedef struct { q_Sum sum; } q_state;
Q_FN q_launch q_load_launch(Q_SIGNATURE) { q_launch u = {0}; return u; }
Q_FN q_row q_load_row(Q_SIGNATURE, const q_launch *u, const long i)
{
    q_row r;
    r.x0 = q_gather(xs, i, 3, 0, M), r.x1 = q_gather(xs, i, 3, 1, M), r.x2 = q_gather(xs, i, 3, 2, M);
    return r;
}
Q_FN q_column q_load_column(Q_SIGNATURE, const q_launch *u, const long j)
{
    q_column c;
    c.y0 = ys[j * 3], c.y1 = ys[j * 3 + 1], c.y2 = ys[j * 3 + 2], c.b = bs[j];
    return c;
}
Q_FN void q_start(q_state *t) { q_Sum_start(&t->sum); }
#ifndef Q_REG_N
Q_FN void q_pair(q_state *t, const q_launch *u, const q_row *r, const q_column *c, const sint j)
{
    const real d0 = r->x0 - c->y0, d1 = r->x1 - c->y1, d2 = r->x2 - c->y2;
    q_Sum_add_product(&t->sum, q_exp(-(d0 * d0 + d1 * d1 + d2 * d2)), (real)(c->b));
}
#endif
Q_FN void q_block(q_state *t) { q_Sum_block(&t->sum); }
Q_FN void q_merge(q_state *t, const q_state *other) { q_Sum_merge(&t->sum, &other->sum); }
Q_FN void q_store_state(const q_state *t, __global sreal *p, const long stride) { q_Sum_store_state(&t->sum, p, stride); }
Q_FN void q_load_state(q_state *t, __global const sreal *p, const long stride) { q_Sum_load_state(&t->sum, p, stride); }
Q_FN void q_store(Q_SIGNATURE, Q_OUTPUT_SIGNATURE, const q_state *t, const long i)
{
    q_scatter(a, i, 1, 0, M, q_Sum_finish(&t->sum));
}

#ifdef Q_REG_N /* for gemm.cl: |x - y|^2 as a contraction */
typedef struct { int none; } q_weights;
typedef struct { real s; } q_sums;
typedef struct { real x; } q_row_k;
typedef struct { sreal y; } q_column_k;
#define Q_EXPANDED_ROW x
#define Q_EXPANDED_COLUMN y
#define Q_EXPANDED s
Q_FN q_sums q_no_sums(void) { q_sums s = {0}; return s; }
Q_FN q_row_k q_load_row_k(Q_SIGNATURE, const q_launch *u, const q_row *r, const long i, const int d)
{
    q_row_k out;
    out.x = q_gather(xs, i, 3, d, M);
    return out;
}
Q_FN q_column_k q_load_column_k(Q_SIGNATURE, const q_launch *u, const q_column *c, const long j, const int d)
{
    q_column_k out;
    out.y = ys[j * 3 + d];
    return out;
}
Q_FN void q_contract(q_sums *s, const q_launch *u, const q_row *r, const q_column *c, const q_row_k *x, const q_column_k *y)
{
    const real d = x->x - y->y;
    s->s += d * d;
}
Q_FN void q_pair(q_state *t, q_weights *w, const q_launch *u, const q_row *r, const q_column *c, const q_sums *s, const sint j)
{
    q_Sum_add_product(&t->sum, q_exp(-s->s), (real)(c->b));
}
#endif
