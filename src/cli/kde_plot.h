/*
 * kde_plot.h: the picture of a density.
 */
#ifndef QUERN_CLI_KDE_PLOT_H
#define QUERN_CLI_KDE_PLOT_H

#include "cli.h"
#include "quern/density.h"

/* Draws a density over the extent of its points and three bandwidths, in one or two dimensions, as an SVG file. Fails with a
   word on stderr. */
quern_status cli_kde_plot(const char *path, quern_density *density, quern_view points);

#endif
