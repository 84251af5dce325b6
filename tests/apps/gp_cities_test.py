#!/usr/bin/env python3
"""gp_cities_test.py: known likelihoods and errors of Gaussian processes of 5000 cities, for a night.

    python3 tests/apps/gp_cities_test.py PATH/TO/quern examples/data/cities.csv

The exact method has the digits of scikit-learn's formulas in NumPy (docs/gp.md); the iterative one, of one seed, is beside it within four of
its standard errors, whose size is right over many seeds (tests/apps/test_spectra.c); means within 1e-4 and variances within 1e-2 of the standardised values'; inducing points give less than the exact
likelihood, the more of them the less.
"""
import csv
import json
import math
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
import verdicts

quern, cities = sys.argv[1:3]
COUNT, SOME = 5000, 200


def place(row):
    latitude, longitude = math.radians(float(row['latitude'])), math.radians(float(row['longitude']))
    return [math.cos(latitude) * math.cos(longitude), math.cos(latitude) * math.sin(longitude), math.sin(latitude)]


def write(path, rows):
    with open(path, 'w', encoding='ascii') as file:
        for row in rows:
            file.write(','.join(repr(number) for number in row) + '\n')


def process(folder, parameters, *options):
    """What --json tells, and means and standard deviations of some of the cities, standardised."""
    out = os.path.join(folder, 'out.csv')
    train, test, some = (os.path.join(folder, name) for name in ('train.csv', 'test.csv', 'some.csv'))
    told = subprocess.run([quern, 'gp', train, f'at={test}', '--json', '--quiet', '--dtype', 'f64', *parameters, *options],
                          check=True, capture_output=True, text=True).stdout
    subprocess.run([quern, 'gp', train, f'at={some}', '-o', out, '--quiet', '--dtype', 'f64', *parameters, *options], check=True,
                   capture_output=True)
    told = json.loads(told)
    with open(out, encoding='ascii') as file:
        table = [[float(number) for number in line] for line in csv.reader(file)]
    return told, [((mean - told['mean']) / told['deviation'], (spread / told['deviation']) ** 2) for mean, spread in table]


def main():
    with open(cities, encoding='utf-8') as file:
        known = [row for row in csv.DictReader(file) if row['elevation']]
    rows = [place(row) + [float(row['elevation'])] for row in known]
    with tempfile.TemporaryDirectory() as folder:
        write(os.path.join(folder, 'train.csv'), rows[0::4][:COUNT])
        write(os.path.join(folder, 'test.csv'), rows[2::4][:COUNT])
        write(os.path.join(folder, 'some.csv'), [row[:3] for row in rows[2::4][:SOME]])
        for length, likelihood, rmse in ((0.05, -3572.3557, 205.608), (0.02, -3370.2515, 211.519)):
            parameters = [f'length={length}', 'noise=0.1']
            exact, table = process(folder, parameters, '--method', 'cholesky')
            for name, limit, expected in (('log_marginal_likelihood', 1e-3, likelihood), ('rmse', 2e-3, rmse)):
                fine = abs(exact[name] - expected) < limit
                verdicts.report(f'length {length}: {name}', '' if fine else f'{exact[name]}, not {expected}')
            other, estimates = process(folder, parameters, '--method', 'iterative')
            off = abs(other['log_marginal_likelihood'] - exact['log_marginal_likelihood'])
            error = other['log_marginal_likelihood_error']
            print(f'# iterative: off by {off:.3g}, error bar {error:.3g}')
            verdicts.report(f'length {length}: the iterative likelihood', '' if off <= 4 * error < 6 else f'{off}, {error}')
            for k, (name, limit) in enumerate((('means', 1e-4), ('variances', 1e-2))):
                worst = max(abs(a[k] - b[k]) for a, b in zip(table, estimates))
                verdicts.report(f'length {length}: iterative {name}', '' if worst < limit else f'{worst}')
        last = -math.inf
        for inducing in ('200', '1000'):
            bound, _ = process(folder, parameters, '--inducing', inducing)
            fine = last < bound['log_marginal_likelihood'] < exact['log_marginal_likelihood']
            verdicts.report(f'{inducing} inducing points: a bound', '' if fine else str(bound['log_marginal_likelihood']))
            last = bound['log_marginal_likelihood']
    return verdicts.finish()


sys.exit(main())
