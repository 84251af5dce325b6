/*
 * quern/transport.h: how far two weighted point clouds are apart: optimal transport, kernel norms, Hausdorff distances.
 *
 *     quern_transport_result *result;
 *     quern_transport(&result, ctx, quern_f32(x, M, 3), quern_f32(a, M, 1), quern_f32(y, N, 3), quern_f32(b, N, 1), NULL);
 *     printf("%g\n", quern_transport_report_of(result)->value);
 *     quern_transport_read(result, QUERN_GRADIENT_X, quern_f32(gradient, M, 3));
 *     quern_transport_destroy(&result);
 *
 * Entropic optimal transport between the measures a = sum a_i at x_i and b = sum b_j at y_j is the least
 *
 *     OT(a,b) = <C, P> + eps KL(P | a b^T) + rho_x KL(P 1 | a) + rho_y KL(P^T 1 | b)
 *
 * over plans P >= 0, with KL(p | q) = sum p log(p/q) - p + q, or sum |p - q| in place of KL of the marginals (`penalty`). Where a reach is 0 or infinite the plan has that marginal exactly
 * (balanced). The Sinkhorn divergence is OT(a,b) - OT(a,a)/2 - OT(b,b)/2 + eps/2 (sum a - sum b)^2: positive, and 0 for a = b
 * (Feydy et al. 2019; Sejourne et al. 2019). Costs are those of GeomLoss: |x-y|^2/2, with the factor 1/2, or |x-y|; eps is
 * blur^2 or blur, and rho reach^2 or reach. docs/transport.md has examples and what differs from GeomLoss.
 *
 * Every value comes with an interval that holds it, up to the rounding of the arrays' type: `lower` is the value of the dual
 * problem at the potentials, `upper` that of the primal at their plan, rounded to exact marginals (Altschuler, Weed,
 * Rigollet 2017).
 *
 * Conventions
 *   Arrays     Of the host or the device. Points are rows; weights a column, 0 allowed. All is computed in float64 if x or y
 *              is float64, else in float32.
 *   Cancel     The context's progress callback sees each pass, and can stop it: CANCELLED.
 *   Threads    A result is used by one thread at a time; it keeps its context alive, and copies of the arrays.
 *   Statuses   USAGE (null, NaN, a number that makes no sense), SHAPE, those of formulas, those of runs.
 */
#ifndef QUERN_TRANSPORT_H
#define QUERN_TRANSPORT_H

#include "quern.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum quern_transport_loss {
    QUERN_LOSS_SINKHORN = 0, /* entropic optimal transport, or its divergence */
    QUERN_LOSS_GAUSSIAN,     /* 1/2 |a - b|_k^2 with k = exp(-|x-y|^2 / (2 blur^2)) */
    QUERN_LOSS_LAPLACIAN,    /* with k = exp(-|x-y| / blur) */
    QUERN_LOSS_ENERGY,       /* with k = -|x-y| */
    QUERN_LOSS_KERNEL,       /* with the formula `kernel` */
    /* Half the sum of <a, s_b - s_a> and <b, s_a - s_b>, where s_b(x) = -eps log sum_j b_j exp(-C(x,y_j)/eps): a soft distance to
       the other cloud (Feydy, Trouve 2018). */
    QUERN_LOSS_HAUSDORFF,
    QUERN_LOSS_HAUSDORFF_HARD /* the largest least cost from a point of one cloud to the other, points of weight 0 left out */
} quern_transport_loss;

/* How the temperature falls to eps. */
typedef enum quern_transport_schedule {
    QUERN_SCHEDULE_TOLERANCE = 0, /* fast, then alternating steps, over-relaxed, until the tolerance is reached */
    QUERN_SCHEDULE_GEOMLOSS       /* GeomLoss's averaged steps, one for each of its temperatures, whatever is left */
} quern_transport_schedule;

/* What a marginal that has a reach costs: rho times */
typedef enum quern_transport_penalty {
    QUERN_PENALTY_KL = 0, /* KL: mass fades the more, the farther it had to go */
    QUERN_PENALTY_TV /* total variation: what costs more than rho on both sides together stays where it is (partial transport) */
} quern_transport_penalty;

