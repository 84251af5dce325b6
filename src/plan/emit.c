/*
 * emit.c: a program as OpenCL C: the types and functions that fill the holes of cl/row.cl, cl/gemm.cl and cl/merge.cl.
 * Nothing of the user's text gets here: only numbers, table rows and positions.
 */
#include <stdlib.h>
#include <string.h>

#include "plan/emitter.h"

// ---- what is needed where ----

static void need(q_emitter *e, q_ref v, uint8_t why)
{
    e->need[v] |= why;
}

/* The loop in which what is summed stands. */
static uint8_t loop_of_term(const q_ir *p, size_t r)
{
    return p->reductions[r].rhs ? Q_PAIR | Q_RHS_LOOP : Q_PAIR;
}

/* Operands of what is needed are needed for the same purpose; values read by another loop are kept. */
static void spread_needs(q_emitter *e)
{
    const q_ir *p = e->p;
    for (size_t r = 0; r < p->reduction_count; r++)
        for (uint32_t d = 0; d < q_term_count(p, r); d++) need(e, p->reductions[r].terms[d], 1);
    for (size_t o = 0; o < p->output_count; o++) {
        uint32_t statements = q_is_selection(p, o) ? 0 : q_value_count(p, o);
        for (uint32_t d = 0; d < statements; d++) need(e, p->results[o][d], 2);
    }
    for (q_ref v = (q_ref)p->count - 1; v; v--)
        for (int a = 0; a < 3; a++) {
            q_ref operand = p->values[v].arg[a];
            if (!e->need[v] || !operand) continue;
            need(e, operand, e->need[v]);
            uint8_t scope = p->values[v].kind == Q_V_SUM ? Q_PAIR | Q_K_LOOP : p->values[v].scope;
            if ((e->need[v] & 1) && p->values[operand].scope != scope) e->kept[operand] = true;
        }
    for (size_t r = 0; r < p->reduction_count; r++)
        for (uint32_t d = 0; d < q_term_count(p, r); d++) {
            q_ref term = p->reductions[r].terms[d];
            if (p->values[term].scope != loop_of_term(p, r)) e->kept[term] = true;
        }
}

// ---- a term that is a product is folded by a fused multiply-add ----

static bool is_single_product(const q_ir *p, q_ref v, uint8_t scope)
{
    const q_scalar *term = &p->values[v];
    return term->scope == scope && term->kind == Q_V_OP && term->op == Q_OP_Mult && !term->exact && !term->integer &&
           p->uses[v] == 1;
}

static void mark_folded(q_emitter *e)
{
    const q_ir *p = e->p;
    for (size_t r = 0; r < p->reduction_count; r++)
        for (uint32_t d = 0; d < q_term_count(p, r); d++) {
            q_ref term = p->reductions[r].terms[d];
            e->folded[term] = e->folded[term] || (q_ops[p->reductions[r].op].reduction == Q_LINEAR &&
                                                  is_single_product(p, term, loop_of_term(p, r)));
        }
    for (size_t k = 0; k < p->sum_count; k++) {
        q_ref term = p->values[p->sums[k]].arg[0];
        e->folded[term] = is_single_product(p, term, Q_PAIR | Q_K_LOOP);
    }
}

// ---- structs and loaders ----

static bool has_slots(const q_emitter *e, uint8_t scope)
{
    bool any = false;
    for (int a = Q_SLOT_ARRAYS / 2; a < Q_SLOT_ARRAYS; a++) any = any || e->sections[scope]->slots[a];
    return any;
}

/* Tables, for the functions of pairs, which are not given arrays. */
static size_t emit_tables(q_emitter *e, bool members)
{
    size_t count = 0;
    for (size_t a = 0; a < e->p->input_count; a++)
        if (e->p->inputs[a].table)
            q_text_add(e->out, members ? "    __global const sreal *a%zu;\n" : "    out.a%zu = a%zu;\n", a, a), count++;
    if (count) q_text_add(e->out, members ? "    long M, N;\n" : "    out.M = M, out.N = N;\n");
    return count;
}

