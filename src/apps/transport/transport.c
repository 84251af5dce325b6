/*
 * transport.c: the call quern_transport: options and their defaults, clouds on the device, what is solved in which order, the
 * report. Everything here reads like a list; the numerics are in the other files (transport.h).
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/transport/transport.h"
#include "apps/views/views.h"

// ---- options ----

static quern_status check_options(const quern_transport_options *o)
{
    if ((unsigned)o->loss > QUERN_LOSS_HAUSDORFF_HARD) return q_fail(QUERN_USAGE, "there is no loss %d", (int)o->loss);
    if ((unsigned)o->schedule > QUERN_SCHEDULE_GEOMLOSS)
        return q_fail(QUERN_USAGE, "there is no schedule %d", (int)o->schedule);
    if ((unsigned)o->penalty > QUERN_PENALTY_TV) return q_fail(QUERN_USAGE, "there is no penalty %d", (int)o->penalty);
    if (o->penalty == QUERN_PENALTY_TV && o->schedule == QUERN_SCHEDULE_GEOMLOSS)
        return q_fail(QUERN_UNSUPPORTED, "GeomLoss's schedule has no total variation");
    if ((o->loss == QUERN_LOSS_KERNEL) != (o->kernel != NULL))
        return q_fail(QUERN_USAGE, "the loss `kernel`, and no other, needs a formula in `kernel`");
    Q_TRY(q_range_check("blur", o->blur, 0, HUGE_VAL));
    Q_TRY(q_range_check("power", o->power, 0, 64));
    Q_TRY(q_range_check("reach", o->reach, 0, HUGE_VAL));
    Q_TRY(q_range_check("reach_x", o->reach_x, 0, HUGE_VAL));
    Q_TRY(q_range_check("reach_y", o->reach_y, 0, HUGE_VAL));
    Q_TRY(q_range_check("tolerance", o->tolerance, 0, 1));
    Q_TRY(q_range_check("gap", o->gap, 0, HUGE_VAL));
    Q_TRY(q_range_check("truncate", o->truncate, 0, 0.1));
    Q_TRY(q_range_check("iterations", o->iterations, 0, 1e9));
    Q_TRY(q_range_check("diameter", o->diameter, 0, HUGE_VAL));
    if ((unsigned)o->debias > QUERN_OFF || (unsigned)o->certify > QUERN_OFF || (unsigned)o->truncation > QUERN_OFF)
        return q_fail(QUERN_USAGE, "debias, certify and truncation are %d, %d and %d; there are no such switches",
                      (int)o->debias, (int)o->certify, (int)o->truncation);
    return q_range_check("scaling", o->scaling, 0, 0.999);
}

/* A cost that has a name. */
static const struct named_cost {
    const char *name, *formula;
    double scale, power;
    q_bound bound;
} costs[] = {{"sqdist", "SqDist(x,y)", 0.5, 2, Q_BOUND_TANGENT}, {"distance", "Norm2(x-y)", 1, 1, Q_BOUND_DISTANCE}};

static const char *const kernels[] = {[QUERN_LOSS_GAUSSIAN] = "Exp(-s*SqDist(x,y))",
                                      [QUERN_LOSS_LAPLACIAN] = "Exp(-s*Norm2(x-y))",
                                      [QUERN_LOSS_ENERGY] = "-Norm2(x-y)"};

static bool is_kernel(quern_transport_loss loss)
{
    return loss >= QUERN_LOSS_GAUSSIAN && loss <= QUERN_LOSS_KERNEL;
}

/* Whether a formula of the user's is one, of x and y and with one component. */
static quern_status check_formula(const q_transport *t, const char *formula)
{
    quern_operator *op = NULL;
    q_text text = {0};
    q_text_add(&text, "x=Vi(%lld); y=Vj(%lld); Sum_j(%s)", (long long)t->cloud[Q_X].dim, (long long)t->cloud[Q_Y].dim,
               formula);
    quern_status status = text.failed ? q_fail_memory(strlen(formula)) : quern_compile(&op, NULL, text.data, NULL);
    if (!status && (quern_result_count(op) != 1 || quern_result(op, 0).dim != 1))
        status =
            q_fail(QUERN_DIMENSION, "the formula '%s' has %zu results, the first of length %lld; one of 1 is needed",
                   formula, quern_result_count(op), (long long)quern_result(op, 0).dim);
    quern_operator_destroy(&op);
    q_text_free(&text);
    return status;
}

