/*
 * prelude.cl: types and functions of generated kernels.
 *
 * A row or pair value has type `real` (integers: qint): Q_LANES rows at once. What does not depend on the row has type
 * `sreal` (sint). Names that start with q_ work on lanes, the same names with qs_ on single numbers; they have the
 * meaning that formula/ops.c gives them on the host. No kernel is built with fast-math: compensated sums would be
 * undone.
 */
#ifndef Q_LANES
#define Q_LANES 1
#endif
#ifndef Q_F64
#define Q_F64 0
#endif
#ifndef Q_VECTOR_MATH
#define Q_VECTOR_MATH 0
#endif
#ifndef Q_WIDTH
#define Q_WIDTH 0
#endif

#if Q_F64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
typedef double sreal;
typedef long sint;
#define Q_HUGE DBL_MAX
#else
typedef float sreal;
typedef int sint;
#define Q_HUGE FLT_MAX
#endif

#define Q_ROUNDING (Q_F64 ? 0x1p-53 : 0x1p-24) /* half the distance from 1 to the next number */

#if Q_WIDTH /* of wide sums, see tile.cl */
#define Q_WITH_WIDE(wide) , wide
#else
#define Q_WITH_WIDE(wide)
#endif

#define Q_PASTE_(a, b) a##b
#define Q_PASTE(a, b) Q_PASTE_(a, b)
#define Q_FN static inline
#define Q_RESTRICT

#if Q_LANES == 1
typedef sreal real;
typedef sint qint;
#define q_read(p) (*(p))
#define q_read_global(p) (*(p))
#define q_write(v, p) (*(p) = (v))
#elif Q_F64
typedef Q_PASTE(double, Q_LANES) real;
typedef Q_PASTE(long, Q_LANES) qint;
#else
typedef Q_PASTE(float, Q_LANES) real;
typedef Q_PASTE(int, Q_LANES) qint;
#endif
#if Q_LANES > 1
/* Where a vector need not be aligned: one load, where vloadn may be several. */
typedef struct {
    real lanes;
} __attribute__((packed)) q_packed;
#define q_read_global(p) (((__global const q_packed *)(p))->lanes)
#define q_read(p) Q_PASTE(vload, Q_LANES)(0, p)
#define q_write(v, p) Q_PASTE(vstore, Q_LANES)(v, 0, p)
#endif

#if Q_F64
#define q_to_real Q_PASTE(convert_double, Q_SUFFIX)
#define qs_to_real(x) ((sreal)(x))
#else
#define q_to_real Q_PASTE(convert_float, Q_SUFFIX)
#define qs_to_real(x) ((sreal)(x))
#endif
#if Q_LANES == 1
#define Q_SUFFIX
#else
#define Q_SUFFIX Q_LANES
#endif

/* ---- built-in functions, the same for one number and for lanes ---- */
#define q_expm1 expm1
#define q_log log
#define q_log1p log1p
#define q_cbrt cbrt
#define q_hypot hypot
#define q_ceil ceil
#define q_trunc trunc
#define q_tan tan
#define q_sinh sinh
#define q_cosh cosh
#define q_tanh tanh
#define q_erf erf
#define q_erfc erfc
#define q_lgamma lgamma
#define q_sqrt sqrt
#define q_abs fabs
#define q_floor floor
#define q_sin sin
#define q_cos cos
#define q_asin asin
#define q_acos acos
#define q_atan atan
#define q_atan2 atan2
#define q_pow pow
#define q_fma fma
#define qs_expm1 expm1
#define qs_log log
#define qs_log1p log1p
#define qs_cbrt cbrt
#define qs_hypot hypot
#define qs_ceil ceil
#define qs_trunc trunc
#define qs_tan tan
#define qs_sinh sinh
#define qs_cosh cosh
#define qs_tanh tanh
#define qs_erf erf
#define qs_erfc erfc
#define qs_lgamma lgamma
#define qs_sqrt sqrt
#define qs_abs fabs
#define qs_floor floor
#define qs_sin sin
#define qs_cos cos
#define qs_asin asin
#define qs_acos acos
#define qs_atan atan
#define qs_atan2 atan2
#define qs_pow pow
#define qs_fma fma
#define qs_exp exp
#define qs_exp_not_positive exp
#define qs_exp_minus(x) exp(-(x))

