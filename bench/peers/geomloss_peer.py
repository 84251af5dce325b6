"""The peers `geomloss` and `geomloss-multiscale`: GeomLoss on the CPU, with its KeOps backends.

geomloss.py DIR BACKEND    serves quern-bench (../peers.h); the backend is online or multiscale

The scaling is the first of 0.5, 0.7, 0.8, 0.9 whose value is within 1 % of the right one on these clouds: SCALING.
"""
import sys

import peer

SCALING = 0.5


def describe():
    import geomloss
    import pykeops
    import torch
    pykeops.set_verbose(False)
    torch.set_num_threads(int(peer.THREADS))
    return f"geomloss {geomloss.__version__}, {sys.argv[2]}, scaling {SCALING}, torch {torch.__version__}"


def prepare(job):
    import numpy
    import torch
    from geomloss import SamplesLoss
    x, y = (torch.from_numpy(job["arrays"][name]) for name in ("x", "y"))
    loss = SamplesLoss("sinkhorn", p=2, blur=0.05, scaling=SCALING, backend=sys.argv[2])
    return lambda: numpy.full(job["M"], loss(x, y).item())


if __name__ == "__main__":
    peer.serve(describe, prepare)
