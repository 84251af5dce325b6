/*
 * test_calls.c: what quern asks of the driver, counted by the layer of call_layer.c: a loop on device arrays moves nothing
 * over the bus, a run that is like one before it asks for nothing but launches; and each kind of call failing at each of
 * its places: the error says what to do, nothing leaks, and the context goes on.
 */
#include <stdlib.h>
#include <string.h>

#include "call_layer.h"
#include "quern/array.h"
#include "run_helpers.h"
#include "solver.h"

enum { M = 37, N = 53, D = 3 };

static void need_layer(void)
{
    need_device();
    if (!call_layer_is_there()) skip(); /* OPENCL_LAYERS is not set, or the loader knows none */
}

static void fill_host(float *out, int64_t count)
{
    for (int64_t k = 0; k < count; k++) out[k] = (float)((k * 7) % 17 - 8) / 8;
}

static quern_array *array_of(quern_view view)
{
    quern_array *array;
    succeed(quern_array_from(&array, context, view));
    return array;
}

// ---- counts ----

static void the_layer_counts(void **state)
{
    (void)state;
    need_layer();
    float x[M * D], out[M * D];
    fill_host(x, M * D);
    call_layer_reset();
    long live = call_layer_counts().live;
    quern_array *a;
    succeed(quern_array_create(&a, context, QUERN_F32, M, D));
    succeed(quern_array_write(a, quern_f32(x, M, D)));
    succeed(quern_array_read(a, quern_f32(out, M, D)));
    call_counts counts = call_layer_counts();
    assert_int_equal(counts.up, sizeof x);
    assert_int_equal(counts.down, sizeof x);
    assert_int_equal(counts.calls[CALL_CREATE_BUFFER], 1);
    assert_int_equal(counts.calls[CALL_LAUNCH], 0);
    assert_true(counts.live > live);
    call_layer_fail(CALL_READ, 2, 2, CL_OUT_OF_RESOURCES);
    succeed(quern_array_read(a, quern_f32(out, M, D)));
    expect_failure(quern_array_read(a, quern_f32(out, M, D)), QUERN_MEMORY, "CL_OUT_OF_RESOURCES");
    succeed(quern_array_read(a, quern_f32(out, M, D)));
    quern_array_destroy(&a);
}

/* Fails if anything but launches has been asked of the driver since the last reset. */
static void only_launches(const char *what)
{
    call_counts counts = call_layer_counts();
    for (int k = 0; k < CALL_KIND_COUNT; k++)
        if (k != CALL_LAUNCH && k != CALL_SET_ARG && k != CALL_FLUSH && counts.calls[k])
            fail_msg("%s: %ld calls of %s", what, counts.calls[k], call_layer_name((call_kind)k));
    assert_int_equal(counts.up, 0);
    assert_int_equal(counts.down, 0);
    assert_true(counts.calls[CALL_LAUNCH] > 0);
}

static void a_solver_moves_nothing_over_the_bus(void **state)
{
    (void)state;
    need_layer();
    solver s = solver_create(200);
    solver_step(&s);
    call_layer_reset();
    for (int step = 0; step < 100; step++) solver_step(&s);
    only_launches("100 steps");
    assert_true(solver_error(&s) < 1e-4);
    solver_destroy(&s);
}

/* Operators whose runs need more than one launch, and more memory than their arrays. */
static void warm_runs_only_launch(void **state)
{
    (void)state;
    need_layer();
    static const struct {
        const char *formula;
        quern_compile_options options;
    } cases[] = {
        {"x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)", {0}},
        {"x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b/Sum_i(Exp(-SqDist(x,y))))", {0}},
        {"x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)", {.lanes = 1, .rows = 1, .local = 8, .split = 4}},
        {"x=Vi(3); y=Vj(3); b=Vj(1); Max_j(x|y)*Sum_j(b)", {0}},
    };
    float x[M * D], y[2000 * D], b[2000];
    fill_host(x, M * D), fill_host(y, 2000 * D), fill_host(b, 2000);
    quern_array *px = array_of(quern_f32(x, M, D)), *py = array_of(quern_f32(y, 2000, D)),
                *pb = array_of(quern_f32(b, 2000, 1)), *pa;
    succeed(quern_array_create(&pa, context, QUERN_F32, M, 1));
    quern_args args = QUERN_ARGS({"x", quern_array_view(px)}, {"y", quern_array_view(py)}, {"b", quern_array_view(pb)});
    for (size_t c = 0; c < Q_COUNT(cases); c++) {
        quern_compile_options options = cases[c].options;
        options.size = sizeof options;
        quern_operator *op = compile(cases[c].formula, &options);
        succeed(quern_run(op, args, quern_array_view(pa)));
        call_layer_reset();
        for (int run = 0; run < 100; run++) succeed(quern_run(op, args, quern_array_view(pa)));
        only_launches(cases[c].formula);
        quern_operator_destroy(&op);
    }
    quern_array_destroy(&px), quern_array_destroy(&py), quern_array_destroy(&pb), quern_array_destroy(&pa);
}

