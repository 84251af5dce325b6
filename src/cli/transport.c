/*
 * transport.c: `quern transport`: how far two weighted point clouds, or two densities on a grid, are apart, on .npy files, tables,
 * pictures and numbers.
 *
 * Words become the arguments x, y, a and b of cli_points_read, on a grid a and b; numbers that are typed are points on a line.
 * Arrays of three axes, and offsets, are batches. Losses and the arrays that -o writes are tables.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "grids.h"
#include "quern/array.h"
#include "quern/transport.h"

typedef struct request {
    const char *dtype_text, *loss, *cost, *kernel, *schedule, *penalty;
    const char *blur, *reach, *reach_x, *reach_y, *tolerance, *gap, *scaling, *iterations, *truncate;
    const char *offsets[2];
    cli_gridding grids;
    quern_dtype dtype;
    cli_list words, outputs;
    cli_opening open;
    bool json, entropic;
} request;

static const struct part {
    const char *name;
    quern_transport_part part;
    char rows;   /* as many as x or y has */
    char points; /* whose columns it has; 0: one column */
} parts[] = {{"potential-x", QUERN_POTENTIAL_X, 'x', 0},
             {"potential-y", QUERN_POTENTIAL_Y, 'y', 0},
             {"self-potential-x", QUERN_SELF_POTENTIAL_X, 'x', 0},
             {"self-potential-y", QUERN_SELF_POTENTIAL_Y, 'y', 0},
             {"gradient-x", QUERN_GRADIENT_X, 'x', 'x'},
             {"gradient-y", QUERN_GRADIENT_Y, 'y', 'y'},
             {"gradient-a", QUERN_GRADIENT_A, 'x', 0},
             {"gradient-b", QUERN_GRADIENT_B, 'y', 0},
             {"marginal-x", QUERN_MARGINAL_X, 'x', 0},
             {"marginal-y", QUERN_MARGINAL_Y, 'y', 0},
             {"map-x", QUERN_MAP_X, 'x', 'y'},
             {"map-y", QUERN_MAP_Y, 'y', 'x'},
             {"assignment-x", QUERN_ASSIGNMENT_X, 'x', 0},
             {"assignment-y", QUERN_ASSIGNMENT_Y, 'y', 0}};

