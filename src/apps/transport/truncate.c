/*
 * truncate.c: blocks of the plan that are left out, and a bound of what they have.
 *
 * Points stand in the order of a k-d tree's leaves, the blocks. With potentials f, g the pairs of blocks R, K have at most
 *
 *     sum_i a_i exp((f_i - C(x_i, k)) / eps) sum_j b_j exp((g_j - C(r, y_j)) / eps) exp((C(r, k) + hR.hK) / eps)
 *
 * of the plan's mass, where C = |x-y|^2/2, r, k are the centres and hR, hK half the sides of their boxes: C is the sum of what
 * depends on one point alone and of (x_i - r).(y_j - k). Of other costs only the least one between the boxes is known, by a formula's
 * interval arithmetic where the cost is the caller's.
 * The largest row in place of the sum over R bounds what a row can lose of its mass. A pair of blocks is left out if rows lose
 * no more than the budget of their mass by all such, and columns neither. Potentials that were computed without some
 * blocks are too large, so what they leave out next is less.
 *
 * That decides which pairs are computed. What holds in the end is q_problem_skipped, by the potentials that are returned:
 * the dual value is that of all pairs less eps times it; and the primal value needs no bound, for a plan that is 0 in a block is a plan.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/transport/transport.h"

enum { LEVELS = 41 }; /* classes of bounds, a factor e apart; what is in the lowest is nothing */

#define DENSE 0.5 /* the part of all pairs from which on none is left out */

// ---- clouds in blocks ----

void q_blocks_destroy(q_blocks **blocks)
{
    q_blocks *b = *blocks;
    if (!b) return;
    quern_clusters_destroy(&b->clusters);
    quern_array_destroy(&b->centres);
    free(b->centre), free(b->half), free(b->corners);
    free(b);
    *blocks = NULL;
}

/* What quern_pairs_bounds is told of the boxes. */
static quern_status keep_corners(q_blocks *b, const q_transport *t, size_t numbers)
{
    size_t size = q_element_size(t->dtype);
    if (t->bound != Q_BOUND_FORMULA) return QUERN_OK;
    if (!(b->corners = malloc(2 * numbers * size))) return q_fail_memory(2 * numbers * size);
    for (size_t k = 0; k < numbers; k++) {
        q_element_write(t->dtype, b->corners + k * size, b->centre[k]);
        q_element_write(t->dtype, b->corners + (numbers + k) * size, b->half[k]);
    }
    return QUERN_OK;
}

/* Centres, as the array's type has them, and half sides. */
static quern_status measure_blocks(q_blocks *b, q_transport *t, quern_view points)
{
    int64_t count = b->clusters->count, dim = points.columns;
    size_t numbers = (size_t)(count * dim);
    b->centre = malloc(numbers * sizeof(double)), b->half = malloc(numbers * sizeof(double));
    if (!b->centre || !b->half) return q_fail_memory(numbers * sizeof(double));
    Q_TRY(quern_clusters_boxes(b->clusters, quern_f64(b->centre, count, dim), quern_f64(b->half, count, dim), points));
    Q_TRY(keep_corners(b, t, numbers));
    for (size_t k = 0; k < numbers; k++) {
        double low = b->centre[k], high = b->half[k];
        b->centre[k] = t->dtype == QUERN_F32 ? (double)(float)((low + high) / 2) : (low + high) / 2;
        b->half[k] = fmax(high - b->centre[k], b->centre[k] - low);
    }
    Q_TRY(quern_array_create(&b->centres, t->context, t->dtype, count, dim));
    return quern_array_write(b->centres, quern_f64(b->centre, count, dim));
}

/* Copies the rows of a host array into the order of the blocks, or back. */
static quern_status permute(const q_cloud *cloud, quern_view to, quern_view from, bool back)
{
    return (back ? quern_clusters_unsort : quern_clusters_sort)(cloud->blocks->clusters, to, from);
}

quern_status q_cloud_reorder(const q_cloud *cloud, quern_array *array, bool back)
{
    quern_view view = q_array(array);
    if (!cloud->blocks) return QUERN_OK;
    size_t size = (size_t)(view.rows * view.columns) * q_element_size(view.dtype);
    char *memory = malloc(2 * size + 1);
    if (!memory) return q_fail_memory(2 * size);
    quern_view from = quern_view_of(memory, view.dtype, view.rows, view.columns);
    quern_view to = quern_view_of(memory + size, view.dtype, view.rows, view.columns);
    quern_status status = quern_array_read(array, from);
    if (!status) status = permute(cloud, to, from, back);
    if (!status) status = quern_array_write(array, to);
    free(memory);
    return status;
}

