/*
 * eval.c: `quern eval`: a formula on .npy files, tables and numbers.
 *
 * `run` reads like a recipe: words, inputs, outputs that can be written, device, formula, run, results. Everything
 * that can fail without a device is checked before the device is opened, and nothing is written before the run is over.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "quern/prune.h"
#include "quern/space.h"

typedef struct request {
    cli_task task;
    const char *m, *n, *relative_text, *absolute_text, *offsets_i, *offsets_j;
    const char *ranges_text, *labels, *keep;
    cli_ranges ranges;
    double relative, absolute;
    cli_list grad;
    cli_opening open;
    bool json, prune;
    const char *slice;
    cli_resume resume;
} request;

static const cli_option options[] = {
    {"-o", CLI_LIST, offsetof(request, task.outputs), "FILE",
     "write the result there, as .npy or, if it is called .csv or .tsv, as rows of text;\n"
     "with several results, one -o\n"
     "for each, in order; - is stdout, .npy"},
    {"--json", CLI_FLAG, offsetof(request, json), "",
     "print {\"results\": [{axis, rows, columns, integer, data}]}; data has a list per row;\n"
     "NaN and infinities are the strings \"nan\", \"inf\", \"-inf\""},
    {"--dtype", CLI_TEXT, offsetof(request, task.dtype_text), "f32|f64",
     "convert all arrays to this type first; without it they must have one type, as the result has"},
    CLI_FORMULA(request, task.file),
    CLI_GRAD(request),
    {"--M", CLI_TEXT, offsetof(request, m), "N", "the number of rows i, where no array tells it, as in Sum_i(1)"},
    {"--N", CLI_TEXT, offsetof(request, n), "N", "the number of rows j, likewise"},
    {"--offsets-i", CLI_TEXT, offsetof(request, offsets_i), "FILE|0,K,...",
     "a ragged batch: the rows i where its members begin, and their number in the end"},
    {"--offsets-j", CLI_TEXT, offsetof(request, offsets_j), "FILE|0,K,...",
     "likewise the rows j; parameters have a row for each member, or one for all"},
    {"--ranges", CLI_TEXT, offsetof(request, ranges_text), "BLOCKS|FILES",
     "which rows i meet which rows j: blocks such as '0:500=0:700; 500:900=0:100,650:900', or the\n"
     "files ROWS,ENDS,COLUMNS, KeOps's ranges_i,slices_i,redranges_j; sorted, without overlap"},
    {"--labels", CLI_TEXT, offsetof(request, labels), "FILE,FILE",
     "or labels of the rows i and of the rows j, in ascending order: those of one label meet"},
    {"--keep", CLI_TEXT, offsetof(request, keep), "FILE",
     "with --labels, or --ranges ROWS,COLUMNS: a matrix of clusters, not 0 where they meet"},
    {"--prune", CLI_FLAG, offsetof(request, prune), "",
     "leave out blocks of rows and columns that cannot matter, as intervals prove; a note tells how many"},
    {"--tolerance", CLI_TEXT, offsetof(request, relative_text), "X",
     "and what changes a Sum of positive terms by less than X times itself;\n"
     "with it, or the next, pruning is done where it pays"},
    {"--absolute", CLI_TEXT, offsetof(request, absolute_text), "X",
     "and what changes a Sum or LogSumExp by less than X"},
    {"--resume", CLI_TEXT, offsetof(request, resume.path), "FILE",
     "for long runs of one pass: keep there what is done, slice by slice, and go on from it\n"
     "after an interruption; it is removed in the end"},
    {"--slice", CLI_TEXT, offsetof(request, slice), "PAIRS", "pairs of such a slice, else 34359738368"},
    CLI_DEVICES(request),
    CLI_QUIET(request),
    CLI_VERBOSE(request),
};

static const char *const offsets[] = {"--offsets-i", "--offsets-j"};

static quern_status parse(int argc, char **argv, request *r)
{
    cli_inputs *inputs = &r->task.inputs;
    quern_status status = cli_parse(argc, argv, options, CLI_COUNT(options), r, &r->task.words);

    if (!status) status = cli_parse_number(r->relative_text, "--tolerance", &r->relative);
    if (!status) status = cli_parse_number(r->absolute_text, "--absolute", &r->absolute);
    if (!status) status = cli_parse_count(r->slice, "--slice", &r->resume.pairs);
    if (!status && r->slice && !r->resume.path) status = cli_fail(QUERN_USAGE, "--slice is for --resume");
    if (!status) status = cli_parse_count(r->m, "--M", &inputs->M);
    if (!status) status = cli_parse_count(r->n, "--N", &inputs->N);
    if (!status) status = cli_task_read(&r->task, "eval", SIZE_MAX, "");
    if (!status) status = cli_resume_check(&r->resume, &r->task.outputs);
    if (!status) status = cli_offsets_read(inputs, offsets, r->offsets_i, 0);
    if (!status) status = cli_offsets_read(inputs, offsets, r->offsets_j, 1);
    return status ? status : cli_ranges_read(&r->ranges, r->ranges_text, r->labels, r->keep);
}

/* Compiles the formula and makes sure that every result has its -o, or none has. */
static quern_status compile(quern_operator **op, quern_context *context, const request *r)
{
    quern_compile_options how = QUERN_DEFAULTS(quern_compile_options);
    if (r->ranges.all) how.ranges = QUERN_ON;
    quern_status status = quern_compile(op, context, r->task.formula, &how);
    size_t results, outputs = r->task.outputs.count;

    if (status) return cli_fail_quern(status, NULL);
    if ((status = cli_differentiate(op, &r->grad))) return status;
    results = quern_result_count(*op);
    if (!outputs || outputs == results) return QUERN_OK;
    return cli_fail(QUERN_USAGE,
                    "the formula has %zu result%s but -o is given %zu time%s; each result needs one, in order", results,
                    CLI_S(results), outputs, CLI_S(outputs));
}