static const cli_option options[] = {
    {"--loss", CLI_TEXT, offsetof(request, loss), "sinkhorn|gaussian|laplacian|energy|kernel|hausdorff|hausdorff-hard",
     "sinkhorn without it: the divergence of optimal transport"},
    {"--cost", CLI_TEXT, offsetof(request, cost), "FORMULA",
     "sqdist: half the squared distance, without it; distance; or a formula in x and y"},
    {"--kernel", CLI_TEXT, offsetof(request, kernel), "FORMULA", "of --loss kernel: a formula in x and y"},
    {"--blur", CLI_TEXT, offsetof(request, blur), "LENGTH", "of the regularisation or the kernel; 0.05 without it"},
    {"--reach", CLI_TEXT, offsetof(request, reach), "LENGTH",
     "how far mass is carried before it is given up (unbalanced)"},
    {"--reach-x", CLI_TEXT, offsetof(request, reach_x), "LENGTH", "the same for the mass of x alone"},
    {"--reach-y", CLI_TEXT, offsetof(request, reach_y), "LENGTH", "the same for the mass of y alone"},
    {"--penalty", CLI_TEXT, offsetof(request, penalty), "kl|tv",
     "what mass costs that a reach gives up: kl, without it, or total variation (partial transport)"},
    {"--entropic", CLI_FLAG, offsetof(request, entropic), "", "entropic transport in place of the divergence"},
    {"--tolerance", CLI_TEXT, offsetof(request, tolerance), "X", "of the plan's marginals; 1e-4 without it"},
    {"--gap", CLI_TEXT, offsetof(request, gap), "X", "of the interval that holds the value, relative to it"},
    {"--truncate", CLI_TEXT, offsetof(request, truncate), "X",
     "blocks of the plan may be left out that have at most this part of the mass, provably; 0: none;\n"
     "without it a quarter of the tolerance, for clouds of 4000 points and more"},
    {"--iterations", CLI_TEXT, offsetof(request, iterations), "N", "at the last temperature, at most; 1000 without it"},
    {"--schedule", CLI_TEXT, offsetof(request, schedule), "tolerance|geomloss", "how temperatures fall"},
    {"--scaling", CLI_TEXT, offsetof(request, scaling), "X", "ratio of two blurs of the schedule; 0.5 without it"},
    CLI_GRID(request),
    CLI_SPACING(request),
    CLI_DARK(request),
    CLI_NORMALIZE(request),
    {"--offsets-x", CLI_TEXT, offsetof(request, offsets[0]), "FILE|0,K,...",
     "many problems: where the points of each begin in x, and where the last ends"},
    {"--offsets-y", CLI_TEXT, offsetof(request, offsets[1]), "FILE|0,K,...", "the same of y"},
    {"-o", CLI_LIST, offsetof(request, outputs), "PART=FILE",
     "write an array: potential-x, gradient-x (of the positions), gradient-a (of the weights), map-x,\n"
     "assignment-x, marginal-x, self-potential-x; the same with y, and gradient-b; .npy, .csv, .tsv, and\n"
     "of a grid of two axes .png"},
    {"--json", CLI_FLAG, offsetof(request, json), "",
     "print {value, lower, upper, gap, cost, mass_x, mass_y, directed_x, directed_y, converged,\n"
     "iterations, marginal_error, touched, skipped, levels: [{blur, iterations, marginal_error, points_x,\n"
     "points_y}], members: [{value, lower, upper}]}; null: not known"},
    {"--dtype", CLI_TEXT, offsetof(request, dtype_text), "f32|f64", "convert all arrays to this type first"},
    CLI_DEVICE(request),
    CLI_QUIET(request),
    CLI_VERBOSE(request),
};

/* ---- options ---------------------------------------------------------------------------------------------------- */

static quern_status parse_words(const request *r, quern_transport_options *o)
{
    int loss, schedule = 0, penalty = 0;
    quern_status status = cli_parse_choice(r->loss, "--loss", options, CLI_COUNT(options), &loss);

    if (!status) status = cli_parse_choice(r->schedule, "--schedule", options, CLI_COUNT(options), &schedule);
    if (!status) status = cli_parse_choice(r->penalty, "--penalty", options, CLI_COUNT(options), &penalty);
    o->penalty = (quern_transport_penalty)penalty;
    o->loss = (quern_transport_loss)loss, o->schedule = (quern_transport_schedule)schedule;
    o->cost = r->cost, o->kernel = r->kernel;
    o->debias = r->entropic ? QUERN_OFF : QUERN_AUTO;
    return status;
}

static quern_status parse_options(const request *r, quern_transport_options *o)
{
    const struct {
        const char *text, *name;
        double *number;
    } numbers[] = {{r->blur, "--blur", &o->blur},
                   {r->reach, "--reach", &o->reach},
                   {r->reach_x, "--reach-x", &o->reach_x},
                   {r->reach_y, "--reach-y", &o->reach_y},
                   {r->gap, "--gap", &o->gap},
                   {r->tolerance, "--tolerance", &o->tolerance},
                   {r->scaling, "--scaling", &o->scaling},
                   {r->truncate, "--truncate", &o->truncate}};
    int64_t iterations = 0;
    quern_status status = parse_words(r, o);

    for (size_t k = 0; k < CLI_COUNT(numbers) && !status; k++)
        status = cli_parse_number(numbers[k].text, numbers[k].name, numbers[k].number);
    if (!status) status = cli_parse_count(r->iterations, "--iterations", &iterations);
    if (!status) status = cli_grids_check(&r->grids);
    if (!status && r->grids.grid && r->truncate)
        status = cli_fail(QUERN_USAGE, "--truncate is for clouds; on a grid nothing is left out");
    if (r->truncate) o->truncation = o->truncate > 0 ? QUERN_ON : QUERN_OFF;
    o->iterations = iterations > 1000000000 ? 1000000000 : (int)iterations;
    return status;
}

