/*
 * test_run.c: results of the device beside those of q_reference, which shares nothing with plan and kernels: every
 * operation in every loop that it can live in, every reduction over both axes, and formulas of several stages, for
 * sizes around the edges of lanes, groups, tiles and blocks, in both element types, with plans of every shape.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run_helpers.h"

enum { CHUNK = 13, EDGE = 2 * 256 + 3 };

static const quern_dtype both_types[] = {QUERN_F32, QUERN_F64};

static double tolerance(quern_dtype dtype)
{
    return dtype == QUERN_F32 ? 2e-6 : 1e-14;
}

static bool has_type(quern_dtype dtype)
{
    return dtype == QUERN_F32 || quern_context_device(context)->f64;
}

static void try_within(quern_operator *op, quern_dtype dtype, int64_t M, int64_t N, double factor)
{
    trial t = trial_create(op, dtype, M, N, (uint64_t)(M * 1000 + N));
    trial_run(&t);
    trial_compare(&t, factor * tolerance(dtype));
    trial_destroy(&t);
}

static void try_sizes(quern_operator *op, quern_dtype dtype, int64_t M, int64_t N)
{
    try_within(op, dtype, M, N, 1);
}

/* ---- plans ---- */

typedef struct shape {
    int lanes, rows, local, split;
} shape;

/* Each value of each parameter occurs; the first is what the device's profile says. */
static const shape shapes[] = {{0, 0, 0, 0},   {1, 1, 1, 1}, {8, 2, 1, 2}, {1, 8, 32, 3},
                               {16, 1, 32, 1}, {8, 8, 1, 3}, {16, 2, 1, 2}};

static quern_compile_options options_of(shape s)
{
    return (quern_compile_options){.size = sizeof(quern_compile_options),
                                   .lanes = takes_lanes() ? s.lanes
                                            : s.lanes     ? 1
                                                          : 0,
                                   .rows = s.rows,
                                   .local = s.local,
                                   .split = s.split};
}

/* ---- operations ---- */

/* Where operands live: values of x and y, and what is done with the operation's value f. */
static const struct placement {
    const char *name, *declarations, *result;
} placements[] = {
    {"pair", "x=Vi(1); y=Vj(1); z=Vi(1); ", "Sum_j(z+%s)"},
    {"row", "x=Vi(1); y=Vi(1); ", "%s"},
    {"column", "x=Vj(1); y=Vj(1); z=Vi(1); ", "Sum_j(z*%s+z)"},
    {"parameter", "x=Pm(1); y=Pm(1); z=Vi(1); ", "%s"},
};

/* Operands that must be positive, or not 0. */
static bool is_positive(q_op op, int operand)
{
    static const q_op first[] = {Q_OP_Inv,   Q_OP_Pow,    Q_OP_Powf,      Q_OP_Log,   Q_OP_XLogX,   Q_OP_Sqrt,
                                 Q_OP_Rsqrt, Q_OP_Lgamma, Q_OP_Polygamma, Q_OP_Powf0, Q_OP_Acosh1p, Q_OP_Matern};
    bool found = (op == Q_OP_Divide || op == Q_OP_DivNoNan) && operand == 1;
    for (size_t p = 0; p < Q_COUNT(first); p++) found = found || (first[p] == op && operand == 0);
    return found;
}

/* The operation on values between -1 and 1, which are exact in float32. */
static void add_operation(q_text *text, q_op op)
{
    static const char *const operands[] = {"0.5*(x-y)", "0.5*(x+y)", "x*y"};
    q_text_add(text, "%s(", q_ops[op].name);
    for (int a = 0; a < q_ops[op].operands; a++)
        q_text_add(text, "%s%s%s", a ? "," : "", operands[a], is_positive(op, a) ? "+1.125" : "");
    for (int k = 0; k < q_ops[op].integers; k++) q_text_add(text, ",%d", op == Q_OP_Pow ? -3 : 2);
    q_text_add(text, ")");
}

/* The formula of up to CHUNK operations from *op on; null if there are none left. */
static char *operations_formula(const struct placement *place, q_op *op)
{
    int count = 0;
    q_text text = {0};
    q_text_add(&text, "%s", place->declarations);
    for (; *op < Q_OP_END && count < CHUNK; (*op)++) {
        if (q_ops[*op].kind != Q_KIND_ELEMENTWISE) continue;
        q_text operation = {0}, result = {0};
        add_operation(&operation, *op);
        for (const char *p = place->result; *p; p++)
            if (*p == '%') q_text_add(&result, "%s", operation.data), p++;
            else q_text_append(&result, p, 1);
        q_text_add(&text, "%s%s", count++ ? ", " : "", result.data);
        q_text_free(&operation);
        q_text_free(&result);
    }
    if (!count) q_text_free(&text);
    return text.data;
}

