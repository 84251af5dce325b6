/*
 * element.c: the types of numbers that .npy files hold, and their conversion to the types of quern's arrays.
 *
 * A type is written as NumPy writes it: byte order (< little, > big, | of no matter), kind (f float, i and u integers,
 * b truth values) and bytes. Each row names the type that holds all its numbers, if there is one: all but uint64 come
 * over exactly.
 */
#include <string.h>

#include "base/base.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "elements are taken for little-endian unless their type says otherwise"
#endif

/* Reads one element, in this machine's byte order and at any alignment, and writes the converted one. */
typedef void conversion(const void *in, void *out);

#define CONVERSION(name, from, to)              \
    static void name(const void *in, void *out) \
    {                                           \
        from a;                                 \
        memcpy(&a, in, sizeof a);               \
        memcpy(out, &(to){(to)a}, sizeof(to));  \
    }

CONVERSION(from_f32, float, float)
CONVERSION(from_f64, double, double)
CONVERSION(from_i8, int8_t, float)
CONVERSION(from_u8, uint8_t, float)
CONVERSION(from_i16, int16_t, float)
CONVERSION(from_u16, uint16_t, float)
CONVERSION(from_i32, int32_t, double)
CONVERSION(from_u32, uint32_t, double)
CONVERSION(from_i64, int64_t, int64_t)
CONVERSION(from_u64, uint64_t, double)

static void from_bool(const void *in, void *out)
{
    memcpy(out, &(float){*(const char *)in != 0}, sizeof(float));
}

static void from_f16(const void *in, void *out)
{
    memcpy(out, &(float){(float)q_element_read(QUERN_F16, in)}, sizeof(float));
}

static const struct element {
    const char *code;
    size_t size;
    quern_dtype dtype;
    conversion *convert;
} elements[] = {
    {"f4", 4, QUERN_F32, from_f32}, {"f8", 8, QUERN_F64, from_f64},  {"i8", 8, QUERN_I64, from_i64},
    {"f2", 2, QUERN_F32, from_f16}, {"b1", 1, QUERN_F32, from_bool}, {"i1", 1, QUERN_F32, from_i8},
    {"u1", 1, QUERN_F32, from_u8},  {"i2", 2, QUERN_F32, from_i16},  {"u2", 2, QUERN_F32, from_u16},
    {"i4", 4, QUERN_F64, from_i32}, {"u4", 4, QUERN_F64, from_u32},  {"u8", 8, QUERN_F64, from_u64},
};

static const struct element *find(const char *type)
{
    if (!*type || !strchr("<>=|", *type)) return NULL;
    for (size_t e = 0; e < Q_COUNT(elements); e++)
        if (!strcmp(type + 1, elements[e].code)) return &elements[e];
    return NULL;
}

bool q_element_known(const char *type, size_t *size, quern_dtype *dtype)
{
    const struct element *e = find(type);
    if (e) *size = e->size, *dtype = e->dtype;
    return e != NULL;
}

bool q_element_native(const char *type)
{
    const struct element *e = find(type);
    return e && *type != '>' && e <= &elements[2]; /* float32, float64, int64 */
}

const char *q_element_type(quern_dtype dtype)
{
    return dtype == QUERN_F32 ? "<f4" : dtype == QUERN_F64 ? "<f8" : "<i8";
}

static void copy_element(const struct element *e, bool swap, const char *in, char *out)
{
    char bytes[8];
    for (size_t b = 0; b < e->size; b++) bytes[b] = in[swap ? e->size - 1 - b : b];
    e->convert(bytes, out);
}

void q_elements_convert(const char *type, bool by_columns, int64_t rows, int64_t columns, const void *in, void *out)
{
    const struct element *e = find(type);
    const char *from = in;
    char *to = out;
    size_t size = q_element_size(e->dtype), m = (size_t)rows, n = (size_t)columns;
    for (size_t r = 0; r < m; r++)
        for (size_t c = 0; c < n; c++, to += size)
            copy_element(e, *type == '>', from + e->size * (by_columns ? c * m + r : r * n + c), to);
}
