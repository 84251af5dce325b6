/*
 * graph.c: interned nodes. Equal nodes are one node, so common subexpressions cannot exist twice and equality of values
 * is equality of ids; operands have smaller ids than their users, so every pass is a loop over an array.
 *
 * The table of ids is open addressing over XXH3 of the node's bytes; nodes have no padding that could differ.
 */
#include <stdlib.h>
#include <string.h>

#include "formula/formula.h"

_Static_assert(offsetof(q_node, value) == offsetof(q_node, digest) + sizeof(uint32_t) &&
                   sizeof(q_node) == offsetof(q_node, value) + sizeof(double),
               "q_node must have no padding");

quern_status q_graph_create(q_graph **out)
{
    *out = calloc(1, sizeof **out);
    if (!*out) return q_fail_memory(sizeof **out);
    (*out)->count = 1;
    quern_status status = QUERN_OK;
    if (!q_grow(&(*out)->nodes, &(*out)->capacity, 64, sizeof(q_node))) status = q_fail_memory(64 * sizeof(q_node));
    if (!status) memset((*out)->nodes, 0, sizeof(q_node));
    if (!status) status = q_rules_create(&(*out)->rules);
    if (status) q_graph_destroy(out);
    return status;
}

void q_graph_destroy(q_graph **graph)
{
    if (!*graph) return;
    q_rules_destroy(&(*graph)->rules);
    q_arena_free(&(*graph)->arena);
    free((*graph)->nodes);
    free((*graph)->contractions);
    free((*graph)->table);
    free(*graph);
    *graph = NULL;
}

quern_status q_graph_copy(q_graph **out, const q_graph *graph)
{
    Q_TRY(q_graph_create(out));
    size_t contractions = graph->contraction_count;
    if (!q_grow(&(*out)->contractions, &(*out)->contraction_capacity, contractions + 1, sizeof(q_contraction))) {
        q_graph_destroy(out);
        return q_fail_memory(contractions * sizeof(q_contraction));
    }
    if (contractions) memcpy((*out)->contractions, graph->contractions, contractions * sizeof(q_contraction));
    (*out)->contraction_count = contractions;
    (*out)->keeps_pairs = graph->keeps_pairs;
    (*out)->lost_pairs = graph->lost_pairs;
    for (q_id id = 1; id < graph->count && !(*out)->status; id++) {
        const q_node *node = q_node_of(graph, id);
        if (node->op == Q_OP_VARIABLE) {
            const q_variable *variable = &graph->variables[node->k[0]];
            q_variable_make(*out, variable->name, variable->axis, variable->dim);
        } else {
            q_intern(*out, node);
        }
    }
    quern_status status = (*out)->status;
    if (status) q_graph_destroy(out);
    return status;
}

// ---- interning ----

