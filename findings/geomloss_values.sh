#!/bin/sh
# GeomLoss 0.3.1 (PyTorch, the backend "tensorized", float64): five things about its values.
#
# - |x-y| of equal points is 1e-4, as squared distances are cut off at 1e-8; so with p=1 a divergence is off by that order;
# - gradients of unbalanced losses are those of the value times (rho + eps/2) / (rho + eps): `UnbalancedWeight.backward` is a
#   method of a torch.nn.Module, which autograd does not call;
# - loss="hausdorff" raises an error unless a kernel is passed;
# - at the default scaling of 0.5 a value with a reach is 7 % too small, because the number of steps is fixed;
# - a divergence with a reach is negative where the blur is larger than the clouds, since one step is made there at any scaling.
#
# Prints: distance 1.0e-04, gradient 0.85 of 0.85, hausdorff KeyError, scaling 0.07, divergence -0.0011
exec sh "$(dirname "$0")/support/finding.sh" geomloss==0.3.1 torch==2.15.0 <<'PYTHON'
import numpy
from finding import conclude

import torch
from geomloss import SamplesLoss

torch.set_default_dtype(torch.float64)


def cloud(count, offset, side):
    steps = numpy.array([[0.8191725134, 0.6710436067, 0.5497004779]])
    return torch.tensor(offset + side * numpy.mod(0.5 + numpy.arange(count)[:, None] * steps, 1))


def distance():
    """The energy distance of a point of mass 1 and the same in two halves, one of them 1 away, is 1/4 less a quarter of |x-x|."""
    one, two = torch.zeros(1, 3), torch.zeros(2, 3)
    two[1, 0] = 1
    got = SamplesLoss('energy', backend='tensorized')(torch.ones(1), one, torch.tensor([0.5, 0.5]), two).item()
    return 4 * (0.25 - got)


def gradient():
    """That of autograd over a central difference of the value, and what the factor would be."""
    x, y, rho, eps, h = cloud(12, 0, 1), cloud(10, 0.3, 0.8), 0.3**2, 0.2**2, 1e-4
    loss = SamplesLoss('sinkhorn', p=2, blur=0.2, reach=0.3, scaling=0.999, diameter=2.0, backend='tensorized')
    x.requires_grad_(True)
    got = torch.autograd.grad(loss(x, y), x)[0][3, 0].item()
    moved = [x.detach().clone(), x.detach().clone()]
    moved[0][3, 0] += h
    moved[1][3, 0] -= h
    up, down = (loss(cloud, y).item() for cloud in moved)
    return got / ((up - down) / (2 * h)), (rho + eps / 2) / (rho + eps)


def hausdorff():
    try:
        return str(SamplesLoss('hausdorff', backend='tensorized')(cloud(5, 0, 1), cloud(5, 0, 1)).item())
    except Exception as error:
        return type(error).__name__


def scaling():
    """The part by which a value with a reach is off at the default scaling of 0.5: beside 0.999."""
    losses = [SamplesLoss('sinkhorn', p=2, blur=0.1, reach=0.5, scaling=ratio, backend='tensorized')
              for ratio in (0.5, 0.999)]
    rough, fine = (loss(cloud(60, 0, 1), cloud(50, 0.3, 0.8)).item() for loss in losses)
    return 1 - rough / fine


def divergence():
    """Of clouds of two points, 1 wide; the optimum has 0.0022."""
    loss = SamplesLoss('sinkhorn', p=2, blur=3, reach=2, backend='tensorized')
    x, y, a, b = (torch.tensor(numbers) for numbers in ([1., 1.], [1.5, 0.5], [0.8, 0.2], [0.5, 0.5]))
    return loss(a, x[:, None], b, y[:, None]).item()


got, factor = gradient()
conclude(f'distance {distance():.1e}, gradient {got:.2f} of {factor:.2f}, hausdorff {hausdorff()}, scaling {scaling():.2f}, '
         f'divergence {divergence():.4f}',
         'distance 1.0e-04, gradient 0.85 of 0.85, hausdorff KeyError, scaling 0.07, divergence -0.0011')
PYTHON
