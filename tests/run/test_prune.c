/*
 * test_prune.c: pruned runs beside the same runs without pruning: selections bit for bit, ties included; sums within their
 * certificate, by float64. And that blocks are really left out, and what becomes of runs that cannot be pruned.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "random_formula.h"
#include "quern/space.h"
#include "run_helpers.h"

enum { MOST_ARRAYS = 8 };

/* A formula with arrays for its variables, and results of both runs as doubles. */
typedef struct problem {
    quern_operator *op;
    quern_dtype dtype;
    int64_t M, N;
    double *data[MOST_ARRAYS];
    void *arrays[MOST_ARRAYS];
    quern_arg args[MOST_ARRAYS];
    double *got[Q_MAX_RESULTS], *expected[Q_MAX_RESULTS];
    quern_pruning_report report;
} problem;

static int64_t rows_of(const problem *p, char axis)
{
    return axis == 'i' ? p->M : axis == 'j' ? p->N : 1;
}

/* The kinds of data: uniform; clusters; on a coarse grid, where ties are everywhere; a line far from 0. */
enum { UNIFORM, CLUSTERS, GRID, LINE, KINDS };

static double draw(random_source *random, int kind, double centre)
{
    double x = random_between(random, 0, 1);
    switch (kind) {
    case CLUSTERS: return centre + 0.02 * x;
    case GRID: return floor(x * 8) / 8;
    case LINE: return 100 + 10 * centre;
    default: return x;
    }
}

static problem problem_create(const char *formula, quern_dtype dtype, int64_t M, int64_t N, int kind, uint64_t seed)
{
    random_source random = {seed};
    problem p = {.op = compile(formula, NULL), .dtype = dtype, .M = M, .N = N};
    for (size_t v = 0; v < quern_variable_count(p.op); v++) {
        quern_value value = quern_variable(p.op, v);
        size_t rows = (size_t)rows_of(&p, value.axis), dim = (size_t)value.dim;
        p.data[v] = calloc(rows * dim + 1, sizeof(double));
        p.arrays[v] = calloc(rows * dim + 1, sizeof(double));
        for (size_t row = 0; row < rows; row++) {
            double centre = (double)random_below(&random, 20) / 20 + 0.001 * random_between(&random, 0, 1);
            for (size_t d = 0; d < dim; d++) p.data[v][row * dim + d] = draw(&random, kind, centre);
        }
        for (size_t n = 0; n < rows * dim; n++)
            q_element_write(dtype, (char *)p.arrays[v] + n * q_element_size(dtype), p.data[v][n]);
        p.args[v] = (quern_arg){value.name, quern_view_of(p.arrays[v], dtype, (int64_t)rows, value.dim)};
    }
    return p;
}

static void problem_set(problem *p, size_t v, size_t n, double value)
{
    q_element_write(p->dtype, (char *)p->arrays[v] + n * q_element_size(p->dtype), value);
}

static void problem_destroy(problem *p)
{
    for (size_t v = 0; v < MOST_ARRAYS; v++) free(p->data[v]), free(p->arrays[v]);
    for (size_t r = 0; r < Q_MAX_RESULTS; r++) free(p->got[r]), free(p->expected[r]);
    quern_operator_destroy(&p->op);
}

static size_t numbers_of(const problem *p, size_t r)
{
    quern_value value = quern_result(p->op, r);
    return (size_t)(rows_of(p, value.axis) * value.dim);
}

