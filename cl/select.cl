/*
 * select.cl: the K smallest (largest) terms with their indices, for KMin, ArgKMin, KMax, ArgKMax: reductions.cl's
 * sections for reductions with a count. Q_KMin(NAME, K) makes the functions for one K.
 *
 * The state is a sorted list. A term is compared with the last of the list; only if it is better in some lane is it put
 * in its place, by one pass up the list that moves what it beats down by one, so a term that comes later stands behind
 * its equals. Indices of -1 stand for places that are still free.
 *
 * Where columns have names, in runs that begin with the near ones, most of a vector's first columns change a list. There lists of
 * vectors put up to Q_WAITING such terms by first, and settle them together, at the end of a block at the latest: a network
 * sorts them, and they are merged as bitonic sequences (Batcher 1968), of which the list is the last K of P places. That is
 * half of the work; meanwhile the last of the list is out of date, and some terms wait in vain. Runs over all columns, where
 * changes are rare, would lose by it, since a limit that may wait is not kept in a register.
 */
#ifndef Q_FN
#include "prelude.cl"
#endif

#define Q_WAITING 8
#define Q_WAITS(K) (Q_NAMED && Q_LANES > 1 && (K) >= Q_WAITING && (K) <= 64)
#define Q_POWER_FROM(K) ((K) <= 8 ? 8 : (K) <= 16 ? 16 : (K) <= 32 ? 32 : 64)
#define Q_NOWHERE 0x7fffffff /* the index of what is no term */

/* Exchanges terms a and b of indices i and j where b comes before a. */
#define Q_EXCHANGE(BEFORE, a, i, b, j)                                                                      \
    {                                                                                                       \
        const qint swap = ((b) BEFORE (a)) | (((a) == (b)) & ((j) < (i))), number = q_select_int(swap, j, i); \
        const real first = q_select(swap, b, a);                                                            \
        (b) = q_select(swap, a, b), (j) = q_select_int(swap, i, j), (a) = first, (i) = number;              \
    }

