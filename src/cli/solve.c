/*
 * solve.c: `quern solve`: linear systems whose matrix is a formula, on .npy files, tables and numbers.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "quern/build.h"
#include "quern/solve.h"

typedef struct request {
    const char *file, *dtype_text, *vector, *shift_text, *tolerance_text, *iterations_text, *rank_text, *preconditioner,
        *method;
    char *formula;
    size_t taken; /* words that it was */
    quern_dtype dtype;
    double shift, tolerance;
    int64_t iterations, rank;
    cli_list words, outputs;
    cli_opening open;
    bool json;
} request;

static const cli_option options[] = {
    {"-o", CLI_LIST, offsetof(request, outputs), "FILE", "write the solution there, as `quern eval` writes results"},
    {"--json", CLI_FLAG, offsetof(request, json), "",
     "print {\"converged\", \"residual\", \"iterations\", \"refinements\", \"rank\"}"},
    {"--vector", CLI_TEXT, offsetof(request, vector), "NAME",
     "what the formula calls the vector that it is linear in; b without it"},
    {"--shift", CLI_TEXT, offsetof(request, shift_text), "X", "add X times the vector: noise, ridge"},
    {"--tolerance", CLI_TEXT, offsetof(request, tolerance_text), "X",
     "of the largest relative residual of a right-hand side; 1e-6 without it"},
    {"--iterations", CLI_TEXT, offsetof(request, iterations_text), "N", "products with the matrix, at most"},
    {"--rank", CLI_TEXT, offsetof(request, rank_text), "N", "of the preconditioner, at most"},
    {"--preconditioner", CLI_TEXT, offsetof(request, preconditioner), "auto|none|low-rank|nystrom",
     "auto tries whether a low rank explains the matrix"},
    {"--method", CLI_TEXT, offsetof(request, method), "cg|minres|gmres",
     "for matrices that are positive definite, symmetric, or any; cg without it"},
    {"--dtype", CLI_TEXT, offsetof(request, dtype_text), "f32|f64", "convert all arrays to this type first"},
    CLI_FORMULA(request),
    CLI_DEVICE(request),
    CLI_QUIET(request),
    CLI_VERBOSE(request),
};

static quern_status parse(int argc, char **argv, request *r)
{
    quern_status status = cli_parse(argc, argv, options, CLI_COUNT(options), r, &r->words);

    if (!status) status = cli_parse_dtype(r->dtype_text, &r->dtype);
    if (!status) status = cli_parse_number(r->shift_text, "--shift", &r->shift);
    if (!status) status = cli_parse_number(r->tolerance_text, "--tolerance", &r->tolerance);
    if (!status) status = cli_parse_count(r->iterations_text, "--iterations", &r->iterations);
    if (!status) status = cli_parse_count(r->rank_text, "--rank", &r->rank);
    if (!status && !r->vector) r->vector = "b";
    if (!status && r->outputs.count > 1)
        status = cli_fail(QUERN_USAGE, "there is one solution, and -o is given %zu times", r->outputs.count);
    if (!status && !r->words.count && !r->file)
        status = cli_fail(QUERN_USAGE, "solve needs a formula, in quotes; see `quern help solve`");
    return status ? status : cli_formula_read(&r->formula, &r->taken, &r->words, r->file);
}

/* Which of the names a text is; 0 for none. */
static quern_status parse_names(const request *r, quern_solve_options *how)
{
    int preconditioner, method = 0;
    quern_status status =
        cli_parse_choice(r->preconditioner, "--preconditioner", options, CLI_COUNT(options), &preconditioner);

    if (!status) status = cli_parse_choice(r->method, "--method", options, CLI_COUNT(options), &method);
    how->preconditioner = (quern_preconditioner)preconditioner, how->method = (quern_solver)method;
    return status;
}

quern_status cli_linear_fit(cli_inputs *inputs, quern_context *context, const char *formula, const char *vector,
                            int64_t columns)
{
    quern_graph *graph;
    quern_operator *op = NULL;
    quern_status status = quern_graph_create(&graph);

    if (!status) {
        quern_vj(graph, vector, columns);
        quern_expr f = quern_formula(graph, formula);
        status = quern_compile_graph(&op, context, graph, QUERN_EXPRS(f), NULL);
    }
    status = status ? cli_fail_quern(status, NULL) : cli_inputs_fit(inputs, op);
    quern_operator_destroy(&op);
    quern_graph_destroy(&graph);
    return status;
}

/* Gives typed numbers the shape of the formula's variables; those of the vector, the last, are one right-hand side. */
static quern_status fit(cli_inputs *inputs, quern_context *context, const request *r)
{
    size_t last = inputs->count - 1;
    int64_t columns = inputs->sources[last].typed ? 1 : inputs->args[last].view.columns;

    return cli_linear_fit(inputs, context, r->formula, r->vector, columns);
}

