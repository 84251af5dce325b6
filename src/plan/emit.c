/*
 * emit.c: a program as OpenCL C: the types and functions that fill the holes of cl/row.cl and cl/merge.cl.
 *
 * One statement per value, named v<number>; a function contains the values of its loop that its purpose needs, and
 * reads those of outer loops from the structs in which they were kept. Nothing of the user's text gets here: only
 * numbers, table rows and positions.
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "plan/plan.h"

enum {
    PAIR = Q_ROW | Q_COLUMN,
    SMALL_K = 32 /* selections up to this long should sit in registers */
};

typedef struct emitter {
    q_text *out;
    const q_program_ir *p;
    const q_plan *plan;
    uint8_t *need; /* by value: 1 where the walk needs it, 2 where the outputs do */
    bool *kept;    /* by value: member of the struct of its loop, because an inner loop reads it */
    bool *folded;  /* by value: a product that has no statement of its own, because its reduction takes both factors */
    int section;   /* loop of the function being written; Q_LATE: q_store, in which everything is local */
} emitter;

// ---- what is needed where ----

static void need(emitter *e, q_ref v, uint8_t why)
{
    e->need[v] |= why;
}

/* Whether an output is the result of a reduction with a count K as it stands: that is stored by a loop over K, since K may
   be large. */
static bool is_selection(const q_program_ir *p, size_t o)
{
    size_t r = (size_t)p->values[p->results[o][0]].k[1];
    for (uint32_t d = 0; d < p->outputs[o].dim; d++) {
        const q_scalar *value = &p->values[p->results[o][d]];
        if (value->kind != Q_V_FINISH || (size_t)value->k[1] != r || value->k[0] != (int32_t)d) return false;
    }
    return p->reductions[r].K && p->outputs[o].dim == p->reductions[r].dim * (uint32_t)p->reductions[r].K;
}

/* Operands of what is needed are needed for the same purpose; values read by an inner loop are kept. */
static void spread_needs(emitter *e)
{
    const q_program_ir *p = e->p;
    for (size_t r = 0; r < p->reduction_count; r++)
        for (uint32_t d = 0; d < p->reductions[r].dim; d++) need(e, p->reductions[r].terms[d], 1);
    for (size_t o = 0; o < p->output_count; o++) {
        uint32_t statements = is_selection(p, o) ? 0 : p->outputs[o].dim;
        for (uint32_t d = 0; d < statements; d++) need(e, p->results[o][d], 2);
    }
    for (q_ref v = (q_ref)p->count - 1; v; v--)
        for (int a = 0; a < 3; a++) {
            q_ref operand = p->values[v].arg[a];
            if (!e->need[v] || !operand) continue;
            need(e, operand, e->need[v]);
            if ((e->need[v] & 1) && p->values[operand].where != p->values[v].where) e->kept[operand] = true;
        }
    for (size_t r = 0; r < p->reduction_count; r++)
        for (uint32_t d = 0; d < p->reductions[r].dim; d++)
            if (p->values[p->reductions[r].terms[d]].where != PAIR) e->kept[p->reductions[r].terms[d]] = true;
}

// ---- operands ----

static bool on_lanes(uint8_t where)
{
    return where & (Q_ROW | Q_LATE);
}

static void emit_number(emitter *e, double value)
{
    bool f64 = e->plan->dtype == QUERN_F64;
    char digits[48];
    snprintf(digits, sizeof digits, f64 ? "%.17g" : "%.9g", f64 ? value : (double)(float)value);
    if (isnan(value)) q_text_add(e->out, "NAN");
    else if (isinf(value) || (!f64 && isinf((float)value))) q_text_add(e->out, value > 0 ? "INFINITY" : "(-INFINITY)");
    else q_text_add(e->out, "%s%s%s", digits, strpbrk(digits, ".e") ? "" : ".0", f64 ? "" : "f");
}

/* The struct that holds a value in the function being written, or "" if it is a local name. */
static const char *holder(const emitter *e, q_ref v)
{
    uint8_t where = e->p->values[v].where;
    if (e->section == Q_LATE || where == e->section) return "";
    return where == 0 ? "u->" : where == Q_ROW ? "r->" : "c->";
}

/* A value as it stands, as a number of its own type. Negative numbers have brackets: an operator may stand before them.
   */
