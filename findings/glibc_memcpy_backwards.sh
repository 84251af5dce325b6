#!/bin/sh
# glibc 2.36 (Debian 12, x86-64): memcpy of much memory goes backwards where both sides begin at about the same place of a page.
#
# A large file that is mapped is then read from its end on, page by page: each is waited for by itself, since read-ahead goes forwards. A
# file of 28 GB, more than the memory, came at 28 MB/s, and at 380 once its pages were touched in order before the copy;
# madvise(MADV_SEQUENTIAL) does not help. Other places in the page go forwards. On other processors: 77.
#
#     memcpy of 64 MiB reads pages backwards, 2048 bytes apart forwards; of 1 MiB forwards, 2048 bytes apart forwards
[ "$(uname -m)" = x86_64 ] && command -v cc > /dev/null || { echo "a C compiler on x86-64 is needed"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/order.c" <<'C'
#define _GNU_SOURCE
#include <gnu/libc-version.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, SEEN = 8 };
static char *from;
static size_t order[SEEN], count;

/* Remembers the first pages that are read, in order, and lets them be read. */
static void touched(int number, siginfo_t *info, void *context)
{
    size_t page = (size_t)((char *)info->si_addr - from) / PAGE;
    (void)number, (void)context;
    if (count < SEEN) order[count++] = page;
    mprotect(from + page * PAGE, PAGE, PROT_READ);
}

static const char *direction(size_t size, size_t apart)
{
    char *to = mmap(NULL, size + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    from = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (to == MAP_FAILED || from == MAP_FAILED) exit(77);
    memset(from, 1, size), memset(to, 0, size + PAGE);
    mprotect(from, size, PROT_NONE);
    count = 0;
    memcpy(to + apart, from, size - PAGE);
    munmap(from, size), munmap(to, size + PAGE);
    return order[SEEN - 1] < order[SEEN - 2] ? "backwards" : "forwards"; /* the first and the last page come early in both */
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = touched, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    fprintf(stderr, "glibc %s\n", gnu_get_libc_version());
    printf("memcpy of 64 MiB reads pages %s, ", direction(64 << 20, 0));
    printf("2048 bytes apart %s; ", direction(64 << 20, 2048));
    printf("of 1 MiB %s, ", direction(1 << 20, 0));
    printf("2048 bytes apart %s\n", direction(1 << 20, 2048));
    return 0;
}
C
cc -O1 -fno-builtin -o "$work/order" "$work/order.c" || exit 77
got=$("$work/order") || exit 77
echo "$got"
[ "$got" = 'memcpy of 64 MiB reads pages backwards, 2048 bytes apart forwards; of 1 MiB forwards, 2048 bytes apart forwards' ]
