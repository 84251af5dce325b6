/*
 * test_launch.c: runs under harder conditions: stopped by their user, watched, short of memory, in a child process,
 * from many threads at once, and after their context was let go.
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run/launcher.h"
#include "run_helpers.h"

#define GAUSSIAN "x=Vi(2); y=Vj(2); Sum_j(Exp(-SqDist(x,y)))"

/* Points on a grid, and room for a result of one number a row. */
typedef struct cloud {
    int64_t count;
    float *x, *a;
} cloud;

static cloud cloud_create(int64_t count)
{
    cloud c = {count, calloc((size_t)count * 2, sizeof(float)), calloc((size_t)count, sizeof(float))};
    assert_true(c.x && c.a);
    for (int64_t n = 0; n < 2 * count; n++) c.x[n] = (float)(n * 37 % 101) / 101;
    return c;
}

static void cloud_destroy(cloud *c)
{
    free(c->x);
    free(c->a);
}

/* The operator on M points against N of them. */
static quern_status run(quern_operator *op, const cloud *c, int64_t M, int64_t N, float *a)
{
    return quern_run(op, QUERN_ARGS({"x", quern_f32(c->x, M, 2)}, {"y", quern_f32(c->x, N, 2)}), quern_f32(a, M, 1));
}

/* ---- progress and log ---- */

typedef struct watch {
    int calls, stop_after; /* 0: never */
    double last;
    bool falls;
} watch;

static bool on_progress(void *user, double done)
{
    watch *w = user;
    w->falls = w->falls || done < w->last || done <= 0 || done > 1 + 1e-9;
    w->last = done;
    return ++w->calls == w->stop_after;
}

/* As many points as make the device's profile expect several launches. */
static int64_t long_count(void)
{
    double seconds = 2.5e-3 * context->profile.launch_ms;
    return (int64_t)sqrt(seconds * 1e6 * context->profile.speed * quern_context_device(context)->compute_units);
}

static void progress_stops_a_run(void **state)
{
    (void)state;
    need_device();
    watch w = {.stop_after = 1};
    quern_context *watched;
    succeed(quern_context_create(
        &watched,
        &(quern_context_options){.size = sizeof(quern_context_options), .progress = on_progress, .progress_user = &w}));
    quern_operator *op;
    succeed(quern_compile(&op, watched, GAUSSIAN, NULL));
    cloud c = cloud_create(long_count());
    expect_failure(run(op, &c, c.count, c.count, c.a), QUERN_CANCELLED, "stopped by the progress callback");
    assert_true(w.calls == 1 && w.last > 0);
    bool sliced = w.last < 1; /* a fast device may do all of it in one slice, of which progress is told at the end */
    assert_int_equal(watched->session->memory_in_use, 0);
    w = (watch){0};
    succeed(run(op, &c, c.count, c.count, c.a));
    assert_true(w.calls > (sliced ? 1 : 0) && !w.falls && fabs(w.last - 1) < 1e-9);
    float again[33];
    succeed(run(op, &c, 33, c.count, again));
    for (int i = 0; i < 33; i++) assert_true(fabsf(again[i] - c.a[i]) <= 1e-6f * c.a[i]);
    cloud_destroy(&c);
    quern_operator_destroy(&op);
    quern_context_destroy(&watched);
}

static void on_line(void *user, const char *line)
{
    q_text_add(user, "%s\n", line);
}

static void events_are_logged(void **state)
{
    (void)state;
    need_device();
    q_text lines = {0};
    quern_context *logged;
    const quern_context_options options = {
        .size = sizeof options, .log = on_line, .log_user = &lines, .cache = QUERN_OFF};
    succeed(quern_context_create(&logged, &options));
    assert_non_null(strstr(lines.data, quern_context_device(logged)->name));
    quern_operator *op;
    succeed(quern_compile(&op, logged, GAUSSIAN, NULL));
    assert_null(strstr(lines.data, "built"));
    cloud c = cloud_create(50);
    succeed(run(op, &c, 50, 50, c.a));
    const char *built = strstr(lines.data, "built stage 0 of x=Vi(2)");
    assert_non_null(built);
    size_t told = strlen(lines.data);
    succeed(run(op, &c, 50, 40, c.a));
    assert_int_equal(strlen(lines.data), told); /* the kernel is kept */
    built = strstr(lines.data, "built stage 0");
    assert_non_null(strstr(built, ": quern_row_f32_"));
    quern_operator *equal; /* which has the same one */
    succeed(quern_compile(&equal, logged, GAUSSIAN, NULL));
    q_text_free(&lines);
    succeed(run(equal, &c, 50, 50, c.a));
    assert_null(strstr(lines.data, "built"));
    assert_non_null(strstr(lines.data, "shared stage 0 of x=Vi(2)"));
    quern_operator_destroy(&equal);
    q_text_free(&lines);
    cloud_destroy(&c);
    quern_operator_destroy(&op);
    quern_context_destroy(&logged);
}

