/*
 * eigs.c: `quern eigs`: eigenvalues and eigenvectors of a matrix that is a formula, on .npy files, tables and numbers.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "quern/spectra.h"

typedef struct request {
    const char *file, *dtype_text, *vector, *which, *count_text, *shift_text, *tolerance_text, *iterations_text;
    char *formula;
    size_t taken; /* words that it was */
    quern_dtype dtype;
    double shift, tolerance;
    int64_t count, iterations;
    cli_list words, outputs;
    cli_opening open;
    bool json;
} request;

static const cli_option options[] = {
    {"--count", CLI_TEXT, offsetof(request, count_text), "K", "how many; 6 without it"},
    {"--which", CLI_TEXT, offsetof(request, which), "largest|smallest|magnitude",
     "magnitude: the largest without their signs; largest without it"},
    {"-o", CLI_LIST, offsetof(request, outputs), "FILE",
     "write the eigenvalues there; given again, the eigenvectors, a column for each"},
    {"--json", CLI_FLAG, offsetof(request, json), "",
     "print {\"converged\", \"residual\", \"iterations\", \"restarts\", \"values\"}"},
    {"--vector", CLI_TEXT, offsetof(request, vector), "NAME",
     "what the formula calls the vector that it is linear in; b without it"},
    {"--shift", CLI_TEXT, offsetof(request, shift_text), "X", "add X times the vector"},
    {"--tolerance", CLI_TEXT, offsetof(request, tolerance_text), "X",
     "of residuals in relation to the largest eigenvalue; 1e-10 without it, 1e-5 with float32"},
    {"--iterations", CLI_TEXT, offsetof(request, iterations_text), "N", "products with 8 vectors, at most"},
    {"--dtype", CLI_TEXT, offsetof(request, dtype_text), "f32|f64", "convert all arrays to this type first"},
    CLI_FORMULA(request),
    CLI_DEVICE(request),
    CLI_QUIET(request),
    CLI_VERBOSE(request),
};

static quern_status parse(int argc, char **argv, request *r)
{
    quern_status status = cli_parse(argc, argv, options, CLI_COUNT(options), r, &r->words);

    r->count = 6;
    if (!status) status = cli_parse_dtype(r->dtype_text, &r->dtype);
    if (!status) status = cli_parse_count(r->count_text, "--count", &r->count);
    if (!status) status = cli_parse_number(r->shift_text, "--shift", &r->shift);
    if (!status) status = cli_parse_number(r->tolerance_text, "--tolerance", &r->tolerance);
    if (!status) status = cli_parse_count(r->iterations_text, "--iterations", &r->iterations);
    if (!status && !r->vector) r->vector = "b";
    if (!status && r->outputs.count > 2)
        status = cli_fail(QUERN_USAGE, "there are eigenvalues and eigenvectors, and -o is given %zu times",
                          r->outputs.count);
    if (!status && !r->words.count && !r->file)
        status = cli_fail(QUERN_USAGE, "eigs needs a formula, in quotes; see `quern help eigs`");
    return status ? status : cli_formula_read(&r->formula, &r->taken, &r->words, r->file);
}

static bool progress(void *unused, int64_t iteration, double residual)
{
    (void)unused;
    if (cli_progress_wanted()) fprintf(stderr, "\r%6" PRId64 " products, residual %-12.3g\r", iteration, residual);
    return false;
}

static double value_of(const quern_view *values, int64_t k)
{
    return values->dtype == QUERN_F64 ? ((double *)values->data)[k] : (double)((float *)values->data)[k];
}

static quern_status print_json(const quern_view *values, const quern_eigen_report *report)
{
    json_t *list = json_array();

    for (int64_t k = 0; list && k < values->rows; k++) json_array_append_new(list, json_real(value_of(values, k)));
    return cli_print_json(json_pack("{s:b, s:f, s:I, s:I, s:o}", "converged", report->converged, "residual",
                                    report->residual, "iterations", (json_int_t)report->iterations, "restarts",
                                    (json_int_t)report->restarts, "values", list),
                          0);
}

