/*
 * peers.c: the table of peers. A new peer is a new row, and a function here or a program in peers/.
 */
#include "peers.h"

#include <string.h>

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
static bool resident_run(const bench_problem *problem, void *result)
{
    static bench_resident resident;
    static quern_operator *op;
    if (!op) {
        quern_context *context;
        if (quern_context_create(&context, NULL)) return false;
        if (!bench_resident_create(&resident, context, problem)) return false;
        if (quern_compile(&op, context, problem->which->formula, NULL)) return false;
    }
    return !bench_resident_run(&resident, op, problem, problem->which->calls) &&
           !bench_resident_read(&resident, problem, result);
}

/* quern as it is, in this process: without ranges, or without other processes. */
static bool dense_run(const bench_problem *problem, void *result)
{
    static quern_operator *op;
    static quern_context *context;
    if (!context && quern_context_create(&context, NULL)) return false;
    if (!op && quern_compile(&op, context, problem->which->formula, NULL)) return false;
    return !quern_run(op, (quern_args){problem->args, problem->count, 0, 0},
                      quern_view_of(result, problem->result_type, problem->m, problem->columns));
}

/* quern, a call for each problem of a batch. */
static bool loop_run(const bench_problem *problem, void *result)
{
    static quern_context *context;
    if (!context && quern_context_create(&context, NULL)) return false;
    return !bench_call_loop(context, problem, result);
}

/* quern itself without pruning. */
static bool brute_run(const bench_problem *problem, void *result)
{
    static const bench_case *of;
    static quern_context *context;
    static quern_operator *op;
    const quern_view view = quern_view_of(result, problem->result_type, problem->m, problem->columns);
    if (of != problem->which) quern_operator_destroy(&op);
    of = problem->which;
    if (!context && quern_context_create(&context, NULL)) return false;
    if (!op && quern_compile(&op, context, of->formula, NULL)) return false;
    return !quern_run(op, (quern_args){.data = problem->args, .count = problem->count}, view);
}

/* clang-format off */
const bench_peer bench_peers[] = {
    {"dense", "quern over all pairs, without ranges", {"ranges"}, 1e-5, dense_run, NULL, NULL},
    {"loop", "quern, a call for each problem of the batch", {"batch"}, 1e-5, loop_run, NULL, NULL},
    {"one", "quern on each of the two alone, at the sum of their speeds", {"two-devices"}, 1e-5, bench_run_alone, NULL,
     NULL},
    {"one", "quern in one process with all cores", {"mpi"}, 1e-5, dense_run, NULL, NULL},
    {"limit", "hand-written C for this formula, all processors", {"g3"}, 1e-5, limit_run, NULL, NULL},
    {"brute", "quern without pruning", {"knn3-pruned", "knn2-pruned", "knn6-pruned", "g3-pruned", "knn3-100k", "knn3-bunny"}, 1e-5, brute_run, NULL, NULL},
    {"keops", "KeOps on the CPU, without PyTorch",
     {"g3", "g3-grad", "g3-lse", "g3-f64", "g128", "multi64", "knn3", "knn50", "attention", "energy", "laplacian",
      "small", "batch"}, 1e-4, NULL, "keops.py", ""},
    {"keops-cuda", "KeOps on an NVIDIA GPU, tensors that stay there",
     {"g3", "g3-grad", "g3-lse", "g3-f64", "g128", "multi64", "knn3", "knn50", "attention", "energy", "laplacian",
      "small"}, 1e-4, NULL, "cuda.py", "keops"},
    {"torch-cuda", "PyTorch on an NVIDIA GPU in blocks of rows, tensors that stay there",
     {"g3", "g3-lse", "g3-f64", "g128", "multi64", "knn3", "knn50", "attention", "energy", "small"}, 1e-3,
     NULL, "cuda.py", "torch"},
    {"flashlib-cuda", "flashlib on an NVIDIA GPU, which selects by TF32, tensors that stay there", {"knn3", "knn50"}, 10, NULL,
     "cuda.py", "flashlib"},
    {"geomloss", "GeomLoss on the CPU, its online backend", {"sinkhorn10k", "sinkhorn100k", "sinkhorn-bunny", "sinkhorn-scans"}, 1e-2,
     NULL, "geomloss_peer.py", "online"},
    {"geomloss-multiscale", "GeomLoss on the CPU, its multiscale backend", {"sinkhorn10k", "sinkhorn100k", "sinkhorn-bunny", "sinkhorn-scans"}, 1e-2,
     NULL, "geomloss_peer.py", "multiscale"},
    {"cells", "hand-written C with cell lists, all processors", {"vicsek1m"}, 1e-3, bench_run_cells, NULL, NULL},
    {"sklearn", "scikit-learn on the CPU", {"tsne"}, 5e-2, NULL, "sklearn_tsne.py", ""},
    {"opentsne", "openTSNE on the CPU", {"tsne"}, 5e-2, NULL, "opentsne.py", ""},
    {"umap-learn", "umap-learn on the CPU", {"umap"}, 0.2, NULL, "umap_learn.py", ""},
    {"sklearn", "scikit-learn on the CPU: the matrix stored and factored", {"gp20k"}, 1e-3, NULL, "sklearn_gp.py", ""},
    {"keops", "KeOps's KernelSolve on the CPU", {"solve"}, 1e-3, NULL, "keops_solve.py", ""},
    {"arpack-dense", "the matrix by NumPy, its eigenvalues by ARPACK through SciPy", {"eigs"}, 1e-8,
     NULL, "scipy_eigs.py", ""},
    {"faiss", "FAISS flat index, built and searched", {"knn3", "knn50", "knn3-pruned", "knn2-pruned", "knn3-100k", "knn3-bunny"}, 1e-3,
     NULL, "faiss_flat.py", ""},
    {"faiss", "FAISS's Kmeans, all points, the same first centroids", {"kmeans"}, 1e-3, NULL, "faiss_kmeans.py", ""},
    {"faiss", "FAISS's Kmeans, all points, the same first centroids", {"kmeans25"}, 2e-2, NULL, "faiss_kmeans.py", ""},
    {"nanoflann", "nanoflann's k-d tree, built and searched by all processors", {"knn3-pruned", "knn3-100k", "knn3-bunny"}, 1e-3,
     NULL, "peer-nanoflann", ""},
    {"openblas", "sgemm by NumPy's OpenBLAS: seconds for as many multiply-adds", {"g128"}, 1e-4,
     NULL, "openblas.py", ""},
    {"device-arrays", "quern on arrays that stay on the device; one read at the end", {"small"}, 1e-5, resident_run, NULL,
     NULL},
    {"opencl", "a bare OpenCL program: the same buffers, one launch, one read", {"small"}, 1e-5,
     NULL, "first-call", "launches"},
    {"clblast", "K built on the device in panels, each multiplied by CLBlast", {"g3", "multi64"}, 1e-3,
     NULL, "peer-clblast", "build"},
    {"clblast-product", "only the products by CLBlast, K being there", {"g3", "multi64"}, 1e-3,
     NULL, "peer-clblast", "product"},
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
