/*
 * test_binary.c: compiled programs in quern's own cache, which is forced on whatever the driver does: they are loaded
 * again, and whatever happens to an entry, the program is right. Needs a device and is skipped without one.
 *
 *   test_binary             the tests
 *   test_binary child TEXT  builds one program that has TEXT in it and prints `built` or `loaded`
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "device/device.h"
#include "quern/cache.h"

static const char *self;
static char room[32];
static q_device *devices;
static size_t device_count, chosen;
static q_session *session;

static bool open_queue(void)
{
    q_text why = {0};
    if (q_discover(&devices, &device_count)) return false;
    if (!device_count) return true;
    quern_status status = q_choose(devices, device_count, NULL, &chosen, &why);
    if (!status) status = q_session_create(&session, &devices[chosen], 0, NULL);
    if (!status) session->keeps_programs = true;
    q_text_free(&why);
    return !status;
}

static int set_up(void **state)
{
    (void)state;
    return open_queue() ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    q_session_destroy(&session);
    free(devices);
    return 0;
}

static int enter(void **state)
{
    (void)state;
    strcpy(room, "/tmp/quern-test-XXXXXX");
    return mkdtemp(room) && !setenv("QUERN_CACHE_DIR", room, 1) ? 0 : -1;
}

static int leave(void **state)
{
    (void)state;
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", room);
    unsetenv("QUERN_CACHE");
    return system(command);
}

// ---- programs ----

static char *source_with(const char *text)
{
    q_text source = {0};
    q_text_add(&source, "/* %s */ __kernel void quern(__global float *a) { a[get_global_id(0)] += NUMBER; }\n", text);
    return q_text_take(&source);
}

static quern_status build(q_program **out, const char *text, const char *options)
{
    char *source = source_with(text);
    bool made;
    quern_status status = q_program_get(out, session, "quern", source, options, &made);
    free(source);
    return status;
}

/* Builds the program, checks that it adds the number, and whether it came from the cache; its note must have `note` in
   it, "" standing for none. */
static void expect(const char *options, float number, bool loaded, const char *note)
{
    q_program *program;
    q_buffer buffer;
    float a[4] = {1, 2, 3, 4};
    const size_t global[3] = {4, 1, 1}, local[3] = {1, 1, 1};
    assert_int_equal(build(&program, "", options), QUERN_OK);
    assert_int_equal(q_program_is_loaded(program), loaded);
    bool fits = *note ? strstr(q_program_note(program), note) != NULL : !*q_program_note(program);
    if (!fits) fail_msg("the note is '%s', without '%s'", q_program_note(program), note);
    assert_int_equal(q_buffer_create(&buffer, session, sizeof a), QUERN_OK);
    assert_int_equal(q_buffer_write(&buffer, session, a, sizeof a), QUERN_OK);
    const q_kernel_arg arg = {sizeof(cl_mem), &buffer.mem};
    assert_int_equal(q_program_launch(program, session, &arg, 1, global, local), QUERN_OK);
    assert_int_equal(q_buffer_read(&buffer, session, a, sizeof a), QUERN_OK);
    for (int k = 0; k < 4; k++) assert_true(a[k] == (float)(k + 1) + number);
    q_buffer_destroy(&buffer, session);
    q_program_release(&program, session);
    q_programs_destroy(session); /* which would give it again */
}

static char *key_of(const char *options)
{
    char *source = source_with(""), *key = q_binary_key(session->device, source, options);
    free(source);
    assert_non_null(key);
    return key;
}

static void only_entry(char path[320])
{
    DIR *directory = opendir(room);
    *path = 0;
    for (struct dirent *d; (d = readdir(directory));)
        if (strstr(d->d_name, ".program")) snprintf(path, 320, "%s/%s", room, d->d_name);
    closedir(directory);
    assert_true(*path);
}

// ---- tests ----

static void programs_are_loaded_again(void **state)
{
    (void)state;
    if (!device_count) skip();
    expect("-DNUMBER=1", 1, false, "");
    expect("-DNUMBER=1", 1, true, "");
    expect("-DNUMBER=2", 2, false, ""); /* other options, another entry */
    expect("-DNUMBER=1", 1, true, "");
    assert_int_equal(quern_cache_clear(), QUERN_OK);
    expect("-DNUMBER=1", 1, false, "");
}

