"""The peer `keops` of the case `solve`: KeOps's KernelSolve on the CPU, conjugate gradients to the same tolerance.

It has no preconditioner and no limit of iterations: at 20,000 points a call takes minutes, so it is made once, with the program
compiled before.
"""
import peer


def describe():
    import pykeops
    pykeops.set_verbose(False)
    return f"pykeops {pykeops.__version__}, KernelSolve"


def prepare(job):
    import numpy
    from pykeops.numpy import KernelSolve
    x, b = job["arrays"]["x"], job["arrays"]["b"]
    variables = ["g=Pm(1)", "x=Vi(3)", "y=Vj(3)", f"b=Vj({b.shape[1]})"]
    solve = KernelSolve("Exp(-g*SqDist(x,y))*b", variables, "b", axis=1)
    g = numpy.array([10], x.dtype)
    # eps is the limit of the root of the mean square of all entries of the residual
    eps = 1e-6 * float(numpy.sqrt(numpy.mean(b * b)))
    solve(g, x[:9], x[:9], b[:9], alpha=0.1, eps=eps)
    return lambda: solve(g, x, x, b, alpha=0.1, eps=eps)


if __name__ == "__main__":
    peer.serve(describe, prepare, warm=True)
