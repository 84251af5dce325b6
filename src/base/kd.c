/*
 * kd.c: points in the order of a k-d tree (Bentley 1975), whose leaves are runs of places of one length.
 *
 * Of a run of several leaves the half of them with the smallest coordinates goes before the others, along the axis in which
 * its points extend farthest. Equal coordinates are ordered by row and NaN is above all numbers, so the order is total, and
 * points that are all alike split like others. Halves are found by quickselect (Hoare 1961) with pivots from samples at
 * pseudo-random places, which no order of points makes slow: n log n. Its comparisons are numbers and not branches, which
 * would be guessed wrong half of the time.
 */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

/* A point in a run: its coordinate, as a number that is ordered like it, and its row. */
typedef struct item {
    uint64_t key;
    int64_t row;
} item;

typedef struct tree {
    const double *points; /* n x dim */
    int64_t dim;
    int64_t size; /* of a leaf */
    item *items;
    double *low, *high; /* of the present run, by axis */
    uint64_t seed;
    int64_t from, to; /* what a thread splits */
} tree;

enum { SAMPLE = 15, SMALL = 64, LARGE = 1 << 14 }; /* large: a run worth a thread */

static uint64_t key_of(double x)
{
    uint64_t bits;
    x += 0.0; /* -0 is 0 */
    memcpy(&bits, &x, sizeof bits);
    if (isnan(x)) return UINT64_MAX;
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

static bool before(const item *a, const item *b)
{
    return (a->key < b->key) | ((a->key == b->key) & (a->row < b->row));
}

static uint64_t next_random(tree *t)
{
    t->seed = t->seed * 6364136223846793005u + 1442695040888963407u;
    return t->seed >> 33;
}

static void swap(item *a, item *b)
{
    item c = *a;
    *a = *b;
    *b = c;
}

/* Where a pivot is that splits `count` items about before place `at`: of a few at random, one of that rank. */
static int64_t choose_pivot(tree *t, const item *items, int64_t count, int64_t at)
{
    int64_t places[SAMPLE], rank = at * SAMPLE / count;
    if (count < SMALL) return (int64_t)(next_random(t) % (uint64_t)count);
    for (int k = 0; k < SAMPLE; k++) {
        int64_t place = (int64_t)(next_random(t) % (uint64_t)count);
        int m = k;
        for (; m > 0 && before(&items[place], &items[places[m - 1]]); m--) places[m] = places[m - 1];
        places[m] = place;
    }
    return places[rank];
}

/* Moves the items so that those before place `at` come first (Lomuto's partition). */
static void select_place(tree *t, item *items, int64_t count, int64_t at)
{
    while (at > 0 && at < count) {
        item *last = &items[count - 1];
        swap(&items[choose_pivot(t, items, count, at)], last);
        int64_t less = 0;
        for (int64_t k = 0; k < count - 1; k++) {
            item x = items[k];
            items[k] = items[less];
            items[less] = x;
            less += before(&x, last);
        }
        swap(&items[less], last);
        if (at <= less) count = less;
        else items += less + 1, count -= less + 1, at -= less + 1;
    }
}

static int64_t longest_axis(tree *t, const item *items, int64_t count)
{
    int64_t longest = 0;
    double most = 0;
    for (int64_t d = 0; d < t->dim; d++) t->low[d] = INFINITY, t->high[d] = -INFINITY;
    for (int64_t k = 0; k < count; k++) {
        const double *point = t->points + items[k].row * t->dim;
        for (int64_t d = 0; d < t->dim; d++) {
            t->low[d] = point[d] < t->low[d] ? point[d] : t->low[d];
            t->high[d] = point[d] > t->high[d] ? point[d] : t->high[d];
        }
    }
    for (int64_t d = 0; d < t->dim; d++)
        if (t->high[d] - t->low[d] > most) most = t->high[d] - t->low[d], longest = d;
    return longest;
}

static int by_row(const void *a, const void *b)
{
    int64_t x = ((const item *)a)->row, y = ((const item *)b)->row;
    return (x > y) - (x < y);
}

/* Insertion, which is fast on the few rows of a leaf, unless they are many. */
static void sort_rows(item *items, int64_t count)
{
    if (count > SMALL) {
        qsort(items, (size_t)count, sizeof *items, by_row);
        return;
    }
    for (int64_t k = 1; k < count; k++) {
        int64_t row = items[k].row, m = k;
        for (; m > 0 && items[m - 1].row > row; m--) items[m].row = items[m - 1].row;
        items[m].row = row;
    }
}

/* Puts a run in halves; where the second begins, or `to` for a leaf, which it puts in order. */
static int64_t halve(tree *t, int64_t from, int64_t to)
{
    item *items = t->items + from;
    if (to - from <= t->size) {
        sort_rows(items, to - from);
        return to;
    }
    int64_t leaves = (to - from - 1) / t->size + 1, half = from + (leaves + 1) / 2 * t->size;
    int64_t axis = longest_axis(t, items, to - from);
    for (int64_t k = 0; k < to - from; k++) items[k].key = key_of(t->points[items[k].row * t->dim + axis]);
    select_place(t, items, to - from, half - from);
    return half;
}

static void split(tree *t, int64_t first, int64_t last)
{
    struct {
        int64_t from, to;
    } runs[64] = {{first, last}}; /* halves of halves that are still to be split */
    for (int count = 1; count--;) {
        int64_t from = runs[count].from, to = runs[count].to, half = halve(t, from, to);
        if (half == to) continue;
        runs[count].to = half;
        runs[count + 1].from = half;
        runs[count + 1].to = to;
        count += 2;
    }
}

static void *split_beside(void *user)
{
    tree *t = user;
    split(t, t->from, t->to);
    return NULL;
}

static bool make_room(tree *t)
{
    t->low = malloc((size_t)t->dim * sizeof *t->low + 1);
    t->high = malloc((size_t)t->dim * sizeof *t->high + 1);
    return t->low && t->high;
}

/* The halves of many points in a thread each: the order is total, so pivots and threads decide about nothing but time. */
static void split_both(tree *t, int64_t rows)
{
    tree other = *t;
    pthread_t thread;
    int64_t half = rows >= LARGE ? halve(t, 0, rows) : rows;
    bool beside = half < rows && make_room(&other);
    other.from = half, other.to = rows;
    beside = beside && !pthread_create(&thread, NULL, split_beside, &other);
    split(t, 0, half);
    if (beside) pthread_join(thread, NULL);
    else if (half < rows) split(t, half, rows);
    if (half < rows) free(other.low), free(other.high);
}

quern_status q_kd_order(int64_t *order, const double *points, int64_t rows, int64_t dim, int64_t size)
{
    tree t = {.points = points, .dim = dim, .size = size};
    t.items = malloc(((size_t)rows + 1) * sizeof *t.items);
    bool room = make_room(&t) && t.items;
    for (int64_t p = 0; p < rows && room; p++) t.items[p].row = p;
    if (room) split_both(&t, rows);
    for (int64_t p = 0; p < rows && room; p++) order[p] = t.items[p].row;
    free(t.items);
    free(t.low);
    free(t.high);
    return room ? QUERN_OK : q_fail_memory((size_t)rows * sizeof *t.items);
}
