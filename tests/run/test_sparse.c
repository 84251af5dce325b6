/*
 * test_sparse.c: runs with ranges beside the reference with the same pairs left out: random ranges over both axes, formulas of
 * one and several stages, gradients, in every scheme and both types; and ranges that are refused.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "quern/array.h"
#include "ways.h"

enum { MOST_BLOCKS = 12, MOST_SPANS = 64 };

/* Ranges with what they point to. */
typedef struct sample_ranges {
    quern_ranges ranges;
    quern_span rows[MOST_BLOCKS], columns[MOST_SPANS];
    int64_t first[MOST_BLOCKS + 1];
    quern_run_options options;
} sample_ranges;

static random_source random_numbers = {1};

static int64_t below(int64_t n)
{
    return n > 0 ? (int64_t)(random_below(&random_numbers, (size_t)n)) : 0;
}

/* Spans from `at` on, some empty, some neighbours; ends are multiples of `step`, so that those of blocks often agree. */
static void draw_spans(sample_ranges *s, int64_t *count, int64_t N, int64_t step)
{
    int64_t at = 0;
    for (int64_t n = below(5); n > 0; n--) {
        int64_t from = at + below(3) * step, to = from + below(4) * step;
        if (to > N) break;
        s->columns[(*count)++] = (quern_span){from, to};
        at = to;
    }
}

static void draw(sample_ranges *s, int64_t M, int64_t N)
{
    int64_t at = 0, spans = 0, step = 1 + below(1 + N / 8);
    *s = (sample_ranges){.options = {.size = sizeof s->options, .ranges = &s->ranges}};
    while (s->ranges.block_count < MOST_BLOCKS) {
        int64_t from = at + (below(3) ? 0 : below(M / 4 + 1)), to = from + below(M / 4 + 2);
        if (to > M) break;
        s->rows[s->ranges.block_count++] = (quern_span){from, to};
        draw_spans(s, &spans, N, step);
        s->first[s->ranges.block_count] = spans;
        at = to;
    }
    s->ranges.rows = s->rows;
    s->ranges.first = s->first;
    s->ranges.columns = s->columns;
}

static void try_sizes(quern_operator *op, quern_dtype dtype, int64_t M, int64_t N, uint64_t seed)
{
    sample_ranges s;
    draw(&s, M, N);
    trial t = trial_create(op, dtype, M, N, seed);
    t.options = &s.options;
    trial_run(&t);
    trial_compare(&t, dtype == QUERN_F64 ? 1e-12 : 2e-5);
    trial_destroy(&t);
}

static void try_operator(quern_operator *op, quern_dtype dtype)
{
    static const int64_t sizes[][2] = {{37, 70}, {5, 9}, {1, 1}, {23, 600}, {170, 33}, {9, 0}, {0, 9}, {40, 300}};
    for (size_t n = 0; n < Q_COUNT(sizes); n++) try_sizes(op, dtype, sizes[n][0], sizes[n][1], n + 1);
}

static const char *const formulas[] = {
    "x=Vi(3); y=Vj(3); b=Vj(2); p=Pm(1); Sum_j(p*Exp(-SqDist(x,y))*b), Min_j(SqDist(x,y)), Mean_j(x|y)",
    "x=Vi(2); y=Vj(2); Sum_i(Norm2(x-y)), ArgMin_i(SqDist(x,y)), Max_j(x|y), Sum_j(Repeat_i(y)*2)",
    "x=Vi(2); y=Vj(2); KMin_j(SqDist(x,y),3), ArgKMin_i(SqDist(x,y),3), ArgMax_j(x|y), Variance_j(x|y)",
    "x=Vi(2); y=Vj(2); b=Vj(3); SumSoftMaxWeight_j(x|y,b), LogSumExp_i(x|y), Sum_j(Repeat_i(1)), Sum_j(x*x)",
    "x=Vi(5); y=Vj(5); q=Vj(1); r=Vi(1); Sum_i(r*Sum_j(Exp(-SqDist(x,y))*q)), Sum_j(Exp(x|y)/Sum_i(Exp(x|y)))",
    "x=Vi(5); y=Vj(5); q=Vj(1); r=Vi(1); Grad(Sum_i(r*Sum_j(Exp(-SqDist(x,y))*q)),y,1)",
    "x=Vi(2); y=Vj(2); p=Pm(2); e=Vi(1); Grad(Sum_j(p|(x+y)),y,e), Grad(Sum_j(p|(x+y)),x,e), Grad(Sum_j(p|(x+y)),p,e)",
    "x=Vi(2); y=Vj(2); e=Vi(1); Grad(LogSumExp_j(x|y),y,e), Diff(Sum_j(x+y),y,y), Grad(Variance_j(x|y),x,1)",
};

