/*
 * test_ops.c: every row of ops.def: its texts parse, its derivative is the derivative of its expression (against
 * central finite differences of the expression), and a GATHER's components and its adjoint fit each other.
 *
 * Rows need no test of their own, except for a GATHER's example lengths below.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helpers.h"

static size_t count_parts(const char *text)
{
    size_t parts = 1;
    for (; *text; text++) parts += *text == ';';
    return parts;
}

static void rows_are_complete(void **state)
{
    (void)state;
    for (int op = Q_OP_REPEAT; op < Q_OP_END; op++) {
        if (op == Q_OP_WILD || op == Q_OP_REDUCTION) continue;
        const q_op_row *row = &q_ops[op];
        assert_non_null(row->name);
        assert_in_range(strlen(row->sentence), 1, 200);
        assert_in_range(row->operands, 1, 3);
        /* a derivative for each operand, and two for reductions with a count; reading more parts than there are would
           repeat the last one */
        bool two = row->kind == Q_KIND_REDUCTION && row->integers;
        if (count_parts(row->derivative) != (two ? 2 : (size_t)row->operands))
            fail_msg("%s: wrong number of derivatives", row->name);
        q_op found = row->kind == Q_KIND_REDUCTION ? q_reduction_find(row->name, strlen(row->name))
                                                   : q_op_find(row->name, strlen(row->name));
        if (op != Q_OP_REPEAT) assert_int_equal(found, op);
    }
    assert_int_equal(q_op_find("Expo", 4), Q_OP_NONE);
    assert_int_equal(q_op_find("Exp", 2), Q_OP_NONE);
}

// ---- elementwise ----

static const char *const operand_names[] = {"0", "1", "2"};

/* The row applied to variables of this length; its integers are k. */
static q_id apply_to_variables(sample *s, q_op op, const int64_t dims[3], const int32_t k[2])
{
    q_id args[3];
    for (int a = 0; a < q_ops[op].operands; a++) args[a] = q_variable_make(s->graph, operand_names[a], Q_I, dims[a]);
    q_id id = q_apply(s->graph, op, args, (size_t)q_ops[op].operands, k, (size_t)q_ops[op].integers);
    if (!id) fail_msg("%s: %s", q_ops[op].name, quern_last_error_text());
    return id;
}

/* Central differences of the expression in operand a, extrapolated; NaN where a step crosses a jump or leaves the domain. */
static double difference(const q_op_row *row, const double x[3], int a, const int32_t k[2])
{
    double slopes[2];
    for (int n = 0; n < 2; n++) {
        double h = n ? 1e-5 : 2e-5, up[3] = {x[0], x[1], x[2]}, down[3] = {x[0], x[1], x[2]};
        up[a] += h;
        down[a] -= h;
        double above = row->evaluate(up[0], up[1], up[2], k[0], k[1]);
        slopes[n] = (above - row->evaluate(down[0], down[1], down[2], k[0], k[1])) / (2 * h);
    }
    bool smooth = fabs(slopes[0] - slopes[1]) <= 1e-4 * (1 + fabs(slopes[1]));
    return smooth ? slopes[1] + (slopes[1] - slopes[0]) / 3 : NAN;
}

/* How many of the sample's rows could be checked. */
static size_t check_derivative(sample *s, q_op op, int a, const int32_t k[2], q_id gradient)
{
    const q_op_row *row = &q_ops[op];
    double *got = sample_evaluate(s, gradient);
    const double *g = sample_data(s, "g");
    size_t checked = 0, rows = (size_t)s->M;
    for (size_t i = 0; i < rows; i++) {
        double x[3] = {0};
        for (int b = 0; b < row->operands; b++) x[b] = sample_data(s, operand_names[b])[i];
        double slope = difference(row, x, a, k);
        if (!isfinite(slope)) continue;
        /* gradients that do not depend on i have one row for all */
        double own = got[q_node_of(s->graph, gradient)->axes & Q_I ? i : 0], expected = slope * g[i];
        if (!(fabs(own - expected) <= 1e-6 * (1 + fabs(expected))))
            fail_msg("%s(%g,%g,%g;%d), operand %d: %.17g, by differences %.17g", row->name, x[0], x[1], x[2], k[0], a,
                     own, expected);
        checked++;
    }
    free(got);
    return checked;
}

