/*
 * quern-bench.c: times quern on the cases of cases.c, each beside a peer in the same run. Repetitions of the two
 * alternate, so that both see the same machine; results are first checked against float64 on some rows, as a fast wrong
 * number is worth nothing. Times are those of whole calls on host arrays: transfers, packing and threads included.
 *
 * The last line on stdout is `ratio X`: quern's median time divided by the peer's (1 is parity, lower is better). With
 * several cases it is the largest of their ratios; without any peer there is no such line.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <quern.h>

#include "cases.h"
#include "limit.h"

enum { EXIT_MEASURE = 1, EXIT_USAGE = 2, MAX_REPEAT = 1000, MAX_CASES = 64 };

typedef struct bench_options {
    const bench_case *cases[MAX_CASES];
    size_t case_count;
    const char *against, *device, *json;
    int64_t n, repeat;
} bench_options;

/* Whole calls of one competitor. */
typedef struct timing {
    double seconds[MAX_REPEAT], median, least, error;
} timing;

typedef struct outcome {
    const bench_case *which;
    const bench_peer *peer; /* or null */
    int64_t m, n;
    double first, second; /* quern: compile + first run; second run */
    timing quern, other;
} outcome;

/* ---- the command line ------------------------------------------------------------------------------------------- */

static void help_print(void)
{
    printf("quern-bench g3                        Gaussian sum, N = M = 20000, beside its peer `limit`\n"
           "quern-bench g3 g3-grad --n 5000       two cases at another size\n"
           "quern-bench g3 --json -               JSON on stdout; the table goes to stderr\n\n"
           "usage: quern-bench CASE... [--n N] [--against PEER] [--repeat K] [--device D] [--json FILE|-]\n\n"
           "  --n N           rows and columns, instead of the case's own\n"
           "  --against PEER  the peer (default: the case's first, if it has any; `none`: no peer)\n"
           "  --repeat K      timed repetitions, 1 to %d (default 21)\n"
           "  --device D      as QUERN_DEVICE\n"
           "  --json FILE     all figures as JSON\n\ncases:\n",
           MAX_REPEAT);
    for (size_t k = 0; k < bench_case_count; k++)
        printf("  %-10s %-34s %s\n", bench_cases[k].name, bench_cases[k].about, bench_cases[k].formula);
    printf("\npeers:\n");
    for (size_t k = 0; k < bench_peer_count; k++)
        printf("  %-10s on %-10s (%s)\n", bench_peers[k].name, bench_peers[k].on, bench_peers[k].about());
    printf("\nLast line: `ratio X`, quern's median time / the peer's (the largest over the cases); lower is better.\n"
           "Exit status: 0 measured, 1 quern or the peer failed or was inaccurate, 2 wrong usage.\n");
}

static int usage_fail(const char *what, const char *word, const char *hint)
{
    fprintf(stderr, "quern-bench: %s '%s'; %s\n", what, word, hint);
    return EXIT_USAGE;
}

static bool integer_parse(int64_t *out, const char *text, int64_t most)
{
    char *end;
    errno = 0;
    const long long value = strtoll(text, &end, 10);
    *out = value;
    return !errno && end != text && !*end && value >= 1 && value <= most;
}

/* Stores the value of one option. */
static int option_set(bench_options *options, const char *name, const char *value)
{
    if (!strcmp(name, "--against")) options->against = value;
    else if (!strcmp(name, "--device")) options->device = value;
    else if (!strcmp(name, "--json")) options->json = value;
    else if (!strcmp(name, "--n")) {
        if (!integer_parse(&options->n, value, 100000000)) return usage_fail("bad --n", value, "give 1 to 100000000");
    } else if (!strcmp(name, "--repeat")) {
        if (!integer_parse(&options->repeat, value, MAX_REPEAT)) return usage_fail("bad --repeat", value, "see --help");
    } else return usage_fail("unknown option", name, "quern-bench --help lists them");
    return 0;
}

static int case_add(bench_options *options, const char *name)
{
    const bench_case *found = bench_case_find(name);
    if (!found) return usage_fail("unknown case", name, "quern-bench --help lists them");
    if (options->case_count == MAX_CASES) return usage_fail("too many cases, from", name, "give at most 64");
    options->cases[options->case_count++] = found;
    return 0;
}

/* A peer that is named must exist and be able to run every case. */
static int peer_check(const bench_options *options)
{
    const char *name = options->against;
    if (!name || !strcmp(name, "none")) return 0;
    if (!bench_peer_known(name)) return usage_fail("unknown peer", name, "quern-bench --help lists them");
    for (size_t k = 0; k < options->case_count; k++)
        if (!bench_peer_find(name, options->cases[k]->name))
            return usage_fail("this peer does not run case", options->cases[k]->name, "leave one of them out");
    return 0;
}

