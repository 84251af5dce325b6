/*
 * options.c: what all commands of the tool share: errors on stderr, words and options, opening a device, gradients.
 *
 * Invariant: a function that returns a status other than QUERN_OK has printed the reason, exactly once, unless it is that
 * the reader of stdout has left. Options are
 * rows of a table in each command; their values are borrowed from argv.
 */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cli.h"

/* ---- errors ----------------------------------------------------------------------------------------------------- */

static void tell(const char *fmt, va_list args)
{
    fputs("quern: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
}

quern_status cli_fail(quern_status status, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    tell(fmt, args);
    va_end(args);
    return status;
}

static bool quiet, json; /* --quiet, --json was given */
static const char *command = "";

bool cli_is_quiet(void)
{
    return quiet;
}

bool cli_prints_json(void)
{
    return json;
}

const char *cli_command_name(void)
{
    return command;
}

void cli_note(const char *fmt, ...)
{
    va_list args;

    if (quiet) return;
    va_start(args, fmt);
    tell(fmt, args);
    va_end(args);
}

quern_status cli_fail_quern(quern_status status, const char *about)
{
    const char *text = quern_last_error_text();
    size_t size = strlen(text);

    fprintf(stderr, "quern: %s%s%s%s", about ? about : "", about ? ": " : "", text,
            size && text[size - 1] == '\n' ? "" : "\n");
    return status;
}

quern_status cli_fail_memory(void)
{
    return cli_fail(QUERN_MEMORY, "the host's memory ran out; use smaller arrays or fewer results at once");
}

quern_status cli_print_json(json_t *root, size_t indent)
{
    int failed = !root || json_dumpf(root, stdout, JSON_INDENT(indent));

    putchar('\n');
    json_decref(root);
    return failed && !ferror(stdout) ? cli_fail_memory() : QUERN_OK;
}

json_t *cli_json_text(const char *text)
{
    json_t *value = json_string(text);
    return value ? value : json_string("(not UTF-8)");
}

json_t *cli_json_number(double number)
{
    return isfinite(number) ? json_real(number) : json_null();
}

bool cli_reader_left(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};

    return ferror(stdout) && poll(&out, 1, 0) == 1 && out.revents & (POLLERR | POLLHUP);
}

quern_status cli_finish(quern_status status)
{
    int failed = ferror(stdout);

    errno = 0;
    failed |= fflush(stdout);
    if (cli_reader_left()) return QUERN_IO;
    if (!failed || status) return status;
    return cli_fail(QUERN_IO, "stdout cannot be written%s%s; give it a reader or free some space", errno ? ": " : "",
                    errno ? strerror(errno) : "");
}

/* ---- guesses ----------------------------------------------------------------------------------------------------- */

enum { LONGEST = 31 };

/* Wagner and Fischer's table of distances between beginnings, of which one row is kept. */
size_t cli_distance(const char *a, const char *b)
{
    size_t row[LONGEST + 1], rows = strnlen(a, LONGEST), columns = strnlen(b, LONGEST);

    for (size_t k = 0; k <= columns; k++) row[k] = k;
    for (size_t i = 1; i <= rows; i++) {
        size_t diagonal = row[0]++;
        for (size_t k = 1; k <= columns; k++) {
            size_t best = diagonal + (strncasecmp(&a[i - 1], &b[k - 1], 1) != 0);
            if (row[k] + 1 < best) best = row[k] + 1;
            if (row[k - 1] + 1 < best) best = row[k - 1] + 1;
            diagonal = row[k];
            row[k] = best;
        }
    }
    return row[columns];
}

bool cli_is_near(size_t distance, const char *typed)
{
    return distance <= 1 + strnlen(typed, LONGEST) / 4;
}

/* ---- words and options ------------------------------------------------------------------------------------------ */

static quern_status list_add(cli_list *list, const char *item)
{
    const char **grown = realloc(list->items, (list->count + 1) * sizeof *grown);

    if (!grown) return cli_fail_memory();
    list->items = grown;
    list->items[list->count++] = item;
    return QUERN_OK;
}

/* A table of options and where their values go. */
typedef struct parser {
    const cli_option *options;
    size_t count;
    void *request;
} parser;

/* The option that the first `size` bytes of `word` name, or null. */
static const cli_option *find_option(const cli_option *options, size_t count, const char *word, size_t size)
{
    for (size_t k = 0; k < count; k++)
        if (strlen(options[k].name) == size && !memcmp(options[k].name, word, size)) return &options[k];
    return NULL;
}

