/*
 * output.c: the results of `quern eval`: .npy files, tables, rows of text, JSON.
 *
 * Files: each is first written completely beside its path, then all are renamed, so that a failure leaves none behind
 * and no old file damaged. Devices and pipes are written directly.
 * Text and JSON: real numbers have as many digits as their type needs to be read back exactly.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

/* ---- the arrays ------------------------------------------------------------------------------------------------- */

static quern_status result_create(quern_view *view, int64_t rows, int64_t columns, quern_dtype dtype,
                                  const int64_t batch[4])
{
    size_t size = cli_element_size(dtype), limit = SIZE_MAX / 2 / size, members = 1;

    for (int d = 0; d < 4 && batch[d]; d++) {
        if (members > limit / (size_t)batch[d]) return cli_fail_memory();
        members *= (size_t)batch[d];
    }
    limit /= members;
    memcpy(view->batch, batch, sizeof view->batch);
    if ((uint64_t)rows > (columns ? limit / (uint64_t)columns : limit)) return cli_fail_memory();
    view->data = calloc(members * (size_t)rows * (size_t)columns + 1, size);
    if (!view->data) return cli_fail_memory();
    view->rows = rows;
    view->columns = columns;
    view->dtype = dtype;
    return QUERN_OK;
}

quern_status cli_results_create(cli_results *results, const quern_operator *op, const cli_inputs *inputs,
                                quern_dtype dtype)
{
    size_t count = quern_result_count(op);
    int64_t batch[4];

    results->views = calloc(count + 1, sizeof *results->views);
    results->values = calloc(count + 1, sizeof *results->values);
    if (!results->views || !results->values) return cli_fail_memory();
    cli_inputs_batch(inputs, batch);
    for (; results->count < count; results->count++) {
        quern_value value = quern_result(op, results->count);
        int64_t rows = cli_inputs_rows(inputs, op, value.axis);
        quern_status status = result_create(&results->views[results->count], rows < 0 ? 0 : rows, value.dim,
                                            value.integer ? QUERN_I64 : dtype, batch);
        if (status) return status;
        results->values[results->count] = value;
    }
    return QUERN_OK;
}

void cli_results_free(cli_results *results)
{
    for (size_t k = 0; k < results->count; k++) free(results->views[k].data);
    free(results->views);
    free(results->values);
    *results = (cli_results){NULL, NULL, 0};
}

/* ---- text and JSON ---------------------------------------------------------------------------------------------- */

quern_status cli_results_print(const cli_results *results)
{
    for (size_t k = 0; k < results->count; k++) {
        if (k) putchar('\n');
        const quern_view flat = cli_flat(&results->views[k]);
        cli_table_write(stdout, &flat, ' ');
    }
    return QUERN_OK;
}

