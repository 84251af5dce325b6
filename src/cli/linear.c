/*
 * linear.c: formulas that are linear in a vector, which they do not declare, as operators: what `quern solve` and `quern eigs` share.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "quern/build.h"

/* Makes the right-hand sides the last of the arguments. */
static quern_status place_right(cli_inputs *inputs, const char *vector)
{
    for (size_t k = 0, last = inputs->count - 1; k < inputs->count; k++)
        if (!strcmp(inputs->args[k].name, vector)) {
            quern_arg arg = inputs->args[k];
            cli_source source = inputs->sources[k];
            inputs->args[k] = inputs->args[last], inputs->args[last] = arg;
            inputs->sources[k] = inputs->sources[last], inputs->sources[last] = source;
            return QUERN_OK;
        }
    return cli_fail(QUERN_MISSING, "no right-hand side is given; add %s=FILE", vector);
}

/* Gives typed numbers the shape of the formula's variables. */
static quern_status fit(const cli_linear *l, cli_task *task, int64_t columns)
{
    quern_graph *graph;
    quern_operator *op = NULL;
    quern_status status = quern_graph_create(&graph);

    if (!status) {
        quern_vj(graph, l->vector, columns);
        quern_expr f = quern_formula(graph, task->formula);
        status = quern_compile_graph(&op, l->context, graph, QUERN_EXPRS(f), NULL);
    }
    status = status ? cli_fail_quern(status, NULL) : cli_inputs_fit(&task->inputs, op);
    quern_operator_destroy(&op);
    quern_graph_destroy(&graph);
    return status;
}

quern_status cli_linear_open(cli_linear *l, cli_task *task, const cli_opening *open, bool right)
{
    quern_linear_options how = QUERN_DEFAULTS(quern_linear_options);
    cli_inputs *inputs = &task->inputs;
    int64_t columns = 1;
    quern_status status = cli_parse_number(l->shift, "--shift", &how.shift);

    how.vector = l->vector = l->vector ? l->vector : "b";
    if (!status && right) status = place_right(inputs, l->vector);
    if (!status && right && !inputs->sources[inputs->count - 1].typed)
        columns = inputs->args[inputs->count - 1].view.columns;
    if (!status) status = cli_open(&l->context, open);
    if (!status) status = fit(l, task, columns);
    if (status) return status;
    status = quern_linear_create(&l->linear, l->context, task->formula,
                                 (quern_args){inputs->args, inputs->count - right, 0, 0}, &how);
    return status ? cli_fail_quern(status, NULL) : QUERN_OK;
}

void cli_linear_close(cli_linear *l)
{
    quern_linear_destroy(&l->linear);
    quern_context_destroy(&l->context);
}

bool cli_linear_progress(void *unused, int64_t iteration, double residual)
{
    (void)unused;
    if (cli_progress_wanted()) fprintf(stderr, "\r%6" PRId64 " products, residual %-12.3g\r", iteration, residual);
    return false;
}
