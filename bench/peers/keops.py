"""The peer `keops`: KeOps on the CPU through pykeops.numpy, each case as a user of KeOps writes it.

keops.py DIR ""          serves quern-bench (../peers.h)
keops.py --first-call [ROUNDS]
                         seconds of whole processes on the case `small`, as JSON: with an empty cache, with a cache that
                         has only KeOps's own modules (a new formula), and with all there
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import peer

POINTS = ("x=Vi(3)", "y=Vj(3)")
GAUSS = "Exp(-SqDist(x,y))*b"

# case: formula, variables, reduction, further arguments of Genred
CASES = {
    "g3": (GAUSS, (*POINTS, "b=Vj(1)"), "Sum", {}),
    "batch": (GAUSS, (*POINTS, "b=Vj(1)"), "Sum", {}),
    "small": (GAUSS, (*POINTS, "b=Vj(1)"), "Sum", {}),
    "g3-f64": (GAUSS, (*POINTS, "b=Vj(1)"), "Sum", {}),
    "g3-grad": (f"Grad({GAUSS},x,e)", (*POINTS, "b=Vj(1)", "e=Vi(1)"), "Sum", {}),
    "g3-lse": ("b-SqDist(x,y)", (*POINTS, "b=Vj(1)"), "LogSumExp", {}),
    "g128": (GAUSS, ("x=Vi(128)", "y=Vj(128)", "b=Vj(1)"), "Sum", {}),
    "multi64": (GAUSS, (*POINTS, "b=Vj(64)"), "Sum", {}),
    "knn3": ("SqDist(x,y)", POINTS, "ArgKMin", {"opt_arg": 10}),
    "knn50": ("SqDist(x,y)", ("x=Vi(50)", "y=Vj(50)"), "ArgKMin", {"opt_arg": 10}),
    "attention": ("Scalprod(x,y)/IntCst(8)", ("x=Vi(64)", "y=Vj(64)", "b=Vj(64)"), "SumSoftMaxWeight",
                  {"formula2": "b"}),
    "energy": ("Norm2(x-y)*b", (*POINTS, "b=Vj(1)"), "Sum", {}),
    "laplacian": ("Laplacian(Exp(-SqDist(x,y)),x)*b", (*POINTS, "b=Vj(1)"), "Sum", {}),
}

FIRST_CALL = f"""
import numpy
from pykeops.numpy import Genred
x, y, b = [numpy.random.rand(100, d).astype("float32") for d in (3, 3, 1)]
Genred("{GAUSS}", ["x=Vi(3)", "y=Vj(3)", "b=Vj(1)"], reduction_op="Sum", axis=1)(x, y, b, backend="CPU")
"""


def describe():
    import pykeops
    pykeops.set_verbose(False)
    return f"pykeops {pykeops.__version__}"


def prepare(job):
    from pykeops.numpy import Genred
    formula, variables, reduction, more = CASES[job["case"]]
    function = Genred(formula, list(variables), reduction_op=reduction, axis=1, **more)
    arrays = [job["arrays"][variable.split("=")[0]] for variable in variables]
    if job["case"] == "batch":  # problems of 100 x 100, as a leading dimension
        arrays = [array.reshape(-1, 100, array.shape[1]) for array in arrays]
    return lambda: function(*arrays, backend="CPU")


def seconds(code, cache):
    environment = dict(os.environ, KEOPS_CACHE_FOLDER=cache)
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def first_call(rounds):
    cold, formula, warm = [], [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            cold.append(seconds(FIRST_CALL, cache))
            warm.append(seconds(FIRST_CALL, cache))
            formula.append(seconds(FIRST_CALL.replace("*b", "*b*b"), cache))
    print(json.dumps({"rounds": rounds, "empty_cache_s": statistics.median(cold),
                      "new_formula_s": statistics.median(formula), "warm_s": statistics.median(warm)}))


if __name__ == "__main__":
    first_call(int((sys.argv + ["3"])[2])) if sys.argv[1] == "--first-call" else peer.serve(describe, prepare)
