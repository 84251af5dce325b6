/*
 * 03_builder: a formula whose shape is known only when the program runs.
 *
 * Points y_j on a line carry weights b_j; how strongly they are felt at x_i is a mixture of Gaussians, and how many
 * there are stands in the data. Each term is w_s exp(-|x_i - y_j|^2 / s^2). Text would have to be glued together; here
 * a loop adds the terms. The graph shares |x_i - y_j|^2 between them, and value and slope go to one operator, which
 * computes each exponential once for both. With x = 0 or 2, y = 1 and b = 2 the value is
 * 2/e + e^(-1/4).
 */
#include <quern.h>
#include <quern/build.h>
#include <stdio.h>

static quern_expr mixture(quern_graph *graph, quern_expr d, const double *scales, const double *weights, int count)
{
    quern_expr sum = quern_literal(graph, 0);
    for (int s = 0; s < count; s++) {
        quern_expr scaled = quern_divide(graph, d, quern_literal(graph, scales[s] * scales[s]));
        quern_expr term = quern_exp(graph, quern_negate(graph, scaled));
        sum = quern_add(graph, sum, quern_multiply(graph, term, quern_literal(graph, weights[s])));
    }
    return sum;
}

static quern_status compile(quern_operator **op, quern_context *ctx)
{
    static const double scales[] = {1, 2}, weights[] = {1, 0.5};
    quern_graph *graph = NULL;
    quern_graph_create(&graph); /* no checks on the way: a failure stays until quern_compile_graph tells it */
    quern_expr x = quern_vi(graph, "x", 1), y = quern_vj(graph, "y", 1), b = quern_vj(graph, "b", 1);
    quern_expr kernel = mixture(graph, quern_sqdist(graph, x, y), scales, weights, 2);
    quern_expr value = quern_sum_j(graph, quern_multiply(graph, kernel, b));
    quern_expr slope = quern_grad(graph, value, x, quern_literal(graph, 1));
    quern_status bad = quern_compile_graph(op, ctx, graph, QUERN_EXPRS(value, slope), NULL);
    quern_graph_destroy(&graph);
    return bad;
}

int main(void)
{
    float x[] = {0, 2}, y[] = {1}, b[] = {2}, value[2], slope[2];
    quern_context *ctx = NULL;
    quern_operator *op = NULL;
    quern_status bad = quern_context_create(&ctx, NULL);

    if (!bad) bad = compile(&op, ctx);
    if (!bad)
        bad = quern_run_all(op,
                            QUERN_ARGS({"x", quern_f32(x, 2, 1)}, {"y", quern_f32(y, 1, 1)}, {"b", quern_f32(b, 1, 1)}),
                            QUERN_OUTS(quern_f32(value, 2, 1), quern_f32(slope, 2, 1)));
    if (bad) {
        fprintf(stderr, "%s\n", quern_last_error_text());
    } else {
        printf("values %.4f %.4f\n", value[0], value[1]); // prints: values 1.5146 1.5146
        printf("slopes %.4f %.4f\n", slope[0], slope[1]); // prints: slopes 1.8609 -1.8609
    }
    quern_operator_destroy(&op);
    quern_context_destroy(&ctx);
    return (int)bad;
}
