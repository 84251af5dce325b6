/*
 * build.c: the constructors of values. They check lengths, broadcast length 1 by an explicit SumT, fold constants with
 * the host's evaluators, order commutative operands, and hand the rest to rules.def. What they return is canonical: the
 * same construction in the same graph gives the same id.
 *
 * Failures are sticky in the graph, so that a formula can be built without a check per line.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formula/formula.h"

q_id q_graph_fail(q_graph *graph, quern_status status, const char *fmt, ...)
{
    char message[512];
    va_list args;
    if (graph->status) return 0;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    graph->status =
        graph->text ? q_fail_at(status, graph->text, graph->at, "%s", message) : q_fail(status, "%s", message);
    return 0;
}

// ---- leaves ----

static bool check_dim(int64_t dim)
{
    return dim >= 1 && dim <= Q_MAX_DIM;
}

const q_variable *q_variable_find(const q_graph *graph, const char *name)
{
    for (size_t v = 0; v < graph->variable_count; v++)
        if (strcmp(graph->variables[v].name, name) == 0) return &graph->variables[v];
    return NULL;
}

q_id q_variable_make(q_graph *graph, const char *name, uint8_t axis, int64_t dim)
{
    if (graph->status) return 0;
    if (!check_dim(dim))
        return q_graph_fail(graph, QUERN_LIMIT, "variable %s has length %lld; lengths go from 1 to %d", name,
                            (long long)dim, Q_MAX_DIM);
    const q_variable *known = q_variable_find(graph, name);
    if (known && known->axis == axis && known->dim == dim) return known->id;
    if (known)
        return q_graph_fail(graph, QUERN_NAME, "variable %s is declared twice: as %s(%u) and as %s(%lld)", name,
                            q_axes[known->axis].leaf, known->dim, q_axes[axis].leaf, (long long)dim);
    if (graph->variable_count == Q_MAX_VARIABLES)
        return q_graph_fail(graph, QUERN_LIMIT, "the formula has more than %d variables", Q_MAX_VARIABLES);
    char *copy = q_arena_strdup(&graph->arena, name, strlen(name));
    if (!copy) {
        graph->status = q_fail_memory(strlen(name));
        return 0;
    }
    q_node node = {.op = Q_OP_VARIABLE, .dim = (uint32_t)dim, .k = {(int32_t)graph->variable_count}};
    q_variable *variable = &graph->variables[graph->variable_count++];
    *variable = (q_variable){copy, axis, (uint32_t)dim, 0};
    return variable->id = q_intern(graph, &node);
}

q_id q_constant(q_graph *graph, double value, int64_t dim)
{
    if (!check_dim(dim))
        return q_graph_fail(graph, QUERN_LIMIT, "a constant has length %lld; lengths go from 1 to %d", (long long)dim,
                            Q_MAX_DIM);
    /* one zero and one NaN, since nodes are compared as bytes */
    q_node node = {.op = Q_OP_CONSTANT,
                   .dim = (uint32_t)dim,
                   .value = value == 0     ? 0
                            : isnan(value) ? (double)NAN
                                           : value};
    return q_intern(graph, &node);
}

q_id q_index(q_graph *graph, uint8_t axis)
{
    q_node node = {.op = Q_OP_INDEX, .dim = 1, .k = {axis}};
    return q_intern(graph, &node);
}

q_id q_count(q_graph *graph, uint8_t axis)
{
    q_node node = {.op = Q_OP_COUNT, .dim = 1, .k = {axis}};
    return q_intern(graph, &node);
}

q_id q_repeat(q_graph *graph, q_id a, uint8_t axis)
{
    if (!a || graph->status) return 0;
    if ((q_node_of(graph, a)->axes & axis) == axis) return a; /* also for parameters, which have no axis */
    q_node node = {.op = Q_OP_REPEAT, .dim = q_node_of(graph, a)->dim, .arg = {a}, .k = {axis}};
    return q_intern(graph, &node);
}

