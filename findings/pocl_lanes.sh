#!/bin/sh
# PoCL 3.1 (Debian 12, pocl-opencl-icd): lanes of a vector change each other's results.
#
# pow(double8) with a denormal base in lane 7 gives 0 in lane 3, whose base is 4, and a wrong number in lane 7; n and n/2 in
# general; so does 0, infinity or NaN in an even lane n to lane n/2, which loses its exponent. sin(float8) of any number below 1/128 is between 1/128 and 1/64 if another lane holds 2^23 or
# more, and right if none does; cos and tan likewise. Alone, as scalars, all are right.
#
#     pow, lanes 3 and 7 beside others: 2 2, beside a denormal: 0 3.037e-146
#     pow, lane 3 with 0, inf and nan in lane 6: 0.7071 0.7071 0.7071
#     sin of 1e-30, 0.001, 0.0079 beside 2^23 - 1: 1e-30 0.001 0.0078999, beside 2^23: 0.0099034 0.0079999 0.0078999
exec sh "$(dirname "$0")/support/finding.sh" pyopencl==2026.1.4 numpy==2.4.6 <<'PYTHON'
from finding import conclude, open_device, use_driver

use_driver('libpocl.so.2')
import numpy as np
import pyopencl as cl

context, queue = open_device('PoCL 3.1')
program = cl.Program(context, '''
kernel void root(global const double8 *x, global double8 *r) { r[0] = pow(x[0], (double8)0.5); }
kernel void sine(global const float8 *x, global float8 *r) { r[0] = sin(x[0]); }
''').build()
root, sine = cl.Kernel(program, 'root'), cl.Kernel(program, 'sine')


def run(kernel, values, dtype):
    x = np.array(values, dtype)
    source = cl.Buffer(context, cl.mem_flags.COPY_HOST_PTR, hostbuf=x)
    result = cl.Buffer(context, 0, x.nbytes)
    kernel(queue, (1,), (1,), source, result)
    cl.enqueue_copy(queue, x, result)
    return x


plain, denormal = (run(root, [4] * 7 + [last], np.float64) for last in (4, 1e-310))
special = [run(root, [4] * 6 + [base, 4], np.float64)[3] for base in (0, np.inf, np.nan)]
near, far = (run(sine, [1e-30, 0.001, 0.0079] + [1, 2, 3, 4] + [last], np.float32)[:3] for last in (2**23 - 1, 2**23))
show = lambda values: ' '.join(f'{value:.5g}' for value in values)
conclude([f'pow, lanes 3 and 7 beside others: {plain[3]:g} {plain[7]:g}, beside a denormal: {denormal[3]:g} {denormal[7]:g}',
          'pow, lane 3 with 0, inf and nan in lane 6: ' + ' '.join(f'{value:.4g}' for value in special),
          f'sin of 1e-30, 0.001, 0.0079 beside 2^23 - 1: {show(near)}, beside 2^23: {show(far)}'],
         ['pow, lanes 3 and 7 beside others: 2 2, beside a denormal: 0 3.037e-146',
          'pow, lane 3 with 0, inf and nan in lane 6: 0.7071 0.7071 0.7071',
          'sin of 1e-30, 0.001, 0.0079 beside 2^23 - 1: 1e-30 0.001 0.0078999, beside 2^23: 0.0099034 0.0079999 0.0078999'])
PYTHON
