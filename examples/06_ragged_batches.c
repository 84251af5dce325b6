/*
 * 06_ragged_batches.c: many problems of different sizes in one run. Regular polygons lie one after the other in one array, and
 * offsets say where each begins; each has a scale of its own. One operator finds, for all of them at once, the mean squared
 * distance of two corners, for each corner the farthest one, by its number within the polygon, and, by its gradient, how the
 * corners must move for the mean to grow. The picture joins each corner with its farthest one; arrows are gradients.
 *
 *     06_ragged_batches [polygons.png]
 */
#include <math.h>
#include <quern.h>
#include <quern/space.h>
#include <stdio.h>

#include "canvas.h"

enum { SIDE = 160 }; /* pixels of a polygon */
enum { POLYGONS = 4, CORNERS = 3 + 4 + 5 + 8 };

static const int64_t offsets[POLYGONS + 1] = {0, 3, 7, 12, 20};
static const float scales[POLYGONS] = {1, 2, 1, 0.5f};

/* Corners on the unit circle. */
static void make(float *x)
{
    for (int b = 0; b < POLYGONS; b++)
        for (int64_t k = offsets[b]; k < offsets[b + 1]; k++) {
            double turn = 6.283185307179586 * (double)(k - offsets[b]) / (double)(offsets[b + 1] - offsets[b]);
            x[2 * k] = (float)cos(turn);
            x[2 * k + 1] = (float)sin(turn);
        }
}

/* Parameters have a row for each polygon, and so has a result that is one number. */
static quern_status run(quern_operator *op, const float *x, quern_outs results)
{
    quern_run_options options = QUERN_DEFAULTS(quern_run_options);
    options.members = POLYGONS;
    options.offsets_i = offsets;
    options.offsets_j = offsets;
    return quern_run_with(op,
                          QUERN_ARGS({"x", quern_f32(x, CORNERS, 2)}, {"y", quern_f32(x, CORNERS, 2)},
                                     {"s", quern_f32(scales, POLYGONS, 1)}),
                          results, &options);
}

/* The place of a corner, or of one moved by a gradient, in the picture. */
static void place(double to[2], int polygon, const float *x, const float *pull)
{
    for (int d = 0; d < 2; d++) {
        double at = (double)x[d] + (pull ? 0.6 * (double)pull[d] : 0);
        to[d] = d ? SIDE * (0.5 - 0.3 * at) : SIDE * (polygon + 0.5 + 0.3 * at);
    }
}

static int draw(const char *path, const float *x, const float *pull, const int64_t *farthest)
{
    const canvas_colour side = {190, 195, 205}, far = {230, 130, 0}, arrow = {20, 40, 120};
    canvas c;
    int bad = canvas_create(&c, POLYGONS * SIDE, SIDE);
    for (int b = 0; b < POLYGONS && !bad; b++)
        for (int64_t k = offsets[b]; k < offsets[b + 1]; k++) {
            const int64_t next = k + 1 < offsets[b + 1] ? k + 1 : offsets[b];
            double at[2], to[2];
            place(at, b, x + 2 * k, NULL);
            place(to, b, x + 2 * next, NULL), canvas_line(&c, at[0], at[1], to[0], to[1], 3, side);
            place(to, b, x + 2 * (offsets[b] + farthest[k]), NULL), canvas_line(&c, at[0], at[1], to[0], to[1], 1, far);
            place(to, b, x + 2 * k, pull + 2 * k), canvas_line(&c, at[0], at[1], to[0], to[1], 2, arrow);
            canvas_disc(&c, at[0], at[1], 3, arrow);
        }
    if (!bad) bad = canvas_write(&c, path);
    canvas_free(&c);
    return bad;
}

int main(int argc, char **argv)
{
    float x[2 * CORNERS], mean[POLYGONS], pull[2 * CORNERS];
    int64_t farthest[CORNERS];
    quern_context *ctx = NULL;
    quern_operator *op = NULL, *means = NULL, *gradient = NULL;
    const char *formula = "x=Vi(2); y=Vj(2); s=Pm(1); Mean_i(Mean_j(s*SqDist(x,y)))";

    make(x);
    quern_status bad = quern_context_create(&ctx, NULL);
    if (!bad) bad = quern_compile(&means, ctx, formula, NULL);
    if (!bad) bad = quern_compile(&op, ctx, "x=Vi(2); y=Vj(2); s=Pm(1); ArgMax_j(s*SqDist(x,y))", NULL);
    if (!bad) bad = quern_gradient(&gradient, means, "x", NULL);
    if (!bad) bad = run(means, x, QUERN_OUTS(quern_f32(mean, POLYGONS, 1)));
    if (!bad) bad = run(op, x, QUERN_OUTS(quern_i64(farthest, CORNERS, 1)));
    if (!bad) bad = run(gradient, x, QUERN_OUTS(quern_f32(pull, CORNERS, 2)));
    if (bad) fprintf(stderr, "%s\n", quern_last_error_text());
    for (int b = 0; b < POLYGONS && !bad; b++)
        printf("%d corners: mean %.3f, farthest from the first: %d, pull %.3f\n", (int)(offsets[b + 1] - offsets[b]),
               (double)mean[b], (int)farthest[offsets[b]], (double)pull[2 * offsets[b]]);
    // prints: 4 corners: mean 4.000, farthest from the first: 2, pull 1.000
    // prints: 8 corners: mean 1.000, farthest from the first: 4, pull 0.125
    if (!bad && argc > 1 && draw(argv[1], x, pull, farthest)) bad = QUERN_IO;
    quern_operator_destroy(&op);
    quern_operator_destroy(&means);
    quern_operator_destroy(&gradient);
    quern_context_destroy(&ctx);
    return (int)bad;
}
