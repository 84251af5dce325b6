/*
 * nanoflann.cpp: the peer `nanoflann` (../peers.h has the protocol): a k-d tree of the points is built and searched in each
 * call, the queries shared by as many threads as OMP_NUM_THREADS says, else one for each processor.
 */
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <jansson.h>
#include <nanoflann.hpp>
#include <quern/npy.h>

namespace {

constexpr int DIM = 3;

struct Cloud {
    const float *data;
    size_t rows;
    size_t kdtree_get_point_count() const { return rows; }
    float kdtree_get_pt(size_t row, size_t d) const { return data[row * DIM + d]; }
    template <class Box> bool kdtree_get_bbox(Box &) const { return false; }
};

using Tree = nanoflann::KDTreeSingleIndexAdaptor<nanoflann::L2_Simple_Adaptor<float, Cloud>, Cloud, DIM, uint32_t>;

void search(const Tree &tree, const float *queries, size_t from, size_t to, size_t k, int64_t *result)
{
    std::vector<uint32_t> indices(k);
    std::vector<float> distances(k);
    for (size_t i = from; i < to; i++) {
        const size_t count = tree.knnSearch(queries + i * DIM, k, indices.data(), distances.data());
        for (size_t n = 0; n < k; n++) result[i * k + n] = n < count ? (int64_t)indices[n] : -1;
    }
}

void call(const Cloud &x, const Cloud &y, size_t k, size_t threads, int64_t *result)
{
    Tree tree(DIM, y); /* leaves of 10 points, its default */
    std::vector<std::thread> pool;
    for (size_t t = 0; t < threads; t++)
        pool.emplace_back([&, t] { search(tree, x.data, x.rows * t / threads, x.rows * (t + 1) / threads, k, result); });
    for (auto &thread : pool) thread.join();
}

bool read(Cloud &cloud, const std::string &path)
{
    quern_view view = {};
    if (quern_npy_read(&view, path.c_str()) || view.dtype != QUERN_F32 || view.columns != DIM) return false;
    cloud = {static_cast<const float *>(view.data), static_cast<size_t>(view.rows)};
    return true;
}

} // namespace

int main(int, char **words)
{
    const std::string folder = words[1];
    Cloud x, y;
    json_t *job = json_load_file((folder + "/job.json").c_str(), 0, nullptr);
    const size_t k = static_cast<size_t>(json_integer_value(json_object_get(job, "columns")));
    if (!job || !read(x, folder + "/x.npy") || !read(y, folder + "/y.npy")) {
        std::printf("{\"missing\": \"its data cannot be read\"}\n");
        return 1;
    }
    const char *wanted = std::getenv("OMP_NUM_THREADS");
    const size_t threads = wanted ? std::strtoul(wanted, nullptr, 10) : std::thread::hardware_concurrency();
    std::vector<int64_t> result(x.rows * k);
    std::printf("{\"ready\": \"nanoflann %x, %zu threads\"}\n", NANOFLANN_VERSION, threads);
    std::fflush(stdout);
    for (char line[64]; std::fgets(line, sizeof line, stdin); std::fflush(stdout)) {
        const auto start = std::chrono::steady_clock::now();
        if (!std::strcmp(line, "run\n")) {
            call(x, y, k, threads ? threads : 1, result.data());
            const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
            std::printf("{\"seconds\": %.9g}\n", took.count());
        } else {
            const quern_view view = quern_i64(result.data(), static_cast<int64_t>(x.rows), static_cast<int64_t>(k));
            std::printf(quern_npy_write((folder + "/result.npy").c_str(), view) ? "{}\n" : "{\"done\": true}\n");
        }
    }
    json_decref(job);
    return 0;
}