/* Runs with these options, or, with null, without pruning, into out. */
static void run_into(problem *p, const quern_pruning *pruning, double **out)
{
    void *memory[Q_MAX_RESULTS];
    quern_view views[Q_MAX_RESULTS];
    size_t count = quern_result_count(p->op), variables = quern_variable_count(p->op);
    for (size_t r = 0; r < count; r++) {
        quern_value value = quern_result(p->op, r);
        memory[r] = calloc(numbers_of(p, r) + 1, 8);
        views[r] = quern_view_of(memory[r], value.integer ? QUERN_I64 : p->dtype, rows_of(p, value.axis), value.dim);
    }
    quern_args args = {p->args, variables, 0, 0};
    quern_run_options options = QUERN_DEFAULTS(quern_run_options);
    options.pruning = pruning;
    succeed(quern_run_with(p->op, args, (quern_outs){views, count}, &options));
    for (size_t r = 0; r < count; r++) {
        size_t size = q_element_size(views[r].dtype);
        free(out[r]);
        out[r] = calloc(numbers_of(p, r) + 1, sizeof(double));
        for (size_t n = 0; n < numbers_of(p, r); n++)
            out[r][n] = q_element_read(views[r].dtype, (char *)memory[r] + n * size);
        free(memory[r]);
    }
}

static void run_both(problem *p, double absolute, double relative)
{
    p->report = QUERN_DEFAULTS(quern_pruning_report);
    quern_pruning pruning = {sizeof pruning, absolute, relative, QUERN_ON, &p->report};
    run_into(p, NULL, p->expected);
    run_into(p, &pruning, p->got);
}

static void check_same(const problem *p, const char *what)
{
    for (size_t r = 0; r < quern_result_count(p->op); r++)
        for (size_t n = 0; n < numbers_of(p, r); n++) {
            double got = p->got[r][n], want = p->expected[r][n];
            if (got == want || (isnan(got) && isnan(want))) continue;
            fail_msg("%s, %s: number %zu of result %zu is %.17g, not %.17g", quern_operator_text(p->op), what, n, r,
                     got, want);
        }
}

// ---- selections ----

static const char *const selections[] = {
    "x=Vi(3); y=Vj(3); ArgKMin_j(SqDist(x,y),5)",
    "x=Vi(2); y=Vj(2); Min_j(SqDist(x,y)), ArgMin_j(SqDist(x,y))",
    "x=Vi(2); y=Vj(2); KMin_i(Norm2(x-y),3), ArgKMin_i(Norm2(x-y),3)",
    "x=Vi(2); y=Vj(2); b=Vj(1); ArgMax_j(b-SqDist(x,y)), Max_j(b-SqDist(x,y))",
    "x=Vi(3); y=Vj(3); KMax_j((x|y),4), ArgKMax_j((x|y),4)",
    "x=Vi(2); y=Vj(2); s=Pm(2); ArgMin_j(WeightedSqDist(s,x,y))",
    "x=Vi(2); y=Vj(2); ArgKMin_j(Hyperbolic(x/3,y/3),9)",
    "x=Vi(2); y=Vj(2); ArgMin_j(Concat(Abs(x-y),SqDist(x,y)))",
    "x=Vi(1); y=Vj(1); Min_j(Abs(x-y))*x",
    "x=Vi(1); y=Vj(1); ArgMin_j(IfElse(I-J,SqDist(x,y),1000))",
    "x=Vi(1); y=Vj(1); Min_j(Abs(x-y)+Square(Gather_i(x,2)-Gather_j(y,3)))",
};

static void selections_are_those_without_pruning(void **state)
{
    (void)state;
    need_device();
    double touched = 1;
    for (size_t f = 0; f < Q_COUNT(selections); f++)
        for (int kind = 0; kind < KINDS; kind++) {
            problem p = problem_create(selections[f], QUERN_F32, 700 + 31 * (int64_t)f, 900 - 17 * (int64_t)f, kind,
                                       f * 10 + (uint64_t)kind);
            run_both(&p, 0, 0);
            assert_true(p.report.pruned);
            assert_true(p.report.absolute == 0);
            check_same(&p, "pruned");
            touched = fmin(touched, p.report.touched);
            problem_destroy(&p);
        }
    assert_true(touched < 0.5);
}

