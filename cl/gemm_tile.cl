/*
 * gemm_tile.cl: the scheme `gemm_tile` for GPUs: a stage with contractions, sums over Q_K_DIM components for each pair,
 * as a product of matrices. A group has a tile of Q_TILE_M rows and Q_TILE_N columns at a time; each work-item the sums of
 * Q_REG_M rows with Q_REG_N columns of it, in registers, in pieces of 4 x 4, so that neighbours read 16 bytes side by side.
 *
 *   K loop     chunks of Q_TILE_K components pass through two buffers in local memory: while one is multiplied, the next is on
 *              its way from global memory into registers, across tiles too; one barrier a chunk
 *   epilogue   the rest of the formula, on the sums in registers: each work-item has states of its rows for its own columns
 *   the end    the states of the work-items along the columns are merged in their order, through local memory
 *
 * Between epilogues states are in private memory, so that the K loop has the registers. The last tiles of rows and of
 * columns end with the last row and column, and leave out what others do: there are Q_TILE_M rows and Q_TILE_N columns at
 * least, and the K loop has no case.
 *
 * With Q_EXPANSION a squared distance is |x|^2 + |y|^2 - 2 xy, with both moved to a common centre, which halves the work.
 * Where much has cancelled for one pair of a tile, the group does all of the tile again, term by term.
 *
 * Holes as in gemm_local.cl, and for components in local memory, as arrays of numbers: Q_ROW_K_COUNT, Q_ROW_K_MEMBERS(DO),
 * which is DO(0, member) DO(1, member) ..., and the same of columns. Only for Q_LANES 1.
 */
