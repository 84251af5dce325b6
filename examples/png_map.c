/*
 * png_map.c: a field on the globe as a PNG picture (libpng's simplified interface).
 *
 * The colours are made by formula in OKLCh, the polar form of Ottosson's OKLab space
 * (https://bottosson.github.io/posts/oklab, 2020), in which equal steps look equal: lightness rises evenly from a night
 * blue to a warm white while the hue turns from blue over violet and red to yellow; chroma shrinks wherever sRGB has no
 * such colour. Between pixels the logarithm of the value is interpolated. Borders brighten the colour beneath by a
 * constant step of lightness, the less the smaller the cell, so that crowded regions are not drowned in lines. A contour is
 * where the value is a power of ten: how far a pixel is from it follows from value and slope.
 */
#include "png_map.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canvas.h"

enum { SCALE = 2, SHADES = 1024, LEGIBLE = 1000 /* pixels of a picture that has room for letters */ };

typedef unsigned char byte;

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

static byte to_byte(double linear)
{
    double v = linear <= 0.0031308 ? 12.92 * linear : 1.055 * pow(linear, 1 / 2.4) - 0.055;
    return (byte)lround(255 * fmin(fmax(v, 0), 1));
}

/* The colour of lightness, chroma and hue (radians), with the largest chroma up to the one given that sRGB can show. */
static void oklch_to_bytes(double lightness, double chroma, double hue, byte out[3])
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
static void shade(double t, double lift, byte out[3])
{
    const double turn = acos(-1.0) / 180;
    double lightness = 0.16 + 0.81 * t, hue = 275 + 185 * pow(t, 0.9),
           chroma = 0.045 + 0.16 * sin(acos(-1.0) * pow(t, 0.85));

    oklch_to_bytes(fmin(lightness + lift, 1), chroma, hue * turn, out);
}

/* ---- the picture ------------------------------------------------------------------------------------------------ */

