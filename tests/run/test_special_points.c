/*
 * test_special_points.c: values and derivatives to the third order where a row's formula meets a convention, a zero or
 * saturation, against limits: forward and reverse, host and device, both types. Functions of one number, among them every
 * row of ops.def, are in special_points.txt; here is what takes more. Numbers are by hand or from mpmath with 30 digits.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run_helpers.h"

// ---- the table ----

enum { ORDERS = 4, POINTS = 8, TOGETHER = Q_MAX_RESULTS / ORDERS };

typedef struct point {
    double x, expected[ORDERS];
    bool stated[ORDERS];
} point;

typedef struct entry {
    char *formula; /* part of the line */
    point points[POINTS];
    size_t count;
} entry;

static char *text; /* the file, cut into words */
static entry entries[300];
static size_t entry_count;

/* The entry of this formula: the last one, or a new one. */
static entry *entry_of(char *formula)
{
    if (!entry_count || strcmp(entries[entry_count - 1].formula, formula)) {
        assert_true(entry_count < Q_COUNT(entries));
        entries[entry_count++] = (entry){.formula = formula};
    }
    return &entries[entry_count - 1];
}

static void read_line(char *line)
{
    if (*line == '#') return;
    char *at = strstr(line, " at "), *rest;
    if (!at) fail_msg("no place for the line '%s'", line);
    *at = 0;
    entry *e = entry_of(line);
    assert_true(e->count < POINTS);
    point *p = &e->points[e->count++];
    p->x = strtod(strtok_r(at + 4, ": ", &rest), NULL);
    for (int order = 0; order < ORDERS; order++) {
        const char *word = strtok_r(NULL, ": ", &rest);
        if (!word) fail_msg("%s at %g: %d numbers, not %d", line, p->x, order, ORDERS);
        p->stated[order] = strcmp(word, "~") != 0;
        p->expected[order] = p->stated[order] ? strtod(word, NULL) : 0;
    }
    if (strtok_r(NULL, ": ", &rest)) fail_msg("%s at %g: more than %d numbers", line, p->x, ORDERS);
}

static int read_table(void **state)
{
    char *path = test_path("special_points.txt"), *rest;
    quern_status status = q_read_file(path, &text, &(size_t){0});
    free(path);
    if (status) return -1;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) read_line(line);
    return open_context(state);
}

static int free_table(void **state)
{
    free(text);
    return close_context(state);
}

static bool is_in_table(const char *name)
{
    for (size_t e = 0; e < entry_count; e++)
        if (formula_calls(entries[e].formula, name)) return true;
    return false;
}

static void every_row_is_in_the_table(void **state)
{
    (void)state;
    for (size_t op = Q_OP_REPEAT + 1; op < Q_OP_REDUCTION; op++)
        if (!is_in_table(q_ops[op].name)) fail_msg("special_points.txt has no formula with %s", q_ops[op].name);
    for (size_t s = 0; s < q_sugar_count; s++)
        if (!is_in_table(q_sugar[s].name)) fail_msg("special_points.txt has no formula with %s", q_sugar[s].name);
}

/* The functions and their derivatives, by Grad or by Diff, as results of one operator; all at the points of all. */
static quern_operator *make_operator(const entry *first, size_t count, const char *derivative)
{
    q_text formula = {0};
    q_text_add(&formula, "x=Vi(1); p=Pm(1); ");
    for (size_t e = 0; e < count; e++) {
        q_text_add(&formula, "f%zu_0=%s; ", e, first[e].formula);
        for (int order = 1; order < ORDERS; order++)
            q_text_add(&formula, "f%zu_%d=%s(f%zu_%d,x,1); ", e, order, derivative, e, order - 1);
    }
    for (size_t e = 0; e < count; e++)
        for (int order = 0; order < ORDERS; order++)
            q_text_add(&formula, "%sRepeat_i(f%zu_%d)", e || order ? ", " : "", e, order);
    quern_operator *op = compile(formula.data, NULL);
    q_text_free(&formula);
    return op;
}

