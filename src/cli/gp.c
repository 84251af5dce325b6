/*
 * gp.c: `quern gp`: Gaussian process regression on .npy files, tables and numbers.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "gp_plot.h"
#include "plot.h"

typedef struct request {
    const char *kernel, *method, *mean, *optimiser, *fixed, *plot, *dtype_text;
    const char *steps, *rate, *probes, *tolerance, *iterations, *neighbours, *inducing;
    quern_dtype dtype;
    cli_list words, outputs;
    cli_opening open;
    bool json, fit, as_given;
} request;

static const cli_option options[] = {
    {"--kernel", CLI_TEXT, offsetof(request, kernel), "NAMES|FORMULA",
     "rbf, matern12, matern32, matern52 (without it), rational_quadratic, periodic, with + and *\n"
     "between them; or a formula of x=Vi(D), y=Vj(D) and parameters"},
    {"--fit", CLI_FLAG, offsetof(request, fit), "", "look for the parameters with the largest likelihood first"},
    {"--fixed", CLI_TEXT, offsetof(request, fixed), "NAMES", "parameters that --fit leaves as they are"},
    {"--optimiser", CLI_TEXT, offsetof(request, optimiser), "lbfgs|adam", "of --fit; lbfgs without it"},
    {"--steps", CLI_TEXT, offsetof(request, steps), "N", "of --fit, at most; 50 without it"},
    {"--rate", CLI_TEXT, offsetof(request, rate), "X", "of adam; 0.1 without it"},
    {"--as-given", CLI_FLAG, offsetof(request, as_given), "",
     "take values as they are; without it their mean is taken off and they are divided by\n"
     "their standard deviation first, so variances and noise are parts of theirs"},
    {"--mean", CLI_TEXT, offsetof(request, mean), "zero|constant",
     "what is known of the mean: that it is 0 (simple Kriging), or nothing (ordinary Kriging)"},
    {"--method", CLI_TEXT, offsetof(request, method), "auto|cholesky|iterative|inducing",
     "cholesky is exact and stores the matrix; auto takes it up to 6000 points"},
    {"--probes", CLI_TEXT, offsetof(request, probes), "N", "of the iterative likelihood; 32 without it"},
    {"--tolerance", CLI_TEXT, offsetof(request, tolerance), "X", "of iterative residuals; 1e-6 without it"},
    {"--iterations", CLI_TEXT, offsetof(request, iterations), "N", "products with the matrix for a system, at most"},
    {"--neighbours", CLI_TEXT, offsetof(request, neighbours), "N",
     "of each point, in the preconditioner of the iterative method; 48 without it"},
    {"--inducing", CLI_TEXT, offsetof(request, inducing), "N",
     "points that stand for all, in the method of inducing points; the likelihood is a lower bound then"},
    {"-o", CLI_LIST, offsetof(request, outputs), "FILE",
     "write predictions there: a row for each point, mean and standard deviation; .npy, .csv, .tsv"},
    {"--plot", CLI_TEXT, offsetof(request, plot), "FILE", "draw the fit of points in one or two dimensions: FILE.svg"},
    {"--json", CLI_FLAG, offsetof(request, json), "",
     "print {log_marginal_likelihood, log_marginal_likelihood_error, rmse, parameters: [{name, values}],\n"
     "formula, method, residual, products, mean, deviation, trend, inducing, unexplained};\n"
     "rmse is null without truth"},
    {"--dtype", CLI_TEXT, offsetof(request, dtype_text), "f32|f64", "convert all arrays to this type first"},
    CLI_DEVICE(request),
    CLI_QUIET(request),
    CLI_VERBOSE(request),
};

/* ---- options ---------------------------------------------------------------------------------------------------- */

static const char *method_name(quern_gp_method method)
{
    static const char *const names[] = {"auto", "cholesky", "iterative", "inducing"};
    return names[method];
}

/* Options that what is asked for has no use of. */
static quern_status check_uses(const request *r, quern_gp_method method)
{
    enum { FIT = -1 };
    const struct {
        const char *text, *option;
        int of; /* a method, or FIT */
    } uses[] = {{r->optimiser, "--optimiser", FIT},
                {r->fixed, "--fixed", FIT},
                {r->steps, "--steps", FIT},
                {r->rate, "--rate", FIT},
                {r->inducing, "--inducing", QUERN_GP_INDUCING},
                {r->probes, "--probes", QUERN_GP_ITERATIVE},
                {r->tolerance, "--tolerance", QUERN_GP_ITERATIVE},
                {r->iterations, "--iterations", QUERN_GP_ITERATIVE},
                {r->neighbours, "--neighbours", QUERN_GP_ITERATIVE}};

    if (!method && r->inducing) method = QUERN_GP_INDUCING;
    for (size_t k = 0; k < CLI_COUNT(uses); k++) {
        if (!uses[k].text) continue;
        if (uses[k].of == FIT && !r->fit)
            return cli_fail(QUERN_USAGE, "%s is for a fit; ask for one with --fit", uses[k].option);
        if (uses[k].of != FIT && method && uses[k].of != (int)method)
            return cli_fail(QUERN_USAGE, "%s is for the method %s, not %s", uses[k].option,
                            method_name((quern_gp_method)uses[k].of), method_name(method));
    }
    return QUERN_OK;
}