/* Conversions and results that overlap arguments take memory, which is used again. */
static void warm_copies_only_launch(void **state)
{
    (void)state;
    need_layer();
    float x[M * D];
    fill_host(x, M * D);
    quern_array *a = array_of(quern_f32(x, M, D)), *h;
    succeed(quern_array_create(&h, context, QUERN_F16, M, D));
    quern_operator *op = compile("x=Vi(3); 0.5*x+1", NULL);
    quern_view wide = quern_array_view(a), half = quern_array_view(h);
    for (int run = 0; run < 100; run++) {
        if (run == 1) call_layer_reset();
        succeed(quern_copy(context, half, wide));
        succeed(quern_run(op, QUERN_ARGS({"x", half}), wide));
        succeed(quern_run(op, QUERN_ARGS({"x", wide}), wide));
    }
    only_launches("copies");
    quern_operator_destroy(&op);
    quern_array_destroy(&a), quern_array_destroy(&h);
}

/* A parameter of one number that is on the host needs no buffer and nothing of the bus. */
static void numbers_make_no_buffers(void **state)
{
    (void)state;
    need_layer();
    float x[M], out[M];
    fill_host(x, M);
    quern_array *a = array_of(quern_f32(x, M, 1));
    quern_view all = quern_array_view(a);
    quern_operator *op = compile("x=Vi(1); p=Pm(1); p*x", NULL);
    for (int run = 0; run < 20; run++) {
        if (run == 1) call_layer_reset();
        float half = 0.5F;
        quern_view p = run % 2 ? quern_number(4) : quern_f32(&half, 1, 1);
        succeed(quern_run(op, QUERN_ARGS({"x", all}, {"p", p}), all));
    }
    call_counts counts = call_layer_counts();
    assert_int_equal(counts.calls[CALL_CREATE_BUFFER] + counts.calls[CALL_FINISH] + counts.calls[CALL_WAIT], 0);
    assert_int_equal(counts.up + counts.down, 0);
    succeed(quern_array_read(a, quern_f32(out, M, 1)));
    for (int i = 0; i < M; i++) assert_true(out[i] == 1024 * x[i]);
    quern_operator_destroy(&op);
    quern_array_destroy(&a);
}

/* A result that is an argument, too, costs no copy where the array is quern's own. */
static void results_change_places_with_arguments(void **state)
{
    (void)state;
    need_layer();
    float x[M], out[M];
    fill_host(x, M);
    quern_array *a = array_of(quern_f32(x, M, 1));
    quern_operator *op = compile("x=Vi(1); 2*x+1", NULL);
    quern_view all = quern_array_view(a), some = quern_view_rows(all, 1, 5);
    succeed(quern_run(op, QUERN_ARGS({"x", all}), all));
    call_layer_reset();
    for (int run = 0; run < 3; run++) succeed(quern_run(op, QUERN_ARGS({"x", all}), all));
    assert_int_equal(call_layer_counts().calls[CALL_LAUNCH], 3);
    only_launches("in place");
    succeed(quern_run(op, QUERN_ARGS({"x", some}), some)); /* a part is copied, */
    assert_non_null(quern_array_opencl(a));                /* and so is memory that the program knows */
    succeed(quern_run(op, QUERN_ARGS({"x", all}), all));
    assert_true(call_layer_counts().calls[CALL_LAUNCH] > 5);
    succeed(quern_array_read(a, quern_f32(out, M, 1)));
    for (int i = 0; i < M; i++) assert_true(out[i] == (i >= 1 && i < 6 ? 64 * x[i] + 63 : 32 * x[i] + 31));
    quern_operator_destroy(&op);
    quern_array_destroy(&a);
}

