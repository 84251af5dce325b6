/*
 * prelude.cl: types and functions of generated kernels.
 *
 * A row or pair value has type `real` (integers: qint): Q_LANES rows at once. What does not depend on the row has type
 * `sreal` (sint). Names that start with q_ work on lanes, the same names with qs_ on single numbers; they have the
 * meaning that formula/ops.c gives them on the host. No kernel is built with fast-math: compensated sums would be
 * undone.
 */
#ifdef __x86_64__
/* All functions are of this program and inlined: how vectors wider than a register would be passed does not matter. Other
 * targets have no such warning, and NVIDIA's compiler (580.159) would count one about its name on the user's stderr. */
#pragma clang diagnostic ignored "-Wpsabi"
#endif
#ifndef Q_LANES
#define Q_LANES 1
#endif
#ifndef Q_F64
#define Q_F64 0
#endif
#ifndef Q_VECTOR_MATH
#define Q_VECTOR_MATH 0
#endif
#ifndef Q_PTX
#define Q_PTX 0
#endif
#ifndef Q_MAX_REGISTERS
#define Q_MAX_REGISTERS 0
#endif
#ifndef Q_RHS_DIM
#define Q_RHS_DIM 0
#endif
#ifndef Q_NAMED
#define Q_NAMED 0
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

#if Q_RHS_DIM /* right-hand sides, see gemm.cl */
#define Q_WITH_RHS(acc, d0) , acc, d0
#ifndef Q_RHS_PER_ITEM
#define Q_RHS_PER_ITEM Q_RHS_DIM /* components of them that a work-item keeps */
#endif
#else
#define Q_WITH_RHS(acc, d0)
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
#define q_to_int q_to_long
#define qs_to_real(x) ((sreal)(x))
#else
#define q_to_real Q_PASTE(convert_float, Q_SUFFIX)
#define q_to_int Q_PASTE(convert_int, Q_SUFFIX)
#define qs_to_real(x) ((sreal)(x))
#endif
#define q_to_long Q_PASTE(convert_long, Q_SUFFIX)
#if Q_LANES == 1
#define Q_SUFFIX
#else
#define Q_SUFFIX Q_LANES
#endif

/* ---- functions ----
 * A row each: the built-in function, or Q_OWN(f) where math.cl has a faster one for vectors of float. Whether it is used is
 * the device's choice (column vector_math of profiles.txt); x86 without fused multiply-add, which would be a call for every
 * lane, keeps to the built-in ones. */
#if Q_VECTOR_MATH && !Q_F64 && Q_LANES > 1 && (defined(__FMA__) || !(defined(__x86_64__) || defined(__i386__)))
#define Q_OWN_MATH 1
#else
#define Q_OWN_MATH 0
#endif
#if Q_OWN_MATH
#define Q_OWN(f) q_own_##f
#else
#define Q_OWN(f) f
#endif
#if Q_OWN_MATH && defined(cl_khr_fp64)
#define Q_OWN_IN_DOUBLE(f) q_own_##f
#else
#define Q_OWN_IN_DOUBLE(f) f
#endif
#if Q_PTX && !defined(Q_ROUNDED_QUOTIENTS) /* of ptx.cl; with the macro the built-in one is rounded correctly */
#define q_sqrt q_ptx_sqrt
#else
#define q_sqrt sqrt
#endif
#define q_abs fabs
#define q_floor floor
#define q_ceil ceil
#define q_trunc trunc
#define q_fma fma
#define q_exp Q_OWN(exp)
#define q_log Q_OWN(log)
#define q_log1p Q_OWN(log1p)
#define q_expm1 Q_OWN(expm1)
#define q_sin Q_OWN(sin)
#define q_cos Q_OWN(cos)
#define q_tan Q_OWN(tan)
#define q_asin Q_OWN(asin)
#define q_acos Q_OWN(acos)
#define q_atan Q_OWN(atan)
#define q_atan2 Q_OWN(atan2)
#define q_sinh Q_OWN(sinh)
#define q_cosh Q_OWN(cosh)
#define q_tanh Q_OWN(tanh)
#define q_asinh asinh
#define q_atanh atanh
#define q_erf Q_OWN(erf)
#define q_erfc Q_OWN(erfc)
#define q_cbrt Q_OWN(cbrt)
#define q_hypot Q_OWN(hypot)
#if Q_F64 && Q_LANES > 1
#define q_pow q_double_pow
#else
#define q_pow Q_OWN_IN_DOUBLE(pow)
#endif

