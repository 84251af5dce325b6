/*
 * surface.c: see surface.h.
 */
#include "surface.h"

#include <math.h>
#include <quern/array.h>
#include <quern/cluster.h>
#include <quern/space.h>
#include <stdlib.h>

#include "curvature.h"

enum { STARTS = 32, STEPS = 8 };

static const char formula[] = "x=Vi(3); y=Vj(3); r=Vj(1); f=-0.3*LogSumExp_j((r-Norm2(x-y))/0.3); f, Grad(f,x,1)";

typedef struct molecules {
    quern_view file, places, radii;
    const int64_t *offsets;
} molecules;

quern_status surface_create(surface *out, quern_context *ctx, int64_t atoms)
{
    *out = (surface){.most = atoms * STARTS};
    out->points = calloc((size_t)out->most, sizeof *out->points);
    out->normals = calloc((size_t)out->most, sizeof *out->normals);
    out->depth = calloc((size_t)out->most, sizeof *out->depth);
    if (!out->points || !out->normals || !out->depth) return QUERN_MEMORY;
    return quern_compile(&out->soft_distance, ctx, formula, NULL);
}

void surface_destroy(surface *s)
{
    quern_operator_destroy(&s->soft_distance);
    free(s->points), free(s->normals), free(s->depth);
}

/* Each point is as far as it is from the atoms of its own molecule: a ragged batch. */
static quern_status find_distances(surface *s, const molecules *m)
{
    const int64_t count = s->offsets[s->members];
    quern_run_options options = QUERN_DEFAULTS(quern_run_options);
    options.members = (size_t)s->members;
    options.offsets_i = s->offsets, options.offsets_j = m->offsets;
    return quern_run_with(s->soft_distance,
                          QUERN_ARGS({"x", quern_f32(s->points[0], count, 3)}, {"y", m->places}, {"r", m->radii}),
                          QUERN_OUTS(quern_f32(s->depth, count, 1), quern_f32(s->normals[0], count, 3)), &options);
}

/* Newton's steps to the level; the last distances are those before the last step. */
static quern_status settle(surface *s, const molecules *m)
{
    quern_status bad = QUERN_OK;
    for (int step = 0; step < STEPS && !bad; step++) {
        bad = find_distances(s, m);
        for (int64_t k = 0; k < s->offsets[s->members] && !bad; k++) {
            const float *n = s->normals[k];
            const double way = (1.4 - (double)s->depth[k]) / fmax(curvature_dot(n, n), 0.1);
            for (int d = 0; d < 3; d++) s->points[k][d] += (float)fmin(fmax(way, -1), 1) * n[d];
        }
    }
    return bad;
}

/* The mean of the points in each cube, of those from `from` to `to` - 1 that have come to rest; they move to *end. */
static quern_status thin_out(surface *s, int64_t from, int64_t to, int64_t *end)
{
    quern_clusters *cubes = NULL;
    int64_t kept = from;
    for (int64_t k = from; k < to; k++)
        if (fabsf(s->depth[k] - 1.4f) < 0.05f) {
            for (int d = 0; d < 3; d++) s->points[kept][d] = s->points[k][d];
            kept++;
        }
    const quern_view all = quern_f32(s->points[from], kept - from, 3);
    quern_status bad = quern_clusters_grid(&cubes, all, 1);
    const int64_t count = bad ? 0 : cubes->count;
    if (!bad) bad = quern_clusters_centroids(cubes, quern_f32(s->normals[from], count, 3), all, (quern_view){0});
    for (int64_t k = 0; k < count && !bad; k++, ++*end)
        for (int d = 0; d < 3; d++) s->points[*end][d] = s->normals[from + k][d];
    quern_clusters_destroy(&cubes);
    return bad;
}

/* Points around each atom, on a spiral from pole to pole. */
static void begin(surface *s, const molecules *m)
{
    for (int b = 0; b <= s->members; b++) s->offsets[b] = m->offsets[b] * STARTS;
    for (int64_t k = 0; k < s->offsets[s->members]; k++) {
        const float *atom =
            (const float *)m->file.data + k / STARTS * (m->file.stride ? m->file.stride : m->file.columns);
        const double z = (2 * (double)(k % STARTS) + 1) / STARTS - 1, turn = 2.39996 * (double)(k % STARTS);
        const double way[3] = {sqrt(1 - z * z) * cos(turn), sqrt(1 - z * z) * sin(turn), z};
        for (int d = 0; d < 3; d++) s->points[k][d] = atom[d] + (atom[4] + 1.4f) * (float)way[d];
    }
}

quern_status surface_find(surface *s, quern_view atoms, const int64_t *atom_offsets, int members)
{
    const molecules m = {atoms, quern_view_columns(atoms, 0, 3), quern_view_columns(atoms, 4, 1), atom_offsets};
    int64_t end = 0;
    s->members = members;
    begin(s, &m);
    quern_status bad = settle(s, &m);
    for (int b = 0; b < members && !bad; b++) {
        const int64_t from = s->offsets[b];
        s->offsets[b] = end;
        bad = thin_out(s, from, s->offsets[b + 1], &end);
    }
    s->offsets[members] = end;
    if (!bad) bad = settle(s, &m);
    if (!bad) bad = find_distances(s, &m);
    for (int64_t k = 0; k < end && !bad; k++) curvature_normalise(s->normals[k]);
    return bad;
}

typedef struct depth_of {
    float y;
    int64_t point;
} depth_of;

static int farther(const void *a, const void *b)
{
    const float p = ((const depth_of *)a)->y, q = ((const depth_of *)b)->y;
    return (p < q) - (p > q);
}

void surface_draw(const surface *s, int member, canvas *c, double x, double y, double pixels, const double *values)
{
    const int64_t from = s->offsets[member], count = s->offsets[member + 1] - from;
    depth_of *order = malloc((size_t)count * sizeof *order + 1);
    double middle[2] = {0, 0};
    for (int64_t k = 0; k < count && order; k++) {
        order[k] = (depth_of){s->points[from + k][1], from + k};
        for (int d = 0; d < 2; d++) middle[d] += (double)s->points[from + k][2 * d] / (double)count;
    }
    if (order) qsort(order, (size_t)count, sizeof *order, farther);
    for (int64_t n = 0; n < count && order; n++) {
        const int64_t k = order[n].point;
        const double facing = -(double)s->normals[k][1];
        if (facing < -0.3) continue; /* on the far side */
        const double t = fmin(fmax(values[k], -1), 1), light = 0.45 + 0.55 * fmax(facing, 0);
        const canvas_colour colour = {(unsigned char)(light * (t > 0 ? 250 : 250 + 190 * t)),
                                      (unsigned char)(light * (250 - 170 * fabs(t))),
                                      (unsigned char)(light * (t < 0 ? 250 : 250 - 190 * t))};
        canvas_disc(c, x + pixels * ((double)s->points[k][0] - middle[0]),
                    y - pixels * ((double)s->points[k][2] - middle[1]), 0.95 * pixels, colour);
    }
    free(order);
}
