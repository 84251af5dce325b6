/*
 * block.c: `quern block`: entries of a symbolic matrix, whose formula has no reduction: some rows and columns, or the diagonal.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "quern/build.h"
#include "quern/pairs.h"

typedef struct request {
    cli_task task;
    const char *m, *n, *rows_text, *columns_text;
    quern_span rows, columns; /* up to INT64_MAX: to the end */
    cli_opening open;
    bool json, diagonal;
} request;

static const cli_option options[] = {
    {"--rows", CLI_TEXT, offsetof(request, rows_text), "FROM:TO",
     "rows FROM to TO - 1, counted from 0, as in Python: 5:8, :10, 100:; all without it"},
    {"--columns", CLI_TEXT, offsetof(request, columns_text), "FROM:TO", "columns, likewise"},
    {"--diagonal", CLI_FLAG, offsetof(request, diagonal), "", "the entries with i = j, of these rows, one in a row"},
    {"-o", CLI_LIST, offsetof(request, task.outputs), "FILE",
     "write the entries there, as `quern eval` writes results"},
    {"--json", CLI_FLAG, offsetof(request, json), "", "print them as `quern eval --json` does"},
    {"--dtype", CLI_TEXT, offsetof(request, task.dtype_text), "f32|f64", "convert all arrays to this type first"},
    CLI_FORMULA(request, task.file),
    {"--M", CLI_TEXT, offsetof(request, m), "N", "the number of rows i, where no array tells it"},
    {"--N", CLI_TEXT, offsetof(request, n), "N", "the number of rows j, likewise"},
    CLI_DEVICE(request),
    CLI_QUIET(request),
    CLI_VERBOSE(request),
};

/* One end of a span: digits, or nothing, which leaves the number. */
static bool read_end(const char **text, int64_t *out)
{
    char *end;
    if (**text < '0' || **text > '9') return true;
    long long number = strtoll(*text, &end, 10);
    *text = end;
    *out = number;
    return number < INT64_MAX;
}

static quern_status parse_span(const char *text, const char *option, quern_span *out)
{
    const char *at = text;
    *out = (quern_span){0, INT64_MAX};
    if (!text) return QUERN_OK;
    bool good = read_end(&at, &out->from) && *at++ == ':' && read_end(&at, &out->to) && !*at;
    return good ? QUERN_OK : cli_fail(QUERN_USAGE, "%s takes FROM:TO, such as 5:8, not '%s'", option, text);
}

static quern_status parse(int argc, char **argv, request *r)
{
    quern_status status = cli_parse(argc, argv, options, CLI_COUNT(options), r, &r->task.words);

    if (!status) status = cli_parse_count(r->m, "--M", &r->task.inputs.M);
    if (!status) status = cli_parse_count(r->n, "--N", &r->task.inputs.N);
    if (!status) status = parse_span(r->rows_text, "--rows", &r->rows);
    if (!status) status = parse_span(r->columns_text, "--columns", &r->columns);
    if (!status && r->diagonal && r->columns_text)
        status = cli_fail(QUERN_USAGE, "--diagonal takes --rows alone; drop --columns");
    return status ? status : cli_task_read(&r->task, "block", 1, "is one result");
}

/* Gives typed numbers the shape of the formula's variables, and ends to spans that have none. */
static quern_status fit(request *r, cli_inputs *inputs)
{
    quern_graph *graph;
    quern_operator *op = NULL;
    quern_status status = quern_graph_create(&graph);

    if (!status) {
        quern_expr sum = quern_sum_j(graph, quern_formula(graph, r->task.formula));
        status = quern_compile_graph(&op, NULL, graph, QUERN_EXPRS(sum), NULL);
    }
    status = status ? cli_fail_quern(status, NULL) : cli_inputs_fit(inputs, op);
    if (!status) {
        int64_t M = cli_inputs_rows(inputs, op, 'i'), N = cli_inputs_rows(inputs, op, 'j');
        if (r->diagonal && r->rows.to == INT64_MAX) r->rows.to = M < N ? M : N;
        if (r->rows.to == INT64_MAX) r->rows.to = M < 0 ? 0 : M;
        if (r->columns.to == INT64_MAX) r->columns.to = N < 0 ? 0 : N;
    }
    quern_operator_destroy(&op);
    quern_graph_destroy(&graph);
    return status;
}

