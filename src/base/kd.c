/*
 * kd.c: points in the order of a k-d tree (Bentley 1975), whose leaves are runs of places of one length.
 *
 * Of a run of several leaves the half of them with the smallest coordinates goes before the others, along the axis in which
 * its points extend farthest. Coordinates are compared as whole numbers of 32 bits, of which the extent is all: what agrees in
 * these may fall into either half, and NaN is above all. Halves are found by quickselect (Hoare 1961) with pivots from
 * samples at pseudo-random places, which no order of points makes slow: n log n. Its comparisons are numbers and not
 * branches, which would be guessed wrong half of the time. A run that a cache has room for is copied once and split there.
 */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

/* Of a point in a run: its coordinate, above its index among tree.points. No two are equal. */
typedef uint64_t item;

/* What a thread splits. */
typedef struct tree {
    const double *all;    /* n x dim */
    const double *points; /* these or `copied` */
    int64_t dim;
    int64_t size, fine; /* of a leaf; of the runs that it is split into */
    double *low, *high; /* of the present run, by axis */
    double *copied;     /* the points of a small run */
    uint32_t *rows;     /* which they are among all */
    uint64_t seed;
    item *items;
    int64_t count;
} tree;

enum {
    SAMPLE = 63, /* of a run; a ninth of it where it is not MANY, one where it is SMALL */
    MANY = 1 << 12,
    SMALL = 64,
    NUMBERS = 1 << 13, /* of a run that is copied */
    LARGE = 1 << 14    /* a run worth a thread */
};

// ---- order along an axis ----

/* A number that is ordered like x, where an infinite extent leaves no finer one. */
static uint32_t key_of_float(float x)
{
    uint32_t bits;
    x += 0.0F; /* -0 is 0 */
    memcpy(&bits, &x, sizeof bits);
    return bits >> 31 ? ~bits : bits | (uint32_t)1 << 31;
}

static void find_keys(const tree *t, item *items, int64_t count, int64_t axis)
{
    double low = t->low[axis], extent = t->high[axis] - low;
    double unit = extent < 1 ? 0x1p500 : 1; /* the smallest extents have no inverse */
    double scale = (UINT32_MAX - 1) * (1 - 0x1p-50) / (extent * unit);
    for (int64_t k = 0; k < count; k++) {
        uint32_t index = (uint32_t)items[k], key;
        double x = t->points[index * t->dim + axis];
        if (isnan(x)) key = UINT32_MAX;
        else key = scale > 0 && scale < INFINITY ? (uint32_t)((x - low) * unit * scale) : key_of_float((float)x);
        items[k] = (item)key << 32 | index;
    }
}

static void find_box(tree *t, const item *items, int64_t count)
{
    for (int64_t d = 0; d < t->dim; d++) t->low[d] = INFINITY, t->high[d] = -INFINITY;
    for (int64_t k = 0; k < count; k++) {
        const double *point = t->points + (uint32_t)items[k] * t->dim;
        for (int64_t d = 0; d < t->dim; d++) {
            t->low[d] = point[d] < t->low[d] ? point[d] : t->low[d];
            t->high[d] = point[d] > t->high[d] ? point[d] : t->high[d];
        }
    }
}

/* The same of 1 to 4 axes, in registers; what there is not is the first one again. */
static void find_box_of_few(tree *t, const item *items, int64_t count)
{
    int64_t dim = t->dim, b = dim > 1 ? 1 : 0, c = dim > 2 ? 2 : 0, d = dim > 3 ? 3 : 0;
    double low_a = INFINITY, low_b = low_a, low_c = low_a, low_d = low_a;
    double high_a = -INFINITY, high_b = high_a, high_c = high_a, high_d = high_a;
    for (int64_t k = 0; k < count; k++) {
        const double *point = t->points + (uint32_t)items[k] * dim;
        low_a = point[0] < low_a ? point[0] : low_a, high_a = point[0] > high_a ? point[0] : high_a;
        low_b = point[b] < low_b ? point[b] : low_b, high_b = point[b] > high_b ? point[b] : high_b;
        low_c = point[c] < low_c ? point[c] : low_c, high_c = point[c] > high_c ? point[c] : high_c;
        low_d = point[d] < low_d ? point[d] : low_d, high_d = point[d] > high_d ? point[d] : high_d;
    }
    t->low[d] = low_d, t->low[c] = low_c, t->low[b] = low_b, t->low[0] = low_a;
    t->high[d] = high_d, t->high[c] = high_c, t->high[b] = high_b, t->high[0] = high_a;
}

static int64_t longest_axis(tree *t, const item *items, int64_t count)
{
    int64_t longest = 0;
    double most = 0;
    if (t->dim >= 1 && t->dim <= 4) find_box_of_few(t, items, count);
    else find_box(t, items, count);
    for (int64_t d = 0; d < t->dim; d++)
        if (t->high[d] - t->low[d] > most) most = t->high[d] - t->low[d], longest = d;
    return longest;
}

// ---- halves ----

static int64_t next_random(tree *t, int64_t count)
{
    t->seed = t->seed * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((t->seed >> 32) * (uint64_t)count >> 32); /* at most 2^32 */
}

