#!/bin/sh
# Mesa 22.3.6 (Debian 12, mesa-opencl-icd), rusticl on llvmpipe: loops end after 65,535 turns, without an error.
#
# A kernel that adds 1 in a loop of n turns gives n up to 65,535 and 65,535 beyond. The turns are those of all loops of a
# work-item together: a loop of 60,000 leaves the next one 5,534 (each loop's last look counts), and 300 turns of a loop of 300
# end in the 218th. All calls of OpenCL succeed.
#
#     65535: 65535, 70000: 65535, 1000000: 65535
#     60000, then 60000: 60000, 5534; 300 times 300: 218, 65101
exec sh "$(dirname "$0")/support/finding.sh" pyopencl==2026.1.4 numpy==2.4.6 <<'PYTHON'
from finding import conclude, open_device, use_driver

use_driver('libRusticlOpenCL.so.1', RUSTICL_ENABLE='llvmpipe')
import numpy as np
import pyopencl as cl

context, queue = open_device('22.3.6')
program = cl.Program(context, '''
kernel void count(global int *a, int n)
{
    int sum = 0;
    for (int i = 0; i < n; i++) sum += a[1 + (sum & 1)];
    a[0] = sum;
}
kernel void one_after_the_other(global int *a, int n)
{
    int first = 0, second = 0;
    for (int i = 0; i < n; i++) first += 1 + (a[0] & i);
    for (int i = 0; i < n; i++) second += 1 + (a[0] & i);
    a[1] = first;
    a[2] = second;
}
kernel void nested(global int *a, int n)
{
    int outer = 0, inner = 0;
    for (int i = 0; i < n; i++) {
        outer++;
        for (int k = 0; k < n; k++) inner += 1 + (a[0] & k);
    }
    a[1] = outer;
    a[2] = inner;
}''').build()


def run(kernel, turns, numbers):
    a = np.array(numbers, np.int32)
    buffer = cl.Buffer(context, cl.mem_flags.COPY_HOST_PTR, hostbuf=a)
    getattr(program, kernel)(queue, (1,), (1,), buffer, np.int32(turns))
    cl.enqueue_copy(queue, a, buffer)
    return a


one = ', '.join(f'{turns}: {run("count", turns, [0, 1, 1])[0]}' for turns in (65535, 70000, 1000000))
two = 'then 60000: {1}, {2}; 300 times 300: {3}, {4}'.format(0, *run('one_after_the_other', 60000, [0, 0, 0])[1:],
                                                              *run('nested', 300, [0, 0, 0])[1:])
conclude([one, '60000, ' + two],
         ['65535: 65535, 70000: 65535, 1000000: 65535', '60000, then 60000: 60000, 5534; 300 times 300: 218, 65101'])
PYTHON
