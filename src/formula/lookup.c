/*
 * lookup.c: rows of tables, picked by number: Gather(T,k,l) of the l numbers from component k*l on, Gather_i(T,k) of row k
 * of an i-variable. A number that no row has, because it is out of range, not whole or NaN, gives zeros, and so nothing is
 * ever read outside a table.
 *
 * Both are sums that others could write: over all rows, of those whose number equals k. A node of its own reads the
 * one row, where the table is an array as it is given: a parameter, or a variable of the axis. Otherwise the sum is
 * taken. The derivative with respect to the table is the other way round: to each row goes the sum of the adjoints of
 * all that have picked it. That is again a reduction, in the order of all others, and takes no memory but its result.
 */
#include "formula/formula.h"

/* The number of a row, as OneHot takes it, which rounds: what is not whole is made no row's. */
static q_id whole_number(q_graph *graph, q_id k)
{
    if (q_node_of(graph, k)->integer) return k;
    q_id whole = q_apply2(graph, Q_OP_Equal, k, q_apply1(graph, Q_OP_Floor, k));
    return q_apply(graph, Q_OP_Where, (q_id[]){whole, k, q_constant(graph, -1, 1)}, 3, NULL, 0);
}

/* 1 where a row's number is k, one component for each row. */
static q_id rows_picked(q_graph *graph, q_id k, uint32_t rows)
{
    k = whole_number(graph, k);
    int32_t count = (int32_t)rows;
    return q_apply(graph, Q_OP_OneHot, &k, 1, &count, 1);
}

/* table[r] summed over the rows r that are picked; or, with `spread`, a table in whose picked row is `value`. */
static q_id by_products(q_graph *graph, q_id k, q_id value, uint32_t rows, uint32_t length, bool spread)
{
    const q_ints all = {{0, 1}, 2}, of_row = {{1}, 1}, sizes = {{(int32_t)rows, (int32_t)length}, 2};
    const q_ints lists[] = {{{0}, 1}, spread ? of_row : all, spread ? all : of_row, sizes};
    return q_contract_lists(graph, rows_picked(graph, k, rows), value, lists, true);
}

static q_id take_off_repeats(const q_graph *graph, q_id id)
{
    while (q_node_of(graph, id)->op == Q_OP_REPEAT) id = q_node_of(graph, id)->arg[0];
    return id;
}

static q_id check_number(q_graph *graph, q_id k)
{
    uint32_t dim = q_node_of(graph, k)->dim;
    return dim == 1 ? k
                    : q_graph_fail(graph, QUERN_DIMENSION, "Gather takes the number of one row, not %u numbers", dim);
}

/* Row k of the components of a value, which may depend on whatever it likes. */
q_id q_lookup(q_graph *graph, q_id table, q_id k, int32_t length)
{
    if (graph->status || !table || !k || !check_number(graph, k)) return 0;
    q_node t = *q_node_of(graph, table), number = *q_node_of(graph, take_off_repeats(graph, k));
    if (length < 1 || t.dim % (uint32_t)length)
        return q_graph_fail(graph, QUERN_DIMENSION, "a value of length %u is no table with rows of %d", t.dim, length);
    uint32_t rows = t.dim / (uint32_t)length;
    q_id picked;
    if (number.op == Q_OP_CONSTANT) {
        bool exists = q_is_whole(number.value) && number.value >= 0 && number.value < rows;
        int32_t piece[2] = {exists ? (int32_t)number.value * length : 0, length};
        picked = exists ? q_apply(graph, Q_OP_Extract, &table, 1, piece, 2) : q_constant(graph, 0, length);
    } else if (t.op == Q_OP_VARIABLE && t.axes == Q_P && rows > 1) {
        q_node node = {
            .op = Q_OP_LOOKUP, .dim = (uint32_t)length, .arg = {table, take_off_repeats(graph, k)}, .k = {Q_P, length}};
        picked = q_intern(graph, &node);
    } else {
        picked = by_products(graph, take_off_repeats(graph, k), table, rows, (uint32_t)length, false);
    }
    return picked ? q_repeat_over(graph, picked, (unsigned)t.axes | q_node_of(graph, k)->axes) : 0;
}

q_id q_lookup_rows(q_graph *graph, q_id table, q_id k, uint8_t axis)
{
    if (graph->status || !table || !k || !check_number(graph, k)) return 0;
    unsigned axes = q_node_of(graph, k)->axes;
    char letter = q_axes[axis].letter;
    if (axes & axis) {
        q_graph_fail(graph, QUERN_DIMENSION, "Gather_%c picks a row along %c: its number must not depend on %c", letter,
                     letter, letter);
        q_fail_next_step("give the table once more as a variable of the other index, and pick from that");
        return 0;
    }
    const q_node *t = q_node_of(graph, table);
    if (t->op == Q_OP_VARIABLE && t->axes == axis && (!axes || q_may_lose_pairs(graph))) {
        q_node node = {.op = Q_OP_LOOKUP, .dim = t->dim, .arg = {table, take_off_repeats(graph, k)}, .k = {axis, 0}};
        return q_repeat_over(graph, q_intern(graph, &node), axes);
    }
    axes |= t->axes & ~(unsigned)axis;
    q_id own = q_apply2(graph, Q_OP_Equal, k, q_index(graph, axis));
    q_id row = q_apply(graph, Q_OP_Where, (q_id[]){own, table, q_constant(graph, 0, 1)}, 3, NULL, 0);
    return q_repeat_over(graph, q_reduce(graph, Q_RED_Sum, axis, row, 0), axes);
}

q_id q_lookup_adjoint(q_graph *graph, const q_node *node, q_id g)
{
    uint8_t axis = (uint8_t)node->k[0];
    if (!axis) {
        uint32_t rows = q_node_of(graph, node->arg[0])->dim / (uint32_t)node->k[1];
        return by_products(graph, node->arg[1], g, rows, (uint32_t)node->k[1], true);
    }
    q_id own = q_apply2(graph, Q_OP_Equal, node->arg[1], q_index(graph, axis));
    return q_apply(graph, Q_OP_Where, (q_id[]){own, g, q_constant(graph, 0, 1)}, 3, NULL, 0);
}

q_id q_lookup_tangent(q_graph *graph, const q_node *node, q_id tangent)
{
    return node->k[0] ? q_lookup_rows(graph, tangent, node->arg[1], (uint8_t)node->k[0])
                      : q_lookup(graph, tangent, node->arg[1], node->k[1]);
}

double q_lookup_read(const q_node *node, uint32_t dim, const double *table, size_t rows, double k, uint32_t d)
{
    size_t width = node->k[0] ? dim : (size_t)node->k[1], count = node->k[0] ? rows : dim / width;
    bool exists = k >= 0 && k < (double)count && k == (double)(size_t)k;
    return exists ? table[(size_t)k * width + d] : 0;
}
