/*
 * gemm_select.cl: the scheme `gemm_select` for GPUs: the columns of the smallest squared distances of long vectors (Min, ArgMin,
 * KMin, ArgKMin). Tiles, chunks and sums in registers are those of gemm_local.cl, and in gemm_steps.cl; distances are
 * |x|^2 + |y|^2 - 2 xy. What follows is done on the sums where they are:
 *
 *   screen   each row has a limit in local memory: its K-th smallest distance so far and what the expansion may be off by. A
 *            column below it is a candidate, and goes to the row's queue, which has Q_QUEUE places in local memory
 *   settle   when a queue is a quarter full, or has no room, owners of rows empty theirs: the distance of a candidate is
 *            computed from the differences, to twice the precision and rounded once, and goes into the row's ordered list, among
 *            equal ones by its column. Those who found no room try again
 *
 * So the expansion only decides which distances are computed; the result depends neither on it nor on the order in
 * which work-items find candidates. Where squares are not finite, or nearly not, every column is a candidate.
 *
 * Holes besides those of gemm_local.cl: q_limit, and q_consider, which takes in a term whatever came before. Only for Q_LANES 1 and Q_ROWS 1.
 */
#ifndef Q_TILE_M
#define Q_QUEUE 4
#undef Q_LANES
#define Q_LANES 1
#include "gemm_steps.cl"
Q_FN real q_limit(const q_state *t) { return t->sum.s; }
Q_FN void q_consider(q_state *t, const real f, const sint j) { q_Sum_add(&t->sum, f, j); }
#endif
#define Q_SAFE_SQUARE (Q_HUGE / 16) /* with no more on both sides nothing overflows */
#define Q_FLUSHED (8 * Q_K_DIM * (sreal)(Q_F64 ? 0x1p-511 * 0x1p-511 : 0x1p-126)) /* what denormal numbers that are lost may be */

/* What a group shares beside the tiles. */
typedef struct {
    sreal limit[Q_TILE_M] Q_WIDE_LOADS; /* of |y|^2 - 2 xy */
    int count[Q_TILE_M], column[Q_QUEUE][Q_TILE_M];
    int wild;         /* whether |x|^2 of a row is not safe */
    int filled, full; /* the last turn in which a queue became a quarter full, in which one had no room */
} q_queues;

Q_INLINED void q_set_limit(__local q_queues *queues, __local const q_shared *shared, const q_state *t)
{
    const real square = shared->row_square[get_local_id(0)];
    queues->limit[get_local_id(0)] = square <= Q_SAFE_SQUARE ? q_limit(t) - square + (Q_DOUBT * square + Q_FLUSHED) : INFINITY;
}

/* Before the first column. */
Q_INLINED void q_begin_queues(__local q_queues *queues, __local const q_shared *shared, const q_state *t)
{
    if (get_local_id(0) == 0) queues->wild = 0, queues->filled = queues->full = -1;
    queues->count[get_local_id(0)] = 0;
    q_set_limit(queues, shared, t);
    barrier(CLK_LOCAL_MEM_FENCE);
    if (!(shared->row_square[get_local_id(0)] <= Q_SAFE_SQUARE)) atomic_xchg(&queues->wild, 1);
    barrier(CLK_LOCAL_MEM_FENCE);
}

/* From sums of products to |y|^2 - 2 xy, less what it can be off by on the part of y; -inf where it cannot be told, +inf for
   columns that are not from `begin` to `end` - 1 of the tile. */
Q_INLINED void q_screen(q_sums s[Q_REG_N][Q_REG_M], __local const q_shared *shared, const int wild, const int begin,
                         const int end)
{
    int doubtful = wild;
    Q_EACH_COLUMN
    {
        const sreal square = shared->column_square[Q_COLUMN_PLACE(c)];
        doubtful |= !(square <= Q_SAFE_SQUARE);
        Q_EACH_REG_M s[c][r].Q_EXPANDED = q_fma((real)-2, s[c][r].Q_EXPANDED, square - Q_DOUBT * square);
    }
    if (doubtful)
        Q_EACH_COLUMN Q_EACH_REG_M if (!(fabs(s[c][r].Q_EXPANDED) <= Q_HUGE)) s[c][r].Q_EXPANDED = -INFINITY;
    if (end - begin < Q_TILE_N)
        Q_EACH_COLUMN Q_EACH_REG_M if (Q_COLUMN_OF(c) < begin || Q_COLUMN_OF(c) >= end) s[c][r].Q_EXPANDED = INFINITY;
}

/* Whether there was room. */
Q_INLINED int q_append(__local q_queues *queues, const int v, const int j, const int number)
{
    const int n = atomic_inc(&queues->count[v]);
    if (n >= Q_QUEUE / 4) atomic_xchg(&queues->filled, number);
    if (n >= Q_QUEUE) atomic_xchg(&queues->full, number);
    else queues->column[n][v] = j;
    return n < Q_QUEUE;
}

/* Candidates of the tile that begins at column j0 go to queues; those that have are +inf. */
Q_INLINED void q_collect(q_sums s[Q_REG_N][Q_REG_M], __local q_queues *queues, const long j0, const int number)
{
    Q_EACH_REG_M
    {
        const int v = Q_ROW_PLACE(r);
        const sreal limit = queues->limit[v];
        real least = INFINITY;
        Q_EACH_COLUMN least = fmin(least, s[c][r].Q_EXPANDED);
        if (least < limit)
            Q_EACH_COLUMN if (s[c][r].Q_EXPANDED < limit &&
                              q_append(queues, v, (int)j0 + Q_COLUMN_OF(c), number)) s[c][r].Q_EXPANDED = INFINITY;
    }
}

