/*
 * chain.c: the product in the chain rule, of an adjoint (in forward mode a tangent) and a local derivative. In IEEE
 * arithmetic 0 times infinity or NaN is NaN, but an adjoint of 0 means that the value has no part in the result: it
 * stands in the branch that was not chosen, or has weight 0; and the local derivative of a distance is 0 where two
 * points coincide. So 0 wins here, by MultNoNan (the name is TensorFlow's), whose derivative is of the same kind.
 *
 * That is done only where it can matter, so that all other derivatives stay plain products:
 *
 *   singular   a factor may be infinite or NaN although all variables are finite; intervals tell where it cannot
 *   masked     a factor may be 0 because of a choice, and the other one comes of data, which may be NaN
 *
 * In the second case the choice, if it can be seen in the factor, goes around the product: one selection, as before.
 *
 * Intervals are taken as one expects them to be: a parameter is a positive number, and what is computed from nothing
 * else is finite, where it meets values with an index; among parameters alone, where cost is no matter, they may be 0.
 */
#include <stdlib.h>

#include "formula/formula.h"

enum { WITH_INDEX, PARAMETERS_ALONE, CASES, MOST_NESTING = 6 };

struct q_fact {
    q_interval bounds[CASES];
    bool singular[CASES], masked;
};

// ---- what is known of a node, from its operands ----

static bool is_truth(const q_node *node)
{
    return q_ops[node->op].interval == q_interval_truth || node->op == Q_OP_OneHot;
}

static bool is_choice(const q_node *node)
{
    return node->op == Q_OP_Where || node->op == Q_OP_IfElse;
}

static bool is_masked(const q_chain *chain, const q_node *node)
{
    bool a = chain->facts[node->arg[0]].masked, b = chain->facts[node->arg[1]].masked;
    q_op_kind kind = q_ops[node->op].kind;
    if (is_choice(node))
        return b || chain->facts[node->arg[2]].masked || q_is_constant(chain->graph, node->arg[1], 0) ||
               q_is_constant(chain->graph, node->arg[2], 0);
    if (node->op == Q_OP_Add || node->op == Q_OP_Subtract) return a && b;
    if (node->op == Q_OP_Mult || node->op == Q_OP_MultNoNan || kind == Q_KIND_CONTRACT) return a || b;
    bool numerator = node->op == Q_OP_Divide || node->op == Q_OP_DivNoNan || node->op == Q_OP_Minus;
    bool sum = node->op == Q_OP_Sum || node->op == Q_RED_Sum;
    if (numerator || sum || kind == Q_KIND_REPEAT) return a;
    return kind == Q_KIND_GATHER ? a || b : is_truth(node);
}

static bool is_singular(const q_chain *chain, const q_node *node, const q_interval *x, int which)
{
    const q_op_row *row = &q_ops[node->op];
    if (which == WITH_INDEX && !node->axes) return false;
    if (is_truth(node) || node->op == Q_OP_Finite) return false;
    for (int a = 0; a < row->operands; a++)
        if (chain->facts[node->arg[a]].singular[which]) return true;
    if (!row->domain) return false;
    bool given = which == WITH_INDEX && !q_node_of(chain->graph, node->arg[row->decides])->axes;
    return !given && !row->domain(x + row->decides, node->k);
}

static void learn_node(q_chain *chain, q_id id)
{
    const q_node *node = q_node_of(chain->graph, id);
    q_fact *fact = &chain->facts[id];
    for (int which = 0; which < CASES; which++) {
        q_interval x[3] = {{0, 0}, {0, 0}, {0, 0}};
        for (int a = 0; a < q_ops[node->op].operands; a++) x[a] = chain->facts[node->arg[a]].bounds[which];
        fact->bounds[which] = q_bounds_expected(chain->graph, id, x, which == WITH_INDEX);
        fact->singular[which] = is_singular(chain, node, x, which);
    }
    fact->masked = is_masked(chain, node);
}

