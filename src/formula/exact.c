/*
 * exact.c: where a rounding shows. What jumps, such as Floor or a comparison, makes of the last bit a whole unit, so what it
 * is made of is computed as the formula says, each step rounded once; elsewhere quotients become products with inverses
 * and products join sums, which is faster or more accurate. Whole numbers need no such care as long as nothing but sums,
 * differences and products is done with them. Indices and counts are whole numbers that float32 may be too short for.
 *
 * The rows EXACT of ops.def say what jumps and what is whole.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "formula/formula.h"

enum { LIVE = 128 }; /* something needs the node */

bool q_is_whole(double value)
{
    return fabs(value) <= INT32_MAX && value == rint(value);
}

/* The bits of `mask` that all operands have. */
static uint8_t common(const q_node *node, const uint8_t *flags, uint8_t mask)
{
    for (int a = 0; a < q_ops[node->op].operands; a++) mask &= flags[node->arg[a]];
    return mask;
}

static uint8_t whole_leaf(const q_node *node)
{
    if (node->op == Q_OP_VARIABLE) return Q_EXACT_WHOLE;
    return node->op == Q_OP_CONSTANT && !q_is_whole(node->value) ? 0 : Q_EXACT_WHOLE | Q_EXACT_ALWAYS;
}

static uint8_t whole(const q_node *node, const uint8_t *flags)
{
    const q_op_row *row = &q_ops[node->op];
    uint8_t both = Q_EXACT_WHOLE | Q_EXACT_ALWAYS;
    switch (row->kind) {
    case Q_KIND_LEAF: return whole_leaf(node);
    case Q_KIND_ELEMENTWISE:
    case Q_KIND_EXPAND: return row->whole == Q_ALWAYS ? both : row->whole == Q_WHEN ? common(node, flags, both) : 0;
    case Q_KIND_REDUCTION:
        return row->reduction == Q_INDEX ? both : node->op == Q_RED_Sum ? common(node, flags, both) : 0;
    default: return common(node, flags, both);
    }
}

/* Operations that are done on integers as on other numbers. */
static bool keeps_integers(q_op op)
{
    return op == Q_OP_Add || op == Q_OP_Subtract || op == Q_OP_Mult || op == Q_OP_Minus || op == Q_OP_Abs;
}

static bool fits(q_interval x, double most)
{
    return x.low >= -most && x.high <= most;
}

/* Sums of truths, and what is made of indices and such sums by operations that keep integers, if it fits. */
static uint8_t counted(const q_graph *graph, const q_node *node, const uint8_t *flags, const q_interval *bounds)
{
    const q_op_row *row = &q_ops[node->op];
    q_interval own = bounds[node - graph->nodes];
    if (node->integer || node->op == Q_OP_COUNT) return Q_EXACT_COUNTED;
    if (node->op == Q_RED_Sum) {
        bool truths = node->dim == 1 && flags[node->arg[0]] & Q_EXACT_ALWAYS && fits(bounds[node->arg[0]], 1);
        return truths ? Q_EXACT_COUNTED : 0;
    }
    if (row->kind == Q_KIND_GATHER || row->kind == Q_KIND_REPEAT) return common(node, flags, Q_EXACT_COUNTED);
    if (!keeps_integers((q_op)node->op) || !fits(own, INT32_MAX)) return 0;
    bool all = true, any = false;
    for (int a = 0; a < row->operands; a++) {
        const q_node *operand = q_node_of(graph, node->arg[a]);
        bool number = operand->op == Q_OP_CONSTANT && q_is_whole(operand->value);
        bool integer = flags[node->arg[a]] & Q_EXACT_COUNTED;
        all = all && (number || integer);
        any = any || integer;
    }
    return all && any ? Q_EXACT_COUNTED : 0;
}

/* Whether the function has a domain beside whose end rounding must not lead. Poles and overflow are no such ends. */
static bool has_edge(const q_op_row *row)
{
    return row->domain && row->domain != q_domain_not_zero && row->domain != q_domain_exponent &&
           row->domain != q_domain_both_exponents && row->domain != q_domain_power;
}

static bool is_product(const q_node *node)
{
    return node->op == Q_OP_Mult || node->op == Q_OP_Square;
}

/* a*a - b*b rounds to 0 where a = b if both products are rounded; a fused one is as much below 0 as it rounds b*b up. */
static void part_products(const q_graph *graph, const q_node *node, uint8_t *flags)
{
    for (int a = 0; a < 2 && node->op == Q_OP_Subtract; a++)
        if (is_product(q_node_of(graph, node->arg[a])) && q_node_of(graph, node->arg[1 - a])->op != Q_OP_CONSTANT)
            flags[node->arg[a]] |= Q_EXACT_ALONE;
}

/* Hands on to the operands what is asked of the node. What finds an index asks for less, whatever it is used for. */
static void ask_operands(const q_graph *graph, const q_node *node, uint8_t own, uint8_t *flags)
{
    const q_op_row *row = &q_ops[node->op];
    bool finds = row->kind == Q_KIND_REDUCTION && row->reduction == Q_INDEX;
    uint8_t asked = finds ? Q_EXACT_CHOSEN : own & (Q_EXACT_CHOSEN | Q_EXACT_JUMPS | Q_EXACT_EDGE);
    if (has_edge(row)) asked |= Q_EXACT_EDGE;
    if (own & (Q_EXACT_EDGE | Q_EXACT_JUMPS)) part_products(graph, node, flags);
    for (int a = 0; a < row->operands; a++)
        flags[node->arg[a]] |= asked | (row->jumps >> a & 1 ? Q_EXACT_CHOSEN | Q_EXACT_JUMPS : 0);
}

quern_status q_exact_all(const q_graph *graph, const q_id *roots, size_t count, uint8_t *out)
{
    q_interval *bounds = malloc(graph->count * sizeof *bounds);
    if (!bounds) return q_fail_memory(graph->count * sizeof *bounds);
    q_bounds_all(graph, bounds);
    q_mark(graph, roots, count, false, out);
    for (q_id id = 1; id < graph->count; id++) {
        const q_node *node = q_node_of(graph, id);
        if (out[id]) out[id] = whole(node, out) | counted(graph, node, out, bounds) | LIVE;
    }
    for (q_id id = (q_id)graph->count - 1; id; id--)
        if (out[id]) ask_operands(graph, q_node_of(graph, id), out[id], out);
    free(bounds);
    return QUERN_OK;
}
