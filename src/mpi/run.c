/*
 * run.c: quern_mpi_run: the passes of a run in parts (quern/parts.h), whose columns go round in a ring: each rank computes with the
 * piece that it has, while it sends it to the rank before and receives that of the rank behind. Where a pass has one row, ranks
 * compute with their own columns and exchange states.
 *
 * A thread computes, the calling one sends and receives; so messages that MPI moves only while it is called (as most
 * implementations do) move meanwhile.
 */
#include <pthread.h>
#include <stdlib.h>

#include "mpi/mpi.h"
#include "quern/parts.h"

enum { PAGE = 4096 }; /* bytes of an element of messages: counts are ints */

typedef struct run {
    q_ranks ranks;
    quern_parts *parts;
    char *data[2]; /* pieces: the present and the next */
    MPI_Datatype page;
} run;

// ---- a ring ----

/* What the thread does, and what came of it. */
typedef struct job {
    quern_parts *parts;
    size_t piece;
    const char *data;
    quern_status status;
    q_sent_failure failure;
} job;

static void *take(void *user)
{
    job *j = user;
    j->status = quern_parts_take(j->parts, j->piece, j->data);
    if (j->status) q_failure_pack(&j->failure);
    return NULL;
}

static size_t pages_of(const run *r, size_t piece)
{
    return (quern_parts_bytes(r->parts, piece) + PAGE - 1) / PAGE;
}

/* The present piece to the rank before, the next from the rank behind. */
static quern_status pass_on(const run *r, size_t piece, size_t next, int turn)
{
    MPI_Request requests[2];
    int size = r->ranks.size, before = (r->ranks.rank + size - 1) % size, behind = (r->ranks.rank + 1) % size;
    Q_TRY(q_mpi_check(MPI_Irecv(r->data[!turn], (int)pages_of(r, next), r->page, behind, 0, r->ranks.comm, requests),
                      "MPI_Irecv"));
    Q_TRY(
        q_mpi_check(MPI_Isend(r->data[turn], (int)pages_of(r, piece), r->page, before, 0, r->ranks.comm, requests + 1),
                    "MPI_Isend"));
    return q_mpi_wait(requests, 2);
}

/* Computes with the present piece while the next one comes. */
static quern_status ring_step(const run *r, int step)
{
    int size = r->ranks.size, turn = step % 2;
    size_t piece = (size_t)((r->ranks.rank + step) % size), next = (size_t)((r->ranks.rank + step + 1) % size);
    job j = {.parts = r->parts, .piece = piece, .data = r->data[turn]};
    pthread_t thread;
    bool beside = step + 1 < size && !pthread_create(&thread, NULL, take, &j);
    if (!beside) take(&j);
    quern_status sent = step + 1 < size ? pass_on(r, piece, next, turn) : QUERN_OK;
    if (beside) pthread_join(thread, NULL);
    if (sent) return sent;
    return q_agree(&r->ranks, j.status ? q_failure_unpack(&j.failure, "") : QUERN_OK);
}

/* Buffers for the longest piece; LIMIT where it has more elements than a message. */
static quern_status make_buffers(run *r, int buffers)
{
    size_t pages = 1;
    for (int k = 0; k < r->ranks.size; k++)
        if (pages_of(r, (size_t)k) > pages) pages = pages_of(r, (size_t)k);
    if (pages > INT32_MAX)
        return q_fail_with(QUERN_LIMIT, "a rank has %zu pages of %d bytes of columns, %d at most can be sent", pages,
                           PAGE, INT32_MAX);
    for (int k = 0; k < buffers; k++) {
        r->data[k] = calloc(pages, PAGE);
        if (!r->data[k])
            return q_fail_with(QUERN_MEMORY, "out of host memory: %zu bytes of columns could not be allocated",
                               pages * PAGE);
    }
    return quern_parts_pack(r->parts, r->data[0]);
}

static quern_status run_ring(run *r)
{
    Q_TRY(q_agree(&r->ranks, make_buffers(r, r->ranks.size > 1 ? 2 : 1)));
    for (int step = 0; step < r->ranks.size; step++) Q_TRY(ring_step(r, step));
    return QUERN_OK;
}

// ---- one row ----

/* Room for the states of all ranks, one after the other, and where each begins. */
typedef struct states {
    char *data;
    int *bytes, *first;
} states;

static quern_status make_states(const run *r, states *s)
{
    size_t count = (size_t)r->ranks.size, sum = 0;
    s->bytes = calloc(count, sizeof *s->bytes);
    s->first = calloc(count, sizeof *s->first);
    for (size_t k = 0; k < count && s->bytes && s->first; k++) {
        s->first[k] = (int)sum;
        s->bytes[k] = (int)quern_parts_state_bytes(r->parts, k);
        sum += quern_parts_state_bytes(r->parts, k);
    }
    if (sum > INT32_MAX)
        return q_fail_with(QUERN_LIMIT, "the states of one row take %zu bytes, %d at most can be sent", sum, INT32_MAX);
    s->data = malloc(sum + 1);
    if (!s->bytes || !s->first || !s->data)
        return q_fail_with(QUERN_MEMORY, "out of host memory: %zu bytes of states could not be allocated", sum);
    return quern_parts_states(r->parts, (size_t)r->ranks.rank, s->data + s->first[r->ranks.rank]);
}

