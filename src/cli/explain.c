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
    const char *formula, *stage, *dtype, *m, *n, *profile, *device;
    cli_list grad;
    bool dot, verbose;
} request;

static quern_status parse(int argc, char **argv, request *r)
{
    const cli_option options[] = {
        {.name = "--stage", .text = &r->stage},
        {.name = "--dtype", .text = &r->dtype},
        {.name = "--M", .text = &r->m},
        {.name = "--N", .text = &r->n},
        {.name = "--profile", .text = &r->profile},
        {.name = "--device", .text = &r->device},
        {.name = "--grad", .list = &r->grad},
        {.name = "--dot", .flag = &r->dot},
        {.name = "--verbose", .flag = &r->verbose},
    };
    cli_list words = {NULL, 0};
    quern_status status = cli_parse(argc, argv, options, CLI_COUNT(options), &words);

    if (!status && words.count != 1)
        status = cli_fail(QUERN_USAGE,
                          "explain takes one formula, in quotes, but got %zu arguments; see `quern help explain`",
                          words.count);
    if (!status && r->profile && r->device)
        status = cli_fail(QUERN_USAGE, "--profile and --device exclude each other: a device has its own profile");
    if (!status && r->dot && r->stage)
        status = cli_fail(QUERN_USAGE, "--dot and --stage exclude each other: --dot is a stage of its own");
    if (!status) r->formula = words.items[0];
    if (r->dot) r->stage = "dot";
    free(words.items);
    return status;
}

static quern_status print(const quern_operator *op, const quern_explain_options *options)
{
    char *text = NULL;
    quern_status status = quern_explain(op, options, &text);

    if (status) return cli_fail_quern(status, NULL);
    fputs(text, stdout);
    quern_free(text);
    return QUERN_OK;
}

quern_status cli_explain(int argc, char **argv)
{
    request r = {0};
    quern_explain_options options = {.size = sizeof options};
    quern_context *context = NULL;
    quern_operator *op = NULL;
    quern_status status = parse(argc, argv, &r);

    options.stage = r.stage;
    options.profile = r.profile;
    if (!status) status = cli_parse_dtype(r.dtype, &options.dtype);
    if (!status) status = cli_parse_count(r.m, "--M", &options.M);
    if (!status) status = cli_parse_count(r.n, "--N", &options.N);
    if (!status && r.device) status = cli_open(&context, r.device, r.verbose);
    if (!status && (status = quern_compile(&op, context, r.formula, NULL))) cli_fail_quern(status, NULL);
    for (size_t k = 0; k < r.grad.count && !status; k++) status = cli_differentiate(&op, r.grad.items[k]);
    if (!status) status = print(op, &options);
    quern_operator_destroy(&op);
    quern_context_destroy(&context);
    free(r.grad.items);
    return status;
}
