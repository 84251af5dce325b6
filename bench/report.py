#!/usr/bin/env python3
"""report.py: performance.md and its plots from the document of report_measure.py; no number in them has another source.

    python3 bench/report.py FILE DIR     writes DIR/performance.md, and with gnuplot DIR/images/performance-*.svg

Where a ratio is below its aim, report_notes.txt may say why: its lines `case/peer: text`, continued by lines that begin
with a blank, are taken in only then.
"""
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
IMAGES = ('images/performance-times.svg', 'images/performance-roofline.svg')

# Seconds of KeOps's whole processes: key, what quern's cold or warm time stands beside, aim, words
FIRST_CALLS = (
    ('empty_cache_s', 'cold_s', 2.5, 'cold: every cache empty'),
    ('new_formula_s', 'cold_s', None, "a new formula: quern's caches empty, KeOps's own modules there"),
    ('warm_s', 'warm_s', 1.5, 'warm: caches filled'),
)

INTRODUCTION = '''\
# Performance

quern on a CPU beside its peers: the table of ratios, time against size, and where each case stands below the limits of
the processor. `bench/report.sh` writes this page and its plots from the measurements in `bench/results/cpu.json`; no
number is typed by hand. [bench/README.md](../bench/README.md) tells what cases and peers are and how a time is taken.
'''

QUICK = '''
**These are figures of a quick run (`--quick`): sizes are small and repetitions few, so that the ratios say that
everything works, and not how fast it is; aims are for whole runs.** `sh bench/report.sh && sh bench/report.sh --publish
report-results` writes the page anew from a whole one.
'''

RATIOS = '''
## Ratios

The median time of the peer, divided by that of quern in the same run: above 1, quern is faster. The aim for `limit`
(hand-written C for this one formula), `openblas` (inner products alone, at the rate of sgemm) and `opencl` (a bare
program with a kernel written by hand) is below 1: they are marks to come near to. "Least" is the ratio of the least
times, which other work on the machine disturbs less; "load" is the load average before the case. M = N. Medians of 3 to
21 turns of quern and the peer, a third of a second each.
'''

FIRST_CALLS_TEXT = '''
## First calls

Whole processes with 100 x 100 points, from start to end; seconds, medians of {rounds}; load average {load:.2f}. quern's
is `quern eval`, KeOps's a Python program, the bare one plain OpenCL with a kernel written for this formula
(`bench/first_call.c`).
'''

TIMES = '''
## Time against size

The 3-D Gaussian sum in float32 (`g3`), a whole call on host arrays, M = N.
'''

ROOFLINE = '''
## Roofline

Flops and bytes are those that `quern explain` counts: any operation is one flop, an exponential too; a fused
multiply-add is two. The bytes are those of the arrays, each read or written once: what memory has to deliver at least.
The limits were measured before and after the cases, of which the better counts: independent chains of multiply-adds in
registers, in float32, and a triad over arrays that fit no cache, each by all processors and the best of some rounds. An
exponential is one flop but several instructions, and a selection of nearest neighbours is compares that are not counted,
so cases with these cannot come near the limit; `g3-f64` has half of it.
'''

SHARED = """\
That is more than the cases make themselves: **other work shared the machine**, times are long and noisy, and a peer
that gives each thread an equal share of the rows, as KeOps does, loses more than quern."""
QUIET = 'That is about what the cases make themselves.'

OVERTAKEN = '''
A share above 100 % shows that other work had the processors while the limit was measured.
'''

REPRODUCE = '''
## Reproduce

```sh
meson setup build && ninja -C build
sh bench/peers/setup.sh ~/quern-peers            # KeOps, FAISS and NumPy with OpenBLAS, from PyPI
BENCH_PYTHON=~/quern-peers/bin/python sh bench/report.sh           # 10 minutes at most; results in report-results/
BENCH_PYTHON=~/quern-peers/bin/python sh bench/report.sh --quick   # about 2 minutes, small sizes
sh bench/report.sh --publish report-results      # this page anew from these results
```

CLBlast must be there when the build is configured, and gnuplot for the plots. A peer that is missing has a row that
says so. Ratios of a machine that does other work at the same time are worth little: see the loads.
'''


