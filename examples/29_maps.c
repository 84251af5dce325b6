/*
 * 29_maps: coordinates that a straight line cannot find: kernel PCA of rings within each other, and a diffusion map of a rolled sheet.
 *
 *     29_maps [maps.png]
 *
 * Kernel PCA (Schoelkopf, Smola and Mueller, 1998) has the principal components of points in the space of a kernel: eigenvectors of K,
 * less the means of its rows and columns. Where K is a Gaussian, the first of them tells rings apart. A diffusion map (Coifman and Lafon,
 * 2006) walks from point to near point, with the density of the points divided out; the slowest changes of where the walker is are
 * the sheet's own coordinates, the first one along its length. Both matrices are formulas with vectors of their own rows' sums, and
 * the eigenvectors are the largest. The picture has both data sets on the left, and beside them their maps.
 */
#include <math.h>
#include <quern/spectra.h>
#include <stdio.h>
#include <stdlib.h>

#include "canvas.h"
#include "random.h"

enum { N = 3000, SIDE = 320 };
#define KERNEL "x=Vi(3); y=Vj(3); g=Pm(1); Sum_j(Exp(-g*SqDist(x,y))*b)"
#define CENTRED "x=Vi(3); m=Vi(1); y=Vj(3); n=Vj(1); g=Pm(1); t=Pm(1); Sum_j((Exp(-g*SqDist(x,y))-m-n+t)*b)"
#define WEIGHTED "x=Vi(3); p=Vi(1); y=Vj(3); q=Vj(1); g=Pm(1); Sum_j(p*q*Exp(-g*SqDist(x,y))*b)"

static double rings[N][3], roll[N][3], along[N], rings_map[N][2], roll_map[N][3], values[3], sums[N], weights[N];

static void make_points(void)
{
    uint64_t k = 0;
    for (int n = 0; n < N; n++) {
        double turn = 6.283185307179586 * random_unit(k++), radius = n % 2 ? 1 : 0.3;
        rings[n][0] = (radius + 0.1 * (random_unit(k++) - 0.5)) * cos(turn);
        rings[n][1] = (radius + 0.1 * (random_unit(k++) - 0.5)) * sin(turn);
        along[n] = random_unit(k++);
        turn = 3.141592653589793 * (1.5 + 2 * along[n]);
        roll[n][0] = turn * cos(turn), roll[n][1] = 35 * random_unit(k++), roll[n][2] = turn * sin(turn);
    }
}

/* The sums of rows of a matrix of this formula; p stands for p and q. */
static quern_status add_rows(quern_context *ctx, const char *formula, quern_view x, double g, quern_view p, double *out)
{
    quern_linear *K = NULL;
    const quern_arg args[] = {{"x", x}, {"y", x}, {"g", quern_number(g)}, {"p", p}, {"q", p}};
    double ones[N];
    for (int n = 0; n < N; n++) ones[n] = 1;
    quern_status bad = quern_linear_create(&K, ctx, formula, (quern_args){args, p.rows ? 5 : 3, 0, 0}, NULL);
    if (!bad) bad = quern_linear_apply(K, quern_f64(ones, N, 1), quern_f64(out, N, 1));
    quern_linear_destroy(&K);
    return bad;
}

static quern_status find_components(quern_context *ctx)
{
    const quern_view x = quern_f64(rings[0], N, 3), m = quern_f64(sums, N, 1);
    quern_linear *centred = NULL;
    double mean = 0;
    quern_status bad = add_rows(ctx, KERNEL, x, 3, (quern_view){0}, sums);
    for (int n = 0; n < N; n++) mean += (sums[n] /= N) / N;
    if (!bad)
        bad = quern_linear_create(
            &centred, ctx, CENTRED,
            QUERN_ARGS({"x", x}, {"y", x}, {"m", m}, {"n", m}, {"g", quern_number(3)}, {"t", quern_number(mean)}),
            NULL);
    if (!bad) bad = quern_eigenpairs(centred, quern_f64(values, 2, 1), quern_f64(rings_map[0], N, 2), NULL, NULL);
    quern_linear_destroy(&centred);
    return bad;
}