static void emit_struct(q_emitter *e, const char *name, uint8_t scope)
{
    size_t members = 0;
    bool slots = has_slots(e, scope);
    q_text_add(e->out, "typedef struct {\n");
    for (q_ref v = 1; v < e->p->count; v++)
        if (q_is_member(e, v, scope)) {
            if (!e->sections[scope]->slot[v]) q_text_add(e->out, "    %s v%u;\n", q_emit_type(&e->p->values[v]), v);
            members++;
        }
    q_emit_slots(e, scope, true);
    if (!scope) members += emit_tables(e, true);
    if (!members) q_text_add(e->out, "    int none;\n");
    size_t aligned = slots ? 1 : members;
    if (scope == Q_COLUMN)
        q_text_add(e->out, "} Q_STAGED(%zu) %s;\n", q_plan_column_align(aligned, e->plan->dtype), name);
    else q_text_add(e->out, "} %s;\n", name);
}

/* A function that computes the values of one loop and returns those that inner loops read. */
static void emit_loader(q_emitter *e, const char *type, const char *parameters, uint8_t scope)
{
    e->section = scope;
    q_text_add(e->out, "Q_FN %s q_load_%s(Q_SIGNATURE%s)\n{\n", type, type + 2, parameters);
    if (has_slots(e, scope)) q_text_add(e->out, "    %s out;\n", type);
    q_emit_slots(e, scope, false);
    q_emit_values(e);
    if (!has_slots(e, scope)) q_text_add(e->out, "    %s out;\n", type);
    size_t members = 0;
    for (q_ref v = 1; v < e->p->count; v++)
        if (q_is_member(e, v, scope)) {
            if (!e->sections[scope]->slot[v]) q_text_add(e->out, "    out.v%u = v%u;\n", v, v);
            members++;
        }
    if (!scope) members += emit_tables(e, false);
    if (!members) q_text_add(e->out, "    out.none = 0;\n");
    q_text_add(e->out, "    return out;\n}\n");
}

// ---- what is done for a pair ----

static void emit_pair(q_emitter *e)
{
    e->section = Q_PAIR;
    q_text_add(e->out,
               "Q_FN void q_pair(q_state *t, %sconst q_launch *u, const q_row *r, const q_column *c, %s"
               "const sint j)\n{\n",
               e->plan->scheme->loops ? "q_weights *w, " : "", e->plan->scheme->loops ? "const q_sums *s, " : "");
    q_emit_slots(e, Q_PAIR, false);
    q_emit_values(e);
    q_emit_ends(e);
    for (q_ref v = 1; v < e->p->count && e->plan->scheme->loops; v++)
        if (q_is_member(e, v, Q_PAIR) && !e->sections[Q_PAIR]->slot[v]) q_text_add(e->out, "    w->v%u = v%u;\n", v, v);
    q_text_add(e->out, "}\n");
}

// ---- the loops of the scheme gemm ----

/* Adds a component value to a member of a struct of sums. */
static void emit_add_component(q_emitter *e, const char *member, size_t number, q_ref term)
{
    const q_scalar *value = &e->p->values[term];
    q_text_add(e->out, "    %s%zu = ", member, number);
    if (e->folded[term]) {
        q_text_add(e->out, "q_fma(");
        q_emit_operand(e, value->arg[0], NULL, true, false);
        q_text_add(e->out, ", ");
        q_emit_operand(e, value->arg[1], NULL, true, false);
        q_text_add(e->out, ", %s%zu);\n", member, number);
    } else {
        q_text_add(e->out, "%s%zu + ", member, number);
        q_emit_operand(e, term, NULL, true, false);
        q_text_add(e->out, ";\n");
    }
}

