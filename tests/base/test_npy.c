/*
 * test_npy.c: .npy files: what is written is read again, foreign headers, damaged files and their messages, and that a
 * failed write leaves nothing behind.
 */
#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "quern/npy.h"

static char room[64]; /* a directory for one test */

static int enter(void **state)
{
    (void)state;
    strcpy(room, "/tmp/quern-test-XXXXXX");
    return mkdtemp(room) ? chdir(room) : -1;
}

static int leave(void **state)
{
    (void)state;
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", room);
    return chdir("/") || system(command);
}

static size_t files_in_room(void)
{
    size_t count = 0;
    DIR *directory = opendir(room);
    while (readdir(directory)) count++;
    closedir(directory);
    return count - 2; /* . and .. */
}

static void put_file(const char *name, const void *data, size_t size)
{
    FILE *file = fopen(name, "wb");
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
}

/* A file of the given version, header text and number of zero bytes behind it. */
static void put_npy(int version, const char *header, size_t zeros)
{
    size_t length = strlen(header);
    FILE *file = fopen("t.npy", "wb");
    fprintf(file, "\x93NUMPY%c%c%c%c", version, 0, (int)(length & 255), (int)(length >> 8));
    if (version > 1) fwrite("\0", 1, 2, file);
    fputs(header, file);
    for (size_t i = 0; i < zeros; i++) fputc(0, file);
    fclose(file);
}

static void expect(quern_status status, const char *message)
{
    quern_view view = {.data = &view};
    assert_int_equal(quern_npy_read(&view, "t.npy"), status);
    assert_string_equal(quern_last_error()->message, message);
    assert_null(view.data);
}

static void arrays_come_back(void **state)
{
    (void)state;
    float f[6] = {1, -2, 3.5f, 0, 5, 6};
    double d[3] = {1e300, -0.0, 3};
    int64_t i[2] = {INT64_MIN, INT64_MAX};
    const struct {
        quern_view view;
        size_t size;
    } cases[] = {
        {quern_f32(f, 2, 3), sizeof f}, {quern_f64(d, 3, 1), sizeof d}, {quern_i64(i, 1, 2), sizeof i},
        {quern_f32(NULL, 0, 5), 0},     {quern_f64(NULL, 4, 0), 0},
    };
    for (size_t k = 0; k < Q_COUNT(cases); k++) {
        quern_view back, view = cases[k].view;
        assert_int_equal(quern_npy_write("t.npy", view), QUERN_OK);
        assert_int_equal(quern_npy_read(&back, "t.npy"), QUERN_OK);
        assert_true(back.rows == view.rows && back.columns == view.columns && back.dtype == view.dtype);
        assert_non_null(back.data);
        if (cases[k].size) assert_memory_equal(back.data, view.data, cases[k].size);
        quern_free(back.data);
    }
    assert_int_equal(files_in_room(), 1);
}

/* The first 128 bytes are what NumPy itself writes, but for blanks. */
static void files_are_those_of_numpy(void **state)
{
    (void)state;
    float f[2] = {1, 2};
    char *data;
    size_t size;
    FILE *stream = fopen("t.npy", "wb");
    assert_int_equal(quern_npy_write_stream(stream, quern_f32(f, 1, 2)), QUERN_OK);
    fclose(stream);
    assert_int_equal(q_read_file("t.npy", &data, &size), QUERN_OK);
    assert_int_equal(size, 128 + sizeof f);
    assert_memory_equal(data, "\x93NUMPY\1\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }  ", 69);
    assert_int_equal(data[127], '\n');
    assert_memory_equal(data + 128, f, sizeof f);
    free(data);
}