/* ---- input ------------------------------------------------------------------------------------------------------ */

/* What is compared: clouds x, y with weights a, b, which may be empty, or densities a and b on a grid. */
typedef struct problem {
    cli_inputs inputs;
    cli_grids grids; /* of no dimension: clouds */
    quern_view views[4];
    size_t members; /* 0: one problem */
    void *copies[4];
} problem;

enum { X, A, Y, B };
static const char *const names[] = {"x", "a", "y", "b"};

static quern_status find_clouds(problem *p)
{
    for (size_t k = 0; k < p->inputs.count; k++) {
        size_t n = 0;
        while (n < 4 && strcmp(p->inputs.args[k].name, names[n])) n++;
        if (n == 4)
            return cli_fail(QUERN_NAME, "there is no %s; the clouds are x and y, their weights a and b",
                            p->inputs.args[k].name);
        p->views[n] = p->inputs.args[k].view;
    }
    for (size_t n = X; n <= Y; n += Y)
        if (!p->views[n].data)
            return cli_fail(QUERN_MISSING, "transport needs two clouds: quern transport x.npy y.npy; %s is missing",
                            names[n]);
    return QUERN_OK;
}

static quern_status find_densities(problem *p, const request *r)
{
    if (p->inputs.count != 2 || r->offsets[0] || r->offsets[1])
        return cli_fail(QUERN_USAGE, "--grid compares two densities: quern transport a.npy b.npy --grid");
    quern_status status = cli_grids_make(&p->grids, &p->inputs, &r->grids);
    if (!status) p->views[A] = p->grids.views[0], p->views[B] = p->grids.views[1];
    return status;
}

/* Offsets of a batch of clouds of one size: an array of three axes. */
static quern_status make_offsets(problem *p, int which)
{
    const quern_view *view = &p->views[which ? Y : X];
    int64_t members = view->batch[0] ? 1 : 0;

    for (int d = 0; d < 4 && view->batch[d]; d++) members *= view->batch[d];
    if (!members) return QUERN_OK;
    if (p->members && p->members != (size_t)members)
        return cli_fail(QUERN_SHAPE, "x has %zu clouds and y %lld", p->members, (long long)members);
    p->members = (size_t)members;
    p->inputs.offsets[which] = calloc((size_t)members + 1, sizeof(int64_t));
    if (!p->inputs.offsets[which]) return cli_fail_memory();
    for (int64_t m = 0; m <= members; m++) p->inputs.offsets[which][m] = m * view->rows;
    return QUERN_OK;
}

static quern_status find_batch(problem *p, const request *r)
{
    static const char *const offsets[] = {"--offsets-x", "--offsets-y"};
    quern_status status = QUERN_OK;

    for (int which = 0; which < 2 && !status; which++)
        status = cli_offsets_read(&p->inputs, offsets, r->offsets[which], which);
    p->members = p->inputs.members;
    for (int which = 0; which < 2 && !status; which++)
        if (!r->offsets[which]) status = make_offsets(p, which);
    if (status || !p->members) return status;
    if (!p->inputs.offsets[0] || !p->inputs.offsets[1])
        return cli_fail(QUERN_SHAPE,
                        "a batch needs %zu clouds of x and as many of y; give both --offsets-x and --offsets-y",
                        p->members);
    for (int n = X; n <= B; n++) {
        quern_view *view = &p->views[n];
        *view = cli_flat(view);
        if ((n == A || n == B) && view->rows * view->columns == p->views[n - 1].rows)
            view->rows = p->views[n - 1].rows, view->columns = 1;
    }
    return QUERN_OK;
}

