#!/usr/bin/env python3
"""docs_test.py: what the documents say is what the tool does.

    python3 tests/cli/docs_test.py PATH/TO/quern
    QUERN_UPDATE=1 python3 tests/cli/docs_test.py PATH/TO/quern      rewrites docs/ops.md and docs/gallery.md;
                                                                      review them like code

docs/ops.md is the output of `quern ops --markdown`, docs/gallery.md that of tools/gallery.py. In all pages of docs/ every `$ quern ...` of a ```console block is
run and its output compared, numbers within 1e-5; the table of limits is compared with the sources; the tables about
KeOps name all its functions, and what they call the same or better is there. docs/performance.md is what
bench/report.py writes from bench/results/cpu.json. Links between documents lead somewhere.
Needs a device. Prints an `ok` or `not ok` line per test, then `N passed, N failed`.
"""
import copy
import difflib
import glob
import json
import os
import re
import shlex
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
DOCS = os.path.join(ROOT, 'docs')
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(ROOT, 'bench'), os.path.join(ROOT, 'tools')]
import gallery  # noqa: E402
import report as performance  # noqa: E402
import report_measure  # noqa: E402

# The operations and reductions of KeOps 2.3.
KEOPS = '''
    Var Vi Vj Pm IntCst RatCst IntInv Zero Exp Log Sin Cos Asin Acos Atan Sqrt Rsqrt Abs Sign Step Square Inv Minus ReLU
    Floor XLogX SinXDivX Pow ClampInt DiffClampInt Round Add Subtract Mult Divide Powf Atan2 Mod Clamp IfElse Equal
    NotEqual LessThan LessOrEqual Sum Max Min ArgMax ArgMin SumT Scalprod SqNorm2 Norm2 SqDist Normalize WeightedSqNorm
    WeightedSqDist SqNormIso SqNormDiag SymSqNorm Elem ElemT Extract ExtractT Concat OneHot MatVecMult VecMatMult
    TensorProd TensorDot Kron BSpline SoftDTW_SqDist Real2Complex Imag2Complex ComplexReal ComplexImag Conj ComplexAbs
    ComplexSquareAbs ComplexAngle ComplexAdd ComplexSubtract ComplexMult ComplexDivide ComplexSum ComplexSumT
    ComplexRealScal ComplexExp ComplexExp1j Grad Diff GradMatrix Divergence Laplacian TraceOperator AdjointOperator
    Factorize AutoFactorize Sum_Reduction Max_Reduction Min_Reduction ArgMax_Reduction ArgMin_Reduction
    Max_ArgMax_Reduction Min_ArgMin_Reduction KMin_Reduction ArgKMin_Reduction KMin_ArgKMin_Reduction
    LogSumExp_Reduction LogSumExpWeight_Reduction Max_SumShiftExp_Reduction Max_SumShiftExpWeight_Reduction
    SumSoftMaxWeight_Reduction Zero_Reduction
'''.split()

# A row of the table of limits, and the constant behind it.
LIMITS = {
    'bytes of formula text': 'Q_MAX_TEXT',
    'brackets within brackets': 'Q_MAX_NESTING',
    'variables': 'Q_MAX_VARIABLES',
    'results': 'Q_MAX_RESULTS',
    'components of a value': 'Q_MAX_DIM',
    'members of a list': 'Q_MAX_LIST',
    'axes of a tensor': 'Q_MAX_RANK',
    'K of `KMin` and its family': 'Q_MAX_SELECTED',
    'nodes of the graph, with all derivatives': 'Q_MAX_NODES',
    'passes': 'Q_MAX_STAGES',
    'arrays that one pass reads': 'Q_MAX_ARRAYS',
}

counts = {True: 0, False: 0}


def report(name, fault):
    counts[not fault] += 1
    print(f'not ok - {name}\n{fault}' if fault else f'ok - {name}')


def read(*path):
    with open(os.path.join(ROOT, *path), encoding='utf-8') as file:
        return file.read()


