/*
 * conformance.c: runs a directory of cases (tests/conformance/README.md tells their format) through quern's public
 * API on a device, or through the reference evaluator:
 *
 *     conformance DIR [--dtype f32|f64] [--device D|host|reference] [--lanes L] [--local S] [--rows R] [--split P]
 *                 [--every K] [--verbose]
 *
 * Prints a line for each case that fails or is not supported yet, then `N passed, N failed` and, if there are
 * unsupported ones, `, N skipped`. Exit code 0 if none failed and some passed; 77 if the device lacks float64, so
 * that all were skipped.
 */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/run.h"

enum { MAX_VARIABLES = 16, MESSAGE = 4096, EXIT_SKIPPED = 77 };

typedef enum verdict { PASSED, FAILED, SKIPPED, VERDICTS } verdict;

typedef struct matrix {
    char name[16];
    char axis;
    int64_t rows, columns;
    double *data;
} matrix;

typedef struct test_case {
    char *text, *formula;
    int64_t M, N;
    matrix variables[MAX_VARIABLES], expected;
    size_t count;
} test_case;

typedef struct settings {
    const char *directory, *device;
    quern_dtype dtype;
    quern_compile_options options;
    bool verbose, reference;
    int every; /* one case of so many; 0: all */
    quern_context *context;
} settings;

static char message[MESSAGE]; /* what is wrong with the present case */

#define FAIL(...) return snprintf(message, sizeof message, __VA_ARGS__), FAILED

// ---- reading ----

static bool read_numbers(char **at, matrix *out)
{
    size_t count = (size_t)(out->rows * out->columns);
    out->data = calloc(count + 1, sizeof(double));
    for (size_t n = 0; out->data && n < count; n++) {
        char *end;
        out->data[n] = strtod(*at, &end);
        if (end == *at) return false;
        *at = end;
    }
    *at += strspn(*at, "\r\n");
    return out->data != NULL;
}

static bool read_matrix(char **at, test_case *c)
{
    int used = 0;
    long long rows, columns;
    matrix *m = *at[0] == 'v' ? &c->variables[c->count] : &c->expected;
    if (m != &c->expected && ++c->count == MAX_VARIABLES) return false;
    if (sscanf(*at, "var %15s %c %lld %lld%n", m->name, &m->axis, &rows, &columns, &used) < 4 &&
        sscanf(*at, "expect %lld %lld%n", &rows, &columns, &used) < 2)
        return false;
    if (rows < 0 || rows > 1000000 || columns < 1 || columns > Q_MAX_DIM) return false;
    m->rows = rows;
    m->columns = columns;
    *at += used;
    return read_numbers(at, m);
}

static bool read_case(const char *path, test_case *c)
{
    static const char head[] = "quern-case 1\nformula ";
    size_t size;
    long long M, N;
    int used = 0;
    if (q_read_file(path, &c->text, &size) || strncmp(c->text, head, sizeof head - 1) != 0) return false;
    c->formula = c->text + sizeof head - 1;
    char *at = c->formula + strcspn(c->formula, "\n");
    if (!*at) return false;
    *at++ = 0;
    if (sscanf(at, "sizes %lld %lld\n%n", &M, &N, &used) < 2) return false;
    c->M = M, c->N = N;
    at += used;
    while (*at == 'v' || (*at == 'e' && !c->expected.data && at[1] == 'x'))
        if (!read_matrix(&at, c)) return false;
    return c->expected.data && strncmp(at, "end", 3) == 0;
}

static void free_case(test_case *c)
{
    for (size_t v = 0; v < c->count; v++) free(c->variables[v].data);
    free(c->expected.data);
    free(c->text);
}

static const matrix *find_variable(const test_case *c, const char *name)
{
    for (size_t v = 0; v < c->count; v++)
        if (strcmp(c->variables[v].name, name) == 0) return &c->variables[v];
    return NULL;
}

// ---- judging ----

/* A formula that cannot be compiled is unsupported if it names a function or has a list, which are still to come. */
static verdict refused(quern_status status)
{
    const quern_error *error = quern_last_error();
    static const char unknown[] = "there is no function ";
    snprintf(message, sizeof message, "%s", error->message);
    bool list = status == QUERN_SYNTAX && error->at >= 0 && error->formula[error->at] == '[';
    bool function = status == QUERN_NAME && strncmp(message, unknown, sizeof unknown - 1) == 0;
    return list || function || status == QUERN_UNSUPPORTED ? SKIPPED : FAILED;
}