static void test_operations(const struct placement *place, quern_dtype dtype)
{
    need_type(dtype);
    size_t operators = 0;
    q_op op = Q_OP_NONE;
    for (char *text; (text = operations_formula(place, &op)); free(text)) {
        quern_operator *compiled = compile(text, NULL);
        try_sizes(compiled, dtype, 33, 41);
        /* special functions have loops of their own: devices that limit loops take few columns */
        try_sizes(compiled, dtype, 1, context->profile.max_cols_per_item ? 200 : EDGE);
        try_sizes(compiled, dtype, 130, 1);
        quern_operator_destroy(&compiled);
        operators++;
    }
    assert_true(operators >= 2);
}

static void operations_on_pairs(void **state)
{
    (void)state;
    test_operations(&placements[0], QUERN_F32);
}

static void operations_on_pairs_of_float64(void **state)
{
    (void)state;
    test_operations(&placements[0], QUERN_F64);
}

static void operations_on_rows(void **state)
{
    (void)state;
    test_operations(&placements[1], QUERN_F32);
}

static void operations_on_columns(void **state)
{
    (void)state;
    test_operations(&placements[2], QUERN_F64);
}

static void operations_on_parameters(void **state)
{
    (void)state;
    test_operations(&placements[3], QUERN_F32);
}

/* ---- reductions ---- */

/* All reductions of one value over an axis: those without a count, or the selections, which have one. */
static void add_reductions(q_text *text, char axis, const char *value, int integers)
{
    const char *comma = "";
    for (int op = Q_OP_REDUCTION + 1; op < Q_OP_END; op++) {
        if (q_ops[op].integers != integers) continue;
        q_text_add(text, "%s%s_%c(%s%s)", comma, q_ops[op].name, axis, value, integers ? ",3" : "");
        comma = ", ";
    }
}

static quern_operator *reductions(char axis, const char *value, int integers, const quern_compile_options *options)
{
    q_text text = {0};
    q_text_add(&text, axis == 'j' ? "x=Vi(2); y=Vj(2); p=Pm(2); " : "x=Vj(2); y=Vi(2); p=Pm(2); ");
    add_reductions(&text, axis, value, integers);
    quern_operator *op = compile(text.data, options);
    q_text_free(&text);
    return op;
}

/* Numbers of rows around the edges of vectors and groups. */
static size_t edges_of_rows(const quern_operator *op, quern_dtype dtype, int64_t sizes[10])
{
    q_plan plan;
    succeed(q_plan_make(&plan, op->build->programs[0],
                        &(q_plan_request){&context->profile, dtype, 100000, 100000, 2, &op->options, NULL}));
    int64_t lanes = plan.lanes, group = q_plan_group_rows(&plan);
    const int64_t edges[] = {0, 1, lanes - 1, lanes, lanes + 1, group - 1, group, group + 1, 2 * group + 3};
    memcpy(sizes, edges, sizeof edges);
    return Q_COUNT(edges);
}

/* Numbers of columns around the edges of tiles and blocks. */
static const int64_t column_edges[] = {0, 1, 31, 32, 33, 255, 256, 257, EDGE, 2 * EDGE};

/* Each number of rows with two numbers of columns, so that all occur and 0 meets 0. */
static void try_edges(quern_operator *op, quern_dtype dtype, char axis)
{
    int64_t rows[10];
    size_t count = edges_of_rows(op, dtype, rows);
    for (size_t r = 0; r < count; r++)
        for (size_t c = 0; c < 2; c++) {
            int64_t n = rows[r] < 0 ? 0 : rows[r], m = column_edges[(2 * r + c + (r > 4)) % Q_COUNT(column_edges)];
            try_sizes(op, dtype, axis == 'j' ? n : m, axis == 'j' ? m : n);
        }
    try_sizes(op, dtype, axis == 'j' ? 0 : EDGE, axis == 'j' ? EDGE : 0);
    try_sizes(op, dtype, axis == 'j' ? EDGE : 0, axis == 'j' ? 0 : EDGE);
}

/* Plans of every shape in float32, the usual one also in float64; the axis alternates. */
static void reductions_in_plans_of_every_shape(void **state)
{
    (void)state;
    need_device();
    for (size_t s = 0; s < Q_COUNT(shapes); s++) {
        char axis = s % 2 ? 'j' : 'i';
        quern_compile_options options = options_of(shapes[s]);
        quern_operator *op = reductions(axis, "x-y", 0, &options);
        try_edges(op, QUERN_F32, axis);
        quern_operator_destroy(&op);
    }
}

static void reductions_over_both_axes(void **state)
{
    (void)state;
    need_device();
    for (const char *axis = "ij"; *axis; axis++)
        for (size_t d = 0; d < 2; d++) {
            quern_operator *op = reductions(*axis, "x-y*p", 0, NULL);
            if (has_type(both_types[d])) try_edges(op, both_types[d], *axis);
            quern_operator_destroy(&op);
        }
}