/* The formula of the cost or kernel, its factor, and the power of lengths that has its unit. */
static quern_status choose_cost(q_transport *t)
{
    quern_transport_options *o = &t->options;
    const char *formula = is_kernel(o->loss) ? o->kernel ? o->kernel : kernels[o->loss] : o->cost ? o->cost : "sqdist";
    bool given = is_kernel(o->loss) ? o->kernel != NULL : true;
    double power = 1;
    t->scale = o->loss == QUERN_LOSS_GAUSSIAN ? 0.5 / (o->blur * o->blur) : is_kernel(o->loss) ? 1 / o->blur : 1;
    for (size_t k = 0; k < Q_COUNT(costs) && given && !is_kernel(o->loss); k++)
        if (!strcmp(formula, costs[k].name)) {
            formula = costs[k].formula, t->scale = costs[k].scale, power = costs[k].power;
            t->bound = costs[k].bound;
            given = false;
            break;
        }
    t->symmetric = !given || is_kernel(o->loss);
    if (given) Q_TRY(check_formula(t, formula));
    if (!(o->power > 0)) o->power = power;
    t->eps = pow(o->blur, o->power);
    q_text text = {0};
    q_text_add(&text, "(%s)", formula);
    t->cost = q_text_take(&text);
    return t->cost ? QUERN_OK : q_fail_memory(strlen(formula));
}

static double or_default(double given, double otherwise)
{
    return given > 0 ? given : otherwise;
}

static quern_status fill_defaults(q_transport *t)
{
    quern_transport_options *o = &t->options;
    const double reach[] = {or_default(o->reach_x, o->reach), or_default(o->reach_y, o->reach)};
    bool plan = o->loss == QUERN_LOSS_SINKHORN;
    o->blur = or_default(o->blur, 0.05);
    o->scaling = or_default(o->scaling, 0.5);
    if (!o->iterations) o->iterations = 1000;
    if (o->debias == QUERN_AUTO) o->debias = QUERN_ON;
    if (!plan || o->schedule == QUERN_SCHEDULE_GEOMLOSS || o->penalty == QUERN_PENALTY_TV) o->truncation = QUERN_OFF;
    if (o->certify == QUERN_AUTO && o->schedule == QUERN_SCHEDULE_GEOMLOSS) o->certify = QUERN_OFF;
    Q_TRY(choose_cost(t));
    if (!(t->eps > 0) || isinf(t->eps))
        return q_fail(QUERN_USAGE, "blur is %g, and blur^%g is %g; it must be a positive number", o->blur, o->power,
                      t->eps);
    if (t->scale > (t->dtype == QUERN_F32 ? FLT_MAX : DBL_MAX))
        return q_fail(QUERN_USAGE, "blur is %g: the kernel is too narrow for %s", o->blur, q_dtype_name(t->dtype));
    for (int k = 0; k < 2; k++) {
        t->rho[k] = reach[k] > 0 ? pow(reach[k], o->power) : INFINITY;
        if (!(t->rho[k] > 0))
            return q_fail(QUERN_USAGE, "the reach is %g, and its power %g is 0; it must be a positive number", reach[k],
                          o->power);
    }
    if ((!plan || o->debias == QUERN_ON || t->symmetric) && o->loss != QUERN_LOSS_HAUSDORFF_HARD &&
        t->cloud[Q_X].dim != t->cloud[Q_Y].dim) {
        q_fail(QUERN_SHAPE, "x has %lld columns and y %lld", (long long)t->cloud[Q_X].dim,
               (long long)t->cloud[Q_Y].dim);
        q_fail_next_step("points of different spaces need a formula as cost, and no debiasing");
        return QUERN_SHAPE;
    }
    return QUERN_OK;
}

// ---- clouds ----

static const char *const point_names[] = {"x", "y"}, *const weight_names[] = {"a", "b"};

