/*
 * test_devices.c: one run on several devices beside the same run on the first of them: the same bits, for formulas of one
 * and several stages, with ranges, arrays of every shape and type; progress, cancellation, failures of one device. The devices are all
 * that there are (in the tests' environment PoCL's `pthread` and `basic`), two contexts of one, and sub-devices of a core
 * each.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quern/array.h"
#include "quern/devices.h"
#include "run_helpers.h"

enum { MOST = 4 };

/* Contexts, of which some have sub-devices that the program has opened. */
typedef struct crew {
    quern_context *contexts[MOST];
    size_t count;
} crew;

static quern_context *open(const char *selector, void *queue, uint64_t memory)
{
    quern_context *made;
    quern_context_options options = {
        .size = sizeof options, .device = selector, .host = QUERN_OFF, .opencl_queue = queue, .memory = memory};
    succeed(quern_context_create(&made, &options));
    return made;
}

/* All devices; where there is one, two contexts of it. */
static crew open_all(void)
{
    crew c = {.count = 0};
    quern_device *list;
    size_t count;
    succeed(quern_devices(&list, &count));
    for (size_t k = 0; k < count && c.count < MOST; k++) c.contexts[c.count++] = open(list[k].selector, NULL, 0);
    if (c.count == 1) c.contexts[c.count++] = open(list[0].selector, NULL, 0);
    quern_free(list);
    return c;
}

static void close_all(crew *c)
{
    for (size_t k = 0; k < c->count; k++) quern_context_destroy(&c->contexts[k]);
}

#define SMALL "rows=2 lanes32=4 lanes64=2" /* they are built in a moment, and have more groups */
#define PLAIN "rows=2 lanes32=1 lanes64=1" /* llvmpipe's translator ends the process over vectors */

static const struct {
    const char *text, *settings;
} formulas[] = {
    {"x=Vi(2); y=Vj(2); ArgMin_j(SqDist(x,y))+x, y*Sum_i(ArgMin_j(SqDist(x,y))), x+x", SMALL},
    {"x=Vi(2); y=Vj(2); Sum_i(x*Sum_j(Exp(-SqDist(x,y)))), Sum_i(x|x)", SMALL},
    {"x=Vi(2); y=Vj(2); b=Vj(3); p=Pm(1); SumSoftMaxWeight_j(p*(x|y),b), KMin_j(SqDist(x,y),3)", SMALL},
    {"x=Vi(9); y=Vj(9); b=Vj(9); Sum_j(Exp(-SqDist(x,y))*b)", SMALL " min_k=4 min_rhs=4 reg_m=2 reg_n=3"},
    {"x=Vi(1); y=Vj(1); Grad(Sum_i(Square(Sum_j(Exp(-SqDist(x,y))))),y,1)", SMALL},
};

static const int64_t sizes[][2] = {{1000, 700}, {1, 3000}, {129, 0}, {0, 5}};

/* The results of an operator in the contexts, and in the first alone. Ranges may be null. */
static void compare_runs(quern_operator *op, const crew *c, quern_dtype dtype, int64_t M, int64_t N,
                         const quern_ranges *ranges)
{
    trial one = trial_create(op, dtype, M, N, 3), all = trial_create(op, dtype, M, N, 3);
    quern_run_options options = QUERN_DEFAULTS(quern_run_options), alone = options;
    options.ranges = alone.ranges = ranges;
    options.contexts = c->contexts;
    options.context_count = c->count;
    alone.context = c->contexts[0];
    one.contexts = all.contexts = ranges ? NULL : c->contexts;
    one.context_count = 1;
    all.context_count = c->count;
    one.options = &alone;
    all.options = &options;
    trial_run(&one);
    trial_run(&all);
    for (size_t r = 0; r < op->result_count; r++)
        for (size_t n = 0; n < trial_result_count(&one, r); n++)
            if (memcmp(&one.got[r][n], &all.got[r][n], sizeof(double)))
                fail_msg("%s, M = %lld, N = %lld: number %zu of result %zu is %.17g on all devices, %.17g on one",
                         quern_operator_text(op), (long long)M, (long long)N, n, r, all.got[r][n], one.got[r][n]);
    trial_destroy(&one);
    trial_destroy(&all);
}