# ---- numbers ----------------------------------------------------------------------------------------------------

def digits(value, count=3):
    """Rounded to significant digits, never in the notation with an exponent."""
    if value == 0:
        return '0'
    places = max(0, count - 1 - math.floor(math.log10(abs(value))))
    return f'{value:,.{places}f}'


def table(head, rows):
    lines = [head, ['---'] * len(head), *rows]
    return '\n' + ''.join('| ' + ' | '.join(line) + ' |\n' for line in lines)


def milliseconds(seconds):
    return digits(seconds * 1e3)


# ---- sections ---------------------------------------------------------------------------------------------------

def machine_text(data):
    m, d, peak = data['machine'], data['device'], data['peak']
    peers = {row['peer']: row['about'] for row in data['comparisons'] if 'about' in row}
    rows = [['processor', f"{m['processor']}, {m['cores']} cores for this process"],
            ['memory', f"{m['memory'] / 2**30:.1f} GiB" if m['memory'] else 'unknown'],
            ['system', m['kernel']],
            ['OpenCL device', f"{d['name']}, {d['memory'] / 2**30:.1f} GiB; {d['version']}; driver {d['driver']}; "
                              f"profile {d['profile']}"],
            ['quern', f"{data['quern']}, commit {m['commit']}"],
            *([f'`{peer}`', about] for peer, about in sorted(peers.items())),
            ['measured limits', f"{digits(peak['gflops'])} GFLOP/s, {digits(peak['gb_s'])} GB/s ({peak['kind']}, "
                                f"{peak['threads']} threads)" if 'gflops' in peak else f"none: {peak['reason']}"],
            ['measured', f"{m['date']}, in {data['seconds']} s; load average at the start {m['load']:.2f}"],
            ['command', f"`sh bench/report.sh{' --quick' if data['quick'] else ''}`"]]
    loads = [row['load'] for row in data['comparisons']]
    busy = f"""
Load averages beside the figures tell how much else the machine did; those of this run go up to {max(loads):.2f},
on {m['cores']} cores.
{SHARED if max(loads) > 1.5 * m['cores'] else QUIET}
"""
    return '\n## The machine\n' + table(['what', ''], rows) + busy


def aim_cells(data, ratio, aim):
    """The aim, and whether it is met, which a quick run cannot say."""
    if aim is None:
        return ['', '']
    return [f'{aim:g}', '' if ratio is None or data['quick'] else 'yes' if ratio >= aim else 'no']


def ratio_rows(data):
    """(key of a note, ratio or None, aim, cells)"""
    for row in data['comparisons']:
        key, first = f"{row['case']}/{row['peer']}", [f"`{row['case']}`", f"`{row['peer']}`"]
        load = f"{row['load']:.2f}"
        quern = milliseconds(row['quern_s']) if 'quern_s' in row else ''
        size = f"{row['N']:,}" if 'N' in row else ''
        if 'peer_s' not in row:
            reason = f"not installed: {row['missing']}" if 'missing' in row else f"not measured: {row['reason']}"
            yield key, None, row['aim'], [*first, size, quern, reason.replace('|', '/'), '', '',
                                          *aim_cells(data, None, row['aim']), load]
            continue
        ratio = row['peer_s'] / row['quern_s']
        least = digits(row['peer_least_s'] / row['quern_least_s'])
        yield key, ratio, row['aim'], [*first, size, quern, milliseconds(row['peer_s']), digits(ratio), least,
                                       *aim_cells(data, ratio, row['aim']), load]


def seconds_cell(of, key):
    return digits(of[key]) if key in of else of['reason']


def first_call_rows(data):
    quern, keops, bare = (data['first_calls'][name] for name in ('quern', 'keops', 'bare'))
    for there, here, aim, words in FIRST_CALLS:
        ratio = keops[there] / quern[here] if here in quern and there in keops else None
        cells = [digits(ratio) if ratio else '', *aim_cells(data, ratio, aim)]
        times = [seconds_cell(quern, here), seconds_cell(keops, there), seconds_cell(bare, here)]
        yield f'first-call/{there}', ratio, aim, [words, *times, *cells]