static void equal_formulas_build_once(void **state)
{
    (void)state;
    need_layer();
    float x[M], out[M];
    fill_host(x, M);
    quern_operator *op = compile("x=Vi(1); y=Vj(1); Sum_j(Exp(0.123*x*y))", NULL), *equal;
    quern_args args = QUERN_ARGS({"x", quern_f32(x, M, 1)}, {"y", quern_f32(x, M, 1)});
    call_layer_reset();
    succeed(quern_run(op, args, quern_f32(out, M, 1)));
    long builds = call_layer_counts().calls[CALL_BUILD];
    assert_true(builds > 0);
    equal = compile("x=Vi(1); y=Vj(1); Sum_j(Exp(y*(x*0.123)))", NULL);
    succeed(quern_run(equal, args, quern_f32(out, M, 1)));
    quern_operator_destroy(&op);
    op = compile("x=Vi(1); y=Vj(1); Sum_j(Exp(0.123*x*y))", NULL); /* made again */
    succeed(quern_run(op, args, quern_f32(out, M, 1)));
    assert_int_equal(call_layer_counts().calls[CALL_BUILD], builds);
    quern_operator_destroy(&op), quern_operator_destroy(&equal);
}

/* A run on host arrays reads its results once, and waits by that alone. */
static void host_arrays_go_over_once(void **state)
{
    (void)state;
    need_layer();
    float x[M * D], y[N * D], b[N], out[M];
    fill_host(x, M * D), fill_host(y, N * D), fill_host(b, N);
    quern_operator *op = compile("x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)", NULL);
    quern_args args = QUERN_ARGS({"x", quern_f32(x, M, D)}, {"y", quern_f32(y, N, D)}, {"b", quern_f32(b, N, 1)});
    succeed(quern_run(op, args, quern_f32(out, M, 1)));
    call_layer_reset();
    succeed(quern_run(op, args, quern_f32(out, M, 1)));
    call_counts counts = call_layer_counts();
    assert_int_equal(counts.up, sizeof x + sizeof y + sizeof b);
    assert_int_equal(counts.down, sizeof out);
    assert_int_equal(counts.calls[CALL_LAUNCH], 1);
    assert_int_equal(counts.calls[CALL_READ], 1);
    assert_int_equal(counts.calls[CALL_FINISH] + counts.calls[CALL_WAIT] + counts.calls[CALL_BUILD], 0);
    quern_operator_destroy(&op);
}

// ---- faults ----

/* What a user does with a context, all of it. */
typedef struct work {
    quern_context *own;
    quern_operator *simple, *split, *nested;
    quern_array *x, *h, *a;
    float points[N * D], got[3][N], expected[3][N];
    bool blind; /* waits themselves fail */
} work;

/* Whatever a call returns, it does not leave the program's memory in use. */
static quern_status seen(const work *w, quern_status status)
{
    if (call_layer_counts().lent && !w->blind)
        fail_msg("the driver may still read the program's memory: %s", status ? quern_last_error_text() : "no error");
    return status;
}

static quern_status make_operators(work *w)
{
    const quern_compile_options cut = {.size = sizeof cut, .lanes = 1, .rows = 1, .local = 8, .split = 4};
    Q_TRY(quern_compile(&w->simple, w->own, "x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y)))", NULL));
    Q_TRY(quern_compile(&w->split, w->own, "x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y)))", &cut));
    return quern_compile(&w->nested, w->own, "x=Vi(3); y=Vj(3); Sum_j((x|y)*Sum_i(Square(x|y)))", NULL);
}

static quern_status make_arrays(work *w)
{
    Q_TRY(seen(w, quern_array_create(&w->h, w->own, QUERN_F16, N, D + 1)));
    Q_TRY(seen(w, quern_array_create(&w->a, w->own, QUERN_F32, N, 1)));
    Q_TRY(seen(w, quern_array_from(&w->x, w->own, quern_f32(w->points, N, D))));
    return seen(w, quern_copy(w->own, quern_view_columns(quern_array_view(w->h), 1, D), quern_array_view(w->x)));
}

