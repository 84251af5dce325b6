/*
 * npy.c: arrays in NumPy's .npy files: magic, version, length of the header, the header (a Python dictionary as text),
 * the elements. Source: numpy.lib.format's documentation.
 *
 * A file is not trusted: its header is parsed by a cursor that stops at anything unexpected, sizes are multiplied with
 * checks, and no more memory is allocated than the file has bytes to fill (and than their conversion takes). A written file is complete or absent: the
 * bytes go to a new file beside it, which takes its name when they are on the disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "quern/npy.h"

enum {
    PREAMBLE = 10,  /* magic, two bytes of version, two bytes of header length (version 1.0) */
    ALIGNMENT = 64, /* of the elements in the file */
    LONGEST_HEADER = 1 << 20,
    AXES = 6,       /* a batch of up to four sizes, rows, columns */
    STEP = 1 << 20, /* bytes read at a time where the file's length is not known */
};

static const char magic[6] = {'\x93', 'N', 'U', 'M', 'P', 'Y'};

static quern_status fail_usage(const char *what)
{
    return q_fail(QUERN_USAGE, "npy: %s", what);
}

/* ---- the header's text ------------------------------------------------------------------------------------------ */

typedef struct header {
    const char *path; /* for messages */
    const char *next; /* what is left of the text */
    quern_npy_source source;
    size_t size; /* of an element */
    quern_dtype dtype;
    int64_t shape[AXES]; /* as in the file */
    int64_t batch[AXES - 2], rows, columns;
    bool has_order, has_shape;
} header;

static quern_status fail_header(const header *h)
{
    return q_fail(QUERN_IO, "'%s' has a damaged .npy header at \"%.20s\"", h->path, h->next);
}

static void skip_blanks(header *h)
{
    h->next += strspn(h->next, " \t\n");
}

static bool accept(header *h, const char *token)
{
    skip_blanks(h);
    size_t size = strlen(token);
    if (strncmp(h->next, token, size)) return false;
    h->next += size;
    return true;
}

static bool accept_string(header *h, char *out, size_t size)
{
    skip_blanks(h);
    const char quote[2] = {*h->next, 0};
    if (*quote != '\'' && *quote != '"') return false;
    size_t length = strcspn(h->next + 1, quote);
    if (!h->next[1 + length] || length >= size) return false;
    memcpy(out, h->next + 1, length);
    out[length] = 0;
    h->next += length + 2;
    return true;
}

/* A number of at most 18 digits: below 2^63. */
static bool accept_number(header *h, int64_t *out)
{
    skip_blanks(h);
    size_t length = strspn(h->next, "0123456789");
    if (!length || length > 18) return false;
    *out = strtoll(h->next, NULL, 10);
    h->next += length;
    accept(h, "L"); /* Python 2 wrote long numbers so */
    return true;
}

static quern_status fail_structure(const header *h)
{
    q_fail(QUERN_DTYPE, "'%s' has elements that are structures; expected real numbers", h->path);
    q_fail_next_step("make columns of the fields: from numpy.lib.recfunctions import structured_to_unstructured; "
                     "numpy.save(path, structured_to_unstructured(a, dtype='<f4'))");
    return QUERN_DTYPE;
}

static quern_status read_descr(header *h)
{
    skip_blanks(h);
    if (*h->next == '[') return fail_structure(h);
    return accept_string(h, h->source.type, sizeof h->source.type) ? QUERN_OK : fail_header(h);
}

static quern_status read_order(header *h)
{
    h->has_order = true;
    h->source.by_columns = accept(h, "True");
    return h->source.by_columns || accept(h, "False") ? QUERN_OK : fail_header(h);
}

static quern_status read_shape(header *h)
{
    h->has_shape = true;
    if (!accept(h, "(")) return fail_header(h);
    int64_t length;
    for (int axes = 0; !accept(h, ")"); axes++) {
        if (axes == AXES) {
            q_fail(QUERN_SHAPE, "'%s' has an array of more than %d axes", h->path, AXES);
            q_fail_next_step("reshape it: numpy.save(path, a.reshape(len(a), -1))");
            return QUERN_SHAPE;
        }
        if (!accept_number(h, &length)) return fail_header(h);
        h->shape[axes] = length;
        h->source.axes = axes + 1;
        if (!accept(h, ",") && *h->next != ')') return fail_header(h);
    }
    return QUERN_OK;
}

