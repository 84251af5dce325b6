/*
 * test_store.c: bytes that one process leaves for later ones: what is read back, and what is not believed. Every test has
 * a cache directory of its own.
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "quern/cache.h"

enum { HEADER = 64 };

static char room[32];
static q_text note;

static int enter(void **state)
{
    (void)state;
    strcpy(room, "/tmp/quern-test-XXXXXX");
    return mkdtemp(room) && !setenv("QUERN_CACHE_DIR", room, 1) ? chdir(room) : -1;
}

static int leave(void **state)
{
    (void)state;
    char command[96];
    q_text_free(&note);
    snprintf(command, sizeof command, "chmod -R u+rwx '%s' && rm -rf '%s'", room, room);
    return chdir("/") || system(command);
}

static bool put(const char *key, const char *text)
{
    return q_store_write(key, text, strlen(text), Q_STORE_BYTES, &note);
}

/* Whether the entry is there and holds the text. */
static bool holds(const char *key, const char *text)
{
    void *data;
    size_t size;
    bool there = q_store_read(key, &data, &size, &note);
    bool same = there && size == strlen(text) && !memcmp(data, text, size);
    free(data);
    return same;
}

/* Fails unless the entry is not believed for this reason, and gone. */
static void expect_refusal(const char *key, const char *reason)
{
    assert_false(holds(key, "abc"));
    if (!note.data || !strstr(note.data, reason)) fail_msg("'%s' is not in '%s'", reason, note.data);
    q_text_free(&note);
    assert_false(holds(key, "abc"));
    assert_null(note.data);
}

/* The name of the only entry. */
static const char *entry_name(void)
{
    static char name[256];
    DIR *directory = opendir(".");
    *name = 0;
    for (struct dirent *d; (d = readdir(directory));)
        if (strstr(d->d_name, ".program")) snprintf(name, sizeof name, "%s", d->d_name);
    closedir(directory);
    assert_true(*name);
    return name;
}

static void change_byte(const char *name, long at)
{
    FILE *file = fopen(name, "r+b");
    assert_non_null(file);
    fseek(file, at, at < 0 ? SEEK_END : SEEK_SET);
    int byte = fgetc(file);
    fseek(file, -1, SEEK_CUR);
    fputc(byte ^ 1, file);
    fclose(file);
}

static size_t count_files(const char *ending)
{
    size_t count = 0;
    DIR *directory = opendir(".");
    for (struct dirent *d; (d = readdir(directory));) count += strstr(d->d_name, ending) != NULL;
    closedir(directory);
    return count;
}

// ---- what works ----

