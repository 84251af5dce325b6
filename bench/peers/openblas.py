"""The peer `openblas`: the rate of sgemm by the BLAS that NumPy brings along (OpenBLAS in its wheels).

It multiplies square matrices, at their size the best case of sgemm, and answers the time that M x N x D multiply-adds
take at this rate: what a Gaussian sum in D dimensions would need were its inner products all it did.
"""
import os

import peer

SIDE = 2048
os.environ.setdefault("OPENBLAS_NUM_THREADS", peer.THREADS)


def describe():
    import numpy
    try:
        blas = numpy.show_config(mode="dicts")["Build Dependencies"]["blas"]
    except TypeError:
        raise ImportError(f"NumPy {numpy.__version__} does not say whose BLAS it has; 1.25 and later do")
    if "openblas" not in blas["name"]:
        raise ImportError(f"this NumPy has {blas['name']}, not OpenBLAS")
    return f"numpy {numpy.__version__}, {blas['name']} {blas['version']}, {SIDE} x {SIDE}"


def prepare(job):
    import numpy
    random = numpy.random.default_rng(1)
    a, b = (random.random((SIDE, SIDE), numpy.float32) for _ in range(2))
    c = numpy.empty_like(a)
    part = job["M"] * job["N"] * job["arrays"]["x"].shape[1] / SIDE**3
    exact = a[:4].astype(numpy.float64) @ b.astype(numpy.float64)

    def error(result):
        return float(abs(result[:4] - exact).max() / abs(exact).max())

    return lambda: numpy.matmul(a, b, out=c), lambda seconds: seconds * part, error


if __name__ == "__main__":
    peer.serve(describe, prepare)