def notes_read():
    with open(os.path.join(HERE, 'report_notes.txt'), encoding='utf-8') as file:
        lines = file.read().replace('\n ', ' ').splitlines()
    return dict(line.split(': ', 1) for line in lines if not line.startswith('#'))


def below_text(rows, quick):
    """What is below its aim, and why; nothing in a quick run, whose sizes are not those of the aims."""
    notes = notes_read()
    lines = [f'- **{key}**, {digits(ratio)} of {aim:g}: {notes.get(key, "no reason is known.")}\n'
             for key, ratio, aim, _ in rows if ratio is not None and aim is not None and ratio < aim]
    if quick or not lines:
        return ''
    return '\n### Below the aim\n\n' + ''.join(lines)


def sweep_text(data, plots):
    wall = math.isqrt(data['device']['memory'] // 4)
    rows = []
    for row in data['sweep']:
        cells = [f"{row['N']:,}", milliseconds(row['quern_s']) if 'quern_s' in row else '']
        for peer in ('keops', 'clblast'):
            cells.append(milliseconds(row[f'{peer}_s']) if f'{peer}_s' in row else row[f'{peer}_reason'])
        rows.append([*cells, f"{row['load']:.2f}" if 'load' in row else ''])
    image = f'\n![time of a call against N, for quern, KeOps and CLBlast]({IMAGES[0]})\n' if plots else ''
    words = f'''
CLBlast needs the matrix K: beyond N = {wall:,} its 4 M N bytes are more than the memory of the device, the vertical
line of the plot. The peer makes K panel by panel and could go on beyond it, at the same rate; its line ends there all
the same, as a K that is kept does. quern stores none.
'''
    return TIMES + image + table(['N', 'quern, ms', 'KeOps, ms', 'CLBlast, ms', 'load'], rows) + words


def roofline_points(data):
    """case: (flops of a pair, flops per byte, GFLOP/s), from the run with the least median."""
    best = {}
    for row in data['comparisons']:
        count = data['counts'].get(row['case'])
        if count and 'quern_s' in row:
            n = row['N']
            flops = n * n * count['pair'] + n * (count['row'] + count['column'])
            rate = flops / row['quern_s'] * 1e-9
            if row['case'] not in best or rate > best[row['case']][2]:
                best[row['case']] = (count['pair'], flops / (n * (count['row_bytes'] + count['column_bytes'])), rate)
    return best


def roofline_text(data, plots):
    top = data['peak'].get('gflops')
    rows = [[f'`{case}`', str(pair), digits(intensity), digits(rate), f'{rate / top * 100:.0f} %' if top else '']
            for case, (pair, intensity, rate) in roofline_points(data).items()]
    image = f'\n![GFLOP/s against flops per byte, with the limits of the processor]({IMAGES[1]})\n' if plots else ''
    above = OVERTAKEN if top and any(rate > top for _, _, rate in roofline_points(data).values()) else ''
    return ROOFLINE + above + image + table(['case', 'flops of a pair', 'flops per byte', 'GFLOP/s', 'of the limit'], rows)


def text(data):
    """performance.md. Whether it shows plots is data['plots'], so that the text follows from the data alone."""
    ratios, firsts = list(ratio_rows(data)), list(first_call_rows(data))
    calls = data['first_calls']
    return ''.join((
        INTRODUCTION, QUICK if data['quick'] else '', machine_text(data),
        RATIOS, table(['case', 'peer', 'N', 'quern, ms', 'peer, ms', 'ratio', 'least', 'aim', 'met', 'load'],
                      [cells for *_, cells in ratios]),
        FIRST_CALLS_TEXT.format(rounds=calls['rounds'], load=calls['load']),
        table(['process', 'quern, s', 'KeOps, s', 'bare, s', 'ratio', 'aim', 'met'], [cells for *_, cells in firsts]),
        below_text(ratios + firsts, data['quick']),
        sweep_text(data, data['plots']), roofline_text(data, data['plots']), REPRODUCE))


# ---- plots ------------------------------------------------------------------------------------------------------

STYLE = '''set terminal svg size 720,460 font "sans-serif,13" background rgb "white"
set logscale xy
set grid back lc rgb "#dddddd"
set border 3
set tics nomirror
'''


def series(name, points):
    return f'${name} << END\n' + ''.join(f'{x:.6g} {y:.6g} {label}\n' for x, y, label in points) + 'END\n'


def times_plot(data):
    script, lines = STYLE, []
    for peer, title, color in (('quern', 'quern', '#1f4e9c'), ('keops', 'KeOps', '#c0392b'),
                               ('clblast', 'CLBlast', '#2e8b57')):
        points = [(row['N'], row[f'{peer}_s'] * 1e3, '') for row in data['sweep'] if f'{peer}_s' in row]
        if points:
            script += series(peer, points)
            lines.append(f'${peer} using 1:2 with linespoints lw 2 pt 7 ps 0.6 lc rgb "{color}" title "{title}"')
    wall = math.sqrt(data['device']['memory'] / 4)
    script += f'''set xlabel "M = N"
set ylabel "ms a call"
set format "%g"
set key left top
set xrange [80:250000]
set arrow from {wall:.6g}, graph 0 to {wall:.6g}, graph 1 nohead dt 2 lc rgb "#555555"
set label "memory full of K" at {wall:.6g}, graph 0.04 right offset -0.6,0 tc rgb "#555555"
'''
    return script + 'plot ' + ', '.join(lines) + '\n' if lines else None


def roofline_plot(data):
    points, peak = roofline_points(data), data['peak']
    if not points or 'gflops' not in peak:
        return None
    script = STYLE
    ordered = [(x, y, f'"{case}"') for case, (_, x, y) in sorted(points.items(), key=lambda item: item[1][2])]
    for side in (0, 1):  # labels to the right and to the left in turn, as the points lie close together
        script += series(f'side{side}', ordered[side::2])
    top, slope = peak['gflops'], peak['gb_s']
    return script + f'''set xlabel "flops per byte of the arrays"
set ylabel "GFLOP/s"
set key right bottom
set xrange [1:{max(x for _, x, _ in points.values()) * 4:.6g}]
set yrange [{min(y for _, _, y in points.values()) / 3:.6g}:{top * 2:.6g}]
limit(x) = x * {slope} < {top} ? x * {slope} : {top}
plot limit(x) with lines lw 2 lc rgb "#555555" title "{digits(top)} GFLOP/s, {digits(slope)} GB/s, measured", \\
     $side0 using 1:2 with points pt 7 ps 0.7 lc rgb "#1f4e9c" title "quern", \\
     $side1 using 1:2 with points pt 7 ps 0.7 lc rgb "#1f4e9c" notitle, \\
     $side0 using 1:2:3 with labels left offset 0.7,0 font ",11" notitle, \\
     $side1 using 1:2:3 with labels right offset -0.7,0 font ",11" notitle
'''


def plots_write(data, folder):
    """Whether both plots were drawn."""
    scripts = (times_plot(data), roofline_plot(data))
    if not shutil.which('gnuplot') or not all(scripts):
        print('report: without gnuplot, or without data to draw: tables only', file=sys.stderr)
        return False
    os.makedirs(os.path.join(folder, 'images'), exist_ok=True)
    for name, script in zip(IMAGES, scripts):
        with tempfile.NamedTemporaryFile('w', suffix='.gp', encoding='utf-8') as file:
            file.write(script)
            file.flush()
            drawn = subprocess.run(['gnuplot', file.name], capture_output=True, text=True, check=False)
        if drawn.returncode:
            print(f'report: gnuplot: {drawn.stderr.strip()}', file=sys.stderr)
            return False
        with open(os.path.join(folder, name), 'w', encoding='utf-8') as file:
            file.write('\n'.join(line.rstrip() for line in drawn.stdout.splitlines()) + '\n')
    return True


def main(words):
    if len(words) != 2:
        print('usage: report.py FILE DIR', file=sys.stderr)
        return 2
    with open(words[0], encoding='utf-8') as file:
        data = json.load(file)
    data['plots'] = plots_write(data, words[1])
    with open(words[0], 'w', encoding='utf-8') as file:
        json.dump(data, file, indent=1)
        file.write('\n')
    with open(os.path.join(words[1], 'performance.md'), 'w', encoding='utf-8') as file:
        file.write(text(data))
    print(f"report: {os.path.join(words[1], 'performance.md')}")
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