static verdict check_shape(const test_case *c, char axis, int64_t dim)
{
    const matrix *expected = &c->expected;
    int64_t rows = axis == 'i' ? c->M : axis == 'j' ? c->N : 1;
    if (rows == expected->rows && dim == expected->columns) return PASSED;
    FAIL("the result is %lld x %lld, expected %lld x %lld", (long long)rows, (long long)dim, (long long)expected->rows,
         (long long)expected->columns);
}

static verdict compare(const settings *s, const test_case *c, const double *got, bool integer)
{
    double largest = 0, error = 0, bound = integer ? 0 : s->dtype == QUERN_F64 ? 1e-9 : 1e-4;
    for (size_t n = 0; n < (size_t)(c->expected.rows * c->expected.columns); n++) {
        double expected = c->expected.data[n], difference = got[n] == expected ? 0 : fabs(got[n] - expected);
        error = isnan(difference) ? INFINITY : fmax(error, difference);
        largest = fmax(largest, fabs(expected));
    }
    if (largest > 0 && !integer) error /= largest;
    snprintf(message, sizeof message, "error %.2g, allowed %.2g", error, bound);
    return error <= bound ? PASSED : FAILED;
}

// ---- on the host ----

static verdict evaluate_on_host(const settings *s, const test_case *c, const q_graph *graph, q_id id)
{
    const q_node *node = q_node_of(graph, id);
    static const char axes[] = {'p', 'i', 'j', '?'};
    verdict shape = check_shape(c, axes[node->axes], node->dim);
    if (shape != PASSED) return shape;
    const double *data[Q_MAX_VARIABLES] = {NULL};
    for (size_t v = 0; v < graph->variable_count; v++) {
        const matrix *m = find_variable(c, graph->variables[v].name);
        if (m) data[v] = m->data;
    }
    double *out = calloc((size_t)(c->expected.rows * c->expected.columns), sizeof *out);
    verdict result = FAILED;
    if (!out || q_reference(graph, &id, 1, c->M, c->N, data, &out))
        snprintf(message, sizeof message, "%s", quern_last_error()->message);
    else result = compare(s, c, out, node->integer);
    free(out);
    return result;
}

static verdict run_on_host(const settings *s, const test_case *c)
{
    q_graph *graph;
    q_id ids[Q_MAX_RESULTS];
    size_t count;
    if (q_graph_create(&graph)) FAIL("%s", quern_last_error()->message);
    quern_status status = q_parse(graph, c->formula, ids, &count);
    verdict result = status ? refused(status) : evaluate_on_host(s, c, graph, ids[0]);
    q_graph_destroy(&graph);
    return result;
}

// ---- on a device ----

/* The numbers in the element type of the run; for free(). */
static void *convert(const matrix *m, quern_dtype dtype)
{
    size_t count = (size_t)(m->rows * m->columns);
    void *out = calloc(count + 1, sizeof(double));
    for (size_t n = 0; out && m->data && n < count; n++) {
        if (dtype == QUERN_F32) ((float *)out)[n] = (float)m->data[n];
        else ((double *)out)[n] = m->data[n];
    }
    return out;
}

static double number_at(const quern_view *view, size_t n)
{
    if (view->dtype == QUERN_I64) return (double)((const int64_t *)view->data)[n];
    return view->dtype == QUERN_F32 ? (double)((const float *)view->data)[n] : ((const double *)view->data)[n];
}

static verdict run_with(const settings *s, const test_case *c, quern_operator *op, quern_args args, bool integer)
{
    matrix empty = {.rows = c->expected.rows, .columns = c->expected.columns};
    quern_view out =
        quern_view_of(convert(&empty, QUERN_F64), integer ? QUERN_I64 : s->dtype, empty.rows, empty.columns);
    size_t count = (size_t)(empty.rows * empty.columns);
    double *got = calloc(count + 1, sizeof *got);
    verdict result = FAILED;
    if (!got || !out.data) snprintf(message, sizeof message, "out of memory");
    else if (quern_run_all(op, args, (quern_outs){&out, 1}))
        snprintf(message, sizeof message, "%s", quern_last_error_text());
    else {
        for (size_t n = 0; n < count; n++) got[n] = number_at(&out, n);
        result = compare(s, c, got, integer);
    }
    free(out.data);
    free(got);
    return result;
}

static verdict run_operator(const settings *s, const test_case *c, quern_operator *op)
{
    quern_value value = quern_result(op, 0);
    verdict result = check_shape(c, value.axis, value.dim);
    quern_arg args[MAX_VARIABLES] = {{NULL, quern_number(0)}};
    size_t count = 0;
    for (size_t v = 0; v < quern_variable_count(op) && v < MAX_VARIABLES; v++) {
        const matrix *m = find_variable(c, quern_variable(op, v).name);
        if (!m) continue; /* quern_run_all will say that it is missing */
        args[count++] = (quern_arg){m->name, quern_view_of(convert(m, s->dtype), s->dtype, m->rows, m->columns)};
    }
    if (result == PASSED) result = run_with(s, c, op, (quern_args){args, count, c->M, c->N}, value.integer);
    for (size_t a = 0; a < count; a++) free(args[a].view.data);
    return result;
}

