/*
 * session.c: a peer at work (peers.h has the protocol). A program of its own gets a directory under TMPDIR with its job
 * and data, and talks through two pipes; the directory goes when the session closes.
 */
#include "peers.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <quern/npy.h>

enum { LINE = 4096 };

extern char **environ;

struct bench_session {
    const bench_peer *peer;
    const bench_problem *problem;
    void *result;
    char about[BENCH_REASON];
    char directory[PATH_MAX]; /* "": none */
    pid_t process;            /* 0: none */
    FILE *to, *from;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void path_make(char path[PATH_MAX], const char *directory, const char *name, const char *extension)
{
    snprintf(path, PATH_MAX, "%.*s/%s%s", PATH_MAX - 128, directory, name, extension);
}

/* ---- the directory ---------------------------------------------------------------------------------------------- */

static json_t *job_create(const bench_problem *problem, const char *device)
{
    const char *element = problem->result_type == QUERN_I64 ? "i64" : problem->result_type == QUERN_F64 ? "f64" : "f32";
    json_t *arrays = json_array();
    for (size_t k = 0; k < problem->count; k++) {
        const bench_array *array = &problem->arrays[k];
        json_array_append_new(arrays, json_pack("{s:s, s:I, s:I}", "name", array->what.name, "rows",
                                                (json_int_t)array->rows, "columns", (json_int_t)array->what.dim));
    }
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:i, s:s, s:o}", "case", problem->which->name, "formula",
                     problem->which->formula, "M", (json_int_t)problem->m, "N", (json_int_t)problem->n, "columns",
                     (json_int_t)problem->columns, "element", element, "calls", problem->which->calls, "device", device,
                     "arrays", arrays);
}

/* Makes the directory with the job and the arrays. */
static bool directory_fill(bench_session *session, const char *device)
{
    const char *base = getenv("TMPDIR");
    char path[PATH_MAX];
    path_make(session->directory, base ? base : "/tmp", "quern-bench-XXXXXX", "");
    if (!mkdtemp(session->directory)) return session->directory[0] = 0, false;
    json_t *job = job_create(session->problem, device);
    path_make(path, session->directory, "job", ".json");
    bool ok = job && !json_dump_file(job, path, JSON_INDENT(1));
    json_decref(job);
    for (size_t k = 0; ok && k < session->problem->count; k++) {
        const quern_arg *arg = &session->problem->args[k];
        path_make(path, session->directory, arg->name, ".npy");
        ok = quern_npy_write(path, arg->view) == QUERN_OK;
    }
    return ok;
}

static void directory_remove(const char *directory)
{
    DIR *list = opendir(directory);
    for (struct dirent *entry = list ? readdir(list) : NULL; entry; entry = readdir(list))
        if (entry->d_name[0] != '.') unlinkat(dirfd(list), entry->d_name, 0);
    if (list) closedir(list);
    rmdir(directory);
}

/* ---- the process ------------------------------------------------------------------------------------------------ */

/* Starts words[0] with its stdin and stdout on pipes. */
static bool process_start(bench_session *session, char **words)
{
    int in[2], out[2];
    if (pipe(in)) return false;
    if (pipe(out)) return close(in[0]), close(in[1]), false;
    fcntl(in[1], F_SETFD, FD_CLOEXEC);
    fcntl(out[0], F_SETFD, FD_CLOEXEC);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_addclose(&actions, in[0]);
    posix_spawn_file_actions_addclose(&actions, out[1]);
    const bool ok = posix_spawnp(&session->process, words[0], &actions, NULL, words, environ) == 0;
    posix_spawn_file_actions_destroy(&actions);
    if (!ok) session->process = 0;
    close(in[0]);
    close(out[1]);
    session->to = fdopen(in[1], "w");
    session->from = fdopen(out[0], "r");
    return ok && session->to && session->from;
}

/* The peer's next line; null if there is none or it is no JSON. */
static json_t *answer_read(bench_session *session)
{
    char line[LINE];
    return fgets(line, sizeof line, session->from) ? json_loads(line, 0, NULL) : NULL;
}

static json_t *peer_ask(bench_session *session, const char *what)
{
    if (fprintf(session->to, "%s\n", what) < 0 || fflush(session->to)) return NULL;
    return answer_read(session);
}

