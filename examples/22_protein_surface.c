/*
 * 22_protein_surface: the surface of a protein and how it bends, at five scales (the geometry of dMaSIF: Sverrisson, Feydy,
 * Correia and Bronstein, 2021).
 *
 *     22_protein_surface [surface.png]
 *
 * 1. The distance from the atoms is soft, a LogSumExp; points move along its gradient to where it is 1.4 angstrom, a drop of
 *    water's radius, and their normals are the gradient's direction there. One point is kept in each cube of 1 angstrom.
 * 2. At each point, positions of its neighbours along the surface explain how their normals turn: a least-squares problem of two
 *    sums of 3 x 3 numbers, whose solution is the shape operator. Its trace is the mean curvature (the sum of both), its
 *    determinant Gauss's. Neighbours count by their distance along the surface, roughly: that in space, the longer the more
 *    normals differ. First checked on a sphere and a torus.
 */
#include <math.h>
#include <quern/cluster.h>
#include <quern/npy.h>
#include <stdio.h>
#include <stdlib.h>

#include "canvas.h"
#include "data_file.h"

enum { STARTS = 32, STEPS = 8, MOST = 60000, SCALES = 5, SIDE = 320 };

static float points[MOST][3], normals[MOST][3], depth[MOST], bent[MOST][9], turned[MOST][9];
static double mean[MOST], gauss[MOST];
static quern_operator *soft_distance, *smoothing, *shape;

static const char *const formulas[] = {
    "x=Vi(3); y=Vj(3); r=Vj(1); f=-0.3*LogSumExp_j((r-Norm2(x-y))/0.3); f, Grad(f,x,1)",
    "x=Vi(3); y=Vj(3); m=Vj(3); s=Pm(1); Sum_j(Exp(-0.5*SqDist(x,y)/Square(s))*m)",
    "x=Vi(3); n=Vi(3); y=Vj(3); m=Vj(3); s=Pm(1); d=Norm2(x-y)*(2-Scalprod(n,m)); w=Exp(-0.5*Square(d/s));"
    "Sum_j(w*TensorProd(y-x,y-x)), Sum_j(w*TensorProd(y-x,m-n))"};

static double dot(const float *a, const float *b)
{
    return (double)a[0] * (double)b[0] + (double)a[1] * (double)b[1] + (double)a[2] * (double)b[2];
}

static void normalise(float *v)
{
    const float length = (float)sqrt(dot(v, v));
    for (int d = 0; d < 3; d++) v[d] /= length;
}

/* ---- the surface ------------------------------------------------------------------------------------------------ */

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
            const double square = fmax(dot(normals[k], normals[k]), 0.1), way = (1.4 - (double)depth[k]) / square;
            for (int d = 0; d < 3; d++) points[k][d] += (float)fmin(fmax(way, -1), 1) * normals[k][d];
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
    if (!bad)
        bad = quern_clusters_centroids(cubes, quern_f32(normals[0], cubes->count, 3), quern_f32(points[0], kept, 3),
                                       (quern_view){0});
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
    const quern_view views[] = {{file.data, atoms, 3, QUERN_F32, 0, 5, NULL, 0, {0}},
                                {(float *)file.data + 4, atoms, 1, QUERN_F32, 0, 5, NULL, 0, {0}}};
    *count = atoms * STARTS;
    for (int64_t k = 0; k < *count; k++) {
        const float *atom = protein + k / STARTS * 5;
        const double z = (2 * (double)(k % STARTS) + 1) / STARTS - 1, turn = 2.39996 * (double)(k % STARTS),
                     flat = sqrt(1 - z * z);
        const double way[3] = {flat * cos(turn), flat * sin(turn), z};
        for (int d = 0; d < 3; d++) points[k][d] = atom[d] + (atom[4] + 1.4f) * (float)way[d];
    }
    quern_status bad = settle(views, *count);
    if (!bad) bad = thin_out(count);
    if (!bad) bad = settle(views, *count);
    if (!bad) bad = find_distances(views, *count);
    for (int64_t k = 0; k < *count && !bad; k++) normalise(normals[k]);
    return bad;
}

/* ---- curvature -------------------------------------------------------------------------------------------------- */

/* t^T m u for a 3 x 3 matrix. */
static double between(const float *t, const float *m, const float *u)
{
    double sum = 0;
    for (int a = 0; a < 3; a++) sum += (double)t[a] * dot(m + 3 * a, u);
    return sum;
}

/* The shape operator, in a basis of the tangent plane: what best takes neighbours' positions to turns of their normals. */
static void bend(int64_t k)
{
    const float *n = normals[k];
    float t[3] = {0, 0, 0}, u[3];
    t[fabsf(n[0]) < 0.6f ? 0 : 1] = 1;
    const float along = (float)dot(t, n);
    for (int d = 0; d < 3; d++) t[d] -= along * n[d];
    normalise(t);
    for (int d = 0; d < 3; d++) u[d] = n[(d + 1) % 3] * t[(d + 2) % 3] - n[(d + 2) % 3] * t[(d + 1) % 3];
    const double a = between(t, bent[k], t), b = between(t, bent[k], u), c = between(u, bent[k], u);
    const double tt = between(t, turned[k], t), tu = between(t, turned[k], u), ut = between(u, turned[k], t),
                 uu = between(u, turned[k], u);
    const double det = fmax(a * c - b * b, 1e-12);
    mean[k] = (c * tt - b * ut + a * uu - b * tu) / det;
    gauss[k] = (tt * uu - tu * ut) / det;
}

