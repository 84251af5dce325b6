/*
 * 22_protein_surface: a protein's surface, and how it bends, at five scales (dMaSIF's: Sverrisson, Feydy, Correia, Bronstein, 2021).
 *
 *     22_protein_surface [surface.png]
 *
 * 1. The distance from the atoms is soft, a LogSumExp; points move along its gradient to where it is 1.4 angstrom, a drop of
 *    water's radius, and their normals are the gradient's direction there (surface.h). One point is kept in each cube of 1 angstrom.
 * 2. At each point, positions of its neighbours along the surface explain how their normals turn: a least-squares problem of two
 *    sums (curvature.h), whose solution has the mean and Gauss's curvature. First checked on a sphere and a torus.
 */
#include <math.h>
#include <quern/npy.h>
#include <stdio.h>
#include <stdlib.h>

#include "curvature.h"
#include "data_file.h"
#include "surface.h"

enum { SCALES = 5, SIDE = 320 };

/* Red where the surface bulges, blue where it is hollow. */
static quern_status show(canvas *c, const curvature *bends, const surface *s, int panel, double scale, double *mean,
                         double *gauss)
{
    const curvature_points p = {s->points, s->normals, s->offsets, s->members};
    quern_status bad = curvature_smooth(bends, &p, scale);
    if (!bad) bad = curvature_find(bends, &p, scale, mean, gauss);
    for (int64_t k = 0; k < s->offsets[1] && !bad; k++) mean[k] = tanh(2 * mean[k] * sqrt(scale));
    if (!bad) surface_draw(s, 0, c, panel * SIDE + SIDE / 2.0, SIDE / 2.0, 8, mean);
    return bad;
}

int main(int argc, char **argv)
{
    static const double scales[SCALES] = {1, 2, 3, 5, 10};
    quern_context *ctx = NULL;
    curvature bends = {0};
    surface s = {0};
    quern_view protein = {0};
    char path[PATH_MAX];
    canvas c = {0};
    double sphere = 1, torus = 1, *mean = NULL, *gauss = NULL;
    if (!data_file(path, "protein.npy")) return 1;
    quern_status bad = quern_npy_read(&protein, path);
    if (!bad) bad = quern_context_create(&ctx, NULL);
    if (!bad) bad = surface_create(&s, ctx, protein.rows);
    if (!bad) bad = curvature_create(&bends, ctx, s.most);
    if (!bad) bad = curvature_check(&bends, &sphere, &torus);
    if (!bad) printf("sphere: %s\n", sphere < 2e-3 ? "right to 0.2 %" : "wrong"); // prints: sphere: right to 0.2 %
    if (!bad) printf("torus: %s\n", torus < 1e-2 ? "right to 1 %" : "wrong");     // prints: torus: right to 1 %
    if (!bad) bad = surface_find(&s, protein, (const int64_t[]){0, protein.rows}, 1);
    mean = calloc((size_t)s.most + 1, sizeof *mean), gauss = calloc((size_t)s.most + 1, sizeof *gauss);
    int failed = !bad && (!mean || !gauss || canvas_create(&c, SCALES * SIDE, SIDE));
    for (int k = 0; k < SCALES && !bad && !failed; k++) bad = show(&c, &bends, &s, k, scales[k], mean, gauss);
    if (bad) fprintf(stderr, "%s\n", quern_last_error_text());
    else printf("%lld atoms, %lld points of their surface\n", (long long)protein.rows, (long long)s.offsets[1]);
    if (!bad && !failed && argc > 1) failed = canvas_write(&c, argv[1]);
    canvas_free(&c);
    curvature_destroy(&bends);
    surface_destroy(&s);
    quern_context_destroy(&ctx);
    free(mean), free(gauss);
    quern_free(protein.data);
    return bad || failed;
}