static void generated(void **state)
{
    const generation_way *way = way_begin(state);
    const size_t number = (size_t)(way - ways);
    quern_compile_options options = way->options;
    options.ranges = QUERN_ON;
    for (size_t f = number % 2; f < Q_COUNT(formulas); f += number < 2 ? 1 : 2) {
        quern_operator *op = compile(formulas[f], &options);
        try_operator(op, way->dtype);
        quern_operator_destroy(&op);
    }
    way_end();
}

/* quern_gradient of an operator that was compiled with or without the option. */
static void gradients(void **state)
{
    (void)state;
    need_device();
    for (int on = 0; on < 2; on++) {
        const quern_compile_options options = {.size = sizeof options, .ranges = on ? QUERN_ON : QUERN_AUTO};
        quern_operator *op = compile("x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)", &options);
        for (int v = 0; v < 3; v++) {
            quern_operator *gradient;
            succeed(quern_gradient(&gradient, op, v == 0 ? "x" : v == 1 ? "y" : "b", v ? "e" : NULL));
            try_operator(gradient, QUERN_F32);
            quern_operator_destroy(&gradient);
        }
        quern_operator_destroy(&op);
    }
}

/* What was simplified as if all rows met all columns says so. */
static void what_was_simplified_too_far_says_so(void **state)
{
    (void)state;
    need_device();
    static const char *const lossy[] = {"x=Vi(2); y=Vj(2); Sum_j(x), Max_i(y)",
                                        "x=Vi(2); y=Vj(2); Sum_j(Repeat_i(y))",
                                        "x=Vi(2); y=Vj(2); Mean_j(x|y)",
                                        "x=Vi(2); y=Vj(2); Grad(Sum_j(x|y),y,1)",
                                        "x=Vi(2); y=Vj(2); Grad(Sum_j(x+y),x,Vi(2,2)), Max_i(y)",
                                        "x=Vi(0,2); y=Vj(1,2); Sum_Reduction(y,0), Max_Reduction(x+y,1)"};
    for (size_t f = 0; f < Q_COUNT(lossy); f++) {
        quern_operator *op = compile(lossy[f], NULL);
        sample_ranges s;
        draw(&s, 5, 9);
        trial t = trial_create(op, QUERN_F32, 5, 9, 1);
        t.options = &s.options;
        expect_failure(trial_attempt(&t), QUERN_UNSUPPORTED, "quern_compile_options.ranges = QUERN_ON");
        trial_destroy(&t);
        quern_operator_destroy(&op);
        const quern_compile_options options = {.size = sizeof options, .ranges = QUERN_ON};
        op = compile(lossy[f], &options);
        try_operator(op, QUERN_F32);
        quern_operator_destroy(&op);
    }
}

static void the_canonical_text_keeps_pairs(void **state)
{
    (void)state;
    const quern_compile_options options = {.size = sizeof options, .ranges = QUERN_ON};
    for (size_t f = 0; f < Q_COUNT(formulas); f++) {
        quern_operator *op, *again;
        succeed(quern_compile(&op, NULL, formulas[f], &options));
        succeed(quern_compile(&again, NULL, quern_operator_text(op), &options));
        assert_string_equal(quern_operator_text(op), quern_operator_text(again));
        quern_operator_destroy(&op);
        quern_operator_destroy(&again);
    }
}

// ---- bad input ----

static void try_bad(const quern_ranges *ranges, const char *part)
{
    quern_operator *op = compile("x=Vi(1); y=Vj(1); Sum_j(x*y)", NULL);
    const quern_run_options options = {.size = sizeof options, .ranges = ranges};
    trial t = trial_create(op, QUERN_F32, 10, 20, 1);
    t.options = &options;
    expect_failure(trial_attempt(&t), QUERN_SHAPE, part);
    trial_destroy(&t);
    quern_operator_destroy(&op);
}

