/*
 * 32_pruned_density.c: a density with an error that is certified. Each pixel of a map is the sum of narrow Gaussians at all steps of a
 * random walk. Nobody says which steps matter to which pixels: intervals of the formula over boxes of pixels and steps prove it,
 * block by block, and the report says by how much sums can be off. Checked beside float64 at some pixels. The picture has the density,
 * and, for each tile of pixels run alone, which part of the walk it met: the more, the lighter.
 *
 *     32_pruned_density [walk.png [STEPS [WIDTH]]]
 */
#include <math.h>
#include <quern.h>
#include <quern/prune.h>
#include <quern/space.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canvas.h"
#include "random.h"

enum { TILE = 20 };
static const double sigma = 0.004; /* of the map's width */

/* A walk in the unit square, which turns back at its sides; now and then it leaps. */
static void walk(float *y, int64_t steps)
{
    double at[2] = {0.5, 0.5};
    for (int64_t k = 0; k < steps; k++)
        for (int d = 0; d < 2; d++) {
            double u = random_unit((uint64_t)(4 * k + d)), v = random_unit((uint64_t)(4 * k + d + 2));
            at[d] += 0.0012 * sqrt(-2 * log(u)) * cos(6.283185307179586 * v) * (k % 1000 < 2 ? 40 : 1);
            at[d] = fabs(at[d]) <= 1 ? fabs(at[d]) : 2 - fabs(at[d]);
            y[2 * k + d] = (float)at[d];
        }
}

static void place_pixels(float *x, int64_t width)
{
    for (int64_t k = 0; k < width * width; k++) {
        x[2 * k] = (float)(((double)(k % width) + 0.5) / (double)width);
        x[2 * k + 1] = (float)(((double)(k / width) + 0.5) / (double)width);
    }
}

/* The sum at a pixel in float64. */
static double right_at(const float *pixel, const float *y, int64_t steps)
{
    double sum = 0;
    for (int64_t k = 0; k < steps; k++) {
        double dx = (double)pixel[0] - (double)y[2 * k], dy = (double)pixel[1] - (double)y[2 * k + 1];
        sum += exp(-(dx * dx + dy * dy) / (2 * sigma * sigma));
    }
    return sum;
}

/* How many of some pixels are off by more than is certified and what float32 rounds. */
static int count_wrong(const float *x, const float *y, const float *density, int64_t pixels, int64_t steps,
                       double certified)
{
    int wrong = 0;
    for (int64_t k = 0; k < 100; k++) {
        int64_t pixel = k * 7919 % pixels;
        double right = right_at(x + 2 * pixel, y, steps);
        wrong += !(fabs((double)density[pixel] - right) <= certified + 1e-5 * right + 1e-30);
    }
    return wrong;
}

static quern_status run(quern_operator *op, const float *x, int64_t pixels, const float *y, int64_t steps,
                        float *density, quern_pruning_report *report)
{
    quern_pruning pruning = QUERN_DEFAULTS(quern_pruning);
    quern_run_options options = QUERN_DEFAULTS(quern_run_options);
    pruning.relative = 1e-4, pruning.report = report, pruning.use = QUERN_ON;
    options.pruning = &pruning;
    return quern_run_with(op,
                          QUERN_ARGS({"x", quern_f32(x, pixels, 2)}, {"y", quern_f32(y, steps, 2)},
                                     {"r", quern_number(1 / (2 * sigma * sigma))}),
                          QUERN_OUTS(quern_f32(density, pixels, 1)), &options);
}

/* Of each tile of TILE x TILE pixels the share of pairs that it took, at all of its pixels. */
static quern_status run_tiles(quern_operator *op, const float *x, int64_t width, const float *y, int64_t steps,
                              float *touched)
{
    float of_tile[TILE * TILE][2], sums[TILE * TILE];
    for (int64_t tile = 0; tile < (width / TILE) * (width / TILE); tile++) {
        const int64_t first = tile / (width / TILE) * TILE * width + tile % (width / TILE) * TILE;
        quern_pruning_report report = QUERN_DEFAULTS(quern_pruning_report);
        for (int64_t k = 0; k < TILE * TILE; k++)
            memcpy(of_tile[k], x + 2 * (first + k / TILE * width + k % TILE), sizeof of_tile[k]);
        quern_status bad = run(op, of_tile[0], TILE * TILE, y, steps, sums, &report);
        if (bad) return bad;
        for (int64_t k = 0; k < TILE * TILE; k++) touched[first + k / TILE * width + k % TILE] = (float)report.touched;
    }
    return QUERN_OK;
}

static double bend(double part)
{
    return log1p(50 * part) / log(51);
}

/* Two maps of width x width numbers, one beside the other. */
static int draw(const char *path, const float *left, const float *right, int width)
{
    canvas c;
    float most[2] = {0, 0};
    int bad = canvas_create(&c, 2 * width, width);
    for (int k = 0; k < width * width; k++) most[0] = fmaxf(most[0], left[k]), most[1] = fmaxf(most[1], right[k]);
    for (int k = 0; k < 2 * width * width && !bad; k++) {
        const int column = k % (2 * width), side = column >= width, pixel = k / (2 * width) * width + column % width;
        const double part = (double)((side ? right : left)[pixel] / most[side]);
        const canvas_colour colour = canvas_ramp(side ? part : bend(part));
        memcpy(c.pixels + 3 * k, (unsigned char[]){colour.red, colour.green, colour.blue}, 3);
    }
    if (!bad) bad = canvas_write(&c, path);
    canvas_free(&c);
    return bad;
}

int main(int argc, char **argv)
{
    int64_t steps = argc > 2 ? atoll(argv[2]) : argc > 1 ? 100000 : 50000;
    int64_t width = argc > 3 ? atoll(argv[3]) : argc > 1 ? 360 : 96, pixels = width * width;
    float *x = malloc((size_t)(pixels + 1) * 2 * sizeof *x), *y = malloc((size_t)(steps + 1) * 2 * sizeof *y);
    float *density = calloc(2 * (size_t)(pixels + 1), sizeof *density);
    quern_context *ctx = NULL;
    quern_operator *op = NULL;
    quern_pruning_report report = QUERN_DEFAULTS(quern_pruning_report);

    if (!x || !y || !density || width < 1 || steps < 1) return 1;
    walk(y, steps), place_pixels(x, width);
    quern_status bad = quern_context_create(&ctx, NULL);
    if (!bad) bad = quern_compile(&op, ctx, "x=Vi(2); y=Vj(2); r=Pm(1); Sum_j(Exp(-r*SqDist(x,y)))", NULL);
    if (!bad) bad = run(op, x, pixels, y, steps, density, &report);
    if (!bad && argc > 1) bad = run_tiles(op, x, width, y, steps, density + pixels);
    if (bad) fprintf(stderr, "%s\n", quern_last_error_text());
    else {
        fprintf(stderr, "%.1f %% of all pairs, off by %.2g at most\n", 100 * report.touched, report.absolute);
        printf("less than a tenth of all pairs computed: %s\n", report.touched < 0.1 ? "yes" : "no");
        // prints: less than a tenth of all pairs computed: yes
        printf("of 100 pixels beside float64 %d are off by more than is certified\n",
               count_wrong(x, y, density, pixels, steps, report.absolute));
        // prints: of 100 pixels beside float64 0 are off by more than is certified
        if (argc > 1 && draw(argv[1], density, density + pixels, (int)width)) return 1;
    }
    quern_operator_destroy(&op), quern_context_destroy(&ctx);
    free(x), free(y), free(density);
    return (int)bad;
}