/* Rows between low and high; returns how many points could be checked in the operand that had the fewest. */
static size_t check_elementwise(q_op op, const int32_t k[2], double low, double high)
{
    sample s = sample_create(8, 1, (uint64_t)op);
    q_id value = apply_to_variables(&s, op, (int64_t[]){1, 1, 1}, k);
    q_id g = q_variable_make(s.graph, "g", Q_I, 1), gradients[3];
    for (int a = 0; a < q_ops[op].operands; a++) {
        gradients[a] = q_grad(s.graph, value, q_variable_find(s.graph, operand_names[a])->id, g);
        if (!gradients[a]) fail_msg("%s: %s", q_ops[op].name, quern_last_error_text());
    }
    assert_int_equal(q_graph_verify(s.graph), QUERN_OK);
    sample_fill(&s, low, high);
    size_t fewest = SIZE_MAX;
    for (int a = 0; a < q_ops[op].operands; a++) {
        size_t checked = check_derivative(&s, op, a, k, gradients[a]);
        if (checked < fewest) fewest = checked;
    }
    sample_destroy(&s);
    return fewest;
}

static void derivatives_of_elementwise_rows(void **state)
{
    (void)state;
    static const int32_t integers[][2] = {{3, 5}, {-2, 4}, {4, -1}}, orders[][2] = {{3, 0}, {0, 0}, {1, 0}};
    for (int op = 1; op < Q_OP_REDUCTION; op++) {
        if (q_ops[op].kind != Q_KIND_ELEMENTWISE) continue;
        if (op == Q_OP_UnitCosine) continue; /* of operands that are not free: test_sugar has Cosine */
        size_t sets = q_ops[op].integers ? Q_COUNT(integers) : 1, checked = 0;
        for (size_t n = 0; n < sets; n++) {
            const int32_t *k = op == Q_OP_SinXDivXD || op == Q_OP_Polygamma ? orders[n] : integers[n];
            checked += check_elementwise((q_op)op, k, 0.15, 0.85);
            checked += check_elementwise((q_op)op, k, -0.85, -0.15);
            checked += check_elementwise((q_op)op, k, -0.9, 0.9);
        }
        if (checked < 8 * sets) fail_msg("%s: only %zu points could be checked", q_ops[op].name, checked);
    }
}

/* The host evaluators at the points where conventions, not continuity, decide. */
static void conventions(void **state)
{
    (void)state;
#define AT(name, ...) q_ops[Q_OP_##name].evaluate(__VA_ARGS__)
    assert_true(AT(Rsqrt, 0, 0, 0, 0, 0) == 0);
    assert_true(AT(XLogX, 0, 0, 0, 0, 0) == 0);
    assert_true(AT(Sign, 0, 0, 0, 0, 0) == 0 && AT(Sign, -3, 0, 0, 0, 0) == -1);
    assert_true(AT(Step, 0, 0, 0, 0, 0) == 1 && AT(Step, -1e-300, 0, 0, 0, 0) == 0);
    assert_true(AT(IfElse, 0, 2, 3, 0, 0) == 2 && AT(IfElse, -1, 2, 3, 0, 0) == 3);
    assert_true(AT(Equal, 1, 1, 0, 0, 0) == 1 && AT(NotEqual, 1, 1, 0, 0, 0) == 0);
    assert_true(AT(LessThan, 1, 1, 0, 0, 0) == 0 && AT(LessOrEqual, 1, 1, 0, 0, 0) == 1);
    assert_true(AT(Pow, 2, 0, 0, -2, 0) == 0.25 && AT(Pow, 0, 0, 0, 0, 0) == 1 && AT(Pow, -2, 0, 0, 3, 0) == -8);
    assert_true(isnan(AT(Sqrt, -1, 0, 0, 0, 0)) && isnan(AT(Log, -1, 0, 0, 0, 0)) && isinf(AT(Log, 0, 0, 0, 0, 0)));
    assert_true(isnan(AT(ReLU, NAN, 0, 0, 0, 0)) && AT(ReLU, -1, 0, 0, 0, 0) == 0);
    assert_true(AT(Floor, -0.5, 0, 0, 0, 0) == -1);
#undef AT
}

// ---- gathers ----

/* Lengths and integers that fit each GATHER. A new row of ops.def needs one here. */
static const struct {
    q_op op;
    int64_t dims[3];
    int32_t k[2];
} gathers[] = {
    {Q_OP_SumT, {1, 0, 0}, {4, 0}},         {Q_OP_Extract, {5, 0, 0}, {1, 3}},
    {Q_OP_Extract, {5, 0, 0}, {4, 1}},      {Q_OP_ExtractT, {3, 0, 0}, {2, 7}},
    {Q_OP_ExtractT, {3, 0, 0}, {0, 4}},     {Q_OP_Concat, {3, 2, 0}, {0, 0}},
    {Q_OP_ComplexReal, {6, 0, 0}, {0, 0}},  {Q_OP_ComplexImag, {6, 0, 0}, {0, 0}},
    {Q_OP_Real2Complex, {3, 0, 0}, {0, 0}}, {Q_OP_Imag2Complex, {3, 0, 0}, {0, 0}},
};