/* Prints or writes the pairs, also those that are not as good as was asked. */
static quern_status show(const request *r, quern_view *pairs, const quern_eigen_report *report)
{
    quern_value values[2] = {{.name = "", .axis = 'p', .dim = 1}, {.name = "", .axis = 'i', .dim = pairs[1].columns}};
    cli_results results = {pairs, values, r->outputs.count > 1 ? 2 : 1};
    quern_status status = r->json ? print_json(&pairs[0], report) : QUERN_OK;

    if (!status && !r->json && !r->outputs.count) status = cli_results_print(&results);
    return status ? status : cli_outputs_write(&r->outputs, &results);
}

static quern_status find(const request *r, const quern_linear *linear, quern_dtype dtype)
{
    int64_t rows = quern_linear_rows(linear), columns = r->outputs.count > 1 ? r->count : 0;
    quern_eigen_options how = {
        .size = sizeof how, .tolerance = r->tolerance, .iterations = r->iterations, .progress = progress};
    quern_eigen_report report = {.size = sizeof report};
    int which;
    quern_status status = cli_parse_choice(r->which, "--which", options, CLI_COUNT(options), &which);

    if (status) return status;
    how.which = (quern_eigenvalues)which;
    double *values = calloc((size_t)r->count, sizeof *values);
    double *vectors = calloc((size_t)(rows * columns) + 1, sizeof *vectors);
    if (!values || !vectors) {
        free(values);
        free(vectors);
        return cli_fail_memory();
    }
    quern_view pairs[2] = {quern_view_of(values, dtype, r->count, 1), quern_view_of(vectors, dtype, rows, columns)};
    quern_status found = quern_eigenpairs(linear, pairs[0], pairs[1], &how, &report);
    if (cli_progress_wanted()) fprintf(stderr, "%*s\r", 48, "");
    if (found) cli_fail_quern(found, NULL);
    else if (r->outputs.count)
        cli_note("residual %.3g after %" PRId64 " product%s", report.residual, report.iterations,
                 CLI_S(report.iterations));
    if (!found || (found == QUERN_NUMERIC && isfinite(report.residual))) status = show(r, pairs, &report);
    free(values);
    free(vectors);
    return found ? found : status;
}

static quern_status compute(const request *r, cli_inputs *inputs)
{
    quern_context *context = NULL;
    quern_linear *linear = NULL;
    quern_linear_options how = {.size = sizeof how, .vector = r->vector, .shift = r->shift};
    quern_status status = cli_open(&context, &r->open);

    if (!status) status = cli_linear_fit(inputs, context, r->formula, r->vector, 1);
    if (!status) {
        status =
            quern_linear_create(&linear, context, r->formula, (quern_args){inputs->args, inputs->count, 0, 0}, &how);
        if (status) cli_fail_quern(status, NULL);
    }
    if (!status) status = find(r, linear, cli_inputs_dtype(inputs, r->dtype));
    quern_linear_destroy(&linear);
    quern_context_destroy(&context);
    return status;
}

static quern_status run(int argc, char **argv)
{
    request r = {0};
    cli_inputs inputs = {0};
    quern_status status = parse(argc, argv, &r);

    if (!status) status = cli_inputs_read(&inputs, r.words.items + r.taken, r.words.count - r.taken, r.dtype);
    if (!status) status = cli_outputs_check(&r.outputs);
    if (!status) status = compute(&r, &inputs);
    cli_inputs_free(&inputs);
    free(r.formula);
    free(r.words.items);
    free(r.outputs.items);
    return status;
}

const cli_command cli_eigs = {
    .name = "eigs",
    .run = run,
    .sentence = "find eigenvalues and eigenvectors of a matrix that is a formula",
    .examples =
        "quern eigs 'x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y))*b)' x=x.npy y=x.npy --count 10 -o e.npy -o v.npy\n"
        "quern eigs 'x=Vi(1); y=Vj(1); Sum_j(Exp(-Norm2(x-y))*b)' x=0,1,3 y=0,1,3 --count 3\n",
    .synopsis = "FORMULA|@FILE NAME=VALUE... [options]",
    .text =
        "The formula is linear in a vector b, which it uses and does not declare. Finds numbers and vectors such that the\n"
        "formula with the vector in place of b is that number times the vector. The matrix has to be symmetric. Values\n"
        "are given as to `quern eval`.\n",
    .notes =
        "Products are in float64 where the device has it, unless arrays are float32 and the tolerance is 1e-5 or more.\n"
        "Pairs that are not as good as was asked are written, too; the exit code is 17 then, and stderr says why.\n",
    .options = options,
    .option_count = CLI_COUNT(options),
};
