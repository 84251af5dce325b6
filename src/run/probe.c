/*
 * probe.c: whether a device does what its row of profiles.txt takes for granted: the functions of cl/ptx.cl are compiled
 * and run, and what they give is compared with the host's. What comes of it is kept in quern's cache under the device's
 * fingerprint, drivers and versions included, so it is tried once.
 *
 * Only NVIDIA's drivers are asked: others need not survive text that is meant for them.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "run/run.h"

static const char name[] = "quern_probe_ptx", options[] = "-cl-std=CL1.2";
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

static quern_status run(float *results, q_session *session, q_program *program, q_buffer *from, q_buffer *to)
{
    const q_kernel_arg args[] = {{sizeof from->mem, &from->mem}, {sizeof to->mem, &to->mem}};
    Q_TRY(q_program_launch(program, session, args, 2, (size_t[]){Q_PROBE_OPERANDS, 1, 1}, (size_t[]){1, 1, 1}));
    return q_buffer_read(to, session, results, RESULTS * sizeof *results);
}

/* What the device makes of the source. */
static quern_status try_source(float *results, q_session *session, const char *source)
{
    q_program *program;
    q_buffer from = {0}, to = {0};
    bool made;
    Q_TRY(q_program_get(&program, session, name, source, options, &made));
    quern_status status = q_buffer_create_from(&from, session, q_probe_operands, sizeof q_probe_operands);
    if (!status) status = q_buffer_create(&to, session, RESULTS * sizeof *results);
    if (!status) status = run(results, session, program, &from, &to);
    q_buffer_destroy(&from, session);
    q_buffer_destroy(&to, session);
    q_program_release(&program, session);
    return status;
}

/* Tells whether it works; *passing: it failed for a reason that may pass, such as a lack of memory. */
static bool probe(const quern_context *context, const char *source, bool *passing)
{
    float results[RESULTS];
    const char *device = quern_context_device(context)->name;
    quern_status status = try_source(results, context->session, source);
    int wrong = status ? -1 : q_probe_wrong(results);
    *passing = status && status != QUERN_BUILD;
    if (status) q_context_log(context, "inline PTX is not used on %s: %s", device, quern_last_error()->message);
    if (wrong >= 0)
        q_context_log(context, "inline PTX is not used on %s: %s of %g is %g", device,
                      functions[wrong % Q_PROBE_FUNCTIONS], (double)q_probe_operands[wrong / Q_PROBE_FUNCTIONS],
                      (double)results[wrong]);
    return !status && wrong < 0;
}

/* From the cache, or tried and put there. */
static bool find(const quern_context *context, const char *source)
{
    bool keep = context->options.cache != QUERN_OFF, passing = false;
    char *key = keep ? q_binary_key(context->session->device, source, "the result of a probe") : NULL;
    void *data = NULL;
    size_t size = 0;
    q_text note = {0};
    bool known = key && q_store_read(key, &data, &size, &note) && size == 1;
    bool works = known ? *(char *)data == 'y' : probe(context, source, &passing);
    if (key && !known && !passing) q_store_write(key, works ? "y" : "n", 1, Q_STORE_BYTES, &note);
    free(data);
    free(key);
    q_text_free(&note);
    return works;
}

static bool takes_ptx(quern_context *context)
{
    pthread_mutex_lock(&context->lock);
    if (!context->ptx) {
        q_text source = {0};
        q_text_add(&source, "#define Q_PTX 1\n#define Q_PROBE\n%s", q_cl_file("ptx"));
        bool works = context->session->device->takes_ptx && !source.failed && find(context, source.data);
        context->ptx = works ? QUERN_ON : QUERN_OFF;
        q_text_free(&source);
    }
    bool takes = context->ptx == QUERN_ON;
    pthread_mutex_unlock(&context->lock);
    return takes;
}

void q_context_limit(quern_context *context, q_profile *profile)
{
    if (profile->vector_math == Q_MATH_PTX && !takes_ptx(context)) profile->vector_math = Q_MATH_EXP2;
}
