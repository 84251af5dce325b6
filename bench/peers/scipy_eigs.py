"""The peer `arpack-dense` of the case `eigs`: the matrix made by NumPy and kept, and its eigenvalues by ARPACK through SciPy."""
import peer

COUNT = 10


def describe():
    import scipy
    import scipy.sparse.linalg
    return f"scipy {scipy.__version__}, eigsh on a dense matrix"


def prepare(job):
    import numpy
    from scipy.sparse.linalg import eigsh
    x = job["arrays"]["x"]

    def call():
        square = numpy.sum(x * x, 1)
        matrix = numpy.exp(-4 * numpy.maximum(square[:, None] + square[None, :] - 2 * x @ x.T, 0))
        values = eigsh(matrix, COUNT, tol=1e-10, return_eigenvectors=False)[::-1]
        return values[numpy.arange(job["M"]) % COUNT]

    return call


if __name__ == "__main__":
    peer.serve(describe, prepare)