/* Room for rows x columns numbers; none for spans that no matrix has, which are refused later. */
static quern_status make_result(cli_results *results, int64_t rows, int64_t columns, quern_dtype dtype)
{
    size_t size = cli_element_size(dtype), most = SIZE_MAX / 2 / size;

    if (rows < 0 || columns < 0) rows = columns = 0;
    results->views = calloc(1, sizeof *results->views);
    results->values = calloc(1, sizeof *results->values);
    if (!results->views || !results->values || (columns && (uint64_t)rows > most / (uint64_t)columns))
        return cli_fail_memory();
    void *data = calloc((size_t)rows * (size_t)columns + 1, size);
    if (!data) return cli_fail_memory();
    results->count = 1;
    results->views[0] = quern_view_of(data, dtype, rows, columns);
    results->values[0] = (quern_value){.name = "", .axis = 'i', .dim = columns};
    return QUERN_OK;
}

static quern_status run_pairs(const request *r, const quern_pairs *pairs, const cli_inputs *inputs, quern_view result)
{
    quern_args args = {inputs->args, inputs->count, inputs->M, inputs->N};
    quern_status status = r->diagonal ? quern_pairs_diagonal(pairs, args, r->rows, result)
                                      : quern_pairs_block(pairs, args, r->rows, r->columns, result);
    return status ? cli_fail_quern(status, NULL) : QUERN_OK;
}

static quern_status compute(request *r, cli_inputs *inputs)
{
    quern_context *context = NULL;
    quern_pairs *pairs = NULL;
    cli_results results = {NULL, NULL, 0};
    quern_status status = fit(r, inputs);

    if (!status) status = cli_open(&context, &r->open);
    if (!status && (status = quern_pairs_create(&pairs, context, r->task.formula, NULL))) cli_fail_quern(status, NULL);
    int64_t width = r->diagonal ? 1 : r->columns.to - r->columns.from;
    if (!status)
        status = make_result(&results, r->rows.to - r->rows.from, width * quern_pairs_length(pairs),
                             cli_inputs_dtype(inputs, r->task.dtype));
    if (!status) status = run_pairs(r, pairs, inputs, results.views[0]);
    if (!status && r->json) status = cli_results_print_json(&results);
    if (!status && !r->json && !r->task.outputs.count) status = cli_results_print(&results);
    if (!status) status = cli_outputs_write(&r->task.outputs, &results);
    cli_results_free(&results);
    quern_pairs_destroy(&pairs);
    quern_context_destroy(&context);
    return status;
}

static quern_status run(int argc, char **argv)
{
    request r = {0};
    quern_status status = parse(argc, argv, &r);

    if (!status) status = compute(&r, &r.task.inputs);
    cli_task_free(&r.task);
    return status;
}

const cli_command cli_block = {
    .name = "block",
    .run = run,
    .sentence = "compute entries of a symbolic matrix: rows and columns, or the diagonal",
    .examples = "quern block 'x=Vi(3); y=Vj(3); Exp(-SqDist(x,y))' x=x.npy y=y.npy --rows 100:110 -o rows.npy\n"
                "quern block 'x=Vi(1); y=Vj(1); x*y' x=1,2,3 y=4,5,6 --rows 1:3 --columns :2\n"
                "quern block 'x=Vi(1); y=Vj(1); x*y' x=1,2,3 y=4,5,6 --diagonal\n",
    .synopsis = "FORMULA|@FILE NAME=VALUE... [options]",
    .text = "The formula is that of an entry, of a row i and a column j, and has no reduction. Values are given as to\n"
            "`quern eval`.\n",
    .notes =
        "A row of the result has the entries of a row of the matrix; an entry that is a vector is as many columns.\n",
    .options = options,
    .option_count = CLI_COUNT(options),
};
