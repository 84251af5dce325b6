#!/bin/sh
# pykeops 2.3: what becomes of NaN, of empty choices and of numbers that are not whole.
#
# Step(NaN) is 1 while Sign(NaN) is 0 and Clamp(NaN) is NaN. OneHot takes the nearest whole number, and counts -1 as 0,
# since (int)(-0.5) is 0. ArgMax of nothing but NaN or -infinity is index 0, as if there were a winner. LogSumExp of terms
# that are all -infinity, the sum of no probability at all, is NaN, not -infinity.
#
#     ['1', '0', 'nan', '1 0 0', '0 1 0', '0', '0', 'nan']
exec sh "$(dirname "$0")/support/finding.sh" pykeops==2.3 keopscore==2.3 numpy==2.4.6 <<'PYTHON'
from finding import conclude

import numpy as np
from pykeops.numpy import Genred

nan, inf = np.nan, np.inf


def text(values):
    return ' '.join('%g' % value for value in values.ravel())


def of_one(formula, x):
    return text(Genred(formula, ['x=Vi(1)', 'y=Vj(1)'], reduction_op='Sum', axis=1)(
        np.array([[x]], float), np.zeros((1, 1)), backend='CPU'))


def of_terms(reduction, *terms):
    return text(Genred('x+y', ['x=Vi(1)', 'y=Vj(1)'], reduction_op=reduction, axis=1)(
        np.zeros((1, 1)), np.array(terms, float)[:, None], backend='CPU'))


conclude([of_one('Step(x)+y', nan), of_one('Sign(x)+y', nan), of_one('Clamp(x,y,IntCst(1))+y', nan),
          of_one('OneHot(x,3)+y', -1), of_one('OneHot(x,3)+y', 0.9), of_terms('ArgMax', nan, nan),
          of_terms('ArgMax', -inf, -inf), of_terms('LogSumExp', -inf, -inf)],
         ['1', '0', 'nan', '1 0 0', '0 1 0', '0', '0', 'nan'])
PYTHON
