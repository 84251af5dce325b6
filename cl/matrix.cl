/*
 * matrix.cl: products of matrices of 16 x 16 numbers, to which the work-items of a warp add together, for the scheme `mma`, by
 * matrix units or by the same arithmetic in OpenCL C, which is for tests. Numbers are float16 or bfloat16, two of them in a word,
 * the first in its low half; sums are float32. What of it needs no work-items is C as well: tests/plan/test_matrix.c.
 *
 * Makes, by the number that the profile has (Q_MATRIX; q_matrix in src/plan/plan.h):
 *     2  NVIDIA from sm_80 on: mma.sync.m16n8k16 by inline PTX (PTX ISA); warps of 32
 *     4  AMD, CDNA2 on: v_mfma_f32_16x16x16 (AMD, "CDNA2 Instruction Set Architecture"; the layout by AMD's matrix instruction
 *        calculator); warps of 64
 *     6  AMD, RDNA3: v_wmma_f32_16x16x16 ("RDNA3 Instruction Set Architecture"); warps of 32
 *     8  Intel, Xe-HPC and later: dpas of 8 x 16 x 16 by cl_intel_subgroup_matrix_multiply_accumulate; warps of 16
 *    10  Intel, Xe-HPG: the same of 8 x 8 x 16; warps of 8
 * An odd number is the emulation of the next, with its places of numbers.
 *
 * Fragments: what each lane has of 16 rows (columns) and 16 components. A row has eight words; q_matrix_word tells which of the 128
 * of a fragment they are (where Q_COLUMN_PAIRS is set, a word of the columns has a component of two columns, in place of two of
 * one). Memory holds those of a lane, then those of the next, so no instruction shuffles them. A lane has sums of Q_LANE_ROWS rows
 * with Q_LANE_COLUMNS columns; the lanes of the same rows are Q_SHARERS, each of which is one `share`.
 *
 * Splitting. A float32 of 24 bits is the sum of two float16 up to 2^-22 of it, as long as neither leaves the range: cl/mma_pack.cl
 * scales by powers of two. Of the four products of parts that of both second parts is left out, and the small ones come first.
 *
 * Rounding. Products are exact. What is added at a time is shifted to the largest exponent among it, where bits beyond one more
 * than float32 has are cut off, and the sum is cut off to float32: so results are on the side of 0 (Fasi, Higham, Mikaitis
 * and Pranesh, "Numerical behavior of NVIDIA tensor cores", PeerJ CS 7, 2021; of the GPUs measured there the emulation has the
 * least accurate from sm_80 on: 8 products at a time and one more bit).
 */
#ifndef Q_FN
#include "prelude.cl"
#endif
#ifndef Q_PARTS
#define Q_PARTS 2 /* of a number */
#endif
#ifndef Q_BFLOAT16
#define Q_BFLOAT16 0 /* numbers are bfloat16, else float16 */
#endif
#ifndef Q_MATRIX
#define Q_MATRIX 1
#endif
#ifndef Q_FOLDED
#define Q_FOLDED 0 /* one product of parts that lie side by side gives a squared distance: below */
#endif
#define Q_LAYOUT ((Q_MATRIX + 1) / 2 * 2) /* the make that is meant */
#define Q_POWER(exponent) as_float((uint)(127 + (exponent)) << 23)

// ---- numbers of 16 bits

/* To the nearest, ties to even; what is too large is infinity. */
Q_FN uint q_bits16(const float value)
{
    const uint all = as_uint(value), x = all & 0x7fffffffu, sign = all >> 16 & 0x8000u;
#if Q_BFLOAT16
    return sign | (x > 0x7f800000u ? 0x7fc0u : (x + 0x7fffu + (x >> 16 & 1)) >> 16);
#else
    if (x >= 0x47800000u) return sign | (x > 0x7f800000u ? 0x7e00u : 0x7c00u);
    if (x < 0x38800000u) return sign | (as_uint(as_float(x) + 0.5f) - 0x3f000000u); /* a multiple of 2^-24 */
    return sign | (x + 0xfffu + (x >> 13 & 1) - 0x38000000u) >> 13;
#endif
}

