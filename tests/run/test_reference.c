/*
 * test_reference.c: the oracle itself, on values known beforehand: layouts of results, and the special cases of
 * reductions.def: empty ranges, NaN, infinities, ties.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helpers.h"
#include "run/run.h"

static bool same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

/* Evaluates the formula for x (over i) and y (over j) of length 1 and compares with what is expected. */
static void expect(const char *formula, size_t M, const double *x, size_t N, const double *y, size_t count,
                   const double *expected)
{
    sample s = sample_create((int64_t)M, (int64_t)N, 0);
    q_text text = {0};
    q_text_add(&text, "x=Vi(1); y=Vj(1); %s", formula);
    q_id id = sample_parse(&s, text.data);
    if (M) memcpy(sample_data(&s, "x"), x, M * sizeof *x);
    if (N) memcpy(sample_data(&s, "y"), y, N * sizeof *y);
    assert_int_equal(sample_numbers(&s, id), count);
    double *got = sample_evaluate(&s, id);
    for (size_t n = 0; n < count; n++)
        if (!same(got[n], expected[n])) fail_msg("%s [%zu] = %.17g, not %.17g", formula, n, got[n], expected[n]);
    free(got);
    q_text_free(&text);
    sample_destroy(&s);
}

#define LIST(...)    \
    (const double[]) \
    {                \
        __VA_ARGS__  \
    }
#define COUNT(...) (sizeof(LIST(__VA_ARGS__)) / sizeof(double))
/* Over y alone: one number. */
#define OVER_Y(formula, result, ...) expect(formula, 0, NULL, COUNT(__VA_ARGS__), LIST(__VA_ARGS__), 1, LIST(result))

static void layouts(void **state)
{
    (void)state;
    const double x[] = {1, 2, 3}, y[] = {10, 20};
    expect("x", 3, x, 2, y, 3, LIST(1, 2, 3));
    expect("y", 3, x, 2, y, 2, LIST(10, 20));
    expect("x+y", 3, x, 2, y, 6, LIST(11, 21, 12, 22, 13, 23));
    expect("Concat(x,y)", 3, x, 2, y, 12, LIST(1, 10, 1, 20, 2, 10, 2, 20, 3, 10, 3, 20));
    expect("Sum_j(x+y)", 3, x, 2, y, 3, LIST(32, 34, 36));
    expect("Sum_i(x+y)", 3, x, 2, y, 2, LIST(36, 66));
    expect("Sum_i(Sum_j(x*y))", 3, x, 2, y, 1, LIST(180));
    expect("Sum_j(Concat(x,y*x))", 3, x, 2, y, 6, LIST(2, 30, 4, 60, 6, 90));
    expect("I*10+J", 3, x, 2, y, 6, LIST(0, 1, 10, 11, 20, 21));
    expect("Sum_i(1)+10*Sum_j(1)", 3, x, 2, y, 1, LIST(23));
    expect("Repeat_i(Sum_j(y))", 3, x, 2, y, 3, LIST(30, 30, 30));
    expect("Repeat_i(y)", 3, x, 2, y, 6, LIST(10, 20, 10, 20, 10, 20));
    expect("Repeat_j(x)", 3, x, 2, y, 6, LIST(1, 1, 2, 2, 3, 3));
    expect("Sum(Concat(x,x))", 3, x, 2, y, 3, LIST(2, 4, 6));
    expect("ExtractT(x,1,3)", 3, x, 2, y, 9, LIST(0, 1, 0, 0, 2, 0, 0, 3, 0));
    expect("ArgMax_i(x*y)-ArgMin_i(x*y)", 3, x, 2, y, 2, LIST(2, 2));
}

