/*
 * ranges.c: block-sparse ranges as the user gives them: checked, and turned so that columns are the rows.
 *
 * Turning is a sweep over the columns. Between two places where a span begins or ends the same blocks of rows are met; those
 * that are open are bits, as are the first and last of each run of neighbours, so a run of blocks is one segment however
 * many they are. Bits are found through words of words, so n spans take O(n log n) for their order and O(1) for each change
 * and each segment of the result.
 */
#include <stdlib.h>
#include <string.h>

#include "run/spaces.h"

// ---- checks ----

static quern_status bad_rows(size_t k, const quern_span *rows, int64_t M)
{
    quern_span span = rows[k];
    if (span.from > span.to)
        q_fail(QUERN_SHAPE, "ranges: block %zu has rows from %lld to %lld, which is before it", k, (long long)span.from,
               (long long)span.to);
    else if (span.from < 0 || span.to > M)
        q_fail(QUERN_SHAPE, "ranges: block %zu has rows %lld to %lld of %lld", k, (long long)span.from,
               (long long)span.to, (long long)M);
    else
        q_fail(QUERN_SHAPE, "ranges: block %zu begins at row %lld, before block %zu ends at %lld", k,
               (long long)span.from, k - 1, (long long)rows[k - 1].to);
    q_fail_next_step("give blocks of rows in ascending order without overlap, each from .. to - 1, within 0 .. M");
    return QUERN_SHAPE;
}

static quern_status bad_columns(size_t k, int64_t s, int64_t first, const quern_span *columns, int64_t N)
{
    quern_span span = columns[s];
    if (span.from > span.to)
        q_fail(QUERN_SHAPE, "ranges: span %lld, of block %zu, has columns from %lld to %lld, which is before it",
               (long long)s, k, (long long)span.from, (long long)span.to);
    else if (span.from < 0 || span.to > N)
        q_fail(QUERN_SHAPE, "ranges: span %lld, of block %zu, has columns %lld to %lld of %lld", (long long)s, k,
               (long long)span.from, (long long)span.to, (long long)N);
    else
        q_fail(QUERN_SHAPE,
               "ranges: span %lld, number %lld of block %zu, begins at column %lld, before the span before "
               "it ends at %lld",
               (long long)s, (long long)(s - first), k, (long long)span.from, (long long)columns[s - 1].to);
    q_fail_next_step(
        "give the columns of a block in ascending order without overlap, each from .. to - 1, within 0 .. N");
    return QUERN_SHAPE;
}

static quern_status check_block(const quern_ranges *ranges, size_t k, int64_t M, int64_t N)
{
    const quern_span *rows = ranges->rows;
    const int64_t *first = ranges->first;
    if (rows[k].from > rows[k].to || rows[k].from < (k ? rows[k - 1].to : 0) || rows[k].to > M)
        return bad_rows(k, rows, M);
    if (first[k] < 0 || first[k + 1] < first[k]) {
        q_fail(QUERN_SHAPE, "ranges: block %zu has the spans from first[%zu] = %lld to first[%zu] = %lld", k, k,
               (long long)first[k], k + 1, (long long)first[k + 1]);
        q_fail_next_step("let first have block_count + 1 numbers that begin with 0 and do not decrease");
        return QUERN_SHAPE;
    }
    if (first[k] < first[k + 1] && !ranges->columns) return q_fail_null("quern_run_with", "ranges.columns");
    for (int64_t s = first[k]; s < first[k + 1]; s++) {
        quern_span span = ranges->columns[s];
        if (span.from > span.to || span.from < (s > first[k] ? ranges->columns[s - 1].to : 0) || span.to > N)
            return bad_columns(k, s, first[k], ranges->columns, N);
    }
    return QUERN_OK;
}

