/*
 * test_functions.c: functions that are more than a line of ops.def, against what mathematics says of them: special
 * functions of the host (formula/special.c) by integrals and identities, B-splines, soft dynamic time warping by a
 * direct dynamic program.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helpers.h"

static const long double pi = 3.14159265358979323846264338327950288L;

static void close_to(const char *what, double at, int k, double got, long double expected, double tolerance)
{
    long double error = fabsl((long double)got - expected);
    if (!(error <= tolerance * fmaxl(fabsl(expected), tolerance * 1e-3)))
        fail_msg("%s(%.17g), order %d: %.17g, not %.17Lg", what, at, k, got, expected);
}

// ---- special functions ----

/* The k-th derivative of sin(x)/x is the integral of t^k cos(x t + k pi/2) over [0, 1]: Simpson's rule has an error of
   (x/n)^4 here, extrapolated twice. */
static long double sinc_by_integral(long double x, int k)
{
    long double sums[3];
    for (int level = 0; level < 3; level++) {
        int n = 4000 << level;
        long double sum = 0;
        for (int s = 0; s <= n; s++) {
            long double t = (long double)s / n, f = powl(t, k) * cosl(x * t + k * pi / 2);
            sum += f * (s == 0 || s == n ? 1 : s % 2 ? 4 : 2);
        }
        sums[level] = sum / (3.0L * n);
    }
    long double a = sums[1] + (sums[1] - sums[0]) / 15, b = sums[2] + (sums[2] - sums[1]) / 15;
    return b + (b - a) / 63;
}

/* Absolutely: the functions are at most 1/(k+1), and cross 0. */
static void derivatives_of_sinc(void **state)
{
    (void)state;
    static const double points[] = {0,   1e-300, 1e-9, 1e-5, 1e-3, 0.01, 0.1, 0.3, 0.49, 0.51,
                                    0.9, 1.01,   1.6,  2.4,  3.3,  5.5,  9.9, 20,  40};
    for (int k = 0; k <= 8; k++)
        for (size_t n = 0; n < 2 * Q_COUNT(points); n++) {
            double x = n % 2 ? -points[n / 2] : points[n / 2], got = q_host_sinc(x, k);
            long double expected = sinc_by_integral((long double)x, k);
            if (!(fabsl((long double)got - expected) <= 2e-13L))
                fail_msg("sinc(%g), order %d: %.17g, not %.17Lg", x, k, got, expected);
        }
    /* at 0 the odd ones vanish, and the even ones are (-1)^(k/2) / (k + 1) */
    for (int k = 0; k <= 20; k++)
        close_to("sinc", 0, k, q_host_sinc(0, k), k % 2 ? 0 : (k % 4 ? -1.0L : 1.0L) / (k + 1), 1e-15);
}

static long double factorial(int k)
{
    return k < 2 ? 1 : k * factorial(k - 1);
}

