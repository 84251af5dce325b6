/*
 * scheme_gemm_local.c: the scheme `gemm_local` (cl/gemm_local.cl) for stages with loops over components where groups share
 * local memory (GPUs): a group stages components of its rows and of a tile's columns there, each work-item has the sums of
 * a register tile, and these change hands through local memory, so that the epilogue is done by the owners of rows.
 */
#include "plan/plan.h"

enum {
    REG_N,      /* columns of a register tile */
    EXPANSION,  /* q_expansion */
    TILE_N,     /* columns of a group's tile */
    TILE_K,     /* components staged at once */
    THREADS_N,  /* work-items along the columns, which share their rows */
    EPILOGUE_N, /* columns whose sums change hands at once */
    UNROLL,     /* of these, taken between two looks at the loop's counter, and ... */
    RHS_UNROLL, /* ... by the loop over right-hand sides */
};

enum {
    USUAL_TILE_K = 4, /* components of a chunk, where the profile has none */
    MOST_RHS_M = 4,   /* rows of a register tile with right-hand sides: more of these took twice the time on an H200 */
    UNROLLED_TEXT = 32, /* statements of the pairs that are unrolled */
    SUM_BYTES = 8192    /* of the sums that go through local memory at once, so that several groups fit a processor */
};

/* Members of q_weights, which has one at least. */
static size_t weight_count(const q_ir *program)
{
    return program->weights ? program->weights : 1;
}

static size_t rhs_sum_count(const q_ir *program)
{
    size_t count = 0;
    for (size_t r = 0; r < program->reduction_count; r++) count += q_owns_rhs(program, r);
    return count;
}

static size_t scale_count(const q_ir *program)
{
    size_t count = 0;
    for (size_t r = 0; r < program->reduction_count; r++) count += program->reductions[r].weight != 0;
    return q_rhs_is_scaled(program) ? count : 0;
}

/* What a group shares in gemm_local.cl, in bytes, at most; each of its arrays may begin a little later for its alignment. */
static size_t shared_bytes(const q_plan *plan, const q_ir *program)
{
    size_t number = q_element_size(plan->dtype), vector = number * (size_t)plan->lanes, gaps = 12 * 16;
    size_t rows = (size_t)(plan->rows * plan->local + 4), columns = (size_t)plan->shape[TILE_N],
           epilogue = (size_t)plan->shape[EPILOGUE_N];
    size_t bytes = gaps + 3 * columns * (q_member_count(program, Q_COLUMN) * number + 16);
    if (program->k_dim) {
        size_t x = q_member_count(program, Q_ROW | Q_K_LOOP) * vector,
               y = q_member_count(program, Q_COLUMN | Q_K_LOOP) * number;
        bytes += 2 * (size_t)plan->shape[TILE_K] * (x * rows + y * (columns + 4)) +
                 epilogue * program->sum_count * vector * rows;
    }
    if (plan->shape[EXPANSION])
        bytes +=
            number * (program->k_dim + (size_t)plan->shape[TILE_K] + columns * (1 + 2 * (size_t)plan->shape[TILE_K])) +
            vector * rows;
    if (!program->rhs_dim) return bytes;
    size_t rhs = (size_t)(plan->shape[THREADS_N] * plan->rhs_per_item + 4),
           words = 2 + scale_count(program); /* of a state: more than it leaves */
    for (size_t r = 0; r < program->reduction_count; r++)
        words += 2 * (size_t)q_ops[program->reductions[r].op].words(program->reductions[r].K) * q_own_dim(program, r);
    bytes += 2 * epilogue *
             (weight_count(program) * vector * rows + q_member_count(program, Q_COLUMN | Q_RHS_LOOP) * number * rhs);
    bytes += 2 * scale_count(program) * vector * rows;
    return bytes > words * vector * rows ? bytes : words * vector * rows;
}

/* How many right-hand sides fit the registers of a work-item, for each row that it shares. */
static void keep_rhs(q_plan *plan, const q_ir *program)
{
    int of_component = (int)(rhs_sum_count(program) + q_live_values(program, Q_ROW | Q_RHS_LOOP));
    int most = plan->profile.rhs_registers / (plan->dtype == QUERN_F64 ? 2 : 1) /
               (plan->rows * plan->shape[THREADS_N] * of_component);
    plan->rhs_per_item = 1;
    while (2 * plan->rhs_per_item <= most && plan->rhs_per_item * plan->shape[THREADS_N] < (int)program->rhs_dim)
        plan->rhs_per_item *= 2;
    plan->rhs_groups = ((int)program->rhs_dim + plan->rhs_per_item * plan->shape[THREADS_N] - 1) /
                       (plan->rhs_per_item * plan->shape[THREADS_N]);
}