static int options_parse(bench_options *options, int count, char **words)
{
    for (int k = 1; k < count; k++) {
        int status;
        if (strncmp(words[k], "--", 2)) status = case_add(options, words[k]);
        else if (k + 1 == count) status = usage_fail("unknown option or no value for", words[k], "see --help");
        else {
            status = option_set(options, words[k], words[k + 1]);
            k++;
        }
        if (status) return status;
    }
    if (!options->case_count) return usage_fail("no case given to", words[0], "quern-bench --help lists them");
    return peer_check(options);
}

/* ---- measuring -------------------------------------------------------------------------------------------------- */

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

static void timing_summarise(timing *t, int64_t count)
{
    qsort(t->seconds, (size_t)count, sizeof t->seconds[0], double_compare);
    t->least = t->seconds[0];
    t->median = 0.5 * (t->seconds[(count - 1) / 2] + t->seconds[count / 2]);
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

static bool quern_time(double *seconds, quern_operator *op, const bench_problem *problem, void *result)
{
    const quern_args args = {.data = problem->args, .count = problem->count};
    const quern_view view = {result, problem->m, problem->columns, problem->which->dtype, 0};
    const double start = now();
    const quern_status status = quern_run(op, args, view);
    *seconds = now() - start;
    return status == QUERN_OK || quern_fail(problem->which->name);
}

static bool peer_time(double *seconds, const bench_peer *peer, const bench_problem *problem, void *result)
{
    const double start = now();
    const bool ok = peer->run(problem, result);
    *seconds = now() - start;
    return ok || measure_fail(peer->name, "could not run");
}

/* The first two calls of quern and one of the peer, with the check of their results. */
static bool calls_warm(outcome *out, quern_operator *op, const bench_problem *problem, void *result)
{
    double first, ignored;
    if (!quern_time(&first, op, problem, result) || !quern_time(&out->second, op, problem, result)) return false;
    out->first += first;
    out->quern.error = bench_error(problem, result);
    if (!(out->quern.error <= problem->which->tolerance)) {
        fprintf(stderr, "quern-bench: %s: relative error %.2g exceeds %.2g\n", problem->which->name, out->quern.error,
                problem->which->tolerance);
        return false;
    }
    if (!out->peer) return true;
    if (!peer_time(&ignored, out->peer, problem, result)) return false;
    out->other.error = bench_error(problem, result);
    return out->other.error <= problem->which->tolerance || measure_fail(out->peer->name, "its result is inaccurate");
}

static bool calls_repeat(outcome *out, quern_operator *op, const bench_problem *problem, void *result, int64_t repeat)
{
    for (int64_t k = 0; k < repeat; k++) {
        if (!quern_time(&out->quern.seconds[k], op, problem, result)) return false;
        if (out->peer && !peer_time(&out->other.seconds[k], out->peer, problem, result)) return false;
    }
    timing_summarise(&out->quern, repeat);
    if (out->peer) timing_summarise(&out->other, repeat);
    return true;
}

/* One case with its operator compiled: makes the data, warms up, checks, repeats. */
static bool operator_measure(outcome *out, quern_operator *op, const bench_options *options)
{
    bench_problem problem;
    if (!bench_problem_create(&problem, out->which, op, options->n ? options->n : out->which->n))
        return measure_fail(out->which->name, "no memory for its data; give a smaller --n");
    out->m = problem.m;
    out->n = problem.n;
    void *result = calloc((size_t)(problem.m * problem.columns), bench_element_size(out->which->dtype));
    const bool ok = result ? calls_warm(out, op, &problem, result) &&
                                 calls_repeat(out, op, &problem, result, options->repeat)
                           : measure_fail(out->which->name, "no memory for the result; give a smaller --n");
    free(result);
    bench_problem_destroy(&problem);
    return ok;
}

static bool case_measure(outcome *out, quern_context *context, const bench_case *which, const bench_options *options)
{
    const bool alone = options->against && !strcmp(options->against, "none");
    *out = (outcome){.which = which, .peer = alone ? NULL : bench_peer_find(options->against, which->name)};
    quern_operator *op = NULL;
    const double start = now();
    if (quern_compile(&op, context, which->formula, NULL)) return quern_fail(which->name);
    out->first = now() - start;
    const bool ok = operator_measure(out, op, options);
    quern_operator_destroy(&op);
    return ok;
}

/* ---- reporting -------------------------------------------------------------------------------------------------- */

static double pair_time(const outcome *out, double seconds) { return seconds * 1e9 / (double)out->m / (double)out->n; }

static double outcome_ratio(const outcome *out) { return out->quern.median / out->other.median; }

static void header_print(FILE *to, const quern_device *device, const bench_options *options)
{
    fprintf(to, "device %s (%s), profile %s; limit: %s, %d threads\n", device->name, device->selector, device->profile,
            limit_kind(), limit_threads());
    fprintf(to, "medians and minima of %lld calls each, in turn\n", (long long)options->repeat);
    fprintf(to, "%-9s %8s %8s | %9s %9s %8s | %-7s %9s %9s %8s | %7s | %8s %8s\n", "case", "M", "N", "ns/pair", "least",
            "error", "peer", "ns/pair", "least", "error", "ratio", "first s", "second s");
}

static void outcome_print(FILE *to, const outcome *out)
{
    fprintf(to, "%-9s %8lld %8lld | %9.4f %9.4f %8.1e | ", out->which->name, (long long)out->m, (long long)out->n,
            pair_time(out, out->quern.median), pair_time(out, out->quern.least), out->quern.error);
    if (out->peer)
        fprintf(to, "%-7s %9.4f %9.4f %8.1e | %7.3f", out->peer->name, pair_time(out, out->other.median),
                pair_time(out, out->other.least), out->other.error, outcome_ratio(out));
    else fprintf(to, "%-7s %9s %9s %8s | %7s", "-", "-", "-", "-", "-");
    fprintf(to, " | %8.4f %8.4f\n", out->first, out->second);
    fflush(to);
}

static json_t *timing_json(const outcome *out, const timing *t)
{
    return json_pack("{s:f, s:f, s:f, s:f}", "median_s", t->median, "min_s", t->least, "ns_per_pair",
                     pair_time(out, t->median), "error", t->error);
}

static json_t *outcome_json(const outcome *out)
{
    json_t *json = json_pack("{s:s, s:s, s:I, s:I, s:f, s:f, s:o}", "case", out->which->name, "formula",
                             out->which->formula, "M", (json_int_t)out->m, "N", (json_int_t)out->n, "first_s",
                             out->first, "second_s", out->second, "quern", timing_json(out, &out->quern));
    if (json && out->peer) {
        json_object_set_new(json, "peer", json_string(out->peer->name));
        json_object_set_new(json, out->peer->name, timing_json(out, &out->other));
        json_object_set_new(json, "ratio", json_real(outcome_ratio(out)));
    }
    return json;
}

/* The document that --json writes: the run, and a list of cases to fill. */
static json_t *document_create(const quern_device *device, const bench_options *options)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:i, s:[]}", "version", quern_version(), "device", device->name,
                     "driver", device->driver, "profile", device->profile, "repeat", (json_int_t)options->repeat,
                     "limit_kind", limit_kind(), "limit_threads", limit_threads(), "cases");
}

