/*
 * png_map.c: a field on the globe as a PNG picture (libpng's simplified interface).
 *
 * The colours are made by formula in OKLCh, the polar form of Ottosson's OKLab space
 * (https://bottosson.github.io/posts/oklab, 2020), in which equal steps look equal: lightness rises evenly from a night
 * blue to a warm white while the hue turns from blue over violet and red to yellow; chroma shrinks wherever sRGB has no
 * such colour. Between pixels the logarithm of the value is interpolated. Borders brighten the colour beneath by a
 * constant step of lightness, the less the smaller the cell, so that crowded regions are not drowned in lines.
 */
#include "png_map.h"

#include <math.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCALE = 2, SHADES = 1024 };

/* ---- colours ---------------------------------------------------------------------------------------------------- */

/* OKLab to linear sRGB. */
static void oklab_to_rgb(double lightness, double a, double b, double rgb[3])
{
    double l = pow(lightness + 0.3963377774 * a + 0.2158037573 * b, 3);
    double m = pow(lightness - 0.1055613458 * a - 0.0638541728 * b, 3);
    double s = pow(lightness - 0.0894841775 * a - 1.2914855480 * b, 3);

    rgb[0] = 4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s;
    rgb[1] = -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s;
    rgb[2] = -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s;
}

static int in_gamut(const double rgb[3])
{
    for (int k = 0; k < 3; k++)
        if (rgb[k] < 0 || rgb[k] > 1) return 0;
    return 1;
}

static png_byte to_byte(double linear)
{
    double v = linear <= 0.0031308 ? 12.92 * linear : 1.055 * pow(linear, 1 / 2.4) - 0.055;
    return (png_byte)lround(255 * fmin(fmax(v, 0), 1));
}

/* The colour of lightness, chroma and hue (radians), with the largest chroma up to the one given that sRGB can show. */
static void oklch_to_bytes(double lightness, double chroma, double hue, png_byte out[3])
{
    double rgb[3], low = 0, high = 2 * chroma;

    for (int step = 0; step < 24; step++) {
        double middle = 0.5 * (low + high);
        oklab_to_rgb(lightness, middle * cos(hue), middle * sin(hue), rgb);
        if (middle <= chroma && in_gamut(rgb)) low = middle;
        else high = middle;
    }
    oklab_to_rgb(lightness, low * cos(hue), low * sin(hue), rgb);
    for (int k = 0; k < 3; k++) out[k] = to_byte(rgb[k]);
}

/* The ramp at t in [0, 1], brightened by `lift` in lightness. */
static void shade(double t, double lift, png_byte out[3])
{
    const double turn = acos(-1.0) / 180;
    double lightness = 0.16 + 0.81 * t, hue = 275 + 185 * pow(t, 0.9),
           chroma = 0.045 + 0.16 * sin(acos(-1.0) * pow(t, 0.85));

    oklch_to_bytes(fmin(lightness + lift, 1), chroma, hue * turn, out);
}

/* ---- the picture ------------------------------------------------------------------------------------------------ */

typedef struct map {
    const int64_t *cell;
    int width, height;
    float *level;          /* per pixel, 0 to 1 */
    float *border;         /* per pixel, how much its cell's border shows, 0 to 1 */
    png_byte (*shades)[3]; /* SHADES colours without, then SHADES with a border */
    png_byte *picture;
} map;

static void fill_levels(map *m, const float *value, double low, double high)
{
    for (int k = 0; k < m->width * m->height; k++) {
        double level = log(fmax((double)value[k], low) / low) / log(high / low);
        m->level[k] = (float)fmin(level, 1);
    }
}

static void fill_shades(map *m)
{
    for (int k = 0; k < SHADES; k++) {
        shade((double)k / (SHADES - 1), 0, m->shades[k]);
        shade((double)k / (SHADES - 1), 0.14, m->shades[SHADES + k]);
    }
}

