/*
 * random_pruning.c: pruned runs of random formulas on random clouds of points, beside the same runs without pruning:
 *
 *     random_pruning [--count N] [--seed S]
 *
 * Terms are functions of distances and products, and random compositions (random_formula.h); the clouds are uniform,
 * clusters, equal points, lines, far from the origin, huge, tiny, of all sizes at once, and some with NaN and infinities.
 * Selections must be those without pruning, bit for bit. Sums may lose what the tolerance allows in each row, and no more
 * than the report certifies, but for roundings of as many terms as there are; for that the reference adds up their sizes. Each
 * formula meets CLOUDS clouds. A sixth walks with one block of rows at a time, as GPUs do, and a third of those in float32
 * walks on the host, as devices without float64 do.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "random_formula.h"
#include "run_helpers.h"

enum { CLOUDS = 15 };

static random_source source;
static uint64_t seed = 1;
static uint64_t present; /* the seed of the formula */
static size_t count = 150, failures, problems, pruned, halved, lossy, refused, shaped;
static double closest; /* largest share of what is allowed that an error has taken */

static size_t below(size_t n)
{
    return random_below(&source, n);
}

// ---- formulas ----

static const char *const meetings[] = {
    "SqDist(x,y)",
    "SqDist(x,y)",
    "Norm2(x-y)",
    "Manhattan(x,y)",
    "Chebyshev(x,y)",
    "(x|y)",
    "WeightedSqDist(Abs(p),x,y)",
    "Cosine(x,y)",
    "Hyperbolic(x/3,y/3)",
    "SqDist(Sin(x),y)",
    "Max(x*y)",
    "Elem(x-y,0)",
    "(SqDist(x,y)-SqDist(x,p))",
    "Min(Abs(x-y))",
    "SqNorm2(x+y-p)",
    "(SqDist(x,y)+t)",
    "(Norm2(x-y)-s*t)",
    "Norm2(Concat(x,s)-Concat(y,t))",
};

/* @ is the value so far. */
static const char *const wrappings[] = {
    "@",
    "@",
    "@",
    "Exp(-q*@)",
    "Exp(-@)",
    "Exp(-Square(q*@))",
    "(-@)",
    "(@*t)",
    "(@*s)",
    "(@+t)",
    "Sqrt(@)",
    "Inv(1+q*@)",
    "Inv(@)",
    "Matern32(q*@,1)",
    "Log(@)",
    "Log1p(Abs(@))",
    "Rsqrt(@)",
    "Square(@-q)",
    "Sin(@)",
    "Tanh(q*@)",
    "Step(q-@)",
    "IfElse(q-@,@,7*q)",
    "Powf(Abs(@),q)",
    "(@/(q+Abs(@)))",
    "Floor(@/q)",
    "Where(@<q,@,-@)",
    "Round(q*@,1)",
    "Erf(q*@)",
    "Pow(@,3)",
    "Pow(@,-2)",
    "XLogX(@)",
    "(@|Exp(-q*@))",
    "Softplus(-q*@)",
    "Concat(@,Exp(-q*@))",
};

static void replace(q_text *text, const char *template)
{
    q_text out = {0};
    for (; *template; template ++) {
        if (*template == '@') q_text_append(&out, text->data, strlen(text->data));
        else q_text_append(&out, template, 1);
    }
    q_text_free(text);
    *text = out;
}

static q_text random_term(void)
{
    q_text text = {0};
    if (!below(5)) {
        char *value = NULL;
        do {
            free(value);
            value = random_value(&source, Q_I | Q_J, below(2) ? 3 : 1, 1 + (int)below(3));
        } while (strstr(value, "_i(") || strstr(value, "_j("));
        q_text_add(&text, "(%s)", value);
        free(value);
        return text;
    }
    q_text_add(&text, "%s", meetings[below(Q_COUNT(meetings))]);
    for (size_t n = below(3); n; n--) replace(&text, wrappings[below(Q_COUNT(wrappings))]);
    return text;
}

