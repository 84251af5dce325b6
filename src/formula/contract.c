/*
 * contract.c: products of tensors. TensorDot, Kron, MatVecMult, VecMatMult, TensorProd, Tile and SumBlocks are one kind
 * of node, a contraction by labels as in Einstein's notation: each axis of the operands and of the result carries a
 * label; labels that the result lacks are summed over. The adjoint of a contraction is a contraction of the adjoint
 * with the other operand, by the same labels, so derivatives of any order stay in the family.
 *
 * Contractions are interned in the graph beside the nodes, so equal ones have one number and nodes compare by it.
 */
#include <stdlib.h>
#include <string.h>

#include "formula/formula.h"

const q_contraction *q_contraction_of(const q_graph *graph, const q_node *node)
{
    return &graph->contractions[node->k[0]];
}

// ---- what a contraction means ----

static bool in_result(const q_contraction *c, int32_t label)
{
    for (int32_t o = 0; o < c->rank_out; o++)
        if (c->out[o] == label) return true;
    return false;
}

uint32_t q_contraction_terms(const q_contraction *c)
{
    uint32_t terms = 1;
    for (int32_t l = 0; l < c->labels; l++)
        if (!in_result(c, l)) terms *= (uint32_t)c->size[l];
    return terms;
}

/* Position of an element in an operand, row-major. */
static uint32_t position(const q_contraction *c, const int32_t *labels, int32_t rank, const uint32_t *index)
{
    uint32_t at = 0;
    for (int32_t r = 0; r < rank; r++) at = at * (uint32_t)c->size[labels[r]] + index[labels[r]];
    return at;
}

void q_contraction_term(const q_contraction *c, uint32_t d, uint32_t t, uint32_t *a, uint32_t *b)
{
    uint32_t index[Q_MAX_LIST] = {0};
    for (int32_t o = c->rank_out; o-- > 0; d /= (uint32_t)c->size[c->out[o]])
        index[c->out[o]] = d % (uint32_t)c->size[c->out[o]];
    for (int32_t l = c->labels; l-- > 0;)
        if (!in_result(c, l)) {
            index[l] = t % (uint32_t)c->size[l];
            t /= (uint32_t)c->size[l];
        }
    *a = position(c, c->a, c->rank_a, index);
    *b = position(c, c->b, c->rank_b, index);
}

// ---- construction ----

static int64_t length_of(const q_contraction *c, const int32_t *labels, int32_t rank)
{
    int64_t length = 1;
    for (int32_t r = 0; r < rank && length <= Q_MAX_DIM; r++) length *= c->size[labels[r]];
    return length;
}

static bool has(const int32_t *labels, int32_t rank, int32_t label)
{
    for (int32_t r = 0; r < rank; r++)
        if (labels[r] == label) return true;
    return false;
}

static bool distinct(const int32_t *labels, int32_t rank, int32_t count)
{
    for (int32_t r = 0; r < rank; r++)
        if (labels[r] < 0 || labels[r] >= count || has(labels, r, labels[r])) return false;
    return true;
}

static q_id check(q_graph *graph, q_id a, q_id b, const q_contraction *c)
{
    int64_t terms = 1;
    bool linked = true;
    for (int32_t l = 0; l < c->labels; l++) {
        bool in_a = has(c->a, c->rank_a, l), in_b = has(c->b, c->rank_b, l), out = has(c->out, c->rank_out, l);
        linked = linked && (in_a + in_b + out >= 2) && (in_a || in_b);
        if (c->size[l] < 1 || c->size[l] > Q_MAX_DIM)
            return q_graph_fail(graph, QUERN_DIMENSION, "an axis of a tensor has length %d", c->size[l]);
        if (terms <= INT32_MAX) terms *= c->size[l];
    }
    if (!linked || !distinct(c->a, c->rank_a, c->labels) || !distinct(c->b, c->rank_b, c->labels) ||
        !distinct(c->out, c->rank_out, c->labels))
        return q_graph_fail(graph, QUERN_DIMENSION,
                            "the labels of a contraction do not fit: each stands once in an operand, "
                            "and in the result or in the other operand");
    if (terms > (int64_t)Q_MAX_DIM * 16)
        return q_graph_fail(graph, QUERN_LIMIT, "a contraction of %lld products; the limit is %d", (long long)terms,
                            Q_MAX_DIM * 16);
    q_id operands[2] = {a, b};
    for (int o = 0; o < 2; o++) {
        int64_t wanted = o ? length_of(c, c->b, c->rank_b) : length_of(c, c->a, c->rank_a);
        if (q_node_of(graph, operands[o])->dim != wanted)
            return q_graph_fail(graph, QUERN_DIMENSION,
                                "operand %d of a product of tensors has length %u; its axes make %lld", o + 1,
                                q_node_of(graph, operands[o])->dim, (long long)wanted);
    }
    if (length_of(c, c->out, c->rank_out) > Q_MAX_DIM)
        return q_graph_fail(graph, QUERN_LIMIT, "a product of tensors gives more than %d components", Q_MAX_DIM);
    return a;
}

