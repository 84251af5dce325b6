/*
 * request.c: the command line of an example that draws a map, and how far it is.
 */
#include "request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
    "usage: %s [--data CITIES.csv] [PICTURE.png [WIDTH]]\n"
    "Draws the density of the world's population, WIDTH x WIDTH/2 map pixels (720), as a picture of twice as many each\n"
    "way (world.png). Cities are read from cities.csv beside the program, else from examples/data/cities.csv.\n";

static int fail(const char *program, const char *what, const char *word)
{
    fprintf(stderr, "%s: %s: '%s'\n", program, what, word);
    fprintf(stderr, usage, program);
    return -1;
}

int request_parse(request *out, int argc, char **argv)
{
    const char *words[2] = {"world.png", "720"};
    int count = 0;
    char *end;

    setvbuf(stdout, NULL, _IOLBF, 0);
    out->data = NULL;
    for (int k = 1; k < argc; k++) {
        if (!strcmp(argv[k], "--help")) return printf(usage, argv[0]) < 0 ? -1 : 1;
        if (!strcmp(argv[k], "--data") && k + 1 < argc) {
            out->data = argv[++k];
            continue;
        }
        if (argv[k][0] == '-') return fail(argv[0], "no such option, or no value for it", argv[k]);
        if (count == 2) return fail(argv[0], "a word too many", argv[k]);
        words[count++] = argv[k];
    }
    out->path = words[0];
    out->width = (int)strtol(words[1], &end, 10);
    if (!*words[0]) return fail(argv[0], "a picture needs a name", words[0]);
    if (*end || out->width < 16 || out->width > 8192)
        return fail(argv[0], "the width is 16 to 8192 pixels, not", words[1]);
    return 0;
}

double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

bool progress_show(void *shown, double done)
{
    progress *p = shown;
    double spent;

    if (!isatty(2)) return false;
    spent = seconds_now() - p->start;
    if (!p->start || done < p->last) {
        p->start += spent;
        p->first = done;
    } else if (spent >= 1 && done > p->first) {
        if (done < 1)
            fprintf(stderr, "\r%3.0f %%, %.0f s left   \r", 100 * done, spent * (1 - done) / (done - p->first));
        else fprintf(stderr, "\r%30s\r", "");
    }
    p->last = done;
    return false;
}
