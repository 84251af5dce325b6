"""The peer `umap-learn` of the case `umap`: umap-learn with its defaults, on all processors, so that its pictures differ from run to run.
It does the same work, not the same sum: its error is what its trustworthiness is less than 1."""
import warnings

import peer


def describe():
    import umap
    return f"umap-learn {umap.__version__}"


def prepare(job):
    import umap
    from sklearn.manifold import trustworthiness
    warnings.filterwarnings("ignore")
    x = job["arrays"]["x"]

    def call():
        return umap.UMAP(n_jobs=int(peer.THREADS)).fit_transform(x)

    return call, float, lambda y: 1 - trustworthiness(x[::4], y[::4], n_neighbors=12)


if __name__ == "__main__":
    peer.serve(describe, prepare)
