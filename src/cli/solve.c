/*
 * solve.c: `quern solve`: linear systems whose matrix is a formula, on .npy files, tables and numbers.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"

typedef struct request {
    cli_task task;
    cli_linear linear;
    const char *tolerance, *iterations, *rank, *preconditioner, *method;
    cli_opening open;
    bool json;
} request;

static const cli_option options[] = {
    {"-o", CLI_LIST, offsetof(request, task.outputs), "FILE",
     "write the solution there, as `quern eval` writes results"},
    {"--json", CLI_FLAG, offsetof(request, json), "",
     "print {\"converged\", \"residual\", \"iterations\", \"refinements\", \"rank\", \"blocks\"}"},
    CLI_LINEAR(request),
    {"--tolerance", CLI_TEXT, offsetof(request, tolerance), "X",
     "of the largest relative residual of a right-hand side; 1e-6 without it"},
    {"--iterations", CLI_TEXT, offsetof(request, iterations), "N", "products with the matrix, at most"},
    {"--rank", CLI_TEXT, offsetof(request, rank), "N", "of the preconditioner, at most; with blocks the rows of one"},
    {"--preconditioner", CLI_TEXT, offsetof(request, preconditioner), "auto|none|low-rank|nystrom|pivoted|blocks",
     "auto tries whether a low rank explains the matrix, or blocks of points that are near"},
    {"--method", CLI_TEXT, offsetof(request, method), "cg|minres|gmres",
     "for matrices that are positive definite, symmetric, or any; cg without it"},
    {"--dtype", CLI_TEXT, offsetof(request, task.dtype_text), "f32|f64", "convert all arrays to this type first"},
    CLI_FORMULA(request, task.file),
    CLI_DEVICE(request),
    CLI_QUIET(request),
    CLI_VERBOSE(request),
};

static quern_status parse_options(const request *r, quern_solve_options *how)
{
    int preconditioner, method = 0;
    quern_status status =
        cli_parse_choice(r->preconditioner, "--preconditioner", options, CLI_COUNT(options), &preconditioner);

    if (!status) status = cli_parse_choice(r->method, "--method", options, CLI_COUNT(options), &method);
    if (!status) status = cli_parse_positive(r->tolerance, "--tolerance", &how->tolerance);
    if (!status) status = cli_parse_count(r->iterations, "--iterations", &how->iterations);
    if (!status) status = cli_parse_count(r->rank, "--rank", &how->rank);
    how->preconditioner = (quern_preconditioner)preconditioner, how->method = (quern_solver)method;
    how->progress = cli_linear_progress;
    return status;
}

static quern_status print_json(const quern_solve_report *report)
{
    return cli_print_json(json_pack("{s:b, s:o, s:I, s:I, s:I, s:I}", "converged", report->converged, "residual",
                                    cli_json_number(report->residual), "iterations", (json_int_t)report->iterations,
                                    "refinements", (json_int_t)report->refinements, "rank", (json_int_t)report->rank,
                                    "blocks", (json_int_t)report->blocks),
                          0);
}

/* Prints or writes the solution, also one that is not as good as was asked, but none that is no better than 0. */
static quern_status show(const request *r, quern_view solution, const quern_solve_report *report)
{
    quern_value value = {.name = "", .axis = 'i', .dim = solution.columns};
    cli_results results = {&solution, &value, 1};
    quern_status status = r->json ? print_json(report) : QUERN_OK;

    if (!report->converged && !(report->residual < 1)) return status;
    if (!status && !r->json && !r->task.outputs.count) status = cli_results_print(&results);
    return status ? status : cli_outputs_write(&r->task.outputs, &results);
}

static quern_status solve(const request *r, const quern_solve_options *how)
{
    quern_solve_report report = QUERN_DEFAULTS(quern_solve_report);
    quern_view vector = r->task.inputs.args[r->task.inputs.count - 1].view, solution = vector;
    quern_status status = QUERN_OK;

    solution.data = calloc((size_t)(vector.rows * vector.columns) + 1, sizeof(double));
    solution.stride = 0;
    if (!solution.data) return cli_fail_memory();
    quern_status solved = quern_solve(r->linear.linear, vector, solution, how, &report);
    cli_progress_clear();
    if (solved) cli_fail_quern(solved, NULL);
    else if (r->task.outputs.count)
        cli_note("residual %.3g after %" PRId64 " product%s, with a preconditioner of %s %" PRId64, report.residual,
                 report.iterations, CLI_S(report.iterations), report.blocks ? "blocks," : "rank",
                 report.blocks ? report.blocks : report.rank);
    if (!solved || solved == QUERN_NUMERIC) status = show(r, solution, &report);
    free(solution.data);
    return solved ? solved : status;
}

static quern_status run(int argc, char **argv)
{
    request r = {0};
    quern_solve_options how = QUERN_DEFAULTS(quern_solve_options);
    quern_status status = cli_parse(argc, argv, options, CLI_COUNT(options), &r, &r.task.words);

    if (!status) status = parse_options(&r, &how);
    if (!status) status = cli_task_read(&r.task, "solve", 1, "is one solution");
    if (!status) status = cli_linear_open(&r.linear, &r.task, &r.open, true);
    if (!status) status = solve(&r, &how);
    cli_linear_close(&r.linear);
    cli_task_free(&r.task);
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
        "asked is written, too, if it is better than 0; the exit code is 17 then, and stderr says why.\n",
    .options = options,
    .option_count = CLI_COUNT(options),
};
