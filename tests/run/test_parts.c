/*
 * test_parts.c: runs in parts, as several processes would do them, one after the other in this one: beside the reference for
 * every reduction and for formulas of several passes; the same bits in any order of the pieces, and those of a run that is split
 * where the pieces end.
 */
#include "quern/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quern/array.h"
#include "run_helpers.h"

#define SMALL "rows=2 lanes32=4 lanes64=2" /* built in a moment */
#define PLAIN "rows=2 lanes32=1 lanes64=1" /* llvmpipe's translator ends the process over vectors */

enum { MOST = 5 };

/* How the present test cuts and orders: cuts in thousandths, so that they fit any size. */
static struct {
    size_t count;
    const int *rows, *columns;
    int turn; /* which piece a part takes first */
    bool backwards;
    quern_context *context;
} way;

static void cut(int64_t out[MOST + 1], const int *thousandths, int64_t size)
{
    for (size_t k = 0; k <= way.count; k++) out[k] = size * thousandths[k] / 1000;
}

/* The size of an axis by the arrays. */
static int64_t size_of(const quern_operator *op, quern_args args, char axis)
{
    for (size_t v = 0; v < args.count; v++)
        if (quern_variable(op, v).axis == axis) return args.data[v].view.rows;
    return axis == 'i' ? args.M : args.N;
}

typedef struct rank {
    quern_parts *parts;
    quern_arg args[Q_MAX_VARIABLES];
    quern_view results[Q_MAX_RESULTS];
    void *own[Q_MAX_RESULTS]; /* of results that all have */
    void *data, *states;
} rank;

static quern_view part_of(quern_view view, char axis, const int64_t *cuts_i, const int64_t *cuts_j, size_t k)
{
    const int64_t *cuts = axis == 'i' ? cuts_i : cuts_j;
    return axis == 'p' ? view : quern_view_rows(view, cuts[k], cuts[k + 1] - cuts[k]);
}

static size_t bytes_of(const quern_view *view)
{
    return (size_t)(view->rows * view->columns) * q_element_size(view->dtype);
}

static void start_rank(rank *r, size_t k, quern_operator *op, quern_args args, quern_outs results)
{
    int64_t cuts_i[MOST + 1], cuts_j[MOST + 1];
    cut(cuts_i, way.rows, size_of(op, args, 'i'));
    cut(cuts_j, way.columns, size_of(op, args, 'j'));
    *r = (rank){0};
    for (size_t v = 0; v < args.count; v++) {
        r->args[v] = args.data[v];
        r->args[v].view = part_of(args.data[v].view, quern_variable(op, v).axis, cuts_i, cuts_j, k);
    }
    for (size_t n = 0; n < results.count; n++) {
        char axis = quern_result(op, n).axis;
        r->results[n] = part_of(results.data[n], axis, cuts_i, cuts_j, k);
        if (axis == 'p' && k) r->results[n].data = r->own[n] = malloc(bytes_of(&results.data[n]));
    }
    quern_args all = {r->args, args.count, cuts_i[k + 1] - cuts_i[k], cuts_j[k + 1] - cuts_j[k]};
    succeed(quern_parts_create(&r->parts, op, way.context, all, (quern_outs){r->results, results.count}));
    succeed(quern_parts_place(r->parts, way.count, k, cuts_i, cuts_j));
}

static void end_rank(rank *r, quern_outs results)
{
    quern_parts_destroy(&r->parts);
    for (size_t n = 0; n < results.count; n++) {
        if (r->own[n]) assert_memory_equal(r->own[n], results.data[n].data, bytes_of(&results.data[n]));
        free(r->own[n]);
    }
}

static void take_all(rank *r, const rank *ranks, size_t own)
{
    for (size_t n = 0; n < way.count; n++) {
        size_t k = way.backwards ? way.count - 1 - n : n;
        k = (k + own * (size_t)way.turn) % way.count;
        succeed(quern_parts_take(r->parts, k, ranks[k].data));
    }
}

