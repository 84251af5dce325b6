/*
 * knn.c: `quern knn`: nearest neighbours, classes and means by vote, and graphs, on .npy files and tables.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "quern/neighbors.h"

typedef struct request {
    const char *k_text, *metric, *radius_text, *labels, *values, *truth, *vote_text, *prune_text, *dtype_text,
        *cells_text, *probes_text;
    quern_dtype dtype;
    int64_t k;
    double radius;
    quern_vote vote;
    quern_neighbors_options how;
    cli_list words, outputs;
    cli_opening open;
    bool json, mutual;
} request;

static const cli_option options[] = {
    {"-k", CLI_TEXT, offsetof(request, k_text), "N", "how many neighbours; 1 without it"},
    {"--metric", CLI_TEXT, offsetof(request, metric), "FORMULA",
     "l2, without it; sqdist, l1, cosine, hyperbolic; or a formula in x, the query, and y, the point"},
    {"--radius", CLI_TEXT, offsetof(request, radius_text), "X", "all points at most so far away, in place of k"},
    {"--mutual", CLI_FLAG, offsetof(request, mutual), "", "of the points' own graph the edges that both ends have"},
    {"--labels", CLI_TEXT, offsetof(request, labels), "FILE",
     "whole numbers, one a point: tell the label of each query"},
    {"--values", CLI_TEXT, offsetof(request, values), "FILE", "numbers, a row a point: tell the mean for each query"},
    {"--truth", CLI_TEXT, offsetof(request, truth), "FILE",
     "the labels or values of the queries, to see how many are told right; those of the points are\n"
     "taken where there are no queries"},
    {"--vote", CLI_TEXT, offsetof(request, vote_text), "equal|inverse", "inverse: by 1 over the distance"},
    {"--prune", CLI_TEXT, offsetof(request, prune_text), "auto|on|off",
     "leave out pairs that cannot matter; auto tries whether that is faster; results are the same"},
    {"--cells", CLI_TEXT, offsetof(request, cells_text), "N",
     "search approximately: put the points in so many cells of k-means"},
    {"--probes", CLI_TEXT, offsetof(request, probes_text), "N", "and search so many of them; 8 without it"},
    {"-o", CLI_LIST, offsetof(request, outputs), "PART=FILE",
     "write an array: indices, distances, labels, values; of lists: offsets, indices, distances;\n"
     ".npy, .csv or .tsv"},
    {"--json", CLI_FLAG, offsetof(request, json), "",
     "print {points, queries, edges, pruned, reason, touched, recall, accuracy, error}; null: not known"},
    {"--dtype", CLI_TEXT, offsetof(request, dtype_text), "f32|f64", "convert all arrays to this type first"},
    CLI_DEVICE(request),
    CLI_QUIET(request),
    CLI_VERBOSE(request),
};

/* ---- options ---------------------------------------------------------------------------------------------------- */

static quern_status parse_options(request *r)
{
    int vote, prune = 0;
    quern_status status = cli_parse_choice(r->vote_text, "--vote", options, CLI_COUNT(options), &vote);

    if (!status) status = cli_parse_choice(r->prune_text, "--prune", options, CLI_COUNT(options), &prune);
    if (!status) status = cli_parse_count(r->k_text, "-k", &r->k);
    if (!status) status = cli_parse_number(r->radius_text, "--radius", &r->radius);
    if (!status) status = cli_parse_count(r->cells_text, "--cells", &r->how.cells);
    if (!status) status = cli_parse_count(r->probes_text, "--probes", &r->how.probes);
    if (!status) status = cli_parse_dtype(r->dtype_text, &r->dtype);
    if (status) return status;
    if (r->radius_text && (r->k_text || r->labels || r->values || r->mutual))
        return cli_fail(QUERN_USAGE, "--radius finds lists, which -k, --labels, --values and --mutual do not go with");
    if (r->labels && r->values) return cli_fail(QUERN_USAGE, "--labels and --values ask for different things");
    if (r->mutual && (r->labels || r->values))
        return cli_fail(QUERN_USAGE, "--mutual makes lists, which --labels and --values do not go with");
    if (r->truth && !r->labels && !r->values)
        return cli_fail(QUERN_USAGE, "--truth is compared with votes; add --labels or --values");
    if (r->radius_text && r->cells_text)
        return cli_fail(QUERN_USAGE, "--cells is for approximate searches of -k neighbours; --radius finds all");
    if (r->vote_text && !r->labels && !r->values)
        return cli_fail(QUERN_USAGE, "--vote is how labels or values are told; add --labels or --values");
    if (r->probes_text && !r->cells_text) return cli_fail(QUERN_USAGE, "--probes is a number of cells; add --cells");
    if (!r->k) r->k = 1;
    r->vote = (quern_vote)vote;
    r->how.prune = (quern_switch)prune, r->how.metric = r->metric;
    return QUERN_OK;
}

