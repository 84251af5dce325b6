#!/usr/bin/env python3
"""output_test.py: the tool `quern` when nobody reads its output, and when it cannot be written.

    python3 tests/cli/output_test.py PATH/TO/quern

Every command, with every form of output, is run with a stdout whose reader has left, which ends it by SIGPIPE and
without a word, or with IO where that signal is ignored; and with a full one, which is told. What --json prints is read
and compared with the help.
Needs a device. Prints an `ok`, `not ok` or `skip` line per test, then `N passed, N failed, N skipped`.
"""
import json
import os
import re
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from verdicts import finish, report, skip

IO = 15
SUM = 'x=Vi(1); y=Vj(1); Sum_j(Exp(-SqDist(x,y)))'
SYSTEM = 'x=Vi(1); y=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)'

# Commands that write something to stdout. LIST is a list of formulas.
COMMANDS = [
    ['help'], ['help', 'eval'], ['eval', '--help'], ['help', '--man'], ['help', '--completion', 'bash'],
    ['help', '--completion', 'zsh'], ['help', '--completion', 'fish'], ['version'], ['ops'], ['ops', 'SqDist'],
    ['ops', '--json'], ['ops', '--markdown'], ['devices'], ['devices', '--json'], ['doctor'], ['doctor', '--json'], ['cache'],
    ['cache', '--json'],
    ['cache', 'clear'], ['cache', 'warm', 'LIST'], ['explain', SUM], ['explain', SUM, '--stage', 'source'],
    ['explain', SUM, '--dot'], ['eval', SUM, 'x=1,2', 'y=1,2'], ['eval', SUM, 'x=1,2', 'y=1,2', '--json'],
    ['eval', SUM, 'x=1,2', 'y=1,2', '-o', '-'], ['block', 'x=Vi(1); x', 'x=1', '--N', '2'], ['solve', SYSTEM, 'x=1', 'y=1', 'b=1'],
    ['solve', SYSTEM, 'x=1', 'y=1', 'b=1', '--json'], ['eigs', SYSTEM, 'x=1', 'y=1', '--count', '1'],
    ['eigs', SYSTEM, 'x=1', 'y=1', '--count', '1', '--json'], ['gp', '0,1', '2,3', 'at=0.5'], ['gp', '0,1', '2,3', 'at=0.5', '--json'], ['gp', '0,1', '2,3'],
    ['ridge', '0,1', '2,3', 'at=0.5'], ['ridge', '0,1', '2,3', '--json'],
    ['transport', '0,1', '2,3'], ['kde', '0,1,3'], ['kde', '0,1,3', 'at=0', '--json'], ['transport', '0,1', '2,3', '--json'],
    ['knn', '0,1,5'], ['knn', '0,1,5', '--json'],
    ['transport', '0,1', '2,3'], ['transport', '0,1', '2,3', '--json'],
    ['kmeans', '0,1,5', '-k', '2'], ['kmeans', '0,1,5', '-k', '2', '--json'], ['gmm', '0,1,5,6', '-k', '2'], ['gmm', '0,1,5,6', '-k', '2', '--json'],
    ['barycentre', '0,1', '4,5'], ['barycentre', '0,1', '4,5', '--json'],
    ['dbscan', '0,1,5', '--radius', '2'], ['dbscan', '0,1,5', '--radius', '2', '--json'],
    ['meanshift', '0,1,5', '--bandwidth', '1'], ['meanshift', '0,1,5', '--bandwidth', '1', '--json'],
    ['tsne', '0,1,5', '--iterations', '10'], ['tsne', '0,1,5', '--iterations', '10', '--json'],
    ['umap', '0,1,5', '--iterations', '10'], ['umap', '0,1,5', '--iterations', '10', '--json'],
    ['tune', '--points', '64', '--seconds', '0.1', '--dry-run'],
    ['tune', '--points', '64', '--seconds', '0.1', '--dry-run', '--json'],
]


def run(words, stdout, **options):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, text=True, **options)
    return done.returncode, done.stderr


def run_unread(words, **options):
    """Into a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return run(words, writer, **options)
    finally:
        os.close(writer)


def test_unread(name, words):
    code, text = run_unread(words)
    report(f'unread: {name}', (code != -signal.SIGPIPE or text) and f'exit code {code}, and on stderr: {text}')
    code, text = run_unread(words, restore_signals=False)  # python ignores SIGPIPE
    report(f'unread, SIGPIPE ignored: {name}', (code != IO or text) and f'exit code {code}, and on stderr: {text}')


def test_full(name, words):
    with open('/dev/full', 'w', encoding='utf-8') as full:
        code, text = run(words, full)
    report(f'full: {name}', (code != IO or text.count('\n') != 1) and f'exit code {code}, and on stderr: {text}')


# ---- JSON -------------------------------------------------------------------------------------------------------

def keys_of(value):
    """All names of members, at any depth."""
    if isinstance(value, list):
        return set().union(*map(keys_of, value))
    return set(value).union(*map(keys_of, value.values())) if isinstance(value, dict) else set()


def test_json(quern, words):
    """What is printed can be read, and has the members that the help lists."""
    done = subprocess.run([quern, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    told = subprocess.run([quern, 'help', words[0]], stdout=subprocess.PIPE, text=True).stdout
    row = re.search(r'^  --json(.*?)^  -', told, re.M | re.S)[1]
    listed = re.search(r'print ([{\[].*[}\]])', row, re.S)[1]
    try:
        data = json.loads(done.stdout.decode('utf-8'))
        keys, named = keys_of(data), set(re.findall(r'\w+', listed))
        partial = isinstance(data, dict) and [] in data.values()  # nothing was tried in so short a time
        fault = done.stderr.decode() or sorted(keys - named if partial else keys ^ named)
    except ValueError as error:
        fault = f'exit code {done.returncode}, {error}: {done.stdout[:200]}'
    report('json: quern ' + ' '.join(words), fault and str(fault))


def main(arguments):
    if len(arguments) != 1:
        print('usage: output_test.py PATH/TO/quern', file=sys.stderr)
        return 2
    quern = os.path.abspath(arguments[0])
    with tempfile.TemporaryDirectory() as folder:
        os.environ['QUERN_CACHE_DIR'] = os.path.join(folder, 'cache')
        listed = os.path.join(folder, 'list')
        with open(listed, 'w', encoding='utf-8') as file:
            file.write(SUM + '\n')
        for command in COMMANDS:
            name = 'quern ' + ' '.join(command)
            words = [quern] + [listed if word == 'LIST' else word for word in command]
            test_unread(name, words)
            if os.path.exists('/dev/full'):
                test_full(name, words)
            else:
                skip(f'full: {name}', 'there is no /dev/full')
            if '--json' in command:
                test_json(quern, words[1:])
    return finish()


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
