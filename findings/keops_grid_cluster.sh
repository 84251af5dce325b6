#!/bin/sh
# pykeops 2.3: grid_cluster gives far cells one label.
#
# The label of a cell is a sum of its coordinates times 1, 2^10 and 2^20, which are not bounded: in two dimensions the cells (0, 1024)
# and (1, 0), 1024 sizes apart, are one cluster, so are (0, 1024, 0) and (1, 0, 0) in three. Ranges from their distances take such
# a cluster for one in the middle of the two. In one dimension all is well, in four there is no clustering.
#
#     2-D: [0 0 1], 3-D: [0 0 1], 1-D: [0 1 2]
exec sh "$(dirname "$0")/support/finding.sh" pykeops==2.3 keopscore==2.3 numpy==2.4.6 <<'PYTHON'
from finding import conclude

import numpy as np
from pykeops.numpy.cluster import grid_cluster

plane = np.array([[0.5, 1024.5], [1.5, 0.5], [1.5, 1.5]])
space = np.hstack([plane, np.full((3, 1), 0.5)])
line = np.array([[0.5], [1024.5], [2048.5]])
conclude(f'2-D: {grid_cluster(plane, 1.0)}, 3-D: {grid_cluster(space, 1.0)}, 1-D: {grid_cluster(line, 1.0)}',
         '2-D: [0 0 1], 3-D: [0 0 1], 1-D: [0 1 2]')
PYTHON
