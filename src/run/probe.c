/*
 * probe.c: whether a device does what its row of profiles.txt takes for granted: the functions of cl/ptx.cl, and the matrix units
 * of cl/matrix.cl, are compiled and run, and what they give is compared with the host's. What comes of it is kept in quern's
 * cache under the device's fingerprint, drivers and versions included, so it is tried once.
 *
 * Only NVIDIA's drivers are asked: others need not survive text that is meant for them.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/run.h"

static const char options[] = "-cl-std=CL1.2";

/* A trial: a kernel, its operands, and what is to come of them. */
typedef struct trial {
    const char *kernel, *file, *macros;
    const char *what; /* ... not used, if it fails */
    const void *operands;
    size_t operand_bytes, result_count;
    size_t items, local; /* work-items, and of a group */
    int (*wrong)(const float *results);
    void (*describe)(q_text *out, int wrong, float result);
} trial;

enum { MOST_RESULTS = 256 };

// ---- functions

enum { RESULTS = Q_PROBE_FUNCTIONS * Q_PROBE_OPERANDS };

const float q_probe_operands[Q_PROBE_OPERANDS] = {0,      -0.0f,   1,      -1,   0.3f,     2.5f,     -0.7f,
                                                  -20.3f, -125.5f, -127,   -150, 127.5f,   129,      1e-30f,
                                                  1e30f,  3e38f,   -1e30f, NAN,  INFINITY, -INFINITY};

static const char *const functions[Q_PROBE_FUNCTIONS] = {"2^x", "1/x", "sqrt(x)", "1/sqrt(x)", "3/x"};

static double exact(int function, double x)
{
    const double values[Q_PROBE_FUNCTIONS] = {exp2(x), 1 / x, sqrt(x), 1 / sqrt(x), 3 / x};
    return values[function];
}

/* Results below the normal range may be 0; the bound is twice that of cl/ptx.cl. */
static bool agrees(double got, double expected)
{
    if (isnan(expected)) return isnan(got);
    if (fabs(expected) < (double)FLT_MIN) return fabs(got) <= (double)FLT_MIN;
    if (fabs(expected) > (double)FLT_MAX) return isinf(got) && (got > 0) == (expected > 0);
    return fabs(got - expected) <= 4 * 0x1p-23 * fabs(expected);
}

int q_probe_wrong(const float *results)
{
    for (int n = 0; n < RESULTS; n++)
        if (!agrees((double)results[n], exact(n % Q_PROBE_FUNCTIONS, (double)q_probe_operands[n / Q_PROBE_FUNCTIONS])))
            return n;
    return -1;
}

static void describe_function(q_text *out, int wrong, float result)
{
    q_text_add(out, "%s of %g is %g", functions[wrong % Q_PROBE_FUNCTIONS],
               (double)q_probe_operands[wrong / Q_PROBE_FUNCTIONS], (double)result);
}

// ---- matrix units

/* Component k of a row (of a column): a whole number that bfloat16 has. */
static int component(bool column, int at, int k)
{
    return (column ? 11 * at + 29 * k + 5 * at * k : 7 * at + 13 * k + 3 * at * k) % 201 - 100;
}

/* Where cl/matrix.cl has component k of the rows, then of the columns: q_matrix_word. */
static int place(q_matrix units, bool column, int at, int k)
{
    int word = k / 2, lane = at % 8 * 4 + word % 4, up = at / 8, second = word / 4;
    const int make = q_matrix_make(units),
              places[][2] = {
                  {lane * 4 + up + 2 * second, lane * 4 + 2 * up + second},
                  {(word / 2 * 16 + at) * 2 + word % 2, (word / 2 * 16 + at) * 2 + word % 2},
                  {at * 8 + word, at * 8 + word},
                  {at * 8 + word, k * 8 + at / 2},
                  {at % 8 * 16 + at / 8 * 8 + word, word * 16 + at},
              };
    int half = column && make == q_matrix_make(Q_MATRIX_DPAS) ? at % 2 : k % 2;
    return (column ? 256 : 0) + places[make][column] * 2 + half;
}

void q_probe_matrix_operands(uint16_t out[512], q_matrix units, bool bfloat16)
{
    for (int n = 0; n < 512; n++) {
        bool column = n >= 256;
        int at = n / 16 % 16, k = n % 16;
        float value = (float)component(column, at, k);
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        if (bfloat16) out[place(units, column, at, k)] = (uint16_t)(bits >> 16);
        else q_element_write(QUERN_F16, &out[place(units, column, at, k)], (double)value);
    }
}

int q_probe_matrix_wrong(const float *results)
{
    for (int n = 0; n < Q_PROBE_SUMS; n++) {
        int sum = 1;
        for (int k = 0; k < 16; k++) sum += component(false, n / 16, k) * component(true, n % 16, k);
        if (results[n] != (float)sum) return n;
    }
    return -1;
}

static void describe_sum(q_text *out, int wrong, float result)
{
    q_text_add(out, "the product of row %d and column %d of a matrix is %g", wrong / 16, wrong % 16, (double)result);
}

// ---- trials

static quern_status launch(float *results, q_session *session, q_program *program, const trial *t, q_buffer *from,
                           q_buffer *to)
{
    const q_kernel_arg args[] = {{sizeof from->mem, &from->mem}, {sizeof to->mem, &to->mem}};
    Q_TRY(q_program_launch(program, session, args, 2, (size_t[]){t->items, 1, 1}, (size_t[]){t->local, 1, 1}));
    return q_buffer_read(to, session, results, t->result_count * sizeof *results);
}

