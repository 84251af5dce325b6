/*
 * test_null.c: every public function with null handles, places, texts and lists: USAGE, or what stands for nothing, and
 * never a crash. The table below has a row for each function of the headers, which the test compares with them; those of
 * cluster.h are in test_cluster.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quern/array.h"
#include "quern/build.h"
#include "quern/cache.h"
#include "quern/devices.h"
#include "quern/npy.h"
#include "quern/tune.h"
#include "run_helpers.h"

static quern_operator *one; /* p=Pm(1); p*p, without a context */
static quern_graph *graph;
static quern_expr leaf;

static void usage(quern_status status)
{
    expect_failure(status, QUERN_USAGE, "");
    assert_true(*quern_last_error()->message);
}

/* The graph has failed with USAGE; there is a new one afterwards. */
static void failed(quern_expr a)
{
    assert_int_equal(a, 0);
    usage(quern_graph_status(graph));
    quern_graph_destroy(&graph);
    graph = new_graph();
    leaf = quern_pm(graph, "p", 1);
}

/* One call is all. */
#define ONE(function, call)           \
    static void null_##function(void) \
    {                                 \
        call;                         \
    }

/* ---- quern.h ---- */

ONE(last_error, assert_non_null(quern_last_error()))
ONE(last_error_text, assert_non_null(quern_last_error_text()))
ONE(status_name, assert_non_null(quern_status_name((quern_status)-1)))
ONE(status_text, assert_non_null(quern_status_text((quern_status)-1)))
ONE(version, assert_string_equal(quern_version(), QUERN_VERSION))
ONE(free, quern_free(NULL))
ONE(error_set, usage(quern_error_set(NULL)))

static void null_devices(void)
{
    quern_device *list;
    size_t count;
    usage(quern_devices(NULL, &count));
    usage(quern_devices(&list, NULL));
}

static void null_platforms(void)
{
    quern_platform *list;
    size_t count;
    usage(quern_platforms(NULL, &count));
    usage(quern_platforms(&list, NULL));
}

static void null_device_fits(void)
{
    const quern_device device = {.selector = "0:0"};
    assert_false(quern_device_fits(NULL, "gpu"));
    assert_false(quern_device_fits(&device, NULL));
}

ONE(context_create, usage(quern_context_create(NULL, NULL)))

static void null_context_destroy(void)
{
    quern_context *none = NULL;
    quern_context_destroy(NULL);
    quern_context_destroy(&none);
    quern_context_destroy(&none);
}

ONE(context_device, assert_null(quern_context_device(NULL)))
ONE(context_profile, assert_string_equal(quern_context_profile(NULL), ""))

static void null_compile(void)
{
    quern_operator *op = one;
    usage(quern_compile(NULL, NULL, "1", NULL));
    usage(quern_compile(&op, NULL, NULL, NULL));
    assert_null(op);
}

static void null_gradient(void)
{
    quern_operator *op = one;
    usage(quern_gradient(NULL, one, "p", NULL));
    usage(quern_gradient(&op, one, NULL, NULL));
    assert_null(op);
    op = one;
    usage(quern_gradient(&op, NULL, "p", NULL));
    assert_null(op);
}

static void null_operator_destroy(void)
{
    quern_operator *none = NULL;
    quern_operator_destroy(NULL);
    quern_operator_destroy(&none);
    quern_operator_destroy(&none);
}

ONE(variable_count, assert_int_equal(quern_variable_count(NULL), 0))
ONE(result_count, assert_int_equal(quern_result_count(NULL), 0))
ONE(variable, assert_null(quern_variable(NULL, 0).name))
ONE(result, assert_null(quern_result(NULL, 0).name))
ONE(operator_text, assert_string_equal(quern_operator_text(NULL), ""))

static void null_run(void)
{
    float a;
    usage(quern_run(NULL, (quern_args){0}, quern_f32(&a, 1, 1)));
    usage(quern_run(one, (quern_args){0}, quern_f32(&a, 1, 1))); /* no context */
}

