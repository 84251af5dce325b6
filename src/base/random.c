/*
 * random.c: numbers that look random and are the same in every run: SplitMix64 (Steele, Lea and Flood, 2014), whose state is the
 * caller's.
 */
#include <math.h>

#include "base/base.h"

uint64_t q_random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

double q_random_unit(uint64_t *state)
{
    return (double)(q_random_next(state) >> 11) * 0x1p-53;
}

/* Box and Muller (1958). */
double q_random_normal(uint64_t *state)
{
    double radius = sqrt(-2 * log(1 - q_random_unit(state)));
    return radius * cos(6.283185307179586 * q_random_unit(state));
}
