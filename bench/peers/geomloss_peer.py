"""The peers `geomloss` and `geomloss-multiscale`: GeomLoss on the CPU, with its KeOps backends.

geomloss.py DIR BACKEND    serves quern-bench (../peers.h); the backend is online or multiscale

The scaling is one whose value is within 1 % of the right one on these clouds, so that it takes few steps (two surfaces: 0.1 is 0.7 %
off, 0.2 0.4 %, 0.5 0.2 %, for 1500 points; sphere and bunny: 0.2 is 2.7 % off, for 25,000). The online backend looks at all pairs in
each step: of many points it gets each k-th, and what it takes is multiplied by the square of k. Its value is compared with its own
at a finer scaling then.
"""
import sys

import peer

SCALING, SCALING_BUNNY, FINER = 0.2, 0.5, 0.7
MOST = 30000


def describe():
    import geomloss
    import pykeops
    import torch
    pykeops.set_verbose(False)
    torch.set_num_threads(int(peer.THREADS))
    return f"geomloss {geomloss.__version__}, {sys.argv[2]}, scaling {SCALING} (bunny {SCALING_BUNNY}), torch {torch.__version__}"


def prepare(job):
    import numpy
    import torch
    from geomloss import SamplesLoss
    x, y = (torch.from_numpy(job["arrays"][name]) for name in ("x", "y"))

    def loss(scaling):
        return SamplesLoss("sinkhorn", p=2, blur=0.05, scaling=scaling, backend=sys.argv[2])

    scaling = SCALING_BUNNY if job["case"] == "sinkhorn-bunny" else SCALING
    step = -(-max(len(x), len(y)) // MOST) if sys.argv[2] == "online" else 1
    if step == 1:
        return lambda: numpy.full(job["M"], loss(scaling)(x, y).item())
    x, y = x[::step].contiguous(), y[::step].contiguous()
    return (lambda: loss(scaling)(x, y).item(), lambda seconds: seconds * step**2,
            lambda value: abs(value / loss(FINER)(x, y).item() - 1))


if __name__ == "__main__":
    peer.serve(describe, prepare)
