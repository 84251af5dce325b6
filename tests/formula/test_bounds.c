/*
 * test_bounds.c: values never leave the intervals of bounds.c, for every row of ops.def over random boxes and for
 * random formulas of all rows; and the intervals are as narrow as code generation relies on.
 *
 * A box [m - r, m + r] is the formula m + r*Sin(x): what its interval is follows from the rules themselves, and x
 * reaches all of it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helpers.h"
#include "run/run.h"

enum { ROWS = 40 };

static bool inside(double value, q_interval bounds)
{
    return isnan(value) || (value >= bounds.low && value <= bounds.high);
}

/* Evaluates all nodes and compares each with its interval. */
static void check_all_nodes(sample *s, const char *what)
{
    size_t count = s->graph->count - 1;
    q_id *ids = calloc(count, sizeof *ids);
    double **out = calloc(count, sizeof *out);
    q_interval *bounds = calloc(s->graph->count, sizeof *bounds);
    for (size_t n = 0; n < count; n++) {
        ids[n] = (q_id)n + 1;
        out[n] = malloc((sample_numbers(s, ids[n]) + 1) * sizeof **out);
    }
    assert_int_equal(q_reference(s->graph, ids, count, s->M, s->N, (const double *const *)s->data, out), QUERN_OK);
    q_bounds_all(s->graph, bounds);
    for (size_t n = 0; n < count; n++) {
        q_interval b = bounds[ids[n]];
        if (!(b.low <= b.high)) fail_msg("%s: node %u has the interval [%g, %g]", what, ids[n], b.low, b.high);
        for (size_t k = 0; k < sample_numbers(s, ids[n]); k++)
            if (!inside(out[n][k], b)) {
                q_text text = {0};
                q_print(s->graph, &ids[n], 1, &text);
                fail_msg("%s: %.17g is not in [%.17g, %.17g]: %s", what, out[n][k], b.low, b.high, text.data);
            }
        free(out[n]);
    }
    free(bounds);
    free(out);
    free(ids);
}

/* A box of random place and size, among them ones that begin or end at 0, and half-lines. */
static q_id box(sample *s, const char *name)
{
    q_graph *g = s->graph;
    q_id x = q_variable_make(g, name, Q_I, 1);
    double scale = pow(10, random_between(&s->random, -3, 2)), middle = random_between(&s->random, -1, 1) * scale;
    q_id wave = q_apply2(g, Q_OP_Mult, q_apply1(g, Q_OP_Sin, x), q_constant(g, scale, 1));
    switch (random_below(&s->random, 6)) {
    case 0: return q_apply1(g, Q_OP_Square, wave);
    case 1: return q_apply1(g, Q_OP_Minus, q_apply1(g, Q_OP_Abs, wave));
    case 2: return q_apply1(g, Q_OP_ReLU, x);
    case 3: return x;
    default: return q_apply2(g, Q_OP_Add, wave, q_constant(g, middle, 1));
    }
}

static void every_row_over_random_boxes(void **state)
{
    (void)state;
    static const char *const names[] = {"x0", "x1", "x2"};
    for (int op = 1; op < Q_OP_REDUCTION; op++) {
        if (q_ops[op].kind != Q_KIND_ELEMENTWISE) continue;
        for (uint64_t seed = 0; seed < 300; seed++) {
            sample s = sample_create(ROWS, 1, seed * 1000 + (uint64_t)op);
            q_id args[3];
            int32_t k[2] = {(int32_t)random_below(&s.random, 9) - 4, (int32_t)random_below(&s.random, 9) - 4};
            if (op == Q_OP_SinXDivXD || op == Q_OP_Polygamma) k[0] += 4; /* an order */
            for (int a = 0; a < q_ops[op].operands; a++) args[a] = box(&s, names[a]);
            assert_int_not_equal(
                q_apply(s.graph, (q_op)op, args, (size_t)q_ops[op].operands, k, (size_t)q_ops[op].integers), 0);
            sample_fill(&s, -4, 4);
            check_all_nodes(&s, q_ops[op].name);
            sample_destroy(&s);
        }
    }
}

// ---- random formulas ----

