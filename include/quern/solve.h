/*
 * quern/solve.h: linear operators that nobody stores, and linear systems with them.
 *
 *     quern_linear *A;
 *     quern_linear_create(&A, ctx, "x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y))*b)",
 *                         QUERN_ARGS({"x", quern_f32(x, N, 3)}, {"y", quern_f32(x, N, 3)}),
 *                         &(quern_linear_options){.size = sizeof(quern_linear_options), .shift = 1e-2});
 *     quern_solve(A, quern_f32(b, N, 4), quern_f32(c, N, 4), NULL, NULL);      // (K + 0.01) c = b, four right-hand sides
 *     quern_linear_destroy(&A);
 *
 * The formula is linear in one variable that its text uses and does not declare: quern declares it, with a component for each
 * right-hand side, so all of them take one pass over the matrix.
 *
 * Conventions
 *   Arrays     Vectors are arrays of a row per entry and a column per right-hand side, float32 or float64, on the host or the
 *              device. The operator copies the formula's other arrays to the device.
 *   Precision  The matrix is applied in the type of the vectors, to the numbers that the other arrays have. A solver works in
 *              the type of those arrays and computes residuals in float64 where the device has it, so that a system with
 *              float32 arrays is solved as exactly as its condition allows (iterative refinement).
 *   Order      The same system gives the same bits.
 *   Threads    An operator may be applied by several threads at once.
 */
#ifndef QUERN_SOLVE_H
#define QUERN_SOLVE_H

#include "quern.h"
#include "quern/cluster.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- linear operators ------------------------------------------------------------------------------------------- */

typedef struct quern_linear quern_linear;

typedef struct quern_linear_options {
    size_t size;
    const char *vector; /* what the formula calls the vector; null: "b" */
    double shift;       /* this number times the vector is added; 0 unless there are as many rows as columns */
    quern_view shifts;  /* one of its own for each row, one column, on the host; {0}: none */
} quern_linear_options;

/* The operator of formula text that has one result, over i, which is linear in the vector, a variable over j. Linearity is the
   program's word; solvers find out what they need. `args` are the arrays of all declared variables. Statuses: USAGE, SHAPE,
   those of quern_compile and of copies to the device. */
QUERN_API quern_status quern_linear_create(quern_linear **out, quern_context *context, const char *formula,
                                           quern_args args, const quern_linear_options *options);
QUERN_API void quern_linear_destroy(quern_linear **linear);

/* Entries of a result and of a vector; 0 for null. */
QUERN_API int64_t quern_linear_rows(const quern_linear *linear);
QUERN_API int64_t quern_linear_columns(const quern_linear *linear);

/* result = A vector, of columns x R and rows x R numbers, R at least 1; and result = A^T vector, the other way round. The result may be the
   vector. Statuses: SHAPE, DTYPE, USAGE, those of quern_run. */
QUERN_API quern_status quern_linear_apply(const quern_linear *linear, quern_view vector, quern_view result);
QUERN_API quern_status quern_linear_apply_transpose(const quern_linear *linear, quern_view vector, quern_view result);

/* Entries of the matrix, shifts included: those of rows first_row .. first_row + result.rows - 1 and as many columns as the
   result has; and those where row and column are the same, one column. */
QUERN_API quern_status quern_linear_block(const quern_linear *linear, int64_t first_row, int64_t first_column,
                                          quern_view result);
QUERN_API quern_status quern_linear_diagonal(const quern_linear *linear, quern_view result);

/* ---- operators of other kinds ----------------------------------------------------------------------------------- */

/* A function of the program's own: result = A vector, of R right-hand sides, columns x R and rows x R numbers, row by row; or, if
   `transposed`, A^T vector, the other way round; they do not overlap. What it returns, if that is not QUERN_OK, ends the call that
   led to it. It is called from the threads that use the operator. */
typedef quern_status (*quern_linear_function)(void *user, bool transposed, int64_t R, const double *vector,
                                              double *result);

QUERN_API quern_status quern_linear_from_function(quern_linear **out, quern_context *context, int64_t rows,
                                                  int64_t columns, quern_linear_function function, void *user);
/* A matrix that is stored, and the square one of a diagonal, one column: float32 or float64, which are copied to the host's
   memory. USAGE for a number that is not finite. */
QUERN_API quern_status quern_linear_from_matrix(quern_linear **out, quern_context *context, quern_view matrix);
QUERN_API quern_status quern_linear_from_diagonal(quern_linear **out, quern_context *context, quern_view diagonal);

/* Operators of operators, which keep those alive and have their context: vectors go over the host, a pass for each operand. The type
   of their arrays is float32 if an operand's is. U V^T of low rank is the product of a matrix and a transposed one; A plus a number
   for each row is the sum of A and a diagonal. SHAPE where sizes do not agree. */
typedef struct quern_linear_term {
    double factor;
    const quern_linear *linear;
} quern_linear_term;

QUERN_API quern_status quern_linear_sum(quern_linear **out, size_t count, const quern_linear_term *terms);
QUERN_API quern_status quern_linear_product(quern_linear **out, const quern_linear *first, const quern_linear *second);
QUERN_API quern_status quern_linear_transpose(quern_linear **out, const quern_linear *linear);
/* Of rows x columns blocks, a row after the other; null stands for zeros. */
QUERN_API quern_status quern_linear_grid(quern_linear **out, int64_t rows, int64_t columns,
                                         const quern_linear *const *blocks);

/* ---- systems ---------------------------------------------------------------------------------------------------- */

