/*
 * resume.c: `quern eval --resume FILE`: a long run of one pass in slices, some rows with some columns each (quern/parts.h). After each
 * slice the file has the results so far and the states of the rows that are under way, so that a run that was killed goes on
 * where it was. It is replaced as a whole: at any time there is the old one or the new one.
 *
 * Invariant: slices follow from the sizes and --slice alone, and are in the file, so a run that went on gives the bits of one
 * that did not stop.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "quern/array.h"
#include "quern/parts.h"

enum {
    LEAST_ROWS = 4096,
    MOST_ROWS = 1 << 22,
    MOST_COLUMNS = 1 << 24,
    MOST_PIECES = 1000, /* each has states */
    BLOCK = 256,
    SAMPLED = 64 << 20, /* from so many bytes on data are compared in parts */
    OTHERS = 2          /* pieces of the cuts that have no columns: rows before, and the own ones */
};

/* The file begins with it; then come the results, and the states of `pieces` pieces. */
typedef struct header {
    char magic[16];
    uint64_t formula, data, maker; /* digests; maker: version of quern and device */
    int64_t rows, columns, slice_rows, slice_columns;
    int64_t first_row, pieces; /* rows that are done; pieces of columns that the next ones have met */
} header;

typedef struct job {
    const cli_resume *how;
    quern_operator *op;
    const cli_inputs *inputs;
    const cli_results *results;
    quern_pass pass;
    header now;
    int64_t piece_count;
    char **states; /* by piece */
    size_t *state_bytes;
    char *columns;        /* of a piece */
    double written, took; /* when the file was last written, and how long that took */
} job;

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- what must be the same -------------------------------------------------------------------------------------- */

/* FNV-1a, on words where it can. */
static uint64_t digest(uint64_t seed, const void *data, size_t size)
{
    const unsigned char *at = data;
    uint64_t hash = seed ^ 0xcbf29ce484222325u;

    for (; size >= 8; at += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        hash = (hash ^ word) * 0x100000001b3u;
        hash ^= hash >> 32;
    }
    for (; size; at++, size--) hash = (hash ^ *at) * 0x100000001b3u;
    return hash;
}

static uint64_t digest_text(uint64_t seed, const char *text)
{
    return digest(seed, text, strlen(text) + 1);
}

/* Small arrays as a whole; of large ones some parts, and the time of the file. */
static uint64_t digest_array(uint64_t seed, const quern_arg *arg, const cli_source *source)
{
    enum { PARTS = 256, PART = 4096 };
    const quern_view *view = &arg->view;
    size_t bytes = (size_t)view->rows * (size_t)view->columns * cli_element_size(view->dtype);
    int64_t sizes[] = {view->rows, view->columns, view->dtype};
    struct stat info;

    seed = digest(digest_text(seed, arg->name), sizes, sizeof sizes);
    seed = digest(seed, &view->number, sizeof view->number);
    if (!view->data) return seed;
    if (bytes < SAMPLED) return digest(seed, view->data, bytes);
    for (size_t k = 0; k < PARTS; k++)
        seed = digest(seed, (const char *)view->data + (bytes - PART) / (PARTS - 1) * k, PART);
    if (source->path && !stat(source->path, &info)) seed = digest(seed, &info.st_mtim, sizeof info.st_mtim);
    return seed;
}

static void find_digests(job *j, quern_context *context)
{
    const quern_device *device = quern_context_device(context);

    j->now.formula = digest_text(0, quern_operator_text(j->op));
    j->now.maker =
        digest_text(digest_text(digest_text(0, quern_version()), device->name), quern_context_profile(context));
    for (size_t k = 0; k < j->inputs->count; k++)
        j->now.data = digest_array(j->now.data, &j->inputs->args[k], &j->inputs->sources[k]);
}

/* ---- the file --------------------------------------------------------------------------------------------------- */

static size_t result_bytes(const quern_view *view)
{
    return (size_t)view->rows * (size_t)view->columns * cli_element_size(view->dtype);
}

static bool put_all(const job *j, FILE *file)
{
    bool good = fwrite(&j->now, sizeof j->now, 1, file) == 1;

    for (size_t r = 0; r < j->results->count && good; r++) {
        size_t bytes = result_bytes(&j->results->views[r]);
        good = fwrite(j->results->views[r].data, 1, bytes, file) == bytes;
    }
    for (int64_t k = 0; k < j->now.pieces && good; k++)
        good = fwrite(&j->state_bytes[k], sizeof j->state_bytes[k], 1, file) == 1 &&
               fwrite(j->states[k], 1, j->state_bytes[k], file) == j->state_bytes[k];
    return good && !fflush(file) && !fsync(fileno(file));
}

