#!/usr/bin/env python3
"""warnings_test.py: clang has nothing to say about what is generated for CPUs.

    python3 tests/plan/warnings_test.py PATH/TO/quern

PoCL compiles with clang and its usual warnings, and counts those of each build on the user's stderr. So the formulas of
tests/formulas.txt and tests/gemm.txt, and some with functions of their own, are compiled to LLVM's code as PoCL does
it, for processors with 512-bit, 256-bit and 128-bit vectors. Prints an `ok` or `not ok` line per formula, then
`N passed, N failed`; skipped (77) without clang.
"""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from formulas import HERE, explain
from gpu_compilers import find_clang

PROCESSORS = {'cpu-avx512': 'skylake-avx512', 'cpu-avx2': 'haswell', 'cpu-generic': 'x86-64'}
# Functions of cl/math.cl, whose vectors of double are twice as wide as those of float.
MORE = {'power': 'x=Vi(1); y=Vj(1); Sum_j(Powf(x,y)+Sin(x*y)+Erf(x-y))',
        'kinds': 'x=Vi(3); y=Vj(3); ArgKMin_j(SqDist(x,y),3), Sum_j(Atan2(x,y)), LogSumExp_j(x|y)'}


def read_list(name):
    with open(os.path.join(HERE, name), encoding='utf-8') as file:
        return dict(re.findall(r'^(\w+): *(.*)$', file.read(), re.M))


def warnings(quern, formula, profile, dtype):
    text, fault = explain(quern, formula, '--stage', 'source', '--profile', profile, '--dtype', dtype, '--M', '20000',
                          '--N', '20000')
    if fault:
        return [fault]
    found = []
    for kernel in text.split('// ---- source of ')[1:]:
        with tempfile.NamedTemporaryFile('w', suffix='.cl') as file:
            file.write('// ' + kernel)
            file.flush()
            done = subprocess.run([find_clang(), '-x', 'cl', '-cl-std=CL1.2', '-Xclang', '-finclude-default-header',
                                   '-target', 'x86_64-linux-gnu', f'-march={PROCESSORS[profile]}', '-O0', '-S',
                                   '-emit-llvm', '-o', os.devnull, file.name], stderr=subprocess.PIPE, text=True)
        found += [line for line in done.stderr.splitlines() if re.search('warning|error', line)]
    return found


def main(arguments):
    if len(arguments) != 1:
        print('usage: warnings_test.py PATH/TO/quern', file=sys.stderr)
        return 2
    if not find_clang():
        print('there is no clang')
        return 77
    quern, failed = os.path.abspath(arguments[0]), 0
    formulas = {**read_list('formulas.txt'), **{'gemm ' + n: f for n, f in read_list('gemm.txt').items()}, **MORE}
    for name, formula in formulas.items():
        found = [f'{profile} {dtype}: {line}' for profile in PROCESSORS for dtype in ('f32', 'f64')
                 for line in warnings(quern, formula, profile, dtype)]
        failed += bool(found)
        print('\n'.join([f'{"not ok" if found else "ok"} - {name}', *found[:5]]))
    print(f'{len(formulas) - failed} passed, {failed} failed')
    return 1 if failed or not formulas else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
