#!/bin/sh
# PoCL 3.1 (Debian 12, pocl-opencl-icd): it has as many compute units as the machine has cores, not as it may use.
#
# A process that is bound to one core (taskset, mpirun of Open MPI 4.1.4 up to two ranks, a batch system) is told of all cores and
# gets a thread for each, all of them on its one. POCL_MAX_PTHREAD_COUNT lessens the threads, and the compute units with them.
#
#     compute units: all cores unbound, all cores bound to one, 1 with POCL_MAX_PTHREAD_COUNT=1
exec sh "$(dirname "$0")/support/finding.sh" pyopencl==2026.1.4 numpy==2.4.6 <<'PYTHON'
import os
import subprocess
import sys

from finding import conclude, open_device, use_driver

use_driver('libpocl.so.2')
context, _ = open_device('PoCL 3.1')
cores = len(os.sched_getaffinity(0))
if cores < 2 or cores != os.cpu_count():
    print('two cores are needed, and the use of all')
    sys.exit(77)
SCRIPT = '''
import os, sys
if sys.argv[1] == 'bound': os.sched_setaffinity(0, [0])
import pyopencl as cl
print(cl.get_platforms()[0].get_devices()[0].max_compute_units)
'''


def units(binding, **variables):
    count = int(subprocess.run([sys.executable, '-c', SCRIPT, binding], env=dict(os.environ, **variables), check=True,
                               stdout=subprocess.PIPE, text=True).stdout)
    return 'all cores' if count == cores else count


conclude(f'compute units: {units("free")} unbound, {units("bound")} bound to one, '
         f'{units("bound", POCL_MAX_PTHREAD_COUNT="1")} with POCL_MAX_PTHREAD_COUNT=1',
         'compute units: all cores unbound, all cores bound to one, 1 with POCL_MAX_PTHREAD_COUNT=1')
PYTHON
