#!/usr/bin/env python3
"""report_measure.py: the measurements of report.sh, as one JSON document.

    python3 bench/report_measure.py [--quick] BUILD FILE

Each case runs beside each of its peers in one process of quern-bench, so that the two of a ratio saw the same machine.
Every step has a limit of time, all together REPORT_SECONDS (default 585); a step that fails or finds no time is
recorded with its reason, and the next one follows. The keys of FILE are read by report.py alone.
"""
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)

# case, peer, aim for peer/quern (None: no aim), M = N (None: the case's own), repetitions, seconds at most
COMPARISONS = (
    ('g3', 'limit', 0.8, None, 21, 30),
    ('g3', 'keops', 22, 10000, 5, 60),
    ('g3-grad', 'keops', 20, 10000, 5, 60),
    ('g3-lse', 'keops', 16, 10000, 5, 60),
    ('g3-f64', 'keops', None, 10000, 3, 60),
    ('g128', 'keops', 40, None, 5, 75),
    ('g128', 'openblas', 0.85, None, 21, 30),
    ('multi64', 'keops', 8, None, 5, 75),
    ('multi64', 'clblast', None, None, 5, 30),
    ('knn50', 'faiss', 2, None, 11, 30),
    ('knn50', 'keops', 12, None, 5, 60),
    ('knn3', 'faiss', 6, None, 11, 30),
    ('knn3', 'keops', 4, None, 5, 60),
    ('g3', 'clblast', 8, 10000, 7, 30),
    ('g3', 'clblast-product', 4, 10000, 11, 30),
    ('attention', 'keops', None, None, 3, 75),
    ('energy', 'keops', None, 10000, 3, 60),
    ('laplacian', 'keops', None, 10000, 3, 60),
    ('small', 'keops', 2, None, 7, 60),
    ('small', 'opencl', 0.8, None, 7, 60),
)
QUICK_N, QUICK_REPEAT, QUICK_SECONDS = 1000, 3, 60
COMPARISONS_SHARE = 0.65  # of the time

# M = N of the plot of times. A slow peer ends where three calls would take longer than SWEEP_PEER_SECONDS.
SWEEP = (100, 300, 1000, 3000, 10000, 30000, 100000, 200000)
SWEEP_PEERS = ('keops', 'clblast')
QUICK_SWEEP = 10000
SWEEP_PEER_SECONDS, QUICK_PEER_SECONDS = 75, 3


class Clock:
    """What is left of the time, and steps that keep to it."""

    def __init__(self, seconds):
        self.begin = time.monotonic()
        self.end = self.begin + seconds

    def part(self, share):
        """The clock of what may take this share of the time at most."""
        return Clock((self.end - self.begin) * share - (time.monotonic() - self.begin))

    def run(self, words, seconds, **more):
        """(stdout, None) or ('', reason). Ends the program with all that it started where it takes too long."""
        seconds = min(seconds, self.end - time.monotonic())
        if seconds < 2:
            return '', 'no time was left'
        try:
            child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                     text=True, start_new_session=True, **more)
        except OSError as error:
            return '', error.strerror
        try:
            out, said = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
            return '', f'stopped after {seconds:.0f} s'
        if child.returncode:
            return '', plain((said.strip() or 'failed without a word').splitlines()[-1])
        return out, None


def plain(text):
    """Without paths, which are of one machine."""
    return re.sub(r'(?:/[\w.+-]+){2,}/?', '(path)', text)[:200]


def say(text):
    print(f'report: {text}', flush=True)


# ---- the machine ------------------------------------------------------------------------------------------------

def output_of(*words):
    try:
        return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ''


def first_match(pattern, path):
    try:
        with open(path, encoding='utf-8') as file:
            match = re.search(pattern, file.read(), re.M)
            return match.group(1) if match else ''
    except OSError:
        return ''


