/*
 * devices.c: one run on several devices: stage by stage, each shared by its rows. A thread for each device takes slices of
 * rows from a common counter (guided self-scheduling, Polychronopoulos and Kuck 1987: a share of what is left, by measured
 * speed), so that all are done at about the same time; what a stage leaves to the next goes through the host.
 *
 * Slices begin with a group of rows of every device, and plans are those of the first one where profiles agree: so the bits
 * of a row do not depend on who computes it. The calling thread waits, asks the progress callback, and tells failures.
 */
#include "quern/devices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/parts.h"
#include "run/spaces.h"

/* Rows of a first slice: so many for each device, of which the speed is not known yet. */
enum { FIRST_SLICES = 16 };
/* Seconds that a slice takes at least, if rows are left: what else it costs is less than a millisecond. */
#define LEAST_SECONDS 5e-3
#define LARGEST_UNIT 65536 /* rows; devices whose groups have no common multiple below do some rows twice */

typedef struct worker worker;

/* What the threads share. */
typedef struct crew {
    const q_hosted *hosted;
    worker *workers;
    size_t count;
    double total; /* pairs of all stages */
    size_t stage;
    int64_t rows, unit; /* of the stage; rows that slices are multiples of */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* of what follows */
    int64_t next;           /* the first row that nobody has taken */
    double done;            /* pairs */
    double told;            /* share that the progress callback has seen */
    size_t running;
    bool stopped, cancelled; /* no slices are taken any more; because the callback wants it */
    const worker *failed;    /* the first that failed, or null, and how */
    q_failure failure;
} crew;

struct worker {
    crew *crew;
    q_build *build;
    int units;
    pthread_t thread;
    bool opened;
    q_stream stream;
    int64_t first, rows; /* the slice that it has */
    double speed;        /* rows per second in this stage; 0: not known */
};

// ---- slices ----

/* The part of the rows that are left that is this worker's, by speed; those who have none yet count as the mean. */
static double share_of(const crew *c, const worker *w)
{
    double sum = 0, known = 0;
    for (size_t k = 0; k < c->count; k++)
        if (c->workers[k].speed > 0) sum += c->workers[k].speed, known++;
    return w->speed > 0 ? w->speed / (sum * (double)c->count / known) : 1 / (double)c->count;
}

/* Some rows from the next one on, but so that slices begin with a group of rows. */
static int64_t whole_groups(const crew *c, const worker *w, int64_t rows)
{
    return q_window_cut(&w->stream.window, c->next + rows, c->unit) - c->next;
}

static int64_t slice_rows(const crew *c, const worker *w)
{
    int64_t left = c->rows - c->next;
    double wanted =
        w->speed > 0 ? (double)left * share_of(c, w) / 2 : (double)c->rows / FIRST_SLICES / (double)c->count;
    if (wanted < w->speed * LEAST_SECONDS) wanted = w->speed * LEAST_SECONDS;
    if (wanted > (double)w->stream.rows) wanted = (double)(w->stream.rows / c->unit * c->unit - 1);
    if (wanted > (double)left) return left;
    int64_t rows = ((int64_t)wanted / c->unit + 1) * c->unit;
    if (left <= rows || (left - rows < c->unit && left <= w->stream.rows)) return left;
    return whole_groups(c, w, rows);
}

static void take_slice(crew *c, worker *w)
{
    w->first = c->next;
    w->rows = c->stopped ? 0 : slice_rows(c, w);
    c->next += w->rows;
}

/* In place of the context's progress callback. */
static quern_status report(q_launcher *l, double pairs)
{
    crew *c = l->report_user;
    pthread_mutex_lock(&c->lock);
    c->done += pairs;
    bool stopped = c->stopped;
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->lock);
    return stopped ? q_fail(QUERN_CANCELLED, "another device has ended the run") : QUERN_OK;
}

// ---- a device ----

static quern_status run_slices(worker *w)
{
    crew *c = w->crew;
    if (!w->rows) return QUERN_OK;
    while (w->rows) {
        double start = q_seconds(), seconds;
        Q_TRY(q_stream_rows(&w->stream, w->first, w->rows));
        seconds = q_seconds() - start;
        q_context_log(w->build->context, "rows %lld to %lld of %lld took %.3g s on device %s", (long long)w->first,
                      (long long)(w->first + w->rows - 1), (long long)c->rows, seconds,
                      quern_context_device(w->build->context)->selector);
        pthread_mutex_lock(&c->lock);
        w->speed = (double)w->rows / (seconds + 1e-9);
        take_slice(c, w);
        pthread_mutex_unlock(&c->lock);
    }
    return QUERN_OK;
}