static void emit_contract(q_emitter *e)
{
    const q_ir *p = e->p;
    e->section = Q_PAIR | Q_K_LOOP;
    q_text_add(e->out, "Q_FN void q_contract(q_sums *s, const q_launch *u, const q_row *r, const q_column *c, "
                       "const q_row_k *x, const q_column_k *y)\n{\n");
    q_emit_values(e);
    for (size_t k = 0; k < p->sum_count; k++)
        if (e->need[p->sums[k]]) emit_add_component(e, "s->v", p->sums[k], p->values[p->sums[k]].arg[0]);
    q_text_add(e->out, "}\n");
    q_ref factors[2] = {p->expanded[0], p->expanded[1]};
    if (!p->expansion && !(e->plan->scheme->pack && q_product_find(factors, p))) return;
    q_text_add(e->out, "#define Q_EXPANDED_ROW v%u\n#define Q_EXPANDED_COLUMN v%u\n#define Q_EXPANDED v%u\n",
               factors[0], factors[1], p->sums[0]);
    q_ref exponent;
    if (e->plan->scheme->pack && q_exponent_find(&exponent, p)) {
        e->section = Q_PAIR;
        q_text_add(e->out, "#define Q_EXPONENT ");
        if (exponent) q_emit_operand(e, exponent, NULL, false, false);
        else q_emit_number(e, 1);
        q_text_add(e->out, "\n");
    }
    const q_scalar *y = &p->values[p->expanded[1]];
    if (y->kind == Q_V_LOAD && p->inputs[y->k[1]].axis == p->reduced)
        q_text_add(e->out, "#define Q_EXPANDED_ARRAY(j, d) (a%d + (j) * %u + (d))\n", y->k[1], p->inputs[y->k[1]].dim);
    if (p->expansion != Q_SCREENED) return;
    q_text_add(e->out, "Q_FN real q_limit(const q_state *t) { return ");
    q_emit_state_name(e, p->reductions[0].state);
    q_text_add(e->out, "_limit(&t->r%zu_0); }\n", p->reductions[0].state);
    q_text_add(e->out, "Q_FN void q_consider(q_state *t, const real f, const sint j) { ");
    q_emit_state_name(e, p->reductions[0].state);
    q_text_add(e->out, "_consider(&t->r%zu_0, f, j); }\n", p->reductions[0].state);
}

/* For the scheme `mma`: what its second product is of. */
static void emit_rhs_product(q_emitter *e)
{
    q_ref factors[2];
    if (!e->plan->scheme->pack || !q_rhs_product_find(factors, e->p)) return;
    q_text_add(e->out, "#define Q_RHS_WEIGHT v%u\n#define Q_RHS_COLUMN v%u\n#define Q_RHS_SUM r%zu\n", factors[0],
               factors[1], q_rhs_sum(e->p));
    if (e->p->values[factors[0]].kind == Q_V_WEIGHT) q_text_add(e->out, "#define Q_RHS_UNIT 1\n");
}

static void emit_accumulate(q_emitter *e)
{
    e->section = Q_PAIR | Q_RHS_LOOP;
    q_text_add(e->out, "Q_FN void q_accumulate(q_block_acc *p, const q_launch *u, const q_row *r, const q_column *c, "
                       "const q_weights *w, const q_row_rhs *x, const q_column_rhs *y)\n{\n");
    q_emit_values(e);
    for (size_t r = 0; r < e->p->reduction_count; r++)
        if (q_owns_rhs(e->p, r)) emit_add_component(e, "p->r", r, e->p->reductions[r].terms[0]);
    q_text_add(e->out, "}\nQ_FN void q_flush(q_rhs_acc *acc, const q_block_acc *p, const int d)\n{\n");
    for (size_t r = 0; r < e->p->reduction_count; r++)
        if (q_owns_rhs(e->p, r))
            q_text_add(e->out, "    q_Sum_add(&acc->r%zu[d], p->r%zu, 0);\n    q_Sum_block(&acc->r%zu[d]);\n", r, r, r);
    q_text_add(e->out, "}\n");
}