def device_of(build):
    listed = json.loads(output_of(f'{build}/src/cli/quern', 'devices', '--json') or '{"devices": []}')
    chosen = [device for device in listed['devices'] if device['default']]
    if not chosen:
        sys.exit('report_measure.py: there is no OpenCL device; see: quern doctor')
    return {key: chosen[0][key] for key in ('name', 'selector', 'version', 'driver', 'profile', 'memory')}


def machine():
    commit = output_of('git', 'rev-parse', '--short=10', 'HEAD')
    changed = output_of('git', 'status', '--porcelain', '--untracked-files=no')
    memory = first_match(r'^MemTotal: +(\d+)', '/proc/meminfo')
    return {
        'date': time.strftime('%Y-%m-%d', time.gmtime()),
        'commit': commit + (', with changes' if changed else '') if commit else 'unknown',
        'processor': first_match(r'^model name\s*: (.*)$', '/proc/cpuinfo') or 'unknown',
        'cores': len(os.sched_getaffinity(0)),
        'memory': int(memory) * 1024 if memory else None,
        'kernel': ' '.join(os.uname()[k] for k in (0, 2, 4)),
        'load': os.getloadavg()[0],
    }


# ---- steps ------------------------------------------------------------------------------------------------------

def bench(clock, build, case, peer, size, repeat, seconds):
    """A row: case, peer, load before it, then the figures, or the reason why there are none."""
    row = {'case': case, 'peer': peer, 'load': round(os.getloadavg()[0], 2)}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'bench.json')
        words = [f'{build}/bench/quern-bench', case, '--against', peer, '--repeat', str(repeat), '--json', path]
        _, reason = clock.run(words + (['--n', str(size)] if size else []), seconds,
                              env=dict(os.environ, TMPDIR=folder))  # what a stopped run leaves goes with it
        if reason:
            return dict(row, reason=reason)
        with open(path, encoding='utf-8') as file:
            got = json.load(file)['cases'][0]
    own = got['quern']
    row.update(formula=got['formula'], N=got['N'], repeat=repeat, error=own['error'], quern_s=own['median_s'],
               quern_least_s=own['min_s'])
    if 'skipped' in got:
        row['missing'] = plain(got['skipped'].split(': ', 1)[-1])
    elif 'peer' in got:
        row.update(about=got['peer_about'], peer_s=got[peer]['median_s'], peer_least_s=got[peer]['min_s'])
    return row


def comparisons(clock, build, quick):
    rows = []
    for case, peer, aim, size, repeat, seconds in COMPARISONS:
        if quick:
            size, repeat, seconds = (None if case == 'small' else QUICK_N), QUICK_REPEAT, QUICK_SECONDS
        row = bench(clock.part(COMPARISONS_SHARE), build, case, peer, size, repeat, seconds)
        say(f"{case} beside {peer}: {row.get('reason') or row.get('missing') or 'measured'}")
        rows.append(dict(row, aim=aim))
    return rows


def sweep(clock, build, quick, memory):
    """Times by size. CLBlast ends at the wall: where M x N numbers of float32 are more than the device's memory."""
    limit = QUICK_PEER_SECONDS if quick else SWEEP_PEER_SECONDS
    rows, last = [], {}
    for size in SWEEP:
        if quick and size > QUICK_SWEEP:
            break
        row = {'N': size}
        for peer in SWEEP_PEERS + ('none',):
            near = last.get(peer)
            guess = near[1] * (size / near[0]) ** 2 if near else 0
            if peer == 'clblast' and 4 * size * size > memory:
                row['clblast_reason'] = 'K is larger than the memory'
            elif peer == 'none' and 'quern_s' in row:
                pass
            elif peer != 'none' and (3 * guess > limit or peer in last and near is None):
                row[f'{peer}_reason'] = f'a call would take about {guess:.3g} s' if near else 'see above'
            else:
                say(f'g3 beside {peer} at N = {size}')
                got = bench(clock, build, 'g3', peer, size, 1 if guess > 1 or size > 50000 else 5, 90)
                if peer != 'none':
                    last[peer] = (size, got['peer_s']) if 'peer_s' in got else None
                row.update({'quern_s': got['quern_s'], 'load': got['load']} if 'quern_s' in got else {})
                if 'peer_s' in got:
                    row[f'{peer}_s'] = got['peer_s']
                elif peer != 'none':
                    row[f'{peer}_reason'] = 'not installed' if 'missing' in got else got['reason']
        rows.append(row)
    return rows


