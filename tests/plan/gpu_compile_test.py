#!/usr/bin/env python3
"""gpu_compile_test.py: every kernel of the formulas in tests/formulas.txt, compiled for GPUs that need not be there.

    python3 tests/plan/gpu_compile_test.py PATH/TO/quern [--all] [--table FILE] [--only TARGET]

The kernels are those for many rows and for few, which are split and merged, in float32 and float64, for the profile of
the target's maker and, on Intel's dg2 or with --all, for `default`, by the compilers of gpu_compilers.py.

A kernel that does not compile, or whose registers spill to memory, fails; of formulas with long vectors, only the
former. Prints an `ok` or `not ok` line per formula, element type, profile and target (skipped where its compiler is
missing), then `N passed, N failed, N skipped`. --table writes registers per kernel as a Markdown table, for Intel the
width of the vectors and the number of instructions.
"""
import argparse
import concurrent.futures
import os
import re
import shutil
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from formulas import explain, read_formulas
from gpu_compilers import TARGETS, Fault

# Long vectors: their columns must be made to fit local memory. Registers may spill.
LONG = {'long vectors': 'x=Vi(100); y=Vj(100); b=Vj(8); Sum_j(Exp(-SqDist(x,y))*b)',
        'neighbours': 'x=Vi(100); y=Vj(100); ArgKMin_j(SqDist(x,y),5)'}
# Matrix units that no shipped row has, for nobody has measured them: a profile by target, and formulas; those with right-hand sides
# are not for dg2, whose warps are too small. On gfx1100 registers may spill: clang 15 gives no kernel there more than 128 of its 256.
UNITS = {'gfx90a': 'amd-gfx90a min_k=3 matrix=4', 'gfx1100': 'amd-gfx11 min_k=3 matrix=6', 'pvc': 'intel-xe-hpc min_k=3 matrix=8',
         'dg2': 'intel-xe-hpg min_k=3 matrix=10'}
MATRIX = {'matrix units': 'x=Vi(50); y=Vj(50); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)',
          'matrix units for few components': 'x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)',
          'matrix units, 200 components': 'x=Vi(200); y=Vj(200); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)'}
MATRIX_RHS = {'matrix units for right-hand sides': 'x=Vi(3); y=Vj(3); b=Vj(64); Sum_j(Exp(-SqDist(x,y))*b)',
              'matrix units for softmax sums': 'x=Vi(30); y=Vj(30); b=Vj(40); SumSoftMaxWeight_j(Scalprod(x,y)/8,b)'}
# What may spill elsewhere, at most so many registers, in float64: a softmax of 8 components in one pass, where two passes
# would compute each term twice; and two quotients, a root and an exponential, each a dozen instructions that clang 15 mixes. In the
# packing of right-hand sides, registers of a whole wave, which are put into lanes of others.
SPILLS = {('attention', 'f64', 'gfx1100'): 12, ('rational', 'f64', 'gfx1100'): 30, ('matrix units for right-hand sides', 'f32', 'gfx90a'): 56}
# Element types by target, and whether --all compiles `default` too: not everything on everything, for time's sake.
CHOSEN = {'gfx90a': ('f32 f64', False), 'gfx1100': ('f32 f64', True), 'sm_80': ('f32 f64', False),
          'sm_90': ('f32 f64', True), 'dg2': ('f32', True), 'skl': ('f64', True), 'pvc': ('f32', False)}
NIGHT = {'pvc', 'gfx1100', 'sm_80', 'skl'}  # without --all not compiled for, as by day a target of each make is enough
UNITS_SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'cl', 'matrix.cl')
SIZES = (('20000', '20000'), ('50', '20000'), ('20000', '50'))
TRIAL = '''__kernel void quern(__global float *a)
{
    __local float b[64];
    b[get_local_id(0)] = exp(a[get_global_id(0)]);
    barrier(CLK_LOCAL_MEM_FENCE);
    a[get_global_id(0)] = log(b[get_local_size(0) - get_local_id(0)]);
}
'''


