/*
 * density_clusters.c: `quern dbscan` and `quern meanshift`: clusters where points are dense, on .npy files and tables. The two differ
 * in their numbers and in what is asked of the library; the rest is shared.
 */
#include "quern/density_clusters.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "label_plot.h"
#include "plot.h"

typedef struct request {
    const char *radius_text, *neighbors_text, *distance;    /* dbscan */
    const char *bandwidth, *iterations, *tolerance, *peaks; /* meanshift */
    const char *plot, *dtype_text;
    double radius;
    int64_t neighbors;
    quern_mean_shift_options shift;
    quern_dtype dtype;
    cli_list words, outputs;
    cli_opening open;
    bool json;
} request;

#define SHARED                                                                                                      \
    {"-o", CLI_LIST, offsetof(request, outputs), "FILE", "write the labels there, as `quern eval` writes results"}, \
        CLI_LABEL_PLOT(request),                                                                                    \
        {"--dtype", CLI_TEXT, offsetof(request, dtype_text), "f32|f64", "convert the points to this type first"},   \
        CLI_DEVICE(request), CLI_QUIET(request), CLI_VERBOSE(request)

static const cli_option dbscan_options[] = {
    {"--radius", CLI_TEXT, offsetof(request, radius_text), "X", "within which points are neighbours"},
    {"--neighbors", CLI_TEXT, offsetof(request, neighbors_text), "N",
     "of a core point, itself among them, at least; 5 without it"},
    {"--distance", CLI_TEXT, offsetof(request, distance), "FORMULA",
     "of points x and y, symmetric; Norm2(x-y) without it"},
    {"--json", CLI_FLAG, offsetof(request, json), "",
     "print {\"clusters\", \"core\", \"noise\", \"passes\", \"sizes\"}"},
    SHARED,
};

static const cli_option meanshift_options[] = {
    {"--bandwidth", CLI_TEXT, offsetof(request, bandwidth), "X",
     "the standard deviation of the Gaussian around a point"},
    {"--peaks", CLI_TEXT, offsetof(request, peaks), "FILE", "write there where each point went"},
    {"--iterations", CLI_TEXT, offsetof(request, iterations), "N", "passes at most; 300 without it"},
    {"--tolerance", CLI_TEXT, offsetof(request, tolerance), "X",
     "stop when no point moves further, in bandwidths; 0.001 without it"},
    {"--json", CLI_FLAG, offsetof(request, json), "", "print {\"clusters\", \"passes\", \"converged\", \"sizes\"}"},
    SHARED,
};

static quern_status print_json(const request *r, const quern_density_clusters_report *report, quern_view labels)
{
    json_t *sizes = json_array(), *root;
    int64_t *count = calloc((size_t)report->clusters + 1, sizeof *count);

    for (int64_t i = 0; count && i < labels.rows; i++)
        if (((int64_t *)labels.data)[i] >= 0) count[((int64_t *)labels.data)[i]]++;
    for (int64_t c = 0; count && c < report->clusters; c++)
        json_array_append_new(sizes, json_integer((json_int_t)count[c]));
    free(count);
    if (r->shift.bandwidth > 0)
        root = json_pack("{s:I, s:I, s:b, s:o}", "clusters", (json_int_t)report->clusters, "passes",
                         (json_int_t)report->passes, "converged", report->converged, "sizes", sizes);
    else
        root = json_pack("{s:I, s:I, s:I, s:I, s:o}", "clusters", (json_int_t)report->clusters, "core",
                         (json_int_t)report->core, "noise", (json_int_t)report->noise, "passes",
                         (json_int_t)report->passes, "sizes", sizes);
    return cli_print_json(root, 2);
}

/* Labels to their file, or printed where nothing else is asked for; peaks to theirs. */
static quern_status show(const request *r, const quern_density_clusters_report *report, quern_view x, quern_view labels,
                         quern_view peaks)
{
    quern_view views[2] = {labels, peaks};
    quern_value value = {.name = "", .axis = 'i', .dim = 1, .integer = true};
    cli_results results = {views, &value, 1};
    const char *paths[2];
    const cli_list files = cli_paths_of(paths, &r->outputs, r->peaks);
    quern_status status = QUERN_OK;

    if (r->json) status = print_json(r, report, labels);
    else if (!files.count && !r->plot) status = cli_results_print(&results);
    if (!r->outputs.count) views[0] = peaks;
    results.count = files.count;
    if (!status) status = cli_outputs_write(&files, &results);
    return !status && r->plot ? cli_label_plot(r->plot, x, labels) : status;
}

static quern_status cluster(const request *r, quern_view x)
{
    quern_context *context = NULL;
    quern_density_clusters_report report = QUERN_DEFAULTS(quern_density_clusters_report);
    quern_view labels = quern_i64(calloc((size_t)x.rows + 1, sizeof(int64_t)), x.rows, 1), peaks = x;
    quern_status status = cli_open(&context, &r->open);

    peaks.stride = 0, peaks.data = calloc((size_t)(x.rows * x.columns) + 1, sizeof(double));
    if (!status && (!labels.data || !peaks.data)) status = cli_fail_memory();
    if (!status) {
        status = r->shift.bandwidth > 0
                     ? quern_mean_shift(context, x, labels, peaks, &r->shift, &report)
                     : quern_dbscan(context, x, r->radius, r->neighbors, labels, r->distance, &report);
        cli_progress_clear();
        if (status) cli_fail_quern(status, NULL);
    }
    if (!status && r->shift.bandwidth > 0 && !report.converged)
        cli_note("points still move after %" PRId64 " pass%s; allow more by --iterations", report.passes,
                 report.passes == 1 ? "" : "es");
    if (!status) status = show(r, &report, x, labels, peaks);
    free(labels.data), free(peaks.data);
    quern_context_destroy(&context);
    return status;
}

