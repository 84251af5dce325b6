/*
 * hash.c: digests by XXH3 (libxxhash).
 *
 * They name things (cache entries, interned nodes) and detect damage; they do not resist an adversary. The 128-bit
 * digest is written in the canonical, big-endian order, so the digits are the same on every machine and are those of
 * the command `xxhsum -H2`.
 */
#include <xxhash.h>

#include "base/base.h"

uint64_t q_hash64(const void *data, size_t size)
{
    return XXH3_64bits(data, size);
}

void q_digest_hex(const void *data, size_t size, char out[33])
{
    static const char digits[] = "0123456789abcdef";
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, size));
    for (size_t i = 0; i < sizeof canonical.digest; i++) {
        out[2 * i] = digits[canonical.digest[i] >> 4];
        out[2 * i + 1] = digits[canonical.digest[i] & 15];
    }
    out[32] = 0;
}
