/*
 * test_builds.c: one operator on several devices: in contexts of its own and of others, without one, from several threads
 * at once, with arrays of the host and of the device.
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "quern/array.h"
#include "run_helpers.h"

enum { M = 150, N = 90, CONTEXTS = 2, THREADS = 6, ROUNDS = 6 };

static const char sums[] = "x=Vi(2); y=Vj(2); Sum_j(Exp(-SqDist(x,y))/Sum_i(Exp(-SqDist(x,y))))";

static float points[M * 2], expected[M];

static quern_context *open_other(void)
{
    quern_context *other;
    succeed(quern_context_create(&other,
                                 &(quern_context_options){.size = sizeof(quern_context_options), .host = QUERN_OFF}));
    return other;
}

static quern_status run_in(quern_operator *op, quern_context *where, float *out, int64_t m, int64_t n)
{
    quern_view result = quern_f32(out, m, 1);
    return quern_run_in(op, where, QUERN_ARGS({"x", quern_f32(points, m, 2)}, {"y", quern_f32(points, n, 2)}),
                        (quern_outs){&result, 1});
}

/* The numbers that the operator has on its own, in the shared context. */
static void expect_sums(void)
{
    for (int k = 0; k < 2 * M; k++) points[k] = (float)(k * 37 % 101) / 101;
    quern_operator *op = compile(sums, NULL);
    succeed(run_in(op, context, expected, M, N));
    quern_operator_destroy(&op);
}

static void an_operator_serves_two_contexts(void **state)
{
    (void)state;
    need_device();
    expect_sums();
    float out[M] = {0};
    quern_operator *op = compile(sums, NULL);
    quern_context *other = open_other();
    succeed(run_in(op, other, out, M, N));
    assert_memory_equal(out, expected, sizeof out);
    assert_ptr_not_equal(op->build->next, NULL);
    memset(out, 0, sizeof out);
    succeed(run_in(op, context, out, M, N));
    succeed(run_in(op, other, out, M, N));
    assert_null(op->build->next->next); /* each is built once */
    assert_memory_equal(out, expected, sizeof out);
    succeed(run_in(op, other, out, 0, N));
    succeed(run_in(op, other, out, 1, 1));
    quern_context_destroy(&other); /* the operator keeps it alive */
    quern_operator_destroy(&op);
}

static void an_operator_needs_no_context(void **state)
{
    (void)state;
    need_device();
    expect_sums();
    float out[M] = {0};
    quern_operator *op, *gradient;
    succeed(quern_compile(&op, NULL, sums, NULL));
    succeed(run_in(op, context, out, M, N));
    assert_memory_equal(out, expected, sizeof out);
    quern_view result = quern_f32(out, M, 1);
    expect_failure(quern_run(op, QUERN_ARGS({"x", result}), result), QUERN_USAGE, "quern_run_in");
    expect_failure(quern_run_in(op, NULL, QUERN_ARGS({"x", result}), (quern_outs){&result, 1}), QUERN_USAGE, "context");
    expect_failure(quern_run_in(NULL, context, QUERN_ARGS({"x", result}), (quern_outs){&result, 1}), QUERN_USAGE,
                   "operator");
    succeed(quern_gradient(&gradient, op, "x", NULL)); /* as little bound as its operator */
    float slopes[2 * M];
    result = quern_f32(slopes, M, 2);
    succeed(quern_run_in(gradient, context, QUERN_ARGS({"x", quern_f32(points, M, 2)}, {"y", quern_f32(points, N, 2)}),
                         (quern_outs){&result, 1}));
    quern_operator_destroy(&op), quern_operator_destroy(&gradient);
}

/* Each device has programs and plans of its own. */
static void builds_follow_their_device(void **state)
{
    (void)state;
    need_device();
    if (!takes_lanes()) skip(); /* its row is a GPU's already */
    expect_sums();
    float out[M] = {0};
    quern_context *other = open_other();
    assert_true(q_profile_find(&other->profile, "nvidia"));
    quern_operator *op = compile(sums, NULL);
    succeed(run_in(op, other, out, M, N));
    for (int i = 0; i < M; i++) assert_true(fabsf(out[i] - expected[i]) <= 1e-5f * fabsf(expected[i]));
    assert_true(op->build->profile.staged_cols != op->build->next->profile.staged_cols);
    quern_operator_destroy(&op);
    quern_context_destroy(&other);
}

