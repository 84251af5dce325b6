/*
 * groups.h: points in three groups, for tests of methods that place points in a picture.
 */
#ifndef QUERN_TESTS_GROUPS_H
#define QUERN_TESTS_GROUPS_H

enum { GROUPS = 3, EACH = 40, N = GROUPS * EACH, D = 5 };
/* N points of D numbers, EACH of a group one after the other; room for their places in two pictures. */
extern double points[N * D], places[N * 2], other[N * 2];

/* A group's fixture: makes the points, and the context as open_context. */
int fill(void **state);
/* Of two points, their squared distance. */
double square(const double *a, const double *b, int dim);
/* Fails the test unless in `places` all points of a group are nearer to each other than to all others. */
void check_groups(void);

#endif
