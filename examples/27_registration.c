/*
 * 27_registration: two views of a scanned toy dinosaur, from two sides, are brought together.
 *
 *     27_registration [registration.png]
 *
 * Each view has a part of the surface that the other has not, and the second has been turned by 60 degrees and moved. Unbalanced
 * optimal transport says for each point of one where in the other it belongs, and, since a reach limits how far mass goes, how much
 * of it belongs anywhere: what one view alone has counts next to nothing. rigid.c finds the rotation and shift that fit this best.
 * Again and again, with a blur that falls from the size of the toy to the distance of points, both come to rest together.
 */
#include <math.h>
#include <quern/npy.h>
#include <quern/transport.h>
#include <stdio.h>
#include <string.h>

#include "canvas.h"
#include "data_file.h"
#include "random.h"
#include "rigid.h"

enum { MOST = 3000, STEPS = 32, SIDE = 420 };

typedef struct scan {
    int64_t count;
    float points[MOST][3];
} scan;

static scan fixed, moving, start;
static float target[MOST][3], weight[MOST];

/* The points that are seen from a direction, in units of 100 mm, with an error of 0.2 mm. */
static void look(scan *out, const quern_view *file, const double way[3], uint64_t seed)
{
    const float *row = file->data;
    for (int64_t k = 0; k < file->rows; k++, row += 6) {
        double facing = 0;
        for (int d = 0; d < 3; d++) facing += way[d] * (double)row[3 + d];
        if (facing < 0.1) continue;
        for (uint64_t d = 0; d < 3; d++) {
            double off = random_unit(seed + (uint64_t)k * 3 + d) - 0.5;
            out->points[out->count][d] = (float)((double)row[d] + 0.7 * off) / 100;
        }
        out->count++;
    }
}

static quern_status bring_together(quern_context *ctx)
{
    quern_status bad = QUERN_OK;
    for (int step = 0; step < STEPS && !bad; step++) {
        quern_transport_options options = QUERN_DEFAULTS(quern_transport_options);
        quern_transport_result *result;
        options.debias = options.certify = QUERN_OFF, options.tolerance = 0.01;
        options.blur = fmax(0.5 * pow(0.85, step), 0.015), options.reach = fmax(2 * options.blur, 0.03);
        bad = quern_transport(&result, ctx, quern_f32(moving.points[0], moving.count, 3), (quern_view){0},
                              quern_f32(fixed.points[0], fixed.count, 3), (quern_view){0}, &options);
        if (!bad) bad = quern_transport_read(result, QUERN_MAP_X, quern_f32(target[0], moving.count, 3));
        if (!bad) bad = quern_transport_read(result, QUERN_MARGINAL_X, quern_f32(weight, moving.count, 1));
        if (!bad) rigid_fit(moving.points, target, weight, moving.count);
        quern_transport_destroy(&result);
    }
    return bad;
}

static void draw(canvas *c, int panel, const scan *s, int colour)
{
    for (int64_t k = 0; k < s->count; k++)
        canvas_disc(c, SIDE * (panel + 0.5) + 120 * (double)s->points[k][0],
                    SIDE * 0.51 - 120 * (double)s->points[k][1], 1.4, canvas_category(colour));
}

static int picture(const char *path)
{
    canvas c;
    int bad = canvas_create(&c, 2 * SIDE, SIDE);
    if (!bad) draw(&c, 0, &fixed, 0), draw(&c, 0, &start, 1), draw(&c, 1, &fixed, 0), draw(&c, 1, &moving, 1);
    if (!bad) canvas_text(&c, 12, 24, 12, "TWO VIEWS", (canvas_colour){60, 60, 60}, NULL);
    if (!bad) canvas_text(&c, SIDE + 12, 24, 12, "BROUGHT TOGETHER", (canvas_colour){60, 60, 60}, NULL);
    if (!bad) bad = canvas_write(&c, path);
    canvas_free(&c);
    return bad;
}

int main(int argc, char **argv)
{
    static const double first[3] = {0.5, 0, 0.866}, second[3] = {-0.5, 0, 0.866}, turn[4] = {0.866, 0.1, 0.2, 0.447};
    static const double same[4] = {1, 0, 0, 0};
    static const double centre[3] = {0.5, -0.3, -6.3}, there[3] = {0.3, 0.2, 0.1}, none[3] = {0};
    static scan right;
    quern_context *ctx = NULL;
    quern_view file = {0};
    char path[4096];
    double off = 0;
    if (argc > 2 || (argc > 1 && argv[1][0] == '-')) {
        puts("usage: 27_registration [PICTURE.png]");
        return argc > 2 || strcmp(argv[1], "--help") != 0;
    }
    if (!data_file(path, "scan.npy")) return 1;
    quern_status bad = quern_npy_read(&file, path);
    if (!bad) look(&fixed, &file, first, 0), look(&moving, &file, second, 100000);
    rigid_move(fixed.points, fixed.count, same, centre, none),
        rigid_move(moving.points, moving.count, same, centre, none);
    right = moving;
    rigid_move(moving.points, moving.count, turn, none, there);
    start = moving;
    if (!bad) bad = quern_context_create(&ctx, NULL);
    if (!bad) bad = bring_together(ctx);
    for (int64_t k = 0; k < moving.count; k++)
        for (int d = 0; d < 3; d++) off = fmax(off, fabs((double)(moving.points[k][d] - right.points[k][d])));
    if (bad) fprintf(stderr, "27_registration: %s\n", quern_last_error_text());
    else printf("off by at most 1 mm: %s\n", off < 0.01 ? "yes" : "no"); // prints: off by at most 1 mm: yes
    fprintf(stderr, "%lld and %lld points, off by %.2g mm\n", (long long)fixed.count, (long long)moving.count,
            100 * off);
    quern_context_destroy(&ctx);
    quern_free(file.data);
    return bad ? (int)bad : picture(argc > 1 ? argv[1] : "registration.png");
}
