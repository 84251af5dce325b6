/*
 * kde.c: `quern kde`: kernel density estimation on .npy files, tables and numbers.
 *
 * The words become the arguments points, at and w of cli_inputs_read; numbers that are typed are points on a line. A grid is made
 * here, as points to look at, the first coordinate fastest.
 */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "kde_plot.h"
#include "plot.h"
#include "quern/array.h"
#include "quern/density.h"

enum { MOST_DIM = 8 }; /* of a grid */

typedef struct request {
    const char *dtype_text, *kernel, *bandwidth, *shape, *tolerance, *grid, *box, *plot;
    quern_dtype dtype;
    cli_list words, outputs;
    cli_opening open;
    bool json, log, gradient;
} request;

static const cli_option options[] = {
    {"--kernel", CLI_TEXT, offsetof(request, kernel), "gaussian|tophat|epanechnikov|exponential|linear|cosine",
     "or a formula in s, the squared distance in bandwidths; gaussian without it"},
    {"--bandwidth", CLI_TEXT, offsetof(request, bandwidth), "scott|silverman|likelihood",
     "or a number: a length, or what multiplies --shape; scott without it. likelihood: the one\n"
     "under which each point is most likely by the others"},
    {"--shape", CLI_TEXT, offsetof(request, shape), "covariance|deviations|unit",
     "what the bandwidth multiplies; covariance without it, unit (1) where a number is given"},
    {"--grid", CLI_TEXT, offsetof(request, grid), "N[,N...]",
     "look at a grid of so many points along each coordinate; rows are coordinates, then values"},
    {"--box", CLI_TEXT, offsetof(request, box), "A:B[,A:B...]",
     "ends of the grid along each coordinate; without it 3 bandwidths around the points"},
    {"--tolerance", CLI_TEXT, offsetof(request, tolerance), "X",
     "values may be off by this part of themselves: points too far to matter are left out"},
    {"--plot", CLI_TEXT, offsetof(request, plot), "FILE",
     "draw the density of points in one or two dimensions: FILE.svg"},
    {"--log", CLI_FLAG, offsetof(request, log), "", "logarithms of densities"},
    {"--gradient", CLI_FLAG, offsetof(request, gradient), "", "gradients of the logarithm"},
    {"-o", CLI_LIST, offsetof(request, outputs), "FILE", "write the values there, as `quern eval` writes results"},
    {"--json", CLI_FLAG, offsetof(request, json), "",
     "print {points, dim, effective, factor, bandwidth: [[...]], likelihood, passes, touched}"},
    {"--dtype", CLI_TEXT, offsetof(request, dtype_text), "f32|f64", "convert all arrays to this type first"},
    CLI_DEVICE(request),
    CLI_QUIET(request),
    CLI_VERBOSE(request),
};

/* ---- options ---------------------------------------------------------------------------------------------------- */

static quern_status parse_words(const request *r, quern_density_options *o)
{
    static const char *const rules[] = {"scott", "silverman", "likelihood"};
    bool rule = !r->bandwidth;
    int shape;
    quern_status status = cli_parse_choice(r->shape, "--shape", options, CLI_COUNT(options), &shape);

    for (size_t k = 0; k < CLI_COUNT(rules) && !rule; k++)
        if (!strcmp(r->bandwidth, rules[k])) o->rule = (quern_bandwidth_rule)k, rule = true;
    if (r->shape) o->shape = (quern_bandwidth_shape)(QUERN_BANDWIDTH_COVARIANCE + shape);
    if (status || rule) return status;
    char *end;
    o->bandwidth = strtod(r->bandwidth, &end);
    if (end != r->bandwidth && !*end && o->bandwidth > 0 && isfinite(o->bandwidth)) return QUERN_OK;
    return cli_fail(QUERN_USAGE, "--bandwidth takes scott, silverman, likelihood or a number above 0, not '%s'",
                    r->bandwidth);
}

