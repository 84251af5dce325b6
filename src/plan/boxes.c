/*
 * boxes.c: the terms of reductions over boxes as OpenCL C: what ranges.c does with a graph, written out, a statement for each
 * component of each node. cl/boxes.cl has the rules and what is done with the bounds.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan/plan.h"

enum { MOST_BOUNDS = 2000 /* statements: a compiler takes a second over that */ };

typedef struct writer {
    const q_graph *graph;
    const q_boxes_request *request;
    q_text *out;
} writer;

// ---- what can be written ----

static bool is_decided(q_op op)
{
    return op == Q_OP_LessThan || op == Q_OP_LessOrEqual || op == Q_OP_Equal || op == Q_OP_NotEqual || op == Q_OP_Step;
}

static bool is_choice(q_op op)
{
    return op == Q_OP_IfElse || op == Q_OP_Where;
}

static bool is_monotone(const q_op_row *row)
{
    return row->interval == q_interval_rising || row->interval == q_interval_falling;
}

static bool can_write(const q_node *node)
{
    const q_op_row *row = &q_ops[node->op];
    if (row->kind == Q_KIND_REDUCTION || row->kind == Q_KIND_LOOKUP || node->op == Q_OP_WILD) return false;
    if (row->kind != Q_KIND_ELEMENTWISE) return true;
    return row->interval != q_interval_matern && !(is_monotone(row) && row->special);
}

bool q_boxes_can(const q_boxes_request *request)
{
    const q_graph *graph = request->graph;
    size_t statements = 0;
    bool can = true;
    uint8_t *marks = malloc(graph->count);
    q_id terms[Q_MAX_STAGE_OUTPUTS];
    for (size_t r = 0; r < request->count; r++) terms[r] = q_node_of(graph, request->reductions[r])->arg[0];
    if (marks) q_mark(graph, terms, request->count, false, marks);
    for (q_id id = 1; id < graph->count && can && marks; id++) {
        const q_node *node = q_node_of(graph, id);
        if (!marks[id]) continue;
        statements += node->dim;
        if (q_ops[node->op].kind == Q_KIND_EXPAND) statements += q_node_of(graph, node->arg[0])->dim;
        if (q_ops[node->op].kind == Q_KIND_CONTRACT)
            statements += node->dim * q_contraction_terms(q_contraction_of(graph, node));
        can = can_write(node) && statements <= MOST_BOUNDS;
    }
    can = can && marks;
    free(marks);
    return can;
}

// ---- operands ----

static void add_operand(const writer *w, const q_node *node, int a, uint32_t d)
{
    q_id id = node->arg[a];
    q_text_add(w->out, "v%u_%u", id, q_node_of(w->graph, id)->dim > 1 ? d : 0);
}

static void add_number(const writer *w, double x)
{
    if (isinf(x)) q_text_add(w->out, "%sINFINITY", x < 0 ? "-" : "");
    else q_text_add(w->out, "%a", x);
}

static void add_interval(const writer *w, q_id id, uint32_t d, double low, double high, bool round)
{
    q_text_add(w->out, "    const q_interval v%u_%u = %sq_constant(", id, d, round ? "q_rounded(" : "");
    add_number(w, low);
    q_text_add(w->out, ", ");
    add_number(w, high);
    q_text_add(w->out, round ? "), Q_STEPS);\n" : ");\n");
}

/* Whether an operand is NaN; or, beyond that, may become it since it is not finite. */
static void write_nan(const writer *w, q_id id, const q_node *node, bool finite)
{
    q_text_add(w->out, "    const qint n%u = (qint)0", id);
    for (int a = 0; a < 3 && node->arg[a]; a++) {
        q_text_add(w->out, " | n%u", node->arg[a]);
        for (uint32_t d = 0; d < q_node_of(w->graph, node->arg[a])->dim && finite; d++)
            q_text_add(w->out, " | !q_finite(v%u_%u)", node->arg[a], d);
    }
    q_text_add(w->out, ";\n");
}

// ---- nodes ----

