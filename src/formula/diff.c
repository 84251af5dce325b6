/*
 * diff.c: derivatives. One reverse pass over the graph, whose steps are the derivative column of ops.def and reductions.def;
 * the result is again a formula in the same graph, so it can be simplified, compiled and differentiated like any other.
 *
 * Everything that is not in a table follows from one rule: a value that does not depend on an axis is implicitly repeated
 * along it where it meets one that does, and the adjoint of repeating is summing. So the adjoint of a node always has the
 * node's own axes, and Sum_i or Sum_j appears wherever a use has more axes than what it uses. That makes gradients of whole
 * losses total without any case for reductions. Only for pair formulas (no reduction inside) the sums are left out: there
 * the derivative is meant pair by pair, as in KeOps.
 */
#include <stdlib.h>

#include "formula/formula.h"

typedef struct pass {
    q_graph *graph;
    q_id *adjoint;  /* by node; 0: none so far */
    uint8_t *wanted; /* nodes that the variable reaches */
    bool total;
} pass;

/* Adds what one use contributes to the adjoint of `id`. `axes` are those of the use. */
static void contribute(pass *p, q_id id, q_id term, unsigned axes)
{
    if (!p->wanted[id]) return;
    unsigned extra = p->total ? axes & ~(unsigned)q_node_of(p->graph, id)->where : 0;
    term = q_broadcast(p->graph, term, q_node_of(p->graph, id)->dim);
    if (extra & Q_J) term = q_reduce(p->graph, Q_RED_Sum, Q_J, term);
    if (extra & Q_I) term = q_reduce(p->graph, Q_RED_Sum, Q_I, term);
    p->adjoint[id] = p->adjoint[id] ? q_apply2(p->graph, Q_OP_Add, p->adjoint[id], term) : term;
}

static void bind(q_scope *scope, const char *name, q_id id)
{
    scope->names[scope->count++] = (q_binding){name, id};
}

static void bind_number(q_graph *graph, q_scope *scope, const char *name, double value)
{
    bind(scope, name, q_constant(graph, value, 1));
}

/* Sends the adjoint of a node to its operands by its row's derivative. */
static void step(pass *p, q_id id)
{
    q_graph *graph = p->graph;
    q_node node = *q_node_of(graph, id); /* a copy: the array moves as the graph grows */
    const q_op_row *row = &q_ops[node.op];
    unsigned axes = node.where | (q_is_reduction(&node) ? (unsigned)node.k[0] : 0);
    q_scope scope = {.reduced = q_is_reduction(&node) ? (uint8_t)node.k[0] : 0};
    static const char *const letters[] = {"a", "b", "c"};
    for (int a = 0; a < row->operands; a++) bind(&scope, letters[a], node.arg[a]);
    bind(&scope, "r", id);
    bind(&scope, "g", p->adjoint[id]);
    bind_number(graph, &scope, "n", q_node_of(graph, node.arg[0])->dim);
    if (row->operands > 1) bind_number(graph, &scope, "m", q_node_of(graph, node.arg[1])->dim);
    if (row->integers > 0) bind_number(graph, &scope, "k", node.k[0]);
    if (row->integers > 1) bind_number(graph, &scope, "l", node.k[1]);
    for (int a = 0; a < row->operands; a++)
        if (p->wanted[node.arg[a]]) {
            q_id term = q_parse_row(graph, row->derivative, (size_t)a, &scope);
            if (graph->status) return;
            if (!q_is_constant(graph, term, 0)) contribute(p, node.arg[a], term, axes);
        }
}

/* Marks the nodes from which the variable can be reached; returns whether a reduction is among what `value` is made of. A
   count stands for a sum of equal terms that was simplified. */
static bool mark_wanted(const q_graph *graph, q_id value, q_id variable, uint8_t *wanted)
{
    q_mark(graph, &value, 1, false, wanted);
    bool reduces = false;
    for (q_id id = 1; id <= value; id++) {
        const q_node *node = q_node_of(graph, id);
        if (!wanted[id]) continue;
        reduces = reduces || q_is_reduction(node) || node->op == Q_OP_COUNT;
        wanted[id] = id == variable;
        for (int a = 0; a < 3; a++)
            if (node->arg[a] && wanted[node->arg[a]]) wanted[id] = 1;
    }
    return reduces;
}

static q_id check(q_graph *graph, q_id value, q_id variable, q_id e)
{
    const char *message = NULL;
    if (q_node_of(graph, variable)->op != Q_OP_VARIABLE) message = "Grad's second argument must be a variable";
    else if (q_node_of(graph, e)->dim != 1 && q_node_of(graph, e)->dim != q_node_of(graph, value)->dim)
        message = "Grad's third argument must be as long as the first";
    if (message) graph->status = graph->text ? q_fail_at(QUERN_DIMENSION, graph->text, graph->at, "%s", message)
                                             : q_fail(QUERN_DIMENSION, "%s", message);
    return graph->status ? 0 : q_broadcast(graph, e, q_node_of(graph, value)->dim);
}

static q_id run(pass *p, q_id value, q_id variable, q_id e)
{
    q_graph *graph = p->graph;
    unsigned axes = q_node_of(graph, value)->where, own = q_node_of(graph, variable)->where;
    if (p->total && (q_node_of(graph, e)->where & ~axes)) {
        const char *message = "Grad of a reduction: the third argument depends on an index that the first one lacks";
        graph->status = graph->text ? q_fail_at(QUERN_DIMENSION, graph->text, graph->at, "%s", message)
                                    : q_fail(QUERN_DIMENSION, "%s", message);
        return 0;
    }
    contribute(p, value, e, axes);
    for (q_id id = value; id && !graph->status; id--)
        if (p->adjoint[id] && id != variable) step(p, id);
    q_id result = p->adjoint[variable];
    if (!result) result = q_constant(graph, 0, q_node_of(graph, variable)->dim);
    return p->total ? q_repeat(graph, result, (uint8_t)own) : result;
}

static q_id differentiate(q_graph *graph, q_id value, q_id variable, q_id e, bool total)
{
    if (graph->status || !value || !variable || !e) return 0;
    if (!(e = check(graph, value, variable, e))) return 0;
    pass p = {.graph = graph, .adjoint = calloc((size_t)value + 1 + variable, sizeof(q_id)), .wanted = malloc(graph->count)};
    q_id result = 0;
    if (p.adjoint && p.wanted) {
        p.total = mark_wanted(graph, value, variable, p.wanted) || total;
        result = run(&p, value, variable, e);
    } else {
        graph->status = q_fail_memory(graph->count * sizeof(q_id));
    }
    free(p.adjoint);
    free(p.wanted);
    return graph->status ? 0 : result;
}

q_id q_grad(q_graph *graph, q_id value, q_id variable, q_id e)
{
    return differentiate(graph, value, variable, e, false);
}

q_id q_grad_total(q_graph *graph, q_id value, q_id variable, q_id e)
{
    return differentiate(graph, value, variable, e, true);
}
