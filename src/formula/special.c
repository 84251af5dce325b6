/*
 * special.c: functions that are whole graphs of simple operations, so that they are differentiable like any other
 * formula; and the special functions of the host that libm lacks. cl/special.cl has the same algorithms for devices.
 */
#include <math.h>

#include "formula/formula.h"

// ---- B-splines ----

static q_id slice(q_graph *graph, q_id a, int64_t from, int64_t length)
{
    int32_t k[2] = {(int32_t)from, (int32_t)length};
    return q_apply(graph, Q_OP_Extract, &a, 1, k, 2);
}

/* a / b where b > 0, else 0: repeated knots span nothing. */
static q_id divide_by_span(q_graph *graph, q_id a, q_id b)
{
    q_id one = q_constant(graph, 1, 1), zero = q_constant(graph, 0, 1), spans = q_apply2(graph, Q_OP_LessThan, zero, b);
    q_id safe = q_apply(graph, Q_OP_Where, (q_id[]){spans, b, one}, 3, NULL, 0);
    return q_apply(graph, Q_OP_Where, (q_id[]){spans, q_apply2(graph, Q_OP_Divide, a, safe), zero}, 3, NULL, 0);
}

/* One step of Cox and de Boor's recursion, for all the `count` functions of degree k at once. */
static q_id raise_degree(q_graph *graph, q_id knots, q_id x, q_id basis, int64_t k, int64_t count)
{
    q_id left = slice(graph, knots, 0, count), right = slice(graph, knots, k + 1, count);
    q_id up = divide_by_span(graph, q_apply2(graph, Q_OP_Subtract, x, left),
                             q_apply2(graph, Q_OP_Subtract, slice(graph, knots, k, count), left));
    q_id down = divide_by_span(graph, q_apply2(graph, Q_OP_Subtract, right, x),
                               q_apply2(graph, Q_OP_Subtract, right, slice(graph, knots, 1, count)));
    return q_apply2(graph, Q_OP_Add, q_apply2(graph, Q_OP_Mult, up, slice(graph, basis, 0, count)),
                    q_apply2(graph, Q_OP_Mult, down, slice(graph, basis, 1, count)));
}

/* 1 for the span between neighbouring knots that x is in, closed on the left; at the last knot the last one that is not
   empty, as if it were closed. */
static q_id spans(q_graph *graph, q_id knots, q_id x, int64_t count)
{
    q_id left = slice(graph, knots, 0, count), right = slice(graph, knots, 1, count),
         last = slice(graph, knots, count, 1);
    q_id within = q_apply2(graph, Q_OP_Mult, q_apply2(graph, Q_OP_LessOrEqual, left, x),
                           q_apply2(graph, Q_OP_LessThan, x, right));
    q_id ends = q_apply2(graph, Q_OP_Mult, q_apply2(graph, Q_OP_LessThan, left, last),
                         q_apply2(graph, Q_OP_Equal, right, last));
    return q_apply(graph, Q_OP_Where, (q_id[]){q_apply2(graph, Q_OP_Equal, x, last), ends, within}, 3, NULL, 0);
}

q_id q_b_spline(q_graph *graph, q_id knots, q_id x, int32_t order)
{
    if (graph->status || !knots || !x) return 0;
    int64_t count = (int64_t)q_node_of(graph, knots)->dim - 1;
    if (order < 0 || count - order < 1 || q_node_of(graph, x)->dim != 1)
        return q_graph_fail(graph, QUERN_DIMENSION, "BSpline of order %d needs %d knots or more and x of length 1",
                            order, order + 2);
    q_id basis = spans(graph, knots, x, count);
    for (int64_t k = 1; k <= order; k++) basis = raise_degree(graph, knots, x, basis, k, count - k);
    return basis;
}

// ---- soft dynamic time warping ----

/* -gamma log(exp(-a/gamma) + exp(-b/gamma) + exp(-c/gamma)), from the smallest of the three. */
static q_id soft_minimum(q_graph *graph, q_id a, q_id b, q_id c, q_id gamma)
{
    q_scope scope = {.names = {{"a", a}, {"b", b}, {"c", c}, {"g", gamma}}, .count = 4};
    return q_parse_row(graph, "m=Min(Concat(Concat(a,b),c)); m-g*Log(Exp((m-a)/g)+Exp((m-b)/g)+Exp((m-c)/g))", 1,
                       &scope);
}

/* The cheapest way to a cell from its neighbours, of which those outside the table (0) do not count. */
static q_id from_neighbours(q_graph *graph, q_id up, q_id left, q_id corner, q_id gamma)
{
    if (up && left) return soft_minimum(graph, up, left, corner, gamma);
    return up ? up : left;
}