static void *work(void *user)
{
    worker *w = user;
    crew *c = w->crew;
    quern_status status = run_slices(w);
    pthread_mutex_lock(&c->lock);
    if (status && !c->stopped) {
        q_failure_keep(&c->failure);
        c->failed = w;
        c->stopped = true;
    }
    c->running--;
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

// ---- a stage ----

static int64_t common_multiple(int64_t a, int64_t b)
{
    int64_t x = a, y = b;
    while (y) {
        int64_t rest = x % y;
        x = y;
        y = rest;
    }
    return a / x * b;
}

/* Plans and programs of all devices, one after the other: drivers build no faster at a time. */
static quern_status open_windows(crew *c)
{
    c->unit = 1;
    for (size_t k = 0; k < c->count; k++) {
        worker *w = &c->workers[k];
        w->speed = 0;
        w->opened = true;
        quern_status status = q_stream_open(&w->stream, c->hosted, w->build, c->stage, w->units);
        if (status) {
            c->failed = w;
            q_failure_keep(&c->failure);
            return status;
        }
        w->stream.window.l.report = report;
        w->stream.window.l.report_user = c;
        int64_t rows = q_plan_group_rows(&w->stream.window.whole.plan), both = common_multiple(c->unit, rows);
        c->unit = both <= LARGEST_UNIT ? both : c->unit > rows ? c->unit : rows;
    }
    return QUERN_OK;
}

static void close_windows(crew *c)
{
    for (size_t k = 0; k < c->count; k++) {
        if (c->workers[k].opened) q_stream_close(&c->workers[k].stream);
        c->workers[k].opened = false;
    }
}

/* With the lock held: asks the user whether to go on. */
static void ask(crew *c)
{
    const quern_context_options *options = &c->workers[0].build->context->options;
    double share = c->total > 0 && c->done < c->total ? c->done / c->total : 1;
    if (!options->progress || share <= c->told || c->stopped) return;
    c->told = share;
    pthread_mutex_unlock(&c->lock);
    bool stop = options->progress(options->progress_user, share);
    pthread_mutex_lock(&c->lock);
    c->cancelled = c->cancelled || stop;
    c->stopped = c->stopped || stop;
}

/* Starts the threads, each with a first slice, and waits for them. */
static quern_status run_threads(crew *c)
{
    bool started[Q_MAX_DEVICES] = {false};
    quern_status status = QUERN_OK;
    for (size_t k = 0; k < c->count; k++) take_slice(c, &c->workers[k]);
    pthread_mutex_lock(&c->lock);
    for (size_t k = 0; k < c->count && !status; k++) {
        started[k] = !pthread_create(&c->workers[k].thread, NULL, work, &c->workers[k]);
        c->running += started[k];
        if (!started[k]) status = q_fail(QUERN_MEMORY, "no thread can be started for device %zu of %zu", k, c->count);
    }
    c->stopped = c->stopped || status;
    while (c->running) {
        pthread_cond_wait(&c->changed, &c->lock);
        ask(c);
    }
    pthread_mutex_unlock(&c->lock);
    for (size_t k = 0; k < c->count; k++)
        if (started[k]) pthread_join(c->workers[k].thread, NULL);
    return status;
}

static quern_status outcome(const crew *c)
{
    if (c->failed && c->count == 1) return q_failure_tell(&c->failure, "");
    if (c->failed) {
        const quern_device *device = quern_context_device(c->failed->build->context);
        char where[256];
        snprintf(where, sizeof where, "on device %s, %s", device->selector, device->name);
        return q_failure_tell(&c->failure, where);
    }
    if (!c->cancelled) return QUERN_OK;
    return q_fail(QUERN_CANCELLED, "the run was stopped by the progress callback after %.0f %%", 100 * c->told);
}

static quern_status run_stage(crew *c, size_t stage)
{
    const q_run *run = c->hosted->run;
    c->stage = stage;
    c->next = 0;
    c->rows = q_axis_size(run->build->programs[stage]->rows, run->M, run->N);
    if (!c->rows) return QUERN_OK;
    quern_status status = open_windows(c);
    if (!status) status = run_threads(c);
    close_windows(c);
    return c->failed || c->cancelled ? outcome(c) : status;
}

// ---- a run ----

static quern_status run_stages(crew *c, q_hosted *hosted)
{
    const q_run *run = hosted->run;
    size_t stages = run->op->stages.count;
    for (size_t s = 0; s < stages; s++)
        c->total += q_run_space(run, s) ? q_space_pairs(run->spaces[s])
                                        : q_stage_pairs(run->build->programs[s], run->M, run->N);
    for (size_t s = 0; s < stages; s++) Q_TRY(run_stage(c, s));
    q_hosted_end(hosted);
    return QUERN_OK;
}

/* A device that is like the first is planned for as the first is. */
static int units_of(const q_build *build, const q_build *first)
{
    bool alike = strcmp(build->profile.name, first->profile.name) == 0;
    return quern_context_device(alike ? first->context : build->context)->compute_units;
}

quern_status q_devices_run(const q_run *run, q_build *const *builds, size_t count)
{
    q_hosted hosted;
    crew c = {.hosted = &hosted, .count = count, .workers = calloc(count, sizeof(worker))};
    if (!c.workers) return q_fail_memory(count * sizeof(worker));
    for (size_t k = 0; k < count; k++)
        c.workers[k] = (worker){.crew = &c, .build = builds[k], .units = units_of(builds[k], builds[0])};
    pthread_mutex_init(&c.lock, NULL);
    pthread_cond_init(&c.changed, NULL);
    quern_status status = q_hosted_make(&hosted, run);
    if (!status) status = run_stages(&c, &hosted);
    q_hosted_free(&hosted);
    pthread_cond_destroy(&c.changed);
    pthread_mutex_destroy(&c.lock);
    free(c.workers);
    return status;
}

// ---- the call ----

static quern_status check_contexts(const char *function, quern_context *const *contexts, size_t count)
{
    if (!contexts && count) return q_fail_null(function, "the list of contexts");
    if (!count || count > Q_MAX_DEVICES)
        return q_fail(QUERN_USAGE, "%s takes 1 to %d contexts, not %zu", function, Q_MAX_DEVICES, count);
    for (size_t k = 0; k < count; k++) {
        if (!contexts[k]) return q_fail_null(function, "a context");
        Q_TRY(q_session_check(contexts[k]->session));
        for (size_t other = 0; other < k; other++)
            if (contexts[other]->session == contexts[k]->session)
                return q_fail(QUERN_USAGE, "%s: contexts %zu and %zu are the same", function, other, k);
    }
    return QUERN_OK;
}

quern_status q_check_host(const char *function, const q_run *run)
{
    for (size_t v = 0; v < run->op->variable_count; v++)
        if (run->variables[v].array)
            return q_fail(QUERN_UNSUPPORTED, "%s: %s is an array of a device; give arrays of the host", function,
                          quern_variable(run->op, v).name);
    for (size_t r = 0; r < run->op->result_count; r++)
        if (run->results[r].array)
            return q_fail(QUERN_UNSUPPORTED, "%s: result %zu is an array of a device; give arrays of the host",
                          function, r);
    return QUERN_OK;
}

bool q_has_tables(const q_run *run)
{
    for (size_t s = 0; s < run->op->stages.count; s++)
        for (size_t a = 0; a < run->build->programs[s]->input_count; a++)
            if (run->build->programs[s]->inputs[a].table && run->build->programs[s]->inputs[a].axis) return true;
    return false;
}

/* What needs all rows at once, or has rows of several members. */
static quern_status check_shared(const char *function, const q_run *run)
{
    if (run->members > 1) {
        q_fail(QUERN_UNSUPPORTED, "%s: a batch runs on one device", function);
        q_fail_next_step(
            "give each device some of the members, in a run of its own (quern_run_in) on a thread of its own");
        return QUERN_UNSUPPORTED;
    }
    if (q_has_tables(run)) {
        q_fail(QUERN_UNSUPPORTED, "%s: a formula that picks rows of a table (Gather_i, Gather_j) runs on one device",
               function);
        q_fail_next_step("name one device, or pick the rows before the run and give them as a variable");
        return QUERN_UNSUPPORTED;
    }
    return q_check_host(function, run);
}

static quern_status share_ranges(q_run *run, const q_given *given, q_build *const *builds, size_t count,
                                 const quern_run_options *options)
{
    q_spaces spaces;
    quern_status status = q_spaces_make(&spaces, run, given, options);
    run->spaces = spaces.by_stage;
    if (!status) status = q_devices_run(run, builds, count);
    q_spaces_free(&spaces);
    return status;
}

quern_status q_run_shared(quern_operator *op, quern_context *const *contexts, size_t count, quern_args args,
                          quern_outs results, const quern_run_options *options)
{
    const char *function = options ? "quern_run_with" : "quern_run_on";
    const quern_ranges *ranges = options ? options->ranges : NULL;
    q_given given;
    q_build *builds[Q_MAX_DEVICES];
    q_run run;
    if (!op) return q_fail_null(function, "the operator");
    Q_TRY(check_contexts(function, contexts, count));
    for (size_t k = 0; k < count; k++) Q_TRY(q_build_find(&builds[k], op, contexts[k]));
    Q_TRY(q_run_check(&run, &given, builds[0], args, results, options));
    if (count == 1) return q_run_given(&run, &given, options);
    Q_TRY(check_shared(function, &run));
    Q_TRY(q_run_check_ranges(&run, ranges));
    if (ranges) return share_ranges(&run, &given, builds, count, options);
    return q_host_takes(&run) ? q_run_given(&run, &given, NULL) : q_devices_run(&run, builds, count);
}

quern_status quern_run_on(quern_operator *op, quern_context *const *contexts, size_t count, quern_args args,
                          quern_outs results)
{
    return q_run_shared(op, contexts, count, args, results, NULL);
}