static size_t check_point(const entry *e, const point *p, const double *got, const char *derivative, quern_dtype dtype)
{
    double unit = dtype == QUERN_F32 ? 1e-5 : 2e-13; /* numbers down to 1e-29 are to be right */
    size_t wrong = 0;
    for (int order = 0; order < ORDERS; order++) {
        double expected = p->expected[order], slack = expected == 0 ? unit : fabs(expected) * unit;
        if (!p->stated[order] || got[order] == expected || fabs(got[order] - expected) <= slack) continue;
        print_error("%s at %g, order %d by %s: %.17g, not %.17g (%s)\n", e->formula, p->x, order, derivative,
                    got[order], expected, dtype == QUERN_F64 ? "float64" : "float32");
        wrong++;
    }
    return wrong;
}

static size_t check_entries(const entry *first, size_t count, const char *derivative, quern_dtype dtype)
{
    quern_operator *op = make_operator(first, count, derivative);
    size_t rows = 0, wrong = 0, row = 0, numbers;
    for (size_t e = 0; e < count; e++) rows += first[e].count;
    trial t = trial_create(op, dtype, (int64_t)rows, 1, 1);
    double *x = trial_data(&t, "x", &numbers);
    for (size_t e = 0; e < count; e++)
        for (size_t k = 0; k < first[e].count; k++) x[row++] = first[e].points[k].x;
    trial_set(&t, "p", 1);
    trial_run(&t);
    row = 0;
    for (size_t e = 0; e < count; e++)
        for (size_t k = 0; k < first[e].count; k++, row++) {
            double got[ORDERS];
            for (size_t order = 0; order < ORDERS; order++) got[order] = t.got[e * ORDERS + order][row];
            wrong += check_point(&first[e], &first[e].points[k], got, derivative, dtype);
        }
    trial_destroy(&t);
    quern_operator_destroy(&op);
    return wrong;
}

static void check_table(const char *derivative, quern_dtype dtype)
{
    need_type(dtype);
    size_t wrong = 0;
    for (size_t e = 0; e < entry_count; e += TOGETHER) {
        size_t left = entry_count - e;
        wrong += check_entries(&entries[e], left < TOGETHER ? left : TOGETHER, derivative, dtype);
    }
    assert_int_equal(wrong, 0);
}

static void on_the_device(void **state)
{
    (void)state;
    check_table("Grad", QUERN_F32);
    if (quern_context_device(context)->f64) check_table("Grad", QUERN_F64);
}

static void on_the_host(void **state)
{
    (void)state;
    need_device();
    context->options.host = QUERN_ON;
    check_table("Grad", QUERN_F32);
    check_table("Grad", QUERN_F64);
    check_table("Diff", QUERN_F32);
    check_table("Diff", QUERN_F64);
}

static int back_to_device(void **state)
{
    (void)state;
    if (context) context->options.host = QUERN_OFF;
    return 0;
}

// ---- what takes more than one number ----

/* 1 - nu/(nu - 1) r^2/(2 l^2) + ... with l = 2: Laplacians -9/l^2 and -5/l^2; mixed blocks 3/l^2 and 5/(3 l^2). */
static void matern(void **state)
{
    (void)state;
#define AT_0 "x=0,0,0 y=0,0,0 l=2"
#define KERNEL(nu) "x=Vi(3); y=Vj(3); l=Pm(1); k=Matern" nu "(SqDist(x,y),l); "
    static const value_row rows[] = {
        {KERNEL("32") "Sum_j(k), Grad(Sum_j(k),x,1), Sum_j(Laplacian(k,x)), Sum_j(Diff(Grad(k,x,1),y,1))", AT_0,
         "1 0 0 0 -2.25 0.75 0.75 0.75"},
        {KERNEL("52") "Sum_j(k), Grad(Sum_j(k),x,1), Sum_j(Laplacian(k,x)), Sum_j(Diff(Grad(k,x,1),y,1))", AT_0,
         "1 0 0 0 -1.25 0.41666666666666667 0.41666666666666667 0.41666666666666667"},
        {KERNEL("52") "Sum_j(Grad(Laplacian(k,x),x,1)), Sum_j(Grad(Laplacian(k,x),l,1))", AT_0, "0 0 0 1.25"},
    };
    check_value_rows(rows, Q_COUNT(rows));
#undef AT_0
#undef KERNEL
}

