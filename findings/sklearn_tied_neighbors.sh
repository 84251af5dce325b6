#!/bin/sh
# scikit-learn 1.9.1: points far away change the class of a query whose nearest neighbours they are not.
#
# Sixteen points at distance 1 of the query are as near as each other, and any three of them are its 3 nearest. Which ones a
# k-d tree or a ball tree takes depends on how all points are split, so 64 points at distance 100, more than a leaf holds,
# make it take others, and the majority turns. The documentation says that the order of the points matters for such ties; here the
# sixteen keep theirs. Brute force takes the same three here.
#
#     kd_tree, 16 points: neighbours [0, 1, 2], class 0
#     kd_tree, and 64 far ones: neighbours [0, 1, 15], class 1
#     brute, 16 points: neighbours [0, 1, 2], class 0
#     brute, and 64 far ones: neighbours [0, 1, 2], class 0
exec sh "$(dirname "$0")/support/finding.sh" scikit-learn==1.9.1 numpy==2.4.6 <<'PYTHON'
from finding import conclude

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

near = np.array([[1.0], [-1.0]] * 8)
labels = np.array([0, 1, 0] + [1] * 13)
seen = []
for algorithm in ('kd_tree', 'brute'):
    for far in (0, 64):
        points = np.concatenate([near, np.full((far, 1), 100.0)])
        told = np.concatenate([labels, np.full(far, 2)])
        model = KNeighborsClassifier(3, algorithm=algorithm).fit(points, told)
        found = sorted(int(k) for k in model.kneighbors([[0.0]])[1][0])
        one = int(model.predict([[0.0]])[0])
        print(f'{algorithm}, {"and 64 far ones" if far else "16 points"}: neighbours {found}, class {one}')
        seen.append((found, one))
conclude(seen, [([0, 1, 2], 0), ([0, 1, 15], 1), ([0, 1, 2], 0), ([0, 1, 2], 0)])
PYTHON