static quern_status parse(int argc, char **argv, request *r, quern_density_options *o)
{
    quern_status status = cli_parse(argc, argv, options, CLI_COUNT(options), r, &r->words);

    o->kernel = r->kernel;
    if (!status) status = cli_parse_dtype(r->dtype_text, &r->dtype);
    if (!status) status = cli_parse_number(r->tolerance, "--tolerance", &o->tolerance);
    if (!status) status = parse_words(r, o);
    if (!status && r->log && r->gradient) status = cli_fail(QUERN_USAGE, "--log and --gradient are two things");
    if (!status && r->box && !r->grid) status = cli_fail(QUERN_USAGE, "--box is of a grid; add --grid N");
    if (!status) status = cli_output_check(&r->outputs, "result");
    return status ? status : cli_plot_check(r->plot, &r->outputs);
}

/* ---- input ------------------------------------------------------------------------------------------------------ */

/* The views of points, places to look at, and weights; the last two may be empty. */
static quern_status find_arrays(const cli_inputs *inputs, quern_view views[3])
{
    static const char *const names[] = {"points", "at", "w"};

    for (size_t k = 0; k < inputs->count; k++) {
        size_t n = 0;
        while (n < 3 && strcmp(inputs->args[k].name, names[n])) n++;
        if (n == 3)
            return cli_fail(QUERN_NAME, "there is no %s; arrays are points, at and w, their weights",
                            inputs->args[k].name);
        views[n] = inputs->args[k].view;
        if (views[n].batch[0]) return cli_fail(QUERN_SHAPE, "%s has more than two axes", names[n]);
    }
    return views[0].data ? QUERN_OK : cli_fail(QUERN_MISSING, "kde needs points: quern kde points.npy");
}

/* ---- grids ------------------------------------------------------------------------------------------------------ */

typedef struct grid {
    int64_t dim, count[MOST_DIM], rows;
    double low[MOST_DIM], high[MOST_DIM];
} grid;

/* One number for all coordinates, or one for each. */
static quern_status parse_counts(grid *g, const char *text)
{
    const char *at = text;
    int64_t given = 0;

    g->rows = 1;
    for (; *at && given < g->dim; given++) {
        char *end;
        long long count = strtoll(at, &end, 10);
        if (end == at || count < 1 || (*end && *end != ',')) break;
        g->count[given] = count;
        at = *end ? end + 1 : end;
    }
    if (*at || (given != 1 && given != g->dim))
        return cli_fail(QUERN_USAGE, "--grid takes a count, or one for each of the %" PRId64 " coordinates, not '%s'",
                        g->dim, text);
    for (int64_t a = 0; a < g->dim; a++) {
        if (given == 1) g->count[a] = g->count[0];
        if (g->count[a] > (INT64_C(1) << 32) / g->rows) return cli_fail(QUERN_LIMIT, "the grid has over 2^32 points");
        g->rows *= g->count[a];
    }
    return QUERN_OK;
}

static quern_status parse_box(grid *g, const char *text)
{
    const char *at = text;

    for (int64_t a = 0; a < g->dim; a++) {
        char *middle, *end;
        g->low[a] = strtod(at, &middle);
        g->high[a] = *middle == ':' ? strtod(middle + 1, &end) : (end = middle, NAN);
        if (middle == at || end == middle + 1 || *end != (a + 1 < g->dim ? ',' : 0) ||
            !isfinite(g->high[a] - g->low[a]))
            return cli_fail(QUERN_USAGE, "--box takes A:B for each of the %" PRId64 " coordinates, not '%s'", g->dim,
                            text);
        at = end + 1;
    }
    return QUERN_OK;
}

/* Three bandwidths around the points. */
static void find_box(grid *g, const quern_view *points, const quern_density_report *report)
{
    for (int64_t a = 0; a < g->dim; a++) {
        double square = 0;
        for (int64_t b = 0; b <= a; b++) square += pow(report->bandwidth[a * g->dim + b], 2);
        g->low[a] = INFINITY, g->high[a] = -INFINITY;
        for (int64_t k = a; k < points->rows * points->columns; k += points->columns) {
            g->low[a] = fmin(g->low[a], cli_element(points, k));
            g->high[a] = fmax(g->high[a], cli_element(points, k));
        }
        g->low[a] -= 3 * sqrt(square), g->high[a] += 3 * sqrt(square);
    }
}

