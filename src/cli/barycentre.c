/*
 * barycentre.c: `quern barycentre`: means of densities on a grid, and of clouds of points, in the sense of optimal transport.
 */
#include "quern/barycentre.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "grids.h"

typedef struct request {
    const char *points, *blur, *tolerance, *iterations, *dtype_text;
    quern_dtype dtype;
    cli_gridding grids;
    cli_list words, outputs;
    cli_opening open;
    bool json, entropic;
} request;

static const cli_option options[] = {
    {"-o", CLI_LIST, offsetof(request, outputs), "FILE",
     "write the mean there, as `quern eval` writes results, or of a grid of two axes as a picture\n"
     "(.png)"},
    {"--json", CLI_FLAG, offsetof(request, json), "", "print {\"iterations\", \"change\", \"converged\"}"},
    {"--points", CLI_TEXT, offsetof(request, points), "N",
     "of the mean of clouds; as many as the first has without it"},
    CLI_GRID(request),
    CLI_SPACING(request),
    CLI_DARK(request),
    CLI_NORMALIZE(request),
    {"--blur", CLI_TEXT, offsetof(request, blur), "LENGTH", "of the regularisation; 0.05 without it"},
    {"--entropic", CLI_FLAG, offsetof(request, entropic), "",
     "without debiasing: the mean is as blurred as the plans are"},
    {"--tolerance", CLI_TEXT, offsetof(request, tolerance), "X",
     "stop when a step changes this part of the mass, or moves points by this part of the blur;\n"
     "1e-3 without it"},
    {"--iterations", CLI_TEXT, offsetof(request, iterations), "N", "steps at most"},
    {"--dtype", CLI_TEXT, offsetof(request, dtype_text), "f32|f64", "of the arrays when they are read"},
    CLI_DEVICE(request),
    CLI_QUIET(request),
    CLI_VERBOSE(request),
};

/* ---- what is given ---------------------------------------------------------------------------------------------- */

/* Densities or clouds, and their weights apart. */
typedef struct given {
    cli_inputs inputs;
    cli_inputs means; /* the same without the weights; borrowed */
    double *weights;  /* null: equal */
} given;

static quern_status read_weights(given *g, const quern_view *view)
{
    size_t count = (size_t)(view->rows * view->columns);

    if (count != g->means.count)
        return cli_fail(QUERN_SHAPE, "%zu weight%s for %zu densities or clouds", count, CLI_S(count), g->means.count);
    if (!(g->weights = calloc(count + 1, sizeof *g->weights))) return cli_fail_memory();
    for (size_t k = 0; k < count; k++)
        g->weights[k] = view->dtype == QUERN_F32 ? (double)((float *)view->data)[k] : ((double *)view->data)[k];
    return QUERN_OK;
}

/* Puts the weights behind the others. */
static quern_status part_weights(given *g)
{
    cli_inputs *all = &g->inputs;
    size_t at = all->count;

    for (size_t k = 0; k < all->count; k++) {
        const char *name = all->args[k].name;
        if (!strcmp(name, "weights")) at = k;
        else if (name[strspn(name, "0123456789")])
            return cli_fail(QUERN_NAME, "there is no %s: what is averaged has no name, and its weights are `weights`",
                            name);
    }
    bool weights = at < all->count;
    if (weights) {
        quern_arg arg = all->args[at];
        cli_source source = all->sources[at];
        for (size_t l = at; l + 1 < all->count; l++)
            all->args[l] = all->args[l + 1], all->sources[l] = all->sources[l + 1];
        all->args[all->count - 1] = arg, all->sources[all->count - 1] = source;
    }
    g->means = *all;
    g->means.count -= weights;
    if (!g->means.count)
        return cli_fail(QUERN_MISSING, "a barycentre needs densities or clouds: quern barycentre a.npy b.npy");
    return weights ? read_weights(g, &all->args[all->count - 1].view) : QUERN_OK;
}

static quern_status read_words(given *g, const request *r)
{
    enum { NAME = 24 };
    char *memory = calloc(r->words.count + 1, NAME);
    const char **names = calloc(r->words.count + 2, sizeof *names);
    quern_status status = memory && names ? QUERN_OK : cli_fail_memory();

    for (size_t k = 0; k < r->words.count && !status; k++) {
        names[k] = memory + k * NAME;
        snprintf(memory + k * NAME, NAME, "%zu", k + 1);
    }
    if (!status) names[r->words.count] = "weights";
    if (!status)
        status =
            cli_points_read(&g->inputs, &r->words, &(cli_points){.names = names, .plain = r->words.count}, r->dtype);
    free(names), free(memory);
    return status ? status : part_weights(g);
}

