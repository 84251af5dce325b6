/*
 * test_graph.c: nodes are interned, the verifier notices broken graphs, copies keep ids, limits have their errors,
 * and the first failure stays.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helpers.h"

static void equal_values_are_one_node(void **state)
{
    (void)state;
    sample s = sample_create(1, 1, 0);
    q_graph *g = s.graph;
    q_id x = q_variable_make(g, "x", Q_I, 3), y = q_variable_make(g, "y", Q_J, 3);
    assert_int_equal(q_variable_make(g, "x", Q_I, 3), x);
    assert_int_equal(q_apply2(g, Q_OP_Add, x, y), q_apply2(g, Q_OP_Add, y, x));
    assert_int_equal(q_apply2(g, Q_OP_Mult, x, y), q_apply2(g, Q_OP_Mult, y, x));
    assert_int_not_equal(q_apply2(g, Q_OP_Subtract, x, y), q_apply2(g, Q_OP_Subtract, y, x));
    assert_int_equal(q_constant(g, 0.0, 2), q_constant(g, -0.0, 2));
    assert_int_not_equal(q_constant(g, 1, 1), q_constant(g, 1, 2));
    assert_int_equal(q_constant(g, NAN, 1), q_constant(g, -NAN, 1));
    assert_int_not_equal(q_reduce(g, Q_RED_Max, Q_I, x, 0), q_reduce(g, Q_RED_Max, Q_J, x, 0));
    size_t count = g->count;
    sample_parse(&s, "x=Vi(3); y=Vj(3); k=Exp(-SqDist(x,y)); k");
    size_t grown = g->count;
    assert_true(grown > count);
    sample_parse(&s, "y=Vj(3); x=Vi(3); Exp(-Sum(Square(x-y)))");
    assert_int_equal(g->count, grown);
    sample_destroy(&s);
}

static void axes_and_types(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int axes, integer;
        uint32_t dim;
    } rows[] = {
        {"Vi(0,3)+Pm(2,3)", Q_I, 0, 3},
        {"Vi(0,3)*Vj(1,3)", Q_I | Q_J, 0, 3},
        {"Sum_j(Vi(0,3)*Vj(1,3))", Q_I, 0, 3},
        {"Sum_i(Sum_j(Vi(0,3)*Vj(1,3)))", Q_P, 0, 3},
        {"ArgMin_i(Vi(0,3)*Vj(1,3))", Q_J, 1, 3},
        {"Extract(ArgMin_i(Vi(0,3)*Vj(1,3)),1,2)", Q_J, 1, 2},
        {"2*ArgMin_i(Vi(0,3)*Vj(1,3))", Q_J, 0, 3},
        {"Max_i(Vi(0,3)*Vj(1,3))", Q_J, 0, 3},
        {"I", Q_I, 1, 1},
        {"Repeat_i(J)", Q_I | Q_J, 1, 1},
        {"Sum_j(1)", Q_P, 0, 1},
        {"Max_j(Vi(4,2))", Q_I, 0, 2},
        {"Sum_Reduction(Vj(5,2),0)", Q_I, 0, 2},
    };
    sample s = sample_create(1, 1, 0);
    for (size_t r = 0; r < Q_COUNT(rows); r++) {
        const q_node *node = q_node_of(s.graph, sample_parse(&s, rows[r].text));
        if (node->axes != rows[r].axes || node->integer != rows[r].integer || node->dim != rows[r].dim)
            fail_msg("%s: axes %d, integer %d, length %u", rows[r].text, node->axes, node->integer, node->dim);
    }
    sample_destroy(&s);
}

/* Each way to break a node is noticed, and the graph is well again when it is undone. */
static void the_verifier_notices(void **state)
{
    (void)state;
    sample s = sample_create(1, 1, 0);
    q_id id = sample_parse(&s, "Extract(Exp(Vi(0,3)+Vj(1,3)),0,2)");
    q_id exp = q_node_of(s.graph, id)->arg[0];
    q_node *node = &s.graph->nodes[id], *sum = &s.graph->nodes[q_node_of(s.graph, exp)->arg[0]];
    q_node good = *node, good_sum = *sum;
    assert_int_equal(sum->op, Q_OP_Add);
#define BROKEN(change, what)                                        \
    do {                                                            \
        change;                                                     \
        assert_int_equal(q_graph_verify(s.graph), QUERN_INTERNAL);  \
        assert_non_null(strstr(quern_last_error()->message, what)); \
        *node = good, *sum = good_sum;                              \
        assert_int_equal(q_graph_verify(s.graph), QUERN_OK);        \
    } while (0)
    BROKEN(node->op = Q_OP_NONE, "unknown operation");
    BROKEN(node->op = Q_OP_REDUCTION, "unknown operation");
    BROKEN(node->op = Q_OP_END, "unknown operation");
    BROKEN(node->dim = 3, "wrong length");
    BROKEN(node->dim = 0, "length out of range");
    BROKEN(node->axes = Q_I, "wrong axes");
    BROKEN(node->integer = 1, "wrong type");
    BROKEN(node->arg[0] = id, "not older");
    BROKEN(node->arg[0] = 0, "number of operands");
    BROKEN(node->arg[1] = 1, "number of operands");
    BROKEN(node->k[0] = 1, "not interned"); /* another node than the one in the table */
    BROKEN(sum->dim = 2, "different lengths");
    BROKEN(sum->arg[2] = 1, "number of operands");
#undef BROKEN
    sample_destroy(&s);
}