static void foreign_headers_are_read(void **state)
{
    (void)state;
    static const struct {
        int version;
        const char *header;
        int64_t rows, columns;
        size_t bytes;
    } cases[] = {
        {1, "{'descr': '<f4', 'fortran_order': False, 'shape': (), }\n", 1, 1, 4},
        {1, "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }\n", 3, 1, 24},
        {2, "{'shape': (2L, 3L), 'fortran_order': False, 'descr': '<i8'}", 2, 3, 48},
        {3, "{\"descr\":\"<f4\",\"fortran_order\":False,\"shape\":(2,1)}", 2, 1, 8 + 5 /* more than needed */},
    };
    for (size_t k = 0; k < Q_COUNT(cases); k++) {
        quern_view view;
        put_npy(cases[k].version, cases[k].header, cases[k].bytes);
        assert_int_equal(quern_npy_read(&view, "t.npy"), QUERN_OK);
        assert_true(view.rows == cases[k].rows && view.columns == cases[k].columns);
        quern_free(view.data);
    }
}

/* Bytes of two elements of each type in little-endian order, and the numbers that they are. */
static const struct {
    const char *code;
    size_t size;
    const char *bytes;
    quern_dtype dtype;
    bool native;
    double numbers[2];
} types[] = {
    {"f2", 2, "\x00\xBC\xFF\x7B", QUERN_F32, false, {-1, 65504}},
    {"f2", 2, "\x01\x00\x55\x35", QUERN_F32, false, {0x1p-24, 0.333251953125}},
    {"f2", 2, "\x00\xFC\x00\x7C", QUERN_F32, false, {-INFINITY, INFINITY}},
    {"f4", 4, "\x00\x00\x80\x3F\x00\x00\x00\xC0", QUERN_F32, true, {1, -2}},
    {"f8", 8, "\x9A\x99\x99\x99\x99\x99\xB9\x3F\x00\x00\x00\x00\x00\x00\x00\xC0", QUERN_F64, true, {0.1, -2}},
    {"b1", 1, "\x00\x01", QUERN_F32, false, {0, 1}},
    {"i1", 1, "\x80\x7F", QUERN_F32, false, {-128, 127}},
    {"u1", 1, "\x80\xFF", QUERN_F32, false, {128, 255}},
    {"i2", 2, "\x00\x80\xFF\x7F", QUERN_F32, false, {-32768, 32767}},
    {"u2", 2, "\x00\x80\xFF\xFF", QUERN_F32, false, {32768, 65535}},
    {"i4", 4, "\x00\x00\x00\x80\xFF\xFF\xFF\x7F", QUERN_F64, false, {-2147483648.0, 2147483647}},
    {"u4", 4, "\x00\x00\x00\x80\xFF\xFF\xFF\xFF", QUERN_F64, false, {2147483648.0, 4294967295.0}},
    {"i8", 8, "\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x00\x00\x00\x01\x00\x00\x00", QUERN_I64, true, {-2, 4294967297.0}},
    {"u8",
     8,
     "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x00\x00\x00\x01\x00\x00\x00",
     QUERN_F64,
     false,
     {18446744073709551616.0, 4294967297.0}},
};

static double number_at(const quern_view *view, size_t k)
{
    if (view->dtype == QUERN_F32) return (double)((float *)view->data)[k];
    return view->dtype == QUERN_F64 ? ((double *)view->data)[k] : (double)((int64_t *)view->data)[k];
}

/* Reads t.npy after adding bytes to it. */
static void read_with(const void *bytes, size_t size, quern_view *view, quern_npy_source *source)
{
    FILE *file = fopen("t.npy", "r+b");
    fseek(file, 0, SEEK_END);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    rewind(file);
    assert_int_equal(quern_npy_read_stream(view, file, "t.npy", source), QUERN_OK);
    fclose(file);
}

static void check_type(size_t t, bool big)
{
    size_t size = types[t].size;
    char order = size == 1 ? "|="[big] : "<>"[big], text[100], bytes[16];
    quern_view view;
    quern_npy_source source;
    for (size_t b = 0; b < 2 * size; b++) bytes[b] = types[t].bytes[big ? b / size * size + (size - 1 - b % size) : b];
    snprintf(text, sizeof text, "{'descr': '%c%s', 'fortran_order': False, 'shape': (2,), }", order, types[t].code);
    put_npy(1, text, 0);
    read_with(bytes, 2 * size, &view, &source);
    assert_true(view.rows == 2 && view.columns == 1 && view.dtype == types[t].dtype && source.axes == 1);
    assert_true(source.type[0] == order && !strcmp(source.type + 1, types[t].code) && !source.by_columns);
    assert_int_equal(source.converted, !types[t].native || big);
    for (size_t k = 0; k < 2; k++) assert_true(number_at(&view, k) == types[t].numbers[k]);
    quern_free(view.data);
}

