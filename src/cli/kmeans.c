/*
 * kmeans.c: `quern kmeans`: clusters of points, on .npy files and tables.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "label_plot.h"
#include "plot.h"
#include "quern/kmeans.h"

typedef struct request {
    const char *clusters, *distance, *start, *restarts, *iterations, *tolerance, *batch, *seed, *dtype_text;
    const char *centroids, *plot; /* where they are written */
    quern_dtype dtype;
    int64_t k;
    cli_list words, outputs;
    cli_opening open;
    bool json;
} request;

static const cli_option options[] = {
    {"-k", CLI_TEXT, offsetof(request, clusters), "N", "how many clusters; with start=FILE as many as it has rows"},
    {"-o", CLI_LIST, offsetof(request, outputs), "FILE", "write the labels there, as `quern eval` writes results"},
    {"--centroids", CLI_TEXT, offsetof(request, centroids), "FILE", "write the centroids there"},
    {"--json", CLI_FLAG, offsetof(request, json), "",
     "print {\"inertia\", \"iterations\", \"converged\", \"moved\", \"reseeded\", \"empty\", \"start\",\n\"computed\", \"sizes\"}"},
    CLI_LABEL_PLOT(request),
    {"--distance", CLI_TEXT, offsetof(request, distance), "FORMULA",
     "of a point x and a centroid y; SqDist(x,y) without it"},
    {"--start", CLI_TEXT, offsetof(request, start), "plus-plus|random", "how first centroids are drawn"},
    {"--restarts", CLI_TEXT, offsetof(request, restarts), "N", "of which the best counts; 1 without it"},
    {"--iterations", CLI_TEXT, offsetof(request, iterations), "N", "of a start, at most; 300 without it"},
    {"--tolerance", CLI_TEXT, offsetof(request, tolerance), "X",
     "stop when the squares of centroids' moves sum to X mean variances; else when no label changes"},
    {"--batch", CLI_TEXT, offsetof(request, batch), "N", "mini-batches of so many points"},
    {"--seed", CLI_TEXT, offsetof(request, seed), "N", "of what is drawn"},
    {"--dtype", CLI_TEXT, offsetof(request, dtype_text), "f32|f64", "convert all arrays to this type first"},
    CLI_DEVICE(request),
    CLI_QUIET(request),
    CLI_VERBOSE(request),
};

static bool progress(void *unused, int64_t iteration, double inertia)
{
    (void)unused;
    if (cli_progress_wanted()) fprintf(stderr, "\r%6" PRId64 " steps, inertia %-14.7g\r", iteration, inertia);
    return false;
}

static quern_status parse_options(request *r, quern_kmeans_options *o)
{
    int start = 0;
    quern_status status = cli_parse_dtype(r->dtype_text, &r->dtype);

    if (!status) status = cli_parse_count(r->clusters, "-k", &r->k);
    if (!status) status = cli_parse_count(r->restarts, "--restarts", &o->restarts);
    if (!status) status = cli_parse_count(r->iterations, "--iterations", &o->iterations);
    if (!status) status = cli_parse_number(r->tolerance, "--tolerance", &o->tolerance);
    if (!status) status = cli_parse_count(r->batch, "--batch", &o->batch);
    if (!status) status = cli_parse_seed(r->seed, &o->seed);
    if (!status) status = cli_parse_choice(r->start, "--start", options, CLI_COUNT(options), &start);
    if (!status) status = cli_output_check(&r->outputs, "array of labels");
    o->start = (quern_kmeans_start)start;
    o->distance = r->distance, o->progress = progress;
    return status;
}

/* The points; weights and centroids to begin with, where they are given. */
static quern_status find_arrays(request *r, const cli_inputs *inputs, quern_kmeans_options *o, quern_view *x,
                                quern_view *start)
{
    const struct {
        const char *name;
        quern_view *view;
    } known[] = {{"x", x}, {"weights", &o->weights}, {"start", start}};

    for (size_t k = 0; k < inputs->count; k++) {
        size_t n = 0;
        while (n < CLI_COUNT(known) && strcmp(inputs->args[k].name, known[n].name)) n++;
        if (n == CLI_COUNT(known))
            return cli_fail(QUERN_NAME, "there is no %s; arrays are x, weights and start", inputs->args[k].name);
        *known[n].view = inputs->args[k].view;
    }
    if (!x->data) return cli_fail(QUERN_MISSING, "kmeans needs points: quern kmeans x.npy -k 10 -o labels.npy");
    if (start->data) {
        if (r->k && r->k != start->rows)
            return cli_fail(QUERN_SHAPE, "-k is %" PRId64 ", and start has %" PRId64 " rows", r->k, start->rows);
        if (r->start || r->restarts)
            return cli_fail(QUERN_USAGE, "start says where centroids begin, which %s does not go with",
                            r->start ? "--start" : "--restarts");
        r->k = start->rows, o->start = QUERN_START_GIVEN;
    }
    return r->k ? QUERN_OK : cli_fail(QUERN_MISSING, "how many clusters? add -k N");
}

