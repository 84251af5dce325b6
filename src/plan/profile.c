/*
 * profile.c: rows of text that say how to generate for a kind of device: cl/profiles.txt and what `quern tune` has
 * tuned, in one format, which cl/profiles.txt explains. Columns are a table here; a new one is a row of it, a member of
 * q_profile and a value in the row `default`.
 *
 * A row's own text is applied over its parent's, so a row states what differs. A tuned row carries the key of the
 * device it was learned on and is of use there alone.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan/plan.h"

enum { MOST_ANCESTORS = 8 };

/* All that a row can state. */
typedef struct entry {
    q_profile profile;
    q_profile_key key;
    int format;
} entry;

typedef enum kind { WHOLE, POWER_OF_TWO, TEXT } kind;

/* Whole numbers from `least` to `most`; texts of at most `most` bytes. */
static const struct column {
    const char *name;
    size_t offset;
    kind kind;
    int least, most;
} columns[] = {
    {"lanes32", offsetof(entry, profile.lanes32), POWER_OF_TWO, 1, 16},
    {"lanes64", offsetof(entry, profile.lanes64), POWER_OF_TWO, 1, 16},
    {"rows", offsetof(entry, profile.rows), WHOLE, 1, 64},
    {"local", offsetof(entry, profile.local), WHOLE, 1, 1024},
    {"long_local", offsetof(entry, profile.long_local), WHOLE, 0, 1024},
    {"staged_cols", offsetof(entry, profile.staged_cols), WHOLE, 0, 1024},
    {"groups", offsetof(entry, profile.groups_per_unit), WHOLE, 1, 1024},
    {"waves", offsetof(entry, profile.waves), WHOLE, 1, 64},
    {"launch_ms", offsetof(entry, profile.launch_ms), WHOLE, 1, 10000},
    {"vector_math", offsetof(entry, profile.vector_math), WHOLE, 0, Q_MATH_PTX},
    {"min_k", offsetof(entry, profile.min_k), WHOLE, 0, 65536},
    {"min_rhs", offsetof(entry, profile.min_rhs), WHOLE, 0, 65536},
    {"rhs_registers", offsetof(entry, profile.rhs_registers), POWER_OF_TWO, 1, 256},
    {"reg_m", offsetof(entry, profile.reg_m), WHOLE, 1, 16},
    {"reg_tiles", offsetof(entry, profile.reg_tiles), WHOLE, 1, 16},
    {"reg_n", offsetof(entry, profile.reg_n), WHOLE, 1, 32},
    {"tile_k", offsetof(entry, profile.tile_k), WHOLE, 0, 32},
    {"max_registers", offsetof(entry, profile.max_registers), WHOLE, 0, 1024},
    {"matrix", offsetof(entry, profile.matrix), WHOLE, 0, Q_MATRIX_COUNT - 1},
    {"sub_group", offsetof(entry, profile.sub_group), WHOLE, 0, 64},
    {"max_cols_per_item", offsetof(entry, profile.max_cols_per_item), WHOLE, 0, INT_MAX},
    {"speed", offsetof(entry, profile.speed), WHOLE, 1, INT_MAX},
    /* the key of a tuned row */
    {"device", offsetof(entry, key.device), TEXT, 0, Q_KEY_TEXT - 1},
    {"vendor", offsetof(entry, key.vendor), TEXT, 0, Q_KEY_TEXT - 1},
    {"driver", offsetof(entry, key.driver), TEXT, 0, Q_KEY_TEXT - 1},
    {"format", offsetof(entry, format), WHOLE, 0, INT_MAX},
};
enum { FIRST_OF_KEY = Q_COUNT(columns) - 4 };
_Static_assert(Q_COUNT(columns) <= 32, "a bit for each column");

// ---- lines ----

/* Where a text is being read. */
typedef struct reader {
    const char *at, *where; /* where: the name of the text, for messages */
    int line;
} reader;

/* The head of a row: its first line up to the settings. */
typedef struct head {
    char name[32], parent[32]; /* parent: "" for none */
    reader settings;
} head;

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
}

static quern_status fail_at(const reader *r, const char *what)
{
    int size = (int)strcspn(r->at, " \t\r\n");
    if (!size) return q_fail(QUERN_USAGE, "%s, line %d: %s is expected", r->where, r->line, what);
    return q_fail(QUERN_USAGE, "%s, line %d: %s is expected where '%.*s' stands", r->where, r->line, what,
                  size < 40 ? size : 40, r->at);
}

static void skip_line(reader *r)
{
    r->at += strcspn(r->at, "\n");
    if (*r->at) r->at++, r->line++;
}