static void emit_sum_structs(q_emitter *e)
{
    q_text_add(e->out, "typedef struct {\n");
    for (size_t k = 0; k < e->p->sum_count; k++) q_text_add(e->out, "    real v%u;\n", e->p->sums[k]);
    if (!e->p->sum_count) q_text_add(e->out, "    int none;\n");
    q_text_add(e->out, "} q_sums;\nQ_FN q_sums q_no_sums(void)\n{\n    q_sums s;\n");
    for (size_t k = 0; k < e->p->sum_count; k++) q_text_add(e->out, "    s.v%u = 0;\n", e->p->sums[k]);
    if (!e->p->sum_count) q_text_add(e->out, "    s.none = 0;\n");
    q_text_add(e->out, "    return s;\n}\n");
    if (!e->p->rhs_dim) return;
    q_text_add(e->out, "typedef struct {\n");
    for (size_t r = 0; r < e->p->reduction_count; r++)
        if (q_owns_rhs(e->p, r)) q_text_add(e->out, "    real r%zu;\n", r);
    q_text_add(e->out, "} q_block_acc;\nQ_FN q_block_acc q_no_block_acc(void)\n{\n    q_block_acc p;\n");
    for (size_t r = 0; r < e->p->reduction_count; r++)
        if (q_owns_rhs(e->p, r)) q_text_add(e->out, "    p.r%zu = 0;\n", r);
    q_text_add(e->out, "    return p;\n}\n");
}

static void emit_tile_structs(q_emitter *e)
{
    emit_struct(e, "q_weights", Q_PAIR);
    emit_sum_structs(e);
    if (e->p->k_dim) emit_struct(e, "q_row_k", Q_ROW | Q_K_LOOP);
    if (e->p->k_dim) emit_struct(e, "q_column_k", Q_COLUMN | Q_K_LOOP);
    if (e->p->rhs_dim) emit_struct(e, "q_row_rhs", Q_ROW | Q_RHS_LOOP);
    if (e->p->rhs_dim) emit_struct(e, "q_column_rhs", Q_COLUMN | Q_RHS_LOOP);
}

/* The members of a struct of components, as a list: each is an array of numbers in local memory. */
static void emit_members(q_emitter *e, const char *name, uint8_t scope)
{
    int count = 0;
    q_text_add(e->out, "#define Q_%s_MEMBERS(DO)", name);
    for (q_ref v = 1; v < e->p->count; v++) {
        if (!q_is_member(e, v, scope)) continue;
        char array[16] = "";
        e->section = Q_PAIR | Q_K_LOOP;
        if (q_slot_of(e, v)) q_emit_slot_array(e, v, array);
        if (*array) q_text_add(e->out, " DO(%d, %s[%u])", count++, strchr(array, '>') + 1, q_slot_of(e, v) - 1);
        else q_text_add(e->out, " DO(%d, v%u)", count++, v);
    }
    q_text_add(e->out, "\n#define Q_%s_COUNT %d\n", name, count ? count : 1);
}

static void emit_tile_functions(q_emitter *e)
{
    static const char row[] = ", const q_launch *u, const q_row *r, const long i, const int d",
                      column[] = ", const q_launch *u, const q_column *c, const long j, const int d";
    if (e->p->k_dim) {
        emit_loader(e, "q_row_k", row, Q_ROW | Q_K_LOOP);
        emit_loader(e, "q_column_k", column, Q_COLUMN | Q_K_LOOP);
        emit_contract(e);
    }
    if (e->p->k_dim && e->plan->scheme->tiles) {
        emit_members(e, "ROW_K", Q_ROW | Q_K_LOOP);
        emit_members(e, "COLUMN_K", Q_COLUMN | Q_K_LOOP);
    }
    if (e->p->rhs_dim) {
        emit_loader(e, "q_row_rhs", row, Q_ROW | Q_RHS_LOOP);
        emit_loader(e, "q_column_rhs", column, Q_COLUMN | Q_RHS_LOOP);
        emit_accumulate(e);
        emit_rhs_product(e);
    }
}

// ---- outputs ----

/* Outputs with a value for each right-hand side: those that are kept here. */
static void emit_rhs_outputs(q_emitter *e)
{
    e->section = Q_LATE | Q_RHS_LOOP;
    q_text_add(e->out, "    for (int k = 0; k < Q_RHS_PER_ITEM && d0 + k < %u; k++) {\n    const int d = d0 + k;\n",
               e->p->rhs_dim);
    q_emit_values(e);
    q_emit_ends(e);
    q_text_add(e->out, "    }\n");
}

