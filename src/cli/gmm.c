/*
 * gmm.c: `quern gmm`: mixtures of Gaussians, on .npy files and tables.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "label_plot.h"
#include "plot.h"
#include "quern/mixture.h"

enum { PARTS = 5 };

typedef struct request {
    const char *components, *covariance, *regularization, *restarts, *iterations, *tolerance, *seed, *dtype_text;
    const char *paths[PARTS]; /* where labels, means, covariances, weights and responsibilities are written */
    quern_dtype dtype;
    int64_t k;
    cli_list words;
    const char *plot;
    cli_opening open;
    bool json;
} request;

static const cli_option options[] = {
    {"-k", CLI_TEXT, offsetof(request, components), "N", "how many components"},
    {"-o", CLI_TEXT, offsetof(request, paths[0]), "FILE", "write the likeliest component of each point there"},
    {"--means", CLI_TEXT, offsetof(request, paths[1]), "FILE", "write the means there"},
    {"--covariances", CLI_TEXT, offsetof(request, paths[2]), "FILE", "write the covariances there, a row a component"},
    {"--weights", CLI_TEXT, offsetof(request, paths[3]), "FILE", "write the weights there"},
    {"--responsibilities", CLI_TEXT, offsetof(request, paths[4]), "FILE",
     "write with which probability each point comes from each component"},
    {"--json", CLI_FLAG, offsetof(request, json), "",
     "print {\"log_likelihood\", \"bic\", \"iterations\", \"converged\", \"degenerate\", \"start\",\n"
     "\"weights\", \"means\"}"},
    CLI_LABEL_PLOT(request),
    {"--covariance", CLI_TEXT, offsetof(request, covariance), "full|diagonal|spherical", "full without it"},
    {"--regularization", CLI_TEXT, offsetof(request, regularization), "X",
     "added to all variances; 1e-6 without it, negative: none"},
    {"--restarts", CLI_TEXT, offsetof(request, restarts), "N", "of which the likeliest counts; 1 without it"},
    {"--iterations", CLI_TEXT, offsetof(request, iterations), "N", "of a start, at most; 100 without it"},
    {"--tolerance", CLI_TEXT, offsetof(request, tolerance), "X",
     "stop when the mean log-likelihood rises by less; 1e-3 without it"},
    {"--seed", CLI_TEXT, offsetof(request, seed), "N", "of the k-means that it begins with"},
    {"--dtype", CLI_TEXT, offsetof(request, dtype_text), "f32|f64", "convert all arrays to this type first"},
    CLI_DEVICE(request),
    CLI_QUIET(request),
    CLI_VERBOSE(request),
};

static bool progress(void *unused, int64_t iteration, double log_likelihood)
{
    (void)unused;
    if (cli_progress_wanted())
        fprintf(stderr, "\r%6" PRId64 " iterations, log-likelihood %-14.7g\r", iteration, log_likelihood);
    return false;
}

static quern_status parse_options(request *r, quern_mixture_options *o)
{
    int kind = 0;
    quern_status status = cli_parse_dtype(r->dtype_text, &r->dtype);

    if (!status) status = cli_parse_count(r->components, "-k", &r->k);
    if (!status) status = cli_parse_number(r->regularization, "--regularization", &o->regularization);
    if (r->regularization && o->regularization == 0) o->regularization = -1;
    if (!status) status = cli_parse_count(r->restarts, "--restarts", &o->restarts);
    if (!status) status = cli_parse_count(r->iterations, "--iterations", &o->iterations);
    if (!status) status = cli_parse_number(r->tolerance, "--tolerance", &o->tolerance);
    if (!status) status = cli_parse_seed(r->seed, &o->seed);
    if (!status) status = cli_parse_choice(r->covariance, "--covariance", options, CLI_COUNT(options), &kind);
    if (!status && !r->k) status = cli_fail(QUERN_MISSING, "how many components? add -k N");
    if (!status && r->words.count != 1)
        status = cli_fail(QUERN_USAGE, "gmm needs one file of points: quern gmm x.npy -k 3 -o labels.npy");
    o->covariance = (quern_covariance)kind, o->progress = progress;
    return status;
}

static json_t *json_row(const double *numbers, int64_t count)
{
    json_t *row = json_array();
    for (int64_t k = 0; k < count; k++) json_array_append_new(row, cli_json_number(numbers[k]));
    return row;
}

static quern_status print_json(const quern_mixture *g)
{
    const quern_mixture_report *report = &g->report;
    json_t *means = json_array();

    for (int64_t c = 0; c < g->components; c++) json_array_append_new(means, json_row(g->means + c * g->dim, g->dim));
    return cli_print_json(json_pack("{s:o, s:o, s:I, s:b, s:I, s:I, s:o, s:o}", "log_likelihood",
                                    cli_json_number(report->log_likelihood), "bic", cli_json_number(report->bic),
                                    "iterations", (json_int_t)report->iterations, "converged", report->converged,
                                    "degenerate", (json_int_t)report->degenerate, "start", (json_int_t)report->start,
                                    "weights", json_row(g->weights, g->components), "means", means),
                          2);
}

