/*
 * test_transport_large.c: clouds that begin with clusters: the same solution in fewer steps over all pairs, unbalanced too, and with
 * points that are alike; and a cost beside an exact solver's.
 */
#include <math.h>
#include <stdlib.h>

#include "quern/transport.h"
#include "run_helpers.h"

enum { MANY = 2100, FEW = 1900, DIM = 3 };
static float x[MANY * DIM], y[MANY * DIM];

static int open_clouds(void **state)
{
    random_source random = {1};
    for (int k = 0; k < MANY * DIM; k++) {
        x[k] = (float)random_between(&random, 0, 1);
        y[k] = (float)(0.2 + pow(random_between(&random, 0, 1), 2));
    }
    return open_context(state);
}

/* With a gap of 2 %; those of the last temperature are added to *steps. */
static quern_transport_report solved(int M, double reach, const char *cost, int *steps)
{
    const quern_transport_options options = {.size = sizeof options,
                                             .blur = 0.1,
                                             .reach = reach,
                                             .gap = 0.02,
                                             .debias = QUERN_OFF,
                                             .cost = cost,
                                             .power = 2};
    quern_transport_result *result;
    succeed(quern_transport(&result, context, quern_f32(x, M, DIM), (quern_view){0}, quern_f32(y, M, DIM),
                            (quern_view){0}, &options));
    quern_transport_report report = *quern_transport_report_of(result);
    *steps = 0;
    for (size_t k = 0; k < report.level_count; k++) *steps += report.levels[k].M == M ? report.levels[k].iterations : 0;
    assert_int_equal(report.levels[0].M, M < 2000 ? M : (M + 7) / 8);
    assert_true(report.converged && report.gap <= 0.02 * report.value);
    assert_true(report.lower <= report.value && report.value <= report.upper);
    report.levels = NULL;
    quern_transport_destroy(&result);
    return report;
}

static void clusters_save_steps(void **state)
{
    (void)state;
    need_device();
    for (int k = 0; k < 2; k++) {
        int many, few;
        quern_transport_report large = solved(MANY, k ? 0.5 : 0, NULL, &many),
                               small = solved(FEW, k ? 0.5 : 0, NULL, &few);
        assert_true(2 * many <= few);
        assert_true(fabs(large.value - small.value) < 0.05 * small.value); /* nearly the same clouds */
        if (k) continue;
        quern_transport_report formula = solved(MANY, 0, "0.5*SqDist(x,y)", &few);
        assert_true(few <= 2 * many && fabs(formula.value - large.value) < 0.02 * large.value);
    }
}

static void points_that_are_alike_or_weigh_nothing(void **state)
{
    (void)state;
    need_device();
    float *same = calloc(MANY * DIM, sizeof *same), *half = calloc(MANY, sizeof *half);
    for (int k = MANY / 2; k < MANY; k++) half[k] = 2.0f / MANY; /* clusters of weight 0 among the others */
    quern_transport_result *result;
    succeed(quern_transport(&result, context, quern_f32(same, MANY, DIM), quern_f32(half, MANY, 1),
                            quern_f32(same, MANY, DIM), quern_f32(half, MANY, 1), NULL));
    assert_true(fabs(quern_transport_report_of(result)->value) < 1e-7);
    quern_transport_destroy(&result);
    succeed(quern_transport(&result, context, quern_f32(x, MANY, DIM), quern_f32(half, MANY, 1),
                            quern_f32(y, MANY, DIM), (quern_view){0}, NULL));
    assert_true(quern_transport_report_of(result)->converged && quern_transport_report_of(result)->value > 0);
    quern_transport_destroy(&result);
    free(same), free(half);
}

/* The plan at a small blur costs what an exact solver says (POT 0.9.7's emd2), and a bit more, since no plan costs less. */
static void beside_an_exact_solver(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    enum { N = 400 };
    static double u[N * DIM], v[N * DIM];
    static const double exact[] = {0.08263157045623791, 0.385778128109872}, axes[] = {0.3, 0.45, 0.2};
    for (int k = 0; k < N; k++) {
        double z = 1 - 2 * (k + 0.5) / N, r = sqrt(1 - z * z), p = k * 2.399963229728653, q = k * 1.7;
        const double first[] = {r * cos(p), r * sin(p), z}, second[] = {r * cos(q), r * sin(q), z};
        for (int d = 0; d < DIM; d++) u[DIM * k + d] = 0.5 * first[d], v[DIM * k + d] = axes[d] * second[d] + 0.2;
    }
    for (int k = 0; k < 2; k++) {
        quern_transport_options options = {.size = sizeof options, .debias = QUERN_OFF, .blur = k ? 0.002 : 0.006};
        options.cost = k ? "distance" : "sqdist", options.gap = 1e-4;
        quern_transport_result *result;
        succeed(quern_transport(&result, context, quern_f64(u, N, DIM), (quern_view){0}, quern_f64(v, N, DIM),
                                (quern_view){0}, &options));
        const quern_transport_report *report = quern_transport_report_of(result);
        assert_true(report->converged && report->iterations < 1000);
        if (!(report->cost > exact[k] * (1 - 1e-9) && report->cost < exact[k] * 1.004))
            fail_msg("%.9g beside %.9g", report->cost, exact[k]);
        quern_transport_destroy(&result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(clusters_save_steps), cmocka_unit_test(beside_an_exact_solver),
                                       cmocka_unit_test(points_that_are_alike_or_weigh_nothing)};
    return cmocka_run_group_tests(tests, open_clouds, close_context);
}
