/*
 * loader.c: which OpenCL loader the process has. Public headers do not tell, but the dynamic linker does.
 */
#define _GNU_SOURCE /* dladdr */
#include <dlfcn.h>

#include "cli.h"

const char *cli_loader_path(void)
{
    Dl_info info;
    void *symbol = dlsym(RTLD_DEFAULT, "clGetPlatformIDs");

    return symbol && dladdr(symbol, &info) && info.dli_fname ? info.dli_fname : "unknown";
}
