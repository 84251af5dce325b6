#!/usr/bin/env python3
"""style_test.py: rules about the sources that no compiler checks.

    python3 tests/project/style_test.py [--root DIR] [--shared LIBRARY] [--static LIBRARY] [--mpi LIBRARY]

Includes go down the layers only; the shared library exports what the public headers declare and nothing else; no symbol
lies outside quern's name spaces; the library calls nothing that prints or ends the process; each .cl file compiles
alone; C is laid out by .clang-format; sources open with a comment and hold no path of somebody's machine and no note of
unfinished work. Prints an `ok` or `not ok` line per test, then `N passed, N failed, N skipped`.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# The layers that each may include, beside its own and the public headers.
LAYERS = {
    'base': set(),
    'formula': {'base'},
    'plan': {'base', 'formula'},
    'device': {'base'},
    'run': {'base', 'formula', 'plan', 'device'},
    'apps': {'base'},
    'mpi': set(),
    'cli': set(),
}
SEES_OPENCL = {'device', 'run'}
# Folders that stand for the users of the library: public headers and their own only.
USERS = ('examples', 'bench')

SOURCES = ('.c', '.h', '.def', '.cl')
TEXTS = SOURCES + ('.py', '.sh', '.md', '.txt', '.build', '.yml')
# Texts whose blanks and line breaks mean something to a test.
AS_THEY_ARE = ('tests/bad/', 'tests/golden/')
# Split, so that this file passes its own test.
UNFINISHED = re.compile(r'\b(?:TO' r'DO|FIX' r'ME|X' r'XX)\b')
MACHINE_PATH = re.compile(r'(?<![\w.$}])/(?:home|Users|root|work)/\w|\.\./shar' r'ed/|\bshar' r'ed/[A-Za-z]+(?:\.md|/)')

PAGE = re.compile(r'(?<![\w/.])docs/[\w-]+\.md\b')

# What the library must not call: it neither prints nor ends nor changes the process.
FORBIDDEN_CALLS = {'printf', 'vprintf', 'puts', 'putchar', 'perror', 'exit', '_exit', 'quick_exit', 'abort', 'signal',
                   'sigaction', 'setenv', 'unsetenv', 'putenv', 'setlocale', 'system', '__printf_chk', '__vprintf_chk'}

counts = {'ok': 0, 'not ok': 0, 'skip': 0}


def report(name, faults):
    verdict = 'not ok' if faults else 'ok'
    counts[verdict] += 1
    print(f'{verdict} - {name}')
    for fault in faults:
        for line in fault.splitlines():
            print('#   ' + line)


def skip(name, reason):
    counts['skip'] += 1
    print(f'ok - {name} # SKIP {reason}')


def files_below(folder, suffixes):
    found = []
    for path, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith(('.', 'build', '__')))
        found += [os.path.relpath(os.path.join(path, name)) for name in sorted(names) if name.endswith(suffixes)]
    return found


def read(path):
    with open(path, encoding='utf-8') as file:
        return file.read()


def run(*command):
    """(whether it succeeded, the end of what it printed)"""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace')
    return done.returncode == 0, '\n'.join(done.stdout.splitlines()[:12])


def first_program(*names):
    return next((name for name in names if name and shutil.which(name.split()[0])), None)


# ---- includes ---------------------------------------------------------------------------------------------------

def is_public(include):
    return include == 'quern.h' or include.startswith('quern/')


def include_fault(path, include, quoted):
    """Why this file must not include that, or None."""
    parts = path.split(os.sep)
    layer = parts[1] if parts[0] == 'src' and len(parts) > 2 else None
    if include.startswith('CL/'):
        pure = layer and layer not in SEES_OPENCL
        return f'OpenCL is for {" and ".join(sorted(SEES_OPENCL))} only' if pure or parts[0] == 'examples' else None
    if not quoted or is_public(include):
        return None
    target = include.split('/')[0]
    if '/' not in include:
        beside = os.path.join(os.path.dirname(path), include)
        # kernels of which a part is C as well
        shared = parts[0] == 'tests' and any(os.path.exists(os.path.join(*folder, include)) for folder in (('tests', 'support'), ('cl',)))
        return None if shared or os.path.exists(beside) else f'there is no {beside}'
    if target not in LAYERS:
        return f'{target} is not a layer'
    if layer is None or target == layer:
        return 'only public headers' if parts[0] in USERS + ('include', 'cl') else None
    if target not in LAYERS[layer]:
        return f'{layer} must not see {target}'
    return None if include == f'{target}/{target}.h' or include.endswith('.def') else f'{include} is private to {target}'


def test_includes():
    pattern = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)', re.M)
    by_folder = {}
    for top in ('include', 'src', 'cl', 'examples', 'bench', 'tests'):
        for path in files_below(top, SOURCES):
            folder = os.path.dirname(path)
            faults = by_folder.setdefault(folder, [])
            for mark, include in pattern.findall(read(path)):
                fault = include_fault(path, include, mark == '"')
                if fault:
                    faults.append(f'{path} includes {include}: {fault}')
    for folder, faults in by_folder.items():
        report(f'includes of {folder}', faults)


# ---- symbols ----------------------------------------------------------------------------------------------------

# A library of its own.
MPI_HEADER = 'include/quern/mpi.h'


def declared_symbols(headers):
    """Names of the functions and variables marked QUERN_API in public headers."""
    names = set()
    for header in headers:
        text = re.sub(r'/\*.*?\*/|//[^\n]*', '', read(header), flags=re.S)
        for declaration in re.findall(r'^QUERN_API\b([^;]*);', text, re.M):
            names.add(re.search(r'(\w+)\s*(?:\(|\[|$)', declaration).group(1))
    return names


def symbols(library, *options):
    done = subprocess.run(['nm', *options, library], stdout=subprocess.PIPE, check=True, text=True)
    return {line.split()[-1].split('@')[0] for line in done.stdout.splitlines() if re.search(r' [A-Za-z] \S+$', line)}


def test_shared(library, kind, headers):
    names = [name + kind for name in ('every public function is exported', 'nothing else is exported',
                                      'the library calls nothing that prints or ends the process')]
    if not library or not shutil.which('nm'):
        for name in names:
            skip(name, 'there is no nm' if library else 'no shared library was given')
        return
    declared, exported = declared_symbols(headers), symbols(library, '-D', '--defined-only')
    report(f'{names[0]} ({len(declared)})', [f'{name} is not' for name in sorted(declared - exported)]
           or ([] if declared else ['no declaration was found']))
    report(names[1], [f'{name} is' for name in sorted(exported - declared - {'_init', '_fini'})])
    calls = symbols(library, '-D', '--undefined-only') & FORBIDDEN_CALLS
    report(names[2], [f'it calls {name}' for name in sorted(calls)])


def test_static(library):
    name = 'symbols of the static library start with q_ or quern_'
    if not library or not shutil.which('nm'):
        skip(name, 'there is no nm' if library else 'no static library was given')
        return
    defined = symbols(library, '-g', '--defined-only')
    report(name, [f'{symbol} does not' for symbol in sorted(defined) if not symbol.startswith(('q_', 'quern_'))]
           or ([] if defined else ['it has none']))


# ---- OpenCL C ---------------------------------------------------------------------------------------------------

KERNEL_KINDS = (([], ''), (['-DQ_F64=1'], ' in float64'), (['-DQ_LANES=16'], ' with 16 lanes'),
                (['-DQ_F64=1', '-DQ_LANES=8'], ' in float64 with 8 lanes'))


def test_kernels():
    clang = first_program('clang-15', 'clang', 'clang-14', 'clang-16', 'clang-17', 'clang-18', 'clang-19')
    kernels = files_below('cl', ('.cl',))
    if not kernels:
        report('there are .cl files', ['none was found in cl/'])
    for kernel in kernels:
        for options, words in KERNEL_KINDS:
            name = f'{kernel} compiles alone{words}'
            if not clang:
                skip(name, 'there is no clang')
                continue
            ok, text = run(clang, '-x', 'cl', '-cl-std=CL1.2', '-Xclang', '-finclude-default-header', '-fsyntax-only',
                           '-Wall', '-Wno-unused-function', '-I', 'cl', *options, kernel)
            report(name, [] if ok else [text])


# ---- layout -----------------------------------------------------------------------------------------------------

def test_layout():
    """Other versions of clang-format break lines elsewhere. Kernels with holes are no C to it."""
    name, formatter = 'C is laid out as clang-format 14 does', first_program('clang-format-14', 'clang-format')
    if not formatter or ' 14.' not in run(formatter, '--version')[1]:
        skip(name, 'there is no clang-format 14')
        return
    sources = [path for path in files_below('.', ('.c', '.h')) if not path.startswith('build')]
    report(f'{name} ({len(sources)} files)',
           [f'{path} deviates: {formatter} -i {path}' for path in sources if not run(formatter, '--dry-run', '-Werror', path)[0]])


# ---- texts ------------------------------------------------------------------------------------------------------

def test_texts():
    texts = files_below('.', TEXTS)
    unfinished, paths, beginnings, endings, missing = [], [], [], [], []
    for path in texts:
        text = read(path)
        for number, line in enumerate(text.splitlines(), 1):
            if UNFINISHED.search(line):
                unfinished.append(f'{path}:{number}: {line.strip()}')
            if MACHINE_PATH.search(line):
                paths.append(f'{path}:{number}: {line.strip()}')
            missing += [f'{path}:{number}: {page}' for page in PAGE.findall(line) if not os.path.exists(page)]
        if path.endswith(SOURCES) and not text.startswith('/*'):
            beginnings.append(path)
        if not path.startswith(AS_THEY_ARE) and (re.search(r'\r|[ \t]+$', text, re.M) or not text.endswith('\n')):
            endings.append(path)
    report('nothing is left unfinished', unfinished)
    report('no path of a machine', paths)
    report('pages that are named are there', missing)
    report('sources open with a comment', beginnings)
    report('lines end well: no blanks or carriage returns, a last line break', endings)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--root', default=HERE)
    parser.add_argument('--shared', help='libquern.so')
    parser.add_argument('--static', help='libquern.a')
    parser.add_argument('--mpi', help='libquern-mpi.so')
    arguments = parser.parse_args()
    shared, static, mpi = (path and os.path.abspath(path) for path in (arguments.shared, arguments.static, arguments.mpi))
    os.chdir(arguments.root)
    test_includes()
    test_shared(shared, '', [path for path in files_below('include', ('.h',)) if path != MPI_HEADER])
    test_shared(mpi, ' by libquern-mpi', [MPI_HEADER])
    test_static(static)
    test_kernels()
    test_layout()
    test_texts()
    print(f"{counts['ok']} passed, {counts['not ok']} failed, {counts['skip']} skipped")
    return 1 if counts['not ok'] or not counts['ok'] else 0


if __name__ == '__main__':
    sys.exit(main())
