/*
 * mpi.c: what several processes make of one run: the Gaussian sum of 3-D points by all ranks, beside rank 0 alone with the
 * cores of all, in turn. On one machine:
 *
 *     mpirun --bind-to none -np 2 build/bench/quern-bench-mpi [POINTS [REPEATS]]
 *     mpirun --bind-to none -np 2 build/bench/quern-bench-mpi --serve FILE
 *
 * The second is how quern-bench runs its case `mpi`: float32 arrays x, y, b and the result are in a file, a byte of stdin asks for a
 * run, and one on stdout says that it is done ('d') or has failed.
 *
 * The last line is that of quern-bench: how many times as long the peer takes, in the median. Where other programs want the
 * cores it means little; the line before is the same ratio of the time of cores that both take.
 */
#include <fcntl.h>
#include <mpi.h>
#include <quern.h>
#include <quern/mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 101 };

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Without keeping a core busy. */
static void wait_for(MPI_Request request)
{
    int done = 0;
    while (MPI_Test(&request, &done, MPI_STATUS_IGNORE), !done) nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

/* Until all are here. */
static void wait_for_all(void)
{
    MPI_Request request;
    MPI_Ibarrier(MPI_COMM_WORLD, &request);
    wait_for(request);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *times, int count)
{
    qsort(times, (size_t)count, sizeof *times, ascending);
    return times[count / 2];
}

static quern_args args_of(const float *x, const float *y, const float *b, int64_t first, int64_t count)
{
    static quern_arg list[3];
    list[0] = (quern_arg){"x", quern_f32(x + 3 * first, count, 3)};
    list[1] = (quern_arg){"y", quern_f32(y + 3 * first, count, 3)};
    list[2] = (quern_arg){"b", quern_f32(b + first, count, 1)};
    return (quern_args){list, 3, 0, 0};
}

/* What a part of the program takes: on the clock, and of the cores of all ranks. */
typedef struct taken {
    double times[MOST], cores;
} taken;

static double core_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static quern_status measure(quern_operator *op, int64_t points, int repeats, taken *all, taken *one)
{
    int rank, size;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    int64_t first = points * rank / size, count = points * (rank + 1) / size - first;
    float *x = malloc((size_t)points * 5 * sizeof *x), *b = x + 3 * points, *a = b + points;
    quern_status bad = QUERN_OK;
    if (!x) MPI_Abort(MPI_COMM_WORLD, 1);
    for (int64_t k = 0; k < 4 * points; k++) x[k] = (float)((uint64_t)k * 2654435761u % 65536) / 65536;
    for (int n = -1; n < repeats && !bad; n++) { /* the first builds */
        wait_for_all();
        double start = seconds(), cores = core_seconds();
        bad =
            quern_mpi_run(op, NULL, MPI_COMM_WORLD, args_of(x, x, b, first, count), QUERN_OUTS(quern_f32(a, count, 1)));
        if (n >= 0) all->times[n] = seconds() - start, all->cores += core_seconds() - cores;
        wait_for_all();
        start = seconds(), cores = core_seconds();
        if (!bad && !rank) bad = quern_run(op, args_of(x, x, b, 0, points), quern_f32(a, points, 1));
        if (n >= 0) one->times[n] = seconds() - start, one->cores += core_seconds() - cores;
    }
    double sum;
    MPI_Reduce(&all->cores, &sum, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
    all->cores = sum;
    free(x);
    return bad;
}

// ---- runs for quern-bench ----

static float *map_file(const char *path, int64_t *points)
{
    struct stat info;
    int file = open(path, O_RDWR);
    void *map = file < 0 || fstat(file, &info)
                    ? MAP_FAILED
                    : mmap(NULL, (size_t)info.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file >= 0) close(file);
    if (map == MAP_FAILED) return NULL;
    *points = info.st_size / (int64_t)(8 * sizeof(float));
    return map;
}

/* Whether rank 0 was asked for another run; all learn it. */
static bool is_asked(int rank)
{
    MPI_Request request;
    char byte;
    int asked = !rank && read(STDIN_FILENO, &byte, 1) == 1;
    MPI_Ibcast(&asked, 1, MPI_INT, 0, MPI_COMM_WORLD, &request);
    wait_for(request);
    return asked;
}

static quern_status serve(quern_operator *op, const char *path)
{
    int rank, size;
    int64_t points = 0;
    float *x = map_file(path, &points);
    quern_status bad = QUERN_OK;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (!x) MPI_Abort(MPI_COMM_WORLD, 1);
    int64_t first = points * rank / size, count = points * (rank + 1) / size - first;
    while (!bad && is_asked(rank)) {
        bad = quern_mpi_run(op, NULL, MPI_COMM_WORLD, args_of(x, x + 3 * points, x + 6 * points, first, count),
                            QUERN_OUTS(quern_f32(x + 7 * points + first, count, 1)));
        wait_for_all();
        if (!rank && write(STDOUT_FILENO, bad ? "f" : "d", 1) != 1) break;
    }
    return bad;
}

// ---- beside one process ----

static void tell(taken *all, taken *one, int size, int repeats)
{
    double mine = median(all->times, repeats), its = median(one->times, repeats);
    printf("%d ranks     %8.1f ms, %8.1f ms of cores\n", size, 1e3 * mine, 1e3 * all->cores / repeats);
    printf("one process %8.1f ms, %8.1f ms of cores\n", 1e3 * its, 1e3 * one->cores / repeats);
    printf("of cores %.2f\npeer/quern %.2f\n", one->cores / all->cores, its / mine);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    bool serves = argc > 2 && !strcmp(argv[1], "--serve");
    int rank, size, repeats = argc > 2 ? atoi(argv[2]) : 11;
    int64_t points = argc > 1 ? atoll(argv[1]) : 80000;
    taken all = {.cores = 0}, one = {.cores = 0};
    quern_context *context = NULL;
    quern_operator *op = NULL;
    if (repeats < 1 || repeats > MOST) repeats = 11;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    quern_status bad = quern_mpi_context_create(&context, MPI_COMM_WORLD, NULL);
    if (!bad) bad = quern_compile(&op, context, "x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)", NULL);
    if (!bad) bad = serves ? serve(op, argv[2]) : measure(op, points, repeats, &all, &one);
    if (bad) fprintf(stderr, "rank %d: %s\n", rank, quern_last_error_text());
    else if (!rank && !serves) tell(&all, &one, size, repeats);
    quern_operator_destroy(&op);
    quern_context_destroy(&context);
    MPI_Finalize();
    return (int)bad;
}
