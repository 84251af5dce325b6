/*
 * losses.c: losses without a plan: kernel norms and Hausdorff distances.
 *
 * A kernel norm 1/2 |a - b|_k^2 and the soft Hausdorff distance are both F(a,b) - F(a,a)/2 - F(b,b)/2, up to the sign, with a
 * symmetric F; so the gradient in x is that of F(a,b) in its first cloud minus that of F(a,a), and a cloud's potential is
 * the other's field minus its own.
 */
#include <math.h>

#include "apps/transport/transport.h"

/* K w of one cloud's weights, or their soft distance, at the points of another. */
static quern_status field(quern_array *out, q_transport *t, int rows, int columns)
{
    const q_cloud *at = &t->cloud[rows], *of = &t->cloud[columns];
    const q_pairs pairs = {at, of, NULL};
    if (t->options.loss != QUERN_LOSS_HAUSDORFF) {
        const quern_arg args[] = {{"s", quern_number(t->scale)}, {"b", q_array(of->weights)}, {NULL, {0}}};
        return q_transport_run(t, Q_PRODUCT, Q_X, &pairs, args, QUERN_OUTS(q_array(out)));
    }
    const quern_arg args[] = {{"h", q_array(of->logs)}, {"s", quern_number(t->scale / t->eps)}, {NULL, {0}}};
    Q_TRY(q_transport_run(t, Q_SOFTMIN, Q_X, &pairs, args, QUERN_OUTS(q_array(out))));
    quern_array *scaled = NULL; /* 0 less eps times it */
    quern_status status = q_transport_array(&scaled, t, at->rows, 1);
    if (!status) status = q_transport_subtract(t, scaled, t->eps, out);
    if (!status) status = quern_copy(t->context, q_array(out), q_array(scaled));
    quern_array_destroy(&scaled);
    return status;
}

/* The other's field minus the own one, or for kernel norms the other way round; and its mean with the weights. */
static quern_status potential(quern_array **out, q_transport *t, int k, double *mean)
{
    bool soft = t->options.loss == QUERN_LOSS_HAUSDORFF;
    quern_array *other = NULL;
    double sums[4];
    quern_status status = q_transport_array(out, t, t->cloud[k].rows, 1);
    if (!status) status = q_transport_array(&other, t, t->cloud[k].rows, 1);
    if (!status) status = field(*out, t, k, soft ? 1 - k : k);
    if (!status) status = field(other, t, k, soft ? k : 1 - k);
    if (!status) status = q_transport_subtract(t, *out, 1, other);
    quern_array_destroy(&other);
    const quern_arg args[] = {{"u", q_array(*out)},
                              {"f", q_array(*out)},
                              {"a", q_array(t->cloud[k].weights)},
                              {"k", quern_number(0)},
                              {"c", quern_number(0)},
                              {"v", quern_number(1)},
                              {"r", q_array(*out)},
                              {"n", quern_number(0)},
                              {"b", quern_number(0)},
                              {NULL, {0}}};
    if (!status) status = q_transport_sums(t, Q_TALLY, Q_X, NULL, args, sums, 4);
    if (!status) *mean = sums[1];
    return status;
}

quern_status q_transport_kernel_norm(q_transport *t)
{
    double x, y;
    Q_TRY(potential(&t->potential[Q_X], t, Q_X, &x));
    Q_TRY(potential(&t->potential[Q_Y], t, Q_Y, &y));
    t->report.value = (x + y) / 2;
    return QUERN_OK;
}

static quern_status directed(double *out, q_transport *t, int k)
{
    const q_cloud *from = &t->cloud[k], *to = &t->cloud[1 - k];
    const q_pairs pairs = {from, to, NULL};
    const quern_arg args[] = {{"a", q_array(from->weights)}, {"b", q_array(to->weights)}, {NULL, {0}}};
    *out = from->mass > 0 ? INFINITY : 0;
    if (!(from->mass > 0) || !(to->mass > 0)) return QUERN_OK;
    Q_TRY(q_transport_sums(t, Q_NEAREST, t->symmetric ? Q_X : k, &pairs, args, out, 1));
    *out *= t->scale;
    return QUERN_OK;
}

quern_status q_transport_hausdorff(q_transport *t)
{
    if (t->options.loss == QUERN_LOSS_HAUSDORFF) {
        if (t->cloud[Q_X].mass > 0 && t->cloud[Q_Y].mass > 0) return q_transport_kernel_norm(t);
        return q_fail(QUERN_SHAPE, "the masses are %g and %g: a soft Hausdorff distance is between two that are not 0",
                      t->cloud[Q_X].mass, t->cloud[Q_Y].mass);
    }
    Q_TRY(directed(&t->report.directed_x, t, Q_X));
    Q_TRY(directed(&t->report.directed_y, t, Q_Y));
    t->report.value = fmax(t->report.directed_x, t->report.directed_y);
    return QUERN_OK;
}

// ---- gradients ----

/* Of F in the first cloud, k. */
static quern_status gradient_in(quern_array *out, q_transport *t, int k, int columns, bool positions)
{
    const q_cloud *at = &t->cloud[k], *of = &t->cloud[columns];
    const q_pairs pairs = {at, of, NULL};
    bool soft = t->options.loss == QUERN_LOSS_HAUSDORFF;
    const quern_arg kernel[] = {
        {"a", q_array(at->weights)}, {"b", q_array(of->weights)}, {"s", quern_number(t->scale)}, {NULL, {0}}};
    const quern_arg fields[] = {{"l", q_array(at->logs)},
                                {"b", q_array(of->weights)},
                                {"h", q_array(of->logs)},
                                {"s", quern_number(t->scale / t->eps)},
                                {"e", quern_number(t->eps)},
                                {"a", q_array(at->weights)},
                                {NULL, {0}}};
    const quern_arg weights[] = {fields[0], fields[1], fields[2], fields[3], fields[4], {NULL, {0}}};
    if (!soft) return q_transport_run(t, Q_KERNEL_GRADIENT, Q_X, &pairs, kernel, QUERN_OUTS(q_array(out)));
    return q_transport_run(t, positions ? Q_SOFT_POSITIONS : Q_SOFT_WEIGHTS, Q_X, &pairs, positions ? fields : weights,
                           QUERN_OUTS(q_array(out)));
}

quern_status q_transport_loss_gradient(quern_array **out, q_transport *t, int k, bool positions)
{
    const q_cloud *cloud = &t->cloud[k];
    bool soft = t->options.loss == QUERN_LOSS_HAUSDORFF;
    quern_array *other = NULL;
    if (!positions && !soft) return quern_array_from(out, t->context, q_array(t->potential[k]));
    quern_status status = q_transport_array(out, t, cloud->rows, positions ? cloud->dim : 1);
    if (!status) status = q_transport_array(&other, t, cloud->rows, positions ? cloud->dim : 1);
    if (!status) status = gradient_in(*out, t, k, soft ? 1 - k : k, positions);
    if (!status) status = gradient_in(other, t, k, soft ? k : 1 - k, positions);
    if (!status) status = q_transport_subtract(t, *out, 1, other);
    quern_array_destroy(&other);
    return status;
}
