/*
 * store.c: what one process leaves for later ones: bytes under a key, a file each, in the cache directory.
 *
 * A driver that is given a damaged program may take the process down with it, so a file is believed only if it is a
 * regular one of this user that nobody else may write to, its lengths add up, the whole key is the one asked for, and
 * the digest of key and data is right. Files are written under another name, flushed and renamed: a reader sees all of
 * an entry or nothing. A file's modification time is that of its last use, by which the oldest are removed.
 *
 * Invariant: nothing here fails. What cannot be read or written is as if it were not there, and the note says why.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "quern/cache.h"

/* A file: this, the key, the data. */
typedef struct header {
    char magic[16];
    uint64_t key_size, size;
    char digest[32]; /* of key and data, in hexadecimal */
} header;

static const char magic[16] = "quern entry 1\n";
static const char suffix[] = ".program", unfinished[] = ".tmp";

enum { NAME_SIZE = 64, STALE_SECONDS = 3600 };

/* Once: a directory that is of no use is so for reading and for writing. */
static void note_add(q_text *note, const char *what, const char *why)
{
    if (note->data && strstr(note->data, what)) return;
    q_text_add(note, "%s%s: %s", note->size ? "; " : "", what, why);
}

static void name_of(const char *key, char name[NAME_SIZE])
{
    char digest[33];
    q_digest_hex(key, strlen(key), digest);
    snprintf(name, NAME_SIZE, "%s%s", digest, suffix);
}

static bool has_ending(const char *name, const char *ending)
{
    size_t size = strlen(name), rest = strlen(ending);
    return size > rest && !strcmp(name + size - rest, ending);
}

/* The directory for close(), or -1. */
static int open_directory(q_text *note)
{
    char path[PATH_MAX];
    const char *fault;
    int directory = q_cache_open(path, sizeof path, &fault);
    if (directory < 0) note_add(note, *path ? path : "cache directory", fault);
    return directory;
}

// ---- reading ----

static bool read_all(int fd, char *data, size_t size)
{
    while (size) {
        ssize_t got = read(fd, data, size);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        data += got;
        size -= (size_t)got;
    }
    return true;
}

/* All bytes of an entry for free(), or null. */
static char *read_file(int fd, size_t *size, const char **fault)
{
    struct stat info;
    *fault = "it cannot be read";
    if (fstat(fd, &info)) return NULL;
    *fault = "it is not a file that only this user can write";
    if (!S_ISREG(info.st_mode) || info.st_uid != geteuid() || info.st_mode & (S_IWGRP | S_IWOTH)) return NULL;
    *fault = "it has a wrong length";
    if (info.st_size < (off_t)sizeof(header) || info.st_size > Q_STORE_BYTES) return NULL;
    *fault = "it cannot be read";
    *size = (size_t)info.st_size;
    char *bytes = malloc(*size);
    if (bytes && read_all(fd, bytes, *size)) return bytes;
    free(bytes);
    return NULL;
}

/* What is wrong with the bytes of an entry, or null. */
static const char *find_fault(const char *bytes, size_t size, const char *key)
{
    header head;
    char digest[33];
    size_t key_size = strlen(key), rest = size - sizeof head;
    memcpy(&head, bytes, sizeof head);
    if (memcmp(head.magic, magic, sizeof magic)) return "it is no entry of this version";
    if (head.key_size > rest || head.size != rest - head.key_size) return "it has a wrong length";
    q_digest_hex(bytes + sizeof head, rest, digest);
    if (memcmp(digest, head.digest, sizeof head.digest)) return "it is damaged";
    if (head.key_size != key_size || memcmp(bytes + sizeof head, key, key_size)) return "it belongs to another key";
    return NULL;
}

/* Fetches from an open entry and marks it as used. */
static const char *fetch(int fd, const char *key, void **data, size_t *size)
{
    const char *fault;
    size_t before = sizeof(header) + strlen(key);
    char *bytes = read_file(fd, size, &fault);
    if (!bytes) return fault;
    fault = find_fault(bytes, *size, key);
    if (fault) {
        free(bytes);
        return fault;
    }
    *size -= before;
    memmove(bytes, bytes + before, *size);
    *data = bytes;
    futimens(fd, NULL);
    return NULL;
}

bool q_store_read(const char *key, void **data, size_t *size, q_text *note)
{
    char name[NAME_SIZE];
    int directory = open_directory(note);
    *data = NULL;
    *size = 0;
    if (directory < 0) return false;
    name_of(key, name);
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    const char *fault = fd >= 0           ? fetch(fd, key, data, size)
                        : errno == ENOENT ? NULL
                        : errno == ELOOP  ? "it is a link"
                                          : "it cannot be opened";
    if (fault) note_add(note, name, fault);
    if (fault) unlinkat(directory, name, 0);
    if (fd >= 0) close(fd);
    close(directory);
    return *data != NULL;
}

void q_store_remove(const char *key)
{
    char name[NAME_SIZE];
    q_text note = {0};
    int directory = open_directory(&note);
    q_text_free(&note);
    if (directory < 0) return;
    name_of(key, name);
    unlinkat(directory, name, 0);
    close(directory);
}

// ---- the directory ----

typedef struct entry {
    char name[NAME_SIZE];
    uint64_t size;
    struct timespec used;
} entry;

