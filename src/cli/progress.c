/*
 * progress.c: what a terminal is told of runs that take more than a second: that a program is being built, then the share
 * that is done and the time left, in one line that goes away in the end. Pipes and files are told nothing.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

enum { PATIENCE_S = 1, WIDTH = 70 };

/* One run at a time is watched. The thread waits for the first slice of the run, or says why there is none yet. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool watching, begun, told; /* begun: a slice is done, or the run is over; told: the line is there */
    double first, share;        /* when the first slice was done, and the share then */
} watch = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void say(const char *line)
{
    fprintf(stderr, "\r%-*s%s", WIDTH, line, *line ? "" : "\r");
    fflush(stderr);
    watch.told = *line;
}

static void *wait_for_it(void *unused)
{
    struct timespec until;

    (void)unused;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&watch.lock);
    while (!watch.begun && pthread_cond_timedwait(&watch.changed, &watch.lock, &until) == 0) continue;
    if (!watch.begun) say("building a program; later runs of this formula find it in a cache");
    pthread_mutex_unlock(&watch.lock);
    return NULL;
}

bool cli_progress_wanted(void)
{
    const char *term = getenv("TERM");

    return !cli_is_quiet() && isatty(STDERR_FILENO) && !(term && !strcmp(term, "dumb"));
}

void cli_progress_clear(void)
{
    if (cli_progress_wanted()) fprintf(stderr, "%*s\r", 56, "");
}

void cli_progress_begin(void)
{
    watch.begun = watch.told = false;
    watch.first = 0;
    watch.watching = cli_progress_wanted() && !pthread_create(&watch.thread, NULL, wait_for_it, NULL);
}

static void begin(void)
{
    watch.begun = true;
    pthread_cond_signal(&watch.changed);
}

bool cli_progress(void *unused, double done)
{
    double time = now();
    char line[WIDTH];

    (void)unused;
    cli_inputs_drop();
    if (!watch.watching) return false;
    pthread_mutex_lock(&watch.lock);
    if (!watch.begun) {
        begin();
        watch.first = time;
        watch.share = done;
    } else if (time - watch.first >= PATIENCE_S && done > watch.share && done < 1) {
        double left = (time - watch.first) * (1 - done) / (done - watch.share);
        snprintf(line, sizeof line, "%.0f %% done, %.0f %s left", 100 * done, left < 120 ? left : left / 60,
                 left < 120 ? "s" : "min");
        say(line);
    }
    pthread_mutex_unlock(&watch.lock);
    return false;
}

void cli_progress_end(void)
{
    if (!watch.watching) return;
    pthread_mutex_lock(&watch.lock);
    begin();
    pthread_mutex_unlock(&watch.lock);
    pthread_join(watch.thread, NULL);
    if (watch.told) say("");
    watch.watching = false;
}
