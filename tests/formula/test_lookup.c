/*
 * test_lookup.c: rows of tables, picked by number: one row or zeros, whatever the number is; a node of its own where a
 * table is an array, else the same value by a sum; derivatives; text that reads back.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "helpers.h"
#include "run/run.h"

static const double numbers[] = {0, 2, 1, -1, 3, 0.5, NAN, INFINITY, -INFINITY, 1e30, -0.0};
enum { NUMBERS = sizeof numbers / sizeof *numbers };

static bool has_lookup(const sample *s, q_id root)
{
    bool any = false;
    for (q_id id = 1; id <= root; id++) any = any || q_node_of(s->graph, id)->op == Q_OP_LOOKUP;
    return any;
}

/* A formula over k=Vi(1) at the numbers above, T=Pm(6) of 1 to 6 and y=Vj(2) of the same numbers. */
static void evaluate(const char *formula, bool node, double *out)
{
    sample s = sample_create(NUMBERS, 3, 1);
    char text[256];
    snprintf(text, sizeof text, "k=Vi(1); T=Pm(6); y=Vj(2); %s", formula);
    q_id id = sample_parse(&s, text);
    double table[] = {1, 2, 3, 4, 5, 6};
    assert_int_equal(has_lookup(&s, id), node);
    const double *data[] = {numbers, table, table};
    assert_int_equal(q_reference(s.graph, &id, 1, s.M, s.N, data, &out), QUERN_OK);
    sample_destroy(&s);
}

static void one_row_or_zeros(void **state)
{
    (void)state;
    static const struct {
        const char *formula;
        bool node;
    } rows[] = {
        {"Gather(T,k,2)", true},          {"Gather_j(y,k)", true},          {"Sum_j(Where(k==J,y,0))", true},
        {"Sum_j(Where(J==k,y,0))", true}, {"Gather(T*1.5,k,2)/1.5", false}, {"Gather_j(y*1.5,k)/1.5", false},
    };
    for (size_t n = 0; n < Q_COUNT(rows); n++) {
        double out[2 * NUMBERS];
        evaluate(rows[n].formula, rows[n].node, out);
        for (int i = 0; i < NUMBERS; i++)
            for (int d = 0; d < 2; d++) {
                double k = numbers[i], expected = k == 0 || k == 1 || k == 2 ? 2 * k + d + 1 : 0;
                if (out[2 * i + d] != expected)
                    fail_msg("%s: row %g has %g, not %g", rows[n].formula, k, out[2 * i + d], expected);
            }
    }
}

/* NaN in rows that nobody picks stays there. */
static void other_rows_do_not_show(void **state)
{
    (void)state;
    static const char *const formulas[] = {"T=Pm(3); k=Vi(1); Gather(T,k,1)", "T=Pm(3); k=Vi(1); Gather(T+0*T,k,1)",
                                           "T=Vj(1); k=Vi(1); Gather_j(T,k)", "T=Vj(1); k=Vi(1); Gather_j(2*T,k)/2"};
    for (size_t n = 0; n < Q_COUNT(formulas); n++) {
        sample s = sample_create(1, 3, 1);
        q_id id = sample_parse(&s, formulas[n]);
        const double *data[] = {(double[]){NAN, 7, INFINITY}, (double[]){1}};
        double out, *to = &out;
        assert_int_equal(q_reference(s.graph, &id, 1, 1, 3, data, &to), QUERN_OK);
        assert_true(out == 7);
        sample_destroy(&s);
    }
}

static void constant_numbers(void **state)
{
    (void)state;
    sample s = sample_create(1, 1, 1);
    q_id same = sample_parse(&s, "T=Pm(6); Extract(T,2,2)");
    size_t count = 0;
    q_id ids[4];
    assert_int_equal(
        q_parse(s.graph, "T=Pm(6); Gather(T,1,2), Gather(T,3,2), Gather(T,-1,2), Gather(T,0.5,2)", ids, &count),
        QUERN_OK);
    assert_int_equal(ids[0], same);
    for (int n = 1; n < 4; n++) assert_true(q_is_constant(s.graph, ids[n], 0));
    sample_destroy(&s);
}