static bool same_node(const q_node *a, const q_node *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* The slot of the table that holds the node, or the free one where it belongs. */
static size_t find_slot(const q_graph *graph, const q_node *node)
{
    size_t mask = graph->table_size - 1;
    size_t slot = (size_t)q_hash64(node, sizeof *node) & mask;
    while (graph->table[slot] && !same_node(&graph->nodes[graph->table[slot]], node)) slot = (slot + 1) & mask;
    return slot;
}

static bool grow_table(q_graph *graph)
{
    if (graph->count * 2 < graph->table_size) return true;
    size_t size = graph->table_size ? graph->table_size * 2 : 256;
    q_id *table = calloc(size, sizeof *table);
    if (!table) return false;
    free(graph->table);
    graph->table = table;
    graph->table_size = size;
    for (q_id id = 1; id < graph->count; id++) table[find_slot(graph, &graph->nodes[id])] = id;
    return true;
}

static uint8_t axes_of(const q_graph *graph, const q_node *node)
{
    if (node->op == Q_OP_VARIABLE) return graph->variables[node->k[0]].axis;
    if (node->op == Q_OP_INDEX) return (uint8_t)node->k[0];
    unsigned axes = 0;
    for (int a = 0; a < 3; a++)
        if (node->arg[a]) axes |= graph->nodes[node->arg[a]].axes;
    if (node->op == Q_OP_REPEAT) axes |= (unsigned)node->k[0];
    if (q_is_reduction(node) || node->op == Q_OP_LOOKUP) axes &= ~(unsigned)node->k[0];
    return (uint8_t)axes;
}

static bool is_integer(const q_graph *graph, const q_node *node)
{
    const q_op_row *row = &q_ops[node->op];
    if (node->op == Q_OP_INDEX) return true;
    if (row->kind == Q_KIND_REDUCTION) return row->reduction == Q_INDEX;
    if (row->kind != Q_KIND_GATHER && row->kind != Q_KIND_REPEAT) return false;
    bool integer = true;
    for (int a = 0; a < row->operands; a++) integer = integer && graph->nodes[node->arg[a]].integer;
    return integer;
}

/* The number of an operation in digests. A row that is added after the others of ops.def moves none, reductions included. */
static uint64_t digest_number(unsigned op)
{
    enum { REDUCTIONS = 78, LOOKUP = 2000 };
    if (op == Q_OP_LOOKUP) return LOOKUP;
    if (op > Q_OP_LOOKUP && op < Q_OP_REDUCTION) op--;
    return op > Q_OP_REDUCTION ? op - Q_OP_REDUCTION + REDUCTIONS : op > REDUCTIONS ? op + 1000 : op;
}

/* Of what the node is and what its operands are, by names and not by numbers, which differ between graphs. */
static uint32_t digest_of(const q_graph *graph, const q_node *node)
{
    uint64_t parts[8] = {digest_number(node->op), node->dim, (uint32_t)node->k[0], (uint32_t)node->k[1]};
    memcpy(&parts[4], &node->value, sizeof node->value);
    for (int a = 0; a < 3; a++) parts[5 + a] = node->arg[a] ? graph->nodes[node->arg[a]].digest : 0;
    if (node->op == Q_OP_VARIABLE) {
        const q_variable *variable = &graph->variables[node->k[0]];
        parts[2] = q_hash64(variable->name, strlen(variable->name)) ^ variable->axis;
    }
    if (node->op == Q_OP_CONTRACT) parts[2] = q_hash64(q_contraction_of(graph, node), sizeof(q_contraction));
    return (uint32_t)q_hash64(parts, sizeof parts);
}

q_id q_intern(q_graph *graph, const q_node *given)
{
    if (graph->status) return 0;
    q_node node = *given;
    node.axes = axes_of(graph, &node);
    node.integer = is_integer(graph, &node);
    node.digest = digest_of(graph, &node);
    if (!grow_table(graph) || !q_grow(&graph->nodes, &graph->capacity, graph->count + 1, sizeof node)) {
        graph->status = q_fail_memory(graph->capacity * 2 * sizeof node);
        return 0;
    }
    size_t slot = find_slot(graph, &node);
    if (graph->table[slot]) return graph->table[slot];
    if (graph->count >= Q_MAX_NODES) {
        graph->status = q_fail(QUERN_LIMIT, "the formula needs more than %d graph nodes", Q_MAX_NODES);
        q_fail_next_step("split it into several operators, or take fewer or lower derivatives at once");
        return 0;
    }
    graph->nodes[graph->count] = node;
    graph->table[slot] = (q_id)graph->count;
    return (q_id)graph->count++;
}

void q_graph_trim(q_graph *graph, size_t count)
{
    /* last in, first out: then no node is behind an empty slot of the table */
    for (; graph->count > count; graph->count--) graph->table[find_slot(graph, &graph->nodes[graph->count - 1])] = 0;
}

bool q_is_constant(const q_graph *graph, q_id id, double value)
{
    const q_node *node = q_node_of(graph, id);
    return node->op == Q_OP_CONSTANT && node->value == value;
}

void q_mark(const q_graph *graph, const q_id *roots, size_t count, bool cut, uint8_t *marks)
{
    memset(marks, 0, graph->count);
    q_id last = 0;
    for (size_t r = 0; r < count; r++) {
        marks[roots[r]] = 1;
        if (roots[r] > last) last = roots[r];
    }
    for (q_id id = last; id; id--) {
        const q_node *node = q_node_of(graph, id);
        if (!marks[id] || (cut && q_is_reduction(node))) continue;
        for (int a = 0; a < 3; a++)
            if (node->arg[a]) marks[node->arg[a]] = 1;
    }
}

// ---- verify and dump ----

static quern_status broken(q_id id, const char *what)
{
    return q_fail(QUERN_INTERNAL, "graph node %u is not well formed: %s", id, what);
}

static quern_status verify_node(const q_graph *graph, q_id id)
{
    const q_node *node = q_node_of(graph, id);
    if (node->op == Q_OP_NONE || node->op == Q_OP_REDUCTION || node->op >= Q_OP_END)
        return broken(id, "unknown operation");
    const q_op_row *row = &q_ops[node->op];
    if (node->dim < 1 || node->dim > Q_MAX_DIM) return broken(id, "length out of range");
    for (int a = 0; a < 3; a++) {
        if ((a < row->operands) != (node->arg[a] != 0)) return broken(id, "wrong number of operands");
        if (node->arg[a] >= id) return broken(id, "an operand is not older than its user");
        if (row->kind == Q_KIND_ELEMENTWISE && a < row->operands && graph->nodes[node->arg[a]].dim != node->dim)
            return broken(id, "an elementwise operation on different lengths");
    }
    if (node->axes != axes_of(graph, node)) return broken(id, "wrong axes");
    if (node->integer != is_integer(graph, node)) return broken(id, "wrong type");
    if (row->kind == Q_KIND_GATHER) {
        uint32_t n = graph->nodes[node->arg[0]].dim, m = node->arg[1] ? graph->nodes[node->arg[1]].dim : 0;
        if (row->length(n, m, node->k[0], node->k[1]) != node->dim) return broken(id, "wrong length");
    }
    return QUERN_OK;
}

quern_status q_graph_verify(const q_graph *graph)
{
    if (graph->status) return graph->status;
    for (q_id id = 1; id < graph->count; id++) {
        Q_TRY(verify_node(graph, id));
        if (graph->table[find_slot(graph, &graph->nodes[id])] != id) return broken(id, "not interned");
    }
    return QUERN_OK;
}

static const char *const axis_names[] = {"-", "i", "j", "ij"};

static void dump_node(const q_graph *graph, q_id id, q_text *out)
{
    const q_node *node = q_node_of(graph, id);
    q_text_add(out, "  %%%-4u %-2s %5u  %s", id, axis_names[node->axes], node->dim, q_ops[node->op].name);
    if (q_is_reduction(node) || (node->op == Q_OP_LOOKUP && node->k[0])) q_text_add(out, "_%s", axis_names[node->k[0]]);
    if (node->op == Q_OP_VARIABLE) q_text_add(out, " %s", graph->variables[node->k[0]].name);
    if (node->op == Q_OP_CONSTANT) q_text_add(out, " %.17g", node->value);
    if (node->op == Q_OP_INDEX || node->op == Q_OP_COUNT || node->op == Q_OP_REPEAT)
        q_text_add(out, " %s", axis_names[node->k[0]]);
    for (int a = 0; a < 3 && node->arg[a]; a++) q_text_add(out, " %%%u", node->arg[a]);
    const int32_t *integers = q_is_reduction(node) ? node->k + 1 : node->k;
    for (int i = 0; i < q_ops[node->op].integers; i++) q_text_add(out, " %d", integers[i]);
    q_text_add(out, "\n");
}

void q_graph_dump(const q_graph *graph, const q_id *roots, size_t count, q_text *out)
{
    uint8_t *marks = malloc(graph->count);
    if (!marks) {
        out->failed = true;
        return;
    }
    q_mark(graph, roots, count, false, marks);
    q_text_add(out, "graph: node, axes, length, operation, operands\n");
    for (q_id id = 1; id < graph->count; id++)
        if (marks[id]) dump_node(graph, id, out);
    for (size_t r = 0; r < count; r++) q_text_add(out, "  result %zu: %%%u\n", r, roots[r]);
    free(marks);
}
