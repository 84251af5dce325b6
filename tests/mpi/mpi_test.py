#!/usr/bin/env python3
"""mpi_test.py: test_mpi on 1 to 4 ranks of this machine.

    python3 tests/mpi/mpi_test.py PATH/TO/test_mpi

Ends with the sums of all, or with 77 where there is no mpirun. A run that hangs ends after a minute.
"""
import os
import re
import shutil
import subprocess
import sys

# ranks, whether Open MPI binds them to cores, and what is tried
STARTS = ((1, True, 'some'), (2, True, 'all'), (3, False, 'some'), (4, False, 'all'))


def start(launcher, program, ranks, bound, tried):
    allowed = {'OMPI_ALLOW_RUN_AS_ROOT': '1', 'OMPI_ALLOW_RUN_AS_ROOT_CONFIRM': '1'}
    options = ['--oversubscribe'] + ([] if bound else ['--bind-to', 'none'])
    command = [launcher, *options, '-np', str(ranks), program, tried]
    try:
        done = subprocess.run(command, env={**os.environ, **allowed}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors='replace', timeout=60)
        text = done.stdout
    except subprocess.TimeoutExpired as late:
        text = (late.stdout or b'').decode(errors='replace') + 'it did not end\n'
    sums = re.search(r'^(\d+) passed, (\d+) failed, \d+ skipped$', text, re.M)
    print('\n'.join(line if 'passed,' not in line else '# ' + line for line in text.splitlines()))
    return (int(sums.group(1)), int(sums.group(2))) if sums else (0, 1)


def main(program):
    launcher = shutil.which('mpirun')
    if not launcher:
        print('mpirun is not installed: runs of several processes are not tested')
        return 77
    passed = failed = 0
    for ranks, bound, tried in STARTS:
        good, bad = start(launcher, program, ranks, bound, tried)
        passed, failed = passed + good, failed + bad
    print(f'{passed} passed, {failed} failed, 0 skipped')
    return failed > 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