static quern_status write_file(job *j)
{
    char name[4096];
    double start = seconds();

    if (j->written > 0 && start - j->written < 20 * j->took) return QUERN_OK;
    snprintf(name, sizeof name, "%s.new", j->how->path);
    FILE *file = fopen(name, "wb");
    bool good = file && put_all(j, file);
    int code = errno;
    if (file && fclose(file)) good = false, code = errno;
    if (good && rename(name, j->how->path)) good = false, code = errno;
    if (!good) {
        unlink(name);
        return cli_fail(QUERN_IO, "cannot write '%s': %s", j->how->path, strerror(code));
    }
    j->written = seconds();
    j->took = j->written - start;
    return QUERN_OK;
}

static quern_status fail_other(const job *j, const char *what)
{
    return cli_fail(QUERN_USAGE, "'%s' is of a run %s; remove it, or name another file", j->how->path, what);
}

static quern_status compare(const job *j, const header *old)
{
    const header *now = &j->now;

    if (memcmp(old->magic, now->magic, sizeof old->magic))
        return cli_fail(QUERN_IO, "'%s' was not written by --resume", j->how->path);
    if (old->maker != now->maker) return fail_other(j, "of another version of quern, or on another device");
    if (old->formula != now->formula) return fail_other(j, "of another formula");
    if (old->data != now->data || old->rows != now->rows || old->columns != now->columns)
        return fail_other(j, "with other data");
    if (old->slice_rows != now->slice_rows || old->slice_columns != now->slice_columns)
        return fail_other(j, "with another --slice");
    return QUERN_OK;
}

static quern_status read_rest(job *j, FILE *file)
{
    bool good = j->now.first_row >= 0 && j->now.first_row <= j->now.rows && j->now.pieces >= 0 &&
                j->now.pieces <= j->piece_count;

    for (size_t r = 0; r < j->results->count && good; r++) {
        size_t bytes = result_bytes(&j->results->views[r]);
        good = fread(j->results->views[r].data, 1, bytes, file) == bytes;
    }
    for (int64_t k = 0; k < j->now.pieces && good; k++) {
        good = fread(&j->state_bytes[k], sizeof j->state_bytes[k], 1, file) == 1 && j->state_bytes[k] < (size_t)1 << 40;
        j->states[k] = good ? malloc(j->state_bytes[k] + 1) : NULL;
        good = j->states[k] && fread(j->states[k], 1, j->state_bytes[k], file) == j->state_bytes[k];
    }
    return good ? QUERN_OK : cli_fail(QUERN_IO, "'%s' is damaged; remove it", j->how->path);
}

/* Goes on from the file, if there is one. */
static quern_status read_file(job *j)
{
    header old;
    FILE *file = fopen(j->how->path, "rb");
    quern_status status;

    if (!file && errno == ENOENT) return QUERN_OK;
    if (!file) return cli_fail(QUERN_IO, "cannot open '%s': %s", j->how->path, strerror(errno));
    if (fread(&old, sizeof old, 1, file) != 1) memset(&old, 0, sizeof old);
    status = compare(j, &old);
    if (!status) {
        j->now = old;
        status = read_rest(j, file);
    }
    fclose(file);
    return status;
}

/* One process at a time has the file, by a lock on another beside it, which ends with the process. What was locked may have been
   removed by the process before: then it is another file than the one that is there now. */
static quern_status lock(const cli_resume *how)
{
    char name[4096];

    snprintf(name, sizeof name, "%s.lock", how->path);
    for (;;) {
        struct stat ours, there;
        int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0) return cli_fail(QUERN_IO, "cannot create '%s': %s", name, strerror(errno));
        if (flock(fd, LOCK_EX | LOCK_NB)) {
            close(fd);
            return cli_fail(QUERN_IO, "another process is at work with '%s'", how->path);
        }
        if (!fstat(fd, &ours) && !stat(name, &there) && ours.st_ino == there.st_ino) return QUERN_OK;
        close(fd);
    }
}

static void unlock(const cli_resume *how)
{
    char name[4096];

    snprintf(name, sizeof name, "%s.lock", how->path);
    unlink(name);
}

void cli_resume_end(const cli_resume *how)
{
    if (!how->path) return;
    unlink(how->path);
    unlock(how);
}

/* ---- slices ----------------------------------------------------------------------------------------------------- */

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void choose_slices(job *j)
{
    header *h = &j->now;
    int64_t pairs = j->how->pairs > 0 ? j->how->pairs : (int64_t)1 << 35;

    h->slice_rows = larger(1, smaller(h->rows, smaller(MOST_ROWS, larger(LEAST_ROWS, pairs / larger(h->columns, 1)))));
    h->slice_columns =
        larger((h->columns + MOST_PIECES - 1) / MOST_PIECES, smaller(pairs / h->slice_rows, MOST_COLUMNS));
    h->slice_columns = (h->slice_columns + BLOCK) / BLOCK * BLOCK;
    j->piece_count = larger(1, (h->columns + h->slice_columns - 1) / h->slice_columns);
}

