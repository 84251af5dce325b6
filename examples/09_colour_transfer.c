/*
 * 09_colour_transfer: a day becomes an evening.
 *
 *     09_colour_transfer [colours.png]
 *
 * Two painted landscapes, by day and in the evening. The colours of the pixels of each are 19,200 points of the cube of red,
 * green and blue. The plan of optimal transport between the two clouds tells, for each colour of the day, which colours of the
 * evening it becomes in the mean (the barycentric map), and the day is painted anew with them. Most blocks of the plan are left
 * out; the interval holds the value all the same. The picture has the day, the evening, and the day in the colours of the evening.
 */
#include <math.h>
#include <png.h>
#include <quern/transport.h>
#include <stdio.h>
#include <string.h>

enum { WIDTH = 160, HEIGHT = 120, COUNT = WIDTH * HEIGHT, PICTURES = 3 };

static float day[COUNT][3], evening[COUNT][3], changed[COUNT][3];
static unsigned char picture[HEIGHT][PICTURES * WIDTH][3];

/* Between -1 and 1, of larger and smaller waves. */
static double waves(double s, double t)
{
    double sum = 0;
    for (int k = 1; k < 5; k++) sum += sin(3.1 * k * s + 1.7 * k + 2 * sin(2.3 * k * t)) * cos(4.3 * k * t - k) / k;
    return sum / 2;
}

static void mix(float to[3], const double from[3], const double with[3], double part)
{
    part = fmin(fmax(part, 0), 1);
    for (int c = 0; c < 3; c++) to[c] = (float)((1 - part) * from[c] + part * with[c]);
}

/* A sky with clouds or a sun, hills, and a meadow or a lake. */
static void paint_day(float to[3], double s, double t)
{
    static const double high[] = {0.25, 0.5, 0.85}, low[] = {0.7, 0.85, 0.95}, white[] = {1, 1, 1};
    static const double far[] = {0.35, 0.5, 0.45}, near[] = {0.25, 0.45, 0.15}, light[] = {0.65, 0.75, 0.3};
    double hill = 0.5 + 0.08 * sin(5 * s) + 0.03 * sin(13 * s), cloud = waves(1.5 * s, 3 * t);
    if (t > hill + 0.12) mix(to, near, light, 0.5 + 0.5 * waves(5 * s, 9 * t));
    else if (t > hill) mix(to, far, near, (t - hill) * 8 + 0.3 * waves(9 * s, 4 * t));
    else mix(to, high, low, t / hill);
    const double sky[] = {(double)to[0], (double)to[1], (double)to[2]};
    if (t < hill) mix(to, sky, white, 2 * cloud - 0.3);
}

static void paint_evening(float to[3], double s, double t)
{
    static const double high[] = {0.25, 0.15, 0.4}, low[] = {0.95, 0.45, 0.2}, sun[] = {1, 0.9, 0.6};
    static const double dark[] = {0.12, 0.07, 0.16}, ridge[] = {0.3, 0.14, 0.25}, glow[] = {0.8, 0.4, 0.3};
    double hill = 0.6 - 0.1 * fabs(sin(4 * s + 1)), far = hypot(s - 0.65, 0.75 * (t - 0.42));
    if (t > 0.66) mix(to, dark, glow, (0.8 - 2 * fabs(s - 0.65)) * (0.6 + 0.4 * waves(s, 20 * t)));
    else if (t > hill) mix(to, ridge, dark, (t - hill) * 9 + 0.3 * waves(7 * s, 5 * t));
    else mix(to, high, low, t / hill);
    const double sky[] = {(double)to[0], (double)to[1], (double)to[2]};
    if (t < hill) mix(to, sky, sun, far < 0.07 ? 1 : 0.09 / (far + 0.05) - 0.25);
}

static void draw(int place, float pixels[COUNT][3])
{
    for (int k = 0; k < COUNT; k++)
        for (int c = 0; c < 3; c++)
            picture[k / WIDTH][place * WIDTH + k % WIDTH][c] =
                (unsigned char)(255 * fminf(fmaxf(pixels[k][c], 0), 1) + 0.5f);
}

static int write_picture(const char *path)
{
    png_image image;
    memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION, image.format = PNG_FORMAT_RGB;
    image.width = PICTURES * WIDTH, image.height = HEIGHT;
    return png_image_write_to_file(&image, path, 0, picture, 0, NULL);
}

int main(int argc, char **argv)
{
    quern_context *ctx = NULL;
    quern_transport_result *result = NULL;
    quern_transport_options options = QUERN_DEFAULTS(quern_transport_options);
    const quern_view none = {0};
    double apart = 0;
    for (int k = 0; k < COUNT; k++) {
        double s = (k % WIDTH + 0.5) / WIDTH, t = (k / WIDTH + 0.5) / HEIGHT;
        paint_day(day[k], s, t), paint_evening(evening[k], s, t);
    }
    options.blur = 0.05, options.gap = 0.05, options.debias = QUERN_OFF;
    quern_status bad = quern_context_create(&ctx, NULL);
    if (!bad)
        bad = quern_transport(&result, ctx, quern_f32(day[0], COUNT, 3), none, quern_f32(evening[0], COUNT, 3), none,
                              &options);
    if (!bad) bad = quern_transport_read(result, QUERN_MAP_X, quern_f32(changed[0], COUNT, 3));
    if (bad) return fprintf(stderr, "%s\n", quern_last_error_text()), (int)bad;
    const quern_transport_report *report = quern_transport_report_of(result);
    for (int k = 0; k < COUNT; k++)
        for (int c = 0; c < 3; c++) apart += (double)(changed[k][c] - evening[k][c]) / COUNT;
    printf("gap %s\n", report->gap < 0.05 * report->value ? "below 5 %" : "too wide"); // prints: gap below 5 %
    printf("%s of the plan left out\n", report->touched < 0.5 ? "most" : "little"); // prints: most of the plan left out
    printf("mean colour %s\n",
           fabs(apart) < 0.01 ? "of the evening" : "of neither"); // prints: mean colour of the evening
    draw(0, day), draw(1, evening), draw(2, changed);
    quern_transport_destroy(&result);
    quern_context_destroy(&ctx);
    if (argc > 1 && !write_picture(argv[1])) return fprintf(stderr, "%s cannot be written\n", argv[1]), 1;
    return 0;
}