/* What the device makes of the source. */
static quern_status try_source(float *results, q_session *session, const trial *t, const char *source)
{
    q_program *program;
    q_buffer from = {0}, to = {0};
    bool made;
    Q_TRY(q_program_get(&program, session, t->kernel, source, options, &made));
    quern_status status = q_buffer_create_from(&from, session, t->operands, t->operand_bytes);
    if (!status) status = q_buffer_create(&to, session, t->result_count * sizeof *results);
    if (!status) status = launch(results, session, program, t, &from, &to);
    q_buffer_destroy(&from, session);
    q_buffer_destroy(&to, session);
    q_program_release(&program, session);
    return status;
}

/* Tells whether it works; *passing: it failed for a reason that may pass, such as a lack of memory. */
static bool probe(const quern_context *context, const trial *t, const char *source, bool *passing)
{
    float results[MOST_RESULTS];
    const char *device = quern_context_device(context)->name;
    quern_status status = try_source(results, context->session, t, source);
    int wrong = status ? -1 : t->wrong(results);
    q_text words = {0};
    *passing = status && status != QUERN_BUILD;
    if (wrong >= 0) t->describe(&words, wrong, results[wrong]);
    const char *why = status ? quern_last_error()->message : words.data ? words.data : "";
    if (status || wrong >= 0) q_context_log(context, "%s not used on %s: %s", t->what, device, why);
    q_text_free(&words);
    return !status && wrong < 0;
}

/* From the cache, or tried and put there. */
static bool find(const quern_context *context, const trial *t, const char *source)
{
    bool keep = context->options.cache != QUERN_OFF, passing = false;
    char *key = keep ? q_binary_key(context->session->device, source, "the result of a probe") : NULL;
    void *data = NULL;
    size_t size = 0;
    q_text note = {0};
    bool known = key && q_store_read(key, &data, &size, &note) && size == 1;
    bool works = known ? *(char *)data == 'y' : probe(context, t, source, &passing);
    if (key && !known && !passing) q_store_write(key, works ? "y" : "n", 1, Q_STORE_BYTES, &note);
    free(data);
    free(key);
    q_text_free(&note);
    return works;
}

static bool passes(const quern_context *context, const trial *t)
{
    q_text source = {0};
    q_text_add(&source, "#define Q_PROBE\n#define Q_FN static inline\n%s%s", t->macros, q_cl_file(t->file));
    bool works = !source.failed && find(context, t, source.data);
    q_text_free(&source);
    return works;
}

static bool takes_functions(const quern_context *context)
{
    const trial t = {"quern_probe_ptx",
                     "ptx",
                     "#define Q_PTX 1\n",
                     "inline PTX is",
                     q_probe_operands,
                     sizeof q_probe_operands,
                     RESULTS,
                     Q_PROBE_OPERANDS,
                     1,
                     q_probe_wrong,
                     describe_function};
    return passes(context, &t);
}

bool q_probe_matrix(const quern_context *context, q_matrix units)
{
    bool works = true;
    const size_t warp = (size_t)q_matrix_warp(units);
    for (int bfloat16 = 0; bfloat16 < 2 && works; bfloat16++) {
        uint16_t operands[512];
        char macros[64];
        q_probe_matrix_operands(operands, units, bfloat16);
        snprintf(macros, sizeof macros, "#define Q_MATRIX %d\n#define Q_BFLOAT16 %d\n", (int)units, bfloat16);
        const trial t = {"quern_probe_matrix", "matrix", macros, "its matrix units are", operands,    sizeof operands,
                         Q_PROBE_SUMS,         warp,     warp,   q_probe_matrix_wrong,   describe_sum};
        works = passes(context, &t);
    }
    return works;
}

/* Whether the device's compiler, whose maker it is, may be asked for them: others need not survive it. */
static bool may_have(const quern_context *context, q_matrix units)
{
    if (units % 2) return true;
    if (units == Q_MATRIX_MMA) return context->session->device->takes_ptx;
    const char *maker = units < Q_MATRIX_DPAS ? "amd-" : "intel-";
    return strncmp(quern_context_device(context)->profile, maker, strlen(maker)) == 0;
}

/* Whether the device does it, tried for the first time now or before: functions of PTX, or matrix units. */
static bool takes(quern_context *context, q_matrix units)
{
    quern_switch *verdict = units ? &context->matrix[units] : &context->ptx;
    bool asked = units ? may_have(context, units) : context->session->device->takes_ptx;
    pthread_mutex_lock(&context->lock);
    if (!*verdict)
        *verdict = asked && (units ? q_probe_matrix(context, units) : takes_functions(context)) ? QUERN_ON : QUERN_OFF;
    bool takes = *verdict == QUERN_ON;
    pthread_mutex_unlock(&context->lock);
    return takes;
}

void q_context_limit(quern_context *context, q_profile *profile)
{
    if (profile->vector_math == Q_MATH_PTX && !takes(context, Q_MATRIX_NONE)) profile->vector_math = Q_MATH_EXP2;
    if (profile->matrix % 2 == 0 && profile->matrix && !takes(context, (q_matrix)profile->matrix))
        profile->matrix = Q_MATRIX_NONE;
}
