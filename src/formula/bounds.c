/*
 * bounds.c: interval arithmetic. For each node an interval that holds every component of its value, whatever its
 * variables are. Used where a sign decides which code is generated (an exponential of something never positive cannot
 * overflow), and by chain.c to tell where an operation is sure to be finite.
 *
 * Intervals are widened outwards by one step of double after each operation, so they hold in spite of rounding. They
 * say nothing of NaN: an operation that can make one still bounds the rest.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "formula/formula.h"

static const q_interval everything = {-INFINITY, INFINITY};

static q_interval make(double low, double high)
{
    if (isnan(low) || isnan(high)) return everything;
    /* rounding never crosses zero, so a bound of zero keeps the sign */
    return (q_interval){low == 0 ? 0 : nextafter(low, -INFINITY), high == 0 ? 0 : nextafter(high, INFINITY)};
}

// ---- the rules named in ops.def: operands x[0..2], integers k ----

q_interval q_interval_anything(const q_interval *x, const int32_t k[2])
{
    (void)x, (void)k;
    return everything;
}

/* For monotone functions only the kind of monotony is known here, not the function: half-lines would need the row. They
   are bounded in bounds() by evaluating the row at both ends. */
q_interval q_interval_rising(const q_interval *x, const int32_t k[2])
{
    (void)k;
    return x[0];
}

q_interval q_interval_falling(const q_interval *x, const int32_t k[2])
{
    (void)k;
    return (q_interval){x[0].high, x[0].low};
}

q_interval q_interval_add(const q_interval *x, const int32_t k[2])
{
    (void)k;
    return make(x[0].low + x[1].low, x[0].high + x[1].high);
}

q_interval q_interval_subtract(const q_interval *x, const int32_t k[2])
{
    (void)k;
    return make(x[0].low - x[1].high, x[0].high - x[1].low);
}

/* The product of two ends, with 0 * infinity = 0: the end at infinity is only approached. What is too small for a number is the
   smallest one: a device may multiply in another order, a large factor first. */
static double product(double a, double b)
{
    double p = a == 0 || b == 0 ? 0 : a * b;
    return p == 0 && a != 0 && b != 0 ? copysign(DBL_TRUE_MIN, p) : p;
}

q_interval q_interval_multiply(const q_interval *x, const int32_t k[2])
{
    (void)k;
    double p[] = {product(x[0].low, x[1].low), product(x[0].low, x[1].high), product(x[0].high, x[1].low),
                  product(x[0].high, x[1].high)};
    double low = p[0], high = p[0];
    for (int c = 1; c < 4; c++) low = fmin(low, p[c]), high = fmax(high, p[c]);
    return make(low, high);
}

q_interval q_interval_inverse(const q_interval *x, const int32_t k[2])
{
    (void)k;
    bool one_sign = x[0].low > 0 || x[0].high < 0;
    return one_sign ? make(1 / x[0].high, 1 / x[0].low) : everything; /* 0 may be -0, whose reciprocal is -infinity */
}

q_interval q_interval_divide(const q_interval *x, const int32_t k[2])
{
    q_interval operands[] = {x[0], q_interval_inverse(x + 1, k)};
    return x[1].low > 0 || x[1].high < 0 ? q_interval_multiply(operands, k) : everything;
}

q_interval q_interval_absolute(const q_interval *x, const int32_t k[2])
{
    (void)k;
    double a = fabs(x[0].low), b = fabs(x[0].high);
    bool crosses = x[0].low <= 0 && x[0].high >= 0;
    return (q_interval){crosses ? 0 : fmin(a, b), fmax(a, b)};
}

q_interval q_interval_square(const q_interval *x, const int32_t k[2])
{
    q_interval a = q_interval_absolute(x, k);
    return (q_interval){fmax(0, nextafter(a.low * a.low, -INFINITY)), nextafter(product(a.high, a.high), INFINITY)};
}

/* What rises from `low` to `high` but for the errors of libm. */
static q_interval between(double low, double high)
{
    double below = fabs(low) < INFINITY ? fabs(low) * 4 * DBL_EPSILON : 0;
    double above = fabs(high) < INFINITY ? fabs(high) * 4 * DBL_EPSILON : 0;
    return make(low - below, high + above);
}

q_interval q_interval_power(const q_interval *x, const int32_t k[2])
{
    bool even = k[0] % 2 == 0, positive = k[0] < 0 ? x[0].low > 0 : x[0].low >= 0; /* -0 as above */
    if (!even && !positive) return everything;
    q_interval size = q_interval_absolute(x, k);
    double least = pow(k[0] < 0 ? size.high : size.low, k[0]), most = pow(k[0] < 0 ? size.low : size.high, k[0]);
    return between(least,
                   most == 0 && size.high > 0 && size.low < INFINITY ? DBL_TRUE_MIN : most); /* as in product() */
}

q_interval q_interval_exponent(const q_interval *x, const int32_t k[2])
{
    (void)k;
    double high =
        x[0].high < -750 ? 0 : nextafter(exp(x[0].high), INFINITY); /* vanishes below, however it is computed */
    return (q_interval){fmax(0, nextafter(exp(x[0].low), -INFINITY)), high};
}

