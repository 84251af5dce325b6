/*
 * math.cl: quern's own functions of float on lanes, for devices whose profile says vector_math=1: CPUs, where built-in
 * functions go through the lanes one by one or branch. Which functions these are is told by the rows of prelude.cl.
 *
 * None has a branch but the trigonometric ones, which leave a vector to the built-in function when an angle in it is
 * beyond 2^16. Polynomials are minimax fits that tools/minimax.py makes; its rows bear the names that stand at the
 * polynomials here. tests/run/vector_math.c has a bound for every function and measures it; docs/numbers.md prints it.
 * NaN, infinities, zeros, their signs and denormal numbers are those of IEEE 754 and C; comparisons are written so that
 * NaN passes.
 */
#ifndef Q_FN
#include "prelude.cl"
#endif

#if Q_OWN_MATH

#define q_bits Q_PASTE(as_int, Q_LANES)
#define q_float Q_PASTE(as_float, Q_LANES)
#define Q_SIGN_BIT ((qint)(int)0x80000000)

/* fma(fma(a, u, b), u, ...): one name for each degree */
#define Q_POLY1(u, a, b) fma((real)(a), u, (real)(b))
#define Q_POLY2(u, a, b, c) fma(Q_POLY1(u, a, b), u, (real)(c))
#define Q_POLY3(u, a, b, c, d) fma(Q_POLY2(u, a, b, c), u, (real)(d))
#define Q_POLY4(u, a, b, c, d, e) fma(Q_POLY3(u, a, b, c, d), u, (real)(e))
#define Q_POLY5(u, a, b, c, d, e, f) fma(Q_POLY4(u, a, b, c, d, e), u, (real)(f))
#define Q_POLY7(u, a, b, c, d, e, f, g, h) fma(fma(Q_POLY5(u, a, b, c, d, e, f), u, (real)(g)), u, (real)(h))
#define Q_POLY8(u, a, b, c, d, e, f, g, h, i) fma(Q_POLY7(u, a, b, c, d, e, f, g, h), u, (real)(i))
#define Q_POLY9(u, a, b, c, d, e, f, g, h, i, j) fma(Q_POLY8(u, a, b, c, d, e, f, g, h, i), u, (real)(j))

/* A sum with it is rounded to a whole number, which its lowest bits are. */
#define Q_ROUNDER 12582912.0f /* 1.5 * 2^23 */

/* x without its sign, and the sign for q_flip */
Q_FN real q_size(const real x)
{
    return q_float(q_bits(x) & 0x7fffffff);
}

Q_FN qint q_sign_bit(const real x)
{
    return q_bits(x) & Q_SIGN_BIT;
}

Q_FN real q_flip(const real x, const qint sign)
{
    return q_float(q_bits(x) ^ sign);
}

/* 2^n for -127 < n < 128 */
Q_FN real q_power(const qint n)
{
    return q_float((n + 127) << 23);
}

/* x 2^n for -252 < n < 256, in two steps, so that each factor is a normal number */
Q_FN real q_times_power(const real x, const qint n)
{
    const qint half_n = n >> 1;
    return x * q_power(half_n) * q_power(n - half_n);
}

/* ---- the exponential ----
 * exp(x) = 2^n 2^f with n a multiple of 2^-5 (AVX-512), of 2^-3 (AVX2) or of 1 nearest to x log2(e), and f the small rest. 2^f is a
 * quadratic, a cubic or a polynomial of degree 6, and the fraction of n selects one of 32 numbers that sit in two
 * registers or of 8 in one. All are minimax fits whose constant is kept at 1, so that exp(0) is 1.
 *
 * The result is within 2 ulp plus 1.3e-8 |x|: that is the effect of rounding log2(e), and less than a quarter of what
 * rounding x itself causes. Built-in exponentials of CPU drivers take two to three times as long. Comparisons are written
 * so that NaN passes. */
#ifdef __has_builtin
#if Q_LANES == 16 && __has_builtin(__builtin_ia32_scalefps512_mask) && \
    __has_builtin(__builtin_ia32_vpermi2varps512) && defined(__AVX512F__)
