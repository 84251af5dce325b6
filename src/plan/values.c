/*
 * values.c: the scalar values of a program, interned like graph nodes, and the constructors that keep arithmetic in its
 * cheapest form: constants fold, signs and inverses move to outer loops. A failure is sticky in the program.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plan/plan.h"

static bool grow_table(q_ir *p)
{
    if (p->count * 2 < p->table_size) return true;
    size_t size = p->table_size ? p->table_size * 2 : 256;
    q_ref *table = calloc(size, sizeof *table);
    if (!table) return false;
    free(p->table);
    p->table = table;
    p->table_size = size;
    for (q_ref v = 1; v < p->count; v++) {
        size_t slot = (size_t)q_hash64(&p->values[v], sizeof p->values[v]) & (size - 1);
        while (table[slot]) slot = (slot + 1) & (size - 1);
        table[slot] = v;
    }
    return true;
}

q_ref q_value_intern(q_ir *p, const q_scalar *value)
{
    if (p->status) return 0;
    if (!grow_table(p) || !q_grow(&p->values, &p->capacity, p->count + 1, sizeof *value)) {
        p->status = q_fail_memory(p->capacity * 2 * sizeof *value);
        return 0;
    }
    size_t slot = (size_t)q_hash64(value, sizeof *value) & (p->table_size - 1);
    for (; p->table[slot]; slot = (slot + 1) & (p->table_size - 1))
        if (memcmp(&p->values[p->table[slot]], value, sizeof *value) == 0) return p->table[slot];
    if (p->count > 4 * Q_MAX_STATEMENTS) {
        p->status =
            q_fail(QUERN_LIMIT, "one pass of the formula needs more than %d scalar values", 4 * Q_MAX_STATEMENTS);
        q_fail_next_step("shorter vectors, or several operators, need fewer");
        return 0;
    }
    p->values[p->count] = *value;
    p->table[slot] = (q_ref)p->count;
    return (q_ref)p->count++;
}

q_ref q_value_number(q_ir *p, double value)
{
    q_scalar scalar = {.kind = Q_V_CONSTANT, .number = value};
    return q_value_intern(p, &scalar);
}

bool q_value_is(const q_ir *p, q_ref v, double value)
{
    return p->values[v].kind == Q_V_CONSTANT && p->values[v].number == value;
}

q_ref q_value_op(q_ir *p, q_op op, const q_ref *args, const int32_t *k)
{
    q_scalar scalar = {.kind = Q_V_OP, .op = (uint16_t)op};
    const q_op_row *row = &q_ops[op];
    unsigned scope = 0;
    for (int a = 0; a < row->operands; a++) {
        scalar.arg[a] = args[a];
        scope |= p->values[args[a]].scope;
    }
    for (int i = 0; i < row->integers && k; i++) scalar.k[i] = k[i];
    scalar.scope = (uint8_t)scope;
    return p->status ? 0 : q_value_intern(p, &scalar);
}

/* A product with a number as number * rest, or with minus: the number (1 without one), and the rest in *rest. */
static double split_number(const q_ir *p, q_ref v, q_ref *rest)
{
    const q_scalar *value = &p->values[v];
    *rest = v;
    if (value->kind != Q_V_OP) return 1;
    if (value->op == Q_OP_Minus) *rest = value->arg[0];
    if (value->op == Q_OP_Minus) return -1;
    for (int a = 0; a < 2 && value->op == Q_OP_Mult; a++)
        if (p->values[value->arg[a]].kind == Q_V_CONSTANT) {
            *rest = value->arg[1 - a];
            return p->values[value->arg[a]].number;
        }
    return 1;
}

/* Whether the product of two numbers may stand for both: 1e30*(1e30*v) must not become inf*v in float32. */
bool q_constants_may_fold(double a, double b)
{
    double size = fabs(a * b);
    return fabs(a) == 1 || fabs(b) == 1 || (size >= (double)FLT_MIN && size <= (double)FLT_MAX);
}

