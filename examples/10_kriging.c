/*
 * 10_kriging.c: how high is a city, if one knows how high others are? Kriging, or the mean of a Gaussian process: heights are
 * correlated by a Matern kernel of the distance, so weights c of known cities solve (K + noise) c = heights, and what K makes of
 * them elsewhere is the estimate. Neither matrix is stored. A quarter of the cities is known, another is estimated.
 */
#include <math.h>
#include <quern/solve.h>
#include <stdio.h>
#include <stdlib.h>

#include "globe.h"

enum { KNOWN = 5000, ASKED = 5000 };
#define KERNEL "x=Vi(3); y=Vj(3); Sum_j(Matern52(SqDist(x,y),0.05)*b)" /* unit vectors: 0.05 is 319 km */

typedef struct heights {
    double place[3 * KNOWN], height[KNOWN];
} heights;

/* Every fourth of the cities whose height is known, from one on. */
static void choose(heights *out, const cities *all, size_t from)
{
    size_t seen = 0, count = 0;
    for (size_t k = 0; k < all->count && count < KNOWN; k++) {
        if (isnan(all->elevation[k]) || seen++ % 4 != from) continue;
        for (int d = 0; d < 3; d++) out->place[3 * count + (size_t)d] = (double)all->place[3 * k + (size_t)d];
        out->height[count++] = (double)all->elevation[k];
    }
}

/* Subtracts the mean and divides by the standard deviation, which it tells. */
static void standardise(double *height, double *mean, double *deviation)
{
    *mean = *deviation = 0;
    for (int n = 0; n < KNOWN; n++) *mean += height[n] / KNOWN;
    for (int n = 0; n < KNOWN; n++) *deviation += (height[n] - *mean) * (height[n] - *mean) / KNOWN;
    *deviation = sqrt(*deviation);
    for (int n = 0; n < KNOWN; n++) height[n] = (height[n] - *mean) / *deviation;
}

static quern_status estimate(quern_context *ctx, heights *known, const heights *asked, double *out)
{
    quern_linear *K = NULL, *across = NULL;
    quern_linear_options noise = QUERN_DEFAULTS(quern_linear_options);
    quern_solve_report report = QUERN_DEFAULTS(quern_solve_report);
    static double weights[KNOWN];
    quern_view x = quern_f64(known->place, KNOWN, 3), z = quern_f64(asked->place, ASKED, 3);

    noise.shift = 0.1;
    quern_status bad = quern_linear_create(&K, ctx, KERNEL, QUERN_ARGS({"x", x}, {"y", x}), &noise);
    if (!bad) bad = quern_solve(K, quern_f64(known->height, KNOWN, 1), quern_f64(weights, KNOWN, 1), NULL, &report);
    if (!bad) bad = quern_linear_create(&across, ctx, KERNEL, QUERN_ARGS({"x", z}, {"y", x}), NULL);
    if (!bad) bad = quern_linear_apply(across, quern_f64(weights, KNOWN, 1), quern_f64(out, ASKED, 1));
    if (!bad) printf("%lld products with a matrix of %d x %d\n", (long long)report.iterations, KNOWN, KNOWN);
    quern_linear_destroy(&across);
    quern_linear_destroy(&K);
    return bad;
}

int main(void)
{
    static heights known, asked;
    static double height[ASKED];
    double mean, deviation, error = 0;
    cities all;
    quern_context *ctx = NULL;

    if (cities_read(&all, NULL)) return 1;
    choose(&known, &all, 0);
    choose(&asked, &all, 2);
    cities_free(&all);
    standardise(known.height, &mean, &deviation);
    quern_status bad = quern_context_create(&ctx, NULL);
    if (!bad) bad = estimate(ctx, &known, &asked, height);
    if (bad) fprintf(stderr, "%s\n", quern_last_error_text());
    for (int n = 0; n < ASKED; n++) error += pow(height[n] * deviation + mean - asked.height[n], 2) / ASKED;
    if (!bad)
        printf("off by %.1f m (root of the mean square)\n",
               sqrt(error)); // prints: off by 205.6 m (root of the mean square)
    quern_context_destroy(&ctx);
    return (int)bad;
}
