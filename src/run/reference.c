/*
 * reference.c: a graph evaluated in double on the host, node by node, as the tables of ops.def and reductions.def
 * define it. Slow and plain on purpose: it shares nothing with the plan layer, so that every kernel can be compared
 * with it.
 *
 * Every node that the results need has an array of [rows of its axes][dim] numbers: row (i, j) of a pair formula is
 * i * N + j, and a value that lacks an axis has the one row that all of that axis share. Nodes are computed in the
 * order of their ids, operands before users. Sums are compensated (Neumaier 1974), so that the oracle's own rounding
 * stays at a few units of the last place.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "run/run.h"

typedef struct evaluation {
    const q_graph *graph;
    size_t M, N;
    bool single;     /* every value is rounded to float32, but for ... */
    uint8_t *exact;  /* ... indices and counts: by node, see q_exact_all */
    double **values; /* by node; null where nothing needs it */
    double noise;
    uint64_t draws;     /* of noise, so far */
    const uint8_t *met; /* by pair; null: all */
    double *terms;      /* room for those of a reduction that are met, and for their numbers */
    size_t *numbers;
} evaluation;

// ---- reductions: of `count` terms, `stride` numbers apart ----

static double reduce_Sum(const double *terms, size_t stride, size_t count, uint32_t rank)
{
    (void)rank;
    double sum = 0, lost = 0;
    for (size_t t = 0; t < count; t++) {
        double x = terms[t * stride], next = sum + x;
        lost += fabs(sum) >= fabs(x) ? (sum - next) + x : (x - next) + sum;
        sum = next;
    }
    return isfinite(sum) ? sum + lost : sum;
}

static double reduce_Max(const double *terms, size_t stride, size_t count, uint32_t rank)
{
    (void)rank;
    double best = -INFINITY;
    for (size_t t = 0; t < count; t++)
        if (terms[t * stride] > best) best = terms[t * stride];
    return best;
}

static double reduce_Min(const double *terms, size_t stride, size_t count, uint32_t rank)
{
    (void)rank;
    double best = INFINITY;
    for (size_t t = 0; t < count; t++)
        if (terms[t * stride] < best) best = terms[t * stride];
    return best;
}

static double reduce_ArgMax(const double *terms, size_t stride, size_t count, uint32_t rank)
{
    (void)rank;
    double best = -INFINITY, index = -1;
    for (size_t t = 0; t < count; t++)
        if (terms[t * stride] > best) best = terms[t * stride], index = (double)t;
    return index;
}

static double reduce_ArgMin(const double *terms, size_t stride, size_t count, uint32_t rank)
{
    (void)rank;
    double best = INFINITY, index = -1;
    for (size_t t = 0; t < count; t++)
        if (terms[t * stride] < best) best = terms[t * stride], index = (double)t;
    return index;
}

/* Relative to the largest term. Infinite ones decide alone; a NaN anywhere is the result. */
static double reduce_LogSumExp(const double *terms, size_t stride, size_t count, uint32_t rank)
{
    (void)rank;
    double largest = reduce_Max(terms, stride, count, 0), sum = 0, lost = 0;
    for (size_t t = 0; t < count; t++) {
        if (isnan(terms[t * stride])) return NAN;
        if (isinf(largest)) continue;
        double x = exp(terms[t * stride] - largest), next = sum + x;
        lost += sum >= x ? (sum - next) + x : (x - next) + sum;
        sum = next;
    }
    return isinf(largest) ? largest : largest + log(sum + lost);
}

static double reduce_Prod(const double *terms, size_t stride, size_t count, uint32_t rank)
{
    (void)rank;
    double product = 1;
    for (size_t t = 0; t < count; t++) product *= terms[t * stride];
    return product;
}

static double reduce_ProdNonzero(const double *terms, size_t stride, size_t count, uint32_t rank)
{
    (void)rank;
    double product = 1;
    for (size_t t = 0; t < count; t++) product *= terms[t * stride] == 0 ? 1 : terms[t * stride];
    return product;
}