static void share_states(rank *ranks)
{
    for (size_t k = 0; k < way.count; k++) {
        succeed(quern_parts_take(ranks[k].parts, k, ranks[k].data));
        ranks[k].states = malloc(quern_parts_state_bytes(ranks[k].parts, k));
        succeed(quern_parts_states(ranks[k].parts, k, ranks[k].states));
    }
    for (size_t k = 0; k < way.count; k++)
        for (size_t n = 0; n < way.count; n++)
            if (n != k) succeed(quern_parts_give(ranks[k].parts, n, ranks[n].states));
}

static void run_pass(rank *ranks)
{
    for (size_t k = 0; k < way.count; k++) {
        succeed(quern_parts_begin(ranks[k].parts));
        ranks[k].data = malloc(quern_parts_bytes(ranks[k].parts, k) + 1);
        if (quern_parts_pass(ranks[k].parts).columns) succeed(quern_parts_pack(ranks[k].parts, ranks[k].data));
    }
    quern_pass pass = quern_parts_pass(ranks[0].parts);
    if (pass.columns && pass.rows == 'p') share_states(ranks);
    for (size_t k = 0; k < way.count && pass.columns && pass.rows != 'p'; k++) take_all(&ranks[k], ranks, k);
    for (size_t k = 0; k < way.count; k++) {
        succeed(quern_parts_end(ranks[k].parts));
        free(ranks[k].data);
        free(ranks[k].states);
        ranks[k].states = NULL;
    }
}

static quern_status run_in_parts(quern_operator *op, quern_args args, quern_outs results)
{
    rank ranks[MOST];
    for (size_t k = 0; k < way.count; k++) {
        start_rank(&ranks[k], k, op, args, results);
        assert_int_equal(quern_parts_digest(ranks[k].parts), quern_parts_digest(ranks[0].parts));
    }
    for (size_t pass = 0; pass < quern_parts_passes(ranks[0].parts); pass++) run_pass(ranks);
    for (size_t k = 0; k < way.count; k++) end_rank(&ranks[k], results);
    return QUERN_OK;
}

static quern_operator *compile_small(const char *text, const char *more)
{
    char settings[200];
    bool soft = context->profile.max_cols_per_item;
    snprintf(settings, sizeof settings, "%s %s", soft ? PLAIN : SMALL, more);
    return compile(text, &(quern_compile_options){.size = sizeof(quern_compile_options), .profile = settings});
}

// ---- beside the reference ----

static const int quarters[] = {0, 250, 500, 750, 1000}, uneven[] = {0, 10, 10, 600, 1000}, last[] = {0, 0, 0, 0, 1000};

static const struct {
    const char *text, *settings;
} formulas[] = {
    {"x=Vi(2); y=Vj(2); b=Vj(3); p=Pm(1); Sum_j(p*Exp(-SqDist(x,y))*b), Max_j(x|y), Min_j(SqDist(x,y)), ArgMax_j(x|y), "
     "ArgMin_j(SqDist(x,y)), LogSumExp_j(x|y), Prod_j(1+(x|y)/9), Variance_j(x|y)",
     ""},
    {"x=Vi(2); y=Vj(2); KMin_j(SqDist(x,y),3), ArgKMin_j(SqDist(x,y),3), KMax_j(x|y,2), ArgKMax_j(x|y,2)", ""},
    {"x=Vi(2); y=Vj(2); b=Vj(3); p=Pm(1); SumSoftMaxWeight_j(p*(x|y),b), SumSoftMaxWeight_j(Log(Step((x|y)-9)),b)", ""},
    {"x=Vi(1); y=Vj(1); p=Pm(2); Grad(Sum_i(Square(Sum_j(Elem(p,0)*Exp(-Elem(p,1)*SqDist(x,y))))),p,1)", ""},
    {"x=Vi(1); y=Vj(1); Grad(Sum_i(Square(Sum_j(Exp(-SqDist(x,y))))),y,1), ArgMin_i(x), Min_j(y*Max_i(x))", ""},
    {"x=Vi(2); y=Vj(2); ArgMin_j(SqDist(x,y))+x, y*Sum_i(ArgMin_j(SqDist(x,y))), x+x, Sum_j(I-J)", ""},
    {"x=Vi(9); y=Vj(9); b=Vj(9); Sum_j(Exp(-SqDist(x,y))*b)", "min_k=4 min_rhs=4 reg_m=2 reg_n=3"},
};
static const int64_t sizes[][2] = {{301, 900}, {3, 5000}, {1, 2}, {40, 0}, {0, 5}};