static void bad_ranges_are_refused(void **state)
{
    (void)state;
    need_device();
    const int64_t one[] = {0, 1}, two[] = {0, 1, 2}, both[] = {0, 2}, falls[] = {0, 2, 1}, negative[] = {-1, 1};
    const quern_span row = {0, 5}, all = {0, 20}, rows[] = {{0, 5}, {4, 10}}, columns[] = {{0, 5}, {4, 10}};
    try_bad(&(quern_ranges){1, &(quern_span){5, 2}, one, &all}, "block 0 has rows from 5 to 2, which is before it");
    try_bad(&(quern_ranges){1, &(quern_span){-1, 2}, one, &all}, "block 0 has rows -1 to 2 of 10");
    try_bad(&(quern_ranges){1, &(quern_span){0, 11}, one, &all}, "block 0 has rows 0 to 11 of 10");
    try_bad(&(quern_ranges){2, rows, two, &all}, "block 1 begins at row 4, before block 0 ends at 5");
    try_bad(&(quern_ranges){2, rows, two, &all}, "ascending order without overlap");
    try_bad(&(quern_ranges){2, (quern_span[]){{0, 5}, {5, 10}}, falls, (quern_span[]){{0, 5}, {5, 10}}},
            "block 1 has the spans from first[1] = 2 to first[2] = 1");
    try_bad(&(quern_ranges){1, &row, negative, &all}, "first[0] = -1");
    try_bad(&(quern_ranges){1, &row, one, &(quern_span){0, 21}}, "span 0, of block 0, has columns 0 to 21 of 20");
    try_bad(&(quern_ranges){1, &row, one, &(quern_span){7, 3}}, "span 0, of block 0, has columns from 7 to 3");
    try_bad(&(quern_ranges){1, &row, both, columns},
            "span 1, number 1 of block 0, begins at column 4, before the span before it ends at 5");
}

static void null_is_refused(void **state)
{
    (void)state;
    need_device();
    quern_operator *op = compile("x=Vi(1); y=Vj(1); Sum_j(x*y)", NULL);
    const int64_t first[] = {0, 1};
    const quern_span span = {0, 1};
    const quern_ranges bad[] = {{1, NULL, first, &span}, {1, &span, NULL, &span}, {1, &span, first, NULL}};
    expect_failure(quern_run_with(NULL, (quern_args){0}, (quern_outs){0}, NULL), QUERN_USAGE, "the operator");
    for (size_t n = 0; n < Q_COUNT(bad); n++) {
        const quern_run_options options = {.size = sizeof options, .ranges = &bad[n]};
        trial t = trial_create(op, QUERN_F32, 3, 4, 1);
        t.options = &options;
        expect_failure(trial_attempt(&t), QUERN_USAGE, "ranges.");
        trial_destroy(&t);
    }
    quern_operator_destroy(&op);
}

// ---- options ----

/* Without options, with none set, and with one block that is all, a run is quern_run_all's. */
static void no_options_are_a_run(void **state)
{
    (void)state;
    need_device();
    quern_operator *op = compile("x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y)))", NULL);
    float x[30], y[60], got[3][10], want[10];
    for (int n = 0; n < 60; n++) y[n] = (float)n / 64, x[n / 2] = (float)n / 32;
    quern_args args = QUERN_ARGS({"x", quern_f32(x, 10, 3)}, {"y", quern_f32(y, 20, 3)});
    const quern_run_options none = {.size = sizeof none};
    const quern_span rows = {0, 10}, columns = {0, 20};
    const quern_ranges ranges = {1, &rows, (int64_t[]){0, 1}, &columns};
    const quern_run_options all = {.size = sizeof all, .context = context, .ranges = &ranges};
    succeed(quern_run(op, args, quern_f32(want, 10, 1)));
    succeed(quern_run_with(op, args, QUERN_OUTS(quern_f32(got[0], 10, 1)), NULL));
    succeed(quern_run_with(op, args, QUERN_OUTS(quern_f32(got[1], 10, 1)), &none));
    succeed(quern_run_with(op, args, QUERN_OUTS(quern_f32(got[2], 10, 1)), &all));
    for (int n = 0; n < 3; n++) assert_memory_equal(got[n], want, sizeof want);
    quern_operator_destroy(&op);
}