typedef struct listing {
    entry *entries;
    size_t count, capacity;
    uint64_t bytes;
} listing;

/* Left behind by a process that died while writing. */
static bool is_stale(const char *name, const struct stat *info)
{
    return has_ending(name, unfinished) && time(NULL) - info->st_mtim.tv_sec > STALE_SECONDS;
}

static void add_entry(listing *list, const char *name, const struct stat *info)
{
    if (!q_grow(&list->entries, &list->capacity, list->count + 1, sizeof *list->entries)) return;
    entry *e = &list->entries[list->count++];
    *e = (entry){.size = (uint64_t)info->st_size, .used = info->st_mtim};
    snprintf(e->name, sizeof e->name, "%s", name);
    list->bytes += e->size;
}

/* All entries; `entries` is for free(). Removes what is stale. */
static listing list_entries(int directory)
{
    listing list = {0};
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* a position of its own */
    DIR *stream = copy < 0 ? NULL : fdopendir(copy);
    if (!stream && copy >= 0) close(copy);
    for (struct dirent *d; stream && (d = readdir(stream));) {
        struct stat info;
        if (strlen(d->d_name) >= NAME_SIZE || fstatat(directory, d->d_name, &info, AT_SYMLINK_NOFOLLOW)) continue;
        if (is_stale(d->d_name, &info)) unlinkat(directory, d->d_name, 0);
        if (has_ending(d->d_name, suffix)) add_entry(&list, d->d_name, &info);
    }
    if (stream) closedir(stream);
    return list;
}

static int compare_use(const void *left, const void *right)
{
    const entry *a = left, *b = right;
    if (a->used.tv_sec != b->used.tv_sec) return a->used.tv_sec < b->used.tv_sec ? -1 : 1;
    return (a->used.tv_nsec > b->used.tv_nsec) - (a->used.tv_nsec < b->used.tv_nsec);
}

static void trim(int directory, uint64_t limit)
{
    listing list = list_entries(directory);
    if (list.bytes > limit) qsort(list.entries, list.count, sizeof *list.entries, compare_use);
    for (size_t e = 0; e < list.count && list.bytes > limit; e++) {
        unlinkat(directory, list.entries[e].name, 0);
        list.bytes -= list.entries[e].size;
    }
    free(list.entries);
}

quern_status quern_cache_look(quern_cache *out)
{
    if (!out) return q_fail_null("quern_cache_look", "out");
    *out = (quern_cache){.limit = Q_STORE_BYTES};
    int directory = q_cache_open(out->path, sizeof out->path, &out->fault);
    if (directory < 0) return QUERN_OK;
    listing list = list_entries(directory);
    out->entries = list.count;
    out->bytes = list.bytes;
    free(list.entries);
    if (faccessat(directory, ".", W_OK | X_OK, 0)) out->fault = "it cannot be written";
    close(directory);
    return QUERN_OK;
}

quern_status quern_cache_clear(void)
{
    char path[PATH_MAX];
    const char *fault;
    int directory = q_cache_open(path, sizeof path, &fault), code = 0;
    if (directory < 0) return q_fail(QUERN_IO, "cannot clear '%s': %s", path, fault);
    listing list = list_entries(directory);
    for (size_t e = 0; e < list.count; e++)
        if (unlinkat(directory, list.entries[e].name, 0) && errno != ENOENT) code = errno;
    free(list.entries);
    close(directory);
    return code ? q_fail_file("clear", path, code) : QUERN_OK;
}

// ---- writing ----

/* A new file for writing, under a name that nobody else has; -1 if there can be none. */
static int create_unfinished(int directory, char name[NAME_SIZE])
{
    for (int n = 0; n < 1000; n++) {
        snprintf(name, NAME_SIZE, "%ld-%d%s", q_process(), n, unfinished);
        int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
    return -1;
}

static bool write_entry(int fd, const char *key, const void *data, size_t size)
{
    header head = {.key_size = strlen(key), .size = size};
    char digest[33];
    q_text body = {0};
    q_text_append(&body, key, strlen(key));
    q_text_append(&body, data, size);
    bool ok = !body.failed;
    memcpy(head.magic, magic, sizeof magic);
    if (ok) q_digest_hex(body.data, body.size, digest);
    if (ok) memcpy(head.digest, digest, sizeof head.digest);
    ok = ok && q_write_all(fd, &head, sizeof head) && q_write_all(fd, body.data, body.size) && !fsync(fd);
    q_text_free(&body);
    return ok;
}

bool q_store_write(const char *key, const void *data, size_t size, uint64_t limit, q_text *note)
{
    char name[NAME_SIZE], temporary[NAME_SIZE];
    if (size + strlen(key) + sizeof(header) > limit) return false;
    int directory = open_directory(note);
    if (directory < 0) return false;
    name_of(key, name);
    int fd = create_unfinished(directory, temporary);
    bool ok = fd >= 0 && write_entry(fd, key, data, size);
    int code = ok ? 0 : errno;
    if (fd >= 0 && close(fd) && ok) ok = false, code = errno;
    if (ok && renameat(directory, temporary, directory, name)) ok = false, code = errno;
    if (fd >= 0 && !ok) unlinkat(directory, temporary, 0);
    if (ok) trim(directory, limit);
    else note_add(note, "an entry cannot be written", strerror(code));
    close(directory);
    return ok;
}
