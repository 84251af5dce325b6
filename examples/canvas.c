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

int canvas_write(const canvas *c, const char *path)
{
    png_image image = {.version = PNG_IMAGE_VERSION, .format = PNG_FORMAT_RGB};

    image.width = (png_uint_32)c->width, image.height = (png_uint_32)c->height;
    if (png_image_write_to_file(&image, path, 0, c->pixels, 0, NULL)) return 0;
    fprintf(stderr, "%s: %s\n", path, image.message);
    remove(path);
    return -1;
}