def counts(build, selector, rows):
    """Of each case: flops of a pair, of a row, of a column; bytes of a row and of a column, over all passes."""
    found = {}
    for name, formula in {row['case']: row['formula'] for row in rows if 'formula' in row}.items():
        dump = output_of(f'{build}/src/cli/quern', 'explain', formula, '--stage', 'program', '--device', selector,
                         '--dtype', 'f64' if name.endswith('-f64') else 'f32')
        pairs = re.findall(r'a pair: (\d+) flops; a column: (\d+) flops, (\d+) bytes read', dump)
        ends = re.findall(r'a row: (\d+) flops, (\d+) bytes read, (\d+) bytes written', dump)
        if pairs and ends:
            found[name] = {'pair': sum(int(p[0]) for p in pairs), 'column': sum(int(p[1]) for p in pairs),
                           'row': sum(int(r[0]) for r in ends), 'column_bytes': sum(int(p[2]) for p in pairs),
                           'row_bytes': sum(int(r[1]) + int(r[2]) for r in ends)}
    return found


def first_calls(clock, build, quick):
    """Seconds of whole processes, at 100 x 100 points."""
    say('first calls')
    rounds = '1' if quick else '3'
    python = os.environ.get('BENCH_PYTHON', 'python3')
    found = {'rounds': int(rounds), 'load': round(os.getloadavg()[0], 2)}
    text, reason = clock.run(['sh', f'{HERE}/first-call.sh', build], 60, env=dict(os.environ, ROUNDS=rounds))
    for name in ('quern', 'bare'):
        match = re.search(rf'^{name} +(\S+) +(\S+)$', text, re.M)
        found[name] = {'reason': reason}
        if match:
            found[name] = {'cold_s': float(match.group(1)), 'warm_s': float(match.group(2))}
    find = 'import importlib.util, sys; sys.exit(not importlib.util.find_spec("pykeops"))'
    if clock.run([python, '-c', find], 10)[1]:
        text, reason = '', 'not installed'
    else:
        text, reason = clock.run([python, f'{HERE}/peers/keops.py', '--first-call', rounds], 150)
    found['keops'] = json.loads(text) if not reason else {'reason': reason}
    return found


def peak_of(clock, build):
    out, reason = clock.run([f'{build}/bench/peak'], 20)
    return {'reason': reason} if reason else json.loads(out)


def measure(build, quick):
    clock = Clock(float(os.environ.get('REPORT_SECONDS', 585)))
    began = time.monotonic()
    about = machine()
    device = device_of(build)
    peaks = [peak_of(clock, build)]
    rows = comparisons(clock, build, quick)
    document = {
        'quick': quick,
        'machine': about,
        'device': device,
        'quern': output_of(f'{build}/src/cli/quern', '--version'),
        'counts': counts(build, device['selector'], rows),
        'comparisons': rows,
        'first_calls': first_calls(clock, build, quick),
        'sweep': sweep(clock, build, quick, device['memory']),
    }
    peaks.append(peak_of(clock, build))
    document['peak'] = max(peaks, key=lambda peak: peak.get('gflops', 0))
    document['seconds'] = round(time.monotonic() - began)
    return document


def main(words):
    quick = '--quick' in words
    words = [word for word in words if word != '--quick']
    if len(words) != 2:
        print('usage: report_measure.py [--quick] BUILD FILE', file=sys.stderr)
        return 2
    document = measure(os.path.abspath(words[0]), quick)
    rounded = json.loads(json.dumps(document), parse_float=lambda text: float(f'{float(text):.5g}'))
    with open(words[1], 'w', encoding='utf-8') as file:
        json.dump(rounded, file, indent=1)
        file.write('\n')
    say(f"measured in {document['seconds']} s: {words[1]}")
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