q_ref q_value_times(q_ir *p, q_ref a, q_ref b)
{
    if (p->status) return 0;
    if (q_value_is(p, a, 1)) return b;
    if (q_value_is(p, b, 1)) return a;
    if (q_value_is(p, a, 0) || q_value_is(p, b, 0)) return q_value_number(p, 0);
    /* constants fold: c * (d * v) is (c d) * v */
    if (p->values[b].kind == Q_V_CONSTANT) {
        q_ref swap = a;
        a = b, b = swap;
    }
    if (p->values[a].kind == Q_V_CONSTANT) {
        q_ref rest;
        double own = p->values[a].number, factor = split_number(p, b, &rest);
        if (factor != 1 && q_constants_may_fold(own, factor))
            return q_value_times(p, q_value_number(p, own * factor), rest);
    }
    return q_value_op(p, Q_OP_Mult, (q_ref[]){a < b ? a : b, a < b ? b : a}, NULL);
}

q_ref q_value_times_no_nan(q_ir *p, q_ref a, q_ref b)
{
    if (p->status) return 0;
    if (p->values[a].kind == Q_V_CONSTANT || p->values[b].kind == Q_V_CONSTANT) return q_value_times(p, a, b);
    return q_value_op(p, Q_OP_MultNoNan, (q_ref[]){a < b ? a : b, a < b ? b : a}, NULL);
}

q_ref q_value_product(q_ir *p, q_ref a, q_ref b)
{
    if (p->status) return 0;
    bool trivial = q_value_is(p, a, 0) || q_value_is(p, b, 0) || q_value_is(p, a, 1) || q_value_is(p, b, 1);
    if (trivial) return q_value_times(p, a, b);
    unsigned scope = p->values[a].scope | p->values[b].scope;
    q_scalar scalar = {.kind = Q_V_OP, .op = Q_OP_Mult, .scope = (uint8_t)scope, .exact = 1};
    scalar.arg[0] = a < b ? a : b, scalar.arg[1] = a < b ? b : a;
    return q_value_intern(p, &scalar);
}

/* Division of a pair value by what lives in an outer loop is a product with its inverse, which is hoisted. */
q_ref q_value_divide(q_ir *p, q_ref a, q_ref b)
{
    const q_scalar *divisor = &p->values[b];
    uint8_t scope = p->values[a].scope | divisor->scope;
    if (scope == divisor->scope || (scope & Q_PAIR) != Q_PAIR) return q_value_op(p, Q_OP_Divide, (q_ref[]){a, b}, NULL);
    bool number_divides = divisor->kind == Q_V_CONSTANT && divisor->number != 0;
    return q_value_times(p, a,
                         number_divides ? q_value_number(p, 1 / divisor->number) : q_value_op(p, Q_OP_Inv, &b, NULL));
}

/* The sign of a product goes to the factor of an outer loop, if it has one. */
q_ref q_value_minus(q_ir *p, q_ref a)
{
    const q_scalar *value = &p->values[a];
    if (value->kind == Q_V_CONSTANT) return q_value_number(p, -value->number);
    q_ref factors[3] = {value->arg[0], value->arg[1]};
    for (int f = 0; f < 2 && value->kind == Q_V_OP && value->op == Q_OP_Mult && !value->exact; f++) {
        const q_scalar *factor = &p->values[factors[f]];
        if (factor->kind == Q_V_CONSTANT) return q_value_times(p, q_value_number(p, -factor->number), factors[1 - f]);
        if (factor->scope != value->scope)
            return q_value_times(p, q_value_op(p, Q_OP_Minus, &factors[f], NULL), factors[1 - f]);
    }
    return q_value_op(p, Q_OP_Minus, &a, NULL);
}

/* The opposite of a row's value less a column's; 0 for anything else. The row's value stands second there: rows that have
   left the registers can then be operands in memory. For uses to which the sign does not matter. */
