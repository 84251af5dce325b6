#!/usr/bin/env python3
"""ranges_test.py: `quern eval --ranges`, `--labels` and `--keep`: which rows meet which columns, in words and in files.

    python3 tests/cli/ranges_test.py PATH/TO/quern

All ways of saying the same give the sums over the pairs that meet, as counted here; then gradients, batches, pruning, nothing at
all, and what is told of nonsense.
"""
import os
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from npy import put_npy
from verdicts import finish, report

QUERN = os.path.abspath(sys.argv[1])
FORMULA = 'x=Vi(1); y=Vj(1); Sum_j(x*y)'
WORDS = (FORMULA, 'x=1,2,3', 'y=1,10,100')
# exit codes, of quern/status.def
USAGE, SHAPE, UNSUPPORTED, IO = 2, 6, 10, 15


def put(name, letter, shape, numbers):
    codes = {'q': '<i8', 'i': '<i4', 'd': '<f8', 'f': '<f4', '?': '|b1'}
    put_npy(name, codes[letter], shape, struct.pack(f'<{len(numbers)}{letter}', *numbers))


def run(*words, **environment):
    done = subprocess.run([QUERN, 'eval', *words], capture_output=True, text=True, env={**os.environ, **environment})
    return done.returncode, done.stdout, done.stderr


def prints(name, wanted, *words):
    code, out, err = run(*words)
    report(name, '' if (code, out.split(), err) == (0, wanted.split(), '') else f'gave {code}, {out!r}, {err!r}')


def fails(name, code, told, *words):
    got, out, err = run(*words)
    report(name, '' if (got, out) == (code, '') and told in err else f'gave {got}, {out!r}, {err!r}')


def put_files():
    put('rows.npy', 'q', (2, 2), [0, 1, 1, 3])
    put('ends.npy', 'i', (2,), [1, 3])
    put('columns.npy', 'q', (3, 2), [0, 3, 0, 1, 2, 3])
    put('clusters.npy', 'i', (3, 2), [0, 1, 1, 2, 2, 3])
    put('keep.npy', '?', (2, 3), [True, True, True, True, False, True])
    put('i.npy', 'q', (3,), [3, 7, 7])
    put('j.npy', 'd', (3,), [3, 7, 9])
    put('none.npy', 'q', (0, 2), [])
    put('no_ends.npy', 'q', (0,), [])
    put('half.npy', 'd', (1, 2), [0, 0.5])
    put('wide.npy', 'q', (1, 3), [0, 1, 2])
    put('back.npy', 'q', (3,), [3, 9, 7])
    put('early.npy', 'q', (2,), [1, 2])


def say_the_same():
    wanted = '111 202 303'
    prints('in words', wanted, *WORDS, '--ranges', ' 0:1=0:3;1:3= 0:1,2:3 ')
    prints("KeOps's arrays", wanted, *WORDS, '--ranges', 'rows.npy,ends.npy,columns.npy')
    prints('a matrix of clusters', wanted, *WORDS, '--ranges', 'rows.npy,clusters.npy', '--keep', 'keep.npy')
    prints('labels and a matrix', wanted, *WORDS, '--labels', 'i.npy,j.npy', '--keep', 'keep.npy')
    prints('a matrix in words', wanted, *WORDS, '--labels', 'i.npy,j.npy', '--keep', '1,1,1,1,0,1')
    prints('labels alone', '1 20 30', *WORDS, '--labels', 'i.npy,j.npy')
    with open('i.csv', 'w') as file:
        file.write('label\n3\n7\n7\n')
    prints('labels in a table', '1 20 30', *WORDS, '--labels', 'i.csv,j.npy')


def compute_more():
    ranges = ('--ranges', '0:1=0:3; 1:3=0:1,2:3')
    prints('rows are counted', '3 2 2', 'x=Vi(1); y=Vj(1); Sum_j(Repeat_i(1))', *WORDS[1:], *ranges)
    prints('a sum that would be simplified', '3 4 6', 'x=Vi(1); y=Vj(1); Sum_j(x)', *WORDS[1:], *ranges)
    prints('over the other axis', '6 1 6', 'x=Vi(1); y=Vj(1); Sum_i(Repeat_j(x))', *WORDS[1:], *ranges)
    prints('a gradient', '6 1 6', *WORDS, *ranges, '--grad', 'y')
    prints('on two devices', '111 202 303', *WORDS, *ranges, '--device', '0:0,0:0')
    prints('two passes', '616', 'x=Vi(1); y=Vj(1); Sum_i(Sum_j(x*y))', *WORDS[1:], *ranges)
    prints('NaN where it is met alone', '1 nan nan', FORMULA, 'x=1,2,3', 'y=1,nan,100', '--ranges', '0:1=0:1; 1:3=0:3')
    prints('indices', '2 1 -1', 'x=Vi(1); y=Vj(1); ArgMax_j(x*y)', *WORDS[1:], '--ranges', '0:1=0:3; 1:2=0:2')
    put('b.npy', 'f', (2, 3, 1), [1, 2, 3, 4, 5, 6])
    prints('in a batch', '11 0 0 0 5 6', FORMULA, 'x=b.npy', 'y=1,10,100', '--ranges', '0:1=0:2; 4:6=3:4')
    prints('in a ragged batch', '1 20 30', *WORDS, '--offsets-i', '0,1,3', '--offsets-j', '0,1,3', '--ranges',
           '0:1=0:1; 1:3=1:2')