/* What falls with the value, so that most terms of a sum are small. */
static void add_decay(q_text *text, bool logarithm)
{
    static const char *const decays[] = {
        "Exp(-q*@)",   "Exp(-q*@)",     "Exp(-Square(q*@))*t",     "Inv(1+Square(q*@))",
        "ReLU(1-q*@)", "Step(1-q*@)*s", "Matern32(Square(q*@),1)", "Erfc(q*@)"};
    replace(text, logarithm ? "-q*@" : decays[below(Q_COUNT(decays))]);
}

static void add_reduction(q_text *out, char axis)
{
    static const char *const kinds[] = {"Min", "ArgMin", "Max", "ArgMax", "Sum", "Sum", "LogSumExp"};
    static const char *const lists[] = {"KMin", "ArgKMin", "KMax", "ArgKMax"};
    q_text term = random_term();
    if (below(3)) {
        const char *kind = kinds[below(Q_COUNT(kinds))];
        bool sum = strcmp(kind, "Sum") == 0, logarithm = strcmp(kind, "LogSumExp") == 0;
        if ((sum || logarithm) && below(4)) add_decay(&term, logarithm);
        q_text_add(out, "%s_%c(%s)", kind, axis, term.data);
    } else q_text_add(out, "%s_%c(%s,%zu)", lists[below(Q_COUNT(lists))], axis, term.data, 1 + below(12));
    q_text_free(&term);
}

/* One reduction or two, and gradients of some; for free(). */
static char *random_problem(void)
{
    q_text out = {0};
    char axis = below(4) ? 'j' : 'i';
    q_text_add(&out, "%s", random_declarations);
    if (!below(8)) {
        q_text term = random_term();
        add_decay(&term, false);
        q_text_add(&out, "Grad(Sum_%c(%s),%s,1)", axis, term.data, axis == 'j' ? "x" : "y");
        q_text_free(&term);
        return q_text_take(&out);
    }
    add_reduction(&out, axis);
    if (!below(6)) {
        q_text_add(&out, ", ");
        add_reduction(&out, axis);
    }
    return q_text_take(&out);
}

// ---- clouds ----

typedef enum kind { UNIFORM, CLUSTERS, EQUAL, LINE, FAR, HUGE_SIZE, TINY, ALL_SIZES, GRID, ODD, KINDS } kind;

static const char *const kind_names[] = {"uniform", "clusters", "equal points", "line", "far",
                                         "huge",    "tiny",     "all sizes",    "grid", "odd numbers"};

typedef struct cloud {
    kind kind;
    double size, at; /* of the whole; where it is */
    double centres[8][3], direction[3];
} cloud;

static double between(double low, double high)
{
    return random_between(&source, low, high);
}

static cloud random_cloud(quern_dtype dtype)
{
    bool wide = dtype == QUERN_F64;
    cloud c = {.kind = (kind)below(KINDS), .size = below(2) ? 1 : pow(10, between(-2, 2))};
    if (c.kind == HUGE_SIZE) c.size = pow(10, between(5, wide ? 200 : 25));
    if (c.kind == TINY) c.size = pow(10, -between(5, wide ? 200 : 25));
    if (c.kind == FAR) c.at = c.size * pow(10, between(1, wide ? 14 : 6));
    for (int k = 0; k < 8; k++)
        for (int d = 0; d < 3; d++) c.centres[k][d] = between(0, 1);
    for (int d = 0; d < 3; d++) c.direction[d] = between(-1, 1);
    return c;
}

static double odd_number(void)
{
    static const double odd[] = {NAN, INFINITY, -INFINITY, 1e30, -0.0, 0};
    return odd[below(Q_COUNT(odd))];
}

