/*
 * scheme_gemm.c: the scheme `gemm` (cl/gemm.cl) for stages with loops over components: a work-item has the sums of a register
 * tile, a few vectors of rows with a few columns. What it reads of rows and columns stays in the caches, so it is for
 * CPUs, and for whatever is too much for gemm_local.
 */
#include "plan/plan.h"

enum { REG_M, REG_N, CHUNK, EXPANSION }; /* a register tile; columns taken at once; q_expansion */

enum {
    TILE_BYTES = 1 << 20,   /* of a work-item on its thread's stack */
    CHUNK_BYTES = 10 << 10, /* of columns, which share a first-level cache with the rows of a tile */
    MOST_CHUNK = 32         /* columns, of which the last ones are not all there */
};

/* What a work-item keeps of its rows: contracted components, twice if they are expanded, and right-hand sides of
   four numbers. */
static int tile_rows(const q_ir *program, const q_plan *plan)
{
    size_t number = (size_t)plan->lanes * q_element_size(plan->dtype);
    size_t bytes = number * (program->k_dim * (program->expansion ? 2 : 1) + program->rhs_dim * 5);
    bool shares = program->expansion || !program->k_dim; /* more than columns as they are */
    int reg_m = plan->profile.reg_m, tiles = plan->many_rows && shares ? plan->profile.reg_tiles : 1;
    while (tiles > 1 && bytes * (size_t)(reg_m * tiles) > TILE_BYTES) tiles /= 2;
    while (reg_m > 1 && bytes * (size_t)reg_m > TILE_BYTES) reg_m /= 2;
    return reg_m * tiles;
}

/* Columns for all tiles of a work-item, as many as leave most of the cache to the rows of one. */
static int chunk_of(const q_ir *program, const q_plan *plan)
{
    int reg_n = plan->shape[REG_N], columns = reg_n;
    size_t bytes = (program->k_dim + program->rhs_dim) * q_element_size(plan->dtype);
    while (plan->rows > plan->shape[REG_M] && columns + reg_n <= MOST_CHUNK &&
           bytes * (size_t)(columns + reg_n) <= CHUNK_BYTES)
        columns += reg_n;
    return columns;
}

static const char *choose(q_plan *plan, const q_ir *program)
{
    bool shares = q_shares_local(&plan->profile);
    if (!program->k_dim && !program->rhs_dim) return Q_NO_LOOPS;
    if (!plan->rows) plan->rows = plan->few_rows || shares ? 1 : tile_rows(program, plan);
    plan->shape[REG_N] = plan->profile.reg_n;
    if (program->k_dim && program->rhs_dim && shares) plan->shape[REG_N] = (plan->profile.reg_n + 1) / 2;
    plan->shape[EXPANSION] = (int)program->expansion;
    plan->shape[REG_M] = plan->profile.reg_m < plan->rows ? plan->profile.reg_m : plan->rows;
    while (plan->rows % plan->shape[REG_M]) plan->shape[REG_M]--;
    plan->shape[CHUNK] = chunk_of(program, plan);
    return NULL;
}

static void dump(const q_plan *plan, const q_ir *program, q_text *out)
{
    q_dump_loops(plan->shape[REG_N], (q_expansion)plan->shape[EXPANSION], program, out);
    if (plan->shape[CHUNK] > plan->shape[REG_N])
        q_text_add(out, "  %d columns for %d register tiles of %d vectors of rows\n", plan->shape[CHUNK],
                   plan->rows / plan->shape[REG_M], plan->shape[REG_M]);
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
    .name = "gemm", .shape = {"REG_M", "REG_N", "CHUNK", "EXPANSION"}, .loops = true, .choose = choose, .dump = dump};
