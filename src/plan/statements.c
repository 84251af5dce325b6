/*
 * statements.c: a value as a statement of OpenCL C, named v<number>. A function contains the values of its loop that its
 * purpose needs, and reads those of other loops from the structs in which they were kept.
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "plan/emitter.h"

static bool on_lanes(uint8_t scope)
{
    return scope & (Q_ROW | Q_LATE);
}

void q_emit_number(q_emitter *e, double value)
{
    bool f64 = e->plan->dtype == QUERN_F64;
    char digits[48];
    snprintf(digits, sizeof digits, f64 ? "%.17g" : "%.9g", f64 ? value : (double)(float)value);
    if (isnan(value)) q_text_add(e->out, "NAN");
    else if (isinf(value) || (!f64 && isinf((float)value))) q_text_add(e->out, value > 0 ? "INFINITY" : "(-INFINITY)");
    else q_text_add(e->out, "%s%s%s", digits, strpbrk(digits, ".e") ? "" : ".0", f64 ? "" : "f");
}

bool q_is_member(const q_emitter *e, q_ref v, uint8_t scope)
{
    const q_scalar *value = &e->p->values[v];
    return e->kept[v] && value->scope == scope && value->kind != Q_V_CONSTANT;
}

/* The struct that holds a value in the function being written, or "" if it is a local name. */
static const char *holder(const q_emitter *e, q_ref v)
{
    static const char *const holders[] = {
        [0] = "u->",
        [Q_ROW] = "r->",
        [Q_COLUMN] = "c->",
        [Q_PAIR] = "w->",
        [Q_ROW | Q_K_LOOP] = "x->",
        [Q_COLUMN | Q_K_LOOP] = "y->",
        [Q_ROW | Q_RHS_LOOP] = "x->",
        [Q_COLUMN | Q_RHS_LOOP] = "y->",
    };
    uint8_t scope = e->p->values[v].scope;
    return e->section & Q_LATE || scope == e->section ? "" : holders[scope];
}

/* The section that computes a value for the function being written. */
static const q_section *section_of(const q_emitter *e, q_ref v)
{
    uint8_t scope = e->p->values[v].scope;
    return e->sections[e->section & Q_LATE ? Q_LATE | (scope & Q_RHS_LOOP) : scope];
}

uint32_t q_slot_of(const q_emitter *e, q_ref v)
{
    const q_section *owner = e->p->values[v].kind == Q_V_CONSTANT ? NULL : section_of(e, v);
    return owner ? owner->slot[v] : 0;
}

void q_emit_slot_array(q_emitter *e, q_ref v, char out[16])
{
    static const char *const names[] = {"ms", "ns", "m", "n"};
    const q_section *owner = section_of(e, v);
    uint32_t array = owner->steps[owner->at[v] - 1].a;
    const char *of = array < 4                             ? ""
                     : e->p->values[v].scope != e->section ? holder(e, v)
                     : e->section == Q_PAIR                ? "w->"
                                                           : "out.";
    snprintf(out, 16, "%s%s", of, names[array % 4]);
}

/* A value as it stands, as a number of its own type. Negative numbers have brackets: an operator may stand before them.
   */
static void emit_name(q_emitter *e, q_ref v, bool integer)
{
    const q_scalar *value = &e->p->values[v];
    if (value->kind == Q_V_CONSTANT && integer) {
        q_text_add(e->out, "(%.0f)", value->number);
        return;
    }
    bool negative = value->kind == Q_V_CONSTANT && signbit(value->number) && isfinite(value->number);
    if (negative) q_text_add(e->out, "(");
    char array[16];
    if (value->kind == Q_V_CONSTANT) q_emit_number(e, value->number);
    else if (q_slot_of(e, v)) q_emit_slot_array(e, v, array), q_text_add(e->out, "%s[%u]", array, q_slot_of(e, v) - 1);
    else q_text_add(e->out, "%sv%u", holder(e, v), v);
    if (negative) q_text_add(e->out, ")");
}

