/*
 * ranks.c: the case `mpi`: the Gaussian sum by two processes of quern-bench-mpi, which mpirun starts with the first call and which end
 * with this one. Arrays and result are in a file that all of them map; a byte to rank 0 asks for a run, one from it says that
 * it is done. Its peer `one` is the same sum in this process.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cases.h"

extern char **environ;

/* Of the ranks, once they are there. */
static int to = -1, from = -1;
static float *shared; /* x, y, b, result */

static bool fail(const char *what, const char *why)
{
    return fprintf(stderr, "quern-bench: mpi: %s%s\n", what, why), false;
}

/* A file of so many bytes, mapped. */
static bool share(char *path, size_t size, size_t bytes)
{
    const char *base = getenv("TMPDIR");
    snprintf(path, size, "%s/quern-bench-ranks-XXXXXX", base ? base : "/tmp");
    const int file = mkstemp(path);
    if (file < 0 || ftruncate(file, (off_t)bytes)) return fail(path, ": cannot be written");
    void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    shared = map == MAP_FAILED ? NULL : map;
    return shared != NULL;
}

static void fill(const bench_problem *problem)
{
    static const char *const names[] = {"x", "y", "b"};
    float *at = shared;
    for (int k = 0; k < 3; k++) {
        const bench_array *array = bench_array_find(problem, names[k]);
        const size_t count = (size_t)(array->rows * array->what.dim);
        memcpy(at, array->data, count * sizeof *at);
        at += count;
    }
}

static bool start(char **words)
{
    int in[2], out[2];
    pid_t process;
    posix_spawn_file_actions_t actions;
    if (pipe(in) || pipe(out)) return fail("no pipes", "");
    fcntl(in[1], F_SETFD, FD_CLOEXEC), fcntl(out[0], F_SETFD, FD_CLOEXEC);
    setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 0), setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0), posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_addclose(&actions, in[0]), posix_spawn_file_actions_addclose(&actions, out[1]);
    const int code = posix_spawnp(&process, words[0], &actions, NULL, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]), close(out[1]);
    to = in[1], from = out[0];
    return !code || fail("mpirun is not to be had (Debian: openmpi-bin): ", strerror(code));
}

static bool ask(void)
{
    char answer = 0;
    return write(to, "r", 1) == 1 && read(from, &answer, 1) == 1 && answer == 'd';
}

static bool open_ranks(const bench_problem *problem)
{
    static char program[] = BENCH_BUILD "/quern-bench-mpi";
    char path[4096];
    char *words[] = {"mpirun", "--bind-to", "none", "-np", "2", program, "--serve", path, NULL};
    const size_t bytes = (size_t)problem->m * 8 * sizeof *shared;
    if (access(program, X_OK))
        return fail("there is no quern-bench-mpi, since quern was built without MPI (Debian: libopenmpi-dev)", "");
    if (!share(path, sizeof path, bytes)) return false;
    fill(problem);
    const bool ok = start(words) && (ask() || fail("the processes have failed", ""));
    unlink(path); /* they have mapped it */
    return ok;
}

quern_status bench_call_mpi(quern_context *context, const bench_problem *problem, void *result)
{
    (void)context;
    if (!shared && !open_ranks(problem)) return QUERN_UNSUPPORTED;
    if (!ask()) return QUERN_DEVICE;
    memcpy(result, shared + 7 * problem->m, bench_result_size(problem));
    return QUERN_OK;
}