#define Q_AVX512
#elif Q_LANES == 8 && __has_builtin(__builtin_ia32_permvarsi256) && defined(__AVX2__)
#define Q_AVX2
#endif
#endif

#ifdef Q_AVX512
#define Q_2_POW_LOW                                                                                          \
    ((float16)(1.0f, 1.0218972f, 1.04427373f, 1.06714046f, 1.09050775f, 1.1143868f, 1.13878858f, 1.1637249f, \
               1.18920708f, 1.21524739f, 1.24185777f, 1.26905096f, 1.29683959f, 1.32523668f, 1.35425556f,    \
               1.38390994f))
#define Q_2_POW_HIGH                                                                                                  \
    ((float16)(1.41421354f, 1.44518077f, 1.47682619f, 1.50916445f, 1.54221082f, 1.5759809f, 1.61049032f, 1.64575553f, \
               1.68179286f, 1.71861935f, 1.75625217f, 1.79470909f, 1.8340081f, 1.87416768f, 1.91520655f, 1.95714414f))

/* exp(x) for |x| < 2^16 */
Q_FN real q_exp_bounded(const real x)
{
    const real rounder = 393216.0f; /* 1.5 * 2^18: a sum with it keeps multiples of 2^-5, in its lowest bits */
    const real z = fma(x, (real)Q_LOG2_E, rounder), n = z - rounder, f = fma(x, (real)Q_LOG2_E, -n);
    const real power = __builtin_ia32_vpermi2varps512(Q_2_POW_LOW, as_int16(z), Q_2_POW_HIGH);
    const real p = fma(power * f, fma(f, (real)0.240226507f, (real)0.693157315f), power);
    return __builtin_ia32_scalefps512_mask(p, n, p, (ushort)-1, 4);
}

/* For x never positive: cannot overflow. */
Q_FN real q_own_exp_not_positive(const real x)
{
    return q_exp_bounded(x < (real)-110.0f ? (real)-110.0f : x);
}

Q_FN real q_own_exp_minus(const real x)
{
    return q_exp_bounded(-(x > (real)110.0f ? (real)110.0f : x));
}

Q_FN real q_own_exp(const real x)
{
    return q_own_exp_not_positive(x > (real)90.0f ? (real)90.0f : x);
}
#else
/* n sits in the lowest bits of z = n + Q_EXP_ROUNDER, and moves to the exponent by a shift; to it is added the exponent of 2^32 or the
   number that the fraction of n selects, without that fraction times 2^23, times 2^32. As 2^f has the factor 2^-32,
   their product is rounded once, where it is denormal too. */
#ifdef Q_AVX2
#define Q_EXP_ROUNDER 1572864.0f /* 1.5 * 2^20 */
#define Q_EXP_SHIFT 20
#define Q_EXP_TABLE                                                                                        \
    ((int8)(0x4f800000, 0x4f7b95c2, 0x4f7837f0, 0x4f75fed7, 0x4f7504f3, 0x4f75672a, 0x4f7744fd, 0x4f7ac0c7))
#define q_exp_base(z) __builtin_ia32_permvarsi256(Q_EXP_TABLE, q_bits(z))
#define Q_2_POW(f) Q_POLY3(f, 0x1p-32f * 0.0554962233f, 0x1p-32f * 0.240257636f, 0x1p-32f * 0.693147242f, 0x1p-32f)
#else
#define Q_EXP_ROUNDER Q_ROUNDER
#define Q_EXP_SHIFT 23
#define q_exp_base(z) ((qint)0x4f800000)
#define Q_2_POW(f)                                                                                             \
    fma(Q_POLY5(f, 0x1p-32f * 1.559467818e-04f, 0x1p-32f * 1.340664390e-03f, 0x1p-32f * 9.617692973e-03f,      \
                0x1p-32f * 5.550310551e-02f, 0x1p-32f * 2.402265278e-01f, 0x1p-32f * 6.931472150e-01f),        \
        f, (real)0x1p-32f)
#endif

