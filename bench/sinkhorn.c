/*
 * sinkhorn.c: the cases `sinkhorn10k`, `sinkhorn100k` and `sinkhorn-bunny`: the Sinkhorn divergence of two surfaces, with an interval of 1 % that is
 * certain to hold it. The result is the value, once for each row. It is checked against a run of its own with an interval of
 * 0.2 %, in the same type: no reference in float64 is near that size.
 */
#include <quern/transport.h>

#include "cases.h"

static quern_status value_within(double *value, quern_context *context, const bench_problem *problem, double gap)
{
    const quern_transport_options options = {.size = sizeof options, .blur = 0.05, .gap = gap};
    const bench_array *x = bench_array_find(problem, "x"), *y = bench_array_find(problem, "y");
    quern_transport_result *result = NULL;
    const quern_view none = {0};
    const quern_status status = quern_transport(&result, context, quern_f32(x->data, x->rows, 3), none,
                                                quern_f32(y->data, y->rows, 3), none, &options);
    if (!status) *value = quern_transport_report_of(result)->value;
    if (!status && !(quern_transport_report_of(result)->gap <= gap * *value)) *value = -1; /* an error of more than 1 */
    quern_transport_destroy(&result);
    return status;
}

quern_status bench_call_sinkhorn(quern_context *context, const bench_problem *problem, void *result)
{
    double value;
    const quern_status status = value_within(&value, context, problem, 0.01);
    for (int64_t i = 0; i < problem->m && !status; i++) ((float *)result)[i] = (float)value;
    return status;
}

static quern_status find(double *value, quern_context *context, const bench_problem *problem)
{
    return value_within(value, context, problem, 0.002);
}

void bench_row_sinkhorn(const bench_problem *problem, int64_t i, double *result)
{
    (void)i;
    *result = bench_found(problem, 0, 1, find);
}
