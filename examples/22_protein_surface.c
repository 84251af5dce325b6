/*
 * 22_protein_surface: a protein's surface, and how it bends, at five scales (dMaSIF's: Sverrisson, Feydy, Correia, Bronstein, 2021).
 *
 *     22_protein_surface [surface.png]
 *
 * 1. The distance from the atoms is soft, a LogSumExp; points move along its gradient to where it is 1.4 angstrom, a drop of
 *    water's radius, and their normals are the gradient's direction there. One point is kept in each cube of 1 angstrom.
 * 2. At each point, positions of its neighbours along the surface explain how their normals turn: a least-squares problem of two
 *    sums (curvature.h), whose solution has the mean and Gauss's curvature. First checked on a sphere and a torus.
 */
#include <math.h>
#include <quern/array.h>
#include <quern/cluster.h>
#include <quern/npy.h>
#include <stdio.h>
#include <stdlib.h>

#include "canvas.h"
#include "curvature.h"
#include "data_file.h"

enum { STARTS = 32, STEPS = 8, MOST = 60000, SCALES = 5, SIDE = 320 };

static float points[MOST][3], normals[MOST][3], depth[MOST];
static double mean[MOST], gauss[MOST];
static quern_operator *soft_distance;
static const char formula[] = "x=Vi(3); y=Vj(3); r=Vj(1); f=-0.3*LogSumExp_j((r-Norm2(x-y))/0.3); f, Grad(f,x,1)";

static quern_status find_distances(const quern_view *atoms, int64_t count)
{
    return quern_run_all(soft_distance,
                         QUERN_ARGS({"x", quern_f32(points[0], count, 3)}, {"y", atoms[0]}, {"r", atoms[1]}),
                         QUERN_OUTS(quern_f32(depth, count, 1), quern_f32(normals[0], count, 3)));
}

/* Newton's steps to the level; the last distances are those before the last step. */
static quern_status settle(const quern_view *atoms, int64_t count)
{
    quern_status bad = QUERN_OK;
    for (int step = 0; step < STEPS && !bad; step++) {
        bad = find_distances(atoms, count);
        for (int64_t k = 0; k < count && !bad; k++) {
            const float *n = normals[k];
            const double way = (1.4 - (double)depth[k]) / fmax(curvature_dot(n, n), 0.1);
            for (int d = 0; d < 3; d++) points[k][d] += (float)fmin(fmax(way, -1), 1) * n[d];
        }
    }
    return bad;
}

/* The mean of the points in each cube, if these have come to rest. */
static quern_status thin_out(int64_t *count)
{
    quern_clusters *cubes = NULL;
    int64_t kept = 0;
    for (int64_t k = 0; k < *count; k++)
        if (fabsf(depth[k] - 1.4f) < 0.05f) {
            for (int d = 0; d < 3; d++) points[kept][d] = points[k][d];
            kept++;
        }
    quern_status bad = quern_clusters_grid(&cubes, quern_f32(points[0], kept, 3), 1);
    const quern_view all = quern_f32(points[0], kept, 3), middles = quern_f32(normals[0], bad ? 0 : cubes->count, 3);
    if (!bad) bad = quern_clusters_centroids(cubes, middles, all, (quern_view){0});
    if (!bad) *count = cubes->count;
    for (int64_t k = 0; k < *count && !bad; k++)
        for (int d = 0; d < 3; d++) points[k][d] = normals[k][d];
    quern_clusters_destroy(&cubes);
    return bad;
}

