/*
 * cache.c: `quern cache`: what is kept on disk for later processes; clearing it, and filling it in advance.
 *
 * A list for `warm` has a formula per line, after the options that it has as in `quern explain`; so each line is parsed
 * as the words of a command. Lines that fail are told with their number, and the others go on.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "quern/cache.h"

enum { MAX_WORDS = 64 };

static double mebibytes(uint64_t bytes)
{
    return (double)bytes / (1024.0 * 1024.0);
}

// ---- look, clear ----

static void print_devices(void)
{
    quern_device *devices = NULL;
    size_t count = 0;

    if (quern_devices(&devices, &count)) return;
    for (size_t k = 0; k < count; k++)
        printf("device %s   %s: programs are kept %s\n", devices[k].selector, devices[k].name,
               devices[k].driver_caches ? "by the driver" : "here");
    quern_free(devices);
}

static quern_status look(void)
{
    quern_cache cache;

    if (quern_cache_look(&cache)) return cli_fail_quern(quern_last_error()->status, NULL);
    printf("directory    %s%s%s\n", *cache.path ? cache.path : "none", cache.fault ? ": " : "",
           cache.fault ? cache.fault : "");
    printf("programs     %" PRIu64 ", %.1f MiB of at most %.0f\n", cache.entries, mebibytes(cache.bytes),
           mebibytes(cache.limit));
    print_devices();
    return QUERN_OK;
}

static quern_status clear(void)
{
    quern_cache before;
    quern_status status = quern_cache_look(&before);

    if (!status) status = quern_cache_clear();
    if (status) return cli_fail_quern(status, NULL);
    printf("removed %" PRIu64 " programs, %.1f MiB, from %s\n", before.entries, mebibytes(before.bytes), before.path);
    return QUERN_OK;
}

// ---- warm ----

/* A line of the list. */
typedef struct request {
    const char *formula;
    quern_dtype dtype;
    int64_t m, n;
    cli_list grad;
} request;

/* Cuts the options off the beginning of a line: words[0] is taken, and behind them come "--" and the formula. */
static int split_line(char *line, char *words[MAX_WORDS])
{
    int count = 1;

    line += strspn(line, " \t");
    while (!strncmp(line, "--", 2) && count < MAX_WORDS - 4) {
        bool whole = false;
        for (int part = 0; part < 2 && !whole && *line; part++) { /* --M=5, or --M 5 */
            size_t size = strcspn(line, " \t");
            whole = memchr(line, '=', size) != NULL;
            words[count++] = line;
            line += size;
            if (*line) *line++ = '\0';
            line += strspn(line, " \t");
        }
    }
    words[count++] = "--";
    if (*line) words[count++] = line;
    return count;
}

static quern_status parse_line(char *line, request *r)
{
    const char *dtype = NULL, *m = NULL, *n = NULL;
    const cli_option options[] = {{.name = "--dtype", .text = &dtype},
                                  {.name = "--M", .text = &m},
                                  {.name = "--N", .text = &n},
                                  {.name = "--grad", .list = &r->grad}};
    char *words[MAX_WORDS] = {"cache"};
    int count = split_line(line, words);
    cli_list rest = {NULL, 0};
    quern_status status = cli_parse(count, words, options, CLI_COUNT(options), &rest);

    if (!status && rest.count != 1) status = cli_fail(QUERN_USAGE, "the options are followed by no formula");
    if (!status) r->formula = rest.items[0];
    if (!status) status = cli_parse_dtype(dtype, &r->dtype);
    if (!status) status = cli_parse_count(m, "--M", &r->m);
    if (!status) status = cli_parse_count(n, "--N", &r->n);
    free(rest.items);
    return status;
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static quern_status build(quern_context *context, const request *r)
{
    quern_operator *op = NULL;
    double start = seconds();
    quern_status status = quern_compile(&op, context, r->formula, NULL);

    if (status) cli_fail_quern(status, NULL);
    for (size_t k = 0; k < r->grad.count && !status; k++) status = cli_differentiate(&op, r->grad.items[k]);
    if (!status && (status = quern_prepare(op, r->dtype, r->m ? r->m : 1000, r->n ? r->n : 1000)))
        cli_fail_quern(status, NULL);
    if (!status) printf("%8.3f s  %s\n", seconds() - start, r->formula);
    fflush(stdout);
    quern_operator_destroy(&op);
    return status;
}

static quern_status warm_line(quern_context *context, const char *path, size_t number, char *line)
{
    request r = {0};
    quern_status status = QUERN_OK;

    line[strcspn(line, "\r\n")] = '\0';
    if (line[strspn(line, " \t")] && line[strspn(line, " \t")] != '#') {
        status = parse_line(line, &r);
        if (!status) status = build(context, &r);
        if (status) cli_fail(status, "in line %zu of %s", number, path);
    }
    free(r.grad.items);
    return status;
}

static quern_status warm(const char *path, const char *device, bool verbose)
{
    FILE *file = strcmp(path, "-") ? fopen(path, "r") : stdin;
    quern_context *context = NULL;
    quern_status first, status;
    char *line = NULL;
    size_t size = 0, number = 0;

    if (!file) return cli_fail(QUERN_IO, "%s cannot be read: %s", path, strerror(errno));
    first = cli_open(&context, device, verbose);
    while (context && getline(&line, &size, file) >= 0) {
        status = warm_line(context, path, ++number, line);
        if (!first) first = status;
    }
    if (!first && ferror(file)) first = cli_fail(QUERN_IO, "%s cannot be read", path);
    free(line);
    if (file != stdin) fclose(file);
    quern_context_destroy(&context);
    return first;
}

// ---- the command ----

quern_status cli_cache(int argc, char **argv)
{
    const char *device = NULL;
    bool verbose = false;
    const cli_option options[] = {{.name = "--device", .text = &device}, {.name = "--verbose", .flag = &verbose}};
    cli_list words = {NULL, 0};
    quern_status status = cli_parse(argc, argv, options, CLI_COUNT(options), &words);
    const char *verb = words.count ? words.items[0] : "";

    if (!status && !words.count && !device) status = look();
    else if (!status && words.count == 1 && !strcmp(verb, "clear") && !device) status = clear();
    else if (!status && words.count == 2 && !strcmp(verb, "warm")) status = warm(words.items[1], device, verbose);
    else if (!status)
        status = cli_fail(
            QUERN_USAGE, "it is `quern cache`, `quern cache clear` or `quern cache warm FILE`; see `quern help cache`");
    free(words.items);
    return status;
}
