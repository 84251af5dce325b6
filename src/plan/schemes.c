/*
 * schemes.c: the schemes, and nothing else, so that a test can have a table of its own. The first that can run a stage is
 * taken.
 */
#include "plan/plan.h"

const q_scheme *const q_schemes[] = {
    &q_scheme_mma, &q_scheme_gemm_tile, &q_scheme_gemm_select, &q_scheme_gemm_local, &q_scheme_gemm, &q_scheme_row,
    NULL};
