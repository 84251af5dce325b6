/*
 * 14_spirals: which points belong together? Spectral clustering of three spirals, noise and all.
 *
 *     14_spirals [spirals.png]
 *
 * Neighbouring points are alike by exp(-|x - y|^2 g), and a walker steps from point to point with odds in that proportion. Where he
 * hardly ever leaves a group, the matrix of the walk has an eigenvalue near 1 for each group, and rows of these eigenvectors, made
 * of length 1, are nearly the same for all points of a group (Ng, Jordan and Weiss, 2001). The matrix D^-1/2 K D^-1/2 is a formula with
 * the roots of the degrees as variables. The picture has the points, coloured by group, and below the first eigenvectors along the
 * spirals.
 */
#include <math.h>
#include <quern/spectra.h>
#include <stdio.h>
#include <stdlib.h>

#include "canvas.h"

enum { GROUPS = 3, EACH = 1500, N = GROUPS * EACH, SIDE = 560, BELOW = 220 };
#define ALIKE "x=Vi(2); y=Vj(2); Sum_j(Exp(-400*SqDist(x,y))*b)"
#define WALK "x=Vi(2); r=Vi(1); y=Vj(2); s=Vj(1); Sum_j(r*s*Exp(-400*SqDist(x,y))*b)"

static double points[N][2], rows[N][GROUPS], values[GROUPS + 1];
static int group[N];

static double noise(void)
{
    static unsigned state = 1;
    double sum = 0;
    for (int k = 0; k < 12; k++) sum += (double)((state = state * 1664525u + 1013904223u) >> 8) / 0x1p24;
    return sum - 6;
}

static void draw_points(void)
{
    for (int n = 0; n < N; n++) {
        const double t = sqrt((n % EACH + 0.5) / EACH), turn = 5.2 * t + 6.283185307179586 * (n / EACH) / GROUPS;
        points[n][0] = (0.1 + 0.85 * t) * cos(turn) + 0.02 * noise();
        points[n][1] = (0.1 + 0.85 * t) * sin(turn) + 0.02 * noise();
    }
}

/* The first eigenvectors of the walk. */
static quern_status find_vectors(quern_context *ctx)
{
    static double ones[N], roots[N], vectors[N][GROUPS + 1];
    quern_linear *K = NULL, *walk = NULL;
    const quern_view x = quern_f64(points[0], N, 2), r = quern_f64(roots, N, 1);

    for (int n = 0; n < N; n++) ones[n] = 1;
    quern_status bad = quern_linear_create(&K, ctx, ALIKE, QUERN_ARGS({"x", x}, {"y", x}), NULL);
    if (!bad) bad = quern_linear_apply(K, quern_f64(ones, N, 1), r);
    for (int n = 0; n < N; n++) roots[n] = 1 / sqrt(roots[n]);
    if (!bad) bad = quern_linear_create(&walk, ctx, WALK, QUERN_ARGS({"x", x}, {"y", x}, {"r", r}, {"s", r}), NULL);
    if (!bad)
        bad =
            quern_eigenpairs(walk, quern_f64(values, GROUPS + 1, 1), quern_f64(vectors[0], N, GROUPS + 1), NULL, NULL);
    for (int n = 0; n < N; n++) {
        double size = 0;
        for (int k = 0; k < GROUPS; k++) size += vectors[n][k] * vectors[n][k];
        for (int k = 0; k < GROUPS; k++) rows[n][k] = vectors[n][k] / sqrt(size);
    }
    quern_linear_destroy(&walk);
    quern_linear_destroy(&K);
    return bad;
}

static double along(int n, int m)
{
    double sum = 0;
    for (int k = 0; k < GROUPS; k++) sum += rows[n][k] * rows[m][k];
    return sum;
}

/* Rows of one group are alike, of two groups orthogonal: a group is all that is along its first point. */
static int find_groups(void)
{
    int count = 0;
    for (int n = 0; n < N; n++) group[n] = -1;
    for (int n = 0; n < N; n++) {
        if (group[n] >= 0) continue;
        for (int m = n; m < N; m++)
            if (group[m] < 0 && along(n, m) > 0.5) group[m] = count;
        count++;
    }
    return count;
}

static int draw(const char *path)
{
    canvas c;
    int failed = canvas_create(&c, SIDE, SIDE + BELOW);
    for (int n = 0; n < N && !failed; n++)
        canvas_disc(&c, SIDE * (0.5 + 0.48 * points[n][0]), SIDE * (0.5 - 0.48 * points[n][1]), 1.8,
                    canvas_category(group[n]));
    for (int k = 0; k < GROUPS && !failed; k++) /* a component each, along the three spirals one after the other */
        for (int n = 0; n < N; n++)
            canvas_disc(&c, 20 + (SIDE - 40.0) * n / N, SIDE + 40 + 70 * k - 25 * rows[n][k], 1.2,
                        canvas_category(group[n]));
    for (int k = 0; k < GROUPS && !failed; k++)
        canvas_text(&c, SIDE - 150, SIDE + 12 + 70 * k, 9, (const char *[]){"FIRST EIGENVECTOR", "SECOND", "THIRD"}[k],
                    (canvas_colour){90, 90, 90}, NULL);
    if (!failed) failed = canvas_write(&c, path);
    canvas_free(&c);
    return failed;
}

int main(int argc, char **argv)
{
    quern_context *ctx = NULL;
    int right = 0;

    draw_points();
    quern_status bad = quern_context_create(&ctx, NULL);
    if (!bad) bad = find_vectors(ctx);
    quern_context_destroy(&ctx);
    if (bad) return fprintf(stderr, "%s\n", quern_last_error_text()), 1;
    printf("eigenvalues %.4f %.4f %.4f, then %.4f\n", values[0], values[1], values[2], values[3]);
    printf("%d groups\n", find_groups()); // prints: 3 groups
    for (int n = 0; n < N; n++) right += group[n] == n / EACH;
    printf("%d of %d points are in the group of their spiral\n", right, N);
    // prints: 4500 of 4500 points are in the group of their spiral
    return argc > 1 && draw(argv[1]) ? 1 : 0;
}
