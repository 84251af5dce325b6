/*
 * test_sys.c: clock, cache directory, locks between threads and processes, whole files.
 */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"

static char room[64]; /* a directory for one test */

static int enter(void **state)
{
    (void)state;
    strcpy(room, "/tmp/quern-test-XXXXXX");
    unsetenv("QUERN_CACHE_DIR");
    unsetenv("XDG_CACHE_HOME");
    return mkdtemp(room) ? chdir(room) : -1;
}

static int leave(void **state)
{
    (void)state;
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", room);
    return chdir("/") || system(command);
}

static const char *in_room(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", room, name);
    return path;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){0, ms * 1000000}, NULL);
}

static void the_clock_runs(void **state)
{
    (void)state;
    double start = q_seconds();
    pause_ms(20);
    double passed = q_seconds() - start;
    assert_true(passed > 0.015 && passed < 600);
    assert_int_equal(q_process(), getpid());
}

/* Whether there is a directory to be used, and its path. */
static bool cache_directory(char *path, size_t size)
{
    const char *fault;
    int fd = q_cache_open(path, size, &fault);
    assert_true(fd < 0 ? *fault != 0 : !fault && !close(fd));
    return fd >= 0;
}

static void the_cache_directory_follows_the_environment(void **state)
{
    (void)state;
    char path[256];
    struct stat info;
    setenv("HOME", in_room("home"), 1);
    assert_true(cache_directory(path, sizeof path));
    assert_string_equal(path, in_room("home/.cache/quern"));
    setenv("XDG_CACHE_HOME", "relative", 1);
    assert_true(cache_directory(path, sizeof path));
    assert_string_equal(path, in_room("home/.cache/quern"));
    setenv("XDG_CACHE_HOME", in_room("xdg"), 1);
    assert_true(cache_directory(path, sizeof path));
    assert_string_equal(path, in_room("xdg/quern"));
    setenv("QUERN_CACHE_DIR", in_room("own//"), 1);
    assert_true(cache_directory(path, sizeof path));
    assert_string_equal(path, in_room("own"));
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0700);
    assert_false(cache_directory(path, strlen(in_room("own"))));
}

static void unsafe_cache_directories_are_refused(void **state)
{
    (void)state;
    char path[256];
    setenv("HOME", room, 1); /* must not become a substitute */
    setenv("QUERN_CACHE_DIR", in_room("cache"), 1);
    assert_true(cache_directory(path, sizeof path));
    assert_int_equal(chmod(path, 0720), 0);
    assert_false(cache_directory(path, sizeof path));
    assert_int_equal(chmod(path, 0702), 0);
    assert_false(cache_directory(path, sizeof path));
    assert_int_equal(q_lock("build", &(q_lock_timeout){0}), -1);
    assert_int_equal(chmod(path, 0755), 0);
    assert_true(cache_directory(path, sizeof path));
    assert_int_equal(symlink(path, "link"), 0);
    setenv("QUERN_CACHE_DIR", in_room("link/"), 1);
    assert_false(cache_directory(path, sizeof path));
    setenv("QUERN_CACHE_DIR", "/tmp", 1);
    assert_false(cache_directory(path, sizeof path));
    setenv("QUERN_CACHE_DIR", "/dev/null", 1);
    assert_false(cache_directory(path, sizeof path));
    setenv("QUERN_CACHE_DIR", "relative", 1);
    assert_false(cache_directory(path, sizeof path));
}

static atomic_int inside, most;

/* Counts how many hold the lock at once; a pause makes an overlap certain to show. */
static void *hold_lock(void *unused)
{
    int lock = q_lock("test", &(q_lock_timeout){0});
    int now = atomic_fetch_add(&inside, 1) + 1;
    if (now > most) most = now;
    pause_ms(10);
    atomic_fetch_sub(&inside, 1);
    q_unlock(lock);
    return lock < 0 ? &most : unused;
}

static void locks_exclude_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    void *failed = NULL;
    setenv("QUERN_CACHE_DIR", in_room("cache"), 1);
    for (size_t i = 0; i < Q_COUNT(threads); i++) pthread_create(&threads[i], NULL, hold_lock, NULL);
    for (size_t i = 0; i < Q_COUNT(threads); i++) {
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(most, 1);
}

static void locks_exclude_processes(void **state)
{
    (void)state;
    setenv("QUERN_CACHE_DIR", in_room("cache"), 1);
    int lock = q_lock("test", &(q_lock_timeout){0});
    assert_true(lock >= 0);
    pid_t child = fork();
    if (!child) { /* leaves its mark once it has the lock */
        int mine = q_lock("test", &(q_lock_timeout){0});
        int fd = open("mark", O_CREAT | O_WRONLY, 0600);
        _exit(mine < 0 || fd < 0);
    }
    pause_ms(100);
    assert_int_not_equal(access("mark", F_OK), 0);
    q_unlock(lock);
    int result = -1;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    assert_int_equal(access("mark", F_OK), 0);
    q_unlock(-1);
}

/* What a wait has told: the number of lines and the last. */
typedef struct told {
    int count;
    char line[1024];
} told;

static void on_line(void *user, const char *line)
{
    told *lines = user;
    lines->count++;
    snprintf(lines->line, sizeof lines->line, "%s", line);
}

