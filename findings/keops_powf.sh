#!/bin/sh
# pykeops 2.3: Powf of float64 arrays has the precision and the range of float32.
#
# The generated C++ calls powf(), which for double arguments converts them to float first: 7 digits are right, and
# Powf(1e40, 0.5) is infinite. Sqrt, beside it, keeps float64.
#
#     Powf(2.5, 0.5) = 1.5811388492584229, Sqrt(2.5) = 1.5811388300841898, Powf(1e40, 0.5) = inf
exec sh "$(dirname "$0")/support/finding.sh" pykeops==2.3 keopscore==2.3 numpy==2.4.6 <<'PYTHON'
from finding import conclude

import numpy as np
from pykeops.numpy import Genred

power = Genred('Powf(x,y)', ['x=Vi(1)', 'y=Vj(1)'], reduction_op='Sum', axis=1)
root = Genred('Sqrt(x)+y', ['x=Vi(1)', 'y=Vj(1)'], reduction_op='Sum', axis=1)
x, zero = np.array([[2.5], [1e40]]), np.zeros((1, 1))
powers, roots = power(x, zero + 0.5, backend='CPU').ravel(), root(x, zero, backend='CPU').ravel()
conclude(f'Powf(2.5, 0.5) = {powers[0]:.17g}, Sqrt(2.5) = {roots[0]:.17g}, Powf(1e40, 0.5) = {powers[1]:g}',
         'Powf(2.5, 0.5) = 1.5811388492584229, Sqrt(2.5) = 1.5811388300841898, Powf(1e40, 0.5) = inf')
PYTHON
