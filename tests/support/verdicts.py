"""verdicts.py: the lines that tests in Python print: `ok` and `not ok` with a name, and the sums in the end."""

counts = {'ok': 0, 'not ok': 0, 'skip': 0}


def report(name, fault):
    """A test that passed, or, with a fault as text, one that did not."""
    verdict = 'not ok' if fault else 'ok'
    counts[verdict] += 1
    print(f'{verdict} - {name}', flush=True)
    for line in (fault or '').splitlines():
        print('#   ' + line)


def skip(name, reason):
    counts['skip'] += 1
    print(f'ok - {name} # SKIP {reason}')


def finish():
    """Prints the sums; the exit status, which is 0 if some passed and none failed."""
    print(f"{counts['ok']} passed, {counts['not ok']} failed, {counts['skip']} skipped")
    return 1 if counts['not ok'] or not counts['ok'] else 0