int64_t q_cloud_place(const q_cloud *cloud, int64_t row)
{
    if (!cloud->blocks) return row;
    const quern_clusters *clusters = cloud->blocks->clusters;
    int64_t place = clusters->first[clusters->label[row]];
    while (clusters->order[place] != row) place++;
    return place;
}

quern_status q_cloud_rename(const q_cloud *cloud, quern_array *places)
{
    quern_view view = q_array(places);
    if (!cloud->blocks || !view.rows) return QUERN_OK;
    size_t size = (size_t)view.rows * sizeof(int64_t);
    int64_t *rows = malloc(size);
    if (!rows) return q_fail_memory(size);
    quern_status status = quern_array_read(places, quern_i64(rows, view.rows, 1));
    for (int64_t k = 0; k < view.rows && !status; k++)
        if (rows[k] >= 0) rows[k] = cloud->blocks->clusters->order[rows[k]];
    if (!status) status = quern_array_write(places, quern_i64(rows, view.rows, 1));
    free(rows);
    return status;
}

/* Points of a block: enough that a row of blocks keeps the device busy, and few enough that boxes are small. */
static int64_t block_size(int64_t rows)
{
    return rows < 32768 ? 32 : 128;
}

static quern_status make_blocks(q_cloud *cloud, q_transport *t, quern_view points)
{
    q_blocks *b = calloc(1, sizeof *b);
    if (!b) return q_fail_memory(sizeof *b);
    cloud->blocks = b;
    Q_TRY(quern_array_read(cloud->points, points));
    Q_TRY(quern_clusters_kd(&b->clusters, points, block_size(cloud->rows)));
    Q_TRY(measure_blocks(b, t, points));
    Q_TRY(q_cloud_reorder(cloud, cloud->points, false));
    Q_TRY(q_cloud_reorder(cloud, cloud->weights, false));
    return q_cloud_reorder(cloud, cloud->logs, false);
}

quern_status q_cloud_sort(q_cloud *cloud, q_transport *t)
{
    bool few = cloud->rows < (t->options.truncation == QUERN_ON ? 2 : 2 * Q_LARGE);
    if (t->options.truncation == QUERN_OFF || t->members > 1 || few) return QUERN_OK;
    size_t size = (size_t)(cloud->rows * cloud->dim) * q_element_size(t->dtype);
    void *points = malloc(size);
    if (!points) return q_fail_memory(size);
    quern_status status = make_blocks(cloud, t, quern_view_of(points, t->dtype, cloud->rows, cloud->dim));
    free(points);
    return status;
}

// ---- bounds ----

/* Of the blocks of one side, as each block of the other sees them, or, with `step` 0, as all do: logs of sums, and maxima. */
typedef struct table {
    double *sum, *most;
    int64_t stride, step;
} table;

typedef struct bounds {
    const q_blocks *blocks[2];
    int64_t count[2], dim;
    bool tangent;
    double factor;       /* scale / eps */
    const double *least; /* costs of pairs of blocks, of a formula; else null */
    table side[2];
} bounds;

static void free_bounds(bounds *b)
{
    free(b->side[0].sum);
    free(b->side[1].sum);
}

/* The operator Q_BLOCK, or Q_BLOCK_ALONE, on some blocks of one size, into the table from block `first` on. */
static quern_status tabulate_some(q_transport *t, const q_problem *p, int k, const quern_arg args[4], int64_t first,
                                  int64_t count, table *out, void *memory)
{
    bool alone = !out->step; /* seen by all alike */
    const q_cloud *cloud = p->side[k].cloud, *other = p->side[1 - k].cloud;
    const int64_t *places = cloud->blocks->clusters->first, size = places[first + 1] - places[first];
    int64_t width = out->stride;
    size_t numbers = (size_t)(count * width), bytes = q_element_size(t->dtype);
    int direction = q_transport_direction(t, p, 1 - k);
    quern_operator *op;
    if (!count) return QUERN_OK;
    const quern_arg all[] = {{"h", quern_in_batch(quern_view_rows(args[0].view, places[first], size), count)},
                             {"f", quern_in_batch(quern_view_rows(args[1].view, places[first], size), count)},
                             args[2],
                             args[3],
                             {direction == Q_X ? "x" : "y", quern_view_rows(q_array(other->blocks->centres), 0, width)},
                             {direction == Q_X ? "y" : "x",
                              quern_in_batch(quern_view_rows(q_array(cloud->points), places[first], size), count)}};
    quern_view sums = quern_in_batch(quern_view_of(memory, t->dtype, width, 1), count);
    quern_view most = quern_in_batch(quern_view_of((char *)memory + numbers * bytes, t->dtype, width, 1), count);
    Q_TRY(q_transport_operator(&op, t, alone ? Q_BLOCK_ALONE : Q_BLOCK, direction));
    Q_TRY(quern_run_all(op, (quern_args){all, alone ? 3 : Q_COUNT(all), 0, 0}, QUERN_OUTS(sums, most)));
    for (size_t n = 0; n < numbers; n++) {
        out->sum[(size_t)(first * width) + n] = q_element_read(t->dtype, (char *)sums.data + n * bytes);
        out->most[(size_t)(first * width) + n] = q_element_read(t->dtype, (char *)most.data + n * bytes);
    }
    return QUERN_OK;
}