Q_FN float q_float16(const uint bits)
{
#if Q_BFLOAT16
    return as_float(bits << 16);
#else
    const uint exponent = bits >> 10 & 31, mantissa = bits & 1023, sign = (bits & 0x8000u) << 16;
    const uint normal = ((exponent == 31 ? 255 : exponent + 112) << 23) | mantissa << 13;
    return as_float(sign | (exponent ? normal : as_uint((float)mantissa * 0x1p-24f)));
#endif
}

/* Two numbers of 16 bits in a word; and what they are. */
#if Q_MATRIX == 2 && !defined(Q_ON_HOST)
#if Q_BFLOAT16
#define Q_HALF "bf16"
#else
#define Q_HALF "f16"
#endif
Q_FN uint q_word16(const float low, const float high)
{
    uint word;
    __asm__("cvt.rn." Q_HALF "x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
    return word;
}

Q_FN void q_floats16(float *low, float *high, const uint word)
{
#if Q_BFLOAT16
    *low = as_float(word << 16), *high = as_float(word & 0xffff0000u);
#else
    __asm__("{.reg .f16 l, h; mov.b32 {l, h}, %2; cvt.f32.f16 %0, l; cvt.f32.f16 %1, h;}" : "=f"(*low), "=f"(*high) : "r"(word));
#endif
}
#elif Q_MATRIX && Q_MATRIX % 2 == 0 && !Q_BFLOAT16 && !defined(Q_ON_HOST)
#pragma OPENCL EXTENSION cl_khr_fp16 : enable
Q_FN uint q_word16(const float low, const float high)
{
    return as_uint((half2)((half)low, (half)high));
}

Q_FN void q_floats16(float *low, float *high, const uint word)
{
    const half2 both = as_half2(word);
    *low = (float)both.x, *high = (float)both.y;
}
#else
Q_FN uint q_word16(const float low, const float high)
{
    return q_bits16(low) | q_bits16(high) << 16;
}

Q_FN void q_floats16(float *low, float *high, const uint word)
{
    *low = q_float16(word & 0xffff), *high = q_float16(word >> 16);
}
#endif

/* The parts of two numbers, which lose what these take: parts[0] has the most of both. */
Q_FN void q_split(uint parts[Q_PARTS], float *first, float *second)
{
    for (int p = 0; p < Q_PARTS; p++) {
        float low, high;
        parts[p] = q_word16(*first, *second);
        q_floats16(&low, &high, parts[p]);
        *first -= low;
        *second -= high;
    }
}

#if Q_FOLDED
// ---- a squared distance of few components by one product

#define Q_FOLD_FIRST (4 * Q_K_DIM + 4 > 16) /* of four products of parts; 1: that of both second parts is left out */
#define Q_FOLD_LARGEST 0x1p14f              /* square */

/* The 16 places of a row, or of a column: of each component, products of parts, small ones first, so that they are added to each
   other; in the last four both squares, with 1 in the other operand. The square, of what is left of v in two parts. */
Q_FN float q_fold(uint places[16], const float *v, const int is_row)
{
    uint parts[Q_PARTS];
    float square = 0, none = 0;
    for (int k = 0; k < 16; k++) places[k] = 0;
    for (int d = 0; d < Q_K_DIM; d++) {
        const float whole = is_row ? v[d] : -2 * v[d];
        float rest = whole;
        q_split(parts, &rest, &none);
        const float kept = is_row ? whole - rest : (whole - rest) / 2;
        square = fma(kept, kept, square);
        for (int p = Q_FOLD_FIRST; p < 4; p++)
            places[(p - Q_FOLD_FIRST) * Q_K_DIM + d] = parts[is_row ? p < 2 : p % 2 == 0] & 0xffff;
    }
    float rest = square;
    q_split(parts, &rest, &none);
    for (int p = 0; p < 2; p++) {
        places[12 + 2 * p + !is_row] = parts[1 - p] & 0xffff;
        places[12 + 2 * p + (is_row != 0)] = q_bits16(1);
    }
    return square;
}
#endif

// ---- the places of numbers

/* q_matrix_word: which word of the fragments of 16 rows, or columns, has components 2w and 2w + 1 of row (column) `at`. */
#if Q_LAYOUT == 2
#define Q_WARP_SIZE 32
#define Q_LANE_ROWS 2
#define Q_LANE_COLUMNS 4
#define Q_LANE_ROW(lane, r) ((r) * 8 + (lane) / 4)
#define Q_SHARE_OF(lane) ((lane) % 4)
#define Q_SHARE_COLUMN(share, k) ((k) / 2 * 8 + (share) * 2 + (k) % 2)
#define Q_LANE_SUM(r, k) ((k) / 2 * 4 + (r) * 2 + (k) % 2)
#define Q_LANE_OF(row, share) ((row) % 8 * 4 + (share))
#define Q_LANE_WORDS 4
Q_FN int q_matrix_word(const int at, const int w, const int columns)
{
    const int lane = at % 8 * 4 + w % 4, up = at / 8, second = w / 4;
    return lane * 4 + (columns ? 2 * up + second : up + 2 * second);
}
#elif Q_LAYOUT == 4
#define Q_WARP_SIZE 64
#define Q_LANE_ROWS 1
#define Q_LANE_COLUMNS 4
#define Q_LANE_ROW(lane, r) ((lane) % 16)
#define Q_SHARE_OF(lane) ((lane) / 16)
#define Q_SHARE_COLUMN(share, k) ((share) * 4 + (k))
#define Q_LANE_SUM(r, k) (k)
#define Q_LANE_OF(row, share) ((share) * 16 + (row))
#define Q_LANE_WORDS 2
Q_FN int q_matrix_word(const int at, const int w, const int columns)
{
    return (w / 2 * 16 + at) * 2 + w % 2;
}
#elif Q_LAYOUT == 6
#define Q_WARP_SIZE 32 /* both halves have the same fragments */
#define Q_LANE_ROWS 1
#define Q_LANE_COLUMNS 8
#define Q_LANE_ROW(lane, r) ((lane) % 16)
#define Q_SHARE_OF(lane) ((lane) / 16)
#define Q_SHARE_COLUMN(share, k) ((k) * 2 + (share))
#define Q_LANE_SUM(r, k) (k)
#define Q_LANE_OF(row, share) ((share) * 16 + (row))
#define Q_LANE_WORDS 8
Q_FN int q_matrix_word(const int at, const int w, const int columns)
{
    return at * 8 + w;
}
#elif Q_LAYOUT == 8
#define Q_WARP_SIZE 16
#define Q_LANE_ROWS 1
#define Q_LANE_COLUMNS 16
#define Q_LANE_ROW(lane, r) (lane)
#define Q_SHARE_OF(lane) 0
#define Q_SHARE_COLUMN(share, k) (k)
#define Q_LANE_SUM(r, k) (k)
#define Q_LANE_OF(row, share) (row)
#define Q_LANE_WORDS 8
#define Q_COLUMN_PAIRS
Q_FN int q_matrix_word(const int at, const int w, const int columns)
{
    return columns ? w * 16 + at / 2 : at * 8 + w; /* of columns component 2w; 2w + 1 is 8 words on */
}
#else
#define Q_WARP_SIZE 8
#define Q_LANE_ROWS 2
#define Q_LANE_COLUMNS 16
#define Q_LANE_ROW(lane, r) ((r) * 8 + (lane))
#define Q_SHARE_OF(lane) 0
#define Q_SHARE_COLUMN(share, k) (k)
#define Q_LANE_SUM(r, k) ((r) * 16 + (k))
#define Q_LANE_OF(row, share) ((row) % 8)
#define Q_LANE_WORDS 16
Q_FN int q_matrix_word(const int at, const int w, const int columns)
{
    return columns ? w * 16 + at : at % 8 * 16 + at / 8 * 8 + w;
}
#endif
#define Q_LANE_SUMS (Q_LANE_ROWS * Q_LANE_COLUMNS)
#define Q_SHARERS (16 / Q_LANE_COLUMNS)

// ---- sums as matrix units round them

/* c + the eight products, towards 0. */
Q_FN float q_matrix_add(const float c, const float products[8])
{
    uint largest = 0;
    int sum = 0;
    float plain = c;
    for (int k = 0; k < 8; k++) plain += products[k];
    for (int k = 0; k < 9; k++) largest = max(largest, as_uint(k < 8 ? products[k] : c) >> 23 & 255);
    if (largest == 255) return plain;
    for (int k = 0; k < 9; k++) {
        const uint bits = as_uint(k < 8 ? products[k] : c), exponent = bits >> 23 & 255;
        const uint mantissa = (bits & 0x7fffffu) | (exponent ? 0x800000u : 0), shift = largest - max(exponent, 1u);
        const int part = exponent > 0 && shift < 25 ? (int)(mantissa << 1 >> shift) : 0;
        sum += bits >> 31 ? -part : part;
    }
    uint size = (uint)(sum < 0 ? -sum : sum);
    int exponent = (int)largest - 151;
    for (; size >= 0x1000000u; size >>= 1) exponent++;
    return ldexp((float)(sum < 0 ? -(int)size : (int)size), exponent);
}

/* c + the products of 16 components of a row and of a column. */
Q_FN float q_matrix_dot(float c, const uint row[8], const uint column[8])
{
    for (int half_ = 0; half_ < 2; half_++) {
        float products[8];
        for (int k = 0; k < 8; k++) {
            const uint a = row[4 * half_ + k / 2], b = column[4 * half_ + k / 2], shift = k % 2 ? 16 : 0;
            products[k] = q_float16(a >> shift & 0xffff) * q_float16(b >> shift & 0xffff);
        }
        c = q_matrix_add(c, products);
    }
    return c;
}

// ---- what a warp does

#ifndef Q_ON_HOST
#if Q_LAYOUT == 2
typedef uint4 q_fragment;
#elif Q_LAYOUT == 4
typedef uint2 q_fragment;
#elif Q_LANE_WORDS == 8
typedef uint8 q_fragment __attribute__((aligned(16)));
#else
typedef uint16 q_fragment __attribute__((aligned(16)));
#endif

/* Puts components 2w and 2w + 1 of a row (column) where they belong, in a fragment in memory; and takes them. */
Q_FN void q_put_word(__global uint *to, const int at, const int w, const int columns, const uint word)
{
#ifdef Q_COLUMN_PAIRS
    __global ushort *const half_ = (__global ushort *)(to + q_matrix_word(at, w, 1)) + at % 2;
    if (columns) half_[0] = (ushort)word, half_[16] = (ushort)(word >> 16);
    else
#endif
        to[q_matrix_word(at, w, columns)] = word;
}

Q_FN uint q_word_of(__local const uint *from, const int at, const int w, const int columns)
{
    __local const uint *const words = from + q_matrix_word(at, w, columns);
#ifdef Q_COLUMN_PAIRS
    const uint shift = at % 2 ? 16 : 0;
    if (columns) return (words[0] >> shift & 0xffff) | (words[8] >> shift & 0xffff) << 16;
#endif
    return words[0];
}

/* The lane's part of the fragment that is at a uint4 in memory. */
#define Q_FRAGMENT_AT(space, at, lane) ((space q_fragment *)(at))[(lane) % (128 / Q_LANE_WORDS)]

#if Q_MATRIX % 2

#define Q_UNROLL_MATRIX _Pragma("nounroll") /* PoCL 3.1 makes a loop over all work-items of each barrier */
typedef struct {
    uint rows[128], columns[128];
} __attribute__((aligned(16))) q_scratch;
#define Q_SCRATCH_POINTER __local q_scratch *
#define Q_MATRIX_SCRATCH(warps) q_scratch scratch[warps];
#define Q_SCRATCH_OF(shared, warp) (&(shared)->scratch[warp])
#define Q_MATRIX_LANE ((int)get_local_id(0) % Q_WARP_SIZE)

/* Adds the product of 16 rows and 16 columns. Lanes show each other what they have. All warps of a group do it at the same time. */
Q_FN __attribute__((always_inline)) void q_matrix_product(float *c, const q_fragment row, const q_fragment column, __local q_scratch *scratch)
{
    const int lane = Q_MATRIX_LANE;
    Q_FRAGMENT_AT(__local, scratch->rows, lane) = row;
    Q_FRAGMENT_AT(__local, scratch->columns, lane) = column;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int r = 0; r < Q_LANE_ROWS; r++)
        for (int k = 0; k < Q_LANE_COLUMNS; k++) {
            uint x[8], y[8];
            for (int w = 0; w < 8; w++) {
                x[w] = q_word_of(scratch->rows, Q_LANE_ROW(lane, r), w, 0);
                y[w] = q_word_of(scratch->columns, Q_SHARE_COLUMN(Q_SHARE_OF(lane), k), w, 1);
            }
            c[Q_LANE_SUM(r, k)] = q_matrix_dot(c[Q_LANE_SUM(r, k)], x, y);
        }
    barrier(CLK_LOCAL_MEM_FENCE);
}