static void polygamma_functions(void **state)
{
    (void)state;
    static const long double euler = 0.577215664901532860606512090082402431L,
                             zeta3 = 1.202056903159594285399738161511449991L;
    close_to("Digamma", 1, 0, q_host_polygamma(1, 0), -euler, 2e-15);
    close_to("Digamma", 0.5, 0, q_host_polygamma(0.5, 0), -euler - 2 * logl(2), 2e-15);
    close_to("Polygamma", 1, 1, q_host_polygamma(1, 1), pi * pi / 6, 2e-15);
    close_to("Polygamma", 0.5, 1, q_host_polygamma(0.5, 1), pi * pi / 2, 2e-15);
    close_to("Polygamma", 1, 2, q_host_polygamma(1, 2), -2 * zeta3, 2e-15);
    close_to("Polygamma", 0.5, 2, q_host_polygamma(0.5, 2), -14 * zeta3, 2e-15);
    close_to("Polygamma", 1, 3, q_host_polygamma(1, 3), powl(pi, 4) / 15, 2e-15);
    random_source random = {5};
    for (int n = 0; n < 2000; n++) {
        int k = (int)random_below(&random, 12);
        double x = exp(random_between(&random, -3, 5)), sign = k % 2 ? -1 : 1;
        /* psi_k(x+1) = psi_k(x) + (-1)^k k! / x^(k+1), and Legendre's duplication */
        double next = q_host_polygamma(x + 1, k), self = q_host_polygamma(x, k),
               step = sign * (double)(factorial(k) / powl(x, k + 1));
        if (!(fabs(next - self - step) <= 4e-15 * (fabs(self) + fabs(step)) + 8 * fabs(x + 1 - x - 1) * fabs(self)))
            fail_msg("Polygamma(%.17g,%d): %.17g and %.17g at x+1", x, k, self, next);
        double twice = exp2(k + 1) * q_host_polygamma(2 * x, k), half = q_host_polygamma(x + 0.5, k);
        double expected = self + half + (k ? 0 : 2 * log(2)), size = fabs(self) + fabs(half) + 2;
        if (!(fabs(twice - expected) <= 2e-14 * (k ? fabs(self) : size)))
            fail_msg("Polygamma(%g,%d) at 2x: %.17g, not %.17g", x, k, twice, expected);
    }
    assert_true(isnan(q_host_polygamma(1, -1)) && isnan(q_host_polygamma(1, 21)) && isnan(q_host_polygamma(-100, 0)));
    assert_true(isnan(q_host_polygamma(NAN, 0)) && isinf(q_host_polygamma(0, 0)));
}

/* The recurrences in the order and for the derivative. */
static void bessel_functions(void **state)
{
    (void)state;
    random_source random = {6};
    for (int n = 0; n < 2000; n++) {
        int k = (int)random_below(&random, 30) - 15;
        double x = random_between(&random, -90, 90), h = 1e-4;
        double sum = q_host_besselj(x, k - 1) + q_host_besselj(x, k + 1), middle = 2 * k / x * q_host_besselj(x, k);
        if (!(fabs(sum - middle) <= 1e-12)) fail_msg("BesselJ(%g,%d): %g, not %g", x, k, sum, middle);
        double slope = (q_host_besselj(x + h, k) - q_host_besselj(x - h, k)) / (2 * h);
        double expected = (q_host_besselj(x, k - 1) - q_host_besselj(x, k + 1)) / 2;
        if (!(fabs(slope - expected) <= 1e-8)) fail_msg("BesselJ'(%g,%d): %g, not %g", x, k, slope, expected);
    }
    assert_true(q_host_besselj(0, 0) == 1 && q_host_besselj(0, 3) == 0);
}

// ---- B-splines ----

/* Of order k on knots -3 .. 9, at x: evaluated, and by differences. */
static void check_spline(int k)
{
    enum { KNOTS = 13, ROWS = 50 };
    sample s = sample_create(ROWS, 1, (uint64_t)k);
    q_text text = {0};
    q_text_add(&text, "x=Vi(1); t=Pm(%d); B=BSpline(t,x,%d); Concat(B,Diff(B,x,1))", KNOTS, k);
    q_id id = sample_parse(&s, text.data);
    double *x = sample_data(&s, "x"), *t = sample_data(&s, "t");
    for (int n = 0; n < KNOTS; n++) t[n] = n - 3 + 0.2 * sin(n);
    for (int i = 0; i < ROWS; i++) x[i] = -5 + 0.3 * i + 0.01;
    double *got = sample_evaluate(&s, id);
    size_t count = KNOTS - 1 - (size_t)k;
    double *u = calloc(ROWS, sizeof *u);
    for (int i = 0; i < ROWS; i++) u[i] = 1;
    double *slope = sample_differences(&s, id, 0, u);
    for (int i = 0; i < ROWS; i++) {
        const double *b = got + (size_t)i * 2 * count, *d = slope + (size_t)i * 2 * count;
        double sum = 0, rising = 0;
        for (size_t n = 0; n < count; n++) {
            bool inside = x[i] >= t[n] && x[i] < t[n + (size_t)k + 1];
            if (inside ? b[n] < 0 : b[n] != 0) fail_msg("spline %zu of order %d at %g is %g", n, k, x[i], b[n]);
            sum += b[n], rising += b[count + n];
            if (isfinite(d[n]) && !(fabs(b[count + n] - d[n]) <= 1e-7))
                fail_msg("slope at %g is %g, not %g", x[i], b[count + n], d[n]);
        }
        bool full = x[i] >= t[k] && x[i] < t[KNOTS - 1 - k];
        if (full && !(fabs(sum - 1) <= 1e-14 && fabs(rising) <= 1e-13))
            fail_msg("order %d at %g: sum %g, slope %g", k, x[i], sum, rising);
    }
    free(u), free(slope), free(got);
    q_text_free(&text);
    sample_destroy(&s);
}

