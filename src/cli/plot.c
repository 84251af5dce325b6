/*
 * plot.c: what the pictures of commands have in common: SVG files with axes, and maps of colours.
 */
#include "plot.h"

#include <math.h>
#include <string.h>
#include <strings.h>

enum { TICKS = 5 };

double cli_plot_number(const quern_view *view, int64_t row, int64_t column)
{
    return cli_element(view, row * (view->stride ? view->stride : view->columns) + column);
}

void cli_range_widen(cli_range *r, double number)
{
    if (number < r->from) r->from = number;
    if (number > r->to) r->to = number;
}

/* The cli_range of a column, and a part of it on each side. */
cli_range cli_range_of(const quern_view *view, int64_t column, double part)
{
    cli_range r = {INFINITY, -INFINITY};
    for (int64_t i = 0; i < view->rows; i++) cli_range_widen(&r, cli_plot_number(view, i, column));
    double more = r.to > r.from ? part * (r.to - r.from) : 1;
    return (cli_range){r.from - more, r.to + more};
}

double cli_plot_x(cli_range r, double x)
{
    return CLI_PLOT_MARGIN + (CLI_PLOT_WIDTH - 2 * CLI_PLOT_MARGIN) * (x - r.from) / (r.to - r.from);
}

double cli_plot_y(cli_range r, double y)
{
    return CLI_PLOT_HEIGHT - CLI_PLOT_MARGIN - (CLI_PLOT_HEIGHT - 2 * CLI_PLOT_MARGIN) * (y - r.from) / (r.to - r.from);
}

/* From dark blue by green to yellow: some colours of viridis, with straight lines between them. */
void cli_plot_colour(FILE *file, cli_range r, double number)
{
    static const double colours[][3] = {{68, 1, 84}, {59, 82, 139}, {33, 145, 140}, {94, 201, 98}, {253, 231, 37}};
    double at = 4 * fmin(1, fmax(0, (number - r.from) / (r.to - r.from))), rest = at - floor(at);
    int k = at >= 4 ? 3 : (int)at;
    if (at >= 4) rest = 1;
    fputc('#', file);
    for (int c = 0; c < 3; c++)
        fprintf(file, "%02x", (unsigned)lround(colours[k][c] * (1 - rest) + colours[k + 1][c] * rest));
}

/* The 5 or so round numbers of an axis: *first and so many, a step apart; none where numbers so close cannot be told apart. */
static int find_ticks(cli_range r, double *first, double *step)
{
    double rough = (r.to - r.from) / TICKS, power = pow(10, floor(log10(rough))), lead = rough / power;
    *step = power * (lead < 1.5 ? 1 : lead < 3.5 ? 2 : lead < 7.5 ? 5 : 10);
    *first = ceil(r.from / *step) * *step;
    double count = floor((r.to - *first) / *step) + 1;
    return count >= 1 && count <= 4 * TICKS && r.to + *step > r.to ? (int)count : 0;
}

void cli_plot_axes(FILE *file, cli_range x, cli_range y)
{
    double first, step;
    int count = find_ticks(x, &first, &step);
    fprintf(file, "<g font-family=\"sans-serif\" font-size=\"13\" fill=\"#333\">\n");
    for (int k = 0; k < count; k++) {
        double t = first + k * step;
        fprintf(file,
                "<path d=\"M%.1f %dv6\" stroke=\"#333\"/><text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n",
                cli_plot_x(x, t), CLI_PLOT_HEIGHT - CLI_PLOT_MARGIN, cli_plot_x(x, t),
                CLI_PLOT_HEIGHT - CLI_PLOT_MARGIN + 20, fabs(t) < 1e-9 * step ? 0 : t);
    }
    count = find_ticks(y, &first, &step);
    for (int k = 0; k < count; k++) {
        double t = first + k * step;
        fprintf(file,
                "<path d=\"M%d %.1fh-6\" stroke=\"#333\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n",
                CLI_PLOT_MARGIN, cli_plot_y(y, t), CLI_PLOT_MARGIN - 9, cli_plot_y(y, t) + 4,
                fabs(t) < 1e-9 * step ? 0 : t);
    }
    fprintf(file, "</g>\n<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#333\"/>\n",
            CLI_PLOT_MARGIN, CLI_PLOT_MARGIN, CLI_PLOT_WIDTH - 2 * CLI_PLOT_MARGIN,
            CLI_PLOT_HEIGHT - 2 * CLI_PLOT_MARGIN);
}

void cli_plot_cells(FILE *file, cli_range colours, const double *mean)
{
    double width = (CLI_PLOT_WIDTH - 2 * CLI_PLOT_MARGIN) / (double)CLI_PLOT_MAP,
           height = (CLI_PLOT_HEIGHT - 2 * CLI_PLOT_MARGIN) / (double)CLI_PLOT_MAP;
    fprintf(file, "<g shape-rendering=\"crispEdges\">\n");
    for (int i = 0; i < CLI_PLOT_MAP; i++)
        for (int j = 0; j < CLI_PLOT_MAP; j++) {
            fprintf(file, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"",
                    CLI_PLOT_MARGIN + j * width, CLI_PLOT_HEIGHT - CLI_PLOT_MARGIN - (i + 1) * height, width, height);
            cli_plot_colour(file, colours, mean[i * CLI_PLOT_MAP + j]);
            fprintf(file, "\"/>\n");
        }
    fprintf(file, "</g>\n");
}

void cli_plot_places(double *at, cli_range x, cli_range y)
{
    for (int k = 0; k < CLI_PLOT_MAP * CLI_PLOT_MAP; k++) {
        at[2 * k] = x.from + (x.to - x.from) * (k % CLI_PLOT_MAP + 0.5) / CLI_PLOT_MAP;
        at[2 * k + 1] = y.from + (y.to - y.from) * (k / CLI_PLOT_MAP + 0.5) / CLI_PLOT_MAP;
    }
}

quern_status cli_plot_check(const char *path, const cli_list *others)
{
    const char *dot = path ? strrchr(path, '.') : NULL;

    if (!path) return QUERN_OK;
    if (!strcmp(path, "-") || (dot && !strchr(dot, '/') && strcasecmp(dot, ".svg")))
        return cli_fail(QUERN_USAGE, "--plot draws SVG; give it a file that is called .svg, not '%s'", path);
    for (size_t k = 0; k < others->count; k++)
        if (cli_is_same_file(path, others->items[k]))
            return cli_fail(QUERN_USAGE, "'%s' is given for a result and for --plot; each needs a place of its own",
                            path);
    return cli_outputs_check(&(cli_list){&path, 1});
}

quern_status cli_plot_begin(cli_file *file, const char *path)
{
    quern_status status = cli_file_begin(file, path);

    if (status) return status;
    fprintf(file->stream,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
            CLI_PLOT_WIDTH, CLI_PLOT_HEIGHT);
    return QUERN_OK;
}

quern_status cli_plot_end(cli_file *file, quern_status status)
{
    fprintf(file->stream, "</svg>\n");
    return cli_file_end(file, status);
}
