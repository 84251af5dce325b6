/*
 * test_probe.c: functions by inline PTX are used where a trial finds that they work, and nowhere else.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "run_helpers.h"

#define GAUSSIAN "x=Vi(1); y=Vj(1); Sum_j(Exp(-SqDist(x,y))/(1+Sqrt(SqDist(x,y))))"

enum { RESULTS = Q_PROBE_FUNCTIONS * Q_PROBE_OPERANDS };

/* What a device gives that does all well, and flushes. */
static void fill(float *results)
{
    for (int n = 0; n < Q_PROBE_OPERANDS; n++) {
        double x = (double)q_probe_operands[n];
        const double exact[] = {exp2(x), 1 / x, sqrt(x), 1 / sqrt(x), 3 / x};
        for (int f = 0; f < Q_PROBE_FUNCTIONS; f++) {
            float *got = &results[n * Q_PROBE_FUNCTIONS + f];
            *got = fabs(exact[f]) < 0x1p-126 ? 0 : (float)(exact[f] * (1 + 0x1p-23));
        }
    }
}

static void results_are_judged(void **state)
{
    (void)state;
    float results[RESULTS];
    fill(results);
    assert_int_equal(q_probe_wrong(results), -1);
    for (int n = 0; n < RESULTS; n++) {
        const float right = results[n], others[] = {right * 1.00001f, right + 1, -right, NAN, INFINITY, 0};
        for (size_t k = 0; k < Q_COUNT(others); k++) {
            bool near = fabsf(others[k] - right) <= 0x1p-22f * fabsf(right) || memcmp(&others[k], &right, 4) == 0;
            if (near || (isnan(right) && isnan(others[k])) || others[k] == right) continue;
            results[n] = others[k];
            assert_int_equal(q_probe_wrong(results), n);
        }
        results[n] = right;
    }
}

static void sums_are_judged(void **state)
{
    (void)state;
    uint16_t rows[512];
    float sums[Q_PROBE_SUMS];
    q_probe_matrix_operands(rows, Q_MATRIX_MMA, false);
    for (int n = 0; n < Q_PROBE_SUMS; n++) { /* lane, word and half of each component: cl/matrix.cl */
        double sum = 1;
        for (int k = 0; k < 16; k++) {
            int lane = n / 16 % 8 * 4 + k / 2 % 4, other = n % 8 * 4 + k / 2 % 4, up = n / 128, right = n % 16 / 8;
            sum += q_element_read(QUERN_F16, &rows[lane * 8 + (up + k / 8 * 2) * 2 + k % 2]) *
                   q_element_read(QUERN_F16, &rows[256 + other * 8 + (2 * right + k / 8) * 2 + k % 2]);
        }
        sums[n] = (float)sum;
    }
    assert_int_equal(q_probe_matrix_wrong(sums), -1);
    for (int n = 0; n < Q_PROBE_SUMS; n += 37) {
        const float right = sums[n], others[] = {right + 1, NAN, -right + 3, INFINITY};
        for (size_t k = 0; k < Q_COUNT(others); k++) {
            sums[n] = others[k];
            assert_int_equal(q_probe_matrix_wrong(sums), n);
        }
        sums[n] = right;
    }
}

// ---- devices ----

/* The trial itself, by the emulation. */
static void matrix_units_are_tried(void **state)
{
    (void)state;
    need_device();
    for (q_matrix units = Q_MATRIX_EMULATED; units < Q_MATRIX_COUNT; units += 2)
        if (!q_probe_matrix(context, units)) fail_msg("matrix=%d", (int)units);
}

static void on_line(void *user, const char *line)
{
    q_text_add(user, "%s\n", line);
}

/* A context that pretends, if asked to, to be NVIDIA's. */
static quern_context *open(q_text *lines, bool pretends, quern_switch cache)
{
    quern_context *opened;
    succeed(quern_context_create(
        &opened, &(quern_context_options){
                     .size = sizeof(quern_context_options), .log = on_line, .log_user = lines, .cache = cache}));
    if (pretends) opened->session->device->takes_ptx = true;
    return opened;
}

