#!/usr/bin/env python3
"""manual_test.py: what the tool says of itself: help, manual page and completions agree with each other and with it.

    python3 tests/cli/manual_test.py PATH/TO/quern

Every option of `quern help COMMAND` is in the manual page and in the completions of each shell; what those name is an
option that the command takes. The page is rendered without a warning, completions are parsed by their shell, bash's are
tried. No message and no help names a file of the source tree, which users of an installed quern do not have.
Prints an `ok`, `not ok` or `skip` line per test, then `N passed, N failed, N skipped`.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from verdicts import finish, report, skip

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHELLS = ('bash', 'zsh', 'fish')
# Folders of the source tree.
FOLDERS = re.compile(r'\b(?:docs|tests|examples|bench|tools|cl|src)/\w|\b[A-Z]+\.md\b')
WIDEST = 120


def run(*words, **options):
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def output(*words):
    done = run(*words)
    if done.returncode or done.stderr:
        sys.exit(f'{" ".join(words)}: exit code {done.returncode}: {done.stderr}')
    return done.stdout


def options_of(help_text):
    """The options in the list of a command's help."""
    return re.findall(r'^  (--?\w[\w-]*)', help_text.split('\nOptions\n', 1)[1], re.M)


# ---- the parts of what is printed, by command -------------------------------------------------------------------

def man_options(page):
    found = {}
    for section in re.split(r'^\.SS "quern ', page.split('\n.SH ENVIRONMENT')[0], flags=re.M)[1:]:
        names = re.findall(r'^\.TP\n\\fB(\S*?)\\fR', section, re.M)
        found[re.match(r'\w+', section)[0]] = {name.replace('\\', '') for name in names}
    return found


def bash_options(text):
    return {command: set(words.split()) for command, words in re.findall(r'^ *(\w+)/-\*\) words="(.*?)"', text, re.M)}


def zsh_options(text):
    found = {}
    for command, body in re.findall(r'^    (\w+)\)\n(.*?);;$', text, re.M | re.S):
        found[command] = set(re.findall(r"^ *'\*?(--?[\w-]+)\[", body, re.M))
    return found


def fish_options(text):
    found = {}
    for command, kind, name in re.findall(r"_from (\w+)' -([ls]) (\S+)", text):
        found.setdefault(command, set()).add(('--' if kind == 'l' else '-') + name)
    return found


# ---- tests ------------------------------------------------------------------------------------------------------

def test_agreement(quern, helps, places):
    for place, found in places.items():
        faults = []
        for command, text in helps.items():
            listed = set(options_of(text)) - {'--help'}
            given = found.get(command, set()) - {'--help'}
            if listed != given:
                faults.append(f'{command}: {sorted(listed ^ given)}')
        faults += [f'{command}: there is no such command' for command in set(found) - set(helps)]
        report(f'{place} has the options of --help', '\n'.join(faults))
    strange = []
    for command, text in helps.items():
        for name in options_of(text):
            done = run(quern, command, name, '--no-such-option')
            if name != '--help' and f'no option {name}' in done.stderr:
                strange.append(f'{command} {name}: {done.stderr}')
    report('every option of --help is taken', '\n'.join(strange))


def test_width(texts):
    wide = [line for text in texts for line in text.splitlines() if len(line) > WIDEST]
    report('help is no wider than a terminal', '\n'.join(wide))


def test_man(page):
    if not shutil.which('groff'):
        return skip('the manual page', 'there is no groff')
    done = run('groff', '-man', '-Tutf8', '-ww', '-rLL=120n', input=page)
    report('the manual page is rendered without a warning', done.stderr if done.stderr or done.returncode else '')
    plain = re.sub(r'\x1b\[\d*m', '', done.stdout)
    wanted = ("quern eval 'x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)' x=x.npy", 'QUERN_DEVICE', '--dtype')
    report('and shows formulas as they are typed', '\n'.join(w for w in wanted if w not in plain))