static void sizes_of_zero_and_one(void **state)
{
    (void)state;
    need_device();
    static const int64_t sizes[][2] = {{0, 5}, {5, 0}, {0, 0}, {1, 1}, {1, 3000}, {3000, 1}};
    for (size_t n = 0; n < Q_COUNT(sizes); n++) {
        problem p = problem_create("x=Vi(2); y=Vj(2); ArgKMin_j(SqDist(x,y),3), Sum_j(Exp(-SqDist(x,y)))", QUERN_F32,
                                   sizes[n][0], sizes[n][1], UNIFORM, n);
        run_both(&p, 0, 1e-6);
        for (size_t k = 0; k < numbers_of(&p, 1); k++)
            assert_true(fabs(p.got[1][k] - p.expected[1][k]) <= 2e-6 * (1 + fabs(p.expected[1][k])));
        memcpy(p.got[1], p.expected[1], numbers_of(&p, 1) * sizeof(double));
        check_same(&p, "small");
        problem_destroy(&p);
    }
}

/* Wherever there is a NaN or an infinity, results are those without pruning. */
static void nan_and_infinities(void **state)
{
    (void)state;
    need_device();
    static const double odd[] = {NAN, INFINITY, -INFINITY, 1e30, -0.0};
    for (size_t n = 0; n < Q_COUNT(odd) * 2; n++) {
        problem p = problem_create("x=Vi(2); y=Vj(2); ArgKMin_j(SqDist(x,y),3), Max_j(x-y), Min_j((x|y))", QUERN_F32,
                                   600, 800, CLUSTERS, n);
        for (size_t k = 0; k < 4; k++) problem_set(&p, n % 2, 37 * k + 5, odd[n / 2]);
        run_both(&p, 0, 0);
        assert_true(p.report.pruned);
        check_same(&p, "odd numbers");
        problem_destroy(&p);
        p = problem_create("x=Vi(2); y=Vj(2); Sum_j(Exp(-100*SqDist(x,y)))", QUERN_F32, 600, 800, CLUSTERS, n);
        problem_set(&p, n % 2, 11, odd[n / 2]);
        run_both(&p, 1e-3, 0);
        for (size_t k = 0; k < 600; k++) {
            assert_int_equal(isnan(p.got[0][k]), isnan(p.expected[0][k]));
            if (!isnan(p.got[0][k]))
                assert_true(fabs(p.got[0][k] - p.expected[0][k]) <= p.report.absolute + 1e-5 * p.expected[0][k]);
        }
        problem_destroy(&p);
    }
}

/* Where numbers have few digits left, or none. */
static void numbers_below_the_normal_range(void **state)
{
    (void)state;
    need_device();
    static const char *const formulas[] = {
        "x=Vi(3); y=Vj(3); Max_j(Hyperbolic(x/3,y/3))",
        "x=Vi(3); y=Vj(3); Min_j(SqDist(x,y))",
        "x=Vi(3); y=Vj(3); ArgKMax_j((x|y),4)",
        "x=Vi(3); y=Vj(3); Max_j(Exp(x-y)*x*y)",
    };
    bool wide = quern_context_device(context)->f64;
    for (size_t n = 0; n < 4 * Q_COUNT(formulas) * (wide ? 2 : 1); n++) {
        quern_dtype dtype = n < 4 * Q_COUNT(formulas) ? QUERN_F32 : QUERN_F64;
        double size = (dtype == QUERN_F32 ? 2e-22 : 2e-162) * (1 + (double)(n % 4));
        problem p = problem_create(formulas[n / 4 % 4], dtype, 700, 900, UNIFORM, n);
        for (size_t v = 0; v < 2; v++) /* of few points, so that boxes are no larger than these */
            for (size_t k = 0; k < (v ? 900 : 700) * 3; k++)
                problem_set(&p, v, k, size * (p.data[v][k / 3 % 5 + k % 3] - 0.5));
        run_both(&p, 0, 0);
        assert_true(p.report.pruned);
        check_same(&p, "tiny");
        problem_destroy(&p);
    }
}

