/*
 * data_file.c: see data_file.h.
 */
#include "data_file.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* "" if the place of the running program cannot be told. */
static void beside_program(char *out, size_t size, const char *name)
{
    ssize_t length = readlink("/proc/self/exe", out, size - 1);
    char *slash;

    out[length < 0 ? 0 : length] = 0;
    slash = strrchr(out, '/');
    if (!slash || (size_t)(slash - out) + strlen(name) + 2 > size) out[0] = 0;
    else strcpy(slash + 1, name);
}

const char *data_file(char out[PATH_MAX], const char *name)
{
    char beside[PATH_MAX];

    beside_program(beside, sizeof beside, name);
    strcpy(out, beside);
    if (!access(out, R_OK)) return out;
    snprintf(out, PATH_MAX, "examples/data/%s", name);
    if (!access(out, R_OK)) return out;
    fprintf(stderr, "no %s: there is neither '%s' nor '%s'\n", name, beside, out);
    return NULL;
}
