/*
 * losses.c: losses without a plan: kernel norms and Hausdorff distances.
 *
 * A kernel norm 1/2 |a - b|_k^2 and the soft Hausdorff distance are both F(a,b) - F(a,a)/2 - F(b,b)/2, up to the sign, with a
 * symmetric F; so the gradient in x is that of F(a,b) in its first cloud minus that of F(a,a), and a cloud's potential is
 * the other's field minus its own.
 */
#include <math.h>
#include <stdlib.h>

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

/* The other's field minus the own one, or for kernel norms the other way round; half its mean with the weights is added to the values. */
static quern_status potential(quern_array **out, q_transport *t, int k)
{
    bool soft = t->options.loss == QUERN_LOSS_HAUSDORFF;
    quern_array *other = NULL;
    double *sums = malloc(4 * t->members * sizeof *sums);
    const q_pairs rows = {&t->cloud[k], NULL, NULL};
    if (!sums) return q_fail_memory(4 * t->members * sizeof *sums);
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
    if (!status) status = q_transport_sums(t, Q_TALLY, Q_X, &rows, args, sums, 4);
    for (size_t m = 0; m < t->members && !status; m++) t->values[m] += sums[t->members + m] / 2;
    free(sums);
    return status;
}

quern_status q_transport_kernel_norm(q_transport *t)
{
    t->report.value = 0;
    if (!(t->values = calloc(t->members, sizeof *t->values))) return q_fail_memory(t->members * sizeof *t->values);
    Q_TRY(potential(&t->potential[Q_X], t, Q_X));
    Q_TRY(potential(&t->potential[Q_Y], t, Q_Y));
    for (size_t m = 0; m < t->members; m++) t->report.value += t->values[m];
    t->report.converged = true;
    return QUERN_OK;
}

/* From each member of a cloud to the other's. */
static quern_status directed(double *out, q_transport *t, int k)
{
    const q_cloud *from = &t->cloud[k], *to = &t->cloud[1 - k];
    const q_pairs pairs = {from, to, NULL};
    const quern_arg args[] = {{"a", q_array(from->weights)}, {"b", q_array(to->weights)}, {NULL, {0}}};
    if (from->mass > 0 && to->mass > 0)
        Q_TRY(q_transport_sums(t, Q_NEAREST, t->symmetric ? Q_X : k, &pairs, args, out, 1));
    for (size_t m = 0; m < t->members; m++)
        out[m] = !(from->masses[m] > 0) ? 0 : !(to->masses[m] > 0) ? INFINITY : out[m] * t->scale;
    return QUERN_OK;
}

static quern_status hard_hausdorff(q_transport *t, double *x, double *y)
{
    quern_transport_report *r = &t->report;
    Q_TRY(directed(x, t, Q_X));
    Q_TRY(directed(y, t, Q_Y));
    r->value = r->directed_x = r->directed_y = 0, r->converged = true;
    for (size_t m = 0; m < t->members; m++) {
        t->values[m] = fmax(x[m], y[m]);
        r->value += t->values[m], r->directed_x += x[m], r->directed_y += y[m];
    }
    return QUERN_OK;
}

/* A soft distance is between masses that are not 0, or in a batch between nothing and nothing. */
static quern_status check_masses(const q_transport *t)
{
    for (size_t m = 0; m < t->members; m++) {
        double x = t->cloud[Q_X].masses[m], y = t->cloud[Q_Y].masses[m];
        bool points = t->members == 1;
        for (int k = 0; k < 2 && !points; k++) points = t->offsets[k][m] < t->offsets[k][m + 1];
        if (points && !(x > 0 && y > 0))
            return q_fail(QUERN_SHAPE,
                          "the masses are %g and %g%s: a soft Hausdorff distance is between two that are not 0", x, y,
                          t->members > 1 ? " in a member" : "");
    }
    return QUERN_OK;
}

quern_status q_transport_hausdorff(q_transport *t)
{
    if (t->options.loss == QUERN_LOSS_HAUSDORFF) {
        Q_TRY(check_masses(t));
        return q_transport_kernel_norm(t);
    }
    double *numbers = calloc(2 * t->members, sizeof *numbers);
    t->values = calloc(t->members, sizeof *t->values);
    quern_status status = numbers && t->values ? hard_hausdorff(t, numbers, numbers + t->members)
                                               : q_fail_memory(2 * t->members * sizeof *numbers);
    free(numbers);
    return status;
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