/* Cells of a few pixels show no border, cells of a hundred and more all of it. */
static int fill_borders(map *m)
{
    size_t pixels = (size_t)m->width * (size_t)m->height;
    int64_t cells = 0;
    int *size;

    for (size_t k = 0; k < pixels; k++)
        if (m->cell[k] >= cells) cells = m->cell[k] + 1;
    size = calloc((size_t)cells + 1, sizeof *size);
    if (!size) return -1;
    for (size_t k = 0; k < pixels; k++) size[m->cell[k] < 0 ? cells : m->cell[k]]++;
    for (size_t k = 0; k < pixels; k++) {
        int own = size[m->cell[k] < 0 ? cells : m->cell[k]];
        m->border[k] = (float)fmin(fmax(log(own / 6.0) / log(100 / 6.0), 0), 1);
    }
    free(size);
    return 0;
}

/* The level at a point in pixels, linear between pixel centres; longitude wraps around. */
static double level_at(const map *m, double row, double column)
{
    int r = (int)floor(row), c = (int)floor(column), r1, c1;
    double u = row - r, v = column - c;

    r1 = r + 1 < m->height ? r + 1 : m->height - 1;
    r = r < 0 ? 0 : r;
    c1 = (c + 1) % m->width;
    c = (c + m->width) % m->width;
    return (1 - u) * ((1 - v) * m->level[r * m->width + c] + v * m->level[r * m->width + c1]) +
           u * ((1 - v) * m->level[r1 * m->width + c] + v * m->level[r1 * m->width + c1]);
}

/* How much border lies on a pixel of the picture: its neighbour to the east or south belongs to another cell. */
static double border_at(const map *m, int row, int column)
{
    int here = row / SCALE * m->width + column / SCALE;
    int east = row / SCALE * m->width + (column + 1) / SCALE % m->width;
    int south = (row + 1) / SCALE < m->height ? (row + 1) / SCALE * m->width + column / SCALE : here;

    if (m->cell[here] != m->cell[east]) return fmin(m->border[here], m->border[east]);
    return m->cell[here] != m->cell[south] ? fmin(m->border[here], m->border[south]) : 0;
}

static void paint(map *m)
{
    for (int row = 0; row < SCALE * m->height; row++) {
        for (int column = 0; column < SCALE * m->width; column++) {
            double level = level_at(m, (row + 0.5) / SCALE - 0.5, (column + 0.5) / SCALE - 0.5);
            double border = border_at(m, row, column);
            const png_byte *plain = m->shades[lround(level * (SHADES - 1))], *lit = plain + 3 * SHADES;
            png_byte *pixel = m->picture + 3 * ((size_t)row * (size_t)(SCALE * m->width) + (size_t)column);
            for (int k = 0; k < 3; k++) pixel[k] = (png_byte)lround((1 - border) * plain[k] + border * lit[k]);
        }
    }
}

static int write_picture(const map *m, const char *path)
{
    png_image image;

    memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
    image.width = (png_uint_32)(SCALE * m->width);
    image.height = (png_uint_32)(SCALE * m->height);
    image.format = PNG_FORMAT_RGB;
    if (png_image_write_to_file(&image, path, 0, m->picture, 0, NULL)) return 0;
    fprintf(stderr, "%s: %s\n", path, image.message);
    return -1;
}

int png_map_write(const char *path, const float *value, const int64_t *cell, int width, int height, double low,
                  double high)
{
    size_t pixels = (size_t)width * (size_t)height;
    map m = {.cell = cell, .width = width, .height = height};
    int failed = -1;

    m.level = malloc(pixels * sizeof *m.level);
    m.border = malloc(pixels * sizeof *m.border);
    m.shades = malloc(2 * SHADES * sizeof *m.shades);
    m.picture = malloc(pixels * SCALE * SCALE * 3);
    if (m.level && m.border && m.shades && m.picture && !fill_borders(&m)) {
        fill_levels(&m, value, low, high);
        fill_shades(&m);
        paint(&m);
        failed = write_picture(&m, path);
    } else {
        fprintf(stderr, "%s: no memory for the picture\n", path);
    }
    free(m.level);
    free(m.border);
    free(m.shades);
    free(m.picture);
    return failed;
}
