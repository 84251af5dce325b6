/*
 * grids.h: densities on a regular grid, as `quern transport --grid` and `quern barycentre --grid` read them.
 */
#ifndef QUERN_CLI_GRIDS_H
#define QUERN_CLI_GRIDS_H

#include "cli.h"
#include "quern/transport.h"

/* How densities are told, the member `grids` of requests. */
typedef struct cli_gridding {
    bool grid, dark, normalize;
    const char *spacing;
} cli_gridding;

#define CLI_GRID(request)                                                                                           \
    {                                                                                                               \
        "--grid", CLI_FLAG, offsetof(request, grids.grid), "",                                                      \
            "the words are densities on a regular grid: pictures (.png), which get the mass 1, or arrays of 1 to\n" \
            "3 axes"                                                                                                \
    }
#define CLI_SPACING(request)                                                                   \
    {                                                                                          \
        "--spacing", CLI_TEXT, offsetof(request, grids.spacing), "LENGTH",                     \
            "from one point of the grid to the next; without it the longest side has length 1" \
    }
#define CLI_DARK(request)                                                                             \
    {                                                                                                 \
        "--dark", CLI_FLAG, offsetof(request, grids.dark), "", "what is dark in pictures is the mass" \
    }
#define CLI_NORMALIZE(request)                                                                                     \
    {                                                                                                              \
        "--normalize", CLI_FLAG, offsetof(request, grids.normalize), "", "divide the weights of each by their sum" \
    }

/* Copies of densities, each a column, and the grid that all are on. */
typedef struct cli_grids {
    quern_grid grid;
    quern_view *views;
    size_t count;
} cli_grids;

/* USAGE for what only --grid takes, without it. */
quern_status cli_grids_check(const cli_gridding *how);
/* To be freed even if it fails. SHAPE, MEMORY, USAGE. */
quern_status cli_grids_make(cli_grids *out, const cli_inputs *inputs, const cli_gridding *how);
void cli_grids_free(cli_grids *grids);
/* A column with a number for each point of the grid as an array of its axes. */
quern_view cli_grids_shaped(const quern_grid *grid, quern_view column);
/* Divides weights by their sum, if that is above 0 and finite. */
void cli_normalize(quern_view weights);

#endif