static quern_status find_curvatures(int64_t count, double scale, bool smooth)
{
    const quern_view x = quern_f32(points[0], count, 3), n = quern_f32(normals[0], count, 3);
    quern_status bad = QUERN_OK;
    if (smooth) bad = quern_run(smoothing, QUERN_ARGS({"x", x}, {"y", x}, {"m", n}, {"s", quern_number(scale)}), n);
    for (int64_t k = 0; k < count && smooth; k++) normalise(normals[k]);
    if (!bad)
        bad = quern_run_all(shape, QUERN_ARGS({"x", x}, {"n", n}, {"y", x}, {"m", n}, {"s", quern_number(scale)}),
                            QUERN_OUTS(quern_f32(bent[0], count, 9), quern_f32(turned[0], count, 9)));
    for (int64_t k = 0; k < count && !bad; k++) bend(k);
    return bad;
}

/* A sphere of radius 10, whose curvatures are 2/10 and 1/100; a torus of radii 3 and 1, of known ones, too. */
static quern_status check(void)
{
    enum { SPHERE = 2000, AROUND = 200, ACROSS = 60 };
    double off = 0, off_gauss = 0;
    for (int k = 0; k < SPHERE; k++) {
        const double z = (2 * k + 1.0) / SPHERE - 1, turn = 2.39996 * k, flat = sqrt(1 - z * z);
        const double way[3] = {flat * cos(turn), flat * sin(turn), z};
        for (int d = 0; d < 3; d++) normals[k][d] = (float)way[d], points[k][d] = (float)(10 * way[d]);
    }
    quern_status bad = find_curvatures(SPHERE, 1, false);
    for (int k = 0; k < SPHERE; k++)
        off = fmax(off, fabs(mean[k] - 0.2)), off_gauss = fmax(off_gauss, fabs(gauss[k] - 0.01));
    if (!bad)
        printf("sphere: %s\n",
               off < 2e-4 && off_gauss < 2e-5 ? "right to 0.2 %" : "wrong"); // prints: sphere: right to 0.2 %
    off = 0;
    for (int k = 0; k < AROUND * ACROSS; k++) {
        const double u = 2 * acos(-1.0) * (k % AROUND) / AROUND, v = 2 * acos(-1.0) * (k / AROUND) / ACROSS;
        const double way[3] = {cos(v) * cos(u), cos(v) * sin(u), sin(v)}, middle[3] = {3 * cos(u), 3 * sin(u), 0};
        for (int d = 0; d < 3; d++) normals[k][d] = (float)way[d], points[k][d] = (float)(middle[d] + way[d]);
    }
    if (!bad) bad = find_curvatures(AROUND * ACROSS, 0.1, false);
    for (int k = 0; k < AROUND * ACROSS; k++) {
        const double v = 2 * acos(-1.0) * (k / AROUND) / ACROSS;
        off = fmax(off, fabs(gauss[k] - cos(v) / (3 + cos(v))));
    }
    if (!bad) printf("torus: %s\n", off < 0.005 ? "right to 1 %" : "wrong"); // prints: torus: right to 1 %
    return bad;
}

/* ---- the picture ------------------------------------------------------------------------------------------------ */

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
    quern_operator **const operators[] = {&soft_distance, &smoothing, &shape};
    quern_context *ctx = NULL;
    quern_view protein = {0};
    char path[PATH_MAX];
    canvas c = {0};
    int64_t count = 0;

    if (!data_file(path, "protein.npy")) return 1;
    quern_status bad = quern_npy_read(&protein, path);
    if (!bad) bad = quern_context_create(&ctx, NULL);
    for (int k = 0; k < 3 && !bad; k++) bad = quern_compile(operators[k], ctx, formulas[k], NULL);
    if (!bad) bad = check();
    if (!bad) bad = make_surface(protein.data, protein.rows, &count);
    int failed = !bad && canvas_create(&c, SCALES * SIDE, SIDE);
    for (int k = 0; k < SCALES && !bad && !failed; k++) {
        bad = find_curvatures(count, scales[k], true);
        draw(&c, k, count, scales[k]);
    }
    if (bad) fprintf(stderr, "%s\n", quern_last_error_text());
    else printf("%lld atoms, %lld points of their surface\n", (long long)protein.rows, (long long)count);
    if (!bad && !failed && argc > 1) failed = canvas_write(&c, argv[1]);
    canvas_free(&c);
    for (int k = 0; k < 3; k++) quern_operator_destroy(operators[k]);
    quern_context_destroy(&ctx);
    quern_free(protein.data);
    return bad || failed;
}
