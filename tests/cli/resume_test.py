#!/usr/bin/env python3
"""resume_test.py: `quern eval --resume`: runs that are killed and go on, and files that belong to something else.

    python3 tests/cli/resume_test.py PATH/TO/quern

The results of a run that was killed are, to the bit, those of one that was not.
"""
import fcntl
import os
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from npy import put_npy
from verdicts import finish, report

QUERN = os.path.abspath(sys.argv[1])
ROWS, COLUMNS = 5000, 3000
FORMULA = 'x=Vi(2); y=Vj(2); Sum_j(Exp(-SqDist(x,y))), ArgMin_j(SqDist(x,y))'
WORDS = ['x=x.npy', 'y=y.npy', '-o', 'a.npy', '-o', 'k.npy', '--resume', 'r', '--slice']
# exit codes, of quern/status.def
USAGE, UNSUPPORTED, IO = 2, 10, 15


def put(name, rows, columns, seed):
    numbers = [((k * 2654435761 + seed) % 65536) / 65536 for k in range(rows * columns)]
    put_npy(name, '<f4', (rows, columns), struct.pack(f'<{len(numbers)}f', *numbers))


def start(formula=FORMULA, slice_pairs='1200000', words=tuple(WORDS)):
    return subprocess.Popen([QUERN, 'eval', formula, *words, slice_pairs], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(**given):
    process = start(**given)
    out, err = process.communicate()
    return process.returncode, out + err


def read(*names):
    data = []
    for name in names:
        with open(name, 'rb') as file:
            data.append(file.read())
    return data


def kill_after_a_slice():
    """Whether there was something to kill."""
    process = start()
    while not os.path.exists('r') and process.poll() is None:
        time.sleep(0.001)
    process.kill()
    process.communicate()
    return process.returncode != 0 and os.path.exists('r')


def fails(name, got, code, told):
    report(name, '' if got[0] == code and told in got[1] else f'gave {got}')


def main():
    put('x.npy', ROWS, 2, 1)
    put('y.npy', COLUMNS, 2, 2)
    put('z.npy', COLUMNS, 2, 3)
    fails('a run that is not disturbed', run(), 0, '')
    whole = read('a.npy', 'k.npy')
    subprocess.run([QUERN, 'eval', FORMULA, *WORDS[:2], '-o', 'b.npy', '-o', 'n.npy'], check=True)
    report('indices are those of a plain run', '' if read('n.npy') == whole[1:] else 'they differ')
    report('its file is gone', '' if not os.path.exists('r') and not os.path.exists('r.lock') else 'it is there')
    killed = any(kill_after_a_slice() for _ in range(5))
    report('a run is killed', '' if killed else 'it was always over before')
    if killed:
        fails('another formula', run(formula=FORMULA.replace('Exp', 'Sqrt')), USAGE, 'of another formula')
        fails('other data', run(words=[word.replace('y.npy', 'z.npy') for word in WORDS]), USAGE, 'with other data')
        fails('other slices', run(slice_pairs='4000000'), USAGE, 'with another --slice')
        with open('r.lock', 'wb') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            fails('two processes', run(), IO, "another process is at work with 'r'")
        fails('it goes on', run(), 0, 'done already')
        report('with the same bits', '' if read('a.npy', 'k.npy') == whole else 'they differ')
    with open('r', 'wb') as file:
        file.write(b'nothing')
    fails('a foreign file', run(), IO, 'was not written by --resume')
    report('which stays, and nothing beside it', '' if read('r') == [b'nothing'] and not os.path.exists('r.lock') else 'it does not')
    os.remove('r')
    os.symlink('.', 'here')
    twice = [word.replace('a.npy', 'here/r') for word in WORDS]
    fails('a result in the place of the file', run(words=twice), USAGE, 'is given for --resume')
    put('none.npy', 0, 2, 1)
    fails('no columns', run(words=[word.replace('y.npy', 'none.npy') for word in WORDS]), 0, '')
    report('which give no sum', '' if not any(read('a.npy')[0][128:]) else 'they do')
    fails('several passes', run(formula='x=Vi(2); y=Vj(2); Sum_i(Sum_j(Exp(-SqDist(x,y))))',
                                words=['x=x.npy', 'y=y.npy', '--resume', 'r', '--slice']), UNSUPPORTED, 'of one pass, and this one takes 2')
    fails('no reduction', run(formula='x=Vi(2); 2*x', words=['x=x.npy', '--resume', 'r', '--slice']), UNSUPPORTED, 'for reductions')
    inner = run(words=['x=x.npy', 'y=y.npy', '-o', 's.npy', '--resume', 'r', '--slice'], formula='x=Vi(2); y=Vj(2); Sum_j(Exp(-SqDist(x,y)))')
    outer = run(words=['s=s.npy', '--resume', 'r', '--slice'], formula='s=Vi(1); Sum_i(s)')
    once = subprocess.run([QUERN, 'eval', 'x=Vi(2); y=Vj(2); Sum_i(Sum_j(Exp(-SqDist(x,y))))', 'x=x.npy', 'y=y.npy'], capture_output=True,
                          text=True)
    fails('one after the other', inner, 0, '')
    near = outer[0] == 0 and abs(float(outer[1].split()[0]) / float(once.stdout) - 1) < 1e-5
    report('is the same', '' if near else f'gave {outer}, {once}')
    fails('a slice without a file', run(words=['x=x.npy', 'y=y.npy', '--slice']), USAGE, '--slice is for --resume')
    return finish()


if __name__ == '__main__':
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        code = main()
        os.chdir('/')
    sys.exit(code)