static void compare_formulas(const crew *c, quern_dtype dtype, size_t count)
{
    for (size_t f = 0; f < count; f++) {
        const bool soft = context->profile.max_cols_per_item;
        quern_compile_options options = {.size = sizeof options, .profile = soft ? PLAIN : formulas[f].settings};
        quern_operator *op = compile(formulas[f].text, &options);
        for (size_t n = 0; n < Q_COUNT(sizes); n++) compare_runs(op, c, dtype, sizes[n][0], sizes[n][1], NULL);
        quern_operator_destroy(&op);
    }
}

static void all_devices_give_the_bits_of_one(void **state)
{
    (void)state;
    need_device();
    crew c = open_all();
    compare_formulas(&c, QUERN_F32, Q_COUNT(formulas));
    close_all(&c);
}

/* Blocks of 1 to 90 rows, between which some meet nothing, with up to three spans each. */
static void draw_ranges(quern_ranges *out, quern_span *rows, int64_t *first, quern_span *columns, int64_t m, int64_t n)
{
    size_t count = 0, spans = 0;
    for (int64_t row = 0; row < m; count++) {
        int64_t end = row + 1 + (int64_t)(90 * uniform());
        rows[count] = (quern_span){row, end < m ? end : m};
        first[count] = (int64_t)spans;
        for (int64_t at = 0, k = 0; k < 3 && at < n && uniform() < 0.7; k++, spans++) {
            int64_t from = at + (int64_t)(uniform() * (double)(n - at));
            at = columns[spans].to = from + 1 + (int64_t)(uniform() * (double)(n - from - 1));
            columns[spans].from = from;
        }
        row = end + (count % 3 ? 0 : 7);
    }
    first[count] = (int64_t)spans;
    *out = (quern_ranges){count, rows, first, columns};
}

static void so_they_do_within_ranges(void **state)
{
    (void)state;
    need_device();
    enum { MOST_BLOCKS = 1001 };
    static quern_span rows[MOST_BLOCKS], columns[3 * MOST_BLOCKS];
    static int64_t first[MOST_BLOCKS];
    quern_ranges ranges;
    crew c = open_all();
    for (size_t f = 0; f < Q_COUNT(formulas); f++) {
        const bool soft = context->profile.max_cols_per_item;
        const quern_compile_options options = {
            .size = sizeof options, .profile = soft ? PLAIN : formulas[f].settings, .ranges = QUERN_ON};
        quern_operator *op = compile(formulas[f].text, &options);
        for (size_t n = 0; n < Q_COUNT(sizes); n++) {
            draw_ranges(&ranges, rows, first, columns, sizes[n][0], sizes[n][1]);
            compare_runs(op, &c, QUERN_F32, sizes[n][0], sizes[n][1], &ranges);
        }
        quern_operator_destroy(&op);
    }
    close_all(&c);
}

static void so_they_do_in_float64(void **state)
{
    (void)state;
    need_type(QUERN_F64);
    crew c = open_all();
    compare_formulas(&c, QUERN_F64, 2);
    close_all(&c);
}

/* A queue on a sub-device of each of the first two compute units; none where the driver refuses. */
static size_t split_device(cl_command_queue out[2])
{
    const cl_device_partition_property one_each[] = {CL_DEVICE_PARTITION_EQUALLY, 1, 0};
    cl_device_id parts[64];
    const cl_device_id whole = context->session->device->id;
    cl_uint count = 0; /* rusticl has none, and ends the process that asks for them */
    clGetDeviceInfo(whole, CL_DEVICE_PARTITION_MAX_SUB_DEVICES, sizeof count, &count, NULL);
    if (count < 2 || clCreateSubDevices(whole, one_each, Q_COUNT(parts), parts, &count) || count < 2) return 0;
    for (size_t k = 0; k < 2; k++) {
        cl_context own = clCreateContext(NULL, 1, &parts[k], NULL, NULL, NULL);
        out[k] = clCreateCommandQueue(own, parts[k], 0, NULL);
        clReleaseContext(own);
        assert_non_null(out[k]);
    }
    return 2;
}

