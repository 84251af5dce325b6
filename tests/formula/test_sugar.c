/*
 * test_sugar.c: sugar by plain C: distances, kernels and roundings of two vectors of four numbers; complex numbers by
 * C's own.
 */
#include <complex.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helpers.h"

typedef void function(const double *x, const double *y, double *out);

static double dot(const double *x, const double *y)
{
    return x[0] * y[0] + x[1] * y[1] + x[2] * y[2] + x[3] * y[3];
}

static double sq_dist(const double *x, const double *y)
{
    return dot(x, x) - 2 * dot(x, y) + dot(y, y);
}

#define FUNCTION(name, ...)                                         \
    static void name(const double *x, const double *y, double *out) \
    {                                                               \
        const double values[] = {__VA_ARGS__};                      \
        (void)x, (void)y;                                           \
        memcpy(out, values, sizeof values);                         \
    }
#define EACH(name, f) FUNCTION(name, f(x[0], y[0]), f(x[1], y[1]), f(x[2], y[2]), f(x[3], y[3]))
#define COMPLEX(name, f)                                                            \
    static void name(const double *x, const double *y, double *out)                 \
    {                                                                               \
        for (int k = 0; k < 4; k += 2) {                                            \
            double complex a = x[k] + x[k + 1] * I, b = y[k] + y[k + 1] * I, r = f; \
            (void)a, (void)b;                                                       \
            out[k] = creal(r), out[k + 1] = cimag(r);                               \
        }                                                                           \
    }

static double modulo(double a, double b)
{
    return a - b * floor((a - 0.5) / b);
}
static double gelu(double a, double b)
{
    return b * 0 + a * (1 + erf(a / sqrt(2))) / 2;
}
static double clamp(double a, double b)
{
    return fmin(fmax(a, -0.3), b + 2);
}
static double softplus(double a, double b)
{
    return b * 0 + log(1 + exp(a));
}
static double matern(double a, double b)
{
    double r = sqrt(5 * a * a) / (b * b);
    return (1 + r + r * r / 3) * exp(-r);
}
static double matern3(double a, double b)
{
    double r = sqrt(3 * a * a) / (b * b);
    return (1 + r) * exp(-r);
}
static double matern1(double a, double b)
{
    return exp(-fabs(a) / (b * b));
}
static double acosh1p(double a, double b)
{
    return b * 0 + acosh(1 + a * a);
}
// clang-format off
EACH(f_mod, modulo)
EACH(f_gelu, gelu)
EACH(f_clamp, clamp)
EACH(f_softplus, softplus)
EACH(f_acosh, acosh1p)
EACH(f_matern1, matern1)
EACH(f_matern3, matern3)
EACH(f_matern5, matern)
EACH(f_atan2, atan2)
EACH(f_hypot, hypot)
FUNCTION(f_cosine, dot(x, y) / sqrt(dot(x, x) * dot(y, y)))
FUNCTION(f_manhattan, fabs(x[0] - y[0]) + fabs(x[1] - y[1]) + fabs(x[2] - y[2]) + fabs(x[3] - y[3]))
FUNCTION(f_chebyshev, fmax(fmax(fabs(x[0] - y[0]), fabs(x[1] - y[1])), fmax(fabs(x[2] - y[2]), fabs(x[3] - y[3]))))
FUNCTION(f_ball, acosh(1 + 2 * sq_dist(x, y) / 9 / ((1 - dot(x, x) / 9) * (1 - dot(y, y) / 9))))
FUNCTION(f_half, acosh(1 + (sq_dist(x, y) - (x[3] - y[3]) * (x[3] - y[3]) + pow(fabs(x[3]) - fabs(y[3]), 2)) / 2 /
                       fabs(x[3] * y[3])))
