#!/usr/bin/env python3
"""Mesa 22.3.6 (Debian 12, mesa-opencl-icd), rusticl on llvmpipe: loops end after 65,535 turns, without an error.

A kernel that adds 1 in a loop of n turns gives n up to 65,535 and 65,535 beyond. All calls of OpenCL succeed.

    65535: 65535, 70000: 65535, 1000000: 65535
"""
from packages import conclude, open_device, run_with, use_driver

run_with('pyopencl==2026.1.4', 'numpy==2.4.6')
use_driver('libRusticlOpenCL.so.1', RUSTICL_ENABLE='llvmpipe')
import numpy as np
import pyopencl as cl

context, queue = open_device('22.3.6')
kernel = cl.Program(context, '''
kernel void count(global int *a, int n)
{
    int sum = 0;
    for (int i = 0; i < n; i++) sum += a[1 + (sum & 1)];
    a[0] = sum;
}''').build().count
seen = []
for turns in (65535, 70000, 1000000):
    a = np.array([0, 1, 1], np.int32)
    buffer = cl.Buffer(context, cl.mem_flags.COPY_HOST_PTR, hostbuf=a)
    kernel(queue, (1,), (1,), buffer, np.int32(turns))
    cl.enqueue_copy(queue, a, buffer)
    seen.append(f'{turns}: {a[0]}')
conclude(', '.join(seen), '65535: 65535, 70000: 65535, 1000000: 65535')
