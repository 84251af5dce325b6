/*
 * test_solve_gradient.c: derivatives of products and of solutions beside central differences: by points, a parameter, the
 * right-hand side and the shift.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "quern/solve.h"
#include "run_helpers.h"

enum { N = 60, M = 45, R = 3, MANY = 20 };
#define KERNEL "x=Vi(2); y=Vj(2); s=Pm(1); Sum_j(Matern52(SqDist(x,y),s)*b)"

static double x[2 * N], b[N * R], c[N * R], scale = 0.4, shift = 0.3;

static int prepare(void **state)
{
    srand(4);
    for (int e = 0; e < 2 * N; e++) x[e] = 2 * (uniform() - 0.5);
    for (int e = 0; e < N * R; e++) b[e] = (uniform() - 0.5), c[e] = (uniform() - 0.5);
    return open_context(state);
}

static quern_linear *make(void)
{
    quern_linear *a;
    quern_linear_options options = {.size = sizeof options, .shift = shift};
    quern_view p = quern_f64(x, N, 2);
    succeed(
        quern_linear_create(&a, context, KERNEL, QUERN_ARGS({"x", p}, {"y", p}, {"s", quern_number(scale)}), &options));
    return a;
}

static const quern_solve_options exactly = {.size = sizeof exactly, .tolerance = 1e-12};

static double value_of(void)
{
    quern_linear *a = make();
    double value;
    succeed(quern_solve_gradient(a, quern_f64(b, N, R), quern_f64(c, N, R), &value, QUERN_ARGS(), &exactly, NULL));
    quern_linear_destroy(&a);
    return value;
}

/* The slope of the value as a number changes. */
static double slope_by(double *number)
{
    double before = *number, step = 1e-5, ends[2];
    for (int side = 0; side < 2; side++) {
        *number = before + (side ? step : -step);
        ends[side] = value_of();
    }
    *number = before;
    return (ends[1] - ends[0]) / (2 * step);
}

static void assert_near(double found, double slope)
{
    if (!(fabs(found - slope) < 1e-6 * (1 + fabs(slope)))) fail_msg("%.12g where differences give %.12g", found, slope);
}

static void solutions_have_derivatives(void **state)
{
    (void)state;
    double by_x[2 * N], by_y[2 * N], by_s, by_b[N * R], by_shift, value;
    quern_solve_report report = {.size = sizeof report};
    quern_linear *a = make();
    succeed(quern_solve_gradient(a, quern_f64(b, N, R), quern_f64(c, N, R), &value,
                                 QUERN_ARGS({"x", quern_f64(by_x, N, 2)}, {"b", quern_f64(by_b, N, R)},
                                            {"y", quern_f64(by_y, N, 2)}, {"shift", quern_f64(&by_shift, 1, 1)},
                                            {"s", quern_f64(&by_s, 1, 1)}),
                                 &exactly, &report));
    quern_linear_destroy(&a);
    assert_true(report.converged && fabs(value - value_of()) < 1e-12);
    for (int e = 0; e < 2 * N; e += 41)
        assert_near(by_x[e] + by_y[e], slope_by(&x[e])); /* a point is a row and a column */
    for (int e = 0; e < N * R; e += 67) assert_near(by_b[e], slope_by(&b[e]));
    assert_near(by_s, slope_by(&scale));
    assert_near(by_shift, slope_by(&shift));
}

