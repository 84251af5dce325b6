/*
 * cauchy.c: values that the inequality of Cauchy and Schwarz bounds: |(u|v)| <= |u| |v|. Cosines and squared distances that
 * are written out are within their bounds in exact arithmetic only, and the functions that are taken of them, Acos or Sqrt,
 * are NaN just outside; so the constructor (build.c) keeps what is recognised here within.
 *
 * A scalar is read as a product of powers of inner products: Sum(a*b), Sum(Square(a)), and a*b of scalars. Exponents count
 * halves, so that roots are whole.
 */
#include <math.h>
#include <string.h>

#include "formula/formula.h"

enum { MOST = 24 };

/* coefficient * (a|b)^(half/2) ... ; b is 0 for a scalar that is no inner product. */
typedef struct power {
    q_id a, b;
    int half;
} power;

typedef struct monomial {
    double coefficient;
    power of[MOST];
    size_t count;
    bool failed;
} monomial;

/* What is repeated in each component. */
static q_id scalar_of(const q_graph *graph, q_id id)
{
    return q_node_of(graph, id)->op == Q_OP_SumT ? q_node_of(graph, id)->arg[0] : id;
}

static void multiply(monomial *m, q_id a, q_id b, int half)
{
    q_id low = a < b ? a : b, high = a < b ? b : a;
    size_t k = 0;
    while (k < m->count && (m->of[k].a != low || m->of[k].b != high)) k++;
    if (k == MOST) m->failed = true;
    if (m->failed) return;
    if (k == m->count) m->of[m->count++] = (power){low, high, 0};
    m->of[k].half += half;
}

/* Scalars that are to be read, each to a power. */
typedef struct reading {
    q_id id[MOST];
    int half[MOST];
    size_t count;
} reading;

static void read_later(reading *todo, monomial *m, q_id id, int half)
{
    if (todo->count == MOST) m->failed = true;
    if (m->failed) return;
    todo->id[todo->count] = id;
    todo->half[todo->count++] = half;
}

/* The vector without the scalars that multiply or divide it, which are read later. */
static q_id strip(const q_graph *graph, q_id vector, reading *todo, monomial *m, int half)
{
    for (;;) {
        const q_node *node = q_node_of(graph, vector);
        bool product = node->op == Q_OP_Mult, quotient = node->op == Q_OP_Divide;
        if (!product && !quotient) return vector;
        q_id first = scalar_of(graph, node->arg[0]), second = scalar_of(graph, node->arg[1]);
        if (second != node->arg[1]) {
            read_later(todo, m, second, product ? half : -half);
            vector = node->arg[0];
        } else if (product && first != node->arg[0]) {
            read_later(todo, m, first, half);
            vector = node->arg[1];
        } else return vector;
    }
}

/* Sum(u*v), Sum(Square(u)); false for anything else. */
static bool inner_product(const q_graph *graph, q_id id, q_id *u, q_id *v)
{
    const q_node *node = q_node_of(graph, id), *term = node->op == Q_OP_Sum ? q_node_of(graph, node->arg[0]) : node;
    *u = *v = term->arg[0];
    if (term->op == Q_OP_Mult) *v = term->arg[1];
    return (node->op == Q_OP_Sum || node->dim == 1) && (term->op == Q_OP_Mult || term->op == Q_OP_Square);
}

static void read_scalar(const q_graph *graph, q_id id, int half, reading *todo, monomial *m)
{
    const q_node *node = q_node_of(graph, id);
    bool root = node->op == Q_OP_Sqrt || node->op == Q_OP_Rsqrt;
    q_id u, v;
    if (node->op == Q_OP_Sum && inner_product(graph, id, &u, &v)) {
        u = strip(graph, u, todo, m, half);
        v = strip(graph, v, todo, m, half);
        multiply(m, u, v, half);
    } else if (node->op == Q_OP_CONSTANT) m->coefficient *= pow(node->value, half / 2.0);
    else if (node->op == Q_OP_Mult || node->op == Q_OP_Divide) {
        read_later(todo, m, node->arg[0], half);
        read_later(todo, m, node->arg[1], node->op == Q_OP_Mult ? half : -half);
    } else if (node->op == Q_OP_Minus && half == 2) {
        m->coefficient = -m->coefficient;
        read_later(todo, m, node->arg[0], half);
    } else if (node->op == Q_OP_Inv) read_later(todo, m, node->arg[0], -half);
    else if (node->op == Q_OP_Square) read_later(todo, m, node->arg[0], 2 * half);
    else if (root && half % 2 == 0) read_later(todo, m, node->arg[0], node->op == Q_OP_Sqrt ? half / 2 : -half / 2);
    else multiply(m, id, 0, half);
}

static monomial read_monomial(const q_graph *graph, q_id id)
{
    monomial m = {.coefficient = 1};
    reading todo = {.id = {id}, .half = {2}, .count = 1};
    while (todo.count && !m.failed) {
        todo.count--;
        read_scalar(graph, todo.id[todo.count], todo.half[todo.count], &todo, &m);
    }
    size_t kept = 0;
    for (size_t k = 0; k < m.count; k++)
        if (m.of[k].half) m.of[kept++] = m.of[k];
    m.count = kept;
    return m;
}

