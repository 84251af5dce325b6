/*
 * headers_program.c: every macro and inline function of the public headers at work, in what C99 to C23 and C++11 to C++20
 * have in common. headers_test.py compiles it as each of them, and compares what it prints with the comments.
 */
#include <quern.h>
#include <quern/barycentre.h>
#include <quern/build.h>
#include <quern/cache.h>
#include <quern/cluster.h>
#include <quern/density.h>
#include <quern/density_clusters.h>
#include <quern/devices.h>
#include <quern/gp.h>
#include <quern/kmeans.h>
#include <quern/mixture.h>
#include <quern/solve.h>
#include <quern/spectra.h>
#include <quern/neighbors.h>
#include <quern/npy.h>
#include <quern/pairs.h>
#include <quern/parts.h>
#include <quern/prune.h>
#include <quern/ridge.h>
#include <quern/transport.h>
#include <quern/tsne.h>
#include <quern/umap.h>
#include <quern/tune.h>
#include <stdio.h>

static float x[] = {0, 1}, a[2], h[2];
static double x2[] = {0, 1}, a2[2];
static int64_t k[2];

static void show(const char *what, quern_status status, double first, double second)
{
    if (status) printf("%s: %s\n", what, quern_status_name(status));
    else printf("%s: %.4f %.4f\n", what, first, second);
}

static quern_status open_context(quern_context **context)
{
    quern_context_options options = QUERN_DEFAULTS(quern_context_options);
    quern_explain_options explain = QUERN_DEFAULTS(quern_explain_options);
    quern_tune_options tune = QUERN_DEFAULTS(quern_tune_options);
    quern_status status;

    options.device = "cpu";
    status = quern_context_create(context, &options);
    show("options", status, !explain.stage, tune.seconds); /* options: 1.0000 0.0000 */
    return status;
}

static void run_text(quern_context *context)
{
    quern_compile_options options = QUERN_DEFAULTS(quern_compile_options);
    quern_operator *op = NULL;
    quern_status status =
        quern_compile(&op, context, "x=Vi(1); y=Vj(1); g=Pm(1); Sum_j(Exp(-g*SqDist(x,y)))", &options);

    if (!status)
        status = quern_run(op, QUERN_ARGS({"x", quern_f32(x, 2, 1)}, {"y", quern_f32(x, 2, 1)}, {"g", quern_number(1)}),
                           quern_f32(a, 2, 1));
    show("float32", status, (double)a[0], (double)a[1]); /* float32: 1.3679 1.3679 */
    if (!status)
        status =
            quern_run(op, QUERN_ARGS({"x", quern_f64(x2, 2, 1)}, {"y", quern_f64(x2, 2, 1)}, {"g", quern_number(2)}),
                      quern_f64(a2, 2, 1));
    show("float64", status, a2[0], a2[1]);                                     /* float64: 1.1353 1.1353 */
    show("no arguments", quern_run_all(op, QUERN_ARGS(), QUERN_OUTS()), 0, 0); /* no arguments: MISSING */
    quern_operator_destroy(&op);
}

static void run_sizes(quern_context *context)
{
    quern_operator *op = NULL;
    quern_status status = quern_compile(&op, context, "Sum_j(I+1), ArgMax_j(J-I)", NULL);

    if (!status)
        status = quern_run_all(op, QUERN_ARGS({"M", quern_size(2)}, {"N", quern_size(5)}),
                               QUERN_OUTS(quern_f32(a, 2, 1), quern_i64(k, 2, 1)));
    show("sums of 5", status, (double)a[0], (double)a[1]); /* sums of 5: 5.0000 10.0000 */
    show("last of 5", status, (double)k[0], (double)k[1]); /* last of 5: 4.0000 4.0000 */
    quern_operator_destroy(&op);
}

static quern_status graph_run(quern_context *context, const quern_graph *graph, quern_exprs results)
{
    quern_operator *op = NULL;
    quern_status status = quern_compile_graph(&op, context, graph, results, NULL);

    if (!status)
        status = quern_run_all(op, QUERN_ARGS({"x", quern_f32(x, 2, 1)}),
                               QUERN_OUTS(quern_f32(a, 2, 1), quern_f32(h, 2, 1)));
    quern_operator_destroy(&op);
    return status;
}

static void run_graph(quern_context *context)
{
    quern_graph *graph = NULL;
    quern_status status = quern_graph_create(&graph);
    quern_expr v = quern_vi(graph, "x", 1);
    quern_expr sum = quern_apply(graph, "Add", QUERN_EXPRS(v, quern_literal(graph, 2)), QUERN_NO_INTEGERS);
    quern_expr row = quern_apply(graph, "Repeat_i", QUERN_EXPRS(quern_literal(graph, 3)), QUERN_INTEGERS());
    quern_expr product =
        quern_apply_lists(graph, "Kron", QUERN_EXPRS(quern_concat(graph, v, sum), quern_concat(graph, row, v)),
                          QUERN_LISTS(QUERN_INTEGERS(2), QUERN_INTEGERS(2)));
    quern_expr last = quern_apply(graph, "Extract", QUERN_EXPRS(product), QUERN_INTEGERS(2, 1));

    if (!status) status = graph_run(context, graph, QUERN_EXPRS(sum, last));
    show("sum", status, (double)a[0], (double)a[1]);     /* sum: 2.0000 3.0000 */
    show("product", status, (double)h[0], (double)h[1]); /* product: 6.0000 9.0000 */
    status = quern_graph_status(graph);
    if (!status && !quern_apply_lists(graph, "Kron", QUERN_NO_EXPRS, QUERN_LISTS())) status = quern_graph_status(graph);
    show("no operands", status, 0, 0); /* no operands: SYNTAX */
    quern_graph_destroy(&graph);
}

int main(void)
{
    quern_context *context = NULL;
    quern_status status = open_context(&context);

    if (!status) run_text(context), run_sizes(context), run_graph(context);
    quern_context_destroy(&context);
    return (int)status;
}