static void compare(quern_operator *op, quern_dtype dtype, int64_t M, int64_t N)
{
    trial t = trial_create(op, dtype, M, N, 5), again = trial_create(op, dtype, M, N, 5);
    t.run = again.run = run_in_parts;
    way.turn = 0, way.backwards = false;
    trial_run(&t);
    trial_compare(&t, dtype == QUERN_F64 ? 1e-12 : 1e-5);
    way.turn = 1, way.backwards = true;
    trial_run(&again);
    for (size_t r = 0; r < op->result_count; r++)
        assert_memory_equal(t.got[r], again.got[r], trial_result_count(&t, r) * sizeof(double));
    trial_destroy(&t);
    trial_destroy(&again);
}

static void compare_formulas(quern_dtype dtype, size_t step)
{
    way.count = 4;
    way.context = NULL;
    for (size_t f = 0; f < Q_COUNT(formulas); f += step) {
        quern_operator *op = compile_small(formulas[f].text, formulas[f].settings);
        for (size_t n = 0; n < Q_COUNT(sizes); n++) {
            way.rows = n % 2 ? quarters : uneven;
            way.columns = n % 2 ? uneven : quarters;
            compare(op, dtype, sizes[n][0], sizes[n][1]);
        }
        way.rows = way.columns = last;
        compare(op, dtype, 30, 40);
        quern_operator_destroy(&op);
    }
}

static void every_reduction_is_merged(void **state)
{
    (void)state;
    need_device();
    compare_formulas(QUERN_F32, 1);
}

static void so_it_is_in_float64(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    compare_formulas(QUERN_F64, 5);
}

// ---- beside other runs ----

/* Pieces of 512 columns are parts of 512. */
static void bits_are_those_of_a_split_run(void **state)
{
    (void)state;
    need_device();
    const char *text = "x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y))), LogSumExp_j(x|y)";
    const bool soft = context->profile.max_cols_per_item;
    quern_compile_options options = {
        .size = sizeof options, .profile = soft ? PLAIN : SMALL, .local = soft ? 16 : 0, .split = 1};
    quern_operator *in_parts = compile(text, &options);
    options.split = 4;
    quern_operator *split = compile(text, &options);
    trial one = trial_create(split, QUERN_F32, 700, 2048, 1), all = trial_create(in_parts, QUERN_F32, 700, 2048, 1);
    way.count = 4, way.rows = uneven, way.columns = quarters;
    all.run = run_in_parts;
    trial_run(&one);
    trial_run(&all);
    for (size_t r = 0; r < 2; r++) assert_memory_equal(one.got[r], all.got[r], 700 * sizeof(double));
    trial_destroy(&one);
    trial_destroy(&all);
    quern_operator_destroy(&split);
    quern_operator_destroy(&in_parts);
}

/* A piece that does not fit comes to the device in several, with the same bits. */
static void pieces_may_be_larger_than_the_device(void **state)
{
    (void)state;
    need_device();
    if (context->profile.max_cols_per_item) skip(); /* its groups are too large for so little memory */
    quern_operator *op = compile_small("x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y))), ArgMin_j(SqDist(x,y))", "");
    trial much = trial_create(op, QUERN_F32, 300, 9000, 1), little = trial_create(op, QUERN_F32, 300, 9000, 1);
    quern_context_options small = {.size = sizeof small, .memory = 60000, .host = QUERN_OFF};
    way.count = 2, way.rows = (int[]){0, 500, 1000}, way.columns = (int[]){0, 300, 1000};
    much.run = little.run = run_in_parts;
    trial_run(&much);
    trial_compare(&much, 1e-5);
    succeed(quern_context_create(&way.context, &small));
    trial_run(&little);
    for (size_t r = 0; r < 2; r++) assert_memory_equal(much.got[r], little.got[r], 300 * sizeof(double));
    assert_int_equal(way.context->session->memory_in_use, 0);
    quern_operator_destroy(&op);
    quern_context_destroy(&way.context);
    trial_destroy(&much);
    trial_destroy(&little);
}

