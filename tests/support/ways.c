/*
 * ways.c: rows in vectors, staged columns, tiles in registers, tiles in local memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ways.h"

#define LOOPS "min_k=2 min_rhs=2 reg_m=2 reg_n=3"
#define OPTIONS(...)                                       \
    {                                                      \
        .size = sizeof(quern_compile_options), __VA_ARGS__ \
    }

const generation_way ways[WAYS] = {
    {"row", QUERN_F32, OPTIONS(.lanes = 4, .local = 1, .profile = "min_k=0 min_rhs=0")},
    {"row, staged", QUERN_F64,
     OPTIONS(.lanes = 1, .local = 8, .split = 3, .sum = QUERN_SUM_KAHAN, .profile = "min_k=0 min_rhs=0 staged_cols=8")},
    {"gemm", QUERN_F32, OPTIONS(.lanes = 4, .local = 1, .split = 2, .profile = LOOPS)},
    {"gemm_local", QUERN_F32, OPTIONS(.lanes = 1, .local = 8, .profile = LOOPS " staged_cols=8 rhs_registers=4")},
};

const generation_way *way_begin(void **state)
{
    const generation_way *way = *state;
    need_device();
    need_type(way->dtype);
    if (context->profile.max_cols_per_item) skip();
    setenv("POCL_EXTRA_BUILD_FLAGS", "-cl-opt-disable", 1);
    return way;
}

void way_end(void)
{
    unsetenv("POCL_EXTRA_BUILD_FLAGS");
}