def prune():
    ranges = ('--ranges', '0:1=0:3; 1:3=0:1,2:3', '--prune', '--quiet')
    prints('pruned', '0 1 4', 'x=Vi(1); y=Vj(1); Min_j(Square(x-y))', *WORDS[1:], *ranges)
    prints('pruned in a batch', '1 2 3 4 5 6', 'x=Vi(1); y=Vj(1); Min_j(Square(x-y))*0+x', 'x=b.npy', 'y=1,10', '--prune', '--quiet')
    prints('pruned in a ragged batch', '0 0 0', 'x=Vi(1); y=Vj(1); ArgMin_j(Square(x-y))', *WORDS[1:], '--offsets-i', '0,1,3',
           '--offsets-j', '0,1,3', '--prune', '--quiet')
    put('p.npy', 'f', (300, 1), [k * k % 77 for k in range(300)])
    words = ('x=Vi(1); y=Vj(1); ArgMin_j(Abs(x-y))', 'x=p.npy', 'y=p.npy', '--quiet')
    without = run(*words, '--prune', '--verbose', POCL_EXTRA_BUILD_FLAGS='-Dquern_boxes=gone') # as oclgrind's compiler does
    report('pruned where the driver does not make the kernel', '' if without[:2] == run(*words)[:2] and 'pruned' not in without[2] and
           ('found on the host' in without[2] or 'pthread' not in without[2]) else f'gave {without}')


def meet_nothing():
    prints('no blocks', '0 0 0', *WORDS, '--ranges', 'none.npy,no_ends.npy,none.npy')
    prints('a block without columns', '0 0 0', *WORDS, '--ranges', '0:3=')
    prints('empty spans', '1 2 3', *WORDS, '--ranges', '0:0=0:3; 0:3=0:0,0:1,1:1')
    prints('one pair', '6', FORMULA, 'x=2', 'y=3', '--ranges', '0:1=0:1')


def tell_of_nonsense():
    fails('blocks out of order', SHAPE, 'block 1 begins at row 0, before block 0 ends at 3', *WORDS, '--ranges', '1:3=0:1; 0:1=0:1')
    fails('blocks that overlap', SHAPE, 'block 1 begins at row 1', *WORDS, '--ranges', '0:2=0:1; 1:3=0:1')
    fails('columns that overlap', SHAPE, 'begins at column 1', *WORDS, '--ranges', '0:2=0:2,1:3')
    fails('columns out of bounds', SHAPE, 'columns 0 to 4 of 3', *WORDS, '--ranges', '0:2=0:4')
    fails('rows out of bounds', SHAPE, 'rows 0 to 4 of 3', *WORDS, '--ranges', '0:4=0:1')
    fails('backwards', SHAPE, 'from 2 to 1', *WORDS, '--ranges', '2:1=0:1')
    fails('words that are wrong', USAGE, '"1" is not a block', *WORDS, '--ranges', '0:1=1')
    fails('too many files', USAGE, 'is neither blocks', *WORDS, '--ranges', 'a,b,c,d')
    fails('two files without --keep', USAGE, 'is neither blocks', *WORDS, '--ranges', 'rows.npy,clusters.npy')
    fails('a file that is not there', IO, "cannot open 'a'", *WORDS, '--ranges', 'a,ends.npy,columns.npy')
    fails('half a row', USAGE, '0.5 is not a row', *WORDS, '--ranges', 'half.npy,ends.npy,columns.npy')
    fails('three numbers', SHAPE, 'wide.npy has 3 columns', *WORDS, '--ranges', 'wide.npy,ends.npy,columns.npy')
    fails('ends of other blocks', SHAPE, '2 numbers for the 3 blocks', *WORDS, '--ranges', 'clusters.npy,ends.npy,columns.npy')
    fails('ends behind the last span', SHAPE, 'block 0 end at 3; those before end at 0, and rows.npy has 2', *WORDS, '--ranges',
          'clusters.npy,i.npy,rows.npy')
    fails('spans that are left', SHAPE, 'the first 2 by early.npy', *WORDS, '--ranges', 'rows.npy,early.npy,columns.npy')
    fails('another matrix', SHAPE, '2 x 3 numbers for 3 clusters of rows and 3 of columns', *WORDS, '--ranges',
          'clusters.npy,clusters.npy', '--keep', 'keep.npy')
    fails('labels out of order', USAGE, 'back.npy is not in ascending order: row 2 comes before row 1', *WORDS, '--labels',
          'i.npy,back.npy')
    fails('labels of other rows', SHAPE, '3 rows j have a label, of 2', FORMULA, 'x=1,2,3', 'y=1,2', '--labels', 'i.npy,j.npy')
    fails('labels of two columns', SHAPE, 'labels are one for each row', *WORDS, '--labels', 'rows.npy,j.npy')
    fails('one file of labels', USAGE, 'is not two files', *WORDS, '--labels', 'i.npy')
    fails('both', USAGE, 'keep one', *WORDS, '--labels', 'i.npy,j.npy', '--ranges', '0:1=0:1')
    fails('a matrix of nothing', USAGE, '--keep is for', *WORDS, '--keep', 'keep.npy')
    fails('across members', SHAPE, 'leave their member', *WORDS, '--offsets-i', '0,1,3', '--offsets-j', '0,1,3', '--ranges',
          '0:3=0:1')
    fails('slices', UNSUPPORTED, 'tolerances and ranges', *WORDS, '--ranges', '0:1=0:1', '--resume', 'r')
    fails('pruning on several devices', UNSUPPORTED, 'one device', *WORDS, '--prune', '--device', '0:0,0:0')


def main():
    put_files()
    for part in (say_the_same, compute_more, prune, meet_nothing, tell_of_nonsense):
        part()
    return finish()


if __name__ == '__main__':
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        code = main()
        os.chdir('/')
    sys.exit(code)
