/*
 * run_formula.c: runs the formulas of tests/formulas.txt on a device and compares their results with the reference
 * evaluator, at sizes around those where the kernels' loops end:
 *
 *     run_formula FORMULAS [--only NAME] [--dtype f32|f64] [--device D] [--profile P] [--around W] [--size MxN]...
 *                 [--settings "COLUMN=VALUE..."] [--lanes L] [--local S] [--rows R] [--split P] [--length D]
 *
 * --around W: M and N in {0, 1, W-1, W, W+1, 2W+3}; --profile P: planned as for another kind of device; --settings:
 * with other values in that row of cl/profiles.txt; --length D: D in place of each @. Sizes are around 8 unless said otherwise. Prints an `ok` or `not ok`
 * line per formula, then `N passed, N failed`. Exit code 0 if none failed and some passed; 77 if the device lacks
 * float64.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helpers.h"
#include "run/run.h"

enum { MAX_SIZES = 64, EXIT_SKIPPED = 77, MESSAGE = 1024 };

typedef struct settings {
    const char *formulas, *only, *device, *profile, *length;
    quern_dtype dtype;
    quern_compile_options options;
    int64_t sizes[MAX_SIZES][2]; /* M and N */
    size_t count;
    quern_context *context;
} settings;

/* The arrays of one run: in double for the reference, in the run's element type for the device. */
typedef struct arrays {
    double *variables[Q_MAX_VARIABLES]; /* by variable of the graph */
    quern_arg args[Q_MAX_VARIABLES];    /* by variable of the operator */
    double *expected[Q_MAX_RESULTS];
    quern_view results[Q_MAX_RESULTS];
} arrays;

static char message[MESSAGE]; /* what is wrong with the present run */
static double worst;          /* error of the present formula */

#define FAIL(...) return snprintf(message, sizeof message, __VA_ARGS__), false

// ---- arrays ----

static int64_t rows_of(char axis, const int64_t *size)
{
    return axis == 'i' ? size[0] : axis == 'j' ? size[1] : 1;
}

static void *allocate(size_t numbers)
{
    void *data = calloc(numbers + 1, sizeof(double));
    if (!data) fprintf(stderr, "run_formula: out of memory\n"), exit(1);
    return data;
}

/* Numbers that both element types hold exactly, all positive: sums of few terms do not cancel out. */
static void make_variable(arrays *a, const quern_operator *op, size_t v, quern_dtype dtype, const int64_t *size,
                          random_source *random)
{
    quern_value value = quern_variable(op, v);
    int64_t rows = rows_of(value.axis, size);
    size_t numbers = (size_t)(rows * value.dim);
    double *data = a->variables[op->variables[v]] = allocate(numbers);
    void *given = allocate(numbers);
    for (size_t n = 0; n < numbers; n++) {
        float x = (float)random_between(random, 0.1, 1.1);
        data[n] = x;
        if (dtype == QUERN_F64) ((double *)given)[n] = x;
        else ((float *)given)[n] = x;
    }
    a->args[v] = (quern_arg){value.name, quern_view_of(given, dtype, rows, value.dim)};
}

static void make_result(arrays *a, const quern_operator *op, size_t r, quern_dtype dtype, const int64_t *size)
{
    quern_value value = quern_result(op, r);
    int64_t rows = rows_of(value.axis, size);
    size_t numbers = (size_t)(rows * value.dim);
    a->expected[r] = allocate(numbers);
    a->results[r] = quern_view_of(allocate(numbers), value.integer ? QUERN_I64 : dtype, rows, value.dim);
}

static void free_arrays(arrays *a)
{
    for (size_t v = 0; v < Q_MAX_VARIABLES; v++) free(a->variables[v]), free(a->args[v].view.data);
    for (size_t r = 0; r < Q_MAX_RESULTS; r++) free(a->expected[r]), free(a->results[r].data);
}

// ---- judging ----

