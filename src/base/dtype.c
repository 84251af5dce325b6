/*
 * dtype.c: the element types of arrays as a table, and single elements on the host. float16 and bfloat16 are for storage:
 * what is computed with them is computed in float32. Conversions round to nearest even; NaN stays NaN.
 */
#include <math.h>
#include <string.h>

#include "base/base.h"

static const struct {
    const char *name;
    size_t size;
} rows[] = {
    [QUERN_NUMBER] = {"a number", 8}, [QUERN_F32] = {"float32", 4}, [QUERN_F64] = {"float64", 8},
    [QUERN_I64] = {"int64", 8},       [QUERN_I32] = {"int32", 4},   [QUERN_F16] = {"float16", 2},
    [QUERN_BF16] = {"bfloat16", 2},
};

bool q_dtype_is_known(quern_dtype dtype)
{
    return (size_t)dtype < Q_COUNT(rows);
}

const char *q_dtype_name(quern_dtype dtype)
{
    return q_dtype_is_known(dtype) ? rows[dtype].name : "of an unknown type";
}

size_t q_element_size(quern_dtype dtype)
{
    return q_dtype_is_known(dtype) ? rows[dtype].size : 8;
}

static double read_half(uint16_t bits)
{
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double size = exponent == 31 ? fraction ? NAN : INFINITY
                  : exponent     ? ldexp(1024 + fraction, exponent - 25)
                                 : ldexp(fraction, -24);
    return bits & 0x8000 ? -size : size;
}

static uint16_t write_half(double number)
{
    uint16_t sign = signbit(number) ? 0x8000 : 0;
    double size = fabs(number);
    if (isnan(number)) return sign | 0x7e00;
    if (size < 0x1p-14) return (uint16_t)(sign + (int)nearbyint(size * 0x1p24)); /* denormal, or the least normal one */
    if (size >= 65520) return sign | 0x7c00;
    int exponent;
    double fraction = frexp(size, &exponent); /* in [1/2, 1) */
    return (uint16_t)(sign + ((exponent + 13) << 10) + (int)nearbyint(fraction * 2048));
}

static uint16_t write_bfloat(float number)
{
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    if (isnan(number)) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* Whole numbers out of range become the nearest that there is, NaN 0. */
static int64_t to_integer(double number, double limit, int64_t most)
{
    if (isnan(number)) return 0;
    return number >= limit ? most : number < -limit ? -most - 1 : (int64_t)number;
}

double q_element_read(quern_dtype dtype, const void *at)
{
    union {
        float f32;
        double f64;
        int64_t i64;
        int32_t i32;
        uint16_t half;
        uint32_t bits;
    } u;
    memcpy(&u, at, q_element_size(dtype));
    switch (dtype) {
    case QUERN_F32: return (double)u.f32;
    case QUERN_I64: return (double)u.i64;
    case QUERN_I32: return u.i32;
    case QUERN_F16: return read_half(u.half);
    case QUERN_BF16: u.bits = (uint32_t)u.half << 16; return (double)u.f32;
    default: return u.f64;
    }
}

void q_element_write(quern_dtype dtype, void *at, double number)
{
    union {
        float f32;
        double f64;
        int64_t i64;
        int32_t i32;
        uint16_t half;
    } u;
    switch (dtype) {
    case QUERN_F32: u.f32 = (float)number; break;
    case QUERN_I64: u.i64 = to_integer(number, 0x1p63, INT64_MAX); break;
    case QUERN_I32: u.i32 = (int32_t)to_integer(number, 0x1p31, INT32_MAX); break;
    case QUERN_F16: u.half = write_half(number); break;
    case QUERN_BF16: u.half = write_bfloat((float)number); break;
    default: u.f64 = number;
    }
    memcpy(at, &u, q_element_size(dtype));
}