/* |x - y|^2: differences and squares with what rounding them loses, sums by two-sum, rounded in the end. */
Q_INLINED real q_distance(Q_SIGNATURE, const q_launch *u, const q_row *row, const long i, const long j)
{
#pragma OPENCL FP_CONTRACT OFF
    const q_column column = q_load_column(Q_ARGUMENTS, u, j);
    real sum = 0, rest = 0;
    for (int d = 0; d < Q_K_DIM; d++) {
        const real x = q_load_row_k(Q_ARGUMENTS, u, row, i, d).Q_EXPANDED_ROW;
        const real y = (real)(q_load_column_k(Q_ARGUMENTS, u, &column, j, d).Q_EXPANDED_COLUMN);
        const real difference = x - y, there = difference - x, lost = (x - (difference - there)) - (y + there);
        const real square = difference * difference, more = sum + square, back = more - sum;
        rest += q_fma(2 * difference, lost, q_fma(difference, difference, -square));
        rest += (sum - (more - back)) + (square - back);
        sum = more;
    }
    return sum < INFINITY ? sum + rest : sum;
}

/* The owner of row i takes in what is in its queue. */
Q_INLINED void q_settle(Q_SIGNATURE, q_state *t, __local q_queues *queues, __local const q_shared *shared, const q_launch *u,
                        const q_row *row, const long i)
{
    const int item = (int)get_local_id(0), count = min(queues->count[item], Q_QUEUE);
    q_state live = *t;
    _Pragma("unroll 1") for (int n = 0; n < count; n++)
    {
        const int j = queues->column[n][item];
        q_consider(&live, q_distance(Q_ARGUMENTS, u, row, i, j), Q_COLUMN_NUMBER((long)j));
    }
    queues->count[item] = 0;
    q_set_limit(queues, shared, &live);
    *t = live;
}

#undef Q_RESTRICT
#define Q_RESTRICT restrict /* in the functions above it would only trouble interpreters */
Q_KERNEL void Q_NAME(Q_PARAMETERS)
{
    __local q_shared local_tiles;
    __local q_queues local_queues;
    __local q_shared *const shared = &local_tiles;
    __local q_queues *const queues = &local_queues;
    Q_BEGIN_GROUP((long)get_group_id(0))
    const int item = (int)get_local_id(0), one = M >= 0; /* but not to compilers: what is indexed by it stays in memory */
    const long group = Q_FIRST_ROW((long)get_group_id(0)), last = (long)(Q_ROW_COUNT) - 1;
    const long tile0 = Q_WHOLE ? min(group, last + 1 - Q_TILE_M) : group, row0 = tile0 + item;
    const int last_row = (int)min(last - tile0, (long)(Q_TILE_M - 1));
    const q_launch u = q_load_launch(Q_ARGUMENTS);
    const q_row row = q_load_row(Q_ARGUMENTS, &u, row0);
    q_row near[Q_REG_M];
    q_state kept[2]; /* of which one is used, in memory between tiles */
    Q_START_STATE(&kept[one], row0 < group ? row0 + Q_TILE_M : row0);
    Q_EACH_REG_M near[r] = q_load_row(Q_ARGUMENTS, &u, tile0 + Q_ROW_PLACE(r));
    q_begin_expansion(Q_ARGUMENTS, shared, &u, &row, row0);
    barrier(CLK_LOCAL_MEM_FENCE);
    q_begin_queues(queues, shared, &kept[one]);
    const int wild = queues->wild;
    int number = 0, buffer = 0; /* turns so far; which of the buffers */
    q_staged staged;
    Q_FOR_COLUMNS(from, to)
    {
        if (from < to) {
            const long j1 = min(from + Q_TILE_N, to);
            barrier(CLK_LOCAL_MEM_FENCE);
            q_begin_chunks(Q_ARGUMENTS, &staged, shared, &u, tile0, last_row, from, j1, buffer);
            barrier(CLK_LOCAL_MEM_FENCE);
        }
        for (long j0 = from; j0 < to; j0 += Q_TILE_N) {
            const long j1 = min(j0 + Q_TILE_N, to), j2 = min(j1 + Q_TILE_N, to), start = Q_WHOLE ? Q_TILE_START(j0) : j0;
            q_sums s[Q_REG_N][Q_REG_M]; /* in registers: never indexed but by unrolled loops */
            buffer = q_contract_tile(Q_ARGUMENTS, s, &staged, shared, &u, near, tile0, last_row, j0, j1, j2, buffer, 0);
            q_screen(s, shared, wild, (int)(j0 - start), (int)(j1 - start));
            int again = 1;
            while (again) {
                q_collect(s, queues, start, number);
                barrier(CLK_LOCAL_MEM_FENCE);
                again = queues->full == number;
                if (again || queues->filled == number || j1 == to) {
                    q_settle(Q_ARGUMENTS, &kept[one], queues, shared, &u, &row, min(row0, last));
                    barrier(CLK_LOCAL_MEM_FENCE);
                }
                number++;
            }
        }
    }
    q_state t[Q_ROWS];
    t[0] = kept[one];
    Q_WRITE_OUT(row0 < group ? row0 + Q_TILE_M : row0); /* rows of the group before stand for those past the last */
}
