/*
 * quern-bench.c: times quern on the cases of cases.c, each beside a peer in the same run. README.md tells more.
 *
 * The last line on stdout is `ratio X`: quern's median time divided by the peer's (1 is parity, lower is better). With
 * several cases it is the largest of their ratios; without any peer there is no such line. The line before it has the
 * inverse, `peer/quern X`: how many times faster quern is, at least.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static bool cases_run(quern_context *context, const bench_options *options, json_t *document, outcome *out)
{
    FILE *to = options->json && !strcmp(options->json, "-") ? stderr : stdout;
    double ratio = 0;
    header_print(to, quern_context_device(context), options);
    for (size_t k = 0; k < options->case_count; k++) {
        if (!case_measure(out, context, options->cases[k], options)) return false;
        outcome_print(to, out);
        document_add(document, out);
        if (out->peer && outcome_ratio(out) > ratio) ratio = outcome_ratio(out);
    }
    if (options->json && !document_write(document, options->json)) return false;
    if (ratio > 0) fprintf(to, "peer/quern %.3f (times as fast as the peer, at least)\nratio %.3f\n", 1 / ratio, ratio);
    return true;
}

static int bench_run(const bench_options *options)
{
    quern_context *context = NULL;
    const quern_context_options how = {.size = sizeof how, .device = options->device};
    if (quern_context_create(&context, &how)) {
        fprintf(stderr, "quern-bench: device: %s\n", quern_last_error_text());
        return EXIT_MEASURE;
    }
    outcome *out = malloc(sizeof *out);
    json_t *document = document_create(quern_context_device(context), options);
    const bool ok = out && document && cases_run(context, options, document, out);
    if (!out || !document) fprintf(stderr, "quern-bench: no memory\n");
    json_decref(document);
    free(out);
    quern_context_destroy(&context);
    return ok ? 0 : EXIT_MEASURE;
}

int main(int count, char **words)
{
    bench_options options = {.repeat = 21};
    for (int k = 1; k < count; k++)
        if (!strcmp(words[k], "--help")) return help_print(), 0;
    const int status = options_parse(&options, count, words);
    signal(SIGPIPE, SIG_IGN); /* a peer that ends early is a failure to report, not to die from */
    return status ? status : bench_run(&options);
}
