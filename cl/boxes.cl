/*
 * boxes.cl: intervals on a device, for the program that src/plan/boxes.c makes of a formula.
 *
 * What an interval is, and how far it is widened, is what src/formula/ranges.c and bounds.c say; the functions are those of
 * the same names there, in double whatever the type of the run is: Q_SINGLE_TYPE says that it is float32. Q_LANES intervals
 * are one value, so nothing branches, and conditions are what comparisons give.
 */
#ifndef Q_FN
#define Q_F64 1
#include "prelude.cl"
#endif

#define Q_INLINED static __attribute__((always_inline))

typedef struct {
    real low, high;
} q_interval;

#define Q_STEPS 256.0

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

/* Of a tolerance, all but what roundings may make of it; of what columns have left over, what one node may have. */
#define Q_SHARED (1 - 0x1p-30)
#define Q_SPENT 0.125

/* What a reduction does with its terms, for boxes_walk.cl. */
enum { Q_IS_OTHER, Q_IS_SUMMED, Q_IS_LOG_SUMMED, Q_IS_SMALLEST, Q_IS_LARGEST };

Q_FN q_interval q_span(const real low, const real high)
{
    q_interval x;
    x.low = low, x.high = high;
    return x;
}
#define q_constant(low, high) q_span((real)(low), (real)(high))
#define Q_EVERYTHING q_constant(-INFINITY, INFINITY)

/* x where the condition holds, else y. */
Q_FN q_interval q_choose(const qint condition, const q_interval x, const q_interval y)
{
    return q_span(q_select(condition, x.low, y.low), q_select(condition, x.high, y.high));
}

/* Without the step outwards of bounds.c: q_rounded, which comes after it, is far more. */
Q_FN q_interval q_make(const real low, const real high)
{
    return q_choose(isnan(low) | isnan(high), Q_EVERYTHING, q_span(low, high));
}

// ---- ranges.c ----

/* The larger one in one instruction; b if a is NaN. */
#define q_larger(a, b) q_select((a) > (b), a, b)

Q_FN real q_raised(const real x, const double steps, const double nothing)
{
    const real above = x * (real)(1 + Q_UNIT * steps), below = x * (real)(1 - Q_UNIT * steps);
    const real y = q_larger(above, below) + q_select(x > (real)Q_NOTHING, Q_LEAST * Q_UNIT * steps, 0);
    const real z = q_select((y > (real)-Q_LEAST) & (y < (real)nothing), 0, y);
    return q_select(z > (real)Q_MOST, INFINITY, q_select(z < (real)-Q_MOST, -Q_MOST, z));
}

Q_FN q_interval q_rounded(const q_interval x, const double steps)
{
    return q_span(-q_raised(-x.low, steps, Q_NOTHING), q_raised(x.high, steps, Q_NOTHING));
}

/* Of products. */
Q_FN q_interval q_rounded_product(const q_interval x, const double steps)
{
    return q_span(-q_raised(-x.low, steps, 0), q_raised(x.high, steps, 0));
}

Q_FN qint q_finite(const q_interval x)
{
    return (x.low > -INFINITY) & (x.high < INFINITY);
}

typedef struct {
    real low, high, size;
    double count;
    qint signs;
} q_total;

Q_FN void q_no_terms(q_total *t)
{
    t->low = t->high = t->size = (real)0.0, t->count = 0, t->signs = (qint)0;
}

Q_FN void q_add_term(q_total *t, const q_interval x)
{
    t->low += x.low, t->high += x.high, t->count += 1;
    t->size += fmax(fabs(x.low), fabs(x.high));
    t->signs |= (t->low < 0) & (t->high > 0);
}

/* The same of terms that are never negative, nor NaN. */
Q_FN void q_add_positive(q_total *t, const q_interval x)
{
    t->low += x.low, t->high += x.high, t->count += 1;
}

Q_FN q_interval q_sum_of_positive(const q_total *t)
{
    const double steps = Q_STEPS + 32 * t->count;
    const q_interval sum = q_span(t->low, t->high);
    return t->count == 1 ? q_rounded_product(sum, steps) : q_rounded(sum, steps);
}

