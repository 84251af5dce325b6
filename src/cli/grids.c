/*
 * grids.c: densities on a regular grid: arrays of one to three axes, and pictures.
 */
#include "grids.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Axes of an array: of a batch of matrices the batch is the first one, and of a column there is no second. */
static int axes_of(const quern_view *view, int64_t size[3])
{
    int dim = 0;

    if (view->batch[1]) return 4;
    if (view->batch[0]) size[dim++] = view->batch[0];
    size[dim++] = view->rows;
    if (dim > 1 || view->columns != 1) size[dim++] = view->columns;
    return dim;
}

quern_status cli_grids_check(const cli_gridding *how)
{
    const char *option = how->dark ? "--dark" : how->spacing ? "--spacing" : NULL;

    return option && !how->grid ? cli_fail(QUERN_USAGE, "%s is for densities; it needs --grid", option) : QUERN_OK;
}

enum { AXES_TEXT = 80 };

static const char *print_axes(char text[AXES_TEXT], int dim, const int64_t size[3])
{
    int length = 0;

    for (int d = 0; d < dim; d++)
        length += snprintf(text + length, AXES_TEXT - (size_t)length, "%s%lld", d ? " x " : "", (long long)size[d]);
    return text;
}

/* All have the axes of the first. */
static quern_status find_axes(quern_grid *grid, const cli_inputs *inputs)
{
    char first[AXES_TEXT], other[AXES_TEXT];

    for (size_t k = 0; k < inputs->count; k++) {
        int64_t size[3] = {0};
        int dim = axes_of(&inputs->args[k].view, size);
        if (dim > 3) return cli_fail(QUERN_SHAPE, "%s has more than three axes", inputs->args[k].name);
        if (!k) grid->dim = dim, memcpy(grid->size, size, sizeof size);
        if (dim != grid->dim || memcmp(size, grid->size, sizeof size))
            return cli_fail(QUERN_SHAPE, "%s and %s are on different grids: %s and %s", inputs->args[0].name,
                            inputs->args[k].name, print_axes(first, grid->dim, grid->size),
                            print_axes(other, dim, size));
    }
    return QUERN_OK;
}

static double read_number(const quern_view *view, size_t k)
{
    return view->dtype == QUERN_F32 ? (double)((float *)view->data)[k] : ((double *)view->data)[k];
}

static void write_number(quern_view *view, size_t k, double number)
{
    if (view->dtype == QUERN_F32) ((float *)view->data)[k] = (float)number;
    else ((double *)view->data)[k] = number;
}

void cli_normalize(quern_view weights)
{
    size_t count = (size_t)(weights.rows * weights.columns);
    double sum = 0;

    for (size_t k = 0; k < count; k++) sum += read_number(&weights, k);
    for (size_t k = 0; k < count && sum > 0 && isfinite(sum); k++)
        write_number(&weights, k, read_number(&weights, k) / sum);
}

static quern_status copy(quern_view *out, const quern_view *view, bool picture, const cli_gridding *how)
{
    quern_view flat = cli_flat(view);
    size_t count = (size_t)(flat.rows * flat.columns), size = cli_element_size(view->dtype);

    *out = quern_view_of(malloc(count * size + 1), view->dtype, (int64_t)count, 1);
    if (!out->data) return cli_fail_memory();
    memcpy(out->data, flat.data, count * size);
    for (size_t k = 0; k < count && picture && how->dark; k++) write_number(out, k, 1 - read_number(out, k));
    if (picture || how->normalize) cli_normalize(*out);
    return QUERN_OK;
}

quern_status cli_grids_make(cli_grids *out, const cli_inputs *inputs, const cli_gridding *how)
{
    double spacing = 0;
    quern_status status = cli_parse_number(how->spacing, "--spacing", &spacing);

    if (!status) status = find_axes(&out->grid, inputs);
    for (int d = 0; d < out->grid.dim; d++) out->grid.spacing[d] = spacing;
    out->views = calloc(inputs->count + 1, sizeof *out->views);
    if (!status && !out->views) status = cli_fail_memory();
    for (; out->count < inputs->count && !status; out->count++)
        status =
            copy(&out->views[out->count], &inputs->args[out->count].view, inputs->sources[out->count].picture, how);
    return status;
}

void cli_grids_free(cli_grids *grids)
{
    for (size_t k = 0; k < grids->count; k++) free(grids->views[k].data);
    free(grids->views);
}

quern_view cli_grids_shaped(const quern_grid *grid, quern_view column)
{
    column.columns = grid->dim > 1 ? grid->size[grid->dim - 1] : 1;
    column.rows = grid->size[grid->dim > 1 ? grid->dim - 2 : 0];
    column.batch[0] = grid->dim == 3 ? grid->size[0] : 0;
    return column;
}
