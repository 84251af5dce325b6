/*
 * transport.h: what the files behind quern/transport.h share. transport.c has the call, its checks and its report, batch.c many
 * problems, formulas.c the operators, solve.c Sinkhorn's iterations, coarse.c their start, certify.c bounds of the value, parts.c
 * gradients and plans, hessian.c second derivatives, losses.c kernel norms and Hausdorff distances.
 *
 * A problem is transport between two sides, which may be one cloud. Each side has a potential and, for the other's next step,
 * log(weight) + potential / eps. All arrays are on the device; what the host reads back are sums.
 */
#ifndef QUERN_APPS_TRANSPORT_H
#define QUERN_APPS_TRANSPORT_H

#include "apps/transport/grid.h"
#include "base/base.h"
#include "quern/array.h"
#include "quern/cluster.h"
#include "quern/pairs.h"
#include "quern/transport.h"

// ---- clouds and problems ----

/* Of a cloud that is in the order of a k-d tree's leaves: truncate.c. */
typedef struct q_blocks {
    quern_clusters *clusters;
    quern_array *centres;  /* of the boxes, a row for each block */
    double *centre, *half; /* the same, and half of the boxes' sides */
    char *corners;         /* where the cost is a formula: low ones, then high ones, in the arrays' type; else null */
} q_blocks;

typedef struct q_cloud {
    quern_array *points, *weights, *logs; /* logs of the weights: -inf for 0 */
    int64_t rows, dim;
    double mass;
    double *masses; /* by member; null where there is one */
    const int64_t
        *offsets;     /* of a batch, members + 1 of them: where the points of a member begin; null where there is one */
    q_blocks *blocks; /* null: points are in the caller's order */
} q_cloud;

typedef struct q_side {
    const q_cloud *cloud;
    double rho;                      /* of KL; INFINITY: none */
    double bound;                    /* of the potential: rho of total variation; INFINITY: none */
    quern_array *potential, *scaled; /* scaled: logs + potential / eps, of the next step's eps */
    quern_array *old, *old_scaled;   /* those before the last step */
    quern_array *sums;               /* of a step: log of the sum of exponentials */
    quern_ranges *ranges;            /* which of the other side's points its points meet; null: all */
} q_side;

typedef struct q_problem {
    q_side side[2];
    bool self;      /* both sides are one cloud */
    bool symmetric; /* and have one potential, that of side 0, until the problem is finished */
    bool trivial;   /* a side has no mass, so the plan is 0 */
    bool *keep;     /* by blocks of side 0 and of side 1: those that meet; null: all */
    double *least;  /* Q_BOUND_FORMULA: the least costs of the same blocks, once they are known */
    double skipped; /* what the others have of the plan's mass at most */
    int last;       /* the side whose marginal the last step makes exact */
    double w, most; /* the relaxation, and what it may rise to */
    double value, dual, upper, cost, error, size; /* sums over members; the largest error; of the largest potential */
    double *duals, *uppers;                       /* by member */
    int iterations;
    bool converged;
} q_problem;

// ---- the result ----

/* Rows of the table in formulas.c. */
typedef enum q_formula {
    Q_SOFTMIN,
    Q_UPDATE,
    Q_TALLY,
    Q_MARGINAL,
    Q_COST,
    Q_TOTAL,
    Q_EXP,
    Q_SCALE,
    Q_CLIP,
    Q_KL,
    Q_TV,
    Q_GRADIENT,
    Q_APPLY,
    Q_MAP,
    Q_ASSIGN,
    Q_ROW,
    Q_BOX,
    Q_WEIGHTS,
    Q_LOGS,
    Q_LARGEST,
    Q_DIFFERENCE,
    Q_WEIGHT_GRADIENT,
    Q_PRODUCT,
    Q_KERNEL_GRADIENT,
    Q_NEAREST,
    Q_SOFT_POSITIONS,
    Q_SOFT_WEIGHTS,
    Q_SLOPE,
    Q_HESSIAN,
    Q_KERNEL_HESSIAN,
    Q_SOFT_HESSIAN,
    Q_BLOCK,
    Q_BLOCK_ALONE,
    Q_SPREAD,
    Q_MOMENTS,
    Q_FORMULA_COUNT
} q_formula;