/* The op applied to random earlier values; false if they do not fit. */
static bool grow(sample *s, q_op op, q_id *values, size_t *count)
{
    const q_op_row *row = &q_ops[op];
    q_id args[3];
    uint32_t dim[3] = {0};
    for (int a = 0; a < row->operands; a++) {
        args[a] = values[random_below(&s->random, *count)];
        dim[a] = q_node_of(s->graph, args[a])->dim;
        if (row->kind == Q_KIND_ELEMENTWISE && dim[a] != 1 && dim[a] != dim[0] && dim[0] != 1) return false;
    }
    if (row->operands == 3 && dim[1] != 1 && dim[2] != 1 && dim[1] != dim[2]) return false;
    int32_t k[2] = {(int32_t)random_below(&s->random, 4), (int32_t)random_below(&s->random, 4) + 1};
    if ((op == Q_OP_SumT || op == Q_OP_OneHot) && (dim[0] != 1 || !k[0])) return false;
    if ((op == Q_OP_ComplexReal || op == Q_OP_ComplexImag) && dim[0] % 2) return false;
    if ((op == Q_OP_Real2Complex || op == Q_OP_Imag2Complex) && dim[0] > 3) return false;
    if (op == Q_OP_Extract && k[0] + k[1] > (int32_t)dim[0]) return false;
    if (op == Q_OP_ExtractT && k[0] + (int32_t)dim[0] > k[1]) return false;
    if (op == Q_OP_Concat && dim[0] + dim[1] > 6) return false;
    q_id id = q_apply(s->graph, op, args, (size_t)row->operands, k, (size_t)row->integers);
    if (!id) fail_msg("%s: %s", row->name, quern_last_error_text());
    values[(*count)++] = id;
    return true;
}

static void random_formulas(void **state)
{
    (void)state;
    size_t uses[Q_OP_REDUCTION] = {0};
    for (uint64_t seed = 0; seed < 3000; seed++) {
        sample s = sample_create(5, 4, seed);
        q_id values[64];
        size_t count = 0;
        values[count++] = q_variable_make(s.graph, "x", Q_I, 3);
        values[count++] = q_variable_make(s.graph, "y", Q_J, 3);
        values[count++] = q_variable_make(s.graph, "z", Q_J, 1);
        values[count++] = q_index(s.graph, Q_I);
        values[count++] = q_constant(s.graph, random_between(&s.random, -2, 2), 1);
        while (count < 40) {
            q_op op = (q_op)(Q_OP_REPEAT + 1 + random_below(&s.random, Q_OP_REDUCTION - Q_OP_REPEAT - 1));
            if (grow(&s, op, values, &count)) uses[op]++;
        }
        for (int op = Q_OP_REDUCTION + 1; op < Q_OP_END; op++)
            q_reduce(s.graph, (q_op)op, random_below(&s.random, 2) ? Q_I : Q_J, values[random_below(&s.random, count)],
                     2);
        assert_int_equal(q_graph_verify(s.graph), QUERN_OK);
        sample_fill(&s, -3, 3);
        check_all_nodes(&s, "random formula");
        sample_destroy(&s);
    }
    for (int op = Q_OP_REPEAT + 1; op < Q_OP_REDUCTION; op++)
        if (!uses[op]) fail_msg("%s was never tried", q_ops[op].name);
}

/* What is relied on: these bounds are not allowed to become wider. */
static void bounds_that_matter(void **state)
{
    (void)state;
    static const struct {
        const char *formula;
        double low, high;
    } rows[] = {
        {"SqDist(x,y)", 0, INFINITY},
        {"-SqDist(x,y)", -INFINITY, 0},
        {"-Norm2(x-y)*2", -INFINITY, 0},
        {"-Abs(p)*SqDist(x,y)", -INFINITY, 0},
        {"-Square(p)*SqDist(x,y)/2", -INFINITY, 0},
        {"Exp(x)", 0, INFINITY},
        {"Sum_j(Exp(x*y))", 0, INFINITY},
        {"-Sum_i(Square(x))", -INFINITY, 0},
        {"Sin(x)", -1, 1},
        {"LessThan(x,y)", 0, 1},
        {"Step(x)", 0, 1},
        {"Sign(x)", -1, 1},
        {"ReLU(x)", 0, INFINITY},
        {"Pow(x,4)", 0, INFINITY},
        {"Rsqrt(x)", 0, INFINITY},
        {"IfElse(x,1,0)", 0, 1},
        {"Concat(Cos(x),ExtractT(Square(Sin(x)),1,5))", -1, 1},
        {"I", 0, 2147483646},
        {"ArgMin_j(y)", -1, 2147483646},
        {"x", -INFINITY, INFINITY},
    };
    for (size_t n = 0; n < Q_COUNT(rows); n++) {
        sample s = sample_create(1, 1, 0);
        q_text text = {0};
        q_text_add(&text, "x=Vi(3); y=Vj(3); p=Pm(1); %s", rows[n].formula);
        q_interval b = q_bounds(s.graph, sample_parse(&s, text.data));
        /* a step of double outwards is allowed, but not across 0 */
        bool low = b.low == rows[n].low || (rows[n].low != 0 && fabs(b.low - rows[n].low) < 1e-6);
        bool high = b.high == rows[n].high || (rows[n].high != 0 && fabs(b.high - rows[n].high) < 1e-6);
        if (!low || !high) fail_msg("%s: [%g, %g]", rows[n].formula, b.low, b.high);
        q_text_free(&text);
        sample_destroy(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_over_random_boxes),
        cmocka_unit_test(random_formulas),
        cmocka_unit_test(bounds_that_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
