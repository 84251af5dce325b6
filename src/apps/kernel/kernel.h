/*
 * kernel.h: kernels of two points, by names or as a formula, with parameters that have numbers: what Gaussian processes and ridge
 * regressions share. Entries, derivatives by parameters and operators are made of the same text.
 */
#ifndef QUERN_APPS_KERNEL_H
#define QUERN_APPS_KERNEL_H

#include "base/base.h"
#include "quern/pairs.h"
#include "quern/solve.h"

typedef struct q_kernel_parameter {
    char *name;
    int64_t length;
    double *values;
    float *singles; /* the same, for runs in float32 */
} q_kernel_parameter;

enum { Q_PARAMETERS = 32, Q_KERNEL_ARGS = Q_PARAMETERS + 2 }; /* at most, noise among them; arguments of its formula */

typedef struct q_kernel {
    quern_context *context;
    int64_t D;
    quern_dtype dtype;          /* of runs: float32 or float64 */
    char *formula;              /* of an entry */
    char *declarations, *entry; /* its two parts */
    bool named;                 /* it is made of names, not a formula of the user's */
    q_kernel_parameter parameters[Q_PARAMETERS];
    size_t count, numbers;         /* of parameters, of their numbers together */
    bool noisy;                    /* the last of them is noise, which is none of the formula's */
    quern_pairs *entries, *slopes; /* the kernel; its derivatives by its parameters, one after the other */
} q_kernel;

// names.c: names and formulas of kernels

/* A parameter of a name, and what it begins with. */
typedef enum q_kernel_start { Q_KERNEL_FROM_ONE, Q_KERNEL_FROM_SPREAD } q_kernel_start;

/* The formula of a kernel of D dimensions that is given by names, or a copy of one that is a formula already. `args` tell how
   many numbers a length has. */
quern_status q_kernel_formula(char **formula, const char *kernel, int64_t D, const quern_args *args);
/* What a parameter of a kernel of names begins with; false for a formula, whose parameters must be given. */
bool q_kernel_start_of(const char *kernel, const char *name, q_kernel_start *start);
/* A formula's declarations and its last statement. */
quern_status q_kernel_split(const char *formula, char **declarations, char **entry);

// kernel.c: a kernel with its parameters

/* Arrays of the user's: float32 or float64 of this many rows and columns, -1 for any. SHAPE, DTYPE, USAGE. */
quern_status q_floats_check(const char *name, const quern_view *view, int64_t rows, int64_t columns);
/* Its numbers as doubles, all finite, for free() whatever the status. */
quern_status q_floats_read(double **out, quern_context *context, const char *name, const quern_view *view);

/* A kernel of names or a formula, its parameters from `args`, or from N x D points where names leave them open; what `kernel` holds
   is for q_kernel_free whatever the status. */
quern_status q_kernel_make(q_kernel *kernel, quern_context *context, const char *text, const double *points, int64_t N,
                           int64_t D, quern_dtype dtype, bool noisy, const quern_args *args);
void q_kernel_free(q_kernel *kernel);
q_kernel_parameter *q_kernel_find(q_kernel *kernel, const char *name);
/* Gives a parameter the numbers of an argument. */
quern_status q_kernel_set(q_kernel *kernel, const quern_arg *arg);
/* Gives all parameters their numbers, one after the other. */
void q_kernel_assign(q_kernel *kernel, const double *numbers);
/* Compiles kernel->slopes, unless it is there or the kernel has no parameters. */
quern_status q_kernel_slopes(q_kernel *kernel);
/* The arguments of the kernel's formula: these points and those, and the parameters. `room` has Q_KERNEL_ARGS places. */
quern_args q_kernel_args(const q_kernel *kernel, quern_arg *room, quern_view x, quern_view y);
/* The matrix of these points and those, with a shift where they are the same. */
quern_status q_kernel_operator(const q_kernel *kernel, quern_linear **out, quern_view x, quern_view y, double shift);
/* Doubles in the type of runs: themselves, or a copy in *room, for free(). */
quern_status q_kernel_view(const q_kernel *kernel, quern_view *out, void **room, const double *numbers, int64_t rows,
                           int64_t columns);
/* Entries, or derivatives, of a block of rows and columns, as doubles. */
quern_status q_kernel_block(const q_kernel *kernel, const quern_pairs *pairs, quern_args args, quern_span rows,
                            quern_span columns, double *out);
/* Whether entries above the diagonal are those below it, of the first rows of a matrix. USAGE. */
quern_status q_kernel_check_symmetry(const double *block, int64_t rows, int64_t stride);

// centres.c: points that stand for all

/* *z, for free() whatever the status, becomes the points that are given, by this name, or `count` of N points, one of each part of
   a k-d tree, or all of them if they are fewer: M x D numbers. SHAPE, DTYPE, USAGE, MEMORY. */
quern_status q_kernel_centres(double **z, int64_t *M, const q_kernel *kernel, const char *name, const quern_view *given,
                              const double *points, int64_t N, int64_t count);

// cholesky.c: dense matrices of doubles

/* In place, the lower triangle of a symmetric n x n matrix; *pivot is the row of the first pivot that is not positive, and -1
   if there is none. */
void q_cholesky(double *a, int64_t n, int64_t *pivot);
/* Rows b, of which each is a right-hand side of n numbers that are 0 before number `from`, become L^-1 b. */
void q_cholesky_forward(const double *L, int64_t n, double *b, int64_t rows, int64_t from);
/* x = L^-T x, one right-hand side. */
void q_cholesky_backward(const double *L, int64_t n, double *x);
/* c -= a b^T: rows x columns numbers, of rows of `inner` numbers; strides are elements from one row to the next. */
typedef struct q_dense_rows {
    double *data;
    int64_t rows, stride;
} q_dense_rows;
void q_rows_subtract_products(q_dense_rows c, q_dense_rows a, q_dense_rows b, int64_t inner);

#endif
