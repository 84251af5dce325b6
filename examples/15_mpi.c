/*
 * 15_mpi.c: one problem on the processes of an MPI job. The density of points on two noisy rings is a sum of Gaussians; how
 * wide they are to be, the likelihood of each point by all others says. Every rank makes its share of the points, and no rank
 * has all of them: the likelihood, a sum of sums, and its derivative by the parameter are the same numbers on all ranks. In the
 * picture each rank has a colour for its band of pixels and for its points, which are everywhere: its pixels meet those of all.
 *
 *     mpirun --bind-to none --oversubscribe -np 4 15_mpi [rings.png]
 */
#include <math.h>
#include <mpi.h>
#include <quern.h>
#include <quern/mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canvas.h"
#include "random.h"

enum { POINTS = 3000, SIDE = 360 /* pixels of the picture */ };
static const double extent = 2.5;
static const char likelihood_formula[] =
    "x=Vi(2); y=Vj(2); s=Pm(1);"
    "F = Mean_i(Log(s*(Sum_j(Exp(-s*SqDist(x,y)))-1)/(3.1415926535*(Sum_j(1)-1)))); F, Grad(F,s,1)";

/* The ranks have equal shares of `count`, one after the other: where that of this one begins. */
static int64_t begin_of(int64_t count, int rank, int size)
{
    return count * rank / size;
}

/* In [0, 1), by number: the same points for any number of ranks. */
static double random_at(uint64_t k)
{
    return (double)(random_bits(k + 1) >> 11) * 0x1p-53;
}

static void make(double *x, int64_t first, int64_t count)
{
    for (int64_t k = 0; k < count; k++) {
        uint64_t number = 3 * (uint64_t)(first + k);
        double turn = 6.283185307179586 * random_at(number), radius = number % 2 ? 1 : 2;
        radius += 0.2 * (random_at(number + 1) + random_at(number + 2) - 1);
        x[2 * k] = radius * cos(turn);
        x[2 * k + 1] = radius * sin(turn);
    }
}

/* Where the derivative by log s is 0, by bisection; s is 1 / (2 sigma^2). */
static quern_status fit(quern_operator *op, const double *x, int64_t count, double *sigma, double *likelihood)
{
    double low = 0, high = 10, slope;
    for (int step = 0; step < 25; step++) {
        double s = exp((low + high) / 2);
        quern_status bad = quern_mpi_run(
            op, NULL, MPI_COMM_WORLD,
            QUERN_ARGS({"x", quern_f64(x, count, 2)}, {"y", quern_f64(x, count, 2)}, {"s", quern_number(s)}),
            QUERN_OUTS(quern_f64(likelihood, 1, 1), quern_f64(&slope, 1, 1)));
        if (bad) return bad;
        if (slope > 0) low = (low + high) / 2;
        else high = (low + high) / 2;
        *sigma = sqrt(0.5 / s);
    }
    return QUERN_OK;
}

/* The density at a rank's lines of pixels; `all` is the whole picture on rank 0. */
static quern_status map(quern_context *ctx, const double *x, int64_t count, double sigma, double *all)
{
    int rank, size, counts[SIDE], begins[SIDE];
    quern_operator *op = NULL;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank), MPI_Comm_size(MPI_COMM_WORLD, &size);
    for (int k = 0; k < size; k++) {
        begins[k] = SIDE * (int)begin_of(SIDE, k, size);
        counts[k] = SIDE * (int)begin_of(SIDE, k + 1, size) - begins[k];
    }
    const int pixels = counts[rank];
    double *at = malloc((size_t)pixels * 3 * sizeof *at + 1), *own = at + 2 * (size_t)pixels;
    if (!at) MPI_Abort(MPI_COMM_WORLD, 1);
    for (int k = 0; k < pixels; k++) {
        int number = begins[rank] + k;
        at[2 * k] = extent * ((2 * (number % SIDE) + 1.0) / SIDE - 1);
        at[2 * k + 1] = extent * (1 - (2 * (number / SIDE) + 1.0) / SIDE);
    }
    quern_status bad = quern_compile(&op, ctx, "x=Vi(2); y=Vj(2); s=Pm(1); Sum_j(Exp(-s*SqDist(x,y)))", NULL);
    if (!bad)
        bad = quern_mpi_run(op, NULL, MPI_COMM_WORLD,
                            QUERN_ARGS({"x", quern_f64(at, pixels, 2)}, {"y", quern_f64(x, count, 2)},
                                       {"s", quern_number(0.5 / sigma / sigma)}),
                            QUERN_OUTS(quern_f64(own, pixels, 1)));
    if (!bad) MPI_Gatherv(own, pixels, MPI_DOUBLE, all, counts, begins, MPI_DOUBLE, 0, MPI_COMM_WORLD);
    quern_operator_destroy(&op);
    free(at);
    return bad;
}

