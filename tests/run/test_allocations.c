/*
 * test_allocations.c: memory of the host running out at each place where quern asks for it. The linker's --wrap puts the
 * functions below between quern, which this program is linked with statically, and the C library; drivers and cmocka keep
 * theirs.
 *
 * Work is done once for each allocation that it makes, which fails. It must end with a status that says so, or do without;
 * nothing may be left when it was let go, and the work must succeed afterwards.
 */
#include <stdlib.h>
#include <string.h>

#include "quern/array.h"
#include "quern/prune.h"
#include "quern/space.h"
#include "run_helpers.h"

static long made, live, fails_at; /* 0: none fails */

static bool fails(void)
{
    return ++made == fails_at;
}

static void *born(void *memory)
{
    if (memory) live++;
    return memory;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);
void __wrap_free(void *memory);

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : born(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : born(__real_calloc(count, size));
}

void *__wrap_realloc(void *memory, size_t size)
{
    if (fails()) return NULL;
    void *moved = __real_realloc(memory, size);
    if (!memory) born(moved);
    return moved;
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : born(__real_strdup(text));
}

void __wrap_free(void *memory)
{
    if (memory) live--;
    __real_free(memory);
}

/* Does the work with each of its allocations failing. `often`: how many there must be at least. */
static void fail_each(quern_status (*work)(void), long often)
{
    fails_at = 0;
    succeed(work());
    long before = live, n = 0;
    for (bool reached = true; reached; n++) {
        made = 0;
        fails_at = n + 1;
        quern_status status = work();
        reached = made >= fails_at;
        fails_at = 0;
        if (status && status != QUERN_MEMORY)
            fail_msg("allocation %ld: %s: %s", n + 1, quern_status_name(status), quern_last_error_text());
        if (live != before)
            fail_msg("allocation %ld: %ld blocks are left (%s)", n + 1, live - before, quern_status_name(status));
    }
    succeed(work());
    if (n < often) fail_msg("there were only %ld allocations", n);
}

// ---- without a device ----

static const char mixed[] =
    "x=Vi(3); y=Vj(3); b=Vj(2); p=Pm(1); F=Sum_j(Exp(-SqDist(x,y)*p)*b); "
    "Concat(F, Grad(Sum_j(b*Log(1+SqDist(x,y))), x, F)), ArgKMin_j(SqDist(x,y),3), LogSumExp_j(x|y)";

static quern_status compile_and_explain(void)
{
    quern_operator *op;
    char *text = NULL;
    quern_status status = quern_compile(&op, NULL, mixed, NULL);
    if (!status) status = quern_explain(op, NULL, &text);
    quern_free(text);
    quern_operator_destroy(&op);
    return status;
}

static void compiling(void **state)
{
    (void)state;
    fail_each(compile_and_explain, 50);
}

static quern_status take_gradients(void)
{
    const quern_compile_options options = {.size = sizeof options, .profile = "staged_cols=0"};
    quern_operator *op, *first = NULL, *second = NULL;
    quern_status status = quern_compile(&op, NULL, "x=Vi(2); y=Vj(2); Sum_j(Norm2(x-y)*Exp(-SqDist(x,y)))", &options);
    if (!status) status = quern_gradient(&first, op, "x", "e");
    if (!status) status = quern_gradient(&second, first, "y", NULL);
    quern_operator_destroy(&op), quern_operator_destroy(&first), quern_operator_destroy(&second);
    return status;
}

static void gradients(void **state)
{
    (void)state;
    fail_each(take_gradients, 50);
}

static quern_status build_by_calls(void)
{
    quern_graph *g;
    quern_operator *op = NULL;
    quern_status status = quern_graph_create(&g);
    if (!status) {
        quern_expr x = quern_vi(g, "x", 3), y = quern_vj(g, "y", 3), b = quern_vj(g, "b", 1);
        quern_expr kernel = quern_exp(g, quern_negate(g, quern_sqdist(g, x, y)));
        quern_expr sum = quern_sum_j(g, quern_multiply(g, kernel, b));
        status = quern_compile_graph(&op, NULL, g, QUERN_EXPRS(sum, quern_grad(g, sum, x, quern_vi(g, "e", 1))), NULL);
    }
    quern_operator_destroy(&op);
    quern_graph_destroy(&g);
    return status;
}

static void building(void **state)
{
    (void)state;
    fail_each(build_by_calls, 20);
}

// ---- with one ----

enum { M = 40, N = 90 };

static float points[N * 3];

static quern_status run_once(quern_operator *op, quern_array *x, quern_array *a)
{
    float out[M];
    quern_view half = quern_view_rows(quern_array_view(x), 0, M);
    Q_TRY(quern_run(op, QUERN_ARGS({"x", half}, {"y", quern_array_view(x)}), quern_array_view(a)));
    Q_TRY(quern_run(op, QUERN_ARGS({"x", quern_f32(points, M, 3)}, {"y", quern_f32(points, N, 3)}),
                    quern_f32(out, M, 1)));
    Q_TRY(quern_prepare(op, QUERN_F32, 10, 10));
    return quern_array_read(a, quern_f32(out, M, 1));
}

