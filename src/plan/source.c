/*
 * source.c: the text of a kernel: the plan's numbers as macros, the prelude, the reductions that are used, the generated
 * functions, the walk and the scheme. #line directives name the .cl files, so that a compiler's messages point into them.
 */
#include <string.h>

#include "plan/plan.h"

static void add_file(q_text *out, const char *name)
{
    q_text_add(out, "#line 1 \"%s.cl\"\n", name);
    const char *text = q_cl_file(name);
    q_text_append(out, text, strlen(text));
}

static void add_macros(q_text *out, const q_program_ir *program, const q_plan *plan, bool merge)
{
    q_text_add(out, "#define Q_F64 %d\n#define Q_LANES %d\n", plan->dtype == QUERN_F64, plan->lanes);
    q_text_add(out, "#define Q_ROWS %d\n#define Q_LOCAL %d\n#define Q_TILE %d\n", plan->rows, plan->local, merge ? 0 : plan->tile);
    q_text_add(out, "#define Q_BLOCK %lld\n#define Q_KAHAN %d\n", (long long)plan->block, plan->kahan);
    q_text_add(out, "#define Q_SPLIT %d\n#define Q_VECTOR_MATH %d\n", plan->split, plan->profile.vector_math);
    for (size_t r = 0; r < program->reduction_count; r++) {
        bool first = true;
        for (size_t before = 0; before < r; before++) first = first && program->reductions[before].op != program->reductions[r].op;
        if (first) q_text_add(out, "#define Q_USE_%s\n", q_ops[program->reductions[r].op].name);
    }
}

quern_status q_source(q_text *out, const q_program_ir *program, const q_plan *plan, bool merge)
{
    add_macros(out, program, plan, merge);
    add_file(out, "prelude");
    if (program->reduction_count) add_file(out, "reductions");
    q_text_add(out, "#line 1 \"formula\"\n");
    Q_TRY(q_emit(out, program, plan));
    if (!merge) add_file(out, "walk_dense");
    add_file(out, merge ? "merge" : "row");
    return out->failed ? q_fail_memory(out->capacity) : QUERN_OK;
}
