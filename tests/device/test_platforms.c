/*
 * test_platforms.c: platforms without a device, and a driver whose cache is lost.
 *
 * What a driver makes of its environment it decides once in a process, so that each case is a process of its own: this
 * program, started again with the name of the case. Those about PoCL are skipped where it is not the only platform.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "device/device.h"

/* ---- in this process -------------------------------------------------------------------------------------------- */

static void platforms_are_described(void **state)
{
    (void)state;
    quern_platform *list;
    q_device *devices;
    size_t count, device_count, sum = 0;
    assert_int_equal(quern_platforms(&list, &count), QUERN_OK);
    assert_int_equal(q_discover(&devices, &device_count), QUERN_OK);
    for (size_t k = 0; k < count; k++) {
        sum += (size_t)list[k].devices;
        assert_true(*list[k].name);
        assert_int_equal(list[k].devices == 0, *list[k].next_step != 0);
    }
    assert_int_equal(sum, device_count);
    quern_free(list);
    free(devices);
}

/* ---- cases ------------------------------------------------------------------------------------------------------ */

static bool tells(const char *text, const char *part)
{
    if (strstr(text, part)) return true;
    printf("'%s' is not in '%s'\n", part, text);
    return false;
}

/* PoCL gives no device: every way to ask for one says so, with the step. */
static bool no_device(const char *now)
{
    quern_platform *list;
    quern_context *context = NULL;
    size_t count;
    if (quern_platforms(&list, &count) || count != 1) return false;
    bool good = !list->devices && list->serves_cpu && tells(list->next_step, now);
    quern_free(list);
    good = good && quern_context_create(&context, NULL) == QUERN_NO_DEVICE && !context;
    return good && tells(quern_last_error()->message, "1 driver is there, but gives no device: Portable Computing") &&
           tells(quern_last_error()->next_step,
                 "let POCL_CACHE_DIR, or HOME, name a directory that this user can write") &&
           tells(quern_last_error()->next_step, now);
}

/* No driver can be loaded: the variable that is to blame is named. */
static bool no_driver(const char *now)
{
    quern_platform *list;
    quern_context *context = NULL;
    size_t count;
    if (quern_platforms(&list, &count) || count) return false;
    quern_free(list);
    return quern_context_create(&context, NULL) == QUERN_NO_DEVICE && tells(quern_last_error()->message, now) &&
           tells(quern_last_error()->next_step, "unset OCL_ICD_VENDORS");
}

/* PoCL's cache is removed after the device was opened: building fails, is not called a defect, and so again. */
static bool lost_cache(const char *directory)
{
    char command[600];
    q_device *list;
    q_session *session;
    q_program *program;
    size_t count;
    bool made;
    if (q_discover(&list, &count) || count != 1 || q_session_create(&session, list, 0, NULL)) return false;
    snprintf(command, sizeof command, "rm -r '%s'", directory);
    bool good = !system(command);
    for (int round = 0; round < 2; round++) {
        good = good && q_program_get(&program, session, "quern", "kernel void quern(global int *a) { a[0] = 5; }", "",
                                     &made) == QUERN_BUILD;
        good = good && tells(quern_last_error()->next_step, "PoCL builds in its cache, which was removed") &&
               tells(quern_last_error()->next_step, directory);
    }
    q_session_destroy(&session);
    free(list);
    return good;
}

static const struct scenario {
    const char *name;
    bool (*run)(const char *value);
} scenarios[] = {{"no_device", no_device}, {"no_driver", no_driver}, {"lost_cache", lost_cache}};

static int run_scenario(const char *name, const char *value)
{
    for (size_t k = 0; k < Q_COUNT(scenarios); k++)
        if (!strcmp(name, scenarios[k].name)) return scenarios[k].run(value) ? 0 : 1;
    return 2;
}

/* ---- as processes ----------------------------------------------------------------------------------------------- */

/* Runs a case with these variables set, or unset where the value is null; their names end with a null. */
static void in_process(const char *scenario, const char *value, const char *const (*variables)[2])
{
    pid_t child = fork();
    if (!child) {
        for (; (*variables)[0]; variables++)
            if ((*variables)[1]) setenv((*variables)[0], (*variables)[1], 1);
            else unsetenv((*variables)[0]);
        execl("/proc/self/exe", "test_platforms", scenario, value, (char *)NULL);
        _exit(3);
    }
    int result = -1;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
}
#define IN_PROCESS(scenario, value, ...) \
    in_process(scenario, value, (const char *const[][2]){__VA_ARGS__, {NULL, NULL}})

static void need_pocl_alone(void)
{
    quern_platform *list;
    size_t count;
    if (access("/proc/self/exe", R_OK)) skip();
    assert_int_equal(quern_platforms(&list, &count), QUERN_OK);
    bool alone = count == 1 && list->serves_cpu;
    quern_free(list);
    if (!alone) skip();
}

static void pocl_without_a_cache(void **state)
{
    (void)state;
    need_pocl_alone();
    IN_PROCESS("no_device", "POCL_CACHE_DIR is '/proc/no'", {"POCL_CACHE_DIR", "/proc/no"});
    IN_PROCESS("no_device", "POCL_CACHE_DIR is ''", {"POCL_CACHE_DIR", ""});
    IN_PROCESS("no_device", "XDG_CACHE_HOME is '/proc/no'", {"POCL_CACHE_DIR", NULL}, {"XDG_CACHE_HOME", "/proc/no"});
    IN_PROCESS("no_device", "HOME is '/proc'", {"POCL_CACHE_DIR", NULL}, {"XDG_CACHE_HOME", NULL}, {"HOME", "/proc"});
    IN_PROCESS("no_device", "unset POCL_DEVICES (now 'nosuch')", {"POCL_DEVICES", "nosuch"});
}

static void nothing_to_load(void **state)
{
    (void)state;
    if (access("/proc/self/exe", R_OK)) skip();
    IN_PROCESS("no_driver", "'/proc/no'", {"OCL_ICD_VENDORS", "/proc/no"}, {"OCL_ICD_FILENAMES", NULL});
    IN_PROCESS("no_driver", "'/proc/self/fdinfo'", {"OCL_ICD_VENDORS", "/proc/self/fdinfo"},
               {"OCL_ICD_FILENAMES", NULL});
}

static void pocl_whose_cache_is_removed(void **state)
{
    (void)state;
    need_pocl_alone();
    char directory[] = "/tmp/quern-cache-XXXXXX";
    assert_non_null(mkdtemp(directory));
    IN_PROCESS("lost_cache", directory, {"POCL_CACHE_DIR", directory});
    rmdir(directory); /* should it still be there */
}

int main(int argc, char **argv)
{
    if (argc == 3) return run_scenario(argv[1], argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(platforms_are_described),
        cmocka_unit_test(pocl_without_a_cache),
        cmocka_unit_test(nothing_to_load),
        cmocka_unit_test(pocl_whose_cache_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