/* In two passes. */
static double reduce_Variance(const double *terms, size_t stride, size_t count, uint32_t rank)
{
    double mean = reduce_Sum(terms, stride, count, rank) / (double)count, sum = 0;
    for (size_t t = 0; t < count; t++) sum += (terms[t * stride] - mean) * (terms[t * stride] - mean);
    return sum / (double)count;
}

/* Terms in the order of a selection: ascending (sign 1) or descending (-1), the lower index first among equals. */
typedef struct ranking {
    const double *terms;
    size_t stride;
    int sign;
} ranking;

static bool is_before(const ranking *r, size_t s, size_t t)
{
    double x = r->sign * r->terms[s * r->stride], y = r->sign * r->terms[t * r->stride];
    return x < y || (x == y && s < t);
}

/* Hoare's selection: moves the index of this rank to its place. */
static size_t select_index(const ranking *r, size_t *order, size_t count, size_t rank)
{
    size_t low = 0, high = count - 1;
    while (low < high) {
        size_t pivot = order[low + (high - low) / 2], i = low, j = high;
        for (;; i++, j--) {
            while (is_before(r, order[i], pivot)) i++;
            while (is_before(r, pivot, order[j])) j--;
            if (i >= j) break;
            size_t swap = order[i];
            order[i] = order[j], order[j] = swap;
        }
        if (rank <= j) high = j;
        else low = j + 1;
    }
    return order[rank];
}

/* The index of the term of this rank; -1 if there are not so many, or when memory runs out. NaN, and what can only be
   worst, do not count. */
static int64_t select_term(const double *terms, size_t stride, size_t count, uint32_t rank, int sign)
{
    const ranking r = {terms, stride, sign};
    size_t *order = malloc((count + 1) * sizeof *order), known = 0;
    for (size_t t = 0; order && t < count; t++)
        if (sign * terms[t * stride] < INFINITY) order[known++] = t;
    int64_t found = rank < known ? (int64_t)select_index(&r, order, known, rank) : -1;
    free(order);
    return found;
}

static double reduce_KMin(const double *terms, size_t stride, size_t count, uint32_t rank)
{
    int64_t index = select_term(terms, stride, count, rank, 1);
    return index < 0 ? INFINITY : terms[(size_t)index * stride];
}

static double reduce_ArgKMin(const double *terms, size_t stride, size_t count, uint32_t rank)
{
    return (double)select_term(terms, stride, count, rank, 1);
}

static double reduce_KMax(const double *terms, size_t stride, size_t count, uint32_t rank)
{
    int64_t index = select_term(terms, stride, count, rank, -1);
    return index < 0 ? -INFINITY : terms[(size_t)index * stride];
}

static double reduce_ArgKMax(const double *terms, size_t stride, size_t count, uint32_t rank)
{
    return (double)select_term(terms, stride, count, rank, -1);
}

typedef double reduce_function(const double *terms, size_t stride, size_t count, uint32_t rank);

static reduce_function *const reduce_functions[Q_OP_END] = {
#define REDUCTION(name, ...) [Q_RED_##name] = reduce_##name,
#include "formula/reductions.def"
};

// ---- where numbers are ----

static size_t axis_size(const evaluation *e, unsigned axis)
{
    return axis == Q_I ? e->M : axis == Q_J ? e->N : 1;
}

/* Rows of a value along one axis: 1 if it does not depend on it. */
static size_t extent(const evaluation *e, const q_node *node, unsigned axis)
{
    return node->axes & axis ? axis_size(e, axis) : 1;
}

/* The components of a value in row i and column j. */
static double *row_at(const evaluation *e, q_id id, size_t i, size_t j)
{
    const q_node *node = q_node_of(e->graph, id);
    size_t row = node->axes & Q_I ? i : 0;
    if (node->axes & Q_J) row = row * e->N + j;
    return e->values[id] + row * node->dim;
}

/* Numbers between a value's neighbours along an axis: 0 if it does not depend on it. */
static size_t stride_along(const evaluation *e, const q_node *node, unsigned axis)
{
    if (!(node->axes & axis)) return 0;
    return axis == Q_I ? node->dim * extent(e, node, Q_J) : node->dim;
}