/* A value as an operand on lanes or not, as a real or as it is. */
void q_emit_operand(q_emitter *e, q_ref v, const char *name, bool lanes, bool integer)
{
    const q_scalar *value = &e->p->values[v];
    bool own_lanes = on_lanes(value->scope), widen = lanes && !own_lanes;
    bool convert = value->integer && !integer;
    if (widen) q_text_add(e->out, integer ? "(qint)(" : "(real)(");
    if (convert) q_text_add(e->out, own_lanes ? "q_to_real(" : "qs_to_real(");
    if (name && value->kind == Q_V_CONSTANT && !integer) q_text_add(e->out, "((sreal)(%s))", name);
    else if (name) q_text_add(e->out, "%s", name);
    else emit_name(e, v, integer);
    if (convert) q_text_add(e->out, ")");
    if (widen) q_text_add(e->out, ")");
}

// ---- values ----

/* Rows past the last one repeat it, which gather sees to, or gemm_steps.cl, with less arithmetic for each component. */
static void emit_load(q_emitter *e, const q_scalar *value)
{
    const q_array *array = &e->p->inputs[value->k[1]];
    bool is_inside = (value->scope & Q_K_LOOP) && e->plan->lanes == 1 && e->plan->scheme->runs;
    if (is_inside && array->axis != Q_P && array->dim % 2 == 0 && !array->integer && e->plan->dtype == QUERN_F32) {
        q_text_add(e->out, "q_of_%s(a%d, %c, %u, d)", array->dim % 4 ? "two" : "four", value->k[1],
                   array->axis == e->p->rows ? 'i' : 'j', array->dim);
        return;
    }
    char number[16];
    snprintf(number, sizeof number, "%d", value->k[0]);
    const char *component = value->scope & (Q_K_LOOP | Q_RHS_LOOP) ? "d" : e->component ? e->component : number;
    bool exists = is_inside || (e->plan->scheme->tiles && (value->scope & Q_K_LOOP)); /* the row: others see to it */
    if (q_plan_by_value(e->plan, array)) q_text_add(e->out, "a%d", value->k[1]);
    else if (array->axis == Q_P) q_text_add(e->out, "a%d[%s]", value->k[1], component);
    else if (array->axis == e->p->rows && !exists)
        q_text_add(e->out, "q_gather%s(a%d, i, %u, %s, Q_ROW_COUNT)", array->integer ? "_int" : "", value->k[1],
                   array->dim, component);
    else
        q_text_add(e->out, "a%d[%c * %u + %s]", value->k[1], array->axis == e->p->rows ? 'i' : 'j', array->dim,
                   component);
}

/* Functions of pairs have tables from the launch. */
static void emit_lookup(q_emitter *e, const q_scalar *value)
{
    const q_array *array = &e->p->inputs[value->k[1]];
    bool lanes = on_lanes(value->scope), integer = e->p->values[value->arg[0]].integer;
    const char *from = (e->section & Q_PAIR) == Q_PAIR ? "u->" : "";
    q_text_add(e->out, "%s_lookup%s(%sa%d, ", lanes ? "q" : "qs", integer ? "_int" : "", from, value->k[1]);
    q_emit_operand(e, value->arg[0], e->operand[0], lanes, integer);
    if (e->component) q_text_add(e->out, ", %s, ", e->component);
    else q_text_add(e->out, ", %d, ", value->k[0]);
    if (value->number != 0) q_text_add(e->out, "%.0f, %.0fL)", value->number, array->dim / value->number);
    else q_text_add(e->out, "%u, %s%s)", array->dim, from, q_axes[array->axis].rows);
}

static bool compares(const q_scalar *value)
{
    return value->op == Q_OP_Equal || value->op == Q_OP_NotEqual || value->op == Q_OP_LessThan ||
           value->op == Q_OP_LessOrEqual;
}

static bool is_whole_number(const q_scalar *value)
{
    return value->kind == Q_V_CONSTANT && q_is_whole(value->number);
}

/* Whether the operands are integers, or integers and whole numbers, so that they are compared as such. */
static bool on_integers(const q_emitter *e, const q_scalar *value)
{
    if (value->integer) return true;
    const q_scalar *a = &e->p->values[value->arg[0]], *b = &e->p->values[value->arg[1]];
    bool all = (a->integer || is_whole_number(a)) && (b->integer || is_whole_number(b));
    return compares(value) && all && (a->integer || b->integer);
}

/* An integer i beside a number x that it is compared with: float32 is too short for i, but not for the 8 lowest bits of i
   and for the rest of it, nor for the difference of the rest and x where that matters. */
