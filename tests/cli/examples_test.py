#!/usr/bin/env python3
"""Runs the examples and checks what they say they print.

usage: examples_test.py NAME=PROGRAM=SOURCE[=ARGUMENT...] ...

Each comment `// prints: TEXT` of a source must be a line of its program's output, in the same order. A program that
takes arguments also gets some that are wrong: it says so, last, and leaves no file. Programs run in a folder of their
own, which is removed. Prints ok and not ok lines, and last `N passed, N failed`.
"""
import os
import re
import subprocess
import sys
import tempfile


def expected_lines(source):
    with open(source, encoding="utf-8") as text:
        return [found.group(1).strip() for found in re.finditer(r"//\s*prints:\s*(.+)", text.read())]


def missing_line(expected, output):
    """The first expected line that is not in the output after those before it; None if all are."""
    lines = iter(line.strip() for line in output.splitlines())
    return next((wanted for wanted in expected if wanted not in lines), None)


def run(program, arguments):
    """Exit code, output with errors where they came, and the files that were left."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([program, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False)
        return done.returncode, done.stdout, os.listdir(folder)


def check(program, source, arguments):
    expected = expected_lines(source)
    if not expected:
        return "the source has no // prints: line"
    code, output, _ = run(program, arguments)
    if code:
        return f"exit code {code}: {output.strip()}"
    missing = missing_line(expected, output)
    return missing and f"does not print '{missing}', but\n{output}"


# Arguments, exit code, and what the last line of the output matches, or, where there is usage after it, the first.
MISUSES = [
    (["--help"], 0, r"usage: \S+ \[--data"),
    (["--hlep"], 2, r".*: no such option, .*'--hlep'"),
    (["--data"], 2, r".*no value for it: '--data'"),
    (["new.png", "72", "more"], 2, r".*: a word too many: 'more'"),
    (["new.png", "720x360"], 2, r".*: the width is 16 to 8192 pixels, not: '720x360'"),
    (["new.png", "8"], 2, r".*: the width is 16 to 8192 pixels, not: '8'"),
    (["new.png", ""], 2, r".*: the width is 16 to 8192 pixels, not: ''"),
    ([""], 2, r".*: a picture needs a name"),
    (["--data", "nosuch.csv"], 1, r"nosuch\.csv: No such file"),
    (["--data", "/dev/null"], 1, r"/dev/null: no cities after 0 lines"),
    (["nosuch/new.png", "72"], 1, r"nosuch/new\.png: "),
]


def check_misuses(program):
    for arguments, wanted, pattern in MISUSES:
        code, output, files = run(program, arguments)
        lines = output.splitlines() or [""]
        line = lines[0] if "usage:" in output else lines[-1]
        if code != wanted or files or not re.match(pattern, line):
            return f"{arguments}: exit code {code}, files {files}, and\n{output}"
    return None


def main(specifications):
    problems = []
    for specification in specifications:
        name, program, source, *arguments = specification.split("=")
        problems.append((name, check(program, source, arguments)))
        if arguments:
            problems.append((f"{name}, misused", check_misuses(program)))
    for name, problem in problems:
        print(f"not ok - {name}: {problem}" if problem else f"ok - {name}")
    failed = sum(bool(problem) for _, problem in problems)
    print(f"{len(problems) - failed} passed, {failed} failed")
    return 1 if failed or not problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