static void skip_blanks(reader *r)
{
    while (is_blank(*r->at)) r->at++;
}

static bool read_name(reader *r, char out[32])
{
    size_t size = 0;
    while (is_name_char(r->at[size])) size++;
    if (!size || size > 31) return false;
    memcpy(out, r->at, size);
    out[size] = 0;
    r->at += size;
    return true;
}

/* Moves to the next row; r->at stands at the text's end when there is none. */
static void find_head(reader *r)
{
    while (is_blank(*r->at) || *r->at == '#' || *r->at == '\n') skip_line(r);
}

static quern_status read_head(reader *r, head *out)
{
    *out = (head){.settings = *r};
    if (!read_name(r, out->name)) return fail_at(r, "the name of a row, of at most 31 letters, digits, _, - and .,");
    skip_blanks(r);
    if (*r->at == ':') {
        r->at++;
        skip_blanks(r);
        if (!read_name(r, out->parent)) return fail_at(r, "the name of the row's parent");
    }
    out->settings = *r;
    skip_line(r);
    return QUERN_OK;
}

// ---- settings ----

/* Moves to the next setting of the row; false at the row's end. */
static bool find_setting(reader *r)
{
    for (skip_blanks(r); *r->at == '#' || *r->at == '\n'; skip_blanks(r)) {
        r->at += strcspn(r->at, "\n");
        bool goes_on = *r->at && (is_blank(r->at[1]) || r->at[1] == '#' || r->at[1] == '\n');
        if (!goes_on) return false;
        r->at++, r->line++;
    }
    return *r->at != 0;
}

static quern_status fail_column(const reader *r, const char *name)
{
    q_text names = {0};
    q_fail(QUERN_USAGE, "%s, line %d: there is no column '%s'", r->where, r->line, name);
    for (size_t c = 0; c < FIRST_OF_KEY; c++) q_text_add(&names, "%s%s", c ? ", " : "", columns[c].name);
    q_fail_next_step("the columns are %s", names.data ? names.data : "");
    q_text_free(&names);
    return QUERN_USAGE;
}

static quern_status read_number(reader *r, const struct column *column, int *out)
{
    char *end;
    errno = 0;
    long value = *r->at >= '0' && *r->at <= '9' ? strtol(r->at, &end, 10) : -1;
    bool ends = value >= 0 && (!*end || is_blank(*end) || *end == '\n');
    bool fits = ends && !errno && value >= column->least && value <= column->most;
    if (fits && (column->kind == WHOLE || !(value & (value - 1)))) {
        *out = (int)value;
        r->at = end;
        return QUERN_OK;
    }
    int size = (int)strcspn(r->at, " \t\r\n");
    return q_fail(QUERN_USAGE, "%s, line %d: %s can be %s from %d to %d, not '%.*s'", r->where, r->line, column->name,
                  column->kind == WHOLE ? "a whole number" : "a power of two", column->least, column->most,
                  size < 40 ? size : 40, r->at);
}

static quern_status read_quoted(reader *r, const struct column *column, char *out)
{
    size_t size = *r->at == '"' ? strcspn(r->at + 1, "\"\n") : 0;
    if (*r->at != '"' || r->at[1 + size] != '"' || size > (size_t)column->most)
        return q_fail(QUERN_USAGE, "%s, line %d: %s is a text in quotes of at most %d bytes", r->where, r->line,
                      column->name, column->most);
    memcpy(out, r->at + 1, size);
    out[size] = 0;
    r->at += size + 2;
    return QUERN_OK;
}

/* `stated`: bits of the columns that the row has stated so far. */
static quern_status read_setting(reader *r, entry *out, uint32_t *stated)
{
    char name[32];
    size_t c = 0;
    reader start = *r;
    if (!read_name(r, name) || *r->at != '=') return fail_at(&start, "a setting such as rows=4");
    r->at++;
    while (c < Q_COUNT(columns) && strcmp(columns[c].name, name) != 0) c++;
    if (c == Q_COUNT(columns)) return fail_column(r, name);
    if (*stated >> c & 1) return q_fail(QUERN_USAGE, "%s, line %d: %s is stated twice", r->where, r->line, name);
    *stated |= 1u << c;
    void *value = (char *)out + columns[c].offset;
    return columns[c].kind == TEXT ? read_quoted(r, &columns[c], value) : read_number(r, &columns[c], value);
}

static quern_status read_settings(reader *r, entry *out, uint32_t *stated)
{
    *stated = 0;
    while (find_setting(r)) Q_TRY(read_setting(r, out, stated));
    return QUERN_OK;
}

