/*
 * sinkhorn.c: the cases `sinkhorn10k`, `sinkhorn100k`, `sinkhorn-bunny` and `sinkhorn-scans`: the Sinkhorn divergence of two
 * surfaces, with an interval of 1 % that is certain to hold it. The result is the value, once for each row. It is checked against
 * a run of its own with an interval of 0.2 %, in the same type: no reference in float64 is near that size. `sinkhorn-steps` are
 * iterations alone, and `sinkhorn-passes` the reductions that they contain.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quern/array.h>
#include <quern/transport.h>

#include "cases.h"

static quern_status value_within(double *value, quern_context *context, const bench_problem *problem, double gap)
{
    const quern_transport_options options = {.size = sizeof options, .blur = 0.05, .gap = gap};
    const bench_array *x = bench_array_find(problem, "x"), *y = bench_array_find(problem, "y");
    quern_transport_result *result = NULL;
    const quern_view none = {0};
    const quern_status status = quern_transport(&result, context, quern_f32(x->data, x->rows, 3), none,
                                                quern_f32(y->data, y->rows, 3), none, &options);
    if (!status) *value = quern_transport_report_of(result)->value;
    if (!status && !(quern_transport_report_of(result)->gap <= gap * *value)) *value = -1; /* an error of more than 1 */
    quern_transport_destroy(&result);
    return status;
}

quern_status bench_call_sinkhorn(quern_context *context, const bench_problem *problem, void *result)
{
    double value;
    const quern_status status = value_within(&value, context, problem, 0.01);
    for (int64_t i = 0; i < problem->m && !status; i++) ((float *)result)[i] = (float)value;
    return status;
}

static quern_status find(double *value, quern_context *context, const bench_problem *problem)
{
    return value_within(value, context, problem, 0.002);
}

void bench_row_sinkhorn(const bench_problem *problem, int64_t i, double *result)
{
    (void)i;
    *result = bench_found(problem, 0, 1, find);
}

enum { STEPS = 20, PASSES = 2 * STEPS + 1 }; /* the last step is one more, and plain */

/* From potentials of 0, at one temperature, in the type of x and y. */
static quern_status value_after_steps(double *value, quern_context *context, quern_view x, quern_view y)
{
    double *zeros = calloc((size_t)(x.rows > y.rows ? x.rows : y.rows), sizeof *zeros);
    const quern_transport_options options = {.size = sizeof options,
                                             .blur = 0.05,
                                             .debias = QUERN_OFF,
                                             .certify = QUERN_OFF,
                                             .truncation = QUERN_OFF,
                                             .tolerance = 1e-12,
                                             .iterations = STEPS,
                                             .start_x = quern_f64(zeros, x.rows, 1),
                                             .start_y = quern_f64(zeros, y.rows, 1)};
    quern_transport_result *result = NULL;
    const quern_view none = {0};
    if (!zeros) return QUERN_MEMORY;
    const quern_status status = quern_transport(&result, context, x, none, y, none, &options);
    if (!status) *value = quern_transport_report_of(result)->value;
    if (!status && quern_transport_report_of(result)->iterations != STEPS) *value = NAN;
    quern_transport_destroy(&result);
    free(zeros);
    return status;
}

quern_status bench_call_steps(quern_context *context, const bench_problem *problem, void *result)
{
    const bench_array *x = bench_array_find(problem, "x"), *y = bench_array_find(problem, "y");
    double value;
    const quern_status status =
        value_after_steps(&value, context, quern_f32(x->data, x->rows, 3), quern_f32(y->data, y->rows, 3));
    for (int64_t i = 0; i < problem->m && !status; i++) ((float *)result)[i] = (float)value;
    return status;
}

/* The same in float64. */
static quern_status find_after_steps(double *value, quern_context *context, const bench_problem *problem)
{
    const bench_array *x = bench_array_find(problem, "x"), *y = bench_array_find(problem, "y");
    return value_after_steps(value, context, quern_f64(x->exact, x->rows, 3), quern_f64(y->exact, y->rows, 3));
}

