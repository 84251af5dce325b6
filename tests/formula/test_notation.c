/*
 * test_notation.c: the tables of axes and of infix operators: each row is read as what it says, and two operators side
 * by side are read in their order, and printed as what is read as the same again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helpers.h"

static q_graph *new_graph(void)
{
    q_graph *graph;
    q_id id;
    size_t count;
    assert_int_equal(q_graph_create(&graph), QUERN_OK);
    assert_int_equal(q_parse(graph, "a=Vi(2); b=Vj(2); c=Pm(2); a", &id, &count), QUERN_OK);
    return graph;
}

/* With declarations of its own, since the names of one text are not those of the next. */
static quern_status parse(q_graph *graph, const char *formula, q_id *id)
{
    char text[200];
    size_t count;
    snprintf(text, sizeof text, "a=Vi(2); b=Vj(2); c=Pm(2); %s", formula);
    return q_parse(graph, text, id, &count);
}

static void axes_and_their_spellings(void **state)
{
    (void)state;
    for (uint8_t axis = Q_P; axis <= Q_J; axis++) {
        char text[80];
        q_id id, other;
        q_graph *graph = new_graph();
        assert_int_equal(q_axis_of(q_axes[axis].letter), axis);
        snprintf(text, sizeof text, "%s(7,3)", q_axes[axis].leaf);
        assert_int_equal(parse(graph, text, &id), QUERN_OK);
        assert_int_equal(q_node_of(graph, id)->axes, axis);
        snprintf(text, sizeof text, "Var(7,3,%d)", axis == Q_I ? 0 : axis == Q_J ? 1 : 2);
        assert_int_equal(parse(graph, text, &other), QUERN_OK);
        assert_int_equal(other, id);
        if (axis != Q_P) {
            assert_int_equal(q_axes_text[axis][0], q_axes[axis].letter);
            assert_int_equal(parse(graph, q_axes[axis].index, &id), QUERN_OK);
            assert_int_equal(q_node_of(graph, id)->axes, axis);
            snprintf(text, sizeof text, "Sum_%c(1)", q_axes[axis].letter);
            assert_int_equal(parse(graph, text, &id), QUERN_OK);
            assert_int_equal(q_node_of(graph, id)->op, Q_OP_COUNT);
            snprintf(text, sizeof text, "%s=Vi(1); a", q_axes[axis].index);
            assert_int_equal(parse(graph, text, &id), QUERN_NAME);
        }
        q_graph_destroy(&graph);
    }
    assert_int_equal(q_axis_of('k'), Q_P);
    assert_int_equal(q_axis_of(0), Q_P);
}

static void each_operator_is_its_operation(void **state)
{
    (void)state;
    for (size_t s = 0; s < q_infix_count; s++) {
        const q_infix_row *row = &q_infixes[s];
        char infix[80], call[80];
        q_id a, b;
        q_graph *graph = new_graph();
        snprintf(infix, sizeof infix, "a%sb", row->symbol);
        const char *name = row->op ? q_ops[row->op].name : "Sum";
        snprintf(call, sizeof call, row->op ? "%s(%s,%s)" : "%s(%s*%s)", name, row->swap ? "b" : "a",
                 row->swap ? "a" : "b");
        assert_int_equal(parse(graph, infix, &a), QUERN_OK);
        assert_int_equal(parse(graph, call, &b), QUERN_OK);
        if (a != b) fail_msg("%s is not %s", infix, call);
        q_graph_destroy(&graph);
    }
}

/* What is printed of the formula, without its declarations; it must be read as the same node. For free(). */
static char *printed(const char *formula)
{
    q_graph *graph = new_graph();
    q_text text = {0};
    q_id id, again;
    size_t count;
    if (parse(graph, formula, &id)) fail_msg("%s: %s", formula, quern_last_error_text());
    q_print(graph, &id, 1, &text);
    assert_false(text.failed);
    if (q_parse(graph, text.data, &again, &count)) fail_msg("%s: %s", text.data, quern_last_error_text());
    if (again != id) fail_msg("%s is printed as %s, which is something else", formula, text.data);
    q_graph_destroy(&graph);
    return q_text_take(&text);
}

static void two_operators_side_by_side(void **state)
{
    (void)state;
    for (size_t s = 0; s < q_infix_count; s++)
        for (size_t t = 0; t < q_infix_count; t++) {
            const q_infix_row *f = &q_infixes[s], *g = &q_infixes[t];
            char bare[80], left[80], right[80];
            snprintf(bare, sizeof bare, "Exp(a)%sc%sSin(b)", f->symbol, g->symbol);
            snprintf(left, sizeof left, "(Exp(a)%sc)%sSin(b)", f->symbol, g->symbol);
            snprintf(right, sizeof right, "Exp(a)%s(c%sSin(b))", f->symbol, g->symbol);
            char *by_rank = printed(bare), *first = printed(left), *second = printed(right);
            bool later = g->precedence > f->precedence || (g->precedence == f->precedence && g->right);
            assert_string_equal(by_rank, later ? second : first);
            free(by_rank), free(first), free(second);
        }
    char *sign = printed("-a**c"), *power = printed("(-a)**c");
    assert_non_null(strstr(sign, "-Powf(a,c)"));
    assert_non_null(strstr(power, "Powf(-a,c)"));
    free(sign), free(power);
}

static void symbols_that_are_none(void **state)
{
    (void)state;
    static const char *const wrong[] = {"a<>b",  "a!b",  "(a)=!b", "a* *b", "(a)=b", "a===b", "(a)=>b",
                                        "a***b", "a||b", "*a",     "a+",    "a<",    "<",     "a**",
                                        "|",     "a==",  "a!=",    "!",     "a<=,b"};
    for (size_t w = 0; w < Q_COUNT(wrong); w++) {
        q_graph *graph = new_graph();
        q_id id;
        if (parse(graph, wrong[w], &id) != QUERN_SYNTAX) fail_msg("%s is read", wrong[w]);
        q_graph_destroy(&graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(axes_and_their_spellings),
        cmocka_unit_test(each_operator_is_its_operation),
        cmocka_unit_test(two_operators_side_by_side),
        cmocka_unit_test(symbols_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