static verdict run_on_device(const settings *s, const test_case *c)
{
    quern_operator *op = NULL;
    quern_status status = quern_compile(&op, s->context, c->formula, &s->options);
    verdict result = status ? refused(status) : run_operator(s, c, op);
    quern_operator_destroy(&op);
    return result;
}

// ---- the loop ----

static verdict run_case(const settings *s, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", s->directory, name);
    test_case c = {0};
    verdict result = FAILED;
    if (!read_case(path, &c)) snprintf(message, sizeof message, "not a case file");
    else result = s->reference ? run_on_host(s, &c) : run_on_device(s, &c);
    static const char *const words[] = {"pass", "FAIL", "skip"};
    if (result != PASSED || s->verbose) printf("%s %s: %s\n", words[result], name, message);
    if (result == FAILED && c.formula) printf("     %s\n", c.formula);
    free_case(&c);
    return result;
}

static int is_case(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot && strcmp(dot, ".case") == 0;
}

static int run_all(const settings *s)
{
    struct dirent **entries;
    int count = scandir(s->directory, &entries, is_case, alphasort), tally[VERDICTS] = {0};
    if (count < 0) return fprintf(stderr, "conformance: cannot read the directory %s\n", s->directory), 2;
    bool skip = !s->reference && s->dtype == QUERN_F64 && !quern_context_device(s->context)->f64;
    if (skip) printf("skip all: %s has no float64\n", quern_context_device(s->context)->name);
    for (int n = 0; n < count; n++) {
        if (s->every < 2 || n % s->every == 0) tally[skip ? SKIPPED : run_case(s, entries[n]->d_name)]++;
        fflush(stdout);
        free(entries[n]);
    }
    free(entries);
    printf("%d passed, %d failed", tally[PASSED], tally[FAILED]);
    if (tally[SKIPPED]) printf(", %d skipped", tally[SKIPPED]);
    printf("\n");
    return skip ? EXIT_SKIPPED : tally[FAILED] == 0 && tally[PASSED] > 0 ? 0 : 1;
}

/* Takes one option with its value; false if there is none of this name. */
static bool set_option(settings *s, const char *name, const char *value)
{
    int number = atoi(value);
    if (strcmp(name, "--device") == 0) s->device = value;
    else if (strcmp(name, "--lanes") == 0) s->options.lanes = number;
    else if (strcmp(name, "--local") == 0) s->options.local = number;
    else if (strcmp(name, "--rows") == 0) s->options.rows = number;
    else if (strcmp(name, "--split") == 0) s->options.split = number;
    else if (strcmp(name, "--every") == 0) s->every = number;
    else if (strcmp(name, "--dtype") == 0 && strcmp(value, "f32") == 0) s->dtype = QUERN_F32;
    else if (strcmp(name, "--dtype") == 0 && strcmp(value, "f64") == 0) s->dtype = QUERN_F64;
    else return false;
    return true;
}

static bool read_arguments(settings *s, int argc, char **argv)
{
    for (int a = 1; a < argc; a++) {
        if (strcmp(argv[a], "--verbose") == 0) s->verbose = true;
        else if (argv[a][0] != '-' && !s->directory) s->directory = argv[a];
        else if (a + 1 < argc && set_option(s, argv[a], argv[a + 1])) a++;
        else return false;
    }
    s->reference = s->device && strcmp(s->device, "reference") == 0;
    if (s->reference && !s->dtype) s->dtype = QUERN_F64;
    if (!s->dtype) s->dtype = QUERN_F32;
    return s->directory != NULL;
}

int main(int argc, char **argv)
{
    settings s = {.options = {.size = sizeof(quern_compile_options)}};
    if (!read_arguments(&s, argc, argv)) {
        fprintf(stderr, "usage: conformance DIR [--dtype f32|f64] [--device D|host|reference] [--lanes L] [--local S] "
                        "[--rows R] [--split P] [--every K] [--verbose]\n");
        return 2;
    }
    bool host = s.device && strcmp(s.device, "host") == 0;
    quern_context_options options = {
        .size = sizeof options, .device = host ? NULL : s.device, .host = host ? QUERN_ON : QUERN_OFF};
    if (!s.reference && quern_context_create(&s.context, &options)) {
        fprintf(stderr, "conformance: %s\n", quern_last_error_text());
        return 1;
    }
    int code = run_all(&s);
    quern_context_destroy(&s.context);
    return code;
}