/* ---- input ------------------------------------------------------------------------------------------------------ */

enum { POINTS, QUERIES, LABELS, VALUES, TRUTH, INPUTS };

static const char *const input_names[INPUTS + 1] = {"y", "x", "labels", "values", "truth"};

/* The first two words are the points and the queries, unless they say what they are; options name the other files. */
static quern_status read_inputs(const request *r, cli_inputs *inputs)
{
    const char *const files[INPUTS] = {[LABELS] = r->labels, [VALUES] = r->values, [TRUTH] = r->truth};
    const char *const whole[] = {"labels", r->labels ? "truth" : NULL, NULL};
    const cli_points known = {.names = input_names, .plain = 2, .files = files, .whole = whole};

    return cli_points_read(inputs, &r->words, &known, r->dtype);
}

/* Sorts the arrays: what has another name is a parameter of the metric. */
static quern_status find_inputs(cli_inputs *inputs, quern_view views[INPUTS], quern_arg *parameters, size_t *count)
{
    for (size_t k = 0; k < inputs->count; k++) {
        size_t n = 0;
        while (n < INPUTS && strcmp(inputs->args[k].name, input_names[n])) n++;
        if (n == INPUTS) {
            parameters[(*count)++] = inputs->args[k];
            continue;
        }
        views[n] = inputs->args[k].view;
    }
    return views[POINTS].data ? QUERN_OK
                              : cli_fail(QUERN_MISSING, "knn needs points: quern knn points.npy queries.npy");
}

/* ---- what is found ---------------------------------------------------------------------------------------------- */

enum { INDICES, DISTANCES, TOLD_LABELS, TOLD_VALUES, OFFSETS, PARTS };

static const char *const part_names[PARTS] = {"indices", "distances", "labels", "values", "offsets"};

typedef struct answer {
    quern_view parts[PARTS]; /* without data: not found */
    quern_neighbors_report report;
    double accuracy, error; /* NaN: not known */
    int64_t edges;
} answer;

static quern_status make_part(answer *a, int part, quern_dtype dtype, int64_t rows, int64_t columns)
{
    if (rows > INT64_MAX / 16 / columns) return cli_fail_memory();
    a->parts[part] = quern_view_of(calloc((size_t)(rows * columns) + 1, sizeof(double)), dtype, rows, columns);
    return a->parts[part].data ? QUERN_OK : cli_fail_memory();
}

static quern_status take_lists(answer *a, quern_neighbor_lists **lists, quern_dtype dtype)
{
    const quern_neighbor_lists *l = *lists;
    quern_status status = make_part(a, OFFSETS, QUERN_I64, l->rows + 1, 1);

    for (int part = INDICES; part <= DISTANCES; part++) {
        free(a->parts[part].data);
        a->parts[part] = (quern_view){0};
    }
    a->edges = l->offsets[l->rows];
    if (!status) status = make_part(a, INDICES, QUERN_I64, a->edges, 1);
    if (!status) status = make_part(a, DISTANCES, dtype, a->edges, 1);
    if (status) return status;
    memcpy(a->parts[OFFSETS].data, l->offsets, (size_t)(l->rows + 1) * sizeof *l->offsets);
    memcpy(a->parts[INDICES].data, l->indices, (size_t)a->edges * sizeof *l->indices);
    for (int64_t e = 0; e < a->edges; e++)
        if (dtype == QUERN_F64) ((double *)a->parts[DISTANCES].data)[e] = l->distances[e];
        else ((float *)a->parts[DISTANCES].data)[e] = (float)l->distances[e];
    quern_neighbor_lists_destroy(lists);
    return QUERN_OK;
}

