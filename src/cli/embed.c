/*
 * embed.c: `quern tsne` and `quern umap`: points of many dimensions in a picture of two, on .npy files and tables. A method is a row:
 * how it reads its own options, what it calls, and what it tells.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "label_plot.h"
#include "plot.h"
#include "quern/tsne.h"
#include "quern/umap.h"

enum { WORTH_NEIGHBORS = 12 };

typedef struct request request;

typedef struct method {
    const char *name;
    quern_status (*parse)(request *r);
    quern_status (*place)(request *r, quern_context *context, quern_view x, quern_view y);
    json_t *(*tell)(const request *r); /* but for the trustworthiness */
} method;

struct request {
    const char *distance, *iterations, *dimensions, *seed, *dtype_text, *learning_rate, *plot;
    const char *perplexity, *exaggeration;        /* tsne */
    const char *neighbors, *min_dist, *repulsion; /* umap */
    quern_tsne_options tsne;
    quern_tsne_report tsne_report;
    quern_umap_options umap;
    quern_umap_report umap_report;
    int steps;
    int64_t columns;
    uint64_t seed_number;
    quern_dtype dtype;
    cli_list words, outputs;
    cli_opening open;
    bool json;
};

#define SHARED                                                                                                     \
    CLI_LABEL_PLOT(request),                                                                                       \
        {"--dimensions", CLI_TEXT, offsetof(request, dimensions), "N", "of the picture: 1, 2 or 3; 2 without it"}, \
        {"--seed", CLI_TEXT, offsetof(request, seed), "N", "where points have fewer components than the picture"}, \
        {"--dtype", CLI_TEXT, offsetof(request, dtype_text), "f32|f64", "of the points when they are read"},       \
        CLI_DEVICE(request), CLI_QUIET(request), CLI_VERBOSE(request)
#define OUTPUT                                                                                                       \
    {                                                                                                                \
        "-o", CLI_LIST, offsetof(request, outputs), "FILE", "write the places there, as `quern eval` writes results" \
    }

static const cli_option tsne_options[] = {
    OUTPUT,
    {"--json", CLI_FLAG, offsetof(request, json), "",
     "print {\"divergence\", \"iterations\", \"edges\", \"trustworthiness\"}"},
    {"--perplexity", CLI_TEXT, offsetof(request, perplexity), "X", "how many neighbours count; 30 without it"},
    {"--distance", CLI_TEXT, offsetof(request, distance), "FORMULA", "of x and y, squared; SqDist(x,y) without it"},
    {"--iterations", CLI_TEXT, offsetof(request, iterations), "N", "steps; 1000 without it"},
    {"--exaggeration", CLI_TEXT, offsetof(request, exaggeration), "X",
     "of the attraction in the first quarter of them; 12 without it"},
    {"--learning-rate", CLI_TEXT, offsetof(request, learning_rate), "X",
     "points / (4 exaggeration), and at least 50, without it"},
    SHARED,
};

static const cli_option umap_options[] = {
    OUTPUT,
    {"--json", CLI_FLAG, offsetof(request, json), "",
     "print {\"loss\", \"a\", \"b\", \"iterations\", \"edges\", \"trustworthiness\"}"},
    {"--neighbors", CLI_TEXT, offsetof(request, neighbors), "N", "of a point, itself among them; 15 without it"},
    {"--min-dist", CLI_TEXT, offsetof(request, min_dist), "X",
     "how near points may lie in the picture; 0.1 without it"},
    {"--repulsion", CLI_TEXT, offsetof(request, repulsion), "X",
     "negative samples for each edge, whose mean is taken; 5 without it"},
    {"--distance", CLI_TEXT, offsetof(request, distance), "FORMULA", "of x and y; Norm2(x-y) without it"},
    {"--iterations", CLI_TEXT, offsetof(request, iterations), "N", "steps; 500 without it"},
    {"--learning-rate", CLI_TEXT, offsetof(request, learning_rate), "X", "the length of the first steps; 1 without it"},
    SHARED,
};

static bool progress(void *steps, int iteration, double left)
{
    if (cli_progress_wanted()) fprintf(stderr, "\rstep %d of %d, %-12.5g left\r", iteration, *(int *)steps, left);
    return false;
}

/* ---- t-SNE ------------------------------------------------------------------------------------------------------ */

static quern_status parse_tsne(request *r)
{
    quern_tsne_options *o = &r->tsne;
    quern_status status = cli_parse_positive(r->perplexity, "--perplexity", &o->perplexity);

    if (!status) status = cli_parse_positive(r->exaggeration, "--exaggeration", &o->exaggeration);
    if (!status) status = cli_parse_positive(r->learning_rate, "--learning-rate", &o->learning_rate);
    if (!r->steps) r->steps = 1000;
    o->size = sizeof *o, o->iterations = r->steps, o->seed = r->seed_number, o->distance = r->distance;
    o->progress = progress, o->progress_user = &r->steps;
    return status;
}