static void every_type_is_read(void **state)
{
    (void)state;
    for (size_t t = 0; t < Q_COUNT(types); t++) check_type(t, false), check_type(t, true);
    quern_view view;
    put_npy(1, "{'descr': '>f2', 'fortran_order': False, 'shape': (), }", 0);
    read_with("\x7E\x00", 2, &view, NULL);
    assert_true(view.rows == 1 && view.columns == 1 && isnan(*(float *)view.data));
    quern_free(view.data);
}

/* rows x columns of bytes 0, 1, 2, ... stored by columns. */
static void check_columns(int rows, int columns, bool matters)
{
    static const unsigned char bytes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
    char text[100];
    quern_view view;
    quern_npy_source source;
    snprintf(text, sizeof text, "{'descr': '|u1', 'fortran_order': True, 'shape': (%d, %d), }", rows, columns);
    put_npy(1, text, 0);
    read_with(bytes, (size_t)(rows * columns), &view, &source);
    assert_true(view.rows == rows && view.columns == columns && source.by_columns == matters);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < columns; c++)
            assert_true(number_at(&view, (size_t)(r * columns + c)) == (double)(c * rows + r));
    quern_free(view.data);
}

static void fortran_order_is_read(void **state)
{
    (void)state;
    check_columns(3, 5, true);
    check_columns(2, 2, true);
    check_columns(1, 7, false);
    check_columns(7, 1, false);
    check_columns(0, 3, false);
    check_columns(3, 0, false);
    quern_view view;
    put_npy(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (3,), }", 12);
    assert_int_equal(quern_npy_read(&view, "t.npy"), QUERN_OK);
    assert_true(view.rows == 3 && view.columns == 1);
    quern_free(view.data);
}

/* Two arrays one after the other in one stream. */
static void streams_are_read_one_array_at_a_time(void **state)
{
    (void)state;
    float f[2] = {1, 2};
    quern_view view;
    FILE *file = fopen("t.npy", "w+b");
    for (int k = 0; k < 2; k++) assert_int_equal(quern_npy_write_stream(file, quern_f32(f, 1, 2)), QUERN_OK);
    rewind(file);
    for (int k = 0; k < 2; k++) {
        assert_int_equal(quern_npy_read_stream(&view, file, "both", NULL), QUERN_OK);
        assert_memory_equal(view.data, f, sizeof f);
        quern_free(view.data);
    }
    assert_int_equal(quern_npy_read_stream(&view, file, "both", NULL), QUERN_IO);
    assert_string_equal(quern_last_error()->message, "'both' ends too early: it is truncated or no .npy file");
    fclose(file);
}