Q_FN q_interval q_sum_of_terms(const q_total *t)
{
    const double steps = Q_STEPS + 32 * t->count;
    const real spread = q_select(t->signs, t->size * (real)(steps * Q_UNIT), 0);
    const real low = t->low - spread, high = t->high + spread;
    const q_interval sum = q_span(low, high);
    return q_choose(isnan(low) | isnan(high), Q_EVERYTHING,
                    t->count == 1 ? q_rounded_product(sum, steps) : q_rounded(sum, steps));
}

typedef struct {
    q_interval least, most;
} q_extent;

Q_FN void q_extend(q_extent *e, const q_interval x)
{
    e->least = q_span(fmin(e->least.low, x.low), fmin(e->least.high, x.high));
    e->most = q_span(fmax(e->most.low, x.low), fmax(e->most.high, x.high));
}

/* It is one of the components, whichever NaN leaves. */
Q_FN q_interval q_extremum(const q_extent *e, const int largest, const qint nan)
{
    return q_choose(nan, q_span(e->least.low, e->most.high), largest ? e->most : e->least);
}

// ---- bounds.c: the rules of ops.def; x, y, z are the operands ----

#define Q_RULE(name) Q_FN q_interval q_rule_##name(const q_interval x, const q_interval y, const q_interval z, const int k)

Q_RULE(anything) { return Q_EVERYTHING; }
Q_RULE(add) { return q_make(x.low + y.low, x.high + y.high); }
Q_RULE(subtract) { return q_make(x.low - y.high, x.high - y.low); }

Q_FN real q_end_product(const real a, const real b)
{
    const real p = q_select((a == 0) | (b == 0), 0, a * b), least = copysign((real)0x1p-1074, p);
    return q_select((p == 0) & (a != 0) & (b != 0), least, p);
}

Q_RULE(multiply)
{
    const real a = q_end_product(x.low, y.low), b = q_end_product(x.low, y.high), c = q_end_product(x.high, y.low),
               d = q_end_product(x.high, y.high);
    return q_make(fmin(fmin(a, b), fmin(c, d)), fmax(fmax(a, b), fmax(c, d)));
}

Q_FN qint q_one_sign(const q_interval x)
{
    return (x.low > 0) | (x.high < 0);
}

Q_RULE(inverse)
{
    return q_choose(q_one_sign(x), q_make(1 / x.high, 1 / x.low), Q_EVERYTHING);
}

Q_RULE(divide)
{
    return q_choose(q_one_sign(y), q_rule_multiply(x, q_rule_inverse(y, y, y, 0), z, 0), Q_EVERYTHING);
}

Q_RULE(absolute)
{
    const real a = fabs(x.low), b = fabs(x.high);
    return q_span(q_select((x.low <= 0) & (x.high >= 0), 0, fmin(a, b)), fmax(a, b));
}

Q_RULE(square)
{
    const q_interval a = q_rule_absolute(x, y, z, k);
    return q_span(a.low * a.low, q_end_product(a.high, a.high));
}

/* What rises from `low` to `high` but for the errors of functions, which are some 16 units at most in OpenCL. */
Q_FN q_interval q_between(const real low, const real high)
{
    const real a = fabs(low), b = fabs(high), error = (real)(32 * DBL_EPSILON);
    return q_make(low - q_select(a < INFINITY, a * error, 0), high + q_select(b < INFINITY, b * error, 0));
}

Q_FN q_interval q_monotone(const real low, const real high)
{
    return q_between(q_select(isnan(low), -INFINITY, low), q_select(isnan(high), INFINITY, high));
}

Q_RULE(power)
{
    const q_interval size = q_rule_absolute(x, y, z, k);
    const real a = q_pow(size.low, (real)k), b = q_pow(size.high, (real)k), most = k < 0 ? a : b;
    const qint vanishes = (most == 0) & (size.high > 0) & (size.low < INFINITY);
    const q_interval powers = q_between(k < 0 ? b : a, q_select(vanishes, 0x1p-1074, most));
    return k % 2 == 0 ? powers : q_choose(k < 0 ? x.low > 0 : x.low >= 0, powers, Q_EVERYTHING);
}

