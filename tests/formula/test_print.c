/*
 * test_print.c: printed text parsed in the same graph gives the same ids, in a fresh graph the same text; and it
 * stays linear in the size of the graph. Shown for every conformance formula that parses and its gradients.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helpers.h"

static q_graph *new_graph(void)
{
    q_graph *graph;
    assert_int_equal(q_graph_create(&graph), QUERN_OK);
    return graph;
}

static char *print(const q_graph *graph, const q_id *ids, size_t count)
{
    q_text text = {0};
    q_print(graph, ids, count, &text);
    assert_false(text.failed);
    return q_text_take(&text);
}

/* What a text prints as when it is read into a fresh graph. */
static char *reprint(const char *text)
{
    q_graph *fresh = new_graph();
    q_id ids[Q_MAX_RESULTS];
    size_t count;
    if (q_parse(fresh, text, ids, &count)) fail_msg("%s\ndoes not parse: %s", text, quern_last_error_text());
    char *again = print(fresh, ids, count);
    q_graph_destroy(&fresh);
    return again;
}

/* Prints the values, and checks what the text gives when it is read again: the same ids in this graph, the same text
   from a fresh one. */
static void check(q_graph *graph, const q_id *ids, size_t count)
{
    char *text = print(graph, ids, count);
    q_id again[Q_MAX_RESULTS];
    size_t given;
    if (q_parse(graph, text, again, &given)) fail_msg("%s\ndoes not parse: %s", text, quern_last_error_text());
    assert_int_equal(given, count);
    for (size_t r = 0; r < count; r++)
        if (again[r] != ids[r]) fail_msg("%s\nresult %zu is node %u, not %u", text, r, again[r], ids[r]);
    char *same = reprint(text);
    if (strcmp(text, same) != 0) fail_msg("in a fresh graph\n  %s\nprints as\n  %s", text, same);
    free(same);
    free(text);
}

/* The gradients with respect to all variables, with weights of the shape of the value. */
static void check_gradients(q_graph *graph, q_id value)
{
    static const char *const weights[] = {"ep", "ei", "ej"};
    const q_node node = *q_node_of(graph, value);
    if (node.axes == (Q_I | Q_J)) return;
    size_t variables = graph->variable_count;
    q_id e = q_variable_make(graph, weights[node.axes], node.axes, node.dim);
    for (size_t v = 0; v < variables && v < Q_MAX_RESULTS - 1; v++) {
        q_id results[] = {value, q_grad(graph, value, graph->variables[v].id, e)};
        if (!results[1]) fail_msg("no gradient: %s", quern_last_error_text());
        check(graph, results + 1, 1);
        check(graph, results, 2);
    }
}

static void conformance_formulas_and_their_gradients(void **state)
{
    (void)state;
    char **formulas;
    size_t count = conformance_formulas(&formulas), parsed = 0;
    for (size_t n = 0; n < count; n++) {
        q_graph *graph = new_graph();
        q_id ids[Q_MAX_RESULTS];
        size_t results;
        if (q_parse(graph, formulas[n], ids, &results) == QUERN_OK) {
            parsed++;
            check(graph, ids, results);
            check_gradients(graph, ids[0]);
            assert_int_equal(q_graph_verify(graph), QUERN_OK);
        }
        q_graph_destroy(&graph);
    }
    assert_in_range(parsed, 260, count);
    free_names(formulas, count);
}

/* Texts that are canonical already: they print as they are. */
static const char *const canonical[] = {
    "x=Vi(3); y=Vj(3); x-y-(x+y)",
    "x=Vi(3); y=Vj(3); x/(y/x)/y",
    "x=Vi(3); y=Vj(3); -(x*y)+x",
    "x=Vi(3); y=Vj(1); (x+y)*2-x**y",
    "x=Vi(3); p=Pm(1); SumT(p,3), x*p, SumT(0.10000000000000001,2), x+0.5",
    "t1=Vi(3); y=Vj(3); t2=Exp(t1); Sum(t2*y)+Max_j(Sum(t2-y))",
    "Vi(0,3)*Vj(1,3)+Pm(2,1)",
    "x=Vi(2); (x<1)==(1<x)",
    "x=Vi(2); IfElse(x,ArgMin_i(x),Repeat_i(ArgMax_i(x)))",
    "I-J, Sum_i(1), Sum_j(1)*Sum_i(1)",
    "x=Vi(3); Pow(x,-3), Extract(x,1,2), ExtractT(x,1,5), Concat(x,Extract(x,0,1))",
    "x=Vi(1); x+(1/0), x+(-1/0), x*(0/0), x+1e+300, x-(-2.5)",
};

static void some_texts(void **state)
{
    (void)state;
    for (size_t n = 0; n < Q_COUNT(canonical); n++) {
        q_graph *graph = new_graph();
        q_id ids[Q_MAX_RESULTS];
        size_t count;
        if (q_parse(graph, canonical[n], ids, &count)) fail_msg("%s: %s", canonical[n], quern_last_error_text());
        check(graph, ids, count);
        q_graph_destroy(&graph);
    }
    q_graph *graph = new_graph();
    q_id ids[Q_MAX_RESULTS];
    size_t count;
    assert_int_equal(q_parse(graph, "y=Vj(3); x=Vi(3); b=Vj(2); Sum_Reduction(Exp(-SqDist(x,y))*b,0)", ids, &count), 0);
    char *text = print(graph, ids, count);
    assert_string_equal(text, "y=Vj(3); x=Vi(3); b=Vj(2); Sum_j(Exp(-Sum(Square(x-y)))*b)");
    free(text);
    q_graph_destroy(&graph);
}

/* Numbers keep every bit. */
static void numbers(void **state)
{
    (void)state;
    random_source random = {2};
    q_graph *graph = new_graph();
    for (int n = 0; n < 200; n++) {
        double value = random_between(&random, -1, 1) * pow(10, (double)random_below(&random, 600) - 300);
        q_id id = q_apply2(graph, Q_OP_Add, q_variable_make(graph, "x", Q_I, 2), q_constant(graph, value, 1));
        check(graph, &id, 1);
    }
    q_graph_destroy(&graph);
}

/* 100 doublings and a chain of 3000: text linear in the number of nodes, without exhausting the stack. */
static void deep_and_shared(void **state)
{
    (void)state;
    q_graph *graph = new_graph();
    q_id x = q_variable_make(graph, "x", Q_I, 1), y = q_variable_make(graph, "y", Q_J, 1), id = x;
    for (int n = 0; n < 100; n++) id = q_apply2(graph, Q_OP_Subtract, q_apply2(graph, Q_OP_Mult, id, y), id);
    for (int n = 0; n < 3000; n++) id = q_apply1(graph, n % 2 ? Q_OP_Sin : Q_OP_Cos, id);
    char *text = print(graph, &id, 1);
    assert_in_range(strlen(text), 3000, 20 * graph->count);
    free(text);
    check(graph, &id, 1);
    q_graph_destroy(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(some_texts),
        cmocka_unit_test(conformance_formulas_and_their_gradients),
        cmocka_unit_test(numbers),
        cmocka_unit_test(deep_and_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
