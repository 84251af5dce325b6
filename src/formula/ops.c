/*
 * ops.c: the tables of ops.def and reductions.def as arrays, and what the host needs to know of them: how an
 * elementwise expression evaluates in double, and where the components of a GATHER come from.
 *
 * The expressions are the very tokens that the device compiles; the q_ names in them are defined here for the host and
 * in cl/prelude.cl for devices. The two must agree in every special case (0, NaN, infinities): test_ops checks that
 * they do.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "formula/formula.h"

// ---- the prelude of the host: special.c has the longer functions ----

#define Q_HUGE DBL_MAX
#define q_select(condition, x, y) ((condition) ? (double)(x) : (double)(y))
#define q_exp exp
#define q_expm1 expm1
#define q_log log
#define q_log1p log1p
#define q_sqrt sqrt
#define q_cbrt cbrt
#define q_hypot hypot
#define q_abs fabs
#define q_floor floor
#define q_ceil ceil
#define q_trunc trunc
#define q_sin sin
#define q_cos cos
#define q_tan tan
#define q_asin asin
#define q_acos acos
#define q_atan atan
#define q_atan2 atan2
#define q_sinh sinh
#define q_cosh cosh
#define q_tanh tanh
#define q_asinh asinh
#define q_atanh atanh
#define q_erf erf
#define q_erfc erfc
#define q_pow pow

static double q_clamp_unit(double x)
{
    return x > 1 ? 1 : x < -1 ? -1 : x;
}

static double q_rsqrt(double x)
{
    return x == 0 ? 0 : 1 / sqrt(x);
}

/* x^k by squaring, the same products in the same order as on the device. */
static double q_powi(double x, int32_t k)
{
    double result = 1;
    for (uint32_t n = k < 0 ? 0u - (uint32_t)k : (uint32_t)k; n; n >>= 1, x *= x)
        if (n & 1) result *= x;
    return k < 0 ? 1 / result : result;
}

/* To the decimals of x itself: `rest` is what rounding its product or quotient with a power of ten leaves, which decides
   where that is a half. Numbers without a fraction stay. The same on the device. */
static double q_round(double x, int32_t k)
{
    double scale = q_powi(10, abs(k)), q = k < 0 ? x / scale : x * scale;
    double rest = k < 0 ? fma(-q, scale, x) : fma(x, scale, -q), n = round(q);
    bool below = fabs(q - trunc(q)) == 0.5 && rest * q < 0, above = fabs(rest) == 0.5 && rest * q > 0;
    if (k < 0) return n == 0 ? n : (below ? trunc(q) : n) * scale;
    return fabs(q) < 2 / DBL_EPSILON ? (below ? trunc(q) : above ? n + copysign(1, q) : n) / scale : x;
}

/* lgamma() leaves the sign in a global; this one does not. */
static double q_lgamma(double x)
{
    int sign;
    return lgamma_r(x, &sign);
}

#define q_sinc q_host_sinc
#define q_polygamma q_host_polygamma
#define q_besselj q_host_besselj
#define q_matern q_host_matern

#define ELEMENTWISE(name, operands, integers, expression, ...)                        \
    static double evaluate_##name(double a, double b, double c, int32_t k, int32_t l) \
    {                                                                                 \
        (void)a, (void)b, (void)c, (void)k, (void)l;                                  \
        return expression;                                                            \
    }
#include "formula/ops.def"

// ---- where components come from ----

static int broadcast(uint32_t d, uint32_t n, uint32_t m, const int32_t k[2], uint32_t *component)
{
    (void)d, (void)n, (void)m, (void)k;
    *component = 0;
    return 0;
}

static int slice(uint32_t d, uint32_t n, uint32_t m, const int32_t k[2], uint32_t *component)
{
    (void)n, (void)m;
    *component = d + (uint32_t)k[0];
    return 0;
}

static int unslice(uint32_t d, uint32_t n, uint32_t m, const int32_t k[2], uint32_t *component)
{
    (void)m;
    *component = d - (uint32_t)k[0];
    return d >= (uint32_t)k[0] && *component < n ? 0 : -1;
}

static int join(uint32_t d, uint32_t n, uint32_t m, const int32_t k[2], uint32_t *component)
{
    (void)m, (void)k;
    *component = d < n ? d : d - n;
    return d < n ? 0 : 1;
}

static int even(uint32_t d, uint32_t n, uint32_t m, const int32_t k[2], uint32_t *component)
{
    (void)n, (void)m, (void)k;
    *component = 2 * d;
    return 0;
}

static int odd(uint32_t d, uint32_t n, uint32_t m, const int32_t k[2], uint32_t *component)
{
    (void)n, (void)m, (void)k;
    *component = 2 * d + 1;
    return 0;
}

static int to_even(uint32_t d, uint32_t n, uint32_t m, const int32_t k[2], uint32_t *component)
{
    (void)n, (void)m, (void)k;
    *component = d / 2;
    return d % 2 == 0 ? 0 : -1;
}

