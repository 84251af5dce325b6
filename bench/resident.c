/*
 * resident.c: a problem whose arrays stay on the device.
 */
#include <string.h>

#include "cases.h"

bool bench_resident_create(bench_resident *out, quern_context *context, const bench_problem *problem)
{
    *out = (bench_resident){.context = context};
    bool ok = !quern_array_create(&out->result, context, problem->result_type, problem->m, problem->columns);
    for (size_t k = 0; ok && k < problem->count; k++) {
        ok = !quern_array_from(&out->arrays[k], context, problem->args[k].view);
        if (ok) out->args[k] = (quern_arg){problem->args[k].name, quern_array_view(out->arrays[k])};
    }
    return ok;
}

void bench_resident_destroy(bench_resident *resident)
{
    for (size_t k = 0; k < BENCH_VARIABLES; k++) quern_array_destroy(&resident->arrays[k]);
    quern_array_destroy(&resident->result);
}

quern_status bench_formula_run(quern_operator *op, const bench_problem *problem, const quern_arg *args,
                               quern_view result)
{
    quern_run_options options = QUERN_DEFAULTS(quern_run_options);
    options.pruning = problem->which->pruning;
    return quern_run_with(op, (quern_args){.data = args, .count = problem->count}, (quern_outs){&result, 1}, &options);
}

quern_status bench_resident_run(const bench_resident *resident, quern_operator *op, const bench_problem *problem,
                                int calls)
{
    quern_status status = QUERN_OK;
    for (int k = 0; k < calls && !status; k++)
        status = bench_formula_run(op, problem, resident->args, quern_array_view(resident->result));
    return status ? status : quern_wait(resident->context);
}

quern_status bench_resident_read(const bench_resident *resident, const bench_problem *problem, void *result)
{
    return quern_array_read(resident->result,
                            quern_view_of(result, problem->result_type, problem->m, problem->columns));
}
