/*
 * vector_math.c: the error and the speed of functions on a device: quern's own on vectors of float (cl/math.cl), and the
 * device's where quern has none:
 *
 *     vector_math [--markdown | --sweep STEP | --time]
 *
 * A row of the table is a function with its method and the bound of its error in units of the last place (ulp) of
 * float32, whatever the operands are. The error is measured beside libm in float64, whose own is 2^-28 ulp of float32, at
 * special numbers, random bits, and numbers in the range where the function does most. NaN, infinities and the sign of zero
 * must be the same; denormal results may be off by the bound times the least number.
 *
 * --markdown prints the table of docs/numbers.md. --sweep takes every STEP-th of all 2^32 numbers for the functions of one
 * operand (with STEP 1 minutes each). --time prints nanoseconds per pair, with vector_math=0 and 1.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "run_helpers.h"

typedef struct row {
    const char *formula; /* of x and, where there are two operands, y */
    double (*one)(double);
    double (*two)(double, double);
    double low, high; /* where most numbers are taken from */
    double bound;     /* ulp */
    const char *method;
    double reach, beyond; /* where |x| is beyond the reach the built-in function has this bound; 0: it has no end */
    double slope;         /* ulp more for each unit of |x| */
} row;

static double exp_of_minus(double x)
{
    return exp(-fabs(x));
}

// clang-format off
static const row rows[] = {
    {"Exp(x)",     exp,   NULL,  -105, 90,  2,   "2^n 2^f with x log2(e) = n + f, n a multiple of 2^-5 (AVX-512), 2^-3 (AVX2) or 1; polynomial of degree 2, 3 or 6", 0, 0, 0.22},
    {"Exp(-Abs(x))", exp_of_minus, NULL, -105, 90, 2, "the same", 0, 0, 0.22},
    {"Log(x)",     log,   NULL,  0, 10,     1.5, "x = 2^n (1 + f), polynomial of degree 10 in f", 0, 0, 0},
    {"Log1p(x)",   log1p, NULL,  -1, 10,    2,   "the same, f by fused operations", 0, 0, 0},
    {"Expm1(x)",   expm1, NULL,  -20, 89,   2, "x = n ln 2 + r, polynomial of degree 7 in r", 0, 0, 0},
    {"Sin(x)",     sin,   NULL,  -200, 200, 2,   "x = n pi/2 + r (Cody and Waite), polynomials of degree 7 and 8; built-in beyond 2^16", 0x1p16, 4, 0},
    {"Cos(x)",     cos,   NULL,  -200, 200, 2,   "the same", 0x1p16, 4, 0},
    {"Tan(x)",     tan,   NULL,  -200, 200, 4,   "their quotient", 0x1p16, 5, 0},
    {"Asin(x)",    asin,  NULL,  -1, 1,     3,   "polynomial of degree 11; beyond 1/2 of sqrt((1 - x)/2)", 0, 0, 0},
    {"Acos(x)",    acos,  NULL,  -1, 1,     2,   "the same", 0, 0, 0},
    {"Atan(x)",    atan,  NULL,  -5, 5,     2,   "polynomial of degree 19, of 1/x beyond 1", 0, 0, 0},
    {"Atan2(x,y)", NULL,  atan2, -5, 5,     3,   "the same, of the quotient in its octant", 0, 0, 0},
    {"Sinh(x)",    sinh,  NULL,  -90, 90,   2,   "addition theorem of n ln 2 + r, polynomials of degree 7 and 6", 0, 0, 0},
    {"Cosh(x)",    cosh,  NULL,  -90, 90,   2.5, "the same", 0, 0, 0},
    {"Tanh(x)",    tanh,  NULL,  -9, 9,     3,   "t/(t + 2) with t = exp(2\\|x\\|) - 1", 0, 0, 0},
    {"Erf(x)",     erf,   NULL,  -4, 4,     2,   "polynomial of degree 11; beyond 7/8 1 - exp of one of degree 7", 0, 0, 0},
    {"Erfc(x)",    erfc,  NULL,  -4, 11,    5,   "1 - erf(x); beyond 1/2 exp(-x^2) times a polynomial of degree 9 in (\\|x\\| - 3)/(\\|x\\| + 3)", 0, 0, 0},
    {"Powf(x,y)",  NULL,  pow,   -8, 12,    1,   "2^(y log2 x) in float64; built-in without it", 0, 0, 0},
    {"Cbrt(x)",    cbrt,  NULL,  -10, 10,   1.5, "a step of Halley's method and one of Newton's", 0, 0, 0},
    {"Hypot(x,y)", NULL,  hypot, -5, 5,     1.5, "scaled by a power of 2", 0, 0, 0},
};
// clang-format on

/* ---- one batch: the function of `count` operands ---- */

enum { POINTS = 1 << 18 };

static quern_operator *make(const row *r, const char *form, const char *profile, int lanes)
{
    q_text text = {0};
    q_text_add(&text, form, r->formula);
    quern_compile_options options = {.size = sizeof options, .profile = profile, .lanes = lanes};
    quern_operator *op = compile(text.data, &options);
    q_text_free(&text);
    return op;
}

