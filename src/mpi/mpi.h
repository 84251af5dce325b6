/*
 * mpi.h: what the files of libquern-mpi share, which stands on quern's public headers alone. The banners follow the files.
 */
#ifndef QUERN_MPI_PRIVATE_H
#define QUERN_MPI_PRIVATE_H

#include "quern/mpi.h"

#define Q_TRY(call)                              \
    do {                                         \
        quern_status q_try_status_ = (call);     \
        if (q_try_status_) return q_try_status_; \
    } while (0)

// agree.c: messages that are waited for, and failures that all ranks tell

/* A communicator of quern's own, with the ranks of the user's. */
typedef struct q_ranks {
    MPI_Comm comm;
    int rank, size;
} q_ranks;

/* A failure in a form that can be sent. */
typedef struct q_sent_failure {
    quern_status status;
    int cl_code;
    char message[2048], build[512], next_step[1024];
} q_sent_failure;

/* `function` is for messages. USAGE where MPI is not running. */
quern_status q_ranks_open(q_ranks *out, MPI_Comm comm, const char *function);
void q_ranks_close(q_ranks *ranks);
quern_status q_fail_with(quern_status status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The thread's last failure, and the same as another thread's; `where` and a colon come before its message unless it is "". */
void q_failure_pack(q_sent_failure *out);
quern_status q_failure_unpack(const q_sent_failure *failure, const char *where);
/* IO unless the code of an MPI function is MPI_SUCCESS. */
quern_status q_mpi_check(int code, const char *function);
/* Waits without keeping a core busy, so that whoever computes has it. */
quern_status q_mpi_wait(MPI_Request *requests, int count);
/* The same status on all ranks: QUERN_OK if all have it, else the failure of the first rank that has one. */
quern_status q_agree(const q_ranks *ranks, quern_status status);

#endif