static void other_arrays_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *type, *shape, *words, *step;
    } others[] = {
        {"<c8", "(1, 1)", "complex numbers", "numpy.ascontiguousarray(a).astype('<c8').view('<f4'))"},
        {">c16", "(1,)", "complex numbers", "astype('<c16').view('<f8').reshape(-1, 2))"},
        {"<c32", "()", "complex numbers", "astype('<c16').view('<f8').reshape(-1, 2))"},
        {"<f16", "(1,)", "long floats", "a.astype('<f8'))"},
        {"<M8[ns]", "(1,)", "points in time", "a.min()"},
        {"<m8[D]", "(1,)", "times", "a.astype('<f8'))"},
        {"<U3", "(1,)", "texts", "a.astype('<f8'))"},
        {"|S3", "(1,)", "texts", "a.astype('<f8'))"},
        {"|O", "(1,)", "Python objects", "a.astype('<f8'))"},
        {"|V2", "(1,)", "raw bytes, such as bfloat16", "a.astype('<f4'))"},
        {"<q9", "(1,)", "of a type that is not known", "a.astype('<f4'))"},
        {"f4", "(1,)", "of a type that is not known", "a.astype('<f4'))"},
        {"<", "(1,)", "of a type that is not known", "a.astype('<f4'))"},
    };
    char text[160];
    for (size_t k = 0; k < Q_COUNT(others); k++) {
        snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", others[k].type,
                 others[k].shape);
        put_npy(1, text, 32);
        snprintf(text, sizeof text, "'t.npy' has elements of type %s (%s); expected real numbers", others[k].type,
                 others[k].words);
        expect(QUERN_DTYPE, text);
        assert_non_null(strstr(quern_last_error()->next_step, others[k].step));
    }
    put_npy(1, "{'descr': [('a', '<f4'), ('b', '<i4', (2,))], 'fortran_order': False, 'shape': (1,), }", 12);
    expect(QUERN_DTYPE, "'t.npy' has elements that are structures; expected real numbers");
    assert_non_null(strstr(quern_last_error()->next_step, "structured_to_unstructured(a, dtype='<f4')"));
    put_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1), }", 4);
    expect(QUERN_SHAPE, "'t.npy' has an array of more than 6 axes");
    assert_non_null(strstr(quern_last_error()->next_step, "reshape"));
    put_npy(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1, 1), }", 4);
    expect(QUERN_SHAPE, "'t.npy' has an array of 3 axes in Fortran order");
    assert_non_null(strstr(quern_last_error()->next_step, "ascontiguousarray"));
    put_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 1, 1), }", 0);
    expect(QUERN_SHAPE, "'t.npy' has 3 axes, of which the batch has the size 0");
}

/* Axes before the last two: read and written. */
static void batches(void **state)
{
    (void)state;
    float numbers[24];
    quern_view view, out = quern_f32(numbers, 2, 1);
    for (int n = 0; n < 24; n++) numbers[n] = (float)n;
    out.batch[0] = 3, out.batch[1] = 1, out.batch[2] = 4;
    assert_int_equal(quern_npy_write("b.npy", out), QUERN_OK);
    assert_int_equal(quern_npy_read(&view, "b.npy"), QUERN_OK);
    assert_memory_equal(view.batch, out.batch, sizeof out.batch);
    assert_int_equal(view.rows, 2);
    assert_int_equal(view.columns, 1);
    assert_memory_equal(view.data, numbers, sizeof numbers);
    quern_free(view.data);
    put_npy(1, "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3, 0), }", 0);
    assert_int_equal(quern_npy_read(&view, "t.npy"), QUERN_OK);
    assert_int_equal(view.batch[0], 2);
    assert_int_equal(view.rows, 3);
    assert_int_equal(view.columns, 0);
    quern_free(view.data);
    out.batch[0] = -1;
    assert_int_equal(quern_npy_write("b.npy", out), QUERN_USAGE);
}

/* Larger than a page, and twice from the start after its pages were dropped. */
static void files_are_mapped(void **state)
{
    (void)state;
    enum { COUNT = 30000 };
    double *numbers = malloc(COUNT * sizeof *numbers);
    quern_view view, out = quern_f64(numbers, COUNT / 6, 2);
    quern_npy_source source;
    for (int n = 0; n < COUNT; n++) numbers[n] = n;
    out.batch[0] = 3;
    assert_int_equal(quern_npy_write("m.npy", out), QUERN_OK);
    assert_int_equal(quern_npy_map(&view, "m.npy", &source), QUERN_OK);
    assert_int_equal(view.batch[0], 3);
    assert_string_equal(source.type, "<f8");
    for (int pass = 0; pass < 2; pass++) {
        assert_memory_equal(view.data, numbers, COUNT * sizeof *numbers);
        quern_npy_drop(&view);
    }
    quern_npy_unmap(&view);
    assert_null(view.data);
    quern_npy_unmap(&view);
    free(numbers);
    put_npy(1, "{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", 8);
    assert_int_equal(quern_npy_map(&view, "t.npy", NULL), QUERN_UNSUPPORTED);
    put_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3), }", 0);
    assert_int_equal(quern_npy_map(&view, "t.npy", NULL), QUERN_UNSUPPORTED);
    put_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", 8);
    assert_int_equal(quern_npy_map(&view, "t.npy", NULL), QUERN_IO);
    assert_int_equal(quern_npy_map(&view, "nosuch.npy", NULL), QUERN_IO);
    assert_null(view.data);
}