/* Of y0 y1 y2 (y3): the Hessian times u, and the third derivative applied to u twice; then by forward mode. */
static void products(void **state)
{
    (void)state;
#define HESSIAN                                                                                             \
    "y=Vj(1); u=Vj(1); p=Prod_j(y); a=Grad(p,y,1); b=Grad(Sum_j(a*u),y,1); p, a, b, Grad(Sum_j(b*u),y,1), " \
    "Diff(Diff(p,y,u),y,u), Diff(a,y,u)"
    static const value_row rows[] = {
        {HESSIAN, "y=0,2,3 u=1,1,1", "0 6 0 0 5 3 2 2 2 2 10 5 3 2"},
        {HESSIAN, "y=0,0,3 u=1,1,1", "0 0 0 0 3 3 0 2 2 2 6 3 3 0"},
        {HESSIAN, "y=0,0,0 u=1,1,1", "0 0 0 0 0 0 0 2 2 2 0 0 0 0"},
        {"y=Vj(1); Grad(Prod_j(y),y,1), ProdNonzero_j(y)", "y=0", "1 1"},
    };
    check_value_rows(rows, Q_COUNT(rows));
#undef HESSIAN
}

/* The square of a norm has no kink at 0. */
static void squares_of_norms(void **state)
{
    (void)state;
    static const value_row rows[] = {
        {"x=Vi(2); Grad(Grad(Norm2(x)**2,x,1),x,1), Laplacian(Norm2(x)*Norm2(x),x)", "x=0,0", "2 2 4"},
        {"x=Vi(2); Laplacian(Exp(-Norm2(x)**2),x), Laplacian(Powf(Norm2(x),2),x)", "x=0,0", "-4 4"},
        {"x=Vi(2); a=Sqrt(SqNorm2(x))**2; Laplacian(a,x), Grad(Laplacian(a*a,x),x,1)", "x=0,0", "4 0 0"},
        {"x=Vi(2); Laplacian(Norm2(x)**4,x), Laplacian(Norm2(x)**3,x)", "x=0,0", "0 0"},
        {"x=Vi(1); Sqrt(x)**2", "x=-1,4", "nan 4"},
    };
    check_value_rows(rows, Q_COUNT(rows));
}

/* Derivatives at large |x|, where the value has reached its limit in the type. */
static void saturation(void **state)
{
    (void)state;
#define THREE(f) "x=Vi(1); a=Grad(" f ",x,1); b=Grad(a,x,1); a, b, Diff(b,x,1)"
    static const value_row rows[] = {
        {THREE("Sigmoid(x)"), "x=40,-40",
         "4.24835425529158899e-18 4.24835425529158899e-18 -4.24835425529158899e-18 4.24835425529158899e-18 "
         "4.24835425529158899e-18 4.24835425529158899e-18"},
        {"x=Vi(1); a=Grad(Softplus(x),x,1); b=Grad(a,x,1); b, Diff(b,x,1)", "x=40,-40",
         "4.24835425529158899e-18 4.24835425529158899e-18 -4.24835425529158899e-18 4.24835425529158899e-18"},
        {THREE("Tanh(x)"), "x=20,-20",
         "1.69934170211663560e-17 1.69934170211663560e-17 -3.39868340423327119e-17 3.39868340423327119e-17 "
         "6.79736680846654238e-17 6.79736680846654238e-17"},
    };
    check_value_rows(rows, Q_COUNT(rows));
#undef THREE
}

