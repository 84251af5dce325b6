/*
 * report.c: what quern-bench says: a table as it goes, and one JSON document.
 */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "limit.h"

/* The load average of the last minute: how much else the machine does. -1: unknown. */
static double load_now(void)
{
    double load;
    return getloadavg(&load, 1) == 1 ? load : -1;
}

static double pair_time(const outcome *out, double seconds)
{
    return seconds * 1e9 / (double)out->m / (double)out->n;
}

double outcome_ratio(const outcome *out)
{
    return out->quern.median / out->other.median;
}

void header_print(FILE *to, const quern_device *device, const bench_options *options)
{
    fprintf(to, "device %s (%s), profile %s; limit: %s, %d threads\n", device->name, device->selector, device->profile,
            limit_kind(), limit_threads());
    fprintf(to, "medians of %lld repetitions each, in turn, arrays of the %s; load average at the start %.2f\n",
            (long long)options->repeat, options->resident ? "device" : "host", load_now());
    fprintf(to, "%-9s %7s %7s | %9s %9s %9s %7s | %-15s %9s %9s %9s %7s | %10s %10s | %7s %8s\n", "case", "M", "N",
            "ms/call", "ns/pair", "least", "error", "peer", "ms/call", "ns/pair", "least", "error", "quern/peer",
            "peer/quern", "first s", "second s");
}

static void timing_print(FILE *to, const outcome *out, const timing *t)
{
    fprintf(to, "%9.4f %9.4f %9.4f %7.1e", t->median * 1e3, pair_time(out, t->median), pair_time(out, t->least),
            t->error);
}

void outcome_print(FILE *to, const outcome *out)
{
    if (out->missing[0]) fprintf(to, "skipped: %s\n", out->missing);
    if (out->peer) fprintf(to, "%s: %s\n", out->peer->name, out->peer_about);
    fprintf(to, "%-9s %7lld %7lld | ", out->which->name, (long long)out->m, (long long)out->n);
    timing_print(to, out, &out->quern);
    fprintf(to, " | %-15s ", out->peer ? out->peer->name : "-");
    if (out->peer) {
        timing_print(to, out, &out->other);
        fprintf(to, " | %10.3f %10.3f", outcome_ratio(out), 1 / outcome_ratio(out));
    } else fprintf(to, "%9s %9s %9s %7s | %10s %10s", "-", "-", "-", "-", "-", "-");
    fprintf(to, " | %7.4f %8.4f\n", out->first, out->second);
    fflush(to);
}

static json_t *timing_json(const outcome *out, const timing *t)
{
    return json_pack("{s:f, s:f, s:f, s:f}", "median_s", t->median, "min_s", t->least, "ns_per_pair",
                     pair_time(out, t->median), "error", t->error);
}

void document_add(json_t *document, const outcome *out)
{
    json_t *json = json_pack("{s:s, s:s, s:I, s:I, s:f, s:f, s:o}", "case", out->which->name, "formula",
                             out->which->formula, "M", (json_int_t)out->m, "N", (json_int_t)out->n, "first_s",
                             out->first, "second_s", out->second, "quern", timing_json(out, &out->quern));
    if (json && out->missing[0]) json_object_set_new(json, "skipped", json_string(out->missing));
    if (json && out->peer) {
        json_object_set_new(json, "peer", json_string(out->peer->name));
        json_object_set_new(json, "peer_about", json_string(out->peer_about));
        json_object_set_new(json, out->peer->name, timing_json(out, &out->other));
        json_object_set_new(json, "ratio", json_real(outcome_ratio(out)));
        json_object_set_new(json, "peer_over_quern", json_real(1 / outcome_ratio(out)));
    }
    json_array_append_new(json_object_get(document, "cases"), json);
}

/* The document that --json writes: the run, and a list of cases to fill. */
json_t *document_create(const quern_device *device, const bench_options *options)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:i, s:f, s:[]}", "version", quern_version(), "device",
                     device->name, "driver", device->driver, "profile", device->profile, "arrays",
                     options->resident ? "device" : "host", "repeat", (json_int_t)options->repeat, "limit_kind",
                     limit_kind(), "limit_threads", limit_threads(), "load", load_now(), "cases");
}

bool document_write(const json_t *document, const char *path)
{
    FILE *to = strcmp(path, "-") ? fopen(path, "w") : stdout;
    bool ok = to && !json_dumpf(document, to, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) && fputc('\n', to) != EOF;
    if (to) ok = (to == stdout ? fflush(to) : fclose(to)) == 0 && ok;
    if (!ok) fprintf(stderr, "quern-bench: %s: cannot be written\n", path);
    return ok;
}