static quern_status read_entry(header *h)
{
    char key[16];
    const char *start = h->next;
    if (!accept_string(h, key, sizeof key) || !accept(h, ":")) return fail_header(h);
    if (!strcmp(key, "descr")) return read_descr(h);
    if (!strcmp(key, "fortran_order")) return read_order(h);
    if (!strcmp(key, "shape")) return read_shape(h);
    h->next = start;
    return fail_header(h);
}

/* What types that are not real numbers are, and how NumPy makes real numbers of them. */
static const struct other {
    const char *start; /* of the type, after the byte order */
    const char *words, *advice;
} others[] = {
    {"c8", "complex numbers", "numpy.ascontiguousarray(a).astype('<c8').view('<f4')"},
    {"c16", "complex numbers", "numpy.ascontiguousarray(a).astype('<c16').view('<f8')"},
    {"c", "complex numbers", "numpy.ascontiguousarray(a).astype('<c16').view('<f8')"},
    {"f", "long floats", "a.astype('<f8')"},
    {"M", "points in time", "(a - a.min()).astype('<f8')"},
    {"m", "times", "a.astype('<f8')"},
    {"U", "texts", "a.astype('<f8')"},
    {"S", "texts", "a.astype('<f8')"},
    {"O", "Python objects", "a.astype('<f8')"},
    {"V", "raw bytes, such as bfloat16", "a.astype('<f4')"},
    {"", "of a type that is not known", "a.astype('<f4')"},
};

/* The last two axes are rows and columns, those before them a batch. */
static quern_status find_shape(header *h)
{
    int axes = h->source.axes, leading = axes > 2 ? axes - 2 : 0;
    h->rows = axes ? h->shape[leading] : 1;
    h->columns = axes > 1 ? h->shape[leading + 1] : 1;
    for (int d = 0; d < leading; d++) {
        h->batch[d] = h->shape[d];
        if (!h->batch[d])
            return q_fail(QUERN_SHAPE, "'%s' has %d axes, of which the batch has the size 0", h->path, axes);
    }
    if (!leading || !h->source.by_columns) return QUERN_OK;
    q_fail(QUERN_SHAPE, "'%s' has an array of %d axes in Fortran order", h->path, axes);
    q_fail_next_step("store it in C order: numpy.save(path, numpy.ascontiguousarray(a))");
    return QUERN_SHAPE;
}

/* Elements of the array; false if they cannot be counted. */
static bool count_elements(const header *h, size_t *out)
{
    *out = 1;
    for (int d = 0; d < AXES - 2 && h->batch[d]; d++)
        if (!q_mul_size(*out, (size_t)h->batch[d], out)) return false;
    return q_mul_size(*out, (size_t)h->rows, out) && q_mul_size(*out, (size_t)h->columns, out);
}

static quern_status check_type(header *h)
{
    const char *type = h->source.type;
    const struct other *o = others;
    h->source.by_columns = h->source.by_columns && h->rows > 1 && h->columns > 1;
    h->source.converted = h->source.by_columns || !q_element_native(type);
    if (q_element_known(type, &h->size, &h->dtype)) return QUERN_OK;
    while (strncmp(type + 1, o->start, strlen(o->start))) o++;
    q_fail(QUERN_DTYPE, "'%s' has elements of type %s (%s); expected real numbers", h->path, type, o->words);
    /* a complex number becomes two columns: in a column of them, each is a row of two */
    q_fail_next_step("convert it: numpy.save(path, %s%s)", o->advice,
                     *o->start == 'c' && h->source.axes < 2 ? ".reshape(-1, 2)" : "");
    return QUERN_DTYPE;
}

