/*
 * gp.c: the case `gp20k`: the mean of a Gaussian process with a Matern 5/2 kernel at as many points as its values are known at; by the
 * iterative method, which stores no matrix. It is checked against a run of its own in float64 with a far smaller residual.
 */
#include <quern/gp.h>

#include "cases.h"

static quern_status predict(quern_context *context, const bench_problem *problem, double tolerance, quern_view points,
                            quern_view known, quern_view result)
{
    const bench_array *v = bench_array_find(problem, "v");
    const quern_gp_options options = {
        .size = sizeof options, .method = QUERN_GP_ITERATIVE, .tolerance = tolerance, .neighbours = 32};
    quern_gp *gp = NULL;
    quern_status status =
        quern_gp_create(&gp, context, "matern52", known, quern_f64(v->exact, v->rows, 1),
                        QUERN_ARGS({"length", quern_number(0.1)}, {"noise", quern_number(0.1)}), &options);
    if (!status) status = quern_gp_predict(gp, points, result, (quern_view){0});
    quern_gp_destroy(&gp);
    return status;
}

quern_status bench_call_gp(quern_context *context, const bench_problem *problem, void *result)
{
    const bench_array *x = bench_array_find(problem, "x"), *y = bench_array_find(problem, "y");
    return predict(context, problem, 1e-5, quern_f32(x->data, x->rows, 3), quern_f32(y->data, y->rows, 3),
                   quern_f32(result, problem->m, 1));
}

static quern_status find(double *means, quern_context *context, const bench_problem *problem)
{
    const bench_array *x = bench_array_find(problem, "x"), *y = bench_array_find(problem, "y");
    return predict(context, problem, 1e-10, quern_f64(x->exact, x->rows, 3), quern_f64(y->exact, y->rows, 3),
                   quern_f64(means, problem->m, 1));
}

void bench_row_gp(const bench_problem *problem, int64_t i, double *result)
{
    *result = bench_found(problem, i, problem->m, find);
}
