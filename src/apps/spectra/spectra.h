/*
 * spectra.h: what the files behind quern/spectra.h share: small dense eigenproblems.
 */
#ifndef QUERN_APPS_SPECTRA_H
#define QUERN_APPS_SPECTRA_H

#include "apps/solve/linear.h"
#include "quern/spectra.h"

// dense.c

/* The eigenvalues, ascending, of a symmetric tridiagonal matrix: `diagonal` of n numbers becomes them; `beside`, n numbers of which
   the last is of no use, is destroyed. Each of the `columns` columns of n numbers in `vectors` is multiplied by the matrix that has the
   eigenvectors as rows: columns of the identity become columns of it. False if it does not converge: NaN. */
bool q_tridiagonal_eigen(int64_t n, double *diagonal, double *beside, int64_t columns, double *vectors);

/* The eigenvalues, ascending, and, as columns of n x n numbers, the eigenvectors of a symmetric matrix, which is destroyed; scratch
   has room for 2 n numbers. */
bool q_symmetric_eigen(int64_t n, double *a, double *values, double *vectors, double *scratch);

#endif