static quern_status read_dictionary(header *h)
{
    if (!accept(h, "{")) return fail_header(h);
    while (!accept(h, "}")) {
        Q_TRY(read_entry(h));
        accept(h, ",");
    }
    if (*h->source.type && h->has_order && h->has_shape) {
        Q_TRY(find_shape(h));
        return check_type(h);
    }
    return q_fail(QUERN_IO, "'%s' has a .npy header without descr, fortran_order or shape", h->path);
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

static quern_status read_bytes(FILE *file, const char *path, void *out, size_t size)
{
    if (fread(out, 1, size, file) == size) return QUERN_OK;
    if (ferror(file)) return q_fail_file("read", path, errno);
    return q_fail(QUERN_IO, "'%s' ends too early: it is truncated or no .npy file", path);
}

/* Reads everything before the header's text and tells its length. */
static quern_status read_preamble(FILE *file, const char *path, size_t *length)
{
    unsigned char bytes[PREAMBLE + 2];
    Q_TRY(read_bytes(file, path, bytes, PREAMBLE));
    if (memcmp(bytes, magic, sizeof magic)) return q_fail(QUERN_IO, "'%s' is not a .npy file", path);
    int version = bytes[6];
    if (version < 1 || version > 3)
        return q_fail(QUERN_IO, "'%s' has version %d of the .npy format; known are 1 to 3", path, version);
    if (version > 1) Q_TRY(read_bytes(file, path, bytes + PREAMBLE, 2));
    *length = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    if (version > 1) *length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (*length <= LONGEST_HEADER) return QUERN_OK;
    return q_fail(QUERN_IO, "'%s' has a .npy header of %zu bytes; at most %d are read", path, *length, LONGEST_HEADER);
}

static quern_status read_header(FILE *file, header *h)
{
    size_t length = 0;
    Q_TRY(read_preamble(file, h->path, &length));
    char *text = malloc(length + 1);
    if (!text) return q_fail_memory(length + 1);
    quern_status status = read_bytes(file, h->path, text, length);
    text[length] = 0;
    h->next = text;
    if (!status) status = read_dictionary(h);
    h->next = "";
    free(text);
    return status;
}

/* How much to ask for at a time: all of it if the file is known to hold it, else little, for a header may lie. */
static quern_status choose_step(FILE *file, const char *path, size_t bytes, size_t *step)
{
    struct stat info;
    *step = STEP;
    if (fstat(fileno(file), &info) || !S_ISREG(info.st_mode)) return QUERN_OK;
    *step = bytes;
    int64_t left = (int64_t)info.st_size - (int64_t)ftello(file);
    if (left >= 0 && bytes <= (uint64_t)left) return QUERN_OK;
    return q_fail(QUERN_IO, "'%s' is truncated: %zu bytes of elements are announced, %lld are there", path, bytes,
                  (long long)(left > 0 ? left : 0));
}

static quern_status count_bytes(const header *h, size_t *out)
{
    if (count_elements(h, out) && q_mul_size(*out, h->size, out)) return QUERN_OK;
    return q_fail(QUERN_IO, "'%s' announces more elements than memory can hold", h->path);
}

static quern_status read_elements(FILE *file, const header *h, void **out)
{
    size_t bytes, step, used = 0, capacity = 0;
    Q_TRY(count_bytes(h, &bytes));
    Q_TRY(choose_step(file, h->path, bytes, &step));
    char *data = NULL;
    quern_status status = q_grow(&data, &capacity, 1, 1) ? QUERN_OK : q_fail_memory(1); /* no elements: not null */
    while (!status && used < bytes) {
        size_t more = bytes - used < step ? bytes - used : step;
        if (!q_grow(&data, &capacity, used + more, 1)) status = q_fail_memory(used + more);
        else status = read_bytes(file, h->path, data + used, more);
        used += more;
    }
    if (status) free(data);
    else *out = data;
    return status;
}

/* Replaces the elements of the file by those of an array. */
static quern_status convert(const header *h, void **data)
{
    size_t bytes, count = 0;
    bool fits = count_elements(h, &count) && q_mul_size(count, q_element_size(h->dtype), &bytes);
    void *converted = fits ? malloc(bytes + 1) : NULL;
    if (!converted) return q_fail_memory(fits ? bytes : SIZE_MAX);
    int64_t rows = h->batch[0] && h->columns ? (int64_t)count / h->columns : h->rows;
    q_elements_convert(h->source.type, h->source.by_columns, rows, h->columns, *data, converted);
    free(*data);
    *data = converted;
    return QUERN_OK;
}

static void make_view(quern_view *out, const header *h, void *data)
{
    *out = quern_view_of(data, h->dtype, h->rows, h->columns);
    memcpy(out->batch, h->batch, sizeof h->batch);
}

quern_status quern_npy_read_stream(quern_view *out, FILE *stream, const char *path, quern_npy_source *source)
{
    if (!out || !stream || !path) return fail_usage("quern_npy_read_stream needs a view, a stream and its name");
    *out = (quern_view){0};
    void *data = NULL;
    header h = {.path = path, .next = ""};
    quern_status status = read_header(stream, &h);
    if (!status) status = read_elements(stream, &h, &data);
    if (!status && h.source.converted) status = convert(&h, &data);
    if (status) free(data);
    else make_view(out, &h, data);
    if (source) *source = h.source;
    return status;
}

/* ---- mapping ---------------------------------------------------------------------------------------------------- */

/* The page in which the elements of a mapped view begin, and what is mapped from there on. */
static void *pages_of(const quern_view *view, size_t *size)
{
    size_t count = (size_t)view->rows * (size_t)view->columns, page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t d = 0; d < Q_COUNT(view->batch) && view->batch[d]; d++) count *= (size_t)view->batch[d];
    size_t before = (uintptr_t)view->data % page;
    *size = count * q_element_size(view->dtype) + before;
    return (char *)view->data - before;
}