static quern_status run_all(work *w)
{
    quern_view host = quern_f32(w->points, N, D), half = quern_view_columns(quern_array_view(w->h), 1, D);
    Q_TRY(seen(w, quern_run(w->simple, QUERN_ARGS({"x", host}, {"y", half}), quern_f32(w->got[0], N, 1))));
    Q_TRY(seen(w, quern_run(w->split, QUERN_ARGS({"x", quern_array_view(w->x)}, {"y", host}), quern_array_view(w->a))));
    Q_TRY(seen(w, quern_array_read(w->a, quern_f32(w->got[1], N, 1))));
    Q_TRY(seen(w, quern_run(w->nested, QUERN_ARGS({"x", half}, {"y", half}), quern_array_view(w->a))));
    Q_TRY(seen(w, quern_array_fill(w->x, 0)));
    Q_TRY(seen(w, quern_array_write(w->x, host)));
    Q_TRY(seen(w, quern_copy(w->own, quern_view_rows(quern_array_view(w->x), 32, 8), quern_view_rows(host, 0, 8))));
    Q_TRY(seen(w, quern_wait(w->own)));
    return seen(w, quern_array_read(w->a, quern_f32(w->got[2], N, 1)));
}

static quern_status do_work(work *w)
{
    Q_TRY(make_operators(w));
    Q_TRY(make_arrays(w));
    return run_all(w);
}

static void let_go(work *w)
{
    quern_operator_destroy(&w->simple), quern_operator_destroy(&w->split), quern_operator_destroy(&w->nested);
    quern_array_destroy(&w->x), quern_array_destroy(&w->h), quern_array_destroy(&w->a);
}

static const quern_context_options own_options = {
    .size = sizeof(quern_context_options), .host = QUERN_OFF, .cache = QUERN_OFF};

static bool is_told(quern_status status, call_kind kind)
{
    const quern_error *error = quern_last_error();
    const char *name = call_layer_name(kind);
    bool known = status == QUERN_MEMORY || status == QUERN_DEVICE || status == QUERN_BUILD;
    return known && error->cl_code && *error->next_step && (kind == CALL_BUILD || strstr(error->message, name));
}

/* The work with one failure, then without, in the context that there is, or else in one of its own. Whether there was a
   call to fail. */
static bool work_with_failure(work *w, call_kind kind, long n, long last, cl_int code)
{
    bool fresh = !w->own;
    long live = call_layer_counts().live;
    w->blind = last > n && (kind == CALL_FINISH || kind == CALL_READ);
    if (!fresh) q_buffers_trim(w->own->session); /* so that buffers are made */
    call_layer_reset();
    call_layer_fail(kind, n, last, code);
    quern_status status = fresh ? quern_context_create(&w->own, &own_options) : QUERN_OK;
    if (!status) status = do_work(w);
    bool reached = call_layer_counts().calls[kind] >= n;
    call_layer_fail(kind, 0, 0, 0);
    if (status && !is_told(status, kind))
        fail_msg("%s, call %ld, code %d: %s: %s", call_layer_name(kind), n, code, quern_status_name(status),
                 quern_last_error_text());
    if (!status) assert_memory_equal(w->got, w->expected, sizeof w->got);
    w->blind = false;
    let_go(w);
    if (w->own) {
        succeed(quern_wait(w->own));
        assert_int_equal(w->own->session->memory_in_use, 0);
        succeed(do_work(w)); /* the context goes on */
        assert_memory_equal(w->got, w->expected, sizeof w->got);
        let_go(w);
    }
    if (fresh) quern_context_destroy(&w->own);
    if (fresh && call_layer_counts().live != live)
        fail_msg("%s, call %ld, code %d: %ld references are left", call_layer_name(kind), n, code,
                 call_layer_counts().live - live);
    return reached;
}

/* The work as it goes without a failure, in a context that is kept. */
static work *work_create(void)
{
    work *w = calloc(1, sizeof *w);
    assert_non_null(w);
    fill_host(w->points, N * D);
    succeed(quern_context_create(&w->own, &own_options));
    succeed(do_work(w));
    memcpy(w->expected, w->got, sizeof w->got);
    let_go(w);
    return w;
}

/* Lets each kind of call fail at each of its places, once, or from there on to the end. */
static void fail_all(work *w, const call_kind *kinds, size_t count, bool once)
{
    static const cl_int codes[] = {CL_OUT_OF_RESOURCES, CL_MEM_OBJECT_ALLOCATION_FAILURE, CL_OUT_OF_HOST_MEMORY,
                                   CL_INVALID_COMMAND_QUEUE};
    for (size_t k = 0; k < count; k++) {
        long n = 1, step = kinds[k] == CALL_SET_ARG ? 7 : 1;
        while (work_with_failure(w, kinds[k], n, once ? n : 1000000, codes[(once + k + (size_t)n) % Q_COUNT(codes)]))
            n += step;
        bool must = kinds[k] != CALL_CREATE_SUB_BUFFER; /* there may be no aligned place within the arrays */
        if (n == 1 && must) fail_msg("there was no %s", call_layer_name(kinds[k]));
    }
}

