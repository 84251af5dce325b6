"""The peer `faiss-kmeans`: three steps of FAISS's k-means on all points, from the same centroids, and the distances then."""
import peer

CLUSTERS, STEPS = 1000, 3


def describe():
    import faiss
    faiss.omp_set_num_threads(int(peer.THREADS))
    return f"faiss {faiss.__version__}, Kmeans"


def prepare(job):
    import faiss
    x = job["arrays"]["x"]

    def call():
        means = faiss.Kmeans(x.shape[1], CLUSTERS, niter=STEPS, max_points_per_centroid=len(x))
        means.train(x, init_centroids=x[:CLUSTERS])
        return means.index.search(x, 1)[0]

    return call


if __name__ == "__main__":
    peer.serve(describe, prepare)