/* exp(scale x) for -104 <= scale x <= 0, where scale is log2(e) or -log2(e) */
Q_FN real q_exp_small(const real x, const sreal scale)
{
    const real z = fma(x, (real)scale, (real)Q_EXP_ROUNDER), f = fma(x, (real)scale, Q_EXP_ROUNDER - z);
    return Q_2_POW(f) * q_float(q_exp_base(z) + (q_bits(z) << Q_EXP_SHIFT));
}

/* For x never positive. */
Q_FN real q_own_exp_not_positive(const real x)
{
    return q_exp_small(x < (real)-104.0f ? (real)-104.0f : x, Q_LOG2_E);
}

Q_FN real q_own_exp_minus(const real x)
{
    return q_exp_small(x > (real)104.0f ? (real)104.0f : x, -Q_LOG2_E);
}

/* Times 2^n in two steps, so that each factor is a normal number. */
Q_FN real q_own_exp(const real x)
{
    const real above = x < (real)-104.0f ? (real)-104.0f : x, bounded = above > (real)90.0f ? (real)90.0f : above;
    const real z = fma(bounded, (real)Q_LOG2_E, (real)Q_EXP_ROUNDER);
    const real f = fma(bounded, (real)Q_LOG2_E, Q_EXP_ROUNDER - z);
    const qint half_n = q_bits(z) >> (24 - Q_EXP_SHIFT) << 23;
    const real low = q_float(q_exp_base(z) + (q_bits(z) << Q_EXP_SHIFT) - half_n);
    return Q_2_POW(f) * low * q_float(half_n + (127 << 23));
}
#endif

/* ---- exp(x) - 1, hyperbolic functions: x = n ln 2 + r (Cody and Waite, with ln 2 in two numbers) ---- */

/* The rest r, |r| <= ln(2)/2; the first product and difference are exact. */
Q_FN real q_split_exponent(const real x, qint *n)
{
    const real z = fma(x, (real)Q_LOG2_E, (real)Q_ROUNDER), whole = z - Q_ROUNDER;
    *n = q_bits(z) - 0x4b400000;
    return fma(whole, (real)1.90465421e-9f, fma(whole, (real)-0.693147182f, x));
}

/* exp(r) - 1: fit `expm1` */
Q_FN real q_expm1_of(const real r)
{
    const real p = Q_POLY5(r, 0.000198748487f, 0.00139412936f, 0.00833334867f, 0.0416663513f, 0.166666672f, 0.5f);
    return fma(r * r, p, r);
}

/* 2^n (exp(r) - 1) + (2^n - 1), of half its size so that n may be 128 */
Q_FN real q_own_expm1(const real x)
{
    const real above = x < (real)-20.0f ? (real)-20.0f : x;
    qint n;
    const real r = q_split_exponent(above > (real)89.0f ? (real)89.0f : above, &n), half_power = q_power(n - 1);
    const real half_value = fma(half_power, q_expm1_of(r), half_power - 0.5f);
    return q_size(x) < (real)0x1p-25f ? x : 2 * half_value;
}

/* Halves of sinh(n ln 2), cosh(n ln 2), and the same of r: sums of them give the functions without cancellation. */
typedef struct {
    real half_sinh, half_cosh, sinh_r, cosh_r_less_1;
} q_hyperbolic;

/* Fits `sinh` and `cosh`; x >= 0. */
Q_FN q_hyperbolic q_split_hyperbolic(const real x)
{
    qint n;
    const real r = q_split_exponent(x > (real)89.5f ? (real)89.5f : x, &n), u = r * r;
    const real up = q_power(n - 2), down = q_float(max(125 - n, (qint)0) << 23);
    q_hyperbolic h;
    h.half_sinh = up - down;
    h.half_cosh = up + down;
    h.sinh_r = fma(r * u, Q_POLY2(u, 0.000199048722f, 0.00833328906f, 0.166666672f), r);
    h.cosh_r_less_1 = u * Q_POLY2(u, 0.0013946218f, 0.0416662656f, 0.5f);
    return h;
}

