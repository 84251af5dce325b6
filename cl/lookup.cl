/*
 * lookup.cl: rows of tables, picked by number (src/formula/lookup.c). Component k of row x of `count` rows of `width` numbers,
 * or 0 where there is no row x: nothing is read outside the table, whatever x is. Only in kernels that use them.
 */
#ifndef Q_FN
#include "prelude.cl"
#endif

Q_FN sreal qs_lookup_int(__global const sreal *p, const sint x, const int k, const int width, const long count)
{
    return x >= 0 && x < (sint)min(count, (long)INT_MAX) ? p[(long)x * width + k] : (sreal)0;
}

/* Whole numbers only; NaN is none. */
Q_FN sreal qs_lookup(__global const sreal *p, const sreal x, const int k, const int width, const long count)
{
    const sint row = x >= 0 && x < (sreal)0x1p31f ? (sint)x : -1;
    return (sreal)row == x ? qs_lookup_int(p, row, k, width, count) : (sreal)0;
}

#if Q_LANES == 1
#define q_lookup_int qs_lookup_int
#define q_lookup qs_lookup
#else
Q_FN real q_lookup_int(__global const sreal *p, const qint x, const int k, const int width, const long count)
{
    sint at[Q_LANES];
    sreal lanes[Q_LANES];
    q_write(x, at);
    for (int l = 0; l < Q_LANES; l++) lanes[l] = qs_lookup_int(p, at[l], k, width, count);
    return q_read(lanes);
}

Q_FN real q_lookup(__global const sreal *p, const real x, const int k, const int width, const long count)
{
    sreal at[Q_LANES], lanes[Q_LANES];
    q_write(x, at);
    for (int l = 0; l < Q_LANES; l++) lanes[l] = qs_lookup(p, at[l], k, width, count);
    return q_read(lanes);
}
#endif
