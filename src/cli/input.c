/*
 * input.c: the arguments NAME=VALUE of `quern eval`: .npy files, tables of text, pictures, numbers, short lists of numbers.
 *
 * Numbers typed on the command line are first held as a float64 row. cli_inputs_read converts them, and files of other
 * types than float32 and float64, to the type of the arrays, and tells of files that are read by conversion and of
 * numbers that a conversion changes. cli_inputs_fit gives typed numbers the shape of the variable that they stand for,
 * and a file of one or two axes given for a parameter of as many numbers becomes its one row.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

/* Those of the run that is watched: what was read of mapped files need not stay in memory. */
static const cli_inputs *watched;

void cli_inputs_drop(void)
{
    for (size_t k = 0; watched && k < watched->count; k++)
        if (watched->sources[k].mapped) quern_npy_drop(&watched->args[k].view);
}

bool cli_inputs_mapped(void)
{
    bool any = false;

    for (size_t k = 0; watched && k < watched->count; k++) any = any || watched->sources[k].mapped;
    return any;
}

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

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), tail = strlen(end);

    return size >= tail && !strcmp(text + size - tail, end);
}

/* For a file that is not there: what may have been meant instead. */
static const char *hint_of(const char *text)
{
    size_t digits = strspn(text, "0123456789+-.eE,; []()");

    if (!text[digits] && strpbrk(text, "0123456789")) return "; numbers are written 1,2,3, row by row";
    return strpbrk(text, "*?~") ? "; the shell did not expand it" : "";
}

/* .npy files begin with a byte that no text has. */
static quern_status read_stream(quern_arg *arg, cli_source *source, FILE *file, const char *path)
{
    int first = getc(file);
    quern_status status;

    if (first != EOF) ungetc(first, file);
    if (first == 0x89) { /* nor do texts or arrays begin like PNG files */
        source->ours = source->picture = true;
        return cli_picture_read(&arg->view, file, arg->name, path);
    }
    if (first != 0x93 && ends_with(path, ".npz"))
        return cli_fail(QUERN_IO,
                        "%s: %s holds several arrays; save the one that is meant: numpy.save('x.npy', z['x'])",
                        arg->name, path);
    if (first != 0x93 && !ends_with(path, ".npy")) {
        source->ours = true;
        return cli_table_read(&arg->view, file, arg->name, path, &source->line);
    }
    status = quern_npy_read_stream(&arg->view, file, path, &source->npy);
    return status ? cli_fail_quern(status, arg->name) : QUERN_OK;
}

/* From this size on a file is mapped. */
enum { MAPPED_BYTES = 64 << 20 };

/* What is told, and the exit code, when a file that is mapped becomes shorter. */
static void file_was_cut(int unused)
{
    static const char words[] = "quern: a file became shorter while it was read\n";

    (void)unused;
    if (write(STDERR_FILENO, words, sizeof words - 1)) _exit(QUERN_IO);
    _exit(QUERN_IO);
}

/* Large .npy files stay where they are, if their elements can be taken as they are. */
static bool map_file(quern_arg *arg, cli_source *source, const char *path)
{
    struct stat info;

    if (stat(path, &info) || !S_ISREG(info.st_mode) || info.st_size < MAPPED_BYTES) return false;
    source->mapped = !quern_npy_map(&arg->view, path, &source->npy);
    if (source->mapped) signal(SIGBUS, file_was_cut);
    return source->mapped;
}

static quern_status read_file(cli_inputs *inputs, quern_arg *arg, cli_source *source, const char *path)
{
    bool from_stdin = !strcmp(path, "-");
    FILE *file = from_stdin ? stdin : fopen(path, "rb");
    quern_status status;

    if (from_stdin && inputs->stdin_taken)
        return cli_fail(QUERN_USAGE, "%s: stdin holds one array; it is taken", arg->name);
    if (!file) return cli_fail(QUERN_IO, "%s: cannot open '%s': %s%s", arg->name, path, strerror(errno), hint_of(path));
    inputs->stdin_taken |= from_stdin;
    source->path = from_stdin ? "stdin" : path;
    if (!from_stdin && map_file(arg, source, path)) {
        fclose(file);
        return QUERN_OK;
    }
    status = read_stream(arg, source, file, source->path);
    if (!from_stdin) fclose(file);
    return status;
}

