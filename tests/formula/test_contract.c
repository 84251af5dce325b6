/*
 * test_contract.c: products of tensors against a brute-force evaluation of their definition, and their adjoints:
 * TensorDot with a permutation as numpy.transpose means it, Kron as in numpy.kron, and the forms that are named
 * otherwise. Their derivatives to second order are in test_forward.c, messages of wrong axes in tests/bad.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helpers.h"

enum { MOST = 64, RANK = 8 };

typedef struct shape {
    size_t rank, dims[RANK];
} shape;

static size_t volume(const shape *s)
{
    size_t product = 1;
    for (size_t r = 0; r < s->rank; r++) product *= s->dims[r];
    return product;
}

/* The index of element n along each axis, row-major. */
static void unravel(const shape *s, size_t n, size_t *index)
{
    for (size_t r = s->rank; r-- > 0; n /= s->dims[r]) index[r] = n % s->dims[r];
}

static size_t ravel(const shape *s, const size_t *index)
{
    size_t n = 0;
    for (size_t r = 0; r < s->rank; r++) n = n * s->dims[r] + index[r];
    return n;
}

// ---- TensorDot by its definition ----

typedef struct product {
    shape a, b;
    size_t pairs, axes_a[RANK], axes_b[RANK];
    bool permuted;
    size_t permutation[RANK];
    shape free; /* axes that are left, before the permutation */
} product;

static bool contracted(const size_t *axes, size_t count, size_t axis)
{
    for (size_t k = 0; k < count; k++)
        if (axes[k] == axis) return true;
    return false;
}

static void find_free_axes(product *p)
{
    p->free.rank = 0;
    for (size_t r = 0; r < p->a.rank; r++)
        if (!contracted(p->axes_a, p->pairs, r)) p->free.dims[p->free.rank++] = p->a.dims[r];
    for (size_t r = 0; r < p->b.rank; r++)
        if (!contracted(p->axes_b, p->pairs, r)) p->free.dims[p->free.rank++] = p->b.dims[r];
}

/* out[free index] += a b over all pairs of elements whose contracted indices agree. */
static void tensor_dot(const product *p, const double *a, const double *b, double *out)
{
    double plain[MOST * MOST] = {0};
    size_t i[RANK], j[RANK], o[RANK];
    for (size_t n = 0; n < volume(&p->a); n++)
        for (size_t m = 0; m < volume(&p->b); m++) {
            unravel(&p->a, n, i);
            unravel(&p->b, m, j);
            bool agree = true;
            for (size_t k = 0; k < p->pairs; k++) agree = agree && i[p->axes_a[k]] == j[p->axes_b[k]];
            size_t rank = 0;
            for (size_t r = 0; r < p->a.rank; r++)
                if (!contracted(p->axes_a, p->pairs, r)) o[rank++] = i[r];
            for (size_t r = 0; r < p->b.rank; r++)
                if (!contracted(p->axes_b, p->pairs, r)) o[rank++] = j[r];
            if (agree) plain[ravel(&p->free, o)] += a[n] * b[m];
        }
    /* numpy.transpose: axis k of the result is axis permutation[k] of the argument */
    shape result = p->free;
    for (size_t r = 0; r < result.rank && p->permuted; r++) result.dims[r] = p->free.dims[p->permutation[r]];
    for (size_t n = 0; n < volume(&result); n++) {
        size_t at[RANK];
        unravel(&result, n, o);
        for (size_t r = 0; r < result.rank; r++) at[p->permuted ? p->permutation[r] : r] = o[r];
        out[n] = plain[ravel(&p->free, at)];
    }
}

static void shuffle(random_source *random, size_t *items, size_t count)
{
    for (size_t k = count; k > 1; k--) {
        size_t other = random_below(random, k), kept = items[k - 1];
        items[k - 1] = items[other];
        items[other] = kept;
    }
}

static shape random_shape(random_source *random)
{
    shape s = {.rank = 1 + random_below(random, 4)};
    for (size_t r = 0; r < s.rank; r++) s.dims[r] = 1 + random_below(random, 3);
    while (volume(&s) > MOST) s.rank--;
    return s;
}

