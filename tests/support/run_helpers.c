/* run_helpers.c: see run_helpers.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quern/devices.h"
#include "run_helpers.h"

// ---- the device ----

quern_context *context;

int open_context(void **state)
{
    (void)state;
    const quern_context_options options = {.size = sizeof options, .host = QUERN_OFF};
    quern_status status = quern_context_create(&context, &options);
    if (status && status != QUERN_NO_DEVICE) fprintf(stderr, "no context: %s\n", quern_last_error_text());
    return status && status != QUERN_NO_DEVICE ? -1 : 0;
}

int close_context(void **state)
{
    (void)state;
    quern_context_destroy(&context);
    return context ? -1 : 0;
}

void need_device(void)
{
    if (!context) skip();
}

void need_type(quern_dtype dtype)
{
    need_device();
    if (dtype == QUERN_F64 && !quern_context_device(context)->f64) skip();
}

bool takes_lanes(void)
{
    return context->profile.lanes32 > 1;
}

// ---- operators ----

void succeed(quern_status status)
{
    if (status) fail_msg("%s: %s", quern_status_name(status), quern_last_error_text());
}

void check_near(double got, double expected, double tolerance)
{
    if (!(fabs(got - expected) <= tolerance)) fail_msg("%.12g is not %.12g, but %g off", got, expected, got - expected);
}

double uniform(void)
{
    return rand() / (double)RAND_MAX;
}

void expect_failure(quern_status got, quern_status status, const char *part)
{
    const quern_error *error = quern_last_error();
    if (got != status)
        fail_msg("%s, not %s: %s", quern_status_name(got), quern_status_name(status), quern_last_error_text());
    assert_int_equal(error->status, status);
    if (!strstr(error->message, part) && !strstr(error->next_step, part))
        fail_msg("'%s' is neither in the message '%s' nor in '%s'", part, error->message, error->next_step);
}

quern_operator *compile(const char *text, const quern_compile_options *options)
{
    quern_operator *op;
    if (quern_compile(&op, context, text, options)) fail_msg("%s: %s", text, quern_last_error_text());
    return op;
}

quern_graph *new_graph(void)
{
    quern_graph *graph;
    succeed(quern_graph_create(&graph));
    return graph;
}

quern_operator *check_text(const quern_graph *graph, quern_expr result, const char *text)
{
    quern_operator *built, *read;
    succeed(quern_compile_graph(&built, context, graph, QUERN_EXPRS(result), NULL));
    succeed(quern_compile(&read, context, text, NULL));
    assert_string_equal(quern_operator_text(built), quern_operator_text(read));
    quern_operator_destroy(&read);
    return built;
}

// ---- trials ----

enum { CANARY = 0x5a, CANARIES = 64 };

static int64_t rows_of(const trial *t, char axis)
{
    return axis == 'i' ? t->M : axis == 'j' ? t->N : 1;
}

static size_t variable_numbers(const trial *t, size_t v)
{
    quern_value value = quern_variable(t->op, v);
    return (size_t)(rows_of(t, value.axis) * value.dim);
}

size_t trial_result_count(const trial *t, size_t result)
{
    quern_value value = quern_result(t->op, result);
    return (size_t)(rows_of(t, value.axis) * value.dim);
}

static void *allocate(size_t bytes)
{
    void *memory = calloc(bytes + 1, 1);
    assert_non_null(memory);
    return memory;
}

trial trial_create(quern_operator *op, quern_dtype dtype, int64_t M, int64_t N, uint64_t seed)
{
    trial t = {.op = op, .dtype = dtype, .M = M, .N = N};
    random_source random = {seed};
    for (size_t v = 0; v < op->variable_count; v++) {
        size_t count = variable_numbers(&t, v);
        double *data = t.data[op->variables[v]] = allocate(count * sizeof(double));
        for (size_t n = 0; n < count; n++) data[n] = ((double)random_below(&random, 15) - 7) / 8;
    }
    return t;
}

double *trial_data(const trial *t, const char *name, size_t *count)
{
    for (size_t v = 0; v < t->op->variable_count; v++)
        if (strcmp(quern_variable(t->op, v).name, name) == 0) {
            *count = variable_numbers(t, v);
            return t->data[t->op->variables[v]];
        }
    fail_msg("the operator has no variable %s", name);
    return NULL;
}

/* The variable's numbers in the element type; those in `data` are rounded to it. */
static void *make_argument(trial *t, size_t v)
{
    size_t count = variable_numbers(t, v);
    double *data = t->data[t->op->variables[v]];
    char *array = allocate(count * q_element_size(t->dtype));
    for (size_t n = 0; n < count; n++) {
        float single = (float)data[n];
        if (t->dtype == QUERN_F32) data[n] = (double)single;
        memcpy(array + n * q_element_size(t->dtype), t->dtype == QUERN_F32 ? (void *)&single : (void *)&data[n],
               q_element_size(t->dtype));
    }
    return array;
}

