#!/bin/sh
# faiss-cpu 1.15.1: an exact index stops finding a point among its neighbours when more queries come at once.
#
# IndexFlatL2 computes |x - y|^2 term by term for few queries and as |x|^2 + |y|^2 - 2 xy by a matrix product when queries
# times dimension exceed faiss.cvar.distance_compute_blas_threshold, 128,000 here. In float32 the second form loses all
# digits where data lie far from the origin. 5,000 points in 128 dimensions between 1000 and 1001 are searched for
# themselves: in batches of 255 each is its own nearest neighbour, in one of 1,000 next to none is.
#
#     255 queries: 100.0 % find themselves
#     1000 queries: under 1 % find themselves
exec sh "$(dirname "$0")/support/finding.sh" faiss-cpu==1.15.1 numpy==2.4.6 <<'PYTHON'
from finding import conclude

import faiss
import numpy as np

points = (np.random.default_rng(0).random((5000, 128), dtype=np.float32) + np.float32(1000)).astype(np.float32)
index = faiss.IndexFlatL2(128)
index.add(points)
seen = []
for count in (255, 1000):
    _, nearest = index.search(points[:count], 1)
    share = (nearest[:, 0] == np.arange(count)).mean()
    print(f'{count} queries: {100 * share:.1f} % find themselves')
    seen.append('all' if share == 1 else 'under 1 %' if share < 0.01 else 'some')
conclude(seen, ['all', 'under 1 %'])
PYTHON