static quern_status parse_options(const request *r, quern_gp_options *o, quern_gp_fit_options *f)
{
    int method, mean = 0, way = 0;
    const struct {
        const char *text, *option;
        int64_t *out;
    } counts[] = {{r->steps, "--steps", &f->steps},
                  {r->probes, "--probes", &o->probes},
                  {r->iterations, "--iterations", &o->iterations},
                  {r->neighbours, "--neighbours", &o->neighbours},
                  {r->inducing, "--inducing", &o->inducing}};
    quern_status status = cli_parse_choice(r->method, "--method", options, CLI_COUNT(options), &method);

    if (!status) status = check_uses(r, (quern_gp_method)method);
    if (!status) status = cli_parse_choice(r->mean, "--mean", options, CLI_COUNT(options), &mean);
    if (!status) status = cli_parse_choice(r->optimiser, "--optimiser", options, CLI_COUNT(options), &way);
    for (size_t k = 0; k < CLI_COUNT(counts) && !status; k++)
        status = cli_parse_count(counts[k].text, counts[k].option, counts[k].out);
    if (!status) status = cli_parse_positive(r->rate, "--rate", &f->rate);
    if (!status) status = cli_parse_positive(r->tolerance, "--tolerance", &o->tolerance);
    if (status) return status;
    o->method = (quern_gp_method)method, o->mean = (quern_gp_mean)mean, f->optimiser = (quern_gp_optimiser)way;
    o->standardise = !r->as_given, o->progress = cli_known_progress, f->fixed = r->fixed;
    return QUERN_OK;
}

/* ---- output ----------------------------------------------------------------------------------------------------- */

typedef struct outcome {
    quern_gp_report report;
    double rmse;   /* NaN: no truth */
    double *table; /* means and standard deviations, a row for each point */
} outcome;

static json_t *json_parameters(const quern_gp *gp)
{
    json_t *all = json_array();

    for (size_t k = 0; k < quern_gp_parameter_count(gp); k++) {
        quern_gp_parameter p = quern_gp_parameter_at(gp, k);
        json_t *list = json_array();
        for (int64_t d = 0; d < p.length; d++) json_array_append_new(list, cli_json_number(p.values[d]));
        json_array_append_new(all, json_pack("{s:s, s:o}", "name", p.name, "values", list));
    }
    return all;
}

static quern_status print_json(const quern_gp *gp, const outcome *out)
{
    const quern_gp_report *r = &out->report;

    return cli_print_json(
        json_pack("{s:o, s:o, s:o, s:o, s:s, s:s, s:o, s:I, s:o, s:o, s:o, s:I, s:o}", "log_marginal_likelihood",
                  cli_json_number(r->log_likelihood), "log_marginal_likelihood_error",
                  cli_json_number(r->log_likelihood_error), "rmse", cli_json_number(out->rmse), "parameters",
                  json_parameters(gp), "formula", quern_gp_formula(gp), "method", method_name(r->method), "residual",
                  cli_json_number(r->residual), "products", (json_int_t)r->products, "mean", cli_json_number(r->mean),
                  "deviation", cli_json_number(r->deviation), "trend", cli_json_number(r->trend), "inducing",
                  (json_int_t)r->inducing, "unexplained", cli_json_number(r->unexplained)),
        2);
}

static void print_report(const quern_gp *gp, const outcome *out)
{
    printf("log marginal likelihood  %.9g", out->report.log_likelihood);
    if (out->report.log_likelihood_error > 0) printf(" +- %.3g", out->report.log_likelihood_error);
    if (out->report.inducing) printf(" or more");
    putchar('\n');
    for (size_t k = 0; k < quern_gp_parameter_count(gp); k++) {
        quern_gp_parameter p = quern_gp_parameter_at(gp, k);
        printf("%-23s ", p.name);
        for (int64_t d = 0; d < p.length; d++) printf(" %.6g", p.values[d]);
        putchar('\n');
    }
    if (!isnan(out->rmse)) printf("%-24s %.9g\n", "rmse", out->rmse);
}

/* Predictions, as far as they are wanted, and how far they are off. */
static quern_status predict(const request *r, quern_gp *gp, const cli_known *d, outcome *out)
{
    quern_view mean, variance = {0};
    out->rmse = NAN;
    if (!d->at.data) return QUERN_OK;
    out->table = calloc((size_t)(2 * d->at.rows) + 1, sizeof *out->table);
    if (!out->table) return cli_fail_memory();
    mean = quern_f64(out->table, d->at.rows, 1);
    mean.stride = 2;
    if (r->outputs.count || (!r->json && !d->truth.data)) variance = mean, variance.data = out->table + 1;
    quern_status status = quern_gp_predict(gp, d->at, mean, variance);
    if (status) return cli_fail_quern(status, "at");
    for (int64_t i = 0; i < d->at.rows; i++) out->table[2 * i + 1] = sqrt(out->table[2 * i + 1]);
    out->rmse = cli_known_rmse(d, out->table, 2);
    return QUERN_OK;
}

