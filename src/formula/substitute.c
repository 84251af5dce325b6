/*
 * substitute.c: a formula with other leaves, built anew in another graph, where it simplifies as any other. Of formulas
 * without reductions: what a reduction runs over is no leaf.
 */
#include <stdlib.h>
#include <string.h>

#include "formula/formula.h"

static q_id refuse(q_graph *graph, const q_node *node, const char *what)
{
    q_graph_fail(graph, QUERN_UNSUPPORTED, "the formula has %s in it, which needs all rows or columns",
                 q_ops[node->op].name);
    q_fail_next_step("compute %s of it first, and give the result as a variable", what);
    return 0;
}

static q_id build(q_graph *to, const q_graph *from, q_id id, const q_id *known, q_replace *replace, void *self)
{
    const q_node *node = q_node_of(from, id);
    const q_op_row *row = &q_ops[node->op];
    q_id args[3] = {known[node->arg[0]], known[node->arg[1]], known[node->arg[2]]};
    switch (row->kind) {
    case Q_KIND_LEAF:
        return node->op == Q_OP_CONSTANT ? q_constant(to, node->value, node->dim) : replace(self, to, node);
    case Q_KIND_ELEMENTWISE:
    case Q_KIND_GATHER:
    case Q_KIND_EXPAND: return q_apply(to, (q_op)node->op, args, (size_t)row->operands, node->k, (size_t)row->integers);
    case Q_KIND_CONTRACT: return q_contract(to, args[0], args[1], q_contraction_of(from, node));
    case Q_KIND_LOOKUP: return node->k[0] ? refuse(to, node, "the rows") : q_lookup(to, args[0], args[1], node->k[1]);
    case Q_KIND_REPEAT: return args[0];
    case Q_KIND_REDUCTION: return refuse(to, node, "that part");
    }
    return 0;
}

q_id q_substitute(q_graph *to, const q_graph *from, q_id root, q_replace *replace, void *self)
{
    q_id *known = calloc(from->count, sizeof *known), result = 0;
    uint8_t *marks = malloc(from->count);
    if (!known || !marks) to->status = q_fail_memory(from->count * sizeof *known);
    else q_mark(from, &root, 1, false, marks);
    for (q_id id = 1; id <= root && !to->status; id++)
        if (marks[id]) result = known[id] = build(to, from, id, known, replace, self);
    free(known);
    free(marks);
    return to->status ? 0 : result;
}
