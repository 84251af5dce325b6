/*
 * test_values.c: every function at 14 special values, against tests/values.txt: in float32 and float64, in rows and in
 * pairs on the device, and on the host.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run_helpers.h"

enum { VALUES = 14, ZERO = 3, LEAST = 13 };

static const char *const words[VALUES] = {"nan", "inf",  "-inf", "0",   "-0",   "1",   "-1",
                                          "0.5", "-0.5", "0.9",  "2.5", "-2.5", "max", "least"};

// ---- the table ----

typedef struct row {
    char *formula, *results[VALUES]; /* parts of the line */
} row;

static char *text; /* the file, cut into words */
static row rows[400];
static size_t row_count;

/* What a word stands for in an element type: both may have their own, as in 1e38|1e308. */
static double number(const char *word, quern_dtype dtype)
{
    const char *bar = strchr(word, '|');
    if (bar && dtype == QUERN_F64) word = bar + 1;
    double sign = *word == '-' ? -1 : 1;
    word += *word == '-';
    if (!strncmp(word, "max", 3)) return sign * (dtype == QUERN_F64 ? DBL_MAX : (double)FLT_MAX);
    if (!strncmp(word, "least", 5)) return sign * (dtype == QUERN_F64 ? 0x1p-1074 : 0x1p-149);
    char *end;
    double value = strtod(word, &end);
    if (end == word || (*end && *end != '|')) fail_msg("'%s' is no number", word);
    return sign * value;
}

static void read_row(char *line)
{
    row *r = &rows[row_count];
    char *colon = strstr(line, ": "), *rest;
    if (*line == '#' || !strncmp(line, "KeOps:", 6)) return;
    if (!colon || ++row_count == Q_COUNT(rows)) fail_msg("no place for the line '%s'", line);
    *colon = 0;
    r->formula = line;
    char *word = strtok_r(colon + 1, " ", &rest);
    for (size_t v = 0; v < VALUES; v++, word = strtok_r(NULL, " ", &rest)) {
        if (!word) fail_msg("%s: %zu results, not %d", r->formula, v, VALUES);
        r->results[v] = word;
    }
    if (word) fail_msg("%s: more than %d results", r->formula, VALUES);
}

static int read_table(void **state)
{
    char *path = test_path("values.txt"), *rest;
    quern_status status = q_read_file(path, &text, &(size_t){0});
    free(path);
    if (status) return -1;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) read_row(line);
    return open_context(state);
}

static int free_table(void **state)
{
    free(text);
    return close_context(state);
}

static void every_operation_is_in_the_table(void **state)
{
    (void)state;
    for (size_t op = 0; op < Q_OP_END; op++) {
        if (q_ops[op].kind != Q_KIND_ELEMENTWISE && q_ops[op].kind != Q_KIND_EXPAND) continue;
        bool found = false;
        for (size_t r = 0; r < row_count; r++) found = found || formula_calls(rows[r].formula, q_ops[op].name);
        if (!found) fail_msg("values.txt has no formula with %s", q_ops[op].name);
    }
}

// ---- runs ----

/* Where x lives: a value of a row, or of a pair. */
typedef struct place {
    const char *name, *declarations, *before, *after;
} place;

static const place in_rows = {"rows", "x=Vi(1)", "Repeat_i(", ")"},
                   in_pairs = {"pairs", "w=Vi(1); t=Vj(1); x=w*t", "Repeat_i(Sum_j(", "))"};

/* Numbers below the normal range may be taken for 0 in float32, as arguments and as results. */
static bool agrees(double got, const row *r, size_t v, quern_dtype dtype)
{
    bool single = dtype == QUERN_F32;
    if (!strcmp(r->results[v], "~")) return true;
    double expected = number(r->results[v], dtype), unit = single ? 1e-5 : 1e-14;
    if (isnan(expected) ? isnan(got) : got == expected) return true;
    double slack = single ? (double)FLT_MIN : 0x1p-1073;
    if (expected == 0) slack = unit / 40;
    if (isfinite(expected) && fabs(got - expected) <= unit * fabs(expected) + slack) return true;
    return single && v == LEAST && strcmp(r->results[ZERO], "~") && agrees(got, r, ZERO, dtype);
}

static size_t check_result(const trial *t, size_t result, const row *r, const place *where)
{
    size_t wrong = 0;
    for (size_t v = 0; v < VALUES; v++) {
        if (agrees(t->got[result][v], r, v, t->dtype)) continue;
        print_error("%s at %s is %.9g, not %s (%s, %s)\n", r->formula, words[v], t->got[result][v], r->results[v],
                    t->dtype == QUERN_F64 ? "float64" : "float32", where->name);
        wrong++;
    }
    return wrong;
}

/* The functions as results of one operator. */
static quern_operator *make_operator(const place *where, const row *first, size_t count)
{
    q_text formula = {0};
    q_text_add(&formula, "%s; p=Pm(1); q=Pm(1); r=Pm(1); z=Pm(1); u=Pm(1); ", where->declarations);
    for (size_t k = 0; k < count; k++)
        q_text_add(&formula, "%s%s%s%s", k ? ", " : "", where->before, first[k].formula, where->after);
    quern_operator *op = compile(formula.data, NULL);
    q_text_free(&formula);
    return op;
}

