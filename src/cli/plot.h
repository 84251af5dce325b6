/*
 * plot.h: what the pictures of commands have in common: SVG files with axes, and maps of colours.
 */
#ifndef QUERN_CLI_PLOT_H
#define QUERN_CLI_PLOT_H

#include "cli.h"

/* Of a picture and the margin around its axes, and cells of a map along an axis. */
enum { CLI_PLOT_WIDTH = 800, CLI_PLOT_HEIGHT = 500, CLI_PLOT_MARGIN = 60, CLI_PLOT_MAP = 80 };

typedef struct cli_range {
    double from, to;
} cli_range;

void cli_range_widen(cli_range *r, double number);
/* The range of a column, and a part of it on each side. */
cli_range cli_range_of(const quern_view *view, int64_t column, double part);
/* An element of a view of floats on the host. */
double cli_plot_number(const quern_view *view, int64_t row, int64_t column);

/* Whether the file of --plot, or none, can be written, and is none of the other results': USAGE, IO. */
quern_status cli_plot_check(const char *path, const cli_list *others);
/* As cli_file_begin and _end. */
quern_status cli_plot_begin(cli_file *file, const char *path);
quern_status cli_plot_end(cli_file *file, quern_status status);

/* Where a number is in the picture. */
double cli_plot_x(cli_range r, double x);
double cli_plot_y(cli_range r, double y);
void cli_plot_colour(FILE *file, cli_range r, double number);
void cli_plot_axes(FILE *file, cli_range x, cli_range y);
/* A map has CLI_PLOT_MAP x CLI_PLOT_MAP cells, row after row from below: their middles, and its colours for a number each. */
void cli_plot_places(double *at, cli_range x, cli_range y);
void cli_plot_cells(FILE *file, cli_range colours, const double *numbers);

#endif