quern_status q_ranges_check(const quern_ranges *ranges, int64_t M, int64_t N)
{
    if (!ranges->block_count) return QUERN_OK;
    if (!ranges->rows) return q_fail_null("quern_run_with", "ranges.rows");
    if (!ranges->first) return q_fail_null("quern_run_with", "ranges.first");
    for (size_t k = 0; k < ranges->block_count; k++) Q_TRY(check_block(ranges, k, M, N));
    return QUERN_OK;
}

// ---- sets of small numbers, which find the next member quickly ----

enum { LEVELS = 6 }; /* 64^6 members */

typedef struct bits {
    uint64_t *words[LEVELS]; /* a bit of a word tells whether a word of the level before is not 0 */
    size_t levels;
} bits;

static bool bits_create(bits *b, size_t count)
{
    *b = (bits){0};
    do {
        count = count / 64 + 1;
        b->words[b->levels] = calloc(count, sizeof(uint64_t));
        if (!b->words[b->levels++]) return false;
    } while (count > 1);
    return true;
}

static void bits_free(bits *b)
{
    for (size_t l = 0; l < b->levels; l++) free(b->words[l]);
}

static bool bits_has(const bits *b, size_t n)
{
    return b->words[0][n / 64] >> (n % 64) & 1;
}

static void bits_set(bits *b, size_t n, bool on)
{
    for (size_t l = 0; l < b->levels; l++, n /= 64) {
        uint64_t *word = &b->words[l][n / 64], bit = (uint64_t)1 << (n % 64);
        *word = on ? *word | bit : *word & ~bit;
        on = *word != 0;
    }
}

static size_t lowest(uint64_t word)
{
    size_t n = 0;
    for (int step = 32; step; step /= 2)
        if (!(word & (((uint64_t)1 << step) - 1))) word >>= step, n += (size_t)step;
    return n;
}

/* The first member from n on; SIZE_MAX if there is none. */
static size_t bits_next(const bits *b, size_t n)
{
    size_t level = 0;
    for (; level < b->levels; level++, n = n / 64 + 1) { /* up, until there is one in the rest of a word */
        uint64_t rest = b->words[level][n / 64] >> (n % 64);
        if (!rest) continue;
        n += lowest(rest);
        while (level--) n = n * 64 + lowest(b->words[level][n]);
        return n;
    }
    return SIZE_MAX;
}

// ---- lists ----

void q_mask_free(q_mask *mask)
{
    free(mask->blocks);
    free(mask->segments);
    *mask = (q_mask){0};
}

double q_mask_pairs(const q_mask *mask)
{
    double pairs = 0;
    for (size_t k = 0; k < mask->block_count; k++) {
        const q_row_block *block = &mask->blocks[k];
        for (size_t s = block->first_segment; s < block->first_segment + block->segment_count; s++)
            pairs += (double)block->rows * (double)(mask->segments[s].to - mask->segments[s].from);
    }
    return pairs;
}

static q_row_block *add_block(q_mask *mask, int64_t row, int64_t end)
{
    if (!q_grow(&mask->blocks, &mask->block_capacity, mask->block_count + 1, sizeof *mask->blocks)) return NULL;
    q_row_block *block = &mask->blocks[mask->block_count++];
    *block = (q_row_block){.row = row, .rows = end - row, .first_segment = mask->segment_count};
    return block;
}

/* Columns of a block, which are behind those that it has; joined with the last of them if they follow. */
static bool add_segment(q_mask *mask, q_row_block *block, int64_t from, int64_t to)
{
    q_segment *last = block->segment_count ? &mask->segments[mask->segment_count - 1] : NULL;
    if (from == to) return true;
    if (last && last->to == from) {
        last->to = to;
        return true;
    }
    if (!q_grow(&mask->segments, &mask->segment_capacity, mask->segment_count + 1, sizeof *mask->segments))
        return false;
    mask->segments[mask->segment_count++] = (q_segment){from, to, 0};
    block->segment_count++;
    return true;
}