static void arrays_on_the_device(void **state)
{
    (void)state;
    need_device();
    quern_operator *op = compile("x=Vi(1); y=Vj(1); Sum_j(x*y), Sum_i(x*y)", NULL);
    quern_array *x, *a, *b;
    float numbers[6] = {1, 2, 3, 4, 5, 6}, got[6];
    succeed(quern_array_from(&x, context, quern_f32(numbers, 6, 1)));
    succeed(quern_array_create(&a, context, QUERN_F32, 6, 1));
    succeed(quern_array_create(&b, context, QUERN_F32, 6, 1));
    const quern_span rows[] = {{0, 2}, {3, 6}}, columns[] = {{0, 1}, {4, 6}, {2, 3}};
    const quern_ranges ranges = {2, rows, (int64_t[]){0, 2, 3}, columns};
    const quern_run_options options = {.size = sizeof options, .ranges = &ranges};
    for (int n = 0; n < 3; n++)
        succeed(quern_run_with(op, QUERN_ARGS({"x", quern_array_view(x)}, {"y", quern_array_view(x)}),
                               QUERN_OUTS(quern_array_view(a), quern_array_view(b)), &options));
    succeed(quern_array_read(a, quern_f32(got, 6, 1)));
    assert_memory_equal(got, ((float[]){12, 24, 0, 12, 15, 18}), sizeof got);
    succeed(quern_array_read(b, quern_f32(got, 6, 1)));
    assert_memory_equal(got, ((float[]){3, 0, 45, 0, 15, 18}), sizeof got);
    quern_array_destroy(&x);
    quern_array_destroy(&a);
    quern_array_destroy(&b);
    quern_operator_destroy(&op);
}

// ---- threads ----

enum { THREADS = 2, ROUNDS = 5, ROWS = 60, COLUMNS = 90 };

typedef struct worker {
    pthread_t thread;
    quern_operator *op;
    const float *points;
    int64_t width; /* of its ranges */
    float got[ROUNDS][ROWS];
    int faults;
} worker;

static void *run_often(void *user)
{
    worker *w = user;
    const quern_span rows = {0, ROWS}, columns = {0, w->width};
    const quern_ranges ranges = {1, &rows, (int64_t[]){0, 1}, &columns};
    const quern_run_options options = {.size = sizeof options, .ranges = &ranges};
    for (int n = 0; n < ROUNDS; n++) {
        const quern_view result = quern_f32(w->got[n], ROWS, 1);
        quern_args args = QUERN_ARGS({"x", quern_f32(w->points, ROWS, 1)}, {"y", quern_f32(w->points, COLUMNS, 1)});
        w->faults += quern_run_with(w->op, args, (quern_outs){&result, 1}, &options) != QUERN_OK;
    }
    return NULL;
}

static void threads_have_ranges_of_their_own(void **state)
{
    (void)state;
    need_device();
    static worker workers[THREADS];
    float points[COLUMNS];
    quern_operator *op = compile("x=Vi(1); y=Vj(1); Sum_j(x*y)", NULL);
    for (int n = 0; n < COLUMNS; n++) points[n] = (float)(n % 8);
    for (int t = 0; t < THREADS; t++) {
        workers[t] = (worker){.op = op, .points = points, .width = 8 * (t + 1)};
        assert_int_equal(pthread_create(&workers[t].thread, NULL, run_often, &workers[t]), 0);
    }
    for (int t = 0; t < THREADS; t++) assert_int_equal(pthread_join(workers[t].thread, NULL), 0);
    for (int t = 0; t < THREADS; t++) {
        assert_int_equal(workers[t].faults, 0);
        for (int n = 0; n < ROUNDS; n++)
            for (int i = 0; i < ROWS; i++)
                assert_true(workers[t].got[n][i] == points[i] * 28 * (float)(t + 1)); /* 28: 0 to 7 */
    }
    quern_operator_destroy(&op);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WAY_TESTS(generated),
        cmocka_unit_test(gradients),
        cmocka_unit_test(what_was_simplified_too_far_says_so),
        cmocka_unit_test(the_canonical_text_keeps_pairs),
        cmocka_unit_test(bad_ranges_are_refused),
        cmocka_unit_test(null_is_refused),
        cmocka_unit_test(no_options_are_a_run),
        cmocka_unit_test(arrays_on_the_device),
        cmocka_unit_test(threads_have_ranges_of_their_own),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
