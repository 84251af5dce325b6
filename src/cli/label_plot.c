/*
 * label_plot.c: the picture of clusters as an SVG file: a dot for each point, in the colour of its cluster, grey for points in none. Of
 * many points some are drawn.
 */
#include "label_plot.h"

#include <math.h>

#include "plot.h"

enum { MOST = 20000 };

/* One of the hues that go around by the golden ratio, so that clusters with near numbers differ. */
static void write_colour(FILE *file, int64_t label)
{
    if (label < 0) fprintf(file, "#bbb");
    else fprintf(file, "hsl(%.0f,65%%,%d%%)", fmod(210 + 222.49 * (double)label, 360), 40 + 12 * (int)(label % 3));
}

static cli_range label_range(const int64_t *labels, int64_t rows)
{
    cli_range r = {0, 0};
    for (int64_t i = 0; i < rows && labels; i++) cli_range_widen(&r, (double)labels[i]);
    return (cli_range){r.from - 1, r.to + 1};
}

quern_status cli_label_plot(const char *path, quern_view points, quern_view labels)
{
    const int64_t *label = labels.data, step = 1 + points.rows / MOST;
    const bool flat = points.columns == 1;
    const cli_range none = {0, 1};
    cli_file picture;
    quern_status status = cli_plot_begin(&picture, path);
    if (status) return status;
    FILE *file = picture.stream;
    cli_range x = points.rows ? cli_range_of(&points, 0, 0.05) : none, y = none;
    if (points.rows) y = flat ? label_range(label, points.rows) : cli_range_of(&points, 1, 0.05);
    fprintf(file, "<g fill-opacity=\"0.8\">\n");
    for (int64_t i = 0; i < points.rows; i += step) {
        const int64_t own = label ? label[i] : 0;
        double up = flat ? (double)own : cli_plot_number(&points, i, 1);
        fprintf(file, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\" fill=\"",
                cli_plot_x(x, cli_plot_number(&points, i, 0)), cli_plot_y(y, up));
        write_colour(file, own);
        fprintf(file, "\"/>\n");
    }
    fprintf(file, "</g>\n");
    cli_plot_axes(file, x, y);
    return cli_plot_end(&picture, QUERN_OK);
}