static void sub_devices_share_a_run(void **state)
{
    (void)state;
    need_device();
    cl_command_queue queues[2];
    crew c = {.count = split_device(queues)};
    if (!c.count) skip();
    for (size_t k = 0; k < 2; k++) {
        c.contexts[k] = open(NULL, queues[k], 0);
        clReleaseCommandQueue(queues[k]);
        assert_int_equal(quern_context_device(c.contexts[k])->compute_units, 1);
    }
    compare_formulas(&c, QUERN_F32, 2);
    close_all(&c);
}

// ---- calls ----

enum { M = 4000, N = 900 };

static const char sums[] = "x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y)))";

static float points[3 * M];

static void fill_points(void)
{
    for (int k = 0; k < 3 * M; k++) points[k] = (float)(k * 37 % 101) / 101;
}

static quern_status run_on(quern_operator *op, const crew *c, quern_view result)
{
    return quern_run_on(op, c->contexts, c->count,
                        QUERN_ARGS({"x", quern_f32(points, M, 3)}, {"y", quern_f32(points, N, 3)}),
                        (quern_outs){&result, 1});
}

/* Results of other types, with gaps between rows, and in an argument's place. */
static void arrays_are_of_any_kind(void **state)
{
    (void)state;
    need_device();
    crew c = open_all();
    fill_points();
    float expected[M], apart[M][2];
    uint16_t halves[M];
    quern_operator *op = compile(sums, NULL);
    succeed(quern_run_in(op, c.contexts[0], QUERN_ARGS({"x", quern_f32(points, M, 3)}, {"y", quern_f32(points, N, 3)}),
                         QUERN_OUTS(quern_f32(expected, M, 1))));
    memset(apart, 0, sizeof apart);
    quern_view view = quern_f32(apart[0], M, 1);
    view.stride = 2;
    succeed(run_on(op, &c, view));
    for (int i = 0; i < M; i++) assert_true(apart[i][0] == expected[i] && apart[i][1] == 0);
    succeed(run_on(op, &c, quern_view_of(halves, QUERN_F16, M, 1)));
    for (int i = 0; i < M; i++)
        assert_true(fabs(q_element_read(QUERN_F16, &halves[i]) - (double)expected[i]) <= 1e-3 * (double)expected[i]);
    view = quern_f32(points, M, 1);
    view.stride = 3;
    succeed(run_on(op, &c, view));
    for (int i = 0; i < M; i++) assert_true(points[3 * i] == expected[i]);
    quern_operator_destroy(&op);
    close_all(&c);
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    need_device();
    crew c = open_all(), twice = {{c.contexts[0], c.contexts[0]}, 2}, hole = {{c.contexts[0], NULL}, 2},
         none = {.count = 0};
    float out[M];
    quern_view result = quern_f32(out, M, 1);
    quern_array *array;
    quern_operator *op = compile(sums, NULL);
    expect_failure(run_on(NULL, &c, result), QUERN_USAGE, "the operator is null");
    expect_failure(run_on(op, &none, result), QUERN_USAGE, "1 to 64 contexts, not 0");
    expect_failure(run_on(op, &twice, result), QUERN_USAGE, "contexts 0 and 1 are the same");
    expect_failure(run_on(op, &hole, result), QUERN_USAGE, "a context is null");
    expect_failure(quern_run_on(op, NULL, 2, QUERN_ARGS({"x", result}), QUERN_OUTS(result)), QUERN_USAGE,
                   "list of contexts");
    expect_failure(run_on(op, &c, quern_f32(out, M - 1, 1)), QUERN_SHAPE, "the result has 3999 rows");
    succeed(quern_array_create(&array, c.contexts[0], QUERN_F32, M, 1));
    expect_failure(run_on(op, &c, quern_array_view(array)), QUERN_UNSUPPORTED, "result 0 is an array of a device");
    quern_array_destroy(&array);
    quern_operator_destroy(&op);
    op = compile("x=Vi(3); y=Vj(3); Sum_j(SqDist(x,Gather_j(y,I)))", NULL);
    expect_failure(run_on(op, &c, result), QUERN_UNSUPPORTED, "Gather_i, Gather_j");
    quern_operator_destroy(&op);
    close_all(&c);
}

