/*
 * ridge.c: `quern ridge`: kernel ridge regression at scale on .npy files, tables and numbers.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "quern/ridge.h"

typedef struct request {
    const char *kernel, *loss, *centres, *penalty, *tolerance, *iterations, *dtype_text;
    quern_dtype dtype;
    cli_list words, outputs;
    cli_opening open;
    bool json, as_given;
} request;

static const cli_option options[] = {
    {"--kernel", CLI_TEXT, offsetof(request, kernel), "NAMES|FORMULA", "as in `quern gp`; matern52 without it"},
    {"--loss", CLI_TEXT, offsetof(request, loss), "squared|logistic",
     "logistic: values are two classes, -1 or 0 and 1, and results the probability of 1"},
    {"--centres", CLI_TEXT, offsetof(request, centres), "M", "points that have a kernel; 1000 without it"},
    {"--penalty", CLI_TEXT, offsetof(request, penalty), "X",
     "half of it times the squared norm is added to the mean of the losses; 1e-6 without it"},
    {"--as-given", CLI_FLAG, offsetof(request, as_given), "",
     "take values as they are; without it their mean, or the classes' odds, is taken off first"},
    {"--tolerance", CLI_TEXT, offsetof(request, tolerance), "X", "of the function; 1e-6 without it, in float32 1e-4"},
    {"--iterations", CLI_TEXT, offsetof(request, iterations), "N", "of conjugate gradients, at most; 500 without it"},
    {"-o", CLI_LIST, offsetof(request, outputs), "FILE",
     "write predictions there, a row for each point; .npy, .csv, .tsv"},
    {"--json", CLI_FLAG, offsetof(request, json), "",
     "print {rmse, accuracy, log_loss, objective, centres, products, steps, residual, converged};\n"
     "the first is null without truth, the next two also for the squared loss"},
    {"--dtype", CLI_TEXT, offsetof(request, dtype_text), "f32|f64", "convert all arrays to this type first"},
    CLI_DEVICE(request),
    CLI_QUIET(request),
    CLI_VERBOSE(request),
};

static quern_status parse_options(const request *r, quern_ridge_options *o)
{
    int loss = 0;
    quern_status status = cli_parse_choice(r->loss, "--loss", options, CLI_COUNT(options), &loss);

    if (!status) status = cli_parse_count(r->centres, "--centres", &o->centres);
    if (!status) status = cli_parse_count(r->iterations, "--iterations", &o->iterations);
    if (!status) status = cli_parse_positive(r->penalty, "--penalty", &o->penalty);
    if (!status) status = cli_parse_positive(r->tolerance, "--tolerance", &o->tolerance);
    o->loss = (quern_ridge_loss)loss, o->intercept = !r->as_given, o->progress = cli_known_progress;
    return status;
}

/* ---- output ----------------------------------------------------------------------------------------------------- */

typedef struct outcome {
    double *table;                   /* predictions, a row for each point */
    double rmse, accuracy, log_loss; /* NaN where there is none */
} outcome;

/* How predictions are off. */
static void compare(const cli_known *known, quern_ridge_loss loss, outcome *out)
{
    int64_t rows = known->at.rows, columns = known->truth.columns;
    double right = 0, sum = 0, count = (double)(rows * columns);

    out->rmse = cli_known_rmse(known, out->table, columns);
    if (!known->truth.data || loss != QUERN_RIDGE_LOGISTIC) return;
    for (int64_t k = 0; k < rows * columns; k++) {
        bool one = cli_known_truth(known, k / columns, k % columns) > 0;
        double p = out->table[k];
        right += one == (p > 0.5);
        sum -= log(fmax(one ? p : 1 - p, 1e-300));
    }
    out->accuracy = right / count, out->log_loss = sum / count;
}

static quern_status print_json(const quern_ridge_report *r, const outcome *out)
{
    return cli_print_json(
        json_pack("{s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:o, s:b}", "rmse", cli_json_number(out->rmse), "accuracy",
                  cli_json_number(out->accuracy), "log_loss", cli_json_number(out->log_loss), "objective",
                  cli_json_number(r->objective), "centres", (json_int_t)r->centres, "products", (json_int_t)r->products,
                  "steps", (json_int_t)r->steps, "residual", cli_json_number(r->residual), "converged", r->converged),
        2);
}

