/*
 * gp_plot.c: the picture of a fit as an SVG file. In one dimension the mean as a line in a band of two standard deviations, with
 * the values as dots; in two a map of the mean, with the points in the colours of their values.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gp_plot.h"

enum { WIDTH = 800, HEIGHT = 500, MARGIN = 60, LINE = 400, MAP = 80, TICKS = 5 };

typedef struct range {
    double from, to;
} range;

static double number_at(const quern_view *view, int64_t row, int64_t column)
{
    int64_t k = row * (view->stride ? view->stride : view->columns) + column;
    return view->dtype == QUERN_F32 ? (double)((float *)view->data)[k] : ((double *)view->data)[k];
}

static void widen(range *r, double number)
{
    if (number < r->from) r->from = number;
    if (number > r->to) r->to = number;
}

/* The range of a column, and a part of it on each side. */
static range range_of(const quern_view *view, int64_t column, double part)
{
    range r = {INFINITY, -INFINITY};
    for (int64_t i = 0; i < view->rows; i++) widen(&r, number_at(view, i, column));
    double more = r.to > r.from ? part * (r.to - r.from) : 1;
    return (range){r.from - more, r.to + more};
}

static double place_x(range r, double x)
{
    return MARGIN + (WIDTH - 2 * MARGIN) * (x - r.from) / (r.to - r.from);
}

static double place_y(range r, double y)
{
    return HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (y - r.from) / (r.to - r.from);
}

/* From dark blue by green to yellow: some colours of viridis, with straight lines between them. */
static void write_colour(FILE *file, range r, double number)
{
    static const double colours[][3] = {{68, 1, 84}, {59, 82, 139}, {33, 145, 140}, {94, 201, 98}, {253, 231, 37}};
    double at = 4 * fmin(1, fmax(0, (number - r.from) / (r.to - r.from))), rest = at - floor(at);
    int k = at >= 4 ? 3 : (int)at;
    if (at >= 4) rest = 1;
    fputc('#', file);
    for (int c = 0; c < 3; c++)
        fprintf(file, "%02x", (unsigned)lround(colours[k][c] * (1 - rest) + colours[k + 1][c] * rest));
}

/* The 5 or so round numbers of an axis begin at *first. */
static double tick_step(range r, double *first)
{
    double rough = (r.to - r.from) / TICKS, power = pow(10, floor(log10(rough))), lead = rough / power;
    double step = power * (lead < 1.5 ? 1 : lead < 3.5 ? 2 : lead < 7.5 ? 5 : 10);
    *first = ceil(r.from / step) * step;
    return step;
}

static void write_axes(FILE *file, range x, range y)
{
    double first, step = tick_step(x, &first);
    fprintf(file, "<g font-family=\"sans-serif\" font-size=\"13\" fill=\"#333\">\n");
    for (double t = first; t <= x.to; t += step)
        fprintf(file,
                "<path d=\"M%.1f %dv6\" stroke=\"#333\"/><text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n",
                place_x(x, t), HEIGHT - MARGIN, place_x(x, t), HEIGHT - MARGIN + 20, fabs(t) < 1e-9 * step ? 0 : t);
    step = tick_step(y, &first);
    for (double t = first; t <= y.to; t += step)
        fprintf(file,
                "<path d=\"M%d %.1fh-6\" stroke=\"#333\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n",
                MARGIN, place_y(y, t), MARGIN - 9, place_y(y, t) + 4, fabs(t) < 1e-9 * step ? 0 : t);
    fprintf(file, "</g>\n<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#333\"/>\n", MARGIN,
            MARGIN, WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN);
}

/* ---- one dimension ---------------------------------------------------------------------------------------------- */