static void emit_name(emitter *e, q_ref v)
{
    const q_scalar *value = &e->p->values[v];
    bool negative = value->kind == Q_V_CONSTANT && signbit(value->number) && isfinite(value->number);
    if (negative) q_text_add(e->out, "(");
    if (value->kind == Q_V_CONSTANT) emit_number(e, value->number);
    else q_text_add(e->out, "%sv%u", holder(e, v), v);
    if (negative) q_text_add(e->out, ")");
}

/* A value as an operand on lanes or not, as a real or as it is. */
static void emit_operand(emitter *e, q_ref v, bool lanes, bool integer)
{
    const q_scalar *value = &e->p->values[v];
    bool own_lanes = on_lanes(value->where), widen = lanes && !own_lanes;
    bool convert = value->integer && !integer;
    if (widen) q_text_add(e->out, value->integer && integer ? "(qint)(" : "(real)(");
    if (convert) q_text_add(e->out, own_lanes ? "q_to_real(" : "qs_to_real(");
    emit_name(e, v);
    if (convert) q_text_add(e->out, ")");
    if (widen) q_text_add(e->out, ")");
}

// ---- values ----

static void emit_load(emitter *e, const q_scalar *value)
{
    const q_array *array = &e->p->inputs[value->k[1]];
    const char *suffix = array->integer ? "_int" : "";
    if (value->where == Q_ROW)
        q_text_add(e->out, "q_gather%s(a%d, i, %u, %d, Q_ROW_COUNT)", suffix, value->k[1], array->dim, value->k[0]);
    else if (value->where == Q_COLUMN) q_text_add(e->out, "a%d[j * %u + %d]", value->k[1], array->dim, value->k[0]);
    else q_text_add(e->out, "a%d[%d]", value->k[1], value->k[0]);
}

/* Whether all operands are indices, so that they are compared as such. */
static bool on_integers(const emitter *e, const q_scalar *value)
{
    bool all = true;
    for (int a = 0; a < q_ops[value->op].operands; a++) all = all && e->p->values[value->arg[a]].integer;
    return all && (value->op == Q_OP_Equal || value->op == Q_OP_NotEqual || value->op == Q_OP_LessThan ||
                   value->op == Q_OP_LessOrEqual);
}

/* The row's expression with operands in place of a b c, integers in place of k l, and qs_ functions for single numbers.
   */
static void emit_expression(emitter *e, const q_scalar *value)
{
    bool lanes = on_lanes(value->where), integers = on_integers(e, value);
    for (const char *p = q_ops[value->op].expression; *p;) {
        size_t size = 1;
        if (isalpha((unsigned char)*p))
            while (isalnum((unsigned char)p[size]) || p[size] == '_') size++;
        if (size == 1 && *p >= 'a' && *p <= 'c') emit_operand(e, value->arg[*p - 'a'], lanes, integers);
        else if (size == 1 && (*p == 'k' || *p == 'l')) q_text_add(e->out, "%d", value->k[*p - 'k']);
        else if (size > 2 && p[0] == 'q' && p[1] == '_')
            q_text_add(e->out, "%s%.*s", lanes ? "q" : "qs", (int)size - 1, p + 1);
        else q_text_append(e->out, p, size);
        if (value->not_positive && size == 5 && strncmp(p, "q_exp", 5) == 0)
            q_text_add(e->out, value->minus ? "_minus" : "_not_positive");
        p += size;
    }
}

static void emit_fma(emitter *e, const q_scalar *value)
{
    bool lanes = on_lanes(value->where);
    q_text_add(e->out, lanes ? "q_fma(%s" : "qs_fma(%s", value->negate & 1 ? "-" : "");
    emit_operand(e, value->arg[0], lanes, false);
    q_text_add(e->out, ", ");
    emit_operand(e, value->arg[1], lanes, false);
    q_text_add(e->out, ", %s", value->negate & 2 ? "-" : "");
    emit_operand(e, value->arg[2], lanes, false);
    q_text_add(e->out, ")");
}

/* The section of reductions.cl that reduction r uses: "Sum", or "KMin10". */
static void emit_state_name(emitter *e, size_t r)
{
    q_text_add(e->out, "q_%s", q_ops[e->p->reductions[r].op].state);
    if (e->p->reductions[r].K) q_text_add(e->out, "%d", e->p->reductions[r].K);
}

