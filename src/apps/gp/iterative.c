/*
 * iterative.c: the method that stores no matrix.
 */
#include "apps/gp/gp.h"

static quern_status iterative_prepare(quern_gp *gp)
{
    (void)gp;
    return q_fail(QUERN_UNSUPPORTED, "not yet");
}
static quern_status iterative_gradient(quern_gp *gp, double *out)
{
    (void)gp, (void)out;
    return q_fail(QUERN_UNSUPPORTED, "not yet");
}
static quern_status iterative_explained(quern_gp *gp, quern_view points, double *out, double *sums)
{
    (void)gp, (void)points, (void)out, (void)sums;
    return q_fail(QUERN_UNSUPPORTED, "not yet");
}
const q_gp_way q_gp_iterative = {iterative_prepare, iterative_gradient, iterative_explained};
