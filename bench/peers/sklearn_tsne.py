"""The peer `sklearn` of the case `tsne`: scikit-learn's t-SNE by Barnes and Hut, with its defaults."""
import peer


def describe():
    import sklearn
    return f"scikit-learn {sklearn.__version__}, TSNE, Barnes-Hut"


def prepare(job):
    import numpy
    from sklearn.manifold import TSNE

    def call():
        picture = TSNE(random_state=0, n_jobs=int(peer.THREADS))
        picture.fit(job["arrays"]["x"])
        return numpy.full(job["M"], picture.kl_divergence_)

    return call


if __name__ == "__main__":
    peer.serve(describe, prepare)
