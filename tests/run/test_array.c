/*
 * test_array.c: arrays on the device: written, read, converted, cut into views; runs that mix them with arrays of the host,
 * of every type and stride, beside the same run on dense float32 arrays; loops on the device; memory and queues of the
 * program's own.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quern/array.h"
#include "run_helpers.h"
#include "solver.h"

enum { M = 37, N = 53, D = 3 };

static const char pairs[] = "x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)";

static float cell(int64_t row, int64_t column)
{
    return (float)((row * 7 + column * 3) % 17 - 8) / 8;
}

static void fill_host(float *out, int64_t rows, int64_t columns)
{
    for (int64_t k = 0; k < rows * columns; k++) out[k] = cell(k / columns, k % columns);
}

static quern_array *array_of(quern_view view)
{
    quern_array *array;
    succeed(quern_array_from(&array, context, view));
    return array;
}

static void arrays_keep_what_is_written(void **state)
{
    (void)state;
    need_device();
    float in[M * D], out[M * D];
    quern_array *array;
    fill_host(in, M, D);
    succeed(quern_array_create(&array, context, QUERN_F32, M, D));
    memset(out, 1, sizeof out);
    succeed(quern_array_read(array, quern_f32(out, M, D)));
    for (int k = 0; k < M * D; k++) assert_true(out[k] == 0);
    succeed(quern_array_write(array, quern_f32(in, M, D)));
    succeed(quern_array_read(array, quern_f32(out, M, D)));
    assert_memory_equal(in, out, sizeof in);
    succeed(quern_array_fill(array, 2.5));
    succeed(quern_array_read(array, quern_f32(out, M, D)));
    for (int k = 0; k < M * D; k++) assert_true(out[k] == 2.5f);
    quern_array_destroy(&array);
    assert_null(array);
}

/* Every type to every type by the device, beside the host's conversion; float64 by the host where the device has none. */
static void copies_convert(void **state)
{
    (void)state;
    need_device();
    static const double numbers[] = {0, 1, -1, 0.5, -2.75, 100.25, 2049, 65504, 70000, 3e9, -3e9, 1e30, -1e-7, 5e-8};
    enum { COUNT = sizeof numbers / sizeof *numbers };
    for (int from = QUERN_F32; from <= QUERN_BF16; from++)
        for (int to = QUERN_F32; to <= QUERN_BF16; to++) {
            bool f64 = from == QUERN_F64 || to == QUERN_F64;
            if (from == QUERN_F64 && !quern_context_device(context)->f64) continue; /* no such array */
            char in[8 * COUNT], got[8 * COUNT], expected[8 * COUNT];
            size_t size = q_element_size((quern_dtype)from), other = q_element_size((quern_dtype)to);
            for (size_t n = 0; n < COUNT; n++) {
                q_element_write((quern_dtype)from, in + n * size, numbers[n]);
                double value = q_element_read((quern_dtype)from, in + n * size);
                q_element_write((quern_dtype)to, expected + n * other, f64 ? value : (double)(float)value);
                if (from >= QUERN_I64 && from <= QUERN_I32 && to >= QUERN_I64 && to <= QUERN_I32)
                    q_element_write((quern_dtype)to, expected + n * other, value);
            }
            quern_array *array = array_of(quern_view_of(in, (quern_dtype)from, COUNT, 1));
            succeed(quern_array_read(array, quern_view_of(got, (quern_dtype)to, COUNT, 1)));
            for (size_t n = 0; n < COUNT; n++)
                if (memcmp(got + n * other, expected + n * other, other))
                    fail_msg("%s to %s: %g became %g, not %g", q_dtype_name((quern_dtype)from),
                             q_dtype_name((quern_dtype)to), numbers[n],
                             q_element_read((quern_dtype)to, got + n * other),
                             q_element_read((quern_dtype)to, expected + n * other));
            quern_array_destroy(&array);
        }
}

