/*
 * 02_first_program: the program of the README.
 *
 * A Gaussian sum over three points y_j with weights b_j, at two points x_i: a_i = sum_j exp(-|x_i - y_j|^2) b_j. At the
 * origin that is 1 + 2/e + 3/e, at (1, 0, 0) it is 1/e + 2 + 3/e^2.
 */
#include <quern.h>
#include <stdio.h>

int main(void)
{
    float x[] = {0, 0, 0, 1, 0, 0}, y[] = {0, 0, 0, 1, 0, 0, 0, 1, 0}, b[] = {1, 2, 3}, a[2];
    quern_context *ctx = NULL;
    quern_operator *op = NULL;
    quern_status bad = quern_context_create(&ctx, NULL);

    if (!bad) bad = quern_compile(&op, ctx, "x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)", NULL);
    if (!bad)
        bad = quern_run(op, QUERN_ARGS({"x", quern_f32(x, 2, 3)}, {"y", quern_f32(y, 3, 3)}, {"b", quern_f32(b, 3, 1)}),
                        quern_f32(a, 2, 1));
    if (bad) fprintf(stderr, "%s\n", quern_last_error_text());
    else printf("%.4f %.4f\n", a[0], a[1]); // prints: 2.8394 2.7739
    quern_operator_destroy(&op);
    quern_context_destroy(&ctx);
    return (int)bad;
}
