/*
 * test_transport_partial.c: marginals that cost their total variation (partial transport): what is far apart stays where it is; bounds hold the
 * value in random problems and close; gradients are those of differences; marginals are below the weights.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quern/transport.h"
#include "run_helpers.h"

enum { M = 7, N = 5, DIM = 2 };

typedef struct problem {
    double x[M * DIM], y[N * DIM], a[M], b[N];
    quern_transport_options options;
} problem;

static problem random_problem(uint64_t seed)
{
    random_source random = {seed};
    problem p = {.options = {.size = sizeof p.options, .blur = 0.2, .penalty = QUERN_PENALTY_TV}};
    for (int k = 0; k < M * DIM; k++) p.x[k] = random_between(&random, 0, 1);
    for (int k = 0; k < N * DIM; k++) p.y[k] = random_between(&random, 0.2, 1.5);
    for (int k = 0; k < M; k++) p.a[k] = random_between(&random, 0.1, 0.2);
    for (int k = 0; k < N; k++) p.b[k] = random_between(&random, 0.1, 0.3);
    return p;
}

static quern_transport_result *solve(const problem *p)
{
    quern_transport_result *result;
    succeed(quern_transport(&result, context, quern_f64(p->x, M, DIM), quern_f64(p->a, M, 1), quern_f64(p->y, N, DIM),
                            quern_f64(p->b, N, 1), &p->options));
    return result;
}

static quern_transport_report solved(const problem *p)
{
    quern_transport_result *result = solve(p);
    quern_transport_report report = *quern_transport_report_of(result);
    report.levels = NULL; /* the result's */
    quern_transport_destroy(&result);
    return report;
}

/* Without a blur to speak of: of two points each, what is far apart stays where it is, at rho for either half. */
static void far_points_stay(void **state)
{
    (void)state;
    need_device();
    for (int type = QUERN_F32; type <= QUERN_F64; type++) {
        need_type((quern_dtype)type);
        double wide[] = {0, 10, 0.3, 30}, marginal[2];
        float single[] = {0, 10, 0.3f, 30};
        quern_view x = type == QUERN_F32 ? quern_f32(single, 2, 1) : quern_f64(wide, 2, 1);
        quern_view y = type == QUERN_F32 ? quern_f32(single + 2, 2, 1) : quern_f64(wide + 2, 2, 1);
        quern_transport_options options = {.size = sizeof options, .blur = 0.01, .reach = 1, .cost = "distance"};
        options.penalty = QUERN_PENALTY_TV, options.debias = QUERN_OFF;
        quern_transport_result *result;
        succeed(quern_transport(&result, context, x, (quern_view){0}, y, (quern_view){0}, &options));
        const quern_transport_report *report = quern_transport_report_of(result);
        check_near(report->value, 0.15 + 1, 0.02);
        check_near(report->gap, 0, type == QUERN_F32 ? 1e-4 : 1e-9);
        succeed(quern_transport_read(result, QUERN_MARGINAL_X, quern_f64(marginal, 2, 1)));
        check_near(marginal[0], 0.5, 1e-4);
        check_near(marginal[1], 0, 1e-4);
        quern_transport_destroy(&result);
    }
}

/* With both marginals free, one, or none. */
static void bounds_hold_the_value(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    for (uint64_t k = 0; k < 16; k++) {
        problem p = random_problem(k);
        quern_transport_options *o = &p.options;
        o->debias = k % 2 ? QUERN_OFF : QUERN_ON;
        o->cost = k % 3 ? NULL : "distance";
        o->reach_x = k % 4 == 3 ? 0 : 0.3 + 0.05 * (double)k, o->reach_y = k % 8 == 2 ? 0 : 0.6;
        o->iterations = 2;
        quern_transport_report rough = solved(&p);
        o->iterations = 3000, o->tolerance = 1e-10;
        quern_transport_report fine = solved(&p);
        if (!fine.converged) fail_msg("problem %d: off by %g", (int)k, fine.marginal_error);
        assert_true(rough.lower <= fine.value + 1e-12 && fine.value <= rough.upper + 1e-12);
        check_near(fine.gap, 0, 1e-7);
    }
}

static void gradients(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    for (uint64_t k = 0; k < 3; k++) {
        problem p = random_problem(10 + k);
        p.options.reach_x = 0.35, p.options.reach_y = k == 1 ? 0 : 0.4, p.options.certify = QUERN_OFF;
        p.options.debias = k == 2 ? QUERN_OFF : QUERN_ON, p.options.tolerance = 1e-12, p.options.iterations = 3000;
        const struct {
            quern_transport_part part;
            double *numbers;
            int rows, columns;
        } of[] = {{QUERN_GRADIENT_X, p.x, M, DIM},
                  {QUERN_GRADIENT_Y, p.y, N, DIM},
                  {QUERN_GRADIENT_A, p.a, M, 1},
                  {QUERN_GRADIENT_B, p.b, N, 1}};
        for (size_t n = 0; n < 4; n++)
            for (int e = 0; e < 3; e++) {
                double gradient[M * DIM], h = 1e-5, at = of[n].numbers[e];
                quern_transport_result *result = solve(&p);
                succeed(quern_transport_read(result, of[n].part, quern_f64(gradient, of[n].rows, of[n].columns)));
                quern_transport_destroy(&result);
                of[n].numbers[e] = at + h;
                double up = solved(&p).value;
                of[n].numbers[e] = at - h;
                double down = solved(&p).value;
                of[n].numbers[e] = at;
                check_near(gradient[e], (up - down) / (2 * h), 1e-6);
            }
    }
}

static void one_side_and_nonsense(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    problem p = random_problem(20);
    quern_transport_result *result;
    p.options.reach = 0.5, p.options.debias = QUERN_OFF;
    memset(p.b, 0, sizeof p.b);
    double mass = 0;
    for (int k = 0; k < M; k++) mass += p.a[k];
    check_near(solved(&p).value, 0.25 * mass, 1e-12); /* all of x stays */
    succeed(quern_transport(&result, context, quern_f64(p.x, 0, DIM), (quern_view){0}, quern_f64(p.y, 1, DIM),
                            (quern_view){0}, &p.options));
    check_near(quern_transport_report_of(result)->value, 0.25, 1e-12);
    quern_transport_destroy(&result);
    p.options.schedule = QUERN_SCHEDULE_GEOMLOSS;
    expect_failure(quern_transport(&result, context, quern_f64(p.x, M, DIM), (quern_view){0}, quern_f64(p.y, N, DIM),
                                   (quern_view){0}, &p.options),
                   QUERN_UNSUPPORTED, "no total variation");
    p.options.schedule = QUERN_SCHEDULE_TOLERANCE, p.options.penalty = (quern_transport_penalty)2;
    expect_failure(quern_transport(&result, context, quern_f64(p.x, M, DIM), (quern_view){0}, quern_f64(p.y, N, DIM),
                                   (quern_view){0}, &p.options),
                   QUERN_USAGE, "there is no penalty 2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(far_points_stay), cmocka_unit_test(bounds_hold_the_value),
                                       cmocka_unit_test(gradients), cmocka_unit_test(one_side_and_nonsense)};
    return cmocka_run_group_tests(tests, open_context, close_context);
}
