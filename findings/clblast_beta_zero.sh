#!/bin/sh
# CLBlast 1.5.3 (Debian 12, libclblast1): where it is not the BLAS.
#
# With beta = 0 the BLAS writes y and C without reading them. Here Gemm does so, but Gemv multiplies what is there by 0: NaN in
# memory that nobody has set stays NaN. Gemm with k = 0, which is C = beta C, is refused (-1017, invalid dimension), so C keeps its
# values. Nrm2 squares without scaling: that of (1e30, 1e30) is infinite, that of (1e-30, 1e-30) is 0.
#
#     gemm 4, gemv nan, k = 0: -1017 leaves 7, nrm2: inf 0
exec sh "$(dirname "$0")/support/finding.sh" pyopencl==2026.1.4 numpy==2.4.6 <<'PYTHON'
import ctypes
import os
import sys

from finding import conclude, open_device, use_driver

use_driver('libpocl.so.2')
import numpy as np
import pyopencl as cl

try:
    blas = ctypes.CDLL('libclblast.so.1')
except OSError:
    print('CLBlast is not installed')
    sys.exit(77)
path = next(line.split()[-1] for line in open('/proc/self/maps') if 'libclblast' in line)
if not os.path.realpath(path).endswith('.so.1.5.3'):
    print(f'not the version of this finding: {os.path.realpath(path)}')
    sys.exit(77)
context, queue = open_device('PoCL 3.1')
handle = ctypes.c_void_p(queue.int_ptr)
ROW_MAJOR, NO_TRANSPOSE = 101, 111


def memory(values):
    data = np.array(values, np.float32)
    return cl.Buffer(context, cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR, hostbuf=data)


def first(buffer):
    out = np.empty(1, np.float32)
    cl.enqueue_copy(queue, out, buffer)
    return out[0]


def call(name, *arguments):
    """Buffers become their handle and an offset, floats stay floats, whole numbers sizes; the enumerations come first, as ints."""
    given = []
    for a in arguments:
        given += ([ctypes.c_void_p(a.int_ptr), ctypes.c_size_t(0)] if isinstance(a, cl.Buffer) else
                  [ctypes.c_float(a)] if isinstance(a, float) else [ctypes.c_size_t(a) if a < 100 else ctypes.c_int(a)])
    code = getattr(blas, name)(*given, ctypes.byref(handle), None)
    queue.finish()
    return code


def gemm(k, beta, c):
    return call('CLBlastSgemm', ROW_MAJOR, NO_TRANSPOSE, NO_TRANSPOSE, 4, 4, k, 1.0, ones, 4, ones, 4, beta, c, 4)


def norm(values):
    out = memory([0])
    call('CLBlastSnrm2', 2, out, memory(values), 1)
    return first(out)


ones = memory(np.ones(16))
c, y, kept = memory(np.full(16, np.nan)), memory(np.full(4, np.nan)), memory(np.full(16, 7))
gemm(4, 0.0, c)
call('CLBlastSgemv', ROW_MAJOR, NO_TRANSPOSE, 4, 4, 1.0, ones, 4, ones, 1, 0.0, y, 1)
refused = gemm(0, 0.5, kept)
conclude(f'gemm {first(c):g}, gemv {first(y):g}, k = 0: {refused} leaves {first(kept):g}, '
         f'nrm2: {norm([1e30, 1e30]):g} {norm([1e-30, 1e-30]):g}',
         'gemm 4, gemv nan, k = 0: -1017 leaves 7, nrm2: inf 0')
PYTHON
