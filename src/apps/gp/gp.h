/*
 * gp.h: what the files behind quern/gp.h share. A process has its points and values on the host in double, and what belongs
 * to its present parameters, once it is asked for: the weights K^-1 v, and the factor of K or the operator.
 */
#ifndef QUERN_APPS_GP_H
#define QUERN_APPS_GP_H

#include "base/base.h"
#include "quern/gp.h"
#include "quern/pairs.h"
#include "quern/solve.h"

typedef struct q_gp_parameter {
    char *name;
    int64_t length;
    double *values;
    float *singles; /* the same, for runs in float32 */
} q_gp_parameter;

/* A sparse matrix G of N rows with m + 1 entries each, the last on the diagonal. */
typedef struct q_gp_inverse {
    int64_t m, *which; /* columns */
    double *value;
} q_gp_inverse;

enum { Q_GP_PARAMETERS = 32 }; /* at most, noise among them */

struct quern_gp {
    quern_context *context;
    quern_gp_options options;
    quern_gp_method method;
    char *formula;              /* of an entry */
    char *declarations, *entry; /* its two parts */
    int64_t N, D;
    quern_dtype dtype; /* of runs: float64 for the dense method where the device has it, else that of the points */
    double *x, *v;     /* points, N x D; values, standardised */
    void *singles;     /* x in float32, if runs are */
    quern_view points; /* x in the type of runs, on the host */
    double mean, deviation;
    q_gp_parameter parameters[Q_GP_PARAMETERS]; /* the last is the noise */
    size_t count, numbers;                      /* of parameters, of their numbers together */
    quern_pairs *entries, *slopes;              /* the kernel; its derivatives by its parameters, one after the other */
    /* of the present parameters */
    bool ready, rated;     /* the weights are there; and the likelihood */
    double *weights;       /* K^-1 (v - trend) */
    double *ones, one_one; /* K^-1 1 and 1.K^-1 1, with a constant mean */
    double trend;          /* the constant mean */
    double *factor;        /* N x N, lower triangle, of the dense method */
    q_gp_inverse inverse;
    quern_linear *linear; /* of the iterative one */
    quern_gp_report report;
};

static inline const q_gp_parameter *q_gp_noise(const quern_gp *gp)
{
    return &gp->parameters[gp->count - 1];
}

// kernels.c: names and formulas of kernels

/* A parameter of a name, and what it begins with. */
typedef enum q_gp_start { Q_GP_FROM_ONE, Q_GP_FROM_SPREAD } q_gp_start;

/* The formula of a kernel of D dimensions that is given by names, or a copy of one that is a formula already. `args` tell how
   many numbers a length has. */
quern_status q_gp_kernel(char **formula, const char *kernel, int64_t D, const quern_args *args);
/* What a parameter of a kernel of names begins with; false for a formula, whose parameters must be given. */
bool q_gp_start_of(const char *kernel, const char *name, q_gp_start *start);
/* A formula's declarations and its last statement. */
quern_status q_gp_split(const char *formula, char **declarations, char **entry);

// cholesky.c: dense matrices of doubles

/* In place, the lower triangle of a symmetric n x n matrix; *pivot is the row of the first pivot that is not positive, and -1
   if there is none. */
void q_cholesky(double *a, int64_t n, int64_t *pivot);
/* Rows b, of which each is a right-hand side of n numbers that are 0 before number `from`, become L^-1 b. */
void q_cholesky_forward(const double *L, int64_t n, double *b, int64_t rows, int64_t from);
/* x = L^-T x, one right-hand side. */
void q_cholesky_backward(const double *L, int64_t n, double *x);
/* c -= a b^T: rows x columns numbers, of rows of `inner` numbers; strides are elements from one row to the next. */
typedef struct q_rows {
    double *data;
    int64_t rows, stride;
} q_rows;
void q_rows_subtract_products(q_rows c, q_rows a, q_rows b, int64_t inner);

// inverse.c: G^T G, about the inverse of the matrix, for the iterative method

quern_status q_gp_inverse_make(quern_gp *gp);
void q_gp_inverse_free(q_gp_inverse *g);
/* out = G in or G^T in, N x R numbers each, which do not overlap. */
void q_gp_inverse_apply(const quern_gp *gp, bool transposed, int64_t R, const double *in, double *out);
/* Of G^T G. */
double q_gp_inverse_log_determinant(const quern_gp *gp);
/* Adds factor times the traces of G^T G dK, by all numbers of parameters. */
quern_status q_gp_inverse_traces(quern_gp *gp, double factor, double *out);

// dense.c, iterative.c: the two methods, behind one table

typedef struct q_gp_way {
    /* What the present parameters give: K^-1 v, N numbers for free(), and gp->ones. */
    quern_status (*solve)(quern_gp *gp, double **solved);
    /* The logarithm of the determinant of K, and its standard error. */
    quern_status (*determinant)(quern_gp *gp, double *value, double *error);
    /* Derivatives of the likelihood, gp->numbers. */
    quern_status (*gradient)(quern_gp *gp, double *out);
    /* k.K^-1 k and, with a constant mean, k.K^-1 1, where k is the kernel of a point with all N, for each of some points. */
    quern_status (*explained)(quern_gp *gp, quern_view points, double *out, double *sums);
} q_gp_way;

extern const q_gp_way q_gp_dense, q_gp_iterative;

// gp.c

enum { Q_GP_SEED = 11 };
/* Compiles gp->slopes, unless it is there or the kernel has no parameters. */
quern_status q_gp_slopes(quern_gp *gp);
enum { Q_GP_MOST_ARGS = Q_GP_PARAMETERS + 2 };
/* The arguments of the kernel's formula: these points and those, and the parameters. `room` has Q_GP_MOST_ARGS places. */
quern_args q_gp_args(const quern_gp *gp, quern_arg *room, quern_view x, quern_view y);
/* Gives all parameters their numbers, one after the other. */
void q_gp_assign(quern_gp *gp, const double *numbers);
/* Doubles in the type of runs: themselves, or a copy in *room, for free(). */
quern_status q_gp_view(const quern_gp *gp, quern_view *out, void **room, const double *numbers, int64_t rows,
                       int64_t columns);
double q_dot(const double *a, const double *b, int64_t n);

#endif