/* Takes the right-hand sides out of the arguments: they become the last. */
static quern_status take_vector(cli_inputs *inputs, const request *r, quern_view *vector)
{
    for (size_t k = 0; k < inputs->count; k++)
        if (!strcmp(inputs->args[k].name, r->vector)) {
            quern_arg arg = inputs->args[k];
            cli_source source = inputs->sources[k];
            size_t last = inputs->count - 1;
            inputs->args[k] = inputs->args[last], inputs->args[last] = arg;
            inputs->sources[k] = inputs->sources[last], inputs->sources[last] = source;
            *vector = arg.view;
            return QUERN_OK;
        }
    return cli_fail(QUERN_MISSING, "no right-hand side is given; add %s=FILE", r->vector);
}

static bool progress(void *unused, int64_t iteration, double residual)
{
    (void)unused;
    if (cli_progress_wanted()) fprintf(stderr, "\r%6" PRId64 " products, residual %-12.3g\r", iteration, residual);
    return false;
}

static quern_status print_json(const quern_solve_report *report)
{
    return cli_print_json(json_pack("{s:b, s:f, s:I, s:I, s:I}", "converged", report->converged, "residual",
                                    report->residual, "iterations", (json_int_t)report->iterations, "refinements",
                                    (json_int_t)report->refinements, "rank", (json_int_t)report->rank),
                          0);
}

/* Prints or writes the solution, also one that is not as good as was asked. */
static quern_status show(const request *r, quern_view solution, const quern_solve_report *report)
{
    quern_value value = {.name = "", .axis = 'i', .dim = solution.columns};
    cli_results results = {&solution, &value, 1};
    quern_status status = r->json ? print_json(report) : QUERN_OK;

    if (!status && !r->json && !r->outputs.count) status = cli_results_print(&results);
    return status ? status : cli_outputs_write(&r->outputs, &results);
}

static quern_status solve(const request *r, const quern_linear *linear, quern_view vector)
{
    quern_solve_options how = {.size = sizeof how,
                               .tolerance = r->tolerance,
                               .iterations = r->iterations,
                               .rank = r->rank,
                               .progress = progress};
    quern_solve_report report = {.size = sizeof report};
    quern_view solution = vector;
    quern_status status = parse_names(r, &how);

    if (status) return status;
    solution.data = calloc((size_t)(vector.rows * vector.columns) + 1, sizeof(double));
    solution.stride = 0;
    if (!solution.data) return cli_fail_memory();
    quern_status solved = quern_solve(linear, vector, solution, &how, &report);
    if (cli_progress_wanted()) fprintf(stderr, "%*s\r", 48, "");
    if (solved) cli_fail_quern(solved, NULL);
    else if (r->outputs.count)
        cli_note("residual %.3g after %" PRId64 " product%s, with a preconditioner of rank %" PRId64, report.residual,
                 report.iterations, CLI_S(report.iterations), report.rank);
    if (!solved || solved == QUERN_NUMERIC) status = show(r, solution, &report);
    free(solution.data);
    return solved ? solved : status;
}

static quern_status compute(const request *r, cli_inputs *inputs)
{
    quern_context *context = NULL;
    quern_linear *linear = NULL;
    quern_view vector = {0};
    quern_linear_options how = {.size = sizeof how, .vector = r->vector, .shift = r->shift};
    quern_status status = take_vector(inputs, r, &vector);

    if (!status) status = cli_open(&context, &r->open);
    if (!status) status = fit(inputs, context, r);
    if (!status) {
        status = quern_linear_create(&linear, context, r->formula, (quern_args){inputs->args, inputs->count - 1, 0, 0},
                                     &how);
        if (status) cli_fail_quern(status, NULL);
    }
    if (!status) status = solve(r, linear, inputs->args[inputs->count - 1].view);
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

const cli_command cli_solve = {
    .name = "solve",
    .run = run,
    .sentence = "solve a linear system whose matrix is a formula",
    .examples =
        "quern solve 'x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y))*b)' x=x.npy y=x.npy b=b.npy --shift 1e-2 -o c.npy\n"
        "quern solve 'x=Vi(1); y=Vj(1); Sum_j(Exp(-Norm2(x-y))*b)' x=0,1,3 y=0,1,3 b=1,2,3\n",
    .synopsis = "FORMULA|@FILE NAME=VALUE... [options]",
    .text =
        "The formula is linear in a vector b, which it uses and does not declare; b=FILE has the right-hand sides as its\n"
        "columns. Finds c such that the formula with c in place of b, plus the shift times c, is b. The matrix has to be\n"
        "symmetric and positive definite, unless --method says otherwise. Values are given as to `quern eval`.\n",
    .notes =
        "Float32 arrays are solved to float64 residuals where the device has float64. A solution that is not as good as was\n"
        "asked is written, too; the exit code is 17 then, and stderr says why.\n",
    .options = options,
    .option_count = CLI_COUNT(options),
};
