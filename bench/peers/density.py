#!/usr/bin/env python3
"""density.py: kernel density estimation beside SciPy and scikit-learn, in turns.

    $BENCH_PYTHON bench/peers/density.py PATH/TO/quern [--n 20000]     # a Python with numpy, scipy, scikit-learn

Seconds, the least of three turns: of quern whole processes of `quern kde`, files included; of the others the sums alone.
"""
import argparse
import os
import subprocess
import tempfile
import time

import numpy as np
from scipy.stats import gaussian_kde
from sklearn.neighbors import KernelDensity

parser = argparse.ArgumentParser()
parser.add_argument('quern')
parser.add_argument('--n', type=int, default=20000)
options = parser.parse_args()
random = np.random.default_rng(0)
points, places = random.normal(size=(options.n, 2)), random.normal(size=(options.n, 2))


def quern(*words):
    command = [options.quern, 'kde', 'points.npy', 'at=at.npy', '-o', 'out.npy', '--quiet', *words]
    subprocess.run(command, check=True)
    return np.load('out.npy')[:, 0]


def least(function):
    """The least time of three turns, and the result."""
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - begin)
    return min(times), result


os.chdir(tempfile.mkdtemp())
np.save('points.npy', points.astype(np.float32))
np.save('at.npy', places.astype(np.float32))
tree = KernelDensity(bandwidth=0.1, rtol=1e-4).fit(points)
for what, mine, theirs in [
        ('SciPy, Scott\'s rule', lambda: quern(), lambda: gaussian_kde(points.T)(places.T)),
        ('scikit-learn, h = 0.1, relative tolerance 1e-4', lambda: quern('--bandwidth', '0.1', '--tolerance', '1e-4'),
         lambda: np.exp(tree.score_samples(places)))]:
    (seconds, got), (other, expected) = least(mine), least(theirs)
    error = np.max(np.abs(got - expected)) / np.max(expected)
    print(f'{what}: {other:.2f} s, quern {seconds:.2f} s, largest difference {error:.1e}; peer/quern {other / seconds:.1f}')