/* Results of one row each for a formula of x alone. */
static void run_rows(quern_operator *op, quern_dtype dtype, const double *x, int64_t rows, double *out)
{
    size_t size = q_element_size(dtype), dim = (size_t)quern_result(op, 0).dim;
    char *in = calloc((size_t)rows, size), *results = calloc((size_t)rows * dim, size);
    for (int64_t row = 0; row < rows; row++) q_element_write(dtype, in + (size_t)row * size, x[row]);
    succeed(quern_run(op, QUERN_ARGS({"x", quern_view_of(in, dtype, rows, 1)}),
                      quern_view_of(results, dtype, rows, (int64_t)dim)));
    for (size_t n = 0; n < (size_t)rows * dim; n++) out[n] = q_element_read(dtype, results + n * size);
    free(in);
    free(results);
}

/* What a pair is may not depend on what stands beside it in a vector, for sorting changes that. All operations of one operand. */
static void rows_have_the_same_bits_anywhere(void **state)
{
    (void)state;
    need_device();
    enum { ROWS = 4096, STEP = 1237 };
    q_text text = {0};
    q_op names[Q_OP_END];
    size_t dim = 0;
    static double x[ROWS], moved[ROWS];
    for (int op = Q_OP_REPEAT + 1; op < Q_OP_REDUCTION; op++)
        if (q_ops[op].kind == Q_KIND_ELEMENTWISE && q_ops[op].operands == 1) names[dim++] = (q_op)op;
    q_text_add(&text, "x=Vi(1); ");
    for (size_t n = 0; n < dim; n++)
        q_text_add(&text, n + 1 < dim ? "Concat(%s(x%s)," : "%s(x%s)", q_ops[names[n]].name,
                   q_ops[names[n]].integers ? ",1" : "");
    for (size_t n = 1; n < dim; n++) q_text_add(&text, ")");
    quern_operator *op = compile(text.data, NULL);
    double *got = calloc(ROWS * dim, sizeof *got), *again = calloc(ROWS * dim, sizeof *again);
    for (int n = 0; n < ROWS; n++) x[n] = (n % 2 ? -1 : 1) * pow(10, 60.0 * n / ROWS - 30); /* neighbours are alike */
    x[5] = NAN, x[77] = INFINITY, x[99] = 0;
    for (int n = 0; n < ROWS; n++) moved[n] = x[n * STEP % ROWS];
    for (quern_dtype dtype = QUERN_F32; dtype <= (quern_context_device(context)->f64 ? QUERN_F64 : QUERN_F32);
         dtype++) {
        run_rows(op, dtype, x, ROWS, got);
        run_rows(op, dtype, moved, ROWS, again);
        for (size_t n = 0; n < ROWS * dim; n++) {
            double a = got[n / dim * STEP % ROWS * dim + n % dim], b = again[n];
            if (a == b || (isnan(a) && isnan(b))) continue;
            fail_msg("%s of %.9g is %.17g and %.17g in float%d", q_ops[names[n % dim]].name, moved[n / dim], a, b,
                     dtype == QUERN_F32 ? 32 : 64);
        }
    }
    quern_operator_destroy(&op);
    q_text_free(&text);
    free(got), free(again);
}

// ---- sums ----

static const char *const sums[] = {
    "x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-300*SqDist(x,y))*b)",
    "x=Vi(2); y=Vj(2); b=Vj(2); Sum_j(Exp(-20*Norm2(x-y))*b)",
    "x=Vi(2); y=Vj(2); LogSumExp_j(-200*SqDist(x,y))",
    "x=Vi(2); y=Vj(2); b=Vj(1); Sum_i(Matern32(900*SqDist(x,y),1)*b)",
    "x=Vi(2); y=Vj(2); b=Vj(1); Sum_j(Step(0.001-SqDist(x,y))*b)",
    "x=Vi(2); y=Vj(2); b=Vj(1); e=Vi(1); Grad(Sum_j(Exp(-200*SqDist(x,y))*b),x,e)",
    "x=Vi(2); y=Vj(2); Sum_j(Exp(-200*SqDist(x,y))), Sum_j(Exp(-300*SqDist(x,y))*(x-y)), ArgMin_j(SqDist(x,y))",
    "x=Vi(1); y=Vj(1); Sum_j(Inv(1+1000*SqDist(x,y)))",
    "x=Vi(2); y=Vj(2); LogSumExp_j(x|y)",
};