static quern_status find_lists(const request *r, quern_neighbors *index, const quern_view views[INPUTS], answer *a)
{
    quern_neighbor_lists *lists = NULL;
    quern_status status =
        r->mutual ? quern_neighbor_lists_create(&lists, a->parts[INDICES], a->parts[DISTANCES], QUERN_EDGES_MUTUAL)
        : views[QUERIES].data ? quern_neighbors_within(&lists, index, views[QUERIES], r->radius, &a->report)
                              : quern_neighbors_within_graph(&lists, index, r->radius, false, &a->report);

    if (status) return cli_fail_quern(status, NULL);
    status = take_lists(a, &lists, views[POINTS].dtype);
    quern_neighbor_lists_destroy(&lists);
    return status;
}

static quern_status find_nearest(const request *r, quern_neighbors *index, const quern_view views[INPUTS], answer *a)
{
    bool own = !views[QUERIES].data;
    quern_view batch = views[own ? POINTS : QUERIES];

    if (batch.batch[0] || views[POINTS].batch[0])
        return cli_fail(QUERN_SHAPE, "points and queries are tables of two axes; batches are for quern/neighbors.h");
    quern_status status = make_part(a, INDICES, QUERN_I64, batch.rows, r->k);
    if (!status) status = make_part(a, DISTANCES, views[POINTS].dtype, batch.rows, r->k);
    if (status) return status;
    status = own ? quern_neighbors_graph(index, a->parts[INDICES], a->parts[DISTANCES], &a->report)
                 : quern_neighbors_find(index, views[QUERIES], a->parts[INDICES], a->parts[DISTANCES], &a->report);
    return status ? cli_fail_quern(status, NULL) : QUERN_OK;
}

/* What tells whether queries are told right, or null. */
static const quern_view *truth_of(const quern_view views[INPUTS], int own)
{
    if (views[TRUTH].data) return &views[TRUTH];
    return views[QUERIES].data ? NULL : &views[own];
}

static quern_status check_rows(const quern_view *view, const char *name, int64_t rows, int64_t columns)
{
    if (view->rows == rows && view->columns == columns) return QUERN_OK;
    return cli_fail(QUERN_SHAPE, "%s is %" PRId64 " x %" PRId64 ", not %" PRId64 " x %" PRId64, name, view->rows,
                    view->columns, rows, columns);
}

static quern_status tell_labels(const request *r, const quern_view views[INPUTS], answer *a)
{
    const quern_view *truth = truth_of(views, LABELS), *told = &a->parts[TOLD_LABELS];
    int64_t count = 0;
    quern_status status = check_rows(&views[LABELS], r->labels, views[POINTS].rows, 1);

    if (!status && truth) status = check_rows(truth, "--truth", a->parts[INDICES].rows, 1);
    if (!status) status = make_part(a, TOLD_LABELS, QUERN_I64, a->parts[INDICES].rows, 1);
    if (!status) {
        status = quern_neighbors_classify(a->parts[INDICES], a->parts[DISTANCES], views[LABELS], r->vote, *told);
        if (status) cli_fail_quern(status, NULL);
    }
    for (int64_t i = 0; i < told->rows && !status && truth; i++)
        count += ((const int64_t *)told->data)[i] == ((const int64_t *)truth->data)[i];
    if (truth && told->rows) a->accuracy = (double)count / (double)told->rows;
    return status;
}

