/*
 * table.c: tables of numbers as text (CSV): one row a line, columns separated by commas, semicolons, tabs or blanks.
 *
 * What is accepted: a byte order mark, LF, CRLF or CR, empty lines, "quoted" fields, comments from a # at the start of a
 * line or after a blank, a delimiter at the end of all lines, nan and inf, and a header: a first line without a number.
 * What is not a number, and what is missing, is told with its line and column; nothing is guessed.
 *
 * Lines are read one at a time, so a table needs the memory of its numbers and of one line.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli.h"

enum { LONGEST_LINE = 1 << 24 };

typedef struct table {
    FILE *file;
    const char *name, *path; /* for messages */
    char *line;              /* the present one, ended by a 0 */
    size_t size, line_capacity;
    long number;    /* of the line, from 1 */
    char delimiter; /* 0 until a line has told it */
    double *values;
    size_t count, capacity, columns; /* 0 columns: no row yet */
    long first;                      /* line of the first row or header, which the others are compared with */
    bool has_header;
} table;

/* Starts the message of a failure: "x: points.csv, line 3". */
#define FAIL_AT(t, status, format, ...) \
    cli_fail(status, "%s: %s, line %ld" format, (t)->name, (t)->path, (t)->number, __VA_ARGS__)

static quern_status fail_memory(const table *t)
{
    return cli_fail(QUERN_MEMORY,
                    "%s: %s: the host's memory ran out after %zu numbers (line %ld); give fewer rows at once", t->name,
                    t->path, t->count, t->number);
}

/* ---- lines ------------------------------------------------------------------------------------------------------ */

static bool grow(void *data, size_t *capacity, size_t need, size_t size)
{
    void **block = data, *grown;
    size_t wanted = *capacity ? *capacity : 256;

    if (need <= *capacity) return true;
    while (wanted < need) wanted *= 2;
    grown = wanted <= SIZE_MAX / size ? realloc(*block, wanted * size) : NULL;
    if (!grown) return false;
    *block = grown;
    *capacity = wanted;
    return true;
}