static product random_product(random_source *random)
{
    product p = {.a = random_shape(random), .b = random_shape(random)};
    size_t axes_a[RANK], axes_b[RANK], most = p.a.rank < p.b.rank ? p.a.rank : p.b.rank;
    for (size_t r = 0; r < RANK; r++) axes_a[r] = axes_b[r] = r;
    shuffle(random, axes_a, p.a.rank);
    shuffle(random, axes_b, p.b.rank);
    p.pairs = random_below(random, most + 1);
    for (size_t k = 0; k < p.pairs; k++) {
        p.axes_a[k] = axes_a[k], p.axes_b[k] = axes_b[k];
        p.b.dims[axes_b[k]] = p.a.dims[axes_a[k]];
    }
    find_free_axes(&p);
    for (size_t r = 0; r < p.free.rank; r++) p.permutation[r] = r;
    p.permuted = p.free.rank > 0 && random_below(random, 3);
    if (p.permuted) shuffle(random, p.permutation, p.free.rank);
    return p;
}

static void add_list(q_text *text, const size_t *items, size_t count)
{
    q_text_add(text, ",[");
    for (size_t k = 0; k < count; k++) q_text_add(text, "%s%zu", k ? "," : "", items[k]);
    q_text_add(text, "]");
}

static void write_product(q_text *text, const product *p)
{
    q_text_add(text, "x=Vi(%zu); y=Vj(%zu); TensorDot(x,y", volume(&p->a), volume(&p->b));
    add_list(text, p->a.dims, p->a.rank);
    add_list(text, p->b.dims, p->b.rank);
    add_list(text, p->axes_a, p->pairs);
    add_list(text, p->axes_b, p->pairs);
    if (p->permuted) add_list(text, p->permutation, p->free.rank);
    q_text_add(text, ")");
}

/* The adjoint with respect to x is linear, so <Grad(F,x,e), x> = <F, e>; the same for y. */
static void check_adjoints(sample *s, q_id value, const char *text)
{
    q_id e = q_variable_make(s->graph, "e", Q_J, q_node_of(s->graph, value)->dim);
    q_id pair = q_apply2(s->graph, Q_OP_Mult, value, e), one = q_constant(s->graph, 1, 1);
    double forward, back;
    for (size_t v = 0; v < 2; v++) {
        q_id variable = s->graph->variables[v].id, gradient = q_grad_total(s->graph, value, variable, e);
        if (!gradient) fail_msg("%s: %s", text, quern_last_error_text());
        sample_fill(s, -1, 1);
        forward = sample_contract(s, q_repeat(s->graph, pair, Q_I | Q_J), one);
        back = sample_contract(s, q_apply2(s->graph, Q_OP_Mult, gradient, variable), one);
        if (!(fabs(forward - back) <= 1e-12)) fail_msg("%s: adjoint %zu: %.15g, not %.15g", text, v, back, forward);
    }
}

static void random_tensor_dots(void **state)
{
    (void)state;
    random_source random = {3};
    for (uint64_t n = 0; n < 400; n++) {
        product p = random_product(&random);
        if (volume(&p.a) * volume(&p.b) > 1500) continue;
        q_text text = {0};
        write_product(&text, &p);
        sample s = sample_create(2, 3, n);
        q_id value = sample_parse(&s, text.data);
        sample_fill(&s, -1, 1);
        double *got = sample_evaluate(&s, value), expected[MOST * MOST];
        for (size_t i = 0; i < 2; i++)
            for (size_t j = 0; j < 3; j++) {
                const double *x = sample_data(&s, "x") + i * volume(&p.a), *y = sample_data(&s, "y") + j * volume(&p.b);
                tensor_dot(&p, x, y, expected);
                double error = relative_error(got + sample_offset(&s, value, i, j), expected, volume(&p.free));
                if (!(error <= 1e-14)) fail_msg("%s: error %g", text.data, error);
            }
        check_adjoints(&s, value, text.data);
        free(got);
        q_text_free(&text);
        sample_destroy(&s);
    }
}

// ---- the other names ----

/* Both texts, of x=Vi(6); y=Vi(4); z=Vi(2), give the same numbers. */
static void same_values(const char *a, const char *b)
{
    static const char declarations[] = "x=Vi(6); y=Vi(4); z=Vi(2); ";
    sample s = sample_create(3, 1, 7);
    const char *texts[2] = {a, b};
    double *values[2];
    q_id ids[2];
    for (size_t t = 0; t < 2; t++) {
        q_text text = {0};
        q_text_add(&text, "%s%s", declarations, texts[t]);
        ids[t] = sample_parse(&s, text.data);
        q_text_free(&text);
    }
    sample_fill(&s, -1, 1);
    for (size_t t = 0; t < 2; t++) values[t] = sample_evaluate(&s, ids[t]);
    assert_int_equal(q_node_of(s.graph, ids[0])->dim, q_node_of(s.graph, ids[1])->dim);
    double error = relative_error(values[0], values[1], sample_numbers(&s, ids[0]));
    if (!(error <= 1e-14)) fail_msg("%s and %s differ by %g", a, b, error);
    free(values[0]);
    free(values[1]);
    sample_destroy(&s);
}

