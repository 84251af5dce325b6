/*
 * cases.c: the table of cases and their data. Numbers come from splitmix64 (Steele, Lea, Flood, OOPSLA 2014), one
 * stream per variable: uniform, or made normal by Box and Muller's method. Sizes are such that one call of quern takes
 * well under a second on two cores, the large ones for GPUs.
 */
#include "cases.h"

#include <math.h>
#include <string.h>

static double uniform_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

void bench_fill_uniform(double *values, int64_t count, uint64_t seed)
{
    uint64_t state = seed * 0x632be59bd9b4e019u;
    for (int64_t k = 0; k < count; k++) values[k] = uniform_next(&state);
}

/* In [0, 1/4): squared distances between points in 128 dimensions are then around 1.3, where exp is not negligible. */
static void fill_quarter(double *values, int64_t count, uint64_t seed)
{
    bench_fill_uniform(values, count, seed);
    for (int64_t k = 0; k < count; k++) values[k] *= 0.25;
}

void bench_fill_normal(double *values, int64_t count, uint64_t seed)
{
    uint64_t state = seed * 0x632be59bd9b4e019u;
    for (int64_t k = 0; k < count; k++) {
        const double radius = sqrt(-2 * log1p(-uniform_next(&state)));
        values[k] = radius * cos(6.283185307179586 * uniform_next(&state));
    }
}

/* Points of a sphere, or, for the second variable, of an ellipsoid that is elsewhere. */
static void fill_surface(double *values, int64_t count, uint64_t seed)
{
    static const double axes[2][3] = {{0.5, 0.5, 0.5}, {0.3, 0.45, 0.2}};
    bench_fill_normal(values, count, seed);
    for (int64_t k = 0; k + 2 < count; k += 3) {
        const double *at = &values[k], norm = sqrt(at[0] * at[0] + at[1] * at[1] + at[2] * at[2]);
        for (int d = 0; d < 3; d++) values[k + d] = axes[seed > 1][d] * values[k + d] / norm + (seed > 1 ? 0.7 : 0.5);
    }
}

/* Points of a sphere, or, for the second variable, of a bunny within it. */
static void fill_sphere_or_bunny(double *values, int64_t count, uint64_t seed)
{
    double low[3] = {INFINITY, INFINITY, INFINITY}, high[3] = {-INFINITY, -INFINITY, -INFINITY}, side = 0;
    if (seed <= 1) {
        fill_surface(values, count, seed);
        return;
    }
    bench_fill_bunny(values, count, seed);
    for (int64_t k = 0; k < count; k++)
        low[k % 3] = fmin(low[k % 3], values[k]), high[k % 3] = fmax(high[k % 3], values[k]);
    for (int d = 0; d < 3; d++) side = fmax(side, high[d] - low[d]);
    for (int64_t k = 0; k < count; k++) values[k] = 0.5 + 0.9 * (values[k] - (low[k % 3] + high[k % 3]) / 2) / side;
}

#define SURFACES "x=Vi(3); y=Vj(3); LogSumExp_j(-SqDist(x,y))"
/* In [0, 50/sqrt(2)): there the standard deviation of exp(-|x - y|^2) is 2 % of the extent. */
static void fill_wide(double *values, int64_t count, uint64_t seed)
{
    bench_fill_uniform(values, count, seed);
    for (int64_t k = 0; k < count; k++) values[k] *= 35.35533905932738;
}

static const quern_pruning exactly = {.size = sizeof exactly};
static const quern_pruning closely = {.size = sizeof closely, .relative = 1e-6};

#define GAUSSIAN "Sum_j(Exp(-SqDist(x,y))*b)"