/* Rows of coordinates, in float64; *at is for free(). */
static quern_status make_grid(quern_view *at, const request *r, const quern_view *points,
                              const quern_density_report *report)
{
    grid g = {.dim = points->columns};

    if (g.dim > MOST_DIM) return cli_fail(QUERN_LIMIT, "grids have up to %d coordinates", MOST_DIM);
    quern_status status = parse_counts(&g, r->grid);
    if (!status && r->box) status = parse_box(&g, r->box);
    else find_box(&g, points, report);
    if (status) return status;
    double *x = malloc((size_t)(g.rows * g.dim) * sizeof *x);
    if (!x) return cli_fail_memory();
    for (int64_t k = 0; k < g.rows; k++)
        for (int64_t a = 0, rest = k; a < g.dim; rest /= g.count[a++]) {
            double part = g.count[a] > 1 ? (double)(rest % g.count[a]) / (double)(g.count[a] - 1) : 0.5;
            x[k * g.dim + a] = g.low[a] + part * (g.high[a] - g.low[a]);
        }
    *at = quern_f64(x, g.rows, g.dim);
    return QUERN_OK;
}

/* ---- output ----------------------------------------------------------------------------------------------------- */

static quern_status print_json(const quern_density_report *report, double touched)
{
    json_t *rows = json_array();

    for (int64_t a = 0; a < report->dim; a++) {
        json_t *row = json_array();
        for (int64_t b = 0; b < report->dim; b++)
            json_array_append_new(row, cli_json_number(report->bandwidth[a * report->dim + b]));
        json_array_append_new(rows, row);
    }
    return cli_print_json(json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:I, s:o}", "points", (json_int_t)report->points,
                                    "dim", (json_int_t)report->dim, "effective", cli_json_number(report->effective),
                                    "factor", cli_json_number(report->factor), "bandwidth", rows, "likelihood",
                                    cli_json_number(report->likelihood), "passes", (json_int_t)report->passes,
                                    "touched", cli_json_number(touched)),
                          2);
}

static void print_report(const quern_density_report *report)
{
    printf("points      %" PRId64, report->points);
    if (report->effective < (double)report->points) printf(", as good as %.6g of equal weight", report->effective);
    printf("\nfactor      %.9g\nbandwidth  ", report->factor);
    for (int64_t a = 0; a < report->dim; a++)
        for (int64_t b = 0; b <= a; b++)
            printf("%s %.9g", b || !a ? "" : "\n           ", report->bandwidth[a * report->dim + b]);
    printf("\n");
    if (isfinite(report->likelihood)) printf("likelihood  %.9g\n", report->likelihood);
}

/* Prints or writes values, beside the coordinates where they are those of a grid. */
static quern_status show(const request *r, quern_view values)
{
    quern_value value = {.name = "", .axis = 'i', .dim = values.columns};
    cli_results results = {&values, &value, 1};

    if (r->outputs.count) return cli_outputs_write(&r->outputs, &results);
    return r->json ? QUERN_OK : cli_results_print(&results);
}

/* Whether float32 has the range of numbers; the density of many coordinates, or of small ones, leaves it. */
static bool fits_single(const double *numbers, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        float single = (float)numbers[k];
        if (isfinite(numbers[k]) && (isinf(single) || (numbers[k] != 0 && fabsf(single) < FLT_MIN))) return false;
    }
    return true;
}

