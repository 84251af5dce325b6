/*
 * text.c: growable text with a sticky failure; searching in names and their distance.
 *
 * Invariant: data is null, or holds size bytes and a 0 within capacity. When memory runs out the text stays as it was
 * and `failed` remembers it, so a writer of a hundred lines looks once, at the end; what was written after the failure
 * is lost. The arguments must not point into the text that they are added to.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"

/* Makes room for `more` bytes and the final 0. */
static bool reserve(q_text *text, size_t more)
{
    if (!text->failed)
        text->failed = more >= SIZE_MAX - text->size || !q_grow(&text->data, &text->capacity, text->size + more + 1, 1);
    return !text->failed;
}

void q_text_append(q_text *text, const char *data, size_t size)
{
    if (!reserve(text, size)) return;
    if (size) memcpy(text->data + text->size, data, size);
    text->size += size;
    text->data[text->size] = 0;
}

void q_text_vadd(q_text *text, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (length < 0) text->failed = true;
    else if (reserve(text, (size_t)length)) {
        vsnprintf(text->data + text->size, (size_t)length + 1, fmt, args);
        text->size += (size_t)length;
    }
}

void q_text_add(q_text *text, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    q_text_vadd(text, fmt, args);
    va_end(args);
}

char *q_text_take(q_text *text)
{
    q_text_append(text, "", 0); /* an empty text becomes "" */
    char *data = text->failed ? NULL : text->data;
    if (text->failed) free(text->data);
    *text = (q_text){0};
    return data;
}

void q_text_free(q_text *text)
{
    free(text->data);
    *text = (q_text){0};
}

bool q_contains(const char *text, size_t size, const char *part)
{
    size_t length = strlen(part);
    for (size_t i = 0; i + length <= size; i++)
        if (!strncasecmp(text + i, part, length)) return true;
    return false;
}

/* Wagner and Fischer's table, one row at a time: row[j] is the distance of a's first i bytes from b's first j. */
int q_edit_distance(const char *a, const char *b)
{
    enum { LONGEST = 63 };
    size_t m = strnlen(a, LONGEST), n = strnlen(b, LONGEST);
    int row[LONGEST + 1];
    for (size_t j = 0; j <= n; j++) row[j] = (int)j;
    for (size_t i = 1; i <= m; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= n; j++) {
            int change = diagonal + (a[i - 1] != b[j - 1]);
            int remove = row[j] + 1, insert = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = change < remove ? change : remove;
            if (insert < row[j]) row[j] = insert;
        }
    }
    return row[n];
}
