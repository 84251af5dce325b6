/*
 * print.c: a graph as canonical formula text: declarations, then bindings t1, t2, ... for values that are used more
 * than once (or nested too deep), then the results. Parsed in the same graph it gives the same ids; its length is
 * linear in the size of the graph, because no value is printed twice.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formula/formula.h"

enum { MAX_DEPTH = 40, ATOM = 100 };

typedef struct printer {
    const q_graph *graph;
    q_text *out;
    uint32_t *uses;  /* by node */
    uint32_t *depth; /* nesting of the text of a node, down to named ones */
    uint32_t *name;  /* number of the binding t<name>; 0 for none */
    uint32_t names;
} printer;

static void print_number(q_text *out, double value)
{
    char digits[40];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, fabs(value));
        if (strtod(digits, NULL) == fabs(value)) break;
    }
    if (isnan(value)) q_text_add(out, "(0/0)");
    else if (isinf(value)) q_text_add(out, value > 0 ? "(1/0)" : "(-1/0)");
    else q_text_add(out, signbit(value) ? "(-%s)" : "%s", digits);
}

static bool is_positional(const q_variable *variable)
{
    return variable->name[0] >= '0' && variable->name[0] <= '9';
}

static void print_leaf(printer *p, const q_node *node)
{
    const q_variable *variable = &p->graph->variables[node->op == Q_OP_VARIABLE ? node->k[0] : 0];
    if (node->op == Q_OP_VARIABLE && is_positional(variable))
        q_text_add(p->out, "%s(%s,%u)", q_axes[variable->axis].leaf, variable->name, variable->dim);
    else if (node->op == Q_OP_VARIABLE) q_text_add(p->out, "%s", variable->name);
    else if (node->op == Q_OP_INDEX) q_text_add(p->out, "%s", q_axes[node->k[0]].index);
    else if (node->op == Q_OP_COUNT) q_text_add(p->out, "Sum_%c(1)", q_axes[node->k[0]].letter);
    else if (node->op == Q_OP_WILD) q_text_add(p->out, "%c", (char)node->k[0]);
    else if (node->dim > 1) {
        q_text_add(p->out, "SumT(");
        print_number(p->out, node->value);
        q_text_add(p->out, ",%u)", node->dim);
    } else print_number(p->out, node->value);
}

static void print_node(printer *p, q_id id, int precedence);

static bool is_broadcast(const q_node *node)
{
    return node->op == Q_OP_SumT || node->op == Q_OP_CONSTANT;
}

/* An operand of an elementwise operation: a broadcast that the constructor would insert itself is left out. */
static void print_operand(printer *p, const q_node *user, int a, int precedence)
{
    const q_node *operand = q_node_of(p->graph, user->arg[a]);
    bool implied = false;
    for (int b = 0; b < q_ops[user->op].operands; b++)
        implied = implied || !is_broadcast(q_node_of(p->graph, user->arg[b]));
    if (implied && operand->op == Q_OP_SumT && !p->name[user->arg[a]]) print_node(p, operand->arg[0], precedence);
    else if (implied && operand->op == Q_OP_CONSTANT) print_number(p->out, operand->value);
    else print_node(p, user->arg[a], precedence);
}

/* How the printer writes an operation, or null: a ** b with a whole b would be read as Pow. */
static const q_infix_row *infix_of(uint16_t op)
{
    for (size_t s = 0; s < q_infix_count; s++)
        if (q_infixes[s].op == op && op && !q_infixes[s].swap && op != Q_OP_Powf) return &q_infixes[s];
    return NULL;
}

static bool print_infix(printer *p, const q_node *node, int precedence)
{
    const q_infix_row *infix = infix_of(node->op);
    if (!infix && node->op != Q_OP_Minus) return false;
    int own = infix ? infix->precedence : Q_UNARY_PRECEDENCE;
    if (own < precedence) q_text_add(p->out, "(");
    if (infix) {
        print_operand(p, node, 0, own);
        q_text_add(p->out, "%s", infix->symbol);
        print_operand(p, node, 1, own + 1);
    } else {
        q_text_add(p->out, "-");
        print_node(p, node->arg[0], own);
    }
    if (own < precedence) q_text_add(p->out, ")");
    return true;
}

static void print_list(printer *p, const int32_t *items, int32_t count)
{
    q_text_add(p->out, ",[");
    for (int32_t k = 0; k < count; k++) q_text_add(p->out, "%s%d", k ? "," : "", items[k]);
    q_text_add(p->out, "]");
}