// ---- noise ----

/* The numbers with each off by up to the noise of itself; whole ones stay, since they are exact in every type. The digest
   of a count is as good as a random number. */
static void disturb(evaluation *e, double *numbers, size_t count, double noise)
{
    for (size_t n = 0; n < count; n++) {
        uint64_t digest = q_hash64(&e->draws, sizeof e->draws);
        e->draws++;
        if (numbers[n] != rint(numbers[n])) numbers[n] *= 1 + noise * ((double)(digest >> 11) * 0x1p-52 - 1);
    }
}

/* How many times the noise of one step a node has: a sum adds blocks of 256 terms one by one, and equal terms are
   rounded the same way each time; 32 steps pass for one because most are not. */
static double steps_of(const evaluation *e, const q_node *node)
{
    if (!q_is_reduction(node)) return 1;
    size_t terms = extent(e, q_node_of(e->graph, node->arg[0]), (uint8_t)node->k[0]);
    return 1 + (double)(terms < 256 ? terms : 256) / 32;
}

/* Whether computing the node rounds. What only moves numbers, or chooses among them, does not. */
static bool rounds(const q_node *node)
{
    switch (q_ops[node->op].kind) {
    case Q_KIND_LEAF: return node->op == Q_OP_VARIABLE;
    case Q_KIND_GATHER:
    case Q_KIND_LOOKUP:
    case Q_KIND_REPEAT: return false;
    case Q_KIND_REDUCTION:
        return q_ops[node->op].reduction == Q_LINEAR || node->op == Q_RED_LogSumExp || node->op == Q_RED_Prod ||
               node->op == Q_RED_ProdNonzero || node->op == Q_RED_Variance;
    default: return true;
    }
}

// ---- one row of one node ----

static double gather(const evaluation *e, const q_node *node, uint32_t d, const double *const x[3])
{
    uint32_t n = q_node_of(e->graph, node->arg[0])->dim, m = q_node_of(e->graph, node->arg[1])->dim, from = 0;
    int operand = q_ops[node->op].pick(d, n, m, node->k, &from);
    return operand < 0 ? 0 : x[operand][from];
}

/* Of the terms that row or column `at` meets. */
static double reduce_met(const evaluation *e, const q_node *node, const double *term, size_t stride, uint32_t rank,
                         size_t at)
{
    bool over_j = node->k[0] == Q_J;
    size_t count = 0;
    for (size_t t = 0; t < axis_size(e, (unsigned)node->k[0]); t++) {
        if (!e->met[over_j ? at * e->N + t : t * e->N + at]) continue;
        e->terms[count] = term[t * stride];
        e->numbers[count++] = t;
    }
    double result = reduce_functions[node->op](e->terms, 1, count, rank);
    return q_ops[node->op].reduction == Q_INDEX && result >= 0 ? (double)e->numbers[(size_t)result] : result;
}

/* Component d; those of rank r stand at r * n and after, n being the length of the term. */
static double reduce_component(const evaluation *e, const q_node *node, uint32_t d, size_t i, size_t j,
                               const double *term)
{
    unsigned axis = (unsigned)node->k[0];
    const q_node *operand = q_node_of(e->graph, node->arg[0]);
    size_t stride = stride_along(e, operand, axis);
    uint32_t rank = d / operand->dim;
    term += d % operand->dim;
    if (e->met && node->axes) return reduce_met(e, node, term, stride, rank, axis == Q_J ? i : j);
    return reduce_functions[node->op](term, stride, axis_size(e, axis), rank);
}

static double contract(const evaluation *e, const q_node *node, uint32_t d, const double *const x[3])
{
    const q_contraction *c = q_contraction_of(e->graph, node);
    double sum = 0;
    for (uint32_t t = 0; t < q_contraction_terms(c); t++) {
        uint32_t a, b;
        q_contraction_term(c, d, t, &a, &b);
        sum += q_ops[c->no_nan ? Q_OP_MultNoNan : Q_OP_Mult].evaluate(x[0][a], x[1][b], 0, 0, 0);
    }
    return sum;
}

