/*
 * matrix.cl: products of matrices of 16 x 16 and 16 x 8 numbers, to which 32 work-items, a warp, add together, for the
 * scheme `mma`: by the matrix units of NVIDIA's GPUs from sm_80 on (PTX ISA, mma.sync.m16n8k16), or by the same arithmetic in
 * OpenCL C, which is for tests. Numbers are float16 or bfloat16, two of them in a word, the first in its low half; sums are
 * float32. What of it needs no work-items is C as well: tests/plan/test_matrix.c.
 *
 * Fragments. Lane l of a warp has, with g = l / 4 and q = l % 4, components 2q and 2q + 1 in one word and 2q + 8, 2q + 9 in
 * another. Of 16 rows a uint4: rows g and g + 8 of the first word, then of the second. Of 8 columns two words of column g; of 16
 * columns a uint4: those of column g, then of g + 8. Of sums four: columns 2q and 2q + 1 of row g, then of row g + 8.
 * Memory holds a uint4 for each lane, one after the other (q_matrix_word), so no instruction shuffles them.
 *
 * Splitting. A float32 of 24 bits is the sum of two float16 up to 2^-22 of it, as long as neither leaves the range:
 * cl/mma_pack.cl scales by powers of two. Of the four products of parts the one of both second parts is left out, and the small
 * ones come first.
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
#define Q_MATRIX 1 /* 1: emulated; 2: mma.sync */
#endif

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

/* Which word of the fragments of 16 rows, or columns, has components 2w and 2w + 1 of row (column) `at`. */
Q_FN int q_matrix_word(const int at, const int w, const int columns)
{
    const int lane = at % 8 * 4 + w % 4, up = at / 8, second = w / 4;
    return lane * 4 + (columns ? 2 * up + second : up + 2 * second);
}

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
#if Q_MATRIX == 2

/* Fully, for fragments are in registers. */
#define Q_UNROLL_MATRIX _Pragma("unroll")
#define Q_MATRIX_SCRATCH(warps)
#define Q_SCRATCH_OF(shared, warp) 0
typedef int q_scratch;
#define Q_SCRATCH_POINTER q_scratch

/* Adds the product of 16 rows, a, and 8 columns, b0 and b1, to c. */
#define Q_MATRIX_STEP(c, a, b0, b1, scratch)                                                                             \
    __asm__("mma.sync.aligned.m16n8k16.row.col." Q_MATRIX_TYPES " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};" \
            : "+f"((c)[0]), "+f"((c)[1]), "+f"((c)[2]), "+f"((c)[3])                                                     \
            : "r"((a).x), "r"((a).y), "r"((a).z), "r"((a).w), "r"(b0), "r"(b1))
#if Q_BFLOAT16
#define Q_MATRIX_TYPES "f32.bf16.bf16.f32"
#else
#define Q_MATRIX_TYPES "f32.f16.f16.f32"
#endif

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

/* Whether a lane of the warp says so; and the number that the lane `turn` of the four of a row has. */
static inline int q_any_of_warp(const int flag, const q_scratch scratch)
{
    int any;
    __asm__ volatile("{.reg .pred p, r; setp.ne.s32 p, %1, 0; vote.sync.any.pred r, p, 0xffffffff; selp.s32 %0, 1, 0, r;}"
                     : "=r"(any)
                     : "r"(flag));
    return any;
}

static inline float q_of_quad(const float value, const int turn, const q_scratch scratch)
{
    float of;
    __asm__ volatile("shfl.sync.idx.b32 %0, %1, %2, 0x1c1f, 0xffffffff;" : "=f"(of) : "f"(value), "r"(turn));
    return of;
}

#else

#define Q_UNROLL_MATRIX _Pragma("nounroll") /* PoCL 3.1 makes a loop over all work-items of each barrier */
typedef struct {
    uint4 a[32];
    uint2 b[32];
} q_scratch;
#define Q_SCRATCH_POINTER __local q_scratch *
#define Q_MATRIX_SCRATCH(warps) q_scratch scratch[warps];
#define Q_SCRATCH_OF(shared, warp) (&(shared)->scratch[warp])
#define Q_MATRIX_STEP(c, a, b0, b1, scratch) q_matrix_step(c, a, (uint2)(b0, b1), scratch)

/* Lanes show each other what they have. All warps of a group do it at the same time. */
Q_FN __attribute__((always_inline)) void q_matrix_step(float *c, const uint4 a, const uint2 b, __local q_scratch *scratch)
{
    const int lane = (int)get_local_id(0) % 32;
    scratch->a[lane] = a;
    scratch->b[lane] = b;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int e = 0; e < 4; e++) {
        uint row[8], column[8];
        for (int w = 0; w < 8; w++) {
            const uint4 word = scratch->a[lane / 4 * 4 + w % 4];
            const uint2 words = scratch->b[(2 * (lane % 4) + e % 2) * 4 + w % 4];
            row[w] = w < 4 ? (e < 2 ? word.x : word.y) : e < 2 ? word.z : word.w;
            column[w] = w < 4 ? words.x : words.y;
        }
        c[e] = q_matrix_dot(c[e], row, column);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
}

Q_FN void q_copy(__local uint4 *to, __global const uint4 *from)
{
    *to = *from;
}

Q_FN void q_copies_wait(void) {}

Q_FN long q_rarely(const long value)
{
    return value;
}