static void keys_tell_programs_apart(void **state)
{
    (void)state;
    if (!device_count) skip();
    char *key = key_of("-DNUMBER=1");
    const quern_device *info = &session->device->info;
    const char *const parts[] = {info->name,   info->vendor,    info->platform, info->version,
                                 info->driver, quern_version(), "-DNUMBER=1"};
    for (size_t p = 0; p < Q_COUNT(parts); p++) assert_non_null(strstr(key, parts[p]));
    q_device other = *session->device;
    other.info.driver = "another";
    char *source = source_with(""), *longer = source_with("x");
    char *keys[] = {key_of("-DNUMBER=2"), q_binary_key(&other, source, "-DNUMBER=1"),
                    q_binary_key(session->device, longer, "-DNUMBER=1")};
    for (size_t k = 0; k < Q_COUNT(keys); k++) {
        assert_string_not_equal(keys[k], key);
        free(keys[k]);
    }
    free(source);
    free(longer);
    free(key);
}

/* A damaged program may kill the process (PoCL asserts): the driver must not see it. */
static void damaged_entries_are_built_again(void **state)
{
    (void)state;
    if (!device_count) skip();
    char path[320];
    struct stat info;
    for (int part = 0; part < 8; part++) {
        expect("-DNUMBER=1", 1, false, part ? "it " : "");
        expect("-DNUMBER=1", 1, true, "");
        only_entry(path);
        assert_int_equal(stat(path, &info), 0);
        FILE *file = fopen(path, "r+b");
        fseek(file, info.st_size * part / 8, SEEK_SET);
        fputs("damage!", file);
        fclose(file);
    }
    expect("-DNUMBER=1", 1, false, "it is damaged");
    only_entry(path);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(truncate(path, info.st_size / 2), 0);
    expect("-DNUMBER=1", 1, false, "it has a wrong length");
    expect("-DNUMBER=1", 1, true, "");
}

/* Whole entries that the driver does not take. Mesa's rusticl does not refuse but ends the process (22.3). */
static void refused_programs_are_built_again(void **state)
{
    (void)state;
    if (!device_count || !strcmp(devices[chosen].info.platform, "rusticl")) skip();
    char *key = key_of("-DNUMBER=1");
    q_text note = {0};
    static const char *const programs[] = {"this is no program", ""};
    for (size_t p = 0; p < Q_COUNT(programs); p++) {
        assert_true(q_store_write(key, programs[p], strlen(programs[p]), Q_STORE_BYTES, &note));
        expect("-DNUMBER=1", 1, false, "the driver refused");
        expect("-DNUMBER=1", 1, true, "");
    }
    q_text_free(&note);
    free(key);
}

static void programs_are_built_where_nothing_can_be_kept(void **state)
{
    (void)state;
    if (!device_count) skip();
    chmod(room, 0777);
    expect("-DNUMBER=1", 1, false, "others may write to it");
    chmod(room, 0700);
    setenv("QUERN_CACHE_DIR", "/dev/null", 1);
    expect("-DNUMBER=1", 1, false, "it is no directory");
    setenv("QUERN_CACHE_DIR", "", 1);
    setenv("XDG_CACHE_HOME", "", 1);
    char *home = getenv("HOME") ? strdup(getenv("HOME")) : NULL;
    unsetenv("HOME");
    expect("-DNUMBER=1", 1, false, "no absolute path is set");
    if (home) setenv("HOME", home, 1);
    free(home);
}

/* Four processes ask for one program that nobody has built: where builds wait for each other one builds it, and the others
   load it. */
static void processes_build_once(void **state)
{
    (void)state;
    if (!device_count) skip();
    char command[512], line[64];
    int built = 0, loaded = 0;
    snprintf(command, sizeof command, "for n in 1 2 3 4; do '%s' child %s & done; wait", self, room + 5);
    FILE *children = popen(command, "r");
    assert_non_null(children);
    while (fgets(line, sizeof line, children)) {
        built += !strcmp(line, "built\n");
        loaded += !strcmp(line, "loaded\n");
    }
    assert_int_equal(pclose(children), 0);
    assert_int_equal(built + loaded, 4);
    if (session->device->builds_race) assert_int_equal(built, 1); /* elsewhere nobody waits for others */
    assert_true(built >= 1);
}