static void set_parameters(const trial *t)
{
    trial_set(t, "p", 2);
    trial_set(t, "q", -2);
    trial_set(t, "r", 0.5);
    trial_set(t, "z", 0);
    trial_set(t, "u", 1);
}

static size_t check_rows(const place *where, quern_dtype dtype, const row *first, size_t count)
{
    quern_operator *op = make_operator(where, first, count);
    trial t = trial_create(op, dtype, VALUES, 1, 1);
    size_t numbers, wrong = 0;
    double *x = trial_data(&t, where == &in_pairs ? "w" : "x", &numbers);
    for (size_t v = 0; v < VALUES; v++) x[v] = number(words[v], dtype);
    trial_set(&t, "t", 1);
    set_parameters(&t);
    trial_run(&t);
    for (size_t k = 0; k < count; k++) wrong += check_result(&t, k, &first[k], where);
    trial_destroy(&t);
    quern_operator_destroy(&op);
    return wrong;
}

/* Ordinary numbers beside each special value, in each lane of a vector. */
static size_t check_neighbours(quern_dtype dtype, const row *first, size_t count)
{
    enum { MOST_LANES = 16, ORDINARY = 10 };
    quern_operator *op = make_operator(&in_rows, first, count);
    trial t = trial_create(op, dtype, VALUES * MOST_LANES * MOST_LANES, 1, 1);
    size_t numbers, wrong = 0;
    double *x = trial_data(&t, "x", &numbers);
    for (size_t n = 0; n < numbers; n++) {
        size_t v = n / (MOST_LANES * MOST_LANES), at = n / MOST_LANES % MOST_LANES;
        x[n] = number(words[n % MOST_LANES == at ? v : ORDINARY], dtype);
    }
    set_parameters(&t);
    trial_run(&t);
    for (size_t n = 0; n < numbers; n++) {
        size_t v = n / (MOST_LANES * MOST_LANES), at = n / MOST_LANES % MOST_LANES;
        for (size_t k = 0; k < count && n % MOST_LANES != at; k++) {
            if (agrees(t.got[k][n], &first[k], ORDINARY, dtype)) continue;
            if (!wrong++)
                print_error("%s at 2.5 beside %s in lane %zu is %.9g\n", first[k].formula, words[v], at, t.got[k][n]);
        }
    }
    trial_destroy(&t);
    quern_operator_destroy(&op);
    return wrong;
}

static void check_table(const place *where, quern_dtype dtype)
{
    need_type(dtype);
    size_t wrong = 0;
    for (size_t r = 0; r < row_count; r += Q_MAX_RESULTS)
        wrong += check_rows(where, dtype, &rows[r], row_count - r < Q_MAX_RESULTS ? row_count - r : Q_MAX_RESULTS);
    assert_int_equal(wrong, 0);
}

static void check_all_neighbours(quern_dtype dtype)
{
    need_type(dtype);
    size_t wrong = 0;
    for (size_t r = 0; r < row_count; r += Q_MAX_RESULTS)
        wrong += check_neighbours(dtype, &rows[r], row_count - r < Q_MAX_RESULTS ? row_count - r : Q_MAX_RESULTS);
    assert_int_equal(wrong, 0);
}

static void neighbours_in_float32(void **state)
{
    (void)state;
    check_all_neighbours(QUERN_F32);
}

static void neighbours_in_float64(void **state)
{
    (void)state;
    check_all_neighbours(QUERN_F64);
}

static void rows_in_float32(void **state)
{
    (void)state;
    check_table(&in_rows, QUERN_F32);
}

static void rows_in_float64(void **state)
{
    (void)state;
    check_table(&in_rows, QUERN_F64);
}

static void pairs_in_float32(void **state)
{
    (void)state;
    check_table(&in_pairs, QUERN_F32);
}

static void pairs_in_float64(void **state)
{
    (void)state;
    check_table(&in_pairs, QUERN_F64);
}

static int use_host(void **state)
{
    (void)state;
    if (context) context->options.host = QUERN_ON;
    return 0;
}

static int use_device(void **state)
{
    (void)state;
    if (context) context->options.host = QUERN_OFF;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_is_in_the_table),
        cmocka_unit_test(rows_in_float32),
        cmocka_unit_test(rows_in_float64),
        cmocka_unit_test(neighbours_in_float32),
        cmocka_unit_test(neighbours_in_float64),
        cmocka_unit_test(pairs_in_float32),
        cmocka_unit_test(pairs_in_float64),
        cmocka_unit_test_setup_teardown(rows_in_float32, use_host, use_device),
        cmocka_unit_test_setup_teardown(pairs_in_float64, use_host, use_device),
    };
    return cmocka_run_group_tests(tests, read_table, free_table);
}