q_id q_repeat_over(q_graph *graph, q_id a, unsigned axes)
{
    return q_repeat(graph, q_repeat(graph, a, axes & Q_I), axes & Q_J);
}

bool q_may_lose_pairs(q_graph *graph)
{
    graph->lost_pairs = graph->lost_pairs || !graph->keeps_pairs;
    return !graph->keeps_pairs;
}

q_id q_repeat_pairs(q_graph *graph, q_id a, unsigned axes)
{
    if (!a || graph->status || axes != (Q_I | Q_J) || q_node_of(graph, a)->axes == axes) return a;
    return q_may_lose_pairs(graph) ? a : q_repeat_over(graph, a, axes);
}

/* Takes the repeated values in place of their Repeats, in which they are further out; returns the axes of all. */
static unsigned strip_repeats(const q_graph *graph, q_id *args, size_t count)
{
    unsigned axes = 0;
    for (size_t a = 0; a < count; a++) {
        axes |= q_node_of(graph, args[a])->axes;
        while (q_node_of(graph, args[a])->op == Q_OP_REPEAT) args[a] = q_node_of(graph, args[a])->arg[0];
    }
    return axes;
}

// ---- operations ----

q_id q_broadcast(q_graph *graph, q_id id, uint32_t dim)
{
    if (!id || graph->status) return 0;
    uint32_t own = q_node_of(graph, id)->dim;
    if (own == dim) return id;
    if (own != 1)
        return q_graph_fail(graph, QUERN_DIMENSION, "a value of length %u stands where length %u is needed", own, dim);
    int32_t k = (int32_t)dim;
    return q_apply(graph, Q_OP_SumT, &id, 1, &k, 1);
}

static void print_operand(const q_graph *graph, q_id id, char out[121])
{
    q_text text = {0};
    q_print(graph, &id, 1, &text);
    const char *last = text.data ? strrchr(text.data, ';') : NULL; /* without the declarations */
    const char *from = last ? last + 2 : text.data ? text.data : "?";
    snprintf(out, 121, strlen(from) > 120 ? "%.117s..." : "%.120s", from);
    q_text_free(&text);
}

static void dimension_error(q_graph *graph, q_op op, const q_id *args, int a, int b)
{
    char first[121], second[121];
    print_operand(graph, args[a], first);
    print_operand(graph, args[b], second);
    char message[512];
    snprintf(message, sizeof message,
             "%s needs operands of equal length, or length 1: %s has length %u, %s has length %u", q_ops[op].name,
             first, q_node_of(graph, args[a])->dim, second, q_node_of(graph, args[b])->dim);
    q_graph_fail(graph, QUERN_DIMENSION, "%s", message);
}

/* Brings the operands of an elementwise operation to one length and sets node->dim. */
static bool broadcast_operands(q_graph *graph, q_node *node, int operands)
{
    int longest = 0;
    for (int a = 1; a < operands; a++)
        if (q_node_of(graph, node->arg[a])->dim > q_node_of(graph, node->arg[longest])->dim) longest = a;
    node->dim = q_node_of(graph, node->arg[longest])->dim;
    for (int a = 0; a < operands; a++) {
        uint32_t dim = q_node_of(graph, node->arg[a])->dim;
        if (dim != node->dim && dim != 1) {
            dimension_error(graph, (q_op)node->op, node->arg, a < longest ? a : longest, a < longest ? longest : a);
            return false;
        }
        node->arg[a] = q_broadcast(graph, node->arg[a], node->dim);
        if (!node->arg[a]) return false;
    }
    return true;
}

static bool is_constant(const q_graph *graph, q_id id)
{
    return q_node_of(graph, id)->op == Q_OP_CONSTANT;
}