static quern_status load_points(q_cloud *cloud, q_transport *t, const char *name, quern_view points)
{
    cloud->rows = points.rows, cloud->dim = points.columns;
    Q_TRY(q_shape_check(name, &points, -1, -1));
    Q_TRY(q_transport_array(&cloud->points, t, points.rows, points.columns));
    return quern_array_write(cloud->points, points);
}

/* The same for each point of a member, 1 in all. */
static quern_status fill_weights(q_cloud *cloud, q_transport *t)
{
    if (t->members == 1) return quern_array_fill(cloud->weights, 1 / (double)cloud->rows);
    double *weights = malloc((size_t)cloud->rows * sizeof *weights);
    if (!weights) return q_fail_memory((size_t)cloud->rows * sizeof *weights);
    for (size_t m = 0; m < t->members; m++)
        for (int64_t k = cloud->offsets[m]; k < cloud->offsets[m + 1]; k++)
            weights[k] = 1 / (double)(cloud->offsets[m + 1] - cloud->offsets[m]);
    quern_status status = quern_array_write(cloud->weights, quern_f64(weights, cloud->rows, 1));
    free(weights);
    return status;
}

/* Also adds up the masses. */
static quern_status check_weights(q_cloud *cloud, q_transport *t, const char *name)
{
    const q_pairs rows = {cloud, NULL, NULL};
    const quern_arg args[] = {{"a", q_array(cloud->weights)}, {NULL, {0}}};
    double *sums = cloud->masses, absolute = 0, negative = 0;
    Q_TRY(q_transport_sums(t, Q_WEIGHTS, Q_X, &rows, args, sums, 3));
    for (size_t m = 0; m < t->members; m++)
        cloud->mass += sums[m], absolute += sums[t->members + m], negative += sums[2 * t->members + m];
    if (!isfinite(absolute)) return q_fail(QUERN_USAGE, "%s has NaN or infinite weights, or an infinite sum", name);
    if (negative > 0 && !is_kernel(t->options.loss)) {
        q_fail(QUERN_USAGE, "%s has %.0f weight%s below 0", name, negative, Q_S(negative));
        q_fail_next_step("signed measures can be compared by the losses gaussian, laplacian, energy and kernel");
        return QUERN_USAGE;
    }
    return QUERN_OK;
}

static quern_status load_weights(q_cloud *cloud, q_transport *t, const char *name, quern_view weights)
{
    bool given = weights.data || weights.array || weights.rows;
    Q_TRY(q_member_check(name, &weights));
    if (given && (weights.rows != cloud->rows || weights.columns != 1))
        return q_fail(QUERN_SHAPE, "%s is %lld x %lld, not %lld x 1: a weight for each point", name,
                      (long long)weights.rows, (long long)weights.columns, (long long)cloud->rows);
    Q_TRY(q_transport_array(&cloud->weights, t, cloud->rows, 1));
    Q_TRY(q_transport_array(&cloud->logs, t, cloud->rows, 1));
    if (!(cloud->masses = calloc(3 * t->members, sizeof *cloud->masses)))
        return q_fail_memory(3 * t->members * sizeof *cloud->masses);
    if (!cloud->rows) return QUERN_OK;
    Q_TRY(given ? quern_array_write(cloud->weights, weights) : fill_weights(cloud, t));
    Q_TRY(check_weights(cloud, t, name));
    const quern_arg args[] = {{"a", q_array(cloud->weights)}, {NULL, {0}}};
    return q_transport_run(t, Q_LOGS, Q_X, NULL, args, QUERN_OUTS(q_array(cloud->logs)));
}