static double number_at(const quern_view *view, size_t n)
{
    if (view->dtype == QUERN_I64) return (double)((const int64_t *)view->data)[n];
    return view->dtype == QUERN_F64 ? ((const double *)view->data)[n] : (double)((const float *)view->data)[n];
}

static bool agrees(const quern_view *got, const double *expected, size_t result)
{
    size_t count = (size_t)(got->rows * got->columns);
    double largest = 0, error = 0, bound = got->dtype == QUERN_I64 ? 0 : got->dtype == QUERN_F64 ? 1e-13 : 5e-6;
    for (size_t n = 0; n < count; n++) {
        double g = number_at(got, n), e = expected[n], difference = isfinite(e) ? fabs(g - e) : 0;
        bool special = !isfinite(e) && !(g == e || (isnan(g) && isnan(e)));
        if (special || isnan(difference)) FAIL("result %zu, number %zu is %g, not %g", result, n, g, e);
        if (isfinite(e)) largest = fmax(largest, fabs(e));
        error = fmax(error, difference);
    }
    if (got->dtype != QUERN_I64 && largest > 0) error /= largest;
    worst = fmax(worst, error);
    if (error > bound) FAIL("result %zu has a relative error of %g", result, error);
    return true;
}

static bool run_and_compare(arrays *a, quern_operator *op, const int64_t *size)
{
    quern_args args = {a->args, op->variable_count, size[0], size[1]};
    if (quern_run_all(op, args, (quern_outs){a->results, op->result_count})) FAIL("%s", quern_last_error_text());
    if (q_reference(op->graph, op->results, op->result_count, size[0], size[1], (const double *const *)a->variables,
                    a->expected))
        FAIL("reference: %s", quern_last_error_text());
    for (size_t r = 0; r < op->result_count; r++)
        if (!agrees(&a->results[r], a->expected[r], r)) return false;
    return true;
}

static bool run_size(const settings *s, quern_operator *op, const int64_t *size)
{
    arrays a = {.expected = {NULL}};
    random_source random = {(uint64_t)(1000 * size[0] + size[1])};
    for (size_t v = 0; v < op->variable_count; v++) make_variable(&a, op, v, s->dtype, size, &random);
    for (size_t r = 0; r < op->result_count; r++) make_result(&a, op, r, s->dtype, size);
    bool good = run_and_compare(&a, op, size);
    free_arrays(&a);
    return good;
}

// ---- the loop ----

static bool run_formula(const settings *s, const char *name, const char *formula)
{
    quern_operator *op = NULL;
    bool good = !quern_compile(&op, s->context, formula, &s->options);
    worst = 0;
    if (!good) printf("not ok - %s: %s\n", name, quern_last_error_text());
    for (size_t n = 0; n < s->count && good; n++) {
        good = run_size(s, op, s->sizes[n]);
        if (!good)
            printf("not ok - %s, %lld x %lld: %s\n", name, (long long)s->sizes[n][0], (long long)s->sizes[n][1],
                   message);
    }
    if (good) printf("ok - %s: %zu sizes, largest error %.1e\n", name, s->count, worst);
    fflush(stdout);
    quern_operator_destroy(&op);
    return good;
}

/* The formula with the length in place of each @. */
static char *with_length(const settings *s, const char *formula)
{
    q_text text = {0};
    for (; *formula; formula++)
        if (*formula == '@' && s->length) q_text_add(&text, "%s", s->length);
        else q_text_append(&text, formula, 1);
    return q_text_take(&text);
}