static void b_splines(void **state)
{
    (void)state;
    for (int k = 0; k <= 5; k++) check_spline(k);
    /* Bernstein polynomials on clamped knots */
    sample s = sample_create(5, 1, 0);
    q_id id = sample_parse(&s, "x=Vi(1); t=Pm(6); BSpline(t,x,2)");
    memcpy(sample_data(&s, "t"), (double[]){0, 0, 0, 1, 1, 1}, 6 * sizeof(double));
    memcpy(sample_data(&s, "x"), (double[]){0, 0.25, 0.5, 0.875, 1}, 5 * sizeof(double));
    double *got = sample_evaluate(&s, id);
    for (size_t i = 0; i < 5; i++) {
        double x = sample_data(&s, "x")[i], expected[] = {(1 - x) * (1 - x), 2 * x * (1 - x), x * x};
        assert_true(relative_error(got + 3 * i, expected, 3) <= 1e-15);
    }
    free(got);
    sample_destroy(&s);
}

// ---- soft dynamic time warping ----

static double soft_dtw(const double *x, int n, const double *y, int m, double gamma)
{
    double table[10][10];
    for (int i = 0; i <= n; i++)
        for (int j = 0; j <= m; j++) {
            table[i][j] = i || j ? INFINITY : 0;
            if (!i || !j) continue;
            double a = table[i - 1][j], b = table[i][j - 1], c = table[i - 1][j - 1], low = fmin(a, fmin(b, c));
            double soft = low - gamma * log(exp((low - a) / gamma) + exp((low - b) / gamma) + exp((low - c) / gamma));
            table[i][j] = (x[i - 1] - y[j - 1]) * (x[i - 1] - y[j - 1]) + soft;
        }
    return table[n][m];
}

static void soft_dynamic_time_warping(void **state)
{
    (void)state;
    static const int sizes[][2] = {{1, 1}, {1, 4}, {4, 1}, {3, 5}, {6, 6}};
    static const double gammas[] = {1e-3, 0.1, 1, 50};
    for (size_t n = 0; n < Q_COUNT(sizes) * Q_COUNT(gammas); n++) {
        const int *size = sizes[n / 4];
        sample s = sample_create(3, 4, n);
        q_text text = {0};
        q_text_add(&text, "x=Vi(%d); y=Vj(%d); g=Pm(1); F=SoftDTW_SqDist(x,y,g); F+0*Sum(Grad(F,x,1))", size[0],
                   size[1]);
        q_id id = sample_parse(&s, text.data);
        sample_fill(&s, -1, 1);
        double *x = sample_data(&s, "x"), *y = sample_data(&s, "y"), gamma = *sample_data(&s, "g") = gammas[n % 4];
        double *got = sample_evaluate(&s, id);
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 4; j++) {
                double expected = soft_dtw(x + i * size[0], size[0], y + j * size[1], size[1], gamma);
                double own = got[sample_offset(&s, id, (size_t)i, (size_t)j)];
                if (!(fabs(own - expected) <= 1e-13 * (1 + fabs(expected))))
                    fail_msg("%s: %g, not %g", text.data, own, expected);
            }
        free(got);
        q_text_free(&text);
        sample_destroy(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(derivatives_of_sinc),       cmocka_unit_test(polygamma_functions),
        cmocka_unit_test(bessel_functions),          cmocka_unit_test(b_splines),
        cmocka_unit_test(soft_dynamic_time_warping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
