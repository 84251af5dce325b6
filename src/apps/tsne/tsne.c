/*
 * tsne.c: the call quern_tsne, and its descent: gradient steps with momentum and gains for each coordinate, as scikit-learn
 * takes them (Jacobs, 1988). The device sums over all pairs what repels each point while the host sums over neighbours what
 * attracts it.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/tsne/tsne.h"

enum { REPORT_EVERY = 50, MOST_PERPLEXITY = 341 };

typedef struct picture {
    quern_context *context;
    quern_tsne_options options; /* with its defaults filled in */
    int64_t rows;
    int dim;
    q_affinities near;
    quern_operator *repulsion;
    quern_array *places, *repelled;      /* on the device: float32 */
    double *place, *step, *gain, *force; /* rows x dim */
    float *sums;                         /* rows x (1 + dim): kernels and forces */
    double entropy, total,
        logs; /* sum of affinities times their logarithms; kernels of all pairs; sum of affinities times log(1 + squared distance) */
} picture;

// ---- forces ----

/* What attracts, and the logarithms that the divergence needs where they are asked for. */
static void attract(picture *p, double factor, bool with_logs)
{
    const int dim = p->dim;
    p->logs = 0;
    for (int64_t i = 0; i < p->rows; i++) {
        const double *here = p->place + i * dim;
        double force[Q_MOST_DIMENSIONS] = {0};
        for (int64_t e = p->near.first[i]; e < p->near.first[i + 1]; e++) {
            const double *there = p->place + (int64_t)p->near.column[e] * dim;
            double square = 1;
            for (int d = 0; d < dim; d++) square += (here[d] - there[d]) * (here[d] - there[d]);
            const double weight = (double)p->near.weight[e] / square;
            for (int d = 0; d < dim; d++) force[d] += weight * (here[d] - there[d]);
            if (with_logs) p->logs += (double)p->near.weight[e] * log(square);
        }
        for (int d = 0; d < dim; d++) p->force[i * dim + d] = 4 * factor * force[d];
    }
}

/* The gradient of the divergence, with the attraction times `factor`, in p->force. */
static quern_status find_forces(picture *p, double factor, bool with_logs)
{
    const int dim = p->dim;
    const quern_view places = quern_array_view(p->places), results = quern_array_view(p->repelled);
    Q_TRY(q_view_write(p->context, places, quern_f64(p->place, p->rows, dim)));
    Q_TRY(quern_run(p->repulsion, QUERN_ARGS({"y", places}, {"z", places}), results));
    attract(p, factor, with_logs);
    Q_TRY(quern_array_read(p->repelled, quern_f32(p->sums, p->rows, 1 + dim)));
    p->total = 0;
    for (int64_t i = 0; i < p->rows; i++) p->total += (double)p->sums[i * (1 + dim)] - 1; /* but for itself */
    if (isnan(p->total)) {
        q_fail(QUERN_NUMERIC, "points have left the range of float32");
        q_fail_next_step("choose a smaller learning rate or exaggeration");
        return QUERN_NUMERIC;
    }
    for (int64_t i = 0; i < p->rows && p->total > 0; i++)
        for (int d = 0; d < dim; d++) p->force[i * dim + d] -= 4 / p->total * (double)p->sums[i * (1 + dim) + 1 + d];
    return QUERN_OK;
}

/* Sum of P log(P / Q), Q being the kernels by their total. */
static double divergence(const picture *p)
{
    return p->entropy + p->logs + log(p->total);
}

// ---- the descent ----

static void move(picture *p, double momentum)
{
    const int64_t count = p->rows * p->dim;
    for (int64_t e = 0; e < count; e++) {
        double gain = p->force[e] * p->step[e] < 0 ? p->gain[e] + 0.2 : p->gain[e] * 0.8;
        p->gain[e] = gain > 0.01 ? gain : 0.01;
        p->step[e] = momentum * p->step[e] - p->options.learning_rate * p->gain[e] * p->force[e];
        p->place[e] += p->step[e];
    }
}

/* In float32 positions lose digits as the picture drifts, which it need not. */
static void centre(picture *p)
{
    for (int d = 0; d < p->dim; d++) {
        double mean = 0;
        for (int64_t i = 0; i < p->rows; i++) mean += p->place[i * p->dim + d] / (double)p->rows;
        for (int64_t i = 0; i < p->rows; i++) p->place[i * p->dim + d] -= mean;
    }
}

static double size_of(const double *numbers, int64_t count)
{
    double sum = 0;
    for (int64_t e = 0; e < count; e++) sum += numbers[e] * numbers[e];
    return sqrt(sum);
}

static void start_phase(picture *p)
{
    for (int64_t e = 0; e < p->rows * p->dim; e++) p->step[e] = 0, p->gain[e] = 1;
}

