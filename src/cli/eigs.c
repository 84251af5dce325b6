/*
 * eigs.c: `quern eigs`: eigenvalues and eigenvectors of a matrix that is a formula, on .npy files, tables and numbers.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "quern/spectra.h"

enum { DEFAULT_COUNT = 6 };

typedef struct request {
    cli_task task;
    cli_linear linear;
    const char *which, *method, *count_text, *tolerance, *iterations;
    int64_t count;
    cli_opening open;
    bool json;
} request;

static const cli_option options[] = {
    {"--count", CLI_TEXT, offsetof(request, count_text), "K", "how many; 6 without it, or as many as there are"},
    {"--which", CLI_TEXT, offsetof(request, which), "largest|smallest|magnitude",
     "magnitude: the largest without their signs; largest without it"},
    {"--method", CLI_TEXT, offsetof(request, method), "lanczos|subspace",
     "block Lanczos, or randomised subspace iteration; lanczos without it"},
    {"-o", CLI_LIST, offsetof(request, task.outputs), "FILE",
     "write the eigenvalues there; given again, the eigenvectors, a column for each"},
    {"--json", CLI_FLAG, offsetof(request, json), "",
     "print {\"converged\", \"residual\", \"iterations\", \"restarts\", \"values\"}"},
    CLI_LINEAR(request),
    {"--tolerance", CLI_TEXT, offsetof(request, tolerance), "X",
     "of residuals in relation to the largest eigenvalue; 1e-10 without it, 1e-5 with float32"},
    {"--iterations", CLI_TEXT, offsetof(request, iterations), "N",
     "products with 8 vectors, or 16 of a subspace, at most"},
    {"--dtype", CLI_TEXT, offsetof(request, task.dtype_text), "f32|f64", "convert all arrays to this type first"},
    CLI_FORMULA(request, task.file),
    CLI_DEVICE(request),
    CLI_QUIET(request),
    CLI_VERBOSE(request),
};

static quern_status parse_options(request *r, quern_eigen_options *how)
{
    int which, method;
    quern_status status = cli_parse_choice(r->which, "--which", options, CLI_COUNT(options), &which);

    if (!status) status = cli_parse_choice(r->method, "--method", options, CLI_COUNT(options), &method);
    if (!status) status = cli_parse_count(r->count_text, "--count", &r->count);
    if (!status) status = cli_parse_positive(r->tolerance, "--tolerance", &how->tolerance);
    if (!status) status = cli_parse_count(r->iterations, "--iterations", &how->iterations);
    if (status) return status;
    how->which = (quern_eigenvalues)which, how->method = (quern_eigen_method)method;
    how->progress = cli_linear_progress;
    return QUERN_OK;
}

static quern_status print_json(const quern_view *values, const quern_eigen_report *report)
{
    json_t *list = json_array();

    for (int64_t k = 0; list && k < values->rows; k++)
        json_array_append_new(list, cli_json_number(cli_element(values, k)));
    return cli_print_json(json_pack("{s:b, s:o, s:I, s:I, s:o}", "converged", report->converged, "residual",
                                    cli_json_number(report->residual), "iterations", (json_int_t)report->iterations,
                                    "restarts", (json_int_t)report->restarts, "values", list),
                          0);
}

/* Prints or writes the pairs, also those that are not as good as was asked. */
static quern_status show(const request *r, quern_view *pairs, const quern_eigen_report *report)
{
    quern_value values[2] = {{.name = "", .axis = 'p', .dim = 1}, {.name = "", .axis = 'i', .dim = pairs[1].columns}};
    cli_results results = {pairs, values, r->task.outputs.count > 1 ? 2 : 1};
    quern_status status = r->json ? print_json(&pairs[0], report) : QUERN_OK;

    if (!status && !r->json && !r->task.outputs.count) status = cli_results_print(&results);
    return status ? status : cli_outputs_write(&r->task.outputs, &results);
}

static quern_status find(const request *r, const quern_eigen_options *how)
{
    int64_t rows = quern_linear_rows(r->linear.linear), most = rows < DEFAULT_COUNT ? rows : DEFAULT_COUNT;
    int64_t count = r->count ? r->count : most, columns = r->task.outputs.count > 1 ? count : 0;

    if (count > rows) return cli_fail(QUERN_SHAPE, "%" PRId64 " eigenvalues are asked for, of %" PRId64, count, rows);
    quern_dtype dtype = cli_inputs_dtype(&r->task.inputs, r->task.dtype);
    quern_eigen_report report = QUERN_DEFAULTS(quern_eigen_report);
    quern_status status = QUERN_OK;
    double *values = calloc((size_t)count + 1, sizeof *values);
    double *vectors = calloc((size_t)(rows * columns) + 1, sizeof *vectors);
    if (!values || !vectors) {
        free(values);
        free(vectors);
        return cli_fail_memory();
    }
    quern_view pairs[2] = {quern_view_of(values, dtype, count, 1), quern_view_of(vectors, dtype, rows, columns)};
    quern_status found = quern_eigenpairs(r->linear.linear, pairs[0], pairs[1], how, &report);
    cli_progress_clear();
    if (found) cli_fail_quern(found, NULL);
    else if (r->task.outputs.count)
        cli_note("residual %.3g after %" PRId64 " product%s", report.residual, report.iterations,
                 CLI_S(report.iterations));
    if (!found || (found == QUERN_NUMERIC && isfinite(report.residual))) status = show(r, pairs, &report);
    free(values);
    free(vectors);
    return found ? found : status;
}

static quern_status run(int argc, char **argv)
{
    request r = {0};
    quern_eigen_options how = QUERN_DEFAULTS(quern_eigen_options);
    quern_status status = cli_parse(argc, argv, options, CLI_COUNT(options), &r, &r.task.words);

    if (!status) status = parse_options(&r, &how);
    if (!status) status = cli_task_read(&r.task, "eigs", 2, "are eigenvalues and eigenvectors");
    if (!status) status = cli_linear_open(&r.linear, &r.task, &r.open, false);
    if (!status) status = find(&r, &how);
    cli_linear_close(&r.linear);
    cli_task_free(&r.task);
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
