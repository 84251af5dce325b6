/*
 * base.h: what every layer stands on: memory, text, hashing, errors, the operating system. No formulas, no OpenCL.
 * The banners follow the files of src/base.
 */
#ifndef QUERN_BASE_H
#define QUERN_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern.h"

#define Q_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define Q_COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* What makes a word the plural that so many need. */
#define Q_S(count) ((count) == 1 ? "" : "s")

/* Runs a fallible call and returns its status from the enclosing function unless it is QUERN_OK. */
#define Q_TRY(call)                              \
    do {                                         \
        quern_status q_try_status_ = (call);     \
        if (q_try_status_) return q_try_status_; \
    } while (0)

// error.c: the per-thread record behind quern_last_error()

/* The only producers of a status other than QUERN_OK. Each replaces this thread's record and returns `status`. The
   text is one or two sentences that name what was given and what was expected. */
quern_status q_fail(quern_status status, const char *fmt, ...) Q_PRINTF(2, 3);
/* The same, pointing at byte `at` of `formula`; the record gets the formula's line and a caret under the byte. */
quern_status q_fail_at(quern_status status, const char *formula, size_t at, const char *fmt, ...) Q_PRINTF(4, 5);
/* USAGE: "FUNCTION: WHAT is null". */
quern_status q_fail_null(const char *function, const char *what);
/* QUERN_MEMORY for a host allocation of `size` bytes. */
quern_status q_fail_memory(size_t size);
/* QUERN_IO: "cannot VERB 'PATH': REASON", where `code` is an errno. */
quern_status q_fail_file(const char *verb, const char *path, int code);
/* Complete the present record: what the user should do; the OpenCL code; the first "error" line of a build log. */
void q_fail_next_step(const char *fmt, ...) Q_PRINTF(1, 2);
void q_fail_cl(int code);
void q_fail_build_log(const char *log);

/* A failure of one thread that another tells in its place, after `where` and a colon unless that is "". */
typedef struct q_failure {
    quern_status status;
    int cl_code;
    char message[2048], build[512], next_step[1024];
} q_failure;
void q_failure_keep(q_failure *out);
quern_status q_failure_tell(const q_failure *failure, const char *where);

// options.c: options of other versions of the headers

/* Copies options, whose first member is their size, over *out, `known` bytes of zeros. Null stands for none. USAGE where
   the size cannot be, or members that are newer than this version are set. */
quern_status q_options_copy(void *out, size_t known, const void *options, const char *type);
/* The other way: a report of `known` bytes, whose first member is its size, into the caller's, which may be older or newer and
   says by its own size, 0 for this version's, how much it takes. */
void q_report_copy(void *out, const void *report, size_t known);

// arena.c: memory that is released all at once

typedef struct q_arena {
    struct q_arena_block *blocks;
} q_arena;

/* Zeroed memory, aligned for any type, released by q_arena_free. Null when memory runs out (no record is made). */
void *q_arena_alloc(q_arena *arena, size_t size);
char *q_arena_strdup(q_arena *arena, const char *text, size_t size);
void q_arena_free(q_arena *arena);

/* Makes room for `need` elements of `size` bytes in *data, at least doubling *capacity; *data is a malloc'ed block or
   null. False when memory runs out or the size overflows; *data is then unchanged. New elements are not initialised. */
bool q_grow(void *data, size_t *capacity, size_t need, size_t size);
/* *out = a * b; false on overflow. */
bool q_mul_size(size_t a, size_t b, size_t *out);

// dtype.c: element types

bool q_dtype_is_known(quern_dtype dtype);
const char *q_dtype_name(quern_dtype dtype); /* "float32" */
size_t q_element_size(quern_dtype dtype);    /* bytes */
/* One element as a double, at any alignment; rounded, cut to a whole number in range, where the type demands it. */
double q_element_read(quern_dtype dtype, const void *at);
void q_element_write(quern_dtype dtype, void *at, double number);

// element.c: types of numbers in files, as NumPy writes them: "<f4", ">i2", "|b1"

/* Whether numbers of this type can be read; bytes of one, and the type of array that they are converted to. */
bool q_element_known(const char *type, size_t *size, quern_dtype *dtype);
/* Whether an array holds them as they are. */
bool q_element_native(const char *type);
/* The type of the elements of an array. */
const char *q_element_type(quern_dtype dtype);
/* Converts rows x columns numbers of a known type, stored row by row or column by column. */
void q_elements_convert(const char *type, bool by_columns, int64_t rows, int64_t columns, const void *in, void *out);

// text.c: growable text with a sticky failure, so that writers need no check per line

typedef struct q_text {
    char *data; /* always ended by a 0 once anything was added; null before */
    size_t size, capacity;
    bool failed; /* memory ran out: the text is incomplete */
} q_text;

