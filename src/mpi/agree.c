/*
 * agree.c: how ranks wait for each other, and how a failure of one becomes that of all.
 *
 * Invariant: between two agreements every rank sends and receives the same messages, whether it has failed or not.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "mpi/mpi.h"

quern_status q_fail_with(quern_status status, const char *fmt, ...)
{
    char message[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    return quern_error_set(&(quern_error){.status = status, .message = message});
}

void q_failure_pack(q_sent_failure *out)
{
    const quern_error *error = quern_last_error();
    memset(out, 0, sizeof *out);
    out->status = error->status;
    out->cl_code = error->cl_code;
    snprintf(out->message, sizeof out->message, "%s", error->message);
    snprintf(out->build, sizeof out->build, "%s", error->build);
    snprintf(out->next_step, sizeof out->next_step, "%s", error->next_step);
}

quern_status q_failure_unpack(const q_sent_failure *failure, const char *where)
{
    char message[sizeof failure->message + 64];
    snprintf(message, sizeof message, "%s%s%s", where, *where ? ": " : "", failure->message);
    return quern_error_set(&(quern_error){.status = failure->status,
                                          .message = message,
                                          .cl_code = failure->cl_code,
                                          .build = failure->build,
                                          .next_step = failure->next_step});
}

quern_status q_mpi_check(int code, const char *function)
{
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    if (code == MPI_SUCCESS) return QUERN_OK;
    if (MPI_Error_string(code, text, &length)) length = 0;
    return q_fail_with(QUERN_IO, "%s failed: %.*s", function, length, text);
}

quern_status q_mpi_wait(MPI_Request *requests, int count)
{
    struct timespec nap = {.tv_nsec = 10000};
    for (int done = 0; !done;) {
        Q_TRY(q_mpi_check(MPI_Testall(count, requests, &done, MPI_STATUSES_IGNORE), "MPI_Testall"));
        if (done) break;
        nanosleep(&nap, NULL);
        if (nap.tv_nsec < 1000000) nap.tv_nsec *= 2;
    }
    return QUERN_OK;
}

quern_status q_ranks_open(q_ranks *out, MPI_Comm comm, const char *function)
{
    int initialized = 0, finalized = 0;
    *out = (q_ranks){.comm = MPI_COMM_NULL};
    MPI_Initialized(&initialized);
    MPI_Finalized(&finalized);
    if (!initialized || finalized)
        return q_fail_with(QUERN_USAGE, "%s: MPI is not running: it is called between MPI_Init and MPI_Finalize",
                           function);
    if (comm == MPI_COMM_NULL) return q_fail_with(QUERN_USAGE, "%s: the communicator is MPI_COMM_NULL", function);
    Q_TRY(q_mpi_check(MPI_Comm_dup(comm, &out->comm), "MPI_Comm_dup"));
    MPI_Comm_set_errhandler(out->comm, MPI_ERRORS_RETURN);
    MPI_Comm_rank(out->comm, &out->rank);
    MPI_Comm_size(out->comm, &out->size);
    return QUERN_OK;
}

void q_ranks_close(q_ranks *ranks)
{
    if (ranks->comm != MPI_COMM_NULL) MPI_Comm_free(&ranks->comm);
}

quern_status q_agree(const q_ranks *ranks, quern_status status)
{
    q_sent_failure failure;
    MPI_Request request;
    int own = status ? ranks->rank : ranks->size, first = ranks->size;
    q_failure_pack(&failure);
    Q_TRY(q_mpi_check(MPI_Iallreduce(&own, &first, 1, MPI_INT, MPI_MIN, ranks->comm, &request), "MPI_Iallreduce"));
    Q_TRY(q_mpi_wait(&request, 1));
    if (first == ranks->size) return QUERN_OK;
    Q_TRY(q_mpi_check(MPI_Ibcast(&failure, sizeof failure, MPI_BYTE, first, ranks->comm, &request), "MPI_Ibcast"));
    Q_TRY(q_mpi_wait(&request, 1));
    char where[64] = "";
    if (ranks->size > 1) snprintf(where, sizeof where, "rank %d of %d", first, ranks->size);
    return q_failure_unpack(&failure, where);
}