static void arrays_stay_in_their_context(void **state)
{
    (void)state;
    need_device();
    expect_sums();
    float out[M];
    quern_context *other = open_other();
    quern_operator *op = compile(sums, NULL);
    quern_array *x, *y, *a;
    succeed(quern_array_from(&x, other, quern_f32(points, M, 2)));
    succeed(quern_array_from(&y, other, quern_f32(points, N, 2)));
    succeed(quern_array_create(&a, other, QUERN_F32, M, 1));
    quern_args args = QUERN_ARGS({"x", quern_array_view(x)}, {"y", quern_array_view(y)});
    quern_view result = quern_array_view(a);
    succeed(quern_run_in(op, other, args, (quern_outs){&result, 1}));
    succeed(quern_array_read(a, quern_f32(out, M, 1)));
    assert_memory_equal(out, expected, sizeof out);
    expect_failure(quern_run(op, args, result), QUERN_USAGE, "x is an array of another context");
    quern_operator_destroy(&op);
    quern_context_destroy(&other);
    quern_array_destroy(&x), quern_array_destroy(&y), quern_array_destroy(&a);
}

// ---- threads ----

typedef struct worker {
    pthread_t thread;
    pthread_barrier_t *start;
    quern_operator *op;
    quern_context *where;
    quern_view x, y; /* shared by all that work there */
    int number, faults;
} worker;

/* Runs on arrays that others read meanwhile, into one of its own on the device or the host. */
static void *run_often(void *user)
{
    worker *w = user;
    quern_array *a;
    pthread_barrier_wait(w->start);
    w->faults += quern_array_create(&a, w->where, QUERN_F32, M, 1) != QUERN_OK;
    for (int round = 0; round < ROUNDS; round++) {
        float out[M] = {0};
        bool device = (round + w->number) % 2;
        quern_view host = quern_f32(out, M, 1), result = device ? quern_array_view(a) : host;
        w->faults +=
            quern_run_in(w->op, w->where, QUERN_ARGS({"x", w->x}, {"y", w->y}), (quern_outs){&result, 1}) != QUERN_OK;
        if (device) w->faults += quern_array_read(a, host) != QUERN_OK;
        w->faults += memcmp(out, expected, sizeof out) != 0;
    }
    quern_array_destroy(&a);
    return NULL;
}

static void threads_and_contexts_share_an_operator(void **state)
{
    (void)state;
    need_device();
    expect_sums();
    quern_operator *op;
    succeed(quern_compile(&op, NULL, sums, NULL)); /* not built before the threads start */
    quern_context *contexts[CONTEXTS] = {context, open_other()};
    quern_array *x[CONTEXTS], *y[CONTEXTS];
    worker workers[THREADS];
    pthread_barrier_t start;
    for (int c = 0; c < CONTEXTS; c++) {
        succeed(quern_array_from(&x[c], contexts[c], quern_f32(points, M, 2)));
        succeed(quern_array_from(&y[c], contexts[c], quern_f32(points, N, 2)));
    }
    assert_int_equal(pthread_barrier_init(&start, NULL, THREADS), 0);
    for (int w = 0; w < THREADS; w++) {
        int c = w % CONTEXTS;
        workers[w] = (worker){.start = &start, .op = op, .where = contexts[c], .number = w / CONTEXTS};
        workers[w].x = quern_array_view(x[c]), workers[w].y = quern_array_view(y[c]);
        assert_int_equal(pthread_create(&workers[w].thread, NULL, run_often, &workers[w]), 0);
    }
    for (int w = 0; w < THREADS; w++) assert_int_equal(pthread_join(workers[w].thread, NULL), 0);
    for (int w = 0; w < THREADS; w++) assert_int_equal(workers[w].faults, 0);
    pthread_barrier_destroy(&start);
    for (int c = 0; c < CONTEXTS; c++) quern_array_destroy(&x[c]), quern_array_destroy(&y[c]);
    quern_operator_destroy(&op);
    quern_context_destroy(&contexts[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_operator_serves_two_contexts),
        cmocka_unit_test(an_operator_needs_no_context),
        cmocka_unit_test(builds_follow_their_device),
        cmocka_unit_test(arrays_stay_in_their_context),
        cmocka_unit_test(threads_and_contexts_share_an_operator),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