static quern_status exchange(const run *r, const states *s)
{
    MPI_Request request;
    Q_TRY(q_mpi_check(
        MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_BYTE, s->data, s->bytes, s->first, MPI_BYTE, r->ranks.comm, &request),
        "MPI_Iallgatherv"));
    Q_TRY(q_mpi_wait(&request, 1));
    quern_status status = QUERN_OK;
    for (int k = 0; k < r->ranks.size && !status; k++)
        if (k != r->ranks.rank) status = quern_parts_give(r->parts, (size_t)k, s->data + s->first[k]);
    return q_agree(&r->ranks, status);
}

static quern_status run_share(run *r)
{
    states s = {0};
    quern_status status = make_buffers(r, 1);
    if (!status) status = quern_parts_take(r->parts, (size_t)r->ranks.rank, r->data[0]);
    if (!status) status = make_states(r, &s);
    status = q_agree(&r->ranks, status);
    if (!status) status = exchange(r, &s);
    free(s.data);
    free(s.bytes);
    free(s.first);
    return status;
}

// ---- all ----

static quern_status run_pass(run *r)
{
    Q_TRY(q_agree(&r->ranks, quern_parts_begin(r->parts)));
    quern_pass pass = quern_parts_pass(r->parts);
    quern_status status = !pass.columns ? QUERN_OK : pass.rows == 'p' ? run_share(r) : run_ring(r);
    for (int k = 0; k < 2; k++) {
        free(r->data[k]);
        r->data[k] = NULL;
    }
    return status ? status : q_agree(&r->ranks, quern_parts_end(r->parts));
}

/* Learns where the rows of all ranks are. */
static quern_status place(run *r)
{
    size_t count = (size_t)r->ranks.size;
    int64_t own[2] = {quern_parts_size(r->parts, 'i'), quern_parts_size(r->parts, 'j')};
    int64_t *all = calloc(4 * (count + 1), sizeof *all);
    quern_status status = q_agree(
        &r->ranks, all ? QUERN_OK : q_fail_with(QUERN_MEMORY, "out of host memory for the sizes of %zu ranks", count));
    if (status) {
        free(all);
        return status;
    }
    int64_t *cuts_i = all + 2 * count, *cuts_j = cuts_i + count + 1;
    status = q_mpi_check(MPI_Allgather(own, 2, MPI_INT64_T, all, 2, MPI_INT64_T, r->ranks.comm), "MPI_Allgather");
    for (size_t k = 0; k < count; k++) {
        cuts_i[k + 1] = cuts_i[k] + all[2 * k];
        cuts_j[k + 1] = cuts_j[k] + all[2 * k + 1];
    }
    if (!status) status = quern_parts_place(r->parts, count, (size_t)r->ranks.rank, cuts_i, cuts_j);
    free(all);
    return q_agree(&r->ranks, status);
}

/* USAGE on all ranks unless they give the same formula, type and parameters. */
static quern_status compare(const run *r)
{
    uint64_t own = quern_parts_digest(r->parts), first = own;
    Q_TRY(q_mpi_check(MPI_Bcast(&first, 1, MPI_UINT64_T, 0, r->ranks.comm), "MPI_Bcast"));
    return q_agree(&r->ranks, own == first
                                  ? QUERN_OK
                                  : q_fail_with(QUERN_USAGE,
                                                "the formula, element type, parameters or version of quern differ from "
                                                "those of rank 0"));
}

static quern_status run_ranks(run *r, quern_operator *op, quern_context *context, quern_args args, quern_outs results)
{
    Q_TRY(q_agree(&r->ranks, quern_parts_create(&r->parts, op, context, args, results)));
    Q_TRY(place(r));
    Q_TRY(compare(r));
    for (size_t pass = 0; pass < quern_parts_passes(r->parts); pass++) Q_TRY(run_pass(r));
    return QUERN_OK;
}

quern_status quern_mpi_run(quern_operator *op, quern_context *context, MPI_Comm comm, quern_args args,
                           quern_outs results)
{
    run r = {.parts = NULL};
    quern_status status = q_ranks_open(&r.ranks, comm, "quern_mpi_run");
    if (status) return status;
    MPI_Type_contiguous(PAGE, MPI_BYTE, &r.page);
    MPI_Type_commit(&r.page);
    status = run_ranks(&r, op, context, args, results);
    quern_parts_destroy(&r.parts);
    MPI_Type_free(&r.page);
    q_ranks_close(&r.ranks);
    return status;
}
