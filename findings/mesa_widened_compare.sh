#!/bin/sh
# Mesa 22.3.6 (Debian 12, mesa-opencl-icd), rusticl on llvmpipe: an int that is widened to long is never below a constant.
#
# Of int x, (long)x < 3L is 0 for every x, and so is x < 3L, in which C widens x by itself; with the 3 as a kernel's argument it
# is right, and so are == and the same of two ints. (long)x >= 3L is 1 for every x.
#
#     x:                 -1 0 2 3 5
#     (long)x < 3L:      0 0 0 0 0
#     x < 3L:            0 0 0 0 0
#     (long)x >= 3L:     1 1 1 1 1
#     (long)x == 3L:     0 0 0 1 0
#     (long)x < three:   1 1 1 0 0
#     x < 3:             1 1 1 0 0
exec sh "$(dirname "$0")/support/finding.sh" pyopencl==2026.1.4 numpy==2.4.6 <<'PYTHON'
from finding import conclude, open_device, use_driver

use_driver('libRusticlOpenCL.so.1', RUSTICL_ENABLE='llvmpipe')
import numpy as np
import pyopencl as cl

context, queue = open_device('22.3.6')


def run(expression):
    kernel = cl.Kernel(cl.Program(context, f'''
        __kernel void k(__global const int *in, __global int *r, const long three)
        {{
            const int x = in[get_global_id(0)];
            r[get_global_id(0)] = {expression};
        }}''').build(), 'k')
    x = np.array([-1, 0, 2, 3, 5], np.int32)
    result = np.empty_like(x)
    source = cl.Buffer(context, cl.mem_flags.COPY_HOST_PTR, hostbuf=x)
    target = cl.Buffer(context, 0, x.nbytes)
    kernel(queue, x.shape, None, source, target, np.int64(3))
    cl.enqueue_copy(queue, result, target)
    return expression + ': ' + ' '.join(map(str, result))


conclude([run(e) for e in ('(long)x < 3L', 'x < 3L', '(long)x >= 3L', '(long)x == 3L', '(long)x < three', 'x < 3')],
         ['(long)x < 3L: 0 0 0 0 0', 'x < 3L: 0 0 0 0 0', '(long)x >= 3L: 1 1 1 1 1', '(long)x == 3L: 0 0 0 1 0',
          '(long)x < three: 1 1 1 0 0', 'x < 3: 1 1 1 0 0'])
PYTHON
