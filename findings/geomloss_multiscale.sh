#!/bin/sh
# GeomLoss 0.3.1 with pykeops 2.3: with a reach, the backend "multiscale" has another value than "tensorized".
#
# It is larger by 2 % here, and does not come nearer with a finer scaling: the jump to the fine clouds takes the temperature of the
# coarse ones.
#
#     with a reach 2 % larger at scaling 0.5 and 0.9
exec sh "$(dirname "$0")/support/finding.sh" geomloss==0.3.1 pykeops==2.3 keopscore==2.3 torch==2.15.0 <<'PYTHON'
import numpy
import pykeops
import torch
from finding import conclude
from geomloss import SamplesLoss

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


excesses = {excess(scaling) for scaling in (0.5, 0.9)}
conclude(f'with a reach {", ".join(sorted(excesses))} larger at scaling 0.5 and 0.9',
         'with a reach 2 % larger at scaling 0.5 and 0.9')
PYTHON
