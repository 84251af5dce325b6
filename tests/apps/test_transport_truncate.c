/*
 * test_transport_truncate.c: blocks of the plan that are left out: the solution is that of all pairs, whatever the cost, the reach and the
 * weights, and every array of it stands in the caller's order; the interval holds the value of all pairs, however much may be left out.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quern/transport.h"
#include "run_helpers.h"

enum { M = 500, N = 444, DIM = 2 };
static double x[M * DIM], y[N * DIM], a[M], b[N];

static int open_clouds(void **state)
{
    random_source random = {1};
    double mass[2] = {0, 0};
    for (int k = 0; k < M; k++) {
        double angle = random_between(&random, 0, 6.28);
        x[2 * k] = cos(angle), x[2 * k + 1] = sin(angle);
        mass[0] += a[k] = k % 7 ? random_between(&random, 0.1, 1) : 0;
    }
    for (int k = 0; k < N; k++) {
        double angle = random_between(&random, 0, 6.28);
        y[2 * k] = 0.4 + 1.3 * cos(angle), y[2 * k + 1] = 0.8 * sin(angle);
        mass[1] += b[k] = random_between(&random, 0.1, 1);
    }
    memcpy(y + 60, y + 10, 40 * sizeof *y); /* points that are alike */
    for (int k = 0; k < M; k++) a[k] /= mass[0];
    for (int k = 0; k < N; k++) b[k] /= mass[1];
    return open_context(state);
}

static quern_transport_result *solve(quern_switch truncation, quern_transport_options options)
{
    quern_transport_result *result;
    options.size = sizeof options, options.truncation = truncation;
    if (!(options.blur > 0)) options.blur = 0.05;
    succeed(quern_transport(&result, context, quern_f64(x, M, DIM), quern_f64(a, M, 1), quern_f64(y, N, DIM),
                            quern_f64(b, N, 1), &options));
    return result;
}

static void same(const double *got, const double *expected, int count, double tolerance)
{
    for (int k = 0; k < count; k++)
        if (!(fabs(got[k] - expected[k]) <= tolerance)) fail_msg("%d: %.12g is not %.12g", k, got[k], expected[k]);
}

static const struct part {
    quern_transport_part part;
    int rows, columns;
} parts[] = {{QUERN_POTENTIAL_X, M, 1},  {QUERN_SELF_POTENTIAL_Y, N, 1}, {QUERN_GRADIENT_X, M, DIM},
             {QUERN_GRADIENT_Y, N, DIM}, {QUERN_GRADIENT_A, M, 1},       {QUERN_GRADIENT_B, N, 1},
             {QUERN_MARGINAL_Y, N, 1},   {QUERN_MAP_X, M, DIM},          {QUERN_MAP_Y, N, DIM}};

static void same_parts(quern_transport_result *few, quern_transport_result *all)
{
    double got[N * M], expected[N * M];
    int64_t places[M], right[M];
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
        const struct part *p = &parts[k];
        succeed(quern_transport_read(few, p->part, quern_f64(got, p->rows, p->columns)));
        succeed(quern_transport_read(all, p->part, quern_f64(expected, p->rows, p->columns)));
        same(got, expected, p->rows * p->columns, 1e-6);
    }
    succeed(quern_transport_read(few, QUERN_ASSIGNMENT_X, quern_i64(places, M, 1)));
    succeed(quern_transport_read(all, QUERN_ASSIGNMENT_X, quern_i64(right, M, 1)));
    for (int k = 0; k < M; k++) /* of points that are alike either one */
        if (places[k] != right[k]) assert_true(y[2 * places[k]] == y[2 * right[k]]);
    succeed(quern_transport_apply(few, false, quern_f64(y, N, DIM), quern_f64(got, M, DIM)));
    succeed(quern_transport_apply(all, false, quern_f64(y, N, DIM), quern_f64(expected, M, DIM)));
    same(got, expected, M * DIM, 1e-8);
    succeed(quern_transport_apply(few, true, quern_f64(x, M, DIM), quern_f64(got, N, DIM)));
    succeed(quern_transport_apply(all, true, quern_f64(x, M, DIM), quern_f64(expected, N, DIM)));
    same(got, expected, N * DIM, 1e-8);
    succeed(quern_transport_rows(few, 100, 3, quern_f64(got, 3, N)));
    succeed(quern_transport_rows(all, 100, 3, quern_f64(expected, 3, N)));
    same(got, expected, 3 * N, 1e-8);
}

static void the_solution_is_that_of_all_pairs(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    static const quern_transport_options kinds[] = {
        {.tolerance = 1e-7, .blur = 0.1},
        {.tolerance = 1e-7, .reach = 0.4},
        {.tolerance = 1e-7, .reach_x = 0.4},
        {.tolerance = 1e-7, .truncate = 1e-7, .cost = "distance", .blur = 0.02, .reach = 0.2}};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        quern_transport_result *few = solve(QUERN_ON, kinds[k]), *all = solve(QUERN_OFF, kinds[k]);
        const quern_transport_report *p = quern_transport_report_of(few), *q = quern_transport_report_of(all);
        assert_true(p->converged && q->converged);
        assert_true(p->touched < 0.5 && p->skipped > 0 && p->skipped <= 1e-7);
        assert_true(q->touched == 1 && q->skipped == 0);
        same(&p->value, &q->value, 1, 1e-8);
        same(&p->lower, &q->lower, 1, 1e-7), same(&p->upper, &q->upper, 1, 1e-7), same(&p->cost, &q->cost, 1, 1e-7);
        same_parts(few, all);
        quern_transport_destroy(&few), quern_transport_destroy(&all);
    }
}

