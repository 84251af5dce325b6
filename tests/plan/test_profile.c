/*
 * test_profile.c: rows of profiles: the shipped ones, inheritance, and every complaint about a damaged row. No device.
 */
#include <stdlib.h>
#include <string.h>

#include "helpers.h"
#include "plan/plan.h"

/* A text whose first line is a complete row `root`; for free(). */
static char *with_root(const char *before, const char *after)
{
    q_profile usual;
    q_text text = {0};
    assert_true(q_profile_find(&usual, "default"));
    q_text_add(&text, "%sroot ", before);
    q_profile_settings(&text, &usual);
    q_text_add(&text, "\n%s", after);
    return q_text_take(&text);
}

static void expect_fault(quern_status got, const char *message)
{
    assert_int_equal(got, QUERN_USAGE);
    assert_string_equal(quern_last_error()->message, message);
}

static void shipped_rows_can_be_read(void **state)
{
    (void)state;
    q_profile profile;
    if (q_profiles_check(q_cl_file("profiles"), "cl/profiles.txt")) fail_msg("%s", quern_last_error_text());
    assert_true(q_profile_find(&profile, "default"));
    assert_string_equal(profile.name, "default");
}

static void rows_inherit(void **state)
{
    (void)state;
    q_profile usual, cpu;
    assert_true(q_profile_find(&usual, "default"));
    assert_true(q_profile_find(&cpu, "cpu"));
    assert_string_equal(cpu.name, "cpu");
    assert_int_equal(cpu.lanes32, 16);
    assert_int_equal(cpu.max_cols_per_item, usual.max_cols_per_item);
    assert_int_not_equal(cpu.local, usual.local);
}

static void texts_may_be_laid_out_freely(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        {"", ""},
        {"# a comment\n\n", "child:root rows=3"},
        {"", "child :root\n  # a comment\n# another\n\n\trows=3 # a third\n  local=7\n"},
        {"", "grandchild : child\nchild : root\r\n"},
    };
    for (size_t t = 0; t < Q_COUNT(texts); t++) {
        char *text = with_root(texts[t][0], texts[t][1]);
        if (q_profiles_check(text, "text")) fail_msg("%s", quern_last_error_text());
        free(text);
    }
}

static void damaged_rows_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"a : root rwos=2", "text, line 2: there is no column 'rwos'"},
        {"a : root\n  rows=0", "text, line 3: rows can be a whole number from 1 to 64, not '0'"},
        {"a : root rows=65", "text, line 2: rows can be a whole number from 1 to 64, not '65'"},
        {"a : root rows=", "text, line 2: rows can be a whole number from 1 to 64, not ''"},
        {"a : root rows=-1", "text, line 2: rows can be a whole number from 1 to 64, not '-1'"},
        {"a : root rows=2x", "text, line 2: rows can be a whole number from 1 to 64, not '2x'"},
        {"a : root rows=99999999999999999999",
         "text, line 2: rows can be a whole number from 1 to 64, not '99999999999999999999'"},
        {"a : root lanes32=3", "text, line 2: lanes32 can be a power of two from 1 to 16, not '3'"},
        {"a : root rows=2 rows=3", "text, line 2: rows is stated twice"},
        {"a : root rows", "text, line 2: a setting such as rows=4 is expected where 'rows' stands"},
        {"a : root = 3", "text, line 2: a setting such as rows=4 is expected where '=' stands"},
        {"a : root driver=1", "text, line 2: driver is a text in quotes of at most 127 bytes"},
        {"a : root driver=\"1\n", "text, line 2: driver is a text in quotes of at most 127 bytes"},
        {"a : b", "text, line 2: the row a has the parent b, which is not there"},
        {"a : a", "text, line 2: the row a has more than 7 ancestors, or is its own"},
        {"a : b\nb : c\nc : a", "text, line 2: the row a has more than 7 ancestors, or is its own"},
        {"a :\n", "text, line 2: the name of the row's parent is expected"},
        {"a rows=1", "text, line 2: the row a has no parent and must state lanes32"},
        {"\x7f"
         "ELF",
         "text, line 2: the name of a row, of at most 31 letters, digits, _, - and ., is expected where "
         "'\x7f"
         "ELF' stands"},
    };
    for (size_t c = 0; c < Q_COUNT(cases); c++) {
        char *text = with_root("", cases[c].text);
        expect_fault(q_profiles_check(text, "text"), cases[c].message);
        if (c == 0) assert_non_null(strstr(quern_last_error()->next_step, "the columns are lanes32, lanes64, rows,"));
        free(text);
    }
}

