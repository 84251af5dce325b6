/*
 * kd.c: points in the order of a k-d tree (Bentley 1975), whose leaves are runs of places of one length.
 *
 * Of a run of several leaves the half of them with the smallest coordinates goes before the others, along the axis in which
 * its points extend farthest. Equal coordinates are ordered by row and NaN is above all numbers, so the order is total, and
 * points that are all alike split like others. Halves are found by quickselect (Hoare 1961) with pivots at
 * pseudo-random places, which no order of points makes slow: n log n.
 */
#include <math.h>
#include <stdlib.h>

#include "base/base.h"

typedef struct tree {
    const double *points; /* n x dim */
    int64_t dim;
    int64_t *order;
    int64_t axis; /* of the present split */
    uint64_t seed;
} tree;

static double coordinate(const tree *t, int64_t row)
{
    return t->points[row * t->dim + t->axis];
}

static bool before(const tree *t, int64_t a, int64_t b)
{
    double x = coordinate(t, a), y = coordinate(t, b);
    if (x < y || x > y) return x < y;
    if (isnan(x) != isnan(y)) return isnan(y);
    return a < b;
}

static uint64_t next_random(tree *t)
{
    t->seed = t->seed * 6364136223846793005u + 1442695040888963407u;
    return t->seed >> 33;
}

static void swap(int64_t *a, int64_t *b)
{
    int64_t c = *a;
    *a = *b;
    *b = c;
}

/* Moves the rows of places from .. to - 1 so that those before place `at` come first. */
static void select_place(tree *t, int64_t from, int64_t to, int64_t at)
{
    while (to - from > 1) {
        int64_t pivot = t->order[from + (int64_t)(next_random(t) % (uint64_t)(to - from))];
        int64_t low = from, high = to - 1;
        while (low <= high) {
            while (before(t, t->order[low], pivot)) low++;
            while (before(t, pivot, t->order[high])) high--;
            if (low <= high) swap(&t->order[low++], &t->order[high--]);
        }
        if (at <= high) to = high + 1;
        else if (at >= low) from = low;
        else return;
    }
}

static int64_t longest_axis(const tree *t, int64_t from, int64_t to)
{
    int64_t longest = 0;
    double most = 0;
    for (int64_t d = 0; d < t->dim; d++) {
        double low = INFINITY, high = -INFINITY;
        for (int64_t p = from; p < to; p++) {
            double x = t->points[t->order[p] * t->dim + d];
            low = fmin(low, x);
            high = fmax(high, x);
        }
        if (high - low > most) {
            most = high - low;
            longest = d;
        }
    }
    return longest;
}

static int by_row(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

void q_kd_order(int64_t *order, const double *points, int64_t rows, int64_t dim, int64_t size)
{
    tree t = {.points = points, .dim = dim, .order = order};
    struct {
        int64_t from, to;
    } runs[64] = {{0, rows}}; /* halves of halves that are still to be split */
    for (int64_t p = 0; p < rows; p++) order[p] = p;
    for (int count = 1; count--;) {
        int64_t from = runs[count].from, to = runs[count].to;
        if (to - from <= size) {
            if (to > from) qsort(order + from, (size_t)(to - from), sizeof *order, by_row);
            continue;
        }
        int64_t leaves = (to - from - 1) / size + 1, half = from + (leaves + 1) / 2 * size;
        t.axis = longest_axis(&t, from, to);
        select_place(&t, from, to, half);
        runs[count].to = half;
        runs[count + 1].from = half;
        runs[count + 1].to = to;
        count += 2;
    }
}