static void emit_compared(q_emitter *e, const q_scalar *value, int a, bool lanes)
{
    q_ref v = value->arg[a], other = value->arg[1 - a];
    const char *function = lanes ? "q" : "qs";
    if (e->p->values[v].integer) {
        q_text_add(e->out, "%s_low_bits(", function);
        q_emit_operand(e, v, e->operand[a], lanes, true);
        q_text_add(e->out, ")");
        return;
    }
    q_text_add(e->out, "(");
    q_emit_operand(e, v, e->operand[a], lanes, false);
    q_text_add(e->out, " - %s_high_bits(", function);
    q_emit_operand(e, other, e->operand[1 - a], lanes, true);
    q_text_add(e->out, "))");
}

/* The row's expression with operands in place of a b c, integers in place of k l, and qs_ functions for single numbers.
   */
static void emit_expression(q_emitter *e, const q_scalar *value)
{
    bool lanes = on_lanes(value->scope), integers = on_integers(e, value);
    bool mixed =
        compares(value) && !integers && e->p->values[value->arg[0]].integer != e->p->values[value->arg[1]].integer;
    for (const char *p = q_ops[value->op].expression; *p;) {
        size_t size = 1;
        if (isalpha((unsigned char)*p))
            while (isalnum((unsigned char)p[size]) || p[size] == '_') size++;
        if (mixed && (*p == 'a' || *p == 'b') && size == 1) emit_compared(e, value, *p - 'a', lanes);
        else if (size == 1 && *p >= 'a' && *p <= 'c')
            q_emit_operand(e, value->arg[*p - 'a'], e->operand[*p - 'a'], lanes, integers);
        else if (size == 1 && (*p == 'k' || *p == 'l')) q_text_add(e->out, "%d", value->k[*p - 'k']);
        else if (size > 2 && p[0] == 'q' && p[1] == '_')
            q_text_add(e->out, "%s%.*s%s", lanes ? "q" : "qs", (int)size - 1, p + 1, value->integer ? "_int" : "");
        else q_text_append(e->out, p, size);
        if (value->not_positive && size == 5 && strncmp(p, "q_exp", 5) == 0)
            q_text_add(e->out, value->minus ? "_minus" : "_not_positive");
        p += size;
    }
}

/* a / b, 1 / a of Inv, or 0 where b is 0 of DivNoNan, rounded once. */
static void emit_quotient(q_emitter *e, const q_scalar *value)
{
    bool lanes = on_lanes(value->scope), inverse = value->op == Q_OP_Inv;
    if (value->op == Q_OP_DivNoNan) {
        q_text_add(e->out, lanes ? "q_select(" : "qs_select(");
        q_emit_operand(e, value->arg[1], e->operand[1], lanes, false);
        q_text_add(e->out, " == 0, 0, ");
    }
    q_text_add(e->out, lanes ? "q_quotient(" : "qs_quotient(");
    if (inverse) q_text_add(e->out, "1");
    else q_emit_operand(e, value->arg[0], e->operand[0], lanes, false);
    q_text_add(e->out, ", ");
    q_emit_operand(e, value->arg[!inverse], e->operand[!inverse], lanes, false);
    q_text_add(e->out, value->op == Q_OP_DivNoNan ? "))" : ")");
}

/* a / b, or 1 / a of Inv, by a function of ptx.cl. */
static void emit_ptx_quotient(q_emitter *e, const q_scalar *value)
{
    bool inverse = value->op == Q_OP_Inv;
    q_text_add(e->out, inverse ? "q_ptx_inverse(" : "q_ptx_quotient(");
    q_emit_operand(e, value->arg[0], e->operand[0], true, false);
    if (!inverse) q_text_add(e->out, ", ");
    if (!inverse) q_emit_operand(e, value->arg[1], e->operand[1], true, false);
    q_text_add(e->out, ")");
}

static void emit_op(q_emitter *e, const q_scalar *value)
{
    bool quotient = value->op == Q_OP_Divide || value->op == Q_OP_Inv;
    if (q_is_exact_quotient(value)) emit_quotient(e, value);
    else if (quotient && on_lanes(value->scope) && q_plan_uses_ptx(e->plan)) emit_ptx_quotient(e, value);
    else emit_expression(e, value);
}

