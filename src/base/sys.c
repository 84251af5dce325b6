/*
 * sys.c: time, environment, files, locks.
 *
 * The cache directory holds what later runs trust, so it is used only if nobody else can have put something there: the
 * directory itself (not a link) belongs to the effective user and neither group nor others may write to it. A directory
 * that was asked for but fails the test is not replaced by another one: no cache is safer than a surprising one. There
 * is no fallback to /tmp.
 *
 * Locks are flock() on a file opened for each call: they exclude threads as well as processes, and the kernel drops
 * them when their holder dies, though not when it is stopped. So a wait has an end, after which work is done without
 * the lock; it is asked for again and again, because flock() itself waits without one.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"

double q_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Asked for at every OpenCL call, so it is kept, and forgotten in a forked child. 0: not known. */
static _Atomic long process;

static void forget_process(void)
{
    process = 0;
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, forget_process);
}

long q_process(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    long known = process;
    if (known) return known;
    pthread_once(&once, watch_forks);
    long own = (long)getpid();
    process = own;
    return own;
}

/* ---- cache directory -------------------------------------------------------------------------------------------- */

bool q_user_path(char *out, size_t size, const char *own, const char *xdg, const char *below_home, const char *name)
{
    const char *wanted = getenv(own), *base = getenv(xdg), *home = getenv("HOME");
    int length = -1;
    if (wanted && *wanted) length = snprintf(out, size, "%s", wanted);
    else if (base && *base == '/') length = snprintf(out, size, "%s/%s", base, name);
    else if (home && *home == '/') length = snprintf(out, size, "%s/%s/%s", home, below_home, name);
    return length > 0 && (size_t)length < size;
}

/* Writes the absolute path that the environment asks for. */
static bool cache_path(char *out, size_t size)
{
    if (!q_user_path(out, size, "QUERN_CACHE_DIR", "XDG_CACHE_HOME", ".cache", "quern")) return false;
    size_t length = strlen(out);
    if (out[0] != '/') return false;
    while (length > 1 && out[length - 1] == '/') out[--length] = 0; /* O_NOFOLLOW would not see a link behind it */
    return true;
}

/* mkdir -p, mode 0700. Failures show when the directory is opened. */
static void make_directories(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(path, 0700);
        *slash = '/';
    }
    mkdir(path, 0700);
}

/* Why a directory that is open must not be trusted, or null. */
static const char *directory_fault(int fd)
{
    struct stat info;
    if (fstat(fd, &info)) return "it cannot be read";
    if (info.st_uid != geteuid()) return "it belongs to another user";
    return info.st_mode & (S_IWGRP | S_IWOTH) ? "others may write to it" : NULL;
}

int q_cache_open(char *path, size_t size, const char **fault)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    *fault = "no absolute path is set";
    if (!cache_path(path, size)) {
        if (size) *path = 0;
        return -1;
    }
    int fd = open(path, flags);
    if (fd < 0) {
        make_directories(path);
        fd = open(path, flags);
    }
    *fault = fd >= 0            ? directory_fault(fd)
             : errno == ENOENT  ? "it does not exist and cannot be made"
             : errno == ENOTDIR ? "it is no directory, or a link to one"
             : errno == ELOOP   ? "it is a link"
                                : "it cannot be opened";
    if (!*fault) return fd;
    if (fd >= 0) close(fd);
    return -1;
}

/* ---- locks ------------------------------------------------------------------------------------------------------ */

static Q_PRINTF(2, 3) void tell(const q_lock_timeout *timeout, const char *fmt, ...)
{
    char line[PATH_MAX + 512];
    if (!timeout->log) return;
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    timeout->log(timeout->log_user, line);
}

static bool wait_for(int fd, const q_lock_timeout *timeout, const char *directory, const char *file)
{
    double notice = timeout->notice > 0 ? timeout->notice : 2, limit = timeout->limit > 0 ? timeout->limit : 120;
    double start = q_seconds();
    bool notified = false;
    for (long ms = 1; flock(fd, LOCK_EX | LOCK_NB); ms = ms < 16 ? 2 * ms : 16) {
        double waited = q_seconds() - start;
        if (errno != EWOULDBLOCK && errno != EINTR) return false;
        if (waited >= limit) {
            tell(timeout, "went on without the lock %s/%s after %.0f s", directory, file, waited);
            return false;
        }
        if (!notified && waited >= notice)
            tell(timeout,
                 "waiting up to %.0f s for the lock %s/%s, which another process or thread holds: if it is stopped, "
                 "let it go on or end it (`fuser` on the file finds it)",
                 limit, directory, file);
        notified = waited >= notice;
        nanosleep(&(struct timespec){0, ms * 1000000}, NULL);
    }
    return true;
}

int q_lock(const char *name, const q_lock_timeout *timeout)
{
    char path[PATH_MAX], file[NAME_MAX];
    const char *fault;
    int length = snprintf(file, sizeof file, "%s.lock", name);
    int directory = length > 0 && (size_t)length < sizeof file ? q_cache_open(path, sizeof path, &fault) : -1;
    if (directory < 0) return -1;
    int fd = openat(directory, file, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    close(directory);
    if (fd < 0) return -1;
    if (wait_for(fd, timeout, path, file)) return fd;
    close(fd);
    return -1;
}

void q_unlock(int lock)
{
    if (lock < 0) return;
    flock(lock, LOCK_UN); /* closing is not enough while a forked child holds a copy of the descriptor */
    close(lock);
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

/* Reads to the end, whatever the kind of file: sizes reported in advance are not to be relied on (pipes, /proc). */
static quern_status read_to_end(FILE *file, const char *path, char **data, size_t *size)
{
    size_t capacity = 0, used = 0, got;
    char *bytes = NULL;
    do {
        if (!q_grow(&bytes, &capacity, used + 4096, 1)) {
            free(bytes);
            return q_fail_memory(used);
        }
        got = fread(bytes + used, 1, capacity - used - 1, file);
        used += got;
    } while (got);
    if (ferror(file)) {
        quern_status status = q_fail_file("read", path, errno);
        free(bytes);
        return status;
    }
    bytes[used] = 0;
    *data = bytes;
    *size = used;
    return QUERN_OK;
}

quern_status q_read_file(const char *path, char **data, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file) return q_fail_file("open", path, errno);
    quern_status status = read_to_end(file, path, data, size);
    fclose(file);
    return status;
}

bool q_write_all(int fd, const void *data, size_t size)
{
    for (const char *from = data; size;) {
        ssize_t put = write(fd, from, size);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return false;
        from += put;
        size -= (size_t)put;
    }
    return true;
}

quern_status q_replace_file(const char *path, const char *data, size_t size)
{
    char part[PATH_MAX];
    int length = snprintf(part, sizeof part, "%s.part-%ld", path, q_process());
    if (length < 0 || (size_t)length >= sizeof part) return q_fail_file("write", path, ENAMETOOLONG);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return q_fail_file("create", part, errno);
    bool written = q_write_all(fd, data, size) && !fsync(fd);
    quern_status status = written ? QUERN_OK : q_fail_file("write", path, errno);
    close(fd);
    if (!status && rename(part, path)) status = q_fail_file("replace", path, errno);
    if (status) unlink(part);
    return status;
}

bool q_make_parent(const char *path)
{
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t size = slash ? (size_t)(slash - path) : 0;
    if (!size || size >= sizeof parent) return !size;
    memcpy(parent, path, size);
    parent[size] = 0;
    make_directories(parent);
    return !access(parent, W_OK | X_OK);
}