/* Weights of a sum of 1, in each problem. Files may be mapped, so they are copied. */
static quern_status normalize(problem *p, int n)
{
    quern_view *view = &p->views[n];
    size_t bytes = (size_t)(view->rows * view->columns) * cli_element_size(view->dtype);
    const int64_t *offsets = p->inputs.offsets[n == B];

    if (!view->data) return QUERN_OK;
    if (!(p->copies[n] = malloc(bytes + 1))) return cli_fail_memory();
    memcpy(p->copies[n], view->data, bytes);
    view->data = p->copies[n];
    if (!p->members) cli_normalize(*view);
    for (size_t m = 0; m < p->members; m++)
        if (offsets[m] >= 0 && offsets[m] <= offsets[m + 1] && offsets[m + 1] <= view->rows)
            cli_normalize(quern_view_rows(*view, offsets[m], offsets[m + 1] - offsets[m]));
    return QUERN_OK;
}

static quern_status read_problem(problem *p, const request *r)
{
    static const char *const clouds[] = {"x", "y", "a", "b", NULL}, *const densities[] = {"a", "b", NULL};
    const cli_points known = {.names = r->grids.grid ? densities : clouds, .plain = 2};
    quern_status status = cli_points_read(&p->inputs, &r->words, &known, r->dtype);

    if (!status) status = r->grids.grid ? find_densities(p, r) : find_clouds(p);
    if (!status && !r->grids.grid) status = find_batch(p, r);
    if (r->grids.normalize && !r->grids.grid && !status) status = normalize(p, A);
    if (r->grids.normalize && !r->grids.grid && !status) status = normalize(p, B);
    return status;
}

static void free_problem(problem *p)
{
    for (int n = X; n <= B; n++) free(p->copies[n]);
    cli_grids_free(&p->grids);
    cli_inputs_free(&p->inputs);
}

/* ---- output ----------------------------------------------------------------------------------------------------- */

/* Lists of the temperatures and of the problems of a batch. */
static json_t *json_levels(const quern_transport_report *report)
{
    json_t *levels = json_array();

    for (size_t k = 0; k < report->level_count; k++) {
        const quern_transport_level *level = &report->levels[k];
        json_array_append_new(levels,
                              json_pack("{s:o, s:i, s:o, s:I, s:I}", "blur", cli_json_number(level->blur), "iterations",
                                        level->iterations, "marginal_error", cli_json_number(level->marginal_error),
                                        "points_x", (json_int_t)level->M, "points_y", (json_int_t)level->N));
    }
    return levels;
}

static json_t *json_members(const quern_transport_result *result, size_t members)
{
    json_t *list = json_array();
    double value, lower, upper;

    for (size_t m = 0; m < members; m++)
        if (!quern_transport_member(result, m, &value, &lower, &upper))
            json_array_append_new(list, json_pack("{s:o, s:o, s:o}", "value", cli_json_number(value), "lower",
                                                  cli_json_number(lower), "upper", cli_json_number(upper)));
    return list;
}

static quern_status print_json(const quern_transport_result *result, size_t members)
{
    const quern_transport_report *report = quern_transport_report_of(result);

    return cli_print_json(
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:i, s:o, s:o, s:o, s:o, s:o}", "value",
                  cli_json_number(report->value), "lower", cli_json_number(report->lower), "upper",
                  cli_json_number(report->upper), "gap", cli_json_number(report->gap), "cost",
                  cli_json_number(report->cost), "mass_x", cli_json_number(report->mass_x), "mass_y",
                  cli_json_number(report->mass_y), "directed_x", cli_json_number(report->directed_x), "directed_y",
                  cli_json_number(report->directed_y), "converged", report->converged, "iterations", report->iterations,
                  "marginal_error", cli_json_number(report->marginal_error), "touched",
                  cli_json_number(report->touched), "skipped", cli_json_number(report->skipped), "levels",
                  json_levels(report), "members", json_members(result, members)),
        2);
}