q_interval q_interval_positive(const q_interval *x, const int32_t k[2])
{
    (void)x, (void)k;
    return (q_interval){0, INFINITY};
}

q_interval q_interval_unit(const q_interval *x, const int32_t k[2])
{
    (void)x, (void)k;
    return (q_interval){-1, 1};
}

q_interval q_interval_truth(const q_interval *x, const int32_t k[2])
{
    (void)x, (void)k;
    return (q_interval){0, 1};
}

/* a/b, 0 where b is 0 */
q_interval q_interval_ratio(const q_interval *x, const int32_t k[2])
{
    if (x[1].low > 0 || x[1].high < 0) return q_interval_divide(x, k);
    if (x[1].low < 0) return everything;
    return (q_interval){x[0].low < 0 ? -INFINITY : 0, x[0].high > 0 ? INFINITY : 0};
}

/* a**b; the power of -0 may be -infinity */
q_interval q_interval_powf(const q_interval *x, const int32_t k[2])
{
    (void)k;
    if (!(x[0].low > 0 || (x[0].low >= 0 && x[1].low >= 0))) return everything;
    double p[] = {pow(x[0].low, x[1].low), pow(x[0].low, x[1].high), pow(x[0].high, x[1].low),
                  pow(x[0].high, x[1].high)};
    double low = p[0], high = p[0]; /* b log(a) is least and greatest at corners */
    for (int c = 1; c < 4; c++) low = fmin(low, p[c]), high = fmax(high, p[c]);
    return between(fmax(low, 0), high);
}

/* 1/sqrt(a), 0 at 0 */
q_interval q_interval_rsqrt(const q_interval *x, const int32_t k[2])
{
    (void)k;
    return x[0].low > 0 ? between(1 / sqrt(x[0].high), 1 / sqrt(x[0].low)) : (q_interval){0, INFINITY};
}

/* Falling from 1 for orders from 0 on. */
q_interval q_interval_matern(const q_interval *x, const int32_t k[2])
{
    if (k[0] < 0 || !(x[0].low >= 0)) return everything;
    q_interval wide = between(q_host_matern(x[0].high, k[0]), q_host_matern(x[0].low, k[0]));
    return (q_interval){wide.low - 64 * DBL_EPSILON * wide.low, wide.high + 64 * DBL_EPSILON * wide.high};
}

q_interval q_interval_of_positive(const q_interval *x, const int32_t k[2])
{
    (void)k;
    return x[0].low >= 0 ? (q_interval){0, INFINITY} : everything;
}

q_interval q_interval_choice(const q_interval *x, const int32_t k[2])
{
    (void)k;
    return (q_interval){fmin(x[1].low, x[2].low), fmax(x[1].high, x[2].high)};
}

// ---- where operations are finite, as ops.def names it: x is the operand that decides, and those after it ----

bool q_domain_positive(const q_interval *x, const int32_t k[2])
{
    (void)k;
    return x[0].low > 0;
}

bool q_domain_not_negative(const q_interval *x, const int32_t k[2])
{
    (void)k;
    return x[0].low >= 0;
}

bool q_domain_above_minus_one(const q_interval *x, const int32_t k[2])
{
    (void)k;
    return x[0].low > -1;
}

bool q_domain_not_zero(const q_interval *x, const int32_t k[2])
{
    (void)k;
    return x[0].low > 0 || x[0].high < 0;
}

bool q_domain_unit(const q_interval *x, const int32_t k[2])
{
    (void)k;
    return x[0].low >= -1 && x[0].high <= 1;
}

bool q_domain_inside_unit(const q_interval *x, const int32_t k[2])
{
    (void)k;
    return x[0].low > -1 && x[0].high < 1;
}

/* of an exponential in float32 */
bool q_domain_exponent(const q_interval *x, const int32_t k[2])
{
    (void)k;
    return x[0].high <= 88;
}

bool q_domain_both_exponents(const q_interval *x, const int32_t k[2])
{
    (void)k;
    return x[0].low >= -88 && x[0].high <= 88;
}

bool q_domain_power(const q_interval *x, const int32_t k[2])
{
    return k[0] >= 0 || q_domain_not_zero(x, k);
}

bool q_domain_powf(const q_interval *x, const int32_t k[2])
{
    (void)k;
    return x[0].low > 0 || (x[0].low >= 0 && x[1].low >= 0);
}

// ---- the pass ----

bool q_is_product(const q_node *node)
{
    static const q_op products[] = {Q_OP_Mult,     Q_OP_MultNoNan, Q_OP_Square, Q_OP_Divide,
                                    Q_OP_DivNoNan, Q_OP_Inv,       Q_OP_Pow,    Q_OP_Minus};
    for (size_t k = 0; k < Q_COUNT(products); k++)
        if (node->op == products[k]) return true;
    return false;
}

