/*
 * test_mpfr.c: the evaluator of every elementwise row of ops.def, which is the oracle of all other tests, against MPFR
 * in 300 bits: random points of its whole domain and special ones. The bound of each row, in units of the last place
 * of double, stands in the table; a row that MPFR has no function for is made of those that it has.
 */
#include <float.h>
#include <math.h>
#include <mpfr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helpers.h"

enum { BITS = 300, POINTS = 3000 };

/* r = op(a, b, c; k); a is changed at will. */
typedef void exact(mpfr_t r, mpfr_t a, mpfr_t b, mpfr_t c, int32_t k);

#define EXACT(name, ...)                                                        \
    static void exact_##name(mpfr_t r, mpfr_t a, mpfr_t b, mpfr_t c, int32_t k) \
    {                                                                           \
        (void)a, (void)b, (void)c, (void)k;                                     \
        __VA_ARGS__;                                                            \
    }
#define ONE(name, f) EXACT(name, f(r, a, MPFR_RNDN))
#define TWO(name, f) EXACT(name, f(r, a, b, MPFR_RNDN))

// clang-format off
TWO(Add, mpfr_add)
TWO(Subtract, mpfr_sub)
TWO(Mult, mpfr_mul)
TWO(Divide, mpfr_div)
ONE(Minus, mpfr_neg)
ONE(Square, mpfr_sqr)
EXACT(Inv, mpfr_ui_div(r, 1, a, MPFR_RNDN))
EXACT(Pow, mpfr_pow_si(r, a, k, MPFR_RNDN))
TWO(Powf, mpfr_pow)
ONE(Exp, mpfr_exp)
ONE(Log, mpfr_log)
ONE(Expm1, mpfr_expm1)
ONE(Log1p, mpfr_log1p)
ONE(Sqrt, mpfr_sqrt)
ONE(Cbrt, mpfr_cbrt)
TWO(Hypot, mpfr_hypot)
ONE(Abs, mpfr_abs)
EXACT(Floor, mpfr_floor(r, a))
EXACT(Ceil, mpfr_ceil(r, a))
EXACT(Trunc, mpfr_trunc(r, a))
ONE(Sin, mpfr_sin)
ONE(Cos, mpfr_cos)
ONE(Tan, mpfr_tan)
ONE(Asin, mpfr_asin)
ONE(Acos, mpfr_acos)
ONE(Asinh, mpfr_asinh)
ONE(Atanh, mpfr_atanh)
ONE(Atan, mpfr_atan)
TWO(Atan2, mpfr_atan2)
ONE(Sinh, mpfr_sinh)
ONE(Cosh, mpfr_cosh)
ONE(Tanh, mpfr_tanh)
ONE(Erf, mpfr_erf)
ONE(Erfc, mpfr_erfc)
EXACT(BesselJ, mpfr_jn(r, k, a, MPFR_RNDN))
EXACT(Sign, mpfr_set_si(r, mpfr_sgn(a), MPFR_RNDN))
EXACT(Step, mpfr_set_si(r, mpfr_sgn(a) >= 0, MPFR_RNDN))
EXACT(LogRatio, if (!mpfr_equal_p(a, b)) mpfr_sub(r, a, b, MPFR_RNDN);
      else if (mpfr_inf_p(a) && mpfr_sgn(a) < 0) mpfr_set(r, a, MPFR_RNDN); else mpfr_set_zero(r, 1))