static void emit_finish(emitter *e, const q_scalar *value)
{
    size_t r = (size_t)value->k[1];
    uint32_t dim = e->p->reductions[r].dim, d = (uint32_t)value->k[0];
    emit_state_name(e, e->p->reductions[r].state);
    q_text_add(e->out, "_%s(&t->r%zu_%u", value->integer ? "index" : "finish", e->p->reductions[r].state, d % dim);
    q_text_add(e->out, e->p->reductions[r].K ? ", %u)" : ")", d / dim);
}

static const char *type_of(const q_scalar *value)
{
    if (value->integer) return on_lanes(value->where) ? "qint" : "sint";
    return on_lanes(value->where) ? "real" : "sreal";
}

static void emit_statement(emitter *e, q_ref v)
{
    const q_scalar *value = &e->p->values[v];
    q_text_add(e->out, "    const %s v%u = ", type_of(value), v);
    switch ((q_value_kind)value->kind) {
    case Q_V_CONSTANT: emit_number(e, value->number); break;
    case Q_V_LOAD: emit_load(e, value); break;
    case Q_V_INDEX: q_text_add(e->out, value->where == Q_ROW ? "q_row_numbers(i)" : "(sint)j"); break;
    case Q_V_COUNT: q_text_add(e->out, "(sint)%c", value->k[0] == Q_I ? 'M' : 'N'); break;
    case Q_V_OP: emit_expression(e, value); break;
    case Q_V_FMA: emit_fma(e, value); break;
    case Q_V_FINISH: emit_finish(e, value); break;
    }
    q_text_add(e->out, ";\n");
}

// ---- a term that is a product is folded by a fused multiply-add ----

static bool folds_product(const emitter *e, size_t r, uint32_t d)
{
    const q_program_ir *p = e->p;
    q_ref v = p->reductions[r].terms[d];
    const q_scalar *term = &p->values[v];
    return q_ops[p->reductions[r].op].reduction == Q_LINEAR && term->where == PAIR && term->kind == Q_V_OP &&
           term->op == Q_OP_Mult && p->uses[v] == 1;
}

static void mark_folded(emitter *e)
{
    for (size_t r = 0; r < e->p->reduction_count; r++)
        for (uint32_t d = 0; d < e->p->reductions[r].dim; d++)
            if (folds_product(e, r, d)) e->folded[e->p->reductions[r].terms[d]] = true;
}

// ---- sections ----

static bool in_section(const emitter *e, q_ref v)
{
    const q_scalar *value = &e->p->values[v];
    if (value->kind == Q_V_CONSTANT) return false;
    if (e->section == Q_LATE) return e->need[v] & 2;
    return (e->need[v] & 1) && value->where == e->section && !(e->section == PAIR && e->folded[v]);
}

static void emit_statements(emitter *e)
{
    for (q_ref v = 1; v < e->p->count; v++)
        if (in_section(e, v)) emit_statement(e, v);
}

static bool is_member(const emitter *e, q_ref v, uint8_t where)
{
    const q_scalar *value = &e->p->values[v];
    return e->kept[v] && value->where == where && value->kind != Q_V_CONSTANT;
}

static void emit_struct(emitter *e, const char *name, uint8_t where)
{
    size_t members = 0;
    q_text_add(e->out, "typedef struct {\n");
    for (q_ref v = 1; v < e->p->count; v++)
        if (is_member(e, v, where)) {
            q_text_add(e->out, "    %s v%u;\n", type_of(&e->p->values[v]), v);
            members++;
        }
    if (!members) q_text_add(e->out, "    int none;\n");
    if (where == Q_COLUMN)
        q_text_add(e->out, "} Q_STAGED(%zu) %s;\n", q_plan_column_align(members, e->plan->dtype), name);
    else q_text_add(e->out, "} %s;\n", name);
}

/* A function that computes the values of one loop and returns those that inner loops read. */
static void emit_loader(emitter *e, const char *type, const char *parameters, uint8_t where)
{
    e->section = where;
    q_text_add(e->out, "Q_FN %s q_load_%s(Q_SIGNATURE%s)\n{\n", type, type + 2, parameters);
    emit_statements(e);
    q_text_add(e->out, "    %s out;\n", type);
    size_t members = 0;
    for (q_ref v = 1; v < e->p->count; v++)
        if (is_member(e, v, where)) {
            q_text_add(e->out, "    out.v%u = v%u;\n", v, v);
            members++;
        }
    if (!members) q_text_add(e->out, "    out.none = 0;\n");
    q_text_add(e->out, "    return out;\n}\n");
}

