/* rigid.h: rotations and shifts of points in three dimensions. */
#ifndef RIGID_H
#define RIGID_H

#include <stdint.h>

/* x becomes R (x - from) + to, R by a quaternion of any length. */
void rigid_move(float (*x)[3], int64_t count, const double q[4], const double from[3], const double to[3]);
/* The rigid motion that takes points best to their targets, by weights. */
void rigid_fit(float (*x)[3], float (*target)[3], const float *weight, int64_t count);

#endif
