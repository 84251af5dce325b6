#!/usr/bin/env python3
"""Runs the examples and checks what they say they print.

usage: examples_test.py NAME=PROGRAM=SOURCE[=ARGUMENT...] ...

Each comment `// prints: TEXT` of a source must be a line of its program's output, in the same order. Programs run in a
folder of their own, which is removed. Prints ok and not ok lines, and last `N passed, N failed`.
"""
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


def check(program, source, arguments):
    expected = expected_lines(source)
    if not expected:
        return "the source has no // prints: line"
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    if run.returncode:
        return f"exit code {run.returncode}: {run.stderr.strip()}"
    missing = missing_line(expected, run.stdout)
    return missing and f"does not print '{missing}', but\n{run.stdout}"


def main(specifications):
    passed = failed = 0
    for specification in specifications:
        name, program, source, *arguments = specification.split("=")
        problem = check(program, source, arguments)
        print(f"not ok - {name}: {problem}" if problem else f"ok - {name}")
        passed, failed = passed + (not problem), failed + bool(problem)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