/* More right-hand sides than a pass takes, more columns than rows, in float32: beside the sum written out. */
static void products_have_derivatives(void **state)
{
    (void)state;
    static float points[2 * N], u[M * MANY], v[N * MANY], by_p[2], by_y[2 * N], by_v[N * MANY];
    double expected[2] = {0, 0}, at_y[2] = {0, 0};
    for (int e = 0; e < 2 * N; e++) points[e] = (float)x[e];
    for (int e = 0; e < M * MANY; e++) u[e] = (float)(uniform() - 0.5);
    for (int e = 0; e < N * MANY; e++) v[e] = (float)(uniform() - 0.5);
    quern_linear *a;
    float p[2] = {0.5F, 1.5F};
    succeed(quern_linear_create(
        &a, context, "x=Vi(2); y=Vj(2); p=Pm(2); Sum_j(Exp(-Sum(p*Square(x-y)))*q)",
        QUERN_ARGS({"x", quern_f32(points, M, 2)}, {"y", quern_f32(points, N, 2)}, {"p", quern_f32(p, 1, 2)}),
        &(quern_linear_options){.size = sizeof(quern_linear_options), .vector = "q"}));
    succeed(quern_linear_gradient(
        a, quern_f32(u, M, MANY), quern_f32(v, N, MANY),
        QUERN_ARGS({"p", quern_f32(by_p, 1, 2)}, {"q", quern_f32(by_v, N, MANY)}, {"y", quern_f32(by_y, N, 2)})));
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            double d[2] = {x[2 * i] - x[2 * j], x[2 * i + 1] - x[2 * j + 1]}, weight = 0;
            for (int r = 0; r < MANY; r++) weight += (double)(u[i * MANY + r] * v[j * MANY + r]);
            weight *= exp(-(double)p[0] * d[0] * d[0] - (double)p[1] * d[1] * d[1]);
            for (int k = 0; k < 2; k++) {
                expected[k] -= weight * d[k] * d[k];
                if (j == 7) at_y[k] += 2 * weight * (double)p[k] * d[k];
            }
        }
    for (int k = 0; k < 2; k++) {
        assert_true(fabs((double)by_p[k] - expected[k]) < 1e-3);
        assert_true(fabs((double)by_y[14 + k] - at_y[k]) < 1e-4);
    }
    static float product[N * MANY];
    succeed(quern_linear_apply_transpose(a, quern_f32(u, M, MANY), quern_f32(product, N, MANY)));
    for (int e = 0; e < N * MANY; e++) assert_true(by_v[e] == product[e]);
    quern_linear_destroy(&a);
}

static void what_is_wrong_is_told(void **state)
{
    (void)state;
    quern_linear *a = make();
    double out[2 * N];
    float single[N] = {0};
    quern_view v = quern_f64(b, N, R);
    assert_int_equal(quern_linear_gradient(a, v, v, QUERN_ARGS({"z", quern_f64(out, N, 2)})), QUERN_NAME);
    assert_int_equal(quern_linear_gradient(a, v, v, QUERN_ARGS({"shift", quern_f64(out, 1, 1)})), QUERN_NAME);
    assert_int_equal(quern_linear_gradient(a, v, v, QUERN_ARGS({"x", quern_f64(out, 2, N)})), QUERN_SHAPE);
    assert_int_equal(quern_linear_gradient(a, quern_f32(single, N, 1), quern_f64(b, N, 1), QUERN_ARGS()), QUERN_DTYPE);
    assert_int_equal(quern_linear_gradient(a, quern_f64(b, N, 0), quern_f64(b, N, 0), QUERN_ARGS()), QUERN_SHAPE);
    assert_int_equal(quern_linear_gradient(NULL, v, v, QUERN_ARGS()), QUERN_USAGE);
    assert_int_equal(quern_solve_gradient(a, v, quern_f64(c, N, 2), NULL, QUERN_ARGS(), NULL, NULL), QUERN_SHAPE);
    double before = c[5];
    c[5] = NAN;
    assert_int_equal(quern_solve_gradient(a, v, quern_f64(c, N, R), NULL, QUERN_ARGS(), NULL, NULL), QUERN_USAGE);
    c[5] = before;
    quern_linear_destroy(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(solutions_have_derivatives),
        cmocka_unit_test(products_have_derivatives),
        cmocka_unit_test(what_is_wrong_is_told),
    };
    return cmocka_run_group_tests(tests, prepare, close_context);
}