/* What stands for "some positive number". */
static const q_interval positive = {0x1p-64, 0x1p64};

static q_interval hull(q_interval a, q_interval b)
{
    return (q_interval){fmin(a.low, b.low), fmax(a.high, b.high)};
}

q_interval q_bounds_elementwise(const q_node *node, const q_interval *x)
{
    const q_op_row *row = &q_ops[node->op];
    q_interval ends = row->interval(x, node->k);
    if (row->interval != q_interval_rising && row->interval != q_interval_falling) return ends;
    /* libm's functions are within two units of the last place, not monotone to the last one */
    double low = row->evaluate(ends.low, 0, 0, node->k[0], node->k[1]);
    double high = row->evaluate(ends.high, 0, 0, node->k[0], node->k[1]);
    return between(isnan(low) ? -INFINITY : low, isnan(high) ? INFINITY : high);
}

/* n equal intervals added; n may be unknown (reductions over an axis): then only the sign is kept. */
static q_interval bound_sum(q_interval x, double n)
{
    if (n > 0) return make(x.low == 0 ? 0 : x.low * n, x.high == 0 ? 0 : x.high * n);
    return (q_interval){x.low >= 0 ? 0 : -INFINITY, x.high <= 0 ? 0 : INFINITY};
}

static q_interval bound_expand(const q_graph *graph, const q_node *node, q_interval x)
{
    uint32_t n = q_node_of(graph, node->arg[0])->dim;
    if (node->op == Q_OP_Sum) return bound_sum(x, n);
    if (node->op == Q_OP_Max || node->op == Q_OP_Min) return x;
    return (q_interval){0, node->op == Q_OP_OneHot ? 1 : n};
}

/* Some put zeros beside the operand's components. */
static q_interval bound_gather(const q_node *node, const q_interval *x)
{
    if (node->op == Q_OP_Concat) return hull(x[0], x[1]);
    bool zeros = node->op == Q_OP_ExtractT || node->op == Q_OP_Real2Complex || node->op == Q_OP_Imag2Complex;
    return zeros ? hull(x[0], (q_interval){0, 0}) : x[0];
}

static q_interval bound_node(const q_graph *graph, const q_node *node, const q_interval *x)
{
    const q_op_row *row = &q_ops[node->op];
    if (node->op == Q_OP_CONSTANT) return isnan(node->value) ? everything : (q_interval){node->value, node->value};
    if (node->op == Q_OP_INDEX || node->op == Q_OP_COUNT) return (q_interval){0, INT32_MAX - 1};
    if (q_is_reduction(node) && row->reduction == Q_INDEX) return (q_interval){-1, INT32_MAX - 1};
    if (row->kind == Q_KIND_ELEMENTWISE) return q_bounds_elementwise(node, x);
    if (row->kind == Q_KIND_EXPAND) return bound_expand(graph, node, x[0]);
    if (row->kind == Q_KIND_CONTRACT)
        return bound_sum(q_interval_multiply(x, node->k), q_contraction_terms(q_contraction_of(graph, node)));
    if (row->kind == Q_KIND_REPEAT) return x[0];
    if (row->kind == Q_KIND_GATHER) return bound_gather(node, x);
    return node->op == Q_RED_Sum ? bound_sum(x[0], 0) : everything;
}

bool q_weight_read(q_weight *out, const q_graph *graph, const q_node *node)
{
    if (node->op != Q_OP_Subtract && node->op != Q_OP_LogRatio) return false;
    *out = (q_weight){node->arg[0], node->arg[1], node->op == Q_OP_LogRatio};
    const q_node *scale = q_node_of(graph, out->scale);
    return (scale->op == Q_RED_LogSumExp || scale->op == Q_RED_Max) && scale->arg[0] == out->term;
}

q_interval q_bounds_expected(const q_graph *graph, q_id id, const q_interval *x, bool parameters)
{
    const q_node *node = q_node_of(graph, id);
    if (parameters && node->op == Q_OP_VARIABLE && node->axes == 0) return positive;
    q_interval bounds = bound_node(graph, node, x);
    q_weight weight;
    if (q_weight_read(&weight, graph, node)) bounds.high = fmin(bounds.high, 0);
    if (node->op == Q_OP_Exp) bounds = (q_interval){fmax(bounds.low, positive.low), fmax(bounds.high, positive.low)};
    return bounds;
}

void q_bounds_all(const q_graph *graph, q_interval *out)
{
    out[0] = everything;
    for (q_id id = 1; id < graph->count; id++) {
        const q_node *node = q_node_of(graph, id);
        q_interval x[3] = {{0, 0}, {0, 0}, {0, 0}};
        for (int a = 0; a < q_ops[node->op].operands; a++) x[a] = out[node->arg[a]];
        out[id] = bound_node(graph, node, x);
    }
}

q_interval q_bounds(const q_graph *graph, q_id id)
{
    q_interval *all = malloc(graph->count * sizeof *all);
    if (!all) return everything;
    q_bounds_all(graph, all);
    q_interval result = all[id];
    free(all);
    return result;
}