/* Whether a lane says so: of all warps of the group, as all of them are to do the same. */
Q_FN __attribute__((always_inline)) int q_any_of_warp(const int flag, __local q_scratch *scratch)
{
    const int item = (int)get_local_id(0), size = (int)get_local_size(0);
    __local q_scratch *const first = scratch - item / Q_WARP_SIZE;
    uint any = 0;
    scratch->rows[Q_MATRIX_LANE] = flag != 0;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int n = 0; n < size; n++) any |= first[n / Q_WARP_SIZE].rows[n % Q_WARP_SIZE];
    barrier(CLK_LOCAL_MEM_FENCE);
    return (int)any;
}

/* The number that the lane with this share of the same row has; of two rows, the first. */
Q_FN __attribute__((always_inline)) float q_of_row(const float value, const int share, __local q_scratch *scratch)
{
    scratch->rows[Q_MATRIX_LANE] = as_uint(value);
    barrier(CLK_LOCAL_MEM_FENCE);
    const float of = as_float(scratch->rows[Q_LANE_OF(Q_LANE_ROW(Q_MATRIX_LANE, 0), share)]);
    barrier(CLK_LOCAL_MEM_FENCE);
    return of;
}

#else

/* Fully, for fragments are in registers. */
#define Q_UNROLL_MATRIX _Pragma("unroll")
#define Q_MATRIX_SCRATCH(warps)
#define Q_SCRATCH_OF(shared, warp) 0
typedef int q_scratch;
#define Q_SCRATCH_POINTER q_scratch

