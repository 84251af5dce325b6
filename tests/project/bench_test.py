"""bench_test.py: quern-bench measures what it says: its cases pass their own checks, one after another in one process as alone,
and so does a peer in the process, one that writes its result, and one that only gives a rate. Times are not looked at.

bench_test.py QUERN_BENCH [--all]: all cases; without it some that are quick
"""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from verdicts import finish, report, skip

BENCH = sys.argv[1]
SIZE = 400
# Their right values are found once for a problem, by a second run of quern.
FOUND = ['solve', 'eigs', 'sinkhorn10k']
LARGE = {'kmeans': 4000, 'kmeans25': 4000}  # these have 1000 clusters
ELSEWHERE = {'mpi': 'needs mpirun', 'two-devices': 'needs two devices'}


def measure(cases, *options):
    """(rows of the JSON, None) or ([], what went wrong)."""
    done = subprocess.run([BENCH, *cases, '--repeat', '1', '--json', '-', *options], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    return ([], done.stderr) if done.returncode else (json.loads(done.stdout)['cases'], None)


def check_cases(cases, size):
    rows, fault = measure(cases, '--n', str(size), '--against', 'none')
    told = [row['case'] for row in rows]
    report(f'quern-bench {" ".join(cases)} --n {size}', fault or (told != cases and f'cases {told}') or None)


def check_peer(case, peer, size):
    rows, fault = measure([case], '--n', str(size), '--against', peer)
    if not fault and 'peer' not in rows[0]:
        return skip(f'quern-bench {case} --against {peer}', rows[0].get('skipped', 'the peer is not here'))
    report(f'quern-bench {case} --n {size} --against {peer}', fault or (not rows[0][peer]['error'] < 1e-4 and f'{rows[0]}') or None)


def all_cases():
    text = subprocess.run([BENCH, '--help'], stdout=subprocess.PIPE, text=True, check=True).stdout
    lines = text.split('\ncases:\n')[1].split('\n\n')[0].splitlines()
    return [line.split()[0] for line in lines if line.startswith('  ')]


if '--all' in sys.argv:
    for name in all_cases():
        if name in ELSEWHERE:
            skip(f'quern-bench {name}', ELSEWHERE[name])
        else:
            check_cases([name], LARGE.get(name, SIZE))
else:
    check_cases(FOUND, SIZE)
    check_peer('g3', 'limit', SIZE)
    check_peer('small', 'opencl', 100)
sys.exit(finish())