/* What both do once their own numbers are read. */
static quern_status run_parsed(request *r, quern_status status, const char *example)
{
    const cli_points known = {.names = (const char *[]){"x", NULL}, .plain = 1};
    cli_inputs inputs = {0};

    if (!status) status = cli_parse_dtype(r->dtype_text, &r->dtype);
    if (!status) status = cli_output_check(&r->outputs, "array of labels");
    if (!status) {
        const char *paths[2];
        const cli_list files = cli_paths_of(paths, &r->outputs, r->peaks);
        status = cli_outputs_check(&files);
        if (!status) status = cli_plot_check(r->plot, &files);
    }
    if (!status && r->words.count != 1) status = cli_fail(QUERN_MISSING, "one file of points is needed: %s", example);
    if (!status) status = cli_points_read(&inputs, &r->words, &known, r->dtype);
    if (!status && strcmp(inputs.args[0].name, "x"))
        status = cli_fail(QUERN_NAME, "there is no %s; the points are x", inputs.args[0].name);
    if (!status) status = cluster(r, inputs.args[0].view);
    cli_inputs_free(&inputs);
    free(r->words.items);
    free(r->outputs.items);
    return status;
}

static quern_status run_dbscan(int argc, char **argv)
{
    request r = {.open.progress = false, .neighbors = 5};
    quern_status status = cli_parse(argc, argv, dbscan_options, CLI_COUNT(dbscan_options), &r, &r.words);

    if (!status && !r.radius_text) status = cli_fail(QUERN_MISSING, "within which radius? add --radius X");
    if (!status) status = cli_parse_number(r.radius_text, "--radius", &r.radius);
    if (!status && r.neighbors_text) status = cli_parse_count(r.neighbors_text, "--neighbors", &r.neighbors);
    return run_parsed(&r, status, "quern dbscan x.npy --radius 0.1 -o labels.npy");
}

static bool progress(void *unused, int64_t iteration, double moved)
{
    (void)unused;
    if (cli_progress_wanted()) fprintf(stderr, "\r%6" PRId64 " passes, moved %-12.5g bandwidths\r", iteration, moved);
    return false;
}

static quern_status run_meanshift(int argc, char **argv)
{
    request r = {.open.progress = false, .shift = {.size = sizeof r.shift, .progress = progress}};
    quern_status status = cli_parse(argc, argv, meanshift_options, CLI_COUNT(meanshift_options), &r, &r.words);

    if (!status && !r.bandwidth) status = cli_fail(QUERN_MISSING, "which bandwidth? add --bandwidth X");
    if (!status) status = cli_parse_number(r.bandwidth, "--bandwidth", &r.shift.bandwidth);
    if (!status && !(r.shift.bandwidth > 0))
        status = cli_fail(QUERN_USAGE, "--bandwidth is %s; it must be above 0", r.bandwidth);
    if (!status) status = cli_parse_count(r.iterations, "--iterations", &r.shift.iterations);
    if (!status) status = cli_parse_number(r.tolerance, "--tolerance", &r.shift.tolerance);
    return run_parsed(&r, status, "quern meanshift x.npy --bandwidth 0.5 -o labels.npy");
}

/* clang-format off */
#define WHERE \
    "X are points, one a row, given as a value to `quern eval`. Prints the cluster of each point, counted from 0\n" \
    "in the order of their first points"
/* clang-format on */

const cli_command cli_dbscan = {
    .name = "dbscan",
    .run = run_dbscan,
    .sentence = "clusters that are dense and hang together, and points in none",
    .examples = "quern dbscan x.npy --radius 0.1 --neighbors 10 -o labels.npy --json\n"
                "quern dbscan x.csv --radius 0.3 --plot clusters.svg\n",
    .synopsis = "X --radius R [options]",
    .text = WHERE "; -1: in no cluster.\n",
    .notes =
        "A point with N points within the radius is a core point; core points within the radius of each other are in one\n"
        "cluster, and so are the points within their radius.\n",
    .options = dbscan_options,
    .option_count = CLI_COUNT(dbscan_options),
};

const cli_command cli_meanshift = {
    .name = "meanshift",
    .run = run_meanshift,
    .sentence = "clusters of points that climb to one peak of their density",
    .examples = "quern meanshift x.npy --bandwidth 0.5 -o labels.npy --peaks p.npy --json\n"
                "quern meanshift x.csv --bandwidth 0.5 --plot clusters.svg\n",
    .synopsis = "X --bandwidth H [options]",
    .text = WHERE ".\n",
    .notes = "Each pass compares all pairs. Points whose peaks are within half a bandwidth are in one cluster.\n",
    .options = meanshift_options,
    .option_count = CLI_COUNT(meanshift_options),
};