#if Q_MATRIX == 2
#if Q_BFLOAT16
#define Q_MATRIX_TYPES "f32.bf16.bf16.f32"
#else
#define Q_MATRIX_TYPES "f32.f16.f16.f32"
#endif
/* Adds the product of 16 rows, a, and 8 columns, b0 and b1, to c. */
#define Q_MATRIX_STEP(c, a, b0, b1)                                                                                      \
    __asm__("mma.sync.aligned.m16n8k16.row.col." Q_MATRIX_TYPES " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};" \
            : "+f"((c)[0]), "+f"((c)[1]), "+f"((c)[2]), "+f"((c)[3])                                                     \
            : "r"((a).x), "r"((a).y), "r"((a).z), "r"((a).w), "r"(b0), "r"(b1))

static inline __attribute__((always_inline)) void q_matrix_product(float *c, const q_fragment row, const q_fragment column, const q_scratch scratch)
{
    Q_MATRIX_STEP(c, row, column.x, column.y);
    Q_MATRIX_STEP(c + 4, row, column.z, column.w);
}

static inline int q_any_of_warp(const int flag, const q_scratch scratch)
{
    int any;
    __asm__ volatile("{.reg .pred p, r; setp.ne.s32 p, %1, 0; vote.sync.any.pred r, p, 0xffffffff; selp.s32 %0, 1, 0, r;}"
                     : "=r"(any)
                     : "r"(flag));
    return any;
}

