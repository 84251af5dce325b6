/*
 * factor.c: products under linear reductions, taken apart and put together again by loop: factors free of the reduced
 * axis leave the reduction, factors of the column alone are multiplied once per column. What is to be rounded by
 * itself, or is an integer, stays whole.
 */
#include <stdlib.h>

#include "plan/plan.h"

enum { MAX_FACTORS = 64 };

typedef struct factors {
    q_ref of[MAX_FACTORS];
    size_t count;
    double constant;
} factors;

/* Takes a product apart; false if it has too many factors. */
static bool take_apart(const q_ir *p, q_ref v, factors *out)
{
    q_ref stack[MAX_FACTORS];
    size_t height = 0;
    stack[height++] = v;
    while (height) {
        const q_scalar *value = &p->values[stack[--height]];
        q_ref self = stack[height];
        bool minus = value->kind == Q_V_OP && value->op == Q_OP_Minus && !value->integer;
        bool product = value->kind == Q_V_OP && value->op == Q_OP_Mult && !value->exact && !value->integer;
        if (height + 2 > MAX_FACTORS || out->count + 1 > MAX_FACTORS) return false;
        if (minus) out->constant = -out->constant;
        if (minus || product) stack[height++] = value->arg[0];
        if (product) stack[height++] = value->arg[1];
        if (!minus && !product && value->kind == Q_V_CONSTANT) out->constant *= value->number;
        else if (!minus && !product) out->of[out->count++] = self;
    }
    return true;
}

static int younger_first(const void *a, const void *b)
{
    q_ref x = *(const q_ref *)a, y = *(const q_ref *)b;
    return x > y ? -1 : x < y;
}

/* The product of the factors with (or without) Q_COLUMN whose loops are exactly, or within, `where`. */
static q_ref product_of(q_ir *p, const factors *f, unsigned without, unsigned with, q_ref start)
{
    q_ref product = start;
    for (size_t k = 0; k < f->count; k++) {
        unsigned scope = p->values[f->of[k]].scope;
        if (!(scope & without) && (scope & with) == with) product = q_value_times(p, product, f->of[k]);
    }
    return product;
}

/* Splits term = hoisted * rest, where hoisted is free of the reduced axis; returns rest. Factors of one loop are multiplied
   among themselves before they meet those of another; within a loop the youngest come first, which tend to be the
   shared ones. */
q_ref q_split_term(q_ir *p, q_ref term, q_ref *hoisted)
{
    factors f = {.constant = 1};
    *hoisted = q_value_number(p, 1);
    if (p->status || !take_apart(p, term, &f)) return term;
    for (size_t k = 0; k < f.count; k++) {
        q_ref opposite = q_value_opposite(p, f.of[k]);
        if (opposite) f.of[k] = opposite, f.constant = -f.constant;
    }
    qsort(f.of, f.count, sizeof f.of[0], younger_first);
    q_ref reduced = product_of(p, &f, Q_ROW, Q_COLUMN, q_value_number(p, 1));
    reduced = product_of(p, &f, 0, Q_ROW | Q_COLUMN, reduced);
    if (q_value_is(p, reduced, 1) || !q_constants_may_fold(f.constant, 1.5)) return term;
    *hoisted = product_of(p, &f, Q_ROW | Q_COLUMN, 0, q_value_number(p, f.constant));
    for (size_t k = 0; k < f.count; k++)
        if (p->values[f.of[k]].scope == Q_ROW) *hoisted = q_value_times(p, *hoisted, f.of[k]);
    return reduced;
}

/* The same in the loop over right-hand sides: what is of the pair alone meets first, then what differs from component to component. */
q_ref q_split_loop_value(q_ir *p, q_ref term, q_ref *hoisted)
{
    factors f = {.constant = 1};
    *hoisted = q_value_number(p, 1);
    if (p->status || !take_apart(p, term, &f)) return term;
    q_ref weight = q_value_number(p, 1), vector = weight;
    qsort(f.of, f.count, sizeof f.of[0], younger_first);
    weight = product_of(p, &f, Q_RHS_LOOP | Q_ROW, Q_COLUMN, weight);
    weight = product_of(p, &f, Q_RHS_LOOP, Q_PAIR, weight);
    for (size_t k = 0; k < f.count; k++)
        if (p->values[f.of[k]].scope & Q_RHS_LOOP) vector = q_value_times(p, vector, f.of[k]);
    q_ref reduced = q_value_times(p, weight, vector);
    if (q_value_is(p, reduced, 1) || !q_constants_may_fold(f.constant, 1.5)) return term;
    *hoisted = product_of(p, &f, Q_RHS_LOOP | Q_COLUMN, 0, q_value_number(p, f.constant));
    return reduced;
}
