/*
 * label_plot.h: the picture of clusters.
 */
#ifndef QUERN_CLI_LABEL_PLOT_H
#define QUERN_CLI_LABEL_PLOT_H

#include "cli.h"

#define CLI_LABEL_PLOT(request)                                                  \
    {                                                                            \
        "--plot", CLI_TEXT, offsetof(request, plot), "FILE",                     \
            "an SVG picture: points by their first two columns, clusters by hue" \
    }

/* Draws points by their first two columns, or a single one beside the labels (int64, rows x 1; below 0: in no cluster; without data: all
   0). No points are fine. IO. */
quern_status cli_label_plot(const char *path, quern_view points, quern_view labels);

#endif