def test_shells(completions):
    for shell in SHELLS:
        if not shutil.which(shell):
            skip(f'{shell} parses its completions', f'there is no {shell}')
            continue
        with tempfile.NamedTemporaryFile('w', suffix=f'.{shell}') as file:
            file.write(completions[shell])
            file.flush()
            done = run(shell, '-n', file.name)
        report(f'{shell} parses its completions', done.stderr or (done.returncode and f'exit code {done.returncode}'))


def completed(text, *words):
    """What bash offers for the last word."""
    script = text + '\nCOMP_WORDS=("$@") COMP_CWORD=$(($# - 1))\n_quern\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
    return run('bash', '-c', script, 'bash', 'quern', *words).stdout.split()


def test_bash(text, helps):
    if not shutil.which('bash'):
        return skip('completion in bash', 'there is no bash')
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        open('x.npy', 'w', encoding='utf-8').close()
        expected = {
            ('',): sorted(helps), ('ex',): ['explain'], ('eval', '--dt'): ['--dtype'],
            ('eval', '--dtype', ''): ['f32', 'f64'], ('cache', 'w'): ['warm'], ('help', 'do'): ['doctor'],
            ('eval', '-o', 'x'): ['x.npy'], ('eval', 'x'): ['x.npy'], ('devices', ''): [], ('nothing', '-'): [],
        }
        wrong = [f'{words}: {got}' for words, want in expected.items() if (got := sorted(completed(text, *words))) != want]
        os.chdir(here)
    report('completion in bash', '\n'.join(wrong))


def test_files(texts):
    """Texts of the library and the tool are literals of their sources."""
    faults = [line for text in texts for line in text.splitlines() if FOLDERS.search(line)]
    for folder, _, names in os.walk(os.path.join(ROOT, 'src')):
        for name in names:
            if not name.endswith(('.c', '.h', '.def')):
                continue
            with open(os.path.join(folder, name), encoding='utf-8') as file:
                pieces = re.findall(r'/\*.*?\*/|//[^\n]*|#include[^\n]*|"(?:[^"\\\n]|\\.)*"', file.read(), re.S)
            faults += [f'{name}: {piece}' for piece in pieces if piece.startswith('"') and FOLDERS.search(piece)]
    report('no message names a file that is not installed', '\n'.join(faults))


def test_guesses(quern):
    for words, guess in ((('evla',), 'eval'), (('Doctor',), 'doctor'), (('eval', '--jsno'), '--json'),
                         (('help', 'device'), 'devices'), (('',), None), (('x' * 5000,), None)):
        done = run(quern, *words)
        got = re.search(r'did you mean (\S+);', done.stderr)
        report(f'a guess for {" ".join(words)[:20]}', (got[1] if got else None) != guess and done.stderr[:300])


def main(arguments):
    if len(arguments) != 1:
        print('usage: manual_test.py PATH/TO/quern', file=sys.stderr)
        return 2
    quern = os.path.abspath(arguments[0])
    overview, page = output(quern, 'help'), output(quern, 'help', '--man')
    commands = re.findall(r'^  (\w+) ', overview.split('\nCommands\n')[1].split('\n\n')[0], re.M)
    helps = {command: output(quern, 'help', command) for command in commands}
    completions = {shell: output(quern, 'help', '--completion', shell) for shell in SHELLS}
    places = {'the manual page': man_options(page), 'bash': bash_options(completions['bash']),
              'zsh': zsh_options(completions['zsh']), 'fish': fish_options(completions['fish'])}
    test_agreement(quern, helps, places)
    test_width([overview, *helps.values()])
    test_man(page)
    test_shells(completions)
    test_bash(completions['bash'], helps)
    test_files([overview, page, *helps.values(), *completions.values()])
    test_guesses(quern)
    report('no other shell', run(quern, 'help', '--completion', 'csh').returncode != 2 and 'not exit code 2')
    report('one thing at a time', run(quern, 'help', 'eval', '--man').returncode != 2 and 'not exit code 2')
    return finish()


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
