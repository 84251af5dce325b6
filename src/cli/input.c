/*
 * input.c: the arguments NAME=VALUE of `quern eval`: .npy files, numbers, short lists of numbers.
 *
 * Numbers typed on the command line are first held as a float64 row. cli_inputs_read converts them to the type of the
 * arrays, cli_inputs_fit gives them the shape of the variable that they stand for. Shapes of files are left for the
 * library to judge, with one exception: a one-axis file (n x 1) given for a parameter becomes its one row.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "quern/npy.h"

/* ---- reading ---------------------------------------------------------------------------------------------------- */

static size_t count_items(const char *text)
{
    size_t count = 1;

    for (; *text; text++) count += *text == ',';
    return count;
}

/* Reads "1,2,3" into values[]; false if the text is anything else. */
static bool parse_numbers(const char *text, double *values, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        char *end = NULL;
        values[k] = strtod(text, &end);
        if (end == text || *end != (k + 1 < count ? ',' : '\0')) return false;
        text = end + 1;
    }
    return true;
}

static quern_status read_value(cli_inputs *inputs, quern_arg *arg, cli_source *source, const char *text)
{
    size_t count = count_items(text);
    double *values = calloc(count, sizeof *values);
    quern_status status;

    if (!values) return cli_fail_memory();
    if (parse_numbers(text, values, count)) {
        *source = (cli_source){.typed = true, .ours = true};
        arg->view = quern_f64(values, 1, (int64_t)count);
        arg->view.number = values[0];
        return QUERN_OK;
    }
    free(values);
    if (!strcmp(text, "-")) {
        if (inputs->stdin_taken) return cli_fail(QUERN_USAGE, "%s: stdin holds one array; it is taken", arg->name);
        inputs->stdin_taken = true;
    }
    status = quern_npy_read(&arg->view, strcmp(text, "-") ? text : "/dev/stdin");
    return status ? cli_fail_quern(status, arg->name) : QUERN_OK;
}

static const quern_arg *find_arg(const cli_inputs *inputs, const char *name)
{
    for (size_t k = 0; k < inputs->count; k++)
        if (!strcmp(inputs->args[k].name, name)) return &inputs->args[k];
    return NULL;
}

static quern_status read_word(cli_inputs *inputs, const char *word)
{
    const char *equals = strchr(word, '=');
    quern_arg *arg = &inputs->args[inputs->count];
    cli_source *source = &inputs->sources[inputs->count];
    char *name;

    if (!equals || equals == word)
        return cli_fail(QUERN_USAGE, "\"%s\" is not of the form NAME=FILE.npy or NAME=NUMBER; see `quern help eval`",
                        word);
    if (!equals[1]) return cli_fail(QUERN_USAGE, "\"%s\" has no value; write %sFILE.npy or %sNUMBER", word, word, word);
    name = strndup(word, (size_t)(equals - word));
    if (!name) return cli_fail_memory();
    if (find_arg(inputs, name)) {
        quern_status status = cli_fail(QUERN_USAGE, "%s is given twice; keep one", name);
        free(name);
        return status;
    }
    arg->name = name;
    inputs->count++;
    return read_value(inputs, arg, source, equals + 1);
}

/* ---- element types ---------------------------------------------------------------------------------------------- */

static double element(const quern_view *view, size_t k)
{
    if (view->dtype == QUERN_F32) return (double)((const float *)view->data)[k];
    if (view->dtype == QUERN_F64) return ((const double *)view->data)[k];
    return (double)((const int64_t *)view->data)[k];
}

static void release(quern_view *view, cli_source *source)
{
    if (source->ours) free(view->data);
    else quern_free(view->data);
    view->data = NULL;
}

size_t cli_element_size(quern_dtype dtype)
{
    return dtype == QUERN_F32 ? sizeof(float) : sizeof(double);
}

