/* helpers.c: see helpers.h. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helpers.h"
#include "run/run.h"

double random_between(random_source *source, double low, double high)
{
    return low + (high - low) * q_random_unit(&source->state);
}

size_t random_below(random_source *source, size_t count)
{
    return (size_t)(q_random_next(&source->state) % count);
}

// ---- samples ----

sample sample_create(int64_t M, int64_t N, uint64_t seed)
{
    sample s = {.M = M, .N = N, .random = {seed}};
    assert_int_equal(q_graph_create(&s.graph), QUERN_OK);
    return s;
}

void sample_destroy(sample *s)
{
    for (size_t v = 0; v < Q_MAX_VARIABLES; v++) free(s->data[v]);
    q_graph_destroy(&s->graph);
}

q_id sample_parse(sample *s, const char *text)
{
    q_id results[Q_MAX_RESULTS];
    size_t count;
    if (q_parse(s->graph, text, results, &count)) fail_msg("%s\n  does not parse: %s", text, quern_last_error_text());
    assert_int_equal(count, 1);
    if (q_graph_verify(s->graph)) fail_msg("%s\n  gives a bad graph: %s", text, quern_last_error_text());
    return results[0];
}

size_t sample_numbers(const sample *s, q_id id)
{
    const q_node *node = q_node_of(s->graph, id);
    size_t rows = (size_t)(node->axes & Q_I ? s->M : 1) * (size_t)(node->axes & Q_J ? s->N : 1);
    return rows * node->dim;
}

static double *allocate(size_t numbers)
{
    double *data = calloc(numbers ? numbers : 1, sizeof *data);
    assert_non_null(data);
    return data;
}

void sample_fill(sample *s, double low, double high)
{
    for (size_t v = 0; v < s->graph->variable_count; v++) {
        if (s->data[v]) continue;
        size_t numbers = sample_numbers(s, s->graph->variables[v].id);
        s->data[v] = allocate(numbers);
        for (size_t n = 0; n < numbers; n++) s->data[v][n] = random_between(&s->random, low, high);
    }
}

double *sample_data(sample *s, const char *name)
{
    const q_variable *variable = q_variable_find(s->graph, name);
    if (!variable) fail_msg("there is no variable %s", name);
    double **data = &s->data[variable - s->graph->variables];
    if (!*data) *data = allocate(sample_numbers(s, variable->id));
    return *data;
}

double *sample_evaluate(const sample *s, q_id id)
{
    double *out = allocate(sample_numbers(s, id));
    quern_status status = q_reference(s->graph, &id, 1, s->M, s->N, (const double *const *)s->data, &out);
    if (status) fail_msg("q_reference: %s", quern_last_error_text());
    return out;
}

size_t sample_offset(const sample *s, q_id id, size_t i, size_t j)
{
    const q_node *node = q_node_of(s->graph, id);
    size_t row = node->axes & Q_I ? i : 0;
    if (node->axes & Q_J) row = row * (size_t)s->N + j;
    return row * node->dim;
}

double sample_contract(const sample *s, q_id value, q_id weights)
{
    const q_node *v = q_node_of(s->graph, value), *w = q_node_of(s->graph, weights);
    assert_true(w->dim == 1 || w->dim == v->dim);
    assert_int_equal(w->axes & ~v->axes, 0);
    double *values = sample_evaluate(s, value), *factors = sample_evaluate(s, weights), sum = 0;
    size_t rows = v->axes & Q_I ? (size_t)s->M : 1, columns = v->axes & Q_J ? (size_t)s->N : 1;
    for (size_t n = 0; n < rows * columns; n++) {
        size_t from = sample_offset(s, weights, n / columns, n % columns);
        for (uint32_t d = 0; d < v->dim; d++) sum += values[n * v->dim + d] * factors[from + (w->dim == 1 ? 0 : d)];
    }
    free(values);
    free(factors);
    return sum;
}

static q_id weights_variable(sample *s, const char *name, char suffix, uint8_t axis, int64_t dim)
{
    char own[64];
    snprintf(own, sizeof own, "%s_%c", name, suffix);
    return q_variable_make(s->graph, own, axis, dim);
}

q_id sample_weights(sample *s, q_id value, const char *name)
{
    uint8_t axes = q_node_of(s->graph, value)->axes;
    uint32_t dim = q_node_of(s->graph, value)->dim;
    if (axes != (Q_I | Q_J)) return weights_variable(s, name, "pij"[axes], axes, dim);
    return q_apply2(s->graph, Q_OP_Mult, weights_variable(s, name, 'i', Q_I, dim),
                    weights_variable(s, name, 'j', Q_J, 1));
}

/* The value with the data moved by h u. */
static double *evaluate_moved(sample *s, q_id value, size_t v, const double *u, double h)
{
    size_t count = sample_numbers(s, s->graph->variables[v].id);
    double *kept = s->data[v], *moved = s->data[v] = allocate(count);
    for (size_t n = 0; n < count; n++) moved[n] = kept[n] + h * u[n];
    double *values = sample_evaluate(s, value);
    s->data[v] = kept;
    free(moved);
    return values;
}

