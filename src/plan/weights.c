/*
 * weights.c: which sums of a formula can be taken in the pass that finds their weights' scale. Softmax weights
 *
 *     exp(a - r) or exp(LogRatio(a, r)), where r is LogSumExp_j(a) or Max_j(a),
 *
 * need r before the first term is added, so a sum over them would be a second pass over the same pairs. But where each
 * term is a multiple of one weight, the sum relative to the largest term so far will do: it is scaled when that grows,
 * and once more at the end, by exp(maximum - r). So it is in the same stage as r, and is scaled by
 * it. This is the online softmax.
 */
#include <string.h>

#include "plan/plan.h"

bool q_weight_of_exp(q_weight *out, const q_graph *graph, q_id id)
{
    const q_node *node = q_node_of(graph, id);
    return node->op == Q_OP_Exp && node->dim == 1 && q_weight_read(out, graph, q_node_of(graph, node->arg[0])) &&
           q_node_of(graph, out->term)->axes & q_node_of(graph, out->scale)->k[0];
}

enum { FREE, MULTIPLE, OTHER }; /* of the weight: none of it, a multiple of it, anything else */

static int of_product(int a, int b)
{
    return a == OTHER || b == OTHER || (a && b) ? OTHER : a + b;
}

/* Multiples of the weight add up to one; so does a zero. */
static int of_sum(const q_graph *graph, const q_node *node, int first, const uint8_t *form)
{
    for (int a = first; a < first + 2; a++)
        if (form[node->arg[a]] != MULTIPLE && !q_is_constant(graph, node->arg[a], 0)) return OTHER;
    return MULTIPLE;
}

/* The form of a node that is computed from the weight or from reductions of its level. */
static int form_of(const q_graph *graph, const q_node *node, const uint8_t *form)
{
    int a = form[node->arg[0]], b = form[node->arg[1]];
    if (node->op == Q_OP_Mult || node->op == Q_OP_MultNoNan || node->op == Q_OP_CONTRACT) return of_product(a, b);
    if (node->op == Q_OP_Divide) return b == FREE ? a : OTHER;
    if (node->op == Q_OP_Add || node->op == Q_OP_Subtract || node->op == Q_OP_Concat)
        return of_sum(graph, node, 0, form);
    if (node->op == Q_OP_IfElse || node->op == Q_OP_Where) return a == FREE ? of_sum(graph, node, 1, form) : OTHER;
    bool moves = q_ops[node->op].kind == Q_KIND_GATHER || q_ops[node->op].kind == Q_KIND_REPEAT;
    return moves || node->op == Q_OP_Minus || node->op == Q_OP_Sum ? a : OTHER;
}

/* The weight of which the sum's term is a multiple, or 0. What is computed from reductions of lower levels only is free
   of it. */
q_id q_weight_of(const q_graph *graph, q_id sum, const uint32_t *level, uint8_t *reached, uint8_t *form)
{
    const q_node *node = q_node_of(graph, sum);
    q_id term = node->arg[0], weight = 0;
    q_weight read;
    if (node->op != Q_RED_Sum || !level[term]) return 0;
    q_mark(graph, &term, 1, true, reached);
    for (q_id id = 1; id <= term && !weight; id++)
        if (reached[id] && level[id] == level[term] && q_weight_of_exp(&read, graph, id) &&
            level[read.scale] == level[term] && q_node_of(graph, read.scale)->k[0] == node->k[0] &&
            q_node_of(graph, read.scale)->axes == node->axes)
            weight = id;
    for (q_id id = 1; id <= term && weight; id++)
        form[id] = !reached[id] || level[id] < level[term] ? FREE
                   : id == weight                          ? MULTIPLE
                   : q_is_reduction(q_node_of(graph, id))  ? OTHER
                                                           : (uint8_t)form_of(graph, q_node_of(graph, id), form);
    return weight && form[term] == MULTIPLE ? weight : 0;
}
