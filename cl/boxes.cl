/*
 * boxes.cl: intervals on a device, for the program that src/plan/boxes.c makes of a formula.
 *
 * What an interval is, and how far it is widened, is what src/formula/ranges.c and bounds.c say; the functions are those of
 * the same names there, in double whatever the type of the run is: Q_SINGLE_TYPE says that it is float32.
 */
#ifndef Q_FN
#define Q_F64 1
#include "prelude.cl"
#endif

typedef struct {
    double low, high;
} q_interval;

#define Q_STEPS 256.0
#define Q_EVERYTHING ((q_interval){-INFINITY, INFINITY})

#ifndef Q_SINGLE_TYPE
#define Q_SINGLE_TYPE 1
#endif
#if Q_SINGLE_TYPE
#define Q_UNIT 0x1p-24
#define Q_MOST ((double)FLT_MAX)
#define Q_LEAST ((double)FLT_MIN)
#define Q_NOTHING 0x1p-160
#define Q_FAR 110
#else
#define Q_UNIT 0x1p-53
#define Q_MOST DBL_MAX
#define Q_LEAST DBL_MIN
#define Q_NOTHING 0.0
#define Q_FAR 780
#endif

/* What a reduction does with its terms, for boxes_walk.cl. */
enum { Q_IS_OTHER, Q_IS_SUMMED, Q_IS_LOG_SUMMED, Q_IS_SMALLEST, Q_IS_LARGEST };

/* Without the step outwards of bounds.c: q_rounded, which comes after it, is far more. */
Q_FN q_interval q_make(const double low, const double high)
{
    return isnan(low) || isnan(high) ? Q_EVERYTHING : (q_interval){low, high};
}

// ---- ranges.c ----

Q_FN double q_raised(double x, const double steps)
{
    x += fabs(x) < INFINITY ? fabs(x) * Q_UNIT * steps : 0;
    if (x > Q_MOST) return INFINITY;
    if (x < -Q_MOST) return -Q_MOST;
    return (x < 0 && x > -Q_LEAST) || (x > 0 && x < Q_NOTHING) ? 0 : x;
}

Q_FN q_interval q_rounded(const q_interval x, const double steps)
{
    return (q_interval){-q_raised(-x.low, steps), q_raised(x.high, steps)};
}

Q_FN int q_finite(const q_interval x)
{
    return x.low > -INFINITY && x.high < INFINITY;
}

typedef struct {
    double low, high, size, count;
    int signs;
} q_total;

Q_FN void q_add_term(q_total *t, const q_interval x)
{
    t->low += x.low, t->high += x.high, t->count += 1;
    t->size += fmax(fabs(x.low), fabs(x.high));
    t->signs = t->signs || (t->low < 0 && t->high > 0);
}

Q_FN q_interval q_sum_of_terms(const q_total *t)
{
    const double steps = Q_STEPS + 32 * t->count, spread = t->signs ? t->size * steps * Q_UNIT : 0;
    const q_interval sum = {t->low - spread, t->high + spread};
    if (isnan(sum.low) || isnan(sum.high)) return Q_EVERYTHING;
    return q_rounded(sum, steps);
}

typedef struct {
    q_interval least, most;
} q_extent;

Q_FN void q_extend(q_extent *e, const q_interval x)
{
    e->least = (q_interval){fmin(e->least.low, x.low), fmin(e->least.high, x.high)};
    e->most = (q_interval){fmax(e->most.low, x.low), fmax(e->most.high, x.high)};
}

/* It is one of the components, whichever NaN leaves. */
Q_FN q_interval q_extremum(const q_extent *e, const int largest, const int nan)
{
    if (nan) return (q_interval){e->least.low, e->most.high};
    return largest ? e->most : e->least;
}

// ---- bounds.c: the rules of ops.def; x, y, z are the operands ----

#define Q_RULE(name) Q_FN q_interval q_rule_##name(const q_interval x, const q_interval y, const q_interval z, const int k)

Q_RULE(anything) { return Q_EVERYTHING; }
Q_RULE(add) { return q_make(x.low + y.low, x.high + y.high); }
Q_RULE(subtract) { return q_make(x.low - y.high, x.high - y.low); }

Q_FN double q_end_product(const double a, const double b)
{
    return a == 0 || b == 0 ? 0 : a * b;
}

Q_RULE(multiply)
{
    const double a = q_end_product(x.low, y.low), b = q_end_product(x.low, y.high), c = q_end_product(x.high, y.low),
                 d = q_end_product(x.high, y.high);
    return q_make(fmin(fmin(a, b), fmin(c, d)), fmax(fmax(a, b), fmax(c, d)));
}

Q_RULE(inverse)
{
    return x.low > 0 || x.high < 0 ? q_make(1 / x.high, 1 / x.low) : Q_EVERYTHING;
}

Q_RULE(divide)
{
    return y.low > 0 || y.high < 0 ? q_rule_multiply(x, q_rule_inverse(y, y, y, 0), z, 0) : Q_EVERYTHING;
}

Q_RULE(absolute)
{
    const double a = fabs(x.low), b = fabs(x.high);
    return (q_interval){x.low <= 0 && x.high >= 0 ? 0 : fmin(a, b), fmax(a, b)};
}