double *sample_differences(sample *s, q_id value, size_t v, const double *u)
{
    static const double h = 2e-4;
    double *ends[4];
    for (int side = 0; side < 4; side++)
        ends[side] = evaluate_moved(s, value, v, u, (side & 1 ? -h : h) * (side & 2 ? 2 : 1));
    for (size_t n = 0; n < sample_numbers(s, value); n++) {
        double near = (ends[0][n] - ends[1][n]) / (2 * h), far = (ends[2][n] - ends[3][n]) / (4 * h);
        bool smooth = fabs(near - far) <= 1e-4 * (1 + fabs(near));
        ends[0][n] = smooth ? near + (near - far) / 3 : NAN;
    }
    for (int side = 1; side < 4; side++) free(ends[side]);
    return ends[0];
}

double relative_error(const double *got, const double *expected, size_t count)
{
    double largest = 0, error = 0;
    for (size_t n = 0; n < count; n++) {
        double difference = got[n] == expected[n] ? 0 : fabs(got[n] - expected[n]);
        if (isnan(difference)) return INFINITY;
        error = fmax(error, difference);
        largest = fmax(largest, fabs(expected[n]));
    }
    return largest > 0 ? error / largest : error;
}

// ---- text ----

bool formula_calls(const char *formula, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = strstr(formula, name); at; at = strstr(at + 1, name))
        if ((at == formula || !strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_", at[-1])) &&
            at[length] == '(')
            return true;
    return false;
}

// ---- files ----

char *test_path(const char *name)
{
    const char *directory = getenv("QUERN_TEST_DIR");
    q_text path = {0};
    q_text_add(&path, "%s/%s", directory && *directory ? directory : "tests", name);
    return q_text_take(&path);
}

static bool ends_with(const char *name, const char *ending)
{
    size_t size = strlen(name), tail = strlen(ending);
    return size > tail && strcmp(name + size - tail, ending) == 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

double *example_table(const char *name, int64_t *rows, int64_t columns)
{
    char below[128], line[4096];
    snprintf(below, sizeof below, "../examples/data/%s", name);
    char *path = test_path(below);
    FILE *file = fopen(path, "r");
    if (!file) fail_msg("cannot open %s", path);
    double *numbers = NULL;
    assert_non_null(fgets(line, sizeof line, file));
    for (*rows = 0; fgets(line, sizeof line, file); ++*rows) {
        numbers = realloc(numbers, (size_t)((*rows + 1) * columns) * sizeof *numbers);
        char *at = line;
        for (int64_t c = 0; c < columns; c++, at++) numbers[*rows * columns + c] = strtod(at, &at);
    }
    fclose(file);
    free(path);
    return numbers;
}

size_t list_directory(const char *path, const char *ending, char ***names)
{
    DIR *directory = opendir(path);
    if (!directory) fail_msg("cannot open the directory %s (set QUERN_TEST_DIR to the path of tests/)", path);
    size_t count = 0, capacity = 0;
    *names = NULL;
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (!ends_with(entry->d_name, ending)) continue;
        assert_true(q_grow(names, &capacity, count + 1, sizeof **names));
        (*names)[count++] = strdup(entry->d_name);
    }
    closedir(directory);
    if (count) qsort(*names, count, sizeof **names, by_name);
    return count;
}

void free_names(char **names, size_t count)
{
    for (size_t n = 0; n < count; n++) free(names[n]);
    free(names);
}

static char *read_formula(const char *path)
{
    char *text;
    size_t size;
    assert_int_equal(q_read_file(path, &text, &size), QUERN_OK);
    const char *line = strstr(text, "\nformula ");
    if (!line) fail_msg("%s has no formula", path);
    char *formula = line ? strndup(line + 9, strcspn(line + 9, "\r\n")) : NULL; /* fail_msg does not return */
    free(text);
    return formula;
}

size_t conformance_formulas(char ***formulas)
{
    char *directory = test_path("conformance");
    size_t count = list_directory(directory, ".case", formulas);
    for (size_t n = 0; n < count; n++) {
        q_text path = {0};
        q_text_add(&path, "%s/%s", directory, (*formulas)[n]);
        free((*formulas)[n]);
        (*formulas)[n] = read_formula(path.data);
        q_text_free(&path);
    }
    free(directory);
    return count;
}