/* Values and first and second derivatives, printed and read again. */
static void text_reads_back(void **state)
{
    (void)state;
    static const char *const formulas[] = {
        "T=Pm(6); k=Vi(1); Gather(T,k,2)",
        "y=Vj(2); k=Vi(1); Gather_j(y,k)",
        "x=Vi(2); k=Pm(1); y=Vj(2); Sum_j(Gather_i(x,k)*y)",
        "T=Pm(6); k=Vi(1); Grad(Sum_i(Square(Gather(T,k,2))),T,1)",
        "T=Pm(6); k=Vi(1); G=Grad(Sum_i(Exp(Gather(T,k,2))),T,1); Grad(G,T,1)",
        "y=Vj(2); k=Vi(1); G=Grad(Sum_i(Exp(Gather_j(y,k))),y,1); Grad(Sum_j(G),y,1)",
        "T=Pm(6); U=Pm(6); k=Vi(1); Diff(Gather(T,k,2),T,U), Diff(Square(Gather(T,k,2)),T,2*U)",
        "y=Vj(2); u=Vj(2); k=Vi(1); Diff(Gather_j(y,k),y,u), Diff(Square(Gather_j(y,k)),y,2*u)",
        "T=Pm(3); k=Vi(1); Gather(T,Repeat_j(k),1)*J, Gather(Repeat_i(T),1,1)",
    };
    for (size_t n = 0; n < Q_COUNT(formulas); n++) {
        sample s = sample_create(1, 1, 1);
        q_id ids[Q_MAX_RESULTS], again[Q_MAX_RESULTS];
        size_t count = 0, same = 0;
        q_text text = {0};
        if (q_parse(s.graph, formulas[n], ids, &count)) fail_msg("%s: %s", formulas[n], quern_last_error_text());
        assert_int_equal(q_graph_verify(s.graph), QUERN_OK);
        q_print(s.graph, ids, count, &text);
        if (q_parse(s.graph, text.data, again, &same)) fail_msg("%s: %s", text.data, quern_last_error_text());
        assert_int_equal(same, count);
        for (size_t r = 0; r < count; r++)
            if (again[r] != ids[r]) fail_msg("%s is read as something else: %s", formulas[n], text.data);
        q_text_free(&text);
        sample_destroy(&s);
    }
}

/* Each row's derivative is the sum of the weights of all that have picked it. */
static void derivatives_add_up(void **state)
{
    (void)state;
    static const char *const formulas[] = {
        "T=Pm(4); k=Vi(1); e=Vi(2); Grad(Sum_i((Gather(T,k,2)|e)),T,1)",
        "T=Pm(4); k=Vi(1); e=Vi(2); Grad(Sum_i((Gather(2*T,k,2)|e)),T,0.5)",
        "T=Vj(2); k=Vi(1); e=Vi(2); Grad(Sum_i((Gather_j(T,k)|e)),T,1)",
        "T=Vj(2); k=Vi(1); e=Vi(2); Grad(Sum_i((Gather_j(2*T,k)|e)),T,0.5)",
    };
    const double k[] = {1, 0, 1, 5, NAN}, e[] = {1, 2, 4, 8, 16, 32, NAN, NAN, INFINITY, 1};
    for (size_t n = 0; n < Q_COUNT(formulas); n++) {
        sample s = sample_create(5, 2, 1);
        q_id id = sample_parse(&s, formulas[n]);
        const double *data[] = {(double[]){3, 5, 7, 9}, k, e};
        double out[4], *to = out;
        assert_int_equal(q_reference(s.graph, &id, 1, 5, 2, data, &to), QUERN_OK);
        if (out[0] != 4 || out[1] != 8 || out[2] != 17 || out[3] != 34)
            fail_msg("%s: %g %g %g %g", formulas[n], out[0], out[1], out[2], out[3]);
        sample_destroy(&s);
    }
}

/* Where not all rows meet all columns, only rows that are met are picked: a sum, as it was. */
static void masked_runs_sum(void **state)
{
    (void)state;
    static const char *const formulas[] = {"y=Vj(2); k=Vi(1); Gather_j(y,k)",
                                           "y=Vj(2); k=Vi(1); Sum_j(Where(k==J,y,0))",
                                           "y=Vj(2); k=Pm(1); Gather_j(y,k)"};
    for (size_t n = 0; n < Q_COUNT(formulas); n++)
        for (int keeps = 0; keeps < 2; keeps++) {
            sample s = sample_create(1, 1, 1);
            s.graph->keeps_pairs = keeps;
            q_id id = sample_parse(&s, formulas[n]);
            assert_int_equal(has_lookup(&s, id), !keeps || n == 2);
            assert_int_equal(s.graph->lost_pairs, !keeps && n < 2);
            sample_destroy(&s);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_row_or_zeros),   cmocka_unit_test(other_rows_do_not_show),
        cmocka_unit_test(constant_numbers),   cmocka_unit_test(text_reads_back),
        cmocka_unit_test(derivatives_add_up), cmocka_unit_test(masked_runs_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
