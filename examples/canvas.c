/*
 * canvas.c: see canvas.h. A shape is a distance: pixels nearer than its edge are covered, those at the edge in part.
 */
#include "canvas.h"

#include <math.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

canvas_colour canvas_category(int k)
{
    static const canvas_colour colours[10] = {{0, 114, 178},  {230, 159, 0},   {0, 158, 115}, {213, 94, 0},
                                              {86, 180, 233}, {204, 121, 167}, {60, 60, 60},  {200, 190, 30},
                                              {130, 70, 160}, {150, 150, 150}};
    return colours[((k % 10) + 10) % 10];
}

canvas_colour canvas_ramp(double t)
{
    static const double stops[5][3] = {{40, 20, 90}, {40, 90, 140}, {30, 150, 130}, {120, 200, 80}, {250, 230, 60}};
    double at = 4 * fmin(fmax(t, 0), 1);
    int k = at < 3 ? (int)at : 3;
    double part = at - k, mixed[3];

    for (int d = 0; d < 3; d++) mixed[d] = stops[k][d] + part * (stops[k + 1][d] - stops[k][d]);
    return (canvas_colour){(unsigned char)mixed[0], (unsigned char)mixed[1], (unsigned char)mixed[2]};
}

int canvas_create(canvas *out, int width, int height)
{
    *out = (canvas){width, height, malloc((size_t)width * (size_t)height * 3)};
    if (!out->pixels) return fprintf(stderr, "no memory for a picture of %d x %d pixels\n", width, height), -1;
    memset(out->pixels, 255, (size_t)width * (size_t)height * 3);
    return 0;
}

void canvas_free(canvas *c)
{
    free(c->pixels);
    c->pixels = NULL;
}

static void blend(canvas *c, int column, int row, double cover, canvas_colour colour)
{
    const unsigned char with[3] = {colour.red, colour.green, colour.blue};
    unsigned char *pixel = c->pixels + 3 * ((size_t)row * (size_t)c->width + (size_t)column);

    cover = fmin(fmax(cover, 0), 1);
    for (int d = 0; d < 3; d++) pixel[d] = (unsigned char)lround(pixel[d] + cover * (with[d] - pixel[d]));
}

static int clamp(double x, int most)
{
    return x < 0 ? 0 : x > most ? most : (int)x;
}

void canvas_line(canvas *c, double x0, double y0, double x1, double y1, double width, canvas_colour colour)
{
    double dx = x1 - x0, dy = y1 - y0, square = dx * dx + dy * dy, r = width / 2 + 1;
    int top = clamp(fmin(y0, y1) - r, c->height), bottom = clamp(fmax(y0, y1) + r + 1, c->height);
    int left = clamp(fmin(x0, x1) - r, c->width), right = clamp(fmax(x0, x1) + r + 1, c->width);

    if (!isfinite(square)) return;
    for (int row = top; row < bottom; row++)
        for (int column = left; column < right; column++) {
            double px = column + 0.5 - x0, py = row + 0.5 - y0;
            double t = square > 0 ? fmin(fmax((px * dx + py * dy) / square, 0), 1) : 0;
            blend(c, column, row, width / 2 + 0.5 - hypot(px - t * dx, py - t * dy), colour);
        }
}

void canvas_disc(canvas *c, double x, double y, double radius, canvas_colour colour)
{
    canvas_line(c, x, y, x, y, 2 * radius, colour);
}

/* ---- letters ---------------------------------------------------------------------------------------------------- */

/* Strokes between points of a grid of 5 x 7, each a digit for its column and one for its row from below; commas lift the pen. */
static const char *const letters[128] = {
    ['A'] = "002640,1232",
    ['B'] = "00063645443303,3342413000",
    ['C'] = "4536160501103041",
    ['D'] = "00062644422000",
    ['E'] = "46060040,0333",
    ['F'] = "460600,0333",
    ['G'] = "45361605011030414323",
    ['H'] = "0006,4046,0343",
    ['I'] = "0006",
    ['J'] = "3631201001",
    ['K'] = "0006,460340",
    ['L'] = "060040",
    ['M'] = "0006234640",
    ['N'] = "00064046",
    ['O'] = "103041453616050110",
    ['P'] = "00063645443303",
    ['Q'] = "103041453616050110,2240",
    ['R'] = "00063645443303,2340",
    ['S'] = "453616050413334241301001",
    ['T'] = "0646,2620",
    ['U'] = "060110304146",
    ['V'] = "062046",
    ['W'] = "0610243046",
    ['X'] = "0046,0640",
    ['Y'] = "062346,2320",
    ['Z'] = "06460040",
    ['0'] = "103041453616050110",
    ['1'] = "152620",
    ['2'] = "05163645440040",
    ['3'] = "064623334241301001",
    ['4'] = "30360242",
    ['5'] = "460603334241301001",
    ['6'] = "4536160501103041423303",
    ['7'] = "064620",
    ['8'] = "13040516364544331302011030414233",
    ['9'] = "0110304145361605041343",
    ['.'] = "0000",
    [','] = "1100",
    [':'] = "0101,0404",
    ['-'] = "0333",
    ['+'] = "0343,2125",
    ['='] = "0242,0444",
    ['/'] = "0046",
    ['('] = "26151120",
    [')'] = "06151100",
    ['%'] = "0046,0605,4140",
    ['\''] = "0604",
    ['~'] = "0313233343",
};