/* By how much a result exceeds its certificate, of itself; 0 if it does not. */
static void check_sum(const problem *p, double absolute, double relative)
{
    const quern_pruning_report *report = &p->report;
    for (size_t r = 0; r < quern_result_count(p->op); r++)
        for (size_t n = 0; n < numbers_of(p, r); n++) {
            double off = fabs(p->got[r][n] - p->expected[r][n]), rounding = 1e-11 * (1 + fabs(p->expected[r][n]));
            if (off <= report->absolute + rounding &&
                (report->relative == INFINITY || off <= report->relative * fabs(p->expected[r][n]) + rounding))
                continue;
            fail_msg("%s, tolerances %g and %g: number %zu of result %zu is off by %g, certified are %g and %g",
                     quern_operator_text(p->op), absolute, relative, n, r, off, report->absolute, report->relative);
        }
    if (!absolute || !relative) assert_true(report->absolute <= absolute || report->relative <= relative);
}

static void sums_keep_their_certificate(void **state)
{
    (void)state;
    need_device();
    need_type(QUERN_F64);
    static const double tolerances[][2] = {{0, 0}, {1e-3, 0}, {0, 1e-6}, {1e-9, 1e-3}, {100, 0}};
    double least[5] = {1, 1, 1, 1, 1};
    for (size_t f = 0; f < Q_COUNT(sums); f++)
        for (int kind = 0; kind < KINDS; kind++)
            for (size_t t = 0; t < 5; t++) {
                problem p =
                    problem_create(sums[f], QUERN_F64, 500 + 31 * (int64_t)f, 900, kind, f * 10 + (uint64_t)kind);
                run_both(&p, tolerances[t][0], tolerances[t][1]);
                assert_true(p.report.pruned);
                check_sum(&p, tolerances[t][0], tolerances[t][1]);
                least[t] = fmin(least[t], p.report.touched);
                problem_destroy(&p);
            }
    for (size_t t = 0; t < Q_COUNT(tolerances); t++)
        if (least[t] >= 0.4) fail_msg("tolerances %zu: no run touched less than %g of its pairs", t, least[t]);
}

// ---- batches and ranges ----

enum { MEMBERS = 3, SHARED = 2 };

/* x: MEMBERS x M x 2; y: one for all, or for each of SHARED x 1; results: SHARED x MEMBERS x M. */
typedef struct batch_sample {
    float x[MEMBERS * 700 * 2], y[SHARED * 500 * 2];
    int64_t k[SHARED * MEMBERS * 700 * 3];
    float d[SHARED * MEMBERS * 700];
} batch_sample;

static void run_batch(quern_operator *op, batch_sample *s, int64_t M, int64_t N, const quern_pruning *pruning)
{
    quern_view x = quern_in_batch(quern_f32(s->x, M, 2), MEMBERS), y = quern_f32(s->y, N, 2);
    quern_view k = quern_i64(s->k, M, 3), d = quern_f32(s->d, M, 1);
    y.batch[0] = SHARED, y.batch[1] = 1;
    k.batch[0] = d.batch[0] = SHARED, k.batch[1] = d.batch[1] = MEMBERS;
    quern_run_options options = QUERN_DEFAULTS(quern_run_options);
    options.pruning = pruning;
    succeed(quern_run_with(op, QUERN_ARGS({"x", x}, {"y", y}), QUERN_OUTS(k, d), &options));
}