// ---- expansions: handles are positions on a stack of numbers ----

typedef struct stack {
    const double *operand;
    double *numbers;
    size_t count, capacity;
} stack;

static uint32_t push(void *self, double value)
{
    stack *s = self;
    if (!q_grow(&s->numbers, &s->capacity, s->count + 1, sizeof(double))) return 0;
    s->numbers[s->count] = value;
    return (uint32_t)s->count++;
}

static uint32_t push_component(void *self, uint32_t d)
{
    return push(self, ((stack *)self)->operand[d]);
}

static uint32_t push_applied(void *self, q_op op, uint32_t a, uint32_t b, uint32_t c)
{
    const double *numbers = ((stack *)self)->numbers;
    return push(self, q_ops[op].evaluate(numbers[a], numbers[b], numbers[c], 0, 0));
}

/* NaN when memory runs out. */
static double expand(const evaluation *e, const q_node *node, uint32_t d, const double *x)
{
    uint32_t n = q_node_of(e->graph, node->arg[0])->dim;
    if (node->op == Q_OP_Sum) return reduce_Sum(x, 1, n, 0);
    stack s = {.operand = x};
    if (!q_grow(&s.numbers, &s.capacity, 16, sizeof(double))) return NAN;
    q_expander expander = {&s, n, push_component, push, push_applied};
    uint32_t handle = q_ops[node->op].expand(&expander, d); /* first: the numbers move as they grow */
    double result = s.numbers[handle];
    free(s.numbers);
    return result;
}

static double leaf(const evaluation *e, const q_node *node, size_t i, size_t j)
{
    if (node->op == Q_OP_INDEX) return (double)(node->k[0] == Q_I ? i : j);
    return node->op == Q_OP_COUNT ? (double)axis_size(e, (unsigned)node->k[0]) : node->value;
}

static double elementwise(const q_node *node, uint32_t d, const double *const x[3])
{
    double b = x[1] ? x[1][d] : 0, c = x[2] ? x[2][d] : 0;
    return q_ops[node->op].evaluate(x[0][d], b, c, node->k[0], node->k[1]);
}

static double lookup(const evaluation *e, const q_node *node, uint32_t d, const double *const x[3])
{
    return q_lookup_read(node, q_node_of(e->graph, node->arg[0])->dim, x[0], axis_size(e, (unsigned)node->k[0]), *x[1],
                         d);
}

/* Component d in row i and column j; x: the rows of the operands. */
static double component(const evaluation *e, const q_node *node, uint32_t d, size_t i, size_t j,
                        const double *const x[3])
{
    switch (q_ops[node->op].kind) {
    case Q_KIND_LEAF: return leaf(e, node, i, j);
    case Q_KIND_ELEMENTWISE: return elementwise(node, d, x);
    case Q_KIND_GATHER: return gather(e, node, d, x);
    case Q_KIND_EXPAND: return expand(e, node, d, x[0]);
    case Q_KIND_CONTRACT: return contract(e, node, d, x);
    case Q_KIND_REPEAT: return x[0][d];
    case Q_KIND_LOOKUP: return lookup(e, node, d, x);
    case Q_KIND_REDUCTION: return reduce_component(e, node, d, i, j, x[0]);
    }
    return NAN;
}

static void compute_row(const evaluation *e, q_id id, size_t i, size_t j)
{
    const q_node *node = q_node_of(e->graph, id);
    double *out = row_at(e, id, i, j);
    const double *x[3] = {NULL, NULL, NULL};
    for (int a = 0; a < q_ops[node->op].operands; a++) x[a] = row_at(e, node->arg[a], i, j);
    for (uint32_t d = 0; d < node->dim; d++) out[d] = component(e, node, d, i, j, x);
}

// ---- the pass ----