static quern_status draw_line(FILE *file, quern_gp *gp, const quern_view *points, const quern_view *values)
{
    double x[LINE], mean[LINE], spread[LINE];
    range across = range_of(points, 0, 0.05), up = range_of(values, 0, 0);
    for (int k = 0; k < LINE; k++) x[k] = across.from + (across.to - across.from) * k / (LINE - 1);
    quern_status status =
        quern_gp_predict(gp, quern_f64(x, LINE, 1), quern_f64(mean, LINE, 1), quern_f64(spread, LINE, 1));
    if (status) return cli_fail_quern(status, "--plot");
    for (int k = 0; k < LINE; k++) {
        spread[k] = 2 * sqrt(spread[k]);
        widen(&up, mean[k] - spread[k]), widen(&up, mean[k] + spread[k]);
    }
    double more = up.to > up.from ? 0.03 * (up.to - up.from) : 1;
    up = (range){up.from - more, up.to + more};
    fprintf(file, "<polygon fill=\"#3b528b\" fill-opacity=\"0.2\" points=\"");
    for (int k = 0; k < LINE; k++) fprintf(file, "%.1f,%.1f ", place_x(across, x[k]), place_y(up, mean[k] + spread[k]));
    for (int k = LINE - 1; k >= 0; k--)
        fprintf(file, "%.1f,%.1f ", place_x(across, x[k]), place_y(up, mean[k] - spread[k]));
    fprintf(file, "\"/>\n<polyline fill=\"none\" stroke=\"#3b528b\" stroke-width=\"2\" points=\"");
    for (int k = 0; k < LINE; k++) fprintf(file, "%.1f,%.1f ", place_x(across, x[k]), place_y(up, mean[k]));
    fprintf(file, "\"/>\n<g fill=\"#c0392b\">\n");
    for (int64_t i = 0; i < points->rows; i++)
        fprintf(file, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\"/>\n", place_x(across, number_at(points, i, 0)),
                place_y(up, number_at(values, i, 0)));
    fprintf(file, "</g>\n");
    write_axes(file, across, up);
    return QUERN_OK;
}

/* ---- two dimensions --------------------------------------------------------------------------------------------- */

static void write_cells(FILE *file, range colours, const double *mean)
{
    double width = (WIDTH - 2 * MARGIN) / (double)MAP, height = (HEIGHT - 2 * MARGIN) / (double)MAP;
    fprintf(file, "<g shape-rendering=\"crispEdges\">\n");
    for (int i = 0; i < MAP; i++)
        for (int j = 0; j < MAP; j++) {
            fprintf(file, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"", MARGIN + j * width,
                    HEIGHT - MARGIN - (i + 1) * height, width, height);
            write_colour(file, colours, mean[i * MAP + j]);
            fprintf(file, "\"/>\n");
        }
    fprintf(file, "</g>\n");
}

static quern_status draw_map(FILE *file, quern_gp *gp, const quern_view *points, const quern_view *values)
{
    range x = range_of(points, 0, 0.03), y = range_of(points, 1, 0.03), colours = range_of(values, 0, 0);
    double *at = malloc((size_t)(3 * MAP * MAP) * sizeof *at), *mean = at + 2 * MAP * MAP;
    if (!at) return cli_fail_memory();
    for (int i = 0; i < MAP; i++)
        for (int j = 0; j < MAP; j++) {
            at[2 * (i * MAP + j)] = x.from + (x.to - x.from) * (j + 0.5) / MAP;
            at[2 * (i * MAP + j) + 1] = y.from + (y.to - y.from) * (i + 0.5) / MAP;
        }
    quern_status status =
        quern_gp_predict(gp, quern_f64(at, MAP * MAP, 2), quern_f64(mean, MAP * MAP, 1), (quern_view){0});
    if (status) cli_fail_quern(status, "--plot");
    else write_cells(file, colours, mean);
    for (int64_t i = 0; i < points->rows && !status; i++) {
        fprintf(file, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" stroke=\"#fff\" stroke-width=\"0.7\" fill=\"",
                place_x(x, number_at(points, i, 0)), place_y(y, number_at(points, i, 1)));
        write_colour(file, colours, number_at(values, i, 0));
        fprintf(file, "\"/>\n");
    }
    if (!status) write_axes(file, x, y);
    free(at);
    return status;
}

quern_status cli_gp_plot(const char *path, quern_gp *gp, quern_view points, quern_view values)
{
    FILE *file = fopen(path, "w");
    if (!file) return cli_fail(QUERN_IO, "--plot %s cannot be written: %s", path, strerror(errno));
    fprintf(
        file,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
        WIDTH, HEIGHT);
    quern_status status =
        points.columns == 1 ? draw_line(file, gp, &points, &values) : draw_map(file, gp, &points, &values);
    fprintf(file, "</svg>\n");
    bool failed = ferror(file);
    if ((fclose(file) || failed) && !status)
        status = cli_fail(QUERN_IO, "--plot %s cannot be written: %s", path, strerror(errno));
    return status;
}