static void members_are_pruned_one_by_one(void **state)
{
    (void)state;
    need_device();
    static batch_sample pruned, plain;
    static const int64_t sizes[][2] = {{700, 500}, {1, 500}, {700, 1}, {0, 500}, {700, 0}};
    random_source random = {5};
    quern_operator *op = compile("x=Vi(2); y=Vj(2); ArgKMin_j(SqDist(x,y),3), Min_j(Norm2(x-y))", NULL);
    for (size_t n = 0; n < Q_COUNT(pruned.x); n++) pruned.x[n] = (float)random_between(&random, 0, 1);
    for (size_t n = 0; n < Q_COUNT(pruned.y); n++) pruned.y[n] = (float)random_between(&random, 0, 1);
    pruned.x[99] = pruned.y[7] = NAN;
    plain = pruned;
    for (size_t n = 0; n < Q_COUNT(sizes); n++) {
        quern_pruning_report report = QUERN_DEFAULTS(quern_pruning_report);
        quern_pruning pruning = {sizeof pruning, 0, 0, QUERN_ON, &report};
        bool any = sizes[n][0] && sizes[n][1];
        run_batch(op, &plain, sizes[n][0], sizes[n][1], NULL);
        run_batch(op, &pruned, sizes[n][0], sizes[n][1], &pruning);
        assert_int_equal(report.pruned, any);
        if (any) assert_string_equal(report.reason, "");
        else assert_non_null(strstr(report.reason, "no pairs"));
        assert_memory_equal(pruned.k, plain.k, sizeof plain.k);
        for (size_t m = 0; m < Q_COUNT(plain.d); m++)
            assert_true(pruned.d[m] == plain.d[m] || (isnan(pruned.d[m]) && isnan(plain.d[m])));
        pruning.use = QUERN_AUTO; /* in one launch */
        run_batch(op, &pruned, sizes[n][0], sizes[n][1], &pruning);
        assert_false(report.pruned);
        assert_non_null(strstr(report.reason, any ? "few pairs" : "no pairs"));
        assert_memory_equal(pruned.k, plain.k, sizeof plain.k);
    }
    quern_operator_destroy(&op);
}

/* Of a batch of results over their arguments no member may be done before another is read. */
static void results_over_arguments_of_a_batch(void **state)
{
    (void)state;
    need_device();
    float x[6] = {1, 5, 9, 2, 6, 8}, want[6];
    quern_operator *op = compile("x=Vi(1); y=Vj(1); Min_j(Abs(x-y))", NULL);
    quern_pruning_report report = QUERN_DEFAULTS(quern_pruning_report);
    quern_pruning pruning = {sizeof pruning, 0, 0, QUERN_ON, &report};
    quern_run_options options = QUERN_DEFAULTS(quern_run_options);
    options.pruning = &pruning;
    quern_view in = quern_in_batch(quern_f32(x, 3, 1), 2), all = quern_f32(x, 6, 1);
    succeed(quern_run_with(op, QUERN_ARGS({"x", in}, {"y", all}), QUERN_OUTS(quern_in_batch(quern_f32(want, 3, 1), 2)),
                           &options));
    assert_true(report.pruned);
    succeed(quern_run_with(op, QUERN_ARGS({"x", in}, {"y", all}), QUERN_OUTS(in), &options));
    assert_false(report.pruned);
    assert_non_null(strstr(report.reason, "written over an argument"));
    assert_memory_equal(x, want, sizeof x);
    quern_operator_destroy(&op);
}