static void print_contraction(printer *p, const q_contraction *c)
{
    print_list(p, c->a, c->rank_a);
    print_list(p, c->b, c->rank_b);
    print_list(p, c->out, c->rank_out);
    print_list(p, c->size, c->labels);
}

static void print_call(printer *p, const q_node *node)
{
    const q_op_row *row = &q_ops[node->op];
    const int32_t *integers = row->kind == Q_KIND_REDUCTION ? node->k + 1 : node->k;
    bool no_nan = row->kind == Q_KIND_CONTRACT && q_contraction_of(p->graph, node)->no_nan;
    q_text_add(p->out, "%s%s", row->name, no_nan ? "NoNan" : "");
    bool rows = row->kind == Q_KIND_LOOKUP && node->k[0];
    if (row->kind == Q_KIND_REDUCTION || row->kind == Q_KIND_REPEAT || rows)
        q_text_add(p->out, "_%c", q_axes[node->k[0]].letter);
    q_text_add(p->out, "(");
    for (int a = 0; a < row->operands; a++) {
        if (a) q_text_add(p->out, ",");
        if (row->kind == Q_KIND_ELEMENTWISE) print_operand(p, node, a, 0);
        else print_node(p, node->arg[a], 0);
    }
    for (int i = 0; i < row->integers; i++) q_text_add(p->out, ",%d", integers[i]);
    if (row->kind == Q_KIND_LOOKUP && !rows) q_text_add(p->out, ",%d", node->k[1]);
    if (row->kind == Q_KIND_CONTRACT) print_contraction(p, q_contraction_of(p->graph, node));
    q_text_add(p->out, ")");
}

/* Depth is bounded: nodes at depth MAX_DEPTH have names. */
static void print_node(printer *p, q_id id, int precedence)
{
    const q_node *node = q_node_of(p->graph, id);
    if (p->name[id]) q_text_add(p->out, "t%u", p->name[id]);
    else if (q_ops[node->op].kind == Q_KIND_LEAF) print_leaf(p, node);
    else if (!print_infix(p, node, precedence)) print_call(p, node);
}

/* A name t<n> that is not one of the formula's variables. */
static uint32_t new_name(printer *p)
{
    char name[16];
    do snprintf(name, sizeof name, "t%u", ++p->names);
    while (q_variable_find(p->graph, name));
    return p->names;
}

static void count_uses(printer *p, const q_id *roots, size_t count, const uint8_t *marks)
{
    for (size_t r = 0; r < count; r++) p->uses[roots[r]]++;
    for (q_id id = 1; id < p->graph->count; id++)
        for (int a = 0; a < 3 && marks[id]; a++) p->uses[q_node_of(p->graph, id)->arg[a]]++;
}

static void print_declarations(printer *p, const uint8_t *marks)
{
    for (size_t v = 0; v < p->graph->variable_count; v++) {
        const q_variable *variable = &p->graph->variables[v];
        if (marks[variable->id] && !is_positional(variable))
            q_text_add(p->out, "%s=%s(%u); ", variable->name, q_axes[variable->axis].leaf, variable->dim);
    }
}

static void print_bindings(printer *p, const uint8_t *marks)
{
    for (q_id id = 1; id < p->graph->count; id++) {
        const q_node *node = q_node_of(p->graph, id);
        if (!marks[id] || q_ops[node->op].kind == Q_KIND_LEAF) continue;
        uint32_t depth = 0;
        for (int a = 0; a < 3; a++)
            if (p->depth[node->arg[a]] > depth) depth = p->depth[node->arg[a]];
        p->depth[id] = depth + 1;
        if (p->uses[id] < 2 && depth + 1 < MAX_DEPTH) continue;
        uint32_t name = new_name(p);
        q_text_add(p->out, "t%u=", name);
        print_node(p, id, 0);
        q_text_add(p->out, "; ");
        p->name[id] = name;
        p->depth[id] = 0;
    }
}

void q_print(const q_graph *graph, const q_id *roots, size_t count, q_text *out)
{
    printer p = {.graph = graph, .out = out};
    uint32_t *table = calloc(graph->count * 3, sizeof *table);
    uint8_t *marks = malloc(graph->count);
    if (table && marks) {
        p.uses = table, p.depth = table + graph->count, p.name = table + 2 * graph->count;
        q_mark(graph, roots, count, false, marks);
        count_uses(&p, roots, count, marks);
        print_declarations(&p, marks);
        print_bindings(&p, marks);
        for (size_t r = 0; r < count; r++) {
            if (r) q_text_add(out, ", ");
            print_node(&p, roots[r], 0);
        }
    } else {
        out->failed = true;
    }
    free(table);
    free(marks);
}
