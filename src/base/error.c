/*
 * error.c: the per-thread record behind quern_last_error(), and the words for statuses.
 *
 * Invariant: every status other than QUERN_OK that leaves the library was made here, so none is without a message. The
 * record and its texts have a fixed size and live in thread-local storage: failing never allocates, nothing has to be
 * released when a thread ends, and a failure for want of memory can be told like any other. Texts that do not fit are
 * cut and end in "...".
 *
 * The arguments of q_fail() may point into the present record (a caller that rephrases an inner failure), so a new
 * message is composed beside the old one before it replaces it.
 */
#include <stdio.h>
#include <string.h>

#include "base/base.h"

enum {
    EXCERPT = 96, /* bytes of a formula's line that are shown around the caret */
};

static _Thread_local quern_error record = {
    .message = "", .formula = "", .at = -1, .caret = "", .build = "", .next_step = ""};

static _Thread_local struct {
    char message[2048];
    char formula[2048];
    char caret[2 * EXCERPT + 16];
    char build[512];
    char next_step[1024];
    char whole[4096]; /* room for all of the above but the formula, with labels */
} texts;

_Static_assert(sizeof texts.whole >
                   sizeof texts.message + sizeof texts.caret + sizeof texts.build + sizeof texts.next_step + 64,
               "the whole text must hold its parts");

/* ---- statuses and version --------------------------------------------------------------------------------------- */

const char *quern_status_name(quern_status status)
{
    switch (status) {
#define QUERN_STATUS(name, value, text) \
    case QUERN_##name:                  \
        return #name;
#include "quern/status.def"
#undef QUERN_STATUS
    }
    return "UNKNOWN";
}

const char *quern_status_text(quern_status status)
{
    switch (status) {
#define QUERN_STATUS(name, value, text) \
    case QUERN_##name:                  \
        return text;
#include "quern/status.def"
#undef QUERN_STATUS
    }
    return "not a status of this version of quern";
}

const char *quern_version(void)
{
    return QUERN_VERSION;
}

/* ---- excerpts of a formula -------------------------------------------------------------------------------------- */

/* The bytes first..end of a formula: the line that holds `at`, or the part of it that is worth showing. */
typedef struct excerpt {
    size_t first, end;
    bool cut_before, cut_after;
} excerpt;

static bool inside_character(char byte)
{
    return ((unsigned char)byte & 0xC0) == 0x80; /* a continuation byte of UTF-8 */
}

static excerpt excerpt_around(const char *formula, size_t at)
{
    size_t first = at, end = at + strcspn(formula + at, "\n");
    while (first > 0 && formula[first - 1] != '\n') first--;
    excerpt part = {first, end, false, false};
    if (end - first <= EXCERPT) return part;
    if (at - first > EXCERPT / 2) part.first = end - at < EXCERPT / 2 ? end - EXCERPT : at - EXCERPT / 2;
    if (end - part.first > EXCERPT) part.end = part.first + EXCERPT;
    while (part.first < at && inside_character(formula[part.first])) part.first++;
    while (part.end > at && inside_character(formula[part.end])) part.end--;
    part.cut_before = part.first > first;
    part.cut_after = part.end < end;
    return part;
}

/* Writes the excerpt, a line break and a caret under byte `at`, one column per character. */
static void draw_caret(char *out, const char *formula, excerpt part, size_t at)
{
    size_t column = part.cut_before ? 3 : 0;
    char *p = out;
    if (part.cut_before) p = (char *)memcpy(p, "...", 3) + 3;
    for (size_t i = part.first; i < part.end; i++) {
        bool control = (unsigned char)formula[i] < ' ' || formula[i] == 0x7F;
        *p++ = control ? ' ' : formula[i];
        column += i < at && !inside_character(formula[i]);
    }
    if (part.cut_after) p = (char *)memcpy(p, "...", 3) + 3;
    *p++ = '\n';
    memset(p, ' ', column);
    p[column] = '^';
    p[column + 1] = 0;
}

static void keep_formula(const char *formula, size_t size, excerpt part)
{
    if (size >= sizeof texts.formula) formula += part.first, size = part.end - part.first;
    memmove(texts.formula, formula, size);
    texts.formula[size] = 0;
    record.formula = texts.formula;
}

/* ---- failing ---------------------------------------------------------------------------------------------------- */

static void compose(char *out, size_t size, const char *fmt, va_list args) Q_PRINTF(3, 0);
static void compose(char *out, size_t size, const char *fmt, va_list args)
{
    int length = vsnprintf(out, size, fmt, args);
    if (length < 0) out[0] = 0;
    else if ((size_t)length >= size) memcpy(out + size - 4, "...", 4);
}

static void start_record(quern_status status, const char *fmt, va_list args) Q_PRINTF(2, 0);
static void start_record(quern_status status, const char *fmt, va_list args)
{
    char message[sizeof texts.message];
    compose(message, sizeof message, fmt, args);
    memcpy(texts.message, message, strlen(message) + 1);
    record = (quern_error){
        .status = status, .message = texts.message, .formula = "", .at = -1, .caret = "", .build = "", .next_step = ""};
}

quern_status q_fail(quern_status status, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    start_record(status, fmt, args);
    va_end(args);
    return status;
}