/* Its first words. */
static bool greeting_read(bench_session *session, char reason[BENCH_REASON])
{
    json_t *answer = answer_read(session);
    const char *ready = json_string_value(json_object_get(answer, "ready"));
    const char *missing = json_string_value(json_object_get(answer, "missing"));
    if (ready) snprintf(session->about, sizeof session->about, "%s", ready);
    else snprintf(reason, BENCH_REASON, "%s", missing ? missing : "it ended without a word");
    const bool ok = ready != NULL;
    json_decref(answer);
    return ok;
}

static bool program_start(bench_session *session, const char *device, char reason[BENCH_REASON])
{
    const bench_peer *peer = session->peer;
    const char *python = getenv("BENCH_PYTHON");
    const bool script = strstr(peer->program, ".py") != NULL;
    char program[PATH_MAX], mode[32];
    path_make(program, script ? BENCH_PEERS : BENCH_BUILD, peer->program, "");
    snprintf(mode, sizeof mode, "%s", peer->mode);
    char *words[] = {script ? (char *)(python ? python : "python3") : program, program, session->directory, mode, NULL};
    char *plain[] = {program, session->directory, mode, NULL};
    if (access(program, R_OK)) return snprintf(reason, BENCH_REASON, "%s is not built", peer->program), false;
    if (!directory_fill(session, device))
        return snprintf(reason, BENCH_REASON, "its data cannot be written to TMPDIR"), false;
    if (!process_start(session, script ? words : plain))
        return snprintf(reason, BENCH_REASON, "%.200s cannot be started", script ? words[0] : program), false;
    return greeting_read(session, reason);
}

/* ---- sessions --------------------------------------------------------------------------------------------------- */

bench_session *bench_session_open(const bench_peer *peer, const bench_problem *problem, const char *device,
                                  char reason[BENCH_REASON])
{
    bench_session *session = calloc(1, sizeof *session);
    snprintf(reason, BENCH_REASON, "no memory");
    if (!session) return NULL;
    session->peer = peer;
    session->problem = problem;
    snprintf(session->about, sizeof session->about, "%s", peer->about);
    session->result = calloc(1, bench_result_size(problem));
    if (!session->result || (peer->program && !program_start(session, device, reason))) bench_session_close(&session);
    return session;
}

const char *bench_session_about(const bench_session *session)
{
    return session->about;
}

static bool here_run(bench_session *session, double *seconds)
{
    const double start = now();
    const bool ok = session->peer->run(session->problem, session->result);
    *seconds = (now() - start) / session->problem->which->calls;
    return ok;
}

bool bench_session_run(bench_session *session, double *seconds)
{
    if (session->peer->run) return here_run(session, seconds);
    json_t *answer = peer_ask(session, "run");
    *seconds = json_number_value(json_object_get(answer, "seconds"));
    json_decref(answer);
    return *seconds > 0;
}

/* Takes the result that the peer has written into the session's own. */
static bool result_read(bench_session *session)
{
    const bench_problem *problem = session->problem;
    char path[PATH_MAX];
    quern_view view;
    path_make(path, session->directory, "result", ".npy");
    if (quern_npy_read(&view, path)) return false;
    const bool ok = view.dtype == problem->result_type && view.rows == problem->m && view.columns == problem->columns;
    if (ok) memcpy(session->result, view.data, bench_result_size(problem));
    quern_free(view.data);
    return ok;
}

bool bench_session_error(bench_session *session, double *error)
{
    if (session->peer->program) {
        json_t *answer = peer_ask(session, "result"), *own = json_object_get(answer, "error");
        const bool rates = json_is_number(own), ok = rates || (answer && result_read(session));
        *error = json_number_value(own);
        json_decref(answer);
        if (rates || !ok) return ok;
    }
    *error = bench_error(session->problem, session->result);
    return true;
}

void bench_session_close(bench_session **where)
{
    bench_session *session = *where;
    *where = NULL;
    if (!session) return;
    if (session->to) fclose(session->to);
    if (session->from) fclose(session->from);
    if (session->process) waitpid(session->process, NULL, 0);
    if (session->directory[0]) directory_remove(session->directory);
    free(session->result);
    free(session);
}
