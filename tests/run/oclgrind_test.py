#!/usr/bin/env python3
"""oclgrind_test.py: the formulas of tests/formulas.txt on oclgrind, which checks every access of a kernel.

    python3 tests/run/oclgrind_test.py PATH/TO/run_formula

Each formula runs in each shape of kernel at sizes around those where the loops end: accesses outside of arrays, data
races, use of uninitialised values and wrong use of the API are faults, as are wrong results. Two broken kernels show
first that faults are found. Prints an `ok` or `not ok` line per shape and formula, then `N passed, N failed,
N skipped`; exit status 77 where oclgrind is not installed.
"""
import concurrent.futures
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from formulas import HERE, read_formulas

FORMULAS = os.path.join(HERE, 'formulas.txt')
ICD = os.path.join(os.path.dirname(HERE), 'tools', 'icd.sh')
# oclgrind 21.10 does not know an intrinsic function that comes of `restrict` in inlined functions.
BUILD_OPTIONS = '-Drestrict='


def sizes_around(width):
    """Sizes of i and j in which each of 1, W-1, W, W+1, 2W+3 stands once for each."""
    rows = (1, width - 1, width, width + 1, 2 * width + 3)
    return [f'{M}x{N}' for M, N in zip(rows, (width + 1, 1, 2 * width + 3, width - 1, width))]


TILES = 'min_k=2 min_rhs=2 rhs_registers=8 reg_m=2 reg_n=4'
PRODUCTS = 'rows=1 min_k=2 reg_m=4 reg_n=4 tile_k=2'
SPLIT = ['9x300', '300x9', '1x513']
# name: (options of run_formula, sizes)
SHAPES = {
    'groups': (['--profile', 'default', '--local', '8'], sizes_around(8)),
    'groups, 2 rows': (['--profile', 'nvidia', '--local', '8', '--rows', '2'], sizes_around(16)),
    'groups, tiles': (['--profile', 'nvidia', '--settings', TILES, '--local', '8'], sizes_around(8)),
    'groups, products': (['--profile', 'nvidia', '--settings', PRODUCTS, '--local', '8'], ['17x257', '257x17']),
    'lanes, 2 rows': (['--profile', 'cpu', '--lanes', '4', '--rows', '2'], sizes_around(8)),
    'groups, split': (['--profile', 'nvidia', '--local', '8', '--split', '2'], SPLIT),
    'lanes, split': (['--profile', 'cpu', '--lanes', '4', '--split', '2'], SPLIT),
    'groups, float64': (['--profile', 'nvidia', '--local', '8', '--rows', '2', '--dtype', 'f64'], sizes_around(16)),
    'lanes, float64': (['--profile', 'cpu', '--lanes', '8', '--rows', '1', '--dtype', 'f64'], sizes_around(8)),
}
# what a kernel lacks: (build option that takes it away, a word of oclgrind's complaint)
BROKEN = {'barriers': ('-Dbarrier(f)=', 'race'), 'bounds': ('-Dmin(a,b)=(a)', 'Invalid read')}


def run(program, drivers, name, size, options, more='', errors='10'):
    """(exit code, what is printed, oclgrind's log) of one run in a process of its own. (oclgrind 21.10 takes a buffer
    that gets the number of a released, shorter one for uninitialised where it is longer.)"""
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, 'log')
        env = {**os.environ, 'OCL_ICD_VENDORS': drivers, 'OCLGRIND_DATA_RACES': '1', 'OCLGRIND_UNINITIALIZED': '1',
               'OCLGRIND_CHECK_API': '1', 'OCLGRIND_MAX_ERRORS': errors, 'OCLGRIND_LOG': log,
               'OCLGRIND_BUILD_OPTIONS': f'{BUILD_OPTIONS} {more}'.strip()}
        env.pop('QUERN_DEVICE', None)
        done = subprocess.run([program, FORMULAS, '--only', name, '--size', size, *options], env=env, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = ''
        if os.path.exists(log):
            with open(log, encoding='utf-8', errors='replace') as file:
                said = file.read().strip()
        return done.returncode, done.stdout.strip(), said


def fault_of(program, drivers, name, sizes, options):
    """The first thing that is wrong, or None."""
    for size in sizes:
        code, printed, said = run(program, drivers, name, size, options)
        if said:
            return f'{size}: ' + '\n'.join(said.splitlines()[:8])
        if code:
            return f'{size}: {printed}'
    return None


def fault_of_broken(program, drivers, option, word):
    options, sizes = SHAPES['groups, 2 rows']
    said = run(program, drivers, 'gaussian', sizes[-1], options, option, '10000')[2]
    return None if word in said else f'oclgrind does not complain of "{word}": {said[:300]}'


def main(arguments):
    if len(arguments) != 1:
        print('usage: oclgrind_test.py PATH/TO/run_formula', file=sys.stderr)
        return 2
    program = os.path.abspath(arguments[0])
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = subprocess.run(['sh', ICD, folder], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
        drivers = os.path.join(folder, 'icd', 'oclgrind')
        if 'oclgrind' not in found:
            print('oclgrind is not installed\n0 passed, 0 failed, 1 skipped')
            return 77
        jobs = {f'a kernel without {what} is caught': pool.submit(fault_of_broken, program, drivers, *how)
                for what, how in BROKEN.items()}
        for shape, (options, sizes) in SHAPES.items():
            for name in read_formulas():
                jobs[f'{shape}: {name}'] = pool.submit(fault_of, program, drivers, name, sizes, options)
        faults = {label: job.result() for label, job in jobs.items()}
    for label, fault in faults.items():
        print(f'not ok - {label}, {fault}' if fault else f'ok - {label}')
    failed = sum(fault is not None for fault in faults.values())
    print(f'{len(faults) - failed} passed, {failed} failed, 0 skipped')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