static inline float q_of_row(const float value, const int share, const q_scratch scratch)
{
    float of;
    __asm__ volatile("shfl.sync.idx.b32 %0, %1, %2, 0x1c1f, 0xffffffff;" : "=f"(of) : "f"(value), "r"(share));
    return of;
}

#else
#pragma OPENCL EXTENSION cl_khr_fp16 : enable

static inline float8 q_sums8(const float *c)
{
    return (float8)(c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]);
}

static inline void q_keep8(float *c, const float8 sums)
{
    c[0] = sums.s0, c[1] = sums.s1, c[2] = sums.s2, c[3] = sums.s3, c[4] = sums.s4, c[5] = sums.s5, c[6] = sums.s6, c[7] = sums.s7;
}

#if Q_MATRIX >= 8
#if Q_BFLOAT16
#define Q_DPAS intel_sub_group_bf16_bf16_matrix_mad_k16
#else
#define Q_DPAS intel_sub_group_f16_f16_matrix_mad_k16
#endif
#if Q_MATRIX == 8
typedef short8 q_dpas_rows;
#else
typedef int8 q_dpas_rows;
#endif
#ifndef cl_intel_subgroup_matrix_multiply_accumulate /* there, but not declared, in Intel's compilers of 2022 */
float8 __attribute__((overloadable)) Q_DPAS(q_dpas_rows a, int8 b, float8 acc);
#endif
#endif