q_id q_contract(q_graph *graph, q_id a, q_id b, const q_contraction *c)
{
    if (graph->status || !a || !b || !check(graph, a, b, c)) return 0;
    size_t number = 0;
    while (number < graph->contraction_count && memcmp(&graph->contractions[number], c, sizeof *c) != 0) number++;
    if (number == graph->contraction_count) {
        if (!q_grow(&graph->contractions, &graph->contraction_capacity, number + 1, sizeof *c)) {
            graph->status = q_fail_memory(sizeof *c);
            return 0;
        }
        graph->contractions[graph->contraction_count++] = *c;
    }
    uint32_t dim = (uint32_t)length_of(c, c->out, c->rank_out);
    if (q_is_constant(graph, a, 0) || q_is_constant(graph, b, 0)) return q_constant(graph, 0, dim);
    q_node node = {.op = Q_OP_CONTRACT, .dim = dim, .arg = {a, b}, .k = {(int32_t)number}};
    return q_intern(graph, &node);
}

q_id q_contract_adjoint(q_graph *graph, const q_node *node, int operand, q_id g, bool no_nan)
{
    q_contraction c = *q_contraction_of(graph, node), adjoint = {.labels = c.labels, .no_nan = c.no_nan || no_nan};
    memcpy(adjoint.size, c.size, sizeof c.size);
    if (c.rank_out > Q_MAX_RANK)
        return q_graph_fail(graph, QUERN_LIMIT, "the derivative of a tensor of more than %d axes", Q_MAX_RANK);
    const int32_t *other = operand ? c.a : c.b, *own = operand ? c.b : c.a;
    adjoint.rank_a = c.rank_out, memcpy(adjoint.a, c.out, (size_t)c.rank_out * sizeof *c.out);
    adjoint.rank_b = operand ? c.rank_a : c.rank_b, memcpy(adjoint.b, other, (size_t)adjoint.rank_b * sizeof *other);
    adjoint.rank_out = operand ? c.rank_b : c.rank_a, memcpy(adjoint.out, own, (size_t)adjoint.rank_out * sizeof *own);
    return q_contract(graph, g, node->arg[1 - operand], &adjoint);
}

// ---- by other names ----

static bool copy_labels(q_graph *graph, int32_t *to, int32_t *rank, const q_ints *from, size_t most)
{
    if (from->count > most)
        q_graph_fail(graph, QUERN_LIMIT, "a tensor has at most %zu axes, not %zu", most, from->count);
    *rank = (int32_t)from->count;
    for (size_t k = 0; k < from->count && k < most; k++) to[k] = from->item[k];
    return from->count <= most;
}

q_id q_contract_lists(q_graph *graph, q_id a, q_id b, const q_ints lists[4], bool no_nan)
{
    q_contraction c = {.no_nan = no_nan};
    if (!copy_labels(graph, c.a, &c.rank_a, &lists[0], Q_MAX_RANK) ||
        !copy_labels(graph, c.b, &c.rank_b, &lists[1], Q_MAX_RANK) ||
        !copy_labels(graph, c.out, &c.rank_out, &lists[2], Q_MAX_LIST) ||
        !copy_labels(graph, c.size, &c.labels, &lists[3], Q_MAX_LIST))
        return 0;
    return q_contract(graph, a, b, &c);
}

/* New labels for the axes of an operand. */
static bool add_axes(q_graph *graph, q_contraction *c, int32_t *labels, int32_t *rank, const q_ints *dims)
{
    if (dims->count > Q_MAX_RANK || c->labels + (int32_t)dims->count > Q_MAX_LIST)
        return q_graph_fail(graph, QUERN_LIMIT, "a tensor has at most %d axes", Q_MAX_RANK) != 0;
    for (size_t k = 0; k < dims->count; k++) {
        c->size[c->labels] = dims->item[k];
        labels[(*rank)++] = c->labels++;
    }
    return true;
}