static void evaluate(quern_operator *op, const row *r, const float *x, const float *y, float *got, int64_t count)
{
    quern_arg args[] = {{"x", quern_f32(x, count, 1)}, {"y", quern_f32(y, count, 1)}};
    succeed(quern_run(op, (quern_args){args, r->two ? 2 : 1, 0, 0}, quern_f32(got, count, 1)));
}

/* The distance of neighbours of float32 at a number. */
static double last_place(double exact)
{
    int exponent;
    frexp(exact, &exponent);
    return ldexp(1, exponent - 24 < -149 ? -149 : exponent - 24);
}

/* The error in ulp; infinity where NaN, an infinity or the sign of zero differ. */
static double error_of(double exact, float got)
{
    if (isnan(exact) || isnan(got)) return isnan(exact) && isnan(got) ? 0 : INFINITY;
    if (isinf((float)exact) || isinf(got))
        return (float)exact == got ? 0 : fabs(exact) > 0.9999 * FLT_MAX ? 1 : INFINITY;
    if (exact == 0) return got == 0 && !signbit(exact) == !signbit(got) ? 0 : INFINITY;
    return fabs((double)got - exact) / last_place(exact);
}

static double bound_at(const row *r, float x)
{
    double size = fabs((double)x);
    if (r->reach > 0 && size > r->reach) return r->beyond;
    return r->slope > 0 && size < 1e3 ? r->bound + r->slope * size : r->bound;
}

typedef struct worst {
    double share; /* of the bound */
    double error;
    float x, y, got;
} worst;

static void compare(worst *w, const row *r, const float *x, const float *y, const float *got, int64_t count)
{
    for (int64_t n = 0; n < count; n++) {
        double exact = r->two ? r->two((double)x[n], (double)y[n]) : r->one((double)x[n]);
        double error = error_of(exact, got[n]), share = error / bound_at(r, x[n]);
        if (share > w->share) *w = (worst){share, error, x[n], y[n], got[n]};
    }
}

static float number_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* ---- the test ---- */

static const float special[] = {
    0,        -0.0f,      1,          -1,        2,           -2,         0.5f,         -0.5f,    3,
    -3,       NAN,        INFINITY,   -INFINITY, FLT_MAX,     -FLT_MAX,   FLT_MIN,      -FLT_MIN, 1e-45f,
    -1e-45f,  1e-40f,     65536,      65537,     1e6f,        1e30f,      -1e30f,       16777216, 16777218,
    88.72f,   88.73f,     89.41f,     89.42f,    -87.4f,      -103.9f,    -104.1f,      10.05f,   10.06f,
    0.875f,   1.5707964f, 3.1415927f, 100,       0.99999994f, 1.0000001f, -0.99999994f, 0x1p-25f, 0x1p-126f,
    33554432, 1e-30f,     -7.5f};

static float random_number(random_source *random, const row *r)
{
    if (random_below(random, 4) == 0) return number_of_bits((uint32_t)random_below(random, (size_t)1 << 32));
    return (float)random_between(random, r->low, r->high);
}

/* Every pair of special numbers, then random ones. */
static void fill(const row *r, float *x, float *y)
{
    random_source random = {5};
    for (size_t n = 0; n < POINTS; n++) {
        bool chosen = n < Q_COUNT(special) * Q_COUNT(special);
        x[n] = chosen ? special[n % Q_COUNT(special)] : random_number(&random, r);
        y[n] = chosen ? special[n / Q_COUNT(special)] : random_number(&random, r);
    }
}

/* Prints what was found; whether it is too much. */
static bool report(const row *r, const worst *w)
{
    printf("%s: %.3f ulp at x = %.9g, y = %.9g: %.9g; bound %g\n", r->formula, w->error, (double)w->x, (double)w->y,
           (double)w->got, bound_at(r, w->x));
    fflush(stdout);
    return w->share > 1;
}

/* Without it quern's own functions are not used, see cl/prelude.cl. */
static bool has_fused_multiply_add(void)
{
#if defined(__x86_64__) || defined(__i386__)
    return __builtin_cpu_supports("fma");
#else
    return true;
#endif
}

/* With so many lanes; 0: as many as the device prefers. */
static int count_faults(int lanes)
{
    float *x = calloc(POINTS, sizeof *x), *y = calloc(POINTS, sizeof *y), *got = calloc(POINTS, sizeof *got);
    assert_true(x && y && got);
    int faults = 0;
    for (size_t n = 0; n < Q_COUNT(rows); n++) {
        const row *r = &rows[n];
        quern_operator *op = make(r, r->two ? "x=Vi(1); y=Vi(1); %s" : "x=Vi(1); %s", NULL, lanes);
        worst w = {0};
        fill(r, x, y);
        evaluate(op, r, x, y, got, POINTS);
        compare(&w, r, x, y, got, POINTS);
        faults += report(r, &w);
        quern_operator_destroy(&op);
    }
    free(x), free(y), free(got);
    return faults;
}