/* Units take columns as their rows, so that a lane has sums of one row of ours. */
static inline __attribute__((always_inline)) void q_matrix_product(float *c, const q_fragment row, const q_fragment column, const q_scratch scratch)
{
#if Q_MATRIX == 8
    const short16 columns = as_short16(column);
    q_keep8(c, Q_DPAS(columns.lo, as_int8(row), q_sums8(c)));
    q_keep8(c + 8, Q_DPAS(columns.hi, as_int8(row), q_sums8(c + 8)));
#elif Q_MATRIX == 10
    for (int n = 0; n < 4; n++) {
        const int8 columns = as_int8(n % 2 ? column.hi : column.lo), rows = as_int8(n / 2 ? row.hi : row.lo);
        q_keep8(c + 8 * n, Q_DPAS(columns, rows, q_sums8(c + 8 * n)));
    }
#elif Q_MATRIX == 4
    float4 sums = (float4)(c[0], c[1], c[2], c[3]);
#if Q_BFLOAT16
    sums = __builtin_amdgcn_mfma_f32_16x16x16bf16_1k(as_short4(column), as_short4(row), sums, 0, 0, 0);
#else
    sums = __builtin_amdgcn_mfma_f32_16x16x16f16(as_half4(column), as_half4(row), sums, 0, 0, 0);
#endif
    c[0] = sums.s0, c[1] = sums.s1, c[2] = sums.s2, c[3] = sums.s3;
#else
    float8 sums = q_sums8(c);
#if Q_BFLOAT16
    sums = __builtin_amdgcn_wmma_f32_16x16x16_bf16_w32(as_short16(column), as_short16(row), sums);
#else
    sums = __builtin_amdgcn_wmma_f32_16x16x16_f16_w32(as_half16(column), as_half16(row), sums);
#endif
    q_keep8(c, sums);
#endif
}

static inline int q_any_of_warp(const int flag, const q_scratch scratch)
{
#if Q_MATRIX >= 8
    return sub_group_any(flag);
#else
    return __builtin_amdgcn_uicmp((uint)flag, 0u, 33 /* not equal */) != 0;
#endif
}

static inline float q_of_row(const float value, const int share, const q_scratch scratch)
{
#if Q_SHARERS == 1
    return value;
#else
    const int lane = (int)get_local_id(0) % Q_WARP_SIZE;
    return as_float(__builtin_amdgcn_ds_bpermute(4 * Q_LANE_OF(Q_LANE_ROW(lane, 0), share), as_int(value)));
#endif
}
#endif
#endif

#define Q_WORDS8(w, p, n) w[n][p], w[n + 1][p], w[n + 2][p], w[n + 3][p], w[n + 4][p], w[n + 5][p], w[n + 6][p], w[n + 7][p]
#if Q_LANE_WORDS == 8
#define Q_ROW_OF_WORDS(w, p) (uint8)(Q_WORDS8(w, p, 0))
#else
#define Q_ROW_OF_WORDS(w, p) (uint16)(Q_WORDS8(w, p, 0), Q_WORDS8(w, p, 8))
#endif

/* The parts of what a lane has sums of, as it would have them of a fragment of 16 rows whose components are the columns. */
static inline __attribute__((always_inline)) void q_row_fragment(q_fragment parts[Q_PARTS], const float *sums, Q_SCRATCH_POINTER scratch)
{
    uint word[Q_LANE_WORDS][Q_PARTS];
    Q_UNROLL_MATRIX for (int w = 0; w < Q_LANE_WORDS; w++)
    {
#if Q_LAYOUT == 6 /* columns are one lane's and the other's, in turn */
        float first = q_of_row(sums[w], 0, scratch), second = q_of_row(sums[w], 1, scratch);
#else
        const int r = Q_SHARERS > 1 ? w % Q_LANE_ROWS : w / 8, k = Q_SHARERS > 1 ? w / Q_LANE_ROWS * 2 : w % 8 * 2;
        float first = sums[Q_LANE_SUM(r, k)], second = sums[Q_LANE_SUM(r, k + 1)];
#endif
        q_split(word[w], &first, &second);
    }
    Q_UNROLL_MATRIX for (int p = 0; p < Q_PARTS; p++)
#if Q_LAYOUT == 2
        parts[p] = (uint4)(word[0][p], word[1][p], word[2][p], word[3][p]);
#elif Q_LAYOUT == 4
        parts[p] = (uint2)(word[0][p], word[1][p]);
#else
        parts[p] = Q_ROW_OF_WORDS(word, p);
#endif
}

