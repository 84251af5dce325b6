/*
 * solver.h: conjugate gradients for (K + 1) u = b, K the Gaussian kernel matrix of points in three dimensions, with all
 * vectors and numbers on the device: a loop that never waits.
 */
#ifndef QUERN_TESTS_SOLVER_H
#define QUERN_TESTS_SOLVER_H

#include "quern/array.h"
#include "run_helpers.h"

typedef struct solver {
    int64_t count;
    float *points, *b;
    quern_operator *multiply, *forward, *back, *dot;
    quern_array *x, *u, *r, *p, *q, *rr, *pq, *next;
} solver;

/* Of `count` points, on the shared device. */
solver solver_create(int64_t count);
void solver_step(solver *s);
/* The largest |(K + 1) u - b|; waits. */
double solver_error(solver *s);
void solver_destroy(solver *s);

#endif
