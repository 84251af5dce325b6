/*
 * peers.c: the table of peers. A new peer is a new row, and a function here or a program in peers/.
 */
#include "peers.h"

#include <string.h>

#include <quern/array.h>

#include "limit.h"

static bool limit_run(const bench_problem *problem, void *result)
{
    const float *x = bench_array_find(problem, "x")->data, *y = bench_array_find(problem, "y")->data;
    bool ok = true;
    for (int k = 0; k < problem->which->calls && ok; k++)
        ok = limit_gaussian(result, x, y, bench_array_find(problem, "b")->data, problem->m, problem->n);
    return ok;
}

/* quern itself on arrays that stay on the device: made by the first repetition, which is not timed, and kept. */
static struct {
    quern_context *context;
    quern_operator *op;
    quern_array *arrays[BENCH_VARIABLES], *result;
    quern_arg args[BENCH_VARIABLES];
} resident;

static bool resident_open(const bench_problem *problem)
{
    if (quern_context_create(&resident.context, NULL)) return false;
    if (quern_compile(&resident.op, resident.context, problem->which->formula, NULL)) return false;
    for (size_t k = 0; k < problem->count; k++) {
        if (quern_array_from(&resident.arrays[k], resident.context, problem->args[k].view)) return false;
        resident.args[k] = (quern_arg){problem->args[k].name, quern_array_view(resident.arrays[k])};
    }
    return !quern_array_create(&resident.result, resident.context, problem->result_type, problem->m, problem->columns);
}

static bool resident_run(const bench_problem *problem, void *result)
{
    if (!resident.result && !resident_open(problem)) return false;
    const quern_args args = {.data = resident.args, .count = problem->count};
    quern_status status = QUERN_OK;
    for (int k = 0; k < problem->which->calls && !status; k++)
        status = quern_run(resident.op, args, quern_array_view(resident.result));
    const quern_view view = quern_view_of(result, problem->result_type, problem->m, problem->columns);
    return !status && !quern_array_read(resident.result, view);
}

/* clang-format off */
const bench_peer bench_peers[] = {
    {"limit", "hand-written C for this formula, all processors", {"g3"}, 1e-5, limit_run, NULL, NULL, false},
    {"keops", "KeOps on the CPU, without PyTorch",
     {"g3", "g3-grad", "g3-lse", "g3-f64", "g128", "multi64", "knn3", "knn50", "attention", "energy", "laplacian",
      "small"}, 1e-4, NULL, "keops.py", "", false},
    {"faiss", "FAISS flat index, built and searched", {"knn3", "knn50"}, 1e-3, NULL, "faiss_flat.py", "", false},
    {"openblas", "sgemm by NumPy's OpenBLAS: seconds for as many multiply-adds", {"g128"}, 1e-4,
     NULL, "openblas.py", "", true},
    {"device-arrays", "quern on arrays that stay on the device; one read at the end", {"small"}, 1e-5, resident_run, NULL,
     NULL, false},
    {"opencl", "a bare OpenCL program: the same buffers, one launch, one read", {"small"}, 1e-5,
     NULL, "first-call", "launches", true},
    {"clblast", "K built on the device in panels, each multiplied by CLBlast", {"g3", "multi64"}, 1e-3,
     NULL, "peer-clblast", "build", false},
    {"clblast-product", "only the products by CLBlast, K being there", {"g3", "multi64"}, 1e-3,
     NULL, "peer-clblast", "product", false},
};
/* clang-format on */
const size_t bench_peer_count = sizeof bench_peers / sizeof bench_peers[0];

static bool peer_runs(const bench_peer *peer, const char *on)
{
    for (size_t k = 0; k < BENCH_PEER_CASES && peer->cases[k]; k++)
        if (!strcmp(peer->cases[k], on)) return true;
    return false;
}

const bench_peer *bench_peer_find(const char *name, const char *on)
{
    for (size_t k = 0; k < bench_peer_count; k++) {
        const bench_peer *peer = &bench_peers[k];
        if ((name ? !strcmp(peer->name, name) : peer->run != NULL) && peer_runs(peer, on)) return peer;
    }
    return NULL;
}

bool bench_peer_known(const char *name)
{
    for (size_t k = 0; k < bench_peer_count; k++)
        if (!strcmp(bench_peers[k].name, name)) return true;
    return false;
}