/* The rule of a row of ops.def for component d, as an expression. */
static void add_rule(const writer *w, const q_node *node, uint32_t d)
{
    const q_op_row *row = &q_ops[node->op];
    if (is_monotone(row)) {
        const char *ends[] = {".low", ".high"};
        int first = row->interval == q_interval_falling;
        q_text_add(w->out, "q_monotone(q_row_%s(", row->name);
        add_operand(w, node, 0, d);
        q_text_add(w->out, "%s, %d), q_row_%s(", ends[first], node->k[0], row->name);
        add_operand(w, node, 0, d);
        q_text_add(w->out, "%s, %d))", ends[!first], node->k[0]);
        return;
    }
    q_text_add(w->out, "q_rule_%s(", row->rule);
    for (int a = 0; a < 3; a++) {
        add_operand(w, node, a < row->operands ? a : 0, d);
        q_text_add(w->out, ", ");
    }
    q_text_add(w->out, "%d)", node->k[0]);
}

static void add_domain(const writer *w, const q_node *node)
{
    const q_op_row *row = &q_ops[node->op];
    for (uint32_t d = 0; d < node->dim && row->domain; d++) {
        int next = row->decides + 1 < row->operands ? row->decides + 1 : row->decides;
        q_text_add(w->out, " | !q_domain_%s(", row->domain_rule);
        add_operand(w, node, row->decides, d);
        q_text_add(w->out, ", ");
        add_operand(w, node, next, d);
        q_text_add(w->out, ", %d)", node->k[0]);
    }
}

/* n is whether it may be NaN, g whether an operand may. */
static void write_elementwise(const writer *w, q_id id, const q_node *node)
{
    q_text_add(w->out, "    const qint g%u = (qint)0", id);
    for (int a = 0; a < q_ops[node->op].operands; a++) q_text_add(w->out, " | n%u", node->arg[a]);
    q_text_add(w->out, ", n%u = g%u", id, id);
    for (int a = 0; a < q_ops[node->op].operands; a++)
        for (uint32_t d = 0; d < node->dim; d++) {
            q_text_add(w->out, " | !q_finite(");
            add_operand(w, node, a, d);
            q_text_add(w->out, ")");
        }
    add_domain(w, node);
    q_text_add(w->out, ";\n");
    for (uint32_t d = 0; d < node->dim; d++) {
        q_text_add(w->out, "    const q_interval v%u_%u = ", id, d);
        if (is_decided((q_op)node->op)) {
            q_text_add(w->out, "q_choose(!g%u & q_decides_%s(", id, q_ops[node->op].name);
            for (int part = 0; part < 2; part++) {
                add_operand(w, node, 0, d);
                q_text_add(w->out, ", ");
                add_operand(w, node, node->arg[1] ? 1 : 0, d);
                if (part) q_text_add(w->out, "), ");
                else q_text_add(w->out, "), q_decision_%s(", q_ops[node->op].name);
            }
        }
        q_text_add(w->out, q_is_product(node) ? "q_rounded_product(" : "q_rounded(");
        add_rule(w, node, d);
        q_text_add(w->out, ", Q_STEPS)%s;\n", is_decided((q_op)node->op) ? ")" : "");
    }
}

static void write_choice(const writer *w, q_id id, const q_node *node)
{
    const char *name = q_ops[node->op].name;
    q_text_add(w->out, "    qint n%u = (qint)0;\n", id);
    for (uint32_t d = 0; d < node->dim; d++) {
        q_text_add(w->out, "    const qint f%u_%u = !n%u & q_first_%s(", id, d, node->arg[0], name);
        add_operand(w, node, 0, d);
        q_text_add(w->out, "), s%u_%u = !n%u & q_second_%s(", id, d, node->arg[0], name);
        add_operand(w, node, 0, d);
        q_text_add(w->out, ");\n    n%u = n%u | ((!s%u_%u) & n%u) | ((!f%u_%u) & n%u);\n", id, id, id, d, node->arg[1],
                   id, d, node->arg[2]);
        q_text_add(w->out, "    const q_interval v%u_%u = q_choose(f%u_%u, ", id, d, id, d);
        add_operand(w, node, 1, d);
        q_text_add(w->out, ", q_choose(s%u_%u, ", id, d);
        add_operand(w, node, 2, d);
        q_text_add(w->out, ", q_rounded(");
        add_rule(w, node, d);
        q_text_add(w->out, ", Q_STEPS)));\n");
    }
}