void q_text_add(q_text *text, const char *fmt, ...) Q_PRINTF(2, 3);
void q_text_vadd(q_text *text, const char *fmt, va_list args) Q_PRINTF(2, 0);
void q_text_append(q_text *text, const char *data, size_t size);
/* Gives the data away (never null unless failed) and leaves an empty text. */
char *q_text_take(q_text *text);
void q_text_free(q_text *text);
/* Whether `part` occurs in the `size` bytes of text; the case of ASCII letters does not matter. */
bool q_contains(const char *text, size_t size, const char *part);
/* The edit distance of two short names (Levenshtein, at most 63 bytes each are looked at), for "did you mean". */
int q_edit_distance(const char *a, const char *b);

// kd.c: orders of points

/* order[p] becomes the row at place p of the rows x dim points, such that each `size` places from 0 on have points near each
   other: the leaves of a k-d tree, which are split further into runs of `fine` places, in ascending order of their rows. Deterministic. */
quern_status q_kd_order(int64_t *order, const double *points, int64_t rows, int64_t dim, int64_t size, int64_t fine);

// hash.c: XXH3 digests (libxxhash)

uint64_t q_hash64(const void *data, size_t size);
/* Writes 32 hexadecimal digits and a 0 of the 128-bit digest. */
void q_digest_hex(const void *data, size_t size, char out[33]);

enum { Q_KERNEL_NAME = 64 }; /* bytes of a kernel's name, the 0 included */

// random.c: the same numbers in every run

/* The next number of a sequence, which the state is; one from 0 to below 1; one of mean 0 and variance 1. */
uint64_t q_random_next(uint64_t *state);
double q_random_unit(uint64_t *state);
double q_random_normal(uint64_t *state);

// sys.c: time, environment, files, locks

double q_seconds(void); /* monotonic */
/* The process's number: handles remember it to refuse work after fork(). */
long q_process(void);
/* A path of the user's: the variable `own`; else NAME in the directory of the variable `xdg`; else in HOME/BELOW_HOME.
   An empty variable counts as unset, and so does a relative one but for `own`, as the XDG base directory specification
   demands. False if there is none or it is too long. */
bool q_user_path(char *out, size_t size, const char *own, const char *xdg, const char *below_home, const char *name);
/* quern's cache directory, created with mode 0700 if need be, and opened: QUERN_CACHE_DIR, else XDG_CACHE_HOME/quern,
   else HOME/.cache/quern; never /tmp. A descriptor for close(); or, if there is none, it is not this user's or others
   may write to it, -1 with a static text in *fault that ends the sentence "PATH: ...". The path is "" where the
   environment names none. */
int q_cache_open(char *path, size_t size, const char **fault);
/* How long to wait for a lock, and who is told; all zeros for the usual times and nobody. */
typedef struct q_lock_timeout {
    void (*log)(void *user, const char *line); /* null: nobody */
    void *log_user;
    double notice; /* seconds after which a line tells what is waited for; 0: 2 */
    double limit;  /* seconds after which no lock can be had; 0: 120 */
} q_lock_timeout;

/* An exclusive advisory lock on NAME.lock in the cache directory; waits for other processes and threads, but not for
   ever: a holder may have been stopped. Returns a handle for q_unlock, or -1 when no lock can be had (then the caller
   goes on without one). */
int q_lock(const char *name, const q_lock_timeout *timeout);
void q_unlock(int lock);
/* Makes the directories above a file, with mode 0700; false if the nearest cannot be written to. */
bool q_make_parent(const char *path);
/* Writes all of the data, whatever signals come; false with errno otherwise. */
bool q_write_all(int fd, const void *data, size_t size);
/* Writes a file of mode 0600 beside `path`, to the disk, and renames it to `path`: at any time there is the old file or
   the new one. IO. */
quern_status q_replace_file(const char *path, const char *data, size_t size);
/* Reads a whole file as bytes plus a 0; *data for free(). IO, MEMORY. */
quern_status q_read_file(const char *path, char **data, size_t *size);

// store.c: what one process leaves for later ones in the cache directory

enum { Q_STORE_BYTES = 256 << 20 }; /* of all entries together */

/* Fetches what was stored under this key: *data, for free(), holds *size bytes exactly as they were written. False when
   there is nothing that can be trusted; where that is not just because nothing was stored, the reason is added to
   `note` as one line without its end. An entry that is damaged is removed. Thread-safe, as all of these. */
bool q_store_read(const char *key, void **data, size_t *size, q_text *note);
/* Stores `size` bytes in place of what was there, and removes the entries that were not used for longest until all
   have at most `limit` bytes. Readers see the old entry, the new one or none. False, with the reason, when it fails. */
bool q_store_write(const char *key, const void *data, size_t size, uint64_t limit, q_text *note);
void q_store_remove(const char *key);

#endif