static quern_status map_elements(FILE *file, const header *h, void **out)
{
    size_t bytes, step, at = (size_t)ftello(file), before = at % (size_t)sysconf(_SC_PAGESIZE);
    struct stat info;
    Q_TRY(count_bytes(h, &bytes));
    Q_TRY(choose_step(file, h->path, bytes, &step));
    if (h->source.converted || !bytes || fstat(fileno(file), &info) || !S_ISREG(info.st_mode))
        return q_fail(QUERN_UNSUPPORTED, "'%s' cannot be mapped: %s", h->path,
                      h->source.converted ? "its elements must be converted" : "it has none, or is no regular file");
    void *start = mmap(NULL, bytes + before, PROT_READ, MAP_PRIVATE, fileno(file), (off_t)(at - before));
    if (start == MAP_FAILED) return q_fail(QUERN_UNSUPPORTED, "'%s' cannot be mapped: %zu bytes", h->path, bytes);
    (void)madvise(start, bytes + before, MADV_SEQUENTIAL);
    *out = (char *)start + before;
    return QUERN_OK;
}

quern_status quern_npy_map(quern_view *out, const char *path, quern_npy_source *source)
{
    if (!out || !path) return fail_usage("quern_npy_map needs a view and a path");
    *out = (quern_view){0};
    FILE *file = fopen(path, "rb");
    if (!file) return q_fail_file("open", path, errno);
    void *data = NULL;
    header h = {.path = path, .next = ""};
    quern_status status = read_header(file, &h);
    if (!status) status = map_elements(file, &h, &data);
    fclose(file);
    if (!status) make_view(out, &h, data);
    if (source) *source = h.source;
    return status;
}

void quern_npy_drop(const quern_view *view)
{
    size_t size;
    if (!view || !view->data) return;
    void *pages = pages_of(view, &size);
    (void)madvise(pages, size, MADV_DONTNEED);
}

void quern_npy_unmap(quern_view *view)
{
    size_t size;
    if (!view || !view->data) return;
    void *pages = pages_of(view, &size);
    (void)munmap(pages, size);
    *view = (quern_view){0};
}