static void tell(const quern_pruning_report *report)
{
    if (!report->pruned) cli_note("not pruned: %s", report->reason);
    else if (!(report->absolute > 0))
        cli_note("pruned: %.3g %% of all pairs were computed; nothing else matters", 100 * report->touched);
    else if (report->relative < INFINITY)
        cli_note("pruned: %.3g %% of all pairs were computed; sums are off by %.2g at most, and by %.2g of themselves",
                 100 * report->touched, report->absolute, report->relative);
    else
        cli_note("pruned: %.3g %% of all pairs were computed; sums are off by %.2g at most", 100 * report->touched,
                 report->absolute);
}

static quern_status run_operator(quern_operator *op, const cli_contexts *contexts, const request *r,
                                 const cli_inputs *inputs, const cli_results *results)
{
    quern_args args = {inputs->args, inputs->count, inputs->M, inputs->N};
    quern_outs outs = {results->views, results->count};
    quern_pruning_report report = QUERN_DEFAULTS(quern_pruning_report);
    quern_pruning pruning = {sizeof pruning, r->absolute, r->relative, r->prune ? QUERN_ON : QUERN_AUTO, &report};
    quern_run_options run_options = QUERN_DEFAULTS(quern_run_options);
    bool prunes = r->prune || r->relative_text || r->absolute_text;
    quern_status status;

    if (r->resume.path && (prunes || r->ranges.all || contexts->count > 1))
        return cli_fail(QUERN_UNSUPPORTED, "--resume is for one device, without --prune, tolerances and ranges");
    if (r->resume.path) {
        cli_progress_begin();
        status = cli_resume_run(&r->resume, op, contexts->items[0], inputs, results);
        cli_progress_end();
        return status;
    }
    if (prunes && contexts->count > 1)
        return cli_fail(QUERN_UNSUPPORTED,
                        "a pruned run has one device; name one, or leave out --prune and tolerances");
    if ((status = cli_ranges_fit(&r->ranges, inputs, op))) return status;
    if (prunes) run_options.pruning = &pruning;
    run_options.ranges = r->ranges.all;
    run_options.members = inputs->members;
    run_options.offsets_i = inputs->offsets[0];
    run_options.offsets_j = inputs->offsets[1];
    cli_progress_begin();
    if (contexts->count > 1) run_options.contexts = contexts->items, run_options.context_count = contexts->count;
    status = quern_run_with(op, args, outs, &run_options);
    cli_progress_end();
    if (!status && prunes) tell(&report);
    return status ? cli_fail_quern(status, NULL) : QUERN_OK;
}