/* A term without the reduced axis counts once for each row of it. */
static void terms_without_the_axis(void **state)
{
    (void)state;
    const double x[] = {1, 2, 3}, y[] = {10, 20};
    expect("Sum_j(x)", 3, x, 2, y, 3, LIST(2, 4, 6));
    expect("Sum_i(y)", 3, x, 2, y, 2, LIST(30, 60));
    expect("Max_j(x)", 3, x, 2, y, 3, LIST(1, 2, 3));
    expect("ArgMin_j(x)", 3, x, 2, y, 3, LIST(0, 0, 0));
    expect("Max_j(x)", 3, x, 0, NULL, 3, LIST(-INFINITY, -INFINITY, -INFINITY));
    expect("ArgMax_j(x)", 3, x, 0, NULL, 3, LIST(-1, -1, -1));
    expect("Sum_j(x)", 3, x, 0, NULL, 3, LIST(0, 0, 0));
    expect("Exp(LogSumExp_j(0))", 3, x, 2, y, 1, LIST(exp(log(2))));
}

static void empty_ranges(void **state)
{
    (void)state;
    expect("Sum_j(y)", 0, NULL, 0, NULL, 1, LIST(0));
    expect("Min_j(y)", 0, NULL, 0, NULL, 1, LIST(INFINITY));
    expect("Max_j(y)", 0, NULL, 0, NULL, 1, LIST(-INFINITY));
    expect("ArgMin_j(y)", 0, NULL, 0, NULL, 1, LIST(-1));
    expect("ArgMax_j(y)", 0, NULL, 0, NULL, 1, LIST(-1));
    expect("LogSumExp_j(y)", 0, NULL, 0, NULL, 1, LIST(-INFINITY));
    expect("Sum_j(x*y)", 2, LIST(1, 2), 0, NULL, 2, LIST(0, 0));
    expect("Sum_j(x*y)", 0, NULL, 2, LIST(1, 2), 0, NULL);
    expect("x*y", 0, NULL, 2, LIST(1, 2), 0, NULL);
    expect("Sum_i(Min_j(x+y))", 2, LIST(1, 2), 0, NULL, 1, LIST(INFINITY));
}

static void not_a_number(void **state)
{
    (void)state;
    OVER_Y("Sum_j(y)", NAN, 1, NAN, 2);
    OVER_Y("LogSumExp_j(y)", NAN, 1, NAN, 2);
    OVER_Y("LogSumExp_j(y)", NAN, INFINITY, NAN);
    OVER_Y("LogSumExp_j(y)", NAN, NAN, -INFINITY);
    OVER_Y("Min_j(y)", 1, NAN, 2, 1, NAN);
    OVER_Y("Max_j(y)", 2, NAN, 1, 2, NAN);
    OVER_Y("ArgMin_j(y)", 2, NAN, 2, 1, NAN);
    OVER_Y("ArgMax_j(y)", 1, NAN, 2, 1, NAN);
    OVER_Y("Min_j(y)", INFINITY, NAN, NAN);
    OVER_Y("Max_j(y)", -INFINITY, NAN, NAN);
    OVER_Y("ArgMin_j(y)", -1, NAN, NAN);
    OVER_Y("ArgMax_j(y)", -1, NAN, NAN);
}

static void infinities(void **state)
{
    (void)state;
    OVER_Y("Sum_j(y)", INFINITY, 1, INFINITY, 2);
    OVER_Y("Sum_j(y)", NAN, INFINITY, -INFINITY);
    OVER_Y("LogSumExp_j(y)", -INFINITY, -INFINITY, -INFINITY);
    OVER_Y("LogSumExp_j(y)", INFINITY, 3, INFINITY, -INFINITY);
    OVER_Y("LogSumExp_j(y)", 3, -INFINITY, 3, -INFINITY);
    OVER_Y("LogSumExp_j(y)", 1000 + log(2), 1000, 1000);
    OVER_Y("LogSumExp_j(y)", -1000 + log(2), -1000, -1000);
    OVER_Y("Min_j(y)", INFINITY, INFINITY, INFINITY);
    OVER_Y("ArgMin_j(y)", -1, INFINITY, INFINITY);
    OVER_Y("ArgMin_j(y)", 1, INFINITY, -INFINITY);
    OVER_Y("ArgMin_j(y)", 2, INFINITY, INFINITY, 7);
    OVER_Y("ArgMax_j(y)", -1, -INFINITY, -INFINITY);
    OVER_Y("ArgMax_j(y)", 1, -INFINITY, INFINITY);
    OVER_Y("Max_j(y)", INFINITY, 1, INFINITY);
}