#ifndef Q_SIGNATURE
#define Q_REG_N 4
#define Q_THREADS_N 4
#define Q_K_DIM 3
#define Q_TILE_K 2
#define Q_TILE_N 16
#define Q_EXPANSION 1
#define Q_RHS_DIM 0
#undef Q_LANES
#define Q_LANES 1
#include "gaussian.cl"
#define Q_ROW_K_COUNT 1
#define Q_ROW_K_MEMBERS(DO) DO(0, x)
#define Q_COLUMN_K_COUNT 1
#define Q_COLUMN_K_MEMBERS(DO) DO(0, y)
#endif
#define Q_REG_M (Q_ROWS * Q_THREADS_N)
#define Q_TILE_M (Q_ROWS * Q_LOCAL)
#define Q_THREADS_M (Q_LOCAL / Q_THREADS_N) /* work-items along the rows */
#define Q_RUN (Q_TILE_K % 4 == 0 && Q_K_DIM % 4 == 0 ? 4 : Q_TILE_K % 2 == 0 ? 2 : 1) /* components staged together: one load, if 4 */
#define Q_RUNS (Q_TILE_K / Q_RUN)
#define Q_STEP (Q_LOCAL / Q_RUNS) /* rows or columns that are staged by all work-items, a run each */
#define Q_FETCH_M (Q_ROWS * Q_RUNS)
#define Q_FETCH_N ((Q_TILE_N + Q_STEP - 1) / Q_STEP)
#define Q_PADDED_M (Q_TILE_M + 4) /* so that components of a row are in different banks, and wide loads fit */
#define Q_PADDED_N (Q_TILE_N + 4)
#define Q_REST (Q_K_DIM % Q_TILE_K)
#define Q_COMPONENT(d, e) (Q_K_DIM % Q_RUN == 0 ? (Q_REST ? min(d, Q_K_DIM - Q_RUN) : (d)) + (e) : min((d) + (e), Q_K_DIM - 1))
#define Q_EACH_OF_RUN _Pragma("unroll") for (int e = 0; e < Q_RUN; e++)
#define Q_EACH_FETCHED_M _Pragma("unroll") for (int n = 0; n < Q_FETCH_M; n++)
#define Q_EACH_FETCHED_N _Pragma("unroll") for (int n = 0; n < Q_FETCH_N; n++)
/* The work-item's share of `count` things. */
#define Q_FOR_SHARE(k, count)                                                                                          \
    _Pragma("unroll") for (int k = Q_ITEM, k##_turn = 0; k##_turn < ((count) + Q_LOCAL - 1) / Q_LOCAL;   \
                           k##_turn++, k += Q_LOCAL)                                                                   \
        if (k < (count))
#define Q_EACH_REG_M _Pragma("unroll") for (int r = 0; r < Q_REG_M; r++)
#define Q_EACH_REG_N _Pragma("unroll") for (int c = 0; c < Q_REG_N; c++)
/* Of the tile, the row and the column that a work-item has in its registers. */
#define Q_ROW_AT(r) ((r) / 4 * (4 * Q_THREADS_M) + 4 * row_thread + (r) % 4)
#define Q_COLUMN_STEP(c) ((c) / 4 * (4 * Q_THREADS_N) + (c) % 4)
#define Q_COLUMN_AT(c) (Q_COLUMN_STEP(c) + 4 * column_thread)
#define Q_ITEM ((int)((uint)get_local_id(0) % Q_LOCAL)) /* so that compilers know what it can be */
#define Q_WIDE_LOADS __attribute__((aligned(32)))
#if Q_F64
typedef double4 sreal4;
#else
typedef float4 sreal4;
#endif

/* What a group shares; what there are two of is of this tile and of the next. */
typedef struct {
    sreal x[2][Q_ROW_K_COUNT][Q_TILE_K][Q_PADDED_M] Q_WIDE_LOADS;
    sreal y[2][Q_COLUMN_K_COUNT][Q_TILE_K][Q_PADDED_N] Q_WIDE_LOADS;
    q_column column[2][Q_TILE_N] Q_WIDE_LOADS;
#if Q_EXPANSION
    sreal row_square[Q_TILE_M] Q_WIDE_LOADS;
    sreal column_square[2][Q_RUNS][Q_TILE_N] Q_WIDE_LOADS; /* by who staged them */
    sreal centre[Q_K_DIM];
    int again[2]; /* whether the tile is to be done again */
#endif
} q_shared;

/* What is on its way to local memory: the work-item's share of a chunk. */
typedef struct {
    q_row_k x[Q_FETCH_M][Q_RUN];
    q_column_k y[Q_FETCH_N][Q_RUN];
#if Q_EXPANSION
    sreal square[Q_FETCH_N]; /* of all chunks of its tile so far */
#endif
} q_fetched;

/* Begins to read components d0 to d0 + Q_TILE_K - 1 of the tile whose first row is i0, and leaves them in a buffer; to expand,
   relative to the centre. Neighbours take components of one row, which are next to each other in memory. */
Q_INLINED void q_fetch_rows(Q_SIGNATURE, q_fetched *f, const q_launch *u, const long i0, const int d0)
{
    Q_EACH_FETCHED_M
    {
        const long i = i0 + Q_ITEM / Q_RUNS + n * Q_STEP;
        const q_row row = q_load_row(Q_ARGUMENTS, u, i);
        Q_EACH_OF_RUN f->x[n][e] = q_load_row_k(Q_ARGUMENTS, u, &row, i, Q_COMPONENT(d0 + Q_ITEM % Q_RUNS * Q_RUN, e));
    }
}

Q_INLINED void q_keep_rows(__local q_shared *shared, const int buffer, q_fetched *f, const int d0, const int expand)
{
    const int k = Q_ITEM % Q_RUNS * Q_RUN, begin = Q_ITEM / Q_RUNS;
#if Q_EXPANSION
    if (expand)
        Q_EACH_OF_RUN Q_EACH_FETCHED_M f->x[n][e].Q_EXPANDED_ROW -= shared->centre[Q_COMPONENT(d0 + k, e)];
#endif
#define Q_KEEP_ROW(m, member) shared->x[buffer][m][k + e][begin + n * Q_STEP] = f->x[n][e].member;
    Q_EACH_OF_RUN Q_EACH_FETCHED_M { Q_ROW_K_MEMBERS(Q_KEEP_ROW) }
}

/* The same of columns from j0 on; with the last chunk the squares of the tile's columns. */
Q_INLINED void q_fetch_columns(Q_SIGNATURE, q_fetched *f, const q_launch *u, const long j0, const int d0)
{
    Q_EACH_FETCHED_N
    {
        const int k = Q_ITEM / Q_RUNS + n * Q_STEP;
        const long j = j0 + (Q_FETCH_N * Q_STEP == Q_TILE_N ? k : min(k, Q_TILE_N - 1));
        const q_column column = q_load_column(Q_ARGUMENTS, u, j);
        Q_EACH_OF_RUN f->y[n][e] = q_load_column_k(Q_ARGUMENTS, u, &column, j, Q_COMPONENT(d0 + Q_ITEM % Q_RUNS * Q_RUN, e));
    }
}

Q_INLINED void q_keep_columns(__local q_shared *shared, const int buffer, q_fetched *f, const int d0, const int parity, const int expand)
{
    const int k = Q_ITEM % Q_RUNS * Q_RUN, begin = Q_ITEM / Q_RUNS;
#if Q_EXPANSION
    if (expand)
        Q_EACH_OF_RUN Q_EACH_FETCHED_N
        {
            const sreal y = f->y[n][e].Q_EXPANDED_COLUMN - shared->centre[Q_COMPONENT(d0 + k, e)];
            f->y[n][e].Q_EXPANDED_COLUMN = y;
            if (!Q_REST || d0 + k + e < Q_K_DIM) f->square[n] = qs_fma(y, y, f->square[n]);
        }
#endif
#define Q_KEEP_COLUMN(m, member) shared->y[buffer][m][k + e][begin + n * Q_STEP] = f->y[n][e].member;
    Q_EACH_FETCHED_N
        if (Q_FETCH_N * Q_STEP == Q_TILE_N || begin + n * Q_STEP < Q_TILE_N) {
            Q_EACH_OF_RUN { Q_COLUMN_K_MEMBERS(Q_KEEP_COLUMN) }
#if Q_EXPANSION
            if (expand && d0 + Q_TILE_K >= Q_K_DIM) {
                shared->column_square[parity][k / Q_RUN][begin + n * Q_STEP] = f->square[n];
                f->square[n] = 0;
            }
#endif
        }
}

/* The first chunk of a tile, all at once. */
Q_INLINED void q_begin_chunks(Q_SIGNATURE, q_fetched *f, __local q_shared *shared, const q_launch *u, const long i0, const long j0,
                              const int buffer, const int parity)
{
#if Q_EXPANSION
    Q_EACH_FETCHED_N f->square[n] = 0;
#endif
    q_fetch_rows(Q_ARGUMENTS, f, u, i0, 0);
    q_fetch_columns(Q_ARGUMENTS, f, u, j0, 0);
    q_keep_rows(shared, buffer, f, 0, Q_EXPANSION);
    q_keep_columns(shared, buffer, f, 0, parity, Q_EXPANSION);
    barrier(CLK_LOCAL_MEM_FENCE);
}

/* Adds component k of a buffer to the sums; or, to expand, to those of products. */
Q_INLINED void q_contract_component(q_sums s[Q_REG_N][Q_REG_M], __local q_shared *shared, const q_launch *u,
                                    const q_row *rows, __local const q_column *columns, const int buffer, const int k,
                                    const int row_thread, const int column_thread, const int one, const int expand)
{
    q_row_k x[Q_REG_M];
    q_column_k y[Q_REG_N];
#define Q_TAKE_ROW(m, member)                                                                                        \
    {                                                                                                                \
        const sreal4 v = *(__local const sreal4 *)&shared->x[buffer][m][k][Q_ROW_AT(p)];                             \
        x[p].member = v.x, x[p + 1].member = v.y, x[p + 2].member = v.z, x[p + 3].member = v.w;                      \
    }
#define Q_TAKE_COLUMN(m, member)                                                                                     \
    {                                                                                                                \
        const sreal4 v = *(__local const sreal4 *)&shared->y[buffer][m][k][Q_COLUMN_AT(p)];                          \
        y[p].member = v.x, y[p + 1].member = v.y, y[p + 2].member = v.z, y[p + 3].member = v.w;                      \
    }
    _Pragma("unroll") for (int p = 0; p < Q_REG_M; p += 4) { Q_ROW_K_MEMBERS(Q_TAKE_ROW) }
    _Pragma("unroll") for (int p = 0; p < Q_REG_N; p += 4) { Q_COLUMN_K_MEMBERS(Q_TAKE_COLUMN) }
    Q_EACH_REG_N
    {
#if Q_EXPANSION
        if (expand)
            Q_EACH_REG_M s[c][r].Q_EXPANDED = q_fma(x[r].Q_EXPANDED_ROW, y[c].Q_EXPANDED_COLUMN, s[c][r].Q_EXPANDED);
        else
#endif
        {
            const q_column column = columns[Q_COLUMN_AT(c)];
            Q_EACH_REG_M q_contract(&s[c][r], u, &rows[r * one], &column, &x[r], &y[c]);
        }
    }
}

/* Works on `size` components in `buffer` while the next chunk comes, rows first, then columns, so that few are on their way at a time. */
Q_INLINED void q_pass_chunk(Q_SIGNATURE, q_sums s[Q_REG_N][Q_REG_M], q_fetched *next, __local q_shared *shared, const q_launch *u,
                            const q_row *rows, const long i0, const long next_j0, const int next_d0, const int buffer,
                            const int parity, const int next_parity, const int size, const int row_thread,
                            const int column_thread, const int one)
{
    q_fetch_rows(Q_ARGUMENTS, next, u, i0, next_d0);
    _Pragma("unroll") for (int k = 0; k < size / 2; k++)
        q_contract_component(s, shared, u, rows, shared->column[parity], buffer, k, row_thread, column_thread, one, Q_EXPANSION);
    q_keep_rows(shared, buffer ^ 1, next, next_d0, Q_EXPANSION);
    q_fetch_columns(Q_ARGUMENTS, next, u, next_j0, next_d0);
    _Pragma("unroll") for (int k = size / 2; k < size; k++)
        q_contract_component(s, shared, u, rows, shared->column[parity], buffer, k, row_thread, column_thread, one, Q_EXPANSION);
    q_keep_columns(shared, buffer ^ 1, next, next_d0, next_parity, Q_EXPANSION);
    barrier(CLK_LOCAL_MEM_FENCE);
}

#if Q_EXPANSION
/* The centre: the mean of some columns, anything that is near the data. */
Q_INLINED void q_find_centre(Q_SIGNATURE, __local q_shared *shared, const q_launch *u)
{
    const long count = min((long)(Q_COLUMN_COUNT), 16L), step = (long)(Q_COLUMN_COUNT) / max(count, 1L);
    Q_FOR_SHARE(d, Q_K_DIM)
    {
        sreal sum = 0;
        for (long n = 0; n < count; n++) {
            const q_column column = q_load_column(Q_ARGUMENTS, u, n * step);
            sum += q_load_column_k(Q_ARGUMENTS, u, &column, n * step, d).Q_EXPANDED_COLUMN;
        }
        shared->centre[d] = sum / (sreal)max(count, 1L);
    }
}

/* |x - centre|^2 of the tile's rows. */
Q_INLINED void q_square_rows(Q_SIGNATURE, __local q_shared *shared, const q_launch *u, const long i0)
{
    Q_EACH_ROW
    {
        const int v = Q_ITEM + r * Q_LOCAL;
        const long i = i0 + v;
        const q_row row = q_load_row(Q_ARGUMENTS, u, i);
        real square = 0;
        for (int d = 0; d < Q_K_DIM; d++) {
            const real x = q_load_row_k(Q_ARGUMENTS, u, &row, i, d).Q_EXPANDED_ROW - shared->centre[d];
            square = q_fma(x, x, square);
        }
        shared->row_square[v] = square;
    }
}

/* From sums of products to squared distances; whether much has cancelled in one, or it is not a number: of the largest square of
   the work-item's rows and the column's. */
Q_INLINED int q_expand(__local const q_shared *shared, q_sums s[Q_REG_N][Q_REG_M], const int parity, const int row_thread,
                       const int column_thread)
{
    int cancelled = 0;
    real rows[Q_REG_M], most = 0;
    Q_EACH_REG_M
    {
        rows[r] = shared->row_square[Q_ROW_AT(r)];
        most = fmax(most, rows[r]);
    }
    most *= Q_CANCELLED;
    Q_EACH_REG_N
    {
        real column = shared->column_square[parity][0][Q_COLUMN_AT(c)];
        _Pragma("unroll") for (int run = 1; run < Q_RUNS; run++) column += shared->column_square[parity][run][Q_COLUMN_AT(c)];
        const real least = q_fma(Q_CANCELLED, column, most);
        Q_EACH_REG_M
        {
            s[c][r].Q_EXPANDED = q_fma((real)-2, s[c][r].Q_EXPANDED, rows[r] + column);
            cancelled |= !(s[c][r].Q_EXPANDED >= least);
        }
    }
    return cancelled;
}

/* The tile term by term, in the first buffer. */
Q_INLINED void q_contract_directly(Q_SIGNATURE, q_sums s[Q_REG_N][Q_REG_M], __local q_shared *shared, const q_launch *u,
                                   const q_row *rows, const long i0, const long j0, const int parity,
                                   const int row_thread, const int column_thread, const int one)
{
    Q_EACH_REG_N Q_EACH_REG_M s[c][r] = q_no_sums();
    for (int d0 = 0; d0 < Q_K_DIM; d0 += Q_TILE_K) {
        q_fetched f;
        q_fetch_rows(Q_ARGUMENTS, &f, u, i0, d0);
        q_fetch_columns(Q_ARGUMENTS, &f, u, j0, d0);
        barrier(CLK_LOCAL_MEM_FENCE);
        q_keep_rows(shared, 0, &f, d0, 0);
        q_keep_columns(shared, 0, &f, d0, 0, 0);
        barrier(CLK_LOCAL_MEM_FENCE);
        const int size = min(Q_TILE_K, Q_K_DIM - d0);
        _Pragma("unroll 1") for (int k = 0; k < size; k++)
            q_contract_component(s, shared, u, rows, shared->column[parity], 0, k, row_thread, column_thread, one, 0);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
}
#endif

/* The rest of the formula for the work-item's rows and its columns, of those from `begin` to `end` - 1. */
Q_INLINED void q_epilogue(q_state *t, q_sums s[Q_REG_N][Q_REG_M], __local q_shared *shared, const q_launch *u,
                          const q_row *rows, const long j0, const long begin, const long end, const int parity,
                          const int column_thread, const int one)
{
    __local const q_column *const own = shared->column[parity] + 4 * column_thread;
    q_state live[Q_REG_M];
    q_weights weight;
    const int least = (int)(begin - j0), most = (int)min(end - j0, (long)Q_TILE_N);
    Q_EACH_REG_M live[r] = t[r * one];
    Q_EACH_REG_N
    {
        const int k = Q_COLUMN_AT(c);
        if (k >= least && k < most) {
            const q_column column = own[Q_COLUMN_STEP(c)];
            Q_EACH_REG_M
            {
                q_pair(&live[r], &weight, u, &rows[r * one], &column, &s[c][r], Q_COLUMN_NUMBER(j0 + k));
#if Q_KAHAN
                q_block(&live[r]);
#endif
            }
        }
    }
    Q_EACH_REG_M
    {
        q_block(&live[r]);
        t[r * one] = live[r];
    }
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
    const int item = Q_ITEM, column_thread = item % Q_THREADS_N, row_thread = item / Q_THREADS_N;
    const long group = Q_FIRST_ROW((long)get_group_id(0));
    const long i0 = min(group, (long)(Q_ROW_COUNT) - Q_TILE_M), last = (long)(Q_COLUMN_COUNT) - Q_TILE_N;
    const int one = M >= 0; /* but not to compilers: what is indexed by it stays in memory, and is taken in turn */
    const q_launch u = q_load_launch(Q_ARGUMENTS);
    q_row rows[Q_REG_M];
    q_state state[Q_REG_M];
    Q_EACH_REG_M
    {
        rows[r * one] = q_load_row(Q_ARGUMENTS, &u, i0 + Q_ROW_AT(r));
        q_start(&state[r * one]);
    }
#if Q_EXPANSION
    q_find_centre(Q_ARGUMENTS, shared, &u);
    barrier(CLK_LOCAL_MEM_FENCE);
    q_square_rows(Q_ARGUMENTS, shared, &u, i0);
#endif
    int parity = 0, buffer = 0;
    q_fetched next;
    Q_FOR_COLUMNS(from, to)
    {
        barrier(CLK_LOCAL_MEM_FENCE);
        q_begin_chunks(Q_ARGUMENTS, &next, shared, &u, i0, min(from, last), buffer, parity);
        for (long begin = from; begin < to; begin += Q_TILE_N) {
            const long j0 = min(begin, last), next_j0 = min(begin + Q_TILE_N, last);
            q_sums s[Q_REG_N][Q_REG_M]; /* in registers: never indexed but by unrolled loops */
            Q_EACH_REG_N Q_EACH_REG_M s[c][r] = q_no_sums();
            Q_FOR_SHARE(k, Q_TILE_N) shared->column[parity][k] = q_load_column(Q_ARGUMENTS, &u, j0 + k);
#if Q_EXPANSION
            if (item == 0) shared->again[parity] = 0;
#else
            barrier(CLK_LOCAL_MEM_FENCE); /* for contractions that take something of the whole column */
#endif
            Q_UNROLL_CHUNKS for (int d0 = 0; d0 <= Q_K_DIM - Q_TILE_K; d0 += Q_TILE_K)
            {
                const int more = d0 + Q_TILE_K < Q_K_DIM, next_d0 = more ? d0 + Q_TILE_K : 0;
                q_pass_chunk(Q_ARGUMENTS, s, &next, shared, &u, rows, i0, more ? j0 : next_j0, next_d0, buffer, parity,
                             more ? parity : parity ^ 1, Q_TILE_K, row_thread, column_thread, one);
                buffer ^= 1;
            }
#if Q_REST
            q_pass_chunk(Q_ARGUMENTS, s, &next, shared, &u, rows, i0, next_j0, 0, buffer, parity, parity ^ 1, Q_REST, row_thread,
                         column_thread, one);
            buffer ^= 1;
#endif
#if Q_EXPANSION
            if (q_expand(shared, s, parity, row_thread, column_thread)) atomic_or(&shared->again[parity], 1);
            barrier(CLK_LOCAL_MEM_FENCE);
            if (shared->again[parity]) {
                q_contract_directly(Q_ARGUMENTS, s, shared, &u, rows, i0, j0, parity, row_thread, column_thread, one);
                q_begin_chunks(Q_ARGUMENTS, &next, shared, &u, i0, next_j0, buffer, parity ^ 1);
            }
#endif
            q_epilogue(state, s, shared, &u, rows, j0, begin, to, parity, column_thread, one);
            parity ^= 1;
        }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int turn = 0; turn < Q_THREADS_N; turn++) { /* the order of merges is that of work-items along the columns */
        if (column_thread == turn)
            Q_EACH_REG_M
            {
                q_state all = state[r * one];
                if (turn > 0) {
                    const q_state own = all;
                    all = local_memory.state[Q_ROW_AT(r)];
                    q_merge(&all, &own);
                }
                local_memory.state[Q_ROW_AT(r)] = all;
            }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    const long row0 = group + item;
    q_state t[Q_ROWS];
    Q_EACH_ROW t[r] = local_memory.state[min(item + r * Q_LOCAL + (int)(group - i0), Q_TILE_M - 1)];
    Q_WRITE_OUT(row0);
}