static quern_status read_value(cli_inputs *inputs, quern_arg *arg, cli_source *source, const char *text)
{
    size_t count = count_items(text);
    double *values = calloc(count, sizeof *values);

    if (!values) return cli_fail_memory();
    if (parse_numbers(text, values, count)) {
        *source = (cli_source){.typed = true, .ours = true};
        arg->view = quern_f64(values, 1, (int64_t)count);
        arg->view.number = values[0];
        return QUERN_OK;
    }
    free(values);
    return read_file(inputs, arg, source, text);
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
        return cli_fail(QUERN_USAGE, "\"%s\" is not of the form NAME=FILE or NAME=NUMBER; see `quern help %s`", word,
                        cli_command_name());
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

double cli_element(const quern_view *view, int64_t k)
{
    if (view->dtype == QUERN_F32) return (double)((const float *)view->data)[k];
    if (view->dtype == QUERN_F64) return ((const double *)view->data)[k];
    return (double)((const int64_t *)view->data)[k];
}

static void release(quern_view *view, cli_source *source)
{
    quern_view mapped = *view;

    if (source->mapped) quern_npy_unmap(&mapped);
    else if (source->ours) free(view->data);
    else quern_free(view->data);
    source->mapped = false;
    view->data = NULL;
}

size_t cli_element_size(quern_dtype dtype)
{
    return dtype == QUERN_F32 ? sizeof(float) : sizeof(double);
}

/* A file of float32 or float64 keeps its type; typed numbers, tables and whole numbers take that of the others. */
static bool has_own_type(const cli_source *source)
{
    const char *type = source->npy.type;

    return *type && (!strcmp(type + 1, "f4") || !strcmp(type + 1, "f8"));
}

/* Whether a number means another after its conversion: a whole number that float types cannot hold, or an overflow. Other
   numbers are rounded as all that is computed from them. */
static bool is_lost(const quern_view *view, size_t k, quern_dtype dtype)
{
    double value = cli_element(view, (int64_t)k), got = dtype == QUERN_F32 ? (double)(float)value : value;

    if (view->dtype == QUERN_I64) return got >= 0x1p63 || (int64_t)got != ((const int64_t *)view->data)[k];
    if (!isfinite(value)) return false;
    return !isfinite(got) || (fabs(value) <= 0x1p53 && value == floor(value) && got != value);
}

static quern_status convert(quern_view *view, cli_source *source, quern_dtype dtype)
{
    quern_view flat = cli_flat(view);
    size_t count = (size_t)flat.rows * (size_t)flat.columns;
    size_t size = cli_element_size(dtype);
    void *data = count <= SIZE_MAX / size ? malloc(count ? count * size : 1) : NULL;

    if (!data) return cli_fail_memory();
    for (size_t k = 0; k < count; k++) {
        source->lost += is_lost(view, k, dtype);
        if (dtype == QUERN_F32) ((float *)data)[k] = (float)cli_element(view, (int64_t)k);
        else ((double *)data)[k] = cli_element(view, (int64_t)k);
    }
    release(view, source);
    source->ours = true;
    view->data = data;
    view->dtype = dtype;
    return QUERN_OK;
}

static bool is_whole(const cli_inputs *inputs, size_t k)
{
    for (const char *const *name = inputs->whole; name && *name; name++)
        if (!strcmp(*name, inputs->args[k].name)) return true;
    return false;
}

/* Labels become int64. Those that were read as float64 are below 2^53, from where on not all whole numbers are there. */
static quern_status make_whole(quern_view *view, cli_source *source, const char *name)
{
    quern_view flat = cli_flat(view);
    size_t count = (size_t)flat.rows * (size_t)flat.columns;
    int64_t *labels = view->dtype == QUERN_I64 ? NULL : calloc(count + 1, sizeof *labels);

    if (view->dtype == QUERN_I64) return QUERN_OK;
    if (!labels) return cli_fail_memory();
    for (size_t k = 0; k < count; k++) {
        double label = cli_element(view, (int64_t)k);
        if (!(label == floor(label) && fabs(label) < 0x1p53)) {
            free(labels);
            return cli_fail(QUERN_USAGE, "%s: %.17g of row %zu is no whole number%s", name, label, k,
                            fabs(label) >= 0x1p53 ? " below 2^53; larger ones can be in a .npy file of int64" : "");
        }
        labels[k] = (int64_t)label;
    }
    release(view, source);
    source->ours = true;
    view->data = labels;
    view->dtype = QUERN_I64;
    return QUERN_OK;
}

quern_dtype cli_inputs_dtype(const cli_inputs *inputs, quern_dtype wanted)
{
    for (size_t k = 0; k < inputs->count && !wanted; k++)
        if (has_own_type(&inputs->sources[k]) && !is_whole(inputs, k)) wanted = inputs->args[k].view.dtype;
    return wanted ? wanted : QUERN_F32;
}

/* One line on stderr for a file that is not read as it is, one for numbers that the conversion has changed. */
static void tell(const char *name, const cli_source *source, quern_dtype dtype, bool asked)
{
    const char *type = dtype == QUERN_F32 ? "float32" : "float64";
    bool other = source->npy.converted || (*source->npy.type && !has_own_type(source));

    if (other && !asked)
        cli_note("%s: %s holds %s%s; read as %s", name, source->path, source->npy.type,
                 source->npy.by_columns ? ", stored by columns" : "", type);
    if (source->lost)
        cli_note("%s: %" PRIu64 " number%s changed by the conversion to %s%s", name, source->lost,
                 source->lost == 1 ? " is" : "s are", type,
                 dtype == QUERN_F32 ? ", which holds whole numbers up to 16777216 exactly; --dtype f64" : "");
}

static quern_status convert_all(cli_inputs *inputs, quern_dtype wanted)
{
    quern_dtype dtype = cli_inputs_dtype(inputs, wanted);
    quern_status status = QUERN_OK;

    for (size_t k = 0; k < inputs->count && !status; k++) {
        quern_view *view = &inputs->args[k].view;
        cli_source *source = &inputs->sources[k];
        if (is_whole(inputs, k)) {
            status = make_whole(view, source, inputs->args[k].name);
            continue;
        }
        if (view->dtype != dtype && (wanted || !has_own_type(source))) status = convert(view, source, dtype);
        if (!status) tell(inputs->args[k].name, source, view->dtype, wanted != QUERN_NUMBER);
    }
    return status;
}

quern_status cli_inputs_read(cli_inputs *inputs, const char **words, size_t count, quern_dtype dtype)
{
    quern_status status = QUERN_OK;

    inputs->args = calloc(count + 1, sizeof *inputs->args);
    inputs->sources = calloc(count + 1, sizeof *inputs->sources);
    if (!inputs->args || !inputs->sources) return cli_fail_memory();
    watched = inputs;
    for (size_t k = 0; k < count && !status; k++) status = read_word(inputs, words[k]);
    return status ? status : convert_all(inputs, dtype);
}

quern_view cli_flat(const quern_view *view)
{
    quern_view flat = *view;

    for (size_t d = 0; d < CLI_COUNT(flat.batch); d++) {
        if (flat.batch[d]) flat.rows *= flat.batch[d];
        flat.batch[d] = 0;
    }
    return flat;
}

void cli_inputs_batch(const cli_inputs *inputs, int64_t batch[4])
{
    int most = 0;

    for (int d = 0; d < 4; d++) batch[d] = 0;
    for (size_t k = 0; k < inputs->count; k++) {
        int dims = 0;
        while (dims < 4 && inputs->args[k].view.batch[dims]) dims++;
        if (dims > most) most = dims;
    }
    for (int d = 0; d < most; d++) batch[d] = 1;
    for (size_t k = 0; k < inputs->count; k++) {
        const int64_t *own = inputs->args[k].view.batch;
        int dims = 0;
        while (dims < 4 && own[dims]) dims++;
        for (int d = 0; d < dims; d++)
            if (own[d] > batch[most - dims + d]) batch[most - dims + d] = own[d];
    }
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

/* What the library cannot know of an array of the wrong width: where it comes from. */
static quern_status check_width(const quern_arg *arg, const cli_source *source, quern_value variable)
{
    const quern_view *view = &arg->view;
    long long columns = (long long)view->columns, dim = (long long)variable.dim;
    const char *leaf = variable.axis == 'i' ? "Vi" : variable.axis == 'j' ? "Vj" : "Pm", *s = CLI_S(columns);

    if (columns == dim) return QUERN_OK;
    if (source->typed && variable.axis == 'p')
        return cli_fail(QUERN_SHAPE, "%s: %lld number%s given; %s(%lld) takes %lld", arg->name, columns,
                        columns == 1 ? " is" : "s are", leaf, dim, dim);
    if (source->typed)
        return cli_fail(QUERN_SHAPE, "%s: %lld number%s do%s not fill rows of %lld, which %s(%lld) has", arg->name,
                        columns, s, columns == 1 ? "es" : "", dim, leaf, dim);
    if (source->line)
        return cli_fail(QUERN_SHAPE, "%s: %s, line %ld has %lld column%s; %s(%lld) takes %lld", arg->name, source->path,
                        source->line, columns, s, leaf, dim, dim);
    return cli_fail(QUERN_SHAPE, "%s: %s has %lld x %lld numbers; %s(%lld) takes rows of %lld", arg->name, source->path,
                    (long long)view->rows, columns, leaf, dim, dim);
}

/* A matrix, or one axis, of as many numbers as a parameter has: it is that row after row. */
static bool is_table_of(const quern_view *view, int64_t dim)
{
    return !view->batch[0] && view->rows > 1 && view->rows <= dim && view->columns <= dim &&
           view->rows * view->columns == dim;
}

static quern_status fit(quern_arg *arg, cli_source *source, quern_value variable)
{
    quern_view *view = &arg->view;

    if (source->typed) fit_typed(view, variable, source);
    else if (variable.axis == 'p' && is_table_of(view, variable.dim)) view->rows = 1, view->columns = variable.dim;
    return check_width(arg, source, variable);
}

quern_status cli_inputs_fit(cli_inputs *inputs, const quern_operator *op)
{
    quern_status status = QUERN_OK;

    for (size_t v = 0; v < quern_variable_count(op); v++) {
        quern_value variable = quern_variable(op, v);
        for (size_t k = 0; k < inputs->count && !status; k++)
            if (!strcmp(inputs->args[k].name, variable.name))
                status = fit(&inputs->args[k], &inputs->sources[k], variable);
    }
    return status;
}

int64_t cli_inputs_rows(const cli_inputs *inputs, const quern_operator *op, char axis)
{
    if (axis == 'p') return inputs->members ? (int64_t)inputs->members : 1;
    for (size_t v = 0; v < quern_variable_count(op); v++) {
        quern_value variable = quern_variable(op, v);
        const quern_arg *arg = find_arg(inputs, variable.name);
        if (variable.axis == axis && arg) return arg->view.rows;
    }
    int64_t told = axis == 'i' ? inputs->M : inputs->N;
    return told ? told : -1;
}

quern_status cli_array_read(cli_array *out, const char *text, const char *option)
{
    cli_inputs no_stdin = {.stdin_taken = true};
    quern_arg arg = {.name = option};
    quern_status status = read_value(&no_stdin, &arg, &out->source, text);

    out->view = arg.view;
    return status;
}

void cli_array_free(cli_array *array)
{
    release(&array->view, &array->source);
}

quern_status cli_integers_read(int64_t **out, quern_view *shape, const char *text, const char *option)
{
    cli_array array = {0};
    quern_status status = cli_array_read(&array, text, option);
    quern_view flat = cli_flat(&array.view);
    size_t count = (size_t)flat.rows * (size_t)flat.columns;

    *out = NULL;
    *shape = flat;
    if (!status && !(*out = calloc(count + 1, sizeof **out))) status = cli_fail_memory();
    for (size_t k = 0; k < count && !status; k++) {
        double value = cli_element(&flat, (int64_t)k);
        if (!(fabs(value) <= 0x1p53) || value != floor(value))
            status = cli_fail(QUERN_USAGE, "%s: %g is not a row", option, value);
        else (*out)[k] = (int64_t)value;
    }
    cli_array_free(&array);
    return status;
}

quern_status cli_offsets_read(cli_inputs *inputs, const char *const options[2], const char *text, int which)
{
    const char *option = options[which];
    quern_view shape = {0};
    quern_status status = text ? cli_integers_read(&inputs->offsets[which], &shape, text, option) : QUERN_OK;

    if (status || !text) return status;
    size_t count = (size_t)(shape.rows * shape.columns);
    if (count < 2) return cli_fail(QUERN_USAGE, "%s: offsets are 0 and where each member ends", option);
    if (inputs->members && inputs->members != count - 1)
        return cli_fail(QUERN_USAGE, "%s has %zu members, %s %zu", options[0], inputs->members, options[1], count - 1);
    inputs->members = count - 1;
    return QUERN_OK;
}

void cli_inputs_free(cli_inputs *inputs)
{
    free(inputs->offsets[0]);
    free(inputs->offsets[1]);

    for (size_t k = 0; k < inputs->count; k++) {
        release(&inputs->args[k].view, &inputs->sources[k]);
        free((char *)inputs->args[k].name);
    }
    watched = NULL;
    free(inputs->args);
    free(inputs->sources);
    *inputs = (cli_inputs){0};
}
