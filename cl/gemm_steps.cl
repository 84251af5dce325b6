/*
 * gemm_steps.cl: the steps of the schemes gemm_local and gemm_select, whose kernels are in files of their names: what a group
 * shares and how, the K loop with its chunks, expansions, right-hand sides, and the rest of the formula for each pair.
 */
#ifndef Q_WHOLE
#define Q_WHOLE 0 /* gemm_select.cl: whether all rows and columns of a tile are there, as it ends with the last ones */
#endif
#ifndef Q_QUEUE
#define Q_QUEUE 0 /* gemm_select.cl: places of a row's queue */
#endif
#ifndef Q_SIGNATURE
#define Q_REG_N 4
#define Q_THREADS_N 4
#define Q_K_DIM 3
#define Q_TILE_K 2
#define Q_EPILOGUE_N 8
#define Q_TILE_N 16
#define Q_EXPANSION 1
#define Q_RHS_DIM 0
#define Q_UNROLL 4
#include "gaussian.cl"
#endif
#define Q_REG_M (Q_ROWS * Q_THREADS_N)
#define Q_TILE_M (Q_ROWS * Q_LOCAL) /* vectors of rows */
#define Q_RUN (Q_TILE_K % 4 == 0 && Q_K_DIM % 4 == 0 ? 4 : Q_TILE_K % 2 == 0 && (Q_K_DIM % 2 == 0 || !Q_WHOLE) ? 2 : 1) /* components staged together */
#define Q_RUNS (Q_TILE_K / Q_RUN)
#define Q_OF_RUN(run, e) (Q_K_DIM % Q_RUN == 0 ? (run) * Q_RUN + (e) : min((run) * Q_RUN + (e), Q_K_DIM - 1))
#define Q_STEP (Q_LOCAL / Q_RUNS) /* rows or columns of which all work-items stage a run */
#define Q_PADDED (Q_TILE_M + 4)     /* so that components of a row are in different banks, and acc loads fit */
#define Q_STAGED_ROWS ((Q_TILE_M + Q_STEP - 1) / Q_STEP)
#define Q_STAGED_COLUMNS ((Q_TILE_N + Q_STEP - 1) / Q_STEP)
#define Q_CHUNKS ((Q_K_DIM + Q_TILE_K - 1) / Q_TILE_K)
#define Q_REST (Q_K_DIM - (Q_CHUNKS - 1) * Q_TILE_K) /* components of the last chunk */
#define Q_PIECE(count) ((count) % 4 == 0 && !Q_F64 ? 4 : (count) % 2 == 0 ? 2 : 1)
#define Q_RHS_HELD (Q_THREADS_N * Q_RHS_PER_ITEM) /* right-hand sides that a group keeps */
#define Q_SHARE (Q_EPILOGUE_N / Q_THREADS_N) /* of a turn's columns, those of a work-item */
#define Q_EACH_REG_M _Pragma("unroll") for (int r = 0; r < Q_REG_M; r++)
#define Q_EACH_COLUMN _Pragma("unroll") for (int c = 0; c < Q_REG_N; c++)
#define Q_EACH_RHS _Pragma("unroll") for (int c = 0; c < Q_RHS_PER_ITEM; c++)
#define Q_EACH_OF_RUN _Pragma("unroll") for (int e = 0; e < Q_RUN; e++)
#define Q_EACH_STAGED_ROW _Pragma("unroll") for (int n = 0; n < Q_STAGED_ROWS; n++)
#define Q_EACH_STAGED_COLUMN _Pragma("unroll") for (int n = 0; n < Q_STAGED_COLUMNS; n++)
/* The work-item's share of `count` things: all go around as often, for PoCL 3.1 gets it wrong where some do not. */
#define Q_FOR_SHARE(k, count)                                                                                          \
    for (int k##_turn = 0, k = (int)get_local_id(0); k##_turn < ((count) + Q_LOCAL - 1) / Q_LOCAL;                     \
         k##_turn++, k += Q_LOCAL)                                                                                     \
        if (k < (count))
#define Q_WIDE_LOADS __attribute__((aligned(16)))
#define Q_TILE_START(j0) min(j0, (long)(Q_COLUMN_COUNT) - Q_TILE_N) /* with Q_WHOLE */
#define Q_NEXT_TILE(now) ((now) == 2 ? 0 : (now) + 1)

#define Q_ITEM ((uint)get_local_id(0) % Q_LOCAL) /* which tells compilers how large it can be */

/* Where the work-item is in the table, and where the k-th of its `count` numbers is among those that work-items share. */
#define Q_ALONG_ROWS ((int)(Q_ITEM / Q_THREADS_N))
#define Q_ALONG_COLUMNS ((int)(Q_ITEM % Q_THREADS_N))
#define Q_PLACE(at, work_items, k, count)                                                                              \
    ((k) / Q_PIECE(count) * (Q_PIECE(count) * (work_items)) + (at) * Q_PIECE(count) + (k) % Q_PIECE(count))
#define Q_ROW_PLACE(r) Q_PLACE(Q_ALONG_ROWS, Q_LOCAL / Q_THREADS_N, r, Q_REG_M)
#define Q_COLUMN_PLACE(c) Q_PLACE(Q_ALONG_COLUMNS, Q_THREADS_N, c, Q_REG_N)
#define Q_RHS_PLACE(c) Q_PLACE(Q_ALONG_COLUMNS, Q_THREADS_N, c, Q_RHS_PER_ITEM)

/* The number in the tile of a work-item's column c, and the place of column k: each turn has as many of all work-items. */
#define Q_COLUMN_OF(c) ((c) / Q_SHARE * Q_EPILOGUE_N + Q_ALONG_COLUMNS * Q_SHARE + (c) % Q_SHARE)
#define Q_PLACE_OF_COLUMN(k)                                                                                           \
    Q_PLACE((k) % Q_EPILOGUE_N / Q_SHARE, Q_THREADS_N, (k) / Q_EPILOGUE_N * Q_SHARE + (k) % Q_SHARE, Q_REG_N)

/* What a group shares. */
typedef struct {
#if Q_K_DIM
    q_row_k x[2][Q_TILE_K][Q_PADDED] Q_WIDE_LOADS;
    q_column_k y[2][Q_TILE_K][Q_TILE_N + 4] Q_WIDE_LOADS;
#if !Q_QUEUE
    q_sums sums[Q_EPILOGUE_N][Q_PADDED] Q_WIDE_LOADS; /* of a turn, which change hands */
#endif
#endif
#if !Q_QUEUE
    q_column column[3][Q_TILE_N] Q_WIDE_LOADS; /* of this tile, the next, and the last, which some may still read */
#endif
#if Q_RHS_DIM
    q_weights weights[2][Q_EPILOGUE_N][Q_PADDED] Q_WIDE_LOADS;
    q_column_rhs rhs[2][Q_EPILOGUE_N][Q_RHS_HELD + 4] Q_WIDE_LOADS;
#endif
#if Q_RHS_SCALED
    q_scales scales[2][Q_TILE_M];
    int rescaled[2]; /* the last turn whose weights had another scale than those before */
#endif
#if Q_EXPANSION
    sreal centre[Q_CHUNKS * Q_TILE_K], squares[2][Q_RUNS][Q_TILE_N], column_square[Q_TILE_N]; /* of all components, and their sums */
    real row_square[Q_TILE_M];
    int again; /* the last tile that was to be done again */
#endif
} q_shared;

#if Q_K_DIM
/* A chunk on its way to local memory: what the work-item carries. */
typedef struct {
    q_row_k x[Q_STAGED_ROWS][Q_RUN];
    q_column_k y[Q_STAGED_COLUMNS][Q_RUN];
#if Q_EXPANSION
    sreal square[Q_STAGED_COLUMNS]; /* of all chunks of its tile so far */
#endif
} q_staged;

/* Which chunk: components from d0 on of columns j0 to j0 + last. */
typedef struct {
    long j0;
    int last, d0;
} q_chunk;
#endif

#if Q_EXPANSION
/* The centre: the mean of some columns, anything that is near the data. */
Q_INLINED void q_find_centre(Q_SIGNATURE, __local q_shared *shared, const q_launch *u)
{
    const long count = min((long)(Q_COLUMN_COUNT), 16L), step = (long)(Q_COLUMN_COUNT) / max(count, 1L);
    Q_FOR_SHARE(k, Q_CHUNKS * Q_TILE_K)
    {
        const int d = min(k, Q_K_DIM - 1);
        sreal sum = 0;
        for (long n = 0; n < count; n++) {
            const q_column column = q_load_column(Q_ARGUMENTS, u, n * step);
            sum += q_load_column_k(Q_ARGUMENTS, u, &column, n * step, d).Q_EXPANDED_COLUMN;
        }
        sum /= (sreal)max(count, 1L);
        shared->centre[k] = fabs(sum) <= Q_HUGE ? sum : 0;
    }
}

/* |x - centre|^2 of the rows that the work-item owns. */
Q_INLINED void q_square_rows(Q_SIGNATURE, __local q_shared *shared, const q_launch *u, const q_row *rows,
                             const long row0)
{
    Q_EACH_ROW
    {
        const long i = Q_LANES > 1 ? row0 + r * Q_ROW_STEP : min(row0 + r * Q_ROW_STEP, (long)(Q_ROW_COUNT) - 1);
        real square = 0;
        for (int d = 0; d < Q_K_DIM; d++) {
            const real x = q_load_row_k(Q_ARGUMENTS, u, &rows[r], i, d).Q_EXPANDED_ROW - shared->centre[d];
            square = q_fma(x, x, square);
        }
        shared->row_square[get_local_id(0) + r * Q_LOCAL] = square;
    }
}

/* Before the first column. */
Q_INLINED void q_begin_expansion(Q_SIGNATURE, __local q_shared *shared, const q_launch *u, const q_row *rows,
                                 const long row0)
{
    if (get_local_id(0) == 0) shared->again = -1;
    Q_KEEP_APART;
    q_find_centre(Q_ARGUMENTS, shared, u);
    barrier(CLK_LOCAL_MEM_FENCE);
    q_square_rows(Q_ARGUMENTS, shared, u, rows, row0);
}

/* |y - centre|^2 of the tile's columns, from what those who staged them have found. */
Q_INLINED void q_square_columns(__local q_shared *shared, const int buffer)
{
    Q_FOR_SHARE(k, Q_TILE_N)
    {
        sreal square = 0;
        _Pragma("unroll") for (int run = 0; run < Q_RUNS; run++) square += shared->squares[buffer][run][k];
        shared->column_square[k] = square;
    }
}

/* From sums of products to squared distances; whether much has cancelled in one, or it is not a number. */
Q_INLINED int q_expand(__local const q_shared *shared, q_sums s[Q_REG_N][Q_REG_M])
{
    int cancelled = 0;
    Q_EACH_COLUMN Q_EACH_REG_M
    {
        const real squares = shared->row_square[Q_ROW_PLACE(r)] + (real)(shared->column_square[Q_COLUMN_PLACE(c)]);
        s[c][r].Q_EXPANDED = q_fma((real)-2, s[c][r].Q_EXPANDED, squares);
        cancelled |= q_any(!(s[c][r].Q_EXPANDED >= Q_CANCELLED * squares));
    }
    return cancelled;
}
#endif

#if !Q_QUEUE
/* The columns of a tile. */
Q_INLINED void q_stage_columns(Q_SIGNATURE, __local q_shared *shared, const q_launch *u, const int now, const long j0,
                               const long j1)
{
    Q_FOR_SHARE(k, Q_TILE_N)
    shared->column[now][k] = q_load_column(Q_ARGUMENTS, u, min(j0 + k, j1 - 1));
}
#endif

#if Q_K_DIM
/* Takes a chunk from global memory, for rows from `first` on: each work-item a run of components of some rows,
   work-items next to each other those of one row. Past the last ones it repeats them. */
#define Q_RUN_FROM(d0) min((d0) / Q_RUN + (int)(Q_ITEM % Q_RUNS), (Q_K_DIM - 1) / Q_RUN)
Q_INLINED void q_fetch_rows(Q_SIGNATURE, q_staged *staged, const q_launch *u, const long first, const int last_row,
                            const q_chunk chunk)
{
    const int run = Q_RUN_FROM(chunk.d0), begin = (int)(Q_ITEM / Q_RUNS);
    Q_EACH_STAGED_ROW
    {
        const long i = Q_WHOLE ? first + begin + n * Q_STEP : first + (long)min(begin + n * Q_STEP, last_row) * Q_LANES;
        const q_row row = q_load_row(Q_ARGUMENTS, u, i);
        Q_EACH_OF_RUN staged->x[n][e] = q_load_row_k(Q_ARGUMENTS, u, &row, i, Q_OF_RUN(run, e));
    }
}

/* The same of columns. */
Q_INLINED void q_fetch_columns(Q_SIGNATURE, q_staged *staged, const q_launch *u, const q_chunk chunk)
{
    const int run = Q_RUN_FROM(chunk.d0), begin = (int)(Q_ITEM / Q_RUNS);
    const long j0 = Q_WHOLE ? Q_TILE_START(chunk.j0) : chunk.j0;
    Q_EACH_STAGED_COLUMN
    {
        const long j = Q_WHOLE ? j0 + begin + n * Q_STEP : j0 + (long)min(begin + n * Q_STEP, chunk.last);
        const q_column column = q_load_column(Q_ARGUMENTS, u, j);
        Q_EACH_OF_RUN staged->y[n][e] = q_load_column_k(Q_ARGUMENTS, u, &column, j, Q_OF_RUN(run, e));
    }
}

/* Leaves it in local memory, moved to the centre if it is to be expanded. */
Q_INLINED void q_stage_rows(q_staged *staged, __local q_shared *shared, const int buffer, const int d0, const int expand)
{
    const int d = (int)(Q_ITEM % Q_RUNS) * Q_RUN, begin = (int)(Q_ITEM / Q_RUNS);
#if Q_EXPANSION
    if (expand) Q_EACH_OF_RUN
    {
        const sreal centre = shared->centre[d0 + d + e];
        Q_EACH_STAGED_ROW staged->x[n][e].Q_EXPANDED_ROW -= centre;
    }
#endif
    Q_EACH_OF_RUN Q_EACH_STAGED_ROW if (Q_TILE_M % Q_STEP == 0 || begin + n * Q_STEP < Q_TILE_M)
        shared->x[buffer][d + e][begin + n * Q_STEP] = staged->x[n][e];
}

Q_INLINED void q_stage_columns_k(q_staged *staged, __local q_shared *shared, const int buffer, const int d0, const int expand)
{
    const int d = (int)(Q_ITEM % Q_RUNS) * Q_RUN, begin = (int)(Q_ITEM / Q_RUNS);
#if Q_EXPANSION
    Q_EACH_STAGED_COLUMN if (d0 == 0) staged->square[n] = 0;
    if (expand) Q_EACH_OF_RUN
    {
        const int inside = Q_K_DIM % Q_TILE_K == 0 || d0 + d + (Q_K_DIM % Q_RUN ? e : 0) < Q_K_DIM;
        const sreal centre = shared->centre[d0 + d + e];
        Q_EACH_STAGED_COLUMN
        {
            const sreal y = staged->y[n][e].Q_EXPANDED_COLUMN - centre;
            staged->y[n][e].Q_EXPANDED_COLUMN = y;
            staged->square[n] = inside ? qs_fma(y, y, staged->square[n]) : staged->square[n];
        }
    }
#endif
    Q_EACH_STAGED_COLUMN
    {
        const int k = begin + n * Q_STEP, place = Q_PLACE_OF_COLUMN(k);
        if (Q_TILE_N % Q_STEP == 0 || k < Q_TILE_N) {
            Q_EACH_OF_RUN shared->y[buffer][d + e][place] = staged->y[n][e];
#if Q_EXPANSION
            if (expand && d0 + Q_TILE_K >= Q_K_DIM) shared->squares[buffer][d / Q_RUN][place] = staged->square[n];
#endif
        }
    }
}

/* A chunk all at once. */
Q_INLINED void q_fetch(Q_SIGNATURE, q_staged *staged, const q_launch *u, const long first, const int last_row, const q_chunk chunk)
{
    q_fetch_rows(Q_ARGUMENTS, staged, u, first, last_row, chunk);
    q_fetch_columns(Q_ARGUMENTS, staged, u, chunk);
}

Q_INLINED void q_stage(q_staged *staged, __local q_shared *shared, const int buffer, const int d0, const int expand)
{
    q_stage_rows(staged, shared, buffer, d0, expand);
    q_stage_columns_k(staged, shared, buffer, d0, expand);
}

/* Adds component d of a chunk to the sums of the work-item's rows and columns, or, to expand, to those of products. */
Q_INLINED void q_contract_component(q_sums s[Q_REG_N][Q_REG_M], __local const q_shared *shared, const q_launch *u,
                                    const q_row *near, const int buffer, const int now, const int d, const int expand)
{
    q_row_k x[Q_REG_M];
    q_column_k y[Q_REG_N];
    Q_EACH_REG_M x[r] = shared->x[buffer][d][Q_ROW_PLACE(r)];
    Q_EACH_COLUMN y[c] = shared->y[buffer][d][Q_COLUMN_PLACE(c)];
#if Q_EXPANSION
    if (expand) {
        Q_EACH_COLUMN Q_EACH_REG_M s[c][r].Q_EXPANDED =
            q_fma(x[r].Q_EXPANDED_ROW, (real)(y[c].Q_EXPANDED_COLUMN), s[c][r].Q_EXPANDED);
        return;
    }
#endif
#if !Q_QUEUE
    Q_EACH_COLUMN
    {
        const q_column column = shared->column[now][Q_COLUMN_OF(c)];
        Q_EACH_REG_M q_contract(&s[c][r], u, &near[r], &column, &x[r], &y[c]);
    }
#endif
}

/* Works on the chunk in `buffer` while the next one comes, which may be of the next tile. */
Q_INLINED void q_pass_chunk(Q_SIGNATURE, q_sums s[Q_REG_N][Q_REG_M], q_staged *staged, __local q_shared *shared,
                            const q_launch *u, const q_row *near, const long first, const int last_row,
                            const q_chunk next, const int buffer, const int now, const int size)
{
    q_fetch_rows(Q_ARGUMENTS, staged, u, first, last_row, next);
    _Pragma("unroll") for (int d = 0; d < size / 2; d++)
        q_contract_component(s, shared, u, near, buffer, now, d, Q_EXPANSION);
    q_stage_rows(staged, shared, 1 - buffer, next.d0, Q_EXPANSION);
    q_fetch_columns(Q_ARGUMENTS, staged, u, next);
    _Pragma("unroll") for (int d = size / 2; d < size; d++)
        q_contract_component(s, shared, u, near, buffer, now, d, Q_EXPANSION);
    if (next.d0 == 0) {
#if !Q_QUEUE
        q_stage_columns(Q_ARGUMENTS, shared, u, Q_NEXT_TILE(now), next.j0, next.j0 + next.last + 1);
#endif
#if Q_EXPANSION
        q_square_columns(shared, buffer);
#endif
        Q_KEEP_APART;
    }
    q_stage_columns_k(staged, shared, 1 - buffer, next.d0, Q_EXPANSION);
    barrier(CLK_LOCAL_MEM_FENCE);
}

/* The first chunk of a segment. */
Q_INLINED void q_begin_chunks(Q_SIGNATURE, q_staged *staged, __local q_shared *shared, const q_launch *u,
                              const long first, const int last_row, const long j0, const long j1, const int buffer)
{
    const q_chunk chunk = {j0, (int)(j1 - j0) - 1, 0};
    q_fetch(Q_ARGUMENTS, staged, u, first, last_row, chunk);
    q_stage(staged, shared, buffer, 0, Q_EXPANSION);
}

/* The sums of a tile; returns the buffer that has the first chunk of the next, columns from j1 to j2 - 1. */
Q_INLINED int q_contract_tile(Q_SIGNATURE, q_sums s[Q_REG_N][Q_REG_M], q_staged *staged, __local q_shared *shared,
                              const q_launch *u, const q_row *near, const long first, const int last_row,
                              const long j0, const long j1, const long j2, int buffer, const int now)
{
    Q_EACH_COLUMN Q_EACH_REG_M s[c][r] = q_no_sums();
    Q_UNROLL_CHUNKS for (int d0 = 0; d0 <= Q_K_DIM - Q_TILE_K; d0 += Q_TILE_K)
    {
        const int last = d0 + Q_TILE_K >= Q_K_DIM;
        const q_chunk next = {last ? j1 : j0, (int)(last ? j2 - j1 : j1 - j0) - 1, last ? 0 : d0 + Q_TILE_K};
        q_pass_chunk(Q_ARGUMENTS, s, staged, shared, u, near, first, last_row, next, buffer, now, Q_TILE_K);
        buffer = 1 - buffer;
    }
#if Q_REST < Q_TILE_K
    const q_chunk next = {j1, (int)(j2 - j1) - 1, 0};
    q_pass_chunk(Q_ARGUMENTS, s, staged, shared, u, near, first, last_row, next, buffer, now, Q_REST);
    buffer = 1 - buffer;
#endif
    return buffer;
}

#if Q_EXPANSION && !Q_QUEUE
/* The same term by term, one chunk after the other in the buffer that is free. */
Q_INLINED void q_contract_again(Q_SIGNATURE, q_sums s[Q_REG_N][Q_REG_M], __local q_shared *shared, const q_launch *u,
                                const q_row *near, const long first, const int last_row, const long j0, const long j1,
                                const int buffer, const int now)
{
    Q_EACH_COLUMN Q_EACH_REG_M s[c][r] = q_no_sums();
    _Pragma("unroll 1") for (int d0 = 0; d0 < Q_K_DIM; d0 += Q_TILE_K)
    {
        q_staged staged;
        const q_chunk chunk = {j0, (int)(j1 - j0) - 1, d0};
        q_fetch(Q_ARGUMENTS, &staged, u, first, last_row, chunk);
        q_stage(&staged, shared, buffer, d0, 0);
        barrier(CLK_LOCAL_MEM_FENCE);
        const int size = min(Q_TILE_K, Q_K_DIM - d0);
        _Pragma("unroll 1") for (int d = 0; d < size; d++)
            q_contract_component(s, shared, u, near, buffer, now, d, 0);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
}
#endif

#if !Q_QUEUE
/* Hands over the sums of the turn that begins at column `turn` of the tile. */
Q_INLINED void q_hand_over(const q_sums s[Q_REG_N][Q_REG_M], __local q_shared *shared, const int turn)
{
    Q_EACH_COLUMN if (c / Q_SHARE * Q_EPILOGUE_N == turn) Q_EACH_REG_M shared->sums
        [Q_ALONG_COLUMNS * Q_SHARE + c % Q_SHARE][Q_ROW_PLACE(r)] = s[c][r];
}
#endif
#endif

#if Q_RHS_DIM
#define Q_STAGED_RHS ((Q_EPILOGUE_N * Q_RHS_HELD + Q_LOCAL - 1) / Q_LOCAL)
#define Q_EACH_STAGED_RHS _Pragma("unroll") for (int n = 0; n < Q_STAGED_RHS; n++)

/* Takes the components that the group keeps, from d0 on, of columns j0 to j1 - 1 from global memory. */
Q_INLINED void q_fetch_rhs(Q_SIGNATURE, q_column_rhs staged[Q_STAGED_RHS], const q_launch *u, const long j0,
                            const long j1, const int d0)
{
    Q_EACH_STAGED_RHS
    {
        const uint slot = Q_ITEM + n * Q_LOCAL, k = slot / Q_RHS_HELD, d = slot % Q_RHS_HELD;
        const long j = min(j0 + (long)min(k, Q_EPILOGUE_N - 1u), j1 - 1);
        const q_column column = q_load_column(Q_ARGUMENTS, u, j);
        staged[n] = q_load_column_rhs(Q_ARGUMENTS, u, &column, j, min(d0 + (int)d, Q_RHS_DIM - 1));
    }
}

Q_INLINED void q_stage_rhs(const q_column_rhs staged[Q_STAGED_RHS], __local q_shared *shared, const int buffer)
{
    Q_EACH_STAGED_RHS
    {
        const uint slot = Q_ITEM + n * Q_LOCAL, k = slot / Q_RHS_HELD, d = slot % Q_RHS_HELD;
        if (Q_EPILOGUE_N * Q_RHS_HELD % Q_LOCAL == 0 || k < Q_EPILOGUE_N)
            shared->rhs[buffer][k][Q_PLACE(d / Q_RHS_PER_ITEM, Q_THREADS_N, d % Q_RHS_PER_ITEM, Q_RHS_PER_ITEM)] =
                staged[n];
    }
}

/* Adds column k of the turn that begins at column `turn` of the tile to the partial sums. */
Q_INLINED void q_accumulate_column(q_block_acc block_acc[Q_RHS_PER_ITEM][Q_REG_M], __local const q_shared *shared,
                                   const q_launch *u, const q_row *near, const q_row_rhs rows_rhs[Q_RHS_PER_ITEM][Q_REG_M],
                                   const int buffer, const int now, const int turn, const int k)
{
    const q_column column = shared->column[now][turn + k];
    q_weights w[Q_REG_M];
    q_column_rhs y[Q_RHS_PER_ITEM];
    Q_EACH_REG_M w[r] = shared->weights[buffer][k][Q_ROW_PLACE(r)];
    Q_EACH_RHS y[c] = shared->rhs[buffer][k][Q_RHS_PLACE(c)];
    Q_EACH_RHS Q_EACH_REG_M q_accumulate(&block_acc[c][r], u, &near[r], &column, &w[r], &rows_rhs[c][r], &y[c]);
}

/* Adds the first `count` columns of a turn, from column `turn` of the tile on. */
Q_INLINED void q_accumulate_step(q_block_acc block_acc[Q_RHS_PER_ITEM][Q_REG_M], __local const q_shared *shared,
                            const q_launch *u,
                            const q_row *near, const q_row_rhs rows_rhs[Q_RHS_PER_ITEM][Q_REG_M], const int buffer,
                            const int now, const int turn, const int count)
{
    int k = 0;
    for (; k <= count - Q_RHS_UNROLL; k += Q_RHS_UNROLL)
        _Pragma("unroll") for (int n = 0; n < Q_RHS_UNROLL; n++)
            q_accumulate_column(block_acc, shared, u, near, rows_rhs, buffer, now, turn, k + n);
#if Q_RHS_UNROLL > 1
    _Pragma("unroll 1") for (; k < count; k++)
        q_accumulate_column(block_acc, shared, u, near, rows_rhs, buffer, now, turn, k);
#endif
}
#endif

#if Q_RHS_DIM
/* Before the first column. */
Q_INLINED void q_begin_rhs(Q_SIGNATURE, q_block_acc block_acc[Q_RHS_PER_ITEM][Q_REG_M],
                           q_row_rhs rows_rhs[Q_RHS_PER_ITEM][Q_REG_M], __local q_shared *shared, const q_launch *u,
                           const q_row *near, const long group, const int d0)
{
    Q_EACH_RHS Q_EACH_REG_M
    {
        block_acc[c][r] = q_no_block_acc();
        rows_rhs[c][r] = q_load_row_rhs(Q_ARGUMENTS, u, &near[r], group + (long)Q_ROW_PLACE(r) * Q_LANES,
                                        min(d0 + c, Q_RHS_DIM - 1));
    }
#if Q_RHS_SCALED
    if (get_local_id(0) == 0) shared->rescaled[0] = shared->rescaled[1] = -1;
    Q_KEEP_APART;
#endif
}

/* After a block of columns. */
Q_INLINED void q_flush_all(q_rhs_acc *acc, q_block_acc block_acc[Q_RHS_PER_ITEM][Q_REG_M], const int one)
{
    Q_EACH_REG_M Q_EACH_RHS
    {
        q_flush(&acc[r * one], &block_acc[c][r], c);
        block_acc[c][r] = q_no_block_acc();
    }
}
#endif

#if Q_RHS_SCALED
/* The weights of vector v of rows and the turn's columns before column k, when the next have another scale; sums follow
   at the end of the turn. */
Q_INLINED void q_rescale(q_state *t, __local q_shared *shared, const int buffer, const int number, const int k,
                         const int v)
{
    const q_scales scales = t->scales;
    q_scales all = shared->scales[buffer][v];
    for (int old = 0; old < k; old++) {
        q_weights weights = shared->weights[buffer][old][v];
        q_rescale_weights(&weights, &scales);
        shared->weights[buffer][old][v] = weights;
    }
    q_rescale_more(&all, &scales);
    shared->scales[buffer][v] = all;
    atomic_xchg(&shared->rescaled[buffer], number);
    t->scales = q_no_scales();
    t->rescaled = 0;
}

/* The sums of the work-item's rows, at the end of a turn. */
Q_INLINED void q_rescale_sums(q_block_acc block_acc[Q_RHS_PER_ITEM][Q_REG_M], q_rhs_acc *acc, __local q_shared *shared,
                              const int buffer, const int one)
{
    Q_EACH_REG_M
    {
        const q_scales scales = shared->scales[buffer][Q_ROW_PLACE(r)];
        Q_EACH_RHS q_rescale_block_acc(&block_acc[c][r], &scales);
        q_rescale_rhs(&acc[r * one], &scales);
    }
}
#endif

#if !Q_QUEUE
/* The rest of the formula for the work-item's own rows and column k of the tile, whose first has the number `first`. */
Q_INLINED void q_pair_column(q_state *t, __local q_shared *shared, const q_launch *u, const q_row *rows, const sint first,
                             const int now, const int buffer, const int number, const int turn, const int k)
{
    const q_column column = shared->column[now][k];
    Q_EACH_ROW
    {
        q_weights weight;
        const int v = (int)get_local_id(0) + r * Q_LOCAL;
#if Q_K_DIM
        const q_sums sums = shared->sums[k - turn][v];
#else
        const q_sums sums = q_no_sums();
#endif
        q_pair(&t[r], &weight, u, &rows[r], &column, &sums, first + k);
#if Q_RHS_SCALED
        if (t[r].rescaled) q_rescale(&t[r], shared, buffer, number, k - turn, v);
#endif
#if Q_RHS_DIM
        shared->weights[buffer][k - turn][v] = weight;
#endif
#if Q_KAHAN
        q_block(&t[r]);
#endif
    }
}

/* The rest of the formula for the work-item's own rows and columns turn to end - 1 of the tile. */
Q_INLINED void q_pair_step(q_state *t, __local q_shared *shared, const q_launch *u, const q_row *rows, const sint first,
                           const int now, const int buffer, const int number, const int turn, const int end)
{
    int k = turn;
#if Q_UNROLL > 1
    for (; k <= end - Q_UNROLL; k += Q_UNROLL)
        _Pragma("unroll") for (int n = 0; n < Q_UNROLL; n++)
            q_pair_column(t, shared, u, rows, first, now, buffer, number, turn, k + n);
#endif
    for (; k < end; k++) q_pair_column(t, shared, u, rows, first, now, buffer, number, turn, k);
}
#endif