static bool document_write(const json_t *document, const char *path)
{
    FILE *to = strcmp(path, "-") ? fopen(path, "w") : stdout;
    bool ok = to && !json_dumpf(document, to, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) && fputc('\n', to) != EOF;
    if (to) ok = (to == stdout ? fflush(to) : fclose(to)) == 0 && ok;
    return ok || measure_fail(path, "cannot be written");
}

/* ---- the run ---------------------------------------------------------------------------------------------------- */

static bool cases_run(quern_context *context, const bench_options *options, json_t *document, outcome *out)
{
    FILE *to = options->json && !strcmp(options->json, "-") ? stderr : stdout;
    double ratio = 0;
    header_print(to, quern_context_device(context), options);
    for (size_t k = 0; k < options->case_count; k++) {
        if (!case_measure(out, context, options->cases[k], options)) return false;
        outcome_print(to, out);
        json_array_append_new(json_object_get(document, "cases"), outcome_json(out));
        if (out->peer && outcome_ratio(out) > ratio) ratio = outcome_ratio(out);
    }
    if (options->json && !document_write(document, options->json)) return false;
    if (ratio > 0) fprintf(to, "ratio %.3f\n", ratio);
    return true;
}

int main(int count, char **words)
{
    bench_options options = {.repeat = 21};
    for (int k = 1; k < count; k++)
        if (!strcmp(words[k], "--help")) return help_print(), 0;
    const int status = options_parse(&options, count, words);
    if (status) return status;

    quern_context *context = NULL;
    const quern_context_options how = {.size = sizeof how, .device = options.device};
    if (quern_context_create(&context, &how)) return quern_fail("device"), EXIT_MEASURE;
    outcome *out = malloc(sizeof *out);
    json_t *document = document_create(quern_context_device(context), &options);
    const bool ok = out && document ? cases_run(context, &options, document, out) : measure_fail("start", "no memory");
    json_decref(document);
    free(out);
    quern_context_destroy(&context);
    return ok ? 0 : EXIT_MEASURE;
}