static void print_members(const quern_transport_result *result, size_t members)
{
    double value, lower, upper;

    for (size_t m = 0; m < members; m++) {
        if (quern_transport_member(result, m, &value, &lower, &upper)) continue;
        printf("member %-4zu %.9g", m, value);
        if (isfinite(upper)) printf(", between %.9g and %.9g", lower, upper);
        putchar('\n');
    }
}

static void print_report(const quern_transport_report *report)
{
    printf("value       %.9g\n", report->value);
    if (isfinite(report->gap)) printf("between     %.9g and %.9g\n", report->lower, report->upper);
    if (isfinite(report->cost)) printf("plan        costs %.9g\n", report->cost);
    if (!isnan(report->directed_x)) printf("directed    %.9g and %.9g\n", report->directed_x, report->directed_y);
    if (report->iterations) printf("iterations  %d", report->iterations);
    if (report->iterations && !isnan(report->marginal_error)) printf(", marginals off by %.2g", report->marginal_error);
    if (report->iterations) putchar('\n');
    if (report->skipped > 0)
        printf("left out    %.1f %% of the pairs, with %.2g of the mass at most\n", 100 * (1 - report->touched),
               report->skipped);
}

static const struct part *find_part(const char *word)
{
    const char *equals = strchr(word, '=');

    for (size_t k = 0; equals && equals[1] && k < CLI_COUNT(parts); k++)
        if (strlen(parts[k].name) == (size_t)(equals - word) && !strncmp(word, parts[k].name, (size_t)(equals - word)))
            return &parts[k];
    return NULL;
}

/* The files of -o PART=FILE; *paths is for free(). */
static quern_status find_paths(const request *r, cli_list *paths)
{
    paths->items = calloc(r->outputs.count + 1, sizeof *paths->items);
    if (!paths->items) return cli_fail_memory();
    for (; paths->count < r->outputs.count; paths->count++) {
        const char *word = r->outputs.items[paths->count];
        if (!find_part(word))
            return cli_fail(QUERN_USAGE,
                            "-o takes PART=FILE, as gradient-x=g.npy, not '%s'; see `quern help transport`", word);
        paths->items[paths->count] = strchr(word, '=') + 1;
    }
    return cli_outputs_check(paths);
}

static quern_status read_part(quern_transport_result *result, const struct part *part, const problem *p,
                              quern_view *view)
{
    const quern_view *x = &p->views[p->grids.grid.dim ? A : X], *y = &p->views[p->grids.grid.dim ? B : Y];
    int64_t rows = part->rows == 'x' ? x->rows : y->rows;
    int64_t columns = !part->points ? 1 : part->points == 'x' ? x->columns : y->columns;
    quern_dtype dtype = x->dtype == QUERN_F64 || y->dtype == QUERN_F64 ? QUERN_F64 : QUERN_F32;

    if (p->grids.grid.dim && part->points) columns = p->grids.grid.dim;
    if (part->part == QUERN_ASSIGNMENT_X || part->part == QUERN_ASSIGNMENT_Y) dtype = QUERN_I64;
    *view = quern_view_of(calloc((size_t)(rows * columns) + 1, sizeof(double)), dtype, rows, columns);
    if (!view->data) return cli_fail_memory();
    quern_status status = quern_transport_read(result, part->part, *view);
    if (p->grids.grid.dim && !part->points) *view = cli_grids_shaped(&p->grids.grid, *view);
    return status ? cli_fail_quern(status, part->name) : QUERN_OK;
}

static quern_status read_parts(cli_results *results, const request *r, quern_transport_result *result, const problem *p)
{
    quern_status status = QUERN_OK;

    results->views = calloc(r->outputs.count + 1, sizeof *results->views);
    if (!results->views) return cli_fail_memory();
    for (; results->count < r->outputs.count && !status; results->count++)
        status = read_part(result, find_part(r->outputs.items[results->count]), p, &results->views[results->count]);
    return status;
}

