#!/usr/bin/env python3
"""gpu_compile_test.py: every kernel of the formulas in tests/formulas.txt, compiled for GPUs that need not be there.

    python3 tests/gpu_compile_test.py PATH/TO/quern [--table FILE] [--only TARGET]

The kernels are those for many rows and for few, which are split and merged, in float32 and float64, for the profile of
the target's maker and for `default`. AMD: clang with libclc. NVIDIA: clang with libclc, then CUDA's ptxas; libclc stands in
for NVIDIA's own functions, so its registers are close, not equal, to what a driver uses. Intel: ocloc.

A kernel that does not compile, or whose registers spill to memory, fails. Prints an `ok` or `not ok` line per formula,
element type, profile and target (skipped where its compiler is missing), then `N passed, N failed, N skipped`. --table
writes registers per kernel as a Markdown table. Environment: QUERN_CLANG, QUERN_CLC (the folder of libclc's .bc files).
"""
import argparse
import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading

from formulas import explain, read_formulas

SIZES = (('20000', '20000'), ('50', '20000'), ('20000', '50'))
TRIAL = '''__kernel void quern(__global float *a)
{
    __local float b[64];
    b[get_local_id(0)] = exp(a[get_global_id(0)]);
    barrier(CLK_LOCAL_MEM_FENCE);
    a[get_global_id(0)] = log(b[get_local_size(0) - get_local_id(0)]);
}
'''


class Fault(Exception):
    """A kernel, or its trial, that a compiler does not take."""


