#!/usr/bin/env python3
"""metrics.py: how big files and functions are, and how much of them is comment.

    python3 tools/metrics.py [--check] [ROOT]

Prints the longest functions and files, then a table per folder: files, lines per file and per function (median / 95th
percentile), and the share of lines with a comment among those that are not empty. --check also prints an `ok` or `not ok`
line for each limit below, then `N passed, N failed, 0 skipped`, and exits with status 1 if one failed.

A C function is a `{` outside all others after a `)`; its lines count from the first of its declaration to its `}`. The
preprocessor's lines, comments and strings do not count as code, nor do functions made by macros.
"""
import ast
import os
import re
import sys

LONGEST_FUNCTION = 120
LONGEST_FILE = 600
LONGEST_STORY = 150  # an example with a number
FOLDERS = ('include', 'src', 'cl', 'examples', 'bench', 'tests', 'tools')
SUFFIXES = ('.c', '.h', '.def', '.cl', '.py', '.sh')

# A comment, or a string or character, or a preprocessor line with its continuations (which may hold comments).
LEXEME = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
PREPROCESSOR = re.compile(r'^[ \t]*#(?:\\\n|[^\n])*', re.M)


def blank(text):
    """As many lines, nothing in them."""
    return '\n' * text.count('\n')


def strip_c(text):
    """Code alone, line for line: comments and directives are gone, strings empty."""
    text = LEXEME.sub(lambda m: m.group()[0] * 2 if m.group()[0] in '"\'' else ' ' + blank(m.group()), text)
    return PREPROCESSOR.sub(lambda m: blank(m.group()), text)


def name_of(declaration):
    declaration = re.sub(r'__attribute__\s*\(\(.*?\)\)\)?', '', declaration, flags=re.S)
    match = re.search(r'(\w+)\s*\(', declaration)
    return match.group(1) if match else '?'


def functions_of_c(text):
    """(name, first line, number of lines) of each function."""
    functions, stack = [], []  # of the open braces: 'linkage', 'function' or 'other'
    declaration, start, name, line = '', 1, '', 1
    for character in strip_c(text):
        inside = any(kind != 'linkage' for kind in stack)
        if character == '\n':
            line += 1
        if character == '{':
            if not inside and re.search(r'extern\s+""\s*$', declaration):
                stack.append('linkage')
            elif not inside and declaration.rstrip().endswith(')') and '=' not in declaration:
                stack.append('function')
                name = name_of(declaration)
            else:
                stack.append('other')
        elif character == '}' and stack:
            if stack.pop() == 'function':
                functions.append((name, start, line - start + 1))
        if not inside and character in '{};':
            declaration = ''
        elif not inside:
            if not declaration.strip() and not character.isspace():
                declaration, start = '', line
            declaration += character
        elif character == '}' and not any(kind != 'linkage' for kind in stack):
            declaration = ''
    return functions


def functions_of_python(text):
    nodes = [n for n in ast.walk(ast.parse(text)) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return [(n.name, n.lineno, n.end_lineno - n.lineno + 1) for n in nodes]


def comment_lines_of_c(text):
    marked = LEXEME.sub(lambda m: m.group()[0] * 2 if m.group()[0] in '"\'' else re.sub('[^\n]+', '\1', m.group()), text)
    return marked.count('\1') - len(re.findall('\1[^\n]*\1', marked))


def comment_lines_of_script(text):
    return sum(1 for line in text.splitlines() if line.lstrip().startswith('#'))


class File:
    def __init__(self, root, path):
        with open(os.path.join(root, path), encoding='utf-8') as file:
            text = file.read()
        self.path = path
        self.folder = '/'.join(path.split(os.sep)[:2]) if path.startswith('src') else path.split(os.sep)[0]
        self.lines = text.count('\n')
        self.full_lines = sum(1 for line in text.splitlines() if line.strip())
        script = path.endswith(('.py', '.sh'))
        self.comments = comment_lines_of_script(text) if script else comment_lines_of_c(text)
        self.functions = []
        if path.endswith('.py'):
            self.functions = functions_of_python(text)
        elif not script:
            self.functions = functions_of_c(text)


def find_files(root):
    for top in FOLDERS:
        for folder, subfolders, names in os.walk(os.path.join(root, top)):
            subfolders.sort()
            for name in sorted(names):
                if name.endswith(SUFFIXES):
                    yield File(root, os.path.relpath(os.path.join(folder, name), root))


def percentile(numbers, percent):
    """The smallest number that `percent` % of all do not exceed; 0 of none."""
    ordered = sorted(numbers)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else 0


def pair(numbers):
    return f'{percentile(numbers, 50)} / {percentile(numbers, 95)}'


def print_longest(files):
    functions = [(n, f.path, line, name) for f in files for name, line, n in f.functions]
    print('longest functions')
    for n, path, line, name in sorted(functions, key=lambda row: (-row[0], row[1:]))[:8]:
        print(f'  {n:5}  {name}  {path}:{line}')
    print('longest files')
    for file in sorted(files, key=lambda f: (-f.lines, f.path))[:8]:
        print(f'  {file.lines:5}  {file.path}')


def print_table(files):
    folders = sorted({f.folder for f in files}, key=lambda name: (FOLDERS.index(name.split('/')[0]), name))
    rows = [(name, [f for f in files if f.folder == name]) for name in folders]
    rows.append(('all', files))
    print(f"{'folder':14} files  lines  per file    functions  per function  comment")
    for name, group in rows:
        lengths = [n for f in group for _, _, n in f.functions]
        share = 100 * sum(f.comments for f in group) / max(1, sum(f.full_lines for f in group))
        print(f'{name:14} {len(group):5}  {sum(f.lines for f in group):5}  {pair([f.lines for f in group]):10}  '
              f'{len(lengths):9}  {pair(lengths):12}  {share:5.0f} %')


def check(files):
    long_functions = [f'{name} in {f.path}:{line} has {n} lines' for f in files for name, line, n in f.functions
                      if n > LONGEST_FUNCTION]
    long_files = [f'{f.path} has {f.lines} lines' for f in files if f.lines > LONGEST_FILE]
    long_stories = [f'{f.path} has {f.lines} lines' for f in files
                    if re.fullmatch(r'examples.\d\d_\w+\.c', f.path) and f.lines > LONGEST_STORY]
    failed = 0
    limits = ((f'no function has more than {LONGEST_FUNCTION} lines', long_functions),
              (f'no file has more than {LONGEST_FILE} lines', long_files),
              (f'no example has more than {LONGEST_STORY} lines', long_stories),
              ('there are files', [] if files else ['none was found']))
    for limit, faults in limits:
        failed += bool(faults)
        print(('not ok - ' if faults else 'ok - ') + limit)
        for fault in faults:
            print('#   ' + fault)
    print(f'{len(limits) - failed} passed, {failed} failed, 0 skipped')
    return 1 if failed else 0


def main(arguments):
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    root = next((a for a in arguments if not a.startswith('-')), here)
    files = list(find_files(root))
    print_longest(files)
    print_table(files)
    return check(files) if '--check' in arguments else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
