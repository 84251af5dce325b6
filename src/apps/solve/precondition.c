/*
 * precondition.c: approximate inverses, behind one table: which there are, which is taken without being named, and what is done
 * with any of them.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/solve/linear.h"

bool q_small_cholesky(double *a, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k <= i; k++) {
            double left = a[i * n + k] - q_vector_dot(k, a + i * n, a + k * n);
            if (i == k && !(left > 0)) return false;
            a[i * n + k] = i == k ? sqrt(left) : left / a[k * n + k];
        }
    return true;
}

// ---- the table ----

/* With at most so many columns, or blocks of so many rows. */
typedef quern_status maker(q_preconditioner *out, const quern_linear *linear, const q_preconditioning *how,
                           int64_t most);

static quern_status make_random(q_preconditioner *out, const quern_linear *linear, const q_preconditioning *how,
                                int64_t most)
{
    return q_low_rank_make(out, linear, most, false, how->kind == QUERN_PRECONDITIONER_AUTO);
}

static quern_status make_pivoted(q_preconditioner *out, const quern_linear *linear, const q_preconditioning *how,
                                 int64_t most)
{
    (void)how;
    return q_low_rank_make(out, linear, most, true, false);
}

static quern_status make_nystrom(q_preconditioner *out, const quern_linear *linear, const q_preconditioning *how,
                                 int64_t most)
{
    return q_nystrom_make(out, linear, most, how->kind == QUERN_PRECONDITIONER_AUTO);
}

static quern_status make_blocks(q_preconditioner *out, const quern_linear *linear, const q_preconditioning *how,
                                int64_t most)
{
    return q_blocks_make(out, linear, how->clusters, most);
}

/* By quern_preconditioner; AUTO and NONE have none of their own. */
static const struct {
    maker *make;
    int64_t usual; /* columns, or rows of a block, or a quarter of the rows if that is less */
} ways[] = {[QUERN_PRECONDITIONER_LOW_RANK] = {make_random, 256},
            [QUERN_PRECONDITIONER_NYSTROM] = {make_nystrom, 64},
            [QUERN_PRECONDITIONER_PIVOTED] = {make_pivoted, 256},
            [QUERN_PRECONDITIONER_BLOCK_JACOBI] = {make_blocks, 128}};

quern_status q_precondition(q_preconditioner *out, const quern_linear *linear, const q_preconditioning *how)
{
    quern_preconditioner kind = how->kind;
    int64_t rows = quern_linear_rows(linear);
    *out = (q_preconditioner){.rows = rows};
    if (kind == QUERN_PRECONDITIONER_AUTO)
        kind = !how->positive                 ? QUERN_PRECONDITIONER_NONE
               : q_linear_has_entries(linear) ? QUERN_PRECONDITIONER_LOW_RANK
                                              : QUERN_PRECONDITIONER_NYSTROM;
    int64_t usual = ways[kind].usual, most = how->rank ? how->rank : rows / 4 < usual ? rows / 4 : usual;
    if (most > rows) most = rows;
    return ways[kind].make && most > 0 ? ways[kind].make(out, linear, how, most) : QUERN_OK;
}

// ---- what is done with them ----

static quern_status own_solve(const q_preconditioner *p, int64_t R, const double *in, double *out)
{
    return p->own(p->user, R, in, out);
}

const q_preconditioner_kind q_preconditioner_own = {.solve = own_solve};

void q_preconditioner_free(q_preconditioner *p)
{
    free(p->L);
    free(p->core);
    quern_clusters_destroy(&p->made);
    *p = (q_preconditioner){.rows = p->rows};
}

quern_status q_preconditioner_solve(const q_preconditioner *p, int64_t R, const double *in, double *out)
{
    if (p->kind) return p->kind->solve(p, R, in, out);
    memcpy(out, in, (size_t)p->rows * (size_t)R * sizeof *out);
    return QUERN_OK;
}

double q_preconditioner_log_determinant(const q_preconditioner *p)
{
    return p->kind ? p->kind->log_determinant(p) : 0;
}

void q_preconditioner_sample(const q_preconditioner *p, int64_t R, uint64_t *state, double *out)
{
    p->kind->sample(p, R, state, out);
}