/* Widens low and high, of the cloud's dimension, to hold it. */
static quern_status widen_box(const q_cloud *cloud, q_transport *t, int k, double *low, double *high)
{
    size_t dim = (size_t)cloud->dim;
    void *numbers = calloc(2 * dim + 1, sizeof(double));
    if (!numbers) return q_fail_memory(2 * dim * sizeof(double));
    char *at = numbers;
    size_t size = q_element_size(t->dtype);
    const quern_arg args[] = {{"x", q_array(cloud->points)}, {NULL, {0}}};
    quern_status status = q_transport_run(t, Q_BOX, k, NULL, args,
                                          QUERN_OUTS(quern_view_of(at, t->dtype, 1, cloud->dim),
                                                     quern_view_of(at + dim * size, t->dtype, 1, cloud->dim),
                                                     quern_view_of(at + 2 * dim * size, t->dtype, 1, 1)));
    for (size_t d = 0; d < dim && !status; d++) {
        low[d] = fmin(low[d], q_element_read(t->dtype, at + d * size));
        high[d] = fmax(high[d], q_element_read(t->dtype, at + (dim + d) * size));
    }
    if (!status && !isfinite(q_element_read(t->dtype, at + 2 * dim * size)))
        status = q_fail(QUERN_USAGE, "%s has NaN or infinite coordinates, or an infinite sum of them", point_names[k]);
    free(numbers);
    return status;
}

/* The diagonal of the box of both clouds, if they have as many columns; else checks the coordinates alone. */
static quern_status measure_box(q_transport *t, double *diagonal)
{
    int64_t dim = t->cloud[Q_X].dim > t->cloud[Q_Y].dim ? t->cloud[Q_X].dim : t->cloud[Q_Y].dim;
    double *low = calloc((size_t)dim, 2 * sizeof *low), *high = low ? low + dim : NULL, sum = 0;
    quern_status status = low ? QUERN_OK : q_fail_memory((size_t)dim * 2 * sizeof *low);
    for (int64_t d = 0; d < dim && !status; d++) low[d] = INFINITY, high[d] = -INFINITY;
    for (int k = 0; k < 2 && !status; k++)
        if (t->cloud[k].rows) status = widen_box(&t->cloud[k], t, k, low, high);
    for (int64_t d = 0; d < dim && !status; d++) sum += high[d] > low[d] ? (high[d] - low[d]) * (high[d] - low[d]) : 0;
    *diagonal = sqrt(sum);
    free(low);
    return status;
}

/* The length at which the schedule begins. */
static quern_status measure_diameter(q_transport *t)
{
    Q_TRY(measure_box(t, &t->diameter));
    if (t->options.diameter > 0) t->diameter = t->options.diameter;
    if (t->options.diameter > 0 || t->symmetric || !t->cloud[Q_X].rows || !t->cloud[Q_Y].rows) return QUERN_OK;
    const quern_arg none[] = {{NULL, {0}}};
    const q_pairs pairs = {&t->cloud[Q_X], &t->cloud[Q_Y], NULL};
    double *largest = malloc(t->members * sizeof *largest), most = 0;
    if (!largest) return q_fail_memory(t->members * sizeof *largest);
    quern_status status = q_transport_sums(t, Q_LARGEST, Q_X, &pairs, none, largest, 1);
    for (size_t m = 0; m < t->members && !status; m++)
        if (!(largest[m] <= most) && (t->members == 1 || t->cloud[Q_X].masses[m] > 0)) most = largest[m];
    free(largest);
    if (status) return status;
    if (!isfinite(most)) return q_fail(QUERN_USAGE, "the cost '%s' has NaN or infinite values", t->cost);
    t->diameter = pow(most, 1 / t->options.power);
    return QUERN_OK;
}

// ---- transport ----

/* Equal masses where both marginals are exact; and a marginal that is exact needs something on the other side. */
static bool masses_fit(const q_transport *t, double x, double y)
{
    double slack = t->dtype == QUERN_F32 ? 1e-5 : 1e-9;
    bool exact[] = {isinf(t->rho[Q_X]), isinf(t->rho[Q_Y])};
    if (exact[Q_X] && exact[Q_Y]) return fabs(x - y) <= slack * fmax(x, y);
    return !(exact[Q_X] && x > 0 && !(y > 0)) && !(exact[Q_Y] && y > 0 && !(x > 0));
}

