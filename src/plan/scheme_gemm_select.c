/*
 * scheme_gemm_select.c: the scheme `gemm_select` (cl/gemm_select.cl) for selections of squared distances of long vectors where
 * groups share local memory (GPUs): tiles as in gemm_local, whose pairs only tell which columns may be chosen; those
 * queue for the owners of rows, who compute their distances and keep the lists.
 */
#include "plan/plan.h"

enum {
    REG_N,      /* columns of a register tile */
    EXPANSION,  /* q_expansion */
    TILE_N,     /* columns of a group's tile */
    TILE_K,     /* components staged at once */
    THREADS_N,  /* work-items along the columns, which share their rows */
    EPILOGUE_N, /* columns of a turn of gemm_local: all */
    QUEUE,      /* places of a row's queue */
    WHOLE,      /* whether there are as many rows and columns as in a tile */
};

enum {
    USUAL_TILE_K = 4,   /* components of a chunk, where the profile has none */
    PLACES = 8,         /* of a queue */
    MOST_CENTRE = 1024, /* components of a centre that is kept in local memory */
    MOST_WORDS = 256    /* of a row's list, which its owner goes through for each candidate */
};

/* What a group shares in gemm_select.cl, in bytes, at most; each of its arrays may begin a little later for its alignment. */
static size_t shared_bytes(const q_plan *plan, const q_ir *program)
{
    size_t number = q_element_size(plan->dtype), gaps = 12 * 16, rows = (size_t)(plan->rows * plan->local),
           columns = (size_t)plan->shape[TILE_N], tile_k = (size_t)plan->shape[TILE_K];
    size_t bytes = gaps + 2 * tile_k * number *
                              (q_member_count(program, Q_ROW | Q_K_LOOP) * (rows + 4) +
                               q_member_count(program, Q_COLUMN | Q_K_LOOP) * (columns + 4));
    bytes += number * (program->k_dim + tile_k + columns * (1 + 2 * tile_k) + rows);
    return bytes + rows * (number + 4 + 4 * (size_t)plan->shape[QUEUE]);
}

static void share_tile(q_plan *plan, const q_ir *program)
{
    int reg_m = plan->profile.reg_m / plan->rows / (plan->dtype == QUERN_F64 ? 2 : 1); /* in registers of 4 bytes */
    int tile_k = plan->profile.tile_k ? plan->profile.tile_k : USUAL_TILE_K;
    plan->shape[REG_N] = plan->profile.reg_n;
    plan->shape[EXPANSION] = Q_SCREENED;
    plan->shape[THREADS_N] = q_largest_factor(reg_m < 1 ? 1 : reg_m, plan->local);
    plan->shape[TILE_N] = plan->shape[EPILOGUE_N] = plan->shape[THREADS_N] * plan->shape[REG_N];
    plan->shape[TILE_K] = q_largest_factor(plan->dtype == QUERN_F64 && tile_k > 1 ? tile_k / 2 : tile_k, plan->local);
    plan->shape[QUEUE] = PLACES;
    plan->shape[WHOLE] = !plan->few_rows && !plan->few_columns && !plan->listed;
    while (plan->shape[TILE_K] && shared_bytes(plan, program) > Q_LOCAL_BYTES) plan->shape[TILE_K] /= 2;
}

static const char *choose(q_plan *plan, const q_ir *program)
{
    if (!program->k_dim) return "no contraction is of min_k components";
    if (program->expansion != Q_SCREENED)
        return "it is for selections of the smallest of one squared distance, as it stands";
    if (!q_shares_local(&plan->profile)) return "the profile stages nothing in local memory";
    if (plan->lanes > 1) return "rows are in vectors";
    if (program->k_dim > MOST_CENTRE) return "a centre of so many components is too much for local memory";
    if (q_plan_words(program) > MOST_WORDS) return "the lists are long";
    if (plan->rows > 1) return "a work-item has several rows";
    plan->rows = 1;
    share_tile(plan, program);
    return plan->shape[TILE_K] ? NULL : "a tile does not fit 32 KB of local memory";
}

static void dump(const q_plan *plan, const q_ir *program, q_text *out)
{
    q_dump_loops(plan->shape[REG_N], (q_expansion)plan->shape[EXPANSION], program, out);
    q_text_add(
        out,
        "  tiles of %lld x %d, chunks of %d components in local memory, %d x %d in registers, queues of %d columns\n",
        (long long)q_plan_group_rows(plan), plan->shape[TILE_N], plan->shape[TILE_K],
        plan->rows * plan->shape[THREADS_N], plan->shape[REG_N], plan->shape[QUEUE]);
}

const q_scheme q_scheme_gemm_select = {
    .name = "gemm_select",
    .parts = {"gemm_steps"},
    .shape = {"REG_N", "EXPANSION", "TILE_N", "TILE_K", "THREADS_N", "EPILOGUE_N", "QUEUE", "WHOLE"},
    .loops = true,
    .runs = true,
    .bounded = true,
    .choose = choose,
    .local_bytes = shared_bytes,
    .dump = dump};