static void loops_are_no_large_programs(void **state)
{
    (void)state;
    need_device();
    if (!context->profile.min_rhs || context->profile.staged_cols) skip(); /* there are no such loops */
    enum { DIM = 3000 };
    q_text lines = {0};
    quern_context *logged;
    succeed(quern_context_create(&logged, &(quern_context_options){.size = sizeof(quern_context_options),
                                                                   .log = on_line,
                                                                   .log_user = &lines,
                                                                   .cache = QUERN_OFF,
                                                                   .host = QUERN_OFF}));
    quern_operator *op;
    succeed(quern_compile(&op, logged, "x=Vi(1); b=Vj(3000); Sum_j(x*b)", NULL));
    static float x[1] = {1}, b[DIM], a[DIM];
    b[DIM - 1] = 5;
    succeed(quern_run(op, QUERN_ARGS({"x", quern_f32(x, 1, 1)}, {"b", quern_f32(b, 1, DIM)}), quern_f32(a, 1, DIM)));
    assert_true(a[DIM - 1] == 5);
    assert_non_null(strstr(lines.data, "built"));
    assert_null(strstr(lines.data, "may take a while"));
    quern_operator_destroy(&op);
    succeed(quern_compile(&op, logged, "x=Vi(768); Exp(-Square(x)/2)*Cos(x)", NULL));
    succeed(quern_prepare(op, QUERN_F32, 100, 1));
    assert_null(strstr(lines.data, "may take a while"));
    quern_operator_destroy(&op);
    succeed(quern_compile(&op, logged, "x=Vi(16); y=Vj(16); Sum_j(SoftDTW_SqDist(x,y,0.5))", NULL)); /* no loop */
    succeed(quern_prepare(op, QUERN_F32, 100, 100));
    assert_non_null(strstr(lines.data, " KB of source: the device's compiler may take a while"));
    q_text_free(&lines);
    quern_operator_destroy(&op);
    quern_context_destroy(&logged);
}

/* ---- memory ---- */

static void memory_is_limited(void **state)
{
    (void)state;
    need_device();
    quern_context *small;
    succeed(
        quern_context_create(&small, &(quern_context_options){.size = sizeof(quern_context_options), .memory = 5000}));
    quern_operator *op;
    succeed(quern_compile(&op, small, GAUSSIAN, NULL));
    cloud c = cloud_create(500);
    expect_failure(run(op, &c, 500, 500, c.a), QUERN_MEMORY, "are too few for a group of");
    expect_failure(run(op, &c, 500, 500, c.a), QUERN_MEMORY, "quern_context_options.memory");
    assert_int_equal(small->session->memory_in_use, 0);
    succeed(run(op, &c, 100, 100, c.a));
    cloud_destroy(&c);
    quern_operator_destroy(&op);
    quern_context_destroy(&small);
}

enum { FEW = 70, LONG = 20000 }; /* rows and columns of split-K */

/* An operator of whose columns the options make 8 parts, one group of rows being few rows. */
static quern_operator *compile_split(quern_context *own, const char *profile)
{
    quern_operator *op;
    const quern_compile_options options = {
        .size = sizeof options, .lanes = 1, .rows = 1, .local = 8, .split = 8, .profile = profile};
    succeed(quern_compile(&op, own, GAUSSIAN, &options));
    return op;
}

/* The plan of such a run, and what its arrays take. */
static q_plan split_plan(const quern_operator *op, uint64_t *arrays)
{
    q_plan plan;
    succeed(q_plan_make(&plan, op->build->programs[0],
                        &(q_plan_request){&op->build->profile, QUERN_F32, FEW, LONG, 1, &op->options, NULL}));
    assert_true(plan.split_count == 8 && plan.groups > 2);
    *arrays = 4 * (2 * FEW + 2 * LONG + FEW);
    return plan;
}