static void parts_of_views(void **state)
{
    (void)state;
    need_device();
    float in[M * D], out[M * D] = {0}, part[4 * 2];
    fill_host(in, M, D);
    quern_array *array = array_of(quern_f32(in, M, D));
    quern_view middle = quern_view_columns(quern_view_rows(quern_array_view(array), 5, 4), 1, 2);
    succeed(quern_copy(context, quern_f32(part, 4, 2), middle));
    for (int r = 0; r < 4; r++)
        for (int c = 0; c < 2; c++) assert_true(part[2 * r + c] == cell(5 + r, 1 + c));
    /* the same part of a host array, to the same part of the device's, doubled */
    for (int k = 0; k < M * D; k++) in[k] *= 2;
    succeed(quern_copy(context, middle, quern_view_columns(quern_view_rows(quern_f32(in, M, D), 5, 4), 1, 2)));
    succeed(quern_array_read(array, quern_f32(out, M, D)));
    for (int r = 0; r < M; r++)
        for (int c = 0; c < D; c++) {
            bool inside = r >= 5 && r < 9 && c >= 1;
            assert_true(out[D * r + c] == cell(r, c) * (inside ? 2 : 1));
        }
    float wide[4 * 5];
    memset(wide, 0, sizeof wide);
    succeed(
        quern_copy(context, quern_view_columns(quern_f32(wide, 4, 5), 2, 2), middle)); /* into a strided host array */
    for (int r = 0; r < 4; r++)
        for (int c = 0; c < 5; c++) assert_true(wide[5 * r + c] == (c == 2 || c == 3 ? 2 * cell(5 + r, c - 1) : 0));
    expect_failure(quern_copy(context, quern_f32(part, 4, 2), quern_view_rows(middle, 1, 4)), QUERN_SHAPE, "negative");
    expect_failure(quern_copy(context, quern_f32(part, 4, 2), quern_view_columns(middle, -1, 2)), QUERN_SHAPE,
                   "negative");
    quern_array_destroy(&array);
}

/* Points as a view of this kind: 0 host, 1 device, 2 device with a stride and an offset, 3 host with a stride. */
typedef struct held {
    char *memory;
    quern_array *array;
    quern_view view;
} held;

static held hold(const float *data, int64_t rows, int64_t columns, quern_dtype dtype, int kind)
{
    held h = {0};
    int64_t wide = kind >= 2 ? columns + 2 : columns;
    size_t size = q_element_size(dtype);
    h.memory = calloc((size_t)(rows * wide + 1), size);
    assert_non_null(h.memory);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++)
            q_element_write(dtype, h.memory + (size_t)(r * wide + c + (kind >= 2)) * size,
                            (double)data[r * columns + c]);
    h.view = quern_view_of(h.memory, dtype, rows, wide);
    if (kind == 1 || kind == 2) {
        h.array = array_of(h.view);
        h.view = quern_array_view(h.array);
    }
    if (kind >= 2) h.view = quern_view_columns(h.view, 1, columns);
    return h;
}

static void release(held *h)
{
    quern_array_destroy(&h->array);
    free(h->memory);
}

static void runs_take_arrays_of_every_kind(void **state)
{
    (void)state;
    need_device();
    float x[M * D], y[N * D], b[N], expected[M], got[M];
    fill_host(x, M, D), fill_host(y, N, D), fill_host(b, N, 1);
    quern_operator *op = compile(pairs, NULL);
    succeed(quern_run(op, QUERN_ARGS({"x", quern_f32(x, M, D)}, {"y", quern_f32(y, N, D)}, {"b", quern_f32(b, N, 1)}),
                      quern_f32(expected, M, 1)));
    /* the data are multiples of 1/8 below 1, which float16 and bfloat16 hold */
    static const quern_dtype dtypes[] = {QUERN_F32, QUERN_F16, QUERN_BF16};
    for (int kind = 0; kind < 4 * 3 * 4; kind++) {
        quern_dtype dtype = dtypes[kind / 4 % 3];
        held hx = hold(x, M, D, dtype, kind % 4), hy = hold(y, N, D, QUERN_F32, kind / 12 % 4),
             hb = hold(b, N, 1, dtype, (kind + 1) % 4), out = hold(got, M, 1, QUERN_F32, kind / 12 % 4);
        succeed(quern_run(op, QUERN_ARGS({"x", hx.view}, {"y", hy.view}, {"b", hb.view}), out.view));
        if (out.array) succeed(quern_copy(context, quern_f32(got, M, 1), out.view));
        for (int i = 0; i < M && !out.array; i++)
            got[i] = (float)q_element_read(QUERN_F32,
                                           (char *)out.view.data + 4 * (size_t)i * (size_t)(kind / 12 % 4 ? 3 : 1));
        for (int i = 0; i < M; i++)
            if (got[i] != expected[i])
                fail_msg("kind %d, row %d: %g, not %g", kind, i, (double)got[i], (double)expected[i]);
        release(&hx), release(&hy), release(&hb), release(&out);
    }
    quern_operator_destroy(&op);
}

