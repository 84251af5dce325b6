/*
 * ops.c: the tables of ops.def and reductions.def as arrays, and what the host needs to know of them: how an elementwise
 * expression evaluates in double, and where the components of a GATHER come from.
 *
 * The expressions are the very tokens that the device compiles; the q_ names in them are defined here for the host and in
 * cl/prelude.cl for devices. The two must agree in every special case (0, NaN, infinities): test_ops checks that they do.
 */
#include <math.h>
#include <string.h>

#include "formula/formula.h"

// ---- the prelude of the host ----

#define q_select(condition, x, y) ((condition) ? (double)(x) : (double)(y))
#define q_exp exp
#define q_log log
#define q_sqrt sqrt
#define q_abs fabs
#define q_floor floor
#define q_sin sin
#define q_cos cos
#define q_asin asin
#define q_acos acos
#define q_atan atan
#define q_atan2 atan2
#define q_pow pow

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

#define ELEMENTWISE(name, operands, integers, expression, ...)                         \
    static double evaluate_##name(double a, double b, double c, int32_t k, int32_t l)  \
    {                                                                                  \
        (void)a, (void)b, (void)c, (void)k, (void)l;                                   \
        return expression;                                                             \
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

#define GATHER(name, operands, integers, length, ...)                       \
    static int64_t length_##name(int64_t n, int64_t m, int64_t k, int64_t l) \
    {                                                                       \
        (void)n, (void)m, (void)k, (void)l;                                 \
        return length;                                                      \
    }
#include "formula/ops.def"

// ---- the tables ----

const q_op_row q_ops[Q_OP_END] = {
    [Q_OP_VARIABLE] = {.name = "variable", .kind = Q_KIND_LEAF},
    [Q_OP_CONSTANT] = {.name = "constant", .kind = Q_KIND_LEAF},
    [Q_OP_INDEX] = {.name = "index", .kind = Q_KIND_LEAF},
    [Q_OP_COUNT] = {.name = "count", .kind = Q_KIND_LEAF},
    [Q_OP_WILD] = {.name = "wild", .kind = Q_KIND_LEAF},
    [Q_OP_REPEAT] = {.name = "Repeat", .kind = Q_KIND_REPEAT, .operands = 1, .derivative = "g",
                     .sentence = "the value, once for every row (Repeat_i) or column (Repeat_j)"},
    [Q_OP_SUM] = {.name = "Sum", .kind = Q_KIND_SUM, .operands = 1, .derivative = "SumT(g,n)",
                  .sentence = "sum of the components"},
#define ELEMENTWISE(name_, operands_, integers_, expression_, derivative_, interval_, sentence_)                \
    [Q_OP_##name_] = {.name = #name_, .kind = Q_KIND_ELEMENTWISE, .operands = operands_, .integers = integers_, \
                      .expression = #expression_, .derivative = derivative_, .sentence = sentence_,             \
                      .evaluate = evaluate_##name_, .interval = q_interval_##interval_},
#define GATHER(name_, operands_, integers_, size_, pick_, derivative_, sentence_)                           \
    [Q_OP_##name_] = {.name = #name_, .kind = Q_KIND_GATHER, .operands = operands_, .integers = integers_,  \
                      .derivative = derivative_, .sentence = sentence_, .pick = pick_, .length = length_##name_},
#include "formula/ops.def"
#define REDUCTION(name_, kind_, words_, derivative_, sentence_)                                       \
    [Q_RED_##name_] = {.name = #name_, .kind = Q_KIND_REDUCTION, .operands = 1, .reduction = Q_##kind_, \
                       .words = words_, .derivative = derivative_, .sentence = sentence_},
#include "formula/reductions.def"
};

const q_sugar_row q_sugar[] = {
#define SUGAR(name, parameters, body, sentence) {#name, parameters, body, sentence},
#include "formula/ops.def"
};
const size_t q_sugar_count = Q_COUNT(q_sugar);

static q_op find(q_op first, q_op end, const char *name, size_t size)
{
    for (q_op op = first; op < end; op++) {
        const char *known = q_ops[op].name;
        if (known && strlen(known) == size && memcmp(known, name, size) == 0) return op;
    }
    return Q_OP_NONE;
}

q_op q_op_find(const char *name, size_t size)
{
    return find(Q_OP_SUM, Q_OP_REDUCTION, name, size);
}

q_op q_reduction_find(const char *name, size_t size)
{
    return find(Q_OP_REDUCTION + 1, Q_OP_END, name, size);
}

const q_sugar_row *q_sugar_find(const char *name, size_t size)
{
    for (size_t s = 0; s < q_sugar_count; s++)
        if (strlen(q_sugar[s].name) == size && memcmp(q_sugar[s].name, name, size) == 0) return &q_sugar[s];
    return NULL;
}