static quern_status unknown_option(const char *word, const parser *p)
{
    const char *guess = NULL;
    size_t least = SIZE_MAX;

    for (size_t k = 0; k < p->count; k++) {
        size_t distance = cli_distance(word, p->options[k].name);
        if (distance < least && cli_is_near(distance, word)) least = distance, guess = p->options[k].name;
    }
    return cli_fail(QUERN_USAGE,
                    "%s has no option %s%s%s; see `quern help %s`\n"
                    "(a formula that begins with a minus sign goes after all options and `--`)",
                    command, word, guess ? "; did you mean " : "", guess ? guess : "", command);
}

static quern_status store(const cli_option *option, void *request, const char *value)
{
    char *target = (char *)request + option->at;

    if (option->kind == CLI_LIST) return list_add((cli_list *)target, value);
    if (*(const char **)target) return cli_fail(QUERN_USAGE, "option %s is given twice; keep one", option->name);
    *(const char **)target = value;
    return QUERN_OK;
}

/* Takes the option argv[*at], and its value if that is the next word. */
static quern_status take_option(int argc, char **argv, int *at, const parser *p)
{
    const char *word = argv[*at], *equals = strncmp(word, "--", 2) ? NULL : strchr(word, '=');
    size_t size = equals ? (size_t)(equals - word) : strlen(word);
    const cli_option *option = find_option(p->options, p->count, word, size);

    if (!option) return unknown_option(word, p);
    if (option->kind == CLI_FLAG) {
        if (equals) return cli_fail(QUERN_USAGE, "option %s takes no value", option->name);
        *(bool *)((char *)p->request + option->at) = true;
        quiet = quiet || !strcmp(option->name, "--quiet");
        json = json || !strcmp(option->name, "--json");
        return QUERN_OK;
    }
    if (equals) return store(option, p->request, equals + 1);
    if (*at + 1 >= argc)
        return cli_fail(QUERN_USAGE, "option %s needs a value; see `quern help %s`", option->name, argv[0]);
    return store(option, p->request, argv[++*at]);
}

quern_status cli_parse(int argc, char **argv, const cli_option *options, size_t count, void *request, cli_list *words)
{
    const parser p = {options, count, request};
    bool only_words = false;

    command = argv[0];
    for (int at = 1; at < argc; at++) {
        quern_status status = QUERN_OK;
        if (only_words || argv[at][0] != '-' || !argv[at][1]) status = list_add(words, argv[at]);
        else if (!strcmp(argv[at], "--")) only_words = true;
        else status = take_option(argc, argv, &at, &p);
        if (status) return status;
    }
    return QUERN_OK;
}

/* A text has no zero byte, so it ends where the file does. */
static quern_status read_text(char **text, const char *path)
{
    bool from_stdin = !strcmp(path, "-");
    FILE *file = from_stdin ? stdin : fopen(path, "rb");
    size_t room = 0;
    ssize_t size = 0;
    quern_status status = QUERN_OK;

    if (!file) return cli_fail(QUERN_IO, "the formula: cannot open '%s': %s", path, strerror(errno));
    errno = 0;
    size = getdelim(text, &room, '\0', file);
    if (ferror(file)) status = cli_fail(QUERN_IO, "the formula: %s cannot be read: %s", path, strerror(errno));
    else if (errno == ENOMEM) status = cli_fail_memory();
    else if (size <= 0) status = cli_fail(QUERN_USAGE, "the formula: %s is empty", path);
    else if (!(*text)[size - 1]) status = cli_fail(QUERN_USAGE, "the formula: %s is no text", path);
    if (!from_stdin) fclose(file);
    return status;
}

quern_status cli_formula_read(char **text, size_t *taken, const cli_list *words, const char *file)
{
    *taken = file == NULL;
    if (file) return read_text(text, file);
    if (words->items[0][0] == '@' && words->items[0][1]) return read_text(text, words->items[0] + 1);
    *text = strdup(words->items[0]);
    return *text ? QUERN_OK : cli_fail_memory();
}

quern_status cli_parse_dtype(const char *text, quern_dtype *dtype)
{
    *dtype = QUERN_NUMBER;
    if (!text) return QUERN_OK;
    if (!strcmp(text, "f32")) *dtype = QUERN_F32;
    else if (!strcmp(text, "f64")) *dtype = QUERN_F64;
    else return cli_fail(QUERN_USAGE, "--dtype takes f32 or f64, not '%s'", text);
    return QUERN_OK;
}

quern_status cli_parse_number(const char *text, const char *option, double *number)
{
    char *end;

    if (!text) return QUERN_OK;
    *number = strtod(text, &end);
    return end != text && !*end ? QUERN_OK : cli_fail(QUERN_USAGE, "%s takes a number, not '%s'", option, text);
}

quern_status cli_parse_positive(const char *text, const char *option, double *number)
{
    quern_status status = cli_parse_number(text, option, number);

    if (status || !text || *number > 0) return status;
    return cli_fail(QUERN_USAGE, "%s takes a number above 0, not '%s'", option, text);
}