/* However much is left out, and however early the solver stops. */
static void the_interval_holds_the_value_of_all_pairs(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    static const double reaches[] = {0, 0.4}, tolerances[] = {0.1, 1e-3}, budgets[] = {0.1, 0.01, 1e-4};
    for (int r = 0; r < 2; r++) {
        quern_transport_options options = {.tolerance = 1e-10, .reach = reaches[r], .debias = QUERN_OFF};
        quern_transport_result *all = solve(QUERN_OFF, options);
        double right = quern_transport_report_of(all)->value, touched = 0;
        for (int k = 0; k < 6; k++) {
            options.tolerance = tolerances[k % 2], options.truncate = budgets[k / 2];
            quern_transport_result *few = solve(QUERN_ON, options);
            const quern_transport_report *p = quern_transport_report_of(few);
            assert_true(p->lower <= right && right <= p->upper && p->lower <= p->value);
            assert_true(p->touched < 0.5 && p->skipped <= budgets[k / 2]);
            if (k % 2 == 0) assert_true(p->touched >= touched), touched = p->touched;
            quern_transport_destroy(&few);
        }
        quern_transport_destroy(&all);
    }
}

/* A formula's costs are bounded by intervals: one that is as good as `sqdist`, between spaces that are not alike, and one of which nothing is
   known. */
static void formulas_are_costs(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    static const struct {
        const char *cost;
        double power;
        bool bounded;
    } rows[] = {{"0.5*SqDist(x,y)", 2, true},
                {"SqDist(x,Concat(y,Elem(y,0)))", 2, true},
                {"SqDist(x,y)+1/(Elem(x,0)-Elem(x,0)+1)", 1, false}};
    static double flat[3 * M];
    for (int k = 0; k < M; k++) flat[3 * k] = x[2 * k], flat[3 * k + 1] = x[2 * k + 1], flat[3 * k + 2] = x[2 * k];
    for (int k = 0; k < 3; k++) {
        int dim = k == 1 ? 3 : DIM;
        quern_transport_options options = {.size = sizeof options, .debias = QUERN_OFF, .cost = rows[k].cost};
        options.power = rows[k].power, options.tolerance = 1e-7, options.blur = k == 2 ? 0.01 : 0.1;
        double values[2];
        for (int few = 0; few < 2; few++) {
            quern_transport_result *result;
            options.truncation = few ? QUERN_ON : QUERN_OFF;
            succeed(quern_transport(&result, context, quern_f64(k == 1 ? flat : x, M, dim), quern_f64(a, M, 1),
                                    quern_f64(y, N, DIM), quern_f64(b, N, 1), &options));
            const quern_transport_report *p = quern_transport_report_of(result);
            assert_true(p->converged && p->skipped <= 2.5e-8);
            assert_true(few && rows[k].bounded ? p->touched < 0.5 : few ? p->touched <= 1 : p->touched == 1);
            values[few] = p->value;
            quern_transport_destroy(&result);
        }
        same(&values[1], &values[0], 1, 1e-8);
    }
}

/* A start that is far from a solution leaves out nearly all at first. */
static void any_start_will_do(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    double f[M], g[N];
    quern_transport_options options = {.tolerance = 1e-6, .debias = QUERN_OFF};
    quern_transport_result *all = solve(QUERN_OFF, options);
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < M; i++) f[i] = k == 0 ? 0 : -10 * x[2 * i];
        for (int j = 0; j < N; j++) g[j] = k == 0 ? 0 : -5;
        if (k == 2) {
            succeed(quern_transport_read(all, QUERN_POTENTIAL_X, quern_f64(f, M, 1)));
            succeed(quern_transport_read(all, QUERN_POTENTIAL_Y, quern_f64(g, N, 1)));
        }
        options.start_x = quern_f64(f, M, 1), options.start_y = quern_f64(g, N, 1);
        quern_transport_result *few = solve(QUERN_ON, options);
        const quern_transport_report *p = quern_transport_report_of(few);
        assert_true(p->converged && p->skipped <= 1e-7 && (k < 2 || p->iterations < 10));
        same(&p->value, &quern_transport_report_of(all)->value, 1, 1e-6);
        quern_transport_destroy(&few);
    }
    quern_transport_destroy(&all);
}

static void few_points_and_nonsense(void **state)
{
    (void)state;
    need_device();
    float points[] = {0, 0, 1, 0, 0, 3};
    quern_transport_options options = {.size = sizeof options, .truncation = QUERN_ON};
    quern_transport_result *result;
    for (int m = 0; m < 4; m++) {
        quern_view view = quern_f32(points, m, 2);
        succeed(quern_transport(&result, context, view, (quern_view){0}, view, (quern_view){0}, &options));
        assert_true(fabs(quern_transport_report_of(result)->value) < 1e-6);
        quern_transport_destroy(&result);
    }
    options.truncate = 0.5;
    expect_failure(quern_transport(&result, context, quern_f32(points, 3, 2), (quern_view){0}, quern_f32(points, 3, 2),
                                   (quern_view){0}, &options),
                   QUERN_USAGE, "truncate is 0.5; it must be between 0 and 0.1");
    float broken[64 * 2] = {NAN};
    options.truncate = 0;
    expect_failure(quern_transport(&result, context, quern_f32(broken, 64, 2), (quern_view){0}, quern_f32(points, 3, 2),
                                   (quern_view){0}, &options),
                   QUERN_USAGE, "x has NaN or infinite coordinates");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_solution_is_that_of_all_pairs),
        cmocka_unit_test(the_interval_holds_the_value_of_all_pairs),
        cmocka_unit_test(formulas_are_costs),
        cmocka_unit_test(any_start_will_do),
        cmocka_unit_test(few_points_and_nonsense),
    };
    return cmocka_run_group_tests(tests, open_clouds, close_context);
}
