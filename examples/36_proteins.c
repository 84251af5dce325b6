/*
 * 36_proteins: the surfaces of three proteins in one run, their shape and their charge.
 *
 *     36_proteins [proteins.png]
 *
 * Proteins have different numbers of atoms, and their surfaces different numbers of points. Those of all lie one after the other in the
 * arrays, offsets say where each begins, and every sum, of the soft distance that points move along (surface.h), of curvatures
 * (curvature.h) and of the potential of the charges, is one run over a ragged batch. What a protein gives there is held against what it
 * gives alone. They are a part of the receptor for LDL, one of an enzyme of E. coli, and fasciculin, a toxin of the mamba, which blocks
 * an enzyme whose entrance is negative, by its positive charge. The picture has curvatures above, red where the surface bulges, and
 * potentials below, blue where they are positive, as it is usual.
 */
#include <math.h>
#include <quern/array.h>
#include <quern/npy.h>
#include <quern/space.h>
#include <stdio.h>
#include <stdlib.h>

#include "curvature.h"
#include "data_file.h"
#include "surface.h"

enum { PROTEINS = 3, SIDE = 400 };

static const double scale = 2;       /* of curvatures, in angstrom */
static const double farthest = 1e-3; /* angstrom: what may differ alone and together */
static const char *const names[PROTEINS] = {"LDL RECEPTOR", "E. COLI", "FASCICULIN"};
static int64_t atom_offsets[PROTEINS + 1];

/* What is known of the points of surfaces. */
typedef struct knowledge {
    double *mean, *gauss;
    float *potential;
} knowledge;

static bool knowledge_create(knowledge *out, int64_t most)
{
    out->mean = calloc((size_t)most + 1, sizeof *out->mean), out->gauss = calloc((size_t)most + 1, sizeof *out->gauss);
    out->potential = calloc((size_t)most + 1, sizeof *out->potential);
    return out->mean && out->gauss && out->potential;
}

static void knowledge_destroy(knowledge *k)
{
    free(k->mean), free(k->gauss), free(k->potential);
}

static quern_status find_potential(quern_operator *op, const surface *s, quern_view atoms, const int64_t *offsets,
                                   float *potential)
{
    const int64_t count = s->offsets[s->members];
    quern_run_options options = QUERN_DEFAULTS(quern_run_options);
    options.members = (size_t)s->members;
    options.offsets_i = s->offsets, options.offsets_j = offsets;
    return quern_run_with(op,
                          QUERN_ARGS({"x", quern_f32(s->points[0], count, 3)}, {"y", quern_view_columns(atoms, 0, 3)},
                                     {"q", quern_view_columns(atoms, 3, 1)}),
                          QUERN_OUTS(quern_f32(potential, count, 1)), &options);
}

/* Surfaces of so many proteins, and all that is known of them. */
static quern_status explore(surface *s, knowledge *k, const curvature *bends, quern_operator *coulomb, quern_view atoms,
                            const int64_t *offsets, int members)
{
    quern_status bad = surface_find(s, atoms, offsets, members);
    const curvature_points p = {s->points, s->normals, s->offsets, members};
    if (!bad) bad = curvature_smooth(bends, &p, scale);
    if (!bad) bad = curvature_find(bends, &p, scale, k->mean, k->gauss);
    return bad ? bad : find_potential(coulomb, s, atoms, offsets, k->potential);
}

/* Whether the only protein of `one` is protein b of `all`: as many points, at the same places, of the same curvatures and potentials. */
static bool is_same(const surface *one, const knowledge *alone, const surface *all, const knowledge *together, int b)
{
    const int64_t from = all->offsets[b], count = all->offsets[b + 1] - from;
    double off = 0;
    for (int64_t k = 0; k < count && one->offsets[1] == count; k++) {
        for (int d = 0; d < 3; d++) off = fmax(off, fabs((double)one->points[k][d] - (double)all->points[from + k][d]));
        off = fmax(off, fabs(alone->mean[k] - together->mean[from + k]));
        off = fmax(off, fabs((double)alone->potential[k] - (double)together->potential[from + k]));
    }
    return one->offsets[1] == count && count > 0 && off < farthest;
}

