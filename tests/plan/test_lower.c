/*
 * test_lower.c: what lower.c and factor.c make of products, quotients and signs: which loop each operation lands in, counted
 * by loop, and that the value stays the same. And which reductions share a state.
 */
#include <math.h>
#include <string.h>

#include "helpers.h"
#include "run/run.h"

static quern_operator *compile(const char *text)
{
    quern_operator *op;
    if (quern_compile(&op, NULL, text, NULL)) fail_msg("%s: %s", text, quern_last_error_text());
    return op;
}

/* The operations of the only stage: once per launch, row, column and pair. */
static void expect_operations(const char *text, size_t launch, size_t row, size_t column, size_t pair)
{
    quern_operator *op = compile(text);
    assert_int_equal(op->stages.count, 1);
    const size_t *got = op->build->programs[0]->statements;
    if (got[0] != launch || got[Q_ROW] != row || got[Q_COLUMN] != column || got[Q_ROW | Q_COLUMN] != pair)
        fail_msg("%s\n  has %zu, %zu, %zu, %zu operations a launch, row, column, pair; not %zu, %zu, %zu, %zu", text,
                 got[0], got[Q_ROW], got[Q_COLUMN], got[Q_ROW | Q_COLUMN], launch, row, column, pair);
    quern_operator_destroy(&op);
}

#define X_Y "x=Vi(1); y=Vj(1); p=Pm(1); "

static void factors_go_where_they_belong(void **state)
{
    (void)state;
    expect_operations(X_Y "Sum_j(Exp(x-y))", 0, 0, 0, 2);
    expect_operations(X_Y "Sum_j(p*Exp(x-y)*3)", 1, 0, 0, 2);       /* 3p leaves the sum */
    expect_operations(X_Y "Sum_j(Exp(x)*Exp(x-y)*p)", 0, 2, 0, 2);  /* so does p*Exp(x) */
    expect_operations(X_Y "Sum_j(Exp(y)*Exp(x-y)*y)", 0, 0, 2, 3);  /* Exp(y)*y once a column */
    expect_operations(X_Y "Sum_j(2*(3*(Exp(x-y)*4)))", 0, 0, 0, 2); /* 24 leaves */
    expect_operations(X_Y "Max_j(2*(3*(Exp(x-y)*4)))", 0, 0, 0, 3); /* one product by 24 */
    expect_operations(X_Y "Sum_j(-Exp(x-y))", 0, 0, 0, 2);
}

/* Unit vectors, as second derivatives multiply by, leave nothing of the components that they do not name. */
static void products_with_zero_vanish(void **state)
{
    (void)state;
    expect_operations("x=Vi(3); y=Vj(3); p=Pm(1); Max_j((x-y|ExtractT(p,1,3)))", 0, 0, 0, 2);
    expect_operations("x=Vi(3); y=Vj(3); Max_j(Sum(-((x-y)*ExtractT(IntCst(1),1,3))))", 0, 0, 0, 2);
    expect_operations("x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Laplacian(Exp(-SqDist(x,y)),x)*b)", 0, 0, 0, 28);
}

static void quotients_and_signs_are_hoisted(void **state)
{
    (void)state;
    expect_operations(X_Y "Max_j((x-y)/p)", 1, 0, 0, 2);    /* times 1/p */
    expect_operations(X_Y "Max_j(Exp(x-y)/y)", 0, 0, 1, 3); /* times 1/y */
    expect_operations(X_Y "Max_j((x-y)/3)", 0, 0, 0, 2);
    expect_operations(X_Y "Max_j(-((x-y)*p))", 1, 0, 0, 2); /* times -p */
    expect_operations(X_Y "Max_j(-((x-y)*2))", 0, 0, 0, 2);
    expect_operations(X_Y "Max_j(p/(x-y))", 0, 0, 0, 2); /* what varies by pair divides */
}

static void sums_of_products_are_fused(void **state)
{
    (void)state;
    expect_operations("x=Vi(3); y=Vj(3); Max_j(SqDist(x,y))", 0, 0, 0, 6);
    expect_operations("x=Vi(3); y=Vj(3); Max_j((x|y))", 0, 0, 0, 3);
    expect_operations("x=Vi(3); y=Vj(3); Max_j((x|y)-Square(Elem(x,0))*Elem(y,1))", 0, 1, 0, 4);
}

/* How many reductions of the only stage keep a state of their own. */
static void expect_states(const char *text, size_t states)
{
    quern_operator *op = compile(text);
    size_t own = 0;
    for (size_t r = 0; r < op->build->programs[0]->reduction_count; r++) {
        size_t holder = op->build->programs[0]->reductions[r].state;
        own += holder == r;
        assert_int_equal(op->build->programs[0]->reductions[holder].state, holder);
    }
    if (own != states) fail_msg("%s: %zu states, not %zu", text, own, states);
    quern_operator_destroy(&op);
}

static void states_are_shared(void **state)
{
    (void)state;
    expect_states(X_Y "Min_j(x-y), ArgMin_j(x-y)", 1);
    /* nodes that differ, made of the same scalars */
    expect_states(X_Y "Min_j(x-y), Min_j(Elem(Concat(x-y,x),0)), ArgMin_j(x-y)", 1);
    expect_states(X_Y "ArgMin_j(Elem(Concat(x-y,x),0)), Min_j(x-y), Min_j(Elem(Concat(x-y,x),0)), ArgMin_j(x-y)", 1);
    expect_states(X_Y "Sum_j(x-y), Sum_j(Elem(Concat(x-y,x),0))", 1);
    expect_states(X_Y "ArgMax_j(x-y), Max_j(x-y)", 1);
    expect_states(X_Y "Min_j(x-y), ArgMax_j(x-y)", 2);
    expect_states(X_Y "Min_j(x-y), ArgMin_j(x+y)", 2);
    expect_states(X_Y "KMin_ArgKMin_j(x-y,3)", 1);
    expect_states(X_Y "KMin_j(x-y,3), ArgKMin_j(x-y,4)", 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factors_go_where_they_belong),
        cmocka_unit_test(products_with_zero_vanish),
        cmocka_unit_test(quotients_and_signs_are_hoisted),
        cmocka_unit_test(sums_of_products_are_fused),
        cmocka_unit_test(states_are_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