/* Removes labels that nobody carries any more, so that equal contractions are equal. */
static void renumber(q_contraction *c)
{
    int32_t to[Q_MAX_LIST], count = 0;
    for (int32_t l = 0; l < c->labels; l++) {
        bool used = has(c->a, c->rank_a, l) || has(c->b, c->rank_b, l);
        to[l] = used ? count : -1;
        if (used) c->size[count++] = c->size[l];
    }
    for (int32_t l = count; l < c->labels; l++) c->size[l] = 0;
    for (int32_t r = 0; r < c->rank_a; r++) c->a[r] = to[c->a[r]];
    for (int32_t r = 0; r < c->rank_b; r++) c->b[r] = to[c->b[r]];
    for (int32_t r = 0; r < c->rank_out; r++) c->out[r] = to[c->out[r]];
    c->labels = count;
}

/* Gives axis y of b the label of axis x of a. */
static q_id join_axes(q_graph *graph, q_contraction *c, const q_ints *x, const q_ints *y, size_t k)
{
    int32_t p = x->item[k], q = y->item[k];
    if (p < 0 || p >= c->rank_a || q < 0 || q >= c->rank_b || has(x->item, (int32_t)k, p) ||
        has(y->item, (int32_t)k, q))
        return q_graph_fail(graph, QUERN_DIMENSION,
                            "TensorDot contracts axes %d and %d, which do not exist or are contracted already", p, q);
    if (c->size[c->a[p]] != c->size[c->b[q]])
        return q_graph_fail(graph, QUERN_DIMENSION,
                            "TensorDot contracts axis %d of length %d with axis %d of length %d", p, c->size[c->a[p]],
                            q, c->size[c->b[q]]);
    c->b[q] = c->a[p];
    return 1;
}

static q_id permute(q_graph *graph, q_contraction *c, const q_ints *permutation)
{
    int32_t out[Q_MAX_LIST];
    if ((int32_t)permutation->count != c->rank_out || !distinct(permutation->item, c->rank_out, c->rank_out))
        return q_graph_fail(graph, QUERN_DIMENSION, "the permutation of TensorDot must be one of its result's %d axes",
                            c->rank_out);
    for (int32_t o = 0; o < c->rank_out; o++) out[o] = c->out[permutation->item[o]];
    memcpy(c->out, out, (size_t)c->rank_out * sizeof *out);
    return 1;
}

q_id q_tensor_dot(q_graph *graph, q_id a, q_id b, const q_ints *lists, size_t count)
{
    q_contraction c = {0};
    if (graph->status || !add_axes(graph, &c, c.a, &c.rank_a, &lists[0]) ||
        !add_axes(graph, &c, c.b, &c.rank_b, &lists[1]))
        return 0;
    if (lists[2].count != lists[3].count)
        return q_graph_fail(graph, QUERN_DIMENSION, "TensorDot contracts %zu axes with %zu", lists[2].count,
                            lists[3].count);
    for (size_t k = 0; k < lists[2].count; k++)
        if (!join_axes(graph, &c, &lists[2], &lists[3], k)) return 0;
    for (int32_t r = 0; r < c.rank_a; r++)
        if (!has(c.b, c.rank_b, c.a[r])) c.out[c.rank_out++] = c.a[r];
    for (int32_t r = 0; r < c.rank_b; r++)
        if (!has(c.a, c.rank_a, c.b[r])) c.out[c.rank_out++] = c.b[r];
    if (count == 5 && !permute(graph, &c, &lists[4])) return 0;
    renumber(&c);
    return q_contract(graph, a, b, &c);
}

q_id q_kron(q_graph *graph, q_id a, q_id b, const q_ints *dims_a, const q_ints *dims_b)
{
    q_contraction c = {0};
    if (graph->status || !add_axes(graph, &c, c.a, &c.rank_a, dims_a) || !add_axes(graph, &c, c.b, &c.rank_b, dims_b))
        return 0;
    if (c.rank_a != c.rank_b)
        return q_graph_fail(graph, QUERN_DIMENSION, "Kron takes tensors with equally many axes, not %d and %d",
                            c.rank_a, c.rank_b);
    for (int32_t r = 0; r < c.rank_a; r++) {
        c.out[c.rank_out++] = c.a[r];
        c.out[c.rank_out++] = c.b[r];
    }
    return q_contract(graph, a, b, &c);
}