static quern_status place_tsne(request *r, quern_context *context, quern_view x, quern_view y)
{
    r->tsne_report.size = sizeof r->tsne_report;
    return quern_tsne(context, x, y, &r->tsne, &r->tsne_report);
}

static json_t *tell_tsne(const request *r)
{
    return json_pack("{s:o, s:i, s:I}", "divergence", cli_json_number(r->tsne_report.divergence), "iterations",
                     r->tsne_report.iterations, "edges", (json_int_t)r->tsne_report.edges);
}

static const method tsne = {"tsne", parse_tsne, place_tsne, tell_tsne};

/* ---- UMAP ------------------------------------------------------------------------------------------------------- */

static quern_status parse_umap(request *r)
{
    quern_umap_options *o = &r->umap;
    int64_t neighbors = 0;
    quern_status status = cli_parse_count(r->neighbors, "--neighbors", &neighbors);

    if (!status) status = cli_parse_number(r->min_dist, "--min-dist", &o->min_dist);
    if (!status && o->min_dist < 0)
        status = cli_fail(QUERN_USAGE, "--min-dist is %s; it must be at least 0", r->min_dist);
    if (!status && r->min_dist && o->min_dist == 0) o->min_dist = -1;
    if (!status) status = cli_parse_positive(r->repulsion, "--repulsion", &o->repulsion);
    if (!status) status = cli_parse_positive(r->learning_rate, "--learning-rate", &o->learning_rate);
    if (!r->steps) r->steps = 500;
    o->neighbors = neighbors > INT32_MAX ? INT32_MAX : (int)neighbors;
    o->size = sizeof *o, o->iterations = r->steps, o->seed = r->seed_number, o->distance = r->distance;
    o->progress = progress, o->progress_user = &r->steps;
    return status;
}

static quern_status place_umap(request *r, quern_context *context, quern_view x, quern_view y)
{
    r->umap_report.size = sizeof r->umap_report;
    return quern_umap(context, x, y, &r->umap, &r->umap_report);
}

static json_t *tell_umap(const request *r)
{
    const quern_umap_report *report = &r->umap_report;
    return json_pack("{s:o, s:o, s:o, s:i, s:I}", "loss", cli_json_number(report->loss), "a",
                     cli_json_number(report->a), "b", cli_json_number(report->b), "iterations", report->iterations,
                     "edges", (json_int_t)report->edges);
}

static const method umap = {"umap", parse_umap, place_umap, tell_umap};

/* ---- both ------------------------------------------------------------------------------------------------------- */

static quern_status parse_shared(request *r)
{
    int64_t iterations = 0;
    quern_status status = cli_parse_dtype(r->dtype_text, &r->dtype);

    if (!status) status = cli_parse_count(r->iterations, "--iterations", &iterations);
    if (!status) status = cli_parse_count(r->dimensions, "--dimensions", &r->columns);
    if (!status) status = cli_parse_seed(r->seed, &r->seed_number);
    if (!r->columns) r->columns = 2;
    if (!status && r->columns > 3)
        status = cli_fail(QUERN_USAGE, "--dimensions takes 1, 2 or 3, not %lld", (long long)r->columns);
    r->steps = iterations > 1000000000 ? 1000000000 : (int)iterations;
    return status;
}

static quern_status print_json(const request *r, const method *how, quern_context *context, quern_view x, quern_view y)
{
    double worth = NAN;

    if (x.rows > 2 * WORTH_NEIGHBORS && quern_trustworthiness(&worth, context, x, y, WORTH_NEIGHBORS))
        return cli_fail_quern(quern_last_error()->status, NULL);
    json_t *root = how->tell(r);
    json_object_set_new(root, "trustworthiness", cli_json_number(worth));
    return cli_print_json(root, 2);
}

/* The places, in the colours of the labels, if there are any. */
static quern_status plot(const request *r, quern_view places, quern_view labels)
{
    return cli_label_plot(r->plot, places, labels.data ? labels : quern_i64(NULL, 0, 1));
}