static void damaged_files_are_refused(void **state)
{
    (void)state;
    put_file("t.npy", "", 0);
    expect(QUERN_IO, "'t.npy' ends too early: it is truncated or no .npy file");
    put_file("t.npy", "hello, I am text", 16);
    expect(QUERN_IO, "'t.npy' is not a .npy file");
    put_file("t.npy", "\x93NUMPY\1\0\xFF\xFF{", 11);
    expect(QUERN_IO, "'t.npy' ends too early: it is truncated or no .npy file");
    put_file("t.npy", "\x93NUMPY\7\0\1\0{", 11);
    expect(QUERN_IO, "'t.npy' has version 7 of the .npy format; known are 1 to 3");
    put_file("t.npy", "\x93NUMPY\2\0\xFF\xFF\xFF\xFF{", 13);
    expect(QUERN_IO, "'t.npy' has a .npy header of 4294967295 bytes; at most 1048576 are read");
    put_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }", 23);
    expect(QUERN_IO, "'t.npy' is truncated: 24 bytes of elements are announced, 23 are there");
    put_npy(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 1000000000), }", 8);
    expect(QUERN_IO, "'t.npy' is truncated: 8000000000000000000 bytes of elements are announced, 8 are there");
    put_npy(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (999999999999999999, 99), }", 8);
    expect(QUERN_IO, "'t.npy' announces more elements than memory can hold");
    put_npy(1, "{'descr': '<f4', 'shape': (1,), }", 4);
    expect(QUERN_IO, "'t.npy' has a .npy header without descr, fortran_order or shape");
}

static void headers_are_read_to_the_byte(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"", ""},
        {"[]", "[]"},
        {"{", ""},
        {"{'descr", "'descr"},
        {"{'descr': '<f4", "'<f4"},
        {"{'fortran_order': 0}", "0}"},
        {"{'shape': [1]}", "[1]}"},
        {"{'shape': (-1,)}", "-1,)}"},
        {"{'shape': (1 2)}", "2)}"},
        {"{'shape': (,)}", ",)}"},
        {"{'shape': (1234567890123456789,)}", "1234567890123456789,"},
        {"{'shape': (1,", ""},
        {"{'other': 1}", "'other': 1}"},
    };
    for (size_t k = 0; k < Q_COUNT(bad); k++) {
        char message[100];
        snprintf(message, sizeof message, "'t.npy' has a damaged .npy header at \"%s\"", bad[k][1]);
        put_npy(1, bad[k][0], 8);
        expect(QUERN_IO, message);
    }
}

/* Every truncation and every changed byte of the header of a good file gives a status, and never a crash or a leak. */
static void any_damage_is_survived(void **state)
{
    (void)state;
    double d[4] = {1, 2, 3, 4};
    char *good;
    size_t size;
    quern_view view;
    assert_int_equal(quern_npy_write("good.npy", quern_f64(d, 2, 2)), QUERN_OK);
    assert_int_equal(q_read_file("good.npy", &good, &size), QUERN_OK);
    for (size_t cut = 0; cut < size; cut++) {
        put_file("t.npy", good, cut);
        assert_int_equal(quern_npy_read(&view, "t.npy"), QUERN_IO);
    }
    for (size_t at = 0; at < 128; at++) {
        for (int flip = 1; flip < 256; flip *= 2) {
            good[at] = (char)(good[at] ^ flip);
            put_file("t.npy", good, size);
            if (!quern_npy_read(&view, "t.npy")) quern_free(view.data);
            good[at] = (char)(good[at] ^ flip);
        }
    }
    free(good);
}

static void *feed_pipe(void *unused)
{
    float f[300000];
    for (int i = 0; i < 300000; i++) f[i] = (float)i;
    quern_status status = quern_npy_write("pipe", quern_f32(f, 300000, 1));
    return status ? &room : unused;
}

