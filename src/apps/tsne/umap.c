/*
 * umap.c: the call quern_umap, and its descent: steps of Adam (Kingma and Ba, 2015), whose length falls to 0. The device sums over all
 * pairs what repels each point while the host sums over neighbours what attracts it.
 *
 * The loss: see quern/umap.h. Its gradient by y_i is 2 sum_j w_ij A(y_i - y_j) - (m / 2n) sum_j (d_i + d_j) R(y_i - y_j), w being
 * memberships, d_i their sums, m the negative samples; A and R are the forces of umap-learn, with its guard against points at one place.
 */
#include "quern/umap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/tsne/tsne.h"

enum { REPORT_EVERY = 50, MOST_NEIGHBORS = 1024, FIT_POINTS = 300 };

typedef struct picture {
    quern_context *context;
    quern_umap_options options; /* with its defaults filled in */
    int64_t rows;
    int dim;
    double a, b;
    q_affinities near;
    quern_operator *repulsion, *apart;
    quern_array *places, *degrees, *repelled;             /* on the device: float32 */
    double *place, *force, *first_moment, *second_moment; /* rows x dim */
    float *degree, *sums;                                 /* rows; rows x dim */
} picture;

// ---- the curve ----

/* 1 / (1 + a x^2b) nearest to 1 up to min_dist and exp(min_dist - x) beyond, up to x = 3, in the least squares (Gauss and Newton,
   Levenberg's damping). */
static void fit_curve(double min_dist, double *a, double *b)
{
    double damping = 1e-3, at[2] = {0.5, 0.0}; /* logarithms of a and b */
    for (int turn = 0; turn < 200; turn++) {
        double h[3] = {0}, g[2] = {0};
        for (int k = 1; k < FIT_POINTS; k++) {
            const double x = 3.0 * k / (FIT_POINTS - 1), t = exp(at[0] + 2 * exp(at[1]) * log(x)), f = 1 / (1 + t);
            const double off = f - (x < min_dist ? 1 : exp(min_dist - x));
            const double j[2] = {-f * f * t, -f * f * t * 2 * exp(at[1]) * log(x)};
            h[0] += j[0] * j[0], h[1] += j[0] * j[1], h[2] += j[1] * j[1], g[0] += j[0] * off, g[1] += j[1] * off;
        }
        const double p = h[0] * (1 + damping), q = h[2] * (1 + damping), det = p * q - h[1] * h[1];
        at[0] -= (q * g[0] - h[1] * g[1]) / det, at[1] -= (p * g[1] - h[1] * g[0]) / det;
        damping *= 0.5;
    }
    *a = exp(at[0]), *b = exp(at[1]);
}

// ---- forces ----

/* 2 sum_j w_ij A(y_i - y_j); the sum of w_ij log(1 + a s^b). */
static double attract(picture *p)
{
    const int dim = p->dim;
    double logs = 0;
    for (int64_t i = 0; i < p->rows; i++) {
        const double *here = p->place + i * dim;
        double force[Q_MOST_DIMENSIONS] = {0};
        for (int64_t e = p->near.first[i]; e < p->near.first[i + 1]; e++) {
            const double *there = p->place + (int64_t)p->near.column[e] * dim;
            double s = 0;
            for (int d = 0; d < dim; d++) s += (here[d] - there[d]) * (here[d] - there[d]);
            if (!(s > 0)) continue;
            const double t = p->a * pow(s, p->b), weight = (double)p->near.weight[e];
            const double by = 2 * weight * 2 * p->b * t / (s * (1 + t));
            for (int d = 0; d < dim; d++) force[d] += by * (here[d] - there[d]);
            logs += weight * log1p(t);
        }
        for (int d = 0; d < dim; d++) p->force[i * dim + d] = force[d];
    }
    return logs;
}

static quern_args arguments(const picture *p, quern_arg args[7])
{
    const quern_view places = quern_array_view(p->places), degrees = quern_array_view(p->degrees);
    args[0] = (quern_arg){"y", places}, args[1] = (quern_arg){"z", places};
    args[2] = (quern_arg){"d", degrees}, args[3] = (quern_arg){"e", degrees};
    args[4] = (quern_arg){"a", quern_number(p->a)}, args[5] = (quern_arg){"b", quern_number(p->b)};
    args[6] = (quern_arg){"m", quern_number(p->options.repulsion / (2 * (double)p->rows))};
    return (quern_args){args, 7, 0, 0};
}