static quern_status check_masses(const q_transport *t)
{
    for (size_t m = 0; m < t->members; m++) {
        double x = t->cloud[Q_X].masses[m], y = t->cloud[Q_Y].masses[m];
        bool points = false; /* of a batch, where a member has no mass: then it has no points */
        for (int k = 0; k < 2 && t->members > 1 && !(x > 0 && y > 0); k++)
            points |= t->offsets[k][m] < t->offsets[k][m + 1];
        if (points)
            return q_fail(QUERN_SHAPE, "member %zu has the masses %g and %g; members with points need both", m, x, y);
        if (masses_fit(t, x, y)) continue;
        if (t->members == 1) q_fail(QUERN_SHAPE, "the masses are %.9g and %.9g: no plan has both marginals", x, y);
        else q_fail(QUERN_SHAPE, "the masses of member %zu are %.9g and %.9g: no plan has both marginals", m, x, y);
        q_fail_next_step("make the sums of the weights equal, or give a reach: unbalanced transport");
        return QUERN_SHAPE;
    }
    return QUERN_OK;
}

static quern_status begin(q_problem *p, q_transport *t, int x, int y)
{
    Q_TRY(q_problem_create(p, t, &t->cloud[x], &t->cloud[y]));
    if (p->trivial) {
        p->dual = 0;
        for (int k = 0; k < 2; k++)
            if (p->side[k].cloud->mass > 0) p->dual += fmin(p->side[k].rho, p->side[k].bound) * p->side[k].cloud->mass;
        p->value = p->upper = p->dual, p->cost = p->error = 0, p->converged = true;
        return QUERN_OK;
    }
    const quern_transport_options *o = &t->options;
    bool started = o->start_x.rows || o->start_y.rows;
    if (o->schedule == QUERN_SCHEDULE_GEOMLOSS) return q_problem_average(p, t);
    if (started && !p->self) return q_problem_start(p, t, o->start_x, o->start_y);
    return q_problem_anneal(p, t, t->eps, false);
}

enum { ATTEMPTS = 3 }; /* where blocks that are left out have become too heavy */

/* On to this tolerance, and bounds. */
static quern_status advance(q_problem *p, q_transport *t, double tolerance)
{
    bool fixed = t->options.schedule == QUERN_SCHEDULE_GEOMLOSS;
    if (p->trivial) return QUERN_OK;
    for (int attempt = 0; !fixed && attempt < ATTEMPTS; attempt++) {
        Q_TRY(q_problem_settle(p, t, tolerance));
        if (t->options.certify == QUERN_OFF) return QUERN_OK;
        Q_TRY(q_problem_certify(p, t));
        if (p->skipped <= t->budget) return QUERN_OK;
    }
    if (!fixed || t->options.certify == QUERN_OFF) return QUERN_OK;
    double value = p->value; /* GeomLoss's, of its two potentials */
    Q_TRY(q_problem_finish(p, t));
    p->value = value;
    return q_problem_certify(p, t);
}

double q_transport_excess(const q_transport *t, size_t member)
{
    double excess = t->cloud[Q_X].masses[member] - t->cloud[Q_Y].masses[member];
    return t->options.debias == QUERN_OFF ? 0 : t->eps / 2 * excess * excess;
}

static double half_selves(const q_transport *t, double sign)
{
    if (t->options.debias == QUERN_OFF) return 0;
    const q_problem *x = &t->self[Q_X], *y = &t->self[Q_Y];
    return sign > 0 ? (x->upper + y->upper) / 2 : sign < 0 ? (x->dual + y->dual) / 2 : (x->value + y->value) / 2;
}

/* Rounding may put the bounds of a value that is known exactly in the wrong order. */
static void order(double *lower, double *upper)
{
    double low = *lower;
    if (*upper < low) *lower = *upper, *upper = low;
}

static void report(q_transport *t)
{
    const q_problem *p = &t->between;
    double more = 0;
    for (size_t m = 0; m < t->members; m++) more += q_transport_excess(t, m);
    quern_transport_report *r = &t->report;
    r->value = p->value - half_selves(t, 0) + more;
    r->lower = r->upper = r->cost = NAN;
    if (t->options.certify != QUERN_OFF) {
        r->lower = p->dual - half_selves(t, 1) + more;
        r->upper = p->upper - half_selves(t, -1) + more;
        r->cost = p->cost;
    }
    order(&r->lower, &r->upper);
    r->gap = r->upper - r->lower;
    r->converged =
        p->converged && (t->options.debias == QUERN_OFF || (t->self[Q_X].converged && t->self[Q_Y].converged));
    r->iterations = p->iterations;
    r->iterations_x = t->self[Q_X].iterations, r->iterations_y = t->self[Q_Y].iterations;
    r->marginal_error = p->error;
    r->touched = p->side[0].ranges ? (double)quern_ranges_pairs(p->side[0].ranges) /
                                         ((double)p->side[0].cloud->rows * (double)p->side[1].cloud->rows)
                                   : 1;
    r->skipped = p->skipped;
}