void bench_row_steps(const bench_problem *problem, int64_t i, double *result)
{
    (void)i;
    *result = bench_found(problem, 0, 1, find_after_steps);
}

quern_status bench_call_passes(quern_context *context, const bench_problem *problem, void *result)
{
    static quern_operator *op;
    const bench_array *x = bench_array_find(problem, "x"), *y = bench_array_find(problem, "y");
    const quern_compile_options options = {.size = sizeof options, .sum = QUERN_SUM_BLOCKED};
    quern_array *arrays[4] = {NULL};
    quern_status status = QUERN_OK;
    if (!op)
        status =
            quern_compile(&op, context, "x=Vi(3); y=Vj(3); b=Vj(1); s=Pm(1); LogSumExp_j(b-s*SqDist(x,y))", &options);
    if (!status) status = quern_array_from(&arrays[0], context, quern_f32(x->data, x->rows, 3));
    if (!status) status = quern_array_from(&arrays[1], context, quern_f32(y->data, y->rows, 3));
    if (!status)
        status = quern_array_from(&arrays[2], context, quern_f32(bench_array_find(problem, "b")->data, y->rows, 1));
    if (!status) status = quern_array_create(&arrays[3], context, QUERN_F32, x->rows, 1);
    for (int k = 0; k < PASSES && !status; k++)
        status = quern_run(op,
                           QUERN_ARGS({"x", quern_array_view(arrays[0])}, {"y", quern_array_view(arrays[1])},
                                      {"b", quern_array_view(arrays[2])}, {"s", quern_number(1)}),
                           quern_array_view(arrays[3]));
    if (!status) status = quern_array_read(arrays[3], quern_f32(result, x->rows, 1));
    for (int k = 0; k < 4; k++) quern_array_destroy(&arrays[k]);
    return status;
}

#define SCANS "/usr/share/doc/opencv-doc/examples/surface_matching/data"

/* The vertices of a PLY file in text, three numbers each; for free(). Null where there is none. */
static double *read_scan(const char *path, int64_t *count)
{
    FILE *file = fopen(path, "r");
    char line[256];
    double *points = NULL;
    long long rows = 0;
    int64_t read = 0;
    while (file && fgets(line, sizeof line, file) && strncmp(line, "end_header", 10)) {
        if (strncmp(line, "element vertex ", 15)) continue;
        rows = atoll(line + 15);
    }
    if (file && rows > 0 && rows < 10000000) points = malloc((size_t)rows * 3 * sizeof *points);
    while (points && read < rows && fgets(line, sizeof line, file) &&
           sscanf(line, "%lf %lf %lf", &points[3 * read], &points[3 * read + 1], &points[3 * read + 2]) == 3)
        read++;
    if (file) fclose(file);
    *count = read;
    return points;
}

void bench_fill_scans(double *values, int64_t count, uint64_t seed)
{
    int64_t rows[2];
    double *scans[] = {read_scan(SCANS "/rs1_normals.ply", &rows[0]), read_scan(SCANS "/rs22_proc2.ply", &rows[1])};
    const int which = seed > 1;
    double low[3] = {INFINITY, INFINITY, INFINITY}, high[3] = {-INFINITY, -INFINITY, -INFINITY}, side = 0;
    const bool there = scans[0] && scans[1] && rows[0] && rows[1];
    if (!there) fprintf(stderr, "quern-bench: no scans in " SCANS "; install opencv-doc\n");
    for (int64_t k = 0; there && k < 3 * rows[0]; k++)
        low[k % 3] = fmin(low[k % 3], scans[0][k]), high[k % 3] = fmax(high[k % 3], scans[0][k]);
    for (int d = 0; d < 3; d++) side = fmax(side, high[d] - low[d]);
    for (int64_t k = 0; k < count; k++) {
        const int64_t from = there ? k / 3 * rows[which] / (count / 3) * 3 + k % 3 : 0;
        values[k] = there ? 0.5 + 0.9 * (scans[which][from] - (low[k % 3] + high[k % 3]) / 2) / side : NAN;
    }
    free(scans[0]), free(scans[1]);
}