static double number_at(const char *array, size_t n, quern_dtype dtype)
{
    float single;
    double number;
    int64_t index;
    memcpy(&single, array + n * q_element_size(dtype), sizeof single);
    if (dtype == QUERN_F32) return (double)single;
    memcpy(&number, array + n * q_element_size(dtype), sizeof number);
    memcpy(&index, &number, sizeof index);
    return dtype == QUERN_F64 ? number : (double)index;
}

static void check_canaries(const char *array, size_t bytes)
{
    for (size_t n = 0; n < CANARIES; n++)
        if (array[n] != CANARY || array[CANARIES + bytes + n] != CANARY)
            fail_msg("a run wrote %s the result", array[n] != CANARY ? "before" : "behind");
}

static void take_result(trial *t, size_t r, quern_view view, char *array)
{
    size_t count = trial_result_count(t, r);
    check_canaries(array, count * q_element_size(view.dtype));
    free(t->got[r]);
    t->got[r] = allocate(count * sizeof(double));
    for (size_t n = 0; n < count; n++) t->got[r][n] = number_at(view.data, n, view.dtype);
    free(array);
}

static char *make_result(const trial *t, size_t r, quern_view *view)
{
    quern_value value = quern_result(t->op, r);
    quern_dtype dtype = value.integer ? QUERN_I64 : t->dtype;
    size_t bytes = trial_result_count(t, r) * q_element_size(dtype) + 2 * CANARIES;
    char *array = allocate(bytes);
    memset(array, CANARY, bytes);
    *view = quern_view_of(array + CANARIES, dtype, rows_of(t, value.axis), value.dim);
    return array;
}

static quern_status run_arrays(const trial *t, const quern_arg *args, const quern_view *results)
{
    size_t variables = t->op->variable_count, count = quern_result_count(t->op);
    quern_args all = {args, variables, t->M, t->N};
    if (t->run) return t->run(t->op, all, (quern_outs){results, count});
    if (t->contexts) return quern_run_on(t->op, t->contexts, t->context_count, all, (quern_outs){results, count});
    if (t->options) return quern_run_with(t->op, all, (quern_outs){results, count}, t->options);
    if (!t->space) return quern_run_all(t->op, all, (quern_outs){results, count});
    quern_view views[Q_MAX_VARIABLES];
    for (size_t v = 0; v < variables; v++) views[v] = args[v].view;
    const q_space *spaces[Q_MAX_STAGES] = {t->space};
    return q_launch(&(q_run){t->op, t->op->build, t->M, t->N, t->M, t->N, t->dtype, views, results, spaces, 1, NULL});
}

quern_status trial_attempt(trial *t)
{
    quern_arg args[Q_MAX_VARIABLES];
    quern_view results[Q_MAX_RESULTS];
    char *arrays[Q_MAX_RESULTS];
    size_t variables = t->op->variable_count, count = quern_result_count(t->op);
    for (size_t v = 0; v < variables; v++) {
        quern_value value = quern_variable(t->op, v);
        args[v] =
            (quern_arg){value.name, quern_view_of(make_argument(t, v), t->dtype, rows_of(t, value.axis), value.dim)};
    }
    for (size_t r = 0; r < count; r++) arrays[r] = make_result(t, r, &results[r]);
    quern_status status = run_arrays(t, args, results);
    for (size_t r = 0; r < count; r++) {
        if (status) free(arrays[r]);
        else take_result(t, r, results[r], arrays[r]);
    }
    for (size_t v = 0; v < variables; v++) free(args[v].view.data);
    return status;
}

void trial_run(trial *t)
{
    if (trial_attempt(t)) fail_msg("%s: %s", quern_operator_text(t->op), quern_last_error_text());
}

static void explain_difference(const trial *t, size_t r, size_t n)
{
    const quern_compile_options *o = &t->op->options;
    fail_msg(
        "%s\n  result %zu number %zu is %.9g, not %.9g; M = %lld, N = %lld, %s; lanes %d, rows %d, local %d, split %d",
        quern_operator_text(t->op), r, n, t->got[r][n], t->expected[r][n], (long long)t->M, (long long)t->N,
        t->dtype == QUERN_F64 ? "float64" : "float32", o->lanes, o->rows, o->local, o->split);
}

static void compare_result(const trial *t, size_t r, double tolerance)
{
    const double *got = t->got[r], *expected = t->expected[r];
    double largest = 1;
    size_t count = trial_result_count(t, r);
    for (size_t n = 0; n < count; n++)
        if (isfinite(expected[n])) largest = fmax(largest, fabs(expected[n]));
    double allowed = quern_result(t->op, r).integer ? 0 : tolerance * largest;
    for (size_t n = 0; n < count; n++) {
        bool same = got[n] == expected[n] || (isnan(got[n]) && isnan(expected[n]));
        if (!same && !(isfinite(expected[n]) && fabs(got[n] - expected[n]) <= allowed)) explain_difference(t, r, n);
    }
}