/* The value of a node whose operands are all constants, as a constant; 0 if they are not. */
static q_id fold(q_graph *graph, const q_node *node, const q_op_row *row)
{
    double x[3] = {0};
    for (int a = 0; a < row->operands; a++) {
        if (!is_constant(graph, node->arg[a])) return 0;
        x[a] = q_node_of(graph, node->arg[a])->value;
    }
    if (row->kind == Q_KIND_ELEMENTWISE)
        return q_constant(graph, row->evaluate(x[0], x[1], x[2], node->k[0], node->k[1]), node->dim);
    if (node->op == Q_OP_SumT || node->op == Q_OP_Extract) return q_constant(graph, x[0], node->dim);
    if (node->op == Q_OP_ExtractT && x[0] == 0) return q_constant(graph, 0, node->dim);
    if (node->op == Q_OP_Concat && x[0] == x[1]) return q_constant(graph, x[0], node->dim);
    if (node->op == Q_OP_Sum) return q_constant(graph, x[0] * q_node_of(graph, node->arg[0])->dim, 1);
    return 0;
}

static bool is_broadcast(const q_graph *graph, q_id id)
{
    const q_node *node = q_node_of(graph, id);
    return node->dim > 1 && (node->op == Q_OP_SumT || node->op == Q_OP_CONSTANT);
}

/* An elementwise operation on nothing but repeated scalars is done once and its result repeated; 0 if it is not that.
   */
static q_id apply_to_scalars(q_graph *graph, const q_node *node, const q_op_row *row)
{
    q_id scalars[3];
    for (int a = 0; a < row->operands; a++) {
        const q_node *operand = q_node_of(graph, node->arg[a]);
        if (row->kind != Q_KIND_ELEMENTWISE || !is_broadcast(graph, node->arg[a])) return 0;
        scalars[a] = operand->op == Q_OP_SumT ? operand->arg[0] : q_constant(graph, operand->value, 1);
    }
    return q_broadcast(graph,
                       q_apply(graph, (q_op)node->op, scalars, (size_t)row->operands, node->k, (size_t)row->integers),
                       node->dim);
}

static bool commutes(q_op op)
{
    return op == Q_OP_Add || op == Q_OP_Mult || op == Q_OP_MultNoNan || op == Q_OP_Equal || op == Q_OP_NotEqual;
}

/* Constants last, else the older operand first. */
static void order_operands(const q_graph *graph, q_node *node)
{
    bool first = is_constant(graph, node->arg[0]), second = is_constant(graph, node->arg[1]);
    uint32_t a = q_node_of(graph, node->arg[0])->digest, b = q_node_of(graph, node->arg[1])->digest;
    if (first != second ? first : a != b ? a > b : node->arg[0] > node->arg[1]) {
        q_id swap = node->arg[0];
        node->arg[0] = node->arg[1];
        node->arg[1] = swap;
    }
}

/* A vector operation's length from its operands' lengths and integers. */
static bool set_length(q_graph *graph, q_node *node, const q_op_row *row)
{
    int64_t n = q_node_of(graph, node->arg[0])->dim, m = node->arg[1] ? q_node_of(graph, node->arg[1])->dim : 0;
    int64_t k = node->k[0], l = node->k[1];
    int64_t dim = row->length(n, m, k, l);
    char message[200] = "";
    if (!check_dim(dim))
        snprintf(message, sizeof message, "%s gives length %lld; lengths go from 1 to %d", row->name, (long long)dim,
                 Q_MAX_DIM);
    else if (node->op == Q_OP_SumT && n != 1)
        snprintf(message, sizeof message, "SumT repeats a value of length 1, not %lld", (long long)n);
    else if (node->op == Q_OP_Extract && (k < 0 || k + l > n))
        snprintf(message, sizeof message, "components %lld to %lld do not exist in a value of length %lld",
                 (long long)k, (long long)(k + l - 1), (long long)n);
    else if (node->op == Q_OP_ExtractT && (k < 0 || k + n > l))
        snprintf(message, sizeof message, "a value of length %lld does not fit at %lld into length %lld", (long long)n,
                 (long long)k, (long long)l);
    else if ((node->op == Q_OP_ComplexReal || node->op == Q_OP_ComplexImag) && n % 2)
        snprintf(message, sizeof message, "%s needs complex numbers, an even length, not %lld", row->name,
                 (long long)n);
    else if (node->op == Q_OP_OneHot && n != 1)
        snprintf(message, sizeof message, "OneHot takes a value of length 1, not %lld", (long long)n);
    if (message[0]) q_graph_fail(graph, check_dim(dim) ? QUERN_DIMENSION : QUERN_LIMIT, "%s", message);
    node->dim = (uint32_t)dim;
    return !message[0];
}