static quern_status convert(quern_view *view, cli_source *source, quern_dtype dtype)
{
    size_t count = (size_t)view->rows * (size_t)view->columns;
    size_t size = cli_element_size(dtype);
    void *data = count <= SIZE_MAX / size ? malloc(count ? count * size : 1) : NULL;

    if (!data) return cli_fail_memory();
    for (size_t k = 0; k < count; k++) {
        if (dtype == QUERN_F32) ((float *)data)[k] = (float)element(view, k);
        else ((double *)data)[k] = element(view, k);
    }
    release(view, source);
    source->ours = true;
    view->data = data;
    view->dtype = dtype;
    return QUERN_OK;
}

quern_dtype cli_inputs_dtype(const cli_inputs *inputs, quern_dtype wanted)
{
    for (size_t k = 0; k < inputs->count && !wanted; k++) {
        quern_dtype dtype = inputs->args[k].view.dtype;
        if (!inputs->sources[k].typed && dtype != QUERN_I64) wanted = dtype;
    }
    return wanted ? wanted : QUERN_F32;
}

static quern_status convert_all(cli_inputs *inputs, quern_dtype wanted)
{
    quern_dtype dtype = cli_inputs_dtype(inputs, wanted);
    quern_status status = QUERN_OK;

    for (size_t k = 0; k < inputs->count && !status; k++) {
        quern_view *view = &inputs->args[k].view;
        if (view->dtype != dtype && (wanted || inputs->sources[k].typed))
            status = convert(view, &inputs->sources[k], dtype);
    }
    return status;
}

quern_status cli_inputs_read(cli_inputs *inputs, const char **words, size_t count, quern_dtype dtype)
{
    quern_status status = QUERN_OK;

    inputs->args = calloc(count + 1, sizeof *inputs->args);
    inputs->sources = calloc(count + 1, sizeof *inputs->sources);
    if (!inputs->args || !inputs->sources) return cli_fail_memory();
    for (size_t k = 0; k < count && !status; k++) status = read_word(inputs, words[k]);
    return status ? status : convert_all(inputs, dtype);
}

/* ---- shapes ----------------------------------------------------------------------------------------------------- */

/* n typed numbers for an i- or j-variable of length d are n / d rows; one number for a parameter stays a number. */
static void fit_typed(quern_view *view, quern_value variable, cli_source *source)
{
    if (variable.axis == 'p') {
        if (view->columns > 1) return;
        release(view, source);
        view->dtype = QUERN_NUMBER;
    } else if (variable.dim > 0 && view->columns % variable.dim == 0) {
        view->rows = view->columns / variable.dim;
        view->columns = variable.dim;
    }
}

void cli_inputs_fit(cli_inputs *inputs, const quern_operator *op)
{
    for (size_t v = 0; v < quern_variable_count(op); v++) {
        quern_value variable = quern_variable(op, v);
        for (size_t k = 0; k < inputs->count; k++) {
            quern_view *view = &inputs->args[k].view;
            if (strcmp(inputs->args[k].name, variable.name)) continue;
            if (inputs->sources[k].typed) fit_typed(view, variable, &inputs->sources[k]);
            else if (variable.axis == 'p' && view->columns == 1 && view->rows == variable.dim)
                view->rows = 1, view->columns = variable.dim;
        }
    }
}

int64_t cli_inputs_rows(const cli_inputs *inputs, const quern_operator *op, char axis)
{
    if (axis == 'p') return 1;
    for (size_t v = 0; v < quern_variable_count(op); v++) {
        quern_value variable = quern_variable(op, v);
        const quern_arg *arg = find_arg(inputs, variable.name);
        if (variable.axis == axis && arg) return arg->view.rows;
    }
    int64_t told = axis == 'i' ? inputs->M : inputs->N;
    return told ? told : -1;
}

void cli_inputs_free(cli_inputs *inputs)
{
    for (size_t k = 0; k < inputs->count; k++) {
        release(&inputs->args[k].view, &inputs->sources[k]);
        free((char *)inputs->args[k].name);
    }
    free(inputs->args);
    free(inputs->sources);
    *inputs = (cli_inputs){0};
}
