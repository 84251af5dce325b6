"""The table of docs/transport.md: `quern transport` beside GeomLoss's three backends and POT's exact solver, on one problem after the other.

    pip install geomloss pykeops torch POT     # in an environment of its own
    python bench/peers/transport_table.py build/src/cli/quern [POINTS] [REACH]     # 1000 points and no reach without them

Value and gradient are compared with those of steps in float64 until potentials move by 1e-5 of eps, by this script (up to 2000 points), or with
quern's in float64, to a gap of 1e-6. Seconds are of the second of two runs; quern's are those of a whole process, reading and starting too.
"""
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy
import torch

BLUR = 0.05
torch.set_num_threads(len(os.sched_getaffinity(0)))


def surface(generator, count, axes, centre):
    points = generator.normal(size=(count, 3))
    return (points / numpy.linalg.norm(points, axis=1)[:, None] * axes + centre).astype('float32')


def timed(function):
    function()
    start = time.perf_counter()
    result = function()
    return result, time.perf_counter() - start


def entropic(x, y, rho, steps=20000):
    """Potentials of entropic transport between equal weights, and the dual value."""
    eps, cost = BLUR**2, torch.cdist(x, y)**2 / 2
    damping = 1 / (1 + eps / rho)
    f, g = torch.zeros(len(x), dtype=x.dtype), torch.zeros(len(y), dtype=x.dtype)
    log_m, log_n = numpy.log(len(x)), numpy.log(len(y))
    for _ in range(steps):
        f = -eps * damping * torch.logsumexp((g - cost) / eps - log_n, 1)
        new = -eps * damping * torch.logsumexp((f[:, None] - cost) / eps - log_m, 0)
        moved, g = (new - g).abs().max().item(), new if len(x) != len(y) or x is not y else (new + g) / 2
        if moved < 1e-5 * eps:
            break
    plan = torch.exp((f[:, None] + g - cost) / eps - log_m - log_n)
    gain = (lambda p: p.mean()) if rho == float('inf') else (lambda p: (rho * (1 - torch.exp(-p / rho))).mean())
    return (gain(f) + gain(g) - eps * (plan.sum() - 1)).item(), (x * plan.sum(1)[:, None] - plan @ y)


def reference(x, y, rho):
    x, y = (torch.from_numpy(p).double() for p in (x, y))
    value, gradient = entropic(x, y, rho)
    (of_x, part), (of_y, _) = entropic(x, x, rho), entropic(y, y, rho)
    return value - of_x / 2 - of_y / 2, (gradient - part).numpy()


def quern(tool, x, y, reach, *more, blur=BLUR):
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ('x.npy', 'y.npy', 'g.npy')]
        numpy.save(paths[0], x), numpy.save(paths[1], y)
        words = [tool, 'transport', *paths[:2], '--blur', str(blur), '--json', '--quiet', *more]
        words += ['--reach', str(reach)] if reach else []
        words += [] if '--entropic' in more else ['-o', 'gradient-x=' + paths[2]]
        done, seconds = timed(lambda: subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)
        report = json.loads(done)
        return report, None if '--entropic' in more else numpy.load(paths[2]), seconds


def geomloss(backend, x, y, reach, scaling):
    from geomloss import SamplesLoss
    loss = SamplesLoss('sinkhorn', p=2, blur=BLUR, reach=reach or None, scaling=scaling, backend=backend)
    points, others = torch.from_numpy(x).requires_grad_(True), torch.from_numpy(y)

    def call():
        value = loss(points, others)
        return value.item(), torch.autograd.grad(value, points)[0].numpy()
    (value, gradient), seconds = timed(call)
    return value, gradient, seconds


def row(name, value, gradient, seconds, right):
    off = abs(value / right[0] - 1)
    turned = '' if gradient is None else f'{numpy.linalg.norm(gradient - right[1]) / numpy.linalg.norm(right[1]):.1e}'
    print(f'| {name} | {value:.6f} | {off:.1e} | {turned} | {seconds:.2f} |', flush=True)


def compare(tool, count, reach):
    generator = numpy.random.default_rng(1)
    x = surface(generator, count, (0.5, 0.5, 0.5), 0.5)
    y = surface(generator, count, (0.3, 0.45, 0.2), 0.7)
    rho = reach**2 if reach else float('inf')
    if count <= 2000:
        right = reference(x, y, rho)
    else:
        exact, gradient, _ = quern(tool, x.astype(float), y.astype(float), reach, '--gap', '1e-6', '--tolerance', '1e-7')
        right = exact['value'], gradient
    print(f'{count} points each, blur {BLUR}, reach {reach or "none"}\n')
    print('| | value | off by | gradient off by | seconds |\n|---|---|---|---|---|')
    for name, more in (('quern, default', ()), ('quern, `--gap 0.01`', ('--gap', '0.01'))):
        report, gradient, seconds = quern(tool, x, y, reach, *more)
        row(name, report['value'], gradient, seconds, right)
    for backend in ('tensorized', 'online', 'multiscale'):
        if backend == 'tensorized' and count > 5000:
            continue
        for scaling in (0.5, 0.9):
            try:
                row(f'GeomLoss, {backend}, scaling {scaling}', *geomloss(backend, x, y, reach, scaling), right)
            except Exception as error:  # a backend that is not there, or refuses
                print(f'| GeomLoss, {backend}, scaling {scaling} | {type(error).__name__}: {str(error)[:80]} | | | |')
    if not reach and count <= 5000:
        exact_row(tool, x, y)


def exact_row(tool, x, y):
    """Without regularisation: the cost of the best plan, beside the cost of quern's plan at a small blur and the interval below it."""
    import ot
    cost = (numpy.linalg.norm(x[:, None].astype(float) - y[None], axis=2)**2) / 2
    weights = [numpy.full(len(p), 1 / len(p)) for p in (x, y)]
    value, seconds = timed(lambda: ot.emd2(*weights, cost, numItermax=10**7))
    report, _, own = quern(tool, x, y, 0, '--entropic', '--iterations', '3000', blur=0.01)
    print(f'\n| exact transport | cost | above the least | | seconds |\n|---|---|---|---|---|\n| POT, `ot.emd2` | {value:.6f} | 0 | | {seconds:.2f} |')
    print(f'| quern, the plan at blur 0.01 | {report["cost"]:.6f} | {report["cost"] / value - 1:.1e} | | {own:.2f} |')


if __name__ == '__main__':
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    compare(os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1000,
            float(sys.argv[3]) if len(sys.argv) > 3 else 0)