static void runs_fail(void **state)
{
    (void)state;
    need_layer();
    static const call_kind kinds[] = {
        CALL_CREATE_BUFFER, CALL_CREATE_SUB_BUFFER, CALL_SET_ARG, CALL_WRITE, CALL_READ, CALL_FILL, CALL_LAUNCH,
        CALL_FINISH};
    long live = call_layer_counts().live;
    work *w = work_create();
    fail_all(w, kinds, Q_COUNT(kinds), true);
    fail_all(w, kinds, Q_COUNT(kinds), false);
    quern_context_destroy(&w->own);
    assert_int_equal(call_layer_counts().live, live);
    free(w);
}

static void contexts_fail(void **state)
{
    (void)state;
    need_layer();
    static const call_kind kinds[] = {CALL_CREATE_CONTEXT, CALL_CREATE_QUEUE, CALL_CREATE_PROGRAM, CALL_CREATE_KERNEL};
    work *w = work_create();
    quern_context_destroy(&w->own);
    fail_all(w, kinds, Q_COUNT(kinds), true);
    fail_all(w, kinds, Q_COUNT(kinds), false);
    free(w);
}

/* One failure of a build without an error in its log is taken for the race of some drivers; the second is told. */
static void builds_fail(void **state)
{
    (void)state;
    need_layer();
    work *w = work_create();
    quern_context_destroy(&w->own);
    long n = 1;
    while (work_with_failure(w, CALL_BUILD, n, n + 1, CL_BUILD_PROGRAM_FAILURE)) n++;
    assert_true(n > 1);
    work_with_failure(w, CALL_BUILD, 1, 1, CL_OUT_OF_HOST_MEMORY);
    free(w);
}

static void on_line(void *user, const char *line)
{
    q_text_add(user, "%s\n", line);
}

/* NVIDIA's driver grants any buffer and fails where it is first used: for states that is as if it had been refused, and
   fewer rows are done at a time. */
static void late_refusals_of_states_shrink_them(void **state)
{
    (void)state;
    need_layer();
    enum { COLUMNS = 2000 };
    q_text lines = {0};
    quern_context_options options = own_options;
    options.log = on_line;
    options.log_user = &lines;
    const quern_compile_options cut = {.size = sizeof cut, .lanes = 1, .rows = 1, .local = 8, .split = 4};
    quern_context *own;
    quern_operator *op;
    succeed(quern_context_create(&own, &options));
    succeed(quern_compile(&op, own, "x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y)))", &cut));
    static float points[COLUMNS * D];
    float got[3][N];
    fill_host(points, COLUMNS * D);
    for (long refusals = 0; refusals < 3; refusals++) {
        q_text_free(&lines);
        call_layer_reset();
        if (refusals) call_layer_fail(CALL_LAUNCH, 1, refusals, CL_MEM_OBJECT_ALLOCATION_FAILURE);
        succeed(quern_run(op, QUERN_ARGS({"x", quern_f32(points, N, D)}, {"y", quern_f32(points, COLUMNS, D)}),
                          quern_f32(got[refusals], N, 1)));
        assert_memory_equal(got[refusals], got[0], sizeof got[0]);
        long told = 0;
        for (const char *at = lines.data; at && (at = strstr(at, "goes on with")); at++) told++;
        assert_int_equal(told, refusals);
    }
    call_layer_reset();
    quern_operator_destroy(&op);
    quern_context_destroy(&own);
    q_text_free(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_layer_counts),
        cmocka_unit_test(a_solver_moves_nothing_over_the_bus),
        cmocka_unit_test(warm_runs_only_launch),
        cmocka_unit_test(warm_copies_only_launch),
        cmocka_unit_test(numbers_make_no_buffers),
        cmocka_unit_test(results_change_places_with_arguments),
        cmocka_unit_test(equal_formulas_build_once),
        cmocka_unit_test(host_arrays_go_over_once),
        cmocka_unit_test(runs_fail),
        cmocka_unit_test(contexts_fail),
        cmocka_unit_test(builds_fail),
        cmocka_unit_test(late_refusals_of_states_shrink_them),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