Q_RULE(exponent)
{
    const q_interval e = q_between(exp(x.low), exp(x.high));
    return q_span(fmax(e.low, (real)0.0), q_select(x.high < -750, 0, e.high));
}

Q_RULE(positive) { return q_constant(0, INFINITY); }
Q_RULE(unit) { return q_constant(-1, 1); }
Q_RULE(truth) { return q_constant(0, 1); }

Q_RULE(ratio)
{
    const q_interval signs = q_span(q_select(x.low < 0, -INFINITY, 0), q_select(x.high > 0, INFINITY, 0));
    return q_choose(q_one_sign(y), q_rule_divide(x, y, z, k), q_choose(y.low < 0, Q_EVERYTHING, signs));
}

Q_RULE(powf)
{
    const real a = q_pow(x.low, y.low), b = q_pow(x.low, y.high), c = q_pow(x.high, y.low), d = q_pow(x.high, y.high);
    const q_interval powers =
        q_between(fmax(fmin(fmin(a, b), fmin(c, d)), (real)0.0), fmax(fmax(a, b), fmax(c, d)));
    return q_choose((x.low > 0) | ((x.low >= 0) & (y.low >= 0)), powers, Q_EVERYTHING);
}

Q_RULE(rsqrt)
{
    return q_choose(x.low > 0, q_between(1 / sqrt(x.high), 1 / sqrt(x.low)), q_constant(0, INFINITY));
}

Q_RULE(of_positive) { return q_choose(x.low >= 0, q_constant(0, INFINITY), Q_EVERYTHING); }
Q_RULE(choice) { return q_span(fmin(y.low, z.low), fmax(y.high, z.high)); }

// ---- where operations are finite ----

#define Q_DOMAIN(name) Q_FN qint q_domain_##name(const q_interval x, const q_interval y, const int k)

Q_DOMAIN(positive) { return x.low > 0; }
Q_DOMAIN(not_negative) { return x.low >= 0; }
Q_DOMAIN(above_minus_one) { return x.low > -1; }
Q_DOMAIN(not_zero) { return q_one_sign(x); }
Q_DOMAIN(unit) { return (x.low >= -1) & (x.high <= 1); }
Q_DOMAIN(inside_unit) { return (x.low > -1) & (x.high < 1); }
Q_DOMAIN(exponent) { return x.high <= 88; }
Q_DOMAIN(both_exponents) { return (x.low >= -88) & (x.high <= 88); }
Q_DOMAIN(power) { return k >= 0 ? x.low == x.low : q_one_sign(x); }
Q_DOMAIN(powf) { return (x.low > 0) | ((x.low >= 0) & (y.low >= 0)); }

// ---- steps, comparisons and choices that the boxes decide ----

#define q_decides_LessThan(x, y) (((x).high < (y).low) | ((x).low >= (y).high))
#define q_decision_LessThan(x, y) Q_TRUTH((x).high < (y).low)
#define q_decides_LessOrEqual(x, y) (((x).low > (y).high) | ((x).high <= (y).low))
#define q_decision_LessOrEqual(x, y) Q_TRUTH((x).high <= (y).low)
#define q_decides_Equal(x, y) (((x).high < (y).low) | ((x).low > (y).high))
#define q_decision_Equal(x, y) q_constant(0, 0)
#define q_decides_NotEqual(x, y) q_decides_Equal(x, y)
#define q_decision_NotEqual(x, y) q_constant(1, 1)
#define q_decides_Step(x, y) (((x).low >= 0) | ((x).high < 0))
#define q_decision_Step(x, y) Q_TRUTH((x).low >= 0)
#define Q_TRUTH(yes) q_choose(yes, q_constant(1, 1), q_constant(0, 0))
#define q_first_Where(x) (((x).low > 0) | ((x).high < 0))
#define q_second_Where(x) (((x).low == 0) & ((x).high == 0))
#define q_first_IfElse(x) ((x).low >= 0)
#define q_second_IfElse(x) ((x).high < 0)