static void copies_keep_ids(void **state)
{
    (void)state;
    sample s = sample_create(1, 1, 0);
    q_id id = sample_parse(&s, "x=Vi(3); y=Vj(3); g=Pm(1); Sum_j(Exp(-g*SqDist(x,y))*(y|x)) / Sum_j(1)");
    q_graph *copy;
    assert_int_equal(q_graph_copy(&copy, s.graph), QUERN_OK);
    assert_int_equal(copy->count, s.graph->count);
    assert_int_equal(copy->variable_count, 3);
    q_text first = {0}, second = {0};
    q_print(s.graph, &id, 1, &first);
    size_t count = s.graph->count;
    q_variable_make(copy, "new", Q_J, 2);
    q_apply1(copy, Q_OP_Sin, id);
    assert_int_equal(s.graph->count, count);
    sample_destroy(&s);
    q_print(copy, &id, 1, &second);
    assert_string_equal(first.data, second.data);
    assert_int_equal(q_graph_verify(copy), QUERN_OK);
    q_text_free(&first);
    q_text_free(&second);
    q_graph_destroy(&copy);
    assert_null(copy);
    q_graph_destroy(&copy);
}

static void marks_follow_operands(void **state)
{
    (void)state;
    sample s = sample_create(1, 1, 0);
    q_id sum = sample_parse(&s, "Sum_j(Vi(0,1)*Vj(1,1))"), all = sample_parse(&s, "Exp(Sum_j(Vi(0,1)*Vj(1,1)))");
    q_id other = sample_parse(&s, "Pm(2,1)");
    uint8_t *marks = malloc(s.graph->count);
    q_mark(s.graph, &all, 1, false, marks);
    assert_true(marks[all] && marks[sum] && marks[q_variable_find(s.graph, "0")->id] && !marks[other]);
    q_mark(s.graph, &all, 1, true, marks);
    assert_true(marks[all] && marks[sum] && !marks[q_variable_find(s.graph, "0")->id]);
    free(marks);
    sample_destroy(&s);
}

static void the_dump_has_a_line_for_each_node(void **state)
{
    (void)state;
    sample s = sample_create(1, 1, 0);
    q_id id = sample_parse(&s, "x=Vi(2); y=Vj(2); Min_j(SqDist(x,y))");
    q_text text = {0};
    q_graph_dump(s.graph, &id, 1, &text);
    assert_string_equal(text.data, "graph: node, axes, length, operation, operands\n"
                                   "  %2    i      2  variable x\n" /* %1 is the constant 2 */
                                   "  %3    j      2  variable y\n"
                                   "  %4    ij     2  Subtract %2 %3\n"
                                   "  %5    ij     2  Square %4\n"
                                   "  %6    ij     1  Sum %5\n"
                                   "  %7    i      1  Min_j %6\n"
                                   "  result 0: %7\n");
    q_text_free(&text);
    sample_destroy(&s);
}

// ---- limits ----

static void expect_limit(q_graph **graph, const char *number)
{
    assert_int_equal((*graph)->status, QUERN_LIMIT);
    assert_int_equal(quern_last_error()->status, QUERN_LIMIT);
    if (!strstr(quern_last_error()->message, number)) fail_msg("no %s in: %s", number, quern_last_error()->message);
    /* the failure stays, and nothing can be built any more */
    assert_int_equal(q_variable_make(*graph, "z", Q_P, 1), 0);
    assert_int_equal(q_graph_verify(*graph), QUERN_LIMIT);
    q_graph_destroy(graph);
}

static void limits(void **state)
{
    (void)state;
    q_graph *g;
    assert_int_equal(q_graph_create(&g), QUERN_OK);
    assert_int_not_equal(q_variable_make(g, "x", Q_I, Q_MAX_DIM), 0);
    assert_int_equal(q_variable_make(g, "y", Q_I, Q_MAX_DIM + 1), 0);
    expect_limit(&g, "65537");

    assert_int_equal(q_graph_create(&g), QUERN_OK);
    char name[16];
    for (int v = 0; v < Q_MAX_VARIABLES; v++) {
        snprintf(name, sizeof name, "v%d", v);
        assert_int_not_equal(q_variable_make(g, name, Q_I, 1), 0);
    }
    assert_int_equal(q_graph_verify(g), QUERN_OK);
    assert_int_equal(q_variable_make(g, "one_more", Q_I, 1), 0);
    expect_limit(&g, "256");

    assert_int_equal(q_graph_create(&g), QUERN_OK);
    q_id id = q_variable_make(g, "x", Q_I, 1);
    for (int n = 0; n < Q_MAX_NODES && id; n++) id = q_apply1(g, n % 2 ? Q_OP_Sin : Q_OP_Cos, id);
    assert_int_equal(id, 0);
    assert_int_equal(g->count, Q_MAX_NODES);
    expect_limit(&g, "200000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_values_are_one_node),
        cmocka_unit_test(axes_and_types),
        cmocka_unit_test(the_verifier_notices),
        cmocka_unit_test(copies_keep_ids),
        cmocka_unit_test(marks_follow_operands),
        cmocka_unit_test(the_dump_has_a_line_for_each_node),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
