#!/usr/bin/env python3
"""headers_test.py: the public headers in every C and C++ that users may write.

    python3 tests/project/headers_test.py PATH/TO/libquern.so

With gcc, clang, g++ and clang++, in C99 to C23 and C++11 to C++20, without a warning: every header alone, and
headers_program.c, which has all their macros, and README's first program. Both programs then print what their comments
and README say, in C and in C++, where the C compiler links them: no C++ library is needed.
Needs a device. Prints an `ok` or `not ok` line per test, then `N passed, N failed, N skipped`.
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

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
# Where MPI's header is, which one of quern's includes; it is no model of a header without warnings.
MPI = subprocess.run(['pkg-config', '--cflags-only-I', 'mpi-c'], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                     check=False).stdout.replace('-I', '-isystem').split() if shutil.which('pkg-config') else []
INCLUDE = os.path.join(ROOT, 'include')
PROGRAM = os.path.join(HERE, 'headers_program.c')

STANDARDS = {'c': ('c99', 'c11', 'c17', 'c2x'), 'c++': ('c++11', 'c++14', 'c++17', 'c++20')}
COMPILERS = (('c', 'gcc', ('gcc', 'cc')), ('c', 'clang', ('clang', 'clang-15', 'clang-14', 'clang-16', 'clang-19')),
             ('c++', 'g++', ('g++', 'c++')),
             ('c++', 'clang++', ('clang++', 'clang++-15', 'clang++-14', 'clang++-16', 'clang++-19')))
WARNINGS = ('-Wall', '-Wextra', '-Wpedantic', '-Wconversion', '-Wshadow', '-Werror')
# What is compiled as C++ must need nothing of the kind.
PLAIN = {'c': (), 'c++': ('-fno-exceptions', '-fno-rtti')}


def run(*command):
    """(output, None) or ('', the beginning of what it printed)"""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace')
    if done.returncode:
        return '', '\n'.join(done.stdout.splitlines()[:8]) or f'exit code {done.returncode}'
    return done.stdout, None


def read(path):
    with open(path, encoding='utf-8') as file:
        return file.read()


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)
    return path


def programs(folder):
    """name: (path, output) of the two programs."""
    readme = read(os.path.join(ROOT, 'README.md'))
    first = write(folder, 'first.c', re.search(r'^```c\n(.*?)^```$', readme, re.M | re.S).group(1))
    printed = re.search(r'^    \$ cc first\.c .*\n((?:    [^$\n]*\n)+)', readme, re.M).group(1)
    comments = re.findall(r'/\* ([^*]*: [^*]*) \*/$', read(PROGRAM), re.M)
    return {'README\'s program': (first, re.sub('^    ', '', printed, flags=re.M)),
            'headers_program.c': (PROGRAM, ''.join(line + '\n' for line in comments))}


def compiles(compiler, language, standard, source):
    return run(compiler, '-x', language, f'-std={standard}', *WARNINGS, *PLAIN[language], '-fsyntax-only', '-I', INCLUDE,
               *MPI, source)[1]


def test_standard(folder, compiler, language, standard, sources):
    """Every header alone and twice, and the programs."""
    mpi = 'quern/mpi.h'  # in C++ it is not for extern "C"
    headers = sorted(os.path.relpath(path, INCLUDE) for path in glob.glob(INCLUDE + '/**/*.h', recursive=True))
    headers = [header for header in headers if MPI or header != mpi]
    for header in headers:
        text = f'#include <{header}>\n#include <{header}>\nint main(void) {{ return 0; }}\n'
        fault = compiles(compiler, language, standard, write(folder, 'alone.c', text))
        if fault:
            return f'{header} alone: {fault}'
    if language == 'c++':
        text = ''.join(f'extern "C" {{\n#include <{header}>\n}}\n' for header in headers if header != mpi)
        fault = compiles(compiler, language, standard, write(folder, 'wrapped.c', text))
        if fault:
            return f'headers in extern "C": {fault}'
    return '\n'.join(filter(None, (compiles(compiler, language, standard, source) for source in sources)))


def test_output(folder, library, compiler, language, source, expected):
    """The C compiler links, whatever compiled."""
    compiled, program = os.path.join(folder, 'program.o'), os.path.join(folder, 'program')
    _, fault = run(compiler, '-x', language, f'-std={STANDARDS[language][0]}', *PLAIN[language], '-c', '-I', INCLUDE, source,
                   '-o', compiled)
    if not fault:
        _, fault = run(os.environ.get('CC', 'cc').split()[0], compiled, '-L', library, '-lquern', f'-Wl,-rpath,{library}',
                       '-o', program)
    got, fault = ('', fault) if fault else run(program)
    return fault or (got != expected and f'printed\n{got}not\n{expected}')


def test_compiler(folder, library, language, family, names):
    compiler = next((name for name in names if shutil.which(name)), None)
    header = {'c': 'stdio.h', 'c++': 'initializer_list'}[language]
    probe = write(folder, 'probe.c', f'#include <{header}>\n')
    if not compiler or run(compiler, '-x', language, '-fsyntax-only', probe)[1]:
        skip(family, f'{compiler} does not work' if compiler else 'is not installed')
        return
    tried = programs(folder)
    for standard in STANDARDS[language]:
        name = f'{family} -std={standard}: every header alone, and two programs'
        if run(compiler, '-x', language, f'-std={standard}', '-fsyntax-only', probe)[1]:
            skip(name, f'{compiler} does not know it')
        else:
            report(name, test_standard(folder, compiler, language, standard, [path for path, _ in tried.values()]))
    for name, (source, expected) in tried.items():
        report(f'{family}: what {name} prints', test_output(folder, library, compiler, language, source, expected))


def main(arguments):
    if len(arguments) != 1:
        print('usage: headers_test.py PATH/TO/libquern.so', file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        for language, family, names in COMPILERS:
            test_compiler(folder, os.path.dirname(os.path.abspath(arguments[0])), language, family, names)
    return finish()


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