/* Whether one of the powers is that of |a|. */
static bool divides_by_norm(const monomial *m, q_id a)
{
    for (size_t k = 0; k < m->count; k++)
        if (m->of[k].a == a && m->of[k].b == a && m->of[k].half == -1) return true;
    return false;
}

bool q_is_cosine(const q_graph *graph, q_id id)
{
    monomial m = read_monomial(graph, id);
    if (m.failed || !(fabs(m.coefficient) <= 1) || m.count != 3) return false;
    for (size_t k = 0; k < m.count; k++) {
        const power *p = &m.of[k];
        if (p->a && p->a != p->b && p->half == 2) return divides_by_norm(&m, p->a) && divides_by_norm(&m, p->b);
    }
    return false;
}

// ---- squares less products ----

/* A sum of inner products, each with a coefficient. */
typedef struct combination {
    q_id a[MOST], b[MOST];
    double coefficient[MOST];
    size_t count;
    bool failed;
} combination;

static void combine(combination *c, q_id a, q_id b, double coefficient)
{
    q_id low = a < b ? a : b, high = a < b ? b : a;
    size_t k = 0;
    while (k < c->count && (c->a[k] != low || c->b[k] != high)) k++;
    if (k == MOST) c->failed = true;
    if (c->failed) return;
    if (k == c->count) c->a[k] = low, c->b[k] = high, c->coefficient[c->count++] = 0;
    c->coefficient[k] += coefficient;
}

/* The factor that a number is in a product; 0 if it is none. */
static double number_in(const q_graph *graph, const q_node *node, q_id *rest)
{
    if (node->op != Q_OP_Mult && node->op != Q_OP_Divide) return 0;
    for (int a = node->op == Q_OP_Mult ? 0 : 1; a < 2; a++) {
        const q_node *number = q_node_of(graph, node->arg[a]);
        *rest = node->arg[1 - a];
        if (number->op == Q_OP_CONSTANT) return node->op == Q_OP_Mult ? number->value : 1 / number->value;
    }
    return 0;
}

static combination read_combination(const q_graph *graph, q_id id)
{
    combination c = {.count = 0};
    struct {
        q_id id;
        double factor;
    } stack[MOST + 2] = {{id, 1}};
    for (size_t height = 1; height && !c.failed;) {
        q_id own = stack[--height].id, u, v, rest;
        double factor = stack[height].factor;
        const q_node *node = q_node_of(graph, own);
        double number = number_in(graph, node, &rest);
        c.failed = height >= MOST;
        if (node->op == Q_OP_Add || node->op == Q_OP_Subtract) {
            stack[height].id = node->arg[0], stack[height++].factor = factor;
            stack[height].id = node->arg[1], stack[height++].factor = node->op == Q_OP_Add ? factor : -factor;
        } else if (node->op == Q_OP_Minus) stack[height].id = node->arg[0], stack[height++].factor = -factor;
        else if (number != 0) stack[height].id = rest, stack[height++].factor = factor * number;
        else if (inner_product(graph, own, &u, &v)) combine(&c, u, v, factor);
        else c.failed = true;
    }
    return c;
}

static double coefficient_of(const combination *c, q_id a, q_id b)
{
    for (size_t k = 0; k < c->count; k++)
        if (c->a[k] == a && c->b[k] == b) return c->coefficient[k];
    return 0;
}

/* The mean of squares less the square of the mean, over one index. */
static bool is_variance(const q_graph *graph, const q_node *node)
{
    const q_node *square = q_node_of(graph, node->arg[1]), *mean = q_node_of(graph, square->arg[0]),
                 *of_squares = q_node_of(graph, node->arg[0]);
    if (node->op != Q_OP_Subtract || square->op != Q_OP_Square || mean->op != Q_OP_Divide ||
        of_squares->op != Q_OP_Divide || mean->arg[1] != of_squares->arg[1])
        return false;
    const q_node *count = q_node_of(graph, scalar_of(graph, mean->arg[1])), *sum = q_node_of(graph, mean->arg[0]),
                 *squares = q_node_of(graph, of_squares->arg[0]), *term = q_node_of(graph, squares->arg[0]);
    return count->op == Q_OP_COUNT && sum->op == Q_RED_Sum && squares->op == Q_RED_Sum && count->k[0] == sum->k[0] &&
           sum->k[0] == squares->k[0] && term->op == Q_OP_Square && term->arg[0] == sum->arg[0];
}

/* c |a|^2 + d |b|^2 - 2 e (a|b) with e^2 <= c d. */
bool q_is_square_sum(const q_graph *graph, q_id id)
{
    if (is_variance(graph, q_node_of(graph, id))) return true;
    combination c = read_combination(graph, id);
    size_t mixed = c.count;
    for (size_t k = 0; k < c.count; k++)
        if (c.a[k] != c.b[k]) mixed = k;
    if (c.failed || c.count != 3 || mixed == 3) return false;
    q_id a = c.a[mixed], b = c.b[mixed];
    double of_a = coefficient_of(&c, a, a), of_b = coefficient_of(&c, b, b), half = c.coefficient[mixed] / 2;
    return of_a > 0 && of_b > 0 && half * half <= of_a * of_b;
}
