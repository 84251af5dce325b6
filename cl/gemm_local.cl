/*
 * gemm_local.cl: the scheme `gemm` where a group shares local memory (GPUs), for contractions, sums over Q_K_DIM
 * components for each pair, and right-hand sides, of Q_RHS_DIM components. A group takes in Q_TILE_N columns at once, in four steps:
 *
 *   1. Q_TILE_K components of its rows and columns, their slices, are staged in local memory, and each work-item adds
 *      them to the sums of Q_REG_M vectors of rows with Q_REG_N columns, in registers; until all components are in;
 *   2. the sums go to local memory, those of Q_EPILOGUE_N columns at a time;
 *   3. there each work-item, which owns Q_ROWS vectors of rows as in row.cl, finds the sums of its own rows, and runs
 *      the rest of the formula on each pair; it leaves weights in local memory for
 *   4. right-hand sides: each work-item adds the Q_EPILOGUE_N columns to partial sums of Q_RHS_PER_ITEM components for Q_REG_M vectors of rows,
 *      in registers.
 *
 * So a component of a row is read from global memory once for Q_TILE_N columns, one of a column once for all rows of the
 * group, and states need not be merged. In step 1 the group is a table: Q_THREADS_N work-items along the columns share their
 * rows, the others share their columns. Rows and columns past the end repeat the last one.
 *
 * With Q_EXPANSION a squared distance is |x|^2 + |y|^2 - 2 xy, with both moved to a common centre, which halves the work.
 * Where much has cancelled for one pair of a tile, the group does all of the tile again, term by term: work-items that
 * go separate ways would wait for each other anyway.
 *
 * Right-hand sides of more components than a group keeps are spread over groups along dimension 2, each of which does steps 1 to
 * 3 for itself. Partial sums are added to compensated ones, which are in private memory, once for each block.
 *
 * The holes are those of gemm.cl, but for q_limit and Q_EXPANDED_ARRAY.
 */