// ---- rows ----

/* The first row of this name; *found is false, with QUERN_OK, if there is none. */
static quern_status find_row(const char *text, const char *where, const char *name, head *out, bool *found)
{
    reader r = {text, where, 1};
    *found = false;
    for (find_head(&r); *r.at && !*found; find_head(&r)) {
        Q_TRY(read_head(&r, out));
        *found = strcmp(out->name, name) == 0;
    }
    return QUERN_OK;
}

static quern_status check_complete(const head *row, uint32_t stated)
{
    for (size_t c = 0; c < FIRST_OF_KEY; c++)
        if (!(stated >> c & 1))
            return q_fail(QUERN_USAGE, "%s, line %d: the row %s has no parent and must state %s", row->settings.where,
                          row->settings.line, row->name, columns[c].name);
    return QUERN_OK;
}

/* What a row says once its ancestors, in the same text, are applied before it. */
static quern_status resolve(const char *text, const head *row, entry *out)
{
    head line[MOST_ANCESTORS] = {*row};
    size_t count = 1;
    uint32_t stated;
    for (bool found; *line[count - 1].parent; count++) {
        const head *child = &line[count - 1];
        if (count == MOST_ANCESTORS)
            return q_fail(QUERN_USAGE, "%s, line %d: the row %s has more than %d ancestors, or is its own",
                          row->settings.where, row->settings.line, row->name, MOST_ANCESTORS - 1);
        Q_TRY(find_row(text, row->settings.where, child->parent, &line[count], &found));
        if (!found)
            return q_fail(QUERN_USAGE, "%s, line %d: the row %s has the parent %s, which is not there",
                          row->settings.where, child->settings.line, child->name, child->parent);
    }
    *out = (entry){.format = 0};
    for (size_t n = count; n-- > 0;) {
        Q_TRY(read_settings(&line[n].settings, out, &stated));
        if (n == count - 1) Q_TRY(check_complete(&line[n], stated));
    }
    memcpy(out->profile.name, row->name, sizeof out->profile.name);
    return QUERN_OK;
}

quern_status q_profiles_check(const char *text, const char *where)
{
    reader r = {text, where, 1};
    head row;
    entry ignored;
    for (find_head(&r); *r.at; find_head(&r)) {
        Q_TRY(read_head(&r, &row));
        Q_TRY(resolve(text, &row, &ignored));
    }
    return QUERN_OK;
}

bool q_profile_find(q_profile *out, const char *name)
{
    const char *text = q_cl_file("profiles"), *const names[] = {name, "default"};
    for (size_t n = 0; n < Q_COUNT(names); n++) {
        head row;
        entry found;
        bool is_there;
        if (find_row(text, "the shipped profiles", names[n], &row, &is_there) || !is_there) continue;
        if (resolve(text, &row, &found)) continue; /* never: a test reads all rows */
        *out = found.profile;
        return n == 0;
    }
    return false;
}

void q_profile_names(q_text *out)
{
    reader r = {q_cl_file("profiles"), "the shipped profiles", 1};
    const char *comma = "";
    head row;
    for (find_head(&r); *r.at && !read_head(&r, &row); find_head(&r), comma = ", ")
        q_text_add(out, "%s%s", comma, row.name);
}

quern_status q_profile_set(q_profile *profile, const char *settings, const char *where)
{
    entry changed = {.profile = *profile};
    reader r = {settings, where, 1};
    uint32_t stated;
    Q_TRY(read_settings(&r, &changed, &stated));
    if (*r.at || stated >> FIRST_OF_KEY) return fail_at(&r, "one line of settings, without a key,");
    *profile = changed.profile;
    return QUERN_OK;
}

static int number_in(const entry *row, size_t column)
{
    return *(const int *)((const char *)row + columns[column].offset);
}

void q_profile_settings(q_text *out, const q_profile *profile)
{
    const entry row = {.profile = *profile};
    for (size_t c = 0; c < FIRST_OF_KEY; c++)
        q_text_add(out, "%s%s=%d", c ? " " : "", columns[c].name, number_in(&row, c));
}

int q_profile_get(const q_profile *profile, const char *column)
{
    const entry row = {.profile = *profile};
    for (size_t c = 0; c < FIRST_OF_KEY; c++)
        if (strcmp(columns[c].name, column) == 0) return number_in(&row, c);
    return -1;
}

// ---- tuned rows ----

