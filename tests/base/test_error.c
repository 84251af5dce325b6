/*
 * test_error.c: the error record: what is kept, cut, composed, and that threads do not share it.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

static void before_any_failure(void **state)
{
    (void)state;
    const quern_error *error = quern_last_error();
    assert_int_equal(error->status, QUERN_OK);
    assert_int_equal(error->at, -1);
    assert_string_equal(error->message, "");
    assert_string_equal(error->formula, "");
    assert_string_equal(error->caret, "");
    assert_string_equal(error->build, "");
    assert_string_equal(error->next_step, "");
    assert_string_equal(quern_last_error_text(), "all went well");
}

static void a_record_replaces_the_last(void **state)
{
    (void)state;
    assert_int_equal(q_fail_at(QUERN_NAME, "Foo(x)", 0, "no operation %s", "Foo"), QUERN_NAME);
    q_fail_cl(-5);
    q_fail_build_log("error: x");
    q_fail_next_step("try %d", 3);
    assert_int_equal(q_fail(QUERN_SHAPE, "again: %s", quern_last_error()->message), QUERN_SHAPE);
    const quern_error *error = quern_last_error();
    assert_string_equal(error->message, "again: no operation Foo");
    assert_string_equal(error->formula, "");
    assert_string_equal(error->caret, "");
    assert_string_equal(error->build, "");
    assert_string_equal(error->next_step, "");
    assert_int_equal(error->at, -1);
    assert_int_equal(error->cl_code, 0);
}

static void the_text_has_all_parts(void **state)
{
    (void)state;
    q_fail_at(QUERN_SYNTAX, "x = Vi(3);\n\tSum(x $ y);\ny", 18, "unexpected '$'");
    assert_string_equal(quern_last_error()->caret, " Sum(x $ y);\n       ^");
    q_fail_build_log("warning: w\nerror: /some where/tmp_x1/k.cl:3:7: bad\nerror: more\n");
    q_fail_next_step("remove it");
    assert_string_equal(quern_last_error_text(), "unexpected '$'\n"
                                                 "     Sum(x $ y);\n"
                                                 "           ^\n"
                                                 "device compiler: error: program.cl:3:7: bad\n"
                                                 "next step: remove it");
}

static void carets_stand_under_their_byte(void **state)
{
    (void)state;
    q_fail_at(QUERN_SYNTAX, "", 0, "empty");
    assert_string_equal(quern_last_error()->caret, "\n^");
    q_fail_at(QUERN_SYNTAX, "ab", 99, "beyond");
    assert_string_equal(quern_last_error()->caret, "ab\n  ^");
    assert_int_equal(quern_last_error()->at, 2);
    q_fail_at(QUERN_SYNTAX, "\xCE\xB1\xCE\xB2?", 4, "one column per character");
    assert_string_equal(quern_last_error()->caret, "\xCE\xB1\xCE\xB2?\n  ^");
}

/* For every position of a long line, and whatever its bytes, the caret is under the byte it means. */
static void long_lines_are_cut_around_the_caret(void **state)
{
    (void)state;
    char formula[5000];
    for (size_t at = 0; at < sizeof formula - 1; at += 7) {
        memset(formula, '.', sizeof formula - 1);
        formula[sizeof formula - 1] = 0;
        formula[at] = '$';
        q_fail_at(QUERN_SYNTAX, formula, at, "here");
        const char *caret = quern_last_error()->caret, *below = strchr(caret, '\n') + 1;
        assert_true(strlen(caret) < 208);
        assert_int_equal(caret[strlen(below) - 1], '$');
        assert_non_null(strchr(quern_last_error()->formula, '$'));
        assert_int_equal(quern_last_error()->at, at);
    }
    memset(formula, 0x80, sizeof formula - 1); /* only continuation bytes: no valid text */
    for (size_t at = 0; at < sizeof formula; at += 99) q_fail_at(QUERN_SYNTAX, formula, at, "here");
    assert_true(strlen(quern_last_error()->caret) < 208);
}