static void random_point(const cloud *c, double *out, size_t dim)
{
    size_t centre = below(8);
    double along = between(0, 1);
    for (size_t d = 0; d < dim; d++) {
        double x = between(0, 1);
        if (c->kind == CLUSTERS || c->kind == FAR) x = c->centres[centre][d] + 0.02 * x;
        if (c->kind == EQUAL) x = c->centres[centre][d];
        if (c->kind == LINE || c->kind == HUGE_SIZE || c->kind == TINY) x = along * c->direction[d];
        if (c->kind == GRID) x = floor(8 * x) / 8;
        if (c->kind == ALL_SIZES) x = (below(2) ? 1 : -1) * pow(10, 12 * x - 8);
        out[d] = c->at + c->size * x;
        if (c->kind == ODD && !below(500)) out[d] = odd_number();
    }
}

// ---- problems ----

enum { MOST_MEMBERS = 4, MOST_BLOCKS = 48, MOST_SPANS = 8 * MOST_BLOCKS };

/* Which rows meet which columns. */
typedef struct shape {
    size_t members; /* of a ragged batch; 0: it is none */
    int64_t offsets[2][MOST_MEMBERS + 1];
    bool ranged;
    quern_ranges ranges;
    quern_span rows[MOST_BLOCKS], columns[MOST_SPANS];
    int64_t first[MOST_BLOCKS + 1];
    uint8_t *met; /* 1 at i N + j; null: all */
} shape;

typedef struct problem {
    const char *text;
    quern_operator *op; /* its results are reductions */
    shape shape;
    trial t;
    cloud cloud;
    double absolute, relative;
    quern_run_options unpruned;
    quern_pruning_report report;
    double *plain[Q_MAX_RESULTS];
    double *sizes[Q_MAX_RESULTS]; /* of a Sum: of the sizes of its terms */
} problem;

static void fill(problem *p)
{
    p->cloud = random_cloud(p->t.dtype);
    for (size_t v = 0; v < p->op->variable_count; v++) {
        quern_value value = quern_variable(p->op, v);
        size_t numbers, dim = (size_t)value.dim;
        double *data = trial_data(&p->t, value.name, &numbers), scale = pow(10, between(0, 3));
        if (below(4)) scale *= pow(p->cloud.size, -1 - (double)below(2)); /* of distances, or of their squares */
        if (strchr("xyp", *value.name))
            for (size_t n = 0; n < numbers; n += dim) random_point(&p->cloud, data + n, dim);
        else
            for (size_t n = 0; n < numbers; n++) data[n] = *value.name == 'q' ? scale : between(below(2) ? -1 : 0, 1);
        for (size_t n = 0; n < numbers; n++)
            if (p->t.dtype == QUERN_F32) data[n] = (double)(float)data[n];
    }
}

// ---- ranges and batches ----

static void draw_offsets(int64_t *out, size_t members, int64_t rows)
{
    out[0] = 0, out[members] = rows;
    for (size_t b = 1; b < members; b++) {
        int64_t at = (int64_t)below((size_t)rows + 1);
        size_t place = b;
        for (; place > 1 && out[place - 1] > at; place--) out[place] = out[place - 1];
        out[place] = at;
    }
}

/* Some spans of columns from..to - 1, whose ends are those of others now and then. */
static void draw_spans(shape *s, int64_t *spans, int64_t from, int64_t to)
{
    int64_t step = (to - from) / 12 + 1, at = from;
    for (int n = 0; n < 6 && *spans < MOST_SPANS; n++) {
        int64_t start = at + (int64_t)below(3) * step, end = start + (int64_t)below(5) * step + (below(4) ? 0 : 7);
        if (end > to) break;
        s->columns[(*spans)++] = (quern_span){start, end};
        at = end;
    }
}

static void draw_ranges(shape *s, size_t member)
{
    const int64_t *i = s->offsets[0] + member, *j = s->offsets[1] + member;
    int64_t at = i[0], spans = s->first[s->ranges.block_count];
    while (s->ranges.block_count < MOST_BLOCKS) {
        int64_t from = at + (below(4) ? 0 : (int64_t)below(50)), to = from + (int64_t)below(below(2) ? 60 : 600);
        if (to > i[1]) break;
        s->rows[s->ranges.block_count++] = (quern_span){from, to};
        draw_spans(s, &spans, j[0], j[1]);
        s->first[s->ranges.block_count] = spans;
        at = to;
    }
}

