/*
 * agglomerations.c: see agglomerations.h. How many people live around each city is a sum over pairs of cities, with a condition in place
 * of a weight.
 */
#include "agglomerations.h"

#include <math.h>
#include <stdlib.h>

static const double earth = 6371, near = 100, apart = 300; /* km */

static quern_status count_around(float *around, quern_context *ctx, const cities *y)
{
    quern_operator *op = NULL;
    const quern_view places = quern_f32(y->place, (int64_t)y->count, 3);
    quern_status bad =
        quern_compile(&op, ctx, "x=Vi(3); y=Vj(3); p=Vj(1); r=Pm(1); Sum_j(Where(SqDist(x,y)<r,p,0))", NULL);
    if (!bad)
        bad = quern_run(op,
                        QUERN_ARGS({"x", places}, {"y", places}, {"p", quern_f32(y->population, places.rows, 1)},
                                   {"r", quern_number(near / earth * (near / earth))}),
                        quern_f32(around, places.rows, 1));
    quern_operator_destroy(&op);
    return bad;
}

static double distance(const cities *y, size_t a, size_t b)
{
    double square = 0;
    for (size_t d = 0; d < 3; d++) square += pow((double)(y->place[3 * a + d] - y->place[3 * b + d]), 2);
    return earth * sqrt(square);
}

/* Takes the next one, and all that is near it, out of `around`; false if no city is left. */
static bool take_next(map_label *label, double *people, float *around, const cities *y)
{
    size_t best = 0, largest = 0;
    for (size_t k = 1; k < y->count; k++)
        if (around[k] > around[best]) best = k;
    if (!y->count || around[best] <= 0) return false;
    *people = (double)around[best];
    largest = best;
    for (size_t k = 0; k < y->count; k++) {
        const double far = distance(y, k, best);
        if (far < near && y->population[k] > y->population[largest]) largest = k;
        if (far < apart) around[k] = 0;
    }
    const float *place = y->place + 3 * largest;
    *label = (map_label){y->name[largest], asin((double)place[2]) * 180 / acos(-1.0),
                         atan2((double)place[1], (double)place[0]) * 180 / acos(-1.0)};
    return true;
}

quern_status agglomerations_find(map_label *labels, double *people, int *count, int most, quern_context *ctx,
                                 const cities *y)
{
    float *around = malloc((y->count + 1) * sizeof *around);
    *count = 0;
    if (!around) return QUERN_MEMORY;
    const quern_status bad = count_around(around, ctx, y);
    while (!bad && *count < most && take_next(&labels[*count], &people[*count], around, y)) ++*count;
    free(around);
    return bad;
}
