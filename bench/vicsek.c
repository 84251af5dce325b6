/*
 * vicsek.c: the case `vicsek1m`: a step of a million swimmers on the unit torus that turn to where those within sight swim
 * (examples/17_vicsek.c), from places, directions and noise in no order to new places and directions in that order: cells,
 * ranges, sorting and the run are in the time. Its peer is cells.c.
 */
#include <math.h>
#include <quern/cluster.h>
#include <stdlib.h>

#include "cases.h"
#include "cells.h"

/* Sight; the rate of turning and the speed times the time step. 314 of a million are in sight. */
static const double radius = 0.01, turning = 0.1, way = 0.001;

static const char formula[] = "x=Vi(2); u=Vi(2); noise=Vi(1); y=Vj(2); v=Vj(2); r=Pm(1); a=Pm(1); s=Pm(1);"
                              "d=Abs(x-y); e=IfElse(0.5-d,d,1-d); m=Normalize(Sum_j(Where(SqNorm2(e)<=r*r,v,0)));"
                              "t=a*(Elem(u,0)*Elem(m,1)-Elem(u,1)*Elem(m,0))+noise;"
                              "w=Normalize(Cos(t)*u+Sin(t)*Concat(-Elem(u,1),Elem(u,0)));"
                              "Concat(Mod(x+s*w,1,0),w)";

/* Places, then directions, then noise. */
void bench_fill_swimmers(double *values, int64_t count, uint64_t seed)
{
    bench_fill_uniform(values, count, seed);
    for (int64_t k = 0; k < count && seed == 3; k++) values[k] = 0.2 * (values[k] - 0.5);
    for (int64_t k = 0; k + 1 < count && seed == 2; k += 2) {
        const double angle = 6.283185307179586 * values[k];
        values[k] = cos(angle), values[k + 1] = sin(angle);
    }
}

/* The swimmers in the order of their cells, and which cells are near each other. */
typedef struct sorted {
    quern_clusters *cells;
    quern_ranges *near;
    float *memory;
    quern_view x, u, noise, out;
} sorted;

static quern_view view_of(const bench_problem *problem, const char *name)
{
    const bench_array *array = bench_array_find(problem, name);
    return quern_f32(array->data, array->rows, array->what.dim);
}

static quern_status sort(sorted *out, const bench_problem *problem)
{
    const int64_t count = problem->m;
    const quern_view x = view_of(problem, "x");
    float *at = out->memory = malloc((size_t)count * 9 * sizeof *at);
    quern_status status = at ? quern_clusters_grid(&out->cells, x, radius) : QUERN_MEMORY;
    out->x = quern_f32(at, count, 2), out->u = quern_f32(at + 2 * count, count, 2);
    out->noise = quern_f32(at + 4 * count, count, 1), out->out = quern_f32(at + 5 * count, count, 4);
    if (!status) status = quern_ranges_periodic(&out->near, out->cells, x, out->cells, x, radius, (double[]){1, 1});
    if (!status) status = quern_clusters_sort(out->cells, out->x, x);
    if (!status) status = quern_clusters_sort(out->cells, out->u, view_of(problem, "u"));
    if (!status) status = quern_clusters_sort(out->cells, out->noise, view_of(problem, "noise"));
    return status;
}

quern_status bench_call_vicsek(quern_context *context, const bench_problem *problem, void *result)
{
    static quern_operator *op; /* of the first call's context */
    sorted s = {0};
    quern_run_options options = QUERN_DEFAULTS(quern_run_options);
    quern_status status = op ? QUERN_OK : quern_compile(&op, context, formula, NULL);
    if (!status) status = sort(&s, problem);
    options.ranges = s.near;
    if (!status)
        status = quern_run_with(op,
                                QUERN_ARGS({"x", s.x}, {"y", s.x}, {"u", s.u}, {"v", s.u}, {"noise", s.noise},
                                           {"r", quern_number(radius)}, {"a", quern_number(turning)},
                                           {"s", quern_number(way)}),
                                QUERN_OUTS(s.out), &options);
    if (!status) status = quern_clusters_unsort(s.cells, quern_f32(result, problem->m, 4), s.out);
    quern_ranges_destroy(&s.near);
    quern_clusters_destroy(&s.cells);
    free(s.memory);
    return status;
}

bool bench_run_cells(const bench_problem *problem, void *result)
{
    return cells_step(result, bench_array_find(problem, "x")->data, bench_array_find(problem, "u")->data,
                      bench_array_find(problem, "noise")->data, problem->m, (float)radius, (float)turning, (float)way);
}

static double around(double difference)
{
    return difference - round(difference);
}

void bench_row_vicsek(const bench_problem *problem, int64_t i, double *result)
{
    const double *x = bench_array_find(problem, "x")->exact, *u = bench_array_find(problem, "u")->exact;
    const double *noise = bench_array_find(problem, "noise")->exact;
    double sum[2] = {0, 0};
    for (int64_t j = 0; j < problem->m; j++)
        if (hypot(around(x[2 * i] - x[2 * j]), around(x[2 * i + 1] - x[2 * j + 1])) <= radius)
            sum[0] += u[2 * j], sum[1] += u[2 * j + 1];
    const double norm = hypot(sum[0], sum[1]), a = u[2 * i], b = u[2 * i + 1];
    const double turn = noise[i] + turning * (a * sum[1] - b * sum[0]) / norm;
    result[2] = cos(turn) * a - sin(turn) * b, result[3] = sin(turn) * a + cos(turn) * b;
    for (int d = 0; d < 2; d++) {
        const double to = x[2 * i + d] + way * result[2 + d];
        result[d] = to - floor(to);
    }
}