typedef enum quern_preconditioner {
    /* A low rank, if a trial finds that it explains some of the matrix: by entries where they are to be had. Then blocks, where 30 steps
       of conjugate gradients leave more than a tenth of the residual, and less with them than without. */
    QUERN_PRECONDITIONER_AUTO = 0,
    QUERN_PRECONDITIONER_NONE,
    /* A low-rank part, found by randomly pivoted Cholesky (Chen, Epperly, Tropp, Webber, 2022), plus the mean of what is
       left on the diagonal; applied by Woodbury's identity. */
    QUERN_PRECONDITIONER_LOW_RANK,
    /* The same from products with random vectors (Frangella, Tropp, Udell, 2023), for operators whose entries are not to be had. */
    QUERN_PRECONDITIONER_NYSTROM,
    /* As LOW_RANK, but each pivot is the largest entry that is left of the diagonal (Harbrecht, Peters, Schneider 2012). */
    QUERN_PRECONDITIONER_PIVOTED,
    /* Block Jacobi: the entries of rows and columns in one cluster, for kernels that are short beside the extent of the points. For
       operators with entries (UNSUPPORTED): formulas, which take a pass over the pairs of the blocks, their sums with others, and
       any other, column by column. NUMERIC for a block that is not positive definite. */
    QUERN_PRECONDITIONER_BLOCK_JACOBI
} quern_preconditioner;

typedef enum quern_solver {
    QUERN_SOLVER_CONJUGATE_GRADIENTS = 0, /* symmetric positive definite */
    QUERN_SOLVER_MINRES,                  /* symmetric (Paige and Saunders 1975) */
    QUERN_SOLVER_GMRES /* any, restarted after 30 products (Saad and Schultz 1986): that many vectors are kept */
} quern_solver;

typedef struct quern_solve_options {
    size_t size;
    double tolerance;   /* of the largest relative residual |b - A c| / |b| of any right-hand side; 0: 1e-6 */
    int64_t iterations; /* products with the matrix, at most; 0: 10,000 */
    quern_preconditioner preconditioner;
    int64_t
        rank; /* of the low-rank part, at most, or the rows of a block; 0: 256, by products 64, of a block 128, or a quarter of
                     the rows if that is less */
    /* Called after each product with their number and the largest residual, as the method estimates it; true stops the solve,
       which then fails with QUERN_CANCELLED and leaves the best solution so far. */
    bool (*progress)(void *user, int64_t iteration, double residual);
    void *progress_user;
    quern_solver method; /* what A has to be for it */
    /* An approximate inverse of the program's own, symmetric and positive definite, in place of the one above: result = P^-1 vector,
       R right-hand sides, rows x R numbers each, row by row. What it returns, if that is not QUERN_OK, ends the solve. */
    quern_status (*precondition)(void *user, int64_t R, const double *vector, double *result);
    void *precondition_user;
    const quern_clusters
        *clusters; /* of the rows, for block Jacobi; null: a k-d tree of the first array that the formula has over i,
                                       and where there is none rows that follow each other */
} quern_solve_options;

typedef struct quern_solve_report {
    size_t size;
    int64_t iterations;  /* products with the matrix in the method; all right-hand sides at once count once */
    int64_t refinements; /* of them, computed anew in float64 as residuals */
    int64_t rank;        /* of the preconditioner; 0: none */
    double residual;     /* the largest relative residual of the solution that was returned, computed from it */
    bool exact;          /* that was done in float64 */
    bool converged;      /* it is within the tolerance */
    int64_t blocks;      /* of block Jacobi; 0: none */
} quern_solve_report;

/* Solves A c = b, by conjugate gradients unless the options name another method, for all right-hand sides at once, each of which
   stops by itself. Other methods have no preconditioner unless they are told to; that of low rank is for a matrix with a positive
   diagonal. The first guess is 0. `options` and
   `report` may be null. Where the tolerance is not reached, c is the best solution found, the report tells its residual, and the
   status is NUMERIC, with the reason: the limit of iterations, a residual that no longer falls, a direction in which the matrix
   is not positive, a matrix that is not symmetric. NaN or infinities in b: USAGE. A column of zeros has the solution 0.
   Statuses: NUMERIC, USAGE, SHAPE, DTYPE, CANCELLED, those of quern_run. */
QUERN_API quern_status quern_solve(const quern_linear *linear, quern_view b, quern_view c,
                                   const quern_solve_options *options, quern_solve_report *report);

/* ---- derivatives ------------------------------------------------------------------------------------------------ */

/* The gradients of <u, A v>, summed over right-hand sides, by variables of the formula: `gradients` names them, and gives for each
   where its gradient goes, an array of the shape of the variable's, on the host: {"x", quern_f64(slopes, N, 3)}. The name of
   the vector stands for v: A^T u. What is in the formula twice, such as the same points for x and for y, has the sum of both
   gradients. u has an entry for each row, v for each column; all are of one type. Statuses: NAME, SHAPE, DTYPE, LIMIT for more than
   16 names, those of quern_run. */
QUERN_API quern_status quern_linear_gradient(const quern_linear *linear, quern_view u, quern_view v,
                                             quern_args gradients);

/* The gradients of <c, A^-1 b>, summed over right-hand sides, of a symmetric positive definite A, by the implicit function theorem:
   A v = b and A u = c are solved at once, and the gradients by variables of the formula are those of -<u, A v>, by the vector's
   name u, the gradient by b; "shift" stands for one shift of all rows, where the formula has no variable of this name. *value
   becomes <c, A^-1 b>; it may be null, as may options and report. Statuses: those of quern_solve and quern_linear_gradient. */
QUERN_API quern_status quern_solve_gradient(const quern_linear *linear, quern_view b, quern_view c, double *value,
                                            quern_args gradients, const quern_solve_options *options,
                                            quern_solve_report *report);

#ifdef __cplusplus
}
#endif

#endif