/* the same for single numbers */
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
#define qs_asinh asinh
#define qs_atanh atanh
#define qs_erf erf
#define qs_erfc erfc
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
#if __has_builtin(__builtin_reduce_or)
#define Q_ANY_BITS(c) __builtin_reduce_or(c)
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

/* Whether term f of column j comes before one of column k, which was there first. With Q_NAMED columns come in any order. */
#if Q_NAMED
#define Q_WINS(f, j, BEFORE, best, k) (((f) BEFORE (best)) | (((f) == (best)) & ((j) < (k))))
#else
#define Q_WINS(f, j, BEFORE, best, k) ((f) BEFORE (best))
#endif

Q_FN real q_clamp_unit(real x)
{
    return q_select(x > 1, 1, q_select(x < -1, -1, x));
}

Q_FN sreal qs_clamp_unit(sreal x)
{
    return qs_select(x > 1, 1, qs_select(x < -1, -1, x));
}

Q_FN real q_rsqrt(real x)
{
#if Q_PTX
    return q_select(fabs(x) < FLT_MIN, 0, q_ptx_rsqrt(x));
#else
    return q_select(x == 0, 0, rsqrt(x));
#endif
}

Q_FN sreal qs_rsqrt(sreal x)
{
    return qs_select(x == 0, 0, rsqrt(x));
}

/* Mesa's is infinite from -8e-22 on to 0, and -inf at -inf (findings/mesa_gamma.sh); there it is -log|x|, and inf. */
Q_FN real q_lgamma(real x)
{
    return q_select(x == -INFINITY, INFINITY, q_select(fabs(x) < (sreal)0x1p-60f, -log(fabs(x)), lgamma(x)));
}

Q_FN sreal qs_lgamma(sreal x)
{
    return qs_select(x == -INFINITY, INFINITY, qs_select(fabs(x) < (sreal)0x1p-60f, -log(fabs(x)), lgamma(x)));
}

#if Q_F64 && Q_LANES > 1
/* PoCL 3.1, for a vector with a base that is 0, denormal, infinite or NaN in lane n, spoils the result of lane n/2 and, if
   denormal, its own (findings/pocl_lanes.sh): it gets none, and such lanes are done one by one. */
Q_FN real q_double_pow(const real x, const real y)
{
    const qint usual = (fabs(x) >= DBL_MIN) & (fabs(x) <= DBL_MAX);
    const real result = pow(q_select(usual, x, 1), y);
    if (!q_any(!usual)) return result;
    double a[Q_LANES], b[Q_LANES], r[Q_LANES];
    q_write(x, a);
    q_write(y, b);
    q_write(result, r);
    for (int lane = 0; lane < Q_LANES; lane++)
        if (!(fabs(a[lane]) >= DBL_MIN && fabs(a[lane]) <= DBL_MAX)) r[lane] = pow(a[lane], b[lane]);
    return q_read(r);
}
#endif

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

/* ---- where rounding shows ----
 * A quotient rounded correctly. The residual of one that is not is exact by fma, and so its correction is right wherever
 * the quotient of whole numbers is whole, however far off the division is. */
#if Q_F64 || defined(Q_ROUNDED_QUOTIENTS)
#define q_quotient(a, b) ((real)(a) / (b))
#define qs_quotient(a, b) ((sreal)(a) / (b))
#else
Q_FN real q_quotient(real a, real b)
{
    const real quotient = a / b, better = quotient + fma(-quotient, b, a) / b;
    return q_select(fabs(better) <= Q_HUGE, better, quotient);
}

Q_FN sreal qs_quotient(sreal a, sreal b)
{
    const sreal quotient = a / b, better = quotient + fma(-quotient, b, a) / b;
    return qs_select(fabs(better) <= Q_HUGE, better, quotient);
}
#endif