static void emit_fma(q_emitter *e, const q_scalar *value)
{
    bool lanes = on_lanes(value->scope);
    q_text_add(e->out, lanes ? "q_fma(%s" : "qs_fma(%s", value->negate & 1 ? "-" : "");
    q_emit_operand(e, value->arg[0], e->operand[0], lanes, false);
    q_text_add(e->out, ", ");
    q_emit_operand(e, value->arg[1], e->operand[1], lanes, false);
    q_text_add(e->out, ", %s", value->negate & 2 ? "-" : "");
    q_emit_operand(e, value->arg[2], e->operand[2], lanes, false);
    q_text_add(e->out, ")");
}

/* The section of reductions.cl that reduction r uses: "Sum", or "KMin10". */
void q_emit_state_name(q_emitter *e, size_t r)
{
    q_text_add(e->out, "q_%s", q_ops[e->p->reductions[r].op].state);
    if (e->p->reductions[r].K) q_text_add(e->out, "%d", e->p->reductions[r].K);
}

/* The address of the state of one component; of a sum of right-hand sides, in their loop, that of the loop. */
void q_emit_state_member(q_emitter *e, size_t r, uint32_t d)
{
    if (e->section == (Q_LATE | Q_RHS_LOOP)) q_text_add(e->out, "&acc->r%zu[k]", r);
    else {
        bool rhs = e->p->reductions[r].rhs, array = rhs || q_is_state_array(e->p, r);
        q_text_add(e->out, "&%s->r%zu%s", rhs ? "acc" : "t", r, array ? "[" : "_");
        if (e->component && array) q_text_add(e->out, "%s]", e->component);
        else q_text_add(e->out, array ? "%u]" : "%u", d);
    }
}

static void emit_finish(q_emitter *e, const q_scalar *value)
{
    size_t r = (size_t)value->k[1];
    uint32_t dim = e->p->reductions[r].dim, d = (uint32_t)value->k[0];
    if (e->p->reductions[r].K) e->component = NULL; /* it counts them all */
    q_emit_state_name(e, e->p->reductions[r].state);
    q_text_add(e->out, value->integer ? "_index(" : "_finish(");
    q_emit_state_member(e, e->p->reductions[r].state, d % dim);
    q_text_add(e->out, e->p->reductions[r].K ? ", %u)" : ")", d / dim);
}

/* At the end of no terms at all a sum is 0, whatever its weights are. */
static void emit_normaliser(q_emitter *e, const q_scalar *value)
{
    q_text_add(e->out, "q_LogSumExp_%s(&t->r%d_0, ", value->arg[0] ? "normaliser_to" : "normaliser", value->k[1]);
    if (value->arg[0]) q_emit_operand(e, value->arg[0], e->operand[0], true, false);
    q_text_add(e->out, "%s%s)", value->arg[0] ? ", " : "", value->k[0] ? "1" : "Q_TERM_COUNT ? NAN : 0");
}

static void emit_weight(q_emitter *e, const q_scalar *value)
{
    q_text_add(e->out, "q_weight%d(t, ", value->k[0]);
    q_emit_operand(e, value->arg[0], e->operand[0], true, false);
    q_text_add(e->out, ")");
}

const char *q_emit_type(const q_scalar *value)
{
    if (value->integer) return on_lanes(value->scope) ? "qint" : "sint";
    return on_lanes(value->scope) ? "real" : "sreal";
}

void q_emit_expression(q_emitter *e, q_ref v)
{
    const q_scalar *value = &e->p->values[v];
    switch ((q_value_kind)value->kind) {
    case Q_V_CONSTANT: q_emit_number(e, value->number); break;
    case Q_V_LOAD: emit_load(e, value); break;
    case Q_V_LOOKUP: emit_lookup(e, value); break;
    case Q_V_INDEX:
        q_text_add(e->out, value->scope == Q_ROW ? "q_row_numbers(Q_ROW_NUMBER(i))" : "Q_COLUMN_NUMBER(j)");
        break;
    case Q_V_COUNT: q_text_add(e->out, "(sint)%s", q_axes[value->k[0]].rows); break;
    case Q_V_OP: emit_op(e, value); break;
    case Q_V_FMA: emit_fma(e, value); break;
    case Q_V_FINISH: emit_finish(e, value); break;
    case Q_V_SUM: q_text_add(e->out, "s->v%u", v); break;
    case Q_V_WEIGHT: emit_weight(e, value); break;
    case Q_V_NORMALISER: emit_normaliser(e, value); break;
    }
}