static quern_status look(const request *r, quern_density *density, quern_view at, double *touched)
{
    int64_t dim = quern_density_report_of(density)->dim, columns = r->gradient ? dim : 1, beside = r->grid ? dim : 0;
    quern_density_part part = r->gradient ? QUERN_DENSITY_LOG_GRADIENT
                              : r->log    ? QUERN_DENSITY_LOG
                                          : QUERN_DENSITY_VALUE;
    quern_pruning_report pruning = QUERN_DEFAULTS(quern_pruning_report);
    size_t count = (size_t)(at.rows * (columns + beside));
    double *table = calloc(count + 1, sizeof *table);
    quern_dtype dtype = at.dtype == QUERN_F64 && !r->grid ? QUERN_F64 : QUERN_F32;
    quern_view all = quern_f64(table, at.rows, columns + beside);

    if (!table) return cli_fail_memory();
    cli_progress_begin();
    quern_status status = quern_density_at(density, part, at, quern_view_columns(all, beside, columns), &pruning);
    cli_progress_end();
    if (status) cli_fail_quern(status, NULL);
    for (size_t k = 0; k < count && beside; k++) /* the coordinates */
        if ((int64_t)k % all.columns < beside)
            table[k] = ((const double *)at.data)[(int64_t)k / all.columns * beside + (int64_t)k % all.columns];
    if (!status && dtype == QUERN_F32 && fits_single(table, count)) { /* as many digits as there are */
        for (size_t k = 0; k < count; k++) ((float *)table)[k] = (float)table[k];
        all = quern_f32((float *)table, all.rows, all.columns);
    }
    *touched = pruning.touched;
    if (!status) status = show(r, all);
    free(table);
    return status;
}

/* ---- the command ------------------------------------------------------------------------------------------------ */

static quern_status compute(const request *r, const quern_density_options *o, const quern_view views[3])
{
    quern_context *context = NULL;
    quern_density *density = NULL;
    quern_view at = views[1], made = {0};
    double touched = NAN;
    quern_status status = cli_open(&context, &r->open);

    if (!status) {
        cli_progress_begin();
        status = quern_density_create(&density, context, views[0], views[2], o);
        cli_progress_end();
        if (status) cli_fail_quern(status, NULL);
    }
    const quern_density_report *report = quern_density_report_of(density);
    if (!status && r->grid) status = make_grid(&made, r, &views[0], report);
    if (made.data) at = made;
    if (!status && at.data) status = look(r, density, at, &touched);
    if (!status && r->plot) status = cli_kde_plot(r->plot, density, views[0]);
    if (!status && r->json) status = print_json(report, touched);
    else if (!status && !at.data) print_report(report);
    free(made.data);
    quern_density_destroy(&density);
    quern_context_destroy(&context);
    return status;
}

static quern_status run(int argc, char **argv)
{
    request r = {.open.progress = true};
    quern_density_options o = QUERN_DEFAULTS(quern_density_options);
    quern_view views[3] = {{0}};
    const cli_points known = {.names = (const char *[]){"points", "at", "w", NULL}, .plain = 1};
    cli_inputs inputs = {0};
    quern_status status = parse(argc, argv, &r, &o);

    if (!status) status = cli_points_read(&inputs, &r.words, &known, r.dtype);
    if (!status) status = find_arrays(&inputs, views);
    if (!status && r.grid && views[1].data) status = cli_fail(QUERN_USAGE, "give either at=FILE or --grid");
    if (!status && r.plot && views[0].columns > 2)
        status = cli_fail(QUERN_USAGE, "--plot draws points in one or two dimensions, not %" PRId64, views[0].columns);
    if (!status) status = compute(&r, &o, views);
    cli_inputs_free(&inputs);
    free(r.words.items);
    free(r.outputs.items);
    return status;
}

const cli_command cli_kde = {
    .name = "kde",
    .run = run,
    .sentence = "the density that points were drawn from",
    .examples = "quern kde points.npy at=places.npy -o density.npy\n"
                "quern kde points.npy --bandwidth likelihood --grid 200,100 -o map.csv\n"
                "quern kde 0,1,1.5,4 --bandwidth 0.5 at=0,2 --plot density.svg\n",
    .synopsis = "POINTS [at=FILE] [w=FILE] [options]",
    .text =
        "POINTS are points, one a row, w their weights, and at the places to look at, one a row. Values are given as to\n"
        "`quern eval`; numbers are points on a line. Prints a value for each place; without places and grid the\n"
        "bandwidth, its lower triangle row by row.\n",
    .notes = "A grid that is written as a table is drawn by gnuplot: plot 'map.csv' using 1:2:3 with image\n",
    .options = options,
    .option_count = CLI_COUNT(options),
};