/* The gradient in p->force. The loss, where it is asked for. */
static quern_status find_forces(picture *p, double *loss)
{
    const int64_t count = p->rows * p->dim;
    quern_arg args[7];
    float apart = 0;
    Q_TRY(q_view_write(p->context, quern_array_view(p->places), quern_f64(p->place, p->rows, p->dim)));
    Q_TRY(quern_run(p->repulsion, arguments(p, args), quern_array_view(p->repelled)));
    const double logs = attract(p);
    Q_TRY(quern_array_read(p->repelled, quern_f32(p->sums, p->rows, p->dim)));
    for (int64_t e = 0; e < count; e++) p->force[e] -= (double)p->sums[e];
    if (!loss) return QUERN_OK;
    Q_TRY(quern_run(p->apart, arguments(p, args), quern_f32(&apart, 1, 1)));
    *loss = (logs + 0.5 * (double)apart) / (double)p->rows;
    return QUERN_OK;
}

// ---- the descent ----

/* Steps of Adam: each coordinate moves about as far as every other, by its force over what its forces are. */
static void move(picture *p, int turn)
{
    const double one = 0.9, two = 0.99, length = 1 - (double)turn / p->options.iterations;
    const double scale = length / (1 - pow(one, turn + 1)), root = sqrt(1 / (1 - pow(two, turn + 1)));
    for (int64_t e = 0; e < p->rows * p->dim; e++) {
        const double force = p->force[e];
        p->first_moment[e] = one * p->first_moment[e] + (1 - one) * force;
        p->second_moment[e] = two * p->second_moment[e] + (1 - two) * force * force;
        p->place[e] -=
            p->options.learning_rate * scale * p->first_moment[e] / (root * sqrt(p->second_moment[e]) + 1e-8);
    }
}

static quern_status descend(picture *p, quern_umap_report *report)
{
    const quern_umap_options *o = &p->options;
    for (int turn = 0; turn <= o->iterations; turn++) {
        const bool last = turn == o->iterations, tell = last || turn % REPORT_EVERY == 0;
        Q_TRY(find_forces(p, tell ? &report->loss : NULL));
        report->iterations = turn;
        if (tell && !last && turn && o->progress && o->progress(o->progress_user, turn, report->loss))
            return q_fail(QUERN_CANCELLED, "stopped after %d steps of %d", turn, o->iterations);
        if (!last) move(p, turn);
    }
    return QUERN_OK;
}

// ---- the call ----

static quern_status fill_defaults(quern_umap_options *o, int64_t rows)
{
    if (!o->distance) o->distance = "Norm2(x-y)";
    if (!o->neighbors) o->neighbors = rows < 15 ? (rows < 2 ? 2 : (int)rows) : 15;
    if (o->min_dist == 0) o->min_dist = 0.1;
    if (o->min_dist < 0) o->min_dist = 0;
    if (o->repulsion == 0) o->repulsion = 5;
    if (!o->iterations) o->iterations = 500;
    if (o->learning_rate == 0) o->learning_rate = 1;
    Q_TRY(q_range_check("neighbors", o->neighbors, 2, MOST_NEIGHBORS));
    if (o->neighbors > rows && rows > 1)
        return q_fail(QUERN_USAGE, "there are %lld points; %d neighbors are too many", (long long)rows, o->neighbors);
    Q_TRY(q_range_check("min_dist", o->min_dist, 0, 3));
    Q_TRY(q_range_check("repulsion", o->repulsion, 1e-6, 1e6));
    Q_TRY(q_range_check("learning_rate", o->learning_rate, 1e-300, 1e300));
    return q_range_check("iterations", o->iterations, 1, 1e9);
}

static quern_status compile(quern_operator **out, const picture *p, const char *result)
{
    q_text text = {0};
    q_text_add(&text,
               "y=Vi(%d); z=Vj(%d); d=Vi(1); e=Vj(1); a=Pm(1); b=Pm(1); m=Pm(1); s=SqDist(y,z); t=a*Powf(s,b); %s",
               p->dim, p->dim, result);
    quern_status status = text.failed ? q_fail_memory(64) : quern_compile(out, p->context, text.data, NULL);
    q_text_free(&text);
    return status;
}

