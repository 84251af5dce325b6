#!/bin/sh
# stream.sh: a Gaussian sum whose columns do not fit the device, beside the same with a device that has room for them:
#
#     sh bench/stream.sh [BUILD] [MILLIONS...]      (default: build, and 100 200 400 million columns; needs numpy, by BENCH_PYTHON)
#
# 64 rows, and columns of 16 bytes in files: three coordinates and a weight in float32. PoCL's device has 1 GiB
# (POCL_MEMORY_LIMIT=1), and for the run in core all of the host's. Each is one process of `quern eval`: its seconds, those of
# processors, and the most memory in MB, sampled: what is its own, and pages of the files, which the system takes back when it needs
# them. The largest difference of the results is relative to the largest of them. The files lie in TMPDIR until the end.
#
# STREAM_PLOT=FILE.svg draws the memory of the last size over time, by gnuplot.
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
import subprocess
import sys
import time

import numpy

FORMULA = 'x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)'
PIECE = 10 ** 6
LIMITS = {'streamed': {'POCL_MEMORY_LIMIT': '1'}, 'in core': {}}
PLOT = '''set terminal svg size 640,300 font 'sans,13'
set key outside top center horizontal
set xlabel 'seconds'
set ylabel 'MB'
set yrange [0:]
set grid
plot '{0}/streamed' using 1:2 with lines lw 2 lc rgb '#0072b2' title 'streamed: its own', \\
     '' using 1:3 with lines lc rgb '#56b4e9' title 'of files', \\
     '{0}/in core' using 1:2 with lines lw 2 lc rgb '#d55e00' title 'in core: its own', \\
     '' using 1:3 with lines lc rgb '#e69f00' title 'of files'
'''
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


def memory(pid):
    """MB that are resident now: what is the process's own, and pages of files."""
    with open(f'/proc/{pid}/status') as file:
        fields = dict(line.split(':', 1) for line in file)
    return [int(fields.get(name, '0').split()[0]) * 1024 / 1e6 for name in ('RssAnon', 'RssFile')]


def run(name):
    """Seconds, those of processors, and samples (seconds, own, files) of one process; its result goes to the file of that name."""
    words = [quern, 'eval', FORMULA, *(f'{v}={path(v)}' for v in 'xyb'), '-o', path(name), '--quiet']
    start, samples, done = time.monotonic(), [], 0
    child = os.posix_spawn(quern, words, {**os.environ, **LIMITS[name]})
    while not done:
        samples.append((time.monotonic() - start, *memory(child)))
        time.sleep(0.02)
        done, status, usage = os.wait4(child, os.WNOHANG)
    if status:
        sys.exit(f'stream.sh: quern eval has failed ({status})')
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, samples


def plot(samples, to):
    for name, rows in samples.items():
        numpy.savetxt(os.path.join(work, name), rows[::len(rows) // 200 + 1], fmt='%.2f')
    drawn = subprocess.run(['gnuplot'], input=PLOT.format(work), stdout=subprocess.PIPE, text=True, check=True).stdout
    with open(to, 'w', encoding='utf-8') as file:
        file.write('\n'.join(line.rstrip() for line in drawn.splitlines()) + '\n')


write('x', 64, 3)
heads = [f'{name}: {what}' for name in LIMITS for what in ('s', 's of processors', 'MB of its own', 'of files')]
print('| million columns | MB | ' + ' | '.join(heads) + ' | difference |\n' + '|---' * 11 + '|')
for million in map(int, millions):
    write('y', million * 10 ** 6, 3)
    write('b', million * 10 ** 6, 1)
    cells, samples = [], {}
    for name in LIMITS:
        seconds, processors, samples[name] = run(name)
        most = [max(sample[k] for sample in samples[name]) for k in (1, 2)]
        cells += [f'{seconds:.1f}', f'{processors:.1f}', *(f'{value:.0f}' for value in most)]
    streamed, in_core = (numpy.load(path(name)) for name in LIMITS)
    difference = numpy.abs(streamed - in_core).max() / numpy.abs(in_core).max()
    print(f'| {million} | {16 * million} | ' + ' | '.join(cells) + f' | {difference:.1e} |', flush=True)
if os.environ.get('STREAM_PLOT'):
    plot(samples, os.environ['STREAM_PLOT'])
END