static json_t *json_element(const quern_view *view, int64_t k)
{
    double value;

    if (view->dtype == QUERN_I64) return json_integer((json_int_t)((const int64_t *)view->data)[k]);
    value = cli_element(view, k);
    if (isfinite(value)) return json_real(value);
    return json_string(isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
}

/* Rows of all members. */
static json_t *json_rows(const quern_view *view)
{
    json_t *rows = json_array();

    for (int64_t r = 0; r < cli_flat(view).rows; r++) {
        json_t *row = json_array();
        for (int64_t c = 0; c < view->columns; c++)
            json_array_append_new(row, json_element(view, r * view->columns + c));
        json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *json_result(const quern_view *view, quern_value value)
{
    char axis[2] = {value.axis, '\0'};
    json_t *object = json_object();

    json_t *batch = json_array();

    for (size_t d = 0; d < CLI_COUNT(view->batch) && view->batch[d]; d++)
        json_array_append_new(batch, json_integer((json_int_t)view->batch[d]));
    if (view->batch[0]) json_object_set_new(object, "batch", batch);
    else json_decref(batch);
    json_object_set_new(object, "axis", json_string(axis));
    json_object_set_new(object, "rows", json_integer((json_int_t)view->rows));
    json_object_set_new(object, "columns", json_integer((json_int_t)view->columns));
    json_object_set_new(object, "integer", json_boolean(value.integer));
    json_object_set_new(object, "data", json_rows(view));
    return object;
}

quern_status cli_results_print_json(const cli_results *results)
{
    json_t *root = json_object(), *list = json_array();
    size_t digits = 9;
    int failed;

    for (size_t k = 0; k < results->count; k++) {
        if (results->views[k].dtype == QUERN_F64) digits = 17;
        json_array_append_new(list, json_result(&results->views[k], results->values[k]));
    }
    json_object_set_new(root, "results", list);
    failed = json_dumpf(root, stdout, JSON_REAL_PRECISION(digits));
    putchar('\n');
    json_decref(root);
    return failed && !ferror(stdout) ? cli_fail_memory() : QUERN_OK;
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

static bool is_stdout(const char *path)
{
    return !strcmp(path, "-");
}

static quern_status fail_output(const char *path, const char *reason)
{
    return cli_fail(QUERN_IO, "'%s' cannot be written: %s", path, reason);
}

/* Whether files can be made in the directory that holds `path`. */
static quern_status check_directory(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *directory = strndup(path, slash ? (size_t)(slash - path) + 1 : 0);
    quern_status status = QUERN_OK;

    if (!directory) return cli_fail_memory();
    if (access(*directory ? directory : ".", W_OK | X_OK)) status = fail_output(path, strerror(errno));
    free(directory);
    return status;
}

static quern_status check_path(const char *path)
{
    struct stat info;

    if (is_stdout(path)) return QUERN_OK;
    if (!*path) return cli_fail(QUERN_USAGE, "-o needs the name of a file");
    if (stat(path, &info)) return check_directory(path);
    if (S_ISDIR(info.st_mode)) return fail_output(path, "it is a directory; add the name of a file");
    if (access(path, W_OK)) return fail_output(path, strerror(errno));
    return S_ISREG(info.st_mode) ? check_directory(path) : QUERN_OK;
}

bool cli_is_same_file(const char *a, const char *b)
{
    const char *name_a = strrchr(a, '/'), *name_b = strrchr(b, '/');
    char *directory_a = strndup(a, name_a ? (size_t)(name_a - a) + 1 : 0);
    char *directory_b = strndup(b, name_b ? (size_t)(name_b - b) + 1 : 0);
    struct stat first, second;
    bool same = !strcmp(a, b);

    if (!stat(a, &first) && !stat(b, &second))
        same |= S_ISREG(first.st_mode) && first.st_dev == second.st_dev && first.st_ino == second.st_ino;
    else if (directory_a && directory_b && !stat(*directory_a ? directory_a : ".", &first) &&
             !stat(*directory_b ? directory_b : ".", &second))
        same |= first.st_dev == second.st_dev && first.st_ino == second.st_ino &&
                !strcmp(name_a ? name_a + 1 : a, name_b ? name_b + 1 : b);
    free(directory_a);
    free(directory_b);
    return same;
}

cli_list cli_paths_of(const char *paths[2], const cli_list *outputs, const char *other)
{
    cli_list files = {paths, 0};

    if (outputs->count) paths[files.count++] = outputs->items[0];
    if (other) paths[files.count++] = other;
    return files;
}

quern_status cli_output_check(const cli_list *paths, const char *what)
{
    if (paths->count > 1)
        return cli_fail(QUERN_USAGE, "there is one %s, and -o is given %zu times", what, paths->count);
    return cli_outputs_check(paths);
}

quern_status cli_outputs_check(const cli_list *paths)
{
    for (size_t k = 0; k < paths->count; k++) {
        quern_status status = check_path(paths->items[k]);
        if (status) return status;
        if (is_stdout(paths->items[k]) && cli_prints_json())
            return cli_fail(QUERN_USAGE, "--json and the file `-` both want stdout; drop one");
        for (size_t l = 0; l < k; l++)
            if (cli_is_same_file(paths->items[k], paths->items[l]))
                return cli_fail(QUERN_USAGE, "'%s' is given for two results; each needs a place of its own",
                                paths->items[k]);
    }
    return QUERN_OK;
}

/* One file on its way: complete under the name `part`, to be renamed to `target`. Both are null for what is not
   replaced by a file: stdout, devices, pipes. */
typedef struct staged {
    char *part, *target;
} staged;

/* Chooses the names. A link stays, and what it leads to is replaced. */
static quern_status stage(staged *s, const char *path)
{
    size_t size;

    s->target = realpath(path, NULL);
    if (!s->target) s->target = strdup(path);
    if (!s->target) return cli_fail_memory();
    size = strlen(s->target) + 32;
    s->part = malloc(size);
    if (!s->part) return cli_fail_memory();
    snprintf(s->part, size, "%s.part-%ld", s->target, (long)getpid());
    return QUERN_OK;
}

quern_status cli_file_begin(cli_file *file, const char *path)
{
    struct stat info;
    staged s = {NULL, NULL};
    quern_status status = QUERN_OK;

    *file = (cli_file){.given = path};
    if (stat(path, &info) || S_ISREG(info.st_mode)) status = stage(&s, path);
    file->part = s.part, file->target = s.target;
    if (status) return status;
    file->stream = fopen(file->part ? file->part : path, "w");
    if (file->stream) return QUERN_OK;
    status = fail_output(path, strerror(errno));
    free(file->part), free(file->target);
    return status;
}

quern_status cli_file_end(cli_file *file, quern_status status)
{
    bool failed = ferror(file->stream);

    errno = 0;
    failed |= fclose(file->stream) != 0;
    failed = failed || (!status && file->part && rename(file->part, file->target));
    if (failed && !status) status = fail_output(file->given, errno ? strerror(errno) : "not all was written");
    if (status && file->part) remove(file->part);
    free(file->part), free(file->target);
    return status;
}

static quern_status write_stdout(quern_view view)
{
    quern_status status = quern_npy_write_stream(stdout, view);

    return status && !cli_reader_left() ? cli_fail_quern(status, "-o -") : status;
}

static quern_status write_table(const char *given, const char *path, quern_view view)
{
    FILE *file = fopen(path, "w");
    bool written = false;

    if (!file) return fail_output(given, strerror(errno));
    errno = 0;
    view = cli_flat(&view);
    cli_table_write(file, &view, cli_table_delimiter(given));
    written = !ferror(file) && !fflush(file);
    return fclose(file) || !written ? fail_output(given, errno ? strerror(errno) : "not all was written") : QUERN_OK;
}

/* Writes everything that can be written without touching an existing regular file. */
static quern_status write_part(const char *given, quern_view view, staged *s)
{
    struct stat info;
    bool special = !stat(given, &info) && !S_ISREG(info.st_mode);
    const char *path;
    quern_status status;

    if (is_stdout(given)) return write_stdout(view);
    if (!special && (status = stage(s, given))) return status;
    path = special ? given : s->part;
    if (cli_is_picture(given)) return cli_picture_write(given, path, &view);
    if (cli_table_delimiter(given)) return write_table(given, path, view);
    status = quern_npy_write(path, view);
    return status ? cli_fail_quern(status, given) : QUERN_OK;
}

quern_status cli_outputs_write(const cli_list *paths, const cli_results *results)
{
    staged *files = calloc(paths->count + 1, sizeof *files);
    quern_status status = files ? QUERN_OK : cli_fail_memory();

    for (size_t k = 0; k < paths->count && !status; k++)
        status = write_part(paths->items[k], results->views[k], &files[k]);
    for (size_t k = 0; k < paths->count && !status; k++)
        if (files[k].part && rename(files[k].part, files[k].target))
            status = fail_output(paths->items[k], strerror(errno));
    for (size_t k = 0; files && k < paths->count; k++) {
        if (files[k].part && status) remove(files[k].part);
        free(files[k].part);
        free(files[k].target);
    }
    free(files);
    return status;
}