static void other_names(void **state)
{
    (void)state;
#define E(v, k) "Elem(" #v "," #k ")"
    same_values("MatVecMult(x,z)",
                "Concat(Concat(" E(x, 0) "*" E(z, 0) "+" E(x, 1) "*" E(z, 1) "," E(x, 2) "*" E(z, 0) "+" E(x, 3) "*" E(
                    z, 1) ")," E(x, 4) "*" E(z, 0) "+" E(x, 5) "*" E(z, 1) ")");
    same_values("VecMatMult(z,x)", "Extract(x,0,3)*" E(z, 0) "+Extract(x,3,3)*" E(z, 1));
    same_values("TensorProd(z,x)", "Concat(x*" E(z, 0) ",x*" E(z, 1) ")");
    same_values("Tile(z,3)", "Concat(Concat(z,z),z)");
    same_values("SumBlocks(x,2)", "Extract(x,0,2)+Extract(x,2,2)+Extract(x,4,2)");
    same_values("SumBlocks(x,1)", "Sum(x)");
    same_values("PairBlocks(Extract(x,0,4),y,2)",
                "Concat(Concat(Extract(x,0,2),Extract(y,0,2)),Concat(Extract(x,2,2),Extract(y,2,2)))");
    same_values("Kron(z,x,[2],[6])", "Concat(x*" E(z, 0) ",x*" E(z, 1) ")");
    same_values(
        "Kron(y,x,[2,2],[2,3])",
        "a=Extract(x,0,3); b=Extract(x,3,3); Concat(Concat(Concat(a*" E(y, 0) ",a*" E(y, 1) "),Concat(b*" E(
            y, 0) ",b*" E(y, 1) ")),Concat(Concat(a*" E(y, 2) ",a*" E(y, 3) "),Concat(b*" E(y, 2) ",b*" E(y, 3) ")))");
    same_values("Contract(y,z,[0,1],[1],[0],[2,2])", "MatVecMult(y,z)");
    same_values("Contract(y,z,[1,0],[1],[0],[2,2])", "VecMatMult(z,y)");
    same_values("WeightedSqNorm(y,z)", "z|MatVecMult(y,z)");
    same_values("WeightedSqNorm(z,z)", "Sum(z*Square(z))");
    same_values("WeightedSqNorm(" E(x, 1) ",z)", E(x, 1) "*SqNorm2(z)");
    same_values("WeightedSqDist(y,z,Extract(x,1,2))", "d=z-Extract(x,1,2); d|MatVecMult(y,d)");
#undef E
}

/* Equal contractions are one node, however they are called, and those with zero vanish. */
static void interning(void **state)
{
    (void)state;
    sample s = sample_create(1, 1, 0);
    q_id a = sample_parse(&s, "A=Vi(6); b=Vj(2); MatVecMult(A,b)");
    assert_int_equal(sample_parse(&s, "A=Vi(6); b=Vj(2); TensorDot(A,b,[3,2],[2],[1],[0])"), a);
    assert_int_equal(sample_parse(&s, "A=Vi(6); b=Vj(2); Contract(A,b,[0,1],[1],[0],[3,2])"), a);
    assert_int_equal(sample_parse(&s, "A=Vi(6); MatVecMult(A,Zero(2))"), sample_parse(&s, "Repeat_i(Zero(3))"));
    assert_int_equal(s.graph->contraction_count, 1);
    q_graph *copy;
    assert_int_equal(q_graph_copy(&copy, s.graph), QUERN_OK);
    sample_destroy(&s);
    assert_int_equal(q_graph_verify(copy), QUERN_OK);
    assert_int_equal(q_contraction_terms(q_contraction_of(copy, q_node_of(copy, a))), 2);
    q_graph_destroy(&copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_tensor_dots),
        cmocka_unit_test(other_names),
        cmocka_unit_test(interning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