/* The header's second use: columns that are never together, of a type that is converted. */
static void columns_are_added_up(void **state)
{
    (void)state;
    need_device();
    quern_operator *op = compile_small("x=Vi(1); y=Vj(1); Sum_j(x*y), ArgMax_j(x+y)", "");
    float x[] = {1, 2}, a[2];
    int64_t k[2];
    quern_parts *parts;
    succeed(quern_parts_create(&parts, op, NULL, QUERN_ARGS({"x", quern_f32(x, 2, 1)}, {"y", quern_f32(NULL, 0, 1)}),
                               QUERN_OUTS(quern_f32(a, 2, 1), quern_i64(k, 2, 1))));
    succeed(quern_parts_place(parts, 3, 0, (int64_t[]){0, 2, 2, 2}, (int64_t[]){0, 0, 3, 5}));
    for (size_t pass = 0; pass < quern_parts_passes(parts); pass++) {
        succeed(quern_parts_begin(parts));
        for (size_t piece = 0; piece < 3 && quern_parts_pass(parts).columns == 'j'; piece++)
            succeed(quern_parts_take(parts, 2 - piece, (float[][3]){{0}, {4, 1, 2}, {9, 3}}[2 - piece]));
        succeed(quern_parts_end(parts));
    }
    assert_int_equal(a[0], 19);
    assert_int_equal(a[1], 38);
    assert_int_equal(k[1], 3);
    quern_parts_destroy(&parts);
    quern_operator_destroy(&op);
}

/* States of a run that ended early, and the rest by another. */
static void states_are_taken_up_again(void **state)
{
    (void)state;
    need_device();
    quern_operator *op = compile_small("x=Vi(1); y=Vj(1); b=Vj(2); Sum_j(x*y*b), ArgMin_j(x*y)", "");
    float x[] = {1, 2}, y[] = {3, 4, 5}, b[] = {1, 10, 2, 20, 3, 30}, a[4], data[16];
    int64_t k[2];
    char states[2][400];
    quern_args args = QUERN_ARGS({"x", quern_f32(x, 2, 1)}, {"y", quern_f32(NULL, 0, 1)}, {"b", quern_f32(NULL, 0, 2)});
    for (int run = 0; run < 2; run++) {
        quern_parts *parts;
        succeed(quern_parts_create(&parts, op, NULL, args, QUERN_OUTS(quern_f32(a, 2, 2), quern_i64(k, 2, 1))));
        succeed(quern_parts_place(parts, 4, 1, (int64_t[]){0, 0, 2, 2, 2}, (int64_t[]){0, 0, 0, 1, 3}));
        succeed(quern_parts_begin(parts));
        assert_true(quern_parts_state_bytes(parts, 3) <= sizeof states[0]);
        if (run) succeed(quern_parts_give(parts, 2, states[0]));
        for (int64_t piece = run; piece < 2; piece++) {
            size_t at = (size_t)(2 + piece);
            int64_t first = piece, count = 1 + piece;
            quern_args columns =
                QUERN_ARGS({"b", quern_f32(b + 2 * first, count, 2)}, {"y", quern_f32(y + first, count, 1)});
            if (!run && piece) break;
            succeed(quern_parts_pack_from(parts, at, columns, data));
            succeed(quern_parts_take(parts, at, data));
            succeed(quern_parts_states(parts, at, states[piece]));
        }
        if (run) succeed(quern_parts_end(parts));
        else {
            expect_failure(quern_parts_pack_from(parts, 3, args, data), QUERN_SHAPE,
                           "it must be on the host, of 2 x 1");
            expect_failure(quern_parts_pack_from(parts, 3, QUERN_ARGS(), data), QUERN_MISSING, "not among the arrays");
        }
        quern_parts_destroy(&parts);
    }
    for (int n = 0; n < 4; n++) assert_int_equal(a[n], ((int[]){26, 260, 52, 520}[n]));
    assert_int_equal(k[0] + k[1], 0);
    quern_operator_destroy(&op);
}