/* ---- the command ------------------------------------------------------------------------------------------------ */

static quern_status solve(quern_transport_result **result, quern_context *context, const problem *p,
                          const quern_transport_options *o)
{
    const quern_view *v = p->views;

    if (p->grids.grid.dim) return quern_transport_grid(result, context, &p->grids.grid, v[A], v[B], o);
    if (!p->members) return quern_transport(result, context, v[X], v[A], v[Y], v[B], o);
    return quern_transport_batch(result, context, p->members, p->inputs.offsets[0], p->inputs.offsets[1], v[X], v[A],
                                 v[Y], v[B], o);
}

static quern_status compute(const request *r, const quern_transport_options *o, const problem *p, const cli_list *paths)
{
    quern_context *context = NULL;
    quern_transport_result *result = NULL;
    cli_results results = {NULL, NULL, 0};
    quern_status status = cli_open(&context, &r->open);

    if (!status) {
        cli_progress_begin();
        status = solve(&result, context, p, o);
        cli_progress_end();
        if (status) cli_fail_quern(status, NULL);
    }
    if (!status) status = read_parts(&results, r, result, p);
    if (!status) {
        const quern_transport_report *report = quern_transport_report_of(result);
        if (!report->converged && report->iterations && o->schedule == QUERN_SCHEDULE_TOLERANCE)
            cli_note("marginals are off by %.2g after %d iterations; allow more by --iterations",
                     report->marginal_error, report->iterations);
        if (r->json) status = print_json(result, p->members ? p->members : 1);
        else print_report(report), print_members(result, p->members);
    }
    if (!status) status = cli_outputs_write(paths, &results);
    cli_results_free(&results);
    quern_transport_destroy(&result);
    quern_context_destroy(&context);
    return status;
}

static quern_status run(int argc, char **argv)
{
    request r = {.open.progress = true};
    quern_transport_options o = QUERN_DEFAULTS(quern_transport_options);
    problem p = {0};
    cli_list paths = {NULL, 0};
    quern_status status = cli_parse(argc, argv, options, CLI_COUNT(options), &r, &r.words);

    if (!status) status = cli_parse_dtype(r.dtype_text, &r.dtype);
    if (!status) status = parse_options(&r, &o);
    if (!status) status = find_paths(&r, &paths);
    if (!status) status = read_problem(&p, &r);
    if (!status) status = compute(&r, &o, &p, &paths);
    free_problem(&p);
    free(paths.items);
    free(r.words.items);
    free(r.outputs.items);
    return status;
}

const cli_command cli_transport = {
    .name = "transport",
    .run = run,
    .sentence = "how far two weighted point clouds or densities are apart: optimal transport and others",
    .examples = "quern transport x.npy y.npy --blur 0.01 --gap 0.01\n"
                "quern transport x.npy y.npy a=a.npy b=b.npy --reach 0.3 -o gradient-x=g.npy --json\n"
                "quern transport 0,1,3 0.5,2,4 --blur 0.1\n"
                "quern transport a.png b.png --grid -o gradient-a=g.npy\n"
                "quern transport x.npy y.npy --loss hausdorff-hard --cost distance\n",
    .synopsis = "X Y [a=FILE] [b=FILE] [options]",
    .text =
        "X and Y are points, one a row; a and b their weights, one number a row, without which all of a cloud weigh the\n"
        "same and 1 in all. Values are given as to `quern eval`; numbers are points on a line. Arrays of three axes, or\n"
        "offsets, are batches: many problems at once. With --grid X and Y are densities on one grid.\n"
        "Prints the value, the interval that is certain to hold it, what the plan costs, and iterations.\n",
    .notes = "Without --reach both clouds must have the same mass.\n",
    .options = options,
    .option_count = CLI_COUNT(options),
};
