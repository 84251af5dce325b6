/*
 * special.cl: special functions that OpenCL lacks, with the algorithms of formula/special.c. The file is compiled twice
 * where lanes and single numbers differ: once as it is, for lanes, and once with Q_SINGLE, for single numbers. Only in
 * kernels that use them.
 */
#ifndef Q_FN
#include "prelude.cl"
#endif

#undef T
#undef NAME
#undef CHOOSE
#ifdef Q_SINGLE
#define T sreal
#define NAME(name) qs_##name
#define CHOOSE qs_select
#else
#define T real
#define NAME(name) q_##name
#define CHOOSE q_select
#endif

/* The k-th derivative of sin(x)/x. Its Taylor series where that does not cancel, else the recursion
   x f_k = sin(x + k pi/2) - k f_(k-1) from x f_0 = sin x. */
Q_FN T NAME(sinc)(const T x, const int k)
{
    const T sine = NAME(sin)(x), cosine = NAME(cos)(x);
    T f = sine / x;
    for (int d = 1; d <= k; d++) f = ((d % 4 > 1 ? -1 : 1) * (d % 2 ? cosine : sine) - d * f) / x;
    const int first = (k + 1) / 2;
    T power = k % 2 ? x : (T)1, sum = 0;
    sreal factor = first % 2 ? -1 : 1;
    for (int d = 1; d <= 2 * first - k; d++) factor /= d;
    factor /= 2 * first + 1;
    for (int j = first; j < first + 20 + k; j++) {
        sum += factor * power;
        power *= x * x;
        factor *= -(sreal)(2 * j + 1) / ((sreal)(2 * j + 3) * (sreal)(2 * j + 1 - k) * (sreal)(2 * j + 2 - k));
    }
    return CHOOSE(fabs(x) <= (sreal)(0.5f + 0.5f * k), sum, f);
}

/* Digamma (k = 0) and its derivatives, for x > -30: the recursion up to x >= 16 + k, then Euler-Maclaurin. */
Q_FN T NAME(polygamma)(T x, const int k)
{
    const sreal bernoulli[] = {(sreal)1 / 6,  -(sreal)1 / 30,     (sreal)1 / 42, -(sreal)1 / 30,
                               (sreal)5 / 66, -(sreal)691 / 2730, (sreal)7 / 6};
    if (k < 0 || k > 20) return (T)NAN;
    const sreal limit = 16 + k;
    sreal factorial = 1; /* (k - 1)! for k > 0 */
    for (int d = 2; d < k; d++) factorial *= d;
    const sreal k_factorial = k ? factorial * k : 1;
    T shift = 0;
    for (int step = 0; step < 46 + k; step++) {
        shift += CHOOSE(x < limit, k_factorial / NAME(powi)(x, k + 1), 0);
        x += CHOOSE(x < limit, 1, 0);
    }
    const T inverse = 1 / x, power = NAME(powi)(inverse, k);
    T sum = k ? power * (factorial + k_factorial / 2 * inverse) : inverse / 2 - NAME(log)(x);
    T next = power * inverse * inverse;
    sreal rising = k ? k_factorial * (k + 1) / 2 : (sreal)0.5f;
    for (int j = 1; j <= 7; j++) {
        sum += bernoulli[j - 1] * rising * next;
        next *= inverse * inverse;
        rising *= (sreal)(2 * j + k) * (sreal)(2 * j + k + 1) / ((sreal)(2 * j + 1) * (sreal)(2 * j + 2));
    }
    return CHOOSE(x >= limit, (k % 2 ? 1 : -1) * (shift + sum), NAN);
}

/* The Bessel function of the first kind, |k| <= 16. For |x| <= 60 Bessel's integral over [0, pi] by the trapezoidal
   rule, which converges faster than any power here (65 points); beyond that Hankel's expansion (Abramowitz and Stegun
   9.2.5), whose sine and cosine have no value at infinity. */
Q_FN T NAME(besselj)(const T given, int k)
{
    const sreal pi = (sreal)3.14159265358979323846;
    const sreal sign = k < 0 && k % 2 ? -1 : 1;
    k = k < 0 ? -k : k;
    const T x = fabs(given);
    T sum = (sreal)(k % 2 ? 0 : 1);
    for (int n = 1; n < 64; n++) {
        const sreal angle = pi * n / 64;
        sum += NAME(cos)(k * angle - x * sin(angle));
    }
    sum /= 64;
    const T eighth = 1 / (8 * x), phase = x - (sreal)(2 * k + 1) * (pi / 4);
    T p = 1, q = 0, term = 1;
    for (int n = 1; n < 26; n++) {
        term *= (sreal)(4 * k * k - (2 * n - 1) * (2 * n - 1)) / (sreal)n * eighth;
        if (n % 2) q += (n % 4 == 1 ? 1 : -1) * term;
        else p += (n % 4 == 2 ? -1 : 1) * term;
    }
    const T far = sqrt(2 / (pi * x)) * (p * NAME(cos)(phase) - q * NAME(sin)(phase));
    const T value = sign * CHOOSE(isinf(x), 0, CHOOSE(x <= 60, sum, far));
    return k % 2 ? CHOOSE(given < 0, -value, value) : value;
}

/* The Matern kernel of smoothness k + 1/2 of u, see formula/special.c. */
Q_FN T NAME(matern)(const T u, const int k)
{
    const T s = sqrt(u);
    T m = NAME(exp_minus)(s), above = (1 + s) * m, scale = -NAME(rsqrt)(u);
    const int order = k < 0 ? -k - 1 : k;
    for (int n = 1; n <= order; n++) {
        const T next = above + u * m * (1 / (sreal)((2 * n + 1) * (2 * n - 1)));
        m = above;
        above = next;
        scale *= (sreal)(-(2 * n + 1) * (2 * n - 1)) / u;
    }
    const T value = k < 0 ? CHOOSE(u == 0, 0, scale * m) : m;
    return CHOOSE(u == INFINITY, 0, value);
}

#if Q_LANES == 1
#define qs_matern q_matern
#define qs_sinc q_sinc
#define qs_polygamma q_polygamma
#define qs_besselj q_besselj
#endif