/* An epilogue takes as many columns of each work-item, fewer where sums and weights would take much local memory. */
static void shorten_epilogue(q_plan *plan, const q_ir *program)
{
    size_t numbers = program->k_dim ? program->sum_count : 0;
    if (program->rhs_dim) numbers += 2 * weight_count(program);
    size_t bytes = numbers * q_element_size(plan->dtype) * (size_t)(plan->lanes * plan->rows * plan->local);
    int columns = plan->shape[REG_N]; /* of a work-item */
    while (columns % 2 == 0 &&
           (bytes * (size_t)plan->shape[EPILOGUE_N] > SUM_BYTES || shared_bytes(plan, program) > Q_LOCAL_BYTES)) {
        columns /= 2;
        plan->shape[EPILOGUE_N] = columns * plan->shape[THREADS_N];
    }
}

/* How the work-items of a group share a tile of rows and columns; no tile_k if it does not fit local memory. */
static void share_tile(q_plan *plan, const q_ir *program)
{
    int reg_m = plan->profile.reg_m / plan->rows / (plan->dtype == QUERN_F64 ? 2 : 1); /* in registers of 4 bytes */
    int tile_k = plan->profile.tile_k ? plan->profile.tile_k : USUAL_TILE_K;
    if (plan->dtype == QUERN_F64 && tile_k > 1) tile_k /= 2;
    bool fewer_rows = program->rhs_dim && reg_m > MOST_RHS_M;
    if (fewer_rows) reg_m = MOST_RHS_M;
    plan->shape[REG_N] = plan->profile.reg_n;
    plan->shape[THREADS_N] = q_largest_factor(reg_m < 1 ? 1 : reg_m, plan->local);
    if (program->rhs_dim && program->k_dim && !fewer_rows)
        plan->shape[REG_N] = (plan->shape[REG_N] + 1) / 2; /* their sums share the registers */
    plan->shape[TILE_N] = plan->shape[THREADS_N] * plan->shape[REG_N];
    plan->shape[EPILOGUE_N] = plan->shape[TILE_N];
    plan->shape[EXPANSION] = q_tile_expansion(program);
    plan->shape[TILE_K] = program->k_dim ? q_largest_factor(tile_k, plan->local) : 1;
    if (program->rhs_dim) keep_rhs(plan, program);
    shorten_epilogue(plan, program);
    while (plan->shape[TILE_K] && shared_bytes(plan, program) > Q_LOCAL_BYTES) plan->shape[TILE_K] /= 2;
    size_t text = program->statements[Q_ROW | Q_COLUMN] + (size_t)q_plan_words(program);
    plan->shape[UNROLL] = plan->dtype == QUERN_F64 || tile_k < 4 ? 1 : tile_k / 2;
    plan->shape[RHS_UNROLL] = program->k_dim ? 1 : plan->shape[UNROLL]; /* sums take the registers */
    while (plan->shape[UNROLL] > 1 && text * (size_t)plan->shape[UNROLL] > UNROLLED_TEXT) plan->shape[UNROLL] /= 2;
}

static const char *choose(q_plan *plan, const q_ir *program)
{
    if (!program->k_dim && !program->rhs_dim) return Q_NO_LOOPS;
    if (!q_shares_local(&plan->profile)) return "the profile stages nothing in local memory";
    if (!plan->rows) plan->rows = 1;
    share_tile(plan, program);
    return plan->shape[TILE_K] ? NULL : "a tile does not fit 32 KB of local memory";
}

static void dump(const q_plan *plan, const q_ir *program, q_text *out)
{
    q_dump_loops(plan->shape[REG_N], (q_expansion)plan->shape[EXPANSION], program, out);
    q_text_add(out, "  tiles of %d columns, %d components at a time, in local memory; epilogues of %d columns\n",
               plan->shape[TILE_N], plan->shape[TILE_K], plan->shape[EPILOGUE_N]);
    if (plan->rhs_per_item)
        q_text_add(out, "  %d right-hand sides in each of %d work-items, %d groups for all\n", plan->rhs_per_item,
                   plan->shape[THREADS_N], plan->rhs_groups);
}

const q_scheme q_scheme_gemm_local = {
    .name = "gemm_local",
    .parts = {"gemm_steps"},
    .shape = {"REG_N", "EXPANSION", "TILE_N", "TILE_K", "THREADS_N", "EPILOGUE_N", "UNROLL", "RHS_UNROLL"},
    .loops = true,
    .runs = true,
    .choose = choose,
    .local_bytes = shared_bytes,
    .dump = dump};
