/*
 * reductions.cl: what a reduction does on a device; one section for each row of reductions.def, which says what it
 * means.
 *
 * A section defines the state of one component, struct q_NAME, and
 *     start    the state of no terms
 *     add      takes in a term f of column j; LINEAR ones also take a product of two factors
 *     block    is called after at most 256 terms, and before merge, store_state and finish
 *     merge    takes in another state, of columns that come later
 *     store_state  to `words` numbers at p, p + stride, ... (a lane apart)
 *     load_state   from them
 *     finish   the result; of INDEX ones: index
 *     limit    of smallest ones: a term that is not below it changes nothing
 *     consider of those: takes in a term whatever came before, equal ones by their columns
 * LogSumExp has more for sums that are scaled by it: those with softmax weights (src/plan/weights.c).
 * Only the sections whose Q_USE_NAME is defined are compiled.
 */
#ifndef Q_FN
#include "prelude.cl"
#endif

#ifndef Q_GENERATED /* compiled alone: all of them */
#define Q_USE_Sum
#define Q_USE_Max
#define Q_USE_Min
#define Q_USE_ArgMax
#define Q_USE_ArgMin
#define Q_USE_LogSumExp
#define Q_USE_Prod
#define Q_USE_ProdNonzero
#define Q_USE_Variance
#endif

#if defined(Q_USE_Sum) || defined(Q_USE_LogSumExp)
/* high + low += s, where low is what rounding high loses (Knuth's two-sum) and never grows beyond the last place of
   high. Only additions: contraction cannot change it. Where a sum overflows, what it loses is NaN and is dropped. */
Q_FN void q_two_sum(real *high, real *low, const real s)
{
    const real sum = *high + s, back = sum - *high;
    const real loss = *low + ((*high - (sum - back)) + (s - back)), rest = q_select(loss == loss, loss, 0);
    *high = sum + rest;
    *low = rest - (*high - sum);
}

Q_FN real q_sum_of(const real high, const real low)
{
    return high + q_select(low == low, low, 0);
}
#endif

#ifdef Q_USE_Sum
typedef struct {
    real s, high, low; /* the present block, and all blocks before it */
} q_Sum;

Q_FN void q_Sum_start(q_Sum *t)
{
    t->s = t->high = t->low = 0;
}

Q_FN void q_Sum_add(q_Sum *t, const real f, const sint j)
{
    t->s += f;
}

Q_FN void q_Sum_add_product(q_Sum *t, const real f, const real g)
{
    t->s = q_fma(f, g, t->s);
}

Q_FN void q_Sum_block(q_Sum *t)
{
    q_two_sum(&t->high, &t->low, t->s);
    t->s = 0;
}

Q_FN void q_Sum_merge(q_Sum *t, const q_Sum *other)
{
    q_two_sum(&t->high, &t->low, other->high);
    t->low += other->low;
}

Q_FN void q_Sum_store_state(const q_Sum *t, __global sreal *p, const long stride)
{
    q_write(t->high, p);
    q_write(t->low, p + stride);
}

Q_FN void q_Sum_load_state(q_Sum *t, __global const sreal *p, const long stride)
{
    t->s = 0;
    t->high = q_read(p);
    t->low = q_read(p + stride);
}

/* For sums that are scaled by a LogSumExp. */
Q_FN void q_Sum_scale(q_Sum *t, const real scale)
{
    t->s *= scale;
    t->high *= scale;
    t->low *= scale;
}

Q_FN void q_Sum_merge_scaled(q_Sum *t, const q_Sum *other, const real scale, const real other_scale)
{
    q_Sum_scale(t, scale);
    q_two_sum(&t->high, &t->low, other->high * other_scale);
    t->low += other->low * other_scale;
}

Q_FN real q_Sum_finish(const q_Sum *t)
{
    return q_sum_of(t->high, t->low);
}

/* Of truths: their number, for which `high` alone may be too short. */
Q_FN qint q_Sum_index(const q_Sum *t)
{
    return q_to_int(q_to_long(t->high) + q_to_long(t->low));
}
#endif

