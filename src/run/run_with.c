/*
 * run_with.c: runs in blocks: with ranges, and of batches.
 */
#include "run/parts.h"
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

static quern_status launch_blocks(q_run *run, const q_given *given, const quern_run_options *options)
{
    q_spaces spaces;
    quern_status status = q_spaces_make(&spaces, run, given, options);
    run->spaces = spaces.by_stage;
    if (!status) status = q_launch(run);
    q_spaces_free(&spaces);
    return status;
}

quern_status q_run_check_ranges(const q_run *run, const quern_ranges *ranges)
{
    if (!ranges) return QUERN_OK;
    return run->op->graph->lost_pairs ? fail_lost(run->op) : q_ranges_check(ranges, run->M, run->N);
}

quern_status q_run_given(q_run *run, const q_given *given, const quern_run_options *options)
{
    const quern_ranges *ranges = options ? options->ranges : NULL;
    Q_TRY(q_run_check_ranges(run, ranges));
    if (ranges || run->members != 1) return launch_blocks(run, given, options);
    if (q_host_takes(run)) return q_host_run(run);
    return q_stream_takes(run) ? q_devices_run(run, &run->build, 1) : q_launch_scattered(run);
}

static quern_status run_on_all(quern_operator *op, quern_args args, quern_outs results,
                               const quern_run_options *options)
{
    if (options->context) return q_fail(QUERN_USAGE, "quern_run_with: there are both a context and a list of contexts");
    if (!options->pruning) return q_run_shared(op, options->contexts, options->context_count, args, results, options);
    q_fail(QUERN_UNSUPPORTED, "quern_run_with: a pruned run has one device");
    q_fail_next_step("give quern_run_options.context instead of contexts, or no pruning");
    return QUERN_UNSUPPORTED;
}

quern_status quern_run_with(quern_operator *op, quern_args args, quern_outs results, const quern_run_options *given)
{
    quern_run_options options = {0};
    q_given arrays;
    q_run run;
    q_build *build;
    if (!op) return q_fail_null("quern_run_with", "the operator");
    Q_TRY(q_options_copy(&options, sizeof options, given, "quern_run_options"));
    quern_context *context = options.context ? options.context : op->context;
    if (!context && !options.contexts) return quern_run_all(op, args, results); /* tells what is missing */
    if (!options.members && (options.offsets_i || options.offsets_j))
        return q_fail(QUERN_USAGE, "quern_run_with: there are offsets, but quern_run_options.members is 0");
    if (options.contexts || options.context_count) return run_on_all(op, args, results, &options);
    if (options.pruning) return q_run_pruned(op, context, args, results, &options);
    Q_TRY(q_session_check(context->session));
    Q_TRY(q_build_find(&build, op, context));
    Q_TRY(q_run_check(&run, &arrays, build, args, results, &options));
    return q_run_given(&run, &arrays, &options);
}
