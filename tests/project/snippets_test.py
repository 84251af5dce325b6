#!/usr/bin/env python3
"""snippets_test.py: the C in docs/*.md and at the beginning of public headers compiles as it stands there.

    python3 tests/project/snippets_test.py

What a snippet uses and does not declare is declared before it: handles by the table below, anything else as numbers. A header's
own example has that header alone; those with an ellipsis are outlines and left out. Needs a C compiler and no device.
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from verdicts import finish, report, skip

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INCLUDE = os.path.join(ROOT, 'include')
COMPILER = shutil.which('cc') or shutil.which('gcc')
# What a name is where it is not numbers.
HANDLES = {'ctx': 'quern_context *', 'op': 'quern_operator *', 'grad': 'quern_operator *', 'cx': 'quern_clusters *',
           'cy': 'quern_clusters *', 'near': 'quern_ranges *', 'index': 'quern_neighbors *', 'A': 'quern_linear *',
           'K': 'quern_linear *', 'gp': 'quern_gp *', 'g': 'quern_mixture *', 'density': 'quern_density *', 'result':
           'quern_transport_result *', 'pairs': 'quern_pairs *', 'parts': 'quern_parts *', 'args': 'quern_args ',
           'outs': 'quern_outs ', 'results': 'quern_outs ', 'sorted_args': 'quern_args ', 'sorted_outs': 'quern_outs ',
           'options': 'quern_run_options '}
FLAGS = ('-std=c11', '-fsyntax-only', '-w', '-Werror=implicit-function-declaration', '-fmax-errors=0', f'-I{INCLUDE}')


def compile_body(folder, includes, body):
    """What is wrong with statements, or ''."""
    declared = {}
    while True:
        path = os.path.join(folder, 'snippet.c')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(''.join(f'#include <{name}>\n' for name in includes))
            file.write('enum { M = 10, N = 12, m = 3, n = 4 };\n')
            file.write(''.join(declared.values()) + 'void snippet(void)\n{\n' + body + '\n}\n')
        done = subprocess.run([COMPILER, *FLAGS, path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env=dict(os.environ, LC_ALL='C'), check=False)
        names = set(re.findall(r"'(\w+)' undeclared", done.stdout)) - set(declared)
        if not done.returncode or not names:
            return done.stdout[:600] if done.returncode else ''
        for name in names:
            kind = HANDLES.get(name)
            declared[name] = f'static {kind}{name};\n' if kind else f'static double {name}[4096];\n'


def of_pages():
    headers = [f'quern/{os.path.basename(path)}' for path in sorted(glob.glob(f'{INCLUDE}/quern/*.h')) if not path.endswith('mpi.h')]
    for path in sorted(glob.glob(os.path.join(ROOT, 'docs', '*.md'))):
        with open(path, encoding='utf-8') as file:
            for k, body in enumerate(re.findall(r'```c\n(.*?)```', file.read(), re.S)):
                if 'MPI_' not in body:
                    yield f'snippet {k + 1} of docs/{os.path.basename(path)}', headers, body


def of_headers():
    for path in sorted(glob.glob(f'{INCLUDE}/quern/*.h')):
        with open(path, encoding='utf-8') as file:
            text = file.read()
        name = f'quern/{os.path.basename(path)}'
        for k, block in enumerate(re.findall(r'(?:^ \*     (?! ).*\n(?: \*     .*\n)*)', text[:text.index('*/')], re.M)):
            body = ''.join(line[2:] for line in block.splitlines(True))
            if ';' in body and '...' not in body and 'MPI_' not in body:
                yield f'example {k + 1} of {name}', [name], body


def main():
    if not COMPILER:
        skip('snippets', 'there is no C compiler')
        return finish()
    with tempfile.TemporaryDirectory() as folder:
        for name, includes, body in [*of_pages(), *of_headers()]:
            report(name, compile_body(folder, includes, body))
    return finish()


if __name__ == '__main__':
    sys.exit(main())
