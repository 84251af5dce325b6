/*
 * 07_gradient_flow: a disk becomes a heart.
 *
 *     07_gradient_flow [flow.png]
 *
 * 1000 points of a disk move along the negative gradient of their Sinkhorn divergence to a heart. A point of weight a feels the
 * gradient times 1/a, which is how far it stands from where it is wanted in the mean: the whole way at once would be a step of 1,
 * and steps of 1/2 make a flow. Potentials of one step start the next, so later ones take few iterations. The interval of the
 * last divergence tells what is left for certain. The picture has the points before steps 0, 1, 2, 4 and at the end.
 */
#include <math.h>
#include <png.h>
#include <quern/transport.h>
#include <stdio.h>
#include <string.h>

enum { COUNT = 1000, STEPS = 12, SIDE = 160, FRAMES = 5 };

static float x[COUNT][2], y[COUNT][2], gradient[COUNT][2], f[COUNT], g[COUNT];
static unsigned char picture[SIDE][FRAMES * SIDE];

/* Points that fill a shape evenly, by those of a square that are inside. */
static void fill(float points[COUNT][2], int (*inside)(double s, double t))
{
    for (int k = 0, n = 0; n < COUNT; k++) {
        double s = 3 * fmod(0.5 + 0.7548776662 * k, 1) - 1.5, t = 3 * fmod(0.5 + 0.5698402910 * k, 1) - 1.5;
        if (!inside(s, t)) continue;
        points[n][0] = (float)(s / 3 + 0.5), points[n][1] = (float)(t / 3 + 0.5);
        n++;
    }
}

static int in_disk(double s, double t)
{
    return s * s + t * t < 0.5;
}

static int in_heart(double s, double t)
{
    double r = s * s + t * t - 1;
    return r * r * r < s * s * t * t * t;
}

static void draw(int frame)
{
    for (int k = 0; k < COUNT; k++) {
        int column = (int)(x[k][0] * SIDE), row = SIDE - 1 - (int)(x[k][1] * SIDE);
        if (column < 1 || column >= SIDE - 1 || row < 1 || row >= SIDE - 1) continue;
        for (int d = 0; d < 4; d++) picture[row + d / 2][frame * SIDE + column + d % 2] = 60;
    }
}

static quern_status solve(quern_transport_result **result, quern_context *ctx, bool started)
{
    quern_transport_options options = QUERN_DEFAULTS(quern_transport_options);
    const quern_view none = {0};
    options.blur = 0.03;
    options.tolerance = 1e-3;
    if (started) options.start_x = quern_f32(f, COUNT, 1), options.start_y = quern_f32(g, COUNT, 1);
    return quern_transport(result, ctx, quern_f32(x[0], COUNT, 2), none, quern_f32(y[0], COUNT, 2), none, &options);
}

/* Half of the way that the gradient says; *report is that of the place before. */
static quern_status take_step(quern_context *ctx, bool started, quern_transport_report *report)
{
    quern_transport_result *result;
    quern_status bad = solve(&result, ctx, started);
    if (bad) return bad;
    *report = *quern_transport_report_of(result);
    bad = quern_transport_read(result, QUERN_GRADIENT_X, quern_f32(gradient[0], COUNT, 2));
    if (!bad) bad = quern_transport_read(result, QUERN_POTENTIAL_X, quern_f32(f, COUNT, 1));
    if (!bad) bad = quern_transport_read(result, QUERN_POTENTIAL_Y, quern_f32(g, COUNT, 1));
    for (int k = 0; k < COUNT && !bad; k++)
        for (int d = 0; d < 2; d++) x[k][d] -= 0.5f * COUNT * gradient[k][d];
    quern_transport_destroy(&result);
    return bad;
}

static int write_picture(const char *path)
{
    png_image image;
    memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION, image.width = FRAMES * SIDE, image.height = SIDE, image.format = PNG_FORMAT_GRAY;
    return png_image_write_to_file(&image, path, 0, picture, 0, NULL);
}

int main(int argc, char **argv)
{
    quern_context *ctx = NULL;
    quern_transport_report first, report = {0};
    quern_status bad = quern_context_create(&ctx, NULL);
    memset(picture, 255, sizeof picture);
    fill(x, in_disk), fill(y, in_heart);
    for (int step = 0, frame = 0; step <= STEPS && !bad; step++) {
        if (step == 0 || step == 1 || step == 2 || step == 4 || step == STEPS) draw(frame++);
        bad = take_step(ctx, step > 0, &report);
        if (step == 0) first = report;
    }
    quern_context_destroy(&ctx);
    if (bad) {
        fprintf(stderr, "%s\n", quern_last_error_text());
        return (int)bad;
    }
    printf("%.4f at first\n", first.value);                                               // prints: 0.0094 at first
    printf("%s at last\n", report.upper < 0.01 * first.value ? "below 1 %" : "too much"); // prints: below 1 % at last
    printf("%s steps at last\n",
           report.iterations < first.iterations / 2 ? "few" : "many"); // prints: few steps at last
    if (argc > 1 && !write_picture(argv[1])) return fprintf(stderr, "%s cannot be written\n", argv[1]), 1;
    return 0;
}