static void errors_are_within_bounds(void **state)
{
    (void)state;
    need_device();
    if (!takes_lanes() || !has_fused_multiply_add()) skip();
    int faults = count_faults(0) + count_faults(8) + count_faults(4);
    if (faults) fail_msg("%d functions are beyond their bounds", faults);
}

/* ---- the table of docs/numbers.md ---- */

static void print_table(q_text *out)
{
    q_text_add(out, "| function | method | bound, ulp |\n|---|---|---|\n");
    for (size_t n = 0; n < Q_COUNT(rows); n++) {
        q_text_add(out, "| `%s` | %s | %g", rows[n].formula, rows[n].method, rows[n].bound);
        if (rows[n].reach > 0) q_text_add(out, "; %g", rows[n].beyond);
        if (rows[n].slope > 0) q_text_add(out, " + %g \\|x\\|", rows[n].slope);
        q_text_add(out, " |\n");
    }
}

static void the_document_has_the_table(void **state)
{
    (void)state;
    char *path = test_path("../docs/numbers.md");
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("%s cannot be read", path);
    static char document[1 << 17];
    document[fread(document, 1, sizeof document - 1, file)] = 0;
    fclose(file);
    free(path);
    q_text table = {0};
    print_table(&table);
    if (!strstr(document, table.data))
        fail_msg("docs/numbers.md lacks the table of `vector_math --markdown`:\n%s", table.data);
    q_text_free(&table);
}

/* ---- options ---- */

static int64_t step;

static void sweep(void **state)
{
    (void)state;
    need_device();
    float *x = calloc(POINTS, sizeof *x), *got = calloc(POINTS, sizeof *got);
    assert_true(x && got);
    int faults = 0;
    for (size_t n = 0; n < Q_COUNT(rows); n++) {
        const row *r = &rows[n];
        if (r->two) continue;
        quern_operator *op = make(r, "x=Vi(1); %s", NULL, 0);
        worst w = {0};
        for (int64_t bits = 0; bits < (int64_t)1 << 32; bits += POINTS * step) {
            for (int64_t k = 0; k < POINTS; k++) x[k] = number_of_bits((uint32_t)(bits + k * step));
            evaluate(op, r, x, x, got, POINTS);
            compare(&w, r, x, x, got, POINTS);
        }
        faults += report(r, &w);
        quern_operator_destroy(&op);
    }
    free(x), free(got);
    if (faults) fail_msg("%d functions are beyond their bounds", faults);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

enum { SIDE = 2048, RUNS = 7 };

/* Least of some runs after the first, which builds. */
static double time_of(const row *r, const char *profile, const float *x, const float *y, float *got)
{
    quern_operator *op =
        make(r, r->two ? "x=Vi(1); y=Vj(1); Sum_j(%s)" : "a=Vi(1); b=Vj(1); x=a+b; Sum_j(%s)", profile, 0);
    const char *names[] = {r->two ? "x" : "a", r->two ? "y" : "b"};
    double least = INFINITY;
    for (int run = 0; run < RUNS; run++) {
        double start = seconds();
        succeed(quern_run(op, QUERN_ARGS({names[0], quern_f32(x, SIDE, 1)}, {names[1], quern_f32(y, SIDE, 1)}),
                          quern_f32(got, SIDE, 1)));
        if (run) least = fmin(least, seconds() - start);
    }
    quern_operator_destroy(&op);
    return least / SIDE / SIDE * 1e9;
}

static void times(void **state)
{
    (void)state;
    need_device();
    random_source random = {1};
    float x[SIDE], y[SIDE], got[SIDE];
    for (size_t n = 0; n < Q_COUNT(rows); n++) {
        const row *r = &rows[n];
        double low = fmax(r->low, -10), high = fmin(r->high, 10), share = r->two ? 1 : 0.5;
        for (size_t k = 0; k < SIDE; k++) {
            x[k] = (float)(share * random_between(&random, r->two ? 0 : low, high));
            y[k] = (float)(share * random_between(&random, low, high));
        }
        double theirs = time_of(r, "vector_math=0", x, y, got), own = time_of(r, "vector_math=1", x, y, got);
        printf("%-12s built-in %7.3f ns a pair, own %7.3f\n", r->formula, theirs, own);
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest check[] = {cmocka_unit_test(errors_are_within_bounds),
                                       cmocka_unit_test(the_document_has_the_table)};
    const struct CMUnitTest swept[] = {cmocka_unit_test(sweep)};
    const struct CMUnitTest timed[] = {cmocka_unit_test(times)};
    bool timing = argc == 2 && strcmp(argv[1], "--time") == 0;
    if (argc == 2 && strcmp(argv[1], "--markdown") == 0) {
        q_text table = {0};
        print_table(&table);
        fputs(table.data, stdout);
        q_text_free(&table);
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "--sweep") == 0) step = atoll(argv[2]);
    if (argc > 1 && !timing && step < 1)
        return fprintf(stderr, "usage: vector_math [--markdown | --sweep STEP | --time]\n"), 2;
    if (timing) return cmocka_run_group_tests(timed, open_context, close_context);
    if (step) return cmocka_run_group_tests(swept, open_context, close_context);
    return cmocka_run_group_tests(check, open_context, close_context);
}
