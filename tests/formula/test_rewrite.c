/*
 * test_rewrite.c: every rule of rules.def fires: its left side, built by the constructor from variables, is its
 * right side; and both have the same value, bit for bit where the rule says EXACT. Where it says POSITIVE they are tried with what is not negative. Wildcards are tried as scalars
 * and as vectors.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helpers.h"

enum { INTEGER_K = 3, INTEGER_L = 5 };

/* What the letters of a rule stand for; bit n of `vectors`: the n-th of a b c is a vector. */
static q_scope bind_letters(q_graph *graph, unsigned vectors, bool positive)
{
    static const char *const letters[] = {"a", "b", "c"};
    static const uint8_t axes[] = {Q_I, Q_J, Q_I};
    q_scope scope = {0};
    for (unsigned n = 0; n < Q_COUNT(letters); n++) {
        q_id id = q_variable_make(graph, letters[n], axes[n], vectors >> n & 1 ? 3 : 1);
        if (positive) id = q_apply1(graph, Q_OP_Softplus, id);
        scope.names[scope.count++] = (q_binding){letters[n], id};
    }
    scope.names[scope.count++] = (q_binding){"k", q_constant(graph, INTEGER_K, 1)};
    scope.names[scope.count++] = (q_binding){"l", q_constant(graph, INTEGER_L, 1)};
    return scope;
}

static q_id parse_side(q_graph *graph, const char *text, const q_scope *scope)
{
    q_id id = q_parse_row(graph, text, 0, scope);
    if (!id) fail_msg("%s: %s", text, quern_last_error_text());
    return id;
}

/* The left side as it is written, in a graph whose constructor does not rewrite. */
static q_id parse_unchanged(q_graph *graph, const char *text, const q_scope *scope)
{
    q_rules *rules = graph->rules;
    graph->rules = NULL;
    q_id id = parse_side(graph, text, scope);
    graph->rules = rules;
    return id;
}

static void check_values(sample *s, q_id left, q_id right, const char *name, bool exact)
{
    double *a = sample_evaluate(s, left), *b = sample_evaluate(s, right);
    const q_node *l = q_node_of(s->graph, left);
    /* the right side may be free of an axis, like 0 for a*0 */
    size_t columns = l->axes & Q_J ? (size_t)s->N : 1, count = sample_numbers(s, left) / l->dim;
    for (size_t row = 0; row < count; row++) {
        size_t from = sample_offset(s, right, row / columns, row % columns);
        double error = relative_error(a + row * l->dim, b + from, l->dim);
        if (!(exact ? error == 0 : error <= 1e-13)) fail_msg("%s: both sides differ by %g", name, error);
    }
    free(a);
    free(b);
}

static void check_rule(const char *name, const char *pattern, const char *replacement, q_rule_effect effect,
                       unsigned vectors)
{
    sample s = sample_create(3, 4, vectors + 1);
    q_scope scope = bind_letters(s.graph, vectors, effect == Q_RULE_POSITIVE);
    q_id left = parse_side(s.graph, pattern, &scope), right = parse_side(s.graph, replacement, &scope);
    q_id unchanged = parse_unchanged(s.graph, pattern, &scope);
    uint32_t dim = q_node_of(s.graph, unchanged)->dim;
    right = q_broadcast(s.graph, right, dim);
    if (left != right) fail_msg("%s does not fire (vectors %u): %s is not %s", name, vectors, pattern, replacement);
    assert_int_not_equal(unchanged, left);
    assert_int_equal(q_graph_verify(s.graph), QUERN_OK);
    sample_fill(&s, -2, 2);
    check_values(&s, unchanged, left, name, effect == Q_RULE_EXACT);
    sample_destroy(&s);
}

static void every_rule_fires(void **state)
{
    (void)state;
    const char *name, *pattern, *replacement, *names[200];
    q_rule_effect effect;
    size_t count = 0;
    for (; q_rule_info(count, &name, &pattern, &replacement, &effect); count++) {
        assert_in_range(count, 0, Q_COUNT(names) - 1);
        for (size_t n = 0; n < count; n++) assert_string_not_equal(names[n], name);
        names[count] = name;
        for (unsigned vectors = 0; vectors < 8; vectors++) check_rule(name, pattern, replacement, effect, vectors);
    }
    assert_in_range(count, 20, Q_COUNT(names));
}

