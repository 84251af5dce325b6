/*
 * 28_relief: the Earth's heights and depths from half of them, and the shores from land and sea.
 *
 *     28_relief [relief.png]
 *
 * Heights at every second node of a grid of 2 degrees become a function of 2000 kernels on the sphere (quern/ridge.h), which is
 * asked for the other nodes. Then the same nodes are told as land or sea alone: the logistic loss gives the probability of land at any
 * place, and the line where it is a half is the shore. The picture has the heights as colours and that line in black.
 */
#include <math.h>
#include <quern/npy.h>
#include <quern/ridge.h>
#include <stdio.h>

#include "canvas.h"
#include "data_file.h"
#include "globe.h"

enum { ROWS = 90, COLUMNS = 180, HALF = ROWS * COLUMNS / 2, WIDTH = 720, HEIGHT = 360, PIXELS = WIDTH * HEIGHT };

/* Of nodes that are known and of the others: places, heights, 1 for land. */
static float place[2][HALF][3], height[2][HALF], land[2][HALF], found[HALF];
static float pixel[PIXELS][3], map[PIXELS], shore[PIXELS];

static quern_status read_nodes(void)
{
    char path[PATH_MAX];
    quern_view file;
    quern_status bad = data_file(path, "relief.npy") ? quern_npy_read(&file, path) : QUERN_IO;
    int count[2] = {0, 0};

    for (int k = 0; k < ROWS * COLUMNS && !bad; k++) {
        int row = k / COLUMNS, column = k % COLUMNS, other = (row + column) % 2, at = count[other]++;
        globe_point(place[other][at], 89 - 2 * row, -179 + 2 * column);
        height[other][at] = ((const float *)file.data)[k];
        land[other][at] = height[other][at] > 0 ? 1 : 0;
    }
    if (!bad) quern_free(file.data);
    return bad;
}

/* Fits what is known of half of the nodes, and predicts the others and, if they are wanted, pixels. */
static quern_status learn(quern_context *ctx, quern_ridge_loss loss, const float *known, float *pixels)
{
    quern_ridge *ridge = NULL;
    quern_ridge_options options = QUERN_DEFAULTS(quern_ridge_options);

    options.loss = loss;
    options.centres = 2000;
    options.penalty = loss == QUERN_RIDGE_LOGISTIC ? 1e-5 : 1e-6;
    options.intercept = true;
    quern_status bad =
        quern_ridge_create(&ridge, ctx, "matern32", quern_f32(place[0][0], HALF, 3), quern_f32(known, HALF, 1),
                           QUERN_ARGS({"length", quern_number(0.1)}), &options);
    if (!bad) bad = quern_ridge_predict(ridge, quern_f32(place[1][0], HALF, 3), quern_f32(found, HALF, 1));
    if (!bad && pixels) bad = quern_ridge_predict(ridge, quern_f32(pixel[0], PIXELS, 3), quern_f32(pixels, PIXELS, 1));
    quern_ridge_destroy(&ridge);
    return bad;
}

static canvas_colour colour_of(float metres)
{
    static const struct {
        float metres, rgb[3];
    } scale[] = {{-7000, {8, 20, 70}}, {-4000, {25, 80, 150}}, {-200, {150, 200, 230}}, {0, {215, 235, 235}},
                 {1, {110, 150, 90}},  {500, {190, 190, 120}}, {2000, {150, 105, 65}},  {4500, {245, 245, 245}}};
    int k = 0;

    while (k < 6 && metres > scale[k + 1].metres) k++;
    float t = fminf(fmaxf((metres - scale[k].metres) / (scale[k + 1].metres - scale[k].metres), 0), 1);
    unsigned char out[3];
    for (int d = 0; d < 3; d++) out[d] = (unsigned char)(scale[k].rgb[d] * (1 - t) + scale[k + 1].rgb[d] * t);
    return (canvas_colour){out[0], out[1], out[2]};
}

static int draw(const char *path)
{
    canvas c;
    int failed = canvas_create(&c, WIDTH, HEIGHT);

    for (int k = 0; k < PIXELS && !failed; k++) {
        bool right = (k + 1) % WIDTH && (shore[k] > 0.5f) != (shore[k + 1] > 0.5f);
        bool below = k + WIDTH < PIXELS && (shore[k] > 0.5f) != (shore[k + WIDTH] > 0.5f);
        canvas_colour colour = right || below ? (canvas_colour){0, 0, 0} : colour_of(map[k]);
        c.pixels[3 * k] = colour.red, c.pixels[3 * k + 1] = colour.green, c.pixels[3 * k + 2] = colour.blue;
    }
    if (!failed) failed = canvas_write(&c, path);
    canvas_free(&c);
    return failed;
}

int main(int argc, char **argv)
{
    quern_context *ctx = NULL;
    double off = 0;
    int right = 0;
    quern_status bad = read_nodes();

    globe_pixels(pixel[0], WIDTH, HEIGHT);
    if (!bad) bad = quern_context_create(&ctx, NULL);
    if (!bad) bad = learn(ctx, QUERN_RIDGE_SQUARED, height[0], argc > 1 ? map : NULL);
    for (int k = 0; k < HALF; k++) off += pow((double)(found[k] - height[1][k]), 2) / HALF;
    if (!bad) bad = learn(ctx, QUERN_RIDGE_LOGISTIC, land[0], argc > 1 ? shore : NULL);
    for (int k = 0; k < HALF; k++) right += (found[k] > 0.5f) == (land[1][k] > 0.5f);
    if (bad) fprintf(stderr, "%s\n", quern_last_error_text());
    quern_context_destroy(&ctx);
    if (bad) return 1;
    printf("heights are off by %.0f m\n", 100 * round(sqrt(off) / 100)); // prints: heights are off by 400 m
    printf("%.0f %% told as land or sea\n", 100.0 * right / HALF);       // prints: 97 % told as land or sea
    return argc > 1 && draw(argv[1]) ? 1 : 0;
}