static quern_status parse_options(const request *r, quern_transport_options *o, int64_t *points)
{
    int64_t iterations = 0;
    quern_status status = cli_parse_number(r->blur, "--blur", &o->blur);

    if (!status) status = cli_parse_number(r->tolerance, "--tolerance", &o->tolerance);
    if (!status) status = cli_parse_count(r->iterations, "--iterations", &iterations);
    if (!status) status = cli_parse_count(r->points, "--points", points);
    if (!status) status = cli_grids_check(&r->grids);
    if (!status && r->grids.grid && r->points)
        status = cli_fail(QUERN_USAGE, "--points is for clouds; the mean of densities has their grid");
    if (!status && r->grids.normalize && !r->grids.grid)
        status = cli_fail(QUERN_USAGE, "--normalize is for densities; it needs --grid");
    o->debias = r->entropic ? QUERN_OFF : QUERN_AUTO;
    o->iterations = iterations > 1000000000 ? 1000000000 : (int)iterations;
    return status;
}

/* ---- means ------------------------------------------------------------------------------------------------------ */

static quern_status make_mean(quern_view *mean, quern_dtype dtype, int64_t rows, int64_t columns)
{
    *mean = quern_view_of(calloc((size_t)(rows * columns) + 1, cli_element_size(dtype)), dtype, rows, columns);
    return mean->data ? QUERN_OK : cli_fail_memory();
}

static quern_status mean_of_densities(const request *r, quern_context *context, const given *g,
                                      const quern_transport_options *o, quern_view *mean,
                                      quern_barycentre_report *report)
{
    cli_grids grids = {{0}, NULL, 0};
    quern_status status = cli_grids_make(&grids, &g->means, &r->grids);

    if (!status) status = make_mean(mean, grids.views[0].dtype, grids.views[0].rows, 1);
    if (!status) {
        cli_progress_begin();
        status = quern_barycentre_grid(context, &grids.grid, grids.views, g->weights, grids.count, o, *mean, report);
        cli_progress_end();
        if (status) cli_fail_quern(status, NULL);
    }
    *mean = cli_grids_shaped(&grids.grid, *mean);
    cli_grids_free(&grids);
    return status;
}

/* Points of all clouds, as far apart in their rows as fills the mean. */
static void choose_points(quern_view *mean, const given *g)
{
    size_t size = cli_element_size(mean->dtype) * (size_t)mean->columns;
    int64_t all = 0, before = 0, k = 0;

    for (size_t n = 0; n < g->means.count; n++) all += g->means.args[n].view.rows;
    for (size_t n = 0; n < g->means.count; n++) {
        const quern_view *view = &g->means.args[n].view;
        for (; k < mean->rows && k * all / mean->rows < before + view->rows; k++)
            memcpy((char *)mean->data + (size_t)k * size,
                   (const char *)view->data + (size_t)(k * all / mean->rows - before) * size, size);
        before += view->rows;
    }
}

/* Points, of the columns and the type of the first cloud. */
static quern_status check_cloud(const cli_inputs *clouds, size_t k)
{
    const quern_view *view = &clouds->args[k].view, *first = &clouds->args[0].view;
    const char *name = clouds->args[k].name;

    if (view->batch[0]) return cli_fail(QUERN_SHAPE, "%s has more than two axes; a cloud is a point a row", name);
    if (!view->rows) return cli_fail(QUERN_SHAPE, "%s has no points", name);
    if (view->columns != first->columns)
        return cli_fail(QUERN_SHAPE, "points of %s have %lld coordinates, of %s %lld", clouds->args[0].name,
                        (long long)first->columns, name, (long long)view->columns);
    if (view->dtype != first->dtype)
        return cli_fail(QUERN_DTYPE, "%s and %s are of different types; --dtype makes them the same",
                        clouds->args[0].name, name);
    return QUERN_OK;
}