/* clang-format off */
const bench_case bench_cases[] = {
    {"g3", "Gaussian sum, D = 3, float32",
     "x=Vi(3); y=Vj(3); b=Vj(1); " GAUSSIAN,
     QUERN_F32, 20000, 200000, 1, 1e-5, bench_fill_uniform, bench_row_gaussian, NULL, NULL},
    {"g3-grad", "its gradient in x, float32",
     "x=Vi(3); y=Vj(3); b=Vj(1); e=Vi(1); Grad(" GAUSSIAN ", x, e)",
     QUERN_F32, 20000, 200000, 1, 1e-5, bench_fill_uniform, bench_row_gradient, NULL, NULL},
    {"g3-both", "the sum and its gradient, float32",
     "x=Vi(3); y=Vj(3); b=Vj(1); e=Vi(1); F=" GAUSSIAN "; Concat(F, Grad(F, x, e))",
     QUERN_F32, 20000, 200000, 1, 1e-5, bench_fill_uniform, bench_row_both, NULL, NULL},
    {"g3-lse", "log-sum-exp, D = 3, float32",
     "x=Vi(3); y=Vj(3); b=Vj(1); LogSumExp_j(b-SqDist(x,y))",
     QUERN_F32, 20000, 200000, 1, 1e-5, bench_fill_uniform, bench_row_logsumexp, NULL, NULL},
    {"g3-f64", "Gaussian sum, D = 3, float64",
     "x=Vi(3); y=Vj(3); b=Vj(1); " GAUSSIAN,
     QUERN_F64, 20000, 200000, 1, 1e-13, bench_fill_uniform, bench_row_gaussian, NULL, NULL},
    {"g128", "Gaussian sum, D = 128",
     "x=Vi(128); y=Vj(128); b=Vj(1); " GAUSSIAN,
     QUERN_F32, 4000, 40000, 1, 1e-5, fill_quarter, bench_row_gaussian, NULL, NULL},
    {"multi64", "Gaussian sum, 64 right-hand sides",
     "x=Vi(3); y=Vj(3); b=Vj(64); " GAUSSIAN,
     QUERN_F32, 5000, 50000, 1, 1e-5, bench_fill_uniform, bench_row_gaussian, NULL, NULL},
    {"knn3", "10 nearest neighbours, D = 3",
     "x=Vi(3); y=Vj(3); ArgKMin_j(SqDist(x,y),10)",
     QUERN_F32, 10000, 200000, 1, 4e-7, bench_fill_uniform, bench_row_distances, NULL, NULL},
    {"knn50", "10 nearest neighbours, D = 50",
     "x=Vi(50); y=Vj(50); ArgKMin_j(SqDist(x,y),10)",
     QUERN_F32, 5000, 100000, 1, 1e-6, bench_fill_uniform, bench_row_distances, NULL, NULL},
    {"attention", "softmax-weighted mean, D = E = 64",
     "x=Vi(64); y=Vj(64); b=Vj(64); SumSoftMaxWeight_j(Scalprod(x,y)/8,b)",
     QUERN_F32, 3000, 30000, 1, 1e-5, bench_fill_normal, bench_row_attention, NULL, NULL},
    {"softmax3", "softmax-weighted mean, D = E = 3",
     "x=Vi(3); y=Vj(3); b=Vj(3); SumSoftMaxWeight_j(Scalprod(x,y)/8,b)",
     QUERN_F32, 20000, 200000, 1, 1e-5, bench_fill_normal, bench_row_attention, NULL, NULL},
    {"energy", "sum of distances, D = 3",
     "x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Norm2(x-y)*b)",
     QUERN_F32, 20000, 200000, 1, 1e-5, bench_fill_uniform, bench_row_energy, NULL, NULL},
    {"laplacian", "of a Gaussian sum, D = 3",
     "x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Laplacian(Exp(-SqDist(x,y)),x)*b)",
     QUERN_F32, 20000, 200000, 1, 1e-5, bench_fill_uniform, bench_row_laplacian, NULL, NULL},
    {"sinkhorn10k", "Sinkhorn divergence of two surfaces, within 1 %",
     SURFACES, QUERN_F32, 10000, 10000, 1, 1e-2, fill_surface, bench_row_sinkhorn, bench_call_sinkhorn, NULL},
    {"sinkhorn100k", "the same, of ten times the points",
     SURFACES, QUERN_F32, 100000, 100000, 1, 1e-2, fill_surface, bench_row_sinkhorn, bench_call_sinkhorn, NULL},
    {"sinkhorn-bunny", "the same, of a sphere and a bunny",
     SURFACES, QUERN_F32, 100000, 100000, 1, 1e-2, fill_sphere_or_bunny, bench_row_sinkhorn, bench_call_sinkhorn, NULL},
    {"sinkhorn-scans", "the same, of two scans of a thing",
     SURFACES, QUERN_F32, 100000, 100000, 1, 1e-2, bench_fill_scans, bench_row_sinkhorn, bench_call_sinkhorn, NULL},
    {"sinkhorn-steps", "20 Sinkhorn iterations of the surfaces of sinkhorn10k, with nothing left out",
     SURFACES, QUERN_F32, 10000, 100000, 1, 1e-3, fill_surface, bench_row_steps, bench_call_steps, NULL},
    {"sinkhorn-passes", "the 41 log-sum-exps that those are made of",
     "x=Vi(3); y=Vj(3); b=Vj(1); LogSumExp_j(b-SqDist(x,y))",
     QUERN_F32, 10000, 100000, 1, 1e-5, fill_surface, bench_row_logsumexp, bench_call_passes, NULL},
    {"gp20k", "mean of a Gaussian process, Matern 5/2, D = 3",
     "x=Vi(3); y=Vj(3); v=Vj(1); Sum_j(Matern52(SqDist(x,y),0.1)*v)",
     QUERN_F32, 20000, 200000, 1, 1e-3, bench_fill_uniform, bench_row_gp, bench_call_gp, NULL},
    {"kmeans", "k-means of points of 50 dimensions, 1000 clusters, 3 steps",
     "x=Vi(50); Sum(x)",
     QUERN_F32, 100000, 1000000, 1, 1e-5, bench_fill_uniform, bench_row_kmeans, bench_call_kmeans, NULL},
    {"kmeans25", "the same of 500 groups, 25 steps",
     "x=Vi(50); Sum(x)",
     QUERN_F32, 100000, 1000000, 1, 1e-5, bench_fill_places, bench_row_kmeans25, bench_call_kmeans25, NULL},
    {"vicsek1m", "a step of a million swimmers, 314 of them in sight",
     "x=Vi(2); u=Vi(2); noise=Vi(1); Concat(x,u)+noise",
     QUERN_F32, 1000000, 4000000, 1, 1e-3, bench_fill_swimmers, bench_row_vicsek, bench_call_vicsek, NULL},
    {"tsne", "t-SNE of points of 50 dimensions",
     "x=Vi(50); y=Vj(50); Min_j(SqDist(x,y))",
     QUERN_F32, 10000, 50000, 1, 5e-2, bench_fill_groups, bench_row_tsne, bench_call_tsne, NULL},
    {"umap", "UMAP of points of 50 dimensions",
     "x=Vi(50); y=Vj(50); Min_j(SqDist(x,y))",
     QUERN_F32, 5000, 20000, 1, 5e-2, bench_fill_groups, bench_row_umap, bench_call_umap, NULL},
    {"solve", "(K + 0.1) c = b, 16 right-hand sides, D = 3, to 1e-6",
     "x=Vi(3); y=Vj(3); b=Vj(16); Sum_j(Exp(-10*SqDist(x,y))*b)",
     QUERN_F64, 2000, 50000, 1, 1e-5, bench_fill_uniform, bench_row_solve, bench_call_solve, NULL},
    {"eigs", "10 largest eigenvalues of a Gaussian kernel, D = 3, to 1e-10",
     "x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-4*SqDist(x,y))*b)",
     QUERN_F64, 5000, 50000, 1, 1e-10, bench_fill_uniform, bench_row_eigs, bench_call_eigs, NULL},
    {"ranges", "Gaussian sum over 1 % of the pairs, D = 3",
     "x=Vi(3); y=Vj(3); b=Vj(1); " GAUSSIAN,
     QUERN_F32, 20000, 200000, 1, 1e-5, bench_fill_blocks, bench_row_gaussian, bench_call_ranges, NULL},
    {"batch", "Gaussian sums of 100 x 100, D = 3, 10,000 of them",
     "x=Vi(3); y=Vj(3); b=Vj(1); " GAUSSIAN,
     QUERN_F32, 1000000, 10000000, 1, 1e-5, bench_fill_uniform, bench_row_batch, bench_call_batch, NULL},
    {"knn3-pruned", "10 nearest neighbours, D = 3, pruned",
     "x=Vi(3); y=Vj(3); ArgKMin_j(SqDist(x,y),10)",
     QUERN_F32, 100000, 1000000, 1, 4e-7, bench_fill_uniform, bench_row_distances, NULL, &exactly},
    {"knn2-pruned", "10 nearest neighbours, D = 2, pruned",
     "x=Vi(2); y=Vj(2); ArgKMin_j(SqDist(x,y),10)",
     QUERN_F32, 100000, 1000000, 1, 4e-7, bench_fill_uniform, bench_row_distances, NULL, &exactly},
    {"knn6-pruned", "10 nearest neighbours, D = 6, pruned",
     "x=Vi(6); y=Vj(6); ArgKMin_j(SqDist(x,y),10)",
     QUERN_F32, 30000, 200000, 1, 4e-7, bench_fill_uniform, bench_row_distances, NULL, &exactly},
    {"knn3-100k", "quern/neighbors.h: index and 10 nearest of each query, D = 3",
     "x=Vi(3); y=Vj(3); ArgKMin_j(SqDist(x,y),10)",
     QUERN_F32, 100000, 1000000, 1, 4e-7, bench_fill_uniform, bench_row_distances, bench_call_neighbors, NULL},
    {"knn3-bunny", "the same, of points on a bunny",
     "x=Vi(3); y=Vj(3); ArgKMin_j(SqDist(x,y),10)",
     QUERN_F32, 100000, 1000000, 1, 4e-7, bench_fill_bunny, bench_row_distances, bench_call_neighbors, NULL},
    {"g3-pruned", "Gaussian sum, sigma 2 % of the extent, pruned to 1e-6",
     "x=Vi(3); y=Vj(3); b=Vj(1); " GAUSSIAN,
     QUERN_F32, 100000, 1000000, 1, 1e-5, fill_wide, bench_row_gaussian, NULL, &closely},
    {"two-devices", "Gaussian sum, D = 3, shared by two sub-devices of a core each",
     "x=Vi(3); y=Vj(3); b=Vj(1); " GAUSSIAN,
     QUERN_F32, 40000, 200000, 2, 1e-5, bench_fill_uniform, bench_row_gaussian, bench_call_devices, NULL},
    {"mpi", "Gaussian sum, D = 3, by two processes",
     "x=Vi(3); y=Vj(3); b=Vj(1); " GAUSSIAN,
     QUERN_F32, 80000, 200000, 1, 1e-5, bench_fill_uniform, bench_row_gaussian, bench_call_mpi, NULL},
    {"small", "many calls at M = N = 100",
     "x=Vi(3); y=Vj(3); b=Vj(1); " GAUSSIAN,
     QUERN_F32, 100, 100, 200, 1e-5, bench_fill_uniform, bench_row_gaussian, NULL, NULL},
};
/* clang-format on */
const size_t bench_case_count = sizeof bench_cases / sizeof bench_cases[0];

const bench_case *bench_case_find(const char *name)
{
    for (size_t k = 0; k < bench_case_count; k++)
        if (!strcmp(bench_cases[k].name, name)) return &bench_cases[k];
    return NULL;
}
