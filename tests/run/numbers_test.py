#!/usr/bin/env python3
"""numbers_test.py: the special cases of reductions in docs/numbers.md, through the tool `quern` on a device.

    python3 tests/run/numbers_test.py PATH/TO/quern

Each row below is a set of terms and what Sum, LogSumExp, Min, Max, ArgMin and ArgMax make of it, in both element types
(float64 where the device has it) and over both axes, all launched. Prints an `ok` or `not ok` line per row, then
`N passed, N failed, N skipped`.
"""
import math
import os
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from npy import put_npy

os.environ['QUERN_HOST'] = 'off'
nan, inf = math.nan, math.inf
REDUCTIONS = ('Sum', 'LogSumExp', 'Min', 'Max', 'ArgMin', 'ArgMax')
ROWS = {
    'no terms': ([], (0, -inf, inf, -inf, -1, -1)),
    'one term': ([5], (5, 5, 5, 5, 0, 0)),
    'equal terms': ([2, 1, 1, 2], (6, 2 + math.log(2 + 2 / math.e), 1, 2, 1, 0)),
    'a NaN': ([1, nan, 3], (nan, nan, 1, 3, 0, 2)),
    'a NaN first': ([nan, 1], (nan, nan, 1, 1, 1, 1)),
    'only NaN': ([nan, nan], (nan, nan, inf, -inf, -1, -1)),
    'an infinity': ([1, inf, 2], (inf, inf, 1, inf, 0, 1)),
    'a negative infinity': ([1, -inf, 2], (-inf, 2 + math.log(1 + 1 / math.e), -inf, 2, 1, 2)),
    'both infinities': ([inf, -inf, 0], (nan, inf, -inf, inf, 1, 0)),
    'only infinity': ([inf, inf], (inf, inf, inf, inf, -1, 0)),
    'only negative infinity': ([-inf, -inf], (-inf, -inf, -inf, -inf, 0, -1)),
    'an infinity and a NaN': ([inf, nan], (nan, nan, inf, inf, -1, 0)),
    'large terms': ([1e4, 1e4 - 1], (19999, 1e4 + math.log(1 + 1 / math.e), 9999, 1e4, 1, 0)),
    'many equal terms': ([0.5] * 3000, (1500, 0.5 + math.log(3000), 0.5, 0.5, 0, 0)),
    'a NaN among many': ([0.5] * 2000 + [nan] + [0.25] * 999, (nan, nan, 0.25, 0.5, 2001, 0)),
}


def agree(got, expected, dtype):
    if math.isnan(expected) or math.isinf(expected):
        return math.isnan(got) and math.isnan(expected) or got == expected
    return abs(got - expected) <= {'f4': 1e-6, 'f8': 1e-14}[dtype] * max(1, abs(expected))


def fault_of(quern, folder, axis, terms, expected, dtype):
    """What is wrong, or None."""
    path = os.path.join(folder, 'terms.npy')
    put_npy(path, '<' + dtype, (len(terms), 1), struct.pack('<%d%s' % (len(terms), {'f4': 'f', 'f8': 'd'}[dtype]), *terms))
    formula = f't=V{axis}(1); ' + ', '.join(f'{name}_{axis}(t)' for name in REDUCTIONS)
    done = subprocess.run([quern, 'eval', formula, f't={path}'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        return f'exit code {done.returncode}: {done.stderr.strip()}'
    got = [float(word) for word in done.stdout.split()]
    wrong = [f'{name} gives {g}, not {e}' for name, g, e in zip(REDUCTIONS, got, expected) if not agree(g, e, dtype)]
    return '; '.join(wrong) or (None if len(got) == len(expected) else f'printed {done.stdout!r}')


def main(arguments):
    if len(arguments) != 1:
        print('usage: numbers_test.py PATH/TO/quern', file=sys.stderr)
        return 2
    quern = os.path.abspath(arguments[0])
    doctor = subprocess.run([quern, 'doctor'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    has_f64 = any(line.startswith('ok') and 'float64' in line for line in doctor.splitlines())
    passed = failed = skipped = 0
    with tempfile.TemporaryDirectory() as folder:
        for dtype in ('f4', 'f8'):
            for axis in 'ij':
                for name, (terms, expected) in ROWS.items():
                    label = f'{name}, over {axis}, float{8 * int(dtype[1])}'
                    if dtype == 'f8' and not has_f64:
                        skipped += 1
                        print(f'ok - {label} # SKIP the device has no float64')
                        continue
                    fault = fault_of(quern, folder, axis, terms, expected, dtype)
                    passed, failed = passed + (not fault), failed + bool(fault)
                    print(f'not ok - {label}: {fault}' if fault else f'ok - {label}')
    print(f'{passed} passed, {failed} failed, {skipped} skipped')
    return 1 if failed or not passed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