static void what_ranges_leave_out_is_not_computed(void **state)
{
    (void)state;
    need_device();
    enum { M = 900, N = 1000, BLOCKS = 3 };
    static const quern_span rows[BLOCKS] = {{0, 300}, {300, 301}, {400, 900}};
    static const quern_span columns[] = {{0, 100}, {500, 1000}, {10, 15}, {0, 1000}};
    static const int64_t first[BLOCKS + 1] = {0, 2, 3, 4};
    const quern_ranges ranges = {BLOCKS, rows, first, columns};
    static float x[2 * M], y[2 * N];
    static int64_t got[3 * M], want[3 * M];
    random_source random = {9};
    for (int n = 0; n < 2 * M; n++) x[n] = (float)random_between(&random, 0, 1);
    for (int n = 0; n < 2 * N; n++) y[n] = (float)random_between(&random, 0, 1);
    quern_operator *op = compile("x=Vi(2); y=Vj(2); ArgKMin_j(SqDist(x,y),3)", NULL);
    quern_pruning_report report = QUERN_DEFAULTS(quern_pruning_report);
    quern_pruning pruning = {sizeof pruning, 0, 0, QUERN_ON, &report};
    quern_run_options options = QUERN_DEFAULTS(quern_run_options);
    options.ranges = &ranges;
    for (int on = 0; on < 2; on++) {
        options.pruning = on ? &pruning : NULL;
        succeed(quern_run_with(op, QUERN_ARGS({"x", quern_f32(x, M, 2)}, {"y", quern_f32(y, N, 2)}),
                               QUERN_OUTS(quern_i64(on ? got : want, M, 3)), &options));
    }
    assert_true(report.pruned && report.touched < 0.9);
    assert_memory_equal(got, want, sizeof want);
    assert_int_equal(got[3 * 350], -1); /* a row that meets nothing */
    pruning.use = QUERN_AUTO;
    succeed(quern_run_with(op, QUERN_ARGS({"x", quern_f32(x, M, 2)}, {"y", quern_f32(y, N, 2)}),
                           QUERN_OUTS(quern_i64(got, M, 3)), &options));
    assert_false(report.pruned);
    assert_memory_equal(got, want, sizeof want);
    quern_operator_destroy(&op);
}

// ---- what is not pruned ----

static void some_formulas_are_run_as_they_are(void **state)
{
    (void)state;
    need_device();
    static const struct {
        const char *formula, *reason;
    } rows[] = {
        {"x=Vi(1); y=Vj(1); Sum_i(Sum_j(x*y)*x)", "several passes"},
        {"x=Vi(1); x+1", "no row meets"},
        {"y=Vj(1); Sum_j(y)", "no row meets"},
        {"x=Vi(1); y=Vj(1); Variance_j(x-y)", "every term"},
        {"x=Vi(2); y=Vj(2); b=Vj(1); SumSoftMaxWeight_j(x|y,b)", "softmax"},
    };
    for (size_t n = 0; n < Q_COUNT(rows); n++) {
        problem p = problem_create(rows[n].formula, QUERN_F32, 50, 60, UNIFORM, n);
        run_both(&p, 0, 0);
        assert_false(p.report.pruned);
        assert_non_null(strstr(p.report.reason, rows[n].reason));
        char *text = NULL;
        succeed(quern_explain(p.op, NULL, &text));
        assert_non_null(strstr(text, p.report.reason));
        quern_free(text);
        assert_true(p.report.touched == 1);
        check_same(&p, "as it is");
        problem_destroy(&p);
    }
}