/* Points around each atom, on a spiral from pole to pole. */
static quern_status make_surface(const float *protein, int64_t atoms, int64_t *count)
{
    const quern_view file = quern_f32(protein, atoms, 5); /* x, y, z, charge, radius */
    const quern_view views[] = {quern_view_columns(file, 0, 3), quern_view_columns(file, 4, 1)};
    *count = atoms * STARTS;
    for (int64_t k = 0; k < *count; k++) {
        const float *atom = protein + k / STARTS * 5;
        const double z = (2 * (double)(k % STARTS) + 1) / STARTS - 1, turn = 2.39996 * (double)(k % STARTS);
        const double way[3] = {sqrt(1 - z * z) * cos(turn), sqrt(1 - z * z) * sin(turn), z};
        for (int d = 0; d < 3; d++) points[k][d] = atom[d] + (atom[4] + 1.4f) * (float)way[d];
    }
    quern_status bad = settle(views, *count);
    if (!bad) bad = thin_out(count);
    if (!bad) bad = settle(views, *count);
    if (!bad) bad = find_distances(views, *count);
    for (int64_t k = 0; k < *count && !bad; k++) curvature_normalise(normals[k]);
    return bad;
}

static int farther(const void *a, const void *b)
{
    const float p = points[*(const int64_t *)a][1], q = points[*(const int64_t *)b][1];
    return (p < q) - (p > q);
}

/* Red where the surface bulges, blue where it is hollow; darker where it turns away. */
static void draw(canvas *c, int panel, int64_t count, double scale)
{
    int64_t *order = malloc((size_t)count * sizeof *order);
    for (int64_t k = 0; k < count && order; k++) order[k] = k;
    if (order) qsort(order, (size_t)count, sizeof *order, farther);
    for (int64_t n = 0; n < count && order; n++) {
        const int64_t k = order[n];
        if (normals[k][1] > 0.3f) continue; /* on the far side */
        const double t = tanh(2 * mean[k] * sqrt(scale)), light = 0.45 + 0.55 * fmax(-(double)normals[k][1], 0);
        const canvas_colour colour = {(unsigned char)(light * (t > 0 ? 250 : 250 + 190 * t)),
                                      (unsigned char)(light * (250 - 170 * fabs(t))),
                                      (unsigned char)(light * (t < 0 ? 250 : 250 - 190 * t))};
        canvas_disc(c, panel * SIDE + SIDE / 2.0 + 8 * ((double)points[k][0] - 7),
                    SIDE / 2.0 - 8 * ((double)points[k][2] - 13), 6.5, colour);
    }
    free(order);
}

int main(int argc, char **argv)
{
    static const double scales[SCALES] = {1, 2, 3, 5, 10};
    quern_context *ctx = NULL;
    curvature bends = {0};
    quern_view protein = {0};
    char path[PATH_MAX];
    canvas c = {0};
    double sphere = 1, torus = 1;
    int64_t count = 0;
    if (!data_file(path, "protein.npy")) return 1;
    quern_status bad = quern_npy_read(&protein, path);
    if (!bad) bad = quern_context_create(&ctx, NULL);
    if (!bad) bad = quern_compile(&soft_distance, ctx, formula, NULL);
    if (!bad) bad = curvature_create(&bends, ctx, MOST);
    if (!bad) bad = curvature_check(&bends, &sphere, &torus);
    if (!bad) printf("sphere: %s\n", sphere < 2e-3 ? "right to 0.2 %" : "wrong"); // prints: sphere: right to 0.2 %
    if (!bad) printf("torus: %s\n", torus < 1e-2 ? "right to 1 %" : "wrong");     // prints: torus: right to 1 %
    if (!bad) bad = make_surface(protein.data, protein.rows, &count);
    int failed = !bad && canvas_create(&c, SCALES * SIDE, SIDE);
    for (int k = 0; k < SCALES && !bad && !failed; k++) {
        bad = curvature_smooth(&bends, points, normals, count, scales[k]);
        if (!bad) bad = curvature_find(&bends, points, normals, count, scales[k], mean, gauss);
        draw(&c, k, count, scales[k]);
    }
    if (bad) fprintf(stderr, "%s\n", quern_last_error_text());
    else printf("%lld atoms, %lld points of their surface\n", (long long)protein.rows, (long long)count);
    if (!bad && !failed && argc > 1) failed = canvas_write(&c, argv[1]);
    canvas_free(&c);
    curvature_destroy(&bends);
    quern_operator_destroy(&soft_distance);
    quern_context_destroy(&ctx);
    quern_free(protein.data);
    return bad || failed;
}