/* The rows of a slice of rows, and no columns, which come from elsewhere. */
static quern_view part_of(const job *j, quern_view view, char axis, int64_t rows)
{
    if (axis == j->pass.columns) return quern_view_rows(view, 0, 0);
    return axis == j->pass.rows ? quern_view_rows(view, j->now.first_row, rows) : view;
}

static char axis_of(const job *j, const char *name)
{
    for (size_t v = 0; v < quern_variable_count(j->op); v++)
        if (!strcmp(quern_variable(j->op, v).name, name)) return quern_variable(j->op, v).axis;
    return 'p';
}

static quern_status place(const job *j, quern_parts *parts, int64_t rows)
{
    size_t count = (size_t)j->piece_count + OTHERS;
    int64_t *cuts = calloc(2 * (count + 1), sizeof *cuts), *columns = cuts + count + 1;
    int64_t others = quern_parts_size(parts, j->pass.columns == 'i' ? 'j' : 'i'), first = j->now.first_row;
    bool has_rows = j->pass.rows != 'p';

    if (!cuts) return cli_fail_memory();
    cuts[1] = has_rows ? first : 0;
    cuts[2] = has_rows ? first + rows : others;
    for (size_t k = 3; k <= count; k++) cuts[k] = has_rows ? j->now.rows : others;
    for (int64_t k = 1; k <= j->piece_count; k++)
        columns[k + OTHERS] = smaller(k * j->now.slice_columns, j->now.columns);
    bool reduces_i = j->pass.columns == 'i';
    quern_status status = quern_parts_place(parts, count, 1, reduces_i ? columns : cuts, reduces_i ? cuts : columns);
    free(cuts);
    return status ? cli_fail_quern(status, NULL) : QUERN_OK;
}

static quern_status open_slice(const job *j, quern_parts **parts, int64_t rows)
{
    size_t count = j->inputs->count;
    quern_arg *args = calloc(count + 1, sizeof *args);
    quern_view *outs = calloc(j->results->count + 1, sizeof *outs);
    quern_status status = args && outs ? QUERN_OK : cli_fail_memory();

    for (size_t k = 0; k < count && !status; k++) {
        args[k] = j->inputs->args[k];
        args[k].view = part_of(j, args[k].view, axis_of(j, args[k].name), rows);
    }
    for (size_t r = 0; r < j->results->count && !status; r++)
        outs[r] = part_of(j, j->results->views[r], j->results->values[r].axis, rows);
    if (!status) {
        status = quern_parts_create(parts, j->op, NULL, (quern_args){args, count, 0, 0},
                                    (quern_outs){outs, j->results->count});
        if (status) cli_fail_quern(status, NULL);
    }
    if (!status) status = place(j, *parts, rows);
    free(args);
    free(outs);
    return status;
}

/* Columns of a piece, one after the other as parts take them. */
static quern_status pack(job *j, quern_parts *parts, int64_t piece)
{
    int64_t first = piece * j->now.slice_columns, count = smaller(j->now.slice_columns, j->now.columns - first);
    quern_arg *args = calloc(j->inputs->count + 1, sizeof *args);

    if (!args) return QUERN_MEMORY;
    for (size_t k = 0; k < j->inputs->count; k++) {
        args[k] = j->inputs->args[k];
        if (axis_of(j, args[k].name) == j->pass.columns) args[k].view = quern_view_rows(args[k].view, first, count);
    }
    free(j->columns);
    j->columns = malloc(quern_parts_bytes(parts, (size_t)(piece + OTHERS)) + 1);
    quern_status status = j->columns ? quern_parts_pack_from(parts, (size_t)(piece + OTHERS),
                                                             (quern_args){args, j->inputs->count, 0, 0}, j->columns)
                                     : QUERN_MEMORY;
    free(args);
    return status;
}

static quern_status take_piece(job *j, quern_parts *parts, int64_t piece)
{
    size_t at = (size_t)(piece + OTHERS);
    quern_status status = pack(j, parts, piece);

    if (!status) status = quern_parts_take(parts, at, j->columns);
    j->state_bytes[piece] = quern_parts_state_bytes(parts, at);
    free(j->states[piece]);
    j->states[piece] = status ? NULL : malloc(j->state_bytes[piece] + 1);
    if (!status && !j->states[piece]) status = QUERN_MEMORY;
    if (!status) status = quern_parts_states(parts, at, j->states[piece]);
    return status;
}

static double share_done(const job *j)
{
    double rows = (double)smaller(j->now.slice_rows, j->now.rows - j->now.first_row);

    return ((double)j->now.first_row + rows * (double)j->now.pieces / (double)j->piece_count) /
           (double)larger(1, j->now.rows);
}