/* The key of a row alone: its other settings may be those of another version. */
static quern_status read_key(reader r, entry *out)
{
    uint32_t stated = 0;
    *out = (entry){.format = 0};
    while (find_setting(&r)) {
        char name[32];
        reader start = r;
        size_t c = FIRST_OF_KEY;
        bool named = read_name(&r, name) && *r.at == '=';
        while (named && c < Q_COUNT(columns) && strcmp(columns[c].name, name) != 0) c++;
        if (!named) return fail_at(&start, "a setting such as rows=4");
        if (c < Q_COUNT(columns)) Q_TRY(read_setting(&start, out, &stated));
        if (c < Q_COUNT(columns)) r = start;
        else r.at += strcspn(r.at, " \t\r\n");
    }
    if (stated >> FIRST_OF_KEY == (1u << (Q_COUNT(columns) - FIRST_OF_KEY)) - 1) return QUERN_OK;
    return fail_at(&r, "a key of device, vendor, driver and format");
}

static bool is_device(const q_profile_key *a, const q_profile_key *b)
{
    return strcmp(a->device, b->device) == 0 && strcmp(a->vendor, b->vendor) == 0;
}

static quern_status read_tuned(q_profile *out, const head *row)
{
    entry tuned = {.format = 0};
    reader settings = row->settings;
    uint32_t stated;
    if (!q_profile_find(&tuned.profile, row->parent))
        return q_fail(QUERN_USAGE, "%s, line %d: the row %s has the parent '%s', which is no shipped profile",
                      row->settings.where, row->settings.line, row->name, row->parent);
    Q_TRY(read_settings(&settings, &tuned, &stated));
    *out = tuned.profile;
    memcpy(out->name, row->name, sizeof out->name);
    return QUERN_OK;
}

quern_status q_profile_tuned(q_profile *out, const char *text, const char *where, const q_profile_key *key,
                             const char **refusal)
{
    reader r = {text, where, 1};
    head row;
    entry found;
    size_t size = strlen(text);
    *refusal = "it has no row for this device";
    if (size && text[size - 1] != '\n') return q_fail(QUERN_USAGE, "%s: the last line is cut off", where);
    for (find_head(&r); *r.at; find_head(&r)) {
        Q_TRY(read_head(&r, &row));
        Q_TRY(read_key(row.settings, &found));
        if (!is_device(&found.key, key)) continue;
        if (found.format != Q_PROFILE_FORMAT) *refusal = "its row for this device is of another version of quern";
        else if (strcmp(found.key.driver, key->driver) != 0)
            *refusal = "its row for this device was learned with another driver";
        else {
            *refusal = NULL;
            return read_tuned(out, &row);
        }
    }
    return QUERN_OK;
}

static void copy_key_text(char out[Q_KEY_TEXT], const char *text)
{
    size_t size = 0;
    for (; text[size] && size < Q_KEY_TEXT - 1; size++) {
        unsigned char c = (unsigned char)text[size];
        out[size] = c < ' ' || c == '"' || c == 127 ? '_' : (char)c;
    }
    out[size] = 0;
}

q_profile_key q_profile_key_of(const quern_device *device)
{
    q_profile_key key;
    copy_key_text(key.device, device->name);
    copy_key_text(key.vendor, device->vendor);
    copy_key_text(key.driver, device->driver);
    return key;
}

void q_profile_write(q_text *out, const q_profile *profile, const q_profile *parent, const q_profile_key *key)
{
    const entry row = {*profile, *key, Q_PROFILE_FORMAT}, usual = {.profile = *parent};
    q_text_add(out, "%.22s-tuned : %s", parent->name, parent->name);
    for (size_t c = 0; c < Q_COUNT(columns); c++) {
        if (c == FIRST_OF_KEY) q_text_add(out, "\n   ");
        if (columns[c].kind == TEXT)
            q_text_add(out, " %s=\"%s\"", columns[c].name, (const char *)&row + columns[c].offset);
        else if (number_in(&row, c) != number_in(&usual, c))
            q_text_add(out, " %s=%d", columns[c].name, number_in(&row, c));
    }
    q_text_add(out, "\n");
}

quern_status q_profiles_without(q_text *out, const char *text, const char *where, const q_profile_key *key)
{
    reader r = {text, where, 1};
    head row;
    entry found;
    for (find_head(&r); *r.at;) {
        const char *begin = r.at;
        Q_TRY(read_head(&r, &row));
        Q_TRY(read_key(row.settings, &found));
        find_head(&r);
        if (!is_device(&found.key, key)) q_text_append(out, begin, (size_t)(r.at - begin));
    }
    return QUERN_OK;
}