Q_FN real q_own_sinh(const real x)
{
    const q_hyperbolic h = q_split_hyperbolic(q_size(x));
    return q_flip(2 * fma(h.half_sinh, h.cosh_r_less_1, fma(h.half_cosh, h.sinh_r, h.half_sinh)), q_sign_bit(x));
}

Q_FN real q_own_cosh(const real x)
{
    const q_hyperbolic h = q_split_hyperbolic(q_size(x));
    return 2 * fma(h.half_cosh, h.cosh_r_less_1, fma(h.half_sinh, h.sinh_r, h.half_cosh));
}

/* t / (t + 2) with t = exp(2 |x|) - 1 */
Q_FN real q_own_tanh(const real x)
{
    const real size = q_size(x);
    qint n;
    const real r = q_split_exponent(2 * (size > (real)10.0f ? (real)10.0f : size), &n), power = q_power(n);
    const real t = fma(power, q_expm1_of(r), power - 1);
    return q_flip(t / (t + 2), q_sign_bit(x));
}

/* ---- logarithms: 1 + f between sqrt(1/2) and sqrt(2), times 2^n ---- */

#define Q_SQRT_HALF 0x3f3504f3 /* its bits */

/* log(1 + f) + n ln 2: fit `log` */
Q_FN real q_log_of(const real f, const real n)
{
    const real p = Q_POLY8(f, -0.0762169659f, 0.129043669f, -0.132429853f, 0.141818345f, -0.166090846f, 0.200019732f,
                           -0.250015825f, 0.333333254f, -0.499999881f);
    return fma(n, (real)0.693147182f, fma(f * f, p, f));
}

/* The logarithm where `argument` is finite and positive, else what it is there. */
Q_FN real q_log_domain(const real argument, const real value)
{
    const real outside = argument == 0 ? (real)-INFINITY : (real)NAN;
    return argument > 0 ? (argument <= (real)FLT_MAX ? value : argument) : outside;
}

/* 2^n times the result is x > 0, which may be denormal */
Q_FN real q_split_number(const real x, real *n)
{
    const qint denormal = x < (real)FLT_MIN;
    const qint bits = q_bits(denormal ? x * 0x1p23f : x) - Q_SQRT_HALF;
    *n = Q_PASTE(convert_float, Q_LANES)((bits >> 23) - (denormal & 23));
    return q_float((bits & 0x7fffff) + Q_SQRT_HALF);
}

Q_FN real q_own_log(const real x)
{
    real n;
    const real m = q_split_number(x, &n);
    return q_log_domain(x, q_log_of(m - 1, n));
}

/* f = 2^-n (1 + x) - 1 by fused operations, so that what 1 + x loses is not missed. In quarters, since n may be 128. */
Q_FN real q_own_log1p(const real x)
{
    const real sum = 1 + x;
    const qint n = (q_bits(sum) - Q_SQRT_HALF) >> 23;
    const real scale = q_power(2 - n), f = fma(0.25f * x, scale, fma((real)0.25f, scale, (real)-1.0f));
    const real value = q_log_domain(sum, q_log_of(f, Q_PASTE(convert_float, Q_LANES)(n)));
    return q_size(x) < (real)0x1p-25f ? x : value;
}

/* ---- trigonometric functions: |x| = n pi/2 + r (Cody and Waite, with pi/2 in three numbers) ---- */

/* The rest r, |r| <= pi/4 and a little; the first product and difference are exact up to |x| = 2^16. */
Q_FN real q_split_angle(const real x, qint *n)
{
    const real z = fma(x, (real)0.636619772f, (real)Q_ROUNDER), whole = z - Q_ROUNDER;
    *n = q_bits(z);
    const real first = fma(whole, (real)-1.57079637f, x);
    return fma(whole, (real)1.71512451e-15f, fma(whole, (real)4.37113883e-8f, first));
}

/* Fits `sin` and `cos` */
Q_FN real q_sin_of(const real r, const real u)
{
    return fma(r * u, Q_POLY2(u, -0.00019515281f, 0.0083321603f, -0.166666552f), r);
}