static void states_are_made_to_fit(void **state)
{
    (void)state;
    need_device();
    q_text lines = {0};
    quern_context *small;
    succeed(quern_context_create(
        &small, &(quern_context_options){.size = sizeof(quern_context_options), .log = on_line, .log_user = &lines}));
    quern_operator *op = compile_split(small, "max_cols_per_item=0");
    uint64_t arrays, *limit = &small->session->memory_limit;
    q_plan plan = split_plan(op, &arrays);
    uint64_t bytes = q_plan_split_bytes(&plan, op->build->programs[0]), group = bytes / (uint64_t)plan.groups;
    const struct {
        uint64_t limit;
        const char *parts; /* in the last line that tells of them; null: there is none */
    } cases[] = {
        {arrays + bytes, NULL},
        {arrays + bytes - 1, "in 8 parts"},
        {arrays + group, " 1 of "},
        {arrays + group - 1, "in 4 parts"},
        {arrays + group / 4, "in 2 parts"},
        {arrays, "in 1 part:"},
    };
    cloud c = cloud_create(LONG);
    float a[FEW];
    for (size_t n = 0; n < Q_COUNT(cases); n++) {
        size_t start = lines.size;
        *limit = cases[n].limit;
        memset(a, 0, sizeof a);
        succeed(run(op, &c, FEW, LONG, n ? a : c.a));
        assert_int_equal(small->session->memory_in_use, 0);
        const char *told = NULL;
        for (const char *at = lines.data + start; (at = strstr(at, "goes on with")); at++) told = at;
        assert_true(!told == !cases[n].parts);
        if (told) assert_non_null(strstr(told, cases[n].parts));
        if (!n) continue;
        for (int i = 0; i < FEW; i++) assert_true(fabsf(a[i] - c.a[i]) <= 1e-6f * c.a[i]);
        if (strstr(told, "in 8 parts")) assert_memory_equal(a, c.a, sizeof a); /* fewer rows: the same bits */
    }
    *limit = arrays - 1; /* columns come in pieces */
    succeed(run(op, &c, FEW, LONG, a));
    for (int i = 0; i < FEW; i++) assert_true(fabsf(a[i] - c.a[i]) <= 1e-6f * c.a[i]);
    q_text_free(&lines);
    cloud_destroy(&c);
    quern_operator_destroy(&op);
    quern_context_destroy(&small);
}

static void parts_stay_as_short_as_the_device_needs(void **state)
{
    (void)state;
    need_device();
    quern_operator *op = compile_split(context, "max_cols_per_item=6000");
    uint64_t arrays, *limit = &context->session->memory_limit, old = *limit;
    q_plan plan = split_plan(op, &arrays);
    uint64_t group = q_plan_split_bytes(&plan, op->build->programs[0]) / (uint64_t)plan.groups;
    cloud c = cloud_create(LONG);
    *limit = arrays + group / 2;
    succeed(run(op, &c, FEW, LONG, c.a));
    *limit = arrays + group / 2 - 1;
    expect_failure(run(op, &c, FEW, LONG, c.a), QUERN_MEMORY, "rows at a time in 4 parts");
    *limit = old;
    assert_int_equal(context->session->memory_in_use, 0);
    cloud_destroy(&c);
    quern_operator_destroy(&op);
}

static void states_of_long_sums_are_made_to_fit(void **state)
{
    (void)state;
    need_device();
    const quern_compile_options options = {
        .size = sizeof options, .lanes = 1, .rows = 2, .local = 8, .split = 4, .profile = "min_rhs=16"};
    quern_operator *op = compile("x=Vi(2); y=Vj(2); b=Vj(20); Sum_j(Exp(-SqDist(x,y))*b), Max_j(x|y)", &options);
    trial t = trial_create(op, QUERN_F32, FEW, 2000, 3);
    q_plan plan;
    succeed(q_plan_make(&plan, op->build->programs[0],
                        &(q_plan_request){&op->build->profile, QUERN_F32, FEW, t.N, 1, &op->options, NULL}));
    assert_true(op->stages.count == 1 && plan.split_count == 4 && plan.groups == 5);
    uint64_t group = q_plan_split_bytes(&plan, op->build->programs[0]) / (uint64_t)plan.groups, old;
    uint64_t arrays = 4 * (2 * FEW + 22 * (uint64_t)t.N + 21 * FEW), *limit = &context->session->memory_limit;
    old = *limit;
    for (uint64_t groups = 2; groups < 4; groups++) { /* 5 are done as 2, 2, 1 or as 3, 2 */
        *limit = arrays + groups * group;
        trial_run(&t);
        trial_compare(&t, 1e-5);
    }
    *limit = old;
    trial_destroy(&t);
    quern_operator_destroy(&op);
}

/* ---- slices ---- */

