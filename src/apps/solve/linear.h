/*
 * linear.h: what the files behind quern/solve.h share: an operator applied to vectors of doubles on the host.
 */
#ifndef QUERN_APPS_LINEAR_H
#define QUERN_APPS_LINEAR_H

#include <stdatomic.h>

#include "base/base.h"
#include "quern/cluster.h"
#include "quern/solve.h"

/* Right-hand sides that take one pass; more take several. */
enum { Q_RHS_CHUNK = 16 };

/* Rows and columns of the matrix, R right-hand sides: columns x R numbers, and their rows that are the part's, rows x R, for the
   shifts. */
typedef struct q_part {
    int64_t first_row, rows, first_column, columns, R;
    const double *vector, *shifted;
    const quern_ranges *ranges; /* null: all rows of the part meet all its columns */
} q_part;

/* What operators of one kind do. Numbers are computed in a type; null members have a way that all kinds have in common. */
typedef struct q_linear_kind {
    void (*free)(quern_linear *linear); /* all but the operator itself */
    /* out = A in or A^T in, R right-hand sides. */
    quern_status (*product)(const quern_linear *linear, quern_dtype dtype, bool transposed, int64_t R, const double *in,
                            double *out);
    /* The same for vectors of one type as the user gave them. */
    quern_status (*apply)(const quern_linear *linear, bool transposed, const quern_view *in, const quern_view *out);
    /* Entries of a part of the matrix, rows x columns numbers. */
    quern_status (*entries)(const quern_linear *linear, quern_dtype dtype, const q_part *where, double *out);
    quern_status (*diagonal)(const quern_linear *linear, quern_dtype dtype, double *out);
    /* The entries whose row and column are in one cluster, blocks one after the other. */
    quern_status (*blocks)(const quern_linear *linear, quern_dtype dtype, const quern_clusters *clusters, double *out);
    /* The points that rows are of, rows x *dim numbers for free(); null for none. */
    quern_status (*points)(const quern_linear *linear, double **points, int64_t *dim);
    /* Whether entries are no products with all of the matrix; null: if there is a function for them. */
    bool (*has_entries)(const quern_linear *linear);
} q_linear_kind;

/* The first member of an operator of any kind. */
struct quern_linear {
    const q_linear_kind *kind;
    quern_context *context;
    int64_t rows, columns;
    quern_dtype dtype;  /* of the arrays */
    double least_shift; /* the least of the shifts; 0 without */
    atomic_int others;  /* operators that keep this one beside its owner */
};

// linear.c

quern_context *q_linear_context(const quern_linear *linear);
quern_dtype q_linear_dtype(const quern_linear *linear);
bool q_linear_has_entries(const quern_linear *linear);
double q_linear_shift(const quern_linear *linear);
/* out = A in, rows x R numbers each, computed in this type. */
quern_status q_linear_product(const quern_linear *linear, quern_dtype dtype, int64_t R, const double *in, double *out);
/* NUMERIC for a number that a product has made. */
quern_status q_linear_not_finite(double number);
/* NUMERIC. */
quern_status q_linear_not_symmetric(void);

// formula.c

enum { Q_GRADIENTS = 16 }; /* by so many variables in one run */

/* The shape of an argument's array; false if the formula has none of this name. What the vector is called. */
bool q_linear_argument(const quern_linear *linear, const char *name, int64_t *rows, int64_t *columns);
const char *q_linear_vector(const quern_linear *linear);
/* The gradients of <u, A v> by the variables `by`, names with blanks between, for at most Q_RHS_CHUNK right-hand sides. */
quern_status q_linear_gradients(const quern_linear *linear, const char *by, quern_view u, quern_view v,
                                quern_outs outs);

// linear_block.c

/* A product with a part of the matrix. */
typedef quern_status (*q_part_product)(const quern_linear *linear, quern_dtype dtype, const q_part *part, double *out);
/* Whether such a function gives a part of the matrix, as far as a column near the middle tells. */
quern_status q_try_parts(const quern_linear *linear, q_part_product part, bool *right);
/* Entries as products with columns of the identity; a null function stands for products with all of the matrix. */
quern_status q_entries_by_products(const quern_linear *linear, quern_dtype dtype, const q_part *where,
                                   q_part_product part, double *out);
/* Entries of rows first_row .. + rows - 1 and columns first_column .. + columns - 1, rows x columns numbers. */
quern_status q_linear_entries(const quern_linear *linear, quern_dtype dtype, const q_part *where, double *out);
quern_status q_linear_diagonal(const quern_linear *linear, quern_dtype dtype, double *out);
quern_status q_linear_blocks(const quern_linear *linear, quern_dtype dtype, const quern_clusters *clusters,
                             double *out);
/* Those blocks of an operator whose rows are in the order of the clusters, as products of them alone; and of any, column by column. */
quern_status q_blocks_by_products(const quern_linear *linear, quern_dtype dtype, const quern_clusters *clusters,
                                  q_part_product part, double *out);