/* Max and Min differ in one comparison; a comparison with NaN is false, so NaN is passed over. */
#define Q_EXTREMUM(NAME, BEFORE, WORST)                                                       \
    typedef struct {                                                                          \
        real best;                                                                            \
    } q_##NAME;                                                                               \
    Q_FN void q_##NAME##_start(q_##NAME *t) { t->best = WORST; }                              \
    Q_FN void q_##NAME##_add(q_##NAME *t, const real f, const sint j)                         \
    {                                                                                         \
        t->best = q_select(f BEFORE t->best, f, t->best);                                     \
    }                                                                                         \
    Q_FN void q_##NAME##_consider(q_##NAME *t, const real f, const sint j) { q_##NAME##_add(t, f, j); } \
    Q_FN void q_##NAME##_block(q_##NAME *t) {}                                                \
    Q_FN real q_##NAME##_limit(const q_##NAME *t) { return t->best; }                         \
    Q_FN void q_##NAME##_merge(q_##NAME *t, const q_##NAME *other) { q_##NAME##_add(t, other->best, 0); } \
    Q_FN void q_##NAME##_store_state(const q_##NAME *t, __global sreal *p, const long stride) { q_write(t->best, p); } \
    Q_FN void q_##NAME##_load_state(q_##NAME *t, __global const sreal *p, const long stride) { t->best = q_read(p); } \
    Q_FN real q_##NAME##_finish(const q_##NAME *t) { return t->best; }

/* With the index: a later term must be strictly better, so the lowest index wins a tie. */
#define Q_ARG_EXTREMUM(NAME, BEFORE, WORST)                                                   \
    typedef struct {                                                                          \
        real best;                                                                            \
        qint index;                                                                           \
    } q_##NAME;                                                                               \
    Q_FN void q_##NAME##_start(q_##NAME *t) { t->best = WORST, t->index = -1; }               \
    Q_FN void q_##NAME##_add(q_##NAME *t, const real f, const sint j)                         \
    {                                                                                         \
        t->index = q_select_int(Q_WINS(f, (qint)j, BEFORE, t->best, t->index), j, t->index);  \
        t->best = q_select(f BEFORE t->best, f, t->best);                                     \
    }                                                                                         \
    Q_FN void q_##NAME##_consider(q_##NAME *t, const real f, const sint j)                    \
    {                                                                                         \
        t->index = q_select_int((f BEFORE t->best) | ((f == t->best) & ((qint)j < t->index)), (qint)j, t->index); \
        t->best = q_select(f BEFORE t->best, f, t->best);                                     \
    }                                                                                         \
    Q_FN void q_##NAME##_block(q_##NAME *t) {}                                                \
    Q_FN real q_##NAME##_limit(const q_##NAME *t) { return t->best; }                         \
    Q_FN void q_##NAME##_merge(q_##NAME *t, const q_##NAME *other)                            \
    {                                                                                         \
        t->index = q_select_int(Q_WINS(other->best, other->index, BEFORE, t->best, t->index), other->index, t->index); \
        t->best = q_select(other->best BEFORE t->best, other->best, t->best);                 \
    }                                                                                         \
    Q_FN void q_##NAME##_store_state(const q_##NAME *t, __global sreal *p, const long stride) \
    {                                                                                         \
        q_write(t->best, p);                                                                  \
        q_write(t->index, (__global sint *)(p + stride));                                     \
    }                                                                                         \
    Q_FN void q_##NAME##_load_state(q_##NAME *t, __global const sreal *p, const long stride)  \
    {                                                                                         \
        t->best = q_read(p);                                                                  \
        t->index = q_read((__global const sint *)(p + stride));                               \
    }                                                                                         \
    Q_FN real q_##NAME##_finish(const q_##NAME *t) { return t->best; }                        \
    Q_FN qint q_##NAME##_index(const q_##NAME *t) { return t->index; }

#ifdef Q_USE_Max
Q_EXTREMUM(Max, >, -INFINITY)
#endif
#ifdef Q_USE_Min
Q_EXTREMUM(Min, <, INFINITY)
#endif
#ifdef Q_USE_ArgMax
Q_ARG_EXTREMUM(ArgMax, >, -INFINITY)
#endif
#ifdef Q_USE_ArgMin
Q_ARG_EXTREMUM(ArgMin, <, INFINITY)
#endif

#ifdef Q_USE_LogSumExp
/* The sum of exp(f - maximum), where the running maximum is never below a term so far, and kept finite, so that f - maximum
   is not inf - inf: terms of -inf add 0, and a maximum of Q_HUGE stands for +inf. */
typedef struct {
    real maximum, s;        /* the present block, relative to maximum */
    real all, high, low;    /* the blocks before it, relative to all */
} q_LogSumExp;

Q_FN void q_LogSumExp_start(q_LogSumExp *t)
{
    t->maximum = t->all = -Q_HUGE;
    t->s = t->high = t->low = 0;
}

/* Online softmax. The maximum seldom moves, so that looking whether it must costs little: is_below looks, rescale moves it
   above f, by some slack more than it must (raise: to a maximum), and bound is what stands for f then: for +inf Q_HUGE, for NaN NaN. Everything
   is relative to the maximum after that, as it was before; rescale returns what other sums relative to it are to be
   multiplied with: those with weights exp(f - maximum) of their own, which weight returns. */
