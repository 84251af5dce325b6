#!/usr/bin/env python3
"""golden_test.py: what each pass makes of the formulas in tests/formulas.txt, compared with tests/golden/NAME.txt.

    python3 tests/plan/golden_test.py PATH/TO/quern
    QUERN_UPDATE=1 python3 tests/plan/golden_test.py PATH/TO/quern      rewrites the files; review them like code

A file holds graph, stages and programs, then plan and generated source (without the text of cl/*.cl) for two profiles,
in float32 with M = N = 20000. No device is needed. Prints an `ok` or `not ok` line per file, the latter with the
difference, then `N passed, N failed`.
"""
import difflib
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from formulas import HERE, explain, read_formulas

GOLDEN = os.path.join(HERE, 'golden')
PROFILES = ('cpu', 'nvidia')


def generated(source, profile, seen):
    """Of each kernel in the source: its macros, and the functions made from the formula unless `seen` has them. The digest in
    the kernel's name, which changes with every .cl file, is left out."""
    out = ''
    source = re.sub(r'^(#define Q_NAME quern_\w+_)[0-9a-f]{8}$', r'\1...', source, flags=re.M)
    for kernel in source.split('// ---- source of ')[1:]:
        macros, *pieces = re.split(r'^#line 1 "(.+)"\n', kernel, flags=re.M)
        functions = pieces[pieces.index('formula') + 1]
        title = f'profile {profile}, {macros.splitlines()[0].rstrip("- ")}'
        first = seen.setdefault(functions, title)
        out += '// ---- source of ' + macros + (functions if first is title else f'(the functions of {first})\n')
    return out


def portrait(quern, formula):
    """(the text of the golden file, None) or (None, fault)"""
    sections = [('', ('--stage', stage)) for stage in ('graph', 'stages', 'program')]
    for profile in PROFILES:
        sections.append((profile, ('--stage', 'plan', '--profile', profile)))
        sections.append((profile, ('--stage', 'source', '--profile', profile)))
    text, seen = '', {}
    for profile, options in sections:
        part, fault = explain(quern, formula, '--M', '20000', '--N', '20000', *options)
        if fault:
            return None, fault
        if 'plan' in options:
            text += f'==== profile {profile} ====\n'
        text += generated(part, profile, seen) if 'source' in options else part
    return text, None


def read(path):
    if not os.path.exists(path):
        return ''
    with open(path, encoding='utf-8') as file:
        return file.read()


def fault_of(quern, name, formula, update):
    """What is wrong, as lines, or None."""
    path = os.path.join(GOLDEN, name + '.txt')
    got, fault = portrait(quern, formula)
    if fault:
        return fault
    expected = read(path)
    if update and got != expected:
        os.makedirs(GOLDEN, exist_ok=True)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(got)
        print(f'# golden/{name}.txt is rewritten')
        return None
    difference = difflib.unified_diff(expected.splitlines(), got.splitlines(), f'golden/{name}.txt', 'now', lineterm='')
    return '\n'.join(difference) or None


def main(arguments):
    if len(arguments) != 1:
        print('usage: golden_test.py PATH/TO/quern', file=sys.stderr)
        return 2
    quern, update = os.path.abspath(arguments[0]), bool(os.environ.get('QUERN_UPDATE'))
    passed = failed = 0
    formulas = read_formulas()
    for name, formula in formulas.items():
        fault = fault_of(quern, name, formula, update)
        passed, failed = passed + (not fault), failed + bool(fault)
        print(f'not ok - {name}\n{fault}' if fault else f'ok - {name}')
    stray = sorted(f for f in os.listdir(GOLDEN) if f[:-4] not in formulas) if os.path.isdir(GOLDEN) else []
    for file in stray:
        failed += 1
        print(f'not ok - golden/{file} belongs to no formula')
    print(f'{passed} passed, {failed} failed')
    return 1 if failed or not passed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
