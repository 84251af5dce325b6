/*
 * tune.c: `quern tune`: learns how to generate for a device, and shows what was tried.
 *
 * An interrupt is noticed between two trials and ends the tuning with nothing written; a second one ends the process.
 */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "quern/tune.h"

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

typedef struct request {
    const char *seconds, *points;
    cli_opening open;
    bool json, dry_run;
    json_t *trials; /* with --json */
} request;

static const char *const verdicts[] = {[QUERN_BETTER] = "better",
                                       [QUERN_WORSE] = "not better",
                                       [QUERN_WRONG] = "WRONG",
                                       [QUERN_REFUSED] = "refused",
                                       [QUERN_BASELINE] = "baseline"};

/* ---- reports ---------------------------------------------------------------------------------------------------- */

static void print_trial(const quern_trial *trial)
{
    char ns[32] = "-", ratio[32] = "-";

    if (trial->ns > 0) snprintf(ns, sizeof ns, "%.4f", trial->ns);
    if (trial->ratio > 0) snprintf(ratio, sizeof ratio, "%.3f", trial->ratio);
    if (trial->column)
        printf("%-8s %5d  %9s  %7s  %s", trial->column, trial->value, ns, ratio, verdicts[trial->verdict]);
    else if (trial->verdict == QUERN_BASELINE) printf("shipped         %9s  %7s  the row to be beaten", ns, ratio);
    else printf("chosen          %9s  %7s  %s than the shipped row", ns, ratio, verdicts[trial->verdict]);
    if (*trial->formula) printf(": %s: %s", trial->formula, trial->reason);
    putchar('\n');
    fflush(stdout);
}

static json_t *json_trial(const quern_trial *trial)
{
    json_t *object = json_object();

    json_object_set_new(object, "column", trial->column ? json_string(trial->column) : json_null());
    json_object_set_new(object, "value", json_integer(trial->value));
    json_object_set_new(object, "verdict", json_string(verdicts[trial->verdict]));
    json_object_set_new(object, "ns", json_real(trial->ns));
    json_object_set_new(object, "ratio", json_real(trial->ratio));
    json_object_set_new(object, "formula", json_string(trial->formula));
    json_object_set_new(object, "reason", json_string(trial->reason));
    return object;
}

static bool report(void *user, const quern_trial *trial)
{
    request *r = user;

    if (r->json) json_array_append_new(r->trials, json_trial(trial));
    else print_trial(trial);
    return interrupted || ferror(stdout);
}

static quern_status print_json(const request *r, const quern_device *device, const quern_tuning *tuning)
{
    return cli_print_json(json_pack("{s:o, s:s, s:O, s:f, s:s, s:o}", "device", cli_json_text(device->name), "profile",
                                    device->profile, "trials", r->trials, "ratio", tuning->ratio, "row", tuning->row,
                                    "path", cli_json_text(tuning->path)),
                          2);
}

static void print_result(const quern_tuning *tuning)
{
    if (tuning->ratio < 1) printf("\n%.3f of the time of the shipped row\n\n%s", tuning->ratio, tuning->row);
    else printf("\nno row is better than the shipped one\n\n%s", tuning->row);
    printf(*tuning->path ? "\nwritten to %s\n" : "\na dry run: nothing is written%s\n", tuning->path);
}

/* ---- the command ------------------------------------------------------------------------------------------------ */

static quern_status parse_seconds(const char *text, double *seconds)
{
    char *end;

    if (!text) return QUERN_OK;
    *seconds = strtod(text, &end);
    if (end != text && !*end && *seconds > 0 && isfinite(*seconds)) return QUERN_OK;
    return cli_fail(QUERN_USAGE, "--seconds is a number above 0, not \"%s\"", text);
}

static const cli_option options[] = {
    {"--seconds", CLI_TEXT, offsetof(request, seconds), "S", "try nothing more after so long; 120 without it"},
    {"--points", CLI_TEXT, offsetof(request, points), "N",
     "M and N of the formulas; without it as many as can be timed well"},
    {"--dry-run", CLI_FLAG, offsetof(request, dry_run), "", "write nothing"},
    {"--json", CLI_FLAG, offsetof(request, json), "",
     "print {device, profile, trials: [{column, value, verdict, ns, ratio, formula,\n"
     "reason}], ratio, row, path}"},
    CLI_DEVICE(request),
    CLI_QUIET(request),
    CLI_VERBOSE(request),
};

static quern_status parse(int argc, char **argv, request *r, quern_tune_options *tune)
{
    cli_list words = {NULL, 0};
    quern_status status = cli_parse(argc, argv, options, CLI_COUNT(options), r, &words);

    if (!status && words.count) status = cli_fail(QUERN_USAGE, "tune takes no arguments, but got %s", words.items[0]);
    free(words.items);
    if (!status) status = parse_seconds(r->seconds, &tune->seconds);
    if (!status) status = cli_parse_count(r->points, "--points", &tune->points);
    tune->dry_run = r->dry_run;
    return status;
}

static quern_status tune_device(request *r, const quern_tune_options *tune, quern_context *context)
{
    const quern_device *device = quern_context_device(context);
    quern_tuning *tuning = NULL;
    quern_status status;

    if (!r->json) {
        printf("%s '%s', profile %s\n\n", device->selector, device->name, device->profile);
        printf("column   tried    ns/pair    ratio\n");
        fflush(stdout);
    }
    status = quern_tune(&tuning, context, tune);
    if (status && ferror(stdout)) return QUERN_OK; /* cli_finish tells what became of stdout */
    if (status && interrupted) /* also where the signal broke off a build: LLVM removes its files then */
        return cli_fail(QUERN_CANCELLED, "tuning was stopped; no row was written");
    if (status) return cli_fail_quern(status, NULL);
    if (r->json) status = print_json(r, device, tuning);
    else print_result(tuning);
    quern_free(tuning);
    return status;
}

static quern_status run(int argc, char **argv)
{
    struct sigaction stop = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    request r = {0};
    quern_tune_options tune = {.size = sizeof tune, .report = report, .user = &r};
    quern_context *context = NULL;
    quern_status status = parse(argc, argv, &r, &tune);

    /* before the device is opened: PoCL's LLVM then catches the signal too, and passes it on to who had it before */
    if (!status) sigaction(SIGINT, &stop, NULL);
    if (!status) status = cli_open(&context, &r.open);
    if (status) return status;
    r.trials = json_array();
    status = tune_device(&r, &tune, context);
    json_decref(r.trials);
    quern_context_destroy(&context);
    return status;
}

const cli_command cli_tune = {
    .name = "tune",
    .run = run,
    .sentence = "learn the best parameters for a device",
    .examples = "quern tune\n"
                "quern tune --seconds 30 --dry-run\n",
    .synopsis = "[options]",
    .text =
        "Learns which parameters of code generation are best on this device, from a set of formulas whose results are\n"
        "compared with a reference each time, and writes what it chose to QUERN_PROFILES, else to\n"
        "XDG_CONFIG_HOME/quern/profiles, else to ~/.config/quern/profiles. From then on the device is used so, until\n"
        "its driver changes. Let the machine do nothing else meanwhile.\n"
        "In the table, ns/pair is the mean over the formulas, ratio the time beside that of the best row before, over\n"
        "the formulas that the parameter concerns.\n",
    .words = "",
    .options = options,
    .option_count = CLI_COUNT(options),
};