static void find_met(shape *s, int64_t M, int64_t N)
{
    s->met = calloc((size_t)(M * N) + 1, 1);
    for (size_t k = 0; s->ranged && k < s->ranges.block_count; k++)
        for (int64_t i = s->rows[k].from; i < s->rows[k].to; i++)
            for (int64_t n = s->first[k]; n < s->first[k + 1]; n++)
                for (int64_t j = s->columns[n].from; j < s->columns[n].to; j++) s->met[i * N + j] = 1;
    for (size_t b = 0; !s->ranged && b < s->members; b++)
        for (int64_t i = s->offsets[0][b]; i < s->offsets[0][b + 1]; i++)
            for (int64_t j = s->offsets[1][b]; j < s->offsets[1][b + 1]; j++) s->met[i * N + j] = 1;
}

/* All pairs, those of ranges, of a ragged batch, or of both. */
static void draw_shape(shape *s, quern_run_options *options, int64_t M, int64_t N, bool ranged)
{
    s->members = below(5) ? 0 : 1 + below(MOST_MEMBERS);
    s->ranged = ranged;
    size_t members = s->members ? s->members : 1;
    draw_offsets(s->offsets[0], members, M), draw_offsets(s->offsets[1], members, N);
    for (size_t b = 0; ranged && b < members; b++) draw_ranges(s, b);
    s->ranges.rows = s->rows, s->ranges.first = s->first, s->ranges.columns = s->columns;
    if (ranged) options->ranges = &s->ranges;
    options->members = s->members;
    if (s->members) options->offsets_i = s->offsets[0], options->offsets_j = s->offsets[1];
    if (ranged || s->members) find_met(s, M, N);
    shaped += ranged || s->members;
}

/* Whether all terms of the stage differ from row to row and from column to column. */
static bool meets(const quern_operator *op, const q_stage *stage)
{
    for (size_t r = 0; r < stage->reduction_count; r++)
        if (q_node_of(op->graph, q_node_of(op->graph, stage->reductions[r])->arg[0])->axes != (Q_I | Q_J)) return false;
    return stage->reduction_count > 0;
}

/* The operator whose results are the reductions of the formula's only stage; null if there are more, or nothing to prune. */
static quern_operator *reductions_of(const char *text, bool ranged)
{
    quern_compile_options how = QUERN_DEFAULTS(quern_compile_options);
    how.ranges = ranged ? QUERN_ON : QUERN_AUTO;
    quern_operator *op = NULL, *all = compile(text, &how);
    q_graph *graph;
    q_id results[Q_MAX_RESULTS];
    const q_stage *stage = &all->stages.stage[0];
    if (all->stages.count == 1 && meets(all, stage)) {
        quern_compile_options options = how;
        if (!below(6)) options.profile = "lanes64=1"; /* blocks one by one, as on GPUs */
        memcpy(results, stage->reductions, stage->reduction_count * sizeof *results);
        succeed(q_graph_copy(&graph, all->graph));
        succeed(q_operator_from_graph(&op, context, graph, results, stage->reduction_count, &options));
        q_graph_destroy(&graph);
    }
    quern_operator_destroy(&all);
    return op;
}

/* Makes the sizes those of the device where they are larger: its terms may be what rounding leaves of others that cancel. */
static void raise_sizes(const problem *p, size_t r, const q_graph *graph, q_id size)
{
    quern_compile_options options = p->op->options;
    quern_operator *op;
    trial t = p->t;
    options.size = sizeof options;
    succeed(q_operator_from_graph(&op, context, graph, &size, 1, &options));
    t.op = op, t.options = &p->unpruned;
    memset(t.got, 0, sizeof t.got);
    trial_run(&t);
    for (size_t n = 0; n < trial_result_count(&p->t, r); n++) p->sizes[r][n] = fmax(p->sizes[r][n], t.got[0][n]);
    free(t.got[0]);
    quern_operator_destroy(&op);
}