static void emit_store(q_emitter *e)
{
    e->section = Q_LATE;
    q_text_add(e->out, "Q_FN void q_store(Q_SIGNATURE, Q_OUTPUT_SIGNATURE, const q_state *t%s, const long i)\n{\n",
               e->p->rhs_dim ? ", const q_rhs_acc *acc, const int d0" : "");
    q_emit_slots(e, Q_LATE, false);
    q_emit_values(e);
    if (e->p->rhs_dim) q_text_add(e->out, "    if (d0 == 0) {\n");
    q_emit_ends(e);
    if (e->p->rhs_dim) q_text_add(e->out, "    }\n");
    if (e->p->rhs_dim) emit_rhs_outputs(e);
    q_text_add(e->out, "}\n");
}

static quern_status check_size(const q_ir *p)
{
    size_t statements = 0;
    for (int scope = 0; scope < Q_LOOPS; scope++) statements += p->statements[scope];
    if (statements <= Q_MAX_STATEMENTS) return QUERN_OK;
    quern_status status =
        q_fail(QUERN_LIMIT, "one pass of the formula needs %zu statements of OpenCL C; the limit is %d", statements,
               Q_MAX_STATEMENTS);
    q_fail_next_step("shorter vectors, or several operators, need fewer");
    return status;
}

/* Those of outer loops first. */
static quern_status make_sections(q_emitter *e)
{
    static const uint8_t all[] = {0,
                                  Q_ROW,
                                  Q_COLUMN,
                                  Q_PAIR,
                                  Q_ROW | Q_K_LOOP,
                                  Q_COLUMN | Q_K_LOOP,
                                  Q_PAIR | Q_K_LOOP,
                                  Q_LATE,
                                  Q_ROW | Q_RHS_LOOP,
                                  Q_COLUMN | Q_RHS_LOOP,
                                  Q_PAIR | Q_RHS_LOOP,
                                  Q_LATE | Q_RHS_LOOP};
    for (size_t k = 0; k < Q_COUNT(all); k++) Q_TRY(q_section_make(e, all[k]));
    return QUERN_OK;
}

static void free_sections(q_emitter *e)
{
    for (int scope = 0; scope < Q_LOOPS; scope++)
        if (e->sections[scope]) free(e->sections[scope]->items);
}

static quern_status emit_program(q_emitter *e)
{
    const q_ir *p = e->p;
    e->need = q_arena_alloc(e->arena, p->count);
    e->kept = q_arena_alloc(e->arena, p->count * sizeof *e->kept);
    e->folded = q_arena_alloc(e->arena, p->count * sizeof *e->folded);
    e->scaled_by = q_arena_alloc(e->arena, p->count);
    if (!e->need || !e->kept || !e->folded || !e->scaled_by) return q_fail_memory(p->count);
    spread_needs(e);
    mark_folded(e);
    q_mark_scaled(e);
    Q_TRY(make_sections(e));
    emit_struct(e, "q_launch", 0);
    emit_struct(e, "q_row", Q_ROW);
    emit_struct(e, "q_column", Q_COLUMN);
    if (e->plan->scheme->loops) emit_tile_structs(e);
    q_emit_state(e);
    emit_loader(e, "q_launch", "", 0);
    emit_loader(e, "q_row", ", const q_launch *u, const long i", Q_ROW);
    emit_loader(e, "q_column", ", const q_launch *u, const long j", Q_COLUMN);
    q_emit_weights(e);
    emit_pair(e);
    if (e->plan->scheme->loops) emit_tile_functions(e);
    emit_store(e);
    return e->failed || e->out->failed ? q_fail_memory(e->out->capacity) : QUERN_OK;
}

quern_status q_emit(q_text *out, const q_ir *program, const q_plan *plan)
{
    Q_TRY(check_size(program));
    q_arena arena = {0};
    q_emitter e = {.out = out, .arena = &arena, .p = program, .plan = plan};
    quern_status status = emit_program(&e);
    free_sections(&e);
    q_arena_free(&arena);
    return status;
}
