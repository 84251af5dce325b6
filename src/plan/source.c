/*
 * source.c: the text of a kernel: the plan's numbers as macros, the prelude, the reductions that are used, the
 * the space, the generated functions and the scheme. #line directives name the .cl files, so that a compiler's messages
 * point into them. The kernel's name ends in the digest of the rest, so profilers tell kernels apart.
 */
#include <stdio.h>
#include <string.h>

#include "plan/plan.h"

static void add_text(q_text *out, const char *name, const char *text)
{
    q_text_add(out, "#line 1 \"%s.cl\"\n", name);
    q_text_append(out, text, strlen(text));
}

static void add_file(q_text *out, const char *name)
{
    add_text(out, name, q_cl_file(name));
}

/* Whether no reduction before r uses the same section (with the same K). */
static bool is_first(const q_ir *program, size_t r, bool with_K)
{
    for (size_t old = 0; old < r; old++)
        if (strcmp(q_ops[program->reductions[old].op].state, q_ops[program->reductions[r].op].state) == 0 &&
            (!with_K || program->reductions[old].K == program->reductions[r].K))
            return false;
    return true;
}

static void add_macros(q_text *out, const q_ir *program, const q_plan *plan, q_role role)
{
    bool merge = role == Q_ROLE_MERGE;
    q_text_add(out, "#define Q_GENERATED\n#define Q_F64 %d\n#define Q_LANES %d\n", plan->dtype == QUERN_F64,
               plan->lanes);
    q_text_add(out, "#define Q_ROWS %d\n#define Q_LOCAL %d\n", plan->rows, plan->local);
    for (size_t k = 0; k < Q_MAX_SHAPE && plan->scheme->shape[k] && !merge; k++)
        q_text_add(out, "#define Q_%s %d\n", plan->scheme->shape[k], plan->shape[k]);
    if (plan->scheme->loops)
        q_text_add(out, "#define Q_K_DIM %u\n#define Q_RHS_DIM %u\n", program->k_dim, program->rhs_dim);
    if (q_rhs_is_scaled(program)) q_text_add(out, "#define Q_RHS_SCALED 1\n");
    if (plan->rhs_per_item) q_text_add(out, "#define Q_RHS_PER_ITEM %d\n", plan->rhs_per_item);
    if (plan->accumulate && !merge) q_text_add(out, "#define Q_ACCUMULATE 1\n");
    if (role == Q_ROLE_LAST) q_text_add(out, "#define Q_LAST 1\n");
    if (plan->named) q_text_add(out, "#define Q_NAMED 1\n");
    q_text_add(out, "#define Q_BLOCK %lld\n#define Q_KAHAN %d\n", (long long)plan->block, plan->kahan);
    q_text_add(out, "#define Q_SPLIT %d\n#define Q_VECTOR_MATH %d\n", plan->split, plan->profile.vector_math);
    if (q_plan_uses_ptx(plan)) q_text_add(out, "#define Q_PTX 1\n");
    if (q_plan_max_registers(plan) && !merge)
        q_text_add(out, "#define Q_MAX_REGISTERS %d\n", q_plan_max_registers(plan));
    if (q_plan_sub_group(plan) && !merge) q_text_add(out, "#define Q_SUB_GROUP %d\n", q_plan_sub_group(plan));
    for (size_t r = 0; r < program->reduction_count; r++)
        if (is_first(program, r, false)) q_text_add(out, "#define Q_USE_%s\n", q_ops[program->reductions[r].op].state);
}

/* Sections with a count K are macros, made into functions for each K in use. */
static void add_counted_sections(q_text *out, const q_ir *program)
{
    for (size_t r = 0; r < program->reduction_count; r++)
        if (program->reductions[r].K && is_first(program, r, true))
            q_text_add(out, "Q_%s(%s%d, %d)\n", q_ops[program->reductions[r].op].state,
                       q_ops[program->reductions[r].op].state, program->reductions[r].K, program->reductions[r].K);
}

static bool uses_special(const q_ir *program)
{
    for (q_ref v = 1; v < program->count; v++) {
        const q_scalar *value = &program->values[v];
        if (program->uses[v] && value->kind == Q_V_OP && q_ops[value->op].special) return true;
    }
    return false;
}

static bool uses_tables(const q_ir *program)
{
    bool any = false;
    for (size_t a = 0; a < program->input_count; a++) any = any || program->inputs[a].table;
    return any;
}

static bool uses_count(const q_ir *program)
{
    bool any = false;
    for (size_t r = 0; r < program->reduction_count; r++) any = any || program->reductions[r].K;
    return any;
}

static void add_special(q_text *out, const q_plan *plan)
{
    add_file(out, "special");
    if (plan->lanes == 1) return;
    q_text_add(out, "#define Q_SINGLE\n");
    add_file(out, "special");
}

static quern_status add_all(q_text *out, const q_ir *program, const q_plan *plan, q_role role)
{
    add_macros(out, program, plan, role);
    q_add_parameters(out, program, plan, role);
    if (q_plan_uses_ptx(plan)) add_file(out, "ptx");
    add_file(out, "prelude");
    if (plan->lanes > 1 && plan->dtype == QUERN_F32 && plan->profile.vector_math) add_file(out, "math");
    if (uses_special(program)) add_special(out, plan);
    if (uses_tables(program)) add_file(out, "lookup");
    if (program->reduction_count) add_file(out, "reductions");
    if (uses_count(program)) add_file(out, "select");
    if (q_has_exact(program, false)) q_text_add(out, "#pragma OPENCL FP_CONTRACT OFF\n");
    add_file(out, plan->listed ? "space_list" : "space_dense");
    q_text_add(out, "#line 1 \"formula\"\n");
    add_counted_sections(out, program);
    Q_TRY(q_emit(out, program, plan));
    add_file(out, "frame");
    const q_scheme *scheme = plan->scheme;
    size_t parts = role == Q_ROLE_MERGE ? 0 : role == Q_ROLE_PACK ? 2 : Q_COUNT(scheme->parts);
    for (size_t k = 0; k < parts && scheme->parts[k]; k++) add_file(out, scheme->parts[k]);
    if (role == Q_ROLE_MERGE) add_file(out, "merge");
    else if (role == Q_ROLE_PACK) add_file(out, scheme->pack);
    else add_text(out, scheme->name, scheme->text ? scheme->text() : q_cl_file(scheme->name));
    return out->failed ? q_fail_memory(out->capacity) : QUERN_OK;
}

quern_status q_source(q_text *out, char name[Q_KERNEL_NAME], const q_ir *program, const q_plan *plan, q_role role)
{
    static const char *const roles[] = {
        [Q_ROLE_MAIN] = "", [Q_ROLE_MERGE] = "_merge", [Q_ROLE_PACK] = "_pack", [Q_ROLE_LAST] = "_last"};
    q_text body = {0};
    char digest[33] = "";
    quern_status status = add_all(&body, program, plan, role);
    if (!status) q_digest_hex(body.data, strlen(body.data), digest);
    snprintf(name, Q_KERNEL_NAME, "quern_%s%s_%s_%.8s", plan->scheme->name, roles[role],
             plan->dtype == QUERN_F64 ? "f64" : "f32", digest);
    if (!status) q_text_add(out, "#define Q_NAME %s\n", name);
    if (!status) q_text_append(out, body.data, strlen(body.data));
    q_text_free(&body);
    if (status) return status;
    return out->failed ? q_fail_memory(out->capacity) : QUERN_OK;
}