/* Of all warps of the group, as all of them are to do the same. */
Q_FN __attribute__((always_inline)) int q_any_of_warp(const int flag, __local q_scratch *scratch)
{
    const int item = (int)get_local_id(0), warps = (int)get_local_size(0) / 32;
    __local q_scratch *const first = scratch - item / 32;
    uint any = 0;
    scratch->b[item % 32].x = flag != 0;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int n = 0; n < 32 * warps; n++) any |= first[n / 32].b[n % 32].x;
    barrier(CLK_LOCAL_MEM_FENCE);
    return (int)any;
}

Q_FN __attribute__((always_inline)) float q_of_quad(const float value, const int turn, __local q_scratch *scratch)
{
    const int lane = (int)get_local_id(0) % 32;
    scratch->a[lane].x = as_uint(value);
    barrier(CLK_LOCAL_MEM_FENCE);
    const float of = as_float(scratch->a[lane / 4 * 4 + turn].x);
    barrier(CLK_LOCAL_MEM_FENCE);
    return of;
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
__kernel __attribute__((reqd_work_group_size(32, 1, 1))) void quern_probe_matrix(__global const uint4 *operands,
                                                                                __global float *results)
{
    __local struct {
        uint4 columns[32];
        Q_MATRIX_SCRATCH(1)
    } shared;
    const int lane = (int)get_local_id(0);
    const uint4 all = operands[lane];
    uint4 row;
    row.x = q_split_again(all.x), row.y = q_split_again(all.y), row.z = q_split_again(all.z), row.w = q_split_again(all.w);
    const float one = (float)(q_any_of_warp(lane == 17, Q_SCRATCH_OF(&shared, 0)) + q_any_of_warp(lane > 31, Q_SCRATCH_OF(&shared, 0))) *
                      (q_of_quad((float)lane, 2, Q_SCRATCH_OF(&shared, 0)) - (float)(lane / 4 * 4 + 1));
    float c[2][4] = {{one, one, one, one}, {one, one, one, one}};
    q_copy(&shared.columns[lane], operands + 32 + lane);
    q_copies_wait();
    barrier(CLK_LOCAL_MEM_FENCE);
    const uint4 column = shared.columns[lane];
    Q_MATRIX_STEP(c[0], row, column.x, column.y, Q_SCRATCH_OF(&shared, 0));
    Q_MATRIX_STEP(c[1], row, column.z, column.w, Q_SCRATCH_OF(&shared, 0));
    for (int e = 0; e < 8; e++)
        results[(lane / 4 + e / 2 % 2 * 8) * 16 + e / 4 * 8 + lane % 4 * 2 + e % 2] = c[e / 4][e % 4];
}
#endif

// ---- rows and columns as cl/mma_pack.cl leaves them

/* In units of 16 bytes: fragments of the rows of each tile, component by component, part by part, 16 rows after 16; of each tile
   the same of the columns and, for each group of Q_RHS_HELD right-hand sides, theirs, of which columns are the components, with a
   number each that they are to be multiplied with, 0 where they cannot be taken; with Q_EXPANSION the squares of rows and of columns; and of each tile what sums are to be multiplied with, 0
   where it cannot be taken. Tiles are padded with zeros. Q_STEPS: fragments along the components. */
#define Q_TILE_M Q_LOCAL
#define Q_STEPS ((Q_K_DIM + 15) / 16)
#define Q_ROW_TILE (Q_STEPS * Q_PARTS * Q_TILE_M * 2L)
#define Q_COLUMN_WORDS (Q_STEPS * Q_PARTS * Q_TILE_N * 2)
#if Q_RHS_DIM
#define Q_RHS_GROUPS ((Q_RHS_DIM + Q_RHS_HELD - 1) / Q_RHS_HELD)
#define Q_RHS_STEPS (Q_TILE_N / 16) /* fragments along the columns */
#define Q_RHS_FRAGMENTS (Q_RHS_STEPS * Q_PARTS * Q_RHS_HELD * 2)
#define Q_RHS_WORDS (Q_RHS_FRAGMENTS + Q_RHS_HELD / 4)
#define Q_COLUMN_TILE (Q_COLUMN_WORDS + Q_RHS_GROUPS * (long)Q_RHS_WORDS)
#else
#define Q_RHS_WORDS 0
#define Q_COLUMN_TILE ((long)Q_COLUMN_WORDS)
#endif
#define Q_ROW_TILES (((long)(Q_ROW_COUNT) + Q_TILE_M - 1) / Q_TILE_M)
#define Q_COLUMN_TILES (((long)(Q_COLUMN_COUNT) + Q_TILE_N - 1) / Q_TILE_N)
#define Q_PACKED_ROWS(tile) (packed + (tile) * Q_ROW_TILE)
#define Q_PACKED_COLUMNS(tile) (packed + Q_ROW_TILES * Q_ROW_TILE + (tile) * Q_COLUMN_TILE)
#define Q_PACKED_NUMBERS ((__global float *)Q_PACKED_COLUMNS(Q_COLUMN_TILES))
#define Q_ROW_SQUARES(tile) (Q_PACKED_NUMBERS + (tile) * Q_TILE_M)
#define Q_COLUMN_SQUARES(tile) (Q_ROW_SQUARES(Q_EXPANSION ? Q_ROW_TILES : 0) + (tile) * Q_TILE_N)
#define Q_ROW_SCALES Q_COLUMN_SQUARES(Q_EXPANSION ? Q_COLUMN_TILES : 0)
#define Q_COLUMN_SCALES (Q_ROW_SCALES + Q_ROW_TILES)
#define Q_FRAGMENT(s, p, at, size) ((((s) * Q_PARTS + (p)) * ((size) / 16) + (at)) * 32) /* of 16 rows of a tile of `size` */
#endif
