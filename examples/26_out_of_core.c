/*
 * 26_out_of_core.c: a density of more points than the device holds. The orbit of a strange attractor (Clifford Pickover's) is
 * written to an .npy file piece by piece, mapped and not read, and summed by a device that is told to take 1 MiB: columns come in
 * pieces, the next one while the present one is computed, and what was read of the file is let go. The run is watched and
 * cancelled at half, done again, and has the bits of a device that has room for all.
 *
 *     26_out_of_core [attractor.png [POINTS [WIDTH]]]
 *
 * From the shell the same is `POCL_MEMORY_LIMIT=1 quern eval FORMULA y=orbit.npy ...`, and with `--resume FILE` a run that was killed goes
 * on where it was: docs/out-of-core.md.
 */
#include <math.h>
#include <quern.h>
#include <quern/npy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canvas.h"

#define ORBIT "26_out_of_core.npy"
enum { PIECE = 4096 };

/* A float32 array of `points` x 2, of which this program holds one piece at a time. */
static int write_orbit(int64_t points)
{
    char header[129];
    float piece[PIECE][2];
    double x = 0.1, y = 0.1;
    FILE *file = fopen(ORBIT, "wb");

    if (!file) return -1;
    snprintf(header, sizeof header, "%-117s\n", "");
    int size = snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': False, 'shape': (%lld, 2), }",
                        (long long)points);
    header[size] = ' '; /* blanks to its end, which is a line's */
    fwrite("\x93NUMPY\1\0\x76\0", 1, 10, file);
    fwrite(header, 1, 118, file);
    for (int64_t k = 0; k < points; k++) {
        double next = sin(-1.4 * y) + cos(-1.4 * x);
        y = sin(1.6 * x) + 0.7 * cos(1.6 * y), x = next;
        piece[k % PIECE][0] = (float)x, piece[k % PIECE][1] = (float)y;
        if (k % PIECE == PIECE - 1 || k == points - 1) fwrite(piece, sizeof piece[0], (size_t)(k % PIECE) + 1, file);
    }
    bool bad = ferror(file);
    return fclose(file) || bad ? -1 : 0;
}

/* What a run is asked after each piece: to stop at `until`. */
typedef struct watch {
    double until, seen;
    const quern_view *mapped;
} watch;

static bool is_over(void *user, double done)
{
    watch *w = user;
    w->seen = done;
    if (w->mapped) quern_npy_drop(w->mapped); /* what was read need not stay in memory */
    return done >= w->until;
}

/* Places of pixels, in the square from -2 to 2. */
static void place_pixels(float *x, int64_t width)
{
    for (int64_t k = 0; k < width * width; k++) {
        x[2 * k] = (float)(4 * ((double)(k % width) + 0.5) / (double)width - 2);
        x[2 * k + 1] = (float)(2 - 4 * ((double)(k / width) + 0.5) / (double)width);
    }
}

static double bend(double part)
{
    return pow(part, 0.4);
}

int main(int argc, char **argv)
{
    int64_t points = argc > 2 ? atoll(argv[2]) : argc > 1 ? 1000000 : 300000;
    int64_t width = argc > 3 ? atoll(argv[3]) : argc > 1 ? 240 : 48;
    int64_t pixels = width * width;
    float *x = malloc((size_t)pixels * 2 * sizeof *x), *all = calloc(2 * (size_t)pixels, sizeof *all);
    float *little = all ? all + pixels : NULL;
    quern_view y = {0};
    watch w = {.until = 0.5, .mapped = &y};
    quern_context_options options = QUERN_DEFAULTS(quern_context_options);
    quern_context *large = NULL, *small = NULL;
    quern_operator *op = NULL;

    if (!x || !all || width < 1 || points < 1 || write_orbit(points)) {
        fprintf(stderr, "no room for %lld points and %lld pixels\n", (long long)points, (long long)pixels);
        return 1;
    }
    place_pixels(x, width);
    options.host = QUERN_OFF, options.progress = is_over, options.progress_user = &w;
    quern_status bad = quern_npy_map(&y, ORBIT, NULL);
    remove(ORBIT); /* the mapping has it still */
    if (!bad) bad = quern_context_create(&large, NULL);
    options.memory = 1 << 20;
    if (!bad) bad = quern_context_create(&small, &options);
    if (!bad) bad = quern_compile(&op, large, "x=Vi(2); y=Vj(2); r=Pm(1); Mean_j(Exp(-r*SqDist(x,y)))", NULL);
    quern_args args = QUERN_ARGS({"x", quern_f32(x, pixels, 2)}, {"y", y}, {"r", quern_number(0.2 * (double)pixels)});
    if (!bad) {
        bad = quern_run_in(op, small, args, QUERN_OUTS(quern_f32(little, pixels, 1)));
        printf("asked to stop at half: %s\n", bad == QUERN_CANCELLED && w.seen < 0.9 ? "it did" : "it did not");
        if (bad == QUERN_CANCELLED) bad = QUERN_OK; // prints: asked to stop at half: it did
    }
    w.until = 2;
    if (!bad) bad = quern_run_in(op, small, args, QUERN_OUTS(quern_f32(little, pixels, 1)));
    if (!bad) bad = quern_run_in(op, large, args, QUERN_OUTS(quern_f32(all, pixels, 1)));
    if (bad) fprintf(stderr, "%s\n", quern_last_error_text());
    else
        printf("the bits of a device with room for all: %s\n",
               memcmp(all, little, (size_t)pixels * sizeof *all) ? "no" : "yes");
    // prints: the bits of a device with room for all: yes
    if (!bad && argc > 1 && canvas_write_map(argv[1], little, (int)width, (int)width, bend)) return 1;
    quern_operator_destroy(&op);
    quern_context_destroy(&small), quern_context_destroy(&large);
    quern_npy_unmap(&y);
    free(x), free(all);
    return (int)bad;
}