quern_status quern_npy_read(quern_view *out, const char *path)
{
    if (!out || !path) return fail_usage("quern_npy_read needs a view and a path");
    *out = (quern_view){0};
    FILE *file = fopen(path, "rb");
    if (!file) return q_fail_file("open", path, errno);
    quern_status status = quern_npy_read_stream(out, file, path, NULL);
    fclose(file);
    return status;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

typedef struct output {
    const char *path; /* as the user gave it, for messages */
    quern_view view;
    size_t count, size; /* elements, bytes of one */
} output;

static quern_status prepare(output *o, const char *path, quern_view view)
{
    *o = (output){.path = path, .view = view, .size = q_element_size(view.dtype)};
    if (view.array || (view.stride && view.stride != view.columns && view.rows > 1))
        return fail_usage("an array on the device, or with gaps between its rows, cannot be written: copy it first");
    if (view.dtype != QUERN_F32 && view.dtype != QUERN_F64 && view.dtype != QUERN_I64)
        return fail_usage("only arrays of float32, float64 and int64 are written");
    size_t bytes;
    bool fits = view.rows >= 0 && view.columns >= 0;
    o->count = 1;
    for (size_t d = 0; d < Q_COUNT(view.batch) && view.batch[d]; d++)
        fits = fits && view.batch[d] > 0 && q_mul_size(o->count, (size_t)view.batch[d], &o->count);
    fits = fits && q_mul_size(o->count, (size_t)view.rows, &o->count) &&
           q_mul_size(o->count, (size_t)view.columns, &o->count);
    if (!fits || !q_mul_size(o->count, o->size, &bytes))
        return q_fail(QUERN_USAGE, "npy: an array of %lld x %lld elements cannot be", (long long)view.rows,
                      (long long)view.columns);
    return o->count && !view.data ? fail_usage("the array has no data") : QUERN_OK;
}

/* Writes preamble and header, padded with blanks so that the elements start at a multiple of 64 bytes. */
static bool put_header(FILE *file, const output *o)
{
    char text[4 * ALIGNMENT] = {0};
    memcpy(text, magic, sizeof magic);
    text[6] = 1; /* version 1.0 */
    size_t used = PREAMBLE + (size_t)snprintf(text + PREAMBLE, sizeof text - PREAMBLE,
                                              "{'descr': '%s', 'fortran_order': False, 'shape': (",
                                              q_element_type(o->view.dtype));
    for (size_t d = 0; d < Q_COUNT(o->view.batch) && o->view.batch[d]; d++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%lld, ", (long long)o->view.batch[d]);
    used += (size_t)snprintf(text + used, sizeof text - used, "%lld, %lld), }", (long long)o->view.rows,
                             (long long)o->view.columns);
    size_t size = (used + 1 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    memset(text + used, ' ', size - used);
    text[size - 1] = '\n';
    text[8] = (char)(unsigned char)(size - PREAMBLE); /* at most 246: one byte holds it */
    return fwrite(text, 1, size, file) == size;
}

static bool put_array(FILE *file, const output *o)
{
    if (!put_header(file, o)) return false;
    if (o->count && fwrite(o->view.data, o->size, o->count, file) != o->count) return false;
    return !fflush(file);
}

/* Opens a new file beside `target`. Names that exist, of other writers or of one that died, are passed over. */
static int open_beside(const char *target, q_text *name)
{
    for (int attempt = 0; attempt < 1000; attempt++) {
        name->size = 0;
        q_text_add(name, "%s.%ld-%d.tmp", target, q_process(), attempt);
        if (name->failed) {
            errno = ENOMEM;
            return -1;
        }
        int fd = open(name->data, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
    return -1;
}

/* Writes the array to an open file and closes it. False with errno set when anything was not taken. */
static bool fill_and_close(int fd, const output *o, bool to_disk)
{
    FILE *file = fdopen(fd, "wb");
    bool written = file && put_array(file, o) && (!to_disk || !fsync(fd));
    int code = errno;
    bool closed = file ? !fclose(file) : !close(fd);
    if (!written) errno = code;
    return written && closed;
}

static quern_status replace_file(const char *target, const output *o)
{
    q_text name = {0};
    quern_status status = QUERN_OK;
    int fd = open_beside(target, &name);
    if (fd < 0) status = name.failed ? q_fail_memory(strlen(target)) : q_fail_file("create", o->path, errno);
    else if (!fill_and_close(fd, o, true) || rename(name.data, target)) {
        status = q_fail_file("write", o->path, errno);
        unlink(name.data);
    }
    q_text_free(&name);
    return status;
}

/* For what a file must not replace: /dev/stdout, a named pipe. */
static quern_status write_in_place(const output *o)
{
    int fd = open(o->path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return q_fail_file("open", o->path, errno);
    return fill_and_close(fd, o, false) ? QUERN_OK : q_fail_file("write", o->path, errno);
}

quern_status quern_npy_write(const char *path, quern_view view)
{
    if (!path) return fail_usage("quern_npy_write needs a path");
    output o;
    Q_TRY(prepare(&o, path, view));
    struct stat info;
    if (!stat(path, &info) && !S_ISREG(info.st_mode)) return write_in_place(&o);
    char *target = realpath(path, NULL); /* a link stays, what it leads to is replaced */
    quern_status status = replace_file(target ? target : path, &o);
    free(target);
    return status;
}

quern_status quern_npy_write_stream(FILE *stream, quern_view view)
{
    if (!stream) return fail_usage("quern_npy_write_stream needs a stream");
    output o;
    Q_TRY(prepare(&o, "(stream)", view));
    return put_array(stream, &o) ? QUERN_OK : q_fail_file("write", o.path, errno);
}
