/*
 * devices.c: the case `two-devices`: the Gaussian sum shared by two sub-devices of one core each, and its peer `one`: the same
 * rows by each of the two alone, half by the one and then half by the other. A repetition of the
 * case is two calls, and the peer does the work of one: so its time is what a call takes at the sum of their speeds alone.
 */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <quern/array.h>
#include <quern/devices.h>
#include <stdio.h>

#include "cases.h"

enum { MOST_UNITS = 256 };

/* Opened by the first call. */
static quern_context *both[2];
static quern_operator *op;

/* A context of one compute unit. */
static bool part_open(quern_context **out, cl_device_id part)
{
    cl_context own = clCreateContext(NULL, 1, &part, NULL, NULL, NULL);
    cl_command_queue queue = own ? clCreateCommandQueue(own, part, 0, NULL) : NULL;
    const quern_context_options options = {.size = sizeof options, .opencl_queue = queue};
    const bool ok = queue && !quern_context_create(out, &options);
    if (queue) clReleaseCommandQueue(queue);
    if (own) clReleaseContext(own);
    return ok;
}

/* The first two compute units of the device of `context`. */
static bool parts_open(quern_context *context, const bench_problem *problem)
{
    const cl_device_partition_property one_each[] = {CL_DEVICE_PARTITION_EQUALLY, 1, 0};
    cl_device_id whole, parts[MOST_UNITS];
    cl_uint count = 0;
    clGetCommandQueueInfo(quern_context_opencl_queue(context), CL_QUEUE_DEVICE, sizeof whole, &whole, NULL);
    clGetDeviceInfo(whole, CL_DEVICE_PARTITION_MAX_SUB_DEVICES, sizeof count, &count, NULL);
    if (count < 2 || clCreateSubDevices(whole, one_each, MOST_UNITS, parts, &count) || count < 2)
        return fprintf(stderr, "quern-bench: the device has no two sub-devices\n"), false;
    for (size_t k = 0; k < 2; k++)
        if (!part_open(&both[k], parts[k])) return false;
    return !quern_compile(&op, both[0], problem->which->formula, NULL);
}

quern_status bench_call_devices(quern_context *context, const bench_problem *problem, void *result)
{
    const quern_args args = {.data = problem->args, .count = problem->count};
    const quern_view view = quern_view_of(result, problem->result_type, problem->m, problem->columns);
    if (!op && !parts_open(context, problem)) return QUERN_UNSUPPORTED;
    return quern_run_on(op, both, 2, args, (quern_outs){&view, 1});
}

/* Rows from `from` to `to`, of x and of the result. */
static quern_view rows_of(quern_view view, int64_t from, int64_t to)
{
    view.data = (char *)view.data + (size_t)(from * view.columns) * bench_element_size(view.dtype);
    view.rows = to - from;
    return view;
}

bool bench_run_alone(const bench_problem *problem, void *result)
{
    const quern_view all = quern_view_of(result, problem->result_type, problem->m, problem->columns);
    bool ok = op != NULL;
    for (int64_t k = 0; k < 2 && ok; k++) {
        const int64_t from = problem->m * k / 2, to = problem->m * (k + 1) / 2;
        const quern_view part = rows_of(all, from, to);
        quern_arg args[BENCH_VARIABLES];
        for (size_t v = 0; v < problem->count; v++) {
            args[v] = problem->args[v];
            if (problem->arrays[v].what.axis == 'i') args[v].view = rows_of(args[v].view, from, to);
        }
        ok = !quern_run_in(op, both[k], (quern_args){.data = args, .count = problem->count}, (quern_outs){&part, 1});
    }
    return ok;
}