static quern_status mean_of_clouds(quern_context *context, const given *g, const quern_transport_options *o,
                                   int64_t rows, quern_view *mean, quern_barycentre_report *report)
{
    const quern_view *first = &g->means.args[0].view;
    quern_view *clouds = calloc(g->means.count, sizeof *clouds);
    quern_status status = clouds ? QUERN_OK : cli_fail_memory();

    for (size_t k = 0; k < g->means.count && !status; k++) {
        clouds[k] = g->means.args[k].view;
        status = check_cloud(&g->means, k);
    }
    if (!status) status = make_mean(mean, first->dtype, rows ? rows : first->rows, first->columns);
    if (!status) {
        choose_points(mean, g);
        cli_progress_begin();
        status = quern_barycentre_cloud(context, clouds, NULL, g->weights, g->means.count, o, *mean, report);
        cli_progress_end();
        if (status) cli_fail_quern(status, NULL);
    }
    free(clouds);
    return status;
}

/* Dark pixels are the mass. */
static void darken(quern_view *mean)
{
    quern_view flat = cli_flat(mean);
    size_t count = (size_t)(flat.rows * flat.columns);
    float *single = flat.data;
    double *wide = flat.data, most = 0;

    for (size_t k = 0; k < count; k++) {
        double number = flat.dtype == QUERN_F32 ? (double)single[k] : wide[k];
        if (number > most) most = number;
    }
    for (size_t k = 0; k < count; k++)
        if (flat.dtype == QUERN_F32) single[k] = (float)(most - (double)single[k]);
        else wide[k] = most - wide[k];
}

static quern_status print(const request *r, quern_view *mean, const quern_barycentre_report *report)
{
    quern_value value = {.name = "", .axis = 'i', .dim = mean->columns};
    cli_results results = {mean, &value, 1};
    quern_status status = QUERN_OK;

    if (!report->converged)
        cli_note("the last of %d steps changes %.2g; allow more by --iterations", report->iterations, report->change);
    if (r->json)
        status = cli_print_json(json_pack("{s:i, s:o, s:b}", "iterations", report->iterations, "change",
                                          cli_json_number(report->change), "converged", report->converged),
                                2);
    else if (!r->outputs.count) status = cli_results_print(&results);
    if (!status && r->grids.dark && r->outputs.count && cli_is_picture(r->outputs.items[0])) darken(mean);
    return status ? status : cli_outputs_write(&r->outputs, &results);
}

static quern_status run(int argc, char **argv)
{
    request r = {.open.progress = true};
    quern_transport_options o = QUERN_DEFAULTS(quern_transport_options);
    quern_barycentre_report report = {0};
    given g = {0};
    quern_context *context = NULL;
    quern_view mean = {0};
    int64_t points = 0;
    quern_status status = cli_parse(argc, argv, options, CLI_COUNT(options), &r, &r.words);

    if (!status) status = cli_parse_dtype(r.dtype_text, &r.dtype);
    if (!status) status = parse_options(&r, &o, &points);
    if (!status) status = cli_output_check(&r.outputs, "mean");
    if (!status) status = read_words(&g, &r);
    if (!status) status = cli_open(&context, &r.open);
    if (!status)
        status = r.grids.grid ? mean_of_densities(&r, context, &g, &o, &mean, &report)
                              : mean_of_clouds(context, &g, &o, points, &mean, &report);
    if (!status) status = print(&r, &mean, &report);
    quern_context_destroy(&context);
    cli_inputs_free(&g.inputs);
    free(g.weights);
    free(mean.data);
    free(r.words.items);
    free(r.outputs.items);
    return status;
}

const cli_command cli_barycentre = {
    .name = "barycentre",
    .run = run,
    .sentence = "means of densities and of point clouds in the sense of optimal transport",
    .examples = "quern barycentre a.png b.png weights=1,3 --grid -o mean.png\n"
                "quern barycentre a.npy b.npy c.npy --grid --normalize --blur 0.02 -o mean.npy\n"
                "quern barycentre x.npy y.npy --points 500 -o mean.npy\n",
    .synopsis = "A B ... [weights=LIST] [options]",
    .text =
        "A, B and so on are clouds, one point a row, or with --grid densities of one mass on one grid, given as values\n"
        "to `quern eval`; numbers are points on a line. All count the same without weights.\n"
        "Prints or writes the mean: a density, or points of equal mass, which move from some of those that are given.\n",
    .options = options,
    .option_count = CLI_COUNT(options),
};
