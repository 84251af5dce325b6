/*
 * neighbors.c: the cases `knn3-100k` and `knn3-bunny`: an index of points is made and searched in each call, so that what the
 * search learns of its cost, and the order of the points, are found anew.
 */
#include <math.h>
#include <quern/neighbors.h>
#include <stdio.h>
#include <stdlib.h>

#include "cases.h"

#define BUNNY "/usr/share/glmark2/models/bunny.obj"

quern_status bench_call_neighbors(quern_context *context, const bench_problem *problem, void *result)
{
    const bench_array *x = bench_array_find(problem, "x"), *y = bench_array_find(problem, "y");
    const quern_view none = {0};
    quern_neighbors *index = NULL;
    quern_status status = quern_neighbors_create(&index, context, quern_f32(y->data, y->rows, y->what.dim), NULL);
    if (!status)
        status = quern_neighbors_find(index, quern_f32(x->data, x->rows, x->what.dim),
                                      quern_i64(result, problem->m, problem->columns), none, NULL);
    quern_neighbors_destroy(&index);
    return status;
}

// ---- a surface ----

typedef struct mesh {
    double (*corners)[3];
    int (*faces)[3];
    double *areas; /* of all faces up to this one */
    size_t corner_count, face_count;
} mesh;

/* A larger block for one more element, when the count is a power of 2. */
static void *grow(void *block, size_t count, size_t size)
{
    if (count & (count - 1)) return block;
    void *larger = realloc(block, (count ? 2 * count : 1) * size);
    if (!larger) free(block);
    return larger;
}

static double area_of(const mesh *m, const int face[3])
{
    double u[3], v[3];
    for (int d = 0; d < 3; d++) {
        u[d] = m->corners[face[1]][d] - m->corners[face[0]][d];
        v[d] = m->corners[face[2]][d] - m->corners[face[0]][d];
    }
    const double n[] = {u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]};
    return sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]) / 2;
}

/* Lines of a Wavefront file: `v x y z`, and `f a b c` with anything after each number. */
static void read_line(mesh *m, const char *line)
{
    double p[3];
    int f[3];
    if (sscanf(line, "v %lf %lf %lf", &p[0], &p[1], &p[2]) == 3) {
        m->corners = grow(m->corners, m->corner_count, sizeof *m->corners);
        for (int d = 0; d < 3; d++) m->corners[m->corner_count][d] = p[d];
        m->corner_count++;
    }
    if (sscanf(line, "f %d%*[^ ] %d%*[^ ] %d", &f[0], &f[1], &f[2]) == 3 ||
        sscanf(line, "f %d %d %d", &f[0], &f[1], &f[2]) == 3) {
        m->faces = grow(m->faces, m->face_count, sizeof *m->faces);
        m->areas = grow(m->areas, m->face_count, sizeof *m->areas);
        for (int d = 0; d < 3; d++) m->faces[m->face_count][d] = f[d] - 1;
        m->areas[m->face_count] =
            area_of(m, m->faces[m->face_count]) + (m->face_count ? m->areas[m->face_count - 1] : 0);
        m->face_count++;
    }
}

/* The face in which this share of the whole area ends. */
static size_t face_at(const mesh *m, double share)
{
    size_t low = 0, high = m->face_count - 1;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (m->areas[middle] < share * m->areas[m->face_count - 1]) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* Points that are uniform on the faces: three uniform numbers each, which they replace. */
static void place(const mesh *m, double *values, int64_t count)
{
    for (int64_t k = 0; k + 2 < count; k += 3) {
        const int *face = m->faces[face_at(m, values[k])];
        const double root = sqrt(values[k + 1]), u = 1 - root, v = root * values[k + 2];
        for (int d = 0; d < 3; d++)
            values[k + d] =
                u * m->corners[face[0]][d] + v * m->corners[face[1]][d] + (1 - u - v) * m->corners[face[2]][d];
    }
}

void bench_fill_bunny(double *values, int64_t count, uint64_t seed)
{
    FILE *file = fopen(BUNNY, "r");
    char line[256];
    mesh m = {0};
    bench_fill_uniform(values, count, seed);
    while (file && fgets(line, sizeof line, file)) read_line(&m, line);
    if (file) fclose(file);
    if (m.face_count) place(&m, values, count);
    else {
        fprintf(stderr, "quern-bench: no bunny in " BUNNY "; install glmark2-data\n");
        for (int64_t k = 0; k < count; k++) values[k] = NAN;
    }
    free(m.corners);
    free(m.faces);
    free(m.areas);
}