static void slices_are_whole_waves(void **state)
{
    (void)state;
    q_pace pace = {.aim = 0.1, .wave = 100};
    static const struct {
        int64_t count;
        double seconds;
        int64_t next;
    } cases[] = {{100, 0.01, 400}, {400, 0.12, 300}, {300, 0.1, 200}, {100, 0.3, 100},   {100, 0.5, 26},
                 {20, 0.05, 100},  {4, 0.1, 4},      {1, 10, 1},      {100, 0.0999, 100}};
    for (size_t c = 0; c < Q_COUNT(cases); c++) {
        q_pace_measured(&pace, cases[c].count, cases[c].seconds);
        if (llabs(pace.size - cases[c].next) > (cases[c].next < 100))
            fail_msg("after %d in %g s the next slice has %d", (int)cases[c].count, cases[c].seconds, (int)pace.size);
    }
    pace.wave = 1;
    q_pace_measured(&pace, 10, 0.2);
    assert_int_equal(pace.size, 4);
}

/* The same run in one launch and in many: slices of rows, passes of rows of split-K, and slices of its parts. */
static void slices_change_no_bit(void **state)
{
    (void)state;
    need_device();
    enum { M = 1000, N = 6000 };
    static const struct {
        int64_t M;
        int split;
    } cases[] = {{M, 1}, {M, 3}, {20, 12}};
    cloud c = cloud_create(N);
    watch w = {0};
    quern_context *watched;
    succeed(quern_context_create(
        &watched,
        &(quern_context_options){.size = sizeof(quern_context_options), .progress = on_progress, .progress_user = &w}));
    for (size_t k = 0; k < Q_COUNT(cases); k++) {
        float a[2][M];
        for (int slow = 0; slow < 2; slow++) {
            quern_compile_options options = {
                .size = sizeof options, .lanes = 1, .rows = 1, .local = 8, .split = cases[k].split};
            options.profile = slow ? "waves=2 groups=3 launch_ms=1 speed=1" : "waves=2 groups=3 launch_ms=10000";
            quern_operator *op;
            w = (watch){0};
            succeed(quern_compile(&op, slow ? watched : context, GAUSSIAN, &options));
            succeed(run(op, &c, cases[k].M, N, a[slow]));
            bool small = quern_context_device(context)->compute_units <= 4; /* all is more than a wave of groups */
            assert_true(!slow || (w.calls > small && !w.falls && fabs(w.last - 1) < 1e-9));
            quern_operator_destroy(&op);
        }
        assert_memory_equal(a[0], a[1], (size_t)cases[k].M * sizeof(float));
    }
    quern_context_destroy(&watched);
    cloud_destroy(&c);
}

/* ---- processes ---- */

/* What the child of a fork sees; 0 if all is as it should be. */
static int in_child(quern_operator **op, const cloud *c)
{
    alarm(600); /* ends a child that hangs */
    if (run(*op, c, 10, 10, c->a) != QUERN_DEVICE) return 1;
    if (!strstr(quern_last_error()->message, "fork()")) return 2;
    quern_operator_destroy(op);
    quern_context_destroy(&context);
    return *op || context ? 3 : 0;
}