enum { Q_X, Q_Y, Q_MAX_LEVELS = 256 };

/* How blocks are bounded: truncate.c. */
typedef enum q_bound { Q_BOUND_FORMULA, Q_BOUND_TANGENT, Q_BOUND_DISTANCE } q_bound;

struct quern_transport_result {
    quern_context *context;
    quern_dtype dtype;
    quern_transport_options options; /* with its defaults filled in */
    char *cost;                      /* the formula of a cost or kernel */
    double scale, eps, rho[2];       /* scale: what the formula is multiplied by; rho: INFINITY where balanced */
    bool symmetric;                  /* a cost or kernel that is known to be */
    q_bound bound;
    q_grid *grid; /* on which both clouds are; null: anywhere */
    size_t members;
    int64_t *offsets[2];
    double budget; /* the part of each row's and column's mass that may be left out */
    q_cloud cloud[2];
    q_problem between, self[2];
    quern_array *potential[2];      /* of kernel norms and Hausdorff distances */
    double *values;                 /* of these, by member */
    quern_transport_result **parts; /* of a batch whose members are solved one by one; null: together */
    double diameter;
    quern_transport_report report;
    quern_transport_level levels[Q_MAX_LEVELS];
    quern_operator *operators[Q_FORMULA_COUNT][2];
    quern_pairs *pairs;       /* entries of a cost that is a formula: q_transport_pairs */
    quern_operator *applying; /* Q_APPLY for another number of columns */
    int64_t applying_columns;
    int applying_direction;
};

typedef quern_transport_result q_transport;

// transport.c

void q_cloud_destroy(q_cloud *cloud);
/* A result without anything computed; and the rest, with what is given. */
quern_status q_transport_begin(q_transport **out, const char *function, quern_context *context, bool wide,
                               const quern_transport_options *options);
quern_status q_transport_end(q_transport *t, const quern_view points[2], const quern_view weights[2]);
/* eps/2 times the square of what a member's masses differ by. */
double q_transport_excess(const q_transport *t, size_t member);

// batch.c

/* Whether members are large enough to leave something out, each by itself; that; and parts of such a result, of the rows of side k. */
bool q_batch_is_large(const q_transport *t);
quern_status q_batch_solve(q_transport *t);
quern_status q_batch_read(q_transport *t, quern_transport_part part, int k, quern_view to);
quern_status q_batch_hessian(q_transport *t, const quern_view directions[2], const quern_view results[2]);

// formulas.c

/* The operator of a formula whose rows are x (direction Q_X) or y; compiled once, borrowed. */
quern_status q_transport_operator(quern_operator **out, q_transport *t, q_formula formula, int direction);
/* The same of `columns` components, for Q_APPLY. */
quern_status q_transport_applying(quern_operator **out, q_transport *t, int direction, int64_t columns);
/* Costs of pairs of points x and y; made once, borrowed. */
quern_status q_transport_pairs(quern_pairs **out, q_transport *t);
/* What meets what; without columns, formulas of rows by member. */
typedef struct q_pairs {
    const q_cloud *rows, *columns;
    const quern_ranges *ranges; /* null: all pairs */
} q_pairs;

/* Runs one whose arguments are the arrays of a list that ends with a null name; `pairs` tells the points, or is null. */
quern_status q_transport_run(q_transport *t, q_formula formula, int direction, const q_pairs *pairs,
                             const quern_arg *args, quern_outs results);
/* The same whose results are numbers: sums[k * members + m] is result k of member m; without pairs all is one member. */
quern_status q_transport_sums(q_transport *t, q_formula formula, int direction, const q_pairs *pairs,
                              const quern_arg *args, double *sums, size_t count);
/* Those of a problem with the rows of side k. */
q_pairs q_problem_pairs(const q_problem *p, int k);
/* The direction of the formulas for the rows of side k. */
int q_transport_direction(const q_transport *t, const q_problem *p, int k);
quern_status q_transport_array(quern_array **out, const q_transport *t, int64_t rows, int64_t columns);
quern_view q_array(const quern_array *array);

// solve.c

