/*
 * fuse.c: values of a program that are better computed together: products in sums, as fused multiply-adds, and squared
 * distances of long vectors, by their expansion.
 */
#include "plan/plan.h"

static bool fusible(const q_ir *p, q_ref v, uint8_t scope)
{
    const q_scalar *value = &p->values[v];
    return value->kind == Q_V_OP && value->op == Q_OP_Mult && !value->exact && !value->integer && p->uses[v] == 1 &&
           value->scope == scope;
}

/* a*b + c, c - a*b and a*b - c, where the product has no other use, as one operation. */
void q_fuse(q_ir *p)
{
    for (q_ref v = 1; v < p->count; v++) {
        q_scalar *value = &p->values[v];
        bool add = value->kind == Q_V_OP && value->op == Q_OP_Add,
             subtract = value->kind == Q_V_OP && value->op == Q_OP_Subtract;
        if (!p->uses[v] || value->integer || (!add && !subtract)) continue;
        int product = fusible(p, value->arg[1], value->scope) ? 1 : fusible(p, value->arg[0], value->scope) ? 0 : -1;
        if (product < 0 || value->arg[0] == value->arg[1]) continue;
        const q_scalar *mult = &p->values[value->arg[product]];
        q_scalar fma = {
            .kind = Q_V_FMA, .scope = value->scope, .arg = {mult->arg[0], mult->arg[1], value->arg[1 - product]}};
        if (subtract) fma.negate = product == 1 ? 1 : 2;
        *value = fma;
    }
}

// ---- squared distances by their expansion ----

/* Whether reduction r is a selection of the smallest values of v as they stand. */
static bool selects(const q_ir *p, size_t r, q_ref v)
{
    return q_ops[p->reductions[r].op].smallest && p->reductions[r].dim == 1 && p->reductions[r].terms[0] == v;
}

bool q_product_find(q_ref factors[2], const q_ir *p)
{
    const q_scalar *term = p->sum_count == 1 ? &p->values[p->values[p->sums[0]].arg[0]] : NULL;
    if (!term || term->kind != Q_V_OP || term->op != Q_OP_Mult || term->exact || term->integer) return false;
    int row = p->values[term->arg[0]].scope == (Q_ROW | Q_K_LOOP) ? 0 : 1;
    factors[0] = term->arg[row], factors[1] = term->arg[1 - row];
    return p->values[factors[0]].scope == (Q_ROW | Q_K_LOOP) && p->values[factors[1]].scope == (Q_COLUMN | Q_K_LOOP);
}

/* Whether v is of use to nothing but exponentials. */
static bool only_exponent(const q_ir *p, q_ref v)
{
    bool only = true;
    for (q_ref user = v + 1; user < p->count && only; user++) {
        const q_scalar *value = &p->values[user];
        bool uses = p->uses[user] && (value->arg[0] == v || value->arg[1] == v || value->arg[2] == v);
        only = !uses || (value->kind == Q_V_OP && value->op == Q_OP_Exp);
    }
    for (size_t r = 0; r < p->reduction_count; r++)
        for (uint32_t d = 0; d < q_term_count(p, r); d++) only = only && p->reductions[r].terms[d] != v;
    return only;
}

bool q_exponent_find(q_ref *factor, const q_ir *p)
{
    if (p->sum_count != 1) return false;
    q_ref sum = p->sums[0], multiple = 0;
    *factor = 0;
    for (q_ref v = sum + 1; v < p->count && !multiple; v++) {
        const q_scalar *value = &p->values[v];
        if (!p->uses[v] || value->kind != Q_V_OP || value->op != Q_OP_Mult || value->arg[0] == value->arg[1]) continue;
        int at = value->arg[0] == sum ? 0 : value->arg[1] == sum ? 1 : -1;
        if (at >= 0 && p->values[value->arg[1 - at]].scope == 0) multiple = v, *factor = value->arg[1 - at];
    }
    return multiple ? p->uses[sum] == 1 && only_exponent(p, multiple) : only_exponent(p, sum);
}

size_t q_rhs_sum(const q_ir *p)
{
    size_t sum = p->reduction_count, count = 0;
    for (size_t r = 0; r < p->reduction_count; r++)
        if (q_owns_rhs(p, r)) sum = r, count++;
    return count == 1 ? sum : p->reduction_count;
}

bool q_rhs_product_find(q_ref factors[2], const q_ir *p)
{
    size_t sum = q_rhs_sum(p);
    const q_scalar *term = sum < p->reduction_count ? &p->values[p->reductions[sum].terms[0]] : NULL;
    if (!term || term->kind != Q_V_OP || term->op != Q_OP_Mult || term->exact || term->integer) return false;
    int weight = p->values[term->arg[0]].scope == Q_PAIR ? 0 : 1;
    factors[0] = term->arg[weight], factors[1] = term->arg[1 - weight];
    const q_scalar *of_pair = &p->values[factors[0]], *of_column = &p->values[factors[1]];
    return of_pair->scope == Q_PAIR && of_column->scope == (Q_COLUMN | Q_RHS_LOOP) && !of_pair->integer &&
           !of_column->integer;
}

/* A stage with one contraction, sum over d of (x - y)^2 with x of the row and y of the column, both of no other use: it
   is |x - c|^2 + |y - c|^2 - 2 (x - c)(y - c), half the work. Sums take that where it is accurate. Selections must not
   see other values from tile to tile, or equal terms would lose their order: they are screened. */
void q_expansion_find(q_ir *p)
{
    if (p->sum_count != 1) return;
    const q_scalar *square = &p->values[p->values[p->sums[0]].arg[0]], *difference = &p->values[square->arg[0]];
    if (square->kind != Q_V_OP || square->op != Q_OP_Mult || square->arg[0] != square->arg[1]) return;
    if (difference->kind != Q_V_OP || difference->op != Q_OP_Subtract || p->uses[square->arg[0]] != 2) return;
    int row = p->values[difference->arg[0]].scope == (Q_ROW | Q_K_LOOP) ? 0 : 1;
    q_ref x = difference->arg[row], y = difference->arg[1 - row];
    if (p->values[x].scope != (Q_ROW | Q_K_LOOP) || p->values[y].scope != (Q_COLUMN | Q_K_LOOP)) return;
    if (p->values[x].integer || p->values[y].integer || p->uses[x] != 1 || p->uses[y] != 1) return;
    bool linear = true, screened = p->reduction_count > 0;
    for (size_t r = 0; r < p->reduction_count; r++) {
        if (q_ops[p->reductions[r].op].reduction != Q_LINEAR && p->reductions[r].op != Q_RED_LogSumExp) linear = false;
        if (!selects(p, r, p->sums[0]) || p->reductions[r].state != p->reductions[0].state) screened = false;
    }
    p->expansion = linear ? Q_GUARDED : screened ? Q_SCREENED : Q_DIRECT;
    p->expanded[0] = x, p->expanded[1] = y;
}