static void null_run_all(void)
{
    float a;
    quern_view to = quern_f32(&a, 1, 1);
    quern_operator *op;
    usage(quern_run_all(NULL, (quern_args){0}, (quern_outs){&to, 1}));
    if (!context) return;
    op = compile("p=Pm(1); p*p", NULL);
    usage(quern_run_all(op, (quern_args){NULL, 1, 0, 0}, (quern_outs){&to, 1}));
    usage(quern_run_all(op, QUERN_ARGS({NULL, quern_number(1)}), (quern_outs){&to, 1}));
    usage(quern_run_all(op, QUERN_ARGS({"p", quern_f32(NULL, 1, 1)}), (quern_outs){&to, 1}));
    usage(quern_run_all(op, QUERN_ARGS({"p", quern_number(1)}), (quern_outs){NULL, 1}));
    to.data = NULL;
    usage(quern_run_all(op, QUERN_ARGS({"p", quern_number(1)}), (quern_outs){&to, 1}));
    quern_operator_destroy(&op);
}

static void null_run_in(void)
{
    float a;
    quern_view to = quern_f32(&a, 1, 1);
    quern_operator *op;
    usage(quern_run_in(NULL, context, (quern_args){0}, (quern_outs){&to, 1}));
    if (!context) return;
    op = compile("p=Pm(1); p*p", NULL);
    usage(quern_run_in(op, NULL, QUERN_ARGS({"p", quern_number(1)}), (quern_outs){&to, 1}));
    usage(quern_run_in(op, context, QUERN_ARGS({"p", quern_number(1)}), (quern_outs){NULL, 1}));
    quern_operator_destroy(&op);
}

static void null_prepare(void)
{
    usage(quern_prepare(NULL, QUERN_F32, 1, 1));
    usage(quern_prepare(one, QUERN_F32, 1, 1));
}

static void null_explain(void)
{
    char *text = (char *)&text;
    usage(quern_explain(one, NULL, NULL));
    usage(quern_explain(NULL, NULL, &text));
    assert_null(text);
}

/* ---- build.h ---- */

static void null_graph_create(void)
{
    usage(quern_graph_create(NULL));
}

static void null_graph_destroy(void)
{
    quern_graph *none = NULL;
    quern_graph_destroy(NULL);
    quern_graph_destroy(&none);
    quern_graph_destroy(&none);
}

static void null_graph_status(void)
{
    usage(quern_graph_status(NULL));
}

static void null_compile_graph(void)
{
    quern_operator *op = one;
    usage(quern_compile_graph(NULL, NULL, graph, QUERN_EXPRS(leaf), NULL));
    usage(quern_compile_graph(&op, NULL, NULL, QUERN_EXPRS(leaf), NULL));
    usage(quern_compile_graph(&op, NULL, graph, (quern_exprs){NULL, 1}, NULL));
    usage(quern_compile_graph(&op, NULL, graph, QUERN_NO_EXPRS, NULL));
    assert_null(op);
}

