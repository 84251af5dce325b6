#!/bin/sh
# scikit-learn 1.9.1: KernelDensity's cosine kernel is no density in even dimensions.
#
# Each kernel is divided by its integral, so that around one point the density integrates to 1. The closed form for cos(pi r / 2)
# of a ball lacks the last term where the dimension is even: in 2 dimensions the integral is taken for 4 in place of
# 4 - 8/pi, and the density integrates to 1 - 2/pi; in 4 it comes out negative, and
# all logarithms of densities are NaN. All other kernels, and odd dimensions, are right.
#
#     1 dimension: 1.000    2 dimensions: 0.363    3 dimensions: 1.000    4 dimensions: NaN
exec sh "$(dirname "$0")/support/finding.sh" scikit-learn==1.9.1 numpy==2.4.6 <<'PYTHON'
from finding import conclude

import math

import numpy as np
from sklearn.neighbors import KernelDensity

seen = []
for dim in range(1, 5):
    density = KernelDensity(kernel='cosine', bandwidth=1).fit(np.zeros((1, dim)))
    radius = (np.arange(20000) + 0.5) / 20000
    at = np.zeros((len(radius), dim))
    at[:, 0] = radius
    sphere = 2 * math.pi ** (dim / 2) / math.gamma(dim / 2)
    total = float(np.sum(np.exp(density.score_samples(at)) * sphere * radius ** (dim - 1)) / len(radius))
    print(f'{dim} dimension{"s" * (dim > 1)}: {total:.3f}')
    seen.append('NaN' if math.isnan(total) else '1' if abs(total - 1) < 1e-3 else '1 - 2/pi' if abs(total - 1 + 2 / math.pi) < 1e-3 else total)
conclude(seen, ['1', '1 - 2/pi', '1', 'NaN'])
PYTHON
