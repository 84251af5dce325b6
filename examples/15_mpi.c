/*
 * 15_mpi.c: one problem on the processes of an MPI job. The density of points on two noisy rings is a sum of Gaussians; how
 * wide they are to be, the likelihood of each point by all others says. Every rank makes its share of the points, and no rank
 * has all of them: the likelihood, a sum of sums, and its derivative by the parameter are the same numbers on all ranks.
 *
 *     mpirun --bind-to none -np 2 ./15_mpi
 */
#include <math.h>
#include <mpi.h>
#include <quern.h>
#include <quern/mpi.h>
#include <stdio.h>
#include <stdlib.h>

#include "random.h"

enum { POINTS = 3000 };

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

int main(int argc, char **argv)
{
    int rank, size;
    quern_context *ctx = NULL;
    quern_operator *op = NULL;
    double sigma = 0, likelihood = 0;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    int64_t first = (int64_t)POINTS * rank / size, count = (int64_t)POINTS * (rank + 1) / size - first;
    double *x = malloc(2 * (size_t)count * sizeof *x + 1);
    if (!x) MPI_Abort(MPI_COMM_WORLD, 1);
    make(x, first, count);

    quern_status bad = quern_mpi_context_create(&ctx, MPI_COMM_WORLD, NULL);
    if (!bad)
        bad = quern_compile(
            &op, ctx,
            "x=Vi(2); y=Vj(2); s=Pm(1);"
            "F = Mean_i(Log(s*(Sum_j(Exp(-s*SqDist(x,y)))-1)/(3.1415926535*(Sum_j(1)-1)))); F, Grad(F,s,1)",
            NULL);
    if (!bad) bad = fit(op, x, count, &sigma, &likelihood);
    if (bad) fprintf(stderr, "rank %d: %s\n", rank, quern_last_error_text());
    else if (!rank) printf("%d points: sigma %.4f, log likelihood %.4f a point\n", POINTS, sigma, likelihood);
    // prints: 3000 points: sigma 0.0488, log likelihood -1.8487 a point
    quern_operator_destroy(&op);
    quern_context_destroy(&ctx);
    free(x);
    MPI_Finalize();
    return (int)bad;
}
