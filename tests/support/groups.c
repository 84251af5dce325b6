/* groups.c: see groups.h. */
#include "groups.h"

#include <math.h>
#include <stdlib.h>

#include "run_helpers.h"

double points[N * D], places[N * 2], other[N * 2];

int fill(void **state)
{
    srand(5);
    for (int i = 0; i < N; i++)
        for (int d = 0; d < D; d++) points[i * D + d] = (float)(uniform() + (d == i / EACH ? 6 : 0));
    return open_context(state);
}

double square(const double *a, const double *b, int dim)
{
    double sum = 0;
    for (int d = 0; d < dim; d++) sum += (a[d] - b[d]) * (a[d] - b[d]);
    return sum;
}

void check_groups(void)
{
    for (int i = 0; i < N; i++) {
        double nearest = INFINITY, farthest = 0;
        for (int j = 0; j < N; j++) {
            double d = square(places + 2 * i, places + 2 * j, 2);
            if (i / EACH == j / EACH) farthest = fmax(farthest, d);
            else nearest = fmin(nearest, d);
        }
        assert_true(farthest < nearest);
    }
}
