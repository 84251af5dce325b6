/*
 * 11_neighbors: what near means. Three arms of a spiral, a class each; every pixel of the first three pictures has the colour of the
 * class that most of its 7 nearest points have: by straight lines, by steps along the axes, and in the Poincare disk,
 * where the circle is infinitely far away. The last picture has the edges of the points' own graph that both ends want.
 *
 *     11_neighbors [neighbors.png]
 */
#include <math.h>
#include <quern.h>
#include <quern/neighbors.h>
#include <stdio.h>
#include <stdlib.h>

#include "canvas.h"

enum { ARMS = 3, EACH = 80, COUNT = ARMS * EACH, K = 7, SIDE = 400, GAP = 12, PIXELS = SIDE * SIDE };

static const char *const metrics[] = {"l2", "l1", "hyperbolic"}, *const titles[] = {"L2", "L1", "HYPERBOLIC", "MUTUAL"};
static float points[COUNT][2], queries[PIXELS][2];
static int64_t labels[COUNT], nearest[PIXELS][K], told[PIXELS];

static double uniform(void)
{
    static uint64_t state = 11;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 11) * 0x1p-53;
}

static void make(void)
{
    for (int n = 0; n < COUNT; n++) {
        const double along = (n / ARMS + 0.5) / EACH, angle = 6.283185307 * (n % ARMS / 3.0 + 0.75 * along);
        for (int d = 0; d < 2; d++)
            points[n][d] = (float)((0.06 + 0.86 * along) * (d ? sin(angle) : cos(angle)) + 0.2 * (uniform() - 0.5));
        labels[n] = n % ARMS;
    }
    for (int q = 0; q < PIXELS; q++) {
        queries[q][0] = (float)(2 * (q % SIDE + 0.5) / SIDE - 1);
        queries[q][1] = (float)(1 - 2 * (q / SIDE + 0.5) / SIDE);
    }
}

static quern_view at(int64_t (*rows)[K], int64_t count)
{
    return quern_i64(rows[0], count, K);
}

/* Each point told by the others, then each pixel. */
static quern_status classify(quern_context *ctx, const char *metric)
{
    const quern_view none = {0}, classes = quern_i64(labels, COUNT, 1);
    quern_neighbors_options options = QUERN_DEFAULTS(quern_neighbors_options);
    quern_neighbors *index = NULL;
    int right = 0;

    options.metric = metric;
    quern_status bad = quern_neighbors_create(&index, ctx, quern_f32(points[0], COUNT, 2), &options);
    if (!bad) bad = quern_neighbors_graph(index, at(nearest, COUNT), none, NULL);
    if (!bad)
        bad = quern_neighbors_classify(at(nearest, COUNT), none, classes, QUERN_VOTE_EQUAL, quern_i64(told, COUNT, 1));
    for (int n = 0; n < COUNT && !bad; n++) right += told[n] == labels[n];
    if (!bad) printf("%s: %d of %d points are told by the others\n", metric, right, COUNT);
    if (!bad) bad = quern_neighbors_find(index, quern_f32(queries[0], PIXELS, 2), at(nearest, PIXELS), none, NULL);
    if (!bad)
        bad =
            quern_neighbors_classify(at(nearest, PIXELS), none, classes, QUERN_VOTE_EQUAL, quern_i64(told, PIXELS, 1));
    quern_neighbors_destroy(&index);
    return bad;
}

static quern_status find_mutual(quern_context *ctx, quern_neighbor_lists **edges)
{
    const quern_view none = {0};
    quern_neighbors *index = NULL;
    quern_status bad = quern_neighbors_create(&index, ctx, quern_f32(points[0], COUNT, 2), NULL);
    if (!bad) bad = quern_neighbors_graph(index, at(nearest, COUNT), none, NULL);
    if (!bad) bad = quern_neighbor_lists_create(edges, at(nearest, COUNT), none, QUERN_EDGES_MUTUAL);
    if (!bad) printf("mutual: %d edges\n", (int)(*edges)->offsets[COUNT] / 2);
    quern_neighbors_destroy(&index);
    return bad;
}

/* ---- the picture ---- */

static double place(int panel, int n, int d)
{
    const double t = (double)points[n][d];
    return (d ? panel / 2 : panel % 2) * (SIDE + GAP) + (1 + (d ? -t : t)) * SIDE / 2;
}

/* The classes of the pixels, pale, and the points. */
static void draw_classes(canvas *c, int panel)
{
    for (int q = 0; q < PIXELS; q++) {
        const double x = (double)queries[q][0], y = (double)queries[q][1];
        const canvas_colour colour = canvas_category((int)told[q]);
        const int row = panel / 2 * (SIDE + GAP) + q / SIDE, column = panel % 2 * (SIDE + GAP) + q % SIDE;
        unsigned char *pixel = c->pixels + 3 * (row * c->width + column);
        if (told[q] < 0 || (panel == 2 && x * x + y * y > 1)) continue; /* outside of the disk */
        pixel[0] = (unsigned char)(160 + colour.red * 3 / 8), pixel[1] = (unsigned char)(160 + colour.green * 3 / 8);
        pixel[2] = (unsigned char)(160 + colour.blue * 3 / 8);
    }
}

static void draw_points(canvas *c, int panel)
{
    const canvas_colour ink = {40, 40, 40}, paper = {255, 255, 255};
    for (int n = 0; n < COUNT; n++)
        canvas_disc(c, place(panel, n, 0), place(panel, n, 1), 4, canvas_category((int)labels[n]));
    canvas_text(c, panel % 2 * (SIDE + GAP) + 8, panel / 2 * (SIDE + GAP) + 24, 14, titles[panel], ink, &paper);
}

static void draw_edges(canvas *c, int panel, const quern_neighbor_lists *edges)
{
    const canvas_colour grey = {120, 120, 120};
    for (int n = 0; n < COUNT; n++)
        for (int64_t e = edges->offsets[n]; e < edges->offsets[n + 1]; e++) {
            const int other = (int)edges->indices[e];
            canvas_line(c, place(panel, n, 0), place(panel, n, 1), place(panel, other, 0), place(panel, other, 1), 1.5,
                        grey);
        }
}

int main(int argc, char **argv)
{
    quern_context *ctx = NULL;
    quern_neighbor_lists *edges = NULL;
    canvas c = {0};
    quern_status bad = quern_context_create(&ctx, NULL);
    int failed = canvas_create(&c, 2 * SIDE + GAP, 2 * SIDE + GAP);

    make();
    // prints: l2: 234 of 240 points are told by the others
    // prints: l1: 235 of 240 points are told by the others
    // prints: hyperbolic: 225 of 240 points are told by the others
    for (int panel = 0; panel < 3 && !bad && !failed; panel++) {
        bad = classify(ctx, metrics[panel]);
        if (!bad) draw_classes(&c, panel), draw_points(&c, panel);
    }
    if (!bad) bad = find_mutual(ctx, &edges); // prints: mutual: 696 edges
    if (!bad && !failed) draw_edges(&c, 3, edges), draw_points(&c, 3);
    if (bad) fprintf(stderr, "%s\n", quern_last_error_text());
    else if (!failed) failed = canvas_write(&c, argc > 1 ? argv[1] : "neighbors.png");
    quern_neighbor_lists_destroy(&edges);
    quern_context_destroy(&ctx);
    canvas_free(&c);
    return bad ? (int)bad : failed ? 1 : 0;
}
