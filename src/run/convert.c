/*
 * convert.c: copies on the device with a change of element type and stride: the kernel of convert.cl, made for each pair
 * of types on first use and kept in the context.
 */
#include <stdio.h>
#include <string.h>

#include "run/run.h"

enum { LOCAL = 64, MOST_GROUPS = 1 << 24 };

/* How a type is in memory, and how a number of type Q_VALUE goes there and back. */
static const struct {
    const char *type, *load, *store, *name;
} rows[] = {
    [QUERN_F32] = {"float", "p[k]", "p[k] = v", "f32"},
    [QUERN_F64] = {"double", "p[k]", "p[k] = v", "f64"},
    [QUERN_I64] = {"long", "p[k]", "p[k] = convert_long_sat(v)", "i64"},
    [QUERN_I32] = {"int", "p[k]", "p[k] = convert_int_sat(v)", "i32"},
    [QUERN_F16] = {"half", "vload_half(k, p)", "vstore_half_rte(v, k, p)", "f16"},
    [QUERN_BF16] = {"ushort", "q_load_bfloat(p[k])", "p[k] = q_store_bfloat((float)v)", "bf16"},
};

static bool is_integer(quern_dtype dtype)
{
    return dtype == QUERN_I32 || dtype == QUERN_I64;
}

static quern_status build(q_program **out, quern_context *context, quern_dtype from, quern_dtype to)
{
    q_text source = {0};
    char name[Q_KERNEL_NAME];
    bool made, f64 = from == QUERN_F64 || to == QUERN_F64;
    snprintf(name, sizeof name, "quern_convert_%s_%s", rows[from].name, rows[to].name);
    q_text_add(&source, "#define Q_NAME %s\n#define Q_F64 %d\n#define Q_FROM %s\n#define Q_TO %s\n", name, f64,
               rows[from].type, rows[to].type);
    q_text_add(&source, "#define Q_VALUE %s\n#define Q_LOAD(p, k) %s\n#define Q_STORE(v, p, k) %s\n",
               is_integer(from) && is_integer(to) ? "long"
               : f64                              ? "double"
                                                  : "float",
               rows[from].load, rows[to].store);
    const char *file = q_cl_file("convert");
    q_text_append(&source, file, strlen(file));
    quern_status status = source.failed
                              ? q_fail_memory(source.capacity)
                              : q_program_get(out, context->session, name, source.data, "-cl-std=CL1.2", &made);
    q_text_free(&source);
    return status;
}

static quern_status find(q_program **out, quern_context *context, quern_dtype from, quern_dtype to)
{
    q_program **known = &context->converters[from][to];
    pthread_mutex_lock(&context->lock);
    quern_status status = *known ? QUERN_OK : build(known, context, from, to);
    *out = *known;
    pthread_mutex_unlock(&context->lock);
    return status;
}

void q_converters_free(quern_context *context)
{
    for (size_t from = 0; from < Q_COUNT(context->converters); from++)
        for (size_t to = 0; to < Q_COUNT(context->converters[0]); to++)
            q_program_release(&context->converters[from][to], context->session);
}

/* Whole rows at a time, so that the number of work-items of a launch stays one that every device takes. */
quern_status q_convert(quern_context *context, const q_rows *from, const q_rows *to, int64_t rows_left, int64_t columns)
{
    q_program *program;
    bool f64 = from->dtype == QUERN_F64 || to->dtype == QUERN_F64;
    if (!rows_left || !columns) return QUERN_OK;
    if (f64 && !quern_context_device(context)->f64)
        return q_fail(QUERN_UNSUPPORTED, "device %s has no float64", quern_context_device(context)->name);
    Q_TRY(find(&program, context, from->dtype, to->dtype));
    int64_t at_once = (int64_t)LOCAL * MOST_GROUPS / columns + 1;
    for (int64_t row = 0; row < rows_left; row += at_once) {
        int64_t now = at_once < rows_left - row ? at_once : rows_left - row;
        cl_long numbers[] = {from->first + row * from->stride,
                             from->stride,
                             to->first + row * to->stride,
                             to->stride,
                             columns,
                             now * columns};
        q_kernel_arg args[] = {{sizeof from->mem, &from->mem}, {sizeof(cl_long), &numbers[0]},
                               {sizeof(cl_long), &numbers[1]}, {sizeof to->mem, &to->mem},
                               {sizeof(cl_long), &numbers[2]}, {sizeof(cl_long), &numbers[3]},
                               {sizeof(cl_long), &numbers[4]}, {sizeof(cl_long), &numbers[5]}};
        size_t items = (size_t)((now * columns + LOCAL - 1) / LOCAL * LOCAL);
        Q_TRY(q_program_launch(program, context->session, args, Q_COUNT(args), (size_t[]){items, 1, 1},
                               (size_t[]){LOCAL, 1, 1}));
    }
    return QUERN_OK;
}