quern_status q_problem_create(q_problem *p, q_transport *t, const q_cloud *x, const q_cloud *y);
void q_problem_destroy(q_problem *p);
/* From the first temperature down to this one, which is not begun, or, for a coarse problem, nearly solved. */
quern_status q_problem_anneal(q_problem *p, q_transport *t, double stop, bool coarse);
/* At the last temperature, until the marginals are off by `tolerance`. */
quern_status q_problem_settle(q_problem *p, q_transport *t, double tolerance);
/* The last side's potential from the other side of a coarse problem at eps; `next` is the temperature to go on with. */
quern_status q_problem_extend(q_problem *p, q_transport *t, const q_problem *coarse, double eps, double next);
/* A plain step of the last side, and a look at what it has reached. */
quern_status q_problem_finish(q_problem *p, q_transport *t);
/* GeomLoss's schedule; the value is of the two potentials that it ends with. */
quern_status q_problem_average(q_problem *p, q_transport *t);
/* The step of side k into arrays of the caller's; `scaled` is of the other side. */
quern_status q_problem_step(q_problem *p, q_transport *t, int k, quern_array *scaled, quern_array *potential,
                            quern_array *next_scaled);
/* Begins with these potentials, at the last temperature. */
quern_status q_problem_start(q_problem *p, q_transport *t, quern_view x, quern_view y);
/* Of a potential that a step with relaxation w at eps has made of the one before: the 4 sums of Q_TALLY, by member. `step` are the
   sums of that step; null: there was none. */
quern_status q_side_tally(q_transport *t, const q_side *side, const quern_array *step, const quern_array *potential,
                          const quern_array *before, double eps, double w, double *sums);
/* The largest error of a member, by such sums. */
double q_largest_error(const q_transport *t, const double *sums);
double q_cloud_mass(const q_cloud *cloud, size_t member);
/* Whether the plan may have another marginal than the side's weights. */
bool q_side_is_free(const q_side *side);
/* What quotients of a side's marginal are made of, for Q_GRADIENT and its kin: the step's sums and 1 / eps, or 0 where KL or nothing makes
   them a matter of the potential alone. */
double q_side_density(const q_transport *t, const q_side *side);
/* The potential that the last side's was made from. */
const quern_array *q_problem_partner(const q_problem *p);
/* 1 / (1 + eps / rho) */
double q_damping(double eps, double rho);
double q_inverse(double rho); /* 1 / rho, 0 if that is infinite */

// coarse.c

/* Potentials from clusters, where clouds are large; *blur is then where the schedule goes on. */
quern_status q_problem_coarsen(q_problem *p, q_transport *t, double *blur);

// truncate.c

enum { Q_LARGE = 2000 }; /* points of a cloud that is not solved at once */

/* Puts a cloud in the order of blocks. */
quern_status q_cloud_sort(q_cloud *cloud, q_transport *t);
void q_blocks_destroy(q_blocks **blocks);
/* Takes an array of a row for each point from the caller's order to that of the blocks, or back. */
quern_status q_cloud_reorder(const q_cloud *cloud, quern_array *array, bool back);
/* Where a row of the caller's stands; and the caller's rows in place of places in a column of int64. */
int64_t q_cloud_place(const q_cloud *cloud, int64_t row);
quern_status q_cloud_rename(const q_cloud *cloud, quern_array *places);
/* Chooses the blocks that meet by the present potentials, or, before there are any, by those of `first` alone; all of them
   where most do. */
quern_status q_problem_truncate(q_problem *p, q_transport *t, double eps);
quern_status q_problem_truncate_first(q_problem *p, q_transport *t, double eps);
void q_problem_meet_all(q_problem *p);
/* What the blocks that do not meet have of the mass of the plan of the last potentials. */
quern_status q_problem_skipped(double *mass, q_problem *p, q_transport *t);

// certify.c

/* The dual value, and with `primal` what the plan costs once it is rounded. */
quern_status q_problem_certify(q_problem *p, q_transport *t);

// losses.c

quern_status q_transport_kernel_norm(q_transport *t);
quern_status q_transport_hausdorff(q_transport *t);
/* The gradient of such a loss with respect to a cloud's positions or weights; *out is the caller's. */
quern_status q_transport_loss_gradient(quern_array **out, q_transport *t, int k, bool positions);
/* u - factor v, into u, of the same shape. */
quern_status q_transport_subtract(q_transport *t, quern_array *u, double factor, const quern_array *v);

#endif