/* Bands of pixels, and the points of each rank, in its colour. */
static int draw(const char *path, const double *density, int size)
{
    const canvas_colour line = {90, 90, 90};
    canvas c;
    double most = 0, x[2];
    int bad = canvas_create(&c, SIDE, SIDE);
    for (int k = 0; k < SIDE * SIDE; k++) most = fmax(most, density[k]);
    for (int k = 0; k < SIDE * SIDE && !bad; k++)
        memset(c.pixels + 3 * k, 255 - (int)(110 * sqrt(density[k] / most)), 3);
    for (int rank = 0; rank < size && !bad; rank++) {
        const double top = (double)begin_of(SIDE, rank, size), bottom = (double)begin_of(SIDE, rank + 1, size);
        for (int64_t k = begin_of(POINTS, rank, size); k < begin_of(POINTS, rank + 1, size); k++) {
            make(x, k, 1);
            canvas_disc(&c, SIDE * (0.5 + x[0] / extent / 2), SIDE * (0.5 - x[1] / extent / 2), 1,
                        canvas_category(rank));
        }
        canvas_line(&c, 4, top + 4, 4, bottom - 4, 8, canvas_category(rank));
        if (rank) canvas_line(&c, 0, top, SIDE, top, 1, line);
    }
    if (!bad) bad = canvas_write(&c, path);
    canvas_free(&c);
    return bad;
}

int main(int argc, char **argv)
{
    int rank, size;
    quern_context *ctx = NULL;
    quern_operator *op = NULL;
    double sigma = 0, likelihood = 0;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank), MPI_Comm_size(MPI_COMM_WORLD, &size);
    int64_t first = begin_of(POINTS, rank, size), count = begin_of(POINTS, rank + 1, size) - first;
    double *x = malloc(2 * (size_t)count * sizeof *x + 1), *density = malloc(sizeof(double[SIDE * SIDE]));
    if (!x || !density || size > SIDE) MPI_Abort(MPI_COMM_WORLD, 1);
    make(x, first, count);

    quern_status bad = quern_mpi_context_create(&ctx, MPI_COMM_WORLD, NULL);
    if (!bad) bad = quern_compile(&op, ctx, likelihood_formula, NULL);
    if (!bad) bad = fit(op, x, count, &sigma, &likelihood);
    if (!bad && argc > 1) bad = map(ctx, x, count, sigma, density);
    if (bad) fprintf(stderr, "rank %d: %s\n", rank, quern_last_error_text());
    else if (!rank) printf("%d points: sigma %.4f, log likelihood %.4f a point\n", POINTS, sigma, likelihood);
    // prints: 3000 points: sigma 0.0488, log likelihood -1.8487 a point
    if (!bad && argc > 1 && !rank && draw(argv[1], density, size)) bad = QUERN_IO;
    quern_operator_destroy(&op);
    quern_context_destroy(&ctx);
    free(x), free(density);
    MPI_Finalize();
    return (int)bad;
}