static quern_status run_in_context(quern_context *own)
{
    const quern_compile_options cut = {.size = sizeof cut, .lanes = 1, .rows = 1, .local = 8, .split = 4};
    quern_operator *op;
    quern_array *x = NULL, *a = NULL;
    quern_status status = quern_compile(&op, NULL, "x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y)))", &cut);
    quern_operator_destroy(&op);
    if (!status) status = quern_compile(&op, own, "x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y)))", &cut);
    if (!status) status = quern_array_from(&x, own, quern_f32(points, N, 3));
    if (!status) status = quern_array_create(&a, own, QUERN_F16, M, 1);
    if (!status) status = run_once(op, x, a);
    quern_array_destroy(&x), quern_array_destroy(&a);
    quern_operator_destroy(&op);
    return status;
}

static quern_status run_with_device(void)
{
    quern_context *own;
    const quern_context_options options = {.size = sizeof options, .host = QUERN_OFF, .cache = QUERN_OFF};
    quern_status status = quern_context_create(&own, &options);
    if (!status) status = run_in_context(own);
    quern_context_destroy(&own);
    return status;
}

static void running(void **state)
{
    (void)state;
    need_device();
    fail_each(run_with_device, 50);
}

/* A ragged batch with ranges, of a formula of two stages. */
static quern_status run_in_blocks(void)
{
    static const int64_t offsets_i[] = {0, 10, 10, M}, offsets_j[] = {0, 40, 60, N}, first[] = {0, 1, 3};
    static const quern_span rows[] = {{0, 5}, {12, 30}}, columns[] = {{0, 40}, {60, 70}, {80, N}};
    const quern_ranges ranges = {2, rows, first, columns};
    const quern_run_options options = {sizeof options, NULL, &ranges, 3, offsets_i, offsets_j, NULL, NULL, 0};
    float out[3];
    quern_operator *op;
    const quern_view result = quern_f32(out, 3, 1);
    quern_status status = quern_compile(&op, context, "x=Vi(3); y=Vj(3); Sum_j(1/(1+Sum_i(Exp(-SqDist(x,y)))))", NULL);
    if (!status)
        status = quern_run_with(op, QUERN_ARGS({"x", quern_f32(points, M, 3)}, {"y", quern_f32(points, N, 3)}),
                                (quern_outs){&result, 1}, &options);
    quern_operator_destroy(&op);
    return status;
}

static void running_in_blocks(void **state)
{
    (void)state;
    need_device();
    fail_each(run_in_blocks, 50);
}

static quern_status run_on_host(void)
{
    float out[3];
    quern_operator *op;
    quern_status status = quern_compile(&op, context, "x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y)))", NULL);
    context->options.host = QUERN_ON;
    if (!status)
        status = quern_run(op, QUERN_ARGS({"x", quern_f32(points, 3, 3)}, {"y", quern_f32(points, 3, 3)}),
                           quern_f32(out, 3, 1));
    context->options.host = QUERN_OFF;
    quern_operator_destroy(&op);
    return status;
}

static void running_on_the_host(void **state)
{
    (void)state;
    need_device();
    fail_each(run_on_host, 20);
}

static quern_status list_devices(void)
{
    quern_device *devices = NULL;
    quern_platform *platforms = NULL;
    size_t count;
    quern_status status = quern_devices(&devices, &count);
    if (!status) status = quern_platforms(&platforms, &count);
    quern_free(devices);
    quern_free(platforms);
    return status;
}

static void devices(void **state)
{
    (void)state;
    need_device();
    fail_each(list_devices, 4);
}

/* Lists, whose states are carried, and a sum, in blocks of a few rows; again with what was sorted before; in two members with ranges. */
static quern_status run_pruned(void)
{
    static float more[300 * 3];
    static float sums[M];
    static int64_t nearest[M * 9];
    const quern_pruning pruning = {.size = sizeof pruning, .relative = 1e-3, .use = QUERN_ON};
    const quern_span rows[] = {{0, 1}, {1, M}}, columns[] = {{0, 50}, {150, 300}};
    const int64_t first[] = {0, 1, 2}, offsets_i[] = {0, 1, M}, offsets_j[] = {0, 100, 300};
    const quern_ranges ranges = {2, rows, first, columns};
    quern_run_options options = {.size = sizeof options, .pruning = &pruning};
    quern_operator *op;
    for (size_t n = 0; n < Q_COUNT(more); n++) more[n] = (float)(n / 3) + (float)(n % 7);
    quern_status status =
        quern_compile(&op, context, "x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y))), ArgKMin_j(SqDist(x,y),9)", NULL);
    for (int turn = 0; turn < 3 && !status; turn++) {
        if (turn == 2) {
            options.ranges = &ranges, options.members = 2;
            options.offsets_i = offsets_i, options.offsets_j = offsets_j;
        }
        status = quern_run_with(op, QUERN_ARGS({"x", quern_f32(points, M, 3)}, {"y", quern_f32(more, 300, 3)}),
                                QUERN_OUTS(quern_f32(sums, M, 1), quern_view_of(nearest, QUERN_I64, M, 9)), &options);
    }
    quern_operator_destroy(&op);
    return status;
}

static void pruning(void **state)
{
    (void)state;
    need_device();
    fail_each(run_pruned, 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compiling),
        cmocka_unit_test(gradients),
        cmocka_unit_test(building),
        cmocka_unit_test(running),
        cmocka_unit_test(pruning),
        cmocka_unit_test(running_in_blocks),
        cmocka_unit_test(running_on_the_host),
        cmocka_unit_test(devices),
    };
    for (int k = 0; k < 3 * N; k++) points[k] = (float)(k * 37 % 101) / 101;
    return cmocka_run_group_tests(tests, open_context, close_context);
}