/* Integers beside other numbers: see emit_compared in plan/statements.c. */
#define q_low_bits(i) q_to_real((i) & 0xff)
#define q_high_bits(i) q_to_real((i) & ~0xff)
#define qs_low_bits(i) qs_to_real((i) & 0xff)
#define qs_high_bits(i) qs_to_real((i) & ~0xff)
#define q_abs_int(i) q_select_int((i) < 0, -(i), i)
#define qs_abs_int(i) ((i) < 0 ? -(i) : (i))

/* To k decimals: see formula/ops.c. */
Q_FN real q_round(real x, int k)
{
    const real scale = q_powi((real)10, k < 0 ? -k : k), q = k < 0 ? q_quotient(x, scale) : x * scale;
    const real rest = k < 0 ? fma(-q, scale, x) : fma(x, scale, -q), whole = trunc(q);
    const real n = q_select(fabs(q - whole) == (sreal)0.5 && rest * q < 0, whole, round(q));
    if (k < 0) return q_select(n == 0, n, n * scale);
    const real up = q_select(fabs(rest) == (sreal)0.5 && rest * q > 0, n + copysign((real)1, q), n);
    return q_select(fabs(q) < 1 / (sreal)Q_ROUNDING, q_quotient(up, scale), x);
}

Q_FN sreal qs_round(sreal x, int k)
{
    const sreal scale = qs_powi((sreal)10, k < 0 ? -k : k), q = k < 0 ? qs_quotient(x, scale) : x * scale;
    const sreal rest = k < 0 ? fma(-q, scale, x) : fma(x, scale, -q), whole = trunc(q);
    const sreal n = qs_select(fabs(q - whole) == (sreal)0.5 && rest * q < 0, whole, round(q));
    if (k < 0) return qs_select(n == 0, n, n * scale);
    const sreal up = qs_select(fabs(rest) == (sreal)0.5 && rest * q > 0, n + copysign((sreal)1, q), n);
    return qs_select(fabs(q) < 1 / (sreal)Q_ROUNDING, qs_quotient(up, scale), x);
}

/* ---- the exponential of what is never positive ---- */
#define Q_LOG2_E 1.44269504f

#if Q_OWN_MATH
#define q_exp_not_positive q_own_exp_not_positive
#define q_exp_minus q_own_exp_minus
#elif Q_VECTOR_MATH >= 2 && !Q_F64 && !Q_KAHAN
/* exp(x) for x never positive, as 2^(x log2(e)) by the hardware's 2^x: one instruction on GPUs, where the built-in
 * exponential takes 8 to 40. Within the hardware's own error (2 ulp on NVIDIA, 1 ulp on AMD) plus 7.3e-8 |x| in relation
 * to exp(x), which is what rounding log2(e) and its product with x does: 1.23 times what rounding x itself can do, and x,
 * being a squared distance or the like, was rounded before. As a number that is 2.6e-8 at most. NaN and -infinity are
 * right; results below the normal range may be 0. Where each term is compensated (Q_KAHAN) the built-in one is used. */
#if Q_PTX
#define q_hardware_exp2 q_ptx_exp2
#else
#define q_hardware_exp2 native_exp2
#endif
#define q_exp_not_positive(x) q_hardware_exp2((x)*Q_LOG2_E)
#define q_exp_minus(x) q_hardware_exp2((x) * -Q_LOG2_E)
#else
#define q_exp_not_positive exp
#define q_exp_minus(x) exp(-(x))
#endif

/* ---- memory ---- */

/* Of a struct that is staged in local memory: it starts where one load can take in all of it, or 16 bytes of it. */
#if Q_STAGED_COLS || Q_TILE_N
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

#if Q_LANES == 1 && !Q_F64
/* The same of a row that exists and where rows are as long as some fours, or twos: neighbours are one load. */
Q_FN real q_of_four(__global const sreal *p, const long i, const int dim, const int k)
{
    union {
        float4 all;
        float one[4];
    } four;
    four.all = ((__global const float4 *)(p + i * dim))[(uint)k / 4];
    return four.one[(uint)k % 4];
}

Q_FN real q_of_two(__global const sreal *p, const long i, const int dim, const int k)
{
    const float2 two = ((__global const float2 *)(p + i * dim))[(uint)k / 2];
    return (uint)k % 2 ? two.y : two.x;
}
#endif

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