static quern_status compile_both(picture *p)
{
    Q_TRY(compile(&p->repulsion, p, "Sum_j(Clamp((2*b)/((1e-3+s)*(1+t))*(y-z),-4,4)*(m*(d+e)))"));
    return compile(&p->apart, p, "Sum_i(Sum_j(Where(I==J,0,Log(1+1/(t+1e-6))*(m*(d+e)))))");
}

static quern_status allocate(picture *p)
{
    const size_t count = (size_t)(p->rows * p->dim) + 1;
    double *all = calloc(4 * count, sizeof *all);
    p->place = all;
    p->sums = malloc(count * sizeof *p->sums);
    p->degree = calloc((size_t)p->rows + 1, sizeof *p->degree);
    if (!all || !p->sums || !p->degree) return q_fail_memory(5 * count * sizeof *all);
    p->force = all + count, p->first_moment = all + 2 * count, p->second_moment = all + 3 * count;
    Q_TRY(quern_array_create(&p->places, p->context, QUERN_F32, p->rows, p->dim));
    Q_TRY(quern_array_create(&p->degrees, p->context, QUERN_F32, p->rows, 1));
    return quern_array_create(&p->repelled, p->context, QUERN_F32, p->rows, p->dim);
}

static void destroy(picture *p)
{
    q_affinities_destroy(&p->near);
    quern_operator_destroy(&p->repulsion), quern_operator_destroy(&p->apart);
    quern_array_destroy(&p->places), quern_array_destroy(&p->degrees), quern_array_destroy(&p->repelled);
    free(p->place), free(p->sums), free(p->degree);
}

/* The graph of neighbours, and how much each point is in it. */
static quern_status find_graph(picture *p, const quern_array *points)
{
    const quern_umap_options *o = &p->options;
    Q_TRY(q_affinities_create(&p->near, p->context, points, o->distance, q_neighbor_count(p->rows, o->neighbors - 1),
                              &q_membership, log2(o->neighbors)));
    for (int64_t i = 0; i < p->rows; i++)
        for (int64_t e = p->near.first[i]; e < p->near.first[i + 1]; e++) p->degree[i] += p->near.weight[e];
    return quern_array_write(p->degrees, quern_f32(p->degree, p->rows, 1));
}

/* Principal components come as small as t-SNE wants them. */
static void widen(picture *p)
{
    double most = 0;
    for (int64_t e = 0; e < p->rows * p->dim; e++) most = fmax(most, fabs(p->place[e]));
    for (int64_t e = 0; e < p->rows * p->dim && most > 0; e++) p->place[e] *= 10 / most;
}

static quern_status solve(picture *p, quern_view x, quern_view y, quern_umap_report *report)
{
    quern_array *points = NULL;
    Q_TRY(allocate(p));
    fit_curve(p->options.min_dist, &p->a, &p->b);
    report->a = p->a, report->b = p->b;
    quern_status status = q_picture_begin(&points, p->place, p->context, x, p->options.start, p->dim, p->options.seed);
    if (!status && !q_view_given(&p->options.start)) widen(p);
    if (!status && p->rows > 1) status = find_graph(p, points);
    quern_array_destroy(&points);
    if (!status && p->rows > 1) {
        report->edges = p->near.first[p->rows];
        status = compile_both(p);
        if (!status) status = descend(p, report);
    }
    return q_picture_end(status, p->context, y, p->place);
}

quern_status quern_umap(quern_context *context, quern_view x, quern_view y, const quern_umap_options *options,
                        quern_umap_report *report)
{
    picture p = {.context = context, .rows = x.rows, .dim = (int)y.columns};
    quern_umap_report told = {.size = sizeof told};
    if (!context) return q_fail_null("quern_umap", "the context");
    Q_TRY(q_options_copy(&p.options, sizeof p.options, options, "quern_umap_options"));
    Q_TRY(q_picture_check(x, y, p.options.start));
    Q_TRY(fill_defaults(&p.options, x.rows));
    quern_status status = solve(&p, x, y, &told);
    destroy(&p);
    if (report) q_report_copy(report, &told, sizeof told);
    return status;
}