static void integers_and_indices(void **state)
{
    (void)state;
    need_device();
    int32_t labels[M];
    int64_t nearest[M], wide[M];
    int32_t narrow[M];
    float y[N], sums[M], halves[M];
    uint16_t half[M];
    for (int i = 0; i < M; i++) labels[i] = i % 5;
    fill_host(y, N, 1);
    quern_operator *op = compile("l=Vi(1); y=Vj(1); ArgMin_j(Square(l-y)), Sum_j(Step(l-y))", NULL);
    quern_array *l = array_of(quern_view_of(labels, QUERN_I32, M, 1)), *k;
    quern_args args = QUERN_ARGS({"l", quern_array_view(l)}, {"y", quern_f32(y, N, 1)});
    succeed(quern_run_all(op, args, QUERN_OUTS(quern_i64(nearest, M, 1), quern_f32(sums, M, 1))));
    succeed(quern_run_all(op, args,
                          QUERN_OUTS(quern_view_of(narrow, QUERN_I32, M, 1), quern_view_of(half, QUERN_F16, M, 1))));
    succeed(quern_array_create(&k, context, QUERN_I64, M, 1));
    succeed(quern_run_all(op, args, QUERN_OUTS(quern_array_view(k), quern_f32(halves, M, 1))));
    succeed(quern_array_read(k, quern_i64(wide, M, 1)));
    for (int i = 0; i < M; i++) {
        int64_t best = 0;
        for (int j = 1; j < N; j++)
            if (fabsf((float)labels[i] - y[j]) < fabsf((float)labels[i] - y[best])) best = j;
        assert_int_equal(nearest[i], best);
        assert_int_equal(narrow[i], best);
        assert_int_equal(wide[i], best);
        assert_true(q_element_read(QUERN_F16, &half[i]) == (double)sums[i]);
    }
    expect_failure(quern_run_all(op, args, QUERN_OUTS(quern_f32(sums, M, 1), quern_f32(sums, M, 1))), QUERN_DTYPE,
                   "int64 or int32");
    quern_array_destroy(&l), quern_array_destroy(&k);
    quern_operator_destroy(&op);
}

static void results_may_be_arguments(void **state)
{
    (void)state;
    need_device();
    float x[M], out[M];
    fill_host(x, M, 1);
    quern_operator *op = compile("x=Vi(1); 2*x+1", NULL), *sum = compile("x=Vi(1); Sum_i(x)*x", NULL);
    quern_array *a = array_of(quern_f32(x, M, 1));
    for (int round = 0; round < 3; round++)
        succeed(quern_run(op, QUERN_ARGS({"x", quern_array_view(a)}), quern_array_view(a)));
    succeed(quern_array_read(a, quern_f32(out, M, 1)));
    for (int i = 0; i < M; i++) assert_true(out[i] == 8 * x[i] + 7);
    /* rows are read after others were written */
    float all = 0;
    for (int i = 0; i < M; i++) all += out[i];
    succeed(quern_run(sum, QUERN_ARGS({"x", quern_array_view(a)}), quern_array_view(a)));
    float product[M];
    succeed(quern_array_read(a, quern_f32(product, M, 1)));
    for (int i = 0; i < M; i++) assert_true(fabsf(product[i] - all * out[i]) <= 1e-5f * fabsf(all * out[i]));
    quern_array_destroy(&a);
    quern_operator_destroy(&op), quern_operator_destroy(&sum);
}

