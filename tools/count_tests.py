#!/usr/bin/env python3
"""count_tests.py: adds up the test cases of Meson test runs.

    python3 tools/count_tests.py LOG...

LOG is a build directory (its meson-logs/testlog.json is read) or such a file; `NAME=LOG` puts "NAME: " before the names
of its programs. Prints a row per test program, the end of what each failed one printed, and as the very last line
`N passed, N failed, N skipped`. A log that cannot be read, or that has no test, is a failed case. Exit status: 1 when a
case failed or none passed, 2 for wrong usage.

How the cases of a program are counted, first match wins:
  1. the last line that looks like `3 passed, 0 failed[, 1 skipped][, 2 unsupported]` (unsupported counts as skipped);
  2. cmocka's sums `[  PASSED  ] 3 test(s).`, one set for each group of the program;
  3. TAP, if there is a plan (`1..3`);
  4. otherwise the program is one case, by its result.
A program that Meson reports as failed without a failed case (a crash, a leak found at exit, a timeout) adds one. One
that was ended at its time limit is told as such, since that may be for the machine's sake.
"""
import json
import os
import re
import sys

LINES_OF_A_FAILURE = 40

SUMMARY = re.compile(r'^(\d+) passed, (\d+) failed((?:, \d+ \w+)*)\s*$', re.M)
CMOCKA = re.compile(r'^\[\s*(PASSED|FAILED|SKIPPED)\s*\] (?:.*: )?(\d+) test\(s\)', re.M)
TAP_PLAN = re.compile(r'^1\.\.\d+', re.M)
TAP_CASE = re.compile(r'^(not )?ok\b(.*)$', re.M)

FAILURE = re.compile(r'not ok|\bfail|error|\[ +LINE|Sanitizer', re.I)

GOOD = {'OK', 'EXPECTEDFAIL', 'SKIP'}


def count_summary(text):
    found = SUMMARY.findall(text)
    if not found:
        return None
    passed, failed, rest = found[-1]
    skipped = sum(int(n) for n in re.findall(r', (\d+) (?:skipped|unsupported)', rest))
    return [int(passed), int(failed), skipped]


def count_cmocka(text):
    found = CMOCKA.findall(text)
    if not found:
        return None
    return [sum(int(n) for word, n in found if word == kind) for kind in ('PASSED', 'FAILED', 'SKIPPED')]


def count_tap(text):
    if not TAP_PLAN.search(text):
        return None
    counts = [0, 0, 0]
    for bad, rest in TAP_CASE.findall(text):
        if re.search(r'#\s*skip', rest, re.I):
            counts[2] += 1
        else:
            counts[1 if bad else 0] += 1
    return counts


def count_program(test):
    """[passed, failed, skipped] of one record of the log."""
    text = test.get('stdout', '') + '\n' + test.get('stderr', '')
    result = test['result']
    counts = count_summary(text) or count_cmocka(text) or count_tap(text)
    if result == 'SKIP':
        return [0, 0, max(1, counts[2] if counts else 0)]
    if counts is None or not any(counts):
        return [1, 0, 0] if result in GOOD else [0, 1, 0]
    if result not in GOOD and not counts[1]:
        counts[1] = 1
    return counts


def failed_log(path, reason):
    return [{'name': path, 'result': 'ERROR', 'stderr': f'the log cannot be used: {reason}'}]


def read_log(argument):
    """The records of one log, with its label before their names."""
    label, path = argument.split('=', 1) if '=' in argument else ('', argument)
    if os.path.isdir(path):
        path = os.path.join(path, 'meson-logs', 'testlog.json')
    try:
        with open(path, encoding='utf-8', errors='replace') as file:
            tests = [json.loads(line) for line in file if line.strip()]
        for test in tests:
            test['name'] = (label + ': ' if label else '') + test['name'].split(' / ')[-1]
            test['result'] = test['result'].upper()
    except (OSError, ValueError, KeyError) as error:
        return failed_log(path, error)
    return tests or failed_log(path, 'no test ran')


def telling_lines(lines):
    """All lines, or, of many, those that seem to tell of a failure and the last ones."""
    if len(lines) <= LINES_OF_A_FAILURE:
        return lines
    half = LINES_OF_A_FAILURE // 2
    telling = [number for number, line in enumerate(lines) if FAILURE.search(line)][:half]
    chosen = sorted(set(telling) | set(range(len(lines) - half, len(lines))))
    return [f'({len(lines)} lines, of which {len(chosen)} are shown)'] + [lines[number] for number in chosen]


def describe(test):
    """How a program ended, in words."""
    if test['result'] == 'TIMEOUT':
        return f"ended at its time limit, after {test.get('duration') or 0:.0f} s"
    return f"{test['result']}, exit status {test.get('returncode')}"


def show_failure(test):
    print(f"\n---- {test['name']}: {describe(test)} ----")
    for stream in ('stdout', 'stderr'):
        for line in telling_lines(test.get(stream, '').rstrip().splitlines()):
            print('  ' + line)


def show_timeouts(names):
    """Says what a failure by the clock may mean; the last name is enough to try."""
    if names:
        print(f'\n{len(names)} of these did not fail a case but were ended at their time limit: {", ".join(names)}.\n'
              'They hang, or the machine is slow or busy. One of them without a limit:\n'
              f"    meson test -C build -t 0 '{names[-1].split(': ')[-1]}'")


def main(arguments):
    if not arguments:
        print('usage: count_tests.py LOG...', file=sys.stderr)
        return 2
    tests = [test for argument in arguments for test in read_log(argument)]
    counted = [(test, count_program(test)) for test in tests]
    for test, (_, failed, _) in counted:
        if failed:
            show_failure(test)
    width = max([len(test['name']) for test in tests] + [len('program')])
    show_timeouts([test['name'] for test in tests if test['result'] == 'TIMEOUT'])
    print(f"\n{'program':{width}}  passed  failed  skipped  seconds")
    for test, (passed, failed, skipped) in counted:
        mark = '' if not failed else '  <- time limit' if test['result'] == 'TIMEOUT' else '  <- failed'
        print(f"{test['name']:{width}}  {passed:6}  {failed:6}  {skipped:7}  {test.get('duration') or 0:7.1f}{mark}")
    passed, failed, skipped = (sum(counts[k] for _, counts in counted) for k in range(3))
    print(f'\n{passed} passed, {failed} failed, {skipped} skipped')
    return 1 if failed or not passed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
