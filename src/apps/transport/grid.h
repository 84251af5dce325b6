/*
 * grid.h: points of a regular grid and sums over them, axis by axis (grid.c). It has its own operators, and belongs to one context.
 */
#ifndef QUERN_APPS_GRID_H
#define QUERN_APPS_GRID_H

#include "quern/array.h"
#include "quern/space.h"
#include "quern/transport.h"

/* What is summed along one axis: exp(h - s C), with C = |x-y|^2 there; times C; times the place y. */
typedef enum q_line { Q_LINE_PLAIN, Q_LINE_COST, Q_LINE_PLACE, Q_LINE_COUNT } q_line;

typedef struct q_grid {
    quern_context *context;
    quern_dtype dtype;
    int dim;
    int64_t size[3], count;
    double spacing[3];
    quern_array *axis[3]; /* places */
    quern_array *turn[3]; /* see before_turn */
    quern_array *work[2];
    quern_operator *line[Q_LINE_COUNT], *turner;
} q_grid;

quern_status q_grid_create(q_grid **out, quern_context *context, quern_dtype dtype, const quern_grid *grid);
void q_grid_destroy(q_grid **grid);
/* A row of `dim` coordinates for each point, the last axis running fastest. */
void q_grid_places(const q_grid *grid, double *places);
/* out_i = log sum_j exp(h_j - s |x_i - y_j|^2), or what `line` makes of it along the axis `special`; neither is the other. */
quern_status q_grid_sum(q_grid *grid, const quern_array *h, double s, int special, q_line line, quern_array *out);

#endif
