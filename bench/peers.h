/*
 * peers.h: whom quern is measured against. A peer is a row of the table in peers.c: who it is, which cases it runs, and
 * either a function of this program or a program of its own, which is run beside quern in the same session. Such a
 * program gets the case's data as files and is asked for one timed repetition at a time, so that the two alternate; its
 * result comes back as a file and is checked like quern's. The protocol:
 *
 *   PROGRAM DIR MODE     DIR/job.json: {"case", "formula", "M", "N", "columns", "element": "f32"|"f64"|"i64" of the
 *                        result, "calls": per repetition, "device": "0:0", "arrays": [{"name", "rows", "columns"}]};
 *                        DIR/NAME.npy: the arrays. It prints one line of JSON for each thing asked:
 *   (at the start)       {"ready": "who, which version, how many threads"} or {"missing": "why it cannot run"}
 *   run                  {"seconds": S}, the mean over the calls
 *   result               {"done": true}, DIR/result.npy written; {"error": E} from a peer that only gives a rate
 *   (end of input)       it ends
 */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include "cases.h"

enum { BENCH_PEER_CASES = 16, BENCH_REASON = 256 };

typedef struct bench_peer {
    const char *name, *about;
    const char *cases[BENCH_PEER_CASES]; /* null-terminated */
    double tolerance;                    /* its error must not exceed it, or the case's where that is larger */
    bool (*run)(const bench_problem *problem,
                void *result);  /* all calls of a repetition, in this process; false: it could not. Or: */
    const char *program, *mode; /* a script of bench/peers, if it ends in .py, or a program of the build's bench/ */
} bench_peer;

extern const bench_peer bench_peers[];
extern const size_t bench_peer_count;

/* The peer of that name (null: any that runs in this process) for the case. Null if there is none. */
const bench_peer *bench_peer_find(const char *name, const char *on);
/* Whether any peer has the name. */
bool bench_peer_known(const char *name);

/* A peer at work on one problem. */
typedef struct bench_session bench_session;

/* Starts a peer. Null: it is missing or failed, for the reason written to `reason`. `device` is quern's selector. */
bench_session *bench_session_open(const bench_peer *peer, const bench_problem *problem, const char *device,
                                  char reason[BENCH_REASON]);
/* What it says of itself. Borrowed. */
const char *bench_session_about(const bench_session *session);
/* One repetition: seconds per call. False: it failed. */
bool bench_session_run(bench_session *session, double *seconds);
/* The error of its latest result. False: it failed. */
bool bench_session_error(bench_session *session, double *error);
void bench_session_close(bench_session **session);

#endif
