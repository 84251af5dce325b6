/*
 * mpi.h: one run of several processes, on one machine or many, over MPI. A library of its own: pkg-config quern-mpi,
 * or -lquern-mpi -lquern and what mpicc adds.
 *
 *     MPI_Init(&argc, &argv);
 *     quern_mpi_context_create(&ctx, MPI_COMM_WORLD, NULL);           // a device for each rank
 *     quern_compile(&op, ctx, "x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)", NULL);
 *     quern_mpi_run(op, NULL, MPI_COMM_WORLD,                         // m rows and n columns are here, others elsewhere
 *                   QUERN_ARGS({"x", quern_f32(x, m, 3)}, {"y", quern_f32(y, n, 3)}, {"b", quern_f32(b, n, 1)}),
 *                   QUERN_OUTS(quern_f32(a, m, 1)));
 *
 * Rows and columns are spread over the ranks in their order: rank 0 has the first, and any rank any number, 0 too. Parameters are
 * the same on all, and so are results of one row. In each pass of a formula every rank computes its own rows, while the columns
 * go round in a ring: those of the next rank come while the present ones are computed. A sum over all rows, such as a
 * loss or the gradient by a parameter, is a share of each rank, and all merge what the others have. Gradients are formulas, so
 * they run alike.
 *
 * The bits follow from how rows and columns are spread, and the devices, if they are of one kind: quern/parts.h. Every
 * function is collective: all ranks of the communicator call it. If it fails on one rank it fails on all, with the same status and
 * the message of the first rank that failed; none waits for another for ever, unless MPI fails itself (IO) or a process
 * dies, which MPI ends the job for.
 */
#ifndef QUERN_MPI_H
#define QUERN_MPI_H

#include <mpi.h>

#include "quern.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A context on a device of its own for each rank of a machine, as long as there are enough that fit and are of one kind; then
   they share. `options` may be null. The log tells of a CPU of which the rank may not use all cores: Open MPI binds
   ranks to cores unless it is told otherwise. Statuses: those of quern_context_create; USAGE, IO. */
QUERN_API quern_status quern_mpi_context_create(quern_context **out, MPI_Comm comm,
                                                const quern_context_options *options);

/* quern_run_all of all ranks together; a null context is the operator's. All give the same formula, element type and parameters
   (USAGE). Arrays are on the host; batches, and formulas that pick rows of a table (Gather_i, Gather_j), are UNSUPPORTED.
   The own rows and two pieces of columns are in host memory, the rows on the device, too; columns as many as fit there. Kernels
   are launched by a thread beside the calling one, which sends and receives: MPI_THREAD_FUNNELED suffices. The context's progress
   callback is called on that thread; it stops all ranks. Statuses: those of quern_run_all; IO; LIMIT for
   more than 2^31 - 2 rows or columns in all. */
QUERN_API quern_status quern_mpi_run(quern_operator *op, quern_context *context, MPI_Comm comm, quern_args args,
                                     quern_outs results);

#ifdef __cplusplus
}
#endif

#endif