static const char *value_of(const char *option, const cli_option *options, size_t count)
{
    for (size_t k = 0; k < count; k++)
        if (!strcmp(options[k].name, option)) return options[k].value;
    return "";
}

/* "a, b or c" of "a|b|c". */
static void list_words(char *out, size_t size, const char *words)
{
    size_t at = 0;
    for (out[0] = 0; *words && at + 4 < size; words++) {
        const char *between = *words != '|' ? NULL : strchr(words + 1, '|') ? ", " : " or ";
        if (!between) out[at++] = *words;
        else at += (size_t)snprintf(out + at, size - at, "%s", between);
        out[at] = 0;
    }
}

quern_status cli_parse_choice(const char *text, const char *option, const cli_option *options, size_t count,
                              int *choice)
{
    const char *words = value_of(option, options, count);
    char list[256];
    size_t size = text ? strlen(text) : 0;

    *choice = 0;
    if (!text) return QUERN_OK;
    for (const char *word = words; *word; ++*choice) {
        size_t length = strcspn(word, "|");
        if (length == size && !strncmp(word, text, size)) return QUERN_OK;
        word += length + (word[length] == '|');
    }
    list_words(list, sizeof list, words);
    return cli_fail(QUERN_USAGE, "%s takes %s, not '%s'", option, list, text);
}

static quern_status parse_whole(const char *text, const char *option, int64_t least, int64_t *number)
{
    char *end = NULL;
    long long value;

    *number = 0;
    if (!text) return QUERN_OK;
    errno = 0;
    value = strtoll(text, &end, 10);
    if (errno || end == text || *end || value < least)
        return cli_fail(QUERN_USAGE, "%s takes a whole number of at least %lld, not '%s'", option, (long long)least,
                        text);
    *number = value;
    return QUERN_OK;
}

quern_status cli_parse_count(const char *text, const char *option, int64_t *count)
{
    return parse_whole(text, option, 1, count);
}

quern_status cli_parse_seed(const char *text, uint64_t *seed)
{
    int64_t number;
    quern_status status = parse_whole(text, "--seed", 0, &number);

    *seed = (uint64_t)number;
    return status;
}

/* ---- devices and operators -------------------------------------------------------------------------------------- */

static void log_line(void *user, const char *line)
{
    (void)user;
    fprintf(stderr, "quern: %s\n", line);
}

/* Tells when a name fits devices that are not alike. */
static void tell_ambiguity(const quern_context *context, const char *wanted)
{
    const quern_device *taken = quern_context_device(context);
    quern_device *devices = NULL;
    size_t count = 0;
    char others[256] = "";

    if (!strcasecmp(wanted, taken->kind) || quern_devices(&devices, &count)) return;
    for (size_t k = 0, size = 0; k < count && size < sizeof others - 32; k++)
        if (quern_device_fits(&devices[k], wanted) &&
            (strcmp(devices[k].name, taken->name) || strcmp(devices[k].platform, taken->platform)))
            size +=
                (size_t)snprintf(others + size, sizeof others - size, "%s%s", size ? ", " : "", devices[k].selector);
    if (*others) cli_note("'%s' fits %s too; %s '%s' is taken", wanted, others, taken->selector, taken->name);
    quern_free(devices);
}

quern_status cli_open(quern_context **context, const cli_opening *open)
{
    const char *wanted = open->device && *open->device ? open->device : getenv("QUERN_DEVICE");
    quern_context_options options = {
        .size = sizeof options,
        .device = open->device,
        .log = open->verbose ? log_line : NULL,
        .progress = open->progress && (cli_progress_wanted() || cli_inputs_mapped()) ? cli_progress : NULL};
    quern_status status = quern_context_create(context, &options);

    if (status) return cli_fail_quern(status, NULL);
    if (wanted && *wanted) tell_ambiguity(*context, wanted);
    return QUERN_OK;
}

static quern_status differentiate(quern_operator **op, const char *text)
{
    quern_operator *gradient = NULL;
    char *variable = strdup(text), *comma = variable ? strchr(variable, ',') : NULL;
    quern_status status;

    if (!variable) return cli_fail_memory();
    if (comma) *comma = '\0';
    if (comma && !comma[1]) {
        status = cli_fail(QUERN_USAGE, "--grad %s names no weights after the comma", text);
    } else {
        status = quern_gradient(&gradient, *op, variable, comma ? comma + 1 : NULL);
        if (status) cli_fail_quern(status, "--grad");
    }
    free(variable);
    if (status) return status;
    quern_operator_destroy(op);
    *op = gradient;
    return QUERN_OK;
}

quern_status cli_differentiate(quern_operator **op, const cli_list *grad)
{
    quern_status status = QUERN_OK;

    for (size_t k = 0; k < grad->count && !status; k++) status = differentiate(op, grad->items[k]);
    return status;
}