static void a_child_gets_an_error(void **state)
{
    (void)state;
    need_device();
    cloud c = cloud_create(10);
    quern_operator *op = compile(GAUSSIAN, NULL);
    succeed(run(op, &c, 10, 10, c.a));
    pid_t child = fork();
    if (child == 0) _exit(in_child(&op, &c));
    int status = -1;
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    if (!WIFEXITED(status)) fail_msg("the child was ended by signal %d", WTERMSIG(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    succeed(run(op, &c, 10, 10, c.a)); /* the parent goes on */
    quern_operator_destroy(&op);
    cloud_destroy(&c);
}

/* ---- threads ---- */

enum { THREADS = 8, ROUNDS = 10, MOST = 300 };

typedef struct worker {
    pthread_t thread;
    pthread_barrier_t *start;
    quern_operator *op;
    const cloud *points;
    int number, faults;
} worker;

static void start_workers(worker *workers, size_t count, void *(*work)(void *), quern_operator *op, const cloud *points)
{
    pthread_barrier_t start;
    assert_int_equal(pthread_barrier_init(&start, NULL, (unsigned)count), 0);
    for (size_t w = 0; w < count; w++) {
        workers[w] = (worker){.start = &start, .op = op, .points = points, .number = (int)w};
        assert_int_equal(pthread_create(&workers[w].thread, NULL, work, &workers[w]), 0);
    }
    for (size_t w = 0; w < count; w++) assert_int_equal(pthread_join(workers[w].thread, NULL), 0);
    pthread_barrier_destroy(&start);
}

/* Runs with sizes of its own; the first rows must be those that the main thread found. */
static void *run_often(void *user)
{
    worker *w = user;
    int64_t M = MOST - 20 * w->number;
    pthread_barrier_wait(w->start);
    for (int round = 0; round < ROUNDS; round++) {
        float a[MOST] = {0};
        if (run(w->op, w->points, M, MOST, a)) w->faults++;
        if (memcmp(a, w->points->a, (size_t)M * sizeof *a) != 0) w->faults++;
    }
    return NULL;
}

static void threads_share_an_operator(void **state)
{
    (void)state;
    need_device();
    worker workers[THREADS];
    cloud points = cloud_create(MOST);
    quern_operator *expected = compile(GAUSSIAN, NULL),
                   *op = compile(GAUSSIAN, NULL); /* not built before the threads start */
    succeed(run(expected, &points, MOST, MOST, points.a));
    start_workers(workers, THREADS, run_often, op, &points);
    for (size_t w = 0; w < THREADS; w++) assert_int_equal(workers[w].faults, 0);
    quern_operator_destroy(&op);
    quern_operator_destroy(&expected);
    cloud_destroy(&points);
}

/* Compiles, fails to compile, runs and destroys operators of its own; errors must be this thread's. */
static void *compile_often(void *user)
{
    worker *w = user;
    char good[80], bad[80], name[16];
    snprintf(good, sizeof good, "x=Vi(2); y=Vj(2); Sum_j(Exp(-SqDist(x,y))*%d)", w->number + 2);
    snprintf(name, sizeof name, "wrong%d", w->number);
    snprintf(bad, sizeof bad, "x=Vi(2); Sum_i(x*%s)", name);
    pthread_barrier_wait(w->start);
    for (int round = 0; round < ROUNDS; round++) {
        quern_operator *op, *none;
        float a[20] = {0};
        if (quern_compile(&none, context, bad, NULL) != QUERN_NAME || !strstr(quern_last_error()->message, name))
            w->faults++;
        if (quern_compile(&op, context, good, NULL) || run(op, w->points, 20, MOST, a)) w->faults++;
        for (int i = 0; i < 20; i++)
            if (fabsf(a[i] - (float)(w->number + 2) * w->points->a[i]) > 1e-5f * a[i]) w->faults++;
        quern_operator_destroy(&op);
    }
    return NULL;
}

static void threads_compile_side_by_side(void **state)
{
    (void)state;
    need_device();
    worker workers[2];
    cloud points = cloud_create(MOST);
    quern_operator *op = compile(GAUSSIAN, NULL);
    succeed(run(op, &points, MOST, MOST, points.a));
    start_workers(workers, 2, compile_often, NULL, &points);
    for (size_t w = 0; w < 2; w++) assert_int_equal(workers[w].faults, 0);
    quern_operator_destroy(&op);
    cloud_destroy(&points);
}

/* ---- lifetimes ---- */

static void operators_keep_their_context(void **state)
{
    (void)state;
    need_device();
    quern_context *own;
    quern_operator *op, *gradient;
    succeed(quern_context_create(&own, NULL));
    succeed(quern_compile(&op, own, GAUSSIAN, NULL));
    quern_context_destroy(&own);
    assert_null(own);
    quern_context_destroy(&own);
    quern_context_destroy(NULL);
    cloud c = cloud_create(40);
    succeed(run(op, &c, 40, 40, c.a));
    succeed(quern_gradient(&gradient, op, "y", NULL));
    quern_operator_destroy(&op);
    float slope[80];
    succeed(quern_run(gradient, QUERN_ARGS({"x", quern_f32(c.x, 40, 2)}, {"y", quern_f32(c.x, 40, 2)}),
                      quern_f32(slope, 40, 2)));
    quern_operator_destroy(&gradient);
    cloud_destroy(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(progress_stops_a_run),
        cmocka_unit_test(events_are_logged),
        cmocka_unit_test(loops_are_no_large_programs),
        cmocka_unit_test(memory_is_limited),
        cmocka_unit_test(slices_are_whole_waves),
        cmocka_unit_test(slices_change_no_bit),
        cmocka_unit_test(states_are_made_to_fit),
        cmocka_unit_test(states_of_long_sums_are_made_to_fit),
        cmocka_unit_test(parts_stay_as_short_as_the_device_needs),
        cmocka_unit_test(a_child_gets_an_error),
        cmocka_unit_test(threads_share_an_operator),
        cmocka_unit_test(threads_compile_side_by_side),
        cmocka_unit_test(operators_keep_their_context),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