#ifndef Q_SIGNATURE
#define Q_REG_N 4
#define Q_THREADS_N 4
#define Q_K_DIM 3
#define Q_TILE_K 2
#define Q_EPILOGUE_N 8
#define Q_TILE_N 16
#define Q_EXPANSION 1
#define Q_RHS_DIM 0
#include "gaussian.cl"
#endif
#define Q_REG_M (Q_ROWS * Q_THREADS_N)
#define Q_TILE_M (Q_ROWS * Q_LOCAL) /* vectors of rows */
#define Q_THREADS_M (Q_LOCAL / Q_THREADS_N) /* work-items along the rows */
#define Q_STEP (Q_LOCAL / Q_TILE_K) /* rows or columns that are staged by all work-items, a component each */
#define Q_PADDED (Q_TILE_M + 4)     /* so that components of a row are in different banks, and wide loads fit */
#define Q_EACH_REG_M _Pragma("unroll") for (int r = 0; r < Q_REG_M; r++)
#define Q_EACH_COLUMN _Pragma("unroll") for (int c = 0; c < Q_REG_N; c++)
#define Q_EACH_RHS _Pragma("unroll") for (int c = 0; c < Q_RHS_PER_ITEM; c++)
/* The work-item's share of `count` things: all go around as often, for PoCL 3.1 gets it wrong where some do not. */
#define Q_FOR_SHARE(k, count)                                                                                          \
    for (int k##_turn = 0, k = (int)get_local_id(0); k##_turn < ((count) + Q_LOCAL - 1) / Q_LOCAL;                     \
         k##_turn++, k += Q_LOCAL)                                                                                     \
        if (k < (count))
#define Q_INLINED Q_FN __attribute__((always_inline)) /* PoCL 3.1 loses pointers to local memory in calls */
#ifdef POCL_DEVICE_ADDRESS_BITS /* PoCL 3.1 makes wrong code where some work-items go another way just before a loop */
#define Q_KEEP_APART barrier(CLK_LOCAL_MEM_FENCE)
#else
#define Q_KEEP_APART
#endif
#define Q_WIDE_LOADS __attribute__((aligned(16)))

/* What a group shares. */
typedef struct {
#if Q_K_DIM
    q_row_k x[Q_TILE_K][Q_PADDED] Q_WIDE_LOADS;
    q_column_k y[Q_TILE_K][Q_TILE_N + 4] Q_WIDE_LOADS;
    q_sums sums[Q_EPILOGUE_N][Q_PADDED] Q_WIDE_LOADS;
#endif
    q_column column[Q_TILE_N] Q_WIDE_LOADS;
#if Q_RHS_DIM
    q_weights weights[Q_EPILOGUE_N][Q_PADDED] Q_WIDE_LOADS;
    q_column_rhs rhs[Q_EPILOGUE_N][Q_THREADS_N * Q_RHS_PER_ITEM + 4] Q_WIDE_LOADS;
#endif
#if Q_RHS_SCALED
    q_scales scales[Q_TILE_M];
    int rescaled; /* whether weights of this turn have another scale than those before */
#endif
#if Q_EXPANSION
    sreal centre[Q_K_DIM], column_square[Q_TILE_N];
    real row_square[Q_TILE_M];
    int again; /* whether this tile is to be done again */
#endif
} q_shared;

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

/* |x - centre|^2 of the rows that the work-item owns. */
Q_INLINED void q_square_rows(Q_SIGNATURE, __local q_shared *shared, const q_launch *u, const q_row *rows,
                             const long row0)
{
    Q_EACH_ROW
    {
        real square = 0;
        for (int d = 0; d < Q_K_DIM; d++) {
            const real x =
                q_load_row_k(Q_ARGUMENTS, u, &rows[r], row0 + r * Q_ROW_STEP, d).Q_EXPANDED_ROW -
                shared->centre[d];
            square = q_fma(x, x, square);
        }
        shared->row_square[get_local_id(0) + r * Q_LOCAL] = square;
    }
}

/* Adds components to |y - centre|^2 of the columns, when they are staged. */
Q_INLINED void q_square_columns(__local q_shared *shared, const int size)
{
    Q_FOR_SHARE(k, Q_TILE_N)
    {
        sreal square = shared->column_square[k];
        for (int d = 0; d < size; d++) {
            const sreal y = shared->y[d][k].Q_EXPANDED_COLUMN;
            square = qs_fma(y, y, square);
        }
        shared->column_square[k] = square;
    }
}

/* From sums of products to squared distances; whether much has cancelled in one, or it is not a number. */
Q_INLINED int q_expand(__local const q_shared *shared, q_sums s[Q_REG_N][Q_REG_M], const int x0, const int y0)
{
    int cancelled = 0;
    Q_EACH_COLUMN Q_EACH_REG_M
    {
        const real squares = shared->row_square[x0 + r] + (real)(shared->column_square[y0 + c]);
        s[c][r].Q_EXPANDED = q_fma((real)-2, s[c][r].Q_EXPANDED, squares);
        cancelled |= q_any(!(s[c][r].Q_EXPANDED >= Q_CANCELLED * squares));
    }
    return cancelled;
}
#endif

#if Q_K_DIM
/* Stages components d0 to d0 + size - 1 of the group's rows from row `first` on and of the columns from j0 to j1 - 1.
   Work-items next to each other take components of one row, which are next to each other in memory. */
Q_INLINED void q_stage(Q_SIGNATURE, __local q_shared *shared, const q_launch *u, const long first, const long j0,
                       const long j1, const int d0, const int size, const int expand)
{
    const uint item = (uint)get_local_id(0);
    const int d = (int)(item % Q_TILE_K), begin = (int)(item / Q_TILE_K);
    _Pragma("unroll") for (int n = 0; n < Q_ROWS * Q_TILE_K; n++)
    {
        const int v = begin + n * Q_STEP;
        const long i = first + (long)v * Q_LANES;
        if (d < size) {
            const q_row row = q_load_row(Q_ARGUMENTS, u, i);
            q_row_k x = q_load_row_k(Q_ARGUMENTS, u, &row, i, d0 + d);
#if Q_EXPANSION
            if (expand) x.Q_EXPANDED_ROW -= shared->centre[d0 + d];
#endif
            shared->x[d][v] = x;
        }
    }
    _Pragma("unroll") for (int n = 0; n * Q_STEP < Q_TILE_N; n++)
    {
        const int v = begin + n * Q_STEP;
        if (d < size && v < Q_TILE_N) {
            const q_column column = shared->column[v];
            q_column_k y = q_load_column_k(Q_ARGUMENTS, u, &column, min(j0 + v, j1 - 1), d0 + d);
#if Q_EXPANSION
            if (expand) y.Q_EXPANDED_COLUMN -= shared->centre[d0 + d];
#endif
            shared->y[d][v] = y;
        }
    }
}

/* Adds components d0 to d0 + size - 1 to the sums of the work-item's rows `near`, from vector x0 of the group on, with
   its columns, from y0 on; or, to expand, to those of products. */
Q_INLINED void q_contract_chunk(Q_SIGNATURE, q_sums s[Q_REG_N][Q_REG_M], __local q_shared *shared, const q_launch *u,
                                const q_row *near, const long first, const long j0, const long j1, const int x0,
                                const int y0, const int d0, const int size, const int expand)
{
    barrier(CLK_LOCAL_MEM_FENCE);
    q_stage(Q_ARGUMENTS, shared, u, first, j0, j1, d0, size, expand);
    barrier(CLK_LOCAL_MEM_FENCE);
#if Q_EXPANSION
    if (expand) q_square_columns(shared, size);
    Q_KEEP_APART;
#endif
    _Pragma("unroll") for (int d = 0; d < size; d++)
    {
        q_row_k x[Q_REG_M];
        Q_EACH_REG_M x[r] = shared->x[d][x0 + r];
        Q_EACH_COLUMN
        {
            const q_column column = shared->column[y0 + c];
            const q_column_k y = shared->y[d][y0 + c];
#if Q_EXPANSION
            if (expand)
                Q_EACH_REG_M s[c][r].Q_EXPANDED =
                    q_fma(x[r].Q_EXPANDED_ROW, (real)(y.Q_EXPANDED_COLUMN), s[c][r].Q_EXPANDED);
            else
#endif
                Q_EACH_REG_M q_contract(&s[c][r], u, &near[r], &column, &x[r], &y);
        }
    }
}

Q_INLINED void q_contract_tile(Q_SIGNATURE, q_sums s[Q_REG_N][Q_REG_M], __local q_shared *shared, const q_launch *u,
                               const q_row *near, const long first, const long j0, const long j1, const int x0,
                               const int y0, const int expand)
{
    Q_EACH_COLUMN Q_EACH_REG_M s[c][r] = q_no_sums();
    for (int d0 = 0; d0 <= Q_K_DIM - Q_TILE_K; d0 += Q_TILE_K)
        q_contract_chunk(Q_ARGUMENTS, s, shared, u, near, first, j0, j1, x0, y0, d0, Q_TILE_K, expand);
#if Q_K_DIM % Q_TILE_K
    q_contract_chunk(Q_ARGUMENTS, s, shared, u, near, first, j0, j1, x0, y0, Q_K_DIM - Q_K_DIM % Q_TILE_K,
                     Q_K_DIM % Q_TILE_K, expand);
#endif
}
#endif

#if Q_RHS_DIM
/* Stages the components that the group keeps, from d0 on, of columns j0 to j1 - 1. */
Q_INLINED void q_stage_rhs(Q_SIGNATURE, __local q_shared *shared, const q_launch *u, const int turn, const long j0,
                            const long j1, const int d0)
{
    Q_FOR_SHARE(n, Q_EPILOGUE_N * Q_THREADS_N * Q_RHS_PER_ITEM)
    {
        const int k = n / (Q_THREADS_N * Q_RHS_PER_ITEM), d = n - k * (Q_THREADS_N * Q_RHS_PER_ITEM);
        const q_column column = shared->column[turn + k];
        shared->rhs[k][d] =
            q_load_column_rhs(Q_ARGUMENTS, u, &column, min(j0 + turn + k, j1 - 1), min(d0 + d, Q_RHS_DIM - 1));
    }
}

/* Adds the first `count` columns of a turn to the partial sums of rows from vector x0 of the group on, of components
   from z0 of the group on. */
Q_INLINED void q_accumulate_step(q_block_acc block_acc[Q_RHS_PER_ITEM][Q_REG_M], __local q_shared *shared, const q_launch *u,
                            const q_row *near, const q_row_rhs rows_rhs[Q_RHS_PER_ITEM][Q_REG_M], const int x0, const int z0,
                            const int turn, const int count)
{
    _Pragma("unroll 1") for (int k = 0; k < count; k++)
    {
        const q_column column = shared->column[turn + k];
        q_weights w[Q_REG_M];
        Q_EACH_REG_M w[r] = shared->weights[k][x0 + r];
        Q_EACH_RHS
        {
            const q_column_rhs y = shared->rhs[k][z0 + c];
            Q_EACH_REG_M q_accumulate(&block_acc[c][r], u, &near[r], &column, &w[r], &rows_rhs[c][r], &y);
        }
    }
}
#endif

#if Q_RHS_SCALED
/* The weights of vector v of rows and the turn's columns before column k, when the next have another scale; sums are rescaled
   at the end of the turn. */
Q_INLINED void q_rescale(q_state *t, __local q_shared *shared, const int k, const int v)
{
    const q_scales scales = t->scales;
    q_scales all = shared->scales[v];
    for (int old = 0; old < k; old++) {
        q_weights weights = shared->weights[old][v];
        q_rescale_weights(&weights, &scales);
        shared->weights[old][v] = weights;
    }
    q_rescale_more(&all, &scales);
    shared->scales[v] = all;
    atomic_or(&shared->rescaled, 1);
    t->scales = q_no_scales();
    t->rescaled = 0;
}

/* The sums of rows from vector x0 of the group on, at the end of a turn. */
Q_INLINED void q_rescale_sums(q_block_acc block_acc[Q_RHS_PER_ITEM][Q_REG_M], q_rhs_acc *acc, __local q_shared *shared, const int x0,
                              const int one)
{
    Q_EACH_REG_M
    {
        const q_scales scales = shared->scales[x0 + r];
        Q_EACH_RHS q_rescale_block_acc(&block_acc[c][r], &scales);
        q_rescale_rhs(&acc[r * one], &scales);
    }
}
#endif

/* The rest of the formula for the work-item's own rows and columns turn to end - 1 of the tile, whose first has this number. */
Q_INLINED void q_pair_step(q_state *t, __local q_shared *shared, const q_launch *u, const q_row *rows, const sint number,
                           const int turn, const int end)
{
    q_weights weight;
    for (int k = turn; k < end; k++) {
        const q_column column = shared->column[k];
        Q_EACH_ROW
        {
            const int v = (int)get_local_id(0) + r * Q_LOCAL;
#if Q_K_DIM
            const q_sums sums = shared->sums[k - turn][v];
#else
            const q_sums sums = q_no_sums();
#endif
            q_pair(&t[r], &weight, u, &rows[r], &column, &sums, number + k);
#if Q_RHS_SCALED
            if (t[r].rescaled) q_rescale(&t[r], shared, k - turn, v);
#endif
#if Q_RHS_DIM
            shared->weights[k - turn][v] = weight;
#endif
#if Q_KAHAN
            q_block(&t[r]);
#endif
        }
    }
}

#undef Q_RESTRICT
#define Q_RESTRICT restrict /* in the functions above it would only trouble interpreters */
Q_KERNEL void Q_NAME(Q_PARAMETERS)
{
    __local union {
        q_shared walk;
        q_state state[Q_TILE_M]; /* in the end, for those who keep their right-hand sides */
    } local_memory;
    __local q_shared *const shared = &local_memory.walk;
    Q_BEGIN_GROUP((long)get_group_id(0))
    const int item = (int)get_local_id(0), x0 = (int)((uint)item % Q_THREADS_M * Q_REG_M),
              y0 = (int)((uint)item / Q_THREADS_M * Q_REG_N);
    const long group = Q_FIRST_ROW((long)get_group_id(0)), row0 = group + (long)item * Q_LANES;
    const q_launch u = q_load_launch(Q_ARGUMENTS);
    q_row rows[Q_ROWS], near[Q_REG_M];
    q_state t[Q_ROWS];
    Q_EACH_ROW
    {
        rows[r] = q_load_row(Q_ARGUMENTS, &u, row0 + r * Q_ROW_STEP);
        Q_START_STATE(&t[r], row0 + r * Q_ROW_STEP);
    }
    Q_EACH_REG_M near[r] = q_load_row(Q_ARGUMENTS, &u, group + (long)(x0 + r) * Q_LANES);
#if Q_RHS_DIM
    const int span = (int)get_group_id(2) * Q_THREADS_N * Q_RHS_PER_ITEM, z0 = (int)((uint)item / Q_THREADS_M * Q_RHS_PER_ITEM);
    const int one = M >= 0; /* but not to compilers: what is indexed by it stays in memory, and is taken in turn */
    q_rhs_acc acc[Q_REG_M];
    q_block_acc block_acc[Q_RHS_PER_ITEM][Q_REG_M];
    q_row_rhs rows_rhs[Q_RHS_PER_ITEM][Q_REG_M];
    Q_EACH_REG_M Q_START_RHS(&acc[r * one], group + (long)(x0 + r) * Q_LANES, span + z0);
    Q_EACH_RHS Q_EACH_REG_M
    {
        block_acc[c][r] = q_no_block_acc();
        rows_rhs[c][r] = q_load_row_rhs(Q_ARGUMENTS, &u, &near[r], group + (long)(x0 + r) * Q_LANES,
                                          min(span + z0 + c, Q_RHS_DIM - 1));
    }
#endif
#if Q_EXPANSION
    q_find_centre(Q_ARGUMENTS, shared, &u);
    barrier(CLK_LOCAL_MEM_FENCE);
    q_square_rows(Q_ARGUMENTS, shared, &u, rows, row0);
#endif
    Q_FOR_COLUMNS(from, to)
    {
        for (long b0 = from; b0 < to; b0 += Q_BLOCK) {
            const int size = (int)min((long)Q_BLOCK, to - b0);
            for (int c0 = 0; c0 < size; c0 += Q_TILE_N) {
                const int count = min(Q_TILE_N, size - c0);
                const long j0 = b0 + c0, j1 = j0 + count;
                barrier(CLK_LOCAL_MEM_FENCE);
                for (int k = item; k < Q_TILE_N; k += Q_LOCAL) {
                    shared->column[k] = q_load_column(Q_ARGUMENTS, &u, min(j0 + k, j1 - 1));
#if Q_EXPANSION
                    shared->column_square[k] = 0;
                    if (k == 0) shared->again = 0;
#endif
                }
#if Q_K_DIM
                q_sums s[Q_REG_N][Q_REG_M]; /* in registers: never indexed but by unrolled loops */
                q_contract_tile(Q_ARGUMENTS, s, shared, &u, near, group, j0, j1, x0, y0, Q_EXPANSION);
#endif
#if Q_EXPANSION
                barrier(CLK_LOCAL_MEM_FENCE);
                if (q_expand(shared, s, x0, y0)) atomic_or(&shared->again, 1);
                barrier(CLK_LOCAL_MEM_FENCE);
                if (shared->again)
                    q_contract_tile(Q_ARGUMENTS, s, shared, &u, near, group, j0, j1, x0, y0, 0);
#endif
                for (int turn = 0; turn < count; turn += Q_EPILOGUE_N) {
                    const int end = min(turn + Q_EPILOGUE_N, count);
                    barrier(CLK_LOCAL_MEM_FENCE);
#if Q_K_DIM
                    if (y0 >= turn && y0 < turn + Q_EPILOGUE_N)
                        Q_EACH_COLUMN Q_EACH_REG_M shared->sums[y0 - turn + c][x0 + r] = s[c][r];
#endif
#if Q_RHS_DIM
                    q_stage_rhs(Q_ARGUMENTS, shared, &u, turn, j0, j1, span);
#endif
#if Q_RHS_SCALED
                    Q_EACH_ROW shared->scales[item + r * Q_LOCAL] = q_no_scales();
                    if (item == 0) shared->rescaled = 0;
#endif
                    barrier(CLK_LOCAL_MEM_FENCE);
                    q_pair_step(t, shared, &u, rows, Q_COLUMN_NUMBER(j0), turn, end);
#if Q_RHS_DIM
                    barrier(CLK_LOCAL_MEM_FENCE);
#endif
#if Q_RHS_SCALED
                    if (shared->rescaled) q_rescale_sums(block_acc, acc, shared, x0, one);
#endif
#if Q_RHS_DIM
                    q_accumulate_step(block_acc, shared, &u, near, rows_rhs, x0, z0, turn, end - turn);
#endif
                }
            }
            Q_EACH_ROW q_block(&t[r]);
#if Q_RHS_DIM
            Q_EACH_REG_M Q_EACH_RHS
            {
                q_flush(&acc[r * one], &block_acc[c][r], c);
                block_acc[c][r] = q_no_block_acc();
            }
#endif
        }
    }
#if !Q_RHS_DIM
    Q_WRITE_OUT(row0);
#elif Q_SPLIT
    if (span == 0) Q_EACH_ROW q_store_state(&t[r], Q_STATE_OF(row0 + r * Q_ROW_STEP), Q_STATE_STRIDE);
    Q_EACH_REG_M q_store_state_rhs(&acc[r * one], Q_STATE_OF(group + (long)(x0 + r) * Q_LANES), Q_STATE_STRIDE, span + z0);
#else
    barrier(CLK_LOCAL_MEM_FENCE);
    Q_EACH_ROW local_memory.state[item + r * Q_LOCAL] = t[r];
    barrier(CLK_LOCAL_MEM_FENCE);
    Q_EACH_REG_M
    {
        const q_state state = local_memory.state[x0 + r];
        q_store(Q_ARGUMENTS, Q_OUTPUTS, &state, &acc[r * one], span + z0, group + (long)(x0 + r) * Q_LANES);
    }
#endif
}