static void write_sum(const writer *w, q_id id, uint32_t d)
{
    q_text_add(w->out, "    const q_interval v%u_%u = q_sum_of_terms(&t%u_%u);\n", id, d, id, d);
}

/* Whether the rule of a node gives no negative bound. */
static bool is_positive(const writer *w, q_id id)
{
    const char *rule = q_ops[q_node_of(w->graph, id)->op].rule;
    return rule && (!strcmp(rule, "square") || !strcmp(rule, "absolute"));
}

static void write_expand(const writer *w, q_id id, const q_node *node)
{
    uint32_t n = q_node_of(w->graph, node->arg[0])->dim;
    bool extremum = node->op == Q_OP_Max || node->op == Q_OP_Min;
    if (node->op == Q_OP_Sum) {
        bool positive = is_positive(w, node->arg[0]);
        q_text_add(w->out, "    q_total t%u_0;\n    q_no_terms(&t%u_0);\n", id, id);
        for (uint32_t d = 0; d < n; d++)
            q_text_add(w->out, "    q_add_%s(&t%u_0, v%u_%u);\n", positive ? "positive" : "term", id, node->arg[0], d);
        if (positive) q_text_add(w->out, "    const q_interval v%u_0 = q_sum_of_positive(&t%u_0);\n", id, id);
        else write_sum(w, id, 0);
        return;
    }
    if (!extremum) {
        for (uint32_t d = 0; d < node->dim; d++) add_interval(w, id, d, 0, node->op == Q_OP_OneHot ? 1 : n, false);
        return;
    }
    q_text_add(w->out, "    q_extent e%u = {v%u_0, v%u_0};\n", id, node->arg[0], node->arg[0]);
    for (uint32_t d = 1; d < n; d++) q_text_add(w->out, "    q_extend(&e%u, v%u_%u);\n", id, node->arg[0], d);
    q_text_add(w->out, "    const q_interval v%u_0 = q_extremum(&e%u, %d, n%u);\n", id, id, node->op == Q_OP_Max,
               node->arg[0]);
}

static void write_contract(const writer *w, q_id id, const q_node *node)
{
    const q_contraction *c = q_contraction_of(w->graph, node);
    for (uint32_t d = 0; d < node->dim; d++) {
        q_text_add(w->out, "    q_total t%u_%u;\n    q_no_terms(&t%u_%u);\n", id, d, id, d);
        for (uint32_t t = 0; t < q_contraction_terms(c); t++) {
            uint32_t a, b;
            q_contraction_term(c, d, t, &a, &b);
            q_text_add(w->out, "    q_add_term(&t%u_%u, q_rule_multiply(", id, d);
            add_operand(w, node, 0, a);
            q_text_add(w->out, ", ");
            add_operand(w, node, 1, b);
            q_text_add(w->out, ", ");
            add_operand(w, node, 1, b);
            q_text_add(w->out, ", 0));\n");
        }
        write_sum(w, id, d);
    }
}

static void write_gather(const writer *w, q_id id, const q_node *node)
{
    uint32_t n = q_node_of(w->graph, node->arg[0])->dim;
    uint32_t m = node->arg[1] ? q_node_of(w->graph, node->arg[1])->dim : 0;
    for (uint32_t d = 0; d < node->dim; d++) {
        uint32_t component = 0;
        int from = q_ops[node->op].pick(d, n, m, node->k, &component);
        q_text_add(w->out, "    const q_interval v%u_%u = ", id, d);
        if (from < 0) q_text_add(w->out, "q_constant(0, 0)");
        else add_operand(w, node, from, component);
        q_text_add(w->out, ";\n");
    }
}

