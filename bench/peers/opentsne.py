"""The peer `opentsne` of the case `tsne`: openTSNE with its defaults, which interpolate what repels (FIt-SNE) for many points."""
import peer


def describe():
    import openTSNE
    return f"openTSNE {openTSNE.__version__}"


def prepare(job):
    import numpy
    import openTSNE

    def call():
        picture = openTSNE.TSNE(random_state=0, n_jobs=int(peer.THREADS)).fit(job["arrays"]["x"])
        return numpy.full(job["M"], picture.kl_divergence)

    return call


if __name__ == "__main__":
    peer.serve(describe, prepare)