typedef struct quern_transport_options {
    size_t size;
    quern_transport_loss loss;
    /* "sqdist": |x-y|^2/2, the default; "distance": |x-y|; else a formula in x and y. A formula must be symmetric where the
       loss compares a cloud with itself, as the divergence does. */
    const char *cost;
    const char *kernel; /* QUERN_LOSS_KERNEL: a symmetric formula in x and y */
    /* blur, 0.05 by default, and reach are lengths: eps = blur^power, rho = reach^power. `power` is 2 for "sqdist", else 1,
       unless it is given. */
    double blur, power;
    double reach;            /* of both marginals; 0: balanced */
    double reach_x, reach_y; /* of one marginal, in place of `reach`; infinite: balanced */
    quern_switch debias;     /* QUERN_OFF: plain entropic transport in place of the divergence */
    /* Stop when the marginals of the plan are off by this part of the mass (1e-4 by default), or as near as the type's
       rounding allows; */
    double tolerance;
    double gap;     /* and, if this is not 0, when upper - lower is below this part of the value */
    int iterations; /* at most so many at the last temperature; 0: 1000 */
    quern_transport_schedule schedule;
    double scaling;  /* ratio of two blurs of the schedule, below 1; 0: 0.5 */
    double diameter; /* the first blur; 0: the diagonal of the clouds' box */
    /* Whether lower and upper are computed. QUERN_AUTO: yes, but not with GeomLoss's schedule. */
    quern_switch certify;
    /* Whether blocks of the plan that have next to no mass are left out. QUERN_AUTO: of clouds of 4000 points and more, where
       at least half of all pairs are. What is left out has at most `truncate` of the mass of each row and column, provably;
       0: a quarter of the tolerance. `lower` and `upper` hold the value of the problem with nothing left out. */
    quern_switch truncation;
    double truncate;
    /* Potentials to begin with, of an earlier result (both or none): the schedule then has the last temperature only. */
    quern_view start_x, start_y;
    quern_transport_penalty penalty;
} quern_transport_options;

typedef struct quern_transport_result quern_transport_result;

/* What is known of one temperature. */
typedef struct quern_transport_level {
    double blur;
    int iterations;
    double marginal_error; /* after it; NaN where it was not asked for */
    int64_t M, N;          /* points, or centroids of clusters */
} quern_transport_level;

typedef struct quern_transport_report {
    double value; /* of the loss; for transport the dual value */
    double lower,
        upper;  /* what the value of the exact solution is between; NaN where not certified, and for other losses */
    double gap; /* upper - lower */
    double
        cost; /* <C, P> of the rounded plan between x and y: an upper bound of unregularised transport; NaN likewise */
    double mass_x, mass_y;
    double directed_x, directed_y;  /* Hausdorff: from x to y, from y to x */
    bool converged;                 /* the tolerance, or the type's rounding, was reached */
    int iterations;                 /* pairs of steps between x and y, all temperatures */
    int iterations_x, iterations_y; /* of the divergence's other two problems */
    double
        marginal_error; /* of the plan between x and y: the sum over its marginals' differences, relative to the mass */
    double touched;     /* pairs that the last steps between x and y computed / all pairs */
    double skipped;     /* the part of that plan's mass that the others have at most; 0 where nothing was left out */
    size_t level_count;
    const quern_transport_level *levels; /* of the problem between x and y */
} quern_transport_report;

/* Computes a loss. `a` and `b` may be {0}: weights 1/M and 1/N. Balanced transport needs equal masses (SHAPE). `options` may be
   null. */
QUERN_API quern_status quern_transport(quern_transport_result **out, quern_context *context, quern_view x, quern_view a,
                                       quern_view y, quern_view b, const quern_transport_options *options);
/* `members` problems in one call, as ragged batches (quern/space.h): member m has the rows offsets_x[m] .. offsets_x[m + 1] - 1 of x and a, and
   likewise of y and b; members + 1 numbers each, from 0 on. For transport each member has masses above 0, or no points. All take the same
   steps at the same temperatures until the one that is farthest from the tolerance has reached it. Members of 4000 points
   and more on average, or where truncation is QUERN_ON, are solved one after the other instead, each with the blocks that it
   leaves out. The report has sums over members, also for `gap`, and of errors, iterations and `skipped` the largest. All parts can be
   read, for all members, one after the other; assignments count within a member. No plan can be applied. */
QUERN_API quern_status quern_transport_batch(quern_transport_result **out, quern_context *context, size_t members,
                                             const int64_t *offsets_x, const int64_t *offsets_y, quern_view x,
                                             quern_view a, quern_view y, quern_view b,
                                             const quern_transport_options *options);
