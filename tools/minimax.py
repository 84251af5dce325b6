#!/usr/bin/env python3
"""minimax.py: the polynomials of cl/math.cl, by Remez's exchange algorithm (E. Remez, 1934) in 40 digits.

    python3 tools/minimax.py [NAME...]

A row of FITS is one polynomial: the function of u that it stands for, the interval, the degree, and the weight that
turns its error into the relative error of the function computed with it. Prints the greatest weighted error, as a power of
2, and the coefficients rounded to the type, highest first. Needs mpmath.
"""
import sys

import mpmath as mp

mp.mp.dps = 40

SQRT_HALF, HALF_LN2, QUARTER_PI = mp.sqrt(mp.mpf(1) / 2), mp.log(2) / 2, mp.pi / 4
ERF_SPLIT = mp.mpf('0.875')


def even(f):
    """f(r) as a function of u = r^2"""
    return lambda u: f(mp.sqrt(u))


def scaled_erfc(q):
    a = 3 * (1 + q) / (1 - q)
    return (1 + 2 * a) * mp.exp(a * a) * mp.erfc(a)


def log2_of_quotient(s):
    return mp.log((1 + s) / (1 - s)) / mp.log(2)


# name: (function, from, to, degree, weight, bits)
FITS = {
    'log': (lambda f: (mp.log1p(f) - f) / f**2, SQRT_HALF - 1, mp.sqrt(2) - 1, 8, lambda f: f**2 / abs(mp.log1p(f)), 24),
    'expm1': (lambda r: (mp.expm1(r) - r) / r**2, -HALF_LN2, HALF_LN2 * mp.mpf('1.01'), 5, lambda r: r**2 / abs(mp.expm1(r)), 24),
    'sin': (even(lambda r: (mp.sin(r) - r) / r**3), 0, QUARTER_PI**2, 2, even(lambda r: r**3 / mp.sin(r)), 24),
    'cos': (even(lambda r: (mp.cos(r) - 1 + r**2 / 2) / r**4), 0, QUARTER_PI**2, 2,
            even(lambda r: r**4 / mp.cos(r)), 24),
    'sinh': (even(lambda r: (mp.sinh(r) - r) / r**3), 0, HALF_LN2**2, 2, even(lambda r: r**3 / mp.sinh(r)), 24),
    'cosh': (even(lambda r: (mp.cosh(r) - 1) / r**2), 0, HALF_LN2**2, 2, even(lambda r: r**2), 24),
    'atan': (even(lambda z: (mp.atan(z) - z) / z**3), 0, 1, 8, even(lambda z: z**3 / mp.atan(z)), 24),
    'asin': (even(lambda z: (mp.asin(z) - z) / z**3), 0, mp.mpf(1) / 4, 4, even(lambda z: z**3 / mp.asin(z)), 24),
    'erf': (even(lambda x: mp.erf(x) / x - 1), 0, ERF_SPLIT**2, 5, even(lambda x: x / mp.erf(x)), 24),
    'erf_far': (lambda a: -mp.log(mp.erfc(a)), ERF_SPLIT, 4, 7, mp.erfc, 24),
    'erfc': (scaled_erfc, mp.mpf(-5) / 7, mp.mpf('7.1') / mp.mpf('13.1'), 9, lambda q: 1 / scaled_erfc(q), 24),
    'log2': (even(lambda s: log2_of_quotient(s) / s), 0, (3 - 2 * mp.sqrt(2))**2, 5,
             even(lambda s: s / log2_of_quotient(s)), 53),
    'exp2_cubic': (lambda f: (mp.mpf(2)**f - 1) / f, mp.mpf(-1) / 16, mp.mpf(1) / 16, 2, lambda f: abs(f) * mp.mpf(2)**-f, 24),
    'exp2': (lambda f: mp.mpf(2)**f, mp.mpf(-1) / 2, mp.mpf(1) / 2, 6, lambda f: mp.mpf(2)**-f, 53),
}


def chebyshev(low, high, count):
    return [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * (k + mp.mpf(1) / 2) / count) for k in range(count)]


def value(coefficients, u):
    return mp.polyval(coefficients[::-1], u)


def levelled(f, weight, points, degree):
    """The polynomial whose weighted error has one size and alternating signs at the points."""
    rows = mp.matrix(len(points), degree + 2)
    for n, u in enumerate(points):
        for k in range(degree + 1):
            rows[n, k] = u**k
        rows[n, degree + 1] = (-1)**n / weight(u)
    return list(mp.lu_solve(rows, mp.matrix([f(u) for u in points])))[:-1]


def extremes(error, grid):
    """The greatest error of each stretch of one sign."""
    found = []
    for u in grid:
        e = error[u]
        if found and (e > 0) == (error[found[-1]] > 0):
            if abs(e) > abs(error[found[-1]]):
                found[-1] = u
        else:
            found.append(u)
    return found


def remez(f, low, high, degree, weight):
    grid, points = chebyshev(low, high, 600), chebyshev(low, high, degree + 2)
    known = {u: (f(u), weight(u)) for u in grid}
    for _ in range(12):
        coefficients = levelled(f, weight, points, degree)
        error = {u: (value(coefficients, u) - known[u][0]) * known[u][1] for u in grid}
        found = extremes(error, grid)
        while len(found) > degree + 2:
            found.remove(min((found[0], found[-1]), key=lambda u: abs(error[u])))
        sizes = [abs(error[u]) for u in found]
        if len(found) < degree + 2 or max(sizes) < min(sizes) * mp.mpf('1.001'):
            break
        points = found
    return coefficients, max(abs(e) for e in error.values())


def rounded(c, bits):
    """c with so many bits"""
    shift = bits - int(mp.floor(mp.log(abs(c), 2))) - 1
    return mp.nint(mp.ldexp(c, shift)) / mp.mpf(2)**shift


def main():
    for name in sys.argv[1:] or FITS:
        f, low, high, degree, weight, bits = FITS[name]
        coefficients, error = remez(f, mp.mpf(low), mp.mpf(high), degree, weight)
        print(f'{name}: degree {degree}, error 2^{mp.nstr(mp.log(error, 2), 4)}')
        for c in reversed(coefficients):
            print('   ', mp.nstr(rounded(c, bits), 9 if bits == 24 else 17) + ('f' if bits == 24 else ''))


if __name__ == '__main__':
    main()