static void empty_arrays(void **state)
{
    (void)state;
    need_device();
    float got[2] = {1, 1}, one[2] = {3, 4};
    quern_array *none, *y, *a;
    succeed(quern_array_create(&none, context, QUERN_F32, 0, 1));
    succeed(quern_array_fill(none, 1));
    succeed(quern_array_read(none, quern_f32(NULL, 0, 1)));
    y = array_of(quern_f32(one, 2, 1));
    succeed(quern_array_create(&a, context, QUERN_F32, 2, 1));
    quern_operator *op = compile("x=Vi(1); y=Vj(1); Sum_j(x*y)", NULL);
    succeed(quern_run(op, QUERN_ARGS({"x", quern_array_view(y)}, {"y", quern_array_view(none)}), quern_array_view(a)));
    succeed(quern_array_read(a, quern_f32(got, 2, 1)));
    assert_true(got[0] == 0 && got[1] == 0);
    succeed(
        quern_run(op, QUERN_ARGS({"x", quern_array_view(none)}, {"y", quern_array_view(y)}), quern_array_view(none)));
    succeed(quern_wait(context));
    quern_operator_destroy(&op);
    quern_array_destroy(&none), quern_array_destroy(&y), quern_array_destroy(&a);
}

static void what_cannot_be(void **state)
{
    (void)state;
    need_device();
    float x[6] = {0};
    quern_context *other;
    quern_array *array, *foreign;
    const quern_context_options options = {.size = sizeof options, .memory = 1 << 20};
    succeed(quern_context_create(&other, &options));
    expect_failure(quern_array_create(&array, context, QUERN_F32, -1, 2), QUERN_SHAPE, "-1 x 2");
    expect_failure(quern_array_create(&array, context, QUERN_NUMBER, 1, 2), QUERN_USAGE, "element type 0");
    expect_failure(quern_array_create(&array, context, (quern_dtype)9, 1, 2), QUERN_USAGE, "element type 9");
    expect_failure(quern_array_create(&array, context, QUERN_F32, INT64_MAX, 2), QUERN_MEMORY, "too large");
    expect_failure(quern_array_create(&array, other, QUERN_F32, 1 << 20, 1), QUERN_MEMORY, "1048576 are in use");
    assert_null(array);
    array = array_of(quern_f32(x, 3, 2));
    succeed(quern_array_from(&foreign, other, quern_f32(x, 3, 2)));
    expect_failure(quern_array_write(array, quern_f32(x, 2, 3)), QUERN_SHAPE, "3 x 2, the source 2 x 3");
    expect_failure(quern_array_write(array, quern_array_view(array)), QUERN_USAGE, "overlap");
    expect_failure(quern_array_write(array, quern_array_view(foreign)), QUERN_USAGE, "another context");
    expect_failure(quern_array_write(array, quern_number(1)), QUERN_USAGE, "no array");
    quern_view view = quern_array_view(array);
    view.dtype = QUERN_I32;
    expect_failure(quern_copy(context, quern_f32(x, 3, 2), view), QUERN_DTYPE, "says int32; its array is float32");
    view = quern_array_view(array), view.offset = 1;
    expect_failure(quern_copy(context, quern_f32(x, 3, 2), view), QUERN_SHAPE, "leaves its array");
    view = quern_array_view(array), view.batch[3] = 1;
    expect_failure(quern_copy(context, quern_f32(x, 3, 2), view), QUERN_USAGE, "the source has a batch");
    view = quern_array_view(array), view.data = x;
    expect_failure(quern_copy(context, quern_f32(x, 3, 2), view), QUERN_USAGE, "both data, on the host, and array");
    view = quern_array_view(array), view.dtype = QUERN_NUMBER;
    expect_failure(quern_copy(context, quern_f32(x, 3, 2), view), QUERN_DTYPE, "does not say the element type");
    view = quern_f32(x, 3, 2), view.offset = 2;
    expect_failure(quern_array_write(array, view), QUERN_USAGE, "an offset, which is for arrays on the device");
    view = quern_f32(x, 3, 2), view.stride = 1;
    expect_failure(quern_array_write(array, view), QUERN_SHAPE, "would overlap");
    quern_operator *op = compile("x=Vi(2); Sum(x), 2*x", NULL);
    quern_view whole = quern_array_view(array);
    expect_failure(quern_run_all(op, QUERN_ARGS({"x", whole}), QUERN_OUTS(quern_view_columns(whole, 0, 1), whole)),
                   QUERN_USAGE, "results 0 and 1 overlap");
    expect_failure(quern_run_all(op, QUERN_ARGS({"x", quern_array_view(foreign)}), QUERN_OUTS(whole, whole)),
                   QUERN_USAGE, "x is an array of another context");
    quern_operator_destroy(&op);
    quern_array_destroy(&array), quern_array_destroy(&foreign);
    quern_context_destroy(&other);
}

