#!/usr/bin/env python3
"""relief.py: the Earth's relief from 20,000, 200,000 and more of its heights: error, time and memory of quern and of peers.

    BENCH_PYTHON=DIR/bin/python
    $BENCH_PYTHON bench/relief.py build/src/cli/quern [--sizes 20000,200000] [--only NAME,...] [--data etopo5.cdf] | --road

Needs NumPy, and whatever of scikit-learn, PyTorch and GPyTorch is there. Without --data the heights of ETOPO5 (NOAA, 1988; 9.3
million nodes) are those of Debian's package ferret-datasets, which is downloaded into a folder of its own and not installed. Training
points are nodes drawn from the sphere without a pattern, 10,000 others are predicted; heights lose their mean and are divided by
their deviation first. Each method is a process: seconds of all that it does, its peak of memory, and the error in metres.
quern's programs were built before, in a run on 300 points.
Kernel: Matern 3/2 of length 0.1 on unit vectors; noise 0.01, which is N times the penalty.

--road is as large as the data set 3DRoad instead: 25 steps of Adam on all parameters of a process of 217,437 generated points
in 3 dimensions, Matern 5/2, 512 inducing points.
"""
import argparse
import os
import struct
import subprocess
import sys
import tempfile
import time

import numpy as np

LENGTH, NOISE, TEST = 0.1, 0.01, 10000
PACKAGE_FILE = 'usr/share/ferret-vis/data/etopo5.cdf'


# ---- data ----

def find_data(folder):
    installed = '/' + PACKAGE_FILE
    if not os.path.exists(installed):
        subprocess.run(['apt-get', 'download', '-qq', 'ferret-datasets'], cwd=folder, check=True)
        package = next(name for name in os.listdir(folder) if name.endswith('.deb'))
        subprocess.run(['dpkg-deb', '-x', package, 'package'], cwd=folder, check=True)
        installed = os.path.join(folder, 'package', PACKAGE_FILE)
    return installed