static void check_picks(const q_node *node, const int64_t dims[3])
{
    const q_op_row *row = &q_ops[node->op];
    assert_int_equal(row->length(dims[0], dims[1], node->k[0], node->k[1]), node->dim);
    for (uint32_t d = 0; d < node->dim; d++) {
        uint32_t component = 0;
        int operand = row->pick(d, (uint32_t)dims[0], (uint32_t)dims[1], node->k, &component);
        if (operand < -1 || operand >= row->operands || (operand >= 0 && component >= dims[operand]))
            fail_msg("%s: component %u is taken from component %u of operand %d", row->name, d, component, operand);
    }
}

/* <G x, g> = <x, G' g> for the gradient G' of the linear operation G. */
static void check_adjoint(sample *s, q_id value, int operands, const char *name)
{
    q_id g = q_variable_make(s->graph, "g", Q_I, q_node_of(s->graph, value)->dim);
    q_id variables[3], gradients[3];
    for (int a = 0; a < operands; a++) {
        variables[a] = q_variable_find(s->graph, operand_names[a])->id;
        gradients[a] = q_grad(s->graph, value, variables[a], g);
    }
    sample_fill(s, -1, 1);
    double forward = sample_contract(s, value, g), back = 0;
    for (int a = 0; a < operands; a++) back += sample_contract(s, gradients[a], variables[a]);
    if (!(fabs(forward - back) <= 1e-14)) fail_msg("%s: <G x, g> = %.17g but <x, G' g> = %.17g", name, forward, back);
}

static void gathers_pick_what_they_say(void **state)
{
    (void)state;
    bool seen[Q_OP_REDUCTION] = {false};
    for (size_t n = 0; n < Q_COUNT(gathers); n++) {
        q_op op = gathers[n].op;
        seen[op] = true;
        sample s = sample_create(3, 1, n);
        q_id value = apply_to_variables(&s, op, gathers[n].dims, gathers[n].k);
        assert_int_equal(q_node_of(s.graph, value)->op, op);
        check_picks(q_node_of(s.graph, value), gathers[n].dims);
        check_adjoint(&s, value, q_ops[op].operands, q_ops[op].name);
        sample_destroy(&s);
    }
    for (int op = 1; op < Q_OP_REDUCTION; op++)
        if (q_ops[op].kind == Q_KIND_GATHER && !seen[op]) fail_msg("%s needs a row in `gathers`", q_ops[op].name);
}

// ---- sugar ----

/* Name(arguments) of a row of sugar, for operands of length 2. */
static void expand(const q_sugar_row *row, const char *suffix)
{
    sample s = sample_create(1, 1, 0);
    q_text text = {0};
    q_text_add(&text, "%s%s(", row->name, suffix);
    for (const char *letter = row->parameters; *letter; letter++) {
        static const char *const values[] = {"Vi(0,2)", "Vj(1,2)", "Pm(2,2)"};
        bool scalar = strcmp(row->name, "ElemT") == 0;
        if (*letter == ',') q_text_add(&text, ",");
        else if (*letter < 'k') q_text_add(&text, "%s", scalar ? "Vi(0,1)" : values[*letter - 'a']);
        else q_text_add(&text, "%d", *letter == 'k' ? 1 : 3);
    }
    q_text_add(&text, ")");
    assert_true(sample_parse(&s, text.data) != 0);
    q_text_free(&text);
    sample_destroy(&s);
}

static void sugar_expands(void **state)
{
    (void)state;
    for (size_t n = 0; n < q_sugar_count; n++) {
        assert_in_range(strlen(q_sugar[n].sentence), 1, 200);
        assert_ptr_equal(q_sugar_find(q_sugar[n].name, strlen(q_sugar[n].name)), &q_sugar[n]);
        expand(&q_sugar[n], "");
    }
    for (size_t n = 0; n < q_reduction_sugar_count; n++) {
        assert_in_range(strlen(q_reduction_sugar[n].sentence), 1, 200);
        expand(&q_reduction_sugar[n], "_i");
        expand(&q_reduction_sugar[n], "_j");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_complete), cmocka_unit_test(derivatives_of_elementwise_rows),
        cmocka_unit_test(conventions),       cmocka_unit_test(gathers_pick_what_they_say),
        cmocka_unit_test(sugar_expands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