EXACT(Finite, if (mpfr_number_p(a)) mpfr_set(r, a, MPFR_RNDN); else mpfr_set_zero(r, 1))
EXACT(IfElse, mpfr_set(r, mpfr_sgn(a) >= 0 ? b : c, MPFR_RNDN))
EXACT(Where, mpfr_set(r, mpfr_zero_p(a) ? c : b, MPFR_RNDN))
EXACT(Equal, mpfr_set_si(r, mpfr_equal_p(a, b), MPFR_RNDN))
EXACT(NotEqual, mpfr_set_si(r, !mpfr_equal_p(a, b), MPFR_RNDN))
EXACT(LessThan, mpfr_set_si(r, mpfr_less_p(a, b), MPFR_RNDN))
EXACT(LessOrEqual, mpfr_set_si(r, mpfr_lessequal_p(a, b), MPFR_RNDN))
EXACT(XLogX, if (mpfr_zero_p(a)) mpfr_set_zero(r, 1); else mpfr_log(r, a, MPFR_RNDN), mpfr_mul(r, r, a, MPFR_RNDN))
EXACT(Rsqrt, if (mpfr_zero_p(a)) mpfr_set_zero(r, 1); else mpfr_rec_sqrt(r, a, MPFR_RNDN))
EXACT(ReLU, if (mpfr_sgn(a) < 0) mpfr_set_zero(r, 1); else mpfr_set(r, a, MPFR_RNDN))
EXACT(Lgamma, int sign; mpfr_lgamma(r, &sign, a, MPFR_RNDN))
EXACT(Round, mpfr_set_si(r, 10, MPFR_RNDN); mpfr_pow_si(r, r, k, MPFR_RNDN); mpfr_mul(a, a, r, MPFR_RNDN);
      mpfr_round(a, a); mpfr_div(r, a, r, MPFR_RNDN))
// clang-format on

static void exact_Sigmoid(mpfr_t r, mpfr_t a, mpfr_t b, mpfr_t c, int32_t k)
{
    (void)b, (void)c, (void)k;
    mpfr_neg(a, a, MPFR_RNDN);
    mpfr_exp(r, a, MPFR_RNDN);
    mpfr_add_ui(r, r, 1, MPFR_RNDN);
    mpfr_ui_div(r, 1, r, MPFR_RNDN);
}

static void exact_Softplus(mpfr_t r, mpfr_t a, mpfr_t b, mpfr_t c, int32_t k)
{
    (void)b, (void)c, (void)k;
    mpfr_exp(r, a, MPFR_RNDN);
    mpfr_log1p(r, r, MPFR_RNDN);
}

/* The Taylor series of the k-th derivative: 300 bits outweigh its cancellation for |x| < 60. */
static void exact_SinXDivXD(mpfr_t r, mpfr_t a, mpfr_t b, mpfr_t c, int32_t k)
{
    mpfr_t term;
    (void)b, (void)c;
    mpfr_init2(term, BITS);
    mpfr_set_zero(r, 1);
    for (long j = (k + 1) / 2; j < 250; j++) {
        mpfr_pow_si(term, a, 2 * j - k, MPFR_RNDN);
        for (long d = 1; d <= 2 * j - k; d++) mpfr_div_si(term, term, d, MPFR_RNDN);
        mpfr_div_si(term, term, j % 2 ? -(2 * j + 1) : 2 * j + 1, MPFR_RNDN);
        mpfr_add(r, r, term, MPFR_RNDN);
    }
    mpfr_clear(term);
}

/* For k > 0 (-1)^(k+1) k! sum 1/(x+n)^(k+1), its tail by the integral and Euler-Maclaurin corrections: three of them
   after 2000 terms are worth 25 digits. */
static void exact_Polygamma(mpfr_t r, mpfr_t a, mpfr_t b, mpfr_t c, int32_t k)
{
    enum { TERMS = 2000 };
    if (k == 0) {
        mpfr_digamma(r, a, MPFR_RNDN);
        return;
    }
    mpfr_set_zero(r, 1);
    for (int n = 0; n < TERMS; n++) {
        mpfr_pow_si(b, a, -(k + 1), MPFR_RNDN);
        mpfr_add(r, r, b, MPFR_RNDN);
        mpfr_add_ui(a, a, 1, MPFR_RNDN);
    }
    /* a^-k / k + a^-(k+1) / 2 + (k+1) a^-(k+2) / 12 - (k+1)(k+2)(k+3) a^-(k+4) / 720 + ... / 30240 */
    static const long divisor[] = {12, -720, 30240};
    mpfr_pow_si(b, a, -k, MPFR_RNDN);
    mpfr_div_si(c, b, k, MPFR_RNDN);
    mpfr_add(r, r, c, MPFR_RNDN);
    mpfr_div(b, b, a, MPFR_RNDN);
    mpfr_div_si(c, b, 2, MPFR_RNDN);
    mpfr_add(r, r, c, MPFR_RNDN);
    long factor = k + 1;
    for (int n = 0; n < 3; n++) {
        mpfr_mul_si(b, b, factor, MPFR_RNDN);
        mpfr_div(b, b, a, MPFR_RNDN);
        mpfr_div_si(c, b, divisor[n], MPFR_RNDN);
        mpfr_add(r, r, c, MPFR_RNDN);
        mpfr_div(b, b, a, MPFR_RNDN);
        factor = (k + 2 * n + 2) * (k + 2 * n + 3);
    }
    for (int d = 2; d <= k; d++) mpfr_mul_si(r, r, d, MPFR_RNDN);
    if (k % 2 == 0) mpfr_neg(r, r, MPFR_RNDN);
}

