/*
 * measure.c: times one case. Repetitions of quern and its peer alternate, so that both see the same machine; results
 * are first checked against float64 on some rows, as a fast wrong number is worth nothing. Times are those of whole
 * calls on host arrays, transfers, packing and threads included, or, if so asked, on arrays of the device until they are done.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"

/* A case with all that its measurement needs. */
typedef struct trial {
    outcome *out;
    quern_context *context;
    quern_operator *op;
    bench_problem problem;
    bench_resident resident; /* without arrays: those of the host are given */
    bench_session *session;  /* null: no peer */
    void *result;
} trial;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int double_compare(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Sorts them. */
static double median_of(double *values, int64_t count)
{
    qsort(values, (size_t)count, sizeof values[0], double_compare);
    return 0.5 * (values[(count - 1) / 2] + values[count / 2]);
}

static void timing_summarise(timing *t, int64_t count)
{
    t->median = median_of(t->seconds, count);
    t->least = t->seconds[0];
}

static bool quern_fail(const char *name)
{
    fprintf(stderr, "quern-bench: %s: %s\n", name, quern_last_error_text());
    return false;
}

static bool measure_fail(const char *name, const char *what)
{
    fprintf(stderr, "quern-bench: %s: %s\n", name, what);
    return false;
}

static bool accuracy_check(const char *name, double error, double tolerance)
{
    if (error <= tolerance) return true;
    fprintf(stderr, "quern-bench: %s: relative error %.2g exceeds %.2g\n", name, error, tolerance);
    return false;
}

static quern_status host_run(trial *t, int calls)
{
    const bench_problem *problem = &t->problem;
    const quern_view view = quern_view_of(t->result, problem->result_type, problem->m, problem->columns);
    quern_status status = QUERN_OK;
    for (int k = 0; k < calls && !status; k++)
        status = problem->which->call ? problem->which->call(t->context, problem, t->result)
                                      : bench_formula_run(t->op, problem, problem->args, view);
    return status;
}

/* The mean of `calls` calls of quern. */
static bool quern_time(double *seconds, trial *t, int calls)
{
    const double start = now();
    const quern_status status =
        t->resident.result ? bench_resident_run(&t->resident, t->op, &t->problem, calls) : host_run(t, calls);
    *seconds = (now() - start) / calls;
    return status == QUERN_OK || quern_fail(t->out->which->name);
}

/* The first two calls of quern, with the check of their result. */
static bool quern_warm(trial *t)
{
    outcome *out = t->out;
    double first;
    if (!quern_time(&first, t, 1) || !quern_time(&out->second, t, 1)) return false;
    out->first += first;
    if (t->resident.result && bench_resident_read(&t->resident, &t->problem, t->result))
        return quern_fail(out->which->name);
    out->quern.error = bench_error(&t->problem, t->result);
    return accuracy_check(out->which->name, out->quern.error, out->which->tolerance);
}

/* Starts the peer and checks its result. If it is missing, out->missing says why and the case goes on without. */
static bool peer_warm(trial *t, const char *device)
{
    outcome *out = t->out;
    char reason[BENCH_REASON];
    double ignored;
    t->session = bench_session_open(out->peer, &t->problem, device, reason);
    if (!t->session) {
        snprintf(out->missing, sizeof out->missing, "%.64s: %.180s", out->peer->name, reason);
        out->peer = NULL;
        return true;
    }
    snprintf(out->peer_about, sizeof out->peer_about, "%s", bench_session_about(t->session));
    if (!bench_session_run(t->session, &ignored) || !bench_session_error(t->session, &out->other.error))
        return measure_fail(out->peer->name, "could not run");
    return accuracy_check(out->peer->name, out->other.error, fmax(out->peer->tolerance, out->which->tolerance));
}

/* Threads of libgomp and OpenBLAS keep looking for work for tens of milliseconds after a call, at the cost of whoever runs
   next. So each side begins its turn when they have gone to sleep. */
static void settle(void)
{
    const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
    nanosleep(&pause, NULL);
}

static bool run_once(double *seconds, trial *t, bool peer)
{
    if (!peer) return quern_time(seconds, t, t->out->which->calls);
    return bench_session_run(t->session, seconds) || measure_fail(t->out->peer->name, "could not run again");
}

/* One side's turn: calls for a third of a second, at least two, of which the median counts without the first. After a pause
   a machine needs some time to come up to speed, which would be a large share of a single short call, but not of one that takes
   seconds: that is not made twice. */
static bool take_turn(double *seconds, trial *t, bool peer)
{
    enum { MOST = 64 };
    static const double long_enough = 10;
    double calls[MOST];
    int count = 0;
    if (t->session) settle();
    const double start = now();
    do
        if (!run_once(&calls[count++], t, peer)) return false;
    while (count < MOST && calls[0] < long_enough && (count < 2 || now() - start < 0.33));
    *seconds = count > 1 ? median_of(calls + 1, count - 1) : calls[0];
    return true;
}

static bool calls_repeat(trial *t, int64_t repeat)
{
    outcome *out = t->out;
    for (int64_t k = 0; k < repeat; k++) {
        if (!take_turn(&out->quern.seconds[k], t, false)) return false;
        if (t->session && !take_turn(&out->other.seconds[k], t, true)) return false;
    }
    timing_summarise(&out->quern, repeat);
    if (t->session) timing_summarise(&out->other, repeat);
    return true;
}

/* A trial with its operator compiled: makes the data, warms up, checks, repeats. */
static bool trial_run(trial *t, const bench_options *options, quern_context *context)
{
    outcome *out = t->out;
    const int64_t own = options->large ? out->which->large : out->which->n;
    if (!bench_problem_create(&t->problem, out->which, t->op, options->n ? options->n : own))
        return measure_fail(out->which->name, "no memory for its data; give a smaller --n");
    out->m = t->problem.m;
    out->n = t->problem.n;
    t->result = calloc(1, bench_result_size(&t->problem));
    if (!t->result) return measure_fail(out->which->name, "no memory for the result; give a smaller --n");
    if (options->resident && !out->which->call && !bench_resident_create(&t->resident, context, &t->problem))
        return quern_fail(out->which->name);
    return quern_warm(t) && (!out->peer || peer_warm(t, quern_context_device(context)->selector)) &&
           calls_repeat(t, options->repeat);
}

bool case_measure(outcome *out, quern_context *context, const bench_case *which, const bench_options *options)
{
    const bool alone = options->against && !strcmp(options->against, "none");
    *out = (outcome){.which = which, .peer = alone ? NULL : bench_peer_find(options->against, which->name)};
    trial t = {.out = out, .context = context};
    const double start = now();
    const quern_compile_options compiled = {.size = sizeof compiled, .profile = options->profile};
    if (quern_compile(&t.op, context, which->formula, &compiled)) return quern_fail(which->name);
    out->first = now() - start;
    const bool ok = trial_run(&t, options, context);
    bench_session_close(&t.session);
    free(t.result);
    bench_resident_destroy(&t.resident);
    bench_problem_destroy(&t.problem);
    quern_operator_destroy(&t.op);
    return ok;
}
