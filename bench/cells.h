/*
 * cells.h: a step of the swimmers of the case `vicsek1m`, in C by hand.
 */
#ifndef BENCH_CELLS_H
#define BENCH_CELLS_H

#include <stdbool.h>
#include <stdint.h>

/* From places x and directions u, count x 2 each, and what the angles are changed by: count x 4 numbers, the new places and
   directions. On the unit torus; a is the rate of turning and s the speed, times the time step. False if memory ran out. */
bool cells_step(float *out, const float *x, const float *u, const float *noise, int64_t count, float radius, float a,
                float s);

#endif
