/*
 * test_scatter.c: sums whose terms go to one row each are those of a loop on the host, whatever the numbers are, and take a
 * small part of the pairs; formulas that only look like it take all.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quern/array.h"
#include "run_helpers.h"

enum { ROWS = 1100, COLUMNS = 16001 };

static double a[2 * COLUMNS], v[2 * COLUMNS], expected[2 * ROWS];
static char line[200]; /* of the log: the last one about such a pass */

static void listen(void *user, const char *text)
{
    (void)user;
    if (strstr(text, "by their numbers")) snprintf(line, sizeof line, "%s", text);
}

static quern_context *scattered;

static int open_logged(void **state)
{
    quern_context_options options = QUERN_DEFAULTS(quern_context_options);
    options.log = listen;
    if (open_context(state)) return -1;
    return context && quern_context_create(&scattered, &options) ? -1 : 0;
}

static int close_logged(void **state)
{
    quern_context_destroy(&scattered);
    return close_context(state);
}

/* Numbers of rows, of which some are those of no row, and values; few of both, so that sums are exact. */
static void fill(void)
{
    static const double odd[] = {NAN, INFINITY, -1, ROWS, 0.5, -0.0, 1e30, ROWS - 1};
    srand(3);
    for (int n = 0; n < 2 * COLUMNS; n++) {
        a[n] = n % 50 ? rand() % ROWS : odd[n / 50 % 8];
        v[n] = rand() % 100;
    }
    v[7] = NAN;
}

/* Adds w to the row that a number names. */
static void add(double number, int d, double w)
{
    if (number >= 0 && number < ROWS && number == floor(number)) expected[2 * (int)number + d] += w;
}

static void *convert(const double *from, size_t count, quern_dtype dtype)
{
    char *to = calloc(count, sizeof(double));
    for (size_t n = 0; n < count; n++) q_element_write(dtype, to + n * q_element_size(dtype), from[n]);
    return to;
}

/* Runs the formula with a = V(2), v = V(2) of the columns, and compares its first `dim` components with what is expected. */
static void check(const char *formula, char axis, int dim, quern_dtype dtype, bool device, bool is_scattered)
{
    quern_operator *op;
    void *ga = convert(a, 2 * COLUMNS, dtype), *gv = convert(v, 2 * COLUMNS, dtype), *got = calloc(2 * ROWS, 8);
    quern_view va = quern_view_of(ga, dtype, COLUMNS, 2), vv = quern_view_of(gv, dtype, COLUMNS, 2);
    quern_array *arrays[2] = {NULL, NULL};
    succeed(quern_compile(&op, scattered, formula, NULL));
    if (device) {
        succeed(quern_array_from(&arrays[0], scattered, va));
        succeed(quern_array_from(&arrays[1], scattered, vv));
        va = quern_array_view(arrays[0]), vv = quern_array_view(arrays[1]);
    }
    const char *size = axis == 'i' ? "M" : "N";
    line[0] = 0;
    succeed(quern_run(op, QUERN_ARGS({"a", va}, {"v", vv}, {size, quern_size(ROWS)}),
                      quern_view_of(got, dtype, ROWS, dim)));
    if ((*line != 0) != is_scattered) fail_msg("%s: the log says '%s'", formula, line);
    for (int n = 0; n < ROWS * dim; n++) {
        double want = expected[2 * (n / dim) + n % dim],
               is = q_element_read(dtype, (char *)got + (size_t)n * q_element_size(dtype));
        if (want != is && !(isnan(want) && isnan(is))) fail_msg("%s: number %d is %g, not %g", formula, n, is, want);
    }
    quern_array_destroy(&arrays[0]), quern_array_destroy(&arrays[1]);
    quern_operator_destroy(&op);
    free(ga), free(gv), free(got);
}

static void check_types(const char *formula, char axis, int dim, bool is_scattered)
{
    check(formula, axis, dim, QUERN_F32, false, is_scattered);
    check(formula, axis, dim, QUERN_F32, true, is_scattered);
    if (quern_context_device(context)->f64) check(formula, axis, dim, QUERN_F64, false, is_scattered);
}

static void sums_by_number(void **state)
{
    (void)state;
    need_device();
    fill();
    memset(expected, 0, sizeof expected);
    for (int j = 0; j < COLUMNS; j++)
        for (int d = 0; d < 2; d++) add(a[2 * j], d, v[2 * j + d]);
    check_types("a=Vj(2); v=Vj(2); Sum_j(Where(Elem(a,0)==I,v,0))", 'i', 2, true);
    check_types("a=Vi(2); v=Vi(2); Sum_i(Where(J==Elem(a,0),v,0))", 'j', 2, true);
    check_types("a=Vj(2); v=Vj(2); x=Sum_j(Where(Elem(a,0)==I,v,0)); x*2-x", 'i', 2, true);
}

static void two_numbers_of_a_column(void **state)
{
    (void)state;
    need_device();
    fill();
    memset(expected, 0, sizeof expected);
    for (int j = 0; j < COLUMNS; j++) add(a[2 * j], 0, v[2 * j]), add(a[2 * j + 1], 0, -v[2 * j + 1]);
    check_types("a=Vj(2); v=Vj(2); Sum_j(Where(Elem(a,0)==I,Elem(v,0),0)-Where(Elem(a,1)==I,Elem(v,1),0))", 'i', 1,
                true);
    memset(expected, 0, sizeof expected);
    v[7] = 0;
    for (int j = 0; j < COLUMNS; j++) add(a[2 * j + 1], 0, 1);
    check_types("a=Vj(2); v=Vj(2); Where(Sum_j(Where(J<=I,Elem(v,1),0))>=0,Sum_j(Elem(a,1)==I),7)", 'i', 1, false);
    check_types("a=Vj(2); v=Vj(2); Sum_j(Elem(a,1)==I)", 'i', 1, true);
}

/* What is not 0 in other rows is there. */
static void others_take_all_pairs(void **state)
{
    (void)state;
    need_device();
    fill();
    v[7] = 0;
    memset(expected, 0, sizeof expected);
    for (int i = 0; i < ROWS; i++) expected[2 * i] = COLUMNS;
    for (int j = 0; j < COLUMNS; j++) add(a[2 * j], 0, -1);
    check("a=Vj(2); v=Vj(2); Sum_j(Where(Elem(a,0)==I,0,1))", 'i', 1, QUERN_F32, false, false);
    check("a=Vj(2); v=Vj(2); Sum_j(Elem(a,0)!=I)", 'i', 1, QUERN_F32, false, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_by_number),
        cmocka_unit_test(two_numbers_of_a_column),
        cmocka_unit_test(others_take_all_pairs),
    };
    return cmocka_run_group_tests(tests, open_logged, close_logged);
}
