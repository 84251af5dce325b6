/*
 * convert.cl: a copy of `count` elements in rows of `columns` from one array to another, each with its own element type,
 * first element and stride. Work-items beyond the last element do nothing.
 *
 * Holes: Q_FROM and Q_TO: types in memory; Q_VALUE: what a value is on its way; Q_LOAD(p, k), Q_STORE(v, p, k).
 */
#ifndef Q_FROM
#define Q_NAME quern
#define Q_FROM ushort
#define Q_TO float
#define Q_VALUE float
#define Q_LOAD(p, k) q_load_bfloat(p[k])
#define Q_STORE(v, p, k) p[k] = v
#endif
#if Q_F64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#endif

inline float q_load_bfloat(const ushort bits)
{
    return as_float((uint)bits << 16);
}

/* To nearest, ties to even; NaN stays NaN. */
inline ushort q_store_bfloat(const float number)
{
    const uint bits = as_uint(number);
    return (ushort)(isnan(number) ? bits >> 16 | 0x40u : (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

__kernel void Q_NAME(__global const Q_FROM *from, const long from_first, const long from_stride, __global Q_TO *to,
                     const long to_first, const long to_stride, const long columns, const long count)
{
    const long k = (long)get_global_id(0);
    if (k >= count) return;
    const long row = k / columns, column = k % columns;
    const Q_VALUE value = Q_LOAD(from, from_first + row * from_stride + column);
    Q_STORE(value, to, to_first + row * to_stride + column);
}
