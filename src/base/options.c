/*
 * options.c: options of programs that were compiled with another version of the headers.
 *
 * An options struct tells its size and grows at its end, and zero is every member's default. So an older one is completed by
 * zeros, and a newer one is as good as ours if what we do not know of it is zero.
 */
#include <string.h>

#include "base/base.h"

quern_status q_options_copy(void *out, size_t known, const void *options, const char *type)
{
    size_t given;
    if (!options) return QUERN_OK;
    memcpy(&given, options, sizeof given);
    if (given < sizeof given) return q_fail(QUERN_USAGE, "%s.size is %zu; set it to sizeof(%s)", type, given, type);
    for (size_t at = known; at < given; at++)
        if (((const char *)options)[at]) {
            q_fail(QUERN_USAGE, "%s has %zu bytes, of which quern %s knows %zu, and one of the others is not 0", type,
                   given, QUERN_VERSION, known);
            q_fail_next_step("leave members that are newer at 0, or use a newer library");
            return QUERN_USAGE;
        }
    memcpy(out, options, given < known ? given : known);
    return QUERN_OK;
}

void q_report_copy(void *out, const void *report, size_t known)
{
    size_t size;
    memcpy(&size, out, sizeof size);
    if (!size || size > known) size = known;
    memcpy(out, report, size);
    memcpy(out, &size, sizeof size);
}