/* Of side k, by what its next step needs and its potential. */
static quern_status tabulate(bounds *b, q_transport *t, const q_problem *p, int k, const quern_array *scaled,
                             const quern_array *potential, double eps)
{
    const q_side *side = &p->side[k];
    const int64_t *places = side->cloud->blocks->clusters->first;
    int64_t width = b->tangent ? b->count[1 - k] : 1, count = b->count[k];
    int64_t equal = places[count] - places[count - 1] == places[1] ? count : count - 1;
    size_t numbers = (size_t)(count * width);
    table *out = &b->side[k];
    *out = (table){malloc(2 * numbers * sizeof(double)), NULL, width, b->tangent};
    void *memory = malloc(2 * numbers * q_element_size(t->dtype));
    const quern_arg args[] = {{"h", q_array(scaled)},
                              {"f", q_array(potential)},
                              {"c", quern_number(1 / (eps * q_damping(eps, side->rho)))},
                              {"s", quern_number(b->factor)}};
    quern_status status = out->sum && memory ? QUERN_OK : q_fail_memory(2 * numbers * sizeof(double));
    if (!status) out->most = out->sum + numbers;
    if (!status) status = tabulate_some(t, p, k, args, 0, equal, out, memory);
    if (!status) status = tabulate_some(t, p, k, args, equal, count - equal, out, memory);
    free(memory);
    return status;
}

/* What is added to the two tables: of |x-y|^2, or of the least distance between the boxes, or cost. */
static double between(const bounds *b, int64_t row, int64_t column)
{
    if (b->least)
        return fmin(-b->factor * b->least[row * b->count[1] + column], DBL_MAX); /* a block of no mass is -inf */
    const double *r = b->blocks[0]->centre + row * b->dim, *c = b->blocks[1]->centre + column * b->dim;
    const double *hr = b->blocks[0]->half + row * b->dim, *hc = b->blocks[1]->half + column * b->dim;
    double sum = 0;
    for (int64_t d = 0; d < b->dim; d++) {
        double apart = fabs(r[d] - c[d]), gap = fmax(apart - hr[d] - hc[d], 0);
        sum += b->tangent ? apart * apart + 2 * hr[d] * hc[d] : gap * gap;
    }
    return b->factor * (b->tangent ? sum : -sqrt(sum));
}

static int64_t place(const table *t, int64_t block, int64_t other)
{
    return block * t->stride + other * t->step;
}

/* Logs of what a row may lose by this pair of blocks, and a column; and of its mass. */
typedef struct loss {
    double row, column, mass;
} loss;

static loss loss_of(const bounds *b, int64_t row, int64_t column)
{
    int64_t r = place(&b->side[0], row, column), c = place(&b->side[1], column, row);
    double more = between(b, row, column), sums[] = {b->side[0].sum[r], b->side[1].sum[c]};
    return (loss){b->side[0].most[r] + sums[1] + more, b->side[1].most[c] + sums[0] + more, sums[0] + sums[1] + more};
}

static quern_arg corner(const q_transport *t, const q_cloud *cloud, const char *name, bool high)
{
    int64_t count = cloud->blocks->clusters->count;
    size_t bytes = (size_t)(count * cloud->dim) * q_element_size(t->dtype);
    return (quern_arg){name, quern_view_of(cloud->blocks->corners + (high ? bytes : 0), t->dtype, count, cloud->dim)};
}

