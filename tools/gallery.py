#!/usr/bin/env python3
"""gallery.py: docs/gallery.md, from what the examples say of themselves.

    python3 tools/gallery.py                    prints the page
    python3 tools/gallery.py --write            writes it
    python3 tools/gallery.py --pictures BUILD   runs the programs of BUILD/examples that draw, into docs/images, and writes it

An example's first comment begins with its name and a sentence; an indented line `[LAUNCHER ...] NAME [PICTURE.png]` tells how it is
started and what it draws, and comments `// prints: TEXT` what it prints. The test `docs` compares the page with the sources.
"""
import glob
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
IMAGES = os.path.join(ROOT, 'docs', 'images')

HEAD = '''# Gallery

What symbolic matrices are for: each picture is made by one program of [examples](../examples), and each program says more. They are
built with quern, into `build/examples`, and take the picture's name as their argument. This page is made of them by
`python3 tools/gallery.py --write`.
'''


def read_example(path):
    """Name, paragraphs of the first comment, the words that start it and its picture or None, and the lines that it prints."""
    with open(path, encoding='utf-8') as file:
        source = file.read()
    name = os.path.basename(path)[:-2]
    comment = re.match(r'/\*\n(.*?)\n \*/', source, re.S).group(1)
    lines = [re.sub(r'^ \* ?', '', line) for line in comment.split('\n')]
    parts = '\n'.join(lines).split('\n\n')
    first, *rest = [' '.join(part.split()) for part in parts if not part.startswith('    ')]
    first = re.sub(rf'^{re.escape(name)}(\.c)?: ', '', first)
    usage = re.search(r'^    (.*?) \[(\w+\.png)', '\n'.join(lines), re.M)
    prints = [found.strip() for found in re.findall(r'// prints: (.+)', source)]
    return name, first, rest, usage and (re.sub(r'\[.*?\]', '', usage[1]).split(), usage[2]), prints


def wrapped(text, width=132):
    lines, line = [], ''
    for word in text.split():
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f'{line} {word}' if line else word
    return '\n'.join(lines + [line])


def escaped(text):
    return re.sub(r'(`[^`]*`)|([_*<])', lambda found: found[1] or '\\' + found[2], text)


def sentence(text):
    return text[0].upper() + text[1:]


def page():
    parts = [HEAD]
    for path in sorted(glob.glob(os.path.join(ROOT, 'examples', '[0-9][0-9]_*.c'))):
        name, first, rest, picture, prints = read_example(path)
        parts.append(f'## {name[3:].replace("_", " ").capitalize().replace("Mpi", "MPI")}\n')
        if picture:
            parts.append(f'![{escaped(first.split(". ")[0].rstrip("."))}](images/{picture[1]})\n')
        parts.append(wrapped(escaped(sentence(first))) + '\n')
        parts += [wrapped(escaped(text)) + '\n' for text in rest]
        if prints:
            parts.append('It prints:\n\n' + '\n'.join('    ' + line for line in prints) + '\n')
        parts.append(f'[{name}.c](../examples/{name}.c)\n')
    return '\n'.join(parts)


def draw(build):
    environment = {**os.environ, 'OMPI_ALLOW_RUN_AS_ROOT': '1', 'OMPI_ALLOW_RUN_AS_ROOT_CONFIRM': '1'}
    for path in sorted(glob.glob(os.path.join(ROOT, 'examples', '[0-9][0-9]_*.c'))):
        name, _, _, picture, _ = read_example(path)
        program = os.path.join(os.path.abspath(build), 'examples', name)
        if picture and os.path.exists(program):
            words = [program if word == name else word for word in picture[0]]
            subprocess.run([*words, os.path.join(IMAGES, picture[1])], env=environment, check=True)


def main(arguments):
    if arguments[:1] == ['--pictures'] and len(arguments) == 2:
        draw(arguments[1])
    elif arguments not in ([], ['--write']):
        sys.exit(__doc__)
    if not arguments:
        print(page(), end='')
        return
    with open(os.path.join(ROOT, 'docs', 'gallery.md'), 'w', encoding='utf-8') as file:
        file.write(page())


if __name__ == '__main__':
    main(sys.argv[1:])