static int child(const char *text)
{
    q_program *program;
    if (!open_queue() || build(&program, text, "-DNUMBER=1")) {
        fprintf(stderr, "%s\n", quern_last_error_text());
        return 1;
    }
    puts(q_program_is_loaded(program) ? "loaded" : "built");
    q_program_release(&program, session);
    q_session_destroy(&session);
    free(devices);
    return 0;
}

// ---- contexts ----

static char lines[4096];

static void on_line(void *user, const char *line)
{
    (void)user;
    size_t used = strlen(lines);
    snprintf(lines + used, sizeof lines - used, "%s\n", line);
}

/* The log of a context that builds one program. */
static const char *log_of(quern_switch cache)
{
    quern_context *context;
    quern_operator *op;
    const quern_context_options options = {.size = sizeof options, .log = on_line, .cache = cache};
    lines[0] = 0;
    assert_int_equal(quern_context_create(&context, &options), QUERN_OK);
    assert_int_equal(quern_compile(&op, context, "x=Vi(2); y=Vj(2); Sum_j(x|y)", NULL), QUERN_OK);
    assert_int_equal(quern_prepare(op, QUERN_F32, 100, 100), QUERN_OK);
    quern_operator_destroy(&op);
    quern_context_destroy(&context);
    return lines;
}

static uint64_t count_entries(void)
{
    quern_cache cache;
    assert_int_equal(quern_cache_look(&cache), QUERN_OK);
    return cache.entries;
}

static void options_and_environment_decide(void **state)
{
    (void)state;
    if (!device_count) skip();
    unsetenv("QUERN_CACHE");
    log_of(QUERN_AUTO);
    assert_int_equal(count_entries(), devices[chosen].info.driver_caches ? 0 : 1);
    setenv("QUERN_CACHE", "on", 1);
    assert_non_null(strstr(log_of(QUERN_OFF), "built stage 0"));
    quern_cache_clear();
    assert_non_null(strstr(log_of(QUERN_AUTO), "built stage 0"));
    assert_non_null(strstr(log_of(QUERN_AUTO), "loaded stage 0"));
    setenv("QUERN_CACHE", "off", 1);
    assert_non_null(strstr(log_of(QUERN_AUTO), "built stage 0"));
    assert_non_null(strstr(log_of(QUERN_ON), "loaded stage 0"));
    setenv("QUERN_CACHE", "", 1);
    log_of(QUERN_AUTO);
    setenv("QUERN_CACHE", "perhaps", 1);
    quern_context *context;
    assert_int_equal(quern_context_create(&context, NULL), QUERN_USAGE);
    assert_string_equal(quern_last_error()->message, "QUERN_CACHE is 'perhaps'; it can be on, off or auto");
    assert_null(context);
}

static void the_log_tells_of_trouble(void **state)
{
    (void)state;
    if (!device_count) skip();
    char path[320];
    log_of(QUERN_ON);
    only_entry(path);
    assert_int_equal(truncate(path, 100), 0);
    assert_non_null(strstr(log_of(QUERN_ON), "it has a wrong length\nbuilt stage 0"));
}

#define IN_ROOM(test) cmocka_unit_test_setup_teardown(test, enter, leave)

int main(int count, char **words)
{
    const struct CMUnitTest tests[] = {
        IN_ROOM(programs_are_loaded_again),
        IN_ROOM(keys_tell_programs_apart),
        IN_ROOM(damaged_entries_are_built_again),
        IN_ROOM(refused_programs_are_built_again),
        IN_ROOM(programs_are_built_where_nothing_can_be_kept),
        IN_ROOM(processes_build_once),
        IN_ROOM(options_and_environment_decide),
        IN_ROOM(the_log_tells_of_trouble),
    };
    self = words[0];
    if (count == 3 && !strcmp(words[1], "child")) return child(words[2]);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
