/*
 * gp_plot.c: the picture of a fit as an SVG file. In one dimension the mean as a line in a band of two standard deviations, with
 * the values as dots; in two a map of the mean, with the points in the colours of their values.
 */
#include "gp_plot.h"

#include <math.h>
#include <stdlib.h>

#include "plot.h"

enum { LINE = 400 };

/* ---- one dimension ---------------------------------------------------------------------------------------------- */

static quern_status draw_line(FILE *file, quern_gp *gp, const quern_view *points, const quern_view *values)
{
    double x[LINE], mean[LINE], spread[LINE];
    cli_range across = cli_range_of(points, 0, 0.05), up = cli_range_of(values, 0, 0);
    for (int k = 0; k < LINE; k++) x[k] = across.from + (across.to - across.from) * k / (LINE - 1);
    quern_status status =
        quern_gp_predict(gp, quern_f64(x, LINE, 1), quern_f64(mean, LINE, 1), quern_f64(spread, LINE, 1));
    if (status) return cli_fail_quern(status, "--plot");
    for (int k = 0; k < LINE; k++) {
        spread[k] = 2 * sqrt(spread[k]);
        cli_range_widen(&up, mean[k] - spread[k]), cli_range_widen(&up, mean[k] + spread[k]);
    }
    double more = up.to > up.from ? 0.03 * (up.to - up.from) : 1;
    up = (cli_range){up.from - more, up.to + more};
    fprintf(file, "<polygon fill=\"#3b528b\" fill-opacity=\"0.2\" points=\"");
    for (int k = 0; k < LINE; k++)
        fprintf(file, "%.1f,%.1f ", cli_plot_x(across, x[k]), cli_plot_y(up, mean[k] + spread[k]));
    for (int k = LINE - 1; k >= 0; k--)
        fprintf(file, "%.1f,%.1f ", cli_plot_x(across, x[k]), cli_plot_y(up, mean[k] - spread[k]));
    fprintf(file, "\"/>\n<polyline fill=\"none\" stroke=\"#3b528b\" stroke-width=\"2\" points=\"");
    for (int k = 0; k < LINE; k++) fprintf(file, "%.1f,%.1f ", cli_plot_x(across, x[k]), cli_plot_y(up, mean[k]));
    fprintf(file, "\"/>\n<g fill=\"#c0392b\">\n");
    for (int64_t i = 0; i < points->rows; i++)
        fprintf(file, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\"/>\n",
                cli_plot_x(across, cli_plot_number(points, i, 0)), cli_plot_y(up, cli_plot_number(values, i, 0)));
    fprintf(file, "</g>\n");
    cli_plot_axes(file, across, up);
    return QUERN_OK;
}

/* ---- two dimensions --------------------------------------------------------------------------------------------- */

static quern_status draw_map(FILE *file, quern_gp *gp, const quern_view *points, const quern_view *values)
{
    cli_range x = cli_range_of(points, 0, 0.03), y = cli_range_of(points, 1, 0.03),
              colours = cli_range_of(values, 0, 0);
    double *at = malloc((size_t)(3 * CLI_PLOT_MAP * CLI_PLOT_MAP) * sizeof *at),
           *mean = at + 2 * CLI_PLOT_MAP * CLI_PLOT_MAP;
    if (!at) return cli_fail_memory();
    cli_plot_places(at, x, y);
    quern_status status = quern_gp_predict(gp, quern_f64(at, CLI_PLOT_MAP * CLI_PLOT_MAP, 2),
                                           quern_f64(mean, CLI_PLOT_MAP * CLI_PLOT_MAP, 1), (quern_view){0});
    if (status) cli_fail_quern(status, "--plot");
    else cli_plot_cells(file, colours, mean);
    for (int64_t i = 0; i < points->rows && !status; i++) {
        fprintf(file, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" stroke=\"#fff\" stroke-width=\"0.7\" fill=\"",
                cli_plot_x(x, cli_plot_number(points, i, 0)), cli_plot_y(y, cli_plot_number(points, i, 1)));
        cli_plot_colour(file, colours, cli_plot_number(values, i, 0));
        fprintf(file, "\"/>\n");
    }
    if (!status) cli_plot_axes(file, x, y);
    free(at);
    return status;
}

quern_status cli_gp_plot(const char *path, quern_gp *gp, quern_view points, quern_view values)
{
    cli_file file;
    quern_status status = cli_plot_begin(&file, path);
    if (status) return status;
    status = points.columns == 1 ? draw_line(file.stream, gp, &points, &values)
                                 : draw_map(file.stream, gp, &points, &values);
    return cli_plot_end(&file, status);
}
