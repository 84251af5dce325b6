"""The peers `keops-cuda`, `torch-cuda` and `flashlib-cuda`: KeOps, PyTorch and flashlib on an NVIDIA GPU, tensors staying there.

cuda.py DIR keops|torch|flashlib   serves quern-bench (../peers.h)

PyTorch has no symbolic matrices: its blocks of rows take some 256 MiB each. Products are float32, not TF32. KeOps compiles
with g++ and loads the result beside PyTorch, whose copy of libstdc++ it can crash with: CXX is told -Wl,-Bsymbolic.
"""
import os
import sys

import keops
import peer

BLOCK_BYTES = 256 << 20


def describe():
    import torch
    if not torch.cuda.is_available():
        raise ImportError("PyTorch sees no GPU")
    torch.backends.cuda.matmul.allow_tf32 = False
    about = f"torch {torch.__version__}, {torch.cuda.get_device_name()}"
    if sys.argv[2] == "torch":
        return about
    if sys.argv[2] == "flashlib":
        import flashlib
        return f"flashlib {flashlib.__version__}, {about}"
    os.environ.setdefault("CXX", "g++ -Wl,-Bsymbolic")
    import pykeops
    pykeops.set_verbose(False)
    return f"pykeops {pykeops.__version__}, {about}"


def gaussian(x, y, b):
    import torch
    return torch.exp(-torch.cdist(x, y) ** 2) @ b


def logsumexp(x, y, b):
    import torch
    return torch.logsumexp(b.T - torch.cdist(x, y) ** 2, 1, True)


def nearest(x, y):
    import torch
    return torch.topk(torch.cdist(x, y), 10, largest=False).indices


def distances(x, y, b):
    import torch
    return torch.cdist(x, y) @ b


def attention(x, y, b):
    import torch
    return torch.nn.functional.scaled_dot_product_attention(x[None, None], y[None, None], b[None, None])[0, 0]


DENSE = {"g3": gaussian, "g3-f64": gaussian, "g128": gaussian, "multi64": gaussian, "small": gaussian,
         "g3-lse": logsumexp, "knn3": nearest, "knn50": nearest, "energy": distances, "attention": attention}


def torch_call(job, tensors):
    """One call: blocks of rows one after the other; attention, which is never dense, at once."""
    import torch
    x, *others = (tensors[name] for name in ("x", "y", "b") if name in tensors)
    function, dense_bytes = DENSE[job["case"]], len(others[0]) * x.element_size()
    rows = len(x) if function is attention else max(1, BLOCK_BYTES // dense_bytes)
    return lambda: torch.cat([function(x[at:at + rows], *others) for at in range(0, len(x), rows)])


def keops_call(job, tensors):
    from pykeops.torch import Genred
    formula, variables, reduction, more = keops.CASES[job["case"]]
    function = Genred(formula, list(variables), reduction_op=reduction, axis=1, **more)
    arguments = [tensors[variable.split("=")[0]] for variable in variables]
    return lambda: function(*arguments, backend="GPU_1D")


def flashlib_call(job, tensors):
    import flashlib
    return lambda: flashlib.flash_knn(tensors["x"], tensors["y"], 10, return_distances=False)


def prepare(job):
    import torch
    tensors = {name: torch.tensor(array, device="cuda") for name, array in job["arrays"].items()}
    call = {"keops": keops_call, "torch": torch_call, "flashlib": flashlib_call}[sys.argv[2]](job, tensors)

    def wait():
        result = call()
        torch.cuda.synchronize()
        return result
    return wait


if __name__ == "__main__":
    peer.serve(describe, prepare)