static void print_report(const quern_ridge_report *r, const outcome *out)
{
    printf("%-12s %.9g\n%-12s %lld\n%-12s %lld\n", "objective", r->objective, "centres", (long long)r->centres,
           "products", (long long)r->products);
    if (!isnan(out->rmse)) printf("%-12s %.9g\n", "rmse", out->rmse);
    if (!isnan(out->accuracy)) printf("%-12s %.6g\n%-12s %.6g\n", "accuracy", out->accuracy, "log loss", out->log_loss);
}

static quern_status show(const request *r, const cli_known *known, const quern_ridge_report *report, const outcome *out)
{
    quern_view table = quern_f64(out->table, known->at.rows, known->values.columns);
    quern_value value = {.name = "", .axis = 'i', .dim = known->values.columns};
    cli_results results = {&table, &value, 1};
    quern_status status = QUERN_OK;

    if (r->json) status = print_json(report, out);
    else if (out->table && !r->outputs.count && !known->truth.data) status = cli_results_print(&results);
    else print_report(report, out);
    return status || !out->table ? status : cli_outputs_write(&r->outputs, &results);
}

/* ---- the command ------------------------------------------------------------------------------------------------ */

static quern_status predict(const cli_known *known, const quern_ridge *ridge, quern_ridge_loss loss, outcome *out)
{
    int64_t columns = known->values.columns;

    if (!known->at.data) return QUERN_OK;
    out->table = calloc((size_t)(known->at.rows * columns) + 1, sizeof *out->table);
    if (!out->table) return cli_fail_memory();
    quern_status status = quern_ridge_predict(ridge, known->at, quern_f64(out->table, known->at.rows, columns));
    if (status) return cli_fail_quern(status, "at");
    compare(known, loss, out);
    return QUERN_OK;
}

static quern_status compute(const request *r, const cli_known *known, const quern_ridge_options *o)
{
    quern_context *context = NULL;
    quern_ridge *ridge = NULL;
    outcome out = {NULL, NAN, NAN, NAN};
    quern_args parameters = {known->parameters.args, known->parameters.count, 0, 0};
    quern_status status = cli_open(&context, &r->open);

    if (!status) {
        status = quern_ridge_create(&ridge, context, r->kernel ? r->kernel : "matern52", known->points, known->values,
                                    parameters, o);
        status = status ? cli_fail_quern(status, NULL) : predict(known, ridge, o->loss, &out);
    }
    cli_progress_clear();
    if (!status) status = show(r, known, quern_ridge_report_of(ridge), &out);
    free(out.table);
    quern_ridge_destroy(&ridge);
    quern_context_destroy(&context);
    return status;
}

static quern_status run(int argc, char **argv)
{
    request r = {0};
    cli_known known = {0};
    quern_ridge_options o = {.size = sizeof o};
    quern_status status = cli_parse(argc, argv, options, CLI_COUNT(options), &r, &r.words);

    if (!status) status = cli_parse_dtype(r.dtype_text, &r.dtype);
    if (!status) status = parse_options(&r, &o);
    if (!status) status = cli_known_read(&known, "ridge", &r.words, &r.outputs, r.dtype);
    if (!status) status = compute(&r, &known, &o);
    cli_known_free(&known);
    free(r.words.items);
    free(r.outputs.items);
    return status;
}

const cli_command cli_ridge = {
    .name = "ridge",
    .run = run,
    .sentence = "kernel ridge regression at scale: values elsewhere, or the probability of a class",
    .examples = "quern ridge points.npy values.npy at=more.npy length=0.1 -o predicted.npy\n"
                "quern ridge points.npy values.npy --centres 5000 at=more.npy truth=there.npy --json\n"
                "quern ridge measured.csv --loss logistic at=more.csv\n",
    .synopsis = "POINTS [VALUES] [at=FILE] [truth=FILE] [PARAMETER=VALUE...] [options]",
    .text =
        "POINTS are the places of the VALUES, one a row; without VALUES the last column of POINTS has them. Fits a function\n"
        "of kernels at some of the points, and predicts the values at other points, `at`, and compares with the `truth`, or\n"
        "the columns that `at` has more. Prints predictions or, without `at` or with `truth`, the objective and how far they\n"
        "are off. Time and memory are linear in the points. Values are given as to `quern eval`; numbers are points on a\n"
        "line. Parameters are the kernel's, as in `quern gp` but for the noise.\n",
    .notes =
        "The mean of `quern gp --inducing M` is the same function, if the penalty is its noise divided by the points.\n",
    .options = options,
    .option_count = CLI_COUNT(options),
};