static void reductions_of_float64_in_parts(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    quern_compile_options options = options_of((shape){8, 1, 1, 3});
    quern_operator *op = reductions('j', "x-y", 0, &options);
    try_edges(op, QUERN_F64, 'j');
    quern_operator_destroy(&op);
}

/* The K smallest and largest terms, over both axes and in parts. */
static void selections(void **state)
{
    (void)state;
    need_device();
    for (size_t s = 0; s < 4; s++) {
        char axis = s % 2 ? 'j' : 'i';
        quern_compile_options options = options_of(shapes[s]);
        quern_operator *op = reductions(axis, "x-y", 1, &options);
        try_edges(op, s == 2 && has_type(QUERN_F64) ? QUERN_F64 : QUERN_F32, axis);
        quern_operator_destroy(&op);
    }
}

/* Terms that lack the row's index, the reduced index, or both; indices and constants. */
static void reductions_of_values_of_fewer_axes(void **state)
{
    (void)state;
    need_device();
    static const char *const values[] = {"y", "x", "p", "J-1", "1"};
    for (size_t v = 0; v < Q_COUNT(values); v++) {
        quern_operator *op = reductions('j', values[v], 0, NULL);
        try_sizes(op, QUERN_F32, 37, EDGE);
        try_sizes(op, QUERN_F32, 1, 1);
        quern_operator_destroy(&op);
    }
}

/* ---- formulas of several stages ---- */

static void stages_feed_each_other(void **state)
{
    (void)state;
    need_device();
    static const char *const formulas[] = {
        "x=Vi(2); y=Vj(2); q=Vj(1); p=Vi(1); Sum_i(p*Sum_j(Exp(-SqDist(x,y))*q))",
        "x=Vi(2); y=Vj(2); s=Scalprod(x,y); Sum_j(Exp(s-LogSumExp_j(s))*y), LogSumExp_j(s)",
        "x=Vi(2); y=Vj(2); d=SqDist(x,y); Sum_j(Equal(J,ArgMin_j(d))*y), ArgMin_j(d), Min_j(d), Sum_i(d)",
        "x=Vi(2); y=Vj(2); m=Sum_i(x)/Sum_i(1); v=Sum_i(Square(x-m)); Sum_j((x-m)*y)*v, m, x-m, y+v, Sum_i(Sum_j(1))",
        "x=Vi(1); y=Vj(1); Grad(Sum_i(Sum_j(Exp(-Square(x-y)))),x,1), Grad(Sum_i(Min_j(x*y)),y,1)",
    };
    for (size_t f = 0; f < Q_COUNT(formulas); f++) {
        quern_operator *op = compile(formulas[f], NULL);
        quern_dtype dtype = has_type(both_types[f % 2]) ? both_types[f % 2] : QUERN_F32;
        try_within(op, dtype, 67, 301 - (int64_t)f, 20); /* terms cancel */
        try_sizes(op, QUERN_F32, 1, 1);
        quern_operator_destroy(&op);
    }
}

/* A minus before a negative number is not a decrement. */
static void negative_constants(void **state)
{
    (void)state;
    need_device();
    quern_operator *op =
        compile("x=Vi(1); y=Vj(1); b=Vj(1); p=Pm(1); Sum_j(x+Exp(y*b-(-3))), Sum_j(x*Sum(Exp(-Concat(-2,y)))), "
                "p*p-(-3), Sum_j(Exp(y-(-2)*x)), Sum_j(x*y-(-3)), Sum_j(Exp(-Concat(-2,x*y)))",
                NULL);
    try_sizes(op, QUERN_F32, 19, 23);
    quern_operator_destroy(&op);
}

/* Long vectors: more values in a row than a work-item has registers. */
static void long_vectors(void **state)
{
    (void)state;
    need_device();
    quern_operator *op = compile("x=Vi(40); y=Vj(40); b=Vj(3); Sum_j(Exp(-SqDist(x,y)/8)*b), Max_j(x+y)", NULL);
    try_sizes(op, QUERN_F32, 35, EDGE);
    try_sizes(op, QUERN_F32, 1, 3 * EDGE);
    quern_operator_destroy(&op);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_on_pairs),
        cmocka_unit_test(operations_on_pairs_of_float64),
        cmocka_unit_test(operations_on_rows),
        cmocka_unit_test(operations_on_columns),
        cmocka_unit_test(operations_on_parameters),
        cmocka_unit_test(reductions_over_both_axes),
        cmocka_unit_test(reductions_in_plans_of_every_shape),
        cmocka_unit_test(reductions_of_float64_in_parts),
        cmocka_unit_test(selections),
        cmocka_unit_test(reductions_of_values_of_fewer_axes),
        cmocka_unit_test(stages_feed_each_other),
        cmocka_unit_test(negative_constants),
        cmocka_unit_test(long_vectors),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
