/*
 * ways.h: the ways of generating code that each kind of iteration space is tested in.
 */
#ifndef QUERN_TESTS_WAYS_H
#define QUERN_TESTS_WAYS_H

#include "run_helpers.h"

typedef struct generation_way {
    const char *what;
    quern_dtype dtype;
    quern_compile_options options;
} generation_way;

enum { WAYS = 4 };
extern const generation_way ways[WAYS];

/* The way that a test of WAY_TESTS is for. Skips the test on Mesa's llvmpipe, which takes minutes over vectors and long loops, and
   where the device has not the type. Until way_end PoCL builds without its optimiser, which takes most of the time. */
const generation_way *way_begin(void **state);
void way_end(void);

/* A row of a table of tests for each way. */
#define WAY_TEST(function, k)                                               \
    {                                                                       \
#function " " #k, function, NULL, NULL, (void *)(uintptr_t)&ways[k] \
    }
#define WAY_TESTS(function) WAY_TEST(function, 0), WAY_TEST(function, 1), WAY_TEST(function, 2), WAY_TEST(function, 3)

#endif