/* Brings what is known up to date with the graph. */
static bool learn(q_chain *chain)
{
    if (!q_grow(&chain->facts, &chain->capacity, chain->graph->count, sizeof *chain->facts)) {
        chain->graph->status = q_fail_memory(chain->graph->count * sizeof *chain->facts);
        return false;
    }
    if (!chain->count) chain->facts[chain->count++] = (q_fact){0};
    for (; chain->count < chain->graph->count; chain->count++) learn_node(chain, (q_id)chain->count);
    return true;
}

// ---- the product ----

static bool is_number(const q_graph *graph, q_id id)
{
    return q_node_of(graph, id)->op == Q_OP_CONSTANT;
}

bool q_chain_is_delicate(q_chain *chain, q_id g, q_id local)
{
    if (chain->graph->status || !learn(chain)) return false;
    if (is_number(chain->graph, g) || is_number(chain->graph, local)) return false;
    const q_fact *x = &chain->facts[g], *y = &chain->facts[local];
    bool x_indexed = q_node_of(chain->graph, g)->axes, y_indexed = q_node_of(chain->graph, local)->axes;
    int which = x_indexed || y_indexed ? WITH_INDEX : PARAMETERS_ALONE;
    if (x->singular[which] || y->singular[which]) return true;
    return (x->masked && y_indexed) || (chain->forward && y->masked && x_indexed);
}

static q_id product(q_chain *chain, q_id g, q_id local, int nesting);

/* The product within the choice that makes g 0; 0 where none can be seen. */
static q_id within_choice(q_chain *chain, q_id g, q_id local, int nesting)
{
    q_graph *graph = chain->graph;
    q_id zero = q_constant(graph, 0, 1), args[3] = {g, local, zero};
    if (!nesting || graph->status || !learn(chain) || !chain->facts[g].masked) return 0;
    q_node node = *q_node_of(graph, g);
    if (is_truth(&node)) return q_apply(graph, Q_OP_Where, args, 3, NULL, 0);
    if (node.op == Q_OP_SumT) return within_choice(chain, node.arg[0], local, nesting - 1);
    if (node.op == Q_OP_Minus) {
        q_id inner = within_choice(chain, node.arg[0], local, nesting - 1);
        return inner ? q_apply1(graph, Q_OP_Minus, inner) : 0;
    }
    for (int a = 0; a < 2 && (node.op == Q_OP_Mult || node.op == Q_OP_MultNoNan); a++) {
        q_id inner = within_choice(chain, node.arg[a], local, nesting - 1);
        if (inner) return product(chain, node.arg[1 - a], inner, nesting - 1);
    }
    for (int a = 1; a < 3 && is_choice(&node); a++)
        if (q_is_constant(graph, node.arg[3 - a], 0)) {
            args[0] = node.arg[0], args[a] = product(chain, node.arg[a], local, nesting - 1), args[3 - a] = zero;
            return q_apply(graph, (q_op)node.op, args, 3, NULL, 0);
        }
    return 0;
}

static q_id product(q_chain *chain, q_id g, q_id local, int nesting)
{
    if (!q_chain_is_delicate(chain, g, local)) return q_apply2(chain->graph, Q_OP_Mult, g, local);
    q_node node = *q_node_of(chain->graph, local);
    if (node.op == Q_OP_Mult && is_number(chain->graph, node.arg[1])) /* numbers stay outside */
        return q_apply2(chain->graph, Q_OP_Mult, product(chain, g, node.arg[0], nesting), node.arg[1]);
    q_id within = within_choice(chain, g, local, nesting);
    if (!within) within = within_choice(chain, local, g, nesting);
    return within ? within : q_apply2(chain->graph, Q_OP_MultNoNan, g, local);
}

q_id q_chain_product(q_chain *chain, q_id g, q_id local)
{
    return product(chain, g, local, MOST_NESTING);
}

void q_chain_trim(q_chain *chain, size_t count)
{
    q_graph_trim(chain->graph, count);
    if (chain->count > count) chain->count = count;
}

void q_chain_free(q_chain *chain)
{
    free(chain->facts);
    chain->facts = NULL;
}