static void long_messages_end_in_dots(void **state)
{
    (void)state;
    char name[9000];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    q_fail(QUERN_NAME, "%s", name);
    q_fail_next_step("%s", name);
    q_fail_build_log(name);
    const quern_error *error = quern_last_error();
    assert_string_equal(error->message + strlen(error->message) - 4, "n...");
    assert_string_equal(error->next_step + strlen(error->next_step) - 4, "n...");
    assert_true(strlen(error->build) > 400);
    assert_string_equal(strrchr(quern_last_error_text(), '\n') + 1 + strlen("next step: "), error->next_step);
}

static void build_lines_are_found_and_normalised(void **state)
{
    (void)state;
    static const struct {
        const char *log, *line;
    } cases[] = {
        {"", ""},
        {"\n\nonly this\n", "only this"},
        {"a\r\nb ERROR c\r\n", "b ERROR c"},
        {"row.cl:3:4: error: bad", "row.cl:3:4: error: bad"},
        {"<kernel>:3:4: error: bad", "<kernel>:3:4: error: bad"},
        {"/c/tempfile_aB.cl:3:4: error: a/b:2", "program.cl:3:4: error: a/b:2"},
        {"error: call a/b", "error: call a/b"},
    };
    for (size_t i = 0; i < Q_COUNT(cases); i++) {
        q_fail(QUERN_BUILD, "refused");
        q_fail_build_log(cases[i].log);
        assert_string_equal(quern_last_error()->build, cases[i].line);
    }
}

static void files_and_memory(void **state)
{
    (void)state;
    assert_int_equal(q_fail_file("open", "a.npy", 2), QUERN_IO);
    assert_string_equal(quern_last_error()->message, "cannot open 'a.npy': No such file or directory");
    assert_int_equal(q_fail_memory(12), QUERN_MEMORY);
    assert_string_equal(quern_last_error()->message, "out of host memory: 12 bytes could not be allocated");
}

static void *fail_elsewhere(void *first)
{
    *(bool *)first = quern_last_error()->status == QUERN_OK;
    q_fail(QUERN_IO, "theirs");
    return NULL;
}

static void threads_have_their_own_record(void **state)
{
    (void)state;
    pthread_t thread;
    bool clean = false;
    q_fail(QUERN_NAME, "mine");
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, &clean), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(clean);
    assert_string_equal(quern_last_error_text(), "mine");
}

/* Libraries on top of quern fail as quern does. */
static void others_may_fail(void **state)
{
    (void)state;
    assert_int_equal(quern_error_set(&(quern_error){.status = QUERN_IO, .message = "no ring", .next_step = "wait"}),
                     QUERN_IO);
    assert_string_equal(quern_last_error_text(), "no ring\nnext step: wait");
    assert_int_equal(quern_error_set(&(quern_error){.status = QUERN_BUILD, .build = "bad", .cl_code = -11}),
                     QUERN_BUILD);
    assert_int_equal(quern_last_error()->cl_code, -11);
    assert_string_equal(quern_last_error()->build, "bad");
    assert_string_equal(quern_last_error()->next_step, "");
    assert_int_equal(quern_error_set(NULL), QUERN_USAGE);
    assert_int_equal(quern_error_set(&(quern_error){0}), QUERN_USAGE);
}

static void statuses_have_words(void **state)
{
    (void)state;
    assert_string_equal(quern_status_name(QUERN_NO_DEVICE), "NO_DEVICE");
    assert_string_equal(quern_status_name((quern_status)999), "UNKNOWN");
    assert_string_equal(quern_status_text(QUERN_IO), "a file cannot be read or written, or a message not sent");
    assert_string_equal(quern_version(), QUERN_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_any_failure),
        cmocka_unit_test(a_record_replaces_the_last),
        cmocka_unit_test(the_text_has_all_parts),
        cmocka_unit_test(carets_stand_under_their_byte),
        cmocka_unit_test(long_lines_are_cut_around_the_caret),
        cmocka_unit_test(long_messages_end_in_dots),
        cmocka_unit_test(build_lines_are_found_and_normalised),
        cmocka_unit_test(files_and_memory),
        cmocka_unit_test(threads_have_their_own_record),
        cmocka_unit_test(others_may_fail),
        cmocka_unit_test(statuses_have_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
