/*
 * options.c: the command line of quern-bench.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static void peer_describe(const bench_peer *peer)
{
    printf("  %-15s %s\n  %-15s on", peer->name, peer->about, "");
    for (size_t k = 0; k < BENCH_PEER_CASES && peer->cases[k]; k++) printf(" %s", peer->cases[k]);
    printf("\n");
}

void help_print(void)
{
    printf("quern-bench g3                        Gaussian sum, N = M = 20000, beside its peer `limit`\n"
           "quern-bench g3 g3-grad --n 5000       two cases at another size\n"
           "quern-bench g3 --json -               JSON on stdout; the table goes to stderr\n\n"
           "usage: quern-bench CASE... [--n N|large] [--arrays host|device] [--against PEER] [--repeat K] [--device D] "
           "[--profile SETTINGS] [--json FILE|-]\n\n"
           "  --n N           rows and columns, instead of the case's own; large: the case's size for GPUs\n"
           "  --arrays A      where quern's arrays are: host (default): calls copy them; device: they stay there\n"
           "  --against PEER  the peer (default: `limit` where it runs the case; `none`: no peer)\n"
           "  --repeat K      timed repetitions, 1 to %d (default 21)\n"
           "  --device D      as QUERN_DEVICE\n"
           "  --profile S     columns of cl/profiles.txt in place of the device's, such as \"matrix=0\"\n"
           "  --json FILE     all figures as JSON\n\ncases:\n",
           MAX_REPEAT);
    for (size_t k = 0; k < bench_case_count; k++)
        printf("  %-10s %-34s %s\n", bench_cases[k].name, bench_cases[k].about, bench_cases[k].formula);
    printf("\npeers:\n");
    for (size_t k = 0; k < bench_peer_count; k++) peer_describe(&bench_peers[k]);
    printf("\nPeers in Python run under BENCH_PYTHON (default python3); bench/peers/setup.sh makes one that has them.\n"
           "Last line: `ratio X`, quern's median time / the peer's (the largest over the cases); lower is better.\n"
           "The line before: `peer/quern X`, the same the other way round. Neither, if no peer could be run.\n"
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
    else if (!strcmp(name, "--profile")) options->profile = value;
    else if (!strcmp(name, "--arrays")) {
        options->resident = !strcmp(value, "device");
        if (!options->resident && strcmp(value, "host"))
            return usage_fail("bad --arrays", value, "give host or device");
    } else if (!strcmp(name, "--n") && !strcmp(value, "large")) options->large = true;
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

int options_parse(bench_options *options, int count, char **words)
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
