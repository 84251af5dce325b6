/*
 * diff.c: derivatives. One reverse pass over the graph, whose steps are the derivative column of ops.def and
 * reductions.def; the result is again a formula in the same graph, so it can be simplified, compiled and differentiated
 * like any other.
 *
 * Everything that is not in a table follows from one rule: a value that does not depend on an axis is implicitly
 * repeated along it where it meets one that does, and the adjoint of repeating is summing. So the adjoint of a node
 * always has the node's own axes, and Sum_i or Sum_j appears wherever a use has more axes than what it uses. That makes
 * gradients of whole losses total without any case for reductions. Only for pair formulas (no reduction inside) the
 * sums are left out: there the derivative is meant pair by pair, as in KeOps.
 *
 * Forward mode (Diff) reads the same columns the other way: they are linear in g, so with the tangent of an operand in
 * place of the adjoint they give what it adds to the tangent of the result.
 *
 * A column with g = 1 is the local derivative; where its product with g is delicate, chain.c makes it.
 */
#include <stdlib.h>

#include "formula/formula.h"

typedef struct pass {
    q_graph *graph;
    q_chain chain;
    q_id (*terms)[4]; /* by node and by the axes still to be summed over: sums of what its uses contribute */
    uint8_t *wanted;  /* nodes that the variable reaches */
    bool total;
} pass;

/* Adds what one use contributes to the adjoint of `id`. `axes` are those of the use. The sums over axes that the node
   lacks are taken later, once for all uses, but for those that only count equal terms. */
static void contribute(pass *p, q_id id, q_id term, unsigned axes)
{
    if (!p->wanted[id]) return;
    unsigned extra = p->total ? axes & ~(unsigned)q_node_of(p->graph, id)->axes : 0;
    term = q_broadcast(p->graph, term, q_node_of(p->graph, id)->dim);
    if (extra) term = q_repeat_pairs(p->graph, term, axes);
    for (unsigned axis = Q_I; term && axis <= Q_J; axis++)
        if ((extra & axis) && !(q_node_of(p->graph, term)->axes & axis)) {
            term = q_reduce(p->graph, Q_RED_Sum, (uint8_t)axis, term, 0);
            extra &= ~axis;
        }
    q_id *sum = &p->terms[id][extra];
    *sum = *sum ? q_apply2(p->graph, Q_OP_Add, *sum, term) : term;
}

/* The adjoint of a node all of whose uses have contributed; 0 if none has. */
static q_id adjoint_of(pass *p, q_id id)
{
    q_id adjoint = 0;
    for (unsigned extra = 0; extra < 4; extra++) {
        q_id term = p->terms[id][extra];
        if (!term) continue;
        if (extra & Q_J) term = q_reduce(p->graph, Q_RED_Sum, Q_J, term, 0);
        if (extra & Q_I) term = q_reduce(p->graph, Q_RED_Sum, Q_I, term, 0);
        adjoint = adjoint ? q_apply2(p->graph, Q_OP_Add, adjoint, term) : term;
    }
    return adjoint;
}

static void bind(q_scope *scope, const char *name, q_id id)
{
    scope->names[scope->count++] = (q_binding){name, id};
}

static void bind_number(q_graph *graph, q_scope *scope, const char *name, double value)
{
    bind(scope, name, q_constant(graph, value, 1));
}

/* What the letters of a row's derivative mean at this node. */
static q_scope scope_of(q_graph *graph, q_id id, q_id g)
{
    static const char *const letters[] = {"a", "b", "c"};
    q_node node = *q_node_of(graph, id); /* a copy: the array moves as the graph grows */
    const q_op_row *row = &q_ops[node.op];
    bool reduction = q_is_reduction(&node);
    q_scope scope = {.reduced = reduction ? (uint8_t)node.k[0] : 0};
    for (int a = 0; a < row->operands; a++) bind(&scope, letters[a], node.arg[a]);
    bind(&scope, "r", id);
    bind(&scope, "g", g);
    bind_number(graph, &scope, "n", q_node_of(graph, node.arg[0])->dim);
    if (row->operands > 1) bind_number(graph, &scope, "m", q_node_of(graph, node.arg[1])->dim);
    if (row->integers > 0) bind_number(graph, &scope, "k", node.k[reduction ? 1 : 0]);
    if (row->integers > 1) bind_number(graph, &scope, "l", node.k[1]);
    return scope;
}

/* Whether the parts of a row's derivative are products of g and a local derivative, component by component. */
static bool is_local(const q_graph *graph, const q_node *node)
{
    const q_op_row *row = &q_ops[node->op];
    if (row->kind == Q_KIND_REDUCTION) return !row->integers;
    return row->kind == Q_KIND_ELEMENTWISE || (row->kind == Q_KIND_EXPAND && q_node_of(graph, node->arg[0])->dim > 1);
}

