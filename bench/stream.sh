#!/bin/sh
# stream.sh: a Gaussian sum whose columns do not fit the device, beside the same with a device that has room for them:
#
#     sh bench/stream.sh [BUILD] [MILLIONS...]      (default: build, and 100 200 400 million columns; needs numpy, by BENCH_PYTHON)
#
# 64 rows, and columns of 16 bytes: three coordinates and a weight in float32. PoCL's device has 1 GiB (POCL_MEMORY_LIMIT=1), and
# for the run in core all of the host's. Each is one process of `quern eval`: its seconds with reading the files, and its peak
# memory (VmHWM, by getrusage) in MB, also less the arrays, which such a process holds in the host's memory too: that is what the
# device holds and what a process costs. The largest difference of the results is relative to the largest of them. The files
# lie in TMPDIR until the end.
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- 100 200 400
quern=$build/src/cli/quern
[ -x "$quern" ] || { echo "stream.sh: $quern is not there; build quern first" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
export QUERN_HOST=off QUERN_PROFILES=none

"${BENCH_PYTHON:-python3}" - "$quern" "$work" "$@" <<'END'
import os
import sys
import time

import numpy

FORMULA = 'x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)'
PIECE = 10 ** 6
quern, work, *millions = sys.argv[1:]
generator = numpy.random.default_rng(1)


def path(name):
    return os.path.join(work, name + '.npy')


def write(name, rows, columns):
    """Uniform numbers, made and written a piece at a time, so that this process stays small."""
    with open(path(name), 'wb') as file:
        header = {'descr': '<f4', 'fortran_order': False, 'shape': (rows, columns)}
        numpy.lib.format.write_array_header_1_0(file, header)
        for row in range(0, rows, PIECE):
            generator.random((min(PIECE, rows - row), columns), dtype=numpy.float32).tofile(file)


def run(result, limit):
    """Seconds and peak MB of one process; its result goes to the file of that name."""
    environment = {**os.environ, **limit}
    words = [quern, 'eval', FORMULA, *(f'{name}={path(name)}' for name in 'xyb'), '-o', path(result), '--quiet']
    start = time.monotonic()
    child = os.posix_spawn(quern, words, environment)
    _, status, usage = os.wait4(child, 0)
    if status:
        sys.exit(f'stream.sh: quern eval has failed ({status})')
    return time.monotonic() - start, usage.ru_maxrss * 1024 / 1e6


write('x', 64, 3)
run_limits = {'streamed': {'POCL_MEMORY_LIMIT': '1'}, 'in_core': {}}
print('| million columns | arrays, MB | streamed, s | peak, MB | less arrays | in core, s | peak, MB | less arrays | difference |')
print('|---' * 9 + '|')
for million in map(int, millions):
    write('y', million * 10 ** 6, 3)
    write('b', million * 10 ** 6, 1)
    arrays = 16 * million
    cells = []
    for name, limit in run_limits.items():
        seconds, peak = run(name, limit)
        cells += [f'{seconds:.1f}', f'{peak:.0f}', f'{peak - arrays:.0f}']
    streamed, in_core = (numpy.load(path(name)) for name in run_limits)
    difference = numpy.abs(streamed - in_core).max() / numpy.abs(in_core).max()
    print(f'| {million} | {arrays} | ' + ' | '.join(cells) + f' | {difference:.1e} |', flush=True)
END