static void options_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    need_device();
    crew c = open_all();
    float out[M];
    const quern_pruning pruning = {.size = sizeof pruning};
    const quern_args args = QUERN_ARGS({"x", quern_f32(points, M, 3)}, {"y", quern_f32(points, N, 3)});
    const quern_args batch =
        QUERN_ARGS({"x", quern_in_batch(quern_f32(points, M / 2, 3), 2)}, {"y", quern_f32(points, N, 3)});
    quern_view result = quern_f32(out, M, 1), members = quern_in_batch(quern_f32(out, M / 2, 1), 2);
    quern_run_options options = {.size = sizeof options, .contexts = c.contexts, .context_count = c.count};
    quern_operator *op = compile(sums, NULL);
    succeed(quern_run_with(op, args, (quern_outs){&result, 1}, &options));
    expect_failure(quern_run_with(op, batch, (quern_outs){&members, 1}, &options), QUERN_UNSUPPORTED,
                   "give each device some of the members");
    options.ranges = &(quern_ranges){1, &(quern_span){0, M + 1}, (const int64_t[]){0, 0}, NULL};
    expect_failure(quern_run_with(op, args, (quern_outs){&result, 1}, &options), QUERN_SHAPE, "rows 0 to 4001 of 4000");
    options.pruning = &pruning;
    expect_failure(quern_run_with(op, args, (quern_outs){&result, 1}, &options), QUERN_UNSUPPORTED,
                   "give quern_run_options.context instead");
    options.context = c.contexts[0];
    expect_failure(quern_run_with(op, args, (quern_outs){&result, 1}, &options), QUERN_USAGE,
                   "both a context and a list");
    options = (quern_run_options){.size = sizeof options, .contexts = c.contexts};
    expect_failure(quern_run_with(op, args, (quern_outs){&result, 1}, &options), QUERN_USAGE,
                   "quern_run_with takes 1 to 64 contexts, not 0");
    options = (quern_run_options){.size = sizeof options, .context_count = 2};
    expect_failure(quern_run_with(op, args, (quern_outs){&result, 1}, &options), QUERN_USAGE, "list of contexts");
    quern_operator_destroy(&op);
    close_all(&c);
}

/* Columns that meet ranges do not come in pieces. */
static void ranges_need_their_columns(void **state)
{
    (void)state;
    need_device();
    float out[M];
    const quern_span rows = {0, M}, columns = {0, N};
    const quern_ranges ranges = {1, &rows, (const int64_t[]){0, 1}, &columns};
    const char *selector = quern_context_device(context)->selector;
    crew poor = {{open(selector, NULL, 8000), open(selector, NULL, 8000)}, 2};
    quern_run_options options = {
        .size = sizeof options, .ranges = &ranges, .contexts = poor.contexts, .context_count = poor.count};
    quern_operator *op = compile(sums, NULL);
    quern_view result = quern_f32(out, M, 1);
    expect_failure(quern_run_with(op, QUERN_ARGS({"x", quern_f32(points, M, 3)}, {"y", quern_f32(points, N, 3)}),
                                  (quern_outs){&result, 1}, &options),
                   QUERN_MEMORY, "900 columns of a run with ranges do not fit");
    quern_operator_destroy(&op);
    close_all(&poor);
}

