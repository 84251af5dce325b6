/*
 * select.cl: the K smallest (largest) terms with their indices, for KMin, ArgKMin, KMax, ArgKMax: reductions.cl's
 * sections for reductions with a count. Q_KMin(NAME, K) makes the functions for one K.
 *
 * The state is a sorted list. A term is compared with the last of the list; only if it is better in some lane is it put
 * in its place, by one pass up the list that moves what it beats down by one, so a term that comes later stands behind
 * its equals. Indices of -1 stand for places that are still free.
 */
#ifndef Q_FN
#include "prelude.cl"
#endif

#define Q_SELECT(NAME, K, BEFORE, WORST)                                                                    \
    typedef struct {                                                                                        \
        real best[K];                                                                                       \
        qint index[K];                                                                                      \
    } q_##NAME;                                                                                             \
    Q_FN void q_##NAME##_start(q_##NAME *t)                                                                 \
    {                                                                                                       \
        for (int k = 0; k < K; k++) t->best[k] = WORST, t->index[k] = -1;                                   \
    }                                                                                                       \
    Q_FN void q_##NAME##_insert(q_##NAME *t, const real f, const qint j)                                    \
    {                                                                                                       \
        for (int k = K - 1; k > 0; k--) {                                                                   \
            const real last = t->best[k], above = t->best[k - 1];                                           \
            const qint number = q_select_int(Q_WINS(f, j, BEFORE, last, t->index[k]), j, t->index[k]);      \
            t->index[k] = q_select_int(Q_WINS(f, j, BEFORE, above, t->index[k - 1]), t->index[k - 1], number); \
            t->best[k] = q_select(f BEFORE above, above, q_select(f BEFORE last, f, last));                 \
        }                                                                                                   \
        t->index[0] = q_select_int(Q_WINS(f, j, BEFORE, t->best[0], t->index[0]), j, t->index[0]);          \
        t->best[0] = q_select(f BEFORE t->best[0], f, t->best[0]);                                          \
    }                                                                                                       \
    Q_FN void q_##NAME##_add(q_##NAME *t, const real f, const sint j)                                       \
    {                                                                                                       \
        if (q_any(Q_WINS(f, (qint)j, BEFORE, t->best[K - 1], t->index[K - 1]))) q_##NAME##_insert(t, f, (qint)j); \
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
    Q_FN void q_##NAME##_block(q_##NAME *t) {}                                                              \
    Q_FN real q_##NAME##_limit(const q_##NAME *t) { return t->best[K - 1]; }                                \
    Q_FN void q_##NAME##_merge(q_##NAME *t, const q_##NAME *other)                                          \
    {                                                                                                       \
        for (int k = 0; k < K; k++) q_##NAME##_insert(t, other->best[k], other->index[k]);                  \
    }                                                                                                       \
    Q_FN void q_##NAME##_store_state(const q_##NAME *t, __global sreal *p, const long stride)                   \
    {                                                                                                       \
        for (int k = 0; k < K; k++) {                                                                       \
            q_write(t->best[k], p + 2 * k * stride);                                                        \
            q_write(t->index[k], (__global sint *)(p + (2 * k + 1) * stride));                              \
        }                                                                                                   \
    }                                                                                                       \
    Q_FN void q_##NAME##_load_state(q_##NAME *t, __global const sreal *p, const long stride)                    \
    {                                                                                                       \
        for (int k = 0; k < K; k++) {                                                                       \
            t->best[k] = q_read(p + 2 * k * stride);                                                        \
            t->index[k] = q_read((__global const sint *)(p + (2 * k + 1) * stride));                        \
        }                                                                                                   \
    }                                                                                                       \
    Q_FN real q_##NAME##_finish(const q_##NAME *t, const int k) { return t->best[k]; }                      \
    Q_FN qint q_##NAME##_index(const q_##NAME *t, const int k) { return t->index[k]; }

#define Q_KMin(NAME, K) Q_SELECT(NAME, K, <, INFINITY)
#define Q_KMax(NAME, K) Q_SELECT(NAME, K, >, -INFINITY)