#define Q_SELECT(NAME, K, BEFORE, WORST)                                                                    \
    typedef struct {                                                                                        \
        real best[K];                                                                                       \
        qint index[K];                                                                                      \
        real waiting[Q_WAITS(K) ? Q_WAITING : 1];                                                           \
        qint number[Q_WAITS(K) ? Q_WAITING : 1];                                                            \
        int count; /* of those that wait */                                                                 \
    } q_##NAME;                                                                                             \
    Q_FN void q_##NAME##_start(q_##NAME *t)                                                                 \
    {                                                                                                       \
        for (int k = 0; k < K; k++) t->best[k] = WORST, t->index[k] = -1;                                   \
        t->count = 0;                                                                                       \
    }                                                                                                       \
    Q_FN void q_##NAME##_insert(q_##NAME *t, const real f, const qint j)                                    \
    {                                                                                                       \
        for (int k = K - 1; k > 0; k--) {                                                                   \
            const real last = t->best[k], above = t->best[k - 1];                                           \
            const qint number = q_select_int(Q_WINS(f, j, BEFORE, last, t->index[k]), j, t->index[k]);      \
            t->index[k] = q_select_int(Q_WINS(f, j, BEFORE, above, t->index[k - 1]), t->index[k - 1], number);\
            t->best[k] = q_select(f BEFORE above, above, q_select(f BEFORE last, f, last));                 \
        }                                                                                                   \
        t->index[0] = q_select_int(Q_WINS(f, j, BEFORE, t->best[0], t->index[0]), j, t->index[0]);          \
        t->best[0] = q_select(f BEFORE t->best[0], f, t->best[0]);                                          \
    }                                                                                                       \
    static __attribute__((noinline)) void q_##NAME##_settle(q_##NAME *t)                                    \
    {                                                                                                       \
        enum { WAITING = Q_WAITS(K) ? Q_WAITING : 1, P = Q_POWER_FROM(K), FREE = P > K ? P - K : 0 };       \
        for (int k = t->count; k < WAITING; k++) t->waiting[k] = WORST, t->number[k] = Q_NOWHERE;           \
        _Pragma("unroll") for (int size = 1; size < WAITING; size *= 2)                                     \
            _Pragma("unroll") for (int step = size; step; step /= 2)                                        \
                _Pragma("unroll") for (int k = 0; k < WAITING; k++) {                                       \
                    const int other = step == size ? k ^ (2 * size - 1) : k ^ step;                         \
                    if (other > k)                                                                          \
                        Q_EXCHANGE(BEFORE, t->waiting[k], t->number[k], t->waiting[other], t->number[other])\
                }                                                                                           \
        _Pragma("unroll") for (int k = 0; k < WAITING; k++) {                                               \
            const int at = K - 1 - k;                                                                       \
            Q_EXCHANGE(BEFORE, t->best[at], t->index[at], t->waiting[k], t->number[k])                      \
        }                                                                                                   \
        _Pragma("unroll") for (int step = P / 2; step; step /= 2)                                           \
            _Pragma("unroll") for (int k = FREE; k < P; k++)                                                \
                if (!(k & step))                                                                            \
                    Q_EXCHANGE(BEFORE, t->best[k - FREE], t->index[k - FREE], t->best[(k | step) - FREE],   \
                               t->index[(k | step) - FREE])                                                 \
        t->count = 0;                                                                                       \
    }                                                                                                       \
    Q_FN void q_##NAME##_wait(q_##NAME *t, const real f, const qint j)                                      \
    {                                                                                                       \
        t->waiting[t->count] = q_select(isnan(f), WORST, f);                                                \
        t->number[t->count] = q_select_int(isnan(f), Q_NOWHERE, j);                                         \
        if (++t->count == Q_WAITING) q_##NAME##_settle(t);                                                  \
    }                                                                                                       \
    Q_FN void q_##NAME##_add(q_##NAME *t, const real f, const sint j)                                       \
    {                                                                                                       \
        if (Q_NAMED && !q_any(f BEFORE##= t->best[K - 1])) return; /* nearly always, in one comparison */   \
        if (!q_any(Q_WINS(f, (qint)j, BEFORE, t->best[K - 1], t->index[K - 1]))) return;                    \
        if (Q_WAITS(K)) q_##NAME##_wait(t, f, (qint)j);                                                     \
        else q_##NAME##_insert(t, f, (qint)j);                                                              \
    }                                                                                                       \
    Q_FN void q_##NAME##_consider(q_##NAME *t, const real f, const sint number)                             \
    {                                                                                                       \
        const qint j = (qint)number;                                                                        \
        for (int k = K - 1; k >= 0; k--) {                                                                  \
            const real last = t->best[k], above = k ? t->best[k - 1] : last;                                \
            const qint other = k ? t->index[k - 1] : t->index[k];                                           \
            const qint here = (f BEFORE last) | ((f == last) & (j < t->index[k]));                          \
            const qint move = (f BEFORE above) | ((f == above) & (j < other));                              \
            t->index[k] = q_select_int(here, k ? q_select_int(move, other, j) : j, t->index[k]);            \
            t->best[k] = q_select(here, k ? q_select(move, above, f) : f, last);                            \
        }                                                                                                   \
    }                                                                                                       \
    Q_FN void q_##NAME##_block(q_##NAME *t)                                                                 \
    {                                                                                                       \
        if (Q_WAITS(K) && t->count) q_##NAME##_settle(t);                                                   \
    }                                                                                                       \
    Q_FN real q_##NAME##_limit(const q_##NAME *t) { return t->best[K - 1]; }                                \
    Q_FN void q_##NAME##_merge(q_##NAME *t, const q_##NAME *other)                                          \
    {                                                                                                       \
        for (int k = 0; k < K; k++) q_##NAME##_insert(t, other->best[k], other->index[k]);                  \
    }                                                                                                       \
    Q_FN void q_##NAME##_store_state(const q_##NAME *t, __global sreal *p, const long stride)               \
    {                                                                                                       \
        for (int k = 0; k < K; k++) {                                                                       \
            q_write(t->best[k], p + 2 * k * stride);                                                        \
            q_write(t->index[k], (__global sint *)(p + (2 * k + 1) * stride));                              \
        }                                                                                                   \
    }                                                                                                       \
    Q_FN void q_##NAME##_load_state(q_##NAME *t, __global const sreal *p, const long stride)                \
    {                                                                                                       \
        for (int k = 0; k < K; k++) {                                                                       \
            t->best[k] = q_read(p + 2 * k * stride);                                                        \
            t->index[k] = q_read((__global const sint *)(p + (2 * k + 1) * stride));                        \
        }                                                                                                   \
        t->count = 0;                                                                                       \
    }                                                                                                       \
    Q_FN real q_##NAME##_finish(const q_##NAME *t, const int k) { return t->best[k]; }                      \
    Q_FN qint q_##NAME##_index(const q_##NAME *t, const int k) { return t->index[k]; }

#define Q_KMin(NAME, K) Q_SELECT(NAME, K, <, INFINITY)
#define Q_KMax(NAME, K) Q_SELECT(NAME, K, >, -INFINITY)
