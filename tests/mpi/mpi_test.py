#!/usr/bin/env python3
"""mpi_test.py: test_mpi on 1 to 4 ranks of this machine, and examples on 2.

    python3 tests/mpi/mpi_test.py PATH/TO/test_mpi [EXAMPLE SOURCE]...

Ends with the sums of all, or with 77 where there is no mpirun. A run that hangs ends after some minutes.
"""
import os
import re
import shutil
import subprocess
import sys

# ranks, whether Open MPI binds them to cores, and what is tried
STARTS = ((1, True, 'some'), (2, True, 'all'), (3, False, 'some'), (4, False, 'all'))


def launch(launcher, ranks, bound, *command):
    allowed = {'OMPI_ALLOW_RUN_AS_ROOT': '1', 'OMPI_ALLOW_RUN_AS_ROOT_CONFIRM': '1'}
    options = ['--oversubscribe'] + ([] if bound else ['--bind-to', 'none'])
    try:
        done = subprocess.run([launcher, *options, '-np', str(ranks), *command], env={**os.environ, **allowed},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace', timeout=200)
        return done.stdout
    except subprocess.TimeoutExpired as late:
        return (late.stdout or b'').decode(errors='replace') + 'it did not end\n'


def start(launcher, program, ranks, bound, tried):
    text = launch(launcher, ranks, bound, program, tried)
    sums = re.search(r'^(\d+) passed, (\d+) failed, \d+ skipped$', text, re.M)
    print('\n'.join(line if 'passed,' not in line else '# ' + line for line in text.splitlines()))
    return (int(sums.group(1)), int(sums.group(2))) if sums else (0, 1)


def check_example(launcher, program, source):
    """Whether it prints on 2 ranks what its source says."""
    with open(source, encoding='utf-8') as file:
        wanted = re.findall(r'// prints: (.*)', file.read())
    text = launch(launcher, 2, True, program)
    good = bool(wanted) and all(line in text.splitlines() for line in wanted)
    print(f'{"ok" if good else "not ok"} - {os.path.basename(program)}' + ('' if good else f'\n# {wanted} is not in\n{text}'))
    return good


def main(program, *examples):
    launcher = shutil.which('mpirun')
    if not launcher:
        print('mpirun is not installed: runs of several processes are not tested')
        return 77
    passed = failed = 0
    for ranks, bound, tried in STARTS:
        good, bad = start(launcher, program, ranks, bound, tried)
        passed, failed = passed + good, failed + bad
    for example, source in zip(examples[::2], examples[1::2]):
        good = check_example(launcher, example, source)
        passed, failed = passed + good, failed + (not good)
    print(f'{passed} passed, {failed} failed, 0 skipped')
    return failed > 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
