/*
 * explain.c: `quern explain`: what quern makes of a formula, or of its gradient, at every stage of the pipeline.
 *
 * Needs a device only if one is named: otherwise the operator has no context and is planned for a row of
 * cl/profiles.txt.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"

typedef struct request {
    const char *file, *stage, *dtype, *m, *n, *profile;
    char *formula;
    cli_list grad;
    cli_opening open;
    bool dot;
} request;

static const cli_option options[] = {
    {"--stage", CLI_TEXT, offsetof(request, stage), "graph|stages|program|plan|source|all",
     "this stage, or all of them; without it one screen: arrays, stages, expected time"},
    {"--dot", CLI_FLAG, offsetof(request, dot), "",
     "only the graph, as a picture for Graphviz: quern explain ... --dot | dot -Tsvg >graph.svg"},
    CLI_FORMULA(request, file),
    CLI_GRAD(request),
    {"--dtype", CLI_TEXT, offsetof(request, dtype), "f32|f64", "the element type of the arrays; f32 without it"},
    {"--M", CLI_TEXT, offsetof(request, m), "N", "the number of rows i; 1000 without it"},
    {"--N", CLI_TEXT, offsetof(request, n), "N", "the number of rows j; likewise"},
    {"--profile", CLI_TEXT, offsetof(request, profile), "P",
     "plan for a kind of device, such as cpu, nvidia, amd, intel; no device is needed"},
    {"--device", CLI_TEXT, offsetof(request, open.device), "D",
     "plan for this device; without --profile and --device: profile cpu"},
    CLI_QUIET(request),
    CLI_VERBOSE(request),
};

static quern_status parse(int argc, char **argv, request *r)
{
    cli_list words = {NULL, 0};
    size_t taken;
    quern_status status = cli_parse(argc, argv, options, CLI_COUNT(options), r, &words);

    if (!status && words.count != (r->file ? 0 : 1))
        status =
            cli_fail(QUERN_USAGE,
                     "explain takes one formula, in quotes or with -f, but got %zu word%s%s; see `quern help explain`",
                     words.count, CLI_S(words.count), r->file ? " and -f" : "");
    if (!status && r->profile && r->open.device)
        status = cli_fail(QUERN_USAGE, "--profile and --device exclude each other: a device has its own profile");
    if (!status && r->dot && r->stage)
        status = cli_fail(QUERN_USAGE, "--dot and --stage exclude each other: --dot is a stage of its own");
    if (!status) status = cli_formula_read(&r->formula, &taken, &words, r->file);
    if (r->dot) r->stage = "dot";
    free(words.items);
    return status;
}

static quern_status print(const quern_operator *op, const quern_explain_options *what)
{
    char *text = NULL;
    quern_status status = quern_explain(op, what, &text);

    if (status) return cli_fail_quern(status, NULL);
    fputs(text, stdout);
    quern_free(text);
    return QUERN_OK;
}

static quern_status run(int argc, char **argv)
{
    request r = {0};
    quern_explain_options what = {.size = sizeof what};
    quern_context *context = NULL;
    quern_operator *op = NULL;
    quern_status status = parse(argc, argv, &r);

    what.stage = r.stage;
    what.profile = r.profile;
    if (!status) status = cli_parse_dtype(r.dtype, &what.dtype);
    if (!status) status = cli_parse_count(r.m, "--M", &what.M);
    if (!status) status = cli_parse_count(r.n, "--N", &what.N);
    if (!status && r.open.device) status = cli_open(&context, &r.open);
    if (!status && (status = quern_compile(&op, context, r.formula, NULL))) cli_fail_quern(status, NULL);
    if (!status) status = cli_differentiate(&op, &r.grad);
    if (!status) status = print(op, &what);
    quern_operator_destroy(&op);
    quern_context_destroy(&context);
    free(r.formula);
    free(r.grad.items);
    return status;
}

const cli_command cli_explain = {
    .name = "explain",
    .run = run,
    .sentence = "show the graph, the plan and the OpenCL source of a formula",
    .examples =
        "quern explain 'x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)'\n"
        "quern explain 'x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y)))' --grad x --stage graph\n"
        "quern explain 'x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y)))' --stage source --profile nvidia --dtype f64\n",
    .synopsis = "FORMULA|@FILE [options]",
    .text = "Shows what quern makes of a formula: in short, or a stage of it in full.\n",
    .options = options,
    .option_count = CLI_COUNT(options),
};