Q_FN real q_cos_of(const real u)
{
    return fma(fma(Q_POLY2(u, 2.44331586e-5f, -0.00138873165f, 0.0416666456f), u, (real)-0.5f), u, (real)1.0f);
}

/* sin(r + n pi/2) */
Q_FN real q_sin_in_quadrant(const real r, const qint n)
{
    const real u = r * r;
    return q_flip((n & 1) != 0 ? q_cos_of(u) : q_sin_of(r, u), (n & 2) << 30);
}

/* A vector with an angle beyond 2^16: `near` is right in the other lanes, and those are done one by one, since PoCL 3.1 has
   another last bit where another lane is beyond 2^23. Out of line, so that no loop grows by it. */
#define Q_FAR(f)                                                                   \
    static __attribute__((noinline)) real q_far_##f(const real x, const real near) \
    {                                                                              \
        float angle[Q_LANES], result[Q_LANES];                                     \
        q_write(x, angle);                                                         \
        q_write(near, result);                                                     \
        for (int lane = 0; lane < Q_LANES; lane++)                                 \
            if (fabs(angle[lane]) > 0x1p16f) result[lane] = f(angle[lane]);        \
        return q_read(result);                                                     \
    }
Q_FAR(sin)
Q_FAR(cos)
Q_FAR(tan)
#define q_unless_far(f, x, near) (q_any(q_size(x) > (real)0x1p16f) ? q_far_##f(x, near) : near)

Q_FN real q_own_sin(const real x)
{
    qint n;
    const real r = q_split_angle(q_size(x), &n);
    const real near = q_flip(q_sin_in_quadrant(r, n), q_sign_bit(x));
    return q_unless_far(sin, x, near);
}

Q_FN real q_own_cos(const real x)
{
    qint n;
    const real r = q_split_angle(q_size(x), &n);
    const real near = q_sin_in_quadrant(r, n + 1);
    return q_unless_far(cos, x, near);
}

Q_FN real q_own_tan(const real x)
{
    qint n;
    const real r = q_split_angle(q_size(x), &n), u = r * r, s = q_sin_of(r, u), c = q_cos_of(u);
    const qint odd = (n & 1) != 0;
    const real near = q_flip((odd ? c : s) / (odd ? s : c), (n << 31) ^ q_sign_bit(x));
    return q_unless_far(tan, x, near);
}

/* ---- their inverses ---- */

#define Q_HALF_PI 1.57079637f
#define Q_HALF_PI_ERROR -4.37113883e-8f /* pi/2 less it */

/* atan(z) for |z| <= 1: fit `atan` */
Q_FN real q_atan_of(const real z)
{
    const real u = z * z;
    return fma(z * u,
               Q_POLY8(u, -0.0017936189f, 0.0109145902f, -0.0311778113f, 0.0579575524f, -0.0840344727f, 0.109521843f,
                       -0.142642409f, 0.199985489f, -0.333332986f),
               z);
}

/* asin(z) for |z| <= 1/2, of which u is the square: fit `asin` */
Q_FN real q_asin_of(const real z, const real u)
{
    return fma(z * u, Q_POLY4(u, 0.0421660282f, 0.0241796784f, 0.0454703458f, 0.0749529749f, 0.166667521f), z);
}

/* n pi/2 + x */
Q_FN real q_add_right_angles(const real x, const real n)
{
    return fma(n, (real)Q_HALF_PI, fma(n, (real)Q_HALF_PI_ERROR, x));
}

Q_FN real q_own_atan(const real x)
{
    const real size = q_size(x);
    const qint steep = size > (real)1.0f;
    const real angle = q_atan_of(steep ? -1 / size : size);
    return q_flip(steep ? q_add_right_angles(angle, 1) : angle, q_sign_bit(x));
}

/* The angle of the lesser to the greater of |x| and |y|, turned into its octant. */
Q_FN real q_own_atan2(const real y, const real x)
{
    const real height = q_size(y), width = q_size(x);
    const qint steep = height > width, left = q_bits(x) < 0;
    const real low = steep ? width : height, high = steep ? height : width;
    const real equal = high == 0 ? (real)0.0f : (real)1.0f;
    const real angle = q_atan_of(low == high ? equal : low / high);
    const real right_angles = steep ? (real)1.0f : left ? (real)2.0f : (real)0.0f;
    return q_flip(q_add_right_angles(q_flip(angle, (steep ^ left) & Q_SIGN_BIT), right_angles), q_sign_bit(y));
}