/* The second device has no memory: the run fails, says where, and can be done again without it. */
static void a_device_that_fails_is_named(void **state)
{
    (void)state;
    need_device();
    crew c = open_all();
    float out[M];
    quern_context *poor = open(quern_context_device(c.contexts[1])->selector, NULL, 1000);
    crew both = {{c.contexts[0], poor}, 2};
    quern_operator *op = compile(sums, NULL);
    char where[64];
    snprintf(where, sizeof where, "on device %s, ", quern_context_device(poor)->selector);
    expect_failure(run_on(op, &both, quern_f32(out, M, 1)), QUERN_MEMORY, where);
    expect_failure(QUERN_MEMORY, QUERN_MEMORY, "930 bytes of device memory are too few");
    succeed(run_on(op, &c, quern_f32(out, M, 1)));
    quern_operator_destroy(&op);
    quern_context_destroy(&poor);
    close_all(&c);
}

static void count_rows(void *user, const char *line)
{
    long long first, last, all;
    int *taken = user;
    if (sscanf(line, "rows %lld to %lld of %lld took", &first, &last, &all) != 3) return;
    for (long long k = first; k <= last && k < M && all == M; k++) taken[k]++;
}

/* Each row is in one slice of one device. */
static void logs_tell_the_slices(void **state)
{
    (void)state;
    need_device();
    crew c = open_all();
    float out[M];
    int taken[M] = {0};
    crew told = {.count = 2};
    for (size_t k = 0; k < 2; k++) {
        quern_context_options options = {
            .size = sizeof options, .host = QUERN_OFF, .log = count_rows, .log_user = taken};
        options.device = quern_context_device(c.contexts[k])->selector;
        succeed(quern_context_create(&told.contexts[k], &options));
    }
    quern_operator *op = compile("x=Vi(3); y=Vj(3); Sum_j(SqDist(x,y))", NULL);
    succeed(run_on(op, &told, quern_f32(out, M, 1)));
    for (size_t k = 0; k < M; k++) assert_int_equal(taken[k], 1);
    quern_operator_destroy(&op);
    close_all(&told);
    close_all(&c);
}

// ---- progress ----

typedef struct watcher {
    double last, stop_at;
    int calls;
    bool backwards;
} watcher;

static bool watch(void *user, double done)
{
    watcher *w = user;
    w->backwards = w->backwards || done < w->last || done > 1;
    w->last = done;
    w->calls++;
    return done >= w->stop_at;
}

static void progress_is_told_and_can_stop(void **state)
{
    (void)state;
    need_device();
    crew c = open_all(), both = {.count = 2};
    watcher w = {.stop_at = 2};
    float out[M];
    quern_context_options options = {.size = sizeof options,
                                     .device = quern_context_device(c.contexts[0])->selector,
                                     .host = QUERN_OFF,
                                     .progress = watch,
                                     .progress_user = &w};
    succeed(quern_context_create(&both.contexts[0], &options));
    both.contexts[1] = c.contexts[1];
    quern_operator *op = compile("x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y))/Sum_i(Exp(-SqDist(x,y))))", NULL);
    succeed(run_on(op, &both, quern_f32(out, M, 1)));
    assert_true(w.calls > 0 && !w.backwards && w.last == 1);
    w = (watcher){.stop_at = 0};
    expect_failure(run_on(op, &both, quern_f32(out, M, 1)), QUERN_CANCELLED, "stopped by the progress callback");
    w = (watcher){.stop_at = 2};
    succeed(run_on(op, &both, quern_f32(out, M, 1)));
    quern_operator_destroy(&op);
    quern_context_destroy(&both.contexts[0]);
    close_all(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_devices_give_the_bits_of_one),
        cmocka_unit_test(so_they_do_in_float64),
        cmocka_unit_test(so_they_do_within_ranges),
        cmocka_unit_test(sub_devices_share_a_run),
        cmocka_unit_test(arrays_are_of_any_kind),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(options_that_make_no_sense_are_refused),
        cmocka_unit_test(ranges_need_their_columns),
        cmocka_unit_test(a_device_that_fails_is_named),
        cmocka_unit_test(logs_tell_the_slices),
        cmocka_unit_test(progress_is_told_and_can_stop),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
