#!/bin/sh
# large.sh: a sum over files that neither the device nor the host's memory holds, killed and gone on with:
#
#     sh bench/large.sh [BUILD] [GB]      (default: build, 20; needs numpy, by BENCH_PYTHON)
#
# 16 rows, and columns of 16 bytes as in stream.sh, in files of so many GB, which lie in TMPDIR (/var/tmp) until the end; 15 GB
# more must be free there. PoCL's device has 1 GiB (POCL_MEMORY_LIMIT=1). Printed are: the sum as one run, and with --resume, killed
# (SIGKILL) after half of its slices and started again, each with its seconds and the memory of the process, sampled; how many
# slices its file had then; and the largest differences of the two, and of the first twentieth of the columns in core and streamed.
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
quern=$build/src/cli/quern
[ -x "$quern" ] || { echo "large.sh: $quern is not there; build quern first" >&2; exit 1; }
work=$(mktemp -d "${TMPDIR:-/var/tmp}/quern-large-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
export QUERN_HOST=off QUERN_PROFILES=none

"${BENCH_PYTHON:-python3}" - "$quern" "$work" "${2:-20}" <<'END'
import os
import shutil
import signal
import struct
import subprocess
import sys
import time

import numpy

FORMULA = 'x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)'
ROWS, PIECE, SPARE = 16, 10 ** 6, 15e9
quern, work, gigabytes = sys.argv[1], sys.argv[2], float(sys.argv[3])
columns = int(gigabytes * 1e9 / 16 / PIECE) * PIECE
generator = numpy.random.default_rng(1)


def path(name):
    return os.path.join(work, name)


def write(name, rows, width, source=None):
    """Uniform numbers, or those of a file from its beginning on, a piece at a time."""
    with open(path(name), 'wb') as file:
        numpy.lib.format.write_array_header_1_0(file, {'descr': '<f4', 'fortran_order': False, 'shape': (rows, width)})
        for row in range(0, rows, PIECE):
            count = min(PIECE, rows - row)
            data = source[row:row + count] if source is not None else generator.random((count, width), dtype=numpy.float32)
            data.tofile(file)


def start(result, y, b, *words, **limit):
    return subprocess.Popen([quern, 'eval', FORMULA, 'x=' + path('x.npy'), 'y=' + path(y), 'b=' + path(b), '-o', path(result), *words],
                            env={**os.environ, **limit}, stderr=subprocess.PIPE, text=True)


def memory(process):
    """MB that are resident now: what is the process's own, and pages of files."""
    try:
        with open(f'/proc/{process.pid}/status') as file:
            fields = dict(line.split(':', 1) for line in file)
        return tuple(int(fields[name].split()[0]) * 1024 // 10 ** 6 for name in ('RssAnon', 'RssFile'))
    except (OSError, KeyError):
        return None


def slices():
    """Done, and in all, as the file of --resume has them; None: it is not there."""
    try:
        with open(path('r'), 'rb') as file:
            _, _, _, rows, count, _, slice_columns, _, pieces = struct.unpack('<16x9q', file.read(88))
        return pieces, -(-count // slice_columns)
    except (OSError, struct.error):
        return None


def watch(process, until=lambda: False):
    """Seconds, and samples of memory; the process is killed once until() is true."""
    begin, samples = time.monotonic(), []
    while process.poll() is None:
        sample = memory(process)
        if sample:
            samples.append(sample)
        if until():
            process.kill()
        time.sleep(0.2)
    told = process.stderr.read().strip()
    if process.returncode not in (0, -signal.SIGKILL):
        sys.exit(f'large.sh: quern eval has failed: {told}')
    return time.monotonic() - begin, samples, told


def tell(name, seconds, samples):
    parts = [max(samples[len(samples) * k // 4:len(samples) * (k + 1) // 4 or 1], key=sum, default=(0, 0)) for k in range(4)]
    print(f'{name}: {seconds:.0f} s; the most MB of its own + of files, in each quarter:',
          ', '.join(f'{own} + {files}' for own, files in parts), flush=True)


def half_done():
    now = slices()
    return now is not None and 2 * now[0] >= now[1]


free = shutil.disk_usage(work).free
if free < gigabytes * 1e9 + SPARE:
    sys.exit(f'large.sh: {free / 1e9:.0f} GB are free, {gigabytes:.0f} + 15 are wanted')
write('x.npy', ROWS, 3)
write('y.npy', columns, 3)
write('b.npy', columns, 1)
few = columns // 20
write('y_few.npy', few, 3, numpy.load(path('y.npy'), mmap_mode='r'))
write('b_few.npy', few, 1, numpy.load(path('b.npy'), mmap_mode='r'))
print(f'{columns} columns, {16 * columns / 1e9:.1f} GB', flush=True)

tell('in one run', *watch(start('once.npy', 'y.npy', 'b.npy', '--quiet', POCL_MEMORY_LIMIT='1'))[:2])
words = ('--resume', path('r'), '--slice', str(ROWS * columns // 100))
seconds, samples, _ = watch(start('again.npy', 'y.npy', 'b.npy', *words, POCL_MEMORY_LIMIT='1'), half_done)
tell('killed after half', seconds, samples)
kept = slices()
print(f'its file had {kept[0]} of {kept[1]} slices' if kept else 'it had no file', flush=True)
seconds, samples, told = watch(start('again.npy', 'y.npy', 'b.npy', *words, POCL_MEMORY_LIMIT='1'))
tell('gone on with', seconds, samples)
print(told)
once, again = numpy.load(path('once.npy')), numpy.load(path('again.npy'))
print(f'largest difference of the two: {numpy.abs(once - again).max() / numpy.abs(once).max():.1e} of the largest')
watch(start('in_core.npy', 'y_few.npy', 'b_few.npy', '--quiet'))
watch(start('streamed.npy', 'y_few.npy', 'b_few.npy', '--quiet', POCL_MEMORY_LIMIT='1'))
in_core, streamed = numpy.load(path('in_core.npy')), numpy.load(path('streamed.npy'))
print(f'of {few} columns in core and streamed: {numpy.abs(in_core - streamed).max() / numpy.abs(in_core).max():.1e} of the largest')
END