/* ---- choices: vector comparisons give -1 or 0 in each lane, scalar ones 1 or 0; select() takes both ---- */
/* Whether a condition holds in some lane. Compilers make much less of any(): PoCL's looks at one lane after the other. */
#ifdef __has_builtin
#if Q_LANES == 16 && !Q_F64 && __has_builtin(__builtin_ia32_cvtd2mask512) && defined(__AVX512DQ__)
#define Q_ANY_BITS(c) __builtin_ia32_cvtd2mask512(c)
#elif Q_LANES == 8 && Q_F64 && __has_builtin(__builtin_ia32_cvtq2mask512) && defined(__AVX512DQ__)
#define Q_ANY_BITS(c) __builtin_ia32_cvtq2mask512(c)
#elif Q_LANES == 8 && !Q_F64 && __has_builtin(__builtin_ia32_movmskps256) && defined(__AVX__)
#define Q_ANY_BITS(c) __builtin_ia32_movmskps256(as_float8(c))
#elif Q_LANES == 4 && Q_F64 && __has_builtin(__builtin_ia32_movmskpd256) && defined(__AVX__)
#define Q_ANY_BITS(c) __builtin_ia32_movmskpd256(as_double4(c))
#endif
#endif

#if Q_LANES == 1
#define q_any(condition) (condition)
#elif defined(Q_ANY_BITS)
#define q_any(condition) (Q_ANY_BITS(condition) != 0)
#elif Q_LANES == 2
#define q_any(condition) (as_ushort(convert_char2(condition)) != 0)
#elif Q_LANES == 4
#define q_any(condition) (as_uint(convert_char4(condition)) != 0)
#elif Q_LANES == 8
#define q_any(condition) (as_ulong(convert_char8(condition)) != 0)
#else
#define q_any(condition) ((as_ulong2(convert_char16(condition)).x | as_ulong2(convert_char16(condition)).y) != 0)
#endif
#define q_select(condition, x, y) select((real)(y), (real)(x), (qint)(condition))
#define qs_select(condition, x, y) select((sreal)(y), (sreal)(x), (sint)(condition))
#define q_select_int(condition, x, y) select((qint)(y), (qint)(x), (qint)(condition))

Q_FN real q_rsqrt(real x)
{
    return q_select(x == 0, 0, rsqrt(x));
}

Q_FN sreal qs_rsqrt(sreal x)
{
    return qs_select(x == 0, 0, rsqrt(x));
}

Q_FN real q_powi(real x, int k)
{
    real result = 1;
    for (uint n = k < 0 ? 0u - (uint)k : (uint)k; n; n >>= 1, x *= x)
        if (n & 1) result *= x;
    return k < 0 ? 1 / result : result;
}

Q_FN sreal qs_powi(sreal x, int k)
{
    sreal result = 1;
    for (uint n = k < 0 ? 0u - (uint)k : (uint)k; n; n >>= 1, x *= x)
        if (n & 1) result *= x;
    return k < 0 ? 1 / result : result;
}

Q_FN real q_round(real x, int k)
{
    const real scale = q_powi((real)10, k);
    return round(x * scale) / scale;
}

Q_FN sreal qs_round(sreal x, int k)
{
    const sreal scale = qs_powi((sreal)10, k);
    return round(x * scale) / scale;
}

/* ---- the exponential of float ----
 * On lanes:
 * exp(x) = 2^n 2^f with n a multiple of 2^-5 (AVX-512) or of 1 nearest to x log2(e), and f the small rest. With
 * AVX-512, 2^f is a quadratic and the fraction of n selects one of 32 numbers that sit in two registers; without, 2^f
 * is a polynomial of degree 6. Both are minimax fits whose constant is kept at 1, so that exp(0) is 1.
 *
 * The result is within 2 ulp plus 1.3e-8 |x|: that is the effect of rounding log2(e), and less than a quarter of what
 * rounding x itself causes. NaN, infinities, overflow and denormal results are right. Built-in exponentials of CPU
 * drivers
 * take two to three times as long. */