/* Columns of one table are results of one run. */
static void columns_of_a_table(void **state)
{
    (void)state;
    need_device();
    float x[M * 2], out[M * 3];
    fill_host(x, M, 2);
    quern_array *table;
    succeed(quern_array_create(&table, context, QUERN_F32, M, 3));
    quern_view all = quern_array_view(table);
    quern_operator *op = compile("x=Vi(2); Sum(x), 2*x", NULL);
    succeed(quern_run_all(op, QUERN_ARGS({"x", quern_f32(x, M, 2)}),
                          QUERN_OUTS(quern_view_columns(all, 2, 1), quern_view_columns(all, 0, 2))));
    succeed(quern_array_read(table, quern_f32(out, M, 3)));
    for (int i = 0; i < M; i++) {
        assert_true(out[3 * i] == 2 * x[2 * i] && out[3 * i + 1] == 2 * x[2 * i + 1]);
        assert_true(out[3 * i + 2] == x[2 * i] + x[2 * i + 1]);
    }
    quern_operator_destroy(&op);
    quern_array_destroy(&table);
}

// ---- queues and memory of the program's own ----

static void handles_of_the_program(void **state)
{
    (void)state;
    need_device();
    quern_context *own, *narrow;
    float x[M], out[M];
    fill_host(x, M, 1);
    quern_context_options options = {.size = sizeof options, .opencl_queue = quern_context_opencl_queue(context)};
    succeed(quern_context_create(&own, &options));
    assert_ptr_equal(quern_context_opencl(own), quern_context_opencl(context));
    assert_ptr_equal(quern_context_opencl_queue(own), quern_context_opencl_queue(context));
    options.opencl_queue = NULL;
    options.opencl_context = quern_context_opencl(context);
    succeed(quern_context_create(&narrow, &options));
    assert_ptr_equal(quern_context_opencl(narrow), quern_context_opencl(context));
    cl_int code;
    cl_mem mem = clCreateBuffer(quern_context_opencl(own), CL_MEM_COPY_HOST_PTR, sizeof x, x, &code);
    assert_non_null(mem);
    quern_array *array;
    expect_failure(quern_array_wrap(&array, own, mem, QUERN_F32, M + 1, 1), QUERN_SHAPE, "the buffer has 148 bytes");
    succeed(quern_array_wrap(&array, own, mem, QUERN_F32, M, 1));
    assert_ptr_equal(quern_array_opencl(array), mem);
    clReleaseMemObject(mem); /* the array keeps it alive */
    quern_operator *op;
    succeed(quern_compile(&op, own, "x=Vi(1); 3*x", NULL));
    succeed(quern_run(op, QUERN_ARGS({"x", quern_array_view(array)}), quern_f32(out, M, 1)));
    for (int i = 0; i < M; i++) assert_true(out[i] == 3 * x[i]);
    quern_operator_destroy(&op);
    quern_context_destroy(&own), quern_context_destroy(&narrow); /* the array keeps its context alive */
    succeed(quern_array_read(array, quern_f32(out, M, 1)));
    assert_memory_equal(out, x, sizeof x);
    quern_array_destroy(&array);
}