static quern_status tell_values(const request *r, const quern_view views[INPUTS], answer *a)
{
    const quern_view *truth = truth_of(views, VALUES), *told = &a->parts[TOLD_VALUES];
    int64_t rows = a->parts[INDICES].rows, columns = views[VALUES].columns;
    quern_status status = check_rows(&views[VALUES], r->values, views[POINTS].rows, columns);

    if (!status && truth) status = check_rows(truth, "--truth", rows, columns);
    if (!status) status = make_part(a, TOLD_VALUES, views[VALUES].dtype, rows, columns);
    if (status) return status;
    status = quern_neighbors_regress(a->parts[INDICES], a->parts[DISTANCES], views[VALUES], r->vote, *told);
    if (status) return cli_fail_quern(status, NULL);
    double sum = 0;
    for (int64_t e = 0; e < rows * columns && truth; e++) {
        double off = cli_element(told, e) - cli_element(truth, e);
        sum += off * off;
    }
    if (truth && rows) a->error = sqrt(sum / (double)(rows * columns));
    return QUERN_OK;
}

static quern_status search(const request *r, quern_neighbors *index, const quern_view views[INPUTS], answer *a)
{
    quern_status status = r->radius_text ? QUERN_OK : find_nearest(r, index, views, a);

    if (!status && r->mutual && views[QUERIES].data)
        return cli_fail(QUERN_USAGE, "--mutual is for the points' own graph, without queries");
    if (!status && (r->radius_text || r->mutual)) status = find_lists(r, index, views, a);
    if (!status && r->labels) status = tell_labels(r, views, a);
    if (!status && r->values) status = tell_values(r, views, a);
    return status;
}

/* ---- output ----------------------------------------------------------------------------------------------------- */

static quern_status print_json(const quern_view views[INPUTS], const answer *a)
{
    int64_t queries = views[QUERIES].data ? views[QUERIES].rows : views[POINTS].rows;

    return cli_print_json(json_pack("{s:I, s:I, s:o, s:b, s:s, s:o, s:o, s:o, s:o}", "points",
                                    (json_int_t)views[POINTS].rows, "queries", (json_int_t)queries, "edges",
                                    a->parts[OFFSETS].data ? json_integer((json_int_t)a->edges) : json_null(), "pruned",
                                    a->report.pruned, "reason", a->report.reason, "touched",
                                    cli_json_number(a->report.touched), "recall", cli_json_number(a->report.recall),
                                    "accuracy", cli_json_number(a->accuracy), "error", cli_json_number(a->error)),
                          0);
}

/* The part that a word names, or -1. */
static int find_part(const char *word)
{
    const char *equals = strchr(word, '=');

    for (int part = 0; equals && equals[1] && part < PARTS; part++)
        if (strlen(part_names[part]) == (size_t)(equals - word) &&
            !strncmp(word, part_names[part], (size_t)(equals - word)))
            return part;
    return -1;
}

/* The files of -o PART=FILE; paths->items is for free(). */
static quern_status find_paths(const request *r, cli_list *paths)
{
    bool lists = r->radius_text || r->mutual;
    const bool there[PARTS] = {true, true, r->labels, r->values, lists};

    paths->items = calloc(r->outputs.count + 1, sizeof *paths->items);
    if (!paths->items) return cli_fail_memory();
    for (; paths->count < r->outputs.count; paths->count++) {
        const char *word = r->outputs.items[paths->count];
        int part = find_part(word);
        if (part < 0)
            return cli_fail(QUERN_USAGE, "-o takes PART=FILE, as indices=k.npy, not '%s'; see `quern help knn`", word);
        if (!there[part])
            return cli_fail(QUERN_USAGE, "there are no %s without --%s", part_names[part],
                            part == OFFSETS ? "radius or --mutual" : part_names[part]);
        paths->items[paths->count] = strchr(word, '=') + 1;
    }
    return cli_outputs_check(paths);
}

static quern_status print_parts(const answer *a)
{
    quern_view views[PARTS];
    cli_results results = {views, NULL, 0};
    int told = a->parts[TOLD_LABELS].data ? TOLD_LABELS : a->parts[TOLD_VALUES].data ? TOLD_VALUES : -1;

    if (a->parts[OFFSETS].data) views[results.count++] = a->parts[OFFSETS];
    for (int part = told < 0 ? INDICES : told; part <= (told < 0 ? DISTANCES : told); part++)
        views[results.count++] = a->parts[part];
    return cli_results_print(&results);
}