#define Q_LOG2_E 1.44269504f

#if Q_VECTOR_MATH && !Q_F64 && Q_LANES > 1

#ifdef __has_builtin
#if Q_LANES == 16 && __has_builtin(__builtin_ia32_scalefps512_mask) && __has_builtin(__builtin_ia32_vpermi2varps512) && \
    defined(__AVX512F__)
#define Q_AVX512
#endif
#endif

#ifdef Q_AVX512
#define Q_2_POW_LOW \
    ((float16)(1.0f, 1.0218972f, 1.04427373f, 1.06714046f, 1.09050775f, 1.1143868f, 1.13878858f, 1.1637249f, \
               1.18920708f, 1.21524739f, 1.24185777f, 1.26905096f, 1.29683959f, 1.32523668f, 1.35425556f, 1.38390994f))
#define Q_2_POW_HIGH \
    ((float16)(1.41421354f, 1.44518077f, 1.47682619f, 1.50916445f, 1.54221082f, 1.5759809f, 1.61049032f, 1.64575553f, \
               1.68179286f, 1.71861935f, 1.75625217f, 1.79470909f, 1.8340081f, 1.87416768f, 1.91520655f, 1.95714414f))

/* exp(x) for |x| < 2^16 */
Q_FN real q_exp_bounded(const real x)
{
    const real rounder = 393216.0f; /* 1.5 * 2^18: a sum with it keeps multiples of 2^-5, in its lowest bits */
    const real z = fma(x, (real)Q_LOG2_E, rounder), n = z - rounder, f = fma(x, (real)Q_LOG2_E, -n);
    const real power = __builtin_ia32_vpermi2varps512(Q_2_POW_LOW, as_int16(z), Q_2_POW_HIGH);
    const real p = power * fma(fma(f, (real)0.240226507f, (real)0.693157315f), f, (real)1.0f);
    return __builtin_ia32_scalefps512_mask(p, n, p, (ushort)-1, 4);
}
#else
/* exp(x) for |x| < 2^20 */
Q_FN real q_exp_bounded(const real x)
{
    const real rounder = 12582912.0f; /* 1.5 * 2^23 */
    const real n = fma(x, (real)Q_LOG2_E, rounder) - rounder, f = fma(x, (real)Q_LOG2_E, -n);
    real p = fma(f, (real)1.559467818e-04f, (real)1.340664390e-03f);
    p = fma(p, f, (real)9.617692973e-03f);
    p = fma(p, f, (real)5.550310551e-02f);
    p = fma(p, f, (real)2.402265278e-01f);
    p = fma(p, f, (real)6.931472150e-01f);
    p = fma(p, f, (real)1.0f);
    /* times 2^n in two steps, so that each factor is a normal number */
    const qint e = Q_PASTE(convert_int, Q_LANES)(n), half_e = e >> 1;
    return p * Q_PASTE(as_float, Q_LANES)((half_e + 127) << 23) * Q_PASTE(as_float, Q_LANES)((e - half_e + 127) << 23);
}
#endif

/* For x never positive: cannot overflow. Comparisons are written so that NaN passes. */
Q_FN real q_exp_not_positive(const real x)
{
    return q_exp_bounded(x < (real)-110.0f ? (real)-110.0f : x);
}

Q_FN real q_exp_minus(const real x)
{
    return q_exp_bounded(-(x > (real)110.0f ? (real)110.0f : x));
}