/* A part of the program's memory is a sub-buffer, of which no driver makes another one. */
static void parts_of_wrapped_parts(void **state)
{
    (void)state;
    need_device();
    enum { WIDE = 64 };
    const size_t step = context->session->alignment / sizeof(float) + 1, rows = 4 * step;
    float *x = calloc(rows + 1, sizeof *x), out[WIDE];
    assert_non_null(x);
    for (size_t k = 0; k < rows; k++) x[k] = (float)k;
    cl_int code;
    cl_mem mem = clCreateBuffer(quern_context_opencl(context), CL_MEM_COPY_HOST_PTR, rows * sizeof *x, x, &code);
    cl_buffer_region region = {context->session->alignment, 3 * step * sizeof *x};
    cl_mem part = clCreateSubBuffer(mem, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &code);
    assert_non_null(part);
    quern_operator *op = compile("x=Vi(1); x+1", NULL);
    quern_array *array, *whole;
    succeed(quern_array_wrap(&array, context, part, QUERN_F32, (int64_t)(3 * step), 1));
    succeed(quern_array_wrap(&whole, context, mem, QUERN_F32, (int64_t)rows, 1));
    /* cut where the part's parent may be cut, one element further, at its start, and nothing */
    const size_t starts[] = {step - 1, step, 0, 5};
    for (size_t s = 0; s < Q_COUNT(starts); s++) {
        int64_t count = s == 3 ? 0 : 3;
        quern_view view = quern_view_rows(quern_array_view(array), (int64_t)starts[s], count);
        succeed(quern_run(op, QUERN_ARGS({"x", view}), view));
        succeed(quern_copy(context, quern_f32(out, count, 1), view));
        for (int64_t k = 0; k < count; k++)
            assert_true(out[k] == (float)(step - 1 + starts[s] + (size_t)k + 1 + (s == 1 && k < 2)));
    }
    succeed(quern_array_read(whole, quern_f32(x, (int64_t)rows, 1)));
    size_t changed = 0;
    for (size_t k = 0; k < rows; k++) changed += x[k] != (float)k;
    assert_int_equal(changed, 7); /* two of the first two ranges are the same */
    quern_operator_destroy(&op);
    quern_array_destroy(&array), quern_array_destroy(&whole);
    clReleaseMemObject(part), clReleaseMemObject(mem);
    free(x);
}

static void memory_that_kernels_only_read_or_write(void **state)
{
    (void)state;
    need_device();
    float x[M] = {1}, out[M];
    cl_int code;
    cl_context opened = quern_context_opencl(context);
    cl_mem in = clCreateBuffer(opened, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, sizeof x, x, &code),
           to = clCreateBuffer(opened, CL_MEM_WRITE_ONLY, sizeof x, NULL, &code);
    quern_array *input, *output;
    succeed(quern_array_wrap(&input, context, in, QUERN_F32, M, 1));
    succeed(quern_array_wrap(&output, context, to, QUERN_F32, M, 1));
    quern_operator *op = compile("x=Vi(1); x+1", NULL);
    quern_view readable = quern_array_view(input), writable = quern_array_view(output);
    succeed(quern_run(op, QUERN_ARGS({"x", readable}), writable));
    succeed(quern_array_read(output, quern_f32(out, M, 1)));
    assert_true(out[0] == 2 && out[1] == 1);
    expect_failure(quern_run(op, QUERN_ARGS({"x", readable}), readable), QUERN_USAGE,
                   "kernels cannot write the result");
    expect_failure(quern_run(op, QUERN_ARGS({"x", writable}), writable), QUERN_USAGE, "kernels cannot read x");
    quern_operator_destroy(&op);
    quern_array_destroy(&input), quern_array_destroy(&output);
    clReleaseMemObject(in), clReleaseMemObject(to);
}

/* Two arrays may be the same memory. */
static void memory_that_is_wrapped_twice(void **state)
{
    (void)state;
    need_device();
    float x[M], out[M];
    for (int i = 0; i < M; i++) x[i] = 1;
    quern_array *first = array_of(quern_f32(x, M, 1)), *second, *part;
    succeed(quern_array_wrap(&second, context, quern_array_opencl(first), QUERN_F32, M, 1));
    succeed(quern_array_wrap(&part, context, quern_array_opencl(first), QUERN_I32, 2, 1));
    quern_operator *op = compile("x=Vi(1); Sum_i(x)*x", NULL), *two = compile("x=Vi(1); x, 2*x", NULL);
    succeed(quern_run(op, QUERN_ARGS({"x", quern_array_view(first)}), quern_array_view(second)));
    succeed(quern_array_read(first, quern_f32(out, M, 1)));
    for (int i = 0; i < M; i++) assert_true(out[i] == M);
    expect_failure(quern_run_all(two, QUERN_ARGS({"x", quern_f32(x, M, 1)}),
                                 QUERN_OUTS(quern_array_view(first), quern_array_view(second))),
                   QUERN_USAGE, "overlap");
    expect_failure(quern_copy(context, quern_view_rows(quern_array_view(first), 1, 2), quern_array_view(part)),
                   QUERN_USAGE, "overlap");
    succeed(quern_copy(context, quern_view_rows(quern_array_view(first), 2, 2), quern_array_view(part)));
    quern_operator_destroy(&op), quern_operator_destroy(&two);
    quern_array_destroy(&first), quern_array_destroy(&second), quern_array_destroy(&part);
}