Q_RULE(square)
{
    const q_interval a = q_rule_absolute(x, y, z, k);
    return (q_interval){a.low * a.low, a.high * a.high};
}

/* What rises from `low` to `high` but for the errors of functions, which are some 16 units at most in OpenCL. */
Q_FN q_interval q_between(const double low, const double high)
{
    const double below = fabs(low) < INFINITY ? fabs(low) * 32 * DBL_EPSILON : 0;
    const double above = fabs(high) < INFINITY ? fabs(high) * 32 * DBL_EPSILON : 0;
    return q_make(low - below, high + above);
}

Q_FN q_interval q_monotone(const double low, const double high)
{
    return q_between(isnan(low) ? -INFINITY : low, isnan(high) ? INFINITY : high);
}

Q_RULE(power)
{
    const int even = k % 2 == 0, positive = k < 0 ? x.low > 0 : x.low >= 0;
    if (!even && !positive) return Q_EVERYTHING;
    const q_interval size = q_rule_absolute(x, y, z, k);
    return k < 0 ? q_between(pown(size.high, k), pown(size.low, k)) : q_between(pown(size.low, k), pown(size.high, k));
}

Q_RULE(exponent)
{
    const q_interval e = q_between(exp(x.low), exp(x.high));
    return (q_interval){fmax(0.0, e.low), x.high < -750 ? 0 : e.high};
}

Q_RULE(positive) { return (q_interval){0, INFINITY}; }
Q_RULE(unit) { return (q_interval){-1, 1}; }
Q_RULE(truth) { return (q_interval){0, 1}; }

Q_RULE(ratio)
{
    if (y.low > 0 || y.high < 0) return q_rule_divide(x, y, z, k);
    if (y.low < 0) return Q_EVERYTHING;
    return (q_interval){x.low < 0 ? -INFINITY : 0, x.high > 0 ? INFINITY : 0};
}

Q_RULE(powf)
{
    if (!(x.low > 0 || (x.low >= 0 && y.low >= 0))) return Q_EVERYTHING;
    const double a = pow(x.low, y.low), b = pow(x.low, y.high), c = pow(x.high, y.low), d = pow(x.high, y.high);
    return q_between(fmax(fmin(fmin(a, b), fmin(c, d)), 0.0), fmax(fmax(a, b), fmax(c, d)));
}

Q_RULE(rsqrt)
{
    return x.low > 0 ? q_between(1 / sqrt(x.high), 1 / sqrt(x.low)) : (q_interval){0, INFINITY};
}

Q_RULE(of_positive) { return x.low >= 0 ? (q_interval){0, INFINITY} : Q_EVERYTHING; }
Q_RULE(choice) { return (q_interval){fmin(y.low, z.low), fmax(y.high, z.high)}; }

// ---- where operations are finite ----

#define Q_DOMAIN(name) Q_FN int q_domain_##name(const q_interval x, const q_interval y, const int k)

Q_DOMAIN(positive) { return x.low > 0; }
Q_DOMAIN(not_negative) { return x.low >= 0; }
Q_DOMAIN(above_minus_one) { return x.low > -1; }
Q_DOMAIN(not_zero) { return x.low > 0 || x.high < 0; }
Q_DOMAIN(unit) { return x.low >= -1 && x.high <= 1; }
Q_DOMAIN(inside_unit) { return x.low > -1 && x.high < 1; }
Q_DOMAIN(exponent) { return x.high <= 88; }
Q_DOMAIN(both_exponents) { return x.low >= -88 && x.high <= 88; }
Q_DOMAIN(power) { return k >= 0 || q_domain_not_zero(x, y, k); }
Q_DOMAIN(powf) { return x.low > 0 || (x.low >= 0 && y.low >= 0); }

// ---- steps, comparisons and choices that the boxes decide ----

#define q_decides_LessThan(x, y) ((x).high < (y).low || (x).low >= (y).high)
#define q_decision_LessThan(x, y) Q_TRUTH((x).high < (y).low)
#define q_decides_LessOrEqual(x, y) ((x).low > (y).high || (x).high <= (y).low)
#define q_decision_LessOrEqual(x, y) Q_TRUTH((x).high <= (y).low)
#define q_decides_Equal(x, y) ((x).high < (y).low || (x).low > (y).high)
#define q_decision_Equal(x, y) Q_TRUTH(0)
#define q_decides_NotEqual(x, y) q_decides_Equal(x, y)
#define q_decision_NotEqual(x, y) Q_TRUTH(1)
#define q_decides_Step(x, y) ((x).low >= 0 || (x).high < 0)
#define q_decision_Step(x, y) Q_TRUTH((x).low >= 0)
#define Q_TRUTH(yes) ((yes) ? (q_interval){1, 1} : (q_interval){0, 0})
#define q_first_Where(x) ((x).low > 0 || (x).high < 0)
#define q_second_Where(x) ((x).low == 0 && (x).high == 0)
#define q_first_IfElse(x) ((x).low >= 0)
#define q_second_IfElse(x) ((x).high < 0)