/* Pieces of a value that are the whole value. */
static bool is_identity(const q_graph *graph, const q_node *node)
{
    bool same = node->dim == q_node_of(graph, node->arg[0])->dim;
    return same && (node->op == Q_OP_Sum || node->op == Q_OP_Max || node->op == Q_OP_Min || node->op == Q_OP_SumT ||
                    node->op == Q_OP_Extract || node->op == Q_OP_ExtractT);
}

/* The orders that the functions with one are made for. */
static bool has_order(const q_op_row *row, int32_t k)
{
    return (!row->least && !row->most) || (k >= row->least && k <= row->most);
}

static q_id apply(q_graph *graph, q_op op, const q_id *args, size_t count, const int32_t *k, size_t integers)
{
    const q_op_row *row = &q_ops[op];
    if (count != (size_t)row->operands || integers != (size_t)row->integers)
        return q_graph_fail(graph, QUERN_SYNTAX, "%s takes %d values and %d integers", row->name, row->operands,
                            row->integers);
    q_node node = {.op = (uint16_t)op};
    for (size_t a = 0; a < count; a++)
        if (!(node.arg[a] = args[a])) return 0;
    for (size_t i = 0; i < integers; i++) node.k[i] = k[i];
    if (graph->rules && !has_order(row, node.k[0])) /* in patterns of rules letters stand for integers */
        return q_graph_fail(graph, QUERN_LIMIT, "%s of order %d is not there", row->name, node.k[0]);
    bool fits = row->kind == Q_KIND_ELEMENTWISE ? broadcast_operands(graph, &node, row->operands)
                                                : set_length(graph, &node, row);
    if (!fits) return 0;
    if (graph->rules) {
        if (is_identity(graph, &node)) return node.arg[0];
        q_id folded = fold(graph, &node, row);
        if (!folded) folded = apply_to_scalars(graph, &node, row);
        if (folded || graph->status) return folded;
    }
    if (graph->rules && commutes(op)) order_operands(graph, &node); /* patterns stay as they are written */
    q_id simpler = 0;
    if (graph->rules) q_rewrite(graph, &node, &simpler);
    return graph->status ? 0 : simpler ? simpler : q_intern(graph, &node);
}

/* Keeps an operand that only rounding could take out of the function's domain within it. */
static q_id kept_in_domain(q_graph *graph, q_op op, q_id a)
{
    if (!a) return 0;
    if ((op == Q_OP_Acos || op == Q_OP_Asin) && q_is_cosine(graph, a)) return q_apply1(graph, Q_OP_ClampUnit, a);
    if ((op == Q_OP_Sqrt || op == Q_OP_Rsqrt) && q_is_square_sum(graph, a)) return q_apply1(graph, Q_OP_ReLU, a);
    return a;
}

q_id q_apply(q_graph *graph, q_op op, const q_id *args, size_t count, const int32_t *k, size_t integers)
{
    q_id plain[3] = {0};
    if (graph->status) return 0;
    if (!graph->rules || count > 3) return apply(graph, op, args, count, k, integers);
    for (size_t a = 0; a < count; a++) plain[a] = args[a];
    unsigned axes = strip_repeats(graph, plain, count);
    bool same = memcmp(plain, args, count * sizeof *args) == 0;
    if (count == 1) plain[0] = kept_in_domain(graph, op, plain[0]);
    q_id made = apply(graph, op, plain, count, k, integers);
    return same ? made : q_repeat_over(graph, made, axes);
}