static quern_status find_diffusion(quern_context *ctx)
{
    const quern_view x = quern_f64(roll[0], N, 3), p = quern_f64(weights, N, 1), g = quern_number(0.5);
    quern_linear *walk = NULL;
    quern_status bad = add_rows(ctx, KERNEL, x, 0.5, (quern_view){0}, sums); /* the density */
    for (int n = 0; n < N; n++) weights[n] = 1 / sums[n];
    if (!bad) bad = add_rows(ctx, WEIGHTED, x, 0.5, p, sums); /* the odds of a step */
    for (int n = 0; n < N; n++) weights[n] /= sqrt(sums[n]);
    if (!bad)
        bad = quern_linear_create(&walk, ctx, WEIGHTED, QUERN_ARGS({"x", x}, {"y", x}, {"p", p}, {"q", p}, {"g", g}),
                                  NULL);
    if (!bad) bad = quern_eigenpairs(walk, quern_f64(values, 3, 1), quern_f64(roll_map[0], N, 3), NULL, NULL);
    for (int n = 0; n < N; n++) roll_map[n][1] /= roll_map[n][0], roll_map[n][2] /= roll_map[n][0];
    quern_linear_destroy(&walk);
    return bad;
}

static int by_along(const void *a, const void *b)
{
    double one = along[*(const int *)a], other = along[*(const int *)b];
    return (one > other) - (one < other);
}

/* Of pairs so far apart along the sheet, how many come in one order on the map. */
static double share_in_order(int apart)
{
    int order[N], up = 0;
    for (int n = 0; n < N; n++) order[n] = n;
    qsort(order, N, sizeof *order, by_along);
    for (int n = apart; n < N; n++) up += roll_map[order[n]][1] > roll_map[order[n - apart]][1];
    return fmax(up, N - apart - up) / (N - apart);
}

/* Points in a panel, stretched to fill it. */
static void draw(canvas *c, int panel, const double *x, const double *y, int stride, const char *title)
{
    double low[2] = {x[0], y[0]}, high[2] = {x[0], y[0]};
    for (int n = 0; n < N; n++)
        for (int d = 0; d < 2; d++) {
            const double v = (d ? y : x)[n * stride];
            low[d] = fmin(low[d], v), high[d] = fmax(high[d], v);
        }
    for (int n = 0; n < N; n++)
        canvas_disc(c, SIDE * (panel % 2 + 0.06 + 0.88 * (x[n * stride] - low[0]) / (high[0] - low[0])),
                    SIDE * (panel / 2 + 0.95 - 0.85 * (y[n * stride] - low[1]) / (high[1] - low[1])), 1.6,
                    panel < 2 ? canvas_category(n % 2) : canvas_ramp(along[n]));
    canvas_text(c, SIDE * (panel % 2 + 0.04), SIDE * (panel / 2 + 0.06), 9, title, (canvas_colour){90, 90, 90}, NULL);
}

int main(int argc, char **argv)
{
    quern_context *ctx = NULL;
    canvas c;
    int right = 0;

    make_points();
    quern_status bad = quern_context_create(&ctx, NULL);
    if (!bad) bad = find_components(ctx);
    for (int n = 0; n < N; n++) right += (rings_map[n][0] * rings_map[0][0] > 0) == (n % 2 == 0);
    if (!bad) printf("%d of %d points are on the side of their ring\n", right, N);
    // prints: 3000 of 3000 points are on the side of their ring
    if (!bad) bad = find_diffusion(ctx);
    quern_context_destroy(&ctx);
    if (bad) return fprintf(stderr, "%s\n", quern_last_error_text()), 1;
    printf("eigenvalues of the walk %.4f %.4f %.4f\n", values[0], values[1], values[2]);
    printf("%.2f of the pairs along the sheet are in order\n",
           share_in_order(N / 10)); // prints: 1.00 of the pairs along the sheet are in order
    if (argc < 2) return 0;
    int failed = canvas_create(&c, 2 * SIDE, 2 * SIDE);
    if (!failed) {
        draw(&c, 0, &rings[0][0], &rings[0][1], 3, "RINGS");
        draw(&c, 1, &rings_map[0][0], &rings_map[0][1], 2, "KERNEL PCA");
        draw(&c, 2, &roll[0][0], &roll[0][2], 3, "A ROLLED SHEET");
        draw(&c, 3, &roll_map[0][1], &roll_map[0][2], 3, "DIFFUSION MAP");
        failed = canvas_write(&c, argv[1]);
    }
    canvas_free(&c);
    return failed ? 1 : 0;
}
