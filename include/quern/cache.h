/*
 * quern/cache.h: what quern keeps on disk, so that a later process need not build what an earlier one has built.
 *
 * The directory is QUERN_CACHE_DIR, else XDG_CACHE_HOME/quern, else HOME/.cache/quern; it is made with mode 0700, and
 * used only if it belongs to the user, is not a link, and others cannot write to it. It holds a lock for builds and,
 * on devices whose driver does not keep compiled programs itself (quern_context_options.cache), compiled programs.
 * Drivers that do have directories of their own, which these functions do not see. quern_prepare fills either.
 */
#ifndef QUERN_CACHE_H
#define QUERN_CACHE_H

#include "quern.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct quern_cache {
    char path[4096];   /* "" if the environment names none */
    const char *fault; /* why the directory is not used, to follow "PATH: "; null if it is */
    uint64_t entries;  /* compiled programs */
    uint64_t bytes;    /* of their files */
    uint64_t limit;    /* bytes above which those that were not used for longest are removed */
} quern_cache;

/* Looks at the cache directory, which is made if need be. A directory that cannot be used is no failure: see `fault`.
   Thread-safe. Status: USAGE. */
QUERN_API quern_status quern_cache_look(quern_cache *out);

/* Removes all compiled programs from quern's directory. Processes that use them go on undisturbed. Thread-safe.
   Status: IO. */
QUERN_API quern_status quern_cache_clear(void);

#ifdef __cplusplus
}
#endif
#endif