quern_status q_blocks_by_columns(const quern_linear *linear, quern_dtype dtype, const quern_clusters *clusters,
                                 double *out);
quern_status q_linear_points(const quern_linear *linear, double **points, int64_t *dim);
/* Copies a vector of `rows` x R numbers to or from doubles; SHAPE and DTYPE for what is none. `name` is for messages. */
quern_status q_vector_check(const char *name, const quern_view *view, int64_t rows, int64_t R);
quern_status q_vector_read(quern_context *context, const quern_view *view, double *out);
quern_status q_vector_write(quern_context *context, const quern_view *view, const double *in);

// precondition.c: an approximate inverse of a symmetric positive definite operator

typedef struct q_preconditioner q_preconditioner;

/* Numbers are rows x R. */
typedef struct q_preconditioner_kind {
    quern_status (*solve)(const q_preconditioner *p, int64_t R, const double *in, double *out);
    /* Of the matrix P that is inverted; and vectors drawn from the normal distribution whose covariance it is. */
    double (*log_determinant)(const q_preconditioner *p);
    void (*sample)(const q_preconditioner *p, int64_t R, uint64_t *state, double *out);
} q_preconditioner_kind;

struct q_preconditioner {
    const q_preconditioner_kind *kind; /* null: the identity */
    int64_t rows, rank;
    double *
        L; /* low rank: rank x rows, and the matrix is about L^T L + left. Blocks: their factors, one after the other */
    double left;                    /* a positive number on the diagonal */
    double *core;                   /* the Cholesky factor of left + L L^T, rank x rank */
    const quern_clusters *clusters; /* of the rows of blocks */
    quern_clusters *made;           /* the same, unless they are the program's */
    /* The program's own, quern_solve_options.precondition. */
    quern_status (*own)(void *user, int64_t R, const double *in, double *out);
    void *user;
};

/* What is asked for. */
typedef struct q_preconditioning {
    quern_preconditioner kind;
    int64_t rank;                   /* at most; of blocks: their rows. 0: as usual */
    const quern_clusters *clusters; /* null: made from points */
    bool positive;                  /* the matrix is, so that it may be tried without being asked for */
} q_preconditioning;

/* One of them, or none. */
quern_status q_precondition(q_preconditioner *out, const quern_linear *linear, const q_preconditioning *how);
void q_preconditioner_free(q_preconditioner *p);
/* out = approximate inverse times in. */
quern_status q_preconditioner_solve(const q_preconditioner *p, int64_t R, const double *in, double *out);
double q_preconditioner_log_determinant(const q_preconditioner *p);
void q_preconditioner_sample(const q_preconditioner *p, int64_t R, uint64_t *state, double *out);
extern const q_preconditioner_kind q_preconditioner_own;
/* In place, the Cholesky factor of a symmetric n x n matrix of which the lower triangle is there; false if it is not positive. */
bool q_small_cholesky(double *a, int64_t n);

// low_rank.c

/* By entries, of at most so many columns; nothing where a trial finds that it would not help. Pivots are the largest entries that are
   left of the diagonal, or random ones. NUMERIC for a diagonal that is not positive. */
quern_status q_low_rank_make(q_preconditioner *out, const quern_linear *linear, int64_t most, bool greedy, bool trial);
/* What is behind L and left: the factor of the core; nothing where it is not positive. */
quern_status q_low_rank_finish(q_preconditioner *out);

// nystrom.c

/* The same from so many products with random vectors, at 16 a pass, for operators without entries. */
quern_status q_nystrom_make(q_preconditioner *out, const quern_linear *linear, int64_t rank, bool trial);

// blocks.c

/* Block Jacobi: blocks of the matrix whose rows are a cluster; without clusters those of a k-d tree of the operator's points, of so
   many rows. NUMERIC for a block that is not positive definite. */
quern_status q_blocks_make(q_preconditioner *out, const quern_linear *linear, const quern_clusters *clusters,
                           int64_t rows);

// lanczos.c

/* x.y of one vector each; out[r] = x.y of the vectors r of R. */
double q_vector_dot(int64_t count, const double *x, const double *y);
void q_dots(int64_t rows, int64_t R, const double *x, const double *y, double *out);

typedef struct q_lanczos {
    const quern_linear *a; /* these are the caller's to set */
    const q_preconditioner *inverse;
    quern_dtype dtype;
    int64_t rows, R;
    int64_t steps;
    double *v;            /* rows x R: the vectors of the last step */
    double *alpha, *beta; /* its entry on the diagonal, and beside it for the next; a vector is done when beta is 0 */
    double *beta_before;
    bool symmetric; /* as far as the first product tells */
    double *r_before, *r, *y, *q, *size, *scratch, *memory;
} q_lanczos;

/* Begins with rows x R numbers; to be ended also after a failure. */
quern_status q_lanczos_begin(q_lanczos *l, const double *start);
/* One product; NUMERIC where it is not finite. */
quern_status q_lanczos_step(q_lanczos *l);
void q_lanczos_end(q_lanczos *l);

#endif