static void pipes_are_written_and_read(void **state)
{
    (void)state;
    quern_view view;
    pthread_t thread;
    void *failed;
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_int_equal(pthread_create(&thread, NULL, feed_pipe, NULL), 0);
    assert_int_equal(quern_npy_read(&view, "pipe"), QUERN_OK);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    assert_int_equal(view.rows, 300000);
    for (int i = 0; i < 300000; i++) assert_true(((float *)view.data)[i] == (float)i);
    quern_free(view.data);
    struct stat info;
    assert_int_equal(stat("pipe", &info), 0);
    assert_true(S_ISFIFO(info.st_mode));
}

static void failed_writes_change_nothing(void **state)
{
    (void)state;
    double d[1000] = {1};
    quern_view back;
    assert_int_equal(quern_npy_write("t.npy", quern_f64(d, 1, 1)), QUERN_OK);
    struct rlimit old, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 500;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    quern_status status = quern_npy_write("t.npy", quern_f64(d, 1000, 1));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(status, QUERN_IO);
    assert_string_equal(quern_last_error()->message, "cannot write 't.npy': File too large");
    assert_int_equal(files_in_room(), 1);
    assert_int_equal(quern_npy_read(&back, "t.npy"), QUERN_OK);
    assert_int_equal(back.rows, 1);
    quern_free(back.data);
    assert_int_equal(quern_npy_write("absent/t.npy", quern_f64(d, 1, 1)), QUERN_IO);
    assert_string_equal(quern_last_error()->message, "cannot create 'absent/t.npy': No such file or directory");
}

static void links_stay(void **state)
{
    (void)state;
    double d = 1;
    struct stat info;
    assert_int_equal(quern_npy_write("t.npy", quern_f64(&d, 1, 1)), QUERN_OK);
    assert_int_equal(symlink("t.npy", "link"), 0);
    assert_int_equal(quern_npy_write("link", quern_f64(NULL, 0, 1)), QUERN_OK);
    assert_int_equal(lstat("link", &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(stat("t.npy", &info), 0);
    assert_int_equal(info.st_size, 128);
}

static void senseless_arguments(void **state)
{
    (void)state;
    quern_view view;
    double d = 1;
    assert_int_equal(quern_npy_read(NULL, "t.npy"), QUERN_USAGE);
    assert_int_equal(quern_npy_read(&view, NULL), QUERN_USAGE);
    assert_int_equal(quern_npy_read(&view, "absent.npy"), QUERN_IO);
    assert_int_equal(quern_npy_read(&view, room), QUERN_IO);
    assert_int_equal(quern_npy_write(NULL, quern_f64(&d, 1, 1)), QUERN_USAGE);
    assert_int_equal(quern_npy_write("t.npy", quern_number(1)), QUERN_USAGE);
    assert_int_equal(quern_npy_write("t.npy", quern_f64(&d, -1, 1)), QUERN_USAGE);
    assert_int_equal(quern_npy_write("t.npy", quern_f64(&d, INT64_MAX, 3)), QUERN_USAGE);
    assert_int_equal(quern_npy_write("t.npy", quern_f64(NULL, 1, 1)), QUERN_USAGE);
    assert_int_equal(quern_npy_write_stream(NULL, quern_f64(&d, 1, 1)), QUERN_USAGE);
    assert_int_equal(files_in_room(), 0);
}

#define IN_ROOM(test) cmocka_unit_test_setup_teardown(test, enter, leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ROOM(arrays_come_back),
        IN_ROOM(files_are_those_of_numpy),
        IN_ROOM(foreign_headers_are_read),
        IN_ROOM(every_type_is_read),
        IN_ROOM(fortran_order_is_read),
        IN_ROOM(streams_are_read_one_array_at_a_time),
        IN_ROOM(other_arrays_are_refused),
        IN_ROOM(batches),
        IN_ROOM(files_are_mapped),
        IN_ROOM(damaged_files_are_refused),
        IN_ROOM(headers_are_read_to_the_byte),
        IN_ROOM(any_damage_is_survived),
        IN_ROOM(pipes_are_written_and_read),
        IN_ROOM(failed_writes_change_nothing),
        IN_ROOM(links_stay),
        IN_ROOM(senseless_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
