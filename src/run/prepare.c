/*
 * prepare.c: programs built ahead of the runs that need them. Many drivers compile again, or first of all, when a kernel
 * is launched, so they are launched too: on arrays of one row, with the plan of the sizes that are asked for.
 */
#include <stdlib.h>

#include "run/run.h"

/* Numbers of the longest row of a variable or result. */
static size_t longest_row(const quern_operator *op)
{
    int64_t most = 1;
    for (size_t v = 0; v < op->variable_count; v++)
        if (quern_variable(op, v).dim > most) most = quern_variable(op, v).dim;
    for (size_t r = 0; r < op->result_count; r++)
        if (quern_result(op, r).dim > most) most = quern_result(op, r).dim;
    return (size_t)most;
}

/* One row of zeros for every variable, and room for every result in the same place. */
static quern_status launch(quern_operator *op, quern_dtype dtype, int64_t M, int64_t N, double *zeros, double *room)
{
    quern_view variables[Q_MAX_VARIABLES], results[Q_MAX_RESULTS];
    for (size_t v = 0; v < op->variable_count; v++)
        variables[v] = quern_view_of(zeros, dtype, 1, quern_variable(op, v).dim);
    for (size_t r = 0; r < op->result_count; r++) {
        quern_value value = quern_result(op, r);
        results[r] = quern_view_of(room, value.integer ? QUERN_I64 : dtype, 1, value.dim);
    }
    return q_launch(&(q_run){op, op->build, 1, 1, M, N, dtype, variables, results, NULL, 1, NULL});
}

quern_status quern_prepare(quern_operator *op, quern_dtype dtype, int64_t M, int64_t N)
{
    if (!op) return q_fail_null("quern_prepare", "the operator");
    if (!op->context) return q_fail(QUERN_USAGE, "this operator was compiled without a context and cannot run");
    Q_TRY(q_session_check(op->context->session));
    if (M < 0 || N < 0) return q_fail(QUERN_SHAPE, "quern_prepare: M or N is negative");
    if (dtype == QUERN_I64) return q_fail(QUERN_USAGE, "quern_prepare: the element type is float32 or float64");
    size_t count = longest_row(op);
    double *zeros = calloc(count, sizeof *zeros), *room = calloc(count, sizeof *room);
    quern_status status = zeros && room ? QUERN_OK : q_fail_memory(count * sizeof *zeros);
    if (!status) status = launch(op, dtype ? dtype : QUERN_F32, M, N, zeros, room);
    free(zeros);
    free(room);
    return status;
}