Q_FN real q_exp(const real x)
{
    return q_exp_not_positive(x > (real)90.0f ? (real)90.0f : x);
}
#elif Q_VECTOR_MATH == 2 && !Q_F64 && !Q_KAHAN
/* exp(x) for x never positive, as 2^(x log2(e)) by the hardware's 2^x: one instruction on GPUs, where the built-in
 * exponential takes 8 to 40. Within the hardware's own error (2 ulp on NVIDIA, 1 ulp on AMD) plus 7.3e-8 |x| in relation
 * to exp(x), which is what rounding log2(e) and its product with x does: 1.23 times what rounding x itself can do, and x,
 * being a squared distance or the like, was rounded before. As a number that is 2.6e-8 at most. NaN and -infinity are
 * right; results below the normal range may be 0. Where each term is compensated (Q_KAHAN) the built-in one is used. */
#define q_exp exp
#define q_exp_not_positive(x) native_exp2((x) * Q_LOG2_E)
#define q_exp_minus(x) native_exp2((x) * -Q_LOG2_E)
#else
#define q_exp exp
#define q_exp_not_positive exp
#define q_exp_minus(x) exp(-(x))
#endif

/* ---- memory ---- */

/* Of a struct that is staged in local memory: it starts where one load can take in all of it, or 16 bytes of it. */
#if Q_TILE
#define Q_STAGED(bytes) __attribute__((aligned(bytes)))
#else
#define Q_STAGED(bytes)
#endif

/* The sum of the lanes. */
#define Q_HALVES(x) ((x).lo + (x).hi)
#if Q_LANES == 1
#define q_across(x) (x)
#elif Q_LANES == 2
#define q_across(x) Q_HALVES(x)
#elif Q_LANES == 4
#define q_across(x) Q_HALVES(Q_HALVES(x))
#elif Q_LANES == 8
#define q_across(x) Q_HALVES(Q_HALVES(Q_HALVES(x)))
#else
#define q_across(x) Q_HALVES(Q_HALVES(Q_HALVES(Q_HALVES(x))))
#endif

/* Component k of Q_LANES rows from row i on, of an array of `rows` rows of `dim` components; rows past the end repeat
   the last one, so that every lane computes something harmless. */
Q_FN real q_gather(__global const sreal *p, const long i, const int dim, const int k, const long rows)
{
#if Q_LANES == 1
    return p[min(i, rows - 1) * dim + k];
#else
    sreal lanes[Q_LANES];
    for (int l = 0; l < Q_LANES; l++) lanes[l] = p[min(i + l, rows - 1) * dim + k];
    return q_read(lanes);
#endif
}

Q_FN qint q_gather_int(__global const sint *p, const long i, const int dim, const int k, const long rows)
{
#if Q_LANES == 1
    return p[min(i, rows - 1) * dim + k];
#else
    sint lanes[Q_LANES];
    for (int l = 0; l < Q_LANES; l++) lanes[l] = p[min(i + l, rows - 1) * dim + k];
    return q_read(lanes);
#endif
}

/* The reverse; rows past the end are not written. */
Q_FN void q_scatter(__global sreal *p, const long i, const int dim, const int k, const long rows, const real value)
{
#if Q_LANES == 1
    if (i < rows) p[i * dim + k] = value;
#else
    sreal lanes[Q_LANES];
    q_write(value, lanes);
    _Pragma("nounroll") for (int l = 0; l < Q_LANES && i + l < rows; l++) p[(i + l) * dim + k] = lanes[l];
#endif
}

Q_FN void q_scatter_int(__global sint *p, const long i, const int dim, const int k, const long rows, const qint value)
{
#if Q_LANES == 1
    if (i < rows) p[i * dim + k] = value;
#else
    sint lanes[Q_LANES];
    q_write(value, lanes);
    _Pragma("nounroll") for (int l = 0; l < Q_LANES && i + l < rows; l++) p[(i + l) * dim + k] = lanes[l];
#endif
}

/* The numbers of the rows i, i + 1, ... */
Q_FN qint q_row_numbers(const long i)
{
#if Q_LANES == 1
    return (qint)i;
#else
    sint lanes[Q_LANES];
    for (int l = 0; l < Q_LANES; l++) lanes[l] = (sint)(i + l);
    return q_read(lanes);
#endif
}