/* Compiles with the column set, and checks what is made of it. */
static void check(quern_context *opened, bool takes)
{
    quern_operator *op;
    char *text;
    succeed(quern_compile(
        &op, opened, GAUSSIAN,
        &(quern_compile_options){.size = sizeof(quern_compile_options), .profile = "lanes32=1 vector_math=3"}));
    succeed(quern_explain(op, &(quern_explain_options){.size = sizeof(quern_explain_options), .stage = "plan"}, &text));
    assert_int_equal(strstr(text, "by inline PTX") != NULL, takes);
    assert_int_equal(strstr(text, "by its 2^x") != NULL, !takes);
    free(text);
    float x[] = {0, 1, 30}, y[] = {0, 2}, a[3];
    succeed(quern_run(op, QUERN_ARGS({"x", quern_f32(x, 3, 1)}, {"y", quern_f32(y, 2, 1)}), quern_f32(a, 3, 1)));
    for (int i = 0; i < 3; i++) {
        double exact = 0;
        for (int j = 0; j < 2; j++) exact += exp(-pow((double)(x[i] - y[j]), 2)) / (1 + fabs((double)(x[i] - y[j])));
        assert_true(fabs((double)a[i] - exact) <= 1e-6 * exact + 0x1p-126);
    }
    quern_operator_destroy(&op);
}

static bool is_nvidia(void)
{
    return context->session->device->takes_ptx;
}

/* What becomes of the column matrix=2. */
static int matrix_of(quern_context *opened)
{
    quern_operator *op;
    succeed(quern_compile(&op, opened, GAUSSIAN,
                          &(quern_compile_options){.size = sizeof(quern_compile_options), .profile = "matrix=2"}));
    int matrix = op->build->profile.matrix;
    quern_operator_destroy(&op);
    return matrix;
}

static void other_drivers_are_not_asked(void **state)
{
    (void)state;
    need_device();
    if (is_nvidia()) skip();
    q_text lines = {0};
    quern_context *opened = open(&lines, false, QUERN_OFF);
    check(opened, false);
    assert_int_equal(matrix_of(opened), Q_MATRIX_NONE);
    assert_null(strstr(lines.data, "PTX"));
    assert_null(strstr(lines.data, "matrix"));
    quern_context_destroy(&opened);
    q_text_free(&lines);
}

static void a_refusal_is_told_and_kept(void **state)
{
    (void)state;
    need_device();
    if (!strstr(quern_context_device(context)->platform, "Portable Computing")) skip(); /* others may not survive it */
    q_text lines = {0};
    for (int again = 0; again < 2; again++) {
        quern_context *opened = open(&lines, true, QUERN_OFF);
        check(opened, false);
        assert_non_null(strstr(lines.data, "inline PTX is not used on "));
        quern_context_destroy(&opened);
        q_text_free(&lines);
    }
    quern_context *first = open(&lines, true, QUERN_ON);
    check(first, false);
    quern_context_destroy(&first);
    q_text_free(&lines);
    quern_context *second = open(&lines, true, QUERN_ON);
    check(second, false);
    assert_null(strstr(lines.data, "inline PTX")); /* it was not tried again */
    quern_context_destroy(&second);
    q_text_free(&lines);
}

/* From sm_80 on. Other drivers need not survive being asked: PoCL 3.1 does not. */
static void nvidia_takes_it(void **state)
{
    (void)state;
    need_device();
    if (!is_nvidia()) skip();
    q_text lines = {0};
    quern_context *opened = open(&lines, false, QUERN_OFF);
    check(opened, true);
    assert_null(strstr(lines.data, "inline PTX is not used"));
    q_profile row;
    q_profile_find(&row, quern_context_device(opened)->profile);
    if (row.matrix) assert_int_equal(matrix_of(opened), Q_MATRIX_MMA);
    quern_context_destroy(&opened);
    q_text_free(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_are_judged),         cmocka_unit_test(sums_are_judged),
        cmocka_unit_test(matrix_units_are_tried),     cmocka_unit_test(other_drivers_are_not_asked),
        cmocka_unit_test(a_refusal_is_told_and_kept), cmocka_unit_test(nvidia_takes_it),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