/* Boxes are given as q_range_read has them. */
static void write_variable(const writer *w, q_id id, const q_node *node)
{
    const q_variable *variable = &w->graph->variables[node->k[0]];
    const char *from = variable->axis == w->request->rows ? "rows" : "columns";
    for (uint32_t d = 0; d < node->dim; d++) {
        size_t at = w->request->offsets[node->k[0]] + d;
        q_text_add(w->out, "    const q_interval v%u_%u = ", id, d);
        if (variable->axis) q_text_add(w->out, "%s[%zu];\n", from, at);
        else q_text_add(w->out, "q_constant(parameters[%zu], parameters[%zu]);\n", 2 * at, 2 * at + 1);
    }
    q_text_add(w->out, "    const qint n%u = (qint)0", id);
    for (uint32_t d = 0; d < node->dim; d++) q_text_add(w->out, " | !q_finite(v%u_%u)", id, d);
    q_text_add(w->out, ";\n");
}

static void write_leaf(const writer *w, q_id id, const q_node *node)
{
    double x = node->value;
    if (node->op == Q_OP_VARIABLE) {
        write_variable(w, id, node);
        return;
    }
    bool nan = node->op == Q_OP_CONSTANT && isnan(x);
    for (uint32_t d = 0; d < node->dim; d++) {
        if (node->op == Q_OP_CONSTANT) add_interval(w, id, d, nan ? -INFINITY : x, nan ? INFINITY : x, !isinf(x));
        else if (node->op == Q_OP_INDEX)
            q_text_add(w->out, "    const q_interval v%u_%u = %s_numbers;\n", id, d,
                       node->k[0] == w->request->rows ? "row" : "column");
        else add_interval(w, id, d, 0, INT32_MAX - 1, true);
    }
    q_text_add(w->out, "    const qint n%u = (qint)%d;\n", id, nan ? -1 : 0);
}

static void write_node(const writer *w, q_id id)
{
    const q_node *node = q_node_of(w->graph, id);
    bool elementwise = q_ops[node->op].kind == Q_KIND_ELEMENTWISE, leaf = q_ops[node->op].kind == Q_KIND_LEAF;
    if (!elementwise && !leaf) write_nan(w, id, node, node->op != Q_OP_REPEAT);
    switch (q_ops[node->op].kind) {
    case Q_KIND_ELEMENTWISE:
        if (is_choice((q_op)node->op)) write_choice(w, id, node);
        else write_elementwise(w, id, node);
        break;
    case Q_KIND_EXPAND: write_expand(w, id, node); break;
    case Q_KIND_CONTRACT: write_contract(w, id, node); break;
    case Q_KIND_GATHER: write_gather(w, id, node); break;
    case Q_KIND_REPEAT:
        for (uint32_t d = 0; d < node->dim; d++)
            q_text_add(w->out, "    const q_interval v%u_%u = v%u_%u;\n", id, d, node->arg[0], d);
        break;
    case Q_KIND_LEAF: write_leaf(w, id, node); break;
    case Q_KIND_LOOKUP:
    case Q_KIND_REDUCTION: break; /* can_write has none */
    }
}

// ---- the whole ----

/* The expressions of monotone operations as functions. */
static void write_rows(const writer *w, const uint8_t *marks)
{
    bool written[Q_OP_END] = {false};
    for (q_id id = 1; id < w->graph->count; id++) {
        q_op op = (q_op)q_node_of(w->graph, id)->op;
        const q_op_row *row = &q_ops[op];
        if (!marks[id] || written[op] || row->kind != Q_KIND_ELEMENTWISE || !is_monotone(row)) continue;
        written[op] = true;
        q_text_add(w->out, "Q_FN real q_row_%s(const real a, const int k) { return %s; }\n", row->name,
                   row->expression);
    }
}

/* Which passes over NaN. */
static bool is_selection(q_op op)
{
    return op != Q_RED_Sum && op != Q_RED_LogSumExp && op != Q_RED_ProdNonzero;
}

