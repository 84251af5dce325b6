/*
 * test_profile.c: rows of profiles: the shipped ones, inheritance, and every complaint about a damaged row. No device.
 */
#include <string.h>

#include "helpers.h"
#include "plan/plan.h"

#define ROOT "root lanes32=1 lanes64=1 rows=2 local=64 tile=64 groups=4 launch_ms=100 vector_math=0 walk=0 speed=1000\n"

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
    assert_int_equal(cpu.walk, usual.walk);
    assert_int_not_equal(cpu.local, usual.local);
}

static void texts_may_be_laid_out_freely(void **state)
{
    (void)state;
    static const char *const texts[] = {
        ROOT,
        "# a comment\n\n" ROOT "child:root rows=3",
        ROOT "child :root\n  # a comment\n# another\n\n\trows=3 # a third\n  local=7\n",
        ROOT "grandchild : child\nchild : root\r\n",
    };
    for (size_t t = 0; t < Q_COUNT(texts); t++)
        if (q_profiles_check(texts[t], "text")) fail_msg("%s", quern_last_error_text());
}

static void damaged_rows_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {ROOT "a : root rwos=2", "text, line 2: there is no column 'rwos'"},
        {ROOT "a : root\n  rows=0", "text, line 3: rows can be a whole number from 1 to 64, not '0'"},
        {ROOT "a : root rows=65", "text, line 2: rows can be a whole number from 1 to 64, not '65'"},
        {ROOT "a : root rows=", "text, line 2: rows can be a whole number from 1 to 64, not ''"},
        {ROOT "a : root rows=-1", "text, line 2: rows can be a whole number from 1 to 64, not '-1'"},
        {ROOT "a : root rows=2x", "text, line 2: rows can be a whole number from 1 to 64, not '2x'"},
        {ROOT "a : root rows=99999999999999999999",
         "text, line 2: rows can be a whole number from 1 to 64, not '99999999999999999999'"},
        {ROOT "a : root lanes32=3", "text, line 2: lanes32 can be a power of two from 1 to 16, not '3'"},
        {ROOT "a : root rows=2 rows=3", "text, line 2: rows is stated twice"},
        {ROOT "a : root rows", "text, line 2: a setting such as rows=4 is expected where 'rows' stands"},
        {ROOT "a : root = 3", "text, line 2: a setting such as rows=4 is expected where '=' stands"},
        {ROOT "a : root driver=1", "text, line 2: driver is a text in quotes of at most 127 bytes"},
        {ROOT "a : root driver=\"1\n", "text, line 2: driver is a text in quotes of at most 127 bytes"},
        {ROOT "a : b", "text, line 2: the row a has the parent b, which is not there"},
        {ROOT "a : a", "text, line 2: the row a has more than 7 ancestors, or is its own"},
        {ROOT "a : b\nb : c\nc : a", "text, line 2: the row a has more than 7 ancestors, or is its own"},
        {ROOT "a :\n", "text, line 2: the name of the row's parent is expected"},
        {"\n\nroot lanes32=1 lanes64=1", "text, line 3: the row root has no parent and must state rows"},
        {"\x7f"
         "ELF",
         "text, line 1: the name of a row, of at most 31 letters, digits, _, - and ., is expected where "
         "'\x7f"
         "ELF' stands"},
    };
    for (size_t c = 0; c < Q_COUNT(cases); c++) expect_fault(q_profiles_check(cases[c].text, "text"), cases[c].message);
    q_profiles_check(ROOT "a : root rwos=2", "text");
    assert_string_equal(quern_last_error()->next_step,
                        "the columns are lanes32, lanes64, rows, local, tile, groups, launch_ms, vector_math, walk, "
                        "speed");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shipped_rows_can_be_read),
        cmocka_unit_test(rows_inherit),
        cmocka_unit_test(texts_may_be_laid_out_freely),
        cmocka_unit_test(damaged_rows_are_told),
        cmocka_unit_test(settings_change_a_profile_or_nothing),
        cmocka_unit_test(unknown_names_get_the_default),
    };
    return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}