static quern_status run_pieces(job *j, quern_parts *parts)
{
    quern_status status = quern_parts_begin(parts);

    for (int64_t k = 0; k < j->now.pieces && !status; k++)
        status = quern_parts_give(parts, (size_t)(k + OTHERS), j->states[k]);
    while (!status && j->now.pieces < j->piece_count) {
        status = take_piece(j, parts, j->now.pieces);
        if (status) break;
        j->now.pieces++;
        cli_progress(NULL, share_done(j));
        if (j->now.pieces < j->piece_count && write_file(j)) return QUERN_IO;
    }
    if (!status) status = quern_parts_end(parts);
    return status ? cli_fail_quern(status, NULL) : QUERN_OK;
}

static quern_status run_slices(job *j)
{
    while (j->now.first_row < j->now.rows) {
        quern_parts *parts = NULL;
        int64_t rows = smaller(j->now.slice_rows, j->now.rows - j->now.first_row);
        quern_status status = open_slice(j, &parts, rows);
        if (!status) status = run_pieces(j, parts);
        quern_parts_destroy(&parts);
        if (status) return status;
        j->now.first_row += rows;
        j->now.pieces = 0;
        if ((status = write_file(j))) return status;
    }
    return QUERN_OK;
}

quern_status cli_resume_check(const cli_resume *how, const cli_list *outputs)
{
    for (size_t k = 0; k < outputs->count && how->path; k++)
        if (cli_is_same_file(how->path, outputs->items[k]))
            return cli_fail(QUERN_USAGE, "'%s' is given for --resume, which is removed in the end, and for a result",
                            outputs->items[k]);
    return QUERN_OK;
}

/* ---- a run ------------------------------------------------------------------------------------------------------ */

/* What the one pass is like. */
static quern_status look(job *j)
{
    quern_parts *parts = NULL;
    quern_status status = quern_parts_create(&parts, j->op, NULL, (quern_args){j->inputs->args, j->inputs->count, 0, 0},
                                             (quern_outs){j->results->views, j->results->count});

    if (!status) status = quern_parts_begin(parts);
    if (status) cli_fail_quern(status, NULL);
    j->pass = quern_parts_pass(parts);
    j->now.rows = j->pass.rows == 'p' ? 1 : quern_parts_size(parts, j->pass.rows);
    j->now.columns = quern_parts_size(parts, j->pass.columns);
    if (!status && quern_parts_passes(parts) != 1)
        status =
            cli_fail(QUERN_UNSUPPORTED,
                     "--resume is for formulas of one pass, and this one takes %zu, as `quern explain` tells; run the "
                     "inner reduction first, with --resume and -o, and give its result to the outer one as a variable",
                     quern_parts_passes(parts));
    else if (!status && !j->pass.columns)
        status = cli_fail(QUERN_UNSUPPORTED, "--resume is for reductions, such as one over j; this formula has none");
    quern_parts_destroy(&parts);
    return status;
}

/* Without rows or columns there are no slices. */
static quern_status run_at_once(const job *j)
{
    quern_status status = quern_run_all(j->op, (quern_args){j->inputs->args, j->inputs->count, 0, 0},
                                        (quern_outs){j->results->views, j->results->count});
    return status ? cli_fail_quern(status, NULL) : QUERN_OK;
}

static quern_status run_job(job *j, quern_context *context)
{
    quern_status status = look(j);

    if (status) return status;
    if (!j->now.rows || !j->now.columns) return run_at_once(j);
    find_digests(j, context);
    choose_slices(j);
    j->states = calloc((size_t)j->piece_count, sizeof *j->states);
    j->state_bytes = calloc((size_t)j->piece_count, sizeof *j->state_bytes);
    if (!j->states || !j->state_bytes) return cli_fail_memory();
    if ((status = read_file(j))) return status;
    if (share_done(j) > 0) cli_note("%s: %.0f %% are done already", j->how->path, 100 * share_done(j));
    return run_slices(j);
}

quern_status cli_resume_run(const cli_resume *how, quern_operator *op, quern_context *context, const cli_inputs *inputs,
                            const cli_results *results)
{
    job j = {.how = how, .op = op, .inputs = inputs, .results = results, .now = {.magic = "quern --resume"}};

    if (strlen(how->path) > 4000) return cli_fail(QUERN_USAGE, "--resume: the name of the file is too long");
    if (inputs->M || inputs->N || inputs->members)
        return cli_fail(QUERN_UNSUPPORTED, "--resume: arrays tell the sizes; leave out --M, --N and offsets");
    quern_status status = lock(how);
    if (status) return status;
    status = run_job(&j, context);
    if (status) unlock(how);
    for (int64_t k = 0; k < j.piece_count && j.states; k++) free(j.states[k]);
    free(j.states);
    free(j.state_bytes);
    free(j.columns);
    return status;
}
