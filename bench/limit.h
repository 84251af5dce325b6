/*
 * limit.h: the mark to measure against: the 3-D Gaussian sum in float32, written by hand for the CPU, as fast as its
 * author could make it. It computes one formula and nothing else; quern generates code for any. Sums are plain inside
 * blocks of 256 terms and plain across them, squares of distances are formed from differences (never expanded), and all
 * packing of the arguments is inside the call, as it is in quern_run.
 */
#ifndef BENCH_LIMIT_H
#define BENCH_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

/* a_i = sum_j exp(-|x_i - y_j|^2) b_j. x: m x 3, y: n x 3, b: n, a: m; row-major, m and n at least 0. Uses all
   processors that are online. False if memory ran out; a thread that cannot be started is done without. */
bool limit_gaussian(float *a, const float *x, const float *y, const float *b, int64_t m, int64_t n);

/* The instruction set that limit_gaussian chose: "avx512", "avx2" or "generic". Static string. */
const char *limit_kind(void);

/* How many threads it uses, the caller's included. */
int limit_threads(void);

#endif
