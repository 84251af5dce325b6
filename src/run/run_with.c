/*
 * run_with.c: runs with options: ranges.
 */
#include "run/spaces.h"

/* The result that was simplified too far, and what to do. */
static quern_status fail_lost(const quern_operator *op)
{
    q_fail(QUERN_UNSUPPORTED, "%s was simplified in a way that is right only where all rows meet all columns",
           op->text);
    q_fail_next_step(
        "compile it, or the formula that it is the gradient of, with quern_compile_options.ranges = QUERN_ON");
    return QUERN_UNSUPPORTED;
}

static quern_status check_options(const quern_operator *op, const quern_run_options *options)
{
    if (options->members || options->offsets_i || options->offsets_j)
        return q_fail(QUERN_UNSUPPORTED, "quern_run_with: ragged batches are not there yet");
    if (options->pruning && options->ranges)
        return q_fail(QUERN_UNSUPPORTED, "quern_run_with: a run is pruned or has ranges, not both");
    return options->ranges && op->graph->lost_pairs ? fail_lost(op) : QUERN_OK;
}

static quern_status launch_with(q_run *run, const quern_run_options *options)
{
    q_spaces spaces;
    quern_status status = q_spaces_make(&spaces, run, options);
    run->spaces = spaces.by_stage;
    if (!status) status = q_launch(run);
    q_spaces_free(&spaces);
    return status;
}

quern_status quern_run_with(quern_operator *op, quern_args args, quern_outs results, const quern_run_options *given)
{
    quern_view views[Q_MAX_VARIABLES];
    quern_run_options options = {0};
    q_run run;
    q_build *build;
    if (!op) return q_fail_null("quern_run_with", "the operator");
    Q_TRY(q_options_copy(&options, sizeof options, given, "quern_run_options"));
    quern_context *context = options.context ? options.context : op->context;
    if (!options.ranges && !options.members && !options.pruning)
        return context ? quern_run_in(op, context, args, results) : quern_run_all(op, args, results);
    if (!context) return quern_run_all(op, args, results); /* tells what is missing */
    Q_TRY(q_session_check(context->session));
    Q_TRY(check_options(op, &options));
    if (options.pruning) return q_run_pruned(op, context, args, results, options.pruning);
    Q_TRY(q_build_find(&build, op, context));
    Q_TRY(q_run_check(&run, build, args, results, views));
    if (options.ranges) Q_TRY(q_ranges_check(options.ranges, run.M, run.N));
    return launch_with(&run, &options);
}
