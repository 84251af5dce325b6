/*
 * scheme_gemm.c: the scheme `gemm` (cl/gemm.cl) for stages with loops over components: a work-item has the sums of a register
 * tile, a few vectors of rows with a few columns. What it reads of rows and columns stays in the caches, so it is for
 * CPUs, and for whatever is too much for gemm_local.
 */
#include "plan/plan.h"

enum { REG_N, EXPANSION }; /* columns of a register tile; q_expansion */

enum { TILE_BYTES = 1 << 20 /* of a work-item on its thread's stack */ };

/* What a work-item keeps of its rows: contracted components, twice if they are expanded, and right-hand sides of
   four numbers. */
static int tile_rows(const q_ir *program, const q_plan *plan)
{
    size_t number = (size_t)plan->lanes * q_element_size(plan->dtype);
    size_t bytes = number * (program->k_dim * (program->expansion ? 2 : 1) + program->rhs_dim * 5);
    int rows = plan->profile.reg_m;
    while (rows > 1 && bytes * (size_t)rows > TILE_BYTES) rows /= 2;
    return rows;
}

static const char *choose(q_plan *plan, const q_ir *program)
{
    bool shares = q_shares_local(&plan->profile);
    if (!program->k_dim && !program->rhs_dim) return Q_NO_LOOPS;
    if (!plan->rows) plan->rows = plan->few_rows || shares ? 1 : tile_rows(program, plan);
    plan->shape[REG_N] = plan->profile.reg_n;
    if (program->k_dim && program->rhs_dim && shares) plan->shape[REG_N] = (plan->profile.reg_n + 1) / 2;
    plan->shape[EXPANSION] = (int)program->expansion;
    return NULL;
}

static void dump(const q_plan *plan, const q_ir *program, q_text *out)
{
    q_dump_loops(plan->shape[REG_N], (q_expansion)plan->shape[EXPANSION], program, out);
}

/* Of all schemes `gemm`. */
void q_dump_loops(int reg_n, q_expansion expansion, const q_ir *program, q_text *out)
{
    q_text_add(out, "  %d columns at once; loops over %u components of contractions%s, %u of right-hand sides\n", reg_n,
               program->k_dim,
               expansion == Q_GUARDED    ? " (expanded, guarded)"
               : expansion == Q_SCREENED ? " (expanded, screened)"
                                         : "",
               program->rhs_dim);
}

const q_scheme q_scheme_gemm = {
    .name = "gemm", .shape = {"REG_N", "EXPANSION"}, .loops = true, .choose = choose, .dump = dump};