q_id q_soft_dtw(q_graph *graph, q_id x, q_id y, q_id gamma)
{
    enum { MOST = 64 };
    if (graph->status || !x || !y || !gamma) return 0;
    uint32_t n = q_node_of(graph, x)->dim, m = q_node_of(graph, y)->dim;
    if (n > MOST || m > MOST || q_node_of(graph, gamma)->dim != 1)
        return q_graph_fail(graph, QUERN_LIMIT,
                            "SoftDTW_SqDist takes sequences of at most %d numbers and a gamma of length 1", MOST);
    q_id row[MOST] = {0};
    for (uint32_t i = 0; i < n; i++) {
        q_id left = 0, corner = 0;
        for (uint32_t j = 0; j < m; j++) {
            q_id cost = q_apply1(graph, Q_OP_Square,
                                 q_apply2(graph, Q_OP_Subtract, slice(graph, x, i, 1), slice(graph, y, j, 1)));
            q_id before = from_neighbours(graph, row[j], left, corner, gamma);
            corner = row[j];
            left = row[j] = before ? q_apply2(graph, Q_OP_Add, cost, before) : cost;
        }
    }
    return row[m - 1];
}

// ---- special functions of the host; the algorithms of cl/special.cl ----

/* The k-th derivative of sin(x)/x. Its Taylor series where that does not cancel, else the recursion
   x f_k = sin(x + k pi/2) - k f_(k-1) from x f_0 = sin x. */
double q_host_sinc(double x, int32_t k)
{
    if (fabs(x) > 0.5 + 0.5 * k) {
        double sine = sin(x), cosine = cos(x), f = sine / x;
        for (int32_t d = 1; d <= k; d++) f = ((d % 4 > 1 ? -1 : 1) * (d % 2 ? cosine : sine) - d * f) / x;
        return f;
    }
    /* terms (-1)^j (2j)! / ((2j - k)! (2j + 1)!) x^(2j - k) */
    int32_t first = (k + 1) / 2;
    double power = k % 2 ? x : 1, factor = first % 2 ? -1 : 1, sum = 0;
    for (int32_t d = 1; d <= 2 * first - k; d++) factor /= d;
    factor /= 2 * first + 1;
    for (int32_t j = first; j < first + 20 + k; j++) {
        sum += factor * power;
        power *= x * x;
        factor *= -(2.0 * j + 1) / ((2.0 * j + 3) * (2.0 * j + 1 - k) * (2.0 * j + 2 - k));
    }
    return sum;
}

/* Digamma (k = 0) and its derivatives: the recursion up to x >= 16, then Euler-Maclaurin (Abramowitz and Stegun
   6.4.11). */
double q_host_polygamma(double x, int32_t k)
{
    static const double bernoulli[] = {1. / 6, -1. / 30, 1. / 42, -1. / 30, 5. / 66, -691. / 2730, 7. / 6};
    if (k < 0 || k > 20) return NAN;
    double shift = 0, factorial = 1; /* (k - 1)! for k > 0 */
    for (int32_t d = 2; d < k; d++) factorial *= d;
    double k_factorial = k ? factorial * k : 1;
    int steps = 0;
    for (; x < 16 + k && steps < 64; x += 1, steps++) shift += k_factorial / pow(x, k + 1);
    if (x < 16 + k) return NAN;
    double sum = k ? factorial / pow(x, k) + k_factorial / (2 * pow(x, k + 1)) : 1 / (2 * x) - log(x);
    double rising = k ? k_factorial * (k + 1) / 2 : 0.5; /* (2j + k - 1)! / (2j)! */
    for (int j = 1; j <= 7; j++) {
        sum += bernoulli[j - 1] * rising / pow(x, 2 * j + k);
        rising *= (2. * j + k) * (2. * j + k + 1) / ((2. * j + 1) * (2. * j + 2));
    }
    return (k % 2 ? 1 : -1) * (shift + sum);
}

/* The Matern kernel of smoothness k + 1/2 as a function of u, where exp(-sqrt(u)) is that of smoothness 1/2:
   M_0 = exp(-s) and M_1 = (1 + s) exp(-s) with s = sqrt(u), M_k = M_(k-1) + u M_(k-2) / ((2k-1)(2k-3)), by the
   recurrence of reverse Bessel polynomials, and M_k' = -M_(k-1)/(4k-2). Orders below 0 continue that rule, by
   K_(-nu) = K_nu: M_(-n) is a multiple of s^(1-2n) M_(n-1); at 0, where these are infinite, they are 0. */
double q_host_matern(double u, int32_t k)
{
    double s = sqrt(u), m = exp(-s), above = (1 + s) * m, scale = 1;
    int32_t order = k < 0 ? -k - 1 : k;
    if (u == INFINITY) return 0;
    for (int32_t n = 1; n <= order; n++) {
        double next = above + u * m / ((2 * n + 1) * (2 * n - 1));
        m = above, above = next;
    }
    if (k >= 0) return m;
    if (u == 0) return 0;
    for (int32_t n = 1; n <= order; n++) scale *= -(2 * n + 1) * (2 * n - 1) / u;
    return -scale * m / s;
}

double q_host_besselj(double x, int32_t k)
{
    return k < 0 ? (k % 2 ? -1 : 1) * jn(-k, x) : jn(k, x);
}
