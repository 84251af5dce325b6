#!/bin/sh
# intel-opencl-rt 2026.2.0, Intel's OpenCL driver for CPUs: it keeps no compiled programs.
#
# PoCL and Mesa keep what they compile on disk, and a second process starts at once. This one compiles again in every
# process, and leaves no file in an empty home directory.
#
#     files left by three processes: 0, second build as long as the first: True
exec sh "$(dirname "$0")/support/finding.sh" intel-opencl-rt==2026.2.0 intel-cmplr-lib-rt==2026.2.0 tbb==2023.2.0 pyopencl==2026.1.4 numpy==2.4.6 <<'PYTHON'
import os
import subprocess
import sys

from finding import conclude, use_driver

use_driver(os.path.join(os.environ['FINDING'], 'lib', 'libintelocl.so'))
SCRIPT = '''
import time
import pyopencl as cl
device = cl.get_platforms()[0].get_devices()[0]
assert device.driver_version.startswith('2026.22.'), device.driver_version
source = 'kernel void k(global float *a) { int i = get_global_id(0);' + ''.join(
    f'a[i] = a[i] * exp(a[i] + {n}.5f) + sin(a[i]);' for n in range(60)) + '}'
start = time.perf_counter()
cl.Program(cl.Context([device]), source).build(cache_dir=False)
print(time.perf_counter() - start)
'''
times = [float(subprocess.run([sys.executable, '-c', SCRIPT], env=dict(os.environ, PYOPENCL_NO_CACHE='1'), check=True,
                              stdout=subprocess.PIPE, text=True).stdout) for _ in range(3)]
print('builds: ' + ' '.join(f'{seconds:.2f} s' for seconds in times))
files = sum(len(names) for _, _, names in os.walk(os.environ['HOME']))
conclude(f'files left by three processes: {files}, second build as long as the first: {min(times[1:]) > times[0] / 3}',
         'files left by three processes: 0, second build as long as the first: True')
PYTHON