static quern_status show(const request *r, const quern_gp *gp, const cli_known *d, const outcome *out)
{
    quern_view table = quern_f64(out->table, d->at.rows, 2);
    quern_value value = {.name = "", .axis = 'i', .dim = 2};
    cli_results results = {&table, &value, 1};
    bool rows = out->table && !r->json && !r->outputs.count && !d->truth.data;
    quern_status status = QUERN_OK;

    if (r->json) status = print_json(gp, out);
    else if (rows) status = cli_results_print(&results);
    else print_report(gp, out);
    return status || !out->table ? status : cli_outputs_write(&r->outputs, &results);
}

/* ---- the command ------------------------------------------------------------------------------------------------ */

static quern_status compute(const request *r, const cli_known *d, quern_gp *gp, const quern_gp_fit_options *how)
{
    outcome out = {.report = {.size = sizeof out.report}};
    quern_status status = QUERN_OK;

    if (r->fit) status = quern_gp_fit(gp, how, NULL);
    if (!status) status = quern_gp_likelihood(gp, &out.report, (quern_view){0});
    if (status) cli_fail_quern(status, NULL);
    if (!status) status = predict(r, gp, d, &out);
    cli_progress_clear();
    if (!status) status = show(r, gp, d, &out);
    if (!status && r->plot) status = cli_gp_plot(r->plot, gp, d->points, d->values);
    free(out.table);
    return status;
}

static quern_status open_and_compute(const request *r, const cli_known *d, const quern_gp_options *o,
                                     const quern_gp_fit_options *how)
{
    quern_context *context = NULL;
    quern_gp *gp = NULL;
    quern_args parameters = {d->parameters.args, d->parameters.count, 0, 0};
    quern_status status = cli_open(&context, &r->open);

    if (!status) {
        status = quern_gp_create(&gp, context, r->kernel ? r->kernel : "matern52", d->points, d->values, parameters, o);
        status = status ? cli_fail_quern(status, NULL) : compute(r, d, gp, how);
    }
    quern_gp_destroy(&gp);
    quern_context_destroy(&context);
    return status;
}

static quern_status run(int argc, char **argv)
{
    request r = {0};
    cli_known d = {0};
    quern_gp_options o = {.size = sizeof o};
    quern_gp_fit_options how = {.size = sizeof how};
    quern_status status = cli_parse(argc, argv, options, CLI_COUNT(options), &r, &r.words);

    if (!status) status = cli_parse_dtype(r.dtype_text, &r.dtype);
    if (!status) status = parse_options(&r, &o, &how);
    if (!status) status = cli_plot_check(r.plot, &r.outputs);
    if (!status) status = cli_known_read(&d, "gp", &r.words, &r.outputs, r.dtype);
    if (!status && r.plot && d.points.columns > 2)
        status = cli_fail(QUERN_USAGE, "--plot draws points in one or two dimensions, not %lld",
                          (long long)d.points.columns);
    if (!status) status = open_and_compute(&r, &d, &o, &how);
    cli_known_free(&d);
    free(r.words.items);
    free(r.outputs.items);
    return status;
}

const cli_command cli_gp = {
    .name = "gp",
    .run = run,
    .sentence = "Gaussian process regression (Kriging): values elsewhere, with standard deviations",
    .examples = "quern gp points.npy values.npy at=more.npy --fit -o predicted.npy\n"
                "quern gp points.npy values.npy length=0.05 noise=0.1 at=more.npy truth=there.npy --json\n"
                "quern gp measured.csv --kernel 'rbf + periodic' --fit --plot fit.svg\n",
    .synopsis = "POINTS [VALUES] [at=FILE] [truth=FILE] [PARAMETER=VALUE...] [options]",
    .text =
        "POINTS are the places of the VALUES, one a row; without VALUES the last column of POINTS has them. Predicts the\n"
        "values at other points, `at`, and compares with the `truth`, or the column that `at` has more. Prints means and\n"
        "standard deviations, or, without `at` or with `truth`, the likelihood, the parameters and the root of the mean\n"
        "square error. Values are given as to `quern eval`; numbers are points on a line.\n"
        "Parameters are noise, the variance of the noise, and the kernel's: variance, length (a number, or one for each\n"
        "dimension), alpha, period; numbered by the names where the kernel has several: length_1.\n",
    .notes = "Standard deviations are of the value without noise. What is not known is left out of files, not NaN.\n",
    .options = options,
    .option_count = CLI_COUNT(options),
};