/* Components of the state that reduction r keeps; none if it shares another's. */
static uint32_t own_dim(const emitter *e, size_t r)
{
    return e->p->reductions[r].state == r ? e->p->reductions[r].dim : 0;
}

static void emit_fold(emitter *e, size_t r, uint32_t d)
{
    const q_program_ir *p = e->p;
    q_ref v = p->reductions[r].terms[d];
    bool product = folds_product(e, r, d);
    q_text_add(e->out, "    ");
    emit_state_name(e, r);
    q_text_add(e->out, "_add%s(&t->r%zu_%u, ", product ? "_product" : "", r, d);
    if (product) {
        emit_operand(e, p->values[v].arg[0], true, false);
        q_text_add(e->out, ", ");
        emit_operand(e, p->values[v].arg[1], true, false);
        q_text_add(e->out, ");\n");
    } else {
        emit_operand(e, v, true, false);
        q_text_add(e->out, ", j);\n");
    }
}

static void emit_pair(emitter *e)
{
    e->section = PAIR;
    q_text_add(e->out,
               "Q_FN void q_pair(q_state *t, const q_launch *u, const q_row *r, const q_column *c, const sint j)\n{\n");
    emit_statements(e);
    for (size_t r = 0; r < e->p->reduction_count; r++)
        for (uint32_t d = 0; d < own_dim(e, r); d++) emit_fold(e, r, d);
    q_text_add(e->out, "}\n");
}

/* A function with one call per component of the state; `more` says what the call takes besides: nothing, the same
   component of the "other" state, or its place in "memory". */
static void emit_each_state(emitter *e, const char *head, const char *call, const char *more)
{
    int word = 0;
    q_text_add(e->out, "%s\n{\n", head);
    for (size_t r = 0; r < e->p->reduction_count; r++)
        for (uint32_t d = 0; d < own_dim(e, r); d++) {
            q_text_add(e->out, "    ");
            emit_state_name(e, r);
            q_text_add(e->out, "_%s(&t->r%zu_%u", call, r, d);
            if (strcmp(more, "other") == 0) q_text_add(e->out, ", &other->r%zu_%u", r, d);
            if (strcmp(more, "memory") == 0) q_text_add(e->out, ", p + %d * stride, stride", word);
            q_text_add(e->out, ");\n");
            word += q_ops[e->p->reductions[r].op].words(e->p->reductions[r].K);
        }
    q_text_add(e->out, "}\n");
}

static void emit_state(emitter *e)
{
    q_text_add(e->out, "typedef struct {\n");
    for (size_t r = 0; r < e->p->reduction_count; r++)
        for (uint32_t d = 0; d < own_dim(e, r); d++) {
            q_text_add(e->out, "    ");
            emit_state_name(e, r);
            q_text_add(e->out, " r%zu_%u;\n", r, d);
        }
    if (!e->p->reduction_count) q_text_add(e->out, "    int none;\n");
    q_text_add(e->out, "} q_state;\n");
    emit_each_state(e, "Q_FN void q_start(q_state *t)", "start", "");
    emit_each_state(e, "Q_FN void q_block(q_state *t)", "block", "");
    if (!e->plan->split) return;
    emit_each_state(e, "Q_FN void q_merge(q_state *t, const q_state *other)", "merge", "other");
    emit_each_state(e, "Q_FN void q_put(const q_state *t, __global sreal *p, const long stride)", "put", "memory");
    emit_each_state(e, "Q_FN void q_get(q_state *t, __global const sreal *p, const long stride)", "get", "memory");
}

static void emit_scatter(emitter *e, size_t o)
{
    q_text_add(e->out, "q_scatter%s(o%zu, i, %u, ", e->p->outputs[o].integer ? "_int" : "", o, e->p->outputs[o].dim);
}

static void emit_selection(emitter *e, size_t o)
{
    size_t r = (size_t)e->p->values[e->p->results[o][0]].k[1];
    uint32_t dim = e->p->reductions[r].dim;
    bool registers = e->p->reductions[r].K <= SMALL_K; /* which loops over them must not stay loops */
    q_text_add(e->out, "    %sfor (int k = 0; k < %d; k++) {\n", registers ? "_Pragma(\"unroll\") " : "",
               e->p->reductions[r].K);
    for (uint32_t d = 0; d < dim; d++) {
        q_text_add(e->out, "        ");
        emit_scatter(e, o);
        q_text_add(e->out, "k * %u + %u, Q_ROW_COUNT, ", dim, d);
        emit_state_name(e, e->p->reductions[r].state);
        q_text_add(e->out, "_%s(&t->r%zu_%u, k));\n", e->p->outputs[o].integer ? "index" : "finish",
                   e->p->reductions[r].state, d);
    }
    q_text_add(e->out, "    }\n");
}