static int to_odd(uint32_t d, uint32_t n, uint32_t m, const int32_t k[2], uint32_t *component)
{
    (void)n, (void)m, (void)k;
    *component = d / 2;
    return d % 2 == 1 ? 0 : -1;
}

#define GATHER(name, operands, integers, length, ...)                        \
    static int64_t length_##name(int64_t n, int64_t m, int64_t k, int64_t l) \
    {                                                                        \
        (void)n, (void)m, (void)k, (void)l;                                  \
        return length;                                                       \
    }
#define EXPAND(name, integers, length, ...)                                  \
    static int64_t length_##name(int64_t n, int64_t m, int64_t k, int64_t l) \
    {                                                                        \
        (void)n, (void)m, (void)k, (void)l;                                  \
        return length;                                                       \
    }
#include "formula/ops.def"
#define REDUCTION(name, kind, integers, length, state, words, ...)                   \
    static int64_t reduced_length_##name(int64_t n, int64_t m, int64_t k, int64_t l) \
    {                                                                                \
        (void)n, (void)m, (void)k, (void)l;                                          \
        return length;                                                               \
    }                                                                                \
    static int words_##name(int k)                                                   \
    {                                                                                \
        (void)k;                                                                     \
        return words;                                                                \
    }
#include "formula/reductions.def"

// ---- how components are made: one step for each component of the operand ----

static uint32_t fold(const q_expander *x, q_op op)
{
    uint32_t all = x->component(x->self, 0);
    for (uint32_t d = 1; d < x->n; d++) all = x->apply(x->self, op, all, x->component(x->self, d), 0);
    return all;
}

static uint32_t sum(const q_expander *x, uint32_t d)
{
    (void)d;
    return fold(x, Q_OP_Add);
}

/* The better of two, the first of equals; `later` is the operation that is true where the second is better. */
static uint32_t extremum(const q_expander *x, bool largest)
{
    uint32_t best = x->component(x->self, 0);
    for (uint32_t d = 1; d < x->n; d++) {
        uint32_t next = x->component(x->self, d);
        uint32_t better = x->apply(x->self, Q_OP_LessThan, largest ? best : next, largest ? next : best, 0);
        best = x->apply(x->self, Q_OP_Where, better, next, best);
    }
    return best;
}

static uint32_t maximum(const q_expander *x, uint32_t d)
{
    (void)d;
    return extremum(x, true);
}

static uint32_t minimum(const q_expander *x, uint32_t d)
{
    (void)d;
    return extremum(x, false);
}

/* From the last component to the first, so that the first that equals the extremum stays. */
static uint32_t position(const q_expander *x, bool largest)
{
    uint32_t best = extremum(x, largest), found = x->number(x->self, 0);
    for (uint32_t d = x->n; d-- > 0;) {
        uint32_t equal = x->apply(x->self, Q_OP_Equal, x->component(x->self, d), best, 0);
        found = x->apply(x->self, Q_OP_Where, equal, x->number(x->self, d), found);
    }
    return found;
}

static uint32_t argmax(const q_expander *x, uint32_t d)
{
    (void)d;
    return position(x, true);
}

static uint32_t argmin(const q_expander *x, uint32_t d)
{
    (void)d;
    return position(x, false);
}

/* 1 for d - 1/2 <= a < d + 1/2: below one bound and not below the other, which is that of the component before. */
static uint32_t onehot(const q_expander *x, uint32_t d)
{
    uint32_t a = x->component(x->self, 0);
    uint32_t below = x->apply(x->self, Q_OP_LessThan, a, x->number(x->self, d + 0.5), 0);
    uint32_t before = x->apply(x->self, Q_OP_LessThan, a, x->number(x->self, d - 0.5), 0);
    return x->apply(x->self, Q_OP_Subtract, below, before, 0);
}

// ---- the tables ----