static void arrays_are_converted(void **state)
{
    (void)state;
    need_device();
    quern_operator *op = compile_small("x=Vi(1); y=Vj(1); b=Vj(2); Sum_j(x*y*b)", "");
    float x[] = {1, 2}, b[] = {1, 10, 7, 2, 20, 7}, a[4];
    int32_t y[] = {3, 4};
    quern_view wide = quern_f32(b, 2, 2);
    wide.stride = 3;
    quern_parts *parts;
    succeed(quern_parts_create(
        &parts, op, NULL, QUERN_ARGS({"x", quern_f32(x, 2, 1)}, {"y", quern_view_of(y, QUERN_I32, 2, 1)}, {"b", wide}),
        QUERN_OUTS(quern_f32(a, 2, 2))));
    succeed(quern_parts_begin(parts));
    assert_int_equal(quern_parts_bytes(parts, 0), 8 + 16);
    char data[24];
    succeed(quern_parts_pack(parts, data));
    succeed(quern_parts_take(parts, 0, data));
    succeed(quern_parts_end(parts));
    for (int n = 0; n < 4; n++) assert_int_equal(a[n], ((int[]){11, 110, 22, 220}[n]));
    quern_parts_destroy(&parts);
    quern_operator_destroy(&op);
}

// ---- nonsense ----

static bool stop(void *user, double done)
{
    (void)user;
    return done >= 0;
}

static void a_run_can_be_stopped(void **state)
{
    (void)state;
    need_device();
    quern_context *own;
    succeed(
        quern_context_create(&own, &(quern_context_options){.size = sizeof(quern_context_options), .progress = stop}));
    quern_operator *op = compile_small("x=Vi(1); y=Vj(1); Sum_j(x*y)", "");
    float x[] = {1, 2}, a[2];
    quern_parts *parts;
    succeed(quern_parts_create(&parts, op, own, QUERN_ARGS({"x", quern_f32(x, 2, 1)}, {"y", quern_f32(x, 2, 1)}),
                               QUERN_OUTS(quern_f32(a, 2, 1))));
    succeed(quern_parts_begin(parts));
    expect_failure(quern_parts_take(parts, 0, x), QUERN_CANCELLED, "stopped by the progress callback");
    expect_failure(quern_parts_end(parts), QUERN_USAGE, "have failed before");
    quern_parts_destroy(&parts);
    quern_operator_destroy(&op);
    quern_context_destroy(&own);
}

static void nonsense_is_told(void **state)
{
    (void)state;
    need_device();
    quern_operator *op = compile_small("x=Vi(1); y=Vj(1); Sum_j(x*y), Sum_i(x)", ""),
                   *table = compile("x=Vi(1); y=Vj(1); Sum_j(x*Gather_i(x,y))", NULL);
    float x[] = {1, 2}, a[3], data[8];
    quern_args args = QUERN_ARGS({"x", quern_f32(x, 2, 1)}, {"y", quern_f32(x, 1, 1)});
    quern_outs results = QUERN_OUTS(quern_f32(a, 2, 1), quern_f32(a + 2, 1, 1));
    quern_parts *p;
    expect_failure(quern_parts_create(&p, table, NULL, args, QUERN_OUTS(quern_f32(a, 2, 1))), QUERN_UNSUPPORTED,
                   "pick the rows before the run");
    quern_view members = quern_f32(x, 1, 1), sums[] = {quern_f32(a, 1, 1), quern_f32(data, 1, 1)};
    members.batch[0] = sums[0].batch[0] = sums[1].batch[0] = 2;
    expect_failure(
        quern_parts_create(&p, op, NULL, QUERN_ARGS({"x", members}, {"y", quern_f32(x, 1, 1)}), (quern_outs){sums, 2}),
        QUERN_UNSUPPORTED, "run some members at a time");
    expect_failure(quern_parts_create(&p, op, NULL, QUERN_ARGS({"x", quern_f32(x, 2, 1)}), results), QUERN_MISSING,
                   "y");
    assert_null(p);
    succeed(quern_parts_create(&p, op, NULL, args, results));
    expect_failure(quern_parts_place(p, 2, 2, (int64_t[]){0, 2, 3}, (int64_t[]){0, 1, 3}), QUERN_USAGE, "no piece 2");
    expect_failure(quern_parts_place(p, 2, 0, (int64_t[]){0, 2, 1}, (int64_t[]){0, 1, 3}), QUERN_SHAPE, "from 2 to 1");
    expect_failure(quern_parts_place(p, 2, 1, (int64_t[]){0, 2, 3}, (int64_t[]){0, 1, 3}), QUERN_SHAPE,
                   "has 1 rows of axis i by its cuts, but arrays of 2");
    expect_failure(quern_parts_place(p, 2, 0, (int64_t[]){1, 3, 3}, NULL), QUERN_SHAPE, "begin with 0, not 1");
    expect_failure(quern_parts_place(p, 1, 0, NULL, NULL), QUERN_USAGE, "null");
    expect_failure(quern_parts_end(p), QUERN_USAGE, "no pass has begun");
    succeed(quern_parts_place(p, 2, 0, (int64_t[]){0, 2, 3}, (int64_t[]){0, 1, 3}));
    succeed(quern_parts_begin(p));
    expect_failure(quern_parts_begin(p), QUERN_USAGE, "has not ended");
    expect_failure(quern_parts_place(p, 1, 0, NULL, NULL), QUERN_USAGE, "the first pass has begun");
    expect_failure(quern_parts_take(p, 2, data), QUERN_USAGE, "no piece 2 of 2");
    expect_failure(quern_parts_take(p, 1, NULL), QUERN_USAGE, "data is null");
    expect_failure(quern_parts_states(p, 1, data), QUERN_USAGE, "piece 1 was not taken");
    memset(data, 0, sizeof data);
    expect_failure(quern_parts_give(p, 1, data), QUERN_USAGE, "states of another formula");
    succeed(quern_parts_take(p, 0, x));
    expect_failure(quern_parts_take(p, 0, x), QUERN_USAGE, "piece 0 was taken");
    expect_failure(quern_parts_end(p), QUERN_USAGE, "piece 1 of 2 was neither taken nor given");
    quern_parts_destroy(&p);
    quern_operator_destroy(&op);
    quern_operator_destroy(&table);
}