FUNCTION(f_normalize, x[0] / sqrt(dot(x, x)), x[1] / sqrt(dot(x, x)), x[2] / sqrt(dot(x, x)), x[3] / sqrt(dot(x, x)))
FUNCTION(f_abs, hypot(x[0], x[1]), hypot(x[2], x[3]))
FUNCTION(f_angle, atan2(x[1], x[0]), atan2(x[3], x[2]))
FUNCTION(f_sum, x[0] + x[2], x[1] + x[3])
FUNCTION(f_exp1j, cos(x[0]), sin(x[0]), cos(x[1]), sin(x[1]), cos(x[2]), sin(x[2]), cos(x[3]), sin(x[3]))
FUNCTION(f_scal, x[0] * y[0], x[0] * y[1], x[1] * y[2], x[1] * y[3])
FUNCTION(f_sum_t, x[0], x[1], x[0], x[1], x[0], x[1])
COMPLEX(f_conj, conj(a))
COMPLEX(f_mult, a * b)
COMPLEX(f_divide, a / b)
COMPLEX(f_exp, cexp(a))
COMPLEX(f_add, a + b)
COMPLEX(f_subtract, a - b)
// clang-format on

static const struct {
    const char *formula;
    function *f;
    size_t dim;
} functions[] = {
    {"Mod(x,y,0.5)", f_mod, 4},
    {"Gelu(x)", f_gelu, 4},
    {"Clamp(x,-0.3,y+2)", f_clamp, 4},
    {"Softplus(x)", f_softplus, 4},
    {"Matern12(Square(x),Square(y))", f_matern1, 4},
    {"Matern32(Square(x),Square(y))", f_matern3, 4},
    {"Matern52(Square(x),Square(y))", f_matern5, 4},
    {"Acosh1p(Square(x))", f_acosh, 4},
    {"Atan2(x,y)", f_atan2, 4},
    {"Hypot(x,y)", f_hypot, 4},
    {"Cosine(x,y)", f_cosine, 1},
    {"Manhattan(x,y)", f_manhattan, 1},
    {"Chebyshev(x,y)", f_chebyshev, 1},
    {"HyperbolicBall(x/3,y/3)", f_ball, 1},
    {"Hyperbolic(x/3,y/3)", f_ball, 1},
    {"HyperbolicHalfSpace(Concat(Extract(x,0,3),Abs(Elem(x,3))),Concat(Extract(y,0,3),Abs(Elem(y,3))))", f_half, 1},
    {"Normalize(x)", f_normalize, 4},
    {"ComplexAbs(x)", f_abs, 2},
    {"ComplexAngle(x)", f_angle, 2},
    {"ComplexSum(x)", f_sum, 2},
    {"ComplexExp1j(x)", f_exp1j, 8},
    {"ComplexRealScal(Extract(x,0,2),y)", f_scal, 4},
    {"ComplexSumT(Extract(x,0,2),3)", f_sum_t, 6},
    {"Conj(x)", f_conj, 4},
    {"ComplexMult(x,y)", f_mult, 4},
    {"ComplexDivide(x,y)", f_divide, 4},
    {"ComplexExp(x)", f_exp, 4},
    {"ComplexAdd(x,y)", f_add, 4},
    {"ComplexSubtract(x,y)", f_subtract, 4},
};

static void sugar_by_plain_c(void **state)
{
    (void)state;
    enum { ROWS = 60 };
    for (size_t n = 0; n < Q_COUNT(functions); n++) {
        sample s = sample_create(ROWS, 1, n);
        q_text text = {0};
        q_text_add(&text, "x=Vi(4); y=Vi(4); %s+0*Elem(x,0)*Elem(y,0)", functions[n].formula);
        q_id id = sample_parse(&s, text.data);
        sample_fill(&s, -1, 1);
        double *got = sample_evaluate(&s, id), expected[8];
        assert_int_equal(q_node_of(s.graph, id)->dim, functions[n].dim);
        for (size_t i = 0; i < ROWS; i++) {
            functions[n].f(sample_data(&s, "x") + 4 * i, sample_data(&s, "y") + 4 * i, expected);
            double error = relative_error(got + functions[n].dim * i, expected, functions[n].dim);
            if (!(error <= 2e-12)) fail_msg("%s: error %g", functions[n].formula, error);
        }
        free(got);
        q_text_free(&text);
        sample_destroy(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sugar_by_plain_c)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