#define Q_SLACK ((real)(Q_RHS_DIM ? 4 : 1))
enum { Q_RISING, Q_SETTLED, Q_TELLING }; /* the maximum rises with terms; it is above them; only the term is asked for */

Q_FN int q_LogSumExp_is_below(const q_LogSumExp *t, const real f)
{
    return q_any(f > t->maximum);
}

Q_FN real q_LogSumExp_raise(q_LogSumExp *t, const real maximum)
{
    const real scale = q_exp_not_positive(t->maximum - maximum);
    t->maximum = t->all = maximum;
    t->s *= scale;
    t->high *= scale;
    t->low *= scale;
    return scale;
}

Q_FN real q_LogSumExp_rescale(q_LogSumExp *t, const real f)
{
    return q_LogSumExp_raise(t, q_select(f > t->maximum, fmin(f + Q_SLACK, (real)Q_HUGE), t->maximum));
}

Q_FN real q_LogSumExp_bound(const real f)
{
    return q_select(f > (real)Q_HUGE, (real)Q_HUGE, f);
}

Q_FN real q_LogSumExp_weight(q_LogSumExp *t, const real f)
{
    const real weight = q_exp_not_positive(f - t->maximum);
    t->s += weight;
    return weight;
}

/* One exponential per term. Single numbers have no branch: that of the new term, or of the old sum's scale. */
Q_FN void q_LogSumExp_add(q_LogSumExp *t, const real f, const sint j)
{
#if Q_LANES > 1
    real bounded = f;
    if (q_LogSumExp_is_below(t, f)) {
        q_LogSumExp_rescale(t, f);
        bounded = q_LogSumExp_bound(f);
    }
    q_LogSumExp_weight(t, bounded);
#else
    const real d = f - t->maximum, e = q_exp_not_positive(-fabs(d));
    t->s = q_select(d > 0, q_fma(t->s, e, (real)1), t->s + e);
    t->maximum = q_select(d > 0, fmin(f, (real)Q_HUGE), t->maximum);
#endif
}

/* high + low, relative to all, += s relative to maximum. */
Q_FN void q_LogSumExp_include(q_LogSumExp *t, const real maximum, const real s)
{
    const real most = fmax(t->all, maximum), old = q_exp_not_positive(t->all - most);
    t->high *= old;
    t->low *= old;
    t->all = most;
    q_two_sum(&t->high, &t->low, s * q_exp_not_positive(maximum - most));
}

Q_FN void q_LogSumExp_block(q_LogSumExp *t)
{
    q_LogSumExp_include(t, t->maximum, t->s);
    t->s = 0;
}

Q_FN void q_LogSumExp_merge(q_LogSumExp *t, const q_LogSumExp *other)
{
    q_LogSumExp_include(t, other->all, other->high);
    t->low += other->low * q_exp_not_positive(other->all - t->all);
}

/* What other sums relative to a state's maximum are multiplied with where they are merged. */
Q_FN real q_LogSumExp_scale(const q_LogSumExp *t, const q_LogSumExp *other)
{
    return q_exp_not_positive(t->all - fmax(t->all, other->all));
}

Q_FN void q_LogSumExp_store_state(const q_LogSumExp *t, __global sreal *p, const long stride)
{
    q_write(t->all, p);
    q_write(t->high, p + stride);
    q_write(t->low, p + 2 * stride);
}

Q_FN void q_LogSumExp_load_state(q_LogSumExp *t, __global const sreal *p, const long stride)
{
    t->maximum = t->all = q_read(p);
    t->s = 0;
    t->high = q_read(p + stride);
    t->low = q_read(p + 2 * stride);
}

Q_FN real q_LogSumExp_finish(const q_LogSumExp *t)
{
    const real sum = q_sum_of(t->high, t->low), result = t->all + log(sum);
    return q_select(t->all >= (real)Q_HUGE && sum == sum, INFINITY, q_select(sum == 0, -INFINITY, result));
}

/* The normaliser: what other sums relative to the maximum are multiplied with at the end, to have the weights exp(f - r) of the formula: r is the
   state's own result, or, in the second function, the largest term. Where r is not finite `rest` is to be used: 1 for weights
   that are 1 for terms of +inf and 0 for all others, as those relative to the maximum are then, or NaN. */
Q_FN real q_LogSumExp_normaliser(const q_LogSumExp *t, const real rest)
{
    const real sum = q_sum_of(t->high, t->low);
    return q_select(sum > 0 && t->all < (real)Q_HUGE, 1 / sum, rest);
}

