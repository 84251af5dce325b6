#!/usr/bin/env python3
"""protein_energy.py: the Coulomb energy of a protein by `quern eval` beside the direct sum in float64. For a night.

    python3 tests/apps/protein_energy.py PATH/TO/quern [FILE.pqr]

Needs NumPy. Without a file it is achbp.pqr of Debian's apbs-data, 16,090 atoms (apt-get download apbs-data).
"""
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

DEFAULT = '/usr/share/apbs/examples/misc/achbp.pqr'
FORMULA = 'x=Vi(3); y=Vj(3); p=Vi(1); q=Vj(1); Sum_i(p*Sum_j(Where(I==J,0,q*Rsqrt(SqDist(x,y)))))/2'
COULOMB = 332.0637  # kcal/mol for two elementary charges an angstrom apart


def read_atoms(path):
    """Places in angstroms, and charges."""
    with open(path, encoding='ascii', errors='replace') as file:
        rows = [line.split()[-5:-1] for line in file if line.startswith(('ATOM', 'HETATM'))]
    atoms = np.array(rows, dtype=np.float64)
    return atoms[:, :3].copy(), atoms[:, 3:].copy()


def direct_energy(places, charges):
    total = 0.0
    for i in range(len(places)):
        distances = np.sqrt(((places[i] - places[:i]) ** 2).sum(axis=1))
        total += charges[i, 0] * (charges[:i, 0] / distances).sum()
    return total


def quern_energy(quern, places, charges, dtype):
    with tempfile.TemporaryDirectory() as folder:
        files = {name: os.path.join(folder, name + '.npy') for name in 'xq'}
        np.save(files['x'], places.astype(dtype))
        np.save(files['q'], charges.astype(dtype))
        begin = time.perf_counter()
        out = subprocess.run([quern, 'eval', FORMULA, f'x={files["x"]}', f'y={files["x"]}', f'p={files["q"]}',
                              f'q={files["q"]}', '--quiet'], check=True, capture_output=True, text=True).stdout
        return float(out), time.perf_counter() - begin


path = sys.argv[2] if len(sys.argv) > 2 else DEFAULT
if not os.path.exists(path):
    print(f'ok - a protein # SKIP there is no {path}\n0 passed, 0 failed, 1 skipped')
    sys.exit(0)
places, charges = read_atoms(path)
begin = time.perf_counter()
expected = direct_energy(places, charges)
print(f'# {len(places)} atoms, direct sum {expected * COULOMB:.6f} kcal/mol, {time.perf_counter() - begin:.2f} s')
failed = 0
for dtype, tolerance in [('float64', 1e-12), ('float32', 1e-5)]:
    got, seconds = quern_energy(sys.argv[1], places, charges, dtype)
    error = abs(got / expected - 1)
    failed += not error <= tolerance
    print(f'{"ok" if error <= tolerance else "not ok"} - {dtype}: {got * COULOMB:.6f} kcal/mol, off by {error:.1e}, {seconds:.2f} s')
print(f'{2 - failed} passed, {failed} failed, 0 skipped')
sys.exit(failed > 0)