#if Q_MATRIX == 2
/* A copy to local memory that goes on while others work; what was begun is there after q_copies_wait and a barrier. */
static inline void q_copy(__local uint4 *to, __global const uint4 *from)
{
    __asm__ volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"((uint)(size_t)to), "l"(from) : "memory");
}

static inline void q_copies_wait(void)
{
    __asm__ volatile("cp.async.wait_all;" ::: "memory");
}

/* The same number, of which compilers know nothing: what is rare is not to have pointers that go along with a loop, in registers. */
static inline long q_rarely(const long value)
{
    long same;
    __asm__ volatile("mov.u64 %0, %1;" : "=l"(same) : "l"(value));
    return same;
}
#else
Q_FN void q_copy(__local uint4 *to, __global const uint4 *from)
{
    *to = *from;
}

Q_FN void q_copies_wait(void) {}

Q_FN long q_rarely(const long value)
{
    return value;
}
#endif

/* The products of parts that matter, the smallest first: which part of the row, and of the column. */
#define Q_PRODUCTS (Q_PARTS == 1 ? 1 : 3)
#define Q_ROW_PART(p) (Q_PARTS == 2 && (p) == 0)
#define Q_COLUMN_PART(p) (Q_PARTS == 2 && (p) == 1)

#ifdef Q_PROBE
Q_FN uint q_split_again(const uint word)
{
    float low, high;
    uint parts[Q_PARTS], all = 0;
    q_floats16(&low, &high, word);
    q_split(parts, &low, &high);
    for (int p = 0; p < Q_PARTS; p++) all |= parts[p]; /* what is whole leaves nothing for a second part */
    return all;
}

/* 16 rows with 16 columns: their fragments are the operands; sums begin at 1. Numbers are split, and so stay what they are. */
__kernel __attribute__((reqd_work_group_size(Q_WARP_SIZE, 1, 1)))
#if Q_MATRIX == 8 || Q_MATRIX == 10
__attribute__((intel_reqd_sub_group_size(Q_WARP_SIZE)))
#endif
void quern_probe_matrix(__global const uint4 *operands, __global float *results)
{
    __local struct {
        uint4 columns[32];
        Q_MATRIX_SCRATCH(1)
    } shared;
    const int lane = (int)get_local_id(0);
    q_fragment row = Q_FRAGMENT_AT(__global const, operands, lane);
    for (int w = 0; w < Q_LANE_WORDS; w++) ((uint *)&row)[w] = q_split_again(((uint *)&row)[w]);
    const int any = q_any_of_warp(lane == Q_WARP_SIZE / 2 + 1, Q_SCRATCH_OF(&shared, 0)) + q_any_of_warp(lane >= Q_WARP_SIZE, Q_SCRATCH_OF(&shared, 0));
    float c[Q_LANE_SUMS];
    Q_UNROLL_MATRIX for (int e = 0; e < Q_LANE_SUMS; e++) /* another way for each: clang 15 ends in wmma of equal sums */
        c[e] = (float)any + q_of_row((float)(lane + e), 1, Q_SCRATCH_OF(&shared, 0)) - (float)(Q_LANE_OF(Q_LANE_ROW(lane, 0), 1) + e);
    for (int n = lane; n < 32; n += Q_WARP_SIZE) q_copy(&shared.columns[n], operands + 32 + n);
    q_copies_wait();
    barrier(CLK_LOCAL_MEM_FENCE);
    const q_fragment column = Q_FRAGMENT_AT(__local const, shared.columns, lane);
    q_matrix_product(c, row, column, Q_SCRATCH_OF(&shared, 0));
    for (int r = 0; r < Q_LANE_ROWS; r++)
        for (int k = 0; k < Q_LANE_COLUMNS; k++)
            results[Q_LANE_ROW(lane, r) * 16 + Q_SHARE_COLUMN(Q_SHARE_OF(lane), k)] = c[Q_LANE_SUM(r, k)];
}
#endif
#endif