/* Numbers of a value in all its rows; false if they cannot be counted, or not allocated in one piece. */
static bool count_numbers(const evaluation *e, const q_node *node, size_t *out)
{
    size_t rows, bytes;
    return q_mul_size(extent(e, node, Q_I), extent(e, node, Q_J), &rows) && q_mul_size(rows, node->dim, out) &&
           q_mul_size(*out, sizeof(double), &bytes);
}

static void round_numbers(double *numbers, size_t count)
{
    for (size_t n = 0; n < count; n++) numbers[n] = (double)(float)numbers[n];
}

static quern_status compute(evaluation *e, q_id id, const double *const *variables)
{
    const q_node *node = q_node_of(e->graph, id);
    size_t numbers;
    if (!count_numbers(e, node, &numbers)) return q_fail_memory(SIZE_MAX);
    e->values[id] = calloc(numbers ? numbers : 1, sizeof(double));
    if (!e->values[id]) return q_fail_memory(numbers * sizeof(double));
    if (node->op == Q_OP_VARIABLE) {
        const double *given = variables[node->k[0]];
        if (numbers && !given)
            return q_fail(QUERN_MISSING, "no numbers for the variable %s", e->graph->variables[node->k[0]].name);
        if (numbers) memcpy(e->values[id], given, numbers * sizeof(double));
    } else {
        for (size_t i = 0; i < extent(e, node, Q_I); i++)
            for (size_t j = 0; j < extent(e, node, Q_J); j++) compute_row(e, id, i, j);
    }
    if (e->single && !(e->exact[id] & Q_EXACT_COUNTED)) round_numbers(e->values[id], numbers);
    if (e->noise > 0 && rounds(node)) disturb(e, e->values[id], numbers, e->noise * steps_of(e, node));
    return QUERN_OK;
}

static void copy_result(const evaluation *e, q_id id, double *out)
{
    size_t numbers;
    if (!count_numbers(e, q_node_of(e->graph, id), &numbers) || !numbers) return;
    memcpy(out, e->values[id], numbers * sizeof(double));
}

quern_status q_reference_with(const q_rounding *rounding, const q_graph *graph, const q_id *results, size_t count,
                              int64_t M, int64_t N, const double *const *variables, double *const *out)
{
    if (M < 0 || N < 0) return q_fail(QUERN_SHAPE, "%lld rows and %lld columns", (long long)M, (long long)N);
    if ((uint64_t)M > SIZE_MAX || (uint64_t)N > SIZE_MAX) return q_fail_memory(SIZE_MAX);
    evaluation e = {.graph = graph,
                    .M = (size_t)M,
                    .N = (size_t)N,
                    .single = rounding->single,
                    .noise = rounding->noise,
                    .draws = rounding->seed << 40,
                    .met = rounding->met};
    size_t longest = rounding->met ? (e.M > e.N ? e.M : e.N) : 0;
    e.terms = malloc((longest + 1) * sizeof *e.terms);
    e.numbers = malloc((longest + 1) * sizeof *e.numbers);
    e.values = calloc(graph->count, sizeof(double *));
    e.exact = malloc(graph->count);
    uint8_t *marks = malloc(graph->count);
    bool memory = e.values && e.exact && e.terms && e.numbers && marks;
    quern_status status = memory ? QUERN_OK : q_fail_memory(graph->count * sizeof(double *));
    if (!status) status = q_exact_all(graph, results, count, e.exact);
    if (!status) q_mark(graph, results, count, false, marks);
    for (q_id id = 1; id < graph->count && !status; id++)
        if (marks[id]) status = compute(&e, id, variables);
    for (size_t r = 0; r < count && !status; r++) copy_result(&e, results[r], out[r]);
    for (q_id id = 0; e.values && id < graph->count; id++) free(e.values[id]);
    free(e.values);
    free(e.exact);
    free(e.terms);
    free(e.numbers);
    free(marks);
    return status;
}

quern_status q_reference(const q_graph *graph, const q_id *results, size_t count, int64_t M, int64_t N,
                         const double *const *variables, double *const *out)
{
    return q_reference_with(&(q_rounding){0}, graph, results, count, M, N, variables, out);
}
