#!/usr/bin/env python3
"""terminal_test.py: what `quern eval` tells a terminal on stderr while it works, and nobody else.

    python3 tests/cli/terminal_test.py PATH/TO/quern

Each run has a pseudo-terminal or a pipe for stderr, and a pipe for stdout. Prints an `ok` or `not ok` line for each check,
then `N passed, N failed`.
"""
import array
import os
import pty
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from npy import put_npy

# over a second of building, and of running, on any machine
SLOW_BUILD = ['x=Vi(20); y=Vj(20); Sum_j(SoftDTW_SqDist(x,y,0.5))', 'x=' + ','.join(['1'] * 20), 'y=' + ','.join(['2'] * 20)]
LONG_RUN = 'x=Vi(3); y=Vj(3); Sum_i(Sum_j(Exp(-SqDist(x,y))*Cos(x|y)*Sin(Norm2(x-y))))'


def run(quern, words, terminal, **more):
    """(stdout, stderr), stderr being a terminal or not."""
    environment = dict(os.environ, TERM='xterm', **more)
    if not terminal:
        done = subprocess.run([quern, 'eval', *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=environment)
        return done.stdout, done.stderr
    master, slave = pty.openpty()
    with subprocess.Popen([quern, 'eval', *words], stdout=subprocess.PIPE, stderr=slave, text=True,
                          env=environment) as process:
        os.close(slave)
        told = b''
        while True:
            try:
                part = os.read(master, 4096)
            except OSError:
                break
            if not part:
                break
            told += part
        out = process.stdout.read()
    os.close(master)
    return out, told.decode()


def visible(told):
    """What the line shows in the end."""
    line = ''
    for part in told.split('\r'):
        line = part + line[len(part):]
    return line.strip()


def main(arguments):
    if len(arguments) != 1:
        print('usage: terminal_test.py PATH/TO/quern', file=sys.stderr)
        return 2
    quern, counts = os.path.abspath(arguments[0]), [0, 0]

    def report(name, fault):
        print(f'not ok - {name}: {fault}' if fault else f'ok - {name}')
        counts[bool(fault)] += 1

    with tempfile.TemporaryDirectory() as folder:
        cache = {name: os.path.join(folder, name.lower()) for name in ('POCL_CACHE_DIR', 'QUERN_CACHE_DIR')}
        for path in cache.values():
            os.mkdir(path, 0o700)
        out, told = run(quern, SLOW_BUILD, True, **cache)
        report('a long build is told', 'building a program' not in told and told)
        report('and the line goes away', visible(told))
        first = out
        out, told = run(quern, SLOW_BUILD, True, **cache)
        report('a program from the cache is not', 'building' in told and told)
        report('results are the same', out != first and out)

        points, seconds = 20000, 0
        path = os.path.join(folder, 'x.npy')
        while seconds < 3: # long enough, whatever the machine
            points *= 2
            put_npy(path, '<f4', (points, 3), array.array('f', (n % 97 / 97 for n in range(3 * points))).tobytes())
            for _ in range(2): # the first builds
                before = os.times().elapsed
                plain, told = run(quern, [LONG_RUN, f'x={path}', f'y={path}'], False)
                seconds = os.times().elapsed - before
        report('a pipe is told nothing', told)
        words = [LONG_RUN, f'x={path}', f'y={path}']
        out, told = run(quern, words, True)
        report('a long run tells what is left', ' % done, ' not in told and told)
        report('and that line goes away', visible(told))
        report('with the same result', out != plain and out)
        out, told = run(quern, [*words, '--quiet'], True)
        report('--quiet tells nothing', told)
        path = os.path.join(folder, 'whole.npy')
        put_npy(path, '<i4', (2, 1), struct.pack('<2i', 1, 2))
        out, told = run(quern, ['x=Vi(1); x*1', f'x={path}'], False)
        report('a conversion is told', 'holds <i4; read as float32' not in told and told)
        out, told = run(quern, ['x=Vi(1); x*1', f'x={path}', '--quiet'], False)
        report('but not with --quiet', told)
        run(quern, ['x=Vi(1); y=Vj(1); Sum_j(x*y)', 'x=1,2', 'y=3'], False) # which builds it
        out, told = run(quern, ['x=Vi(1); y=Vj(1); Sum_j(x*y)', 'x=1,2', 'y=3'], True)
        report('a short run tells nothing', told)
    print(f'{counts[0]} passed, {counts[1]} failed')
    return counts[1] > 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