/* Memory that the program may have kept is not used for another array. */
static void shown_memory_is_not_used_again(void **state)
{
    (void)state;
    need_device();
    float x[M] = {1}, out[M];
    quern_array *first = array_of(quern_f32(x, M, 1)), *second;
    cl_mem mem = quern_array_opencl(first);
    assert_int_equal(clRetainMemObject(mem), CL_SUCCESS);
    quern_array_destroy(&first);
    succeed(quern_array_create(&second, context, QUERN_F32, M, 1));
    assert_int_equal(
        clEnqueueReadBuffer(quern_context_opencl_queue(context), mem, CL_TRUE, 0, sizeof out, out, 0, NULL, NULL), 0);
    assert_memory_equal(out, x, sizeof x);
    clReleaseMemObject(mem);
    quern_array_destroy(&second);
}

// ---- a loop on the device ----

static void conjugate_gradients(void **state)
{
    (void)state;
    need_device();
    solver s = solver_create(M);
    for (int step = 0; step < 12; step++) solver_step(&s);
    assert_true(solver_error(&s) < 1e-4);
    solver_destroy(&s);
}

/* A parameter of one number is an argument by value, unless one is on the device: the same bits. */
static void numbers_by_value_and_in_memory(void **state)
{
    (void)state;
    need_device();
    static const float values[] = {0, -0.0F, 1.1F, -3e38F, INFINITY, NAN};
    float x[M], expected[M], got[M];
    for (int i = 0; i < M; i++) x[i] = (float)i * 0.37F - 2;
    quern_operator *op = compile("x=Vi(1); y=Vj(1); p=Pm(1); q=Pm(1); p*Sum_j(Exp(-Square(x-y))*q)+p", NULL);
    for (size_t v = 0; v < Q_COUNT(values); v++) {
        float value = values[v], other = 0.3F;
        uint16_t half = 0x34CD; /* 0.3 as far as float16 goes */
        double rounded = q_element_read(QUERN_F16, &half);
        quern_array *array = array_of(quern_f32(&value, 1, 1));
        const quern_view ways[][2] = {
            {quern_f32(&value, 1, 1), quern_number((double)other)},
            {quern_number((double)value), quern_f32(&other, 1, 1)},
            {quern_array_view(array), quern_f32(&other, 1, 1)},
            {quern_array_view(array), quern_number((double)other)},
            {quern_f32(&value, 1, 1), quern_view_of(&half, QUERN_F16, 1, 1)},
            {quern_array_view(array), quern_number(rounded)},
        };
        for (size_t w = 0; w < Q_COUNT(ways); w++) {
            quern_args args =
                QUERN_ARGS({"x", quern_f32(x, M, 1)}, {"y", quern_f32(x, M, 1)}, {"p", ways[w][0]}, {"q", ways[w][1]});
            succeed(quern_run(op, args, quern_f32(w % 4 ? got : expected, M, 1)));
            if (w % 4) assert_memory_equal(got, expected, sizeof got);
        }
        quern_array_destroy(&array);
    }
    quern_operator_destroy(&op);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_keep_what_is_written),
        cmocka_unit_test(copies_convert),
        cmocka_unit_test(parts_of_views),
        cmocka_unit_test(runs_take_arrays_of_every_kind),
        cmocka_unit_test(integers_and_indices),
        cmocka_unit_test(results_may_be_arguments),
        cmocka_unit_test(empty_arrays),
        cmocka_unit_test(what_cannot_be),
        cmocka_unit_test(columns_of_a_table),
        cmocka_unit_test(handles_of_the_program),
        cmocka_unit_test(parts_of_wrapped_parts),
        cmocka_unit_test(memory_that_is_wrapped_twice),
        cmocka_unit_test(memory_that_kernels_only_read_or_write),
        cmocka_unit_test(shown_memory_is_not_used_again),
        cmocka_unit_test(conjugate_gradients),
        cmocka_unit_test(numbers_by_value_and_in_memory),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