static quern_status solve(q_transport *t)
{
    const quern_transport_options *o = &t->options;
    q_problem *const problems[] = {&t->between, &t->self[Q_X], &t->self[Q_Y]};
    const int sides[][2] = {{Q_X, Q_Y}, {Q_X, Q_X}, {Q_Y, Q_Y}};
    size_t count = o->debias == QUERN_OFF ? 1 : Q_COUNT(problems);
    double tolerance = o->tolerance > 0 ? o->tolerance : o->gap > 0 ? 0.03 : 1e-4;
    Q_TRY(check_masses(t));
    if (q_batch_is_large(t)) return q_batch_solve(t);
    t->budget = or_default(o->truncate, tolerance / 4);
    for (size_t k = 0; k < count; k++) Q_TRY(begin(problems[k], t, sides[k][0], sides[k][1]));
    for (bool more = true; more; tolerance /= 8) {
        t->budget = or_default(o->truncate, tolerance / 4);
        for (size_t k = 0; k < count; k++) Q_TRY(advance(problems[k], t, tolerance));
        report(t);
        more = o->gap > 0 && o->certify != QUERN_OFF && o->schedule != QUERN_SCHEDULE_GEOMLOSS && t->report.converged &&
               t->report.gap > o->gap * fabs(t->report.value) && tolerance > 1e-14;
    }
    return QUERN_OK;
}

// ---- the call ----

static quern_status compute(q_transport *t)
{
    switch (t->options.loss) {
    case QUERN_LOSS_SINKHORN: return solve(t);
    case QUERN_LOSS_HAUSDORFF:
    case QUERN_LOSS_HAUSDORFF_HARD: return q_transport_hausdorff(t);
    default: return q_transport_kernel_norm(t);
    }
}

static quern_status load(q_transport *t, const quern_view points[2], const quern_view weights[2])
{
    for (int k = 0; k < 2; k++) {
        Q_TRY(load_points(&t->cloud[k], t, point_names[k], points[k]));
    }
    Q_TRY(fill_defaults(t));
    for (int k = 0; k < 2; k++) Q_TRY(load_weights(&t->cloud[k], t, weight_names[k], weights[k]));
    const quern_transport_options *o = &t->options;
    if (q_view_given(&o->start_x) || q_view_given(&o->start_y)) {
        Q_TRY(q_shape_check("start_x", &o->start_x, t->cloud[Q_X].rows, 1));
        Q_TRY(q_shape_check("start_y", &o->start_y, t->cloud[Q_Y].rows, 1));
    }
    t->report.mass_x = t->cloud[Q_X].mass, t->report.mass_y = t->cloud[Q_Y].mass;
    Q_TRY(measure_diameter(t));
    for (int k = 0; k < 2; k++) Q_TRY(q_cloud_sort(&t->cloud[k], t));
    return QUERN_OK;
}

quern_status q_transport_begin(q_transport **out, const char *function, quern_context *context, bool wide,
                               const quern_transport_options *options)
{
    *out = NULL;
    if (!context) return q_fail_null(function, "context");
    q_transport *t = calloc(1, sizeof *t);
    if (!t) return q_fail_memory(sizeof *t);
    *out = t;
    t->context = context;
    t->members = 1;
    t->dtype = wide ? QUERN_F64 : QUERN_F32;
    t->report.levels = t->levels;
    t->report.lower = t->report.upper = t->report.gap = t->report.cost = NAN;
    t->report.directed_x = t->report.directed_y = NAN;
    t->report.touched = 1;
    quern_status status = q_options_copy(&t->options, sizeof t->options, options, "quern_transport_options");
    return status ? status : check_options(&t->options);
}

