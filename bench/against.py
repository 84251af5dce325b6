#!/usr/bin/env python3
"""against.py: this build beside one of an earlier commit, in turns.

    python3 bench/against.py COMMIT|BUILD [--turns K] [--first | --code] [CASE...]

COMMIT is built with the usual options, into build/against/COMMIT; a folder is taken for a build that is there. BUILD in
the environment names this build (default: build). In each turn both measure each case of quern-bench (default: all), one
right after the other, each in a process of its own, and who begins changes. --first: whole first calls instead, with
empty caches and with full ones, and their processor time, which a busy machine disturbs least.

A machine that others use is disturbed for a while and not for one turn alone, so `ratio`, this build's time over the
other's, is the median over the turns of what was measured side by side; `least` is that of the least times of all turns.
The last line is the largest ratio of any row.

--code compares instead what PoCL has made of each case: instructions without their operands, in order (objdump). Where they
are the same, a difference of times is that of the host's part or of the machine.

Exit status: 0 measured, 1 not, 2 wrong usage.
"""
import argparse
import difflib
import io
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FIRST = 'x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)'
PROGRAMS = ('bench/quern-bench', 'bench/first-call', 'src/cli/quern')


def run(*words, **more):
    """stdout; ends this program where the other fails."""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **more)
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors='replace').strip().splitlines()
        sys.exit(f'against.py: {words[0]}: {said[-1] if said else "failed without a word"}')
    return done.stdout


def build_of(name):
    """The build folder of a commit, made if need be."""
    if os.path.isfile(os.path.join(name, 'build.ninja')):
        return os.path.abspath(name)
    commit = run('git', '-C', ROOT, 'rev-parse', '--short=10', '--verify', name + '^{commit}').decode().strip()
    folder = os.path.join(ROOT, 'build', 'against', commit)
    if not os.path.isdir(folder):
        files = run('git', '-C', ROOT, 'archive', commit)
        with tarfile.open(fileobj=io.BytesIO(files)) as archive:
            archive.extractall(folder)
    build = os.path.join(folder, 'build')
    if not os.path.isdir(build):
        run('meson', 'setup', build, folder)
    run('ninja', '-C', build, *PROGRAMS)
    return build


def cases_of(build):
    text = run(f'{build}/bench/quern-bench', '--help').decode()
    return re.findall(r'^  (\S+) +\S.*=', text[text.index('cases:'):text.index('peers:')], re.M)


def time_case(build, case):
    """{row: seconds} of one turn."""
    with tempfile.NamedTemporaryFile(suffix='.json') as file:
        run(f'{build}/bench/quern-bench', case, '--against', 'none', '--repeat', '1', '--json', file.name)
        return {case: json.load(file)['cases'][0]['quern']['median_s']}


def time_process(words, **more):
    """Seconds that a process took, and those of processor time."""
    begin, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    run(*words, **more)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - begin, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def time_first(build, _):
    """As first-call.sh has it: a process with empty caches, and one with what the first has left there."""
    with tempfile.TemporaryDirectory() as work:
        run(f'{build}/bench/first-call', '--inputs', work)
        how = {'cwd': work, 'env': dict(os.environ, POCL_CACHE_DIR=work, QUERN_CACHE_DIR=work)}
        words = (f'{build}/src/cli/quern', 'eval', FIRST, 'x=x.npy', 'y=y.npy', 'b=b.npy', '-o', 'a.npy')
        cold, warm = time_process(words, **how), time_process(words, **how)
    return {'cold': cold[0], 'cold, cpu': cold[1], 'warm': warm[0], 'warm, cpu': warm[1]}


def code_of(build, case):
    """The instructions of the kernels that a case builds, kernel by kernel."""
    kernels = []
    with tempfile.TemporaryDirectory() as cache:
        run(f'{build}/bench/quern-bench', case, '--against', 'none', '--repeat', '1',
            env=dict(os.environ, POCL_CACHE_DIR=cache, QUERN_CACHE='off'))
        for folder, _, files in os.walk(cache):
            for name in files:
                if name.endswith('.so'):
                    text = run('objdump', '-d', '--no-show-raw-insn', os.path.join(folder, name)).decode()
                    kernels.append(re.findall(r'^ +[0-9a-f]+:\t(\S+)', text, re.M))
    return sorted(kernels)


def differing(this, other):
    """How many instructions of one are not, in order, those of the other."""
    blocks = difflib.SequenceMatcher(None, other, this, autojunk=False).get_opcodes()
    return sum(max(b - a, d - c) for tag, a, b, c, d in blocks if tag != 'equal')


def compare_code(builds, cases):
    for case in cases:
        this, other = (code_of(build, case) for build in builds)
        if not this or not other:
            sys.exit('against.py: --code needs a device of PoCL, whose cache keeps kernels')
        counts = [' + '.join(str(len(kernel)) for kernel in side) for side in (this, other)]
        if this == other:
            print(f'{case:10} the same, {counts[0]} instructions', flush=True)
        else:
            count = sum(differing(*kernels) for kernels in zip(this, other))
            print(f'{case:10} this {counts[0]}, other {counts[1]} instructions, {count} of them another or elsewhere', flush=True)


def measure(builds, measured, what, turns):
    """{row: ([seconds of the first build], [of the second])}"""
    rows = {}
    for turn in range(turns):
        for case in what:
            for side in (0, 1) if turn % 2 else (1, 0):
                for row, seconds in measured(builds[side], case).items():
                    rows.setdefault(row, ([], []))[side].append(seconds)
    return rows


def main():
    parser = argparse.ArgumentParser(usage=__doc__.splitlines()[2].strip())
    parser.add_argument('other')
    parser.add_argument('cases', nargs='*')
    parser.add_argument('--turns', type=int, default=9)
    parser.add_argument('--first', action='store_true')
    parser.add_argument('--code', action='store_true')
    options = parser.parse_intermixed_args()
    own = os.path.abspath(os.environ.get('BUILD', os.path.join(ROOT, 'build')))
    if not all(os.path.isfile(os.path.join(own, program)) for program in PROGRAMS):
        sys.exit(f'against.py: {own} is not built: meson setup build && ninja -C build')
    builds = (own, build_of(options.other))
    if options.code:
        return compare_code(builds, options.cases or cases_of(builds[1]))
    what = ['first'] if options.first else options.cases or cases_of(builds[1])
    rows = measure(builds, time_first if options.first else time_case, what, max(options.turns, 1))
    print(f'{"":10} {"this s":>11} {"other s":>11} {"ratio":>7} {"least":>7}   medians of {options.turns} turns')
    worst = 0
    for row, (these, others) in rows.items():
        ratio = statistics.median(a / b for a, b in zip(these, others))
        worst = max(worst, ratio)
        print(f'{row:10} {statistics.median(these):11.3e} {statistics.median(others):11.3e} {ratio:7.3f} '
              f'{min(these) / min(others):7.3f}')
    print(f'ratio {worst:.3f}')
    return None


if __name__ == '__main__':
    main()
