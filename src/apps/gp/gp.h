/*
 * gp.h: what the files behind quern/gp.h share. A process has its points and values on the host in double, and what belongs
 * to its present parameters, once it is asked for: the weights K^-1 v, and the factor of K or the operator.
 */
#ifndef QUERN_APPS_GP_H
#define QUERN_APPS_GP_H

#include "apps/kernel/kernel.h"
#include "quern/gp.h"

/* A sparse matrix G of N rows with m + 1 entries each, the last on the diagonal. */
typedef struct q_gp_inverse {
    int64_t m, *which; /* columns */
    double *value;
} q_gp_inverse;

/* The inducing points, and what belongs to the present parameters; C is the kernel of them with all points. */
typedef struct q_gp_inducing {
    int64_t M;
    double *z; /* M x D */
    void *singles;
    quern_view points;
    double *L, *E;    /* M x M: L L^T is the kernel of the inducing points; E E^T = 1 + L^-1 C C^T L^-T / noise */
    double jitter;    /* what L has more on its diagonal, in relation to the mean of that */
    double *weights;  /* of the mean, beside those of 1: 2 x M */
    double left, all; /* of the trace of K: what they do not explain, and all of it */
} q_gp_inducing;

struct quern_gp {
    quern_context *context;
    quern_gp_options options;
    quern_gp_method method;
    q_kernel kernel; /* in the points' type for the iterative method, else in float64 where the device has it */
    int64_t N, D;
    double *x, *v;     /* points, N x D; values, standardised */
    void *singles;     /* x in float32, if runs are */
    quern_view points; /* x in the type of runs, on the host */
    double mean, deviation;
    /* of the present parameters */
    bool ready, rated;     /* the weights are there; and the likelihood */
    double *weights;       /* K^-1 (v - trend) */
    double *ones, one_one; /* K^-1 1 and 1.K^-1 1, with a constant mean */
    double trend;          /* the constant mean */
    double *factor;        /* N x N, lower triangle, of the dense method */
    q_gp_inverse inverse;
    quern_linear *linear; /* of the iterative one */
    q_gp_inducing inducing;
    quern_gp_report report;
};

static inline const q_kernel_parameter *q_gp_noise(const quern_gp *gp)
{
    return &gp->kernel.parameters[gp->kernel.count - 1];
}

// inverse.c: G^T G, about the inverse of the matrix, for the iterative method

quern_status q_gp_inverse_make(quern_gp *gp);
void q_gp_inverse_free(q_gp_inverse *g);
/* out = G in or G^T in, N x R numbers each, which do not overlap. */
void q_gp_inverse_apply(const quern_gp *gp, bool transposed, int64_t R, const double *in, double *out);
/* Of G^T G. */
double q_gp_inverse_log_determinant(const quern_gp *gp);
/* Adds factor times the traces of G^T G dK, by all numbers of parameters. */
quern_status q_gp_inverse_traces(quern_gp *gp, double factor, double *out);

// inducing.c: K is C^T (L L^T)^-1 C + noise

/* Chooses as many inducing points as the options tell. */
quern_status q_gp_inducing_choose(quern_gp *gp);
/* Frees what belongs to the parameters, and all. */
void q_gp_inducing_drop(q_gp_inducing *inducing);
void q_gp_inducing_free(q_gp_inducing *inducing);

// dense.c, iterative.c, inducing.c: the methods, behind one table

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

extern const q_gp_way q_gp_dense, q_gp_iterative, q_gp_by_inducing;

// gp.c

enum { Q_GP_SEED = 11 };
/* Gives all parameters their numbers, one after the other. */
void q_gp_assign(quern_gp *gp, const double *numbers);
double q_dot(const double *a, const double *b, int64_t n);

#endif
