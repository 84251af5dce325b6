/*
 * tsne.c: `quern tsne`: points of many dimensions in a picture of two, on .npy files and tables.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "quern/tsne.h"

enum { WORTH_NEIGHBORS = 12 };

typedef struct request {
    const char *distance, *perplexity, *exaggeration, *learning_rate, *iterations, *dimensions, *seed, *dtype_text;
    quern_dtype dtype;
    cli_list words, outputs;
    cli_opening open;
    bool json;
} request;

static const cli_option options[] = {
    {"-o", CLI_LIST, offsetof(request, outputs), "FILE", "write the places there, as `quern eval` writes results"},
    {"--json", CLI_FLAG, offsetof(request, json), "",
     "print {\"divergence\", \"trustworthiness\", \"iterations\", \"edges\"}"},
    {"--perplexity", CLI_TEXT, offsetof(request, perplexity), "X", "how many neighbours count; 30 without it"},
    {"--distance", CLI_TEXT, offsetof(request, distance), "FORMULA", "of x and y, squared; SqDist(x,y) without it"},
    {"--dimensions", CLI_TEXT, offsetof(request, dimensions), "N", "of the picture: 1, 2 or 3; 2 without it"},
    {"--iterations", CLI_TEXT, offsetof(request, iterations), "N", "steps; 1000 without it"},
    {"--exaggeration", CLI_TEXT, offsetof(request, exaggeration), "X",
     "of the attraction in the first quarter of them; 12 without it"},
    {"--learning-rate", CLI_TEXT, offsetof(request, learning_rate), "X",
     "points / (4 exaggeration), and at least 50, without it"},
    {"--seed", CLI_TEXT, offsetof(request, seed), "N", "where points have fewer components than the picture"},
    {"--dtype", CLI_TEXT, offsetof(request, dtype_text), "f32|f64", "of the points when they are read"},
    CLI_DEVICE(request),
    CLI_QUIET(request),
    CLI_VERBOSE(request),
};

static bool progress(void *steps, int iteration, double divergence)
{
    if (cli_progress_wanted())
        fprintf(stderr, "\rstep %d of %d, divergence %-12.5g\r", iteration, *(int *)steps, divergence);
    return false;
}

static quern_status parse_options(const request *r, quern_tsne_options *o, int64_t *dimensions)
{
    int64_t iterations = 0, seed = 0;
    quern_status status = cli_parse_number(r->perplexity, "--perplexity", &o->perplexity);

    if (!status) status = cli_parse_number(r->exaggeration, "--exaggeration", &o->exaggeration);
    if (!status) status = cli_parse_number(r->learning_rate, "--learning-rate", &o->learning_rate);
    if (!status) status = cli_parse_count(r->iterations, "--iterations", &iterations);
    if (!status) status = cli_parse_count(r->dimensions, "--dimensions", dimensions);
    if (!status) status = cli_parse_count(r->seed, "--seed", &seed);
    if (!*dimensions) *dimensions = 2;
    if (!status && *dimensions > 3)
        status = cli_fail(QUERN_USAGE, "--dimensions takes 1, 2 or 3, not %lld", (long long)*dimensions);
    o->iterations = iterations > 1000000000 ? 1000000000 : iterations ? (int)iterations : 1000;
    o->seed = (uint64_t)seed;
    o->distance = r->distance;
    return status;
}

static quern_status read_points(const request *r, cli_inputs *inputs)
{
    const cli_points known = {.names = (const char *[]){"x", NULL}, .plain = 1};

    if (r->words.count != 1)
        return cli_fail(QUERN_USAGE, "tsne needs one file of points: quern tsne x.npy -o places.npy");
    return cli_points_read(inputs, &r->words, &known, r->dtype);
}

static quern_status print_json(quern_context *context, quern_view x, quern_view y, const quern_tsne_report *report)
{
    double worth = NAN;

    if (x.rows > 2 * WORTH_NEIGHBORS && quern_trustworthiness(&worth, context, x, y, WORTH_NEIGHBORS))
        return cli_fail_quern(quern_last_error()->status, NULL);
    return cli_print_json(json_pack("{s:f, s:o, s:i, s:I}", "divergence", report->divergence, "trustworthiness",
                                    isnan(worth) ? json_null() : json_real(worth), "iterations", report->iterations,
                                    "edges", (json_int_t)report->edges),
                          2);
}

static quern_status place(const request *r, quern_context *context, quern_view x, quern_tsne_options *o,
                          int64_t dimensions)
{
    quern_tsne_report report = QUERN_DEFAULTS(quern_tsne_report);
    quern_view y = x;

    y.columns = dimensions, y.stride = 0;
    y.data = calloc((size_t)(y.rows * y.columns) + 1, sizeof(double));
    if (!y.data) return cli_fail_memory();
    o->progress = progress, o->progress_user = &o->iterations;
    quern_status status = quern_tsne(context, x, y, o, &report);
    if (cli_progress_wanted()) fprintf(stderr, "%*s\r", 56, "");
    if (status) cli_fail_quern(status, NULL);
    quern_value value = {.name = "", .axis = 'i', .dim = dimensions};
    cli_results results = {&y, &value, 1};
    if (!status && r->json) status = print_json(context, x, y, &report);
    if (!status && !r->json && !r->outputs.count) status = cli_results_print(&results);
    if (!status) status = cli_outputs_write(&r->outputs, &results);
    free(y.data);
    return status;
}

static quern_status run(int argc, char **argv)
{
    request r = {.open.progress = false};
    quern_tsne_options o = QUERN_DEFAULTS(quern_tsne_options);
    int64_t dimensions = 0;
    cli_inputs inputs = {0};
    quern_context *context = NULL;
    quern_status status = cli_parse(argc, argv, options, CLI_COUNT(options), &r, &r.words);

    if (!status) status = cli_parse_dtype(r.dtype_text, &r.dtype);
    if (!status) status = parse_options(&r, &o, &dimensions);
    if (!status) status = cli_outputs_check(&r.outputs);
    if (!status) status = read_points(&r, &inputs);
    if (!status) status = cli_open(&context, &r.open);
    if (!status) status = place(&r, context, inputs.args[0].view, &o, dimensions);
    quern_context_destroy(&context);
    cli_inputs_free(&inputs);
    free(r.words.items);
    free(r.outputs.items);
    return status;
}

const cli_command cli_tsne = {
    .name = "tsne",
    .run = run,
    .sentence = "points of many dimensions in a picture of two: exact t-SNE",
    .examples = "quern tsne x.npy -o places.npy --json\n"
                "quern tsne x.csv -o places.csv --perplexity 50 --distance 'Sum(Abs(x-y))'\n",
    .synopsis = "X [options]",
    .text =
        "X are points, one a row, given as a value to `quern eval`. Neighbours attract each other, all points repel\n"
        "each other, and the places where both are in balance are written: one row a point.\n",
    .notes = "The trustworthiness that --json prints counts 12 neighbours: 1 if those in the picture are those of x.\n",
    .options = options,
    .option_count = CLI_COUNT(options),
};