/* For each pair whether the ranges have it. */
static uint8_t *met_by(const quern_ranges *ranges, int64_t M, int64_t N)
{
    uint8_t *met = allocate((size_t)(M * N));
    for (size_t k = 0; k < ranges->block_count; k++)
        for (int64_t i = ranges->rows[k].from; i < ranges->rows[k].to; i++)
            for (int64_t s = ranges->first[k]; s < ranges->first[k + 1]; s++)
                for (int64_t j = ranges->columns[s].from; j < ranges->columns[s].to; j++) met[i * N + j] = 1;
    return met;
}

void trial_compare(trial *t, double tolerance)
{
    size_t count = quern_result_count(t->op);
    for (size_t r = 0; r < count; r++) {
        free(t->expected[r]);
        t->expected[r] = allocate(trial_result_count(t, r) * sizeof(double));
    }
    const quern_ranges *ranges = t->options ? t->options->ranges : NULL;
    uint8_t *met = ranges ? met_by(ranges, t->M, t->N) : NULL;
    succeed(q_reference_with(&(q_rounding){.met = met}, t->op->graph, t->op->results, count, t->M, t->N,
                             (const double *const *)t->data, t->expected));
    free(met);
    for (size_t r = 0; r < count; r++) compare_result(t, r, tolerance);
}

void trial_destroy(trial *t)
{
    for (size_t v = 0; v < Q_MAX_VARIABLES; v++) free(t->data[v]);
    for (size_t r = 0; r < Q_MAX_RESULTS; r++) {
        free(t->got[r]);
        free(t->expected[r]);
    }
}

void trial_set(const trial *t, const char *name, double value)
{
    for (size_t v = 0; v < quern_variable_count(t->op); v++)
        if (!quern_variable(t->op, v).unused && !strcmp(quern_variable(t->op, v).name, name))
            t->data[t->op->variables[v]][0] = value;
}

// ---- values at given numbers ----

/* The numbers behind "NAME=" in "x=1,2 y=3", or all of a text for NAME null; returns how many. */
static size_t read_numbers(const char *text, const char *name, double *out, size_t most)
{
    const char *at = text;
    size_t count = 0, size = name ? strlen(name) : 0;
    for (; name && !(strncmp(at, name, size) == 0 && at[size] == '='); at++)
        if (!*at) fail_msg("no %s in %s", name, text);
    at += name ? size + 1 : 0;
    for (char *end; count < most; at = end + (*end == ',' || !name)) {
        out[count] = strtod(at, &end);
        if (end == at) break;
        count++;
        if (!*end || (name && *end != ',')) break;
    }
    return count;
}

/* A trial with these numbers. */
static trial trial_at(quern_operator *op, quern_dtype dtype, const char *data)
{
    trial t = {.op = op, .dtype = dtype};
    for (size_t v = 0; v < quern_variable_count(op); v++) {
        quern_value value = quern_variable(op, v);
        double unused[Q_MAX_VALUES], *numbers = unused;
        if (!value.unused) numbers = t.data[op->variables[v]] = allocate(Q_MAX_VALUES * sizeof *numbers);
        int64_t rows = (int64_t)read_numbers(data, value.name, numbers, Q_MAX_VALUES) / value.dim;
        if (value.axis == 'i') t.M = rows;
        if (value.axis == 'j') t.N = rows;
    }
    return t;
}

static void compare_with_text(const trial *t, const char *expected, double tolerance, const char *where)
{
    double numbers[Q_MAX_VALUES];
    size_t count = read_numbers(expected, NULL, numbers, Q_MAX_VALUES), n = 0;
    for (size_t r = 0; r < quern_result_count(t->op); r++)
        for (size_t k = 0; k < trial_result_count(t, r); k++, n++) {
            double got = t->got[r][k], allowed = tolerance * fabs(numbers[n]);
            bool same = got == numbers[n] || (isnan(got) && isnan(numbers[n]));
            if (n < count && (same || fabs(got - numbers[n]) <= allowed)) continue;
            fail_msg("%s\n  number %zu is %.9g, not one of %s; %s, %s", quern_operator_text(t->op), n, got, expected,
                     t->dtype == QUERN_F64 ? "float64" : "float32", where);
        }
    assert_int_equal(n, count);
}

void check_values(const char *formula, const char *data, const char *expected)
{
    for (int on_host = 0; on_host < 2; on_host++) {
        const quern_context_options options = {.size = sizeof options, .host = on_host ? QUERN_ON : QUERN_OFF};
        quern_context *own;
        quern_operator *op;
        succeed(quern_context_create(&own, &options));
        if (quern_compile(&op, own, formula, NULL)) fail_msg("%s: %s", formula, quern_last_error_text());
        for (int f64 = 0; f64 < 1 + quern_context_device(own)->f64; f64++) {
            trial t = trial_at(op, f64 ? QUERN_F64 : QUERN_F32, data);
            trial_run(&t);
            compare_with_text(&t, expected, f64 ? 1e-13 : 4e-6, on_host ? "on the host" : "on the device");
            trial_destroy(&t);
        }
        quern_operator_destroy(&op);
        quern_context_destroy(&own);
    }
}

void check_value_rows(const value_row *rows, size_t count)
{
    need_device();
    for (size_t n = 0; n < count; n++) check_values(rows[n].formula, rows[n].data, rows[n].expected);
}