/* Rules chain, and constants fold. */
static void simplifications_combine(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"x=Vi(3); -(-(-x))", "x=Vi(3); -x"},
        {"x=Vi(3); 0*x+1*x-0", "x=Vi(3); x"},
        {"x=Vi(3); x*(2-3)", "x=Vi(3); -x"},
        {"x=Vi(3); (0/x)*x+(x**0)", "Repeat_i(SumT(1,3))"},
        {"x=Vi(1); y=Vj(1); (x*0+1)*y", "x=Vi(1); y=Vj(1); Repeat_i(y)"},
        {"x=Vi(1); y=Vj(1); Sum_j((x*0+1)*y)", "y=Vj(1); Repeat_i(Sum_j(y))"},
        {"y=Vj(1); Min_j(Repeat_i(y))", "y=Vj(1); Repeat_i(Min_j(y))"},
        {"x=Vi(2); y=Vj(1); Sum_j(y*0)", "0"},
        {"x=Vi(2); p=Pm(1); Grad(p*p,x,1)", "Repeat_i(SumT(0,2))"},
        {"x=Vi(2); Grad(x*3,x,1)", "Repeat_i(SumT(3,2))"},
        {"x=Vi(2); p=Pm(1); Diff(Sum_i(x),p,p)", "SumT(0,2)"},
        {"x=Vi(3); Exp(0)*x*Cos(0)", "x=Vi(3); x"},
        {"x=Vi(1); SumT(x,3)*SumT(x,3)", "x=Vi(1); SumT(Square(x),3)"},
        {"x=Vi(1); Sum(SumT(x,1))", "x=Vi(1); x"},
        {"x=Vi(3); Extract(x,0,3)", "x=Vi(3); x"},
        {"Concat(SumT(2,3),SumT(2,1))", "SumT(2,4)"},
        {"Extract(SumT(2,3),1,2)", "SumT(2,2)"},
        {"Sum(SumT(2,3))", "6"},
        {"x=Vi(3); Sum_j(x)", "x=Vi(3); x*Sum_j(1)"},
        {"x=Vi(3); Sum_j(Repeat_j(x))", "x=Vi(3); x*Sum_j(1)"},
        {"x=Vi(3); Sum_j(x*0)", "Repeat_i(SumT(0,3))"},
        {"x=Vi(3); Repeat_i(x)", "x=Vi(3); x"},
        {"x=Vi(3); y=Vj(3); (-x)*(-y)", "x=Vi(3); y=Vj(3); x*y"},
    };
    for (size_t n = 0; n < Q_COUNT(pairs); n++) {
        sample s = sample_create(1, 1, 0);
        if (sample_parse(&s, pairs[n][0]) != sample_parse(&s, pairs[n][1]))
            fail_msg("%s is not %s", pairs[n][0], pairs[n][1]);
        sample_destroy(&s);
    }
}

/* Texts that look alike but must not be simplified. */
static void what_must_stay(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"x=Vi(3); x-1", "x=Vi(3); x"},
        {"x=Vi(3); x/2", "x=Vi(3); x"},
        {"x=Vi(3); Sqrt(Square(x))", "x=Vi(3); x"},
        {"x=Vi(3); y=Vi(3); x*y", "x=Vi(3); y=Vi(3); Square(x)"},
        {"x=Vi(3); Pow(x,3)", "x=Vi(3); Pow(x,-3)"},
        {"x=Vi(3); Exp(Log(x))", "x=Vi(3); x"},
        {"x=Vi(3); Max_j(x)", "x=Vi(3); x"},
        {"Concat(SumT(2,3),1)", "SumT(2,4)"},
    };
    for (size_t n = 0; n < Q_COUNT(pairs); n++) {
        sample s = sample_create(1, 1, 0);
        if (sample_parse(&s, pairs[n][0]) == sample_parse(&s, pairs[n][1]))
            fail_msg("%s became %s", pairs[n][0], pairs[n][1]);
        sample_destroy(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule_fires),
        cmocka_unit_test(simplifications_combine),
        cmocka_unit_test(what_must_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