q_id q_mat_vec(q_graph *graph, q_id matrix, q_id vector)
{
    if (graph->status || !matrix || !vector) return 0;
    uint32_t length = q_node_of(graph, matrix)->dim, n = q_node_of(graph, vector)->dim;
    if (length % n)
        return q_graph_fail(graph, QUERN_DIMENSION, "MatVecMult: a matrix of length %u has no columns of number %u",
                            length, n);
    q_contraction c = {2, 2, 1, 1, {(int32_t)(length / n), (int32_t)n}, {0, 1}, {1}, {0}, 0};
    return q_contract(graph, matrix, vector, &c);
}

q_id q_vec_mat(q_graph *graph, q_id vector, q_id matrix)
{
    if (graph->status || !matrix || !vector) return 0;
    uint32_t length = q_node_of(graph, matrix)->dim, n = q_node_of(graph, vector)->dim;
    if (length % n)
        return q_graph_fail(graph, QUERN_DIMENSION, "VecMatMult: a matrix of length %u has no rows of number %u",
                            length, n);
    q_contraction c = {2, 1, 2, 1, {(int32_t)n, (int32_t)(length / n)}, {0}, {0, 1}, {1}, 0};
    return q_contract(graph, vector, matrix, &c);
}

q_id q_tensor_prod(q_graph *graph, q_id a, q_id b)
{
    if (graph->status || !a || !b) return 0;
    q_contraction c = {2,   1,   1,      2, {(int32_t)q_node_of(graph, a)->dim, (int32_t)q_node_of(graph, b)->dim},
                       {0}, {1}, {0, 1}, 0};
    return q_contract(graph, a, b, &c);
}

q_id q_tile(q_graph *graph, q_id a, int32_t times)
{
    if (graph->status || !a) return 0;
    if (times < 1) return q_graph_fail(graph, QUERN_DIMENSION, "Tile repeats a value %d times", times);
    if (times == 1) return a;
    q_contraction c = {2, 1, 1, 2, {times, (int32_t)q_node_of(graph, a)->dim}, {0}, {1}, {0, 1}, 0};
    return q_contract(graph, q_constant(graph, 1, times), a, &c);
}

q_id q_sum_blocks(q_graph *graph, q_id a, int32_t length)
{
    if (graph->status || !a) return 0;
    uint32_t own = q_node_of(graph, a)->dim;
    if (length < 1 || own % (uint32_t)length)
        return q_graph_fail(graph, QUERN_DIMENSION, "SumBlocks: a value of length %u has no blocks of length %d", own,
                            length);
    if (own == (uint32_t)length) return a;
    int32_t blocks = (int32_t)own / length;
    q_contraction c = {2, 1, 2, 1, {blocks, length}, {0}, {0, 1}, {1}, 0};
    return q_contract(graph, q_constant(graph, 1, blocks), a, &c);
}

q_id q_pair_blocks(q_graph *graph, q_id a, q_id b, int32_t length)
{
    if (graph->status || !a || !b) return 0;
    uint32_t own = q_node_of(graph, a)->dim;
    if (length < 1 || own != q_node_of(graph, b)->dim || own % (uint32_t)length)
        return q_graph_fail(graph, QUERN_DIMENSION,
                            "PairBlocks: values of length %u and %u do not fall into blocks of %d", own,
                            q_node_of(graph, b)->dim, length);
    q_id all = 0;
    for (int32_t at = 0; at < (int32_t)own; at += length) {
        int32_t k[2] = {at, length};
        q_id pair = q_apply2(graph, Q_OP_Concat, q_apply(graph, Q_OP_Extract, &a, 1, k, 2),
                             q_apply(graph, Q_OP_Extract, &b, 1, k, 2));
        all = all ? q_apply2(graph, Q_OP_Concat, all, pair) : pair;
    }
    return all;
}

q_id q_weighted_sq_norm(q_graph *graph, q_id s, q_id x)
{
    if (graph->status || !s || !x) return 0;
    uint32_t weights = q_node_of(graph, s)->dim, n = q_node_of(graph, x)->dim;
    if (weights != 1 && weights != n && weights != n * n)
        return q_graph_fail(graph, QUERN_DIMENSION, "weights for a vector of length %u number 1, %u or %u, not %u", n,
                            n, n * n, weights);
    q_id square = q_apply1(graph, Q_OP_Square, x);
    if (weights == 1) return q_apply2(graph, Q_OP_Mult, s, q_apply1(graph, Q_OP_Sum, square));
    if (weights == n) return q_apply1(graph, Q_OP_Sum, q_apply2(graph, Q_OP_Mult, s, square));
    return q_apply1(graph, Q_OP_Sum, q_apply2(graph, Q_OP_Mult, x, q_mat_vec(graph, s, x)));
}