def read_netcdf(path):
    """The variables of a file in netCDF's classic format, big-endian, without records: name -> array."""
    with open(path, 'rb') as file:
        data = file.read()
    types = {1: '>i1', 2: 'S1', 3: '>i2', 4: '>i4', 5: '>f4', 6: '>f8'}
    at = 4

    def number():
        nonlocal at
        at += 4
        return struct.unpack_from('>i', data, at - 4)[0]

    def padded(size):
        nonlocal at
        at += (size + 3) // 4 * 4
        return data[at - (size + 3) // 4 * 4:][:size]

    def skip_attributes():
        number()
        for _ in range(number()):
            padded(number())
            kind, count = number(), number()
            padded(np.dtype(types[kind]).itemsize * count)

    assert data[:4] == b'CDF\x01', path
    number(), number()
    sizes = []
    for _ in range(number()):
        padded(number())
        sizes.append(number())
    skip_attributes()
    number()
    variables = {}
    for _ in range(number()):
        name = padded(number()).decode()
        shape = [sizes[number()] for _ in range(number())]
        skip_attributes()
        kind, _, begin = number(), number(), number()
        variables[name] = np.frombuffer(data, types[kind], int(np.prod(shape)), begin).reshape(shape)
    return variables


def draw(relief, count):
    """Unit vectors of different nodes, with as many for an area everywhere, and their heights."""
    heights, east, north = (relief[name] for name in ('ROSE', 'ETOPO05_X', 'ETOPO05_Y'))
    random = np.random.default_rng(5)
    latitude = np.degrees(np.arcsin(random.uniform(-1, 1, 2 * count)))
    rows = np.rint((latitude - north[0]) / (north[-1] - north[0]) * (len(north) - 1)).astype(int)
    columns = random.integers(0, len(east), 2 * count)
    nodes = rows * len(east) + columns
    keep = np.sort(np.unique(nodes, return_index=True)[1])[:count]
    latitude, longitude = np.radians(north[rows[keep]]), np.radians(east[columns[keep]])
    points = np.stack([np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], 1)
    return points.astype(np.float32), heights.ravel()[nodes[keep]].astype(np.float32)[:, None]


# ---- peers: each fits what there is in a folder and returns its predictions ----

def sklearn_exact(x, v, z, count):
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import Matern
    return GaussianProcessRegressor(Matern(LENGTH, nu=1.5), alpha=NOISE, optimizer=None, copy_X_train=False).fit(x, v).predict(z)


def sklearn_nystroem(x, v, z, count):
    from sklearn.gaussian_process.kernels import Matern
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import Ridge
    features = Nystroem(Matern(LENGTH, nu=1.5), n_components=count, random_state=0).fit(x)
    return Ridge(NOISE, fit_intercept=False).fit(features.transform(x), v).predict(features.transform(z))


def gpytorch_sgpr(x, v, z, count):
    import gpytorch
    import torch
    x, v, z = (torch.from_numpy(array) for array in (x, v, z))

    class Process(gpytorch.models.ExactGP):
        def __init__(self, likelihood):
            super().__init__(x, v, likelihood)
            kernel = gpytorch.kernels.MaternKernel(nu=1.5)
            kernel.lengthscale = LENGTH
            self.mean_module = gpytorch.means.ZeroMean()
            self.covar_module = gpytorch.kernels.InducingPointKernel(kernel, x[:: len(x) // count][:count].clone(), likelihood)

        def forward(self, points):
            return gpytorch.distributions.MultivariateNormal(self.mean_module(points), self.covar_module(points))

    likelihood = gpytorch.likelihoods.GaussianLikelihood()
    likelihood.noise = NOISE
    process = Process(likelihood).eval()
    with torch.no_grad(), gpytorch.settings.skip_posterior_variances():
        return process(z).mean.numpy()


PEERS = {'sklearn exact': (sklearn_exact, 0, 20000), 'sklearn nystroem 1000': (sklearn_nystroem, 1000, 10**9),
         'sklearn nystroem 5000': (sklearn_nystroem, 5000, 200000), 'gpytorch sgpr 1000': (gpytorch_sgpr, 1000, 200000)}
# of the tool, and the most points
QUERN = {'quern gp, all points': (['gp', '--method', 'iterative', f'noise={NOISE}', '--as-given'], 20000),
         'quern gp 1000': (['gp', '--inducing', '1000', f'noise={NOISE}', '--as-given'], 200000),
         'quern ridge 1000': (['ridge', '--centres', '1000', '--as-given'], 10**9),
         'quern ridge 5000': (['ridge', '--centres', '5000', '--as-given'], 10**9)}


def run_peer(name, folder):
    method, count, _ = PEERS[name]
    x, v, z = (np.load(os.path.join(folder, array + '.npy')) for array in ('x', 'v', 'z'))
    np.save(os.path.join(folder, 'out.npy'), np.asarray(method(x, v[:, 0], z, count), np.float64).ravel())


# ---- measure ----

def measure(command, folder):
    """Seconds, those of the processors, and the peak of memory in MB; or a reason in their place."""
    log = os.path.join(folder, 'log')
    begin = time.perf_counter()
    with open(log, 'w', encoding='utf-8') as out:
        child = subprocess.Popen(command, stdout=out, stderr=out)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = status
    if status:
        with open(log, encoding='utf-8') as file:
            return (file.read().strip() or f'status {status}').splitlines()[-1][:60]
    return time.perf_counter() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def road(quern, folder):
    random = np.random.default_rng(7)
    x = random.uniform(-1, 1, (217437, 3)).astype(np.float32)
    v = np.sin(5 * x[:, 0]) * np.cos(4 * x[:, 1]) + x[:, 2] ** 2 + 0.3 * random.standard_normal(len(x))
    path = [os.path.join(folder, name) for name in ('x.npy', 'v.npy')]
    np.save(path[0], x), np.save(path[1], v[:, None].astype(np.float32))
    words = ['--inducing', '512', '--fit', '--optimiser', 'adam', '--steps', '25', '--quiet']
    figures = measure([quern, 'gp', *path, *words], folder)
    with open(os.path.join(folder, 'log'), encoding='utf-8') as log:
        print(log.read() + (figures if isinstance(figures, str) else '{:.1f} s, {:.1f} s of processors, {:.0f} MB'.format(*figures)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('quern')
    parser.add_argument('--sizes', default='20000,200000')
    parser.add_argument('--only', default='')
    parser.add_argument('--data', default='')
    parser.add_argument('--road', action='store_true')
    given = parser.parse_args()
    only = [name for name in given.only.split(',') if name]
    with tempfile.TemporaryDirectory() as folder:
        if given.road:
            return road(given.quern, folder)
        relief = read_netcdf(given.data or find_data(folder))
        print('| points | method | seconds | of processors | MB | off by, m |\n|---|---|---|---|---|---|')
        for size in (int(word) for word in given.sizes.split(',')):
            points, heights = draw(relief, size + TEST)
            x, v, z, truth = points[TEST:], heights[TEST:], points[:TEST], heights[:TEST, 0].astype(np.float64)
            mean, deviation = float(v.mean()), float(v.std())
            path = {name: os.path.join(folder, name + '.npy') for name in ('x', 'v', 'z', 'out')}
            np.save(path['x'], x), np.save(path['v'], (v - mean) / deviation), np.save(path['z'], z)
            few = [os.path.join(folder, 'few.npy')]
            np.save(few[0], np.hstack([x, v])[:300])
            for name, (words, most) in list(QUERN.items()) + [(name, ([], peer[2])) for name, peer in PEERS.items()]:
                if size > most or (only and name not in only):
                    continue
                command = [sys.executable, os.path.abspath(__file__), '--peer', name, folder]
                if name in QUERN:
                    penalty = ['--penalty', repr(NOISE / size)] if words[0] == 'ridge' else []
                    command = [given.quern, *words, *penalty, '--kernel', 'matern32', f'length={LENGTH}', '--quiet']
                    measure(command + few, folder)
                    command += [path['x'], path['v'], f'at={path["z"]}', '-o', path['out']]
                figures = measure(command, folder)
                if isinstance(figures, str):
                    print(f'| {size} | {name} | {figures} | | | |', flush=True)
                    continue
                found = np.load(path['out']).reshape(TEST, -1)[:, 0] * deviation + mean
                off = np.sqrt(np.mean((found - truth) ** 2))
                print('| {} | {} | {:.1f} | {:.1f} | {:.0f} | {:.0f} |'.format(size, name, *figures, off), flush=True)


if __name__ == '__main__':
    if sys.argv[1:2] == ['--peer']:
        run_peer(*sys.argv[2:4])
    else:
        main()