static void ties_and_signs(void **state)
{
    (void)state;
    OVER_Y("ArgMin_j(y)", 1, 3, 1, 2, 1);
    OVER_Y("ArgMax_j(y)", 0, 3, 1, 3);
    OVER_Y("ArgMin_j(y)", 0, 0.0, -0.0);
    OVER_Y("ArgMax_j(y)", 0, -0.0, 0.0);
    expect("ArgMin_j(Concat(x*y,-y))", 1, LIST(1), 3, LIST(2, 5, 2), 2, LIST(0, 1));
}

static void sums_are_compensated(void **state)
{
    (void)state;
    OVER_Y("Sum_j(y)", 2, 1, 1e100, 1, -1e100);
    expect("Sum(Concat(Concat(x,x*1e100),Concat(x,x*(-1e100))))", 1, LIST(1), 0, NULL, 1, LIST(2));
}

/* What noise does to a difference is as large as to its operands; exact steps have none; a seed says which it is. */
static void noise(void **state)
{
    (void)state;
    const double amount = 0x1p-20;
    double third = 1.0 / 3, numbers[3][4], *out[] = {numbers[0]};
    const double *data[] = {&third};
    sample s = sample_create(1, 1, 0);
    q_id id = sample_parse(&s, "p=Pm(1); Concat(Concat(p,Exp(p)-1.39),Concat(Exp(0*p),Max_i(Step(p))))");
    assert_int_equal(q_reference(s.graph, &id, 1, 1, 1, data, out), QUERN_OK);
    for (uint64_t seed = 1; seed <= 2; seed++) {
        out[0] = numbers[seed];
        assert_int_equal(
            q_reference_with(&(q_rounding){.noise = amount, .seed = seed}, s.graph, &id, 1, 1, 1, data, out), QUERN_OK);
        assert_true(numbers[seed][0] != third && fabs(numbers[seed][0] - third) <= third * amount);
        double moved = fabs(numbers[seed][1] - numbers[0][1]);
        assert_true(moved > 0.01 * amount && moved <= (1.4 + 0.5) * amount);
        assert_true(numbers[seed][2] == 1 && numbers[seed][3] == 1);
    }
    assert_true(numbers[1][0] != numbers[2][0]);
    out[0] = numbers[0];
    assert_int_equal(q_reference_with(&(q_rounding){.noise = amount, .seed = 2}, s.graph, &id, 1, 1, 1, data, out),
                     QUERN_OK);
    assert_memory_equal(numbers[0], numbers[2], sizeof numbers[0]);
    sample_destroy(&s);
}

static void failures(void **state)
{
    (void)state;
    sample s = sample_create(2, 2, 0);
    q_id id = sample_parse(&s, "x=Vi(1); y=Vj(1); x+y");
    double numbers[4] = {0}, *out = numbers;
    const double *data[2] = {numbers, NULL};
    assert_int_equal(q_reference(s.graph, &id, 1, 2, 2, data, &out), QUERN_MISSING);
    assert_non_null(strstr(quern_last_error()->message, "y"));
    assert_int_equal(q_reference(s.graph, &id, 1, -1, 2, data, &out), QUERN_SHAPE);
    /* sizes that overflow are refused before anything is allocated for them */
    id = sample_parse(&s, "J");
    assert_int_equal(q_reference(s.graph, &id, 1, 1, INT64_C(1) << 62, data, &out), QUERN_MEMORY);
    q_node pair = {.op = Q_OP_REPEAT, .dim = 1, .arg = {sample_parse(&s, "x=Vi(1); x")}, .k = {Q_J}};
    id = q_intern(s.graph, &pair);
    data[0] = NULL;
    assert_int_equal(q_reference(s.graph, &id, 1, 0, INT64_C(1) << 62, data, &out), QUERN_OK);
    sample_destroy(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts),      cmocka_unit_test(terms_without_the_axis),
        cmocka_unit_test(empty_ranges), cmocka_unit_test(not_a_number),
        cmocka_unit_test(infinities),   cmocka_unit_test(ties_and_signs),
        cmocka_unit_test(failures),     cmocka_unit_test(sums_are_compensated),
        cmocka_unit_test(noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
