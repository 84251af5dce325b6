/*
 * kde_plot.c: the picture of a density as an SVG file. In one dimension a line, and the points as ticks below it; in two a map of its
 * logarithm, four decades of it, with the points as dots. Of many points some are drawn.
 */
#include "kde_plot.h"

#include <math.h>
#include <stdlib.h>

#include "plot.h"

enum { LINE = 600, MOST = 2000, DECADES = 4 };

/* The range of a coordinate, and three bandwidths around it. */
static cli_range extent(quern_density *density, const quern_view *points, int64_t column)
{
    const quern_density_report *report = quern_density_report_of(density);
    double square = 0;
    cli_range r = {INFINITY, -INFINITY};
    for (int64_t b = 0; b <= column; b++) square += pow(report->bandwidth[column * report->dim + b], 2);
    for (int64_t i = 0; i < points->rows; i++) cli_range_widen(&r, cli_plot_number(points, i, column));
    return (cli_range){r.from - 3 * sqrt(square), r.to + 3 * sqrt(square)};
}

static int64_t point_step(const quern_view *points)
{
    return 1 + (points->rows - 1) / MOST;
}

static quern_status draw_line(FILE *file, quern_density *density, const quern_view *points)
{
    double x[LINE], f[LINE];
    cli_range across = extent(density, points, 0), up = {0, 0};
    for (int k = 0; k < LINE; k++) x[k] = across.from + (across.to - across.from) * k / (LINE - 1);
    quern_status status =
        quern_density_at(density, QUERN_DENSITY_VALUE, quern_f64(x, LINE, 1), quern_f64(f, LINE, 1), NULL);
    if (status) return cli_fail_quern(status, "--plot");
    for (int k = 0; k < LINE; k++) cli_range_widen(&up, f[k] * 1.05);
    if (!(up.to > 0)) up.to = 1;
    fprintf(file, "<polygon fill=\"#3b528b\" fill-opacity=\"0.2\" stroke=\"#3b528b\" stroke-width=\"2\" points=\"");
    fprintf(file, "%.1f,%.1f ", cli_plot_x(across, across.from), cli_plot_y(up, 0));
    for (int k = 0; k < LINE; k++) fprintf(file, "%.1f,%.1f ", cli_plot_x(across, x[k]), cli_plot_y(up, f[k]));
    fprintf(file, "%.1f,%.1f\"/>\n<path stroke=\"#c0392b\" d=\"", cli_plot_x(across, across.to), cli_plot_y(up, 0));
    for (int64_t i = 0; i < points->rows; i += point_step(points))
        fprintf(file, "M%.1f %.1fv-8", cli_plot_x(across, cli_plot_number(points, i, 0)), cli_plot_y(up, 0));
    fprintf(file, "\"/>\n");
    cli_plot_axes(file, across, up);
    return QUERN_OK;
}

static quern_status draw_map(FILE *file, quern_density *density, const quern_view *points)
{
    enum { CELLS = CLI_PLOT_MAP * CLI_PLOT_MAP };
    cli_range x = extent(density, points, 0), y = extent(density, points, 1), colours = {0, -INFINITY};
    double *at = malloc(3 * CELLS * sizeof *at), *f = at + 2 * CELLS;
    if (!at) return cli_fail_memory();
    cli_plot_places(at, x, y);
    quern_status status =
        quern_density_at(density, QUERN_DENSITY_LOG, quern_f64(at, CELLS, 2), quern_f64(f, CELLS, 1), NULL);
    if (status) cli_fail_quern(status, "--plot");
    for (int k = 0; k < CELLS && !status; k++) cli_range_widen(&colours, f[k]);
    colours.from = colours.to - DECADES * log(10);
    if (!status) cli_plot_cells(file, colours, f);
    fprintf(file, "<g fill=\"#fff\" fill-opacity=\"0.6\">\n");
    for (int64_t i = 0; i < points->rows && !status; i += point_step(points))
        fprintf(file, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"1.2\"/>\n", cli_plot_x(x, cli_plot_number(points, i, 0)),
                cli_plot_y(y, cli_plot_number(points, i, 1)));
    fprintf(file, "</g>\n");
    if (!status) cli_plot_axes(file, x, y);
    free(at);
    return status;
}

quern_status cli_kde_plot(const char *path, quern_density *density, quern_view points)
{
    cli_file file;
    quern_status status = cli_plot_begin(&file, path);
    if (status) return status;
    status = points.columns == 1 ? draw_line(file.stream, density, &points) : draw_map(file.stream, density, &points);
    return cli_plot_end(&file, status);
}
