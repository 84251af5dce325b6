/*
 * 37_devices.c: one run on several devices. Waves from sources on a circle meet in the plane, and each pixel is the sum of all of
 * them. All devices that there are share the pixels; if there is one it takes both parts. A device takes a slice of rows, and
 * another one when it is done, the larger the faster it was. In the picture a colour is a device, as the logs tell.
 *
 *     37_devices [waves.png [SOURCES [WIDTH]]]
 */
#include <math.h>
#include <quern.h>
#include <quern/devices.h>
#include <stdio.h>
#include <stdlib.h>

#include "canvas.h"

enum { MOST = 8 };

/* Which device each pixel was computed by. */
typedef struct owner {
    unsigned char *of_pixel, number;
} owner;

/* A line of a device's log: "rows 0 to 4095 of 129600 took 0.01 s on device 0:0" is a slice. */
static void note_slice(void *user, const char *line)
{
    const owner *o = user;
    long long first, last;
    if (sscanf(line, "rows %lld to %lld of", &first, &last) == 2)
        for (long long k = first; k <= last; k++) o->of_pixel[k] = o->number;
}

/* A context for each device, at least two. */
static quern_status open_devices(quern_context **contexts, size_t *count, owner *owners, unsigned char *of_pixel)
{
    quern_device *devices;
    size_t found;
    quern_status bad = quern_devices(&devices, &found);
    if (bad) return bad;
    for (*count = 0; !bad && found && *count < MOST && *count < (found > 2 ? found : 2); *count += 1) {
        quern_context_options options = QUERN_DEFAULTS(quern_context_options);
        owners[*count] = (owner){of_pixel, (unsigned char)*count};
        options.device = devices[*count % found].selector, options.host = QUERN_OFF;
        options.log = note_slice, options.log_user = &owners[*count];
        bad = quern_context_create(&contexts[*count], &options);
    }
    quern_free(devices);
    return bad;
}

static void place(float *x, int64_t width, float *y, int64_t sources)
{
    for (int64_t k = 0; k < width * width; k++) {
        x[2 * k] = (float)(2 * ((double)(k % width) + 0.5) / (double)width - 1);
        x[2 * k + 1] = (float)(1 - 2 * ((double)(k / width) + 0.5) / (double)width);
    }
    for (int64_t k = 0; k < sources; k++) {
        double turn = 6.283185307179586 * (double)k / (double)sources, radius = 1 + 0.3 * cos(7 * turn);
        y[2 * k] = (float)(radius * cos(turn));
        y[2 * k + 1] = (float)(radius * sin(turn));
    }
}

static int draw(const char *path, const float *wave, const unsigned char *of_pixel, int width)
{
    canvas c;
    float most = 0;
    int bad = canvas_create(&c, width, width);
    for (int k = 0; k < width * width; k++) most = fmaxf(most, fabsf(wave[k]));
    for (int k = 0; k < width * width && !bad; k++) {
        const canvas_colour hue = canvas_category(of_pixel[k]);
        const double light = 0.5 + 0.5 * tanh(6 * (double)(wave[k] / most));
        const unsigned char parts[3] = {hue.red, hue.green, hue.blue};
        for (int d = 0; d < 3; d++) c.pixels[3 * k + d] = (unsigned char)(255 - light * (255 - parts[d]));
    }
    if (!bad) bad = canvas_write(&c, path);
    canvas_free(&c);
    return bad;
}

int main(int argc, char **argv)
{
    int64_t sources = argc > 2 ? atoll(argv[2]) : argc > 1 ? 8000 : 500;
    int64_t width = argc > 3 ? atoll(argv[3]) : argc > 1 ? 360 : 100, pixels = width * width;
    float *x = malloc((size_t)(pixels + sources) * 2 * sizeof *x), *wave = calloc((size_t)pixels * 2, sizeof *wave);
    float *y = x ? x + 2 * pixels : NULL, *alone = wave ? wave + pixels : NULL;
    unsigned char *of_pixel = calloc((size_t)pixels, 1);
    owner owners[MOST];
    quern_context *contexts[MOST] = {NULL};
    quern_operator *op = NULL;
    size_t count = 0;

    if (!x || !wave || !of_pixel || width < 1 || sources < 1) return 1;
    place(x, width, y, sources);
    quern_args args = QUERN_ARGS({"x", quern_f32(x, pixels, 2)}, {"y", quern_f32(y, sources, 2)});
    quern_status bad = open_devices(contexts, &count, owners, of_pixel);
    if (!bad) bad = quern_compile(&op, contexts[0], "x=Vi(2); y=Vj(2); Mean_j(Cos(60*Norm2(x-y)))", NULL);
    if (!bad) bad = quern_run(op, args, quern_f32(alone, pixels, 1));
    if (!bad) bad = quern_run_on(op, contexts, count, args, QUERN_OUTS(quern_f32(wave, pixels, 1)));
    if (bad) fprintf(stderr, "%s\n", quern_last_error_text());
    else {
        float off = 0;
        for (int64_t k = 0; k < pixels; k++) off = fmaxf(off, fabsf(wave[k] - alone[k]));
        printf("as on the first device alone: %s\n", off < 1e-5f ? "yes" : "no");
        // prints: as on the first device alone: yes
        if (argc > 1 && draw(argv[1], wave, of_pixel, (int)width)) return 1;
    }
    quern_operator_destroy(&op);
    for (size_t k = 0; k < count; k++) quern_context_destroy(&contexts[k]);
    free(x), free(wave), free(of_pixel);
    return (int)bad;
}