static quern_status show(const request *r, const cli_results *results)
{
    quern_status status = r->json ? cli_results_print_json(results) : QUERN_OK;

    if (!status && !r->json && !r->task.outputs.count) status = cli_results_print(results);
    return status ? status : cli_outputs_write(&r->task.outputs, results);
}

static quern_status compute(const request *r, cli_inputs *inputs)
{
    cli_contexts contexts = {0};
    quern_operator *op = NULL;
    cli_results results = {NULL, NULL, 0};
    quern_status status = cli_contexts_open(&contexts, &r->open);

    if (!status) status = compile(&op, contexts.items[0], r);
    if (!status) status = cli_inputs_fit(inputs, op);
    if (!status) status = cli_results_create(&results, op, inputs, cli_inputs_dtype(inputs, r->task.dtype));
    if (!status) status = run_operator(op, &contexts, r, inputs, &results);
    if (!status) status = show(r, &results);
    if (!status) cli_resume_end(&r->resume);
    cli_results_free(&results);
    quern_operator_destroy(&op);
    cli_contexts_close(&contexts);
    return status;
}

static quern_status run(int argc, char **argv)
{
    request r = {.open.progress = true};
    quern_status status = parse(argc, argv, &r);

    if (r.resume.path) r.open.progress = false; /* slices tell it */
    if (!status) status = compute(&r, &r.task.inputs);
    cli_task_free(&r.task);
    cli_ranges_free(&r.ranges);
    free(r.grad.items);
    return status;
}

const cli_command cli_eval = {
    .name = "eval",
    .run = run,
    .sentence = "compute a formula on files and numbers",
    .examples =
        "quern eval 'x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)' x=x.npy y=y.npy b=b.npy -o a.npy\n"
        "quern eval 'x=Vi(3); y=Vj(3); g=Pm(1); LogSumExp_j(-g*SqDist(x,y))' x=x.npy y=y.npy g=0.5\n"
        "quern eval 'x=Vi(2); y=Vj(2); d=SqDist(x,y); Min_j(d), ArgMin_j(d)' x=x.npy y=y.npy -o d.npy -o k.npy\n"
        "quern eval 'x=Vi(3); y=Vj(3); ArgKMin_j(SqDist(x,y),10)' x=x.npy y=y.npy --prune -o k.npy\n"
        "quern eval 'x=Vi(2); y=Vj(2); Sum_j(Exp(-SqDist(x,y)))' x=x.npy y=y.npy --labels cx.npy,cy.npy\n"
        "quern eval 'x=Vi(1); y=Vj(1); Sum_j(Exp(-SqDist(x,y)))' x=0,1 y=0,1,3 --json\n",
    .synopsis = "FORMULA|@FILE NAME=VALUE... [options]",
    .text =
        "NAME=FILE       an array, one row per i or j (a parameter: one row): .npy of any real type, or text such as CSV,\n"
        "                columns separated by commas, semicolons, tabs or blanks, with or without a header; - is stdin\n"
        "NAME=0.5        a number\n"
        "NAME=1,2,3      numbers: a parameter of length 3, or as many rows as they fill (./1,2 is a file of that name)\n"
        "Variables without a name, as in Vi(0,3), are called by their number: 0=x.npy.\n",
    .notes =
        "Without -o and --json the results are printed as rows of text, with an empty line between two results.\n"
        "Files appear complete or not at all.\n"
        "Axes of .npy files before the last two are batches, aligned at the last and broadcast, as in NumPy; results have\n"
        "them too: x.npy of 50 x 100 x 3 and y.npy of 80 x 3 give 50 problems of 100 x 80.\n",
    .options = options,
    .option_count = CLI_COUNT(options),
};