q_id q_apply1(q_graph *graph, q_op op, q_id a)
{
    return q_apply(graph, op, &a, 1, NULL, 0);
}

q_id q_apply2(q_graph *graph, q_op op, q_id a, q_id b)
{
    return q_apply(graph, op, (q_id[]){a, b}, 2, NULL, 0);
}

/* Sum of N equal terms; a Repeat along the reduced axis is undone. 0 if the term depends on the axis. */
static q_id sum_of_equals(q_graph *graph, uint8_t axis, q_id a)
{
    const q_node *term = q_node_of(graph, a);
    q_id inner = term->op == Q_OP_REPEAT && term->k[0] == axis ? term->arg[0] : a;
    if (q_is_constant(graph, a, 0)) return a;
    if (q_node_of(graph, inner)->axes & axis) return 0;
    if (q_node_of(graph, a)->axes & ~(unsigned)axis && !q_may_lose_pairs(graph)) return 0;
    return q_apply2(graph, Q_OP_Mult, inner, q_count(graph, axis));
}

/* Sum_j(Where(k==J,y,0)) of a variable y is its row k; 0 for all else. */
static q_id sum_of_one_row(q_graph *graph, uint8_t axis, q_id a)
{
    const q_node *term = q_node_of(graph, a), *table = q_node_of(graph, term->arg[1]);
    bool hides = term->op == Q_OP_Where && q_is_constant(graph, term->arg[2], 0);
    if (!hides || table->op != Q_OP_VARIABLE || table->axes != axis) return 0;
    const q_node *own = q_node_of(graph, term->arg[0]);
    if (own->op == Q_OP_SumT) own = q_node_of(graph, own->arg[0]);
    for (int b = 0; b < 2 && own->op == Q_OP_Equal; b++) {
        const q_node *index = q_node_of(graph, own->arg[b]), *k = q_node_of(graph, own->arg[1 - b]);
        bool own_axis = index->op == Q_OP_INDEX && index->k[0] == axis;
        if (own_axis && !(k->axes & axis) && k->dim == 1 && (!k->axes || q_may_lose_pairs(graph)))
            return q_lookup_rows(graph, term->arg[1], own->arg[1 - b], axis);
    }
    return 0;
}

q_id q_reduce(q_graph *graph, q_op reduction, uint8_t axis, q_id a, int32_t K)
{
    const q_op_row *row = &q_ops[reduction];
    if (graph->status || !a) return 0;
    if (row->integers && (K < 1 || K > Q_MAX_SELECTED))
        return q_graph_fail(graph, QUERN_LIMIT, "%s selects 1 to %d terms, not %d", row->name, Q_MAX_SELECTED, K);
    int64_t dim = row->length(q_node_of(graph, a)->dim, 0, K, 0);
    if (!check_dim(dim))
        return q_graph_fail(graph, QUERN_LIMIT, "%s gives length %lld; lengths go from 1 to %d", row->name,
                            (long long)dim, Q_MAX_DIM);
    const q_node *term = q_node_of(graph, a);
    if (graph->rules && term->op == Q_OP_REPEAT && term->k[0] != axis && q_may_lose_pairs(graph)) {
        uint8_t other = (uint8_t)term->k[0];
        return q_repeat(graph, q_reduce(graph, reduction, axis, term->arg[0], K), other);
    }
    q_id equals = reduction == Q_RED_Sum && graph->rules ? sum_of_equals(graph, axis, a) : 0;
    if (!equals && reduction == Q_RED_Sum && graph->rules) equals = sum_of_one_row(graph, axis, a);
    if (equals || graph->status) return equals;
    q_node node = {.op = (uint16_t)reduction, .dim = (uint32_t)dim, .arg = {a}, .k = {axis, row->integers ? K : 0}};
    return q_intern(graph, &node);
}