quern_status q_transport_end(q_transport *t, const quern_view points[2], const quern_view weights[2])
{
    quern_status status = load(t, points, weights);
    if (!status) status = compute(t);
    t->options.cost = t->options.kernel = NULL; /* the caller's */
    return status;
}

quern_status quern_transport(quern_transport_result **out, quern_context *context, quern_view x, quern_view a,
                             quern_view y, quern_view b, const quern_transport_options *options)
{
    if (!out) return q_fail_null("quern_transport", "out");
    bool wide = x.dtype == QUERN_F64 || y.dtype == QUERN_F64;
    quern_status status = q_transport_begin(out, "quern_transport", context, wide, options);
    if (!status) status = q_transport_end(*out, (quern_view[]){x, y}, (quern_view[]){a, b});
    if (status) quern_transport_destroy(out);
    return status;
}

// ---- grids ----

/* An image or volume as a column; all other views are left to the check of weights. */
static quern_view as_column(quern_view view, int64_t count)
{
    bool dense = !view.stride || view.stride == view.columns;
    if (dense && view.rows > 0 && view.columns > 0 && view.rows * view.columns == count)
        view.rows = count, view.columns = 1, view.stride = 0;
    return view;
}

static quern_status solve_on_grid(q_transport *t, quern_view a, quern_view b)
{
    const q_grid *g = t->grid;
    if (t->options.loss != QUERN_LOSS_SINKHORN || (t->options.cost && strcmp(t->options.cost, "sqdist")))
        return q_fail(QUERN_UNSUPPORTED, "on a grid there is transport with the cost sqdist alone");
    t->options.truncation = QUERN_OFF;
    double *places = malloc((size_t)(g->count * g->dim) * sizeof *places);
    if (!places) return q_fail_memory((size_t)(g->count * g->dim) * sizeof *places);
    q_grid_places(g, places);
    const quern_view points = quern_f64(places, g->count, g->dim);
    quern_status status = q_transport_end(t, (quern_view[]){points, points},
                                          (quern_view[]){as_column(a, g->count), as_column(b, g->count)});
    free(places);
    return status;
}

quern_status quern_transport_grid(quern_transport_result **out, quern_context *context, const quern_grid *grid,
                                  quern_view a, quern_view b, const quern_transport_options *options)
{
    if (!out) return q_fail_null("quern_transport_grid", "out");
    bool wide = a.dtype == QUERN_F64 || b.dtype == QUERN_F64;
    quern_status status = q_transport_begin(out, "quern_transport_grid", context, wide, options);
    if (!status) status = q_grid_create(&(*out)->grid, context, (*out)->dtype, grid);
    if (!status) status = solve_on_grid(*out, a, b);
    if (status) quern_transport_destroy(out);
    return status;
}

void q_cloud_destroy(q_cloud *cloud)
{
    quern_array_destroy(&cloud->points);
    quern_array_destroy(&cloud->weights);
    quern_array_destroy(&cloud->logs);
    q_blocks_destroy(&cloud->blocks);
    free(cloud->masses);
}

void quern_transport_destroy(quern_transport_result **result)
{
    if (!result || !*result) return;
    q_transport *t = *result;
    for (int k = 0; k < 2; k++) {
        q_cloud_destroy(&t->cloud[k]);
        quern_array_destroy(&t->potential[k]);
        q_problem_destroy(&t->self[k]);
        for (int f = 0; f < Q_FORMULA_COUNT; f++) quern_operator_destroy(&t->operators[f][k]);
    }
    q_problem_destroy(&t->between);
    quern_operator_destroy(&t->applying);
    quern_pairs_destroy(&t->pairs);
    q_grid_destroy(&t->grid);
    for (size_t m = 0; m < t->members && t->parts; m++) quern_transport_destroy(&t->parts[m]);
    free(t->parts), free(t->values);
    free(t->offsets[Q_X]), free(t->offsets[Q_Y]);
    free(t->cost);
    free(t);
    *result = NULL;
}

const quern_transport_report *quern_transport_report_of(const quern_transport_result *result)
{
    return result ? &result->report : NULL;
}
