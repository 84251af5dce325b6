#!/usr/bin/env python3
"""keops_values.py: holds KeOps to tests/values.txt, so that docs/formulas.md says "same" where that is so.

    python3 -m venv v && v/bin/pip install pykeops==2.3 && v/bin/python tools/keops_values.py

It compiles each formula that KeOps knows, in float32 and float64 on the CPU, and compares the results with those of the
table, or of the line that says what KeOps makes of it. Prints each difference and `N formulas, N differ`; fails if one
does. It takes some minutes, and is no part of the tests. quern is held to the same table by build/tests/test_values.
"""
import os
import re
import sys

os.environ.setdefault('OMP_NUM_THREADS', '1')
import numpy as np
import keopscore.formulas as known
from pykeops.numpy import Genred

WORDS = 'nan inf -inf 0 -0 1 -1 0.5 -0.5 0.9 2.5 -2.5 max least'.split()
PARAMETERS = {'p': 2, 'q': -2, 'r': 0.5, 'z': 0, 'u': 1}
AT_ONCE = 16


def number(word, dtype):
    word = word.split('|')[-1 if dtype == np.float64 else 0]
    info = np.finfo(dtype)
    size = {'max': info.max, 'least': info.smallest_subnormal}.get(word.lstrip('-'))
    return float(word) if size is None else float(-size if word[0] == '-' else size)


def agree(got, expected, dtype):
    if np.isnan(expected) or np.isinf(expected):
        return np.isnan(got) and np.isnan(expected) or got == expected
    slack = np.finfo(dtype).tiny if dtype == np.float32 else 1e-323
    return abs(got - expected) <= {np.float32: 1e-5, np.float64: 1e-14}[dtype] * abs(expected) + slack


def read_table(path):
    """Pairs of a formula and its results in KeOps."""
    rows = []
    for line in open(path, encoding='utf-8'):
        if line.startswith('#') or ': ' not in line:
            continue
        formula, results = line.split(': ')
        if formula == 'KeOps':
            rows[-1] = rows[-1][0], results.split()
        elif all(hasattr(known, name) for name in re.findall(r'(\w+)\(', formula)):
            rows.append((formula, results.split()))
    return rows


def concat(formulas):
    return formulas[0] if len(formulas) == 1 else f'Concat({formulas[0]},{concat(formulas[1:])})'


def run(rows, dtype):
    """The results of all formulas, a column each. What must not be tried in one of them is 0."""
    words = ['0' if any(results[v] == '~' for _, results in rows) else word for v, word in enumerate(WORDS)]
    x = np.array([[number(word, dtype)] for word in words], dtype)
    aliases = ['x=Vi(1)', 'y=Vj(1)'] + [name + '=Pm(1)' for name in PARAMETERS]
    reduce = Genred(concat([f'({formula})' for formula, _ in rows]) + '+y', aliases, reduction_op='Sum', axis=1)
    parameters = [np.array([value], dtype) for value in PARAMETERS.values()]
    return reduce(x, np.zeros((1, 1), dtype), *parameters, backend='CPU')


def faults(rows, dtype):
    found = set()
    for (formula, results), column in zip(rows, run(rows, dtype).T):
        for word, result, got in zip(WORDS, results, column):
            if result != '~' and not agree(got, number(result, dtype), dtype):
                print(f'{formula} at {word} is {got:.9g}, not {result} ({dtype.__name__})')
                found.add(formula)
    return found


def main():
    rows = read_table(os.path.join(os.path.dirname(__file__), '../tests/values.txt'))
    rows.sort(key=lambda row: '~' in row[1])
    careful = sum('~' in results for _, results in rows)
    parts = [rows[k:min(k + AT_ONCE, len(rows) - careful)] for k in range(0, len(rows) - careful, AT_ONCE)]
    parts += [[row] for row in rows[len(rows) - careful:]]
    wrong = set()
    for part in parts:
        wrong |= faults(part, np.float32)
    for part in parts:  # KeOps's Powf is powf() there too
        wrong |= faults([row for row in part if 'Powf(' not in row[0]], np.float64)
    print(f'{len(rows)} formulas, {len(wrong)} differ')
    return bool(wrong)


if __name__ == '__main__':
    sys.exit(main())
