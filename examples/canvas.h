/*
 * canvas.h: pictures of points and lines for the examples, written as PNG.
 */
#ifndef CANVAS_H
#define CANVAS_H

/* width x height pixels of red, green and blue, row by row from the top; white at first. Places are in pixels. */
typedef struct canvas {
    int width, height;
    unsigned char *pixels;
} canvas;

typedef struct canvas_colour {
    unsigned char red, green, blue;
} canvas_colour;

/* One of ten colours that are told apart, also by people who confuse red and green (Okabe and Ito's, and two greys). */
canvas_colour canvas_category(int k);
/* From dark blue over green to yellow, for t from 0 to 1. */
canvas_colour canvas_ramp(double t);

/* 0, or -1 after a message on stderr. For canvas_free in either case. */
int canvas_create(canvas *out, int width, int height);
void canvas_free(canvas *c);

/* Smooth edges; what lies outside is cut off. */
void canvas_disc(canvas *c, double x, double y, double radius, canvas_colour colour);
void canvas_line(canvas *c, double x0, double y0, double x1, double y1, double width, canvas_colour colour);

/* Capital letters, digits and what stands between them, in strokes of a pen; accents are left out. `height` is that of a
   capital letter; x is where the text begins and y its baseline. With a halo, a border of that colour. */
void canvas_text(canvas *c, double x, double y, double height, const char *text, canvas_colour colour,
                 const canvas_colour *halo);
double canvas_text_width(double height, const char *text);

/* 0, or -1 after a message on stderr; then there is no file. */
int canvas_write(const canvas *c, const char *path);
/* Of width x height numbers from 0 on, likewise: each in the colour of the ramp that `bend` gives its part of the largest. */
int canvas_write_map(const char *path, const float *numbers, int width, int height, double (*bend)(double part));

#endif
