#!/bin/sh
# Mesa 22.3.6 (Debian 12, mesa-opencl-icd), rusticl on llvmpipe: lgamma has a gap where it is infinite.
#
# lgamma(x) is +inf for x from -2^-64.25 to -2^-70, where it is 44.5 to 48.5; on either side of the gap it is right. At
# -inf it is -inf, where C has +inf. tgamma(-0) is +inf, and tgamma is off by up to 261 units in the last place, erfc by up to 63
# near 8, where OpenCL 3.0 allows 16 (section 7.4).
#
#     lgamma of -2^-64, -2^-65, -2^-70, -2^-71, -inf: 44.36 inf inf 49.21 -inf
#     tgamma(-0): inf, off at -32.2773 by more than 16 ulp: True
#     erfc off at 7.9943733 by more than 16 ulp: True
exec sh "$(dirname "$0")/support/finding.sh" pyopencl==2026.1.4 numpy==2.4.6 <<'PYTHON'
from finding import conclude, open_device, use_driver

use_driver('libRusticlOpenCL.so.1', RUSTICL_ENABLE='llvmpipe')
import math
import numpy as np
import pyopencl as cl

context, queue = open_device('22.3.6')


def run(function, values):
    kernel = cl.Kernel(cl.Program(context, f'''kernel void k(global const float *x, global float *r)
                                               {{ r[get_global_id(0)] = {function}(x[get_global_id(0)]); }}''').build(), 'k')
    x = np.array(values, np.float32)
    result = np.empty_like(x)
    source = cl.Buffer(context, cl.mem_flags.COPY_HOST_PTR, hostbuf=x)
    target = cl.Buffer(context, 0, x.nbytes)
    kernel(queue, x.shape, None, source, target)
    cl.enqueue_copy(queue, result, target)
    return result


def off(function, right, x):
    """Units in the last place between the device's and the right value at a float32 number."""
    x = float(np.float32(x))
    return abs(float(run(function, [x])[0]) - right(x)) / float(np.spacing(np.float32(abs(right(x)))))


gap = run('lgamma', [-2.0**-64, -2.0**-65, -2.0**-70, -2.0**-71, -math.inf])
conclude(['lgamma of -2^-64, -2^-65, -2^-70, -2^-71, -inf: ' + ' '.join(f'{value:.4g}' for value in gap),
          f'tgamma(-0): {run("tgamma", [-0.0])[0]:g}, off at -32.2773 by more than 16 ulp: {off("tgamma", math.gamma, -32.2773) > 16}',
          f'erfc off at 7.9943733 by more than 16 ulp: {off("erfc", math.erfc, 7.9943733) > 16}'],
         ['lgamma of -2^-64, -2^-65, -2^-70, -2^-71, -inf: 44.36 inf inf 49.21 -inf',
          'tgamma(-0): inf, off at -32.2773 by more than 16 ulp: True',
          'erfc off at 7.9943733 by more than 16 ulp: True'])
PYTHON