/* A part of a row's derivative at this node, from the adjoint or tangent g. */
static q_id flow(q_chain *chain, q_id id, size_t part, q_id g)
{
    q_graph *graph = chain->graph;
    const q_op_row *row = &q_ops[q_node_of(graph, id)->op];
    size_t count = graph->count;
    if (is_local(graph, q_node_of(graph, id))) {
        q_scope scope = scope_of(graph, id, q_constant(graph, 1, 1));
        q_id local = q_parse_row(graph, row->derivative, part, &scope);
        if (q_chain_is_delicate(chain, g, local)) return q_chain_product(chain, g, local);
        q_chain_trim(chain, count);
    }
    q_scope scope = scope_of(graph, id, g);
    return q_parse_row(graph, row->derivative, part, &scope);
}

static q_id flow_through_contraction(q_chain *chain, q_id id, int operand, q_id g)
{
    q_node node = *q_node_of(chain->graph, id);
    bool no_nan = q_chain_is_delicate(chain, g, node.arg[1 - operand]);
    return q_contract_adjoint(chain->graph, &node, operand, g, no_nan);
}

/* Sends the adjoint of a node to its operands by its row's derivative. */
static void step(pass *p, q_id id, q_id adjoint)
{
    q_graph *graph = p->graph;
    q_node node = *q_node_of(graph, id);
    const q_op_row *row = &q_ops[node.op];
    bool lookup = row->kind == Q_KIND_LOOKUP; /* whose row's number has no derivative */
    unsigned axes = node.axes | (q_is_reduction(&node) || lookup ? (unsigned)node.k[0] : 0);
    for (int a = 0; a < (lookup ? 1 : row->operands); a++)
        if (p->wanted[node.arg[a]]) {
            q_id term = row->kind == Q_KIND_CONTRACT ? flow_through_contraction(&p->chain, id, a, adjoint)
                        : lookup                     ? q_lookup_adjoint(graph, &node, adjoint)
                                                     : flow(&p->chain, id, (size_t)a, adjoint);
            if (graph->status) return;
            if (!q_is_constant(graph, term, 0)) contribute(p, node.arg[a], term, axes);
        }
}

/* A count stands for a sum of equal terms that was simplified, a lookup along an axis for one with one term that is not 0. */
static bool reduces(const q_node *node)
{
    return q_is_reduction(node) || node->op == Q_OP_COUNT || (node->op == Q_OP_LOOKUP && node->k[0]);
}

bool q_reduces(const q_graph *graph, q_id value)
{
    bool found = false;
    uint8_t *marks = malloc(graph->count);
    if (!marks) return false;
    q_mark(graph, &value, 1, false, marks);
    for (q_id id = 1; id <= value && !found; id++) found = marks[id] && reduces(q_node_of(graph, id));
    free(marks);
    return found;
}

/* Marks the nodes from which the variable can be reached; returns whether a reduction is among what `value` is made of.
   */
static bool mark_wanted(const q_graph *graph, q_id value, q_id variable, uint8_t *wanted)
{
    q_mark(graph, &value, 1, false, wanted);
    bool found = false;
    for (q_id id = 1; id <= value; id++) {
        const q_node *node = q_node_of(graph, id);
        if (!wanted[id]) continue;
        found = found || reduces(node);
        wanted[id] = id == variable;
        for (int a = 0; a < 3; a++)
            if (node->arg[a] && wanted[node->arg[a]]) wanted[id] = 1;
    }
    return found;
}

static q_id check(q_graph *graph, q_id value, q_id variable, q_id e)
{
    uint32_t given = q_node_of(graph, e)->dim, wanted = q_node_of(graph, value)->dim;
    if (q_node_of(graph, variable)->op != Q_OP_VARIABLE)
        return q_graph_fail(graph, QUERN_DIMENSION, "Grad's second argument must be a variable");
    if (given != 1 && given != wanted)
        return q_graph_fail(graph, QUERN_DIMENSION, "Grad's third argument must be as long as the first, %u, not %u",
                            wanted, given);
    return q_broadcast(graph, e, wanted);
}

static q_id run(pass *p, q_id value, q_id variable, q_id e)
{
    q_graph *graph = p->graph;
    unsigned axes = q_node_of(graph, value)->axes, own = q_node_of(graph, variable)->axes;
    if (p->total && (q_node_of(graph, e)->axes & ~axes))
        return q_graph_fail(graph, QUERN_DIMENSION,
                            "Grad of a reduction: the third argument depends on an index that the first one lacks");
    contribute(p, value, e, axes);
    for (q_id id = value; id && !graph->status; id--) {
        q_id adjoint = id == variable ? 0 : adjoint_of(p, id);
        if (adjoint) step(p, id, adjoint);
    }
    q_id result = adjoint_of(p, variable);
    if (!result) result = q_constant(graph, 0, q_node_of(graph, variable)->dim);
    return p->total ? q_repeat(graph, result, (uint8_t)own) : result;
}