quern_status q_mask_by_rows(q_mask *out, const quern_ranges *ranges)
{
    bool memory = true;
    for (size_t k = 0; k < ranges->block_count && memory; k++) {
        quern_span rows = ranges->rows[k];
        q_row_block *block = rows.from < rows.to ? add_block(out, rows.from, rows.to) : NULL;
        memory = block || rows.from == rows.to;
        for (int64_t s = ranges->first[k]; s < ranges->first[k + 1] && block && memory; s++)
            memory = add_segment(out, block, ranges->columns[s].from, ranges->columns[s].to);
    }
    return memory ? QUERN_OK : q_fail_memory(out->segment_capacity * 2 * sizeof(q_segment));
}

// ---- columns as rows ----

/* A span of a block begins, or ends, before this column. */
typedef struct event {
    int64_t at;
    size_t block;
    bool open;
} event;

typedef struct sweep {
    const q_mask *mask;
    bits open, first, last; /* blocks that are met; first and last of neighbours */
} sweep;

static int compare_events(const void *a, const void *b)
{
    int64_t x = ((const event *)a)->at, y = ((const event *)b)->at;
    return (x > y) - (x < y);
}

/* Whether a block and the one before it are both met, and of a piece. */
static bool goes_on(const sweep *s, size_t k)
{
    const q_row_block *block = &s->mask->blocks[k];
    return k && k < s->mask->block_count && bits_has(&s->open, k) && bits_has(&s->open, k - 1) &&
           block[-1].row + block[-1].rows == block->row;
}

static void take_event(sweep *s, const event *e)
{
    bits_set(&s->open, e->block, e->open);
    for (size_t k = e->block ? e->block - 1 : 0; k <= e->block + 1 && k < s->mask->block_count; k++) {
        bool open = bits_has(&s->open, k);
        bits_set(&s->first, k, open && !goes_on(s, k));
        bits_set(&s->last, k, open && !goes_on(s, k + 1));
    }
}

/* The columns from..to - 1 as a block of rows, if they meet any. */
static bool add_turned(q_mask *out, const sweep *s, int64_t from, int64_t to)
{
    size_t first = from < to ? bits_next(&s->first, 0) : SIZE_MAX;
    q_row_block *block = first != SIZE_MAX ? add_block(out, from, to) : NULL;
    bool memory = block || first == SIZE_MAX;
    while (first != SIZE_MAX && memory) {
        size_t last = bits_next(&s->last, first);
        const q_row_block *end = &s->mask->blocks[last];
        memory = add_segment(out, block, s->mask->blocks[first].row, end->row + end->rows);
        first = bits_next(&s->first, last + 1);
    }
    return memory;
}

static size_t list_events(event *out, const q_mask *mask)
{
    size_t count = 0;
    for (size_t k = 0; k < mask->block_count; k++)
        for (size_t s = 0; s < mask->blocks[k].segment_count; s++) {
            const q_segment *segment = &mask->segments[mask->blocks[k].first_segment + s];
            out[count++] = (event){segment->from, k, true};
            out[count++] = (event){segment->to, k, false};
        }
    return count;
}

quern_status q_mask_turn(q_mask *out, const q_mask *mask)
{
    sweep s = {.mask = mask};
    event *events = malloc((2 * mask->segment_count + 1) * sizeof *events);
    bool memory = events && bits_create(&s.open, mask->block_count) && bits_create(&s.first, mask->block_count) &&
                  bits_create(&s.last, mask->block_count);
    size_t count = memory ? list_events(events, mask) : 0;
    int64_t from = 0;
    if (memory) qsort(events, count, sizeof *events, compare_events);
    for (size_t e = 0; e < count && memory; e++) {
        if (events[e].at > from) {
            memory = add_turned(out, &s, from, events[e].at);
            from = events[e].at;
        }
        take_event(&s, &events[e]);
    }
    bits_free(&s.open);
    bits_free(&s.first);
    bits_free(&s.last);
    free(events);
    return memory ? QUERN_OK : q_fail_memory(out->segment_capacity * 2 * sizeof(q_segment));
}