static quern_status show(const request *r, const quern_view views[INPUTS], const answer *a, const cli_list *paths)
{
    quern_view *written = calloc(paths->count + 1, sizeof *written);
    cli_results results = {written, NULL, paths->count};
    quern_status status = written ? QUERN_OK : cli_fail_memory();

    for (size_t k = 0; k < paths->count && !status; k++) written[k] = a->parts[find_part(r->outputs.items[k])];
    if (!status && r->json) status = print_json(views, a);
    else if (!status && !paths->count) status = print_parts(a);
    if (!status && !r->json && !isnan(a->accuracy)) cli_note("%.5f are told right", a->accuracy);
    if (!status && !r->json && !isnan(a->error)) cli_note("off by %.6g, root of the mean square", a->error);
    if (!status) status = cli_outputs_write(paths, &results);
    free(written);
    return status;
}

/* ---- the command ------------------------------------------------------------------------------------------------ */

static quern_status compute(request *r, const quern_view views[INPUTS], const cli_list *paths)
{
    answer a = {.report = {.size = sizeof a.report}, .accuracy = NAN, .error = NAN};
    quern_context *context = NULL;
    quern_neighbors *index = NULL;
    quern_status status = cli_open(&context, &r->open);

    if (!status) {
        cli_progress_begin();
        status = quern_neighbors_create(&index, context, views[POINTS], &r->how);
        if (status) cli_fail_quern(status, NULL);
        else status = search(r, index, views, &a);
        cli_progress_end();
    }
    if (!status) status = show(r, views, &a, paths);
    for (int part = 0; part < PARTS; part++) free(a.parts[part].data);
    quern_neighbors_destroy(&index);
    quern_context_destroy(&context);
    return status;
}

static quern_status run(int argc, char **argv)
{
    request r = {.open.progress = true, .how = {.size = sizeof r.how}};
    quern_view views[INPUTS] = {{0}};
    cli_inputs inputs = {0};
    cli_list paths = {NULL, 0};
    quern_arg *parameters = NULL;
    size_t count = 0;
    quern_status status = cli_parse(argc, argv, options, CLI_COUNT(options), &r, &r.words);

    if (!status) status = parse_options(&r);
    if (!status) status = find_paths(&r, &paths);
    if (!status) status = read_inputs(&r, &inputs);
    if (!status && !(parameters = calloc(inputs.count + 1, sizeof *parameters))) status = cli_fail_memory();
    if (!status) status = find_inputs(&inputs, views, parameters, &count);
    r.how.parameters = (quern_args){parameters, count, 0, 0};
    if (!status) status = compute(&r, views, &paths);
    cli_inputs_free(&inputs);
    free(parameters);
    free(paths.items);
    free(r.words.items);
    free(r.outputs.items);
    return status;
}

const cli_command cli_knn = {
    .name = "knn",
    .run = run,
    .sentence = "nearest neighbours in any metric, classes and means by vote, graphs",
    .examples = "quern knn points.npy queries.npy -k 10 -o indices=k.npy -o distances=d.npy\n"
                "quern knn train.csv test.csv -k 5 --metric l1 --labels train-is.csv --truth test-is.csv --json\n"
                "quern knn points.npy -k 15 --mutual -o offsets=o.npy -o indices=k.npy\n"
                "quern knn 0,1,3,7 2.5,6 --metric 'Abs(x-y)'\n",
    .synopsis = "POINTS [QUERIES] [NAME=VALUE...] [options]",
    .text =
        "Points and queries are one a row, given as values to `quern eval`; without queries each point is one, and is not its\n"
        "own neighbour. Indices count from 0; neighbours as far come by ascending index, and -1 stands where there are no\n"
        "more. NAME=VALUE are parameters that the formula of the metric declares.\n",
    .notes =
        "Of labels with as many votes the least is told. Lists (--radius, --mutual) have all neighbours of row i at\n"
        "offsets[i] to offsets[i + 1] - 1.\n",
    .options = options,
    .option_count = CLI_COUNT(options),
};