/* Beyond 1/2: asin(x) = pi/2 - 2 asin(sqrt((1 - x) / 2)) */
Q_FN real q_own_asin(const real x)
{
    const real size = q_size(x);
    const qint outer = size > (real)0.5f;
    const real u = outer ? fma((real)-0.5f, size, (real)0.5f) : size * size;
    const real angle = q_asin_of(outer ? sqrt(u) : size, u);
    return q_flip(outer ? q_add_right_angles(-2 * angle, 1) : angle, q_sign_bit(x));
}

Q_FN real q_own_acos(const real x)
{
    const real size = q_size(x);
    const qint outer = size > (real)0.5f, sign = q_sign_bit(x);
    const real u = outer ? fma((real)-0.5f, size, (real)0.5f) : size * size;
    const real angle = q_asin_of(outer ? sqrt(u) : size, u);
    const real right_angles = outer ? (sign != 0 ? (real)2.0f : (real)0.0f) : (real)1.0f;
    return q_add_right_angles(outer ? q_flip(2 * angle, sign) : q_flip(-angle, sign), right_angles);
}

/* ---- error functions ---- */

/* erf(x) for |x| <= 7/8: fit `erf` */
Q_FN real q_erf_near(const real x)
{
    const real u = x * x;
    const real p =
        Q_POLY5(u, -0.000620325562f, 0.00503218127f, -0.0267914627f, 0.112824552f, -0.376125515f, 0.128379151f);
    return fma(x, p, x);
}

/* Beyond 7/8 1 - exp(-p(x)): fit `erf_far` */
Q_FN real q_own_erf(const real x)
{
    const real size = q_size(x), a = size > (real)4.0f ? (real)4.0f : size;
    const real exponent = Q_POLY7(a, 2.05543074e-5f, -0.000428228697f, 0.00414096937f, -0.0250405408f, 0.10815876f,
                                  0.633456469f, 1.12946117f, -0.000163587625f);
    const real far = 1 - q_own_exp_minus(exponent);
    return size < (real)0.875f ? q_erf_near(x) : q_flip(far, q_sign_bit(x));
}

/* Beyond 1/2 exp(-a^2) p((a - 3) / (a + 3)) / (1 + 2 a) with a = |x|, fit `erfc`; what rounding loses of a^2 is added
   again. */
Q_FN real q_own_erfc(const real x)
{
    const real size = q_size(x), a = size > (real)10.5f ? (real)10.5f : size, q = (a - 3) / (a + 3);
    const real p = Q_POLY9(q, -0.000526573276f, 0.00183752622f, 0.00239037536f, -0.0237644315f, 0.0683379844f,
                           -0.119273558f, 0.129642636f, -0.0475623198f, -0.135621041f, 1.25300801f) /
                   fma((real)2.0f, a, (real)1.0f);
    const real square = a * a;
    qint n;
    const real r = q_split_exponent(-square, &n) + fma(-a, a, square);
    const real far = q_times_power(fma(p, q_expm1_of(r), p), n);
    return size < (real)0.5f ? 1 - q_erf_near(x) : x < 0 ? 2 - far : far;
}

/* ---- roots and powers ---- */

/* A guess from a third of the exponent, one step of Halley's method and one of Newton's. Scaled by 2^24 or 2^-24. */
Q_FN real q_own_cbrt(const real x)
{
    const real size = q_size(x);
    const qint small = size < (real)1.0f;
    const real a = size * (small ? (real)0x1p24f : (real)0x1p-24f);
    const real third = Q_PASTE(convert_float, Q_LANES)(q_bits(a)) * (1.0f / 3);
    real y = q_float(Q_PASTE(convert_int, Q_LANES)(third) + 0x2a5137a0);
    const real cube = y * y * y;
    y *= fma((real)2.0f, a, cube) / fma((real)2.0f, cube, a);
    y = fma(fma(y * y, -y, a), 1 / (3 * y * y), y);
    y *= small ? (real)0x1p-8f : (real)0x1p8f;
    return size == 0 || !(size <= (real)FLT_MAX) ? x : q_flip(y, q_sign_bit(x));
}