/* A term of +inf, and none but -inf: the derivatives of LogSumExp are the weights 0, 1, 0, and of these 0. */
static void infinite_scales(void **state)
{
    (void)state;
#define TWO "y=Vj(1); a=Grad(LogSumExp_j(y),y,1); a, Grad(Sum_j(a*(J+1)),y,1)"
    static const value_row rows[] = {
        {TWO, "y=1,inf,2", "0 1 0 0 0 0"},
        {TWO, "y=-inf,-inf,-inf", "0 0 0 0 0 0"},
        {TWO, "y=1,-inf,2", "0.268941421369995121 0 0.731058578630004879 -0.393223866482963706 0 0.393223866482963706"},
        {"y=Vj(1); Diff(LogSumExp_j(y),y,1), Sum_j(Grad(LogSumExp_j(y),y,1)*Exp(-y))", "y=1,inf,2", "1 0"},
        {"y=Vj(1); SumSoftMaxWeight_j(y,J), LogSumExpWeight_j(y,2), Max_SumShiftExp_j(y)", "y=1,inf,2", "1 inf inf 1"},
        {"y=Vj(1); SumSoftMaxWeight_j(y,J), LogSumExpWeight_j(y,2), Max_SumShiftExp_j(y)", "y=-inf,-inf",
         "0 -inf -inf 0"},
        {"y=Vj(1); b=Vj(1); Grad(LogSumExpWeight_j(y,b),b,1), Grad(SumSoftMaxWeight_j(y,b),y,1)", "y=1,inf,2 b=4,2,4",
         "0 0.5 0 0 0 0"},
        {"y=Vj(1); LogSumExp_j(y), SumSoftMaxWeight_j(y,J)", "y=inf", "inf 0"},
    };
    check_value_rows(rows, Q_COUNT(rows));
#undef TWO
}

/* The mixed derivative of a power is 1 + log(a) at exponent 1, a(1 + 2 log(a)) at 2. */
static void powers(void **state)
{
    (void)state;
    static const value_row rows[] = {
        {"x=Vi(1); p=Vi(1); f=Powf(x,p); Grad(Grad(f,x,1),p,1), Grad(Grad(f,p,1),x,1), Diff(Diff(f,x,1),p,1), "
         "Diff(Diff(f,p,1),x,1)",
         "x=0,0,0 p=1,2,3", "-inf 0 0 -inf 0 0 -inf 0 0 -inf 0 0"},
        {"x=Vi(1); p=Vi(1); f=Powf(x,p); a=Grad(f,p,1); b=Grad(a,p,1); f, a, b, Grad(b,p,1)", "x=0,0,1 p=0.5,1,0",
         "0 0 1 0 0 0 0 0 0 0 0 0"},
    };
    check_value_rows(rows, Q_COUNT(rows));
}

/* The last knot belongs to the last span that is not empty; slopes there are those from the left. Outside all is 0. */
static void last_knots(void **state)
{
    (void)state;
#define BASIS(order) "x=Vi(1); t=Pm(6); B=BSpline(t,x," #order "); B, Diff(B,x,1)"
    static const value_row rows[] = {
        {BASIS(2), "x=1,1.5,-0.5,0 t=0,0,0,1,1,1", "0 0 1 0 0 0 0 0 0 1 0 0 0 -2 2 0 0 0 0 0 0 -2 2 0"},
        {BASIS(1), "x=2,1 t=0,0,1,2,2,2", "0 0 1 0 0 1 0 0 0 -1 1 0 0 -1 1 0"},
        {BASIS(1), "x=5 t=0,1,2,3,4,5", "0 0 0 0 0 0 0 -1"},
        {"x=Vi(1); t=Pm(3); BSpline(t,x,0)", "x=2,1,0,3 t=0,1,2", "0 1 0 1 1 0 0 0"},
        {"x=Vi(1); t=Pm(3); BSpline(t,x,0), BSpline(t,x,1)", "x=1,2 t=1,1,1", "0 0 0 0 0 0"}, /* no span at all */
    };
    check_value_rows(rows, Q_COUNT(rows));
#undef BASIS
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_in_the_table),
        cmocka_unit_test(on_the_device),
        cmocka_unit_test_teardown(on_the_host, back_to_device),
        cmocka_unit_test(matern),
        cmocka_unit_test(products),
        cmocka_unit_test(squares_of_norms),
        cmocka_unit_test(saturation),
        cmocka_unit_test(infinite_scales),
        cmocka_unit_test(powers),
        cmocka_unit_test(last_knots),
    };
    return cmocka_run_group_tests(tests, read_table, free_table);
}