static quern_status place(request *r, const method *how, quern_view x, quern_view labels)
{
    quern_context *context = NULL;
    quern_view y = x;
    quern_status status = cli_open(&context, &r->open);

    y.columns = r->columns, y.stride = 0;
    y.data = calloc((size_t)(y.rows * y.columns) + 1, sizeof(double));
    if (!status && !y.data) status = cli_fail_memory();
    if (!status) {
        status = how->place(r, context, x, y);
        cli_progress_clear();
        if (status) cli_fail_quern(status, NULL);
    }
    quern_value value = {.name = "", .axis = 'i', .dim = r->columns};
    cli_results results = {&y, &value, 1};
    if (!status && r->json) status = print_json(r, how, context, x, y);
    if (!status && !r->json && !r->outputs.count && !r->plot) status = cli_results_print(&results);
    if (!status) status = cli_outputs_write(&r->outputs, &results);
    if (!status && r->plot) status = plot(r, y, labels);
    free(y.data);
    quern_context_destroy(&context);
    return status;
}

/* x, and labels for the colours of a picture. */
static quern_status find_arrays(const cli_inputs *inputs, quern_view *x, quern_view *labels)
{
    for (size_t k = 0; k < inputs->count; k++) {
        quern_view *view = !strcmp(inputs->args[k].name, "x")        ? x
                           : !strcmp(inputs->args[k].name, "labels") ? labels
                                                                     : NULL;
        if (!view) return cli_fail(QUERN_NAME, "there is no %s; arrays are x and labels", inputs->args[k].name);
        *view = inputs->args[k].view;
    }
    if (!x->data) return cli_fail(QUERN_MISSING, "there are no points x");
    if (labels->data && (labels->columns != 1 || labels->rows != x->rows))
        return cli_fail(QUERN_SHAPE, "labels has %lld x %lld numbers, and there are %lld points",
                        (long long)labels->rows, (long long)labels->columns, (long long)x->rows);
    return QUERN_OK;
}

static quern_status run(int argc, char **argv, const method *how, const cli_option *options, size_t count)
{
    const cli_points known = {
        .names = (const char *[]){"x", "labels", NULL}, .plain = 1, .whole = (const char *[]){"labels", NULL}};
    request r = {.open.progress = false};
    quern_view x = {0}, labels = {0};
    cli_inputs inputs = {0};
    quern_status status = cli_parse(argc, argv, options, count, &r, &r.words);

    if (!status) status = parse_shared(&r);
    if (!status) status = how->parse(&r);
    if (!status) status = cli_output_check(&r.outputs, "table of places");
    if (!status) status = cli_plot_check(r.plot, &r.outputs);
    if (!status && (r.words.count < 1 || r.words.count > 2))
        status =
            cli_fail(QUERN_USAGE, "%s needs one file of points: quern %s x.npy -o places.npy", how->name, how->name);
    if (!status) status = cli_points_read(&inputs, &r.words, &known, r.dtype);
    if (!status) status = find_arrays(&inputs, &x, &labels);
    if (!status) status = place(&r, how, x, labels);
    cli_inputs_free(&inputs);
    free(r.words.items);
    free(r.outputs.items);
    return status;
}

static quern_status run_tsne(int argc, char **argv)
{
    return run(argc, argv, &tsne, tsne_options, CLI_COUNT(tsne_options));
}

static quern_status run_umap(int argc, char **argv)
{
    return run(argc, argv, &umap, umap_options, CLI_COUNT(umap_options));
}

/* clang-format off */
#define TEXT \
    "X are points, one a row, given as a value to `quern eval`. Neighbours attract each other, all points repel\n" \
    "each other, and the places where both are in balance are written: one row a point. L, a whole number for each, are\n" \
    "the colours of a picture.\n"
/* clang-format on */
#define NOTES "The trustworthiness that --json prints counts 12 neighbours: 1 if those in the picture are those of x.\n"

const cli_command cli_tsne = {
    .name = "tsne",
    .run = run_tsne,
    .sentence = "points of many dimensions in a picture of two: exact t-SNE",
    .examples = "quern tsne x.npy -o places.npy --json\n"
                "quern tsne x.csv -o places.csv --perplexity 50 --distance 'Sum(Abs(x-y))'\n",
    .synopsis = "X [labels=L] [options]",
    .text = TEXT,
    .notes = NOTES,
    .options = tsne_options,
    .option_count = CLI_COUNT(tsne_options),
};

const cli_command cli_umap = {
    .name = "umap",
    .run = run_umap,
    .sentence = "points of many dimensions in a picture of two: UMAP, with exact repulsion",
    .examples = "quern umap x.npy -o places.npy --json\n"
                "quern umap x.csv -o places.csv --neighbors 30 --min-dist 0\n",
    .synopsis = "X [labels=L] [options]",
    .text = TEXT,
    .notes = NOTES,
    .options = umap_options,
    .option_count = CLI_COUNT(umap_options),
};