q_ref q_value_opposite(q_ir *p, q_ref a)
{
    const q_scalar *value = &p->values[a];
    if (value->kind != Q_V_OP || value->op != Q_OP_Subtract) return 0;
    q_ref x = value->arg[0], y = value->arg[1];
    unsigned loop = value->scope & ~(unsigned)Q_PAIR;
    if (p->values[x].scope != (Q_ROW | loop) || p->values[y].scope != (Q_COLUMN | loop) || p->values[x].integer)
        return 0;
    return q_value_op(p, Q_OP_Subtract, (q_ref[]){y, x}, NULL);
}

q_ref q_value_square(q_ir *p, q_ref a)
{
    q_ref opposite = q_value_opposite(p, a);
    return opposite ? q_value_times(p, opposite, opposite) : q_value_times(p, a, a);
}

q_ref q_value_plus(q_ir *p, q_ref a, q_ref b)
{
    if (q_value_is(p, a, 0)) return b;
    if (q_value_is(p, b, 0)) return a;
    return q_value_op(p, Q_OP_Add, (q_ref[]){a, b}, NULL);
}

bool q_is_exact_quotient(const q_scalar *value)
{
    return value->kind == Q_V_OP && value->exact && value->op != Q_OP_Mult;
}

bool q_has_exact(const q_ir *p, bool quotients)
{
    bool any = false;
    for (q_ref v = 1; v < p->count; v++)
        if (p->uses[v]) any = any || q_is_exact_quotient(&p->values[v]) || (p->values[v].exact && !quotients);
    return any;
}

uint32_t q_value_count(const q_ir *program, size_t o)
{
    return program->outputs[o].looped ? 1 : program->outputs[o].dim;
}

uint32_t q_term_count(const q_ir *program, size_t r)
{
    return program->reductions[r].rhs ? 1 : program->reductions[r].dim;
}

bool q_rhs_is_scaled(const q_ir *p)
{
    bool any = false;
    for (size_t r = 0; r < p->reduction_count; r++) any = any || (p->reductions[r].rhs && p->reductions[r].scaled_by);
    return any;
}

void q_count_weights(q_ir *p)
{
    bool *read = p->rhs_dim ? q_arena_alloc(&p->arena, p->count * sizeof *read) : NULL;
    if (p->rhs_dim && !read) p->status = q_fail_memory(p->count * sizeof *read);
    if (!read) return;
    for (size_t r = 0; r < p->reduction_count; r++)
        if (p->reductions[r].rhs) read[p->reductions[r].terms[0]] = true;
    for (q_ref v = 1; v < p->count; v++)
        for (int a = 0; a < 3 && p->uses[v] && p->values[v].scope == (Q_PAIR | Q_RHS_LOOP); a++)
            read[p->values[v].arg[a]] = true;
    for (q_ref v = 1; v < p->count; v++) p->weights += read[v] && p->values[v].scope == Q_PAIR;
}

bool q_owns_rhs(const q_ir *p, size_t r)
{
    return p->reductions[r].rhs && p->reductions[r].state == r;
}

uint32_t q_own_dim(const q_ir *p, size_t r)
{
    return p->reductions[r].state == r && !p->reductions[r].rhs ? p->reductions[r].dim : 0;
}

bool q_is_state_array(const q_ir *p, size_t r)
{
    return !p->reductions[r].rhs && p->reductions[r].dim >= Q_LONG;
}

/* Whether an output is the result of a reduction with a count K as it stands: that is stored by a loop over K, since K may
   be large. */
bool q_is_selection(const q_ir *p, size_t o)
{
    size_t r = (size_t)p->values[p->results[o][0]].k[1];
    for (uint32_t d = 0; d < q_value_count(p, o); d++) {
        const q_scalar *value = &p->values[p->results[o][d]];
        if (value->kind != Q_V_FINISH || (size_t)value->k[1] != r || value->k[0] != (int32_t)d) return false;
    }
    return p->reductions[r].K && p->outputs[o].dim == p->reductions[r].dim * (uint32_t)p->reductions[r].K;
}

size_t q_live_values(const q_ir *program, uint8_t scope)
{
    size_t count = 0;
    for (q_ref v = 1; v < program->count; v++)
        if (program->uses[v] && program->values[v].scope == scope) count++;
    return count;
}