def run(command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace', **more)
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        telling = [line for line in lines if re.search(r'error|fatal|unresolved', line, re.I)] or lines
        raise Fault('\n'.join(telling[:5]) or f'{command[0]} ended with {done.returncode}')
    return done.stdout


def number(pattern, text):
    """The largest of the numbers that the pattern finds; 0 for none."""
    return max([int(n) for n in re.findall(pattern, text)], default=0)


# ---- compilers: each takes the source's file and a folder of its own, and gives (registers, spilled bytes or registers)

def first_file(*patterns):
    return next((path for pattern in patterns if pattern for path in sorted(glob.glob(pattern))), None)


def find_clang():
    names = [os.environ.get('QUERN_CLANG'), 'clang-15', *(f'clang-{n}' for n in range(25, 15, -1)), 'clang']
    return next((name for name in names if name and shutil.which(name)), None)


def clc_file(pattern):
    folders = (os.environ.get('QUERN_CLC'), '/usr/lib/clc', '/usr/lib64/clc', '/usr/share/clc', '/usr/local/share/clc')
    return first_file(*(folder and os.path.join(folder, pattern) for folder in folders))


def clang(source, output, triple, bitcode, *options):
    if not find_clang():
        raise Fault('there is no clang')
    if not clc_file(bitcode):
        raise Fault(f'there is no {bitcode} of libclc')
    run([find_clang(), '-x', 'cl', '-cl-std=CL1.2', '-Xclang', '-finclude-default-header', '-target', triple, '-nogpulib', '-O3',
         '-Wno-linker-warnings', '-Xclang', '-mlink-builtin-bitcode', '-Xclang', clc_file(bitcode), *options, '-S', source,
         '-o', output])


def compile_amd(chip, source, folder):
    path = os.path.join(folder, 'kernel.s')
    clang(source, path, 'amdgcn-amd-amdhsa', 'amdgcn--amdhsa.bc', f'-mcpu={chip}')
    with open(path, encoding='utf-8') as file:
        text = file.read()
    return number(r'\.vgpr_count: *(\d+)', text), number(r'\.[sv]gpr_spill_count: *(\d+)', text)


def find_ptxas():
    return shutil.which('ptxas') or first_file('/usr/local/cuda/bin/ptxas', '/usr/local/cuda*/bin/ptxas', '/opt/cuda/bin/ptxas')


def compile_nvidia(chip, source, folder):
    path = os.path.join(folder, 'kernel.ptx')
    if not find_ptxas():
        raise Fault('there is no ptxas')
    clang(source, path, 'nvptx64-nvidia-nvcl', 'nvptx64--nvidiacl.bc', '-Xclang', '-target-cpu', '-Xclang', 'sm_80', '-Xclang',
          '-target-feature', '-Xclang', '+ptx70')
    text = run([find_ptxas(), '-v', f'-arch={chip}', path, '-o', os.path.join(folder, 'kernel.cubin')])
    return number(r'Used (\d+) registers', text), number(r'(\d+) bytes spill', text)


def compile_intel(chip, source, folder):
    """ocloc does not tell registers (there are 128): the width of its vectors and the number of instructions say more."""
    if not shutil.which('ocloc'):
        raise Fault('there is no ocloc')
    dump = os.path.join(folder, 'dump')
    os.mkdir(dump)
    run(['ocloc', 'compile', '-file', source, '-device', chip, '-options', '-cl-std=CL1.2', '-output', 'kernel', '-out_dir',
         folder], cwd=folder, env={**os.environ, 'IGC_ShaderDumpEnable': '1', 'IGC_DumpToCustomDir': dump})
    listings = glob.glob(os.path.join(dump, '*.asm'))
    if not listings:
        return '?', 0
    final = max(listings, key=os.path.getmtime)
    with open(final, encoding='utf-8', errors='replace') as file:
        text = file.read()
    width = number(r'_simd(\d+)_', final)
    return f'SIMD{width}, {number(r"//.instCount (.*)", text)}', number(r'//.spill size (\d+)', text)


# name: (its maker's profile, compiler, chip, element types, whether `default` is compiled too)
TARGETS = {
    'gfx90a': ('amd', compile_amd, 'gfx90a', ('f32', 'f64'), False),
    'gfx1100': ('amd', compile_amd, 'gfx1100', ('f32', 'f64'), True),
    'sm_80': ('nvidia', compile_nvidia, 'sm_80', ('f32', 'f64'), False),
    'sm_90': ('nvidia', compile_nvidia, 'sm_90', ('f32', 'f64'), True),
    'dg2': ('intel', compile_intel, 'dg2-g10', ('f32',), True),
    'skl': ('intel', compile_intel, 'skl', ('f64',), True),
}


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
        _, compiler, chip, _, _ = TARGETS[target]
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
        text, fault = explain(quern, formula, '--stage', 'source', '--profile', profile, '--dtype', dtype, '--M', M, '--N', N)
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


def judge(kernels, futures):
    """Faults of one line of the report."""
    faults = []
    for title in kernels:
        try:
            _, spilled = futures[title].result()
            if spilled:
                faults.append(f'{title}: {spilled} spilled')
        except Fault as fault:
            faults.append(f'{title}: {fault}')
    return faults


def write_table(path, rows, targets):
    """rows: {(formula, dtype, title): {target: figures}}"""
    with open(path, 'w', encoding='utf-8') as file:
        file.write('| formula | kernel | type | ' + ' | '.join(targets) + ' |\n|---' * 1 + '|---' * (2 + len(targets)) + '|\n')
        for (formula, dtype, title), figures in rows.items():
            cells = [figures.get(target, '') for target in targets]
            file.write(f'| {formula} | {title} | {dtype} | ' + ' | '.join(cells) + ' |\n')


def figure(future):
    try:
        used, spilled = future.result()
        return f'{used}' + (f' ({spilled} spilled)' if spilled else '')
    except Fault:
        return 'fails'


def plan_jobs(quern, missing, targets, compilations):
    """[(label, target, formula's name, profile, dtype, kernels, futures)]"""
    jobs = []
    for name, formula in read_formulas().items():
        for dtype in ('f32', 'f64'):
            for profile in ('amd', 'nvidia', 'intel', 'default'):
                fitting = [t for t in targets if dtype in TARGETS[t][3] and
                           (TARGETS[t][0] == profile or (profile == 'default' and TARGETS[t][4]))]
                kernels = kernels_of(quern, formula, profile, dtype) if fitting else {}
                for target in fitting:
                    futures = {} if target in missing else {t: compilations.add(s, target) for t, s in kernels.items()}
                    jobs.append((f'{name} {dtype}, profile {profile}, {target}', target, name, profile, dtype, kernels, futures))
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
        faults = judge(kernels, futures)
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
    parser.add_argument('--only', choices=TARGETS)
    arguments = parser.parse_args()
    quern = os.path.abspath(arguments.quern)
    targets = [arguments.only] if arguments.only else list(TARGETS)
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        compilations = Compilations(pool, folder)
        missing = try_targets(targets, compilations)
        counts, rows = report(plan_jobs(quern, missing, targets, compilations), missing)
    if arguments.table:
        write_table(arguments.table, rows, [target for target in targets if target not in missing])
    print('{} passed, {} failed, {} skipped'.format(*counts))
    return 1 if counts[1] else 0 if counts[0] else 77


if __name__ == '__main__':
    sys.exit(main())