/* Where a pivot is that splits `count` items about before place `at`: of a few at random, one of that rank. */
static int64_t choose_pivot(tree *t, const item *items, int64_t count, int64_t at)
{
    int64_t places[SAMPLE], sample = count < SMALL ? 1 : count < MANY ? SAMPLE / 9 : SAMPLE;
    for (int64_t k = 0; k < sample; k++) {
        int64_t place = next_random(t, count), m = k;
        for (; m > 0 && items[place] < items[places[m - 1]]; m--) places[m] = places[m - 1];
        places[m] = place;
    }
    return places[at * sample / count];
}

static void swap(item *a, item *b)
{
    item c = *a;
    *a = *b;
    *b = c;
}

/* Moves the items so that those before place `at` come first (Lomuto's partition). */
static void select_place(tree *t, item *items, int64_t count, int64_t at)
{
    while (at > 0 && at < count) {
        item *last = &items[count - 1];
        swap(&items[choose_pivot(t, items, count, at)], last);
        item pivot = *last;
        int64_t less = 0;
        for (int64_t k = 0; k < count - 1; k++) {
            item x = items[k];
            items[k] = items[less];
            items[less] = x;
            less += x < pivot;
        }
        swap(&items[less], last);
        if (at <= less) count = less;
        else items += less + 1, count -= less + 1, at -= less + 1;
    }
}

// ---- runs ----

static int by_number(const void *a, const void *b)
{
    item x = *(const item *)a, y = *(const item *)b;
    return (x > y) - (x < y);
}

/* The items become the rows of a leaf, in order: by insertion, which is fast, unless they are many. */
static void end_leaf(const tree *t, item *items, int64_t count)
{
    bool copied = t->points != t->all;
    for (int64_t k = 0; k < count; k++) {
        item row = copied ? t->rows[(uint32_t)items[k]] : (uint32_t)items[k];
        int64_t m = k;
        for (; count <= SMALL && m > 0 && items[m - 1] > row; m--) items[m] = items[m - 1];
        items[m] = row;
    }
    if (count > SMALL) qsort(items, (size_t)count, sizeof *items, by_number);
}

static void copy_points(tree *t, item *items, int64_t count)
{
    for (int64_t k = 0; k < count; k++) {
        t->rows[k] = (uint32_t)items[k];
        memcpy(t->copied + k * t->dim, t->all + t->rows[k] * t->dim, (size_t)t->dim * sizeof *t->copied);
        items[k] = (item)k;
    }
    t->points = t->copied;
}

/* Puts a run of several leaves, or of several fine runs, in halves; how many points the first has. */
static int64_t halve(tree *t, item *items, int64_t count)
{
    int64_t size = count > t->size ? t->size : t->fine, half = ((count - 1) / size + 2) / 2 * size;
    find_keys(t, items, count, longest_axis(t, items, count));
    t->seed = (uint64_t)count; /* as nothing else decides, threads do not */
    select_place(t, items, count, half);
    return half;
}

/* As deep as the logarithm of the number of leaves. */
static void split(tree *t, item *items, int64_t count)
{
    bool copies = t->points == t->all && count * t->dim <= NUMBERS && count > t->fine;
    if (copies) copy_points(t, items, count);
    if (count <= t->fine) end_leaf(t, items, count);
    else {
        int64_t half = halve(t, items, count);
        split(t, items, half);
        split(t, items + half, count - half);
    }
    if (copies) t->points = t->all;
}

static void *split_beside(void *user)
{
    tree *t = user;
    split(t, t->items, t->count);
    return NULL;
}

// ---- all ----

static bool make_room(tree *t)
{
    t->low = malloc(((size_t)t->dim + 1) * sizeof *t->low);
    t->high = malloc(((size_t)t->dim + 1) * sizeof *t->high);
    t->copied = malloc(NUMBERS * sizeof *t->copied);
    t->rows = malloc(NUMBERS * sizeof *t->rows);
    return t->low && t->high && t->copied && t->rows;
}

static void free_room(tree *t)
{
    free(t->low);
    free(t->high);
    free(t->copied);
    free(t->rows);
}

/* The halves of many points in a thread each. */
static void split_all(tree *t)
{
    tree other = *t;
    pthread_t thread;
    bool large = t->count >= LARGE && t->count > t->fine;
    int64_t half = large ? halve(t, t->items, t->count) : t->count;
    bool beside = large && make_room(&other);
    other.items = t->items + half, other.count = t->count - half;
    beside = beside && !pthread_create(&thread, NULL, split_beside, &other);
    split(t, t->items, half);
    if (beside) pthread_join(thread, NULL);
    else if (large) split(t, other.items, other.count);
    if (large) free_room(&other);
}

quern_status q_kd_order(int64_t *order, const double *points, int64_t rows, int64_t dim, int64_t size, int64_t fine)
{
    tree t = {.all = points, .points = points, .dim = dim, .size = size, .fine = fine, .count = rows};
    if (rows > UINT32_MAX)
        return q_fail(QUERN_LIMIT, "%lld points are to be ordered; at most %lld can be", (long long)rows,
                      (long long)UINT32_MAX);
    t.items = malloc(((size_t)rows + 1) * sizeof *t.items);
    bool room = make_room(&t) && t.items;
    for (int64_t p = 0; p < rows && room; p++) t.items[p] = (item)p;
    if (room) split_all(&t);
    for (int64_t p = 0; p < rows && room; p++) order[p] = (int64_t)t.items[p];
    free(t.items);
    free_room(&t);
    return room ? QUERN_OK : q_fail_memory((size_t)rows * sizeof *t.items);
}