/* Of a Sum, the sums of the absolute values of its terms, by the reference and the device. */
static void find_sizes(problem *p, size_t r)
{
    q_graph *graph;
    if (p->sizes[r]) return;
    p->sizes[r] = calloc(trial_result_count(&p->t, r) + 1, sizeof(double));
    succeed(q_graph_copy(&graph, p->op->graph));
    const q_node sum = *q_node_of(graph, p->op->results[r]);
    q_id size = q_apply(graph, Q_OP_Abs, sum.arg, 1, NULL, 0);
    size = q_reduce(graph, Q_RED_Sum, (uint8_t)sum.k[0], size, 0);
    succeed(q_reference_with(&(q_rounding){.met = p->shape.met}, graph, &size, 1, p->t.M, p->t.N,
                             (const double *const *)p->t.data, &p->sizes[r]));
    raise_sizes(p, r, graph, size);
    q_graph_destroy(&graph);
}

static void say_failure(const problem *p, const char *fmt, ...) Q_PRINTF(2, 3);

/* Failures are counted, so that one run shows all of them. */
static void say_failure(const problem *p, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    printf("FAILED: ");
    vprintf(fmt, args);
    printf(
        " (seed %llu, %s, %lld x %lld%s, %zu members, %s of size %g at %g, tolerances %g and %g, certified %g and %g)\n  %s\n",
        (unsigned long long)present, p->t.dtype == QUERN_F64 ? "float64" : "float32", (long long)p->t.M,
        (long long)p->t.N, p->shape.ranged ? " with ranges" : "", p->shape.members, kind_names[p->cloud.kind],
        p->cloud.size, p->cloud.at, p->absolute, p->relative, p->report.absolute, p->report.relative, p->text);
    fflush(stdout);
    va_end(args);
    failures++;
}

/* What rounding may do to a Sum or LogSumExp of terms that have the same bits, in another order. */
static double rounding_of(problem *p, size_t r, size_t n)
{
    q_op op = (q_op)q_node_of(p->op->graph, p->op->results[r])->op;
    bool wide = p->t.dtype == QUERN_F64;
    double unit = wide ? DBL_EPSILON : (double)FLT_EPSILON, terms = (double)(p->t.M > p->t.N ? p->t.M : p->t.N);
    if (op == Q_RED_LogSumExp) return 64 * unit * (1 + fabs(p->plain[r][n]));
    find_sizes(p, r);
    /* blocks of 256 terms are added plainly; the reference's terms may be smaller than those that float32 rounds */
    return 256 * unit * fmax(p->sizes[r][n], fabs(p->plain[r][n])) + terms * (wide ? DBL_MIN : (double)FLT_MIN);
}

/* Whether a number of a result is as it may be. */
static bool is_right(problem *p, size_t r, size_t n)
{
    q_op op = (q_op)q_node_of(p->op->graph, p->op->results[r])->op;
    double got = p->t.got[r][n], plain = p->plain[r][n];
    if (got == plain || (isnan(got) && isnan(plain))) return true;
    if ((op != Q_RED_Sum && op != Q_RED_LogSumExp) || isnan(got - plain)) return false;
    double rounding = rounding_of(p, r, n), off = fabs(got - plain), relative = p->report.relative;
    double allowed = fmax(p->absolute, p->relative * fmax(plain, 0));
    double certified = fmin(p->report.absolute, relative < INFINITY ? relative * fabs(plain) : INFINITY);
    if (off > rounding) closest = fmax(closest, (off - rounding) / certified);
    return off <= allowed + rounding && off <= certified + rounding;
}

static void check(problem *p)
{
    for (size_t r = 0; r < p->op->result_count; r++)
        for (size_t n = 0; n < trial_result_count(&p->t, r); n++) {
            if (is_right(p, r, n)) continue;
            say_failure(p, "number %zu of result %zu is %.17g, not %.17g; rounding may be %g", n, r, p->t.got[r][n],
                        p->plain[r][n], p->sizes[r] ? rounding_of(p, r, n) : 0);
            return;
        }
}