static q_id differentiate(q_graph *graph, q_id value, q_id variable, q_id e, bool total)
{
    if (graph->status || !value || !variable || !e) return 0;
    if (!(e = check(graph, value, variable, e))) return 0;
    pass p = {.graph = graph,
              .chain = {.graph = graph},
              .terms = calloc((size_t)value + 1 + variable, sizeof(q_id[4])),
              .wanted = malloc(graph->count)};
    q_id result = 0;
    if (p.terms && p.wanted) {
        p.total = mark_wanted(graph, value, variable, p.wanted) || total;
        result = run(&p, value, variable, e);
    } else {
        graph->status = q_fail_memory(graph->count * sizeof(q_id));
    }
    q_chain_free(&p.chain);
    free(p.terms);
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

// ---- forward mode: tangents of nodes, operands first ----

typedef struct tangents {
    q_graph *graph;
    q_chain *chain;
    q_id *of; /* by node; 0: constant in the variable */
} tangents;

/* The tangent of an operand, or zeros. */
static q_id tangent_or_zero(const tangents *t, q_id id)
{
    return t->of[id] ? t->of[id] : q_constant(t->graph, 0, q_node_of(t->graph, id)->dim);
}

/* The derivative column read forwards: each part is linear in g, so with an operand's tangent for g it is what that
   operand adds to the result's. */
static q_id tangent_of_elementwise(const tangents *t, q_id id, const q_node *node)
{
    q_id sum = 0;
    for (int a = 0; a < q_ops[node->op].operands; a++) {
        if (!t->of[node->arg[a]]) continue;
        q_id term = flow(t->chain, id, (size_t)a, t->of[node->arg[a]]);
        if (!term || q_is_constant(t->graph, term, 0)) continue;
        sum = sum ? q_apply2(t->graph, Q_OP_Add, sum, term) : term;
    }
    return sum;
}

static q_id tangent_of_gather(const tangents *t, const q_node *node)
{
    q_id args[3];
    for (int a = 0; a < q_ops[node->op].operands; a++) args[a] = tangent_or_zero(t, node->arg[a]);
    const q_op_row *row = &q_ops[node->op];
    return q_apply(t->graph, (q_op)node->op, args, (size_t)row->operands, node->k, (size_t)row->integers);
}

/* Expansions that have a derivative give one number: its gradient times the tangent. */
static q_id tangent_of_expansion(const tangents *t, q_id id, const q_node *node)
{
    q_scope scope = scope_of(t->graph, id, q_constant(t->graph, 1, 1));
    q_id gradient = q_parse_row(t->graph, q_ops[node->op].derivative, 0, &scope);
    if (!gradient || q_is_constant(t->graph, gradient, 0)) return 0;
    return q_apply1(t->graph, Q_OP_Sum, q_chain_product(t->chain, t->of[node->arg[0]], gradient));
}

/* What the tangent of one operand adds to that of a contraction. */
static q_id tangent_through_contraction(const tangents *t, const q_node *node, int operand)
{
    q_contraction c = *q_contraction_of(t->graph, node);
    q_id tangent = tangent_or_zero(t, node->arg[operand]), other = node->arg[1 - operand];
    if (q_chain_is_delicate(t->chain, tangent, other)) c.no_nan = 1;
    return operand ? q_contract(t->graph, other, tangent, &c) : q_contract(t->graph, tangent, other, &c);
}

static q_id tangent_of_contraction(const tangents *t, const q_node *node)
{
    return q_apply2(t->graph, Q_OP_Add, tangent_through_contraction(t, node, 0),
                    tangent_through_contraction(t, node, 1));
}

static q_id tangent_of_reduction(const tangents *t, q_id id, const q_node *node)
{
    const q_op_row *row = &q_ops[node->op];
    bool longer = node->dim != q_node_of(t->graph, node->arg[0])->dim; /* than the term: the second formula */
    q_id term = flow(t->chain, id, row->integers && longer ? 1 : 0, t->of[node->arg[0]]);
    if (!term || q_is_constant(t->graph, term, 0)) return 0;
    term = q_repeat_pairs(t->graph, term, node->axes | (unsigned)node->k[0]);
    return q_reduce(t->graph, Q_RED_Sum, (uint8_t)node->k[0], term, 0);
}

static q_id tangent_of(const tangents *t, q_id id)
{
    q_node node = *q_node_of(t->graph, id);
    bool moves = false;
    for (int a = 0; a < q_ops[node.op].operands; a++) moves = moves || t->of[node.arg[a]];
    if (!moves) return 0;
    switch (q_ops[node.op].kind) {
    case Q_KIND_ELEMENTWISE: return tangent_of_elementwise(t, id, &node);
    case Q_KIND_GATHER: return tangent_of_gather(t, &node);
    case Q_KIND_EXPAND: return tangent_of_expansion(t, id, &node);
    case Q_KIND_CONTRACT: return tangent_of_contraction(t, &node);
    case Q_KIND_REPEAT: return q_repeat(t->graph, t->of[node.arg[0]], (uint8_t)node.k[0]);
    case Q_KIND_LOOKUP: return t->of[node.arg[0]] ? q_lookup_tangent(t->graph, &node, t->of[node.arg[0]]) : 0;
    case Q_KIND_REDUCTION: return tangent_of_reduction(t, id, &node);
    case Q_KIND_LEAF: return 0;
    }
    return 0;
}

q_id q_diff(q_graph *graph, q_id value, q_id variable, q_id u)
{
    if (graph->status || !value || !variable || !u) return 0;
    if (q_node_of(graph, variable)->op != Q_OP_VARIABLE)
        return q_graph_fail(graph, QUERN_DIMENSION, "Diff's second argument must be a variable");
    u = q_broadcast(graph, u, q_node_of(graph, variable)->dim);
    q_chain chain = {.graph = graph, .forward = true};
    tangents t = {graph, &chain, calloc((size_t)value + variable + 1, sizeof(q_id))};
    uint8_t *marks = malloc(graph->count);
    if (!t.of || !marks) graph->status = q_fail_memory(graph->count * sizeof(q_id));
    if (!graph->status) {
        q_mark(graph, &value, 1, false, marks);
        t.of[variable] = u;
    }
    for (q_id id = 1; id <= value && !graph->status; id++)
        if (marks[id] && id != variable) t.of[id] = tangent_of(&t, id);
    q_id result = graph->status ? 0 : tangent_or_zero(&t, value);
    q_chain_free(&chain);
    free(t.of);
    free(marks);
    return graph->status ? 0 : result;
}

// ---- what is made of Grad ----

static q_id unit_vector(q_graph *graph, uint32_t k, uint32_t dim)
{
    q_id one = q_constant(graph, 1, 1);
    int32_t at[2] = {(int32_t)k, (int32_t)dim};
    return q_apply(graph, Q_OP_ExtractT, &one, 1, at, 2);
}

/* All of them one after the other. Neighbours are joined, then pairs of them, and so on: a chain would have as many
   components as the square of the result. */
static q_id join_all(q_graph *graph, q_id *parts, size_t count)
{
    for (; count > 1 && !graph->status; count = (count + 1) / 2)
        for (size_t k = 0; k < count; k += 2)
            parts[k / 2] = k + 1 < count ? q_apply2(graph, Q_OP_Concat, parts[k], parts[k + 1]) : parts[k];
    return graph->status ? 0 : parts[0];
}

q_id q_grad_matrix(q_graph *graph, q_id value, q_id variable)
{
    if (graph->status || !value || !variable) return 0;
    uint32_t dim = q_node_of(graph, value)->dim;
    q_id *rows = calloc(dim, sizeof *rows);
    if (!rows) {
        graph->status = q_fail_memory(dim * sizeof *rows);
        return 0;
    }
    for (uint32_t k = 0; k < dim && !graph->status; k++)
        rows[k] = q_grad(graph, value, variable, unit_vector(graph, k, dim));
    q_id all = join_all(graph, rows, dim);
    free(rows);
    return all;
}

q_id q_divergence(q_graph *graph, q_id value, q_id variable)
{
    q_id sum = 0;
    if (graph->status || !value || !variable) return 0;
    uint32_t dim = q_node_of(graph, value)->dim;
    if (dim != q_node_of(graph, variable)->dim)
        return q_graph_fail(graph, QUERN_DIMENSION,
                            "Divergence of a value of length %u with respect to a variable of length %u", dim,
                            q_node_of(graph, variable)->dim);
    for (uint32_t k = 0; k < dim && !graph->status; k++) {
        q_id row = q_grad(graph, value, variable, unit_vector(graph, k, dim));
        q_id component = q_apply(graph, Q_OP_Extract, &row, 1, (int32_t[]){(int32_t)k, 1}, 2);
        sum = sum ? q_apply2(graph, Q_OP_Add, sum, component) : component;
    }
    return sum;
}

q_id q_laplacian(q_graph *graph, q_id value, q_id variable)
{
    if (graph->status || !value || !variable) return 0;
    if (q_node_of(graph, value)->dim != 1)
        return q_graph_fail(graph, QUERN_DIMENSION, "Laplacian takes a value of length 1, not %u",
                            q_node_of(graph, value)->dim);
    return q_divergence(graph, q_grad(graph, value, variable, q_constant(graph, 1, 1)), variable);
}
