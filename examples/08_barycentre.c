/*
 * 08_barycentre: between four pictures.
 *
 *     08_barycentre [barycentre.png]
 *
 * The corners of the picture are a disk, a ring, a heart and a cross, as densities on a grid of 64 x 64. All others are their
 * barycentres in the sense of optimal transport, with weights that change from corner to corner: mass moves, where a mean
 * of the pictures would fade. Barycentres are debiased, so they are no more blurred than the four.
 */
#include <math.h>
#include <png.h>
#include <quern/barycentre.h>
#include <stdio.h>
#include <string.h>

enum { SIDE = 64, TILES = 5, PIXELS = TILES * SIDE };

static float shapes[4][SIDE * SIDE], mean[SIDE * SIDE];
static unsigned char picture[PIXELS][PIXELS];

static int inside(int shape, double s, double t)
{
    double r = s * s + t * t, h = r - 1;
    switch (shape) {
    case 0: return r < 0.7;
    case 1: return r < 1.2 && r > 0.5;
    case 2: return h * h * h < s * s * t * t * t;
    default: return (fabs(s) < 0.3 && fabs(t) < 1.1) || (fabs(t) < 0.3 && fabs(s) < 1.1);
    }
}

/* Shades by 4 x 4 samples of each pixel, with the mass 1. */
static void draw_shape(int shape)
{
    double sum = 0;
    for (int k = 0; k < SIDE * SIDE; k++) {
        int count = 0;
        for (int n = 0; n < 16; n++) {
            double s = (k % SIDE + (n % 4 + 0.5) / 4) / SIDE, t = (k / SIDE + (n / 4 + 0.5) / 4) / SIDE;
            count += inside(shape, 3.4 * s - 1.7, 1.7 - 3.4 * t);
        }
        sum += count;
        shapes[shape][k] = (float)count;
    }
    for (int k = 0; k < SIDE * SIDE; k++) shapes[shape][k] /= (float)sum;
}

/* Dark where the density is as large as anywhere, a few pixels apart. */
static void place(int row, int column)
{
    float most = 0;
    for (int k = 0; k < SIDE * SIDE; k++) most = fmaxf(most, mean[k]);
    for (int k = 0; k < SIDE * SIDE; k++)
        picture[row * SIDE + k / SIDE][column * SIDE + k % SIDE] =
            (unsigned char)(255 - (int)(225 * fminf(1, 1.2f * mean[k] / most)));
}

static quern_status fill(quern_context *ctx, int *iterations, double *mass)
{
    const quern_grid grid = {2, {SIDE, SIDE, 0}, {0, 0, 0}};
    quern_transport_options options = QUERN_DEFAULTS(quern_transport_options);
    quern_view densities[4];
    options.blur = 0.03;
    for (int k = 0; k < 4; k++) densities[k] = quern_f32(shapes[k], SIDE, SIDE);
    for (int row = 0; row < TILES; row++)
        for (int column = 0; column < TILES; column++) {
            double s = (double)column / (TILES - 1), t = (double)row / (TILES - 1);
            const double weights[] = {(1 - s) * (1 - t), s * (1 - t), (1 - s) * t, s * t};
            quern_barycentre_report report;
            quern_status bad = quern_barycentre_grid(ctx, &grid, densities, weights, 4, &options,
                                                     quern_f32(mean, SIDE, SIDE), &report);
            if (bad) return bad;
            *iterations += report.iterations;
            for (int k = 0; k < SIDE * SIDE; k++) *mass += (double)mean[k];
            place(row, column);
        }
    return QUERN_OK;
}

static int write_picture(const char *path)
{
    png_image image;
    memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
    image.width = PIXELS, image.height = PIXELS;
    image.format = PNG_FORMAT_GRAY;
    if (png_image_write_to_file(&image, path, 0, picture, PIXELS, NULL)) return 0;
    fprintf(stderr, "08_barycentre: cannot write %s: %s\n", path, image.message);
    return 1;
}

int main(int argc, char **argv)
{
    quern_context *ctx = NULL;
    int iterations = 0;
    double mass = 0;
    if (argc > 2 || (argc > 1 && argv[1][0] == '-')) {
        puts("usage: 08_barycentre [PICTURE.png]");
        return argc > 2 || strcmp(argv[1], "--help") != 0;
    }
    for (int k = 0; k < 4; k++) draw_shape(k);
    quern_status bad = quern_context_create(&ctx, NULL);
    if (!bad) bad = fill(ctx, &iterations, &mass);
    if (bad) fprintf(stderr, "08_barycentre: %s\n", quern_last_error_text());
    else printf("25 pictures, each of mass %.2f\n", mass / (TILES * TILES)); // prints: 25 pictures, each of mass 1.00
    if (!bad) fprintf(stderr, "%d iterations\n", iterations);
    quern_context_destroy(&ctx);
    return bad ? (int)bad : write_picture(argc > 1 ? argv[1] : "barycentre.png");
}