static void emit_output(emitter *e, size_t o)
{
    for (uint32_t d = 0; d < e->p->outputs[o].dim; d++) {
        q_text_add(e->out, "    ");
        emit_scatter(e, o);
        q_text_add(e->out, "%u, Q_ROW_COUNT, ", d);
        emit_operand(e, e->p->results[o][d], true, e->p->outputs[o].integer);
        q_text_add(e->out, ");\n");
    }
}

static void emit_store(emitter *e)
{
    e->section = Q_LATE;
    q_text_add(e->out, "Q_FN void q_store(Q_SIGNATURE, Q_OUTPUT_SIGNATURE, const q_state *t, const long i)\n{\n");
    emit_statements(e);
    for (size_t o = 0; o < e->p->output_count; o++)
        if (is_selection(e->p, o)) emit_selection(e, o);
        else emit_output(e, o);
    q_text_add(e->out, "}\n");
}

static const char *count_of(uint8_t axis)
{
    return axis == Q_I ? "M" : axis == Q_J ? "N" : "1L";
}

static void emit_signature(emitter *e)
{
    q_text_add(e->out, "#define Q_SIGNATURE ");
    for (size_t a = 0; a < e->p->input_count; a++)
        q_text_add(e->out, "__global const %s *Q_RESTRICT a%zu, ", e->p->inputs[a].integer ? "sint" : "sreal", a);
    q_text_add(e->out, "const long M, const long N\n#define Q_ARGUMENTS ");
    for (size_t a = 0; a < e->p->input_count; a++) q_text_add(e->out, "a%zu, ", a);
    q_text_add(e->out, "M, N\n#define Q_OUTPUT_SIGNATURE ");
    for (size_t o = 0; o < e->p->output_count; o++)
        q_text_add(e->out, "%s__global %s *Q_RESTRICT o%zu", o ? ", " : "", e->p->outputs[o].integer ? "sint" : "sreal",
                   o);
    q_text_add(e->out, "\n#define Q_OUTPUTS ");
    for (size_t o = 0; o < e->p->output_count; o++) q_text_add(e->out, "%so%zu", o ? ", " : "", o);
    q_text_add(e->out, "\n#define Q_ROW_COUNT %s\n#define Q_COLUMN_COUNT %s\n", count_of(e->p->rows),
               e->p->walk ? count_of(e->p->walk) : "0L");
}

static quern_status check_size(const q_program_ir *p)
{
    size_t statements = 0;
    for (int where = 0; where < 8; where++) statements += p->statements[where];
    if (statements <= Q_MAX_STATEMENTS) return QUERN_OK;
    quern_status status =
        q_fail(QUERN_LIMIT, "one pass of the formula needs %zu statements of OpenCL C; the limit is %d", statements,
               Q_MAX_STATEMENTS);
    q_fail_next_step("shorter vectors, or several operators, need fewer");
    return status;
}

quern_status q_emit(q_text *out, const q_program_ir *program, const q_plan *plan)
{
    Q_TRY(check_size(program));
    q_arena arena = {0};
    emitter e = {.out = out, .p = program, .plan = plan};
    e.need = q_arena_alloc(&arena, program->count);
    e.kept = q_arena_alloc(&arena, program->count * sizeof *e.kept);
    e.folded = q_arena_alloc(&arena, program->count * sizeof *e.folded);
    if (!e.need || !e.kept || !e.folded) {
        q_arena_free(&arena);
        return q_fail_memory(program->count);
    }
    spread_needs(&e);
    mark_folded(&e);
    emit_signature(&e);
    emit_struct(&e, "q_launch", 0);
    emit_struct(&e, "q_row", Q_ROW);
    emit_struct(&e, "q_column", Q_COLUMN);
    emit_state(&e);
    emit_loader(&e, "q_launch", "", 0);
    emit_loader(&e, "q_row", ", const q_launch *u, const long i", Q_ROW);
    emit_loader(&e, "q_column", ", const q_launch *u, const long j", Q_COLUMN);
    emit_pair(&e);
    emit_store(&e);
    q_arena_free(&arena);
    return out->failed ? q_fail_memory(out->capacity) : QUERN_OK;
}
