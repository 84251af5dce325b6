/*
 * grid.c: sums over all points of a regular grid, axis by axis.
 *
 * |x-y|^2 is a sum over axes, so log sum_j exp(h_j - s |x_i - y_j|^2) is done along one axis after the other: n (n1 + n2 + n3) pairs
 * in place of n^2 (Solomon et al. 2015). The lines along the last axis, whose points stand together, are a batch of
 * one run; then the array is turned, so that the last axis is the first. After as many turns as there are axes it is as before.
 */
#include <math.h>
#include <stdlib.h>

#include "apps/transport/grid.h"
#include "base/base.h"

static const char *const lines[] = {
    [Q_LINE_PLAIN] = "x=Vi(1); y=Vj(1); h=Vj(1); s=Pm(1); LogSumExp_j(h-s*SqDist(x,y))",
    [Q_LINE_COST] = "x=Vi(1); y=Vj(1); h=Vj(1); s=Pm(1); C=SqDist(x,y); LogSumExp_j(h-s*C+Log(C))",
    [Q_LINE_PLACE] = "x=Vi(1); y=Vj(1); h=Vj(1); s=Pm(1); LogSumExp_j(h-s*SqDist(x,y)+Log(y))"};

/* A column of numbers on the device. */
static quern_status make_column(quern_array **out, const q_grid *g, int64_t rows,
                                double (*number)(const q_grid *, int, int64_t), int axis)
{
    double *numbers = malloc((size_t)rows * sizeof *numbers);
    if (!numbers) return q_fail_memory((size_t)rows * sizeof *numbers);
    for (int64_t k = 0; k < rows; k++) numbers[k] = number(g, axis, k);
    quern_status status = quern_array_create(out, g->context, g->dtype, rows, 1);
    if (!status) status = quern_array_write(*out, quern_f64(numbers, rows, 1));
    free(numbers);
    return status;
}

/* Places begin at one step, so that they have a logarithm. */
static double place_on_axis(const q_grid *g, int axis, int64_t k)
{
    return (double)(k + 1) * g->spacing[axis];
}

/* Which point of the lines before a turn comes to place k after it. */
static double before_turn(const q_grid *g, int axis, int64_t k)
{
    int64_t length = g->size[axis], count = g->count / length;
    return (double)(k % count * length + k / count);
}

static quern_status check(const quern_grid *grid)
{
    double count = 1;
    if (!grid) return q_fail_null("quern_grid", "grid");
    if (grid->dim < 1 || grid->dim > 3) return q_fail(QUERN_USAGE, "a grid has 1 to 3 axes, not %d", grid->dim);
    for (int d = 0; d < grid->dim; d++) {
        if (grid->size[d] < 1)
            return q_fail(QUERN_SHAPE, "axis %d of the grid has %lld points", d, (long long)grid->size[d]);
        if (grid->spacing[d] < 0 || !isfinite(grid->spacing[d]))
            return q_fail(QUERN_USAGE, "points on axis %d of the grid are %g apart", d, grid->spacing[d]);
        count *= (double)grid->size[d];
    }
    if (count > 16777216) return q_fail(QUERN_LIMIT, "the grid has %.0f points; 2^24 are possible", count);
    return QUERN_OK;
}

static quern_status fill(q_grid *g, const quern_grid *grid)
{
    int64_t most = 1;
    g->dim = grid->dim, g->count = 1;
    for (int d = 0; d < g->dim; d++) {
        g->size[d] = grid->size[d];
        g->count *= grid->size[d];
        if (grid->size[d] > most) most = grid->size[d];
    }
    for (int d = 0; d < g->dim; d++) {
        g->spacing[d] = grid->spacing[d] > 0 ? grid->spacing[d] : 1 / (double)most;
        Q_TRY(make_column(&g->axis[d], g, g->size[d], place_on_axis, d));
        if (g->dim > 1) Q_TRY(make_column(&g->turn[d], g, g->count, before_turn, d));
    }
    for (int k = 0; k < 2; k++) Q_TRY(quern_array_create(&g->work[k], g->context, g->dtype, g->count, 1));
    return quern_compile(&g->turner, g->context, "h=Vj(1); k=Vi(1); Gather_j(h,k)", NULL);
}

quern_status q_grid_create(q_grid **out, quern_context *context, quern_dtype dtype, const quern_grid *grid)
{
    *out = NULL;
    Q_TRY(check(grid));
    q_grid *g = calloc(1, sizeof *g);
    if (!g) return q_fail_memory(sizeof *g);
    g->context = context, g->dtype = dtype;
    quern_status status = fill(g, grid);
    if (status) q_grid_destroy(&g);
    *out = g;
    return status;
}

void q_grid_destroy(q_grid **grid)
{
    q_grid *g = *grid;
    if (!g) return;
    for (int d = 0; d < 3; d++) quern_array_destroy(&g->axis[d]), quern_array_destroy(&g->turn[d]);
    for (int k = 0; k < 2; k++) quern_array_destroy(&g->work[k]);
    for (int k = 0; k < Q_LINE_COUNT; k++) quern_operator_destroy(&g->line[k]);
    quern_operator_destroy(&g->turner);
    free(g);
    *grid = NULL;
}

void q_grid_places(const q_grid *g, double *places)
{
    for (int64_t k = 0; k < g->count; k++) {
        int64_t rest = k;
        for (int d = g->dim - 1; d >= 0; d--) {
            places[k * g->dim + d] = place_on_axis(g, d, rest % g->size[d]);
            rest /= g->size[d];
        }
    }
}

/* Along the last axis of what is now in `from`. */
static quern_status along(q_grid *g, int axis, q_line line, double s, quern_view from, quern_view to)
{
    int64_t length = g->size[axis], count = g->count / length;
    if (!g->line[line]) Q_TRY(quern_compile(&g->line[line], g->context, lines[line], NULL));
    from.rows = to.rows = length;
    return quern_run(g->line[line],
                     QUERN_ARGS({"x", quern_array_view(g->axis[axis])}, {"y", quern_array_view(g->axis[axis])},
                                {"h", quern_in_batch(from, count)}, {"s", quern_number(s)}),
                     quern_in_batch(to, count));
}

quern_status q_grid_sum(q_grid *g, const quern_array *h, double s, int special, q_line line, quern_array *out)
{
    quern_view from = quern_array_view(h), work[] = {quern_array_view(g->work[0]), quern_array_view(g->work[1])};
    for (int d = g->dim - 1; d >= 0; d--) {
        quern_view to = g->dim == 1 ? quern_array_view(out) : work[0], turned = d ? work[1] : quern_array_view(out);
        Q_TRY(along(g, d, d == special ? line : Q_LINE_PLAIN, s, from, to));
        if (g->dim == 1) break;
        Q_TRY(quern_run(g->turner, QUERN_ARGS({"h", to}, {"k", quern_array_view(g->turn[d])}), turned));
        from = turned;
    }
    return QUERN_OK;
}
