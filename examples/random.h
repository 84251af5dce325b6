/*
 * random.h: random numbers by their number, so that every run has the same: SplitMix64 (Steele, Lea and Flood, 2014).
 */
#ifndef RANDOM_H
#define RANDOM_H

#include <stdint.h>

static inline uint64_t random_bits(uint64_t k)
{
    uint64_t z = k * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Above 0 and below 1. */
static inline double random_unit(uint64_t k)
{
    return ((double)(random_bits(k) >> 11) + 0.5) * 0x1p-53;
}

#endif