/* The value of a member, and what it is between; any pointer may be null. */
QUERN_API quern_status quern_transport_member(const quern_transport_result *result, size_t member, double *value,
                                              double *lower, double *upper);

/* Densities on a regular grid of up to three axes, of which the last runs fastest: signals, images, volumes. */
typedef struct quern_grid {
    int dim;           /* 1 to 3 */
    int64_t size[3];   /* points along each axis */
    double spacing[3]; /* lengths from one point to the next; 0: 1 / the largest size */
} quern_grid;

/* The same between two densities on one grid, axis by axis: n log-sums of n1 + n2 + n3 terms a step, for n = n1 n2 n3 points.
   `a` and `b` are dense arrays of n numbers, such as size[0] x size[1], or {0}. The cost is "sqdist"; nothing is left out. All parts
   can be read but GRADIENT_X and _Y and ASSIGNMENT_X and _Y; maps tell places, of which the first on each axis is one spacing
   from 0. No plan can be applied. At most 2^24 points (LIMIT). */
QUERN_API quern_status quern_transport_grid(quern_transport_result **out, quern_context *context,
                                            const quern_grid *grid, quern_view a, quern_view b,
                                            const quern_transport_options *options);
QUERN_API void quern_transport_destroy(quern_transport_result **result);

/* Borrowed from the result. Null for null. */
QUERN_API const quern_transport_report *quern_transport_report_of(const quern_transport_result *result);

/* Arrays that belong to a result; M rows for x, N for y. */
typedef enum quern_transport_part {
    QUERN_POTENTIAL_X = 0, /* f of the dual of OT(a,b); of a kernel norm k * (a - b) at x; soft Hausdorff: s_b(x) */
    QUERN_POTENTIAL_Y,
    QUERN_SELF_POTENTIAL_X, /* of OT(a,a) */
    QUERN_SELF_POTENTIAL_Y,
    QUERN_GRADIENT_X, /* of the value with respect to the positions, a row for each; */
    QUERN_GRADIENT_Y,
    QUERN_GRADIENT_A, /* and with respect to the weights */
    QUERN_GRADIENT_B,
    QUERN_MARGINAL_X, /* P 1: nearly a, for balanced transport */
    QUERN_MARGINAL_Y,
    QUERN_MAP_X, /* (P y)_i / (P 1)_i: where the plan sends x_i in the mean (barycentric map) */
    QUERN_MAP_Y,
    QUERN_ASSIGNMENT_X, /* the row of y that gets most of x_i: int64 */
    QUERN_ASSIGNMENT_Y
} quern_transport_part;

/* Computes an array into a view of the host or device. Exact gradients of the value at its optimum (envelope theorem), so
   they are as good as the potentials. UNSUPPORTED where the loss has no such part. */
QUERN_API quern_status quern_transport_read(quern_transport_result *result, quern_transport_part part, quern_view to);

/* The Hessian H of the value with respect to the positions of both clouds, times a direction (Hessian-vector product): what the gradients
   change by, to first order, where x moves by direction_x and y by direction_y, arrays of their shapes; {0}: not at all, or
   not asked for. Transport is differentiated implicitly, at its optimum: the solver goes on until the marginals are
   as near as the type's rounding allows, and a linear system with the plan is solved by conjugate gradients. H is symmetric. UNSUPPORTED
   where the loss is not smooth (total variation, the hard Hausdorff distance) or has no optimum (GeomLoss's schedule), and on a grid;
   NUMERIC where the optimum is not reached; USAGE for NaN. Costs are smooth but for |x-y| where points coincide. */
QUERN_API quern_status quern_transport_hessian(quern_transport_result *result, quern_view direction_x,
                                               quern_view direction_y, quern_view to_x, quern_view to_y);

/* The plan P between x and y times a matrix: to = P from (M x E, from N x E), or with `transposed` P^T from (N x E, from M x E). */
QUERN_API quern_status quern_transport_apply(quern_transport_result *result, bool transposed, quern_view from,
                                             quern_view to);
/* Rows first .. first + count - 1 of the plan: count x N. */
QUERN_API quern_status quern_transport_rows(quern_transport_result *result, int64_t first, int64_t count,
                                            quern_view to);

#ifdef __cplusplus
}
#endif

#endif