/* A quarter of the steps with exaggerated attraction, so that groups find together; then the others. */
static quern_status descend(picture *p, quern_tsne_report *report)
{
    const quern_tsne_options *o = &p->options;
    const int exaggerated = o->iterations / 4;
    start_phase(p);
    for (int turn = 0; turn <= o->iterations; turn++) {
        const bool early = turn < exaggerated, last = turn == o->iterations;
        const bool tell = last || turn % REPORT_EVERY == 0;
        if (turn == exaggerated && turn) start_phase(p);
        Q_TRY(find_forces(p, early ? o->exaggeration : 1, tell));
        report->iterations = turn;
        if (tell) report->divergence = divergence(p);
        if (last || (!early && size_of(p->force, p->rows * p->dim) < 1e-7)) break;
        if (tell && turn && o->progress && o->progress(o->progress_user, turn, report->divergence))
            return q_fail(QUERN_CANCELLED, "stopped after %d steps of %d", turn, o->iterations);
        move(p, early ? 0.5 : 0.8);
        centre(p);
    }
    return QUERN_OK;
}

// ---- the call ----

static quern_status fill_defaults(quern_tsne_options *o, int64_t rows)
{
    const double others = rows > 1 ? (double)(rows - 1) : 1, third = fmax(others / 3, 1);
    if (!o->distance) o->distance = "SqDist(x,y)";
    if (o->perplexity == 0) o->perplexity = third < 30 ? third : 30;
    if (o->exaggeration == 0) o->exaggeration = 12;
    if (o->iterations == 0) o->iterations = 1000;
    Q_TRY(q_range_check("perplexity", o->perplexity, 1, MOST_PERPLEXITY));
    if (o->perplexity > others && rows > 1)
        return q_fail(QUERN_USAGE, "a perplexity of %g needs more than %lld points", o->perplexity, (long long)rows);
    Q_TRY(q_range_check("exaggeration", o->exaggeration, 1, 1e6));
    Q_TRY(q_range_check("iterations", o->iterations, 1, 1e9));
    if (o->learning_rate == 0) o->learning_rate = fmax((double)rows / (4 * o->exaggeration), 50);
    return q_range_check("learning_rate", o->learning_rate, 1e-300, 1e300);
}

static quern_status compile_repulsion(picture *p)
{
    q_text text = {0};
    q_text_add(&text, "y=Vi(%d); z=Vj(%d); w=1/(1+SqDist(y,z)); Sum_j(Concat(w,w*w*(y-z)))", p->dim, p->dim);
    quern_status status = text.failed ? q_fail_memory(64) : quern_compile(&p->repulsion, p->context, text.data, NULL);
    q_text_free(&text);
    return status;
}

static quern_status allocate(picture *p)
{
    const size_t count = (size_t)(p->rows * p->dim) + 1;
    double *all = calloc(4 * count, sizeof *all);
    p->place = all;
    p->sums = malloc((size_t)(p->rows * (1 + p->dim)) * sizeof *p->sums);
    if (!all || !p->sums) return q_fail_memory(4 * count * sizeof *all);
    p->step = all + count, p->gain = all + 2 * count, p->force = all + 3 * count;
    Q_TRY(quern_array_create(&p->places, p->context, QUERN_F32, p->rows, p->dim));
    return quern_array_create(&p->repelled, p->context, QUERN_F32, p->rows, 1 + p->dim);
}

static void destroy(picture *p)
{
    q_affinities_destroy(&p->near);
    quern_operator_destroy(&p->repulsion);
    quern_array_destroy(&p->places);
    quern_array_destroy(&p->repelled);
    free(p->place);
    free(p->sums);
}

static quern_status solve(picture *p, quern_view x, quern_view y, quern_tsne_report *report)
{
    quern_array *points = NULL;
    Q_TRY(allocate(p));
    quern_status status = q_picture_begin(&points, p->place, p->context, x, p->options.start, p->dim, p->options.seed);
    if (!status && p->rows > 1) {
        status = q_affinities_create(&p->near, p->context, points, p->options.distance,
                                     q_neighbor_count(p->rows, ceil(3 * p->options.perplexity)), &q_perplexity,
                                     p->options.perplexity);
        if (!status) report->edges = p->near.first[p->rows], p->entropy = q_affinities_normalise(&p->near);
    }
    quern_array_destroy(&points);
    if (!status && p->rows > 1) status = compile_repulsion(p);
    if (!status && p->rows > 1) status = descend(p, report);
    return q_picture_end(status, p->context, y, p->place);
}

quern_status quern_tsne(quern_context *context, quern_view x, quern_view y, const quern_tsne_options *options,
                        quern_tsne_report *report)
{
    picture p = {.context = context, .rows = x.rows, .dim = (int)y.columns};
    quern_tsne_report told = {.size = sizeof told};
    if (!context) return q_fail_null("quern_tsne", "the context");
    Q_TRY(q_options_copy(&p.options, sizeof p.options, options, "quern_tsne_options"));
    Q_TRY(q_picture_check(x, y, p.options.start));
    Q_TRY(fill_defaults(&p.options, x.rows));
    quern_status status = solve(&p, x, y, &told);
    destroy(&p);
    if (report) q_report_copy(report, &told, sizeof told);
    return status;
}