/* Once for a problem. */
static quern_status bound_costs(q_problem *p, q_transport *t)
{
    const q_cloud *x = p->side[0].cloud, *y = p->side[1].cloud;
    int64_t rows = x->blocks->clusters->count, columns = y->blocks->clusters->count;
    quern_pairs *pairs;
    if (t->bound != Q_BOUND_FORMULA || p->least) return QUERN_OK;
    double *costs = p->least = malloc(2 * (size_t)(rows * columns) * sizeof *costs);
    if (!costs) return q_fail_memory(2 * (size_t)(rows * columns) * sizeof *costs);
    Q_TRY(q_transport_pairs(&pairs, t));
    return quern_pairs_bounds(pairs, QUERN_ARGS(corner(t, x, "x", false), corner(t, y, "y", false)),
                              QUERN_ARGS(corner(t, x, "x", true), corner(t, y, "y", true)),
                              quern_f64(costs, rows, columns), quern_f64(costs + rows * columns, rows, columns));
}

static quern_status measure(bounds *b, q_transport *t, q_problem *p, const quern_array *const scaled[2],
                            const quern_array *const potential[2], double eps)
{
    Q_TRY(bound_costs(p, t));
    b->least = p->least;
    b->tangent = t->bound == Q_BOUND_TANGENT;
    b->factor = t->scale / eps;
    b->dim = p->side[0].cloud->dim;
    for (int k = 0; k < 2; k++) {
        b->blocks[k] = p->side[k].cloud->blocks;
        b->count[k] = b->blocks[k]->clusters->count;
    }
    for (int k = 0; k < 2; k++) Q_TRY(tabulate(b, t, p, k, scaled[k], potential[k], eps));
    return QUERN_OK;
}

// ---- which blocks meet ----

/* The class of a bound: exp(class - (LEVELS - 1)) times the budget is no less. */
static int class_of(double bound, double budget)
{
    double above = bound - budget + LEVELS - 1;
    return above > 0 ? above < LEVELS ? (int)ceil(above) : LEVELS : 0;
}

/* The largest class so far that all bounds up to it are within the budget together. */
static int limit_of(const int counts[LEVELS + 1])
{
    double sum = 0;
    int limit = -1;
    for (int k = 0; k < LEVELS; k++) {
        sum += counts[k] * exp(k - (LEVELS - 1));
        if (sum > 1) break;
        limit = k;
    }
    return limit;
}

typedef struct choice {
    int (*counts[2])[LEVELS + 1]; /* by block: bounds of each class */
    int *limit[2];
    int64_t *best[2]; /* by block: that with the largest bound, which is kept */
    double *most[2];
} choice;

static quern_status begin_choice(choice *c, const bounds *b)
{
    for (int k = 0; k < 2; k++) {
        size_t count = (size_t)b->count[k];
        c->counts[k] = calloc(count, sizeof *c->counts[k]);
        c->limit[k] = malloc(count * sizeof *c->limit[k]);
        c->best[k] = calloc(count, sizeof *c->best[k]);
        c->most[k] = malloc(count * sizeof *c->most[k]);
        if (!c->counts[k] || !c->limit[k] || !c->best[k] || !c->most[k]) return q_fail_memory(count * 200);
        for (size_t n = 0; n < count; n++) c->most[k][n] = -INFINITY;
    }
    return QUERN_OK;
}

static void end_choice(choice *c)
{
    for (int k = 0; k < 2; k++) free(c->counts[k]), free(c->limit[k]), free(c->best[k]), free(c->most[k]);
}

static void count(choice *c, int k, int64_t block, int64_t other, double bound, double budget)
{
    c->counts[k][block][class_of(bound, budget)]++;
    if (!(bound > c->most[k][block])) return;
    c->most[k][block] = bound;
    c->best[k][block] = other;
}

/* keep[row * columns + column]; it is the same to have a cloud's blocks as rows or as columns. */
static void choose(bool *keep, choice *c, const bounds *b, double budget)
{
    int64_t columns = b->count[1];
    for (int64_t r = 0; r < b->count[0]; r++)
        for (int64_t k = 0; k < columns; k++) {
            loss bound = loss_of(b, r, k);
            count(c, 0, r, k, bound.row, budget);
            count(c, 1, k, r, bound.column, budget);
        }
    for (int k = 0; k < 2; k++)
        for (int64_t n = 0; n < b->count[k]; n++) c->limit[k][n] = limit_of(c->counts[k][n]);
    for (int64_t r = 0; r < b->count[0]; r++)
        for (int64_t k = 0; k < columns; k++) {
            loss bound = loss_of(b, r, k);
            keep[r * columns + k] = class_of(bound.row, budget) > c->limit[0][r] ||
                                    class_of(bound.column, budget) > c->limit[1][k] || c->best[0][r] == k ||
                                    c->best[1][k] == r;
        }
}