static void draw(canvas *c, const surface *s, knowledge *k)
{
    for (int64_t n = 0; n < s->offsets[PROTEINS]; n++) {
        k->mean[n] = tanh(2 * k->mean[n] * sqrt(scale));
        k->gauss[n] = tanh(-3 * (double)k->potential[n]);
    }
    for (int b = 0; b < PROTEINS; b++) {
        const double x = (b + 0.5) * SIDE;
        surface_draw(s, b, c, x, SIDE / 2.0, 8, k->mean);
        surface_draw(s, b, c, x, SIDE * 1.5, 8, k->gauss);
        canvas_text(c, x - canvas_text_width(12, names[b]) / 2, 2 * SIDE - 12, 12, names[b], (canvas_colour){0, 0, 0},
                    NULL);
    }
}

int main(int argc, char **argv)
{
    static const char coulomb_formula[] = "x=Vi(3); y=Vj(3); q=Vj(1); Sum_j(q/Norm2(x-y))";
    quern_context *ctx = NULL;
    quern_operator *coulomb = NULL;
    curvature bends = {0};
    surface all = {0}, one = {0};
    knowledge known[2] = {{0}};
    quern_view atoms = {0};
    char path[PATH_MAX];
    canvas c = {0};
    int same = 0, failed = 0;
    if (!data_file(path, "proteins.npy")) return 1;
    quern_status bad = quern_npy_read(&atoms, path);
    for (int64_t k = 0; k < atoms.rows && !bad; k++) /* the last column has the protein's number */
        atom_offsets[(int)((const float *)atoms.data)[k * atoms.columns + 5] + 1] = k + 1;
    atoms.stride = atoms.columns;
    if (!bad) bad = quern_context_create(&ctx, NULL);
    if (!bad) bad = quern_compile(&coulomb, ctx, coulomb_formula, NULL);
    if (!bad) bad = surface_create(&all, ctx, atoms.rows);
    if (!bad) bad = surface_create(&one, ctx, atoms.rows);
    if (!bad) bad = curvature_create(&bends, ctx, all.most);
    failed = !knowledge_create(&known[0], all.most) || !knowledge_create(&known[1], all.most);
    if (!bad && !failed) bad = explore(&all, &known[0], &bends, coulomb, atoms, atom_offsets, PROTEINS);
    for (int b = 0; b < PROTEINS && !bad && !failed; b++) {
        const int64_t from = atom_offsets[b], count = atom_offsets[b + 1] - from;
        bad = explore(&one, &known[1], &bends, coulomb, quern_view_rows(atoms, from, count),
                      (const int64_t[]){0, count}, 1);
        if (!bad) same += is_same(&one, &known[1], &all, &known[0], b);
        if (!bad) printf("%lld atoms, %lld points of their surface\n", (long long)count, (long long)one.offsets[1]);
    }
    if (bad) fprintf(stderr, "%s\n", quern_last_error_text());
    else printf("%d of %d as each alone\n", same, PROTEINS); // prints: 3 of 3 as each alone
    if (!bad && !failed) failed = canvas_create(&c, PROTEINS * SIDE, 2 * SIDE);
    if (!bad && !failed) draw(&c, &all, &known[0]);
    if (!bad && !failed && argc > 1) failed = canvas_write(&c, argv[1]);
    canvas_free(&c);
    knowledge_destroy(&known[0]), knowledge_destroy(&known[1]);
    curvature_destroy(&bends);
    surface_destroy(&all), surface_destroy(&one);
    quern_operator_destroy(&coulomb);
    quern_context_destroy(&ctx);
    quern_free(atoms.data);
    return bad || failed;
}
