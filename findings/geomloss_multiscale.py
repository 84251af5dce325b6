"""geomloss_multiscale.py: two things about GeomLoss's backend "multiscale" that its users would guess wrong.

GeomLoss 0.3.1 with pykeops 2.3:
- with a reach, the value is another than that of the backend "tensorized", by 2 % here, and does not come nearer with a finer scaling;
- the cells that clouds begin with are numbered by 1024 a row (`grid_cluster` of pykeops): along an axis of more cells, cells that are
  far apart have one number, and are one cluster.

Prints: with a reach 2 % larger at scaling 0.5 and 0.9; cells (0, 1024) and (1, 0) are one
"""
import numpy
from packages import conclude, run_with

run_with('geomloss==0.3.1', 'pykeops==2.3', 'keopscore==2.3', 'torch')

import pykeops  # noqa: E402
import torch  # noqa: E402
from geomloss import SamplesLoss  # noqa: E402
from pykeops.torch.cluster import grid_cluster  # noqa: E402

pykeops.set_verbose(False)


def surface(count, axes, centre):
    """A spiral from pole to pole of an ellipsoid."""
    k = numpy.arange(count)
    z = (2 * k + 1) / count - 1
    flat = numpy.sqrt(1 - z * z)
    points = numpy.stack([flat * numpy.cos(2.39996 * k), flat * numpy.sin(2.39996 * k), z], 1)
    return torch.tensor((points * axes + centre).astype('float32'))


def excess(scaling):
    x, y = surface(1000, (0.5, 0.5, 0.5), 0.5), surface(1000, (0.3, 0.45, 0.2), 0.7)
    values = [SamplesLoss('sinkhorn', p=2, blur=0.05, reach=0.3, scaling=scaling, backend=backend)(x, y).item()
              for backend in ('tensorized', 'multiscale')]
    return f'{100 * (values[1] / values[0] - 1):.0f} %'


labels = grid_cluster(torch.tensor([[0.5, 0.5], [0.5, 1024.5], [1.5, 0.5]]), 1.0)
excesses = {excess(scaling) for scaling in (0.5, 0.9)}
conclude(f'with a reach {", ".join(sorted(excesses))} larger at scaling 0.5 and 0.9; cells (0, 1024) and (1, 0) are '
         + ('one' if labels[1] == labels[2] else 'two'),
         'with a reach 2 % larger at scaling 0.5 and 0.9; cells (0, 1024) and (1, 0) are one')