#define DECLARES(function)                                   \
    static void null_##function(void)                        \
    {                                                        \
        assert_int_equal(quern_##function(NULL, "x", 1), 0); \
        failed(quern_##function(graph, NULL, 1));            \
    }
#define MAKES(function)                              \
    static void null_##function(void)                \
    {                                                \
        assert_int_equal(quern_##function(NULL), 0); \
    }
#define TAKES1(function)                                \
    static void null_##function(void)                   \
    {                                                   \
        assert_int_equal(quern_##function(NULL, 1), 0); \
        failed(quern_##function(graph, 0));             \
    }
#define TAKES2(function)                                   \
    static void null_##function(void)                      \
    {                                                      \
        assert_int_equal(quern_##function(NULL, 1, 1), 0); \
        failed(quern_##function(graph, 0, leaf));          \
        failed(quern_##function(graph, leaf, 0));          \
    }

static void null_literal(void)
{
    assert_int_equal(quern_literal(NULL, 1), 0);
}

static void null_formula(void)
{
    assert_int_equal(quern_formula(NULL, "1"), 0);
    failed(quern_formula(graph, NULL));
}

static void null_name(void)
{
    assert_int_equal(quern_name(NULL, "a", 1), 0);
    failed(quern_name(graph, NULL, leaf));
    failed(quern_name(graph, "a", 0));
}

static void null_length(void)
{
    assert_int_equal(quern_length(NULL, 1), 0);
    assert_int_equal(quern_length(graph, 0), 0);
}

static void null_apply(void)
{
    assert_int_equal(quern_apply(NULL, "Exp", QUERN_EXPRS(1), QUERN_NO_INTEGERS), 0);
    failed(quern_apply(graph, NULL, QUERN_EXPRS(leaf), QUERN_NO_INTEGERS));
    failed(quern_apply(graph, "Exp", QUERN_EXPRS(0), QUERN_NO_INTEGERS));
    failed(quern_apply(graph, "Exp", (quern_exprs){NULL, 1}, QUERN_NO_INTEGERS));
    failed(quern_apply(graph, "Elem", QUERN_EXPRS(leaf), (quern_integers){NULL, 1}));
}

static void null_apply_lists(void)
{
    assert_int_equal(quern_apply_lists(NULL, "Kron", QUERN_EXPRS(1, 1), (quern_lists){0}), 0);
    failed(quern_apply_lists(graph, NULL, QUERN_EXPRS(leaf, leaf), (quern_lists){0}));
    failed(quern_apply_lists(graph, "Kron", QUERN_EXPRS(leaf, leaf), (quern_lists){NULL, 2}));
    failed(quern_apply_lists(graph, "Kron", QUERN_EXPRS(leaf, leaf), QUERN_LISTS({NULL, 1}, {NULL, 1})));
}

static void null_extract(void)
{
    assert_int_equal(quern_extract(NULL, 1, 0, 1), 0);
    failed(quern_extract(graph, 0, 0, 1));
}

static void null_gather(void)
{
    assert_int_equal(quern_gather(NULL, 1, 1, 1), 0);
    failed(quern_gather(graph, 0, leaf, 1));
    failed(quern_gather(graph, leaf, 0, 1));
}

static void null_grad(void)
{
    assert_int_equal(quern_grad(NULL, 1, 1, 1), 0);
    failed(quern_grad(graph, 0, leaf, leaf));
    failed(quern_grad(graph, leaf, 0, leaf));
    failed(quern_grad(graph, leaf, leaf, 0));
}

static void null_language(void)
{
    assert_false(quern_language(0, NULL));
}

DECLARES(vi)
DECLARES(vj)
DECLARES(pm)
MAKES(index_i)
MAKES(index_j)
TAKES2(add)
TAKES2(subtract)
TAKES2(multiply)
TAKES2(divide)
TAKES1(negate)
TAKES1(exp)
TAKES1(log)
TAKES1(sqrt)
TAKES1(square)
TAKES2(sqdist)
TAKES2(scalprod)
TAKES1(norm2)
TAKES1(sum_components)
TAKES2(concat)
TAKES2(gather_i)
TAKES2(gather_j)
TAKES1(sum_i)
TAKES1(sum_j)
TAKES1(min_i)
TAKES1(min_j)
TAKES1(argmin_i)
TAKES1(argmin_j)
TAKES1(max_i)
TAKES1(max_j)
TAKES1(argmax_i)
TAKES1(argmax_j)
TAKES1(logsumexp_i)
TAKES1(logsumexp_j)

/* ---- cache.h, npy.h, tune.h ---- */

static void null_cache_look(void)
{
    usage(quern_cache_look(NULL));
}

static void null_cache_clear(void)
{
}

static void null_npy_read(void)
{
    quern_view view;
    usage(quern_npy_read(NULL, "x.npy"));
    usage(quern_npy_read(&view, NULL));
}

static void null_npy_read_stream(void)
{
    quern_view view;
    usage(quern_npy_read_stream(NULL, stdin, "x.npy", NULL));
    usage(quern_npy_read_stream(&view, NULL, "x.npy", NULL));
    usage(quern_npy_read_stream(&view, stdin, NULL, NULL));
}

static void null_npy_map(void)
{
    quern_view view;
    usage(quern_npy_map(NULL, "x.npy", NULL));
    usage(quern_npy_map(&view, NULL, NULL));
}

static void null_npy_drop(void)
{
    quern_npy_drop(NULL);
    quern_npy_drop(&(quern_view){0});
}

static void null_npy_unmap(void)
{
    quern_npy_unmap(NULL);
    quern_npy_unmap(&(quern_view){0});
}

static void null_npy_write(void)
{
    usage(quern_npy_write(NULL, quern_f32(NULL, 0, 1)));
    usage(quern_npy_write("/dev/null", quern_f32(NULL, 1, 1)));
}

static void null_npy_write_stream(void)
{
    usage(quern_npy_write_stream(NULL, quern_f32(NULL, 0, 1)));
    usage(quern_npy_write_stream(stdout, quern_f32(NULL, 1, 1)));
}

static void null_tune(void)
{
    quern_tuning *tuning = (quern_tuning *)&tuning;
    usage(quern_tune(NULL, NULL, NULL));
    usage(quern_tune(&tuning, NULL, NULL));
    assert_null(tuning);
}

static void null_wait(void)
{
    usage(quern_wait(NULL));
}

/* ---- array.h ---- */

static void null_array_create(void)
{
    quern_array *array = (quern_array *)&array;
    usage(quern_array_create(NULL, NULL, QUERN_F32, 1, 1));
    usage(quern_array_create(&array, NULL, QUERN_F32, 1, 1));
    assert_null(array);
}

static void null_array_from(void)
{
    quern_array *array = (quern_array *)&array;
    usage(quern_array_from(NULL, NULL, quern_f32(NULL, 0, 1)));
    usage(quern_array_from(&array, NULL, quern_f32(NULL, 0, 1)));
    assert_null(array);
    if (!context) return;
    usage(quern_array_from(&array, context, quern_f32(NULL, 1, 1)));
    assert_null(array);
}

static void null_array_wrap(void)
{
    quern_array *array = (quern_array *)&array;
    usage(quern_array_wrap(NULL, NULL, NULL, QUERN_F32, 1, 1));
    usage(quern_array_wrap(&array, NULL, NULL, QUERN_F32, 1, 1));
    assert_null(array);
    if (context) usage(quern_array_wrap(&array, context, NULL, QUERN_F32, 1, 1));
}

static void null_array_destroy(void)
{
    quern_array *array = NULL;
    quern_array_destroy(NULL);
    quern_array_destroy(&array);
}

static void null_array_view(void)
{
    assert_int_equal(quern_array_view(NULL).rows, 0);
    assert_null(quern_array_view(NULL).array);
}

static void null_view_rows(void)
{
    assert_null(quern_view_rows(quern_f32(NULL, 0, 1), 0, 0).data);
}

static void null_view_columns(void)
{
    assert_null(quern_view_columns(quern_f32(NULL, 0, 1), 0, 1).data);
}

static void null_array_write(void)
{
    usage(quern_array_write(NULL, quern_f32(NULL, 0, 1)));
}

static void null_array_read(void)
{
    usage(quern_array_read(NULL, quern_f32(NULL, 0, 1)));
}

static void null_copy(void)
{
    usage(quern_copy(NULL, quern_f32(NULL, 0, 1), quern_f32(NULL, 0, 1)));
    if (context) usage(quern_copy(context, quern_f32(NULL, 0, 1), quern_f32(NULL, 0, 1)));
}

static void null_array_fill(void)
{
    usage(quern_array_fill(NULL, 0));
}

static void null_array_opencl(void)
{
    assert_null(quern_array_opencl(NULL));
}

static void null_context_opencl(void)
{
    assert_null(quern_context_opencl(NULL));
}

static void null_context_opencl_queue(void)
{
    assert_null(quern_context_opencl_queue(NULL));
}

/* ---- devices.h ---- */

static void null_run_on(void)
{
    float a;
    quern_view to = quern_f32(&a, 1, 1);
    quern_context *none = NULL;
    usage(quern_run_on(NULL, &context, 1, (quern_args){0}, (quern_outs){&to, 1}));
    usage(quern_run_on(one, NULL, 1, (quern_args){0}, (quern_outs){&to, 1}));
    usage(quern_run_on(one, &none, 1, (quern_args){0}, (quern_outs){&to, 1}));
    usage(quern_run_on(one, NULL, 0, (quern_args){0}, (quern_outs){&to, 1}));
    if (context) usage(quern_run_on(one, &context, 1, QUERN_ARGS({"p", quern_number(1)}), (quern_outs){NULL, 1}));
}

/* ---- all of them ---- */

// clang-format off
#define ROW(function) {"quern_" #function, null_##function}

static const struct {
    const char *name;
    void (*call)(void);
} functions[] = {
    ROW(last_error), ROW(last_error_text), ROW(status_name), ROW(status_text), ROW(version), ROW(free), ROW(error_set),
    ROW(devices), ROW(platforms), ROW(device_fits), ROW(context_create), ROW(context_destroy), ROW(context_device),
    ROW(context_profile), ROW(wait),
    ROW(compile), ROW(gradient), ROW(operator_destroy), ROW(variable_count), ROW(result_count), ROW(variable),
    ROW(result), ROW(operator_text), ROW(run), ROW(run_all), ROW(run_in), ROW(prepare), ROW(explain), ROW(graph_create),
    ROW(graph_destroy), ROW(graph_status), ROW(compile_graph), ROW(vi), ROW(vj), ROW(pm), ROW(literal),
    ROW(index_i), ROW(index_j), ROW(formula), ROW(name), ROW(length), ROW(apply), ROW(apply_lists), ROW(add),
    ROW(subtract), ROW(multiply), ROW(divide), ROW(negate), ROW(exp), ROW(log), ROW(sqrt), ROW(square), ROW(sqdist),
    ROW(scalprod), ROW(norm2), ROW(sum_components), ROW(extract), ROW(concat), ROW(gather), ROW(gather_i), ROW(gather_j), ROW(sum_i), ROW(sum_j), ROW(min_i),
    ROW(min_j), ROW(argmin_i), ROW(argmin_j), ROW(max_i), ROW(max_j), ROW(argmax_i), ROW(argmax_j),
    ROW(logsumexp_i), ROW(logsumexp_j), ROW(grad), ROW(language), ROW(cache_look), ROW(cache_clear), ROW(npy_read), ROW(npy_read_stream), ROW(npy_map), ROW(npy_drop), ROW(npy_unmap),
    ROW(npy_write), ROW(npy_write_stream), ROW(tune),
    ROW(array_create), ROW(array_from), ROW(array_wrap), ROW(array_destroy), ROW(array_view), ROW(view_rows),
    ROW(view_columns), ROW(array_write), ROW(array_read), ROW(copy), ROW(array_fill), ROW(array_opencl),
    ROW(context_opencl), ROW(context_opencl_queue), ROW(run_on),
};
// clang-format on

static void null_is_usage(void **state)
{
    (void)state;
    succeed(quern_compile(&one, NULL, "p=Pm(1); p*p", NULL));
    graph = new_graph();
    leaf = quern_pm(graph, "p", 1);
    for (size_t f = 0; f < Q_COUNT(functions); f++) functions[f].call();
    quern_graph_destroy(&graph);
    quern_operator_destroy(&one);
}

static bool is_walked(const char *name, size_t size)
{
    for (size_t f = 0; f < Q_COUNT(functions); f++)
        if (strlen(functions[f].name) == size && !memcmp(functions[f].name, name, size)) return true;
    return false;
}

/* The name before the bracket of each declaration that is exported. */
static size_t check_header(const char *name)
{
    char *path = test_path(name), *text;
    size_t size, count = 0;
    succeed(q_read_file(path, &text, &size));
    for (const char *at = text; (at = strstr(at, "\nQUERN_API ")); at++, count++) {
        const char *end = at + strcspn(at, "("), *start = end;
        while (start[-1] != ' ' && start[-1] != '*') start--;
        if (!is_walked(start, (size_t)(end - start)))
            fail_msg("%.*s of %s has no row here", (int)(end - start), start, name);
    }
    free(text);
    free(path);
    return count;
}

static void no_function_is_left_out(void **state)
{
    (void)state;
    size_t count = 0;
    static const char *const headers[] = {
        "../include/quern.h",      "../include/quern/build.h", "../include/quern/cache.h",  "../include/quern/npy.h",
        "../include/quern/tune.h", "../include/quern/array.h", "../include/quern/devices.h"};
    for (size_t h = 0; h < Q_COUNT(headers); h++) count += check_header(headers[h]);
    assert_int_equal(count, Q_COUNT(functions));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(null_is_usage),
        cmocka_unit_test(no_function_is_left_out),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