/* Reads the next line without its end. False at the end of the file or after a failure. */
static bool next_line(table *t, quern_status *status)
{
    int c = getc(t->file);

    t->size = 0;
    if (c == EOF) return false;
    t->number++;
    for (; c != EOF && c != '\n' && c != '\r'; c = getc(t->file)) {
        if (c < ' ' && c != '\t') *status = FAIL_AT(t, QUERN_IO, " has the byte %d: this is no text", c);
        else if (t->size >= LONGEST_LINE) *status = FAIL_AT(t, QUERN_LIMIT, " is longer than %d bytes", LONGEST_LINE);
        else if (!grow(&t->line, &t->line_capacity, t->size + 2, 1)) *status = fail_memory(t);
        if (*status) return false;
        t->line[t->size++] = (char)c;
    }
    if (c == '\r' && (c = getc(t->file)) != '\n') ungetc(c, t->file);
    if (!grow(&t->line, &t->line_capacity, t->size + 1, 1)) *status = fail_memory(t);
    else t->line[t->size] = 0;
    return !*status;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Where a comment begins, or the line ends. */
static char *find_comment(char *line)
{
    bool quoted = false;

    for (char *c = line; *c; c++) {
        quoted ^= *c == '"';
        if (*c == '#' && !quoted && (c == line || is_blank(c[-1]))) return c;
    }
    return line + strlen(line);
}

/* The first of the usual delimiters that occurs; blanks if none does. */
static char find_delimiter(const char *line)
{
    for (const char *d = "\t;,"; *d; d++)
        if (strchr(line, *d)) return *d;
    return ' ';
}

/* The part of the line that has fields: no byte order mark, comment, blanks at its ends. */
static char *trim_line(table *t)
{
    char *line = t->line, *end;

    if (t->number == 1 && !strncmp(line, "\xEF\xBB\xBF", 3)) line += 3;
    end = find_comment(line);
    while (end > line && end[-1] == ' ') end--;
    *end = 0;
    while (*line == ' ') line++;
    return line[strspn(line, " \t")] ? line : end;
}

/* ---- fields ----------------------------------------------------------------------------------------------------- */

typedef enum kind { NUMBER, EMPTY, WORDS, UNCLOSED } kind;

typedef struct field {
    const char *text;
    int size;
    kind kind;
    double value;
} field;

static void judge(field *f)
{
    char *end;

    f->value = strtod(f->text, &end);
    f->kind = !f->size ? EMPTY : end == f->text + f->size ? NUMBER : WORDS;
}

/* Reads the field at *at and moves to the next one, or to null after the last. */
static field next_field(const char **at, char delimiter)
{
    const char stops[] = {delimiter, delimiter == ' ' ? '\t' : delimiter, 0}, *from = *at, *end;
    field f = {0};

    while (*from && is_blank(*from) && *from != delimiter) from++;
    f.text = from;
    if (*from == '"') {
        f.text++;
        end = strchr(f.text, '"');
        while (end && end[1] == '"') end = strchr(end + 2, '"');
        f.size = end ? (int)(end - f.text) : (int)strlen(f.text);
        from = end ? end + 1 : f.text + f.size;
        f.kind = UNCLOSED;
        if (end) judge(&f);
        from += strspn(from, " ");
        end = from + strcspn(from, stops);
        if (end > from) f = (field){f.text - 1, (int)(end - f.text + 1), WORDS, 0};
    } else {
        end = from + strcspn(from, stops);
        f.size = (int)(end - from);
        while (f.size && is_blank(from[f.size - 1])) f.size--;
        judge(&f);
    }
    if (delimiter == ' ') end += strspn(end, " \t");
    *at = !*end ? NULL : delimiter == ' ' ? end : end + 1;
    return f;
}

static quern_status fail_field(const table *t, const field *f, size_t column)
{
    if (f->kind == EMPTY)
        return FAIL_AT(t, QUERN_IO, ", column %zu is empty; write nan where a number is missing", column);
    if (f->kind == UNCLOSED) return FAIL_AT(t, QUERN_IO, ", column %zu: the quote is not closed", column);
    return FAIL_AT(t, QUERN_IO, ", column %zu: \"%.*s\" is not a number%s", column, f->size < 40 ? f->size : 40,
                   f->text, memchr(f->text, ',', (size_t)f->size) ? "; write a decimal point" : "");
}

static quern_status fail_columns(const table *t, size_t columns)
{
    return FAIL_AT(t, QUERN_IO, " has %zu column%s, but line %ld has %zu", columns, CLI_S(columns), t->first,
                   t->columns);
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

/* The number of fields without an empty one behind the last delimiter, and whether none of them is a number. */
static size_t count_fields(const table *t, const char *line, bool *words)
{
    size_t columns = 0;
    field f = {0};

    *words = false;
    for (const char *at = line; at; columns++) {
        f = next_field(&at, t->delimiter);
        if (f.kind == NUMBER) {
            *words = false;
            for (columns++; at; columns++) f = next_field(&at, t->delimiter);
            break;
        }
        *words |= f.kind == WORDS;
    }
    return f.kind == EMPTY && columns > 1 ? columns - 1 : columns;
}

/* Learns the delimiter and the number of columns from the first line that has any; true if it is a header. */
static bool read_first(table *t, const char *line)
{
    t->delimiter = find_delimiter(line);
    t->first = t->number;
    t->columns = count_fields(t, line, &t->has_header);
    return t->has_header;
}

static quern_status read_row(table *t, const char *line)
{
    size_t column = 0;

    if (!t->columns && read_first(t, line)) return QUERN_OK;
    if (!grow(&t->values, &t->capacity, t->count + t->columns, sizeof *t->values)) return fail_memory(t);
    for (const char *at = line; at;) {
        field f = next_field(&at, t->delimiter);
        if (column++ >= t->columns) {
            bool words;
            if (!at && f.kind == EMPTY) return QUERN_OK; /* behind a last delimiter */
            return fail_columns(t, count_fields(t, line, &words));
        }
        if (f.kind)
            return !at && f.kind == EMPTY && column < t->columns ? fail_columns(t, column - 1)
                                                                 : fail_field(t, &f, column);
        t->values[t->count++] = f.value;
    }
    return column == t->columns ? QUERN_OK : fail_columns(t, column);
}

quern_status cli_table_read(quern_view *view, FILE *file, const char *name, const char *path, long *line)
{
    table t = {.file = file, .name = name, .path = path};
    quern_status status = QUERN_OK;

    while (!status && next_line(&t, &status)) {
        const char *text = trim_line(&t);
        if (*text) status = read_row(&t, text);
    }
    if (!status && ferror(file)) status = cli_fail(QUERN_IO, "%s: %s cannot be read: %s", name, path, strerror(errno));
    if (!status && !t.count)
        status =
            cli_fail(QUERN_IO, "%s: %s has %s", name, path, t.has_header ? "a header but no numbers" : "no numbers");
    free(t.line);
    *line = t.first;
    if (status) free(t.values);
    else *view = quern_f64(t.values, (int64_t)(t.count / t.columns), (int64_t)t.columns);
    return status;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

/* The shortest of the usual forms that reads back as the same number. */
static void write_real(FILE *file, double value, quern_dtype dtype)
{
    char text[64];
    int digits = dtype == QUERN_F32 ? 6 : 15;

    if (isnan(value)) value = NAN; /* some print the sign of a NaN, which means nothing */
    for (;; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (digits >= (dtype == QUERN_F32 ? 9 : 17)) break;
        if (dtype == QUERN_F32 ? strtof(text, NULL) == (float)value : strtod(text, NULL) == value) break;
    }
    fputs(text, file);
}

void cli_table_write(FILE *file, const quern_view *view, char delimiter)
{
    for (int64_t r = 0; r < view->rows; r++) {
        for (int64_t c = 0; c < view->columns; c++) {
            int64_t k = r * view->columns + c;
            if (c) putc(delimiter, file);
            if (view->dtype == QUERN_I64) fprintf(file, "%" PRId64, ((const int64_t *)view->data)[k]);
            else write_real(file, cli_element(view, k), view->dtype);
        }
        putc('\n', file);
    }
}

char cli_table_delimiter(const char *path)
{
    const char *dot = strrchr(path, '.');

    if (!dot) return 0;
    return !strcasecmp(dot, ".csv") ? ',' : !strcasecmp(dot, ".tsv") ? '\t' : 0;
}
