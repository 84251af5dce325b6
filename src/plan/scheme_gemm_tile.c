/*
 * scheme_gemm_tile.c: the scheme `gemm_tile` (cl/gemm_tile.cl) for stages with contractions where groups share local memory
 * (GPUs): a tile of rows and columns is a product of matrices, with its sums in registers, on which the epilogue is done; states
 * of work-items along the columns are merged in the end.
 */
#include "plan/plan.h"

enum {
    REG_N,     /* columns of a register tile */
    EXPANSION, /* q_expansion */
    TILE_N,    /* columns of a group's tile */
    TILE_K,    /* components of a chunk */
    THREADS_N, /* work-items along the columns, which share their rows */
};

enum {
    PIECE = 4,         /* rows and columns of a register tile are multiples of it */
    MOST_TILE_N = 256, /* columns: there may be as few */
    MOST_MEMBERS = 3,  /* numbers of a component of a row, or of a column */
    MOST_WORDS = 8,    /* of the states of a row: each work-item has them for all its rows */
    MOST_TEXT = 2048   /* statements of the epilogue, unrolled for a register tile */
};

/* What a group shares in gemm_tile.cl, in bytes, at most; each of its arrays may begin a little later for its alignment. */
static size_t shared_bytes(const q_plan *plan, const q_ir *program)
{
    size_t number = q_element_size(plan->dtype), gaps = 8 * 32, rows = (size_t)(plan->rows * plan->local),
           columns = (size_t)plan->shape[TILE_N];
    size_t bytes = gaps + 2 * columns * (q_member_count(program, Q_COLUMN) * number + 16);
    bytes += 2 * number * (size_t)plan->shape[TILE_K] *
             (q_member_count(program, Q_ROW | Q_K_LOOP) * (rows + PIECE) +
              q_member_count(program, Q_COLUMN | Q_K_LOOP) * (columns + PIECE));
    size_t run = plan->shape[TILE_K] % PIECE == 0 && program->k_dim % PIECE == 0 ? PIECE : 2;
    size_t runs = ((size_t)plan->shape[TILE_K] + run - 1) / run;
    if (plan->shape[EXPANSION]) bytes += number * (program->k_dim + 2 * runs * columns + rows);
    size_t states = (2 * (size_t)q_plan_words(program) + 1) * number * rows; /* one has more words than it leaves */
    return bytes > states ? bytes : states;
}

/* Whether the states of columns that are not next to each other can be merged. */
static bool merges(const q_ir *program)
{
    for (size_t r = 0; r < program->reduction_count; r++)
        if (program->reductions[r].K || q_ops[program->reductions[r].op].reduction == Q_INDEX) return false;
    return true;
}

static bool has_integers(const q_ir *program)
{
    for (q_ref v = 1; v < program->count; v++)
        if (program->uses[v] && (program->values[v].scope & Q_K_LOOP) && program->values[v].integer) return true;
    return false;
}

const char *q_tiles_refuse(const q_plan *plan, const q_ir *program)
{
    if (plan->listed) return "a list of rows and columns may have fewer than a tile";
    if (plan->lanes > 1) return "rows are in vectors";
    if (plan->few_rows || plan->rows > plan->profile.rows) return "there may be fewer rows than in a tile";
    if (plan->few_columns) return "there may be fewer columns than in a tile";
    if (!merges(program)) return "a selection needs columns in their order";
    return has_integers(program) ? "components are integers" : NULL;
}

static const char *choose(q_plan *plan, const q_ir *program)
{
    if (!program->k_dim) return "no contraction is of min_k components";
    if (!q_shares_local(&plan->profile) || !plan->profile.tile_k) return "the profile has no tile_k";
    const char *refusal = program->rhs_dim ? "there are right-hand sides" : q_tiles_refuse(plan, program);
    if (refusal) return refusal;
    if (q_member_count(program, Q_ROW | Q_K_LOOP) > MOST_MEMBERS ||
        q_member_count(program, Q_COLUMN | Q_K_LOOP) > MOST_MEMBERS)
        return "a component is of many numbers";
    if (q_plan_words(program) > MOST_WORDS) return "a work-item cannot keep the states of all its rows";
    if (!plan->rows) plan->rows = 1;
    bool wide = plan->dtype == QUERN_F64;
    int reg_m = plan->profile.reg_m / plan->rows / (wide ? 2 : 1); /* in registers of 4 bytes */
    plan->shape[THREADS_N] = q_largest_factor(reg_m < 1 ? 1 : reg_m, plan->local);
    plan->shape[REG_N] = plan->profile.reg_n;
    if (program->sum_count > 1) plan->shape[REG_N] /= 2;
    if (plan->shape[REG_N] < PIECE || plan->shape[REG_N] % PIECE || plan->rows * plan->shape[THREADS_N] % PIECE)
        return "register tiles are not of pieces of 4 x 4";
    if (program->sum_count > 2) return "there are more contractions than registers for their sums";
    int pairs = plan->rows * plan->shape[THREADS_N] * plan->shape[REG_N];
    if ((int)program->statements[Q_PAIR] * pairs > MOST_TEXT) return "the epilogue is long";
    plan->shape[TILE_N] = plan->shape[THREADS_N] * plan->shape[REG_N];
    if (plan->shape[TILE_N] > MOST_TILE_N) return "there may be fewer columns than in a tile";
    plan->shape[EXPANSION] = q_tile_expansion(program);
    plan->shape[TILE_K] = q_largest_factor(plan->profile.tile_k, plan->local);
    while (plan->shape[TILE_K] > (int)program->k_dim) plan->shape[TILE_K] /= 2;
    return shared_bytes(plan, program) <= Q_LOCAL_BYTES ? NULL : "a tile does not fit 32 KB of local memory";
}

static void dump(const q_plan *plan, const q_ir *program, q_text *out)
{
    q_dump_loops(plan->shape[REG_N], (q_expansion)plan->shape[EXPANSION], program, out);
    q_text_add(out, "  tiles of %lld x %d, chunks of %d components in local memory, %d x %d in registers\n",
               (long long)q_plan_group_rows(plan), plan->shape[TILE_N], plan->shape[TILE_K],
               plan->rows * plan->shape[THREADS_N], plan->shape[REG_N]);
}

const q_scheme q_scheme_gemm_tile = {.name = "gemm_tile",
                                     .shape = {"REG_N", "EXPANSION", "TILE_N", "TILE_K", "THREADS_N"},
                                     .loops = true,
                                     .tiles = true,
                                     .runs = true,
                                     .bounded = true,
                                     .choose = choose,
                                     .local_bytes = shared_bytes,
                                     .dump = dump};
