"""The peer `faiss` of `kmeans` and `kmeans25`: steps of FAISS's k-means on all points, from the same centroids, and the distances then."""
import peer

CLUSTERS, STEPS = 1000, {"kmeans": 3, "kmeans25": 25}


def describe():
    import faiss
    faiss.omp_set_num_threads(int(peer.THREADS))
    return f"faiss {faiss.__version__}, Kmeans"


def prepare(job):
    import faiss
    import numpy
    x = job["arrays"]["x"]

    def call():
        means = faiss.Kmeans(x.shape[1], CLUSTERS, niter=STEPS[job["case"]], max_points_per_centroid=len(x))
        means.train(x, init_centroids=x[:CLUSTERS])
        far = means.index.search(x, 1)[0]
        return far if job["case"] == "kmeans" else numpy.full(job["M"], far.sum(dtype=numpy.float64))

    return call


if __name__ == "__main__":
    peer.serve(describe, prepare)
