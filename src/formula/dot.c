/*
 * dot.c: a graph as a picture, in the language of Graphviz. An arrow goes from an operand to its user; the colour of a
 * box tells what a value depends on, a double frame that it is a reduction.
 */
#include <stdlib.h>

#include "formula/formula.h"

static const char *const colours[] = {"white", "lightblue", "moccasin", "palegreen"}; /* by axes: none, i, j, both */
static void write_label(const q_graph *graph, const q_node *node, q_text *out)
{
    const int32_t *integers = q_is_reduction(node) ? node->k + 1 : node->k;
    if (node->op == Q_OP_VARIABLE) q_text_add(out, "%s", graph->variables[node->k[0]].name);
    else if (node->op == Q_OP_CONSTANT) q_text_add(out, "%.6g", node->value);
    else if (node->op == Q_OP_INDEX) q_text_add(out, "%s", q_axes[node->k[0]].index);
    else if (node->op == Q_OP_COUNT) q_text_add(out, "%s", q_axes[node->k[0]].rows);
    else q_text_add(out, "%s", q_ops[node->op].name);
    if (q_is_reduction(node) || node->op == Q_OP_REPEAT) q_text_add(out, "_%s", q_axes_text[node->k[0]]);
    for (int i = 0; i < q_ops[node->op].integers; i++) q_text_add(out, " %d", integers[i]);
    q_text_add(out, "\\nlength %u", node->dim);
}

static void write_node(const q_graph *graph, q_id id, q_text *out)
{
    const q_node *node = q_node_of(graph, id);
    bool leaf = q_ops[node->op].kind == Q_KIND_LEAF;
    q_text_add(out, "  n%u [label=\"", id);
    write_label(graph, node, out);
    q_text_add(out, "\", fillcolor=%s%s];\n", colours[node->axes],
               leaf                   ? ", shape=ellipse"
               : q_is_reduction(node) ? ", peripheries=2"
                                      : "");
    for (int a = 0; a < 3 && node->arg[a]; a++) q_text_add(out, "  n%u -> n%u;\n", node->arg[a], id);
}

void q_graph_dot(const q_graph *graph, const q_id *roots, size_t count, q_text *out)
{
    uint8_t *marks = malloc(graph->count);
    if (!marks) {
        out->failed = true;
        return;
    }
    q_mark(graph, roots, count, false, marks);
    q_text_add(out, "digraph quern {\n  // depends on: i %s, j %s, both %s, none %s\n", colours[Q_I], colours[Q_J],
               colours[Q_I | Q_J], colours[Q_P]);
    q_text_add(out, "  rankdir=BT; ordering=in; node [shape=box, style=filled, fontname=\"sans-serif\"];\n");
    for (q_id id = 1; id < graph->count; id++)
        if (marks[id]) write_node(graph, id, out);
    for (size_t r = 0; r < count; r++)
        q_text_add(out, "  r%zu [label=\"result %zu\", shape=plaintext, style=\"\"]; n%u -> r%zu;\n", r, r, roots[r],
                   r);
    q_text_add(out, "}\n");
    free(marks);
}