/* Where the choice is free, what would be in vain is not begun, or not gone on with. */
static void runs_that_pruning_would_not_help(void **state)
{
    (void)state;
    need_device();
    static const struct {
        const char *formula, *reason;
        int64_t M, N;
    } rows[] = {
        {"x=Vi(2); y=Vj(2); ArgMin_j(SqDist(x,y))", "few pairs", 100, 100},
        {"x=Vi(6); y=Vj(6); ArgMin_j(SqDist(x,y))", "5 dimensions", 5000, 5000},
        {"x=Vi(7); y=Vj(7); ArgKMin_j(SqDist(x,y),9)", " dimensions", 5000, 5000},
        {"x=Vi(2); y=Vj(2); Sum_j(Norm2(x-y))", "most pairs", 5000, 5000},
        {"x=Vi(2); y=Vj(2); ArgMin_j(SqDist(x,y))", "", 5000, 5000},
    };
    for (size_t n = 0; n < Q_COUNT(rows); n++) {
        problem p = problem_create(rows[n].formula, QUERN_F32, rows[n].M, rows[n].N, UNIFORM, n);
        quern_pruning_report report = QUERN_DEFAULTS(quern_pruning_report);
        quern_pruning pruning = {sizeof pruning, 0, 0, QUERN_AUTO, &report};
        run_into(&p, NULL, p.expected);
        for (int again = 0; again < 2; again++) { /* with an order that is known */
            run_into(&p, &pruning, p.got);
            bool reordered = report.pruned && *rows[n].reason; /* in another order, on devices without float64 */
            if (!reordered) check_same(&p, rows[n].reason);
        }
        if (report.pruned != !*rows[n].reason && quern_context_device(context)->f64)
            fail_msg("%s: %s", rows[n].formula, report.reason);
        if (!report.pruned) assert_non_null(strstr(report.reason, rows[n].reason));
        problem_destroy(&p);
    }
}

/* What is kept between runs is never taken for other numbers. */
static void arrays_that_change_between_runs(void **state)
{
    (void)state;
    need_device();
    problem p = problem_create("x=Vi(2); y=Vj(2); b=Vj(1); ArgMin_j(b+SqDist(x,y)), ArgKMin_j(SqDist(x,y),4)",
                               QUERN_F32, 600, 700, CLUSTERS, 3);
    for (int turn = 0; turn < 6; turn++) {
        if (turn / 2 == 1) problem_set(&p, 2, 123, -5);  /* a weight */
        if (turn / 2 == 2) problem_set(&p, 1, 600, 0.5); /* a coordinate */
        run_both(&p, 0, 0);
        assert_true(p.report.pruned);
        check_same(&p, "changed");
    }
    problem_destroy(&p);
}

static void bad_options(void **state)
{
    (void)state;
    need_device();
    problem p = problem_create("x=Vi(1); y=Vj(1); Sum_j(x*y)", QUERN_F32, 5, 6, UNIFORM, 1);
    float out[5];
    quern_view view = quern_f32(out, 5, 1);
    quern_args args = {p.args, 2, 0, 0};
    static const quern_pruning bad[] = {{sizeof bad[0], -1, 0, QUERN_ON, NULL},
                                        {sizeof bad[0], NAN, 0, QUERN_ON, NULL},
                                        {sizeof bad[0], 0, 1, QUERN_ON, NULL},
                                        {sizeof bad[0], 0, 0, (quern_switch)7, NULL}};
    for (size_t n = 0; n < Q_COUNT(bad); n++) {
        quern_run_options options = QUERN_DEFAULTS(quern_run_options);
        options.pruning = &bad[n];
        expect_failure(quern_run_with(p.op, args, (quern_outs){&view, 1}, &options), QUERN_USAGE,
                       n < 3 ? "tolerance" : "use is 7");
    }
    problem_destroy(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(selections_are_those_without_pruning),
        cmocka_unit_test(sizes_of_zero_and_one),
        cmocka_unit_test(nan_and_infinities),
        cmocka_unit_test(numbers_below_the_normal_range),
        cmocka_unit_test(rows_have_the_same_bits_anywhere),
        cmocka_unit_test(sums_keep_their_certificate),
        cmocka_unit_test(members_are_pruned_one_by_one),
        cmocka_unit_test(results_over_arguments_of_a_batch),
        cmocka_unit_test(what_ranges_leave_out_is_not_computed),
        cmocka_unit_test(some_formulas_are_run_as_they_are),
        cmocka_unit_test(arrays_that_change_between_runs),
        cmocka_unit_test(bad_options),
        cmocka_unit_test(runs_that_pruning_would_not_help),
    };
    setenv("POCL_EXTRA_BUILD_FLAGS", "-cl-opt-disable", 1); /* it is many kernels */
    return cmocka_run_group_tests(tests, open_context, close_context);
}