/* The next letter of UTF-8 text as one of those above, and how much smaller and higher it stands; accents of Latin-1 are dropped. */
static const char *next_letter(const char **text, double *size, double *lift)
{
    static const char plain[] = "AAAAAAACEEEEIIIIDNOOOOO*OUUUUYPS"; /* from U+00C0 on, and again in small letters */
    unsigned char first = (unsigned char)*(*text)++, c = first;

    *size = 1, *lift = 0;
    if (first >= 0xc0) {
        unsigned code = first & 0x1f;
        while ((**text & 0xc0) == 0x80) code = code << 6 | (unsigned)(*(*text)++ & 0x3f);
        c = code >= 0xc0 && code <= 0xff ? (unsigned char)plain[(code - 0xc0) % 32] : ' ';
        if (code == 0xb2) c = '2', *size = 0.55, *lift = 0.55;
        if (code == 0xb0) c = 'O', *size = 0.4, *lift = 0.65;
    }
    if (c >= 'a' && c <= 'z') c = (unsigned char)(c - 'a' + 'A');
    return c < 128 ? letters[c] : NULL;
}

/* Draws strokes, unless c is null, and returns where the next letter begins. */
static double write_letter(canvas *c, double x, double y, double unit, double pen, const char *strokes,
                           canvas_colour colour)
{
    double widest = 1, px = 0, py = 0;
    int down = 0;

    if (!strokes) return x + 3 * unit;
    for (const char *s = strokes; *s; s++) {
        if (*s == ',') {
            down = 0;
            continue;
        }
        const double nx = x + unit * (s[0] - '0'), ny = y - unit * (s[1] - '0');
        widest = fmax(widest, s[0] - '0');
        if (c && (down || !s[2] || s[2] == ',')) canvas_line(c, down ? px : nx, down ? py : ny, nx, ny, pen, colour);
        px = nx, py = ny, down = 1, s++;
    }
    return x + unit * (widest + 2);
}

static double write_text(canvas *c, double x, double y, double height, double pen, const char *text,
                         canvas_colour colour)
{
    while (*text) {
        double size, lift;
        const char *strokes = next_letter(&text, &size, &lift);
        x = write_letter(c, x, y - lift * height, size * height / 6, pen, strokes, colour);
    }
    return x;
}

double canvas_text_width(double height, const char *text)
{
    return write_text(NULL, 0, 0, height, 0, text, (canvas_colour){0, 0, 0}) - height / 3;
}

void canvas_text(canvas *c, double x, double y, double height, const char *text, canvas_colour colour,
                 const canvas_colour *halo)
{
    const double pen = fmax(height / 8, 1);
    if (halo) write_text(c, x, y, height, 3 * pen, text, *halo);
    write_text(c, x, y, height, pen, text, colour);
}

int canvas_write(const canvas *c, const char *path)
{
    png_image image = {.version = PNG_IMAGE_VERSION, .format = PNG_FORMAT_RGB};

    image.width = (png_uint_32)c->width, image.height = (png_uint_32)c->height;
    if (png_image_write_to_file(&image, path, 0, c->pixels, 0, NULL)) return 0;
    fprintf(stderr, "%s: %s\n", path, image.message);
    remove(path);
    return -1;
}

int canvas_write_map(const char *path, const float *numbers, int width, int height, double (*bend)(double part))
{
    canvas c;
    float most = 0;
    int bad = canvas_create(&c, width, height);

    for (int k = 0; k < width * height; k++) most = fmaxf(most, numbers[k]);
    for (int k = 0; k < width * height && !bad; k++) {
        canvas_colour colour = canvas_ramp(bend((double)(numbers[k] / most)));
        memcpy(c.pixels + 3 * k, (unsigned char[]){colour.red, colour.green, colour.blue}, 3);
    }
    if (!bad) bad = canvas_write(&c, path);
    canvas_free(&c);
    return bad;
}
