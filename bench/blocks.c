/*
 * blocks.c: the cases `ranges` and `batch`: a Gaussian sum over one pair in a hundred, and many small ones in one run; with
 * their peers in this program, the same sums over all pairs, and call by call. In `ranges` the blocks are so far apart that
 * what is left out is 0, so both have one result.
 */
#include <math.h>
#include <quern/space.h>
#include <stdlib.h>

#include "cases.h"

enum { BLOCKS = 100, MEMBER = 100 /* rows and columns of a problem of the batch */ };

/* The operator of the formula, of the context of the first call. */
static quern_status compile(quern_operator **out, quern_context *context, const bench_problem *problem)
{
    static quern_operator *op;
    quern_status status = op ? QUERN_OK : quern_compile(&op, context, problem->which->formula, NULL);
    *out = op;
    return status;
}

quern_status bench_call_ranges(quern_context *context, const bench_problem *problem, void *result)
{
    static quern_span spans[BLOCKS];
    static int64_t first[BLOCKS + 1];
    const quern_ranges ranges = {BLOCKS, spans, first, spans};
    const quern_run_options options = {.size = sizeof options, .ranges = &ranges};
    const quern_args args = {.data = problem->args, .count = problem->count};
    const quern_view view = quern_view_of(result, problem->result_type, problem->m, problem->columns);
    quern_operator *op;
    for (int k = 0; k < BLOCKS; k++) {
        spans[k] = (quern_span){problem->m * k / BLOCKS, problem->m * (k + 1) / BLOCKS};
        first[k + 1] = k + 1;
    }
    const quern_status status = compile(&op, context, problem);
    return status ? status : quern_run_with(op, args, (quern_outs){&view, 1}, &options);
}

void bench_fill_blocks(double *values, int64_t count, uint64_t seed)
{
    const int64_t block = count / BLOCKS > 0 ? count / BLOCKS : 1;
    bench_fill_uniform(values, count, seed);
    for (int64_t k = 0; k < count && seed < 3; k++)
        values[k] += 32 * (double)(k / block); /* x and y, not the weights */
}

/* ---- a batch ---------------------------------------------------------------------------------------------------- */

static quern_view member_of(quern_view view, int64_t b)
{
    view.rows = MEMBER;
    view.data = (char *)view.data + (size_t)(b * MEMBER * view.columns) * bench_element_size(view.dtype);
    return view;
}

quern_status bench_call_batch(quern_context *context, const bench_problem *problem, void *result)
{
    quern_arg args[BENCH_VARIABLES];
    const quern_view all = quern_view_of(result, problem->result_type, problem->m, problem->columns);
    const int64_t members = problem->m / MEMBER;
    quern_operator *op;
    for (size_t v = 0; v < problem->count; v++)
        args[v] = (quern_arg){problem->args[v].name, quern_in_batch(member_of(problem->args[v].view, 0), members)};
    const quern_status status = compile(&op, context, problem);
    if (status) return status;
    return quern_run(op, (quern_args){args, problem->count, 0, 0}, quern_in_batch(member_of(all, 0), members));
}

quern_status bench_call_loop(quern_context *context, const bench_problem *problem, void *result)
{
    quern_arg args[BENCH_VARIABLES];
    const quern_view all = quern_view_of(result, problem->result_type, problem->m, problem->columns);
    quern_operator *op;
    quern_status status = compile(&op, context, problem);
    for (int64_t b = 0; b < problem->m / MEMBER && !status; b++) {
        for (size_t v = 0; v < problem->count; v++)
            args[v] = (quern_arg){problem->args[v].name, member_of(problem->args[v].view, b)};
        status = quern_run(op, (quern_args){args, problem->count, 0, 0}, member_of(all, b));
    }
    return status;
}

void bench_row_batch(const bench_problem *problem, int64_t i, double *result)
{
    const double *x = bench_array_find(problem, "x")->exact, *y = bench_array_find(problem, "y")->exact,
                 *b = bench_array_find(problem, "b")->exact;
    const int64_t from = i / MEMBER * MEMBER;
    *result = 0;
    for (int64_t j = from; j < from + MEMBER; j++) {
        double sum = 0;
        for (int d = 0; d < 3; d++) sum += (x[3 * i + d] - y[3 * j + d]) * (x[3 * i + d] - y[3 * j + d]);
        *result += exp(-sum) * b[j];
    }
}