static void entries_are_read_back(void **state)
{
    (void)state;
    struct stat info;
    assert_false(holds("key", "abc"));
    assert_true(put("key", "abc"));
    assert_true(put("other key", ""));
    assert_true(holds("key", "abc"));
    assert_true(holds("other key", ""));
    assert_true(put("key", "longer than before"));
    assert_true(holds("key", "longer than before"));
    assert_int_equal(stat(entry_name(), &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    q_store_remove("key");
    assert_false(holds("key", "longer than before"));
    assert_true(holds("other key", ""));
    assert_null(note.data);
}

static void the_cache_is_looked_at_and_cleared(void **state)
{
    (void)state;
    quern_cache cache;
    put("a", "123");
    put("b", "4567");
    fclose(fopen("profiles.txt", "w"));
    assert_int_equal(quern_cache_look(&cache), QUERN_OK);
    assert_string_equal(cache.path, room);
    assert_null(cache.fault);
    assert_int_equal(cache.entries, 2);
    assert_int_equal(cache.bytes, 2 * HEADER + 2 + 7);
    assert_int_equal(cache.limit, Q_STORE_BYTES);
    assert_int_equal(quern_cache_clear(), QUERN_OK);
    assert_int_equal(quern_cache_look(&cache), QUERN_OK);
    assert_int_equal(cache.entries, 0);
    assert_int_equal(access("profiles.txt", F_OK), 0);
    assert_int_equal(quern_cache_look(NULL), QUERN_USAGE);
}

// ---- what is not believed ----

static void damage_is_noticed(void **state)
{
    (void)state;
    /* magic, length of the key, length of the data, digest, key, data */
    static const struct {
        long at;
        const char *reason;
    } bytes[] = {{3, "no entry of this version"},
                 {16, "wrong length"},
                 {24, "wrong length"},
                 {40, "damaged"},
                 {HEADER, "damaged"},
                 {HEADER + 3, "damaged"},
                 {-1, "damaged"}};
    for (size_t b = 0; b < Q_COUNT(bytes); b++) {
        assert_true(put("key", "abc"));
        change_byte(entry_name(), bytes[b].at);
        expect_refusal("key", bytes[b].reason);
    }
    assert_true(put("key", "abc"));
    assert_true(holds("key", "abc"));
}

static void truncated_entries_are_noticed(void **state)
{
    (void)state;
    for (off_t size = 0; size < HEADER + 6; size++) {
        assert_true(put("key", "abc"));
        assert_int_equal(truncate(entry_name(), size), 0);
        expect_refusal("key", "wrong length");
    }
    assert_true(put("key", "abc"));
    FILE *file = fopen(entry_name(), "ab");
    fputc(0, file);
    fclose(file);
    expect_refusal("key", "wrong length");
}

/* As if two keys had one digest. */
static void keys_are_compared(void **state)
{
    (void)state;
    char first[256];
    put("first", "abc");
    snprintf(first, sizeof first, "%s", entry_name());
    rename(first, "kept");
    put("other", "xyz");
    rename("kept", entry_name());
    expect_refusal("other", "another key");
}

static void files_of_other_kinds_are_refused(void **state)
{
    (void)state;
    char name[256];
    put("key", "abc");
    snprintf(name, sizeof name, "%s", entry_name());
    assert_int_equal(chmod(name, 0620), 0);
    expect_refusal("key", "only this user");
    put("key", "abc");
    assert_int_equal(rename(name, "real"), 0);
    assert_int_equal(symlink("real", name), 0);
    expect_refusal("key", "a link");
    assert_int_equal(access("real", F_OK), 0);
    assert_int_equal(mkfifo(name, 0600), 0);
    expect_refusal("key", "only this user");
    if (geteuid() == 0) {
        put("key", "abc");
        assert_int_equal(chown(name, 1, 1), 0);
        expect_refusal("key", "only this user");
    }
    assert_int_equal(symlink("real", name), 0); /* writing replaces a link and does not follow it */
    assert_true(put("key", "xyz"));
    struct stat info;
    assert_int_equal(lstat(name, &info), 0);
    assert_true(S_ISREG(info.st_mode));
    assert_true(holds("key", "xyz"));
}

// ---- where nothing can be kept ----

static void expect_no_store(const char *reason)
{
    quern_cache cache;
    assert_false(put("key", "abc"));
    assert_false(holds("key", "abc"));
    q_store_remove("key");
    if (!note.data || !strstr(note.data, reason)) fail_msg("'%s' is not in '%s'", reason, note.data);
    assert_null(strchr(note.data, '\n'));
    assert_int_equal(quern_cache_look(&cache), QUERN_OK);
    assert_string_equal(cache.fault, reason);
    assert_int_equal(quern_cache_clear(), QUERN_IO);
    q_text_free(&note);
}

static void directories_of_no_use_do_no_harm(void **state)
{
    (void)state;
    chmod(room, 0770);
    expect_no_store("others may write to it");
    chmod(room, 0700);
    setenv("QUERN_CACHE_DIR", "/dev/null", 1);
    expect_no_store("it is no directory, or a link to one");
    setenv("QUERN_CACHE_DIR", "/proc/none/quern", 1);
    expect_no_store("it does not exist and cannot be made");
    char link[96];
    snprintf(link, sizeof link, "%s/link", room);
    mkdir("target", 0700);
    assert_int_equal(symlink("target", link), 0);
    setenv("QUERN_CACHE_DIR", link, 1);
    expect_no_store("it is no directory, or a link to one");
    setenv("QUERN_CACHE_DIR", "relative", 1);
    expect_no_store("no absolute path is set");
    setenv("QUERN_CACHE_DIR", geteuid() ? "/etc" : room, 1);
    if (geteuid() == 0) assert_int_equal(chown(room, 1, 1), 0);
    expect_no_store("it belongs to another user");
    assert_int_equal(geteuid() ? 0 : chown(room, 0, 0), 0);
}

/* In a child: files can have no more than 100 bytes, as on a disk that is full. */
static int write_without_room(void)
{
    char big[1000] = "";
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGXFSZ, &ignore, NULL);
    if (setrlimit(RLIMIT_FSIZE, &(struct rlimit){100, 100})) return 1;
    if (q_store_write("key", big, sizeof big, Q_STORE_BYTES, &note)) return 2;
    if (!note.data || !strstr(note.data, "cannot be written: ")) return 3;
    return count_files(".tmp") ? 4 : 0;
}

static void a_full_disk_leaves_nothing(void **state)
{
    (void)state;
    int result = -1;
    put("key", "abc");
    pid_t child = fork();
    if (!child) _exit(write_without_room());
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    assert_true(holds("key", "abc"));
}

// ---- bounds ----

static void age(const char *name, time_t seconds)
{
    const struct timespec then[2] = {{time(NULL) - seconds, 0}, {time(NULL) - seconds, 0}};
    assert_int_equal(utimensat(AT_FDCWD, name, then, 0), 0);
}

static void the_oldest_go_first(void **state)
{
    (void)state;
    char names[3][256];
    static const char *const keys[] = {"a", "b", "c"};
    char data[1000];
    memset(data, 'x', sizeof data);
    uint64_t limit = 3 * (HEADER + 1 + sizeof data);
    for (size_t k = 0; k < 3; k++) {
        assert_true(q_store_write(keys[k], data, sizeof data, limit, &note));
        snprintf(names[k], sizeof names[k], "%s", entry_name());
        rename(names[k], keys[k]); /* out of sight of entry_name */
    }
    for (size_t k = 0; k < 3; k++) rename(keys[k], names[k]);
    for (size_t k = 0; k < 3; k++) age(names[k], 300 - 100 * (time_t)k);
    void *used;
    size_t size;
    assert_true(q_store_read("a", &used, &size, &note)); /* now the youngest */
    free(used);
    assert_true(q_store_write("d", data, sizeof data, limit, &note));
    assert_int_equal(count_files(".program"), 3);
    assert_int_not_equal(access(names[1], F_OK), 0);
    assert_false(q_store_write("e", data, sizeof data, sizeof data, &note)); /* never fits */
    assert_int_equal(count_files(".program"), 3);
}

static void what_the_dead_left_is_removed(void **state)
{
    (void)state;
    fclose(fopen("1-0.tmp", "w"));
    fclose(fopen("2-0.tmp", "w"));
    age("1-0.tmp", 7200);
    assert_true(put("key", "abc"));
    assert_int_not_equal(access("1-0.tmp", F_OK), 0);
    assert_int_equal(access("2-0.tmp", F_OK), 0);
}

/* Writers and readers of one key at once: a reader sees one text or the other. */
static int write_and_read(char letter)
{
    char text[5000], other[5000];
    memset(text, letter, sizeof text);
    memset(other, letter == 'a' ? 'b' : 'a', sizeof other);
    for (int round = 0; round < 100; round++) {
        void *data;
        size_t size;
        if (!q_store_write("key", text, sizeof text, Q_STORE_BYTES, &note)) return 1;
        if (!q_store_read("key", &data, &size, &note)) return 2;
        bool whole = size == sizeof text && (!memcmp(data, text, size) || !memcmp(data, other, size));
        free(data);
        if (!whole) return 3;
    }
    return note.data ? 4 : 0;
}

static void two_processes_do_not_disturb_each_other(void **state)
{
    (void)state;
    pid_t child = fork();
    if (!child) _exit(write_and_read('a'));
    int own = write_and_read('b'), result = -1;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(own, 0);
    assert_int_equal(result, 0);
    assert_int_equal(count_files(".tmp"), 0);
}

#define IN_ROOM(test) cmocka_unit_test_setup_teardown(test, enter, leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ROOM(entries_are_read_back),
        IN_ROOM(the_cache_is_looked_at_and_cleared),
        IN_ROOM(damage_is_noticed),
        IN_ROOM(truncated_entries_are_noticed),
        IN_ROOM(keys_are_compared),
        IN_ROOM(files_of_other_kinds_are_refused),
        IN_ROOM(directories_of_no_use_do_no_harm),
        IN_ROOM(a_full_disk_leaves_nothing),
        IN_ROOM(the_oldest_go_first),
        IN_ROOM(what_the_dead_left_is_removed),
        IN_ROOM(two_processes_do_not_disturb_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