static void waits_for_a_lock_are_told_of_and_end(void **state)
{
    (void)state;
    told lines = {0};
    setenv("QUERN_CACHE_DIR", in_room("cache"), 1);
    int lock = q_lock("test", &(q_lock_timeout){.log = on_line, .log_user = &lines});
    assert_true(lock >= 0);
    assert_int_equal(lines.count, 0);
    double start = q_seconds();
    q_lock_timeout timeout = {.log = on_line, .log_user = &lines, .notice = 0.02, .limit = 0.1};
    assert_int_equal(q_lock("test", &timeout), -1);
    double waited = q_seconds() - start;
    assert_true(waited >= 0.1 && waited < 600);
    assert_true(lines.count == 2 || lines.count == 1); /* where the time was up before the notice was due, one line */
    lines.count = 2;
    assert_non_null(strstr(lines.line, "went on without"));
    assert_non_null(strstr(lines.line, in_room("cache/test.lock")));
    timeout = (q_lock_timeout){.log = on_line, .log_user = &lines, .notice = 0.01, .limit = 0.01}; /* told once only */
    assert_int_equal(q_lock("test", &timeout), -1);
    assert_int_equal(lines.count, 3);
    timeout = (q_lock_timeout){.limit = 0.01};
    assert_int_equal(q_lock("test", &timeout), -1);
    q_unlock(lock);
    lock = q_lock("test", &timeout);
    assert_true(lock >= 0);
    q_unlock(lock);
}

static void whole_files_are_read(void **state)
{
    (void)state;
    char *data = NULL;
    size_t size = 1;
    FILE *file = fopen("empty", "wb");
    fclose(file);
    assert_int_equal(q_read_file("empty", &data, &size), QUERN_OK);
    assert_int_equal(size, 0);
    assert_string_equal(data, "");
    free(data);
    file = fopen("long", "wb");
    for (int i = 0; i < 20000; i++) fputc(i % 251, file);
    fclose(file);
    assert_int_equal(q_read_file("long", &data, &size), QUERN_OK);
    assert_int_equal(size, 20000);
    for (size_t i = 0; i < size; i++) assert_int_equal((unsigned char)data[i], i % 251);
    assert_int_equal(data[size], 0);
    free(data);
    assert_int_equal(q_read_file("absent", &data, &size), QUERN_IO);
    assert_non_null(strstr(quern_last_error()->message, "'absent'"));
    assert_int_equal(q_read_file(room, &data, &size), QUERN_IO);
}

#define IN_ROOM(test) cmocka_unit_test_setup_teardown(test, enter, leave)

static void files_are_replaced_whole_or_not_at_all(void **state)
{
    (void)state;
    char *data;
    size_t size;
    struct stat info;
    assert_true(q_make_parent("new/below/file"));
    assert_int_equal(q_replace_file("new/below/file", "one", 3), QUERN_OK);
    assert_int_equal(q_replace_file("new/below/file", "three", 5), QUERN_OK);
    assert_int_equal(q_read_file("new/below/file", &data, &size), QUERN_OK);
    assert_string_equal(data, "three");
    free(data);
    assert_int_equal(stat("new/below/file", &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(stat("new/below", &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_int_equal(q_replace_file("new", "one", 3), QUERN_IO); /* a directory; nothing is left beside it */
    assert_int_equal(q_replace_file("absent/file", "one", 3), QUERN_IO);
    assert_int_equal(unlink("new/below/file") | rmdir("new/below") | rmdir("new"), 0);
    assert_false(q_make_parent("/dev/null/file"));
    assert_true(q_make_parent("file"));
}

static void paths_of_the_user_follow_the_environment(void **state)
{
    (void)state;
    static const struct {
        const char *own, *xdg, *home, *path;
    } cases[] = {
        {"here", "/x", "/h", "here"}, {"", "/x", "/h", "/x/a/b"},      {NULL, "x", "/h", "/h/.c/a/b"},
        {NULL, NULL, "h", NULL},      {NULL, NULL, "/h", "/h/.c/a/b"}, {NULL, NULL, NULL, NULL},
    };
    static const char *const names[] = {"QUERN_TEST_OWN", "QUERN_TEST_XDG", "HOME"};
    const char *old = getenv("HOME");
    char path[64], home[4096];
    snprintf(home, sizeof home, "%s", old ? old : "");
    for (size_t c = 0; c < Q_COUNT(cases); c++) {
        const char *const values[] = {cases[c].own, cases[c].xdg, cases[c].home};
        for (size_t n = 0; n < 3; n++)
            if (values[n]) setenv(names[n], values[n], 1);
            else unsetenv(names[n]);
        bool found = q_user_path(path, sizeof path, names[0], names[1], ".c", "a/b");
        assert_true(found == (cases[c].path != NULL));
        if (found) assert_string_equal(path, cases[c].path);
    }
    setenv("QUERN_TEST_OWN", "long", 1);
    assert_false(q_user_path(path, 4, names[0], names[1], ".c", "a/b"));
    if (old) setenv("HOME", home, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clock_runs),
        IN_ROOM(the_cache_directory_follows_the_environment),
        IN_ROOM(unsafe_cache_directories_are_refused),
        IN_ROOM(locks_exclude_threads),
        IN_ROOM(locks_exclude_processes),
        IN_ROOM(waits_for_a_lock_are_told_of_and_end),
        IN_ROOM(whole_files_are_read),
        IN_ROOM(files_are_replaced_whole_or_not_at_all),
        cmocka_unit_test(paths_of_the_user_follow_the_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