static int run_all(const settings *s, char *text)
{
    int passed = 0, failed = 0;
    for (char *line = text, *end; *line; line = end) {
        end = line + strcspn(line, "\n");
        if (*end) *end++ = 0;
        char *colon = strchr(line, ':');
        if (*line == '#' || !colon) continue;
        *colon = 0;
        if (s->only && strcmp(s->only, line) != 0) continue;
        char *formula = with_length(s, colon + 1);
        if (run_formula(s, line, formula)) passed++;
        else failed++;
        free(formula);
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed || !passed;
}

static bool add_size(settings *s, int64_t M, int64_t N)
{
    if (s->count == MAX_SIZES || M < 0 || N < 0) return false;
    s->sizes[s->count][0] = M;
    s->sizes[s->count++][1] = N;
    return true;
}

static bool add_around(settings *s, int64_t width)
{
    int64_t sizes[] = {0, 1, width - 1, width, width + 1, 2 * width + 3};
    bool good = true;
    for (size_t i = 0; i < Q_COUNT(sizes); i++)
        for (size_t j = 0; j < Q_COUNT(sizes); j++) good = good && add_size(s, sizes[i], sizes[j]);
    return good;
}

/* Takes one option with its value; false if there is none of this name or the value is no good. */
static bool set_option(settings *s, const char *name, const char *value)
{
    int number = atoi(value);
    long long M, N;
    if (strcmp(name, "--only") == 0) s->only = value;
    else if (strcmp(name, "--device") == 0) s->device = value;
    else if (strcmp(name, "--profile") == 0) s->profile = value;
    else if (strcmp(name, "--length") == 0) s->length = value;
    else if (strcmp(name, "--settings") == 0) s->options.profile = value;
    else if (strcmp(name, "--lanes") == 0) s->options.lanes = number;
    else if (strcmp(name, "--local") == 0) s->options.local = number;
    else if (strcmp(name, "--rows") == 0) s->options.rows = number;
    else if (strcmp(name, "--split") == 0) s->options.split = number;
    else if (strcmp(name, "--dtype") == 0 && strcmp(value, "f32") == 0) s->dtype = QUERN_F32;
    else if (strcmp(name, "--dtype") == 0 && strcmp(value, "f64") == 0) s->dtype = QUERN_F64;
    else if (strcmp(name, "--around") == 0) return add_around(s, number);
    else if (strcmp(name, "--size") == 0) return sscanf(value, "%lldx%lld", &M, &N) == 2 && add_size(s, M, N);
    else return false;
    return true;
}

static bool read_arguments(settings *s, int argc, char **argv)
{
    for (int a = 1; a < argc; a++) {
        if (argv[a][0] != '-' && !s->formulas) s->formulas = argv[a];
        else if (a + 1 < argc && set_option(s, argv[a], argv[a + 1])) a++;
        else return false;
    }
    if (!s->count) add_around(s, 8);
    return s->formulas != NULL;
}

static int run_on_device(settings *s)
{
    char *text;
    size_t bytes;
    quern_context_options options = {.size = sizeof options, .device = s->device, .host = QUERN_OFF};
    if (q_read_file(s->formulas, &text, &bytes) || quern_context_create(&s->context, &options))
        return fprintf(stderr, "run_formula: %s\n", quern_last_error_text()), 1;
    int code = EXIT_SKIPPED;
    if (s->profile && !q_profile_find(&s->context->profile, s->profile))
        code = (fprintf(stderr, "run_formula: there is no profile %s\n", s->profile), 2);
    else if (s->dtype == QUERN_F64 && !quern_context_device(s->context)->f64)
        printf("skip all: %s has no float64\n0 passed, 0 failed, 1 skipped\n", quern_context_device(s->context)->name);
    else code = run_all(s, text);
    free(text);
    quern_context_destroy(&s->context);
    return code;
}

int main(int argc, char **argv)
{
    settings s = {.dtype = QUERN_F32, .options = {.size = sizeof(quern_compile_options)}};
    if (read_arguments(&s, argc, argv)) return run_on_device(&s);
    fprintf(stderr, "usage: run_formula FORMULAS [--only NAME] [--dtype f32|f64] [--device D] [--profile P] "
                    "[--settings \"COLUMN=VALUE...\"] [--around W] [--size MxN]... [--lanes L] [--local S] "
                    "[--rows R] [--split P] [--length D]\n");
    return 2;
}
