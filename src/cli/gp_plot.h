/*
 * gp_plot.h: the picture of a fit.
 */
#ifndef QUERN_CLI_GP_PLOT_H
#define QUERN_CLI_GP_PLOT_H

#include "cli.h"
#include "quern/gp.h"

/* Draws what a process predicts over the extent of its points, in one or two dimensions, as an SVG file. Fails with a word
   on stderr. */
quern_status cli_gp_plot(const char *path, quern_gp *gp, quern_view points, quern_view values);

#endif