/* Scaled by the power of 2 of the greater, so that squares neither overflow nor vanish. */
Q_FN real q_own_hypot(const real x, const real y)
{
    const real a = q_size(x), b = q_size(y), most = a > b ? a : b;
    const qint exponent = clamp(q_bits(most) >> 23, (qint)1, (qint)253);
    const real down = q_float((254 - exponent) << 23), u = a * down, v = b * down;
    const real value = sqrt(fma(u, u, v * v)) * q_float(exponent << 23);
    return a == (real)INFINITY || b == (real)INFINITY ? (real)INFINITY : value;
}

#ifdef cl_khr_fp64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
typedef Q_PASTE(double, Q_LANES) q_double;
#define q_to_double Q_PASTE(convert_double, Q_LANES)
#define q_to_float Q_PASTE(convert_float, Q_LANES)

/* log2(x) in double, for x > 0, by the series of atanh((m - 1) / (m + 1)): fit `log2` */
Q_FN q_double q_log2_of(const real x)
{
    real n;
    const q_double m = q_to_double(q_split_number(x, &n)), s = (m - 1) / (m + 1), u = s * s;
    q_double p = fma((q_double)0.28289921807522966, u, (q_double)0.31990575974070895);
    p = fma(p, u, (q_double)0.41220925094209943);
    p = fma(p, u, (q_double)0.57707794237773635);
    p = fma(p, u, (q_double)0.96179669411330493);
    p = fma(p, u, (q_double)2.8853900817778499);
    n = x == 0 ? (real)-INFINITY : x <= (real)FLT_MAX ? n : x;
    return fma(p, s, q_to_double(n));
}

/* 2^t: fit `exp2` */
Q_FN real q_exp2_of(const q_double t)
{
    const q_double low = t < (q_double)-200.0 ? (q_double)-200.0 : t,
                   bounded = low > (q_double)200.0 ? (q_double)200.0 : low;
    const q_double rounder = 6755399441055744.0; /* 1.5 * 2^52 */
    const q_double n = bounded + rounder - rounder, f = bounded - n;
    q_double p = fma((q_double)0.00015345817051879747, f, (q_double)0.0013399931138829938);
    p = fma(p, f, (q_double)0.0096184889382114388);
    p = fma(p, f, (q_double)0.05550328777172691);
    p = fma(p, f, (q_double)0.24022646890807564);
    p = fma(p, f, (q_double)0.69314720573691557);
    p = fma(p, f, (q_double)1.0);
    return q_times_power(q_to_float(p), Q_PASTE(convert_int, Q_LANES)(q_to_float(n)));
}

/* 2^(y log2 |x|) in double, and the cases of C, Annex F: 1 where x is 1 or y is 0 or x = -1 and y infinite; odd whole y
   keep the sign of x; NaN where x is negative and y not whole. */
Q_FN real q_own_pow(const real x, const real y)
{
    const real size = q_size(x), y_size = q_size(y);
    const real value = q_exp2_of(q_log2_of(size) * q_to_double(y));
    const qint big = y_size >= (real)0x1p24f;
    const qint whole_y = Q_PASTE(convert_int, Q_LANES)(big ? (real)0.0f : y);
    const qint is_whole = big || Q_PASTE(convert_float, Q_LANES)(whole_y) == y;
    const real of_sign = q_flip(value, whole_y << 31 & q_bits(x) & Q_SIGN_BIT & is_whole);
    const real real_or_nan = x < 0 && x >= (real)-FLT_MAX && !is_whole ? (real)NAN : of_sign;
    return x == 1 || y == 0 || (size == 1 && y_size == (real)INFINITY) ? (real)1.0f : real_or_nan;
}
#endif

#endif