/* Labels and responsibilities; all parts that have a file are written, or labels printed if there is nothing else. */
static quern_status show(const request *r, quern_context *context, const quern_mixture *g, quern_view x)
{
    int64_t k = g->components, length = g->covariance == QUERN_COVARIANCE_FULL       ? g->dim * g->dim
                                        : g->covariance == QUERN_COVARIANCE_DIAGONAL ? g->dim
                                                                                     : 1;
    quern_view parts[PARTS] = {quern_i64(calloc((size_t)x.rows + 1, sizeof(int64_t)), x.rows, 1),
                               quern_f64(g->means, k, g->dim), quern_f64(g->covariances, k, length),
                               quern_f64(g->weights, k, 1),
                               quern_view_of(calloc((size_t)(x.rows * k) + 1, sizeof(double)), x.dtype, x.rows, k)};
    quern_view views[PARTS];
    const char *paths[PARTS];
    cli_list files = {paths, 0};
    quern_value value = {.name = "", .axis = 'i', .dim = 1, .integer = true};
    cli_results results = {views, &value, 1};
    quern_status status = parts[0].data && parts[4].data ? QUERN_OK : cli_fail_memory();

    if (!status) {
        status =
            quern_mixture_assign(g, context, x, parts[0], r->paths[4] ? parts[4] : (quern_view){0}, (quern_view){0});
        if (status) cli_fail_quern(status, NULL);
    }
    for (size_t n = 0; n < PARTS; n++)
        if (r->paths[n]) views[files.count] = parts[n], paths[files.count++] = r->paths[n];
    if (!status && r->json) status = print_json(g);
    if (!status && !r->json && !files.count && !r->plot) views[0] = parts[0], status = cli_results_print(&results);
    results.count = files.count;
    if (!status) status = cli_outputs_write(&files, &results);
    if (!status && r->plot) status = cli_label_plot(r->plot, x, parts[0]);
    free(parts[0].data), free(parts[4].data);
    return status;
}

static quern_status fit(const request *r, quern_context *context, const quern_mixture_options *o, quern_view x)
{
    quern_mixture *g = NULL;
    quern_status status = quern_mixture_fit(&g, context, x, r->k, o);

    cli_progress_clear();
    if (status) return cli_fail_quern(status, NULL);
    if (g->report.degenerate)
        cli_note("%" PRId64 " component%s flat: a variance is no more than the regularization", g->report.degenerate,
                 g->report.degenerate == 1 ? " is" : "s are");
    if (!g->report.converged)
        cli_note("the likelihood still rises after %" PRId64 " iteration%s; allow more by --iterations",
                 g->report.iterations, CLI_S(g->report.iterations));
    status = show(r, context, g, x);
    quern_mixture_destroy(&g);
    return status;
}

static quern_status check_paths(const request *r)
{
    const char *paths[PARTS];
    cli_list files = {paths, 0};

    for (size_t n = 0; n < PARTS; n++)
        if (r->paths[n]) paths[files.count++] = r->paths[n];
    quern_status status = cli_outputs_check(&files);
    return status ? status : cli_plot_check(r->plot, &files);
}

static quern_status run(int argc, char **argv)
{
    request r = {.open.progress = false};
    quern_mixture_options o = QUERN_DEFAULTS(quern_mixture_options);
    const cli_points known = {.names = (const char *[]){"x", NULL}, .plain = 1};
    cli_inputs inputs = {0};
    quern_context *context = NULL;
    quern_status status = cli_parse(argc, argv, options, CLI_COUNT(options), &r, &r.words);

    if (!status) status = parse_options(&r, &o);
    if (!status) status = check_paths(&r);
    if (!status) status = cli_points_read(&inputs, &r.words, &known, r.dtype);
    if (!status) status = cli_open(&context, &r.open);
    if (!status) status = fit(&r, context, &o, inputs.args[0].view);
    quern_context_destroy(&context);
    cli_inputs_free(&inputs);
    free(r.words.items);
    return status;
}

const cli_command cli_gmm = {
    .name = "gmm",
    .run = run,
    .sentence = "a mixture of Gaussians that points come from",
    .examples = "quern gmm x.npy -k 3 -o labels.npy --means m.npy --json\n"
                "quern gmm x.csv -k 8 --covariance diagonal --restarts 5 --responsibilities r.csv\n",
    .synopsis = "X -k N [options]",
    .text =
        "X are points, one a row, given as a value to `quern eval`. Prints the likeliest component of each, counted\n"
        "from 0.\n",
    .notes = "The log-likelihood is the mean over the points, in natural logarithms.\n",
    .options = options,
    .option_count = CLI_COUNT(options),
};