static void tally(const problem *p)
{
    problems++;
    pruned += p->report.pruned;
    halved += p->report.touched < 0.5;
    lossy += p->report.absolute > 0;
    refused += !p->report.pruned;
    if (p->report.pruned == !*p->report.reason && (p->report.pruned || p->report.touched == 1)) return;
    say_failure(p, "the report says: pruned %d, '%s', touched %g", p->report.pruned, p->report.reason,
                p->report.touched);
}

static void run_problem(problem *p)
{
    static const double tolerances[][2] = {{0, 0}, {1e-2, 0}, {0, 1e-3}, {1e-6, 1e-2}, {1, 0.1}, {1e-9, 1e-9}};
    size_t t = below(Q_COUNT(tolerances));
    p->absolute = tolerances[t][0], p->relative = tolerances[t][1];
    p->report = QUERN_DEFAULTS(quern_pruning_report);
    quern_pruning pruning = {sizeof pruning, p->absolute, p->relative, QUERN_ON, &p->report};
    quern_run_options options = QUERN_DEFAULTS(quern_run_options);
    p->unpruned = options;
    fill(p);
    draw_shape(&p->shape, &p->unpruned, p->t.M, p->t.N, p->shape.ranged);
    p->t.options = &p->unpruned;
    trial_run(&p->t);
    for (size_t r = 0; r < p->op->result_count; r++) {
        size_t bytes = trial_result_count(&p->t, r) * sizeof(double);
        p->plain[r] = malloc(bytes + 1);
        memcpy(p->plain[r], p->t.got[r], bytes);
    }
    options = p->unpruned, options.pruning = &pruning;
    p->t.options = &options;
    trial_run(&p->t);
    tally(p);
    check(p);
    for (size_t r = 0; r < p->op->result_count; r++) free(p->plain[r]), free(p->sizes[r]);
    free(p->shape.met);
}

/* One formula on several clouds. */
static void check_formula(const char *text, quern_dtype dtype, size_t clouds)
{
    bool ranged = !below(3);
    quern_operator *op = reductions_of(text, ranged);
    for (size_t k = 0; k < clouds && op; k++) {
        problem p = {.text = text, .op = op, .shape.ranged = ranged};
        int64_t M = below(10) ? 200 + (int64_t)below(1300) : 1 + (int64_t)below(3), N = 500 + (int64_t)below(2000);
        p.t = trial_create(op, dtype, M, N, 0);
        run_problem(&p);
        trial_destroy(&p.t);
    }
    quern_operator_destroy(&op);
}

static void random_pruning(void **state)
{
    (void)state;
    need_device();
    quern_device *device = (quern_device *)quern_context_device(context);
    bool wide = device->f64;
    for (size_t n = 0; problems < count; n++) {
        source.state = present = seed + n;
        char *text = random_problem();
        quern_dtype dtype = wide && below(3) ? QUERN_F64 : QUERN_F32;
        device->f64 = wide && (dtype == QUERN_F64 || below(3)); /* else the host walks */
        check_formula(text, dtype, count - problems < CLOUDS ? count - problems : CLOUDS);
        device->f64 = wide;
        free(text);
    }
    printf(
        "seed %llu: %zu problems, %zu of them pruned, %zu to less than half of the pairs, %zu with a loss, %zu with ranges or of members; errors are at most %.2f of "
        "what is certified\n%zu failures\n",
        (unsigned long long)seed, problems, pruned, halved, lossy, shaped, closest, failures);
    assert_true(count < 1000 || (10 * pruned > 9 * problems && 25 * halved > problems && 50 * lossy > problems));
    assert_int_equal(failures, 0);
}

int main(int argc, char **argv)
{
    if (!random_options(argc, argv, &count, &seed)) return 2;
    setenv("POCL_EXTRA_BUILD_FLAGS", "-cl-opt-disable", 1); /* it is many kernels */
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_pruning)};
    return cmocka_run_group_tests(tests, open_context, close_context);
}
