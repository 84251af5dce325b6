/*
 * test_transport_geomloss.c: values beside those of GeomLoss 0.3.1 (PyTorch 2.15, float64, backend "tensorized"), which were printed
 * once; findings/geomloss_values.sh has where it is wrong.
 */
#include <math.h>

#include "quern/transport.h"
#include "run_helpers.h"

enum { M = 60, N = 50 };
static double x[M * 3], y[N * 3], a[M], b[N];

/* Points that fill a box evenly, and weights that differ. */
static void fill(double *points, double *weights, int count, double offset, double side, double (*wave)(double))
{
    static const double steps[] = {0.8191725134, 0.6710436067, 0.5497004779};
    double mass = 0;
    for (int k = 0; k < 3 * count; k++) points[k] = offset + side * fmod(0.5 + k / 3 * steps[k % 3], 1);
    for (int k = 0; k < count; k++) mass += weights[k] = 1 + 0.5 * wave(k);
    for (int k = 0; k < count; k++) weights[k] /= mass;
}

static int open_clouds(void **state)
{
    fill(x, a, M, 0, 1, sin);
    fill(y, b, N, 0.3, 0.8, cos);
    return open_context(state);
}

/* Of the box of both clouds. */
static double box_diagonal(void)
{
    double sum = 0;
    for (int d = 0; d < 3; d++) {
        double low = INFINITY, high = -INFINITY;
        for (int k = 0; k < M; k++) low = fmin(low, x[3 * k + d]), high = fmax(high, x[3 * k + d]);
        for (int k = 0; k < N; k++) low = fmin(low, y[3 * k + d]), high = fmax(high, y[3 * k + d]);
        sum += (high - low) * (high - low);
    }
    return sqrt(sum);
}

static double value(const quern_transport_options *options)
{
    quern_transport_result *result;
    succeed(quern_transport(&result, context, quern_f64(x, M, 3), quern_f64(a, M, 1), quern_f64(y, N, 3),
                            quern_f64(b, N, 1), options));
    double got = quern_transport_report_of(result)->value;
    quern_transport_destroy(&result);
    return got;
}

/* GeomLoss's |x-y|, which is 1e-4 for x = y. */
#define DISTANCE "Sqrt(IfElse(SqDist(x,y)-1e-8,SqDist(x,y),1e-8))"

/* The same schedule gives the same value, though it is far from the solution. */
static void the_schedule_of_geomloss(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    static const struct {
        const char *cost;
        double reach;
        quern_switch debias;
        double scaling, value;
    } rows[] = {
        {"sqdist", 0, QUERN_ON, 0.5, 0.0804475969797098},    {"sqdist", 0, QUERN_ON, 0.9, 0.0808332436161231},
        {"sqdist", 0, QUERN_OFF, 0.5, 0.117145499391772},    {"sqdist", 0, QUERN_OFF, 0.9, 0.117216342802633},
        {"sqdist", 0.5, QUERN_ON, 0.5, 0.0468538663694832},  {"sqdist", 0.5, QUERN_ON, 0.9, 0.0507108484429861},
        {"sqdist", 0.5, QUERN_OFF, 0.5, 0.0818471066705221}, {"sqdist", 0.5, QUERN_OFF, 0.9, 0.0857224142693116},
        {DISTANCE, 0, QUERN_ON, 0.5, 0.232742711980236},     {DISTANCE, 0, QUERN_ON, 0.9, 0.233491695052824},
        {DISTANCE, 0, QUERN_OFF, 0.5, 0.571442533359634},    {DISTANCE, 0, QUERN_OFF, 0.9, 0.57188322456847},
        {DISTANCE, 0.5, QUERN_ON, 0.5, 0.127902196188451},   {DISTANCE, 0.5, QUERN_ON, 0.9, 0.128387967158854},
        {DISTANCE, 0.5, QUERN_OFF, 0.5, 0.417255197760889},  {DISTANCE, 0.5, QUERN_OFF, 0.9, 0.418432080566606},
    };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        const quern_transport_options options = {.size = sizeof options,
                                                 .cost = rows[k].cost,
                                                 .blur = 0.1,
                                                 .diameter = box_diagonal(),
                                                 .reach = rows[k].reach,
                                                 .debias = rows[k].debias,
                                                 .scaling = rows[k].scaling,
                                                 .schedule = QUERN_SCHEDULE_GEOMLOSS};
        double got = value(&options);
        if (!(fabs(got - rows[k].value) < 1e-11)) fail_msg("row %zu: %.15g, not %.15g", k, got, rows[k].value);
        quern_transport_options certified = options;
        certified.certify = QUERN_ON; /* bounds, and the same value */
        assert_true(value(&certified) == got);
    }
}

static void kernel_norms_of_geomloss(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    static const double values[] = {[QUERN_LOSS_GAUSSIAN] = 0.0731254088339676,
                                    [QUERN_LOSS_LAPLACIAN] = 0.0494302424429781,
                                    [QUERN_LOSS_ENERGY] = 0.101204410005479};
    static const char *const kernels[] = {[QUERN_LOSS_GAUSSIAN] = "Exp(-SqDist(x,y)/0.18)",
                                          [QUERN_LOSS_LAPLACIAN] =
                                              "Exp(-Sqrt(IfElse(SqDist(x,y)-9e-10,SqDist(x,y),9e-10)/0.09))",
                                          [QUERN_LOSS_ENERGY] = "-" DISTANCE};
    for (int loss = QUERN_LOSS_GAUSSIAN; loss <= QUERN_LOSS_ENERGY; loss++) {
        const quern_transport_options options = {
            .size = sizeof options, .loss = QUERN_LOSS_KERNEL, .kernel = kernels[loss], .blur = 0.3};
        assert_true(fabs(value(&options) - values[loss]) < 1e-13);
    }
}

/* GeomLoss's steps make divergences negative where the blur is larger than the clouds; at the optimum none is. */
static void divergences_are_not_negative(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    random_source random = {1};
    double u[] = {1, 1}, v[] = {1.5, 0.5}, p[] = {0.8, 0.2}, q[] = {0.5, 0.5};
    quern_transport_options options = {
        .size = sizeof options, .blur = 3, .reach = 2, .schedule = QUERN_SCHEDULE_GEOMLOSS};
    for (int k = 0; k < 12; k++) {
        quern_transport_result *result;
        succeed(quern_transport(&result, context, quern_f64(u, 2, 1), quern_f64(p, 2, 1), quern_f64(v, 2, 1),
                                quern_f64(q, 2, 1), &options));
        double got = quern_transport_report_of(result)->value;
        if (k == 0) check_near(got, -0.0010595678170289835, 1e-13);
        else assert_true(got >= 0);
        if (k == 1) check_near(got, 0.00216691585, 1e-9);
        quern_transport_destroy(&result);
        options.schedule = QUERN_SCHEDULE_TOLERANCE, options.tolerance = 1e-9;
        if (k == 0) continue; /* the same at its optimum; then others */
        options.reach = 0.1 * (k + 1);
        for (int n = 0; n < 2; n++) {
            u[n] = random_between(&random, 0, 1), v[n] = random_between(&random, 0, 1);
            p[n] = random_between(&random, 0, 1), q[n] = random_between(&random, 0, 9);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_schedule_of_geomloss),
                                       cmocka_unit_test(kernel_norms_of_geomloss),
                                       cmocka_unit_test(divergences_are_not_negative)};
    return cmocka_run_group_tests(tests, open_clouds, close_context);
}