Q_FN real q_LogSumExp_normaliser_to(const q_LogSumExp *t, const real r, const real rest)
{
    return q_select(fabs(r) < INFINITY, q_exp(t->all - r), rest);
}
#endif

#ifdef Q_USE_Prod
typedef struct {
    real product;
} q_Prod;

Q_FN void q_Prod_start(q_Prod *t) { t->product = 1; }
Q_FN void q_Prod_add(q_Prod *t, const real f, const sint j) { t->product *= f; }
Q_FN void q_Prod_block(q_Prod *t) {}
Q_FN void q_Prod_merge(q_Prod *t, const q_Prod *other) { t->product *= other->product; }
Q_FN void q_Prod_store_state(const q_Prod *t, __global sreal *p, const long stride) { q_write(t->product, p); }
Q_FN void q_Prod_load_state(q_Prod *t, __global const sreal *p, const long stride) { t->product = q_read(p); }
Q_FN real q_Prod_finish(const q_Prod *t) { return t->product; }
#endif

#ifdef Q_USE_ProdNonzero
typedef struct {
    real product;
} q_ProdNonzero;

Q_FN void q_ProdNonzero_start(q_ProdNonzero *t) { t->product = 1; }
Q_FN void q_ProdNonzero_add(q_ProdNonzero *t, const real f, const sint j) { t->product *= q_select(f == 0, 1, f); }
Q_FN void q_ProdNonzero_block(q_ProdNonzero *t) {}
Q_FN void q_ProdNonzero_merge(q_ProdNonzero *t, const q_ProdNonzero *other) { t->product *= other->product; }
Q_FN void q_ProdNonzero_store_state(const q_ProdNonzero *t, __global sreal *p, const long stride) { q_write(t->product, p); }
Q_FN void q_ProdNonzero_load_state(q_ProdNonzero *t, __global const sreal *p, const long stride) { t->product = q_read(p); }
Q_FN real q_ProdNonzero_finish(const q_ProdNonzero *t) { return t->product; }
#endif

#ifdef Q_USE_Variance
/* Blocks take sums of deviations, and of their squares, from the block's first term, and are combined by the update of
   Chan, Golub and LeVeque (1979). A term as origin keeps the cancellation in s2 - s1 s1 / n harmless; means are kept as
   deviations from the first term of all, so that however large they are, nothing of them is lost. */
typedef struct {
    real origin, n, s1, s2; /* the present block */
    real count, base, mean, squares; /* the blocks before it: their first term, their mean less that, squares of deviations from it */
} q_Variance;

Q_FN void q_Variance_start(q_Variance *t)
{
    t->origin = t->n = t->s1 = t->s2 = t->count = t->base = t->mean = t->squares = 0;
}

Q_FN void q_Variance_add(q_Variance *t, const real f, const sint j)
{
    t->origin = q_select(t->n == 0, f, t->origin);
    const real d = f - t->origin;
    t->n += 1;
    t->s1 += d;
    t->s2 = q_fma(d, d, t->s2);
}

/* n terms with their mean, as a deviation from `base`. */
Q_FN void q_Variance_include(q_Variance *t, const real n, const real base, const real mean, const real squares)
{
    t->base = q_select(t->count == 0, base, t->base);
    const real count = t->count + n, share = q_select(count > 0, n / count, 0), d = (base - t->base) + mean - t->mean;
    t->squares += q_select(n > 0, squares + d * d * t->count * share, 0);
    t->mean += q_select(n > 0, d * share, 0);
    t->count = count;
}

Q_FN void q_Variance_block(q_Variance *t)
{
    const real deviation = t->s1 / t->n, squares = t->s2 - t->s1 * deviation;
    q_Variance_include(t, t->n, t->origin, deviation, q_select(squares < 0, 0, squares));
    t->n = t->s1 = t->s2 = 0;
}

Q_FN void q_Variance_merge(q_Variance *t, const q_Variance *other)
{
    q_Variance_include(t, other->count, other->base, other->mean, other->squares);
}

Q_FN void q_Variance_store_state(const q_Variance *t, __global sreal *p, const long stride)
{
    q_write(t->count, p);
    q_write(t->base, p + stride);
    q_write(t->mean, p + 2 * stride);
    q_write(t->squares, p + 3 * stride);
}

Q_FN void q_Variance_load_state(q_Variance *t, __global const sreal *p, const long stride)
{
    q_Variance_start(t);
    t->count = q_read(p);
    t->base = q_read(p + stride);
    t->mean = q_read(p + 2 * stride);
    t->squares = q_read(p + 3 * stride);
}

Q_FN real q_Variance_finish(const q_Variance *t)
{
    return t->squares / t->count;
}
#endif