EXACT(MultNoNan, if (mpfr_zero_p(a) || mpfr_zero_p(b)) mpfr_set_zero(r, 1); else mpfr_mul(r, a, b, MPFR_RNDN))
EXACT(DivNoNan, if (mpfr_zero_p(b)) mpfr_set_zero(r, 1); else mpfr_div(r, a, b, MPFR_RNDN))
EXACT(Powf0, if (mpfr_zero_p(a)) mpfr_set_si(r, mpfr_zero_p(b), MPFR_RNDN); else mpfr_pow(r, a, b, MPFR_RNDN))

static void clamp_unit(mpfr_t r)
{
    if (mpfr_cmp_si(r, 1) > 0) mpfr_set_si(r, 1, MPFR_RNDN);
    if (mpfr_cmp_si(r, -1) < 0) mpfr_set_si(r, -1, MPFR_RNDN);
}

EXACT(ClampUnit, mpfr_set(r, a, MPFR_RNDN); clamp_unit(r))
EXACT(UnitCosine, mpfr_add(b, b, c, MPFR_RNDN); mpfr_ui_sub(b, 2, b, MPFR_RNDN); mpfr_mul(r, a, b, MPFR_RNDN);
      mpfr_div_2ui(r, r, 1, MPFR_RNDN); clamp_unit(r))

static void exact_Acosh1p(mpfr_t r, mpfr_t a, mpfr_t b, mpfr_t c, int32_t k)
{
    (void)b, (void)c, (void)k;
    mpfr_add_ui(a, a, 1, MPFR_RNDN);
    mpfr_acosh(r, a, MPFR_RNDN);
}

/* The sum of (n + i)! / (i! (n - i)!) (2s)^(n - i) over i, times n! / (2n)! exp(-s); for k = -n - 1 it is times
   (-1)^(n+1) (1 3 ... (2n - 1)) (3 5 ... (2n + 1)) s^(-2n - 1). */
static void exact_Matern(mpfr_t r, mpfr_t a, mpfr_t b, mpfr_t c, int32_t k)
{
    long n = k < 0 ? -k - 1 : k;
    mpfr_sqrt(a, a, MPFR_RNDN);
    mpfr_set_zero(r, 1);
    for (long i = 0; i <= n; i++) {
        mpfr_mul_si(b, a, 2, MPFR_RNDN);
        mpfr_pow_si(b, b, n - i, MPFR_RNDN);
        for (long f = n - i + 1; f <= n + i; f++) mpfr_mul_si(b, b, f, MPFR_RNDN);
        for (long f = 2; f <= i; f++) mpfr_div_si(b, b, f, MPFR_RNDN);
        mpfr_add(r, r, b, MPFR_RNDN);
    }
    for (long f = n + 1; f <= 2 * n; f++) mpfr_div_si(r, r, f, MPFR_RNDN);
    mpfr_neg(c, a, MPFR_RNDN);
    mpfr_exp(c, c, MPFR_RNDN);
    mpfr_mul(r, r, c, MPFR_RNDN);
    if (k >= 0) return;
    for (long f = 1; f <= n; f++) mpfr_mul_si(r, r, -(2 * f - 1) * (2 * f + 1), MPFR_RNDN);
    mpfr_pow_si(c, a, -2 * n - 1, MPFR_RNDN);
    mpfr_mul(r, r, c, MPFR_RNDN);
    mpfr_neg(r, r, MPFR_RNDN);
}