static const char *kind_of(q_op op)
{
    if (op == Q_RED_Sum) return "Q_IS_SUMMED";
    if (op == Q_RED_LogSumExp) return "Q_IS_LOG_SUMMED";
    if (!is_selection(op)) return "Q_IS_OTHER";
    return q_ops[op].smallest ? "Q_IS_SMALLEST" : "Q_IS_LARGEST";
}

static void write_tables(const writer *w, size_t terms)
{
    const q_boxes_request *request = w->request;
    q_text_add(w->out, "__constant int q_kinds[%zu] = {", terms);
    for (size_t r = 0; r < request->count; r++) {
        const q_node *node = q_node_of(w->graph, request->reductions[r]);
        for (uint32_t d = 0; d < q_node_of(w->graph, node->arg[0])->dim; d++)
            q_text_add(w->out, "%s, ", kind_of((q_op)node->op));
    }
    q_text_add(w->out, "};\n__constant int q_term_of[%zu] = {", terms);
    for (size_t r = 0; r < request->count; r++) {
        const q_node *node = q_node_of(w->graph, request->reductions[r]);
        for (uint32_t d = 0; d < q_node_of(w->graph, node->arg[0])->dim; d++) q_text_add(w->out, "%zu, ", r);
    }
    q_text_add(w->out, "};\ntypedef struct {\n    q_interval term[%zu];\n    qint nan[%zu];\n} q_bounded;\n", terms,
               request->count);
}

static void write_bound(const writer *w, const uint8_t *marks)
{
    q_text_add(
        w->out,
        "Q_INLINED void q_bound(q_bounded *out, const q_interval *rows, const q_interval *columns,\n"
        "    __global const double *parameters, const q_interval row_numbers, const q_interval column_numbers)\n{\n");
    for (q_id id = 1; id < w->graph->count; id++)
        if (marks[id]) write_node(w, id);
    size_t at = 0;
    for (size_t r = 0; r < w->request->count; r++) {
        q_id term = q_node_of(w->graph, w->request->reductions[r])->arg[0];
        for (uint32_t d = 0; d < q_node_of(w->graph, term)->dim; d++)
            q_text_add(w->out, "    out->term[%zu] = v%u_%u;\n", at++, term, d);
        bool passes = is_selection((q_op)q_node_of(w->graph, w->request->reductions[r])->op);
        if (passes) q_text_add(w->out, "    out->nan[%zu] = (qint)0;\n", r);
        else q_text_add(w->out, "    out->nan[%zu] = n%u;\n", r, term);
    }
    q_text_add(w->out, "}\n");
}

quern_status q_boxes_source(q_text *out, const q_boxes_request *request)
{
    const writer w = {request->graph, request, out};
    size_t terms = 0;
    q_id roots[Q_MAX_STAGE_OUTPUTS];
    uint8_t *marks = malloc(request->graph->count);
    if (!marks) return q_fail_memory(request->graph->count);
    for (size_t r = 0; r < request->count; r++) {
        roots[r] = q_node_of(request->graph, request->reductions[r])->arg[0];
        terms += q_node_of(request->graph, roots[r])->dim;
    }
    q_mark(request->graph, roots, request->count, false, marks);
    q_text_add(
        out,
        "#define Q_GENERATED\n#define Q_F64 1\n#define Q_LANES %d\n#define Q_TERMS %zu\n#define Q_SINGLE_TYPE %d\n",
        request->lanes, terms, request->dtype == QUERN_F32);
    q_text_add(out, "#define Q_ROW_DIM %zu\n#define Q_COLUMN_DIM %zu\n", request->row_dim, request->column_dim);
    q_text_append(out, q_cl_file("prelude"), strlen(q_cl_file("prelude")));
    q_text_append(out, q_cl_file("boxes"), strlen(q_cl_file("boxes")));
    write_tables(&w, terms);
    write_rows(&w, marks);
    write_bound(&w, marks);
    q_text_append(out, q_cl_file("boxes_walk"), strlen(q_cl_file("boxes_walk")));
    free(marks);
    return out->failed ? q_fail_memory(out->capacity) : QUERN_OK;
}