static void settings_change_a_profile_or_nothing(void **state)
{
    (void)state;
    q_profile profile, before;
    assert_true(q_profile_find(&profile, "cpu"));
    before = profile;
    assert_int_equal(q_profile_set(&profile, "", "here"), QUERN_OK);
    assert_memory_equal(&profile, &before, sizeof profile);
    assert_int_equal(q_profile_set(&profile, " rows=3  local=5 ", "here"), QUERN_OK);
    assert_int_equal(profile.rows, 3);
    assert_int_equal(profile.local, 5);
    assert_int_equal(profile.lanes32, before.lanes32);
    before = profile;
    expect_fault(q_profile_set(&profile, "rows=4 local=0", "here"),
                 "here, line 1: local can be a whole number from 1 to 1024, not '0'");
    expect_fault(q_profile_set(&profile, "rows=4\nlocal=1", "here"),
                 "here, line 1: one line of settings, without a key, is expected");
    assert_int_equal(q_profile_set(&profile, "driver=\"1\"", "here"), QUERN_USAGE);
    assert_memory_equal(&profile, &before, sizeof profile);
}

static void unknown_names_get_the_default(void **state)
{
    (void)state;
    q_profile profile, usual;
    assert_true(q_profile_find(&usual, "default"));
    assert_false(q_profile_find(&profile, "abacus"));
    assert_memory_equal(&profile, &usual, sizeof profile);
}

static void tuned_rows_are_read_as_they_were_written(void **state)
{
    (void)state;
    const quern_device devices[] = {{.name = "a \"b\"\n", .vendor = "v", .driver = "1.0 #2"},
                                    {.name = "c", .vendor = "v", .driver = ""}};
    q_profile shipped, rows[2], got;
    q_text text = {0}, rest = {0};
    const char *refusal;
    assert_true(q_profile_find(&shipped, "cpu"));
    for (int d = 0; d < 2; d++) {
        q_profile_key key = q_profile_key_of(&devices[d]);
        rows[d] = shipped;
        assert_int_equal(q_profile_set(&rows[d], d ? "" : "rows=3 speed=7", "here"), QUERN_OK);
        q_profile_write(&text, &rows[d], &shipped, &key);
        strcpy(rows[d].name, "cpu-tuned");
    }
    for (int d = 0; d < 2; d++) {
        q_profile_key key = q_profile_key_of(&devices[d]);
        assert_int_equal(q_profile_tuned(&got, text.data, "text", &key, &refusal), QUERN_OK);
        assert_null(refusal);
        assert_memory_equal(&got, &rows[d], sizeof got);
    }
    q_profile_key key = q_profile_key_of(&devices[0]);
    assert_int_equal(q_profiles_without(&rest, text.data, "text", &key), QUERN_OK);
    assert_string_equal(rest.data, strstr(text.data, "\ncpu-tuned") + 1); /* the second row alone */
    q_text_free(&text);
    q_text_free(&rest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shipped_rows_can_be_read),
        cmocka_unit_test(rows_inherit),
        cmocka_unit_test(texts_may_be_laid_out_freely),
        cmocka_unit_test(damaged_rows_are_told),
        cmocka_unit_test(settings_change_a_profile_or_nothing),
        cmocka_unit_test(unknown_names_get_the_default),
        cmocka_unit_test(tuned_rows_are_read_as_they_were_written),
    };
    return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}