static const struct row {
    q_op op;
    exact *f;
    double low, high; /* of the first operand; 0 and 0: any double */
    double ulps;      /* relative to `size`, where that is more than the result */
    double size;
    int32_t k;
} rows[] = {
#define ROW(name, low, high, ulps, size, k)                 \
    {                                                       \
        Q_OP_##name, exact_##name, low, high, ulps, size, k \
    }
    ROW(Add, 0, 0, 0.5, 0, 0),
    ROW(Subtract, 0, 0, 0.5, 0, 0),
    ROW(Mult, 0, 0, 0.5, 0, 0),
    ROW(Divide, 0, 0, 0.5, 0, 0),
    ROW(Minus, 0, 0, 0, 0, 0),
    ROW(Square, 0, 0, 0.5, 0, 0),
    ROW(Inv, 0, 0, 0.5, 0, 0),
    ROW(Pow, -50, 50, 4, 0, 7),
    ROW(Pow, -50, 50, 4, 0, -5),
    ROW(Powf, 0.01, 90, 1, 0, 0),
    ROW(Exp, -700, 700, 1, 0, 0),
    ROW(Log, 0, 0, 1, 0, 0),
    ROW(Expm1, -40, 700, 2, 0, 0),
    ROW(Log1p, -1, 1e9, 2, 0, 0),
    ROW(XLogX, 0, 1e9, 2, 0, 0),
    ROW(Sqrt, 0, 0, 0.5, 0, 0),
    ROW(Rsqrt, 0, 0, 1.5, 0, 0),
    ROW(Cbrt, 0, 0, 4, 0, 0),
    ROW(Hypot, 0, 0, 1, 0, 0),
    ROW(Abs, 0, 0, 0, 0, 0),
    ROW(Sign, 0, 0, 0, 0, 0),
    ROW(Step, 0, 0, 0, 0, 0),
    ROW(ReLU, 0, 0, 0, 0, 0),
    ROW(Floor, 0, 0, 0, 0, 0),
    ROW(Ceil, 0, 0, 0, 0, 0),
    ROW(Trunc, 0, 0, 0, 0, 0),
    ROW(Round, -1e6, 1e6, 1, 0, 3),
    ROW(Round, -1e6, 1e6, 1, 0, -2),
    ROW(Finite, 0, 0, 0, 0, 0),
    ROW(Sin, -1e5, 1e5, 1, 0, 0),
    ROW(Cos, -1e5, 1e5, 1, 0, 0),
    ROW(Tan, -1e5, 1e5, 1, 0, 0),
    ROW(Asin, -1, 1, 1, 0, 0),
    ROW(Acos, -1, 1, 1, 0, 0),
    ROW(Atan, 0, 0, 1, 0, 0),
    ROW(Atan2, 0, 0, 1, 0, 0),
    ROW(SinXDivXD, -60, 60, 4, 0.5, 0),
    ROW(SinXDivXD, -60, 60, 12, 0.5, 1),
    ROW(SinXDivXD, -60, 60, 30, 0.3, 2),
    ROW(SinXDivXD, -60, 60, 99, 0.2, 4),
    ROW(SinXDivXD, -60, 60, 400, 0.1, 8),
    ROW(Sinh, -700, 700, 2, 0, 0),
    ROW(Cosh, -700, 700, 2, 0, 0),
    ROW(Tanh, -30, 30, 2, 0, 0),
    ROW(Sigmoid, -700, 700, 3, 0, 0),
    ROW(Softplus, -700, 700, 2, 0, 0),
    ROW(Erf, -7, 7, 1, 0, 0),
    ROW(Erfc, -7, 25, 5, 0, 0),
    ROW(Lgamma, 0, 1e9, 8, 1, 0),
    ROW(Polygamma, 1e-9, 1e9, 8, 1, 0),
    ROW(Polygamma, 1e-3, 300, 16, 0, 1),
    ROW(Polygamma, 1e-3, 300, 32, 0, 2),
    ROW(Polygamma, 1e-3, 300, 64, 0, 5),
    ROW(BesselJ, -90, 90, 8, 1, 0),
    ROW(BesselJ, -90, 90, 8, 1, 3),
    ROW(BesselJ, -90, 90, 32, 1, -16),
    ROW(IfElse, 0, 0, 0, 0, 0),
    ROW(Where, 0, 0, 0, 0, 0),
    ROW(Equal, 0, 0, 0, 0, 0),
    ROW(NotEqual, 0, 0, 0, 0, 0),
    ROW(LessThan, 0, 0, 0, 0, 0),
    ROW(LessOrEqual, 0, 0, 0, 0, 0),
    ROW(MultNoNan, 0, 0, 0.5, 0, 0),
    ROW(DivNoNan, 0, 0, 0.5, 0, 0),
    ROW(Powf0, 0.01, 90, 1, 0, 0),
    ROW(Acosh1p, 0, 1e9, 3, 0, 0),
    ROW(Asinh, -1e9, 1e9, 2, 0, 0),
    ROW(Atanh, -1, 1, 2, 0, 0),
    ROW(ClampUnit, -3, 3, 0, 0, 0),
    ROW(UnitCosine, 0.01, 0.4, 3, 1, 0),
    ROW(Matern, 0, 4000, 40, 0, 0),
    ROW(Matern, 0, 4000, 40, 0, 1),
    ROW(Matern, 0, 4000, 40, 0, 2),
    ROW(Matern, 0, 4000, 40, 0, 5),
    ROW(Matern, 1e-9, 4000, 40, 0, -1),
    ROW(Matern, 1e-9, 4000, 40, 0, -4),
    ROW(LogRatio, 0, 0, 0.5, 0, 0),
#undef ROW
};