const q_op_row q_ops[Q_OP_END] = {
    [Q_OP_VARIABLE] = {.name = "variable", .kind = Q_KIND_LEAF},
    [Q_OP_CONSTANT] = {.name = "constant", .kind = Q_KIND_LEAF},
    [Q_OP_INDEX] = {.name = "index", .kind = Q_KIND_LEAF},
    [Q_OP_COUNT] = {.name = "count", .kind = Q_KIND_LEAF},
    [Q_OP_WILD] = {.name = "wild", .kind = Q_KIND_LEAF},
    [Q_OP_LOOKUP] = {.name = "Gather",
                     .kind = Q_KIND_LOOKUP,
                     .operands = 2,
                     .sentence = "row of a table",
                     .jumps = 2 /* at the row's number */},
    [Q_OP_REPEAT] = {.name = "Repeat",
                     .kind = Q_KIND_REPEAT,
                     .operands = 1,
                     .derivative = "g",
                     .sentence = "the value, once for every row (Repeat_i) or column (Repeat_j)"},
    [Q_OP_CONTRACT] = {.name = "Contract",
                       .kind = Q_KIND_CONTRACT,
                       .operands = 2,
                       .sentence = "product of two tensors, summed over labels"},
#define ELEMENTWISE(name_, operands_, integers_, expression_, derivative_, interval_, sentence_) \
    [Q_OP_##name_] = {.name = #name_,                                                            \
                      .kind = Q_KIND_ELEMENTWISE,                                                \
                      .operands = operands_,                                                     \
                      .integers = integers_,                                                     \
                      .expression = #expression_,                                                \
                      .derivative = derivative_,                                                 \
                      .sentence = sentence_,                                                     \
                      .evaluate = evaluate_##name_,                                              \
                      .interval = q_interval_##interval_,                                        \
                      .rule = #interval_},
#define DOMAIN(name_, operand_, rule_) \
    [Q_OP_##name_].decides = operand_, [Q_OP_##name_].domain = q_domain_##rule_, [Q_OP_##name_].domain_rule = #rule_,
#define ORDER(name_, least_, most_, special_) \
    [Q_OP_##name_].least = least_, [Q_OP_##name_].most = most_, [Q_OP_##name_].special = special_,
#define EXACT(name_, jumps_, whole_) [Q_OP_##name_].jumps = jumps_, [Q_OP_##name_].whole = Q_##whole_,
#define GATHER(name_, operands_, integers_, size_, pick_, derivative_, sentence_) \
    [Q_OP_##name_] = {.name = #name_,                                             \
                      .kind = Q_KIND_GATHER,                                      \
                      .operands = operands_,                                      \
                      .integers = integers_,                                      \
                      .derivative = derivative_,                                  \
                      .sentence = sentence_,                                      \
                      .pick = pick_,                                              \
                      .length = length_##name_},
#define EXPAND(name_, integers_, size_, expand_, derivative_, sentence_) \
    [Q_OP_##name_] = {.name = #name_,                                    \
                      .kind = Q_KIND_EXPAND,                             \
                      .operands = 1,                                     \
                      .integers = integers_,                             \
                      .derivative = derivative_,                         \
                      .sentence = sentence_,                             \
                      .expand = expand_,                                 \
                      .length = length_##name_},
#include "formula/ops.def"
#define REDUCTION(name_, kind_, integers_, size_, state_, count_, within_, smallest_, idle_, derivative_, sentence_) \
    [Q_RED_##name_] = {.name = #name_,                                                                               \
                       .kind = Q_KIND_REDUCTION,                                                                     \
                       .operands = 1,                                                                                \
                       .integers = integers_,                                                                        \
                       .reduction = Q_##kind_,                                                                       \
                       .length = reduced_length_##name_,                                                             \
                       .state = #state_,                                                                             \
                       .words = words_##name_,                                                                       \
                       .within = within_,                                                                            \
                       .smallest = smallest_,                                                                        \
                       .idle = q_idle_##idle_,                                                                       \
                       .derivative = derivative_,                                                                    \
                       .sentence = sentence_},
#include "formula/reductions.def"
};

const q_sugar_row q_sugar[] = {
#define SUGAR(name, parameters, body, sentence) {#name, parameters, body, sentence},
#include "formula/ops.def"
};
const size_t q_sugar_count = Q_COUNT(q_sugar);

const q_sugar_row q_reduction_sugar[] = {
#define SUGAR(name, parameters, body, sentence) {#name, parameters, body, sentence},
#include "formula/reductions.def"
};
const size_t q_reduction_sugar_count = Q_COUNT(q_reduction_sugar);

static q_op find(q_op first, q_op end, const char *name, size_t size)
{
    for (q_op op = first; op < end; op++) {
        const char *known = q_ops[op].name;
        if (known && strlen(known) == size && memcmp(known, name, size) == 0) return op;
    }
    return Q_OP_NONE;
}

static const q_sugar_row *find_sugar(const q_sugar_row *rows, size_t count, const char *name, size_t size)
{
    for (size_t s = 0; s < count; s++)
        if (strlen(rows[s].name) == size && memcmp(rows[s].name, name, size) == 0) return &rows[s];
    return NULL;
}

q_op q_op_find(const char *name, size_t size)
{
    return find(Q_OP_REPEAT + 1, Q_OP_REDUCTION, name, size);
}

q_op q_reduction_find(const char *name, size_t size)
{
    return find(Q_OP_REDUCTION + 1, Q_OP_END, name, size);
}

const q_sugar_row *q_sugar_find(const char *name, size_t size)
{
    return find_sugar(q_sugar, q_sugar_count, name, size);
}

const q_sugar_row *q_reduction_sugar_find(const char *name, size_t size)
{
    return find_sugar(q_reduction_sugar, q_reduction_sugar_count, name, size);
}