static void null_is_usage(void **state)
{
    (void)state;
    quern_parts *parts = NULL;
    expect_failure(quern_parts_create(NULL, NULL, NULL, QUERN_ARGS(), QUERN_OUTS()), QUERN_USAGE, "out is null");
    expect_failure(quern_parts_create(&parts, NULL, NULL, QUERN_ARGS(), QUERN_OUTS()), QUERN_USAGE, "null");
    expect_failure(quern_parts_place(NULL, 1, 0, NULL, NULL), QUERN_USAGE, "the parts is null");
    expect_failure(quern_parts_begin(NULL), QUERN_USAGE, "null");
    expect_failure(quern_parts_pack(NULL, NULL), QUERN_USAGE, "null");
    expect_failure(quern_parts_pack_from(NULL, 0, QUERN_ARGS(), NULL), QUERN_USAGE, "null");
    expect_failure(quern_parts_take(NULL, 0, NULL), QUERN_USAGE, "null");
    expect_failure(quern_parts_states(NULL, 0, NULL), QUERN_USAGE, "null");
    expect_failure(quern_parts_give(NULL, 0, NULL), QUERN_USAGE, "null");
    expect_failure(quern_parts_end(NULL), QUERN_USAGE, "null");
    assert_int_equal(quern_parts_bytes(NULL, 0) + quern_parts_state_bytes(NULL, 0) + quern_parts_passes(NULL), 0);
    assert_int_equal(quern_parts_size(NULL, 'i') + (int64_t)quern_parts_digest(NULL) + quern_parts_pass(NULL).rows, 0);
    quern_parts_destroy(NULL);
    quern_parts_destroy(&parts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reduction_is_merged),
        cmocka_unit_test(so_it_is_in_float64),
        cmocka_unit_test(bits_are_those_of_a_split_run),
        cmocka_unit_test(pieces_may_be_larger_than_the_device),
        cmocka_unit_test(columns_are_added_up),
        cmocka_unit_test(states_are_taken_up_again),
        cmocka_unit_test(arrays_are_converted),
        cmocka_unit_test(a_run_can_be_stopped),
        cmocka_unit_test(nonsense_is_told),
        cmocka_unit_test(null_is_usage),
    };
    return cmocka_run_group_tests_name("parts", tests, open_context, close_context);
}