def run(quern, *arguments):
    """(output, None) or ('', what went wrong)"""
    done = subprocess.run([quern, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return (done.stdout, None) if not done.returncode else ('', f'exit code {done.returncode}: {done.stderr.strip()}')


# ---- docs/ops.md ------------------------------------------------------------------------------------------------

def test_ops(quern, update):
    got, fault = run(quern, 'ops', '--markdown')
    path = os.path.join(DOCS, 'ops.md')
    if update and not fault:
        with open(path, 'w', encoding='utf-8') as file:
            file.write(got)
    expected = read('docs', 'ops.md') if os.path.exists(path) else ''
    difference = difflib.unified_diff(expected.splitlines(), got.splitlines(), 'docs/ops.md', 'now', lineterm='')
    report('docs/ops.md is what `quern ops --markdown` prints', fault or '\n'.join(difference))


# ---- examples ---------------------------------------------------------------------------------------------------

def examples(text):
    """(command line, expected output) of every `$ ...` in the console blocks."""
    for block in re.findall(r'^```console\n(.*?)^```$', text, re.M | re.S):
        for command in re.split(r'^\$ ', block.replace('\\\n', ''), flags=re.M)[1:]:
            line, _, output = command.partition('\n')
            yield line, output


def same_word(got, expected):
    try:
        a, b = float(got.rstrip(',')), float(expected.rstrip(','))
    except ValueError:
        return got == expected
    return a == b or abs(a - b) <= 1e-6 + 1e-5 * abs(b)


def same_output(got, expected):
    """Line for line and word for word; numbers may differ by rounding."""
    rows, wanted = got.strip().split('\n'), expected.strip().split('\n')
    words = [(r.split(), w.split()) for r, w in zip(rows, wanted)]
    return len(rows) == len(wanted) and all(len(r) == len(w) and all(map(same_word, r, w)) for r, w in words)


def test_examples(quern):
    pages = sorted(name for name in os.listdir(os.path.join(ROOT, 'docs')) if name.endswith('.md'))
    found = [example for page in pages for example in examples(read('docs', page))]
    for line, expected in found:
        program, *arguments = shlex.split(line)
        got, fault = run(quern, *arguments)
        if not fault and not same_output(got, expected):
            fault = f'printed\n{got}not\n{expected}'
        report(line, fault or (program != 'quern' and f'{program} is not quern'))
    report('there are examples', len(found) < 20 and f'only {len(found)}')


# ---- tables -----------------------------------------------------------------------------------------------------

def table_rows(text, heading):
    """The cells of the first table below a heading, without its head; bars in cells are escaped."""
    section = text.split(f'{heading}\n', 1)[1]
    lines = re.findall(r'^\|.*\|$', section.split('\n#', 1)[0], re.M)[2:]
    return [[cell.strip() for cell in re.split(r'(?<!\\)\|', line)[1:-1]] for line in lines]


def test_limits():
    headers = read('src', 'formula', 'formula.h') + read('src', 'plan', 'plan.h')
    constants = dict(re.findall(r'\b(Q_MAX_\w+) = (\d+)', headers))
    faults = [f'{what}: {value} in the document, {constants.get(LIMITS.get(what))} in the sources'
              for what, value in table_rows(read('docs', 'formulas.md'), '## Limits')
              if constants.get(LIMITS.get(what)) != value]
    report('the limits are those of the sources', '\n'.join(faults))


def test_keops(quern):
    text = read('docs', 'formulas.md')
    rows = table_rows(text, '### Operations') + table_rows(text, '### Reductions')
    told = {name: standing for names, standing in rows for name in re.findall(r'`(\w+)`', names)}
    listed, fault = run(quern, 'ops', '--json')
    known = set()
    for row in json.loads(listed or '[]'):
        known.add(row['name'] + ('_Reduction' if row['over_axis'] else ''))
    missing = [name for name in KEOPS if name not in told]
    wrong = [name for name, standing in told.items() if (name in known) == standing.startswith('not there')]
    report('each function of KeOps is in the tables', ' '.join(missing))
    report('what the tables say is there is there', fault or ' '.join(wrong))


# ---- docs/performance.md ----------------------------------------------------------------------------------------

LARGEST = {'.json': 50 * 1024, '.svg': 100 * 1024}


def test_performance():
    path = os.path.join('bench', 'results', 'cpu.json')
    data = json.loads(read(path))
    difference = difflib.unified_diff(read('docs', 'performance.md').splitlines(), performance.text(data).splitlines(),
                                      'docs/performance.md', 'bench/report.py now', lineterm='')
    report('docs/performance.md is what bench/report.py writes from its measurements', '\n'.join(difference))
    measured = [path] + [os.path.join('docs', name) for name in performance.IMAGES if data['plots']]
    faults = [f'{name}: {len(read(name).encode())} bytes' for name in measured
              if len(read(name).encode()) > LARGEST[os.path.splitext(name)[1]]]
    report('measurements and plots are small', '\n'.join(faults))
    kept = [(row['case'], row['peer'], row['aim']) for row in data['comparisons']]
    table = [row[:3] for row in report_measure.COMPARISONS]
    report('every case stands beside every peer with its aim', kept != table and f'{kept}\nnot\n{table}')


def test_performance_rows():
    """What the page says of a ratio below its aim, of a missing peer and of a step that failed."""
    data = copy.deepcopy(json.loads(read('bench', 'results', 'cpu.json')))
    low, missing, failed = data['comparisons'][:3]
    data['quick'] = False
    for row in (low, missing):
        row.update(N=1000, repeat=3, quern_s=1.0, quern_least_s=1.0, peer_s=row['aim'] / 2, peer_least_s=0.5)
    del missing['peer_s']
    missing['missing'] = 'No module named peer'
    failed.pop('peer_s', None)
    failed['reason'] = 'stopped after 1 s'
    text = performance.text(data)
    key = f"{low['case']}/{low['peer']}"
    wanted = (f"- **{key}**, {low['aim'] / 2:.3f} of {low['aim']:g}: {performance.notes_read().get(key)}",
              'not installed: No module named peer', 'not measured: stopped after 1 s')
    report('a ratio below its aim has its note, a missing peer and a failed step their reasons',
           '\n'.join(f'missing: {line}' for line in wanted if line not in text))
    keys = {f'{case}/{peer}' for case, peer, aim, *_ in report_measure.COMPARISONS if aim}
    keys |= {f'first-call/{key}' for key, _, aim, _ in performance.FIRST_CALLS if aim}
    report('notes are about ratios with an aim', ' '.join(sorted(set(performance.notes_read()) - keys)))


def test_report_usage():
    script = os.path.join(ROOT, 'bench', 'report.sh')
    for words, code, what in ((['-n', script], 0, 'parses'), ([script, '--slow'], 2, 'knows no --slow'),
                              ([script, 'a', 'b'], 2, 'takes one directory'),
                              ([script, '--publish', 'nowhere'], 2, 'publishes only what was measured')):
        done = subprocess.run(['sh', *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        report(f'bench/report.sh {what}', done.returncode != code and f'exit code {done.returncode}: {done.stderr}')


# ---- links ------------------------------------------------------------------------------------------------------

def anchors(text):
    headings = re.findall(r'^#+ (.*)$', re.sub(r'^```.*?^```$', '', text, flags=re.M | re.S), re.M)
    return {re.sub(r'[^\w -]', '', heading.lower()).replace(' ', '-') for heading in headings}


def test_gallery(update):
    if update:
        gallery.main(['--write'])
    difference = difflib.unified_diff(read('docs', 'gallery.md').splitlines(), gallery.page().splitlines(),
                                      'docs/gallery.md', 'tools/gallery.py now', lineterm='')
    report('docs/gallery.md is what the examples say', '\n'.join(difference))


def test_links():
    faults = []
    for page in sorted(page for folder in ('', '*', '*/*') for page in glob.glob(os.path.join(ROOT, folder, '*.md'))):
        for target in re.findall(r'\]\(([^)\s]+)\)', re.sub(r'`[^`\n]*`', '', read(page))):
            path, _, anchor = target.partition('#')
            full = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
            if '://' not in target and (not os.path.exists(full) or (anchor and anchor not in anchors(read(full)))):
                faults.append(f'{os.path.relpath(page, ROOT)}: {target}')
    report('links between documents lead somewhere', '\n'.join(faults))


def main(arguments):
    if len(arguments) != 1:
        print('usage: docs_test.py PATH/TO/quern', file=sys.stderr)
        return 2
    quern = os.path.abspath(arguments[0])
    test_ops(quern, bool(os.environ.get('QUERN_UPDATE')))
    test_examples(quern)
    test_limits()
    test_keops(quern)
    test_performance()
    test_performance_rows()
    test_report_usage()
    test_gallery(bool(os.environ.get('QUERN_UPDATE')))
    test_links()
    print(f'{counts[True]} passed, {counts[False]} failed')
    return 1 if counts[False] else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
