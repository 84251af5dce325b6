#!/usr/bin/env python3
"""table.py: quern beside its peers in one table, really run, within 10 minutes.

    BENCH_PYTHON=DIR/bin/python python3 bench/peers/table.py [BUILD] [--limit S] [--write]     # DIR: see setup.sh

Each row is a case of quern-bench beside a peer, in turns in one process. A row that takes more than its share of the limit (600 s for
all), whose peer is missing or fails, says so and hurts no other. Prints Markdown; --write puts it into docs/peers.md, which is
kept as it is where no row was measured. Exit status: 0 if any row was measured, 1 if none.
"""
import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join(ROOT, 'docs', 'peers.md')

# What it is in words, case, peer, rows and columns (0: the case's own), repetitions
ROWS = (
    ('10 nearest of 100,000 points, uniform, D = 3', 'knn3-100k', 'nanoflann', 0, 5),
    ('10 nearest of 100,000 points, uniform, D = 3', 'knn3-100k', 'faiss', 0, 1),
    ('10 nearest of 100,000 points on a bunny', 'knn3-bunny', 'nanoflann', 0, 5),
    ('10 nearest of 5,000 points, D = 50', 'knn50', 'faiss', 0, 5),
    ('k-means of noise, 1000 clusters, D = 50, 3 steps', 'kmeans', 'faiss', 0, 3),
    ('k-means of 500 groups, 1000 clusters, D = 50, 25 steps', 'kmeans25', 'faiss', 0, 2),
    ('t-SNE of 5,000 points, D = 50', 'tsne', 'sklearn', 5000, 1),
    ('t-SNE of 5,000 points, D = 50', 'tsne', 'opentsne', 5000, 1),
    ('UMAP of 3,000 points, D = 50', 'umap', 'umap-learn', 3000, 1),
    ('mean of a Gaussian process, 5,000 points', 'gp20k', 'sklearn', 5000, 1),
    ('10 eigenvalues of a Gaussian kernel, 5,000 points', 'eigs', 'arpack-dense', 0, 1),
    ('a step of a million swimmers', 'vicsek1m', 'cells', 0, 5),
    ('Gaussian sum, D = 3', 'g3', 'keops', 0, 5),
    ('its gradient', 'g3-grad', 'keops', 0, 5),
    ('10 nearest of 10,000 points, D = 3, all pairs', 'knn3', 'keops', 0, 5),
    ('attention, D = 64', 'attention', 'keops', 0, 5),
    ('kernel interpolation, 16 right-hand sides', 'solve', 'keops', 0, 1),
    ('Sinkhorn divergence of 10,000 points', 'sinkhorn10k', 'geomloss', 0, 1),
)

HEAD = '''\
# Beside its peers

Times of whole calls in milliseconds, medians, quern and the peer in turns; above 1 quern is faster. `{command}` has
written this page ({device}, load average {load:.2f} at the start). [bench/README.md](../bench/README.md) tells what cases and
peers are, [performance.md](performance.md) has more cases and sizes.

| | peer | quern, ms | peer, ms | peer/quern |
|---|---|---|---|---|
'''


def milliseconds(side):
    """Three digits, and none behind the point from a thousand on."""
    time = side['median_s'] * 1e3
    return f'{time:,.0f}' if time >= 1000 else f'{time:.3g}'


def measure(bench, case, peer, size, repeat, seconds):
    """The document of one case, or why there is none."""
    with tempfile.TemporaryDirectory() as work:
        path = os.path.join(work, 'out.json')
        words = [bench, case, '--against', peer, '--repeat', str(repeat), '--json', path]
        child = subprocess.Popen(words + (['--n', str(size)] if size else []), stdin=subprocess.DEVNULL, text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            said = child.communicate(timeout=seconds)[0].strip().splitlines()
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)  # the peer, too
            child.communicate()
            return f'took more than {seconds:.0f} s'
        if child.returncode or not os.path.exists(path):
            return said[-1][:120] if said else 'failed without a word'
        with open(path) as file:
            return json.load(file)


def row_text(words, case, peer, document):
    """A line of the table, and whether it was measured."""
    if isinstance(document, str):
        return f'| {words} (`{case}`) | {peer} | | | {document} |', False
    row = document['cases'][0]
    if 'peer' not in row:
        return f'| {words} (`{case}`) | {peer} | {milliseconds(row["quern"])} | | {row.get("skipped", "?")} |', False
    name = row['peer_about'].split(', OMP_')[0] or peer
    return (f'| {words} (`{case}`) | {name} | {milliseconds(row["quern"])} | {milliseconds(row[peer])} | '
            f'{row["peer_over_quern"]:.2f} |'), True


def main():
    parser = argparse.ArgumentParser(usage=__doc__.splitlines()[2].strip())
    parser.add_argument('build', nargs='?', default=os.path.join(ROOT, 'build'))
    parser.add_argument('--limit', type=float, default=600)
    parser.add_argument('--only')
    parser.add_argument('--write', action='store_true')
    options = parser.parse_args()
    bench = os.path.join(os.path.abspath(options.build), 'bench', 'quern-bench')
    if not os.path.exists(bench):
        sys.exit(f'table.py: there is no {bench}: meson setup build && ninja -C build')
    begin, load, device, lines, measured = time.monotonic(), os.getloadavg()[0], 'no device', [], 0
    rows = [row for row in ROWS if not options.only or options.only in (row[1], row[2])]
    for number, (words, case, peer, size, repeat) in enumerate(rows):
        left = options.limit - (time.monotonic() - begin)
        share = min(left, max(60, 2.5 * left / (len(rows) - number)))
        document = measure(bench, case, peer, size, repeat, share) if left > 5 else 'not reached within the limit'
        line, good = row_text(words, case, peer, document)
        lines.append(line)
        measured += good
        if not isinstance(document, str):
            device = f'{document["device"]}, {document["driver"]}'
        print(line, flush=True)
    if options.write and measured:
        command = 'python3 bench/peers/table.py --write'
        with open(PAGE, 'w') as file:
            file.write(HEAD.format(command=command, device=device, load=load) + '\n'.join(lines) + '\n')
    return 0 if measured else 1


if __name__ == '__main__':
    sys.exit(main())