quern_status q_fail_at(quern_status status, const char *formula, size_t at, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    start_record(status, fmt, args);
    va_end(args);
    size_t size = strlen(formula);
    if (at > size) at = size;
    excerpt part = excerpt_around(formula, at);
    draw_caret(texts.caret, formula, part, at);
    keep_formula(formula, size, part);
    record.at = (int64_t)at;
    record.caret = texts.caret;
    return status;
}

quern_status q_fail_null(const char *function, const char *what)
{
    quern_status status = q_fail(QUERN_USAGE, "%s: %s is null", function, what);
    q_fail_next_step("handles are null after a failure: look at the status of the call that was to make it");
    return status;
}

quern_status q_fail_memory(size_t size)
{
    return q_fail(QUERN_MEMORY, "out of host memory: %zu bytes could not be allocated", size);
}

quern_status q_fail_file(const char *verb, const char *path, int code)
{
    char reason[128];
    if (strerror_r(code, reason, sizeof reason)) snprintf(reason, sizeof reason, "error %d", code);
    return q_fail(QUERN_IO, "cannot %s '%s': %s", verb, path, reason);
}

void q_fail_next_step(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    compose(texts.next_step, sizeof texts.next_step, fmt, args);
    va_end(args);
    record.next_step = texts.next_step;
}

void q_fail_cl(int code)
{
    record.cl_code = code;
}

/* ---- build logs ------------------------------------------------------------------------------------------------- */

/* The first line that speaks of an error, else the first that is not empty. */
static const char *telling_line(const char *log, size_t *size)
{
    const char *best = log;
    *size = 0;
    for (const char *line = log; *line;) {
        size_t length = strcspn(line, "\r\n");
        bool error = q_contains(line, length, "error");
        if (error || (!*size && length)) best = line, *size = length;
        if (error) break;
        line += length + strspn(line + length, "\r\n");
    }
    return best;
}

/* Finds the name of a file with its directory, as in "error: /some/cache/tempfile_aB3x.cl:7:3: ...". Such a name is
   that of the driver's own copy of the source, different at each run; names that come from quern's #line have no
   directory. */
static size_t find_path(const char *line, size_t size, size_t *end)
{
    size_t first = 0, colon = 0;
    while (colon + 1 < size && !(line[colon] == ':' && line[colon + 1] >= '0' && line[colon + 1] <= '9')) colon++;
    while (first < colon && line[first] != '/') first++;
    *end = colon + 1 < size && first < colon ? colon : 0;
    while (first > 0 && line[first - 1] != ' ') first--;
    return *end ? first : 0;
}

void q_fail_build_log(const char *log)
{
    size_t size, end;
    const char *line = telling_line(log, &size);
    if (size > sizeof texts.build - 16) size = sizeof texts.build - 16;
    size_t first = find_path(line, size, &end);
    snprintf(texts.build, sizeof texts.build, "%.*s%s%.*s", (int)first, line, end ? "program.cl" : "",
             (int)(size - end), line + end);
    record.build = texts.build;
}

/* ---- failures of other threads ---------------------------------------------------------------------------------- */

void q_failure_keep(q_failure *out)
{
    out->status = record.status;
    out->cl_code = record.cl_code;
    snprintf(out->message, sizeof out->message, "%s", record.message);
    snprintf(out->build, sizeof out->build, "%s", record.build);
    snprintf(out->next_step, sizeof out->next_step, "%s", record.next_step);
}

quern_status q_failure_tell(const q_failure *failure, const char *where)
{
    q_fail(failure->status, "%s%s%s", where, *where ? ": " : "", failure->message);
    q_fail_cl(failure->cl_code);
    if (*failure->next_step) q_fail_next_step("%s", failure->next_step);
    memcpy(texts.build, failure->build, sizeof texts.build);
    record.build = texts.build;
    return failure->status;
}

static const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

quern_status quern_error_set(const quern_error *error)
{
    q_failure failure = {.status = QUERN_OK};
    if (!error) return q_fail_null("quern_error_set", "the error");
    if (!error->status) return q_fail(QUERN_USAGE, "quern_error_set: the status is QUERN_OK");
    failure.status = error->status;
    failure.cl_code = error->cl_code;
    snprintf(failure.message, sizeof failure.message, "%s", text_or_empty(error->message));
    snprintf(failure.build, sizeof failure.build, "%s", text_or_empty(error->build));
    snprintf(failure.next_step, sizeof failure.next_step, "%s", text_or_empty(error->next_step));
    return q_failure_tell(&failure, "");
}

/* ---- asking ----------------------------------------------------------------------------------------------------- */

const quern_error *quern_last_error(void)
{
    return &record;
}

/* Appends a line "label" + text to the whole text, which has room for all its parts. */
static char *add_line(char *p, const char *label, const char *text, size_t size)
{
    if (p > texts.whole) *p++ = '\n';
    return p + snprintf(p, sizeof texts.whole - (size_t)(p - texts.whole), "%s%.*s", label, (int)size, text);
}

const char *quern_last_error_text(void)
{
    const char *message = *record.message ? record.message : quern_status_text(record.status);
    char *p = add_line(texts.whole, "", message, strlen(message));
    if (*record.caret) {
        size_t line = strcspn(record.caret, "\n");
        p = add_line(p, "    ", record.caret, line);
        p = add_line(p, "    ", record.caret + line + 1, strlen(record.caret + line + 1));
    }
    if (*record.build) p = add_line(p, "device compiler: ", record.build, strlen(record.build));
    if (*record.next_step) add_line(p, "next step: ", record.next_step, strlen(record.next_step));
    return texts.whole;
}
