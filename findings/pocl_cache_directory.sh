#!/bin/sh
# PoCL 3.1 (Debian 12, pocl-opencl-icd): without a place for its cache of programs it has no devices.
#
# A program asks for devices in a process whose POCL_CACHE_DIR cannot be made. The platform is there, but there is no CPU in
# it, and no error says why; so it looks as if the driver were not for this machine.
#
#     a cache that can be written: 1 device, one that cannot: 0 devices
exec sh "$(dirname "$0")/support/finding.sh" pyopencl==2026.1.4 numpy==2.4.6 <<'PYTHON'
import os
import subprocess
import sys

from finding import conclude, use_driver

use_driver('libpocl.so.2')
SCRIPT = '''
import pyopencl as cl
try: print(len(cl.get_platforms()[0].get_devices()), cl.get_platforms()[0].version)
except cl.Error: print(0)
'''
counts = []
for folder in (os.environ['POCL_CACHE_DIR'], '/proc/none'):
    done = subprocess.run([sys.executable, '-c', SCRIPT], env=dict(os.environ, POCL_CACHE_DIR=folder),
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    counts.append((done.stdout.split() or ['?'])[0])
    if not counts[1:] and 'PoCL 3.1' not in done.stdout:
        print('PoCL 3.1 is not installed')
        sys.exit(77)
conclude(f'a cache that can be written: {counts[0]} device, one that cannot: {counts[1]} devices',
         'a cache that can be written: 1 device, one that cannot: 0 devices')
PYTHON