typedef struct map {
    const map_field *field;
    const int64_t *cell;
    int width, height;
    float *level;      /* per pixel, 0 to 1 */
    float *border;     /* per pixel, how much its cell's border shows, 0 to 1 */
    byte (*shades)[3]; /* SHADES colours without, then SHADES with a border */
    canvas picture;
    double letter; /* height of small capitals, in pixels of the picture; 0: none */
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

/* How much of a pixel a contour covers. */
static double contour_at(const map *m, double row, double column, double level)
{
    const map_field *f = m->field;
    const double tens = level * log10(f->high / f->low) + log10(f->low), off = fabs(tens - round(tens)) * log(10);
    const int k = (int)fmin(fmax(row, 0), m->height - 1) * m->width + (int)fmin(fmax(column, 0), m->width - 1);
    if (level <= 0 || !(f->slope[k] > 0)) return 0;
    return fmin(fmax(1 - SCALE * off / (double)f->slope[k], 0), 1);
}

static void paint(map *m)
{
    for (int row = 0; row < SCALE * m->height; row++) {
        for (int column = 0; column < SCALE * m->width; column++) {
            const double r = (row + 0.5) / SCALE, c = (column + 0.5) / SCALE, level = level_at(m, r - 0.5, c - 0.5);
            const double line = 0.35 * contour_at(m, r, c, level), border = fmax(border_at(m, row, column) - line, 0);
            const byte *plain = m->shades[lround(level * (SHADES - 1))], *lit = plain + 3 * SHADES;
            byte *pixel = m->picture.pixels + 3 * ((size_t)row * (size_t)(SCALE * m->width) + (size_t)column);
            for (int k = 0; k < 3; k++)
                pixel[k] =
                    (byte)lround((1 - line) * ((1 - border) * plain[k] + border * lit[k]) + line * 255 * (level < 0.5));
        }
    }
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static const canvas_colour ink = {235, 230, 225}, faint = {120, 118, 140}, night = {8, 8, 26};

static double column_of(const map *m, double longitude)
{
    return (longitude + 180) / 360 * SCALE * m->width;
}

static double row_of(const map *m, double latitude)
{
    return (90 - latitude) / 180 * SCALE * m->height;
}

static void draw_graticule(map *m)
{
    const double width = SCALE * m->width, height = SCALE * m->height, half = 0.5;
    char text[16];
    for (int degrees = -150; degrees < 180; degrees += 30)
        for (double y = 0; y < height; y += 12)
            canvas_line(&m->picture, column_of(m, degrees), y, column_of(m, degrees), y + 3, half, faint);
    for (int degrees = -60; degrees < 90; degrees += 30) {
        for (double x = 0; x < width; x += 12)
            canvas_line(&m->picture, x, row_of(m, degrees), x + 3, row_of(m, degrees), half, faint);
        snprintf(text, sizeof text, "%d\302\260%s", abs(degrees), degrees > 0 ? " N" : degrees < 0 ? " S" : "");
        canvas_text(&m->picture, 4, row_of(m, degrees) - 3, m->letter, text, faint, &night);
    }
}

/* The bar lies where nobody lives: at the bottom. */
static void draw_bar(map *m)
{
    const map_field *f = m->field;
    const double width = 0.36 * SCALE * m->width, left = (SCALE * m->width - width) / 2, thick = 1.3 * m->letter;
    const double top = SCALE * m->height - 4.6 * m->letter, span = log10(f->high / f->low);
    char text[32];
    for (int k = 0; k < (int)width; k++) {
        const byte *shade = m->shades[(int)(k / width * (SHADES - 1))];
        const canvas_colour colour = {shade[0], shade[1], shade[2]};
        canvas_line(&m->picture, left + k + 0.5, top, left + k + 0.5, top + thick, 1.2, colour);
    }
    for (double tens = ceil(log10(f->low)); tens <= log10(f->high); tens++) {
        const double x = left + width * (tens - log10(f->low)) / span;
        canvas_line(&m->picture, x, top + thick, x, top + 1.4 * thick, 1, ink);
        snprintf(text, sizeof text, "%g", pow(10, tens));
        canvas_text(&m->picture, x - canvas_text_width(m->letter, text) / 2, top + 2.6 * thick, m->letter, text, ink,
                    NULL);
    }
    canvas_text(&m->picture, left + width + m->letter, top + thick - 2, m->letter, f->unit, ink, NULL);
    canvas_text(&m->picture, m->letter, SCALE * m->height - m->letter, 0.8 * m->letter, f->source, faint, NULL);
    canvas_text(&m->picture, m->letter, 2.6 * m->letter, 1.5 * m->letter, f->title, ink, &night);
}

typedef struct box {
    double left, right, top, bottom;
} box;

static bool is_free(const map *m, box b, const box *taken, int count)
{
    const double gap = 0.3 * m->letter;
    if (b.left < gap || b.right > m->picture.width - gap) return false;
    for (int k = 0; k < count; k++)
        if (b.left < taken[k].right + gap && b.right > taken[k].left - gap && b.top < taken[k].bottom + gap &&
            b.bottom > taken[k].top - gap)
            return false;
    return true;
}

/* Names stand to the right of their places, or else to the left, or are left out. */
static void draw_labels(map *m)
{
    const double high = m->letter;
    box taken[64];
    int count = 0;
    for (int k = 0; k < m->field->label_count && count < 64; k++) {
        const map_label *label = &m->field->labels[k];
        const double width = canvas_text_width(high, label->text) + 1.2 * high;
        const double x = column_of(m, label->longitude), y = row_of(m, label->latitude);
        for (int side = 0; side < 2; side++) {
            const double left = side ? x - width : x, base = y + 0.5 * high;
            const box b = {left - 0.3 * high, left + width + 0.3 * high, base - high, base};
            if (!is_free(m, b, taken, count)) continue;
            taken[count++] = b;
            canvas_disc(&m->picture, x, y, 0.3 * high, night);
            canvas_disc(&m->picture, x, y, 0.2 * high, ink);
            canvas_text(&m->picture, left + 0.6 * high, base, high, label->text, ink, &night);
            break;
        }
    }
}

int png_map_write(const char *path, const map_field *field)
{
    const int width = field->width, height = field->height;
    const size_t pixels = (size_t)width * (size_t)height;
    map m = {.field = field, .cell = field->cell, .width = width, .height = height};
    int failed = canvas_create(&m.picture, SCALE * width, SCALE * height);

    m.level = malloc(pixels * sizeof *m.level);
    m.border = malloc(pixels * sizeof *m.border);
    m.shades = malloc(2 * SHADES * sizeof *m.shades);
    if (!failed && (!m.level || !m.border || !m.shades || fill_borders(&m)))
        failed = fprintf(stderr, "%s: no memory for the picture\n", path);
    if (!failed) {
        fill_levels(&m, field->value, field->low, field->high);
        fill_shades(&m);
        paint(&m);
        m.letter = SCALE * width / 130.0;
        if (SCALE * width >= LEGIBLE) draw_graticule(&m), draw_bar(&m), draw_labels(&m);
        failed = canvas_write(&m.picture, path);
    }
    free(m.level);
    free(m.border);
    free(m.shades);
    canvas_free(&m.picture);
    return failed ? -1 : 0;
}