static quern_status print_json(const request *r, const quern_kmeans_report *report, quern_view labels)
{
    json_t *sizes = json_array();
    int64_t *count = calloc((size_t)r->k, sizeof *count);

    for (int64_t i = 0; count && i < labels.rows; i++) count[((int64_t *)labels.data)[i]]++;
    for (int64_t c = 0; count && c < r->k; c++) json_array_append_new(sizes, json_integer((json_int_t)count[c]));
    free(count);
    return cli_print_json(json_pack("{s:o, s:I, s:b, s:o, s:I, s:I, s:I, s:I, s:o}", "inertia",
                                    cli_json_number(report->inertia), "iterations", (json_int_t)report->iterations,
                                    "converged", report->converged, "moved", cli_json_number(report->moved), "reseeded",
                                    (json_int_t)report->reseeded, "empty", (json_int_t)report->empty, "start",
                                    (json_int_t)report->start, "computed", (json_int_t)report->computed, "sizes",
                                    sizes),
                          2);
}

static quern_status check_paths(const request *r)
{
    const char *paths[2];
    const cli_list files = cli_paths_of(paths, &r->outputs, r->centroids);
    quern_status status = cli_outputs_check(&files);

    return status ? status : cli_plot_check(r->plot, &files);
}

static quern_status show(const request *r, const quern_kmeans_report *report, quern_view labels, quern_view centroids)
{
    quern_view views[2] = {labels, centroids};
    quern_value value = {.name = "", .axis = 'i', .dim = 1, .integer = true};
    cli_results results = {views, &value, 1};
    const char *paths[2];
    const cli_list files = cli_paths_of(paths, &r->outputs, r->centroids);

    if (!r->json && !r->outputs.count && !r->plot) {
        quern_status status = cli_results_print(&results);
        if (status) return status;
    }
    if (r->json) {
        quern_status status = print_json(r, report, labels);
        if (status) return status;
    }
    if (!r->outputs.count) views[0] = centroids;
    results.count = files.count;
    return cli_outputs_write(&files, &results);
}

static quern_status cluster(const request *r, quern_context *context, const quern_kmeans_options *o, quern_view x,
                            quern_view start)
{
    if (r->k > x.rows)
        return cli_fail(QUERN_SHAPE, "%" PRId64 " clusters of %" PRId64 " points cannot be", r->k, x.rows);
    quern_kmeans_report report = QUERN_DEFAULTS(quern_kmeans_report);
    quern_view labels = quern_view_of(calloc((size_t)x.rows + 1, sizeof(int64_t)), QUERN_I64, x.rows, 1);
    quern_view centroids =
        quern_view_of(calloc((size_t)(r->k * x.columns) + 1, sizeof(double)), x.dtype, r->k, x.columns);
    quern_status status = labels.data && centroids.data ? QUERN_OK : cli_fail_memory();

    if (!status && start.data && start.columns != x.columns)
        status = cli_fail(QUERN_SHAPE, "start has %" PRId64 " columns, x %" PRId64, start.columns, x.columns);
    if (!status && start.data)
        memcpy(centroids.data, start.data, (size_t)(r->k * x.columns) * cli_element_size(x.dtype));
    if (!status) {
        status = quern_kmeans(context, x, centroids, labels, o, &report);
        cli_progress_clear();
        if (status) cli_fail_quern(status, NULL);
    }
    if (!status && report.empty)
        cli_note("%" PRId64 " cluster%s no points: fewer points differ", report.empty,
                 report.empty == 1 ? " has" : "s have");
    if (!status && !report.converged && !o->batch)
        cli_note("labels still change after %" PRId64 " step%s; allow more by --iterations", report.iterations,
                 CLI_S(report.iterations));
    if (!status) status = show(r, &report, labels, centroids);
    if (!status && r->plot) status = cli_label_plot(r->plot, x, labels);
    free(labels.data), free(centroids.data);
    return status;
}

static quern_status run(int argc, char **argv)
{
    request r = {.open.progress = false};
    quern_kmeans_options o = QUERN_DEFAULTS(quern_kmeans_options);
    quern_view x = {0}, start = {0};
    const cli_points known = {.names = (const char *[]){"x", "weights", "start", NULL}, .plain = 1};
    cli_inputs inputs = {0};
    quern_context *context = NULL;
    quern_status status = cli_parse(argc, argv, options, CLI_COUNT(options), &r, &r.words);

    if (!status) status = parse_options(&r, &o);
    if (!status) status = check_paths(&r);
    if (!status) status = cli_points_read(&inputs, &r.words, &known, r.dtype);
    if (!status) status = find_arrays(&r, &inputs, &o, &x, &start);
    if (!status) status = cli_open(&context, &r.open);
    if (!status) status = cluster(&r, context, &o, x, start);
    quern_context_destroy(&context);
    cli_inputs_free(&inputs);
    free(r.words.items);
    free(r.outputs.items);
    return status;
}

const cli_command cli_kmeans = {
    .name = "kmeans",
    .run = run,
    .sentence = "clusters of points by k-means, with any distance",
    .examples = "quern kmeans x.npy -k 10 -o labels.npy --centroids c.npy --json\n"
                "quern kmeans x.csv -k 3 --restarts 10 --distance 'Sum(Abs(x-y))' weights=w.csv\n",
    .synopsis = "X [weights=W] [start=C] [options]",
    .text =
        "X are points, one a row, given as a value to `quern eval`; W their weights, C centroids to begin with. Prints\n"
        "the cluster of each point, counted from 0.\n",
    .notes =
        "The inertia is the sum of the distances of points to their centroids; `computed` is how many distances were computed.\n",
    .options = options,
    .option_count = CLI_COUNT(options),
};
