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

/* The cache, and which devices it serves. */
typedef struct view {
    quern_cache cache;
    quern_device *devices;
    size_t count;
} view;

static void print_text(const view *v)
{
    printf("directory    %s%s%s\n", *v->cache.path ? v->cache.path : "none", v->cache.fault ? ": " : "",
           v->cache.fault ? v->cache.fault : "");
    printf("programs     %" PRIu64 ", %.1f MiB of at most %.0f\n", v->cache.entries, mebibytes(v->cache.bytes),
           mebibytes(v->cache.limit));
    for (size_t k = 0; k < v->count; k++)
        printf("device %s   %s: programs are kept %s\n", v->devices[k].selector, v->devices[k].name,
               v->devices[k].driver_caches ? "by the driver" : "here");
}

static quern_status print_json(const view *v)
{
    json_t *list = json_array();

    for (size_t k = 0; k < v->count; k++)
        json_array_append_new(list, json_pack("{s:s, s:o, s:b}", "selector", v->devices[k].selector, "name",
                                              cli_json_text(v->devices[k].name), "driver_caches",
                                              v->devices[k].driver_caches));
    return cli_print_json(json_pack("{s:o, s:s?, s:I, s:I, s:I, s:o}", "path", cli_json_text(v->cache.path), "fault",
                                    v->cache.fault, "programs", (json_int_t)v->cache.entries, "bytes",
                                    (json_int_t)v->cache.bytes, "limit", (json_int_t)v->cache.limit, "devices", list),
                          2);
}

static quern_status look(bool json)
{
    view v = {.count = 0};
    quern_status status = QUERN_OK;

    if (quern_cache_look(&v.cache)) return cli_fail_quern(quern_last_error()->status, NULL);
    if (quern_devices(&v.devices, &v.count)) v.count = 0; /* `quern doctor` tells why */
    if (json) status = print_json(&v);
    else print_text(&v);
    quern_free(v.devices);
    return status;
}

static quern_status clear(void)
{
    quern_cache before;
    quern_status status = quern_cache_look(&before);

    if (!status) status = quern_cache_clear();
    if (status) return cli_fail_quern(status, NULL);
    printf("removed %" PRIu64 " program%s, %.1f MiB, from %s\n", before.entries, CLI_S(before.entries),
           mebibytes(before.bytes), before.path);
    return QUERN_OK;
}

// ---- warm ----

/* A line of the list. */
typedef struct request {
    const char *formula, *dtype_text, *m_text, *n_text;
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

static const cli_option line_options[] = {
    {"--dtype", CLI_TEXT, offsetof(request, dtype_text), "f32|f64", ""},
    {"--M", CLI_TEXT, offsetof(request, m_text), "N", ""},
    {"--N", CLI_TEXT, offsetof(request, n_text), "N", ""},
    CLI_GRAD(request),
};

static quern_status parse_line(char *line, request *r)
{
    char *words[MAX_WORDS] = {"cache"};
    int count = split_line(line, words);
    cli_list rest = {NULL, 0};
    quern_status status = cli_parse(count, words, line_options, CLI_COUNT(line_options), r, &rest);

    if (!status && rest.count != 1) status = cli_fail(QUERN_USAGE, "the options are followed by no formula");
    if (!status) r->formula = rest.items[0];
    if (!status) status = cli_parse_dtype(r->dtype_text, &r->dtype);
    if (!status) status = cli_parse_count(r->m_text, "--M", &r->m);
    if (!status) status = cli_parse_count(r->n_text, "--N", &r->n);
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
    if (!status) status = cli_differentiate(&op, &r->grad);
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

static quern_status warm(const char *path, const cli_opening *open)
{
    FILE *file = strcmp(path, "-") ? fopen(path, "r") : stdin;
    quern_context *context = NULL;
    quern_status first, status;
    char *line = NULL;
    size_t size = 0, number = 0;

    if (!file) return cli_fail(QUERN_IO, "%s cannot be read: %s", path, strerror(errno));
    first = cli_open(&context, open);
    while (context && !ferror(stdout) && getline(&line, &size, file) >= 0) {
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

typedef struct command {
    cli_opening open;
    bool json;
} command;

static const cli_option options[] = {
    {"--json", CLI_FLAG, offsetof(command, json), "",
     "of what is kept, without a word: print {path, fault, programs, bytes, limit,\n"
     "devices: [{selector, name, driver_caches}]}; fault is null where the directory can be used"},
    CLI_DEVICE(command),
    CLI_QUIET(command),
    CLI_VERBOSE(command)};

static quern_status run(int argc, char **argv)
{
    command c = {0};
    cli_list words = {NULL, 0};
    quern_status status = cli_parse(argc, argv, options, CLI_COUNT(options), &c, &words);
    const char *verb = words.count ? words.items[0] : "";

    if (!status && !words.count && !c.open.device) status = look(c.json);
    else if (!status && words.count == 1 && !strcmp(verb, "clear") && !c.open.device && !c.json) status = clear();
    else if (!status && words.count == 2 && !strcmp(verb, "warm") && !c.json) status = warm(words.items[1], &c.open);
    else if (!status)
        status = cli_fail(
            QUERN_USAGE, "it is `quern cache`, `quern cache clear` or `quern cache warm FILE`; see `quern help cache`");
    free(words.items);
    return status;
}

const cli_command cli_cache = {
    .name = "cache",
    .run = run,
    .sentence = "show, clear or fill the cache of compiled programs",
    .examples = "quern cache\n"
                "quern cache clear\n"
                "quern cache warm formulas.txt\n"
                "echo '--M 10000 x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y)))' | quern cache warm -\n",
    .synopsis = "[clear | warm FILE] [options]",
    .text =
        "Alone: says where quern keeps compiled programs for later processes, how many there are and how large they\n"
        "are, and for which devices it does so; many drivers keep them in a directory of their own.\n"
        "clear: removes them. Caches of drivers are not touched.\n"
        "warm FILE: builds the formulas of a file (- is stdin), one per line, so that later processes start at once,\n"
        "and prints the seconds that each took. A formula stands behind its options, which are those of\n"
        "`quern explain`: --dtype f32|f64, --M N, --N N, --grad X[,E]. Lines that begin with # are comments.\n",
    .words = "clear|warm",
    .options = options,
    .option_count = CLI_COUNT(options),
};