static const double specials[] = {0.0,      -0.0,     1, -1, 0.5, -0.5, 2, 1e-300, 1e300, -1e-9, 3, 4503599627370497.5,
                                  INFINITY, -INFINITY};

static double random_operand(random_source *random, double low, double high, int n)
{
    if (low == 0 && high == 0) {
        if (n < (int)(Q_COUNT(specials) * Q_COUNT(specials))) return specials[(size_t)n % Q_COUNT(specials)];
        double size = exp(random_between(random, -200, 200));
        return random_below(random, 2) ? size : -size;
    }
    double x = random_between(random, 0, 1);
    /* half of the points near 0 */
    return n % 2 ? low + x * (high - low) : fmax(low, fmin(high, (random_below(random, 2) ? 1 : -1) * exp(-25 * x)));
}

static double unit_of(double x)
{
    return fmax(nextafter(fabs(x), INFINITY) - fabs(x), DBL_MIN * DBL_EPSILON);
}

static void check_point(const struct row *row, const double x[3], mpfr_t *m)
{
    for (int a = 0; a < 3; a++) mpfr_set_d(m[a + 1], x[a], MPFR_RNDN);
    row->f(m[0], m[1], m[2], m[3], row->k);
    double got = q_ops[row->op].evaluate(x[0], x[1], x[2], row->k, 0), expected = mpfr_get_d(m[0], MPFR_RNDN);
    if (got == expected || (isnan(got) && isnan(expected))) return;
    bool special = !isfinite(got) || !isfinite(expected);
    mpfr_sub_d(m[0], m[0], got, MPFR_RNDN);
    double error = fabs(mpfr_get_d(m[0], MPFR_RNDN)) / unit_of(fmax(fabs(expected), row->size));
    if (special || !(error <= row->ulps))
        fail_msg("%s(%.17g,%.17g,%.17g;%d) = %.17g, not %.17g: %g ulp", q_ops[row->op].name, x[0], x[1], x[2], row->k,
                 got, expected, error);
}

static void every_elementwise_row(void **state)
{
    (void)state;
    bool seen[Q_OP_REDUCTION] = {false};
    mpfr_t m[4];
    for (int n = 0; n < 4; n++) mpfr_init2(m[n], BITS);
    for (size_t r = 0; r < Q_COUNT(rows); r++) {
        const struct row *row = &rows[r];
        random_source random = {r};
        int points = row->f == exact_Polygamma && row->k ? 60 : row->f == exact_SinXDivXD ? 400 : POINTS;
        for (int n = 0; n < points; n++) {
            double x[3] = {random_operand(&random, row->low, row->high, n)};
            int across = n / (int)Q_COUNT(specials); /* each special value with each */
            x[1] = row->op == Q_OP_Powf || row->op == Q_OP_Powf0
                       ? random_between(&random, -9, 9)
                       : random_operand(&random, 0, 0, across < 14 ? across : n);
            x[2] = random_operand(&random, 0, 0, n + 1);
            check_point(row, x, m);
        }
        seen[row->op] = true;
    }
    for (int n = 0; n < 4; n++) mpfr_clear(m[n]);
    mpfr_free_cache();
    for (int op = 1; op < Q_OP_REDUCTION; op++)
        if (q_ops[op].kind == Q_KIND_ELEMENTWISE && !seen[op]) fail_msg("%s needs a row", q_ops[op].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_elementwise_row)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