# ---- jobs

class Compilations:
    """Kernels by text and target, each compiled once."""

    def __init__(self, pool, folder):
        self.pool, self.folder, self.futures, self.lock = pool, folder, {}, threading.Lock()

    def work(self, text, target, name):
        folder = os.path.join(self.folder, name)
        os.mkdir(folder)
        source = os.path.join(folder, 'kernel.cl')
        with open(source, 'w', encoding='utf-8') as file:
            file.write(text)
        _, compiler, chip, _ = TARGETS[target]
        try:
            return compiler(chip, source, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def add(self, text, target):
        key = (text, target)
        if key not in self.futures:
            self.futures[key] = self.pool.submit(self.work, text, target, str(len(self.futures)))
        return self.futures[key]


def kernels_of(quern, formula, profile, dtype):
    """{title: source} for all sizes. Kernels of one text have the title of the first."""
    found = {}
    for M, N in SIZES:
        text, fault = explain(quern, formula, '--stage', 'source', '--profile', profile, '--dtype', dtype, '--M', M,
                              '--N', N)
        if fault:
            raise Fault(fault)
        for kernel in text.split('// ---- source of ')[1:]:
            title, source = kernel.split('\n', 1)
            title = title.rstrip('- ')
            if '#define Q_SPLIT 1' in source and 'merge' not in title:
                title = 'a part of ' + title
            if source not in found.values():
                found[title if title not in found else f'{title} ({M} x {N})'] = source
    return found


def judge(kernels, futures, most_spilled):
    """Faults of one line of the report."""
    faults = []
    for title in kernels:
        try:
            spilled = futures[title].result().spilled
            if spilled > most_spilled:
                faults.append(f'{title}: {spilled} spilled')
        except Fault as fault:
            faults.append(f'{title}: {fault}')
    return faults


def write_table(path, rows, targets):
    """rows: {(formula, dtype, title): {target: figures}}"""
    with open(path, 'w', encoding='utf-8') as file:
        file.write('| formula | kernel | type | ' + ' | '.join(targets) + ' |\n' + '|---' * (3 + len(targets)) + '|\n')
        for (formula, dtype, title), figures in rows.items():
            cells = [figures.get(target, '') for target in targets]
            file.write(f'| {formula} | {title} | {dtype} | ' + ' | '.join(cells) + ' |\n')


def instructions(made):
    return ''.join(re.findall(r'//.instCount (.*)', made.listing)[:1])


def figure(future):
    try:
        made = future.result()
        used = made.registers if made.registers != '?' else f'SIMD{made.width}, {instructions(made)}'
        return f'{used}' + (f' ({made.spilled} spilled)' if made.spilled else '')
    except Fault:
        return 'fails'


def plan_jobs(quern, missing, targets, by_default, compilations):
    """[(label, target, formula's name, profile, dtype, kernels, futures)]"""
    jobs = []
    for name, formula in {**read_formulas(), **LONG}.items():
        for dtype in ('f32', 'f64'):
            for profile in dict.fromkeys([TARGETS[target][0] for target in targets] + ['default']):
                fitting = [t for t in targets if dtype in CHOSEN[t][0] and
                           (TARGETS[t][0] == profile or (profile == 'default' and t in by_default))]
                kernels = kernels_of(quern, formula, profile, dtype) if fitting else {}
                for target in fitting:
                    wanted = {} if target in missing else kernels
                    futures = {title: compilations.add(source, target) for title, source in wanted.items()}
                    label = f'{name} {dtype}, profile {profile}, {target}'
                    jobs.append((label, target, name, profile, dtype, kernels, futures))
    return jobs + matrix_jobs(quern, missing, targets, compilations)


def trial_of_units(profile, bfloat16):
    """The text that src/run/probe.c compiles and runs."""
    macros = {'PROBE': '', 'FN': 'static inline', 'MATRIX': profile.split('matrix=')[1], 'BFLOAT16': bfloat16}
    with open(UNITS_SOURCE, encoding='utf-8') as file:
        return ''.join(f'#define Q_{name} {value}\n' for name, value in macros.items()) + file.read()


def matrix_jobs(quern, missing, targets, compilations):
    """The same for matrix units; there must be kernels of that scheme. And the trial that comes first on a device."""
    jobs = []
    for target in [one for one in targets if one in UNITS]:
        kernels = {f'the trial of {name}': trial_of_units(UNITS[target], bfloat16) for bfloat16, name in enumerate(('float16', 'bfloat16'))}
        futures = {} if target in missing else {title: compilations.add(source, target) for title, source in kernels.items()}
        jobs.append((f'trial of matrix units, profile {UNITS[target]}, {target}', target, 'trial', UNITS[target], 'f32', kernels, futures))
        for name, formula in (MATRIX if target == 'dg2' else {**MATRIX, **MATRIX_RHS}).items():
            kernels = {title: source for title, source in kernels_of(quern, formula, UNITS[target], 'f32').items()
                       if '#define Q_NAME quern_mma' in source}
            assert len(kernels) > 1, f'{name}: {len(kernels)} kernels of the scheme mma'
            wanted = {} if target in missing else kernels
            futures = {title: compilations.add(source, target) for title, source in wanted.items()}
            jobs.append((f'{name} f32, profile {UNITS[target]}, {target}', target, name, UNITS[target], 'f32', kernels, futures))
    return jobs


def try_targets(targets, compilations):
    """{target: why it cannot be compiled for}"""
    trials = {target: compilations.add(TRIAL, target) for target in targets}
    missing = {}
    for target, future in trials.items():
        try:
            future.result()
        except Fault as fault:
            missing[target] = str(fault).splitlines()[0]
    return missing


def report(jobs, missing):
    """Prints a line per job; [passed, failed, skipped], and the rows of the table."""
    counts, rows = [0, 0, 0], {}
    for label, target, name, profile, dtype, kernels, futures in jobs:
        if target in missing:
            counts[2] += 1
            print(f'ok - {label} # SKIP {missing[target]}')
            continue
        may_spill = name in LONG or (target == 'gfx1100' and name in {**MATRIX, **MATRIX_RHS})
        most_spilled = float('inf') if may_spill else SPILLS.get((name, dtype, target), 0)
        faults = judge(kernels, futures, most_spilled)
        counts[bool(faults)] += 1
        print(f'{"not ok" if faults else "ok"} - {label}: {len(kernels)} kernels')
        for fault in faults:
            print('#   ' + fault.replace('\n', '\n#     '))
        if profile != 'default':
            for title, future in futures.items():
                rows.setdefault((name, dtype, title), {})[target] = figure(future)
    return counts, rows


def main():
    parser = argparse.ArgumentParser(description='compiles the kernels of tests/formulas.txt for GPUs')
    parser.add_argument('quern')
    parser.add_argument('--table', metavar='FILE')
    parser.add_argument('--all', action='store_true')
    parser.add_argument('--only', choices=TARGETS)
    arguments = parser.parse_args()
    quern = os.path.abspath(arguments.quern)
    targets = [arguments.only] if arguments.only else [t for t in TARGETS if arguments.all or t not in NIGHT]
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        compilations = Compilations(pool, folder)
        missing = try_targets(targets, compilations)
        by_default = {target for target in targets if CHOSEN[target][1] and (arguments.all or target == 'dg2')}
        counts, rows = report(plan_jobs(quern, missing, targets, by_default, compilations), missing)
    if arguments.table:
        write_table(arguments.table, rows, [target for target in targets if target not in missing])
    print('{} passed, {} failed, {} skipped'.format(*counts))
    return 1 if counts[1] else 0 if counts[0] else 77


if __name__ == '__main__':
    sys.exit(main())