void q_problem_meet_all(q_problem *p)
{
    for (int k = 0; k < 2; k++) quern_ranges_destroy(&p->side[k].ranges);
    free(p->keep);
    p->keep = NULL;
    p->skipped = 0;
}

/* Ranges of both sides. */
static quern_status make_ranges(q_problem *p, const bool *keep)
{
    const quern_clusters *rows = p->side[0].cloud->blocks->clusters, *columns = p->side[1].cloud->blocks->clusters;
    Q_TRY(quern_ranges_matrix(&p->side[0].ranges, rows, columns, keep));
    size_t pairs = (size_t)(rows->count * columns->count);
    bool *turned = malloc(pairs);
    if (!turned) return q_fail_memory(pairs);
    for (int64_t r = 0; r < rows->count; r++)
        for (int64_t c = 0; c < columns->count; c++) turned[c * rows->count + r] = keep[r * columns->count + c];
    quern_status status = quern_ranges_matrix(&p->side[1].ranges, columns, rows, turned);
    free(turned);
    return status;
}

static bool has_blocks(const q_problem *p)
{
    return p->side[0].cloud->blocks && p->side[1].cloud->blocks;
}

static quern_status truncate(q_problem *p, q_transport *t, const quern_array *const scaled[2],
                             const quern_array *const potential[2], double eps)
{
    bounds b = {0};
    choice c = {0};
    q_problem_meet_all(p);
    quern_status status = measure(&b, t, p, scaled, potential, eps);
    size_t pairs = (size_t)(b.count[0] * b.count[1]);
    if (!status && !(p->keep = malloc(pairs))) status = q_fail_memory(pairs);
    if (!status) status = begin_choice(&c, &b);
    if (!status) choose(p->keep, &c, &b, log(t->budget));
    if (!status) status = make_ranges(p, p->keep);
    end_choice(&c);
    free_bounds(&b);
    double all = (double)p->side[0].cloud->rows * (double)p->side[1].cloud->rows;
    if (!status && (double)quern_ranges_pairs(p->side[0].ranges) > DENSE * all) q_problem_meet_all(p);
    return status;
}

quern_status q_problem_truncate(q_problem *p, q_transport *t, double eps)
{
    const q_side *x = &p->side[0], *y = &p->side[p->symmetric ? 0 : 1];
    if (!has_blocks(p)) return QUERN_OK;
    return truncate(p, t, (const quern_array *const[2]){x->scaled, y->scaled},
                    (const quern_array *const[2]){x->potential, y->potential}, eps);
}

/* Each block meets itself: that gives a potential that is too large, for all terms are positive. */
static quern_status meet_oneself(q_problem *p)
{
    int64_t count = p->side[0].cloud->blocks->clusters->count;
    p->keep = calloc((size_t)(count * count), 1);
    if (!p->keep) return q_fail_memory((size_t)(count * count));
    for (int64_t k = 0; k < count; k++) p->keep[k * (count + 1)] = true;
    return make_ranges(p, p->keep);
}

quern_status q_problem_truncate_first(q_problem *p, q_transport *t, double eps)
{
    const quern_array *scaled[2], *potential[2];
    if (!has_blocks(p) || !p->self) return QUERN_OK;
    q_problem_meet_all(p);
    Q_TRY(meet_oneself(p));
    for (int k = 0; k < 2; k++) {
        q_side *side = &p->side[p->symmetric ? 0 : k];
        const q_side *other = &p->side[p->symmetric ? 0 : 1 - k];
        Q_TRY(q_problem_step(p, t, p->symmetric ? 0 : k, other->scaled, side->old, side->old_scaled));
        scaled[k] = side->scaled, potential[k] = side->old;
    }
    return truncate(p, t, scaled, potential, eps);
}

quern_status q_problem_skipped(double *mass, q_problem *p, q_transport *t)
{
    const q_side *last = &p->side[p->last], *partner = &p->side[1 - p->last];
    const quern_array *scaled[2], *potential[2];
    bounds b = {0};
    *mass = 0;
    if (!p->keep) return QUERN_OK;
    scaled[p->last] = last->scaled, potential[p->last] = last->potential;
    scaled[1 - p->last] = p->symmetric ? last->old_scaled : partner->scaled;
    potential[1 - p->last] = q_problem_partner(p);
    quern_status status = measure(&b, t, p, scaled, potential, t->eps);
    for (int64_t r = 0; r < b.count[0] && !status; r++)
        for (int64_t k = 0; k < b.count[1]; k++)
            if (!p->keep[r * b.count[1] + k]) *mass += exp(loss_of(&b, r, k).mass);
    free_bounds(&b);
    return status;
}
